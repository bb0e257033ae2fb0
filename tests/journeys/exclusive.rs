//! `run --exclusive`: one at a time, and a killed one is in nobody's way for long.

use std::time::Duration;

use rustix::process::Signal;

use crate::bench::{Bench, Process, Said, csv, until};
use crate::support::database::Kind;

journeys![
    nobody_runs_beside_an_exclusive_run,
    an_exclusive_run_waits_for_nobody,
    of_exclusive_runs_started_at_once_one_works,
    a_killed_exclusive_run_is_in_the_way_until_its_word_lapses,
    an_exclusive_run_that_was_silent_yields_to_who_came_since,
];

/// A queue that keeps a run at work until it is told to stop: its last lead is due in an hour, and worth waiting for.
pub async fn kept_at_work(bench: &Bench, leads: usize) {
    bench.set("run.wait", "2h");
    bench.queue(&csv(1..=leads)).await;
    bench.database.sql(
        "UPDATE leads SET not_before_ms = (SELECT max(started_at_ms) FROM runs) + 3600000 WHERE id = (SELECT max(id) FROM leads)",
    );
}

/// Works off what is left.
async fn work_off(bench: &Bench) {
    bench.set("run.wait", "20s");
    bench.database.sql("UPDATE leads SET not_before_ms = 0, lease_expires_ms = NULL, lease_token = NULL");
    bench.leadsync(&["run", "--exclusive"]).await.ends(0);
}

async fn told_to_stop(run: Process) -> Said {
    run.signal(Signal::TERM);
    run.ended().await.ends(4)
}

async fn nobody_runs_beside_an_exclusive_run(kind: Kind) {
    let bench = Bench::new(kind).await;
    kept_at_work(&bench, 20).await;
    let alone = bench.start(&["run", "--exclusive"]);
    until("it is at work", || bench.sandbox.totals().created >= 1).await;
    let before = bench.number("SELECT count(*) FROM runs");
    for args in [&["run"][..], &["run", "--exclusive"], &["import", "leads.csv"]] {
        let said = bench.leadsync(args).await.ends(4).says("run 2 (run --exclusive) is at work since 20");
        assert!(said.err.contains("nothing runs beside it") != args.contains(&"--exclusive"), "{}", said.err);
    }
    assert_eq!(bench.number("SELECT count(*) FROM runs"), before, "who is refused leaves nothing behind");
    assert_eq!(bench.number("SELECT count(*) FROM leads"), 20, "nor rows");
    // Rows may come in at any time.
    bench.leadsync(&["import", "--queue-only", "leads.csv"]).await.ends(0);
    assert_eq!(bench.number("SELECT count(*) FROM leads"), 40);
    told_to_stop(alone).await;
    let others = bench.number("SELECT count(*) FROM calls WHERE run_id <> 2");
    assert_eq!(others, 0, "who is refused calls nobody");
    work_off(&bench).await;
    bench.has_exactly(1..=20);
    bench.agrees().await;
}

async fn an_exclusive_run_waits_for_nobody(kind: Kind) {
    let bench = Bench::new(kind).await;
    kept_at_work(&bench, 20).await;
    let import = bench.start(&["import", "--all", "leads.csv"]);
    until("it is at work", || bench.sandbox.totals().created >= 1).await;
    bench.leadsync(&["run", "--exclusive"]).await.ends(4).says("run 2 (import) is at work since 20");
    told_to_stop(import).await;
    work_off(&bench).await;
    bench.has_exactly(1..=20);
}

/// Starts so many exclusive runs at once on a queue that keeps them at work: all but one are refused, and that one goes on
/// until it is told to stop.
pub async fn one_of_many_works(bench: &Bench, many: usize) {
    let mut runs: Vec<_> = (0..many).map(|_| bench.start(&["run", "--exclusive"])).collect();
    for _ in 1..many {
        let mut ended = None;
        until("one is refused", || {
            ended = runs.iter_mut().position(Process::has_ended);
            ended.is_some()
        })
        .await;
        runs.remove(ended.unwrap()).ended().await.ends(4).says("is at work since");
    }
    let run = runs.remove(0);
    until("it listens", || bench.sandbox.totals().created >= 1).await;
    let said = told_to_stop(run).await;
    assert!(said.err.contains("stopping"), "{}", said.err);
}

async fn of_exclusive_runs_started_at_once_one_works(kind: Kind) {
    let bench = Bench::new(kind).await;
    kept_at_work(&bench, 20).await;
    one_of_many_works(&bench, 4).await;
    assert_eq!(bench.number("SELECT count(*) FROM runs WHERE command = 'run'"), 1);
    work_off(&bench).await;
    bench.has_exactly(1..=20);
    bench.agrees().await;
}

async fn a_killed_exclusive_run_is_in_the_way_until_its_word_lapses(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(200)).await;
    bench.set("run.lease", "10min");
    kept_at_work(&bench, 40).await;
    let alone = bench.start(&["run", "--exclusive"]);
    until("it is at work", || bench.sandbox.totals().created >= 1).await;
    assert_eq!(bench.status().await["last_run"]["at_work"], true);
    alone.signal(Signal::KILL);
    alone.ended().await.ends(137);
    bench.leadsync(&["run", "--exclusive"]).await.ends(4).says("its place is free in");
    // Nobody waits for the ten minutes here.
    bench.database.sql("UPDATE runs SET alive_until_ms = 1 WHERE id = 2");
    assert_eq!(bench.status().await["last_run"]["at_work"], false);
    work_off(&bench).await;
    bench.has_exactly(1..=40);
    bench.agrees().await;
}

async fn an_exclusive_run_that_was_silent_yields_to_who_came_since(kind: Kind) {
    let bench = Bench::new(kind).await;
    kept_at_work(&bench, 20).await;
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
    told_to_stop(newcomer).await;
    work_off(&bench).await;
    bench.has_exactly(1..=20);
    bench.agrees().await;
}
