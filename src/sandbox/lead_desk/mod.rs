//! LeadDesk: the REST API and the Original API, over the same contacts. Neither refuses a contact that is there already:
//! each add makes another one, and an agent calls a person twice.
//!
//! Sources: leaddesk.com/docs (`introduction-rest-api`, `get-started`, `original-api-modules`), github.com
//! microsoft/PowerPlatformConnectors (`certified-connectors/LeadDesk`) and bartlomiejbeta/LeadDeskApiClientLib. The contact
//! resource of the REST API is not public: its path and fields are the Original API's, in the REST API's manner.

mod book;
mod options;
mod original;
mod rest;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::ledger::{Effect, EffectKind, Subject};
use super::limits::Quota;
use super::operation::{Api, Operation};
use super::refresh::{RefreshTokens, RefreshTotals};
use super::reply::Answer;
use super::request::Incoming;
use super::service::{Call, Caller, Kind, Routed, Section, Service, expecting, unwritten};
use super::tokens::Tokens;
use book::{Contacts, digits};
pub use options::LeadDeskOptions;

/// The service, for [`super::Ledger::leads_of`].
pub const API: Api = Api::new("lead_desk", "LeadDesk");
const TOKEN: Operation = API.login("ld_token");
const CREATE: Operation = API.call("ld_create");
const SEARCH: Operation = API.call("ld_search");
const CAMPAIGNS: Operation = API.call("ld_campaigns");
const ADD: Operation = API.call("ld_add");
const EXISTS: Operation = API.call("ld_exists");
const FIND: Operation = API.call("ld_find");
const GET: Operation = API.call("ld_get");
const LISTS: Operation = API.call("ld_lists");

pub(super) const KIND: Kind = Kind {
    api: API,
    operations: &[TOKEN, CREATE, SEARCH, CAMPAIGNS, ADD, EXISTS, FIND, GET, LISTS],
    start: |options, effects| Arc::new(LeadDesk::new(options.lead_desk.clone(), effects)),
};

pub(super) const REST: &str = "/leaddesk/rest";
pub(super) const ORIGINAL: &str = "/leaddesk/original";

/// Digits that make a phone number, at least.
const SHORTEST_PHONE: usize = 5;

pub(super) struct LeadDesk {
    options: LeadDeskOptions,
    contacts: Mutex<Contacts>,
    refresh: RefreshTokens,
}

/// Shows no personal data.
impl fmt::Debug for LeadDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeadDesk").finish_non_exhaustive()
    }
}

/// A contact that is asked for, checked.
struct Wanted {
    list: u64,
    phone: String,
    fields: Map<String, Value>,
}

impl LeadDesk {
    fn new(options: LeadDeskOptions, effects: &[Effect]) -> Self {
        let refresh = RefreshTokens::default();
        refresh.plant(options.refresh_token.expose(), &options.username, "");
        let contacts = Contacts::restored(effects.iter().filter(|effect| effect.api == API));
        Self { contacts: Mutex::new(contacts), refresh, options }
    }

    fn contacts(&self) -> MutexGuard<'_, Contacts> {
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The list's number, by number or by name.
    fn list(&self, found: &str) -> Option<u64> {
        let found = found.trim();
        let mut lists = self.options.contact_lists.iter();
        lists.find(|(id, name)| id.to_string() == found || name == found).map(|(id, _)| *id)
    }

    /// Makes the contact, whoever is there already; its number.
    fn add(&self, call: &Call<'_>, wanted: Wanted) -> Result<u64, Answer> {
        let email = wanted.fields.get("email").and_then(Value::as_str).unwrap_or_default().trim().to_lowercase();
        let mut contacts = self.contacts();
        let id = contacts.next_id();
        let key = format!("{}:{}", wanted.list, digits(&wanted.phone));
        let about = Subject { email: &email, key: Some(key), id, remote_id: None };
        if let Err(error) = call.note(EffectKind::Created, about, &Value::Object(wanted.fields.clone())) {
            return Err(unwritten(self, call.operation, &error));
        }
        contacts.insert(id, wanted.list, wanted.fields);
        Ok(id)
    }
}

fn is_original(operation: Operation) -> bool {
    matches!(operation, ADD | EXISTS | FIND | GET | LISTS)
}

impl Service for LeadDesk {
    fn route(&self, request: &Incoming) -> Option<Routed> {
        if let Some("" | "/") = request.below(ORIGINAL) {
            return Some(original::route(request));
        }
        Some(match request.below(REST)? {
            "/oauth/access-token" => expecting(&Method::POST, TOKEN, request),
            "/contacts" if request.method == Method::GET => Ok(SEARCH),
            "/contacts" => expecting(&Method::POST, CREATE, request),
            "/campaigns" => expecting(&Method::GET, CAMPAIGNS, request),
            _ => return None,
        })
    }

