//! What steps do to leads: decided here, once, for both databases, without I/O.
//!
//! A plan is made from what is known of the database (the [`World`], all of it locked by the caller's transaction). Where
//! that is not enough, the plan says what it [`Needs`]; the caller loads that and plans again from the start, until
//! nothing is missing. Only then is anything written.
//!
//! What always holds afterwards: a claim belongs to a lead whose state holds claims; a lead skipped as a duplicate points
//! to one that holds the claim or waits to win it.

mod operate;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use super::{Fingerprint, LeaseToken, Preparation, Reinstated, RunCounts, RunId, StepOutcome};
use crate::clock::Timestamp;
use crate::lead::{LeadId, LeadState};

pub(super) use operate::operate;
pub(super) use step::commit;

/// A lead's row, as far as steps change it or depend on it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) id: LeadId,
    pub(super) state: LeadState,
    /// Empty: the default one's.
    pub(super) destination: String,
    pub(super) run: Option<RunId>,
    pub(super) lease: Option<LeaseToken>,
    pub(super) lease_expires: Option<Timestamp>,
    pub(super) last_step: Option<i64>,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) duplicate_of: Option<LeadId>,
    pub(super) has_remote_id: bool,
    pub(super) attempts: i64,
    pub(super) deferrals: i64,
    pub(super) probes: i64,
    pub(super) not_before: Timestamp,
    pub(super) sent_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
}

impl Row {
    fn claim(&self) -> Option<Claim> {
        Some(Claim { destination: self.destination.clone(), fingerprint: self.fingerprint.clone()? })
    }
}

/// An identity at a destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub(super) destination: String,
    pub(super) fingerprint: Fingerprint,
}

/// An account's quota of one day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QuotaKey {
    pub(super) account: String,
    pub(super) utc_day: i64,
}

/// What is known of the database; nobody else can change it before our transaction ends.
#[derive(Debug, Default)]
pub(super) struct World {
    /// `None`: there is no such row.
    pub(super) rows: BTreeMap<LeadId, Option<Row>>,
    /// Who holds these claims.
    pub(super) claims: BTreeMap<Claim, LeadId>,
    pub(super) quotas: BTreeMap<QuotaKey, i64>,
    /// For leads about to give up their place: those that were skipped because of them, oldest first. Read after these
    /// leads' claims were locked, so that no new ones can join.
    pub(super) duplicates: BTreeMap<LeadId, Vec<LeadId>>,
    /// For steps that are committed a second time: which leads they reinstated the first time.
    pub(super) reinstated: BTreeMap<i64, Vec<(LeadId, Option<RunId>)>>,
}

/// What a plan lacks.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Needs {
    pub(super) rows: BTreeSet<LeadId>,
    /// Claims to take for these leads unless somebody has them; then who has them.
    pub(super) claims: BTreeMap<Claim, LeadId>,
    pub(super) quotas: BTreeSet<QuotaKey>,
    pub(super) duplicates: BTreeSet<LeadId>,
    pub(super) reinstated: BTreeSet<i64>,
}

impl Needs {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is to be written, valid only if nothing is needed.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) needs: Needs,
    pub(super) outcomes: Vec<StepOutcome>,
    pub(super) changes: Vec<Change<'a>>,
    /// Duplicates of the first (but for the changed rows) become duplicates of the second.
    pub(super) repoint: BTreeMap<LeadId, LeadId>,
    pub(super) unclaim: Vec<Claim>,
    pub(super) reclaim: Vec<(Claim, LeadId)>,
    pub(super) quotas: Vec<(QuotaKey, i64)>,
    /// To be added to the run's counts.
    pub(super) counts: RunCounts,
}

/// A row and what is to become of it.
#[derive(Clone, Debug)]
pub(super) struct Change<'a> {
    /// As it will be.
    pub(super) row: Row,
    /// The new reason, if it changes.
    pub(super) reason: Option<Option<String>>,
    /// To be stored if there is none yet.
    pub(super) remote_id: Option<String>,
    /// What will be sent, if it changes.
    pub(super) content: Option<Option<&'a Preparation>>,
    /// What stands there instead, if it changes.
    pub(super) custom_fields: Option<&'a str>,
}

/// Why a duplicate was skipped, as `leads.reason` says it.
pub(super) fn duplicate_reason(of: LeadId) -> String {
    format!("duplicate of lead {of}")
}

/// A plan in the making.
struct Planner<'a> {
    world: &'a World,
    now: Timestamp,
    leads: BTreeMap<LeadId, Change<'a>>,
    claims: BTreeMap<Claim, Option<LeadId>>,
    quotas: BTreeMap<QuotaKey, i64>,
    repoint: BTreeMap<LeadId, LeadId>,
    counts: RunCounts,
    needs: Needs,
}

impl<'a> Planner<'a> {
    fn new(world: &'a World, now: Timestamp) -> Self {
        let unchanged =
            |row: &Row| Change { row: row.clone(), reason: None, remote_id: None, content: None, custom_fields: None };
        Self {
            world,
            now,
            leads: world.rows.values().flatten().map(|row| (row.id, unchanged(row))).collect(),
            claims: world.claims.iter().map(|(claim, holder)| (claim.clone(), Some(*holder))).collect(),
            quotas: world.quotas.clone(),
            repoint: BTreeMap::new(),
            counts: RunCounts::default(),
            needs: Needs::default(),
        }
    }

