//! 7targets (api.7targets.com): AI sales assistants that write to leads. There is no idempotency key, no documented way to
//! read one lead, and a lead can't be deleted once added; so an unknown outcome is settled with `PUT /leads`, which finds by
//! e-mail, leaves missing fields unchanged, and answers with the lead if it is there.
//!
//! Sources: <https://7targets.ai/help/integrate/api> (endpoints and fields; the repository `7targets/7targets-docs` keeps its
//! history), the vendor's own clients `7targets/Salesforce-Integration` and `7targets/7Targets-Odoo-integration` (undocumented
//! fields, states). Error bodies, rate limits and the answer to an existing e-mail are documented nowhere: see `phrases.rs`.

mod check;
mod phrases;
mod settings;
mod wire;

#[cfg(test)]
mod tests;

use http::header::{ACCEPT, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

pub(super) use self::settings::KIND;

use self::phrases::{Phrases, Subject};
use self::settings::SevenTargetsSettings;
use self::wire::RemoteLead;
use super::registry::BuildError;
use super::routing::{damaged, is_routing};
use super::template::Template;
use super::{Asked, CheckStep, Destination, Limits, UnknownPolicy, Unsendable, Verdict, below};
use crate::http::message::{Reply, Request};
use crate::lead::{Lead, Prepared};

/// Which user of the account calls; required by newer versions of the API. Source: the vendor's API page.
const USER_IDENTIFIER: HeaderName = HeaderName::from_static("7ts-user-identifier");
/// Body fields that a template may fill: those documented, and (after `context`) those that only the vendor's own clients send.
const TEMPLATE_FIELDS: [&str; 14] = [
    "additionalInformationLine",
    "lastName",
    "phone",
    "scheduleName",
    "source",
    "context",
    "company",
    "crm",
    "designation",
    "externalId",
    "industry",
    "location",
    "state",
    "userTypedSubject",
];
/// A template's key for an entry of `customFields`: `customFields.Budget`.
const CUSTOM_PREFIX: &str = "customFields.";

/// The account that leads are created in. Holds no secret and no connection.
pub struct SevenTargets {
    /// The destination's name, for messages that name keys.
    name: String,
    leads_url: Url,
    user_identifier: Option<HeaderValue>,
    assistant: Assistant,
    schedule_id: Option<i64>,
    schedule_name: Option<String>,
    already_exists: Vec<Vec<String>>,
    fields: Vec<(FieldKey, Template)>,
    limits: Limits,
    unknown: UnknownPolicy,
}

/// Who writes to the leads: the address where both were given, since newer versions of the API ask for it.
enum Assistant {
    Email(String),
    Id(i64),
}

/// Where a template's result goes.
enum FieldKey {
    Body(&'static str),
    Custom(String),
}

impl FieldKey {
    fn name(&self) -> &str {
        match self {
            Self::Body(name) => name,
            Self::Custom(name) => name,
        }
    }
}

impl SevenTargets {
    /// The destination called `name` in the configuration.
    ///
    /// # Errors
    /// [`BuildError`] if no assistant is named, the user identifier can't be a header, or a template can't be used.
    fn new(name: &str, settings: &SevenTargetsSettings) -> Result<Self, BuildError> {
        let key = |key: &str| format!("destinations.{name}.{key}");
        let given = |text: &Option<String>| text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
        let assistant = match (given(&settings.assistant_email), settings.assistant_id) {
            (Some(email), _) => Assistant::Email(email),
            (None, Some(id)) => Assistant::Id(id),
            (None, None) => {
                return Err(BuildError::missing_or(key("assistant_email"), format!("`{}`", key("assistant_id"))));
            }
        };
        let user_identifier = match given(&settings.user_identifier) {
            None => None,
            Some(text) => {
                let mut value = HeaderValue::from_str(&text).map_err(|_| {
                    BuildError::bad(
                        key("user_identifier"),
                        "characters that no header can hold",
                        "one line of plain text",
                    )
                })?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        if settings.api_url.cannot_be_a_base() {
            return Err(BuildError::bad(key("api_url"), settings.api_url.scheme(), "an https address"));
        }
        let leads_url = below(&settings.api_url, &["leads"]);
        let mut fields = Vec::with_capacity(settings.fields.len());
        for (field, text) in &settings.fields {
            let full_key = key(&format!("fields.{field}"));
            fields.push((field_key(field, &full_key)?, Template::compile(&full_key, text)?));
        }
        Ok(Self {
            name: name.to_owned(),
            leads_url,
            user_identifier,
            assistant,
            schedule_id: settings.schedule_id,
            schedule_name: given(&settings.schedule_name),
            already_exists: settings.already_exists.iter().map(|words| phrases::phrase(words)).collect(),
            fields,
            limits: settings.limits,
            unknown: settings.unknown,
        })
    }

    fn key(&self, key: &str) -> String {
        format!("destinations.{}.{key}", self.name)
    }

    fn request(&self, method: Method, url: Url) -> Request {
        let request = Request::new(method, url).header(ACCEPT, HeaderValue::from_static("application/json"));
        match &self.user_identifier {
            Some(value) => request.header(USER_IDENTIFIER, value.clone()),
            None => request,
        }
    }

    /// What a success means: the lead, if the body says which.
    fn read_success(&self, asked: Asked, reply: &Reply) -> Verdict {
        let Some(lead) = RemoteLead::read(reply) else {
            let code = reply.status.as_u16();
            return Verdict::Unknown {
                why: format!("7targets answered {code} without the lead's id: {}", reply.message()),
            };
        };
        let unworked = "its state is `New`: the plan's lead limit may be used up, so nobody is writing to it";
        let note = match (asked, lead.is_new()) {
            (Asked::Create, false) => None,
            (Asked::Create, true) => Some(format!("created, but {unworked}")),
            (Asked::Find | Asked::Complete, false) => Some("confirmed by probe".to_owned()),
            (Asked::Find | Asked::Complete, true) => Some(format!("confirmed by probe, but {unworked}")),
        };
        Verdict::Accepted { remote_id: Some(lead.id), already: asked == Asked::Find, note }
    }

    /// What any 4xx may say of the configuration rather than the lead.
    fn account_wrong(&self, phrases: &Phrases, reply: &Reply) -> Option<Verdict> {
        let wrong = |reason: String, remedy: String| Some(Verdict::AccountWrong { reason, remedy });
        let (code, said) = (reply.status.as_u16(), reply.message());
        if phrases.faults(Subject::Assistant) {
            let key = match self.assistant {
                Assistant::Email(_) => "assistant_email",
                Assistant::Id(_) => "assistant_id",
            };
            return wrong(
                format!("7targets does not know the assistant ({code}: {said})"),
                format!("check {}", self.key(key)),
            );
        }
        // A schedule that a template names comes from the lead: then it's the lead that is refused.
        let templated = self.fields.iter().any(|(key, _)| matches!(key, FieldKey::Body("scheduleName")));
        let configured = self.schedule_id.is_some() || self.schedule_name.is_some();
        if configured && !templated && phrases.faults(Subject::Schedule) {
            let key = if self.schedule_id.is_some() { "schedule_id" } else { "schedule_name" };
            return wrong(
                format!("7targets does not know the schedule ({code}: {said})"),
                format!("check {}", self.key(key)),
            );
        }
        if phrases.faults(Subject::Identifier) {
            return wrong(
                format!("7targets refuses the user identifier ({code}: {said})"),
                format!("check {}", self.key("user_identifier")),
            );
        }
        None
    }

    fn read_create_refusal(&self, reply: &Reply) -> Option<Verdict> {
        let phrases = Phrases::read(&reply.said());
        if let Some(verdict) = self.account_wrong(&phrases, reply) {
            return Some(verdict);
        }
        if phrases.already_there(&self.already_exists) {
            let remote_id = RemoteLead::read(reply).map(|lead| lead.id);
            return Some(Verdict::Accepted { remote_id, already: true, note: None });
        }
        if matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) && is_routing(reply) {
            return Some(self.wrong_address(reply));
        }
        None
    }

    /// Only a clear "not there" is [`Verdict::Absent`], for it permits a second create. A refusal of the probe says nothing
    /// of the lead.
    fn read_find_refusal(&self, reply: &Reply) -> Verdict {
        let phrases = Phrases::read(&reply.said());
        if let Some(verdict) = self.account_wrong(&phrases, reply) {
            return verdict;
        }
        let not_there = match (reply.status, phrases.missing()) {
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) if is_routing(reply) => false,
            (
                StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY,
                Some(Subject::Lead | Subject::Nothing),
            ) => true,
            (StatusCode::NOT_FOUND, None) => true,
            _ => false,
        };
        if not_there {
            return Verdict::Absent;
        }
        let code = reply.status.as_u16();
        Verdict::Unknown { why: format!("7targets could not say whether it is there ({code}: {})", reply.message()) }
    }

    fn wrong_address(&self, reply: &Reply) -> Verdict {
        let (reason, remedy) = self.wrong_address_words(reply);
        Verdict::AccountWrong { reason, remedy }
    }

    fn wrong_address_words(&self, reply: &Reply) -> (String, String) {
        let host = self.leads_url.host_str().unwrap_or("the configured address");
        let code = reply.status.as_u16();
        (
            format!("{host} is not the API of 7targets ({code}: {})", reply.message()),
            format!("check {}", self.key("api_url")),
        )
    }

    fn forbidden_words(&self, reply: &Reply) -> (String, String) {
        (
            format!("7targets refuses access (403: {})", reply.message()),
            format!("check {} and {}", self.key("user_identifier"), self.key("scope")),
        )
    }
}

fn field_key(field: &str, key: &str) -> Result<FieldKey, BuildError> {
    if let Some(name) = field.strip_prefix(CUSTOM_PREFIX).filter(|name| !name.trim().is_empty()) {
        return Ok(FieldKey::Custom(name.to_owned()));
    }
    if let Some(known) = TEMPLATE_FIELDS.into_iter().find(|known| *known == field) {
        return Ok(FieldKey::Body(known));
    }
    let nearest = TEMPLATE_FIELDS
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &field.to_lowercase()), known))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let expected = match nearest {
        Some((_, known)) => format!("`{known}`?"),
        None => format!("one of {}, or {CUSTOM_PREFIX}NAME", TEMPLATE_FIELDS.join(", ")),
    };
    Err(BuildError::bad(key, format!("`{field}`, which no template can fill"), expected))
}

