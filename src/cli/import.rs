//! `import`: rows become queued leads, then a run over them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::args::ImportArgs;
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::ready;
use super::run::{no_destination, progress_of};
use super::words;
use super::work::{Errand, before, listen, work};
use crate::config::Settings;
use crate::lead::LeadState;
use crate::pipeline::away::{LAST_ANSWER, Patience, patiently};
use crate::pipeline::import::{Becoming, Loaded, OpenFile, RejectSources, load, write_rejected};
use crate::pipeline::progress::{Progress, Summary};
use crate::pipeline::run::{RunOptions, Signals, run as run_pipeline};
use crate::pipeline::site::Site;
use crate::store::{RunId, Store, Turn};

/// Loads files and delivers their rows.
pub async fn import(args: &ImportArgs, context: &Context) -> Outcome {
    // All that can be wrong with the call is found before anything is written.
    let settings = context.settings()?;
    let destinations = destinations(&settings, &args.destinations)?;
    ready::to_import(&settings, &destinations, !args.queue_only)?;
    let stop = listen(&settings)?;
    let (files, site) = before(&stop, async {
        let files = open_files(args.files.clone(), &settings).await?;
        let opened = context.open_for_work(settings).await?;
        Ok((files, Site::open(opened.settings, opened.store).await?))
    })
    .await?;
    let plan = Plan { destinations, deliver: !args.queue_only, everything_due: args.all, command: "import" };
    import_files(context, &site, files, &plan, args.accept_rejects, stop).await
}

/// What to do with the rows.
pub struct Plan {
    pub destinations: Vec<String>,
    /// Load and then deliver, or only load.
    pub deliver: bool,
    /// Deliver whatever is due, not only these rows.
    pub everything_due: bool,
    pub command: &'static str,
}

/// Loads and delivers under the display, and ends with the summary.
pub async fn import_files(
    context: &Context,
    site: &Site,
    files: Vec<OpenFile>,
    plan: &Plan,
    accept_rejects: bool,
    stop: CancellationToken,
) -> Outcome {
    let progress = progress_of(&site.settings);
    let shown = Arc::clone(&progress);
    let errand = Errand { command: plan.command, turn: plan.deliver.then_some(Turn::Shared), accept_rejects };
    work(errand, context, site, shown, stop, async |run, stop| job(site, run, files, plan, progress, stop).await).await
}

async fn job(
    site: &Site,
    run: RunId,
    files: Vec<OpenFile>,
    plan: &Plan,
    progress: Arc<Progress>,
    stop: CancellationToken,
) -> Result<Summary, Failure> {
    let started = Instant::now();
    let started_at = site.clock.now();
    let becoming =
        Becoming { destinations: &plan.destinations, normalising: &site.settings.normalise, sealing: &site.sealing };
    let patience = Patience { term: site.settings.run.lease, hurry: &stop, last: LAST_ANSWER };
    let (loaded, sources) = load(&*site.store, &*site.clock, run, files, becoming, patience).await?;
    // Written now, and again if the run rejects more: a kill in mid-run must not cost the operator the list.
    let mut written = write_rejected(&*site.store, run, &sources, patience).await?;
    let mut unlisted = None;
    let mut summary = if plan.deliver && !stop.is_cancelled() {
        let options =
            RunOptions { command: plan.command, only_imported: !plan.everything_due, ..RunOptions::default() };
        let summary = run_pipeline(site, run, &options, progress, &Signals { stop: stop.clone() }).await?;
        let summary = if plan.everything_due { summary } else { with_untouched(summary, &loaded) };
        if !summary.database_lost && summary.counts.rejected > i64::try_from(loaded.rejected).unwrap_or(i64::MAX) {
            match write_rejected(&*site.store, run, &sources, patience).await {
                Ok(whole) => written = whole,
                // What the run did is told all the same.
                Err(error) => unlisted = Some(error),
            }
        }
        Summary { started_at, took: started.elapsed(), ..summary }
    } else {
        only_loaded(&*site.store, run, plan.command, &loaded, patience, started_at, started.elapsed()).await?
    };
    if let Some(error) = unlisted {
        summary.notices.push(format!(
            "leads that the run itself rejected are not in the rejects file ({error}); `leadsync results --state rejected` \
             has them"
        ));
    }
    if loaded.interrupted {
        summary.notices.push(format!(
            "stopped after {} rows: import the file again for the rest, nothing is sent twice",
            words::count(i64::try_from(loaded.rows).unwrap_or(i64::MAX))
        ));
    }
    let causes = loaded.causes.into_iter();
    summary.causes.extend(causes.map(|(why, n)| (LeadState::Rejected, why, i64::try_from(n).unwrap_or(i64::MAX))));
    report_rejects(&mut summary, written);
    Ok(summary)
}

