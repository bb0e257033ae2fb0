//! Runs over a real database against the sandbox: what holds when an account asks for pauses, the run is told to stop,
//! or the database goes away.

mod support;

#[path = "pipeline/bench.rs"]
mod bench;
#[path = "pipeline/flaky.rs"]
mod flaky;

use std::time::Duration;

use bench::Bench;
use leadsync::clock::{Clock, SystemClock};
use leadsync::exit::Exit;
use leadsync::lead::{Event, LeadState};
use leadsync::pipeline::run::RunOptions;
use leadsync::sandbox::{SandboxOptions, Timing};
use leadsync::store::{Due, LeaseRequest, Step, StepOutcome};

/// Far less than any time-out, and enough for a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// Leases that lapse, and patience that ends, within a test.
const SHORT_LEASES: &str = "lease = \"6s\"\ngrace = \"1s\"\n[destinations.7targets]\ntimeout = \"1s\"\nsettle = \"100ms\"\n\
                            [enrich]\ntimeout = \"1s\"";

fn pausing(pause: Duration) -> SandboxOptions {
    SandboxOptions { timing: Timing { pause, ..Timing::default() }, ..SandboxOptions::default() }
}

fn unlimited(mut options: SandboxOptions) -> SandboxOptions {
    options.seven_targets.rate = None;
    options.live_data.rate = None;
    options
}

#[tokio::test]
async fn a_pause_of_an_hour_ends_the_run_with_4_and_the_next_run_keeps_it() {
    let bench = Bench::new(pausing(Duration::from_secs(3600)), "").await;
    bench.faults("create:429=#1");
    bench.enqueue(6).await;
    let summary = bench.run_within(SOON, &RunOptions::default()).await;
    assert!(summary.balances(), "{summary:?}");
    assert_eq!(summary.halts.len(), 1, "{summary:?}");
    assert_eq!(summary.halts[0].exit, Exit::Unavailable);
    assert!(summary.halts[0].reason.starts_with("paused until "), "{:?}", summary.halts);
    assert!(summary.deferred_waiting >= 1);
    let leads = bench.leads().await;
    let soon = SystemClock.now().plus(Duration::from_secs(3500));
    assert_eq!(
        leads.iter().filter(|lead| lead.not_before > soon).count(),
        1,
        "only who was told waits by its own time"
    );
    assert!(leads.iter().all(|lead| lead.attempts == 0 && lead.lease_expires.is_none()));

    bench.faults("");
    // Those of before may all have left before the pause was known: somebody has to want something of the account.
    bench.enqueue_for("7targets", 1, 6).await;
    let before = bench.requests("create");
    let again = bench.run_within(SOON, &RunOptions::default()).await;
    assert_eq!(bench.requests("create"), before, "the account was called during its pause");
    assert_eq!(again.halts.first().map(|halt| halt.exit), Some(Exit::Unavailable));
    assert!(again.balances());
}

#[tokio::test]
async fn an_account_that_asks_for_pauses_for_ever_does_not_keep_a_run_alive() {
    let bench = Bench::new(pausing(Duration::from_secs(1)), "wait = \"1s\"").await;
    bench.faults("create:429=100%");
    bench.enqueue(30).await;
    let summary = bench.run_within(SOON, &RunOptions::default()).await;
    assert!(summary.balances(), "{summary:?}");
    assert_eq!(summary.halts.first().map(|halt| halt.exit), Some(Exit::Unavailable));
    assert!(bench.leads().await.iter().all(|lead| !lead.state.is_final() && lead.attempts == 0));
}

#[tokio::test]
async fn a_short_pause_is_waited_for() {
    let bench = Bench::new(pausing(Duration::from_secs(1)), "").await;
    bench.faults("create:429=#2");
    bench.enqueue(5).await;
    let summary = bench.run_within(SOON, &RunOptions::default()).await;
    assert_eq!((summary.counts.delivered, summary.deferred_waiting, summary.halts.len()), (5, 0, 0), "{summary:?}");
}

/// Far above what a look before the next create takes, so that the second look follows the first.
const QUICK_LOOKS: &str = "[destinations.7targets]\nconcurrency = 8\nsettle = \"50ms\"";

