//! The schema's version, and the way to the newest. Compiled once for each database.

use crate::store::statement::{query_as, query_scalar};
use sqlx::migrate::Migrator;

use super::{Db, Tx, sql};
use crate::store::error::failed;
use crate::store::rows::StandingRow;
use crate::store::{Result, SchemaStatus, schema};

/// How the schema stands.
pub(super) async fn status(tx: &mut Tx, migrator: &Migrator) -> Result<SchemaStatus> {
    let err = failed("schema_status");
    let standing: StandingRow = query_as::<Db, _>(sql::STANDING).fetch_one(&mut **tx).await.map_err(&err)?;
    let applied = match schema::has_versions(&standing)? {
        true => query_scalar::<Db, i64>(sql::SCHEMA_VERSION).fetch_one(&mut **tx).await.map_err(&err)?,
        false => 0,
    };
    schema::status(migrator, applied)
}

/// Applies what is missing, all of it or nothing. The caller's transaction keeps other processes from doing the same.
pub(super) async fn migrate(tx: &mut Tx, migrator: &Migrator) -> Result<SchemaStatus> {
    status(tx, migrator).await?;
    migrator.run_direct(None, &mut **tx, false).await.map_err(schema::migration_failed)?;
    status(tx, migrator).await
}
