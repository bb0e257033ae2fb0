//! How late a request may have reached the server, told from how long its reply took.

use std::time::Duration;

/// How long replies take, smoothed as TCP does for its time-outs (RFC 6298: a mean, and the mean deviation from it), but
/// over more of them: replies to many requests at once differ more than those to one after the other.
#[derive(Debug, Default)]
pub(super) struct Usual {
    /// Replies so far, as far as it matters.
    replies: u32,
    fastest: Duration,
    mean: Duration,
    deviation: Duration,
}

/// The mean goes over about this many replies.
const MEMORY: u32 = 64;
/// Before so many there is no telling what is usual.
const ENOUGH: u32 = 16;

impl Usual {
    /// How much later than usual a request may have arrived whose reply came after `took`: by the fastest ever (as long as
    /// there is no telling: any time), and, if it stands out from its neighbours, by their mean.
    pub(super) fn late(&mut self, took: Duration) -> (Duration, Option<Duration>) {
        if self.replies == 0 {
            *self = Self { replies: 1, fastest: took, mean: took, deviation: took / 2 };
            return (Duration::MAX, None);
        }
        self.fastest = self.fastest.min(took);
        let stands_out_from = self.mean + 4 * self.deviation + Duration::from_millis(5);
        let settled = self.replies >= ENOUGH;
        let held_up = (settled && took > stands_out_from).then(|| took - self.mean);
        // What stands out does not change what is usual by more than it must.
        let took_or_so = if settled { took.min(stands_out_from) } else { took };
        let n = (self.replies + 1).min(MEMORY);
        self.replies = n;
        self.deviation = ((n - 1) * self.deviation + took_or_so.abs_diff(self.mean)) / n;
        self.mean = ((n - 1) * self.mean + took_or_so) / n;
        let late = if settled { took - self.fastest } else { Duration::MAX };
        (late, held_up)
    }
}
