//! Addresses, schemas, versions, settings.

use std::collections::BTreeMap;

use leadsync::config::DatabaseSettings;
use leadsync::secret::Secret;
use leadsync::store::{SchemaStatus, StoreError, open, open_ready};

use crate::bench::{Bench, NOW, new_lead};
use crate::support::database::{Kind, TestDatabase};
use crate::support::postgres::postgres;

cases![what_is_committed_is_durable_by_the_databases_own_settings, the_clock_is_the_databases_where_it_has_one];

async fn what_is_committed_is_durable_by_the_databases_own_settings(bench: Bench) {
    let settings: BTreeMap<_, _> = bench.durability().await.unwrap().into_iter().collect();
    let wanted: &[(&str, &str)] = match bench.database.kind {
        Kind::Sqlite => {
            &[("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1"), ("busy_timeout", "10000")]
        }
        Kind::Postgres => &[("synchronous_commit", "on"), ("fsync", "on"), ("transaction_isolation", "read committed")],
    };
    for (name, value) in wanted {
        assert_eq!(settings.get(name).map(String::as_str), Some(*value), "{name}");
    }
}

async fn the_clock_is_the_databases_where_it_has_one(bench: Bench) {
    let time = bench.server_time().await.unwrap();
    match bench.database.kind {
        Kind::Sqlite => assert_eq!(time, None),
        Kind::Postgres => {
            let told: i64 = bench.database.sql("SELECT (extract(epoch FROM now()) * 1000)::bigint").parse().unwrap();
            assert!((time.unwrap().ms() - told).abs() < 60_000);
        }
    }
}

/// On each database, from an empty one that is not migrated.
macro_rules! blank_cases {
    ($($case:ident),* $(,)?) => {
        mod blank_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::TestDatabase::blank(super::Kind::Sqlite).await).await; })*
        }
        mod blank_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::TestDatabase::blank(super::Kind::Postgres).await).await; })*
        }
    };
}

blank_cases![
    an_older_schema_is_migrated_only_if_allowed,
    four_processes_may_migrate_at_once,
    a_newer_schema_is_refused,
    a_foreign_leads_table_is_refused_and_left_alone,
    the_location_shows_no_credentials,
    a_closed_database_says_so,
];

async fn an_older_schema_is_migrated_only_if_allowed(database: TestDatabase) {
    let known = database.store.schema_status().await.unwrap().known;
    assert!(known > 0);
    let said = open_ready(&database.settings, false).await.err().unwrap();
    assert!(matches!(said, StoreError::SchemaOlder { found: 0, .. }), "{said}");
    open_ready(&database.settings, true).await.unwrap();
    let store = open_ready(&database.settings, false).await.unwrap();
    assert_eq!(store.migrate().await.unwrap(), SchemaStatus { applied: known, known }, "migrating again does nothing");
}

async fn four_processes_may_migrate_at_once(database: TestDatabase) {
    let database = &database;
    let all = futures_util::future::join_all((0..4).map(|_| async move {
        let store = open(&database.settings).await?;
        store.migrate().await
    }));
    for status in all.await {
        let status = status.unwrap();
        assert_eq!(status.applied, status.known);
    }
    let run = database.store.begin_run("run", NOW).await.unwrap();
    database.store.enqueue(run, &[new_lead("a@example.com")], NOW).await.unwrap();
}

async fn a_newer_schema_is_refused(database: TestDatabase) {
    database.store.migrate().await.unwrap();
    database.sql("UPDATE _leadsync_migrations SET version = 9999 WHERE version = 1");
    for said in [
        open(&database.settings).await.err().unwrap(),
        open_ready(&database.settings, true).await.err().unwrap(),
        database.store.migrate().await.unwrap_err(),
    ] {
        assert!(matches!(said, StoreError::SchemaNewer { found: 9999, .. }), "{said}");
    }
}

async fn a_foreign_leads_table_is_refused_and_left_alone(database: TestDatabase) {
    let create = "CREATE TABLE leads (name TEXT); INSERT INTO leads VALUES ('theirs');";
    match database.kind {
        Kind::Sqlite => database.sql(create),
        Kind::Postgres => {
            let schema = database.settings.schema.replace('"', "\"\"");
            database.sql(&format!("CREATE SCHEMA \"{schema}\"; {create}"))
        }
    };
    for said in [
        open(&database.settings).await.err().unwrap(),
        open_ready(&database.settings, true).await.err().unwrap(),
        database.store.migrate().await.unwrap_err(),
    ] {
        assert!(matches!(said, StoreError::NotOurs), "{said}");
    }
    assert_eq!(database.sql("SELECT * FROM leads"), "theirs");
}

async fn the_location_shows_no_credentials(database: TestDatabase) {
    let location = database.store.location();
    match database.kind {
        Kind::Sqlite => assert_eq!(location, database.settings.url.expose()),
        Kind::Postgres => {
            assert!(location.starts_with("postgres://") && !location.contains("user="), "{location}");
        }
    }
}

