//! Look-ups: the cache first, then the service, so that nobody is paid for twice.
//!
//! A look-up changes nothing remotely, so it may be repeated; what matters here is money and not holding leads up. When
//! the service can't be used, leads wait or go on without it (`enrich.when_unavailable`); a wrong account stops look-ups
//! for the run either way, since it is a mistake to be mended, not weather.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};

use super::preflight;
use super::progress::Halt;
use super::shared::Shared;
use crate::clock::Timestamp;
use crate::config::{JobChanged, Prefer, WhenUnavailable};
use crate::connectors::channel::{AskError, Channel};
use crate::connectors::{Enricher, LookUpVerdict};
use crate::exit::Exit;
use crate::lead::{Lead, LookUp};
use crate::store::{CachedLookUp, CallId, CallRecord, Fingerprint};

/// This many look-ups failing one after the other end them for the run.
const FAILURES: u32 = 3;

/// The look-up service as a run uses it.
pub struct LookUps {
    pub enricher: Arc<dyn Enricher>,
    pub channel: Arc<Channel>,
    /// How long answers and misses are good.
    pub cache: Duration,
    pub prefer: Prefer,
    pub when_unavailable: WhenUnavailable,
    pub job_changed: JobChanged,
    /// People per UTC day.
    pub daily_credits: Option<i64>,
    /// Why it can't be used for the rest of this run.
    unusable: OnceLock<Unusable>,
    failures: AtomicU32,
    checked: OnceCell<()>,
    /// Who is being looked up at this moment: another bite with the same person waits for the answer.
    in_flight: Mutex<HashSet<Fingerprint>>,
    answered: Notify,
}

#[derive(Clone, Debug)]
struct Unusable {
    why: String,
    /// A wrong account: leads wait even under `when_unavailable = "send"`.
    account_wrong: bool,
    /// When it may be usable again.
    until: Option<Timestamp>,
}

/// People that are being looked up; ends when it is dropped.
struct Turn<'a> {
    of: &'a LookUps,
    keys: HashSet<Fingerprint>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut in_flight = self.of.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        in_flight.retain(|key| !self.keys.contains(key));
        drop(in_flight);
        self.of.answered.notify_waiters();
    }
}

/// What came of looking up one lead.
#[derive(Clone, Debug)]
pub enum LookedUp {
    /// Answered, or deliberately not asked.
    Answer { answer: LookUp, call: Option<CallId>, note: Option<String> },
    /// It has to wait: until then, if that is known.
    Wait { until: Option<Timestamp>, why: String },
}

impl LookUps {
    pub fn new(enricher: Arc<dyn Enricher>, channel: Arc<Channel>, settings: &crate::config::EnrichSettings) -> Self {
        Self {
            enricher,
            channel,
            cache: settings.cache,
            prefer: settings.prefer,
            when_unavailable: settings.when_unavailable,
            job_changed: settings.job_changed,
            daily_credits: settings.daily_credits,
            unusable: OnceLock::new(),
            failures: AtomicU32::new(0),
            checked: OnceCell::new(),
            in_flight: Mutex::default(),
            answered: Notify::new(),
        }
    }

    /// Checks the account, once.
    pub async fn check(&self, shared: &Shared) {
        self.checked.get_or_init(|| preflight::look_ups(shared, self)).await;
    }

    /// People per call.
    pub fn batch_size(&self) -> usize {
        self.enricher.batch_size().max(1)
    }

    /// Whether raw leads can be prepared: by asking, or by going on without.
    pub fn is_usable(&self) -> bool {
        self.unusable.get().is_none_or(|it| self.goes_on_without(it))
    }

    fn goes_on_without(&self, unusable: &Unusable) -> bool {
        self.when_unavailable == WhenUnavailable::Send && !unusable.account_wrong
    }

    /// Ends look-ups for this run.
    pub fn halt(&self, shared: &Shared, halt: Halt, until: Option<Timestamp>) {
        let account_wrong = halt.exit == Exit::Usage;
        let unusable = Unusable { why: halt.reason.clone(), account_wrong, until };
        if self.unusable.set(unusable.clone()).is_err() {
            return;
        }
        if self.goes_on_without(&unusable) {
            shared.account.notice(format!("look-ups are off for this run: {}; leads go on without", halt.reason));
        } else {
            shared.account.halt(halt);
        }
    }

