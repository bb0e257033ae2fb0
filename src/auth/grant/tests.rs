use http::{HeaderMap, HeaderName, StatusCode};
use proptest::prelude::*;
use serde_json::json;

use super::reply::{LIFETIME_DOUBTFUL, LIFETIME_MAX};
use super::*;
use crate::auth::AuthError;
use crate::exit::Exit;

const ASKED_AT: Timestamp = Timestamp::from_ms(1_795_325_459_000); // 2026-11-22T05:30:59Z

fn client(id: &str, secret: &str, place: ClientPlace) -> Client {
    Client { id: id.into(), secret: Secret::new(secret), place }
}

fn cognito() -> Grant {
    let token_url = "https://user:pw@login.example.com/oauth2/token?x=y".parse().unwrap();
    let client = client("client", "se/cret\n", ClientPlace::Basic);
    Grant::client_credentials(token_url, client, Some("leads/post".into()), Encoding::Form)
}

fn user() -> Grant {
    let token_url = "https://id.example.com/session".parse().unwrap();
    let password = Secret::new(" p&w d");
    let client = client("app", "top&secret", ClientPlace::Body);
    Grant::password(token_url, Some(&client), ("ann@example.com", &password), Encoding::Form)
}

fn chain() -> Grant {
    let token_url = "https://api.example.com/oauth/token".parse().unwrap();
    let client = client("app", "top&secret", ClientPlace::Body);
    Grant::refresh_chain(token_url, &client, Some(Secret::new("first\n")), Encoding::Form)
}

/// Read as the answer to a login.
fn read(grant: &Grant, reply: &Reply) -> Result<IssuedToken, AuthError> {
    grant.read(With::Login, reply, ASKED_AT)
}

/// Read as the answer to an exchange.
fn exchanged(reply: &Reply) -> Result<IssuedToken, AuthError> {
    chain().read(With::Refresh(&Secret::new("second")), reply, ASKED_AT)
}

fn reply(status: u16, headers: &[(&'static str, &str)], body: &str) -> Reply {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn life(headers: &[(&'static str, &str)], body: &str) -> Duration {
    let token = read(&cognito(), &reply(200, headers, body)).unwrap();
    assert_eq!(token.access.expose(), "abc");
    ASKED_AT.until(token.expires_at)
}

