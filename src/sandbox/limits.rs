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

/// One account's calls of the last window.
#[derive(Debug, Default)]
struct SlidingLog {
    served: VecDeque<Instant>,
    pause: Option<(Instant, Instant)>,
    totals: LimitTotals,
}

impl SlidingLog {
    fn admit(&mut self, rate: Option<Rate>, now: Instant) -> Result<(), Duration> {
        if self.pause.is_some_and(|(from, until)| from <= now && now < until) {
            self.totals.in_pause += 1;
        }
        let Some(rate) = rate else { return Ok(()) };
        while self.served.front().is_some_and(|first| now.duration_since(*first) >= rate.per) {
            self.served.pop_front();
        }
        if let Some(first) = self.served.front()
            && self.served.len() >= rate.count as usize
        {
            self.totals.violations += 1;
            return Err(rate.per.saturating_sub(now.duration_since(*first)));
        }
        self.served.push_back(now);
        self.totals.peak = self.totals.peak.max(self.served.len() as u64);
        Ok(())
    }
}

/// All accounts of all services.
#[derive(Debug, Default)]
pub(super) struct Limits {
    accounts: HashMap<(Api, String), SlidingLog>,
}

impl Limits {
    /// Lets a call through or says how long until the next may come.
    pub(super) fn admit(&mut self, api: Api, account: &str, rate: Option<Rate>, now: Instant) -> Result<(), Duration> {
        self.account(api, account).admit(rate, now)
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
    use super::*;

    const RATE: Option<Rate> = Some(Rate { count: 3, per: Duration::from_secs(1) });

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn no_window_however_placed_serves_more_than_the_limit() {
        let (mut limits, start) = (Limits::default(), Instant::now());
        let mut ask = |at: u64| limits.admit(Api::SevenTargets, "a", RATE, start + ms(at));
        assert_eq!([ask(0), ask(900), ask(950)], [Ok(()); 3]);
        assert_eq!(ask(999), Err(ms(1)));
        assert_eq!(ask(1000), Ok(()));
        assert_eq!(ask(1100), Err(ms(800)), "two of the last window and one of this still count");
        let totals = limits.totals(Api::SevenTargets);
        assert_eq!((totals.violations, totals.peak), (2, 3));
    }

    #[test]
    fn accounts_do_not_share_a_limit() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        for account in ["a", "b"] {
            (0..3).for_each(|_| limits.admit(Api::LiveData, account, RATE, now).unwrap());
        }
        assert!(limits.admit(Api::LiveData, "a", RATE, now).is_err());
        assert_eq!(limits.totals(Api::SevenTargets), LimitTotals::default());
    }

    #[test]
    fn a_call_in_a_pause_is_counted_unless_it_was_under_way() {
        let (mut limits, now) = (Limits::default(), Instant::now());
        limits.pause(Api::LiveData, "a", ms(1000), now);
        for at in [100, 600, 1000] {
            limits.admit(Api::LiveData, "a", None, now + ms(at)).unwrap();
        }
        assert_eq!(limits.totals(Api::LiveData).in_pause, 1);
    }
}
