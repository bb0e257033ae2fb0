//! What `import`, `run` and `demo` share: the display while the pipeline works, signals, the closing summary, the exit
//! code, and the end of the run in the database.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::{Context, Opened};
use super::failure::{Failure, Outcome};
use super::progress::Watch;
use super::signals::stop_on_signal;
use super::summary::{exit_of, tell};
use crate::pipeline::away::{LAST_ANSWER, Patience, patiently};
use crate::pipeline::progress::{Progress, Summary};
use crate::store::{BUSY_TIMEOUT, StoreError};

/// Runs `job` under the display and the signal handlers, then tells its summary, writes the run's end and exit code to the
/// database, and closes it.
///
/// `job` gets a token that is cancelled by the first SIGTERM or SIGINT, and must then end within `run.grace`.
///
/// # Errors
/// Those of the job, and of the database at the end.
pub async fn work<E: Into<Failure>, F: Future<Output = Result<Summary, E>>>(
    label: &'static str,
    context: &Context,
    opened: &Opened,
    accept_rejects: bool,
    progress: Arc<Progress>,
    job: impl FnOnce(CancellationToken) -> F,
) -> Outcome {
    let stop = stop_on_signal(opened.settings.run.grace)
        .map_err(|error| Failure::from(anyhow::Error::new(error).context("could not listen for signals")))?;
    let watch = Watch::start(label, progress, context.console);
    let stopped = stop.clone();
    let ended = job(stop).await;
    watch.end().await;
    let summary = ended.map_err(Into::into)?;
    let exit = exit_of(&summary, accept_rejects);
    let written = patiently(
        Patience {
            term: if summary.database_lost { Duration::ZERO } else { BUSY_TIMEOUT },
            hurry: &stopped,
            last: LAST_ANSWER,
        },
        || {},
        || opened.store.finish_run(summary.run, exit.code().into(), opened.now()),
    )
    .await;
    tell(&summary, exit, context.console);
    // Told already, and no second failure.
    if !(summary.database_lost && written.as_ref().is_err_and(StoreError::is_unavailable)) {
        written?;
    }
    opened.store.close().await;
    Ok(exit)
}
