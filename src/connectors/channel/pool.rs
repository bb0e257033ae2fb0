//! An account's rate limit, shared with other processes through the database.

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::http::limit::{Offer, Pool, PoolError, Share};
use crate::store::{PlacesAsk, Vault};

/// One process's way to the places of an account.
pub(super) struct StoredPlaces {
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
    account: String,
    holder: i64,
}

impl StoredPlaces {
    pub(super) fn new(vault: Arc<dyn Vault>, clock: Arc<dyn Clock>, account: &str) -> Self {
        Self { vault, clock, account: account.to_owned(), holder: rand::random::<i64>() & i64::MAX }
    }
}

#[async_trait]
impl Pool for StoredPlaces {
    async fn exchange(&self, offer: &Offer) -> Result<Share, PoolError> {
        let Offer { count, again, turn, ref back, near, wanted, horizon, term } = *offer;
        let ask = PlacesAsk {
            account: self.account.clone(),
            holder: self.holder,
            back: back.clone(),
            count,
            again,
            turn,
            near,
            wanted,
            horizon,
            term,
        };
        let share = self
            .vault
            .share_places(&ask, self.clock.now())
            .await
            .map_err(|error| PoolError { unavailable: error.is_unavailable(), why: error.to_string() })?;
        Ok(Share {
            places: share.places,
            spare: share.spare,
            lapsed: share.lapsed,
            now: share.now,
            next: share.next,
            pause: share.pause.map(|pause| (pause.until, pause.why)),
        })
    }
}
