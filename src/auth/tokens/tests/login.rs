//! Logins with a browser: the code becomes the next token, whatever was stored, and workers at work go on with it.

use super::rotation::{ManualClock, worker};
use super::*;
use crate::auth::grant::{BrowserLogin, Exchange, Field, plain};
use crate::http::fake::{http_reply, serve};

/// An account that a person logs in to.
fn browser_account(addr: SocketAddr) -> Account {
    let token_url: url::Url = format!("http://{addr}/token").parse().unwrap();
    let field = |name: &str, field: Field| (name.to_owned(), field);
    let fields = vec![
        plain("grant_type", "authorization_code"),
        field("code", Field::Code),
        field("redirect_uri", Field::RedirectUrl),
        field("code_verifier", Field::CodeVerifier),
    ];
    let refresh = vec![plain("grant_type", "refresh_token"), field("refresh_token", Field::RefreshToken)];
    let grant = Grant {
        refresh: Some(Exchange { fields: refresh, seed: None }),
        browser: Some(BrowserLogin {
            authorize_url: "https://login.example.com/".parse().unwrap(),
            client_id: "client".into(),
            redirect_url: "http://127.0.0.1:8976/callback".parse().unwrap(),
            scope: String::new(),
            pkce: true,
            fields,
        }),
        ..Grant::new("rotating", token_url.clone(), ["client".to_owned()])
    };
    Account::new("crm", &token_url, grant.into())
}

