use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::http::message::Rate;
use crate::lead::{LookUp, Person};

fn settings() -> SevenTargetsSettings {
    SevenTargetsSettings {
        api_url: "https://api.7targets.com".parse().unwrap(),
        user_identifier: Some("user-1".into()),
        assistant_email: Some("Ashley@Acme.example".into()),
        assistant_id: None,
        schedule_name: None,
        schedule_id: None,
        unknown: UnknownPolicy::Find,
        already_exists: vec!["exist".into(), "duplicate".into()],
        fields: BTreeMap::new(),
        limits: Limits {
            rate: Some(Rate { count: 5, per: Duration::from_secs(1) }),
            daily_limit: Some(2000),
            concurrency: 8,
            timeout: Duration::from_secs(30),
            settle: Duration::from_secs(5),
        },
    }
}

fn with_fields(fields: &[(&str, &str)]) -> SevenTargetsSettings {
    let fields = fields.iter().map(|(key, text)| (key.to_string(), text.to_string())).collect();
    SevenTargetsSettings { fields, ..settings() }
}

fn destination(settings: &SevenTargetsSettings) -> SevenTargets {
    SevenTargets::new("7targets", settings).unwrap()
}

fn full() -> Prepared {
    Prepared {
        lead: Lead {
            email: "zoe@acme.example".into(),
            first_name: Some("Zoë".into()),
            last_name: Some("O'Néill".into()),
            phone: Some("+14155550100".into()),
            company: Some("Acme & Söhne".into()),
            job_title: Some("VP".into()),
            linkedin: Some("zoe".into()),
            source: Some("Webinar".into()),
            context: Some("AI Sales Assistant".into()),
            note: Some("met in Köln 😀".into()),
            custom_fields: BTreeMap::from([("budget".into(), "10k".into()), ("ämter".into(), "3".into())]),
            external_id: Some("x-1".into()),
        },
        looked_up: LookUp::Found {
            person: Box::new(Person {
                title: Some("VP Sales".into()),
                company: Some("Acme".into()),
                industry: Some("Software".into()),
                ..Person::default()
            }),
        },
        notes: Vec::new(),
    }
}

fn bare() -> Prepared {
    Prepared {
        lead: Lead { email: "ann@acme.example".into(), first_name: Some("Ann".into()), ..Lead::default() },
        ..Prepared::default()
    }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn created(settings: &SevenTargetsSettings, prepared: &Prepared) -> Value {
    body(&destination(settings).create(prepared).unwrap())
}

fn reply(status: u16, body: &[u8]) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body),
    }
}

fn read(asked: Asked, status: u16, body: &str) -> Option<Verdict> {
    destination(&settings()).read(asked, &bare(), &reply(status, body.as_bytes()))
}

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
fn create_sends_every_field_that_the_lead_has() {
    let request = destination(&settings()).create(&full()).unwrap();
    assert_eq!(format!("{request:?}"), "POST https://api.7targets.com/leads");
    assert_eq!(request.headers["7ts-user-identifier"], "user-1");
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(
        body(&request),
        json!({
            "name": "Zoë", "lastName": "O'Néill", "email": "zoe@acme.example", "phone": "+14155550100",
            "source": "Webinar", "context": "AI Sales Assistant", "additionalInformationLine": "met in Köln 😀",
            "assistantEmail": "Ashley@Acme.example",
            "customFields": [{"name": "budget", "value": "10k"}, {"name": "ämter", "value": "3"}],
        })
    );
}

#[test]
fn absent_fields_are_left_out_and_never_null() {
    let expected = json!({"name": "Ann", "email": "ann@acme.example", "assistantEmail": "Ashley@Acme.example"});
    assert_eq!(created(&settings(), &bare()), expected);
}

#[test]
fn schedule_and_assistant_go_as_configured() {
    let mut by_id = SevenTargetsSettings {
        assistant_email: None,
        assistant_id: Some(61),
        schedule_id: Some(9),
        schedule_name: Some("Fast".into()),
        user_identifier: None,
        ..settings()
    };
    let expected =
        json!({"name": "Ann", "email": "ann@acme.example", "assistantId": 61, "scheduleId": 9, "scheduleName": "Fast"});
    assert_eq!(created(&by_id, &bare()), expected);
    assert!(!destination(&by_id).create(&bare()).unwrap().headers.contains_key("7ts-user-identifier"));
    by_id.assistant_email = Some("a@b.example".into());
    let both = created(&by_id, &bare());
    assert_eq!(both["assistantEmail"], "a@b.example");
    assert_eq!(both.get("assistantId"), None);
}

