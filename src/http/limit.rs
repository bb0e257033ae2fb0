//! The rate limit of one account.
//!
//! Two things are kept apart. *Pace*: permits are handed out evenly, first come first served, a little slower than the
//! limit (GCRA, by governor). *Proof*: what the server counts is when requests reach it, and between permit and departure
//! lie a database commit and a token; so every departure is entered in a log, and the next waits until the window before
//! it has room. The pace keeps the wait at the log short and carries the limit across restarts, when the log is empty;
//! the log alone makes "never more than `count` in any window" true.
//!
//! Between departure and arrival lies a network, and a machine that is busy. A request that was held up on its way counts
//! later at the server than it left here, so the log learns from its reply how late it may have been ([`Departed`]) and
//! holds its place in the window that much longer.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as GovernorClock, Reference};
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::message::Rate;
use crate::clock::{Clock, Timestamp};

/// Part of the window that is always left free, in thousandths: for what no reply can tell, such as the way of a request
/// that happens to be faster than all before it.
const MARGIN_PER_MILLE: u32 = 15;
/// The same margin never needs to be longer than this.
const MARGIN_MAX: Duration = Duration::from_millis(500);
/// Part of the window, in thousandths, by which a request may count as late at most: with the margin, 95 % of the limit
/// is used even by an API whose replies take now long, now short.
const LATE_PER_MILLE: u32 = 25;
/// The same for the odd request that took far longer than its neighbours: it was held up (a busy machine, a packet sent
/// again), not slowly served. Such are rare, so that giving them their full due costs little.
const HELD_UP_PER_MILLE: u32 = 250;
/// How much lateness the pace makes up for: timers wake up to a millisecond late, and without catching up each of these
/// would be lost from the rate.
/// So would be those of a slow commit. A quarter of a second's worth may follow at once.
const CATCH_UP: Duration = Duration::from_millis(250);

/// The limiter of one account; cheap to clone.
#[derive(Clone)]
pub struct Limiter(Arc<Shared>);

struct Shared {
    rate: Option<Rate>,
    limits: Option<Limits>,
    /// Held by the first in the line of those who want a permit; tokio's mutex is fair.
    line: Mutex<()>,
    gate: StdMutex<Option<Gate>>,
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
    /// At most this much later than usual.
    late_max: Duration,
    /// At most this much later if it was held up.
    held_up_max: Duration,
    /// Held by the first of those who wait for room, so that departures keep their order.
    door: Mutex<()>,
    log: StdMutex<Log>,
}

/// Departures of the last window.
#[derive(Debug)]
struct Log {
    /// Oldest first; at most `count`.
    departures: VecDeque<Departure>,
    /// How many were dropped from the front: the number of the first that is left.
    first: u64,
    usual: Usual,
}

/// How long replies take, smoothed as TCP does for its time-outs (RFC 6298: a mean, and the mean deviation from it), but
/// over more of them: replies to many requests at once differ more than those to one after the other.
#[derive(Debug, Default)]
struct Usual {
    /// Replies so far, as far as it matters.
    replies: u32,
    fastest: Duration,
    mean: Duration,
    deviation: Duration,
}

/// The mean goes over about this many replies.
const MEMORY: u32 = 64;
/// Before so many there is no telling what is usual.
const ENOUGH: u32 = 16;

impl Usual {
    /// How much later than usual a request may have arrived whose reply came after `took`: by the fastest ever (as long as
    /// there is no telling: any time), and, if it stands out from its neighbours, by their mean.
    fn late(&mut self, took: Duration) -> (Duration, Option<Duration>) {
        if self.replies == 0 {
            *self = Self { replies: 1, fastest: took, mean: took, deviation: took / 2 };
            return (Duration::MAX, None);
        }
        self.fastest = self.fastest.min(took);
        let stands_out_from = self.mean + 4 * self.deviation + Duration::from_millis(5);
        let settled = self.replies >= ENOUGH;
        let held_up = (settled && took > stands_out_from).then(|| took - self.mean);
        // What stands out does not change what is usual by more than it must.
        let took_or_so = if settled { took.min(stands_out_from) } else { took };
        let n = (self.replies + 1).min(MEMORY);
        self.replies = n;
        self.deviation = ((n - 1) * self.deviation + took_or_so.abs_diff(self.mean)) / n;
        self.mean = ((n - 1) * self.mean + took_or_so) / n;
        let late = if settled { took - self.fastest } else { Duration::MAX };
        (late, held_up)
    }
}

#[derive(Clone, Copy, Debug)]
struct Departure {
    at: Instant,
    /// How much later than usual it may have reached the server; the most that counts, until its reply tells.
    late: Duration,
}

