//! Where a configuration may come from: handed in, so that tests need no process environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::secret::Secret;

/// Everything that [`super::load`] looks at.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config FILE`: must exist. `None`: `leadsync.toml` in the working directory, else in the user's configuration
    /// directory, else none.
    pub file: Option<PathBuf>,
    /// `--database URL`.
    pub database: Option<Secret>,
    /// The environment.
    pub environment: Environment,
    /// What relative file names start from; empty: the process's working directory.
    pub current_dir: PathBuf,
}

impl Sources {
    /// The process's own environment and working directory, with these flags.
    pub fn of_process(file: Option<PathBuf>, database: Option<String>) -> Self {
        Self {
            file,
            database: database.map(Secret::new),
            environment: Environment::of_process(),
            current_dir: PathBuf::new(),
        }
    }

    /// Default places of the file, in the order in which they are tried, each with the name that messages use.
    ///
    /// Source of the second: the XDG Base Directory Specification, by which relative values of the variables are ignored.
    pub(super) fn default_files(&self) -> Vec<(PathBuf, String)> {
        let local = (self.current_dir.join(super::FILE_NAME), super::FILE_NAME.to_owned());
        let absolute = |name: &str| self.environment.text(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let user = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
        let user = user.map(|dir| dir.join("leadsync").join(super::FILE_NAME));
        std::iter::once(local).chain(user.map(|path| (path.clone(), path.display().to_string()))).collect()
    }
}

/// Environment variables. `Debug` shows their number only: any of them may be a secret.
#[derive(Clone, Default)]
pub struct Environment {
    /// `None`: set, but not UTF-8.
    variables: BTreeMap<String, Option<String>>,
}

impl Environment {
    /// The process's.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())))
            .collect();
        Self { variables }
    }

    /// In order of their names; `None`: not UTF-8.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Its value, if it is set, text, and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.as_deref().filter(|value| !value.is_empty())
    }

    /// Why [`Environment::text`] gave none, in words that continue "NAME, which …".
    pub(super) fn why_not(&self, name: &str) -> &'static str {
        match self.variables.get(name) {
            None => "is not in the environment",
            Some(None) => "is not UTF-8 text",
            Some(Some(_)) => "is empty",
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self { variables: pairs.into_iter().map(|(name, value)| (name.into(), Some(value.into()))).collect() }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.variables.len())
    }
}
