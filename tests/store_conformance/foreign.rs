//! Other programs' rows, written with the database's own tools.

use leadsync::lead::{LeadId, LeadState};
use leadsync::store::{LeadFilter, StepOutcome};

use crate::bench::{Bench, DESTINATION, NOW, later, prepare, send};
use crate::support::database::Kind;

cases![
    a_plain_insert_is_all_it_takes,
    every_public_column_can_be_filled,
    what_can_not_be_meant_is_refused_at_once,
    strange_rows_never_keep_others_from_being_leased,
    a_row_that_is_ready_by_somebody_elses_word_has_nothing_prepared,
    rows_removed_or_changed_behind_our_back_do_no_harm,
];

async fn a_plain_insert_is_all_it_takes(bench: Bench) {
    bench.database.sql("INSERT INTO leads (email, first_name) VALUES ('ann@example.com', 'Ann');");
    let told = bench.database.sql(
        "SELECT id, state, reason, remote_id, attempts, created_at_ms, updated_at_ms, finished_at_ms, not_before_ms FROM leads",
    );
    assert_eq!(told, "1|received|||0||||0");
    let lead = bench.lease(&bench.ask(10), later(3)).await.unwrap().remove(0);
    assert_eq!((lead.raw.email.as_deref(), lead.raw.first_name.as_deref()), (Some("ann@example.com"), Some("Ann")));
    assert_eq!((lead.destination.as_str(), lead.origin.as_ref()), (DESTINATION, None));
    let told = bench.database.sql("SELECT destination, created_at_ms, updated_at_ms FROM leads");
    assert_eq!(told, format!("{DESTINATION}|{}|{}", later(3).ms(), later(3).ms()));
}

