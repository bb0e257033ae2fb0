//! A plain CRM, nobody's in particular: contacts in JSON, a key, Basic or OAuth 2.0 to come in, an optional
//! `Idempotency-Key`. For destinations that are configured rather than programmed. Tokens as RFC 6749 has them.

mod contacts;
mod options;

use std::fmt;
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use serde_json::json;

use super::idempotency::Keys;
use super::ledger::Effect;
use super::limits::Quota;
use super::operation::{Api, Operation};
use super::refresh::{RefreshTokens, RefreshTotals};
use super::reply::Answer;
use super::request::Incoming;
use super::service::{Call, Caller, Kind, Routed, Section, Service, expecting};
use super::tokens::Tokens;
use contacts::Contacts;
pub use options::PlainCrmOptions;

/// The service, for [`super::Ledger::leads_of`].
pub const API: Api = Api::new("plain_crm", "plain CRM");
const TOKEN: Operation = API.login("plain_token");
const CREATE: Operation = API.call("plain_create");
const SEARCH: Operation = API.call("plain_search");
const ME: Operation = API.call("plain_me");

pub(super) const KIND: Kind = Kind {
    api: API,
    operations: &[TOKEN, CREATE, SEARCH, ME],
    start: |options, effects| Arc::new(Crm::new(options.plain_crm.clone(), effects)),
};

pub(super) const PREFIX: &str = "/crm";

pub(super) struct Crm {
    options: PlainCrmOptions,
    contacts: Mutex<Contacts>,
    keys: Keys,
    refresh: RefreshTokens,
}

/// Shows no personal data.
impl fmt::Debug for Crm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crm").finish_non_exhaustive()
    }
}

fn failure(status: StatusCode, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({"error": {"code": code, "message": message}}))
}

impl Crm {
    fn new(options: PlainCrmOptions, effects: &[Effect]) -> Self {
        let refresh = RefreshTokens::default();
        refresh.plant(options.refresh_token.expose(), &options.username, &options.scope);
        let contacts = Contacts::restored(effects.iter().filter(|effect| effect.api == API));
        Self { contacts: Mutex::new(contacts), keys: Keys::default(), refresh, options }
    }

    /// `POST /crm/oauth/token`, a form or JSON; errors as RFC 6749, 5.2.
    fn token(&self, call: &Call<'_>) -> Answer {
        self.granted(call).unwrap_or_else(|error| {
            let status = if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
            Answer::json(status, &json!({"error": error}))
        })
    }

    fn granted(&self, call: &Call<'_>) -> Result<Answer, &'static str> {
        let request = call.request;
        let needed = |name: &str| request.field(name).ok_or("invalid_request");
        let grant = needed("grant_type")?;
        // By Basic or in the body; people with a password need no client.
        let client = request.basic().or_else(|| Some((request.field("client_id")?, request.field("client_secret")?)));
        let right = |(id, secret): &(String, String)| {
            *id == self.options.client_id && secret == self.options.client_secret.expose()
        };
        if !client.as_ref().map_or(grant == "password", right) {
            return Err("invalid_client");
        }
        if request.field("scope").is_some_and(|scope| scope != self.options.scope) {
            return Err("invalid_scope");
        }
        let (account, lasting) = match grant.as_str() {
            "client_credentials" => (self.options.client_id.clone(), false),
            "password" => {
                let (user, password) = (needed("username")?, needed("password")?);
                if user != self.options.username || password != self.options.password.expose() {
                    return Err("invalid_grant");
                }
                (user, true)
            }
            "refresh_token" => (self.refresh.redeem(&needed("refresh_token")?).ok_or("invalid_grant")?.account, true),
            _ => return Err("unsupported_grant_type"),
        };
        let scope = &self.options.scope;
        let mut body = json!({
            "access_token": call.tokens.issue(API, &account, scope, call.ttl),
            "token_type": "Bearer", "expires_in": call.ttl.as_secs(), "scope": scope,
        });
        if lasting {
            body["refresh_token"] = self.refresh.issue(&account, scope).into();
        }
        Ok(Answer::json(StatusCode::OK, &body))
    }
}

impl Service for Crm {
    fn route(&self, request: &Incoming) -> Option<Routed> {
        Some(match request.below(PREFIX)? {
            "/oauth/token" => expecting(&Method::POST, TOKEN, request),
            "/v1/contacts" if request.method == Method::GET => Ok(SEARCH),
            "/v1/contacts" => expecting(&Method::POST, CREATE, request),
            "/v1/me" => expecting(&Method::GET, ME, request),
            _ => return None,
        })
    }

