//! The database: one trait, two implementations (SQLite and Postgres), one conformance suite
//! (`tests/store_conformance.rs`) that runs every case on both.
//!
//! Methods are intentions; each is exactly one transaction, durable when it returns. Batches go in and every element
//! answers for itself. What holds after a crash: a lead is in exactly the state of its last committed step; a lease
//! lapses by itself; a token refresh that had begun is known to have begun.
//!
//! Time comes in as an argument. No method sleeps or retries; a broken connection is an error that says so
//! ([`StoreError::is_unavailable`]).

mod bulk;
mod durable;
mod error;
mod open;
mod places;
mod plan;
#[allow(clippy::duplicate_mod, reason = "the operations in ops/ are compiled for each driver, from one text")]
mod postgres;
mod refresh;
mod rows;
mod schema;
mod sql;
#[allow(clippy::duplicate_mod, reason = "as above")]
mod sqlite;
mod statement;
mod types;

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::lead::LeadId;
pub use open::{open, open_existing, open_ready};
#[cfg(test)]
pub(crate) use places::Book;
pub use places::{PlacesAsk, PlacesShare};
pub use types::*;

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, or went away; the operation may or may not have been carried out. Worth repeating: every
    /// operation may be.
    #[error("the database can't be reached: {what}")]
    Unavailable {
        /// In words, without user names and passwords.
        what: String,
    },
    /// It is there and can't keep anything: no room, or a file system that failed or became read-only. Worth repeating:
    /// somebody may be making room at this moment.
    #[error("the database can't be written to: {what}")]
    Unwritable {
        /// In words, with what to do.
        what: &'static str,
    },
    /// Its schema was made by a newer leadsync.
    #[error("the database's schema is version {found}, this leadsync knows only up to {known}; use a newer leadsync")]
    SchemaNewer { found: i64, known: i64 },
    /// Its schema is older than this program, and migrating is off.
    #[error("the database's schema is version {found}, this leadsync needs {known}; run `leadsync db migrate`")]
    SchemaOlder { found: i64, known: i64 },
    /// A table `leads` that is not ours is in the way.
    #[error(
        "the database has a table `leads` that leadsync didn't make; name another database, or another schema in `database.schema`"
    )]
    NotOurs,
    /// The address can't be used.
    #[error("database.url: {what}")]
    BadUrl { what: String },
    /// Anything else: a bug, a damaged file.
    #[error("the database refused {doing}")]
    Failed {
        /// What was being done: "commit", "lease".
        doing: &'static str,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
    /// A row of ours that can't be read back: a damaged file, or a foreign hand.
    #[error("the database holds something unreadable: {what}")]
    Unreadable { what: String },
}

impl StoreError {
    /// Whether waiting and repeating may help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unwritable { .. })
    }
}

/// Shorthand for what every method returns.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The queue: how leads come in, are leased, and change.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Adds rows to the queue, in one transaction, stamped `created_at_ms = now`. Rows that carry a rejection are stored
    /// as `rejected`, finished, and counted to the run (`taken` and `rejected`). After
    /// [`StoreError::Unavailable`] ask [`Queue::holds_row`] before repeating: rows that are stored twice are skipped as
    /// duplicates later, never sent.
    async fn enqueue(&self, run: RunId, leads: &[NewLead], now: Timestamp) -> Result<()>;

    /// Whether this row of an import is in the queue, in whatever state: what became of an [`Queue::enqueue`] whose answer
    /// was lost.
    async fn holds_row(&self, import: RunId, row: &NewLead) -> Result<bool>;

    /// Leases up to `max` due leads: state `received`, `ready` or `sending` ([`Due`] narrows it), `not_before_ms <= now`, and under no live
    /// lease; those due longest first. No lead is ever under two live leases. Stamps `created_at_ms` and the destination
    /// where they are missing, sets the lead's run, and counts leads new to the run as `taken`. Postgres: texts are cut at
    /// 1,048,576 characters, since rows can hold more than a message can carry.
    async fn lease(&self, ask: &LeaseRequest, now: Timestamp) -> Result<Vec<Leased>>;

    /// Heartbeat: extends the leases that are still held to `until`; returns those.
    async fn renew(&self, held: &[(LeadId, LeaseToken)], until: Timestamp) -> Result<Vec<LeadId>>;

    /// Applies steps in order, in one transaction, on behalf of a run; one outcome per step. Claims are won here and
    /// given up here (see [`StepOutcome`]); the run's counts change in the same transaction. After
    /// [`StoreError::Unavailable`] repeat the same batch as a whole: what was applied then says so and is left alone.
    async fn commit(&self, run: RunId, steps: &[Step], now: Timestamp) -> Result<Vec<StepOutcome>>;

    /// Who holds these identities at this destination: a look before paying for a look-up. The claim itself is won in
    /// `commit`.
    async fn claim_holders(&self, destination: &str, identities: &[Fingerprint]) -> Result<Vec<(Fingerprint, LeadId)>>;

    /// What waits, by destination; `imported_by` as in [`LeaseRequest`].
    async fn waiting(&self, imported_by: Option<RunId>, now: Timestamp) -> Result<Vec<Waiting>>;

    /// Carries out a person's decision on the leads that match, in one transaction; returns the ids that changed. Leads
    /// for which the life cycle has no such move, or that a worker holds at the moment, are left alone.
    async fn operate(&self, which: &LeadFilter, operation: &Operation, now: Timestamp) -> Result<Vec<LeadId>>;
}

