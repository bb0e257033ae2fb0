//! The database goes away in mid-run: restarted as after a crash, down for long, connections cut, its lock held by
//! somebody else.

use std::sync::Arc;
use std::time::Duration;

use leadsync::sandbox::SandboxOptions;

use crate::bench::{Bench, csv, until};
use crate::support::database::{Kind, TestDatabase};
use crate::support::postgres::{Cluster, Stop};

/// A server of one's own, and a bench on it.
async fn on_a_cluster(differ: impl FnOnce(&mut SandboxOptions)) -> (Arc<Cluster>, Bench) {
    let cluster = Arc::new(tokio::task::spawn_blocking(Cluster::start_new).await.unwrap());
    let bench = Bench::on(TestDatabase::blank_on(&cluster).await, differ).await;
    // Long enough to outlast a restart on a busy machine.
    bench.set("run.lease", "20s");
    bench.set("run.wait", "30s");
    // Shared with other workers through the database.
    bench.set("destinations.7targets.rate", "200/s");
    (cluster, bench)
}

/// Stops the server and starts it again.
async fn restart(cluster: &Arc<Cluster>, how: Stop) {
    stop(cluster, how).await;
    start(cluster).await;
}

async fn stop(cluster: &Arc<Cluster>, how: Stop) {
    let cluster = Arc::clone(cluster);
    tokio::task::spawn_blocking(move || cluster.stop(how)).await.unwrap();
}

async fn start(cluster: &Arc<Cluster>) {
    let cluster = Arc::clone(cluster);
    tokio::task::spawn_blocking(move || cluster.start()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_crashes_and_restarts_under_load_costs_no_lead_and_no_attempt() {
    let (cluster, bench) = on_a_cluster(|options| {
        options.latency = Duration::from_millis(20);
        options.live_data.found = 1.0;
    })
    .await;
    bench.look_up();
    bench.set("enrich.batch_size", 20);
    bench.set("destinations.7targets.concurrency", 4);
    bench.queue(&csv(1..=120)).await;
    let run = bench.start(&["run"]);
    for (created, how) in [(15, Stop::Immediate), (60, Stop::Fast)] {
        until("it is at work", || bench.sandbox.totals().created >= created).await;
        restart(&cluster, how).await;
    }
    run.ended().await.ends(0).says("✓");
    bench.has_exactly(1..=120);
    bench.agrees().await;
    bench.nothing_is_leased();
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
    assert_eq!(bench.sandbox.totals().updated, 0, "no outcome was lost, so nobody is asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_stays_down_ends_the_run_with_4_and_the_next_run_finds_what_could_not_be_recorded() {
    let (cluster, bench) = on_a_cluster(|options| options.latency = Duration::from_millis(700)).await;
    bench.set("run.lease", "6s");
    bench.set("destinations.7targets.timeout", "2s");
    bench.queue(&csv(1..=30)).await;
    let run = bench.start(&["run"]);
    until("requests are under way", || bench.asked("create") > 8).await;
    stop(&cluster, Stop::Immediate).await;
    let said = run.ended().await.ends(4).says("delivered, but the database was away too long").says("✓");
    assert!(said.err.contains("was delivered, and that could not be recorded"), "{}", said.err);
    let there = bench.leads().len();
    assert!(there < 30, "{there}");
    start(&cluster).await;
    assert!(bench.number("SELECT count(*) FROM leads WHERE state = 'sending'") > 0);
    bench.run().await.ends(0);
    bench.has_exactly(1..=30);
    bench.agrees().await;
    bench.nothing_is_leased();
    assert!(bench.sandbox.totals().updated > 0, "they were asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_now_and_then_are_made_anew() {
    let (_cluster, bench) = on_a_cluster(|options| options.latency = Duration::from_millis(20)).await;
    bench.set("destinations.7targets.concurrency", 4);
    bench.queue(&csv(1..=150)).await;
    let run = bench.start(&["run"]);
    for created in [10, 30, 50, 70, 90, 110] {
        until("it is at work", || bench.sandbox.totals().created >= created).await;
        bench
            .database
            .sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'leadsync'");
    }
    run.ended().await.ends(0).says("✓");
    bench.has_exactly(1..=150);
    bench.agrees().await;
    bench.nothing_is_leased();
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_restarts_while_a_file_is_loaded_gets_every_row_once() {
    let (cluster, bench) = on_a_cluster(|_| {}).await;
    bench.file("leads.csv", csv(1..=20_000));
    // The schema first: a restart in the middle of setting it up is another matter.
    bench.leadsync(&["db", "migrate"]).await.ends(0);
    let import = bench.start(&["import", "--queue-only", "leads.csv"]);
    for rows in [2_000, 9_000] {
        until("rows arrive", || bench.number("SELECT count(*) FROM leads") >= rows).await;
        restart(&cluster, Stop::Immediate).await;
    }
    import.ended().await.ends(0).says("✓");
    assert_eq!(bench.number("SELECT count(*) FROM leads"), 20_000);
    assert_eq!(bench.number("SELECT count(DISTINCT source_row) FROM leads"), 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_waits_for_whoever_holds_sqlites_lock_and_goes_on() {
    let bench = Bench::with(Kind::Sqlite, |options| options.latency = Duration::from_millis(20)).await;
    bench.set("run.lease", "30s");
    bench.set("run.wait", "40s");
    bench.set("destinations.7targets.concurrency", 4);
    bench.queue(&csv(1..=100)).await;
    let run = bench.start(&["run"]);
    // The second is longer than SQLite itself waits for a lock.
    for (created, held) in [(10, Duration::from_secs(1)), (40, Duration::from_secs(12))] {
        until("it is at work", || bench.sandbox.totals().created >= created).await;
        let holder = bench.database.hold_lock();
        tokio::time::sleep(held).await;
        holder.let_go();
    }
    let said = run.ended().await.ends(0).says("✓");
    assert!(said.err.contains("another process holds the write lock"), "{}", said.err);
    bench.has_exactly(1..=100);
    bench.agrees().await;
    bench.nothing_is_leased();
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
}
