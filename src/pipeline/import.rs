//! A CSV import is "rows become queued leads"; the run over them is the same as cron's.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::away::{Patience, patiently};
use super::normalise::normalise;
use super::sealing::Sealing;
use super::source::csv::{CsvError, CsvRow, CsvSource, RejectSource, RejectsError, write_rejects};
use crate::auth::seal::SealError;
use crate::clock::Clock;
use crate::config::{CsvSettings, NormaliseSettings};
use crate::lead::Origin;
use crate::store::{NewLead, RunId, Store, StoreError};

/// Rows per transaction.
const BATCH: usize = 1_000;

/// How long a reader that was told to stop is waited for: enough for a batch, and a pipe may be silent for ever.
const READER_ENDS: Duration = Duration::from_secs(1);

/// Distinct reasons kept; beyond that they are counted together.
const CAUSES: usize = 40;

/// What loading did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows stored.
    pub rows: u64,
    /// Leads put into the queue: rows times destinations, less the rejected.
    pub queued: u64,
    /// Leads stored as `rejected`.
    pub rejected: u64,
    /// Why rows were rejected, and how many leads that cost.
    pub causes: BTreeMap<String, u64>,
    /// Stopped before the end of the files.
    pub interrupted: bool,
}

impl Loaded {
    fn stored(&mut self, batch: &[NewLead]) {
        for lead in batch {
            match &lead.rejected {
                None => self.queued += 1,
                Some(reason) => {
                    self.rejected += 1;
                    let full = self.causes.len() >= CAUSES && !self.causes.contains_key(reason);
                    let cause = if full { "other reasons" } else { reason };
                    *self.causes.entry(cause.to_owned()).or_default() += 1;
                }
            }
        }
    }
}

/// Why an import could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file can't be used.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// A bug: the task that reads the file ended.
    #[error("reading {file} ended unexpectedly")]
    ReaderDied { file: String },
    /// The database can't be used; rows loaded before stay.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A value that must not be stored readable can't be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// A file that was opened and whose header was understood.
pub struct OpenFile {
    name: String,
    source: CsvSource,
}

impl OpenFile {
    /// Opens a file (`-`: standard input) and reads its header.
    ///
    /// # Errors
    /// If there is no such file, it is no CSV, or it has no e-mail column.
    pub fn open(path: &Path, settings: &CsvSettings) -> Result<Self, CsvError> {
        Ok(Self { name: path.display().to_string(), source: CsvSource::open(path, settings)? })
    }

    /// As messages call it.
    fn shown(&self) -> &str {
        if self.name == "-" { "standard input" } else { &self.name }
    }

    /// What the operator should know of how the file is read: the dialect, and columns that mean nothing to us.
    pub fn remarks(&self) -> Vec<String> {
        let header = self.source.header();
        let mut remarks = vec![format!("{}: {}", self.shown(), self.source.dialect())];
        if !header.ignored().is_empty() {
            remarks.push(format!("{}: columns not used: {}", self.shown(), header.ignored().join(", ")));
        }
        remarks.extend(header.notices().iter().map(|notice| format!("{}: {notice}", self.shown())));
        remarks
    }
}

/// What rows become.
#[derive(Clone, Copy)]
pub struct Becoming<'a> {
    /// A lead for each of these.
    pub destinations: &'a [String],
    pub normalising: &'a NormaliseSettings,
    pub sealing: &'a Sealing,
}

/// Loads files into the queue, in batches that are each durable before the next is read; returns what it did and what is
/// needed to write the rejects afterwards. Where time runs out (`patience.hurry`) it stops between batches.
///
/// # Errors
/// If a file can't be read on, or the database can't be written. What was loaded before stays in the queue.
pub async fn load(
    store: &dyn Store,
    clock: &dyn Clock,
    run: RunId,
    files: Vec<OpenFile>,
    becoming: Becoming<'_>,
    patience: Patience<'_>,
) -> Result<(Loaded, Vec<(String, RejectSource)>), ImportError> {
    let mut loaded = Loaded::default();
    let mut reject_sources = Vec::with_capacity(files.len());
    for file in files {
        let (batches, mut inbox) = mpsc::channel::<Vec<NewLead>>(2);
        let destinations = becoming.destinations.to_vec();
        let normalising = becoming.normalising.clone();
        let name = file.name.clone();
        let rejects = file.source.reject_source();
        let copies = destinations.len().max(1);
        let mut reading = tokio::task::spawn_blocking(move || read(file, &destinations, &normalising, &batches));
        loop {
            match patience.hurry.run_until_cancelled(inbox.recv()).await {
                Some(Some(mut batch)) => {
                    batch.iter_mut().try_for_each(|row| becoming.sealing.seal_row(row))?;
                    // A batch is one transaction: its last row stands for all.
                    if let Some(last) = batch.last() {
                        let add = || store.enqueue(run, &batch, clock.now());
                        add_once(patience, add, || store.holds_row(run, last)).await?;
                    }
                    loaded.rows += u64::try_from(batch.len() / copies).unwrap_or(u64::MAX);
                    loaded.stored(&batch);
                }
                Some(None) => break,
                None => {
                    loaded.interrupted = true;
                    break;
                }
            }
        }
        // The reader notices that nobody listens any more, unless it waits for somebody to write into a pipe.
        drop(inbox);
        let ended = if loaded.interrupted {
            match tokio::time::timeout(READER_ENDS, &mut reading).await {
                Ok(ended) => ended,
                Err(_) => break,
            }
        } else {
            reading.await
        };
        ended.map_err(|_| ImportError::ReaderDied { file: name.clone() })??;
        reject_sources.push((name, rejects));
        if loaded.interrupted {
            break;
        }
    }
    Ok((loaded, reject_sources))
}

