mod account;
mod create;
mod limits;
mod login;
mod verdicts;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::config::{self, Environment, Settings};
use crate::connectors::registry;
use crate::lead::{LookUp, Person};

const LOCATION: &str = "ve9EPM428h8vShlRW1KT";
const UPSERTED: &[u8] = include_bytes!("fixtures/upserted.json");
const UPSERTED_SHORT: &[u8] = include_bytes!("fixtures/upserted_short.json");
const DUPLICATE: &[u8] = include_bytes!("fixtures/duplicate.json");
const INSTALLED: &[u8] = include_bytes!("fixtures/installed_locations.json");

/// As a file has it, with these lines in the destination's table.
fn configured(lines: &str) -> Settings {
    let text = format!("[destinations.crm]\nkind = \"lead_connector\"\nlocation_id = \"{LOCATION}\"\n{lines}\n");
    config::parse("leadsync.toml", &text, Environment::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn try_with(lines: &str) -> Result<LeadConnector, BuildError> {
    let settings = configured(lines);
    let section = &settings.destinations["crm"].section;
    LeadConnector::new("crm", &LeadConnectorSettings::read(section)?)
}

fn with(lines: &str) -> LeadConnector {
    try_with(lines).unwrap_or_else(|error| panic!("{error}"))
}

fn plain() -> LeadConnector {
    with("token = \"pit-1\"")
}

/// The lead of the reference's example.
fn rosan() -> Prepared {
    Prepared {
        lead: Lead {
            email: "rosan@deos.com".into(),
            first_name: Some("Rosan".into()),
            last_name: Some("Deo".into()),
            phone: Some("+18888888888".into()),
            company: Some("DGS VolMAX".into()),
            job_title: Some("VP".into()),
            source: Some("public api".into()),
            note: Some("met in Köln".into()),
            custom_fields: [("Budget".to_owned(), "10k".to_owned())].into(),
            ..Lead::default()
        },
        looked_up: LookUp::Found {
            person: Box::new(Person {
                title: Some("VP Sales".into()),
                country_code: Some("US".into()),
                ..Person::default()
            }),
        },
        notes: Vec::new(),
    }
}

fn only_email() -> Prepared {
    Prepared { lead: Lead { email: "ann@acme.example".into(), ..Lead::default() }, ..Prepared::default() }
}

fn reply(status: u16, body: impl AsRef<[u8]>) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_ref()),
    }
}

fn reply_with(status: u16, headers: &[(&'static str, &str)]) -> Reply {
    let mut reply = reply(status, "{}");
    for (name, value) in headers {
        reply.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    reply
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn is_custom_kind(settings: &Settings) -> &'static str {
    registry::destination(&settings.destinations["crm"]).unwrap().kind()
}

#[test]
fn the_registry_knows_it_and_its_defaults_are_the_vendors() {
    let settings = configured("token = \"pit-1\"");
    assert_eq!(is_custom_kind(&settings), "lead_connector");
    let limits = plain().limits();
    assert_eq!(limits.rate.unwrap().to_string(), "100/10s");
    assert_eq!((limits.concurrency, limits.daily_limit), (8, None));
    assert_eq!(plain().on_unknown(), UnknownPolicy::Repeat);
    assert_eq!(with("token = \"t\"\nunknown = \"hold\"").on_unknown(), UnknownPolicy::Hold);
    assert_eq!(with("token = \"t\"\nunknown = \"find\"").on_unknown(), UnknownPolicy::Find);
}