#[tokio::test]
async fn a_pause_asked_for_by_a_503_is_kept_and_its_lead_is_looked_for() {
    for (fault, lead) in [("create:503-seconds=#2", true), ("create:500=#2,update:503-seconds=#1", false)] {
        let bench = Bench::new(pausing(Duration::from_secs(1)), QUICK_LOOKS).await;
        bench.faults(fault);
        bench.enqueue(30).await;
        let summary = bench.run_within(SOON, &RunOptions::default()).await;
        assert_eq!(
            (summary.counts.delivered, summary.deferred_waiting, summary.halts.len()),
            (30, 0, 0),
            "{summary:?}"
        );
        assert!(bench.ledger_has_each_once(30));
        // What was on its way can't be called back.
        assert!(bench.in_pause() < 8, "{fault}: {}", bench.in_pause());
        assert!(bench.requests("update") > usize::from(!lead), "in doubt, and looked for");
    }

    let bench = Bench::new(pausing(Duration::from_secs(3600)), QUICK_LOOKS).await;
    bench.faults("create:503-seconds=#1");
    bench.enqueue(60).await;
    let summary = bench.run_within(SOON, &RunOptions::default()).await;
    assert_eq!(summary.halts.first().map(|halt| halt.exit), Some(Exit::Unavailable), "{summary:?}");
    assert!(summary.halts[0].reason.contains("503 Service Unavailable (`Retry-After`)"), "{summary:?}");
    let pauses = bench.db.store.pauses(SystemClock.now()).await.unwrap();
    assert!(pauses.iter().any(|pause| pause.until > SystemClock.now().plus(Duration::from_secs(3500))), "{pauses:?}");
    assert!(bench.leads().await.iter().all(|lead| lead.attempts == 0));
}

#[tokio::test]
async fn creates_that_lead_to_nothing_known_one_after_the_other_end_the_run() {
    // A success that isn't one, with the looks in between finding nobody; a page, with the looks finding everybody.
    for (fault, said) in [("error-body", "200"), ("html", "201")] {
        let bench = Bench::new(unlimited(SandboxOptions::default()), QUICK_LOOKS).await;
        bench.faults(&format!("create:{fault}=100%"));
        bench.enqueue(150).await;
        let summary = bench.run_within(SOON, &RunOptions::default()).await;
        assert!(summary.balances(), "{summary:?}");
        assert_eq!(summary.halts.len(), 1, "{summary:?}");
        let halt = &summary.halts[0];
        assert_eq!(halt.exit, Exit::Unavailable);
        let (reason, remedy) = (&halt.reason, halt.remedy.as_deref().unwrap_or_default());
        assert!(
            reason.contains("creates with an unknown outcome in a row, the last: ") && reason.contains(said),
            "{halt:?}"
        );
        assert!(remedy.contains("check the address and the login"), "{halt:?}");
        let creates = bench.requests("create");
        assert!((10..=18).contains(&creates), "those under way besides the ten: {creates}");
        let leads = bench.leads().await;
        assert!(leads.iter().all(|lead| lead.attempts <= 1 && lead.lease_expires.is_none()), "{leads:?}");
        assert_eq!(
            leads.iter().filter(|lead| lead.attempts == 0 && lead.state == LeadState::Delivered).count() as i64,
            summary.counts.delivered
        );
        assert_eq!((summary.counts.exhausted, summary.counts.unconfirmed), (0, 0), "{summary:?}");
    }
}

#[tokio::test]
async fn doubts_with_a_create_that_was_understood_in_between_end_nothing() {
    let bench =
        Bench::new(unlimited(SandboxOptions::default()), "[destinations.7targets]\nconcurrency = 1\nsettle = \"50ms\"")
            .await;
    // Nine in a row, then one that is accepted, or refused.
    bench.faults("create:html=#1+2+3+4+5+6+7+8+9+11+12+13+14+15+16+17+18+19,create:error-body=#21+22+23+24+25+26+27,create:400=#20");
    bench.enqueue(40).await;
    let summary = bench.run_within(SOON, &RunOptions::default()).await;
    assert_eq!((summary.counts.delivered, summary.counts.rejected), (39, 1), "{summary:?}");
    assert_eq!(summary.halts, [], "{summary:?}");
}

