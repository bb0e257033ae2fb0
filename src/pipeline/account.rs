//! What a run keeps in mind: counts for the closing sum, calls made, causes, halts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::progress::{Halt, Progress};
use crate::exit::Exit;
use crate::lead::{LeadId, LeadState};
use crate::store::{CallRecord, Reinstated, RunCounts};

/// What a halt of the database itself is told under.
pub const DATABASE: &str = "database";

/// Distinct causes kept; beyond that they are counted together.
const CAUSES: usize = 40;

/// The run's own books, kept in memory and compared with what the database counted.
#[derive(Debug)]
pub struct Account {
    pub progress: Arc<Progress>,
    /// Leads leased for the first time in this run.
    taken: AtomicI64,
    /// Leads put down unfinished, less those taken up again.
    waiting: AtomicI64,
    /// Leads that turned out to be in another worker's hands.
    taken_over: AtomicI64,
    cache_hits: AtomicU64,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    causes: BTreeMap<(LeadState, String), i64>,
    calls: BTreeMap<(String, String), u64>,
    halts: Vec<Halt>,
    notices: Vec<String>,
    cut: Vec<LeadId>,
    bugs: Vec<String>,
    /// Leads we deferred (429, unknown, failed attempt, look-up away) and that came to no end since.
    deferred: BTreeSet<LeadId>,
    /// Delivered, and the database does not know it.
    unrecorded: Vec<LeadId>,
    /// The database left a question open: what we asked for may have been done all the same.
    database_was_away: bool,
}

