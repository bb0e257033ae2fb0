//! The body of a `/find` answer. Every field may be missing or null, and a field that isn't what it should be is missing:
//! one odd value must not cost a whole answer. What is *not* forgiven is an answer that doesn't line up with the question.

use serde_json::{Map, Value};

use super::Credits;
use crate::http::message::Reply;
use crate::lead::{LookUp, Person};

/// One answer per match asked for, in order; or why the reply can't be used, in words.
pub(super) fn answers(asked: usize, reply: &Reply) -> Result<Vec<LookUp>, String> {
    let code = reply.status.as_u16();
    let Some(body) = reply.json() else {
        let found = if reply.is_html() { "an HTML page" } else { "something that is no JSON, or was cut short" };
        return Err(format!("Live Data answered {code} with {found}"));
    };
    let matches = match body.get("matches") {
        Some(Value::Array(matches)) => matches,
        _ if body.get("people").is_some() => {
            return Err(format!("Live Data answered {code} with people that belong to no match"));
        }
        _ if body.get("error").is_some_and(|error| !error.is_null()) => {
            return Err(format!("Live Data answered {code} with an error: {}", reply.message()));
        }
        _ => return Err(format!("Live Data answered {code} without `matches`")),
    };
    if matches.len() != asked {
        return Err(format!("Live Data answered {} of {asked} matches", matches.len()));
    }
    matches.iter().enumerate().map(|(index, entry)| answer(index, entry)).collect()
}

fn answer(index: usize, entry: &Value) -> Result<LookUp, String> {
    let unreadable = |what: &str| format!("Live Data's answer to match {index} has {what}");
    let fields = match entry {
        Value::Object(fields) => fields,
        Value::Null => return Ok(LookUp::NotFound),
        _ => return Err(unreadable("no fields")),
    };
    if fields.get("found").and_then(Value::as_bool) == Some(false) {
        return Ok(LookUp::NotFound);
    }
    let people = match fields.get("people") {
        None | Some(Value::Null) => return Ok(LookUp::NotFound),
        Some(Value::Array(people)) => people,
        Some(_) => return Err(unreadable("people that are no list")),
    };
    let best = people.iter().filter_map(Value::as_object).fold(None, |best: Option<(f64, _)>, person| {
        let score = number(person, "score").unwrap_or(f64::NEG_INFINITY);
        match best {
            Some((highest, _)) if highest >= score => best,
            _ => Some((score, person)),
        }
    });
    match best {
        None if people.iter().all(Value::is_null) => Ok(LookUp::NotFound),
        None => Err(unreadable("people without fields")),
        Some((_, fields)) => Ok(match person(fields) {
            nobody if nobody == Person::default() => LookUp::NotFound,
            person => LookUp::Found { person: Box::new(person) },
        }),
    }
}

fn person(from: &Map<String, Value>) -> Person {
    let nothing = Map::new();
    let inside = |of: &Map<String, Value>, key: &str| of.get(key).and_then(Value::as_object).cloned();
    let position = inside(from, "position").unwrap_or_default();
    let company = inside(&position, "company").unwrap_or_default();
    let details = inside(from, "location_details");
    let details = details.as_ref().unwrap_or(&nothing);
    Person {
        id: text(from, "id"),
        name: text(from, "name"),
        first_name: text(from, "first_name"),
        last_name: text(from, "last_name"),
        linkedin: text(from, "linkedin"),
        location: text(from, "location").or_else(|| text(details, "raw")),
        country: text(from, "country").or_else(|| text(details, "country")),
        country_code: text(details, "country_code").map(|code| code.to_uppercase()),
        cell_phone: text(from, "cell_phone_number"),
        direct_dial: text(&position, "direct_dial_number"),
        employment_status: text(from, "employment_status"),
        title: text(&position, "title"),
        level: text(&position, "level"),
        function: text(&position, "function"),
        company: text(&company, "name"),
        company_domain: text(&company, "domain").map(|domain| domain.to_lowercase()),
        industry: text(&company, "industry"),
        employee_count: number(&company, "employee_count"),
        work_email: text(&position, "email").map(|email| email.to_lowercase()),
    }
}

/// A text field, trimmed; numbers are taken as text; blank is missing.
fn text(of: &Map<String, Value>, key: &str) -> Option<String> {
    let text = match of.get(key)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// A number, also where it was sent as text.
fn number(of: &Map<String, Value>, key: &str) -> Option<f64> {
    let number = match of.get(key)? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// Credits as the reply's headers tell them. Source: <https://docs.gotlivedata.com/docs/view-usage>; `Remaining` is absent
/// where there is no cap.
pub(super) fn credits(reply: &Reply) -> Credits {
    let header = |name| {
        let text = reply.header(name)?.trim().replace([',', '_'], "");
        // Fractions are cut: what is left of a credit buys no look-up.
        text.parse::<i64>().ok().or_else(|| text.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n as i64))
    };
    Credits { used: header("x-ldt-credits-used"), remaining: header("x-ldt-credits-remaining") }
}
