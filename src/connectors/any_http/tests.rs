use bytes::Bytes;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::auth::grant::With;
use crate::auth::{Account, Auth, Place};
use crate::config::{Environment, parse};
use crate::connectors::registry;

const PLAIN: &str = r#"
url = "https://api.example.com/v1/contacts"
body = '{"email": "{{ lead.email }}", "name": "{{ lead.first_name }} {{ lead.last_name }}"}'
remote_id = "/data/id"
"#;
const WITH_FIND: &str = r#"
url = "https://api.example.com/v1/contacts"
body = '{"email": "{{ lead.email }}"}'
find.url = "https://api.example.com/v1/contacts?email={{ lead.email }}"
find.found = "/items/*/email"
find.equals = "{{ lead.email }}"
find.remote_id = "/items/*/id"
find.absent_status = 404
"#;

fn settings(table: &str) -> Result<crate::config::DestinationSettings, String> {
    let text = format!("[destinations.crm]\nkind = \"http\"\n{}", table.trim_start());
    let mut settings = parse("leadsync.toml", &text, Environment::default()).map_err(|error| error.to_string())?;
    Ok(settings.destinations.remove("crm").unwrap())
}

fn destination(table: &str) -> AnyHttp {
    AnyHttp::new(&settings(table).unwrap().section).unwrap()
}

fn refused(table: &str) -> String {
    match settings(table) {
        Ok(settings) => match AnyHttp::new(&settings.section) {
            Ok(_) => panic!("accepted: {table}"),
            Err(error) => error.to_string(),
        },
        Err(error) => error,
    }
}

fn account(table: &str) -> Account {
    registry::account(&settings(&format!("{PLAIN}{table}")).unwrap()).unwrap()
}

fn ann() -> Prepared {
    let lead = Lead { email: "ann+x@acme.example".into(), first_name: Some("Ann \"A\"".into()), ..Lead::default() };
    Prepared { lead, ..Prepared::default() }
}

