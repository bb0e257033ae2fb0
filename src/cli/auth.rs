//! `leadsync auth`: what operators see of tokens and keys, and what they do about them.

mod refresh;
mod rekey;
mod status;

pub use refresh::refresh;
pub use rekey::rekey;
pub use status::status;
