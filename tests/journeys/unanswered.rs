//! Replies that say nothing, or the wrong thing, about whether a lead was created: in every system each lead is there once
//! in the end, and has what belongs to it.

use std::time::Duration;

use leadsync::sandbox::{EffectKind, LEAD_CONNECTOR};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;

use crate::bench::{Bench, FIRST_NAME, email, until};
use crate::support::database::Kind;
use crate::systems::{BANK, CLIENT_CREDENTIALS, LOCATION_APP, ORIGINAL, REST, Way, rows};

journeys![
    whatever_becomes_of_a_reply_a_contact_is_there_once,
    whatever_becomes_of_a_reply_a_number_is_on_the_list_once,
    whatever_becomes_of_a_reply_an_entity_is_there_once,
    whatever_becomes_of_a_reply_any_other_api_has_the_lead_once,
    any_other_api_is_asked_by_what_it_has,
    a_contact_that_was_there_before_gets_what_a_lost_upsert_brought,
    a_contact_that_was_there_before_delivers_no_lead_that_was_refused,
    a_refused_contact_that_is_there_all_the_same_is_delivered,
    a_contact_gets_its_tags_whatever_becomes_of_them,
    whatever_becomes_of_a_look_a_number_is_on_the_list_once,
    an_effect_that_comes_late_makes_no_second_lead,
    killed_at_any_moment_every_system_has_each_lead_once,
    a_run_that_dies_before_the_tags_leaves_them_to_the_next,
];

/// Leads of a journey: enough that failures don't come in a row.
const LEADS: usize = 40;

/// Requests on their way at most.
const AT_ONCE: u32 = 4;

/// What may become of a create. Each hits one lead's first create.
const FAULTS: [&str; 15] = [
    "reset-after",
    "reset",
    "500",
    "500-after",
    "503",
    "503-seconds",
    "truncated",
    "html",
    "empty",
    "hang-after",
    "drip",
    "429",
    "429-seconds",
    "429-none",
    "504-after",
];

/// Runs until nothing waits.
async fn finish(bench: &Bench) {
    for _ in 0..6 {
        if bench.run().await.code == 0 {
            return;
        }
    }
    panic!("it does not come to an end: {:?}", bench.results().await);
}

async fn each_is_there_once(kind: Kind, way: Way, create: &str, more: &[&str]) {
    let bench = way.bench(kind, |_| {}).await;
    bench.set(&format!("destinations.{}.concurrency", way.destination), AT_ONCE);
    let faults = FAULTS.iter().chain(more).enumerate();
    let plan: Vec<String> = faults.map(|(n, fault)| format!("{create}:{fault}={}#1", email(2 * n + 2))).collect();
    bench.faults(&plan.join(","));
    let said = bench.import(&rows(1..=LEADS)).await;
    assert!([0, 4].contains(&said.code), "{said:?}");
    finish(&bench).await;
    bench.has_exactly(1..=LEADS);
    bench.agrees_by_sql();
    let fired = bench.sandbox.totals().faults.values().sum::<u64>();
    assert_eq!(fired, plan.len() as u64, "{:?}", bench.sandbox.totals().faults);
    // What was on its way when a pause was asked for can't be called back.
    let in_pause = bench.sandbox.totals().limits.values().map(|limit| limit.in_pause).sum::<u64>();
    let pauses = FAULTS.iter().filter(|fault| fault.starts_with("429")).count() as u64;
    assert!(in_pause <= pauses * (u64::from(AT_ONCE) - 1), "who asks for a pause gets it: {in_pause} came");
    bench.nothing_is_leased();
}

async fn whatever_becomes_of_a_reply_a_contact_is_there_once(kind: Kind) {
    each_is_there_once(kind, LOCATION_APP, "lc_upsert", &["401", "no-id", "other-lead", "other-lead-after"]).await;
}

async fn whatever_becomes_of_a_reply_a_number_is_on_the_list_once(kind: Kind) {
    // Here a 401 is the key's fault, and a success without a number is one all the same.
    each_is_there_once(kind, ORIGINAL, "ld_add", &["error-body-after"]).await;
    each_is_there_once(kind, REST, "ld_create", &["401", "no-id", "other-lead", "other-lead-after"]).await;
}

