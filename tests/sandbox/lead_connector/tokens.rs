//! Tokens: of an app, of an agency, of its locations.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{App, LOCATION, PIT, ann, status_and_json};
use crate::bench::{builder, header, json_of};

#[tokio::test]
async fn a_version_and_a_good_token_are_demanded_and_v3_may_stand_in_the_path() {
    let app = App::with(|_| {}).await;
    let url = |path: &str| format!("{}{path}", app.sandbox.lead_connector_url());
    let ask = async |path: &str, version: Option<&str>, bearer: &str| {
        let mut request = app.client.get(url(path)).bearer_auth(bearer);
        if let Some(version) = version {
            request = request.header("version", version);
        }
        status_and_json(request.send().await.unwrap()).await
    };
    let path = "/locations/sandbox_location";
    let (status, body) = ask(path, None, PIT).await;
    assert_eq!((status, &body["message"]), (400, &json!("Missing parameter: Version")));
    assert_eq!(ask(path, Some("v4"), PIT).await.0, 400);
    let (status, body) = ask(path, Some("v3"), "nonsense").await;
    assert_eq!((status, &body["error"]), (401, &json!("Unauthorized")));
    for (path, version) in [(path, "v3"), (path, "2021-07-28"), ("/v3/locations/sandbox_location", "v3")] {
        assert_eq!(ask(path, Some(version), PIT).await.0, 200, "{path} {version}");
    }
    assert_eq!(ask("/v3/nothing", Some("v3"), PIT).await.0, 404);
}

