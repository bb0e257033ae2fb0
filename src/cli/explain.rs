//! `leadsync explain`: the whole story of one lead. Shows personal data, on standard output, since the operator asked for
//! this very lead.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use super::args::ExplainArgs;
use super::console::{self, BOLD, CODE, DIM, GOOD, WARN, paint, state_style};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::words;
use crate::clock::Timestamp;
use crate::exit::Exit;
use crate::lead::{Lead, LeadId, LeadState, LookUp, Person, RawLead};
use crate::pipeline::sealing;
use crate::store::{CallRecord, LeadFilter, LeadRecord, Store};

/// Leads of one e-mail address that are told in full; more are counted.
const AT_MOST: u32 = 100;

/// Runs the command.
pub async fn explain(args: &ExplainArgs, context: &Context) -> Outcome {
    let opened = context.open_current().await?;
    let now = opened.now();
    let mut out = console::stdout();
    let mut first = true;
    for (position, wanted) in args.leads.iter().enumerate() {
        for mut lead in find(&*opened.store, wanted, position).await? {
            lead.raw.custom_fields = lead.raw.custom_fields.map(|text| sealing::shown(&opened.settings, text));
            let calls = opened.store.calls_of(lead.id).await?;
            if !first {
                writeln!(out)?;
            }
            first = false;
            writeln!(out, "{}", render(&lead, &calls, now))?;
        }
    }
    opened.store.close().await;
    Ok(Exit::Done)
}

/// The leads of this number or e-mail address, at least one.
async fn find(store: &dyn Store, wanted: &str, position: usize) -> Result<Vec<LeadRecord>, Failure> {
    let id = wanted.strip_prefix('#').unwrap_or(wanted).parse::<i64>().ok();
    let which = match id {
        Some(id) => LeadFilter { ids: vec![LeadId(id)], ..LeadFilter::default() },
        None => LeadFilter { email: Some(wanted.to_owned()), ..LeadFilter::default() },
    };
    let found = store.leads(&which, LeadId(0), AT_MOST).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    Err(match id {
        Some(id) => {
            Failure::usage(format!("there is no lead {id}")).hint("`leadsync results` lists the leads there are")
        }
        // What was typed is somebody's address: it isn't repeated where logs are kept.
        None => Failure::usage(format!("no lead has the e-mail address given (argument {})", position + 1)).hint(
            "`leadsync results` lists the leads there are; an import may have refused the row, see its .rejected.csv",
        ),
    })
}