#[test]
fn client_credentials_are_a_basic_header_and_a_form() {
    let request = cognito().request(With::Login, None);
    assert_eq!(request.method, Method::POST);
    assert_eq!(request.headers[AUTHORIZATION], "Basic Y2xpZW50OnNlL2NyZXQ=");
    assert!(request.headers[AUTHORIZATION].is_sensitive());
    assert_eq!(request.headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
    assert_eq!(&request.body[..], b"grant_type=client_credentials&scope=leads%2Fpost");
}

#[test]
fn a_client_in_the_body_stands_in_a_form_or_in_json() {
    let token_url: Url = "https://api.example.com/v1/oauth/token".parse().unwrap();
    let client = || client("sa_1", "s", ClientPlace::Body);
    let scope = Some("entity/read event/read".to_owned());
    let request = Grant::client_credentials(token_url.clone(), client(), scope.clone(), Encoding::Json)
        .request(With::Login, None);
    assert_eq!(request.headers[CONTENT_TYPE], "application/json");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let expected = json!({
        "grant_type": "client_credentials", "scope": "entity/read event/read", "client_id": "sa_1", "client_secret": "s",
    });
    assert_eq!(body, expected);
    let grant = Grant::client_credentials(token_url, client(), scope, Encoding::Form);
    let request = grant.request(With::Login, None);
    let form = b"grant_type=client_credentials&scope=entity%2Fread+event%2Fread&client_id=sa_1&client_secret=s";
    assert_eq!(&request.body[..], form);
    assert_eq!(grant.withheld("event/read other"), ["entity/read"]);
}

#[test]
fn a_person_logs_in_with_the_password_to_the_letter_and_goes_on_with_a_refresh_token() {
    let request = user().request(With::Login, None);
    let form =
        b"grant_type=password&username=ann%40example.com&password=+p%26w+d&client_id=app&client_secret=top%26secret";
    assert_eq!(&request.body[..], form);
    let request = user().request(With::Refresh(&Secret::new("r1")), None);
    let form = b"grant_type=refresh_token&refresh_token=r1&client_id=app&client_secret=top%26secret";
    assert_eq!(&request.body[..], form);
}

#[test]
fn a_token_that_authorises_the_request_stands_in_its_header() {
    let parent = Bearer { token: Secret::new("agency"), place: crate::auth::Place::Bearer, generation: 3 };
    let request = cognito().request(With::Login, Some(&parent));
    assert_eq!(request.headers[AUTHORIZATION], "Bearer agency");
    assert!(request.headers[AUTHORIZATION].is_sensitive());
}

#[test]
fn a_code_is_exchanged_with_what_proves_whose_it_is() {
    let mut grant = chain();
    grant.browser = Some(BrowserLogin {
        authorize_url: "https://api.example.com/authorize".parse().unwrap(),
        client_id: "app".into(),
        redirect_url: "http://127.0.0.1:8976/callback".parse().unwrap(),
        scope: "contacts".into(),
        pkce: true,
        fields: vec![
            plain("grant_type", "authorization_code"),
            ("code".to_owned(), Field::Code),
            ("redirect_uri".to_owned(), Field::RedirectUrl),
            ("code_verifier".to_owned(), Field::CodeVerifier),
        ],
    });
    let (code, verifier) = (Secret::new("c&1"), Secret::new("v"));
    let request = grant.request(With::Code { code: &code, verifier: &verifier }, None);
    let form = "grant_type=authorization_code&code=c%261&redirect_uri=http%3A%2F%2F127.0.0.1%3A8976%2Fcallback&code_verifier=v";
    assert_eq!(&request.body[..], form.as_bytes());
}

#[test]
fn lifetimes_are_read_in_every_form_and_counted_from_before_the_request() {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    assert_eq!(life(&[], r#"{"access_token": "abc", "expires_in": 3600, "token_type": "Bearer"}"#), minutes(60));
    assert_eq!(life(&[], r#"{"access_token": "abc", "expires_in": "3600"}"#), minutes(60));
    assert_eq!(life(&[], r#"{"access_token": "abc", "expires_in": 3600.0}"#), minutes(60));
    for at in [
        "2026-11-22T06:30:59",
        "2026-11-22T06:30:59.000000",
        "2026-11-22T06:30:59.000",
        "2026-11-22T06:30:59Z",
        "2026-11-22T07:30:59.0+01:00",
        "2026-11-22 06:30:59",
    ] {
        assert_eq!(life(&[], &format!(r#"{{"accessToken": "abc", "expiresAt": "{at}"}}"#)), minutes(60), "{at}");
        assert_eq!(life(&[], &format!(r#"{{"access_token": "abc", "expires_at": "{at}"}}"#)), minutes(60), "{at}");
    }
    for untold in [
        r#"{"accessToken": "abc"}"#,
        r#"{"accessToken": "abc", "expiresAt": null}"#,
        r#"{"accessToken": "abc", "expiresAt": "tomorrow"}"#,
        r#"{"accessToken": "abc", "expires_in": "long"}"#,
    ] {
        assert_eq!(life(&[], untold), minutes(15), "{untold}");
    }
    assert_eq!(life(&[], r#"{"access_token": "abc", "expires_in": 1e300}"#), LIFETIME_MAX);
}

#[test]
fn a_clock_that_is_wrong_does_not_make_a_new_token_look_old() {
    // The server's clock is two hours behind ours; its Date says so.
    let date = ("date", "Sun, 22 Nov 2026 03:30:59 GMT");
    let body = r#"{"accessToken": "abc", "expiresAt": "2026-11-22T04:30:59"}"#;
    assert_eq!(life(&[date], body), Duration::from_secs(3600));
    // Without it, the token is kept for a short while.
    let token = read(&cognito(), &reply(200, &[], body)).unwrap();
    assert_eq!(ASKED_AT.until(token.expires_at), LIFETIME_DOUBTFUL);
    assert!(token.doubtful);
    assert!(read(&cognito(), &reply(200, &[], r#"{"access_token": "abc", "expires_in": 0}"#)).unwrap().doubtful);
}

#[test]
fn success_without_a_usable_token_is_unreadable() {
    for body in [
        "",
        "{}",
        "<html>log in</html>",
        "[]",
        r#"{"access_token": 7}"#,
        r#"{"access_token": ""}"#,
        r#"{"access_token": "a\nb"}"#,
    ] {
        let error = read(&cognito(), &reply(200, &[], body)).unwrap_err();
        assert!(matches!(error, AuthError::Unreadable { .. }), "{body}: {error:?}");
        assert_eq!(error.exit(), Exit::Unavailable);
    }
}

#[test]
fn a_refusal_names_the_place_the_code_and_the_remedy_and_nothing_of_the_body() {
    let body = r#"{"error": "invalid_client", "error_description": "secret se/cret of ann@example.com is wrong"}"#;
    let error = read(&cognito(), &reply(400, &[], body)).unwrap_err();
    let expected = "the token request to `https://login.example.com/oauth2/token` was refused (400, `invalid_client`)";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.remedy(), Some("check `client_id` and `client_secret`"));
    assert_eq!(error.exit(), Exit::Usage);

    let scope = read(&cognito(), &reply(400, &[], r#"{"error": "invalid_scope"}"#)).unwrap_err();
    assert_eq!(scope.remedy(), Some("check `scope`"));
    let sentence = read(&cognito(), &reply(401, &[], r#"{"error": "no user ann@example.com"}"#)).unwrap_err();
    assert!(sentence.to_string().ends_with("was refused (401)"), "{sentence}");
    let moved = read(&cognito(), &reply(302, &[], "")).unwrap_err();
    assert_eq!(moved.remedy(), Some("check `token_url`"));
    let user = read(&user(), &reply(401, &[], "")).unwrap_err();
    assert_eq!(user.remedy(), Some("check `username` and `password`"));
}

#[test]
fn an_overloaded_token_service_is_unavailable_and_not_a_wrong_password() {
    for status in [408, 425, 429, 500, 502, 503] {
        let error = read(&cognito(), &reply(status, &[], "<html>")).unwrap_err();
        assert!(matches!(error, AuthError::Unavailable { .. }), "{status}: {error:?}");
        assert_eq!(error.exit(), Exit::Unavailable);
    }
}

#[test]
fn debug_output_shows_no_secret_and_nobody() {
    let shown = format!("{:?} {:?} {:?}", cognito(), user(), cognito().request(With::Login, None));
    let once = "Grant(https://login.example.com/oauth2/token) Grant(https://id.example.com/session)";
    assert_eq!(shown, format!("{once} POST https://login.example.com/oauth2/token"));
}

#[test]
fn a_refresh_token_is_exchanged_in_a_form() {
    assert_eq!(chain().seed(), Some(&Secret::new("first\n")));
    let request = chain().request(With::Refresh(&Secret::new("first\n")), None);
    let expected = b"grant_type=refresh_token&refresh_token=first&client_id=app&client_secret=top%26secret";
    assert_eq!(&request.body[..], expected);
    assert!(chain().exchanges_only() && !user().exchanges_only() && !cognito().exchanges_only());
}

#[test]
fn the_next_refresh_token_is_read_in_either_spelling() {
    let read = |body: &str| exchanged(&reply(200, &[], body)).unwrap().refresh;
    assert_eq!(read(r#"{"accessToken": "a", "refreshToken": "r"}"#), Some(Secret::new("r")));
    assert_eq!(read(r#"{"access_token": "a", "refresh_token": "r"}"#), Some(Secret::new("r")));
    assert_eq!(read(r#"{"access_token": "a", "refresh_token": ""}"#), None);
}

#[test]
fn a_spent_refresh_token_is_told_from_a_wrong_client() {
    let dead = |status, body: &str| {
        let error = exchanged(&reply(status, &[], body)).unwrap_err();
        matches!(error, AuthError::NeedsLogin { .. })
    };
    assert!(dead(400, r#"{"error": "invalid_grant", "error_description": "expired"}"#));
    assert!(dead(400, r#"{"statusCode": 400, "message": "Invalid grant: refresh token is invalid"}"#));
    assert!(!dead(401, r#"{"error": "invalid_client"}"#));
    assert!(!dead(400, r#"{"statusCode": 400, "message": "Location is not active"}"#));
    assert!(!dead(503, r#"{"error": "invalid_grant"}"#));
    // Where there is something else to ask with, the same word ends nothing.
    let with = Secret::new("r1");
    let error = user().read(With::Refresh(&with), &reply(400, &[], r#"{"error": "invalid_grant"}"#), ASKED_AT);
    assert!(matches!(error, Err(AuthError::Refused { .. })));
}

#[test]
fn a_refusal_in_a_success_is_a_refusal() {
    let error = read(&user(), &reply(200, &[], r#"{"error": "invalid_client"}"#)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the token request to `https://id.example.com/session` was refused (200, `invalid_client`)"
    );
}

/// Values that a token service might give for anything.
fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!({"error": ["x"]})),
        "\\PC{0,30}".prop_map(Value::from),
        "-?[0-9]{1,25}".prop_map(Value::from),
        "[+-]?[0-9]{4,6}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,12})?(Z|[+-][0-9]{2}:[0-9]{2})?"
            .prop_map(Value::from),
        Just(json!("9999-12-31T23:59:59.999999999Z")),
        Just(json!("-009999-01-01T00:00:00Z")),
    ]
}

proptest! {
    #[test]
    fn any_answer_of_a_token_service_is_a_token_of_a_sane_age_or_an_error_without_its_words(
        fields in prop::collection::btree_map(
            prop::sample::select(vec!["accessToken", "access_token", "expiresAt", "expires_at", "expiresIn", "expires_in", "error", "error_description"]),
            odd_value(),
            0..6,
        ),
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        date in "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT|[ -~]{0,30}",
        status in prop::sample::select(vec![200u16, 201, 204, 302, 400, 401, 403, 404, 408, 429, 500, 503]),
        asked_at in prop_oneof![Just(ASKED_AT.ms()), any::<i64>()],
    ) {
        let asked_at = Timestamp::from_ms(asked_at);
        let token = Secret::new("r");
        for body in [json!(fields).to_string().into_bytes(), bytes] {
            for (grant, with) in [(cognito(), With::Login), (chain(), With::Refresh(&token))] {
                let reply = Reply { body: Bytes::from(body.clone()), ..reply(status, &[("date", &date)], "") };
                match grant.read(with, &reply, asked_at) {
                    Ok(token) => {
                        prop_assert!(reply.status.is_success() && !token.access.expose().is_empty());
                        prop_assert!(asked_at.until(token.expires_at) <= LIFETIME_MAX);
                    }
                    Err(error) => {
                        let told = format!("{error} {error:?} {:?}", error.remedy());
                        prop_assert!(!told.contains('\n') && told.len() < 1_000, "{}", told);
                        if let Some(said) = fields.get("error_description").and_then(Value::as_str).filter(|said| said.len() > 12) {
                            prop_assert!(!told.contains(said), "{}", told);
                        }
                    }
                }
            }
        }
    }
}
