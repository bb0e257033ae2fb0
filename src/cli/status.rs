//! `leadsync status`: what is where, what waits for what and until when, and what the last runs did.

mod account;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use self::account::AccountView;
use super::accounts::ENRICH;
use super::args::StatusArgs;
use super::console::{self, BOLD, CODE, DIM, WARN, paint, state_style};
use super::context::Context;
use super::failure::Outcome;
use super::words;
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::exit::Exit;
use crate::lead::LeadState;
use crate::pipeline::site::account_keys;
use crate::store::{HandPause, Pause, Result, RunRecord, RunStanding, Store, Turn};

/// Leads that name no destination while the configuration has no default one.
const NO_DESTINATION: &str = "(none)";
/// How many runs are shown.
const RUNS: u32 = 5;

/// Runs the command.
pub async fn status(args: &StatusArgs, context: &Context) -> Outcome {
    let opened = context.open_current().await?;
    let view = gather(&*opened.store, &Known::of(&opened.settings), opened.now()).await?;
    opened.store.close().await;
    let mut out = console::stdout();
    if args.json {
        writeln!(out, "{}", to_json(&view))?
    } else {
        writeln!(out, "{}", render(&view))?
    }
    Ok(Exit::Done)
}

/// What the configuration says that the database doesn't know.
#[derive(Clone, Debug, Default)]
struct Known {
    default: Option<String>,
    /// Name and daily limit of each destination.
    destinations: Vec<(String, Option<i64>)>,
    daily_credits: Option<i64>,
    /// What quotas and pauses are stored under, by name.
    accounts: BTreeMap<String, String>,
}

impl Known {
    fn of(settings: &Settings) -> Self {
        let only = settings.destinations.len() == 1;
        let destinations = settings.destinations.iter();
        Self {
            default: destinations.clone().find(|(_, d)| d.default || only).map(|(name, _)| name.clone()),
            destinations: destinations
                .map(|(name, destination)| (name.clone(), destination.section.daily_limit().map(i64::from)))
                .collect(),
            daily_credits: settings.enrich.as_ref().and_then(|enrich| enrich.daily_credits),
            accounts: account_keys(settings),
        }
    }
}

/// Everything that is shown.
#[derive(Clone, Debug)]
struct View {
    location: String,
    now: Timestamp,
    destinations: BTreeMap<String, DestinationView>,
    enrich: AccountView,
    runs: Vec<RunRecord>,
}

#[derive(Clone, Debug, Default)]
struct DestinationView {
    configured: bool,
    states: [i64; 8],
    due: i64,
    leased: i64,
    next_due: Option<Timestamp>,
    account: AccountView,
}

async fn gather(store: &dyn Store, known: &Known, now: Timestamp) -> Result<View> {
    let mut destinations: BTreeMap<String, DestinationView> = BTreeMap::new();
    for (name, daily_limit) in &known.destinations {
        let view = destinations.entry(name.clone()).or_default();
        view.configured = true;
        view.account.daily_limit = *daily_limit;
    }
    let name = |destination: Option<String>| {
        destination.or_else(|| known.default.clone()).unwrap_or_else(|| NO_DESTINATION.to_owned())
    };
    for count in store.state_counts().await? {
        destinations.entry(name(count.destination)).or_default().states[count.state as usize] += count.count;
    }
    for waiting in store.waiting(None, now).await? {
        let view = destinations.entry(name(waiting.destination)).or_default();
        view.due += waiting.due;
        view.leased += waiting.leased;
        view.next_due = [view.next_due, waiting.next_due].into_iter().flatten().min();
    }
    let mut enrich = AccountView { daily_limit: known.daily_credits, ..AccountView::default() };
    let pauses = store.pauses(now).await?;
    let mut by_hand: BTreeMap<String, HandPause> =
        store.hand_pauses(now).await?.into_iter().map(|pause| (pause.name.clone(), pause)).collect();
    // Nothing that is paused is hidden, although nothing else be known of it.
    for name in by_hand.keys().filter(|name| *name != ENRICH) {
        destinations.entry(name.clone()).or_default();
    }
    let accounts = destinations.iter_mut().map(|(name, view)| (name.as_str(), &mut view.account));
    for (name, account) in accounts.chain([(ENRICH, &mut enrich)]) {
        let key = known.accounts.get(name).map_or(name, String::as_str);
        let day = Pause::for_the_day(key);
        let told = pauses.iter().filter(|pause| pause.account == key || pause.account == day);
        account.by_hand = by_hand.remove(name);
        account.paused = told.max_by_key(|pause| pause.until).cloned();
        if account.daily_limit.is_some() {
            account.used_today = store.quota_used(key, now.utc_day()).await?;
        }
    }
    Ok(View { location: store.location(), now, destinations, enrich, runs: store.runs(RUNS).await? })
}

