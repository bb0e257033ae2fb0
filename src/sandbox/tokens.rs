//! Access tokens: issued, checked on every call, expired for real.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::operation::Api;

struct Grant {
    api: Api,
    account: String,
    expires: Instant,
}

/// The tokens that are good. They are random, so that none outlives the process that issued it.
#[derive(Default)]
pub(super) struct Tokens {
    grants: Mutex<HashMap<String, Grant>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// A new token; those issued before stay good until they expire.
    pub(super) fn issue(&self, api: Api, account: &str, ttl: Duration) -> String {
        let token = format!("sandbox.{api}.{:032x}", rand::random::<u128>());
        let now = Instant::now();
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.retain(|_, grant| grant.expires > now);
        grants.insert(token.clone(), Grant { api, account: account.to_owned(), expires: now + ttl });
        token
    }

    /// Whose token it is, if it is good for this service at this moment.
    pub(super) fn account(&self, api: Api, token: &str) -> Option<String> {
        let grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = grants.get(token).filter(|grant| grant.api == api && grant.expires > Instant::now())?;
        Some(grant.account.clone())
    }

    /// Makes one invalid.
    pub(super) fn revoke(&self, token: &str) {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// Makes all invalid.
    pub(super) fn revoke_all(&self) {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_good_for_its_service_until_it_expires() {
        let tokens = Tokens::default();
        let token = tokens.issue(Api::LiveData, "a", Duration::from_secs(60));
        assert_eq!(tokens.account(Api::LiveData, &token).as_deref(), Some("a"));
        assert_eq!(tokens.account(Api::SevenTargets, &token), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(tokens.account(Api::LiveData, &token), None);
    }
}