async fn whatever_becomes_of_a_reply_an_entity_is_there_once(kind: Kind) {
    each_is_there_once(kind, BANK, "bank_create", &["401", "no-id", "other-lead", "other-lead-after"]).await;
}

async fn whatever_becomes_of_a_reply_any_other_api_has_the_lead_once(kind: Kind) {
    each_is_there_once(kind, CLIENT_CREDENTIALS, "plain_create", &["401", "no-id"]).await;
}

/// A CRM that makes two leads of two requests is looked at first; one that knows keys but can't be asked gets the same
/// request again; what has neither is left to a person.
async fn any_other_api_is_asked_by_what_it_has(kind: Kind) {
    let faults = ["reset-after", "500-after", "reset", "500", "hang-after", "truncated"];
    let plan = faults.iter().enumerate().map(|(n, fault)| format!("plain_create:{fault}={}#1", email(2 * n + 2)));
    let plan = plan.collect::<Vec<_>>().join(",");

    let bench = CLIENT_CREDENTIALS.bench(kind, |options| options.plain_crm.allow_duplicates = true).await;
    bench.remove("destinations.plain.idempotency_header");
    bench.set("destinations.plain.find.first", true);
    bench.faults(&plan);
    assert!([0, 4].contains(&bench.import(&rows(1..=20)).await.code));
    finish(&bench).await;
    bench.has_exactly(1..=20);
    bench.agrees_by_sql();

    let bench = CLIENT_CREDENTIALS.bench(kind, |options| options.plain_crm.allow_duplicates = true).await;
    bench.remove("destinations.plain.find");
    bench.faults(&plan);
    assert!([0, 4].contains(&bench.import(&rows(1..=20)).await.code));
    finish(&bench).await;
    bench.has_exactly(1..=20);
    bench.agrees_by_sql();
    assert_eq!(bench.sandbox.totals().replayed, 4, "{:?}", bench.sandbox.totals());

    let bench = CLIENT_CREDENTIALS.bench(kind, |options| options.plain_crm.allow_duplicates = true).await;
    bench.remove("destinations.plain.find");
    bench.remove("destinations.plain.idempotency_header");
    bench.faults(&plan);
    bench.import(&rows(1..=20)).await.ends(3);
    let there = [1, 2, 3, 4, 5, 7, 9, 10, 11].into_iter().chain(12..=20);
    bench.has_exactly(there);
    assert_eq!(bench.number("SELECT count(*) FROM leads WHERE state = 'unconfirmed'"), 6);
    assert_eq!(bench.number("SELECT count(*) FROM leads WHERE state = 'delivered'"), 14);
}

async fn a_contact_that_was_there_before_gets_what_a_lost_upsert_brought(kind: Kind) {
    let bench = LOCATION_APP.bench(kind, |_| {}).await;
    there_before(&bench, &email(1)).await;
    // Lost on the way there; and the next, whose answer is lost on the way back.
    bench.faults(&format!("lc_upsert:reset={}#1,lc_upsert:reset-after={}#1", email(1), email(2)));
    bench.import(&rows(1..=2)).await.ends(0);
    assert!(bench.sandbox.ledger().leads_of(LEAD_CONNECTOR).iter().all(|lead| lead.creates == 1));
    let updates = bench.sandbox.ledger().effects();
    let updates = updates.iter().filter(|effect| effect.effect == EffectKind::Updated);
    let mut updates: Vec<_> = updates.map(|it| (it.email.clone(), it.body["firstName"].clone())).collect();
    updates.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(updates, [(email(1), FIRST_NAME.into()), (email(2), FIRST_NAME.into())]);
    let reasons = bench.database.sql("SELECT reason FROM leads ORDER BY id");
    assert_eq!(reasons, "sent again after an unknown outcome; updated\nsent again after an unknown outcome; updated");
}

