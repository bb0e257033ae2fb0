//! Look-ups: paid for once, never in the way of a lead for longer than the operator wants.

use std::collections::BTreeSet;

use crate::bench::{Bench, csv, email};
use crate::support::database::Kind;
use crate::systems::{ORIGINAL, rows};

journeys![
    what_the_look_up_knows_is_filled_in,
    the_number_that_a_look_up_brings_is_the_one_that_is_claimed,
    an_answer_is_paid_for_once_for_all_destinations,
    a_miss_is_remembered_too,
    a_row_that_the_service_refuses_is_found_and_the_others_are_looked_up,
    without_credits_leads_wait_untouched_or_go_as_they_are,
    a_budget_is_kept_and_the_rest_waits_for_tomorrow,
    a_wrong_look_up_secret_touches_no_lead,
    a_look_up_service_that_is_away_touches_no_lead,
    a_look_up_that_fails_once_is_repeated,
    people_for_whom_the_look_up_fails_stop_nobody_else,
    people_for_whom_the_look_up_fails_are_sent_without_it_if_that_is_wanted,
    people_for_whom_no_reply_comes_are_paid_for_once,
    a_service_that_fails_for_everybody_costs_no_attempt_and_is_left_alone,
    a_service_that_breaks_down_while_a_culprit_is_searched_costs_no_attempt,
];

async fn with_look_ups(kind: Kind, found: f64) -> Bench {
    let bench = Bench::with(kind, |options| options.live_data.found = found).await;
    bench.look_up();
    bench
}

/// Fails unless every lead is as it was imported.
async fn untouched(bench: &Bench, leads: usize) {
    let found = bench.results().await;
    assert_eq!(found.len(), leads);
    for lead in found {
        assert_eq!((&lead["state"], &lead["attempts"]), (&"received".into(), &0.into()), "{lead}");
    }
    bench.nothing_is_leased();
    assert_eq!(bench.asked("create"), 0);
}

async fn what_the_look_up_knows_is_filled_in(kind: Kind) {
    let bench = with_look_ups(kind, 1.0).await;
    bench.set("destinations.7targets.fields.additionalInformationLine", "{{ person.title }} at {{ person.company }}");
    // No name in the file: the look-up knows one.
    bench.import(&format!("email\n{}\n", email(1))).await.ends(0);
    let body = &bench.leads()[0].body;
    assert!(!body["name"].as_str().unwrap().is_empty(), "{body}");
    let line = body["additionalInformationLine"].as_str().unwrap();
    assert!(line.contains(" at ") && line.len() > 8, "{body}");
    assert_eq!(bench.only().await["enriched"], true);
    let said = bench.leadsync(&["explain", &email(1)]).await.ends(0);
    for expected in ["look-up", "found", "from the look-up", "lookup", "create", "200", "201"] {
        assert!(said.out.contains(expected), "{expected} is missing:\n{}", said.out);
    }
}

/// LeadDesk knows people by their number: where the look-up's wins, two leads that it says the same number of are one, however
/// different the numbers are that they came with.
async fn the_number_that_a_look_up_brings_is_the_one_that_is_claimed(kind: Kind) {
    let bench = ORIGINAL.bench(kind, |options| options.live_data.found = 1.0).await;
    bench.look_up();
    bench.set("enrich.prefer", "enriched");
    bench.import(&rows(1..=40)).await.ends(0);
    let called: Vec<String> =
        bench.sandbox.ledger().leads().iter().map(|lead| lead.body["phone"].to_string()).collect();
    let numbers: BTreeSet<&String> = called.iter().collect();
    // The sandbox gives direct lines between +1 415 555 0100 and 0199 to everybody: some have one in common.
    assert!(called.iter().all(|number| number.contains("1415555")), "{called:?}");
    assert!((20..40).contains(&numbers.len()), "{numbers:?}");
    assert_eq!(numbers.len(), called.len(), "a number is called by one lead: {called:?}");
    let states = bench.states().await;
    assert_eq!((states["delivered"], states["skipped"]), (called.len(), 40 - called.len()), "{states:?}");
    bench.nothing_is_leased();
}

async fn an_answer_is_paid_for_once_for_all_destinations(kind: Kind) {
    let bench = with_look_ups(kind, 1.0).await;
    bench.second_destination("second");
    bench.file("leads.csv", csv(1..=5));
    bench.leadsync(&["import", "--destination", "7targets", "--destination", "second", "leads.csv"]).await.ends(0);
    assert_eq!((bench.asked("find"), bench.sandbox.totals().credits_used), (1, 5));
    assert!(bench.results().await.iter().all(|lead| lead["enriched"] == true));
}

