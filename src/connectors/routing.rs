//! A wrong address told from a record that isn't there.

use serde_json::Value;

use crate::http::message::Reply;

/// Whether a 404 or 405 means "there is no such address" rather than "there is no such record": a page, no JSON, or the
/// words with which routers and gateways say it.
pub fn is_routing(reply: &Reply) -> bool {
    let Some(body) = reply.json() else { return true };
    let Some(fields) = body.as_object() else { return body.as_str().is_none_or(|text| says_routing(text, false)) };
    // Express, Fastify, NestJS and Spring name the path they had no route for; FastAPI and AWS API Gateway answer with
    // nothing but the reason phrase.
    let framed = ["path", "statusCode", "status", "timestamp"].iter().any(|key| fields.contains_key(*key));
    let gateway = ["message", "detail"]
        .iter()
        .any(|key| fields.len() == 1 && fields.get(*key).and_then(Value::as_str) == Some("Not Found"));
    gateway || says_routing(&reply.said(), framed)
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

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
        ] {
            assert!(is_routing(&reply(body)), "{body}");
        }
        for body in [
            "{}",
            r#"{"error":"not found"}"#,
            r#"{"message":"Lead not found"}"#,
            r#"{"status":404,"error":"Not Found","message":"Lead not found","path":"/leads"}"#,
        ] {
            assert!(!is_routing(&reply(body)), "{body}");
        }
    }
}
