//! `doctor`: what could keep leads from arriving, account by account, each with a remedy. Touches no lead.

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use std::io::Write as _;

use super::accounts;
use super::args::DoctorArgs;
use super::console;
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::ready;
use crate::config::Settings;
use crate::connectors::allowlist;
use crate::exit::Exit;
use crate::lead::LeadState;
use crate::pipeline::examine::{self, Finding, Level};
use crate::pipeline::site::Site;

/// What was examined, and what was found.
#[derive(Debug)]
struct Section {
    /// `leadsync` for the installation itself, else an account's name.
    name: String,
    findings: Vec<Finding>,
}

/// A line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    account: Option<&'a str>,
    check: &'a str,
    level: &'static str,
    found: &'a str,
    remedy: Option<&'a str>,
}

/// Examines the installation and its accounts, or a file of subnets.
pub async fn doctor(args: &DoctorArgs, context: &Context) -> Outcome {
    let sections = match &args.allowlist {
        Some(file) => vec![Section { name: file.display().to_string(), findings: of_allowlist(file)? }],
        None => of_installation(args, context).await?,
    };
    let findings = || sections.iter().flat_map(|section| &section.findings);
    let exit = findings().fold(Exit::Done, |exit, finding| exit.and(finding.exit));
    let text = if args.json { as_json(&sections, exit) } else { as_text(&sections) };
    write!(console::stdout(), "{text}")?;
    Ok(exit)
}

async fn of_installation(args: &DoctorArgs, context: &Context) -> Result<Vec<Section>, Failure> {
    let settings = context.settings()?;
    let names = named(&settings, &args.accounts)?;
    let mut own = of_configuration(&settings);
    // As it is: an examination makes no database and changes no table.
    let opened = match context.open_current().await {
        Ok(opened) => opened,
        Err(failure) => {
            own.push(failed("database", &failure));
            return Ok(without_accounts(own, names, "the database"));
        }
    };
    own.push(Finding::ok("database", format!("{}, its tables are this version's", opened.store.location())));
    let site = match Site::open(opened.settings, opened.store).await {
        Ok(site) => site,
        Err(error) => {
            own.push(failed("encryption key", &Failure::from(error)));
            return Ok(without_accounts(own, names, "the encryption key"));
        }
    };
    own.push(Finding::ok("encryption key", "opens what this database keeps sealed"));
    own.extend(of_queue(&site).await?);
    let mut sections = vec![Section { name: OWN.to_owned(), findings: own }];
    for name in names {
        let findings = examine::account(&site, &name).await?;
        sections.push(Section { name, findings });
    }
    site.store.close().await;
    Ok(sections)
}

/// The accounts can't be examined without what is missing: their tokens, pauses and limits are kept there.
fn without_accounts(own: Vec<Finding>, names: Vec<String>, missing: &str) -> Vec<Section> {
    let not_examined = |name| {
        let found = format!("not examined: tokens, pauses and limits can't be known without {missing}");
        let remedy = format!("mend {missing} first (see above), then run `leadsync doctor` again");
        Section { name, findings: vec![Finding::warn("account", found, remedy)] }
    };
    let own = Section { name: OWN.to_owned(), findings: own };
    std::iter::once(own).chain(names.into_iter().map(not_examined)).collect()
}

/// What the installation's own findings stand under.
const OWN: &str = "leadsync";

/// The accounts that were asked for, or all.
fn named(settings: &Settings, asked: &[String]) -> Result<Vec<String>, Failure> {
    asked.iter().try_for_each(|name| accounts::require(settings, name))?;
    let all = || accounts::names(settings).into_iter().map(str::to_owned).collect();
    Ok(if asked.is_empty() { all() } else { asked.to_vec() })
}

fn of_configuration(settings: &Settings) -> Vec<Finding> {
    let file = settings.origins.file().unwrap_or("no file");
    match ready::everything(settings) {
        Ok(()) => vec![Finding::ok("configuration", format!("{file}: complete"))],
        Err(error) => error
            .problems()
            .iter()
            .map(|problem| Finding::fail("configuration", problem.to_string(), "", Exit::Usage))
            .collect(),
    }
}

