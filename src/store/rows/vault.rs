//! Tokens, quotas, look-ups, pauses.

use sqlx::FromRow;

use super::{Text, at, opt};
use crate::store::{CachedLookUp, CallId, Fingerprint, Pause, StoredToken};

#[derive(FromRow)]
pub(in crate::store) struct QuotaRow {
    pub(in crate::store) account: Text,
    pub(in crate::store) utc_day: i64,
    pub(in crate::store) used: i64,
}

#[derive(FromRow)]
pub(in crate::store) struct TokenRow {
    account: Text,
    generation: i64,
    sealed: Option<Vec<u8>>,
    expires_at_ms: Option<i64>,
    refreshed_at_ms: Option<i64>,
    needs_login: Option<Text>,
}

impl TokenRow {
    pub(in crate::store) fn read(self) -> (String, StoredToken) {
        let token = StoredToken {
            generation: self.generation,
            sealed: self.sealed.unwrap_or_default(),
            expires_at: at(self.expires_at_ms.unwrap_or_default()),
            refreshed_at: at(self.refreshed_at_ms.unwrap_or_default()),
            needs_login: opt(self.needs_login),
        };
        (self.account.0, token)
    }
}

/// How a refresh stands.
#[derive(FromRow)]
pub(in crate::store) struct RefreshRow {
    pub(in crate::store) generation: i64,
    pub(in crate::store) refresh_holder: Option<i64>,
    pub(in crate::store) refresh_until_ms: Option<i64>,
    /// Refreshes of this generation that were lost, that of the present holder not counted.
    pub(in crate::store) refresh_repeats: i64,
    pub(in crate::store) needs_login: Option<Text>,
}

#[derive(FromRow)]
pub(in crate::store) struct LookUpRow {
    fingerprint: Text,
    answer: Text,
    fetched_at_ms: i64,
    call_id: Option<i64>,
}

impl LookUpRow {
    /// `None` for an answer that can't be read: it is asked for again.
    pub(in crate::store) fn read(self) -> Option<CachedLookUp> {
        Some(CachedLookUp {
            key: Fingerprint(self.fingerprint.0),
            answer: serde_json::from_str(&self.answer.0).ok()?,
            fetched_at: at(self.fetched_at_ms),
            call: self.call_id.map(CallId),
        })
    }
}

#[derive(FromRow)]
pub(in crate::store) struct PauseRow {
    account: Text,
    until_ms: i64,
    why: Text,
}

impl From<PauseRow> for Pause {
    fn from(row: PauseRow) -> Self {
        Self { account: row.account.0, until: at(row.until_ms), why: row.why.0 }
    }
}
