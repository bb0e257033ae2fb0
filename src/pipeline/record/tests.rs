use super::*;
use crate::lead::{LeadId, RawLead};
use crate::store::LeaseToken;

const NOW: Timestamp = Timestamp::from_ms(1_000_000);
const SENT: Timestamp = Timestamp::from_ms(999_000);
const TIMEOUT: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_secs(5);

fn lead(state: LeadState) -> Leased {
    Leased {
        id: LeadId(7),
        token: LeaseToken(11),
        expires: NOW.plus(Duration::from_secs(60)),
        state,
        raw: RawLead::default(),
        destination: "crm".to_owned(),
        origin: None,
        prepared: None,
        attempts: 0,
        deferrals: 0,
        probes: 0,
        remote_id: None,
        sent_at: Some(SENT),
        first_in_run: true,
    }
}

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(500), Duration::from_secs(900))
}

fn case<'a>(lead: &'a Leased, backoff: &'a Backoff, policy: UnknownPolicy) -> Case<'a> {
    Case {
        lead,
        now: NOW,
        sent_at: SENT,
        may_be_at_work: true,
        timeout: TIMEOUT,
        settle: SETTLE,
        policy,
        backoff,
        max_attempts: 3,
        call: None,
        charged: Some(QuotaCharge { account: "crm".to_owned(), utc_day: 1, amount: 1, limit: 10 }),
    }
}

fn unknown() -> Verdict {
    Verdict::Unknown { why: "timed out".to_owned() }
}

/// Every step must be a legal move from where the lead is, and lead where the judgement says.
fn check_moves(from: LeadState, judgement: &Judgement) -> LeadState {
    let mut state = from;
    for step in &judgement.steps {
        if let Some(event) = step.event {
            state = state.next(event).expect("a judgement makes only legal moves");
        }
    }
    if let Next::Finished(end) = judgement.next {
        assert_eq!(state, end);
    } else {
        assert!(!state.is_final());
    }
    assert_eq!(judgement.steps.last().unwrap().release, judgement.next != Next::Again);
    state
}

fn every_verdict() -> Vec<Verdict> {
    let text = || "words".to_owned();
    vec![
        Verdict::Accepted { remote_id: Some(text()), already: false, note: None },
        Verdict::Accepted { remote_id: None, already: true, note: Some(text()) },
        Verdict::Absent,
        Verdict::Refused { field: Some(text()), reason: text() },
        Verdict::NotNow { wait: None, why: text() },
        unknown(),
        Verdict::AuthExpired,
        Verdict::AccountWrong { reason: text(), remedy: text() },
    ]
}

#[test]
fn every_verdict_leads_to_legal_moves_under_every_policy() {
    let backoff = backoff();
    for policy in [UnknownPolicy::Find, UnknownPolicy::Repeat, UnknownPolicy::Hold, UnknownPolicy::Retry] {
        for used in [0, 2] {
            let lead = Leased { attempts: used, probes: used, ..lead(LeadState::Sending) };
            for verdict in every_verdict() {
                check_moves(LeadState::Sending, &case(&lead, &backoff, policy).after_create(verdict.clone()));
                check_moves(LeadState::Sending, &case(&lead, &backoff, policy).after_find(verdict.clone()));
                check_moves(LeadState::Sending, &case(&lead, &backoff, policy).after_repeat(verdict));
            }
            check_moves(LeadState::Sending, &case(&lead, &backoff, policy).without_question());
        }
    }
}

#[test]
fn a_lost_reply_stays_sending_until_the_request_can_no_longer_be_at_work() {
    let (lead, backoff) = (lead(LeadState::Sending), backoff());
    let judgement = case(&lead, &backoff, UnknownPolicy::Find).after_create(unknown());
    assert_eq!(check_moves(LeadState::Sending, &judgement), LeadState::Sending);
    assert_eq!(judgement.next, Next::Deferred(SENT.plus(TIMEOUT).plus(SETTLE)));
    assert_eq!(judgement.steps[0].not_before, Some(SENT.plus(TIMEOUT).plus(SETTLE)));
    assert_eq!((judgement.steps[0].add_attempts, judgement.steps[0].quota.clone()), (0, None));
}

#[test]
fn a_complete_server_error_is_looked_into_after_the_settle_time() {
    let (lead, backoff) = (lead(LeadState::Sending), backoff());
    let case = Case { may_be_at_work: false, ..case(&lead, &backoff, UnknownPolicy::Find) };
    assert_eq!(case.after_create(unknown()).next, Next::Deferred(NOW.plus(SETTLE)));
}

#[test]
fn what_may_be_there_is_held_for_a_person_if_the_policy_says_so() {
    let (lead, backoff) = (lead(LeadState::Sending), backoff());
    let judgement = case(&lead, &backoff, UnknownPolicy::Hold).after_create(unknown());
    assert_eq!(judgement.next, Next::Finished(LeadState::Unconfirmed));
}

#[test]
fn a_429_spends_no_attempt_and_gives_the_quota_back() {
    let (lead, backoff) = (lead(LeadState::Sending), backoff());
    let wait = Some(Duration::from_secs(3_600));
    let judgement =
        case(&lead, &backoff, UnknownPolicy::Find).after_create(Verdict::NotNow { wait, why: "429".to_owned() });
    assert_eq!(check_moves(LeadState::Sending, &judgement), LeadState::Ready);
    let step = &judgement.steps[0];
    assert_eq!((step.add_attempts, step.add_deferrals), (0, 1));
    assert_eq!(step.not_before, Some(NOW.plus(Duration::from_secs(3_600))));
    assert_eq!(step.quota.as_ref().map(|charge| charge.amount), Some(-1));
}

