//! The workbench: a database with a run, and short words for what the cases do.

use std::ops::Deref;
use std::time::Duration;

use leadsync::clock::Timestamp;
use leadsync::lead::{Event, Lead, LeadId, LeadState, LookUp, Origin, Prepared, RawLead};
use leadsync::store::{
    CallId, CallRecord, Due, Fingerprint, LeadFilter, LeadRecord, LeaseRequest, Leased, NewLead, Preparation,
    QuotaCharge, Reinstated, RunCounts, RunId, Step, StepOutcome, Store,
};

use crate::support::database::{Kind, TestDatabase};

/// Makes every case a test on each database.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(crate::bench::Bench::new(crate::support::database::Kind::Sqlite).await).await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(crate::bench::Bench::new(crate::support::database::Kind::Postgres).await).await; })*
        }
    };
}

/// The one destination of most cases.
pub const DESTINATION: &str = "7targets";

/// A moment; all cases happen around it.
pub const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

/// How long leases are in these cases.
pub const TERM: Duration = Duration::from_secs(60);

/// So many milliseconds after [`NOW`].
pub fn later(ms: i64) -> Timestamp {
    Timestamp::from_ms(NOW.ms() + ms)
}

/// A database, a run, and the time.
pub struct Bench {
    pub database: TestDatabase,
    pub run: RunId,
}

impl Deref for Bench {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.database.store
    }
}

impl Bench {
    pub async fn new(kind: Kind) -> Self {
        let database = TestDatabase::new(kind).await;
        let run = database.store.begin_run("run", NOW).await.unwrap();
        Self { database, run }
    }

    /// What `run` leases: anything due.
    pub fn ask(&self, max: u32) -> LeaseRequest {
        LeaseRequest {
            run: self.run,
            destination: DESTINATION.to_owned(),
            is_default: true,
            imported_by: None,
            due: Due::All,
            max,
            term: TERM,
        }
    }

    /// Queues these addresses and leases them, in order.
    pub async fn leased(&self, emails: &[&str]) -> Vec<Leased> {
        self.enqueue(self.run, &emails.iter().map(|email| new_lead(email)).collect::<Vec<_>>(), NOW).await.unwrap();
        let leased = self.lease(&self.ask(1_000), NOW).await.unwrap();
        assert_eq!(leased.len(), emails.len(), "exactly these were due");
        leased
    }

    /// Queues and leases so many leads of the default destination, and leaves alone those that name none.
    pub async fn leased_of_default(&self, count: usize) -> Vec<Leased> {
        let rows: Vec<_> = (0..count).map(|n| new_lead(&format!("n{n}@example.com"))).collect();
        self.enqueue(self.run, &rows, NOW).await.unwrap();
        let leased = self.lease(&LeaseRequest { is_default: false, ..self.ask(1_000) }, NOW).await.unwrap();
        assert_eq!(leased.len(), count);
        leased
    }

    /// Queues and leases one lead.
    pub async fn one(&self) -> Leased {
        self.leased(&["ann@example.com"]).await.remove(0)
    }

    /// Queues, leases and prepares one lead.
    pub async fn ready(&self) -> Leased {
        let lead = self.one().await;
        assert_eq!(self.step(prepare(&lead, "ann")).await, applied(LeadState::Ready));
        lead
    }

    /// Queues, leases, prepares and begins to send one lead.
    pub async fn sending(&self) -> Leased {
        let lead = self.ready().await;
        assert_eq!(self.step(send(&lead)).await, applied(LeadState::Sending));
        lead
    }

    /// Commits one step of this run.
    pub async fn step(&self, step: Step) -> StepOutcome {
        self.steps(&[step]).await.remove(0)
    }

    /// Commits steps of this run.
    pub async fn steps(&self, steps: &[Step]) -> Vec<StepOutcome> {
        self.commit(self.run, steps, NOW).await.unwrap()
    }

