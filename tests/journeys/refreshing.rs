//! Refresh tokens that are good once, with many workers at them, some of them killed: none is spent twice but the one whose
//! answer was really lost, and a chain that is dead costs no lead anything.

use std::time::Duration;

use futures_util::future::join_all;
use leadsync::sandbox::SandboxOptions;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use serde_json::Value;

use crate::bench::{Bench, Process, until};
use crate::support::database::Kind;
use crate::systems::{AGENCY, LOCATION_APP, REFRESH_CHAIN, REST_BY_PASSWORD, Way, rows, untouched};

journeys![
    eight_workers_go_through_many_tokens_together,
    every_chain_is_shared,
    workers_killed_beside_the_exchange_leave_the_chain_alive,
    a_worker_killed_with_the_next_token_in_its_hands_is_told_of,
    a_lost_answer_is_asked_for_once,
    killed_at_any_moment_the_chain_dies_at_worst_and_every_lead_is_there_once,
];

/// Tokens that last a second, on a network that takes a moment.
fn short_lived(options: &mut SandboxOptions) {
    options.token_ttl = Duration::from_secs(1);
    options.latency = Duration::from_millis(50);
}

fn start(bench: &Bench, workers: usize) -> Vec<Process> {
    (0..workers).map(|_| bench.start(&["run"])).collect()
}

/// The turns of the dead lapse: as many seconds as that takes have passed. Nobody may be at work.
fn turns_lapse(bench: &Bench) {
    bench.database.sql("UPDATE tokens SET refresh_until_ms = 1 WHERE refresh_until_ms IS NOT NULL");
}

/// The same for what the dead held.
fn leases_lapse(bench: &Bench) {
    bench.database.sql("UPDATE leads SET lease_expires_ms = 1 WHERE lease_token IS NOT NULL");
    bench.database.sql("UPDATE leads SET not_before_ms = 1 WHERE state = 'sending'");
}

fn rotations(bench: &Bench) -> u64 {
    bench.sandbox.totals().refreshes.values().map(|refresh| refresh.rotations).sum()
}

/// Runs until nothing waits.
async fn finish(bench: &Bench) {
    for _ in 0..4 {
        if bench.run().await.code == 0 {
            return;
        }
    }
    panic!("it does not come to an end: {:?}", bench.results().await);
}

/// So many leads are delivered by so many workers while tokens expire.
async fn fleet(kind: Kind, way: Way, workers: usize, leads: usize) {
    let bench = way.bench(kind, short_lived).await;
    bench.set(&format!("destinations.{}.concurrency", way.destination), 1);
    bench.queue(&rows(1..=leads)).await;
    let fleet = start(&bench, workers);
    for said in join_all(fleet.into_iter().map(Process::ended)).await {
        assert!([0, 4].contains(&said.code), "{said:?}");
    }
    finish(&bench).await;
    bench.has_exactly(1..=leads);
    bench.agrees_by_sql();
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
    let totals = bench.sandbox.totals();
    assert_eq!(totals.refresh_replays(), 0, "{totals:?}");
    assert!(rotations(&bench) > 1, "{totals:?}");
    bench.nothing_is_leased();
}

async fn eight_workers_go_through_many_tokens_together(kind: Kind) {
    fleet(kind, LOCATION_APP, 8, 240).await;
}

async fn every_chain_is_shared(kind: Kind) {
    for way in [AGENCY, REFRESH_CHAIN, REST_BY_PASSWORD] {
        fleet(kind, way, 3, 75).await;
    }
}

async fn workers_killed_beside_the_exchange_leave_the_chain_alive(kind: Kind) {
    let bench = LOCATION_APP.bench(kind, short_lived).await;
    bench.set("destinations.crm.concurrency", 2);
    bench.queue(&rows(1..=100)).await;
    bench.start_armed("token.before-request", &["run"]).ended().await.ends(137);
    assert_eq!(rotations(&bench), 0);
    turns_lapse(&bench);
    // Whoever exchanges it dies as soon as its successor is stored; the second exchange is another one's.
    let dying: Vec<_> = (0..4).map(|_| bench.start_armed("replace_token.after-commit", &["run"])).collect();
    let living = start(&bench, 4);
    let mut deaths = 0;
    for said in join_all(dying.into_iter().chain(living).map(Process::ended)).await {
        assert!([0, 4, 137].contains(&said.code), "{said:?}");
        deaths += usize::from(said.code == 137);
    }
    leases_lapse(&bench);
    finish(&bench).await;
    bench.has_exactly(1..=100);
    bench.agrees_by_sql();
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
    assert_eq!(bench.sandbox.totals().refresh_replays(), 0);
    assert!(deaths > 0 || rotations(&bench) > 1, "{:?}", bench.sandbox.totals());
}

/// A person logs in with a browser; its refresh token is put into the configuration.
async fn log_in(bench: &Bench) {
    let options = &bench.sandbox.options().lead_connector;
    let url = bench.sandbox.lead_connector_url();
    // Who asks before anybody else has set it; it stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let form = |pairs: &[(&str, &str)]| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(pairs).finish()
    };
    let asked = form(&[
        ("response_type", "code"),
        ("client_id", &options.client_id),
        ("redirect_uri", "http://127.0.0.1:1/callback"),
        ("scope", "contacts.readonly contacts.write"),
    ]);
    let reply = client.get(format!("{url}/oauth/authorize?{asked}")).send().await.unwrap();
    let back = url::Url::parse(reply.headers()["location"].to_str().unwrap()).unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let body = form(&[
        ("grantType", "authorization_code"),
        ("clientId", &options.client_id),
        ("clientSecret", options.client_secret.expose()),
        ("code", &code),
    ]);
    let request = client.post(format!("{url}/oauth/token")).header("version", "v3");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let issued: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
    bench.set("destinations.crm.refresh_token", issued["refreshToken"].as_str().unwrap());
}

