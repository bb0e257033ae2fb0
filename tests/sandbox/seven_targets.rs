//! 7targets.

use std::time::Duration;

use leadsync::sandbox::{Duplicate, Sandbox, SandboxOptions, SevenTargetsOptions};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::*;

#[tokio::test]
async fn a_create_answers_with_the_lead_and_is_in_the_ledger_as_it_was_sent() {
    let world = World::with(SandboxOptions::default()).await;
    let mut body = lead(" Ann.Bee@Example.com ");
    body["customFields"] = json!([{"name": "tier", "value": "gold"}]);
    let reply = world.leads(Method::POST, &body).send().await.unwrap();
    assert_eq!(reply.status(), 201);
    let lead = json_of(reply).await;
    assert_eq!(lead["state"], "Cold");
    assert_eq!(lead["assistantId"], 71);
    assert_eq!(lead["customFields"], body["customFields"]);
    let kept = world.sandbox.ledger().lead("ann.bee@example.com").unwrap();
    assert_eq!((kept.creates, Some(kept.id), kept.body), (1, lead["id"].as_u64(), body));
    let next = json_of(world.create("bea@example.com").await.unwrap()).await;
    assert_eq!(next["id"].as_u64(), lead["id"].as_u64().map(|id| id + 1), "ids count up");
}

#[tokio::test]
async fn what_a_create_lacks_is_named() {
    let world = World::with(SandboxOptions::default()).await;
    let cases = [
        (json!({"email": "a@example.com", "assistantEmail": ASSISTANT}), "name is mandatory"),
        (json!({"name": " ", "email": "a@example.com", "assistantEmail": ASSISTANT}), "name is mandatory"),
        (json!({"name": "Ann", "assistantEmail": ASSISTANT}), "email is mandatory"),
        (json!({"name": "Ann", "email": "ann", "assistantEmail": ASSISTANT}), "email is not valid"),
        (json!({"name": "Ann", "email": "a@example.com"}), "assistantEmail is mandatory"),
        (json!({"name": "Ann", "email": "a@example.com", "assistantEmail": "x@example.com"}), "not an assistant"),
        (json!({"name": "Ann", "email": "a@example.com", "assistantId": 1}), "assistantId is not an assistant"),
        (json!({"name": 7, "email": "a@example.com", "assistantEmail": ASSISTANT}), "name must be a string"),
        (json!([]), "JSON object"),
    ];
    for (body, why) in cases {
        let reply = world.leads(Method::POST, &body).send().await.unwrap();
        assert_eq!(reply.status(), 400, "{why}");
        assert!(text(reply, "message").await.contains(why), "{why}");
    }
    assert_eq!(world.sandbox.totals().created, 0);
}

#[tokio::test]
async fn a_second_create_of_an_address_changes_nothing_and_is_counted() {
    for (duplicate, status) in [(Duplicate::Conflict, 409), (Duplicate::ReturnExisting, 200)] {
        let seven_targets = SevenTargetsOptions { duplicate, ..SevenTargetsOptions::default() };
        let world = World::with(SandboxOptions { seven_targets, ..SandboxOptions::default() }).await;
        let first = json_of(world.create("ann@example.com").await.unwrap()).await;
        let again = world.create("ANN@example.com").await.unwrap();
        assert_eq!(again.status(), status);
        let again = json_of(again).await;
        match duplicate {
            Duplicate::Conflict => assert!(again["message"].as_str().unwrap().contains("already exists")),
            Duplicate::ReturnExisting => assert_eq!(again["id"], first["id"]),
        }
        let kept = world.sandbox.ledger().lead("ann@example.com").unwrap();
        assert_eq!((kept.creates, kept.repeated_creates), (1, 1));
    }
}

#[tokio::test]
async fn creates_of_one_address_at_the_same_moment_make_one_lead() {
    let world = World::with(rate(1000, Duration::from_secs(1))).await;
    let all = futures_util::future::join_all((0..30).map(|_| world.create("ann@example.com"))).await;
    let created = all.into_iter().filter(|reply| reply.as_ref().is_ok_and(|reply| reply.status() == 201)).count();
    assert_eq!((created, world.creates("ann@example.com")), (1, 1));
}

