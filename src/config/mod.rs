//! File, environment and flags become one validated [`Settings`]; secrets are never printed.
//!
//! One table ([`schema::keys`]) drives everything: which keys exist, what they take, their defaults, the environment
//! variables that set them, what `config show` prints and the table in `docs/configuration.md`. [`load`] lays the sources
//! over each other (flags, `LEADSYNC_A__B`, file, `DATABASE_URL`, defaults), reads each value, checks what must fit
//! together, and reports every problem it finds, each with its place.
//!
//! A secret that is not there is no problem here: commands that only read need none. Who needs one asks with
//! [`Settings::require`], and [`check`] asks for all.

mod build;
mod check;
mod expand;
mod file;
mod kind;
mod layers;
mod lookup;
mod origins;
mod problem;
mod rules;
pub mod schema;
mod secret_files;
mod section;
mod settings;
mod sources;
pub mod values;

use std::path::Path;

pub use check::{check, check_destination, check_enrich, check_security};
pub use kind::Kind;
pub(crate) use lookup::nearest;
pub use origins::{Effective, Origin, Origins, show};
pub use problem::{ConfigError, Place, Problem};
pub use section::{MissingSetting, Section};
pub use settings::*;
pub use sources::{Environment, Sources};

/// The file's name, in the working directory or in the user's configuration directory.
pub const FILE_NAME: &str = "leadsync.toml";

/// Reads the configuration.
///
/// # Errors
/// Every problem found: a file that can't be read, TOML syntax, unknown keys, values that don't fit, keys that contradict
/// each other. Never a missing secret: see [`Settings::require`].
pub fn load(sources: &Sources) -> Result<Settings, ConfigError> {
    let file = file::read(sources)?;
    let looked_for = match file {
        Some(_) => Vec::new(),
        None => sources.default_files().into_iter().map(|(_, name)| name).collect(),
    };
    assemble(file.as_ref().map(|(name, text)| (name.as_str(), text.as_str())), looked_for, sources)
}

/// Reads a configuration from text instead of a file; `name` is what messages call it.
///
/// # Errors
/// As [`load`].
pub fn parse(name: &str, text: &str, environment: Environment) -> Result<Settings, ConfigError> {
    assemble(Some((name, text)), Vec::new(), &Sources { environment, ..Sources::default() })
}

fn assemble(file: Option<(&str, &str)>, looked_for: Vec<String>, sources: &Sources) -> Result<Settings, ConfigError> {
    let mut problems = Vec::new();
    let from_file = match file {
        Some((name, text)) => file::parse(name, text, &sources.environment, &mut problems),
        None => Some(layers::Layer::default()),
    };
    let is_toml = from_file.is_some();
    let from_file = from_file.unwrap_or_default();
    let variables = layers::environment(&sources.environment, &from_file, &mut problems);
    let layers = [layers::database_variable(&sources.environment), from_file, variables, layers::flags(sources)];
    let mut merged = build::merge(layers);
    merged.resolve_kinds(&mut problems);
    let current_dir: &Path = &sources.current_dir;
    secret_files::read_secret_files(&mut merged, current_dir, &mut problems);
    let values = build::Values::read(&merged, &mut problems);
    let origins = Origins {
        file: file.map(|(name, _)| name.to_owned()),
        looked_for,
        effective: values.effective.clone(),
        unset: merged.unset.clone(),
    };
    let mut settings = values.settings(origins);
    // A file with syntax errors leaves gaps, and rules about gaps would only confuse.
    if is_toml {
        rules::tables(&values, &merged, &mut problems);
        rules::across(&mut settings, &values.failed, &mut problems);
    }
    if problems.is_empty() { Ok(settings) } else { Err(ConfigError::new(problems)) }
}
