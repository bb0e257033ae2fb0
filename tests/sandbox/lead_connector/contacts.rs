//! Contacts, and what replies say of the limits.

use std::time::Duration;

use leadsync::http::message::Rate;
use leadsync::sandbox::{EffectKind, LEAD_CONNECTOR};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{App, LOCATION, ann, status_and_json};
use crate::bench::header;

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_upsert_creates_once_and_updates_from_then_on() {
    let app = App::with(|_| {}).await;
    let (status, first) = app.upsert(&ann()).await;
    assert_eq!((status, &first["new"]), (200, &json!(true)));
    let id = first["contact"]["id"].as_str().unwrap();
    assert_eq!((id.len(), &first["contact"]["locationId"]), (20, &json!(LOCATION)));
    assert!(first["traceId"].is_string());

    let mut again = ann();
    (again["email"], again["lastName"], again["firstName"]) = (json!("ann@example.com"), json!("Bee"), Value::Null);
    let (status, second) = app.upsert(&again).await;
    assert_eq!((status, &second["new"], &second["contact"]["id"]), (200, &json!(false), &json!(id)));
    assert_eq!((&second["contact"]["firstName"], &second["contact"]["lastName"]), (&json!("Ann"), &json!("Bee")));

    let kept = app.sandbox.ledger().lead_of(LEAD_CONNECTOR, "ann@example.com").unwrap();
    assert_eq!((kept.creates, kept.updates, kept.remote_id.as_str(), &kept.body), (1, 1, id, &ann()));
    assert!(app.sandbox.ledger().lead("ann@example.com").is_none(), "7targets has nobody");
    let (status, got) = status_and_json(app.api(Method::GET, &format!("/contacts/{id}")).send().await.unwrap()).await;
    assert_eq!((status, &got["contact"]), (200, &second["contact"]));
}

#[tokio::test]
async fn an_upsert_matches_the_address_first_then_the_number() {
    let app = App::with(|_| {}).await;
    let of = |email: Option<&str>, phone: Option<&str>| json!({"locationId": LOCATION, "email": email, "phone": phone});
    let id = |reply: &Value| reply["contact"]["id"].as_str().unwrap().to_owned();
    let a = id(&app.upsert(&of(Some("a@example.com"), Some("+14155550101"))).await.1);
    let b = id(&app.upsert(&of(Some("b@example.com"), Some("+14155550102"))).await.1);
    let by_phone = app.upsert(&of(None, Some("+1 (415) 555-0102"))).await.1;
    assert_eq!((id(&by_phone), &by_phone["new"]), (b.clone(), &json!(false)));

    let torn = app.upsert(&of(Some("a@example.com"), Some("+14155550102"))).await.1;
    assert_eq!((id(&torn), &torn["contact"]["phone"]), (a, &json!("+14155550101")), "the other's number is ignored");
    // A new address for a known number replaces the old one, by which it is found no more.
    assert_eq!(id(&app.upsert(&of(Some("c@example.com"), Some("+14155550102"))).await.1), b);
    assert_eq!(app.upsert(&of(Some("b@example.com"), None)).await.1["new"], true);
    assert_eq!(app.sandbox.totals().created_at["lead_connector"], 3);
}

#[tokio::test]
async fn what_an_upsert_may_not_have_or_lacks_is_listed() {
    let app = App::with(|_| {}).await;
    let mut unknown = ann();
    (unknown["company"], unknown["id"]) = (json!("Firm"), json!("x"));
    let cases = [
        (unknown, vec!["property company should not exist", "property id should not exist"]),
        (json!({"email": "a@example.com"}), vec!["locationId must be a string"]),
        (json!({"locationId": LOCATION, "firstName": "Ann"}), vec!["email or phone is required"]),
        (json!({"locationId": LOCATION, "email": "ann"}), vec!["email must be an email"]),
        (
            json!({"locationId": LOCATION, "email": "a@example.com", "tags": "x"}),
            vec!["tags must be a list of strings"],
        ),
        (
            json!({"locationId": LOCATION, "email": "a@example.com", "customFields": [{"name": "x", "value": "y"}]}),
            vec!["customFields must be a list of objects with id or key, and fieldValue"],
        ),
    ];
    for (body, reasons) in cases {
        let (status, reply) = app.upsert(&body).await;
        assert_eq!((status, texts(&reply["message"])), (422, reasons));
        assert_eq!((&reply["statusCode"], &reply["error"]), (&json!(422), &json!("Unprocessable Entity")));
    }
    let mut another = ann();
    another["createNewIfDuplicateAllowed"] = json!(true);
    let (status, reply) = status_and_json(app.write("/contacts/", &another).send().await.unwrap()).await;
    let reasons = texts(&reply["message"]);
    assert_eq!((status, reasons), (422, vec!["property createNewIfDuplicateAllowed should not exist"]));
    assert_eq!(app.sandbox.totals().created, 0);
}