async fn a_closed_database_says_so(database: TestDatabase) {
    database.store.migrate().await.unwrap();
    database.store.close().await;
    let said = database.store.state_counts().await.unwrap_err();
    assert!(said.is_unavailable(), "{said}");
    if database.kind == Kind::Sqlite {
        let log = database.file().with_extension("db-wal");
        assert!(!log.exists(), "the log was not folded in");
    }
}

#[tokio::test]
async fn both_schemas_have_the_same_tables_and_columns() {
    let sqlite = TestDatabase::new(Kind::Sqlite).await;
    let postgres = TestDatabase::new(Kind::Postgres).await;
    let of_sqlite = sqlite.sql(
        "SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY 1;",
    );
    let of_postgres = postgres.sql(
        "SELECT (table_name || '.' || column_name) COLLATE \"C\" FROM information_schema.columns
         WHERE table_schema = current_schema() ORDER BY 1;",
    );
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(lines(&of_sqlite), lines(&of_postgres));
    assert!(of_sqlite.contains("leads.custom_fields"));

    let indexes_of_sqlite = sqlite.sql("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL;");
    let indexes_of_postgres = postgres
        .sql("SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND indexname NOT LIKE '%_pkey';");
    assert_eq!(lines(&indexes_of_sqlite), lines(&indexes_of_postgres));

    let names = |folder: &str| -> std::collections::BTreeSet<String> {
        let files = std::fs::read_dir(format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

fn settings(url: &str) -> DatabaseSettings {
    DatabaseSettings { url: Secret::new(url), schema: "public".to_owned(), migrate: true }
}

async fn refused(url: &str) -> String {
    let said = open(&settings(url)).await.err().unwrap();
    let text = format!("{said} {said:?}");
    assert!(!text.contains("s3cret"), "{text}");
    said.to_string()
}

#[tokio::test]
async fn addresses_that_can_not_be_used_are_explained_without_credentials() {
    for url in ["mysql://ann:s3cret@host/db", "ann:s3cret@host", "", "leadsync.db"] {
        assert!(refused(url).await.contains("begins with `sqlite://` or `postgres://`"), "{url}");
    }
    assert!(refused("postgres://ann:s3cret@host:port/db").await.contains("not a usable Postgres address"));
    let said = refused("postgres://ann:s3cret@127.0.0.1:1/db").await;
    assert!(said.contains("can't be reached") && said.contains("127.0.0.1:1"), "{said}");
    let said = refused(&postgres().url_of("no_such_database")).await;
    assert!(said.contains("no such database") || said.contains("can't be reached"), "{said}");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("letter.txt");
    std::fs::write(&path, "Dear reader, this file is no database at all. ".repeat(100)).unwrap();
    let said = refused(&format!("sqlite://{}", path.display())).await;
    assert!(said.contains("no SQLite database"), "{said}");
    assert!(refused(&format!("sqlite://{}", dir.path().display())).await.contains("is a directory"));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_a_new_sqlite_file() {
    use std::os::unix::fs::PermissionsExt;
    let database = TestDatabase::new(Kind::Sqlite).await;
    for suffix in ["db", "db-wal", "db-shm"] {
        let mode = std::fs::metadata(database.file().with_extension(suffix)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}

#[tokio::test]
async fn a_connection_that_the_server_cuts_is_replaced() {
    // A database of its own, since the connections of all tests look alike.
    let admin = TestDatabase::blank(Kind::Postgres).await;
    let name = format!("cut_{}", std::process::id());
    admin.sql_alone(&format!("DROP DATABASE IF EXISTS {name}"));
    admin.sql_alone(&format!("CREATE DATABASE {name}"));
    let store = open_ready(&settings(&postgres().url_of(&name)), true).await.unwrap();
    let run = store.begin_run("run", NOW).await.unwrap();
    admin.sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    store.enqueue(run, &[new_lead("a@example.com")], NOW).await.unwrap();
    assert_eq!(store.state_counts().await.unwrap()[0].count, 1);
    store.close().await;
    admin.sql_alone(&format!("DROP DATABASE {name}"));
}

#[tokio::test]
async fn a_transaction_that_sqlite_undid_by_itself_spoils_nothing_after_it() {
    let bench = Bench::new(Kind::Sqlite).await;
    // As a full disk does: the whole transaction is rolled back, not only the statement.
    bench.database.sql("CREATE TRIGGER undo BEFORE INSERT ON leads BEGIN SELECT RAISE(ROLLBACK, 'undone'); END");
    for _ in 0..2 {
        let said = bench.enqueue(bench.run, &[new_lead("a@example.com")], NOW).await.unwrap_err();
        assert!(matches!(said, StoreError::Failed { doing: "enqueue", .. }), "{said}");
    }
    bench.database.sql("DROP TRIGGER undo");
    bench.enqueue(bench.run, &[new_lead("a@example.com")], NOW).await.unwrap();
    assert_eq!(bench.database.sql("SELECT count(*) FROM leads"), "1", "committed, and seen by others");
}
