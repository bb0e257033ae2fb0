//! "Is it there?": asked of a lead in doubt, of one that was refused by an API that may have created it all the same, and,
//! where a repeated create makes a second lead, before each create. Where a repeat makes nothing new, a lead in doubt is
//! sent again instead.

use tokio_util::sync::CancellationToken;

use super::after::{After, after};
use super::completing::{Completed, completed, with_calls};
use super::flight::{CUT, Flight, exchange};
use super::{Settlement, bare_case, case, charge, clearance, doubts, read, still_ours, unprepared};
use crate::auth::Bearer;
use crate::connectors::channel::Exchange;
use crate::connectors::{Asked, Shows, UnknownPolicy, Verdict};
use crate::http::message::Request;
use crate::lead::{LeadState, Prepared};
use crate::pipeline::lane::Lane;
use crate::pipeline::record::Case;
use crate::store::{Leased, Step};

/// Asks whether the lead is there before it is created. `Ok`: it is not.
pub(super) async fn look_first(lane: &Lane, lead: &Leased, prepared: &Prepared) -> Result<(), Settlement> {
    let Some(question) = lane.destination.find(prepared) else { return Ok(()) };
    for try_again in [true, false] {
        let (exchange, bearer, verdict) = ask(lane, lead, prepared, &question, &lane.creates).await?;
        let case = case(lane, lead, &exchange, "find", &verdict, None);
        if verdict == Verdict::Absent {
            return match lane.apply(lead, case.asked_again("not there yet: creating it")).await {
                Some(()) => Ok(()),
                None => Err(Settlement::Settled),
            };
        }
        // What is there before it was created here has nothing of ours to be completed with.
        let judgement = case.after_look_first(verdict.clone());
        match after(lane, lead, &verdict, judgement, &exchange, bearer, try_again).await {
            After::Settle(judgement) => return Err(Settlement::Judged(judgement)),
            After::Again(judgement) => {
                if lane.apply(lead, judgement).await.is_none() {
                    return Err(Settlement::Settled);
                }
            }
        }
    }
    Err(Settlement::PutBack)
}

/// A create that was refused.
pub(super) struct Refused<'a> {
    pub(super) field: Option<String>,
    pub(super) reason: String,
    pub(super) exchange: &'a Exchange,
    /// It was not the first: what that one did is not known either.
    pub(super) repeated: bool,
}

/// The create was refused, and this API may have created the lead all the same: looked for at once, since there was a
/// complete reply. Found as it was sent, it is delivered; absent, or found as it was before, it is refused for good; else
/// it stays in doubt.
pub(super) async fn refused_unless_there(
    lane: &Lane,
    lead: &Leased,
    prepared: &Prepared,
    case: Case<'_>,
    refused: Refused<'_>,
) -> Settlement {
    let Refused { field, reason, exchange: first, repeated } = refused;
    let refusal = Verdict::Refused { field: field.clone(), reason: reason.clone() };
    let Some(question) = lane.destination.find(prepared) else {
        return Settlement::Judged(case.after_create(refusal));
    };
    let charged = case.charged.clone();
    if lane.apply(lead, case.asked_again(format!("refused, now looked for: {reason}"))).await.is_none() {
        return Settlement::Settled;
    }
    let (exchange, bearer, verdict) = match ask(lane, lead, prepared, &question, &lane.stop).await {
        Ok(answer) => answer,
        Err(settlement) => return settlement,
    };
    let case = super::case(lane, lead, &exchange, "find", &verdict, charged);
    if verdict == Verdict::Absent {
        return Settlement::Judged(case.after_create(refusal));
    }
    if let (Verdict::Accepted { .. }, Ok(found), Ok(reply)) = (&verdict, &exchange.result, &first.result) {
        match lane.destination.shows(prepared, reply, found) {
            Shows::Sent => {}
            Shows::Another if !repeated => {
                let reason = format!("{reason}; what is there was there before, and is not what was sent");
                return Settlement::Judged(case.after_create(Verdict::Refused { field, reason }));
            }
            Shows::Another | Shows::Unclear => {
                return Settlement::Judged(case.unconfirmed(format!(
                    "may be there: refused ({reason}), and what is there does not show all that was sent"
                )));
            }
        }
    }
    let verdict = match verdict {
        Verdict::Accepted { remote_id, .. } => {
            let note = Some(format!("found there, although the create was refused: {reason}"));
            Verdict::Accepted { remote_id, already: false, note }
        }
        other => other,
    };
    let (verdict, calls) = match completed(lane, lead, prepared, verdict).await {
        Completed::Done(verdict, calls) => (verdict, calls),
        Completed::Later { remote_id, later, calls } => {
            return Settlement::Judged(with_calls(case.incomplete(remote_id, &later.why, later.not_before), calls));
        }
    };
    let judgement = match verdict {
        Verdict::Accepted { .. } => case.after_create(verdict.clone()),
        _ => case.after_find(verdict.clone()),
    };
    let judgement = with_calls(judgement, calls);
    match after(lane, lead, &verdict, judgement, &exchange, bearer, false).await {
        After::Settle(judgement) | After::Again(judgement) => Settlement::Judged(judgement),
    }
}

