//! `leadsync sandbox`: the sandbox as a command.

use std::fmt;
use std::io::{self, Write};

use super::operation::Api;
use super::service::Section;
use super::{Running, Sandbox, SandboxOptions, live_data, seven_targets};

/// Serves until `stop` is ready. A configuration that fits goes to stdout (`leadsync sandbox > leadsync.toml`), addresses
/// and the closing summary to stderr.
///
/// # Errors
/// As [`Sandbox::start`].
pub async fn run_foreground(options: SandboxOptions, stop: impl Future<Output = ()>) -> io::Result<()> {
    let running = Sandbox::start(options).await?;
    let mut out = anstream::stdout();
    // A closed pipe (`| head`) is no reason to stop serving.
    let _ = write!(out, "{}", running.config_toml()).and_then(|()| out.flush());
    let mut err = anstream::stderr();
    let _ = write!(err, "{}", Welcome(&running));
    stop.await;
    let totals = running.totals();
    running.stop().await;
    let _ = write!(err, "\n{totals}");
    Ok(())
}

struct Welcome<'a>(&'a Running);

impl fmt::Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0.base_url();
        let options = self.0.options();
        writeln!(f, "sandbox listening on {url} (seed {})", options.seed)?;
        for (api, service) in Api::all().zip(&self.0.state.services) {
            writeln!(f, "  {:<13}  {}", api.title(), service.addresses(&url))?;
        }
        writeln!(f, "  {:<13}  {}", "faults", Or(&options.faults.to_string(), "none"))?;
        writeln!(f, "  {:<13}  {url}/_sandbox/ledger  {url}/_sandbox/requests", "look")?;
        writeln!(f, "  {:<13}  curl -d 'create:reset-after=5%' {url}/_sandbox/faults", "change")?;
        if let Some(file) = &options.ledger_file {
            writeln!(f, "  {:<13}  {}", "ledger", file.display())?;
        }
        writeln!(f, "Ctrl-C ends it.")
    }
}

/// A text, or the other if it is empty.
pub(super) struct Or<'a>(pub(super) &'a str, pub(super) &'a str);

impl fmt::Display for Or<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { self.1 } else { self.0 })
    }
}

/// What a first try needs; the other services' tables are there to be uncommented.
const READY: [Api; 2] = [live_data::API, seven_targets::API];

/// The tables of a configuration that fits this sandbox.
pub(super) fn config_toml(running: &Running) -> String {
    let base_url = running.base_url();
    let mut toml = format!(
        "# For the sandbox at {base_url}: nothing leaves this machine. Uncomment the destinations you want besides.\n[database]\nurl = \"sqlite://sandbox.db\"\n"
    );
    for (api, service) in Api::all().zip(&running.state.services) {
        for section in service.sections(&base_url) {
            toml += "\n";
            toml += &if READY.contains(&api) { section.to_string() } else { commented(&section) };
        }
    }
    toml
}

/// A table with a # before each line.
fn commented(section: &Section) -> String {
    section.to_string().lines().map(|line| format!("# {line}\n")).collect()
}