struct Gate {
    opens: Instant,
    until: Timestamp,
    why: String,
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("rate", &self.0.rate).finish_non_exhaustive()
    }
}

impl Limiter {
    /// A limiter for `rate`; `None` limits nothing, but can be paused like any other. A count or window of zero is no
    /// rate and counts as one call in the window, or a window of a millisecond.
    pub fn new(rate: Option<Rate>, clock: Arc<dyn Clock>) -> Self {
        let limits = rate.map(|rate| Limits::of(&rate));
        Self(Arc::new(Shared { rate, limits, line: Mutex::new(()), gate: StdMutex::new(None), clock }))
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
    pub fn pause_until(&self, until: Timestamp, why: impl Into<String>) {
        let opens = Instant::now() + self.0.clock.now().until(until).min(FAR);
        let mut gate = self.0.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if gate.as_ref().is_none_or(|gate| gate.opens < opens) {
            *gate = Some(Gate { opens, until, why: why.into() });
        }
    }

    /// Until when no permit is handed out, and why; `None` if it is open.
    pub fn paused(&self) -> Option<(Timestamp, String)> {
        let gate = self.0.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.as_ref().filter(|gate| gate.opens > Instant::now()).map(|gate| (gate.until, gate.why.clone()))
    }
}

/// Longest window and longest pause: a year, so that no `Instant` overflows.
const FAR: Duration = Duration::from_secs(365 * 86_400);

impl Limits {
    fn of(rate: &Rate) -> Self {
        let per = rate.per.clamp(Duration::from_millis(1), FAR);
        let count = NonZeroU32::new(rate.count).unwrap_or(NonZeroU32::MIN);
        let window = per + (per / 1000 * MARGIN_PER_MILLE).min(MARGIN_MAX);
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
        Self {
            count: count.get() as usize,
            window,
            late_max: (per / 1000 * LATE_PER_MILLE).min(MARGIN_MAX),
            held_up_max: per / 1000 * HELD_UP_PER_MILLE,
            pace,
            door: Mutex::default(),
            log: StdMutex::new(Log { departures: VecDeque::new(), first: 0, usual: Usual::default() }),
        }
    }
}

impl Shared {
    async fn slot(&self) {
        let _first = self.line.lock().await;
        loop {
            let opens = self.gate.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|gate| gate.opens);
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
    /// window has room. The answer is to be told when the reply has come.
    pub async fn depart(self) -> Departed {
        let Some(limits) = &self.0.limits else { return Departed { shared: self.0, number: 0 } };
        let _first = limits.door.lock().await;
        loop {
            // Read again after each wait: replies that came meanwhile tell how late the oldest was.
            let room_at = limits.room_at();
            match room_at.filter(|at| *at > Instant::now()) {
                Some(at) => sleep_until(at).await,
                None => break,
            }
        }
        let number = limits.enter();
        Departed { shared: Arc::clone(&self.0), number }
    }
}

impl Limits {
    fn log(&self) -> MutexGuard<'_, Log> {
        // Whole after a panic elsewhere: each change is a single step.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the window has room; `None`: now.
    fn room_at(&self) -> Option<Instant> {
        let log = self.log();
        let oldest = log.departures.front().filter(|_| log.departures.len() >= self.count)?;
        Some(oldest.at + self.window + oldest.late)
    }

    /// What counts is when it really leaves, not when it was allowed to: timers are late, never early.
    fn enter(&self) -> u64 {
        let mut log = self.log();
        if log.departures.len() >= self.count {
            log.departures.pop_front();
            log.first += 1;
        }
        log.departures.push_back(Departure { at: Instant::now(), late: self.late_max });
        log.first + log.departures.len() as u64 - 1
    }

    fn replied(&self, number: u64) {
        let mut log = self.log();
        let Some(index) = number.checked_sub(log.first).and_then(|index| usize::try_from(index).ok()) else { return };
        let Some(took) = log.departures.get(index).map(|departure| departure.at.elapsed()) else { return };
        let (late, held_up) = log.usual.late(took);
        let held_up = held_up.unwrap_or_default().min(self.held_up_max);
        log.departures[index].late = late.min(self.late_max).max(held_up);
    }
}

/// A request under way.
pub struct Departed {
    shared: Arc<Shared>,
    number: u64,
}

impl fmt::Debug for Departed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Departed").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Departed {
    /// The reply has come. A request whose reply never comes counts as late as can be.
    pub fn replied(self) {
        if let Some(limits) = &self.shared.limits {
            limits.replied(self.number);
        }
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