    fn authorise(&self, operation: Operation, request: &Incoming, tokens: &Tokens) -> Result<Caller, Answer> {
        if request.header("x-api-key").is_some_and(|key| key == self.options.api_key.expose()) {
            return Ok(Caller::with_key("api-key"));
        }
        if let Some(token) = request.bearer()
            && let Some(known) = tokens.known(API, token)
        {
            return Ok(Caller::with_token(known, token));
        }
        let right = |(user, password): &(String, String)| {
            *user == self.options.username && password == self.options.password.expose()
        };
        if request.basic().as_ref().is_some_and(right) {
            return Ok(Caller::with_key(&self.options.username));
        }
        Err(self.refusal(operation, StatusCode::UNAUTHORIZED, "no key or token, or not a good one"))
    }

    fn concerns(&self, operation: Operation, request: &Incoming) -> Vec<String> {
        let who = match operation {
            TOKEN => request.field("client_id").or_else(|| request.basic().map(|(client, _)| client)),
            CREATE => request.json.as_ref().and_then(|body| body["email"].as_str().map(str::to_owned)),
            SEARCH => request.parameter("email"),
            _ => None,
        };
        who.map(|who| who.trim().to_lowercase()).into_iter().collect()
    }

    fn perform(&self, call: &Call<'_>) -> Answer {
        match call.operation {
            TOKEN => self.token(call),
            CREATE => self.create(call),
            SEARCH => self.search(call.request),
            _ => {
                let account = call.caller.map(|caller| caller.account.as_str());
                Answer::json(StatusCode::OK, &json!({"id": "sandbox", "name": "Sandbox", "account": account}))
            }
        }
    }

    fn begins(&self, _operation: Operation, request: &Incoming) {
        if let Some(key) = request.header("idempotency-key") {
            self.keys.begins(key);
        }
    }

    fn refusal(&self, operation: Operation, status: StatusCode, why: &str) -> Answer {
        if operation == TOKEN {
            let error = if status.is_server_error() { "server_error" } else { "invalid_request" };
            return Answer::json(status, &json!({"error": error, "error_description": why}));
        }
        let code = status.canonical_reason().unwrap_or("error").to_lowercase().replace([' ', '-'], "_");
        failure(status, &code, why)
    }

    fn quota(&self) -> Quota {
        Quota { rate: self.options.rate, daily: None }
    }

    fn reset(&self) {
        *self.contacts() = Contacts::default();
        self.keys.reset();
        self.refresh.reset();
    }

    fn sections(&self, base_url: &str) -> Vec<Section> {
        let contacts = format!("{base_url}{PREFIX}/v1/contacts");
        let body = r#"{"email": "{{ lead.email }}", "first_name": "{{ lead.first_name }}", "last_name": "{{ lead.last_name }}"}"#;
        let section = Section::new("destinations.plain", "http")
            .with("url", contacts.as_str())
            .with("body", body)
            .with("auth.style", "header")
            .with("auth.header", "x-api-key")
            .with("auth.key", self.options.api_key.expose())
            .with("idempotency_header", "Idempotency-Key")
            .with("remote_id", "/id")
            .with("find.url", format!("{contacts}?email={{{{ lead.email }}}}"))
            .with("find.found", "/contacts/*/email")
            .with("find.equals", "{{ lead.email }}")
            .with("find.remote_id", "/contacts/*/id")
            .with("check.url", format!("{base_url}{PREFIX}/v1/me"))
            .with("duplicate.words", "already exists")
            .with("duplicate.remote_id", "/error/contact_id")
            .with_rate(self.options.rate);
        vec![section]
    }

    fn addresses(&self, base_url: &str) -> String {
        format!("{base_url}{PREFIX}/v1/contacts  {base_url}{PREFIX}/oauth/token")
    }

    fn id_pointers(&self) -> &'static [&'static str] {
        &["/id", "/contacts/0/id"]
    }

    fn refreshes(&self) -> Option<RefreshTotals> {
        Some(self.refresh.totals())
    }
}
