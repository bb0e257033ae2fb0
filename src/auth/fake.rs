//! For tests: a vault in memory.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::store::{
    CachedLookUp, CallRecord, Fingerprint, Pause, PlacesAsk, PlacesShare, RefreshTurn, Result, StoreError, StoredToken,
    Vault,
};

/// Tokens, turns, keys and calls in memory, as the databases keep them.
#[derive(Debug, Default)]
pub(crate) struct FakeVault(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    tokens: HashMap<String, StoredToken>,
    /// Account: holder, until.
    turns: HashMap<String, (i64, Timestamp)>,
    keys: HashMap<String, Vec<u8>>,
    calls: Vec<CallRecord>,
    down: bool,
}

impl FakeVault {
    /// Whether every method fails as if the database were away.
    pub(crate) fn set_down(&self, down: bool) {
        self.0.lock().unwrap().down = down;
    }

    pub(crate) fn calls(&self) -> Vec<CallRecord> {
        self.0.lock().unwrap().calls.clone()
    }

    pub(crate) fn put_token(&self, account: &str, token: StoredToken) {
        self.0.lock().unwrap().tokens.insert(account.into(), token);
    }

    pub(crate) fn stored(&self, account: &str) -> Option<StoredToken> {
        self.0.lock().unwrap().tokens.get(account).cloned()
    }

    /// Gives the turn to a worker that isn't there.
    pub(crate) fn put_turn(&self, account: &str, until: Timestamp) {
        self.0.lock().unwrap().turns.insert(account.into(), (-1, until));
    }

    pub(crate) fn turn_is_free(&self, account: &str) -> bool {
        !self.0.lock().unwrap().turns.contains_key(account)
    }

    pub(crate) fn put_key(&self, name: &str, sealed: Vec<u8>) {
        self.0.lock().unwrap().keys.insert(name.into(), sealed);
    }

    fn rows(&self) -> Result<std::sync::MutexGuard<'_, Rows>> {
        let rows = self.0.lock().unwrap();
        if rows.down { Err(StoreError::Unavailable { what: "it is down".into() }) } else { Ok(rows) }
    }
}

#[async_trait]
impl Vault for FakeVault {
    async fn token(&self, account: &str) -> Result<Option<StoredToken>> {
        Ok(self.rows()?.tokens.get(account).cloned())
    }

    async fn tokens(&self) -> Result<Vec<(String, StoredToken)>> {
        Ok(self.rows()?.tokens.clone().into_iter().collect())
    }

    async fn begin_refresh(
        &self,
        account: &str,
        generation: i64,
        holder: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<RefreshTurn> {
        let mut rows = self.rows()?;
        if rows.tokens.get(account).map_or(0, |token| token.generation) != generation {
            return Ok(RefreshTurn::Superseded);
        }
        let repeated = match rows.turns.get(account) {
            Some((_, until)) if *until > now => return Ok(RefreshTurn::Busy { until: *until }),
            other => other.is_some(),
        };
        rows.turns.insert(account.into(), (holder, until));
        Ok(RefreshTurn::Yours { repeated })
    }

    async fn replace_token(&self, account: &str, generation: i64, token: &StoredToken) -> Result<bool> {
        let mut rows = self.rows()?;
        assert_eq!(token.generation, generation + 1);
        if rows.tokens.get(account).map_or(0, |token| token.generation) != generation {
            return Ok(false);
        }
        rows.tokens.insert(account.into(), token.clone());
        rows.turns.remove(account);
        Ok(true)
    }

    async fn abandon_refresh(&self, account: &str, holder: i64) -> Result<()> {
        let mut rows = self.rows()?;
        if rows.turns.get(account).is_some_and(|(held_by, _)| *held_by == holder) {
            rows.turns.remove(account);
        }
        Ok(())
    }

    async fn sealed_key(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.rows()?.keys.get(name).cloned())
    }

    async fn keep_sealed_key(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        Ok(self.rows()?.keys.entry(name.into()).or_insert_with(|| sealed.to_vec()).clone())
    }

    async fn log_calls(&self, calls: &[CallRecord]) -> Result<()> {
        self.rows()?.calls.extend_from_slice(calls);
        Ok(())
    }

    async fn mark_needs_login(&self, _: &str, _: i64, _: &str) -> Result<()> {
        unimplemented!()
    }

    async fn quota_used(&self, _: &str, _: i64) -> Result<i64> {
        unimplemented!()
    }

    async fn take_quota(&self, _: &str, _: i64, _: i64, _: Option<i64>) -> Result<i64> {
        unimplemented!()
    }

    async fn cached(&self, _: &[Fingerprint], _: Timestamp) -> Result<Vec<CachedLookUp>> {
        unimplemented!()
    }

    async fn remember(&self, _: &[CachedLookUp], _: &[CallRecord]) -> Result<()> {
        unimplemented!()
    }

    async fn pause(&self, _: &Pause) -> Result<()> {
        unimplemented!()
    }

    async fn share_places(&self, _: &PlacesAsk, _: Timestamp) -> Result<PlacesShare> {
        unimplemented!()
    }

    async fn pauses(&self, _: Timestamp) -> Result<Vec<Pause>> {
        unimplemented!()
    }
}
