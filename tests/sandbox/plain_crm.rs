//! The plain CRM: every way in, and creates with and without a key.

use std::time::Duration;

use leadsync::http::message::Rate;
use leadsync::sandbox::{Duplicate, EffectKind, PLAIN_CRM, Running, Sandbox, SandboxOptions};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::bench::{client, header, json_of, until};

struct Crm {
    sandbox: Running,
    client: Client,
}

impl Crm {
    async fn with(change: impl FnOnce(&mut SandboxOptions)) -> Self {
        let mut options = SandboxOptions::default();
        change(&mut options);
        Self { sandbox: Sandbox::start(options).await.unwrap(), client: client() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.plain_crm_url())
    }

    fn create(&self, body: &Value) -> RequestBuilder {
        let request = self.client.post(self.url("/v1/contacts")).header("x-api-key", "sandbox-key");
        request.header("content-type", "application/json").body(body.to_string())
    }

    async fn created(&self, key: &str, body: &Value) -> (u16, Value) {
        status_and_json(self.create(body).header("idempotency-key", key).send().await.unwrap()).await
    }

    fn token(&self) -> RequestBuilder {
        self.client.post(self.url("/oauth/token"))
    }

    fn refresh(&self, token: &str) -> RequestBuilder {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.token().basic_auth("sandbox-client", Some("sandbox-secret")).form(&form)
    }

    async fn found(&self, query: &str) -> (u16, Value) {
        let request = self.client.get(self.url(&format!("/v1/contacts{query}"))).header("x-api-key", "sandbox-key");
        status_and_json(request.send().await.unwrap()).await
    }

    fn creates(&self) -> u64 {
        self.sandbox.ledger().lead_of(PLAIN_CRM, "ann@example.com").map_or(0, |lead| lead.creates)
    }
}

async fn status_and_json(reply: Response) -> (u16, Value) {
    (reply.status().as_u16(), json_of(reply).await)
}

fn ann() -> Value {
    json!({"email": "Ann@Example.com", "first_name": "Ann", "tier": {"level": 1}})
}

#[tokio::test]
async fn a_contact_is_created_with_whatever_it_has_and_found_by_address() {
    let crm = Crm::with(|_| {}).await;
    let (status, first) = status_and_json(crm.create(&ann()).send().await.unwrap()).await;
    assert_eq!((status, &first["tier"], &first["email"]), (201, &ann()["tier"], &ann()["email"]));
    assert_eq!(crm.found("?email=ann%40example.com").await, (200, json!({"total": 1, "contacts": [first]})));
    assert_eq!(crm.found("?email=bea%40example.com").await, (200, json!({"total": 0, "contacts": []})));
    assert_eq!(crm.found("").await.0, 400);
    let kept = crm.sandbox.ledger().lead_of(PLAIN_CRM, "ann@example.com").unwrap();
    assert_eq!((kept.remote_id, kept.body), (first["id"].as_str().unwrap().to_owned(), ann()));
    for (body, status) in [(json!([]), 400), (json!({"first_name": "Ann"}), 422), (json!({"email": "ann"}), 422)] {
        assert_eq!(crm.create(&body).send().await.unwrap().status(), status, "{body}");
    }
}

#[tokio::test]
async fn an_address_that_is_there_is_refused_or_shown_or_made_again() {
    for (allow_duplicates, duplicate, status, creates) in [
        (false, Duplicate::Conflict, 409, 1),
        (false, Duplicate::ReturnExisting, 200, 1),
        (true, Duplicate::Conflict, 201, 2),
    ] {
        let crm = Crm::with(|options| {
            (options.plain_crm.allow_duplicates, options.plain_crm.duplicate) = (allow_duplicates, duplicate);
        })
        .await;
        let (_, first) = status_and_json(crm.create(&ann()).send().await.unwrap()).await;
        let (found, again) = status_and_json(crm.create(&ann()).send().await.unwrap()).await;
        assert_eq!((found, crm.creates()), (status, creates));
        match status {
            409 => {
                assert!(again["error"]["message"].as_str().unwrap().contains("already exists"));
                assert_eq!(again["error"]["contact_id"], first["id"]);
            }
            200 => assert_eq!(again, first),
            _ => assert_ne!(again["id"], first["id"]),
        }
    }
}

#[tokio::test]
async fn a_key_makes_a_repeat_harmless_and_can_not_be_used_for_another_body() {
    let crm = Crm::with(|options| options.plain_crm.allow_duplicates = true).await;
    let first = crm.created("key", &ann()).await;
    assert_eq!(first.0, 201);
    assert_eq!(crm.created("key", &ann()).await, first);
    let (status, body) = crm.created("key", &json!({"email": "ann@example.com"})).await;
    assert_eq!((status, &body["error"]["code"]), (422, &json!("idempotency_key_reused")));
    assert_eq!(crm.creates(), 1);
    let kinds: Vec<_> = crm.sandbox.ledger().effects().into_iter().map(|effect| effect.effect).collect();
    assert_eq!(kinds, [EffectKind::Created, EffectKind::Replayed]);
    assert_eq!(crm.sandbox.totals().replayed, 1);
    assert_eq!(crm.created("another", &ann()).await.0, 201);
    assert_eq!(crm.creates(), 2, "without its key it is another contact");
}

