use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use proptest::prelude::*;

use super::*;

fn reply(headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Reply {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    Reply { status: StatusCode::BAD_REQUEST, headers, body: body.into() }
}

fn message(body: &str) -> String {
    reply(&[], body.to_owned()).message()
}

#[test]
fn a_secret_that_a_reply_repeats_is_taken_out_of_it() {
    let repeats = |body: &'static str| reply(&[], body).without(&Secret::new(" onlylettersinthiskey\n")).message();
    assert_eq!(
        repeats(r#"{"message": "ERR_ARGUMENT_INVALID: auth=onlylettersinthiskey"}"#),
        "ERR_ARGUMENT_INVALID: auth=…"
    );
    assert_eq!(repeats("auth=onlylettersinthiskey, phone=onlylettersinthiskey"), "auth=…, phone=…");
    // What may be a word is left: an API that says "key" does not tell this one.
    assert_eq!(reply(&[], "no such key").without(&Secret::new("key")).message(), "no such key");
    assert_eq!(
        reply(&[], &b"\xff onlylettersinthiskey"[..]).without(&Secret::new("onlylettersinthiskey")).body.len(),
        22
    );
}

#[test]
fn retry_after_is_read_in_every_form() {
    let after =
        |text: &str| reply(&[("date", "Sun, 22 Nov 2026 05:30:59 GMT"), ("retry-after", text)], "").retry_after();
    assert_eq!(after("120"), Some(Duration::from_secs(120)));
    assert_eq!(after(" 0 "), Some(Duration::ZERO));
    assert_eq!(after(" 1.5 "), Some(Duration::from_millis(1500)));
    assert_eq!(after("Sun, 22 Nov 2026 05:31:09 GMT"), Some(Duration::from_secs(10)));
    assert_eq!(after("Sun, 22 Nov 2026 05:00:00 GMT"), Some(Duration::ZERO));
    for bad in ["", "soon", "-", "-5", ".", "1.2.3", "NaN", "inf", "1e400", "99 bottles"] {
        assert_eq!(after(bad), None, "{bad}");
    }
    // Nobody is believed to mean more than a day.
    for much in ["86401", "99999999999999999999999999", "Fri, 22 Nov 2126 05:31:09 GMT"] {
        assert_eq!(after(much), Some(Duration::from_secs(86_400)), "{much}");
    }
    assert_eq!(reply(&[], "").retry_after(), None);
}

#[test]
fn a_retry_after_date_is_read_by_the_servers_clock_or_else_by_ours() {
    let now = Timestamp::from_ms(1_795_325_459_900); // 2026-11-22T05:30:59.9Z
    let date = ("retry-after", "Sun, 22 Nov 2026 05:32:00 GMT");
    // The server's clock is half a minute ahead of ours.
    let dated = reply(&[date, ("date", "Sun, 22 Nov 2026 05:31:30 GMT")], "").dated(now);
    assert_eq!(dated.retry_after(), Some(Duration::from_secs(30)));
    let undated = reply(&[date], "");
    assert_eq!(undated.retry_after(), None);
    assert_eq!(undated.dated(now).retry_after(), Some(Duration::from_secs(61)));
}

#[test]
fn a_server_that_is_sick_may_ask_for_a_rest() {
    let said = |status: u16, wait| {
        let status = http::StatusCode::from_u16(status).unwrap();
        Reply { status, ..reply(&[("retry-after", wait)], "") }.asks_for_a_rest()
    };
    for status in [500, 502, 503, 504] {
        assert_eq!(said(status, "60"), Some(Duration::from_secs(60)), "{status}");
        assert_eq!(said(status, "0"), None, "{status}");
        assert_eq!(said(status, "2000000"), Some(Duration::from_secs(86_400)), "{status}");
    }
    // A 429 and a redirect have their own meaning of it.
    for status in [200, 202, 302, 429, 501] {
        assert_eq!(said(status, "60"), None, "{status}");
    }
}

#[test]
fn every_moment_can_be_a_date() {
    for ms in [i64::MIN, 0, i64::MAX] {
        assert!(reply(&[], "").dated(Timestamp::from_ms(ms)).header("date").is_some());
    }
}

#[test]
fn the_servers_message_is_found_wherever_apis_put_it() {
    for (body, expected) in [
        (r#"{"message":"name is missing"}"#, "name is missing"),
        (r#"{"error": "quota", "message": "no credits left"}"#, "no credits left; quota"),
        (r#"{"error":{"code":7,"message":"deep"}}"#, "deep"),
        (r#"{"errorMessage":"odd"}"#, "odd"),
        (r#"{"errors":[{"defaultMessage":"one"},"two"]}"#, "one; two"),
        (r#"{"errors": [{"detail": "first"}, {"detail": "second"}]}"#, "first; second"),
        (r#"["one", "two"]"#, "one; two"),
        (r#""just a string""#, "just a string"),
        ("\u{feff}{\"message\": \"after a mark\"}", "after a mark"),
        ("\u{feff}plain\n  text\t", "plain text"),
        ("", "an empty reply"),
        ("  ", "an empty reply"),
        ("{}", "a reply without a message"),
        ("null", "a reply without a message"),
        ("7", "a reply without a message"),
        (r#"{"message": ""}"#, "a reply without a message"),
        (r#"{"message": "cut sh"#, "an unreadable reply"),
        ("<!DOCTYPE html><title>Bad gateway</title>", "an HTML page"),
    ] {
        assert_eq!(message(body), expected, "{body}");
    }
    assert_eq!(reply(&[("content-type", "text/html")], "Bad gateway").message(), "an HTML page");
    assert_eq!(reply(&[], &b"caf\xe9 closed"[..]).message(), "caf\u{fffd} closed");
}

#[test]
fn a_message_holds_no_address_no_number_no_token_and_no_novel() {
    assert_eq!(message(r#"{"message": "<ann@example.com>, already there"}"#), "<(e-mail)>, already there");
    assert_eq!(message("phone +1 (555) 010-1234 is bad"), "phone (number) is bad");
    let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    assert_eq!(message(&format!("key {token} expired")), "key eyJh… expired");
    let long = message(&"word ".repeat(100_000));
    assert_eq!(long.chars().count(), 200);
    assert!(long.ends_with('…'));
    assert_eq!(message("a\u{0}b\u{1b}[31mc"), "a b [31mc");
}

/// Small on the wire, large in memory.
#[test]
fn json_that_would_fill_memory_or_the_stack_is_no_json() {
    let bomb = format!("[{}]", vec![r#"{"":0}"#; 149_000].join(","));
    assert!(bomb.len() < crate::http::send::REPLY_CAP);
    assert_eq!(message(&bomb), "an unreadable reply");
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"message\":[", "]}")] {
        let deep = open.repeat(100_000) + "1" + &close.repeat(100_000);
        assert_eq!(message(&deep), "an unreadable reply");
        assert_eq!(message(&open.repeat(100_000)), "an unreadable reply");
    }
    assert_eq!(message(&format!("{{\"message\": \"many\", \"data\": [{}]}}", vec!["{}"; 10_000].join(","))), "many");
}

/// A brackets' text would be looked through once for each of its brackets, an address once for each sign in it.
#[test]
fn long_words_are_looked_through_once() {
    for part in ["(", "@", "%40", "a@", "@a", "1 ", "+1(", "Bearer ", "%", "a.a@", "\u{fffd}"] {
        let text = part.repeat((1 << 16) / part.len());
        assert!(mask::scrub(&text).len() <= 2 * text.len(), "{part}");
        assert!(message(&text).chars().count() <= 200, "{part}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..400), after in "[ -~]{0,40}") {
        let reply = reply(&[("retry-after", &after)], body);
        prop_assert!((1..=200).contains(&reply.message().chars().count()));
        let _ = reply.retry_after();
    }
}
