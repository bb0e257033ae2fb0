//! What any API's reply says, whatever the API: the server's own words, and how long it asks us to stay away.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use serde_json::Value;

use crate::http::message::Reply;

/// Most characters of a server's message that are kept.
const MESSAGE_CHARS: usize = 200;
/// Where APIs put their words, most telling first.
const MESSAGE_KEYS: [&str; 9] = [
    "message",
    "error_description",
    "errorMessage",
    "error",
    "detail",
    "title",
    "reason",
    "description",
    "defaultMessage",
];

/// How long `Retry-After` asks us to wait: seconds, or a date, read against the reply's own `Date` so that a wrong local
/// clock doesn't matter. `None`: not given, unreadable, or a date in a reply that carries no `Date`. A date that has
/// passed is a wait of zero. Source: RFC 9110, section 10.2.3.
pub fn retry_after(reply: &Reply) -> Option<Duration> {
    let text = reply.header(RETRY_AFTER.as_str())?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    }
    let until: SystemTime = httpdate::parse_http_date(text).ok()?;
    let now: SystemTime = httpdate::parse_http_date(reply.header(DATE.as_str())?.trim()).ok()?;
    Some(until.duration_since(now).unwrap_or(Duration::ZERO))
}

/// The server's words in one line of at most 200 characters, fit for reasons and logs: e-mail addresses, long numbers and
/// tokens are replaced. "an HTML page" for HTML, "an empty reply" for nothing.
pub fn server_message(reply: &Reply) -> String {
    if is_html(reply) {
        return "an HTML page".to_owned();
    }
    let words = said(reply);
    let line = words.split_whitespace().map(scrub).collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return if reply.body.iter().all(u8::is_ascii_whitespace) {
            "an empty reply".to_owned()
        } else {
            "a reply without a message".to_owned()
        };
    }
    cut(&line, MESSAGE_CHARS)
}

/// The server's words as they are, for looking into, never for showing: they may hold personal data. Only fields that
/// carry messages are read, since an error may echo the lead.
pub(super) fn said(reply: &Reply) -> String {
    match reply.json() {
        Some(value) => {
            let mut found = Vec::new();
            collect(&value, 0, &mut found);
            found.join("; ")
        }
        None if is_html(reply) => String::new(),
        None => String::from_utf8_lossy(&reply.body).chars().take(4 * MESSAGE_CHARS).collect(),
    }
}

fn collect(value: &Value, depth: usize, found: &mut Vec<String>) {
    if depth > 3 || found.len() >= 8 {
        return;
    }
    match value {
        Value::String(text) if !text.trim().is_empty() => {
            let text: String = text.trim().chars().take(4 * MESSAGE_CHARS).collect();
            if !found.contains(&text) {
                found.push(text);
            }
        }
        Value::Array(items) => items.iter().take(8).for_each(|item| collect(item, depth + 1, found)),
        Value::Object(fields) => {
            for key in MESSAGE_KEYS.into_iter().chain(["code", "errorCode", "errors", "messages"]) {
                if let Some(inner) = fields.get(key) {
                    collect(inner, depth + 1, found);
                }
            }
        }
        _ => {}
    }
}

