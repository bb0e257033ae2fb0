//! `run`: work the queue.

use std::sync::Arc;

use super::args::RunArgs;
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::ready;
use super::work::{Errand, before, listen, work};
use crate::config::Settings;
use crate::pipeline::progress::Progress;
use crate::pipeline::run::{RunOptions, Signals, run as run_pipeline};
use crate::pipeline::site::Site;
use crate::store::Turn;

/// Works everything that is due.
pub async fn run(args: &RunArgs, context: &Context) -> Outcome {
    let settings = context.settings()?;
    if settings.destinations.is_empty() {
        return Err(no_destination());
    }
    ready::to_run(&settings)?;
    let stop = listen(&settings)?;
    let site = before(&stop, async {
        let opened = context.open_for_work(settings).await?;
        Ok(Site::open(opened.settings, opened.store).await?)
    })
    .await?;
    let options =
        RunOptions { command: "run", limit: args.limit, max_duration: args.max_duration, only_imported: false };
    let progress = progress_of(&site.settings);
    let shown = Arc::clone(&progress);
    let turn = Some(if args.exclusive { Turn::Exclusive } else { Turn::Shared });
    let errand = Errand { command: "run", turn, accept_rejects: args.accept_rejects };
    work(errand, context, &site, shown, stop, async |run, stop| {
        run_pipeline(&site, run, &options, progress, &Signals { stop }).await
    })
    .await
}

/// Nobody to send to.
pub fn no_destination() -> Failure {
    Failure::usage("no destination is configured")
        .hint("add [destinations.NAME] to leadsync.toml (samples/leadsync.toml shows how), or try `leadsync demo`")
}

/// The display's numbers, one line for each destination.
pub fn progress_of(settings: &Settings) -> Arc<Progress> {
    let rates = settings.destinations.iter().map(|(name, it)| (name.clone(), it.section.rate()));
    Arc::new(Progress::new(rates))
}
