//! Logs: to standard error, as text for people or one JSON object a line for collectors; nothing ever goes to standard
//! output. Messages and fields carry lead ids and field names, never e-mail addresses, bodies or tokens.

use std::fmt;
use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::clock::{Clock, SystemClock};

/// How much is logged, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logging {
    /// One JSON object a line instead of text.
    pub json: bool,
    /// ANSI colours in the text form.
    pub colour: bool,
    /// 0: what operators should know (default); 1 and 2: every decision, every step; -1 and less: errors only.
    pub verbosity: i8,
}

impl Logging {
    /// The filter for this verbosity, in the syntax of `RUST_LOG`.
    ///
    /// Dependencies stay at warnings whatever `-v` says: their debug output is about connections and may quote what they
    /// carry. Who needs it asks for it by name with `RUST_LOG`. What sqlx warns of (slow or broken connections) we tell
    /// ourselves, as far as it matters.
    fn directives(self) -> &'static str {
        match self.verbosity {
            ..=-1 => "error",
            0 => "warn,sqlx=error,leadsync=info",
            1 => "warn,sqlx=error,leadsync=debug",
            2.. => "warn,leadsync=trace",
        }
    }
}

/// Starts logging to `writer`. `RUST_LOG`, where it is set and not empty, wins over the verbosity; if it can't be read,
/// that is logged and the verbosity counts. A second call changes nothing.
pub fn init<W>(logging: Logging, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.trim().is_empty());
    let (filter, unreadable) = match wanted.map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, false),
        Some(Err(_)) => (EnvFilter::new(logging.directives()), true),
        None => (EnvFilter::new(logging.directives()), false),
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_timer(Utc);
    let started = if logging.json {
        let json = subscriber.json().flatten_event(true).with_span_list(false).with_ansi(false);
        tracing::subscriber::set_global_default(json.finish())
    } else {
        let text = subscriber.compact().with_ansi(logging.colour).with_target(logging.verbosity > 0);
        tracing::subscriber::set_global_default(text.finish())
    };
    if started.is_ok() && unreadable {
        tracing::warn!("RUST_LOG can't be read as a log filter and is ignored");
    }
}

/// RFC 3339, UTC, milliseconds.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let now = jiff::Timestamp::from_millisecond(SystemClock.now().ms()).map_err(|_| fmt::Error)?;
        write!(w, "{}", now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

/// Writes log lines through a function, so that the terminal's owner can keep its progress bars whole.
#[derive(Clone, Copy, Debug)]
pub struct Through(pub fn(&[u8]) -> io::Result<()>);

impl io::Write for Through {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        (self.0)(line).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Through {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_logs_errors_only_and_dependencies_stay_at_warnings_or_less() {
        let of = |verbosity| Logging { json: false, colour: false, verbosity }.directives();
        assert_eq!(of(-1), "error");
        assert_eq!(of(0), "warn,sqlx=error,leadsync=info");
        assert_eq!(of(9), "warn,leadsync=trace");
    }

    #[test]
    fn times_are_utc_with_milliseconds() {
        let mut text = String::new();
        Utc.format_time(&mut Writer::new(&mut text)).unwrap();
        assert_eq!(text.len(), "2026-11-22T05:30:59.123Z".len(), "{text}");
        assert!(text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok());
    }
}
