//! Contacts: created, and found by e-mail address.

use std::collections::{BTreeMap, HashMap};
use std::sync::{MutexGuard, PoisonError};

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Crm, failure};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::sandbox::idempotency::Known;
use crate::sandbox::ledger::{Effect, EffectKind, Subject};
use crate::sandbox::options::Duplicate;
use crate::sandbox::reply::Answer;
use crate::sandbox::request::Incoming;
use crate::sandbox::service::{Call, unwritten};

/// The first contact's number.
const FIRST: u64 = 3001;

#[derive(Default)]
pub(super) struct Contacts {
    by_id: BTreeMap<u64, (Map<String, Value>, Timestamp)>,
    /// Oldest first.
    by_email: HashMap<String, Vec<u64>>,
}

fn remote_id(id: u64) -> String {
    format!("c_{id}")
}

fn subject(email: &str, id: u64) -> Subject<'_> {
    Subject { remote_id: Some(remote_id(id)), ..Subject::by_email(email, id) }
}

impl Contacts {
    /// What these effects left.
    pub(super) fn restored<'a>(effects: impl Iterator<Item = &'a Effect>) -> Self {
        let mut contacts = Self::default();
        for effect in effects.filter(|effect| effect.effect == EffectKind::Created) {
            let body = effect.body.as_object().cloned().unwrap_or_default();
            contacts.insert(effect.id, &effect.email, body, Timestamp::from_ms(effect.at_ms));
        }
        contacts
    }

    fn insert(&mut self, id: u64, email: &str, body: Map<String, Value>, at: Timestamp) {
        self.by_email.entry(email.to_owned()).or_default().push(id);
        self.by_id.insert(id, (body, at));
    }

    fn shown(&self, id: u64) -> Option<Value> {
        let (body, at) = self.by_id.get(&id)?;
        let mut shown = body.clone();
        shown.insert("id".to_owned(), remote_id(id).into());
        shown.insert("created_at".to_owned(), at.to_string().into());
        Some(Value::Object(shown))
    }
}

impl Crm {
    pub(super) fn contacts(&self) -> MutexGuard<'_, Contacts> {
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `POST /crm/v1/contacts`: any JSON object with an `email`.
    pub(super) fn create(&self, call: &Call<'_>) -> Answer {
        let request = call.request;
        let Some(body) = request.json.as_ref().and_then(Value::as_object).filter(|_| request.is_json()) else {
            return failure(StatusCode::BAD_REQUEST, "malformed", "the body must be a JSON object");
        };
        let email = body.get("email").and_then(Value::as_str).unwrap_or_default().trim().to_lowercase();
        if !email_address::EmailAddress::is_valid(&email) {
            return failure(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "email must be an e-mail address");
        }
        let key = request.header("idempotency-key").filter(|key| !key.is_empty());
        let note = |effect: EffectKind, id: u64| {
            let noted = call.note(effect, subject(&email, id), &Value::Object(body.clone()));
            noted.map_err(|error| unwritten(self, call.operation, &error))
        };
        // Held until it is written down: neither a key nor an address must be found free twice.
        let mut contacts = self.contacts();
        let there = contacts.by_email.get(&email).and_then(|ids| ids.first().copied());
        match key.map_or(Known::New, |key| self.keys.look(key, request, call.late)) {
            Known::New => {}
            Known::Same(answer) => {
                return there.map_or(Ok(()), |id| note(EffectKind::Replayed, id)).err().unwrap_or(answer);
            }
            Known::Other => {
                let why = "the Idempotency-Key was used for another request";
                return failure(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", why);
            }
            Known::UnderWay => {
                let why = "a request with this Idempotency-Key is in progress";
                return failure(StatusCode::CONFLICT, "idempotency_in_progress", why);
            }
        }
        if let Some(id) = there.filter(|_| !self.options.allow_duplicates) {
            if let Err(refused) = note(EffectKind::Repeated, id) {
                return refused;
            }
            return match self.options.duplicate {
                Duplicate::ReturnExisting => Answer::json(StatusCode::OK, &contacts.shown(id)),
                Duplicate::Conflict => {
                    let message = "a contact with this email already exists";
                    let error = json!({"code": "duplicate", "message": message, "contact_id": remote_id(id)});
                    Answer::json(StatusCode::CONFLICT, &json!({"error": error}))
                }
            };
        }
        let id = contacts.by_id.last_key_value().map_or(FIRST, |(last, _)| last + 1);
        if let Err(refused) = note(EffectKind::Created, id) {
            return refused;
        }
        contacts.insert(id, &email, body.clone(), SystemClock.now());
        let answer = Answer::json(StatusCode::CREATED, &contacts.shown(id));
        if let Some(key) = key {
            self.keys.keep(key, request, &answer);
        }
        answer
    }

    /// `GET /crm/v1/contacts?email=`.
    pub(super) fn search(&self, request: &Incoming) -> Answer {
        let Some(email) = request.parameter("email").filter(|email| !email.trim().is_empty()) else {
            return failure(StatusCode::BAD_REQUEST, "malformed", "email is required");
        };
        let contacts = self.contacts();
        let ids = contacts.by_email.get(&email.trim().to_lowercase()).map_or(&[][..], Vec::as_slice);
        let found: Vec<Value> = ids.iter().filter_map(|id| contacts.shown(*id)).collect();
        Answer::json(StatusCode::OK, &json!({"total": found.len(), "contacts": found}))
    }
}
