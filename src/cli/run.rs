//! `run`: work the queue.

use std::sync::Arc;

use super::args::RunArgs;
use super::context::{Context, Opened};
use super::failure::{Failure, Outcome};
use super::ready;
use super::work::work;
use crate::pipeline::progress::Progress;
use crate::pipeline::run::{RunOptions, Signals, run as run_pipeline};
use crate::pipeline::site::Site;

/// Works everything that is due.
pub async fn run(args: &RunArgs, context: &Context) -> Outcome {
    let settings = context.settings()?;
    if settings.destinations.is_empty() {
        return Err(no_destination());
    }
    ready::to_run(&settings)?;
    let opened = context.open_for_work(settings).await?;
    let site = Site::open(Arc::clone(&opened.settings), Arc::clone(&opened.store)).await?;
    let options =
        RunOptions { command: "run", limit: args.limit, max_duration: args.max_duration, only_imported: false };
    let progress = progress_of(&opened);
    let shown = Arc::clone(&progress);
    work("run", context, &opened, args.accept_rejects, shown, async |stop| {
        let id = site.store.begin_run("run", site.clock.now()).await?;
        let signals = Signals { stop };
        run_pipeline(&site, id, &options, progress, &signals).await.map_err(Failure::from)
    })
    .await
}

/// Nobody to send to.
pub fn no_destination() -> Failure {
    Failure::usage("no destination is configured")
        .hint("add [destinations.NAME] to leadsync.toml (samples/leadsync.toml shows how), or try `leadsync demo`")
}

/// The display's numbers, one line for each destination.
pub fn progress_of(opened: &Opened) -> Arc<Progress> {
    let rates = opened.settings.destinations.iter().map(|(name, it)| (name.clone(), it.rate()));
    Arc::new(Progress::new(rates))
}
