//! Killed at every place where what the database knows and what the other side has can part: each point of
//! [`leadsync::crash`], on both databases. Afterwards the same command is run again, and the ledger of the other side must
//! agree with the database: nothing lost, nothing twice.
//!
//! Nothing here depends on how fast the machine is: requests have all the time in the world, and the leases of the dead
//! lapse because the test says so. `kills.rs` has both in real time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use leadsync::sandbox::EffectKind;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bench::{Bench, csv, email, is_long};
use crate::support::database::Kind;

/// Leads of each case. More than one, so that some are in flight while another is being written down.
const LEADS: usize = 5;
/// Cases at once.
const AT_ONCE: usize = 6;

/// What becomes of leads of which nobody knows whether they arrived.
const POLICIES: [&str; 3] = ["update", "hold", "retry"];

/// One death.
#[derive(Clone, Debug)]
struct Case {
    kind: Kind,
    /// The point, and which passing of it.
    point: String,
    policy: &'static str,
}

/// A job that passes the point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    /// A file into an empty database, with look-ups under a budget.
    Import,
    /// Only the loading of it.
    QueueOnly,
    /// The same as an import, under a rate limit that is shared.
    Limited,
    /// The same, so slow that leases are renewed.
    SlowImport,
    /// The same, and the destination asks for a pause.
    Paused,
    /// The same, and the reply to one create is lost.
    LostReply,
    /// The same, and the first token request fails.
    NoToken,
    /// A person puts a rejected lead back.
    Retry,
    /// A person changes the key that everything is sealed with.
    Rekey,
    /// A person pauses the destination.
    Pause,
    /// A person lifts that.
    Resume,
    /// Into another system, where each lead is to be completed once it is there.
    Completed,
    /// The same, and the answer to one create is lost, so that it is sent again.
    Repeated,
    /// The same, and its refresh token is refused until a person logs in anew.
    DeadLogin,
}

/// The tag of [`Job::Completed`].
const TAG: &str = "leadsync";

/// The keys of [`Job::Rekey`].
const KEYS: [&str; 2] = [
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210",
];

fn job(point: &str) -> Job {
    match point.split('.').next().unwrap() {
        "begin_run" | "renew_turn" => Job::QueueOnly,
        "share_places" => Job::Limited,
        "renew" => Job::SlowImport,
        "pause" => Job::Paused,
        "find" => Job::LostReply,
        "abandon_refresh" => Job::NoToken,
        "operate" => Job::Retry,
        "reseal" => Job::Rekey,
        "pause_by_hand" => Job::Pause,
        "resume_by_hand" => Job::Resume,
        "complete" => Job::Completed,
        "repeat" => Job::Repeated,
        "mark_needs_login" => Job::DeadLogin,
        _ => Job::Import,
    }
}

/// Which passings of a point matter: by default the first.
fn passings(point: &str) -> &'static [u32] {
    match point {
        // The claims, the intents, the outcomes.
        "commit.before-commit" | "commit.after-commit" => &[1, 2, 3],
        // The first is written in the middle of a token request; that place has points of its own.
        "log_calls.before-commit" | "log_calls.after-commit" => &[2],
        // The fingerprints' key and two tokens.
        "reseal.before-commit" | "reseal.after-commit" => &[1, 2, 3],
        // Two tokens and a look-up come before the first create.
        "body.before-write" => &[4],
        _ => &[1],
    }
}

