//! A database that is away for a while (a restart, a failover, a lock that somebody holds) is waited for.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::{Result, StoreError};

/// Pause before the database is asked again.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest wait for an answer of the database: longer than its own time limits, for a server that vanished.
const ANSWER: Duration = Duration::from_secs(30);
/// The same once the grace time is over, for what has no second chance.
pub const LAST_ANSWER: Duration = Duration::from_secs(3);

/// How long a database that is away is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    /// From the first question on.
    pub term: Duration,
    /// When this comes there is no time left: a question that is open gets `last` for its answer, and is the last one.
    pub hurry: &'a CancellationToken,
    pub last: Duration,
}

/// Asks the database, again and again while it is away. `away` hears of every time that no answer came. Only for what may
/// be done twice.
///
/// # Errors
/// What it said last.
pub async fn patiently<T, F>(patience: Patience<'_>, away: impl Fn(), ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let give_up = Instant::now() + patience.term;
    let mut told = false;
    loop {
        let answer = once(patience.hurry, patience.last, ask()).await;
        let Err(error) = &answer else { return answer };
        if !error.is_unavailable() {
            return answer;
        }
        away();
        if Instant::now() >= give_up || patience.hurry.is_cancelled() {
            return answer;
        }
        if !told {
            tracing::warn!("{error}; trying again");
            told = true;
        }
        let _ = patience.hurry.run_until_cancelled(pause()).await;
    }
}

/// The pause before the next try.
pub async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

/// One try, that does not wait for ever for a server that vanished, nor longer than `last` once `hurry` has come.
pub async fn once<T>(hurry: &CancellationToken, last: Duration, ask: impl Future<Output = Result<T>>) -> Result<T> {
    let hurried = async {
        hurry.cancelled().await;
        tokio::time::sleep(last).await;
    };
    let silent = || Err(StoreError::Unavailable { what: "it does not answer".to_owned() });
    tokio::select! {
        biased;
        answer = ask => answer,
        () = tokio::time::sleep(ANSWER) => silent(),
        () = hurried => silent(),
    }
}
