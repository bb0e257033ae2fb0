//! The bench: a database, a sandbox, a configuration that joins them, and the program.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use leadsync::sandbox::{FaultPlan, LedgerLead, Running, Sandbox, SandboxOptions};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::support::database::{Kind, TestDatabase};

/// Makes every journey a test, on both databases at once: journeys wait more than they work.
macro_rules! journeys {
    ($($case:ident),* $(,)?) => {
        mod on_both {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { crate::bench::on_both(super::$case).await; })*
        }
    };
}

/// Runs a journey on SQLite and on Postgres, and says on which it failed.
pub async fn on_both<F: Future<Output = ()> + Send + 'static>(journey: impl Fn(Kind) -> F) {
    let kinds = [Kind::Sqlite, Kind::Postgres];
    let failed = join_all(kinds.map(|kind| tokio::spawn(journey(kind)))).await.into_iter().zip(kinds);
    let failed: Vec<Kind> = failed.filter(|(result, _)| result.is_err()).map(|(_, kind)| kind).collect();
    assert!(failed.is_empty(), "failed on {failed:?}");
}

/// Many rounds instead of a quick one.
pub fn is_long() -> bool {
    std::env::var_os("LEADSYNC_TEST_LONG").is_some()
}

/// For databases that keep no key file. Hidden like every other secret.
const KEY: &str = "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed";

/// How long anything may take before the journey is called stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// What leads in these journeys are called, so that it can be told when it shows where it must not.
pub const FIRST_NAME: &str = "Privata";
/// The same, at the beginning of each last name.
pub const LAST_NAME: &str = "Nominova";

/// The address of lead `n`.
pub fn email(n: usize) -> String {
    format!("privata.nominova{n}@mail.example.com")
}

/// A CSV file of the leads with these numbers.
pub fn csv(numbers: impl IntoIterator<Item = usize>) -> String {
    let rows = numbers.into_iter().map(|n| format!("{},{FIRST_NAME},{LAST_NAME}{n}\n", email(n)));
    "email,first_name,last_name\n".to_owned() + &rows.collect::<String>()
}

/// What the program said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// As a shell gives it: 128 and more for a signal.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Fails unless it ended so.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }

    /// Fails unless standard error says this.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.err.contains(words), "`{words}` is missing in:\n{}", self.err);
        self
    }
}

/// A database, a sandbox, and a configuration that joins them. Look-ups are off, limits are off, time-outs are short.
pub struct Bench {
    pub database: TestDatabase,
    pub sandbox: Running,
    dir: tempfile::TempDir,
    config: Mutex<toml::Table>,
}

impl Bench {
    pub async fn new(kind: Kind) -> Self {
        Self::with(kind, |_| {}).await
    }

    /// With a sandbox that differs.
    pub async fn with(kind: Kind, differ: impl FnOnce(&mut SandboxOptions)) -> Self {
        Self::on(TestDatabase::blank(kind).await, differ).await
    }

    /// On this empty database.
    pub async fn on(mut database: TestDatabase, differ: impl FnOnce(&mut SandboxOptions)) -> Self {
        let mut options = SandboxOptions::default();
        options.seven_targets.rate = None;
        options.live_data.rate = None;
        options.lead_connector.rate = None;
        options.lead_desk.rate = None;
        options.lead_bank.rate = None;
        options.plain_crm.rate = None;
        options.timing.pause = Duration::from_secs(1);
        differ(&mut options);
        let sandbox = Sandbox::start(options).await.unwrap();
        let kind = database.kind;
        // The program has its own connections; this view of the database is for another process.
        database.store.close().await;
        // The configuration takes plain names only.
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        database.settings.schema = database.settings.schema.chars().map(plain).collect();
        let config = sandbox.config_toml().parse::<toml::Table>().unwrap();
        let bench = Self { database, sandbox, dir: tempfile::tempdir().unwrap(), config: Mutex::new(config) };
        bench.set("database.url", bench.database.settings.url.expose());
        bench.set("database.schema", bench.database.settings.schema.as_str());
        if kind == Kind::Postgres {
            bench.set("security.encryption_key", KEY);
        }
        bench.set("run.lease", "5s");
        bench.set("run.wait", "20s");
        bench.set("enrich.kind", "none");
        bench.set("enrich.timeout", "1s");
        bench.set("destinations.7targets.timeout", "1s");
        bench.set("destinations.7targets.settle", "200ms");
        bench.set("retry.initial_interval", "100ms");
        bench.set("retry.max_interval", "1s");
        bench
    }

    /// Sets a key of the configuration.
    pub fn set(&self, key: &str, value: impl Into<toml::Value>) {
        let mut config = self.config.lock().unwrap();
        let (tables, name) = key.rsplit_once('.').unwrap();
        let mut table = &mut *config;
        for part in tables.split('.') {
            let inner = table.entry(part).or_insert_with(|| toml::Table::new().into());
            table = inner.as_table_mut().unwrap();
        }
        table.insert(name.to_owned(), value.into());
    }

