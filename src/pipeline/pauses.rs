//! Pauses of an account: kept while they are short, the end of its lane for this run when they are long, and known to the
//! next process.

use std::sync::Arc;
use std::time::Duration;

use super::away;
use super::lane::Lane;
use super::progress::Halt;
use super::shared::Shared;
use crate::clock::Timestamp;
use crate::connectors::DAY_USED_UP;
use crate::connectors::channel::Channel;
use crate::exit::Exit;
use crate::http::limit::{News, PoolError};
use crate::store::{Pause, Result};

/// A pause this short is waited for even where `run.wait` is shorter.
const SHORT: Duration = Duration::from_secs(2);

/// How long a run waits for an account whose pauses began after `progress`.
pub fn patience(progress: Timestamp, wait: Duration) -> Timestamp {
    progress.plus(wait.max(SHORT))
}

/// What a pause that is too long for this run means. The day's calls used up are nobody's failure, as a budget is none.
pub fn too_long(name: &str, pause: &Pause) -> Halt {
    Halt {
        account: name.to_owned(),
        reason: format!("paused until {}: {}", pause.until, pause.why),
        remedy: Some("run again then; the leads keep their place and their attempts".to_owned()),
        exit: if is_for_the_day(&pause.why) { Exit::Done } else { Exit::Unavailable },
    }
}

/// Whether this is why an account's next calls are tomorrow's.
pub fn is_for_the_day(why: &str) -> bool {
    why.starts_with(DAY_USED_UP)
}

/// The pause that an earlier run, or another worker, was told to keep.
///
/// # Errors
/// If the database can't be read.
pub async fn stored(shared: &Shared, channel: &Channel) -> Result<Option<Pause>> {
    let pauses = shared.patiently(|| shared.store.pauses(shared.clock.now())).await?;
    Ok(pauses.into_iter().find(|pause| pause.account == channel.account()))
}

/// Writes a pause down for all workers; that it can't be written is no reason to stop, since each is told by the server.
pub async fn store(shared: &Shared, pause: &Pause) {
    if let Err(error) = away::once(&shared.cut, Duration::ZERO, shared.store.pause(pause)).await {
        tracing::warn!("could not record that {} is paused: {error}", pause.account);
    }
}

/// Without its share of the limit nobody can go on, and nothing else may be asking the database at the moment.
fn limit_lost(shared: &Shared, error: &PoolError) {
    if !error.unavailable {
        shared.account.bug(error.why.clone());
    }
    shared.account.database_lost(&error.why);
    shared.stop.cancel();
}

/// The same as [`Lane::keep_pauses_of_others`] for the look-up service.
pub async fn keep_those_of_look_ups(shared: Arc<Shared>) {
    let Some(lookup) = &shared.lookup else { return };
    loop {
        let (until, why) = match lookup.channel.limiter().news().await {
            News::Paused(until, why) => (until, why),
            News::Lost(error) => return limit_lost(&shared, &error),
        };
        if until > patience(shared.clock.now(), shared.wait) {
            let pause = Pause { account: lookup.channel.account().to_owned(), until, why };
            lookup.halt(&shared, too_long("enrich", &pause), Some(until));
        }
    }
}

impl Lane {
    /// Stops calls to this account until then, here and for every other worker. If that is longer than a run waits
    /// without a lead coming to its end, the lane ends: its leads must not be held for an hour, nor a run be kept alive
    /// by an account that asks for one pause after the other.
    pub async fn pause_account(&self, pause: Pause) {
        let limiter = self.channel.limiter();
        let known = limiter.paused().is_some_and(|(until, _)| until >= pause.until);
        limiter.pause_until(pause.until, &pause.why);
        self.heed(&pause);
        if !known {
            store(&self.shared, &pause).await;
        }
    }

    /// Keeps a pause that an earlier run was told to keep.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn keep_stored_pause(&self) -> Result<()> {
        if let Some(pause) = stored(&self.shared, &self.channel).await? {
            self.channel.limiter().pause_until(pause.until, &pause.why);
            self.heed(&pause);
        }
        Ok(())
    }

    /// Keeps the pauses that other workers are told of while this one is at work, for ever.
    pub async fn keep_pauses_of_others(self: Arc<Self>) {
        loop {
            match self.channel.limiter().news().await {
                News::Paused(until, why) => {
                    self.heed(&Pause { account: self.channel.account().to_owned(), until, why });
                }
                News::Lost(error) => return limit_lost(&self.shared, &error),
            }
        }
    }

    fn heed(&self, pause: &Pause) {
        if pause.until > self.patience_ends() {
            self.halt(too_long(&self.name, pause));
        }
    }
}
