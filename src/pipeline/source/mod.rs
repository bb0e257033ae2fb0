//! Where leads come from.

pub mod csv;
