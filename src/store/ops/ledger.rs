//! Runs, and what operators read. Compiled once for each database, inside its module.

use crate::store::statement::{query, query_as, query_scalar};
use async_trait::async_trait;

use super::{Db, Handle, Tx, sql};
use crate::clock::Timestamp;
use crate::lead::LeadId;
use crate::store::durable;
use crate::store::error::failed;
use crate::store::rows::{CallRow, CountRow, RecordRow, RunRow, Text};
use crate::store::{
    CallRecord, LeadFilter, LeadRecord, Ledger, Result, RunId, RunRecord, StateCount, Turn, TurnAnswer, bulk,
};

/// The two texts of one query: over the whole table by id, and over given ids.
struct Texts {
    all: &'static str,
    by_id: &'static str,
}

/// Runs one page of a query over the leads that match; evaluates to its rows.
macro_rules! page {
    ($tx:expr, $row:ty, $texts:expr, $which:expr, $after:expr, $limit:expr) => {{
        let ids = candidates($tx, $which).await?;
        let states = (!$which.states.is_empty()).then(|| bulk::json(&$which.states));
        let text = if ids.is_some() { $texts.by_id } else { $texts.all };
        let page = query_as::<Db, $row>(text)
            .bind($after.0)
            .bind(i64::from($limit))
            .bind(states)
            .bind($which.destination.clone())
            .bind($which.run.map(|run| run.0))
            .bind($which.imported_by.map(|run| run.0))
            .bind($which.since.map(Timestamp::ms))
            .bind($which.reason_contains.as_deref().map(bulk::text));
        let page = match ids {
            Some(ids) => page.bind(bulk::json(&ids)),
            None => page,
        };
        page.fetch_all(&mut **$tx).await.map_err(failed("leads"))?
    }};
}

/// The ids that come into question, where the filter names them, itself or by an e-mail address.
async fn candidates(tx: &mut Tx, which: &LeadFilter) -> Result<Option<Vec<i64>>> {
    let named: Option<Vec<i64>> = (!which.ids.is_empty()).then(|| which.ids.iter().map(|id| id.0).collect());
    let Some(email) = &which.email else { return Ok(named) };
    let found = query_scalar::<Db, i64>(sql::BY_EMAIL)
        .bind(bulk::text(email))
        .fetch_all(&mut **tx)
        .await
        .map_err(failed("leads"))?;
    Ok(Some(match named {
        None => found,
        Some(named) => found.into_iter().filter(|id| named.contains(id)).collect(),
    }))
}

/// Up to `limit` ids above `after` of leads that match, ascending.
pub(super) async fn matching(tx: &mut Tx, which: &LeadFilter, after: LeadId, limit: u32) -> Result<Vec<LeadId>> {
    let texts = Texts { all: sql::MATCHING, by_id: sql::MATCHING_BY_ID };
    let rows: Vec<(i64,)> = page!(tx, (i64,), texts, which, after, limit);
    Ok(rows.into_iter().map(|(id,)| LeadId(id)).collect())
}

/// A run at work, younger than `than`, beside which one with this turn may not be.
async fn in_the_way(tx: &mut Tx, turn: Turn, than: RunId, now: Timestamp) -> Result<Option<RunRecord>> {
    let row: Option<RunRow> = query_as::<Db, RunRow>(sql::IN_THE_WAY)
        .bind(now.ms())
        .bind(turn.as_str())
        .bind(than.0)
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed("in_the_way"))?;
    Ok(row.map(RunRecord::from))
}

#[async_trait]
impl Ledger for Handle {
    async fn begin_run(&self, command: &str, now: Timestamp) -> Result<RunId> {
        let err = failed("begin_run");
        let mut tx = self.begin("begin_run").await?;
        let id = query_scalar::<Db, i64>(sql::BEGIN_RUN)
            .bind(bulk::text(command))
            .bind(now.ms())
            .fetch_one(&mut *tx)
            .await
            .map_err(&err)?;
        durable::commit(tx, "begin_run").await?;
        Ok(RunId(id))
    }

    async fn begin_turn(&self, command: &str, turn: Turn, until: Timestamp, now: Timestamp) -> Result<TurnAnswer> {
        let err = failed("begin_turn");
        let mut tx = self.begin_turns("begin_turn").await?;
        if let Some(other) = in_the_way(&mut tx, turn, RunId(0), now).await? {
            return Ok(TurnAnswer::Taken(Box::new(other)));
        }
        let id = query_scalar::<Db, i64>(sql::BEGIN_TURN)
            .bind(bulk::text(command))
            .bind(now.ms())
            .bind(turn.as_str())
            .bind(until.ms())
            .fetch_one(&mut *tx)
            .await
            .map_err(&err)?;
        durable::commit(tx, "begin_turn").await?;
        Ok(TurnAnswer::Begun(RunId(id)))
    }

