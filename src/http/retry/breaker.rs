//! Stops calling an account that keeps failing.

use std::sync::{Mutex, PoisonError};

/// Counts an account's failures in a row: whoever uses it says what a failure is, and what ends the row. The one of an
/// account's calls counts requests that were not sent, or got no reply or a 5xx, and any other answer closes it again.
#[derive(Debug)]
pub struct Breaker {
    opens_at: u32,
    /// What is counted, in words.
    what: &'static str,
    failures: Mutex<(u32, String)>,
}

impl Breaker {
    /// How many failures in a row open it, unless told otherwise.
    pub const OPENS_AT: u32 = 10;

    /// Opens at this many failures in a row; at least one.
    pub fn new(opens_at: u32) -> Self {
        Self { opens_at: opens_at.max(1), what: "failures", failures: Mutex::default() }
    }

    /// The same for what is called this, in the plural: "failures".
    #[must_use]
    pub fn counting(self, what: &'static str) -> Self {
        Self { what, ..self }
    }

    /// A call got an answer.
    pub fn success(&self) {
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner) = (0, String::new());
    }

    /// A call failed; `why` in words, without personal data.
    pub fn failure(&self, why: impl Into<String>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        *failures = (failures.0.saturating_add(1), why.into());
    }

    /// Why the account should not be called any more in this run; `None` while it may.
    pub fn is_open(&self) -> Option<String> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        (failures.0 >= self.opens_at)
            .then(|| format!("{} {} in a row, the last: {}", failures.0, self.what, failures.1))
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(Self::OPENS_AT)
    }
}
