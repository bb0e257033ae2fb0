//! A database of its own for each test, SQLite or Postgres, opened through the same door as in production.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use leadsync::config::DatabaseSettings;
use leadsync::secret::Secret;
use leadsync::store::{Store, open, open_ready};

use super::postgres::{Cluster, postgres};

/// An empty, migrated database that goes away with this value.
pub struct TestDatabase {
    /// Where it is, as production would be told.
    pub settings: DatabaseSettings,
    pub store: Arc<dyn Store>,
    pub kind: Kind,
    _file: Option<tempfile::TempDir>,
}

/// The name wants quoting, as somebody's will.
fn new_schema() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("Test \"{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl TestDatabase {
    /// An empty database, migrated.
    pub async fn new(kind: Kind) -> Self {
        let mut database = Self::blank(kind).await;
        database.store = open_ready(&database.settings, true).await.expect("a fresh database can be migrated");
        database
    }

    /// An empty database, not migrated.
    pub async fn blank(kind: Kind) -> Self {
        let (file, url, schema) = match kind {
            Kind::Sqlite => {
                let dir = tempfile::tempdir().expect("a temporary directory can be made");
                let url = format!("sqlite://{}", dir.path().join("test.db").display());
                (Some(dir), url, "public".to_owned())
            }
            Kind::Postgres => (None, postgres().url.clone(), new_schema()),
        };
        Self::at(kind, url, schema, file).await
    }

    /// The same on a server that the test may stop.
    pub async fn blank_on(cluster: &Cluster) -> Self {
        Self::at(Kind::Postgres, cluster.url.clone(), new_schema(), None).await
    }

    async fn at(kind: Kind, url: String, schema: String, file: Option<tempfile::TempDir>) -> Self {
        let settings = DatabaseSettings { url: Secret::new(url), schema, migrate: true };
        let store = open(&settings).await.expect("an empty database can be opened");
        Self { settings, store, kind, _file: file }
    }

    /// Another worker's view of the same database.
    pub async fn again(&self) -> Arc<dyn Store> {
        open(&self.settings).await.expect("it can be opened twice")
    }

    /// SQLite: the file.
    pub fn file(&self) -> PathBuf {
        PathBuf::from(self.settings.url.expose().strip_prefix("sqlite://").expect("only for SQLite"))
    }

    /// Runs SQL as another program would: through the `sqlite3` or `psql` of this machine. Returns what it printed, one
    /// row a line, columns separated by `|`.
    ///
    /// # Panics
    /// If the statement fails, with what was said.
    pub fn sql(&self, text: &str) -> String {
        self.try_sql(text).unwrap_or_else(|said| panic!("{said}\nin: {text}"))
    }

    /// Postgres: runs one statement that wants no transaction around it.
    pub fn sql_alone(&self, text: &str) {
        let program = std::process::Command::new("psql")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.settings.url.expose(), "-c", text])
            .output()
            .expect("psql can be started");
        assert!(program.status.success(), "{}", String::from_utf8_lossy(&program.stderr));
    }

    /// SQLite: another program takes the write lock, as in the middle of a long change; it has it when this returns.
    pub fn hold_lock(&self) -> LockHolder {
        use std::io::{BufRead, BufReader, Write};
        use std::process::{Command, Stdio};
        let mut child = Command::new("sqlite3")
            .args(["-batch", "-bail", "-cmd", ".timeout 20000"])
            .arg(self.file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sqlite3 can be started");
        let ask = b"BEGIN IMMEDIATE;\nSELECT 'held';\n";
        child.stdin.as_mut().expect("piped").write_all(ask).expect("it reads its input");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it answers");
        assert_eq!(line, "held\n");
        LockHolder(child)
    }

    /// As [`Self::sql`]; what was said if it fails.
    pub fn try_sql(&self, text: &str) -> Result<String, String> {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let (mut program, text) = match self.kind {
            Kind::Sqlite => {
                let mut program = Command::new("sqlite3");
                program.args(["-batch", "-bail", "-cmd", ".timeout 10000"]).arg(self.file());
                (program, text.to_owned())
            }
            Kind::Postgres => {
                let mut program = Command::new("psql");
                program.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.settings.url.expose()]);
                let schema = self.settings.schema.replace('"', "\"\"");
                (program, format!("SET client_min_messages = warning; SET search_path = \"{schema}\";\n{text}"))
            }
        };
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "these tests need `sqlite3` and `psql` (Debian: apt-get install sqlite3 postgresql-client): {error}"
                )
            });
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads its input");
        let out = child.wait_with_output().expect("it ends");
        match out.status.success() {
            true => Ok(String::from_utf8_lossy(&out.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        }
    }
}

/// Whoever holds SQLite's write lock.
#[derive(Debug)]
pub struct LockHolder(std::process::Child);

impl LockHolder {
    /// Ends the change.
    pub fn let_go(mut self) {
        use std::io::Write;
        let end = b"COMMIT;\n.quit\n";
        self.0.stdin.as_mut().expect("piped").write_all(end).expect("it reads its input");
        assert!(self.0.wait().expect("it ends").success());
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A private cluster goes as a whole; somebody's server is left as it was found.
        if self.kind == Kind::Postgres && std::env::var_os("DATABASE_URL_POSTGRES").is_some() {
            let schema = self.settings.schema.replace('"', "\"\"");
            let _ = self.try_sql(&format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE"));
        }
    }
}