    async fn renew_turn(&self, run: RunId, until: Timestamp, now: Timestamp) -> Result<Option<RunRecord>> {
        let err = failed("renew_turn");
        let mut tx = self.begin_turns("renew_turn").await?;
        let row: Option<RunRow> =
            query_as::<Db, RunRow>(sql::RUN).bind(run.0).fetch_optional(&mut *tx).await.map_err(&err)?;
        let turn = row.map(RunRecord::from).and_then(|record| record.turn);
        // Only a younger one: it found us silent. An older one was silent when we began, and has to yield itself.
        if let Some(turn) = turn
            && let Some(other) = in_the_way(&mut tx, turn, run, now).await?
        {
            return Ok(Some(other));
        }
        query::<Db>(sql::RENEW_TURN).bind(run.0).bind(until.ms()).execute(&mut *tx).await.map_err(&err)?;
        durable::commit(tx, "renew_turn").await?;
        Ok(None)
    }

    async fn finish_run(&self, run: RunId, exit_code: i32, now: Timestamp) -> Result<()> {
        let err = failed("finish_run");
        let mut tx = self.begin("finish_run").await?;
        query::<Db>(sql::FINISH_RUN)
            .bind(run.0)
            .bind(i64::from(exit_code))
            .bind(now.ms())
            .execute(&mut *tx)
            .await
            .map_err(&err)?;
        durable::commit(tx, "finish_run").await
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRecord>> {
        let mut tx = self.begin_read("run").await?;
        let row: Option<RunRow> =
            query_as::<Db, RunRow>(sql::RUN).bind(run.0).fetch_optional(&mut *tx).await.map_err(failed("run"))?;
        Ok(row.map(RunRecord::from))
    }

    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>> {
        let mut tx = self.begin_read("runs").await?;
        let rows: Vec<RunRow> = query_as::<Db, RunRow>(sql::RUNS)
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await
            .map_err(failed("runs"))?;
        Ok(rows.into_iter().map(RunRecord::from).collect())
    }

    async fn state_counts(&self) -> Result<Vec<StateCount>> {
        let mut tx = self.begin_read("state_counts").await?;
        let rows: Vec<CountRow> =
            query_as::<Db, CountRow>(sql::STATE_COUNTS).fetch_all(&mut *tx).await.map_err(failed("state_counts"))?;
        rows.into_iter().map(CountRow::read).collect()
    }

    async fn audit(&self) -> Result<Vec<(String, i64)>> {
        let mut tx = self.begin_read("audit").await?;
        let rows: Vec<(String, i64)> =
            query_as::<Db, (String, i64)>(sql::AUDIT).fetch_all(&mut *tx).await.map_err(failed("audit"))?;
        Ok(rows.into_iter().filter(|(_, leads)| *leads > 0).collect())
    }

    async fn leads(&self, which: &LeadFilter, after: LeadId, limit: u32) -> Result<Vec<LeadRecord>> {
        let mut tx = self.begin_read("leads").await?;
        let texts = Texts { all: sql::LEADS, by_id: sql::LEADS_BY_ID };
        let tx = &mut tx;
        let rows: Vec<RecordRow> = page!(tx, RecordRow, texts, which, after, limit);
        rows.into_iter().map(RecordRow::read).collect()
    }

    async fn calls_of(&self, lead: LeadId) -> Result<Vec<CallRecord>> {
        let mut tx = self.begin_read("calls_of").await?;
        let rows: Vec<CallRow> = query_as::<Db, CallRow>(sql::CALLS_OF)
            .bind(lead.0)
            .fetch_all(&mut *tx)
            .await
            .map_err(failed("calls_of"))?;
        Ok(rows.into_iter().map(CallRecord::from).collect())
    }

    async fn rejected_rows(&self, import: RunId, file: &str, after_row: u64, limit: u32) -> Result<Vec<(u64, String)>> {
        let mut tx = self.begin_read("rejected_rows").await?;
        let rows: Vec<(i64, Option<Text>)> = query_as::<Db, _>(sql::REJECTED_ROWS)
            .bind(import.0)
            .bind(bulk::text(file))
            .bind(i64::try_from(after_row).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await
            .map_err(failed("rejected_rows"))?;
        let row = |(row, reason): (i64, Option<Text>)| {
            Some((u64::try_from(row).ok()?, reason.map(|text| text.0).unwrap_or_default()))
        };
        Ok(rows.into_iter().filter_map(row).collect())
    }
}
