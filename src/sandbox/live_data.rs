//! Live Data: identity and people. Sources: gotlivedata.io documentation (Auth, View usage) and the vendor's generated
//! clients, PyPI `ldt-identity-client` 1.0.2 and `ldt-people-client-async-staging` 1.0.129.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::limits::Quota;
use super::operation::{Api, Operation};
use super::options::LiveDataOptions;
use super::people;
use super::reply::Answer;
use super::request::Incoming;
use super::service::{Call, Caller, Kind, Routed, Section, Service, expecting};
use super::tokens::Tokens;
use crate::clock::{Clock, SystemClock};

pub(super) const API: Api = Api::new("live_data", "Live Data");
const SESSION: Operation = API.login("session");
pub(super) const FIND: Operation = API.call("find");

pub(super) const KIND: Kind = Kind {
    api: API,
    operations: &[SESSION, FIND],
    start: |options, _| Arc::new(LiveData::new(options.live_data.clone(), options.seed)),
};

pub(super) const IDENTITY_PATH: &str = "/api/identity/v1";
const SESSION_PATH: &str = "/api/identity/v1/session";
pub(super) const PEOPLE_PATH: &str = "/api/people/v1";

/// Most matches of one request, and most (and default) people of one match.
const MAX_MATCHES: usize = 100;
const MAX_SIZE: u64 = 5;
/// A search term beyond this is nobody's name: refused, so that a client can be seen to find the bad entry of a batch.
const MAX_TERM: usize = 320;

const FIELD_NAMES: [&str; 9] = [
    "name",
    "title",
    "linkedin",
    "company.name",
    "company.linkedin",
    "email_address",
    "company.ticker",
    "company.domain",
    "education.school",
];

pub(super) struct LiveData {
    options: LiveDataOptions,
    seed: u64,
    /// Ids of the people returned so far: one credit each, however often.
    paid_for: Mutex<HashSet<String>>,
}

impl fmt::Debug for LiveData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveData").finish_non_exhaustive()
    }
}

impl Service for LiveData {
    fn route(&self, request: &Incoming) -> Option<Routed> {
        match request.path.as_str() {
            SESSION_PATH => Some(expecting(&Method::POST, SESSION, request)),
            path if organization(path).is_some() => Some(expecting(&Method::POST, FIND, request)),
            _ => None,
        }
    }

    fn authorise(&self, operation: Operation, request: &Incoming, tokens: &Tokens) -> Result<Caller, Answer> {
        let token = request.bearer().unwrap_or_default();
        match tokens.known(API, token) {
            Some(known) => Ok(Caller::with_token(known, token)),
            None if token == self.options.api_key.expose() => Ok(Caller::with_key("api-key")),
            None => Err(self.refusal(operation, StatusCode::UNAUTHORIZED, "Unauthorized")),
        }
    }

    fn concerns(&self, operation: Operation, request: &Incoming) -> Vec<String> {
        identities(operation, request)
    }

    fn perform(&self, call: &Call<'_>) -> Answer {
        match call.operation {
            SESSION => self.session(call.request, call.tokens, call.ttl),
            _ => self.find(call.request),
        }
    }

    fn refusal(&self, _operation: Operation, status: StatusCode, why: &str) -> Answer {
        Answer::json(status, &json!({"error": why}))
    }

    fn quota(&self) -> Quota {
        Quota { rate: self.options.rate, daily: None }
    }

