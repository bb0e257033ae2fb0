//! How Live Data is logged in to. Source: <https://docs.gotlivedata.com>, Auth.

use crate::auth::grant::{Encoding, exact, hidden, plain};
use crate::auth::{Auth, Grant};
use crate::config::{LiveDataSettings, MissingSetting};
use crate::connectors::below;
use crate::connectors::registry::BuildError;
use crate::secret::Secret;

/// A service account, an API key, or a person: `POST {identity}/session` for the first and the last.
///
/// # Errors
/// [`BuildError`] if a key is missing, or if several ways of logging in are set at once.
pub(in crate::connectors) fn login(from: &LiveDataSettings) -> Result<Auth, BuildError> {
    let ways = [
        ("api_key", from.api_key.is_some()),
        ("client_id", from.client_id.is_some() || from.client_secret.is_some()),
        ("username", from.username.is_some() || from.password.is_some()),
    ];
    let mut set_ways = ways.into_iter().filter_map(|(way, is_set)| is_set.then_some(way));
    match (set_ways.next(), set_ways.next()) {
        (Some(one), Some(other)) => Err(BuildError::bad(
            format!("enrich.{one}"),
            format!("enrich.{other} beside it"),
            "one way of logging in: client_id and client_secret, or api_key, or username and password",
        )),
        (Some("api_key"), None) => Ok(Auth::bearer(secret("enrich.api_key", from.api_key.as_ref())?, "api_key")),
        (Some("username"), None) => {
            let username = text("enrich.username", from.username.as_deref())?;
            let password = secret("enrich.password", from.password.as_ref())?;
            Ok(Grant {
                login: vec![plain("username", &username), exact("password", &password)],
                keys: "`username` and `password`",
                address: "`identity_url`",
                ..Grant::new("live_data_password", below(&from.identity_url, &["session"]), [username])
            }
            .into())
        }
        (Some(_), None) => {
            let client_id = text("enrich.client_id", from.client_id.as_deref())?;
            let client_secret = secret("enrich.client_secret", from.client_secret.as_ref())?;
            Ok(Grant {
                encoding: Encoding::Json,
                login: vec![
                    plain("grantType", "clientCredentials"),
                    plain("clientId", &client_id),
                    hidden("clientSecret", &client_secret),
                ],
                address: "`identity_url`",
                ..Grant::new("live_data_service_account", below(&from.identity_url, &["session"]), [client_id])
            }
            .into())
        }
        (None, _) => Err(BuildError::missing_or(
            "enrich.client_id",
            "enrich.api_key or enrich.username (one way of logging in is needed)",
        )),
    }
}

/// The same settings for whoever has no need of the secrets.
pub(in crate::connectors) fn blind(from: &LiveDataSettings) -> LiveDataSettings {
    let unread = || Some(Secret::new("not read"));
    let mut settings = from.clone();
    if settings.client_id.is_some() {
        settings.client_secret = settings.client_secret.or_else(unread);
    }
    if settings.username.is_some() {
        settings.password = settings.password.or_else(unread);
    }
    settings
}

pub(super) fn text(key: &str, text: Option<&str>) -> Result<String, MissingSetting> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(MissingSetting { key: key.to_owned(), alternative: None }),
    }
}

/// Not trimmed: a secret is taken as it is, but a blank one is none.
fn secret(key: &str, secret: Option<&Secret>) -> Result<Secret, MissingSetting> {
    match secret.filter(|secret| !secret.expose().trim().is_empty()) {
        Some(secret) => Ok(secret.clone()),
        None => Err(MissingSetting { key: key.to_owned(), alternative: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EnrichKind, Environment, parse};

    fn of(table: &str) -> Result<Auth, BuildError> {
        let text = format!("[enrich]\nkind = \"live_data\"\norganization = \"o\"\n{table}");
        let settings = parse("leadsync.toml", &text, Environment::default()).unwrap();
        let EnrichKind::LiveData(settings) = settings.enrich.unwrap().kind;
        login(&settings)
    }

    fn body(auth: Auth) -> String {
        let Auth::Grant(grant) = auth else { panic!("{auth:?}") };
        let request = grant.request(crate::auth::grant::With::Login, None);
        assert_eq!(request.url.as_str(), "https://gotlivedata.io/api/identity/v1/session");
        String::from_utf8(request.body.to_vec()).unwrap()
    }

    #[test]
    fn each_way_of_logging_in_is_the_vendors() {
        let account = of("client_id = \"sa_1\"\nclient_secret = \"s\"").unwrap();
        assert_eq!(body(account), r#"{"clientId":"sa_1","clientSecret":"s","grantType":"clientCredentials"}"#);
        let person = of("username = \"ann@example.com\"\npassword = \" p&w\"").unwrap();
        assert_eq!(body(person), "username=ann%40example.com&password=+p%26w");
        assert!(matches!(of("api_key = \"ldtkey_1\""), Ok(Auth::Static { .. })));
    }

    #[test]
    fn one_way_and_all_of_it_is_wanted() {
        let half = of("client_secret = \"s\"").unwrap_err().to_string();
        assert_eq!(half, "enrich.client_id is not set");
        let nothing = of("").unwrap_err().to_string();
        assert!(nothing.starts_with("enrich.client_id is not set, nor is enrich.api_key"), "{nothing}");
        let both = of("api_key = \"ldtkey_1\"\nusername = \"u\"").unwrap_err().to_string();
        assert!(both.contains("one way of logging in") && !both.contains("ldtkey"), "{both}");
    }
}
