use super::*;

fn check(settings: &SevenTargetsSettings, replies: &[Reply]) -> CheckStep {
    destination(settings).check(replies)
}

fn asks(step: &CheckStep) -> &str {
    match step {
        CheckStep::Ask(request) => request.url.as_str(),
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
fn check_asks_page_after_page_until_the_assistant_is_found() {
    let settings = settings();
    let step = check(&settings, &[]);
    assert_eq!(asks(&step), "https://api.7targets.com/leads/assistant?page=0&size=100");
    let CheckStep::Ask(request) = step else { panic!() };
    assert_eq!((request.method, request.headers["7ts-user-identifier"].to_str().unwrap()), (Method::GET, "user-1"));
    assert_eq!(asks(&check(&settings, &[page(1, 100)])), "https://api.7targets.com/leads/assistant?page=1&size=100");
    let found = reply(200, br#"[{"id":"x","emailid":null},{"id":61,"emailid":" ashley@ACME.example "}]"#);
    assert!(matches!(check(&settings, &[page(1, 100), found]), CheckStep::Passed(warnings) if warnings.is_empty()));
}

#[test]
fn check_compares_ids_where_an_id_is_configured_and_warns_without_identifier() {
    let settings =
        SevenTargetsSettings { assistant_email: None, assistant_id: Some(7), user_identifier: None, ..settings() };
    let CheckStep::Passed(warnings) = check(&settings, &[page(1, 10)]) else { panic!() };
    assert!(warnings[0].starts_with("destinations.7targets.user_identifier is not set"), "{warnings:?}");
}

#[test]
fn missing_assistant_fails_without_naming_other_people() {
    let settings = settings();
    for replies in [
        vec![page(1, 100), page(101, 10), reply(200, b"[]")],
        vec![page(1, 110), reply(400, b"{}")],
        // A server that ignores `page` repeats itself.
        vec![page(1, 110), page(1, 110)],
    ] {
        let (reason, remedy) = failed(check(&settings, &replies));
        assert!(reason.contains("110") && !reason.contains('@'), "{reason}");
        assert!(remedy.contains("destinations.7targets.assistant_email") && !remedy.contains('@'), "{remedy}");
    }
    let (reason, _) = failed(check(&settings, &[reply(200, b"[]")]));
    assert!(reason.contains("no assistant at all"), "{reason}");
}

#[test]
fn server_that_caps_its_pages_is_read_to_the_end() {
    let step = check(&settings(), &[page(1, 10)]);
    assert_eq!(asks(&step), "https://api.7targets.com/leads/assistant?page=1&size=100");
    let found = reply(200, br#"[{"id":61,"emailid":"ashley@acme.example"}]"#);
    assert!(matches!(check(&settings(), &[page(1, 10), found]), CheckStep::Passed(_)));
}

#[test]
fn check_ends_even_if_the_list_does_not() {
    let replies: Vec<Reply> = (0..50).map(|number| page(number * 100, 100)).collect();
    let (reason, _) = failed(check(&settings(), &replies));
    assert!(reason.contains("5000"), "{reason}");
}

#[test]
fn check_tells_a_wrong_configuration_from_a_bad_moment() {
    for (status, body) in
        [(403, "{}"), (404, "<html>"), (302, ""), (400, "{}"), (200, "<html>"), (200, r#"{"error":"x"}"#)]
    {
        failed(check(&settings(), &[reply(status, body.as_bytes())]));
    }
    for (status, body) in [(401, ""), (429, ""), (500, ""), (503, "<html>"), (200, "[{\"id\":"), (200, "")] {
        let step = check(&settings(), &[reply(status, body.as_bytes())]);
        assert!(matches!(step, CheckStep::Unreadable), "{status} {body} {step:?}");
    }
}