#[tokio::test]
async fn tags_of_an_upsert_overwrite_and_tags_alone_are_added() {
    let app = App::with(|_| {}).await;
    let with_tags = |tags: Value| {
        let mut body = ann();
        body["tags"] = tags;
        body
    };
    let (_, reply) = app.upsert(&with_tags(json!(["old", "older"]))).await;
    let path = format!("/contacts/{}/tags", reply["contact"]["id"].as_str().unwrap());
    for _ in 0..2 {
        let reply = app.write(&path, &json!({"tags": ["new"]})).send().await.unwrap();
        let (status, body) = status_and_json(reply).await;
        assert_eq!((status, texts(&body["tags"])), (201, vec!["old", "older", "new"]));
    }
    let (_, kept) = app.upsert(&ann()).await;
    assert_eq!(texts(&kept["contact"]["tags"]), ["old", "older", "new"], "an upsert without tags leaves them");
    let (_, overwritten) = app.upsert(&with_tags(json!(["only"]))).await;
    assert_eq!(texts(&overwritten["contact"]["tags"]), ["only"]);
    let kinds: Vec<_> = app.sandbox.ledger().effects().into_iter().map(|effect| effect.effect).collect();
    use EffectKind::{Created, Tagged, Updated};
    assert_eq!(kinds, [Created, Tagged, Tagged, Updated, Updated]);
    let missing = app.write("/contacts/sandboxContact009999/tags", &json!({"tags": ["new"]})).send().await.unwrap();
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn a_create_of_a_known_contact_is_refused_with_its_id_unless_the_location_allows_duplicates() {
    for allow_duplicates in [false, true] {
        let app = App::with(|options| options.lead_connector.allow_duplicates = allow_duplicates).await;
        let create = async || status_and_json(app.write("/contacts/", &ann()).send().await.unwrap()).await;
        let (status, first) = create().await;
        assert_eq!(status, 201);
        let (status, second) = create().await;
        if allow_duplicates {
            assert_eq!(status, 201);
            assert_ne!(second["contact"]["id"], first["contact"]["id"]);
        } else {
            assert_eq!(status, 400);
            assert_eq!(second["meta"], json!({"contactId": first["contact"]["id"], "matchingField": "email"}));
        }
        let kept = app.sandbox.ledger().lead_of(LEAD_CONNECTOR, "ann@example.com").unwrap();
        let expected = if allow_duplicates { (2, 0) } else { (1, 1) };
        assert_eq!((kept.creates, kept.repeated_creates), expected);
    }
}

#[tokio::test]
async fn a_duplicate_is_searched_by_address_or_number() {
    let app = App::with(|_| {}).await;
    let (_, created) = app.upsert(&ann()).await;
    let search = async |query: &str| {
        let path = format!("/contacts/search/duplicate?locationId={LOCATION}&{query}");
        let (status, body) = status_and_json(app.api(Method::GET, &path).send().await.unwrap()).await;
        assert_eq!(status, 200);
        body["contact"]["id"].clone()
    };
    let id = &created["contact"]["id"];
    assert_eq!(search("email=ANN%40example.com").await, *id);
    assert_eq!(search("number=%2B14155550100").await, *id);
    assert_eq!(search("email=bea%40example.com").await, Value::Null);
}

#[tokio::test]
async fn contacts_belong_to_the_location_of_the_token() {
    let app = App::with(|_| {}).await;
    let mut body = ann();
    body["locationId"] = json!("sandbox_location_01");
    assert_eq!(app.upsert(&body).await.0, 403);
    let elsewhere = "/contacts/search/duplicate?locationId=sandbox_location_01&email=ann%40example.com";
    assert_eq!(app.api(Method::GET, elsewhere).send().await.unwrap().status(), 403);
    assert_eq!(app.api(Method::GET, "/locations/sandbox_location_01").send().await.unwrap().status(), 403);
    let own = app.api(Method::GET, "/locations/sandbox_location").send().await.unwrap();
    let (status, own) = status_and_json(own).await;
    assert_eq!((status, &own["location"]["id"]), (200, &json!(LOCATION)));
    assert_eq!(app.sandbox.totals().created, 0);
}

fn left(reply: &Response) -> [Option<&str>; 3] {
    ["x-ratelimit-remaining", "x-ratelimit-daily-remaining", "retry-after"].map(|name| header(reply, name))
}

#[tokio::test]
async fn every_reply_tells_what_is_left_and_the_limit_is_kept() {
    let app = App::with(|options| {
        options.lead_connector.rate = Some(Rate { count: 2, per: Duration::from_secs(3600) });
    })
    .await;
    let ask = || app.api(Method::GET, "/locations/sandbox_location").send();
    let reply = ask().await.unwrap();
    assert_eq!(header(&reply, "x-ratelimit-max"), Some("2"));
    assert_eq!(header(&reply, "x-ratelimit-interval-milliseconds"), Some("3600000"));
    assert_eq!(header(&reply, "x-ratelimit-limit-daily"), Some("200000"));
    assert_eq!(left(&reply), [Some("1"), Some("199999"), None]);
    let reply = app.api(Method::GET, "/contacts/nobody").send().await.unwrap();
    assert_eq!((reply.status().as_u16(), left(&reply)), (404, [Some("0"), Some("199998"), None]));
    let reply = app.write("/contacts/upsert", &ann()).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), left(&reply)), (429, [Some("0"), Some("199998"), None]));
    let refused = app.call(Method::GET, "/locations/sandbox_location").bearer_auth("x").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "x-ratelimit-max")), (401, Some("2")));
    let totals = app.sandbox.totals();
    assert_eq!((totals.violations(), totals.created), (1, 0));
}