    /// A lead as operators see it.
    pub async fn record(&self, id: LeadId) -> LeadRecord {
        let which = LeadFilter { ids: vec![id], ..LeadFilter::default() };
        self.leads(&which, LeadId(0), 10).await.unwrap().remove(0)
    }

    pub async fn state(&self, id: LeadId) -> LeadState {
        self.record(id).await.state
    }

    /// This run's counts.
    pub async fn counts(&self) -> RunCounts {
        self.counts_of(self.run).await
    }

    pub async fn counts_of(&self, run: RunId) -> RunCounts {
        self.run(run).await.unwrap().unwrap().counts
    }

    /// Who holds the claim on this identity.
    pub async fn holder(&self, identity: &str) -> Option<LeadId> {
        let found = self.claim_holders(DESTINATION, &[fingerprint(identity)]).await.unwrap();
        found.first().map(|(_, lead)| *lead)
    }
}

/// A row of an import for [`DESTINATION`].
pub fn new_lead(email: &str) -> NewLead {
    NewLead {
        raw: RawLead { email: Some(email.to_owned()), first_name: Some("Ann".to_owned()), ..RawLead::default() },
        destination: DESTINATION.to_owned(),
        origin: Origin { file: "leads.csv".to_owned(), row: 2 },
        rejected: None,
    }
}

/// Stands for the keyed hash of an identity.
pub fn fingerprint(identity: &str) -> Fingerprint {
    Fingerprint(format!("{identity:0>64}"))
}

/// A step with this event.
pub fn event(lead: &Leased, event: Event) -> Step {
    Step { event: Some(event), ..Step::of(lead) }
}

/// Normalised, looked up, and claims `identity`.
pub fn prepare(lead: &Leased, identity: &str) -> Step {
    let prepared = Prepared {
        lead: Lead { email: format!("{identity}@example.com"), ..Lead::default() },
        looked_up: LookUp::NotFound,
        notes: vec!["phone: not a number, left out".to_owned()],
    };
    let preparation =
        Preparation { prepared, claim: fingerprint(identity), lookup_call: Some(CallId(77)), enriched: Some(false) };
    Step { prepared: Some(Box::new(preparation)), ..event(lead, Event::Prepared) }
}

/// The intent.
pub fn send(lead: &Leased) -> Step {
    Step { sent_at: Some(NOW), ..event(lead, Event::SendStarted) }
}

/// Delivered under this number.
pub fn accept(lead: &Leased, remote_id: &str) -> Step {
    Step { remote_id: Some(remote_id.to_owned()), ..event(lead, Event::Accepted) }
}

/// Refused for good.
pub fn refuse(lead: &Leased) -> Step {
    Step { reason: Some("the destination says no".to_owned()), ..event(lead, Event::Refused) }
}

/// One create of the day's quota of `limit`.
pub fn charge(amount: i32, limit: u32) -> Option<QuotaCharge> {
    Some(QuotaCharge { account: "acme".to_owned(), utc_day: NOW.utc_day(), amount, limit })
}

/// A call about `lead`.
pub fn call(id: i64, lead: Option<LeadId>) -> CallRecord {
    CallRecord {
        id: CallId(id),
        run: None,
        lead,
        account: DESTINATION.to_owned(),
        what: "create".to_owned(),
        started_at: later(id),
        duration_ms: 12,
        status: Some(201),
        verdict: "accepted".to_owned(),
    }
}

/// A late acceptance that another run counts, or nobody any more.
pub fn uncounted(state: LeadState) -> StepOutcome {
    StepOutcome::Applied { state, counted: false, reinstated: Vec::new() }
}

pub fn applied(state: LeadState) -> StepOutcome {
    StepOutcome::Applied { state, counted: true, reinstated: Vec::new() }
}

pub fn reinstating(state: LeadState, lead: LeadId, counted_here: bool) -> StepOutcome {
    StepOutcome::Applied { state, counted: true, reinstated: vec![Reinstated { lead, counted_here }] }
}
