//! Told to stop at awkward moments: nothing keeps a run from leaving in order, and nobody's output kills it.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::bench::{Bench, Process, csv, until};
use crate::support::database::Kind;

journeys![
    during_a_look_up,
    during_the_account_check,
    while_an_account_pauses,
    while_the_next_lead_is_not_due_yet,
    while_another_process_migrates,
    before_a_pipe_has_told_its_header,
    while_a_pipe_is_silent,
    when_the_terminal_goes_away,
    nohup_is_kept,
    whoever_reads_our_output_may_stop_reading,
    output_that_can_not_be_written_is_said,
    nobody_need_listen_to_standard_error,
];

/// A stop in order: nobody holds a lead, none is in doubt, and the next run does the rest.
async fn leaves_in_order(bench: &Bench, run: Process) {
    run.signal(Signal::TERM);
    run.ended().await.ends(4);
    bench.nothing_is_leased();
    assert_eq!(bench.number("SELECT count(*) FROM leads WHERE state = 'sending'"), 0);
    assert_eq!(bench.status().await["last_run"]["exit_code"], 4);
    bench.faults("");
}

async fn during_a_look_up(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.look_up();
    bench.set("enrich.timeout", "30s");
    bench.set("run.grace", "300ms");
    bench.set("destinations.7targets.timeout", "1s");
    bench.queue(&csv(1..=20)).await;
    bench.faults("find:hang=#1");
    let run = bench.start(&["run"]);
    until("it asks", || bench.asked("find") == 1).await;
    leaves_in_order(&bench, run).await;
    assert_eq!(bench.asked("create"), 0);
    bench.run().await.ends(0);
    bench.has_exactly(1..=20);
}

async fn during_the_account_check(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("run.grace", "300ms");
    bench.set("run.lease", "60s");
    bench.set("destinations.7targets.timeout", "30s");
    bench.queue(&csv(1..=20)).await;
    bench.faults("assistants:hang=#1");
    let run = bench.start(&["run"]);
    until("it asks", || bench.asked("assistants") == 1).await;
    leaves_in_order(&bench, run).await;
    assert_eq!(bench.asked("create"), 0);
    bench.run().await.ends(0);
    bench.has_exactly(1..=20);
}

async fn while_an_account_pauses(kind: Kind) {
    let bench = Bench::with(kind, |options| options.timing.pause = Duration::from_secs(50)).await;
    bench.set("run.wait", "10min");
    bench.set("run.lease", "60s");
    bench.queue(&csv(1..=20)).await;
    bench.faults("create:429=#1");
    let run = bench.start(&["run"]);
    until("it was told to pause", || bench.number("SELECT count(*) FROM pauses") == 1).await;
    leaves_in_order(&bench, run).await;
    bench.database.sql("DELETE FROM pauses");
    bench.database.sql("UPDATE leads SET not_before_ms = 0");
    assert!(bench.leads().len() < 20);
}

async fn while_the_next_lead_is_not_due_yet(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("run.wait", "10min");
    bench.queue(&csv(1..=3)).await;
    bench.database.sql(
        "UPDATE leads SET not_before_ms = (SELECT max(started_at_ms) FROM runs) + 300000 WHERE id = (SELECT max(id) FROM leads)",
    );
    let run = bench.start(&["run"]);
    until("the others are done", || bench.number("SELECT count(*) FROM leads WHERE state = 'delivered'") == 2).await;
    leaves_in_order(&bench, run).await;
    bench.has_exactly(1..=2);
}

/// Another process in the middle of changing the schema, for as long as this lives.
struct Migrating(Child);

impl Migrating {
    async fn begin(bench: &Bench) -> Self {
        let settings = &bench.database.settings;
        let (mut program, text) = match bench.database.kind {
            Kind::Sqlite => {
                let mut program = std::process::Command::new("sqlite3");
                program.arg(bench.database.file());
                (program, "BEGIN IMMEDIATE;\nSELECT 'held';\n".to_owned())
            }
            Kind::Postgres => {
                let mut program = std::process::Command::new("psql");
                program.args(["-X", "-q", "-A", "-t", "-d", settings.url.expose()]);
                // The lock under which migrations run: `leadsync` in ASCII.
                (program, "BEGIN; SELECT pg_advisory_xact_lock(7810756212805955171), 'held';\n".to_owned())
            }
        };
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            while !line.contains("held") {
                line.clear();
                assert!(std::io::BufRead::read_line(&mut out, &mut line).unwrap() > 0, "the lock can be had");
            }
        })
        .await
        .unwrap();
        Self(child)
    }
}

