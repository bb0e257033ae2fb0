//! A run: check the accounts, start the lanes, stop cleanly, add up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::away::{LAST_ANSWER, Patience, patiently};
use super::by_hand;
use super::enrich::LookUps;
use super::lane::Lane;
use super::leases::Leases;
use super::pauses;
use super::progress::{Halt, Progress, Summary};
use super::shared::Shared;
use super::site::Site;
use super::writer::Writer;
use crate::clock::{AdjustedClock, Timestamp};
use crate::config::HEARTBEATS_PER_LEASE;
use crate::exit::Exit;
use crate::http::retry::Backoff;
use crate::lead::LeadId;
use crate::store::{LeadFilter, Result, RunCounts, RunId, Store, Waiting};

/// What is to be worked.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// As `status` names it: `run`, `import`, `demo`.
    pub command: &'static str,
    /// Take up at most this many leads.
    pub limit: Option<u64>,
    /// Take up no new lead after this long.
    pub max_duration: Option<Duration>,
    /// Only the leads that this run imported.
    pub only_imported: bool,
}

/// Stopping from outside.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// Take no new lead, finish what is in flight (at most `run.grace`).
    pub stop: CancellationToken,
}

/// Works the queue until nothing more comes due within `run.wait`.
///
/// # Errors
/// If the database can't be used; everything else is in the summary.
pub async fn run(
    site: &Site,
    run: RunId,
    options: &RunOptions,
    progress: Arc<Progress>,
    signals: &Signals,
) -> Result<Summary> {
    let started = Instant::now();
    let started_at = site.clock.now();
    let imported_by = options.only_imported.then_some(run);
    let account = Arc::new(Account::new(Arc::clone(&progress)));
    let stop = signals.stop.child_token();
    let cut = CancellationToken::new();
    let lease = site.settings.run.lease;
    let patience = Patience { term: lease, hurry: &stop, last: LAST_ANSWER };
    let was_away = || account.database_was_away();
    let before = patiently(patience, was_away, || site.store.run(run)).await?.map(|it| it.counts).unwrap_or_default();
    let waiting = patiently(patience, was_away, || site.store.waiting(imported_by, started_at)).await?;
    let due: i64 = waiting.iter().map(|it| it.due).sum();
    progress.expected.store(due, Ordering::Relaxed);

    let over = CancellationToken::new();
    let (writer, writing) = Writer::start(Arc::clone(&site.store), Arc::clone(&site.clock), run, lease, cut.clone());
    let leases = Arc::new(Leases::new(lease));
    let mut helpers = JoinSet::new();
    helpers.spawn(Arc::clone(&leases).heartbeat(Arc::clone(&site.store), Arc::clone(&site.clock), over.clone()));
    helpers.spawn(grace(stop.clone(), cut.clone(), over.clone(), site.settings.run.grace));
    if let Some(clock) = &site.database_clock {
        helpers.spawn(keep_time(
            Arc::clone(&site.store),
            Arc::clone(clock),
            lease / HEARTBEATS_PER_LEASE,
            over.clone(),
        ));
    }
    if let Some(limit) = options.max_duration {
        helpers.spawn(stop_after(limit, stop.clone(), over.clone()));
    }

    let lookup = look_ups(site, run, &account, &stop);
    let shared = Arc::new(Shared {
        run,
        store: Arc::clone(&site.store),
        clock: Arc::clone(&site.clock),
        writer,
        leases,
        account: Arc::clone(&account),
        fingerprints: site.fingerprints.clone(),
        sealing: site.sealing.clone(),
        normalise: site.settings.normalise.clone(),
        lookup,
        backoff: Backoff::new(site.settings.retry.initial_interval, site.settings.retry.max_interval),
        max_attempts: site.settings.retry.max_attempts.max(1),
        wait: site.settings.run.wait,
        imported_by,
        limit: options.limit.map(|limit| Mutex::new(usize::try_from(limit).unwrap_or(usize::MAX))),
        stop: stop.clone(),
        cut: cut.clone(),
    });
    let lanes = lanes(site, &shared, &waiting);
    let looked_up = shared.lookup.iter().map(|lookup| &lookup.channel);
    let channels: Vec<_> = lanes.iter().map(|lane| &lane.channel).chain(looked_up).cloned().collect();
    let mut watch = JoinSet::new();
    by_hand::keep_from_the_start(&shared, &lanes).await;
    watch.spawn(by_hand::keep(Arc::clone(&shared), lanes.clone()));
    watch.spawn(pauses::keep_those_of_look_ups(Arc::clone(&shared)));
    work(&shared, lanes).await;
    watch.shutdown().await;
    futures_util::future::join_all(channels.iter().map(|channel| channel.finish())).await;
    drop(shared);
    // The last clone of the writer is gone: it ends when everything handed over is durable.
    let _ = writing.await;
    over.cancel();
    helpers.join_all().await;

    let counted = counted(site, run, imported_by, &account, &cut).await?;
    if counted.is_some() {
        hand_over(site, run, &account, &cut).await;
    }
    let closing = account.close();
    let database_lost = account.has_lost_database();
    let (counts, waiting, next_due) = match counted {
        // Where the database left a question open, only its own counts can be right.
        Some((counts, next_due)) if closing.database_was_away => (counts, rest(&counts) - closing.taken_over, next_due),
        Some((counts, next_due)) => (counts, closing.waiting, next_due),
        None => (account.counts(before), closing.waiting, None),
    };
    Ok(Summary {
        run,
        command: options.command.to_owned(),
        started_at,
        took: started.elapsed(),
        counts,
        waiting,
        deferred_waiting: closing.deferred,
        next_due,
        taken_over: closing.taken_over,
        causes: closing.causes,
        calls: closing.calls,
        cache_hits: closing.cache_hits,
        halts: closing.halts,
        notices: closing.notices,
        cut: closing.cut,
        bugs: closing.bugs,
        database_lost,
        interrupted: signals.stop.is_cancelled(),
    })
}

