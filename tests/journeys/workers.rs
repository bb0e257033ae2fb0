//! Several workers at once.

use std::time::Duration;

use leadsync::http::message::Rate;
use rustix::process::Signal;

use crate::bench::{Bench, csv, email, until};
use crate::support::database::Kind;

journeys![
    two_overlapping_runs_share_the_work,
    two_imports_of_one_file_at_once_send_it_once,
    many_processes_on_one_database_wait_politely,
    four_workers_keep_one_rate_together,
    a_dead_workers_part_of_the_rate_comes_back,
    a_pause_that_one_worker_was_told_of_holds_for_the_fleet,
    a_fleet_keeps_one_daily_quota,
    what_another_run_has_finished_does_not_wait_for_this_one,
];

async fn two_overlapping_runs_share_the_work(kind: Kind) {
    let bench = Bench::with(kind, |options| {
        options.latency = Duration::from_millis(20);
        options.live_data.found = 1.0;
    })
    .await;
    bench.look_up();
    bench.set("enrich.batch_size", 20);
    bench.set("destinations.7targets.concurrency", 4);
    bench.faults("create:reset-after=3%,create:500=3%,create:429=1%");
    bench.queue(&csv(1..=300)).await;
    let one = bench.start(&["run"]);
    until("the first is at work", || bench.sandbox.totals().created > 3).await;
    let other = bench.start(&["run"]);
    let (one, other) = tokio::join!(one.ended(), other.ended());
    for said in [&one, &other] {
        assert!([0, 4].contains(&said.code), "{said:?}");
        assert!(said.err.contains('✓'), "{}", said.err);
    }
    let sent = |run: i64| bench.number(&format!("SELECT count(*) FROM calls WHERE what = 'create' AND run_id = {run}"));
    assert!(sent(2) > 0 && sent(3) > 0, "both had their part: {} and {}", sent(2), sent(3));
    bench.run().await.ends(0);
    bench.has_exactly(1..=300);
    bench.agrees().await;
    bench.nothing_is_leased();
}

async fn two_imports_of_one_file_at_once_send_it_once(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(10)).await;
    // On an empty database, so that both want to set it up.
    bench.file("leads.csv", csv(1..=60));
    let (one, other) = (bench.start(&["import", "leads.csv"]), bench.start(&["import", "leads.csv"]));
    let (one, other) = tokio::join!(one.ended(), other.ended());
    for said in [one, other] {
        assert!([0, 4].contains(&said.code), "{said:?}");
    }
    bench.run().await.ends(0);
    bench.has_exactly(1..=60);
    let states = bench.states().await;
    assert_eq!((states["delivered"], states["skipped"]), (60, 60), "{states:?}");
}

async fn many_processes_on_one_database_wait_politely(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(10)).await;
    // Long enough for a lease to be renewed in time, whoever holds the lock.
    bench.set("run.lease", "30s");
    bench.queue(&csv(1..=200)).await;
    let runs: Vec<_> = (0..4).map(|_| bench.start(&["run"])).collect();
    until("they are at work", || bench.sandbox.totals().created > 3).await;
    let mut others = Vec::new();
    for n in [200, 400] {
        let name = format!("{n}.csv");
        bench.file(&name, csv(n + 1..=n + 200));
        others.push(bench.start(&["import", "--queue-only", &name]));
        others.push(bench.start(&["import", &name]));
        others.push(bench.start(&["status", "--json"]));
        others.push(bench.start(&["results", "--format", "jsonl"]));
        others.push(bench.start(&["retry", "--state", "rejected"]));
    }
    for process in runs.into_iter().chain(others) {
        let said = process.ended().await;
        assert!([0, 4].contains(&said.code), "{said:?}");
        assert!(!said.err.contains("error:"), "{}", said.err);
    }
    bench.run().await.ends(0);
    bench.has_exactly(1..=600);
    bench.agrees().await;
    bench.nothing_is_leased();
    assert_eq!(bench.sandbox.totals().updated, 0, "nothing was in doubt");
}

/// Forty in four seconds: the margins of a limit grow with its window, and the two cores of a machine that runs tests are
/// not always there when a request wants to leave.
const RATE: Rate = Rate { count: 40, per: Duration::from_secs(4) };

