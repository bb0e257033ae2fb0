use super::*;
use crate::auth::grant::With;
use crate::auth::{Account, Auth, AuthError, Bearer, Place};
use crate::clock::Timestamp;
use crate::secret::Secret;

const APP: &str = "client_id = \"app-1\"\nclient_secret = \"hush-hush\"";
const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

fn account(lines: &str) -> Account {
    registry::account(&configured(lines).destinations["crm"]).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(lines: &str) -> String {
    registry::account(&configured(lines).destinations["crm"]).unwrap_err().to_string()
}

fn form(request: &Request) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_private_integration_is_a_bearer_token() {
    let account = account("token = \"pit-1\"");
    let Auth::Static { place: Place::Bearer, key: "token", secret } = account.auth() else { panic!() };
    assert_eq!(secret.expose(), "pit-1");
    assert!(account.browser_account().is_none());
}

#[test]
fn version_3_writes_tokens_in_camel_case_and_the_dated_ones_in_snake_case() {
    let refresh = Secret::new("r1");
    let camel = account(APP);
    let request = camel.grant().unwrap().request(With::Refresh(&refresh), None);
    assert_eq!(format!("{request:?}"), "POST https://services.leadconnectorhq.com/oauth/token");
    assert_eq!(request.headers["version"], "v3");
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    let expected = [
        ("clientId", "app-1"),
        ("clientSecret", "hush-hush"),
        ("grantType", "refresh_token"),
        ("refreshToken", "r1"),
        ("userType", "Location"),
    ];
    assert_eq!(form(&request), pairs(&expected));
    let snake = account(&format!("{APP}\napi_version = \"2021-07-28\"\npath_prefix = \"/v2\""));
    let request = snake.grant().unwrap().request(With::Refresh(&refresh), None);
    assert_eq!((request.url.path(), &request.headers["version"]), ("/v2/oauth/token", &"2021-07-28".parse().unwrap()));
    let expected = [
        ("client_id", "app-1"),
        ("client_secret", "hush-hush"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "r1"),
        ("user_type", "Location"),
    ];
    assert_eq!(form(&request), pairs(&expected));
}

#[test]
fn the_accounts_key_says_which_app_and_for_whom_and_the_seed_begins_a_chain() {
    let seeded = |seed: &str| account(&format!("{APP}\nrefresh_token = \"{seed}\""));
    assert_eq!(seeded("a").key(), account(APP).key());
    assert_ne!(seeded("a").token_key(), seeded("b").token_key());
    assert_eq!(account(APP).token_key(), account(APP).key());
    assert_ne!(account(APP).key(), account("client_id = \"app-2\"\nclient_secret = \"s\"").key());
    assert_eq!(account(APP).grant().unwrap().identity, ["app-1", "Location"]);
    assert_eq!(account(APP).grant().unwrap().style, "rotating");
}

#[test]
fn a_login_asks_for_its_scopes_and_brings_the_code_with_the_verifier() {
    let account = account(APP);
    let grant = account.browser_account().unwrap().grant().unwrap();
    let browser = grant.browser.as_ref().unwrap();
    assert_eq!(browser.authorize_url.as_str(), "https://marketplace.gohighlevel.com/v2/oauth/chooselocation");
    assert_eq!(browser.redirect_url.as_str(), "http://127.0.0.1:8976/callback");
    assert_eq!((browser.scope.as_str(), browser.pkce), ("contacts.readonly contacts.write", true));
    let with = With::Code { code: &Secret::new("c1"), verifier: &Secret::new("v1") };
    let expected = [
        ("clientId", "app-1"),
        ("clientSecret", "hush-hush"),
        ("grantType", "authorization_code"),
        ("code", "c1"),
        ("redirectUri", "http://127.0.0.1:8976/callback"),
        ("codeVerifier", "v1"),
        ("userType", "Location"),
    ];
    assert_eq!(form(&grant.request(with, None)), pairs(&expected));
}

#[test]
fn a_location_of_an_agency_gets_its_token_from_the_agencys() {
    let lines = format!("{APP}\ncompany_id = \"co1\"");
    let account = account(&lines);
    let grant = account.grant().unwrap();
    let parent = Bearer { token: Secret::new("agency-token"), place: Place::Bearer, generation: 1 };
    let request = grant.request(With::Login, Some(&parent));
    assert_eq!(format!("{request:?}"), "POST https://services.leadconnectorhq.com/oauth/location-token");
    assert_eq!(request.headers["authorization"], "Bearer agency-token");
    assert_eq!(request.headers["version"], "v3");
    assert_eq!(form(&request), pairs(&[("companyId", "co1"), ("locationId", LOCATION)]));
    let agency = account.browser_account().unwrap();
    assert_eq!(agency.name(), "agency.co1");
    let rotating = agency.grant().unwrap();
    assert_eq!(rotating.identity, ["app-1", "Company"]);
    let scope = &rotating.browser.as_ref().unwrap().scope;
    assert_eq!(scope, "contacts.readonly contacts.write oauth.readonly oauth.write");
    let refresh = form(&rotating.request(With::Refresh(&Secret::new("r1")), None));
    assert!(refresh.contains(&("userType".into(), "Company".into())));
    let dated = self::account(&format!("{lines}\napi_version = \"2021-07-28\""));
    let request = dated.grant().unwrap().request(With::Login, Some(&parent));
    assert_eq!(request.url.path(), "/oauth/locationToken");
    assert_eq!(form(&request), pairs(&[("companyId", "co1"), ("locationId", LOCATION)]));
    // Each location has its own token, and so each destination that is one.
    let other = configured(&lines.replace("co1", "co2"));
    assert_ne!(registry::account(&other.destinations["crm"]).unwrap().key(), account.key());
}

#[test]
fn a_spent_refresh_token_needs_a_login_and_an_inactive_location_does_not() {
    let account = account(APP);
    let read = |status: u16, message: &str| {
        let body = json!({"statusCode": status, "message": message, "error": "Bad Request"}).to_string();
        account.grant().unwrap().read(With::Refresh(&Secret::new("r")), &reply(status, body), NOW).unwrap_err()
    };
    assert!(matches!(read(400, "Invalid grant: refresh token is invalid"), AuthError::NeedsLogin { .. }));
    let AuthError::Refused { what, remedy } = read(400, "Location is not active") else { panic!() };
    assert!(what.ends_with("the location is not active"), "{what}");
    assert!(remedy.contains("reactivated"), "{remedy}");
    // In the vendor's own words, where they are fixed ones.
    for (said, expected) in [
        ("Invalid parameter: clientId", "check `client_id` and `client_secret`"),
        ("Location not found", "check `location_id`"),
        ("Invalid parameter: locationId", "check `location_id`"),
        ("App is not installed on this location", "have the app installed in this location, or check `location_id`"),
    ] {
        let AuthError::Refused { what, remedy } = read(400, said) else { panic!() };
        assert!(what.ends_with(&format!("was refused (400): {said}")) && remedy == expected, "{what}: {remedy}");
    }
    for quoting in ["Invalid parameter: clientId ann@acme.example", "no user ann@acme.example"] {
        let AuthError::Refused { what, .. } = read(400, quoting) else { panic!() };
        assert!(!what.contains("ann"), "{what}");
    }
    let agency = self::account(&format!("{APP}\ncompany_id = \"co1\""));
    let inactive = reply(400, r#"{"statusCode": 400, "message": "Location is not active"}"#);
    let error = agency.grant().unwrap().read(With::Login, &inactive, NOW).unwrap_err();
    assert!(error.to_string().ends_with("the location is not active"), "{error}");
}

#[test]
fn tokens_are_read_in_either_spelling() {
    let account = account(APP);
    let read = |body: Value| {
        account.grant().unwrap().read(With::Refresh(&Secret::new("r")), &reply(200, body.to_string()), NOW)
    };
    let camel = json!({
        "accessToken": "a1", "tokenType": "Bearer", "expiresIn": 86399, "refreshToken": "r2",
        "scope": "contacts.readonly contacts.write", "userType": "Location", "locationId": LOCATION, "userId": "u",
    });
    let snake = json!({"access_token": "a1", "expires_in": 86399, "refresh_token": "r2", "userId": "u"});
    for body in [camel, snake] {
        let issued = read(body).unwrap();
        assert_eq!((issued.access.expose(), issued.refresh.unwrap().expose()), ("a1", "r2"));
        assert_eq!(issued.expires_at, NOW.plus(Duration::from_secs(86_399)));
    }
    assert!(matches!(read(json!({"userId": "u"})), Err(AuthError::Unreadable { .. })));
}

#[test]
fn one_way_of_logging_in_is_needed_and_only_one() {
    insta::assert_snapshot!(refused(""), @"destinations.crm.token is not set, nor is `client_id` and `client_secret`");
    insta::assert_snapshot!(refused("client_id = \"a\""), @"destinations.crm.client_secret is not set");
    insta::assert_snapshot!(refused("client_secret = \"a\""), @"destinations.crm.client_id is not set");
    insta::assert_snapshot!(refused(&format!("token = \"t\"\n{APP}")), @"destinations.crm.token: found `destinations.crm.client_id` beside it, expected one way of logging in: the token of a private integration, or client_id and client_secret");
    let missing = |lines: &str| {
        let settings = configured(lines);
        registry::missing(&settings.destinations["crm"]).iter().map(|it| it.key.clone()).collect::<Vec<_>>()
    };
    assert_eq!(missing(""), ["destinations.crm.token"]);
    assert_eq!(missing("company_id = \"c\""), ["destinations.crm.client_id", "destinations.crm.client_secret"]);
    assert!(missing("token = \"t\"").is_empty() && missing(APP).is_empty());
}
