//! Rate limits as a strict server counts them: a log of the last calls, not a bucket that averages.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::operation::Api;
use crate::http::message::Rate;

/// A client whose 429 was still on its way may send for this long into a pause without being blamed.
const IN_FLIGHT: Duration = Duration::from_millis(250);

/// What the limiter saw of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitTotals {
    /// Requests above the limit: answered 429, no effect.
    pub violations: u64,
    /// Most requests served in any window.
    pub peak: u64,
    /// Requests that came although a `Retry-After` had asked for a pause.
    pub in_pause: u64,
}

/// What an account may do; `None`: as much as it likes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quota {
    pub(super) rate: Option<Rate>,
    /// Calls a day, which begins with an account's first call.
    pub(super) daily: Option<u32>,
}

/// Where an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) rate: Option<Rate>,
    /// Calls left in this window; means nothing without a rate.
    pub(super) remaining: u32,
    pub(super) daily: Option<u32>,
    pub(super) daily_remaining: Option<u32>,
    /// Until the day's count begins anew.
    pub(super) daily_reset: Duration,
}

impl Standing {
    /// Of somebody who has not called yet.
    pub(super) fn fresh(Quota { rate, daily }: Quota) -> Self {
        let remaining = rate.map_or(0, |rate| rate.count);
        Self { rate, remaining, daily, daily_remaining: daily, daily_reset: DAY }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// One account's calls of the last window.
#[derive(Debug, Default)]
struct SlidingLog {
    served: VecDeque<Instant>,
    /// When the day began, and its calls.
    day: Option<(Instant, u32)>,
    pause: Option<(Instant, Instant)>,
    totals: LimitTotals,
}

impl SlidingLog {
    fn admit(&mut self, Quota { rate, daily }: Quota, now: Instant) -> Result<(), Duration> {
        if self.pause.is_some_and(|(from, until)| from <= now && now < until) {
            self.totals.in_pause += 1;
        }
        self.forget(rate, now);
        let (began, today) = self.day.unwrap_or((now, 0));
        if daily.is_some_and(|daily| today >= daily) {
            self.totals.violations += 1;
            return Err(DAY.saturating_sub(now.duration_since(began)));
        }
        if let (Some(rate), Some(first)) = (rate, self.served.front())
            && self.served.len() >= rate.count as usize
        {
            self.totals.violations += 1;
            return Err(rate.per.saturating_sub(now.duration_since(*first)));
        }
        self.day = Some((began, today.saturating_add(1)));
        if rate.is_some() {
            self.served.push_back(now);
            self.totals.peak = self.totals.peak.max(self.served.len() as u64);
        }
        Ok(())
    }

    /// Forgets calls that count no longer.
    fn forget(&mut self, rate: Option<Rate>, now: Instant) {
        while rate.zip(self.served.front()).is_some_and(|(rate, first)| now.duration_since(*first) >= rate.per) {
            self.served.pop_front();
        }
        self.day = self.day.filter(|(began, _)| now.duration_since(*began) < DAY);
    }

    fn standing(&mut self, quota: Quota, now: Instant) -> Standing {
        self.forget(quota.rate, now);
        let fresh = Standing::fresh(quota);
        let (began, today) = self.day.unwrap_or((now, 0));
        Standing {
            remaining: fresh.remaining.saturating_sub(u32::try_from(self.served.len()).unwrap_or(u32::MAX)),
            daily_remaining: quota.daily.map(|daily| daily.saturating_sub(today)),
            daily_reset: DAY.saturating_sub(now.duration_since(began)),
            ..fresh
        }
    }
}

/// All accounts of all services.
#[derive(Debug, Default)]
pub(super) struct Limits {
    accounts: HashMap<(Api, String), SlidingLog>,
}

impl Limits {
    /// Lets a call through or says how long until the next may come.
    pub(super) fn admit(&mut self, api: Api, account: &str, quota: Quota, now: Instant) -> Result<(), Duration> {
        self.account(api, account).admit(quota, now)
    }

    /// Where the account stands.
    pub(super) fn standing(&mut self, api: Api, account: &str, quota: Quota, now: Instant) -> Standing {
        self.account(api, account).standing(quota, now)
    }

    /// A `Retry-After` went out: calls before then are counted.
    pub(super) fn pause(&mut self, api: Api, account: &str, pause: Duration, now: Instant) {
        self.account(api, account).pause = Some((now + IN_FLIGHT, now + pause));
    }

    /// All accounts of a service together.
    pub(super) fn totals(&self, api: Api) -> LimitTotals {
        let of_api = self.accounts.iter().filter(|((of, _), _)| *of == api);
        of_api.fold(LimitTotals::default(), |sum, (_, log)| LimitTotals {
            violations: sum.violations + log.totals.violations,
            peak: sum.peak.max(log.totals.peak),
            in_pause: sum.in_pause + log.totals.in_pause,
        })
    }

    fn account(&mut self, api: Api, account: &str) -> &mut SlidingLog {
        self.accounts.entry((api, account.to_owned())).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::live_data::API as LIVE_DATA;
    use super::super::seven_targets::API as SEVEN_TARGETS;
    use super::*;

    const RATE: Quota = Quota { rate: Some(Rate { count: 3, per: Duration::from_secs(1) }), daily: None };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn no_window_however_placed_serves_more_than_the_limit() {
        let (mut limits, start) = (Limits::default(), Instant::now());
        let mut ask = |at: u64| limits.admit(SEVEN_TARGETS, "a", RATE, start + ms(at));
        assert_eq!([ask(0), ask(900), ask(950)], [Ok(()); 3]);
        assert_eq!(ask(999), Err(ms(1)));
        assert_eq!(ask(1000), Ok(()));
        assert_eq!(ask(1100), Err(ms(800)), "two of the last window and one of this still count");
        let totals = limits.totals(SEVEN_TARGETS);
        assert_eq!((totals.violations, totals.peak), (2, 3));
    }

    #[test]
    fn accounts_do_not_share_a_limit() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        for account in ["a", "b"] {
            (0..3).for_each(|_| limits.admit(LIVE_DATA, account, RATE, now).unwrap());
        }
        assert!(limits.admit(LIVE_DATA, "a", RATE, now).is_err());
        assert_eq!(limits.totals(SEVEN_TARGETS), LimitTotals::default());
    }

    #[test]
    fn a_call_in_a_pause_is_counted_unless_it_was_under_way() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        limits.pause(LIVE_DATA, "a", ms(1000), now);
        for at in [100, 600, 1000] {
            limits.admit(LIVE_DATA, "a", Quota::default(), now + ms(at)).unwrap();
        }
        assert_eq!(limits.totals(LIVE_DATA).in_pause, 1);
    }

    #[test]
    fn a_day_ends_a_day_after_its_first_call() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        let quota = Quota { daily: Some(2), ..RATE };
        let mut ask = |at: Duration| limits.admit(LIVE_DATA, "a", quota, now + at);
        assert_eq!([ask(ms(0)), ask(ms(5000))], [Ok(()); 2]);
        assert_eq!(ask(ms(6000)), Err(DAY - ms(6000)));
        assert_eq!(ask(DAY), Ok(()));
        let standing = limits.standing(LIVE_DATA, "a", quota, now + DAY + ms(400));
        assert_eq!((standing.remaining, standing.daily_remaining), (2, Some(1)));
        assert_eq!(standing.daily_reset, DAY - ms(400));
    }
}