/// What accounts share across tasks, processes and runs: tokens, quotas, pauses, keys, look-ups.
#[async_trait]
pub trait Vault: Send + Sync {
    /// The account's current token.
    async fn token(&self, account: &str) -> Result<Option<StoredToken>>;

    /// Every account's token, for `auth status`; of generation 0 where a grant was dead before it gave a token, or where
    /// the first refresh has not ended.
    async fn tokens(&self) -> Result<Vec<TokenStanding>>;

    /// The refreshes at or after `since`, by account and generation; at most [`REFRESHES_KEPT`] an account.
    async fn refreshes(&self, since: Timestamp) -> Result<Vec<TokenRefresh>>;

    /// Asks for the turn to refresh the token of `generation` (0: there is none yet), until `until`. `holder` is random for
    /// each request to the token service; asking again as the same holder (after a broken connection, or to hold the turn
    /// for longer) gives the same turn again, with the new `until`. A turn that lapses without having been ended counts
    /// as lost ([`RefreshTurn::Yours`]) until the generation changes.
    async fn begin_refresh(
        &self,
        account: &str,
        generation: i64,
        holder: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<RefreshTurn>;

    /// Stores `token` (whose generation must be `generation + 1`) if the current one is still `generation`, ends the
    /// refresh, and logs it. False: another worker was first; nothing was changed.
    async fn replace_token(&self, account: &str, generation: i64, token: &StoredToken) -> Result<bool>;

    /// Ends a refresh that was answered with a failure, or not sent: it does not count as lost, and the next worker need
    /// not wait for the turn to lapse. Nobody gets a turn before `not_before`.
    async fn abandon_refresh(&self, account: &str, holder: i64, not_before: Timestamp) -> Result<()>;

    /// Marks the grant as dead and ends the refresh, if `generation` is still current and the turn is still `holder`'s.
    /// False: it is not; another worker knows better. A later token lifts the mark.
    async fn mark_needs_login(&self, account: &str, generation: i64, holder: i64, why: &str) -> Result<bool>;

    /// A sealed key by name.
    async fn sealed_key(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Stores a sealed key unless there is one already; returns the one that is there now.
    async fn keep_sealed_key(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>>;

    /// Every sealed value there is.
    async fn sealed(&self) -> Result<Vec<(SealedAt, Vec<u8>)>>;

    /// Puts `to` in the place of `from`, the same value sealed anew. False: something else stands there by now; nothing was
    /// changed.
    async fn reseal(&self, at: &SealedAt, from: &[u8], to: &[u8]) -> Result<bool>;

    /// How much of the account's daily quota is used.
    async fn quota_used(&self, account: &str, utc_day: i64) -> Result<i64>;

    /// Takes up to `wanted` from the day's quota and returns how much it got; negative `wanted` gives back (and the answer
    /// is negative too).
    async fn take_quota(&self, account: &str, utc_day: i64, wanted: i64, limit: Option<i64>) -> Result<i64>;

    /// Cached answers fetched at or after `fresh_after`.
    async fn cached(&self, keys: &[Fingerprint], fresh_after: Timestamp) -> Result<Vec<CachedLookUp>>;

    /// Stores answers, replacing older ones, with the calls they came from.
    async fn remember(&self, answers: &[CachedLookUp], calls: &[CallRecord]) -> Result<()>;

    /// Writes calls that belong to no step and no look-up (tokens, checks).
    async fn log_calls(&self, calls: &[CallRecord]) -> Result<()>;

    /// Says why an account is not called until then; a pause that ends later wins. An `until` of `Timestamp::default()`
    /// (1970) lifts it.
    async fn pause(&self, pause: &Pause) -> Result<()>;

    /// One worker's turn at an account's rate limit: takes in what it gives back, hands out what it may use next, and tells
    /// of a pause. All workers together never hold more places than the limit has; those of a worker that stays away for
    /// longer than its term come back. `now` counts where the database has no clock of its own. After
    /// [`StoreError::Unavailable`] repeat the same ask.
    async fn share_places(&self, ask: &PlacesAsk, now: Timestamp) -> Result<PlacesShare>;

    /// All pauses that end after `now`.
    async fn pauses(&self, now: Timestamp) -> Result<Vec<Pause>>;

    /// A person pauses a destination or the look-up; what was said before of the same is replaced.
    async fn pause_by_hand(&self, pause: &HandPause) -> Result<()>;

    /// Lifts what a person paused. False: there was nothing.
    async fn resume_by_hand(&self, name: &str) -> Result<bool>;

    /// All pauses by hand that have not ended at `now`.
    async fn hand_pauses(&self, now: Timestamp) -> Result<Vec<HandPause>>;
}

/// Runs, and what operators read.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// A new run that sends nothing and so needs no turn: it only loads rows.
    async fn begin_run(&self, command: &str, now: Timestamp) -> Result<RunId>;

    /// A new run that sends, at work until `until` or its end; refused if another one is at work and either is exclusive.
    /// Of several that ask at once, each is answered after the one before. Repeated after a connection that broke, it may
    /// meet its own earlier try, for as long as that counts as being at work.
    async fn begin_turn(&self, command: &str, turn: Turn, until: Timestamp, now: Timestamp) -> Result<TurnAnswer>;

    /// The run's heartbeat: it is at work until `until`. If it had been silent for so long that another run, which may not
    /// be beside it, has begun meanwhile and is at work, nothing is changed and that run is the answer: ours must stop.
    async fn renew_turn(&self, run: RunId, until: Timestamp, now: Timestamp) -> Result<Option<RunRecord>>;

    /// Its end.
    async fn finish_run(&self, run: RunId, exit_code: i32, now: Timestamp) -> Result<()>;

    /// One run.
    async fn run(&self, run: RunId) -> Result<Option<RunRecord>>;

    /// The newest runs, newest first.
    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>>;

    /// How many leads there are, by destination and state.
    async fn state_counts(&self) -> Result<Vec<StateCount>>;

    /// What must not be, over the whole table, and how often it is: empty if all is as it should be. Reads every lead.
    async fn audit(&self) -> Result<Vec<(String, i64)>>;

    /// Up to `limit` leads with an id above `after`, by id: pages of `results`.
    async fn leads(&self, which: &LeadFilter, after: LeadId, limit: u32) -> Result<Vec<LeadRecord>>;

    /// Every call about this lead, its look-up included, by time.
    async fn calls_of(&self, lead: LeadId) -> Result<Vec<CallRecord>>;

    /// Rejected rows of an import: file, line, reason, by file and line, after (`file`, `row`).
    async fn rejected_rows(&self, import: RunId, file: &str, after_row: u64, limit: u32) -> Result<Vec<(u64, String)>>;
}

/// The whole database.
#[async_trait]
pub trait Store: Queue + Vault + Ledger {
    /// Brings the schema up to date; returns it as it is then.
    async fn migrate(&self) -> Result<SchemaStatus>;

    /// The schema's standing.
    async fn schema_status(&self) -> Result<SchemaStatus>;

    /// The database's own clock, where it has one shared by all workers (Postgres).
    async fn server_time(&self) -> Result<Option<Timestamp>>;

    /// The file, where the database is one (SQLite).
    fn file(&self) -> Option<std::path::PathBuf> {
        None
    }

    /// How it keeps what is committed: the database's own settings as they hold inside our transactions, by name.
    async fn durability(&self) -> Result<Vec<(&'static str, String)>> {
        Ok(Vec::new())
    }

    /// Where it lies, without user name and password: for messages.
    fn location(&self) -> String;

    /// Closes it in order (SQLite: the write-ahead log is folded in).
    async fn close(&self);
}

/// Longest wait for a connection or for another process's write lock.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