    fn reset(&self) {
        self.paid_for.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn credits_used(&self) -> u64 {
        self.paid_for.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    fn sections(&self, base_url: &str) -> Vec<Section> {
        let section = Section::new("enrich", "live_data")
            .with("identity_url", format!("{base_url}{IDENTITY_PATH}"))
            .with("people_url", format!("{base_url}{PEOPLE_PATH}"))
            .with("organization", self.options.organization.as_str())
            .with("client_id", self.options.client_id.as_str())
            .with("client_secret", self.options.client_secret.expose())
            .with_rate(self.options.rate);
        vec![section]
    }

    fn addresses(&self, base_url: &str) -> String {
        format!("{base_url}{IDENTITY_PATH}  {base_url}{PEOPLE_PATH}")
    }
}

/// One entry of `matches`: search terms by field name.
type Terms = Vec<(String, String)>;

impl LiveData {
    fn new(options: LiveDataOptions, seed: u64) -> Self {
        Self { options, seed, paid_for: Mutex::default() }
    }

    /// `POST /api/identity/v1/session`: a service account in JSON, or a user in a form or in JSON.
    fn session(&self, request: &Incoming, tokens: &Tokens, ttl: Duration) -> Answer {
        let refuse = |status, why: &str| self.refusal(SESSION, status, why);
        let field = |name: &str| request.json.as_ref().and_then(|body| body[name].as_str()).map(str::to_owned);
        let user = |name: Option<String>, password: Option<String>| {
            name.filter(|name| *name == self.options.username)
                .filter(|_| password.as_deref() == Some(self.options.password.expose()))
        };
        // The documentation names the token `access_token` for users and `accessToken` for service accounts.
        let (account, token_field) = if request.is_form() {
            (user(request.form("username"), request.form("password")), "access_token")
        } else {
            match field("grantType").as_deref() {
                Some("clientCredentials") => {
                    let right = field("clientId").filter(|id| {
                        *id == self.options.client_id
                            && field("clientSecret").as_deref() == Some(self.options.client_secret.expose())
                    });
                    (right, "accessToken")
                }
                Some("password") => (user(field("email"), field("password")), "accessToken"),
                Some(_) => return refuse(StatusCode::BAD_REQUEST, "grantType must be clientCredentials or password"),
                None => return refuse(StatusCode::BAD_REQUEST, "grantType is required"),
            }
        };
        let Some(account) = account else { return refuse(StatusCode::UNAUTHORIZED, "invalid credentials") };
        let token = tokens.issue(API, &account, "", ttl);
        Answer::json(StatusCode::OK, &json!({(token_field): token, "expiresAt": zoneless(ttl)}))
    }

    /// `POST /api/people/v1/{org}/find`.
    fn find(&self, request: &Incoming) -> Answer {
        let refuse = |status, why: &str| self.refusal(FIND, status, why);
        if organization(&request.path) != Some(self.options.organization.as_str()) {
            return refuse(StatusCode::NOT_FOUND, "organization not found");
        }
        let Some(body) = request.json.as_ref().and_then(Value::as_object) else {
            return refuse(StatusCode::BAD_REQUEST, "request body must be a JSON object");
        };
        let (matches, size) = match terms(body).and_then(|matches| Ok((matches, size(body)?))) {
            Ok(asked) => asked,
            Err(why) => return refuse(StatusCode::BAD_REQUEST, &why),
        };
        let answers: Vec<Vec<Value>> = matches.iter().map(|terms| self.people(terms, size)).collect();
        let returned: HashSet<String> =
            answers.iter().flatten().filter_map(|person| person["id"].as_str().map(str::to_owned)).collect();

        let mut paid_for = self.paid_for.lock().unwrap_or_else(PoisonError::into_inner);
        let used = paid_for.len() as u64;
        let new = returned.difference(&paid_for).count() as u64;
        let counted = |answer: Answer, used: u64| {
            let answer = answer.with("x-ldt-credits-used", &used.to_string());
            match self.options.credits {
                Some(cap) => answer.with("x-ldt-credits-remaining", &cap.saturating_sub(used).to_string()),
                None => answer,
            }
        };
        if self.options.credits.is_some_and(|cap| used + new > cap) {
            return counted(refuse(StatusCode::PAYMENT_REQUIRED, "credit quota exceeded"), used);
        }
        paid_for.extend(returned);
        let used = paid_for.len() as u64;
        drop(paid_for);

        let wanted: Option<Vec<&str>> = body
            .get("return_fields")
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).collect());
        let matches: Vec<Value> = answers
            .into_iter()
            .map(|people| {
                let people: Vec<Value> = match &wanted {
                    Some(wanted) => people.iter().map(|person| only(person, wanted)).collect(),
                    None => people,
                };
                json!({"found": !people.is_empty(), "people": people})
            })
            .collect();
        counted(Answer::json(StatusCode::OK, &json!({"matches": matches})), used)
    }

