use bytes::Bytes;
use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::lead::Person;

fn settings(match_on: &[&str]) -> LiveDataSettings {
    LiveDataSettings {
        identity_url: "https://gotlivedata.io/api/identity/v1".parse().unwrap(),
        people_url: "https://gotlivedata.io/api/people/v1".parse().unwrap(),
        organization: Some("o_123abc".into()),
        client_id: None,
        client_secret: None,
        api_key: None,
        username: None,
        password: None,
        match_on: match_on.iter().map(ToString::to_string).collect(),
        batch_size: 100,
        rate: None,
        concurrency: 2,
        timeout: Duration::from_secs(30),
    }
}

fn service(match_on: &[&str]) -> LiveData {
    LiveData::new(&settings(match_on), "o_123abc").unwrap()
}

fn lead() -> Lead {
    Lead {
        email: "zoë@acme.com".into(),
        first_name: Some("Zoë".into()),
        last_name: Some("O'Néill".into()),
        company: Some("Acme".into()),
        job_title: Some("VP".into()),
        linkedin: Some("zoe".into()),
        ..Lead::default()
    }
}

fn reply(status: u16, headers: &[(&'static str, &'static str)], body: &[u8]) -> Reply {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_static(value));
    }
    Reply { status: StatusCode::from_u16(status).unwrap(), headers: map, body: Bytes::copy_from_slice(body) }
}

fn read(asked: usize, status: u16, body: &str) -> LookUpVerdict {
    service(&["email_address"]).read(asked, &reply(status, &[], body.as_bytes()))
}

fn answers(verdict: LookUpVerdict) -> Vec<LookUp> {
    match verdict {
        LookUpVerdict::Answers { answers, .. } => answers,
        other => panic!("{other:?}"),
    }
}

fn only_person(body: &str) -> Person {
    match answers(read(1, 200, body)).remove(0) {
        LookUp::Found { person } => *person,
        other => panic!("{other:?}"),
    }
}

#[test]
fn question_names_every_configured_field_that_the_lead_has() {
    let all = ["title", "company.domain", "company.name", "name", "linkedin", "email_address"];
    let bare = Lead { email: "bob@gmail.com".into(), first_name: Some("Bob".into()), ..Lead::default() };
    let request = service(&all).lookup(&[&lead(), &bare]);
    assert_eq!(format!("{request:?}"), "POST https://gotlivedata.io/api/people/v1/o_123abc/find");
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["accept"], "application/json");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        json!({"size": 1, "matches": [
            {"fields": [
                {"field_name": "email_address", "search_term": "zoë@acme.com"},
                {"field_name": "linkedin", "search_term": "zoe"},
                {"field_name": "name", "search_term": "Zoë O'Néill"},
                {"field_name": "title", "search_term": "VP"},
                {"field_name": "company.name", "search_term": "Acme"},
                {"field_name": "company.domain", "search_term": "acme.com"},
            ]},
            {"fields": [{"field_name": "email_address", "search_term": "bob@gmail.com"}]},
        ]})
    );
}

#[test]
fn organization_is_one_path_segment_whatever_it_holds() {
    let service = LiveData::new(&settings(&["email_address"]), "o_1/../x?y").unwrap();
    assert_eq!(service.find_url.as_str(), "https://gotlivedata.io/api/people/v1/o_1%2F..%2Fx%3Fy/find");
}

#[test]
fn key_is_the_question_and_nothing_else() {
    let one = service(&["email_address"]);
    let renamed = Lead { first_name: Some("Else".into()), ..lead() };
    assert_eq!(one.key(&lead()), one.key(&renamed));
    assert_ne!(service(&["email_address", "name"]).key(&lead()), service(&["email_address", "name"]).key(&renamed));
    assert_eq!(
        service(&["name", "email_address"]).key(&lead()),
        service(&["email_address", "name"]).key(&lead()),
        "the order in the configuration doesn't matter"
    );
    let other_organization = LiveData::new(&settings(&["email_address"]), "o_9").unwrap();
    assert_eq!(one.key(&lead()), other_organization.key(&lead()));
    let mut sandbox = settings(&["email_address"]);
    sandbox.people_url = "http://127.0.0.1:1/people".parse().unwrap();
    assert_ne!(one.key(&lead()), LiveData::new(&sandbox, "o_123abc").unwrap().key(&lead()));
}

