//! Contacts: upsert, create, tags, look-ups; and the location they are in.

use std::sync::{MutexGuard, PoisonError};

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::book::{self, Contact, Contacts, remote_id};
use super::{CREATE, LeadConnector, UPSERT, between, path, refused, refused_with, trace_id};
use crate::clock::{Clock, SystemClock};
use crate::sandbox::ledger::{EffectKind, Subject};
use crate::sandbox::reply::Answer;
use crate::sandbox::request::Incoming;
use crate::sandbox::service::{Call, unwritten};

/// Properties that are text.
const TEXTS: [&str; 17] = [
    "locationId",
    "firstName",
    "lastName",
    "name",
    "email",
    "phone",
    "address1",
    "city",
    "state",
    "postalCode",
    "country",
    "website",
    "timezone",
    "companyName",
    "source",
    "assignedTo",
    "gender",
];

/// What a body says, checked.
struct Named<'a> {
    body: &'a Map<String, Value>,
    location: &'a str,
    email: Option<&'a str>,
    phone: Option<&'a str>,
}

/// Every reason at once, as the vendor lists them.
fn named(request: &Incoming, upsert: bool) -> Result<Named<'_>, Answer> {
    let unprocessable = |reasons: &[String]| refused_with(StatusCode::UNPROCESSABLE_ENTITY, &json!(reasons));
    let body = request.json.as_ref().and_then(Value::as_object);
    let body = body.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "the body must be a JSON object"))?;
    let mut reasons = Vec::new();
    for (name, value) in body.iter().filter(|(_, value)| !value.is_null()) {
        let wrong = match name.as_str() {
            name if TEXTS.contains(&name) || name == "dateOfBirth" => (!value.is_string()).then_some("a string"),
            "tags" => {
                (!value.as_array().is_some_and(|tags| tags.iter().all(Value::is_string))).then_some("a list of strings")
            }
            "customFields" => (!custom_fields(value)).then_some("a list of objects with id or key, and fieldValue"),
            "dnd" => (!value.is_boolean()).then_some("a boolean"),
            "dndSettings" | "inboundDndSettings" => (!value.is_object()).then_some("an object"),
            "createNewIfDuplicateAllowed" if upsert => (!value.is_boolean()).then_some("a boolean"),
            _ => {
                reasons.push(format!("property {name} should not exist"));
                None
            }
        };
        reasons.extend(wrong.map(|kind| format!("{name} must be {kind}")));
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let (location, email, phone) = (text("locationId"), text("email"), text("phone"));
    if location.is_none() && !reasons.iter().any(|reason| reason.starts_with("locationId")) {
        reasons.push("locationId must be a string".to_owned());
    }
    if email.is_none() && phone.is_none() {
        reasons.push("email or phone is required".to_owned());
    }
    if email.is_some_and(|email| !email_address::EmailAddress::is_valid(email)) {
        reasons.push("email must be an email".to_owned());
    }
    match location {
        Some(location) if reasons.is_empty() => Ok(Named { body, location, email, phone }),
        _ => Err(unprocessable(&reasons)),
    }
}

fn custom_fields(value: &Value) -> bool {
    let one = |field: &Value| {
        let known = |name: &String| matches!(name.as_str(), "id" | "key" | "fieldValue" | "field_value");
        let named = field["id"].is_string() || field["key"].is_string();
        named && field.as_object().is_some_and(|field| field.keys().all(known))
    };
    value.as_array().is_some_and(|fields| fields.iter().all(one))
}

fn not_found() -> Answer {
    refused(StatusCode::NOT_FOUND, "Contact not found")
}

fn elsewhere() -> Answer {
    refused(StatusCode::FORBIDDEN, "The token does not have access to this location.")
}

/// The location of the caller's token.
fn home<'a>(call: &Call<'a>) -> &'a str {
    call.caller.map_or("", |caller| caller.account.as_str())
}

fn subject(contact: &Contact, email: &Option<String>) -> (String, String, u64) {
    let email = email.clone().or_else(|| contact.text("email").map(book::email)).unwrap_or_default();
    (email, contact.key.clone(), contact.id)
}

