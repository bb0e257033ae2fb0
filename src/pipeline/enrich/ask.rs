//! One call to the service for some people, and what its reply means for them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;

use super::budget::Reserved;
use super::suspects::Suspects;
use super::{LookUps, LookedUp};
use crate::connectors::LookUpVerdict;
use crate::connectors::channel::AskError;
use crate::connectors::discretion::of_leads;
use crate::http::message::SendError;
use crate::lead::{Lead, LookUp};
use crate::pipeline::shared::Shared;
use crate::store::{CachedLookUp, CallId, CallRecord, Fingerprint, Result};

/// Somebody to be asked for.
pub(super) type Person<'a> = (Fingerprint, &'a Lead);

/// What is known of whom.
pub(super) type Known = HashMap<Fingerprint, LookedUp>;

/// People to be asked for in one call.
#[derive(Clone)]
pub(super) struct Batch<'a> {
    pub(super) people: Vec<Person<'a>>,
    /// Asked once: it is part of a batch that was asked for again and again, or somebody for whom the service failed
    /// before.
    pub(super) once: bool,
    /// They are charged already, to the budget of this day: an answer with them was lost.
    pub(super) charged: Option<i64>,
}

/// What came of a call.
pub(super) enum Outcome<'a> {
    /// The service had an answer, if perhaps not one that we like. What follows is on the list.
    Answered,
    /// It asks for patience, or the account is wrong: that is seen to, and says nothing of these people.
    Other,
    /// It had none: a 5xx, a time-out.
    Failed(Failed<'a>),
    /// No more calls in this run.
    Over,
}

/// A call that failed.
pub(super) struct Failed<'a> {
    pub(super) batch: Batch<'a>,
    pub(super) why: String,
    /// No reply came, so it is not known whether there was an answer.
    pub(super) lost: bool,
}

