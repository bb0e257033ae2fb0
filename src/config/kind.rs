//! Kinds of value: how each is read from TOML or from an environment variable, and what a message says is expected.

use std::net::IpAddr;
use std::str::FromStr as _;
use std::time::Duration;

use url::Url;

use super::values::{self, Mismatch};
use crate::http::message::Rate;
use crate::secret::Secret;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Several texts, or one.
    Texts,
    /// A text that is never shown; the key also exists with `_file`, which names a file that holds it.
    Secret,
    /// An encryption key or a list of them, newest first.
    EncryptionKeys,
    /// Where the database is; may hold a password.
    DatabaseUrl,
    /// A plain SQL name.
    SqlName,
    /// `true` or `false`.
    Bool,
    /// A whole number in this range.
    Integer(i64, i64),
    /// A duration in this range, in milliseconds.
    Duration(u64, u64),
    /// Calls per time, or `none`.
    Rate,
    /// An https address, or http to this machine.
    Url,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Some of these words, each once, at least one.
    Choices(&'static [&'static str]),
    /// An e-mail address; never repeated in a message.
    Email,
    /// ISO 3166 alpha-2.
    Region,
    /// A template over `lead.*` and `person.*`.
    Template,
    /// An IPv4 or IPv6 address.
    IpAddress,
    /// Where a proxy is; may hold a password.
    ProxyUrl,
}

/// A value as somebody wrote it. No `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) enum Raw {
    /// `loose`: came as text because there was no other way (an environment variable, `${…}`), so `"8"` may be a number.
    Text {
        text: String,
        loose: bool,
    },
    Integer(Option<i64>),
    Float,
    Bool(bool),
    List(Vec<Raw>),
    Date,
    Table,
}

/// A value as the program uses it.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    Texts(Vec<String>),
    Secret(Secret),
    Secrets(Vec<Secret>),
    Bool(bool),
    Integer(i64),
    Duration(Duration),
    Rate(Option<Rate>),
    Url(Url),
    Ip(IpAddr),
}

impl Raw {
    pub(super) fn loose(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), loose: true }
    }

    /// Nothing was given: an empty text, whatever it was meant for.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Text { text, .. } if text.trim().is_empty())
    }

    /// For messages: what was found, in words. `hidden`: never what it says.
    pub(super) fn describe(&self, hidden: bool) -> String {
        match self {
            Self::Text { text, .. } if !hidden => {
                let short: String = text.chars().take(40).collect();
                let more = if short.len() < text.len() { "…" } else { "" };
                format!("\"{}{more}\"", short.escape_debug())
            }
            Self::Text { .. } => "a text (not shown)".to_owned(),
            Self::Integer(Some(number)) if !hidden => format!("the number {number}"),
            Self::Integer(_) => "a number".to_owned(),
            Self::Float => "a fraction".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::List(items) if !hidden && (1..=5).contains(&items.len()) => {
                let items: Vec<String> = items.iter().map(|item| item.describe(false)).collect();
                format!("the list [{}]", items.join(", "))
            }
            Self::List(_) => "a list".to_owned(),
            Self::Date => "a date".to_owned(),
            Self::Table => "a table".to_owned(),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text.trim()),
            _ => None,
        }
    }

    /// The text, if it may stand for a number or the like.
    fn loose_text(&self) -> Option<&str> {
        match self {
            Self::Text { text, loose: true } => Some(text.trim()),
            _ => None,
        }
    }

    /// The texts of a list; one text is a list of one. A variable may hold a list as TOML writes it.
    fn texts(&self) -> Option<Vec<String>> {
        if let Some(list) = self.loose_text().filter(|text| text.starts_with('[')) {
            return match super::file::read_value(list)? {
                Self::List(items) => Self::List(items).texts(),
                _ => None,
            };
        }
        match self {
            Self::Text { text, .. } => Some(vec![text.trim().to_owned()]),
            Self::List(items) => {
                items.iter().filter(|item| !item.is_empty()).map(|item| item.text().map(str::to_owned)).collect()
            }
            _ => None,
        }
    }
}

