//! Look-ups: the cache first, then the service, so that nobody is paid for twice.
//!
//! A look-up changes nothing remotely, so it may be repeated; what matters here is money and not holding leads up. When
//! the service can't be used, leads wait or go on without it (`enrich.when_unavailable`); a wrong account stops look-ups
//! for the run either way, since it is a mistake to be mended, not weather.

mod budget;
mod outage;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use super::pauses;
use super::preflight;
use super::progress::Halt;
use super::shared::Shared;
use crate::clock::Timestamp;
use crate::config::{JobChanged, Prefer, WhenUnavailable};
use crate::connectors::channel::{AskError, Channel};
use crate::connectors::discretion::of_leads;
use crate::connectors::{Enricher, LookUpVerdict};
use crate::exit::Exit;
use crate::http::message::SendError;
use crate::lead::{Lead, LookUp};
use crate::store::{CachedLookUp, CallId, CallRecord, Fingerprint, Pause};

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
    /// No further look-ups: the run is stopping, or they are over.
    stop: CancellationToken,
    /// Calls in flight, of all lanes together.
    slots: Semaphore,
    most_slots: u32,
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
    /// The run ended before it was asked: as if nobody had touched it.
    Stopped,
}

impl LookUps {
    pub fn new(
        enricher: Arc<dyn Enricher>,
        channel: Arc<Channel>,
        settings: &crate::config::EnrichSettings,
        stop: CancellationToken,
    ) -> Self {
        let most_slots = u32::try_from(enricher.limits().concurrency.max(1)).unwrap_or(u32::MAX);
        Self {
            stop,
            slots: Semaphore::new(most_slots as usize),
            most_slots,
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
        let check = async {
            match pauses::stored(shared, &self.channel).await {
                Ok(Some(pause)) => self.pause(shared, pause).await,
                Ok(None) => {}
                // Whoever needs the database next says so.
                Err(error) => tracing::warn!("could not read whether look-ups are paused: {error}"),
            }
            if self.unusable.get().is_none() {
                preflight::look_ups(shared, self).await;
            }
        };
        self.checked.get_or_init(|| check).await;
    }

    /// Keeps a pause if it is short; a long one ends look-ups for this run.
    async fn pause(&self, shared: &Shared, pause: Pause) {
        let patience = pauses::patience(shared.clock.now(), shared.wait);
        self.channel.limiter().pause_until(pause.until, &pause.why);
        if pause.until > patience {
            self.halt(shared, pauses::too_long("enrich", &pause), Some(pause.until));
        }
        pauses::store(shared, &pause).await;
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
        self.stop.cancel();
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
        let keys: Vec<Option<Fingerprint>> = leads.iter().map(|lead| self.key(shared, lead)).collect();
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

    /// What earlier look-ups tell of these leads, in order, without asking anyone.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn known(&self, shared: &Shared, leads: &[Lead]) -> crate::store::Result<Vec<Option<LookUp>>> {
        let keys: Vec<_> = leads.iter().map(|lead| self.key(shared, lead)).collect();
        let wanted: Vec<_> = keys.iter().flatten().cloned().collect();
        let fresh_after = shared.clock.now().minus(self.cache);
        let cached = shared.patiently(|| shared.store.cached(&wanted, fresh_after)).await?;
        let answers: HashMap<_, _> = cached.into_iter().map(|it| (it.key, it.answer)).collect();
        Ok(keys.iter().map(|key| key.as_ref().and_then(|key| answers.get(key).cloned())).collect())
    }

    fn key(&self, shared: &Shared, lead: &Lead) -> Option<Fingerprint> {
        self.enricher.key(lead).map(|key| shared.fingerprints.fingerprint(self.enricher.kind(), &key))
    }

    async fn cached<'a>(
        &self,
        shared: &Shared,
        keys: impl Iterator<Item = &'a Fingerprint>,
    ) -> crate::store::Result<HashMap<Fingerprint, LookedUp>> {
        let mut keys: Vec<_> = keys.cloned().collect();
        keys.sort();
        keys.dedup();
        let cached = shared.patiently(|| shared.store.cached(&keys, shared.clock.now().minus(self.cache))).await?;
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
            // Not even `when_unavailable = "send"` means to send what was never asked for.
            None if self.stop.is_cancelled() => return LookedUp::Stopped,
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
        while let Some(mut batch) = batches.pop() {
            let Some((_slot, reserved)) = self.reserve(shared, batch.len()).await? else { break };
            if self.unusable.get().is_some() || self.stop.is_cancelled() {
                self.refund(shared, &reserved, reserved.people).await;
                break;
            }
            if reserved.people < batch.len() {
                batches.push(batch.split_off(reserved.people));
            }
            let leads: Vec<&Lead> = batch.iter().map(|(_, lead)| *lead).collect();
            let request = self.enricher.lookup(&leads);
            let asked = shared.cut.run_until_cancelled(self.channel.ask("lookup", &request, &self.stop)).await;
            // Cut off by the end of the grace time: what it cost is not known.
            let Some((result, mut calls)) = asked else { break };
            if result.is_err() || calls.len() > 1 || calls.iter().any(|call| call.status != Some(200)) {
                let hidden = of_leads(&leads);
                calls.iter_mut().for_each(|call| call.verdict = hidden.hide(&call.verdict));
            }
            calls.iter().for_each(|call| shared.account.called(call));
            let last_call = calls.last().map(|call| call.id);
            let verdict = match &result {
                Ok(reply) => self.enricher.read(leads.len(), reply).discreet(&leads),
                Err(error) => {
                    // A question whose answer was lost may have been answered, and paid for.
                    let lost = match error {
                        AskError::Send(SendError::Lost { .. }) => true,
                        AskError::Stopped => !calls.is_empty(),
                        AskError::Send(SendError::NotSent { .. }) | AskError::Auth(_) => false,
                    };
                    if !lost {
                        self.refund(shared, &reserved, batch.len()).await;
                    }
                    shared.patiently(|| shared.store.log_calls(&calls)).await?;
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
                    shared.patiently(|| shared.store.log_calls(&calls)).await?;
                    tracing::debug!("a look-up of {} people was refused ({reason}); splitting it", batch.len());
                    let (left, right) = batch.split_at(batch.len() / 2);
                    batches.extend([right.to_vec(), left.to_vec()]);
                    0
                }
                LookUpVerdict::BadRequest { reason } => {
                    shared.patiently(|| shared.store.log_calls(&calls)).await?;
                    let note = Some(format!("not looked up: the service refused it ({reason})"));
                    let answer = LookedUp::Answer { answer: LookUp::NotFound, call: last_call, note };
                    known.insert(batch[0].0.clone(), answer);
                    0
                }
                other => {
                    shared.patiently(|| shared.store.log_calls(&calls)).await?;
                    self.refused(shared, other).await;
                    0
                }
            };
            self.refund(shared, &reserved, batch.len() - found.min(batch.len())).await;
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
        shared.patiently(|| shared.store.remember(&cached, &calls)).await?;
        for (key, answer) in keys.iter().zip(answers) {
            known.insert(key.clone(), LookedUp::Answer { answer, call, note: None });
        }
        Ok(())
    }
}
