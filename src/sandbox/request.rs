//! A request, read whole.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

/// A request, read whole.
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The body, if it is JSON.
    pub(super) json: Option<Value>,
}

/// Shows no personal data and no secret.
impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

impl Incoming {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What stands behind `Authorization: Bearer`.
    pub(super) fn bearer(&self) -> Option<&str> {
        self.authorization("bearer")
    }

    /// User and password of `Authorization: Basic`.
    pub(super) fn basic(&self) -> Option<(String, String)> {
        let decoded = BASE64_STANDARD.decode(self.authorization("basic")?).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        decoded.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    }

    fn authorization(&self, expected: &str) -> Option<&str> {
        let (scheme, credentials) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case(expected).then_some(credentials.trim())
    }

    /// Whether the body says it is a form.
    pub(super) fn is_form(&self) -> bool {
        self.is_of("application/x-www-form-urlencoded")
    }

    /// Whether the body says it is JSON.
    pub(super) fn is_json(&self) -> bool {
        self.is_of("application/json")
    }

    fn is_of(&self, media_type: &str) -> bool {
        let found = self.header("content-type").and_then(|found| found.split(';').next());
        found.is_some_and(|found| found.trim().eq_ignore_ascii_case(media_type))
    }

    /// The body as a form.
    pub(super) fn form(&self, name: &str) -> Option<String> {
        parameter(&self.body, name)
    }

    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.query.as_deref()?.as_bytes(), name)
    }

    /// A field of the body, a form or a JSON object; blank is as good as missing.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        let found = if self.is_form() {
            self.form(name)
        } else if self.is_json() {
            match self.json.as_ref()?.get(name)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            }
        } else {
            None
        };
        found.filter(|text| !text.trim().is_empty())
    }

    /// What of the path follows this prefix: `""`, or something that begins with a slash.
    pub(super) fn below(&self, prefix: &str) -> Option<&str> {
        self.path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn parameter(encoded: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(encoded).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
