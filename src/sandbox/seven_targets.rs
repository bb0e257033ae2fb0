//! 7targets: Cognito's token endpoint, leads, assistants. Sources: 7targets.ai/help/integrate/api, AWS Cognito "Token
//! endpoint", and the vendor's help pages for "one e-mail address is one lead".
//!
//! Where the vendor is silent (duplicates, unknown e-mail, error bodies) the sandbox takes the plainest reading: 409, 404,
//! and `{"message": "…"}`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::ledger::{Effect, EffectKind, Subject};
use super::limits::Quota;
use super::operation::{Api, Operation};
use super::options::{Duplicate, SevenTargetsOptions};
use super::reply::Answer;
use super::request::Incoming;
use super::service::{Call, Caller, Kind, Routed, Section, Service, expecting, unwritten};
use super::tokens::Tokens;
use crate::clock::{Clock, SystemClock};

pub(super) const API: Api = Api::new("seven_targets", "7targets");
const TOKEN: Operation = API.login("token");
pub(super) const CREATE: Operation = API.call("create");
const UPDATE: Operation = API.call("update");
const ASSISTANTS: Operation = API.call("assistants");

pub(super) const KIND: Kind = Kind {
    api: API,
    operations: &[TOKEN, CREATE, UPDATE, ASSISTANTS],
    start: |options, effects| Arc::new(SevenTargets::new(options.seven_targets.clone(), effects)),
};

pub(super) const TOKEN_PATH: &str = "/oauth2/token";
const LEADS_PATH: &str = "/leads";
const ASSISTANTS_PATH: &str = "/leads/assistant";

/// The first lead's and the first assistant's numbers: not 1, so that nobody mistakes them for an index.
const FIRST_LEAD: u64 = 2345;
const FIRST_ASSISTANT: u64 = 61;
/// An assistant's own schedule.
const DEFAULT_SCHEDULE: u64 = 1;
const DAY: Duration = Duration::from_secs(86_400);

/// Fields that a lead keeps and a reply shows, apart from those the service fills.
const FIELDS: [&str; 9] = [
    "name",
    "lastName",
    "phone",
    "scheduleId",
    "scheduleName",
    "source",
    "context",
    "additionalInformationLine",
    "customFields",
];

struct StoredLead {
    id: u64,
    /// As first sent: it can't be changed.
    email: String,
    assistant: u64,
    fields: Map<String, Value>,
}

#[derive(Default)]
struct Leads {
    by_email: HashMap<String, StoredLead>,
    email_of: HashMap<u64, String>,
}

pub(super) struct SevenTargets {
    options: SevenTargetsOptions,
    leads: Mutex<Leads>,
}

/// Shows no personal data.
impl fmt::Debug for SevenTargets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SevenTargets").finish_non_exhaustive()
    }
}

/// Why a body is not taken: 400 with this message.
type Invalid = String;

/// What every create and update must name.
struct Named<'a> {
    body: &'a Map<String, Value>,
    email: String,
    assistant: u64,
}

impl SevenTargets {
    /// With the leads that these effects left.
    fn new(options: SevenTargetsOptions, effects: &[Effect]) -> Self {
        let service = Self { options, leads: Mutex::default() };
        for effect in effects.iter().filter(|effect| effect.api == API) {
            let Some(body) = effect.body.as_object() else { continue };
            // An assistant of an earlier start may be gone; the lead then falls to the first.
            let assistant = service.assistant(body).unwrap_or(FIRST_ASSISTANT);
            let mut leads = service.leads.lock().unwrap_or_else(PoisonError::into_inner);
            match effect.effect {
                EffectKind::Created => leads.insert(effect.id, &effect.email, assistant, body),
                EffectKind::Updated => leads.update(&effect.email, assistant, body),
                _ => {}
            }
        }
        service
    }

