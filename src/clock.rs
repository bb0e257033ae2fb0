//! Time, as an argument. Nothing else in leadsync asks the machine what time it is.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z, as every `*_ms` column stores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// This much later; saturates.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This much earlier; saturates.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long until `later`; zero if it has passed.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// Midnight UTC at which the day after this moment begins: when daily quotas begin anew.
    pub fn next_utc_day(self) -> Self {
        Self((self.utc_day() + 1).saturating_mul(DAY_MS))
    }

    /// Days since the epoch, UTC.
    pub fn utc_day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }
}

const DAY_MS: i64 = 86_400_000;

/// RFC 3339 in UTC, to the second: `2026-11-22T05:30:59Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{}", at.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Err(_) => write!(f, "{} ms after 1970", self.0),
        }
    }
}

/// What time it is. Postgres workers share the database's clock ([`AdjustedClock`]), so that a worker whose own clock is
/// wrong steals no lease.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(wrong_by_ms()))
    }
}

/// Tests can have a process whose clock is wrong: `LEADSYNC_CLOCK_WRONG_BY=-600` is ten minutes behind. In debug builds
/// only.
#[cfg(debug_assertions)]
fn wrong_by_ms() -> i64 {
    static SECONDS: std::sync::LazyLock<i64> = std::sync::LazyLock::new(|| {
        std::env::var("LEADSYNC_CLOCK_WRONG_BY").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
    });
    *SECONDS * 1_000
}

#[cfg(not(debug_assertions))]
const fn wrong_by_ms() -> i64 {
    0
}

/// How long this machine has been up, the time it slept included: the monotonic clock of Linux ([`std::time::Instant`]) leaves that
/// out, and a lease, or the database's clock, knows nothing of anybody's sleep.
fn up() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    // Elsewhere, macOS among them, this one counts on.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    let up = rustix::time::clock_gettime(clock);
    Duration::new(u64::try_from(up.tv_sec).unwrap_or(0), u32::try_from(up.tv_nsec).unwrap_or(0))
}

/// A moment in the life of this process, to measure from what must not last longer than it was granted: a lease, the time
/// that a request may take to leave. The sleep of the machine counts, and so does a clock that a test moves on.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    up: Duration,
    at: tokio::time::Instant,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self { up: up(), at: tokio::time::Instant::now() }
    }

    /// How long ago it was, by the clock that says more.
    pub fn elapsed(self) -> Duration {
        up().saturating_sub(self.up).max(self.at.elapsed())
    }
}

/// A clock read once from elsewhere (the database) and carried on by this machine's, its sleep included, until it is set
/// again. Whether this machine's clock is right does not matter: only that it goes.
#[derive(Debug)]
pub struct AdjustedClock {
    /// As [`up`] says it.
    started: Duration,
    at_start_ms: AtomicI64,
}

impl AdjustedClock {
    /// A clock that reads `now` at this moment.
    pub fn starting_at(now: Timestamp) -> Self {
        Self { started: up(), at_start_ms: AtomicI64::new(now.ms()) }
    }

    fn run(&self) -> Duration {
        up().saturating_sub(self.started)
    }

    /// Sets the clock to `now`: what the heartbeat does with the database's answer.
    pub fn set(&self, now: Timestamp) {
        let run_ms = i64::try_from(self.run().as_millis()).unwrap_or(i64::MAX);
        self.at_start_ms.store(now.ms().saturating_sub(run_ms), Ordering::Relaxed);
    }
}

impl Clock for AdjustedClock {
    fn now(&self) -> Timestamp {
        let at_start = Timestamp::from_ms(self.at_start_ms.load(Ordering::Relaxed));
        at_start.plus(self.run())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daily_quota_begins_anew_at_midnight_utc() {
        let late = Timestamp::from_ms(DAY_MS * 20_000 + DAY_MS - 1);
        assert_eq!(late.next_utc_day(), Timestamp::from_ms(DAY_MS * 20_001));
        assert_eq!(late.next_utc_day().utc_day(), late.utc_day() + 1);
    }

    #[test]
    fn times_are_written_as_rfc_3339_utc() {
        assert_eq!(Timestamp::from_ms(1_795_325_459_123).to_string(), "2026-11-22T05:30:59Z");
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_lies_as_far_back_as_either_clock_says() {
        let moment = Moment::now();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(moment.elapsed() >= Duration::from_secs(3));
        let before_a_sleep = Moment { up: up().saturating_sub(Duration::from_secs(60)), ..moment };
        assert!(before_a_sleep.elapsed() >= Duration::from_secs(60));
    }

    #[test]
    fn an_adjusted_clock_goes_on_from_where_it_was_set() {
        let clock = AdjustedClock::starting_at(Timestamp::from_ms(1_000));
        clock.set(Timestamp::from_ms(5_000_000));
        assert!(clock.now() >= Timestamp::from_ms(5_000_000));
    }
}
