//! oauth2-mock-server at work.

use serde_json::{Value, json};

use crate::bench::{Bench, Said};
use crate::servers::{Server, installed};
use crate::wire::{Wire, client};

/// Who may ask for tokens.
pub const CLIENT: &str = "bff1f2b0-client";
/// With a sign that a form has to escape.
pub const SECRET: &str = "s3cret+/=&of the client";
/// The refresh token that a login gave the operator.
pub const SEED: &str = "c9a1-seed-refresh-token";

/// A token service of one's own, with the API behind it, on a wire.
pub struct Issuer {
    server: Server,
    pub wire: Wire,
    client: reqwest::Client,
}

impl Issuer {
    /// With these options besides clients and the seed; `None` if it is not installed.
    pub async fn start(options: Value) -> Option<Self> {
        let mut all = json!({"clients": {CLIENT: SECRET}, "seeds": [SEED]});
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let server = installed()?.issuer(&all);
        let wire = Wire::to([("/", server.url.clone())]).await;
        Some(Self { server, wire, client: client() })
    }

    /// A location of LeadConnector, in the dated version, whose token requests are those of RFC 6749: the destination
    /// `crm`, without a login yet.
    pub fn location(&self, bench: &Bench) {
        for (key, value) in [
            ("kind", "lead_connector"),
            ("api_version", "2021-07-28"),
            ("location_id", "ve9EPM428h8vShlRW1KT"),
            ("timeout", "5s"),
            ("client_id", CLIENT),
            ("client_secret", SECRET),
            ("base_url", &self.wire.url("")),
        ] {
            bench.set(&format!("destinations.crm.{key}"), value);
        }
    }

    /// What it wrote down; see `issuer.mjs`.
    pub async fn book(&self) -> Value {
        let text = self.client.get(self.server.url.join("book").unwrap()).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The token requests that it wrote down.
    pub async fn tokens(&self) -> Vec<Value> {
        self.book().await["tokens"].as_array().unwrap().clone()
    }

    /// The spent refresh tokens that were presented, and the chains that ended so.
    pub async fn replays(&self) -> (u64, u64) {
        let book = self.book().await;
        (book["replays"].as_u64().unwrap(), book["revoked"].as_u64().unwrap())
    }

    /// All access tokens end; the chains stay good.
    pub async fn revoke_access(&self) {
        let url = self.server.url.join("revoke-access").unwrap();
        assert!(self.client.post(url).send().await.unwrap().status().is_success());
    }
}

/// What the API answers as a location of LeadConnector.
pub fn location_routes() -> Value {
    json!([
        {"method": "GET", "path": "/contacts/search/duplicate", "status": 200, "body": {"contact": null}},
        {"method": "POST", "path": "/contacts/upsert", "status": 201,
            "body": {"new": true, "contact": {"id": "contact-{n}"}}},
    ])
}

/// Fails if a token was said: a refresh token, or a signed one, all of which begin so.
#[track_caller]
pub fn quiet(said: Said) -> Said {
    for secret in [SEED, "eyJ"] {
        assert!(!said.err.contains(secret) && !said.out.contains(secret), "{said:?}");
    }
    said
}
