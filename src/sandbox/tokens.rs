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
    /// Space separated; empty where a service knows none.
    scope: String,
    expires: Instant,
}

/// Of a token that was good when it was looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) account: String,
    /// What it was granted, space separated.
    pub(super) scope: String,
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
    pub(super) fn issue(&self, api: Api, account: &str, scope: &str, ttl: Duration) -> String {
        let token = format!("sandbox.{api}.{:032x}", rand::random::<u128>());
        let now = Instant::now();
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.retain(|_, grant| grant.expires > now);
        let (account, scope) = (account.to_owned(), scope.to_owned());
        grants.insert(token.clone(), Grant { api, account, scope, expires: now + ttl });
        token
    }

    /// Whose token it is and what it may, if it is good for this service at this moment: told at once, since it may be
    /// revoked at the next.
    pub(super) fn known(&self, api: Api, token: &str) -> Option<Known> {
        let grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = grants.get(token).filter(|grant| grant.api == api && grant.expires > Instant::now())?;
        Some(Known { account: grant.account.clone(), scope: grant.scope.clone() })
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
    use super::super::live_data::API as LIVE_DATA;
    use super::super::seven_targets::API as SEVEN_TARGETS;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_good_for_its_service_until_it_expires() {
        let tokens = Tokens::default();
        let token = tokens.issue(LIVE_DATA, "a", "read", Duration::from_secs(60));
        assert_eq!(tokens.known(LIVE_DATA, &token), Some(Known { account: "a".into(), scope: "read".into() }));
        assert_eq!(tokens.known(SEVEN_TARGETS, &token), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(tokens.known(LIVE_DATA, &token), None);
    }
}