impl Kind {
    /// Whether a value of this kind is never shown.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::EncryptionKeys | Self::DatabaseUrl | Self::ProxyUrl)
    }

    /// Whether a message may repeat a value that doesn't fit.
    pub(super) fn may_be_repeated(self, raw: &Raw) -> bool {
        let could_hide_a_password = match raw {
            Raw::Text { text, .. } => text.contains(['@', '?']),
            Raw::List(items) => !items.iter().all(|item| self.may_be_repeated(item)),
            _ => false,
        };
        !self.is_secret() && self != Self::Email && !could_hide_a_password
    }

    /// Whether an empty text says something (send nothing) instead of "not set".
    pub(super) fn keeps_empty(self) -> bool {
        self == Self::Template
    }

    pub(super) fn read(self, raw: &Raw) -> Result<Value, Mismatch> {
        let text = |expected: &str| raw.text().ok_or_else(|| Mismatch::new(expected));
        Ok(match self {
            Self::Text => Value::Text(text("a text in quotes")?.to_owned()),
            // Templates keep their blanks: they are part of what is sent.
            Self::Template => match raw {
                Raw::Text { text, .. } => template(text).map(|()| Value::Text(text.clone()))?,
                _ => return Err(Mismatch::new("a template in quotes, such as \"{{ person.title }}\"")),
            },
            // Blanks around a secret are its own: nothing is trimmed.
            Self::Secret => match raw {
                Raw::Text { text, .. } => Value::Secret(Secret::new(text.as_str())),
                _ => return Err(Mismatch::new("a text in quotes")),
            },
            Self::Texts => Value::Texts(
                raw.texts().ok_or_else(|| Mismatch::new("a list of texts such as [\"exist\", \"duplicate\"]"))?,
            ),
            Self::EncryptionKeys => Value::Secrets(encryption_keys(raw)?),
            Self::DatabaseUrl => {
                let url = text("\"sqlite://FILE\" or \"postgres://USER@HOST/DATABASE\"")?;
                values::database_url(url)?;
                Value::Secret(Secret::new(url))
            }
            Self::ProxyUrl => Value::Secret(Secret::new(values::proxy(raw.text().unwrap_or_default())?)),
            Self::IpAddress => match raw.text().unwrap_or_default().parse() {
                Ok(address) => Value::Ip(address),
                Err(_) => return Err(Mismatch::new("an IP address such as \"203.0.113.7\"")),
            },
            Self::SqlName => Value::Text(sql_name(raw)?),
            Self::Bool => match (raw, raw.loose_text()) {
                (Raw::Bool(value), _) => Value::Bool(*value),
                (_, Some("true")) => Value::Bool(true),
                (_, Some("false")) => Value::Bool(false),
                _ => return Err(Mismatch::new("true or false")),
            },
            Self::Integer(min, max) => Value::Integer(integer(raw, min, max)?),
            Self::Duration(min_ms, max_ms) => Value::Duration(duration(raw, min_ms, max_ms)?),
            Self::Rate => Value::Rate(values::rate(raw.text().unwrap_or_default())?),
            Self::Url => Value::Url(values::address(raw.text().unwrap_or_default())?),
            Self::Choice(words) => Value::Text(choice(raw.text().unwrap_or_default(), words)?),
            Self::Choices(words) => Value::Texts(choices(raw, words)?),
            Self::Email => {
                let address = text("an e-mail address")?;
                if !email_address::EmailAddress::is_valid(address) {
                    return Err(Mismatch::new("an e-mail address such as \"ashley@example.com\""));
                }
                Value::Text(address.to_owned())
            }
            Self::Region => {
                let region = raw.text().unwrap_or_default().to_ascii_uppercase();
                if phonenumber::country::Id::from_str(&region).is_err() {
                    return Err(Mismatch::new("a country's two letters (ISO 3166) such as \"US\", \"GB\" or \"DE\""));
                }
                Value::Text(region)
            }
        })
    }
}

