//! What accounts share: look-ups, tokens, pauses.

use std::time::Duration;

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
    /// Host, process and run, for people. `None`: stored before that was kept.
    pub refreshed_by: Option<String>,
    /// Set once the grant is dead: only a person can log in again. In words.
    pub needs_login: Option<String>,
}

/// How an account's token stands, for those who look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStanding {
    /// What it is stored under.
    pub account: String,
    /// Of generation 0 if there is none: the grant was dead before it gave one, or the first refresh never ended.
    pub token: StoredToken,
    /// A refresh was begun and its end was not told: nobody else begins one before then.
    pub refreshing_until: Option<Timestamp>,
}

/// One refresh, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRefresh {
    /// What the token is stored under.
    pub account: String,
    /// The token that it brought.
    pub generation: i64,
    pub refreshed_at: Timestamp,
    pub expires_at: Timestamp,
    /// As [`StoredToken::refreshed_by`].
    pub refreshed_by: Option<String>,
}

/// How long refreshes stay in the log, and how many of an account at most.
pub const REFRESHES_KEPT_FOR: Duration = Duration::from_secs(48 * 3600);
/// As above.
pub const REFRESHES_KEPT: i64 = 500;

/// Where a sealed value is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealedAt {
    /// A key of ours, by name.
    Key(String),
    /// The tokens of an account, by what they are stored under.
    Token(String),
}

impl SealedAt {
    /// What the value is bound to, so that it opens nowhere else: table, row and column.
    pub fn place(&self) -> String {
        match self {
            Self::Key(name) => format!("sealed_keys|{name}|key"),
            Self::Token(account) => format!("tokens|{account}|sealed"),
        }
    }
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
    /// A pause of the account that is stored under this key.
    pub fn of(account: &str, until: Timestamp, why: impl Into<String>) -> Self {
        Self { account: account.to_owned(), until, why: why.into() }
    }

    /// Under what it is stored that the account's daily limit is used up: apart from what the server asks for. It is only
    /// there for people to see; what decides is the day's quota itself, which may be raised meanwhile.
    pub fn for_the_day(account: &str) -> String {
        format!("{account}#day")
    }
}

/// A pause that a person asked for. Only a person ends it early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandPause {
    /// A destination's name, or `enrich`: as in the configuration, whatever account that is.
    pub name: String,
    pub since: Timestamp,
    /// `None`: until somebody lifts it.
    pub until: Option<Timestamp>,
    /// In that person's words.
    pub why: Option<String>,
    /// Who, for the colleagues.
    pub by: String,
}
