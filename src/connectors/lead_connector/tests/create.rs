use super::*;

fn created(lines: &str, prepared: &Prepared) -> Value {
    body(&with(&format!("token = \"pit-1\"\n{lines}")).create(prepared).unwrap())
}

fn refused(lines: &str) -> String {
    try_with(&format!("token = \"pit-1\"\n{lines}")).err().expect("it was accepted").to_string()
}

#[test]
fn an_upsert_sends_what_the_lead_has_and_nothing_that_would_overwrite_tags_or_make_a_second_contact() {
    let request = plain().create(&rosan()).unwrap();
    assert_eq!(format!("{request:?}"), "POST https://services.leadconnectorhq.com/contacts/upsert");
    assert_eq!(request.headers["version"], "v3");
    assert_eq!(request.headers["content-type"], "application/json");
    let expected = json!({
        "locationId": LOCATION, "email": "rosan@deos.com", "firstName": "Rosan", "lastName": "Deo",
        "phone": "+18888888888", "companyName": "DGS VolMAX", "source": "public api",
    });
    assert_eq!(body(&request), expected);
    let with_tags = created("tags = [\"a\"]", &rosan());
    assert_eq!(with_tags, expected, "tags go by a call of their own");
    assert_eq!(created("", &only_email()), json!({"locationId": LOCATION, "email": "ann@acme.example"}));
}

#[test]
fn where_and_in_which_version_the_api_is_spoken_to_is_configured() {
    let lines = "token = \"t\"\nbase_url = \"http://127.0.0.1:8700/lead_connector/\"\npath_prefix = \"/v3/\"\napi_version = \"2021-07-28\"";
    let request = with(lines).create(&only_email()).unwrap();
    assert_eq!(request.url.as_str(), "http://127.0.0.1:8700/lead_connector/v3/contacts/upsert");
    assert_eq!(request.headers["version"], "2021-07-28");
    assert!(refused("path_prefix = \"/v3?x\"").contains("destinations.crm.path_prefix"));
}

#[test]
fn templates_override_and_leave_out() {
    let lines = "[destinations.crm.fields]\nsource = \"{{ person.title }}\"\nphone = \"{{ person.cell_phone }}\"\n\
                 country = \"{{ person.country_code }}\"\ndnd = \"{{ 'true' }}\"\nname = \"{{ lead.first_name }}!\"";
    let sent = created(lines, &rosan());
    assert_eq!((&sent["source"], &sent["country"], &sent["dnd"]), (&json!("VP Sales"), &json!("US"), &json!(true)));
    assert_eq!((sent.get("phone"), &sent["name"]), (None, &json!("Rosan!")));
}

#[test]
fn custom_fields_go_by_id_where_the_name_looks_like_one_and_else_by_key() {
    let lines = "[destinations.crm.fields]\n\"customFields.6dvNaf7VhkQ9snc5vnjJ\" = \"{{ lead.note }}\"\n\
                 \"customFields.my_budget\" = \"{{ lead.custom_fields.Budget }}\"\n\"customFields.none\" = \"{{ person.industry }}\"";
    let expected =
        |value: &str| json!([{"id": "6dvNaf7VhkQ9snc5vnjJ", value: "met in Köln"}, {"key": "my_budget", value: "10k"}]);
    assert_eq!(created(lines, &rosan())["customFields"], expected("fieldValue"));
    let dated = created(&format!("api_version = \"2021-07-28\"\n{lines}"), &rosan());
    assert_eq!(dated["customFields"], expected("field_value"));
}

#[test]
fn a_field_that_no_template_can_fill_is_told_with_what_to_do() {
    let field = |name: &str| refused(&format!("[destinations.crm.fields]\n\"{name}\" = \"x\""));
    assert!(field("fistName").ends_with("found `fistName`, which no template can fill, expected `firstName`?"));
    insta::assert_snapshot!(field("email"), @"destinations.crm.fields.email: found `email`, which no template can fill, expected no template for it: it is what leads are told apart by");
    assert!(field("locationId").ends_with("expected the key `location_id` of the destination"));
    assert!(field("createNewIfDuplicateAllowed").contains("which no template can fill"));
    assert!(field("customFields.").contains("customFields.ID_OR_KEY"));
}

#[test]
fn what_cannot_be_filled_in_is_found_before_anything_is_sent() {
    let dnd = with("token = \"t\"\n[destinations.crm.fields]\ndnd = \"{{ lead.note }}\"").create(&rosan()).unwrap_err();
    assert_eq!(dnd.to_string(), "fields: `dnd` can't be filled in: expected `true` or `false`");
    let nobody = Prepared::default();
    assert_eq!(plain().create(&nobody).unwrap_err().field, "email");
    assert_eq!(plain().identity(&nobody.lead).unwrap_err().field, "email");
    assert_eq!(plain().identity(&rosan().lead).unwrap(), "rosan@deos.com");
}

#[test]
fn the_question_is_asked_by_email_and_else_by_phone_and_is_encoded() {
    let question = |lead: Lead| plain().find(&Prepared { lead, ..Prepared::default() }).map(|it| it.url.to_string());
    let plus = Lead { email: "test+abc@gmail.com".into(), phone: Some("+1423164516".into()), ..Lead::default() };
    let at = format!("https://services.leadconnectorhq.com/contacts/search/duplicate?locationId={LOCATION}");
    assert_eq!(question(plus.clone()), Some(format!("{at}&email=test%2Babc%40gmail.com")));
    assert_eq!(question(Lead { email: String::new(), ..plus }), Some(format!("{at}&number=%2B1423164516")));
    assert_eq!(question(Lead::default()), None);
    assert_eq!(plain().find(&rosan()).unwrap().headers["version"], "v3");
}

#[test]
fn tags_are_added_to_the_contact_each_once_and_never_empty() {
    let lines = "token = \"t\"\ntags = [\"leadsync\", \"{{ lead.source }}\", \"{{ person.industry }}\", \"leadsync\"]";
    let request = with(lines).complete(&rosan(), Some("seD4PfOuKoVMLkEZqohJ")).unwrap();
    let expected = "POST https://services.leadconnectorhq.com/contacts/seD4PfOuKoVMLkEZqohJ/tags";
    assert_eq!(format!("{request:?}"), expected);
    assert_eq!(body(&request), json!({"tags": ["leadsync", "public api"]}));
    assert_eq!(request.headers["version"], "v3");
    let strange = with(lines).complete(&rosan(), Some("a/../b?c")).unwrap();
    assert_eq!(strange.url.path(), "/contacts/a%2F..%2Fb%3Fc/tags");
    assert!(with(lines).complete(&rosan(), None).is_none());
    assert!(plain().complete(&rosan(), Some("1")).is_none(), "no tags, no call");
    assert!(with("token = \"t\"\ntags = [\"{{ person.industry }}\"]").complete(&rosan(), Some("1")).is_none());
    assert!(try_with("token = \"t\"\ntags = [\"{{ lead.sorce }}\"]").is_err());
}
