//! A run among other runs: it says that it is at work, again and again, so that an exclusive one knows when it is alone,
//! and `status` knows who was killed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::progress::Halt;
use super::site::Site;
use crate::config::HEARTBEATS_PER_LEASE;
use crate::exit::Exit;
use crate::store::{Result, RunId, RunRecord, Turn, TurnAnswer};

/// Begins a run, unless it or another one at work is exclusive. `None`: it only loads rows, and is never refused.
///
/// # Errors
/// Those of the database.
pub async fn begin(site: &Site, command: &str, turn: Option<Turn>) -> Result<TurnAnswer> {
    let now = site.clock.now();
    let until = now.plus(site.settings.run.lease);
    match turn {
        Some(turn) => site.store.begin_turn(command, turn, until, now).await,
        None => {
            let run = site.store.begin_run(command, now).await?;
            site.store.renew_turn(run, until, now).await?;
            Ok(TurnAnswer::Begun(run))
        }
    }
}

/// A run that says that it is at work, until [`AtWork::end`].
#[derive(Debug)]
pub struct AtWork {
    over: CancellationToken,
    beating: JoinHandle<()>,
    overtaken: Arc<OnceLock<Halt>>,
}

impl AtWork {
    /// Renews the run's word. Cancels `stop` if another run has taken its place.
    pub fn keep(site: &Site, run: RunId, stop: CancellationToken) -> Self {
        let (over, overtaken) = (CancellationToken::new(), Arc::new(OnceLock::new()));
        let (store, clock, lease) = (Arc::clone(&site.store), Arc::clone(&site.clock), site.settings.run.lease);
        let (ends, found) = (over.clone(), Arc::clone(&overtaken));
        let beat = async move {
            loop {
                let every = lease / HEARTBEATS_PER_LEASE;
                tokio::time::sleep(every).await;
                let now = clock.now();
                // A database that is away is the leases' business; the place is lost only if somebody else takes it.
                let renewed = tokio::time::timeout(every, store.renew_turn(run, now.plus(lease), now)).await;
                if let Ok(Ok(Some(other))) = renewed {
                    let _ = found.set(overtaken_by(&other, lease));
                    stop.cancel();
                    return;
                }
            }
        };
        let beating = tokio::spawn(async move {
            let _ = ends.run_until_cancelled(beat).await;
        });
        Self { over, beating, overtaken }
    }

    /// Says nothing more. What drove the run off, if anything did.
    pub async fn end(self) -> Option<Halt> {
        self.over.cancel();
        let _ = self.beating.await;
        self.overtaken.get().cloned()
    }
}

fn overtaken_by(other: &RunRecord, lease: Duration) -> Halt {
    Halt {
        account: "run".to_owned(),
        reason: format!(
            "run {} ({}) has begun while this one was silent for longer than `run.lease` ({} s), and they may not work \
             side by side",
            other.id,
            other.command,
            lease.as_secs(),
        ),
        remedy: Some("run again when it has ended".to_owned()),
        exit: Exit::Unavailable,
    }
}
