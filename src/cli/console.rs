//! Standard error as a place: what may be shown there, in which form, and who else is drawing on it at the moment.
//!
//! Everything for people goes through [`say`], log lines through [`write_log`]; both take the progress bars off the
//! screen while they write. Writing never fails and never panics: a closed standard error must not end a run.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressDrawTarget};

use super::args::{Global, LogFormat};

/// Hidden until [`show_bars`].
static BARS: LazyLock<MultiProgress> = LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::hidden()));

/// What the operator wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Console {
    /// Progress and summary as log lines in JSON.
    pub json: bool,
    /// `-q`: nothing while all is well. `-qq`: errors only.
    pub quiet: u8,
    /// Progress is wanted at all.
    pub progress: bool,
    /// Standard error is a terminal on which lines can be redrawn.
    pub terminal: bool,
}

impl Console {
    /// As the flags and the terminal say.
    pub fn new(global: &Global) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            json: global.log_format == LogFormat::Json,
            quiet: global.quiet,
            progress: !global.no_progress && global.quiet == 0,
            terminal: io::stderr().is_terminal() && !dumb,
        }
    }
}

/// Whether standard error takes colours: a terminal, `NO_COLOR` and `CLICOLOR_FORCE` considered.
pub fn colours() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Writes a styled text and a line end to standard error; colours are left out where they don't belong.
pub fn say(text: &str) {
    BARS.suspend(|| {
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    });
}

/// Writes a finished log line.
///
/// # Errors
/// Never: what can't be written is dropped.
pub fn write_log(line: &[u8]) -> io::Result<()> {
    BARS.suspend(|| {
        let _ = io::stderr().lock().write_all(line);
    });
    Ok(())
}

/// Where progress lines are drawn, on standard error, at most ten times a second.
pub fn show_bars() -> &'static MultiProgress {
    BARS.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    &BARS
}

/// Takes them off the screen for good.
pub fn hide_bars() {
    let _ = BARS.clear();
    BARS.set_draw_target(ProgressDrawTarget::hidden());
}

/// Standard output for styled text: colours only where it is a terminal that wants them.
pub fn stdout() -> impl Write {
    anstream::stdout().lock()
}

pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const WARN: Style = AnsiColor::Yellow.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const CODE: Style = AnsiColor::Cyan.on_default();

/// `text` in a style.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The colour of a state, the same everywhere.
pub fn state_style(state: crate::lead::LeadState) -> Style {
    use crate::lead::LeadState as S;
    match state {
        S::Delivered => GOOD,
        S::Rejected | S::Exhausted => BAD,
        S::Unconfirmed | S::Sending => WARN,
        S::Received | S::Ready | S::Skipped => DIM,
    }
}

/// The text without its styles: what a pipe gets, and what tests compare.
#[cfg(test)]
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
