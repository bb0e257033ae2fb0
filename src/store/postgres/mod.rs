//! Postgres: several workers on several machines share one queue.
//!
//! Nothing depends on the session: settings are made with `SET LOCAL` in the same round trip as `BEGIN`, locks end with
//! their transaction, and statements have no names ([`super::statement`]). So it works behind a pooler in transaction
//! mode.

mod address;
#[path = "../ops/commit.rs"]
mod commit;
#[path = "../ops/ledger.rs"]
mod ledger;
#[path = "../ops/places.rs"]
mod places;
#[path = "../ops/queue.rs"]
mod queue;
#[path = "../ops/vault.rs"]
mod vault;
#[path = "../ops/version.rs"]
mod version;

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool};

use super::error::failed;
use super::statement::{query, query_scalar};
use super::{BUSY_TIMEOUT, Result, SchemaStatus, Store, StoreError};
use super::{durable, schema};
use crate::clock::Timestamp;

/// The driver.
pub(super) type Db = sqlx::Postgres;
type Tx = sqlx::Transaction<'static, Db>;

mod sql {
    crate::store::sql::statements!("postgres");
    pub(super) const SERVER_TIME: &str = include_str!("../sql/server_time.postgres.sql");
}

/// Connections at most. The writer task, the leaser, the heartbeat and the token refresh work at the same time.
const CONNECTIONS: u32 = 5;

/// No statement of ours takes that long; one that does is stuck.
const STATEMENT_TIMEOUT_MS: u32 = 60_000;

/// A worker that froze in a transaction must not keep its locks for ever.
const IDLE_TIMEOUT_MS: u32 = 60_000;

/// The advisory lock under which migrations run: `leadsync` in ASCII.
const MIGRATION_LOCK: i64 = 0x6c65_6164_7379_6e63;

/// The advisory lock under which runs begin and renew their turns: `leadturn` in ASCII.
const TURN_LOCK: i64 = 0x6c65_6164_7475_726e;

/// An open Postgres database.
pub(super) struct Handle {
    pool: PgPool,
    /// Quoted.
    schema: String,
    schema_name: String,
    location: String,
}

impl Handle {
    /// Connects to `postgres://…`; the tables are in `schema`.
    pub(super) async fn open(url: &str, schema: &str) -> Result<Self> {
        if schema.is_empty() || schema.contains('\0') {
            return Err(StoreError::BadUrl { what: "`database.schema` must name a schema, e.g. `public`".to_owned() });
        }
        let (options, location) = address::parse(url)?;
        let options = options
            .application_name("leadsync")
            // Poolers refuse what they don't know at start-up.
            .extra_float_digits(None)
            .disable_statement_logging();
        first_connection(&options, &location).await?;
        let pool =
            PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(BUSY_TIMEOUT).connect_lazy_with(options);
        let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
        Ok(Self { pool, schema: quoted, schema_name: schema.to_owned(), location })
    }

    async fn begin(&self, doing: &'static str) -> Result<Tx> {
        self.begin_as("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", "", doing).await
    }

    /// For `pick`: walks the index of what is due in its order. Left alone, the planner may collect and sort all of a
    /// large import for every handful of leads, since it has no statistics on a table just filled.
    async fn begin_picking(&self, doing: &'static str) -> Result<Tx> {
        let advice = "; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off";
        self.begin_as("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", advice, doing).await
    }

    /// What time it is at this moment by the server's clock.
    async fn time_in(&self, tx: &mut Tx, _: Timestamp) -> Result<Timestamp> {
        let ms = query_scalar::<Db, i64>(sql::SERVER_TIME).fetch_one(&mut **tx).await.map_err(failed("server_time"))?;
        Ok(Timestamp::from_ms(ms))
    }

    /// For turns, which are given one after the other.
    async fn begin_turns(&self, doing: &'static str) -> Result<Tx> {
        let mut tx = self.begin(doing).await?;
        query::<Db>("SELECT pg_advisory_xact_lock($1)")
            .bind(TURN_LOCK)
            .execute(&mut *tx)
            .await
            .map_err(failed(doing))?;
        Ok(tx)
    }

