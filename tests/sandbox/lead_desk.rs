//! LeadDesk: both APIs, over the same contacts.

use std::time::Duration;

use leadsync::http::message::Rate;
use leadsync::sandbox::{LEAD_DESK, Running, Sandbox, SandboxOptions};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::bench::{client, header, json_of};

const KEY: &str = "sandboxkeysandboxkeysandboxkey00";
const PHONE: &str = "+358401234567";

/// Names and values.
type Arguments<'a> = &'a [(&'a str, &'a str)];

struct Desk {
    sandbox: Running,
    client: Client,
}

impl Desk {
    async fn with(change: impl FnOnce(&mut SandboxOptions)) -> Self {
        let mut options = SandboxOptions::default();
        change(&mut options);
        Self { sandbox: Sandbox::start(options).await.unwrap(), client: client() }
    }

    /// A call of the Original API by form, with the key.
    fn call(&self, module: &str, command: &str, more: &[(&str, &str)]) -> RequestBuilder {
        let form = [&[("auth", KEY), ("mod", module), ("cmd", command)], more].concat();
        self.client.post(self.sandbox.lead_desk_original_url()).form(&form)
    }

    async fn original(&self, module: &str, command: &str, more: &[(&str, &str)]) -> (u16, Value) {
        let reply = self.call(module, command, more).send().await.unwrap();
        (reply.status().as_u16(), json_of(reply).await)
    }

    async fn add(&self) -> reqwest::Result<Response> {
        let ann = [("phone", PHONE), ("list", "Sandbox leads"), ("fname", "Ann"), ("email", "Ann@Example.com")];
        self.call("contact", "add", &ann).send().await
    }

    async fn found(&self) -> Value {
        let (status, found) = self.original("contact", "find", &[("phone", PHONE), ("contact_list_id", "102")]).await;
        assert_eq!((status, &found["success"]), (200, &json!(true)));
        found["contact_ids"].clone()
    }

    fn rest(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.sandbox.lead_desk_rest_url()));
        request.bearer_auth("sandbox-access").header("content-type", "application/json")
    }

    fn token(&self, more: &[(&str, &str)]) -> RequestBuilder {
        let form = [&[("client_id", "sandbox-client"), ("client_secret", "sandbox-secret")], more].concat();
        self.client.post(format!("{}/oauth/access-token", self.sandbox.lead_desk_rest_url())).form(&form)
    }

    async fn granted(&self, more: &[(&str, &str)]) -> (u16, Value) {
        let reply = self.token(more).send().await.unwrap();
        (reply.status().as_u16(), json_of(reply).await)
    }

    /// How many contacts an address has.
    fn creates(&self) -> u64 {
        self.sandbox.ledger().lead_of(LEAD_DESK, "ann@example.com").map_or(0, |lead| lead.creates)
    }
}

// ---- Original API ---------------------------------------------------------------------------------------------------

#[tokio::test]
async fn every_add_makes_another_contact_and_the_ledger_shows_it() {
    let desk = Desk::with(|_| {}).await;
    let first = json_of(desk.add().await.unwrap()).await;
    assert_eq!(first["success"], true);
    assert_eq!(desk.found().await, json!([first["contact_id"]]));
    let second = json_of(desk.add().await.unwrap()).await;
    assert_ne!(second["contact_id"], first["contact_id"]);
    assert_eq!(desk.found().await, json!([first["contact_id"], second["contact_id"]]));
    let kept = desk.sandbox.ledger().lead_of(LEAD_DESK, "102:358401234567").unwrap();
    assert_eq!((kept.creates, kept.email.as_str()), (2, "ann@example.com"));
    assert_eq!(kept.body, json!({"phone": PHONE, "fname": "Ann", "email": "Ann@Example.com"}));
    assert_eq!(desk.sandbox.totals().created_at["lead_desk"], 2);
}

#[tokio::test]
async fn a_contact_is_found_on_its_list_by_number_however_it_is_written() {
    let desk = Desk::with(|_| {}).await;
    let id = json_of(desk.add().await.unwrap()).await["contact_id"].clone();
    let exists = async |list: &str, phone: &str, name: &str| {
        let more = [("contact_list_id", list), ("phone", phone), ("fname", name)];
        desk.original("contact", "exists", &more).await.1["match"].clone()
    };
    assert_eq!(exists("102", "358 40 1234567", "").await, true);
    assert_eq!(exists("102", PHONE, "ann").await, true);
    assert_eq!(exists("102", PHONE, "Bea").await, false);
    assert_eq!(exists("101", PHONE, "").await, false, "another list");
    let number = id.to_string();
    let (status, got) = desk.original("contact", "get", &[("contact_id", &number)]).await;
    assert_eq!((status, &got["id"], &got["phone_numbers"]), (200, &id, &json!([PHONE])));
    let (_, lists) = desk.original("calling_list", "list", &[]).await;
    assert_eq!(lists, json!([{"id": 101, "name": "Old leads"}, {"id": 102, "name": "Sandbox leads"}]));
}

