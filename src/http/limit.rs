//! The rate limit of one account.
//!
//! Two things are kept apart. *Pace*: permits are handed out evenly, first come first served, a little slower than the
//! limit (GCRA, by governor). *Proof*: what the server counts is when requests reach it, and between permit and departure
//! lie a database commit and a token; so every departure takes a *place*, which is free again a window later, and waits
//! until one is free. A limit of `count` calls per window has `count` places, so "never more than `count` in any window"
//! is true by counting, whatever the pace.
//!
//! Between departure and arrival lies a network, and a machine that is busy. A request that was held up on its way counts
//! later at the server than it left here, so its place learns from the reply how late it may have been ([`Departed`]) and
//! stays taken that much longer.
//!
//! Processes that use the same account share its places through a [`Pool`] ([`Limiter::shared`]): the same proof, since no
//! place is in two hands.

#[cfg(test)]
mod tests;

mod fleet;
mod hand;
mod pace;
mod permit;
mod usual;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::{Quota, RateLimiter};
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::fleet::Fleet;
pub use self::fleet::{News, Offer, Pool, PoolError, Share};
use self::hand::{Hand, Terms};
use self::pace::{TokioClock, TokioInstant};
use self::permit::Counted;
pub use self::permit::{Departed, Permit};
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
    pace: RateLimiter<
        governor::state::NotKeyed,
        governor::state::InMemoryState,
        TokioClock,
        governor::middleware::NoOpMiddleware<TokioInstant>,
    >,
    terms: Terms,
    /// Held by the first of those who wait for room, so that departures keep their order.
    door: Mutex<()>,
    hand: StdMutex<Hand>,
    /// Told when there are more places in hand.
    changed: Notify,
    /// Waiting for a permit, or with one for room.
    waiting: AtomicUsize,
    /// Permits that were handed out and neither used nor dropped.
    outstanding: AtomicUsize,
    departed: AtomicU64,
    /// Who else uses this limit; `None`: nobody.
    fleet: Option<Fleet>,
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
    /// A limiter for `rate` that nobody else uses; `None` limits nothing, but can be paused like any other. A count or
    /// window of zero is no rate and counts as one call in the window, or a window of a millisecond.
    pub fn new(rate: Option<Rate>, clock: Arc<dyn Clock>) -> Self {
        Self::over(rate, None, clock)
    }

    /// The same for an account that other processes call too: all of them together keep its limit. To be made within a
    /// runtime; [`Limiter::leave`] before the end leaves nothing for the others to wait for.
    pub fn shared(rate: Option<Rate>, pool: Arc<dyn Pool>, clock: Arc<dyn Clock>) -> Self {
        let limiter = Self::over(rate, Some(pool), clock);
        if let Some(fleet) = limiter.fleet() {
            tokio::spawn(fleet::keep_share(Arc::downgrade(&limiter.0), Arc::clone(&fleet.demand)));
        }
        limiter
    }

    fn over(rate: Option<Rate>, pool: Option<Arc<dyn Pool>>, clock: Arc<dyn Clock>) -> Self {
        let limits = rate.map(|rate| Limits::of(&rate, pool));
        Self(Arc::new(Shared { rate, limits, line: Mutex::new(()), gate: StdMutex::new(None), clock }))
    }

    /// What it limits to.
    pub fn rate(&self) -> Option<Rate> {
        self.0.rate
    }

    fn fleet(&self) -> Option<&Fleet> {
        self.0.limits.as_ref()?.fleet.as_ref()
    }

    /// Gives back what is in hand, for those who still work; gives up after two seconds, since what is not given back comes
    /// back by itself. The limiter can be used on.
    pub async fn leave(&self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.0.leave()).await;
    }

    /// Waits for what there is to know of the limit besides permits; the gate is closed already if it is a pause. For a
    /// limiter that is not shared this takes for ever.
    pub async fn news(&self) -> News {
        let Some(fleet) = self.fleet() else { return std::future::pending().await };
        let mut told = fleet.news.subscribe();
        loop {
            // The sender lives as long as we do.
            let _ = told.changed().await;
            if let Some(news) = told.borrow_and_update().clone() {
                return news;
            }
        }
    }

    /// Waits for a time slot, first come first served, and for the end of a pause. `None` if `stop` came first.
    ///
    /// A permit that is dropped unused is a slot gone by: nothing is handed back, and nothing is counted as sent.
    pub async fn permit(&self, stop: &CancellationToken) -> Option<Permit> {
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            () = self.0.slot() => Some(Permit::new(self.0.clone())),
        }
    }

    /// Hands out no permit until then; of two pauses the one that ends later wins. Work re-enters at the pace of the
    /// limit, not all at once. Permits already handed out stay good.
    pub fn pause_until(&self, until: Timestamp, why: impl Into<String>) {
        self.0.pause_until(until, &why.into());
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
    fn of(rate: &Rate, pool: Option<Arc<dyn Pool>>) -> Self {
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
        let terms = Terms {
            window,
            late_max: (per / 1000 * LATE_PER_MILLE).min(MARGIN_MAX),
            held_up_max: per / 1000 * HELD_UP_PER_MILLE,
        };
        let fleet = pool.map(|pool| Fleet::new(count.get(), pool));
        let hand = match &fleet {
            Some(_) => Hand::shared(terms),
            None => Hand::whole(count.get(), terms),
        };
        Self {
            pace,
            terms,
            door: Mutex::default(),
            hand: StdMutex::new(hand),
            changed: Notify::new(),
            waiting: AtomicUsize::new(0),
            outstanding: AtomicUsize::new(0),
            departed: AtomicU64::new(0),
            fleet,
        }
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        // Whole after a panic elsewhere: each change is a single step.
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who waits for a permit or for room, and who holds a permit.
    fn demand(&self) -> (usize, usize) {
        (self.waiting.load(Ordering::Relaxed), self.outstanding.load(Ordering::Relaxed))
    }

    fn departed(&self) -> u64 {
        self.departed.load(Ordering::Relaxed)
    }

    /// How long after a departure its place is certainly free again.
    fn again(&self) -> Duration {
        self.terms.window + self.terms.late_max
    }

    /// Waits until a place is about to be free for one more permit than there are. Where others share the limit, there may
    /// be none in hand: nobody shall store an intent to send and then stand at the door.
    async fn prospect(&self) {
        let Some(fleet) = &self.fleet else { return };
        loop {
            // Registered before the look, so that a change in between wakes us.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let now = Instant::now();
            let free = self.hand().nth_free(self.outstanding.load(Ordering::Relaxed), now);
            match free {
                Some(at) if at <= now + fleet::AHEAD => return,
                Some(at) => tokio::select! {
                    () = sleep_until(at - fleet::AHEAD) => {}
                    () = changed => {}
                },
                None => {
                    fleet.demand.notify_one();
                    changed.await;
                }
            }
        }
    }

    /// Takes the next place, as soon as one is free.
    async fn place(&self) -> u64 {
        let _first = self.door.lock().await;
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let now = Instant::now();
            // Looked at again after each wait: replies that came meanwhile tell how late the oldest was.
            let room_at = {
                let mut hand = self.hand();
                match hand.room_at(now) {
                    Some(at) if at <= now => {
                        self.departed.fetch_add(1, Ordering::Relaxed);
                        return hand.depart(now);
                    }
                    room_at => room_at,
                }
            };
            match room_at {
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = changed => {}
                },
                None => {
                    if let Some(fleet) = &self.fleet {
                        fleet.demand.notify_one();
                    }
                    changed.await;
                }
            }
        }
    }
}

impl Shared {
    async fn slot(&self) {
        let _waiting = self.limits.as_ref().map(|limits| Counted::new(&limits.waiting));
        let _first = self.line.lock().await;
        loop {
            if let Some(limits) = &self.limits {
                limits.prospect().await;
            }
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

    /// Whether that is longer than what was known.
    fn pause_until(&self, until: Timestamp, why: &str) -> bool {
        let opens = Instant::now() + self.clock.now().until(until).min(FAR);
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let longer = gate.as_ref().is_none_or(|gate| gate.until < until);
        if longer {
            *gate = Some(Gate { opens, until, why: why.to_owned() });
        }
        longer
    }
}
