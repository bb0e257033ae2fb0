//! What look-ups may cost, and how many may be under way.

use std::time::Duration;

use tokio::sync::SemaphorePermit;

use super::LookUps;
use crate::exit::Exit;
use crate::pipeline::away;
use crate::pipeline::progress::Halt;
use crate::pipeline::shared::Shared;
use crate::store::Result;

/// People that may be asked for, charged to the budget of a day.
pub(super) struct Reserved {
    pub people: usize,
    pub utc_day: i64,
}

impl LookUps {
    /// Waits for a free slot.
    pub(super) async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.slots.acquire().await.ok()
    }

    /// Waits for a free slot and takes up to `wanted` people from today's budget: at least one. `None`: the budget is
    /// used up, which ends look-ups for this run.
    ///
    /// # Errors
    /// If the database can't be used.
    pub(super) async fn reserve(
        &self,
        shared: &Shared,
        wanted: usize,
    ) -> Result<Option<(SemaphorePermit<'_>, Reserved)>> {
        let Some(slot) = self.slot().await else { return Ok(None) };
        let reserved = self.take(shared, wanted).await?;
        if reserved.people == wanted {
            return Ok(Some((slot, reserved)));
        }
        // Calls under way give back what they took for people who are not found: only when all have ended is it known
        // what is left.
        self.refund(shared, &reserved, reserved.people).await;
        drop(slot);
        let Ok(slot) = self.slots.acquire_many(self.most_slots).await else { return Ok(None) };
        let reserved = self.take(shared, wanted).await?;
        if reserved.people > 0 {
            return Ok(Some((slot, reserved)));
        }
        let tomorrow = shared.clock.now().next_utc_day();
        let budget = self.daily_credits.unwrap_or_default();
        let why = format!("the daily budget of {budget} credits is used up; the rest goes on after {tomorrow}");
        // Tomorrow's budget is no failure: nothing to mend, nothing to repeat.
        let halt = Halt { account: "enrich".to_owned(), reason: why, remedy: None, exit: Exit::Done };
        self.halt(shared, halt, Some(tomorrow));
        Ok(None)
    }

    /// Repeated while the database is away: then it may be charged twice, which errs on the cheap side.
    async fn take(&self, shared: &Shared, wanted: usize) -> Result<Reserved> {
        let utc_day = shared.clock.now().utc_day();
        let Some(budget) = self.daily_credits else { return Ok(Reserved { people: wanted, utc_day }) };
        let (account, people) = (self.channel.account(), i64::try_from(wanted).unwrap_or(i64::MAX));
        let got = shared.patiently(|| shared.store.take_quota(account, utc_day, people, Some(budget))).await?;
        Ok(Reserved { people: usize::try_from(got).unwrap_or(0), utc_day })
    }

    /// Gives back what was reserved for people who cost nothing, to the day that it was taken from. Tried once: given
    /// back twice it would allow more than the budget.
    pub(super) async fn refund(&self, shared: &Shared, reserved: &Reserved, people: usize) {
        let unused = i64::try_from(people).unwrap_or(0);
        if self.daily_credits.is_none() || unused == 0 {
            return;
        }
        let given_back = shared.store.take_quota(self.channel.account(), reserved.utc_day, -unused, None);
        if let Err(error) = away::once(&shared.cut, Duration::ZERO, given_back).await {
            tracing::warn!("could not give {unused} unused credits back to today's budget: {error}");
        }
    }
}
