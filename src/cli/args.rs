//! The command line: what can be typed, and nothing of what it does. Names are fixed: scripts and CronJobs rely on them.

mod accounts;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use accounts::*;

use super::words::{parse_duration, parse_since};
use crate::clock::Timestamp;
use crate::lead::{LeadId, LeadState};
use crate::secret::Secret;
use crate::store::RunId;

const AFTER_HELP: &str = "\
Exit codes:
  0  done: nothing failed, nothing needs a person
  1  a bug in leadsync
  2  usage, configuration or credentials; repeating won't help
  3  finished, but leads of this run were rejected, exhausted or unconfirmed (see --accept-rejects)
  4  unavailable or interrupted: leads are waiting, run again

Examples:
  leadsync demo                        watch the whole job on this machine, without an account
  leadsync init                        write a commented leadsync.toml to fill in
  leadsync import leads.csv            load a file and deliver its leads
  leadsync run -q                      work the queue from cron: silent when all is well
  leadsync status                      what waits, for what, and until when
  leadsync explain ann@example.com     the whole story of one lead

Data goes to standard output, everything else to standard error. NO_COLOR, CLICOLOR_FORCE, RUST_LOG and the proxy \
variables mean what they mean elsewhere.";

/// Reads leads from CSV files and a queue table, looks each person up, creates the lead in a CRM within the API's rate
/// limits, and records every result: none lost, none created twice, each one explainable.
#[derive(Debug, Parser)]
#[command(name = "leadsync", version, about = "Synchronises leads to CRMs: none lost, none created twice, each one explainable", long_about = None)]
#[command(after_help = AFTER_HELP, arg_required_else_help = true, subcommand_required = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that stand before or after the command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Configuration file [default: ./leadsync.toml, then leadsync/leadsync.toml in the XDG configuration directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Database, instead of the configured one: sqlite://leadsync.db or postgres://…
    #[arg(long, global = true, value_name = "URL", value_parser = secret)]
    pub database: Option<Secret>,
    /// How log lines, progress and the summary are written
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Say more (-v: every decision, -vv: every step)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say less (-q: only what went wrong, -qq: only errors)
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "verbose")]
    pub quiet: u8,
    /// Show no progress
    #[arg(long, global = true)]
    pub no_progress: bool,
}

