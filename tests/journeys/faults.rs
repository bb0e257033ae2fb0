//! What goes wrong on the way to the destination, and that it never costs a lead or makes two of it.

use std::time::Duration;

use leadsync::sandbox::RetryAfter;
use serde_json::Value;

use crate::bench::{Bench, Said, csv, email};
use crate::support::database::Kind;

journeys![
    after_any_fault_every_lead_is_there_once_when_unknown_is_looked_up,
    after_any_fault_nothing_is_repeated_when_unknown_is_held_and_a_person_settles_the_rest,
    after_any_fault_every_lead_is_there_when_a_repeat_is_accepted,
    a_429_costs_no_attempt_and_its_pause_is_kept_in_every_form,
    a_pause_of_an_hour_outlives_the_run,
    a_lead_that_fails_again_and_again_is_exhausted_and_can_be_retried,
    a_lead_that_nobody_can_ask_for_is_unconfirmed,
    a_refusal_is_final_until_it_is_retried,
    an_outage_ends_the_run_and_costs_nothing,
    an_account_refused_in_mid_run_touches_no_lead,
];

/// What happens to the first create of a lead, whether the lead is there afterwards, and whether its fate is unknown.
const FAULTS: [(&str, bool, bool); 19] = [
    ("429", false, false),
    ("401", false, false),
    ("500", false, true),
    ("503", false, true),
    ("504-after", true, true),
    ("500-after", true, true),
    ("reset", false, true),
    ("reset-after", true, true),
    ("hang", false, true),
    ("hang-after", true, true),
    ("late", true, true),
    ("truncated", true, true),
    ("html", true, true),
    ("empty", true, true),
    ("error-body", false, true),
    ("error-body-after", true, true),
    ("other-lead", false, true),
    ("other-lead-after", true, true),
    ("no-id", true, true),
];
/// The last, since it isn't a word of the table: the reply comes in drops, too slowly.
const DRIP: usize = FAULTS.len() + 1;

async fn troubled(kind: Kind, unknown: &str) -> Bench {
    let bench = Bench::with(kind, |options| {
        // A late effect comes after the client gave up and well before it asks.
        options.timing.hang = Duration::from_millis(1050);
    })
    .await;
    bench.set("destinations.7targets.settle", "900ms");
    bench.set("destinations.7targets.unknown", unknown);
    let mut plan: Vec<String> =
        (1..).zip(FAULTS).map(|(n, (fault, ..))| format!("create:{fault}={}#1", email(n))).collect();
    plan.push(format!("create:drip={}#1", email(DRIP)));
    bench.faults(&plan.join(","));
    // Good ones in between, so that the breaker sees a service that is alive.
    bench.queue(&csv((1..=DRIP).flat_map(|n| [n, 100 + n]))).await;
    bench
}

fn everybody() -> impl Iterator<Item = usize> {
    (1..=DRIP).chain(101..=100 + DRIP)
}

/// Runs until nothing is left to be run again.
async fn work_off(bench: &Bench) -> Said {
    for _ in 0..8 {
        let said = bench.run().await;
        if said.code != 4 {
            return said;
        }
    }
    panic!("there is always something left: {:?}", bench.states().await);
}

fn of(leads: &[Value], n: usize) -> &Value {
    leads.iter().find(|lead| lead["email"] == email(n).as_str()).unwrap()
}

fn deferrals(bench: &Bench, n: usize) -> i64 {
    bench.number(&format!("SELECT deferrals FROM leads WHERE email = '{}'", email(n)))
}

