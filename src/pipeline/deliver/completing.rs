//! What belongs to a lead beyond its creation (tags): done before it counts as delivered, so that a crash in between
//! leaves a lead that is looked for, found, and completed.

use crate::connectors::Verdict;
use crate::connectors::channel::AskError;
use crate::connectors::classify::classify;
use crate::connectors::{Asked, UnknownPolicy};
use crate::http::message::SendError;
use crate::lead::Prepared;
use crate::pipeline::lane::Lane;
use crate::pipeline::record::Judgement;
use crate::store::{CallRecord, Leased};

/// Completes what was accepted. The verdict stays the same if there is nothing to do or it was done; it gets a note where
/// the API refuses, and becomes unknown where it can't be reached, so that the lead is looked for again and completed then.
pub(super) async fn completed(
    lane: &Lane,
    lead: &Leased,
    prepared: &Prepared,
    verdict: Verdict,
) -> (Verdict, Vec<CallRecord>) {
    let Verdict::Accepted { remote_id, already, note } = verdict else { return (verdict, Vec::new()) };
    let accepted = |note| Verdict::Accepted { remote_id: remote_id.clone(), already, note };
    let Some(request) = lane.destination.complete(prepared, remote_id.as_deref()) else {
        return (accepted(note), Vec::new());
    };
    let (result, mut calls) = lane.channel.ask("complete", &request, &lane.shared.cut).await;
    for call in &mut calls {
        call.lead = Some(lead.id);
        lane.shared.account.called(call);
    }
    let verdict = match result {
        Ok(reply) if reply.status.is_success() => return (accepted(note), calls),
        Ok(reply) => {
            let own_word = lane.destination.read(Asked::Complete, prepared, &reply);
            own_word.unwrap_or_else(|| classify(Asked::Complete, &Ok(reply)))
        }
        Err(AskError::Send(SendError::NotSent { why } | SendError::Lost { why })) => Verdict::Unknown { why },
        Err(error @ (AskError::Stopped | AskError::Auth(_))) => Verdict::Unknown { why: error.to_string() },
    };
    let (why, comes_again) = match verdict.discreet(prepared) {
        Verdict::Unknown { why } | Verdict::NotNow { why, .. } => (why, true),
        other => (other.to_string(), false),
    };
    let may_come_again =
        lane.destination.on_unknown() == UnknownPolicy::Find && lead.probes + 1 < lane.shared.max_attempts;
    if comes_again && may_come_again {
        return (Verdict::Unknown { why: format!("it is there, but not yet complete: {why}") }, calls);
    }
    let incomplete = format!("it is there, but incomplete: {why}");
    let note = note.map_or_else(|| incomplete.clone(), |note| format!("{note}; {incomplete}"));
    (accepted(Some(note)), calls)
}

/// A judgement with the calls that completing made.
pub(super) fn with_calls(mut judgement: Judgement, calls: Vec<CallRecord>) -> Judgement {
    if let Some(step) = judgement.steps.first_mut() {
        step.calls.extend(calls);
    }
    judgement
}
