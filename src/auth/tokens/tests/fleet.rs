//! Eight workers, each with a view of its own of one real database.

use futures_util::future::join_all;

use super::rotation::{ManualClock, rotating, worker_on};
use super::*;
use crate::auth::idp::{Fate, Idp, SEED};
use crate::support::database::{Kind, TestDatabase};

/// Makes each case a test on each database.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::Fleet::new(super::Kind::Sqlite).await).await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::Fleet::new(super::Kind::Postgres).await).await; })*
        }
    };
}

on_both![
    workers_that_start_at_once_ask_once,
    workers_that_start_at_once_spend_the_seed_once,
    a_revoked_token_is_renewed_once_by_the_whole_fleet,
    a_refresh_token_is_spent_once_in_each_generation,
    a_worker_killed_while_it_asks_is_noticed_within_seconds,
    a_worker_killed_in_mid_exchange_is_followed_by_one_repeat,
    a_dead_grant_stops_every_worker_with_one_request,
];

const WORKERS: usize = 8;

struct Fleet {
    database: TestDatabase,
    idp: Idp,
    clock: Arc<ManualClock>,
    workers: Vec<Tokens>,
}

impl Fleet {
    async fn new(kind: Kind) -> Self {
        let database = TestDatabase::new(kind).await;
        let (idp, clock) = (Idp::start(1).await, ManualClock::new());
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            workers.push(worker_on(database.again().await, &clock));
        }
        Self { database, idp, clock, workers }
    }

    /// An account that asks with a secret.
    fn with_secret(&self) -> Account {
        account_at(self.idp.addr, "/token")
    }

    /// What each worker gets, all asking at once.
    async fn all_ask(&self, account: &Account) -> Vec<Result<(String, i64), AuthError>> {
        let tasks = self.workers.iter().map(|tokens| {
            let (tokens, account) = (tokens.clone(), account.clone());
            tokio::spawn(async move { tokens.bearer(&account).await })
        });
        let all = join_all(tasks.collect::<Vec<_>>()).await.into_iter();
        all.map(|it| it.unwrap().map(|it| it.unwrap()).map(|it| (it.token.expose().to_owned(), it.generation)))
            .collect()
    }

    /// A worker of its own, which asks and is killed as soon as its request has arrived. Kill it by calling the answer.
    async fn doomed(&self, account: &Account) -> impl FnOnce() + use<> {
        let store = self.database.again().await;
        let (clock, account) = (self.clock.clone(), account.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move { worker_on(store, &clock).bearer(&account).await });
        move || runtime.shutdown_background()
    }
}

fn tokens_of(answers: Vec<Result<(String, i64), AuthError>>) -> Vec<(String, i64)> {
    let mut answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    answers.dedup();
    answers
}

async fn workers_that_start_at_once_ask_once(fleet: Fleet) {
    let account = fleet.with_secret();
    assert_eq!(tokens_of(fleet.all_ask(&account).await), [("a1".into(), 1)]);
    assert_eq!(fleet.idp.presented(), ["-"]);
}

async fn workers_that_start_at_once_spend_the_seed_once(fleet: Fleet) {
    let account = rotating(&fleet.idp, SEED);
    assert_eq!(tokens_of(fleet.all_ask(&account).await), [("a1".into(), 1)]);
    assert_eq!(fleet.idp.presented(), [SEED]);
}

async fn a_revoked_token_is_renewed_once_by_the_whole_fleet(fleet: Fleet) {
    for account in [fleet.with_secret(), rotating(&fleet.idp, SEED)] {
        let before = fleet.idp.presented().len();
        fleet.all_ask(&account).await;
        // Each of them hears a 401 to the first token.
        let told = join_all(fleet.workers.iter().map(|tokens| tokens.expired(&account, 1))).await;
        assert!(told.into_iter().all(|it| it.is_ok()));
        assert_eq!(tokens_of(fleet.all_ask(&account).await)[0].1, 2);
        assert_eq!(fleet.idp.presented().len() - before, 2);
    }
    assert_eq!(fleet.idp.replays(), 0);
}

async fn a_refresh_token_is_spent_once_in_each_generation(fleet: Fleet) {
    let account = rotating(&fleet.idp, SEED);
    const GENERATIONS: i64 = 12;
    for generation in 1..=GENERATIONS {
        assert_eq!(tokens_of(fleet.all_ask(&account).await), [(format!("a{generation}"), generation)]);
        fleet.clock.advance(Duration::from_secs(1));
    }
    let expected: Vec<_> = std::iter::once(SEED.to_owned()).chain((1..GENERATIONS).map(|n| format!("r{n}"))).collect();
    assert_eq!((fleet.idp.presented(), fleet.idp.replays()), (expected, 0));
}

async fn a_worker_killed_while_it_asks_is_noticed_within_seconds(fleet: Fleet) {
    let account = fleet.with_secret();
    fleet.idp.fates([Fate::Held]);
    let kill = fleet.doomed(&account).await;
    fleet.idp.arrival().await;
    kill();
    // Its request may be at work for much longer than this.
    fleet.clock.advance(Duration::from_secs(5));
    assert_eq!(tokens_of(fleet.all_ask(&account).await), [("a2".into(), 1)]);
    assert_eq!(fleet.idp.presented(), ["-", "-"]);
}

async fn a_worker_killed_in_mid_exchange_is_followed_by_one_repeat(fleet: Fleet) {
    let account = rotating(&fleet.idp, SEED);
    fleet.all_ask(&account).await;
    // Not its end yet, but time to renew it.
    fleet.clock.advance(Duration::from_millis(850));
    fleet.idp.fates([Fate::RequestLost]);
    let kill = fleet.doomed(&account).await;
    fleet.idp.arrival().await;
    kill();
    // All others go on with what they have, as often as they ask.
    for _ in 0..3 {
        assert_eq!(tokens_of(fleet.all_ask(&account).await), [("a1".into(), 1)]);
    }
    assert_eq!(fleet.idp.presented(), [SEED, "r1"]);
    fleet.clock.advance(Duration::from_secs(30));
    assert_eq!(tokens_of(fleet.all_ask(&account).await), [("a2".into(), 2)]);
    assert_eq!((fleet.idp.presented(), fleet.idp.replays()), ([SEED, "r1", "r1"].map(str::to_owned).to_vec(), 0));
}

async fn a_dead_grant_stops_every_worker_with_one_request(fleet: Fleet) {
    let account = rotating(&fleet.idp, "revoked-long-ago");
    let answers = fleet.all_ask(&account).await;
    assert!(answers.iter().all(|it| matches!(it, Err(AuthError::NeedsLogin { .. }))), "{answers:?}");
    assert_eq!(fleet.idp.presented(), ["revoked-long-ago"]);
    let stored = fleet.database.store.tokens().await.unwrap();
    assert_eq!((stored.len(), stored[0].token.needs_login.is_some()), (1, true));
}