/// What the database counted, and when the next lead comes due. `None`: it can't be asked, which is no reason to keep from
/// the operator what the run knows by itself.
async fn counted(
    site: &Site,
    run: RunId,
    imported_by: Option<RunId>,
    account: &Account,
    cut: &CancellationToken,
) -> Result<Option<(RunCounts, Option<Timestamp>)>> {
    // Who waited in vain to record something does not wait again.
    let term = if account.has_lost_database() { Duration::ZERO } else { site.settings.run.lease };
    let patience = Patience { term, hurry: cut, last: LAST_ANSWER };
    let read = || async {
        let counts = site.store.run(run).await?.map(|record| record.counts).unwrap_or_default();
        let now = site.clock.now();
        Ok((counts, next_due(&site.store.waiting(imported_by, now).await?, now)))
    };
    match patiently(patience, || account.database_was_away(), read).await {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.is_unavailable() => {
            account.database_lost(&error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Leads that this run put off, and another one took up since, are that one's business: they don't wait for us.
async fn hand_over(site: &Site, run: RunId, account: &Account, cut: &CancellationToken) {
    const PAGE: u16 = 500;
    let patience = Patience { term: Duration::ZERO, hurry: cut, last: LAST_ANSWER };
    for page in account.deferred().chunks(PAGE.into()) {
        let which = LeadFilter { ids: page.to_vec(), ..LeadFilter::default() };
        let ask = || site.store.leads(&which, LeadId(i64::MIN), PAGE.into());
        // Without an answer they count as waiting, which is on the safe side.
        let Ok(leads) = patiently(patience, || {}, ask).await else { return };
        for lead in leads.iter().filter(|lead| lead.run.is_some_and(|by| by != run)) {
            account.taken_over(lead.id);
        }
    }
}

/// Leads taken in that reached no final state.
fn rest(counts: &RunCounts) -> i64 {
    counts.taken - counts.delivered - counts.rejected - counts.exhausted - counts.unconfirmed - counts.skipped
}

/// Works the lanes side by side.
async fn work(shared: &Arc<Shared>, lanes: Vec<Arc<Lane>>) {
    if lanes.is_empty() || shared.stop.is_cancelled() {
        return;
    }
    let mut tasks = JoinSet::new();
    for lane in lanes {
        tasks.spawn(lane.work());
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(panic) = ended {
            shared.stop.cancel();
            shared.account.bug(format!("a lane ended unexpectedly: {panic}"));
        }
    }
}

/// One lane for each configured destination that something waits for.
fn lanes(site: &Site, shared: &Arc<Shared>, waiting: &[Waiting]) -> Vec<Arc<Lane>> {
    let now = site.clock.now();
    let soon = now.plus(site.settings.run.wait);
    let default = site.settings.default_destination().map(|(name, _)| name);
    let mut lanes = Vec::new();
    for it in waiting {
        let Some(name) = it.destination.as_deref().or(default) else {
            if it.due > 0 {
                shared.account.notice(format!("{} leads name no destination, and none is the default one", it.due));
            }
            continue;
        };
        if it.due == 0 && it.next_due.is_none_or(|due| due > soon)
            || lanes.iter().any(|lane: &Arc<Lane>| lane.name == name)
        {
            continue;
        }
        if !site.settings.destinations.contains_key(name) {
            shared.account.notice(format!("{} leads wait for `{name}`, a destination that is not configured", it.due));
            continue;
        }
        match site.destination(name, Some(shared.run)) {
            Ok((destination, channel)) => {
                let is_default = default == Some(name);
                lanes.push(Arc::new(Lane::new(Arc::clone(shared), name.to_owned(), is_default, destination, channel)));
            }
            Err(error) => shared.account.halt(Halt {
                account: name.to_owned(),
                reason: error.to_string(),
                remedy: None,
                exit: Exit::Usage,
            }),
        }
    }
    lanes
}

fn look_ups(site: &Site, run: RunId, account: &Account, stop: &CancellationToken) -> Option<LookUps> {
    let settings = site.settings.enrich.as_ref()?;
    match site.enricher(Some(run)) {
        Ok(built) => built.map(|(enricher, channel)| LookUps::new(enricher, channel, settings, stop.child_token())),
        Err(error) => {
            // Going on without it would send leads that were meant to be looked up first.
            account.halt(Halt {
                account: "enrich".to_owned(),
                reason: error.to_string(),
                remedy: None,
                exit: Exit::Usage,
            });
            stop.cancel();
            None
        }
    }
}

/// After the stop, requests in flight have this long.
async fn grace(stop: CancellationToken, cut: CancellationToken, over: CancellationToken, grace: Duration) {
    over.run_until_cancelled(async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
        cut.cancel();
    })
    .await;
}

async fn stop_after(limit: Duration, stop: CancellationToken, over: CancellationToken) {
    if over.run_until_cancelled(tokio::time::sleep(limit)).await.is_some() {
        tracing::info!("--max-duration is over: finishing what is in flight");
        stop.cancel();
    }
}

/// Keeps the shared clock true to the database's.
async fn keep_time(store: Arc<dyn Store>, clock: Arc<AdjustedClock>, every: Duration, over: CancellationToken) {
    let keep = async {
        loop {
            tokio::time::sleep(every).await;
            if let Ok(Ok(Some(now))) = tokio::time::timeout(every, store.server_time()).await {
                clock.set(now);
            }
        }
    };
    let _: Option<()> = over.run_until_cancelled(keep).await;
}

fn next_due(waiting: &[Waiting], now: Timestamp) -> Option<Timestamp> {
    waiting.iter().filter_map(|it| if it.due > 0 { Some(now) } else { it.next_due }).min()
}
