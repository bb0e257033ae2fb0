//! One lead to its destination, at most once.
//!
//! The order is the promise: concurrency slot, rate permit, token, *intent made durable*, request, verdict, outcome made
//! durable. Whatever dies in between, the next worker finds either `ready` (nothing left us) or `sending` (look, or repeat
//! where that makes nothing new); the intent already carries the moment from which looking makes sense.

mod after;
mod completing;
pub(super) mod doubts;
mod flight;
mod looking;

pub(super) use self::flight::heed_limits;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use self::after::{After, after};
use self::completing::{Completed, completed, with_calls};
use self::flight::{Flight, exchange};
use self::looking::{Refused, look, look_first, refused_unless_there};
use super::lane::Lane;
use super::pauses;
use super::progress::Halt;
use super::record::{Case, Judgement, Next};
use crate::auth::Bearer;
use crate::clock::Timestamp;
use crate::config::SEND_MARGIN;
use crate::connectors::channel::Exchange;
use crate::connectors::classify::{classify, may_be_at_work};
use crate::connectors::{Asked, UnknownPolicy, Verdict};
use crate::crash::{self, At};
use crate::http::limit::Permit;
use crate::http::message::Request;
use crate::lead::{Event, LeadState, Prepared};
use crate::store::{CallRecord, Leased, Pause, QuotaCharge, Step, StepOutcome};

/// Delivers one lead, or looks for it, or puts it down: always ends with the lead out of hand, also if that panics.
pub async fn deliver(lane: Arc<Lane>, lead: Leased) {
    let kept = lead.clone();
    if AssertUnwindSafe(deliver_it(&lane, lead)).catch_unwind().await.is_err() {
        lane.panicked(&kept).await;
    }
}

async fn deliver_it(lane: &Lane, lead: Leased) {
    let stop = if lead.state == LeadState::Sending { &lane.stop } else { &lane.creates };
    let slot = tokio::select! {
        slot = Arc::clone(&lane.slots).acquire_owned() => slot.ok(),
        () = stop.cancelled() => None,
    };
    // A free slot and the stop may come together; the stop wins.
    let slot = slot.filter(|_| !stop.is_cancelled());
    let Some(slot) = slot else { return lane.put_back(&lead).await };
    let settlement = if !lane.is_fit().await {
        Settlement::PutBack
    } else if lead.state == LeadState::Sending {
        look(lane, lead.clone()).await
    } else {
        create(lane, lead.clone()).await
    };
    // The outcome is on its way to the disk; the next lead may have the slot meanwhile.
    drop(slot);
    lane.settle(&lead, settlement).await;
}

/// How a lead leaves this worker's hands.
pub enum Settlement {
    /// Write this down.
    Judged(Judgement),
    /// Untouched.
    PutBack,
    /// In another worker's hands.
    Lost,
    /// Accounted for already.
    Settled,
}

/// What a try to send led to.
enum Sent {
    /// There is a verdict on it.
    Exchange(Exchange, Option<Bearer>),
    /// Nothing was sent.
    Not(Settlement),
}

async fn create(lane: &Lane, mut lead: Leased) -> Settlement {
    let Some(stored) = lead.prepared.clone() else { return unprepared(&lead) };
    let prepared = lane.opened(&stored);
    let request = match lane.destination.create(&prepared) {
        Ok(request) => request,
        Err(unsendable) => return refused(&lead, unsendable.to_string()),
    };
    if lane.destination.looks_first()
        && let Err(settlement) = look_first(lane, &lead, &prepared).await
    {
        return settlement;
    }
    for try_again in [true, false] {
        let (permit, bearer) = match clearance(lane, &lane.creates).await {
            Ok(cleared) => cleared,
            Err(settlement) => return settlement,
        };
        let (exchange, bearer, charged) = match send(lane, &mut lead, permit, bearer, &request).await {
            (Sent::Exchange(exchange, bearer), charged) => (exchange, bearer, charged),
            (Sent::Not(settlement), _) => return settlement,
        };
        let verdict = read(lane, Asked::Create, &prepared, &exchange);
        doubts::tell(lane, &verdict, &exchange);
        // From here on it matters when it really left, not when we meant it to.
        let case = Case { sent_at: exchange.started_at, ..case(lane, &lead, &exchange, "create", &verdict, charged) };
        if let Verdict::RefusedUnlessThere { field, reason } = verdict {
            let refused = Refused { field, reason, exchange: &exchange, repeated: false };
            return refused_unless_there(lane, &lead, &prepared, case, refused).await;
        }
        let (verdict, calls) = match completed(lane, &lead, &prepared, verdict).await {
            Completed::Done(verdict, calls) => (verdict, calls),
            Completed::Later { remote_id, later, calls } => {
                return Settlement::Judged(with_calls(case.incomplete(remote_id, &later.why, later.not_before), calls));
            }
        };
        let judgement = with_calls(case.after_create(verdict.clone()), calls);
        match after(lane, &lead, &verdict, judgement, &exchange, bearer, try_again).await {
            After::Settle(judgement) => return Settlement::Judged(judgement),
            After::Again(judgement) => match lane.apply(&lead, judgement).await {
                Some(()) => lead.state = LeadState::Ready,
                None => return Settlement::Settled,
            },
        }
    }
    Settlement::PutBack
}

