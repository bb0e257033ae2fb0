use proptest::prelude::*;

use super::super::connection_string;
use super::*;
use crate::auth::grant::With;
use crate::config::{self, DestinationSettings, Environment};
use crate::connectors::registry;

/// The example of the provider's page.
const EXAMPLE: &str = r"Profile=C:\profiles\LeadDesk.apip;Authscheme=OAuth;InitiateOAuth=GetAndRefresh;OAuthClientId=my_app_id;OAuthClientSecret=my_app_secret;User=my_login_username;Password=my_login_password;";

fn made(text: &str, with_secrets: bool) -> Translation {
    translate(&connection_string::parse(text).unwrap(), with_secrets).unwrap()
}

/// What the translation means once its variables are set.
fn read(toml: &str, more: &[(&str, &str)]) -> DestinationSettings {
    let pairs = [("LEADDESK_BASE_URL", "https://leaddesk.example/stable"), ("LEADDESK_CONTACT_LIST_ID", "12")];
    let environment: Environment = pairs.into_iter().chain(more.iter().copied()).collect();
    let settings = config::parse("leadsync.toml", toml, environment).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    settings.destinations["leaddesk"].clone()
}

fn token_request(settings: &DestinationSettings) -> Vec<(String, String)> {
    let account = registry::account(settings).unwrap();
    let request = account.grant().unwrap().request(With::Login, None);
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

#[test]
fn the_providers_example_becomes_a_destination_without_its_secrets() {
    let made = made(EXAMPLE, false);
    assert_eq!(
        made.variables,
        ["LEADDESK_BASE_URL", "LEADDESK_CONTACT_LIST_ID", "LEADDESK_CLIENT_SECRET", "LEADDESK_PASSWORD"]
    );
    assert!(!made.holds_secrets);
    assert!(!made.toml.contains("my_app_secret") && !made.toml.contains("my_login_password"), "{}", made.toml);
    assert_eq!(made.remarks, ["`Profile` is not used: leadsync needs nothing of the kind"]);
    let set = [("LEADDESK_CLIENT_SECRET", "s"), ("LEADDESK_PASSWORD", "p")];
    let settings = read(&made.toml, &set);
    assert_eq!(registry::missing(&settings), []);
    assert!(registry::destination(&settings).is_ok());
    let expected = [
        ("grant_type", "password"),
        ("username", "my_login_username"),
        ("password", "p"),
        ("client_id", "my_app_id"),
        ("client_secret", "s"),
    ];
    assert_eq!(token_request(&settings), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn every_way_to_begin_becomes_ours_whatever_its_case() {
    for (given, initiate, variable) in [
        ("initiateoauth=off;OAuthAccessToken=t", "off", "LEADDESK_ACCESS_TOKEN"),
        ("InitiateOAuth=Refresh;OAuthClientId=a;OAuthClientSecret=b", "refresh", "LEADDESK_REFRESH_TOKEN"),
        ("Initiate OAuth=GETANDREFRESH;OAUTHCLIENTID=a", "get_and_refresh", "LEADDESK_CLIENT_SECRET"),
        ("OAuthAccessToken=t", "off", "LEADDESK_ACCESS_TOKEN"),
        ("OAuthClientId=a", "get_and_refresh", "LEADDESK_ACCOUNT_ID"),
        ("AuthScheme=OAUTH_CLIENT;User=u;Password=p", "get_and_refresh", "LEADDESK_ACCOUNT_ID"),
    ] {
        let made = made(given, false);
        assert!(made.toml.contains(&format!("auth.initiate = \"{initiate}\"")), "{given}: {}", made.toml);
        assert!(made.variables.contains(&variable), "{given}: {:?}", made.variables);
        let set: Vec<(&str, &str)> = made.variables[2..].iter().map(|variable| (*variable, "x")).collect();
        let settings = read(&made.toml, &set);
        assert_eq!(registry::missing(&settings), [], "{given}");
        assert!(registry::account(&settings).is_ok() && registry::destination(&settings).is_ok(), "{given}");
    }
}

#[test]
fn what_is_of_no_use_is_named_without_its_value() {
    let made = made("InitiateOAuth=OFF;User=hunter2;Password=hunter2;Verbosity=hunter2;CallbackURL=hunter2", true);
    assert_eq!(
        made.remarks,
        [
            "`User` is not used: this way to log in does without it",
            "`Password` is not used: this way to log in does without it",
            "`Verbosity` is not known here and was left out",
            "`CallbackURL` is not used: leadsync needs nothing of the kind",
        ]
    );
    assert!(!made.holds_secrets && !made.toml.contains("hunter"));
    for (text, name) in [("AuthScheme=NTLM", "AuthScheme"), ("InitiateOAuth=maybe", "InitiateOAuth")] {
        let properties = connection_string::parse(text).unwrap();
        let said = translate(&properties, false).err().unwrap().to_string();
        assert!(said.contains(name) && said.contains("expected"), "{said}");
    }
}

proptest! {
    #[test]
    fn secrets_that_are_written_are_read_back_to_the_letter(
        secret in "\\PC{1,20}|[$\\{\\}a\"'\\\\;= \n]{1,16}",
        password in "\\PC{1,20}|[$\\{\\}a\"'\\\\;= \n]{1,16}",
        client in "[a-z$\\{\\}\"]{1,12}",
    ) {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let text = format!(
            "OAuthClientId={};OAuthClientSecret={};User=u;Password={}",
            quoted(&client), quoted(&secret), quoted(&password),
        );
        let made = made(&text, true);
        let is_blank = |text: &str| text.trim().is_empty();
        prop_assume!(!is_blank(&secret) && !is_blank(&password));
        prop_assert!(made.holds_secrets);
        prop_assert_eq!(made.variables.len(), 2);
        let sent = token_request(&read(&made.toml, &[]));
        let field = |name: &str| sent.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap();
        prop_assert_eq!(field("password"), password);
        // A client's secret is sent without the blanks around it, whoever wrote them.
        prop_assert_eq!(field("client_secret"), secret.trim());
        prop_assert_eq!(field("client_id"), client);
    }
}
