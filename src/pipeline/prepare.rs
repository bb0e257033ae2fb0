//! `received` → `ready`: normalise, look whether it is a duplicate, look the person up, win the claim.

use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::deliver::Settlement;
use super::enrich::{LookedUp, Wanted};
use super::hands::Written;
use super::lane::Lane;
use super::normalise::normalise;
use super::record::{Judgement, Next, untold};
use crate::clock::Timestamp;
use crate::config::{JobChanged, Prefer};
use crate::connectors::Unsendable;
use crate::lead::merge::{Precedence, job_changed, merge};
use crate::lead::{Event, Lead, LeadState, LookUp, Prepared};
use crate::store::{Fingerprint, Leased, Preparation, Step, StepOutcome};

/// A lead that passed normalising.
#[derive(Clone)]
struct Candidate {
    lease: Leased,
    lead: Lead,
    notes: Vec<String>,
    claim: Fingerprint,
}

/// Prepares a bite of raw leads; returns those that are ready to be sent. All others are out of hand.
pub async fn prepare(lane: &Lane, leases: Vec<Leased>, place: Place) -> Vec<Leased> {
    let leases = lane.sealed(leases).await;
    let mut candidates = Vec::with_capacity(leases.len());
    let mut settled = Vec::new();
    for lease in leases {
        match candidate(lane, lease) {
            Ok(candidate) => candidates.push(candidate),
            Err(unusable) => {
                let (lease, reason) = *unusable;
                settled.push(ended(lease, Event::Refused, reason));
            }
        }
    }
    let (fresh, duplicates) = match split_off_duplicates(lane, candidates).await {
        Ok(split) => split,
        Err(leases) => {
            join_all(leases.iter().map(|lease| lane.put_back(lease))).await;
            (Vec::new(), Vec::new())
        }
    };
    let (fresh, unusable) = split_off_known_unusable(lane, fresh).await;
    settled.extend(unusable);
    let fresh = if fresh.is_empty() || (lane.is_fit().await && lane.shared.is_fit_to_prepare().await) {
        fresh
    } else {
        join_all(fresh.iter().map(|it| lane.put_back(&it.lease))).await;
        Vec::new()
    };
    let mut steps: Vec<(Leased, Prepared, Fingerprint, Option<crate::store::CallId>)> = duplicates
        .into_iter()
        .map(|it| {
            let prepared = Prepared { lead: it.lead, looked_up: LookUp::NotAsked, notes: it.notes };
            (it.lease, prepared, it.claim, None)
        })
        .collect();
    let deferrals = fresh.iter().map(|it| it.lease.deferrals).max().unwrap_or(0);
    let looked_up = look_up(lane, fresh).await;
    // Who waited together comes back together: in one call, not in crumbs.
    let again = lane.shared.clock.now().plus(untold(&lane.shared.backoff, deferrals));
    for (candidate, looked_up) in looked_up {
        match looked_up {
            LookedUp::Answer { answer, call, note } => {
                let (lease, claim, prepared, changed) = merged(lane, candidate, answer, note);
                match verdict_on(lane, &prepared, changed) {
                    Some((event, reason)) => settled.push(ended(lease, event, reason)),
                    None => steps.push((lease, prepared, claim, call)),
                }
            }
            LookedUp::Stopped => settled.push((candidate.lease, Settlement::PutBack)),
            LookedUp::Wait { until, why } => settled.push(put_off(lane, candidate.lease, until, again, &why)),
            LookedUp::Failed { why } => settled.push(failed(lane, candidate.lease, &why)),
        }
    }
    let turn = place.turn().await;
    let ((), ready) = futures_util::join!(
        async {
            join_all(
                settled.into_iter().map(|(lease, settlement)| async move { lane.settle(&lease, settlement).await }),
            )
            .await;
        },
        join_all(steps.into_iter().map(|(lease, prepared, claim, call)| claimed(lane, lease, prepared, claim, call))),
    );
    drop(turn);
    ready.into_iter().flatten().collect()
}

/// Keeps bites in order: of two rows of a file with the same e-mail, the first is the one that is sent.
#[derive(Debug, Default)]
pub struct PlaceQueue(Mutex<Option<oneshot::Receiver<()>>>);

/// A bite's place behind the bite before it.
pub struct Place {
    before: Option<oneshot::Receiver<()>>,
    /// Tells the one behind us, by being dropped.
    done: oneshot::Sender<()>,
}

impl PlaceQueue {
    /// The place behind all that were handed out before.
    pub fn next(&self) -> Place {
        let (done, behind_us) = oneshot::channel();
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(behind_us);
        Place { before, done }
    }
}

impl Place {
    /// Waits until the bite before us has claimed, or was given up; ours ends when the answer is dropped.
    async fn turn(self) -> oneshot::Sender<()> {
        if let Some(before) = self.before {
            let _ = before.await;
        }
        self.done
    }
}

