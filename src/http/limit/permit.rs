//! The right to send one request, and the request under way.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use super::Shared;

/// One more, for as long as it lives.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    pub(super) fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The right to send one request.
#[must_use = "a permit that is not used is a slot gone by"]
pub struct Permit(Arc<Shared>);

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(limits) = &self.0.limits {
            limits.outstanding.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Permit {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        if let Some(limits) = &shared.limits {
            limits.outstanding.fetch_add(1, Ordering::Relaxed);
        }
        Self(shared)
    }

    /// Counts the departure, to be called right before the request is written: waits, as a rule not at all, until a place
    /// is free. The answer is to be told when the reply has come.
    pub async fn depart(self) -> Departed {
        let number = match &self.0.limits {
            Some(limits) => limits.place().await,
            None => 0,
        };
        Departed { shared: Arc::clone(&self.0), number }
    }
}

/// A request under way.
pub struct Departed {
    shared: Arc<Shared>,
    number: u64,
}

impl fmt::Debug for Departed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Departed").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Departed {
    /// The reply has come. A request whose reply never comes counts as late as can be.
    pub fn replied(self) {
        if let Some(limits) = &self.shared.limits {
            limits.hand().replied(self.number, Instant::now());
        }
    }
}

impl Drop for Departed {
    fn drop(&mut self) {
        if let Some(limits) = &self.shared.limits {
            limits.hand().settled(self.number);
        }
    }
}
