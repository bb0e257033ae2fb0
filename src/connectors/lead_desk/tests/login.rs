//! How an account logs in, from its table to the request.

use crate::auth::grant::With;
use crate::auth::{Account, Auth, AuthError, Place};
use crate::clock::Timestamp;
use crate::secret::Secret;

use super::*;

fn account(table: &str) -> Account {
    registry::account(&configured(table)).unwrap()
}

/// The fields of a token request, in order.
fn fields(request: &Request) -> Vec<String> {
    form(request).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn missing(table: &str) -> Vec<String> {
    registry::missing(&configured(table)).into_iter().map(|it| it.key.replace("destinations.calls.", "")).collect()
}

#[test]
fn the_original_api_has_its_key_in_the_form_alone() {
    let account = account(ORIGINAL);
    let Auth::Static { secret, place, key } = account.auth() else { panic!() };
    assert_eq!(
        (secret.expose(), place, *key),
        ("0123456789abcdef0123456789abcdef", &Place::FormField("auth"), "auth_key")
    );
    assert!(!format!("{account:?}").contains("0123456789abcdef"));
}

#[test]
fn a_token_is_asked_for_with_the_customers_number() {
    let account = account(REST);
    let grant = account.grant().unwrap();
    let request = grant.request(With::Login, None);
    assert_eq!(format!("{request:?}"), "POST https://restapi-nor.leaddesk.com/stable/oauth/access-token");
    assert_eq!(
        fields(&request),
        ["grant_type=leaddesk_client_id", "leaddesk_client_id=777", "client_id=app", "client_secret=hush-hush"]
    );
    let refresh = Secret::new("r1");
    assert_eq!(
        fields(&grant.request(With::Refresh(&refresh), None)),
        ["grant_type=refresh_token", "refresh_token=r1", "client_id=app", "client_secret=hush-hush"]
    );
    let json = self::account(&format!("{REST}token_encoding = \"json\"\n"));
    let sent = body(&json.grant().unwrap().request(With::Login, None));
    assert_eq!(
        sent,
        json!({"grant_type": "leaddesk_client_id", "leaddesk_client_id": "777", "client_id": "app", "client_secret": "hush-hush"})
    );
}

#[test]
fn a_token_is_asked_for_with_a_users_password_to_the_letter() {
    let table = REST
        .replace("leaddesk_client_id = \"777\"", "grant_type = \"password\"\nusername = \"ann\"\npassword = \" p&w \"");
    let request = account(&table).grant().unwrap().request(With::Login, None);
    assert_eq!(
        fields(&request),
        ["grant_type=password", "username=ann", "password= p&w ", "client_id=app", "client_secret=hush-hush"]
    );
    assert_ne!(account(&table).key(), account(REST).key());
}

#[test]
fn a_token_whose_lifetime_nobody_told_lives_ten_minutes() {
    let account = account(REST);
    let grant = account.grant().unwrap();
    let read = |body: &str| grant.read(With::Login, &reply(200, body), Timestamp::from_ms(0));
    assert_eq!(read(r#"{"access_token": "t"}"#).unwrap().expires_at, Timestamp::from_ms(600_000));
    let told = read(r#"{"access_token": "t", "expires_in": "3600", "refresh_token": "r"}"#).unwrap();
    assert_eq!(told.expires_at, Timestamp::from_ms(3_600_000));
    assert_eq!(told.refresh, Some(Secret::new("r")));
    let AuthError::Refused { remedy, .. } = read(r#"{"error": "invalid_client"}"#).unwrap_err() else { panic!() };
    assert_eq!(remedy, "check `client_id`, `client_secret` and `leaddesk_client_id`");
}

#[test]
fn off_sends_a_token_as_it_is_and_refresh_goes_on_from_one() {
    let off = "api = \"rest\"\nbase_url = \"https://l.example\"\ncontact_list_id = 1\nauth.initiate = \"off\"\naccess_token = \"t\"\n";
    let off = account(off);
    assert!(matches!(off.auth(), Auth::Static { place: Place::Bearer, key: "access_token", .. }));
    let table = format!("{REST}auth.initiate = \"refresh\"\nrefresh_token = \"r0\"\n");
    let chain = account(&table);
    let request = chain.grant().unwrap().request(With::Refresh(&Secret::new("r0")), None);
    assert_eq!(fields(&request)[..2], ["grant_type=refresh_token", "refresh_token=r0"]);
    // Another token to begin with begins another chain.
    let other = account(&table.replace("r0", "r9"));
    assert!(chain.token_key() != other.token_key() && chain.key() == other.key());
}

#[test]
fn what_is_missing_depends_on_the_api_and_the_way_to_log_in() {
    assert_eq!(missing(""), ["contact_list", "auth_key"]);
    assert_eq!(missing(ORIGINAL), [""; 0]);
    let rest = "api = \"rest\"\ncontact_list_id = 1\n";
    assert_eq!(missing(rest), ["base_url", "client_id", "client_secret", "leaddesk_client_id"]);
    let with = |more: &str| missing(&format!("{rest}{more}"));
    assert_eq!(with("grant_type = \"password\"\n"), ["base_url", "client_id", "client_secret", "username", "password"]);
    assert_eq!(with("auth.initiate = \"off\"\n"), ["base_url", "access_token"]);
    assert_eq!(with("auth.initiate = \"refresh\"\n"), ["base_url", "client_id", "client_secret", "refresh_token"]);
    assert_eq!(missing(REST), [""; 0]);
}

#[test]
fn a_bad_token_path_is_named() {
    let error = registry::account(&configured(&format!("{REST}token_path = \"token\"\n"))).unwrap_err().to_string();
    assert!(error.starts_with("destinations.calls.token_path: found no path"), "{error}");
}
