use super::*;

fn read(asked: Asked, status: u16, body: impl AsRef<[u8]>) -> Option<Verdict> {
    plain().read(asked, &rosan(), &reply(status, body))
}

fn create(status: u16, body: impl AsRef<[u8]>) -> Verdict {
    read(Asked::Create, status, body).expect("left to the status")
}

fn accepted(remote_id: &str, already: bool, note: Option<&str>) -> Verdict {
    Verdict::Accepted { remote_id: Some(remote_id.into()), already, note: note.map(str::to_owned) }
}

/// The fixture with some of it exchanged.
fn upserted(change: impl FnOnce(&mut Value)) -> String {
    let mut body: Value = serde_json::from_slice(UPSERTED).unwrap();
    change(&mut body);
    body.to_string()
}

#[test]
fn a_success_is_one_only_with_the_contacts_id() {
    assert_eq!(create(200, UPSERTED), accepted("seD4PfOuKoVMLkEZqohJ", false, None));
    assert_eq!(create(201, UPSERTED), accepted("seD4PfOuKoVMLkEZqohJ", false, None));
    let short = String::from_utf8(UPSERTED_SHORT.to_vec()).unwrap().replace("rubika", "rosan");
    assert_eq!(create(200, short), accepted("seD4PfOuKoVMLkEZqohJ", false, None));
    for unreadable in
        ["", "{}", "<html>", r#"{"new": true}"#, r#"{"contact": {"id": ""}}"#, r#"{"contact": {"id": 7}}"#]
    {
        assert!(matches!(create(200, unreadable), Verdict::Unknown { .. }), "{unreadable}");
    }
    let without = r#"{"new": true, "contact": {}, "traceId": "abc123trace"}"#;
    assert_eq!(
        create(200, without).to_string(),
        "unknown: LeadConnector answered without the contact's id (200 OK: a reply without a message (trace abc123trace))"
    );
}

#[test]
fn an_upsert_that_updated_says_so() {
    let updated = upserted(|body| body["new"] = json!(false));
    assert_eq!(create(200, updated), accepted("seD4PfOuKoVMLkEZqohJ", true, Some("updated")));
}

#[test]
fn fields_that_were_not_kept_are_named_and_their_values_are_not() {
    let lines = "token = \"t\"\n[destinations.crm.fields]\ngender = \"{{ lead.note }}\"\ndateOfBirth = \"09/25/1990\"\n\
                 website = \"tesla.com\"\ncountry = \"{{ person.country_code }}\"\n\"customFields.6dvNaf7VhkQ9snc5vnjJ\" = \"my text\"\n\
                 \"customFields.budget\" = \"{{ lead.custom_fields.Budget }}\"";
    let note = |body: String| match with(lines).read(Asked::Create, &rosan(), &reply(200, body)) {
        Some(Verdict::Accepted { note, .. }) => note.unwrap_or_default(),
        other => panic!("{other:?}"),
    };
    let same = |body: &mut Value| {
        let contact = &mut body["contact"];
        contact["gender"] = json!("met in Köln");
        contact["website"] = json!("https://tesla.com/");
        contact["customFields"] =
            json!([{"id": "6dvNaf7VhkQ9snc5vnjJ", "value": "My Text"}, {"id": "x", "value": ["10k"]}]);
    };
    assert_eq!(note(upserted(same)), "");
    let some = upserted(|body| {
        same(body);
        let contact = body["contact"].as_object_mut().unwrap();
        contact.remove("gender");
        contact["phone"] = Value::Null;
        contact["source"] = json!("another");
        contact["customFields"] = json!([]);
        body["new"] = json!(false);
    });
    assert_eq!(
        note(some),
        "updated; the destination did not keep: customFields.6dvNaf7VhkQ9snc5vnjJ, customFields.budget, gender, phone, source"
    );
    // Nothing is concluded from a reply that only says who it is.
    assert_eq!(note(String::from_utf8(UPSERTED_SHORT.to_vec()).unwrap().replace("rubika", "rosan")), "");
}

#[test]
fn a_contact_that_was_found_by_phone_is_ours_although_its_email_is_another() {
    let by_phone = upserted(|body| {
        body["new"] = json!(false);
        body["contact"]["email"] = json!("other@deos.com");
        body["contact"]["emailLowerCase"] = json!("other@deos.com");
    });
    let expected = accepted("seD4PfOuKoVMLkEZqohJ", true, Some("updated; the destination did not keep: email"));
    assert_eq!(create(200, &by_phone), expected);
    assert!(!plain().is_about_another(&rosan(), &reply(200, &by_phone)));
}

#[test]
fn a_reply_about_another_lead_is_noticed() {
    let other = |change: fn(&mut Value)| plain().is_about_another(&rosan(), &reply(200, upserted(change)));
    let set = |body: &mut Value, name: &str, value: Value| body["contact"][name] = value;
    assert!(!other(|_| {}));
    assert!(!other(|body| body["contact"]["email"] = json!(" Rosan@DEOS.com ")));
    assert!(other(|body| {
        body["contact"]["email"] = json!("zoe@acme.example");
        body["contact"]["emailLowerCase"] = json!("zoe@acme.example");
        body["contact"]["phone"] = json!("+14155550100");
    }));
    assert!(other(|body| body["contact"]["locationId"] = json!("another")));
    // The lead's address is one of several.
    assert!(!other(|body| {
        body["contact"]["email"] = json!("main@deos.com");
        body["contact"]["emailLowerCase"] = json!("main@deos.com");
        body["contact"]["phone"] = Value::Null;
        body["contact"]["additionalEmails"] = json!([{"email": "rosan@deos.com"}]);
    }));
    // No e-mail at all, and another phone.
    assert!(other(|body| {
        for name in ["email", "emailLowerCase"] {
            body["contact"][name] = Value::Null;
        }
        body["contact"]["phone"] = json!("+14155550100");
    }));
    let mut silent: Value = serde_json::from_slice(UPSERTED).unwrap();
    for name in ["email", "emailLowerCase", "phone"] {
        set(&mut silent, name, Value::Null);
    }
    for body in [silent.to_string(), "{}".into(), "[]".into(), r#"{"contact": null}"#.into()] {
        assert!(!plain().is_about_another(&rosan(), &reply(200, body)));
    }
    // Another address, and this lead has no phone that would explain it.
    assert!(plain().is_about_another(&only_email(), &reply(200, UPSERTED)));
    let found = r#"{"contacts": [{"id": "1", "email": "ann@acme.example"}]}"#;
    assert!(!plain().is_about_another(&only_email(), &reply(200, found)));
}

#[test]
fn a_duplicate_that_the_location_does_not_allow_is_there_already() {
    let expected =
        accepted("seD4PfOuKoVMLkEZqohJ", true, Some("this location allows no second contact, so nothing was changed"));
    assert_eq!(create(400, DUPLICATE), expected);
    assert!(!plain().is_about_another(&rosan(), &reply(400, DUPLICATE)));
    let refused = create(400, r#"{"statusCode": 400, "message": "Bad Request", "traceId": "t-1"}"#);
    assert_eq!(refused.to_string(), "refused: 400 Bad Request: Bad Request (trace t-1)");
}

#[test]
fn a_422_may_have_created_it_all_the_same() {
    let one =
        json!({"statusCode": 422, "message": ["property gendr should not exist"], "error": "Unprocessable Entity"});
    assert_eq!(
        create(422, one.to_string()),
        Verdict::RefusedUnlessThere {
            field: Some("gendr".into()),
            reason: "422 Unprocessable Entity: property gendr should not exist; Unprocessable Entity".into()
        }
    );
    let several = json!({"message": ["email must be an email", "phone must be a string"]}).to_string();
    let text = json!({"message": "email must be an email"}).to_string();
    let field = |body: &str| match create(422, body) {
        Verdict::RefusedUnlessThere { field, .. } => field,
        other => panic!("{other:?}"),
    };
    assert_eq!((field(&several), field(&text), field("")), (None, Some("email".into()), None));
}

#[test]
fn a_contact_that_was_there_before_a_refused_upsert_does_not_show_what_was_sent() {
    let about = |messages: Value| reply(422, json!({"statusCode": 422, "message": messages}).to_string());
    let shows = |refusal: &Reply, contact: &Value| {
        plain().shows(&rosan(), refusal, &reply(200, json!({ "contact": contact }).to_string()))
    };
    let company = about(json!(["companyName must be a string", "companyName should not be empty"]));
    let source = about(json!("source must be a string"));
    let wordless = about(json!(["source must be a string", "Unprocessable"]));
    let mut contact = serde_json::from_slice::<Value>(UPSERTED).unwrap()["contact"].take();
    for refusal in [&company, &source, &wordless] {
        assert_eq!(shows(refusal, &contact), Shows::Sent);
    }
    // Created without what was refused; or lacking something else, which proves neither.
    contact["companyName"] = Value::Null;
    assert_eq!(shows(&company, &contact), Shows::Sent);
    assert_eq!((shows(&source, &contact), shows(&wordless, &contact)), (Shows::Unclear, Shows::Unclear));
    // Somebody else's company: it was there before.
    contact["companyName"] = json!("Another");
    assert_eq!(shows(&company, &contact), Shows::Sent);
    assert_eq!((shows(&source, &contact), shows(&wordless, &contact)), (Shows::Another, Shows::Unclear));
    // It says only who it is: nothing can be compared.
    assert_eq!(shows(&source, &json!({"id": "1", "email": "rosan@deos.com"})), Shows::Sent);
    let custom = about(json!(["customFields.0.fieldValue must be a string"]));
    assert_eq!(verdict::fields_in(&custom), ["customFields"]);
}

#[test]
fn what_is_wrong_with_the_account_is_no_leads_fault() {
    let wrong = |status: u16, message: &str| {
        let body = json!({"statusCode": status, "message": message}).to_string();
        for asked in [Asked::Create, Asked::Find, Asked::Complete] {
            assert!(matches!(read(asked, status, &body), Some(Verdict::AccountWrong { .. })), "{asked:?} {message}");
        }
        match create(status, &body) {
            Verdict::AccountWrong { reason, remedy } => (reason, remedy),
            other => panic!("{other:?}"),
        }
    };
    let (reason, remedy) = wrong(403, "The token does not have access to this location.");
    assert!(reason.starts_with("the token is not one of this location's (403 Forbidden"), "{reason}");
    assert!(remedy.contains("destinations.crm.location_id"), "{remedy}");
    let (reason, remedy) = wrong(400, "Location is not active");
    assert!(reason.starts_with("the location is not active"), "{reason}");
    assert!(remedy.contains("reactivated") && remedy.contains("stored login stays good"), "{remedy}");
    let (_, remedy) = wrong(401, "The token is not authorized for this scope.");
    assert!(remedy.contains("contacts.readonly and contacts.write"), "{remedy}");
    wrong(403, "You do not have permission to access this resource");
    // A 401 without such words is what expired tokens get.
    for message in ["Invalid token: access token is invalid", "Invalid JWT"] {
        assert_eq!(create(401, json!({"message": message}).to_string()), Verdict::AuthExpired);
    }
}

#[test]
fn a_wrong_address_is_told_from_a_contact_that_is_gone() {
    let routing = r#"{"statusCode":404,"message":"Cannot POST /contacts/upsert","error":"Not Found"}"#;
    let Verdict::AccountWrong { remedy, .. } = create(404, routing) else { panic!() };
    assert!(remedy.contains("base_url") && remedy.contains("path_prefix"), "{remedy}");
    let gone = r#"{"statusCode":404,"message":"Contact not found"}"#;
    assert_eq!(read(Asked::Create, 404, gone), None);
    assert_eq!(read(Asked::Complete, 404, gone), None);
    assert_eq!(read(Asked::Create, 302, ""), None);
    for asked in [Asked::Create, Asked::Find, Asked::Complete] {
        let damaged = read(asked, 404, r#"{"status": 404, "code": "not_fou"#);
        assert!(matches!(damaged, Some(Verdict::Unknown { .. })), "{asked:?}: {damaged:?}");
    }
}

#[test]
fn only_a_clear_nobody_is_absent() {
    let find = |status, body: &str| read(Asked::Find, status, body).unwrap();
    for nobody in [r#"{"contact": null}"#, r#"{"contacts": []}"#, r#"{"contact": null, "traceId": "t"}"#] {
        assert_eq!(find(200, nobody), Verdict::Absent, "{nobody}");
    }
    let there = accepted("1", true, Some("confirmed by look-up"));
    for body in [
        r#"{"contact": {"id": "1", "email": "rosan@deos.com"}}"#,
        r#"{"contacts": [{"id": "1"}]}"#,
        r#"{"contact": null, "contacts": [{"id": "1"}]}"#,
    ] {
        assert_eq!(find(200, body), there, "{body}");
    }
    for unclear in
        ["", "{}", "null", "[]", "<html>", r#"{"contact": {}}"#, r#"{"contact": "x"}"#, r#"{"contacts": [{}]}"#]
    {
        assert!(matches!(find(200, unclear), Verdict::Unknown { .. }), "{unclear}");
    }
    for status in [400, 404, 422] {
        let refused = find(status, r#"{"statusCode": 404, "message": "Contact not found"}"#);
        assert!(matches!(refused, Verdict::Unknown { .. }), "{status}: {refused}");
    }
}

#[test]
fn a_failure_of_the_server_is_unknown_and_names_its_trace() {
    let body = r#"{"statusCode": 503, "message": "busy", "traceId": "4f1c"}"#;
    for asked in [Asked::Create, Asked::Find, Asked::Complete] {
        let verdict = read(asked, 503, body).unwrap();
        assert_eq!(verdict.to_string(), "unknown: 503 Service Unavailable: busy (trace 4f1c)");
    }
    let hostile = json!({"message": "busy", "traceId": "rosan@deos.com <script>"}).to_string();
    assert_eq!(create(500, hostile).to_string(), "unknown: 500 Internal Server Error: busy");
}

#[test]
fn tags_that_were_added_need_no_verdict_of_ours() {
    assert_eq!(read(Asked::Complete, 201, r#"{"tags": ["a"]}"#), None);
    assert_eq!(read(Asked::Complete, 422, r#"{"message": ["tags must be an array"]}"#), None);
}
