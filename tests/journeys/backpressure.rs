//! Long queues, slow and sick destinations, poisonous leads: memory stays flat, leads are leased in small bites, and nobody
//! holds the others up.

use std::time::Duration;

use leadsync::sandbox::{FaultPlan, Sandbox, SandboxOptions};
use rustix::process::Signal;

use crate::bench::{Bench, FIRST_NAME, LAST_NAME, Process, csv, email, read, until};
use crate::support::database::Kind;

journeys![
    a_long_queue_is_leased_in_small_bites_and_memory_stays_flat,
    a_destination_that_hangs_holds_few_leads,
    one_poisonous_lead_does_not_stop_the_others,
    a_sick_destination_leaves_the_others_alone,
];

/// Leads that a run may hold: four for each request in flight (8), and two bites of the look-up (100).
const MOST_LEASED: i64 = 4 * 8 + 2 * 100;
/// What a run may keep in memory, in KiB. Fifty thousand leads would not fit into it, a few hundred fill a small part.
const MOST_MEMORY_KIB: u64 = 60 * 1024;

/// Fills the queue as another program may: in one statement.
async fn fill(bench: &Bench, count: usize) {
    bench.leadsync(&["db", "migrate"]).await.ends(0);
    let numbers = match bench.database.kind {
        Kind::Sqlite => format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
             INSERT INTO leads (email, first_name, last_name, note)"
        ),
        Kind::Postgres => format!(
            "INSERT INTO leads (email, first_name, last_name, note) WITH numbers (n) AS (SELECT generate_series(1, {count}))"
        ),
    };
    let note = "x".repeat(200);
    bench.database.sql(&format!(
        "{numbers} SELECT replace('{}', 'nominova0', 'nominova' || n), '{FIRST_NAME}', '{LAST_NAME}' || n, '{note}' FROM numbers;",
        email(0)
    ));
}

/// What the program itself has allocated, without the pages of its file.
fn memory_kib(process: &Process) -> u64 {
    let status = read(format!("/proc/{}/status", process.pid().as_raw_nonzero()));
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn a_long_queue_is_leased_in_small_bites_and_memory_stays_flat(kind: Kind) {
    let long = std::env::var_os("LEADSYNC_TEST_LONG").is_some();
    let (count, sent) = if long { (1_000_000, 1_000) } else { (50_000, 250) };
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(20)).await;
    bench.look_up();
    bench.set("enrich.timeout", "10s");
    bench.set("run.lease", "60s");
    bench.set("destinations.7targets.timeout", "10s");
    fill(&bench, count).await;
    let run = bench.start(&["run", "-q"]);
    let (mut most_leased, mut most_memory) = (0, 0);
    // Now and then, since that count reads the whole table.
    for part in 1..=5 {
        until("some hundreds are sent", || {
            most_memory = most_memory.max(memory_kib(&run));
            bench.sandbox.totals().created >= part * sent / 5
        })
        .await;
        most_leased = most_leased.max(bench.number("SELECT count(*) FROM leads WHERE lease_token IS NOT NULL"));
    }
    run.signal(Signal::TERM);
    run.ended().await.ends(4);
    assert!(most_leased > 0 && most_leased <= MOST_LEASED, "{most_leased} leads were held at once");
    assert!(most_memory <= MOST_MEMORY_KIB, "{most_memory} KiB");
    bench.nothing_is_leased();
    let delivered = bench.number("SELECT count(*) FROM leads WHERE state = 'delivered'");
    assert_eq!(usize::try_from(delivered).unwrap(), bench.leads().len());
    assert!(bench.number("SELECT count(*) FROM leads WHERE state = 'received'") > 0, "the queue outlives the run");
}