#[tokio::test]
async fn what_the_grace_time_cuts_stays_sending_without_a_lease_and_everything_else_is_given_back() {
    let bench = Bench::new(SandboxOptions::default(), "grace = \"300ms\"").await;
    bench.faults("create:hang=100%");
    bench.enqueue(40).await;
    let summary = bench.run_stopped_when(|bench| bench.requests("create") >= 3, SOON).await;
    assert!(summary.balances() && summary.interrupted, "{summary:?}");
    assert!(summary.cut.len() >= 3, "{:?}", summary.cut);
    for lead in bench.leads().await {
        let sending = summary.cut.contains(&lead.id);
        assert_eq!(lead.state == LeadState::Sending, sending, "{lead:?}");
        assert_eq!(lead.lease_expires, None, "{lead:?}");
        if sending {
            assert!(lead.not_before > SystemClock.now().plus(Duration::from_secs(20)), "asked for too early: {lead:?}");
            let calls = bench.db.store.calls_of(lead.id).await.unwrap();
            assert!(calls.iter().any(|call| call.verdict.contains("cut off")), "{calls:?}");
        }
    }
}

#[tokio::test]
async fn a_stop_during_look_ups_sends_nobody_without_one() {
    let bench = Bench::new(SandboxOptions::default(), "grace = \"300ms\"\n[enrich]\nwhen_unavailable = \"send\"").await;
    bench.faults("find:hang=100%");
    bench.enqueue(10).await;
    let summary = bench.run_stopped_when(|bench| bench.requests("find") >= 1, SOON).await;
    assert!(summary.balances(), "{summary:?}");
    let leads = bench.leads().await;
    assert!(leads.iter().all(|lead| lead.state == LeadState::Received && lead.lease_expires.is_none()), "{leads:?}");
    assert!(leads.iter().all(|lead| lead.deferrals == 0), "a stop is nobody's failure");
}

#[tokio::test]
async fn a_database_that_goes_away_and_comes_back_costs_nothing() {
    let bench = Bench::new(SandboxOptions::default(), "").await;
    bench.enqueue(60).await;
    let summary = bench
        .run_meanwhile(SOON, async |bench| {
            bench.until(|bench| bench.requests("create") >= 5).await;
            bench.flaky.go_away();
            tokio::time::sleep(Duration::from_secs(2)).await;
            bench.flaky.come_back();
        })
        .await;
    assert_eq!((summary.counts.delivered, summary.halts.len()), (60, 0), "{summary:?}");
    assert!(summary.balances() && summary.bugs.is_empty(), "{summary:?}");
    assert!(bench.ledger_has_each_once(60));
}

#[tokio::test]
async fn an_answer_that_the_database_lost_on_its_way_is_no_bug_and_nothing_twice() {
    let bench = Bench::new(SandboxOptions::default(), SHORT_LEASES).await;
    bench.enqueue(20).await;
    // Done, but not answered: leasing, intents, outcomes.
    bench.flaky.lose_answers(5);
    let summary = bench.run_within(Duration::from_secs(40), &RunOptions::default()).await;
    assert!(summary.balances() && summary.bugs.is_empty(), "{summary:?}");
    assert_eq!(summary.counts.delivered, 20, "{summary:?}");
    assert!(bench.ledger_has_each_once(20));
}

