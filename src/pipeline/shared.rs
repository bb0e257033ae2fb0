//! What all lanes of a run share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::enrich::LookUps;
use super::leases::Leases;
use super::writer::Writer;
use crate::auth::Fingerprinter;
use crate::clock::Clock;
use crate::config::NormaliseSettings;
use crate::http::retry::Backoff;
use crate::store::{RunId, Store};

/// One per run.
pub struct Shared {
    pub run: RunId,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub writer: Writer,
    pub leases: Arc<Leases>,
    pub account: Arc<Account>,
    pub fingerprints: Fingerprinter,
    pub normalise: NormaliseSettings,
    /// `None`: look-ups are off.
    pub lookup: Option<LookUps>,
    pub backoff: Backoff,
    /// Create requests that may fail per lead.
    pub max_attempts: u32,
    /// How long to wait for what comes due.
    pub wait: Duration,
    /// Only leads of this import.
    pub imported_by: Option<RunId>,
    /// Leads that may still be taken up (`--limit`); `None`: no limit.
    pub limit: Option<AtomicI64>,
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

    /// Reserves up to `wanted` from `--limit`.
    pub fn take_from_limit(&self, wanted: usize) -> usize {
        let Some(limit) = &self.limit else { return wanted };
        let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
        let mut granted = 0;
        let _ = limit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            granted = left.clamp(0, wanted);
            Some(left - granted)
        });
        usize::try_from(granted).unwrap_or(0)
    }

    /// Whether `--limit` allows no more leads.
    pub fn limit_used_up(&self) -> bool {
        self.limit.as_ref().is_some_and(|left| left.load(Ordering::Relaxed) <= 0)
    }

    /// Gives back what was reserved and not used, or used by leads that had been counted before.
    pub fn give_back_to_limit(&self, unused: usize) {
        if let Some(limit) = &self.limit {
            limit.fetch_add(i64::try_from(unused).unwrap_or(0), Ordering::Relaxed);
        }
    }
}
