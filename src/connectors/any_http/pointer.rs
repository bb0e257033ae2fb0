//! JSON pointers (RFC 6901) in which `*` stands for every element of a list: `/data/items/*/item/id`.

use serde_json::Value;

/// A pointer, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Vec<String>);

impl Pointer {
    /// `None` if it does not begin with a slash, or has a `~` that is none of the two escapes.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let steps = text.strip_prefix('/')?.split('/');
        steps.map(unescaped).collect::<Option<_>>().map(Self)
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

    /// Why an answer is not of the kind that it points into; `None`: it is, so that what it leads to can be said not to be
    /// there. Without this, an error's body would read as "not there", and so would every answer to a misspelt pointer.
    /// Everything before the first list must exist, and a `*` must stand on one (or on null, which some APIs write for an
    /// empty one); of what a list holds, at least one element must have the rest. A number must be one of an element, unless
    /// the list is empty; a name may be missing only where an object without a list before it is empty, and not the whole
    /// answer.
    pub(super) fn misfit(&self, within: &Value) -> Option<Misfit> {
        self.fits(0, within, Depth::Top).err()
    }

    fn fits(&self, at: usize, value: &Value, depth: Depth) -> Result<(), Misfit> {
        let Some((step, rest)) = self.0.get(at..).and_then(<[String]>::split_first) else { return Ok(()) };
        let misfit = |what: String| Err(Misfit { what, null_at: None });
        let deeper = if depth == Depth::InList { depth } else { Depth::Within };
        match (step.as_str(), value) {
            // What the list holds, or that it holds nothing, is the answer.
            ("*", Value::Array(items)) => {
                let mut result = Ok(());
                for item in items {
                    result = self.fits(at + 1, item, Depth::InList);
                    if result.is_ok() {
                        break;
                    }
                }
                result
            }
            ("*", Value::Null) if depth != Depth::Top => Ok(()),
            ("*", other) => misfit(format!("{} is {}, no list", self.place(at), kind(other))),
            (step, Value::Array(items)) => match step.parse::<usize>().map(|number| items.get(number)) {
                Ok(Some(inner)) => self.fits(at + 1, inner, deeper),
                Ok(None) if items.is_empty() && !rest.iter().any(|step| step == "*") => Ok(()),
                Ok(None) => misfit(format!("{} has no element {step}, only {}", self.place(at), items.len())),
                Err(_) => misfit(format!("{} is a list, whose elements are `*` or a number", self.place(at))),
            },
            (name, Value::Object(fields)) => match fields.get(name) {
                Some(inner) => self.fits(at + 1, inner, deeper),
                None if depth == Depth::Within && rest.is_empty() && fields.is_empty() => Ok(()),
                None => misfit(format!("{} has no `{name}`", self.place(at))),
            },
            (_, other) => {
                let null_at = (other.is_null() && at > 0 && rest.is_empty()).then(|| self.to(at));
                Err(Misfit { what: format!("{} is {}", self.place(at), kind(other)), null_at })
            }
        }
    }

    /// The way to its step `at`, for messages.
    fn place(&self, at: usize) -> String {
        if at == 0 { "the answer".to_owned() } else { format!("`{}`", self.to(at)) }
    }

    /// Itself up to its step `at`, as it is written.
    fn to(&self, at: usize) -> String {
        let steps = self.0.iter().take(at);
        steps.map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
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

/// What an answer has in the place of what a pointer is for. Names what the pointer names, nothing of the answer.
#[derive(Debug)]
pub(super) struct Misfit {
    /// "`/person` has no `idd`".
    pub(super) what: String,
    /// Where null stands in the place of the object that the last step is in.
    pub(super) null_at: Option<String>,
}

fn unescaped(step: &str) -> Option<String> {
    let is_escape = |rest: &str| rest.starts_with(['0', '1']);
    let well_formed = step.split('~').skip(1).all(is_escape);
    well_formed.then(|| step.replace("~1", "/").replace("~0", "~"))
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
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

/// A value that can only stand there if a lead is: `{"exists": false}` and `{"count": 0}` say that it is not.
pub(super) fn is_there(value: &Value) -> bool {
    let denies = |text: &str| matches!(text.trim(), "0" | "false");
    says_something(value)
        && value.as_bool() != Some(false)
        && value.as_f64() != Some(0.0)
        && !value.as_str().is_some_and(denies)
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
