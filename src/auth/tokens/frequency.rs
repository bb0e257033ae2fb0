//! How often tokens are refreshed, against what their life explains.
//!
//! Where a grant allows one token at a time, two deployments that share it, each with a database of its own, take it from
//! each other: each refreshes as soon as it meets the other's. Nothing fails, so it is seen only by its frequency.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::renew_at;
use crate::clock::Timestamp;
use crate::store::{REFRESHES_KEPT, TokenRefresh};

/// What is looked at.
pub const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Refreshes that need no explanation, besides as many again as are explained: a person's, a revoked token, a restart of
/// the token service.
const SPARE: u64 = 3;

/// Refreshes of one account in the last [`WINDOW`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequency {
    /// How many there were.
    pub refreshed: u64,
    /// The log holds no more of them: there may have been more.
    pub at_least: bool,
    /// How many there would have been if every token had been used to its end.
    pub explained: u64,
}

impl Frequency {
    /// Of these refreshes, all of one account. `None`: there was none.
    pub fn of<'a>(refreshes: impl IntoIterator<Item = &'a TokenRefresh>, now: Timestamp) -> Option<Self> {
        let since = now.minus(WINDOW);
        let lately: Vec<_> = refreshes.into_iter().filter(|it| it.refreshed_at >= since).collect();
        let mut lives: Vec<Duration> =
            lately.iter().map(|it| it.refreshed_at.until(renew_at(it.refreshed_at, it.expires_at))).collect();
        lives.sort();
        let life = lives.get(lives.len() / 2)?.max(&Duration::from_secs(1)).as_secs();
        let refreshed = lately.len() as u64;
        let at_least = refreshed >= REFRESHES_KEPT.unsigned_abs();
        let seen = match lately.iter().map(|it| it.refreshed_at).min().filter(|_| at_least) {
            Some(first) => first.until(now),
            None => WINDOW,
        };
        Some(Self { refreshed, at_least, explained: seen.as_secs().div_ceil(life) })
    }

    /// Well above what is explained.
    pub fn is_unusual(&self) -> bool {
        self.refreshed > 2 * self.explained + SPARE
    }
}
