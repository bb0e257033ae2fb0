//! The steps of workers.

use std::collections::BTreeMap;

use super::{Change, Claim, Plan, Planner, QuotaKey, Row, World, counter, duplicate_reason};
use crate::clock::Timestamp;
use crate::lead::{Event, IllegalMove, LeadId, LeadState};
use crate::store::{Reinstated, RunId, Step, StepOutcome};

/// Plans `steps`, in order, on behalf of `run`.
pub(in crate::store) fn commit<'a>(world: &'a World, run: RunId, steps: &'a [Step], now: Timestamp) -> Plan<'a> {
    let mut planner = Planner::new(world, now);
    let repeated = repeated(world, steps);
    let outcomes = steps
        .iter()
        .enumerate()
        .map(|(n, step)| {
            if !world.rows.contains_key(&step.lead) {
                planner.needs.rows.insert(step.lead);
                return StepOutcome::LeaseLost;
            }
            match planner.leads.contains_key(&step.lead) {
                false => StepOutcome::LeaseLost,
                true if repeated.get(&step.lead).is_some_and(|last| n <= *last) => planner.repeat(step, run),
                true => planner.apply(step, run),
            }
        })
        .collect();
    planner.finish(outcomes)
}

/// For each lead whose last step is in this batch: its place. That step and those before it were applied by an earlier
/// try of the same batch, since batches are applied as a whole and in order.
fn repeated(world: &World, steps: &[Step]) -> BTreeMap<LeadId, usize> {
    let last_step = |lead| world.rows.get(lead).and_then(Option::as_ref).and_then(|row| row.last_step);
    let repeats = steps.iter().enumerate().filter(|(_, step)| last_step(&step.lead) == Some(step.id));
    repeats.map(|(n, step)| (step.lead, n)).collect()
}

impl<'a> Planner<'a> {
    /// A step that was applied before: says again what came of it, and changes nothing.
    fn repeat(&mut self, step: &Step, run: RunId) -> StepOutcome {
        let row = &self.leads[&step.lead].row;
        if let (Some(Event::Prepared), LeadState::Skipped, Some(of)) = (step.event, row.state, row.duplicate_of) {
            return StepOutcome::Duplicate { of };
        }
        let (state, row_run) = (row.state, row.run);
        let mut reinstated = Vec::new();
        if state.is_final() && !state.holds_claim() {
            match self.world.reinstated.get(&step.id) {
                Some(leads) => reinstated
                    .extend(leads.iter().map(|(lead, of)| Reinstated { lead: *lead, counted_here: *of == Some(run) })),
                None => drop(self.needs.reinstated.insert(step.id)),
            }
        }
        StepOutcome::Applied { state, counted: row_run == Some(run), reinstated }
    }

    fn apply(&mut self, step: &'a Step, run: RunId) -> StepOutcome {
        let row = &self.leads[&step.lead].row;
        if row.lease != Some(step.lease) {
            return match step.event {
                Some(Event::Accepted) => self.accept_late(step, run),
                _ => StepOutcome::LeaseLost,
            };
        }
        let from = row.state;
        let to = match step.event.map(|event| from.next(event)).transpose() {
            Ok(to) => to.unwrap_or(from),
            Err(illegal) => return StepOutcome::Illegal(illegal),
        };
        if step.event == Some(Event::Prepared) && step.prepared.is_none() {
            return StepOutcome::Illegal(IllegalMove { from, event: Event::Prepared });
        }
        if !self.charge(step) {
            return StepOutcome::QuotaUsedUp;
        }
        self.counts.failed_attempts += i64::from(step.add_attempts);
        self.counts.deferrals += i64::from(step.add_deferrals);
        let mut holder = step.lead;
        if let (Some(Event::Prepared), Some(preparation)) = (step.event, &step.prepared) {
            let destination = self.leads[&step.lead].row.destination.clone();
            let claim = Claim { destination, fingerprint: preparation.claim.clone() };
            holder = self.claim(claim, step.lead);
        }
        let now = self.now;
        let Some(change) = self.leads.get_mut(&step.lead) else { return StepOutcome::LeaseLost };
        schedule(change, step);
        if holder != step.lead {
            // Losing a claim is being set aside.
            let skipped = from.next(Event::SetAside).unwrap_or(from);
            enter(change, skipped, Some(duplicate_reason(holder)), now);
            change.row.duplicate_of = Some(holder);
            self.counts.skipped += 1;
            self.repoint(step.lead, holder);
            return StepOutcome::Duplicate { of: holder };
        }
        enter(change, to, step.reason.clone(), now);
        self.settle(step, from, to, run)
    }