fn candidate(lane: &Lane, lease: Leased) -> Result<Candidate, Box<(Leased, String)>> {
    let (mut lead, mut notes) = match normalise(&lease.raw, &lane.shared.normalise) {
        Ok(normalised) => normalised,
        Err(rejection) => return Err(Box::new((lease, rejection.to_string()))),
    };
    if lane.shared.sealing.withhold(&lane.name, &mut lead) {
        notes.push("custom_fields: what only another destination may be told, left out".to_owned());
    }
    match lane.destination.identity(&lead) {
        Ok(identity) => {
            let claim = lane.shared.fingerprints.fingerprint("identity", &identity);
            Ok(Candidate { lease, lead, notes, claim })
        }
        Err(unsendable) => Err(Box::new((lease, in_words(&unsendable, &notes)))),
    }
}

/// What the lead lacks may have been given, and left out as unusable: then that is the reason to tell.
fn in_words(unsendable: &Unsendable, notes: &[String]) -> String {
    match notes.iter().find_map(|note| note.strip_prefix(unsendable.field)?.strip_prefix(": ")) {
        Some(left_out) => format!("{unsendable} (given, but {left_out})"),
        None => unsendable.to_string(),
    }
}

/// Those whose identity another lead holds already need no look-up: they lose the claim, which `commit` decides.
async fn split_off_duplicates(
    lane: &Lane,
    candidates: Vec<Candidate>,
) -> Result<(Vec<Candidate>, Vec<Candidate>), Vec<Leased>> {
    let claims: Vec<_> = candidates.iter().map(|it| it.claim.clone()).collect();
    match lane.shared.patiently(|| lane.shared.store.claim_holders(&lane.name, &claims)).await {
        Ok(holders) => Ok(candidates
            .into_iter()
            .partition(|it| !holders.iter().any(|(claim, holder)| *claim == it.claim && *holder != it.lease.id))),
        Err(error) => {
            lane.store_failed(&error);
            Err(candidates.into_iter().map(|it| it.lease).collect())
        }
    }
}

/// Those that go no further by what is known already: nobody need be called for them. Asked only until the account was
/// checked, since it is that call which is saved.
async fn split_off_known_unusable(
    lane: &Lane,
    candidates: Vec<Candidate>,
) -> (Vec<Candidate>, Vec<(Leased, Settlement)>) {
    let mut settled = Vec::new();
    if lane.was_checked() {
        return (candidates, settled);
    }
    let leads: Vec<Lead> = candidates.iter().map(|it| it.lead.clone()).collect();
    let answers = match &lane.shared.lookup {
        None => vec![Some(LookUp::NotAsked); leads.len()],
        // What can't be read now is asked for in earnest in a moment, and fails there.
        Some(service) => service.known(&lane.shared, &leads).await.unwrap_or_else(|_| vec![None; leads.len()]),
    };
    let mut fresh = Vec::with_capacity(candidates.len());
    for (candidate, answer) in candidates.into_iter().zip(answers) {
        let verdict = answer.and_then(|answer| {
            let (_, _, prepared, changed) = merged(lane, candidate.clone(), answer, None);
            verdict_on(lane, &prepared, changed)
        });
        match verdict {
            Some((event, reason)) => settled.push(ended(candidate.lease, event, reason)),
            None => fresh.push(candidate),
        }
    }
    (fresh, settled)
}

async fn look_up(lane: &Lane, candidates: Vec<Candidate>) -> Vec<(Candidate, LookedUp)> {
    let Some(service) = &lane.shared.lookup else {
        let not_asked = LookedUp::Answer { answer: LookUp::NotAsked, call: None, note: None };
        return candidates.into_iter().map(|it| (it, not_asked.clone())).collect();
    };
    if candidates.is_empty() {
        return Vec::new();
    }
    // Only look-ups have failed for a lead that has not been ready yet.
    let wanted = |it: &Candidate| Wanted { lead: it.lead.clone(), alone: it.lease.attempts > 0 };
    let leads: Vec<Wanted> = candidates.iter().map(wanted).collect();
    match service.look_up(&lane.shared, &leads).await {
        Ok(results) => candidates.into_iter().zip(results).collect(),
        Err(error) => {
            lane.store_failed(&error);
            candidates.into_iter().map(|it| (it, LookedUp::Stopped)).collect()
        }
    }
}

