//! What a reply says of the contact, against what was sent: whose it is, and what of it was kept.

use serde_json::{Map, Value};

use super::LeadConnector;
use super::wire::CUSTOM_PREFIX;
use crate::http::message::Reply;
use crate::lead::Prepared;

/// The contact that a reply describes: under `contact`, or the first of `contacts`.
pub(super) fn contact_in(reply: &Reply) -> Option<Map<String, Value>> {
    let Value::Object(mut body) = reply.json()? else { return None };
    let contact = match (body.remove("contact"), body.remove("contacts")) {
        (Some(Value::Object(contact)), _) => Some(contact),
        (_, Some(Value::Array(contacts))) => contacts.into_iter().find_map(|contact| match contact {
            Value::Object(contact) => Some(contact),
            _ => None,
        }),
        _ => None,
    };
    contact.filter(|contact| !contact.is_empty())
}

/// Whether a look-up says clearly that there is no such contact.
pub(super) fn says_absent(reply: &Reply) -> bool {
    let Some(Value::Object(body)) = reply.json() else { return false };
    let none = |name: &str| match body.get(name) {
        None => None,
        Some(Value::Null) => Some(true),
        Some(Value::Array(list)) => Some(list.is_empty()),
        Some(_) => Some(false),
    };
    match (none("contact"), none("contacts")) {
        (None, None) => false,
        (one, other) => one.unwrap_or(true) && other.unwrap_or(true),
    }
}

/// The contact's number.
pub(super) fn id_of(contact: &Map<String, Value>) -> Option<String> {
    let id = contact.get("id").or_else(|| contact.get("_id"))?.as_str()?.trim();
    (!id.is_empty() && id.len() <= 128).then(|| id.to_owned())
}

impl LeadConnector {
    /// Whether the contact is somebody else's than this lead's. A location that tells contacts apart by phone answers with
    /// the contact of the lead's phone, whose e-mail may be another one (issue 37): that is ours, and only its e-mail was
    /// not changed.
    pub(super) fn is_another(&self, prepared: &Prepared, contact: &Map<String, Value>) -> bool {
        if text(contact, "locationId").is_some_and(|location| location != self.location_id) {
            return true;
        }
        let lead = &prepared.lead;
        let addresses = addresses(contact);
        if addresses.iter().any(|address| is_same_address(address, &lead.email)) {
            return false;
        }
        let sent = self.contact(prepared).unwrap_or_default();
        let phone = text(contact, "phone");
        match (phone, text(&sent, "phone")) {
            (Some(theirs), Some(ours)) => digits(theirs) != digits(ours),
            // Nothing that could be compared, or an address that is another and nothing that would explain it.
            _ => !addresses.is_empty(),
        }
    }

    /// The names of fields that were sent and that the contact doesn't show, or not so. Nothing is concluded from a reply
    /// that tells only who the contact is.
    pub(super) fn not_kept(&self, prepared: &Prepared, contact: &Map<String, Value>) -> Vec<String> {
        let Ok(sent) = self.contact(prepared) else { return Vec::new() };
        let is_whole = contact.contains_key("dateAdded")
            || contact.contains_key("dateUpdated")
            || sent
                .keys()
                .any(|name| !["locationId", "email", "name"].contains(&name.as_str()) && contact.contains_key(name));
        let kept = |name: &str, value: &Value| match contact.get(name) {
            None | Some(Value::Null) => !is_whole,
            Some(theirs) => is_same(name, value, theirs),
        };
        let mut lost = Vec::new();
        for (name, value) in sent.iter().filter(|(name, _)| *name != "locationId") {
            match value {
                Value::Array(custom) => lost.extend(
                    custom.iter().filter(|field| is_whole && !custom_kept(field, contact)).filter_map(custom_name),
                ),
                _ if name == "email" => {
                    let addresses = addresses(contact);
                    if !addresses.is_empty() && !addresses.iter().any(|one| is_same_address(one, &prepared.lead.email))
                    {
                        lost.push(name.clone());
                    }
                }
                value if !kept(name, value) => lost.push(name.clone()),
                _ => {}
            }
        }
        lost
    }
}

fn text<'a>(contact: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    contact.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// Every e-mail address of the contact: its main one, and further ones as texts or as objects.
fn addresses(contact: &Map<String, Value>) -> Vec<String> {
    let further = contact.get("additionalEmails").and_then(Value::as_array).into_iter().flatten();
    let further = further.filter_map(|entry| entry.as_str().or_else(|| entry.get("email")?.as_str()));
    let main = ["email", "emailLowerCase"].into_iter().filter_map(|name| text(contact, name));
    main.chain(further).map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned).collect()
}

/// Whether both are one address, however they are written: upper and lower case, a domain in Unicode or ASCII.
fn is_same_address(one: &str, other: &str) -> bool {
    let plain = |address: &str| {
        let address = address.trim().to_lowercase();
        let Some((local, domain)) = address.rsplit_once('@') else { return address };
        idna::domain_to_ascii(domain).map_or_else(|_| address.clone(), |domain| format!("{local}@{domain}"))
    };
    plain(one) == plain(other)
}

/// Whether a value came back as it was sent, however the API writes it.
fn is_same(name: &str, sent: &Value, theirs: &Value) -> bool {
    let (Some(sent), Some(theirs)) = (plain(sent), plain(theirs)) else { return false };
    match name {
        "phone" => digits(&sent) == digits(&theirs),
        "dateOfBirth" => date(&sent) == date(&theirs),
        "website" => bare(&sent) == bare(&theirs),
        _ => words(&sent) == words(&theirs),
    }
}

/// As text, where it is one value.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// The three numbers of a date, in whatever order and with whatever time behind them.
fn date(text: &str) -> Vec<u32> {
    let day = text.split(['T', ' ']).next().unwrap_or_default();
    let mut numbers: Vec<u32> = day.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// A web address without its scheme and the slash at its end.
fn bare(text: &str) -> String {
    let text = text.trim().to_lowercase();
    let text = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
    text.trim_end_matches('/').to_owned()
}

/// Lower case, one blank between words.
fn words(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether one of the contact's custom fields holds what was sent. Those that were sent by key come back by id, so of
/// them only the value can be looked for.
fn custom_kept(sent: &Value, contact: &Map<String, Value>) -> bool {
    let theirs = contact.get("customFields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let value = sent.get("fieldValue").or_else(|| sent.get("field_value")).and_then(plain).unwrap_or_default();
    let holds = |field: &Value| {
        let said = ["value", "fieldValue", "field_value"].into_iter().find_map(|name| field.get(name));
        match said {
            Some(Value::Array(list)) => {
                let list: Vec<String> = list.iter().filter_map(plain).collect();
                list.contains(&value) || words(&list.join(", ")) == words(&value)
            }
            Some(said) => plain(said).is_some_and(|said| words(&said) == words(&value)),
            None => false,
        }
    };
    match sent.get("id") {
        Some(id) => theirs.iter().any(|field| field.get("id") == Some(id) && holds(field)),
        None => theirs.iter().any(holds),
    }
}

fn custom_name(field: &Value) -> Option<String> {
    let name = field.get("id").or_else(|| field.get("key"))?.as_str()?;
    Some(format!("{CUSTOM_PREFIX}{name}"))
}
