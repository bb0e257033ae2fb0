//! What accounts share: look-ups, tokens, pauses.

use super::{CallId, Fingerprint};
use crate::clock::Timestamp;

/// A look-up's answer in the cache.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedLookUp {
    pub key: Fingerprint,
    /// `Found` or `NotFound`; never `NotAsked`.
    pub answer: crate::lead::LookUp,
    pub fetched_at: Timestamp,
    /// The call it came from.
    pub call: Option<CallId>,
}

/// An access token as stored: sealed, opaque to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// Counts up by one with every refresh.
    pub generation: i64,
    /// The sealed secrets (access token, refresh token).
    pub sealed: Vec<u8>,
    pub expires_at: Timestamp,
    pub refreshed_at: Timestamp,
    /// Set once the grant is dead: only a person can log in again. In words.
    pub needs_login: Option<String>,
}

/// The answer to "may I refresh this account's token?"
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshTurn {
    /// Yes, until the turn lapses; "refresh started" is durable.
    Yours {
        /// How many refreshes from this same generation were started before and never ended: nobody knows whether the
        /// token service carried them out. 1: this is the one repeat that a rotating refresh token is good for.
        lost: u32,
    },
    /// Not before then: another worker is at it, or the last one said how long to stay away.
    Busy { until: Timestamp },
    /// The generation is no longer current: read the token again.
    Superseded,
    /// The grant is dead: only a person can log in again.
    NeedsLogin {
        /// In words.
        why: String,
    },
}

/// Why an account is not called at the moment, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub account: String,
    pub until: Timestamp,
    pub why: String,
}

impl Pause {
    /// Under what it is stored that the account's daily limit is used up: apart from what the server asks for. It is only
    /// there for people to see; what decides is the day's quota itself, which may be raised meanwhile.
    pub fn for_the_day(account: &str) -> String {
        format!("{account}#day")
    }
}
