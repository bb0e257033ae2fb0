//! How durations, rates, addresses and keys are written: in the configuration and on the command line alike.
//!
//! Every parser answers a [`Mismatch`] that says what was expected, with an example, and never repeats what it was given:
//! whether that may be shown is the caller's decision.

use std::fmt;
use std::time::Duration;

use url::Url;

use crate::http::message::{Rate, is_loopback};
use crate::secret;

/// A value that can't be read: what was expected instead, with an example.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct Mismatch {
    /// Continues the sentence "expected …".
    pub expected: String,
}

impl Mismatch {
    pub(crate) fn new(expected: impl Into<String>) -> Self {
        Self { expected: expected.into() }
    }
}

const WEEK_MS: u64 = 7 * 86_400_000;

/// Unit names with their milliseconds, longest first: a combination such as `1h30m` must go down this list.
const UNITS: [(&[&str], u64); 6] = [
    (&["w"], WEEK_MS),
    (&["d", "day", "days"], 86_400_000),
    (&["h"], 3_600_000),
    (&["min", "m"], 60_000),
    (&["s"], 1_000),
    (&["ms"], 1),
];

fn unit_ms(name: &str) -> Option<u64> {
    UNITS.iter().find(|(names, _)| names.contains(&name)).map(|(_, ms)| *ms)
}

/// A leading whole number and what follows it. `None` without a number, or if it is too large.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

/// Reads `500ms`, `60s`, `15min`, `2h`, `30d`, `2w`, and combinations from large to small such as `1h30m`.
///
/// # Errors
/// [`Mismatch`] for anything else: also numbers without a unit, since nobody could tell seconds from minutes.
pub fn duration(text: &str) -> Result<Duration, Mismatch> {
    let mismatch = || Mismatch::new("a duration such as \"60s\", \"500ms\", \"15min\", \"2h\" or \"30d\"");
    let mut rest = text.trim();
    let mut total_ms = 0_u64;
    let mut last_unit = u64::MAX;
    loop {
        let (count, after) = leading_number(rest).ok_or_else(mismatch)?;
        let after = after.trim_start();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = unit_ms(&after[..letters]).filter(|unit| *unit < last_unit).ok_or_else(mismatch)?;
        total_ms = count.checked_mul(unit).and_then(|ms| total_ms.checked_add(ms)).ok_or_else(mismatch)?;
        last_unit = unit;
        rest = after[letters..].trim_start();
        if rest.is_empty() {
            return Ok(Duration::from_millis(total_ms));
        }
    }
}

/// Writes a duration so that [`duration`] reads it back: in the largest unit that fits without remainder, but 60 s and
/// 90 s rather than minutes, and days rather than weeks. Below a millisecond it is cut.
pub fn format_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    for (names, unit) in UNITS {
        let fits = ms > 0 && ms.is_multiple_of(unit);
        if fits && unit != WEEK_MS && (unit != 60_000 || ms >= 2 * unit) {
            return format!("{}{}", ms / unit, names[0]);
        }
    }
    "0s".to_owned()
}

/// Reads `5/s`, `2000/min`, `100/10s`, `1000/h`, `5000/day`; `None` for `none`, which means no limit.
///
/// # Errors
/// [`Mismatch`] for anything else, for a count of 0, and for windows that are no whole seconds or longer than a day.
pub fn rate(text: &str) -> Result<Option<Rate>, Mismatch> {
    let text = text.trim();
    if text == "none" {
        return Ok(None);
    }
    read_rate(text)
        .map(Some)
        .ok_or_else(|| Mismatch::new("a rate such as \"5/s\", \"2000/min\", \"100/10s\", \"5000/day\", or \"none\""))
}

fn read_rate(text: &str) -> Option<Rate> {
    let (count, window) = text.split_once('/')?;
    let (count, rest) = leading_number(count.trim())?;
    let window = window.trim();
    let (times, unit) =
        if window.starts_with(|c: char| c.is_ascii_digit()) { leading_number(window)? } else { (1, window) };
    let per_ms = times.checked_mul(unit_ms(unit.trim_start())?)?;
    let sane = rest.is_empty() && count > 0 && (1_000..=86_400_000).contains(&per_ms) && per_ms.is_multiple_of(1_000);
    Some(Rate { count: u32::try_from(count).ok()?, per: Duration::from_millis(per_ms) }).filter(|_| sane)
}

