//! Tokens, quotas, look-ups, pauses.

use sqlx::FromRow;

use super::{Text, at, opt};
use crate::store::{CachedLookUp, CallId, Fingerprint, HandPause, Pause, StoredToken, TokenRefresh, TokenStanding};

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
    refreshed_by: Option<Text>,
    needs_login: Option<Text>,
    refresh_holder: Option<i64>,
    refresh_until_ms: Option<i64>,
}

impl TokenRow {
    pub(in crate::store) fn read(self) -> TokenStanding {
        let token = StoredToken {
            generation: self.generation,
            sealed: self.sealed.unwrap_or_default(),
            expires_at: at(self.expires_at_ms.unwrap_or_default()),
            refreshed_at: at(self.refreshed_at_ms.unwrap_or_default()),
            refreshed_by: opt(self.refreshed_by),
            needs_login: opt(self.needs_login),
        };
        let refreshing_until = self.refresh_holder.and(self.refresh_until_ms).map(at);
        TokenStanding { account: self.account.0, token, refreshing_until }
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

/// A sealed value and what its row is called.
#[derive(FromRow)]
pub(in crate::store) struct SealedRow {
    pub(in crate::store) name: Text,
    pub(in crate::store) sealed: Vec<u8>,
}

#[derive(FromRow)]
pub(in crate::store) struct TokenRefreshRow {
    account: Text,
    generation: i64,
    refreshed_at_ms: i64,
    expires_at_ms: i64,
    refreshed_by: Option<Text>,
}

impl From<TokenRefreshRow> for TokenRefresh {
    fn from(row: TokenRefreshRow) -> Self {
        Self {
            account: row.account.0,
            generation: row.generation,
            refreshed_at: at(row.refreshed_at_ms),
            expires_at: at(row.expires_at_ms),
            refreshed_by: opt(row.refreshed_by),
        }
    }
}

#[derive(FromRow)]
pub(in crate::store) struct HandPauseRow {
    name: Text,
    since_ms: i64,
    until_ms: Option<i64>,
    why: Option<Text>,
    set_by: Text,
}

impl From<HandPauseRow> for HandPause {
    fn from(row: HandPauseRow) -> Self {
        Self {
            name: row.name.0,
            since: at(row.since_ms),
            until: row.until_ms.map(at),
            why: opt(row.why),
            by: row.set_by.0,
        }
    }
}
