//! What any API's reply says of its limits, in the headers that many use alike.

use std::time::Duration;

use super::Reply;
use crate::clock::Timestamp;

/// How the names of such headers begin. Sources: the vendors' pages; draft-ietf-httpapi-ratelimit-headers.
const FAMILIES: [&str; 3] = ["x-ratelimit", "x-rate-limit", "ratelimit"];
/// The longest wait that is believed.
const DAY: Duration = Duration::from_secs(86_400);
/// Seconds that are still a wait: a month. From the year 2001 on they are a moment; in between they are nonsense.
const LONGEST_WAIT: f64 = 31.0 * 86_400.0;
const EPOCH_SECONDS: f64 = 1e9;
/// From here on a moment is told in milliseconds: as seconds it would be in the year 5138.
const EPOCH_MILLISECONDS: f64 = 1e11;

impl Reply {
    /// What the server says of its limits (`X-RateLimit-…`, `RateLimit-…`), header by header as it says it; only plain short
    /// values.
    pub fn limits_said(&self) -> Vec<String> {
        let plain = |text: &&str| {
            (1..=60).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ;,=.-\"".contains(&byte))
        };
        let said = self.headers.iter().filter(|(name, _)| FAMILIES.iter().any(|it| name.as_str().starts_with(it)));
        said.filter_map(|(name, value)| Some(format!("{name} {}", value.to_str().ok().filter(plain)?))).collect()
    }

    /// How long until there are calls again, where the reply says that this was the last one: `X-RateLimit-Remaining` and
    /// `-Reset` and their relatives, or `RateLimit: "default";r=0;t=3`. A reset is a number of seconds, or a moment in
    /// seconds or milliseconds since 1970, read against the reply's own `Date`; at most a day is believed. `None`: calls are
    /// left, or the reply does not say so; less than none says that nothing is counted.
    pub fn no_calls_for(&self) -> Option<Duration> {
        let pairs = FAMILIES.iter().filter_map(|family| {
            let of = |what: &str| self.header(&format!("{family}-{what}"));
            Some((of("remaining")?, of("reset")?))
        });
        let combined = self.header("ratelimit").map(policies).unwrap_or_default();
        let used_up = pairs.chain(combined).filter(|(remaining, _)| number(remaining).is_some_and(|left| left == 0.0));
        used_up.filter_map(|(_, reset)| self.reset_in(reset)).max().filter(|wait| !wait.is_zero())
    }

    fn reset_in(&self, reset: &str) -> Option<Duration> {
        let reset = number(reset).filter(|reset| *reset >= 0.0)?;
        let moment = |ms: f64| Some(self.date()?.until(Timestamp::from_ms(ms as i64)));
        let wait = match reset {
            wait if wait <= LONGEST_WAIT => Some(Duration::from_secs_f64(wait)),
            seconds if (EPOCH_SECONDS..EPOCH_MILLISECONDS).contains(&seconds) => moment(seconds * 1_000.0),
            ms if ms >= EPOCH_MILLISECONDS => moment(ms),
            _ => None,
        };
        wait.map(|wait| wait.min(DAY))
    }
}

/// What is left and when it begins anew, of each policy: `"burst";r=0;t=3, "day";r=900;t=70000`, or as older drafts have it,
/// `limit=100, remaining=0, reset=3`.
fn policies(text: &str) -> Vec<(&str, &str)> {
    let items: Vec<&str> = if text.contains("remaining") { vec![text] } else { text.split(',').collect() };
    let pair = |item| Some((parameter(item, ["r", "remaining"])?, parameter(item, ["t", "reset"])?));
    items.into_iter().filter_map(pair).collect()
}

fn parameter<'a>(item: &'a str, names: [&str; 2]) -> Option<&'a str> {
    let parameters = item.split([';', ',']).filter_map(|part| part.split_once('='));
    parameters.filter(|(name, _)| names.contains(&name.trim())).map(|(_, value)| value.trim()).next()
}

fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::*;

    /// Sent at 1795325459 (2026-11-22T05:30:59Z).
    fn reply(headers: &[(&str, &str)]) -> Reply {
        let named = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap =
            headers.iter().chain(&[("date", "Sun, 22 Nov 2026 05:30:59 GMT")]).map(named).collect();
        Reply { status: StatusCode::OK, headers, body: Bytes::new() }
    }

    #[test]
    fn the_last_call_tells_when_there_are_others() {
        for (reset, expected) in [
            ("3", Some(3.0)),
            (" 0.5 ", Some(0.5)),
            ("100000", Some(86_400.0)),
            ("1795325519", Some(60.0)),
            ("1795325519.5", Some(60.5)),
            ("1795325519000", Some(60.0)),
            ("1795999999", Some(86_400.0)),
            ("99999999999999999999999999", Some(86_400.0)),
            // No wait, passed, or no time at all.
            ("0", None),
            ("1795325000", None),
            ("1795325000000", None),
            ("-5", None),
            ("3000000", None),
            ("soon", None),
            ("", None),
            ("inf", None),
            ("1e3", None),
        ] {
            for family in ["X-RateLimit", "RateLimit", "X-Rate-Limit"] {
                let (remaining, at) = (format!("{family}-Remaining"), format!("{family}-Reset"));
                let said = |left: &str| reply(&[(&remaining, left), (&at, reset)]).no_calls_for();
                assert_eq!(said("0").map(|wait| wait.as_secs_f64()), expected, "{family} {reset}");
                for left in ["1", "99", "-1", "many", ""] {
                    assert_eq!(said(left), None, "{left}");
                }
            }
        }
        assert_eq!(reply(&[("x-ratelimit-remaining", "0")]).no_calls_for(), None);
        assert_eq!(reply(&[("x-ratelimit-reset", "3")]).no_calls_for(), None);
        assert_eq!(reply(&[("x-ratelimit-remaining", "0"), ("ratelimit-reset", "3")]).no_calls_for(), None);
        let mut undated = reply(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795325519")]);
        undated.headers.remove("date");
        assert_eq!(undated.no_calls_for(), None);
    }

    #[test]
    fn of_several_policies_the_longest_wait_counts() {
        for (combined, expected) in [
            ("\"default\";r=0;t=3", Some(3)),
            ("\"burst\"; r=0; t=3, \"hour\"; r=0; t=1200, \"day\"; r=9; t=70000", Some(1_200)),
            ("\"default\";t=3;r=0", Some(3)),
            ("limit=100, remaining=0, reset=50", Some(50)),
            ("\"default\";r=1;t=3", None),
            ("\"default\";r=0", None),
            ("limit=100, remaining=7, reset=50", None),
            ("default", None),
        ] {
            let said = reply(&[("ratelimit", combined)]).no_calls_for();
            assert_eq!(said.map(|wait| wait.as_secs()), expected, "{combined}");
        }
        let both = reply(&[
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "3"),
            ("ratelimit-remaining", "0"),
            ("ratelimit-reset", "9"),
        ]);
        assert_eq!(both.no_calls_for(), Some(Duration::from_secs(9)));
        assert_eq!(both.limits_said().len(), 4);
    }
}