async fn a_miss_is_remembered_too(kind: Kind) {
    let bench = with_look_ups(kind, 0.0).await;
    bench.second_destination("second");
    bench.import(&csv(1..=5)).await.ends(0);
    bench.leadsync(&["import", "--destination", "second", "leads.csv"]).await.ends(0);
    assert_eq!(bench.asked("find"), 1);
    assert!(bench.results().await.iter().all(|lead| lead["enriched"] == false));
}

async fn a_row_that_the_service_refuses_is_found_and_the_others_are_looked_up(kind: Kind) {
    let bench = with_look_ups(kind, 1.0).await;
    bench.faults(&format!("find:400={}", email(3)));
    bench.import(&csv(1..=8)).await.ends(0);
    bench.has_exactly(1..=8);
    assert_eq!(bench.sandbox.totals().credits_used, 7);
    assert!(bench.asked("find") <= 7, "found by halves, not one by one: {}", bench.asked("find"));
    let said = bench.leadsync(&["explain", &email(3)]).await.ends(0);
    assert!(said.out.contains("not looked up"), "{}", said.out);
}

async fn without_credits_leads_wait_untouched_or_go_as_they_are(kind: Kind) {
    let bench = Bench::with(kind, |options| {
        options.live_data.found = 1.0;
        options.live_data.credits = Some(0);
    })
    .await;
    bench.look_up();
    bench.import(&csv(1..=3)).await.ends(4).says("no credits left");
    untouched(&bench, 3).await;
    bench.set("enrich.when_unavailable", "send");
    bench.run().await.ends(0);
    bench.has_exactly(1..=3);
}

async fn a_budget_is_kept_and_the_rest_waits_for_tomorrow(kind: Kind) {
    let bench = with_look_ups(kind, 1.0).await;
    bench.set("enrich.daily_credits", 2);
    bench.import(&csv(1..=5)).await.ends(0).says("daily budget of 2 credits");
    assert_eq!(bench.sandbox.totals().credits_used, 2);
    assert_eq!(bench.leads().len(), 2);
    bench.run().await.ends(0);
    assert_eq!(bench.sandbox.totals().credits_used, 2);
    assert_eq!(bench.states().await["received"], 3);
}

async fn a_wrong_look_up_secret_touches_no_lead(kind: Kind) {
    let bench = with_look_ups(kind, 1.0).await;
    bench.set("enrich.client_secret", "sandbox-wrong-secret");
    bench.import(&csv(1..=3)).await.ends(2).says("enrich");
    untouched(&bench, 3).await;
    // Not even where leads may go without: this is a mistake, not weather.
    bench.set("enrich.when_unavailable", "send");
    bench.run().await.ends(2);
    untouched(&bench, 3).await;
}

async fn a_look_up_service_that_is_away_touches_no_lead(kind: Kind) {
    let sending = async {
        let bench = with_look_ups(kind, 1.0).await;
        bench.set("enrich.when_unavailable", "send");
        bench.faults("find:503=100%");
        bench.import(&csv(1..=3)).await.ends(0);
        bench.has_exactly(1..=3);
    };
    let waiting = async {
        let bench = with_look_ups(kind, 1.0).await;
        // Port 9 of this machine discards, if anybody is there at all.
        bench.set("enrich.people_url", "http://127.0.0.1:9/api/people/v1");
        bench.import(&csv(1..=3)).await.ends(4).says("can't be reached");
        untouched(&bench, 3).await;
    };
    let without_identity = async {
        let bench = with_look_ups(kind, 1.0).await;
        bench.set("enrich.identity_url", "http://127.0.0.1:9/api/identity/v1");
        bench.import(&csv(1..=3)).await.ends(4).says("enrich");
        untouched(&bench, 3).await;
    };
    tokio::join!(sending, waiting, without_identity);
}

async fn a_look_up_that_fails_once_is_repeated(kind: Kind) {
    let bench = with_look_ups(kind, 1.0).await;
    bench.faults("find:503=#1,find:truncated=#2");
    bench.import(&csv(1..=3)).await.ends(0);
    bench.has_exactly(1..=3);
    assert!(bench.results().await.iter().all(|lead| lead["enriched"] == true));
}

