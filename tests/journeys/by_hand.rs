//! `pause` and `resume`: what a person lets wait, waits, whoever is at work, and is nobody's failure.

use std::time::Duration;

use serde_json::Value;

use crate::bench::{Bench, csv, until};
use crate::exclusive::kept_at_work;
use crate::support::database::Kind;

journeys![
    a_paused_destination_waits_while_another_is_served,
    a_pause_runs_out_by_itself,
    an_import_for_a_paused_destination_loads_its_rows,
    a_run_at_work_stops_within_seconds_and_its_leads_wait_as_they_are,
    a_run_that_waits_for_what_comes_due_ends_when_it_is_paused,
    paused_look_ups_are_waited_for_whatever_the_configuration_says,
    what_a_server_asked_for_is_lifted_only_with_all,
    what_is_not_configured_is_named_with_the_nearest,
];

async fn queue_for(bench: &Bench, destination: &str, leads: impl IntoIterator<Item = usize>) {
    bench.file("leads.csv", csv(leads));
    bench.leadsync(&["import", "--queue-only", "--destination", destination, "leads.csv"]).await.ends(0);
}

/// Nobody touched a lead that waits.
fn untouched(bench: &Bench, leads: i64) {
    let wait = "state IN ('received', 'ready') AND not_before_ms = 0 AND attempts = 0 AND deferrals = 0";
    assert_eq!(bench.number(&format!("SELECT count(*) FROM leads WHERE {wait}")), leads);
    bench.nothing_is_leased();
}

async fn a_paused_destination_waits_while_another_is_served(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.second_destination("other");
    queue_for(&bench, "7targets", 1..=3).await;
    queue_for(&bench, "other", 4..=6).await;
    let said = bench.leadsync(&["pause", "7targets", "--why", "wrong list"]).await.ends(0).out;
    assert!(said.contains("7targets is paused until it is resumed"), "{said}");
    let said = bench.run().await.ends(0).says("7targets  paused by hand until it is resumed, since 20");
    assert!(said.err.contains(": wrong list; its leads wait"), "{}", said.err);
    bench.has_exactly(4..=6);
    untouched(&bench, 3);

    let status = bench.status().await;
    let paused = &status["destinations"]["7targets"];
    assert_eq!((&paused["paused"], &paused["paused_until"], &paused["due"]), (&true.into(), &Value::Null, &3.into()));
    assert!(paused["paused_why"].as_str().unwrap().ends_with(": wrong list"), "{paused}");
    assert_eq!(paused["paused_by_hand"]["why"], "wrong list");
    assert_eq!(status["destinations"]["other"]["paused"], false);
    assert_eq!(status["last_run"]["exit_code"], 0);
    assert!(bench.leadsync(&["status"]).await.ends(0).out.contains("paused by hand by "));

    // For as long as it takes, and cron hears nothing of it.
    let calls = bench.sandbox.totals().requests;
    for quiet in ["-q", "-qq"] {
        let said = bench.leadsync(&["run", quiet]).await.ends(0);
        assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    }
    assert_eq!(bench.sandbox.totals().requests, calls, "nobody was called");
    assert!(bench.leadsync(&["resume", "7targets"]).await.ends(0).out.contains("7targets goes on"));
    assert!(bench.leadsync(&["resume", "7targets"]).await.ends(0).out.contains("was not paused"));
    bench.run().await.ends(0);
    bench.has_exactly(1..=6);
    assert_eq!(bench.status().await["destinations"]["7targets"]["paused"], false);
}

async fn a_pause_runs_out_by_itself(kind: Kind) {
    let bench = Bench::new(kind).await;
    queue_for(&bench, "7targets", 1..=2).await;
    bench.leadsync(&["pause", "7targets"]).await.ends(0);
    // The newest word counts, although it is the shorter one.
    bench.leadsync(&["pause", "7targets", "--for", "2h"]).await.ends(0);
    let paused = bench.status().await["destinations"]["7targets"].clone();
    let (since, ends) = (&paused["paused_by_hand"]["since"], &paused["paused_until"]);
    assert_eq!(ends, &paused["paused_by_hand"]["until"]);
    assert!(since.as_str().unwrap() < ends.as_str().unwrap(), "{paused}");
    assert_eq!(bench.number("SELECT until_ms - since_ms FROM hand_pauses"), 7_200_000);
    bench.run().await.ends(0).says("paused by hand until 20");
    assert_eq!(bench.sandbox.totals().requests, 0);
    untouched(&bench, 2);
    // Two hours later.
    bench.database.sql("UPDATE hand_pauses SET since_ms = since_ms - 7200000, until_ms = until_ms - 7200000");
    assert_eq!(bench.status().await["destinations"]["7targets"]["paused"], false);
    bench.run().await.ends(0);
    bench.has_exactly(1..=2);
}

async fn an_import_for_a_paused_destination_loads_its_rows(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.leadsync(&["db", "migrate"]).await.ends(0);
    bench.leadsync(&["pause", "7targets"]).await.ends(0);
    bench.import(&csv(1..=2)).await.ends(0).says("paused by hand");
    assert_eq!(bench.sandbox.totals().requests, 0);
    untouched(&bench, 2);
    // Other credentials make another account, and the destination is paused all the same.
    let client = bench.get("destinations.7targets.client_id");
    bench.set("destinations.7targets.client_id", "another-client");
    bench.run().await.ends(0).says("paused by hand");
    bench.set("destinations.7targets.client_id", client);
    bench.leadsync(&["resume", "7targets"]).await.ends(0);
    bench.run().await.ends(0);
    bench.has_exactly(1..=2);
}