#[tokio::test]
async fn a_day_that_is_used_up_says_when_the_next_begins() {
    let app = App::with(|options| options.lead_connector.daily = Some(1)).await;
    assert_eq!(app.upsert(&ann()).await.0, 200);
    let reply = app.write("/contacts/upsert", &ann()).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), left(&reply)), (429, [Some("99"), Some("0"), None]));
    let reset: u64 = header(&reply, "x-ratelimit-daily-reset").unwrap().parse().unwrap();
    assert!((86_000_000..=86_400_000).contains(&reset), "{reset}");
}

#[tokio::test]
async fn what_it_did_outlives_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ledger.jsonl");
    let start = || App::with(|options| options.ledger_file = Some(file.clone()));
    let app = start().await;
    let (_, first) = app.upsert(&ann()).await;
    app.upsert(&json!({"locationId": LOCATION, "email": "ann@example.com", "lastName": "Bee"})).await;
    app.sandbox.stop().await;
    let app = start().await;
    let (_, again) = app.upsert(&ann()).await;
    assert_eq!((&again["new"], &again["contact"]["id"]), (&json!(false), &first["contact"]["id"]));
    assert_eq!((&again["contact"]["lastName"], app.creates("ann@example.com")), (&json!("Bee"), 1));
}

#[tokio::test]
async fn an_upsert_whose_reply_is_spoilt_had_its_effect() {
    let app = App::with_faults(
        "lc_upsert:reset-after=ann@example.com#1,lc_upsert:no-id=ann@example.com#2,lc_upsert:500=bea@example.com#1,\
         lc_upsert:other-lead=bea@example.com#2,lc_upsert:401=bea@example.com#3,lc_tag:500-after=ann@example.com",
    )
    .await;
    app.write("/contacts/upsert", &ann()).send().await.unwrap_err();
    assert_eq!(app.creates("ann@example.com"), 1);
    let (status, body) = app.upsert(&ann()).await;
    assert_eq!((status, &body["new"], &body["contact"]["id"]), (200, &json!(false), &Value::Null));
    let id = app.sandbox.ledger().lead_of(LEAD_CONNECTOR, "ann@example.com").unwrap().remote_id;
    let tag = app.write(&format!("/contacts/{id}/tags"), &json!({"tags": ["new"]})).send().await.unwrap();
    assert_eq!(tag.status(), 500, "a rule for a lead covers calls that name it by its id");

    let bea = json!({"locationId": LOCATION, "email": "bea@example.com"});
    assert_eq!(app.upsert(&bea).await, (500, json!({"statusCode": 500, "message": "Internal Server Error"})));
    assert_eq!(app.upsert(&bea).await.1["contact"]["email"], "nobody@sandbox.example");
    assert_eq!(app.upsert(&bea).await.0, 401);
    assert_eq!(app.creates("bea@example.com"), 0);
    assert_eq!(app.upsert(&bea).await.0, 200, "a private integration's token can't be revoked by a fault");
}

#[tokio::test]
async fn an_injected_429_says_that_nothing_is_left_of_the_window_but_something_of_the_day() {
    let app = App::with_faults("lc_upsert:429=#1,lc_upsert:429-seconds=#2").await;
    for retry_after in [None, Some("1")] {
        let reply = app.write("/contacts/upsert", &ann()).send().await.unwrap();
        assert_eq!(reply.status(), 429);
        let [window, day, found] = left(&reply);
        assert_eq!((window, found), (Some("0"), retry_after), "the vendor's own has no Retry-After");
        assert_ne!(day, Some("0"));
    }
    let reply = app.write("/contacts/upsert", &ann()).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), left(&reply)[0]), (200, Some("97")));
}