async fn a_destination_that_hangs_holds_few_leads(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_secs(2)).await;
    bench.set("run.lease", "60s");
    bench.set("destinations.7targets.timeout", "30s");
    fill(&bench, 20_000).await;
    let run = bench.start(&["run", "-q"]);
    let mut most_memory = 0;
    until("two rounds are answered", || {
        most_memory = most_memory.max(memory_kib(&run));
        bench.sandbox.totals().created >= 16
    })
    .await;
    let leased = bench.number("SELECT count(*) FROM leads WHERE lease_token IS NOT NULL");
    let touched = bench.number("SELECT count(*) FROM leads WHERE updated_at_ms IS NOT NULL");
    run.signal(Signal::TERM);
    run.ended().await.ends(4);
    assert!(leased > 0 && leased <= MOST_LEASED, "{leased} leads are held");
    assert!(touched <= 2 * MOST_LEASED, "{touched} leads were touched for the sake of {}", bench.leads().len());
    assert!(most_memory <= MOST_MEMORY_KIB, "{most_memory} KiB");
    bench.nothing_is_leased();
}

async fn one_poisonous_lead_does_not_stop_the_others(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("retry.max_attempts", 3);
    // Loops within loops, for that lead alone: it takes more steps than a template may.
    let loops = ('a'..='f').map(|a| format!("{{% for {a} in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] %}}")).collect::<String>();
    let ends = "{% endfor %}".repeat(6);
    bench.set(
        "destinations.7targets.fields.additionalInformationLine",
        format!("{{% if lead.company == 'Endless Ltd' %}}{loops}x{ends}{{% endif %}}hello"),
    );
    bench.faults(&format!("create:500={},create:hang={},create:html={}", email(1), email(2), email(3)));
    let rows = csv((1..=3).chain(5..=150));
    let poison = format!("{},{FIRST_NAME},{LAST_NAME}4,Endless Ltd\n", email(4));
    let rows: String =
        rows.lines().map(|row| format!("{row},{}\n", if row.starts_with("email") { "company" } else { "" })).collect();
    let said = bench.import(&(rows + &poison)).await.ends(3);
    assert!(said.err.contains('✓'), "{}", said.err);
    let states = bench.states().await;
    let results = bench.results().await;
    let state = |n: usize| results.iter().find(|lead| lead["email"] == email(n)).unwrap()["state"].clone();
    // An HTML page came after the lead was created: it is found. A line that can't be made is left out.
    let states_of = [1, 2, 3, 4].map(|n| state(n).as_str().unwrap().to_owned());
    assert_eq!(states_of, ["exhausted", "exhausted", "delivered", "delivered"]);
    assert_eq!(states["delivered"], 148, "{states:?}");
    bench.has_exactly(3..=150);
    bench.agrees().await;
    bench.nothing_is_leased();
}

async fn a_sick_destination_leaves_the_others_alone(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(10)).await;
    let mut options = SandboxOptions::default();
    options.seven_targets.rate = None;
    let sick = Sandbox::start(options).await.unwrap();
    bench.second_destination("sick");
    bench.set("destinations.sick.api_url", sick.base_url());
    bench.set("destinations.sick.token_url", sick.token_url());
    sick.set_faults("create:503=100%".parse::<FaultPlan>().unwrap());
    bench.file("leads.csv", csv(1..=300));
    let both = ["import", "--destination", "7targets", "--destination", "sick", "leads.csv"];
    let said = bench.leadsync(&both).await.ends(4).says("failures in a row");
    assert!(said.err.contains('✓'), "{}", said.err);
    bench.has_exactly(1..=300);
    assert_eq!(bench.number("SELECT count(*) FROM leads WHERE destination = '7targets' AND state = 'delivered'"), 300);
    let waiting = "SELECT count(*) FROM leads WHERE destination = 'sick' AND state IN ('received', 'ready', 'sending')";
    assert_eq!(bench.number(waiting), 300, "nobody paid with a lead");
    assert!(sick.totals().operations.get("create").copied().unwrap_or(0) < 60, "it was left alone soon");
    bench.nothing_is_leased();

    sick.set_faults(FaultPlan::default());
    bench.run().await.ends(0);
    assert_eq!(bench.number("SELECT count(*) FROM leads WHERE state = 'delivered'"), 600);
    assert_eq!(sick.totals().created, 300);
}
