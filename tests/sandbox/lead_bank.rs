//! Lead, the bank: tokens and scopes, the allowlist, entities that are created once.

use std::time::Duration;

use leadsync::http::message::Rate;
use leadsync::sandbox::{EffectKind, LEAD_BANK, Running, Sandbox, SandboxOptions};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::bench::{client, header, json_of, until};

const NUMBER: &str = "078-05-1120";

struct Bank {
    sandbox: Running,
    client: Client,
    token: String,
}

impl Bank {
    async fn with(change: impl FnOnce(&mut SandboxOptions)) -> Self {
        let mut options = SandboxOptions::default();
        change(&mut options);
        let (sandbox, client) = (Sandbox::start(options).await.unwrap(), client());
        let mut bank = Self { sandbox, client, token: String::new() };
        bank.token = bank.granted(&json!({})).await["access_token"].as_str().unwrap_or_default().to_owned();
        bank
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.sandbox.lead_bank_url()));
        request.header("content-type", "application/json").body(body.to_string())
    }

    /// A token for the default client, with these fields changed.
    async fn granted(&self, more: &Value) -> Value {
        json_of(self.ask(more).send().await.unwrap()).await
    }

    fn ask(&self, more: &Value) -> RequestBuilder {
        let mut body = json!({"grant_type": "client_credentials", "client_id": "sandbox-client",
                              "client_secret": "sandbox-secret", "scope": "entity/read_write event/read"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post("/v1/oauth/token", &body)
    }

    fn create(&self, key: &str, body: &Value) -> RequestBuilder {
        self.post("/v0/entities", body).bearer_auth(&self.token).header("idempotency-key", key)
    }

    async fn created(&self, key: &str, body: &Value) -> (u16, Value) {
        status_and_json(self.create(key, body).send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.sandbox.lead_bank_url()));
        status_and_json(request.bearer_auth(&self.token).send().await.unwrap()).await
    }

    fn creates(&self, who: &str) -> u64 {
        self.sandbox.ledger().lead_of(LEAD_BANK, who).map_or(0, |lead| lead.creates)
    }

    fn effects(&self) -> Vec<EffectKind> {
        self.sandbox.ledger().effects().into_iter().map(|effect| effect.effect).collect()
    }
}

async fn status_and_json(reply: Response) -> (u16, Value) {
    (reply.status().as_u16(), json_of(reply).await)
}

fn ann(customer: &str) -> Value {
    json!({
        "type": "individual", "client_customer_id": customer,
        "individual_details": {
            "first_name": "Ann", "last_name": "Bee",
            "contact_methods": [{"type": "email", "email": "Ann@example.com"},
                                {"type": "phone_number", "phone_number": "+1 303 555 0100"}],
            "identification_details": {"type": "us_entity", "tax_identification": {"type": "ssn", "value": NUMBER}},
        },
    })
}

#[tokio::test]
async fn a_token_is_asked_for_in_json_and_may_grant_less() {
    let bank = Bank::with(|options| options.lead_bank.scope = "entity/read event/read".to_owned()).await;
    let token = bank.granted(&json!({})).await;
    assert_eq!(
        (&token["scope"], &token["token_type"], &token["expires_in"]),
        (&json!("event/read"), &json!("Bearer"), &json!(3600))
    );
    let (status, body) = bank.created("k", &ann("lead-1")).await;
    assert_eq!((status, &body["code"]), (403, &json!("operation_not_allowed")));
    assert_eq!(bank.get("/v1/event?limit=1").await.0, 200);

    for (more, status, detail) in [
        (json!({"grant_type": "password"}), 400, "Invalid grant type."),
        (json!({"scope": "entities"}), 400, "Invalid scope."),
        (json!({"client_secret": "wrong"}), 401, "Invalid client credentials."),
    ] {
        let (found, body) = status_and_json(bank.ask(&more).send().await.unwrap()).await;
        assert_eq!((found, &body["detail"], &body["status"]), (status, &json!(detail), &json!(status)));
    }
    let url = format!("{}/v1/oauth/token", bank.sandbox.lead_bank_url());
    let form = [("grant_type", "client_credentials"), ("client_id", "sandbox-client")];
    let (status, body) = status_and_json(bank.client.post(url).form(&form).send().await.unwrap()).await;
    assert_eq!((status, &body["code"]), (400, &json!("parameters_invalid")));
}

