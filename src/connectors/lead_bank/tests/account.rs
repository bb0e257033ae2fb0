use super::*;

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
    for (status, body) in [(404, none), (200, include_str!("../fixtures/created.json"))] {
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
    let blocked = reply(403, include_str!("../fixtures/source_ip.json"));
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