fn states_json(states: &[i64; 8]) -> Value {
    LeadState::ALL
        .into_iter()
        .map(|state| (state.as_str().to_owned(), json!(states[state as usize])))
        .collect::<Map<_, _>>()
        .into()
}

fn totals(view: &View) -> [i64; 8] {
    let mut totals = [0; 8];
    for destination in view.destinations.values() {
        for (total, n) in totals.iter_mut().zip(destination.states) {
            *total += n;
        }
    }
    totals
}

/// The fixed JSON object: fields are added, never changed.
fn to_json(view: &View) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let destinations: Map<String, Value> = view
        .destinations
        .iter()
        .map(|(name, destination)| {
            let mut fields = Map::new();
            fields.insert("states".into(), states_json(&destination.states));
            fields.insert("due".into(), json!(destination.due));
            fields.insert("leased".into(), json!(destination.leased));
            fields.insert("next_due_at".into(), json!(time(destination.next_due)));
            fields.extend(destination.account.fields());
            fields.insert("configured".into(), json!(destination.configured));
            (name.clone(), Value::Object(fields))
        })
        .collect();
    let last_run = view.runs.first().map(|run| {
        let c = &run.counts;
        json!({
            "id": run.id,
            "command": run.command,
            "started_at": run.started_at.to_string(),
            "finished_at": time(run.finished_at),
            "exit_code": run.exit_code,
            "at_work": run.standing(view.now) == RunStanding::AtWork,
            "exclusive": run.turn == Some(Turn::Exclusive),
            "taken": c.taken,
            "delivered": c.delivered,
            "rejected": c.rejected,
            "exhausted": c.exhausted,
            "unconfirmed": c.unconfirmed,
            "skipped": c.skipped,
        })
    });
    json!({
        "states": states_json(&totals(view)),
        "destinations": destinations,
        "enrich": view.enrich.fields(),
        "last_run": last_run,
    })
}

fn render(view: &View) -> String {
    let mut text = format!("{}  {}\n", paint(BOLD, &view.location), paint(DIM, view.now));
    let totals = totals(view);
    if totals.iter().all(|n| *n == 0) {
        let _ = write!(text, "\n  no leads yet; {} brings some in\n", paint(CODE, words::leadsync("import FILE")));
    } else {
        let _ = write!(text, "\n{}\n", state_table(view, &totals));
    }
    waiting(&mut text, view);
    quotas(&mut text, view);
    runs(&mut text, view);
    if totals[LeadState::Unconfirmed as usize] > 0 {
        let _ = write!(
            text,
            "\n{} {} may or may not have arrived; {} lists them, {} settles them\n",
            paint(WARN, "!"),
            words::leads(totals[LeadState::Unconfirmed as usize]),
            paint(CODE, words::leadsync("results --state unconfirmed")),
            paint(CODE, words::leadsync("resolve")),
        );
    }
    text.truncate(text.trim_end().len());
    text
}

/// Destinations by states, without the states that no lead is in.
fn state_table(view: &View, totals: &[i64; 8]) -> String {
    let shown: Vec<LeadState> = LeadState::ALL.into_iter().filter(|state| totals[*state as usize] > 0).collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let header = ["destination".to_owned()].into_iter().chain(shown.iter().map(ToString::to_string));
    table.set_header(header.chain(["total".to_owned()]));
    let row = |name: &str, states: &[i64; 8]| -> Vec<String> {
        let counts = shown.iter().map(|state| words::count(states[*state as usize]));
        [name.to_owned()].into_iter().chain(counts).chain([words::count(states.iter().sum())]).collect()
    };
    for (name, destination) in &view.destinations {
        table.add_row(row(name, &destination.states));
    }
    if view.destinations.len() > 1 {
        table.add_row(row("all", totals));
    }
    for column in 1..=shown.len() + 1 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // Colours are put in afterwards, so that the table's widths are those of the text.
    let mut lines: Vec<String> = table.trim_fmt().lines().map(|line| format!(" {line}")).collect();
    if let Some(header) = lines.first_mut() {
        for state in &shown {
            *header = header.replacen(state.as_str(), &paint(state_style(*state), state), 1);
        }
    }
    lines.join("\n")
}

