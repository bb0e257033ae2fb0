//! What is asked and what came back. Connectors see only this of HTTP.

mod limits;
mod words;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::{Host, Url};

pub use words::in_a_line;

/// Objects that one reply may hold: a look-up of 100 people has a few thousand.
const OBJECTS: usize = 20_000;

/// A request before authorisation: [`crate::connectors::channel::Channel`] adds the token.
///
/// `Debug` shows method and address without query and user; headers and body may hold secrets and personal data.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    /// A request without body.
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// The same request with one more header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same request with a JSON body and its content type.
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Bytes::from(body.to_string());
        self.header(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        url.set_query(None);
        // Fails only for addresses that can't have them.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        write!(f, "{} {url}", self.method)
    }
}

/// A complete reply, its body read up to a cap.
///
/// `Debug` shows the status and the body's size; the body may hold personal data.
#[derive(Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON, if it is any; a byte order mark before it is passed over. One of more than [`OBJECTS`] objects is
    /// none: `{"":0}` takes a hundred times its own length in memory, and no API that we know of says so much at once.
    pub fn json(&self) -> Option<serde_json::Value> {
        let body = self.body_after_mark();
        if body.iter().filter(|byte| **byte == b'{').count() > OBJECTS {
            return None;
        }
        serde_json::from_slice(body).ok()
    }

    fn body_after_mark(&self) -> &[u8] {
        self.body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.body)
    }

    /// A header as text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.status, self.body.len())
    }
}

/// No complete reply. The difference between the two is the promise of the project: what was certainly not sent may be
/// sent again; what may have arrived must be looked for first.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing of the request reached the other side: name not found, connection refused, TLS not established.
    #[error("{why}")]
    NotSent {
        /// In words, naming the host, never the query or body.
        why: String,
    },
    /// The request may have arrived, and the reply did not, or not whole: time-out, reset, body cut short or over the cap.
    #[error("{why}")]
    Lost {
        /// In words.
        why: String,
    },
}

/// How fast an account may be called: `count` calls in any window of `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls per window; at least 1.
    pub count: u32,
    /// The window's length.
    pub per: Duration,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per.as_secs() {
            1 => write!(f, "{}/s", self.count),
            60 => write!(f, "{}/min", self.count),
            3600 => write!(f, "{}/h", self.count),
            86_400 => write!(f, "{}/day", self.count),
            seconds => write!(f, "{}/{seconds}s", self.count),
        }
    }
}

/// Whether the address can only be this machine (127.0.0.0/8, `::1`, `localhost`).
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}
