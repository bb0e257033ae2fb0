//! What goes wrong on demand.

use std::io;
use std::time::{Duration, Instant};

use leadsync::sandbox::{Sandbox, SandboxOptions};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::*;

#[tokio::test]
async fn error_statuses_come_before_or_after_the_effect() {
    let world = World::with_faults("create:500=a@example.com#1,create:503-after=b@example.com#1").await;
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 500);
    assert_eq!(world.creates("a@example.com"), 0);
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 201);
    assert_eq!(world.create("b@example.com").await.unwrap().status(), 503);
    assert_eq!(world.creates("b@example.com"), 1);
    let created = world.sandbox.ledger().effects();
    assert_eq!(created[1].fault.as_deref(), Some("503-after"));
}

#[tokio::test]
async fn a_401_in_mid_run_kills_the_token_that_was_used() {
    let mut world = World::with_faults("create:401=#2").await;
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 201);
    assert_eq!(world.create("b@example.com").await.unwrap().status(), 401);
    assert_eq!(world.create("b@example.com").await.unwrap().status(), 401, "it stays dead");
    world.seven_targets = text(token(&world.client, &world.sandbox, "sandbox-secret").await, "access_token").await;
    assert_eq!(world.create("b@example.com").await.unwrap().status(), 201);
}

#[tokio::test]
async fn resets_are_resets_before_and_after_the_effect() {
    let world = World::with_faults("create:reset=a@example.com,create:reset-after=b@example.com").await;
    for (email, creates) in [("a@example.com", 0), ("b@example.com", 1)] {
        let error = world.create(email).await.unwrap_err();
        assert_eq!(io_kind(&error), Some(io::ErrorKind::ConnectionReset), "{error:?}");
        assert_eq!(world.creates(email), creates, "{email}");
    }
    let log = world.sandbox.requests();
    let last = log.last().unwrap();
    assert_eq!((last.status, last.fault.as_deref(), last.path.as_str()), (None, Some("reset-after"), "/leads"));
    assert_eq!(world.sandbox.totals().faults["create:reset"], 1);
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_gives_up() {
    let world = World::with_faults("create:hang=a@example.com,create:hang-after=b@example.com").await;
    for (email, creates) in [("a@example.com", 0), ("b@example.com", 1)] {
        let request = tokio::spawn(world.leads(Method::POST, &lead(email)).send());
        until(|| world.sandbox.requests().last().is_some_and(|request| request.fault.is_some())).await;
        assert!(!request.is_finished(), "{email}");
        request.abort();
        assert_eq!(world.creates(email), creates, "{email}");
        assert_eq!(world.admin(Method::POST, "/reset", "").await.0, 200);
    }
}

#[tokio::test]
async fn a_hang_ends_by_itself_with_a_closed_connection() {
    let mut options = SandboxOptions { faults: "create:hang=100%".parse().unwrap(), ..SandboxOptions::default() };
    options.timing.hang = Duration::from_millis(50);
    let world = World::with(options).await;
    let error = world.create("a@example.com").await.unwrap_err();
    assert!(!error.is_timeout() && io_kind(&error) != Some(io::ErrorKind::ConnectionReset), "{error:?}");
}

#[tokio::test]
async fn a_late_effect_comes_although_the_client_has_gone() {
    let mut options =
        SandboxOptions { faults: "create:late=a@example.com#1".parse().unwrap(), ..SandboxOptions::default() };
    options.timing.hang = Duration::from_secs(1);
    let world = World::with(options).await;
    let request = tokio::spawn(world.leads(Method::POST, &lead("a@example.com")).send());
    until(|| !world.sandbox.totals().faults.is_empty()).await;
    request.abort();
    let probe = || async { world.leads(Method::PUT, &lead("a@example.com")).send().await.unwrap().status() };
    assert_eq!(probe().await, 404, "a client that asks too soon believes it is not there");
    until(|| world.creates("a@example.com") == 1).await;
    assert_eq!(probe().await, 200);
}

#[tokio::test]
async fn a_truncated_reply_begins_well_and_ends_early() {
    let world = World::with_faults("create:truncated=100%").await;
    let reply = world.create("a@example.com").await.unwrap();
    assert_eq!(reply.status(), 201);
    let promised: usize = header(&reply, "content-length").unwrap().parse().unwrap();
    assert!(promised > 100);
    reply.bytes().await.unwrap_err();
    assert_eq!(world.creates("a@example.com"), 1);
}

#[tokio::test]
async fn a_success_that_is_no_json_had_its_effect() {
    let world = World::with_faults("create:html=a@example.com,create:empty=b@example.com,find:html=#1").await;
    let reply = world.create("a@example.com").await.unwrap();
    assert_eq!((reply.status().as_u16(), header(&reply, "content-type")), (201, Some("text/html; charset=utf-8")));
    assert!(reply.text().await.unwrap().starts_with("<!doctype html>"));
    let reply = world.create("b@example.com").await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (201, ""));
    assert_eq!((world.creates("a@example.com"), world.creates("b@example.com")), (1, 1));
    let found = world.find(&by_email(["ann@example.com"])).send().await.unwrap();
    assert_eq!((found.status().as_u16(), header(&found, "content-type")), (200, Some("text/html; charset=utf-8")));
}

