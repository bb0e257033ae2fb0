//! The REST API: JSON out, collections in.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;

/// Made once for many cases.
static READY: LazyLock<Arc<dyn Destination>> = LazyLock::new(|| built(REST));

fn read(asked: Asked, status: u16, body: &str) -> Option<Verdict> {
    built(REST).read(asked, &full(), &reply(status, body))
}

fn found(contacts: &Value, count: Option<u64>) -> Verdict {
    let body = match count {
        Some(count) => json!({"_meta": {"count": count}, "collection": contacts}),
        None => json!({ "collection": contacts }),
    };
    read(Asked::Find, 200, &body.to_string()).unwrap()
}

#[test]
fn an_add_is_json_with_every_field_that_the_lead_has() {
    let request = built(REST).create(&full()).unwrap();
    assert_eq!(format!("{request:?}"), "POST https://restapi-nor.leaddesk.com/stable/contacts");
    assert_eq!(
        body(&request),
        json!({
            "contact_list_id": 123, "phone": "+358401234567", "fname": "Zoë", "lname": "O'Néill & Co",
            "email": "zoe@acme.example", "company": "Acme", "title": "VP",
            "comment": "call after 10\nasked for a demo",
        })
    );
    let expected = json!({"contact_list_id": 123, "phone": "+358407654321", "email": "ann@acme.example"});
    assert_eq!(body(&built(REST).create(&bare()).unwrap()), expected);
}

#[test]
fn paths_and_names_are_as_configured() {
    let table = format!(
        "{}{}",
        REST.replace("contact_list_id = 123", "contact_list = \"Web\""),
        "contacts_path = \"/v2/people\"\nphone_parameter = \"msisdn\"\nlist_parameter = \"list\"\n\
         check_path = \"/users\"\n[destinations.calls.fields]\nfname = \"\"\nfirstName = \"{{ lead.first_name }}\"\n"
    );
    let destination = built(&table);
    let request = destination.create(&bare()).unwrap();
    assert_eq!(request.url.path(), "/stable/v2/people");
    assert_eq!(body(&request), json!({"list": "Web", "msisdn": "+358407654321", "email": "ann@acme.example"}));
    assert_eq!(body(&destination.create(&full()).unwrap())["firstName"], "Zoë");
    let look = destination.find(&full()).unwrap();
    let expected = "https://restapi-nor.leaddesk.com/stable/v2/people?msisdn=%2B358401234567&list=Web&per_page=100";
    assert_eq!((look.method, look.url.as_str()), (Method::GET, expected));
    assert_eq!(asked(destination.check(&[])).url.path(), "/stable/users");
}