/// Whether leads may be `sending` at that point, so that the policy for unknown outcomes matters.
fn leaves_unknown(point: &str) -> bool {
    let points = ["commit.after-commit@2", "commit.before-commit@3", "commit.after-commit@3", "body.before-write@4"];
    points.contains(&point) || point.starts_with("create.")
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in [Kind::Sqlite, Kind::Postgres] {
        for point in leadsync::crash::points() {
            for passing in passings(&point) {
                let point = if *passing == 1 { point.clone() } else { format!("{point}@{passing}") };
                for policy in POLICIES {
                    // Only what looks leads up passes there; and one system is enough for the others.
                    let only = [Job::LostReply, Job::Completed, Job::Repeated, Job::DeadLogin].contains(&job(&point));
                    let possible = !only || policy == "update";
                    if possible && (policy == "update" || leaves_unknown(&point) || is_long()) {
                        cases.push(Case { kind, point: point.clone(), policy });
                    }
                }
            }
        }
    }
    // To play some of them again.
    if let Ok(point) = std::env::var("LEADSYNC_TEST_POINT") {
        cases.retain(|case| case.point == point);
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn killed_at_any_point_every_lead_ends_where_it_should() {
    let busy = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for case in cases() {
        let busy = Arc::clone(&busy);
        let name = case.clone();
        tasks.spawn(async move { (name, tokio::spawn(dies_and_recovers(case, busy)).await) });
    }
    let mut failed = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (case, result) = ended.unwrap();
        if result.is_err() {
            failed.push(case);
        }
    }
    assert!(failed.is_empty(), "failed (each says above why): {failed:#?}");
}

async fn dies_and_recovers(case: Case, busy: Arc<Semaphore>) {
    let _turn = busy.acquire().await.unwrap();
    let bench = bench(&case).await;
    let job = job(&case.point);
    let said = bench.start_armed(&case.point, &arguments(job, &bench).await).ended().await;
    assert_eq!(said.code, 137, "{case:?} was not reached:\n{}\n{}", said.out, said.err);

    let loaded = bench.database.try_sql("SELECT count(*) FROM leads").map_or(0, |n| n.parse::<usize>().unwrap());
    assert!([0, LEADS].contains(&loaded), "a file is loaded in one go: {loaded}");
    let in_flight = if loaded > 0 { time_passes(&bench) } else { BTreeSet::new() };
    match job {
        Job::Retry => drop(bench.leadsync(&["retry", "--state", "rejected"]).await.ends(0)),
        Job::Rekey => {
            bench.leadsync(&["auth", "rekey"]).await.ends(0);
            // The old one is gone.
            bench.set("security.encryption_key", KEYS[1]);
        }
        Job::Pause | Job::Resume => drop(bench.leadsync(&["resume", "7targets"]).await.ends(0)),
        Job::DeadLogin => {
            bench.run().await.ends(2).says("log in");
            assert_eq!(bench.number("SELECT sum(attempts) + sum(deferrals) FROM leads"), 0, "{case:?}");
            bench.set("destinations.crm.refresh_token", "sandbox-refresh");
        }
        _ => {}
    }
    let mut code = 4;
    for args in [if loaded == 0 { &["import", "leads.csv"][..] } else { &["run"] }, &["run"], &["run"], &["run"]] {
        code = bench.leadsync(args).await.code;
        if code != 4 {
            break;
        }
    }
    let all: BTreeSet<String> = (1..=LEADS).map(email).collect();
    match case.policy {
        "hold" => {
            assert_eq!(code, if in_flight.is_empty() { 0 } else { 3 }, "{case:?}");
            assert_eq!(emails(&bench, "unconfirmed"), in_flight, "{case:?}: exactly what was in flight");
            let without = bench.number("SELECT count(*) FROM leads WHERE state = 'unconfirmed' AND reason IS NULL");
            assert_eq!(without, 0, "{case:?}: each says why");
            resolve(&bench, &in_flight).await;
            bench.run().await.ends(0);
            bench.has_exactly(1..=LEADS);
        }
        "retry" => {
            assert_eq!(code, 0, "{case:?}");
            let leads = bench.sandbox.ledger().leads();
            assert_eq!(leads.iter().map(|lead| lead.email.clone()).collect::<BTreeSet<_>>(), all, "{case:?}");
            for lead in leads {
                let repeats = u64::from(in_flight.contains(&lead.email));
                assert_eq!(lead.creates, 1, "{case:?}: {}", lead.email);
                assert!(lead.repeated_creates <= repeats, "{case:?}: {} was repeated without need", lead.email);
            }
        }
        _ => {
            assert_eq!(code, 0, "{case:?}");
            bench.has_exactly(1..=LEADS);
        }
    }
    assert_eq!(emails(&bench, "delivered"), all, "{case:?}");
    assert_eq!(bench.number("SELECT count(*) FROM leads"), LEADS as i64, "{case:?}");
    if case.policy != "retry" {
        bench.agrees_by_sql();
    }
    bench.nothing_is_leased();
    if [Job::Completed, Job::Repeated].contains(&job) {
        let effects = bench.sandbox.ledger().effects();
        let tagged: BTreeSet<String> = effects
            .into_iter()
            .filter(|effect| effect.effect == EffectKind::Tagged && effect.body["tags"] == serde_json::json!([TAG]))
            .map(|effect| effect.email)
            .collect();
        assert_eq!(tagged, all, "{case:?}: completed as well");
    }
    // The day's creates are neither forgotten nor charged twice; only what nobody can tell stays charged.
    let charged =
        bench.number("SELECT CAST(coalesce(sum(used), 0) AS INTEGER) FROM quotas WHERE account NOT LIKE 'enrich%'");
    let doubtful = if case.policy == "update" { 0 } else { in_flight.len() };
    assert!(
        (LEADS..=LEADS + doubtful).contains(&usize::try_from(charged).unwrap()),
        "{case:?}: {charged} charged, in flight {in_flight:?}\n{}",
        bench.database.sql("SELECT id, lead_id, what, status, duration_ms, verdict FROM calls ORDER BY id")
    );
    // What was asked for is not asked for again unless its answer was lost.
    let tokens = if job == Job::NoToken { 4 } else { 2 };
    assert!(bench.asked("token") <= tokens && bench.asked("session") <= 2, "{case:?}: {:?}", bench.sandbox.totals());
    let asked = if case.point == "remember.after-commit" { 1 } else { 2 };
    assert!(bench.asked("find") <= asked, "{case:?}: people were paid for again");
}

async fn bench(case: &Case) -> Bench {
    let job = job(&case.point);
    let bench = Bench::with(case.kind, |options| {
        options.live_data.found = 1.0;
        options.latency = Duration::from_millis(if job == Job::SlowImport { 1_000 } else { 10 });
    })
    .await;
    bench.look_up();
    bench.set("enrich.daily_credits", 1_000);
    bench.set("run.lease", "60s");
    bench.set("enrich.timeout", "30s");
    if [Job::Completed, Job::Repeated, Job::DeadLogin].contains(&job) {
        bench.instead("crm");
        bench.set("destinations.crm.daily_limit", 1_000);
        bench.set("destinations.crm.timeout", "30s");
        bench.set("destinations.crm.tags", toml::value::Array::from([TAG.into()]));
    } else {
        bench.set("destinations.7targets.daily_limit", 1_000);
        bench.set("destinations.7targets.unknown", case.policy);
        bench.set("destinations.7targets.timeout", "30s");
    }
    match job {
        Job::Import | Job::QueueOnly | Job::Retry | Job::Rekey | Job::Pause | Job::Resume | Job::Completed => {}
        Job::DeadLogin => bench.set("destinations.crm.refresh_token", "sandbox-spent"),
        Job::Limited => bench.set("destinations.7targets.rate", "1000/s"),
        Job::SlowImport => {
            bench.set("destinations.7targets.concurrency", 1);
            bench.set("destinations.7targets.timeout", "5s");
            bench.set("run.lease", "12s");
        }
        Job::Paused => bench.faults(&format!("create:429={}#1", email(1))),
        Job::Repeated => bench.faults(&format!("lc_upsert:500-after={}#1", email(1))),
        Job::LostReply => bench.faults(&format!("create:500-after={}#1", email(1))),
        Job::NoToken => bench.faults("token:500=#1"),
    }
    bench.file("leads.csv", csv(1..=LEADS));
    bench
}

/// What is to die, after what has to come before it.
async fn arguments(job: Job, bench: &Bench) -> Vec<&'static str> {
    if job == Job::Retry {
        bench.faults(&format!("create:422={}#1", email(1)));
        bench.leadsync(&["import", "leads.csv"]).await.ends(3);
        bench.faults("");
        return vec!["retry", "--state", "rejected"];
    }
    match job {
        Job::Rekey => {
            bench.set("security.encryption_key", KEYS[0]);
            bench.leadsync(&["import", "leads.csv"]).await.ends(0);
            bench.set("security.encryption_key", toml::value::Array::from([KEYS[1].into(), KEYS[0].into()]));
            vec!["auth", "rekey"]
        }
        Job::Pause | Job::Resume => {
            bench.leadsync(&["import", "--queue-only", "leads.csv"]).await.ends(0);
            if job == Job::Pause {
                return vec!["pause", "7targets"];
            }
            bench.leadsync(&["pause", "7targets"]).await.ends(0);
            vec!["resume", "7targets"]
        }
        Job::QueueOnly => vec!["import", "--queue-only", "leads.csv"],
        _ => vec!["import", "leads.csv"],
    }
}

