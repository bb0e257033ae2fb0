//! Leads that another program puts into the queue with plain SQL, through the clients that such programs use.

use serde_json::json;

use crate::bench::{Bench, email};
use crate::support::database::Kind;

journeys![
    rows_inserted_by_sql_are_delivered,
    a_row_for_later_waits_and_is_no_failure,
    strange_rows_are_explained_and_hold_nobody_up,
    leads_of_an_unknown_destination_wait_and_are_named,
    a_row_put_in_during_a_run_is_worked_by_the_next_at_the_latest,
];

/// As the program would do it before its first run.
async fn prepared(kind: Kind) -> Bench {
    let bench = Bench::new(kind).await;
    bench.leadsync(&["db", "migrate"]).await.ends(0);
    bench
}

async fn rows_inserted_by_sql_are_delivered(kind: Kind) {
    let bench = prepared(kind).await;
    bench.database.sql(&format!(
        "INSERT INTO leads (email, first_name) VALUES ('{}', 'Privata');
         INSERT INTO leads (email, first_name, last_name, phone, source, note, custom_fields, external_id, destination)
         VALUES ('{}', 'Privata', 'Nominova2', '+1 415 555 2671', 'CRM', 'it''s \"new\"', '{{\"tier\": \"gold\"}}', 'x-7', NULL);
         INSERT INTO leads (email, first_name, destination) VALUES ('{}', 'Privata', '7targets');
         INSERT INTO leads (email, first_name, destination) VALUES ('{}', 'Privata', '');",
        email(1),
        email(2),
        email(3),
        email(4)
    ));
    bench.run().await.ends(0).says("in 4 = delivered 4");
    bench.has_exactly(1..=4);
    bench.agrees().await;
    let body = bench.sandbox.ledger().lead(&email(2)).unwrap().body;
    assert_eq!(body["additionalInformationLine"], "it's \"new\"");
    assert_eq!(body["customFields"], json!([{"name": "tier", "value": "gold"}]));
    let lead = &bench.results().await[1];
    assert_eq!((&lead["source"], &lead["row"]), (&"CRM".into(), &json!(null)));
    for field in ["received_at", "finished_at"] {
        assert!(lead[field].as_str().unwrap().ends_with('Z'), "{lead}");
    }
    let readable = "SELECT count(*) FROM leads WHERE state = 'delivered' AND remote_id IS NOT NULL AND attempts = 0 \
                    AND created_at_ms > 0 AND updated_at_ms >= created_at_ms AND finished_at_ms >= created_at_ms";
    assert_eq!(bench.number(readable), 4);
}

async fn a_row_for_later_waits_and_is_no_failure(kind: Kind) {
    let bench = prepared(kind).await;
    let tomorrow = leadsync::clock::Clock::now(&leadsync::clock::SystemClock).ms() + 86_400_000;
    let insert = format!(
        "INSERT INTO leads (email, first_name, not_before_ms) VALUES ('{}', 'Privata', {tomorrow}), ('{}', 'Privata', 1)",
        email(1),
        email(2)
    );
    bench.database.sql(&insert);
    bench.run().await.ends(0).says("delivered 1");
    bench.has_exactly([2]);
    let status = bench.status().await;
    assert_eq!(status["states"]["received"], 1);
    assert_eq!(status["destinations"]["7targets"]["due"], 0);
    assert!(status["destinations"]["7targets"]["next_due_at"].is_string(), "{status}");
}

async fn strange_rows_are_explained_and_hold_nobody_up(kind: Kind) {
    let bench = prepared(kind).await;
    let huge = "x".repeat(300_000);
    bench.database.sql(&format!(
        "INSERT INTO leads (email) VALUES (NULL);
         INSERT INTO leads (email, first_name) VALUES ('', '');
         INSERT INTO leads (email, first_name) VALUES ('nobody at home', 'Privata');
         INSERT INTO leads (email, first_name, custom_fields) VALUES ('{}', 'Privata', '{{not json');
         INSERT INTO leads (email, first_name, note) VALUES ('{}', 'Privata', '{huge}');
         INSERT INTO leads (email, first_name, phone, linkedin) VALUES ('{}', 'Privata', 'none', '???');
         INSERT INTO leads (email, first_name, last_name) VALUES ('{}', 'Privata', '{huge}');
         INSERT INTO leads (email, first_name, not_before_ms) VALUES ('{}', 'Privata', -9223372036854775807);
         INSERT INTO leads (email, first_name) VALUES ('{huge}@mail.example.com', 'Privata');",
        email(1),
        email(2),
        email(3),
        email(4),
        email(5)
    ));
    bench.run().await.ends(3).says("in 9 = delivered 5 + rejected 4");
    bench.has_exactly(1..=5);
    for lead in bench.results().await.iter().filter(|lead| lead["state"] == "rejected") {
        assert!(lead["reason"].as_str().unwrap().starts_with("email: "), "{}", lead["reason"]);
    }
    let bodies: Vec<_> = bench.leads().into_iter().map(|lead| lead.body.to_string().len()).collect();
    assert!(bodies.iter().all(|length| *length < 20_000), "{bodies:?}");
    let said = bench.leadsync(&["explain", "4"]).await.ends(0);
    assert!(said.out.contains("custom_fields"), "{}", said.out);
}

async fn leads_of_an_unknown_destination_wait_and_are_named(kind: Kind) {
    let bench = prepared(kind).await;
    bench.database.sql(&format!(
        "INSERT INTO leads (email, first_name, destination) VALUES ('{}', 'Privata', 'nowhere'), ('{}', 'Privata', NULL)",
        email(1),
        email(2)
    ));
    bench.run().await.ends(0).says("`nowhere`");
    bench.has_exactly([2]);
    let status = bench.status().await;
    assert_eq!(status["destinations"]["nowhere"]["states"]["received"], 1, "{status}");
    assert_eq!(status["destinations"]["nowhere"]["configured"], false);
    bench.second_destination("nowhere");
    bench.run().await.ends(0);
    bench.has_exactly(1..=2);
}

async fn a_row_put_in_during_a_run_is_worked_by_the_next_at_the_latest(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = std::time::Duration::from_millis(30)).await;
    bench.queue(&crate::bench::csv(1..=20)).await;
    let run = bench.start(&["run"]);
    crate::bench::until("something is there", || bench.sandbox.totals().created > 2).await;
    bench.database.sql(&format!("INSERT INTO leads (email, first_name) VALUES ('{}', 'Privata')", email(21)));
    run.ended().await.ends(0);
    bench.run().await.ends(0);
    bench.has_exactly(1..=21);
    bench.agrees().await;
}
