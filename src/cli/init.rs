//! `init`: a first configuration. Either the commented sample, or what a LeadDesk connection string of another program says.

mod connection_string;
mod lead_desk;

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::args::InitArgs;
use super::console::{self, say};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::words;
use crate::config;
use crate::exit::Exit;

const SAMPLE: &str = include_str!("../../samples/leadsync.toml");
/// Longest connection string that is read from standard input, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Writes a configuration; calls nobody and overwrites nothing.
pub fn init(args: &InitArgs, context: &Context) -> Outcome {
    match &args.from_connection_string {
        None => sample(args, context),
        Some(given) => {
            let text = match given.expose() {
                "-" => from_stdin()?,
                text => text.to_owned(),
            };
            translated(&text, args, context)
        }
    }
}

fn sample(args: &InitArgs, context: &Context) -> Outcome {
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from(config::FILE_NAME));
    write_new(&path, SAMPLE, false)?;
    let check = words::called_as(&["--config".to_owned(), path.display().to_string()]);
    tell(context, &format!("wrote {}: a commented configuration with every key", path.display()));
    tell(context, &format!("next: fill it in; `{check} config check` says what is missing"));
    Ok(Exit::Done)
}

fn translated(text: &str, args: &InitArgs, context: &Context) -> Outcome {
    let usage = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("the connection string can't be used: {error}")).hint(
            "it is written like \"InitiateOAuth=GETANDREFRESH;OAuthClientId=…;OAuthClientSecret=…;User=…;Password=…\"",
        )
    };
    let properties = connection_string::parse(text).map_err(|error| usage(&error))?;
    let made = lead_desk::translate(&properties, args.with_secrets).map_err(|error| usage(&error))?;
    match &args.output {
        Some(path) => {
            write_new(path, &made.toml, made.holds_secrets)?;
            tell(context, &format!("wrote {}", path.display()));
        }
        None => console::stdout().write_all(made.toml.as_bytes())?,
    }
    for remark in &made.remarks {
        tell(context, remark);
    }
    if !made.variables.is_empty() {
        tell(context, &format!("to be set in the environment: {}", made.variables.join(", ")));
    }
    Ok(Exit::Done)
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let unreadable = |error: io::Error| {
        Failure::new(Exit::Usage, anyhow::Error::new(error).context("could not read the connection string"))
    };
    io::stdin().lock().take(LONGEST).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// Writes a file that is not there yet. `private`: for its owner alone.
fn write_new(path: &Path, text: &str, private: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("{} is there already; it was not touched", path.display()))
                .hint("name another file with --output, or move that one away")
        }
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            Failure::new(Exit::Usage, anyhow::Error::new(error).context(format!("could not write {}", path.display())))
        }
        _ => Failure::new(
            Exit::Unavailable,
            anyhow::Error::new(error).context(format!("could not write {}", path.display())),
        ),
    })
}

fn tell(context: &Context, text: &str) {
    match (context.console.json, context.console.quiet) {
        (true, _) => tracing::info!("{text}"),
        (false, 0) => say(text),
        (false, _) => {}
    }
}