impl Destination for SevenTargets {
    fn kind(&self) -> &'static str {
        "seven_targets"
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn on_unknown(&self) -> UnknownPolicy {
        self.unknown
    }

    /// One e-mail address is one lead. Source: the vendor's FAQ, "How to add same lead email id for different context".
    fn identity(&self, lead: &Lead) -> Result<String, Unsendable> {
        if lead.email.is_empty() {
            return Err(Unsendable { field: "email", reason: "missing; 7targets knows leads by it".to_owned() });
        }
        Ok(lead.email.clone())
    }

    fn create(&self, prepared: &Prepared) -> Result<Request, Unsendable> {
        Ok(self.request(Method::POST, self.leads_url.clone()).json(&self.create_body(prepared)?))
    }

    /// An update of nothing: the mandatory fields alone, since what is missing stays unchanged.
    fn find(&self, prepared: &Prepared) -> Option<Request> {
        let body = self.mandatory(prepared).ok()?;
        Some(self.request(Method::PUT, self.leads_url.clone()).json(&Value::Object(body)))
    }

    fn read(&self, asked: Asked, _about: &Prepared, reply: &Reply) -> Option<Verdict> {
        if let Some(verdict) = damaged(reply) {
            return Some(verdict);
        }
        match reply.status {
            status if status.is_success() => Some(self.read_success(asked, reply)),
            // Also what a server answers after it has done its work: by status alone it is unknown, and looked for first.
            StatusCode::FOUND | StatusCode::SEE_OTHER if asked == Asked::Create => None,
            status if status.is_redirection() => Some(self.wrong_address(reply)),
            StatusCode::UNAUTHORIZED => Some(Verdict::AuthExpired),
            StatusCode::FORBIDDEN => {
                let (reason, remedy) = self.forbidden_words(reply);
                Some(Verdict::AccountWrong { reason, remedy })
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => None,
            status if status.is_client_error() => match asked {
                Asked::Create => self.read_create_refusal(reply),
                Asked::Find => Some(self.read_find_refusal(reply)),
                Asked::Complete => None,
            },
            _ => None,
        }
    }

    fn is_about_another(&self, prepared: &Prepared, reply: &Reply) -> bool {
        wire::address_in(reply).is_some_and(|said| !wire::is_same_address(&said, &prepared.lead.email))
    }

    fn check(&self, replies: &[Reply]) -> CheckStep {
        self.check_account(replies)
    }
}
