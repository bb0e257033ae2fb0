use super::*;

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
}
