//! What a reply says in words, fit to be stored and shown.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::clock::Timestamp;
use crate::http::message::Reply;

/// Longest message kept, in characters.
const MESSAGE_CAP: usize = 200;
/// Where APIs put their message, in the order of preference. `error` may be a code ("invalid_scope"), so `message` and
/// `error_description` come first.
const MESSAGE_KEYS: [&str; 8] =
    ["message", "errorMessage", "error_description", "error", "detail", "title", "errors", "reason"];
/// Text without a gap, longer than this, is taken for a token, key or number that could identify someone.
const WORD_CAP: usize = 32;
/// So many digits in a row, spaces and dashes aside, may be someone's phone number.
const PHONE_DIGITS: usize = 7;

impl Reply {
    /// How long the server asks us to wait: `Retry-After` in seconds or as a date. A date is read against the reply's own
    /// `Date`, so that a clock of ours that is wrong doesn't matter, else against `now`. `None` if there is none, or none
    /// that can be read. Source: RFC 9110, 10.2.3.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX)).min(u64::from(u32::MAX))));
        }
        let until = http_date(text)?;
        Some(self.date().unwrap_or(now).until(until))
    }

    /// When the server says that it sent this (`Date`), to the second.
    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.header("date")?)
    }

    /// What the server says is wrong: the message of a JSON body, or plain text; at most 200 characters on one line, with
    /// e-mail addresses and long tokens left out. Empty if it says nothing.
    pub fn scrubbed_message(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text = text.trim_start_matches('\u{feff}').trim();
        match serde_json::from_str::<Value>(text) {
            Ok(json) => scrub(&message_in(&json, 3).unwrap_or_default()),
            Err(_) if looks_like_html(self, text) => "HTML page".into(),
            // Broken JSON is data cut short, not words.
            Err(_) if text.starts_with(['{', '[', '"']) => "unreadable reply".into(),
            Err(_) => scrub(text),
        }
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_ms(0).plus(since))
}

fn looks_like_html(reply: &Reply, text: &str) -> bool {
    let start: String = text.chars().take(200).collect::<String>().to_ascii_lowercase();
    reply.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("html"))
        || ["<!doctype", "<html", "<head", "<body", "<?xml"].iter().any(|tag| start.starts_with(tag))
}

fn message_in(json: &Value, depth: u8) -> Option<String> {
    match json {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Array(items) if depth > 0 => items.iter().find_map(|item| message_in(item, depth - 1)),
        Value::Object(fields) if depth > 0 => {
            MESSAGE_KEYS.iter().filter_map(|key| fields.get(*key)).find_map(|value| message_in(value, depth - 1))
        }
        _ => None,
    }
}

/// One line, without what could identify a person or open a door.
fn scrub(text: &str) -> String {
    // Enough to fill the cap whatever is left out; a body of a megabyte is not worth splitting.
    let text: String = text.chars().take(16 * MESSAGE_CAP).collect();
    let mut words: Vec<&str> = Vec::new();
    // The last words so far that together look like a phone number: how many, and with how many digits.
    let (mut run, mut digits) = (0, 0);
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        let digits_here = word.chars().filter(char::is_ascii_digit).count();
        if word.chars().all(|c| c.is_ascii_digit() || "+-().,/:;".contains(c)) {
            (run, digits) = (run + 1, digits + digits_here);
        } else {
            (run, digits) = (usize::from(digits_here >= PHONE_DIGITS), digits_here);
        }
        words.push(if word.contains('@') || word.to_ascii_lowercase().contains("%40") {
            "(e-mail)"
        } else if word.len() > WORD_CAP && word.is_ascii() {
            "(…)"
        } else {
            word
        });
        if run > 0 && digits >= PHONE_DIGITS {
            words.truncate(words.len() - run);
            words.push("(number)");
            run = 1;
        }
    }
    let line = words.join(" ");
    match line.char_indices().nth(MESSAGE_CAP) {
        Some(_) => line.chars().take(MESSAGE_CAP - 1).chain(['…']).collect(),
        None => line,
    }
}
