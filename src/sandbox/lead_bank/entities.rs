//! Entities: created once a key and once a customer id, found by either id.

use std::collections::{BTreeMap, HashMap};
use std::sync::{MutexGuard, PoisonError};

use http::StatusCode;
use serde_json::{Value, json};

use super::redact::redacted;
use super::{FIND, GET, LeadBank, MAX_KEY, PREFIX, check, parameters_invalid, problem};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::sandbox::idempotency::Known;
use crate::sandbox::ledger::{Effect, EffectKind, Subject};
use crate::sandbox::reply::Answer;
use crate::sandbox::request::Incoming;
use crate::sandbox::service::{Call, Service, unwritten};

/// The first entity's number.
const FIRST: u64 = 8001;
/// Events of a page: most, and by default.
const MAX_PAGE: usize = 100;
const PAGE: usize = 10;

/// An entity; its body holds no identity number.
struct Entity {
    email: String,
    body: Value,
    at: Timestamp,
}

#[derive(Default)]
pub(super) struct Entities {
    by_id: BTreeMap<u64, Entity>,
    by_customer: HashMap<String, u64>,
}

/// The id in `/v0/entities/{id}`.
pub(super) fn wanted(path: &str) -> Option<&str> {
    path.strip_prefix("/v0/entities/").filter(|id| !id.is_empty() && !id.contains('/'))
}

fn remote_id(id: u64) -> String {
    format!("entity_{id:09}")
}

fn customer(body: &Value) -> Option<&str> {
    body["client_customer_id"].as_str()
}

impl Entities {
    /// What these effects left.
    pub(super) fn restored<'a>(effects: impl Iterator<Item = &'a Effect>) -> Self {
        let mut entities = Self::default();
        for effect in effects.filter(|effect| effect.effect == EffectKind::Created) {
            let at = Timestamp::from_ms(effect.at_ms);
            entities.insert(effect.id, Entity { email: effect.email.clone(), body: effect.body.clone(), at });
        }
        entities
    }

    fn insert(&mut self, id: u64, entity: Entity) {
        if let Some(customer) = customer(&entity.body) {
            self.by_customer.insert(customer.to_owned(), id);
        }
        self.by_id.insert(id, entity);
    }

    fn shown(&self, id: u64) -> Option<Value> {
        let entity = self.by_id.get(&id)?;
        let mut shown = entity.body.clone();
        shown["id"] = remote_id(id).into();
        shown["created_at"] = entity.at.to_string().into();
        shown["updated_at"] = entity.at.to_string().into();
        Some(shown)
    }
}