/// A rate permit and a token, in this order; or the lead goes back untouched.
async fn clearance(lane: &Lane, stop: &CancellationToken) -> Result<(Permit, Option<Bearer>), Settlement> {
    let Some(permit) = lane.channel.permit(stop).await else { return Err(Settlement::PutBack) };
    // A refresh that has begun goes on without us.
    match stop.run_until_cancelled(lane.channel.bearer()).await {
        None => Err(Settlement::PutBack),
        Some(Ok(bearer)) => Ok((permit, bearer)),
        Some(Err(error)) => {
            lane.halt(Halt::from_auth(&lane.name, &error));
            Err(Settlement::PutBack)
        }
    }
}

/// Makes the intent durable, then writes the request.
async fn send(
    lane: &Lane,
    lead: &mut Leased,
    permit: Permit,
    bearer: Option<Bearer>,
    request: &Request,
) -> (Sent, Option<QuotaCharge>) {
    let sent_at = lane.shared.clock.now();
    let charged = charge(lane, sent_at);
    let intent = Step {
        event: Some(Event::SendStarted),
        sent_at: Some(sent_at),
        // If we die from here on, the lead comes due when its request can no longer be at work.
        not_before: Some(sent_at.plus(lane.limits.timeout).plus(lane.limits.settle)),
        quota: charged.clone(),
        ..Step::of(lead)
    };
    match lane.shared.writer.commit(intent).await {
        Ok(StepOutcome::Applied { .. }) => {
            lead.state = LeadState::Sending;
            lead.sent_at = Some(sent_at);
            lead.probes = 0;
        }
        Ok(StepOutcome::QuotaUsedUp) => return (Sent::Not(quota_used_up(lane, lead).await), None),
        Ok(StepOutcome::LeaseLost) => return (Sent::Not(Settlement::Lost), None),
        Ok(outcome) => {
            lane.shared.account.bug(format!("lead {}: the intent to send was answered with {outcome:?}", lead.id));
            return (Sent::Not(Settlement::Lost), None);
        }
        Err(error) => {
            lane.database_lost(&error);
            return (Sent::Not(Settlement::PutBack), None);
        }
    }
    crash::point("create", At::Intended);
    match exchange(lane, permit, bearer.as_ref(), "create", request, still_ours(lane, lead)).await {
        Flight::Landed(exchange) => (Sent::Exchange(exchange, bearer), charged),
        Flight::Cut(exchange) => {
            if lane.destination.on_unknown() != UnknownPolicy::Hold {
                lane.shared.account.cut(lead.id);
            }
            (Sent::Exchange(exchange, bearer), charged)
        }
        Flight::Kept(why) => {
            let step = Step {
                event: Some(Event::ProvenAbsent),
                reason: Some(format!("not sent: {why}")),
                not_before: Some(sent_at),
                quota: charged.map(|charge| QuotaCharge { amount: -1, ..charge }),
                release: true,
                ..Step::of(lead)
            };
            (Sent::Not(Settlement::Judged(Judgement { steps: vec![step], next: Next::Deferred(sent_at) })), None)
        }
    }
}

/// Whether a request about this lead may leave: a slow commit, a long wait for the departure, a failed heartbeat, and another
/// worker may take the lead over while the request is under way. Then it does not leave at all. Looked at last, right
/// before it is written.
fn still_ours(lane: &Lane, lead: &Leased) -> impl Fn(Timestamp) -> bool + Send + Sync {
    let needed = lane.limits.timeout + SEND_MARGIN;
    move |now| lane.shared.leases.left(lead.id, lead.token, now) >= needed
}

