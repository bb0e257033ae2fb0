//! Plans carried out: loads what a plan needs, under lock, and writes what it says. Compiled once for each database.

use crate::store::statement::{query, query_as};
use serde::Serialize;

use super::{Db, Tx, ledger, sql};
use crate::clock::Timestamp;
use crate::lead::LeadId;
use crate::store::error::failed;
use crate::store::plan::{self, Change, Claim, Needs, Plan, QuotaKey, World, duplicate_reason};
use crate::store::rows::{ClaimRow, LockedRow, QuotaRow};
use crate::store::{
    CallRecord, Fingerprint, LeadFilter, Operation, Result, RunCounts, RunId, Step, StepOutcome, StoreError, bulk,
};

/// Leads of one page of [`operation`]: bounds memory and statement size, not the transaction.
const PAGE: u32 = 2_000;

/// Plans and applies `steps`.
pub(super) async fn steps(tx: &mut Tx, run: RunId, steps: &[Step], now: Timestamp) -> Result<Vec<StepOutcome>> {
    let err = failed("commit");
    let mut world = World::default();
    let plan = loop {
        let plan = plan::commit(&world, run, steps, now);
        if plan.needs.is_empty() {
            break plan;
        }
        let needs = plan.needs;
        load(tx, &mut world, &needs, steps.len()).await?;
    };
    write(tx, &plan, now).await.map_err(&err)?;
    let calls: Vec<&CallRecord> = steps.iter().flat_map(|step| &step.calls).collect();
    log_calls(tx, &calls).await.map_err(&err)?;
    count(tx, run, &plan.counts).await.map_err(&err)?;
    Ok(plan.outcomes)
}

/// Plans and applies a person's decision, page by page.
pub(super) async fn operation(
    tx: &mut Tx,
    which: &LeadFilter,
    operation: &Operation,
    now: Timestamp,
) -> Result<Vec<LeadId>> {
    let mut changed = Vec::new();
    let mut after = LeadId(i64::MIN);
    loop {
        let ids = ledger::matching(tx, which, after, PAGE).await?;
        let Some(last) = ids.last() else { break };
        after = *last;
        let mut world = World::default();
        load(tx, &mut world, &Needs { rows: ids.into_iter().collect(), ..Needs::default() }, 0).await?;
        let (plan, page) = plan::operate(&world, operation, now);
        write(tx, &plan, now).await.map_err(failed("operate"))?;
        changed.extend(page);
    }
    Ok(changed)
}

/// Adds to a run's counts. Last in a transaction: all of a run's transactions meet at this row.
pub(super) async fn count(tx: &mut Tx, run: RunId, by: &RunCounts) -> sqlx::Result<()> {
    if *by == RunCounts::default() {
        return Ok(());
    }
    query::<Db>(sql::COUNT_RUN)
        .bind(run.0)
        .bind(by.taken)
        .bind(by.delivered)
        .bind(by.rejected)
        .bind(by.exhausted)
        .bind(by.unconfirmed)
        .bind(by.skipped)
        .bind(by.failed_attempts)
        .bind(by.deferrals)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Writes calls that are not there yet.
pub(super) async fn log_calls<T: std::borrow::Borrow<CallRecord> + Serialize>(
    tx: &mut Tx,
    calls: &[T],
) -> sqlx::Result<()> {
    if !calls.is_empty() {
        query::<Db>(sql::LOG_CALLS).bind(bulk::json(calls)).execute(&mut **tx).await?;
    }
    Ok(())
}

#[derive(Serialize)]
struct ClaimKey<'a> {
    destination: &'a str,
    fingerprint: &'a str,
    lead: Option<LeadId>,
}

impl<'a> ClaimKey<'a> {
    fn of(claim: &'a Claim, lead: Option<LeadId>) -> Self {
        Self { destination: &claim.destination, fingerprint: &claim.fingerprint.0, lead }
    }
}

#[derive(Serialize)]
struct Quota<'a> {
    account: &'a str,
    utc_day: i64,
    used: i64,
}

