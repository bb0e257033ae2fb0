//! From an address to a database.

use std::sync::Arc;

use super::{Result, SchemaStatus, Store, StoreError, postgres, sqlite};
use crate::config::DatabaseSettings;

/// Opens the database, without migrating it.
///
/// SQLite: `sqlite://path`, relative to the working directory; the file is created if it is missing, readable by its owner
/// only. Postgres: `postgres://…` or `postgresql://…`, also over a Unix socket (`postgres:///db?host=/dir`).
///
/// # Errors
/// [`StoreError::BadUrl`] with what is wrong in words; [`StoreError::Unavailable`] if nobody answers;
/// [`StoreError::NotOurs`] and [`StoreError::SchemaNewer`] before anything was touched.
pub async fn open(settings: &DatabaseSettings) -> Result<Arc<dyn Store>> {
    connect(settings, true).await
}

/// The same for commands that only look or decide: a SQLite file that is missing stays missing.
///
/// # Errors
/// As [`open`]; [`StoreError::BadUrl`] if there is no such file.
pub async fn open_existing(settings: &DatabaseSettings) -> Result<Arc<dyn Store>> {
    connect(settings, false).await
}

async fn connect(settings: &DatabaseSettings, create: bool) -> Result<Arc<dyn Store>> {
    let url = settings.url.expose();
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let store: Arc<dyn Store> = match scheme.as_deref() {
        Some("sqlite") => Arc::new(sqlite::Handle::open(url, create).await?),
        Some("postgres" | "postgresql") => Arc::new(postgres::Handle::open(url, &settings.schema).await?),
        // Not repeated: without a scheme we know, any part of it may be a password.
        _ => {
            return Err(StoreError::BadUrl {
                what: "expected an address that begins with `sqlite://` or `postgres://`".to_owned(),
            });
        }
    };
    store.schema_status().await?;
    Ok(store)
}

/// Opens the database and brings its schema up to date if `migrate`, else insists that it is.
///
/// # Errors
/// As [`open`]; [`StoreError::SchemaOlder`] if it is older and must not be migrated.
pub async fn open_ready(settings: &DatabaseSettings, migrate: bool) -> Result<Arc<dyn Store>> {
    let store = open(settings).await?;
    let SchemaStatus { applied, known } = store.schema_status().await?;
    if applied < known {
        if !migrate {
            store.close().await;
            return Err(StoreError::SchemaOlder { found: applied, known });
        }
        store.migrate().await?;
    }
    Ok(store)
}
