use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const NOW: Timestamp = Timestamp::from_ms(1_795_325_459_000); // 2026-11-22T05:30:59Z

fn reply(status: u16, headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Reply {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() }
}

fn message(body: &str) -> String {
    reply(400, &[], body.to_owned()).scrubbed_message()
}

#[test]
fn every_status_has_a_verdict() {
    let mut list = String::new();
    let statuses = (100..=599).filter(|status| {
        StatusCode::from_u16(*status).is_ok_and(|s| s.canonical_reason().is_some())
            || [299, 499, 520, 599].contains(status)
    });
    for status in statuses {
        let result = Ok(reply(status, &[("retry-after", "7")], r#"{"message": "says the server"}"#));
        let (create, find) = (classify(Asked::Create, &result, NOW), classify(Asked::Find, &result, NOW));
        writeln!(list, "{status} {create:?}").unwrap();
        if find != create {
            writeln!(list, "    find: {find:?}").unwrap();
        }
    }
    for error in [
        SendError::NotSent { why: "connection refused by `crm.example`".into() },
        SendError::Lost { why: "no complete reply from `crm.example` within 30s".into() },
    ] {
        writeln!(list, "{:?}", classify(Asked::Create, &Err(error), NOW)).unwrap();
    }
    insta::assert_snapshot!(list);
}

#[test]
fn only_what_was_certainly_not_processed_may_be_sent_again() {
    for status in 100..=999 {
        if let Verdict::NotNow { .. } = classify(Asked::Create, &Ok(reply(status, &[], "")), NOW) {
            assert_eq!(status, 429);
        }
    }
}

#[test]
fn retry_after_is_read_in_both_forms() {
    let after = |text: &str| reply(429, &[("retry-after", text)], "").retry_after(NOW);
    assert_eq!(after("120"), Some(Duration::from_secs(120)));
    assert_eq!(after(" 0 "), Some(Duration::ZERO));
    assert_eq!(after("Sun, 22 Nov 2026 05:31:09 GMT"), Some(Duration::from_secs(10)));
    assert_eq!(after("Sun, 22 Nov 2026 05:00:00 GMT"), Some(Duration::ZERO));
    for bad in ["", "soon", "-5", "1.5", "99 bottles"] {
        assert_eq!(after(bad), None, "{bad}");
    }
    assert_eq!(after("99999999999999999999999999"), Some(Duration::from_secs(u64::from(u32::MAX))));
    assert_eq!(reply(429, &[], "").retry_after(NOW), None);
}

#[test]
fn a_retry_after_date_is_read_by_the_servers_clock() {
    // The server's clock is a day ahead of ours; it asks for a minute.
    let headers = [("retry-after", "Mon, 23 Nov 2026 05:32:00 GMT"), ("date", "Mon, 23 Nov 2026 05:31:00 GMT")];
    assert_eq!(reply(429, &headers, "").retry_after(NOW), Some(Duration::from_secs(60)));
}

#[test]
fn the_servers_message_is_found_wherever_apis_put_it() {
    assert_eq!(message(r#"{"message": "assistant not found"}"#), "assistant not found");
    assert_eq!(message(r#"{"error": "quota", "message": "no credits left"}"#), "no credits left");
    assert_eq!(message(r#"{"errorMessage": "bad name"}"#), "bad name");
    assert_eq!(message(r#"{"error": {"code": 7, "message": "deep"}}"#), "deep");
    assert_eq!(message(r#"{"errors": [{"detail": "first"}, {"detail": "second"}]}"#), "first");
    assert_eq!(message(r#"["one", "two"]"#), "one");
    assert_eq!(message(r#""just a string""#), "just a string");
    assert_eq!(message("\u{feff}plain\n  text\t"), "plain text");
    for nothing in ["", "  ", "{}", "null", "7", r#"{"message": null}"#, r#"{"message": ""}"#] {
        assert_eq!(message(nothing), "", "{nothing}");
    }
    assert_eq!(message(r#"{"message": "cut sh"#), "unreadable reply");
    assert_eq!(message("<!DOCTYPE html><title>Bad gateway</title>"), "HTML page");
    assert_eq!(reply(502, &[("content-type", "text/html")], "<p>x").scrubbed_message(), "HTML page");
}

#[test]
fn a_message_holds_no_address_no_number_no_token_and_no_novel() {
    assert_eq!(message("lead ann.bee@example.com exists"), "lead (e-mail) exists");
    assert_eq!(message(r#"{"message": "<ann@example.com>, already there"}"#), "(e-mail) already there");
    assert_eq!(message("lead ann%40example.com exists"), "lead (e-mail) exists");
    assert_eq!(message("phone +15550101234 is bad"), "phone (number) is bad");
    assert_eq!(message("phone +1 (555) 010-1234 is bad"), "phone (number) is bad");
    assert_eq!(message("phone: tel:555-010-1234x is bad"), "phone: (number) is bad");
    assert_eq!(message("expected 1 to 100 of 250"), "expected 1 to 100 of 250");
    let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    assert_eq!(message(&format!("token {token} expired")), "token (…) expired");
    let long = message(&"word ".repeat(100_000));
    assert_eq!(long.chars().count(), 200);
    assert!(long.ends_with('…'));
    assert_eq!(message("a\u{0}b\u{1b}[31mc"), "a b [31mc");
}

#[test]
fn a_body_that_is_not_utf_8_has_a_message_too() {
    let odd = reply(400, &[], &b"caf\xe9 closed"[..]).scrubbed_message();
    assert_eq!(odd, "caf\u{fffd} closed");
}