    /// Looks these leads up, in order: one result each.
    ///
    /// # Errors
    /// If the database can't be read or written.
    pub async fn look_up(&self, shared: &Shared, leads: &[Lead]) -> crate::store::Result<Vec<LookedUp>> {
        let keys: Vec<Option<Fingerprint>> = leads
            .iter()
            .map(|lead| self.enricher.key(lead).map(|key| shared.fingerprints.fingerprint(self.enricher.kind(), &key)))
            .collect();
        let turn = self.turn(keys.iter().flatten()).await;
        let mut known = self.cached(shared, keys.iter().flatten()).await?;
        let mut missing: Vec<(Fingerprint, &Lead)> = Vec::new();
        for (key, lead) in keys.iter().zip(leads) {
            if let Some(key) = key
                && !known.contains_key(key)
                && !missing.iter().any(|(other, _)| other == key)
            {
                missing.push((key.clone(), lead));
            }
        }
        if !missing.is_empty() {
            self.ask_for(shared, missing, &mut known).await?;
        }
        drop(turn);
        Ok(keys
            .into_iter()
            .map(|key| match key {
                None => LookedUp::Answer {
                    answer: LookUp::NotAsked,
                    call: None,
                    note: Some("not looked up: nothing to look it up by".to_owned()),
                },
                Some(key) => known.get(&key).cloned().unwrap_or_else(|| self.unanswered()),
            })
            .collect())
    }

