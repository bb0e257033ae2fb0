//! One destination's way through a run: lease a bite, prepare it, deliver it, wait for what comes due, end.
//!
//! Lanes share nothing but the database, the writer and the look-up service, so a slow or sick destination holds nobody
//! else up. A lane never holds more than a small multiple of its concurrency, however long the queue is.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::deliver::{deliver, doubts};
use super::pauses;
use super::preflight;
use super::prepare::{PlaceQueue, prepare};
use super::progress::Halt;
use super::shared::Shared;
use crate::clock::{Clock, Moment, Timestamp};
use crate::connectors::channel::Channel;
use crate::connectors::{Destination, Limits};
use crate::http::retry::Breaker;
use crate::lead::{LeadId, LeadState};
use crate::store::{Due, LeaseRequest, Leased, Result as StoreResult, Waiting};

/// While leads are in hand, the queue is asked again this often for what came due meanwhile.
const GLANCE: Duration = Duration::from_millis(200);
/// Leads held at most, as a multiple of the concurrency, besides those being looked up.
const DEPTH: usize = 4;

/// A destination as a run works it.
pub struct Lane {
    pub shared: Arc<Shared>,
    pub name: String,
    /// Leads that name no destination are this lane's.
    pub is_default: bool,
    pub destination: Arc<dyn Destination>,
    pub channel: Arc<Channel>,
    pub limits: Limits,
    /// Requests in flight.
    pub slots: Arc<Semaphore>,
    /// Take no new lead: the run is stopping, or this account is out of the game.
    pub stop: CancellationToken,
    /// Create nothing more: that, or the day's creates are used up.
    pub creates: CancellationToken,
    /// Creates in a row whose outcome is unknown.
    pub doubts: Breaker,
    /// Leads leased and not yet put down.
    in_hand: Mutex<HashSet<LeadId>>,
    /// When a lead last reached its end, or work began: [`Timestamp::ms`].
    progress_ms: AtomicI64,
    /// Whether the account was found fit, once it was asked: before the first lead that needs it.
    fit: OnceCell<bool>,
    /// Bites are looked up side by side, but claim in the order in which they were leased.
    queue: PlaceQueue,
    /// Told when a lead is put down: there may be room for a bite.
    freed: Notify,
}

impl Lane {
    /// A lane at rest.
    pub fn new(
        shared: Arc<Shared>,
        name: String,
        is_default: bool,
        destination: Arc<dyn Destination>,
        channel: Arc<Channel>,
    ) -> Self {
        let limits = destination.limits();
        let stop = shared.stop.child_token();
        let creates = stop.child_token();
        let slots = Arc::new(Semaphore::new(limits.concurrency.max(1)));
        let progress_ms = AtomicI64::new(shared.clock.now().ms());
        Self {
            shared,
            name,
            is_default,
            destination,
            channel,
            limits,
            slots,
            stop,
            creates,
            doubts: doubts::counter(),
            in_hand: Mutex::default(),
            progress_ms,
            queue: PlaceQueue::default(),
            fit: OnceCell::new(),
            freed: Notify::new(),
        }
    }

    /// Stops this lane for the rest of the run.
    pub fn halt(&self, halt: Halt) {
        self.shared.account.halt(halt);
        self.stop.cancel();
    }

    /// Whether leads may be sent: checks the account the first time it is asked. A queue that holds nothing but duplicates
    /// and unusable rows calls nobody.
    pub async fn is_fit(&self) -> bool {
        let check = async {
            match self.shared.cut.run_until_cancelled(preflight::destination(self)).await {
                Some(Ok(fit)) => fit,
                Some(Err(error)) => {
                    self.store_failed(&error);
                    false
                }
                None => {
                    self.halt(preflight::stopped(self));
                    false
                }
            }
        };
        *self.fit.get_or_init(|| check).await
    }

    /// Whether it has been asked.
    pub fn was_checked(&self) -> bool {
        self.fit.initialized()
    }

    /// A lead reached its end.
    pub fn progressed(&self) {
        self.progress_ms.store(self.shared.clock.now().ms(), Ordering::Relaxed);
    }

    /// A pause of the account that ends later than this ends the lane.
    pub fn patience_ends(&self) -> Timestamp {
        pauses::patience(Timestamp::from_ms(self.progress_ms.load(Ordering::Relaxed)), self.shared.wait)
    }

    /// One lead less in hand.
    pub fn put_down(&self, lead: LeadId) {
        self.hand().remove(&lead);
        self.freed.notify_one();
    }

