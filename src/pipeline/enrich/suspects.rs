//! A call that fails again and again: is it the service, or somebody in the call?
//!
//! Only answers tell. Somebody for whom the service had an answer before is asked for again (which costs nothing); where
//! there is nobody yet, two people of the call are asked for alone. If there is no answer for them either, the service is
//! down: nobody spends an attempt, and it is left alone. If there is one, the call is halved, and its halves, until
//! whoever makes it fail is alone. An attempt is spent only by a person who failed *before* somebody else was answered.

use std::collections::VecDeque;

use super::ask::{Batch, Failed, Known, Outcome, halves};
use super::{LookUps, LookedUp};
use crate::config::WhenUnavailable;
use crate::lead::LookUp;
use crate::pipeline::shared::Shared;
use crate::store::{Fingerprint, Result};

/// So many calls in a row may fail before somebody is asked for again to see whether the service still works.
const IN_A_ROW: u32 = 3;

/// The failures since the last answer.
#[derive(Default)]
pub(super) struct Suspects {
    /// Asked for alone, and failed.
    alone: Vec<(Fingerprint, String)>,
    in_a_row: u32,
    last: Option<(String, bool)>,
}

impl Suspects {
    /// The service works: whoever failed alone failed because of who they are.
    pub(super) fn others_are_answered(&mut self, of: &LookUps, known: &mut Known) {
        for (key, why) in self.alone.drain(..) {
            known.insert(key, of.failing(why));
        }
        self.in_a_row = 0;
        self.last = None;
    }

    /// What to do after a failure: the parts that are to be asked for are put at the front of `open`. False: no more
    /// calls.
    pub(super) async fn consider<'a>(
        &mut self,
        of: &LookUps,
        shared: &Shared,
        failed: Failed<'a>,
        open: &mut VecDeque<Batch<'a>>,
        known: &mut Known,
    ) -> Result<bool> {
        let Failed { batch, why, lost } = failed;
        tracing::debug!("a look-up of {} people failed: {why}", batch.people.len());
        self.in_a_row += 1;
        let expected = of.witness.get().is_some() && batch.once && self.in_a_row < IN_A_ROW;
        let mut rest = Batch { once: true, ..batch };
        if rest.people.len() == 1 {
            self.alone.extend(rest.people.drain(..).map(|(key, _)| (key, why.clone())));
        }
        self.last = Some((why, lost));
        // A part that fails is no news, and who is alone is judged when somebody else was asked for.
        if expected || (rest.people.is_empty() && self.in_a_row < IN_A_ROW) {
            halves(rest, open);
            return Ok(true);
        }
        let works = match of.witness.get() {
            Some(witness) => of.witness_is_answered(shared, witness).await?,
            None => self.search(of, shared, &mut rest, open, known).await?,
        };
        match works {
            Some(true) => {
                self.others_are_answered(of, known);
                halves(rest, open);
            }
            Some(false) => self.down(of, shared),
            None => {}
        }
        Ok(works == Some(true))
    }

    /// Asks for one or two of these people alone, to see whether the service has an answer for anybody.
    async fn search<'a>(
        &mut self,
        of: &LookUps,
        shared: &Shared,
        rest: &mut Batch<'a>,
        open: &mut VecDeque<Batch<'a>>,
        known: &mut Known,
    ) -> Result<Option<bool>> {
        for _ in 0..2 {
            if rest.people.is_empty() {
                break;
            }
            // At random: the same two would be asked for again and again, and both may be those who make it fail.
            let person = rest.people.swap_remove(rand::random_range(..rest.people.len()));
            let single = Batch { people: vec![person], once: true, charged: rest.charged };
            match of.ask(shared, single, open, known).await? {
                Outcome::Answered => return Ok(Some(true)),
                Outcome::Failed(Failed { batch, why, lost }) => {
                    self.last = Some((why.clone(), lost));
                    self.alone.extend(batch.people.into_iter().map(|(key, _)| (key, why.clone())));
                }
                Outcome::Other | Outcome::Over => return Ok(None),
            }
        }
        Ok(Some(false))
    }

    /// All were asked for: those who failed alone are judged.
    pub(super) async fn close(mut self, of: &LookUps, shared: &Shared, known: &mut Known) -> Result<()> {
        if self.alone.is_empty() {
            return Ok(());
        }
        let works = match of.witness.get() {
            Some(witness) => of.witness_is_answered(shared, witness).await?,
            None => Some(false),
        };
        match works {
            Some(true) => self.others_are_answered(of, known),
            Some(false) => self.down(of, shared),
            None => {}
        }
        Ok(())
    }

    fn down(&self, of: &LookUps, shared: &Shared) {
        if let Some((why, lost)) = &self.last {
            of.out_of_order(shared, why, *lost);
        }
    }
}

impl LookUps {
    /// What somebody gets for whom alone the service fails.
    fn failing(&self, why: String) -> LookedUp {
        match self.when_unavailable {
            WhenUnavailable::Wait => LookedUp::Failed { why },
            WhenUnavailable::Send => LookedUp::Answer {
                answer: LookUp::NotAsked,
                call: None,
                note: Some(format!("not looked up: the service fails for this person ({why})")),
            },
        }
    }
}