/// One server's rate for a fleet, the configuration of each worker the same: the whole of it.
async fn four_workers_keep_one_rate_together(kind: Kind) {
    let bench = Bench::with(kind, |options| options.seven_targets.rate = Some(RATE)).await;
    bench.set("destinations.7targets.rate", "40/4s");
    bench.queue(&csv(1..=130)).await;
    let fleet: Vec<_> = (0..4).map(|_| bench.start(&["run"])).collect();
    for run in fleet {
        let said = run.ended().await;
        assert!([0, 4].contains(&said.code), "{said:?}");
    }
    bench.run().await.ends(0);
    bench.has_exactly(1..=130);
    bench.agrees().await;
    let totals = bench.sandbox.totals();
    assert_eq!(totals.violations(), 0, "{totals:?}");
    assert_eq!(bench.number("SELECT sum(deferrals) FROM leads"), 0, "nobody was told to wait");
    assert_eq!(bench.asked("token"), 1);
}

/// A worker that dies leaves its part of the rate to the others, and what it had in flight to be looked into.
async fn a_dead_workers_part_of_the_rate_comes_back(kind: Kind) {
    let bench = Bench::with(kind, |options| options.seven_targets.rate = Some(RATE)).await;
    bench.set("destinations.7targets.rate", "40/4s");
    bench.queue(&csv(1..=100)).await;
    let (one, other) = (bench.start(&["run"]), bench.start(&["run"]));
    until("they are at work", || bench.sandbox.totals().created > 20).await;
    one.signal(Signal::KILL);
    one.ended().await.ends(137);
    let said = other.ended().await;
    assert!([0, 4].contains(&said.code), "{said:?}");
    bench.run().await.ends(0);
    bench.has_exactly(1..=100);
    bench.agrees().await;
    assert_eq!(bench.sandbox.totals().violations(), 0);
}

/// One worker is told to wait by the server; the others do as well.
async fn a_pause_that_one_worker_was_told_of_holds_for_the_fleet(kind: Kind) {
    let bench = Bench::with(kind, |options| {
        options.seven_targets.rate = Some(Rate { count: 50, per: Duration::from_secs(1) });
        options.timing.pause = Duration::from_secs(3600);
    })
    .await;
    bench.set("destinations.7targets.rate", "50/s");
    bench.queue(&csv(1..=400)).await;
    let fleet: Vec<_> = (0..3).map(|_| bench.start(&["run"])).collect();
    until("they are at work", || bench.sandbox.totals().created > 30).await;
    bench.faults("create:429=#1");
    for run in fleet {
        run.ended().await.ends(4).says("paused until");
    }
    // Whatever was on its way when the pause came was told so; nobody went on for long.
    assert!(bench.sandbox.totals().created < 200, "{}", bench.sandbox.totals().created);
    bench.leads();
    bench.agrees().await;
    bench.nothing_is_leased();
}

/// The day's quota is one for all: counted where the intent is stored.
async fn a_fleet_keeps_one_daily_quota(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(10)).await;
    bench.set("destinations.7targets.daily_limit", 50);
    bench.faults("create:500=5%,create:reset-after=3%,create:401=2%,create:429=2%");
    bench.queue(&csv(1..=200)).await;
    let fleet: Vec<_> = (0..4).map(|_| bench.start(&["run"])).collect();
    for run in fleet {
        let said = run.ended().await;
        assert!([0, 4].contains(&said.code), "{said:?}");
    }
    assert!(bench.leads().len() <= 50);
    // What was charged for creates that came to nothing is there for others, once that is known.
    bench.faults("");
    for _ in 0..8 {
        if bench.leads().len() >= 50 {
            break;
        }
        bench.run().await;
    }
    assert_eq!(bench.leads().len(), 50, "not one more, not one less");
    bench.agrees().await;
}

async fn what_another_run_has_finished_does_not_wait_for_this_one(kind: Kind) {
    let bench = Bench::with(kind, |options| options.timing.drip = Duration::from_secs(15)).await;
    bench.set("destinations.7targets.timeout", "30s");
    bench.set("run.lease", "60s");
    // The first fails once, the second takes its time; a run of two takes up nobody again.
    bench.faults(&format!("create:500={}#1,create:drip={}#1", email(1), email(2)));
    bench.queue(&csv(1..=2)).await;
    let one = bench.start(&["run", "--limit", "2"]);
    until("one is put off, the other under way", || bench.asked("create") == 2).await;
    let put_off = "SELECT count(*) FROM leads WHERE lease_token IS NULL AND not_before_ms > 0";
    until("that is written down", || bench.number(put_off) == 1).await;
    bench.run().await.ends(0);
    let said = one.ended().await;
    assert!(said.err.contains("taken over 1") && said.code == 0, "{said:?}");
    bench.has_exactly(1..=2);
    bench.agrees().await;
}
