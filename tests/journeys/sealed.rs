//! A number that one destination must be told and nobody else may read: sealed wherever it is kept, however it came in.

use leadsync::sandbox::LEAD_BANK;

use crate::bench::{Bench, FIRST_NAME, LAST_NAME, Said, email};
use crate::support::database::Kind;
use crate::systems::BANK;

journeys![
    a_tax_number_is_readable_nowhere_after_a_run,
    a_tax_number_is_readable_nowhere_when_nothing_could_be_sent,
    custom_fields_that_are_no_json_are_the_reason_and_are_not_shown,
];

/// The number of lead `n`. None is part of another.
fn tax_number(n: usize) -> String {
    format!("0{}", 45_678_901 + n * 1_010_101)
}

fn rows(numbers: impl IntoIterator<Item = usize>) -> String {
    let row = |n: usize| {
        let number = tax_number(n);
        // As people write them.
        let number = if n.is_multiple_of(2) { number } else { hyphens(&number) };
        format!("{},{FIRST_NAME},{LAST_NAME}{n},{number}\n", email(n))
    };
    "email,first_name,last_name,custom.tax_id\n".to_owned() + &numbers.into_iter().map(row).collect::<String>()
}

fn hyphens(number: &str) -> String {
    format!("{}-{}-{}", &number[..3], &number[3..5], &number[5..])
}

/// The same by SQL: as text, as a number (which loses the zero in front, so that it is none), and beside other fields.
fn insert(bench: &Bench, n: usize, custom_fields: &str) {
    let email = email(n);
    bench.database.sql(&format!(
        "INSERT INTO leads (email, first_name, last_name, destination, custom_fields) \
         VALUES ('{email}', '{FIRST_NAME}', '{LAST_NAME}{n}', 'bank', '{custom_fields}')"
    ));
}

/// Everything that the database holds, one row a line; what is binary also as text.
fn everything(bench: &Bench) -> String {
    let database = &bench.database;
    match database.kind {
        Kind::Sqlite => {
            let tables = database.sql("SELECT name FROM sqlite_master WHERE type = 'table'");
            let dump = |table: &str| {
                let columns = database.sql(&format!("SELECT name FROM pragma_table_info('{table}')"));
                let columns: Vec<String> = columns
                    .lines()
                    .map(|name| {
                        format!("coalesce(quote(\"{name}\"), '') || ' ' || coalesce(CAST(\"{name}\" AS TEXT), '')")
                    })
                    .collect();
                database.sql(&format!("SELECT {} FROM \"{table}\"", columns.join(" || ' ' || ")))
            };
            tables.lines().map(dump).collect::<Vec<_>>().join("\n")
        }
        Kind::Postgres => {
            let tables =
                database.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()");
            let dump = |table: &str| {
                let text = database.sql(&format!("SELECT it::text FROM \"{table}\" it"));
                let binary = database.sql(&format!(
                    "SELECT column_name FROM information_schema.columns \
                     WHERE table_schema = current_schema() AND table_name = '{table}' AND data_type = 'bytea'"
                ));
                let escaped =
                    |column: &str| database.sql(&format!("SELECT encode(\"{column}\", 'escape') FROM \"{table}\""));
                text + "\n" + &binary.lines().map(escaped).collect::<Vec<_>>().join("\n")
            };
            tables.lines().map(dump).collect::<Vec<_>>().join("\n")
        }
    }
}

/// Fails if one of these leads' numbers is readable there, however it is written.
#[track_caller]
fn keeps(where_: &str, text: &str, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers.into_iter().map(tax_number) {
        let hex: String = number.bytes().map(|byte| format!("{byte:02x}")).collect();
        for spelling in [number.clone(), hyphens(&number), number[1..].to_owned(), hex] {
            assert!(!text.to_lowercase().contains(&spelling), "{where_} tells `{spelling}`");
        }
    }
}

/// Fails if what was said tells a number.
#[track_caller]
fn said(said: &Said, numbers: std::ops::RangeInclusive<usize>) {
    keeps("standard output", &said.out, numbers.clone());
    keeps("standard error", &said.err, numbers);
}

/// What the bank has of each number: the sandbox keeps the last four digits.
fn last_digits_there(bench: &Bench) -> Vec<(String, String)> {
    let of = |body: &serde_json::Value| {
        let details = &body["individual_details"]["identification_details"]["tax_identification"];
        details["value"].as_str().unwrap_or_default().trim_start_matches('*').to_owned()
    };
    let leads = bench.sandbox.ledger().leads_of(LEAD_BANK);
    let mut there: Vec<_> = leads.iter().map(|lead| (lead.email.clone(), of(&lead.body))).collect();
    there.sort();
    there
}

