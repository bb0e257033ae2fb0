//! The rate limit of one account.
//!
//! Two things are kept apart. *Pace*: permits are handed out evenly, first come first served, a little slower than the
//! limit (GCRA, by governor). *Proof*: what the server counts is when requests reach it, and between permit and departure
//! lie a database commit and a token; so every departure is entered in a log, and the next waits until the window before
//! it has room. The pace keeps the wait at the log short and carries the limit across restarts, when the log is empty;
//! the log alone makes "never more than `count` in any window" true.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as GovernorClock, Reference};
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::message::Rate;
use crate::clock::{Clock, Timestamp};

/// Part of the window that is left free, for requests that reach the server closer together than they left.
const MARGIN_PERCENT: u32 = 3;
/// The margin never needs to be longer than this.
const MARGIN_MAX: Duration = Duration::from_secs(1);
/// How much lateness the pace makes up for: timers wake up to a millisecond late, and without catching up each of these
/// would be lost from the rate.
const CATCH_UP: Duration = Duration::from_millis(100);

/// The limiter of one account; cheap to clone.
#[derive(Clone)]
pub struct Limiter(Arc<Shared>);

struct Shared {
    limits: Option<Limits>,
    /// Held by the first in the line of those who want a permit; tokio's mutex is fair.
    line: Mutex<()>,
    /// No permit before this moment.
    gate: StdMutex<Option<Instant>>,
    clock: Arc<dyn Clock>,
}

struct Limits {
    count: usize,
    /// `Rate::per` and the margin.
    window: Duration,
    pace: RateLimiter<
        governor::state::NotKeyed,
        governor::state::InMemoryState,
        TokioClock,
        governor::middleware::NoOpMiddleware<TokioInstant>,
    >,
    /// Departures of the last window, oldest first; at most `count`. Held while waiting for room, so that departures keep
    /// their order.
    departures: Mutex<VecDeque<Instant>>,
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limiter")
    }
}

impl Limiter {
    /// A limiter for `rate`; `None` limits nothing, but can be paused like any other. A count or window of zero is no
    /// rate and counts as one call in the window, or a window of a millisecond.
    pub fn new(rate: Option<Rate>, clock: Arc<dyn Clock>) -> Self {
        let limits = rate.map(|rate| Limits::of(&rate));
        Self(Arc::new(Shared { limits, line: Mutex::new(()), gate: StdMutex::new(None), clock }))
    }

    /// Waits for a time slot, first come first served, and for the end of a pause. `None` if `stop` came first.
    ///
    /// A permit that is dropped unused is a slot gone by: nothing is handed back, and nothing is counted as sent.
    pub async fn permit(&self, stop: &CancellationToken) -> Option<Permit> {
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            () = self.0.slot() => Some(Permit(self.0.clone())),
        }
    }

    /// Hands out no permit until then; of two pauses the one that ends later wins. Work re-enters at the pace of the
    /// limit, not all at once. Permits already handed out stay good.
    pub fn pause_until(&self, until: Timestamp) {
        let opens = Instant::now() + self.0.clock.now().until(until).min(FAR);
        let mut gate = self.0.gate.lock().unwrap_or_else(PoisonError::into_inner);
        *gate = (*gate).max(Some(opens));
    }

    /// How long no permit will be handed out, from now.
    #[cfg(test)]
    pub(crate) fn pause_left(&self) -> Duration {
        let gate = *self.0.gate.lock().unwrap();
        gate.map_or(Duration::ZERO, |opens| opens.saturating_duration_since(Instant::now()))
    }
}

/// Longest window and longest pause: a year, so that no `Instant` overflows.
const FAR: Duration = Duration::from_secs(365 * 86_400);

impl Limits {
    fn of(rate: &Rate) -> Self {
        let per = rate.per.clamp(Duration::from_millis(1), FAR);
        let count = NonZeroU32::new(rate.count).unwrap_or(NonZeroU32::MIN);
        let window = per + (per * MARGIN_PERCENT / 100).min(MARGIN_MAX);
        let interval = (window / count.get()).max(Duration::from_nanos(1));
        let late = u32::try_from(CATCH_UP.as_nanos().div_ceil(interval.as_nanos())).unwrap_or(u32::MAX);
        let burst = count.min(NonZeroU32::MIN.saturating_add(late));
        // `with_period` knows only zero as an error, and `interval` is at least a nanosecond.
        let quota = Quota::with_period(interval).unwrap_or_else(|| Quota::per_second(count)).allow_burst(burst);
        let pace = RateLimiter::direct_with_clock(quota, TokioClock);
        // A new limiter may follow one that a process before us has just used up to the full: it starts with one slot, not
        // with a burst.
        if let Some(spare) = NonZeroU32::new(burst.get() - 1) {
            let _ = pace.check_n(spare);
        }
        Self { count: count.get() as usize, window, pace, departures: Mutex::default() }
    }
}

impl Shared {
    async fn slot(&self) {
        let _first = self.line.lock().await;
        loop {
            let opens = *self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if let Some(opens) = opens.filter(|opens| *opens > now) {
                sleep_until(opens).await;
                continue;
            }
            match self.limits.as_ref().map(|limits| limits.pace.check()) {
                None | Some(Ok(())) => return,
                // The gate may have closed in the meantime: look again.
                Some(Err(too_early)) => sleep_until(too_early.earliest_possible().0).await,
            }
        }
    }
}

/// The right to send one request.
#[must_use = "a permit that is not used is a slot gone by"]
pub struct Permit(Arc<Shared>);

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

impl Permit {
    /// Counts the departure, to be called right before the request is written: waits, as a rule not at all, until the
    /// window has room.
    pub async fn depart(self) {
        let Some(limits) = &self.0.limits else { return };
        let mut departures = limits.departures.lock().await;
        if departures.len() >= limits.count {
            if let Some(oldest) = departures.front() {
                sleep_until(*oldest + limits.window).await;
            }
            departures.pop_front();
        }
        // What counts is when it really leaves, not when it was allowed to: timers are late, never early.
        departures.push_back(Instant::now());
    }
}

/// Tokio's clock for governor, so that both sleep and are paused in tests together.
#[derive(Clone, Copy, Debug)]
struct TokioClock;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TokioInstant(Instant);

impl GovernorClock for TokioClock {
    type Instant = TokioInstant;

    fn now(&self) -> TokioInstant {
        TokioInstant(Instant::now())
    }
}

impl Add<Nanos> for TokioInstant {
    type Output = Self;

    fn add(self, nanos: Nanos) -> Self {
        Self(self.0 + Duration::from(nanos))
    }
}

impl Reference for TokioInstant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_duration_since(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.into()).unwrap_or(self.0))
    }
}
