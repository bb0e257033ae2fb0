//! What belongs to a lead beyond its creation (tags): done before it counts as delivered, so that a crash in between
//! leaves a lead that is looked for, found, and completed. One whose number is known by then is only completed.

use super::flight::heed_limits;
use crate::clock::Timestamp;
use crate::connectors::channel::AskError;
use crate::connectors::classify::classify;
use crate::connectors::{Asked, UnknownPolicy, Verdict, discretion};
use crate::exit::Exit;
use crate::http::message::{Reply, Request, SendError};
use crate::lead::Prepared;
use crate::pipeline::lane::Lane;
use crate::pipeline::progress::Halt;
use crate::pipeline::record::Judgement;
use crate::store::{CallRecord, Leased, Pause};

/// What completing led to, and the calls it made.
pub(super) enum Completed {
    /// This is the verdict: there was nothing to do, or it was done, or the API refuses to.
    Done(Verdict, Vec<CallRecord>),
    /// The lead is there, under this number if it has one, and is to be completed later.
    Later { remote_id: Option<String>, later: Later, calls: Vec<CallRecord> },
}

/// Completes what was accepted.
pub(super) async fn completed(lane: &Lane, lead: &Leased, prepared: &Prepared, verdict: Verdict) -> Completed {
    let Verdict::Accepted { remote_id, already, note } = verdict else { return Completed::Done(verdict, Vec::new()) };
    let accepted = |note| Verdict::Accepted { remote_id: remote_id.clone(), already, note };
    let Some(request) = lane.destination.complete(prepared, remote_id.as_deref()) else {
        return Completed::Done(accepted(note), Vec::new());
    };
    let (outcome, calls) = ask(lane, lead, prepared, &request).await;
    let (later, comes_again) = match outcome {
        Outcome::Done => return Completed::Done(accepted(note), calls),
        Outcome::Refused(why) => (Later::soon(why), false),
        Outcome::NotYet(later) => (later, true),
    };
    let can_be_settled = matches!(lane.destination.on_unknown(), UnknownPolicy::Find | UnknownPolicy::Repeat);
    let may_come_again = can_be_settled && lead.probes + 1 < lane.shared.max_attempts;
    if comes_again && may_come_again {
        return Completed::Later { remote_id, later, calls };
    }
    let incomplete = format!("it is there, but incomplete: {}", later.why);
    let note = note.map_or_else(|| incomplete.clone(), |note| format!("{note}; {incomplete}"));
    Completed::Done(accepted(Some(note)), calls)
}

enum Outcome {
    Done,
    Refused(String),
    NotYet(Later),
}

/// Why it could not be completed, and before when trying again is pointless.
pub(super) struct Later {
    pub(super) why: String,
    pub(super) not_before: Option<Timestamp>,
}

impl Later {
    fn soon(why: impl Into<String>) -> Self {
        Self { why: why.into(), not_before: None }
    }
}

async fn ask(lane: &Lane, lead: &Leased, prepared: &Prepared, request: &Request) -> (Outcome, Vec<CallRecord>) {
    // An account that is to be left alone for hours must not keep this run, nor this lead, until then.
    if let Some((until, why)) = lane.channel.limiter().paused()
        && until > lane.patience_ends()
    {
        return (Outcome::NotYet(Later { why, not_before: Some(until) }), Vec::new());
    }
    let (result, mut calls) = lane.channel.ask_once("complete", request, &lane.stop).await;
    let hidden = discretion::of_leads(&[&prepared.lead]);
    for call in &mut calls {
        call.lead = Some(lead.id);
        call.verdict = hidden.hide(&call.verdict);
        lane.shared.account.called(call);
    }
    let reply = match result {
        Ok(reply) => reply,
        Err(AskError::Send(SendError::NotSent { why } | SendError::Lost { why })) => {
            return (Outcome::NotYet(Later::soon(why)), calls);
        }
        Err(AskError::Auth(error)) => {
            lane.halt(Halt::from_auth(&lane.name, &error));
            return (Outcome::NotYet(Later::soon(error.to_string())), calls);
        }
        Err(AskError::Stopped) => return (Outcome::NotYet(Later::soon("the run was told to stop")), calls),
    };
    (judged(lane, prepared, reply).await, calls)
}

async fn judged(lane: &Lane, prepared: &Prepared, reply: Reply) -> Outcome {
    heed_limits(lane, &reply).await;
    if reply.status.is_success() {
        return Outcome::Done;
    }
    let own_word = lane.destination.read(Asked::Complete, prepared, &reply);
    let verdict = own_word.unwrap_or_else(|| classify(Asked::Complete, &Ok(reply)));
    match verdict.discreet(prepared) {
        Verdict::NotNow { wait, why } => {
            let not_before = wait.map(|wait| lane.shared.clock.now().plus(wait));
            if let Some(until) = not_before {
                lane.pause_account(Pause::of(lane.channel.account(), until, why.clone())).await;
            }
            Outcome::NotYet(Later { why, not_before })
        }
        Verdict::Unknown { why } => Outcome::NotYet(Later::soon(why)),
        Verdict::AuthExpired => Outcome::NotYet(Later::soon("new access tokens were refused (401)")),
        Verdict::AccountWrong { reason, remedy } => {
            lane.halt(Halt {
                account: lane.name.clone(),
                reason: reason.clone(),
                remedy: Some(remedy),
                exit: Exit::Usage,
            });
            Outcome::NotYet(Later::soon(reason))
        }
        other => Outcome::Refused(other.to_string()),
    }
}

/// A judgement with the calls that completing made.
pub(super) fn with_calls(mut judgement: Judgement, calls: Vec<CallRecord>) -> Judgement {
    if let Some(step) = judgement.steps.first_mut() {
        step.calls.extend(calls);
    }
    judgement
}
