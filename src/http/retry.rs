//! How long to wait before the next try, and when to stop trying. The only user of the `backoff` crate.
//!
//! Two kinds of waiting: a lead whose delivery failed waits in the database ([`Backoff::delay`] sets its
//! `not_before_ms`); a call that may be repeated (look-up, token, check) is repeated in place ([`Backoff::short`]), as
//! long as the account's [`Budget`] lasts.

mod breaker;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use backoff::SystemClock;
use backoff::backoff::Backoff as _;
use backoff::exponential::ExponentialBackoff;

pub use breaker::Breaker;

/// Each wait is on average this many times the one before.
const MULTIPLIER: f64 = 2.0;
/// Waits differ from the average by up to this part, so that many leads that failed together don't return together.
const JITTER: f64 = 0.5;
/// Repeats in place: so many, and none that would wait longer than [`SHORT_MAX`].
const SHORT_TRIES: usize = 4;
const SHORT_MAX: Duration = Duration::from_secs(4);

/// Exponential waits with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
}

impl Backoff {
    /// Waits that begin around `initial` and double up to `max` (`retry.initial_interval`, `retry.max_interval`).
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self { initial: initial.min(max), max }
    }

    /// How long to wait after failure number `failures` (1: the first). Within 50 % of `initial * 2^(failures - 1)`, and
    /// never above `max`.
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = f64::from(failures.saturating_sub(1).min(1_000));
        let average = (self.initial.as_secs_f64() * MULTIPLIER.powf(doublings)).min(self.max.as_secs_f64());
        let mut waits = self.from(Duration::from_secs_f64(average));
        waits.next_backoff().unwrap_or(self.max).min(self.max)
    }

    /// Waits between repeats in place: a few, none longer than a few seconds.
    pub fn short(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let max = self.max.min(SHORT_MAX);
        let mut waits = Self { initial: self.initial.min(max), max }.from(self.initial.min(max));
        std::iter::from_fn(move || waits.next_backoff()).map(move |wait| wait.min(max)).take(SHORT_TRIES)
    }

    fn from(&self, current: Duration) -> ExponentialBackoff<SystemClock> {
        ExponentialBackoff {
            current_interval: current,
            initial_interval: self.initial,
            randomization_factor: JITTER,
            multiplier: MULTIPLIER,
            max_interval: self.max,
            start_time: Instant::now(),
            max_elapsed_time: None,
            clock: SystemClock::default(),
        }
    }
}

impl Default for Backoff {
    /// 500 ms to 15 min: the defaults of `retry.initial_interval` and `retry.max_interval`.
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(15 * 60))
    }
}

/// What repeats may cost, for all calls of an account together. A service that fails now and then has its failures
/// repeated; one that is sick is not hammered with repeats of everything, since only successes refill the budget.
#[derive(Debug)]
pub struct Budget(AtomicI64);

impl Budget {
    const FULL: i64 = 100;
    const REPEAT: i64 = 5;
    const SUCCESS: i64 = 1;

    /// A full budget: 20 repeats, and one more for every 5 successes.
    pub fn new() -> Self {
        Self(AtomicI64::new(Self::FULL))
    }

    /// Pays for one repeat; false if there is not enough left.
    pub fn repeat(&self) -> bool {
        let paid = |left| (left >= Self::REPEAT).then_some(left - Self::REPEAT);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).is_ok()
    }

    /// A call succeeded.
    pub fn success(&self) {
        let refilled = |left| Some(Self::FULL.min(left + Self::SUCCESS));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, refilled);
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}
