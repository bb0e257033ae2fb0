//! Ledger and control.

use std::path::Path;

use leadsync::sandbox::{EffectKind, Sandbox, SandboxOptions};
use reqwest::Method;
use serde_json::json;

use crate::bench::*;

#[tokio::test]
async fn the_ledger_file_is_written_before_the_reply_and_outlives_the_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ledger.jsonl");
    let options = || SandboxOptions {
        ledger_file: Some(file.clone()),
        faults: "create:reset-after=b@example.com#1".parse().unwrap(),
        ..SandboxOptions::default()
    };
    let lines = |file: &Path| std::fs::read_to_string(file).unwrap().lines().count();

    let world = World::with(options()).await;
    world.create("a@example.com").await.unwrap();
    assert_eq!(lines(&file), 1);
    world.create("b@example.com").await.unwrap_err();
    assert_eq!(lines(&file), 2);
    let before = world.sandbox.ledger().leads();
    world.sandbox.stop().await;

    let world = World::with(options()).await;
    assert_eq!(world.sandbox.ledger().leads(), before);
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 409);
    assert_eq!(world.leads(Method::PUT, &lead("b@example.com")).send().await.unwrap().status(), 200);
    let kinds: Vec<_> = world.sandbox.ledger().effects().into_iter().map(|effect| effect.effect).collect();
    use EffectKind::{Created, Repeated, Updated};
    assert_eq!(kinds, [Created, Created, Repeated, Updated]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "people's data: owner only");
    }
}