fn failed(check: &'static str, failure: &Failure) -> Finding {
    let (found, remedy) = match failure {
        Failure::PipeClosed => (String::new(), None),
        Failure::Failed { error, hint, .. } => (format!("{error:#}"), hint.clone()),
    };
    Finding::fail(check, found, remedy.unwrap_or_default(), failure.exit())
}

/// The whole table: what must not be, and what waits for a person.
async fn of_queue(site: &Site) -> Result<Vec<Finding>, Failure> {
    let mut findings: Vec<Finding> = site
        .store
        .audit()
        .await?
        .into_iter()
        .map(|(what, count)| {
            let remedy = "was the table changed by hand? if not, this is a bug in leadsync: please report it";
            Finding::fail("leads", format!("{count} {what}"), remedy, Exit::Bug)
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok("leads", "every one is in a state of ours, and the claims agree with them"));
    }
    let counts = site.store.state_counts().await?;
    let unconfirmed: i64 = counts.iter().filter(|it| it.state == LeadState::Unconfirmed).map(|it| it.count).sum();
    if unconfirmed > 0 {
        let remedy = "look them up at the destination, and say so: `leadsync resolve --delivered` or `--absent`";
        findings.push(Finding::warn(
            "leads",
            format!("{unconfirmed} unconfirmed: nobody knows whether they arrived"),
            remedy,
        ));
    }
    let stray = |name: &str| !site.settings.destinations.contains_key(name);
    for count in counts.iter().filter(|it| !it.state.is_final()) {
        if let Some(name) = count.destination.as_deref().filter(|name| stray(name)) {
            let found = format!("{} wait for `{name}`, which is not configured", count.count);
            findings.push(Finding::warn("leads", found, format!("configure [destinations.{name}]")));
        }
    }
    Ok(findings)
}

/// A list of subnets for the bank, checked by the rules of its page.
fn of_allowlist(file: &Path) -> Result<Vec<Finding>, Failure> {
    let is_input = file == Path::new("-");
    let shown = if is_input { "standard input".to_owned() } else { file.display().to_string() };
    let read = if is_input { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    let text = read.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
            _ => format!("can't be read: {error}"),
        };
        Failure::usage(format!("{shown} {why}")).hint("expected one subnet a line, such as 203.0.113.0/24")
    })?;
    let report = allowlist::check(&text);
    let mut findings: Vec<Finding> = report
        .errors()
        .map(|it| Finding::fail("allowlist", it.to_string(), it.remedy.clone(), Exit::Usage))
        .chain(report.warnings().map(|it| Finding::warn("allowlist", it.to_string(), it.remedy.clone())))
        .collect();
    if report.is_usable() {
        let found = match (report.subnets.len(), report.idle()) {
            (all, 0) => format!("{} that the bank takes", subnets(all)),
            (all, idle) => format!("{} that the bank may take, of which no call can come from {idle}", subnets(all)),
        };
        findings.insert(0, Finding::ok("allowlist", found));
    }
    Ok(findings)
}

fn subnets(count: usize) -> String {
    format!("{count} {}", if count == 1 { "subnet" } else { "subnets" })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Ok => "OK",
        Level::Warn => "WARN",
        Level::Fail => "FAIL",
    }
}

fn as_text(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        text.push_str(&format!("{}\n", section.name));
        for finding in &section.findings {
            text.push_str(&format!("  {:<4}  {:<14}  {}\n", level(finding.level), finding.check, finding.found));
            if let Some(remedy) = &finding.remedy {
                text.push_str(&format!("  {:<4}  {:<14}  -> {remedy}\n", "", ""));
            }
        }
    }
    text
}

fn as_json(sections: &[Section], exit: Exit) -> String {
    let lines: Vec<Line<'_>> = sections
        .iter()
        .flat_map(|section| {
            section.findings.iter().map(|finding| Line {
                account: Some(section.name.as_str()).filter(|name| *name != OWN),
                check: finding.check,
                level: level(finding.level),
                found: &finding.found,
                remedy: finding.remedy.as_deref(),
            })
        })
        .collect();
    format!("{}\n", json!({"findings": lines, "exit_code": exit.code()}))
}
