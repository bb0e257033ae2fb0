//! A sandbox, and a client that knows no connector.

use std::error::Error;
use std::io;
use std::sync::Once;
use std::time::{Duration, Instant};

use leadsync::http::message::Rate;
use leadsync::sandbox::{Running, Sandbox, SandboxOptions, SevenTargetsOptions};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response};
use serde_json::{Value, json};

pub const ASSISTANT: &str = "ashley@sandbox.example";

/// A sandbox and a client with tokens for both services.
pub struct World {
    pub sandbox: Running,
    pub client: Client,
    pub seven_targets: String,
    pub live_data: String,
}

impl World {
    pub async fn with(options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        let client = client();
        let seven_targets = text(token(&client, &sandbox, "sandbox-secret").await, "access_token").await;
        let live_data = text(session(&client, &sandbox, "sandbox-secret").await, "accessToken").await;
        Self { sandbox, client, seven_targets, live_data }
    }

    pub async fn with_faults(faults: &str) -> Self {
        Self::with(SandboxOptions { faults: faults.parse().unwrap(), ..SandboxOptions::default() }).await
    }

    pub fn leads(&self, method: Method, body: &Value) -> RequestBuilder {
        self.api(method, "/leads").header("content-type", "application/json").body(body.to_string())
    }

    pub fn api(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.sandbox.base_url()));
        request.bearer_auth(&self.seven_targets).header("7ts-user-identifier", "sandbox-user-identifier")
    }

    pub async fn create(&self, email: &str) -> reqwest::Result<Response> {
        self.leads(Method::POST, &lead(email)).send().await
    }

    pub fn find(&self, body: &Value) -> RequestBuilder {
        let url = format!("{}/o_sandbox/find", self.sandbox.people_url());
        let request = self.client.post(url).bearer_auth(&self.live_data);
        request.header("content-type", "application/json").body(body.to_string())
    }

    pub async fn admin(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let url = format!("{}/_sandbox{path}", self.sandbox.base_url());
        let reply = self.client.request(method, url).body(body.to_owned()).send().await.unwrap();
        (reply.status().as_u16(), json_of(reply).await)
    }

    /// How many creates of this e-mail took effect.
    pub fn creates(&self, email: &str) -> u64 {
        self.sandbox.ledger().lead(email).map_or(0, |lead| lead.creates)
    }
}

pub fn client() -> Client {
    builder().build().unwrap()
}

pub fn builder() -> ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Client::builder().no_proxy().timeout(Duration::from_secs(20))
}

pub async fn token(client: &Client, sandbox: &Running, secret: &str) -> Response {
    let form = [("grant_type", "client_credentials"), ("scope", "leads/post")];
    client.post(sandbox.token_url()).basic_auth("sandbox-client", Some(secret)).form(&form).send().await.unwrap()
}

pub async fn session(client: &Client, sandbox: &Running, secret: &str) -> Response {
    let body = json!({"grantType": "clientCredentials", "clientId": "sandbox-client", "clientSecret": secret});
    let url = format!("{}/session", sandbox.identity_url());
    client.post(url).header("content-type", "application/json").body(body.to_string()).send().await.unwrap()
}

pub fn lead(email: &str) -> Value {
    json!({"name": "Ann", "lastName": "Bee", "email": email, "assistantEmail": ASSISTANT})
}

pub fn by_email<'a>(emails: impl IntoIterator<Item = &'a str>) -> Value {
    let entry = |email| json!({"fields": [{"field_name": "email_address", "search_term": email}]});
    json!({"matches": emails.into_iter().map(entry).collect::<Vec<_>>(), "size": 1})
}

pub async fn json_of(reply: Response) -> Value {
    serde_json::from_str(&reply.text().await.unwrap()).unwrap()
}

pub async fn text(reply: Response, field: &str) -> String {
    json_of(reply).await[field].as_str().unwrap().to_owned()
}

pub fn header<'a>(reply: &'a Response, name: &str) -> Option<&'a str> {
    reply.headers().get(name).map(|value| value.to_str().unwrap())
}

/// Waits for something that a running sandbox is about to do.
pub async fn until(happened: impl Fn() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < Duration::from_secs(20), "it never happened");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The I/O error at the root of a failed request.
pub fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

pub fn rate(count: u32, per: Duration) -> SandboxOptions {
    SandboxOptions {
        seven_targets: SevenTargetsOptions { rate: Some(Rate { count, per }), ..SevenTargetsOptions::default() },
        ..SandboxOptions::default()
    }
}
