//! What `import`, `run` and `demo` share: the run's turn, the display while the pipeline works, signals, the closing
//! summary, the exit code, and the end of the run in the database.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::failure::{Failure, Outcome};
use super::progress::Watch;
use super::signals::stop_on_signal;
use super::summary::{exit_of, tell};
use super::words;
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::exit::Exit;
use crate::pipeline::away::{LAST_ANSWER, Patience, patiently};
use crate::pipeline::progress::{Progress, Summary};
use crate::pipeline::site::Site;
use crate::pipeline::turn::{self, AtWork};
use crate::store::{BUSY_TIMEOUT, RunId, RunRecord, StoreError, Turn, TurnAnswer};

/// What is to be done, besides the work itself.
pub struct Errand {
    /// As `status` names it: `run`, `import`, `demo`.
    pub command: &'static str,
    /// As what the run begins. `None`: it only loads rows.
    pub turn: Option<Turn>,
    pub accept_rejects: bool,
}

/// Listens to signals from here on.
///
/// # Errors
/// If the system gives no signal handler.
pub fn listen(settings: &Settings) -> Result<CancellationToken, Failure> {
    stop_on_signal(settings.run.grace)
        .map_err(|error| Failure::from(anyhow::Error::new(error).context("could not listen for signals")))
}

/// What comes before the work: opening files and the database. A signal ends it at once, since nothing has begun.
///
/// # Errors
/// Those of the preparation; [`Exit::Unavailable`] after a signal.
pub async fn before<T>(
    stop: &CancellationToken,
    prepare: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let stopped = || {
        Failure::new(Exit::Unavailable, anyhow::anyhow!("stopped before anything was done"))
            .hint("run the same command again")
    };
    stop.run_until_cancelled(prepare).await.unwrap_or_else(|| Err(stopped()))
}

/// Begins a run, does `job` under the display, then tells its summary, writes the run's end and exit code to the database,
/// and closes it.
///
/// `job` gets `stop`, which is cancelled by the first signal, and must then end within `run.grace`.
///
/// # Errors
/// [`Exit::Unavailable`] before anything is done if the run may not begin beside another one; those of the job, and of
/// the database at the end.
pub async fn work<E: Into<Failure>, F: Future<Output = Result<Summary, E>>>(
    errand: Errand,
    context: &Context,
    site: &Site,
    progress: Arc<Progress>,
    stop: CancellationToken,
    job: impl FnOnce(RunId, CancellationToken) -> F,
) -> Outcome {
    let begin = async { turn::begin(site, errand.command, errand.turn).await.map_err(Failure::from) };
    let run = match before(&stop, begin).await? {
        TurnAnswer::Begun(run) => run,
        TurnAnswer::Taken(other) => {
            close(site).await;
            return Err(refused(&other, errand.turn, site.clock.now()));
        }
    };
    let at_work = AtWork::keep(site, run, stop.clone());
    let watch = Watch::start(errand.command, progress, context.console);
    let stopped = stop.clone();
    let ended = job(run, stop).await;
    watch.end().await;
    let overtaken = at_work.end().await;
    let ended = ended.map_err(Into::into).map(|mut summary| {
        summary.halts.extend(overtaken);
        let exit = exit_of(&summary, errand.accept_rejects);
        (summary, exit)
    });
    let exit = ended.as_ref().map_or_else(Failure::exit, |(_, exit)| *exit);
    let database_lost = ended.as_ref().is_ok_and(|(summary, _)| summary.database_lost);
    let written = patiently(
        Patience {
            term: if database_lost { Duration::ZERO } else { BUSY_TIMEOUT },
            hurry: &stopped,
            last: LAST_ANSWER,
        },
        || {},
        || site.store.finish_run(run, exit.code().into(), site.clock.now()),
    )
    .await;
    // What ended the job early is the news, not that its end could not be written down either.
    let (summary, exit) = ended?;
    tell(&summary, exit, context.console);
    // Told already, and no second failure.
    if !(summary.database_lost && written.as_ref().is_err_and(StoreError::is_unavailable)) {
        written?;
    }
    close(site).await;
    Ok(exit)
}

/// Closes the database, unless its server vanished: all that counts is written and told by then.
async fn close(site: &Site) {
    let _ = tokio::time::timeout(LAST_ANSWER, site.store.close()).await;
}

/// Another run is at work, and one of the two is exclusive.
fn refused(other: &RunRecord, turn: Option<Turn>, now: Timestamp) -> Failure {
    let who = match other.turn {
        Some(Turn::Exclusive) => format!("run {} ({} --exclusive)", other.id, other.command),
        _ => format!("run {} ({})", other.id, other.command),
    };
    let wants = match turn {
        Some(Turn::Exclusive) => "an exclusive run begins only when no other is",
        _ => "nothing runs beside it",
    };
    let failure = anyhow::anyhow!(
        "{who} is at work since {} ({}), and {wants}; nothing was done",
        other.started_at,
        words::relative(other.started_at, now)
    );
    let lapses = other.alive_until.map_or(0, |until| now.until(until).as_secs() + 1);
    Failure::new(Exit::Unavailable, failure).hint(format!(
        "run again when it has ended; if it was killed, its place is free in {lapses} s (`run.lease` after its last word)"
    ))
}