/// Reads an address that secrets and personal data may be sent to: `https`, or plain `http` to this machine
/// (127.0.0.0/8, `::1`, `localhost`).
///
/// # Errors
/// [`Mismatch`] for other schemes, for plain `http` to other hosts, and for addresses with a user, password or fragment.
pub fn address(text: &str) -> Result<Url, Mismatch> {
    let url = Url::parse(text.trim()).map_err(|_| Mismatch::new("an address such as \"https://api.example.com\""))?;
    let usable = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url),
        _ => false,
    };
    if !usable {
        return Err(Mismatch::new("an https:// address (plain http:// is only for 127.0.0.1, ::1 and localhost)"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(Mismatch::new("an address without user, password or fragment: credentials have keys of their own"));
    }
    Ok(url)
}

/// Reads a proxy's address: http or https, user and password allowed.
///
/// # Errors
/// [`Mismatch`] for anything else.
pub fn proxy(text: &str) -> Result<String, Mismatch> {
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.map(String::from).ok_or_else(|| Mismatch::new("a proxy's address such as \"http://proxy.example.com:3128\""))
}

/// Reads an encryption key: 64 hex digits, or base64 of 32 bytes.
///
/// # Errors
/// [`Mismatch`] for anything else.
pub fn encryption_key(text: &str) -> Result<[u8; 32], Mismatch> {
    secret::key_bytes(text).ok_or_else(|| {
        Mismatch::new("64 hex digits or base64 of 32 bytes, as made by `openssl rand -hex 32`; or a list of them")
    })
}

/// Reads a database's address.
///
/// # Errors
/// [`Mismatch`] unless it is `sqlite://FILE` (or `sqlite:FILE`) or a `postgres://` address with what a URL needs.
pub fn database_url(text: &str) -> Result<(), Mismatch> {
    let usable = match text.split_once(':') {
        Some(("sqlite", rest)) => !rest.trim_start_matches('/').is_empty(),
        Some(("postgres" | "postgresql", _)) => {
            Url::parse(text).is_ok_and(|url| text.contains("://") && !url.cannot_be_a_base())
        }
        _ => false,
    };
    if usable { Ok(()) } else { Err(Mismatch::new("\"sqlite://FILE\" or \"postgres://USER@HOST/DATABASE\"")) }
}

/// A database's address as it may be shown: passwords replaced by `***`.
pub fn without_password(database_url: &str) -> WithoutPassword<'_> {
    WithoutPassword(database_url)
}

/// Prints a database's address without passwords: see [`without_password`].
#[derive(Clone, Copy)]
pub struct WithoutPassword<'a>(&'a str);

impl fmt::Display for WithoutPassword<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.starts_with("sqlite:") {
            return f.write_str(self.0.split('?').next().unwrap_or_default());
        }
        // What can't be read as an address can't be trusted to hold its password where we would look for it.
        let Ok(mut url) = Url::parse(self.0) else { return f.write_str("***") };
        if url.password().is_some() && url.set_password(Some("***")).is_err() {
            return f.write_str("***");
        }
        let shown = ["host", "port", "dbname", "sslmode", "options", "application_name", "user"];
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| {
                let value = if shown.contains(&name.as_ref()) { value.into_owned() } else { "***".to_owned() };
                (name.into_owned(), value)
            })
            .collect();
        if !pairs.is_empty() {
            url.query_pairs_mut().clear().extend_pairs(pairs);
        }
        f.write_str(url.as_str())
    }
}