/// Text for people, or one JSON object a line for log collectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Do the whole job on sample leads against a built-in sandbox: no account, no configuration
    Demo(DemoArgs),
    /// Write a first configuration: the commented sample, or what a LeadDesk connection string says
    Init(InitArgs),
    /// Load CSV files into the queue and deliver their leads
    Import(ImportArgs),
    /// Work the queue, then exit
    Run(RunArgs),
    /// Show what waits, for what, and until when
    Status(StatusArgs),
    /// Tell the whole story of one lead: origin, look-up, every call, what is next
    Explain(ExplainArgs),
    /// Write one line a lead: CSV or JSON
    Results(ResultsArgs),
    /// Put leads that were rejected, exhausted or skipped back into the queue
    Retry(RetryArgs),
    /// Settle leads of which nobody knows whether they arrived
    Resolve(ResolveArgs),
    /// Let a destination, or the look-up, wait: nobody calls it until it is resumed
    Pause(PauseArgs),
    /// Lift a pause
    Resume(ResumeArgs),
    /// Check what leads need to arrive: configuration, network, clock, tokens, scopes, accounts, limits
    Doctor(DoctorArgs),
    /// Look after the database's schema
    Db {
        #[command(subcommand)]
        command: DbCommand,
    },
    /// Look at the effective configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Look at the accounts' tokens, renew them, change the key they are sealed with
    Auth {
        #[command(subcommand)]
        command: AuthCommand,
    },
    /// Serve the remote APIs on this machine, with limits and faults on demand
    Sandbox(SandboxArgs),
    /// Print a completion script for a shell
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man {
        /// Of this command, e.g. `import`; without it, the page of leadsync itself
        command: Option<String>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Nothing leaves this machine: the remote APIs are served on the loopback interface, faults included.")]
pub struct DemoArgs {}

#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is overwritten, and nobody is called. From a connection string (as CData's LeadDesk provider takes it) the \
destination is written to standard output, or to the file named by --output. Its secrets become variables of the \
environment, whose names are told; with --with-secrets they are written, and the file is for its owner alone.

Examples:
  leadsync init
  leadsync init --from-connection-string 'InitiateOAuth=GETANDREFRESH;OAuthClientId=…;OAuthClientSecret=…;User=…;Password=…'
  leadsync init --from-connection-string - -o leaddesk.toml < connection.txt")]
pub struct InitArgs {
    /// Translate this LeadDesk connection string; `-` reads it from standard input, so that no process list shows it
    #[arg(long, value_name = "STRING", value_parser = secret)]
    pub from_connection_string: Option<Secret>,
    /// Write to this file [default: leadsync.toml; with a connection string: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write the connection string's secrets too
    #[arg(long, requires = "from_connection_string")]
    pub with_secrets: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Rows that can't be used are rejected with line, column and reason, and written to FILE.rejected.csv, ready to be fixed \
and imported again; all other rows go on. The same e-mail is sent once to a destination, however often it is imported.

Examples:
  leadsync import leads.csv
  leadsync import --destination 7targets --destination crm january.csv february.csv
  generate-leads | leadsync import -
  leadsync import --queue-only leads.csv && leadsync run

Exit codes: 0, 1, 2, 4 as everywhere; 3 if leads were rejected, exhausted or unconfirmed (with --queue-only: rejected).")]
pub struct ImportArgs {
    /// CSV files, comma, semicolon or tab, with a header; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Load the rows and stop; `leadsync run` delivers them
    #[arg(long, conflicts_with = "all")]
    pub queue_only: bool,
    /// Afterwards deliver everything that is due, not only these rows
    #[arg(long)]
    pub all: bool,
    /// For which destination; repeat it for several [default: the default one]
    #[arg(long = "destination", value_name = "NAME")]
    pub destinations: Vec<String>,
    /// End with 0 although leads were rejected, exhausted or unconfirmed
    #[arg(long)]
    pub accept_rejects: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Waits in-process for what comes due within `run.wait` (60 s), then ends. SIGTERM, Ctrl-C and a terminal that goes away: \
take no new lead, finish what is in flight (at most `run.grace`, 25 s), end with 4. Another SIGTERM or Ctrl-C: leave now; \
what was in flight is looked into by the next run.

Runs may overlap: no lead is ever in two hands. With --exclusive they do not: while one is at work, `run` and `import` end with 4 and say which run that is, and it begins only when no other is at work. `import --queue-only` sends nothing and is free at any time. A run that was killed is in nobody's way for longer than `run.lease`.

Examples:
  leadsync run                          everything that is due
  leadsync run --limit 100              a first hundred, to look at
  leadsync run -q --max-duration 50m    from an hourly CronJob
  leadsync run --exclusive              one at a time, whoever starts it")]
pub struct RunArgs {
    /// Take at most this many leads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Take no new lead after this long, e.g. 90s, 10m, 2h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub max_duration: Option<Duration>,
    /// Run alone: end at once with 4 if another run is at work, and let none begin meanwhile
    #[arg(long)]
    pub exclusive: bool,
    /// End with 0 although leads were rejected, exhausted or unconfirmed
    #[arg(long)]
    pub accept_rejects: bool,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// For programs: one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Shows personal data of this lead on standard output. An e-mail address may stand for several leads: duplicates, and one \
for each destination.

Examples:
  leadsync explain 17
  leadsync explain ann@example.com")]
pub struct ExplainArgs {
    /// E-mail address or number of the lead; repeat it for several
    #[arg(required = true, value_name = "EMAIL|ID")]
    pub leads: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Fields: id, destination, email, state, reason, remote_id, attempts, enriched, source, row, received_at, finished_at. \
Times are RFC 3339 UTC. `source` is the file the lead was imported from (`row`: its line) or, for leads that another \
program put into the queue, what that program wrote in the column `source`.

In CSV, a value that a spreadsheet would take for a formula (it begins with = + - @, tab or carriage return) gets a \
leading apostrophe; JSON lines carry every value as it is.

Examples:
  leadsync results > results.csv
  leadsync results --state rejected --state exhausted --run 7
  leadsync results --format jsonl --since 24h")]
pub struct ResultsArgs {
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub format: ResultsFormat,
    /// Only leads in this state; repeat it for several
    #[arg(long = "state", value_name = "STATE", value_parser = state_parser())]
    pub states: Vec<LeadState>,
    /// Only leads that changed since: an age (24h, 7d), a date (2026-11-20, UTC) or an RFC 3339 time
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub since: Option<Since>,
    /// Only leads last worked on by this run
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub run: Option<RunId>,
}

/// The beginning of a period, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// This long before now.
    Ago(Duration),
    /// From this moment.
    At(Timestamp),
}

impl Since {
    /// The moment meant.
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(age) => now.minus(age),
            Self::At(at) => at,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResultsFormat {
    Csv,
    Jsonl,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Only leads that are rejected, exhausted or skipped can be put back; all given conditions must hold, and there must be at \
least one. They start anew, with all their attempts, at the next `leadsync run`. Leads that are unconfirmed may exist at \
the destination: `leadsync resolve` settles them.

Examples:
  leadsync retry --state exhausted
  leadsync retry --state rejected --reason 'assistant not found'
  leadsync retry --id 17 --id 23")]
pub struct RetryArgs {
    /// Leads in this state: rejected, exhausted or skipped; repeat it for several
    #[arg(long = "state", value_name = "STATE", value_parser = state_parser(), hide_possible_values = true)]
    pub states: Vec<LeadState>,
    /// Leads whose reason contains this text, upper and lower case alike
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub reason: Option<String>,
    /// This lead; repeat it for several
    #[arg(long = "id", value_name = "ID", value_parser = lead_id)]
    pub ids: Vec<LeadId>,
    /// Leads last worked on by this run
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub run: Option<RunId>,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").args(["leads", "ids"]).required(true).multiple(true)))]
#[command(group(clap::ArgGroup::new("answer").args(["delivered", "absent"]).required(true)))]
#[command(after_help = "\
Look the person up at the destination first (`leadsync explain ID` shows who it is), then say what you found. Changes \
either all of the leads named or none.

Examples:
  leadsync resolve 17 --delivered           it is there
  leadsync resolve 17 --delivered=88231     it is there, under this number
  leadsync resolve 17 23 --absent           they are not there: the next run sends them")]
pub struct ResolveArgs {
    /// The lead's number; several are possible
    #[arg(value_name = "ID", value_parser = lead_id)]
    pub leads: Vec<LeadId>,
    /// The lead's number, as a flag; repeat it for several
    #[arg(long = "id", value_name = "ID", value_parser = lead_id)]
    pub ids: Vec<LeadId>,
    /// The destination has it, under this number if you know it
    #[arg(long, value_name = "REMOTE_ID", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub delivered: Option<String>,
    /// The destination doesn't have it: send it again
    #[arg(long)]
    pub absent: bool,
}

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Bring the schema up to date (`run` and `import` do it by themselves unless database.migrate = false)
    Migrate,
    /// Show where the database lies and whether its schema is up to date
    Status,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every key with its value and where it came from; secrets are hidden
    Show,
    /// Check the configuration without calling anyone
    Check,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  leadsync sandbox
  leadsync sandbox --fault create:500=1% --fault create:reset-after=1% --ledger created.jsonl

Serves Live Data and 7targets, and below a path of their own LeadConnector (/lead_connector), LeadDesk
(/leaddesk/original/ and /leaddesk/rest), Lead, the bank (/lead_bank), and a plain CRM (/crm).
GET /_sandbox lists what can be seen and changed while it runs.

Faults, as TARGET:KIND=WHEN:
  TARGET  a call, or all calls of a service, or * for all:
          seven_targets   create, update, assistants, token
          live_data       find, session
          lead_connector  lc_upsert, lc_create, lc_tag, lc_search, lc_get, lc_location, lc_token, lc_authorize,
                          lc_location_token, lc_installed
          lead_desk       ld_add, ld_exists, ld_find, ld_get, ld_lists; ld_create, ld_search, ld_campaigns, ld_token
          lead_bank       bank_create, bank_find, bank_get, bank_events, bank_token
          plain_crm       plain_create, plain_search, plain_me, plain_token
  KIND    a status (401, 429, 503; 503-after: the lead is created all the same), 429-seconds, 429-date, 429-none
          503-seconds (with a Retry-After)
          reset, hang (and reset-after, hang-after), late, truncated, html, empty, drip, no-id
          error-body, other-lead (and error-body-after, other-lead-after): a success that lies
  WHEN    5% of the requests, #3 or #3+7: those, ann@example.com: hers, ann@example.com#2: her second")]
pub struct SandboxArgs {
    /// Address to listen on; loopback only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8700")]
    pub listen: SocketAddr,
    /// Makes faults and people repeatable
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub seed: u64,
    /// A fault to play; repeat it for several
    #[arg(long = "fault", value_name = "SPEC")]
    pub faults: Vec<String>,
    /// Rate limit of the 7targets account, e.g. 50/s, or none [default: the vendor's]
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// How long tokens are good, e.g. 30s, 1h [default: the vendor's]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub token_ttl: Option<Duration>,
    /// Write what was really created to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

fn lead_id(text: &str) -> Result<LeadId, String> {
    positive(text).map(LeadId)
}

fn run_id(text: &str) -> Result<RunId, String> {
    positive(text).map(RunId)
}

fn positive(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    digits.parse().ok().filter(|&n| n > 0).ok_or_else(|| "expected a number, 1 or more".to_owned())
}

/// Lists the states in `--help`, in completions and in the message about an unknown one.
fn state_parser() -> impl clap::builder::TypedValueParser<Value = LeadState> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(LeadState::ALL.map(LeadState::as_str)).try_map(|name| name.parse::<LeadState>())
}

#[cfg(test)]
mod tests;
