//! What replies say of the account's limits. Sources: <https://marketplace.gohighlevel.com/docs/oauth/Authorization>
//! (limits and headers), npm `@gohighlevel/api-client` 3.1.0, `lib/utils/rate-limit.js` (`X-RateLimit-Daily-Reset`, what to
//! do about a 429).

use std::time::{Duration, Instant};

use http::StatusCode;

use crate::connectors::DAY_USED_UP;
use crate::http::message::Reply;

const MAX: &str = "x-ratelimit-max";
const REMAINING: &str = "x-ratelimit-remaining";
const INTERVAL_MS: &str = "x-ratelimit-interval-milliseconds";
const DAILY_LIMIT: &str = "x-ratelimit-limit-daily";
const DAILY_REMAINING: &str = "x-ratelimit-daily-remaining";
const DAILY_RESET_MS: &str = "x-ratelimit-daily-reset";
/// Longest pause that is believed.
const DAY: Duration = Duration::from_secs(86_400);
/// How long after the beginning of a window a reply of the one before may still come in.
const OVERTAKEN: Duration = Duration::from_secs(2);
/// Calls per window, where a reply doesn't say.
const USUAL_MAX: u64 = 100;

/// How long a 429 asks us to stay away, and why. The day's calls used up outweighs everything; then what the server says
/// for this very case (`Retry-After`), then the window's length.
pub(super) fn after_429(reply: &Reply) -> Option<(Duration, &'static str)> {
    if let Some(wait) = day_used_up(reply) {
        return Some((wait, DAY_USED_UP));
    }
    let wait = reply.retry_after().or_else(|| interval(reply))?;
    Some((wait, "the window's calls are used up"))
}

/// How much of the day's calls is left, and how many there are, where a reply says so.
pub(super) fn day(reply: &Reply) -> Option<(u64, u64)> {
    Some((number(reply, DAILY_REMAINING)?, number(reply, DAILY_LIMIT)?))
}

/// How long until there are calls again, if the day's are used up: as the reply says, else until the UTC day ends. When a
/// day of the vendor's ends is documented nowhere; should it be later, the next reply says so again.
fn day_used_up(reply: &Reply) -> Option<Duration> {
    if number(reply, DAILY_REMAINING)? > 0 {
        return None;
    }
    let told = number(reply, DAILY_RESET_MS).filter(|ms| *ms > 0).map(|ms| Duration::from_millis(ms).min(DAY));
    told.or_else(|| reply.date().map(|now| now.until(now.next_utc_day())))
}

fn interval(reply: &Reply) -> Option<Duration> {
    number(reply, INTERVAL_MS).filter(|ms| *ms > 0).map(|ms| Duration::from_millis(ms).min(DAY))
}

fn number(reply: &Reply, header: &str) -> Option<u64> {
    reply.header(header)?.trim().parse().ok()
}

/// The window that the server counts in, as far as its replies tell.
///
/// A reply says how many calls are left, not when the count begins anew; a pause of a whole window for each last call of a
/// window would waste half of the limit. So the window's beginning is kept in mind: it is no later than the first reply
/// that was counted in it, and that one is known by the count having jumped up. Where the count no longer jumps (the
/// server counts the calls of the last interval, whenever that is), our own pace keeps below the limit, and what others
/// use of it is found out by a 429.
#[derive(Debug, Default)]
pub(super) struct Window {
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Seen {
    began: Instant,
    heard: Instant,
    remaining: u64,
}

impl Window {
    /// How long the account is to be left alone after this reply, and why; `None` while there are calls left.
    pub(super) fn said(&mut self, reply: &Reply, now: Instant) -> Option<(Duration, String)> {
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            return after_429(reply).map(|(wait, why)| (wait, why.to_owned()));
        }
        if let Some(wait) = day_used_up(reply) {
            return Some((wait, DAY_USED_UP.to_owned()));
        }
        let (remaining, interval) = (number(reply, REMAINING)?, interval(reply)?);
        let most = number(reply, MAX).unwrap_or(USUAL_MAX);
        let began = match &self.seen {
            Some(seen) if now.duration_since(seen.heard) < interval && remaining <= seen.remaining + most / 2 => {
                if remaining == 0 && seen.remaining > most / 2 && now.duration_since(seen.began) < OVERTAKEN {
                    // The last word of the window before, overtaken by the first of this one.
                    return None;
                }
                seen.began
            }
            // Nothing is known yet of a window that is first heard of by its end: our own pace, and a 429, guard it.
            _ if remaining == 0 => return None,
            _ => now,
        };
        self.seen = Some(Seen { began, heard: now, remaining });
        let left = interval.saturating_sub(now.duration_since(began));
        (remaining == 0 && !left.is_zero())
            .then(|| (left, format!("that was the last of {most} calls in {} s", interval.as_secs_f64())))
    }
}
