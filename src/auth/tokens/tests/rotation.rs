//! Rotating refresh tokens: spent once, durable before they are used, repeated once where the answer was lost.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::auth::idp::{Fate, Idp, SEED};

/// A clock that tests set.
#[derive(Debug)]
pub(super) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_795_000_000_000)))
    }

    pub(super) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

/// An account that was given `seed` to begin with.
pub(super) fn rotating(idp: &Idp, seed: &str) -> Account {
    let token_url: url::Url = format!("http://{}/token", idp.addr).parse().unwrap();
    let client = Client { id: "client".into(), secret: Secret::new("topsecret"), place: ClientPlace::Body };
    let grant = Grant::refresh_chain(token_url.clone(), &client, Some(Secret::new(seed)), Encoding::Form);
    Account::new("crm", &token_url, grant.into())
}

/// A worker.
pub(super) fn worker(vault: &Arc<FakeVault>, clock: &Arc<ManualClock>) -> Tokens {
    worker_on(vault.clone(), clock)
}

/// A worker with this view of the database.
pub(super) fn worker_on(vault: Arc<dyn Vault>, clock: &Arc<ManualClock>) -> Tokens {
    let keyring = Keyring::new(&[Secret::new("01".repeat(32))]).unwrap();
    Tokens::new(vault, keyring, HttpClient::new(), clock.clone(), Some(RunId(7)))
}

/// The longest that a first request may be at work.
const AT_WORK: Duration = Duration::from_secs(25);

async fn setting(expires_in: i64) -> (Idp, Arc<FakeVault>, Arc<ManualClock>, Account) {
    let idp = Idp::start(expires_in).await;
    let account = rotating(&idp, SEED);
    (idp, Arc::new(FakeVault::default()), ManualClock::new(), account)
}

fn asks(tokens: &Tokens, account: &Account) -> tokio::task::JoinHandle<Result<Option<Bearer>, AuthError>> {
    let (tokens, account) = (tokens.clone(), account.clone());
    tokio::spawn(async move { tokens.bearer(&account).await })
}

/// Advances the clock to when the turn that is taken lapses. Fails if that is while its request may be at work.
fn lapse(vault: &FakeVault, clock: &ManualClock, account: &Account) {
    let left = clock.now().until(vault.turn_until(account.token_key()).unwrap());
    assert!(left >= AT_WORK, "the repeat would meet the first request: {left:?}");
    clock.advance(left);
}

fn needs_login(result: Result<Option<Bearer>, AuthError>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, AuthError::NeedsLogin { .. }), "{error:?}");
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.remedy().unwrap().contains("refresh_token"));
    error.to_string()
}

#[tokio::test]
async fn the_chain_begins_with_the_seed_and_goes_on_with_what_is_stored() {
    let (idp, vault, clock, account) = setting(3600).await;
    let tokens = worker(&vault, &clock);
    assert_eq!(get(&tokens, &account).await, ("a1".into(), 1));
    tokens.expired(&account, 1).await.unwrap();
    // Another process, with the same configuration.
    let other = worker(&vault, &clock);
    assert_eq!(get(&other, &account).await, ("a2".into(), 2));
    clock.advance(Duration::from_secs(3600));
    assert_eq!(get(&other, &account).await, ("a3".into(), 3));
    assert_eq!(idp.presented(), [SEED, "r1", "r2"]);
    assert_eq!(idp.replays(), 0);
    let sealed = vault.stored(account.token_key()).unwrap().sealed;
    assert!(!sealed.windows(2).any(|window| window == b"r3" || window == b"a3"));
}

#[tokio::test]
async fn a_new_seed_begins_anew_and_keeps_the_quota() {
    let (idp, vault, clock, account) = setting(3600).await;
    get(&worker(&vault, &clock), &account).await;
    idp.log_in("second-login");
    let again = rotating(&idp, "second-login");
    assert_eq!(get(&worker(&vault, &clock), &again).await, ("a2".into(), 1));
    assert_eq!(idp.presented(), [SEED, "second-login"]);
    assert_eq!(account.key(), again.key());
    assert_ne!(account.token_key(), again.token_key());
}

