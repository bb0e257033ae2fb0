//! What a verdict means for the account, beyond the lead: pauses, new tokens, the end of the lane.

use std::time::Duration;

use crate::auth::Bearer;
use crate::connectors::Verdict;
use crate::connectors::channel::Exchange;
use crate::exit::Exit;
use crate::pipeline::lane::Lane;
use crate::pipeline::progress::Halt;
use crate::pipeline::record::{Judgement, Next, untold};
use crate::store::{Leased, Pause};

/// How long nobody knocks after a request that could not be sent at all.
const BREATH: Duration = Duration::from_secs(1);

/// What follows from a judgement.
pub(super) enum After {
    /// Written down, and out of hand.
    Settle(Judgement),
    /// Written down, and tried once more: with a new token.
    Again(Judgement),
}

/// What a verdict means for the account, beyond the lead.
pub(super) async fn after(
    lane: &Lane,
    lead: &Leased,
    verdict: &Verdict,
    judgement: Judgement,
    exchange: &Exchange,
    bearer: Option<Bearer>,
    may_repeat: bool,
) -> After {
    match verdict {
        Verdict::AuthExpired => {
            let renewed = match &bearer {
                Some(bearer) => lane.shared.cut.run_until_cancelled(lane.channel.expired(bearer)).await,
                None => None,
            };
            match renewed {
                Some(Ok(())) if may_repeat && !lane.shared.cut.is_cancelled() => After::Again(judgement),
                // A new token was refused as well. That may happen to one lead; the channel knows when no token works.
                Some(Ok(())) => After::Settle(put_off_without_token(lane, lead, judgement)),
                Some(Err(error)) => {
                    lane.halt(Halt::from_auth(&lane.name, &error));
                    After::Settle(saying(released(judgement), format!("put off: {error}")))
                }
                None if bearer.is_none() => {
                    let halt = no_authentication(lane);
                    let why = format!("put off: {}", halt.reason);
                    lane.halt(halt);
                    After::Settle(saying(released(judgement), why))
                }
                None => After::Settle(released(judgement)),
            }
        }
        Verdict::AccountWrong { reason, remedy } => {
            lane.halt(Halt {
                account: lane.name.clone(),
                reason: reason.clone(),
                remedy: Some(remedy.clone()),
                exit: Exit::Usage,
            });
            After::Settle(judgement)
        }
        Verdict::NotNow { why, .. } => {
            if let Next::Deferred(until) | Next::Scheduled(until) = judgement.next {
                if exchange.result.is_ok() {
                    let pause = Pause { account: lane.channel.account().to_owned(), until, why: why.clone() };
                    lane.pause_account(pause).await;
                } else {
                    // Nobody asked for a pause, so none is kept beyond this run; the breaker ends it if this goes on.
                    let breath = lane.shared.clock.now().plus(BREATH);
                    lane.channel.limiter().pause_until(until.min(breath), why.as_str());
                }
            }
            After::Settle(judgement)
        }
        Verdict::Unknown { .. }
        | Verdict::Accepted { .. }
        | Verdict::Absent
        | Verdict::Refused { .. }
        | Verdict::RefusedUnlessThere { .. } => After::Settle(judgement),
    }
}

fn no_authentication(lane: &Lane) -> Halt {
    Halt {
        account: lane.name.clone(),
        reason: "the API wants authentication (401), and none is configured".to_owned(),
        remedy: Some("configure credentials".to_owned()),
        exit: Exit::Usage,
    }
}

/// A judgement that meant to go on ends here instead.
fn released(mut judgement: Judgement) -> Judgement {
    if let Some(last) = judgement.steps.last_mut() {
        last.release = true;
    }
    judgement.next = Next::Halted;
    judgement
}

/// The same judgement in these words.
fn saying(mut judgement: Judgement, why: String) -> Judgement {
    if let Some(last) = judgement.steps.last_mut() {
        last.reason = Some(why);
    }
    judgement
}

/// A judgement that meant to go on ends here, and the lead comes back a little later.
fn put_off_without_token(lane: &Lane, lead: &Leased, judgement: Judgement) -> Judgement {
    let due = lane.shared.clock.now().plus(untold(&lane.shared.backoff, lead.deferrals));
    let mut judgement = Judgement { next: Next::Deferred(due), ..released(judgement) };
    if let Some(last) = judgement.steps.last_mut() {
        last.not_before = Some(due);
        last.add_deferrals = 1;
        last.reason = Some("put off: new access tokens were refused (401)".to_owned());
    }
    judgement
}