    /// Waits until none of these people is being looked up by somebody else, and marks them as being looked up by us.
    async fn turn<'a>(&self, keys: impl Iterator<Item = &'a Fingerprint>) -> Turn<'_> {
        let keys: HashSet<Fingerprint> = keys.cloned().collect();
        loop {
            // Registered before the look, so that an end in between wakes us.
            let answered = self.answered.notified();
            {
                let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
                if in_flight.is_disjoint(&keys) {
                    in_flight.extend(keys.iter().cloned());
                    return Turn { of: self, keys };
                }
            }
            answered.await;
        }
    }

    async fn cached<'a>(
        &self,
        shared: &Shared,
        keys: impl Iterator<Item = &'a Fingerprint>,
    ) -> crate::store::Result<HashMap<Fingerprint, LookedUp>> {
        let mut keys: Vec<_> = keys.cloned().collect();
        keys.sort();
        keys.dedup();
        let cached = shared.store.cached(&keys, shared.clock.now().minus(self.cache)).await?;
        shared.account.cache_hits(cached.len() as u64);
        Ok(cached
            .into_iter()
            .map(|it| (it.key, LookedUp::Answer { answer: it.answer, call: it.call, note: None }))
            .collect())
    }

    /// What a lead gets whose look-up did not happen.
    fn unanswered(&self) -> LookedUp {
        let (why, wait, until) = match self.unusable.get() {
            Some(it) => (it.why.clone(), !self.goes_on_without(it), it.until),
            None => ("the look-up failed".to_owned(), self.when_unavailable == WhenUnavailable::Wait, None),
        };
        if wait {
            LookedUp::Wait { until, why }
        } else {
            LookedUp::Answer { answer: LookUp::NotAsked, call: None, note: Some(format!("not looked up: {why}")) }
        }
    }

    /// Asks the service in batches, splitting those that it refuses as malformed.
    async fn ask_for(
        &self,
        shared: &Shared,
        missing: Vec<(Fingerprint, &Lead)>,
        known: &mut HashMap<Fingerprint, LookedUp>,
    ) -> crate::store::Result<()> {
        let mut batches: Vec<Vec<(Fingerprint, &Lead)>> =
            missing.chunks(self.batch_size()).map(<[_]>::to_vec).collect();
        while let Some(batch) = batches.pop() {
            if self.unusable.get().is_some() || shared.stop.is_cancelled() {
                break;
            }
            let batch = match self.within_budget(shared, batch).await? {
                Some(batch) => batch,
                None => break,
            };
            let leads: Vec<&Lead> = batch.iter().map(|(_, lead)| *lead).collect();
            let request = self.enricher.lookup(&leads);
            let (result, calls) = self.channel.ask("lookup", &request, &shared.stop).await;
            calls.iter().for_each(|call| shared.account.called(call));
            let last_call = calls.last().map(|call| call.id);
            let verdict = match &result {
                Ok(reply) => self.enricher.read(leads.len(), reply),
                Err(error) => {
                    self.refund(shared, batch.len(), 0).await?;
                    shared.store.log_calls(&calls).await?;
                    self.failed(shared, error);
                    break;
                }
            };
            let found = match verdict {
                LookUpVerdict::Answers { answers, credits } => {
                    self.failures.store(0, Ordering::Relaxed);
                    if credits.remaining == Some(0) {
                        shared.account.notice("enrich: the service says that no credits are left");
                    }
                    let found = answers.iter().filter(|answer| answer.person().is_some()).count();
                    let keys: Vec<_> = batch.iter().map(|(key, _)| key.clone()).collect();
                    self.keep(shared, &keys, answers, calls, last_call, known).await?;
                    found
                }
                LookUpVerdict::BadRequest { reason } if batch.len() > 1 => {
                    shared.store.log_calls(&calls).await?;
                    tracing::debug!("a look-up of {} people was refused ({reason}); splitting it", batch.len());
                    let (left, right) = batch.split_at(batch.len() / 2);
                    batches.extend([right.to_vec(), left.to_vec()]);
                    0
                }
                LookUpVerdict::BadRequest { reason } => {
                    shared.store.log_calls(&calls).await?;
                    let note = Some(format!("not looked up: the service refused it ({reason})"));
                    let answer = LookedUp::Answer { answer: LookUp::NotFound, call: last_call, note };
                    known.insert(batch[0].0.clone(), answer);
                    0
                }
                other => {
                    shared.store.log_calls(&calls).await?;
                    self.refused(shared, other);
                    0
                }
            };
            self.refund(shared, batch.len(), found).await?;
        }
        Ok(())
    }

    /// Stores answers, then hands them out: what was paid for is durable before it is used.
    async fn keep(
        &self,
        shared: &Shared,
        keys: &[Fingerprint],
        answers: Vec<LookUp>,
        calls: Vec<CallRecord>,
        call: Option<CallId>,
        known: &mut HashMap<Fingerprint, LookedUp>,
    ) -> crate::store::Result<()> {
        let fetched_at = shared.clock.now();
        let cached: Vec<_> = keys
            .iter()
            .zip(&answers)
            .map(|(key, answer)| CachedLookUp { key: key.clone(), answer: answer.clone(), fetched_at, call })
            .collect();
        shared.store.remember(&cached, &calls).await?;
        for (key, answer) in keys.iter().zip(answers) {
            known.insert(key.clone(), LookedUp::Answer { answer, call, note: None });
        }
        Ok(())
    }

    /// As much of the batch as today's budget allows; `None`: none.
    async fn within_budget<'a>(
        &self,
        shared: &Shared,
        mut batch: Vec<(Fingerprint, &'a Lead)>,
    ) -> crate::store::Result<Option<Vec<(Fingerprint, &'a Lead)>>> {
        let Some(budget) = self.daily_credits else { return Ok(Some(batch)) };
        let now = shared.clock.now();
        let wanted = i64::try_from(batch.len()).unwrap_or(i64::MAX);
        let got = shared.store.take_quota(self.channel.account(), now.utc_day(), wanted, Some(budget)).await?;
        batch.truncate(usize::try_from(got).unwrap_or(0));
        if got < wanted {
            let tomorrow = now.next_utc_day();
            let why = format!("the daily budget of {budget} credits is used up; the rest goes on after {tomorrow}");
            // Tomorrow's budget is no failure: nothing to mend, nothing to repeat.
            let halt = Halt { account: "enrich".to_owned(), reason: why, remedy: None, exit: Exit::Done };
            self.halt(shared, halt, Some(tomorrow));
        }
        Ok(if batch.is_empty() { None } else { Some(batch) })
    }

    /// Gives back what was reserved for people who were not found.
    async fn refund(&self, shared: &Shared, asked: usize, found: usize) -> crate::store::Result<()> {
        let unused = i64::try_from(asked.saturating_sub(found)).unwrap_or(0);
        if self.daily_credits.is_some() && unused > 0 {
            let day = shared.clock.now().utc_day();
            shared.store.take_quota(self.channel.account(), day, -unused, None).await?;
        }
        Ok(())
    }

    /// No reply, after the channel's own short retries.
    fn failed(&self, shared: &Shared, error: &AskError) {
        match error {
            AskError::Stopped => {}
            AskError::Auth(error) => self.halt(shared, Halt::from_auth("enrich", error), None),
            AskError::Send(error) => {
                let halt = Halt {
                    account: "enrich".to_owned(),
                    reason: format!("the look-up service can't be reached: {error}"),
                    remedy: Some("run again when it is back, or set enrich.when_unavailable = \"send\"".to_owned()),
                    exit: Exit::Unavailable,
                };
                self.halt(shared, halt, None);
            }
        }
    }

    /// A reply that answers nothing.
    fn refused(&self, shared: &Shared, verdict: LookUpVerdict) {
        let halt = |reason: String, remedy: String, exit| Halt {
            account: "enrich".to_owned(),
            reason,
            remedy: Some(remedy),
            exit,
        };
        match verdict {
            LookUpVerdict::OutOfCredits(_) => self.halt(
                shared,
                halt(
                    "the look-up service has no credits left (402)".to_owned(),
                    "buy credits, or set enrich.when_unavailable = \"send\"; run again then".to_owned(),
                    Exit::Unavailable,
                ),
                None,
            ),
            LookUpVerdict::AccountWrong { reason, remedy } => {
                self.halt(shared, halt(reason, remedy, Exit::Usage), None)
            }
            LookUpVerdict::AuthExpired => self.halt(
                shared,
                halt(
                    "the look-up service refuses a fresh access token (401)".to_owned(),
                    "check the key or account under [enrich]".to_owned(),
                    Exit::Usage,
                ),
                None,
            ),
            LookUpVerdict::NotNow { why, .. } | LookUpVerdict::Again { why } => {
                if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
                    let reason = format!("{FAILURES} look-ups in a row failed, the last: {why}");
                    let remedy = "run again later, or set enrich.when_unavailable = \"send\"".to_owned();
                    self.halt(shared, halt(reason, remedy, Exit::Unavailable), None);
                }
            }
            LookUpVerdict::Answers { .. } | LookUpVerdict::BadRequest { .. } => {}
        }
    }
}
