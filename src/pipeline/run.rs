//! A run: check the accounts, start the lanes, stop cleanly, add up.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::enrich::LookUps;
use super::lane::Lane;
use super::leases::Leases;
use super::progress::{Halt, Progress, Summary};
use super::shared::Shared;
use super::site::Site;
use super::writer::Writer;
use crate::clock::{AdjustedClock, Timestamp};
use crate::connectors::channel::Channel;
use crate::exit::Exit;
use crate::http::retry::Backoff;
use crate::store::{Pause, Result, RunId, Store, Waiting};

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
    let waiting = site.store.waiting(imported_by, started_at).await?;
    let due: i64 = waiting.iter().map(|it| it.due).sum();
    progress.expected.store(due, Ordering::Relaxed);

    let stop = signals.stop.child_token();
    let cut = CancellationToken::new();
    let over = CancellationToken::new();
    let lease = site.settings.run.lease;
    let (writer, writing) = Writer::start(Arc::clone(&site.store), Arc::clone(&site.clock), run, lease);
    let leases = Arc::new(Leases::new(lease));
    let mut helpers = JoinSet::new();
    helpers.spawn(Arc::clone(&leases).heartbeat(Arc::clone(&site.store), Arc::clone(&site.clock), over.clone()));
    helpers.spawn(grace(stop.clone(), cut.clone(), over.clone(), site.settings.run.grace));
    if let Some(clock) = &site.database_clock {
        helpers.spawn(keep_time(Arc::clone(&site.store), Arc::clone(clock), lease / 3, over.clone()));
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
        normalise: site.settings.normalise.clone(),
        lookup,
        backoff: Backoff::new(site.settings.retry.initial_interval, site.settings.retry.max_interval),
        max_attempts: site.settings.retry.max_attempts.max(1),
        wait: site.settings.run.wait,
        imported_by,
        limit: options.limit.map(|limit| AtomicI64::new(i64::try_from(limit).unwrap_or(i64::MAX))),
        stop: stop.clone(),
        cut,
    });
    let lanes = lanes(site, &shared, &waiting, &site.store.pauses(started_at).await?);
    let result = work(&shared, lanes).await;
    drop(shared);
    // The last clone of the writer is gone: it ends when everything handed over is durable.
    let _ = writing.await;
    over.cancel();
    helpers.join_all().await;
    result?;

    let counts = site.store.run(run).await?.map(|record| record.counts).unwrap_or_default();
    let next_due = next_due(&site.store.waiting(imported_by, site.clock.now()).await?, site.clock.now());
    let closing = account.close();
    Ok(Summary {
        run,
        command: options.command.to_owned(),
        started_at,
        took: started.elapsed(),
        counts,
        waiting: closing.waiting,
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
        interrupted: signals.stop.is_cancelled(),
    })
}

/// Works the lanes side by side.
async fn work(shared: &Arc<Shared>, lanes: Vec<Arc<Lane>>) -> Result<()> {
    if lanes.is_empty() || shared.stop.is_cancelled() {
        return Ok(());
    }
    let mut tasks = JoinSet::new();
    for lane in lanes {
        tasks.spawn(lane.work());
    }
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                shared.stop.cancel();
                result = Err(error);
            }
            Err(panic) => {
                shared.stop.cancel();
                shared.account.bug(format!("a lane ended unexpectedly: {panic}"));
            }
        }
    }
    result
}

/// One lane for each configured destination that something waits for.
fn lanes(site: &Site, shared: &Arc<Shared>, waiting: &[Waiting], pauses: &[Pause]) -> Vec<Arc<Lane>> {
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
        match site.destination(name, shared.run) {
            Ok((destination, channel)) => {
                if let Some(pause) = asked_for(pauses, &channel, destination.limits().daily_limit, now) {
                    if pause.until > soon {
                        shared.account.halt(Halt::from_pause(name, pause));
                        continue;
                    }
                    channel.limiter().pause_until(pause.until, &pause.why);
                }
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

/// The pause that this account asked for in an earlier run. One until tomorrow is our own daily limit's, which is counted
/// anew with every create: it may have been raised since.
fn asked_for<'a>(
    pauses: &'a [Pause],
    channel: &Channel,
    daily_limit: Option<u32>,
    now: Timestamp,
) -> Option<&'a Pause> {
    let pause = pauses.iter().find(|pause| pause.account == channel.account())?;
    (daily_limit.is_none() || pause.until != now.next_utc_day()).then_some(pause)
}

fn look_ups(site: &Site, run: RunId, account: &Account, stop: &CancellationToken) -> Option<LookUps> {
    let settings = site.settings.enrich.as_ref()?;
    match site.enricher(run) {
        Ok(built) => built.map(|(enricher, channel)| LookUps::new(enricher, channel, settings)),
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
    while over.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        if let Ok(Some(now)) = store.server_time().await {
            clock.set(now);
        }
    }
}

fn next_due(waiting: &[Waiting], now: Timestamp) -> Option<Timestamp> {
    waiting.iter().filter_map(|it| if it.due > 0 { Some(now) } else { it.next_due }).min()
}
