//! What can be typed about accounts: their tokens, keys and pauses.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::words::parse_duration;

#[derive(Debug, Subcommand)]
pub enum AuthCommand {
    /// Show each account's token: good until when, refreshed when, by whom and how often
    Status(AuthStatusArgs),
    /// Get new tokens now, however long the present ones are good
    Refresh(AuthRefreshArgs),
    /// Log in to a destination with a browser, where its API has such a login (lead_connector)
    Login(LoginArgs),
    /// Seal everything anew under the newest encryption key, so that the old one can be removed
    #[command(after_help = REKEY_HELP)]
    Rekey,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Prints the address to log in at, and opens it in a browser if there is one. The login comes back to `redirect_url` on this \
machine; from another machine, use --paste. The tokens are stored sealed, and runs at work go on with them.

Exit codes: 0, 1 as everywhere; 2 if the login was refused, was not ours, or nobody came back within 5 minutes; 4 if the \
token service or the database can't be reached, or the port is taken.

Examples:
  leadsync auth login crm
  leadsync auth login crm --paste       paste the address that the browser ends up at")]
pub struct LoginArgs {
    /// The destination
    pub name: String,
    /// Read the address that the browser came back to from standard input, or the code in it
    #[arg(long)]
    pub paste: bool,
    /// Open no browser
    #[arg(long)]
    pub no_browser: bool,
}

const REKEY_HELP: &str = "\
Tokens, and the key of the fingerprints, are sealed in the database under `security.encryption_key`. To change it:
  1. put the new key before the old one, as a list: encryption_key = [\"${NEW}\", \"${OLD}\"]; start every process anew
  2. leadsync auth rekey
  3. once no process works with the configuration of before, remove the old key

May be stopped and repeated at any time, and while runs are at work. Without a configured key, SQLite's key file beside \
the database may hold several, one a line, newest first.

Exit codes: 0, 1 as everywhere; 2 also if none of the keys opens something; 4 also if somebody goes on sealing with an \
older key.";

#[derive(Debug, Args)]
#[command(after_help = "\
One refresh at a time, whoever else is at work: a refresh token is spent once, and what it brings is stored before it is \
used. Runs at work take the new token when the old one is refused or about to expire.

Exit codes: 0, 1 as everywhere; 2 if credentials were refused or an account needs a new login; 4 if the token service or \
the database can't be reached.

Examples:
  leadsync auth refresh             every account: do all credentials work?
  leadsync auth refresh 7targets")]
pub struct AuthRefreshArgs {
    /// Only this account: a destination's name, or `enrich`
    pub name: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Calls nobody and needs no secret. An account that is refreshed far more often than its tokens expire is pointed out: two \
deployments with a database each may be taking the token from each other.

Exit codes: 0, 1, 4 as everywhere; 2 also if an account needs a person to log in.")]
pub struct AuthStatusArgs {
    /// Only this account: a destination's name, or `enrich`
    pub name: Option<String>,
    /// For programs: one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Every run keeps it, runs at work within seconds: requests in flight are finished, nothing more is sent, and the leads wait \
as they are. That is nobody's failure: such runs end with 0 if nothing else is wrong. A pause of `enrich` stops look-ups; \
leads that were looked up before are sent. Said again, the new word replaces the old one, shorter or longer.

Examples:
  leadsync pause 7targets                               until `leadsync resume 7targets`
  leadsync pause 7targets --for 2h --why 'wrong list'
  leadsync pause enrich")]
pub struct PauseArgs {
    /// A destination's name, or `enrich`
    pub name: String,
    /// For how long, e.g. 30m, 2h, 1d [default: until it is resumed]
    #[arg(long = "for", value_name = "DURATION", value_parser = some_time)]
    pub term: Option<Duration>,
    /// Why, for those who read `leadsync status`
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Lifts what `leadsync pause` asked for; the next run sends what waits. A pause that the server itself asked for (429, \
Retry-After) stays, unless --all is given: then the next run calls it, and may be told to wait again. Leads that were put \
off because of it keep their time, and runs at work keep a server's pause that they know of.

Examples:
  leadsync resume 7targets
  leadsync resume 7targets --all")]
pub struct ResumeArgs {
    /// A destination's name, or `enrich`
    pub name: String,
    /// Also lift a pause that the server asked for
    #[arg(long)]
    pub all: bool,
}

/// A duration that is not over as it begins.
fn some_time(text: &str) -> Result<Duration, String> {
    let term = parse_duration(text)?;
    if term.is_zero() { Err("expected more than no time at all".to_owned()) } else { Ok(term) }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Touches no lead. Asks for tokens, and for what each API tells without side effects, as every run does before its first \
lead. Each line is OK, WARN or FAIL, with what to do about it.

Exit codes: 0 nothing failed (warnings are told), 1 a bug, or a table that was changed by hand; 2 configuration or \
credentials; 4 something could not be reached.

Examples:
  leadsync doctor
  leadsync doctor crm
  leadsync doctor --allowlist subnets.txt     the list for Lead (the bank), checked by its rules; one subnet a line")]
pub struct DoctorArgs {
    /// Only these accounts: destinations' names, or `enrich`
    #[arg(value_name = "NAME")]
    pub accounts: Vec<String>,
    /// For programs: one JSON object
    #[arg(long)]
    pub json: bool,
    /// Check this file of subnets instead; needs no configuration
    #[arg(long, value_name = "FILE", conflicts_with = "accounts")]
    pub allowlist: Option<PathBuf>,
}
