//! The queue. Compiled once for each database, inside its module.

use std::collections::HashMap;

use crate::store::statement::{query, query_as, query_scalar};
use async_trait::async_trait;
use serde::Serialize;

use super::{Db, Handle, commit, sql};
use crate::clock::Timestamp;
use crate::lead::LeadId;
use crate::store::durable;
use crate::store::error::failed;
use crate::store::rows::{ClaimRow, LeasedRow, Picked, WaitingRow};
use crate::store::{
    Fingerprint, LeadFilter, LeaseRequest, LeaseToken, Leased, NewLead, Operation, Queue, Result, RunCounts, RunId,
    Step, StepOutcome, Waiting, bulk,
};

/// A row of `enqueue`.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    raw: &'a crate::lead::RawLead,
    n: usize,
    destination: &'a str,
    source_file: &'a str,
    source_row: u64,
    state: &'static str,
    reason: Option<&'a str>,
    finished_at_ms: Option<i64>,
    run_id: Option<RunId>,
}

#[async_trait]
impl Queue for Handle {
    async fn enqueue(&self, run: RunId, leads: &[NewLead], now: Timestamp) -> Result<()> {
        if leads.is_empty() {
            return Ok(());
        }
        let entry = |(n, lead): (usize, &'_ NewLead)| {
            let rejected = lead.rejected.is_some();
            let state = if rejected { crate::lead::LeadState::Rejected } else { crate::lead::LeadState::Received };
            bulk::json(&Entry {
                raw: &lead.raw,
                n,
                destination: &lead.destination,
                source_file: &lead.origin.file,
                source_row: lead.origin.row,
                state: state.as_str(),
                reason: lead.rejected.as_deref(),
                finished_at_ms: rejected.then(|| now.ms()),
                run_id: rejected.then_some(run),
            })
        };
        let entries: Vec<String> = leads.iter().enumerate().map(entry).collect();
        let entries = format!("[{}]", entries.join(","));
        let rejected = i64::try_from(leads.iter().filter(|lead| lead.rejected.is_some()).count()).unwrap_or(i64::MAX);
        let err = failed("enqueue");
        let mut tx = self.begin("enqueue").await?;
        query::<Db>(sql::ENQUEUE).bind(entries).bind(run.0).bind(now.ms()).execute(&mut *tx).await.map_err(&err)?;
        let counts = RunCounts { taken: rejected, rejected, ..RunCounts::default() };
        commit::count(&mut tx, run, &counts).await.map_err(&err)?;
        durable::commit(tx, "enqueue").await
    }

    async fn holds_row(&self, import: RunId, row: &NewLead) -> Result<bool> {
        let mut tx = self.begin_read("holds_row").await?;
        let found: i64 = query_scalar::<Db, _>(sql::HOLDS_ROW)
            .bind(import.0)
            .bind(bulk::text(&row.origin.file))
            .bind(i64::try_from(row.origin.row).unwrap_or(i64::MAX))
            .bind(bulk::text(&row.destination))
            .fetch_one(&mut *tx)
            .await
            .map_err(failed("holds_row"))?;
        Ok(found > 0)
    }

