//! Clocks that are wrong by minutes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::bench::{Bench, csv, until};
use crate::support::database::Kind;

const WRONG_BY: &str = "LEADSYNC_CLOCK_WRONG_BY";
const AHEAD: &str = "600";
const BEHIND: &str = "-600";

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_whose_clocks_are_wrong_steal_nothing_from_each_other_on_postgres() {
    let bench = Bench::with(Kind::Postgres, |options| {
        options.latency = Duration::from_millis(20);
        options.live_data.found = 1.0;
    })
    .await;
    bench.look_up();
    bench.set("enrich.batch_size", 20);
    bench.set("destinations.7targets.concurrency", 2);
    bench.set("destinations.7targets.daily_limit", 1_000);
    bench.faults("create:429=1%");
    let began = now_ms();
    bench.queue(&csv(1..=240)).await;
    let ahead = bench.start_with(&[(WRONG_BY, AHEAD)], &["run"]);
    until("one is at work", || bench.sandbox.totals().created > 3).await;
    let behind = bench.start_with(&[(WRONG_BY, BEHIND)], &["run"]);
    let right = bench.start(&["run"]);
    let (ahead, behind, right) = tokio::join!(ahead.ended(), behind.ended(), right.ended());
    for said in [&ahead, &behind, &right] {
        assert!([0, 4].contains(&said.code), "{said:?}");
        assert!(!said.err.contains("lease had lapsed"), "a lease was stolen:\n{}", said.err);
    }
    bench.run().await.ends(0);
    bench.has_exactly(1..=240);
    bench.agrees().await;
    bench.nothing_is_leased();
    // Nothing was in doubt, so nobody had to look.
    assert_eq!(bench.sandbox.totals().updated, 0);
    let now = now_ms();
    for column in ["created_at_ms", "updated_at_ms", "finished_at_ms", "sent_at_ms"] {
        let outside = format!("SELECT count(*) FROM leads WHERE {column} NOT BETWEEN {began} AND {now}");
        assert_eq!(bench.number(&outside), 0, "{column} is the database's time");
    }
    assert_eq!(bench.number(&format!("SELECT count(*) FROM leads WHERE not_before_ms > {now} + 60000")), 0);
    assert_eq!(bench.number("SELECT count(*) FROM runs WHERE finished_at_ms < started_at_ms"), 0);
}

/// Three leads are there, the third in doubt; the rest of the file is in a dead worker's hands or waits.
async fn died(wrong_by: &str) -> Bench {
    let bench = Bench::with(Kind::Sqlite, |options| options.latency = Duration::from_millis(5)).await;
    bench.set("destinations.7targets.concurrency", 1);
    bench.set("destinations.7targets.rate", "100/s");
    bench.queue(&csv(1..=60)).await;
    let run = bench.start_with(&[(WRONG_BY, wrong_by), ("LEADSYNC_CRASH", "create.after-reply@3")], &["run"]);
    run.ended().await.ends(137);
    assert_eq!(bench.leads().len(), 3);
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_forward_between_two_runs_loses_and_repeats_nothing() {
    let bench = died("0").await;
    bench.start_with(&[(WRONG_BY, AHEAD)], &["run"]).ended().await.ends(0);
    bench.has_exactly(1..=60);
    bench.agrees().await;
    assert_eq!(bench.states().await["delivered"], 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_back_between_two_runs_loses_and_repeats_nothing() {
    let bench = died(AHEAD).await;
    // What the dead worker held is its own for ten minutes more; the rest goes on.
    let said = bench.run().await;
    assert!([0, 4].contains(&said.code), "{said:?}");
    assert_eq!(bench.leads().len() as i64, bench.number("SELECT count(*) FROM leads WHERE state = 'delivered'") + 1);
    bench.start_with(&[(WRONG_BY, AHEAD)], &["run"]).ended().await.ends(0);
    bench.has_exactly(1..=60);
    bench.agrees().await;
    assert_eq!(bench.states().await["delivered"], 60);
    bench.nothing_is_leased();
}
