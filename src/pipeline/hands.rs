//! How a lead leaves a worker's hands: written down, and accounted for exactly once.

use std::time::Duration;

use super::account::DATABASE;
use super::deliver::Settlement;
use super::lane::Lane;
use super::progress::Halt;
use super::record::{Judgement, Next};
use super::writer::NotWritten;
use crate::exit::Exit;
use crate::lead::{Event, LeadState};
use crate::store::{Leased, Step, StepOutcome, StoreError};

/// How long a lead waits on which leadsync failed: longer than a run lives for the sake of one lead.
const ASIDE: Duration = Duration::from_secs(15 * 60);

impl Lane {
    /// Writes down a settlement and accounts for it.
    pub async fn settle(&self, lead: &Leased, settlement: Settlement) {
        match settlement {
            Settlement::Judged(judgement) => {
                let next = judgement.next;
                if let Some(outcome) = self.write(lead, judgement.steps).await {
                    self.account_for(lead, outcome, next);
                }
            }
            Settlement::PutBack => self.put_back(lead).await,
            Settlement::Lost => {
                self.shared.account.lost(lead.id);
                self.let_go(lead);
            }
            Settlement::Settled => {}
        }
    }

    /// Writes down a judgement after which the lead stays in hand. `None`: it did not stay, and is accounted for.
    pub async fn apply(&self, lead: &Leased, judgement: Judgement) -> Option<()> {
        let next = judgement.next;
        let outcome = self.write(lead, judgement.steps).await?;
        if matches!(outcome, Written { outcome: StepOutcome::Applied { .. }, .. }) {
            return Some(());
        }
        self.account_for(lead, outcome, next);
        None
    }

    /// Writes a step of a lead that stays in hand. False if it is no longer in ours; accounted for.
    pub async fn write_on(&self, lead: &Leased, step: Step) -> bool {
        let Some(written) = self.write(lead, vec![step]).await else { return false };
        if matches!(written.outcome, StepOutcome::Applied { .. }) {
            return true;
        }
        self.account_for(lead, written, Next::Halted);
        false
    }

    /// Gives up the lease, nothing else.
    pub async fn put_back(&self, lead: &Leased) {
        let step = Step { release: true, ..Step::of(lead) };
        if let Some(outcome) = self.write(lead, vec![step]).await {
            self.account_for(lead, outcome, Next::Halted);
        }
    }

    /// Writes steps in order; the last one's outcome counts. `None`: they could not be written; accounted for.
    pub(super) async fn write(&self, lead: &Leased, steps: Vec<Step>) -> Option<Written> {
        let delivered = steps.iter().any(|step| step.event == Some(Event::Accepted));
        let mut receipts = Vec::with_capacity(steps.len());
        let mut reason = None;
        for step in steps {
            reason = step.reason.clone().or(reason);
            receipts.push(self.shared.writer.submit(step).await);
        }
        let mut last = None;
        for receipt in receipts {
            match receipt.durable().await {
                Ok(outcome) => last = Some(outcome),
                Err(error) => {
                    self.database_lost(&error);
                    if delivered {
                        self.shared.account.unrecorded(lead.id);
                    }
                    self.shared.account.put_off(lead.id);
                    self.let_go(lead);
                    return None;
                }
            }
        }
        last.map(|outcome| Written { outcome, reason })
    }

    pub(super) fn account_for(&self, lead: &Leased, written: Written, next: Next) {
        let account = &self.shared.account;
        match written.outcome {
            StepOutcome::Applied { state, counted, reinstated } => {
                account.reinstated(&reinstated);
                if !counted && state.is_final() {
                    account.lost(lead.id);
                } else if state.is_final() {
                    self.progressed();
                    account.finished(lead.id, state, written.reason.as_deref());
                } else {
                    match next {
                        Next::Deferred(_) => account.put_off(lead.id),
                        Next::Scheduled(_) => account.scheduled(lead.id),
                        Next::Finished(_) | Next::Again | Next::Halted => account.put_back(),
                    }
                }
            }
            StepOutcome::Duplicate { .. } => {
                account.finished(lead.id, LeadState::Skipped, Some("duplicate of another lead"));
            }
            StepOutcome::LeaseLost => account.lost(lead.id),
            StepOutcome::QuotaUsedUp | StepOutcome::Illegal(_) => {
                account.bug(format!("lead {}: an outcome was answered with {:?}", lead.id, written.outcome));
                account.lost(lead.id);
            }
        }
        self.let_go(lead);
    }

    /// Work on a lead panicked: it is put aside, and the others go on. Its state stays as it is, so if its request may have
    /// left, that is looked into when it comes back.
    pub async fn panicked(&self, lead: &Leased) {
        if !self.holds(lead.id) {
            return;
        }
        self.shared.account.bug(format!("work on lead {} ended unexpectedly; it is put aside for a while", lead.id));
        let due = self.shared.clock.now().plus(ASIDE);
        let step = Step {
            reason: Some("put off: leadsync failed on this lead, which is a bug; its log says where".to_owned()),
            not_before: Some(due),
            add_deferrals: 1,
            release: true,
            ..Step::of(lead)
        };
        if let Some(outcome) = self.write(lead, vec![step]).await {
            self.account_for(lead, outcome, Next::Deferred(due));
        }
    }

    fn let_go(&self, lead: &Leased) {
        self.shared.leases.remove(lead.id, lead.token);
        self.put_down(lead.id);
    }

    /// Nothing can be recorded any more: every lane stops.
    pub fn database_lost(&self, error: &NotWritten) {
        if !error.is_unavailable() {
            self.shared.account.bug(error.to_string());
        }
        self.shared.account.database_lost(error);
        self.shared.stop.cancel();
    }

    /// The database can't be read.
    pub fn store_failed(&self, error: &StoreError) {
        self.shared.account.halt(Halt {
            account: DATABASE.to_owned(),
            reason: error.to_string(),
            remedy: None,
            exit: if error.is_unavailable() { Exit::Unavailable } else { Exit::Bug },
        });
        self.shared.stop.cancel();
    }
}

/// What became of the last of some steps.
pub struct Written {
    pub outcome: StepOutcome,
    reason: Option<String>,
}
