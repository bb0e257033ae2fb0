//! CSV in, leads out.

use crate::bench::{Bench, csv, email, read};
use crate::support::database::Kind;

journeys![
    every_row_of_a_file_ends_where_it_should_and_rejects_can_be_fixed,
    rejects_can_be_accepted,
    the_same_file_again_calls_nobody,
    the_same_address_is_sent_once_however_it_comes_in,
    a_duplicate_takes_the_place_of_an_unusable_first,
    a_duplicate_takes_the_place_of_one_that_the_destination_refuses,
    values_arrive_as_they_were_meant,
    one_file_for_two_destinations_is_delivered_to_both,
    standard_input_is_a_file_too,
    a_file_that_is_none_is_named_and_nothing_is_written,
];

const MIXED: &str = "\
email,first_name,last_name
privata.nominova1@mail.example.com,Privata,Nominova1
not-an-address,Privata,Nominova2
PRIVATA.NOMINOVA1@mail.example.com,Privata,Nominova1
privata.nominova3@mail.example.com,Privata,Nominova3
privata.nominova4@mail.example.com,Privata,Nominova4,one too many
,Privata,Nominova5
privata.nominova6@mail.example.com,,Nominova6
";

async fn every_row_of_a_file_ends_where_it_should_and_rejects_can_be_fixed(kind: Kind) {
    let bench = Bench::new(kind).await;
    let said = bench.import(MIXED).await.ends(3).says("in 7 = delivered 2 + rejected 4 + exhausted 0");
    assert!(said.err.contains("leads.csv.rejected.csv"), "{}", said.err);
    bench.has_exactly([1, 3]);
    bench.agrees().await;

    let leads = bench.results().await;
    let told: Vec<(i64, &str)> =
        leads.iter().map(|lead| (lead["row"].as_i64().unwrap(), lead["state"].as_str().unwrap())).collect();
    let mut told_sorted = told.clone();
    told_sorted.sort_unstable();
    assert_eq!(
        told_sorted,
        [
            (2, "delivered"),
            (3, "rejected"),
            (4, "skipped"),
            (5, "delivered"),
            (6, "rejected"),
            (7, "rejected"),
            (8, "rejected")
        ]
    );
    for lead in leads.iter().filter(|lead| lead["state"] == "rejected") {
        let reason = lead["reason"].as_str().unwrap();
        let column = match lead["row"].as_i64().unwrap() {
            3 | 7 => "email",
            8 => "first_name",
            _ => "field",
        };
        assert!(reason.contains(column), "row {}: {reason}", lead["row"]);
        assert!(lead["source"].as_str().unwrap().ends_with("leads.csv"), "{lead}");
    }
    let duplicate = leads.iter().find(|lead| lead["state"] == "skipped").unwrap();
    let first = leads.iter().find(|lead| lead["row"] == 2).unwrap();
    let whose = format!("duplicate of lead {}", first["id"]);
    assert!(duplicate["reason"].as_str().unwrap().contains(&whose), "{duplicate}");

    let rejects = read(bench.path("leads.csv.rejected.csv"));
    let lines: Vec<&str> = rejects.lines().collect();
    assert_eq!(lines.len(), 5, "{rejects}");
    assert!(lines[0].ends_with("email,first_name,last_name"), "{rejects}");
    for (line, (row, original)) in lines[1..].iter().zip([
        (3, "not-an-address,Privata,Nominova2"),
        (6, "privata.nominova4@mail.example.com,Privata,Nominova4,one too many"),
        (7, ",Privata,Nominova5"),
        (8, "privata.nominova6@mail.example.com,,Nominova6"),
    ]) {
        assert!(line.starts_with(&format!("{row},")) && line.ends_with(original), "{line}");
    }

    let fixed = rejects
        .replace("not-an-address", &email(2))
        .replace(",one too many", "")
        .replace(",Privata,Nominova5", &format!("{},Privata,Nominova5", email(5)))
        .replace(",,Nominova6", ",Privata,Nominova6");
    bench.file("fixed.csv", fixed.replacen(",,", ",", 0));
    bench.leadsync(&["import", "fixed.csv"]).await.ends(0);
    bench.has_exactly(1..=6);
    bench.agrees().await;
}

async fn rejects_can_be_accepted(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.file("leads.csv", MIXED);
    bench.leadsync(&["import", "leads.csv", "--accept-rejects"]).await.ends(0);
    bench.leadsync(&["import", "--queue-only", "leads.csv"]).await.ends(3);
    assert_eq!(
        bench.states().await["rejected"],
        4 + 3,
        "a row without a name is known as such only when it is its turn"
    );
}

async fn the_same_file_again_calls_nobody(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.look_up();
    // Some have no name, and of these the look-up knows some.
    let nameless: String = (6..=20).map(|n| format!("{},,\n", email(n))).collect();
    let file = format!("{}{nameless}", csv(1..=5));
    bench.import(&file).await.ends(3);
    let (first, before) = (bench.states().await, bench.sandbox.totals().requests);
    assert!(first["delivered"] > 5 && first["rejected"] > 0, "{first:?}");
    bench.import(&file).await.ends(3);
    assert_eq!(bench.sandbox.totals().requests, before);
    let second = bench.states().await;
    assert_eq!((second["delivered"], second["skipped"]), (first["delivered"], first["delivered"]));
    assert_eq!(second["rejected"], 2 * first["rejected"]);
}

