//! `leadsync auth login NAME`: a person logs in with a browser, and the account has tokens from then on.

mod receive;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::accounts;
use super::args::LoginArgs;
use super::console::{self, BOLD, CODE, DIM, GOOD, WARN, paint};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::words;
use crate::auth::AuthError;
use crate::auth::login::{RedirectError, Visit};
use crate::auth::tokens::LoggedIn;
use crate::clock::Timestamp;
use crate::connectors::CheckStep;
use crate::exit::Exit;
use crate::pipeline::site::{BrowserAccess, Site};
use crate::secret::Secret;

use self::receive::Reception;

/// How long a person has.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Runs `leadsync auth login`. 2 if it is refused, is not ours, or nobody comes back; 4 if somebody can't be reached.
pub async fn login(args: &LoginArgs, context: &Context) -> Outcome {
    let settings = context.settings()?;
    accounts::require(&settings, &args.name)?;
    let opened = context.open_for_work(settings).await?;
    let site = Site::open(Arc::clone(&opened.settings), Arc::clone(&opened.store)).await?;
    let access = site.browser_access(&args.name)?;
    let visit = Arc::new(Visit::begin(&access.browser).map_err(|error| Failure::new(Exit::Bug, error))?);
    // Listening begins before anybody is sent anywhere.
    let reception = match args.paste {
        true => None,
        false => Some(Reception::open(&access.browser.redirect_url).await?),
    };
    invite(&visit, args, context.console.quiet)?;
    let waiting = tokio::time::timeout(PATIENCE, async {
        match &reception {
            Some(reception) => reception.receive(&visit).await.map_err(said_no),
            None => pasted(&visit).await,
        }
    });
    let code = waiting.await.map_err(|_| nobody_came(args))??;
    drop(reception);
    let logged_in = access.tokens.log_in(&access.account, &code, &visit.verifier).await.map_err(of_auth)?;
    let lines = told(&access, &args.name, logged_in, opened.now());
    let mut out = console::stdout();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    drop(out);
    places(&access).await?;
    access.channel.finish().await;
    opened.store.close().await;
    Ok(Exit::Done)
}

/// Says where to go, and opens a browser there if there is one.
fn invite(visit: &Visit, args: &LoginArgs, quiet: u8) -> Result<(), Failure> {
    let open = !args.no_browser && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let opened = open && open_browser(visit.url.as_str());
    if quiet == 0 {
        console::say(match opened {
            true => "A browser opens for you to log in. If it does not, open this address:",
            false => "Open this address in a browser and log in:",
        });
    }
    // Data: the one thing that a script or a person takes along.
    let mut out = console::stdout();
    writeln!(out, "{}", visit.url)?;
    out.flush()?;
    if quiet == 0 {
        console::say(&match args.paste {
            true => paint(BOLD, "Then paste the address that you came back to (or the code in it), and press Enter:"),
            false => paint(DIM, "Waiting up to 5 minutes for you to come back."),
        });
    }
    Ok(())
}

/// Whether one could be started.
fn open_browser(url: &str) -> bool {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if std::env::var_os("DISPLAY").is_some() || std::env::var_os("WAYLAND_DISPLAY").is_some() {
        "xdg-open"
    } else {
        return false;
    };
    let quiet = Command::new(program).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    quiet.is_ok()
}

async fn pasted(visit: &Visit) -> Result<Secret, Failure> {
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = match line.await {
        Ok(Ok(line)) => line,
        _ => return Err(Failure::usage("what was pasted can't be read: expected one line of text")),
    };
    visit.read_pasted(&line).map_err(said_no)
}

fn said_no(error: RedirectError) -> Failure {
    let hint = match &error {
        RedirectError::Refused { .. } => "log in once more and allow it; check `scope` and `redirect_url` if you did",
        RedirectError::WrongState => {
            "start the login once more, and use the address that it prints: an older window, or somebody else, came back"
        }
        RedirectError::NoCode => {
            "expected the whole address that the browser came back to (http…?code=…&state=…), or the code"
        }
    };
    Failure::new(Exit::Usage, error).hint(hint)
}

fn nobody_came(args: &LoginArgs) -> Failure {
    let again = words::leadsync(format!("auth login {} --paste", args.name));
    Failure::usage("nobody came back from the login within 5 minutes")
        .hint(format!("start it once more; with a browser on another machine: {again}"))
}

fn of_auth(error: AuthError) -> Failure {
    let remedy = match &error {
        AuthError::Unavailable { .. } | AuthError::Unreadable { .. } => {
            Some("log in once more: a code is good for one use, and this one may be spent".to_owned())
        }
        other => other.remedy().map(str::to_owned),
    };
    let failure = Failure::new(error.exit(), error);
    remedy.into_iter().fold(failure, Failure::hint)
}

/// What has come of it, without anything secret.
fn told(access: &BrowserAccess, name: &str, it: LoggedIn, now: Timestamp) -> Vec<String> {
    let until = format!("{} ({})", it.expires_at, words::relative(it.expires_at, now));
    let mut lines = vec![format!("{}  {}", paint(BOLD, name), paint(GOOD, format!("logged in; good until {until}")))];
    lines.push(match it.renewable {
        true => paint(DIM, "It is renewed by itself, and kept sealed in the database."),
        false => paint(WARN, "There was no refresh token with it: after that, somebody has to log in again."),
    });
    if access.seeded {
        lines.push(paint(
            WARN,
            format!("`destinations.{name}.refresh_token` is set too: leave it as it is, a new one would begin anew"),
        ));
    }
    lines
}

/// Where the login is good for, if there is more to say: the locations of an agency.
async fn places(access: &BrowserAccess) -> Result<(), Failure> {
    let mut replies = Vec::new();
    loop {
        match access.destination.after_login(&replies) {
            CheckStep::Ask(request) => {
                let stop = CancellationToken::new();
                match access.channel.ask_of(&*access.destination, "check", &request, &stop).await.0 {
                    Ok(reply) => replies.push(reply),
                    Err(error) => {
                        console::say(&paint(WARN, format!("what it is good for could not be asked: {error}")));
                        return Ok(());
                    }
                }
            }
            CheckStep::Passed(lines) => {
                let mut out = console::stdout();
                for line in lines {
                    writeln!(out, "{line}")?;
                }
                return Ok(());
            }
            CheckStep::Failed { reason, remedy } => {
                console::say(&format!(
                    "{} {reason}\n{} {remedy}",
                    paint(WARN, "warning:"),
                    paint(CODE.bold(), "hint:")
                ));
                return Ok(());
            }
            CheckStep::Unreadable => return Ok(()),
        }
    }
}
