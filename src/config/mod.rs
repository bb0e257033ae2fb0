//! File, environment and flags become one validated [`Settings`]; secrets are never printed.

mod settings;

pub use settings::*;

/// Where each key's value came from.
#[derive(Clone, Debug, Default)]
pub struct Origins {}
