//! `config show`, `config check`.

use std::io::Write;

use super::args::ConfigCommand;
use super::console;
use super::context::Context;
use super::failure::Outcome;
use crate::config;
use crate::exit::Exit;

/// Looks at the effective configuration; calls nobody.
pub fn config(command: &ConfigCommand, context: &Context) -> Outcome {
    let settings = context.settings()?;
    let mut out = console::stdout();
    match command {
        ConfigCommand::Show => write!(out, "{}", config::show(&settings))?,
        ConfigCommand::Check => {
            super::ready::everything(&settings)?;
            let read = settings.origins.file().unwrap_or("no file; environment and defaults only");
            writeln!(out, "configuration complete ({read})")?;
        }
    }
    Ok(Exit::Done)
}
