//! Postgres behind a pooler in transaction mode: nothing of ours lives longer in a session than a transaction.

use std::time::Duration;

use crate::bench::{Bench, csv, until};
use crate::support::database::Kind;
use crate::support::pooler::Pooler;

/// The bench's program goes through the pooler, its own view of the database does not.
async fn pooled(pooler: &Pooler) -> Bench {
    let bench = Bench::with(Kind::Postgres, |options| {
        options.latency = Duration::from_millis(20);
        options.live_data.found = 1.0;
    })
    .await;
    bench.set("database.url", pooler.url.as_str());
    bench.look_up();
    bench.set("enrich.batch_size", 20);
    // The wait for one of two connections is not what is tested.
    bench.set("run.lease", "20s");
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_every_command_works_and_workers_share_the_queue() {
    let Some(pooler) = Pooler::start() else { return };
    let bench = pooled(&pooler).await;
    bench.leadsync(&["db", "migrate"]).await.ends(0);
    bench.leadsync(&["db", "status"]).await.ends(0);
    bench.file("leads.csv", csv(1..=100));
    bench.leadsync(&["import", "leads.csv"]).await.ends(0);

    bench.faults("create:reset-after=3%,create:500=3%,create:429=1%");
    bench.queue(&csv(101..=400)).await;
    let one = bench.start(&["run"]);
    until("the first is at work", || bench.sandbox.totals().created > 103).await;
    let other = bench.start(&["run"]);
    let (one, other) = tokio::join!(one.ended(), other.ended());
    for said in [&one, &other] {
        assert!([0, 4].contains(&said.code), "{said:?}");
        assert!(said.err.contains('✓'), "{}", said.err);
    }
    bench.run().await.ends(0);
    bench.has_exactly(1..=400);
    bench.agrees().await;
    bench.nothing_is_leased();

    // No session of the server is left with anything of ours.
    for _ in 0..10 {
        let left = pooler.sql("SELECT count(*) FROM pg_prepared_statements");
        assert_eq!(left, "0");
    }

    let status = bench.status().await;
    assert_eq!(status["states"]["delivered"], 400);
    assert!(bench.leadsync(&["explain", "1"]).await.ends(0).out.contains("delivered"));
    bench.leadsync(&["auth", "status"]).await.ends(0);
    bench.leadsync(&["run", "--exclusive"]).await.ends(0);
    bench.leadsync(&["retry", "--state", "rejected"]).await.ends(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_imports_may_begin_at_once_on_an_empty_database_and_exclusive_runs_may_not() {
    let Some(pooler) = Pooler::start() else { return };
    let bench = pooled(&pooler).await;
    bench.file("leads.csv", csv(1..=60));
    let (one, other) = (bench.start(&["import", "leads.csv"]), bench.start(&["import", "leads.csv"]));
    let (one, other) = tokio::join!(one.ended(), other.ended());
    for said in [one, other] {
        assert!([0, 4].contains(&said.code), "{said:?}");
    }
    bench.queue(&csv(61..=120)).await;
    let runs: Vec<_> = (0..3).map(|_| bench.start(&["run", "--exclusive"])).collect();
    let mut codes = Vec::new();
    for run in runs {
        codes.push(run.ended().await.code);
    }
    codes.sort_unstable();
    assert_eq!(codes, [0, 4, 4]);
    bench.run().await.ends(0);
    bench.has_exactly(1..=120);
    bench.agrees().await;
}