impl LeadBank {
    pub(super) fn entities(&self) -> MutexGuard<'_, Entities> {
        self.entities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `POST /v0/entities`.
    pub(super) fn create(&self, call: &Call<'_>) -> Answer {
        let request = call.request;
        let Some(key) = request.header("idempotency-key").filter(|key| !key.is_empty()) else {
            let detail = "Please add the Idempotency-Key header to the request.";
            return problem(StatusCode::BAD_REQUEST, "idempotency_error", detail, &[]);
        };
        if key.len() > MAX_KEY {
            let detail = "The Idempotency-Key header has more than 255 characters.";
            return problem(StatusCode::BAD_REQUEST, "idempotency_error", detail, &[]);
        }
        let Some(body) = request.json.as_ref().filter(|body| body.is_object()) else {
            return parameters_invalid("The request body must be a JSON object.");
        };
        // Held until it is written down: neither a key nor a customer id must be found free twice.
        let mut entities = self.entities();
        let email = check::email(body).unwrap_or_default().trim().to_lowercase();
        let known = customer(body).and_then(|customer| entities.by_customer.get(customer).copied());
        let note = |effect: EffectKind, id: u64| {
            let ledger_key = customer(body).map_or_else(|| remote_id(id), str::to_owned);
            let about = Subject { email: &email, key: Some(ledger_key), id, remote_id: Some(remote_id(id)) };
            call.note(effect, about, &redacted(body)).map_err(|error| unwritten(self, call.operation, &error))
        };
        match self.keys.look(key, request, call.late) {
            Known::New => {}
            Known::Same(answer) => {
                // The answer stands in any case: whoever repeats must not be told of our disk.
                let answered = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
                let id = answered["id"].as_str().and_then(|id| id.strip_prefix("entity_")?.parse().ok());
                if let Some(Err(refused)) = id.map(|id| note(EffectKind::Replayed, id)) {
                    return refused;
                }
                return answer;
            }
            Known::Other => {
                let detail = "The Idempotency-Key was used for another request.";
                return problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_error", detail, &[]);
            }
            Known::UnderWay => {
                let detail = "A request with this Idempotency-Key is in progress.";
                return problem(StatusCode::CONFLICT, "idempotency_error", detail, &[]);
            }
        }
        let invalid = check::invalid(body);
        if !invalid.is_empty() {
            let detail = "The entity is not valid.";
            return problem(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail, &invalid);
        }
        if let Some(id) = known {
            if let Err(refused) = note(EffectKind::Repeated, id) {
                return refused;
            }
            let detail = "An entity with this client_customer_id already exists.";
            return problem(StatusCode::CONFLICT, "already_exists", detail, &[]);
        }
        let id = entities.by_id.last_key_value().map_or(FIRST, |(last, _)| last + 1);
        if let Err(refused) = note(EffectKind::Created, id) {
            return refused;
        }
        entities.insert(id, Entity { email, body: redacted(body), at: SystemClock.now() });
        let answer = Answer::json(StatusCode::OK, &entities.shown(id));
        self.keys.keep(key, request, &answer);
        answer
    }

    /// `GET /v0/entities?client_customer_id=`.
    pub(super) fn find(&self, request: &Incoming) -> Answer {
        let Some(customer) = request.parameter("client_customer_id").filter(|id| !id.is_empty()) else {
            return parameters_invalid("client_customer_id is required.");
        };
        let entities = self.entities();
        match entities.by_customer.get(&customer).and_then(|id| entities.shown(*id)) {
            Some(entity) => Answer::json(StatusCode::OK, &entity),
            None => self.refusal(FIND, StatusCode::NOT_FOUND, "No entity has this client_customer_id."),
        }
    }

    /// `GET /v0/entities/{id}`.
    pub(super) fn get(&self, request: &Incoming) -> Answer {
        let entities = self.entities();
        let found = request.below(PREFIX).and_then(wanted).and_then(|wanted| {
            let id = wanted.strip_prefix("entity_")?.parse().ok()?;
            entities.shown(id).filter(|_| remote_id(id) == wanted)
        });
        match found {
            Some(entity) => Answer::json(StatusCode::OK, &entity),
            None => self.refusal(GET, StatusCode::NOT_FOUND, "No entity has this id."),
        }
    }

    /// `GET /v1/event?limit=`: what was created, newest first.
    pub(super) fn events(&self, request: &Incoming) -> Answer {
        let limit = match request.parameter("limit").map_or(Ok(PAGE), |limit| limit.parse()) {
            Ok(limit) if (1..=MAX_PAGE).contains(&limit) => limit,
            _ => return parameters_invalid("limit must be from 1 to 100."),
        };
        let entities = self.entities();
        let events = entities.by_id.iter().rev().take(limit).map(|(id, entity)| {
            json!({
                "id": format!("event_{id:09}"), "type": "entity.created", "object_id": remote_id(*id),
                "created_at": entity.at.to_string(),
            })
        });
        let events: Vec<Value> = events.collect();
        Answer::json(StatusCode::OK, &json!({"has_more": entities.by_id.len() > events.len(), "objects": events}))
    }

    /// The e-mail address of whoever has this customer id.
    pub(super) fn known_as(&self, customer: &str) -> Option<String> {
        let entities = self.entities();
        let entity = entities.by_id.get(entities.by_customer.get(customer)?)?;
        Some(entity.email.clone()).filter(|email| !email.is_empty())
    }
}
