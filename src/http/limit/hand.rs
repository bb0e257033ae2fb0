//! The places of a limit that are in this process's hands. See [`super`] for what a place is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use tokio::time::Instant;

use super::usual::Usual;
use crate::clock::Moment;

/// Places, each used by a departure or idle.
#[derive(Debug)]
pub(super) struct Hand {
    /// Never used in this process, free at any time.
    fresh: u32,
    /// Free from these moments on.
    idle: BinaryHeap<Reverse<Instant>>,
    /// Used, in the order in which they were; each is free again when its window is over.
    departures: BTreeMap<u64, Departure>,
    next: u64,
    /// `None`: they are ours for good. Else nothing in hand may be used any more after this.
    granted: Option<Granted>,
    usual: Usual,
    terms: Terms,
}

/// Until when what is in hand is ours. The sleep of the machine counts: the others' clocks went on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    /// Since before it was asked for.
    pub(super) asked: Moment,
    /// For so long.
    pub(super) term: Duration,
}

impl Granted {
    fn is_over(&self) -> bool {
        self.asked.elapsed() >= self.term
    }
}

/// How long a place stays used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The window, and the margin.
    pub(super) window: Duration,
    /// At most this much later than usual.
    pub(super) late_max: Duration,
    /// At most this much later if it was held up.
    pub(super) held_up_max: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Departure {
    at: Instant,
    /// How much later than usual it may have reached the server; the most that counts, until its reply tells.
    late: Duration,
    /// Nothing more will be learned: the reply came, or never will.
    settled: bool,
}

impl Hand {
    /// All the places of a limit, for good.
    pub(super) fn whole(count: u32, terms: Terms) -> Self {
        Self { fresh: count, granted: None, ..Self::empty(terms) }
    }

    /// None yet, and none good until they are asked for.
    pub(super) fn shared(terms: Terms) -> Self {
        let granted = Granted { asked: Moment::now(), term: Duration::ZERO };
        Self { granted: Some(granted), ..Self::empty(terms) }
    }

    fn empty(terms: Terms) -> Self {
        Self {
            fresh: 0,
            idle: BinaryHeap::new(),
            departures: BTreeMap::new(),
            next: 0,
            granted: None,
            usual: Usual::default(),
            terms,
        }
    }

    fn free_again(&self, departure: &Departure) -> Instant {
        departure.at + self.terms.window + departure.late
    }

    /// When the next place is free; `None`: nobody can tell, there is none in hand.
    pub(super) fn room_at(&self, now: Instant) -> Option<Instant> {
        if self.granted.is_some_and(|granted| granted.is_over()) {
            return None;
        }
        if self.fresh > 0 {
            return Some(now);
        }
        let idle = self.idle.peek().map(|Reverse(at)| *at);
        let used = self.departures.first_key_value().map(|(_, oldest)| self.free_again(oldest));
        [idle, used].into_iter().flatten().min()
    }

    /// Takes the place that is free first; returns the departure's number. What counts is when a request really leaves,
    /// not when it was allowed to: timers are late, never early.
    pub(super) fn depart(&mut self, now: Instant) -> u64 {
        let oldest = self.departures.first_key_value().map(|(number, oldest)| (*number, self.free_again(oldest)));
        if self.fresh > 0 {
            self.fresh -= 1;
        } else if self.idle.peek().is_some_and(|Reverse(at)| oldest.is_none_or(|(_, used)| *at <= used)) {
            self.idle.pop();
        } else if let Some((number, _)) = oldest {
            self.departures.remove(&number);
        }
        let number = self.next;
        self.next += 1;
        self.departures.insert(number, Departure { at: now, late: self.terms.late_max, settled: false });
        number
    }

    /// The reply to a departure has come.
    pub(super) fn replied(&mut self, number: u64, now: Instant) {
        let Some(departure) = self.departures.get_mut(&number) else { return };
        let (late, held_up) = self.usual.late(now.saturating_duration_since(departure.at));
        let held_up = held_up.unwrap_or_default().min(self.terms.held_up_max);
        departure.late = late.min(self.terms.late_max).max(held_up);
    }

    /// Nothing more will be learned of a departure.
    pub(super) fn settled(&mut self, number: u64) {
        if let Some(departure) = self.departures.get_mut(&number) {
            departure.settled = true;
        }
    }

    /// How many places are free by then, or will be as soon as they may be used at all.
    pub(super) fn free_by(&self, by: Instant) -> usize {
        if self.granted.is_some_and(|granted| granted.is_over()) {
            return 0;
        }
        let idle = self.idle.iter().filter(|Reverse(at)| *at <= by).count();
        let used = self.departures.values().filter(|it| self.free_again(it) <= by).count();
        self.fresh as usize + idle + used
    }

    /// When the place is free that is `n`th in turn, counted from 0; `None`: there are not so many that may be used.
    pub(super) fn nth_free(&self, n: usize, now: Instant) -> Option<Instant> {
        if self.granted.is_some_and(|granted| granted.is_over()) {
            return None;
        }
        let Some(n) = n.checked_sub(self.fresh as usize) else { return Some(now) };
        let idle = self.idle.iter().map(|Reverse(at)| *at);
        let mut free: Vec<Instant> = idle.chain(self.departures.values().map(|it| self.free_again(it))).collect();
        if n >= free.len() {
            return None;
        }
        Some(*free.select_nth_unstable(n).1)
    }

    /// Gives places back, in whole batches of `batch`: those that are not free before `near`, and of the others so many
    /// that `keep` remain. Requests under way keep theirs.
    pub(super) fn give_back(&mut self, near: Instant, keep: usize, batch: usize) -> Vec<Instant> {
        let over: Vec<u64> = self.departures.iter().filter(|(_, it)| it.settled).map(|(number, _)| *number).collect();
        for number in over {
            if let Some(departure) = self.departures.remove(&number) {
                self.idle.push(Reverse(self.free_again(&departure)));
            }
        }
        let mut free: Vec<Instant> = std::mem::take(&mut self.idle).into_iter().map(|Reverse(at)| at).collect();
        free.sort_unstable();
        let kept = free.partition_point(|at| *at <= near).min(keep);
        let back = (free.len() - kept) / batch * batch;
        let back = free.split_off(free.len() - back);
        self.idle = free.into_iter().map(Reverse).collect();
        back
    }

    /// Takes places in: they, and what is in hand, are good for so long.
    pub(super) fn take(&mut self, places: impl IntoIterator<Item = Instant>, granted: Granted) {
        self.idle.extend(places.into_iter().map(Reverse));
        self.granted = Some(granted);
    }

    /// What is in hand has become somebody else's.
    pub(super) fn lose_all(&mut self) {
        self.idle.clear();
        self.departures.clear();
    }

    /// Whether there is anything to give back, now or later.
    pub(super) fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.departures.is_empty()
    }
}
