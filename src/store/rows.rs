//! Rows as both drivers hand them over, and what we make of them.
//!
//! Any program may write to `leads`, so reading is forgiving: text that is no UTF-8, numbers out of range and JSON that
//! can't be read never make a whole batch fail.

use sqlx::FromRow;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Postgres, Sqlite, Type};

use super::plan::Row;
use super::{
    CachedLookUp, CallId, CallRecord, Fingerprint, LeadRecord, LeaseToken, Leased, Pause, Result, RunCounts, RunId,
    RunRecord, StateCount, StoreError, StoredToken, Waiting,
};
use crate::clock::Timestamp;
use crate::lead::{LeadId, LeadState, Origin, Prepared, RawLead};

/// Text of whatever bytes; what is no UTF-8 is replaced.
#[derive(Debug)]
pub(super) struct Text(pub(super) String);

impl Type<Sqlite> for Text {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <String as Type<Sqlite>>::compatible(ty)
    }
}

impl<'r> Decode<'r, Sqlite> for Text {
    fn decode(value: SqliteValueRef<'r>) -> std::result::Result<Self, BoxDynError> {
        let bytes = <&[u8] as Decode<Sqlite>>::decode(value)?;
        Ok(Self(String::from_utf8_lossy(bytes).into_owned()))
    }
}

impl Type<Postgres> for Text {
    fn type_info() -> PgTypeInfo {
        <String as Type<Postgres>>::type_info()
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        <String as Type<Postgres>>::compatible(ty)
    }
}

impl<'r> Decode<'r, Postgres> for Text {
    fn decode(value: PgValueRef<'r>) -> std::result::Result<Self, BoxDynError> {
        Ok(Self(String::from_utf8_lossy(value.as_bytes()?).into_owned()))
    }
}

fn opt(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0)
}

fn count(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX)
}

fn state(text: &Text) -> Result<LeadState> {
    text.0.parse().map_err(|_| StoreError::Unreadable { what: "the state of a lead".to_owned() })
}

fn destination(text: Option<Text>) -> Option<String> {
    opt(text).filter(|name| !name.is_empty())
}

fn origin(file: Option<Text>, row: Option<i64>) -> Option<Origin> {
    Some(Origin { file: opt(file)?, row: u64::try_from(row?).ok()? })
}

