use super::*;

#[test]
fn created_and_found_are_told_by_the_entitys_id() {
    let created = include_str!("../fixtures/created.json");
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
    let blocked = include_str!("../fixtures/source_ip.json");
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