    /// What follows from an event besides the new state.
    fn settle(&mut self, step: &'a Step, from: LeadState, to: LeadState, run: RunId) -> StepOutcome {
        let mut reinstated = Vec::new();
        let Some(change) = self.leads.get_mut(&step.lead) else { return StepOutcome::LeaseLost };
        match step.event {
            Some(Event::Prepared) => {
                change.content = Some(step.prepared.as_deref());
                change.row.fingerprint = step.prepared.as_ref().map(|preparation| preparation.claim.clone());
            }
            Some(Event::SendStarted) => {
                change.row.sent_at = step.sent_at.or(Some(self.now));
                change.row.probes = 0;
            }
            _ => {}
        }
        if let Some(remote_id) = &step.remote_id {
            keep_remote_id(change, remote_id);
        }
        if from != to {
            if let Some(counter) = counter(&mut self.counts, to) {
                *counter += 1;
            }
            if to == LeadState::Delivered {
                self.take_claim(step.lead);
            }
            if to.is_final() && !to.holds_claim() {
                reinstated = self.give_up_place(step.lead, step.id, run);
            }
        }
        StepOutcome::Applied { state: to, counted: true, reinstated }
    }

    /// A worker that lost its lease learns that its request had succeeded: a known delivery is never forgotten. Nothing
    /// else that it says counts.
    fn accept_late(&mut self, step: &Step, run: RunId) -> StepOutcome {
        let now = self.now;
        let Some(change) = self.leads.get_mut(&step.lead) else { return StepOutcome::LeaseLost };
        let from = change.row.state;
        if let Some(remote_id) = &step.remote_id {
            keep_remote_id(change, remote_id);
        }
        let mut counted = false;
        if let Ok(to) = from.next(Event::Accepted) {
            enter(change, to, step.reason.clone(), now);
            change.row.last_step = Some(step.id);
            change.row.duplicate_of = None;
            if change.row.run == Some(run) {
                // Had the run counted it under another final state, that count moves, but the lead is no new one.
                counted = !from.is_final();
                self.counts.delivered += 1;
                if let Some(counter) = counter(&mut self.counts, from) {
                    *counter -= 1;
                }
            }
            self.take_claim(step.lead);
        }
        StepOutcome::Applied { state: LeadState::Delivered, counted, reinstated: Vec::new() }
    }

    /// Something delivered holds its claim: it takes it if it is free, and from a lead that took its place meanwhile but
    /// for which no request has left yet.
    fn take_claim(&mut self, lead: LeadId) {
        let Some(claim) = self.leads.get(&lead).and_then(|change| change.row.claim()) else { return };
        let holder = self.claim(claim.clone(), lead);
        if holder == lead {
            return;
        }
        if !self.world.rows.contains_key(&holder) {
            self.needs.rows.insert(holder);
            return;
        }
        let now = self.now;
        let Some(change) = self.leads.get_mut(&holder) else { return };
        if change.row.state != LeadState::Ready {
            return;
        }
        let Ok(skipped) = change.row.state.next(Event::SetAside) else { return };
        enter(change, skipped, Some(duplicate_reason(lead)), now);
        change.row.duplicate_of = Some(lead);
        // Whoever works on it finds its lease gone and counts it as taken over; so no run counts it as skipped.
        change.row.run = None;
        self.claims.insert(claim, Some(lead));
        self.repoint(holder, lead);
    }

    /// False: the day's quota has no room.
    fn charge(&mut self, step: &Step) -> bool {
        let Some(charge) = &step.quota else { return true };
        let key = QuotaKey { account: charge.account.clone(), utc_day: charge.utc_day };
        let Some(used) = self.quotas.get_mut(&key) else {
            self.needs.quotas.insert(key);
            return true;
        };
        let after = used.saturating_add(i64::from(charge.amount));
        if charge.amount > 0 && after > i64::from(charge.limit) {
            return false;
        }
        *used = after.max(0);
        true
    }
}

/// Everything of a step that is neither event nor claim.
fn schedule<'a>(change: &mut Change<'a>, step: &'a Step) {
    change.custom_fields = step.custom_fields.as_deref().or(change.custom_fields);
    let row = &mut change.row;
    row.last_step = Some(step.id);
    if step.event == Some(Event::Prepared) {
        // Those were of its look-up; from here on they are of its create.
        row.attempts = 0;
    }
    row.attempts = row.attempts.saturating_add(i64::from(step.add_attempts));
    row.deferrals = row.deferrals.saturating_add(i64::from(step.add_deferrals));
    row.probes = row.probes.saturating_add(i64::from(step.add_probes));
    if let Some(not_before) = step.not_before {
        row.not_before = not_before;
    }
    if step.release {
        give_up_lease(row);
    }
}

/// Writes the new state. A new state has a reason of its own or none: why it had waited is over. What is final has no
/// lease.
fn enter(change: &mut Change<'_>, state: LeadState, reason: Option<String>, now: Timestamp) {
    let changed = change.row.state != state;
    change.row.state = state;
    if state.is_final() && changed {
        give_up_lease(&mut change.row);
        change.row.finished_at = Some(now);
    }
    if changed || reason.is_some() {
        change.reason = Some(reason);
    }
}

fn give_up_lease(row: &mut Row) {
    row.lease = None;
    row.lease_expires = None;
}

/// The first one that is known stays.
fn keep_remote_id(change: &mut Change<'_>, remote_id: &str) {
    if !change.row.has_remote_id {
        change.row.has_remote_id = true;
        change.remote_id = Some(remote_id.to_owned());
    }
}
