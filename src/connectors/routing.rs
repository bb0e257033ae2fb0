//! A wrong address told from a record that isn't there.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::Verdict;
use crate::http::message::Reply;

/// Whether a 404 or 405 means "there is no such address" rather than "there is no such record": a page, no JSON, or the
/// words with which routers and gateways say it. JSON that [`is_damaged`] says neither.
pub fn is_routing(reply: &Reply) -> bool {
    let Some(body) = reply.json() else { return !is_damaged(reply) };
    let fields = match &body {
        Value::Object(fields) => fields,
        Value::String(text) => return says_routing(text, false),
        // Salesforce's errors are a list. Without words, it is what an application answers that found no record.
        _ => return !reply.said().is_empty() && says_routing(&reply.said(), false),
    };
    // Express, Fastify, NestJS and Spring name the path they had no route for; FastAPI, AWS API Gateway and Phoenix answer
    // with nothing but the reason phrase.
    let framed = ["path", "statusCode", "status", "timestamp"].iter().any(|key| fields.contains_key(*key));
    let only = |key: &str| fields.get(key).filter(|_| fields.len() == 1);
    let inner = only("errors").and_then(Value::as_object).filter(|errors| errors.len() == 1);
    let bare = [only("message"), only("detail"), inner.and_then(|errors| errors.get("detail"))];
    let gateway = bare.into_iter().flatten().any(|text| text.as_str() == Some("Not Found"));
    gateway || says_routing(&reply.said(), framed)
}

/// Whether a [`is_routing`] reply is in words that frameworks have for a missing record too: Phoenix's rendered 404, and what
/// Werkzeug says to `abort(404)`.
pub fn may_be_a_record(reply: &Reply) -> bool {
    let phoenix = reply.json().is_some_and(|body| body.pointer("/errors/detail").is_some());
    phoenix || reply.said().to_lowercase().contains("requested url was not found")
}

/// A 404, 405 or 410 that neither says that there is no such address nor that there is no such record, because it
/// [`is_damaged`]: whatever was asked is asked again.
pub fn damaged(reply: &Reply) -> Option<Verdict> {
    let ambiguous = matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE);
    let why = || format!("{}, whose words were damaged on their way", reply.status.as_u16());
    (ambiguous && is_damaged(reply)).then(|| Verdict::Unknown { why: why() })
}

/// Whether a reply was meant to be JSON and can't be read as such: cut short on its way, so that nobody knows what it said.
fn is_damaged(reply: &Reply) -> bool {
    let body = reply.body.trim_ascii_start();
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body).trim_ascii_start();
    let kind = reply.header(CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    let meant = body.starts_with(b"{") || body.starts_with(b"[") || (kind.contains("json") && !body.starts_with(b"<"));
    let damaged = !body.is_empty() && meant && reply.json().is_none();
    // Some routers call their plain text JSON. What is cut short has no words: see [`Reply::said`].
    let said = reply.said();
    damaged && !says_routing(&said, !said.is_empty())
}

fn says_routing(text: &str, framed: bool) -> bool {
    let text = text.to_lowercase();
    const WORDS: [&str; 15] = [
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
        "unrecognized request url",
        "requested url was not found",
    ];
    let bare = matches!(text.trim(), "" | "not found" | "not_found" | "404" | "404 not found" | "404 page not found");
    (framed && bare)
        || WORDS.iter().any(|words| text.contains(words))
        || (text.contains("route ") && ["not found", "could not be found"].iter().any(|words| text.contains(words)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn reply(body: &'static str) -> Reply {
        Reply { status: StatusCode::NOT_FOUND, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) }
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
            r#"{"errors":{"detail":"Not Found"}}"#,
            r#"{"message":"The route api/leads could not be found."}"#,
            r#"{"error":{"type":"invalid_request_error","message":"Unrecognized request URL (GET: /v1/leads). See the docs."}}"#,
            r#"{"message":"The requested URL was not found on the server."}"#,
            "",
        ] {
            assert!(is_routing(&reply(body)), "{body}");
        }
        for body in [
            "{}",
            r#"{"error":"not found"}"#,
            r#"{"message":"Lead not found"}"#,
            r#"{"message":"The lead could not be found."}"#,
            r#"{"errors":{"detail":"Lead not found"}}"#,
            r#"{"errors":{"detail":"Not Found"},"lead":null}"#,
            r#"{"status":404,"error":"Not Found","message":"Lead not found","path":"/leads"}"#,
        ] {
            assert!(!is_routing(&reply(body)), "{body}");
        }
    }

    #[test]
    fn damaged_json_says_neither() {
        let typed = |body: &'static str, kind: &'static str| {
            let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect();
            Reply { headers, ..reply(body) }
        };
        for damaged_one in [
            reply(r#"{"status": 404, "code": "not_fou"#),
            reply("\u{feff}{\"status\": 404"),
            reply("\r\n[{\"id\": 1},"),
            typed("us\": 404}", "application/problem+json; charset=utf-8"),
        ] {
            let said = String::from_utf8_lossy(&damaged_one.body).into_owned();
            assert!(!is_routing(&damaged_one), "{said}");
            assert!(matches!(damaged(&damaged_one), Some(Verdict::Unknown { .. })), "{said}");
            let refusal = Reply { status: StatusCode::UNPROCESSABLE_ENTITY, ..damaged_one };
            assert_eq!(damaged(&refusal), None, "the status says what it is: {said}");
        }
        for whole in [reply("{}"), reply("not json"), reply(""), typed("", "application/json"), reply("<p>{</p>")] {
            assert_eq!(damaged(&whole), None);
        }
        for words in ["<html>", "Not Found", "404 page not found\n", "no route for this"] {
            assert!(is_routing(&typed(words, "application/json")), "whatever it is called: {words}");
        }
    }
}
