use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth::AuthError;
use crate::auth::grant::With;
use crate::clock::Timestamp;
use crate::config::{self, Environment};
use crate::connectors::registry;
use crate::secret::Secret;

mod account;
mod create;
mod replies;

const NUMBER: &str = "123-45-6789";
const DIGITS: &str = "123456789";

fn settings() -> LeadBankSettings {
    LeadBankSettings {
        base_url: "https://api.sandbox.lead.bank".parse().unwrap(),
        client_secret: Secret::new("hush-hush"),
        scope: "entity/read_write event/read".into(),
        allowlist: Vec::new(),
        bind_address: None,
        entities: true,
        entity_type: "individual".into(),
        tax_id_type: "ssn",
        tax_id: "tax_id".into(),
        unknown: UnknownPolicy::Find,
        limits: Limits {
            rate: None,
            daily_limit: None,
            concurrency: 2,
            timeout: Duration::from_secs(30),
            settle: Duration::from_secs(5),
        },
    }
}

fn bank(settings: LeadBankSettings) -> LeadBank {
    LeadBank::new("bank", settings).unwrap()
}

fn lead() -> Lead {
    Lead {
        email: "zoe@acme.example".into(),
        first_name: Some("Zoë".into()),
        last_name: Some("O'Néill".into()),
        phone: Some("+13035550100".into()),
        note: Some("met in Denver".into()),
        custom_fields: BTreeMap::from([("tax_id".into(), NUMBER.into()), ("budget".into(), "10k".into())]),
        ..Lead::default()
    }
}

fn prepared(lead: Lead) -> Prepared {
    Prepared { lead, ..Prepared::default() }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn create(lead: Lead) -> Request {
    bank(settings()).create(&prepared(lead)).unwrap()
}

fn key_of(lead: Lead) -> String {
    create(lead).headers["idempotency-key"].to_str().unwrap().to_owned()
}

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn read(asked: Asked, status: u16, body: &str) -> Option<Verdict> {
    bank(settings()).read(asked, &prepared(lead()), &reply(status, body))
}
