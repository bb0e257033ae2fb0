//! Where each key's value came from: for `config show` and for messages about what is missing.

use std::collections::BTreeMap;
use std::fmt;

use super::layers::Unset;
use super::lookup;
use super::problem::{ConfigError, Place};
use super::schema;
use super::settings::Settings;

/// Where each key's value came from. Holds secrets as `***` only.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// The file that was read, as messages name it.
    pub(super) file: Option<String>,
    /// Where a file was looked for, if none was found.
    pub(super) looked_for: Vec<String>,
    pub(super) effective: Vec<Effective>,
    pub(super) unset: BTreeMap<String, Unset>,
}

/// One key as it takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Dotted: `destinations.7targets.timeout`, odd names quoted as TOML wants it.
    pub key: String,
    /// As TOML writes it; secrets are `"***"`, and so are passwords inside a database's address.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// Nobody set it, and it follows from something else, in words.
    Implied(&'static str),
    /// Somebody wrote it down.
    Written {
        /// Where.
        place: Place,
        /// Variables or the file that the value was taken from: `${HOST}`, `/run/secrets/key`.
        via: Option<String>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, via) = match self {
            Self::Default => return f.write_str("default"),
            Self::Implied(why) => return f.write_str(why),
            Self::Written { place, via } => (place, via),
        };
        match place {
            Place::File { path, line, .. } => write!(f, "{path}:{line}")?,
            other => write!(f, "{other}")?,
        }
        match via {
            Some(via) => write!(f, " ({via})"),
            None => Ok(()),
        }
    }
}

impl Origins {
    /// The file that was read, as messages name it: `leadsync.toml`.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Every key that has a value, in the order of the documentation.
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }

    /// Where the key's value came from; `None`: it has none.
    pub fn of(&self, key: &str) -> Option<&Origin> {
        self.effective.iter().find(|effective| effective.key == key).map(|effective| &effective.origin)
    }

    pub(super) fn place(&self, key: &str) -> Option<&Place> {
        match self.of(key)? {
            Origin::Written { place, .. } => Some(place),
            Origin::Default | Origin::Implied(_) => None,
        }
    }

    /// "KEY is not set: looked in …; set …".
    pub(super) fn missing(&self, key: &str) -> String {
        let variable = schema::variable(key);
        let segments: Vec<&str> = key.split('.').collect();
        let twin = if lookup::find(&segments).is_some_and(|found| found.key.kind.is_secret()) { "[_FILE]" } else { "" };
        let unset = self.unset.get(key);
        let note = |in_file: bool| {
            unset.filter(|unset| matches!(unset.place, Place::File { .. }) == in_file).map(|unset| match &unset.place {
                Place::File { line, .. } => format!(" (line {line}: {})", unset.why),
                _ => format!(" ({})", unset.why),
            })
        };
        let file = match &self.file {
            Some(file) => format!("{file}{}", note(true).unwrap_or_default()),
            None if self.looked_for.is_empty() => "no file".to_owned(),
            None => format!("{} (there is no such file)", self.looked_for.join(", ")),
        };
        let remedy = match unset.and_then(|unset| unset.remedy.as_deref()) {
            Some(remedy) => remedy.to_owned(),
            None if self.file.is_some() => "set it in one of them".to_owned(),
            None => format!("set {variable}, or write a {}", super::FILE_NAME),
        };
        format!("{key} is not set: looked in {file}, {variable}{twin}{}; {remedy}", note(false).unwrap_or_default())
    }
}

impl Settings {
    /// The value of an optional key that a command can't do without.
    ///
    /// # Errors
    /// If it is `None`: names the key, where it was looked for, and which variable of the file had no value.
    pub fn require<'a, T>(&self, key: &str, value: &'a Option<T>) -> Result<&'a T, ConfigError> {
        value.as_ref().ok_or_else(|| ConfigError::general(self.origins.missing(key)))
    }
}

/// `config show`: every key that has a value, with its origin, secrets hidden; then what was written down without one.
/// The text is TOML again, without the secrets.
pub fn show(settings: &Settings) -> String {
    let origins = &settings.origins;
    let file = match (&origins.file, origins.looked_for.as_slice()) {
        (Some(file), _) => file.clone(),
        (None, []) => "no file".to_owned(),
        (None, looked_for) => format!("no file (looked for {})", looked_for.join(", ")),
    };
    let mut text = format!("# {file}; secrets are hidden\n");
    let lines: Vec<(String, String)> = origins
        .effective
        .iter()
        .map(|effective| (format!("{} = {}", effective.key, effective.value), effective.origin.to_string()))
        .collect();
    // Long values don't push all origins to the right.
    let width = lines.iter().map(|(line, _)| line.chars().count()).filter(|width| *width <= 80).max().unwrap_or(0);
    for (line, origin) in lines {
        text.push_str(&format!("{line:width$}  # {origin}\n"));
    }
    for (key, unset) in &origins.unset {
        let place = Origin::Written { place: unset.place.clone(), via: None };
        text.push_str(&format!("# {key} is not set: {place} has {}\n", unset.why));
    }
    text
}
