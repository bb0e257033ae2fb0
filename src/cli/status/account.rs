//! What is shown of an account: its pauses and its quota.

use serde_json::{Map, Value, json};

use crate::cli::console::{CODE, WARN, paint};
use crate::cli::words;
use crate::clock::Timestamp;
use crate::store::{HandPause, Pause};

#[derive(Clone, Debug, Default)]
pub(super) struct AccountView {
    /// A server asked for it, or the day's quota is used up.
    pub(super) paused: Option<Pause>,
    pub(super) by_hand: Option<HandPause>,
    pub(super) used_today: i64,
    pub(super) daily_limit: Option<i64>,
}

impl AccountView {
    fn is_paused(&self) -> bool {
        self.paused.is_some() || self.by_hand.is_some()
    }

    /// Until when, if that is known, and why: what ends last counts.
    fn pause(&self) -> (Option<Timestamp>, Option<String>) {
        let of_hand = |pause: &HandPause| {
            let why = pause.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            (pause.until, Some(format!("paused by hand by {}{why}", pause.by)))
        };
        match (&self.paused, &self.by_hand) {
            (Some(pause), Some(by_hand)) if by_hand.until.is_some_and(|until| until < pause.until) => {
                (Some(pause.until), Some(pause.why.clone()))
            }
            (_, Some(by_hand)) => of_hand(by_hand),
            (Some(pause), None) => (Some(pause.until), Some(pause.why.clone())),
            (None, None) => (None, None),
        }
    }

    /// Its part of the fixed JSON object.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let (until, why) = self.pause();
        let by_hand = self.by_hand.as_ref().map(|pause| {
            json!({
                "since": pause.since.to_string(),
                "until": time(pause.until),
                "by": pause.by,
                "why": pause.why,
            })
        });
        let mut fields = Map::new();
        fields.insert("paused".into(), json!(self.is_paused()));
        fields.insert("paused_until".into(), json!(time(until)));
        fields.insert("paused_why".into(), json!(why));
        fields.insert("paused_by_hand".into(), json!(by_hand));
        fields.insert("used_today".into(), json!(self.daily_limit.map(|_| self.used_today)));
        fields.insert("daily_limit".into(), json!(self.daily_limit));
        fields
    }

    /// A line for each of its pauses.
    pub(super) fn pauses(&self, name: &str, width: usize, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(pause) = &self.by_hand {
            let until = pause.until.map_or_else(
                || format!("until {}", paint(CODE, words::leadsync(format!("resume {name}")))),
                |until| format!("goes on {}", words::when(until, now)),
            );
            let why = pause.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            lines.push(format!(
                "  {name:width$}  {} by {} {}, {until}{why}",
                paint(WARN, "paused by hand"),
                pause.by,
                words::relative(pause.since, now)
            ));
        }
        if let Some(pause) = &self.paused {
            lines.push(format!(
                "  {name:width$}  {}: {}",
                paint(WARN, format!("paused, goes on {}", words::when(pause.until, now))),
                pause.why
            ));
        }
        lines
    }
}