impl Drop for Migrating {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn while_another_process_migrates(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.file("leads.csv", csv(1..=5));
    let other = Migrating::begin(&bench).await;
    let import = bench.start(&["import", "leads.csv"]);
    until("it listens", || import.listens()).await;
    import.signal(Signal::TERM);
    import.ended().await.ends(4).says("stopped before anything was done");
    drop(other);
    bench.leadsync(&["import", "leads.csv"]).await.ends(0);
    bench.has_exactly(1..=5);
}

async fn before_a_pipe_has_told_its_header(kind: Kind) {
    let bench = Bench::new(kind).await;
    let (pipe, writer) = std::io::pipe().unwrap();
    let import = bench.start_fed(&["import", "-"], pipe);
    until("it listens", || import.listens()).await;
    import.signal(Signal::TERM);
    import.ended().await.ends(4).says("stopped before anything was done");
    drop(writer);
}

async fn while_a_pipe_is_silent(kind: Kind) {
    let bench = Bench::new(kind).await;
    let (pipe, mut writer) = std::io::pipe().unwrap();
    let import = bench.start_fed(&["import", "-"], pipe);
    let text = csv(1..=2_500);
    let writing = tokio::task::spawn_blocking(move || writer.write_all(text.as_bytes()).map(|()| writer));
    // A batch is a thousand rows; the rest is being read.
    until("some rows are loaded", || bench.database.try_sql("SELECT count(*) FROM leads").is_ok_and(|n| n == "2000"))
        .await;
    import.signal(Signal::TERM);
    import.ended().await.ends(4).says("stopped after 2,000 rows");
    assert_eq!(bench.number("SELECT count(*) FROM leads"), 2_000);
    bench.nothing_is_leased();
    drop(writing.await.unwrap());
}

async fn when_the_terminal_goes_away(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(150)).await;
    bench.queue(&csv(1..=60)).await;
    let run = bench.start(&["run"]);
    until("some are there", || bench.sandbox.totals().created >= 5).await;
    // The shell and the system may both say so.
    run.signal(Signal::HUP);
    until("it was heard", || run.has_said("stopping")).await;
    run.signal(Signal::HUP);
    run.ended().await.ends(4);
    bench.nothing_is_leased();
    bench.run().await.ends(0);
    bench.has_exactly(1..=60);
    assert_eq!(bench.sandbox.totals().updated, 0, "nothing was in doubt");
}

async fn nohup_is_kept(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(100)).await;
    bench.queue(&csv(1..=40)).await;
    let run = bench.start_in_shell("trap '' HUP; exec \"$@\"", &["run"]);
    until("some are there", || bench.sandbox.totals().created >= 5).await;
    run.signal(Signal::HUP);
    run.ended().await.ends(0);
    bench.has_exactly(1..=40);
}

async fn whoever_reads_our_output_may_stop_reading(kind: Kind) {
    let bench = Bench::new(kind).await;
    // More than a pipe holds.
    bench.queue(&csv(1..=3_000)).await;
    for args in [&["results"][..], &["results", "--format", "jsonl"], &["man"], &["completions", "bash"], &["--help"]] {
        let said = bench.start_in_shell("{ \"$@\"; echo \"code $?\" >&2; } | head -n 1", args).ended().await.ends(0);
        assert_eq!(said.out.lines().count(), 1, "{args:?}: {}", said.out);
        assert!(said.err.contains("code 0") && !said.err.contains("error"), "{args:?}: {}", said.err);
    }
}

async fn output_that_can_not_be_written_is_said(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.queue(&csv(1..=3)).await;
    for args in [
        &["results"][..],
        &["results", "--format", "jsonl"],
        &["status"],
        &["status", "--json"],
        &["explain", "1"],
        &["db", "status"],
        &["auth", "status"],
        &["config", "show"],
        &["man"],
        &["completions", "bash"],
    ] {
        let said = bench.start_in_shell("exec \"$@\" > /dev/full", args).ended().await;
        assert_eq!(said.code, 4, "{args:?}: {}", said.err);
        assert!(said.err.contains("could not write to standard output"), "{args:?}: {}", said.err);
    }
}

async fn nobody_need_listen_to_standard_error(kind: Kind) {
    let bench = Bench::new(kind).await;
    for (n, script) in
        ["exec \"$@\" 2>&-", "exec \"$@\" 2>/dev/full", "exec \"$@\" 2>&1 >/dev/null | true"].into_iter().enumerate()
    {
        bench.queue(&csv([n])).await;
        bench.start_in_shell(script, &["run", "-vv"]).ended().await.ends(0);
        until("it is done", || bench.leads().len() == n + 1).await;
        until("it is recorded", || bench.number("SELECT count(*) FROM runs WHERE finished_at_ms IS NULL") == 0).await;
    }
    bench.agrees().await;
}