#[tokio::test]
async fn a_person_that_wants_a_new_token_spends_one_refresh_token() {
    let (idp, vault, clock, account) = setting(3600).await;
    for generation in 1..=3 {
        let renewed = worker(&vault, &clock).renew(&account).await.unwrap().unwrap();
        assert_eq!(renewed.generation, generation);
    }
    // Two at once: one exchange each, whoever is first.
    let (one, other) = (worker(&vault, &clock), worker(&vault, &clock));
    let (one, other) = tokio::join!(one.renew(&account), other.renew(&account));
    assert_eq!((one.unwrap().unwrap().generation, other.unwrap().unwrap().generation), (4, 4));
    assert_eq!((idp.presented(), idp.replays()), ([SEED, "r1", "r2", "r3"].map(str::to_owned).to_vec(), 0));
}

#[tokio::test]
async fn a_request_that_was_lost_is_repeated_once_it_can_no_longer_be_at_work() {
    let (idp, vault, clock, account) = setting(3600).await;
    idp.fates([Fate::RequestLost]);
    let asking = asks(&worker(&vault, &clock), &account);
    idp.arrival().await;
    lapse(&vault, &clock, &account);
    assert_eq!(asking.await.unwrap().unwrap().unwrap().token.expose(), "a1");
    assert_eq!((idp.presented(), idp.replays()), (vec![SEED.to_owned(); 2], 0));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_once_more_and_then_the_account_needs_a_login() {
    let (idp, vault, clock, account) = setting(3600).await;
    idp.fates([Fate::AnswerLost]);
    let asking = asks(&worker(&vault, &clock), &account);
    idp.arrival().await;
    lapse(&vault, &clock, &account);
    let said = needs_login(asking.await.unwrap());
    assert!(said.contains("needs a new login: its refresh token was refused (400, `invalid_grant`)"), "{said}");
    assert_eq!((idp.presented().len(), idp.replays()), (2, 1));
    // For good: no other worker asks again, however much time passes.
    clock.advance(HOUR);
    assert_eq!(needs_login(worker(&vault, &clock).bearer(&account).await), said);
    assert_eq!(idp.presented().len(), 2);
    // Until a person has logged in.
    idp.log_in("second-login");
    let again = rotating(&idp, "second-login");
    assert_eq!(get(&worker(&vault, &clock), &again).await.1, 1);
}

#[tokio::test]
async fn there_is_no_third_try() {
    let (idp, vault, clock, account) = setting(3600).await;
    idp.fates([Fate::RequestLost, Fate::RequestLost]);
    let asking = asks(&worker(&vault, &clock), &account);
    idp.arrival().await;
    lapse(&vault, &clock, &account);
    idp.arrival().await;
    lapse(&vault, &clock, &account);
    let said = needs_login(asking.await.unwrap());
    assert!(said.contains("two exchanges of its refresh token in a row were cut off"), "{said}");
    assert_eq!(idp.presented().len(), 2);
    assert!(vault.needs_login(account.token_key()).is_some());
}

#[tokio::test]
async fn a_worker_killed_between_answer_and_storing_costs_one_repeat() {
    let (idp, vault, clock, account) = setting(3600).await;
    vault.kill_before_storing(true);
    let killed = asks(&worker(&vault, &clock), &account);
    until("it was killed", || vault.deaths() == 1).await;
    vault.kill_before_storing(false);
    lapse(&vault, &clock, &account);
    needs_login(worker(&vault, &clock).bearer(&account).await);
    assert_eq!((idp.presented(), idp.replays()), (vec![SEED.to_owned(); 2], 1));
    killed.abort();
}

#[tokio::test]
async fn the_access_token_that_is_still_good_is_used_up_first() {
    let (idp, vault, clock, account) = setting(3600).await;
    let tokens = worker(&vault, &clock);
    get(&tokens, &account).await;
    idp.fates([Fate::AnswerLost]);
    // A minute before its end: time to renew it.
    clock.advance(Duration::from_secs(3541));
    assert_eq!(get(&tokens, &account).await.0, "a1");
    let others = [worker(&vault, &clock), worker(&vault, &clock)];
    for other in &others {
        assert_eq!(get(other, &account).await.0, "a1");
    }
    assert_eq!(idp.presented(), [SEED, "r1"], "the others know that the answer was lost, and wait");
    lapse(&vault, &clock, &account);
    for other in others.into_iter().chain([worker(&vault, &clock)]) {
        assert_eq!(get(&other, &account).await.0, "a1");
    }
    assert_eq!((idp.presented(), idp.replays()), ([SEED, "r1", "r1"].map(str::to_owned).to_vec(), 1));
    assert!(vault.needs_login(account.token_key()).is_some());
    clock.advance(Duration::from_secs(60));
    needs_login(worker(&vault, &clock).bearer(&account).await);
    assert_eq!(idp.presented().len(), 3);
}

#[tokio::test]
async fn a_failure_that_was_answered_is_no_lost_answer() {
    let (idp, vault, clock, account) = setting(3600).await;
    let busy = "Retry-After: 3\r\n";
    idp.fates([Fate::Answered(500, "", ""), Fate::Answered(503, busy, ""), Fate::Answered(500, "", "")]);
    let asking = asks(&worker(&vault, &clock), &account);
    idp.arrival().await;
    idp.arrival().await;
    until("the pause is known to all", || vault.turn_is_free(account.token_key())).await;
    assert_eq!(clock.now().until(vault.turn_until(account.token_key()).unwrap()), Duration::from_secs(3));
    clock.advance(Duration::from_secs(3));
    assert_eq!(asking.await.unwrap().unwrap().unwrap().token.expose(), "a1");
    assert_eq!((idp.presented(), idp.replays()), (vec![SEED.to_owned(); 4], 0));
}

#[tokio::test]
async fn a_service_that_asks_for_a_long_pause_is_left_alone_by_all() {
    let (idp, vault, clock, account) = setting(3600).await;
    idp.fates([Fate::Answered(429, "Retry-After: 600\r\n", "")]);
    let asking = asks(&worker(&vault, &clock), &account);
    idp.arrival().await;
    for asking in [asking, asks(&worker(&vault, &clock), &account)] {
        let error = asking.await.unwrap().unwrap_err();
        assert!(error.to_string().starts_with("the token service asks to be left alone until "), "{error}");
        assert_eq!(error.exit(), crate::exit::Exit::Unavailable);
    }
    assert_eq!(idp.presented().len(), 1);
    clock.advance(Duration::from_secs(600));
    assert_eq!(get(&worker(&vault, &clock), &account).await.0, "a1");
    assert_eq!((idp.presented().len(), idp.replays()), (2, 0));
}

#[tokio::test]
async fn an_answer_that_a_gateway_did_not_wait_for_is_lost() {
    for (fates, repeated) in [(1, true), (2, false)] {
        let (idp, vault, clock, account) = setting(3600).await;
        idp.fates((0..fates).map(|_| Fate::Answered(504, "", "")));
        let asking = asks(&worker(&vault, &clock), &account);
        for _ in 0..fates {
            idp.arrival().await;
            lapse(&vault, &clock, &account);
        }
        match asking.await.unwrap() {
            Ok(bearer) => assert_eq!((bearer.unwrap().token.expose(), repeated), ("a1", true)),
            result => assert!(needs_login(result).contains("in a row were cut off") && !repeated),
        }
        assert_eq!(idp.presented().len(), 2);
    }
}

#[tokio::test]
async fn behind_a_gateway_that_gave_up_the_request_may_be_at_work() {
    let (idp, vault, clock, account) = setting(3600).await;
    idp.fates([Fate::Answered(502, "", ""), Fate::Answered(502, "", ""), Fate::Answered(502, "", "")]);
    let (first, second) = (asks(&worker(&vault, &clock), &account), asks(&worker(&vault, &clock), &account));
    for _ in 0..3 {
        idp.arrival().await;
        until("it was given up", || vault.turn_is_free(account.token_key())).await;
        lapse(&vault, &clock, &account);
    }
    // As often as that: it never was for want of an answer.
    assert_eq!(first.await.unwrap().unwrap().unwrap().token.expose(), "a1");
    assert_eq!(second.await.unwrap().unwrap().unwrap().token.expose(), "a1");
    assert_eq!((idp.presented(), idp.replays()), (vec![SEED.to_owned(); 4], 0));
}

#[tokio::test]
async fn a_wrong_secret_spends_nothing_and_needs_no_login() {
    let (idp, vault, clock, account) = setting(3600).await;
    idp.fates([Fate::Answered(401, "", r#"{"error": "invalid_client"}"#)]);
    let error = worker(&vault, &clock).bearer(&account).await.unwrap_err();
    assert_eq!(error.remedy(), Some("check `client_id` and `client_secret`"));
    assert_eq!(vault.needs_login(account.token_key()), None);
    assert_eq!(get(&worker(&vault, &clock), &account).await, ("a1".into(), 1));
}

#[tokio::test]
async fn a_new_refresh_token_is_held_until_the_database_takes_it() {
    let (idp, vault, clock, account) = setting(3600).await;
    idp.fates([Fate::Held]);
    let tokens = worker(&vault, &clock);
    let asking = asks(&tokens, &account);
    idp.arrival().await;
    vault.set_down(true);
    idp.release();
    // The caller is cut off; what it began goes on, and the process waits for it before it ends.
    asking.abort();
    let finishing = tokio::spawn(async move { tokens.finish().await });
    until("it tried to store", || vault.failures() >= 3).await;
    assert!(!finishing.is_finished());
    vault.set_down(false);
    finishing.await.unwrap();
    assert_eq!(get(&worker(&vault, &clock), &account).await, ("a1".into(), 1));
    assert_eq!(idp.presented(), [SEED]);
}

#[tokio::test]
async fn the_seed_is_not_used_again_because_a_key_is_gone() {
    let (idp, vault, clock, account) = setting(3600).await;
    get(&worker(&vault, &clock), &account).await;
    let error = tokens_under(&vault, "02").bearer(&account).await.unwrap_err();
    assert!(error.to_string().contains("put back the key"), "{error}");
    assert_eq!(error.exit(), Exit::Usage);
    assert_eq!(idp.presented(), [SEED]);
}

#[tokio::test]
async fn a_turn_to_ask_with_a_secret_lasts_as_long_as_its_holder_lives() {
    let (idp, vault, clock, _) = setting(3600).await;
    let account = account_at(idp.addr, "/token");
    idp.fates([Fate::Held]);
    let asking = asks(&worker(&vault, &clock), &account);
    idp.arrival().await;
    let other = asks(&worker(&vault, &clock), &account);
    for _ in 0..3 {
        clock.advance(Duration::from_secs(3));
        let renewed = || vault.turn_until(account.token_key()).unwrap() > clock.now().plus(Duration::from_secs(3));
        until("the turn was renewed", renewed).await;
    }
    assert!(!other.is_finished());
    idp.release();
    for asked in [asking, other] {
        assert_eq!(asked.await.unwrap().unwrap().unwrap().token.expose(), "a1");
    }
    assert_eq!(idp.presented(), ["-"]);
}

#[tokio::test(start_paused = true)]
async fn an_exchange_is_not_begun_when_most_of_its_turn_is_over() {
    let (idp, vault, clock, account) = setting(3600).await;
    // A worker that is suspended right after it got its turn.
    vault.turns_take(Duration::from_secs(21));
    let asking = asks(&worker(&vault, &clock), &account);
    until("it tried several times", || vault.turns_given() >= 3).await;
    asking.abort();
    assert!(idp.presented().is_empty());
    assert_eq!(vault.lost(account.token_key()), 0, "what was not sent is not lost");
}

#[tokio::test(start_paused = true)]
async fn others_are_not_waited_for_without_end() {
    let (idp, vault, clock, account) = setting(3600).await;
    vault.put_turn(account.token_key(), clock.now().plus(Duration::from_secs(20)));
    let error = worker(&vault, &clock).bearer(&account).await.unwrap_err();
    assert_eq!(error.to_string(), "other workers have tried to get a token for 90 s");
    assert_eq!(error.exit(), Exit::Unavailable);
    assert!(idp.presented().is_empty());
}

/// Waits until something has happened.
pub(super) async fn until(what: &str, happened: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !happened() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}