#[tokio::test]
async fn parameters_may_stand_in_the_address_and_a_list_may_be_a_number() {
    let desk = Desk::with(|_| {}).await;
    let url = desk.sandbox.lead_desk_original_url();
    let url = format!("{url}?auth={KEY}&mod=contact&cmd=add&phone=%2B358401234567&list=102&other35=x&other36=y&ssc=1");
    assert_eq!(json_of(desk.client.get(url).send().await.unwrap()).await["success"], true);
    let kept = desk.sandbox.ledger().lead_of(LEAD_DESK, "102:358401234567").unwrap();
    assert_eq!(kept.body, json!({"phone": PHONE, "other35": "x"}), "what it does not know it does not keep");
    assert_eq!(desk.found().await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn errors_are_short_texts() {
    let desk = Desk::with(|_| {}).await;
    let cases: [(&str, &str, Arguments, &str); 9] = [
        ("contact", "add", &[("list", "102")], "ERR_ARGUMENT_MISSING:phone"),
        ("contact", "add", &[("phone", PHONE)], "ERR_ARGUMENT_MISSING:list"),
        ("contact", "add", &[("phone", PHONE), ("list", "Nobody's")], "ERR_NOT_FOUND:list"),
        ("contact", "add", &[("phone", "none"), ("list", "102")], "ERR_ARGUMENT_INVALID:phone"),
        ("contact", "get", &[("contact_id", "1")], "ERR_NOT_FOUND:contact"),
        ("contact", "exists", &[("phone", PHONE), ("contact_list_id", "x")], "ERR_ARGUMENT_INVALID:contact_list_id"),
        ("contact", "find", &[], "ERR_ARGUMENT_MISSING:phone"),
        ("contact", "vanish", &[], "ERR_INVALID_COMMAND"),
        ("contacts", "add", &[], "ERR_INVALID_MODULE"),
    ];
    for (module, command, more, error) in cases {
        let reply = desk.call(module, command, more).send().await.unwrap();
        assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (400, error));
    }
    let form = [("auth", "wrong"), ("mod", "calling_list"), ("cmd", "list")];
    let reply = desk.client.post(desk.sandbox.lead_desk_original_url()).form(&form).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (400, "ERR_AUTHENTICATION"));
    assert_eq!(desk.sandbox.totals().created, 0);
}

#[tokio::test]
async fn an_add_whose_reply_is_spoilt_made_its_contact() {
    let desk = Desk::with(|options| {
        options.faults = "ld_add:reset-after=ann@example.com#1,ld_add:500=ann@example.com#2,ld_add:error-body=#3,\
                          ld_add:other-lead-after=#4,ld_find:500=ann@example.com#1,ld_find:no-id=ann@example.com#2"
            .parse()
            .unwrap();
    })
    .await;
    desk.add().await.unwrap_err();
    assert_eq!(desk.creates(), 1);
    let reply = desk.add().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (500, "ERR_UNDEFINED"));
    assert_eq!(json_of(desk.add().await.unwrap()).await["success"], false);
    assert_eq!(desk.creates(), 1);
    let other = json_of(desk.add().await.unwrap()).await;
    assert_eq!((other["contact_id"].as_u64(), desk.creates()), (Some(99_000_001), 2));
    // A look-up names the number alone; the plan knows whose it is.
    let find = [("phone", PHONE), ("contact_list_id", "102")];
    assert_eq!(desk.call("contact", "find", &find).send().await.unwrap().status(), 500);
    let (status, found) = desk.original("contact", "find", &find).await;
    assert_eq!((status, &found["contact_ids"], &found["total_count"]), (200, &Value::Null, &json!(2)));
    assert_eq!(desk.found().await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn both_apis_have_limits() {
    let desk = Desk::with(|options| {
        options.lead_desk.rate = Some(Rate { count: 1, per: Duration::from_secs(3600) });
    })
    .await;
    assert_eq!(desk.add().await.unwrap().status(), 200);
    let refused = desk.add().await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, Some("3600")));
    assert_eq!(desk.rest(Method::GET, "/campaigns").send().await.unwrap().status(), 200);
    assert_eq!(desk.rest(Method::GET, "/campaigns").send().await.unwrap().status(), 429);
    assert_eq!((desk.sandbox.totals().violations(), desk.creates()), (2, 1));
}

