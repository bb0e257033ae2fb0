//! What happens to a lead, in order: source → normalise → enrich → deliver → record.

pub mod normalise;
pub mod progress;
pub mod source;
