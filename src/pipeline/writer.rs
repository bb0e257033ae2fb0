//! The one task that writes to the queue: group commit.
//!
//! Intents and outcomes of many leads share a transaction: whatever arrived while the last group was being made durable
//! forms the next one, so a slow disk makes larger groups instead of longer queues. A step is answered only once it is
//! durable; a caller that must not go on before that (an intent) waits for its [`Receipt`].
//!
//! A known delivery is never dropped: while the database can't be reached, the group is kept and repeated (steps carry an
//! id, so repeating is safe) for as long as [`Writer::start`] was told. After that its callers learn that nothing is known
//! to be written, the run ends, and the next one finds out what became of the leads. Patience is for the run, not for each group: once
//! it is used up, and once the grace time is over, every group gets one more try.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::away::{self, LAST_ANSWER};
use crate::clock::Clock;
use crate::store::{RunId, Step, StepOutcome, Store, StoreError};

/// At most this many steps in one transaction.
const GROUP: usize = 500;

/// A step that could not be made durable.
#[derive(Clone, Debug, thiserror::Error)]
#[error("could not record what happened to a lead: {0}")]
pub struct NotWritten(Arc<StoreError>);

impl NotWritten {
    /// Whether waiting and repeating may help.
    pub fn is_unavailable(&self) -> bool {
        self.0.is_unavailable()
    }
}

struct Order {
    step: Step,
    done: oneshot::Sender<Result<StepOutcome, NotWritten>>,
}

/// The way to the writer; clones share it. The task ends when the last one is gone and all orders are carried out.
#[derive(Clone, Debug)]
pub struct Writer {
    orders: mpsc::Sender<Order>,
}

/// The answer to a step, once it is durable.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<StepOutcome, NotWritten>>);

impl Receipt {
    /// Waits until the step is durable.
    ///
    /// # Errors
    /// [`NotWritten`] if the database could not be written to for too long.
    pub async fn durable(self) -> Result<StepOutcome, NotWritten> {
        self.0.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> NotWritten {
    NotWritten(Arc::new(StoreError::Unavailable { what: "the writer has stopped".to_owned() }))
}

impl Writer {
    /// Starts the task. While the database can't be written to, a group is repeated for `patience`, at most until
    /// `hurry`.
    pub fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        run: RunId,
        patience: Duration,
        hurry: CancellationToken,
    ) -> (Self, JoinHandle<()>) {
        let (orders, inbox) = mpsc::channel(4 * GROUP);
        let task = Task { store, clock, run, patience, hurry };
        (Self { orders }, tokio::spawn(task.work(inbox)))
    }

    /// Hands over a step and returns at once; it will be written after all handed over before it.
    pub async fn submit(&self, step: Step) -> Receipt {
        let (done, receipt) = oneshot::channel();
        if let Err(returned) = self.orders.send(Order { step, done }).await {
            let _ = returned.0.done.send(Err(gone()));
        }
        Receipt(receipt)
    }

    /// Hands over a step and waits until it is durable.
    ///
    /// # Errors
    /// As [`Receipt::durable`].
    pub async fn commit(&self, step: Step) -> Result<StepOutcome, NotWritten> {
        self.submit(step).await.durable().await
    }
}

struct Task {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    run: RunId,
    patience: Duration,
    hurry: CancellationToken,
}

impl Task {
    async fn work(mut self, mut inbox: mpsc::Receiver<Order>) {
        let mut group = Vec::with_capacity(GROUP);
        while inbox.recv_many(&mut group, GROUP).await > 0 {
            let (steps, answers): (Vec<_>, Vec<_>) = group.drain(..).map(|order| (order.step, order.done)).unzip();
            match self.write(&steps).await {
                Ok(outcomes) => {
                    for (answer, outcome) in answers.into_iter().zip(outcomes) {
                        let _ = answer.send(Ok(outcome));
                    }
                }
                Err(StoreError::Failed { .. } | StoreError::Unreadable { .. }) if steps.len() > 1 => {
                    // One step may spoil the group: let each answer for itself, in order.
                    let mut spoilt = HashMap::new();
                    for (answer, step) in answers.into_iter().zip(steps) {
                        // What follows on a step that failed makes no sense without it.
                        let outcome = match spoilt.get(&step.lead) {
                            Some(error) => Err(Arc::clone(error)),
                            None => self.write(std::slice::from_ref(&step)).await.map_err(Arc::new),
                        };
                        if let Err(error) = &outcome {
                            spoilt.insert(step.lead, Arc::clone(error));
                        }
                        let _ = answer.send(match outcome {
                            Ok(mut outcomes) => outcomes.pop().ok_or_else(gone),
                            Err(error) => Err(NotWritten(error)),
                        });
                    }
                }
                Err(error) => {
                    let error = NotWritten(Arc::new(error));
                    for answer in answers {
                        let _ = answer.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Writes a group, repeating it while the database is away.
    async fn write(&mut self, steps: &[Step]) -> Result<Vec<StepOutcome>, StoreError> {
        let give_up = Instant::now() + self.patience;
        let mut told = false;
        loop {
            match self.once(steps).await {
                Ok(outcomes) => {
                    if told {
                        tracing::warn!("the database is back; {} outcomes are written", steps.len());
                    }
                    return Ok(outcomes);
                }
                Err(error) if error.is_unavailable() && Instant::now() < give_up && !self.hurry.is_cancelled() => {
                    if !told {
                        tracing::warn!("{error}; keeping {} outcomes in memory and trying again", steps.len());
                        told = true;
                    }
                    let _ = self.hurry.run_until_cancelled(away::pause()).await;
                }
                Err(error) => {
                    if error.is_unavailable() {
                        self.patience = Duration::ZERO;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// One try. Without an answer it may have been written; the step's id makes it safe to try again.
    async fn once(&self, steps: &[Step]) -> Result<Vec<StepOutcome>, StoreError> {
        away::once(&self.hurry, LAST_ANSWER, self.store.commit(self.run, steps, self.clock.now())).await
    }
}
