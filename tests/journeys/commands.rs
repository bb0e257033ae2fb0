//! The commands around a run.

use std::time::Duration;

use serde_json::Value;

use crate::bench::{Bench, csv, email};
use crate::support::database::Kind;

journeys![
    a_limited_run_takes_so_many_leads_and_no_more,
    a_run_of_limited_duration_ends_in_order,
    status_has_its_fixed_fields,
    results_have_their_fixed_fields_and_filters,
    explain_tells_every_call_of_a_lead,
    the_databases_standing_is_told_before_and_after,
    without_migrating_a_run_says_what_to_do,
    a_quiet_run_says_nothing_and_a_json_run_says_json,
    personal_data_is_told_at_no_verbosity,
    a_missing_secret_is_named_before_anything_is_done,
];

async fn a_limited_run_takes_so_many_leads_and_no_more(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.queue(&csv(1..=10)).await;
    bench.leadsync(&["run", "--limit", "4"]).await.ends(0).says("in 4 = delivered 4");
    assert_eq!((bench.leads().len(), bench.states().await["received"]), (4, 6));
    bench.leadsync(&["run", "--limit", "100"]).await.ends(0).says("in 6 = delivered 6");
    bench.has_exactly(1..=10);
}

async fn a_run_of_limited_duration_ends_in_order(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(200)).await;
    bench.set("destinations.7targets.concurrency", 1);
    bench.queue(&csv(1..=40)).await;
    let said = bench.leadsync(&["run", "--max-duration", "1s"]).await;
    assert!(bench.leads().len() < 40, "{said:?}");
    assert!([0, 4].contains(&said.code), "{said:?}");
    assert_eq!(bench.number("SELECT count(*) FROM leads WHERE state = 'sending'"), 0);
    bench.nothing_is_leased();
    bench.agrees().await;
}

async fn status_has_its_fixed_fields(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.faults(&format!("create:422={}", email(2)));
    bench.import(&csv([1, 2, 1])).await.ends(3);
    let status = bench.status().await;
    let states = ["received", "ready", "sending", "delivered", "rejected", "exhausted", "unconfirmed", "skipped"];
    for states_of in [&status["states"], &status["destinations"]["7targets"]["states"]] {
        let told: Vec<i64> = states.iter().map(|state| states_of[state].as_i64().unwrap()).collect();
        assert_eq!(told, [0, 0, 0, 1, 1, 0, 0, 1], "{status}");
    }
    let destination = status["destinations"]["7targets"].as_object().unwrap();
    for field in ["due", "next_due_at", "paused_until", "paused_why"] {
        assert!(destination.contains_key(field), "{field}: {status}");
    }
    let run = status["last_run"].as_object().unwrap();
    for (field, expected) in [("delivered", 1), ("rejected", 1), ("skipped", 1), ("exit_code", 3)] {
        assert_eq!(run[field], expected, "{status}");
    }
    for field in ["id", "started_at", "finished_at", "exhausted", "unconfirmed"] {
        assert!(!run[field].is_null(), "{field}: {status}");
    }
    let told = bench.leadsync(&["status"]).await.ends(0).out;
    assert!(told.contains("7targets") && told.contains("delivered"), "{told}");
}

