//! Runs, and how they stand to each other.

use serde::{Deserialize, Serialize};

use super::RunId;
use crate::clock::Timestamp;

/// What a run did so far, as the database counts it: added to in the transactions that do it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// Leads taken in: leased by this run for the first time, and rows rejected while loading.
    pub taken: i64,
    pub delivered: i64,
    pub rejected: i64,
    pub exhausted: i64,
    pub unconfirmed: i64,
    pub skipped: i64,
    /// Attempts that failed and puttings-off.
    pub failed_attempts: i64,
    pub deferrals: i64,
}

/// What a run that sends asks of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It works beside any number of its like, and of no exclusive one.
    Shared,
    /// It works alone.
    Exclusive,
}

impl Turn {
    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Exclusive => "exclusive",
        }
    }
}

/// The answer to "may a run begin?"
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnAnswer {
    /// It has begun, and counts as being at work.
    Begun(RunId),
    /// This one is at work, and one of the two is exclusive. Nothing was changed.
    Taken(Box<RunRecord>),
}

/// Where a run stands, as far as the database can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStanding {
    Ended,
    /// It said so a short while ago.
    AtWork,
    /// It never ended, and is silent: it was killed, or can't reach the database.
    Silent,
}

/// A run as `status` and reports see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    pub id: RunId,
    /// `run`, `import`, `demo`.
    pub command: String,
    pub started_at: Timestamp,
    /// `None`: at work, or killed: [`RunRecord::standing`].
    pub finished_at: Option<Timestamp>,
    pub exit_code: Option<i32>,
    pub counts: RunCounts,
    /// `None`: it only loads rows.
    pub turn: Option<Turn>,
    /// At work until then, unless it ended before; renewed while it works.
    pub alive_until: Option<Timestamp>,
}

impl RunRecord {
    /// Where it stands at this moment.
    pub fn standing(&self, now: Timestamp) -> RunStanding {
        match (self.finished_at, self.alive_until) {
            (Some(_), _) => RunStanding::Ended,
            (None, Some(until)) if until > now => RunStanding::AtWork,
            (None, _) => RunStanding::Silent,
        }
    }
}
