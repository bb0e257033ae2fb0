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

#[test]
fn a_lead_becomes_an_individual_with_what_the_bank_needs_and_no_more() {
    let request = create(lead());
    assert_eq!(format!("{request:?}"), "POST https://api.sandbox.lead.bank/v0/entities");
    assert_eq!(request.headers["content-type"], "application/json");
    let sent = body(&request);
    let id = sent["client_customer_id"].as_str().unwrap();
    assert!(id.starts_with("leadsync-") && id.len() <= 64 && !id.contains("zoe"), "{id}");
    assert_eq!(
        sent,
        json!({
            "type": "individual", "client_customer_id": id,
            "individual_details": {
                "first_name": "Zoë", "last_name": "O'Néill",
                "contact_methods": [
                    {"type": "email", "email": "zoe@acme.example"},
                    {"type": "phone_number", "phone_number": "+13035550100"},
                ],
                "identification_details": {
                    "type": "us_entity", "tax_identification": {"type": "ssn", "value": DIGITS},
                },
            },
        })
    );
}

#[test]
fn what_the_bank_would_refuse_is_refused_before_any_call_and_without_its_value() {
    let change = |change: &dyn Fn(&mut Lead)| {
        let mut lead = lead();
        change(&mut lead);
        bank(settings()).create(&prepared(lead)).unwrap_err()
    };
    assert_eq!(change(&|lead| lead.first_name = None).field, "first_name");
    assert_eq!(change(&|lead| lead.last_name = None).field, "last_name");
    assert_eq!(change(&|lead| lead.last_name = Some("B.".into())).field, "last_name");
    assert_eq!(change(&|lead| lead.email.clear()).field, "email");
    for number in ["", "  ", "12345678", "1234567890", "12345678x", "١٢٣٤٥٦٧٨٩", "sealed:AAAA", "923456789"] {
        let refused = change(&|lead| {
            lead.custom_fields.insert("tax_id".into(), number.into());
        });
        assert_eq!(refused.field, "custom_fields");
        assert!(refused.reason.starts_with("`tax_id` is ") && !refused.reason.contains("2345"), "{}", refused.reason);
    }
    let mut with_itin = settings();
    with_itin.tax_id_type = "itin";
    assert!(bank(with_itin.clone()).create(&prepared(lead())).is_err());
    let mut foreign = lead();
    foreign.custom_fields.insert("tax_id".into(), "912 34 5678".into());
    let sent = body(&bank(with_itin).create(&prepared(foreign)).unwrap());
    let identification = &sent["individual_details"]["identification_details"]["tax_identification"];
    assert_eq!(*identification, json!({"type": "itin", "value": "912345678"}));
}

#[test]
fn an_address_that_the_bank_does_not_take_stays_out_and_the_lead_goes() {
    for email in ["\"zoe\"@acme.example", "zoe@[203.0.113.7]", "zoe@localhost"] {
        let sent = body(&create(Lead { email: email.into(), ..lead() }));
        assert_eq!(sent["individual_details"]["contact_methods"].as_array().unwrap().len(), 1, "{email}");
    }
    let sent = body(&create(Lead { email: "zoe@localhost".into(), phone: None, ..lead() }));
    assert_eq!(sent["individual_details"].get("contact_methods"), None);
}

