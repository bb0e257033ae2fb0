//! One limit for many processes: places are taken and given back, a batch at a time, through a [`Pool`] that all share.
//!
//! What is in hand is used without asking; a few times a second a worker gives back what it will not need soon and takes
//! what is about to be free. All of it is good for [`TERM`] only, counted from before it was asked for: a worker that is cut
//! off from the pool stops by itself before its places are anybody else's.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::Instant;

use super::hand::Granted;
use super::{Limits, Shared};
use crate::clock::{Moment, Timestamp};

/// How often places are exchanged while there is work.
pub(super) const INTERVAL: Duration = Duration::from_millis(200);
/// The same for a worker that waits and has none, if one may be had; if not, it waits until then.
const HUNGRY: Duration = Duration::from_millis(80);
const STARVING: Duration = Duration::from_secs(1);
/// How far ahead places are taken: some intervals, so that one that is late costs nothing.
const HORIZON: Duration = Duration::from_millis(800);
/// How long places in hand are good unless they are asked for again, and so how long a dead worker's are missed.
const TERM: Duration = Duration::from_secs(5);
/// A place is promised so long before it is free: between permit and departure lie a database commit and a token.
pub(super) const AHEAD: Duration = Duration::from_millis(100);
/// How long a pool that is away is waited for in silence.
const PATIENCE: Duration = Duration::from_secs(60);
/// A limit of more calls than this is shared in batches, so that what is kept of it stays small.
const PLACES: u32 = 1024;

/// Where the places of an account's limit are shared out.
#[async_trait]
pub trait Pool: Send + Sync {
    /// Gives back and takes. An offer that is repeated, same number and all, is carried out once and answered the same.
    ///
    /// # Errors
    /// Whether it was carried out is then unknown.
    async fn exchange(&self, offer: &Offer) -> Result<Share, PoolError>;
}

/// The pool can't be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolError {
    /// In words.
    pub why: String,
    /// Whether asking again may help.
    pub unavailable: bool,
}

/// What a process learns of a shared limit without having asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Others were told to pause until then, and why.
    Paused(Timestamp, String),
    /// The pool can't be asked, for good or for [`PATIENCE`]: there will be no permits.
    Lost(PoolError),
}

/// What a worker gives back and asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// How many places the limit has.
    pub count: u32,
    /// How long after a call its place is free again, at the latest.
    pub again: Duration,
    /// Counts up.
    pub turn: i64,
    /// Places given back: when each is free, by the pool's clock.
    pub back: Vec<Timestamp>,
    /// Of those that stay in hand: free within `horizon`.
    pub near: u32,
    /// How many more could be used within `horizon`.
    pub wanted: u32,
    /// How far ahead places are taken.
    pub horizon: Duration,
    /// How long what is in hand is good.
    pub term: Duration,
}

/// What a worker gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// When each is free, by the pool's clock.
    pub places: Vec<Timestamp>,
    /// So many of the near ones in hand are to be given back next time.
    pub spare: u32,
    /// What was in hand before is no longer ours.
    pub lapsed: bool,
    /// The pool's clock at some moment between question and answer.
    pub now: Timestamp,
    /// When the first of the places that nobody holds is free.
    pub next: Option<Timestamp>,
    /// Until when nobody calls the account, and why.
    pub pause: Option<(Timestamp, String)>,
}

/// A limit's part in a fleet.
pub(super) struct Fleet {
    pool: Arc<dyn Pool>,
    /// Calls in one place of the pool.
    batch: u32,
    /// Places in the pool.
    count: u32,
    began: Instant,
    /// Told when somebody waits for a place and there is none.
    pub(super) demand: Arc<Notify>,
    pub(super) news: watch::Sender<Option<News>>,
    talk: Mutex<Talk>,
}

#[derive(Default)]
struct Talk {
    turn: i64,
    /// Asked, and not answered.
    pending: Option<Offer>,
    offset: Option<Offset>,
    spare: u32,
    /// How many had departed when it was last asked, and when that was.
    departed: u64,
    asked: Option<Instant>,
    /// Since when there has been no answer.
    away: Option<Instant>,
}