/// The account waits for a person: every run says so, asks nobody, and leaves the leads alone; until somebody logs in.
async fn is_dead_until_a_login(bench: &Bench, leads: usize) {
    let asked = bench.asked("lc_token");
    for _ in 0..2 {
        let said = bench.run().await.ends(2).says("log in");
        assert!(said.err.contains("leadsync auth login crm"), "{}", said.err);
    }
    assert_eq!(bench.asked("lc_token"), asked, "nobody asks again");
    untouched(bench, leads);
    log_in(bench).await;
    bench.run().await.ends(0);
    bench.has_exactly(1..=leads);
    bench.agrees_by_sql();
    assert_eq!(bench.sandbox.totals().refresh_replays(), 1, "{:?}", bench.sandbox.totals());
}

async fn a_worker_killed_with_the_next_token_in_its_hands_is_told_of(kind: Kind) {
    for point in ["token.after-reply", "replace_token.before-commit"] {
        let bench = LOCATION_APP.bench(kind, |_| {}).await;
        bench.queue(&rows(1..=3)).await;
        bench.start_armed(point, &["run"]).ended().await.ends(137);
        assert_eq!((rotations(&bench), bench.sandbox.totals().refresh_replays()), (1, 0), "{point}");
        turns_lapse(&bench);
        bench.run().await.ends(2).says("log in");
        assert_eq!((bench.asked("lc_token"), bench.sandbox.totals().refresh_replays()), (2, 1), "{point}: once more");
        is_dead_until_a_login(&bench, 3).await;
    }
}

async fn a_lost_answer_is_asked_for_once(kind: Kind) {
    // Whether the request was carried out before its answer was lost, nobody can tell.
    for (fault, dead) in [("reset", false), ("reset-after", true), ("truncated", true)] {
        let bench = LOCATION_APP.bench(kind, |_| {}).await;
        bench.queue(&rows(1..=3)).await;
        bench.faults(&format!("lc_token:{fault}=#1"));
        let run = bench.start(&["run"]);
        until("the answer is lost", || bench.asked("lc_token") == 1 && bench.number(HELD) == 1).await;
        // The log of it comes after everything else.
        until("it is known", || bench.number("SELECT count(*) FROM calls WHERE what = 'token'") == 1).await;
        turns_lapse(&bench);
        let said = run.ended().await;
        let replays = bench.sandbox.totals().refresh_replays();
        assert_eq!((said.code, replays), if dead { (2, 1) } else { (0, 0) }, "{fault}: {said:?}");
        assert_eq!(bench.asked("lc_token"), 2, "{fault}");
        if dead {
            is_dead_until_a_login(&bench, 3).await;
        }
        bench.has_exactly(1..=3);
        assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
    }
    // An answer that says no is none of this.
    for fault in ["500", "429-seconds", "503"] {
        let bench = LOCATION_APP.bench(kind, |_| {}).await;
        bench.faults(&format!("lc_token:{fault}=#1"));
        bench.import(&rows(1..=3)).await.ends(0);
        bench.has_exactly(1..=3);
        assert_eq!(bench.sandbox.totals().refresh_replays(), 0, "{fault}");
    }
}

/// Whether somebody has the turn.
const HELD: &str = "SELECT count(*) FROM tokens WHERE refresh_until_ms IS NOT NULL";

async fn killed_at_any_moment_the_chain_dies_at_worst_and_every_lead_is_there_once(kind: Kind) {
    const ROUNDS: u64 = 4;
    let bench = LOCATION_APP.bench(kind, short_lived).await;
    bench.set("destinations.crm.concurrency", 2);
    bench.set("destinations.crm.tags", toml::value::Array::from(["leadsync".into()]));
    bench.queue(&rows(1..=90)).await;
    let mut dice = StdRng::seed_from_u64(7);
    let dead = "SELECT count(*) FROM tokens WHERE needs_login IS NOT NULL";
    for _ in 0..ROUNDS {
        let mut fleet = start(&bench, 3);
        let before = bench.sandbox.totals().requests;
        let more = dice.random_range(1..40);
        until("they have come so far", || {
            bench.sandbox.totals().requests >= before + more || fleet.iter_mut().all(Process::has_ended)
        })
        .await;
        fleet.iter().for_each(|worker| worker.signal(Signal::KILL));
        for said in join_all(fleet.into_iter().map(Process::ended)).await {
            assert!([0, 2, 4, 137].contains(&said.code), "{said:?}");
        }
        turns_lapse(&bench);
        leases_lapse(&bench);
        if bench.number(dead) > 0 {
            log_in(&bench).await;
        }
    }
    let mut code = 4;
    for _ in 0..6 {
        code = bench.run().await.code;
        match code {
            0 => break,
            2 => log_in(&bench).await,
            _ => {}
        }
    }
    assert_eq!(code, 0);
    bench.has_exactly(1..=90);
    bench.agrees_by_sql();
    let replays = bench.sandbox.totals().refresh_replays();
    assert!(replays <= ROUNDS, "{replays} repeats for {ROUNDS} answers that may have been lost");
    bench.nothing_is_leased();
}