async fn after_any_fault_every_lead_is_there_once_when_unknown_is_looked_up(kind: Kind) {
    let bench = troubled(kind, "update").await;
    work_off(&bench).await.ends(0);
    bench.has_exactly(everybody());
    bench.agrees().await;
    bench.nothing_is_leased();
    let leads = bench.results().await;
    for (n, (fault, there, unknown)) in (1..).zip(FAULTS).chain([(DRIP, ("drip", true, true))]) {
        let lead = of(&leads, n);
        assert_eq!(lead["attempts"], i64::from(unknown && !there), "{fault}: {lead}");
        let found = lead["reason"].as_str().is_some_and(|reason| reason.contains("found there"));
        assert_eq!(found, there, "{fault}: {lead}");
    }
    assert!(deferrals(&bench, 1) >= 1);
}

async fn after_any_fault_nothing_is_repeated_when_unknown_is_held_and_a_person_settles_the_rest(kind: Kind) {
    let bench = troubled(kind, "hold").await;
    work_off(&bench).await.ends(3);
    let leads = bench.results().await;
    for (n, (fault, there, unknown)) in (1..).zip(FAULTS).chain([(DRIP, ("drip", true, true))]) {
        let lead = of(&leads, n);
        let state = if unknown { "unconfirmed" } else { "delivered" };
        assert_eq!(lead["state"], state, "{fault}: {lead}");
        let is_there = bench.sandbox.ledger().lead(&email(n));
        assert_eq!(is_there.is_some(), there || !unknown, "{fault}");
        if let Some(it) = &is_there {
            assert_eq!((it.creates, it.repeated_creates), (1, 0), "{fault}");
        }
        if unknown {
            let id = lead["id"].to_string();
            let answer = is_there.map_or("--absent".to_owned(), |it| format!("--delivered={}", it.id));
            bench.leadsync(&["retry", "--id", &id]).await.ends(2);
            bench.leadsync(&["resolve", &id, &answer]).await.ends(0);
        }
    }
    assert_eq!(bench.sandbox.totals().updated, 0, "nobody is to be asked");
    work_off(&bench).await.ends(0);
    bench.has_exactly(everybody());
    bench.agrees().await;
}

async fn after_any_fault_every_lead_is_there_when_a_repeat_is_accepted(kind: Kind) {
    let bench = troubled(kind, "retry").await;
    work_off(&bench).await.ends(0);
    let leads = bench.results().await;
    for (n, (fault, there, unknown)) in (1..).zip(FAULTS).chain([(DRIP, ("drip", true, true))]) {
        let (lead, remote) = (of(&leads, n), bench.sandbox.ledger().lead(&email(n)).unwrap());
        assert_eq!(lead["state"], "delivered", "{fault}: {lead}");
        assert_eq!(lead["attempts"], i64::from(unknown), "{fault}: {lead}");
        assert_eq!((remote.creates, remote.repeated_creates), (1, u64::from(there)), "{fault}");
    }
    assert_eq!(bench.sandbox.totals().updated, 0, "nobody is to be asked");
    assert_eq!(leads.len(), everybody().count());
}

async fn a_429_costs_no_attempt_and_its_pause_is_kept_in_every_form(kind: Kind) {
    for form in [RetryAfter::Seconds, RetryAfter::Date, RetryAfter::Absent] {
        let bench = Bench::with(kind, |options| options.retry_after = form).await;
        bench.faults(&format!("create:429={}#1", email(2)));
        bench.import(&csv(1..=3)).await.ends(0);
        bench.has_exactly(1..=3);
        let leads = bench.results().await;
        assert_eq!(of(&leads, 2)["attempts"], 0, "{form}");
        assert_eq!(deferrals(&bench, 2), 1, "{form}");
        assert_eq!(bench.sandbox.totals().limits["seven_targets"].in_pause, 0, "{form}");
    }
}

async fn a_pause_of_an_hour_outlives_the_run(kind: Kind) {
    let bench = Bench::with(kind, |options| options.timing.pause = Duration::from_secs(3600)).await;
    bench.set("destinations.7targets.concurrency", 1);
    bench.faults("create:429=#1");
    bench.import(&csv(1..=4)).await.ends(4);
    assert_eq!(bench.asked("create"), 1);
    let status = bench.status().await;
    let destination = &status["destinations"]["7targets"];
    assert!(destination["paused_until"].is_string() && destination["paused_why"].is_string(), "{status}");
    bench.run().await.ends(4);
    assert_eq!(bench.asked("create"), 1, "the pause holds for the next run too");
    bench.nothing_is_leased();
}