    /// Whether it is leased and not yet put down.
    pub fn holds(&self, lead: LeadId) -> bool {
        self.hand().contains(&lead)
    }

    fn in_hand(&self) -> usize {
        self.hand().len()
    }

    fn hand(&self) -> MutexGuard<'_, HashSet<LeadId>> {
        // Inserts and removals are single steps: after a panic elsewhere the set is still whole.
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request more, for the display.
    pub fn sent_one(&self) {
        if let Some(lane) = self.shared.account.progress.lanes.iter().find(|lane| lane.name == self.name) {
            lane.requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn says_it_waits(&self, what: Option<String>) {
        if let Some(lane) = self.shared.account.progress.lanes.iter().find(|lane| lane.name == self.name) {
            *lane.waiting_for.lock().unwrap_or_else(PoisonError::into_inner) = what;
        }
    }

    /// Works this destination's queue until nothing more comes due within `run.wait`, or it is stopped.
    pub async fn work(self: Arc<Self>) {
        let batch = self.shared.lookup.as_ref().map_or(0, |lookup| lookup.batch_size());
        let batch = batch.max(self.limits.concurrency).max(32);
        let most = DEPTH * self.limits.concurrency.max(1) + 2 * batch;
        let mut tasks = JoinSet::new();
        let mut watch = JoinSet::new();
        watch.spawn(Arc::clone(&self).keep_pauses_of_others());
        if let Err(error) = self.feed(most, batch, &mut tasks).await {
            self.store_failed(&error);
        }
        self.says_it_waits(None);
        while let Some(ended) = tasks.join_next().await {
            self.reap(ended);
        }
        if let Err(error) = self.settle_doubts(&mut tasks).await {
            self.store_failed(&error);
        }
        while let Some(ended) = tasks.join_next().await {
            self.reap(ended);
        }
        // Others may be waiting for what is left of the limit.
        self.channel.limiter().leave().await;
    }

    /// Panics are caught where the lead is known ([`Lane::panicked`]). What gets here took leads with it that would be
    /// waited for in vain; their leases lapse.
    fn reap(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended {
            self.shared.account.bug(format!("work for `{}` ended unexpectedly: {error}", self.name));
            self.shared.stop.cancel();
        }
    }

    async fn feed(self: &Arc<Self>, most: usize, batch: usize, tasks: &mut JoinSet<()>) -> StoreResult<()> {
        let mut patience = Patience::new(self.shared.wait);
        self.keep_stored_pause().await?;
        while !self.creates.is_cancelled() {
            while let Some(ended) = tasks.try_join_next() {
                self.reap(ended);
            }
            let room = most.saturating_sub(self.in_hand());
            // Small bites, but not crumbs: each lease is a transaction, each look-up a call.
            if room < batch {
                self.room_or_stop(tasks).await;
                continue;
            }
            let due = if self.shared.can_prepare() { Due::All } else { Due::Prepared };
            let got = self.lease(room, due).await?;
            let ends = patience.ends(
                self.shared.account.progress.done(),
                got.iter().any(|it| it.first_in_run),
                &*self.shared.clock,
            );
            if !got.is_empty() {
                self.says_it_waits(None);
                self.dispatch(got, batch, tasks);
            } else if self.in_hand() > 0 {
                self.pause(GLANCE, tasks).await;
            } else if self.shared.limit_used_up().await || !self.shared.can_prepare() {
                // What is due is not for this run.
                break;
            } else {
                let now = self.shared.clock.now();
                match self.next(|it| if it.due > 0 { Some(now) } else { it.next_due }).await? {
                    Some(due) if due <= ends => {
                        self.says_it_waits(Some(format!("next lead due {due}")));
                        self.pause(self.shared.clock.now().until(due).max(GLANCE / 4), tasks).await;
                    }
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// Once the day's creates are used up: looks into what is in doubt, which costs none, so that nobody has to wait for
    /// tomorrow to know what became of it.
    async fn settle_doubts(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> StoreResult<()> {
        let ends = self.shared.clock.now().plus(self.shared.wait);
        while self.creates.is_cancelled() && !self.stop.is_cancelled() {
            let room = (DEPTH * self.limits.concurrency.max(1)).saturating_sub(self.in_hand());
            let got = self.lease(room, Due::Doubtful).await?;
            if !got.is_empty() {
                self.dispatch(got, 1, tasks);
            } else if self.in_hand() > 0 {
                self.pause(GLANCE, tasks).await;
            } else if self.shared.limit_used_up().await || self.shared.clock.now() > ends {
                break;
            } else {
                match self.next(|it| it.next_doubtful).await? {
                    Some(due) if due <= ends => {
                        self.pause(self.shared.clock.now().until(due).max(GLANCE / 4), tasks).await;
                    }
                    _ => break,
                }
            }
        }
        Ok(())
    }

    async fn room_or_stop(&self, tasks: &mut JoinSet<()>) {
        tokio::select! {
            () = self.freed.notified() => {}
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => self.reap(ended),
            () = self.creates.cancelled() => {}
        }
    }

    /// Waits for a task to end, the time to pass, or the stop.
    async fn pause(&self, at_most: Duration, tasks: &mut JoinSet<()>) {
        tokio::select! {
            () = tokio::time::sleep(at_most) => {}
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => self.reap(ended),
            () = self.stop.cancelled() => {}
        }
    }

    async fn lease(&self, room: usize, due: Due) -> StoreResult<Vec<Leased>> {
        let mut left = match &self.shared.limit {
            Some(left) => Some(left.lock().await),
            None => None,
        };
        let granted = left.as_ref().map_or(room, |left| room.min(**left));
        if granted == 0 {
            return Ok(Vec::new());
        }
        let ask = LeaseRequest {
            run: self.shared.run,
            destination: self.name.clone(),
            is_default: self.is_default,
            imported_by: self.shared.imported_by,
            due,
            max: u32::try_from(granted).unwrap_or(u32::MAX),
            term: self.shared.leases.term(),
        };
        let asked = Moment::now();
        // A lease whose answer was lost lapses by itself.
        let leased = self.shared.patiently(|| self.shared.store.lease(&ask, self.shared.clock.now())).await?;
        if let Some(left) = &mut left {
            // Leads of this run that come due again count once.
            **left = left.saturating_sub(leased.iter().filter(|lead| lead.first_in_run).count());
        }
        for lead in &leased {
            self.shared.leases.add(lead, asked);
            self.shared.account.taken_up(lead.first_in_run);
        }
        self.hand().extend(leased.iter().map(|lead| lead.id));
        Ok(leased)
    }

    fn dispatch(self: &Arc<Self>, leased: Vec<Leased>, batch: usize, tasks: &mut JoinSet<()>) {
        let (raw, prepared): (Vec<_>, Vec<_>) = leased.into_iter().partition(|lead| lead.state == LeadState::Received);
        for lead in prepared {
            tasks.spawn(deliver(Arc::clone(self), lead));
        }
        let mut raw = raw.into_iter().peekable();
        while raw.peek().is_some() {
            let chunk: Vec<_> = raw.by_ref().take(batch).collect();
            let lane = Arc::clone(self);
            let place = self.queue.next();
            tasks.spawn(async move {
                let held = chunk.clone();
                let Ok(ready) = AssertUnwindSafe(prepare(&lane, chunk, place)).catch_unwind().await else {
                    for lead in &held {
                        lane.panicked(lead).await;
                    }
                    return;
                };
                let deliveries = ready.into_iter().map(|lead| deliver(Arc::clone(&lane), lead));
                deliveries.collect::<JoinSet<()>>().join_all().await;
            });
        }
    }

    /// The earliest of what is told of this lane's leads.
    async fn next(&self, of: impl Fn(&Waiting) -> Option<Timestamp>) -> StoreResult<Option<Timestamp>> {
        let ask = || self.shared.store.waiting(self.shared.imported_by, self.shared.clock.now());
        let waiting = self.shared.patiently(ask).await?;
        let ours = waiting.iter().filter(|it| match &it.destination {
            Some(name) => *name == self.name,
            None => self.is_default,
        });
        Ok(ours.filter_map(of).min())
    }
}

/// How long a lane waits for what comes due: `run.wait` from the last progress. Leads that are put off again and again
/// are no progress, so a destination that answers 429 for ever does not keep a run alive.
struct Patience {
    wait: Duration,
    done: i64,
    ends: Option<Timestamp>,
}

impl Patience {
    fn new(wait: Duration) -> Self {
        Self { wait, done: 0, ends: None }
    }

    fn ends(&mut self, done: i64, new_leads: bool, clock: &dyn Clock) -> Timestamp {
        match self.ends {
            Some(ends) if done == self.done && !new_leads => ends,
            _ => {
                self.done = done;
                *self.ends.insert(clock.now().plus(self.wait))
            }
        }
    }
}