async fn results_have_their_fixed_fields_and_filters(kind: Kind) {
    let bench = Bench::new(kind).await;
    let row = "not an address,Privata\n";
    bench.import(&format!("email,first_name\n{},Privata\n{row}", email(1))).await.ends(3);
    let leads = bench.results().await;
    let mut fields: Vec<&str> = leads[0].as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut expected = [
        "id",
        "destination",
        "email",
        "state",
        "reason",
        "remote_id",
        "attempts",
        "enriched",
        "source",
        "row",
        "received_at",
        "finished_at",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    let rejected = leads.iter().find(|lead| lead["state"] == "rejected").unwrap();
    assert_eq!((&rejected["email"], &rejected["remote_id"]), (&"not an address".into(), &Value::Null));

    let csv = bench.leadsync(&["results"]).await.ends(0).out;
    assert!(csv.starts_with("id,destination,email,state,reason,remote_id,attempts,enriched,source,row,"), "{csv}");
    let lines = |said: crate::bench::Said| said.ends(0).out.lines().count();
    assert_eq!(lines(bench.leadsync(&["results", "--state", "delivered"]).await), 2);
    assert_eq!(lines(bench.leadsync(&["results", "--format", "jsonl", "--run", "1"]).await), 2);
    assert_eq!(lines(bench.leadsync(&["results", "--format", "jsonl", "--run", "2"]).await), 0);
    assert_eq!(lines(bench.leadsync(&["results", "--format", "jsonl", "--since", "1h"]).await), 2);
    assert_eq!(lines(bench.leadsync(&["results", "--format", "jsonl", "--since", "2999-01-01"]).await), 0);
}

async fn explain_tells_every_call_of_a_lead(kind: Kind) {
    let bench = Bench::with(kind, |options| options.live_data.found = 1.0).await;
    bench.look_up();
    bench.faults(&format!("create:500={0}#1,create:429={0}#2", email(1)));
    bench.import(&csv([1])).await.ends(0);
    let told = bench.leadsync(&["explain", &email(1)]).await.ends(0).out;
    let calls: Vec<&str> =
        told.lines().filter(|line| line.contains("  7targets  ") || line.contains("  enrich  ")).collect();
    for (what, status) in [("lookup", "200"), ("create", "500"), ("find", "404"), ("create", "429"), ("create", "201")]
    {
        let found = calls.iter().any(|line| line.contains(what) && line.contains(status));
        assert!(found, "{what} {status} is missing:\n{told}");
    }
    assert_eq!(calls.len(), 5, "{told}");
    let id = bench.only().await["id"].to_string();
    let by_number = bench.leadsync(&["explain", &id]).await.ends(0).out;
    // The beginning tells how long ago things were.
    let calls_of = |told: &str| told[told.find("  calls\n").unwrap()..].to_owned();
    assert_eq!(calls_of(&by_number), calls_of(&told));
    bench.leadsync(&["explain", "4711"]).await.ends(2);
    bench.leadsync(&["explain", &email(9)]).await.ends(2);
}

async fn the_databases_standing_is_told_before_and_after(kind: Kind) {
    let bench = Bench::new(kind).await;
    assert!(bench.leadsync(&["db", "status"]).await.ends(0).out.contains("not set up yet"));
    assert!(bench.leadsync(&["db", "migrate"]).await.ends(0).out.contains("from version 0"));
    assert!(bench.leadsync(&["db", "migrate"]).await.ends(0).out.contains("nothing to do"));
    assert!(bench.leadsync(&["db", "status"]).await.ends(0).out.contains("up to date"));
    bench.run().await.ends(0);
    assert_eq!(bench.sandbox.totals().requests, 0, "an empty queue calls nobody");
}

async fn without_migrating_a_run_says_what_to_do(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("database.migrate", false);
    bench.file("leads.csv", csv([1]));
    bench.leadsync(&["import", "leads.csv"]).await.ends(2).says("leadsync db migrate");
    bench.leadsync(&["run"]).await.ends(2).says("leadsync db migrate");
}

async fn a_quiet_run_says_nothing_and_a_json_run_says_json(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.leadsync(&["db", "migrate"]).await.ends(0);
    bench.queue(&csv(1..=3)).await;
    let said = bench.leadsync(&["run", "-q"]).await.ends(0);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    bench.faults(&format!("create:422={}", email(4)));
    bench.queue(&csv(4..=5)).await;
    let said = bench.leadsync(&["run", "--log-format", "json"]).await.ends(3);
    let lines: Vec<Value> =
        said.err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let finished = lines.iter().find(|line| line["message"] == "run finished").unwrap();
    assert_eq!((&finished["delivered"], &finished["exit_code"]), (&1.into(), &3.into()), "{finished}");
}

async fn personal_data_is_told_at_no_verbosity(kind: Kind) {
    let bench = Bench::with(kind, |options| options.live_data.found = 1.0).await;
    bench.look_up();
    for verbosity in ["-vv", "-v", "--no-progress"] {
        bench.faults("create:401=20%,create:500=20%,create:422=20%,create:reset=10%,create:409=10%,find:400=10%");
        bench.file("leads.csv", csv(1..=25) + "privata.nominova@,Privata,Nominova\n");
        // What is said is looked through at the end of every process.
        bench.leadsync(&["import", "leads.csv", verbosity]).await;
        bench.leadsync(&["run", verbosity]).await;
        bench.leadsync(&["retry", "--state", "rejected", verbosity]).await.ends(0);
    }
}

async fn a_missing_secret_is_named_before_anything_is_done(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("destinations.7targets.client_secret", "${SEVEN_TARGETS_SECRET_THAT_IS_NOT_SET}");
    bench.file("leads.csv", csv([1]));
    bench.leadsync(&["import", "leads.csv"]).await.ends(2).says("SEVEN_TARGETS_SECRET_THAT_IS_NOT_SET");
    assert_eq!(bench.results().await.len(), 0);
    assert_eq!(bench.sandbox.totals().requests, 0);
}