#[test]
fn lead_that_nothing_singles_out_is_not_asked_for() {
    let by_name = service(&["name", "company.name"]);
    assert!(by_name.key(&lead()).is_some());
    assert_eq!(by_name.key(&Lead { company: None, ..lead() }), None);
    assert_eq!(by_name.key(&Lead { last_name: None, ..lead() }), None);
    let by_domain = service(&["name", "company.domain"]);
    assert!(by_domain.key(&lead()).is_some());
    assert_eq!(by_domain.key(&Lead { email: "zoe@gmail.com".into(), ..lead() }), None);
}

#[test]
fn settings_that_can_not_work_are_refused() {
    for (match_on, words) in [(&["mail"][..], "`mail`"), (&["name"], "singles out nobody"), (&[], "singles out nobody")]
    {
        let error = LiveData::new(&settings(match_on), "o").err().unwrap().to_string();
        assert!(error.starts_with("enrich.match_on: ") && error.contains(words), "{error}");
    }
    for batch_size in [0, 101] {
        let settings = LiveDataSettings { batch_size, ..settings(&["email_address"]) };
        assert!(LiveData::new(&settings, "o").is_err());
    }
}

#[test]
fn person_is_read_from_the_documented_shape() {
    let person = only_person(include_str!("fixtures/found.json"));
    assert_eq!(
        serde_json::to_value(person).unwrap(),
        json!({
            "id": "p_1", "name": "Zoë O'Néill", "first_name": "Zoë", "last_name": "O'Néill", "linkedin": "zoe-oneill",
            "location": "Springfield, Oregon, United States", "country": "United States", "country_code": "US",
            "cell_phone": "+14155550101", "direct_dial": "+14155550102", "employment_status": "employed",
            "title": "VP Sales", "level": "VP", "function": "Sales and Support", "company": "Acme",
            "company_domain": "acme.example", "industry": "Software", "employee_count": 250.0,
            "work_email": "zoe@acme.example",
        })
    );
}

#[test]
fn answers_are_matched_by_index() {
    let body = r#"{"matches":[{"found":false,"people":[]},{"found":true,"people":[{"first_name":"B"}]},{"found":null,"people":null},null]}"#;
    let answers = answers(read(4, 200, body));
    assert_eq!(answers[0], LookUp::NotFound);
    assert_eq!(answers[1].person().unwrap().first_name.as_deref(), Some("B"));
    assert_eq!(answers[2..], [LookUp::NotFound, LookUp::NotFound]);
}

#[test]
fn highest_score_wins_wherever_it_stands() {
    for body in [
        r#"{"matches":[{"found":true,"people":[{"id":"a","score":1},{"id":"best","score":12.5},{"id":"b"}]}]}"#,
        r#"{"matches":[{"found":true,"people":[{"id":"best","score":"99"},{"id":"b","score":98}]}]}"#,
        r#"{"matches":[{"people":[null,{"id":"best","score":null},{"id":"b"}]}]}"#,
    ] {
        assert_eq!(only_person(body).id.as_deref(), Some("best"), "{body}");
    }
}

#[test]
fn odd_values_cost_their_field_only() {
    let body = r#"{"matches":[{"found":true,"surprise":1,"people":[{"id":7,"score":[],"first_name":null,"last_name":" ",
        "linkedin":{},"country":true,"location_details":"x","position":{"title":12,"email":"A@B.C","company":[]},"new":{}}]}]}"#;
    let expected = Person {
        id: Some("7".into()),
        title: Some("12".into()),
        work_email: Some("a@b.c".into()),
        ..Person::default()
    };
    assert_eq!(only_person(body), expected);
}

