//! Values that one destination must be told and nobody else may read: sealed before a row is stored, or, where another
//! program stored it, as soon as it is seen; opened for the request alone. A row for another destination that brings one
//! has it sealed too, and that destination is not told.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::lane::Lane;
use super::normalise::custom;
use super::progress::Halt;
use crate::auth::seal::SealError;
use crate::auth::{AuthError, FieldSealer, seal};
use crate::config::Settings;
use crate::connectors::registry;
use crate::exit::Exit;
use crate::lead::{Lead, Prepared};
use crate::store::{Leased, NewLead, Step, Vault};

/// Longest value that is sealed, in characters; what is longer is no tax number, and is cut so that it stays one value.
const LONGEST: usize = 200;

/// What is kept of a text that can't be read as an object, and names a field that must be sealed: that it was none, so that
/// its lead is refused for that.
const LEFT_OUT: &str = "no JSON object: left out, since it may hold what is kept sealed";

/// Which destination keeps which custom field sealed.
#[derive(Clone, Debug, Default)]
pub struct Sealing {
    /// By destination.
    fields: BTreeMap<String, String>,
    /// There if there is any such field.
    sealer: Option<FieldSealer>,
}

impl Sealing {
    /// As the configuration has it, whatever else is wrong with it.
    ///
    /// # Errors
    /// If the database can't be asked for the key, or the key can't be opened.
    pub async fn open(
        settings: &Settings,
        vault: &(impl Vault + ?Sized),
        keyring: &seal::Keyring,
    ) -> Result<Self, AuthError> {
        let fields: BTreeMap<_, _> = settings
            .destinations
            .iter()
            .filter_map(|(name, settings)| Some((name.clone(), registry::sealed_field(settings)?)))
            .collect();
        let sealer = if fields.is_empty() { None } else { Some(FieldSealer::open(vault, keyring).await?) };
        Ok(Self { fields, sealer })
    }

    /// Seals what must be sealed of a row that is about to be stored.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn seal_row(&self, row: &mut NewLead) -> Result<(), SealError> {
        if let Some(sealed) = self.sealed(row.raw.custom_fields.as_deref().unwrap_or_default())? {
            row.raw.custom_fields = Some(sealed);
        }
        Ok(())
    }

    /// `custom_fields` with what must be sealed sealed; `None` if there is nothing of that in it. Read as a lead's are,
    /// so that nothing that becomes the field escapes, however it is written; what can't be read, or is no single value,
    /// is left out as it is there.
    fn sealed(&self, custom_fields: &str) -> Result<Option<String>, SealError> {
        let Some(sealer) = &self.sealer else { return Ok(None) };
        if custom_fields == LEFT_OUT {
            return Ok(None);
        }
        let text = custom_fields.to_lowercase();
        let may_be_in = match custom::object(custom_fields) {
            // As a lead's names are read: without what is invisible in them.
            Some(object) => object.keys().any(|name| self.field(&custom::name(name).unwrap_or_default()).is_some()),
            None => false,
        };
        let named = self.fields.values().any(|field| text.contains(&field.to_lowercase()));
        if !may_be_in && !named && !text.contains('\\') {
            return Ok(None);
        }
        let read = custom::fields(custom_fields, &mut Vec::new());
        if read.is_empty() {
            // Broken, and it names what nobody may read.
            let left = if custom::object(custom_fields).is_some() { "{}" } else { LEFT_OUT };
            return Ok(Some(left.to_owned()));
        }
        let mut kept = BTreeMap::new();
        let mut changed = !self.names_are_whole(custom_fields, &read);
        for (name, value) in read {
            match self.field(&name) {
                Some(field) if self.opens(sealer, field, &value) => {
                    changed |= name != field;
                    kept.insert(field.to_owned(), value);
                }
                Some(field) => {
                    let value: String = value.trim().chars().take(LONGEST).collect();
                    kept.insert(field.to_owned(), sealer.seal(field, &value)?);
                    changed = true;
                }
                None => drop(kept.insert(name, value)),
            }
        }
        Ok(changed.then(|| serde_json::json!(kept).to_string()))
    }

    /// Whether every name of the object was read: one that was not may hold the field as a list or an object.
    fn names_are_whole(&self, custom_fields: &str, read: &BTreeMap<String, String>) -> bool {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(custom_fields).unwrap_or_default();
        let unread = object.keys().filter(|name| !read.contains_key(*name));
        !object.is_empty() && unread.into_iter().all(|name| self.field(name.trim()).is_none())
    }

    fn opens(&self, sealer: &FieldSealer, field: &str, value: &str) -> bool {
        FieldSealer::is_sealed(value) && sealer.unseal(field, value).is_ok()
    }

    /// The sealed field of this name, whatever its case.
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.values().find(|field| field.eq_ignore_ascii_case(name)).map(String::as_str)
    }

    /// Takes from a lead what only another destination is told. Whether there was anything.
    pub fn withhold(&self, destination: &str, lead: &mut Lead) -> bool {
        let own = self.fields.get(destination);
        let before = lead.custom_fields.len();
        lead.custom_fields.retain(|name, _| match self.field(name) {
            None => true,
            Some(field) => own.is_some_and(|own| own == field),
        });
        lead.custom_fields.len() < before
    }

    /// The lead as its destination is told of it. What can't be opened, since it was sealed elsewhere or is damaged, is
    /// as good as missing: that lead alone is refused.
    pub fn opened<'a>(&self, destination: &str, prepared: &'a Prepared) -> Cow<'a, Prepared> {
        let (Some(field), Some(sealer)) = (self.fields.get(destination), &self.sealer) else {
            return Cow::Borrowed(prepared);
        };
        let Some(value) = prepared.lead.custom_fields.get(field).filter(|value| FieldSealer::is_sealed(value)) else {
            return Cow::Borrowed(prepared);
        };
        let mut opened = prepared.clone();
        match sealer.unseal(field, value) {
            Ok(text) => opened.lead.custom_fields.insert(field.clone(), text),
            Err(_) => opened.lead.custom_fields.remove(field),
        };
        Cow::Owned(opened)
    }
}