async fn a_run_at_work_stops_within_seconds_and_its_leads_wait_as_they_are(kind: Kind) {
    const LEADS: usize = 400;
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(100)).await;
    bench.set("destinations.7targets.concurrency", 2);
    queue_for(&bench, "7targets", 1..=LEADS).await;
    let run = bench.start(&["run"]);
    until("some are there", || bench.sandbox.totals().created >= 5).await;
    bench.leadsync(&["pause", "7targets"]).await.ends(0);
    run.ended().await.ends(0).says("paused by hand");
    let sent = bench.leads().len();
    assert!(sent < LEADS / 2, "{sent} of {LEADS}: two at once take 20 s for all");
    untouched(&bench, i64::try_from(LEADS - sent).unwrap());
    bench.agrees_by_sql();
    bench.leadsync(&["resume", "7targets"]).await.ends(0);
    bench.leadsync(&["run", "--limit", "10"]).await.ends(0);
    assert_eq!(bench.leads().len(), sent + 10);
}

async fn a_run_that_waits_for_what_comes_due_ends_when_it_is_paused(kind: Kind) {
    let bench = Bench::new(kind).await;
    kept_at_work(&bench, 3).await;
    let run = bench.start(&["run"]);
    until("it waits for the last", || bench.sandbox.totals().created == 2).await;
    bench.leadsync(&["pause", "7targets"]).await.ends(0);
    run.ended().await.ends(0).says("paused by hand");
    bench.nothing_is_leased();
    bench.agrees_by_sql();
}

async fn paused_look_ups_are_waited_for_whatever_the_configuration_says(kind: Kind) {
    let bench = Bench::with(kind, |options| options.live_data.found = 1.0).await;
    bench.look_up();
    bench.set("enrich.when_unavailable", "send");
    queue_for(&bench, "7targets", 1..=2).await;
    bench.leadsync(&["pause", "enrich", "--for", "1h"]).await.ends(0);
    bench.run().await.ends(0).says("enrich  paused by hand until 20");
    assert_eq!((bench.asked("find"), bench.asked("session"), bench.asked("create")), (0, 0, 0));
    untouched(&bench, 2);
    assert_eq!(bench.status().await["enrich"]["paused"], true);
    bench.leadsync(&["resume", "enrich"]).await.ends(0);
    bench.run().await.ends(0);
    bench.has_exactly(1..=2);
    // At once, and not when the hour is over.
    assert_eq!(bench.asked("find"), 1);
}

async fn what_a_server_asked_for_is_lifted_only_with_all(kind: Kind) {
    let bench = Bench::with(kind, |options| options.timing.pause = Duration::from_secs(3600)).await;
    queue_for(&bench, "7targets", 1..=2).await;
    bench.faults("create:429=#1");
    bench.run().await.ends(4).says("paused until 20");
    bench.leadsync(&["pause", "7targets"]).await.ends(0);
    bench.faults("");
    // Those that were put off keep their time; these are due.
    queue_for(&bench, "7targets", 3..=4).await;
    bench.run().await.ends(0).says("paused by hand");
    // A person's pause hides the server's, and ends without it.
    let said = bench.leadsync(&["resume", "7targets"]).await.ends(0).out;
    assert!(said.contains("7targets goes on") && said.contains("stays paused, as its server asked"), "{said}");
    let status = bench.status().await["destinations"]["7targets"].clone();
    assert_eq!((&status["paused"], &status["paused_by_hand"]), (&true.into(), &Value::Null), "{status}");
    bench.run().await.ends(4).says("paused until 20");
    let calls = bench.sandbox.totals().requests;
    let said = bench.leadsync(&["resume", "7targets", "--all"]).await.ends(0).out;
    assert!(said.contains("lifted what its server asked for"), "{said}");
    assert_eq!(bench.status().await["destinations"]["7targets"]["paused"], false);
    bench.run().await;
    assert!(bench.sandbox.totals().requests > calls, "it was called again");
}

async fn what_is_not_configured_is_named_with_the_nearest(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.leadsync(&["db", "migrate"]).await.ends(0);
    for command in ["pause", "resume"] {
        bench.leadsync(&[command, "7target"]).await.ends(2).says("did you mean `7targets`?");
        // Look-ups are off here.
        bench.leadsync(&[command, "enrich"]).await.ends(2).says("no destination or look-up is called `enrich`");
    }
    bench.leadsync(&["pause", "7targets", "--for", "0s"]).await.ends(2);
    // What was paused and is gone from the configuration can be resumed.
    bench.second_destination("other");
    bench.leadsync(&["pause", "other"]).await.ends(0);
    bench.remove("destinations.other");
    assert_eq!(bench.status().await["destinations"]["other"]["paused"], true);
    bench.leadsync(&["resume", "other"]).await.ends(0);
    bench.leadsync(&["resume", "other"]).await.ends(2);
}
