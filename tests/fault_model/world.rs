//! Carries a plan out: the program, a database, two sandboxes, and everything that happens to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leadsync::clock::{Clock, SystemClock};
use leadsync::sandbox::{FaultPlan, LedgerLead, Running, Sandbox, SandboxOptions};
use rustix::process::Signal;
use serde_json::Value;

use crate::bench::{Bench, Process, Said, until};
use crate::plan::{Place, Plan, Row, What};
use crate::support::database::TestDatabase;
use crate::support::postgres::Cluster;

/// Nothing was heard for so long: what the plan waits for will not come.
const QUIET: Duration = Duration::from_secs(8);
/// Workers started anew in all, while things go wrong.
const STARTS: usize = 14;
/// Runs after the faults have ended.
const LAST_RUNS: usize = 8;

/// The world of one case.
pub struct World {
    pub plan: Plan,
    pub bench: Bench,
    other: Running,
    cluster: Option<Arc<Cluster>>,
    file_to_import_again: bool,
}

impl World {
    /// Everything is there, all rows are in the queue (but for those that a worker imports), nothing goes wrong yet.
    pub async fn new(plan: Plan) -> Self {
        let cluster = match plan.restarts() {
            true => Some(Arc::new(tokio::task::spawn_blocking(Cluster::start_new).await.unwrap())),
            false => None,
        };
        let database = match &cluster {
            Some(cluster) => TestDatabase::blank_on(cluster).await,
            None => TestDatabase::blank(plan.kind).await,
        };
        let differ = |options: &mut SandboxOptions| {
            options.seed = plan.seed;
            options.seven_targets.rate = None;
            options.live_data.rate = None;
            options.latency = Duration::from_millis(15);
            // Well after a client gave up, so that asking at once would find nothing, and well before it asks.
            options.timing.hang = Duration::from_millis(2_500);
            options.timing.drip = Duration::from_millis(1_500);
            options.timing.pause = Duration::from_secs(1);
        };
        let mut options = SandboxOptions::default();
        differ(&mut options);
        let other = Sandbox::start(options).await.unwrap();
        let bench = Bench::on(database, differ).await;
        let world = Self { plan, bench, other, cluster, file_to_import_again: false };
        world.configure();
        world.bench.leadsync(&["db", "migrate"]).await.ends(0);
        world.fill().await;
        world
    }

    fn configure(&self) {
        let (bench, plan) = (&self.bench, &self.plan);
        let config = self.other.config_toml().parse::<toml::Table>().unwrap();
        for (key, value) in config["destinations"]["7targets"].as_table().unwrap() {
            if key != "default" {
                bench.set(&format!("destinations.other.{key}"), value.clone());
            }
        }
        for place in Place::BOTH {
            let set = |key: &str, value: toml::Value| bench.set(&format!("destinations.{}.{key}", place.name()), value);
            set("timeout", "1s".into());
            // A late effect must be there before anyone asks, on a busy machine too.
            set("settle", if plan.has_late_effects() { "4s" } else { "300ms" }.into());
            set("unknown", plan.policy.word().into());
            set("concurrency", plan.concurrency.into());
            set("rate", if plan.has_rate { "40/s" } else { "none" }.into());
        }
        if plan.look_ups {
            bench.look_up();
            bench.set("enrich.batch_size", 5);
            bench.set("enrich.when_unavailable", if plan.send_without { "send" } else { "wait" });
        }
        bench.set("retry.max_attempts", plan.max_attempts);
        bench.set("run.wait", "10s");
        bench.set("run.grace", "2s");
        // The patience with a database that restarts, too.
        bench.set("run.lease", "8s");
    }

    fn csv(&self, to: Place) -> Option<String> {
        let rows = self.plan.rows.iter().map(|(_, row)| row).filter(|row| row.by_file && row.to == to);
        let line = |row: &Row| format!("\"{}\",{},{}\n", row.address(), row.first_name(), row.last_name());
        let lines: String = rows.map(line).collect();
        (!lines.is_empty()).then(|| format!("email,first_name,last_name\n{lines}"))
    }

