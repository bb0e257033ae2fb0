//! What happens to a lead, in order: source → normalise → enrich → deliver → record.
//!
//! ```text
//! import ─▶ queue ─▶ lane ─▶ prepare (normalise, enrich, claim) ─▶ deliver ─▶ record ─▶ writer ─▶ database
//! ```
//!
//! [`run`] starts one `lane` per destination. What a crash leaves behind is always a row in one of the states of
//! [`crate::lead::LeadState`], under a lease that lapses by itself.

mod account;
pub(crate) mod away;
mod by_hand;
mod deliver;
mod enrich;
pub(crate) mod examine;
mod hands;
pub(crate) mod import;
mod lane;
mod leases;
pub(crate) mod normalise;
mod pauses;
mod preflight;
mod prepare;
pub mod progress;
mod record;
pub mod run;
pub(crate) mod sealing;
mod shared;
pub mod site;
pub mod source;
pub(crate) mod turn;
mod writer;
