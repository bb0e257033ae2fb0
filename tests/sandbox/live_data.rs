//! Live Data.

use leadsync::sandbox::SandboxOptions;
use serde_json::json;

use crate::bench::*;

#[tokio::test]
async fn a_session_ends_at_a_time_without_a_zone() {
    let world = World::with(SandboxOptions::default()).await;
    let body = json_of(session(&world.client, &world.sandbox, "sandbox-secret").await).await;
    let fields: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["accessToken", "expiresAt"]);
    let at = body["expiresAt"].as_str().unwrap();
    assert!(!at.ends_with('Z') && !at.contains('+'), "{at}");
    let at: jiff::civil::DateTime = at.parse().unwrap();
    let left = at.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().duration_since(jiff::Timestamp::now());
    assert!((3500..=3600).contains(&left.as_secs()), "{left:?}");
}

#[tokio::test]
async fn api_keys_and_passwords_open_the_people_service_too() {
    let mut world = World::with(SandboxOptions::default()).await;
    let url = format!("{}/session", world.sandbox.identity_url());
    let form = [("username", "sandbox-user"), ("password", "sandbox-password")];
    let by_form = text(world.client.post(&url).form(&form).send().await.unwrap(), "access_token").await;
    let body = json!({"grantType": "password", "email": "sandbox-user", "password": "sandbox-password"});
    let by_json = text(world.client.post(&url).body(body.to_string()).send().await.unwrap(), "accessToken").await;
    for bearer in [by_form, by_json, "ldtkey_sandbox".to_owned()] {
        world.live_data = bearer;
        assert_eq!(world.find(&by_email(["ann@example.com"])).send().await.unwrap().status(), 200);
    }
    world.live_data = "ldtkey_wrong".to_owned();
    assert_eq!(world.find(&by_email(["ann@example.com"])).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_hundred_people_are_answered_in_order_and_paid_for_once() {
    let world = World::with(SandboxOptions::default()).await;
    let emails: Vec<String> = (0..100).map(|n| format!("ann.bee{n}@firm{n}.example.com")).collect();
    let asked = by_email(emails.iter().map(String::as_str));
    let reply = world.find(&asked).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let used: usize = header(&reply, "x-ldt-credits-used").unwrap().parse().unwrap();
    assert_eq!(header(&reply, "x-ldt-credits-remaining"), None, "no cap, no remainder");
    let first = json_of(reply).await;
    let matches = first["matches"].as_array().unwrap();
    assert_eq!(matches.len(), 100);
    let found: Vec<_> = matches.iter().filter(|answer| answer["found"] == true).collect();
    assert!((55..95).contains(&found.len()), "{}", found.len());
    assert_eq!(used, found.len());
    for (n, answer) in matches.iter().enumerate() {
        let people = answer["people"].as_array().unwrap();
        assert_eq!(people.len(), usize::from(answer["found"] == true));
        for person in people {
            assert_eq!(person["first_name"], "Ann");
            let company = &person["position"]["company"]["name"];
            let moved = person["position"]["email"] != json!(emails[n]);
            assert!(moved || *company == json!(format!("Firm{n}")), "{n}: {company}");
        }
    }
    let again = world.find(&asked).send().await.unwrap();
    assert_eq!(header(&again, "x-ldt-credits-used").unwrap(), used.to_string());
    assert_eq!(json_of(again).await, first);
}

#[tokio::test]
async fn a_look_up_that_is_malformed_is_refused_whole() {
    let world = World::with(SandboxOptions::default()).await;
    let many: Vec<String> = (0..101).map(|n| format!("lead{n}@example.com")).collect();
    let field = |name: &str, term: &str| json!({"matches": [{"fields": [{"field_name": name, "search_term": term}]}]});
    let mut size = by_email(["ann@example.com"]);
    size["size"] = json!(6);
    for (body, why) in [
        (by_email(many.iter().map(String::as_str)), "1 to 100 entries"),
        (by_email([]), "1 to 100 entries"),
        (json!({}), "matches is required"),
        (field("e-mail", "ann@example.com"), "unknown field_name"),
        (field("name", "  "), "search_term of name"),
        (by_email(["ann@example.com", &"x".repeat(400)]), "matches[1]: search_term"),
        (size, "size must be 1 to 5"),
    ] {
        let reply = world.find(&body).send().await.unwrap();
        assert_eq!(reply.status(), 400, "{why}");
        assert!(text(reply, "error").await.contains(why), "{why}");
    }
    let elsewhere = format!("{}/o_other/find", world.sandbox.people_url());
    let reply = world.client.post(elsewhere).bearer_auth(&world.live_data).body("{}").send().await.unwrap();
    assert_eq!(reply.status(), 404);
}

#[tokio::test]
async fn only_the_fields_asked_for_are_returned() {
    let mut options = SandboxOptions::default();
    options.live_data.found = 1.0;
    let world = World::with(options).await;
    let mut body = by_email(["ann.bee@example.com"]);
    body["return_fields"] = json!(["id", "position.title", "position.company.name", "no_such_field"]);
    let reply = json_of(world.find(&body).send().await.unwrap()).await;
    let person = reply["matches"][0]["people"][0].as_object().unwrap();
    assert_eq!(person.keys().collect::<Vec<_>>(), ["id", "position"]);
    assert_eq!(person["position"].as_object().unwrap().keys().collect::<Vec<_>>(), ["company", "title"]);
}

#[tokio::test]
async fn credits_end_with_402_and_nothing_more_is_charged() {
    let mut options = SandboxOptions::default();
    (options.live_data.found, options.live_data.credits) = (1.0, Some(2));
    let world = World::with(options).await;
    let two = by_email(["ann@example.com", "bea@example.com"]);
    let reply = world.find(&two).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), header(&reply, "x-ldt-credits-remaining")), (200, Some("0")));
    let reply = world.find(&by_email(["cyd@example.com"])).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), header(&reply, "x-ldt-credits-used")), (402, Some("2")));
    assert_eq!(world.find(&two).send().await.unwrap().status(), 200, "paid for already");
    assert_eq!(world.sandbox.totals().credits_used, 2);
}
