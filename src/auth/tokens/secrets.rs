//! What is sealed in the database: the tokens themselves.

use serde::{Deserialize, Serialize};

use super::Token;
use crate::auth::seal::{Keyring, SealError};
use crate::auth::{Account, Grant, IssuedToken};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::store::{SealedAt, StoredToken};

/// The content of a sealed token.
#[derive(Serialize, Deserialize)]
struct Secrets {
    #[serde(flatten)]
    pair: Pair,
    /// The pair before this one: should the chain ever break, it can be told from it what became of which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Pair>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Pair {
    access: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh: Option<String>,
    /// What was granted, where the service said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// A stored token, opened.
#[derive(Default)]
pub(super) struct Opened {
    /// 0: there is none yet.
    pub(super) generation: i64,
    pair: Option<Pair>,
    pub(super) token: Option<Token>,
}

impl Opened {
    /// Opens what is stored for the account.
    ///
    /// # Errors
    /// If no key opens it. Only for a refresh token is that an error: who has a secret to ask with simply gets a new
    /// token, but the configuration's refresh token was used long ago, and using it again would kill the chain.
    pub(super) fn new(
        account: &Account,
        grant: &Grant,
        keyring: &Keyring,
        stored: Option<&StoredToken>,
    ) -> Result<Self, SealError> {
        let Some(stored) = stored else { return Ok(Self::default()) };
        let generation = stored.generation;
        let opened = keyring.open(&stored.sealed, &place(account)).and_then(|plain| {
            serde_json::from_slice::<Secrets>(&plain).map_err(|_| SealError::Damaged { what: "no token" })
        });
        match opened {
            Ok(Secrets { pair, .. }) => {
                let token = Some(Token::new(&pair.access, stored));
                Ok(Self { generation, pair: Some(pair), token })
            }
            Err(error) if grant.exchanges_only() => Err(error),
            Err(error) => {
                tracing::warn!(account = account.name(), "stored token not used: {error}");
                Ok(Self { generation, ..Self::default() })
            }
        }
    }

    /// One of this generation that no key opens.
    pub(super) fn unreadable(generation: i64) -> Self {
        Self { generation, ..Self::default() }
    }

    /// What the stored token was granted for, where the service said so.
    pub(super) fn scope(&self) -> Option<String> {
        self.pair.as_ref()?.scope.clone()
    }

    /// The stored refresh token.
    pub(super) fn refresh(&self) -> Option<Secret> {
        self.pair.as_ref()?.refresh.as_deref().map(Secret::new)
    }

    /// Seals what was issued as the successor of this one.
    ///
    /// # Errors
    /// As [`Keyring::seal`].
    pub(super) fn successor(
        self,
        account: &Account,
        keyring: &Keyring,
        issued: &IssuedToken,
        asked_at: Timestamp,
        by: String,
    ) -> Result<StoredToken, SealError> {
        // No new refresh token means that the old one stays good (RFC 6749, 6).
        let refresh = issued.refresh.as_ref().map(|token| token.expose().to_owned());
        let refresh = refresh.or_else(|| self.pair.as_ref()?.refresh.clone());
        // The pair before is kept for the sake of its refresh token.
        let previous = self.pair.filter(|pair| pair.refresh.is_some());
        let secrets = Secrets {
            pair: Pair { access: issued.access.expose().to_owned(), refresh, scope: issued.scope.clone() },
            previous,
        };
        // A struct of strings always serialises.
        let plain = serde_json::to_vec(&secrets).map_err(|_| SealError::Damaged { what: "not serialisable" })?;
        Ok(StoredToken {
            generation: self.generation + 1,
            sealed: keyring.seal(&plain, &place(account))?,
            expires_at: issued.expires_at,
            refreshed_at: asked_at,
            refreshed_by: Some(by),
            needs_login: None,
        })
    }
}

/// What a sealed token is bound to.
pub(super) fn place(account: &Account) -> String {
    SealedAt::Token(account.token_key().to_owned()).place()
}
