//! Several workers at once.

use std::time::Duration;

use crate::bench::{Bench, csv, until};
use crate::support::database::Kind;

journeys![
    two_overlapping_runs_share_the_work,
    two_imports_of_one_file_at_once_send_it_once,
    many_processes_on_one_database_wait_politely,
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