/// A lead found `sending`: nobody knows whether its create arrived.
pub(super) async fn look(lane: &Lane, lead: Leased) -> Settlement {
    let Some(stored) = lead.prepared.clone() else { return unprepared(&lead) };
    let prepared = lane.opened(&stored);
    if let Some(remote_id) = &lead.remote_id
        && lane.destination.complete(&prepared, Some(remote_id)).is_some()
    {
        return complete(lane, &lead, &prepared, remote_id.clone()).await;
    }
    let policy = lane.destination.on_unknown();
    if policy == UnknownPolicy::Repeat
        && let Ok(request) = lane.destination.create(&prepared)
    {
        return repeat(lane, &lead, &prepared, &request).await;
    }
    let question = match policy {
        // One that can't be created any more, since a template was changed, can still be looked for.
        UnknownPolicy::Find | UnknownPolicy::Repeat => lane.destination.find(&prepared),
        UnknownPolicy::Hold | UnknownPolicy::Retry => None,
    };
    let Some(question) = question else {
        let now = lane.shared.clock.now();
        let charged = charge(lane, lead.sent_at.unwrap_or(now));
        return Settlement::Judged(bare_case(lane, &lead, charged).without_question());
    };
    let mut looks = lane.destination.looks_until_absent();
    let mut may_renew = true;
    loop {
        let (exchange, bearer, verdict) = match ask(lane, &lead, &prepared, &question, &lane.stop).await {
            Ok(answer) => answer,
            Err(settlement) => return settlement,
        };
        let charged = charge(lane, lead.sent_at.unwrap_or(exchange.started_at));
        let case = case(lane, &lead, &exchange, "find", &verdict, charged);
        if verdict == Verdict::Absent && looks > 1 {
            looks -= 1;
            if lane.apply(&lead, case.asked_again("not there yet; looked for once more")).await.is_none() {
                return Settlement::Settled;
            }
            let settled = lane.stop.run_until_cancelled(tokio::time::sleep(lane.limits.settle)).await;
            if settled.is_none() {
                return Settlement::PutBack;
            }
            continue;
        }
        let (verdict, calls) = match completed(lane, &lead, &prepared, verdict).await {
            Completed::Done(verdict, calls) => (verdict, calls),
            Completed::Later { remote_id, later, calls } => {
                return Settlement::Judged(with_calls(case.incomplete(remote_id, &later.why, later.not_before), calls));
            }
        };
        let judgement = with_calls(case.after_find(verdict.clone()), calls);
        match after(lane, &lead, &verdict, judgement, &exchange, bearer, may_renew).await {
            After::Settle(judgement) => return Settlement::Judged(judgement),
            After::Again(judgement) => {
                may_renew = false;
                if lane.apply(&lead, judgement).await.is_none() {
                    return Settlement::Settled;
                }
            }
        }
    }
}

