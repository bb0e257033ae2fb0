use super::*;

#[test]
fn a_create_is_read_as_configured() {
    let read = |table: &str, status, body: &str| destination(table).read(Asked::Create, &ann(), &reply(status, body));
    let accepted = |id: &str| Some(Verdict::Accepted { remote_id: Some(id.to_owned()), already: false, note: None });
    assert_eq!(read(PLAIN, 201, r#"{"data": {"id": 7}}"#), accepted("7"));
    for unreadable in ["", "{}", r#"{"data": {"id": nul"#, "<html>log in</html>"] {
        assert!(matches!(read(PLAIN, 200, unreadable), Some(Verdict::Unknown { .. })), "{unreadable}");
    }
    let by_body =
        format!("{PLAIN}success.pointer = \"/ok\"\nduplicate.words = [\"exists\"]\nduplicate.remote_id = \"/id\"\n");
    assert_eq!(read(&by_body, 200, r#"{"ok": true, "data": {"id": "a1"}}"#), accepted("a1"));
    let said = r#"{"ok": false, "message": "no such list"}"#;
    assert_eq!(read(&by_body, 200, said), Some(Verdict::Refused { field: None, reason: "200: no such list".into() }));
    let there = Some(Verdict::Accepted { remote_id: Some("9".into()), already: true, note: None });
    assert_eq!(read(&by_body, 200, r#"{"ok": false, "message": "it Exists", "id": 9}"#), there);
    assert_eq!(read(&by_body, 422, r#"{"message": "it exists", "id": 9}"#), there);
    let by_status = format!("{PLAIN}duplicate.status = 409\n");
    assert!(matches!(read(&by_status, 409, "{}"), Some(Verdict::Accepted { already: true, .. })));
    assert!(matches!(read(PLAIN, 409, "{}"), Some(Verdict::Refused { .. })));
    let under_way = r#"{"title": "A request is outstanding for this Idempotency-Key"}"#;
    let with_key = format!("{PLAIN}idempotency_header = \"Idempotency-Key\"\n");
    for words in [under_way, r#"{"code": "processing", "title": "still processing"}"#, "{}", ""] {
        let verdict = read(&with_key, 409, words);
        assert!(
            matches!(verdict, Some(Verdict::Unknown { .. })),
            "it may be there a moment later: {words}: {verdict:?}"
        );
    }
    let with_key = format!("{with_key}duplicate.status = 409\n");
    assert!(matches!(read(&with_key, 409, "{}"), Some(Verdict::Accepted { already: true, .. })));
    assert!(matches!(read(PLAIN, 409, under_way), Some(Verdict::Refused { .. })), "nobody sent a key");
    // An empty text stands in every refusal; none is taken for words.
    for blank in ["\"\"", "\"  \"", "[\"\", \" \"]"] {
        let blank = format!("{PLAIN}duplicate.words = {blank}\n");
        assert!(matches!(read(&blank, 422, r#"{"message": "no"}"#), Some(Verdict::Refused { .. })), "{blank}");
    }
    assert!(matches!(read(PLAIN, 404, r#"{"message":"Not Found"}"#), Some(Verdict::AccountWrong { .. })));
    // Where a lead has a part in the address, what was cut short may have told of either.
    let templated = PLAIN.replace("/contacts\"", "/contacts/{{ lead.first_name }}\"");
    for status in [404, 405, 410] {
        let damaged = |table: &str| read(table, status, r#"{"status": 404, "code": "not_fou"#);
        assert!(matches!(damaged(&templated), Some(Verdict::Unknown { .. })), "{status}: {:?}", damaged(&templated));
        assert!(matches!(damaged(PLAIN), Some(Verdict::AccountWrong { .. })), "{status}: {:?}", damaged(PLAIN));
    }
    for left_to_the_status in [401, 402, 403, 408, 429, 500, 503] {
        assert_eq!(read(PLAIN, left_to_the_status, "{}"), None, "{left_to_the_status}");
    }
}

#[test]
fn an_address_that_is_the_same_for_all_is_wrong_for_all() {
    let one = destination(PLAIN);
    let each = destination(&PLAIN.replace("v1/contacts", "v1/{{ lead.source }}/contacts"));
    let by_words = destination(&format!("{PLAIN}duplicate.words = [\"there already\"]\n"));
    let gone = r#"{"message": "this list was deleted"}"#;
    for status in [404, 405, 410] {
        let verdict = one.read(Asked::Create, &ann(), &reply(status, gone));
        let Some(Verdict::AccountWrong { reason, remedy }) = verdict else { panic!("{status}: {verdict:?}") };
        let expected = format!("there is nothing to create leads at ({status}: this list was deleted)");
        assert_eq!((reason, remedy.as_str()), (expected, "check destinations.crm.url"));
        let verdict = each.read(Asked::Create, &ann(), &reply(status, gone));
        assert!(matches!(verdict, Some(Verdict::Refused { .. })), "{status}: {verdict:?}");
        let verdict = by_words.read(Asked::Create, &ann(), &reply(status, r#"{"message": "there already"}"#));
        assert!(matches!(verdict, Some(Verdict::Accepted { already: true, .. })), "{status}: {verdict:?}");
    }
    let routing = each.read(Asked::Create, &ann(), &reply(404, r#"{"message": "Not Found"}"#));
    assert!(matches!(routing, Some(Verdict::AccountWrong { .. })), "{routing:?}");
}

#[test]
fn a_success_that_does_not_say_whether_it_is_one_is_unknown_and_one_that_says_no_is_looked_for() {
    let by_body = "success.pointer = \"/result/ok\"\nduplicate.words = [\"exists\"]\n";
    let with_find = destination(&format!("{WITH_FIND}{by_body}"));
    let without = destination(&format!("{PLAIN}{by_body}"));
    let with_equals = destination(&format!("{PLAIN}success.pointer = \"/result/ok\"\nsuccess.equals = \"yes\"\n"));
    let read = |destination: &AnyHttp, body: &str| destination.read(Asked::Create, &ann(), &reply(200, body)).unwrap();
    for silent in [
        "{}",
        "[]",
        r#"{"result": null}"#,
        r#"{"result": {}}"#,
        r#"{"result": {"ok": null}}"#,
        r#"{"result": {"ok": ""}}"#,
        r#"{"error": "internal"}"#,
        r#"{"status": "queued"}"#,
    ] {
        for destination in [&with_find, &without, &with_equals] {
            let verdict = read(destination, silent);
            assert!(matches!(verdict, Verdict::Unknown { .. }), "{silent}: {verdict:?}");
        }
    }
    let no = r#"{"result": {"ok": false}, "message": "no such list"}"#;
    let reason = || "200: no such list".to_owned();
    assert_eq!(read(&with_find, no), Verdict::RefusedUnlessThere { field: None, reason: reason() });
    assert_eq!(read(&without, no), Verdict::Refused { field: None, reason: reason() });
    assert_eq!(read(&with_equals, no), Verdict::Refused { field: None, reason: reason() });
    for there in [r#"{"result": {"ok": false}, "message": "it exists"}"#, r#"{"message": "it exists"}"#] {
        assert!(matches!(read(&with_find, there), Verdict::Accepted { already: true, .. }), "{there}");
    }
}

#[test]
fn a_refusal_that_quotes_the_lead_is_no_duplicate_for_what_the_lead_is_called() {
    let destination = destination(&format!("{PLAIN}duplicate.words = [\"Exists\", \"on file\"]\n"));
    let lead = Lead {
        email: "exists.now@acme.example".into(),
        company: Some("Exists Ltd".into()),
        note: Some("we have her on file since spring".into()),
        ..Lead::default()
    };
    let person = crate::lead::Person { title: Some("On File Clerk".into()), ..Default::default() };
    let about =
        Prepared { lead, looked_up: crate::lead::LookUp::Found { person: Box::new(person) }, ..Prepared::default() };
    for (message, is_there) in [
        ("exists.now@acme.example is not valid", false),
        ("company EXISTS LTD is not allowed", false),
        ("note is too long: we have her on file since spring", false),
        ("title on file clerk is unknown", false),
        ("exists.now@acme.example is not valid, though it exists", true),
        ("Exists Ltd is on file", true),
    ] {
        let verdict = destination.read(Asked::Create, &about, &reply(422, &json!({ "message": message }).to_string()));
        let is_accepted = matches!(verdict, Some(Verdict::Accepted { already: true, .. }));
        assert_eq!(is_accepted, is_there, "{message}: {verdict:?}");
    }
}

#[test]
fn the_last_call_that_is_left_pauses_the_account() {
    let said = |status: u16, headers: &[(&'static str, &str)]| {
        let named = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let reply = Reply { headers: headers.iter().map(named).collect(), ..reply(status, "{}") };
        destination(PLAIN).limit_said(&reply)
    };
    let left = |left| [("x-ratelimit-remaining", left), ("x-ratelimit-reset", "30")];
    let (wait, why) = said(201, &left("0")).unwrap();
    assert_eq!(wait, Duration::from_secs(30));
    assert_eq!(why, "that was the last call for 30 s, by the API's own count");
    assert_eq!(said(201, &left("1")), None);
    assert!(said(429, &left("0")).is_some(), "also where nothing else says how long");
    let [remaining, reset] = left("0");
    assert_eq!(said(429, &[remaining, reset, ("retry-after", "2")]), None, "`Retry-After` is obeyed as it is");
    assert!(said(201, &[("ratelimit", "\"default\";r=0;t=3")]).is_some());
    // Minutes, or a minute in milliseconds: the next reply will tell, if it is so.
    for (status, reset, waits) in
        [(201, "600", false), (201, "60000", false), (429, "600", true), (429, "60000", false)]
    {
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)];
        assert_eq!(said(status, &headers).is_some(), waits, "{status} {reset}");
    }
}

proptest! {
    #[test]
    fn no_reply_makes_it_panic(status in 100u16..600, body in "\\PC{0,60}", pointer in "(/[a-z*0-9]{0,3}){0,3}") {
        let table = format!("{WITH_FIND}remote_id = \"{pointer}\"\nsuccess.pointer = \"{pointer}\"\n");
        let destination = destination(&table);
        for asked in [Asked::Create, Asked::Find, Asked::Complete] {
            let _ = destination.read(asked, &ann(), &reply(status, &body));
        }
    }
}
