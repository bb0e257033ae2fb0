//! The original API: forms out, error words in.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;

/// Made once for many cases.
static READY: LazyLock<Arc<dyn Destination>> = LazyLock::new(|| ready());

const LISTS: &str = r#"[{"id": 7, "name": "Old leads"}, {"id": "123", "name": "Website leads"}]"#;

/// Checked, so that the list's number is known.
fn ready() -> std::sync::Arc<dyn Destination> {
    let destination = built(ORIGINAL);
    assert!(matches!(destination.check(&[reply(200, LISTS)]), CheckStep::Passed(remarks) if remarks.is_empty()));
    destination
}

fn read(asked: Asked, status: u16, body: &str) -> Option<Verdict> {
    ready().read(asked, &full(), &reply(status, body))
}

#[test]
fn an_add_is_a_form_with_every_field_that_the_lead_has_and_no_key() {
    let request = ready().create(&full()).unwrap();
    assert_eq!(format!("{request:?}"), "POST https://api.leaddesk.com/");
    assert_eq!(request.url.query(), None);
    let expected = [
        ("mod", "contact"),
        ("cmd", "add"),
        ("phone", "+358401234567"),
        ("list", "Website leads"),
        ("fname", "Zoë"),
        ("lname", "O'Néill & Co"),
        ("email", "zoe@acme.example"),
        ("company", "Acme"),
        ("title", "VP"),
        ("comment", "call after 10\nasked for a demo"),
        ("return_value", "1"),
    ];
    assert_eq!(form(&request), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let request = ready().create(&bare()).unwrap();
    let names: Vec<String> = form(&request).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["mod", "cmd", "phone", "list", "email", "return_value"]);
}

#[test]
fn templates_add_replace_and_leave_out_fields() {
    let fields = r#"
[destinations.calls.fields]
comment = "{{ lead.note }}!"
fname = ""
title = "{{ person.title }}"
other35 = "{{ lead.email }}"
"#;
    let request = built(&format!("{ORIGINAL}{fields}")).create(&full()).unwrap();
    assert_eq!(field(&request, "comment").unwrap(), "call after 10!");
    assert_eq!(field(&request, "other35").unwrap(), "zoe@acme.example");
    assert_eq!((field(&request, "fname"), field(&request, "title")), (None, None));
    assert_eq!(field(&request, "lname").unwrap(), "O'Néill & Co");
}

