//! LeadConnector (GoHighLevel): a lead becomes a contact of a location. There is no idempotency key, but an upsert that
//! finds by e-mail or phone as the location is set up, so that a repeat updates and does not create.
//!
//! Sources: <https://github.com/GoHighLevel/highlevel-api-docs> (CC0): `apps/v3/contacts-v3.json` (endpoints and fields),
//! `apps/v3/common/common-schemas.json` (errors), and the issues 37, 59, 62, 64, 217, 262, 313 and 337, for what the
//! reference doesn't say; npm `@gohighlevel/api-client` 3.1.0, the vendor's own client.

mod check;
mod echo;
mod limits;
mod locations;
mod login;
mod settings;
mod verdict;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use http::header::{ACCEPT, HeaderValue};
use serde_json::Value;
use url::Url;

pub(super) use self::settings::KIND;

use self::limits::Window;
use self::login::{Api, VERSION};
use self::settings::LeadConnectorSettings;
use self::wire::FieldKey;
use super::registry::BuildError;
use super::routing::damaged;
use super::template::Template;
use super::{Asked, CheckStep, Destination, Limits, Shows, UnknownPolicy, Unsendable, Verdict};
use crate::http::message::{Reply, Request};
use crate::lead::{Lead, Prepared};

/// The location that contacts are created in. Holds no secret and no connection.
pub struct LeadConnector {
    /// The destination's name, for messages that name keys.
    name: String,
    api: Api,
    location_id: String,
    /// The agency and its app, where the login is an agency's.
    agency: Option<Agency>,
    fields: Vec<(FieldKey, Template)>,
    tags: Vec<Template>,
    limits: Limits,
    unknown: UnknownPolicy,
    window: Mutex<Window>,
}

/// Who asks for the locations of an agency.
struct Agency {
    company_id: String,
    client_id: String,
}

impl LeadConnector {
    /// The destination called `name` in the configuration.
    ///
    /// # Errors
    /// [`BuildError`] if the address or version can't be used, or a template.
    fn new(name: &str, settings: &LeadConnectorSettings) -> Result<Self, BuildError> {
        let key = |key: &str| format!("destinations.{name}.{key}");
        let api = Api::new(name, &settings.base_url, &settings.path_prefix, &settings.api_version)?;
        let mut fields = Vec::with_capacity(settings.fields.len());
        for (field, text) in &settings.fields {
            let full_key = key(&format!("fields.{field}"));
            fields.push((FieldKey::read(field, &full_key)?, Template::compile(&full_key, text)?));
        }
        let tags = settings.tags.iter().map(|text| Template::compile(&key("tags"), text)).collect::<Result<_, _>>()?;
        let agency = settings.company_id.clone().zip(settings.client_id.clone());
        Ok(Self {
            name: name.to_owned(),
            api,
            location_id: settings.location_id.clone(),
            agency: agency.map(|(company_id, client_id)| Agency { company_id, client_id }),
            fields,
            tags,
            limits: settings.limits,
            unknown: settings.unknown,
            window: Mutex::default(),
        })
    }

    fn key(&self, key: &str) -> String {
        format!("destinations.{}.{key}", self.name)
    }

    fn request(&self, method: Method, url: Url) -> Request {
        Request::new(method, url)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(VERSION, self.api.version.clone())
    }

    /// `GET /contacts/search/duplicate`, which finds by what the location tells contacts apart by. By e-mail where there is
    /// one: a phone may be several people's.
    fn look_up(&self, email: &str, phone: Option<&str>) -> Option<Request> {
        let (name, value) = match (email, phone) {
            ("", None) => return None,
            ("", Some(phone)) => ("number", phone),
            (email, _) => ("email", email),
        };
        let mut url = self.api.at(&["contacts", "search", "duplicate"]);
        url.query_pairs_mut().append_pair("locationId", &self.location_id).append_pair(name, value);
        Some(self.request(Method::GET, url))
    }
}

impl Destination for LeadConnector {
    fn kind(&self) -> &'static str {
        "lead_connector"
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn on_unknown(&self) -> UnknownPolicy {
        self.unknown
    }

    /// One e-mail address is one contact. A location may be set up to tell contacts apart by phone as well, or instead; then
    /// it is the location that makes one contact of two leads.
    fn identity(&self, lead: &Lead) -> Result<String, Unsendable> {
        if lead.email.is_empty() {
            return Err(wire::no_email());
        }
        Ok(lead.email.clone())
    }

    fn create(&self, prepared: &Prepared) -> Result<Request, Unsendable> {
        // What can't be filled in later is found now, before anything is created.
        self.tags_of(prepared)?;
        let body = Value::Object(self.contact(prepared)?);
        Ok(self.request(Method::POST, self.api.at(&["contacts", "upsert"])).json(&body))
    }

    fn find(&self, prepared: &Prepared) -> Option<Request> {
        self.look_up(&prepared.lead.email, prepared.lead.phone.as_deref())
    }

    /// A contact that a refused upsert created has all but the fields that were refused. One that has another value was there
    /// before; one that only lacks some may be either.
    fn shows(&self, prepared: &Prepared, refusal: &Reply, found: &Reply) -> Shows {
        let Some(contact) = echo::contact_in(found) else { return Shows::Sent };
        let root = |field: &str| field.split('.').next().unwrap_or_default().to_owned();
        let lost = self.not_kept(prepared, &contact);
        let refused = verdict::fields_in(refusal);
        let open: Vec<String> = lost.iter().map(|field| root(field)).filter(|field| !refused.contains(field)).collect();
        let differs = open.iter().any(|field| contact.get(field).is_some_and(|theirs| !theirs.is_null()));
        match (open.is_empty(), refused.is_empty()) {
            (true, false) => Shows::Sent,
            _ if lost.is_empty() => Shows::Sent,
            (false, false) if differs => Shows::Another,
            _ => Shows::Unclear,
        }
    }

    /// The tags, by the call that adds to those that are there: in an upsert they would replace them.
    fn complete(&self, prepared: &Prepared, remote_id: Option<&str>) -> Option<Request> {
        let id = remote_id?;
        let tags = self.tags_of(prepared).ok().filter(|tags| !tags.is_empty())?;
        let url = self.api.at(&["contacts", id, "tags"]);
        Some(self.request(Method::POST, url).json(&serde_json::json!({ "tags": tags })))
    }

    fn read(&self, asked: Asked, about: &Prepared, reply: &Reply) -> Option<Verdict> {
        damaged(reply).or_else(|| self.verdict(asked, about, reply))
    }

    fn limit_said(&self, reply: &Reply) -> Option<(Duration, String)> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner).said(reply, Instant::now())
    }

    fn is_about_another(&self, prepared: &Prepared, reply: &Reply) -> bool {
        echo::contact_in(reply).is_some_and(|contact| self.is_another(prepared, &contact))
    }

    fn check(&self, replies: &[Reply]) -> CheckStep {
        self.check_account(replies)
    }

    /// An agency's locations; a location's own login is checked as before the first lead, since the person may have chosen
    /// another location than the configured one.
    fn after_login(&self, replies: &[Reply]) -> CheckStep {
        match &self.agency {
            Some(agency) => self.installed_locations(agency, replies),
            None => self.check_account(replies),
        }
    }
}
