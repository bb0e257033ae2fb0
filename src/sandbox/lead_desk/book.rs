//! The contacts that are there. Several may have one number, in one list.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::sandbox::ledger::{Effect, EffectKind};

/// The first contact's number.
const FIRST: u64 = 7001;

/// A contact on a list.
pub(super) struct Contact {
    pub(super) id: u64,
    pub(super) list: u64,
    pub(super) fields: Map<String, Value>,
}

#[derive(Default)]
pub(super) struct Contacts {
    by_id: BTreeMap<u64, Contact>,
    /// Digits of a phone number to the contacts that have it, oldest first.
    by_phone: HashMap<String, Vec<u64>>,
}

/// A number as it is compared.
pub(super) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

impl Contacts {
    /// What these effects left; the list stands before the number in the key.
    pub(super) fn restored<'a>(effects: impl Iterator<Item = &'a Effect>) -> Self {
        let mut contacts = Self::default();
        for effect in effects.filter(|effect| effect.effect == EffectKind::Created) {
            let list = effect.key.as_deref().and_then(|key| key.split_once(':')?.0.parse().ok()).unwrap_or_default();
            contacts.insert(effect.id, list, effect.body.as_object().cloned().unwrap_or_default());
        }
        contacts
    }

    /// The number that the next contact gets.
    pub(super) fn next_id(&self) -> u64 {
        self.by_id.last_key_value().map_or(FIRST, |(last, _)| last + 1)
    }

    pub(super) fn insert(&mut self, id: u64, list: u64, fields: Map<String, Value>) {
        let contact = Contact { id, list, fields };
        self.by_phone.entry(digits(contact.text("phone"))).or_default().push(id);
        self.by_id.insert(id, contact);
    }

    pub(super) fn get(&self, id: u64) -> Option<&Contact> {
        self.by_id.get(&id)
    }

    /// Those that have all of it; what is `None` is not looked at.
    pub(super) fn matching<'a>(
        &'a self,
        list: Option<u64>,
        phone: Option<&str>,
        names: [Option<&'a str>; 2],
    ) -> Vec<&'a Contact> {
        let [first, last] = names;
        let same = |wanted: Option<&str>, found: &str| wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(found));
        let fits = |contact: &&Contact| {
            list.is_none_or(|list| contact.list == list)
                && same(first, contact.text("fname"))
                && same(last, contact.text("lname"))
        };
        match phone {
            Some(phone) => {
                let ids = self.by_phone.get(&digits(phone)).map_or(&[][..], Vec::as_slice);
                ids.iter().filter_map(|id| self.by_id.get(id)).filter(fits).collect()
            }
            None => self.by_id.values().filter(fits).collect(),
        }
    }

    /// The e-mail address of whoever has this number, if it is known.
    pub(super) fn address_of(&self, digits: &str) -> Option<String> {
        self.by_phone.get(digits)?.iter().find_map(|id| self.known_as(*id))
    }

    /// The e-mail address of a contact, if it is known.
    pub(super) fn known_as(&self, id: u64) -> Option<String> {
        let email = self.by_id.get(&id)?.text("email").trim();
        (!email.is_empty()).then(|| email.to_lowercase())
    }
}

impl Contact {
    pub(super) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}