impl LeadConnector {
    pub(super) fn contacts(&self) -> MutexGuard<'_, Contacts> {
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `POST /contacts/upsert` and `POST /contacts/`.
    pub(super) fn write(&self, call: &Call<'_>) -> Answer {
        let upsert = call.operation == UPSERT;
        let Named { body, location, email, phone } = match named(call.request, upsert) {
            Ok(named) => named,
            Err(refused) => return refused,
        };
        if location != home(call) {
            return elsewhere();
        }
        // Held until it is written down: two upserts of one address must not both find nothing.
        let mut contacts = self.contacts();
        let another = self.options.allow_duplicates
            && (!upsert || body.get("createNewIfDuplicateAllowed") == Some(&Value::Bool(true)));
        let lower = email.map(book::email);
        let found = contacts.matching(location, email, phone).filter(|_| !another);
        let found = found.map(|(contact, by)| (subject(contact, &lower), by, contact.text("name").map(str::to_owned)));
        let (id, key, effect) = match &found {
            Some(((_, key, id), ..)) if upsert => (*id, key.clone(), EffectKind::Updated),
            Some(((_, key, id), ..)) => (*id, key.clone(), EffectKind::Repeated),
            None => {
                let key = lower.clone().or_else(|| phone.map(book::digits)).unwrap_or_default();
                (contacts.next_id(), key, EffectKind::Created)
            }
        };
        let about = Subject {
            email: lower.as_deref().unwrap_or_default(),
            key: Some(key.clone()),
            id,
            remote_id: Some(remote_id(id)),
        };
        if let Err(error) = call.note(effect, about, &Value::Object(body.clone())) {
            return unwritten(self, call.operation, &error);
        }
        let now = SystemClock.now();
        match (effect, found) {
            (EffectKind::Repeated, Some((_, by, name))) => {
                let mut meta = json!({"contactId": remote_id(id), "matchingField": by});
                if let Some(name) = name {
                    meta["contactName"] = name.into();
                }
                let message = "This location does not allow duplicated contacts.";
                return Answer::json(
                    StatusCode::BAD_REQUEST,
                    &json!({"statusCode": 400, "message": message, "meta": meta}),
                );
            }
            (EffectKind::Updated, Some((_, by, _))) => {
                let mut body = body.clone();
                // The number belongs to another contact: silently ignored.
                let holder = contacts.matching(location, None, phone).map(|(contact, _)| contact.id);
                if by == "email" && holder.is_some_and(|holder| holder != id) {
                    body.remove("phone");
                }
                contacts.update(id, &body, now);
            }
            _ => contacts.insert(id, location, &key, body, now),
        }
        let Some(contact) = contacts.get(id) else { return not_found() };
        if upsert {
            let new = effect == EffectKind::Created;
            let body = json!({"new": new, "contact": contact.shown(), "traceId": trace_id()});
            return Answer::json(StatusCode::OK, &body);
        }
        debug_assert_eq!(call.operation, CREATE);
        Answer::json(StatusCode::CREATED, &json!({"contact": contact.shown(), "traceId": trace_id()}))
    }

    /// `POST /contacts/{id}/tags`.
    pub(super) fn tag(&self, call: &Call<'_>) -> Answer {
        let tags = call.request.json.as_ref().and_then(|body| body["tags"].as_array());
        let Some(tags) = tags.filter(|tags| !tags.is_empty() && tags.iter().all(Value::is_string)) else {
            return refused_with(StatusCode::UNPROCESSABLE_ENTITY, &json!(["tags must be a list of strings"]));
        };
        let mut contacts = self.contacts();
        let ((email, key, id), location) = match wanted(call.request).and_then(|id| contacts.by_remote_id(id)) {
            Some(contact) => (subject(contact, &None), contact.location.clone()),
            None => return not_found(),
        };
        if location != home(call) {
            return elsewhere();
        }
        let about = Subject { email: &email, key: Some(key), id, remote_id: Some(remote_id(id)) };
        if let Err(error) = call.note(EffectKind::Tagged, about, &json!({"tags": tags})) {
            return unwritten(self, call.operation, &error);
        }
        contacts.tag(id, tags, SystemClock.now());
        let tags = contacts.get(id).map(Contact::tags);
        Answer::json(StatusCode::CREATED, &json!({"tags": tags, "traceId": trace_id()}))
    }

    /// `GET /contacts/search/duplicate?locationId&email|number`.
    pub(super) fn search(&self, call: &Call<'_>) -> Answer {
        let parameter = |name: &str| call.request.parameter(name).filter(|text| !text.trim().is_empty());
        let (email, number) = (parameter("email"), parameter("number"));
        let Some(location) = parameter("locationId") else {
            return refused(StatusCode::BAD_REQUEST, "Missing parameter: locationId");
        };
        if email.is_none() && number.is_none() {
            return refused(StatusCode::BAD_REQUEST, "Missing parameter: email or number");
        }
        if location != home(call) {
            return elsewhere();
        }
        let contacts = self.contacts();
        let found = contacts.matching(&location, email.as_deref(), number.as_deref());
        let contact = found.map(|(contact, _)| contact.shown());
        Answer::json(StatusCode::OK, &json!({"contact": contact, "traceId": trace_id()}))
    }

    /// `GET /contacts/{id}`.
    pub(super) fn get(&self, call: &Call<'_>) -> Answer {
        let contacts = self.contacts();
        match wanted(call.request).and_then(|id| contacts.by_remote_id(id)) {
            None => not_found(),
            Some(contact) if contact.location != home(call) => elsewhere(),
            Some(contact) => Answer::json(StatusCode::OK, &json!({"contact": contact.shown(), "traceId": trace_id()})),
        }
    }

    /// `GET /locations/{id}`.
    pub(super) fn location(&self, call: &Call<'_>) -> Answer {
        let id = path(call.request).and_then(|path| between(path, "/locations/", ""));
        match id {
            Some(id) if id == home(call) => {
                let location = json!({
                    "id": id, "companyId": self.options.company_id, "name": format!("Location {id}"),
                    "country": "US", "timezone": "America/New_York",
                });
                Answer::json(StatusCode::OK, &json!({"location": location, "traceId": trace_id()}))
            }
            _ => elsewhere(),
        }
    }

    /// Whom a call to `/contacts/{id}…` is about, by address.
    pub(super) fn known_as(&self, request: &Incoming) -> Option<String> {
        let contacts = self.contacts();
        let id = wanted(request)?;
        let known = contacts
            .by_remote_id(id)
            .map(|contact| contact.text("email").map_or_else(|| contact.key.clone(), book::email));
        known.or_else(|| Some(id.to_owned()))
    }
}

/// The id in `/contacts/{id}` or `/contacts/{id}/tags`.
fn wanted(request: &Incoming) -> Option<&str> {
    let path = path(request)?;
    between(path, "/contacts/", "/tags").or_else(|| between(path, "/contacts/", ""))
}