impl Fleet {
    pub(super) fn new(count: u32, pool: Arc<dyn Pool>) -> Self {
        let batch = count.div_ceil(PLACES).max(1);
        Self {
            pool,
            batch,
            count: (count / batch).max(1),
            began: Instant::now(),
            demand: Arc::default(),
            news: watch::Sender::new(None),
            talk: Mutex::default(),
        }
    }

    fn micros(&self, at: Instant) -> i64 {
        match at.checked_duration_since(self.began) {
            Some(after) => micros(after),
            None => -micros(self.began - at),
        }
    }

    /// The next offer, or `None` if there is nothing to say.
    fn offer(&self, talk: &mut Talk, limits: &Limits, leaving: bool, now: Instant) -> Option<Offer> {
        let since = talk.asked.map_or(INTERVAL, |asked| now - asked).max(Duration::from_millis(1));
        let (waiting, outstanding) = limits.demand();
        let mut hand = limits.hand();
        let used = limits.departed() - talk.departed;
        talk.departed = limits.departed();
        // As many as lately, and those who stand in line; where there is a line, lately was not enough.
        let lately = (used as f64 * HORIZON.as_secs_f64() / since.as_secs_f64()).ceil() as usize;
        let soon = if waiting > 0 { 2 * lately } else { lately };
        let wish = if leaving { 0 } else { waiting + outstanding + soon };
        let near = now + HORIZON;
        let spare = (talk.spare * self.batch) as usize;
        let keep = wish.min(hand.free_by(near).saturating_sub(spare));
        let back = match &talk.offset {
            Some(_) => hand.give_back(near, keep, self.batch as usize),
            None => Vec::new(),
        };
        if wish == 0 && back.is_empty() && hand.is_empty() {
            return None;
        }
        let in_hand = hand.free_by(near);
        drop(hand);
        let when_free = |batch: &[Instant]| {
            batch.iter().max().map(|last| talk.offset.as_ref().map(|it| it.far(self.micros(*last))))
        };
        let back = back.chunks(self.batch as usize).filter_map(when_free).flatten().collect();
        talk.turn += 1;
        Some(Offer {
            count: self.count,
            again: limits.again(),
            turn: talk.turn,
            back,
            near: u32::try_from(in_hand).unwrap_or(u32::MAX) / self.batch,
            wanted: u32::try_from(wish.saturating_sub(in_hand)).unwrap_or(u32::MAX).div_ceil(self.batch),
            horizon: HORIZON,
            term: TERM,
        })
    }

    fn accept(
        &self,
        talk: &mut Talk,
        limits: &Limits,
        share: &Share,
        granted: Granted,
        asked: Instant,
        answered: Instant,
    ) -> Option<Duration> {
        let sample = Offset::sample(share.now, self.micros(asked), self.micros(answered));
        let offset = match talk.offset.take() {
            Some(known) => known.and(sample, self.micros(answered)),
            None => sample,
        };
        let here = |free: &Timestamp| {
            let after = offset.near(*free) - self.micros(answered);
            answered + Duration::from_micros(u64::try_from(after).unwrap_or(0))
        };
        let places = share.places.iter().map(here).flat_map(|at| std::iter::repeat_n(at, self.batch as usize));
        let mut hand = limits.hand();
        if share.lapsed {
            hand.lose_all();
        }
        hand.take(places, granted);
        drop(hand);
        talk.offset = Some(offset);
        talk.spare = share.spare;
        share.next.map(|next| here(&next).saturating_duration_since(answered + HORIZON))
    }
}

/// When a worker comes again.
enum Then {
    /// When somebody wants a place.
    Idle,
    /// After this, or earlier if somebody has none.
    Again(Duration),
    /// After this: until then there is none for anybody.
    Starving(Duration),
}

