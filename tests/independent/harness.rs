//! The tools themselves: what they find wrong is found, what they lose is lost.

use http::StatusCode;
use serde_json::json;

use crate::bench::until;
use crate::documents::{Version, lead_connector};
use crate::issuer::{CLIENT, Issuer, SECRET, SEED};
use crate::wire::{Fate, Wire, client};

async fn upsert(wire: &Wire, version: &str, body: &str) -> StatusCode {
    let request = client().post(wire.url("/contacts/upsert")).header("authorization", "Bearer t");
    let request = request.header("version", version).header("content-type", "application/json");
    request.body(body.to_owned()).send().await.unwrap().status()
}

#[tokio::test]
async fn the_documents_find_what_is_wrong_with_a_request() {
    let Some(api) = lead_connector(Version::V3) else { return };
    let good = r#"{"locationId": "ve9", "email": "ann@example.com"}"#;
    for (version, body, complaint) in [
        ("v3", good, None),
        ("2020-01-01", good, Some("version")),
        ("v3", r#"{"email": "ann@example.com"}"#, Some("locationId")),
        ("v3", r#"{"locationId": "ve9", "email": "ann@example.com", "job": "boss"}"#, Some("job")),
        ("v3", r#"{"locationId": "ve9", "email": 7}"#, Some("email")),
    ] {
        let wire = api.wire().await;
        upsert(&wire, version, body).await;
        let said = api.complaints(&wire.passed()[0]).join("\n");
        match complaint {
            None => assert_eq!(said, ""),
            Some(word) => assert!(said.contains(word), "`{word}` is missing in: {said}"),
        }
    }
}

#[tokio::test]
async fn the_documents_know_the_parameters() {
    let Some(api) = lead_connector(Version::V3) else { return };
    for (query, good) in [("locationId=ve9&email=a%40b.example", true), ("locationId=ve9&mail=a%40b.example", false)] {
        let wire = api.wire().await;
        let url = wire.url(&format!("/contacts/search/duplicate?{query}"));
        client().get(url).header("authorization", "Bearer t").header("version", "v3").send().await.unwrap();
        assert_eq!(api.complaints(&wire.passed()[0]).is_empty(), good, "{:?}", api.complaints(&wire.passed()[0]));
    }
}

#[tokio::test]
async fn the_documents_know_the_fields_of_a_form() {
    let Some(api) = lead_connector(Version::V3) else { return };
    let good = [("clientId", "a"), ("clientSecret", "b"), ("grantType", "refresh_token"), ("refreshToken", "c")];
    let with_more: Vec<(&str, &str)> = good.into_iter().chain([("refresh_token", "c")]).collect();
    for (form, complaint) in [(&good[..], None), (&good[1..], Some("clientId")), (&with_more, Some("refresh_token"))] {
        let wire = api.wire().await;
        client().post(wire.url("/oauth/token")).header("version", "v3").form(form).send().await.unwrap();
        let said = api.complaints(&wire.passed()[0]).join("\n");
        match complaint {
            None => assert_eq!(said, ""),
            Some(word) => assert!(said.contains(word), "`{word}` is missing in: {said}"),
        }
    }
}

async fn exchange(issuer: &Issuer, refresh_token: &str) -> reqwest::Result<(StatusCode, serde_json::Value)> {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let request = client().post(issuer.wire.url("/oauth/token")).basic_auth(CLIENT, Some(SECRET)).form(&form);
    let reply = request.send().await?;
    let status = reply.status();
    Ok((status, serde_json::from_str(&reply.text().await?).unwrap()))
}

#[tokio::test]
async fn the_issuer_takes_a_spent_refresh_token_for_theft() {
    let Some(issuer) = Issuer::start(json!({})).await else { return };
    let (status, first) = exchange(&issuer, SEED).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let next = first["refresh_token"].as_str().unwrap();
    let (status, _) = exchange(&issuer, next).await.unwrap();
    assert_eq!((status, issuer.replays().await), (StatusCode::OK, (0, 0)));
    let (status, said) = exchange(&issuer, next).await.unwrap();
    assert_eq!((status, said["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_grant")));
    assert_eq!(issuer.replays().await, (1, 1));
}

#[tokio::test]
async fn the_issuer_with_grace_forgives_one_that_may_have_been_lost() {
    let Some(issuer) = Issuer::start(json!({"grace": true})).await else { return };
    let (_, _) = exchange(&issuer, SEED).await.unwrap();
    let (status, again) = exchange(&issuer, SEED).await.unwrap();
    assert_eq!((status, issuer.replays().await), (StatusCode::OK, (1, 0)));
    let (status, _) = exchange(&issuer, again["refresh_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let (status, _) = exchange(&issuer, SEED).await.unwrap();
    assert_eq!((status, issuer.replays().await), (StatusCode::BAD_REQUEST, (2, 1)));
}

#[tokio::test]
async fn the_issuer_refuses_a_client_it_does_not_know_and_tokens_it_did_not_make() {
    let routes = json!([{"method": "POST", "path": "/leads", "status": 201, "body": {"id": "lead-{n}"}}]);
    let Some(issuer) = Issuer::start(json!({"routes": routes})).await else { return };
    let form = [("grant_type", "client_credentials"), ("client_id", CLIENT), ("client_secret", "guessed")];
    let reply = client().post(issuer.wire.url("/oauth/token")).form(&form).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    let (_, token) = exchange(&issuer, SEED).await.unwrap();
    let good = token["access_token"].as_str().unwrap().to_owned();
    let post = async |token: String| {
        let request = client().post(issuer.wire.url("/leads")).bearer_auth(token);
        let request = request.header("content-type", "application/json").body("{}");
        request.send().await.unwrap().status()
    };
    assert_eq!(post(good.clone()).await, StatusCode::CREATED);
    assert_eq!(post(format!("{good}x")).await, StatusCode::UNAUTHORIZED);
    issuer.revoke_access().await;
    assert_eq!(post(good).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_wire_loses_what_it_is_told_to() {
    let Some(issuer) = Issuer::start(json!({"grace": true})).await else { return };
    issuer.wire.fates("/oauth/token", [Fate::RequestLost, Fate::ReplyLost]);
    assert!(exchange(&issuer, SEED).await.is_err());
    assert_eq!(issuer.tokens().await.len(), 0);
    assert!(exchange(&issuer, SEED).await.is_err());
    assert_eq!(issuer.tokens().await.len(), 1);
    let (status, _) = exchange(&issuer, SEED).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let heard: Vec<bool> = issuer.wire.passed().iter().map(|it| it.reply.is_some()).collect();
    assert_eq!(heard, [false, true, true]);
}

#[tokio::test]
async fn the_wire_holds_what_it_is_told_to() {
    let Some(issuer) = Issuer::start(json!({})).await else { return };
    issuer.wire.fates("/oauth/token", [Fate::RequestHeld, Fate::ReplyHeld]);
    for (carried_out, arrives) in [(0, false), (1, true)] {
        let (asked, ()) = tokio::join!(exchange(&issuer, SEED), async {
            until("a request is held", || issuer.wire.held() == 1).await;
            assert_eq!(issuer.tokens().await.len(), carried_out);
            issuer.wire.release();
        });
        assert_eq!(asked.is_ok(), arrives);
    }
}
