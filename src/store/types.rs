//! What goes into the database and comes out of it.

mod accounts;
mod runs;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::lead::{Event, IllegalMove, LeadId, LeadState, Origin, Prepared, RawLead};

pub use accounts::*;
pub use runs::*;

/// One work-off of the queue, or the loading of a file: `runs.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of one HTTP call: time-ordered, made by the worker, so that leads can refer to it before it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub i64);

impl CallId {
    /// A new number for a call that begins now: the time in milliseconds, then 20 bits that count up within the process
    /// from a random start, so that neither this process nor another makes the same number again.
    pub fn new(now: Timestamp) -> Self {
        static NEXT: std::sync::LazyLock<std::sync::atomic::AtomicU32> =
            std::sync::LazyLock::new(|| rand::random::<u32>().into());
        let count = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) & 0xf_ffff;
        Self((now.ms() << 20) | i64::from(count))
    }
}

/// Proof of a lease: random, new for each call of `lease`. A worker whose lease lapsed holds a token that fits nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseToken(pub i64);

/// The keyed hash of a lead's identity: what claims and the look-up cache are keyed by. 32 bytes as lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

/// A row that an import puts into the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLead {
    /// As read; stored unchanged.
    pub raw: RawLead,
    /// Which destination it is for.
    pub destination: String,
    /// Where it was read.
    pub origin: Origin,
    /// Set if the row can't be used: it is stored as `rejected` with this reason, and finished.
    pub rejected: Option<String>,
}

/// Which leads to lease.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// For whom.
    pub run: RunId,
    /// Only leads of this destination…
    pub destination: String,
    /// …and those of none, if this is the default one. They get its name as they are leased.
    pub is_default: bool,
    /// Only leads that this run itself imported (`leads.import_run_id`); `None`: everything due.
    pub imported_by: Option<RunId>,
    /// How far they have come.
    pub due: Due,
    /// At most this many.
    pub max: u32,
    /// For how long.
    pub term: Duration,
}

/// Which of the leads that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// All of them.
    All,
    /// Not those that are `received`: look-ups are out of order, and what is prepared goes on.
    Prepared,
    /// Only those that are `sending`: nothing more may be created, and what is in doubt is looked into.
    Doubtful,
}

/// A lead in this worker's hands until `expires`.
#[derive(Clone, Debug)]
pub struct Leased {
    pub id: LeadId,
    pub token: LeaseToken,
    pub expires: Timestamp,
    /// `Received`, `Ready` or `Sending`, the last meaning: unknown, look before creating.
    pub state: LeadState,
    pub raw: RawLead,
    pub destination: String,
    pub origin: Option<Origin>,
    /// There as soon as the lead has been `ready`; missing then only if a foreign hand wrote the state or damaged this.
    pub prepared: Option<Prepared>,
    /// Create requests that failed, and look-ups that failed for it alone.
    pub attempts: u32,
    /// Times it was put off without failing: 429, quota, breaker, budget.
    pub deferrals: u32,
    /// Times the destination was asked whether it is there, without an answer, since the last create.
    pub probes: u32,
    /// The destination's own number for it: it is there, and only has to be completed.
    pub remote_id: Option<String>,
    /// When its last create request was about to leave.
    pub sent_at: Option<Timestamp>,
    /// This run had not leased it before: it counts as "in".
    pub first_in_run: bool,
}

/// One change of one lead. Steps are committed in batches; each answers for itself.
///
/// Committing the same step twice (after a connection broke during the commit) changes nothing the second time: `id`
/// is kept on the row.
#[derive(Clone, Debug)]
pub struct Step {
    /// Random; makes the step repeatable.
    pub id: i64,
    pub lead: LeadId,
    /// Must be the lead's current lease, except for `Event::Accepted`, which counts even when late.
    pub lease: LeaseToken,
    /// What happened; `None` changes scheduling only (a lost reply is no event).
    pub event: Option<Event>,
    /// Why, in words; replaces `leads.reason` if given. Never personal data.
    pub reason: Option<String>,
    /// The destination's own number for the lead.
    pub remote_id: Option<String>,
    /// With `Event::Prepared`: what will be sent, the claim to win, and the look-up it came from.
    pub prepared: Option<Box<Preparation>>,
    /// Takes the place of `leads.custom_fields`: with a value sealed that stood there readable.
    pub custom_fields: Option<String>,
    /// With `Event::SendStarted`: when the request is about to leave.
    pub sent_at: Option<Timestamp>,
    /// Not due before this moment; `None` leaves the column as it is.
    pub not_before: Option<Timestamp>,
    /// Added to the counters.
    pub add_attempts: u32,
    pub add_deferrals: u32,
    pub add_probes: u32,
    /// Also give up the lease. Final states always do.
    pub release: bool,
    /// Creates charged to (+1) or given back to (-1) the destination's daily quota in the same transaction.
    pub quota: Option<QuotaCharge>,
    /// The HTTP calls that led here.
    pub calls: Vec<CallRecord>,
}

