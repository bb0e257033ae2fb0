//! From a verdict to what is written down: pure, so that every rule of "what then?" can be read and tested in one place.
//!
//! The rule behind the rules: only what certainly was not processed may be sent again. Everything else is looked up first,
//! or repeated where that makes nothing new ([`UnknownPolicy`]), and not before the first request can no longer be at work.

use std::ops::ControlFlow;
use std::time::Duration;

use super::pauses::is_for_the_day;
use crate::clock::Timestamp;
use crate::connectors::{UnknownPolicy, Verdict};
use crate::http::retry::Backoff;
use crate::lead::{Event, LeadState};
use crate::store::{CallRecord, Leased, QuotaCharge, Step};

/// What there is to know when a reply, or its absence, is judged.
pub struct Case<'a> {
    pub lead: &'a Leased,
    pub now: Timestamp,
    /// When the last create request left.
    pub sent_at: Timestamp,
    /// The first request may still be at work remotely: no complete reply, or a gateway that gave up waiting.
    pub may_be_at_work: bool,
    /// How long a request may take.
    pub timeout: Duration,
    /// How long the API is given before it is asked whether the lead is there.
    pub settle: Duration,
    pub policy: UnknownPolicy,
    pub backoff: &'a Backoff,
    /// Create requests that may fail, and questions that may stay without answer.
    pub max_attempts: u32,
    /// The call that led here; `None` if none did.
    pub call: Option<CallRecord>,
    /// What the create was charged to.
    pub charged: Option<QuotaCharge>,
}

/// What is written down, and what it means for the lead in this run.
#[derive(Debug)]
pub struct Judgement {
    /// In order; usually one.
    pub steps: Vec<Step>,
    pub next: Next,
}

/// Where a judged lead goes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It reached this final state.
    Finished(LeadState),
    /// Put down; it comes due again at this moment.
    Deferred(Timestamp),
    /// Put down until then for a reason that is nobody's failure: a daily quota or budget.
    Scheduled(Timestamp),
    /// Still leased and ready: the token was no longer good, nothing else happened.
    Again,
    /// Put down untouched: the account is wrong, not the lead.
    Halted,
}

/// Longest wait where nobody said how long. A lead's own count of puttings-off says how long the *account* has been out
/// of order, so it must not keep the lead away long after the account is back.
const UNTOLD_MAX: Duration = Duration::from_secs(30);

/// How long a lead that was put off this many times waits, where nobody said how long.
pub fn untold(backoff: &Backoff, deferrals: u32) -> Duration {
    backoff.delay(deferrals.saturating_add(1)).min(UNTOLD_MAX)
}

/// Put down until the account may be called again: tomorrow, by nobody's failure, if its day's calls are used up.
fn away(until: Timestamp, why: &str) -> Next {
    if is_for_the_day(why) { Next::Scheduled(until) } else { Next::Deferred(until) }
}

/// When an unknown outcome may be looked into.
pub fn settled_at(
    sent_at: Timestamp,
    now: Timestamp,
    may_be_at_work: bool,
    timeout: Duration,
    settle: Duration,
) -> Timestamp {
    let settled = now.plus(settle);
    if may_be_at_work { settled.max(sent_at.plus(timeout).plus(settle)) } else { settled }
}

