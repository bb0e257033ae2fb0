//! The decisions of people.

use super::{Plan, Planner, World, put_back};
use crate::clock::Timestamp;
use crate::lead::{Event, LeadId, LeadState};
use crate::store::Operation;

/// Plans `operation` for every lead of the world for which the life cycle has the move and nobody works on; with the ids
/// of those.
pub(in crate::store) fn operate<'a>(
    world: &'a World,
    operation: &'a Operation,
    now: Timestamp,
) -> (Plan<'a>, Vec<LeadId>) {
    let mut planner = Planner::new(world, now);
    let mut changed = Vec::new();
    for (id, change) in &mut planner.leads {
        let from = change.row.state;
        let event = match operation {
            Operation::Retry => Event::Retried,
            Operation::ResolveDelivered { .. } => Event::Accepted,
            Operation::ResolveAbsent => Event::ResolvedAbsent,
        };
        // An acceptance is legal nearly everywhere, but only what is unconfirmed is a person's to settle.
        if event == Event::Accepted && from != LeadState::Unconfirmed {
            continue;
        }
        if change.row.lease_expires.is_some_and(|expires| expires > now) {
            continue;
        }
        let Ok(to) = from.next(event) else { continue };
        match operation {
            Operation::Retry => {
                put_back(change, now);
                change.reason = Some(None);
                // It belongs to no run until one takes it in again: counted there anew.
                change.row.run = None;
            }
            Operation::ResolveDelivered { remote_id } => {
                change.row.state = to;
                change.row.finished_at = Some(now);
                change.reason = Some(Some("resolved by hand: delivered".to_owned()));
                change.remote_id = remote_id.clone();
            }
            Operation::ResolveAbsent => {
                change.row.state = to;
                change.row.run = None;
                change.row.finished_at = None;
                change.row.not_before = now;
                change.row.probes = 0;
                change.reason = Some(Some("resolved by hand: not there".to_owned()));
            }
        }
        changed.push(*id);
    }
    (planner.finish(Vec::new()), changed)
}