    /// Whether the configuration has this key.
    pub fn has(&self, key: &str) -> bool {
        let config = self.config.lock().unwrap();
        let (first, rest) = key.split_once('.').unwrap();
        rest.split('.').try_fold(&config[first], |table, name| table.get(name)).is_some()
    }

    /// Takes a key, or a table, out of the configuration.
    pub fn remove(&self, key: &str) {
        let mut config = self.config.lock().unwrap();
        let (tables, name) = key.rsplit_once('.').unwrap();
        let table = tables.split('.').fold(&mut *config, |table, part| table[part].as_table_mut().unwrap());
        table.remove(name).unwrap();
    }

    /// A text of the configuration.
    pub fn get(&self, key: &str) -> String {
        let config = toml::Value::Table(self.config.lock().unwrap().clone());
        let value = key.split('.').fold(&config, |table, name| &table[name]);
        value.as_str().unwrap().to_owned()
    }

    /// Switches look-ups on.
    pub fn look_up(&self) {
        self.set("enrich.kind", "live_data");
    }

    /// A second destination: the same service under another name.
    pub fn second_destination(&self, name: &str) {
        let mut config = self.config.lock().unwrap();
        let destinations = config["destinations"].as_table_mut().unwrap();
        let mut second = destinations["7targets"].clone();
        second.as_table_mut().unwrap().remove("default");
        destinations.insert(name.to_owned(), second);
    }

    /// Another destination, out of the tables that the sandbox has for uncommenting: `crm`, `calls`, `bank`, `plain`.
    pub fn also(&self, name: &str) {
        let commented = self.sandbox.config_toml();
        let uncommented: Vec<&str> = commented.lines().filter_map(|line| line.strip_prefix("# ")).skip(1).collect();
        let tables = uncommented.join("\n").parse::<toml::Table>().unwrap();
        self.set(&format!("destinations.{name}"), tables["destinations"][name].clone());
        self.set(&format!("destinations.{name}.timeout"), "1s");
        self.set(&format!("destinations.{name}.settle"), "200ms");
    }

    /// The same, instead of 7targets.
    pub fn instead(&self, name: &str) {
        self.remove("destinations.7targets");
        self.also(name);
        self.set(&format!("destinations.{name}.default"), true);
    }

    /// What goes wrong from now on.
    pub fn faults(&self, plan: &str) {
        self.sandbox.set_faults(plan.parse::<FaultPlan>().unwrap());
    }

    /// A path in the working directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file there.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        // A file for each process: one that starts must not read what is being written for the next.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("leadsync-{}.toml", NUMBER.fetch_add(1, Ordering::Relaxed));
        let config = self.file(&name, toml::to_string(&*self.config.lock().unwrap()).unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_leadsync"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("LEADSYNC_") || ["DATABASE_URL", "RUST_LOG", "CLICOLOR_FORCE"].contains(&name.as_str())
            {
                command.env_remove(name);
            }
        }
        command.arg("--config").arg(config).args(args).current_dir(self.dir.path());
        // One of the two databases hears everything, so that every journey shows what may be logged and what not.
        if self.database.kind == Kind::Sqlite && !args.iter().any(|arg| arg.starts_with("-v") || arg.starts_with("-q"))
        {
            command.arg("-vv");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Starts the program.
    pub fn start(&self, args: &[&str]) -> Process {
        self.watch(self.command(args), args)
    }

    /// Starts the program to die at a point of [`leadsync::crash`], or to freeze there.
    pub fn start_armed(&self, point: &str, args: &[&str]) -> Process {
        self.start_with(&[("LEADSYNC_CRASH", point)], args)
    }

    /// Starts the program with these variables in its environment.
    pub fn start_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Process {
        let mut command = self.command(args);
        command.envs(variables.iter().copied());
        self.watch(command, args)
    }

    /// Starts the program with this as its standard input.
    pub fn start_fed(&self, args: &[&str], input: impl Into<Stdio>) -> Process {
        let mut command = self.command(args);
        command.stdin(input);
        self.watch(command, args)
    }

    /// The same through a shell, which may change what the program inherits: in `script`, `"$@"` is the program.
    pub fn start_in_shell(&self, script: &str, args: &[&str]) -> Process {
        let program = self.command(args);
        let program = program.as_std();
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        self.watch(command, args)
    }

    fn watch(&self, mut command: Command, args: &[&str]) -> Process {
        let mut child = command.spawn().unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let so_far = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&so_far);
        let words = tokio::spawn(async move {
            let mut out_bytes = Vec::new();
            let listening = async {
                let mut some = [0; 4096];
                loop {
                    let n = err.read(&mut some).await.unwrap();
                    heard.lock().unwrap().extend_from_slice(&some[..n]);
                    if n == 0 {
                        break;
                    }
                }
            };
            let (a, ()) = tokio::join!(out.read_to_end(&mut out_bytes), listening);
            a.unwrap();
            let err_bytes = std::mem::take(&mut *heard.lock().unwrap());
            (String::from_utf8(out_bytes).unwrap(), String::from_utf8(err_bytes).unwrap())
        });
        let secrets = self.secrets();
        Process { child, words, so_far, secrets, args: args.join(" ") }
    }

