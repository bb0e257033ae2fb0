//! Look-ups: the cache first, then the service, so that nobody is paid for twice.
//!
//! A look-up changes nothing remotely, so it may be repeated; what matters here is money and not holding leads up. When
//! the service can't be used, leads wait or go on without it (`enrich.when_unavailable`); a wrong account stops look-ups
//! for the run either way, since it is a mistake to be mended, not weather.

mod ask;
mod budget;
mod outage;
mod suspects;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use ask::Person;

use super::pauses;
use super::preflight;
use super::progress::Halt;
use super::shared::Shared;
use crate::clock::Timestamp;
use crate::config::{JobChanged, Prefer, WhenUnavailable};
use crate::connectors::Enricher;
use crate::connectors::channel::Channel;
use crate::exit::Exit;
use crate::lead::{Lead, LookUp};
use crate::store::{CallId, Fingerprint, Pause};

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
    /// Somebody for whom the service had an answer in this run. Asked for again it costs nothing, and tells whether the
    /// service works.
    witness: OnceLock<Lead>,
    /// Who is being looked up at this moment: another bite with the same person waits for the answer.
    in_flight: Mutex<HashSet<Fingerprint>>,
    answered: Notify,
}

#[derive(Clone, Debug)]
struct Unusable {
    why: String,
    /// A wrong account, or a person's word: leads wait even under `when_unavailable = "send"`.
    leads_wait: bool,
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

/// A lead to be looked up.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub lead: Lead,
    /// Its look-up failed before while others were answered: nobody else shares its call.
    pub alone: bool,
}

/// What came of looking up one lead.
#[derive(Clone, Debug)]
pub enum LookedUp {
    /// Answered, or deliberately not asked.
    Answer { answer: LookUp, call: Option<CallId>, note: Option<String> },
    /// It has to wait: until then, if that is known.
    Wait { until: Option<Timestamp>, why: String },
    /// The service answers others, but fails whenever this person is asked for.
    Failed { why: String },
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
            witness: OnceLock::new(),
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
        self.when_unavailable == WhenUnavailable::Send && !unusable.leads_wait
    }

    /// Ends look-ups for this run.
    pub fn halt(&self, shared: &Shared, halt: Halt, until: Option<Timestamp>) {
        let leads_wait = halt.exit == Exit::Usage;
        self.end(shared, halt, Unusable { why: String::new(), leads_wait, until });
    }

    /// Ends them because a person says so: the leads wait, since what was sent without a look-up can't be taken back. They
    /// wait as they are, since that person may change their mind.
    pub fn hold(&self, shared: &Shared, halt: Halt) {
        self.end(shared, halt, Unusable { why: String::new(), leads_wait: true, until: None });
    }

    fn end(&self, shared: &Shared, halt: Halt, unusable: Unusable) {
        let unusable = Unusable { why: halt.reason.clone(), ..unusable };
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
    pub async fn look_up(&self, shared: &Shared, leads: &[Wanted]) -> crate::store::Result<Vec<LookedUp>> {
        let keys: Vec<Option<Fingerprint>> = leads.iter().map(|it| self.key(shared, &it.lead)).collect();
        let turn = self.turn(keys.iter().flatten()).await;
        let mut known = self.cached(shared, keys.iter().flatten()).await?;
        let (mut together, mut alone): (Vec<Person<'_>>, Vec<Person<'_>>) = (Vec::new(), Vec::new());
        for (key, Wanted { lead, alone: suspect }) in keys.iter().zip(leads) {
            if let Some(key) = key
                && !known.contains_key(key)
                && !together.iter().chain(&alone).any(|(other, _)| other == key)
            {
                let people = if *suspect { &mut alone } else { &mut together };
                people.push((key.clone(), lead));
            }
        }
        if !(together.is_empty() && alone.is_empty()) {
            self.ask_for(shared, &together, alone, &mut known).await?;
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
}
