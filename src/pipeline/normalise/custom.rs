//! Custom fields: a JSON object of scalars.

use std::collections::BTreeMap;

use serde_json::Value;

use super::text;

const LONGEST_NAME: usize = 100;
const LONGEST_VALUE: usize = 4000;
const MOST: usize = 100;

/// The entries as text. What is no text, number or truth value is left out and noted; null is no value.
pub(in crate::pipeline) fn fields(raw: &str, notes: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut note = |text: String| notes.push(format!("custom_fields: {text}"));
    let mut fields = BTreeMap::new();
    if raw.trim().is_empty() {
        return fields;
    }
    let object = match parsed(raw) {
        Ok(Value::Object(object)) => object,
        Ok(_) => {
            note("JSON, but not an object ({\"name\": \"value\"}), left out".to_owned());
            return fields;
        }
        Err(_) => {
            note("not a JSON object ({\"name\": \"value\"}), left out".to_owned());
            return fields;
        }
    };
    let (mut nested, mut nameless, mut surplus) = (0, 0, 0);
    for (name, value) in object {
        let value = match value {
            Value::Null => continue,
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::String(value) => value,
            Value::Array(_) | Value::Object(_) => {
                nested += 1;
                continue;
            }
        };
        let value = text::lines(&value, LONGEST_VALUE);
        if value.note.as_deref().is_some_and(|why| why.starts_with("cut")) {
            note(format!("a value was cut to {LONGEST_VALUE} characters"));
        }
        match (self::name(&name), value.value) {
            (_, None) => {}
            (None, Some(_)) => nameless += 1,
            (Some(name), Some(_)) if fields.len() == MOST && !fields.contains_key(&name) => surplus += 1,
            (Some(name), Some(value)) => {
                fields.entry(name).or_insert(value);
            }
        }
    }
    let mut left_out = |count: usize, what: &str| {
        if count > 0 {
            note(format!("{count} {what}, left out"));
        }
    };
    left_out(nested, "neither text, number nor truth value");
    left_out(nameless, "without a usable name");
    left_out(surplus, &format!("more than the {MOST} allowed"));
    fields
}

fn parsed(raw: &str) -> serde_json::Result<Value> {
    serde_json::from_str(raw.trim_matches(['\u{feff}', '\0', ' ', '\n', '\r', '\t']))
}

/// The object, if it is one.
pub(in crate::pipeline) fn object(raw: &str) -> Option<serde_json::Map<String, Value>> {
    match parsed(raw) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// What an entry of this name is called in a lead; `None`: it has no usable name.
pub(in crate::pipeline) fn name(written: &str) -> Option<String> {
    text::id(written, LONGEST_NAME).value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> (Vec<(String, String)>, Vec<String>) {
        let mut notes = Vec::new();
        (fields(raw, &mut notes).into_iter().collect(), notes)
    }

    #[test]
    fn scalars_become_text_and_the_rest_is_noted() {
        let (fields, notes) =
            read(r#"{"plan": " pro ", "seats": 5, "beta": true, "none": null, "list": [1], " ": "x"}"#);
        assert_eq!(
            fields,
            [("beta", "true"), ("plan", "pro"), ("seats", "5")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        assert_eq!(
            notes,
            [
                "custom_fields: 1 neither text, number nor truth value, left out",
                "custom_fields: 1 without a usable name, left out"
            ]
        );
    }

    #[test]
    fn what_is_no_object_is_left_out_without_repeating_it() {
        for raw in ["plan=pro", "[1]", "\"x\"", "{\"a\": 1", "{a: 1}"] {
            let (fields, notes) = read(raw);
            assert!(fields.is_empty());
            assert_eq!(notes.len(), 1, "{raw}");
            assert!(!notes[0].contains("pro"));
        }
        assert_eq!(read("  "), (vec![], vec![]));
    }
}
