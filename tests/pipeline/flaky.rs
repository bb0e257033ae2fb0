//! A database that goes away: before it does what it is asked for, or after, so that only the answer is lost.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use leadsync::clock::Timestamp;
use leadsync::lead::{Event, LeadId};
use leadsync::store::*;

pub struct Flaky {
    inner: Arc<dyn Store>,
    away: AtomicBool,
    refuses_writes: AtomicBool,
    refused: AtomicUsize,
    answers_to_lose: AtomicUsize,
    intents: AtomicUsize,
    panics: Mutex<Option<&'static str>>,
}

impl Flaky {
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            away: AtomicBool::new(false),
            refuses_writes: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
            answers_to_lose: AtomicUsize::new(0),
            intents: AtomicUsize::new(0),
            panics: Mutex::default(),
        }
    }

    pub fn go_away(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    pub fn come_back(&self) {
        self.away.store(false, Ordering::SeqCst);
        self.refuses_writes.store(false, Ordering::SeqCst);
    }

    /// From now on it can be read, but not written.
    pub fn refuse_writes(&self) {
        self.refuses_writes.store(true, Ordering::SeqCst);
    }

    /// Whether it has refused some writes by now.
    pub fn gave_up(&self) -> bool {
        self.refused.load(Ordering::SeqCst) > 0
    }

    /// The next writes are carried out, and their answers lost.
    pub fn lose_answers(&self, count: usize) {
        self.answers_to_lose.store(count, Ordering::SeqCst);
    }

    /// The next call of this kind panics: as if work on that lead did.
    pub fn panic_once_in(&self, call: &'static str) {
        *self.panics.lock().unwrap() = Some(call);
    }

    fn maybe_panic(&self, call: &str) {
        let hit = self.panics.lock().unwrap().take_if(|it| *it == call).is_some();
        assert!(!hit, "a panic on purpose");
    }

    /// Intents that were committed.
    pub fn intents(&self) -> usize {
        self.intents.load(Ordering::SeqCst)
    }

    fn count(&self, steps: &[Step]) {
        let intents = steps.iter().filter(|step| step.event == Some(Event::SendStarted)).count();
        self.intents.fetch_add(intents, Ordering::SeqCst);
    }

    async fn around<T>(&self, writes: bool, doing: impl Future<Output = Result<T>>) -> Result<T> {
        let unavailable = || Err(StoreError::Unavailable { what: "connection refused".into() });
        if self.away.load(Ordering::SeqCst) || writes && self.refuses_writes.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return unavailable();
        }
        let result = doing.await;
        let lose = |left: usize| left.checked_sub(1);
        let lost = writes && self.answers_to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok();
        if lost { unavailable() } else { result }
    }
}

#[async_trait]
impl Queue for Flaky {
    async fn enqueue(&self, run: RunId, leads: &[NewLead], now: Timestamp) -> Result<()> {
        self.around(true, self.inner.enqueue(run, leads, now)).await
    }
    async fn holds_row(&self, import: RunId, row: &NewLead) -> Result<bool> {
        self.around(false, self.inner.holds_row(import, row)).await
    }
    async fn lease(&self, ask: &LeaseRequest, now: Timestamp) -> Result<Vec<Leased>> {
        self.around(true, self.inner.lease(ask, now)).await
    }
    async fn renew(&self, held: &[(LeadId, LeaseToken)], until: Timestamp) -> Result<Vec<LeadId>> {
        self.around(true, self.inner.renew(held, until)).await
    }
    async fn commit(&self, run: RunId, steps: &[Step], now: Timestamp) -> Result<Vec<StepOutcome>> {
        self.around(true, self.inner.commit(run, steps, now)).await.inspect(|_| self.count(steps))
    }
    async fn claim_holders(&self, destination: &str, identities: &[Fingerprint]) -> Result<Vec<(Fingerprint, LeadId)>> {
        self.maybe_panic("claim_holders");
        self.around(false, self.inner.claim_holders(destination, identities)).await
    }
    async fn waiting(&self, imported_by: Option<RunId>, now: Timestamp) -> Result<Vec<Waiting>> {
        self.around(false, self.inner.waiting(imported_by, now)).await
    }
    async fn operate(&self, which: &LeadFilter, operation: &Operation, now: Timestamp) -> Result<Vec<LeadId>> {
        self.around(false, self.inner.operate(which, operation, now)).await
    }
}