    /// Runs the program to its end.
    pub async fn leadsync(&self, args: &[&str]) -> Said {
        self.start(args).ended().await
    }

    /// The same, with this on its standard input.
    pub async fn leadsync_fed(&self, args: &[&str], input: &str) -> Said {
        let file = std::fs::File::open(self.file("stdin", input)).unwrap();
        self.start_fed(args, file).ended().await
    }

    /// `import`, from a file with this content.
    pub async fn import(&self, content: &str) -> Said {
        self.file("leads.csv", content);
        self.leadsync(&["import", "leads.csv"]).await
    }

    /// `import --queue-only`.
    pub async fn queue(&self, content: &str) {
        self.file("leads.csv", content);
        self.leadsync(&["import", "--queue-only", "leads.csv"]).await.ends(0);
    }

    /// `run`.
    pub async fn run(&self) -> Said {
        self.leadsync(&["run"]).await
    }

    /// What must never be said on standard error, apart from addresses and names.
    pub fn secrets(&self) -> Vec<String> {
        let options = self.sandbox.options();
        let mut secrets = vec![
            KEY.to_owned(),
            options.seven_targets.client_secret.expose().to_owned(),
            options.live_data.client_secret.expose().to_owned(),
            options.live_data.api_key.expose().to_owned(),
            options.live_data.password.expose().to_owned(),
            // Those of other services that have names of their own; the rest stands in the configuration.
            options.lead_connector.private_token.expose().to_owned(),
            options.lead_connector.agency_refresh_token.expose().to_owned(),
            options.lead_desk.auth_key.expose().to_owned(),
            options.plain_crm.api_key.expose().to_owned(),
        ];
        // How the sandbox's tokens begin.
        let tokens = ["live_data", "seven_targets", "lead_connector", "lead_desk", "lead_bank", "plain_crm", "refresh"];
        secrets.extend(tokens.map(|kind| format!("sandbox.{kind}.")));
        for key in ["enrich", "destinations"] {
            let config = self.config.lock().unwrap();
            let mut tables = vec![config[key].as_table().unwrap().clone()];
            while let Some(table) = tables.pop() {
                for (name, value) in table {
                    match value {
                        toml::Value::Table(inner) => tables.push(inner),
                        toml::Value::String(text) if is_secret(&name) && !text.starts_with('$') => secrets.push(text),
                        _ => {}
                    }
                }
            }
        }
        secrets
    }

    /// Every lead, as `results` tells it, in the order of their numbers.
    pub async fn results(&self) -> Vec<Value> {
        let said = self.leadsync(&["results", "--format", "jsonl"]).await.ends(0);
        let mut leads: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        leads.sort_by_key(|lead| lead["id"].as_i64());
        leads
    }

    /// The only lead.
    pub async fn only(&self) -> Value {
        let mut leads = self.results().await;
        assert_eq!(leads.len(), 1, "{leads:?}");
        leads.remove(0)
    }

