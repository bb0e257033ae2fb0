//! The fields of a contact besides its phone number: defaults, and templates that replace them.

use super::Keys;
use super::settings::{LeadDeskSettings, Which};
use crate::connectors::Unsendable;
use crate::connectors::registry::BuildError;
use crate::connectors::template::{Context, Template};
use crate::lead::{Lead, Prepared};

/// What a contact has by the original API, besides `phone`, `list` and `other1` to `other35`. Source: the connector in
/// `microsoft/PowerPlatformConnectors`. It also knows `ssc`, a social security code, which is never sent.
pub(super) const KNOWN: &[&str] = &[
    "fname",
    "lname",
    "email",
    "www",
    "address",
    "postcode",
    "city",
    "country",
    "birthyear",
    "gender",
    "companyid",
    "company",
    "vatin",
    "title",
    "comment",
    "assign_to_agent",
];
/// `other1` to `other35`.
const OTHERS: std::ops::RangeInclusive<u8> = 1..=35;
/// What is sent unless a template says otherwise.
const DEFAULTS: [&str; 6] = ["fname", "lname", "email", "company", "title", "comment"];

/// Which fields are sent, and what is in them.
pub(super) struct Fields {
    templates: Vec<(String, Template)>,
}

impl Fields {
    /// # Errors
    /// [`BuildError`] for a field that no template may fill, and for a template that can't be used.
    pub(super) fn new(keys: &Keys, settings: &LeadDeskSettings) -> Result<Self, BuildError> {
        let mut templates = Vec::with_capacity(settings.fields.len());
        for (field, text) in &settings.fields {
            let key = keys.key(&format!("fields.{field}"));
            permitted(field, &key, settings)?;
            templates.push((field.clone(), Template::compile(&key, text)?));
        }
        Ok(Self { templates })
    }

    /// Names and values, in the same order for the same lead; what is empty is left out.
    pub(super) fn of(&self, prepared: &Prepared) -> Result<Vec<(String, String)>, Unsendable> {
        let is_templated = |name: &&str| self.templates.iter().any(|(field, _)| field == name);
        let defaults = DEFAULTS.iter().filter(|name| !is_templated(name));
        let mut fields: Vec<(String, String)> = defaults
            .filter_map(|name| Some((name.to_string(), by_default(name, &prepared.lead)?)))
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        let context = Context::of(prepared);
        for (field, template) in &self.templates {
            let text = template.render(&context).map_err(|error| Unsendable {
                field: "fields",
                reason: format!("`{field}` can't be filled in: {error}"),
            })?;
            fields.extend(text.map(|text| (field.clone(), text)));
        }
        Ok(fields)
    }
}

fn by_default(name: &str, lead: &Lead) -> Option<String> {
    match name {
        "fname" => lead.first_name.clone(),
        "lname" => lead.last_name.clone(),
        "email" => Some(lead.email.clone()),
        "company" => lead.company.clone(),
        "title" => lead.job_title.clone(),
        // What an agent should know before the call.
        "comment" => {
            let known: Vec<&str> = [&lead.note, &lead.context].into_iter().flatten().map(String::as_str).collect();
            (!known.is_empty()).then(|| known.join("\n"))
        }
        _ => None,
    }
}

/// The names of the original API are known; those of the REST API are the account's, but for what decides who is called.
fn permitted(field: &str, key: &str, settings: &LeadDeskSettings) -> Result<(), BuildError> {
    let bad = |found: &str, expected: &str| Err(BuildError::bad(key, found, expected));
    if field.eq_ignore_ascii_case("ssc") {
        return bad("`ssc`, a social security code", "no such field: it is never sent");
    }
    let ours = match settings.api {
        Which::Original => ["phone", "list", "contact_list_id"].contains(&field),
        Which::Rest => [&settings.phone_parameter, &settings.list_parameter].iter().any(|name| *name == field),
    };
    if ours {
        let found = format!("`{field}`, which is always the lead's number or the configured list");
        return bad(&found, "another field: contacts are found again by these two");
    }
    let is_other = |text: &str| {
        let number = text.strip_prefix("other").filter(|number| !number.starts_with(['0', '+']));
        number.and_then(|number| number.parse().ok()).is_some_and(|number: u8| OTHERS.contains(&number))
    };
    if settings.api == Which::Rest || KNOWN.contains(&field) || is_other(field) {
        return Ok(());
    }
    let nearest = KNOWN
        .iter()
        .map(|known| (strsim::jaro_winkler(known, &field.to_lowercase()), *known))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let expected = match nearest {
        Some((_, known)) => format!("`{known}`?"),
        None => format!("one of {}, or other1 to other35", KNOWN.join(", ")),
    };
    bad(&format!("`{field}`, which no contact has"), &expected)
}
