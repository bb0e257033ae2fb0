//! The contact list, by name and by number. The original API wants both: `find` takes the number; `add` takes the name by
//! one source (the connector in `microsoft/PowerPlatformConnectors`) and a number by another
//! (`bartlomiejbeta/LeadDeskApiClientLib`).
//!
//! Decided: `add` is given the name, and if LeadDesk says that there is no such list, the number from then on. Such a refusal
//! adds nothing, so the lead only waits a moment. Once an add was taken, or the number is refused too, it is the list that is
//! wrong.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What is known of the list.
pub(super) struct List {
    name: Option<String>,
    id: Option<u64>,
    /// By the account check.
    resolved: OnceLock<(String, u64)>,
    by_number: AtomicBool,
    /// An add was taken.
    taken: AtomicBool,
    /// Adds by name that were refused for the list.
    refused: AtomicUsize,
    /// So many may be under way at once: their refusals are one and the same.
    concurrency: usize,
}

impl List {
    /// As configured: at least one of the two.
    pub(super) fn new(name: Option<String>, id: Option<u64>, concurrency: usize) -> Self {
        Self {
            name,
            id,
            resolved: OnceLock::new(),
            by_number: AtomicBool::new(false),
            taken: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
            concurrency: concurrency.max(1),
        }
    }

    /// As configured.
    pub(super) fn configured(&self) -> (Option<&str>, Option<u64>) {
        (self.name.as_deref(), self.id)
    }

    /// Keeps what the account check found.
    pub(super) fn resolve(&self, name: &str, id: u64) {
        // The first answer stays: the check is asked again and again with the same replies.
        let _ = self.resolved.set((name.to_owned(), id));
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref().or_else(|| self.resolved.get().map(|(name, _)| name.as_str()))
    }

    /// Its number, once it is known.
    pub(super) fn id(&self) -> Option<u64> {
        self.id.or_else(|| self.resolved.get().map(|(_, id)| *id))
    }

    /// What `add` is told.
    pub(super) fn for_add(&self) -> String {
        let id = self.id().map(|id| id.to_string());
        let name = self.name().map(str::to_owned);
        let told = if self.by_number.load(Ordering::Relaxed) { id.or(name) } else { name.or(id) };
        told.unwrap_or_default()
    }

    /// An add was taken: the list is right as it was told.
    pub(super) fn taken(&self) {
        self.taken.store(true, Ordering::Relaxed);
    }

    /// An add was refused for its list. Whether it is worth another try, by number.
    pub(super) fn refused(&self) -> bool {
        if self.taken.load(Ordering::Relaxed) || self.name().is_none() || self.id().is_none() {
            return false;
        }
        let before = self.refused.fetch_add(1, Ordering::Relaxed);
        self.by_number.store(true, Ordering::Relaxed);
        before < self.concurrency
    }
}
