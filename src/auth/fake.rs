//! For tests: a vault in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::store::{
    CachedLookUp, CallRecord, Fingerprint, HandPause, Pause, PlacesAsk, PlacesShare, RefreshTurn, Result, SealedAt,
    StoreError, StoredToken, TokenRefresh, TokenStanding, Vault,
};

/// Tokens, turns, keys and calls in memory, as the databases keep them.
#[derive(Debug, Default)]
pub(crate) struct FakeVault(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    tokens: HashMap<String, StoredToken>,
    turns: HashMap<String, Turn>,
    /// Times that it was found to be down.
    failures: usize,
    /// Whoever stores a token is never heard of again.
    dies_before_storing: bool,
    /// How long it takes to get a turn, and how many were given.
    turns_take: std::time::Duration,
    turns_given: usize,
    deaths: usize,
    keys: HashMap<String, Vec<u8>>,
    calls: Vec<CallRecord>,
    /// Tokens that others store, one before each time that one is to be sealed anew.
    refreshed: HashMap<String, VecDeque<StoredToken>>,
    down: bool,
}

/// How a refresh stands.
#[derive(Debug, Default)]
struct Turn {
    holder: Option<i64>,
    until: Option<Timestamp>,
    lost: u32,
    needs_login: Option<String>,
}

impl FakeVault {
    /// Whether every method fails as if the database were away.
    pub(crate) fn set_down(&self, down: bool) {
        self.0.lock().unwrap().down = down;
    }

    /// How long it takes from now on to get a turn.
    pub(crate) fn turns_take(&self, time: std::time::Duration) {
        self.0.lock().unwrap().turns_take = time;
    }

    /// How often somebody asked for a turn and was answered.
    pub(crate) fn turns_given(&self) -> usize {
        self.0.lock().unwrap().turns_given
    }

    /// Refreshes of the present generation that never ended.
    pub(crate) fn lost(&self, account: &str) -> u32 {
        self.0.lock().unwrap().turns.get(account).map_or(0, |turn| turn.lost)
    }

    /// How many died like that.
    pub(crate) fn deaths(&self) -> usize {
        self.0.lock().unwrap().deaths
    }

    /// How often something failed because it was down.
    pub(crate) fn failures(&self) -> usize {
        self.0.lock().unwrap().failures
    }

    pub(crate) fn calls(&self) -> Vec<CallRecord> {
        self.0.lock().unwrap().calls.clone()
    }

    pub(crate) fn put_token(&self, account: &str, token: StoredToken) {
        self.0.lock().unwrap().tokens.insert(account.into(), token);
    }

    /// One of these tokens is stored by another worker each time that the account's is to be sealed anew, right before.
    pub(crate) fn refreshed_before_reseal(&self, account: &str, tokens: impl IntoIterator<Item = StoredToken>) {
        self.0.lock().unwrap().refreshed.insert(account.into(), tokens.into_iter().collect());
    }

    pub(crate) fn stored(&self, account: &str) -> Option<StoredToken> {
        self.0.lock().unwrap().tokens.get(account).cloned()
    }

    /// Gives the turn to a worker that isn't there.
    pub(crate) fn put_turn(&self, account: &str, until: Timestamp) {
        self.0
            .lock()
            .unwrap()
            .turns
            .insert(account.into(), Turn { holder: Some(-1), until: Some(until), ..Turn::default() });
    }

    pub(crate) fn turn_is_free(&self, account: &str) -> bool {
        self.0.lock().unwrap().turns.get(account).is_none_or(|turn| turn.holder.is_none())
    }

    /// Until when nobody else may refresh.
    pub(crate) fn turn_until(&self, account: &str) -> Option<Timestamp> {
        self.0.lock().unwrap().turns.get(account)?.until
    }

    /// Why the account needs a login.
    pub(crate) fn needs_login(&self, account: &str) -> Option<String> {
        self.0.lock().unwrap().turns.get(account)?.needs_login.clone()
    }

    /// Whether a worker that stores a token dies right before, as killed workers do.
    pub(crate) fn kill_before_storing(&self, dies: bool) {
        self.0.lock().unwrap().dies_before_storing = dies;
    }

    pub(crate) fn put_key(&self, name: &str, sealed: Vec<u8>) {
        self.0.lock().unwrap().keys.insert(name.into(), sealed);
    }

    fn rows(&self) -> Result<std::sync::MutexGuard<'_, Rows>> {
        let mut rows = self.0.lock().unwrap();
        if rows.down {
            rows.failures += 1;
            return Err(StoreError::Unavailable { what: "it is down".into() });
        }
        Ok(rows)
    }
}

#[async_trait]
impl Vault for FakeVault {
    async fn token(&self, account: &str) -> Result<Option<StoredToken>> {
        Ok(self.rows()?.tokens.get(account).cloned())
    }