#[test]
fn a_repeat_is_the_same_request_and_a_corrected_lead_another() {
    let (one, other) = (create(lead()), create(lead()));
    assert_eq!((&one.body, &one.headers), (&other.body, &other.headers));
    let key = key_of(lead());
    assert!(key.len() <= 255 && key.starts_with("leadsync-"), "{key}");
    for (said, name) in [("zoe", "address"), ("acme", "address"), (DIGITS, "number"), ("6789", "number")] {
        assert!(!key.contains(said), "the {name} shows in {key}");
    }
    // How the number is written makes no other request; what it is, does: any digit changed, any two neighbours swapped.
    let with = |number: &str| {
        let mut lead = lead();
        lead.custom_fields.insert("tax_id".into(), number.into());
        key_of(lead)
    };
    assert_eq!(with(DIGITS), key);
    for at in 0..9 {
        let mut digits = DIGITS.as_bytes().to_vec();
        digits[at] = if at == 0 { b'2' } else { b'0' };
        assert_ne!(with(std::str::from_utf8(&digits).unwrap()), key, "digit {at}");
        if at > 0 {
            let mut digits = DIGITS.as_bytes().to_vec();
            digits.swap(at - 1, at);
            assert_ne!(with(std::str::from_utf8(&digits).unwrap()), key, "digits {at}");
        }
    }
    // Nine digits have a thousand million values: of any two thousand, each makes a key of its own.
    let keys: std::collections::BTreeSet<String> =
        (0..2000).map(|n| with(&format!("{:09}", 123_450_000 + n))).collect();
    assert_eq!(keys.len(), 2000);
    // Who knows all else that is sent, and not the secret, can't try the numbers.
    let other = LeadBankSettings { client_secret: Secret::new("other"), ..settings() };
    let other = bank(other).create(&prepared(lead())).unwrap();
    assert_ne!(other.headers["idempotency-key"].to_str().unwrap(), key);
    assert_ne!(key_of(Lead { last_name: Some("Oneill".into()), ..lead() }), key);
    // What is not sent makes no difference.
    assert_eq!(key_of(Lead { note: None, ..lead() }), key);
    // Another address of the API is another program.
    let live = LeadBankSettings { base_url: "https://api.lead.bank".parse().unwrap(), ..settings() };
    let live = bank(live).create(&prepared(lead())).unwrap();
    assert_ne!(live.headers["idempotency-key"].to_str().unwrap(), key);
}

#[test]
fn one_customer_has_one_number_whatever_else_is_known() {
    let id = |lead: Lead| body(&create(lead))["client_customer_id"].as_str().unwrap().to_owned();
    let changed = Lead { first_name: Some("Zoe".into()), phone: None, external_id: Some("1".into()), ..lead() };
    assert_eq!(id(changed), id(lead()));
    assert_ne!(id(Lead { email: "zoa@acme.example".into(), ..lead() }), id(lead()));
    let look = bank(settings()).find(&prepared(lead())).unwrap();
    assert_eq!(look.method, Method::GET);
    let expected = format!("https://api.sandbox.lead.bank/v0/entities?client_customer_id={}", id(lead()));
    assert_eq!(look.url.as_str(), expected);
    assert_eq!(format!("{look:?}"), "GET https://api.sandbox.lead.bank/v0/entities");
}

#[test]
fn created_and_found_are_told_by_the_entitys_id() {
    let created = include_str!("fixtures/created.json");
    let id = Some("entity_2f6dUQk4sZ".to_owned());
    let expected = Verdict::Accepted { remote_id: id.clone(), already: false, note: None };
    assert_eq!(read(Asked::Create, 200, created), Some(expected));
    let Some(Verdict::Accepted { remote_id, already: true, .. }) = read(Asked::Find, 200, created) else { panic!() };
    assert_eq!(remote_id, id);
    for asked in [Asked::Create, Asked::Find] {
        for body in ["", "{}", "[]", r#"{"id":7}"#, r#"{"id":""}"#, "<html>hi</html>", r#"{"id":"entity_2"#] {
            assert!(matches!(read(asked, 200, body), Some(Verdict::Unknown { .. })), "{body}");
        }
    }
}

