//! Every kind of fault, for every call of the services that are told of by e-mail, number or key.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use leadsync::sandbox::{LEAD_CONNECTOR, Operation, Running, Sandbox, SandboxOptions};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::bench::{builder, header, io_kind, json_of};

/// What a request changed: contacts made and refresh tokens spent.
fn effects(sandbox: &Running) -> u64 {
    let totals = sandbox.totals();
    totals.created + totals.refreshes.values().map(|refresh| refresh.rotations).sum::<u64>()
}

/// A sandbox where every call would succeed.
struct Ready {
    sandbox: Running,
    client: Client,
    agency: String,
    bank: String,
    contact: String,
}

impl Ready {
    async fn with(client: Client) -> Self {
        let mut options = SandboxOptions::default();
        (options.timing.hang, options.timing.drip) = (Duration::from_millis(20), Duration::from_millis(40));
        let sandbox = Sandbox::start(options).await.unwrap();
        let mut ready = Self { sandbox, client, agency: String::new(), bank: String::new(), contact: String::new() };
        let text = async |request: RequestBuilder, pointer: &str| {
            let body = json_of(request.send().await.unwrap()).await;
            body.pointer(pointer).and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
        };
        let agency = ready.lc_refresh("sandbox-agency-refresh");
        ready.agency = text(agency, "/accessToken").await;
        ready.bank = text(ready.request("bank_token").0, "/access_token").await;
        ready.contact = text(ready.upsert("known@example.com"), "/contact/id").await;
        assert!(ready.sandbox.ledger().lead_of(LEAD_CONNECTOR, "known@example.com").is_some());
        for (operation, key) in [("ld_add", "known"), ("bank_create", "known")] {
            assert!(ready.about(operation, key).0.send().await.unwrap().status().is_success());
        }
        ready
    }

    fn call(&self, method: Method, base: &str, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{base}{path}"))
    }

    fn json(&self, base: &str, path: &str, body: &Value) -> RequestBuilder {
        self.call(Method::POST, base, path).header("content-type", "application/json").body(body.to_string())
    }

    fn lc(&self, method: Method, path: &str) -> RequestBuilder {
        self.call(method, &self.sandbox.lead_connector_url(), path).header("version", "v3")
    }

    fn lc_refresh(&self, token: &str) -> RequestBuilder {
        self.lc(Method::POST, "/oauth/token").form(&[
            ("clientId", "sandbox-client"),
            ("clientSecret", "sandbox-secret"),
            ("grantType", "refresh_token"),
            ("refreshToken", token),
        ])
    }

    fn upsert(&self, email: &str) -> RequestBuilder {
        let body = json!({"locationId": "sandbox_location", "email": email});
        self.json(&self.sandbox.lead_connector_url(), "/contacts/upsert", &body)
            .header("version", "v3")
            .bearer_auth("pit-sandbox")
    }

    fn ld(&self, module: &str, command: &str, more: &[(&str, &str)]) -> RequestBuilder {
        let form = [&[("auth", "sandboxkeysandboxkeysandboxkey00"), ("mod", module), ("cmd", command)], more].concat();
        self.call(Method::POST, &self.sandbox.lead_desk_original_url(), "").form(&form)
    }

    fn request(&self, operation: &str) -> (RequestBuilder, u16, u64) {
        self.about(operation, "new")
    }

