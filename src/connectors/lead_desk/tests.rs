use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::*;
use crate::config::{self, DestinationSettings, Environment};
use crate::connectors::registry;

mod login;
mod original;
mod rest;

const ORIGINAL: &str = r#"
auth_key = "0123456789abcdef0123456789abcdef"
contact_list = "Website leads"
"#;

const REST: &str = r#"
api = "rest"
base_url = "https://restapi-nor.leaddesk.com/stable"
contact_list_id = 123
client_id = "app"
client_secret = "hush-hush"
leaddesk_client_id = "777"
"#;

fn configured(table: &str) -> DestinationSettings {
    let text = format!("[destinations.calls]\nkind = \"lead_desk\"\n{}", table.trim_start());
    let settings = config::parse("leadsync.toml", &text, Environment::default()).unwrap();
    settings.destinations["calls"].clone()
}

fn built(table: &str) -> std::sync::Arc<dyn Destination> {
    registry::destination(&configured(table)).unwrap()
}

fn refused(table: &str) -> String {
    registry::destination(&configured(table)).err().unwrap().to_string()
}

fn full() -> Prepared {
    let text = |text: &str| Some(text.to_owned());
    Prepared {
        lead: Lead {
            email: "zoe@acme.example".into(),
            first_name: text("Zoë"),
            last_name: text("O'Néill & Co"),
            phone: text("+358401234567"),
            company: text("Acme"),
            job_title: text("VP"),
            context: text("asked for a demo"),
            note: text("call after 10"),
            custom_fields: BTreeMap::from([("ssc".into(), "secret".into())]),
            ..Lead::default()
        },
        ..Prepared::default()
    }
}

fn bare() -> Prepared {
    let lead = Lead { email: "ann@acme.example".into(), phone: Some("+358407654321".into()), ..Lead::default() };
    Prepared { lead, ..Prepared::default() }
}

fn form(request: &Request) -> Vec<(String, String)> {
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    form_urlencoded::parse(&request.body).into_owned().collect()
}