#[test]
fn a_look_asks_for_the_number_on_the_lists_number_once_that_is_known() {
    assert!(built(ORIGINAL).find(&full()).is_none());
    let expected = [("mod", "contact"), ("cmd", "find"), ("phone", "+358401234567"), ("contact_list_id", "123")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(form(&ready().find(&full()).unwrap()), expected);
    let by_number = built("auth_key = \"k\"\ncontact_list_id = 123\n");
    assert_eq!(form(&by_number.find(&full()).unwrap()), expected);
    assert_eq!(field(&by_number.create(&full()).unwrap(), "list").unwrap(), "123");
    assert!(matches!(by_number.check(&[reply(200, LISTS)]), CheckStep::Passed(_)));
    assert_eq!(field(&by_number.create(&full()).unwrap(), "list").unwrap(), "Website leads", "the name is known now");
}

#[test]
fn only_a_success_that_says_so_is_one() {
    let id = |remote_id: Option<&str>, note: Option<&str>| {
        Some(Verdict::Accepted {
            remote_id: remote_id.map(str::to_owned),
            already: false,
            note: note.map(str::to_owned),
        })
    };
    for (status, body) in [
        (200, r#"{"success": true, "contact_id": 88}"#),
        (201, r#"{"success": "true", "contact_id": "88"}"#),
        (200, r#"{"success": 1, "contact_id": 88}"#),
    ] {
        assert_eq!(read(Asked::Create, status, body), id(Some("88"), None));
    }
    let note = Some("added, but LeadDesk did not say under which number");
    assert_eq!(read(Asked::Create, 200, r#"{"success": true}"#), id(None, note));
    for body in [r#"{"success": false}"#, r#"{"success": 0, "error": "ERR_UNDEFINED"}"#, "ERR_UNDEFINED"] {
        let verdict = read(Asked::Create, 200, body);
        assert!(matches!(verdict, Some(Verdict::RefusedUnlessThere { .. })), "{body}: {verdict:?}");
    }
    for body in ["", "{}", "[]", "OK", "<html>welcome</html>", r#"{"contact_id": 88}"#, r#"{"success": tr"#] {
        assert_eq!(read(Asked::Create, 200, body), None, "{body}: unknown by its status");
    }
}

#[test]
fn a_refused_key_is_told_by_its_word_whatever_the_status() {
    for asked in [Asked::Create, Asked::Find] {
        for (status, body) in [
            (400, "ERR_AUTHENTICATION"),
            (200, "ERR_AUTHENTICATION"),
            (500, "ERR_AUTHENTICATION"),
            (200, r#"{"success": false, "error": "ERR_AUTHENTICATION"}"#),
            (400, "\"ERR_AUTHENTICATION:key\"\n"),
            (400, "ERR_ARGUMENT_MISSING:auth"),
            (403, "ERR_PERMISSION_DENIED"),
        ] {
            let Some(Verdict::AccountWrong { reason, remedy }) = read(asked, status, body) else { panic!("{body}") };
            assert!(reason.contains("refuses the key"), "{reason}");
            assert_eq!(remedy, "check destinations.calls.auth_key");
        }
    }
}

#[test]
fn an_error_word_with_400_is_the_leads_and_with_500_nobody_knows() {
    for (body, field) in [
        ("ERR_UNDEFINED", None),
        ("ERR_ARGUMENT_INVALID:phone", Some("phone")),
        ("ERR_ARGUMENT_INVALID:fname", Some("first_name")),
        ("ERR_NOT_FOUND:agent", Some("agent")),
        ("ERR_BLACKLISTED", None),
    ] {
        let expected = Verdict::Refused { field: field.map(str::to_owned), reason: format!("400: {body}") };
        assert_eq!(read(Asked::Create, 400, body), Some(expected));
        assert_eq!(read(Asked::Create, 500, body), None, "{body}: unknown by its status");
        assert_eq!(read(Asked::Find, 500, body), None);
        let verdict = read(Asked::Find, 400, body);
        assert!(matches!(verdict, Some(Verdict::Unknown { .. })), "a refused look proves nothing: {verdict:?}");
    }
    for status in [401, 408, 429, 500, 502, 503] {
        for asked in [Asked::Create, Asked::Find] {
            assert_eq!(read(asked, status, "slow down"), None, "{status}");
        }
    }
}

#[test]
fn another_service_behind_the_address_stops_the_destination() {
    for asked in [Asked::Create, Asked::Find] {
        for (status, body) in [(404, "<html>"), (404, "not found"), (405, ""), (301, ""), (400, "ERR_INVALID_COMMAND")]
        {
            let verdict = read(asked, status, body);
            assert!(matches!(verdict, Some(Verdict::AccountWrong { .. })), "{status} {body}: {verdict:?}");
        }
    }
    assert_eq!(read(Asked::Create, 302, ""), None, "a form answers so after it has done its work");
    // An error word makes it LeadDesk's own.
    assert!(matches!(read(Asked::Create, 404, "ERR_NOT_FOUND:agent"), Some(Verdict::Refused { .. })));
}

#[test]
fn a_list_that_is_not_known_by_its_name_is_tried_by_its_number_once() {
    let destination = ready();
    let create = |destination: &std::sync::Arc<dyn Destination>, status, body: &str| {
        destination.read(Asked::Create, &full(), &reply(status, body)).unwrap()
    };
    let list = || field(&destination.create(&full()).unwrap(), "list").unwrap();
    assert_eq!(list(), "Website leads");
    let verdict = create(&destination, 400, "ERR_ARGUMENT_INVALID:list");
    assert!(matches!(verdict, Verdict::NotNow { wait: Some(_), .. }), "{verdict:?}");
    assert_eq!(list(), "123");
    let Verdict::AccountWrong { remedy, .. } = create(&destination, 400, "ERR_NOT_FOUND:list") else { panic!() };
    assert!(remedy.contains("contact_list") && remedy.contains("contact_list_id"), "{remedy}");

    // Once an add was taken by the name, the name is right, and a refusal means that the list is gone.
    let destination = ready();
    create(&destination, 200, r#"{"success": true, "contact_id": 1}"#);
    assert!(matches!(create(&destination, 400, "ERR_NOT_FOUND:list"), Verdict::AccountWrong { .. }));
    // Several under way at once are refused for one and the same reason.
    let destination = built(&format!("{ORIGINAL}contact_list_id = 123\nconcurrency = 2\n"));
    for _ in 0..2 {
        assert!(matches!(create(&destination, 400, "ERR_NOT_FOUND:list"), Verdict::NotNow { .. }));
    }
    assert!(matches!(create(&destination, 400, "ERR_NOT_FOUND:list"), Verdict::AccountWrong { .. }));
    // Nothing else to try.
    let destination = built("auth_key = \"k\"\ncontact_list_id = 123\n");
    assert!(matches!(create(&destination, 400, "ERR_NOT_FOUND:list"), Verdict::AccountWrong { .. }));
    let look = ready().read(Asked::Find, &full(), &reply(400, "ERR_NOT_FOUND:contact_list_id"));
    assert!(matches!(look, Some(Verdict::AccountWrong { .. })));
}

#[test]
fn a_look_tells_found_from_absent_and_from_neither() {
    let found = |body: &str| match read(Asked::Find, 200, body).unwrap() {
        Verdict::Accepted { remote_id: Some(id), already: true, note: Some(note) } => (id, note),
        other => panic!("{body}: {other:?}"),
    };
    assert_eq!(found(r#"{"success": true, "total_count": 1, "contact_ids": [88]}"#).0, "88");
    assert_eq!(found(r#"{"success": true, "total_count": "1", "contact_ids": ["88"]}"#).0, "88");
    assert!(found(r#"{"success": true, "total_count": 2, "contact_ids": [88, 89]}"#).1.ends_with("2 times"));
    for absent in [
        r#"{"success": true, "total_count": 0, "contact_ids": []}"#,
        r#"{"success": true, "total_count": "0"}"#,
        r#"{"success": true, "contact_ids": []}"#,
    ] {
        assert_eq!(read(Asked::Find, 200, absent), Some(Verdict::Absent), "{absent}");
    }
    assert_eq!(read(Asked::Find, 400, "ERR_NOT_FOUND:contact"), Some(Verdict::Absent));
    for unclear in [
        "",
        "{}",
        "<html>",
        r#"{"success": false, "contact_ids": []}"#,
        r#"{"success": true}"#,
        r#"{"success": true, "total_count": 3, "contact_ids": []}"#,
        r#"{"success": true, "total_count": null, "contact_ids": []}"#,
        r#"{"success": true, "contact_ids": [null]}"#,
        r#"{"contact_ids": []}"#,
    ] {
        let verdict = read(Asked::Find, 200, unclear);
        assert!(matches!(verdict, Some(Verdict::Unknown { .. })), "{unclear}: {verdict:?}");
    }
    for body in ["ERR_NOT_FOUND", "ERR_NOT_FOUND:agent"] {
        assert!(matches!(read(Asked::Find, 400, body), Some(Verdict::Unknown { .. })), "{body}");
    }
}

#[test]
fn the_check_asks_for_the_lists_and_finds_ours_by_name_or_number() {
    let request = asked(built(ORIGINAL).check(&[]));
    assert_eq!((request.method.clone(), request.url.query()), (Method::POST, None));
    assert_eq!(form(&request), [("mod".into(), "calling_list".into()), ("cmd".into(), "list".into())]);
    let wrapped = format!(r#"{{"success": true, "calling_lists": {LISTS}}}"#);
    assert!(matches!(built(ORIGINAL).check(&[reply(200, &wrapped)]), CheckStep::Passed(_)));
}

#[test]
fn a_list_that_is_not_ours_fails_the_check_with_what_to_set() {
    let check = |table: &str, lists: &str| failed(built(table).check(&[reply(200, lists)]));
    let (reason, remedy) = check("auth_key = \"k\"\ncontact_list = \"Web site leads\"\n", LISTS);
    assert!(reason.contains("2 others") && remedy.contains("did you mean \"Website leads\"?"), "{reason} {remedy}");
    let (_, remedy) = check("auth_key = \"k\"\ncontact_list = \"zzz\"\n", LISTS);
    assert!(remedy.contains("destinations.calls.contact_list to the list's name"), "{remedy}");
    let (_, remedy) = check("auth_key = \"k\"\ncontact_list_id = 9\n", LISTS);
    assert!(remedy.contains("destinations.calls.contact_list_id to the list's number"), "{remedy}");
    let (reason, _) = check(&format!("{ORIGINAL}contact_list_id = 7\n"), LISTS);
    assert!(reason.contains("called \"Old leads\", not \"Website leads\""), "{reason}");
    let twins = r#"[{"id": 1, "name": "Website leads"}, {"id": 2, "name": "Website leads"}]"#;
    let (reason, _) = check(ORIGINAL, twins);
    assert!(reason.contains("2 contact lists"), "{reason}");
    let (reason, _) = check(ORIGINAL, "[]");
    assert!(reason.contains("0 others"), "{reason}");
}

#[test]
fn a_check_tells_a_wrong_configuration_from_a_bad_moment() {
    let both = format!("{ORIGINAL}contact_list_id = 123\n");
    for word in ["ERR_INVALID_COMMAND", "ERR_UNDEFINED"] {
        let (_, remedy) = failed(built(ORIGINAL).check(&[reply(400, word)]));
        assert!(remedy.contains("set both"), "{remedy}");
        let CheckStep::Passed(remarks) = built(&both).check(&[reply(400, word)]) else { panic!() };
        assert!(remarks[0].contains("were not compared"), "{remarks:?}");
    }
    for (status, body) in [
        (400, "ERR_AUTHENTICATION"),
        (500, "ERR_AUTHENTICATION"),
        (404, "<html>"),
        (302, ""),
        (200, "<html>"),
        (200, "7"),
    ] {
        failed(built(&both).check(&[reply(status, body)]));
    }
    for (status, body) in [(401, ""), (429, ""), (500, "ERR_UNDEFINED"), (503, "<html>"), (200, "[{\"id\":"), (200, "")]
    {
        let step = built(&both).check(&[reply(status, body)]);
        assert!(matches!(step, CheckStep::Unreadable), "{status} {body}: {step:?}");
    }
}

proptest! {
    #[test]
    fn any_reply_is_read_without_panic_and_only_a_success_is_taken(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..120),
            "ERR_[A-Z_]{0,20}(:\\PC{0,20})?".prop_map(String::into_bytes),
            "[\\[{\"success:trueontac_ids0-9,}\\]]{0,60}".prop_map(String::into_bytes),
        ],
        status in 200u16..600,
    ) {
        let destination = &*READY;
        let reply = Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from(body),
        };
        for asked in [Asked::Create, Asked::Find, Asked::Complete] {
            if let Some(Verdict::Accepted { .. }) = destination.read(asked, &full(), &reply) {
                prop_assert!(reply.status.is_success());
            }
        }
        let _ = destination.check(&[reply]);
    }

    #[test]
    fn what_is_sent_comes_back_out_of_the_form(name in "\\PC{1,30}", note in "[a-z&=+%\\n é]{1,40}") {
        let mut prepared = full();
        prepared.lead.first_name = Some(name.clone());
        prepared.lead.note = Some(note.clone());
        prepared.lead.context = None;
        let request = READY.create(&prepared).unwrap();
        let expected = |text: String| Some(text).filter(|text| !text.trim().is_empty());
        prop_assert_eq!(field(&request, "fname"), expected(name));
        prop_assert_eq!(field(&request, "comment"), expected(note));
    }
}
