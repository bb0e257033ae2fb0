use super::*;

#[test]
fn a_lead_is_found_by_what_is_equal_and_absent_only_if_the_answer_says_so() {
    let read = |status, body: &str| destination(WITH_FIND).read(Asked::Find, &ann(), &reply(status, body));
    let request = destination(WITH_FIND).find(&ann()).unwrap();
    assert_eq!(request.url.query(), Some("email=ann%2Bx%40acme.example"));
    let found = r#"{"items": [{"id": 1, "email": "ann@acme.example"}, {"id": 2, "email": "Ann+x@ACME.example"}]}"#;
    assert_eq!(read(200, found), Some(Verdict::Accepted { remote_id: Some("2".into()), already: true, note: None }));
    for absent in [r#"{"items": []}"#, r#"{"items": null}"#, r#"{"items": [{"id": 1, "email": "ann@acme.example"}]}"#] {
        assert_eq!(read(200, absent), Some(Verdict::Absent), "{absent}");
    }
    assert_eq!(read(404, r#"{"error": "not found"}"#), Some(Verdict::Absent));
    for unknown in [r#"{"error": "try later"}"#, "[]", "<html>", ""] {
        assert!(matches!(read(200, unknown), Some(Verdict::Unknown { .. })), "{unknown}");
    }
    assert!(matches!(read(410, r#"{"error": "not found"}"#), Some(Verdict::Unknown { .. })));
    for (status, body) in [
        (404, "<html>no such page</html>"),
        (404, r#"{"detail": "Not Found"}"#),
        (404, r#"{"message": "The route v1/contact could not be found."}"#),
        (404, r#"{"error": {"message": "Unrecognized request URL (GET: /v1/contact)."}}"#),
        (405, r#"{"message": "method not allowed"}"#),
    ] {
        let verdict = read(status, body);
        let Some(Verdict::AccountWrong { remedy, .. }) = verdict else { panic!("{status} {body}: {verdict:?}") };
        assert_eq!(remedy, "check destinations.crm.find.url");
    }
    // Phoenix and Flask say the same of an address and of a record.
    for either in
        [r#"{"errors": {"detail": "Not Found"}}"#, r#"{"message": "The requested URL was not found on the server."}"#]
    {
        let verdict = read(404, either);
        assert!(matches!(verdict, Some(Verdict::Unknown { .. })), "{either}: {verdict:?}");
    }
    for record in [r#"[{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]"#, "[]", "null"]
    {
        assert_eq!(read(404, record), Some(Verdict::Absent), "{record}");
    }
    let damaged = read(404, r#"{"status": 404, "code": "not_fou"#);
    assert!(matches!(damaged, Some(Verdict::Unknown { .. })), "{damaged:?}");
    assert_eq!(read(500, "{}"), None);
    for status in [204, 410] {
        let by_status = destination(&WITH_FIND.replace("404", &status.to_string()));
        let read = |body: &str| by_status.read(Asked::Find, &ann(), &reply(status, body));
        assert_eq!(read(if status == 204 { "" } else { r#"{"error": "gone"}"# }), Some(Verdict::Absent), "{status}");
        let damaged = read(r#"{"error": "go"#);
        assert_eq!(matches!(damaged, Some(Verdict::Unknown { .. })), status == 410, "{status}: {damaged:?}");
    }
}

#[test]
fn an_errors_body_never_proves_absence() {
    let deep = "/data/items/*/item/emails/*";
    for (found, body, is_absent) in [
        (deep, r#"{"data": {"items": []}}"#, true),
        (deep, r#"{"data": {"items": null}}"#, true),
        (deep, r#"{"data": {"items": [{"item": {"emails": ["bob@acme.example"]}}]}}"#, true),
        (deep, r#"{"data": null, "errors": [{"message": "try later"}]}"#, false),
        (deep, r#"{"data": {}}"#, false),
        (deep, r#"{"data": {"message": "try later"}}"#, false),
        (deep, r#"{"data": {"items": {}}}"#, false),
        (deep, r#"{"data": {"items": "none"}}"#, false),
        ("/data/contacts/*/email", r#"{"data": {"contacts": null}, "errors": [{"message": "timed out"}]}"#, false),
        ("/result/*", r#"{"result": null, "error": {"code": 1}, "id": 1}"#, false),
        ("/items/*/email", r#"{"items": [], "error": "index timed out"}"#, false),
        ("/items/*/email", r#"{"items": [], "errors": [], "error": false}"#, true),
        (deep, r#"{"data": [], "error": "try later"}"#, false),
        (deep, r#"{"data": {"items": [{"item": {}}, {"item": {"emails": null}}]}}"#, true),
        (deep, r#"{"data": {"items": [{"item": {"mails": ["bob@acme.example"]}}]}}"#, false),
        ("/items/*/email", r#"{"items": [{"id": 1}, {"id": 2, "email": null}]}"#, true),
        ("/items/*/email", r#"{"items": [{"id": 1, "mail": "ann@acme.example"}]}"#, false),
        ("/items/*/email", r#"{"items": ["ann@acme.example"]}"#, false),
        ("/items/*/email", r#"{"items": null}"#, true),
        ("/items/*/email", r#"{"items": false}"#, false),
        ("/*/email", "[]", true),
        ("/*/email", "null", false),
        ("/*/email", "{}", false),
        ("/items/0/email", r#"{"items": []}"#, true),
        ("/items/0/email", r#"{"items": null}"#, false),
        ("/0/items/*/email", r#"[{"items": []}]"#, true),
        ("/0/items/*/email", r#"[{"error": "try later"}]"#, false),
        ("/0/items/*/email", "[]", false),
        ("/data/email", r#"{"data": {}}"#, true),
        ("/data/email", r#"{"data": {"email": null}}"#, true),
        ("/data/email", r#"{"data": null}"#, false),
        ("/data/email", r#"{"data": "try later"}"#, false),
        ("/data/email", r#"{"error": "try later"}"#, false),
        ("/data/email", r#"{"data": {"mail": "ann@acme.example"}}"#, false),
        ("/data/1/email", r#"{"data": [{"email": "bob@acme.example"}]}"#, false),
        ("/data/0/email", r#"{"data": [{"email": "bob@acme.example"}]}"#, true),
        ("/data/1/email", r#"{"data": []}"#, true),
        ("/data/*", r#"{"data": [{"email": "ann@acme.example"}]}"#, false),
        ("/data/*", r#"{"data": ["bob@acme.example", ["x"]]}"#, false),
        ("/data/*", r#"{"data": ["bob@acme.example", null, "", {}, false]}"#, true),
        ("/email", r#"{"email": ""}"#, true),
        ("/email", r#"{"error": "try later"}"#, false),
    ] {
        let destination = destination(&WITH_FIND.replace("/items/*/email", found));
        let verdict = destination.read(Asked::Find, &ann(), &reply(200, body)).unwrap();
        assert_eq!(verdict == Verdict::Absent, is_absent, "{found} in {body}: {verdict:?}");
        assert!(is_absent || matches!(verdict, Verdict::Unknown { .. }), "{found} in {body}: {verdict:?}");
    }
}

#[test]
fn what_says_that_it_is_not_there_is_not_taken_for_the_lead() {
    let url = "url = \"https://api.example.com/c\"\nbody = '{\"email\": \"{{ lead.email }}\"}'\n";
    let table =
        format!("{url}find.url = \"https://api.example.com/c?email={{{{ lead.email }}}}\"\nfind.found = \"/hit\"\n");
    let destination = destination(&table);
    let read = |body: &str| destination.read(Asked::Find, &ann(), &reply(200, body)).unwrap();
    for absent in ["null", "false", "0", "0.0", "\"0\"", "\"false\"", "\"\"", "[]", "{}"] {
        assert_eq!(read(&format!("{{\"hit\": {absent}}}")), Verdict::Absent, "{absent}");
    }
    for there in ["true", "7", "\"a\"", "[0]", "{\"id\": 0}"] {
        let verdict = read(&format!("{{\"hit\": {there}}}"));
        assert!(matches!(verdict, Verdict::Accepted { already: true, .. }), "{there}: {verdict:?}");
    }
}

#[test]
fn an_answer_that_does_not_fit_says_where_and_what_to_do() {
    for (found, body, expected) in [
        ("/person/idd", r#"{"person": {"id": 1}}"#, "`/person` has no `idd`"),
        ("/items/*/mail", r#"{"items": [{"email": "ann@acme.example"}]}"#, "`/items/*` has no `mail`"),
        ("/itms/*/email", r#"{"items": []}"#, "the answer has no `itms`"),
        ("/a~1b/*", r#"{"a/b": {}}"#, "`/a~1b` is an object, no list"),
        ("/data/2/id", r#"{"data": [{"id": "x"}]}"#, "`/data` has no element 2, only 1"),
        ("/data/id", r#"{"data": [{"id": "x"}]}"#, "`/data` is a list, whose elements are `*` or a number"),
        (
            "/hit/id",
            r#"{"hit": null}"#,
            "`/hit` is null; if that says that it is not there, point to `/hit` without `find.equals`",
        ),
        ("/a/b/c", r#"{"a": null}"#, "`/a` is null"),
        (
            "/data/*",
            r#"{"data": [{"id": 1}]}"#,
            "what stands there is an object, which can't be compared with `find.equals`",
        ),
    ] {
        let destination = destination(&WITH_FIND.replace("/items/*/email", found));
        let verdict = destination.read(Asked::Find, &ann(), &reply(200, body));
        let expected = format!("200 with another answer than `find.found` is for: {expected}");
        assert_eq!(verdict, Some(Verdict::Unknown { why: expected }));
    }
    let error = r#"{"message": "try later"}"#;
    let verdict = destination(WITH_FIND).read(Asked::Find, &ann(), &reply(200, error));
    let Some(Verdict::Unknown { why }) = verdict else { panic!("{verdict:?}") };
    assert!(why.starts_with("200 (try later) with another answer"), "{why}");
}