/// Leads `numbers` are the culprits.
fn fails_for(fault: &str, numbers: &[usize]) -> String {
    numbers.iter().map(|n| format!("find:{fault}={},", email(*n))).collect()
}

async fn people_for_whom_the_look_up_fails_stop_nobody_else(kind: Kind) {
    let bench = with_look_ups(kind, 1.0).await;
    bench.set("retry.max_attempts", 3);
    bench.faults(&fails_for("500", &[3, 17]));
    bench.import(&csv(1..=40)).await.ends(3);
    bench.has_exactly((1..=40).filter(|n| ![3, 17].contains(n)));
    assert_eq!(bench.sandbox.totals().credits_used, 38);
    let leads = bench.results().await;
    for (n, lead) in (1..).zip(&leads) {
        let fails = [3, 17].contains(&n);
        let expected = if fails { ("exhausted", 3) } else { ("delivered", 0) };
        assert_eq!((&lead["state"], &lead["attempts"]), (&expected.0.into(), &expected.1.into()), "{lead}");
        let reason = lead["reason"].as_str().unwrap_or_default();
        assert_eq!(fails, reason.contains("gave up after 3 attempts to look it up"), "{lead}");
    }
    // By halves, once; later each alone, with one question to see whether the service works.
    assert!(bench.asked("find") <= 40, "{}", bench.asked("find"));
    // Once the service has an answer for them they go on like all others.
    bench.faults("");
    bench.leadsync(&["retry", "--state", "exhausted"]).await.ends(0);
    bench.run().await.ends(0);
    bench.has_exactly(1..=40);
    assert!(bench.results().await.iter().all(|lead| lead["enriched"] == true));
}

async fn people_for_whom_the_look_up_fails_are_sent_without_it_if_that_is_wanted(kind: Kind) {
    let bench = with_look_ups(kind, 1.0).await;
    bench.set("enrich.when_unavailable", "send");
    bench.faults(&fails_for("502", &[2]));
    bench.import(&csv(1..=6)).await.ends(0);
    bench.has_exactly(1..=6);
    assert_eq!(bench.sandbox.totals().credits_used, 5);
    let said = bench.leadsync(&["explain", &email(2)]).await.ends(0);
    assert!(said.out.contains("not looked up: the service fails for this person"), "{}", said.out);
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
}

async fn people_for_whom_no_reply_comes_are_paid_for_once(kind: Kind) {
    let bench = with_look_ups(kind, 1.0).await;
    bench.set("retry.max_attempts", 2);
    bench.set("enrich.timeout", "300ms");
    // Enough for each of them, and for asking once more for those who may have been paid for.
    bench.set("enrich.daily_credits", 14);
    bench.faults(&(fails_for("hang", &[4]) + &fails_for("reset-after", &[9])));
    bench.import(&csv(1..=12)).await.ends(3);
    bench.has_exactly((1..=12).filter(|n| ![4, 9].contains(n)));
    assert_eq!(bench.states().await["exhausted"], 2);
    assert_eq!(bench.number("SELECT sum(used) FROM quotas"), 14);
}

async fn a_service_that_fails_for_everybody_costs_no_attempt_and_is_left_alone(kind: Kind) {
    let bench = with_look_ups(kind, 1.0).await;
    bench.faults("find:500=100%");
    bench.import(&csv(1..=80)).await.ends(4).says("look-ups in a row failed");
    untouched(&bench, 80).await;
    // Three times the whole batch, with its repeats, and two people alone.
    assert!(bench.asked("find") <= 21, "{}", bench.asked("find"));
    bench.faults("");
    bench.run().await.ends(0);
    bench.has_exactly(1..=80);
}

async fn a_service_that_breaks_down_while_a_culprit_is_searched_costs_no_attempt(kind: Kind) {
    let bench = with_look_ups(kind, 1.0).await;
    // The whole batch fails five times, somebody is answered, and from then on nobody.
    let from_then_on: Vec<String> = (7..=90).map(|n: usize| n.to_string()).collect();
    bench.faults(&format!("{}find:500=#{}", fails_for("500", &[3]), from_then_on.join("+")));
    bench.import(&csv(1..=20)).await.ends(4);
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
    assert!(bench.asked("find") <= 40, "{}", bench.asked("find"));
    bench.faults("");
    bench.run().await.ends(0);
    bench.has_exactly(1..=20);
    assert_eq!(bench.sandbox.totals().credits_used, 20);
}