fn reply(status: u16, body: &str) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    Reply { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[test]
fn a_lead_becomes_the_json_that_is_configured_whatever_it_holds() {
    let request = destination(PLAIN).create(&ann()).unwrap();
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://api.example.com/v1/contacts"));
    // Without a last name the whole name is left out, as everywhere.
    assert_eq!(body(&request), json!({"email": "ann+x@acme.example"}));

    let nested = r#"
url = "https://api.example.com/lists/7/{{ lead.email }}"
method = "PUT"
headers.X-Version = "3"
body = '''{"first": "{{ lead.first_name }}", "owner": 12, "tags": ["a", "{{ lead.source }}"],
  "phones": [{"value": "{{ lead.phone }}", "label": "work"}], "emails": [{"value": "{{ lead.email }}", "primary": true}]}'''
"#;
    let request = destination(nested).create(&ann()).unwrap();
    assert_eq!(request.url.as_str(), "https://api.example.com/lists/7/ann%2Bx%40acme.example");
    assert_eq!((request.method.as_str(), &request.headers["x-version"]), ("PUT", &HeaderValue::from_static("3")));
    let expected = json!({
        "first": "Ann \"A\"", "owner": 12, "emails": [{"value": "ann+x@acme.example", "primary": true}],
    });
    // A list of which nothing was said is left out, constants or not.
    assert_eq!(body(&request), expected);
}

#[test]
fn no_lead_climbs_out_of_its_path() {
    let table = "url = \"https://api.example.com/people/{{ lead.external_id }}/contact\"\nbody = '{\"a\": 1}'\n";
    for up in ["..", ".", "", "a/../../b", "%2e%2e", "a?b#c"] {
        let mut prepared = ann();
        prepared.lead.external_id = Some(up.to_owned());
        match destination(table).create(&prepared) {
            Ok(request) => assert_eq!(request.url.path_segments().unwrap().count(), 3, "{}", request.url),
            Err(error) => assert_eq!(error.field, "url"),
        }
    }
}

#[test]
fn a_repeat_has_the_same_key_and_what_differs_another() {
    let with = format!("{PLAIN}idempotency_header = \"Idempotency-Key\"\n");
    let key = |destination: &AnyHttp, prepared: &Prepared| {
        destination.create(prepared).unwrap().headers["idempotency-key"].to_str().unwrap().to_owned()
    };
    let one = key(&destination(&with), &ann());
    assert_eq!(one, key(&destination(&with), &ann()));
    assert!(one.starts_with("leadsync-") && one.len() == 41 && !one.contains("ann"), "{one}");
    let mut other = ann();
    other.lead.email = "bob@acme.example".into();
    assert_ne!(one, key(&destination(&with), &other));
    assert_eq!(destination(&with).on_unknown(), UnknownPolicy::Retry);
    assert_eq!(destination(PLAIN).on_unknown(), UnknownPolicy::Hold);
    assert_eq!(destination(WITH_FIND).on_unknown(), UnknownPolicy::Find);
}

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
    assert!(matches!(read(&with_key, 409, under_way), Some(Verdict::Unknown { .. })), "it may be there a moment later");
    assert!(matches!(read(&with_key, 409, "{}"), Some(Verdict::Refused { .. })));
    assert!(matches!(read(PLAIN, 409, under_way), Some(Verdict::Refused { .. })), "nobody sent a key");
    // An empty text stands in every refusal; none is taken for words.
    for blank in ["\"\"", "\"  \"", "[\"\", \" \"]", "'[\"\"]'"] {
        let blank = format!("{PLAIN}duplicate.words = {blank}\n");
        assert!(matches!(read(&blank, 422, r#"{"message": "no"}"#), Some(Verdict::Refused { .. })), "{blank}");
    }
    assert!(matches!(read(PLAIN, 404, r#"{"message":"Not Found"}"#), Some(Verdict::AccountWrong { .. })));
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
        (405, r#"{"message": "method not allowed"}"#),
    ] {
        let verdict = read(status, body);
        let Some(Verdict::AccountWrong { remedy, .. }) = verdict else { panic!("{status} {body}: {verdict:?}") };
        assert_eq!(remedy, "check destinations.crm.find.url");
    }
    assert_eq!(read(500, "{}"), None);
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
fn each_way_of_logging_in_puts_its_secret_where_it_belongs() {
    let fixed = |table: &str| match account(table).auth() {
        Auth::Static { place, .. } => place.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(fixed("auth = { style = \"bearer\", key = \"k\" }"), Place::Bearer);
    let header = fixed("auth = { style = \"header\", key = \"k\", header = \"x-api-token\" }");
    assert_eq!(header, Place::Header(HeaderName::from_static("x-api-token")));
    let basic = fixed("auth = { style = \"basic\", username = \"ann\", password = \"p\" }");
    assert_eq!(basic, Place::Basic { username: "ann".into() });
    assert!(matches!(account("").auth(), Auth::None));

    let token = "token_url = \"https://login.example.com/token\", client_id = \"c\", client_secret = \"s\"";
    let form = |table: &str, with: With<'_>| {
        let account = account(table);
        let request = account.grant().unwrap().request(with, None);
        (request.headers.contains_key(AUTHORIZATION), String::from_utf8(request.body.to_vec()).unwrap())
    };
    let client = form(&format!("auth = {{ style = \"client_credentials\", scope = \"w\", {token} }}"), With::Login);
    assert_eq!(client, (true, "grant_type=client_credentials&scope=w".into()));
    let json = format!("auth = {{ style = \"client_credentials\", client = \"body\", encoding = \"json\", {token} }}");
    let expected = r#"{"client_id":"c","client_secret":"s","grant_type":"client_credentials"}"#;
    assert_eq!(form(&json, With::Login), (false, expected.into()));
    let chain = format!("auth = {{ style = \"refresh_token\", client = \"body\", refresh_token = \"r0\", {token} }}");
    let expected = "grant_type=refresh_token&refresh_token=r1&client_id=c&client_secret=s";
    assert_eq!(form(&chain, With::Refresh(&crate::secret::Secret::new("r1"))), (false, expected.into()));
    let person = format!("auth = {{ style = \"password\", username = \"ann\", password = \"p\", {token} }}");
    assert_eq!(form(&person, With::Login), (true, "grant_type=password&username=ann&password=p".into()));
}

#[test]
fn what_is_missing_is_named_by_its_key() {
    let missing = |table: &str| -> Vec<String> {
        registry::missing(&settings(table).unwrap()).into_iter().map(|missing| missing.key).collect()
    };
    assert_eq!(missing(""), ["destinations.crm.url", "destinations.crm.body"]);
    let style = |style: &str| missing(&format!("{PLAIN}auth.style = \"{style}\"\n"));
    assert_eq!(style("bearer"), ["destinations.crm.auth.key"]);
    assert_eq!(style("basic"), ["destinations.crm.auth.username", "destinations.crm.auth.password"]);
    let client = ["client_id", "client_secret", "token_url"].map(|key| format!("destinations.crm.auth.{key}"));
    assert_eq!(style("client_credentials"), client);
    assert_eq!(missing(&format!("{PLAIN}find.url = \"https://api.example.com/x\"\n")), ["destinations.crm.find.found"]);
    let both = ["destinations.crm.find.url", "destinations.crm.find.found"];
    for line in [
        "first = true",
        "method = \"POST\"",
        "body = '{}'",
        "equals = \"{{ lead.email }}\"",
        "remote_id = \"/id\"",
        "absent_status = 404",
    ] {
        assert_eq!(missing(&format!("{PLAIN}find.{line}\n")), both, "{line}");
        assert!(
            refused(&format!("{PLAIN}find.{line}\n")).starts_with("destinations.crm.find.url is not set"),
            "{line}"
        );
    }
    assert_eq!(missing(&format!("{PLAIN}find.found = \"/items\"\n")), both[..1]);
    assert_eq!(missing(&format!("{PLAIN}find = {{ first = false, method = \"GET\" }}\n")), [""; 0]);
}

#[test]
fn where_each_create_is_preceded_by_a_look_nobody_is_created_who_can_not_be_looked_for() {
    let url = "url = \"https://api.example.com/v1/contacts\"\nbody = '{\"email\": \"{{ lead.email }}\"}'\n";
    let by_url =
        "find.url = \"https://api.example.com/v1/contacts?phone={{ lead.phone }}\"\nfind.found = \"/items/*\"\n";
    let by_body = "find.url = \"https://api.example.com/v1/search\"\nfind.method = \"POST\"\n\
                   find.body = '{\"phone\": \"{{ lead.phone }}\", \"limit\": 1}'\nfind.found = \"/items/*\"\n";
    let by_answer = "find.url = \"https://api.example.com/v1/contacts?email={{ lead.email }}\"\n\
                     find.found = \"/items/*/phone\"\nfind.equals = \"{{ lead.phone }}\"\n";
    let mut with_phone = ann();
    with_phone.lead.phone = Some("+14155550100".into());
    for (find, key) in [(by_url, "url"), (by_body, "body"), (by_answer, "equals")] {
        let careful = destination(&format!("{url}{find}find.first = true\n"));
        let error = careful.create(&ann()).unwrap_err();
        assert_eq!(error.field, "find");
        assert!(error.reason.contains(&format!("`find.{key}`")) && error.reason.contains("this lead lacks"), "{error}");
        assert!(careful.find(&ann()).is_none());
        assert!(careful.create(&with_phone).is_ok() && careful.find(&with_phone).is_some(), "{key}");
        // Where a look only settles a doubt, the lead is created.
        let plain = destination(&format!("{url}{find}"));
        assert!(plain.create(&ann()).is_ok() && plain.find(&ann()).is_none(), "{key}");
    }
}

#[test]
fn what_can_not_be_used_is_found_before_the_first_lead() {
    let with = |line: &str| refused(&format!("body = '{{}}'\n{line}\n"));
    for address in [
        "http://api.example.com/x",
        "ftp://x/y",
        "https://{{ lead.email }}/x",
        "https://api.example.com{{ lead.email }}",
    ] {
        let said = with(&format!("url = \"{address}\""));
        assert!(said.contains("an https:// address with its host written out"), "{address}: {said}");
    }
    let plain = |line: &str| refused(&format!("url = \"https://api.example.com/x\"\n{line}\n"));
    let said = plain("body = '{\"a\": }'");
    assert!(said.contains("destinations.crm.body: found a text that is no JSON (its line 1, column 7)"), "{said}");
    let said = plain("body = '{\"a\": \"{{ person.titel }}\"}'");
    assert!(said.contains("did you mean `person.title`?"), "{said}");
    let said = plain("body = '{}'\nremote_id = \"data.id\"");
    assert!(said.contains("a JSON pointer, which begins with a slash"), "{said}");
    let said = plain("body = '{}'\nheaders.Authorization = \"Bearer x\"");
    assert!(said.contains("found `authorization`, expected another header"), "{said}");
    for seen in ["{{ person.id }}", "{{ person.work_email or lead.email }}", "{% set p = person %}{{ p.id }}"] {
        let said = plain(&format!("body = '{{}}'\nidentity = \"{seen}\""));
        assert!(
            said.contains("destinations.crm.identity: found `person`, expected a template over `lead.*`"),
            "{said}"
        );
    }
    let own = format!("{PLAIN}identity = \"{{{{ lead.custom_fields.person or lead.email }}}}\"\n");
    assert_eq!(destination(&own).identity(&ann().lead).unwrap(), "ann+x@acme.example");
    let said = plain("body = '{}'\nunknown = \"find\"");
    assert!(said.contains("found \"find\" without a way to find"), "{said}");
}

#[test]
fn the_account_check_is_one_harmless_question() {
    let with_check = format!("{PLAIN}check.url = \"https://api.example.com/v1/me\"\n");
    let check = |table: &str, replies: &[Reply]| destination(table).check(replies);
    assert!(matches!(check(PLAIN, &[]), CheckStep::Passed(_)));
    let CheckStep::Ask(request) = check(&with_check, &[]) else { panic!() };
    assert_eq!((request.method.as_str(), request.url.path()), ("GET", "/v1/me"));
    assert!(matches!(check(&with_check, &[reply(200, "{}")]), CheckStep::Passed(_)));
    assert!(matches!(check(&with_check, &[reply(200, "<html>")]), CheckStep::Failed { .. }));
    assert!(matches!(check(&with_check, &[reply(404, "{}")]), CheckStep::Failed { .. }));
    assert!(matches!(check(&with_check, &[reply(503, "{}")]), CheckStep::Unreadable));
}

proptest! {
    #[test]
    fn whatever_a_lead_holds_stays_in_its_place(text in "\\PC{1,40}", id in "\\PC{1,20}") {
        let lead = Lead {
            email: "a@b.example".into(), first_name: Some(text.clone()), external_id: Some(id), ..Lead::default()
        };
        let table = r#"
url = "https://api.example.com/people/{{ lead.external_id }}?name={{ lead.first_name }}&end=1"
body = '{"name": "{{ lead.first_name }}"}'
"#;
        let request = destination(table).create(&Prepared { lead, ..Prepared::default() });
        let Ok(request) = request else { return Ok(()) };
        prop_assert_eq!(request.url.host_str(), Some("api.example.com"));
        let segments: Vec<&str> = request.url.path_segments().unwrap().collect();
        prop_assert_eq!(segments.len(), 2);
        let pairs: Vec<_> = request.url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        prop_assert_eq!(pairs, ["name", "end"]);
        let body = body(&request);
        prop_assert_eq!(body["name"].as_str(), Some(text.trim()));
    }

    #[test]
    fn no_reply_makes_it_panic(status in 100u16..600, body in "\\PC{0,60}", pointer in "(/[a-z*0-9]{0,3}){0,3}") {
        let table = format!("{WITH_FIND}remote_id = \"{pointer}\"\nsuccess.pointer = \"{pointer}\"\n");
        let destination = destination(&table);
        for asked in [Asked::Create, Asked::Find, Asked::Complete] {
            let _ = destination.read(asked, &ann(), &reply(status, &body));
        }
    }
}