async fn every_public_column_can_be_filled(bench: Bench) {
    bench.database.sql(&format!(
        "INSERT INTO leads (email, first_name, last_name, phone, company, job_title, linkedin, source, context, note,
             custom_fields, external_id, destination, not_before_ms)
         VALUES ('1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '{{\"a\": \"b\"}}', '12', '{DESTINATION}', {});",
        later(5).ms(),
    ));
    assert!(bench.lease(&bench.ask(10), later(4)).await.unwrap().is_empty());
    let raw = bench.lease(&bench.ask(10), later(5)).await.unwrap().remove(0).raw;
    let all = [
        raw.email,
        raw.first_name,
        raw.last_name,
        raw.phone,
        raw.company,
        raw.job_title,
        raw.linkedin,
        raw.source,
        raw.context,
        raw.note,
        raw.custom_fields,
        raw.external_id,
    ];
    let all: Vec<String> = all.into_iter().map(Option::unwrap).collect();
    assert_eq!(all, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", r#"{"a": "b"}"#, "12"]);
}

async fn what_can_not_be_meant_is_refused_at_once(bench: Bench) {
    for insert in [
        "INSERT INTO leads (email, state) VALUES ('a@example.com', 'done')",
        "INSERT INTO leads (email, not_before_ms) VALUES ('a@example.com', 'tomorrow')",
        "INSERT INTO leads (email, not_before_ms) VALUES ('a@example.com', NULL)",
        "INSERT INTO leads (id, email) VALUES (-1, 'a@example.com')",
    ] {
        assert!(bench.database.try_sql(insert).is_err(), "{insert}");
    }
    assert_eq!(bench.database.sql("SELECT count(*) FROM leads"), "0");
}

async fn strange_rows_never_keep_others_from_being_leased(bench: Bench) {
    bench.database.sql(
        "INSERT INTO leads (email) VALUES (NULL), ('');
         INSERT INTO leads (email, custom_fields) VALUES ('a', '[not json');
         INSERT INTO leads (email, not_before_ms) VALUES ('early@example.com', -9223372036854775808);
         INSERT INTO leads (email, attempts, deferrals, probes) VALUES ('worn@example.com', -5, 9223372036854775807, 4294967296);
         INSERT INTO leads (email, lease_token) VALUES ('token@example.com', 7);
         INSERT INTO leads (email, source_file, source_row) VALUES ('row@example.com', 'x.csv', -3);
         INSERT INTO leads (email, prepared, state) VALUES ('bad@example.com', '{\"lead\":', 'ready');
         INSERT INTO leads (email, state, sent_at_ms) VALUES ('sent@example.com', 'sending', -1);
         INSERT INTO leads (email, state) VALUES ('there@example.com', 'delivered');
         INSERT INTO leads (email, destination) VALUES ('elsewhere@example.com', 'no such destination');",
    );
    let (huge, nul) = match bench.database.kind {
        Kind::Sqlite => (
            "INSERT INTO leads (email, note) VALUES ('huge@example.com', printf('%.*c', 20000000, 'x'));",
            "INSERT INTO leads (email, first_name) VALUES (CAST(x'61006240632e6465' AS TEXT), CAST(x'fffe41' AS TEXT));",
        ),
        Kind::Postgres => (
            "INSERT INTO leads (email, note) VALUES ('huge@example.com', repeat('x', 20000000));",
            "INSERT INTO leads (email) VALUES (repeat('long', 5000));",
        ),
    };
    bench.database.sql(huge);
    bench.database.sql(nul);
    bench.database.sql("INSERT INTO leads (email) VALUES ('ann@example.com');");

    let leased = bench.lease(&bench.ask(100), NOW).await.unwrap();
    assert_eq!(leased.len(), 12, "all but the delivered one and the one for elsewhere");
    assert_eq!(leased[0].raw.email.as_deref(), Some("early@example.com"));
    assert!(leased.iter().any(|lead| lead.raw.email.as_deref() == Some("ann@example.com")));
    let huge = leased.iter().find(|lead| lead.raw.email.as_deref() == Some("huge@example.com")).unwrap();
    if bench.database.kind == Kind::Postgres {
        // A row can hold more than any message can carry.
        assert_eq!(huge.raw.note.as_ref().unwrap().len(), 1_048_576);
    }
    let worn = leased.iter().find(|lead| lead.raw.email.as_deref() == Some("worn@example.com")).unwrap();
    assert_eq!((worn.attempts, worn.deferrals, worn.probes), (0, u32::MAX, u32::MAX));
    if bench.database.kind == Kind::Sqlite {
        let nul = leased.iter().find(|lead| lead.raw.email.as_deref() == Some("a\0b@c.de")).unwrap();
        assert_eq!(nul.raw.first_name.as_deref(), Some("\u{fffd}\u{fffd}A"));
    }
    let records = bench.leads(&LeadFilter::default(), LeadId(0), 100).await.unwrap();
    assert_eq!(records.len(), 14);
    // And each can be brought to an end.
    let steps: Vec<_> = leased.iter().map(crate::bench::refuse).collect();
    let outcomes = bench.steps(&steps).await;
    assert!(outcomes.iter().all(|outcome| *outcome == crate::bench::applied(LeadState::Rejected)), "{outcomes:?}");
}

async fn a_row_that_is_ready_by_somebody_elses_word_has_nothing_prepared(bench: Bench) {
    bench.database.sql("INSERT INTO leads (email, state) VALUES ('ann@example.com', 'ready')");
    let lead = bench.lease(&bench.ask(1), NOW).await.unwrap().remove(0);
    assert_eq!((lead.state, lead.prepared), (LeadState::Ready, None));
}

async fn rows_removed_or_changed_behind_our_back_do_no_harm(bench: Bench) {
    let leads = bench.leased(&["a@x.org", "b@x.org"]).await;
    bench.steps(&[prepare(&leads[0], "same"), prepare(&leads[1], "same")]).await;
    bench.database.sql(&format!("DELETE FROM leads WHERE id = {}", leads[0].id));
    assert_eq!(bench.step(send(&leads[0])).await, StepOutcome::LeaseLost);
    // The claim stays: it might have been delivered.
    assert_eq!(bench.holder("same").await, Some(leads[0].id));
    bench.database.sql(&format!("UPDATE leads SET state = 'received' WHERE id = {}", leads[1].id));
    let again = bench.lease(&bench.ask(1), NOW).await.unwrap().remove(0);
    assert_eq!(bench.step(prepare(&again, "same")).await, StepOutcome::Duplicate { of: leads[0].id });
}