#[tokio::test]
async fn an_update_finds_by_address_and_leaves_what_it_does_not_name() {
    let world = World::with(SandboxOptions::default()).await;
    let unknown = world.leads(Method::PUT, &lead("ann@example.com")).send().await.unwrap();
    assert_eq!(unknown.status(), 404);

    let mut first = lead("ann@example.com");
    first["phone"] = json!("+14155550100");
    let created = json_of(world.leads(Method::POST, &first).send().await.unwrap()).await;
    let mut change = lead("Ann@Example.com");
    (change["name"], change["lastName"]) = (json!("Anna"), Value::Null);
    let reply = world.leads(Method::PUT, &change).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let now = json_of(reply).await;
    assert_eq!((&now["name"], &now["lastName"], &now["phone"]), (&json!("Anna"), &json!("Bee"), &first["phone"]));
    assert_eq!(now["id"], created["id"]);

    let mut other = lead("bea@example.com");
    other["id"] = created["id"].clone();
    let reply = world.leads(Method::PUT, &other).send().await.unwrap();
    assert_eq!(reply.status(), 400, "an address can't be changed");
}

#[tokio::test]
async fn assistants_come_in_pages() {
    let world = World::with(SandboxOptions::default()).await;
    let page = async |query: &str| {
        let reply = world.api(Method::GET, &format!("/leads/assistant{query}")).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        json_of(reply).await.as_array().unwrap().clone()
    };
    let first = page("").await;
    assert_eq!(first.len(), 10);
    assert!(first.iter().all(|assistant| assistant["emailid"] != ASSISTANT), "she is on the second page");
    let second = page("?searchString=&page=1&size=10&sort=lastModifiedDate,desc").await;
    assert_eq!((second.len(), &second[0]["emailid"]), (1, &json!(ASSISTANT)));
    assert_eq!(page("?page=2").await.len(), 0);
    assert_eq!(page("?searchString=ASHLEY").await, second);
    assert_eq!(world.api(Method::GET, "/leads/assistant?size=0").send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn wrong_credentials_are_refused_as_each_service_does() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let client = client();
    let reply = token(&client, &sandbox, "wrong").await;
    assert_eq!((reply.status().as_u16(), text(reply, "error").await.as_str()), (400, "invalid_client"));
    for (form, error) in [
        ([("grant_type", "password"), ("scope", "leads/post")], "unsupported_grant_type"),
        ([("grant_type", "client_credentials"), ("scope", "leads/all")], "invalid_scope"),
        ([("grant", "client_credentials"), ("scope", "leads/post")], "invalid_request"),
    ] {
        let request = client.post(sandbox.token_url()).basic_auth("sandbox-client", Some("sandbox-secret"));
        let reply = request.form(&form).send().await.unwrap();
        assert_eq!((reply.status().as_u16(), text(reply, "error").await.as_str()), (400, error));
    }
    assert_eq!(session(&client, &sandbox, "wrong").await.status(), 401);
}

#[tokio::test]
async fn every_call_needs_a_token_of_its_service_and_the_right_user() {
    let world = World::with(SandboxOptions::default()).await;
    let url = format!("{}/leads/assistant", world.sandbox.base_url());
    let ask = |bearer: &str, user: &str| {
        world.client.get(&url).bearer_auth(bearer).header("7ts-user-identifier", user.to_owned()).send()
    };
    assert_eq!(ask("nonsense", "sandbox-user-identifier").await.unwrap().status(), 401);
    assert_eq!(ask(&world.live_data, "sandbox-user-identifier").await.unwrap().status(), 401);
    assert_eq!(ask(&world.seven_targets, "someone-else").await.unwrap().status(), 403);
    let without = world.client.get(&url).bearer_auth(&world.seven_targets).send().await.unwrap();
    assert_eq!(without.status(), 403);
    assert_eq!(ask(&world.seven_targets, "sandbox-user-identifier").await.unwrap().status(), 200);
}

#[tokio::test]
async fn tokens_expire_and_can_be_revoked() {
    let expired = World::with(SandboxOptions { token_ttl: Duration::ZERO, ..SandboxOptions::default() }).await;
    assert_eq!(expired.create("ann@example.com").await.unwrap().status(), 401);
    assert_eq!(expired.find(&by_email(["ann@example.com"])).send().await.unwrap().status(), 401);
    assert_eq!(expired.creates("ann@example.com"), 0);

    let world = World::with(SandboxOptions::default()).await;
    assert_eq!(world.create("ann@example.com").await.unwrap().status(), 201);
    assert_eq!(world.admin(Method::POST, "/revoke", "").await.0, 200);
    assert_eq!(world.create("bea@example.com").await.unwrap().status(), 401);
}