    /// How many leads are in which state.
    pub async fn states(&self) -> BTreeMap<String, usize> {
        let mut states = BTreeMap::new();
        for lead in self.results().await {
            *states.entry(lead["state"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        states
    }

    /// `status --json`.
    pub async fn status(&self) -> Value {
        serde_json::from_str(&self.leadsync(&["status", "--json"]).await.ends(0).out).unwrap()
    }

    /// How often the sandbox was asked so: `create`, `find`, …
    pub fn asked(&self, operation: &str) -> u64 {
        self.sandbox.totals().operations.get(operation).copied().unwrap_or(0)
    }

    /// Fails unless the sandbox has exactly these leads, each created once.
    #[track_caller]
    pub fn has_exactly(&self, numbers: impl IntoIterator<Item = usize>) {
        let mut expected: Vec<String> = numbers.into_iter().map(email).collect();
        expected.sort();
        let mut found: Vec<String> = self.leads().into_iter().map(|lead| lead.email).collect();
        found.sort();
        assert_eq!(found, expected);
    }

    /// What the sandbox has; fails if anything was created twice.
    #[track_caller]
    pub fn leads(&self) -> Vec<LedgerLead> {
        let leads = self.sandbox.ledger().leads();
        for lead in &leads {
            assert_eq!((lead.creates, lead.repeated_creates), (1, 0), "created twice: {}", lead.email);
        }
        leads
    }

    /// Fails unless database and sandbox tell the same: what is delivered is there under that number, and nothing else.
    pub async fn agrees(&self) {
        let delivered = self.results().await.into_iter().filter(|lead| lead["state"] == "delivered");
        let mut told: Vec<(String, String)> = delivered
            .map(|lead| {
                let text = |field: &str| lead[field].as_str().unwrap_or_default().to_owned();
                (text("email").trim().to_lowercase(), text("remote_id"))
            })
            .collect();
        let mut there: Vec<(String, String)> =
            self.leads().into_iter().map(|lead| (lead.email, lead.remote_id)).collect();
        told.sort();
        there.sort();
        assert_eq!(told, there);
    }

    /// The same, with the database read by another program: for where many do so.
    #[track_caller]
    pub fn agrees_by_sql(&self) {
        let told = self.database.sql("SELECT email, remote_id FROM leads WHERE state = 'delivered'");
        let mut told: Vec<String> = told.lines().map(str::to_owned).collect();
        let mut there: Vec<String> =
            self.leads().into_iter().map(|lead| format!("{}|{}", lead.email, lead.remote_id)).collect();
        told.sort();
        there.sort();
        assert_eq!(told, there);
    }

    /// One number that SQL answers.
    pub fn number(&self, sql: &str) -> i64 {
        self.database.sql(sql).parse().unwrap()
    }

    /// Fails unless nobody holds a lead.
    pub fn nothing_is_leased(&self) {
        assert_eq!(self.number("SELECT count(*) FROM leads WHERE lease_token IS NOT NULL"), 0);
    }
}

/// The program at work.
pub struct Process {
    child: Child,
    words: JoinHandle<(String, String)>,
    /// What it has said on standard error until now.
    so_far: Arc<Mutex<Vec<u8>>>,
    secrets: Vec<String>,
    args: String,
}

impl Process {
    /// Its number.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let Some(pid) = self.child.id() else { return };
        let _ = kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal);
    }

    /// Whether it is frozen (SIGSTOP).
    pub fn is_frozen(&self) -> bool {
        let Some(pid) = self.child.id() else { return false };
        let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
        // Only a look: the runtime waits for the same process.
        let look = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), look).unwrap().is_some()
    }

    /// Whether it has said this on standard error by now.
    pub fn has_said(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.so_far.lock().unwrap()).contains(words)
    }

    /// Whether it listens to signals by now, instead of being ended by them.
    pub fn listens(&self) -> bool {
        let status = read(format!("/proc/{}/status", self.pid().as_raw_nonzero()));
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() >> (Signal::TERM.as_raw() - 1) & 1 == 1
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end. Fails if it told anything that is nobody's business.
    pub async fn ended(mut self) -> Said {
        let Ok(status) = tokio::time::timeout(PATIENCE, self.child.wait()).await else {
            self.child.kill().await.unwrap();
            let (out, err) = self.words.await.unwrap();
            panic!("`leadsync {}` does not end\nout:\n{out}\nerr:\n{err}", self.args);
        };
        let status = status.unwrap();
        let (out, err) = self.words.await.unwrap();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        let said = Said { code, out, err };
        keeps_secrets(&said.err, &self.secrets, &self.args);
        said
    }
}

/// Whether what a key of this name holds must never be said.
fn is_secret(name: &str) -> bool {
    let names = ["token", "access_token", "refresh_token", "password", "key", "auth_key"];
    name.contains("secret") || names.contains(&name)
}

/// Fails if what is said holds an e-mail address, a lead's name, a token or a secret.
fn keeps_secrets(said: &str, secrets: &[String], args: &str) {
    let lower = said.to_lowercase();
    for word in [FIRST_NAME, LAST_NAME] {
        assert!(!lower.contains(&word.to_lowercase()), "`leadsync {args}` tells a name:\n{said}");
    }
    for secret in secrets {
        assert!(!said.contains(secret), "`leadsync {args}` tells a secret:\n{said}");
    }
    // `a@b`; the sign alone is a word of our own messages.
    let address = said
        .as_bytes()
        .windows(3)
        .any(|it| it[1] == b'@' && !it[0].is_ascii_whitespace() && it[2].is_ascii_alphanumeric());
    assert!(!address, "`leadsync {args}` tells an address:\n{said}");
    assert!(!said.contains("panicked"), "`leadsync {args}` panicked:\n{said}");
}

/// Waits until something has happened.
#[track_caller]
pub fn until(what: &str, mut happened: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let what = what.to_owned();
    async move {
        let began = Instant::now();
        while !happened() {
            assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

/// A file's text.
pub fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}
