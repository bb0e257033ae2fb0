//! The contacts that are there, found by e-mail address and by phone number.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::sandbox::ledger::{Effect, EffectKind};

/// The first contact's number.
const FIRST: u64 = 5001;

/// A contact.
pub(super) struct Contact {
    pub(super) id: u64,
    pub(super) location: String,
    /// What the ledger tells it apart by: its first e-mail address, or phone number.
    pub(super) key: String,
    fields: Map<String, Value>,
    added: Timestamp,
    updated: Timestamp,
}

/// All contacts of all locations.
#[derive(Default)]
pub(super) struct Contacts {
    by_id: BTreeMap<u64, Contact>,
    /// Location and address (or number) to the first contact that had it.
    index: HashMap<(String, String), u64>,
}

/// An address as it is compared.
pub(super) fn email(text: &str) -> String {
    text.trim().to_lowercase()
}

/// A number as it is compared: digits alone.
pub(super) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// What clients know a contact by: 20 letters and digits, as the vendor's.
pub(super) fn remote_id(id: u64) -> String {
    format!("sandboxContact{id:06}")
}

impl Contacts {
    /// What these effects left.
    pub(super) fn restored<'a>(effects: impl Iterator<Item = &'a Effect>) -> Self {
        let mut contacts = Self::default();
        for effect in effects {
            let (Some(body), at) = (effect.body.as_object(), Timestamp::from_ms(effect.at_ms)) else { continue };
            match effect.effect {
                EffectKind::Created => {
                    let location = body.get("locationId").and_then(Value::as_str).unwrap_or_default();
                    let key = effect.key.as_deref().unwrap_or(&effect.email);
                    contacts.insert(effect.id, location, key, body, at);
                }
                EffectKind::Updated => contacts.update(effect.id, body, at),
                EffectKind::Tagged => {
                    contacts.tag(effect.id, body.get("tags").and_then(Value::as_array).map_or(&[], Vec::as_slice), at);
                }
                _ => {}
            }
        }
        contacts
    }

    /// The number that the next contact gets.
    pub(super) fn next_id(&self) -> u64 {
        self.by_id.last_key_value().map_or(FIRST, |(last, _)| last + 1)
    }

    /// By what clients know it by.
    pub(super) fn by_remote_id(&self, found: &str) -> Option<&Contact> {
        let id = found.strip_prefix("sandboxContact")?.parse().ok()?;
        self.by_id.get(&id).filter(|_| remote_id(id) == found)
    }

    /// By e-mail address, then by phone number; and by which.
    pub(super) fn matching(
        &self,
        location: &str,
        email: Option<&str>,
        phone: Option<&str>,
    ) -> Option<(&Contact, &'static str)> {
        let at = |key: Option<String>| self.by_id.get(self.index.get(&(location.to_owned(), key?))?);
        let by_email = at(email.map(self::email)).map(|contact| (contact, "email"));
        by_email.or_else(|| at(phone.map(digits)).map(|contact| (contact, "phone")))
    }

    pub(super) fn insert(&mut self, id: u64, location: &str, key: &str, body: &Map<String, Value>, at: Timestamp) {
        let contact = Contact {
            id,
            location: location.to_owned(),
            key: key.to_owned(),
            fields: Map::new(),
            added: at,
            updated: at,
        };
        self.by_id.insert(id, contact);
        self.update(id, body, at);
    }

    /// Overwrites what the body names, tags as a whole.
    pub(super) fn update(&mut self, id: u64, body: &Map<String, Value>, at: Timestamp) {
        let Some(contact) = self.by_id.get_mut(&id) else { return };
        let before = contact.found_by();
        contact.updated = at;
        let given = body.iter().filter(|(name, value)| {
            !value.is_null() && !matches!(name.as_str(), "locationId" | "createNewIfDuplicateAllowed" | "customFields")
        });
        contact.fields.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        for field in body.get("customFields").and_then(Value::as_array).into_iter().flatten() {
            contact.set_custom(field);
        }
        // An address or number that the contact no longer has finds it no longer.
        for key in before {
            if self.index.get(&key) == Some(&id) {
                self.index.remove(&key);
            }
        }
        for key in contact.found_by() {
            self.index.entry(key).or_insert(id);
        }
    }

    /// Adds those that it does not have.
    pub(super) fn tag(&mut self, id: u64, tags: &[Value], at: Timestamp) {
        let Some(contact) = self.by_id.get_mut(&id) else { return };
        contact.updated = at;
        let held = contact.fields.entry("tags").or_insert_with(|| json!([]));
        let Some(held) = held.as_array_mut() else { return };
        for tag in tags {
            if !held.contains(tag) {
                held.push(tag.clone());
            }
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<&Contact> {
        self.by_id.get(&id)
    }
}

impl Contact {
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    }

    /// Its places in the index.
    fn found_by(&self) -> Vec<(String, String)> {
        let keys = [self.text("email").map(email), self.text("phone").map(digits)];
        keys.into_iter().flatten().map(|key| (self.location.clone(), key)).collect()
    }

    /// `{"id" | "key", "fieldValue"}` is kept, and shown, as `{"id", "value"}`.
    fn set_custom(&mut self, field: &Value) {
        let id = field.get("id").or_else(|| field.get("key")).cloned().unwrap_or_default();
        let value = field.get("fieldValue").or_else(|| field.get("field_value")).cloned().unwrap_or_default();
        let held = self.fields.entry("customFields").or_insert_with(|| json!([]));
        let Some(held) = held.as_array_mut() else { return };
        held.retain(|other| other["id"] != id);
        held.push(json!({"id": id, "value": value}));
    }

    /// As replies have it.
    pub(super) fn shown(&self) -> Value {
        let mut shown = self.fields.clone();
        shown.insert("id".to_owned(), remote_id(self.id).into());
        shown.insert("locationId".to_owned(), self.location.clone().into());
        shown.insert("emailLowerCase".to_owned(), self.text("email").map(email).into());
        for list in ["tags", "customFields"] {
            shown.entry(list).or_insert_with(|| json!([]));
        }
        shown.insert("dateAdded".to_owned(), self.added.to_string().into());
        shown.insert("dateUpdated".to_owned(), self.updated.to_string().into());
        Value::Object(shown)
    }

    /// The tags it has.
    pub(super) fn tags(&self) -> Value {
        self.fields.get("tags").cloned().unwrap_or_else(|| json!([]))
    }
}
