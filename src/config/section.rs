//! The table of one destination: values that were read by the schema, for the connector to take what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use url::Url;

use super::kind::Value;
use super::lookup;
use crate::http::message::Rate;
use crate::http::send::Egress;
use crate::secret::Secret;

/// A key that is not set; the configuration knows where it was looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is not set{}", alternative.as_ref().map_or(String::new(), |other| format!(", nor is {other}")))]
pub struct MissingSetting {
    /// The whole key: `destinations.7targets.client_secret`.
    pub key: String,
    /// What could be set in its place.
    pub alternative: Option<String>,
}

/// The keys of `[destinations.NAME]` that have a value, defaults included. Names are relative to the table:
/// `client_id`, `auth.style`. Asking for a name that the kind does not declare is a mistake in the connector.
#[derive(Clone)]
pub struct Section {
    name: String,
    kind: &'static str,
    values: BTreeMap<String, Value>,
    /// Written down, though without a value.
    unset: BTreeSet<String>,
    /// Secrets are not asked for: see [`Section::without_secrets`].
    blind: bool,
}

/// Names only: values may be secrets.
impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Section").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Section {
    pub(super) fn new(
        name: &str,
        kind: &'static str,
        values: BTreeMap<String, Value>,
        unset: BTreeSet<String>,
    ) -> Self {
        Self { name: name.to_owned(), kind, values, unset, blind: false }
    }

    /// The destination's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole key of `name`, for messages.
    pub fn key(&self, name: &str) -> String {
        format!("destinations.{}.{name}", self.name)
    }

    /// The same table for commands that send nothing and therefore need no secret: one that is missing is taken as there.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        Self { blind: true, ..self.clone() }
    }

    /// Whether a value was given, or at least meant to be.
    pub fn names(&self, name: &str) -> bool {
        self.value(name).is_some() || self.unset.contains(name)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        debug_assert!(
            lookup::find_for(&["destinations", "x"].into_iter().chain(name.split('.')).collect::<Vec<_>>(), self.kind)
                .is_some(),
            "a {} has no key `{name}`",
            self.kind
        );
        self.values.get(name)
    }

    /// A text, if it says anything.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Text(text) => Some(text.as_str()).filter(|text| !text.trim().is_empty()),
            _ => None,
        }
    }

    /// A text that has a default or may be empty.
    pub fn text_or_empty(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// A text that can't be done without.
    ///
    /// # Errors
    /// [`MissingSetting`] if it is not set.
    pub fn need_text(&self, name: &str) -> Result<String, MissingSetting> {
        self.text(name).map(|text| text.trim().to_owned()).ok_or_else(|| self.missing(name))
    }

    /// A secret, as it is: not trimmed, but a blank one is none.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        match self.value(name) {
            Some(Value::Secret(secret)) if !secret.expose().trim().is_empty() => Some(secret.clone()),
            _ if self.blind && self.unset.contains(name) => Some(Secret::new("not read")),
            _ => None,
        }
    }

    /// A secret that can't be done without.
    ///
    /// # Errors
    /// [`MissingSetting`] if it is not set; never if secrets are not asked for.
    pub fn need_secret(&self, name: &str) -> Result<Secret, MissingSetting> {
        match self.secret(name) {
            Some(secret) => Ok(secret),
            None if self.blind => Ok(Secret::new("not read")),
            None => Err(self.missing(name)),
        }
    }

    /// An address.
    pub fn url(&self, name: &str) -> Option<Url> {
        match self.value(name)? {
            Value::Url(url) => Some(url.clone()),
            _ => None,
        }
    }

    /// An address that can't be done without.
    ///
    /// # Errors
    /// [`MissingSetting`] if it is not set and has no default.
    pub fn need_url(&self, name: &str) -> Result<Url, MissingSetting> {
        self.url(name).ok_or_else(|| self.missing(name))
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.value(name)? {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// `true`; unset is `false`.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Bool(true)))
    }

    /// A list of texts; unset is empty.
    pub fn texts(&self, name: &str) -> &[String] {
        match self.value(name) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// The texts below a table: `fields`, `headers`.
    pub fn below(&self, table: &str) -> BTreeMap<String, String> {
        let prefix = format!("{table}.");
        let texts = self.values.iter().filter_map(|(name, value)| match value {
            Value::Text(text) => Some((name.strip_prefix(&prefix)?.to_owned(), text.clone())),
            _ => None,
        });
        texts.collect()
    }

    /// The account's rate limit; `None`: none.
    pub fn rate(&self) -> Option<Rate> {
        match self.value("rate")? {
            Value::Rate(rate) => *rate,
            _ => None,
        }
    }

    /// Creates per UTC day; `None`: no limit.
    pub fn daily_limit(&self) -> Option<u32> {
        self.integer("daily_limit").and_then(|limit| u32::try_from(limit).ok())
    }

    /// Requests in flight per process; at least 1.
    pub fn concurrency(&self) -> usize {
        self.integer("concurrency").and_then(|count| usize::try_from(count).ok()).unwrap_or(1).max(1)
    }

    /// From writing a request to the reply's last byte.
    pub fn timeout(&self) -> Duration {
        self.duration("timeout")
    }

    /// How long after an unknown outcome the API is given.
    pub fn settle(&self) -> Duration {
        self.duration("settle")
    }

    /// A duration; every one of a destination's has a default.
    pub fn duration(&self, name: &str) -> Duration {
        match self.value(name) {
            Some(Value::Duration(duration)) => *duration,
            _ => Duration::ZERO,
        }
    }

    /// The way out that calls of this destination take.
    pub fn egress(&self) -> Egress {
        let bind = match self.value("bind_address") {
            Some(Value::Ip(address)) => Some(*address),
            _ => None,
        };
        let proxy = match self.value("proxy") {
            Some(Value::Secret(url)) => url.expose().parse().ok(),
            _ => None,
        };
        Egress { bind, proxy, ipv4_only: false }
    }

    /// The error for a key without a value.
    pub fn missing(&self, name: &str) -> MissingSetting {
        MissingSetting { key: self.key(name), alternative: None }
    }

    /// The same, where another key would do.
    pub fn missing_or(&self, name: &str, alternative: &str) -> MissingSetting {
        MissingSetting { key: self.key(name), alternative: Some(alternative.to_owned()) }
    }
}
