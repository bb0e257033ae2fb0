//! Runs, counts, calls.

use sqlx::FromRow;

use super::{Text, at, destination, state};
use crate::lead::LeadId;
use crate::store::{CallId, CallRecord, Result, RunCounts, RunId, RunRecord, StateCount, Turn};

#[derive(FromRow)]
pub(in crate::store) struct RunRow {
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
    turn: Option<Text>,
    alive_until_ms: Option<i64>,
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
            turn: row.turn.map(|turn| match &*turn.0 {
                "exclusive" => Turn::Exclusive,
                _ => Turn::Shared,
            }),
            alive_until: row.alive_until_ms.map(at),
        }
    }
}

#[derive(FromRow)]
pub(in crate::store) struct CountRow {
    destination: Option<Text>,
    state: Text,
    leads: i64,
}

impl CountRow {
    pub(in crate::store) fn read(self) -> Result<StateCount> {
        Ok(StateCount { destination: destination(self.destination), state: state(&self.state)?, count: self.leads })
    }
}

#[derive(FromRow)]
pub(in crate::store) struct CallRow {
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
