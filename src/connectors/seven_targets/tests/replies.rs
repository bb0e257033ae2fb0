use super::*;

#[test]
fn a_reply_about_another_lead_is_told_from_one_that_writes_the_address_differently() {
    let mut prepared = full();
    let mut is_about_another = |address: &str, said: serde_json::Value| {
        prepared.lead.email = address.to_owned();
        destination(&settings()).is_about_another(&prepared, &reply(201, said.to_string().as_bytes()))
    };
    assert!(is_about_another("zoe@acme.example", json!({"id": 7, "email": "zoa@acme.example"})));
    assert!(!is_about_another("zoe@acme.example", json!({"id": 7, "email": " Zoe@ACME.example "})));
    assert!(!is_about_another("zoe@xn--mller-kva.example", json!({"id": 7, "email": "zoe@müller.example"})));
    for silent in [json!({"id": 7}), json!({"id": 7, "email": null}), json!({"id": 7, "email": ""}), json!([])] {
        assert!(!is_about_another("zoe@acme.example", silent));
    }
}

#[test]
fn created_lead_is_accepted_with_its_number() {
    for status in [200, 201] {
        let verdict = read(Asked::Create, status, include_str!("../fixtures/created.json")).unwrap();
        assert_eq!(verdict, Verdict::Accepted { remote_id: Some("2345".into()), already: false, note: None });
    }
    let verdict = read(Asked::Create, 201, r#"{"id": "77", "state": "New"}"#).unwrap();
    let Verdict::Accepted { remote_id, note: Some(note), .. } = verdict else { panic!() };
    assert_eq!(remote_id.as_deref(), Some("77"));
    assert!(note.contains("lead limit"), "{note}");
}

#[test]
fn success_that_can_not_be_read_is_unknown() {
    for asked in [Asked::Create, Asked::Find] {
        for (status, body) in [
            (201, ""),
            (201, "{}"),
            (200, r#"{"error":"something broke"}"#),
            (201, r#"{"id":234"#),
            (201, r#"{"id":null}"#),
            (201, r#"{"id":0}"#),
            (201, r#"{"id":1.5}"#),
            (201, r#"{"id":"abc"}"#),
            (200, "[]"),
            (200, "<html>welcome</html>"),
            (204, ""),
        ] {
            assert!(matches!(read(asked, status, body), Some(Verdict::Unknown { .. })), "{status} {body}");
        }
    }
}

#[test]
fn lead_that_is_there_already_is_accepted() {
    for (status, body, id) in [
        (400, r#"{"message":"Lead already exists"}"#, None),
        (409, r#"{"error":"Duplicate lead","id":2345}"#, Some("2345")),
        (422, r#""email ann@acme.example exists""#, None),
        (409, "Lead with email ann@acme.example already exists for assistant ashley@acme.example", None),
        (400, r#"{"errors":[{"code":"LEAD_ALREADY_EXISTS"}]}"#, None),
    ] {
        let expected = Verdict::Accepted { remote_id: id.map(Into::into), already: true, note: None };
        assert_eq!(read(Asked::Create, status, body), Some(expected), "{body}");
    }
    let words = SevenTargetsSettings { already_exists: vec!["schon da".into()], ..settings() };
    let verdict = destination(&words).read(Asked::Create, &bare(), &reply(409, b"Lead ist schon da"));
    assert!(matches!(verdict, Some(Verdict::Accepted { already: true, .. })));
}

#[test]
fn refusal_that_only_sounds_like_it_is_not_accepted() {
    for body in [
        r#"{"message":"Validation failed","lead":{"name":"Exist","company":"Duplicate"}}"#,
        r#"{"message":"company 'Already Exists Ltd' is not valid"}"#,
        r#"{"message":"custom field Budget does not exist"}"#,
        r#"{"message":"Duplicate custom field"}"#,
        "<html>page does exist</html>",
        "",
    ] {
        assert_eq!(read(Asked::Create, 400, body), None, "{body}");
    }
}

#[test]
fn unknown_assistant_is_the_accounts_fault_never_the_leads() {
    for asked in [Asked::Create, Asked::Find] {
        for (status, body) in [
            (400, r#"{"message":"Assistant does not exist"}"#),
            (404, r#"{"message":"assistant ashley@acme.example not found"}"#),
            (422, r#"{"error":"Invalid assistantEmail"}"#),
        ] {
            let Some(Verdict::AccountWrong { reason, remedy }) = read(asked, status, body) else { panic!("{body}") };
            assert_eq!(remedy, "check destinations.7targets.assistant_email");
            assert!(!reason.contains('@'), "{reason}");
        }
    }
}

#[test]
fn unknown_schedule_is_the_accounts_fault_if_the_account_names_it() {
    let text = r#"{"message":"Schedule 'Fast' does not exist"}"#;
    assert_eq!(read(Asked::Create, 400, text), None);
    let named = SevenTargetsSettings { schedule_name: Some("Fast".into()), ..settings() };
    let verdict = destination(&named).read(Asked::Create, &bare(), &reply(400, text.as_bytes()));
    assert!(matches!(verdict, Some(Verdict::AccountWrong { remedy, .. }) if remedy.ends_with(".schedule_name")));
    let templated = SevenTargetsSettings {
        schedule_name: Some("Fast".into()),
        ..with_fields(&[("scheduleName", "{{ lead.note }}")])
    };
    assert_eq!(destination(&templated).read(Asked::Create, &bare(), &reply(400, text.as_bytes())), None);
}

#[test]
fn refused_user_identifier_and_wrong_address_stop_the_destination() {
    use Asked::{Create, Find};
    for asked in [Create, Find] {
        for (status, body) in
            [(403, "{}"), (403, "<html>"), (400, r#"{"message":"invalid 7ts-user-identifier"}"#), (301, ""), (307, "")]
        {
            assert!(matches!(read(asked, status, body), Some(Verdict::AccountWrong { .. })), "{status} {body}");
        }
        assert_eq!(read(asked, 401, ""), Some(Verdict::AuthExpired));
    }
    // A form answers so after it has done its work.
    for status in [302, 303] {
        assert_eq!(read(Create, status, ""), None);
        assert!(matches!(read(Find, status, ""), Some(Verdict::AccountWrong { .. })), "{status}");
    }
    for (status, body) in [(404, "<html>"), (404, r#"{"message":"Not Found"}"#), (405, "")] {
        assert!(matches!(read(Create, status, body), Some(Verdict::AccountWrong { .. })), "{status} {body}");
    }
    assert!(matches!(read(Create, 404, r#"{"message":"Not Fou"#), Some(Verdict::Unknown { .. })));
}

#[test]
fn what_the_status_alone_says_is_left_to_the_status() {
    for asked in [Asked::Create, Asked::Find] {
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(read(asked, status, r#"{"message":"Lead already exists"}"#), None, "{status}");
        }
    }
    for status in [400, 404, 409, 422] {
        assert_eq!(read(Asked::Create, status, r#"{"message":"name is mandatory"}"#), None, "{status}");
    }
}

#[test]
fn probe_that_finds_it_confirms_it() {
    let verdict = read(Asked::Find, 200, include_str!("../fixtures/created.json")).unwrap();
    let note = Some("confirmed by probe".to_owned());
    assert_eq!(verdict, Verdict::Accepted { remote_id: Some("2345".into()), already: true, note });
    let Some(Verdict::Accepted { note: Some(note), .. }) = read(Asked::Find, 200, r#"{"id":1,"state":"New"}"#) else {
        panic!()
    };
    assert!(note.contains("confirmed by probe") && note.contains("lead limit"), "{note}");
}

#[test]
fn only_a_clear_not_there_permits_a_second_create() {
    for (status, body) in [
        (404, r#"{"message":"Lead not found"}"#),
        (404, r#"{"error":"not found"}"#),
        (
            404,
            r#"{"timestamp":"t","status":404,"error":"Not Found","message":"No lead with this email","path":"/leads"}"#,
        ),
        (404, "{}"),
        (400, r#"{"message":"Lead does not exist"}"#),
        (422, r#"{"message":"no lead with email ann@acme.example"}"#),
        (400, r#""Email does not exist""#),
    ] {
        assert_eq!(read(Asked::Find, status, body), Some(Verdict::Absent), "{status} {body}");
    }
    for (status, body) in [
        (404, ""),
        (404, "<html>404</html>"),
        (404, r#"{"message":"Not Found"}"#),
        (404, r#"{"timestamp":"t","status":404,"error":"Not Found","path":"/leads"}"#),
        (404, r#"{"message":"Cannot PUT /leads","error":"Not Found","statusCode":404}"#),
        (404, r#"{"message":"User not found"}"#),
        (404, r#"{"message":"Lead not fou"#),
        (405, r#"{"message":"Method Not Allowed"}"#),
        (400, r#"{"message":"name is mandatory"}"#),
        (400, r#"{"message":"custom field not found"}"#),
        (409, r#"{"message":"Lead already exists"}"#),
        (409, r#"{"message":"lead not found"}"#),
        (422, ""),
        (400, r#"{"message":"Unknown error"}"#),
        (400, r#"{"message":"Handler not found"}"#),
        (404, r#"{"message":"Resource not found"}"#),
        (400, r#"{"message":"No email provided"}"#),
    ] {
        assert!(matches!(read(Asked::Find, status, body), Some(Verdict::Unknown { .. })), "{status} {body}");
    }
}

proptest! {
    #[test]
    fn any_reply_is_read_without_panic(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "\\PC{0,60}".prop_map(|text| json!({"message": text}).to_string().into_bytes()),
            "[\\[{\"id:emailid0-9,}\\]]{0,60}".prop_map(String::into_bytes),
        ],
        status in 200u16..600,
    ) {
        let destination = destination(&settings());
        let reply = reply(status, &body);
        let _ = (destination.read(Asked::Create, &bare(), &reply), destination.read(Asked::Find, &bare(), &reply));
        let _ = destination.check(&[page(1, 10), reply]);
    }

    #[test]
    fn nothing_but_a_success_or_an_affirmed_refusal_counts_as_created(text in "\\PC{0,60}", status in 300u16..600) {
        let body = json!({ "message": text }).to_string();
        if let Some(Verdict::Accepted { .. }) = read(Asked::Create, status, &body) {
            let text = text.to_lowercase();
            prop_assert!((400..500).contains(&status) && (text.contains("exist") || text.contains("duplicate")));
        }
    }
}