/// What a create at this moment is charged to, where there is a daily limit.
fn charge(lane: &Lane, at: Timestamp) -> Option<QuotaCharge> {
    lane.limits.daily_limit.map(|limit| QuotaCharge {
        account: lane.channel.account().to_owned(),
        utc_day: at.utc_day(),
        amount: 1,
        limit,
    })
}

/// The day's creates are used up: this lead waits for tomorrow, and so does everything else of this destination.
async fn quota_used_up(lane: &Lane, lead: &Leased) -> Settlement {
    let now = lane.shared.clock.now();
    let tomorrow = now.next_utc_day();
    let why = format!("daily limit of {} creates used up", lane.limits.daily_limit.unwrap_or_default());
    // For `status`; here it is enough that nothing more is created.
    pauses::store(
        &lane.shared,
        &Pause { account: Pause::for_the_day(lane.channel.account()), until: tomorrow, why: why.clone() },
    )
    .await;
    lane.shared.account.notice(format!("{}: {why}; the rest goes on after {tomorrow}", lane.name));
    lane.creates.cancel();
    let step = Step {
        reason: Some(format!("put off: {why}")),
        not_before: Some(tomorrow),
        add_deferrals: 1,
        release: true,
        ..Step::of(lead)
    };
    Settlement::Judged(Judgement { steps: vec![step], next: Next::Scheduled(tomorrow) })
}

/// What the reply means, in words without what it may quote of the lead.
fn read(lane: &Lane, asked: Asked, prepared: &Prepared, exchange: &Exchange) -> Verdict {
    let own_word = match &exchange.result {
        Ok(reply) => lane.destination.read(asked, prepared, reply),
        Err(_) => None,
    };
    let verdict = own_word.unwrap_or_else(|| classify(asked, &exchange.result));
    match (&verdict, &exchange.result) {
        (Verdict::Accepted { .. }, Ok(reply)) if lane.destination.is_about_another(prepared, reply) => {
            Verdict::Unknown { why: format!("{} with a reply about another lead", reply.status.as_u16()) }
        }
        _ => verdict,
    }
    .discreet(prepared)
}

fn case<'a>(
    lane: &'a Lane,
    lead: &'a Leased,
    exchange: &Exchange,
    what: &str,
    verdict: &Verdict,
    charged: Option<QuotaCharge>,
) -> Case<'a> {
    let call = exchange.record(Some(lane.shared.run), Some(lead.id), &lane.name, what, verdict.to_string());
    lane.shared.account.called(&call);
    Case { call: Some(call), may_be_at_work: may_be_at_work(&exchange.result), ..bare_case(lane, lead, charged) }
}

fn bare_case<'a>(lane: &'a Lane, lead: &'a Leased, charged: Option<QuotaCharge>) -> Case<'a> {
    let now = lane.shared.clock.now();
    Case {
        lead,
        now,
        sent_at: lead.sent_at.unwrap_or(now),
        may_be_at_work: true,
        timeout: lane.limits.timeout,
        settle: lane.limits.settle,
        policy: lane.destination.on_unknown(),
        backoff: &lane.shared.backoff,
        max_attempts: lane.shared.max_attempts,
        call: None::<CallRecord>,
        charged,
    }
}

fn refused(lead: &Leased, reason: String) -> Settlement {
    let step = Step { event: Some(Event::Refused), reason: Some(reason), release: true, ..Step::of(lead) };
    Settlement::Judged(Judgement { steps: vec![step], next: Next::Finished(LeadState::Rejected) })
}

/// `ready` or `sending` without what preparing stored: another hand was at the row.
fn unprepared(lead: &Leased) -> Settlement {
    let (event, state) = match lead.state {
        LeadState::Sending => (Event::GaveUp, LeadState::Unconfirmed),
        _ => (Event::Refused, LeadState::Rejected),
    };
    let reason = "the row says that it was prepared, but what was prepared is missing; was its state changed by hand?";
    let step = Step { event: Some(event), reason: Some(reason.to_owned()), release: true, ..Step::of(lead) };
    Settlement::Judged(Judgement { steps: vec![step], next: Next::Finished(state) })
}
