//! Numbers, durations and times as people read and type them.

use std::sync::OnceLock;
use std::time::Duration;

use super::args::Since;
use crate::clock::Timestamp;
use crate::config::values;

/// `1,234,567`.
pub fn count(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if n < 0 { format!("-{text}") } else { text }
}

/// `1 lead`, `2,000 leads`.
pub fn leads(n: i64) -> String {
    plural(n, "lead")
}

/// `1 row`, `2 rows`.
pub fn plural(n: i64, word: &str) -> String {
    format!("{} {word}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Exact enough to compare runs: `340 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`, `3 days 2 h`.
pub fn duration(d: Duration) -> String {
    let ms = d.as_millis();
    let seconds = d.as_secs();
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", seconds, ms % 1000 / 100),
        _ => coarse(d),
    }
}

/// For what is still to come: `40 s`, `3 min 20 s`, `2 h 5 min`, `3 days 2 h`.
pub fn coarse(d: Duration) -> String {
    let s = d.as_secs();
    let two = |big: u64, unit: &str, small: u64, small_unit: &str| {
        if small == 0 { format!("{big} {unit}") } else { format!("{big} {unit} {small} {small_unit}") }
    };
    match s {
        0..60 => format!("{s} s"),
        60..3600 => two(s / 60, "min", s % 60, "s"),
        3600..172_800 => two(s / 3600, "h", s % 3600 / 60, "min"),
        _ => two(s / 86_400, "days", s % 86_400 / 3600, "h"),
    }
}

/// One unit only: `40 s`, `4 min`, `2 h`, `3 days`.
fn rough(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..172_800 => format!("{} h", (s + 1800) / 3600),
        _ => format!("{} days", s / 86_400),
    }
}

/// `in 4 min`, `3 h ago`, `now`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let (ahead, behind) = (now.until(at), at.until(now));
    if ahead >= Duration::from_secs(1) {
        format!("in {}", rough(ahead))
    } else if behind >= Duration::from_secs(1) {
        format!("{} ago", rough(behind))
    } else {
        "now".to_owned()
    }
}

/// `in 4 min (2026-11-22T05:34:59Z)`.
pub fn when(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({at})", relative(at, now))
}

/// A duration as typed, spelled as in the configuration: `500ms`, `90s`, `10m`, `15min`, `1h 30m`, `2d`.
///
/// # Errors
/// In words, if it is none.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    values::duration(text).map_err(|mismatch| mismatch.to_string())
}

/// The beginning of a period as typed: an age, a date or a time.
///
/// # Errors
/// In words, if it is none of these.
pub fn parse_since(text: &str) -> Result<Since, String> {
    if let Ok(age) = parse_duration(text) {
        return Ok(Since::Ago(age));
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Since::At(Timestamp::from_ms(at.as_millisecond())));
    }
    if let Ok(at) = text.parse::<jiff::civil::Date>().and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC)) {
        return Ok(Since::At(Timestamp::from_ms(at.timestamp().as_millisecond())));
    }
    Err("expected an age (24h, 7d), a date (2026-11-20) or a time (2026-11-20T08:00:00Z)".to_owned())
}

/// `text` as one word for a POSIX shell, quoted only where needed.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// How this program was called: once known, what is proposed to be typed can be copied as it stands.
static CALLED: OnceLock<String> = OnceLock::new();

/// The program's name as it was typed, with these flags.
pub fn called_as(flags: &[String]) -> String {
    let program = std::env::args_os().next().map(|name| name.to_string_lossy().into_owned());
    let words = std::iter::once(program.as_deref().unwrap_or("leadsync")).chain(flags.iter().map(String::as_str));
    words.map(shell_word).collect::<Vec<_>>().join(" ")
}

/// Decides what [`leadsync`] begins with; only the first call counts.
pub fn remember_call(called: String) {
    let _ = CALLED.set(called);
}

/// A command line of this program to be typed, with the configuration that this one was given: `leadsync --config a.toml
/// status`.
pub fn leadsync(command: impl std::fmt::Display) -> String {
    format!("{} {command}", CALLED.get().map_or("leadsync", String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_counts_read_as_people_write_them() {
        let said: Vec<String> = [340, 12_400, 59_990, 60_000, 200_000, 7_500_000, 266_400_000]
            .map(|ms| duration(Duration::from_millis(ms)))
            .into();
        assert_eq!(said, ["340 ms", "12.4 s", "59.9 s", "1 min", "3 min 20 s", "2 h 5 min", "3 days 2 h"]);
        assert_eq!([0, 999, 1000, 1_234_567, -1000].map(count), ["0", "999", "1,000", "1,234,567", "-1,000"]);
        assert_eq!([leads(1), leads(2)], ["1 lead", "2 leads"]);
    }

    #[test]
    fn times_are_told_from_now() {
        let now = Timestamp::from_ms(1_795_325_459_000);
        let said = |s: i64| relative(Timestamp::from_ms(now.ms() + s * 1000), now);
        assert_eq!([0, 5, 240, -7200, 86_400 * 3].map(said), ["now", "in 5 s", "in 4 min", "2 h ago", "in 3 days"]);
        assert_eq!(when(now, now), "now (2026-11-22T05:30:59Z)");
    }

    #[test]
    fn a_period_begins_at_an_age_a_date_or_a_time() {
        assert_eq!(parse_since("24h"), Ok(Since::Ago(Duration::from_secs(86_400))));
        let midnight = Since::At(Timestamp::from_ms(1_795_305_600_000));
        assert_eq!(parse_since("2026-11-22"), Ok(midnight));
        assert_eq!(parse_since("2026-11-22T01:00:00+01:00"), Ok(midnight));
        assert!(parse_since("yesterday").is_err());
    }

    #[test]
    fn words_for_the_shell_are_quoted_only_where_needed() {
        assert_eq!(shell_word("leads.csv"), "leads.csv");
        assert_eq!(shell_word("it's here"), r"'it'\''s here'");
    }
}
