use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::http::message::Rate;
use crate::lead::{LookUp, Person};

mod account;
mod create;
mod replies;

fn settings() -> SevenTargetsSettings {
    SevenTargetsSettings {
        api_url: "https://api.7targets.com".parse().unwrap(),
        user_identifier: Some("user-1".into()),
        assistant_email: Some("Ashley@Acme.example".into()),
        assistant_id: None,
        schedule_name: None,
        schedule_id: None,
        unknown: UnknownPolicy::Find,
        already_exists: vec!["exist".into(), "duplicate".into()],
        fields: BTreeMap::new(),
        limits: Limits {
            rate: Some(Rate { count: 5, per: Duration::from_secs(1) }),
            daily_limit: Some(2000),
            concurrency: 8,
            timeout: Duration::from_secs(30),
            settle: Duration::from_secs(5),
        },
    }
}

fn with_fields(fields: &[(&str, &str)]) -> SevenTargetsSettings {
    let fields = fields.iter().map(|(key, text)| (key.to_string(), text.to_string())).collect();
    SevenTargetsSettings { fields, ..settings() }
}

fn destination(settings: &SevenTargetsSettings) -> SevenTargets {
    SevenTargets::new("7targets", settings).unwrap()
}

fn full() -> Prepared {
    Prepared {
        lead: Lead {
            email: "zoe@acme.example".into(),
            first_name: Some("Zoë".into()),
            last_name: Some("O'Néill".into()),
            phone: Some("+14155550100".into()),
            company: Some("Acme & Söhne".into()),
            job_title: Some("VP".into()),
            linkedin: Some("zoe".into()),
            source: Some("Webinar".into()),
            context: Some("AI Sales Assistant".into()),
            note: Some("met in Köln 😀".into()),
            custom_fields: BTreeMap::from([("budget".into(), "10k".into()), ("ämter".into(), "3".into())]),
            external_id: Some("x-1".into()),
        },
        looked_up: LookUp::Found {
            person: Box::new(Person {
                title: Some("VP Sales".into()),
                company: Some("Acme".into()),
                industry: Some("Software".into()),
                ..Person::default()
            }),
        },
        notes: Vec::new(),
    }
}

fn bare() -> Prepared {
    Prepared {
        lead: Lead { email: "ann@acme.example".into(), first_name: Some("Ann".into()), ..Lead::default() },
        ..Prepared::default()
    }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn created(settings: &SevenTargetsSettings, prepared: &Prepared) -> Value {
    body(&destination(settings).create(prepared).unwrap())
}

fn reply(status: u16, body: &[u8]) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body),
    }
}

fn read(asked: Asked, status: u16, body: &str) -> Option<Verdict> {
    destination(&settings()).read(asked, &bare(), &reply(status, body.as_bytes()))
}

fn page(from: i64, count: i64) -> Reply {
    let list: Vec<Value> =
        (from..from + count).map(|id| json!({"id": id, "emailid": format!("other{id}@acme.example")})).collect();
    reply(200, json!(list).to_string().as_bytes())
}