fn name_width(view: &View) -> usize {
    view.destinations.keys().map(|name| name.chars().count()).max().unwrap_or(0).max(ENRICH.len())
}

fn waiting(text: &mut String, view: &View) {
    let width = name_width(view);
    let mut lines: Vec<String> = Vec::new();
    for (name, destination) in &view.destinations {
        let mut parts = Vec::new();
        if destination.due > 0 {
            parts.push(format!("{} due now", words::count(destination.due)));
        }
        if destination.leased > 0 {
            parts.push(format!("{} in work", words::count(destination.leased)));
        }
        if let Some(next) = destination.next_due {
            parts.push(format!("next due {}", words::when(next, view.now)));
        }
        if !parts.is_empty() {
            lines.push(format!("  {name:width$}  {}", parts.join(" · ")));
        }
        let waits: i64 = LeadState::ALL.iter().filter(|s| !s.is_final()).map(|s| destination.states[*s as usize]).sum();
        if !destination.configured && waits > 0 {
            let why = if name == NO_DESTINATION {
                "no default destination is configured: these leads wait for one".to_owned()
            } else {
                format!("not configured: these leads wait for a `[destinations.{name}]`")
            };
            lines.push(format!("  {:width$}  {}", "", paint(WARN, why)));
        }
    }
    let accounts = view.destinations.iter().map(|(name, view)| (name.as_str(), &view.account));
    for (name, account) in accounts.chain([(ENRICH, &view.enrich)]) {
        lines.extend(account.pauses(name, width, view.now));
    }
    if !lines.is_empty() {
        let _ = write!(text, "\n{}\n{}\n", paint(BOLD, "waiting"), lines.join("\n"));
    }
}

fn quotas(text: &mut String, view: &View) {
    let mut lines = Vec::new();
    let width = name_width(view);
    let accounts = view.destinations.iter().map(|(name, view)| (name.as_str(), &view.account, "creates"));
    for (name, account, what) in accounts.chain([(ENRICH, &view.enrich, "credits")]) {
        if let Some(limit) = account.daily_limit {
            lines.push(format!(
                "  {name:width$}  {} of {} {what} used, {} left; begins anew {}",
                words::count(account.used_today),
                words::count(limit),
                words::count((limit - account.used_today).max(0)),
                words::when(view.now.next_utc_day(), view.now),
            ));
        }
    }
    if !lines.is_empty() {
        let _ = write!(text, "\n{}\n{}\n", paint(BOLD, "today's quotas"), lines.join("\n"));
    }
}

fn runs(text: &mut String, view: &View) {
    if view.runs.is_empty() {
        return;
    }
    let _ = write!(text, "\n{}\n", paint(BOLD, "last runs"));
    for run in &view.runs {
        let c = &run.counts;
        let ended = match (run.finished_at, run.exit_code) {
            (Some(at), Some(code)) => format!("took {}, exit code {code}", words::duration(run.started_at.until(at))),
            _ => match (run.standing(view.now), run.turn) {
                (RunStanding::AtWork, Some(Turn::Exclusive)) => "at work, exclusive".to_owned(),
                (RunStanding::AtWork, _) => "at work".to_owned(),
                _ => paint(WARN, "did not end: killed, or cut off from the database"),
            },
        };
        let states = [
            (LeadState::Delivered, c.delivered),
            (LeadState::Rejected, c.rejected),
            (LeadState::Exhausted, c.exhausted),
            (LeadState::Unconfirmed, c.unconfirmed),
            (LeadState::Skipped, c.skipped),
        ];
        let mut parts = vec![format!("in {}", words::count(c.taken))];
        parts.extend(
            states
                .iter()
                .filter(|(_, n)| *n > 0)
                .map(|(state, n)| format!("{state} {}", paint(state_style(*state), words::count(*n)))),
        );
        let _ = writeln!(
            text,
            "  {:>4}  {:6}  {}, {ended}: {}",
            run.id.to_string(),
            run.command,
            words::relative(run.started_at, view.now),
            parts.join(", ")
        );
    }
}

#[cfg(test)]
mod tests;
