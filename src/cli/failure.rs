//! What ends a command early: how it is said, and the exit code it ends with.

use std::fmt::Write as _;
use std::io;

use super::console::{self, BAD, BOLD, CODE, paint};
use crate::config::ConfigError;
use crate::exit::Exit;
use crate::pipeline::import::ImportError;
use crate::pipeline::site::SiteError;
use crate::pipeline::source::csv::CsvError;
use crate::store::StoreError;

/// A command's result: how it ended, or what ended it.
pub type Outcome = Result<Exit, Failure>;

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// Whoever read our standard output has seen enough (`leadsync results | head`): no error at all.
    PipeClosed,
    /// Anything else.
    Failed {
        /// The exit code.
        exit: Exit,
        /// What could not be done, and the chain of causes. Never personal data, never a secret.
        error: anyhow::Error,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl Failure {
    /// With this exit code.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self::Failed { exit, error: error.into(), hint: None }
    }

    /// Wrong usage or configuration (2): `what` in one plain line.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, anyhow::Error::msg(what.into()))
    }

    /// The same with a hint, unless it has one already.
    pub fn hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Failed { exit, error, hint: None } => Self::Failed { exit, error, hint: Some(text.into()) },
            other => other,
        }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::PipeClosed => Exit::Done,
            Self::Failed { exit, .. } => *exit,
        }
    }

    /// Says it on standard error: as text, or as one log line.
    pub fn report(&self, json: bool) {
        let Self::Failed { exit, error, hint } = self else { return };
        if json {
            let causes = causes(error);
            let [what, rest @ ..] = causes.as_slice() else { return };
            tracing::error!(exit_code = exit.code(), caused_by = rest.join(": "), hint = hint.as_deref(), "{what}");
        } else {
            console::say(&render(error, hint.as_deref()));
        }
    }
}

/// `error: …`, a line for each cause, a blank line, `hint: …`.
fn render(error: &anyhow::Error, hint: Option<&str>) -> String {
    let mut text = String::new();
    for (i, cause) in causes(error).iter().enumerate() {
        let _ = if i == 0 {
            write!(text, "{} {cause}", paint(BAD.bold(), "error:"))
        } else {
            write!(text, "\n  {} {cause}", paint(BOLD, "caused by:"))
        };
    }
    if let Some(hint) = hint {
        let _ = write!(text, "\n\n{} {hint}", paint(CODE.bold(), "hint:"));
    }
    text
}

/// The chain, outermost first, without what an outer message says already.
fn causes(error: &anyhow::Error) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.last().is_some_and(|outer| outer.contains(&cause)) {
            said.push(cause);
        }
    }
    said
}

fn of_store(error: &StoreError) -> (Exit, Option<&'static str>) {
    use StoreError as E;
    match error {
        E::Unavailable { .. } => (
            Exit::Unavailable,
            Some("run the same command again once the database answers; any command may be repeated"),
        ),
        E::Unwritable { .. } => {
            (Exit::Unavailable, Some("run the same command again once that is mended; any command may be repeated"))
        }
        E::SchemaNewer { .. } | E::SchemaOlder { .. } | E::NotOurs | E::BadUrl { .. } => (Exit::Usage, None),
        E::Failed { .. } | E::Unreadable { .. } => (Exit::Bug, None),
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (exit, hint) = of_store(&error);
        Self::Failed { exit, error: error.into(), hint: hint.map(str::to_owned) }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(error.exit(), error)
    }
}

impl From<CsvError> for Failure {
    fn from(error: CsvError) -> Self {
        match error {
            // A disk or a pipe that failed: the same file may be readable in a minute.
            CsvError::Read { .. } => Self::new(Exit::Unavailable, error)
                .hint("import the file again once it can be read: what was loaded before is in the queue, nothing is sent twice"),
            _ => Self::new(Exit::Usage, error),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Csv(error) => error.into(),
            ImportError::Store(error) => error.into(),
            ImportError::ReaderDied { .. } => Self::new(Exit::Bug, error),
            ImportError::Seal(_) => Self::new(Exit::Unavailable, error),
        }
    }
}

impl From<SiteError> for Failure {
    fn from(error: SiteError) -> Self {
        match error {
            SiteError::Store(error) => error.into(),
            SiteError::Auth(error) => {
                let remedy = error.remedy().map(str::to_owned);
                let failure = Self::new(error.exit(), error);
                remedy.into_iter().fold(failure, Self::hint)
            }
            SiteError::Seal(_) | SiteError::NoKey | SiteError::Incomplete { .. } => Self::new(Exit::Usage, error),
        }
    }
}

/// Of standard output: commands don't use `?` on other files.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::PipeClosed;
        }
        Self::new(Exit::Unavailable, anyhow::Error::new(error).context("could not write to standard output"))
    }
}

