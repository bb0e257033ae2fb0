//! Identity numbers cut to their last four digits, before anything is kept.

use serde_json::Value;

/// What a table of identity details says that is no number.
const PLAIN: [&str; 4] = ["type", "country", "issuing_country", "state"];

/// Digits that make a number worth looking for in the rest of the body; fewer would be found in any address.
const LONG: usize = 5;

/// The body without identity numbers, wherever in it they stand.
pub(super) fn redacted(body: &Value) -> Value {
    let mut body = body.clone();
    let mut numbers = Vec::new();
    cut(&mut body, false, &mut numbers);
    numbers.retain(|number| number.len() >= LONG);
    replace(&mut body, &numbers);
    body
}

/// Cuts every value below `identification_details` but those that are plain words; keeps the digits of each.
fn cut(value: &mut Value, inside: bool, numbers: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let inside = inside || name == "identification_details";
                if !(inside && PLAIN.contains(&name.as_str())) {
                    cut(value, inside, numbers);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| cut(value, inside, numbers)),
        Value::String(_) | Value::Number(_) if inside => {
            let number = digits(value);
            *value = Value::from(last_digits(&number));
            numbers.push(number);
        }
        _ => {}
    }
}

/// The same numbers elsewhere, however they are punctuated.
fn replace(value: &mut Value, numbers: &[String]) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|value| replace(value, numbers)),
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, numbers)),
        Value::String(_) | Value::Number(_) => {
            let found = digits(value);
            if let Some(number) = numbers.iter().find(|number| found.contains(*number)) {
                *value = Value::from(last_digits(number));
            }
        }
        _ => {}
    }
}

/// The digits of a text or of a number.
fn digits(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().filter(char::is_ascii_digit).collect()
}

fn last_digits(digits: &str) -> String {
    // A short one would be shown whole.
    let shown = if digits.len() >= LONG { &digits[digits.len() - 4..] } else { "" };
    format!("***{shown}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_identity_number_is_left_whatever_it_is_called_and_wherever_it_stands() {
        let body = json!({
            "client_customer_id": "lead-1",
            "individual_details": {"first_name": "Ann", "identification_details": {
                "type": "us_entity", "tax_identification": {"type": "ssn", "value": "078-05-1120"},
                "passport": {"country": "FI", "number": "XP8271602"}, "pin": 1234,
            }},
            "metadata": {"note": "ssn is 078 05 1120", "again": "x078051120x", "zip": "12345"},
        });
        let kept = redacted(&body);
        let text = kept.to_string();
        for number in ["078-05-1120", "078 05 1120", "78051120", "8271602", "1234,"] {
            assert!(!text.contains(number), "{number}: {text}");
        }
        let details = &kept["individual_details"]["identification_details"];
        assert_eq!(details["tax_identification"], json!({"type": "ssn", "value": "***1120"}));
        assert_eq!(kept["metadata"]["zip"], "12345");
        assert_eq!((&details["type"], &details["passport"]["country"]), (&json!("us_entity"), &json!("FI")));
        assert_eq!(
            (&kept["individual_details"]["first_name"], &kept["client_customer_id"]),
            (&json!("Ann"), &json!("lead-1"))
        );
    }
}
