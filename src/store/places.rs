//! How the rate limit of an account is shared by all workers: pure, so that every rule can be read and tested in one place.
//!
//! A limit of 50 calls a second is 50 *places*. A call takes a place, which is free again a window later; whoever holds no
//! free place waits. The database keeps when each place is free. Workers take those that are about to be free, a batch
//! at a time, use them without asking, and give them back with the moment from which they are free again. So no window
//! ever holds more calls than there are places, whoever makes them, and the database is asked a few times a second,
//! not once a call.
//!
//! A worker that died gives nothing back: its turn lapses, and its places count as used at the last moment at which it
//! could have used them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Pause;
use crate::clock::Timestamp;

/// What a worker gives back and asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacesAsk {
    /// Whose limit: the account's key.
    pub account: String,
    /// How many places the limit has.
    pub count: u32,
    /// How long after a call its place is free again.
    pub again: Duration,
    /// Who asks: random for each process.
    pub holder: i64,
    /// Counts up; asking once more with the same number, after a connection broke, changes nothing and answers the same.
    pub turn: i64,
    /// The places given back: when each is free.
    pub back: Vec<Timestamp>,
    /// Of those that stay in hand: free within `horizon`.
    pub near: u32,
    /// How many more it could use within `horizon`; 0: none, and nothing will be missed.
    pub wanted: u32,
    /// Places that are free later than this are not handed out yet.
    pub horizon: Duration,
    /// For how long what is in hand may be used, unless it is asked for again.
    pub term: Duration,
}

/// What a worker gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacesShare {
    /// More places: when each is free.
    pub places: Vec<Timestamp>,
    /// So many of the near ones in hand are another worker's by right, and are to be given back next time.
    pub spare: u32,
    /// The worker had been silent for too long: nothing that was in its hands before is its own any more.
    pub lapsed: bool,
    /// What time it was, by the clock that all these moments are of.
    pub now: Timestamp,
    /// When the first of the places that nobody holds is free.
    pub next: Option<Timestamp>,
    /// Until when nobody calls the account, and why, if it is paused.
    pub pause: Option<Pause>,
}

/// A worker that has not asked for so long is not waited for when places are few.
const SILENT: Duration = Duration::from_secs(2);

/// Clocks that are right may differ by this much, the wait for a lock included.
const CLOCKS_DIFFER: Duration = Duration::from_secs(30);

/// An account's places, as the database keeps them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Book {
    /// [`PlacesAsk::again`] of those who share it, in milliseconds.
    again_ms: i64,
    /// When each place that nobody holds is free, ascending.
    #[serde(with = "steps")]
    free: Vec<Timestamp>,
    workers: Vec<Worker>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Worker {
    holder: i64,
    turn: i64,
    /// Places in its hands, `granted` included.
    held: u32,
    #[serde(with = "steps")]
    granted: Vec<Timestamp>,
    /// What it was told with them: [`PlacesShare::lapsed`].
    lapsed: bool,
    near: u32,
    wanted: u32,
    until: Timestamp,
    seen: Timestamp,
    /// When it last got a place: who has waited longest comes first.
    fed: Timestamp,
}

impl Worker {
    fn competes(&self, now: Timestamp) -> bool {
        (self.wanted > 0 || self.near() > 0) && self.seen.plus(SILENT) > now
    }

    fn near(&self) -> u32 {
        self.near.saturating_add(len(&self.granted))
    }
}

fn len<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

impl Book {
    /// A limit that nobody has shared yet, or whose page can't be read: all of it may have been used up to this moment by
    /// somebody we don't know, so its places become free one after the other.
    fn opened(ask: &PlacesAsk, now: Timestamp) -> Self {
        let place = |n: u32| now.plus(ask.again.mul_f64(f64::from(n) / f64::from(ask.count.max(1))));
        Self { again_ms: ms(ask.again), free: (0..ask.count).map(place).collect(), workers: Vec::new() }
    }

