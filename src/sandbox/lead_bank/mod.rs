//! Lead, the bank: tokens, entities, events.
//!
//! Sources: docs.lead.bank (authentication and allowlist, `endpoint/oauth/get-an-access-token`,
//! `endpoint/entity/create-an-entity`, `entity/troubleshooting`, `accounts/validations`) and github.com
//! api-evangelist/lead-bank, `openapi/_original/lead-bank-openapi.json`.

mod check;
mod entities;
mod options;
mod redact;

use std::fmt;
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::idempotency::Keys;
use super::ledger::Effect;
use super::limits::Quota;
use super::operation::{Api, Operation};
use super::reply::Answer;
use super::request::Incoming;
use super::service::{Call, Caller, Kind, Routed, Section, Service, Switch, expecting};
use super::tokens::Tokens;
use entities::Entities;
pub use options::LeadBankOptions;

/// The service, for [`super::Ledger::leads_of`].
pub const API: Api = Api::new("lead_bank", "Lead (bank)");
const TOKEN: Operation = API.login("bank_token");
const CREATE: Operation = API.call("bank_create");
const FIND: Operation = API.call("bank_find");
const GET: Operation = API.call("bank_get");
const EVENTS: Operation = API.call("bank_events");

pub(super) const KIND: Kind = Kind {
    api: API,
    operations: &[TOKEN, CREATE, FIND, GET, EVENTS],
    start: |options, effects| Arc::new(LeadBank::new(options.lead_bank.clone(), effects)),
};

pub(super) const PREFIX: &str = "/lead_bank";

/// What scopes are for, each to `/read` and to `/read_write`.
const RESOURCES: [&str; 12] = [
    "account_number",
    "ach",
    "wire",
    "instant_payment",
    "internal_transfer",
    "lending",
    "entity",
    "funding",
    "subledger_balance",
    "account",
    "application",
    "blockchain_payment",
];

/// Longest `Idempotency-Key`.
const MAX_KEY: usize = 255;

pub(super) struct LeadBank {
    options: LeadBankOptions,
    entities: Mutex<Entities>,
    keys: Keys,
    source_ip: Switch,
}

/// Shows no personal data.
impl fmt::Debug for LeadBank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeadBank").finish_non_exhaustive()
    }
}

/// The body of every error; `invalid`: parameter and reason.
fn problem(status: StatusCode, code: &str, detail: &str, invalid: &[(String, String)]) -> Answer {
    let title = status.canonical_reason().unwrap_or("Error");
    let mut body = json!({"status": status.as_u16(), "code": code, "title": title, "detail": detail});
    if !invalid.is_empty() {
        let invalid = invalid.iter().map(|(parameter, reason)| json!({"parameter": parameter, "reason": reason}));
        body["invalid_parameters"] = invalid.collect();
    }
    Answer::json(status, &body)
}

fn source_ip_not_allowed() -> Answer {
    let invalid = [("source_ip".to_owned(), "source IP not allowed for program".to_owned())];
    problem(StatusCode::FORBIDDEN, "source_ip_not_allowed", "The source IP is not allowed.", &invalid)
}

fn parameters_invalid(detail: &str) -> Answer {
    problem(StatusCode::BAD_REQUEST, "parameters_invalid", detail, &[])
}

fn is_scope(text: &str) -> bool {
    let known = |resource: &str| RESOURCES.contains(&resource);
    text == "event/read"
        || text.split_once('/').is_some_and(|(resource, how)| known(resource) && matches!(how, "read" | "read_write"))
}

impl LeadBank {
    fn new(options: LeadBankOptions, effects: &[Effect]) -> Self {
        Self {
            entities: Mutex::new(Entities::restored(effects.iter().filter(|effect| effect.api == API))),
            keys: Keys::default(),
            source_ip: Switch::new("source_ip_allowed", options.source_ip_allowed),
            options,
        }
    }

    /// `POST /v1/oauth/token`: JSON, never a form.
    fn token(&self, call: &Call<'_>) -> Answer {
        if self.options.token_needs_source_ip && !self.source_ip.is_on() {
            return source_ip_not_allowed();
        }
        let request = call.request;
        if !request.is_json() || !request.json.as_ref().is_some_and(Value::is_object) {
            return parameters_invalid("The request body must be JSON.");
        }
        if request.field("grant_type").as_deref() != Some("client_credentials") {
            return parameters_invalid("Invalid grant type.");
        }
        let client = request.field("client_id").filter(|client| *client == self.options.client_id);
        let secret = request.field("client_secret");
        let Some(client) = client.filter(|_| secret.as_deref() == Some(self.options.client_secret.expose())) else {
            return self.refusal(TOKEN, StatusCode::UNAUTHORIZED, "Invalid client credentials.");
        };
        let asked = request.field("scope").unwrap_or_else(|| self.options.scope.clone());
        if !asked.split(' ').all(is_scope) {
            return parameters_invalid("Invalid scope.");
        }
        let may = |scope: &&str| self.options.scope.split(' ').any(|may| may == *scope);
        let granted = asked.split(' ').filter(may).collect::<Vec<_>>().join(" ");
        let token = call.tokens.issue(API, &client, &granted, call.ttl);
        let body = json!({
            "access_token": token, "token_type": "Bearer", "scope": granted, "expires_in": call.ttl.as_secs(),
        });
        Answer::json(StatusCode::OK, &body)
    }
}