#[tokio::test]
async fn a_lying_reply_is_a_success_that_denies_or_mixes_up_or_leaves_out_the_lead() {
    let world = World::with_faults(
        "create:error-body=a@example.com#1,create:error-body-after=b@example.com,create:other-lead=c@example.com#1,\
         create:other-lead-after=d@example.com,create:no-id=e@example.com,find:no-id=#1",
    )
    .await;
    for (email, creates) in [("a", 0), ("b", 1), ("c", 0), ("d", 1), ("e", 1)] {
        let email = format!("{email}@example.com");
        let reply = world.create(&email).await.unwrap();
        assert!(reply.status().is_success(), "{email}");
        let body = json_of(reply).await;
        match email.as_str() {
            "a@example.com" | "b@example.com" => assert!(body["error"].is_string() && body["id"].is_null(), "{body}"),
            "c@example.com" | "d@example.com" => assert!(body["id"].is_u64() && body["email"] != *email, "{body}"),
            _ => assert!(body["id"].is_null() && body["email"] == *email, "{body}"),
        }
        assert_eq!(world.creates(&email), creates, "{email}");
    }
    let found = world.find(&by_email(["ann@example.com"])).send().await.unwrap();
    assert_eq!(json_of(found).await, json!({}));
}

#[tokio::test]
async fn a_sandbox_that_is_down_resets_what_is_open_refuses_the_rest_and_comes_back_as_it_was() {
    let world = World::with_faults("create:hang=#2").await;
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 201);
    let hanging = tokio::spawn(world.leads(Method::POST, &lead("b@example.com")).send());
    until(|| !world.sandbox.totals().faults.is_empty()).await;
    world.sandbox.go_down();
    let error = hanging.await.unwrap().unwrap_err();
    assert_eq!(io_kind(&error), Some(io::ErrorKind::ConnectionReset), "{error:?}");
    let error = world.create("c@example.com").await.unwrap_err();
    assert!(error.is_connect() && io_kind(&error) == Some(io::ErrorKind::ConnectionRefused), "{error:?}");
    world.sandbox.come_back();
    while let Err(error) = world.create("c@example.com").await {
        assert!(error.is_connect(), "{error:?}");
    }
    assert_eq!((world.creates("a@example.com"), world.creates("b@example.com")), (1, 0));
    assert_eq!(world.creates("c@example.com"), 1);
}

#[tokio::test]
async fn a_dripping_reply_arrives_whole_but_slowly() {
    let mut options = SandboxOptions { faults: "create:drip=100%".parse().unwrap(), ..SandboxOptions::default() };
    options.timing.drip = Duration::from_millis(200);
    let world = World::with(options).await;
    let began = Instant::now();
    let mut reply = world.create("a@example.com").await.unwrap();
    let mut parts = Vec::new();
    while let Some(part) = reply.chunk().await.unwrap() {
        parts.push(part);
    }
    assert!(parts.len() > 1 && began.elapsed() >= Duration::from_millis(200), "{} parts", parts.len());
    let lead: Value = serde_json::from_slice(&parts.concat()).unwrap();
    assert_eq!(lead["email"], "a@example.com");
}

#[tokio::test]
async fn logins_and_whole_services_can_fail_too() {
    let sandbox = Sandbox::start(SandboxOptions {
        faults: "token:503=#1,session:500=#1,live_data:502=#2".parse().unwrap(),
        ..SandboxOptions::default()
    })
    .await
    .unwrap();
    let client = client();
    assert_eq!(token(&client, &sandbox, "sandbox-secret").await.status(), 503);
    assert_eq!(token(&client, &sandbox, "sandbox-secret").await.status(), 200);
    let statuses = [
        session(&client, &sandbox, "sandbox-secret").await.status().as_u16(),
        session(&client, &sandbox, "sandbox-secret").await.status().as_u16(),
        session(&client, &sandbox, "sandbox-secret").await.status().as_u16(),
    ];
    assert_eq!(statuses, [500, 502, 200]);
}

#[tokio::test]
async fn the_same_seed_hits_the_same_leads_at_any_concurrency() {
    let faults = "create:500=20%,create:503-after=20%";
    let mut runs = Vec::new();
    for (seed, at_once) in [(7, 1), (7, 50), (8, 50)] {
        let mut options = rate(10_000, Duration::from_secs(1));
        (options.seed, options.faults) = (seed, faults.parse().unwrap());
        let world = World::with(options).await;
        let mut hit: Vec<(u16, String)> = Vec::new();
        let emails: Vec<String> = (0..100).map(|n| format!("lead{n}@example.com")).collect();
        for group in emails.chunks(at_once) {
            let replies = futures_util::future::join_all(group.iter().map(|email| world.create(email))).await;
            hit.extend(
                group.iter().zip(replies).map(|(email, reply)| (reply.unwrap().status().as_u16(), email.clone())),
            );
        }
        let created: usize = emails.iter().map(|email| world.creates(email) as usize).sum();
        assert_eq!(created, hit.iter().filter(|(status, _)| *status != 500).count());
        runs.push(hit);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[1], runs[2]);
}