impl Shared {
    /// Gives back and takes once.
    async fn exchange(&self, leaving: bool) -> Then {
        let Some(limits) = &self.limits else { return Then::Idle };
        let Some(fleet) = &limits.fleet else { return Then::Idle };
        let mut talk = fleet.talk.lock().await;
        let asked = Instant::now();
        let granted = Granted { asked: Moment::now(), term: TERM };
        let offer = match talk.pending.take() {
            Some(offer) => offer,
            None => match fleet.offer(&mut talk, limits, leaving, asked) {
                Some(offer) => offer,
                None => return Then::Idle,
            },
        };
        talk.asked = Some(asked);
        // Set first: this future may be dropped while it waits.
        talk.pending = Some(offer.clone());
        let answer = tokio::time::timeout(TERM, fleet.pool.exchange(&offer)).await;
        let silent = || PoolError { why: "the database does not answer".to_owned(), unavailable: true };
        let mut next_in = None;
        match answer.unwrap_or_else(|_| Err(silent())) {
            Ok(share) => {
                talk.pending = None;
                talk.away = None;
                next_in = fleet.accept(&mut talk, limits, &share, granted, asked, Instant::now());
                if let Some((until, why)) = share.pause
                    && self.pause_until(until, &why)
                {
                    fleet.news.send_replace(Some(News::Paused(until, why)));
                }
                limits.changed.notify_waiters();
            }
            Err(error) => {
                let since = *talk.away.get_or_insert(asked);
                tracing::debug!("the shared rate limit can't be reached: {}", error.why);
                if !error.unavailable || since.elapsed() > PATIENCE {
                    fleet.news.send_replace(Some(News::Lost(error)));
                }
            }
        }
        if limits.demand().0 > 0 && limits.hand().room_at(Instant::now()).is_none() {
            return Then::Starving(next_in.unwrap_or_default().clamp(HUNGRY, STARVING));
        }
        // Who always comes right after another would always find what that one has left.
        Then::Again(INTERVAL.mul_f64(rand::random_range(0.75..1.25)))
    }

    /// Gives everything back, as far as it is not under way.
    pub(super) async fn leave(&self) {
        // Once for what was asked and not answered, once to give back.
        for _ in 0..2 {
            if matches!(self.exchange(true).await, Then::Idle) {
                return;
            }
        }
    }
}

/// Exchanges places for as long as there is a limiter that wants them.
pub(super) async fn keep_share(limiter: Weak<Shared>, demand: Arc<Notify>) {
    loop {
        let Some(shared) = limiter.upgrade() else { return };
        let then = shared.exchange(false).await;
        // Who waits must not keep the limiter alive.
        drop(shared);
        match then {
            Then::Idle => demand.notified().await,
            Then::Starving(wait) => tokio::time::sleep(wait).await,
            Then::Again(interval) => {
                tokio::select! {
                    () = tokio::time::sleep(interval) => {}
                    // Somebody stands there with nothing; but never more often than this.
                    () = async { tokio::join!(demand.notified(), tokio::time::sleep(HUNGRY)); } => {}
                }
            }
        }
    }
}

/// What the pool's clock reads, from ours, in microseconds: within these bounds. Both counted from when the fleet began here.
#[derive(Clone, Copy, Debug)]
struct Offset {
    low: i64,
    high: i64,
    learned: i64,
}

/// Two clocks may drift apart by so much of the time that passes, in millionths.
const DRIFT_PPM: i64 = 200;

impl Offset {
    /// The pool's clock was read, in whole milliseconds, between these two moments of ours.
    fn sample(read: Timestamp, asked: i64, answered: i64) -> Self {
        let read = read.ms().saturating_mul(1_000);
        Self { low: read - answered, high: read + 1_000 - asked, learned: answered }
    }

    /// What both tell together; only what the newer tells, if they contradict each other: a clock was set.
    fn and(self, newer: Self, now: i64) -> Self {
        let drift = now.saturating_sub(self.learned).max(0).saturating_mul(DRIFT_PPM) / 1_000_000 + 1;
        let (low, high) = ((self.low - drift).max(newer.low), (self.high + drift).min(newer.high));
        if low <= high { Self { low, high, learned: now } } else { newer }
    }

    /// What the pool's clock reads then, at the most.
    fn far(&self, here: i64) -> Timestamp {
        Timestamp::from_ms((here + self.high).div_euclid(1_000) + 1)
    }

    /// When the pool's clock has certainly reached this.
    fn near(&self, there: Timestamp) -> i64 {
        there.ms().saturating_mul(1_000) - self.low
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