impl fmt::Debug for WithoutPassword<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        let ms = |text: &str| duration(text).unwrap().as_millis();
        assert_eq!(ms("500ms"), 500);
        assert_eq!(ms("60s"), 60_000);
        assert_eq!(ms("15min"), 900_000);
        assert_eq!(ms("15 min"), 900_000);
        assert_eq!(ms("2h"), 7_200_000);
        assert_eq!(ms("30d"), 2_592_000_000);
        assert_eq!(ms("2w"), 1_209_600_000);
        assert_eq!(ms("1h30m"), 5_400_000);
        assert_eq!(ms("1h 30m"), 5_400_000);
        assert_eq!(ms("0s"), 0);
    }

    #[test]
    fn durations_without_unit_or_with_a_wrong_one_are_refused() {
        for text in
            ["", "60", "s", "60 seconds", "1.5h", "-1s", "30s1m", "1s1s", "99999999999999999999s", "9999999999999d"]
        {
            assert!(duration(text).is_err(), "{text:?} was read");
        }
    }

    #[test]
    fn rates_are_read_and_printed_alike() {
        for text in ["5/s", "2000/min", "100/10s", "1000/h", "5000/day"] {
            assert_eq!(rate(text).unwrap().unwrap().to_string(), text);
        }
        assert_eq!(rate("none"), Ok(None));
        assert_eq!(rate(" 5 / s ").unwrap().unwrap().to_string(), "5/s");
    }

    #[test]
    fn rates_that_mean_nothing_are_refused() {
        for text in [
            "",
            "5",
            "/s",
            "0/s",
            "5/",
            "5/0s",
            "-5/s",
            "5/500ms",
            "5/2d",
            "5/week",
            "99999999999/s",
            "5x/s",
            "unlimited",
        ] {
            assert!(rate(text).is_err(), "{text:?} was read");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for text in [
            "https://api.example.com",
            "http://127.0.0.1:8080/x",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://localhost:9",
        ] {
            assert!(address(text).is_ok(), "{text} was refused");
        }
        for text in [
            "http://api.example.com",
            "http://localhost.example.com",
            "http://128.0.0.1",
            "ftp://127.0.0.1",
            "api.example.com",
            "https://",
            "https://user:pass@api.example.com",
            "https://api.example.com/#part",
        ] {
            assert!(address(text).is_err(), "{text} was read");
        }
    }

    #[test]
    fn encryption_keys_are_hex_or_base64_of_32_bytes() {
        let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert_eq!(encryption_key(hex), encryption_key(base64));
        assert_eq!(encryption_key(hex).unwrap()[31], 0x1f);
        for text in
            ["", "0001", "AAECAw==", &hex[..63], "zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"]
        {
            assert!(encryption_key(text).is_err(), "{text:?} was read");
        }
    }

    #[test]
    fn a_database_address_is_shown_without_its_passwords() {
        let shown = |text: &str| without_password(text).to_string();
        assert_eq!(shown("postgres://ann:s3cret@db:5432/leads"), "postgres://ann:***@db:5432/leads");
        assert_eq!(shown("postgres://db/leads?user=ann&password=s3cret"), "postgres://db/leads?user=ann&password=***");
        assert_eq!(shown("sqlite://leadsync.db"), "sqlite://leadsync.db");
        assert_eq!(shown("not an address s3cret"), "***");
    }

    #[test]
    fn only_the_two_databases_are_accepted() {
        for text in [
            "sqlite://leadsync.db",
            "sqlite:leadsync.db",
            "sqlite:///var/lib/x.db",
            "postgres://h/d",
            "postgresql:///d?host=/run",
        ] {
            assert!(database_url(text).is_ok(), "{text} was refused");
        }
        for text in ["", "leadsync.db", "sqlite:", "sqlite://", "mysql://h/d", "postgres:h", "postgres://h:port/d"] {
            assert!(database_url(text).is_err(), "{text} was read");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_is_read_back(ms in 0_u64..10_000_000_000) {
            let given = Duration::from_millis(ms);
            prop_assert_eq!(duration(&format_duration(given)), Ok(given));
        }

        #[test]
        fn a_printed_rate_is_read_back(count in 1_u32.., seconds in 1_u64..=86_400) {
            let given = Rate { count, per: Duration::from_secs(seconds) };
            prop_assert_eq!(rate(&given.to_string()), Ok(Some(given)));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in ".*") {
            let _ = (duration(&text), rate(&text), address(&text), encryption_key(&text), database_url(&text));
            let _ = without_password(&text).to_string();
        }
    }
}
