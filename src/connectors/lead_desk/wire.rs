//! What both APIs' answers have in common: numbers that may come as text, and phone numbers written anyhow.

use serde_json::Value;

/// Digits that two numbers must share at their ends to be the same, where one is written without its country: fewer, and
/// somebody else's in another country or area ends in them too.
const SHARED_DIGITS: usize = 8;
/// With so many they may be: in small countries whole numbers are no longer.
const PERHAPS_SHARED: usize = 6;

/// A whole number above zero, also where it came as text.
pub(super) fn id(value: &Value) -> Option<u64> {
    count(value).filter(|number| *number > 0)
}

/// A whole number, also where it came as text.
pub(super) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A yes or no, also where it came as number or text.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => Some(number.as_u64()? == 1),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The contact that an answer describes: the answer itself, or what it wraps.
pub(super) fn contact(body: &Value) -> &Value {
    ["contact", "data"].iter().find_map(|name| body.get(*name).filter(|inner| inner.is_object())).unwrap_or(body)
}

/// The phone numbers that a contact names. Source for the names: `bartlomiejbeta/LeadDeskApiClientLib`,
/// `src/Representation`.
pub(super) fn phones(contact: &Value) -> Vec<String> {
    let named = ["phone", "phone_number", "phoneNumber", "phoneNumbers", "phone_numbers", "phones"];
    let mut found = Vec::new();
    named.iter().filter_map(|name| contact.get(*name)).for_each(|value| collect(value, true, &mut found));
    found
}

fn collect(value: &Value, within: bool, found: &mut Vec<String>) {
    match value {
        Value::String(text) if !digits(text).is_empty() => found.push(text.clone()),
        Value::Number(number) => found.push(number.to_string()),
        Value::Array(items) if within => items.iter().for_each(|item| collect(item, false, found)),
        Value::Object(fields) => {
            let named = ["number", "phone", "phone_number", "phoneNumber", "value"];
            let texts = named.iter().filter_map(|name| fields.get(*name)).filter_map(Value::as_str);
            found.extend(texts.filter(|text| !digits(text).is_empty()).map(str::to_owned));
        }
        _ => {}
    }
}

pub(super) fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

/// Whether both are one number, however they are written: with or without `+`, `00` or the country. Two that both name
/// their country must be equal; else the shorter one, of eight digits or more, must be the other's end.
pub(super) fn is_same_number(one: &str, other: &str) -> bool {
    share(one, other, SHARED_DIGITS)
}

/// Whether they could be one, though one of them is too short to say so.
pub(super) fn may_be_same_number(one: &str, other: &str) -> bool {
    share(one, other, PERHAPS_SHARED)
}

fn share(one: &str, other: &str, least: usize) -> bool {
    let both_whole = names_country(one) && names_country(other);
    let (one, other) = (significant(one), significant(other));
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    !short.is_empty() && (short == long || (!both_whole && short.len() >= least && long.ends_with(&short)))
}

fn names_country(phone: &str) -> bool {
    let phone = phone.trim();
    phone.starts_with('+') || phone.starts_with("00")
}

/// Its digits without zeros at the front, and without the one that is dialled only at home: `+358 (0)40 …`.
fn significant(phone: &str) -> String {
    digits(&phone.replace("(0)", "")).trim_start_matches('0').to_owned()
}