#[test]
fn proven_absent_spends_an_attempt_and_the_last_one_exhausts() {
    let backoff = backoff();
    let first = lead(LeadState::Sending);
    let judgement = case(&first, &backoff, UnknownPolicy::Find).after_find(Verdict::Absent);
    assert_eq!(check_moves(LeadState::Sending, &judgement), LeadState::Ready);
    assert_eq!(judgement.steps[0].add_attempts, 1);
    let last = Leased { attempts: 2, ..lead(LeadState::Sending) };
    let judgement = case(&last, &backoff, UnknownPolicy::Find).after_find(Verdict::Absent);
    assert_eq!(check_moves(LeadState::Sending, &judgement), LeadState::Exhausted);
    assert_eq!(judgement.steps[0].add_attempts, 1);
}

#[test]
fn a_probe_that_never_answers_ends_as_unconfirmed_and_never_as_exhausted() {
    let backoff = backoff();
    let asked_often = Leased { probes: 2, ..lead(LeadState::Sending) };
    for verdict in [unknown(), Verdict::Refused { field: None, reason: "no".to_owned() }] {
        let judgement = case(&asked_often, &backoff, UnknownPolicy::Find).after_find(verdict);
        assert_eq!(judgement.next, Next::Finished(LeadState::Unconfirmed));
    }
}

#[test]
fn a_wrong_account_costs_the_lead_nothing() {
    let (lead, backoff) = (lead(LeadState::Sending), backoff());
    let wrong = Verdict::AccountWrong { reason: "403".to_owned(), remedy: "mend it".to_owned() };
    let judgement = case(&lead, &backoff, UnknownPolicy::Find).after_create(wrong);
    let step = &judgement.steps[0];
    assert_eq!((step.add_attempts, step.add_deferrals, step.not_before), (0, 0, Some(NOW)));
    assert_eq!(judgement.next, Next::Halted);
}

#[test]
fn a_delivery_known_from_the_create_itself_needs_no_reason() {
    let (lead, backoff) = (lead(LeadState::Sending), backoff());
    let accepted = Verdict::Accepted { remote_id: Some("9".to_owned()), already: false, note: None };
    let judgement = case(&lead, &backoff, UnknownPolicy::Find).after_create(accepted);
    assert_eq!(judgement.steps[0].reason, None);
    assert_eq!(judgement.steps[0].remote_id.as_deref(), Some("9"));
}

#[test]
fn a_lead_that_was_put_off_often_does_not_stay_away_long_after_the_account_is_back() {
    let backoff = backoff();
    for often in [0, 5, 100] {
        let lead = Leased { deferrals: often, ..lead(LeadState::Sending) };
        let verdict = Verdict::NotNow { wait: None, why: "connection refused".to_owned() };
        let judgement = case(&lead, &backoff, UnknownPolicy::Find).after_create(verdict);
        let Next::Deferred(due) = judgement.next else { panic!("{judgement:?}") };
        assert!(due <= NOW.plus(Duration::from_secs(30)), "{often}: {due}");
        assert_eq!(judgement.steps[0].add_attempts, 0);
    }
}

#[test]
fn a_repeat_that_fails_does_not_prove_that_the_first_request_did() {
    let backoff = backoff();
    let last = Leased { attempts: 2, ..lead(LeadState::Sending) };
    let judgement = Case { max_attempts: 3, ..case(&last, &backoff, UnknownPolicy::Retry) }.without_question();
    assert_eq!(check_moves(LeadState::Sending, &judgement), LeadState::Unconfirmed);
    assert_eq!(judgement.steps.iter().map(|step| step.add_attempts).sum::<u32>(), 1);
    let refused = || Verdict::Refused { field: None, reason: "422".to_owned() };
    let judgement = case(&last, &backoff, UnknownPolicy::Retry).after_create(refused());
    assert_eq!(check_moves(LeadState::Sending, &judgement), LeadState::Unconfirmed);
    // Where nothing was unknown, a refusal is a refusal: the first request, and one after a proof of absence.
    for (first, policy) in [(0, UnknownPolicy::Retry), (2, UnknownPolicy::Find)] {
        let lead = Leased { attempts: first, ..lead(LeadState::Sending) };
        let judgement = case(&lead, &backoff, policy).after_create(refused());
        assert_eq!(check_moves(LeadState::Sending, &judgement), LeadState::Rejected);
    }
}

#[test]
fn a_create_that_is_repeated_on_suspicion_stays_charged_to_the_daily_limit() {
    let (lead, backoff) = (lead(LeadState::Sending), backoff());
    let judgement = case(&lead, &backoff, UnknownPolicy::Retry).without_question();
    assert!(judgement.steps.iter().all(|step| step.quota.is_none()), "{judgement:?}");
    let absent = case(&lead, &backoff, UnknownPolicy::Find).after_find(Verdict::Absent);
    assert_eq!(absent.steps[0].quota.as_ref().map(|quota| quota.amount), Some(-1));
}
