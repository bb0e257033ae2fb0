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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const TERM: Duration = Duration::from_secs(10);

    /// A database that is away until it has been asked so often; how often it was asked, and told to be away.
    async fn ask(comes_back_after: u32, hurry: &CancellationToken, last: Duration) -> (Result<u32>, u32, u32) {
        let (asked, away) = (AtomicU32::new(0), AtomicU32::new(0));
        let question = || async {
            match asked.fetch_add(1, Ordering::Relaxed) + 1 {
                n if n > comes_back_after => Ok(n),
                _ => Err(StoreError::Unavailable { what: "gone".to_owned() }),
            }
        };
        let patience = Patience { term: TERM, hurry, last };
        let is_away = || {
            away.fetch_add(1, Ordering::Relaxed);
        };
        let answer = patiently(patience, is_away, question).await;
        (answer, asked.into_inner(), away.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_comes_back_is_asked_until_it_answers() {
        let (answer, asked, away) = ask(5, &CancellationToken::new(), Duration::ZERO).await;
        assert_eq!((answer.unwrap(), asked, away), (6, 6, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stays_away_is_given_up_when_the_term_is_over() {
        let began = Instant::now();
        let (answer, ..) = ask(u32::MAX, &CancellationToken::new(), Duration::ZERO).await;
        assert!(answer.unwrap_err().is_unavailable());
        assert!(began.elapsed() >= TERM && began.elapsed() < TERM + ANSWER, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn without_time_left_there_is_one_try_and_it_may_still_be_answered() {
        let hurry = CancellationToken::new();
        hurry.cancel();
        let (answer, asked, _) = ask(u32::MAX, &hurry, LAST_ANSWER).await;
        assert!(answer.is_err() && asked == 1, "{asked}");
        let slowly = async {
            tokio::time::sleep(LAST_ANSWER / 2).await;
            Ok(7)
        };
        assert_eq!(once(&hurry, LAST_ANSWER, slowly).await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_not_waited_for_without_end() {
        let never = once::<()>(&CancellationToken::new(), LAST_ANSWER, std::future::pending()).await;
        assert!(never.unwrap_err().is_unavailable());
    }
}
