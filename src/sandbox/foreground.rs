//! `leadsync sandbox`: the sandbox as a command.

use std::fmt;
use std::io::{self, Write};

use super::operation::Api;
use super::{Running, Sandbox, SandboxOptions, Totals};

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
        writeln!(f, "  Live Data  {}  {}", self.0.identity_url(), self.0.people_url())?;
        writeln!(f, "  7targets   {url}  {}", self.0.token_url())?;
        writeln!(f, "  faults     {}", Or(&options.faults.to_string(), "none"))?;
        writeln!(f, "  look       {url}/_sandbox/ledger  {url}/_sandbox/requests")?;
        writeln!(f, "  change     curl -d 'create:reset-after=5%' {url}/_sandbox/faults")?;
        if let Some(file) = &options.ledger_file {
            writeln!(f, "  ledger     {}", file.display())?;
        }
        writeln!(f, "Ctrl-C ends it.")
    }
}

struct Or<'a>(&'a str, &'a str);

impl fmt::Display for Or<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { self.1 } else { self.0 })
    }
}

/// The closing summary: some lines for people.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sandbox: {} requests", self.requests)?;
        writeln!(
            f,
            "  7targets   {} leads created, {} creates for leads it had already, {} updates",
            self.created, self.repeated_creates, self.updated
        )?;
        writeln!(f, "  Live Data  {} people returned (credits)", self.credits_used)?;
        for (api, limit) in &self.limits {
            let name = if *api == Api::LiveData.name() { "Live Data" } else { "7targets" };
            writeln!(
                f,
                "  limits     {name}: {} requests above the limit, at most {} in a window, {} during a pause",
                limit.violations, limit.peak, limit.in_pause
            )?;
        }
        let faults: Vec<String> = self.faults.iter().map(|(fault, n)| format!("{fault} {n}")).collect();
        writeln!(f, "  faults     {}", Or(&faults.join(", "), "none"))
    }
}

/// `[enrich]` and `[destinations.7targets]` for this sandbox.
pub(super) fn config_toml(running: &Running) -> String {
    use toml::Value;
    let SandboxOptions { live_data, seven_targets, .. } = running.options();
    let text = |text: &str| Value::String(text.to_owned());
    let rate =
        |rate: Option<crate::http::message::Rate>| text(&rate.map_or("none".to_owned(), |rate| rate.to_string()));
    let mut enrich = vec![
        ("kind", text("live_data")),
        ("identity_url", text(&running.identity_url())),
        ("people_url", text(&running.people_url())),
        ("organization", text(&live_data.organization)),
        ("client_id", text(&live_data.client_id)),
        ("client_secret", text(live_data.client_secret.expose())),
        ("rate", rate(live_data.rate)),
    ];
    let mut destination = vec![
        ("kind", text("seven_targets")),
        ("default", Value::Boolean(true)),
        ("api_url", text(&running.base_url())),
        ("token_url", text(&running.token_url())),
        ("client_id", text(&seven_targets.client_id)),
        ("client_secret", text(seven_targets.client_secret.expose())),
        ("scope", text(&seven_targets.scope)),
    ];
    destination.extend(seven_targets.user_identifier.as_deref().map(|user| ("user_identifier", text(user))));
    destination.extend(seven_targets.assistants.last().map(|email| ("assistant_email", text(email))));
    destination.push(("rate", rate(seven_targets.rate)));

    let table = |name: &str, entries: &mut Vec<(&str, Value)>| {
        let lines: String = entries.drain(..).map(|(key, value)| format!("{key} = {value}\n")).collect();
        format!("[{name}]\n{lines}")
    };
    format!(
        "# For the sandbox at {}: nothing leaves this machine.\n[database]\nurl = \"sqlite://sandbox.db\"\n\n{}\n{}",
        running.base_url(),
        table("enrich", &mut enrich),
        table("destinations.7targets", &mut destination),
    )
}