    async fn fill(&self) {
        for to in Place::BOTH {
            let Some(csv) = self.csv(to) else { continue };
            let file = format!("{}.csv", to.name());
            self.bench.file(&file, csv);
            if to == Place::Main && self.plan.import_works {
                continue;
            }
            self.load(&file, to).await;
        }
        let now = SystemClock.now().ms();
        let value = |row: &Row| {
            let address = if row.address().is_empty() { "NULL".to_owned() } else { format!("'{}'", row.address()) };
            let to = if row.to == Place::Main { "NULL".to_owned() } else { format!("'{}'", row.to.name()) };
            let due = if row.after_ms > 0 { now + row.after_ms } else { 0 };
            format!("({address}, '{}', '{}', {to}, {due})", row.first_name(), row.last_name())
        };
        let rows: Vec<_> = self.plan.rows.iter().map(|(_, row)| row).filter(|row| !row.by_file).map(value).collect();
        if !rows.is_empty() {
            let values = rows.join(", ");
            self.bench.database.sql(&format!(
                "INSERT INTO leads (email, first_name, last_name, destination, not_before_ms) VALUES {values}"
            ));
        }
    }

    async fn load(&self, file: &str, to: Place) {
        let said = self.bench.leadsync(&["import", "--queue-only", "--destination", to.name(), file]).await;
        assert!([0, 3].contains(&said.code), "{said:?}");
    }

    /// The sandbox of a place.
    pub fn sandbox(&self, place: Place) -> &Running {
        match place {
            Place::Main => &self.bench.sandbox,
            Place::Other => &self.other,
        }
    }

    /// What a place really has.
    pub fn ledger(&self, place: Place) -> Vec<LedgerLead> {
        self.sandbox(place).ledger().leads()
    }

    fn requests(&self) -> u64 {
        Place::BOTH.map(|place| self.sandbox(place).totals().requests).iter().sum()
    }

    /// Leads that are not at their end.
    pub fn unfinished(&self) -> i64 {
        self.bench.number("SELECT count(*) FROM leads WHERE state IN ('received', 'ready', 'sending')")
    }

    /// Everything goes wrong that the plan says, while workers work.
    pub async fn suffer(&mut self) {
        for place in Place::BOTH {
            self.sandbox(place).set_faults(self.plan.faults_of(place).parse::<FaultPlan>().unwrap());
        }
        let mut workers = Workers::default();
        if self.plan.import_works && self.csv(Place::Main).is_some() {
            workers.start(self, &["import", "7targets.csv"]);
        }
        while workers.at_work.len() < self.plan.workers {
            workers.start(self, &["run"]);
        }
        for (_, event) in self.plan.events.clone() {
            if !workers.until(self, self.requests() + event.after_requests).await {
                break;
            }
            self.happens(event.what, &mut workers).await;
        }
        for place in Place::BOTH {
            self.sandbox(place).set_faults(FaultPlan::default());
        }
        workers.end().await;
        self.file_to_import_again = workers.import_was_cut;
    }

    async fn happens(&self, what: What, workers: &mut Workers) {
        match what {
            What::Kill(n) => workers.signal(n, Signal::KILL),
            What::Term(n) => workers.signal(n, Signal::TERM),
            What::Revoke(place) => self.sandbox(place).revoke_tokens(),
            What::Down(place, ms) => {
                self.sandbox(place).go_down();
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.sandbox(place).come_back();
            }
            What::Restart(how) => {
                let cluster = Arc::clone(self.cluster.as_ref().unwrap());
                let restart = move || {
                    cluster.stop(how);
                    cluster.start();
                };
                tokio::task::spawn_blocking(restart).await.unwrap();
            }
            What::Cut => {
                let ours = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                            WHERE application_name = 'leadsync'";
                self.bench.database.sql(ours);
            }
            What::Lock(ms) => {
                let holder = self.bench.database.hold_lock();
                tokio::time::sleep(Duration::from_millis(ms)).await;
                holder.let_go();
            }
        }
    }

    /// Nothing goes wrong any more: runs until nothing is left. How the last run ended.
    pub async fn recover(&mut self) -> Said {
        if std::mem::take(&mut self.file_to_import_again) {
            // As an operator would who does not know how far it came.
            self.load("7targets.csv", Place::Main).await;
        }
        for _ in 0..LAST_RUNS {
            let said = self.bench.run().await;
            is_sound(&said);
            if self.unfinished() == 0 {
                return said;
            }
        }
        panic!("something is always left: {:?}", self.bench.states().await);
    }

