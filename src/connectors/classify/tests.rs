use std::fmt::Write;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

fn reply(status: u16, headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Reply {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() }
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
        let (create, find) = (classify(Asked::Create, &result), classify(Asked::Find, &result));
        writeln!(list, "{status} {create:?}").unwrap();
        if find != create {
            writeln!(list, "    find: {find:?}").unwrap();
        }
    }
    for error in [
        SendError::NotSent { why: "connection refused by `crm.example`".into() },
        SendError::Lost { why: "no complete reply from `crm.example` within 30s".into() },
    ] {
        writeln!(list, "{:?}", classify(Asked::Create, &Err(error))).unwrap();
    }
    insta::assert_snapshot!(list);
}

#[test]
fn only_what_was_certainly_not_processed_may_be_sent_again() {
    for status in 100..=999 {
        if let Verdict::NotNow { .. } = classify(Asked::Create, &Ok(reply(status, &[], ""))) {
            assert_eq!(status, 429);
        }
    }
}