/// As long as a dead worker's leases, its turn at the token service and its last requests take to lapse. Returns the leads
/// of which nobody knows whether they arrived.
fn time_passes(bench: &Bench) -> BTreeSet<String> {
    // Waits for transactions that were under way when their worker died.
    bench.database.sql("UPDATE leads SET lease_expires_ms = 1 WHERE lease_token IS NOT NULL");
    let in_flight = emails(bench, "sending");
    bench.database.sql("UPDATE leads SET not_before_ms = 1 WHERE state = 'sending'");
    bench.database.sql("DELETE FROM places");
    bench.database.sql("UPDATE tokens SET refresh_until_ms = 1 WHERE refresh_until_ms IS NOT NULL");
    in_flight
}

fn emails(bench: &Bench, state: &str) -> BTreeSet<String> {
    let found = bench.database.sql(&format!("SELECT email FROM leads WHERE state = '{state}'"));
    found.lines().map(str::to_owned).collect()
}

/// A person looks each of them up at the destination.
async fn resolve(bench: &Bench, emails: &BTreeSet<String>) {
    for email in emails {
        let id = bench.number(&format!("SELECT id FROM leads WHERE email = '{email}'")).to_string();
        let there = bench.sandbox.ledger().lead(email);
        let answer = there.map_or("--absent".to_owned(), |lead| format!("--delivered={}", lead.id));
        bench.leadsync(&["resolve", &id, &answer]).await.ends(0);
    }
}