    /// `POST /oauth2/token`: client credentials by Basic, a form; errors as RFC 6749, 5.2.
    fn token(&self, request: &Incoming, tokens: &Tokens, ttl: Duration) -> Answer {
        let refuse = |error| self.refusal(TOKEN, StatusCode::BAD_REQUEST, error);
        if !request.is_form() {
            return refuse("invalid_request");
        }
        match request.form("grant_type").as_deref() {
            Some("client_credentials") => {}
            Some(_) => return refuse("unsupported_grant_type"),
            None => return refuse("invalid_request"),
        }
        let right = |(id, secret): &(String, String)| {
            *id == self.options.client_id && secret == self.options.client_secret.expose()
        };
        let Some((client, _)) = request.basic().filter(right) else { return refuse("invalid_client") };
        let scopes = request.form("scope").unwrap_or_else(|| self.options.scope.clone());
        if scopes.split(' ').any(|scope| scope != self.options.scope) {
            return refuse("invalid_scope");
        }
        let token = tokens.issue(API, &client, &scopes, ttl);
        let body = json!({"access_token": token, "expires_in": ttl.as_secs(), "token_type": "Bearer"});
        Answer::json(StatusCode::OK, &body)
    }

    /// `POST /leads`.
    fn create(&self, call: &Call<'_>) -> Answer {
        let named = match self.named(call.request) {
            Ok(named) => named,
            Err(why) => return self.refusal(CREATE, StatusCode::BAD_REQUEST, &why),
        };
        let body = Value::Object(named.body.clone());
        // Held until it is written down: two creates of one e-mail must not both find nothing.
        let mut leads = self.leads.lock().unwrap_or_else(PoisonError::into_inner);
        let Leads { by_email, .. } = &*leads;
        if let Some(lead) = by_email.get(&named.email) {
            let noted = call.note(EffectKind::Repeated, Subject::by_email(&named.email, lead.id), &body);
            if let Err(error) = noted {
                return unwritten(self, CREATE, &error);
            }
            return match self.options.duplicate {
                Duplicate::Conflict => {
                    self.refusal(CREATE, StatusCode::CONFLICT, "A lead with this email already exists")
                }
                Duplicate::ReturnExisting => Answer::json(StatusCode::OK, &shown(lead)),
            };
        }
        let id = FIRST_LEAD + leads.by_email.len() as u64;
        if let Err(error) = call.note(EffectKind::Created, Subject::by_email(&named.email, id), &body) {
            return unwritten(self, CREATE, &error);
        }
        leads.insert(id, &named.email, named.assistant, named.body);
        match leads.by_email.get(&named.email) {
            Some(lead) => Answer::json(StatusCode::CREATED, &shown(lead)),
            None => self.refusal(CREATE, StatusCode::INTERNAL_SERVER_ERROR, "the lead was lost"),
        }
    }

    /// `PUT /leads`: by `id`, else by e-mail; what is missing or null stays as it is.
    fn update(&self, call: &Call<'_>) -> Answer {
        let named = match self.named(call.request) {
            Ok(named) => named,
            Err(why) => return self.refusal(UPDATE, StatusCode::BAD_REQUEST, &why),
        };
        let mut leads = self.leads.lock().unwrap_or_else(PoisonError::into_inner);
        let email = match named.body.get("id").filter(|id| !id.is_null()) {
            None => Some(named.email.clone()),
            Some(id) => id.as_u64().and_then(|id| leads.email_of.get(&id).cloned()),
        };
        let Some((email, id)) = email.and_then(|email| leads.by_email.get(&email).map(|lead| (email, lead.id))) else {
            return self.refusal(UPDATE, StatusCode::NOT_FOUND, "Lead not found");
        };
        if email != named.email {
            return self.refusal(UPDATE, StatusCode::BAD_REQUEST, "email cannot be changed");
        }
        let body = Value::Object(named.body.clone());
        if let Err(error) = call.note(EffectKind::Updated, Subject::by_email(&email, id), &body) {
            return unwritten(self, UPDATE, &error);
        }
        leads.update(&email, named.assistant, named.body);
        match leads.by_email.get(&email) {
            Some(lead) => Answer::json(StatusCode::OK, &shown(lead)),
            None => self.refusal(UPDATE, StatusCode::NOT_FOUND, "Lead not found"),
        }
    }

