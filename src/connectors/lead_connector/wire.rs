//! The bodies that go to LeadConnector. Only fields that the reference lists: another is refused with 422 ("property X
//! should not exist"; issue 262). Never `tags`, which would replace all tags of a contact, and never
//! `createNewIfDuplicateAllowed`, which would create another contact with each repeat.

use serde_json::{Map, Value, json};

use super::LeadConnector;
use crate::connectors::Unsendable;
use crate::connectors::registry::BuildError;
use crate::connectors::template::Context;
use crate::lead::Prepared;

/// Fields that a template may fill.
const TEMPLATE_FIELDS: [&str; 17] = [
    "firstName",
    "lastName",
    "name",
    "phone",
    "companyName",
    "source",
    "gender",
    "dateOfBirth",
    "address1",
    "city",
    "state",
    "postalCode",
    "country",
    "website",
    "timezone",
    "assignedTo",
    "dnd",
];
/// A template's key for one of the location's custom fields: `customFields.my_field`.
pub(super) const CUSTOM_PREFIX: &str = "customFields.";
/// The ids of custom fields that the reference shows have 20 letters and digits; keys have underscores, and are shorter.
const ID_LENGTH: usize = 20;

/// Where a template's result goes.
pub(super) enum FieldKey {
    Body(&'static str),
    Custom(String),
}

impl FieldKey {
    /// # Errors
    /// [`BuildError`] if there is no such field, or none that a template may fill.
    pub(super) fn read(field: &str, key: &str) -> Result<Self, BuildError> {
        if let Some(name) = field.strip_prefix(CUSTOM_PREFIX).map(str::trim).filter(|name| !name.is_empty()) {
            return Ok(Self::Custom(name.to_owned()));
        }
        if let Some(known) = TEMPLATE_FIELDS.into_iter().find(|known| *known == field) {
            return Ok(Self::Body(known));
        }
        let expected = match field {
            "tags" => "the key `tags` of the destination, which adds to the tags that are there".to_owned(),
            "locationId" => "the key `location_id` of the destination".to_owned(),
            "email" => "no template for it: it is what leads are told apart by".to_owned(),
            _ => match nearest(field) {
                Some(known) => format!("`{known}`?"),
                None => format!("one of {}, or {CUSTOM_PREFIX}ID_OR_KEY", TEMPLATE_FIELDS.join(", ")),
            },
        };
        Err(BuildError::bad(key, format!("`{field}`, which no template can fill"), expected))
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Body(name) => (*name).to_owned(),
            Self::Custom(name) => format!("{CUSTOM_PREFIX}{name}"),
        }
    }
}

fn nearest(field: &str) -> Option<&'static str> {
    TEMPLATE_FIELDS
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &field.to_lowercase()), known))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

/// Whether this names a custom field by its id and not by its key: 20 letters and digits or more.
pub(super) fn is_id(name: &str) -> bool {
    name.len() >= ID_LENGTH && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub(super) fn no_email() -> Unsendable {
    Unsendable { field: "email", reason: "missing; contacts are told apart by it".to_owned() }
}

impl LeadConnector {
    /// The body of `POST /contacts/upsert`.
    pub(super) fn contact(&self, prepared: &Prepared) -> Result<Map<String, Value>, Unsendable> {
        let lead = &prepared.lead;
        if lead.email.is_empty() {
            return Err(no_email());
        }
        let mut body = Map::new();
        let mut put = |name: &str, text: Option<&str>| {
            if let Some(text) = text {
                body.insert(name.to_owned(), Value::String(text.to_owned()));
            }
        };
        put("locationId", Some(&self.location_id));
        put("email", Some(&lead.email));
        put("firstName", lead.first_name.as_deref());
        put("lastName", lead.last_name.as_deref());
        put("phone", lead.phone.as_deref());
        put("companyName", lead.company.as_deref());
        put("source", lead.source.as_deref());

        let context = Context::of(prepared);
        let mut custom = Vec::new();
        for (key, template) in &self.fields {
            let cannot = |what: String| Unsendable {
                field: "fields",
                reason: format!("`{}` can't be filled in: {what}", key.name()),
            };
            let text = template.render(&context).map_err(|error| cannot(error.to_string()))?;
            match (key, text) {
                (FieldKey::Body("dnd"), Some(text)) => {
                    let value = text.to_lowercase().parse::<bool>();
                    let value = value.map_err(|_| cannot("expected `true` or `false`".to_owned()))?;
                    body.insert("dnd".to_owned(), Value::Bool(value));
                }
                (FieldKey::Body(name), Some(text)) => {
                    body.insert((*name).to_owned(), Value::String(text));
                }
                (FieldKey::Body(name), None) => {
                    body.remove(*name);
                }
                (FieldKey::Custom(name), Some(text)) => custom.push(self.custom_field(name, &text)),
                (FieldKey::Custom(_), None) => {}
            }
        }
        if !custom.is_empty() {
            body.insert("customFields".to_owned(), Value::Array(custom));
        }
        Ok(body)
    }

    fn custom_field(&self, name: &str, text: &str) -> Value {
        let by = if is_id(name) { "id" } else { "key" };
        // The dated versions know only the name that version 3 calls deprecated.
        let value = if self.api.is_v3 { "fieldValue" } else { "field_value" };
        json!({ by: name, value: text })
    }

    /// What the lead's contact is tagged with; nothing twice, nothing empty.
    pub(super) fn tags_of(&self, prepared: &Prepared) -> Result<Vec<String>, Unsendable> {
        if self.tags.is_empty() {
            return Ok(Vec::new());
        }
        let context = Context::of(prepared);
        let mut tags: Vec<String> = Vec::new();
        for template in &self.tags {
            let tag = template
                .render(&context)
                .map_err(|error| Unsendable { field: "tags", reason: format!("a tag can't be filled in: {error}") })?;
            tags.extend(tag.filter(|tag| !tags.contains(tag)));
        }
        Ok(tags)
    }
}