/// Adds what is needed to `world`, locked until the transaction ends; `batch` is how many leads change at most.
async fn load(tx: &mut Tx, world: &mut World, needs: &Needs, batch: usize) -> Result<()> {
    let err = failed("commit");
    if !needs.rows.is_empty() {
        let rows: Vec<LockedRow> = query_as::<Db, LockedRow>(sql::LOCK)
            .bind(bulk::json(&needs.rows))
            .fetch_all(&mut **tx)
            .await
            .map_err(&err)?;
        world.rows.extend(needs.rows.iter().map(|id| (*id, None)));
        for row in rows {
            let row = row.read()?;
            world.rows.insert(row.id, Some(row));
        }
    }
    if !needs.quotas.is_empty() {
        let keys: Vec<Quota<'_>> =
            needs.quotas.iter().map(|key| Quota { account: &key.account, utc_day: key.utc_day, used: 0 }).collect();
        let keys = bulk::json(&keys);
        query::<Db>(sql::QUOTA_OPEN).bind(keys.clone()).execute(&mut **tx).await.map_err(&err)?;
        let rows: Vec<QuotaRow> =
            query_as::<Db, QuotaRow>(sql::QUOTA_LOCK).bind(keys).fetch_all(&mut **tx).await.map_err(&err)?;
        let used = |row: QuotaRow| (QuotaKey { account: row.account.0, utc_day: row.utc_day }, row.used);
        world.quotas.extend(rows.into_iter().map(used));
    }
    if !needs.claims.is_empty() {
        // Who holds a claim may be giving it up at this moment; then it is gone when we get to see it, and we try again.
        while needs.claims.keys().any(|claim| !world.claims.contains_key(claim)) {
            let keys: Vec<ClaimKey<'_>> =
                needs.claims.iter().map(|(claim, lead)| ClaimKey::of(claim, Some(*lead))).collect();
            let keys = bulk::json(&keys);
            query::<Db>(sql::CLAIM).bind(keys.clone()).execute(&mut **tx).await.map_err(&err)?;
            let rows: Vec<ClaimRow> =
                query_as::<Db, ClaimRow>(sql::CLAIMED).bind(keys).fetch_all(&mut **tx).await.map_err(&err)?;
            world.claims.extend(rows.into_iter().map(held));
        }
    }
    if !needs.duplicates.is_empty() {
        let ids = bulk::json(&needs.duplicates);
        let rows: Vec<ClaimRow> =
            query_as::<Db, ClaimRow>(sql::CLAIMS_OF).bind(ids.clone()).fetch_all(&mut **tx).await.map_err(&err)?;
        world.claims.extend(rows.into_iter().map(held));
        // More than the batch can change itself, so that the oldest that remains is among them.
        let limit = i64::try_from(batch).unwrap_or(i64::MAX).saturating_add(8);
        let rows: Vec<(i64, i64)> =
            query_as::<Db, _>(sql::DUPLICATES).bind(ids).bind(limit).fetch_all(&mut **tx).await.map_err(&err)?;
        world.duplicates.extend(needs.duplicates.iter().map(|id| (*id, Vec::new())));
        for (of, id) in rows {
            world.duplicates.entry(LeadId(of)).or_default().push(LeadId(id));
        }
    }
    if !needs.reinstated.is_empty() {
        let rows: Vec<(i64, i64, Option<i64>)> = query_as::<Db, _>(sql::REINSTATED_BY)
            .bind(bulk::json(&needs.reinstated))
            .fetch_all(&mut **tx)
            .await
            .map_err(&err)?;
        world.reinstated.extend(needs.reinstated.iter().map(|step| (*step, Vec::new())));
        for (step, id, run) in rows {
            world.reinstated.entry(step).or_default().push((LeadId(id), run.map(RunId)));
        }
    }
    Ok::<(), StoreError>(())
}

fn held(row: ClaimRow) -> (Claim, LeadId) {
    let claim = Claim { destination: row.destination.0, fingerprint: Fingerprint(row.fingerprint.0) };
    (claim, LeadId(row.lead_id))
}