    fn people(&self, terms: &Terms, size: usize) -> Vec<Value> {
        people::find(self.seed, terms, self.options.found, size)
    }
}

/// The organisation in `/api/people/v1/{org}/find`.
fn organization(path: &str) -> Option<&str> {
    let organization = path.strip_prefix(PEOPLE_PATH)?.strip_prefix('/')?.strip_suffix("/find")?;
    (!organization.is_empty() && !organization.contains('/')).then_some(organization)
}

/// `2021-11-19T23:36:09.092720`: UTC, with no zone to say so.
fn zoneless(ttl: Duration) -> String {
    let at = SystemClock.now().plus(ttl);
    jiff::Timestamp::from_millisecond(at.ms())
        .map_or_else(|_| "9999-12-31T23:59:59.000000".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string())
}

fn terms(body: &Map<String, Value>) -> Result<Vec<Terms>, String> {
    let matches = body.get("matches").and_then(Value::as_array).ok_or("matches is required")?;
    if matches.is_empty() || matches.len() > MAX_MATCHES {
        return Err(format!("matches must have 1 to {MAX_MATCHES} entries"));
    }
    let one = |(n, entry): (usize, &Value)| -> Result<Terms, String> {
        let fields = entry["fields"].as_array().filter(|fields| !fields.is_empty());
        let fields = fields.ok_or_else(|| format!("matches[{n}].fields is required"))?;
        let field = |field: &Value| -> Result<(String, String), String> {
            let name = field["field_name"].as_str().filter(|name| FIELD_NAMES.contains(name));
            let name = name.ok_or_else(|| format!("matches[{n}]: unknown field_name"))?;
            let term = field["search_term"].as_str().map(str::trim);
            let term = term.filter(|term| !term.is_empty() && term.len() <= MAX_TERM && !term.contains('\0'));
            let term = term.ok_or_else(|| format!("matches[{n}]: search_term of {name} is not valid"))?;
            Ok((name.to_owned(), term.to_owned()))
        };
        fields.iter().map(field).collect()
    };
    matches.iter().enumerate().map(one).collect()
}

fn size(body: &Map<String, Value>) -> Result<usize, String> {
    let size = match body.get("size").filter(|size| !size.is_null()) {
        None => Some(MAX_SIZE),
        Some(size) => size.as_u64(),
    };
    let size =
        size.filter(|size| (1..=MAX_SIZE).contains(size)).ok_or_else(|| format!("size must be 1 to {MAX_SIZE}"))?;
    Ok(size as usize)
}

/// The person with nothing but these fields (`position.title` is the title in the position).
fn only(person: &Value, wanted: &[&str]) -> Value {
    let mut kept = Map::new();
    for path in wanted {
        let parts: Vec<&str> = path.split('.').collect();
        copy(person, &mut kept, &parts);
    }
    Value::Object(kept)
}

fn copy(from: &Value, into: &mut Map<String, Value>, path: &[&str]) {
    let [name, rest @ ..] = path else { return };
    let Some(value) = from.get(name) else { return };
    if rest.is_empty() {
        into.insert((*name).to_owned(), value.clone());
    } else if let Some(inner) =
        into.entry((*name).to_owned()).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
    {
        copy(value, inner, rest);
    }
}

/// Whom a fault plan knows this request by: everybody who is looked up in it.
fn identities(operation: Operation, request: &Incoming) -> Vec<String> {
    let Some(body) = request.json.as_ref() else { return Vec::new() };
    if operation != FIND {
        return body["clientId"].as_str().or(body["email"].as_str()).map(str::to_owned).into_iter().collect();
    }
    let Some(matches) = body["matches"].as_array() else { return Vec::new() };
    let who = matches.iter().filter_map(|entry| {
        let fields = entry["fields"].as_array()?;
        let by_email = fields.iter().find(|field| field["field_name"] == "email_address");
        by_email.or(fields.first())?["search_term"].as_str().map(|term| term.trim().to_lowercase())
    });
    who.collect::<BTreeSet<String>>().into_iter().collect()
}
