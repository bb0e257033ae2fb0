//! What any API's reply says, whatever the API: the server's own words, and how long it asks us to stay away.

#[cfg(test)]
mod tests;

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use serde_json::Value;

use super::Reply;
use crate::clock::Timestamp;
use crate::mask;
use crate::secret::Secret;

/// Longest message shown, in characters.
const MESSAGE_CAP: usize = 200;
/// Longest text looked into, in characters; a body of a megabyte is not worth reading.
const TEXT_CAP: usize = 16 * MESSAGE_CAP;
/// Where APIs put their words, most telling first: `error` and `code` are often codes ("invalid_scope").
const MESSAGE_KEYS: [&str; 13] = [
    "message",
    "error_description",
    "errorMessage",
    "error",
    "detail",
    "title",
    "reason",
    "description",
    "defaultMessage",
    "code",
    "errorCode",
    "errors",
    "messages",
];
/// A secret shorter than this may be a word, or the name of a field that a reply needs.
const TELLING: usize = 16;
/// Messages within messages are followed so deep.
const MESSAGE_DEPTH: u8 = 3;
/// So many messages of one reply are read.
const MESSAGES: usize = 8;
/// The longest wait that is believed. Quotas start anew within a day; a server that asks for more is asked again tomorrow,
/// so that a slip of one reply does not close an account for a century.
const WAIT_MAX: Duration = Duration::from_secs(86_400);
/// The end of the year 9999, after which HTTP has no dates.
const LAST_DATE: Duration = Duration::from_secs(253_402_300_799);

impl Reply {
    /// How long the server asks us to wait: `Retry-After` in seconds or as a date. A date is read against the reply's own
    /// `Date`, so that a wrong clock of ours doesn't matter; one that has passed is a wait of zero. At most a day. `None`: not
    /// given, or unreadable. Source: RFC 9110, 10.2.3.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header(RETRY_AFTER.as_str())?.trim();
        // The standard knows whole seconds only; what APIs send instead is a decimal fraction.
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && let Ok(seconds) = text.parse::<f64>()
        {
            return Some(Duration::from_secs_f64(seconds.min(WAIT_MAX.as_secs_f64())));
        }
        Some(self.date()?.until(http_date(text)?).min(WAIT_MAX))
    }

    /// The same, where a server that can't serve anybody at the moment says it (500, 502, 503, 504): the request it answers
    /// may have been processed, and the next ones are not to come before. `None` for a wait of no time at all.
    pub fn asks_for_a_rest(&self) -> Option<Duration> {
        let sick = matches!(self.status.as_u16(), 500 | 502 | 503 | 504);
        self.retry_after().filter(|wait| sick && !wait.is_zero())
    }

    /// When the server says that it sent this (`Date`), to the second.
    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.header(DATE.as_str())?)
    }

    /// The same reply with a `Date`, which is when we got it unless the server said so itself. RFC 9110, 6.6.1, asks this
    /// of whoever has a clock.
    #[must_use]
    pub fn dated(mut self, now: Timestamp) -> Self {
        let since = Timestamp::from_ms(0).until(now).min(LAST_DATE);
        // Never fails: a date as HTTP writes it is visible ASCII.
        if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(UNIX_EPOCH + since)) {
            self.headers.entry(DATE).or_insert(date);
        }
        self
    }

    /// The same reply without this secret, wherever its body repeats it: from here on it can reach no message.
    #[must_use]
    pub fn without(mut self, secret: &Secret) -> Self {
        let secret = secret.expose().trim();
        if secret.len() >= TELLING
            && let Ok(text) = std::str::from_utf8(&self.body)
            && text.contains(secret)
        {
            self.body = Bytes::from(text.replace(secret, "…"));
        }
        self
    }

    /// The server's words in one line of at most 200 characters, fit for reasons and logs: e-mail addresses, long numbers
    /// and tokens are left out. Never empty: "an HTML page", "an empty reply".
    pub fn message(&self) -> String {
        let line = in_a_line(&self.said());
        if line.is_empty() {
            let nothing = if self.is_html() {
                "an HTML page"
            } else if self.text().is_empty() {
                "an empty reply"
            } else if self.json().is_some() {
                "a reply without a message"
            } else {
                "an unreadable reply"
            };
            return nothing.to_owned();
        }
        line
    }

    /// The server's words as they are, for looking into, never for showing: they may hold personal data. Of JSON only
    /// fields that carry messages are read, since an error may echo the lead. Empty if it says nothing.
    pub fn said(&self) -> String {
        if let Some(json) = self.json() {
            let mut found = Vec::new();
            collect(&json, MESSAGE_DEPTH, &mut found);
            return found.join("; ");
        }
        let text = self.text();
        // Broken JSON is data cut short, not words.
        if self.is_html() || text.starts_with(['{', '[', '"']) { String::new() } else { capped(&text) }
    }

    /// Whether the body is a web page, or XML: a proxy, a login form, a wrong address.
    pub fn is_html(&self) -> bool {
        let says_so = self.header(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
        says_so || self.text().starts_with('<')
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.body_after_mark()).trim().to_owned()
    }
}

/// Somebody else's words in one line of at most 200 characters: e-mail addresses, long numbers and tokens are left out.
pub fn in_a_line(text: &str) -> String {
    let said = mask::scrub(text);
    let line = said
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match line.char_indices().nth(MESSAGE_CAP) {
        Some(_) => line.chars().take(MESSAGE_CAP - 1).chain(['…']).collect(),
        None => line,
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_ms(0).plus(since))
}

fn collect(json: &Value, depth: u8, found: &mut Vec<String>) {
    if found.len() >= MESSAGES {
        return;
    }
    match json {
        Value::String(text) => {
            let text = capped(text.trim());
            if !text.is_empty() && !found.contains(&text) {
                found.push(text);
            }
        }
        Value::Array(items) if depth > 0 => {
            items.iter().take(MESSAGES).for_each(|item| collect(item, depth - 1, found));
        }
        Value::Object(fields) if depth > 0 => {
            MESSAGE_KEYS.iter().filter_map(|key| fields.get(*key)).for_each(|inner| collect(inner, depth - 1, found));
        }
        _ => {}
    }
}

fn capped(text: &str) -> String {
    text.chars().take(TEXT_CAP).collect()
}
