//! Tokens from a service that is not ours, which takes a spent refresh token for theft: asked for once, kept, exchanged in
//! turn, and asked for once more if an answer was lost.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bench::{Bench, Said, csv, email, until};
use crate::issuer::{CLIENT, Issuer, SECRET, SEED, location_routes, quiet};
use crate::support::database::Kind;
use crate::wire::Fate;

journeys![
    a_client_s_token_is_asked_for_in_every_form,
    a_user_s_password_brings_a_chain,
    a_chain_goes_on_from_run_to_run,
    a_person_and_runs_refresh_in_turn,
    eight_workers_exchange_each_refresh_token_once,
    eight_workers_share_the_chain_of_a_location,
    an_exchange_that_nobody_heard_of_is_made_once_more,
];

const TOKEN: &str = "/oauth/token";

/// An issuer, and a bench with an API behind it.
struct Set {
    issuer: Issuer,
    bench: Bench,
}

impl Set {
    async fn new(kind: Kind, style: &str, options: Value) -> Option<Self> {
        let mut all =
            json!({"routes": [{"method": "POST", "path": "/leads", "status": 201, "body": {"id": "lead-{n}"}}]});
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let issuer = Issuer::start(all).await?;
        let set = Self { issuer, bench: Bench::new(kind).await };
        // A service may be slow on a busy machine.
        set.bench.set("run.lease", "12s");
        set.bench.set("run.wait", "60s");
        set.set("kind", "http");
        set.set("url", set.issuer.wire.url("/leads"));
        set.set("body", r#"{"email": "{{ lead.email }}"}"#);
        set.set("remote_id", "/id");
        set.set("timeout", "5s");
        set.set("rate", "none");
        set.set("auth.style", style);
        set.set("auth.token_url", set.issuer.wire.url(TOKEN));
        set.set("auth.client_id", CLIENT);
        set.set("auth.client_secret", SECRET);
        if style == "refresh_token" {
            set.set("auth.refresh_token", SEED);
        }
        Some(set)
    }

    fn set(&self, key: &str, value: impl Into<toml::Value>) {
        self.bench.set(&format!("destinations.any.{key}"), value);
    }

    async fn queue(&self, numbers: impl IntoIterator<Item = usize>) {
        self.bench.file("leads.csv", csv(numbers));
        let said = self.bench.leadsync(&["import", "--queue-only", "--destination", "any", "leads.csv"]).await;
        said.ends(0);
    }

    async fn run(&self) -> Said {
        quiet(self.bench.run().await)
    }

    /// Fails unless the API has these leads, each created once.
    async fn has_exactly(&self, numbers: impl IntoIterator<Item = usize>) {
        let calls = self.issuer.book().await["calls"].as_array().unwrap().clone();
        let created = calls.iter().filter(|call| call["status"] == 201);
        let mut created: Vec<String> = created.map(|call| call["body"]["email"].as_str().unwrap().to_owned()).collect();
        created.sort();
        let mut expected: Vec<String> = numbers.into_iter().map(email).collect();
        expected.sort();
        assert_eq!(created, expected);
    }

    /// The refresh tokens that were presented, in order.
    async fn presented(&self) -> Vec<String> {
        let tokens = self.issuer.tokens().await;
        tokens.iter().filter_map(|it| it["refresh_token"].as_str().map(str::to_owned)).collect()
    }
}

async fn a_client_s_token_is_asked_for_in_every_form(kind: Kind) {
    for (place, encoding) in [("basic", "form"), ("body", "form"), ("basic", "json"), ("body", "json")] {
        let Some(set) = Set::new(kind, "client_credentials", json!({})).await else { return };
        set.set("auth.client", place);
        set.set("auth.encoding", encoding);
        set.set("auth.scope", "leads.write leads.read");
        set.queue([1]).await;
        set.run().await.ends(0);
        set.queue([2]).await;
        set.run().await.ends(0);
        set.has_exactly([1, 2]).await;
        let tokens = set.issuer.tokens().await;
        assert_eq!(tokens.len(), 1, "{tokens:?}");
        let got = ["grant", "client", "place", "encoding", "scope"].map(|name| tokens[0][name].as_str().unwrap());
        assert_eq!(got, ["client_credentials", CLIENT, place, encoding, "leads.write leads.read"]);
        // Nothing is sent twice: not the client in the body beside the header.
        let fields: Vec<&str> = tokens[0]["fields"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let expected: &[&str] = match place {
            "basic" => &["grant_type", "scope"],
            _ => &["client_id", "client_secret", "grant_type", "scope"],
        };
        assert_eq!(fields, expected);
    }
}

async fn a_user_s_password_brings_a_chain(kind: Kind) {
    let Some(set) = Set::new(kind, "password", json!({"expires_in": 2, "seeds": []})).await else { return };
    set.set("auth.username", "leadsync-user");
    set.set("auth.password", " with a blank at its beginning");
    set.set("rate", "5/s");
    set.queue(1..=25).await;
    set.run().await.ends(0);
    set.has_exactly(1..=25).await;
    let tokens = set.issuer.tokens().await;
    let grants: Vec<&str> = tokens.iter().filter_map(|it| it["grant"].as_str()).collect();
    assert_eq!(grants[0], "password");
    assert!(grants.len() > 1 && grants[1..].iter().all(|grant| *grant == "refresh_token"), "{grants:?}");
    assert_eq!(set.issuer.replays().await, (0, 0));
}

async fn a_chain_goes_on_from_run_to_run(kind: Kind) {
    let Some(set) = Set::new(kind, "refresh_token", json!({})).await else { return };
    for n in 0..4 {
        set.queue(n * 10..n * 10 + 10).await;
        set.run().await.ends(0);
        // The API refuses what is stored, although it has not expired.
        set.issuer.revoke_access().await;
    }
    set.has_exactly(0..40).await;
    let presented = set.presented().await;
    assert_eq!(presented[0], SEED);
    assert_eq!(presented.iter().collect::<BTreeSet<_>>().len(), 4, "{presented:?}");
    // However many leads were refused at once.
    assert_eq!(presented.len(), 4, "{presented:?}");
    assert_eq!(set.issuer.replays().await, (0, 0));
}

async fn a_person_and_runs_refresh_in_turn(kind: Kind) {
    let Some(set) = Set::new(kind, "refresh_token", json!({"expires_in": 3})).await else { return };
    set.set("rate", "20/s");
    set.queue(1..=100).await;
    let run = set.bench.start(&["run"]);
    until("leads are sent", || set.issuer.wire.passed_to("/leads").len() > 5).await;
    for _ in 0..3 {
        let by_hand = [(); 2].map(|()| set.bench.start(&["auth", "refresh", "any"]));
        for said in join_all(by_hand.map(|refresh| refresh.ended())).await {
            quiet(said).ends(0);
        }
    }
    quiet(run.ended().await).ends(0);
    set.has_exactly(1..=100).await;
    let presented = set.presented().await;
    assert!(presented.len() >= 4, "{presented:?}");
    assert_eq!(presented.iter().collect::<BTreeSet<_>>().len(), presented.len(), "one was exchanged twice");
    assert_eq!(set.issuer.replays().await, (0, 0));
}

async fn eight_workers_exchange_each_refresh_token_once(kind: Kind) {
    let Some(set) = Set::new(kind, "refresh_token", json!({"expires_in": 3})).await else { return };
    set.set("rate", "25/s");
    set.queue(1..=250).await;
    eight_workers(&set, 1..=250).await;
}

async fn eight_workers_share_the_chain_of_a_location(kind: Kind) {
    let options = json!({"expires_in": 3, "routes": location_routes()});
    let Some(set) = Set::new(kind, "none", options).await else { return };
    set.issuer.location(&set.bench);
    set.bench.set("destinations.crm.refresh_token", SEED);
    set.bench.set("destinations.crm.rate", "25/s");
    set.bench.file("leads.csv", csv(1..=250));
    let args = ["import", "--queue-only", "--destination", "crm", "leads.csv"];
    set.bench.leadsync(&args).await.ends(0);
    eight_workers(&set, 1..=250).await;
}

async fn eight_workers(set: &Set, leads: RangeInclusive<usize>) {
    let workers = (0..8).map(|_| set.bench.start(&["run"])).collect::<Vec<_>>();
    for said in join_all(workers.into_iter().map(|worker| worker.ended())).await {
        // Whoever finds nothing to do is done; the rest may be left to others.
        let said = quiet(said);
        assert!([0, 4].contains(&said.code), "{said:?}");
    }
    set.run().await.ends(0);
    set.has_exactly(leads).await;
    let tokens = set.issuer.tokens().await;
    assert!(tokens.iter().all(|it| it["status"] == 200), "{tokens:?}");
    let presented = set.presented().await;
    assert_eq!(presented.iter().collect::<BTreeSet<_>>().len(), presented.len(), "one was exchanged twice");
    // Ten seconds of leads, three of a token.
    assert!((3..=40).contains(&presented.len()), "{presented:?}");
    assert_eq!(set.issuer.replays().await, (0, 0));
}

/// What comes of an exchange of which we never heard.
struct Lost {
    what: &'static str,
    fate: Fate,
    /// Whether the service forgives the repeat.
    grace: bool,
    /// Spent tokens presented, and chains that ended so.
    replays: (u64, u64),
}

/// Whether the service never got it, or carried it out and forgives the repeat, or takes it for theft.
fn fates(unseen: Fate, unheard: Fate) -> [Lost; 3] {
    [
        Lost { what: "unseen", fate: unseen, grace: false, replays: (0, 0) },
        Lost { what: "unheard, forgiven", fate: unheard, grace: true, replays: (1, 0) },
        Lost { what: "unheard, taken for theft", fate: unheard, grace: false, replays: (1, 1) },
    ]
}

/// What must hold after the one repeat.
async fn ended_well(set: &Set, lost: &Lost, said: Said) {
    let what = lost.what;
    let went_on = lost.replays.1 == 0;
    let tried = set.issuer.wire.passed_to(TOKEN).len();
    let told = format!("{what}: {tried} requests\n{said:?}");
    assert_eq!(said.code, if went_on { 0 } else { 2 }, "{told}");
    assert_eq!(set.issuer.replays().await, lost.replays, "{told}");
    // The first, whose answer was lost, and its repeat, with the same token.
    assert_eq!(tried, 2, "{told}");
    let forms: BTreeSet<_> = set.issuer.wire.passed_to(TOKEN).iter().map(|it| it.body.clone()).collect();
    assert_eq!(forms.len(), 1, "{told}");
    // What is dead stays so: nobody asks again, and a person is told what to do.
    let again = set.run().await;
    if went_on {
        again.ends(0);
        set.has_exactly([1]).await;
    } else {
        again.ends(2).says("new login");
        set.has_exactly([]).await;
    }
    assert_eq!(set.issuer.wire.passed_to(TOKEN).len(), 2, "{what}");
}

/// All at once, since each waits until the first request can't be at work any more.
async fn an_exchange_that_nobody_heard_of_is_made_once_more(kind: Kind) {
    let lost = fates(Fate::RequestLost, Fate::ReplyLost).map(async |lost| is_lost(kind, lost).await);
    let killed = fates(Fate::RequestHeld, Fate::ReplyHeld).map(async |lost| is_killed(kind, lost).await);
    tokio::join!(join_all(lost), join_all(killed));
}

/// The connection breaks.
async fn is_lost(kind: Kind, lost: Lost) {
    let Some(set) = Set::new(kind, "refresh_token", json!({"grace": lost.grace})).await else { return };
    set.queue([1]).await;
    set.issuer.wire.fates(TOKEN, [lost.fate]);
    let said = set.run().await;
    ended_well(&set, &lost, said).await;
}

/// The worker dies, and one that waits for it.
async fn is_killed(kind: Kind, lost: Lost) {
    let Some(set) = Set::new(kind, "refresh_token", json!({"grace": lost.grace})).await else { return };
    set.queue([1]).await;
    set.issuer.wire.fates(TOKEN, [lost.fate]);
    let die = [set.bench.start(&["run"]), set.bench.start(&["run"])];
    until("it exchanges the refresh token", || set.issuer.wire.held() == 1).await;
    // The others wait for their turn.
    let others = [set.bench.start(&["run"]), set.bench.start(&["run"])];
    for worker in die {
        worker.signal(Signal::KILL);
        // One of them may have found the lead taken, but not have ended: it waits until it is done.
        worker.ended().await.ends(137);
    }
    set.issuer.wire.release();
    let [one, other] = others.map(|other| other.ended());
    let (one, other) = tokio::join!(one, other);
    // One of them had the lead; the other found it taken, or nothing left.
    let worse = if one.code >= other.code { one } else { other };
    ended_well(&set, &lost, quiet(worse)).await;
}
