//! One worker's turn at a shared rate limit. Compiled once for each database, inside its module.

use super::{Db, Handle, sql};
use crate::clock::Timestamp;
use crate::store::error::failed;
use crate::store::places::Book;
use crate::store::rows::{PauseRow, Text};
use crate::store::statement::{query, query_as, query_scalar};
use crate::store::{Pause, PlacesAsk, PlacesShare, Result, bulk, durable};

pub(super) async fn share(handle: &Handle, ask: &PlacesAsk, now: Timestamp) -> Result<PlacesShare> {
    let err = failed("share_places");
    let mut tx = handle.begin("share_places").await?;
    let lock = || query_scalar::<Db, Text>(sql::PLACES_LOCK).bind(ask.account.clone());
    let mut text = lock().fetch_optional(&mut *tx).await.map_err(&err)?;
    if text.is_none() {
        // Whoever comes first opens it; an empty text is a page to be begun.
        query::<Db>(sql::PLACES_OPEN).bind(ask.account.clone()).bind("").execute(&mut *tx).await.map_err(&err)?;
        text = lock().fetch_optional(&mut *tx).await.map_err(&err)?;
    }
    // Postgres: read under the lock, so that turns are in the order of their times. SQLite: from before the wait for it.
    let now = handle.time_in(&mut tx, now).await?;
    let mut book = Book::read(text.as_ref().map(|text| text.0.as_str()), ask, now);
    let mut share = book.turn(ask, now);
    query::<Db>(sql::PLACES_SET)
        .bind(ask.account.clone())
        .bind(bulk::json(&book))
        .execute(&mut *tx)
        .await
        .map_err(&err)?;
    let pause: Option<PauseRow> = query_as::<Db, PauseRow>(sql::PAUSED)
        .bind(ask.account.clone())
        .bind(now.ms())
        .fetch_optional(&mut *tx)
        .await
        .map_err(&err)?;
    durable::commit(tx, "share_places").await?;
    share.pause = pause.map(Pause::from);
    Ok(share)
}