    /// `GET /leads/assistant?searchString=&page=0&size=10`.
    fn assistants(&self, request: &Incoming) -> Answer {
        let number = |name: &str, default: usize| match request.parameter(name) {
            None => Ok(default),
            Some(text) if text.is_empty() => Ok(default),
            Some(text) => text.parse::<usize>().map_err(|_| format!("{name} must be a number")),
        };
        let (page, size) = match (number("page", 0), number("size", 10)) {
            (Ok(page), Ok(size @ 1..=100)) => (page, size),
            (Err(why), _) | (_, Err(why)) => return self.refusal(ASSISTANTS, StatusCode::BAD_REQUEST, &why),
            (Ok(_), Ok(_)) => {
                return self.refusal(ASSISTANTS, StatusCode::BAD_REQUEST, "size must be from 1 to 100");
            }
        };
        let search = request.parameter("searchString").unwrap_or_default().to_lowercase();
        let assistants = (FIRST_ASSISTANT..).zip(&self.options.assistants);
        let page: Vec<Value> = assistants
            .filter(|(_, email)| email.to_lowercase().contains(&search))
            .skip(page.saturating_mul(size))
            .take(size)
            .map(|(id, email)| {
                let name = email.split('@').next().unwrap_or_default();
                json!({"id": id, "name": name, "organisationId": 7, "emailid": email, "role": "SALES",
                       "defaultScheduleId": DEFAULT_SCHEDULE, "perDayEmailLimit": 100})
            })
            .collect();
        Answer::json(StatusCode::OK, &page)
    }

    /// What a body must have, checked.
    fn named<'a>(&self, request: &'a Incoming) -> Result<Named<'a>, Invalid> {
        let body = request.json.as_ref().and_then(Value::as_object).ok_or("request body must be a JSON object")?;
        text(body, "name")?.ok_or("name is mandatory")?;
        let email = text(body, "email")?.ok_or("email is mandatory")?.to_lowercase();
        if !email_address::EmailAddress::is_valid(&email) {
            return Err("email is not valid".to_owned());
        }
        for field in ["lastName", "phone", "scheduleName", "source", "context", "additionalInformationLine"] {
            text(body, field)?;
        }
        if body.get("scheduleId").is_some_and(|id| !id.is_null() && !id.is_u64()) {
            return Err("scheduleId must be a number".to_owned());
        }
        if let Some(fields) = body.get("customFields").filter(|fields| !fields.is_null()) {
            let well_formed = |field: &Value| field["name"].is_string() && field["value"].is_string();
            if !fields.as_array().is_some_and(|fields| fields.iter().all(well_formed)) {
                return Err("customFields must be a list of objects with name and value".to_owned());
            }
        }
        Ok(Named { assistant: self.assistant(body)?, body, email })
    }

    /// The assistant's number, by e-mail, else by id.
    fn assistant(&self, body: &Map<String, Value>) -> Result<u64, Invalid> {
        if let Some(email) = text(body, "assistantEmail")? {
            let known = (FIRST_ASSISTANT..).zip(&self.options.assistants);
            let found = known.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(email));
            return found.map(|(id, _)| id).ok_or_else(|| "assistantEmail is not an assistant of this account".into());
        }
        let id = body.get("assistantId").filter(|id| !id.is_null()).ok_or("assistantEmail is mandatory")?;
        let known = FIRST_ASSISTANT..FIRST_ASSISTANT + self.options.assistants.len() as u64;
        id.as_u64()
            .filter(|id| known.contains(id))
            .ok_or_else(|| "assistantId is not an assistant of this account".into())
    }
}

impl Service for SevenTargets {
    fn route(&self, request: &Incoming) -> Option<Routed> {
        Some(match request.path.as_str() {
            TOKEN_PATH => expecting(&Method::POST, TOKEN, request),
            LEADS_PATH if request.method == Method::PUT => Ok(UPDATE),
            LEADS_PATH => expecting(&Method::POST, CREATE, request),
            ASSISTANTS_PATH => expecting(&Method::GET, ASSISTANTS, request),
            _ => return None,
        })
    }

    fn authorise(&self, operation: Operation, request: &Incoming, tokens: &Tokens) -> Result<Caller, Answer> {
        let known = request.bearer().and_then(|token| Some((tokens.known(API, token)?, token)));
        let Some((known, token)) = known else {
            return Err(self.refusal(operation, StatusCode::UNAUTHORIZED, "Unauthorized"));
        };
        let user = self.options.user_identifier.as_deref();
        if user.is_some_and(|user| request.header("7ts-user-identifier") != Some(user)) {
            let why = "Forbidden: 7ts-user-identifier is missing or unknown";
            return Err(self.refusal(operation, StatusCode::FORBIDDEN, why));
        }
        Ok(Caller::with_token(known, token))
    }

