//! HTTP as leadsync uses it: one shared client, one limiter per account, one way to wait.
//!
//! Only [`crate::connectors::channel`] sends for connectors; a connector builds a [`message::Request`] and reads a
//! [`message::Reply`]. What a lost connection means (may the other side have acted?) is decided in [`send`], once.

#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod limit;
pub mod message;
pub(crate) mod retry;
pub(crate) mod send;
