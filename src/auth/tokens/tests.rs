mod fleet;
mod login;
mod rotation;

use std::net::SocketAddr;

use super::*;
use crate::auth::fake::FakeVault;
use crate::auth::grant::Encoding;
use crate::auth::{Client, ClientPlace};
use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::http::fake::{http_reply, serve};

fn account(addr: SocketAddr) -> Account {
    account_at(addr, "/oauth2/token")
}

/// An account that asks with a secret.
fn account_at(addr: SocketAddr, path: &str) -> Account {
    let token_url: url::Url = format!("http://{addr}{path}").parse().unwrap();
    let client = Client { id: "client".into(), secret: Secret::new("topsecret"), place: ClientPlace::Basic };
    let grant = Grant::client_credentials(token_url.clone(), client, None, Encoding::Form);
    Account::new("crm", &token_url, grant.into())
}

fn tokens(vault: &Arc<FakeVault>) -> Tokens {
    tokens_under(vault, "01")
}

fn tokens_under(vault: &Arc<FakeVault>, key: &str) -> Tokens {
    let keyring = Keyring::new(&[Secret::new(key.repeat(32))]).unwrap();
    Tokens::new(vault.clone(), keyring, HttpClient::new(), Arc::new(SystemClock), Some(RunId(7)))
}

/// A token service that numbers its tokens: `t1`, `t2`, …
async fn service(expires_in: i64) -> SocketAddr {
    serve(move |n, request| async move {
        assert!(request.starts_with("POST /oauth2/token HTTP/1.1\r\n"), "{request}");
        http_reply(200, "", &format!(r#"{{"access_token": "t{}", "expires_in": {expires_in}}}"#, n + 1))
    })
    .await
}

async fn get(tokens: &Tokens, account: &Account) -> (String, i64) {
    let bearer = tokens.bearer(account).await.unwrap().unwrap();
    (bearer.token.expose().to_owned(), bearer.generation)
}

#[tokio::test]
async fn fifty_tasks_that_need_a_token_make_one_request() {
    let (vault, account) = (Arc::new(FakeVault::default()), account(service(3600).await));
    let tokens = tokens(&vault);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (tokens, account) = (tokens.clone(), account.clone());
            tokio::spawn(async move { get(&tokens, &account).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), ("t1".into(), 1));
    }
    let calls = vault.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].what.as_str(), calls[0].account.as_str()), ("token", "crm"));
    assert_eq!((calls[0].status, calls[0].run), (Some(200), Some(RunId(7))));
    assert!(calls[0].verdict.starts_with("issued, good until 20"), "{}", calls[0].verdict);
}

#[tokio::test]
async fn processes_that_share_a_database_share_the_token() {
    let (vault, account) = (Arc::new(FakeVault::default()), account(service(3600).await));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (tokens, account) = (tokens(&vault), account.clone());
            tokio::spawn(async move { get(&tokens, &account).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), ("t1".into(), 1));
    }
    assert_eq!(vault.calls().len(), 1);
}

#[tokio::test]
async fn what_is_stored_is_sealed() {
    let (vault, account) = (Arc::new(FakeVault::default()), account(service(3600).await));
    get(&tokens(&vault), &account).await;
    let sealed = vault.stored(account.key()).unwrap().sealed;
    assert!(!sealed.windows(2).any(|window| window == b"t1"));
}

#[tokio::test]
async fn a_401_refreshes_once_per_generation() {
    let (vault, account) = (Arc::new(FakeVault::default()), account(service(3600).await));
    let tokens = tokens(&vault);
    assert_eq!(get(&tokens, &account).await, ("t1".into(), 1));
    for _ in 0..10 {
        tokens.expired(&account, 1).await.unwrap();
    }
    assert_eq!(get(&tokens, &account).await, ("t2".into(), 2));
    // Another process that hears of it later.
    let other = tokens_under(&vault, "01");
    other.expired(&account, 1).await.unwrap();
    assert_eq!(get(&other, &account).await, ("t2".into(), 2));
    assert_eq!(vault.calls().len(), 2);
}

#[tokio::test]
async fn a_person_gets_a_new_token_however_long_the_old_one_is_good() {
    let (vault, account) = (Arc::new(FakeVault::default()), account(service(3600).await));
    for generation in 1..=2 {
        // Each time another process, which knows only what is stored.
        let renewed = tokens(&vault).renew(&account).await.unwrap().unwrap();
        let stored = vault.stored(account.key()).unwrap();
        assert_eq!((renewed.generation, renewed.expires_at), (generation, stored.expires_at));
        let by = stored.refreshed_by.unwrap();
        assert!(by.ends_with(&format!(" (process {}, run 7)", std::process::id())), "{by}");
    }
    assert_eq!(get(&tokens(&vault), &account).await, ("t2".into(), 2));
    let url = "https://api.example.com".parse().unwrap();
    let fixed = Account::new("enrich", &url, Auth::bearer(Secret::new("ldtkey"), "api_key"));
    assert_eq!(tokens(&vault).renew(&fixed).await.unwrap(), None);
    assert_eq!(vault.calls().len(), 2);
}