    fn concerns(&self, operation: Operation, request: &Incoming) -> Vec<String> {
        match operation {
            CREATE | UPDATE => {
                let email = request.json.as_ref().and_then(|body| body["email"].as_str());
                email.map(|email| email.trim().to_lowercase()).into_iter().collect()
            }
            _ => request.query.clone().into_iter().collect(),
        }
    }

    fn perform(&self, call: &Call<'_>) -> Answer {
        match call.operation {
            TOKEN => self.token(call.request, call.tokens, call.ttl),
            CREATE => self.create(call),
            UPDATE => self.update(call),
            _ => self.assistants(call.request),
        }
    }

    fn refusal(&self, operation: Operation, status: StatusCode, why: &str) -> Answer {
        let field = if operation == TOKEN { "error" } else { "message" };
        Answer::json(status, &json!({(field): why}))
    }

    fn quota(&self) -> Quota {
        Quota { rate: self.options.rate, daily: None }
    }

    fn reset(&self) {
        *self.leads.lock().unwrap_or_else(PoisonError::into_inner) = Leads::default();
    }

    fn sections(&self, base_url: &str) -> Vec<Section> {
        let mut section = Section::new("destinations.7targets", "seven_targets")
            .with("default", true)
            .with("api_url", base_url)
            .with("token_url", format!("{base_url}{TOKEN_PATH}"))
            .with("client_id", self.options.client_id.as_str())
            .with("client_secret", self.options.client_secret.expose())
            .with("scope", self.options.scope.as_str());
        if let Some(user) = self.options.user_identifier.as_deref() {
            section = section.with("user_identifier", user);
        }
        if let Some(email) = self.options.assistants.last() {
            section = section.with("assistant_email", email.as_str());
        }
        vec![section.with_rate(self.options.rate)]
    }

    fn addresses(&self, base_url: &str) -> String {
        format!("{base_url}  {base_url}{TOKEN_PATH}")
    }
}

impl Leads {
    fn insert(&mut self, id: u64, email: &str, assistant: u64, body: &Map<String, Value>) {
        let mut lead = StoredLead { id, email: email.to_owned(), assistant, fields: Map::new() };
        lead.take(body);
        self.email_of.insert(id, email.to_owned());
        self.by_email.insert(email.to_owned(), lead);
    }

    fn update(&mut self, email: &str, assistant: u64, body: &Map<String, Value>) {
        if let Some(lead) = self.by_email.get_mut(email) {
            lead.assistant = assistant;
            lead.take(body);
        }
    }
}

impl StoredLead {
    fn take(&mut self, body: &Map<String, Value>) {
        let given = FIELDS.iter().filter_map(|field| body.get_key_value(*field)).filter(|(_, value)| !value.is_null());
        self.fields.extend(given.map(|(field, value)| (field.clone(), value.clone())));
    }
}

/// A lead as the documentation prints it.
fn shown(lead: &StoredLead) -> Value {
    let field = |name: &str| lead.fields.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "id": lead.id,
        "name": field("name"),
        "lastName": field("lastName"),
        "type": "SALES",
        "email": lead.email,
        "phone": field("phone"),
        "source": lead.fields.get("source").cloned().unwrap_or_else(|| "Website".into()),
        "scheduleId": lead.fields.get("scheduleId").cloned().unwrap_or_else(|| DEFAULT_SCHEDULE.into()),
        "scheduleName": lead.fields.get("scheduleName").cloned().unwrap_or_else(|| "Default".into()),
        "assistantId": lead.assistant,
        "nextScheduleTime": SystemClock.now().plus(DAY).to_string(),
        "state": "Cold",
        "subState": "Followup",
        "followup": 1,
        "customFields": lead.fields.get("customFields").cloned().unwrap_or_else(|| json!([])),
    })
}

/// A field's text, trimmed; `None` if it is missing, null or blank.
fn text<'a>(body: &'a Map<String, Value>, field: &str) -> Result<Option<&'a str>, Invalid> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(format!("{field} must be a string")),
    }
}