#[tokio::test]
async fn the_sandbox_can_be_looked_into_and_changed_while_it_runs() {
    let world = World::with(SandboxOptions::default()).await;
    world.create("a@example.com").await.unwrap();

    let (status, plan) = world.admin(Method::POST, "/faults", "create:500=100%").await;
    assert_eq!((status, &plan["faults"]), (200, &json!("create:500=100%")));
    assert_eq!(world.create("b@example.com").await.unwrap().status(), 500);
    let (status, error) = world.admin(Method::POST, "/faults", r#"{"faults": "craete:500=1%", "seed": 9}"#).await;
    assert_eq!(status, 400);
    assert!(error["message"].as_str().unwrap().contains("did you mean `create`?"));
    assert_eq!(world.admin(Method::POST, "/faults", r#"{"faults": "", "seed": 9}"#).await.1["seed"], 9);

    let (_, ledger) = world.admin(Method::GET, "/ledger", "").await;
    assert_eq!(ledger["totals"]["created"], 1);
    assert_eq!(ledger["totals"]["faults"], json!({"create:500": 1}));
    assert_eq!(ledger["leads"][0]["email"], "a@example.com");
    assert_eq!(world.admin(Method::GET, "/ledger?email=A%40example.com", "").await.1["leads"][0]["creates"], 1);
    let (_, requests) = world.admin(Method::GET, "/requests", "").await;
    let seen: Vec<_> =
        requests.as_array().unwrap().iter().map(|request| (&request["path"], &request["status"])).collect();
    assert_eq!(seen[2..], [(&json!("/leads"), &json!(201)), (&json!("/leads"), &json!(500))]);
    assert_eq!(requests[2]["account"], "sandbox-client");

    assert_eq!(world.admin(Method::POST, "/reset", "").await.0, 200);
    assert_eq!(world.admin(Method::GET, "/ledger", "").await.1["leads"], json!([]));
    assert_eq!(world.create("a@example.com").await.unwrap().status(), 201, "forgotten; the token is still good");
    assert_eq!(world.admin(Method::GET, "/nothing", "").await.0, 404);
}

#[tokio::test]
async fn unknown_paths_wrong_methods_and_huge_bodies_are_refused() {
    let options = SandboxOptions { body_limit: 1000, ..SandboxOptions::default() };
    let world = World::with(options).await;
    assert_eq!(world.api(Method::GET, "/people").send().await.unwrap().status(), 404);
    assert_eq!(world.api(Method::DELETE, "/leads").send().await.unwrap().status(), 405);
    let huge = world.api(Method::POST, "/leads").body("x".repeat(1001)).send().await.unwrap();
    assert_eq!(huge.status(), 413);
}

#[tokio::test]
async fn an_address_that_is_not_loopback_is_refused() {
    let options = SandboxOptions { listen: "0.0.0.0:0".parse().unwrap(), ..SandboxOptions::default() };
    let error = Sandbox::start(options).await.unwrap_err();
    assert!(error.to_string().contains("loopback only"), "{error}");
}

#[tokio::test]
async fn a_stopped_sandbox_refuses_connections() {
    let world = World::with_faults("create:hang=100%").await;
    let (url, client) = (world.sandbox.base_url(), world.client.clone());
    let hanging = tokio::spawn(world.leads(Method::POST, &lead("a@example.com")).send());
    until(|| !world.sandbox.totals().faults.is_empty()).await;
    world.sandbox.stop().await;
    assert!(hanging.await.unwrap().is_err(), "cut after a moment of grace");
    assert!(client.get(url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn the_printed_configuration_is_toml_that_points_here() {
    let world = World::with(Sandbox::demo_options()).await;
    let config: toml::Table = world.sandbox.config_toml().parse().unwrap();
    let destination = &config["destinations"]["7targets"];
    assert_eq!(destination["api_url"].as_str(), Some(world.sandbox.base_url().as_str()));
    assert_eq!(destination["assistant_email"].as_str(), Some(ASSISTANT));
    assert_eq!(destination["rate"].as_str(), Some("20/s"));
    assert_eq!(config["enrich"]["organization"].as_str(), Some("o_sandbox"));
}

#[tokio::test]
async fn destinations_that_are_printed_as_comments_are_toml_that_points_here_too() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let printed = sandbox.config_toml();
    let (head, rest) = printed.split_once("\n# [").unwrap();
    assert_eq!(head.parse::<toml::Table>().unwrap()["destinations"].as_table().unwrap().len(), 1);
    let uncommented: String =
        format!("# [{rest}").lines().map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
    let config: toml::Table = uncommented.parse().unwrap();
    let destinations = config["destinations"].as_table().unwrap();
    let urls = [
        ("bank", "lead_bank", "base_url", sandbox.lead_bank_url()),
        ("calls", "lead_desk", "base_url", sandbox.lead_desk_original_url()),
        ("crm", "lead_connector", "base_url", sandbox.lead_connector_url()),
        ("plain", "http", "url", format!("{}/v1/contacts", sandbox.plain_crm_url())),
    ];
    assert_eq!(destinations.keys().collect::<Vec<_>>(), ["bank", "calls", "crm", "plain"]);
    for (name, kind, key, url) in urls {
        let section = &destinations[name];
        assert_eq!((section["kind"].as_str(), section[key].as_str()), (Some(kind), Some(url.as_str())), "{name}");
        assert!(section["rate"].is_str(), "{name}");
    }
    assert_eq!(destinations["plain"]["auth"]["style"].as_str(), Some("header"));
    let body = destinations["plain"]["body"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["email"], "{{ lead.email }}");
}

#[tokio::test]
async fn one_ledger_tells_the_services_apart() {
    let world = World::with(SandboxOptions::default()).await;
    world.create("ann@example.com").await.unwrap();
    let contact = json!({"email": "Ann@example.com"}).to_string();
    let url = format!("{}/v1/contacts", world.sandbox.plain_crm_url());
    let request = world.client.post(url).header("x-api-key", "sandbox-key").header("content-type", "application/json");
    assert_eq!(request.body(contact).send().await.unwrap().status(), 201);

    let (_, ledger) = world.admin(Method::GET, "/ledger?email=ann%40example.com", "").await;
    let entries: Vec<_> =
        ledger["leads"].as_array().unwrap().iter().map(|lead| (&lead["api"], &lead["creates"])).collect();
    let one = json!(1);
    assert_eq!(entries, [(&json!("seven_targets"), &one), (&json!("plain_crm"), &one)]);
    assert_eq!(ledger["totals"]["created_at"], json!({"plain_crm": 1, "seven_targets": 1}));
    assert_eq!(world.creates("ann@example.com"), 1);

    let summary = world.sandbox.totals().to_string();
    assert!(summary.contains("plain CRM      1 leads created") && !summary.contains("LeadDesk"), "{summary}");
    let unknown = world.client.get(format!("{}/crm/v2", world.sandbox.base_url())).send().await.unwrap();
    assert_eq!(unknown.status(), 404);
}