fn encryption_keys(raw: &Raw) -> Result<Vec<Secret>, Mismatch> {
    let texts = raw.texts().ok_or_else(|| {
        Mismatch::new("64 hex digits or base64 of 32 bytes in quotes, or a list of such keys, newest first")
    })?;
    for text in &texts {
        values::encryption_key(text)?;
    }
    Ok(texts.into_iter().map(Secret::new).collect())
}

fn sql_name(raw: &Raw) -> Result<String, Mismatch> {
    let name = raw.text().unwrap_or_default();
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if starts_well && plain && name.len() <= 63 {
        return Ok(name.to_owned());
    }
    Err(Mismatch::new("a schema name of lower-case letters, digits and _, such as \"leadsync\""))
}

fn integer(raw: &Raw, min: i64, max: i64) -> Result<i64, Mismatch> {
    let number = match raw {
        Raw::Integer(number) => *number,
        _ => raw.loose_text().and_then(|text| text.parse().ok()),
    };
    number.filter(|number| (min..=max).contains(number)).ok_or_else(|| match max {
        i64::MAX => Mismatch::new(format!("a whole number, {min} or more")),
        _ => Mismatch::new(format!("a whole number from {min} to {max}")),
    })
}

fn duration(raw: &Raw, min_ms: u64, max_ms: u64) -> Result<Duration, Mismatch> {
    let read = values::duration(raw.text().unwrap_or_default())?;
    let (min, max) = (Duration::from_millis(min_ms), Duration::from_millis(max_ms));
    if (min..=max).contains(&read) {
        return Ok(read);
    }
    let (min, max) = (values::format_duration(min), values::format_duration(max));
    Err(Mismatch::new(format!("a duration from {min} to {max}")))
}

fn choice(word: &str, words: &[&str]) -> Result<String, Mismatch> {
    if words.contains(&word) {
        return Ok(word.to_owned());
    }
    Err(Mismatch::new(either(words)))
}

fn choices(raw: &Raw, words: &[&str]) -> Result<Vec<String>, Mismatch> {
    let expected = || Mismatch::new(format!("a list of {}, each at most once", either(words)));
    let chosen = raw.texts().filter(|chosen| !chosen.is_empty()).ok_or_else(expected)?;
    for (index, word) in chosen.iter().enumerate() {
        if !words.contains(&word.as_str()) || chosen[..index].contains(word) {
            return Err(expected());
        }
    }
    Ok(chosen)
}

/// `"a", "b" or "c"`.
fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [firsts @ .., last] => format!("{} or {last}", firsts.join(", ")),
    }
}

/// Longest template, in bytes. One that nests deeper than this length allows would overflow the stack while it is read.
const MOST_TEMPLATE_BYTES: usize = 2000;
/// What a template may start from.
const TEMPLATE_ROOTS: [&str; 2] = ["lead", "person"];

fn template(text: &str) -> Result<(), Mismatch> {
    if text.len() > MOST_TEMPLATE_BYTES {
        return Err(Mismatch::new(format!("a template of at most {MOST_TEMPLATE_BYTES} bytes")));
    }
    let environment = minijinja::Environment::new();
    let template = environment.template_from_str(text).map_err(|error| {
        // The detail names tokens of the template's own grammar; a template is no place for secrets.
        let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        Mismatch::new(format!("a template such as \"{{{{ person.title }}}}\", and this one can't be read: {why}"))
    })?;
    let mut strangers: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    strangers.retain(|name| !TEMPLATE_ROOTS.contains(&name.as_str()));
    strangers.sort_unstable();
    match strangers.first() {
        None => Ok(()),
        Some(name) => Err(Mismatch::new(format!("a template over lead.* and person.*, and this one uses `{name}`"))),
    }
}
