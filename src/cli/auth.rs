//! `leadsync auth`: what operators see of tokens and keys, and what they do about them.

mod status;

pub use status::status;
