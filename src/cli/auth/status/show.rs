//! How accounts are told to people and to programs.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{State, View};
use crate::cli::console::{BAD, CODE, DIM, GOOD, WARN, paint};
use crate::cli::words;
use crate::clock::Timestamp;

/// What a frequency that nothing explains may mean.
const SHARED: &str = "refreshed unusually often: do two deployments share this grant?";

/// One JSON object: fields are added, never changed.
pub(super) fn to_json(views: &[View]) -> Value {
    let accounts: Map<String, Value> = views.iter().map(|view| (view.name.clone(), account(view))).collect();
    json!({ "accounts": accounts })
}

fn account(view: &View) -> Value {
    let token = view.token();
    let standing = view.standing.as_ref();
    json!({
        "state": view.state.as_str(),
        "configured": view.configured,
        "expires_at": token.map(|token| token.expires_at.to_string()),
        "generation": token.map(|token| token.generation),
        "refreshed_at": token.map(|token| token.refreshed_at.to_string()),
        "refreshed_by": token.and_then(|token| token.refreshed_by.as_ref()),
        "refreshing_until": standing.and_then(|it| it.refreshing_until).map(|until| until.to_string()),
        "needs_login": standing.and_then(|it| it.token.needs_login.as_ref()),
        "refreshes_24h": view.frequency.map_or(0, |it| it.refreshed),
        "explained_24h": view.frequency.map(|it| it.explained),
        "refreshed_unusually_often": view.is_shared(),
        "other_chain": view.other_chain,
        "orphans": view.orphans,
    })
}

/// A line an account, and what there is to say besides below it.
pub(super) fn render(views: &[View], now: Timestamp) -> String {
    if views.is_empty() {
        return "no account is configured, and no token is stored".to_owned();
    }
    let name_width = views.iter().map(|view| view.name.chars().count()).max().unwrap_or(0);
    let state_width = views.iter().map(|view| view.state.as_str().len()).max().unwrap_or(0);
    let mut text = String::new();
    for view in views {
        let state = format!("{:state_width$}", view.state.as_str().replace('_', " "));
        let state = paint(style(view.state), state);
        let _ = writeln!(text, "{:name_width$}  {state}  {}", view.name, facts(view, now).join(" · "));
        for remark in remarks(view, now) {
            let _ = writeln!(text, "{:name_width$}  {remark}", "");
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn style(state: State) -> anstyle::Style {
    match state {
        State::Ok | State::Static => GOOD,
        State::ExpiresSoon | State::RefreshUnderWay => WARN,
        State::NeedsLogin => BAD,
        State::Expired | State::NoneYet | State::NoAuthentication => DIM,
    }
}

fn facts(view: &View, now: Timestamp) -> Vec<String> {
    let mut facts = Vec::new();
    match view.state {
        State::Static => return vec!["nothing to refresh".to_owned()],
        State::NoAuthentication => return vec!["it is called without credentials".to_owned()],
        State::NoneYet => return vec!["asked for when the account is first called".to_owned()],
        State::NeedsLogin => {
            let why = view.standing.as_ref().and_then(|standing| standing.token.needs_login.clone());
            facts.extend(why);
        }
        State::RefreshUnderWay => {
            let until = view.standing.as_ref().and_then(|standing| standing.refreshing_until);
            facts.extend(until.map(|until| format!("nobody else begins one before {until}")));
        }
        State::Ok | State::ExpiresSoon | State::Expired => {}
    }
    let Some(token) = view.token() else { return facts };
    facts.push(match view.state {
        _ if token.expires_at > now => format!("expires {}", words::when(token.expires_at, now)),
        State::Expired => format!("expired {}, refreshed when next needed", words::relative(token.expires_at, now)),
        _ => format!("expired {}", words::relative(token.expires_at, now)),
    });
    facts.push(format!("generation {}", token.generation));
    let by = token.refreshed_by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
    facts.push(format!("refreshed {}{by}", words::relative(token.refreshed_at, now)));
    if let Some(frequency) = view.frequency {
        let more = if frequency.at_least { " or more" } else { "" };
        facts.push(format!(
            "{}{more} in 24 h, its life explains {}",
            words::count(frequency.refreshed.cast_signed()),
            words::count(frequency.explained.cast_signed())
        ));
    }
    facts
}

fn remarks(view: &View, now: Timestamp) -> Vec<String> {
    let warn = |text: &str| format!("{} {text}", paint(WARN, "!"));
    let mut remarks = Vec::new();
    if view.state == State::NeedsLogin {
        let seed = "put a new refresh token into `refresh_token`";
        let remedy = match view.by_browser {
            true => format!("log in again: `leadsync auth login {}`, or {seed}", view.login_name),
            false => seed.to_owned(),
        };
        remarks.push(format!("{} {remedy}", paint(CODE, "→")));
    }
    if view.is_shared() {
        remarks.push(warn(SHARED));
    }
    if view.was_cut_off(now) {
        remarks.push(warn("a refresh began and nobody told how it ended; whoever needs a token next looks into it"));
    }
    if view.other_chain && view.configured {
        remarks.push(warn(
            "the newest token stored under this name; whether it is the configuration's can't be told: what decides \
             is not set here, or was not used yet",
        ));
    }
    if !view.configured {
        remarks.push(warn("not configured: left over"));
    }
    if !view.orphans.is_empty() {
        let orphans = view.orphans.join(", ");
        remarks.push(paint(DIM, format!("left over from before the configuration changed, not used: {orphans}")));
    }
    remarks
}