    async fn tokens(&self) -> Result<Vec<TokenStanding>> {
        let tokens = self.rows()?.tokens.clone().into_iter();
        Ok(tokens.map(|(account, token)| TokenStanding { account, token, refreshing_until: None }).collect())
    }

    async fn refreshes(&self, _: Timestamp) -> Result<Vec<TokenRefresh>> {
        unimplemented!()
    }

    async fn begin_refresh(
        &self,
        account: &str,
        generation: i64,
        holder: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<RefreshTurn> {
        let takes = self.rows()?.turns_take;
        tokio::time::sleep(takes).await;
        let mut rows = self.rows()?;
        if rows.tokens.get(account).map_or(0, |token| token.generation) != generation {
            return Ok(RefreshTurn::Superseded);
        }
        rows.turns_given += 1;
        let turn = rows.turns.entry(account.into()).or_default();
        if let Some(why) = &turn.needs_login {
            return Ok(RefreshTurn::NeedsLogin { why: why.clone() });
        }
        if turn.holder != Some(holder) {
            if let Some(until) = turn.until.filter(|until| *until > now) {
                return Ok(RefreshTurn::Busy { until });
            }
            turn.lost += u32::from(turn.holder.is_some());
        }
        (turn.holder, turn.until) = (Some(holder), Some(until));
        Ok(RefreshTurn::Yours { lost: turn.lost })
    }

    async fn replace_token(&self, account: &str, generation: i64, token: &StoredToken) -> Result<bool> {
        let dies = {
            let mut rows = self.rows()?;
            rows.deaths += usize::from(rows.dies_before_storing);
            rows.dies_before_storing
        };
        if dies {
            std::future::pending::<()>().await;
        }
        let mut rows = self.rows()?;
        assert_eq!(token.generation, generation + 1);
        if rows.tokens.get(account).map_or(0, |token| token.generation) != generation {
            return Ok(false);
        }
        rows.tokens.insert(account.into(), token.clone());
        rows.turns.remove(account);
        Ok(true)
    }

    async fn abandon_refresh(&self, account: &str, holder: i64, not_before: Timestamp) -> Result<()> {
        let mut rows = self.rows()?;
        if let Some(turn) = rows.turns.get_mut(account).filter(|turn| turn.holder == Some(holder)) {
            (turn.holder, turn.until) = (None, Some(not_before));
        }
        Ok(())
    }

    async fn sealed_key(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.rows()?.keys.get(name).cloned())
    }

    async fn keep_sealed_key(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        Ok(self.rows()?.keys.entry(name.into()).or_insert_with(|| sealed.to_vec()).clone())
    }

    async fn sealed(&self) -> Result<Vec<(SealedAt, Vec<u8>)>> {
        let rows = self.rows()?;
        let keys = rows.keys.iter().map(|(name, sealed)| (SealedAt::Key(name.clone()), sealed.clone()));
        let tokens = rows.tokens.iter().map(|(name, token)| (SealedAt::Token(name.clone()), token.sealed.clone()));
        Ok(keys.chain(tokens).collect())
    }

    async fn reseal(&self, at: &SealedAt, from: &[u8], to: &[u8]) -> Result<bool> {
        let mut rows = self.rows()?;
        if let SealedAt::Token(account) = at
            && let Some(token) = rows.refreshed.get_mut(account).and_then(VecDeque::pop_front)
        {
            rows.tokens.insert(account.clone(), token);
        }
        let stored = match at {
            SealedAt::Key(name) => rows.keys.get_mut(name),
            SealedAt::Token(account) => rows.tokens.get_mut(account).map(|token| &mut token.sealed),
        };
        let Some(stored) = stored.filter(|stored| *stored == from) else { return Ok(false) };
        *stored = to.to_vec();
        Ok(true)
    }

    async fn log_calls(&self, calls: &[CallRecord]) -> Result<()> {
        self.rows()?.calls.extend_from_slice(calls);
        Ok(())
    }

    async fn mark_needs_login(&self, account: &str, generation: i64, holder: i64, why: &str) -> Result<bool> {
        let mut rows = self.rows()?;
        let current = rows.tokens.get(account).map_or(0, |token| token.generation);
        match rows.turns.get_mut(account) {
            Some(turn) if turn.holder == Some(holder) && current == generation => {
                *turn = Turn { needs_login: Some(why.into()), ..Turn::default() };
                Ok(true)
            }
            _ => Ok(false),
        }
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

    async fn pause_by_hand(&self, _: &HandPause) -> Result<()> {
        unimplemented!()
    }

    async fn resume_by_hand(&self, _: &str) -> Result<bool> {
        unimplemented!()
    }

    async fn hand_pauses(&self, _: Timestamp) -> Result<Vec<HandPause>> {
        unimplemented!()
    }
}