#[test]
fn probe_sends_the_mandatory_fields_only() {
    let settings =
        SevenTargetsSettings { schedule_id: Some(9), ..with_fields(&[("industry", "{{ person.industry }}")]) };
    let request = destination(&settings).find(&full()).unwrap();
    assert_eq!(format!("{request:?}"), "PUT https://api.7targets.com/leads");
    assert_eq!(request.headers["7ts-user-identifier"], "user-1");
    let expected = json!({"name": "Zoë", "email": "zoe@acme.example", "assistantEmail": "Ashley@Acme.example"});
    assert_eq!(body(&request), expected);
}

#[test]
fn templates_fill_replace_and_leave_out() {
    let settings = with_fields(&[
        ("additionalInformationLine", "{{ person.title }} at {{ person.company }}"),
        ("company", "{{ lead.company }}"),
        ("designation", "{{ person.level }}"),
        ("industry", "{{ person.industry }}"),
        ("customFields.title", "{{ person.title }}"),
        ("customFields.budget", "{{ person.level }}"),
    ]);
    let body = created(&settings, &full());
    assert_eq!(body["additionalInformationLine"], "VP Sales at Acme");
    assert_eq!(body["company"], "Acme & Söhne");
    assert_eq!(body.get("designation"), None);
    assert_eq!(body["industry"], "Software");
    let custom = json!([{"name": "title", "value": "VP Sales"}, {"name": "ämter", "value": "3"}]);
    assert_eq!(body["customFields"], custom);
    let nothing = created(&settings, &bare());
    assert_eq!(nothing, json!({"name": "Ann", "email": "ann@acme.example", "assistantEmail": "Ashley@Acme.example"}));
}

#[test]
fn template_that_fails_on_a_lead_names_its_field() {
    let settings = with_fields(&[("context", "{{ lead.first_name | int if lead.note else 'x' }}")]);
    // Found when compiling already, since the sample lead has a note.
    assert!(matches!(SevenTargets::new("7targets", &settings), Err(BuildError::Template(_))));
    let settings = with_fields(&[("context", "{{ lead.first_name | int if lead.note == 'met in Köln 😀' else 'x' }}")]);
    let refused = destination(&settings).create(&full()).unwrap_err();
    assert_eq!(refused.field, "fields");
    assert!(refused.reason.contains("`context`") && !refused.reason.contains("Zoë"), "{}", refused.reason);
}

#[test]
fn lead_without_a_first_name_or_address_is_unsendable() {
    let destination = destination(&settings());
    let mut nameless = full();
    nameless.lead.first_name = None;
    assert_eq!(destination.create(&nameless).unwrap_err().field, "first_name");
    assert!(destination.find(&nameless).is_none());
    let mut mailless = full();
    mailless.lead.email = String::new();
    assert_eq!(destination.create(&mailless).unwrap_err().field, "email");
    assert_eq!(destination.identity(&mailless.lead).unwrap_err().field, "email");
    assert_eq!(destination.identity(&full().lead).unwrap(), "zoe@acme.example");
}

#[test]
fn settings_that_can_not_work_are_refused_by_key() {
    let nobody = SevenTargetsSettings { assistant_email: Some(" ".into()), ..settings() };
    let odd = SevenTargetsSettings { user_identifier: Some("a\nb".into()), ..settings() };
    for (settings, words) in [
        (nobody, "destinations.7targets.assistant_email is not set, nor is `destinations.7targets.assistant_id`"),
        (odd, "destinations.7targets.user_identifier: "),
        (with_fields(&[("aditionalInformationLine", "x")]), "`additionalInformationLine`?"),
        (with_fields(&[("email", "x")]), "no template can fill"),
        (with_fields(&[("assistantEmail", "x")]), "no template can fill"),
        (with_fields(&[("context", "{{ person.titel }}")]), "did you mean `person.title`?"),
        (with_fields(&[("context", "{{ person.title")]), "destinations.7targets.fields.context: line 1"),
    ] {
        let error = SevenTargets::new("7targets", &settings).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn created_lead_is_accepted_with_its_number() {
    for status in [200, 201] {
        let verdict = read(Asked::Create, status, include_str!("fixtures/created.json")).unwrap();
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
    let verdict = read(Asked::Find, 200, include_str!("fixtures/created.json")).unwrap();
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

fn check(settings: &SevenTargetsSettings, replies: &[Reply]) -> CheckStep {
    destination(settings).check(replies)
}

fn page(from: i64, count: i64) -> Reply {
    let list: Vec<Value> =
        (from..from + count).map(|id| json!({"id": id, "emailid": format!("other{id}@acme.example")})).collect();
    reply(200, json!(list).to_string().as_bytes())
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