#[tokio::test]
async fn deliveries_that_cannot_be_recorded_are_named_and_found_by_the_next_run() {
    let bench =
        Bench::new(SandboxOptions { latency: Duration::from_millis(500), ..SandboxOptions::default() }, SHORT_LEASES)
            .await;
    bench.enqueue(3).await;
    let summary = bench
        .run_meanwhile(Duration::from_secs(40), async |bench| {
            bench.until(|bench| bench.sent() >= 3).await;
            bench.flaky.refuse_writes();
            bench.until(|bench| bench.flaky.gave_up()).await;
        })
        .await;
    bench.flaky.come_back();
    assert!(summary.notices.iter().any(|it| it.starts_with("delivered, but the database was away")), "{summary:?}");
    assert!(summary.halts.iter().any(|halt| halt.account == "database" && halt.exit == Exit::Unavailable));
    assert!(summary.balances() && summary.bugs.is_empty(), "{summary:?}");
    assert!(bench.leads().await.iter().all(|lead| lead.state == LeadState::Sending));

    let next = bench.run_within(Duration::from_secs(40), &RunOptions::default()).await;
    assert_eq!(next.counts.delivered, 3, "{next:?}");
    assert!(bench.ledger_has_each_once(3));
}

#[tokio::test]
async fn a_daily_limit_sends_so_many_and_the_rest_waits_for_tomorrow_without_failure() {
    let bench = Bench::new(SandboxOptions::default(), "[destinations.7targets]\ndaily_limit = 2").await;
    bench.enqueue(5).await;
    for delivered in [2, 0] {
        let summary = bench.run_within(SOON, &RunOptions::default()).await;
        assert_eq!((summary.counts.delivered, summary.deferred_waiting), (delivered, 0), "{summary:?}");
        assert!(summary.balances() && summary.halts.is_empty(), "{summary:?}");
    }
    assert_eq!(bench.requests("create"), 2);
}

#[tokio::test]
async fn a_raised_daily_limit_counts_at_once() {
    let bench = Bench::new(SandboxOptions::default(), "[destinations.7targets]\ndaily_limit = 1").await;
    bench.enqueue(4).await;
    assert_eq!(bench.run_within(SOON, &RunOptions::default()).await.counts.delivered, 1);
    let raised = bench.with("[destinations.7targets]\ndaily_limit = 100").await;
    bench.enqueue_for("7targets", 3, 100).await;
    // Those that were put off until tomorrow stay so; the others go.
    let summary = raised.run_within(SOON, &RunOptions::default()).await;
    assert!(summary.counts.delivered >= 3 && summary.halts.is_empty() && summary.balances(), "{summary:?}");
}

#[tokio::test]
async fn a_server_that_is_down_costs_no_attempt_and_no_long_wait() {
    let mut bench = Bench::new(SandboxOptions::default(), "wait = \"1s\"").await;
    bench.enqueue(30).await;
    let summary = bench.run_with_server_lost_after(3, Duration::from_secs(60)).await;
    assert!(summary.halts.iter().any(|halt| halt.exit == Exit::Unavailable), "{summary:?}");
    assert!(summary.balances(), "{summary:?}");
    let soon = SystemClock.now().plus(Duration::from_secs(31));
    let leads = bench.leads().await;
    let unsent: Vec<_> =
        leads.iter().filter(|lead| !matches!(lead.state, LeadState::Delivered | LeadState::Sending)).collect();
    assert!(!unsent.is_empty());
    assert!(unsent.iter().all(|lead| lead.attempts == 0 && lead.not_before < soon), "{unsent:?}");
    assert!(bench.db.store.pauses(SystemClock.now()).await.unwrap().is_empty(), "nobody asked for a pause");
}

#[tokio::test]
async fn tokens_that_are_revoked_now_and_then_stop_nobody() {
    let bench = Bench::new(SandboxOptions::default(), "").await;
    bench.faults("create:401=#2+3+9+10+11+17");
    bench.enqueue(30).await;
    let summary = bench.run_within(SOON, &RunOptions::default()).await;
    assert_eq!((summary.counts.delivered, summary.halts.len()), (30, 0), "{summary:?}");
    assert!(bench.ledger_has_each_once(30));
}

#[tokio::test]
async fn a_budget_shared_by_bites_is_used_to_the_last_credit_and_not_exceeded() {
    let options = SandboxOptions::default();
    let bench = Bench::new(options, "[enrich]\ndaily_credits = 20\nbatch_size = 8").await;
    bench.enqueue(80).await;
    let summary = bench.run_within(Duration::from_secs(40), &RunOptions::default()).await;
    assert_eq!(summary.deferred_waiting, 0, "{summary:?}");
    assert!(summary.halts.iter().all(|halt| halt.exit == Exit::Done), "{summary:?}");
    assert!(summary.balances());
    assert_eq!(bench.credits_used(), 20);
}

