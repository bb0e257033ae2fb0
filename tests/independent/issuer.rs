//! oauth2-mock-server at work.

use serde_json::{Value, json};

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