/// Everything that can be asked of a lead.
async fn asked_for_everything(bench: &Bench, numbers: std::ops::RangeInclusive<usize>) {
    for args in [
        &["results", "--format", "csv"][..],
        &["results", "--format", "jsonl"],
        &["explain", "1"],
        &["explain", "4"],
        &["status", "--json"],
        &["config", "show"],
    ] {
        said(&bench.leadsync(args).await.ends(0), numbers.clone());
    }
    keeps("the database", &everything(bench), numbers);
}

async fn a_tax_number_is_readable_nowhere_after_a_run(kind: Kind) {
    let bench = BANK.bench(kind, |_| {}).await;
    // One reply is lost, one lead is refused: reasons and repeats must not tell either.
    bench.faults(&format!("bank_create:reset-after={}#1,bank_create:422={}", email(1), email(2)));
    bench.file("leads.csv", rows(1..=3));
    said(&bench.leadsync(&["import", "--queue-only", "leads.csv"]).await.ends(0), 1..=6);
    keeps("the database", &everything(&bench), 1..=6);
    insert(&bench, 4, &format!(r#"{{"tax_id": "{}"}}"#, tax_number(4)));
    insert(&bench, 5, &format!(r#"{{"plan": "gold", "tax_id": " {} "}}"#, hyphens(&tax_number(5))));
    insert(&bench, 6, &format!(r#"{{"tax_id": {}}}"#, &tax_number(6)[1..]));
    let inserted = everything(&bench);
    assert!(inserted.contains(&tax_number(4)), "what is looked for would be found");
    // The second refused one has eight digits.
    said(&bench.run().await.ends(3), 1..=6);
    bench.has_exactly([1, 3, 4, 5]);
    bench.agrees().await;
    let expected: Vec<_> = [1, 3, 4, 5].map(|n| (email(n), tax_number(n)[5..].to_owned())).into();
    assert_eq!(last_digits_there(&bench), expected);
    asked_for_everything(&bench, 1..=6).await;
    assert!(everything(&bench).contains("gold"), "the other fields stay readable");
}

async fn a_tax_number_is_readable_nowhere_when_nothing_could_be_sent(kind: Kind) {
    let bench = BANK.bench(kind, |_| {}).await;
    bench.queue(&rows(1..=2)).await;
    insert(&bench, 3, &format!(r#"{{"tax_id": "{}"}}"#, tax_number(3)));
    insert(&bench, 4, &format!(r#"{{"tax_id": "{}"}}"#, tax_number(4)));
    // Accepted, and then everything fails for long: leads are put down in every state.
    bench.faults("bank_create:503=100%,bank_find:503=100%");
    bench.set("run.wait", "1s");
    said(&bench.run().await.ends(4), 1..=4);
    asked_for_everything(&bench, 1..=4).await;
    bench.faults("");
    bench.set("run.wait", "20s");
    said(&bench.run().await.ends(0), 1..=4);
    bench.has_exactly(1..=4);
    let expected: Vec<_> = (1..=4).map(|n| (email(n), tax_number(n)[5..].to_owned())).collect();
    assert_eq!(last_digits_there(&bench), expected);
    asked_for_everything(&bench, 1..=4).await;
}

async fn custom_fields_that_are_no_json_are_the_reason_and_are_not_shown(kind: Kind) {
    let bench = BANK.bench(kind, |_| {}).await;
    bench.leadsync(&["db", "migrate"]).await.ends(0);
    insert(&bench, 1, &format!("tax_id: {}", tax_number(1)));
    insert(&bench, 2, &format!("number {}", tax_number(2)));
    insert(&bench, 3, &format!(r#"{{"tax_id": "{}"}}"#, tax_number(3)));
    for before in [true, false] {
        for lead in ["1", "2", "3"] {
            said(&bench.leadsync(&["explain", lead]).await.ends(0), 1..=3);
        }
        if before {
            said(&bench.run().await.ends(3), 1..=3);
        }
    }
    for lead in bench.results().await {
        let (state, reason) = (lead["state"].as_str().unwrap(), lead["reason"].as_str().unwrap_or_default());
        match lead["id"].as_i64() {
            Some(3) => assert_eq!(state, "delivered", "{lead}"),
            _ => assert!(state == "rejected" && reason.contains("not a JSON object"), "{lead}"),
        }
    }
}