#[test]
fn a_conflict_is_settled_by_a_look_and_never_taken_for_a_success() {
    let body =
        r#"{"status":"409","code":"conflict","title":"An entity with the same client_customer_id already exists"}"#;
    assert!(matches!(read(Asked::Create, 409, body), Some(Verdict::Unknown { .. })));
    let gone = r#"{"status":"404","code":"not_found","title":"Not Found"}"#;
    assert_eq!(read(Asked::Find, 404, gone), Some(Verdict::Absent));
    assert_eq!(read(Asked::Find, 404, r#"{"status":404,"title":"Not Found"}"#), Some(Verdict::Absent));
    // Cut short on its way: asked again, and no reason to stop.
    let cut = read(Asked::Find, 404, r#"{"status": 404, "code": "not_fou"#);
    assert!(matches!(cut, Some(Verdict::Unknown { .. })), "{cut:?}");
    for body in ["", "<html>404</html>", r#"{"message":"Not Found"}"#, r#"{"detail":"Not Found"}"#] {
        for asked in [Asked::Find, Asked::Create] {
            let verdict = read(asked, 404, body);
            assert!(matches!(verdict, Some(Verdict::AccountWrong { .. })), "{body}: {verdict:?}");
        }
    }
    for status in [400, 409, 422] {
        let verdict = read(Asked::Find, status, gone);
        assert!(matches!(verdict, Some(Verdict::Unknown { .. })), "{status}: {verdict:?}");
    }
}

#[test]
fn a_refusal_names_each_parameter_with_its_reason_and_no_value() {
    let body = json!({"status": 422, "code": "parameters_invalid", "title": "Validation failed", "invalid_parameters": [
        {"parameter": "last_name", "reason": "must be at least 2 characters"},
        {"parameter": "value", "reason": "ssn 123-45-6789 of zoe@acme.example is invalid"},
    ]});
    for status in [400, 422] {
        let Some(Verdict::Refused { field: None, reason }) = read(Asked::Create, status, &body.to_string()) else {
            panic!()
        };
        let said = "last_name: must be at least 2 characters; value: ssn (number) of (e-mail) is invalid";
        assert_eq!(reason, format!("{status}: {said}"));
    }
    let one = r#"{"invalid_parameters":[{"parameter":"tax_identification.value","reason":"must be 9 digits"}]}"#;
    let expected =
        Verdict::Refused { field: Some("tax_identification.value".into()), reason: "422: must be 9 digits".into() };
    assert_eq!(read(Asked::Create, 422, one), Some(expected));
    let Some(Verdict::Refused { reason, .. }) = read(Asked::Create, 422, r#"{"detail":"Invalid JSON."}"#) else {
        panic!()
    };
    assert_eq!(reason, "422: Invalid JSON.");
    let many: Vec<Value> = (0..9).map(|n| json!({"parameter": format!("p{n}"), "reason": "bad"})).collect();
    let many = json!({ "invalid_parameters": many }).to_string();
    let Some(Verdict::Refused { reason, .. }) = read(Asked::Create, 400, &many) else { panic!() };
    assert!(reason.ends_with("p4: bad; and 4 more"), "{reason}");
    let reused = r#"{"code":"idempotency_error","title":"Same key, other request"}"#;
    let Some(Verdict::Refused { reason, .. }) = read(Asked::Create, 422, reused) else { panic!() };
    assert!(reason.contains("sent before with other content"), "{reason}");
}

#[test]
fn a_blocked_address_is_the_accounts_fault_and_says_whom_to_give_which_address() {
    let blocked = include_str!("fixtures/source_ip.json");
    let with_list = LeadBankSettings { allowlist: vec!["203.0.113.0/24".into()], ..settings() };
    for (settings, words) in [(settings(), "can note"), (with_list, "says that these are: 203.0.113.0/24")] {
        for asked in [Asked::Create, Asked::Find] {
            let verdict = bank(settings.clone()).read(asked, &prepared(lead()), &reply(403, blocked));
            let Some(Verdict::AccountWrong { reason, remedy }) = verdict else { panic!() };
            assert!(reason.contains("IP allowlist"), "{reason}");
            for part in
                ["Technical Account Manager", "destinations.bank.bind_address", "destinations.bank.proxy", words]
            {
                assert!(remedy.contains(part), "{part}: {remedy}");
            }
        }
        let step = bank(settings).check(&[reply(403, blocked)]);
        assert!(matches!(step, CheckStep::Failed { reason, .. } if reason.contains("IP allowlist")));
    }
}

#[test]
fn other_forbidden_calls_are_told_apart_by_their_code() {
    for (code, words) in [
        ("operation_not_allowed", "Technical Account Manager to enable entities"),
        ("insufficient_scope", "destinations.bank.scope, and ask"),
        ("anything_else", "check destinations.bank.scope and what"),
    ] {
        let body = json!({"status": "403", "code": code, "title": "Forbidden"}).to_string();
        let Some(Verdict::AccountWrong { remedy, .. }) = read(Asked::Create, 403, &body) else { panic!("{code}") };
        assert!(remedy.contains(words), "{code}: {remedy}");
    }
    assert!(matches!(read(Asked::Create, 403, "<html>"), Some(Verdict::AccountWrong { .. })));
    assert_eq!(read(Asked::Find, 401, ""), Some(Verdict::AuthExpired));
}

#[test]
fn what_the_status_alone_says_is_left_to_the_status() {
    for asked in [Asked::Create, Asked::Find] {
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(read(asked, status, r#"{"code":"source_ip_not_allowed"}"#), None, "{status}");
        }
    }
    assert_eq!(read(Asked::Create, 302, ""), None);
    assert!(matches!(read(Asked::Find, 302, ""), Some(Verdict::AccountWrong { .. })));
}

#[test]
fn a_reply_about_another_customer_is_not_believed() {
    let ours = wire::client_customer_id("zoe@acme.example");
    let is_about_another =
        |said: Value| bank(settings()).is_about_another(&prepared(lead()), &reply(200, &said.to_string()));
    assert!(is_about_another(json!({"id": "entity_1", "client_customer_id": "lead-7"})));
    assert!(!is_about_another(json!({"id": "entity_1", "client_customer_id": ours})));
    for silent in [json!({"id": "entity_1"}), json!({"id": "entity_1", "client_customer_id": null}), json!([])] {
        assert!(!is_about_another(silent));
    }
}

#[test]
fn without_being_asked_for_nothing_is_sent_not_even_the_check() {
    let off = LeadBankSettings { entities: false, ..settings() };
    let CheckStep::Failed { reason, remedy } = bank(off).check(&[]) else { panic!() };
    assert!(reason.contains("not asked for") && remedy.contains("destinations.bank.entities = true"), "{remedy}");
    let narrow = LeadBankSettings { scope: "event/read".into(), ..settings() };
    let CheckStep::Failed { remedy, .. } = bank(narrow).check(&[]) else { panic!() };
    assert!(remedy.contains("destinations.bank.scope"), "{remedy}");
}

#[test]
fn the_check_asks_for_an_event_and_says_whose_bank_it_is() {
    let at = |url: &str| LeadBankSettings { base_url: url.parse().unwrap(), ..settings() };
    let CheckStep::Ask(request) = bank(settings()).check(&[]) else { panic!() };
    assert_eq!((request.method, request.url.as_str()), (Method::GET, "https://api.sandbox.lead.bank/v1/event?limit=1"));
    let events = || reply(200, r#"{"objects":[],"has_more":false}"#);
    for (url, words) in [
        ("https://api.sandbox.lead.bank", "talks to Lead's sandbox"),
        ("https://api.lead.bank", "LIVE: talks to Lead's production"),
        ("http://127.0.0.1:8700/lead_bank", "neither"),
    ] {
        let CheckStep::Passed(remarks) = bank(at(url)).check(&[events()]) else { panic!() };
        assert!(remarks.len() == 1 && remarks[0].contains(words), "{remarks:?}");
    }
    for (status, body) in [(403, "{}"), (404, "{}"), (302, ""), (400, "{}"), (200, "<html>"), (200, r#"{"a":1}"#)] {
        let step = bank(settings()).check(&[reply(status, body)]);
        assert!(matches!(step, CheckStep::Failed { .. }), "{status} {body} {step:?}");
    }
    for (status, body) in [(401, ""), (429, ""), (500, ""), (503, "<html>"), (200, "{\"objects\":["), (200, "")] {
        let step = bank(settings()).check(&[reply(status, body)]);
        assert!(matches!(step, CheckStep::Unreadable), "{status} {body} {step:?}");
    }
}

#[test]
fn without_the_scope_for_events_the_check_looks_for_an_entity_that_is_nobodys() {
    let narrow = || bank(LeadBankSettings { scope: "entity/read_write".into(), ..settings() });
    let CheckStep::Ask(request) = narrow().check(&[]) else { panic!() };
    let (asked, found) =
        (request.url.as_str(), "https://api.sandbox.lead.bank/v0/entities?client_customer_id=leadsync-");
    assert!(request.method == Method::GET && asked.starts_with(found), "{asked}");
    let none = r#"{"status":"404","code":"not_found","title":"Not Found"}"#;
    for (status, body) in [(404, none), (200, include_str!("fixtures/created.json"))] {
        let CheckStep::Passed(remarks) = narrow().check(&[reply(status, body)]) else { panic!("{status}") };
        assert!(remarks[0].contains("sandbox"), "{remarks:?}");
    }
    for (status, body) in
        [(403, "{}"), (404, "{}"), (404, "<html>"), (302, ""), (400, "{}"), (200, "<html>"), (200, "{}")]
    {
        let step = narrow().check(&[reply(status, body)]);
        assert!(matches!(step, CheckStep::Failed { .. }), "{status} {body} {step:?}");
    }
    for (status, body) in [(401, ""), (429, ""), (500, none), (200, "")] {
        let step = narrow().check(&[reply(status, body)]);
        assert!(matches!(step, CheckStep::Unreadable), "{status} {body} {step:?}");
    }
    // Asked for, and not granted: the remedy names it.
    let body = r#"{"code":"operation_not_allowed","title":"Forbidden"}"#;
    let CheckStep::Failed { remedy, .. } = bank(settings()).check(&[reply(403, body)]) else { panic!() };
    assert!(remedy.contains("`event/read` out of destinations.bank.scope"), "{remedy}");
}

#[test]
fn an_allowlist_is_checked_before_anything_is_sent() {
    let with = |entries: &[&str]| LeadBankSettings {
        allowlist: entries.iter().map(|entry| entry.to_string()).collect(),
        ..settings()
    };
    let error = LeadBank::new("bank", with(&["203.0.113.0/24", "10.0.0.0/20"])).err().unwrap().to_string();
    assert!(
        error.starts_with("destinations.bank.allowlist: found entry 2, \"10.0.0.0/20\": 10.0.0.0/8 is private"),
        "{error}"
    );
    let error =
        LeadBank::new("bank", with(&["10.0.0.0/20", "203.0.113.0/24", "8.8.8.0/33"])).err().unwrap().to_string();
    assert!(error.contains("entry 1, \"10.0.0.0/20\"") && error.contains("; entry 3, \"8.8.8.0/33\""), "{error}");
    let error = LeadBank::new("bank", with(&[""])).err().unwrap().to_string();
    assert!(error.contains("entry 1"), "{error}");
    let doubtful = LeadBankSettings {
        bind_address: Some("198.51.100.9".parse().unwrap()),
        ..with(&["203.0.113.0/24", "100.64.0.0/20"])
    };
    let events = reply(200, r#"{"objects":[]}"#);
    let CheckStep::Passed(remarks) = bank(doubtful).check(std::slice::from_ref(&events)) else { panic!() };
    assert!(remarks[1].starts_with("destinations.bank.allowlist: 100.64.0.0/20: "), "{remarks:?}");
    assert!(remarks[2].contains("198.51.100.9) lies in no subnet"), "{remarks:?}");
    for address in ["192.168.1.7", "203.0.113.9"] {
        let fine = LeadBankSettings { bind_address: Some(address.parse().unwrap()), ..with(&["203.0.113.0/24"]) };
        let CheckStep::Passed(remarks) = bank(fine).check(std::slice::from_ref(&events)) else { panic!() };
        assert_eq!(remarks.len(), 1, "{remarks:?}");
    }
}

// From the configuration

const CONFIGURED: &str = r#"
[destinations.bank]
kind = "lead_bank"
client_id = "program"
client_secret = "hush-hush"
"#;

fn configured(more: &str) -> config::DestinationSettings {
    let text = format!("{CONFIGURED}{more}");
    let settings = config::parse("leadsync.toml", &text, Environment::default()).unwrap();
    settings.destinations["bank"].clone()
}

#[test]
fn tokens_are_asked_for_in_json_at_the_same_host_and_over_ipv4_alone() {
    let settings = configured("");
    let account = registry::account(&settings).unwrap();
    let request = account.grant().unwrap().request(With::Login, None);
    assert_eq!(format!("{request:?}"), "POST https://api.sandbox.lead.bank/v1/oauth/token");
    let expected = json!({
        "grant_type": "client_credentials", "client_id": "program", "client_secret": "hush-hush",
        "scope": "entity/read_write event/read",
    });
    assert_eq!(body(&request), expected);
    assert!(registry::egress(&settings).ipv4_only);
    let built = registry::destination(&settings).unwrap();
    assert!(!built.looks_first());
    let CheckStep::Failed { .. } = built.check(&[]) else { panic!("entities are off unless asked for") };
}

#[test]
fn a_token_lives_as_long_as_the_bank_says_and_a_narrower_scope_is_noticed() {
    let account = registry::account(&configured("")).unwrap();
    let grant = account.grant().unwrap();
    let issued = r#"{"access_token":"t","token_type":"Bearer","scope":"event/read","expires_in":86400}"#;
    let token = grant.read(With::Login, &reply(200, issued), Timestamp::from_ms(0)).unwrap();
    assert_eq!(token.expires_at, Timestamp::from_ms(86_400_000));
    assert_eq!(grant.withheld(token.scope.as_deref().unwrap()), ["entity/read_write"]);
}

#[test]
fn a_token_request_from_a_blocked_address_says_so_too() {
    let account = registry::account(&configured("")).unwrap();
    let blocked = reply(403, include_str!("fixtures/source_ip.json"));
    let refused = account.grant().unwrap().read(With::Login, &blocked, Timestamp::from_ms(0)).unwrap_err();
    let AuthError::Refused { what, remedy } = refused else { panic!() };
    assert!(what.contains("IP allowlist") && remedy.contains("Technical Account Manager"), "{what} {remedy}");
    let wrong = reply(400, r#"{"status":400,"code":"parameters_invalid","detail":"Invalid grant type."}"#);
    let refused = account.grant().unwrap().read(With::Login, &wrong, Timestamp::from_ms(0)).unwrap_err();
    let AuthError::Refused { remedy, .. } = refused else { panic!() };
    assert_eq!(remedy, "check `client_id` and `client_secret`");
}

#[test]
fn a_bad_entry_of_the_allowlist_is_named_with_its_key() {
    let error = registry::destination(&configured("allowlist = [\"8.8.8.0/24\", \"8.8.8.8/32\"]\n")).err().unwrap();
    assert!(error.to_string().contains("destinations.bank.allowlist: found entry 2"), "{error}");
}

#[test]
fn a_tax_number_shows_nowhere_but_in_the_body() {
    let request = create(lead());
    let shown = format!("{request:?} {:?}", prepared(lead()));
    assert!(!shown.contains("6789") && !request.url.as_str().contains("6789"), "{shown}");
    assert!(request.headers.values().all(|value| !value.to_str().unwrap().contains("6789")));
}

proptest! {
    #[test]
    fn any_reply_is_read_without_panic(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[\\[{\"code:invalid_parametersreason,}\\]]{0,60}".prop_map(String::into_bytes),
        ],
        status in 200u16..600,
    ) {
        let bank = bank(settings());
        let reply = Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from(body),
        };
        for asked in [Asked::Create, Asked::Find, Asked::Complete] {
            let verdict = bank.read(asked, &prepared(lead()), &reply);
            if let Some(Verdict::Accepted { .. }) = verdict {
                prop_assert!(reply.status.is_success());
            }
        }
        let _ = bank.check(&[reply]);
    }

    #[test]
    fn nine_digits_are_never_readable_from_the_key(number in "[0-8][0-9]{8}") {
        let mut lead = lead();
        lead.custom_fields.insert("tax_id".into(), number.clone());
        prop_assert!(!key_of(lead).contains(&number));
    }
}