impl LookUps {
    /// Asks the service for all of them: `together` in batches, then those in `alone` one by one. What fails is split and
    /// judged: see [`Suspects`].
    pub(super) async fn ask_for(
        &self,
        shared: &Shared,
        together: &[Person<'_>],
        alone: Vec<Person<'_>>,
        known: &mut Known,
    ) -> Result<()> {
        let batches = together.chunks(self.batch_size());
        let batches = batches.map(|people| Batch { people: people.to_vec(), once: false, charged: None });
        let alone = alone.into_iter().map(|person| Batch { people: vec![person], once: true, charged: None });
        let mut open: VecDeque<Batch<'_>> = batches.chain(alone).collect();
        let mut suspects = Suspects::default();
        while let Some(batch) = open.pop_front() {
            let goes_on = match self.ask(shared, batch, &mut open, known).await? {
                Outcome::Answered => {
                    suspects.others_are_answered(self, known);
                    true
                }
                Outcome::Other => true,
                Outcome::Failed(failed) => suspects.consider(self, shared, failed, &mut open, known).await?,
                Outcome::Over => false,
            };
            if !goes_on {
                return Ok(());
            }
        }
        suspects.close(self, shared, known).await
    }

    /// Asks for one batch. Parts of it that have to be asked for are put at the front of `open`.
    pub(super) async fn ask<'a>(
        &self,
        shared: &Shared,
        mut batch: Batch<'a>,
        open: &mut VecDeque<Batch<'a>>,
        known: &mut Known,
    ) -> Result<Outcome<'a>> {
        let wanted = batch.people.len();
        let reserved = match batch.charged {
            Some(utc_day) => self.slot().await.map(|slot| (slot, Reserved { people: wanted, utc_day })),
            None => self.reserve(shared, wanted).await?,
        };
        let Some((_slot, reserved)) = reserved else { return Ok(Outcome::Over) };
        let people = reserved.people;
        // What was charged before may have been paid for: only an answer tells.
        let unasked = if batch.charged.is_none() { people } else { 0 };
        if self.unusable.get().is_some() || self.stop.is_cancelled() {
            self.refund(shared, &reserved, unasked).await;
            return Ok(Outcome::Over);
        }
        if people < wanted {
            open.push_front(Batch { people: batch.people.split_off(people), once: batch.once, charged: None });
        }
        let leads: Vec<&Lead> = batch.people.iter().map(|(_, lead)| *lead).collect();
        let request = self.enricher.lookup(&leads);
        let asked = async {
            match batch.once {
                true => self.channel.ask_once("lookup", &request, &self.stop).await,
                false => self.channel.ask("lookup", &request, &self.stop).await,
            }
        };
        // Cut off by the end of the grace time: what it cost is not known.
        let Some((result, mut calls)) = shared.cut.run_until_cancelled(asked).await else { return Ok(Outcome::Over) };
        keep_to_ourselves(&leads, result.is_err(), &mut calls);
        calls.iter().for_each(|call| shared.account.called(call));
        let last_call = calls.last().map(|call| call.id);
        let verdict = match &result {
            Ok(reply) => self.enricher.read(people, reply).discreet(&leads),
            Err(error) => {
                shared.patiently(|| shared.store.log_calls(&calls)).await?;
                // A question whose answer was lost may have been answered, and paid for.
                if let AskError::Send(SendError::Lost { why }) = error {
                    batch.charged = Some(reserved.utc_day);
                    return Ok(Outcome::Failed(Failed { batch, why: why.clone(), lost: true }));
                }
                if !matches!(error, AskError::Stopped) || calls.is_empty() {
                    self.refund(shared, &reserved, unasked).await;
                }
                self.failed(shared, error);
                return Ok(Outcome::Over);
            }
        };
        let (outcome, unused) = match verdict {
            LookUpVerdict::Answers { answers, credits } => {
                if credits.remaining == Some(0) {
                    shared.account.notice("enrich: the service says that no credits are left");
                }
                let found = answers.iter().filter(|answer| answer.person().is_some()).count();
                let keys: Vec<_> = batch.people.iter().map(|(key, _)| key.clone()).collect();
                self.keep(shared, &keys, answers, calls, last_call, known).await?;
                self.answered(leads[0]);
                (Outcome::Answered, people - found.min(people))
            }
            LookUpVerdict::BadRequest { reason } if people > 1 => {
                shared.patiently(|| shared.store.log_calls(&calls)).await?;
                tracing::debug!("a look-up of {people} people was refused ({reason}); splitting it");
                halves(batch, open);
                (Outcome::Answered, unasked)
            }
            LookUpVerdict::BadRequest { reason } => {
                shared.patiently(|| shared.store.log_calls(&calls)).await?;
                let note = Some(format!("not looked up: the service refused it ({reason})"));
                let answer = LookedUp::Answer { answer: LookUp::NotFound, call: last_call, note };
                known.insert(batch.people[0].0.clone(), answer);
                (Outcome::Answered, unasked)
            }
            LookUpVerdict::Again { why } => {
                shared.patiently(|| shared.store.log_calls(&calls)).await?;
                (Outcome::Failed(Failed { batch, why, lost: false }), unasked)
            }
            other => {
                shared.patiently(|| shared.store.log_calls(&calls)).await?;
                self.refused(shared, other).await;
                (Outcome::Other, unasked)
            }
        };
        self.refund(shared, &reserved, unused).await;
        Ok(outcome)
    }

    /// Whether the service has an answer for somebody for whom it had one before. `None`: nothing can be told, and no
    /// more calls are to be made.
    pub(super) async fn witness_is_answered(&self, shared: &Shared, witness: &Lead) -> Result<Option<bool>> {
        let Some(_slot) = self.slot().await else { return Ok(None) };
        let request = self.enricher.lookup(&[witness]);
        let asked = self.channel.ask_once("lookup", &request, &self.stop);
        let Some((result, mut calls)) = shared.cut.run_until_cancelled(asked).await else { return Ok(None) };
        keep_to_ourselves(&[witness], result.is_err(), &mut calls);
        calls.iter().for_each(|call| shared.account.called(call));
        shared.patiently(|| shared.store.log_calls(&calls)).await?;
        Ok(match result {
            Ok(reply) => match self.enricher.read(1, &reply).discreet(&[witness]) {
                LookUpVerdict::Answers { .. } | LookUpVerdict::BadRequest { .. } => Some(true),
                LookUpVerdict::Again { .. } => Some(false),
                other => {
                    self.refused(shared, other).await;
                    None
                }
            },
            Err(AskError::Send(SendError::Lost { .. })) => Some(false),
            Err(error) => {
                self.failed(shared, &error);
                None
            }
        })
    }

    fn answered(&self, witness: &Lead) {
        self.failures.store(0, Ordering::Relaxed);
        self.witness.get_or_init(|| witness.clone());
    }

    /// Stores answers, then hands them out: what was paid for is durable before it is used.
    async fn keep(
        &self,
        shared: &Shared,
        keys: &[Fingerprint],
        answers: Vec<LookUp>,
        calls: Vec<CallRecord>,
        call: Option<CallId>,
        known: &mut Known,
    ) -> Result<()> {
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

/// A service that refuses may quote what it was asked.
fn keep_to_ourselves(leads: &[&Lead], failed: bool, calls: &mut [CallRecord]) {
    if failed || calls.len() > 1 || calls.iter().any(|call| call.status != Some(200)) {
        let hidden = of_leads(leads);
        calls.iter_mut().for_each(|call| call.verdict = hidden.hide(&call.verdict));
    }
}

/// Puts both halves of a batch in front of what is open.
pub(super) fn halves<'a>(mut batch: Batch<'a>, open: &mut VecDeque<Batch<'a>>) {
    let right = batch.people.split_off(batch.people.len() / 2);
    let parts = [Batch { people: right, ..batch.clone() }, batch];
    for part in parts.into_iter().filter(|part| !part.people.is_empty()) {
        open.push_front(part);
    }
}