fn prepared(json: Option<Text>) -> Option<Prepared> {
    serde_json::from_str(&json?.0).ok()
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

/// A lead that may be leased.
#[derive(FromRow)]
pub(super) struct Picked {
    pub(super) id: i64,
    pub(super) not_before_ms: i64,
    pub(super) run_id: Option<i64>,
}

/// The public columns.
#[derive(FromRow)]
pub(super) struct RawRow {
    email: Option<Text>,
    first_name: Option<Text>,
    last_name: Option<Text>,
    phone: Option<Text>,
    company: Option<Text>,
    job_title: Option<Text>,
    linkedin: Option<Text>,
    source: Option<Text>,
    context: Option<Text>,
    note: Option<Text>,
    custom_fields: Option<Text>,
    external_id: Option<Text>,
}

impl From<RawRow> for RawLead {
    fn from(row: RawRow) -> Self {
        Self {
            email: opt(row.email),
            first_name: opt(row.first_name),
            last_name: opt(row.last_name),
            phone: opt(row.phone),
            company: opt(row.company),
            job_title: opt(row.job_title),
            linkedin: opt(row.linkedin),
            source: opt(row.source),
            context: opt(row.context),
            note: opt(row.note),
            custom_fields: opt(row.custom_fields),
            external_id: opt(row.external_id),
        }
    }
}

/// A lead just leased.
#[derive(FromRow)]
pub(super) struct LeasedRow {
    pub(super) id: i64,
    state: Text,
    lease_token: i64,
    lease_expires_ms: i64,
    destination: Option<Text>,
    #[sqlx(flatten)]
    raw: RawRow,
    source_file: Option<Text>,
    source_row: Option<i64>,
    prepared: Option<Text>,
    attempts: i64,
    deferrals: i64,
    probes: i64,
    sent_at_ms: Option<i64>,
}

impl LeasedRow {
    pub(super) fn read(self, first_in_run: bool) -> Result<Leased> {
        Ok(Leased {
            id: LeadId(self.id),
            token: LeaseToken(self.lease_token),
            expires: at(self.lease_expires_ms),
            state: state(&self.state)?,
            raw: self.raw.into(),
            destination: opt(self.destination).unwrap_or_default(),
            origin: origin(self.source_file, self.source_row),
            prepared: prepared(self.prepared),
            attempts: count(self.attempts),
            deferrals: count(self.deferrals),
            probes: count(self.probes),
            sent_at: self.sent_at_ms.map(at),
            first_in_run,
        })
    }
}

/// What planning needs of a lead.
#[derive(FromRow)]
pub(super) struct LockedRow {
    id: i64,
    state: Text,
    destination: Text,
    run_id: Option<i64>,
    lease_token: Option<i64>,
    lease_expires_ms: Option<i64>,
    last_step: Option<i64>,
    fingerprint: Option<Text>,
    duplicate_of: Option<i64>,
    has_remote_id: bool,
    attempts: i64,
    deferrals: i64,
    probes: i64,
    not_before_ms: i64,
    sent_at_ms: Option<i64>,
    finished_at_ms: Option<i64>,
}

impl LockedRow {
    pub(super) fn read(self) -> Result<Row> {
        Ok(Row {
            id: LeadId(self.id),
            state: state(&self.state)?,
            destination: self.destination.0,
            run: self.run_id.map(RunId),
            lease: self.lease_token.map(LeaseToken),
            lease_expires: self.lease_expires_ms.map(at),
            last_step: self.last_step,
            fingerprint: opt(self.fingerprint).map(Fingerprint),
            duplicate_of: self.duplicate_of.map(LeadId),
            has_remote_id: self.has_remote_id,
            attempts: self.attempts,
            deferrals: self.deferrals,
            probes: self.probes,
            not_before: at(self.not_before_ms),
            sent_at: self.sent_at_ms.map(at),
            finished_at: self.finished_at_ms.map(at),
        })
    }
}

/// A claim and its holder.
#[derive(FromRow)]
pub(super) struct ClaimRow {
    pub(super) destination: Text,
    pub(super) fingerprint: Text,
    pub(super) lead_id: i64,
}

#[derive(FromRow)]
pub(super) struct QuotaRow {
    pub(super) account: Text,
    pub(super) utc_day: i64,
    pub(super) used: i64,
}

#[derive(FromRow)]
pub(super) struct WaitingRow {
    destination: Option<Text>,
    due: i64,
    leased: i64,
    next_due_ms: Option<i64>,
}

impl From<WaitingRow> for Waiting {
    fn from(row: WaitingRow) -> Self {
        Self {
            destination: destination(row.destination),
            due: row.due,
            leased: row.leased,
            next_due: row.next_due_ms.map(at),
        }
    }
}

#[derive(FromRow)]
pub(super) struct RecordRow {
    id: i64,
    destination: Option<Text>,
    state: Text,
    reason: Option<Text>,
    remote_id: Option<Text>,
    attempts: i64,
    deferrals: i64,
    enriched: Option<bool>,
    #[sqlx(flatten)]
    raw: RawRow,
    prepared: Option<Text>,
    source_file: Option<Text>,
    source_row: Option<i64>,
    duplicate_of: Option<i64>,
    run_id: Option<i64>,
    lookup_call_id: Option<i64>,
    not_before_ms: i64,
    sent_at_ms: Option<i64>,
    lease_expires_ms: Option<i64>,
    created_at_ms: Option<i64>,
    updated_at_ms: Option<i64>,
    finished_at_ms: Option<i64>,
}

impl RecordRow {
    pub(super) fn read(self) -> Result<LeadRecord> {
        Ok(LeadRecord {
            id: LeadId(self.id),
            destination: destination(self.destination),
            state: state(&self.state)?,
            reason: opt(self.reason),
            remote_id: opt(self.remote_id),
            attempts: count(self.attempts),
            deferrals: count(self.deferrals),
            enriched: self.enriched,
            raw: self.raw.into(),
            prepared: prepared(self.prepared),
            origin: origin(self.source_file, self.source_row),
            duplicate_of: self.duplicate_of.map(LeadId),
            run: self.run_id.map(RunId),
            lookup_call: self.lookup_call_id.map(CallId),
            not_before: at(self.not_before_ms),
            sent_at: self.sent_at_ms.map(at),
            lease_expires: self.lease_expires_ms.map(at),
            received_at: self.created_at_ms.map(at),
            updated_at: self.updated_at_ms.map(at),
            finished_at: self.finished_at_ms.map(at),
        })
    }
}

#[derive(FromRow)]
pub(super) struct RunRow {
    id: i64,
    command: Text,
    started_at_ms: i64,
    finished_at_ms: Option<i64>,
    exit_code: Option<i64>,
    taken: i64,
    delivered: i64,
    rejected: i64,
    exhausted: i64,
    unconfirmed: i64,
    skipped: i64,
    failed_attempts: i64,
    deferrals: i64,
}

impl From<RunRow> for RunRecord {
    fn from(row: RunRow) -> Self {
        Self {
            id: RunId(row.id),
            command: row.command.0,
            started_at: at(row.started_at_ms),
            finished_at: row.finished_at_ms.map(at),
            exit_code: row.exit_code.and_then(|code| i32::try_from(code).ok()),
            counts: RunCounts {
                taken: row.taken,
                delivered: row.delivered,
                rejected: row.rejected,
                exhausted: row.exhausted,
                unconfirmed: row.unconfirmed,
                skipped: row.skipped,
                failed_attempts: row.failed_attempts,
                deferrals: row.deferrals,
            },
        }
    }
}

#[derive(FromRow)]
pub(super) struct CountRow {
    destination: Option<Text>,
    state: Text,
    leads: i64,
}

impl CountRow {
    pub(super) fn read(self) -> Result<StateCount> {
        Ok(StateCount { destination: destination(self.destination), state: state(&self.state)?, count: self.leads })
    }
}

#[derive(FromRow)]
pub(super) struct CallRow {
    id: i64,
    run_id: Option<i64>,
    lead_id: Option<i64>,
    account: Text,
    what: Text,
    started_at_ms: i64,
    duration_ms: i64,
    status: Option<i64>,
    verdict: Text,
}

impl From<CallRow> for CallRecord {
    fn from(row: CallRow) -> Self {
        Self {
            id: CallId(row.id),
            run: row.run_id.map(RunId),
            lead: row.lead_id.map(LeadId),
            account: row.account.0,
            what: row.what.0,
            started_at: at(row.started_at_ms),
            duration_ms: row.duration_ms,
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            verdict: row.verdict.0,
        }
    }
}

#[derive(FromRow)]
pub(super) struct TokenRow {
    account: Text,
    generation: i64,
    sealed: Option<Vec<u8>>,
    expires_at_ms: Option<i64>,
    refreshed_at_ms: Option<i64>,
    needs_login: Option<Text>,
}

impl TokenRow {
    pub(super) fn read(self) -> (String, StoredToken) {
        let token = StoredToken {
            generation: self.generation,
            sealed: self.sealed.unwrap_or_default(),
            expires_at: at(self.expires_at_ms.unwrap_or_default()),
            refreshed_at: at(self.refreshed_at_ms.unwrap_or_default()),
            needs_login: opt(self.needs_login),
        };
        (self.account.0, token)
    }
}

/// How a refresh stands.
#[derive(FromRow)]
pub(super) struct RefreshRow {
    pub(super) generation: i64,
    pub(super) refresh_holder: Option<i64>,
    pub(super) refresh_until_ms: Option<i64>,
    pub(super) refresh_repeats: i64,
}

#[derive(FromRow)]
pub(super) struct LookUpRow {
    fingerprint: Text,
    answer: Text,
    fetched_at_ms: i64,
    call_id: Option<i64>,
}

impl LookUpRow {
    /// `None` for an answer that can't be read: it is asked for again.
    pub(super) fn read(self) -> Option<CachedLookUp> {
        Some(CachedLookUp {
            key: Fingerprint(self.fingerprint.0),
            answer: serde_json::from_str(&self.answer.0).ok()?,
            fetched_at: at(self.fetched_at_ms),
            call: self.call_id.map(CallId),
        })
    }
}

#[derive(FromRow)]
pub(super) struct PauseRow {
    account: Text,
    until_ms: i64,
    why: Text,
}

impl From<PauseRow> for Pause {
    fn from(row: PauseRow) -> Self {
        Self { account: row.account.0, until: at(row.until_ms), why: row.why.0 }
    }
}

/// What stands in the schema that we were pointed at.
#[derive(FromRow)]
pub(super) struct StandingRow {
    /// There is something called `leads`.
    pub(super) leads: bool,
    /// There is our table of migrations.
    pub(super) ours: bool,
}