#[tokio::test]
async fn a_person_is_told_of_a_refusal_although_the_old_token_lives() {
    let addr = serve(|_, _| async { http_reply(400, "", r#"{"error": "invalid_client"}"#) }).await;
    let (vault, account) = (Arc::new(FakeVault::default()), account(addr));
    let tokens = tokens(&vault);
    vault.put_token(account.key(), stored(&tokens, &account, "old", HOUR, HOUR));
    assert_eq!(tokens.renew(&account).await.unwrap_err().exit(), Exit::Usage);
    assert_eq!(get(&self::tokens(&vault), &account).await, ("old".into(), 5), "which is kept");
}

#[tokio::test]
async fn an_ordinary_refresh_seals_under_the_newest_key() {
    let (vault, account) = (Arc::new(FakeVault::default()), account(service(3600).await));
    get(&tokens_under(&vault, "01"), &account).await;
    let keyring = Keyring::new(&["02", "01"].map(|key| Secret::new(key.repeat(32)))).unwrap();
    let both = Tokens::new(vault.clone(), keyring, HttpClient::new(), Arc::new(SystemClock), None);
    assert_eq!(get(&both, &account).await, ("t1".into(), 1), "what was sealed before opens");
    both.expired(&account, 1).await.unwrap();
    assert_eq!(get(&tokens_under(&vault, "02"), &account).await, ("t2".into(), 2), "the old key is not needed");
    assert_eq!(vault.calls().len(), 2);
}

#[tokio::test]
async fn a_token_about_to_expire_is_renewed_ahead_of_time() {
    for (expires_in, held_back) in [(3600, 60), (300, 60), (100, 20), (10, 2)] {
        let stored = StoredToken {
            generation: 1,
            sealed: Vec::new(),
            expires_at: Timestamp::from_ms(expires_in * 1000),
            refreshed_at: Timestamp::from_ms(0),
            refreshed_by: None,
            needs_login: None,
        };
        let token = Token::new("t", &stored);
        assert_eq!(token.renew_at, Timestamp::from_ms((expires_in - held_back) * 1000), "{expires_in}");
    }
}

/// Seals a token as `tokens` would have stored it.
fn stored(tokens: &Tokens, account: &Account, access: &str, life: Duration, left: Duration) -> StoredToken {
    let expires_at = SystemClock.now().plus(left);
    StoredToken {
        generation: 5,
        sealed: tokens
            .0
            .keyring
            .seal(format!(r#"{{"access":"{access}"}}"#).as_bytes(), &secrets::place(account))
            .unwrap(),
        expires_at,
        refreshed_at: expires_at.minus(life),
        refreshed_by: None,
        needs_login: None,
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn while_another_worker_renews_ahead_of_time_the_old_token_is_used() {
    let (vault, account) = (Arc::new(FakeVault::default()), account(service(3600).await));
    let tokens = tokens(&vault);
    vault.put_token(account.key(), stored(&tokens, &account, "old", HOUR, Duration::from_secs(30)));
    vault.put_turn(account.key(), SystemClock.now().plus(HOUR));
    assert_eq!(get(&tokens, &account).await, ("old".into(), 5));
    assert!(vault.calls().is_empty());
}

#[tokio::test]
async fn a_turn_whose_holder_died_lapses() {
    let (vault, account) = (Arc::new(FakeVault::default()), account(service(3600).await));
    vault.put_turn(account.key(), SystemClock.now().plus(Duration::from_millis(300)));
    assert_eq!(get(&tokens(&vault), &account).await, ("t1".into(), 1));
}

#[tokio::test]
async fn a_token_sealed_with_a_key_that_is_gone_is_replaced() {
    let (vault, account) = (Arc::new(FakeVault::default()), account(service(3600).await));
    assert_eq!(get(&tokens_under(&vault, "01"), &account).await, ("t1".into(), 1));
    assert_eq!(get(&tokens_under(&vault, "02"), &account).await, ("t2".into(), 2));
}

#[tokio::test]
async fn wrong_credentials_are_one_line_and_are_not_tried_again_and_again() {
    let addr = serve(|_, _| async { http_reply(400, "", r#"{"error": "invalid_client", "hint": "topsecret"}"#) }).await;
    let (vault, account) = (Arc::new(FakeVault::default()), account(addr));
    let tokens = tokens(&vault);
    for _ in 0..10 {
        let error = tokens.bearer(&account).await.unwrap_err();
        let expected = format!("the token request to `http://{addr}/oauth2/token` was refused (400, `invalid_client`)");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.exit(), Exit::Usage);
    }
    let calls = vault.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].status, Some(400));
    assert!(!format!("{calls:?}").contains("topsecret"));
    assert!(vault.turn_is_free(account.key()), "the next worker need not wait for the turn to lapse");
}

#[tokio::test]
async fn a_passing_failure_of_the_token_service_is_ridden_out() {
    let addr = serve(|n, _| async move {
        match n {
            0 => None,
            1 => http_reply(503, "", "<html>busy</html>"),
            _ => http_reply(200, "", r#"{"access_token": "good", "expires_in": 3600}"#),
        }
    })
    .await;
    let (vault, account) = (Arc::new(FakeVault::default()), account(addr));
    assert_eq!(get(&tokens(&vault), &account).await, ("good".into(), 1));
    let statuses: Vec<_> = vault.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [None, Some(503), Some(200)]);
}

#[tokio::test]
async fn a_token_that_still_lives_is_used_while_it_cannot_be_renewed() {
    let addr = serve(|_, _| async { http_reply(400, "", r#"{"error": "invalid_client"}"#) }).await;
    let (vault, account) = (Arc::new(FakeVault::default()), account(addr));
    let tokens = tokens(&vault);
    vault.put_token(account.key(), stored(&tokens, &account, "old", HOUR, Duration::from_secs(30)));
    for _ in 0..5 {
        assert_eq!(get(&tokens, &account).await, ("old".into(), 5));
    }
    assert_eq!(vault.calls().len(), 1);
    // Not once the API refuses it.
    tokens.expired(&account, 5).await.unwrap_err();
}

#[tokio::test]
async fn a_caller_that_is_cut_off_does_not_leave_the_turn_taken() {
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let release = Arc::new(tokio::sync::Notify::new());
    let hold = release.clone();
    let addr = serve(move |_, _| {
        let (arrived, hold) = (arrived.clone(), hold.clone());
        async move {
            arrived.send(()).unwrap();
            hold.notified().await;
            http_reply(200, "", r#"{"access_token": "t1", "expires_in": 3600}"#)
        }
    })
    .await;
    let (vault, account) = (Arc::new(FakeVault::default()), account(addr));
    let tokens = tokens(&vault);
    let caller = {
        let (tokens, account) = (tokens.clone(), account.clone());
        tokio::spawn(async move { get(&tokens, &account).await })
    };
    arrivals.recv().await.unwrap();
    caller.abort();
    release.notify_one();
    assert_eq!(get(&tokens, &account).await, ("t1".into(), 1));
    assert_eq!(vault.calls().len(), 1);
}

#[tokio::test]
async fn a_database_that_restarts_is_waited_for() {
    let (vault, account) = (Arc::new(FakeVault::default()), account(service(3600).await));
    assert_eq!(get(&tokens(&vault), &account).await, ("t1".into(), 1));
    tokio::time::pause();
    vault.set_down(true);
    let (other, of) = (tokens(&vault), account.clone());
    let waiting = tokio::spawn(async move { get(&other, &of).await });
    tokio::time::sleep(refresh::DATABASE_PATIENCE / 2).await;
    vault.set_down(false);
    assert_eq!(waiting.await.unwrap(), ("t1".into(), 1));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_database_is_said_to_be_so() {
    let (vault, account) = (Arc::new(FakeVault::default()), account(service(3600).await));
    vault.set_down(true);
    // Not for ever.
    let error = tokens(&vault).bearer(&account).await.unwrap_err();
    assert_eq!(error.to_string(), "the database can't be reached: it is down");
    assert_eq!(error.exit(), Exit::Unavailable);
}

#[tokio::test]
async fn an_api_key_is_used_as_it_is_and_a_401_to_it_is_final() {
    let vault = Arc::new(FakeVault::default());
    let url = "https://api.example.com".parse().unwrap();
    let account = Account::new("enrich", &url, Auth::bearer(Secret::new("ldtkey"), "api_key"));
    let tokens = tokens(&vault);
    assert_eq!(get(&tokens, &account).await, ("ldtkey".into(), 0));
    let error = tokens.expired(&account, 0).await.unwrap_err();
    assert_eq!(error.to_string(), "the API key of `enrich` was refused (401)");
    assert_eq!(error.exit(), Exit::Usage);
    let open = Account::new("crm", &url, Auth::None);
    assert_eq!(tokens.bearer(&open).await.unwrap(), None);
    assert!(vault.calls().is_empty());
}
