//! LeadConnector: an app, its tokens, its contacts.

use leadsync::sandbox::{LEAD_CONNECTOR, Running, Sandbox, SandboxOptions};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::bench::{client, json_of};

#[path = "lead_connector/contacts.rs"]
mod contacts;
#[path = "lead_connector/tokens.rs"]
mod tokens;

pub const LOCATION: &str = "sandbox_location";
pub const PIT: &str = "pit-sandbox";

/// A sandbox, and a client of its LeadConnector.
pub struct App {
    pub sandbox: Running,
    pub client: Client,
}

impl App {
    pub async fn with(change: impl FnOnce(&mut SandboxOptions)) -> Self {
        let mut options = SandboxOptions::default();
        change(&mut options);
        Self { sandbox: Sandbox::start(options).await.unwrap(), client: client() }
    }

    pub async fn with_faults(faults: &str) -> Self {
        Self::with(|options| options.faults = faults.parse().unwrap()).await
    }

    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.sandbox.lead_connector_url()));
        request.header("version", "v3")
    }

    /// With the private integration's token.
    pub fn api(&self, method: Method, path: &str) -> RequestBuilder {
        self.call(method, path).bearer_auth(PIT)
    }

    pub fn write(&self, path: &str, body: &Value) -> RequestBuilder {
        self.api(Method::POST, path).header("content-type", "application/json").body(body.to_string())
    }

    pub async fn upsert(&self, body: &Value) -> (u16, Value) {
        status_and_json(self.write("/contacts/upsert", body).send().await.unwrap()).await
    }

    pub async fn token(&self, grant: &[(&str, &str)]) -> (u16, Value) {
        let form = [&[("clientId", "sandbox-client"), ("clientSecret", "sandbox-secret")], grant].concat();
        status_and_json(self.call(Method::POST, "/oauth/token").form(&form).send().await.unwrap()).await
    }

    pub async fn refresh(&self, token: &str) -> (u16, Value) {
        self.token(&[("grantType", "refresh_token"), ("refreshToken", token)]).await
    }

    pub fn creates(&self, who: &str) -> u64 {
        self.sandbox.ledger().lead_of(LEAD_CONNECTOR, who).map_or(0, |lead| lead.creates)
    }

    pub fn rotations_and_replays(&self) -> (u64, u64) {
        let refreshes = self.sandbox.totals().refreshes["lead_connector"];
        (refreshes.rotations, refreshes.replays)
    }
}

pub async fn status_and_json(reply: Response) -> (u16, Value) {
    (reply.status().as_u16(), json_of(reply).await)
}

pub fn ann() -> Value {
    json!({"locationId": LOCATION, "email": "Ann@Example.com", "phone": "+14155550100", "firstName": "Ann"})
}