impl Case<'_> {
    fn step(&self, event: Option<Event>, reason: impl Into<String>) -> Step {
        Step { event, reason: Some(reason.into()), ..Step::of(self.lead) }
    }

    /// How long a lead that was put off waits: as the server says, unless that is no time at all.
    fn pause(&self, wait: Option<Duration>) -> Duration {
        wait.filter(|wait| !wait.is_zero()).unwrap_or_else(|| untold(self.backoff, self.lead.deferrals))
    }

    /// Takes back the charge of a create that did not happen.
    fn refund(&self) -> Option<QuotaCharge> {
        self.charged.clone().map(|charge| QuotaCharge { amount: -charge.amount, ..charge })
    }

    fn judged(self, mut steps: Vec<Step>, next: Next) -> Judgement {
        if let Some(first) = steps.first_mut() {
            first.calls.extend(self.call);
        }
        if let Some(last) = steps.last_mut() {
            last.release = !matches!(next, Next::Again);
        }
        Judgement { steps, next }
    }

    fn accepted(self, remote_id: Option<String>, reason: Option<String>) -> Judgement {
        let step = Step { event: Some(Event::Accepted), remote_id, reason, ..Step::of(self.lead) };
        self.judged(vec![step], Next::Finished(LeadState::Delivered))
    }

    /// Not processed for certain and no fault of the lead: back to ready, no attempt spent.
    fn put_off(self, wait: Option<Duration>, why: String) -> Judgement {
        let due = self.now.plus(self.pause(wait));
        let step = Step {
            not_before: Some(due),
            add_deferrals: 1,
            quota: self.refund(),
            ..self.step(Some(Event::ProvenAbsent), format!("put off: {why}"))
        };
        self.judged(vec![step], away(due, &why))
    }

    /// The create failed and certainly left nothing behind: one attempt spent, perhaps the last.
    fn failed(self, why: String) -> Judgement {
        let attempts = self.lead.attempts + 1;
        let absent =
            Step { add_attempts: 1, quota: self.refund(), ..self.step(Some(Event::ProvenAbsent), why.clone()) };
        if attempts >= self.max_attempts {
            let gave_up = self.step(Some(Event::GaveUp), format!("gave up after {attempts} attempts; the last: {why}"));
            return self.judged(vec![absent, gave_up], Next::Finished(LeadState::Exhausted));
        }
        let due = self.now.plus(self.backoff.delay(attempts));
        self.judged(vec![Step { not_before: Some(due), ..absent }], Next::Deferred(due))
    }

    /// Nothing can tell whether it is there: for a person.
    pub fn unconfirmed(self, why: String) -> Judgement {
        let step = self.step(Some(Event::GaveUp), why);
        self.judged(vec![step], Next::Finished(LeadState::Unconfirmed))
    }

    /// What follows from looking for a lead before creating it, unless it is absent: then it is created.
    pub fn after_look_first(self, verdict: Verdict) -> Judgement {
        match self.not_answered("put off before it was looked for", "not sent", verdict) {
            ControlFlow::Break(judgement) => judgement,
            ControlFlow::Continue((
                case,
                Verdict::Refused { reason, .. } | Verdict::RefusedUnlessThere { reason, .. },
            )) => case.not_found_out(format!("the look-up was refused: {reason}")),
            ControlFlow::Continue((case, Verdict::Unknown { why })) => case.not_found_out(why),
            ControlFlow::Continue((case, accepted @ Verdict::Accepted { .. })) => case.after_create(accepted),
            ControlFlow::Continue((case, _)) => case.not_found_out("the reply made no sense".to_owned()),
        }
    }

    /// A question that the account did not come to: put down until it does, in these words. Else the verdict is back.
    fn not_answered(self, later: &str, halted: &str, verdict: Verdict) -> ControlFlow<Judgement, (Self, Verdict)> {
        ControlFlow::Break(match verdict {
            Verdict::NotNow { wait, why } => {
                let due = self.now.plus(self.pause(wait));
                let step =
                    Step { not_before: Some(due), add_deferrals: 1, ..self.step(None, format!("{later}: {why}")) };
                self.judged(vec![step], away(due, &why))
            }
            Verdict::AuthExpired => {
                let step = self.step(None, "the access token was refused (401)");
                self.judged(vec![step], Next::Again)
            }
            Verdict::AccountWrong { reason, .. } => {
                let now = self.now;
                let step = Step { not_before: Some(now), ..self.step(None, format!("{halted}: {reason}")) };
                self.judged(vec![step], Next::Halted)
            }
            other => return ControlFlow::Continue((self, other)),
        })
    }

    /// Nobody knows whether it is there already, so it is not created.
    fn not_found_out(self, why: String) -> Judgement {
        let probes = self.lead.probes + 1;
        if probes >= self.max_attempts {
            let why = format!("not sent: asked {probes} times whether it is there already, the last time: {why}");
            let step = self.step(Some(Event::GaveUp), why);
            return self.judged(vec![step], Next::Finished(LeadState::Exhausted));
        }
        let due = self.now.plus(self.backoff.delay(probes).max(self.settle));
        let step = Step {
            not_before: Some(due),
            add_probes: 1,
            ..self.step(None, format!("put off, since it is unknown whether it is there already: {why}"))
        };
        self.judged(vec![step], Next::Deferred(due))
    }

    /// It is there, under this number, and what belongs to it is not: done later, and never created again.
    pub fn incomplete(self, remote_id: Option<String>, why: &str, not_before: Option<Timestamp>) -> Judgement {
        let due = self.now.plus(self.backoff.delay(self.lead.probes + 1).max(self.settle));
        let due = due.max(not_before.unwrap_or(due));
        let said = format!("it is there, but not yet complete: {why}");
        let step = Step { remote_id, not_before: Some(due), add_probes: 1, ..self.step(None, said) };
        self.judged(vec![step], away(due, why))
    }

    /// Written down, and gone on with: another question follows at once.
    pub fn asked_again(self, why: impl Into<String>) -> Judgement {
        let step = self.step(None, why);
        self.judged(vec![step], Next::Again)
    }

    /// What follows from the reply to a create.
    pub fn after_create(self, verdict: Verdict) -> Judgement {
        match verdict {
            Verdict::Accepted { remote_id, already, note } => {
                let reason = match (already, note) {
                    (true, None) => Some("was already there".to_owned()),
                    (true, Some(note)) => Some(format!("was already there; {note}")),
                    (false, note) => note,
                };
                self.accepted(remote_id, reason)
            }
            Verdict::Refused { field, reason } => {
                let reason = field.map(|field| format!("{field}: {reason}")).unwrap_or(reason);
                if self.policy == UnknownPolicy::Retry && self.lead.attempts > 0 {
                    // Under this policy an attempt that failed is one of which nobody knows whether it arrived.
                    return self.unconfirmed(format!(
                        "may be there: repeated after an unknown outcome, and refused: {reason}"
                    ));
                }
                let quota = self.refund();
                let step = Step { quota, ..self.step(Some(Event::Refused), reason) };
                self.judged(vec![step], Next::Finished(LeadState::Rejected))
            }
            Verdict::NotNow { wait, why } => self.put_off(wait, why),
            Verdict::AuthExpired => {
                let quota = self.refund();
                let step = Step { quota, ..self.step(Some(Event::ProvenAbsent), "the access token was refused (401)") };
                self.judged(vec![step], Next::Again)
            }
            Verdict::AccountWrong { reason, .. } => {
                let quota = self.refund();
                let now = self.now;
                let step = Step {
                    quota,
                    not_before: Some(now),
                    ..self.step(Some(Event::ProvenAbsent), format!("not sent: {reason}"))
                };
                self.judged(vec![step], Next::Halted)
            }
            // Nobody could look: as good as unknown.
            Verdict::RefusedUnlessThere { reason, .. } => {
                self.unknown(format!("refused, but it may be there: {reason}"))
            }
            // "Absent" is no answer to a create.
            Verdict::Absent => self.unknown("the reply made no sense".to_owned()),
            Verdict::Unknown { why } => self.unknown(why),
        }
    }

    /// Nobody knows whether the create arrived.
    fn unknown(self, why: String) -> Judgement {
        if self.policy == UnknownPolicy::Hold {
            return self.unconfirmed(format!("may be there: {why}"));
        }
        let due = settled_at(self.sent_at, self.now, self.may_be_at_work, self.timeout, self.settle);
        let step = Step { not_before: Some(due), ..self.step(None, format!("unknown whether it arrived: {why}")) };
        self.judged(vec![step], Next::Deferred(due))
    }

    /// What follows from the reply to "is it there?".
    pub fn after_find(self, verdict: Verdict) -> Judgement {
        match self.not_answered("not looked up yet", "not looked up", verdict) {
            ControlFlow::Break(judgement) => judgement,
            ControlFlow::Continue((case, Verdict::Accepted { remote_id, note, .. })) => {
                case.confirmed("found there after an unknown outcome", remote_id, note)
            }
            ControlFlow::Continue((case, Verdict::Absent)) => case.failed(
                "looked for after an unknown outcome, and not there: the create request led to no lead".to_owned(),
            ),
            ControlFlow::Continue((
                case,
                Verdict::Refused { reason, .. } | Verdict::RefusedUnlessThere { reason, .. },
            )) => case.no_answer(format!("the look-up was refused: {reason}")),
            ControlFlow::Continue((case, Verdict::Unknown { why })) => case.no_answer(why),
            ControlFlow::Continue((case, other)) => case.no_answer(other.to_string()),
        }
    }

    /// What follows from the reply to a create that was repeated, unless that was refused: then it is looked for.
    pub fn after_repeat(self, verdict: Verdict) -> Judgement {
        match self.not_answered("not sent again yet", "not sent again", verdict) {
            ControlFlow::Break(judgement) => judgement,
            ControlFlow::Continue((case, Verdict::Accepted { remote_id, note, .. })) => {
                case.confirmed("sent again after an unknown outcome", remote_id, note)
            }
            ControlFlow::Continue((case, Verdict::Unknown { why })) => case.no_answer(why),
            ControlFlow::Continue((case, other)) => case.no_answer(other.to_string()),
        }
    }

    /// It is there, as is known in this way and not from the create's own reply.
    fn confirmed(self, how: &str, remote_id: Option<String>, note: Option<String>) -> Judgement {
        let reason = note.map_or_else(|| how.to_owned(), |note| format!("{how}; {note}"));
        self.accepted(remote_id, Some(reason))
    }

    /// The question whether it is there stayed without answer.
    fn no_answer(self, why: String) -> Judgement {
        let probes = self.lead.probes + 1;
        if probes >= self.max_attempts {
            return self.unconfirmed(format!("may be there; asked {probes} times without an answer, the last: {why}"));
        }
        let settled = settled_at(self.sent_at, self.now, self.may_be_at_work, self.timeout, self.settle);
        let due = self.now.plus(self.backoff.delay(probes)).max(settled);
        let step = Step {
            not_before: Some(due),
            add_probes: 1,
            ..self.step(None, format!("unknown whether it is there: {why}"))
        };
        self.judged(vec![step], Next::Deferred(due))
    }

    /// What becomes of a lead found `sending` that can't be asked for: the policy without a question.
    pub fn without_question(self) -> Judgement {
        match self.policy {
            UnknownPolicy::Retry if self.lead.attempts + 1 >= self.max_attempts => {
                let attempts = self.lead.attempts + 1;
                let why =
                    format!("may be there: gave up after {attempts} requests, and nobody knows which of them arrived");
                let step = Step { add_attempts: 1, ..self.step(Some(Event::GaveUp), why) };
                self.judged(vec![step], Next::Finished(LeadState::Unconfirmed))
            }
            UnknownPolicy::Retry => {
                // Not proven absent: the first one stays charged to the daily limit.
                let unproven = Self { charged: None, ..self };
                unproven
                    .failed("nobody knows whether it arrived; sent again, as `unknown = \"retry\"` allows".to_owned())
            }
            UnknownPolicy::Find | UnknownPolicy::Repeat | UnknownPolicy::Hold => self.unconfirmed(
                "may be there: the create request was cut off, and this destination can't be asked".to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
