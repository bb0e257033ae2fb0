//! What all lanes of a run share.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::away::{self, LAST_ANSWER, Patience};
use super::enrich::LookUps;
use super::leases::Leases;
use super::sealing::Sealing;
use super::writer::Writer;
use crate::auth::Fingerprinter;
use crate::clock::Clock;
use crate::config::NormaliseSettings;
use crate::http::retry::Backoff;
use crate::store::{Result as StoreResult, RunId, Store};

/// One per run.
pub struct Shared {
    pub run: RunId,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub writer: Writer,
    pub leases: Arc<Leases>,
    pub account: Arc<Account>,
    pub fingerprints: Fingerprinter,
    pub sealing: Sealing,
    pub normalise: NormaliseSettings,
    /// `None`: look-ups are off.
    pub lookup: Option<LookUps>,
    pub backoff: Backoff,
    /// Create requests that may fail per lead, and look-ups that fail for it alone.
    pub max_attempts: u32,
    /// How long to wait for what comes due.
    pub wait: Duration,
    /// Only leads of this import.
    pub imported_by: Option<RunId>,
    /// Leads that may still be taken up (`--limit`); `None`: no limit. Held while leasing, so that a lane that asks for
    /// more than it gets leaves the rest to the others.
    pub limit: Option<Mutex<usize>>,
    /// Take no new lead.
    pub stop: CancellationToken,
    /// Requests in flight are given up: the grace time is over.
    pub cut: CancellationToken,
}

impl Shared {
    /// Whether raw leads can be worked at all, or only those that were prepared earlier.
    pub fn can_prepare(&self) -> bool {
        self.lookup.as_ref().is_none_or(|lookup| lookup.is_usable())
    }

    /// The same, with the look-up service's account checked first.
    pub async fn is_fit_to_prepare(&self) -> bool {
        if let Some(lookup) = &self.lookup {
            lookup.check(self).await;
        }
        self.can_prepare()
    }

    /// Whether `--limit` allows no more leads.
    pub async fn limit_used_up(&self) -> bool {
        match &self.limit {
            Some(left) => *left.lock().await == 0,
            None => false,
        }
    }

    /// Asks the database, again and again while it is away: for as long as a lease lasts, at most until the grace time
    /// is over. Only for what may be done twice.
    ///
    /// # Errors
    /// What it said last.
    pub async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> StoreResult<T>
    where
        F: Future<Output = StoreResult<T>>,
    {
        let patience = Patience { term: self.leases.term(), hurry: &self.cut, last: LAST_ANSWER };
        away::patiently(patience, || self.account.database_was_away(), ask).await
    }
}