#[tokio::test]
async fn a_limit_is_for_all_lanes_together_and_used_up() {
    let bench = Bench::new(SandboxOptions::default(), "").await;
    let other = bench.second_destination().await;
    other.enqueue_for("other", 10, 0).await;
    other.enqueue_for("7targets", 10, 100).await;
    let options = RunOptions { limit: Some(15), ..RunOptions::default() };
    let summary = other.run_within(SOON, &options).await;
    assert_eq!((summary.counts.taken, summary.counts.delivered), (15, 15), "{summary:?}");
    assert!(summary.balances());
}

#[tokio::test]
async fn a_late_acceptance_after_this_run_gave_up_is_one_lead_not_two() {
    let bench = Bench::new(SandboxOptions::default(), "").await;
    bench.enqueue(1).await;
    let store = &bench.db.store;
    let run = store.begin_run("run", SystemClock.now()).await.unwrap();
    let ask = |term| LeaseRequest {
        run,
        destination: "7targets".into(),
        is_default: true,
        imported_by: None,
        due: Due::All,
        max: 1,
        term,
    };
    let first = store.lease(&ask(Duration::ZERO), SystemClock.now()).await.unwrap().remove(0);
    let second = store.lease(&ask(Duration::from_secs(60)), SystemClock.now()).await.unwrap().remove(0);
    let step = |lease, event| Step { event: Some(event), reason: Some("because".into()), ..Step::of(lease) };
    store.commit(run, &[step(&second, Event::GaveUp)], SystemClock.now()).await.unwrap();
    let late = store.commit(run, &[step(&first, Event::Accepted)], SystemClock.now()).await.unwrap();
    assert!(matches!(late[0], StepOutcome::Applied { state: LeadState::Delivered, counted: false, .. }), "{late:?}");
    let counts = store.run(run).await.unwrap().unwrap().counts;
    assert_eq!((counts.taken, counts.delivered, counts.exhausted), (1, 1, 0));
}

#[tokio::test]
async fn a_panic_costs_neither_the_others_nor_the_lead() {
    let bench = Bench::new(unlimited(pausing(Duration::from_millis(200))), "").await;
    bench.enqueue(300).await;
    // In the middle of a delivery: its intent is durable, its request was answered.
    bench.faults("create:429=#1");
    bench.flaky.panic_once_in("pause");
    let summary = bench.run_within(SOON, &RunOptions::default()).await;
    assert_eq!((summary.counts.delivered, summary.waiting, summary.bugs.len()), (299, 1, 1), "{summary:?}");
    assert!(summary.balances(), "{summary:?}");
    let aside = bench.leads().await.into_iter().find(|lead| lead.state == LeadState::Sending).unwrap();
    assert!(aside.reason.as_ref().unwrap().contains("a bug") && aside.lease_expires.is_none(), "{aside:?}");

    bench.db.sql("UPDATE leads SET not_before_ms = 0");
    let summary = bench.run_within(SOON, &RunOptions::default()).await;
    assert_eq!((summary.counts.delivered, summary.bugs.len()), (1, 0), "{summary:?}");
    assert!(bench.ledger_has_each_once(300));
}

#[tokio::test]
async fn a_panic_while_a_bite_is_prepared_puts_that_bite_aside() {
    let bench = Bench::new(unlimited(SandboxOptions::default()), "").await;
    bench.enqueue(500).await;
    bench.flaky.panic_once_in("claim_holders");
    let summary = bench.run_within(SOON, &RunOptions::default()).await;
    assert!(summary.balances(), "{summary:?}");
    assert!(summary.counts.delivered >= 300 && summary.waiting > 0, "{summary:?}");
    assert_eq!(i64::try_from(summary.bugs.len()).unwrap(), summary.waiting, "{summary:?}");

    bench.db.sql("UPDATE leads SET not_before_ms = 0");
    bench.run_within(SOON, &RunOptions::default()).await;
    assert!(bench.ledger_has_each_once(500));
}
