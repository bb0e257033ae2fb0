//! Which version a schema has, and whether it is ours at all.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migrator};

use super::error::failed;
use super::rows::StandingRow;
use super::{Result, SchemaStatus, StoreError};

/// Our migrations, in a table of our own, so that another program in the same schema can use sqlx too. Locking is the
/// caller's transaction, since sqlx's own is tied to a session and would get lost behind a connection pooler.
pub(super) fn ours(mut migrator: Migrator) -> Migrator {
    migrator.dangerous_set_table_name(Cow::Borrowed("_leadsync_migrations"));
    migrator.set_locking(false);
    migrator
}

/// Whether there is a version to be read.
///
/// # Errors
/// [`StoreError::NotOurs`] if there is a table `leads`, but none of our migrations.
pub(super) fn has_versions(standing: &StandingRow) -> Result<bool> {
    match standing {
        StandingRow { leads: true, ours: false } => Err(StoreError::NotOurs),
        standing => Ok(standing.ours),
    }
}

/// # Errors
/// [`StoreError::SchemaNewer`].
pub(super) fn status(migrator: &Migrator, found: i64) -> Result<SchemaStatus> {
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(StoreError::SchemaNewer { found, known });
    }
    Ok(SchemaStatus { applied: found, known })
}

pub(super) fn migration_failed(error: MigrateError) -> StoreError {
    let unreadable = |what: String| StoreError::Unreadable { what };
    match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => failed("migrate")(source),
        MigrateError::VersionMismatch(version) => {
            unreadable(format!("migration {version} was applied with another content than this leadsync has"))
        }
        MigrateError::VersionMissing(version) => {
            unreadable(format!("migration {version} was applied, but this leadsync does not have it"))
        }
        other => unreadable(format!("its migrations: {other}")),
    }
}
