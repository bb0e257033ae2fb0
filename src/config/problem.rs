//! What is wrong with a configuration, said so that it can be put right.

use std::fmt;

use super::settings::Settings;
use crate::exit::Exit;

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the file; line and column count characters from 1.
    File { path: String, line: usize, column: usize },
    /// In this environment variable.
    Variable(String),
    /// In this command line flag.
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, if it stands somewhere.
    pub place: Option<Place>,
    /// What was found, what was expected, what to do: one line.
    pub message: String,
}

impl Problem {
    pub(super) fn at(place: &Place, message: impl Into<String>) -> Self {
        Self { place: Some(place.clone()), message: message.into() }
    }

    pub(super) fn general(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into() }
    }

    /// With the value of this key, which is placed where it was written.
    pub fn of_key(settings: &Settings, key: &str, message: impl Into<String>) -> Self {
        Self { place: settings.origins.place(key).cloned(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// The configuration can't be used. Holds every problem that was found, in the order in which they stand in the file;
/// prints at most [`ConfigError::SHOWN`] of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// How many problems are printed; the rest is counted.
    pub const SHOWN: usize = 20;

    /// `problems` must not be empty.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        // Those of the file first and in its order; what has no place comes last.
        problems.sort_by(|a, b| (a.place.is_none(), &a.place).cmp(&(b.place.is_none(), &b.place)));
        problems.dedup();
        Self { problems }
    }

    pub(super) fn general(message: impl Into<String>) -> Self {
        Self::new(vec![Problem::general(message)])
    }

    /// An error if there are any problems.
    ///
    /// # Errors
    /// All of them.
    pub fn if_any(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self::new(problems)) }
    }

    /// All of them.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Always [`Exit::Usage`]: repeating won't help.
    pub fn exit(&self) -> Exit {
        Exit::Usage
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = self.problems.as_slice() {
            return write!(f, "{problem}");
        }
        write!(f, "the configuration has {} problems", self.problems.len())?;
        for problem in self.problems.iter().take(Self::SHOWN) {
            write!(f, "\n  {problem}")?;
        }
        match self.problems.len().saturating_sub(Self::SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl std::error::Error for ConfigError {}