#[tokio::test]
async fn an_entity_is_created_once_a_key_and_found_by_both_ids() {
    let bank = Bank::with(|_| {}).await;
    let (status, first) = bank.created("key-1", &ann("lead-1")).await;
    assert_eq!((status, &first["client_customer_id"]), (200, &json!("lead-1")));
    let id = first["id"].as_str().unwrap();
    assert!(id.starts_with("entity_"));
    assert_eq!(bank.created("key-1", &ann("lead-1")).await, (200, first.clone()), "the first answer again");
    let (status, body) = bank.created("key-1", &ann("lead-2")).await;
    assert_eq!((status, &body["code"]), (422, &json!("idempotency_error")));
    let (status, body) = bank.created("key-2", &ann("lead-1")).await;
    assert_eq!((status, &body["code"]), (409, &json!("already_exists")));

    assert_eq!(bank.get("/v0/entities?client_customer_id=lead-1").await, (200, first.clone()));
    assert_eq!(bank.get(&format!("/v0/entities/{id}")).await, (200, first.clone()));
    for (path, status) in [
        ("/v0/entities?client_customer_id=lead-2", 404),
        ("/v0/entities/entity_1", 404),
        ("/v0/entities", 400),
        ("/v1/event?limit=101", 400),
    ] {
        assert_eq!(bank.get(path).await.0, status, "{path}");
    }
    let kept = bank.sandbox.ledger().lead_of(LEAD_BANK, "lead-1").unwrap();
    assert_eq!((kept.creates, kept.repeated_creates, kept.replays, kept.remote_id.as_str()), (1, 1, 1, id));
    assert_eq!(kept.email, "ann@example.com");
    use EffectKind::{Created, Repeated, Replayed};
    assert_eq!(bank.effects(), [Created, Replayed, Repeated]);
    bank.created("key-3", &ann("lead-3")).await;
    let (_, events) = bank.get("/v1/event?limit=1").await;
    assert_eq!((events["objects"].as_array().unwrap().len(), &events["has_more"]), (1, &json!(true)));
}

#[tokio::test]
async fn the_tax_number_is_nowhere_to_be_seen() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ledger.jsonl");
    let start = || Bank::with(|options| options.ledger_file = Some(file.clone()));
    let bank = start().await;
    let mut body = ann("lead-1");
    body["metadata"] = json!({"ssn": "078 05 1120"});
    let (_, first) = bank.created("key-1", &body).await;
    bank.created("key-1", &body).await;
    bank.created("key-2", &body).await;
    let admin = |path: &str| bank.client.get(format!("{}/_sandbox{path}", bank.sandbox.base_url())).send();
    let mut seen = vec![first.to_string(), std::fs::read_to_string(&file).unwrap()];
    for path in ["/ledger", "/effects", "/requests"] {
        seen.push(admin(path).await.unwrap().text().await.unwrap());
    }
    for text in &seen {
        assert!(!text.contains(NUMBER) && !text.contains("078 05") && !text.contains("078051120"), "{text}");
    }
    let kept = bank.sandbox.ledger().lead_of(LEAD_BANK, "lead-1").unwrap().body;
    let details = &kept["individual_details"]["identification_details"];
    assert_eq!(details["tax_identification"], json!({"type": "ssn", "value": "***1120"}));
    bank.sandbox.stop().await;

    let bank = start().await;
    assert_eq!(bank.get("/v0/entities?client_customer_id=lead-1").await, (200, first));
    assert_eq!(bank.created("key-1", &body).await.0, 409, "keys are forgotten, customer ids are not");
}