fn render(lead: &LeadRecord, calls: &[CallRecord], now: Timestamp) -> String {
    let mut text =
        format!("{}  {}", paint(BOLD, format!("lead {}", lead.id)), paint(state_style(lead.state).bold(), lead.state));
    if let Some(reason) = &lead.reason {
        let _ = write!(text, "  {reason}");
    }
    text.push('\n');
    let mut facts: Vec<(&str, String)> = vec![
        ("destination", lead.destination.clone().unwrap_or_else(|| "none named: the default one".into())),
        ("origin", origin(lead)),
    ];
    if let Some(at) = lead.received_at {
        facts.push(("first seen", format!("{at} ({})", words::relative(at, now))));
    }
    if let Some(at) = lead.finished_at {
        facts.push(("finished", format!("{at} ({})", words::relative(at, now))));
    }
    if let Some(run) = lead.run {
        facts.push(("last run", run.to_string()));
    }
    if let Some(remote_id) = &lead.remote_id {
        facts.push(("remote id", remote_id.clone()));
    }
    if let Some(other) = lead.duplicate_of {
        facts.push((
            "duplicate of",
            format!("lead {other} ({})", paint(CODE, words::leadsync(format!("explain {other}")))),
        ));
    }
    facts.push((
        "tries",
        format!(
            "{}, {}",
            words::plural(lead.attempts.into(), "failed attempt"),
            words::plural(lead.deferrals.into(), "deferral")
        ),
    ));
    table(&mut text, &facts);

    values(&mut text, lead);
    look_up(&mut text, lead);
    if let Some(prepared) = lead.prepared.as_ref().filter(|prepared| !prepared.notes.is_empty()) {
        section(&mut text, "notes");
        for note in &prepared.notes {
            let _ = writeln!(text, "    {note}");
        }
    }
    call_log(&mut text, calls);
    section(&mut text, "what happens next");
    for line in next(lead, now) {
        let _ = writeln!(text, "    {line}");
    }
    let can = what_can_be_done(lead);
    if !can.is_empty() {
        section(&mut text, "what you can do");
        let width = can.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
        for (command, what) in can {
            let _ = writeln!(text, "    {}  {what}", paint(CODE, format!("{command:width$}")));
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn section(text: &mut String, name: &str) {
    let _ = writeln!(text, "\n  {}", paint(BOLD, name));
}

fn table(text: &mut String, facts: &[(&str, String)]) {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in facts {
        let _ = writeln!(text, "    {}  {value}", paint(DIM, format!("{name:width$}")));
    }
}

fn origin(lead: &LeadRecord) -> String {
    match &lead.origin {
        Some(origin) if origin.file == "-" => format!("standard input, line {}", origin.row),
        Some(origin) => format!("{}, line {}", origin.file, origin.row),
        None => "put into the queue by another program".into(),
    }
}

/// What was received beside what is sent; the second only where it differs.
fn values(text: &mut String, lead: &LeadRecord) {
    let raw = raw_fields(&lead.raw);
    let sent = lead.prepared.as_ref().map(|prepared| lead_fields(&prepared.lead));
    section(text, if sent.is_some() { "received → sent" } else { "received" });
    let mut rows: Vec<(String, String)> = Vec::new();
    for (name, received) in &raw {
        let sends = sent.as_ref().map(|sent| sent.iter().find(|(n, _)| n == name).and_then(|(_, value)| value.clone()));
        let shown = match (received, sends) {
            (None, None | Some(None)) => continue,
            (Some(received), None) => show(received),
            (Some(received), Some(Some(sent))) if *received == sent => show(received),
            (Some(received), Some(Some(sent))) => format!("{} → {}", show(received), paint(GOOD, show(&sent))),
            (Some(received), Some(None)) => format!("{} → {}", show(received), paint(WARN, "left out")),
            (None, Some(Some(sent))) => format!("→ {} {}", paint(GOOD, show(&sent)), paint(DIM, "(from the look-up)")),
        };
        rows.push(((*name).to_owned(), shown));
    }
    if rows.is_empty() {
        rows.push(("nothing".into(), "the row is empty".into()));
    }
    let rows: Vec<(&str, String)> = rows.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    table(text, &rows);
}

/// One line, whatever somebody wrote: control characters would move the terminal's cursor.
fn show(value: &str) -> String {
    let line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // Blanks at the ends are worth seeing, and would look like a crooked table.
    if line.trim() == line && !line.is_empty() { line } else { format!("`{line}`") }
}

fn raw_fields(raw: &RawLead) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("email", raw.email.clone()),
        ("first_name", raw.first_name.clone()),
        ("last_name", raw.last_name.clone()),
        ("phone", raw.phone.clone()),
        ("company", raw.company.clone()),
        ("job_title", raw.job_title.clone()),
        ("linkedin", raw.linkedin.clone()),
        ("source", raw.source.clone()),
        ("context", raw.context.clone()),
        ("note", raw.note.clone()),
        ("custom_fields", raw.custom_fields.clone()),
        ("external_id", raw.external_id.clone()),
    ]
}

fn lead_fields(lead: &Lead) -> Vec<(&'static str, Option<String>)> {
    let custom = serde_json::to_string(&lead.custom_fields).ok().filter(|_| !lead.custom_fields.is_empty());
    vec![
        ("email", Some(lead.email.clone())),
        ("first_name", lead.first_name.clone()),
        ("last_name", lead.last_name.clone()),
        ("phone", lead.phone.clone()),
        ("company", lead.company.clone()),
        ("job_title", lead.job_title.clone()),
        ("linkedin", lead.linkedin.clone()),
        ("source", lead.source.clone()),
        ("context", lead.context.clone()),
        ("note", lead.note.clone()),
        ("custom_fields", custom),
        ("external_id", lead.external_id.clone()),
    ]
}

fn look_up(text: &mut String, lead: &LeadRecord) {
    let Some(prepared) = &lead.prepared else { return };
    section(text, "look-up");
    let source = if lead.lookup_call.is_some() { "" } else { " (known from an earlier look-up)" };
    match &prepared.looked_up {
        LookUp::NotAsked => text.push_str("    nobody was asked\n"),
        LookUp::NotFound => {
            let _ = writeln!(text, "    nobody is known there under what was asked for{source}");
        }
        LookUp::Found { person } => {
            let _ = writeln!(text, "    found{source}");
            table(text, &person_fields(person));
        }
    }
}

fn person_fields(person: &Person) -> Vec<(&'static str, String)> {
    let fields = [
        ("name", &person.name),
        ("first name", &person.first_name),
        ("last name", &person.last_name),
        ("title", &person.title),
        ("company", &person.company),
        ("domain", &person.company_domain),
        ("industry", &person.industry),
        ("status", &person.employment_status),
        ("level", &person.level),
        ("function", &person.function),
        ("location", &person.location),
        ("country", &person.country),
        ("linkedin", &person.linkedin),
        ("work e-mail", &person.work_email),
        ("cell phone", &person.cell_phone),
        ("direct dial", &person.direct_dial),
    ];
    fields.into_iter().filter_map(|(name, value)| value.as_deref().map(|value| (name, show(value)))).collect()
}

fn call_log(text: &mut String, calls: &[CallRecord]) {
    section(text, "calls");
    if calls.is_empty() {
        text.push_str("    none\n");
        return;
    }
    let width = |of: fn(&CallRecord) -> usize| calls.iter().map(of).max().unwrap_or(0);
    let (account, what) = (width(|call| call.account.chars().count()), width(|call| call.what.chars().count()));
    for call in calls {
        let status = call.status.map_or_else(|| "–".to_owned(), |status| status.to_string());
        let took = words::duration(Duration::from_millis(u64::try_from(call.duration_ms).unwrap_or(0)));
        let run = call.run.map_or_else(String::new, |run| format!(" (run {run})"));
        let _ = writeln!(
            text,
            "    {}  {:account$}  {:what$}  {status:>3}  {took:>8}  {}{}",
            paint(DIM, call.started_at),
            call.account,
            call.what,
            call.verdict,
            paint(DIM, run),
        );
    }
}

fn next(lead: &LeadRecord, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(until) = lead.lease_expires.filter(|until| *until > now) {
        lines.push(format!(
            "a worker has it in hand; if that worker died, the lead is free again {}",
            words::when(until, now)
        ));
    }
    let due = if lead.not_before > now {
        format!("comes due {}: the first run after that", words::when(lead.not_before, now))
    } else {
        "due: the next `leadsync run`".to_owned()
    };
    lines.push(match lead.state {
        LeadState::Received => format!("{due} normalises it, looks it up and delivers it"),
        LeadState::Ready => format!("{due} delivers it"),
        LeadState::Sending => {
            let sent =
                lead.sent_at.map_or_else(String::new, |at| format!(" (sent {}: {at})", words::relative(at, now)));
            format!("nobody knows yet whether it arrived{sent}; {due} finds out before anything is created")
        }
        LeadState::Delivered => "nothing: the destination has it".into(),
        LeadState::Rejected | LeadState::Exhausted => "nothing, unless you say so".into(),
        LeadState::Unconfirmed => "nothing: it may exist at the destination, and only a person can find out".into(),
        LeadState::Skipped if lead.duplicate_of.is_some() => {
            "nothing, as long as the lead it duplicates holds its place; should that one fail, this one takes its turn"
                .into()
        }
        LeadState::Skipped => "nothing, unless you say so".into(),
    });
    lines
}

fn what_can_be_done(lead: &LeadRecord) -> Vec<(String, &'static str)> {
    let id = lead.id;
    match lead.state {
        LeadState::Rejected => {
            vec![(
                words::leadsync(format!("retry --id {id}")),
                "once the cause is gone (or import the row again, mended)",
            )]
        }
        LeadState::Exhausted => vec![(words::leadsync(format!("retry --id {id}")), "try again, with all attempts")],
        LeadState::Skipped => vec![(words::leadsync(format!("retry --id {id}")), "look at it anew")],
        LeadState::Unconfirmed => vec![
            (words::leadsync(format!("resolve {id} --delivered")), "you found it at the destination"),
            (words::leadsync(format!("resolve {id} --absent")), "it is not there: send it again"),
        ],
        LeadState::Received | LeadState::Ready | LeadState::Sending => {
            vec![(words::leadsync("run"), "work the queue now"), (words::leadsync("status"), "see what it waits for")]
        }
        LeadState::Delivered => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