impl Service for LeadBank {
    fn route(&self, request: &Incoming) -> Option<Routed> {
        Some(match request.below(PREFIX)? {
            "/v1/oauth/token" => expecting(&Method::POST, TOKEN, request),
            "/v0/entities" if request.method == Method::GET => Ok(FIND),
            "/v0/entities" => expecting(&Method::POST, CREATE, request),
            "/v1/event" => expecting(&Method::GET, EVENTS, request),
            path if entities::wanted(path).is_some() => expecting(&Method::GET, GET, request),
            _ => return None,
        })
    }

    fn authorise(&self, operation: Operation, request: &Incoming, tokens: &Tokens) -> Result<Caller, Answer> {
        // Asked before anything else is: it is the network's business.
        if !self.source_ip.is_on() {
            return Err(source_ip_not_allowed());
        }
        let token = request.bearer().unwrap_or_default();
        let Some(known) = tokens.known(API, token) else {
            return Err(self.refusal(operation, StatusCode::UNAUTHORIZED, "The access token is invalid or expired."));
        };
        let scopes: &[&str] = match operation {
            CREATE => &["entity/read_write"],
            EVENTS => &["event/read"],
            _ => &["entity/read", "entity/read_write"],
        };
        let caller = Caller::with_token(known, token);
        if !caller.may(scopes) {
            let detail = format!("The access token lacks the scope {}.", scopes.join(" or "));
            return Err(problem(StatusCode::FORBIDDEN, "operation_not_allowed", &detail, &[]));
        }
        Ok(caller)
    }

    fn concerns(&self, operation: Operation, request: &Incoming) -> Vec<String> {
        let who = match operation {
            TOKEN => request.field("client_id"),
            CREATE => request.json.as_ref().and_then(|body| {
                let id = || body["client_customer_id"].as_str().map(str::to_owned);
                check::email(body).or_else(id)
            }),
            FIND => request.parameter("client_customer_id").map(|id| self.known_as(&id).unwrap_or(id)),
            GET => request.below(PREFIX).and_then(entities::wanted).map(str::to_owned),
            _ => request.query.clone(),
        };
        who.map(|who| who.trim().to_lowercase()).into_iter().collect()
    }

    fn perform(&self, call: &Call<'_>) -> Answer {
        match call.operation {
            TOKEN => self.token(call),
            CREATE => self.create(call),
            FIND => self.find(call.request),
            GET => self.get(call.request),
            _ => self.events(call.request),
        }
    }

    fn begins(&self, _operation: Operation, request: &Incoming) {
        if let Some(key) = request.header("idempotency-key") {
            self.keys.begins(key);
        }
    }

    fn refusal(&self, _operation: Operation, status: StatusCode, why: &str) -> Answer {
        let code = match status.as_u16() {
            400 => "parameters_invalid",
            401 => "unauthorized",
            403 => return source_ip_not_allowed(),
            404 => "not_found",
            409 => "conflict",
            422 => "validation_failed",
            429 => "too_many_requests",
            503 => "service_unavailable",
            500.. => "internal_server_error",
            _ => "error",
        };
        problem(status, code, why, &[])
    }

    fn quota(&self) -> Quota {
        Quota { rate: self.options.rate, daily: None }
    }

    fn reset(&self) {
        *self.entities() = Entities::default();
        self.keys.reset();
    }

    fn sections(&self, base_url: &str) -> Vec<Section> {
        let section = Section::new("destinations.bank", "lead_bank")
            .with("base_url", format!("{base_url}{PREFIX}"))
            .with("client_id", self.options.client_id.as_str())
            .with("client_secret", self.options.client_secret.expose())
            .with("scope", self.options.scope.as_str())
            .with("entities", true)
            .with_rate(self.options.rate);
        vec![section]
    }

    fn addresses(&self, base_url: &str) -> String {
        format!("{base_url}{PREFIX}")
    }

    fn other_lead(&self, _operation: Operation) -> Answer {
        let details = json!({"first_name": "No", "last_name": "Body"});
        let body = json!({
            "id": "entity_099000001", "type": "individual", "client_customer_id": "nobody", "individual_details": details,
        });
        Answer::json(StatusCode::OK, &body)
    }

    fn switches(&self) -> Vec<&Switch> {
        vec![&self.source_ip]
    }
}