#[tokio::test]
async fn what_an_entity_lacks_is_listed_without_its_values() {
    let bank = Bank::with(|_| {}).await;
    let change = |pointer: &str, value: Value| {
        let mut body = ann("lead-1");
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let tax = "/individual_details/identification_details/tax_identification/value";
    let cases = [
        (change("/type", json!("person")), vec!["type"]),
        (change("/client_customer_id", json!("x".repeat(65))), vec!["client_customer_id"]),
        (change("/individual_details/first_name", json!("A")), vec!["individual_details.first_name"]),
        (
            change("/individual_details/identification_details", Value::Null),
            vec!["individual_details.identification_details.type"],
        ),
        (change(tax, json!("07805")), vec!["individual_details.identification_details.tax_identification.value"]),
        (
            change("/individual_details/contact_methods/0/email", json!("ann@[127.0.0.1]")),
            vec!["individual_details.contact_methods[0].email"],
        ),
        (
            change("/individual_details/contact_methods/1/phone_number", json!("303-555-0100")),
            vec!["individual_details.contact_methods[1].phone_number"],
        ),
        (
            json!({"type": "business", "business_details": {"name": "Firm"}}),
            vec!["business_details.identification_details.type", "business_details.address_details"],
        ),
    ];
    for (body, parameters) in cases {
        let (status, reply) = bank.created("key", &body).await;
        assert_eq!((status, &reply["code"]), (422, &json!("validation_failed")));
        let listed: Vec<_> =
            reply["invalid_parameters"].as_array().unwrap().iter().map(|it| it["parameter"].clone()).collect();
        assert_eq!(listed, parameters);
        assert!(!reply.to_string().contains("07805"));
    }
    let without = bank.post("/v0/entities", &ann("lead-1")).bearer_auth(&bank.token).send().await.unwrap();
    let (status, reply) = status_and_json(without).await;
    assert_eq!((status, &reply["code"]), (400, &json!("idempotency_error")));
    assert_eq!(bank.created(&"k".repeat(256), &ann("lead-1")).await.0, 400);
    assert_eq!(bank.sandbox.totals().created, 0);
    assert_eq!(bank.created("key", &ann("lead-1")).await.0, 200, "a refusal does not use the key up");
}

#[tokio::test]
async fn a_caller_outside_the_allowed_subnets_is_told_so() {
    let bank = Bank::with(|options| options.faults = "bank_create:403=#2".parse().unwrap()).await;
    let refused = json!([{"parameter": "source_ip", "reason": "source IP not allowed for program"}]);
    assert!(bank.sandbox.set_switch("source_ip_allowed", false));
    let (status, body) = bank.get("/v1/event?limit=1").await;
    assert_eq!((status, &body["code"], &body["invalid_parameters"]), (403, &json!("source_ip_not_allowed"), &refused));
    assert_eq!(bank.created("key", &ann("lead-1")).await.0, 403);
    assert_eq!(bank.ask(&json!({})).send().await.unwrap().status(), 200, "a token is had all the same");
    assert!(bank.sandbox.set_switch("source_ip_allowed", true));
    assert_eq!(bank.created("key", &ann("lead-1")).await.0, 200);
    let (status, body) = bank.created("key-2", &ann("lead-2")).await;
    assert_eq!((status, &body["code"], &body["invalid_parameters"]), (403, &json!("source_ip_not_allowed"), &refused));

    let strict = Bank::with(|options| {
        (options.lead_bank.source_ip_allowed, options.lead_bank.token_needs_source_ip) = (false, true);
    })
    .await;
    assert_eq!(strict.ask(&json!({})).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_key_whose_request_is_at_work_is_a_conflict_until_it_is_done() {
    let bank = Bank::with(|options| {
        options.faults = "bank_create:late=#1".parse().unwrap();
        options.timing.hang = Duration::from_secs(1);
    })
    .await;
    let late = tokio::spawn(bank.create("key", &ann("lead-1")).send());
    until(|| !bank.sandbox.totals().faults.is_empty()).await;
    late.abort();
    let (status, body) = bank.created("key", &ann("lead-1")).await;
    assert_eq!((status, &body["code"], bank.creates("lead-1")), (409, &json!("idempotency_error"), 0));
    assert_eq!(bank.get("/v0/entities?client_customer_id=lead-1").await.0, 404);
    until(|| bank.creates("lead-1") == 1).await;
    assert_eq!(bank.created("key", &ann("lead-1")).await.0, 200);
    assert_eq!(bank.effects(), [EffectKind::Created, EffectKind::Replayed]);
}

#[tokio::test]
async fn creates_under_one_key_at_the_same_moment_make_one_entity() {
    let bank = Bank::with(|_| {}).await;
    let body = ann("lead-1");
    let all = futures_util::future::join_all((0..20).map(|_| bank.created("key", &body))).await;
    assert!(all.iter().all(|answer| *answer == all[0] && answer.0 == 200), "all get the same answer");
    assert_eq!(bank.creates("lead-1"), 1);
}

#[tokio::test]
async fn a_create_whose_reply_is_lost_is_answered_when_it_is_repeated() {
    let bank = Bank::with(|options| {
        options.faults =
            "bank_create:reset-after=ann@example.com#1,bank_create:no-id=#2,bank_create:other-lead=#3,bank_token:503=#2"
                .parse()
                .unwrap();
    })
    .await;
    bank.create("key", &ann("lead-1")).send().await.unwrap_err();
    assert_eq!(bank.creates("lead-1"), 1);
    let (status, without) = bank.created("key", &ann("lead-1")).await;
    assert_eq!((status, &without["id"], &without["client_customer_id"]), (200, &Value::Null, &json!("lead-1")));
    assert_eq!(bank.created("key", &ann("lead-1")).await.1["client_customer_id"], "nobody");
    assert!(bank.created("key", &ann("lead-1")).await.1["id"].is_string());
    assert_eq!(bank.creates("lead-1"), 1);
    let (status, body) = status_and_json(bank.ask(&json!({})).send().await.unwrap()).await;
    assert_eq!((status, &body["code"]), (503, &json!("service_unavailable")));
}

#[tokio::test]
async fn above_the_limit_is_429() {
    let bank =
        Bank::with(|options| options.lead_bank.rate = Some(Rate { count: 1, per: Duration::from_secs(60) })).await;
    assert_eq!(bank.created("key-1", &ann("lead-1")).await.0, 200);
    let refused = bank.create("key-2", &ann("lead-2")).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, Some("60")));
    assert_eq!(bank.creates("lead-2"), 0);
}
