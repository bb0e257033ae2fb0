use super::*;

const POLICY: fn() -> Backoff = || Backoff::new(Duration::from_millis(500), Duration::from_secs(900));

#[test]
fn delays_double_around_the_policy_and_never_pass_its_maximum() {
    for (failures, average_ms) in [(1, 500), (2, 1_000), (3, 2_000), (8, 64_000)] {
        let average = Duration::from_millis(average_ms);
        for _ in 0..200 {
            let delay = POLICY().delay(failures);
            assert!(
                delay >= average / 2 && delay <= average * 3 / 2 + Duration::from_millis(1),
                "{failures}: {delay:?}"
            );
        }
    }
    for failures in [12, 50, u32::MAX] {
        let delay = POLICY().delay(failures);
        assert!(delay >= Duration::from_secs(450) && delay <= Duration::from_secs(900), "{failures}: {delay:?}");
    }
}

#[test]
fn leads_that_failed_together_do_not_return_together() {
    let delays: std::collections::HashSet<_> = (0..50).map(|_| POLICY().delay(1)).collect();
    assert!(delays.len() > 10);
}

#[test]
fn short_waits_are_few_and_short() {
    let waits: Vec<_> = POLICY().short().collect();
    assert_eq!(waits.len(), SHORT_TRIES);
    assert!(waits.iter().all(|wait| *wait <= SHORT_MAX), "{waits:?}");
    let quick: Vec<_> = Backoff::new(Duration::from_millis(1), Duration::from_millis(2)).short().collect();
    assert!(quick.iter().all(|wait| *wait <= Duration::from_millis(2)), "{quick:?}");
    assert!(Backoff::new(Duration::ZERO, Duration::ZERO).short().all(|wait| wait.is_zero()));
}

#[test]
fn a_sick_service_uses_up_the_budget_for_repeats_and_successes_refill_it() {
    let budget = Budget::new();
    let repeats = (0..1000).filter(|_| budget.repeat()).count();
    assert_eq!(repeats, 20);
    for _ in 0..5 {
        assert!(!budget.repeat());
        budget.success();
    }
    assert!(budget.repeat());
    (0..10_000).for_each(|_| budget.success());
    assert_eq!((0..1000).filter(|_| budget.repeat()).count(), 20);
}

#[test]
fn only_failures_in_a_row_open_the_breaker_and_any_answer_closes_it() {
    let breaker = Breaker::new(3);
    for _ in 0..10 {
        breaker.failure("timed out");
        breaker.failure("timed out");
        assert_eq!(breaker.is_open(), None);
        breaker.success();
    }
    (0..3).for_each(|_| breaker.failure("connection refused"));
    assert_eq!(breaker.is_open().as_deref(), Some("3 failures in a row, the last: connection refused"));
    breaker.success();
    assert_eq!(breaker.is_open(), None);
    let named = Breaker::new(1).counting("doubts");
    named.failure("302 Found");
    assert_eq!(named.is_open().as_deref(), Some("1 doubts in a row, the last: 302 Found"));
}