    /// A call about this person, the status of its success, and how much it changes.
    fn about(&self, operation: &str, who: &str) -> (RequestBuilder, u16, u64) {
        let email = format!("{who}@example.com");
        let (rest, bank, crm) =
            (self.sandbox.lead_desk_rest_url(), self.sandbox.lead_bank_url(), self.sandbox.plain_crm_url());
        let pit = |request: RequestBuilder| request.bearer_auth("pit-sandbox");
        let on_bank = |path: &str| self.call(Method::GET, &bank, path).bearer_auth(&self.bank);
        let phone = ("phone", "+358401234567");
        let on_list = ("contact_list_id", "102");
        match operation {
            "lc_token" => (self.lc_refresh("sandbox-refresh"), 200, 1),
            "lc_authorize" => {
                let query =
                    "response_type=code&client_id=sandbox-client&scope=contacts.write&redirect_uri=http://127.0.0.1/x";
                (self.lc(Method::GET, &format!("/oauth/authorize?{query}")), 302, 0)
            }
            "lc_location_token" => {
                let form = [("companyId", "sandbox_company"), ("locationId", "sandbox_location")];
                (self.lc(Method::POST, "/oauth/location-token").bearer_auth(&self.agency).form(&form), 200, 0)
            }
            "lc_installed" => {
                let path = "/oauth/installed-locations?companyId=sandbox_company&appId=sandbox";
                (self.lc(Method::GET, path).bearer_auth(&self.agency), 200, 0)
            }
            "lc_location" => (pit(self.lc(Method::GET, "/locations/sandbox_location")), 200, 0),
            "lc_upsert" => (self.upsert(&email), 200, 1),
            "lc_create" => {
                let body = json!({"locationId": "sandbox_location", "email": email}).to_string();
                let request = self.lc(Method::POST, "/contacts/").header("content-type", "application/json");
                (pit(request.body(body)), 201, 1)
            }
            "lc_tag" => {
                let request = self.lc(Method::POST, &format!("/contacts/{}/tags", self.contact));
                (pit(request.body(r#"{"tags": ["new"]}"#)), 201, 0)
            }
            "lc_search" => {
                let path = "/contacts/search/duplicate?locationId=sandbox_location&email=known%40example.com";
                (pit(self.lc(Method::GET, path)), 200, 0)
            }
            "lc_get" => (pit(self.lc(Method::GET, &format!("/contacts/{}", self.contact))), 200, 0),
            "ld_token" => {
                let form = [
                    ("client_id", "sandbox-client"),
                    ("client_secret", "sandbox-secret"),
                    ("grant_type", "refresh_token"),
                    ("refresh_token", "sandbox-refresh"),
                ];
                (self.call(Method::POST, &rest, "/oauth/access-token").form(&form), 200, 1)
            }
            "ld_create" => {
                let body = json!({"contact_list_id": 102, "phone": phone.1, "email": email});
                (self.json(&rest, "/contacts", &body).bearer_auth("sandbox-access"), 201, 1)
            }
            "ld_search" => {
                let request = self.call(Method::GET, &rest, "/contacts?phone=%2B358401234567&contact_list_id=102");
                (request.bearer_auth("sandbox-access"), 200, 0)
            }
            "ld_campaigns" => (self.call(Method::GET, &rest, "/campaigns").bearer_auth("sandbox-access"), 200, 0),
            "ld_add" => (self.ld("contact", "add", &[phone, ("list", "102"), ("email", &email)]), 200, 1),
            "ld_exists" => (self.ld("contact", "exists", &[phone, on_list]), 200, 0),
            "ld_find" => (self.ld("contact", "find", &[phone, on_list]), 200, 0),
            "ld_get" => (self.ld("contact", "get", &[("contact_id", "7001")]), 200, 0),
            "ld_lists" => (self.ld("calling_list", "list", &[]), 200, 0),
            "bank_token" => {
                let body = json!({"grant_type": "client_credentials", "client_id": "sandbox-client",
                                  "client_secret": "sandbox-secret"});
                (self.json(&bank, "/v1/oauth/token", &body), 200, 0)
            }
            "bank_create" => {
                let body = json!({
                    "type": "individual", "client_customer_id": who,
                    "individual_details": {"first_name": "Ann", "last_name": "Bee",
                                           "identification_details": {"type": "non_us_entity"}},
                });
                let request = self.json(&bank, "/v0/entities", &body).bearer_auth(&self.bank);
                (request.header("idempotency-key", who), 200, 1)
            }
            "bank_find" => (on_bank("/v0/entities?client_customer_id=known"), 200, 0),
            "bank_get" => (on_bank("/v0/entities/entity_000008001"), 200, 0),
            "bank_events" => (on_bank("/v1/event?limit=1"), 200, 0),
            "plain_token" => {
                let form = [("grant_type", "refresh_token"), ("refresh_token", "sandbox-refresh")];
                let request = self.call(Method::POST, &crm, "/oauth/token");
                (request.basic_auth("sandbox-client", Some("sandbox-secret")).form(&form), 200, 1)
            }
            "plain_create" => {
                let request = self.json(&crm, "/v1/contacts", &json!({"email": email}));
                (request.header("x-api-key", "sandbox-key"), 201, 1)
            }
            "plain_search" => {
                let request = self.call(Method::GET, &crm, "/v1/contacts?email=known%40example.com");
                (request.header("x-api-key", "sandbox-key"), 200, 0)
            }
            "plain_me" => (self.call(Method::GET, &crm, "/v1/me").header("x-api-key", "sandbox-key"), 200, 0),
            other => panic!("no request for {other}: write one"),
        }
    }
}

/// What the client sees of this fault; whether the effect took place.
async fn shows(fault: &str, reply: reqwest::Result<Response>, success: u16) -> bool {
    let status = reply.as_ref().map(|reply| reply.status().as_u16()).ok();
    match fault {
        "reset" | "reset-after" => {
            assert_eq!(io_kind(&reply.unwrap_err()), Some(io::ErrorKind::ConnectionReset));
            fault == "reset-after"
        }
        "hang" | "hang-after" => {
            assert_ne!(io_kind(&reply.unwrap_err()), Some(io::ErrorKind::ConnectionReset));
            fault == "hang-after"
        }
        "429-seconds" | "429-date" | "429-none" => {
            assert_eq!((status, header(&reply.unwrap(), "retry-after").is_some()), (Some(429), fault != "429-none"));
            false
        }
        "503-seconds" => {
            assert_eq!((status, header(&reply.unwrap(), "retry-after").is_some()), (Some(503), true));
            false
        }
        "error-body" | "error-body-after" => {
            let body = json_of(reply.unwrap()).await;
            let denied = body["error"].is_string() && body["success"] != true;
            assert!(status == Some(200) && denied, "{body}");
            fault == "error-body-after"
        }
        "other-lead" | "other-lead-after" => {
            let body = reply.unwrap().text().await.unwrap();
            assert!(status == Some(200) && !body.contains("new@example.com"), "{body}");
            fault == "other-lead-after"
        }
        "late" | "drip" => {
            assert_eq!(status, Some(success));
            let body = reply.unwrap().text().await.unwrap();
            assert!(serde_json::from_str::<Value>(&body).is_ok(), "{body}");
            true
        }
        "truncated" => {
            assert_eq!(status, Some(success));
            reply.unwrap().bytes().await.unwrap_err();
            true
        }
        "html" | "empty" | "no-id" => {
            let reply = reply.unwrap();
            assert_eq!(status, Some(success));
            assert_eq!(header(&reply, "content-type").is_some_and(|is| is.contains("html")), fault == "html");
            let body = reply.text().await.unwrap();
            assert_eq!(body.is_empty(), fault == "empty");
            if fault == "no-id" {
                let body: Value = serde_json::from_str(&body).unwrap();
                let ids = ["/id", "/contact/id", "/contact_id", "/contact_ids", "/collection/0/id", "/contacts/0/id"];
                assert!(ids.iter().all(|id| body.pointer(id).is_none()), "{body}");
            }
            true
        }
        other => {
            let code: u16 = other.trim_end_matches("-after").parse().unwrap();
            assert_eq!(status, Some(code));
            assert!(!reply.unwrap().text().await.unwrap().is_empty(), "a refusal has words");
            other.ends_with("-after")
        }
    }
}

const FAULTS: [&str; 24] = [
    "400",
    "401",
    "403",
    "429",
    "500",
    "503-after",
    "reset",
    "reset-after",
    "hang",
    "hang-after",
    "late",
    "truncated",
    "html",
    "empty",
    "drip",
    "error-body",
    "error-body-after",
    "other-lead",
    "other-lead-after",
    "no-id",
    "429-seconds",
    "429-date",
    "429-none",
    "503-seconds",
];

#[tokio::test]
async fn every_kind_of_fault_works_for_every_call() {
    let old = ["live_data", "seven_targets"];
    let operations: BTreeSet<Operation> =
        Operation::all().filter(|operation| !old.contains(&operation.api().name())).collect();
    // One for all: to make one takes longer than to ask.
    let browser = builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for operation in operations {
        for fault in FAULTS {
            let ready = Ready::with(browser.clone()).await;
            ready.sandbox.set_faults(format!("{operation}:{fault}=#1").parse().unwrap());
            let before = effects(&ready.sandbox);
            let (request, success, changes) = ready.request(operation.name());
            let took_place = shows(fault, request.send().await, success).await;
            let expected = if took_place { changes } else { 0 };
            assert_eq!(effects(&ready.sandbox) - before, expected, "{operation}:{fault}");
            assert_eq!(ready.sandbox.totals().faults[&format!("{operation}:{fault}")], 1, "{operation}:{fault}");
        }
    }
}