#[test]
fn an_added_contact_is_known_by_its_number_wherever_it_stands() {
    for (status, body) in [
        (200, r#"{"id": 456}"#),
        (201, r#"{"id": "456"}"#),
        (201, r#"{"contact": {"id": 456}}"#),
        (200, r#"{"data": {"id": 456, "phone": "+358401234567"}}"#),
    ] {
        let expected = Verdict::Accepted { remote_id: Some("456".into()), already: false, note: None };
        assert_eq!(read(Asked::Create, status, body), Some(expected), "{body}");
    }
    for body in ["", "{}", "[]", "<html>", r#"{"id": null}"#, r#"{"id": 0}"#, r#"{"id": ""}"#, r#"{"id": 4"#] {
        assert_eq!(read(Asked::Create, 201, body), None, "{body}: unknown by its status");
    }
}

#[test]
fn a_refusal_is_the_leads_unless_it_names_the_list_the_path_or_the_app() {
    for status in [400, 422] {
        assert_eq!(read(Asked::Create, status, r#"{"message": "phone is not valid"}"#), None);
        for body in [r#"{"message": "contact_list_id does not exist"}"#, r#"{"error": "Unknown contact list"}"#] {
            let Some(Verdict::AccountWrong { remedy, .. }) = read(Asked::Create, status, body) else {
                panic!("{body}")
            };
            assert!(remedy.contains("destinations.calls.contact_list_id"), "{remedy}");
        }
    }
    for (status, said) in [
        (409, "contact exists"),
        (422, "number is blocked on this contact list"),
        (422, "already exists in contact list"),
        (400, "phone is invalid on contact list 123"),
        (422, "contact_list_id 123 has this number"),
        (422, "Duplicate number"),
    ] {
        let verdict = read(Asked::Create, status, &json!({ "message": said }).to_string());
        let expected = Verdict::RefusedUnlessThere { field: None, reason: format!("{status}: {said}") };
        assert_eq!(verdict, Some(expected));
    }
    let asked = read(Asked::Find, 422, r#"{"message": "number is blocked on this contact list"}"#);
    assert!(matches!(asked, Some(Verdict::Unknown { .. })), "{asked:?}");
    for asked in [Asked::Create, Asked::Find] {
        for status in [301, 307, 403, 404, 405, 410] {
            let verdict = read(asked, status, "{}");
            assert!(matches!(verdict, Some(Verdict::AccountWrong { .. })), "{status}: {verdict:?}");
        }
        for status in [401, 408, 429, 500, 502, 503] {
            assert_eq!(read(asked, status, r#"{"message": "contact not found"}"#), None, "{status}");
        }
    }
    let Some(Verdict::AccountWrong { remedy, .. }) = read(Asked::Create, 404, "{}") else { panic!() };
    assert!(remedy.contains("destinations.calls.contacts_path"), "{remedy}");
    assert_eq!(read(Asked::Create, 302, ""), None);
}

#[test]
fn a_look_believes_only_a_contact_that_names_our_number() {
    let ours = json!({"id": 456, "phone": "040 1234567", "contact_list_id": "123"});
    let expected = Verdict::Accepted {
        remote_id: Some("456".into()),
        already: true,
        note: Some("found by its number on the list".into()),
    };
    for (contacts, count) in [
        (json!([ours]), Some(1)),
        (json!([{"id": 1, "phone": "+358409999999"}, ours]), Some(500)),
        (
            json!([{"contact": {"id": 456, "phone_numbers": [{"number": "+358401234567"}], "contact_list_id": 123}}]),
            None,
        ),
        (json!([{"id": 456, "phone": "0401234567", "contact_list_id": {"id": 123, "name": "Web"}}]), Some(1)),
        (json!([{"id": 456, "phone": "0401234567", "contact_list_id": [9, {"id": "123"}]}]), Some(1)),
        (json!([{"id": 456, "phone": "0401234567", "contact_list": {"id": 123}}]), Some(1)),
        (json!([{"id": 1, "phone": "0401234567"}, ours]), Some(2)),
    ] {
        assert_eq!(found(&contacts, count), expected, "{contacts}");
    }
    assert_eq!(found(&json!([]), Some(0)), Verdict::Absent);
    assert_eq!(found(&json!([]), None), Verdict::Absent);
    assert_eq!(read(Asked::Find, 200, "[]"), Some(Verdict::Absent));
    // A number like ours, or ours on another list, and these are all.
    assert_eq!(found(&json!([{"id": 1, "phone": "+3584012345678"}]), Some(1)), Verdict::Absent);
    let elsewhere = json!([{"id": 1, "phone": "+358401234567", "contact_list_id": 9}]);
    assert_eq!(found(&elsewhere, Some(1)), Verdict::Absent);
    let elsewhere = json!([{"id": 1, "phone": "+358401234567", "contact_list_id": {"id": 9}}]);
    assert_eq!(found(&elsewhere, Some(1)), Verdict::Absent);
    // Seven digits are neither ours for certain nor certainly another's.
    let short = json!([{"id": 1, "phone": "1234567", "contact_list_id": 123}]);
    let verdict = found(&short, Some(1));
    assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}");
}

#[test]
fn our_number_on_a_list_that_nobody_can_tell_is_not_taken_for_ours() {
    for list in [json!(null), json!(""), json!("Web"), json!({}), json!({"name": "Web"}), json!([]), json!(["Web", 9])]
    {
        let contact = json!([{"id": 1, "phone": "+358401234567", "contact_list_id": list}]);
        let verdict = found(&contact, Some(1));
        let Verdict::AccountWrong { reason, remedy } = verdict else { panic!("{contact}: {verdict:?}") };
        assert!(remedy.contains("destinations.calls.list_parameter"), "{remedy}");
        assert!(!reason.contains("35840"), "{reason}");
    }
    let silent = found(&json!([{"id": 1, "phone": "+358401234567"}]), Some(1));
    assert!(matches!(silent, Verdict::AccountWrong { .. }), "{silent:?}");

    let by_name = REST.replace("contact_list_id = 123", "contact_list = \"Web\"\nlist_parameter = \"list\"");
    let look = |list: Value| {
        let body = json!([{"id": 456, "phone": "+358401234567", "list": list}]);
        built(&by_name).read(Asked::Find, &full(), &reply(200, &body.to_string())).unwrap()
    };
    for list in [json!("Web"), json!({"id": 123, "name": "Web"})] {
        assert!(matches!(look(list.clone()), Verdict::Accepted { already: true, .. }), "{list}");
    }
    for list in [json!(123), json!({"id": 123}), json!(null)] {
        assert!(matches!(look(list.clone()), Verdict::AccountWrong { .. }), "{list}");
    }
}

#[test]
fn a_look_whose_question_was_ignored_stops_the_destination_instead_of_taking_anybody_for_ours() {
    let others: Vec<Value> = (0..10).map(|n| json!({"id": n + 1, "phone": format!("+35840999000{n}")})).collect();
    for (contacts, count) in [
        (json!([{"id": 1}]), Some(1)),
        (json!([{"id": 1, "phone": null}, {"id": 2, "phone": "+358409999999"}]), Some(2)),
        (json!([{"id": 1, "phone": "+358409999999"}]), Some(5000)),
        (json!([{"id": 1, "phone": "+358409999999"}]), None),
        (json!(others), Some(10)),
        (json!([]), Some(3)),
    ] {
        let verdict = found(&contacts, count);
        let Verdict::AccountWrong { reason, remedy } = verdict else { panic!("{contacts}: {verdict:?}") };
        assert!(remedy.contains("destinations.calls.phone_parameter"), "{remedy}");
        assert!(!reason.contains("35840"), "{reason}");
    }
    for body in ["", "{}", "<html>", r#"{"collection": 7}"#, r#"{"collection": [{"id""#] {
        assert!(matches!(read(Asked::Find, 200, body), Some(Verdict::Unknown { .. })), "{body}");
    }
}

#[test]
fn a_404_is_an_answer_only_in_the_applications_own_words() {
    let absent = read(Asked::Find, 404, r#"{"message": "Contact not found"}"#);
    assert_eq!(absent, Some(Verdict::Absent));
    for body in [
        "",
        "<html>contact not found</html>",
        r#"{"message": "Not Found"}"#,
        r#"{"message": "Contact list not found"}"#,
    ] {
        let verdict = read(Asked::Find, 404, body);
        assert!(matches!(verdict, Some(Verdict::AccountWrong { .. })), "{body}: {verdict:?}");
    }
    assert!(matches!(read(Asked::Find, 400, r#"{"message": "bad phone"}"#), Some(Verdict::Unknown { .. })));
    for asked in [Asked::Create, Asked::Find] {
        let damaged = read(asked, 404, r#"{"message": "Contact not fou"#);
        assert!(matches!(damaged, Some(Verdict::Unknown { .. })), "{damaged:?}");
    }
}

#[test]
fn the_check_reads_one_page_and_tells_a_wrong_configuration_from_a_bad_moment() {
    let destination = built(REST);
    let request = asked(destination.check(&[]));
    assert_eq!(request.url.as_str(), "https://restapi-nor.leaddesk.com/stable/campaigns?per_page=1");
    let page = r#"{"_meta": {"count": 3}, "collection": [{"id": 1}]}"#;
    assert!(matches!(destination.check(&[reply(200, page)]), CheckStep::Passed(remarks) if remarks.is_empty()));
    for (status, body) in [(403, "{}"), (404, "{}"), (302, ""), (400, "{}"), (200, "<html>"), (200, "7")] {
        failed(destination.check(&[reply(status, body)]));
    }
    for (status, body) in [(401, ""), (408, ""), (429, ""), (500, ""), (503, "<html>"), (200, "{\"_me"), (200, "")] {
        let step = destination.check(&[reply(status, body)]);
        assert!(matches!(step, CheckStep::Unreadable), "{status} {body}: {step:?}");
    }
}

proptest! {
    #[test]
    fn any_reply_is_read_without_panic_and_only_a_success_is_taken(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..120),
            "[\\[{\"id:phone_metacollection0-9,}\\]]{0,60}".prop_map(String::into_bytes),
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
        let _ = (destination.check(std::slice::from_ref(&reply)), destination.is_about_another(&full(), &reply));
    }
}
