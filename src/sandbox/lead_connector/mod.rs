//! LeadConnector (HighLevel): tokens of an app, of an agency and of its locations, and contacts.
//!
//! Sources: github.com/GoHighLevel/highlevel-api-docs (`apps/v3/oauth-v3.json`, `apps/v3/contacts-v3.json`,
//! `apps/v3/common/common-schemas.json`, `docs/oauth/Authorization.md`) and its issues 37, 59 and 262; rate headers: npm
//! `@gohighlevel/api-client` 3.1.0. Where they are silent the sandbox takes the plainest reading.

mod book;
mod contacts;
mod oauth;
mod options;

use std::fmt;
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::ledger::Effect;
use super::limits::{Quota, Standing};
use super::operation::{Api, Operation};
use super::refresh::{RefreshTokens, RefreshTotals};
use super::reply::Answer;
use super::request::Incoming;
use super::service::{Call, Caller, Kind, Routed, Section, Service, Switch, expecting};
use super::tokens::Tokens;
use book::Contacts;
use oauth::Codes;
pub use options::LeadConnectorOptions;

/// The service, for [`super::Ledger::leads_of`].
pub const API: Api = Api::new("lead_connector", "LeadConnector");
const TOKEN: Operation = API.login("lc_token");
const AUTHORIZE: Operation = API.login("lc_authorize");
const LOCATION_TOKEN: Operation = API.call("lc_location_token");
const INSTALLED: Operation = API.call("lc_installed");
const LOCATION: Operation = API.call("lc_location");
const UPSERT: Operation = API.call("lc_upsert");
const CREATE: Operation = API.call("lc_create");
const TAG: Operation = API.call("lc_tag");
const SEARCH: Operation = API.call("lc_search");
const GET: Operation = API.call("lc_get");

pub(super) const KIND: Kind = Kind {
    api: API,
    operations: &[TOKEN, AUTHORIZE, LOCATION_TOKEN, INSTALLED, LOCATION, UPSERT, CREATE, TAG, SEARCH, GET],
    start: |options, effects| Arc::new(LeadConnector::new(options.lead_connector.clone(), effects)),
};

pub(super) const PREFIX: &str = "/lead_connector";

pub(super) struct LeadConnector {
    options: LeadConnectorOptions,
    contacts: Mutex<Contacts>,
    codes: Codes,
    refresh: RefreshTokens,
    active: Switch,
}

/// Shows no personal data.
impl fmt::Debug for LeadConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeadConnector").finish_non_exhaustive()
    }
}

impl LeadConnector {
    fn new(options: LeadConnectorOptions, effects: &[Effect]) -> Self {
        let refresh = RefreshTokens::default();
        refresh.plant(options.refresh_token.expose(), &options.location_id, &options.scope);
        refresh.plant(options.agency_refresh_token.expose(), &options.company_id, &options.scope);
        Self {
            contacts: Mutex::new(Contacts::restored(effects.iter().filter(|effect| effect.api == API))),
            codes: Codes::default(),
            refresh,
            active: Switch::new("location_active", options.location_active),
            options,
        }
    }

    fn knows_location(&self, id: &str) -> bool {
        self.options.location_id == id || self.options.other_locations.iter().any(|known| known == id)
    }
}

/// The path of the call: `/v3` may stand before it, or not.
fn path(request: &Incoming) -> Option<&str> {
    let path = request.below(PREFIX)?;
    Some(path.strip_prefix("/v3").filter(|rest| rest.starts_with('/')).unwrap_or(path))
}

/// What stands between `before` and `after`, without a slash.
fn between<'a>(path: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

/// The header `Version`: what it names decides how tokens are spelt.
fn version(request: &Incoming) -> Result<Option<&str>, &'static str> {
    let dated = |text: &str| text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    match request.header("version") {
        None => Ok(None),
        Some(version) if version == "v3" || dated(version) => Ok(Some(version)),
        Some(_) => Err("Invalid parameter: Version"),
    }
}

fn refused(status: StatusCode, why: &str) -> Answer {
    refused_with(status, &Value::from(why))
}

fn refused_with(status: StatusCode, message: &Value) -> Answer {
    let mut body = json!({"statusCode": status.as_u16(), "message": message});
    if matches!(status.as_u16(), 401 | 403 | 422) {
        body["error"] = status.canonical_reason().into();
    }
    Answer::json(status, &body)
}

fn trace_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

impl Service for LeadConnector {
    fn route(&self, request: &Incoming) -> Option<Routed> {
        let path = path(request)?;
        let (method, operation) = match path {
            "/oauth/token" => (Method::POST, TOKEN),
            "/oauth/authorize" => (Method::GET, AUTHORIZE),
            // The second is how the dated versions spell it.
            "/oauth/location-token" | "/oauth/locationToken" => (Method::POST, LOCATION_TOKEN),
            "/oauth/installed-locations" | "/oauth/installedLocations" => (Method::GET, INSTALLED),
            "/contacts/upsert" => (Method::POST, UPSERT),
            "/contacts/" | "/contacts" => (Method::POST, CREATE),
            "/contacts/search/duplicate" => (Method::GET, SEARCH),
            path if between(path, "/contacts/", "/tags").is_some() => (Method::POST, TAG),
            path if between(path, "/contacts/", "").is_some() => (Method::GET, GET),
            path if between(path, "/locations/", "").is_some() => (Method::GET, LOCATION),
            _ => return None,
        };
        Some(expecting(&method, operation, request))
    }