/// Whether the body is a web page: a proxy, a login form, a wrong address.
pub(super) fn is_html(reply: &Reply) -> bool {
    let says_so = reply.header(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
    says_so || reply.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// Whether a 404 or 405 means "there is no such address" rather than "there is no such record": a page, no JSON, or the
/// words with which routers and gateways say it.
pub(super) fn is_routing(reply: &Reply) -> bool {
    let Some(body) = reply.json() else { return true };
    let Some(fields) = body.as_object() else { return body.as_str().is_none_or(|text| says_routing(text, false)) };
    // Express, Fastify, NestJS and Spring name the path they had no route for; FastAPI and AWS API Gateway answer with
    // nothing but the reason phrase.
    let framed = ["path", "statusCode", "status", "timestamp"].iter().any(|key| fields.contains_key(*key));
    let gateway = ["message", "detail"]
        .iter()
        .any(|key| fields.len() == 1 && fields.get(*key).and_then(Value::as_str) == Some("Not Found"));
    gateway || says_routing(&said(reply), framed)
}

fn says_routing(text: &str, framed: bool) -> bool {
    let text = text.to_lowercase();
    const WORDS: [&str; 13] = [
        "cannot post",
        "cannot put",
        "cannot get",
        "no route",
        "route not found",
        "no static resource",
        "no handler",
        "missing authentication token",
        "method not allowed",
        "endpoint",
        "url not found",
        "path not found",
        "no message available",
    ];
    let bare = matches!(text.trim(), "" | "not found" | "not_found" | "404" | "404 not found");
    (framed && bare)
        || WORDS.iter().any(|words| text.contains(words))
        || (text.contains("route ") && text.contains("not found"))
}

/// One word of a server's message without what must not be shown.
fn scrub(word: &str) -> &str {
    let letters = word.chars().filter(char::is_ascii_alphabetic).count();
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let length = word.chars().count();
    if word.contains('@') {
        "<e-mail>"
    } else if length >= 40 || (length >= 20 && digits >= 3 && letters >= 3) || word.starts_with("eyJ") {
        "<token>"
    } else if digits >= 7 {
        "<number>"
    } else {
        word
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};
    use proptest::prelude::*;

    use super::*;

    fn reply(headers: &[(&'static str, &str)], body: &[u8]) -> Reply {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        Reply { status: StatusCode::BAD_REQUEST, headers: map, body: Bytes::copy_from_slice(body) }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        assert_eq!(retry_after(&reply(&[("retry-after", "120")], b"")), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(&reply(&[("retry-after", " 1.5 ")], b"")), Some(Duration::from_millis(1500)));
        let date = [("date", "Wed, 21 Oct 2015 07:28:00 GMT"), ("retry-after", "Wed, 21 Oct 2015 07:29:30 GMT")];
        assert_eq!(retry_after(&reply(&date, b"")), Some(Duration::from_secs(90)));
        let past = [("date", "Wed, 21 Oct 2015 07:28:00 GMT"), ("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT")];
        assert_eq!(retry_after(&reply(&past, b"")), Some(Duration::ZERO));
    }

    #[test]
    fn retry_after_that_says_nothing_usable_is_none() {
        for text in ["", "soon", "-", "NaN", "1e400", "inf", "Wed, 21 Oct 2015 07:29:30 GMT"] {
            let wait = retry_after(&reply(&[("retry-after", text)], b""));
            assert!(wait.is_none() || wait == Some(Duration::ZERO), "{text}: {wait:?}");
        }
        assert_eq!(retry_after(&reply(&[], b"")), None);
    }

    #[test]
    fn message_is_found_in_every_usual_shape() {
        for (body, expected) in [
            (r#"{"message":"name is missing"}"#, "name is missing"),
            (r#"{"error":"quota"}"#, "quota"),
            (r#"{"error":{"message":"deep"}}"#, "deep"),
            (r#"{"errorMessage":"odd"}"#, "odd"),
            (r#"{"errors":[{"defaultMessage":"one"},"two"]}"#, "one; two"),
            (r#""just a string""#, "just a string"),
            ("plain text", "plain text"),
            ("<html><body>502</body></html>", "an HTML page"),
            ("", "an empty reply"),
            ("{}", "a reply without a message"),
        ] {
            assert_eq!(server_message(&reply(&[], body.as_bytes())), expected, "{body}");
        }
    }

    #[test]
    fn message_shows_no_address_number_or_token_and_stays_short() {
        let body = br#"{"message":"ann.bee@example.com +14155550100 eyJhbGciOi abcdef0123456789abcdef is bad"}"#;
        assert_eq!(server_message(&reply(&[], body)), "<e-mail> <number> <token> <token> is bad");
        let long = format!("{{\"message\":\"{}\"}}", "wörd ".repeat(500));
        assert!(server_message(&reply(&[], long.as_bytes())).chars().count() <= MESSAGE_CHARS);
    }

    #[test]
    fn routers_are_told_from_applications() {
        for body in [
            "<html>404</html>",
            "not json",
            r#"{"message":"Not Found"}"#,
            r#"{"detail":"Not Found"}"#,
            r#"{"statusCode":404,"message":"Cannot PUT /leads","error":"Not Found"}"#,
            r#"{"message":"Route PUT:/leads not found","error":"Not Found","statusCode":404}"#,
            r#"{"timestamp":"2025","status":404,"error":"Not Found","path":"/leads"}"#,
            r#"{"message":"Missing Authentication Token"}"#,
        ] {
            assert!(is_routing(&reply(&[], body.as_bytes())), "{body}");
        }
        for body in [
            "{}",
            r#"{"error":"not found"}"#,
            r#"{"message":"Lead not found"}"#,
            r#"{"status":404,"error":"Not Found","message":"Lead not found","path":"/leads"}"#,
        ] {
            assert!(!is_routing(&reply(&[], body.as_bytes())), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..400), after in "[ -~]{0,40}") {
            let reply = reply(&[("retry-after", &after)], &body);
            prop_assert!(server_message(&reply).chars().count() <= MESSAGE_CHARS);
            let _ = (retry_after(&reply), is_routing(&reply));
        }
    }
}