/// Leads of this import that the run did not get to (it was halted or stopped) wait; they are part of the sum.
fn with_untouched(mut summary: Summary, loaded: &Loaded) -> Summary {
    let queued = i64::try_from(loaded.queued + loaded.rejected).unwrap_or(i64::MAX);
    let untouched = (queued - summary.counts.taken).max(0);
    summary.counts.taken += untouched;
    summary.waiting += untouched;
    summary
}

async fn only_loaded(
    store: &dyn Store,
    run: RunId,
    command: &str,
    loaded: &Loaded,
    patience: Patience<'_>,
    started_at: crate::clock::Timestamp,
    took: Duration,
) -> Result<Summary, Failure> {
    let record = patiently(patience, || {}, || store.run(run)).await?;
    let counts = record.map(|record| record.counts).unwrap_or_default();
    let summary =
        Summary { counts, interrupted: patience.hurry.is_cancelled(), took, ..Summary::of(run, command, started_at) };
    Ok(with_untouched(summary, loaded))
}

fn report_rejects(summary: &mut Summary, written: RejectSources) {
    for (_, result) in written {
        match result {
            Ok(Some(path)) => {
                summary.notices.push(format!("rejected rows, to be fixed and imported again: {}", path.display()));
            }
            Ok(None) => {}
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                summary.notices.push(format!("{error}{cause}; `leadsync results --state rejected` has them"));
            }
        }
    }
}

/// The destinations named, or the default one.
fn destinations(settings: &Settings, named: &[String]) -> Result<Vec<String>, Failure> {
    if settings.destinations.is_empty() {
        return Err(no_destination());
    }
    if named.is_empty() {
        return match settings.default_destination() {
            Some((name, _)) => Ok(vec![name.to_owned()]),
            None => Err(Failure::usage("no destination is the default one").hint("name one with --destination")),
        };
    }
    let mut destinations = Vec::new();
    for name in named {
        if !settings.destinations.contains_key(name) {
            let known: Vec<_> = settings.destinations.keys().map(String::as_str).collect();
            return Err(Failure::usage(format!("destination `{name}` is not configured"))
                .hint(format!("configured are: {}", known.join(", "))));
        }
        if !destinations.contains(name) {
            destinations.push(name.clone());
        }
    }
    Ok(destinations)
}

/// Opens the files and reads their headers. Elsewhere than here: a pipe may keep us waiting.
async fn open_files(paths: Vec<PathBuf>, settings: &Settings) -> Result<Vec<OpenFile>, Failure> {
    let csv = settings.csv.clone();
    let opening = tokio::task::spawn_blocking(move || {
        let files = paths.iter().map(|path| OpenFile::open(path, &csv));
        files.collect::<Result<Vec<_>, _>>()
    });
    let files = opening.await.map_err(|error| anyhow::Error::new(error).context("could not open the files"))??;
    for file in &files {
        file.remarks().iter().for_each(|remark| tracing::info!("{remark}"));
    }
    Ok(files)
}
