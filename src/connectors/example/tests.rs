//! The worked example of ARCHITECTURE.md is a destination: in this build it stands in the registry, and the whole program
//! works with it.

use std::sync::Arc;

use crate::auth::fake::FakeVault;
use crate::auth::seal::Keyring;
use crate::auth::{Place, Tokens};
use crate::clock::SystemClock;
use crate::config::{self, Environment, schema};
use crate::connectors::channel::Channel;
use crate::connectors::classify::classify;
use crate::connectors::{Asked, CheckStep, Verdict, registry};
use crate::http::fake::{http_reply, serve};
use crate::http::send::HttpClient;
use crate::lead::{Lead, Prepared};
use crate::secret::Secret;

#[test]
fn the_document_shows_the_folder_as_it_is() {
    let document = include_str!("../../../ARCHITECTURE.md");
    let (_, rest) = document.split_once("## Add a destination").expect("the heading is gone");
    let (_, rest) = rest.split_once("```rust\n").expect("the example is gone");
    let (shown, _) = rest.split_once("```").unwrap();
    let (code, _) = include_str!("mod.rs").split_once("\n#[cfg(test)]").unwrap();
    assert!(shown == code, "ARCHITECTURE.md and src/connectors/example/mod.rs differ");
}

#[test]
fn its_keys_are_keys_of_the_configuration() {
    let keys: Vec<_> = schema::keys().iter().filter(|key| key.of == "postbox").map(|key| key.path).collect();
    assert_eq!(keys[..2], ["destinations.NAME.api_url", "destinations.NAME.token"]);
    let said =
        config::parse("leadsync.toml", "[destinations.x]\nkind = \"postbox\"\ntokn = \"t\"\n", Environment::default())
            .unwrap_err()
            .to_string();
    assert!(said.contains("did you mean `token`?"), "{said}");
}

#[tokio::test]
async fn a_lead_is_created_and_found_through_the_same_door_as_any_other() {
    let addr = serve(|_, request| async move {
        assert!(request.contains("authorization: Bearer t-1\r\n"), "{request}");
        let ann = r#"{"id": 7, "email": "ann@example.com"}"#;
        match request.split(' ').take(2).collect::<Vec<_>>()[..] {
            ["POST", "/v1/people"] => http_reply(201, "", ann),
            ["GET", "/v1/people?email=ann%40example.com"] => http_reply(200, "", &format!(r#"{{"people": [{ann}]}}"#)),
            ["GET", path] if path.starts_with("/v1/people") => http_reply(200, "", r#"{"people": []}"#),
            _ => http_reply(404, "", "{}"),
        }
    })
    .await;
    let text = format!("[destinations.x]\nkind = \"postbox\"\napi_url = \"http://{addr}/v1\"\ntoken = \"t-1\"\n");
    let settings = config::parse("leadsync.toml", &text, Environment::default()).unwrap();
    let settings = &settings.destinations["x"];
    assert!(registry::missing(settings).is_empty());
    let (destination, account) = (registry::destination(settings).unwrap(), registry::account(settings).unwrap());
    assert!(account.key().starts_with("x-"));

    let keyring = Keyring::new(&[Secret::new("01".repeat(32))]).unwrap();
    let (http, clock) = (HttpClient::new(), Arc::new(SystemClock));
    let tokens = Tokens::new(Arc::new(FakeVault::default()), keyring, http.clone(), clock.clone(), None);
    let channel = Channel::new(account, &destination.limits(), http, tokens, clock, None);
    assert_eq!(channel.bearer().await.unwrap().unwrap().place, Place::Bearer);
    let stop = tokio_util::sync::CancellationToken::new();
    let ask = async |request| channel.ask("create", &request, &stop).await.0.unwrap();

    let CheckStep::Ask(check) = destination.check(&[]) else { panic!() };
    assert!(matches!(destination.check(&[ask(check).await]), CheckStep::Passed(_)));
    let of = |email: &str| Prepared { lead: Lead { email: email.into(), ..Lead::default() }, ..Prepared::default() };
    let (ann, bob) = (of("ann@example.com"), of("bob@example.com"));
    let there = |already| Some(Verdict::Accepted { remote_id: Some("7".into()), already, note: None });
    let created = ask(destination.create(&ann).unwrap()).await;
    assert_eq!(destination.read(Asked::Create, &ann, &created), there(false));
    let found = ask(destination.find(&ann).unwrap()).await;
    assert_eq!(destination.read(Asked::Find, &ann, &found), there(true));
    let absent = ask(destination.find(&bob).unwrap()).await;
    assert_eq!(destination.read(Asked::Find, &bob, &absent), Some(Verdict::Absent));
    // A success that can't be read is unknown, by status alone.
    let odd = crate::http::message::Reply { body: bytes::Bytes::from_static(b"{}"), ..created };
    assert_eq!(destination.read(Asked::Create, &ann, &odd), None);
    assert!(matches!(classify(Asked::Create, &Ok(odd)), Verdict::Unknown { .. }));
}