    fn authorise(&self, operation: Operation, request: &Incoming, tokens: &Tokens) -> Result<Caller, Answer> {
        match version(request) {
            Ok(Some(_)) => {}
            Ok(None) => return Err(refused(StatusCode::BAD_REQUEST, "Missing parameter: Version")),
            Err(why) => return Err(refused(StatusCode::BAD_REQUEST, why)),
        }
        let bearer = request.bearer().unwrap_or_default();
        let caller = if bearer == self.options.private_token.expose() {
            Caller::with_key(&self.options.location_id)
        } else if let Some(known) = tokens.known(API, bearer) {
            Caller::with_token(known, bearer)
        } else {
            return Err(refused(StatusCode::UNAUTHORIZED, "Invalid token: access token is invalid"));
        };
        let forbidden = |why| Err(refused(StatusCode::FORBIDDEN, why));
        let (of_agency, scope) = match operation {
            LOCATION_TOKEN => (true, Some("oauth.write")),
            INSTALLED => (true, Some("oauth.readonly")),
            UPSERT | CREATE | TAG => (false, Some("contacts.write")),
            SEARCH | GET => (false, Some("contacts.readonly")),
            _ => (false, None),
        };
        if of_agency != (caller.account == self.options.company_id) {
            let agency_only = "This endpoint needs an agency's access token";
            return forbidden(if of_agency { agency_only } else { "The token does not have access to this location." });
        }
        // A private integration has what it was made with: here, everything of its location.
        match scope {
            Some(scope) if !caller.may(&[scope]) => forbidden("The token is not authorized for this scope."),
            _ => Ok(caller),
        }
    }

    fn concerns(&self, operation: Operation, request: &Incoming) -> Vec<String> {
        match operation {
            TOKEN => request.field("clientId").or_else(|| request.field("client_id")).into_iter().collect(),
            UPSERT | CREATE => {
                let text = |field: &str| request.json.as_ref().and_then(|body| body[field].as_str());
                let who = text("email").or_else(|| text("phone"));
                who.map(|who| who.trim().to_lowercase()).into_iter().collect()
            }
            SEARCH => {
                let who = request.parameter("email").or_else(|| request.parameter("number"));
                who.map(|who| who.trim().to_lowercase()).into_iter().collect()
            }
            TAG | GET => self.known_as(request).into_iter().collect(),
            _ => request.query.clone().into_iter().collect(),
        }
    }

    fn perform(&self, call: &Call<'_>) -> Answer {
        match call.operation {
            TOKEN => self.token(call),
            AUTHORIZE => self.authorize(call.request),
            LOCATION_TOKEN => self.location_token(call),
            INSTALLED => self.installed_locations(call.request),
            LOCATION => self.location(call),
            UPSERT | CREATE => self.write(call),
            TAG => self.tag(call),
            SEARCH => self.search(call),
            _ => self.get(call),
        }
    }

    fn refusal(&self, _operation: Operation, status: StatusCode, why: &str) -> Answer {
        match status {
            StatusCode::UNAUTHORIZED => refused(status, "Invalid token: access token is invalid"),
            StatusCode::FORBIDDEN => refused(status, "The token does not have access to this location."),
            StatusCode::UNPROCESSABLE_ENTITY => refused_with(status, &json!([why])),
            _ => refused(status, why),
        }
    }

    fn quota(&self) -> Quota {
        Quota { rate: self.options.rate, daily: self.options.daily }
    }

    fn reset(&self) {
        *self.contacts() = Contacts::default();
        self.refresh.reset();
    }

    fn sections(&self, base_url: &str) -> Vec<Section> {
        let section = Section::new("destinations.crm", "lead_connector")
            .with("base_url", format!("{base_url}{PREFIX}"))
            .with("location_id", self.options.location_id.as_str())
            .with("client_id", self.options.client_id.as_str())
            .with("client_secret", self.options.client_secret.expose())
            .with("refresh_token", self.options.refresh_token.expose())
            .with("authorize_url", format!("{base_url}{PREFIX}/oauth/authorize"))
            .with_rate(self.options.rate);
        vec![section]
    }

    fn addresses(&self, base_url: &str) -> String {
        format!("{base_url}{PREFIX}")
    }

    fn told(&self, answer: Answer, standing: &Standing) -> Answer {
        let number = |n: u128| n.to_string();
        let answer = match standing.rate {
            Some(rate) => answer
                .with("x-ratelimit-max", &number(rate.count.into()))
                .with("x-ratelimit-remaining", &number(standing.remaining.into()))
                .with("x-ratelimit-interval-milliseconds", &number(rate.per.as_millis())),
            None => answer,
        };
        match (standing.daily, standing.daily_remaining) {
            (Some(daily), Some(remaining)) => answer
                .with("x-ratelimit-limit-daily", &number(daily.into()))
                .with("x-ratelimit-daily-remaining", &number(remaining.into()))
                .with("x-ratelimit-daily-reset", &number(standing.daily_reset.as_millis())),
            _ => answer,
        }
    }

    fn says_retry_after(&self) -> bool {
        false
    }

    fn id_pointers(&self) -> &'static [&'static str] {
        &["/contact/id"]
    }

    fn other_lead(&self, _operation: Operation) -> Answer {
        let contact = json!({
            "id": "sandboxNobody0000001", "locationId": self.options.location_id, "email": "nobody@sandbox.example",
        });
        Answer::json(StatusCode::OK, &json!({"new": false, "contact": contact, "traceId": trace_id()}))
    }

    fn switches(&self) -> Vec<&Switch> {
        vec![&self.active]
    }

    fn refreshes(&self) -> Option<RefreshTotals> {
        Some(self.refresh.totals())
    }
}