    /// What a person does afterwards: leads that failed are put back, and those that nobody could ask for are looked up.
    pub async fn settle(&self, leads: &[Value]) {
        // Nor does a person look before a request that was given up can have had its effect.
        for place in Place::BOTH {
            let sandbox = self.sandbox(place);
            let late = sandbox.totals().faults.get("create:late").copied().unwrap_or_default();
            let came =
                || sandbox.ledger().effects().iter().filter(|it| it.fault.as_deref() == Some("late")).count() as u64;
            until("every late effect has come", || came() >= late).await;
        }
        self.bench.leadsync(&["retry", "--state", "exhausted"]).await.ends(0);
        self.bench.leadsync(&["retry", "--state", "rejected", "--reason", "unprocessable"]).await.ends(0);
        for lead in leads.iter().filter(|lead| lead["state"] == "unconfirmed") {
            let place = place_of(lead);
            let person = person_of(lead).expect("who has no address is not sent");
            let there = self.sandbox(place).ledger().lead(&crate::bench::email(person));
            let answer = there.map_or("--absent".to_owned(), |it| format!("--delivered={}", it.id));
            self.bench.leadsync(&["resolve", &lead["id"].to_string(), &answer]).await.ends(0);
        }
    }
}

/// Where a lead goes, as `results` tells it.
pub fn place_of(lead: &Value) -> Place {
    if lead["destination"] == Place::Other.name() { Place::Other } else { Place::Main }
}

/// Whose lead it is, as `results` tells it.
pub fn person_of(lead: &Value) -> Option<usize> {
    let address = lead["email"].as_str()?.to_lowercase();
    let (before, _) = address.split_once('@')?;
    before.rsplit_once("nominova")?.1.parse().ok()
}

/// The workers of one case.
#[derive(Default)]
struct Workers {
    /// With what they were started as.
    at_work: Vec<(bool, Process)>,
    starts: usize,
    import_was_cut: bool,
}

impl Workers {
    fn start(&mut self, world: &World, args: &[&str]) {
        self.starts += 1;
        self.at_work.push((args[0] == "import", world.bench.start(args)));
    }

    fn signal(&self, n: usize, signal: Signal) {
        if !self.at_work.is_empty() {
            self.at_work[n % self.at_work.len()].1.signal(signal);
        }
    }

    /// Waits for so many requests, and replaces workers that end. False: they will not come.
    async fn until(&mut self, world: &World, requests: u64) -> bool {
        let (mut heard, mut seen) = (Instant::now(), world.requests());
        while world.requests() < requests {
            self.reap().await;
            while self.at_work.len() < world.plan.workers {
                if self.starts >= STARTS || world.unfinished() == 0 {
                    return false;
                }
                self.start(world, &["run"]);
            }
            if world.requests() > seen {
                (heard, seen) = (Instant::now(), world.requests());
            }
            if heard.elapsed() > QUIET {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// Buries those that have ended.
    async fn reap(&mut self) {
        let mut n = 0;
        while n < self.at_work.len() {
            if self.at_work[n].1.has_ended() {
                let (import, process) = self.at_work.remove(n);
                self.bury(import, process).await;
            } else {
                n += 1;
            }
        }
    }

    async fn bury(&mut self, import: bool, process: Process) {
        let said = process.ended().await;
        is_sound(&said);
        if import && ![0, 3].contains(&said.code) {
            self.import_was_cut = true;
        }
    }

    /// All of them work on to their end.
    async fn end(&mut self) {
        while let Some((import, process)) = self.at_work.pop() {
            self.bury(import, process).await;
        }
    }
}

/// However a run ended: it is no bug, and what it counted adds up.
pub fn is_sound(said: &Said) {
    let told = format!("out:\n{}\nerr:\n{}", said.out, said.err);
    // 2: an account that is wrong (403); 137 and 143: killed, the latter before it listened to signals.
    assert!([0, 2, 3, 4, 137, 143].contains(&said.code), "ended with {}\n{told}", said.code);
    assert!(!said.err.contains("a bug"), "{told}");
    assert!(!said.err.contains('✗') && !said.err.contains("don't add up"), "{told}");
}
