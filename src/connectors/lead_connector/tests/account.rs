use super::*;

fn asked(step: CheckStep) -> Request {
    match step {
        CheckStep::Ask(request) => request,
        other => panic!("{other:?}"),
    }
}

fn failed(step: CheckStep) -> (String, String) {
    match step {
        CheckStep::Failed { reason, remedy } => (reason, remedy),
        other => panic!("{other:?}"),
    }
}

fn passed(step: CheckStep) -> Vec<String> {
    match step {
        CheckStep::Passed(lines) => lines,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_check_looks_for_nobody_and_changes_nothing() {
    let request = asked(plain().check(&[]));
    assert_eq!(request.method, Method::GET);
    assert!(
        request.url.as_str().contains(&format!("/contacts/search/duplicate?locationId={LOCATION}&email=leadsync-"))
    );
    for fine in [r#"{"contact": null}"#, r#"{"contacts": []}"#, r#"{"contact": {"id": "1"}}"#] {
        assert!(passed(plain().check(&[reply(200, fine)])).is_empty());
    }
    // What the vendor's document leaves open is told, and stops nobody.
    for open in ["", "{}", r#"{"traceId": "t-1"}"#] {
        assert!(passed(plain().check(&[reply(200, open)]))[0].starts_with("answers look-ups in a form"), "{open}");
    }
    let few = [("x-ratelimit-limit-daily", "200000"), ("x-ratelimit-daily-remaining", "90")];
    let mut answer = reply_with(200, &few);
    answer.body = Bytes::from_static(br#"{"contact": null}"#);
    assert_eq!(passed(plain().check(&[answer])), ["90 of 200000 calls are left today"]);
}

#[test]
fn what_is_wrong_is_told_before_the_first_lead() {
    let said = |status: u16, message: &str| {
        failed(plain().check(&[reply(status, json!({"statusCode": status, "message": message}).to_string())]))
    };
    assert!(said(403, "The token does not have access to this location.").1.contains("location_id"));
    assert!(said(400, "Location is not active").0.contains("not active"));
    assert!(said(401, "The token is not authorized for this scope.").1.contains("contacts.readonly"));
    assert!(said(404, "Cannot GET /v9/contacts/search/duplicate").1.contains("path_prefix"));
    assert!(said(422, "locationId must be a string").1.contains("location_id"));
    assert!(failed(plain().check(&[reply(200, "<html>login</html>")])).1.contains("base_url"));
    assert!(failed(plain().check(&[reply(200, r#"{"ok": true}"#)])).1.contains("base_url"));
    assert!(failed(plain().check(&[reply(302, "")])).1.contains("base_url"));
    for status in [401, 429, 500, 503] {
        assert!(matches!(plain().check(&[reply(status, "{}")]), CheckStep::Unreadable), "{status}");
    }
    assert!(matches!(plain().check(&[reply(200, r#"{"cont"#)]), CheckStep::Unreadable));
}

const AGENCY: &str =
    "client_id = \"6578278e879ad2646715ba9c-lq2xyz\"\nclient_secret = \"s\"\ncompany_id = \"tDtDnQdgm2LXpyiqYvZ6\"";

#[test]
fn after_an_agencys_login_its_locations_are_listed_page_by_page() {
    let agency = with(AGENCY);
    let first = asked(agency.after_login(&[]));
    assert_eq!(
        first.url.as_str(),
        "https://services.leadconnectorhq.com/oauth/installed-locations?companyId=tDtDnQdgm2LXpyiqYvZ6\
         &appId=6578278e879ad2646715ba9c&isInstalled=true&pageSize=100"
    );
    assert_eq!(first.headers["version"], "v3");
    let page = reply(200, INSTALLED);
    let second = asked(agency.after_login(std::slice::from_ref(&page)));
    assert!(second.url.as_str().ends_with("&pageSize=100&pageToken=eyJvZmZzZXQiOjIwfQ"), "{}", second.url);
    let last = |id: &str| {
        let items = json!([{"_id": id, "name": "Second\u{1b}[31m", "address": "x"}]);
        reply(200, json!({"items": items, "pagination": {"hasNextPage": false, "nextPageToken": null}}).to_string())
    };
    let lines = passed(agency.after_login(&[page.clone(), last(LOCATION)]));
    assert_eq!(lines[..2], ["0IHuJvc2ofPAAA8GzTRi  John Deo", "ve9EPM428h8vShlRW1KT  Second[31m"]);
    assert!(lines[2].contains("installed in 2 locations") && lines[2].ends_with("is one of them"), "{}", lines[2]);
    let lines = passed(agency.after_login(&[page, last("other")]));
    assert!(lines[2].contains("is not one of them: install it there"), "{}", lines[2]);
}

#[test]
fn the_dated_versions_page_by_counting() {
    let agency = with(&format!("{AGENCY}\napi_version = \"2021-07-28\""));
    let first = asked(agency.after_login(&[]));
    assert!(first.url.as_str().contains("/oauth/installedLocations?"), "{}", first.url);
    assert!(first.url.as_str().ends_with("&limit=100&skip=0"), "{}", first.url);
    let full: Vec<Value> = (0..100).map(|n| json!({"_id": n.to_string(), "name": "x"})).collect();
    let page = reply(200, json!({"locations": full, "count": 101}).to_string());
    assert!(asked(agency.after_login(std::slice::from_ref(&page))).url.as_str().ends_with("&limit=100&skip=100"));
    let rest = reply(200, json!({"locations": [{"_id": LOCATION, "name": "y"}], "count": 101}).to_string());
    let lines = passed(agency.after_login(&[page, rest]));
    assert!(lines.last().unwrap().contains("installed in 101 locations"));
}

#[test]
fn a_list_that_is_refused_is_told_and_a_server_without_end_is_left() {
    let agency = with(AGENCY);
    let refused = json!({"error": {"code": "RESOURCE_NOT_FOUND", "message": "The requested App 'abc' was not found."}});
    let (reason, remedy) = failed(agency.after_login(&[reply(404, refused.to_string())]));
    assert!(reason.contains("The requested App 'abc' was not found."), "{reason}");
    assert!(remedy.contains("oauth.readonly"), "{remedy}");
    let page = |next: usize| {
        let items = json!([{"_id": next.to_string(), "name": "x"}]);
        reply(200, json!({"items": items, "pagination": {"nextPageToken": next.to_string()}}).to_string())
    };
    let endless: Vec<Reply> = (0..50).map(page).collect();
    asked(agency.after_login(&endless[..49]));
    assert_eq!(passed(agency.after_login(&endless)).len(), 51);
    // One that names itself as the next is read once more, and no more.
    assert_eq!(passed(agency.after_login(&[page(1), page(2), page(2)])).len(), 4);
    // A location's own login is good for one location, which may be another than the configured one.
    assert!(asked(plain().after_login(&[])).url.path().ends_with("/contacts/search/duplicate"));
    let elsewhere = reply(403, r#"{"message": "The token does not have access to this location."}"#);
    assert!(failed(plain().after_login(&[elsewhere])).1.contains("destinations.crm.location_id"));
}
