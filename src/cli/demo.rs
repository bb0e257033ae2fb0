//! `demo`: the whole job on sample leads, against the sandbox in this process. The first minute anyone spends with us.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::DemoArgs;
use super::console::{BAD, BOLD, CODE, DIM, GOOD, paint, say};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::import::{Plan, import_files};
use super::words;
use crate::config::{self, Environment};
use crate::exit::Exit;
use crate::pipeline::import::OpenFile;
use crate::pipeline::site::Site;
use crate::sandbox::{Running, Sandbox};

/// Made anew by each demo, in the working directory.
const FOLDER: &str = "leadsync-demo";
const LEADS: &str = include_str!("../../samples/leads.csv");

/// Runs the demo.
pub async fn demo(_args: &DemoArgs, context: &Context) -> Outcome {
    let folder = PathBuf::from(FOLDER);
    let sandbox = Sandbox::start(Sandbox::demo_options())
        .await
        .map_err(|error| unavailable("could not start the sandbox", error))?;
    let config = config_text(&sandbox);
    let (config_file, leads_file) = fresh_folder(&folder, &config)
        .map_err(|error| unavailable(&format!("could not write to the folder {FOLDER}"), error))?;
    introduce(&sandbox, &leads_file, context);

    // The demo is the demo: neither this shell's variables nor a leadsync.toml nearby have a say.
    let settings = config::parse(&config_file.display().to_string(), &config, Environment::default())?;
    let files = vec![OpenFile::open(&leads_file, &settings.csv)?];
    let opened = context.open_with(settings).await?;
    opened.ready_for_work().await?;
    let site = Site::open(Arc::clone(&opened.settings), Arc::clone(&opened.store)).await?;
    let destinations = opened.settings.destinations.keys().cloned().collect();
    let plan = Plan { destinations, deliver: true, everything_due: false, command: "demo" };
    // Some sample rows are bad on purpose.
    let exit = import_files(context, &opened, &site, files, &plan, true).await?;
    conclude(&sandbox, &config_file, context);
    sandbox.stop().await;
    Ok(exit)
}

/// The sandbox's own snippet, with a database in the demo's folder and times that suit a minute's patience.
fn config_text(sandbox: &Running) -> String {
    sandbox
        .config_toml()
        .replace("sqlite://sandbox.db", &format!("sqlite://{FOLDER}/leadsync.db"))
        .replace("[destinations.7targets]\n", "[destinations.7targets]\ntimeout = \"1s\"\nsettle = \"300ms\"\n")
        + "\n[destinations.7targets.fields]\nadditionalInformationLine = \"{{ person.title }} at {{ person.company }}\"\n"
}

/// Empties what an earlier demo left and writes the configuration and the leads.
fn fresh_folder(folder: &Path, config: &str) -> io::Result<(PathBuf, PathBuf)> {
    fs::create_dir_all(folder)?;
    for name in ["leadsync.db", "leadsync.db-wal", "leadsync.db-shm", "leadsync.db.key", "leads.csv.rejected.csv"] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let (config_file, leads_file) = (folder.join(config::FILE_NAME), folder.join("leads.csv"));
    fs::write(&config_file, config)?;
    fs::write(&leads_file, LEADS)?;
    Ok((config_file, leads_file))
}

fn introduce(sandbox: &Running, leads: &Path, context: &Context) {
    if context.console.json || context.console.quiet > 0 {
        return;
    }
    say(&format!(
        "\n{}  {}\n\n  Reads {}, looks each person up in Live Data, creates the lead in 7targets.\n  Both are played by the \
         sandbox in this process ({}): nothing leaves this machine.\n  On the way an access token expires, the account is \
         paused (429), a request fails (500),\n  and a reply is lost after the lead was created.\n",
        paint(BOLD, "leadsync demo"),
        paint(DIM, "no account needed"),
        paint(CODE, leads.display()),
        sandbox.base_url(),
    ));
}

/// What the other side says, and what to look at next.
fn conclude(sandbox: &Running, config: &Path, context: &Context) {
    if context.console.json || context.console.quiet > 0 {
        return;
    }
    let totals = sandbox.totals();
    let twice = sandbox.ledger().leads().iter().filter(|lead| lead.creates > 1).count();
    let mark = if twice == 0 { paint(GOOD, "✓") } else { paint(BAD, "✗") };
    let number = |n: u64| words::count(i64::try_from(n).unwrap_or(i64::MAX));
    let faults: u64 = totals.faults.values().sum();
    let program = program();
    let with = format!("{program} --config {}", config.display());
    say(&format!(
        "\n  {}\n    {} leads in the sandbox's own ledger, {} of them created twice {mark}\n    {} requests, {} of them \
         disturbed on purpose, {} above its rate limit\n\n  {}\n    database {}\n    {}\n    {}\n    {}\n    {}\n",
        paint(BOLD, "the other side"),
        number(totals.created),
        number(twice as u64),
        number(totals.requests),
        number(faults),
        number(totals.violations()),
        paint(BOLD, "look around"),
        paint(CODE, format!("{FOLDER}/leadsync.db")),
        next(&with, "status", ""),
        next(&with, "explain kaya.johansen@orbital.example.com", "whose reply was lost"),
        next(&with, "results --state rejected", "and why"),
        next(&program, "import --help", "then your own file"),
    ));
}

fn next(program: &str, command: &str, why: &str) -> String {
    let why = if why.is_empty() { String::new() } else { paint(DIM, format!("   # {why}")) };
    format!("{}{why}", paint(CODE, format!("{program} {command}")))
}

/// How this program was called, so that the lines can be copied.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_else(|| PathBuf::from("leadsync"));
    words::shell_word(&called.display().to_string())
}

fn unavailable(what: &str, error: io::Error) -> Failure {
    Failure::new(Exit::Unavailable, anyhow::Error::new(error).context(what.to_owned()))
}