async fn a_contact_that_was_there_before_delivers_no_lead_that_was_refused(kind: Kind) {
    let bench = LOCATION_APP.bench(kind, |_| {}).await;
    there_before(&bench, &email(1)).await;
    bench.faults(&format!("lc_upsert:422={}", email(1)));
    bench.import(&rows(1..=2)).await.ends(3);
    let found = bench.results().await;
    // The refusal names no field: the contact may be what is left of an older one, or of this very upsert.
    assert_eq!((&found[0]["state"], &found[1]["state"]), (&"unconfirmed".into(), &"delivered".into()));
    let reason = found[0]["reason"].as_str().unwrap();
    assert!(reason.contains("422") && reason.contains("does not show all that was sent"), "{reason}");
}

/// A contact of somebody else's making.
async fn there_before(bench: &Bench, email: &str) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let upsert = format!("{}/contacts/upsert", bench.sandbox.lead_connector_url());
    let before = serde_json::json!({ "locationId": "sandbox_location", "email": email, "firstName": "Of old" });
    let request = reqwest::Client::new().post(upsert).bearer_auth("pit-sandbox").header("version", "v3");
    let request = request.header("content-type", "application/json").body(before.to_string());
    assert!(request.send().await.unwrap().status().is_success());
}

async fn a_refused_contact_that_is_there_all_the_same_is_delivered(kind: Kind) {
    let bench = LOCATION_APP.bench(kind, |_| {}).await;
    // The first upsert creates, and its reply is lost; the second is refused. Or the first is refused, or neither arrives.
    let (there, not_there, lost) = (email(1), email(2), email(4));
    bench.faults(&format!(
        "lc_upsert:reset-after={there}#1,lc_upsert:422={there}#2,lc_upsert:422={not_there},\
         lc_upsert:reset={lost}#1,lc_upsert:400={lost}#2"
    ));
    bench.import(&rows(1..=4)).await.ends(3);
    bench.has_exactly([1, 3]);
    bench.agrees_by_sql();
    let found = bench.results().await;
    let states: Vec<_> = found.iter().map(|lead| lead["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["delivered", "rejected", "delivered", "rejected"]);
    assert!(found[1]["reason"].as_str().unwrap().contains("422"), "{}", found[1]);
}

/// Fails unless each contact has exactly these tags.
fn tagged(bench: &Bench, tags: &[&str]) {
    let effects = bench.sandbox.ledger().effects();
    for lead in bench.sandbox.ledger().leads_of(LEAD_CONNECTOR) {
        let about = effects.iter().filter(|effect| effect.effect == EffectKind::Tagged && effect.id == lead.id);
        let told: Vec<_> = about.map(|effect| effect.body["tags"].clone()).collect();
        assert!(!told.is_empty() && told.iter().all(|told| *told == serde_json::json!(tags)), "{told:?}");
        assert!(lead.body.get("tags").is_none(), "in an upsert they would replace those that are there");
    }
}

async fn a_contact_gets_its_tags_whatever_becomes_of_them(kind: Kind) {
    let bench = LOCATION_APP.bench(kind, |_| {}).await;
    bench.set("destinations.crm.tags", toml::value::Array::from(["leadsync".into(), "{{ lead.company }}".into()]));
    let faults = ["500", "500-after", "reset", "reset-after", "429-seconds", "401", "truncated"];
    let plan: Vec<String> =
        faults.iter().enumerate().map(|(n, fault)| format!("lc_tag:{fault}={}#1", email(n + 1))).collect();
    // And one whose repeats within the same breath fail as well.
    let often = (1..=4).map(|n| format!("lc_tag:503={}#{n}", email(9)));
    bench.faults(&plan.into_iter().chain(often).collect::<Vec<_>>().join(","));
    let said = bench.import(&rows(1..=12)).await;
    assert!([0, 4].contains(&said.code), "{said:?}");
    finish(&bench).await;
    bench.has_exactly(1..=12);
    bench.agrees_by_sql();
    // There is no company: an empty tag is none.
    tagged(&bench, &["leadsync"]);
    assert_eq!(bench.sandbox.totals().updated, 0, "what lacks its tags is not sent anew");
}

async fn a_run_that_dies_before_the_tags_leaves_them_to_the_next(kind: Kind) {
    let bench = LOCATION_APP.bench(kind, |_| {}).await;
    bench.set("destinations.crm.tags", toml::value::Array::from(["leadsync".into()]));
    bench.queue(&rows(1..=3)).await;
    bench.faults(&format!("lc_tag:hang={}#1", email(2)));
    bench.set("run.lease", "60s");
    bench.set("destinations.crm.timeout", "30s");
    let run = bench.start(&["run"]);
    until("it hangs", || !bench.sandbox.totals().faults.is_empty()).await;
    run.signal(Signal::KILL);
    run.ended().await.ends(137);
    time_passes(&bench);
    bench.run().await.ends(0);
    bench.has_exactly(1..=3);
    bench.agrees_by_sql();
    tagged(&bench, &["leadsync"]);
    assert!(bench.asked("lc_upsert") <= 6, "what was in flight is sent once more");
}

async fn whatever_becomes_of_a_look_a_number_is_on_the_list_once(kind: Kind) {
    for (way, look, add) in [(ORIGINAL, "ld_find", "ld_add"), (REST, "ld_search", "ld_create")] {
        let bench = way.bench(kind, |_| {}).await;
        bench.set("destinations.calls.concurrency", 4);
        // Before there is anybody the look has the number alone, so these are told by their order: every third fails once.
        // And what is looked for after an unanswered add, fails again.
        let looks = ["reset", "500", "truncated", "html", "empty", "429-seconds", "hang", "504"];
        let mut plan: Vec<String> =
            looks.iter().enumerate().map(|(n, fault)| format!("{look}:{fault}=#{}", 3 * n + 2)).collect();
        for n in 1..=4 {
            plan.push(format!("{add}:reset-after={}#1,{look}:500={}#1", email(5 * n), email(5 * n)));
        }
        bench.faults(&plan.join(","));
        let said = bench.import(&rows(1..=30)).await;
        assert!([0, 4].contains(&said.code), "{said:?}");
        finish(&bench).await;
        bench.has_exactly(1..=30);
        bench.agrees_by_sql();
        bench.nothing_is_leased();
    }
}

async fn an_effect_that_comes_late_makes_no_second_lead(kind: Kind) {
    // Not for LeadDesk: what arrives after its time-out and the time to settle is found by no look in between.
    let systems = [(LOCATION_APP, "lc_upsert"), (BANK, "bank_create"), (CLIENT_CREDENTIALS, "plain_create")];
    for (way, create) in systems {
        // After the look that follows the time-out.
        let bench = way.bench(kind, |options| options.timing.hang = Duration::from_millis(1_500)).await;
        let plan: Vec<String> = [2, 4, 6].iter().map(|n| format!("{create}:late={}#1", email(*n))).collect();
        bench.faults(&plan.join(","));
        let said = bench.import(&rows(1..=8)).await;
        assert!([0, 4].contains(&said.code), "{said:?}");
        finish(&bench).await;
        bench.has_exactly(1..=8);
        bench.agrees_by_sql();
    }
}

async fn killed_at_any_moment_every_system_has_each_lead_once(kind: Kind) {
    let mut dice = StdRng::seed_from_u64(11);
    for way in [ORIGINAL, REST, BANK, CLIENT_CREDENTIALS] {
        let bench = way.bench(kind, |options| options.latency = Duration::from_millis(10)).await;
        bench.set(&format!("destinations.{}.concurrency", way.destination), 4);
        bench.queue(&rows(1..=60)).await;
        for _ in 0..3 {
            let mut run = bench.start(&["run"]);
            let before = bench.sandbox.totals().requests;
            let more = dice.random_range(1..30);
            until("it has come so far", || bench.sandbox.totals().requests >= before + more || run.has_ended()).await;
            run.signal(Signal::KILL);
            run.ended().await;
            time_passes(&bench);
        }
        finish(&bench).await;
        bench.has_exactly(1..=60);
        bench.agrees_by_sql();
        bench.nothing_is_leased();
    }
}

/// What the dead held lapses, and their requests are no longer at work.
fn time_passes(bench: &Bench) {
    bench.database.sql("UPDATE leads SET lease_expires_ms = 1 WHERE lease_token IS NOT NULL");
    bench.database.sql("UPDATE leads SET not_before_ms = 1 WHERE state = 'sending'");
    bench.database.sql("UPDATE tokens SET refresh_until_ms = 1 WHERE refresh_until_ms IS NOT NULL");
}
