//! What a run says of itself while it works and when it ends: numbers only; how they look is `cli`'s business.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::exit::Exit;
use crate::http::message::Rate;
use crate::lead::{LeadId, LeadState};
use crate::store::{RunCounts, RunId};

/// Live numbers of a run, read by the progress display while workers add to them.
#[derive(Debug)]
pub struct Progress {
    /// When it began.
    pub started: Instant,
    /// Leads that were due when the run began: the display's 100 %. Grows if more come due.
    pub expected: AtomicI64,
    /// Leads that reached a final state in this run, by [`LeadState::ALL`]'s order.
    finished: [AtomicI64; 8],
    /// One per destination.
    pub lanes: Vec<LaneProgress>,
}

/// Live numbers of one destination.
#[derive(Debug)]
pub struct LaneProgress {
    /// As in the configuration.
    pub name: String,
    /// The account's limit; `None`: none.
    pub rate: Option<Rate>,
    /// Requests sent so far, whatever their kind.
    pub requests: AtomicU64,
    /// What it is waiting for, if it is: "paused until 14:05:10 (429)".
    pub waiting_for: Mutex<Option<String>>,
}

impl Progress {
    /// All zero, for these destinations.
    pub fn new(lanes: impl IntoIterator<Item = (String, Option<Rate>)>) -> Self {
        Self {
            started: Instant::now(),
            expected: AtomicI64::new(0),
            finished: Default::default(),
            lanes: lanes
                .into_iter()
                .map(|(name, rate)| LaneProgress {
                    name,
                    rate,
                    requests: AtomicU64::new(0),
                    waiting_for: Mutex::default(),
                })
                .collect(),
        }
    }

    /// Counts a lead that reached `state` (or, with a negative `by`, left it again).
    pub fn finished(&self, state: LeadState, by: i64) {
        self.finished[state as usize].fetch_add(by, Ordering::Relaxed);
    }

    /// How many reached `state`.
    pub fn count(&self, state: LeadState) -> i64 {
        self.finished[state as usize].load(Ordering::Relaxed)
    }

    /// How many reached any final state.
    pub fn done(&self) -> i64 {
        LeadState::ALL.into_iter().filter(|state| state.is_final()).map(|state| self.count(state)).sum()
    }
}

/// What stopped a destination or the look-up before its work was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// A destination's name, or `enrich`.
    pub account: String,
    /// What happened, in words.
    pub reason: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// [`Exit::Usage`] (credentials, configuration), [`Exit::Unavailable`], or [`Exit::Done`] where nothing failed: a used-up
    /// day or budget, a pause by hand.
    pub exit: Exit,
}

/// The end of a run, in numbers.
#[derive(Clone, Debug)]
pub struct Summary {
    pub run: RunId,
    /// `run`, `import`, `demo`.
    pub command: String,
    pub started_at: Timestamp,
    pub took: Duration,
    /// What the database counted, in the same transactions that did it. `counts.taken` is "in".
    pub counts: RunCounts,
    /// Leads of this run that it put down unfinished, as counted in memory, and when the next comes due.
    pub waiting: i64,
    /// Of `waiting`: those that we put off (an attempt failed or its outcome is unknown, 429, breaker, look-up down, halt,
    /// signal), so that another run is needed. The others wait only for their own time or for tomorrow's quota.
    pub deferred_waiting: i64,
    pub next_due: Option<Timestamp>,
    /// Leads that another worker took over.
    pub taken_over: i64,
    /// The most frequent reasons of leads that were not delivered: state, reason, how many.
    pub causes: Vec<(LeadState, String, i64)>,
    /// HTTP calls: account, what (`create`, `find`, `lookup`, …), how many.
    pub calls: Vec<(String, String, u64)>,
    /// People found in the cache instead of being paid for again.
    pub cache_hits: u64,
    /// What stopped destinations or the look-up early.
    pub halts: Vec<Halt>,
    /// Warnings for the operator, each once.
    pub notices: Vec<String>,
    /// Requests that the grace time cut: these leads stay `sending`, and the next run finds out what became of them.
    pub cut: Vec<LeadId>,
    /// What must not happen and did.
    pub bugs: Vec<String>,
    /// The database could not be written or read any more: `counts` may be the run's own.
    pub database_lost: bool,
    /// Ended by a signal.
    pub interrupted: bool,
}

impl Summary {
    /// Of a run in which nothing has happened yet.
    pub fn of(run: RunId, command: impl Into<String>, started_at: Timestamp) -> Self {
        Self {
            run,
            command: command.into(),
            started_at,
            took: Duration::ZERO,
            counts: RunCounts::default(),
            waiting: 0,
            deferred_waiting: 0,
            next_due: None,
            taken_over: 0,
            causes: Vec::new(),
            calls: Vec::new(),
            cache_hits: 0,
            halts: Vec::new(),
            notices: Vec::new(),
            cut: Vec::new(),
            bugs: Vec::new(),
            database_lost: false,
            interrupted: false,
        }
    }

    /// `in = delivered + rejected + exhausted + unconfirmed + skipped + waiting (+ taken over by another worker)`.
    pub fn balances(&self) -> bool {
        let c = &self.counts;
        c.taken == c.delivered + c.rejected + c.exhausted + c.unconfirmed + c.skipped + self.waiting + self.taken_over
    }
}