#[test]
fn answer_that_does_not_fit_the_question_is_asked_for_again() {
    for body in [
        "",
        "{}",
        "null",
        "[]",
        r#"{"matches":null}"#,
        r#"{"matches":{}}"#,
        r#"{"matches":[]}"#,
        r#"{"matches":[{"found":false}]}"#,
        r#"{"matches":[{"found":false},{"found":false},{"found":false}]}"#,
        r#"{"matches":[{"found":false},7]}"#,
        r#"{"matches":[{"found":false},{"found":true,"people":"x"}]}"#,
        r#"{"matches":[{"found":false},{"found":true,"people":["x"]}]}"#,
        r#"{"people":[{"first_name":"Ann"}]}"#,
        r#"{"error":"try later"}"#,
        r#"{"matches":[{"found":fal"#,
        "<html>busy</html>",
    ] {
        assert!(matches!(read(2, 200, body), LookUpVerdict::Again { .. }), "{body}");
    }
    let LookUpVerdict::Again { why } = read(1, 200, r#"{"people":[]}"#) else { panic!() };
    assert!(why.contains("belong to no match"), "{why}");
}

#[test]
fn statuses_mean_what_they_say() {
    use LookUpVerdict as V;
    assert_eq!(read(3, 401, ""), V::AuthExpired);
    assert!(matches!(read(3, 400, r#"{"error":"bad"}"#), V::BadRequest { reason } if reason.contains("bad")));
    assert!(matches!(read(3, 422, ""), V::BadRequest { .. }));
    assert!(matches!(read(3, 413, ""), V::BadRequest { .. }));
    assert!(matches!(read(3, 403, "<html>"), V::AccountWrong { .. }));
    for status in [408, 500, 502, 503, 504] {
        assert!(matches!(read(3, status, "<html>"), V::Again { .. }), "{status}");
    }
    for status in [301, 302, 405, 410] {
        assert!(matches!(read(3, status, ""), V::AccountWrong { .. }), "{status}");
    }
}

#[test]
fn not_found_is_told_from_a_wrong_address() {
    assert_eq!(answers(read(1, 404, r#"{"error":"Person not found"}"#)), [LookUp::NotFound]);
    assert_eq!(answers(read(1, 404, r#"{"error":"not found"}"#)), [LookUp::NotFound]);
    assert!(matches!(read(50, 404, r#"{"error":"Person not found"}"#), LookUpVerdict::BadRequest { .. }));
    for body in ["", "<html>", r#"{"message":"Cannot POST /x"}"#, r#"{"error":"Organization not found"}"#] {
        assert!(matches!(read(1, 404, body), LookUpVerdict::AccountWrong { .. }), "{body}");
    }
    assert!(matches!(read(1, 404, r#"{"error":"Person not fou"#), LookUpVerdict::Again { .. }));
}

#[test]
fn pauses_and_credits_are_the_servers_own_words() {
    let service = service(&["email_address"]);
    let limited = service.read(1, &reply(429, &[("retry-after", "7")], b""));
    assert!(matches!(limited, LookUpVerdict::NotNow { wait: Some(wait), .. } if wait == Duration::from_secs(7)));
    assert!(matches!(service.read(1, &reply(429, &[], b"")), LookUpVerdict::NotNow { wait: None, .. }));
    let busy = service.read(1, &reply(503, &[("retry-after", "9")], b""));
    assert!(matches!(busy, LookUpVerdict::NotNow { wait: Some(wait), .. } if wait == Duration::from_secs(9)));
    let headers = [("x-ldt-credits-used", "4,990"), ("x-ldt-credits-remaining", "10.0")];
    let credits = Credits { used: Some(4990), remaining: Some(10) };
    assert_eq!(service.read(1, &reply(402, &headers, b"{}")), LookUpVerdict::OutOfCredits(credits));
    let found = service.read(1, &reply(200, &headers, br#"{"matches":[{"found":false}]}"#));
    assert_eq!(found, LookUpVerdict::Answers { answers: vec![LookUp::NotFound], credits });
    let none = service.read(1, &reply(402, &[("x-ldt-credits-used", "many")], b""));
    assert_eq!(none, LookUpVerdict::OutOfCredits(Credits::default()));
}

fn any_json() -> impl Strategy<Value = Value> {
    let keys =
        prop::sample::select(vec!["matches", "found", "people", "score", "id", "position", "company", "email", "x"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_without_panic_and_answers_fit_the_question(
        matches in prop::collection::vec(any_json(), 0..4), whole in any_json(), asked in 1usize..4,
        status in prop::sample::select(vec![200u16, 204, 302, 400, 401, 402, 403, 404, 408, 409, 418, 429, 500, 503]),
    ) {
        let service = service(&["email_address"]);
        for body in [json!({ "matches": matches }), whole] {
            if let LookUpVerdict::Answers { answers, .. } = service.read(asked, &reply(status, &[], body.to_string().as_bytes())) {
                prop_assert_eq!(answers.len(), asked);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..200), status in 200u16..600) {
        service(&["email_address"]).read(1, &reply(status, &[], &body));
    }
}