#[tokio::test]
async fn a_token_is_spelt_as_the_version_has_it_in_a_form_and_in_json() {
    let app = App::with(|_| {}).await;
    let (status, body) = app.refresh("sandbox-refresh").await;
    assert_eq!(status, 200);
    assert_eq!((&body["tokenType"], &body["expiresIn"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!((&body["userType"], &body["locationId"]), (&json!("Location"), &json!(LOCATION)));

    let next = body["refreshToken"].as_str().unwrap();
    let old = json!({"client_id": "sandbox-client", "client_secret": "sandbox-secret", "grant_type": "refresh_token",
                     "refresh_token": next});
    let request = app.client.post(format!("{}/oauth/token", app.sandbox.lead_connector_url()));
    let request = request.header("version", "2021-07-28").header("content-type", "application/json");
    let (status, body) = status_and_json(request.body(old.to_string()).send().await.unwrap()).await;
    assert_eq!((status, &body["token_type"], &body["location_id"]), (200, &json!("Bearer"), &json!(LOCATION)));
    assert!(body["access_token"].is_string() && body["refresh_token"].is_string() && body["accessToken"].is_null());

    for (grant, why) in [
        (vec![("grant_type", "refresh_token")], "Missing parameter: grantType"),
        (vec![("grantType", "password")], "Invalid parameter: grantType"),
        (vec![("grantType", "refresh_token")], "Missing parameter: refreshToken"),
    ] {
        let (status, body) = app.token(&grant).await;
        assert_eq!((status, &body["message"]), (400, &json!(why)));
    }
    let wrong = [("clientId", "sandbox-client"), ("clientSecret", "wrong"), ("grantType", "client_credentials")];
    let reply = app.call(Method::POST, "/oauth/token").form(&wrong).send().await.unwrap();
    assert_eq!(status_and_json(reply).await.1["message"], "Invalid parameter: clientSecret");
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_replay_is_counted() {
    let app = App::with(|_| {}).await;
    let (_, first) = app.refresh("sandbox-refresh").await;
    let (status, replay) = app.refresh("sandbox-refresh").await;
    assert_eq!((status, &replay["message"]), (400, &json!("Invalid grant: refresh token is invalid")));
    assert_eq!(app.refresh("never-issued").await.0, 400);
    assert_eq!(app.rotations_and_replays(), (1, 1), "what was never issued is no replay");

    let (status, second) = app.refresh(first["refreshToken"].as_str().unwrap()).await;
    assert_eq!(status, 200);
    for token in [&first, &second] {
        let reply =
            app.call(Method::GET, "/locations/sandbox_location").bearer_auth(token["accessToken"].as_str().unwrap());
        assert_eq!(reply.send().await.unwrap().status(), 200, "an older access token lives on");
    }
    assert_eq!(app.sandbox.totals().refresh_replays(), 1);
    let ledger = app.client.get(format!("{}/_sandbox/ledger", app.sandbox.base_url())).send().await.unwrap();
    let refreshes = &json_of(ledger).await["totals"]["refreshes"]["lead_connector"];
    assert_eq!(*refreshes, json!({"rotations": 2, "replays": 1}));
}

#[tokio::test]
async fn a_refresh_whose_reply_is_lost_has_spent_its_token() {
    for (fault, rotations) in [("reset-after", 1), ("hang-after", 1), ("503-after", 1), ("reset", 0), ("503", 0)] {
        let app = App::with(|options| {
            options.faults = format!("lc_token:{fault}=#1").parse().unwrap();
            options.timing.hang = Duration::from_millis(50);
        })
        .await;
        let form = [
            ("clientId", "sandbox-client"),
            ("clientSecret", "sandbox-secret"),
            ("grantType", "refresh_token"),
            ("refreshToken", "sandbox-refresh"),
        ];
        let lost = app.call(Method::POST, "/oauth/token").form(&form).send().await;
        assert!(lost.is_err() || lost.unwrap().status() == 503, "{fault}");
        assert_eq!(app.rotations_and_replays(), (rotations, 0), "{fault}");
        let (status, _) = app.refresh("sandbox-refresh").await;
        assert_eq!(status, if rotations == 1 { 400 } else { 200 }, "{fault}");
        assert_eq!(app.rotations_and_replays(), (1, rotations), "{fault}");
    }
}

#[tokio::test]
async fn while_a_location_sleeps_its_refresh_token_is_not_spent() {
    let app = App::with(|options| options.lead_connector.location_active = false).await;
    let (status, body) = app.refresh("sandbox-refresh").await;
    assert_eq!((status, &body["message"]), (400, &json!("Location is not active")));
    let switches = format!("{}/_sandbox/switches", app.sandbox.base_url());
    let turn = app.client.post(&switches).body(r#"{"location_active": true}"#).send().await.unwrap();
    assert_eq!(json_of(turn).await["location_active"], true);
    assert_eq!(app.refresh("sandbox-refresh").await.0, 200, "the same token is good");
    assert_eq!(app.rotations_and_replays(), (1, 0));
    assert!(app.sandbox.set_switch("location_active", false));
    assert!(!app.sandbox.set_switch("location", false));
    let misspelt = app.client.post(&switches).body(r#"{"location": true}"#).send().await.unwrap();
    assert_eq!(misspelt.status(), 400);
}

/// What follows `name=` in the address that a person is sent back to.
fn sent_back(reply: &Response, name: &str) -> Option<String> {
    let url = url::Url::parse(header(reply, "location")?).unwrap();
    assert_eq!(url.path(), "/callback");
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_code_is_good_once_for_whoever_knows_its_verifier() {
    let app = App::with(|_| {}).await;
    let browser = builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let verifier = "a-verifier-of-at-least-forty-three-characters-as-rfc-7636-asks";
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let authorize = async |more: &str| {
        let url = format!(
            "{}/oauth/authorize?response_type=code&client_id=sandbox-client&scope=contacts.write%20contacts.readonly\
             &redirect_uri=http%3A%2F%2F127.0.0.1%3A8976%2Fcallback&state=a%20state{more}",
            app.sandbox.lead_connector_url()
        );
        browser.get(url).send().await.unwrap()
    };
    let exchange = async |code: &str, verifier: Option<&str>| {
        let mut grant = vec![
            ("grantType", "authorization_code"),
            ("code", code),
            ("redirectUri", "http://127.0.0.1:8976/callback"),
        ];
        grant.extend(verifier.map(|verifier| ("codeVerifier", verifier)));
        app.token(&grant).await
    };
    let pkce = format!("&code_challenge={challenge}&code_challenge_method=S256");
    for (more, verifier, status) in [
        ("", None, 200),
        (pkce.as_str(), Some(verifier), 200),
        (pkce.as_str(), Some("another"), 400),
        (pkce.as_str(), None, 400),
    ] {
        let reply = authorize(more).await;
        assert_eq!((reply.status().as_u16(), sent_back(&reply, "state").as_deref()), (302, Some("a state")));
        let code = sent_back(&reply, "code").unwrap();
        let (found, body) = exchange(&code, verifier).await;
        assert_eq!(found, status, "{verifier:?}");
        if status == 200 {
            assert_eq!(body["scope"], "contacts.write contacts.readonly");
            assert_eq!(app.refresh(body["refreshToken"].as_str().unwrap()).await.0, 200);
        }
        assert_eq!(exchange(&code, verifier).await.0, 400, "spent, whether it was good or not");
    }
    assert_eq!(authorize("&code_challenge=x&code_challenge_method=plain").await.status(), 400);
    for (name, value) in
        [("client_id", "x"), ("scope", "everything"), ("redirect_uri", "https://example.com/callback"), ("state", "")]
    {
        let url = format!("{}/oauth/authorize", app.sandbox.lead_connector_url());
        let mut url = url::Url::parse(&url).unwrap();
        let right = [
            ("response_type", "code"),
            ("client_id", "sandbox-client"),
            ("scope", "contacts.write"),
            ("redirect_uri", "http://127.0.0.1:8976/callback"),
        ];
        let asked = right.iter().map(|(key, right)| (*key, if *key == name { value } else { *right }));
        url.query_pairs_mut().extend_pairs(asked);
        let expected = if name == "state" { 302 } else { 400 };
        assert_eq!(browser.get(url).send().await.unwrap().status(), expected, "{name}");
    }
}

#[tokio::test]
async fn an_agency_lists_its_locations_and_makes_their_tokens() {
    let app = App::with(|_| {}).await;
    let (_, agency) = app.refresh("sandbox-agency-refresh").await;
    assert_eq!((&agency["userType"], &agency["locationId"]), (&json!("Company"), &Value::Null));
    let agency = agency["accessToken"].as_str().unwrap();

    let page = async |more: &str| {
        let path = format!("/oauth/installed-locations?companyId=sandbox_company&appId=sandbox{more}");
        status_and_json(app.call(Method::GET, &path).bearer_auth(agency).send().await.unwrap()).await
    };
    let (status, first) = page("").await;
    assert_eq!((status, first["items"].as_array().unwrap().len()), (200, 20));
    assert!(first["items"].as_array().unwrap().iter().all(|item| item["_id"] != LOCATION), "on the second page");
    let token = first["pagination"]["nextPageToken"].as_str().unwrap();
    let (_, second) = page(&format!("&pageToken={token}")).await;
    assert_eq!((&second["items"][0]["_id"], &second["pagination"]["hasNextPage"]), (&json!(LOCATION), &json!(false)));
    assert_eq!(page("&pageSize=101").await.1["error"]["code"], "BAD_REQUEST");

    let make = |bearer: &str, location: &str| {
        let form = [("companyId", "sandbox_company"), ("locationId", location)];
        app.call(Method::POST, "/oauth/location-token").bearer_auth(bearer).form(&form).send()
    };
    let (status, made) = status_and_json(make(agency, LOCATION).await.unwrap()).await;
    assert_eq!((status, &made["locationId"], &made["refreshToken"]), (200, &json!(LOCATION), &Value::Null));
    let location = made["accessToken"].as_str().unwrap();
    let upsert = |bearer: &str| {
        let request = app.call(Method::POST, "/contacts/upsert").header("content-type", "application/json");
        request.bearer_auth(bearer).body(ann().to_string()).send()
    };
    assert_eq!(upsert(location).await.unwrap().status(), 200);
    assert_eq!(upsert(agency).await.unwrap().status(), 403, "contacts need a location's token");
    assert_eq!(make(agency, "sandbox_elsewhere").await.unwrap().status(), 400);
    for bearer in [location, PIT] {
        assert_eq!(make(bearer, LOCATION).await.unwrap().status(), 403, "agencies only");
    }
}

#[tokio::test]
async fn a_token_opens_what_its_scope_names() {
    let app = App::with(|options| options.lead_connector.scope = "contacts.readonly".to_owned()).await;
    let (_, token) = app.token(&[("grantType", "client_credentials")]).await;
    assert_eq!(token["refreshToken"], Value::Null);
    let bearer = token["accessToken"].as_str().unwrap();
    let write = app.call(Method::POST, "/contacts/upsert").bearer_auth(bearer).body(ann().to_string());
    assert_eq!(write.send().await.unwrap().status(), 403);
    let path = format!("/contacts/search/duplicate?locationId={LOCATION}&email=ann%40example.com");
    assert_eq!(app.call(Method::GET, &path).bearer_auth(bearer).send().await.unwrap().status(), 200);
}
