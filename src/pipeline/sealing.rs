//! Values that one destination must be told and nobody else may read ([`crate::connectors::Destination::sealed_field`]):
//! sealed before a row is stored, or, where another program stored it, as soon as it is seen; opened for the request
//! alone. A row for another destination that brings one has it sealed too, and that destination is not told.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::lane::Lane;
use super::progress::Halt;
use crate::auth::seal::SealError;
use crate::auth::{AuthError, FieldSealer, seal};
use crate::config::Settings;
use crate::connectors::registry;
use crate::exit::Exit;
use crate::lead::{Lead, Prepared};
use crate::store::{Leased, NewLead, Step, Vault};

/// Which destination keeps which custom field sealed.
#[derive(Clone, Debug, Default)]
pub struct Sealing {
    /// By destination.
    fields: BTreeMap<String, String>,
    /// There if there is any such field.
    sealer: Option<FieldSealer>,
}

impl Sealing {
    /// As the configuration has it.
    ///
    /// # Errors
    /// If the database can't be asked for the key, or the key can't be opened.
    pub async fn open(
        settings: &Settings,
        vault: &(impl Vault + ?Sized),
        keyring: &seal::Keyring,
    ) -> Result<Self, AuthError> {
        let field = |name: &String| {
            let destination = registry::destination(settings.destinations.get(name)?).ok()?;
            Some((name.clone(), destination.sealed_field()?.to_owned()))
        };
        let fields: BTreeMap<_, _> = settings.destinations.keys().filter_map(field).collect();
        let sealer = if fields.is_empty() { None } else { Some(FieldSealer::open(vault, keyring).await?) };
        Ok(Self { fields, sealer })
    }

    /// Seals what must be sealed of a row that is about to be stored.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn seal_row(&self, row: &mut NewLead) -> Result<(), SealError> {
        let custom = row.raw.custom_fields.as_deref().unwrap_or_default();
        if let Some(sealed) = self.sealed(custom)? {
            row.raw.custom_fields = Some(sealed);
        }
        Ok(())
    }

    /// `custom_fields` with what must be sealed sealed; `None` if there is nothing of that in it.
    fn sealed(&self, custom_fields: &str) -> Result<Option<String>, SealError> {
        let Some(sealer) = &self.sealer else { return Ok(None) };
        let Ok(mut object) = serde_json::from_str::<Map<String, Value>>(custom_fields) else { return Ok(None) };
        let mut changed = false;
        for (name, value) in object.iter_mut().filter(|(name, _)| self.is_sealed(name.trim())) {
            let text = match &*value {
                Value::String(text) if FieldSealer::is_sealed(text) || text.trim().is_empty() => continue,
                Value::String(text) => text.trim().to_owned(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            *value = Value::String(sealer.seal(name.trim(), &text)?);
            changed = true;
        }
        Ok(changed.then(|| Value::Object(object).to_string()))
    }

    fn is_sealed(&self, field: &str) -> bool {
        self.fields.values().any(|name| name == field)
    }

    /// Takes from a lead what only another destination is told. Whether there was anything.
    pub fn withhold(&self, destination: &str, lead: &mut Lead) -> bool {
        let own = self.fields.get(destination);
        let before = lead.custom_fields.len();
        lead.custom_fields.retain(|name, _| !self.is_sealed(name) || own == Some(name));
        lead.custom_fields.len() < before
    }

    /// The lead as its destination is told of it.
    ///
    /// # Errors
    /// If the value was sealed elsewhere, or is damaged.
    pub fn opened<'a>(&self, destination: &str, prepared: &'a Prepared) -> Result<Cow<'a, Prepared>, SealError> {
        let (Some(field), Some(sealer)) = (self.fields.get(destination), &self.sealer) else {
            return Ok(Cow::Borrowed(prepared));
        };
        let Some(value) = prepared.lead.custom_fields.get(field).filter(|value| FieldSealer::is_sealed(value)) else {
            return Ok(Cow::Borrowed(prepared));
        };
        let text = sealer.unseal(field, value)?;
        let mut opened = prepared.clone();
        opened.lead.custom_fields.insert(field.clone(), text);
        Ok(Cow::Owned(opened))
    }
}

impl Lane {
    /// Seals what another program left readable in these rows, before anything else is done with them. Those that could
    /// not be written are out of hand.
    pub async fn sealed(&self, leases: Vec<Leased>) -> Vec<Leased> {
        let mut kept = Vec::with_capacity(leases.len());
        for mut lease in leases {
            let custom = lease.raw.custom_fields.as_deref().unwrap_or_default();
            match self.shared.sealing.sealed(custom) {
                Ok(None) => kept.push(lease),
                Ok(Some(sealed)) => {
                    let step = Step { custom_fields: Some(sealed.clone()), ..Step::of(&lease) };
                    if self.write_on(&lease, step).await {
                        lease.raw.custom_fields = Some(sealed);
                        kept.push(lease);
                    }
                }
                Err(error) => {
                    self.halt(unopened(&self.name, &error));
                    self.put_back(&lease).await;
                }
            }
        }
        kept
    }

    /// The lead as its destination is told of it; `None` if it can't be opened, which stops this lane.
    pub fn opened<'a>(&self, prepared: &'a Prepared) -> Option<Cow<'a, Prepared>> {
        match self.shared.sealing.opened(&self.name, prepared) {
            Ok(opened) => Some(opened),
            Err(error) => {
                self.halt(unopened(&self.name, &error));
                None
            }
        }
    }
}

fn unopened(name: &str, error: &SealError) -> Halt {
    Halt {
        account: name.to_owned(),
        reason: format!("a sealed field of a lead can't be used: {error}"),
        remedy: Some("put back the encryption key that this database was used with".to_owned()),
        exit: Exit::Usage,
    }
}