    /// One snapshot for all that is read.
    async fn begin_read(&self, doing: &'static str) -> Result<Tx> {
        self.begin_as("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "", doing).await
    }

    async fn begin_as(&self, begin: &'static str, advice: &'static str, doing: &'static str) -> Result<Tx> {
        let Self { schema, .. } = self;
        let lock_ms = BUSY_TIMEOUT.as_millis();
        // The schema's name is quoted; everything else is ours.
        let text = AssertSqlSafe(format!(
            "{begin}; SET LOCAL search_path = {schema}; SET LOCAL synchronous_commit = on; \
             SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}; SET LOCAL lock_timeout = {lock_ms}; \
             SET LOCAL idle_in_transaction_session_timeout = {IDLE_TIMEOUT_MS}{advice}"
        ));
        self.pool.begin_with(text).await.map_err(failed(doing))
    }
}

/// Connects once, to say clearly what is wrong instead of trying again until a timeout.
async fn first_connection(options: &PgConnectOptions, location: &str) -> Result<()> {
    let error = match tokio::time::timeout(BUSY_TIMEOUT, options.connect()).await {
        Ok(Ok(connection)) => return connection.close().await.map_err(failed("open")),
        Ok(Err(error)) => error,
        Err(_) => return Err(StoreError::Unavailable { what: format!("{location} does not answer") }),
    };
    let code = error.as_database_error().and_then(|said| said.code()).unwrap_or_default().into_owned();
    let bad = |what: &str| StoreError::BadUrl { what: format!("{location}: {what}") };
    Err(match (&*code, error) {
        ("3D000", _) => bad("there is no such database; create it first"),
        ("28P01", _) => bad("the server refused the password"),
        ("28000", _) => bad("the server refused the login; check the user and the server's pg_hba.conf"),
        ("42501", _) => bad("the user may not connect to this database"),
        (_, sqlx::Error::Io(source)) => StoreError::Unavailable { what: format!("{location}: {}", io_words(&source)) },
        (_, sqlx::Error::Tls(_)) => bad("the TLS connection could not be made; check `sslmode` and the certificates"),
        (_, sqlx::Error::Configuration(_)) => bad("its parameters can't be used; check certificates and `sslmode`"),
        (_, error) => failed("open")(error),
    })
}

/// A failed name resolution has no kind of its own.
fn io_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    if text.contains("lookup address") {
        return "the host's name can't be resolved; check the address, and the network's name server".to_owned();
    }
    error.kind().to_string()
}

/// Takes the names away from the session's statements: behind a pooler it is somebody else's next.
async fn forget_statements(tx: &mut Tx) -> sqlx::Result<()> {
    let text = "DO $$ DECLARE named text; BEGIN
        FOR named IN SELECT name FROM pg_prepared_statements WHERE name LIKE 'sqlx\\_s\\_%' LOOP
            EXECUTE 'DEALLOCATE ' || quote_ident(named);
        END LOOP; END $$";
    sqlx::raw_sql(text).execute(&mut **tx).await.map(drop)
}

fn migrator() -> Migrator {
    schema::ours(sqlx::migrate!("migrations/postgres"))
}

#[async_trait]
impl Store for Handle {
    async fn migrate(&self) -> Result<SchemaStatus> {
        let err = failed("migrate");
        let mut tx = self.begin("migrate").await?;
        // Waiting for another process's migration may take as long as that takes.
        sqlx::raw_sql("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
            .execute(&mut *tx)
            .await
            .map_err(&err)?;
        query::<Db>("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *tx).await.map_err(&err)?;
        let exists: bool = query_scalar::<Db, bool>("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
            .bind(self.schema_name.clone())
            .fetch_one(&mut *tx)
            .await
            .map_err(&err)?;
        // Asked first: `IF NOT EXISTS` wants the right to create schemas even where there is nothing to create.
        if !exists {
            let create = AssertSqlSafe(format!("CREATE SCHEMA {}", self.schema));
            sqlx::raw_sql(create).execute(&mut *tx).await.map_err(&err)?;
        }
        // sqlx names the statements with which it migrates.
        forget_statements(&mut tx).await.map_err(&err)?;
        let status = version::migrate(&mut tx, &migrator()).await?;
        forget_statements(&mut tx).await.map_err(&err)?;
        durable::commit(tx, "migrate").await?;
        Ok(status)
    }

    async fn schema_status(&self) -> Result<SchemaStatus> {
        let mut tx = self.begin_read("schema_status").await?;
        version::status(&mut tx, &migrator()).await
    }

    async fn server_time(&self) -> Result<Option<Timestamp>> {
        let mut tx = self.begin_read("server_time").await?;
        self.time_in(&mut tx, Timestamp::default()).await.map(Some)
    }

    async fn durability(&self) -> Result<Vec<(&'static str, String)>> {
        let err = failed("durability");
        let mut tx = self.begin("durability").await?;
        let mut found = Vec::new();
        for name in ["synchronous_commit", "fsync", "full_page_writes", "transaction_isolation", "search_path"] {
            let value = query_scalar::<Db, String>("SELECT current_setting($1)").bind(name);
            found.push((name, value.fetch_one(&mut *tx).await.map_err(&err)?));
        }
        Ok(found)
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