fn field(request: &Request, name: &str) -> Option<String> {
    let found: Vec<String> = form(request).into_iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect();
    assert!(found.len() < 2, "{name} stands there twice");
    found.into_iter().next()
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn asked(step: CheckStep) -> Request {
    match step {
        CheckStep::Ask(request) => request,
        other => panic!("{other:?}"),
    }
}

fn failed(step: CheckStep) -> (String, String) {
    match step {
        CheckStep::Failed { reason, remedy } => (reason, remedy),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lead_without_a_number_is_unsendable_before_any_call() {
    for table in [ORIGINAL, REST] {
        let destination = built(table);
        for phone in [None, Some(String::new()), Some("+".to_owned())] {
            let mut prepared = full();
            prepared.lead.phone = phone;
            let expected = "phone: missing; LeadDesk knows people by it";
            assert_eq!(destination.identity(&prepared.lead).unwrap_err().to_string(), expected);
            assert_eq!(destination.create(&prepared).unwrap_err().to_string(), expected);
            assert!(destination.find(&prepared).is_none());
        }
    }
}

#[test]
fn a_person_is_the_same_by_list_and_number_whoever_else_is_called_so() {
    let identity = |table: &str, lead: &Lead| built(table).identity(lead).unwrap();
    assert_eq!(identity(ORIGINAL, &full().lead), "Website leads|358401234567");
    assert_eq!(identity(REST, &full().lead), "#123|358401234567");
    let renamed = Lead { email: "other@acme.example".into(), first_name: None, ..full().lead };
    assert_eq!(identity(REST, &renamed), identity(REST, &full().lead));
    assert_ne!(identity(REST, &bare().lead), identity(REST, &full().lead));
    let both = format!("{ORIGINAL}contact_list_id = 123\n");
    assert_eq!(identity(&both, &full().lead), "#123|358401234567", "a list keeps its number when it is renamed");
}

#[test]
fn each_add_is_preceded_by_a_look_and_two_looks_prove_absence() {
    for table in [ORIGINAL, REST] {
        let destination = built(table);
        assert!(destination.looks_first());
        assert_eq!(destination.looks_until_absent(), 2);
        assert_eq!(destination.on_unknown(), UnknownPolicy::Find);
        assert_eq!(destination.limits().concurrency, 1);
        assert_eq!(destination.limits().rate.unwrap().to_string(), "2/s");
    }
    for (word, policy) in [("hold", UnknownPolicy::Hold), ("retry", UnknownPolicy::Retry)] {
        assert_eq!(built(&format!("{REST}unknown = \"{word}\"\n")).on_unknown(), policy);
    }
}

#[test]
fn settings_that_can_not_work_are_refused_by_key() {
    let rest = |more: &str| refused(&format!("{REST}{more}"));
    for (said, words) in [
        (refused("auth_key = \"k\"\n"), "contact_list is not set, nor is `destinations.calls.contact_list_id`"),
        (refused("contact_list_id = 1\nclient_id = \"a\"\n"), "destinations.calls.api: found \"original\""),
        (refused(&REST.replace("contact_list_id = 123", "contact_list = \"x\"")), "contact_list_id is not set"),
        (rest("contacts_path = \"contacts\"\n"), "destinations.calls.contacts_path"),
        (rest("contacts_path = \"/contacts?x=1\"\n"), "destinations.calls.contacts_path"),
        (rest("check_path = \"/a b\"\n"), "destinations.calls.check_path"),
        (rest("phone_parameter = \"a b\"\n"), "destinations.calls.phone_parameter"),
        (rest("phone_parameter = \"contact_list_id\"\n"), "destinations.calls.list_parameter"),
        (rest("[destinations.calls.fields]\nphone = \"1\"\n"), "always the lead's number"),
        (rest("[destinations.calls.fields]\nSSC = \"1\"\n"), "never sent"),
        (refused(&format!("{ORIGINAL}[destinations.calls.fields]\nssc = \"1\"\n")), "never sent"),
        (refused(&format!("{ORIGINAL}[destinations.calls.fields]\nlist = \"1\"\n")), "always the lead's number"),
        (refused(&format!("{ORIGINAL}[destinations.calls.fields]\ncomments = \"1\"\n")), "`comment`?"),
        (refused(&format!("{ORIGINAL}[destinations.calls.fields]\nother36 = \"1\"\n")), "other1 to other35"),
        (refused(&format!("{ORIGINAL}[destinations.calls.fields]\nother0 = \"1\"\n")), "no contact has"),
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn numbers_are_the_same_however_they_are_written() {
    for theirs in ["+358 40 123 4567", "00358401234567", "358401234567", "040 123 4567", "(0)40-1234567"] {
        assert!(wire::is_same_number("+358401234567", theirs), "{theirs}");
    }
    assert!(wire::is_same_number("+358401234567", "+358 (0)40 123 4567"));
    for theirs in [
        "+358401234568",
        "",
        "4567",
        "+46401234567",
        "0501234567",
        // Seven digits, which end somebody else's number too.
        "1234567",
        "09 1234567",
        // Whole numbers, of other countries.
        "+401234567",
        "00401234567",
    ] {
        assert!(!wire::is_same_number("+358401234567", theirs), "{theirs}");
    }
    for (theirs, may_be) in [("1234567", true), ("234567", true), ("34567", false), ("", false), ("+1234567", false)] {
        assert_eq!(wire::may_be_same_number("+358401234567", theirs), may_be, "{theirs}");
    }
}

#[test]
fn a_reply_about_another_person_is_told_by_the_number_it_names() {
    for table in [ORIGINAL, REST] {
        let destination = built(table);
        let another = |said: Value| destination.is_about_another(&full(), &reply(200, &said.to_string()));
        assert!(another(json!({"id": 7, "phone": "+358409999999"})));
        assert!(another(json!({"contact": {"id": 7, "phone_numbers": [{"number": "+358409999999"}]}})));
        assert!(!another(json!({"id": 7, "phone": "040 1234567"})));
        assert!(!another(json!({"data": {"phoneNumbers": ["+358409999999", "+358401234567"]}})));
        for silent in [json!({"id": 7}), json!({"phone": null}), json!({"phone": ""}), json!([]), json!("x")] {
            assert!(!another(silent));
        }
    }
}

#[test]
fn a_rest_api_that_tells_lists_by_their_numbers_needs_one() {
    let missing = |table: &str| {
        let missing = registry::missing(&configured(table));
        missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let named = REST.replace("contact_list_id = 123", "contact_list = \"x\"");
    assert!(missing(&named).contains("contact_list_id"), "{}", missing(&named));
    assert_eq!(missing(&format!("{named}list_parameter = \"list\"\n")), "");
    assert_eq!((missing(REST), missing(ORIGINAL)), (String::new(), String::new()));
    assert!(missing("auth_key = \"k\"").contains("contact_list"));
}