/// Sends the create again, to an API that makes nothing new of it.
async fn repeat(lane: &Lane, lead: &Leased, prepared: &Prepared, request: &Request) -> Settlement {
    for try_again in [true, false] {
        let (permit, bearer) = match clearance(lane, &lane.stop).await {
            Ok(cleared) => cleared,
            Err(settlement) => return settlement,
        };
        // Should we die from here on, nobody repeats it while this one may be at work.
        let due = lane.shared.clock.now().plus(lane.limits.timeout).plus(lane.limits.settle);
        if !lane.write_on(lead, Step { not_before: Some(due), ..Step::of(lead) }).await {
            return Settlement::Settled;
        }
        let (exchange, verdict) =
            match exchange(lane, permit, bearer.as_ref(), "repeat", request, still_ours(lane, lead)).await {
                Flight::Landed(exchange) => {
                    let verdict = read(lane, Asked::Create, prepared, &exchange);
                    doubts::tell(lane, &verdict, &exchange);
                    (exchange, verdict)
                }
                // By us: no try that stayed without an answer.
                Flight::Cut(exchange) => {
                    lane.shared.account.cut(lead.id);
                    let wait = Some(lane.limits.timeout + lane.limits.settle);
                    (exchange, Verdict::NotNow { wait, why: CUT.to_owned() })
                }
                Flight::Kept(_) => return Settlement::PutBack,
            };
        let charged = charge(lane, lead.sent_at.unwrap_or(exchange.started_at));
        let case =
            Case { sent_at: exchange.started_at, ..super::case(lane, lead, &exchange, "repeat", &verdict, charged) };
        // A refusal now says nothing of the first request.
        if let Verdict::Refused { field, reason } | Verdict::RefusedUnlessThere { field, reason } = verdict {
            let refused = Refused { field, reason, exchange: &exchange, repeated: true };
            return refused_unless_there(lane, lead, prepared, case, refused).await;
        }
        let (verdict, calls) = match completed(lane, lead, prepared, verdict).await {
            Completed::Done(verdict, calls) => (verdict, calls),
            Completed::Later { remote_id, later, calls } => {
                return Settlement::Judged(with_calls(case.incomplete(remote_id, &later.why, later.not_before), calls));
            }
        };
        let judgement = with_calls(case.after_repeat(verdict.clone()), calls);
        match after(lane, lead, &verdict, judgement, &exchange, bearer, try_again).await {
            After::Settle(judgement) => return Settlement::Judged(judgement),
            After::Again(judgement) => {
                if lane.apply(lead, judgement).await.is_none() {
                    return Settlement::Settled;
                }
            }
        }
    }
    Settlement::PutBack
}

/// A lead that is there for certain, and only has to be completed.
async fn complete(lane: &Lane, lead: &Leased, prepared: &Prepared, remote_id: String) -> Settlement {
    let there = Verdict::Accepted { remote_id: Some(remote_id), already: false, note: None };
    let done = completed(lane, lead, prepared, there).await;
    let case = bare_case(lane, lead, None);
    Settlement::Judged(match done {
        Completed::Done(verdict, calls) => with_calls(case.after_create(verdict), calls),
        Completed::Later { remote_id, later, calls } => {
            with_calls(case.incomplete(remote_id, &later.why, later.not_before), calls)
        }
    })
}

/// One question whether the lead is there, and what the answer means.
async fn ask(
    lane: &Lane,
    lead: &Leased,
    prepared: &Prepared,
    question: &Request,
    stop: &CancellationToken,
) -> Result<(Exchange, Option<Bearer>, Verdict), Settlement> {
    let (permit, bearer) = clearance(lane, stop).await?;
    match exchange(lane, permit, bearer.as_ref(), "find", question, |_| true).await {
        Flight::Landed(exchange) => {
            let verdict = read(lane, Asked::Find, prepared, &exchange);
            Ok((exchange, bearer, verdict))
        }
        Flight::Cut(exchange) => {
            if lead.state == LeadState::Sending {
                lane.shared.account.cut(lead.id);
            }
            Ok((exchange, bearer, Verdict::NotNow { wait: None, why: CUT.to_owned() }))
        }
        Flight::Kept(_) => Err(Settlement::PutBack),
    }
}
