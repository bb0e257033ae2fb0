//! `run --exclusive`: one at a time, and a killed one is in nobody's way for long.

use std::time::Duration;

use rustix::process::Signal;

use crate::bench::{Bench, csv, until};
use crate::support::database::Kind;

journeys![
    nobody_runs_beside_an_exclusive_run,
    an_exclusive_run_waits_for_nobody,
    of_exclusive_runs_started_at_once_one_works,
    a_killed_exclusive_run_is_in_the_way_until_its_word_lapses,
    an_exclusive_run_that_was_silent_yields_to_who_came_since,
];

/// Destinations that take their time, so that runs overlap.
async fn slow(kind: Kind) -> Bench {
    Bench::with(kind, |options| options.latency = Duration::from_millis(200)).await
}

async fn nobody_runs_beside_an_exclusive_run(kind: Kind) {
    let bench = slow(kind).await;
    bench.queue(&csv(1..=60)).await;
    let alone = bench.start(&["run", "--exclusive"]);
    until("it is at work", || bench.sandbox.totals().created >= 1).await;
    let before = bench.number("SELECT count(*) FROM runs");
    for args in [&["run"][..], &["run", "--exclusive"], &["import", "leads.csv"]] {
        let said = bench.leadsync(args).await.ends(4).says("run 2 (run --exclusive) is at work since 20");
        assert!(said.err.contains("nothing runs beside it") != args.contains(&"--exclusive"), "{}", said.err);
    }
    assert_eq!(bench.number("SELECT count(*) FROM runs"), before, "who is refused leaves nothing behind");
    assert_eq!(bench.number("SELECT count(*) FROM leads"), 60, "nor rows");
    // Rows may come in at any time.
    bench.leadsync(&["import", "--queue-only", "leads.csv"]).await.ends(0);
    assert_eq!(bench.number("SELECT count(*) FROM leads"), 120);
    alone.ended().await.ends(0);
    bench.run().await.ends(0);
    bench.has_exactly(1..=60);
    let others = bench.number("SELECT count(*) FROM calls WHERE run_id IS NOT NULL AND run_id NOT IN (2, 4)");
    assert_eq!(others, 0, "who is refused calls nobody");
    bench.agrees().await;
}

async fn an_exclusive_run_waits_for_nobody(kind: Kind) {
    let bench = slow(kind).await;
    bench.file("leads.csv", csv(1..=40));
    let import = bench.start(&["import", "leads.csv"]);
    until("it is at work", || bench.sandbox.totals().created >= 1).await;
    bench.leadsync(&["run", "--exclusive"]).await.ends(4).says("run 1 (import) is at work since 20");
    import.ended().await.ends(0);
    bench.leadsync(&["run", "--exclusive"]).await.ends(0);
    bench.has_exactly(1..=40);
}

async fn of_exclusive_runs_started_at_once_one_works(kind: Kind) {
    let bench = slow(kind).await;
    bench.queue(&csv(1..=80)).await;
    let runs: Vec<_> = (0..4).map(|_| bench.start(&["run", "--exclusive"])).collect();
    let mut codes = Vec::new();
    for run in runs {
        codes.push(run.ended().await.code);
    }
    codes.sort_unstable();
    assert_eq!(codes, [0, 4, 4, 4]);
    bench.has_exactly(1..=80);
    bench.agrees().await;
    assert_eq!(bench.number("SELECT count(*) FROM runs WHERE command = 'run'"), 1);
}

async fn a_killed_exclusive_run_is_in_the_way_until_its_word_lapses(kind: Kind) {
    let bench = slow(kind).await;
    bench.queue(&csv(1..=40)).await;
    let alone = bench.start(&["run", "--exclusive"]);
    until("it is at work", || bench.sandbox.totals().created >= 1).await;
    assert_eq!(bench.status().await["last_run"]["at_work"], true);
    alone.signal(Signal::KILL);
    alone.ended().await.ends(137);
    bench.leadsync(&["run", "--exclusive"]).await.ends(4).says("its place is free in");
    let word = "SELECT alive_until_ms FROM runs WHERE id = 2";
    assert!(bench.number(word) > 0);
    // The lease of the bench is five seconds; nobody waits for them here.
    bench.database.sql("UPDATE runs SET alive_until_ms = 1 WHERE id = 2");
    assert_eq!(bench.status().await["last_run"]["at_work"], false);
    bench.leadsync(&["run", "--exclusive"]).await.ends(0);
    bench.has_exactly(1..=40);
    bench.agrees().await;
}

async fn an_exclusive_run_that_was_silent_yields_to_who_came_since(kind: Kind) {
    let bench = slow(kind).await;
    bench.queue(&csv(1..=200)).await;
    let silent = bench.start(&["run", "--exclusive"]);
    until("it is at work", || bench.sandbox.totals().created >= 1).await;
    // As if it had been suspended: its word does not arrive.
    bench.database.sql(match kind {
        Kind::Sqlite => {
            "CREATE TRIGGER silent AFTER UPDATE OF alive_until_ms ON runs WHEN NEW.id = 2 AND NEW.alive_until_ms > 1
             BEGIN UPDATE runs SET alive_until_ms = 1 WHERE id = 2; END;
             UPDATE runs SET alive_until_ms = 1 WHERE id = 2;"
        }
        Kind::Postgres => {
            "CREATE FUNCTION silent() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.alive_until_ms := 1; RETURN NEW; END $$;
             CREATE TRIGGER silent BEFORE UPDATE OF alive_until_ms ON runs FOR EACH ROW WHEN (NEW.id = 2)
             EXECUTE FUNCTION silent();
             UPDATE runs SET alive_until_ms = 1 WHERE id = 2;"
        }
    });
    let newcomer = bench.start(&["run", "--exclusive"]);
    silent.ended().await.ends(4).says("run 3 (run) has begun while this one was silent");
    newcomer.ended().await.ends(0);
    bench.has_exactly(1..=200);
    bench.agrees().await;
}
