//! seven_targets
