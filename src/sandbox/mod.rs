//! The remote APIs on loopback, with limits and faults on demand.
