//! The way out of every transaction that writes.

use super::Result;
use super::error::failed;
use crate::crash::{self, At};

/// Makes a transaction durable; `doing` names it, for errors and for those who want to see it die here.
///
/// # Errors
/// As the database says. Whether it is durable is not known then.
pub(super) async fn commit<D: sqlx::Database>(tx: sqlx::Transaction<'static, D>, doing: &'static str) -> Result<()> {
    crash::point(doing, At::BeforeCommit);
    tx.commit().await.map_err(failed(doing))?;
    crash::point(doing, At::AfterCommit);
    Ok(())
}