fn form(request: &str) -> std::collections::BTreeMap<String, String> {
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

fn pair(n: usize) -> Option<String> {
    http_reply(200, "", &format!(r#"{{"access_token": "a{n}", "refresh_token": "r{n}", "expires_in": 3600}}"#))
}

async fn log_in(tokens: &Tokens, account: &Account) -> Result<LoggedIn, AuthError> {
    tokens.log_in(account, &Secret::new("the-code"), &Secret::new("the-verifier")).await
}

#[tokio::test]
async fn the_code_is_exchanged_and_what_it_brings_is_what_all_workers_go_on_with() {
    let addr = serve(|n, request| async move {
        let form = form(&request);
        match n {
            0 | 2 => {
                assert_eq!((form["code"].as_str(), form["code_verifier"].as_str()), ("the-code", "the-verifier"));
                assert_eq!(form["redirect_uri"], "http://127.0.0.1:8976/callback");
            }
            n => assert_eq!(form["refresh_token"], format!("r{n}")),
        }
        pair(n + 1)
    })
    .await;
    let (vault, clock, account) = (Arc::new(FakeVault::default()), ManualClock::new(), browser_account(addr));
    let logged_in = log_in(&worker(&vault, &clock), &account).await.unwrap();
    let expires_at = clock.now().plus(Duration::from_secs(3600));
    assert_eq!(logged_in, LoggedIn { expires_at, renewable: true, generation: 1 });
    let other = worker(&vault, &clock);
    assert_eq!(get(&other, &account).await, ("a1".into(), 1));
    clock.advance(Duration::from_secs(3600));
    assert_eq!(get(&other, &account).await, ("a2".into(), 2));
    // A second login goes on counting.
    assert_eq!(log_in(&worker(&vault, &clock), &account).await.unwrap().generation, 3);
    let sealed = vault.stored(account.token_key()).unwrap().sealed;
    assert!(!sealed.windows(2).any(|window| window == b"a3" || window == b"r3"));
    let said = format!("{:?}", vault.calls());
    assert!(
        !said.contains("the-code") && !said.contains("the-verifier") && said.contains("issued, good until"),
        "{said}"
    );
}

#[tokio::test]
async fn nobody_has_logged_in_yet_is_said_with_the_command() {
    let addr = serve(|_, _| async { None }).await;
    let (vault, clock, account) = (Arc::new(FakeVault::default()), ManualClock::new(), browser_account(addr));
    let error = worker(&vault, &clock).bearer(&account).await.unwrap_err();
    assert_eq!(error.to_string(), "it needs a new login: nobody has logged in yet; log in: `leadsync auth login crm`");
    assert_eq!(error.exit(), Exit::Usage);
    // It is not marked: the next login, or the next run, finds it as it was.
    assert_eq!(vault.needs_login(account.token_key()), None);
    assert_eq!(vault.calls().len(), 0);
}

#[tokio::test]
async fn a_login_brings_a_dead_account_back_and_lifts_its_mark() {
    let addr = serve(|n, _| async move {
        match n {
            0 => pair(1),
            1 => http_reply(400, "", r#"{"error": "invalid_grant"}"#),
            n => pair(n),
        }
    })
    .await;
    let (vault, clock, account) = (Arc::new(FakeVault::default()), ManualClock::new(), browser_account(addr));
    log_in(&worker(&vault, &clock), &account).await.unwrap();
    clock.advance(Duration::from_secs(3600));
    let dead = worker(&vault, &clock).bearer(&account).await.unwrap_err();
    assert!(matches!(dead, AuthError::NeedsLogin { .. }), "{dead:?}");
    assert!(vault.needs_login(account.token_key()).is_some());
    assert_eq!(log_in(&worker(&vault, &clock), &account).await.unwrap().generation, 2);
    assert_eq!(vault.needs_login(account.token_key()), None);
    assert_eq!(get(&worker(&vault, &clock), &account).await, ("a2".into(), 2));
}

#[tokio::test]
async fn a_login_replaces_what_no_key_opens_any_more() {
    let addr = serve(|n, _| async move { pair(n + 1) }).await;
    let (vault, account) = (Arc::new(FakeVault::default()), browser_account(addr));
    log_in(&tokens_under(&vault, "01"), &account).await.unwrap();
    assert!(matches!(tokens_under(&vault, "02").bearer(&account).await, Err(AuthError::Seal(_))));
    assert_eq!(log_in(&tokens_under(&vault, "02"), &account).await.unwrap().generation, 2);
    assert_eq!(get(&tokens_under(&vault, "02"), &account).await, ("a2".into(), 2));
}

#[tokio::test]
async fn a_refused_code_is_told_in_the_servers_words_and_changes_nothing() {
    let addr = serve(|_, _| async {
        http_reply(400, "", r#"{"statusCode": 400, "message": "Invalid grant: code was used by ann@example.com"}"#)
    })
    .await;
    let (vault, clock, account) = (Arc::new(FakeVault::default()), ManualClock::new(), browser_account(addr));
    let error = log_in(&worker(&vault, &clock), &account).await.unwrap_err();
    let expected = format!(
        "the token request to `http://{addr}/token` was refused (400): Invalid grant: code was used by (e-mail)"
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.remedy().unwrap().contains("`redirect_url`"), "{error:?}");
    assert_eq!((vault.calls().len(), vault.stored(account.token_key())), (1, None));
}

#[tokio::test]
async fn an_answer_that_is_lost_is_not_asked_for_again() {
    let addr = serve(|n, _| async move { if n == 0 { None } else { pair(n) } }).await;
    let (vault, clock, account) = (Arc::new(FakeVault::default()), ManualClock::new(), browser_account(addr));
    let error = log_in(&worker(&vault, &clock), &account).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Unavailable);
    assert_eq!(vault.calls().len(), 1);
}

#[tokio::test]
async fn a_server_that_refuses_the_verifier_is_asked_without_it() {
    let addr = serve(|n, request| async move {
        let form = form(&request);
        assert_eq!(form["code"], "the-code");
        match (n, form.contains_key("code_verifier")) {
            (0, true) => http_reply(422, "", r#"{"message": ["property code_verifier should not exist"]}"#),
            (1, false) => pair(1),
            other => panic!("{other:?}"),
        }
    })
    .await;
    let (vault, clock, account) = (Arc::new(FakeVault::default()), ManualClock::new(), browser_account(addr));
    assert_eq!(log_in(&worker(&vault, &clock), &account).await.unwrap().generation, 1);
}

#[tokio::test]
async fn without_a_refresh_token_it_is_known_that_it_ends() {
    let addr = serve(|_, _| async { http_reply(200, "", r#"{"access_token": "a1", "expires_in": 60}"#) }).await;
    let (vault, clock, account) = (Arc::new(FakeVault::default()), ManualClock::new(), browser_account(addr));
    assert!(!log_in(&worker(&vault, &clock), &account).await.unwrap().renewable);
}

#[tokio::test]
async fn an_account_with_its_secret_in_the_configuration_has_no_login() {
    let (vault, clock) = (Arc::new(FakeVault::default()), ManualClock::new());
    let account = account(service(3600).await);
    let error = log_in(&worker(&vault, &clock), &account).await.unwrap_err();
    assert_eq!(error.to_string(), "`crm` is not logged in to with a browser");
    assert!(account.browser_account().is_none());
}
