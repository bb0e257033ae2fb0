//! From a statement's text to a query. Used instead of sqlx's functions of the same names, since those give every prepared
//! statement a name on Postgres, even where they don't keep it: names collide behind a pooler in transaction mode, where
//! sessions change hands, and are never given back.

use sqlx::database::HasStatementCache;
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{Database, FromRow, Postgres, Sqlite};

/// Whether this database's connections keep statements: in SQLite they are nobody else's, and preparing anew costs time.
pub(super) trait Statements: Database + HasStatementCache {
    const KEPT: bool;
}

impl Statements for Sqlite {
    const KEPT: bool = true;
}

impl Statements for Postgres {
    const KEPT: bool = false;
}

/// As [`sqlx::query()`].
pub(super) fn query<'q, DB: Statements>(text: &'static str) -> Query<'q, DB, DB::Arguments> {
    sqlx::query(text).persistent(DB::KEPT)
}

/// As [`sqlx::query_as()`].
pub(super) fn query_as<'q, DB: Statements, O>(text: &'static str) -> QueryAs<'q, DB, O, DB::Arguments>
where
    O: for<'r> FromRow<'r, DB::Row>,
{
    sqlx::query_as(text).persistent(DB::KEPT)
}

/// As [`sqlx::query_scalar()`].
pub(super) fn query_scalar<'q, DB: Statements, O>(text: &'static str) -> QueryScalar<'q, DB, O, DB::Arguments>
where
    (O,): for<'r> FromRow<'r, DB::Row>,
{
    sqlx::query_scalar(text).persistent(DB::KEPT)
}