// ---- REST API -------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_token_is_had_by_account_or_password_in_a_form_or_in_json() {
    let desk = Desk::with(|_| {}).await;
    let (status, by_account) =
        desk.granted(&[("grant_type", "leaddesk_client_id"), ("leaddesk_client_id", "4711")]).await;
    assert_eq!((status, &by_account["expires_in"], &by_account["refresh_token"]), (200, &json!(3600), &Value::Null));
    let body = json!({"grant_type": "leaddesk_client_id", "client_id": "sandbox-client",
                      "client_secret": "sandbox-secret", "leaddesk_client_id": 4711});
    let url = format!("{}/oauth/access-token", desk.sandbox.lead_desk_rest_url());
    let reply = desk.client.post(url).header("content-type", "application/json").body(body.to_string());
    let by_json = json_of(reply.send().await.unwrap()).await;
    let password = [("grant_type", "password"), ("username", "sandbox-user"), ("password", "sandbox-password")];
    let (_, by_password) = desk.granted(&password).await;
    assert!(by_password["refresh_token"].is_string());
    for token in [by_account, by_json, by_password] {
        let campaigns = desk.client.get(format!("{}/campaigns?per_page=1", desk.sandbox.lead_desk_rest_url()));
        let reply = campaigns.bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(json_of(reply).await["_meta"]["count"], 1);
    }
    for (grant, status, error) in [
        (vec![("grant_type", "leaddesk_client_id"), ("leaddesk_client_id", "1")], 400, "invalid_grant"),
        (vec![("grant_type", "password"), ("username", "sandbox-user"), ("password", "x")], 400, "invalid_grant"),
        (vec![("grant_type", "client_credentials")], 400, "unsupported_grant_type"),
        (vec![], 400, "invalid_request"),
    ] {
        assert_eq!(desk.granted(&grant).await, (status, json!({"error": error})));
    }
    let stranger = [("client_id", "x"), ("client_secret", "x"), ("grant_type", "password")];
    let url = format!("{}/oauth/access-token", desk.sandbox.lead_desk_rest_url());
    assert_eq!(desk.client.post(url).form(&stranger).send().await.unwrap().status(), 401);
    let url = format!("{}/campaigns", desk.sandbox.lead_desk_rest_url());
    assert_eq!(desk.client.get(url).bearer_auth("x").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_also_if_the_reply_was_lost() {
    let desk = Desk::with(|options| options.faults = "ld_token:reset-after=#2".parse().unwrap()).await;
    let refresh = |token: String| {
        let grant = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        desk.token(&grant).send()
    };
    let first = json_of(refresh("sandbox-refresh".to_owned()).await.unwrap()).await;
    let next = first["refresh_token"].as_str().unwrap().to_owned();
    refresh(next.clone()).await.unwrap_err();
    assert_eq!(refresh(next).await.unwrap().status(), 400);
    let refreshes = desk.sandbox.totals().refreshes["lead_desk"];
    assert_eq!((refreshes.rotations, refreshes.replays), (2, 1));
}

#[tokio::test]
async fn contacts_of_the_rest_api_are_those_of_the_original() {
    let desk = Desk::with(|_| {}).await;
    let create = async |body: Value| {
        let reply = desk.rest(Method::POST, "/contacts").body(body.to_string()).send().await.unwrap();
        (reply.status().as_u16(), json_of(reply).await)
    };
    let ann = json!({"contact_list_id": 102, "phone": PHONE, "email": "ann@example.com", "fname": "Ann"});
    let (status, first) = create(ann.clone()).await;
    assert_eq!((status, &first["contact_list_id"], &first["fname"]), (201, &json!(102), &json!("Ann")));
    assert_eq!(create(ann).await.0, 201, "it refuses no duplicates either");
    assert_eq!((desk.creates(), desk.found().await.as_array().unwrap().len()), (2, 2));

    let page = async |query: &str| {
        let reply = desk.rest(Method::GET, &format!("/contacts?phone=%2B358401234567{query}")).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        json_of(reply).await
    };
    let both = page("&contact_list_id=102").await;
    assert_eq!((&both["_meta"]["count"], &both["collection"][0]["id"]), (&json!(2), &first["id"]));
    let second = page("&page=2&per_page=1").await;
    assert_eq!((&second["_meta"]["count"], second["collection"].as_array().unwrap().len()), (&json!(2), 1));
    assert_eq!(page("&contact_list_id=101").await["_meta"]["count"], 0);

    for (body, why) in [
        (json!({"contact_list_id": 102}), "phone is required"),
        (json!({"phone": PHONE}), "contact_list_id is required"),
        (json!({"phone": PHONE, "contact_list_id": 1}), "contact_list_id is not a list of this account"),
        (json!({"phone": PHONE, "contact_list_id": 102, "fname": 7}), "fname must be a string"),
    ] {
        assert_eq!(create(body).await, (422, json!({"message": why})));
    }
}

#[tokio::test]
async fn what_it_did_outlives_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ledger.jsonl");
    let start = || Desk::with(|options| options.ledger_file = Some(file.clone()));
    let desk = start().await;
    let id = json_of(desk.add().await.unwrap()).await["contact_id"].clone();
    desk.sandbox.stop().await;
    let desk = start().await;
    assert_eq!(desk.found().await, json!([id]));
    assert_eq!(json_of(desk.add().await.unwrap()).await["contact_id"].as_u64(), id.as_u64().map(|id| id + 1));
}