#[async_trait]
impl Vault for Flaky {
    async fn token(&self, account: &str) -> Result<Option<StoredToken>> {
        self.around(false, self.inner.token(account)).await
    }
    async fn tokens(&self) -> Result<Vec<TokenStanding>> {
        self.around(false, self.inner.tokens()).await
    }
    async fn refreshes(&self, since: Timestamp) -> Result<Vec<TokenRefresh>> {
        self.around(false, self.inner.refreshes(since)).await
    }
    async fn begin_refresh(
        &self,
        account: &str,
        generation: i64,
        holder: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<RefreshTurn> {
        self.around(true, self.inner.begin_refresh(account, generation, holder, until, now)).await
    }
    async fn replace_token(&self, account: &str, generation: i64, token: &StoredToken) -> Result<bool> {
        self.around(true, self.inner.replace_token(account, generation, token)).await
    }
    async fn abandon_refresh(&self, account: &str, holder: i64, not_before: Timestamp) -> Result<()> {
        self.around(false, self.inner.abandon_refresh(account, holder, not_before)).await
    }
    async fn mark_needs_login(&self, account: &str, generation: i64, holder: i64, why: &str) -> Result<bool> {
        self.around(false, self.inner.mark_needs_login(account, generation, holder, why)).await
    }
    async fn sealed_key(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.around(false, self.inner.sealed_key(name)).await
    }
    async fn keep_sealed_key(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        self.around(false, self.inner.keep_sealed_key(name, sealed)).await
    }
    async fn sealed(&self) -> Result<Vec<(SealedAt, Vec<u8>)>> {
        self.around(false, self.inner.sealed()).await
    }
    async fn reseal(&self, at: &SealedAt, from: &[u8], to: &[u8]) -> Result<bool> {
        self.around(true, self.inner.reseal(at, from, to)).await
    }
    async fn quota_used(&self, account: &str, utc_day: i64) -> Result<i64> {
        self.around(false, self.inner.quota_used(account, utc_day)).await
    }
    async fn take_quota(&self, account: &str, utc_day: i64, wanted: i64, limit: Option<i64>) -> Result<i64> {
        self.around(true, self.inner.take_quota(account, utc_day, wanted, limit)).await
    }
    async fn cached(&self, keys: &[Fingerprint], fresh_after: Timestamp) -> Result<Vec<CachedLookUp>> {
        self.around(false, self.inner.cached(keys, fresh_after)).await
    }
    async fn remember(&self, answers: &[CachedLookUp], calls: &[CallRecord]) -> Result<()> {
        self.around(true, self.inner.remember(answers, calls)).await
    }
    async fn log_calls(&self, calls: &[CallRecord]) -> Result<()> {
        self.around(true, self.inner.log_calls(calls)).await
    }
    async fn pause(&self, pause: &Pause) -> Result<()> {
        self.maybe_panic("pause");
        self.around(true, self.inner.pause(pause)).await
    }
    async fn share_places(&self, ask: &PlacesAsk, now: Timestamp) -> Result<PlacesShare> {
        self.around(true, self.inner.share_places(ask, now)).await
    }
    async fn pauses(&self, now: Timestamp) -> Result<Vec<Pause>> {
        self.around(false, self.inner.pauses(now)).await
    }
    async fn pause_by_hand(&self, pause: &HandPause) -> Result<()> {
        self.around(true, self.inner.pause_by_hand(pause)).await
    }
    async fn resume_by_hand(&self, name: &str) -> Result<bool> {
        self.around(true, self.inner.resume_by_hand(name)).await
    }
    async fn hand_pauses(&self, now: Timestamp) -> Result<Vec<HandPause>> {
        self.around(false, self.inner.hand_pauses(now)).await
    }
}

#[async_trait]
impl Ledger for Flaky {
    async fn begin_run(&self, command: &str, now: Timestamp) -> Result<RunId> {
        self.around(false, self.inner.begin_run(command, now)).await
    }
    async fn begin_turn(&self, command: &str, turn: Turn, until: Timestamp, now: Timestamp) -> Result<TurnAnswer> {
        self.around(false, self.inner.begin_turn(command, turn, until, now)).await
    }
    async fn renew_turn(&self, run: RunId, until: Timestamp, now: Timestamp) -> Result<Option<RunRecord>> {
        self.around(true, self.inner.renew_turn(run, until, now)).await
    }
    async fn finish_run(&self, run: RunId, exit_code: i32, now: Timestamp) -> Result<()> {
        self.around(false, self.inner.finish_run(run, exit_code, now)).await
    }
    async fn run(&self, run: RunId) -> Result<Option<RunRecord>> {
        self.around(false, self.inner.run(run)).await
    }
    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>> {
        self.around(false, self.inner.runs(limit)).await
    }
    async fn state_counts(&self) -> Result<Vec<StateCount>> {
        self.around(false, self.inner.state_counts()).await
    }
    async fn audit(&self) -> Result<Vec<(String, i64)>> {
        self.around(false, self.inner.audit()).await
    }
    async fn leads(&self, which: &LeadFilter, after: LeadId, limit: u32) -> Result<Vec<LeadRecord>> {
        self.around(false, self.inner.leads(which, after, limit)).await
    }
    async fn calls_of(&self, lead: LeadId) -> Result<Vec<CallRecord>> {
        self.around(false, self.inner.calls_of(lead)).await
    }
    async fn rejected_rows(&self, import: RunId, file: &str, after_row: u64, limit: u32) -> Result<Vec<(u64, String)>> {
        self.around(false, self.inner.rejected_rows(import, file, after_row, limit)).await
    }
}

#[async_trait]
impl Store for Flaky {
    async fn migrate(&self) -> Result<SchemaStatus> {
        self.around(false, self.inner.migrate()).await
    }
    async fn schema_status(&self) -> Result<SchemaStatus> {
        self.around(false, self.inner.schema_status()).await
    }
    async fn server_time(&self) -> Result<Option<Timestamp>> {
        self.around(false, self.inner.server_time()).await
    }
    fn file(&self) -> Option<std::path::PathBuf> {
        self.inner.file()
    }
    fn location(&self) -> String {
        self.inner.location()
    }
    async fn close(&self) {
        self.inner.close().await
    }
}
