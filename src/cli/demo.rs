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
use super::work::listen;
use crate::auth::seal::Keyring;
use crate::config::{self, Environment};
use crate::exit::Exit;
use crate::pipeline::import::OpenFile;
use crate::pipeline::site::{Site, SiteError};
use crate::sandbox::{Running, Sandbox};

/// Made anew by each demo, in the working directory.
const FOLDER: &str = "leadsync-demo";
/// Number and address of the sample lead whose create arrives without a reply.
const LOST: (usize, &str) = (7, "kaya.johansen@orbital.example.com");
const LEADS: &str = include_str!("../../samples/leads.csv");

/// Runs the demo.
pub async fn demo(_args: &DemoArgs, context: &Context) -> Outcome {
    let folder = PathBuf::from(FOLDER);
    let sandbox = Sandbox::start(Sandbox::demo_options())
        .await
        .map_err(|error| unavailable("could not start the sandbox", error))?;
    let config = config_text(&sandbox);
    let (config_file, leads_file) = fresh_folder(&folder, &config).map_err(|error| {
        unavailable(&format!("could not write to the folder {FOLDER}"), error)
            .hint("start the demo in a directory that you may write to")
    })?;
    words::remember_call(words::called_as(&["--config".to_owned(), config_file.display().to_string()]));
    introduce(&leads_file, context);

    // The demo is the demo: neither this shell's variables nor a leadsync.toml nearby have a say.
    let settings = config::parse(&config_file.display().to_string(), &config, Environment::default())?;
    let stop = listen(&settings)?;
    let files = vec![OpenFile::open(&leads_file, &settings.csv)?];
    let opened = context.open_for_work(settings).await?;
    // Made without the warning that belongs to a database of one's own.
    Keyring::for_sqlite_file(&folder.join("leadsync.db"), false).map_err(SiteError::Seal)?;
    let site = Site::open(Arc::clone(&opened.settings), Arc::clone(&opened.store)).await?;
    let destinations = opened.settings.destinations.keys().cloned().collect();
    let plan = Plan { destinations, deliver: true, everything_due: false, command: "demo" };
    // Some sample rows are bad on purpose.
    let exit = import_files(context, &site, files, &plan, true, stop).await?;
    conclude(&sandbox, exit, context);
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

fn introduce(leads: &Path, context: &Context) {
    if context.console.json || context.console.quiet > 0 {
        return;
    }
    say(&format!(
        "\n{}  {}\n\n  Reads {}, looks each person up in Live Data, creates the lead in 7targets.\n  A sandbox in this \
         process plays both: nothing leaves this machine.\n  On the way a token is refused, the account is paused (429), \
         requests fail (500, 503), a reply is\n  HTML, and another is lost after its lead was created.\n",
        paint(BOLD, "leadsync demo"),
        paint(DIM, "no account needed"),
        paint(CODE, leads.display()),
    ));
}

/// What the other side says, and what to look at next.
fn conclude(sandbox: &Running, exit: Exit, context: &Context) {
    if context.console.json || context.console.quiet > 0 {
        return;
    }
    if exit != Exit::Done {
        say("\n  the demo did not get to its end; started again, it begins anew\n");
        return;
    }
    let totals = sandbox.totals();
    let twice = sandbox.ledger().leads().iter().filter(|lead| lead.creates > 1).count();
    let mark = if twice == 0 { paint(GOOD, "✓") } else { paint(BAD, "✗") };
    let number = |n: u64| words::count(i64::try_from(n).unwrap_or(i64::MAX));
    let faults: u64 = totals.faults.values().sum();
    say(&format!(
        "\n  {}\n    {} leads in the sandbox's own ledger, {} of them created twice {mark}\n    {} requests, {} of them \
         disturbed on purpose, {} above its rate limit\n{}\n  {}\n{}",
        paint(BOLD, "the other side"),
        number(totals.created),
        number(twice as u64),
        number(totals.requests),
        number(faults),
        number(totals.violations()),
        lost_reply(sandbox),
        paint(BOLD, "look around"),
        look_around(),
    ));
}

/// How the create whose reply was lost ended, as far as the ledger knows.
fn lost_reply(sandbox: &Running) -> String {
    match sandbox.ledger().lead(LOST.1) {
        Some(lead) if lead.creates == 1 => format!(
            "    the reply about lead {} was lost: leadsync asked before sending again, and found it there\n",
            LOST.0
        ),
        _ => String::new(),
    }
}

fn look_around() -> String {
    let lost = format!("explain {}", LOST.0);
    [
        (words::leadsync("status"), "the queue"),
        (words::leadsync(lost), "whose reply was lost"),
        (words::leadsync("results --state rejected"), "and why"),
        (format!("{} import --help", words::called_as(&[])), "then your own file"),
    ]
    .iter()
    .map(|(command, why)| format!("    {}{}\n", paint(CODE, command), paint(DIM, format!("  # {why}"))))
    .collect()
}

fn unavailable(what: &str, error: io::Error) -> Failure {
    Failure::new(Exit::Unavailable, anyhow::Error::new(error).context(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_whose_reply_is_lost_is_named_by_its_number() {
        let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(LEADS.as_bytes());
        let row = rows.records().nth(LOST.0 - 1).unwrap().unwrap();
        assert_eq!(&row[0], LOST.1);
        assert!(Sandbox::demo_options().faults.to_string().contains(&format!("create:reset-after={}", LOST.1)));
    }
}