#[tokio::test]
async fn a_key_at_work_is_a_conflict_that_is_no_duplicate() {
    let crm = Crm::with(|options| {
        options.faults = "plain_create:late=#1".parse().unwrap();
        options.timing.hang = Duration::from_secs(1);
    })
    .await;
    let late = tokio::spawn(crm.create(&ann()).header("idempotency-key", "key").send());
    until(|| !crm.sandbox.totals().faults.is_empty()).await;
    late.abort();
    let (status, body) = crm.created("key", &ann()).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("idempotency_in_progress")));
    assert!(!body.to_string().contains("already exists"));
    until(|| crm.creates() == 1).await;
    assert_eq!((crm.created("key", &ann()).await.0, crm.creates()), (201, 1));
}

#[tokio::test]
async fn every_way_in_is_open_and_no_other() {
    let crm = Crm::with(|_| {}).await;
    let me = || crm.client.get(crm.url("/v1/me"));
    let json = |body: Value| crm.token().header("content-type", "application/json").body(body.to_string());
    let client = [("client_id", "sandbox-client"), ("client_secret", "sandbox-secret")];
    let password = [("grant_type", "password"), ("username", "sandbox-user"), ("password", "sandbox-password")];
    let basic = || crm.token().basic_auth("sandbox-client", Some("sandbox-secret"));
    let grant = ("grant_type", "client_credentials");
    for (asked, lasting) in [
        (basic().form(&[grant]), false),
        (crm.token().form(&[client[0], client[1], grant, ("scope", "contacts")]), false),
        (
            json(
                json!({"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret"}),
            ),
            false,
        ),
        (crm.token().form(&password), true),
        (json(json!({"grant_type": "password", "username": "sandbox-user", "password": "sandbox-password"})), true),
        (crm.refresh("sandbox-refresh"), true),
    ] {
        let (status, token) = status_and_json(asked.send().await.unwrap()).await;
        assert_eq!((status, &token["expires_in"], token["refresh_token"].is_string()), (200, &json!(3600), lasting));
        let bearer = token["access_token"].as_str().unwrap();
        assert_eq!(me().bearer_auth(bearer).send().await.unwrap().status(), 200);
    }
    let (_, by_key) = status_and_json(me().header("x-api-key", "sandbox-key").send().await.unwrap()).await;
    assert_eq!(by_key["account"], "api-key");
    let by_password = me().basic_auth("sandbox-user", Some("sandbox-password")).send().await.unwrap();
    assert_eq!(by_password.status(), 200);

    for refused in [
        me(),
        me().header("x-api-key", "wrong"),
        me().bearer_auth("wrong"),
        me().basic_auth("sandbox-user", Some("wrong")),
    ] {
        assert_eq!(refused.send().await.unwrap().status(), 401);
    }
    for (refused, status, error) in [
        (crm.token().form(&[grant]), 401, "invalid_client"),
        (crm.token().basic_auth("sandbox-client", Some("wrong")).form(&[grant]), 401, "invalid_client"),
        (basic().form(&[("grant_type", "implicit")]), 400, "unsupported_grant_type"),
        (basic().form(&[grant, ("scope", "everything")]), 400, "invalid_scope"),
        (crm.token().form(&[password[0], password[1], ("password", "wrong")]), 400, "invalid_grant"),
        (basic(), 400, "invalid_request"),
    ] {
        assert_eq!(status_and_json(refused.send().await.unwrap()).await, (status, json!({"error": error})));
    }
}

#[tokio::test]
async fn a_refresh_token_is_good_once_also_if_the_reply_was_lost() {
    let crm = Crm::with(|options| options.faults = "plain_token:hang-after=#2".parse().unwrap()).await;
    let first = json_of(crm.refresh("sandbox-refresh").send().await.unwrap()).await;
    let next = first["refresh_token"].as_str().unwrap();
    let lost = tokio::spawn(crm.refresh(next).send());
    until(|| crm.sandbox.totals().refreshes["plain_crm"].rotations == 2).await;
    lost.abort();
    let (status, replay) = status_and_json(crm.refresh(next).send().await.unwrap()).await;
    assert_eq!((status, replay), (400, json!({"error": "invalid_grant"})));
    assert_eq!(crm.sandbox.totals().refresh_replays(), 1);
}

#[tokio::test]
async fn what_it_did_outlives_it_and_its_limit_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ledger.jsonl");
    let start = || {
        Crm::with(|options| {
            options.ledger_file = Some(file.clone());
            options.plain_crm.rate = Some(Rate { count: 1, per: Duration::from_secs(60) });
        })
    };
    let crm = start().await;
    let (_, first) = status_and_json(crm.create(&ann()).send().await.unwrap()).await;
    let refused = crm.create(&ann()).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, Some("60")));
    crm.sandbox.stop().await;
    let crm = start().await;
    assert_eq!(crm.found("?email=ann%40example.com").await.1["contacts"], json!([first]));
}