impl Step {
    /// A step that does nothing yet, for the lead of this lease.
    pub fn of(lease: &Leased) -> Self {
        Self {
            id: rand::random::<i64>() & i64::MAX,
            lead: lease.id,
            lease: lease.token,
            event: None,
            reason: None,
            remote_id: None,
            prepared: None,
            custom_fields: None,
            sent_at: None,
            not_before: None,
            add_attempts: 0,
            add_deferrals: 0,
            add_probes: 0,
            release: false,
            quota: None,
            calls: Vec::new(),
        }
    }
}

/// What `Event::Prepared` stores.
#[derive(Clone, Debug)]
pub struct Preparation {
    pub prepared: Prepared,
    /// Claimed for the lead's destination in the same transaction; who loses becomes `skipped`.
    pub claim: Fingerprint,
    /// The call that looked it up, if one did (a cache hit has none).
    pub lookup_call: Option<CallId>,
    /// `results` shows it: found, asked and not found, not asked.
    pub enriched: Option<bool>,
}

/// A charge to an account's daily quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaCharge {
    /// Whose quota: the account's key.
    pub account: String,
    /// Which UTC day ([`Timestamp::utc_day`]).
    pub utc_day: i64,
    /// +1 or -1.
    pub amount: i32,
    /// A charge that would pass this is refused: [`StepOutcome::QuotaUsedUp`]. Not looked at for negative amounts.
    pub limit: u32,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// Applied (or had been already, by an earlier try of the same step).
    Applied {
        /// The state now.
        state: LeadState,
        /// If that is a final state: the run of this commit counts the lead because of this step. False where a late
        /// acceptance changes nothing or comes second: another run has taken the lead over, or another worker of this
        /// run had finished it already.
        counted: bool,
        /// Duplicates that came back to `received` because this lead gave up its claim, in ascending order.
        reinstated: Vec<Reinstated>,
    },
    /// `Event::Prepared` lost the claim: the lead is now `skipped`, finished.
    Duplicate {
        /// Who holds the claim.
        of: LeadId,
    },
    /// The quota has no room: nothing was changed.
    QuotaUsedUp,
    /// The lease is no longer ours (or the lead is gone): nothing of the lead was changed. The step's calls are logged all
    /// the same, since they were made.
    LeaseLost,
    /// The life cycle has no such move: nothing was changed. A bug.
    Illegal(IllegalMove),
}

/// A duplicate that got its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reinstated {
    pub lead: LeadId,
    /// Its `skipped` had been counted by the run of this commit (and no longer is).
    pub counted_here: bool,
}

/// One HTTP call as the log keeps it: no bodies, no personal data, no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    pub id: CallId,
    pub run: Option<RunId>,
    /// The lead it was about; `None` for look-ups, tokens and checks.
    pub lead: Option<LeadId>,
    /// The account's name as in the configuration: a destination's name or `enrich`.
    pub account: String,
    /// `create`, `find`, `lookup`, `token`, `check`.
    pub what: String,
    pub started_at: Timestamp,
    /// From writing the request to the reply's last byte, or to giving up.
    pub duration_ms: i64,
    /// `None`: no complete reply.
    pub status: Option<u16>,
    /// What we took it to mean, in words: "accepted", "unknown: timed out after 30 s".
    pub verdict: String,
}

/// Leads of one destination in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCount {
    /// `None`: leads that name no destination (the default one's).
    pub destination: Option<String>,
    pub state: LeadState,
    pub count: i64,
}

/// What waits for a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// `None`: leads that name no destination (the default one's).
    pub destination: Option<String>,
    /// Due now and not leased.
    pub due: i64,
    /// Leased by a worker right now.
    pub leased: i64,
    /// When the next of the others comes due (by its own time, or when a lease lapses).
    pub next_due: Option<Timestamp>,
    /// When the next comes, or came, due of which nobody knows whether it arrived.
    pub next_doubtful: Option<Timestamp>,
}

/// One lead as `results` and `explain` show it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeadRecord {
    pub id: LeadId,
    pub destination: Option<String>,
    pub state: LeadState,
    pub reason: Option<String>,
    pub remote_id: Option<String>,
    pub attempts: u32,
    pub deferrals: u32,
    pub enriched: Option<bool>,
    pub raw: RawLead,
    pub prepared: Option<Prepared>,
    pub origin: Option<Origin>,
    pub duplicate_of: Option<LeadId>,
    pub run: Option<RunId>,
    pub lookup_call: Option<CallId>,
    pub not_before: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub lease_expires: Option<Timestamp>,
    /// When we first saw the row.
    pub received_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// Which leads; all given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct LeadFilter {
    pub ids: Vec<LeadId>,
    pub states: Vec<LeadState>,
    pub destination: Option<String>,
    pub run: Option<RunId>,
    /// Imported by this run.
    pub imported_by: Option<RunId>,
    /// Last changed at or after this.
    pub since: Option<Timestamp>,
    /// The reason contains this text, upper and lower case alike.
    pub reason_contains: Option<String>,
    /// The e-mail as received or as normalised equals this, upper and lower case alike.
    pub email: Option<String>,
}

/// What a person does to leads that nobody works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `retry`: back to `received`, counters at zero.
    Retry,
    /// `resolve --delivered`.
    ResolveDelivered { remote_id: Option<String> },
    /// `resolve --absent`.
    ResolveAbsent,
}

/// The schema's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The newest migration applied; 0: none.
    pub applied: i64,
    /// The newest migration this program knows.
    pub known: i64,
}
