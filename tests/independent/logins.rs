//! A person's login with a browser: authorization code, PKCE and state, at a service that is not ours, and what the account
//! does with the tokens from then on.

use std::net::TcpListener;

use serde_json::{Value, json};
use url::Url;

use crate::bench::{Bench, Process, Said, csv, read, until};
use crate::issuer::{Issuer, SEED, location_routes, quiet};
use crate::support::database::Kind;
use crate::wire::client;

journeys![
    a_login_begins_a_chain_that_runs_go_on_with,
    a_login_that_is_not_ours_is_refused_and_ends_nothing,
    a_code_is_pasted,
    a_code_that_the_service_does_not_know_is_refused,
];

const TOKEN: &str = "/oauth/token";

/// An issuer with a location of LeadConnector behind it.
struct Set {
    issuer: Issuer,
    bench: Bench,
    back: String,
}

impl Set {
    async fn new(kind: Kind) -> Option<Self> {
        let issuer = Issuer::start(json!({"routes": location_routes()})).await?;
        let bench = Bench::new(kind).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let back = format!("http://127.0.0.1:{port}/callback");
        let set = Self { issuer, bench, back };
        set.bench.set("run.lease", "12s");
        set.issuer.location(&set.bench);
        set.bench.set("destinations.crm.redirect_url", set.back.as_str());
        set.bench.set("destinations.crm.authorize_url", set.issuer.wire.url("/oauth/authorize"));
        Some(set)
    }

    /// Starts a login, and returns when it waits: the address that it prints comes with it.
    async fn login(&self) -> (Process, Url) {
        let login = self.bench.start_in_shell(r#"exec "$@" >address"#, &["auth", "login", "crm", "--no-browser"]);
        until("it waits", || login.has_said("Waiting")).await;
        let address = read(self.bench.path("address")).trim().parse().unwrap();
        (login, address)
    }

    /// What the service answers to a person who allows it: where to go next.
    async fn allowed(&self, address: &Url) -> Url {
        let answer = client().get(address.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 302);
        answer.headers()["location"].to_str().unwrap().parse().unwrap()
    }

    async fn import(&self, numbers: impl IntoIterator<Item = usize>) -> Said {
        self.bench.file("leads.csv", csv(numbers));
        quiet(self.bench.leadsync(&["import", "--destination", "crm", "leads.csv"]).await)
    }

    /// What the token requests asked with, and how they were answered.
    async fn grants(&self) -> Vec<(String, u64)> {
        let tokens = self.issuer.tokens().await;
        let grant = |it: &Value| (it["grant"].as_str().unwrap().to_owned(), it["status"].as_u64().unwrap());
        tokens.iter().map(grant).collect()
    }
}

fn grant(name: &str, status: u64) -> (String, u64) {
    (name.to_owned(), status)
}

async fn a_login_begins_a_chain_that_runs_go_on_with(kind: Kind) {
    let Some(set) = Set::new(kind).await else { return };
    // Nobody has logged in yet: nothing is sent, and a person is told what to do.
    set.import([1]).await.ends(2).says("leadsync auth login");
    assert!(set.issuer.wire.passed().is_empty());
    let (login, address) = set.login().await;
    let back = set.allowed(&address).await;
    assert!(client().get(back).send().await.unwrap().status().is_success());
    quiet(login.ended().await).ends(0);
    assert_eq!(set.grants().await, [grant("authorization_code", 200)]);
    set.bench.leadsync(&["run"]).await.ends(0);
    assert_eq!(set.grants().await.len(), 1);
    // The API refuses the token; its chain goes on.
    set.issuer.revoke_access().await;
    set.import([2, 3]).await.ends(0);
    assert_eq!(set.grants().await, [grant("authorization_code", 200), grant("refresh_token", 200)]);
    assert_eq!(set.issuer.replays().await, (0, 0));
    // A second login begins another chain, and the first is not touched.
    let (login, address) = set.login().await;
    client().get(set.allowed(&address).await).send().await.unwrap();
    quiet(login.ended().await).ends(0);
    set.issuer.revoke_access().await;
    set.import([4]).await.ends(0);
    let newest = [grant("authorization_code", 200), grant("refresh_token", 200)];
    assert_eq!(set.grants().await[2..], newest);
    assert_eq!(set.issuer.replays().await, (0, 0));
    let states = set.bench.states().await;
    assert_eq!((states.len(), states["delivered"]), (1, 4));
}

async fn a_login_that_is_not_ours_is_refused_and_ends_nothing(kind: Kind) {
    let Some(set) = Set::new(kind).await else { return };
    let (login, address) = set.login().await;
    let back = set.allowed(&address).await;
    let others: Vec<(String, String)> = back
        .query_pairs()
        .map(|(name, value)| (name.to_string(), if name == "state" { "somebody".into() } else { value.into() }))
        .collect();
    let mut strange = back.clone();
    strange.query_pairs_mut().clear().extend_pairs(others);
    assert_eq!(client().get(strange).send().await.unwrap().status(), 400);
    assert!(set.issuer.wire.passed_to(TOKEN).is_empty());
    assert_eq!(client().get(back).send().await.unwrap().status(), 200);
    quiet(login.ended().await).ends(0);
}

async fn a_code_is_pasted(kind: Kind) {
    let Some(set) = Set::new(kind).await else { return };
    // The browser is on another machine: where it ends up is brought here by hand.
    let args = ["auth", "login", "crm", "--paste"];
    let login = set.bench.start_in_shell(r#"mkfifo typed && "$@" >address <typed"#, &args);
    until("it can be typed to", || set.bench.path("typed").exists()).await;
    // Opening waits until somebody reads.
    let typed = set.bench.path("typed");
    let mut typed = tokio::task::spawn_blocking(|| std::fs::File::create(typed).unwrap()).await.unwrap();
    until("it says where to go", || read(set.bench.path("address")).ends_with('\n')).await;
    let address = read(set.bench.path("address")).trim().parse().unwrap();
    let back = set.allowed(&address).await;
    std::io::Write::write_all(&mut typed, format!("{back}\n").as_bytes()).unwrap();
    quiet(login.ended().await).ends(0);
    assert_eq!(set.grants().await, [grant("authorization_code", 200)]);
    set.import([1]).await.ends(0);
}

async fn a_code_that_the_service_does_not_know_is_refused(kind: Kind) {
    let Some(set) = Set::new(kind).await else { return };
    let (login, address) = set.login().await;
    let mut back = set.allowed(&address).await;
    let others: Vec<(String, String)> = back
        .query_pairs()
        .map(|(name, value)| (name.to_string(), if name == "code" { SEED.into() } else { value.into() }))
        .collect();
    back.query_pairs_mut().clear().extend_pairs(others);
    client().get(back).send().await.unwrap();
    quiet(login.ended().await).ends(2);
    assert_eq!(set.issuer.wire.passed_to(TOKEN).len(), 1);
    set.import([1]).await.ends(2);
    assert_eq!(set.issuer.wire.passed_to(TOKEN).len(), 1);
}
