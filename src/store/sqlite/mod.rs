//! SQLite: one machine, one file. WAL with `synchronous=FULL`, so that what is committed survives a power cut; one
//! connection writes, a few read. Every write begins with `BEGIN IMMEDIATE`: it waits its turn at the start instead of
//! failing in the middle.

#[path = "../ops/commit.rs"]
mod commit;
#[path = "../ops/ledger.rs"]
mod ledger;
mod place;
#[path = "../ops/places.rs"]
mod places;
#[path = "../ops/queue.rs"]
mod queue;
#[path = "../ops/vault.rs"]
mod vault;
#[path = "../ops/version.rs"]
mod version;

use std::path::PathBuf;
use std::time::Instant;

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use super::error::{failed, sqlite_code};
use super::{BUSY_TIMEOUT, Result, SchemaStatus, Store, StoreError};
use super::{durable, schema};
use crate::clock::Timestamp;

/// The driver.
pub(super) type Db = sqlx::Sqlite;
type Tx = sqlx::Transaction<'static, Db>;

mod sql {
    crate::store::sql::statements!("sqlite");
}

/// Connections that only read, besides the one that writes.
const READERS: u32 = 4;

/// An open SQLite database.
pub(super) struct Handle {
    writer: SqlitePool,
    readers: SqlitePool,
    path: PathBuf,
}

impl Handle {
    /// Opens the file behind `sqlite://…`. If it is missing: creates it (readable by its owner only) where `create`, else
    /// refuses.
    pub(super) async fn open(url: &str, create: bool) -> Result<Self> {
        let path = place::path(url)?;
        place::prepare(&path, create)?;
        #[cfg(unix)]
        if let Some(warning) = place::open_to_all(&path) {
            tracing::warn!("{warning}");
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        first_connection(&options, &path).await?;
        let pool = |max| {
            SqlitePoolOptions::new()
                .max_connections(max)
                .acquire_timeout(BUSY_TIMEOUT * 2)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .before_acquire(|connection, _| Box::pin(is_at_rest(connection)))
        };
        let writer = pool(1).connect_lazy_with(options.clone());
        let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "on"));
        Ok(Self { writer, readers, path })
    }

    async fn begin(&self, doing: &'static str) -> Result<Tx> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(doing))
    }

    /// For `pick`: SQLite needs no advice.
    async fn begin_picking(&self, doing: &'static str) -> Result<Tx> {
        self.begin(doing).await
    }

    /// What time it is for this transaction: all processes are on one machine, so its clock is theirs.
    async fn time_in(&self, _: &mut Tx, now: Timestamp) -> Result<Timestamp> {
        Ok(now)
    }

    /// For turns, which are given one after the other: so is every write.
    async fn begin_turns(&self, doing: &'static str) -> Result<Tx> {
        self.begin(doing).await
    }

    async fn begin_read(&self, doing: &'static str) -> Result<Tx> {
        self.readers.begin().await.map_err(failed(doing))
    }
}

/// Whether a connection is in no transaction. When a write fails for lack of room, SQLite may roll back by itself, and the
/// driver, whose own rollback then fails, counts that transaction as open for ever. Such a connection is replaced.
async fn is_at_rest(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    if connection.is_in_transaction() {
        // It may be a rollback that is only on its way: the answer comes after it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Connects once, to say clearly what is wrong, and to switch the file to WAL. That switch needs the file for a moment,
/// and SQLite doesn't wait for it as it does for locks.
async fn first_connection(options: &SqliteConnectOptions, path: &std::path::Path) -> Result<()> {
    let started = Instant::now();
    loop {
        let error = match options.connect().await {
            Ok(connection) => return connection.close().await.map_err(failed("open")),
            Err(error) => error,
        };
        let code = error.as_database_error().and_then(|said| said.code()).map_or(0, |code| sqlite_code(&code));
        let bad = |what: &str| Err(StoreError::BadUrl { what: format!("`{}` {what}", path.display()) });
        match code {
            5 | 6 if started.elapsed() < BUSY_TIMEOUT => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            8 => return bad("can't be written to; make it and its directory writable"),
            14 => return bad("can't be opened; its directory must be writable"),
            26 => return bad("is a file, but no SQLite database; name another one"),
            _ => return Err(failed("open")(error)),
        }
    }
}

fn migrator() -> Migrator {
    schema::ours(sqlx::migrate!("migrations/sqlite"))
}

#[async_trait]
impl Store for Handle {
    async fn migrate(&self) -> Result<SchemaStatus> {
        // The write lock makes two processes take turns; all pending migrations are one transaction.
        let mut tx = self.begin("migrate").await?;
        let status = version::migrate(&mut tx, &migrator()).await?;
        durable::commit(tx, "migrate").await?;
        Ok(status)
    }

    async fn schema_status(&self) -> Result<SchemaStatus> {
        let mut tx = self.begin_read("schema_status").await?;
        version::status(&mut tx, &migrator()).await
    }

    async fn server_time(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }

    async fn durability(&self) -> Result<Vec<(&'static str, String)>> {
        let err = failed("durability");
        let mut tx = self.begin("durability").await?;
        let mut found = Vec::new();
        for (name, text) in [
            ("journal_mode", "SELECT journal_mode FROM pragma_journal_mode"),
            ("synchronous", "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous"),
            ("foreign_keys", "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys"),
            ("busy_timeout", "SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout"),
        ] {
            found.push((name, sqlx::query_scalar::<Db, String>(text).fetch_one(&mut *tx).await.map_err(&err)?));
        }
        Ok(found)
    }

    fn location(&self) -> String {
        format!("sqlite://{}", self.path.display())
    }

    async fn close(&self) {
        self.readers.close().await;
        // The last connection to close folds the log in.
        self.writer.close().await;
    }
}
