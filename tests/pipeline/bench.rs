//! A database, a sandbox, and runs between them.

use std::sync::Arc;
use std::time::Duration;

use leadsync::clock::Clock;
use leadsync::clock::SystemClock;
use leadsync::config::{self, Environment, Settings};
use leadsync::lead::{LeadId, Origin, RawLead};
use leadsync::pipeline::progress::{Progress, Summary};
use leadsync::pipeline::run::{RunOptions, Signals, run};
use leadsync::pipeline::site::Site;
use leadsync::sandbox::{FaultPlan, Running, Sandbox, SandboxOptions};
use leadsync::store::{LeadFilter, LeadRecord, NewLead, Store};
use tokio_util::sync::CancellationToken;

use super::flaky::Flaky;
use super::support::database::{Kind, TestDatabase};

pub struct Bench {
    pub db: Arc<TestDatabase>,
    pub flaky: Arc<Flaky>,
    sandbox: Option<Arc<Running>>,
    base: String,
    site: Site,
}

impl Bench {
    /// `more`: TOML; lines before the first table belong to `[run]`, tables are merged into the sandbox's own.
    pub async fn new(options: SandboxOptions, more: &str) -> Self {
        let sandbox = Arc::new(Sandbox::start(options).await.unwrap());
        let db = Arc::new(TestDatabase::new(Kind::Sqlite).await);
        let base = sandbox.config_toml();
        Self::build(db, Some(sandbox), base, more).await
    }

    async fn build(db: Arc<TestDatabase>, sandbox: Option<Arc<Running>>, base: String, more: &str) -> Self {
        let settings = Arc::new(settings(&base, more));
        let flaky = Arc::new(Flaky::new(Arc::clone(&db.store)));
        let site = Site::open(settings, Arc::clone(&flaky) as Arc<dyn Store>).await.unwrap();
        Self { db, flaky, sandbox, base, site }
    }

    /// The same database and sandbox under another configuration.
    pub async fn with(&self, more: &str) -> Self {
        Self::build(Arc::clone(&self.db), self.sandbox.clone(), self.base.clone(), more).await
    }

    /// Two destinations: `7targets`, the default, and `other`.
    pub async fn second_destination(&self) -> Self {
        let at = self.base.find("[destinations.7targets]").unwrap();
        let other =
            self.base[at..].replace("destinations.7targets", "destinations.other").replace("default = true\n", "");
        Self::build(Arc::clone(&self.db), self.sandbox.clone(), format!("{}\n{other}", self.base), "").await
    }

    fn sandbox(&self) -> &Running {
        self.sandbox.as_ref().expect("it still runs")
    }

    pub fn faults(&self, plan: &str) {
        self.sandbox().set_faults(plan.parse::<FaultPlan>().unwrap());
    }

    pub async fn enqueue(&self, count: u64) {
        self.enqueue_for("7targets", count, 0).await;
    }

    pub async fn enqueue_for(&self, destination: &str, count: u64, from: u64) {
        let leads: Vec<NewLead> = (from..from + count)
            .map(|n| NewLead {
                raw: RawLead {
                    email: Some(format!("lead{n}@example.com")),
                    first_name: Some(format!("First{n}")),
                    ..RawLead::default()
                },
                destination: destination.to_owned(),
                origin: Origin { file: "leads.csv".into(), row: n + 2 },
                rejected: None,
            })
            .collect();
        let import = self.db.store.begin_run("import", SystemClock.now()).await.unwrap();
        self.db.store.enqueue(import, &leads, SystemClock.now()).await.unwrap();
    }

    async fn run(&self, options: &RunOptions, stop: CancellationToken) -> Summary {
        let id = self.db.store.begin_run("run", SystemClock.now()).await.unwrap();
        let progress = Arc::new(Progress::new([("7targets".to_owned(), None)]));
        let options = RunOptions { command: "run", ..options.clone() };
        run(&self.site, id, &options, progress, &Signals { stop }).await.unwrap()
    }

    pub async fn run_within(&self, time: Duration, options: &RunOptions) -> Summary {
        let run = self.run(options, CancellationToken::new());
        tokio::time::timeout(time, run).await.expect("the run ends in time")
    }

    /// A run and something that happens during it.
    pub async fn run_meanwhile(&self, time: Duration, during: impl AsyncFnOnce(&Self)) -> Summary {
        let options = RunOptions::default();
        let both = async { tokio::join!(self.run(&options, CancellationToken::new()), during(self)).0 };
        tokio::time::timeout(time, both).await.expect("the run ends in time")
    }

    /// A run that gets SIGTERM once `when` holds.
    pub async fn run_stopped_when(&self, when: impl Fn(&Self) -> bool, time: Duration) -> Summary {
        let stop = CancellationToken::new();
        let options = RunOptions::default();
        let both = async {
            let stopping = async {
                self.until(when).await;
                stop.cancel();
            };
            tokio::join!(self.run(&options, stop.clone()), stopping).0
        };
        tokio::time::timeout(time, both).await.expect("the run ends in time")
    }

    /// A run whose server goes away after so many creates.
    pub async fn run_with_server_lost_after(&mut self, creates: usize, time: Duration) -> Summary {
        let sandbox = self.sandbox.take().expect("it runs");
        let options = RunOptions::default();
        let both = async {
            let lose = async {
                while count(&sandbox, "create") < creates {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Arc::try_unwrap(sandbox).expect("nobody else holds it").stop().await;
            };
            tokio::join!(self.run(&options, CancellationToken::new()), lose).0
        };
        tokio::time::timeout(time, both).await.expect("the run ends in time")
    }

    pub async fn until(&self, when: impl Fn(&Self) -> bool) {
        while !when(self) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Requests of this kind that arrived.
    pub fn requests(&self, operation: &str) -> usize {
        count(self.sandbox(), operation)
    }

    /// Requests that came while the service had asked for a pause.
    pub fn in_pause(&self) -> u64 {
        self.sandbox().totals().limits.values().map(|limit| limit.in_pause).sum()
    }

    /// Intents that are durable.
    pub fn sent(&self) -> usize {
        self.flaky.intents()
    }

    pub fn credits_used(&self) -> u64 {
        self.sandbox().totals().credits_used
    }

    pub async fn leads(&self) -> Vec<LeadRecord> {
        self.db.store.leads(&LeadFilter::default(), LeadId(0), 10_000).await.unwrap()
    }

    pub fn ledger_has_each_once(&self, count: usize) -> bool {
        let leads = self.sandbox().ledger().leads();
        leads.len() == count && leads.iter().all(|lead| lead.creates == 1)
    }
}

fn count(sandbox: &Running, operation: &str) -> usize {
    sandbox.requests().iter().filter(|request| request.operation.is_some_and(|it| it.name() == operation)).count()
}

fn settings(base: &str, more: &str) -> Settings {
    let mut table: toml::Table = base.parse().unwrap();
    merge(&mut table, format!("[run]\n{more}").parse().unwrap());
    config::parse("leadsync.toml", &table.to_string(), Environment::default()).unwrap()
}

fn merge(into: &mut toml::Table, more: toml::Table) {
    for (key, value) in more {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => merge(inner, value),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}