impl Account {
    pub fn new(progress: Arc<Progress>) -> Self {
        Self {
            progress,
            taken: AtomicI64::new(0),
            waiting: AtomicI64::new(0),
            taken_over: AtomicI64::new(0),
            cache_hits: AtomicU64::new(0),
            books: Mutex::default(),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Every change of the books is a single step: after a panic elsewhere they are still whole.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lead was leased.
    pub fn taken_up(&self, first_in_run: bool) {
        if first_in_run {
            self.taken.fetch_add(1, Ordering::Relaxed);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A lead reached a final state.
    pub fn finished(&self, lead: LeadId, state: LeadState, cause: Option<&str>) {
        self.progress.finished(state, 1);
        self.books().deferred.remove(&lead);
        if state != LeadState::Delivered || cause.is_some() {
            self.cause(state, cause.unwrap_or("no reason given"));
        }
    }

    fn cause(&self, state: LeadState, cause: &str) {
        let mut books = self.books();
        let mut key = (state, cause.to_owned());
        if !books.causes.contains_key(&key) && books.causes.len() >= CAUSES {
            key.1 = "other reasons".to_owned();
        }
        *books.causes.entry(key).or_default() += 1;
    }

    /// A lead was put down unfinished because we put it off.
    pub fn put_off(&self, lead: LeadId) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.books().deferred.insert(lead);
    }

    /// A lead was put down until its time comes, which is nobody's failure.
    pub fn scheduled(&self, lead: LeadId) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.books().deferred.remove(&lead);
    }

    /// A lead was put down as it was taken up; if we had put it off before, that still holds.
    pub fn put_back(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A lead turned out to be in another worker's hands.
    pub fn lost(&self, lead: LeadId) {
        self.notice("leads whose lease had lapsed here were taken over by another worker; they are in its sum");
        self.taken_over.fetch_add(1, Ordering::Relaxed);
        self.books().deferred.remove(&lead);
    }

    /// A lead was delivered and that could not be written down: said at once, since the run may not live to sum up.
    pub fn unrecorded(&self, lead: LeadId) {
        tracing::error!(lead = lead.0, "lead {lead} was delivered, and that could not be recorded");
        self.books().unrecorded.push(lead);
    }

    /// The database was away: it may have done what it did not answer.
    pub fn database_was_away(&self) {
        self.books().database_was_away = true;
    }

    /// Duplicates that got their turn are waiting again.
    pub fn reinstated(&self, leads: &[Reinstated]) {
        for lead in leads.iter().filter(|lead| lead.counted_here) {
            self.progress.finished(LeadState::Skipped, -1);
            self.waiting.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(lead = lead.lead.0, "a duplicate takes the place of an unusable lead");
        }
    }

    /// A request was made.
    pub fn called(&self, call: &CallRecord) {
        *self.books().calls.entry((call.account.clone(), call.what.clone())).or_default() += 1;
    }

    /// People found in the cache.
    pub fn cache_hits(&self, hits: u64) {
        self.cache_hits.fetch_add(hits, Ordering::Relaxed);
    }

    /// Leads we put off and that came to no end here.
    pub fn deferred(&self) -> Vec<LeadId> {
        self.books().deferred.iter().copied().collect()
    }

    /// A lead that we had put off was taken up by another run: it is in that one's sum.
    pub fn taken_over(&self, lead: LeadId) {
        if self.books().deferred.remove(&lead) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.taken_over.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something that the operator should know, once.
    pub fn notice(&self, text: impl Into<String>) {
        let text = text.into();
        let mut books = self.books();
        if !books.notices.contains(&text) {
            tracing::warn!("{text}");
            books.notices.push(text);
        }
    }

    /// Something that must not happen. It makes the run end with exit code 1.
    pub fn bug(&self, what: String) {
        tracing::error!("this is a bug in leadsync: {what}");
        self.books().bugs.push(what);
    }

    /// An account is out of the game for this run; the first reason counts.
    pub fn halt(&self, halt: Halt) {
        let mut books = self.books();
        if !books.halts.iter().any(|it| it.account == halt.account) {
            // The summary tells it, with the remedy.
            tracing::debug!("{}: {}", halt.account, halt.reason);
            books.halts.push(halt);
        }
    }

    /// A request in flight was cut by the end of the grace time. Names the lead, counts nothing.
    pub fn cut(&self, lead: LeadId) {
        self.books().cut.push(lead);
    }

    /// What the run did by its own books, on top of what was counted before it: for a database that can't be asked.
    pub fn counts(&self, before: RunCounts) -> RunCounts {
        RunCounts {
            taken: before.taken + self.taken.load(Ordering::Relaxed),
            delivered: before.delivered + self.progress.count(LeadState::Delivered),
            rejected: before.rejected + self.progress.count(LeadState::Rejected),
            exhausted: before.exhausted + self.progress.count(LeadState::Exhausted),
            unconfirmed: before.unconfirmed + self.progress.count(LeadState::Unconfirmed),
            skipped: before.skipped + self.progress.count(LeadState::Skipped),
            ..before
        }
    }

    /// Nothing more can be read or recorded.
    pub fn database_lost(&self, error: &impl std::fmt::Display) {
        self.database_was_away();
        self.halt(Halt {
            account: DATABASE.to_owned(),
            reason: error.to_string(),
            remedy: Some(
                "leads whose outcome is not recorded stay `sending`, and the next run finds out what became of them"
                    .to_owned(),
            ),
            exit: Exit::Unavailable,
        });
    }

    /// Whether the run ends because of the database.
    pub fn has_lost_database(&self) -> bool {
        self.books().halts.iter().any(|halt| halt.account == DATABASE)
    }

    /// The books, for the summary.
    pub fn close(&self) -> Closing {
        let books = self.books();
        let mut causes: Vec<_> = books.causes.iter().map(|((state, cause), n)| (*state, cause.clone(), *n)).collect();
        causes.sort_by_key(|(_, _, n)| std::cmp::Reverse(*n));
        Closing {
            waiting: self.waiting.load(Ordering::Relaxed),
            taken_over: self.taken_over.load(Ordering::Relaxed),
            cache_hits: self.cache_hits.load(Ordering::Relaxed),
            deferred: i64::try_from(books.deferred.len()).unwrap_or(i64::MAX),
            causes,
            calls: books.calls.iter().map(|((account, what), n)| (account.clone(), what.clone(), *n)).collect(),
            halts: books.halts.clone(),
            notices: books.notices.iter().cloned().chain(unrecorded(&books.unrecorded)).collect(),
            database_was_away: books.database_was_away,
            cut: books.cut.clone(),
            bugs: books.bugs.clone(),
        }
    }
}

/// Which known deliveries the database does not know of.
fn unrecorded(leads: &[LeadId]) -> Option<String> {
    const NAMED: usize = 200;
    let named: Vec<_> = leads.iter().take(NAMED).map(LeadId::to_string).collect();
    let more = leads.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!leads.is_empty()).then(|| {
        format!(
            "delivered, but the database was away too long to record it: leads {}{more}; they stay `sending`, and the \
             next run asks the destination for them before it sends anything",
            named.join(", ")
        )
    })
}

/// The closed books.
#[derive(Debug)]
pub struct Closing {
    pub waiting: i64,
    pub taken_over: i64,
    pub cache_hits: u64,
    pub deferred: i64,
    pub causes: Vec<(LeadState, String, i64)>,
    pub calls: Vec<(String, String, u64)>,
    pub halts: Vec<Halt>,
    pub notices: Vec<String>,
    pub cut: Vec<LeadId>,
    pub bugs: Vec<String>,
    /// What the database did is not known for certain, so its counts can't be compared with ours.
    pub database_was_away: bool,
}