async fn the_same_address_is_sent_once_however_it_comes_in(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.import(&csv([1, 1])).await.ends(0);
    bench.import(&csv([1, 2])).await.ends(0);
    let insert = |email: &str| {
        bench.database.sql(&format!("INSERT INTO leads (email, first_name) VALUES ('{email}', 'Privata')"));
    };
    insert(" Privata.Nominova1@MAIL.example.com ");
    insert(&email(3));
    insert(&email(3));
    bench.run().await.ends(0).says("in 3 = delivered 1");
    bench.import(&csv([3])).await.ends(0);
    bench.has_exactly(1..=3);
    let states = bench.states().await;
    assert_eq!((states["delivered"], states["skipped"]), (3, 5), "{states:?}");
}

async fn a_duplicate_takes_the_place_of_an_unusable_first(kind: Kind) {
    let bench = Bench::new(kind).await;
    let nameless = format!("email,first_name,last_name\n{},,Nominova1\n", email(1));
    // The first row has no name, and with look-ups off nobody knows one.
    bench.import(&(nameless + &csv([1]).replace("email,first_name,last_name\n", ""))).await.ends(3);
    bench.has_exactly([1]);
    let leads = bench.results().await;
    assert_eq!((&leads[0]["state"], &leads[1]["state"]), (&"rejected".into(), &"delivered".into()));
}

async fn a_duplicate_takes_the_place_of_one_that_the_destination_refuses(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.faults(&format!("create:422={}#1", email(1)));
    bench.import(&csv([1, 1, 1])).await.ends(3).says("in 3 = delivered 1 + rejected 1");
    bench.has_exactly([1]);
    let states = bench.states().await;
    assert_eq!((states["delivered"], states["rejected"], states["skipped"]), (1, 1, 1), "{states:?}");
}

async fn values_arrive_as_they_were_meant(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("destinations.7targets.fields.additionalInformationLine", "{{ lead.job_title }} at {{ lead.company }}");
    let row = format!(
        "E-Mail;Vorname;Last Name;Phone;Company;Job Title;Source;custom_fields\n\
         {};  Privata ;Nominova Ünïcødé 名;(415) 555-2671;\"Acme; Söhne \"\"& Co\"\"\";CTO;Fair;\"{{\"\"budget\"\": \"\"10 k€\"\"}}\"\n",
        email(1)
    );
    bench.set("csv.columns.first_name", "Vorname");
    bench.import(&("\u{feff}".to_owned() + &row)).await.ends(0);
    let body = &bench.leads()[0].body;
    assert_eq!(body["name"], "Privata");
    assert_eq!(body["lastName"], "Nominova Ünïcødé 名");
    assert_eq!(body["email"], email(1));
    assert_eq!(body["phone"], "+14155552671");
    assert_eq!(body["source"], "Fair");
    assert_eq!(body["additionalInformationLine"], "CTO at Acme; Söhne \"& Co\"");
    assert_eq!(body["customFields"], serde_json::json!([{"name": "budget", "value": "10 k€"}]));
    assert_eq!(body["assistantEmail"], "ashley@sandbox.example");
    bench.agrees().await;
}

async fn one_file_for_two_destinations_is_delivered_to_both(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.second_destination("second");
    bench.file("leads.csv", csv(1..=3));
    let args = ["import", "--destination", "7targets", "--destination", "second", "leads.csv"];
    bench.leadsync(&args).await.ends(0).says("in 6 = delivered 6");
    // The sandbox is one account, so the second destination finds them there already.
    let leads = bench.results().await;
    assert_eq!(leads.iter().filter(|lead| lead["destination"] == "second").count(), 3);
    assert!(leads.iter().all(|lead| lead["state"] == "delivered"), "{leads:?}");
    assert_eq!(bench.sandbox.totals().created, 3);
    bench.leadsync(&["import", "--destination", "third", "leads.csv"]).await.ends(2).says("`third` is not configured");
}

async fn standard_input_is_a_file_too(kind: Kind) {
    let bench = Bench::new(kind).await;
    let said = bench.leadsync_fed(&["import", "-"], &csv([1, 2])).await;
    said.ends(0);
    bench.has_exactly([1, 2]);
}

async fn a_file_that_is_none_is_named_and_nothing_is_written(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.leadsync(&["import", "nowhere.csv"]).await.ends(2).says("nowhere.csv");
    bench.file("empty.csv", "");
    bench.leadsync(&["import", "empty.csv"]).await.ends(2).says("empty.csv");
    bench.file("columns.csv", "name,town\nPrivata,Bern\n");
    bench.leadsync(&["import", "columns.csv"]).await.ends(2).says("columns.csv");
    bench.leadsync(&["import", "."]).await.ends(2);
    assert_eq!(bench.sandbox.totals().requests, 0);
}