/// `custom_fields` as an operator may be shown it where these destinations are configured: a row that was not taken up yet
/// is as another program wrote it.
pub fn shown(settings: &Settings, custom_fields: String) -> String {
    let fields: Vec<String> = settings.destinations.values().filter_map(registry::sealed_field).collect();
    if fields.is_empty() || custom_fields == LEFT_OUT || custom_fields.trim().is_empty() {
        return custom_fields;
    }
    let Some(object) = custom::object(&custom_fields) else {
        let length = custom_fields.chars().count();
        return format!("no JSON object ({length} characters, not shown: `{}` may be in it)", fields.join("`, `"));
    };
    let hides = |name: &str| {
        let name = custom::name(name).unwrap_or_default();
        fields.iter().any(|field| field.eq_ignore_ascii_case(&name))
    };
    // Written anew in any case: of two entries of one name only the last is in the object.
    if !object.keys().any(|name| hides(name)) {
        return custom_fields;
    }
    let shown = object.into_iter().map(|(name, value)| if hides(&name) { (name, "***".into()) } else { (name, value) });
    serde_json::Value::Object(shown.collect()).to_string()
}

impl Lane {
    /// Seals what another program left readable in these rows, before anything else is done with them. Those that could
    /// not be written are out of hand.
    pub async fn sealed(&self, leases: Vec<Leased>) -> Vec<Leased> {
        let mut kept = Vec::with_capacity(leases.len());
        for mut lease in leases {
            match self.shared.sealing.sealed(lease.raw.custom_fields.as_deref().unwrap_or_default()) {
                Ok(None) => kept.push(lease),
                Ok(Some(sealed)) => {
                    let step = Step { custom_fields: Some(sealed.clone()), ..Step::of(&lease) };
                    if self.write_on(&lease, step).await {
                        lease.raw.custom_fields = Some(sealed);
                        kept.push(lease);
                    }
                }
                Err(error) => {
                    self.halt(Halt {
                        account: self.name.clone(),
                        reason: format!("a lead's field can't be sealed: {error}"),
                        remedy: None,
                        exit: Exit::Unavailable,
                    });
                    self.put_back(&lease).await;
                }
            }
        }
        kept
    }

    /// The lead as its destination is told of it.
    pub fn opened<'a>(&self, prepared: &'a Prepared) -> Cow<'a, Prepared> {
        self.shared.sealing.opened(&self.name, prepared)
    }
}