    fn authorise(&self, operation: Operation, request: &Incoming, tokens: &Tokens) -> Result<Caller, Answer> {
        if is_original(operation) {
            let key = original::argument(request, "auth");
            let right = key.as_deref() == Some(self.options.auth_key.expose());
            // With 400, not 401, says the vendor.
            let refused = || self.refusal(operation, StatusCode::BAD_REQUEST, "ERR_AUTHENTICATION");
            return right.then(|| Caller::with_key("auth-key")).ok_or_else(refused);
        }
        let token = request.bearer().unwrap_or_default();
        match tokens.known(API, token) {
            Some(known) => Ok(Caller::with_token(known, token)),
            None if token == self.options.access_token.expose() => Ok(Caller::with_key(&self.options.username)),
            None => Err(self.refusal(operation, StatusCode::UNAUTHORIZED, "Unauthorized")),
        }
    }

    fn concerns(&self, operation: Operation, request: &Incoming) -> Vec<String> {
        let text = |name: &str| match operation {
            CREATE => request.json.as_ref().and_then(|body| body[name].as_str().map(str::to_owned)),
            TOKEN => request.field(name),
            SEARCH | CAMPAIGNS => request.parameter(name),
            _ => original::argument(request, name),
        };
        let who = match operation {
            TOKEN => text("leaddesk_client_id").or_else(|| text("username")),
            GET => text("contact_id").and_then(|id| self.contacts().known_as(id.parse().ok()?)),
            // By address where it is known, as the plan names leads; a look-up has the number alone.
            _ => text("email").or_else(|| {
                let phone = text("phone")?;
                self.contacts().address_of(&digits(&phone)).or(Some(phone))
            }),
        };
        who.map(|who| who.trim().to_lowercase()).filter(|who| !who.is_empty()).into_iter().collect()
    }

    fn perform(&self, call: &Call<'_>) -> Answer {
        match call.operation {
            TOKEN => self.token(call),
            CREATE => self.create(call),
            SEARCH => self.search(call.request),
            CAMPAIGNS => self.campaigns(call.request),
            _ => self.original(call),
        }
    }

    fn refusal(&self, operation: Operation, status: StatusCode, why: &str) -> Answer {
        if !is_original(operation) {
            let field = if operation == TOKEN { "error" } else { "message" };
            return Answer::json(status, &json!({(field): why}));
        }
        let word = match status.as_u16() {
            _ if why.starts_with("ERR_") => why,
            401 | 403 => "ERR_AUTHENTICATION",
            404 => "ERR_NOT_FOUND",
            _ => "ERR_UNDEFINED",
        };
        Answer::text(status, word)
    }

    fn quota(&self) -> Quota {
        Quota { rate: self.options.rate, daily: None }
    }

    fn reset(&self) {
        *self.contacts() = Contacts::default();
        self.refresh.reset();
    }

    fn sections(&self, base_url: &str) -> Vec<Section> {
        let mut section = Section::new("destinations.calls", "lead_desk")
            .with("api", "original")
            .with("base_url", format!("{base_url}{ORIGINAL}/"))
            .with("auth_key", self.options.auth_key.expose());
        if let Some((id, name)) = self.options.contact_lists.last() {
            section = section.with("contact_list", name.as_str());
            section = section.with("contact_list_id", i64::try_from(*id).unwrap_or(i64::MAX));
        }
        vec![section.with_rate(self.options.rate)]
    }

    fn addresses(&self, base_url: &str) -> String {
        format!("{base_url}{ORIGINAL}/  {base_url}{REST}")
    }

    fn id_pointers(&self) -> &'static [&'static str] {
        &["/id", "/contact_id", "/contact_ids", "/collection/0/id"]
    }

    fn error_body(&self, operation: Operation) -> Answer {
        let body = if is_original(operation) {
            json!({"success": false, "error": "ERR_UNDEFINED"})
        } else {
            json!({"status": 500, "error": "Internal Server Error", "message": "please try again"})
        };
        Answer::json(StatusCode::OK, &body)
    }

    fn other_lead(&self, operation: Operation) -> Answer {
        let body = if is_original(operation) {
            json!({"success": true, "contact_id": 99_000_001, "contact_ids": [99_000_001], "total_count": 1})
        } else {
            json!({"id": 99_000_001, "fname": "Nobody", "email": "nobody@sandbox.example", "phone": "+10000000000"})
        };
        Answer::json(StatusCode::OK, &body)
    }

    fn refreshes(&self) -> Option<RefreshTotals> {
        Some(self.refresh.totals())
    }
}