/// What went wrong with the database decides the exit code, however deep in the chain it is; anything else is a bug.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let (exit, hint) = error.chain().find_map(|cause| cause.downcast_ref()).map_or((Exit::Bug, None), of_store);
        Self::Failed { exit, error, hint: hint.map(str::to_owned) }
    }
}

/// `text`, which quotes what was typed, without those arguments that may be somebody's e-mail address, or hold a user name
/// and password (`postgres://user:password@host`).
pub fn mask_addresses(text: &str, arguments: impl IntoIterator<Item = String>) -> String {
    let typed = arguments.into_iter().filter(|argument| argument.contains('@'));
    typed.fold(text.to_owned(), |text, argument| {
        let value = argument.split_once('=').map_or("", |(_, value)| value);
        let text = text.replace(&argument, "***");
        if value.contains('@') { text.replace(value, "***") } else { text }
    })
}

/// Makes a panic one line that says where, and what only if it was a fixed text: a formatted one may hold personal data.
/// `RUST_BACKTRACE` adds the backtrace.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let what = panic.payload().downcast_ref::<&'static str>().map(|what| format!(": {what}")).unwrap_or_default();
        let trace = std::backtrace::Backtrace::capture();
        let trace = match trace.status() {
            std::backtrace::BacktraceStatus::Captured => format!("\n{trace}"),
            _ => String::new(),
        };
        // Not through `console::say`: the panic may have happened while it held the terminal.
        let _ = io::Write::write_all(
            &mut io::stderr(),
            format!("error: leadsync stopped{at}{what}; this is a bug in leadsync, please report it{trace}\n")
                .as_bytes(),
        );
        PANICKED.store(true, std::sync::atomic::Ordering::Relaxed);
    }));
}

static PANICKED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Whether anything panicked, in a task of its own too: then the exit code is [`Exit::Bug`], whatever the rest says.
pub fn panicked() -> bool {
    PANICKED.load(std::sync::atomic::Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use console::plain;

    #[test]
    fn an_error_is_one_line_a_cause_then_a_blank_line_and_the_hint() {
        let inner = anyhow::anyhow!("token request was refused (400, `invalid_client`)");
        let failure =
            Failure::new(Exit::Usage, inner.context("could not deliver to `7targets`")).hint("check the secret");
        let Failure::Failed { error, hint, .. } = failure else { panic!() };
        insta::assert_snapshot!(plain(&render(&error, hint.as_deref())), @r"
        error: could not deliver to `7targets`
          caused by: token request was refused (400, `invalid_client`)

        hint: check the secret
        ");
    }

    #[test]
    fn a_cause_that_the_message_repeats_is_said_once() {
        let error = anyhow::anyhow!("no such file").context("could not read `a.csv`: no such file");
        assert_eq!(causes(&error), ["could not read `a.csv`: no such file"]);
    }

    #[test]
    fn an_unreachable_database_ends_with_4_a_foreign_one_with_2() {
        let away = || StoreError::Unavailable { what: "connection refused".into() };
        assert_eq!(Failure::from(away()).exit(), Exit::Unavailable);
        assert_eq!(Failure::from(anyhow::Error::new(away()).context("could not lease")).exit(), Exit::Unavailable);
        assert_eq!(Failure::from(StoreError::Unwritable { what: "no room" }).exit(), Exit::Unavailable);
        assert_eq!(Failure::from(StoreError::NotOurs).exit(), Exit::Usage);
        assert_eq!(Failure::from(StoreError::SchemaNewer { found: 9, known: 1 }).exit(), Exit::Usage);
        assert_eq!(Failure::from(anyhow::anyhow!("surprise")).exit(), Exit::Bug);
    }

    #[test]
    fn a_file_that_fails_midway_may_be_imported_again_a_wrong_one_not() {
        let midway = CsvError::Read { file: "a.csv".into(), line: 7, source: io::Error::other("disk") };
        assert_eq!(Failure::from(midway).exit(), Exit::Unavailable);
        assert_eq!(Failure::from(CsvError::NotFound { file: "a.csv".into() }).exit(), Exit::Usage);
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit(), Exit::Done);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).exit(), Exit::Unavailable);
    }

    #[test]
    fn what_was_typed_is_quoted_without_addresses_and_passwords() {
        let typed = ["status", "ann@example.com", "--limit=postgres://u:pw@db/x"].map(str::to_owned);
        let said = "unexpected argument '\u{1b}[33mann@example.com\u{1b}[0m', not postgres://u:pw@db/x for status";
        assert_eq!(mask_addresses(said, typed), "unexpected argument '\u{1b}[33m***\u{1b}[0m', not *** for status");
    }
}
