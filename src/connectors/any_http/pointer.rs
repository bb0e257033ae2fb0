//! JSON pointers (RFC 6901) in which `*` stands for every element of a list: `/data/items/*/item/id`.

use serde_json::Value;

/// A pointer, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Vec<String>);

impl Pointer {
    /// `None` if it does not begin with a slash.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let steps = text.strip_prefix('/')?.split('/');
        Some(Self(steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect()))
    }

    /// Every value that it leads to, each with the elements that its stars stood for.
    pub(super) fn all<'a>(&self, within: &'a Value) -> Vec<(Vec<usize>, &'a Value)> {
        let mut found = vec![(Vec::new(), within)];
        for step in &self.0 {
            found = found
                .into_iter()
                .flat_map(|(stars, value)| -> Vec<(Vec<usize>, &Value)> {
                    match (step.as_str(), value) {
                        ("*", Value::Array(items)) => items
                            .iter()
                            .enumerate()
                            .map(|(at, item)| (stars.iter().copied().chain([at]).collect(), item))
                            .collect(),
                        (name, value) => one_step(value, name).map(|value| (stars, value)).into_iter().collect(),
                    }
                })
                .collect();
        }
        found
    }

    /// Whether an answer is of the kind that it points into, so that what it leads to can be said not to be there. Without
    /// this, an error's body would read as "not there", and so would every answer to a misspelt pointer. Everything before
    /// the first list must exist, and a `*` must stand on one (or on null, which some APIs write for an empty one); of what
    /// a list holds, at least one element must have the rest. Without a list, everything but the last step, that too if
    /// it is the only one.
    pub(super) fn is_answered_by(&self, within: &Value) -> bool {
        is_answered(&self.0, within, Depth::Top)
    }

    /// The value that it leads to with these elements for its stars; further stars stand for the first element.
    pub(super) fn at<'a>(&self, within: &'a Value, stars: &[usize]) -> Option<&'a Value> {
        let mut stars = stars.iter().copied();
        self.0.iter().try_fold(within, |value, step| match (step.as_str(), value) {
            ("*", Value::Array(items)) => items.get(stars.next().unwrap_or(0)),
            (name, value) => one_step(value, name),
        })
    }
}

/// How far into an answer a pointer has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Top,
    Within,
    /// In an element of a list.
    InList,
}

fn is_answered(steps: &[String], value: &Value, depth: Depth) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    let deeper = if depth == Depth::InList { depth } else { Depth::Within };
    match (step.as_str(), value) {
        // What the list holds, or that it holds nothing, is the answer.
        ("*", Value::Array(items)) => {
            items.is_empty() || items.iter().any(|item| is_answered(rest, item, Depth::InList))
        }
        ("*", Value::Null) => depth != Depth::Top,
        ("*", _) => false,
        (step, Value::Array(items)) => match step.parse::<usize>().map(|at| items.get(at)) {
            Ok(Some(inner)) => is_answered(rest, inner, deeper),
            Ok(None) => !rest.iter().any(|step| step == "*"),
            Err(_) => false,
        },
        (name, Value::Object(fields)) => match fields.get(name) {
            Some(inner) => is_answered(rest, inner, deeper),
            None => depth == Depth::Within && rest.is_empty(),
        },
        _ => false,
    }
}

fn one_step<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

/// A value that says something: not null, not an empty text, list or object.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// A number or a text as an id, at most 200 characters of it.
pub(super) fn id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= 200).then_some(text)
}