    async fn lease(&self, ask: &LeaseRequest, now: Timestamp) -> Result<Vec<Leased>> {
        if ask.max == 0 {
            return Ok(Vec::new());
        }
        let err = failed("lease");
        let mut tx = self.begin_picking("lease").await?;
        let mut picked = Vec::new();
        // One look for each range of the index, so that neither is sorted.
        for destination in [Some(ask.destination.as_str()), ask.is_default.then_some("")].into_iter().flatten() {
            let pick = match ask.imported_by {
                None => query_as::<Db, Picked>(sql::PICK),
                Some(_) => query_as::<Db, Picked>(sql::PICK_IMPORTED),
            };
            let pick =
                pick.bind(destination.to_owned()).bind(now.ms()).bind(i64::from(ask.max)).bind(ask.unprepared_too);
            let pick = match ask.imported_by {
                None => pick,
                Some(import) => pick.bind(import.0),
            };
            picked.extend(pick.fetch_all(&mut *tx).await.map_err(&err)?);
        }
        picked.sort_by_key(|lead| (lead.not_before_ms, lead.id));
        picked.truncate(usize::try_from(ask.max).unwrap_or(usize::MAX));
        if picked.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = picked.iter().map(|lead| lead.id).collect();
        let rows: Vec<LeasedRow> = query_as::<Db, LeasedRow>(sql::LEASE)
            .bind(bulk::json(&ids))
            .bind(rand::random::<i64>() & i64::MAX)
            .bind(now.plus(ask.term).ms())
            .bind(ask.run.0)
            .bind(ask.destination.clone())
            .bind(now.ms())
            .fetch_all(&mut *tx)
            .await
            .map_err(&err)?;
        let first = |lead: &Picked| lead.run_id != Some(ask.run.0);
        let taken = i64::try_from(picked.iter().filter(|lead| first(lead)).count()).unwrap_or(i64::MAX);
        commit::count(&mut tx, ask.run, &RunCounts { taken, ..RunCounts::default() }).await.map_err(&err)?;
        durable::commit(tx, "lease").await?;
        let mut rows: HashMap<i64, LeasedRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        picked.iter().filter_map(|lead| Some(rows.remove(&lead.id)?.read(first(lead)))).collect()
    }

    async fn renew(&self, held: &[(LeadId, LeaseToken)], until: Timestamp) -> Result<Vec<LeadId>> {
        if held.is_empty() {
            return Ok(Vec::new());
        }
        #[derive(Serialize)]
        struct Held {
            id: LeadId,
            token: LeaseToken,
        }
        let held: Vec<Held> = held.iter().map(|(id, token)| Held { id: *id, token: *token }).collect();
        let err = failed("renew");
        let mut tx = self.begin("renew").await?;
        // Locked first, in order, as every other transaction does it.
        let ids: Vec<(i64,)> =
            query_as::<Db, _>(sql::HELD).bind(bulk::json(&held)).fetch_all(&mut *tx).await.map_err(&err)?;
        let ids: Vec<LeadId> = ids.into_iter().map(|(id,)| LeadId(id)).collect();
        query::<Db>(sql::RENEW).bind(bulk::json(&ids)).bind(until.ms()).execute(&mut *tx).await.map_err(&err)?;
        durable::commit(tx, "renew").await?;
        Ok(ids)
    }

    async fn commit(&self, run: RunId, steps: &[Step], now: Timestamp) -> Result<Vec<StepOutcome>> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.begin("commit").await?;
        let outcomes = commit::steps(&mut tx, run, steps, now).await?;
        durable::commit(tx, "commit").await?;
        Ok(outcomes)
    }

    async fn claim_holders(&self, destination: &str, identities: &[Fingerprint]) -> Result<Vec<(Fingerprint, LeadId)>> {
        if identities.is_empty() {
            return Ok(Vec::new());
        }
        let err = failed("claim_holders");
        let mut tx = self.begin_read("claim_holders").await?;
        let rows: Vec<ClaimRow> = query_as::<Db, ClaimRow>(sql::CLAIM_HOLDERS)
            .bind(bulk::json(identities))
            .bind(destination.to_owned())
            .fetch_all(&mut *tx)
            .await
            .map_err(&err)?;
        Ok(rows.into_iter().map(|row| (Fingerprint(row.fingerprint.0), LeadId(row.lead_id))).collect())
    }

    async fn waiting(&self, imported_by: Option<RunId>, now: Timestamp) -> Result<Vec<Waiting>> {
        let mut tx = self.begin_read("waiting").await?;
        let rows: Vec<WaitingRow> = match imported_by {
            None => query_as::<Db, WaitingRow>(sql::WAITING).bind(now.ms()),
            Some(import) => query_as::<Db, WaitingRow>(sql::WAITING_IMPORTED).bind(now.ms()).bind(import.0),
        }
        .fetch_all(&mut *tx)
        .await
        .map_err(failed("waiting"))?;
        Ok(rows.into_iter().map(Waiting::from).collect())
    }

    async fn operate(&self, which: &LeadFilter, operation: &Operation, now: Timestamp) -> Result<Vec<LeadId>> {
        let mut tx = self.begin("operate").await?;
        let changed = commit::operation(&mut tx, which, operation, now).await?;
        durable::commit(tx, "operate").await?;
        Ok(changed)
    }
}