    /// The book in this text.
    pub(crate) fn read(text: Option<&str>, ask: &PlacesAsk, now: Timestamp) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| Self::opened(ask, now))
    }

    /// One worker's turn.
    pub(crate) fn turn(&mut self, ask: &PlacesAsk, now: Timestamp) -> PlacesShare {
        self.mistrust(ask, now);
        self.reclaim(now);
        let place = self.workers.iter().position(|worker| worker.holder == ask.holder);
        if let Some(worker) = place.map(|at| &mut self.workers[at]).filter(|worker| worker.turn == ask.turn) {
            (worker.until, worker.seen) = (now.plus(ask.term), now);
            let (places, lapsed) = (worker.granted.clone(), worker.lapsed);
            return PlacesShare { places, spare: 0, lapsed, now, next: self.free.first().copied(), pause: None };
        }
        let before = place.map(|at| self.workers.swap_remove(at));
        let kept = match &before {
            Some(worker) => {
                self.free.extend(ask.back.iter().take(worker.held as usize));
                worker.held.saturating_sub(len(&ask.back))
            }
            None => 0,
        };
        self.fit(ask, kept, now);
        self.free.sort_unstable();

        let near = if before.is_some() { ask.near.min(kept) } else { 0 };
        let rivals: Vec<&Worker> = self.workers.iter().filter(|worker| worker.competes(now)).collect();
        let horizon = now.plus(ask.horizon);
        let mut there = len(&self.free[..self.free.partition_point(|free| *free <= horizon)]);
        let all = rivals.iter().map(|rival| rival.near()).fold(there.saturating_add(near), u32::saturating_add);
        let fed = before.as_ref().map_or_else(Timestamp::default, |worker| worker.fed);
        let fair = if ask.wanted == 0 { 0 } else { all.div_ceil(len(&rivals) + 1) };
        if all <= len(&rivals) {
            // Fewer than workers: those who have waited longer come first.
            let first = |rival: &&&Worker| rival.wanted > 0 && rival.near() == 0 && rival.fed < fed;
            there = there.saturating_sub(len(&rivals.iter().filter(first).collect::<Vec<_>>()));
        }
        let granted = fair.saturating_sub(near).min(ask.wanted).min(there);
        let wished_for = rivals.iter().any(|rival| rival.wanted > 0);
        let spare = if wished_for { near.saturating_sub(fair) } else { 0 };
        let rivals = rivals.len();
        let granted = self.hand_out(granted as usize, there as usize, rivals, now.plus(ask.horizon / 2));
        if kept > 0 || !granted.is_empty() || ask.wanted > 0 {
            self.workers.push(Worker {
                holder: ask.holder,
                turn: ask.turn,
                held: kept.saturating_add(len(&granted)),
                near,
                wanted: ask.wanted.saturating_sub(len(&granted)),
                until: now.plus(ask.term),
                seen: now,
                fed: if granted.is_empty() { fed } else { now },
                granted: granted.clone(),
                lapsed: before.is_none(),
            });
        }
        let next = self.free.first().copied();
        PlacesShare { places: granted, spare, lapsed: before.is_none(), now, next, pause: None }
    }

    /// Hands out `wanted` of the first `there` places: those that are free by `soon` as they come, and of the others every
    /// so many-th, since a run of them would be free all at once for one worker and then none for a while.
    fn hand_out(&mut self, wanted: usize, there: usize, rivals: usize, soon: Timestamp) -> Vec<Timestamp> {
        let urgent = self.free[..there].partition_point(|free| *free <= soon);
        let first = wanted.min(urgent);
        let others = (wanted - first).min((there - urgent).div_ceil(rivals + 1));
        let mut granted: Vec<Timestamp> = self.free[..first].to_vec();
        let chosen: Vec<usize> = (0..others).map(|n| urgent + n * (there - urgent) / others).collect();
        granted.extend(chosen.iter().map(|at| self.free[*at]));
        for at in chosen.into_iter().rev() {
            self.free.remove(at);
        }
        self.free.drain(..first);
        granted
    }

    /// Moments that no right clock can have written: a clock was ahead, and was put right. They count as written now.
    fn mistrust(&mut self, ask: &PlacesAsk, now: Timestamp) {
        let again = Duration::from_millis(u64::try_from(self.again_ms).unwrap_or(0)).max(ask.again);
        let within = |at: &mut Timestamp, term: Duration, latest: Duration| {
            if *at > now.plus(latest).plus(CLOCKS_DIFFER) {
                *at = now.plus(term);
            }
        };
        self.free.iter_mut().for_each(|free| within(free, again, again * 2));
        for worker in &mut self.workers {
            within(&mut worker.until, ask.term, ask.term);
            within(&mut worker.seen, Duration::ZERO, Duration::ZERO);
            within(&mut worker.fed, Duration::ZERO, Duration::ZERO);
        }
    }

    /// Takes back what is in the hands of workers whose turn has lapsed.
    fn reclaim(&mut self, now: Timestamp) {
        let again = Duration::from_millis(u64::try_from(self.again_ms).unwrap_or(0));
        let free = &mut self.free;
        self.workers.retain(|worker| {
            let alive = worker.until > now;
            if !alive {
                free.extend(std::iter::repeat_n(worker.until.plus(again), worker.held as usize));
            }
            alive
        });
        free.sort_unstable();
    }

    /// Follows a change of the limit in the configuration. `kept`: in the asker's hands.
    fn fit(&mut self, ask: &PlacesAsk, kept: u32, now: Timestamp) {
        // Where workers are configured differently, the longer window counts: each keeps the other's.
        let again_ms = if self.workers.is_empty() { ms(ask.again) } else { ms(ask.again).max(self.again_ms) };
        let longer = again_ms.saturating_sub(self.again_ms);
        if longer > 0 {
            // What was free by the shorter window is so by the longer one a little later.
            for free in &mut self.free {
                *free = free.plus(Duration::from_millis(u64::try_from(longer).unwrap_or(0)));
            }
        }
        self.again_ms = again_ms;
        let held = self.workers.iter().map(|worker| worker.held).fold(kept, u32::saturating_add);
        let all = held.saturating_add(len(&self.free));
        match all.cmp(&ask.count) {
            std::cmp::Ordering::Less => {
                // Not at once: two workers that are configured differently would make new ones in turn.
                let at = now.plus(ask.again);
                self.free.extend(std::iter::repeat_n(at, (ask.count - all) as usize));
            }
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => {
                // Those that are free first go: what stays was used last. What others hold goes when it comes back.
                self.free.sort_unstable();
                self.free.drain(..((all - ask.count) as usize).min(self.free.len()));
            }
        }
    }
}

/// Moments as the first and the steps from one to the next: a third of the text.
mod steps {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::clock::Timestamp;

    pub(super) fn serialize<S: Serializer>(moments: &[Timestamp], to: S) -> Result<S::Ok, S::Error> {
        let mut last = 0;
        to.collect_seq(moments.iter().map(|at| at.ms().wrapping_sub(std::mem::replace(&mut last, at.ms()))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Timestamp>, D::Error> {
        let mut last = 0_i64;
        let add = |step: i64| {
            last = last.wrapping_add(step);
            Timestamp::from_ms(last)
        };
        Ok(Vec::<i64>::deserialize(from)?.into_iter().map(add).collect())
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