/// A row of the statement `change`.
#[derive(Serialize)]
struct Changed<'a> {
    id: LeadId,
    state: &'static str,
    reason: Option<&'a str>,
    reason_set: bool,
    remote_id: Option<&'a str>,
    attempts: i64,
    deferrals: i64,
    probes: i64,
    not_before_ms: Timestamp,
    lease_token: Option<i64>,
    lease_expires_ms: Option<Timestamp>,
    run_id: Option<RunId>,
    prepared: Option<String>,
    normal_email: Option<&'a str>,
    enriched: Option<bool>,
    lookup_call_id: Option<i64>,
    prepared_set: bool,
    custom_fields: Option<&'a str>,
    fingerprint: Option<&'a str>,
    duplicate_of: Option<LeadId>,
    sent_at_ms: Option<Timestamp>,
    finished_at_ms: Option<Timestamp>,
    last_step: Option<i64>,
}

impl<'a> Changed<'a> {
    fn of(change: &'a Change<'a>) -> Self {
        let row = &change.row;
        let content = change.content.flatten();
        Self {
            id: row.id,
            state: row.state.as_str(),
            reason: change.reason.as_ref().and_then(Option::as_deref),
            reason_set: change.reason.is_some(),
            remote_id: change.remote_id.as_deref(),
            attempts: row.attempts,
            deferrals: row.deferrals,
            probes: row.probes,
            not_before_ms: row.not_before,
            lease_token: row.lease.map(|token| token.0),
            lease_expires_ms: row.lease_expires,
            run_id: row.run,
            prepared: content.map(|content| bulk::json(&content.prepared)),
            normal_email: content.map(|content| content.prepared.lead.email.as_str()).filter(|email| !email.is_empty()),
            enriched: content.and_then(|content| content.enriched),
            lookup_call_id: content.and_then(|content| content.lookup_call).map(|call| call.0),
            prepared_set: change.content.is_some(),
            custom_fields: change.custom_fields,
            fingerprint: row.fingerprint.as_ref().map(|fingerprint| fingerprint.0.as_str()),
            duplicate_of: row.duplicate_of,
            sent_at_ms: row.sent_at,
            finished_at_ms: row.finished_at,
            last_step: row.last_step,
        }
    }
}

#[derive(Serialize)]
struct Repointed {
    from_id: LeadId,
    to_id: LeadId,
    reason: String,
}

async fn write(tx: &mut Tx, plan: &Plan<'_>, now: Timestamp) -> sqlx::Result<()> {
    if !plan.changes.is_empty() {
        let rows: Vec<Changed<'_>> = plan.changes.iter().map(Changed::of).collect();
        query::<Db>(sql::CHANGE).bind(bulk::json(&rows)).bind(now.ms()).execute(&mut **tx).await?;
    }
    if !plan.repoint.is_empty() {
        let repointed =
            |(from, to): (&LeadId, &LeadId)| Repointed { from_id: *from, to_id: *to, reason: duplicate_reason(*to) };
        let rows: Vec<Repointed> = plan.repoint.iter().map(repointed).collect();
        query::<Db>(sql::REPOINT).bind(bulk::json(&rows)).bind(now.ms()).execute(&mut **tx).await?;
    }
    if !plan.unclaim.is_empty() {
        let keys: Vec<ClaimKey<'_>> = plan.unclaim.iter().map(|claim| ClaimKey::of(claim, None)).collect();
        query::<Db>(sql::UNCLAIM).bind(bulk::json(&keys)).execute(&mut **tx).await?;
    }
    if !plan.reclaim.is_empty() {
        let keys: Vec<ClaimKey<'_>> =
            plan.reclaim.iter().map(|(claim, lead)| ClaimKey::of(claim, Some(*lead))).collect();
        query::<Db>(sql::RECLAIM).bind(bulk::json(&keys)).execute(&mut **tx).await?;
    }
    if !plan.quotas.is_empty() {
        let used = |(key, used): &'_ (QuotaKey, i64)| {
            bulk::json(&Quota { account: &key.account, utc_day: key.utc_day, used: *used })
        };
        let rows: Vec<String> = plan.quotas.iter().map(used).collect();
        query::<Db>(sql::QUOTA_SET).bind(format!("[{}]", rows.join(","))).execute(&mut **tx).await?;
    }
    Ok(())
}
