use super::*;
use crate::connectors::DAY_USED_UP;
use crate::connectors::lead_connector::limits::Window;

const WINDOW: &str = "10000";

fn counted(remaining: &str) -> Reply {
    let day = [("x-ratelimit-limit-daily", "200000"), ("x-ratelimit-daily-remaining", "500")];
    let window = [
        ("x-ratelimit-max", "100"),
        ("x-ratelimit-remaining", remaining),
        ("x-ratelimit-interval-milliseconds", WINDOW),
    ];
    reply_with(200, &[&day[..], &window[..]].concat())
}

fn seconds(said: Option<(Duration, String)>) -> Option<f64> {
    said.map(|(wait, _)| wait.as_secs_f64())
}

fn not_now(headers: &[(&'static str, &str)]) -> Option<Duration> {
    match plain().read(Asked::Create, &rosan(), &reply_with(429, headers)) {
        Some(Verdict::NotNow { wait, .. }) => wait,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_429_waits_for_the_day_then_as_the_server_says_then_for_the_window() {
    let used_up = ("x-ratelimit-daily-remaining", "0");
    let interval = ("x-ratelimit-interval-milliseconds", WINDOW);
    let second = Duration::from_secs(1);
    assert_eq!(not_now(&[used_up, ("x-ratelimit-daily-reset", "3600000"), interval]), Some(3600 * second));
    assert_eq!(not_now(&[used_up, ("x-ratelimit-daily-reset", "99999999999"), interval]), Some(86_400 * second));
    // Not told when: until the UTC day ends, by the server's clock.
    assert_eq!(not_now(&[used_up, interval, ("date", "Tue, 24 Nov 2026 23:00:00 GMT")]), Some(3600 * second));
    assert_eq!(not_now(&[interval]), Some(10 * second));
    assert_eq!(not_now(&[interval, ("retry-after", "3")]), Some(3 * second));
    assert_eq!(not_now(&[("retry-after", "7")]), Some(7 * second));
    assert_eq!(not_now(&[]), None);
    assert_eq!(not_now(&[("x-ratelimit-daily-remaining", "12"), interval]), Some(10 * second));
}

#[test]
fn a_used_up_day_is_known_for_one_whoever_is_called_day() {
    let headers = [("x-ratelimit-daily-remaining", "0"), ("x-ratelimit-daily-reset", "3600000")];
    let said = plain().read(Asked::Create, &rosan(), &reply_with(429, &headers)).unwrap();
    let about = Prepared { lead: Lead { last_name: Some("Day".into()), ..rosan().lead }, ..Prepared::default() };
    let Verdict::NotNow { why, .. } = said.discreet(&about) else { panic!() };
    assert!(why.starts_with(DAY_USED_UP), "{why}");
}

#[test]
fn nothing_is_said_while_there_are_calls_left() {
    for reply in [counted("1"), counted("99"), reply_with(200, &[]), reply_with(200, &[("x-ratelimit-remaining", "0")])]
    {
        assert_eq!(plain().limit_said(&reply), None);
    }
    assert_eq!(plain().limit_said(&counted("-1")), None);
}

#[test]
fn the_last_call_of_the_day_pauses_until_the_reset() {
    let reply = reply_with(200, &[("x-ratelimit-daily-remaining", "0"), ("x-ratelimit-daily-reset", "60000")]);
    let (wait, why) = plain().limit_said(&reply).unwrap();
    assert_eq!((wait, why.as_str()), (Duration::from_secs(60), DAY_USED_UP));
}

#[test]
fn the_last_call_of_a_window_pauses_until_that_window_ends_and_no_longer() {
    let mut window = Window::default();
    let start = Instant::now();
    let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
    // Whoever comes into a window that others used up can't know when it began: a 429 will tell.
    assert_eq!(Window::default().said(&counted("0"), at(0.0)), None);
    for (second, remaining) in [(0.0, "99"), (3.0, "60"), (6.0, "1")] {
        assert_eq!(window.said(&counted(remaining), at(second)), None);
    }
    assert_eq!(seconds(window.said(&counted("0"), at(7.0))), Some(3.0));
    // Replies that were on their way at the same time.
    assert_eq!(seconds(window.said(&counted("0"), at(8.0))), Some(2.0));
    // The next window: the count has jumped up.
    assert_eq!(window.said(&counted("99"), at(10.5)), None);
    // The last word of the window before, overtaken by the first of this one.
    assert_eq!(window.said(&counted("0"), at(10.6)), None);
    assert_eq!(seconds(window.said(&counted("0"), at(15.5))), Some(5.0));
}

#[test]
fn at_full_speed_under_a_limit_that_moves_along_nothing_is_paused() {
    // The server counts the calls of the last ten seconds: from the hundredth on there is hardly ever one left.
    let mut window = Window::default();
    let start = Instant::now();
    let mut paused = Duration::ZERO;
    for n in 0..1000_u32 {
        let remaining = if n < 100 { 99 - n } else { n % 2 };
        let said = window.said(&counted(&remaining.to_string()), start + Duration::from_millis(101) * n);
        paused += said.map_or(Duration::ZERO, |(wait, _)| wait);
    }
    assert!(paused < Duration::from_millis(200), "{paused:?}");
}

#[test]
fn after_a_silence_a_window_may_be_any_other() {
    let mut window = Window::default();
    let start = Instant::now();
    assert_eq!(window.said(&counted("50"), start), None);
    assert_eq!(window.said(&counted("0"), start + Duration::from_secs(25)), None);
}

#[test]
fn a_429_says_the_same_to_whoever_asks() {
    let reply = reply_with(429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-interval-milliseconds", WINDOW)]);
    assert_eq!(seconds(plain().limit_said(&reply)), Some(10.0));
}