/// Adds rows, once: where the answer was lost it looks whether they are there before it adds them again.
async fn add_once<A, L>(
    patience: Patience<'_>,
    add: impl Fn() -> A,
    are_there: impl Fn() -> L,
) -> Result<(), StoreError>
where
    A: Future<Output = Result<(), StoreError>>,
    L: Future<Output = Result<bool, StoreError>>,
{
    let doubtful = AtomicBool::new(false);
    let once = || async { if doubtful.load(Ordering::Relaxed) && are_there().await? { Ok(()) } else { add().await } };
    patiently(patience, || doubtful.store(true, Ordering::Relaxed), once).await
}

fn read(
    mut file: OpenFile,
    destinations: &[String],
    normalising: &NormaliseSettings,
    batches: &mpsc::Sender<Vec<NewLead>>,
) -> Result<(), CsvError> {
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = file.source.next_row()? {
        let (line, raw, rejected) = match row {
            CsvRow::Lead { line, raw } => {
                let rejected = normalise(&raw, normalising).err().map(|rejection| rejection.to_string());
                (line, raw, rejected)
            }
            CsvRow::Rejected { line, raw, reason } => (line, raw, Some(reason)),
        };
        for destination in destinations {
            batch.push(NewLead {
                raw: raw.clone(),
                destination: destination.clone(),
                origin: Origin { file: file.name.clone(), row: line },
                rejected: rejected.clone(),
            });
        }
        if batch.len() >= BATCH && batches.blocking_send(std::mem::take(&mut batch)).is_err() {
            break;
        }
    }
    let _ = batches.blocking_send(batch);
    Ok(())
}

/// For each file: where its rejected rows were written, if it has any.
pub type RejectSources = Vec<(String, Result<Option<PathBuf>, RejectsError>)>;

/// Writes `<file>.rejected.csv` beside each file that has rejected rows, from what the database says now.
///
/// # Errors
/// If the database can't be read. A folder that can't be written to is answered per file.
pub async fn write_rejected(
    store: &dyn Store,
    run: RunId,
    sources: &[(String, RejectSource)],
    patience: Patience<'_>,
) -> Result<RejectSources, StoreError> {
    const PAGE: u32 = 1_000;
    let mut results = Vec::with_capacity(sources.len());
    for (name, source) in sources.iter().cloned() {
        let (rows, mut inbox) = mpsc::channel::<(u64, String)>(PAGE as usize);
        let writing =
            tokio::task::spawn_blocking(move || write_rejects(source, std::iter::from_fn(|| inbox.blocking_recv())));
        let mut after = 0;
        'pages: loop {
            let page = patiently(patience, || {}, || store.rejected_rows(run, &name, after, PAGE)).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for row in page {
                if rows.send(row).await.is_err() {
                    break 'pages;
                }
            }
        }
        drop(rows);
        if let Ok(written) = writing.await {
            results.push((name, written));
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::lead::RawLead;

    fn row(rejected: Option<&str>) -> NewLead {
        NewLead {
            raw: RawLead::default(),
            destination: "7targets".to_owned(),
            origin: Origin { file: "leads.csv".to_owned(), row: 2 },
            rejected: rejected.map(str::to_owned),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rows_whose_answer_was_lost_are_added_once_and_rows_that_were_lost_again() {
        let gone = || StoreError::Unavailable { what: "gone".to_owned() };
        let stop = CancellationToken::new();
        let patience = Patience { term: Duration::from_secs(60), hurry: &stop, last: Duration::ZERO };
        for (was_done, adds) in [(true, 1), (false, 2)] {
            let (added, stored) = (AtomicU32::new(0), AtomicBool::new(false));
            let add = || async {
                match added.fetch_add(1, Ordering::Relaxed) {
                    0 => {
                        stored.store(was_done, Ordering::Relaxed);
                        Err(gone())
                    }
                    _ => {
                        stored.store(true, Ordering::Relaxed);
                        Ok(())
                    }
                }
            };
            add_once(patience, add, || async { Ok(stored.load(Ordering::Relaxed)) }).await.unwrap();
            assert_eq!((added.into_inner(), stored.into_inner()), (adds, true));
        }
    }

    #[test]
    fn reasons_are_counted_and_an_endless_number_of_them_takes_no_endless_memory() {
        let mut loaded = Loaded::default();
        loaded.stored(&[row(None), row(Some("email: missing")), row(Some("email: missing"))]);
        let many: Vec<NewLead> = (1..=10_000).map(|n| row(Some(&format!("{n} fields, the header has 9")))).collect();
        loaded.stored(&many);
        loaded.stored(&[row(Some("email: missing"))]);
        assert_eq!((loaded.queued, loaded.rejected), (1, 10_003));
        assert_eq!(loaded.causes["email: missing"], 3);
        assert_eq!(loaded.causes.len(), CAUSES + 1);
        assert_eq!(loaded.causes.values().sum::<u64>(), loaded.rejected);
    }
}
