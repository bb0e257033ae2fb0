use super::*;

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
