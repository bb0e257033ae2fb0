//! One destination's way through a run: lease a bite, prepare it, deliver it, wait for what comes due, end.
//!
//! Lanes share nothing but the database, the writer and the look-up service, so a slow or sick destination holds nobody
//! else up. A lane never holds more than a small multiple of its concurrency, however long the queue is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::deliver::deliver;
use super::preflight;
use super::prepare::{PlaceQueue, prepare};
use super::progress::Halt;
use super::shared::Shared;
use crate::clock::{Clock, Timestamp};
use crate::connectors::channel::Channel;
use crate::connectors::{Destination, Limits};
use crate::lead::LeadState;
use crate::store::{LeaseRequest, Leased, Result as StoreResult};

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
    /// Leads leased and not yet put down.
    in_hand: AtomicI64,
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
        let slots = Arc::new(Semaphore::new(limits.concurrency.max(1)));
        Self {
            shared,
            name,
            is_default,
            destination,
            channel,
            limits,
            slots,
            stop,
            in_hand: AtomicI64::new(0),
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
            preflight::destination(self).await.unwrap_or_else(|error| {
                self.store_failed(&error);
                false
            })
        };
        *self.fit.get_or_init(|| check).await
    }

    /// One lead less in hand.
    pub fn put_down(&self) {
        self.in_hand.fetch_sub(1, Ordering::Relaxed);
        self.freed.notify_one();
    }

    fn in_hand(&self) -> usize {
        usize::try_from(self.in_hand.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// One request more, for the display.
    pub fn sent_one(&self) {
        if let Some(lane) = self.shared.account.progress.lanes.iter().find(|lane| lane.name == self.name) {
            lane.requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn says_it_waits(&self, what: Option<String>) {
        if let Some(lane) = self.shared.account.progress.lanes.iter().find(|lane| lane.name == self.name) {
            *lane.waiting_for.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = what;
        }
    }

    /// Works this destination's queue until nothing more comes due within `run.wait`, or it is stopped.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn work(self: Arc<Self>) -> StoreResult<()> {
        let batch = self.shared.lookup.as_ref().map_or(0, |lookup| lookup.batch_size());
        let batch = batch.max(self.limits.concurrency).max(32);
        let most = DEPTH * self.limits.concurrency.max(1) + 2 * batch;
        let mut tasks = JoinSet::new();
        let result = self.feed(most, batch, &mut tasks).await;
        self.says_it_waits(None);
        while tasks.join_next().await.is_some() {}
        result
    }

    async fn feed(self: &Arc<Self>, most: usize, batch: usize, tasks: &mut JoinSet<()>) -> StoreResult<()> {
        let mut patience = Patience::new(self.shared.wait);
        while !self.stop.is_cancelled() {
            while tasks.try_join_next().is_some() {}
            let room = most.saturating_sub(self.in_hand());
            // Small bites, but not crumbs: each lease is a transaction, each look-up a call.
            if room < batch {
                self.room_or_stop().await;
                continue;
            }
            let got = self.lease(room).await?;
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
            } else if self.shared.limit_used_up() || !self.shared.can_prepare() {
                // What is due is not for this run.
                break;
            } else {
                match self.next_due().await? {
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

    async fn room_or_stop(&self) {
        tokio::select! {
            () = self.freed.notified() => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Waits for a task to end, the time to pass, or the stop.
    async fn pause(&self, at_most: Duration, tasks: &mut JoinSet<()>) {
        tokio::select! {
            () = tokio::time::sleep(at_most) => {}
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn lease(&self, room: usize) -> StoreResult<Vec<Leased>> {
        let granted = self.shared.take_from_limit(room);
        if granted == 0 {
            return Ok(Vec::new());
        }
        let ask = LeaseRequest {
            run: self.shared.run,
            destination: self.name.clone(),
            is_default: self.is_default,
            imported_by: self.shared.imported_by,
            unprepared_too: self.shared.can_prepare(),
            max: u32::try_from(granted).unwrap_or(u32::MAX),
            term: self.shared.leases.term(),
        };
        let leased = self.shared.store.lease(&ask, self.shared.clock.now()).await?;
        let new = leased.iter().filter(|lead| lead.first_in_run).count();
        self.shared.give_back_to_limit(granted.saturating_sub(new));
        for lead in &leased {
            self.shared.leases.add(lead);
            self.shared.account.taken_up(lead.id, lead.first_in_run);
        }
        self.in_hand.fetch_add(i64::try_from(leased.len()).unwrap_or(0), Ordering::Relaxed);
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
                let ready = prepare(&lane, chunk, place).await;
                let mut deliveries = JoinSet::new();
                for lead in ready {
                    deliveries.spawn(deliver(Arc::clone(&lane), lead));
                }
                while deliveries.join_next().await.is_some() {}
            });
        }
    }

    async fn next_due(&self) -> StoreResult<Option<Timestamp>> {
        let waiting = self.shared.store.waiting(self.shared.imported_by, self.shared.clock.now()).await?;
        let ours = waiting.into_iter().filter(|it| match &it.destination {
            Some(name) => *name == self.name,
            None => self.is_default,
        });
        let mut next: Option<Timestamp> = None;
        for it in ours {
            let due = if it.due > 0 { Some(self.shared.clock.now()) } else { it.next_due };
            next = match (next, due) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        Ok(next)
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