fn merged(lane: &Lane, it: Candidate, answer: LookUp, note: Option<String>) -> (Leased, Fingerprint, Prepared, bool) {
    let precedence = match lane.shared.lookup.as_ref().map(|lookup| lookup.prefer) {
        Some(Prefer::Enriched) => Precedence::Enriched,
        Some(Prefer::Source) | None => Precedence::Source,
    };
    let changed = answer.person().is_some_and(|person| job_changed(&it.lead, person));
    let (lead, merge_notes) = merge(&it.lead, &answer, precedence);
    let mut notes = it.notes;
    notes.extend(merge_notes);
    notes.extend(note);
    // A look-up may bring the number by which the destination knows people: claimed is who is sent.
    let identity = lane.destination.identity(&lead);
    let claim = identity.map_or(it.claim, |identity| lane.shared.fingerprints.fingerprint("identity", &identity));
    (it.lease, claim, Prepared { lead, looked_up: answer, notes }, changed)
}

/// Why a lead goes no further, if it doesn't.
fn verdict_on(lane: &Lane, prepared: &Prepared, changed: bool) -> Option<(Event, String)> {
    let skips = lane.shared.lookup.as_ref().is_some_and(|lookup| lookup.job_changed == JobChanged::Skip);
    if changed && skips {
        return Some((Event::SetAside, "the person is no longer at the e-mail's company".to_owned()));
    }
    let prepared = lane.opened(prepared);
    lane.destination.create(&prepared).err().map(|unsendable| (Event::Refused, in_words(&unsendable, &prepared.notes)))
}

fn ended(lease: Leased, event: Event, reason: String) -> (Leased, Settlement) {
    let state = if event == Event::SetAside { LeadState::Skipped } else { LeadState::Rejected };
    let step = Step { event: Some(event), reason: Some(reason), release: true, ..Step::of(&lease) };
    (lease, Settlement::Judged(Judgement { steps: vec![step], next: Next::Finished(state) }))
}

/// The lead has to wait: until then, or, if nobody knows until when, until `again`.
fn put_off(lane: &Lane, lease: Leased, until: Option<Timestamp>, again: Timestamp, why: &str) -> (Leased, Settlement) {
    if !lane.shared.can_prepare() && until.is_none() {
        // Look-ups are over for this run: the lead was not touched.
        return (lease, Settlement::PutBack);
    }
    let due = until.unwrap_or(again);
    let step = Step {
        reason: Some(format!("put off: {why}")),
        not_before: Some(due),
        add_deferrals: 1,
        release: true,
        ..Step::of(&lease)
    };
    let next = if until.is_some() { Next::Scheduled(due) } else { Next::Deferred(due) };
    (lease, Settlement::Judged(Judgement { steps: vec![step], next }))
}

/// The service answers others and fails for this one: one attempt spent, perhaps the last.
fn failed(lane: &Lane, lease: Leased, why: &str) -> (Leased, Settlement) {
    let attempts = lease.attempts + 1;
    let step = Step { add_attempts: 1, release: true, ..Step::of(&lease) };
    let (step, next) = if attempts >= lane.shared.max_attempts {
        let reason = format!("gave up after {attempts} attempts to look it up; the last: {why}");
        let step = Step { event: Some(Event::GaveUp), reason: Some(reason), ..step };
        (step, Next::Finished(LeadState::Exhausted))
    } else {
        let due = lane.shared.clock.now().plus(lane.shared.backoff.delay(attempts));
        let reason = format!("the look-up of this person fails: {why}");
        (Step { reason: Some(reason), not_before: Some(due), ..step }, Next::Deferred(due))
    };
    (lease, Settlement::Judged(Judgement { steps: vec![step], next }))
}

/// Wins the claim and becomes ready, or is somebody's duplicate.
async fn claimed(
    lane: &Lane,
    mut lease: Leased,
    prepared: Prepared,
    claim: Fingerprint,
    lookup_call: Option<crate::store::CallId>,
) -> Option<Leased> {
    let enriched = prepared.looked_up.enriched();
    let preparation = Preparation { prepared: prepared.clone(), claim, lookup_call, enriched };
    let step = Step { event: Some(Event::Prepared), prepared: Some(Box::new(preparation)), ..Step::of(&lease) };
    let written = lane.write(&lease, vec![step]).await?;
    if let Written { outcome: StepOutcome::Applied { state: LeadState::Ready, .. }, .. } = written {
        lease.state = LeadState::Ready;
        lease.attempts = 0;
        lease.prepared = Some(prepared);
        return Some(lease);
    }
    lane.account_for(&lease, written, Next::Halted);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_that_lacks_what_was_left_out_is_told_why_it_was() {
        let unsendable = Unsendable { field: "phone", reason: "missing; LeadDesk knows people by it".to_owned() };
        let notes = ["linkedin: no profile, left out".to_owned(), "phone: not a valid number, left out".to_owned()];
        let missing = "phone: missing; LeadDesk knows people by it";
        assert_eq!(in_words(&unsendable, &notes), format!("{missing} (given, but not a valid number, left out)"));
        assert_eq!(in_words(&unsendable, &notes[..1]), missing);
    }
}