async fn a_lead_that_fails_again_and_again_is_exhausted_and_can_be_retried(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("retry.max_attempts", 2);
    bench.faults(&format!("create:500={}", email(2)));
    bench.import(&csv(1..=3)).await.ends(3).says("exhausted 1");
    bench.has_exactly([1, 3]);
    let lead = of(&bench.results().await, 2).clone();
    assert_eq!((&lead["state"], &lead["attempts"]), (&"exhausted".into(), &2.into()));
    bench.faults("");
    let said = bench.leadsync(&["retry", "--state", "exhausted"]).await.ends(0);
    assert!(said.out.contains("1 lead"), "{}", said.out);
    bench.run().await.ends(0);
    bench.has_exactly(1..=3);
    bench.agrees().await;
}

async fn a_lead_that_nobody_can_ask_for_is_unconfirmed(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("retry.max_attempts", 2);
    bench.faults(&format!("create:500-after={0}#1,update:500={0}", email(1)));
    bench.import(&csv(1..=2)).await.ends(3).says("unconfirmed 1");
    let lead = of(&bench.results().await, 1).clone();
    assert_eq!(lead["state"], "unconfirmed");
    let remote = bench.sandbox.ledger().lead(&email(1)).unwrap();
    assert_eq!((remote.creates, remote.repeated_creates), (1, 0));
    // The same address once more is still a duplicate: it may be there.
    bench.faults("");
    bench.import(&csv([1])).await.ends(0).says("skipped 1");
    bench.leadsync(&["resolve", &lead["id"].to_string(), "--absent"]).await.ends(0);
    bench.run().await.ends(0);
    let lead = of(&bench.results().await, 1).clone();
    assert_eq!(lead["state"], "delivered");
    assert!(lead["reason"].as_str().unwrap().contains("already there"), "{lead}");
}

async fn a_refusal_is_final_until_it_is_retried(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.faults(&format!("create:422={}", email(1)));
    bench.import(&csv(1..=2)).await.ends(3).says("rejected 1");
    bench.run().await.ends(0);
    assert_eq!(bench.asked("create"), 2);
    let rejects = crate::bench::read(bench.path("leads.csv.rejected.csv"));
    assert!(rejects.lines().nth(1).unwrap().starts_with("2,"), "{rejects}");
    bench.faults("");
    bench.leadsync(&["retry", "--state", "rejected", "--reason", "UNPROCESSABLE"]).await.ends(0);
    bench.run().await.ends(0);
    bench.has_exactly(1..=2);
}

async fn an_outage_ends_the_run_and_costs_nothing(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.queue(&csv(1..=40)).await;
    bench.faults("seven_targets:503=100%");
    bench.run().await.ends(4);
    assert_eq!(bench.number("SELECT coalesce(sum(attempts), 0) FROM leads"), 0);
    assert!(bench.sandbox.totals().requests < 40, "a service that is down is not hammered");
    bench.nothing_is_leased();
    bench.faults("");
    work_off(&bench).await.ends(0);
    bench.has_exactly(1..=40);
    bench.agrees().await;
}

async fn an_account_refused_in_mid_run_touches_no_lead(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("destinations.7targets.concurrency", 1);
    bench.faults("create:403=#3");
    bench.import(&csv(1..=6)).await.ends(2).says("user_identifier");
    assert_eq!(bench.leads().len(), 2);
    let states = bench.states().await;
    assert_eq!(states.get("delivered"), Some(&2), "{states:?}");
    assert_eq!(states.get("rejected"), None, "{states:?}");
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
    bench.nothing_is_leased();
    bench.run().await.ends(0);
    bench.has_exactly(1..=6);
}
