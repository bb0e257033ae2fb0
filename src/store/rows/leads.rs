//! Leads, their claims, and what waits.

use sqlx::FromRow;

use super::{Text, at, destination, opt, state};
use crate::lead::{LeadId, Origin, Prepared, RawLead};
use crate::store::plan::Row;
use crate::store::{CallId, Fingerprint, LeadRecord, LeaseToken, Leased, Result, RunId, Waiting};

fn count(n: i64) -> u32 {
    u32::try_from(n.max(0)).unwrap_or(u32::MAX)
}

fn origin(file: Option<Text>, row: Option<i64>) -> Option<Origin> {
    Some(Origin { file: opt(file)?, row: u64::try_from(row?).ok()? })
}

fn prepared(json: Option<Text>) -> Option<Prepared> {
    serde_json::from_str(&json?.0).ok()
}

/// A lead that may be leased.
#[derive(FromRow)]
pub(in crate::store) struct Picked {
    pub(in crate::store) id: i64,
    pub(in crate::store) not_before_ms: i64,
    pub(in crate::store) run_id: Option<i64>,
}

/// The public columns.
#[derive(FromRow)]
pub(in crate::store) struct RawRow {
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
pub(in crate::store) struct LeasedRow {
    pub(in crate::store) id: i64,
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
    remote_id: Option<Text>,
    sent_at_ms: Option<i64>,
}

impl LeasedRow {
    pub(in crate::store) fn read(self, first_in_run: bool) -> Result<Leased> {
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
            remote_id: opt(self.remote_id),
            sent_at: self.sent_at_ms.map(at),
            first_in_run,
        })
    }
}

/// What planning needs of a lead.
#[derive(FromRow)]
pub(in crate::store) struct LockedRow {
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
    pub(in crate::store) fn read(self) -> Result<Row> {
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
pub(in crate::store) struct ClaimRow {
    pub(in crate::store) destination: Text,
    pub(in crate::store) fingerprint: Text,
    pub(in crate::store) lead_id: i64,
}

#[derive(FromRow)]
pub(in crate::store) struct WaitingRow {
    destination: Option<Text>,
    due: i64,
    leased: i64,
    next_due_ms: Option<i64>,
    next_doubtful_ms: Option<i64>,
}

impl From<WaitingRow> for Waiting {
    fn from(row: WaitingRow) -> Self {
        Self {
            destination: destination(row.destination),
            due: row.due,
            leased: row.leased,
            next_due: row.next_due_ms.map(at),
            next_doubtful: row.next_doubtful_ms.map(at),
        }
    }
}

#[derive(FromRow)]
pub(in crate::store) struct RecordRow {
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
    pub(in crate::store) fn read(self) -> Result<LeadRecord> {
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