    fn finish(self, outcomes: Vec<StepOutcome>) -> Plan<'a> {
        let Self { world, leads, claims, quotas, repoint, counts, needs, .. } = self;
        let mut plan = Plan {
            needs,
            outcomes,
            changes: Vec::new(),
            repoint,
            unclaim: Vec::new(),
            reclaim: Vec::new(),
            quotas: quotas.into_iter().filter(|(key, used)| world.quotas.get(key) != Some(used)).collect(),
            counts,
        };
        for (claim, holder) in claims {
            let keeps = |id: &LeadId| leads.get(id).is_none_or(|lead| lead.row.state.holds_claim());
            match (holder.filter(keeps), world.claims.get(&claim).copied()) {
                (now, before) if now == before => {}
                (Some(now), _) => plan.reclaim.push((claim, now)),
                (None, _) => plan.unclaim.push(claim),
            }
        }
        plan.changes = leads
            .into_values()
            .filter(|lead| {
                let before = world.rows.get(&lead.row.id).and_then(Option::as_ref);
                before != Some(&lead.row) || lead.reason.is_some() || lead.remote_id.is_some() || lead.content.is_some()
            })
            .collect();
        plan
    }

    /// Who holds the claim once `lead` has asked for it.
    fn claim(&mut self, claim: Claim, lead: LeadId) -> LeadId {
        if let Some(holder) = self.claims.get_mut(&claim) {
            return *holder.get_or_insert(lead);
        }
        // Until we know better: won, and within this batch the first to ask wins.
        self.needs.claims.insert(claim.clone(), lead);
        self.claims.insert(claim, Some(lead));
        lead
    }

    /// Moves the duplicates of `from` behind `to`.
    fn repoint(&mut self, from: LeadId, to: LeadId) {
        for (_, target) in self.repoint.iter_mut().filter(|(_, target)| **target == from) {
            *target = to;
        }
        self.repoint.insert(from, to);
        for lead in self.leads.values_mut().filter(|lead| waits_for(&lead.row, from)) {
            lead.row.duplicate_of = Some(to);
            lead.reason = Some(Some(duplicate_reason(to)));
        }
    }

    /// `lead` will not be delivered: its claim is free again, and the oldest of its duplicates gets its turn.
    fn give_up_place(&mut self, lead: LeadId, step: i64, run: RunId) -> Vec<Reinstated> {
        for holder in self.claims.values_mut().filter(|holder| **holder == Some(lead)) {
            *holder = None;
        }
        let Some(candidates) = self.world.duplicates.get(&lead) else {
            self.needs.duplicates.insert(lead);
            return Vec::new();
        };
        let loaded = self.leads.values().map(|other| &other.row).find(|row| waits_for(row, lead)).map(|row| row.id);
        let unloaded = candidates.iter().copied().find(|id| !self.world.rows.contains_key(id));
        let heir = match (loaded, unloaded) {
            (Some(loaded), unloaded) if unloaded.is_none_or(|id| id > loaded) => loaded,
            (_, Some(unloaded)) => {
                self.needs.rows.insert(unloaded);
                return Vec::new();
            }
            _ => return Vec::new(),
        };
        let Some(change) = self.leads.get_mut(&heir) else { return Vec::new() };
        let counted_here = change.row.run == Some(run);
        put_back(change, self.now);
        change.reason = Some(Some(format!("takes the place of lead {lead}")));
        change.row.last_step = Some(step);
        if counted_here {
            self.counts.skipped -= 1;
        }
        self.repoint(lead, heir);
        vec![Reinstated { lead: heir, counted_here }]
    }
}

fn waits_for(row: &Row, lead: LeadId) -> bool {
    row.state == LeadState::Skipped && row.duplicate_of == Some(lead)
}

/// Back to `received`, as if it had just come in. The fingerprint stays: a late acceptance still knows what to claim.
fn put_back(change: &mut Change<'_>, now: Timestamp) {
    let row = &mut change.row;
    row.state = row.state.next(crate::lead::Event::Retried).unwrap_or(row.state);
    row.lease = None;
    row.lease_expires = None;
    row.duplicate_of = None;
    row.attempts = 0;
    row.deferrals = 0;
    row.probes = 0;
    row.not_before = now;
    row.sent_at = None;
    row.finished_at = None;
    change.content = Some(None);
}

/// The count of leads that ended in this state.
fn counter(counts: &mut RunCounts, state: LeadState) -> Option<&mut i64> {
    match state {
        LeadState::Delivered => Some(&mut counts.delivered),
        LeadState::Rejected => Some(&mut counts.rejected),
        LeadState::Exhausted => Some(&mut counts.exhausted),
        LeadState::Unconfirmed => Some(&mut counts.unconfirmed),
        LeadState::Skipped => Some(&mut counts.skipped),
        LeadState::Received | LeadState::Ready | LeadState::Sending => None,
    }
}
