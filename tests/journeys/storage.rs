//! A disk that is full: no outcome is lost. It is kept until there is room again, and if there is none for too long, it is
//! said which leads were delivered, and the next run finds them.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use leadsync::secret::Secret;
use rustix::process::{Resource, Rlimit, Signal, prlimit};

use crate::bench::{Bench, Process, csv, until};
use crate::support::database::Kind;

journeys![
    a_disk_that_is_full_for_a_while_loses_no_outcome,
    a_disk_that_stays_full_ends_the_run_and_what_was_delivered_is_found_again,
    a_run_on_a_full_disk_may_be_told_to_stop,
    an_import_on_a_full_disk_may_be_repeated,
];

/// From now on nothing that the run does to leads can be stored.
///
/// SQLite: the process may write no file any further, which SQLite reports like a disk that fails. Postgres: the server
/// says what it says when its disk is full.
fn fill_the_disk(bench: &Bench, run: &Process) {
    match bench.database.kind {
        Kind::Sqlite => limit_files(run, Some(0)),
        Kind::Postgres => {
            bench.database.sql(
                "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
                 CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION full_disk();",
            );
        }
    }
}

/// There is room again; `run`: the one that still lives.
fn make_room(bench: &Bench, run: Option<&Process>) {
    match (bench.database.kind, run) {
        (Kind::Sqlite, Some(run)) => limit_files(run, None),
        (Kind::Sqlite, None) => {}
        (Kind::Postgres, _) => drop(bench.database.sql("DROP TRIGGER full_disk ON leads")),
    }
}

fn limit_files(run: &Process, bytes: Option<u64>) {
    prlimit(Some(run.pid()), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

async fn slow(kind: Kind) -> Bench {
    Bench::with(kind, |options| options.latency = Duration::from_millis(50)).await
}

async fn a_disk_that_is_full_for_a_while_loses_no_outcome(kind: Kind) {
    let bench = slow(kind).await;
    // However slow this machine is, the disk has room again before patience ends.
    bench.set("run.lease", "60s");
    bench.queue(&csv(1..=80)).await;
    let run = bench.start(&["run"]);
    until("it is at work", || bench.sandbox.totals().created >= 5).await;
    fill_the_disk(&bench, &run);
    until("it waits for room", || run.has_said("keeping")).await;
    make_room(&bench, Some(&run));
    run.ended().await.ends(0).says("can't be written to").says("the database is back");
    bench.has_exactly(1..=80);
    bench.agrees().await;
    bench.nothing_is_leased();
    assert_eq!(bench.sandbox.totals().updated, 0, "nothing was in doubt");
}

async fn a_disk_that_stays_full_ends_the_run_and_what_was_delivered_is_found_again(kind: Kind) {
    let bench = slow(kind).await;
    bench.set("run.lease", "5s");
    bench.queue(&csv(1..=80)).await;
    let run = bench.start(&["run"]);
    until("it is at work", || bench.sandbox.totals().created >= 5).await;
    fill_the_disk(&bench, &run);
    let said = run.ended().await.ends(4).says("can't be written to");
    make_room(&bench, None);
    for id in in_doubt(&bench) {
        assert!(said.err.contains(&format!("lead {id} was delivered, and that could not be recorded")), "{}", said.err);
    }
    bench.run().await.ends(0);
    bench.has_exactly(1..=80);
    bench.agrees().await;
    bench.nothing_is_leased();
}

/// Leads that are there, and of which the database knows only that they were meant to be sent.
fn in_doubt(bench: &Bench) -> Vec<String> {
    let there: Vec<String> = bench.leads().into_iter().map(|lead| lead.email).collect();
    let sending = bench.database.sql("SELECT id, email FROM leads WHERE state = 'sending'");
    let of = |line: &str| line.split_once('|').map(|(id, email)| (id.to_owned(), email.to_owned())).unwrap();
    sending.lines().map(of).filter(|(_, email)| there.contains(email)).map(|(id, _)| id).collect()
}

async fn a_run_on_a_full_disk_may_be_told_to_stop(kind: Kind) {
    let bench = slow(kind).await;
    bench.set("run.lease", "60s");
    bench.set("run.grace", "500ms");
    bench.queue(&csv(1..=80)).await;
    let run = bench.start(&["run"]);
    until("it is at work", || bench.sandbox.totals().created >= 5).await;
    fill_the_disk(&bench, &run);
    until("it waits for room", || run.has_said("keeping")).await;
    run.signal(Signal::TERM);
    let said = run.ended().await.ends(4);
    make_room(&bench, None);
    for id in in_doubt(&bench) {
        assert!(said.err.contains(&format!("lead {id} was delivered")), "{}", said.err);
    }
    // Nobody waits here for the minute that the leases last.
    bench.database.sql("UPDATE leads SET lease_expires_ms = 1 WHERE lease_expires_ms IS NOT NULL");
    bench.run().await.ends(0);
    bench.has_exactly(1..=80);
    bench.agrees().await;
}

async fn an_import_on_a_full_disk_may_be_repeated(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.queue(&csv([1])).await;
    bench.file("leads.csv", csv(1..=5_000));
    let (pipe, mut rows) = std::io::pipe().unwrap();
    let import = bench.start_fed(&["import", "-"], pipe);
    let text = std::fs::read(bench.path("leads.csv")).unwrap();
    let (first, rest) = text.split_at(text.len() / 2);
    rows.write_all(first).unwrap();
    until("some rows are loaded", || bench.number("SELECT count(*) FROM leads") > 1).await;
    fill_the_disk(&bench, &import);
    rows.write_all(rest).unwrap();
    drop(rows);
    import.ended().await.ends(4).says("can't be written to").says("any command may be repeated");
    make_room(&bench, None);
    assert_eq!(bench.asked("create"), 0);
    bench.leadsync(&["import", "--queue-only", "leads.csv"]).await.ends(0);
    assert!(bench.number("SELECT count(DISTINCT email) FROM leads") == 5_000);
}

/// A disk of its own, unmounted with this value.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// `None` where this process may not mount one.
    fn mounted_at(path: &'a Path) -> Option<Self> {
        std::fs::create_dir(path).unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(path).output();
        done.is_ok_and(|done| done.status.success()).then_some(Self(path))
    }

    fn fill(&self) {
        let mut junk = std::fs::File::create(self.0.join("junk")).unwrap();
        while junk.write_all(&[0; 4096]).is_ok() {}
        while junk.write_all(&[0]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("junk")).unwrap();
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_really_full_for_a_while_loses_no_outcome() {
    let mut bench = slow(Kind::Sqlite).await;
    bench.set("run.lease", "60s");
    let path = bench.path("disk");
    let Some(disk) = SmallDisk::mounted_at(&path) else {
        // Past the test harness, which would swallow it.
        let _ = std::io::stderr().write_all(b"SKIPPED, since no tmpfs can be mounted here: a really full disk\n");
        return;
    };
    let url = format!("sqlite://{}", path.join("leads.db").display());
    bench.set("database.url", url.as_str());
    bench.database.settings.url = Secret::new(url);
    bench.queue(&csv(1..=80)).await;
    let run = bench.start(&["run"]);
    until("it is at work", || bench.sandbox.totals().created >= 5).await;
    disk.fill();
    until("it waits for room", || run.has_said("keeping")).await;
    disk.make_room();
    run.ended().await.ends(0).says("can't be written to").says("the database is back");
    bench.has_exactly(1..=80);
    bench.agrees().await;
    bench.nothing_is_leased();
    assert_eq!(bench.sandbox.totals().updated, 0, "nothing was in doubt");
}
