//! Authentication. Grants are data and pure functions ([`grant`]); the token store ([`tokens`]) is one, shared by all
//! tasks, processes and runs; what is stored is sealed ([`seal`]).
//!
//! What holds after a crash: a token is used only after it is stored, and at most one worker refreshes an account at a
//! time; a worker that dies in between leaves a lease that lapses.

#[cfg(test)]
pub(crate) mod fake;
mod fields;
mod fingerprint;
pub mod grant;
pub mod host;
#[cfg(test)]
pub(crate) mod idp;
pub mod login;
mod rekey;
pub mod seal;
mod stored_key;
pub mod tokens;

use std::sync::Arc;

use http::HeaderName;
use sha2::{Digest, Sha256};
use url::Url;

pub use fields::FieldSealer;
pub use fingerprint::Fingerprinter;
pub use grant::{Client, ClientPlace, Grant, IssuedToken};
pub use rekey::{Rekeyed, rekey};
pub use tokens::Tokens;

use crate::exit::Exit;
use crate::secret::Secret;
use crate::store::StoreError;

/// How an account proves who it is.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Not at all.
    None,
    /// A secret that is sent as it is; nothing refreshes it.
    Static {
        secret: Secret,
        place: Place,
        /// The key it is set with, for messages: `api_key`.
        key: &'static str,
    },
    /// Tokens that are asked for and expire.
    Grant(Box<Grant>),
}

/// Where a secret stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header of its own.
    Header(HeaderName),
    /// `Authorization: Basic …`, with this user name.
    Basic { username: String },
    /// A field of the form that the body holds.
    FormField(&'static str),
}

impl Auth {
    /// An API key that is sent as bearer token.
    pub fn bearer(secret: Secret, key: &'static str) -> Self {
        Self::Static { secret, place: Place::Bearer, key }
    }
}

impl From<Grant> for Auth {
    fn from(grant: Grant) -> Self {
        Self::Grant(Box::new(grant))
    }
}

/// An account at a remote system.
#[derive(Clone, Debug)]
pub struct Account {
    name: String,
    api_url: Url,
    key: String,
    token_key: String,
    auth: Auth,
}

impl Account {
    /// The account that the configuration calls `name` (a destination's name, or `enrich`), at the API `api_url`.
    pub fn new(name: impl Into<String>, api_url: &Url, auth: Auth) -> Self {
        let name = name.into();
        let key = account_key(&name, api_url, &auth, None);
        let token_key = match &auth {
            Auth::Grant(grant) if grant.exchanges_only() => account_key(&name, api_url, &auth, grant.seed()),
            _ => key.clone(),
        };
        Self { name, api_url: api_url.clone(), key, token_key, auth }
    }

    /// As in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its API is.
    pub fn api_url(&self) -> &Url {
        &self.api_url
    }

    /// What quotas and pauses are stored under: the name and a hash of who logs in where.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What its tokens are stored under: the same, unless it was given a refresh token to begin with. Then that is part of
    /// the hash: with a new one, after a new login, the chain of tokens begins anew; as long as it stays the same, the
    /// stored chain goes on.
    pub fn token_key(&self) -> &str {
        &self.token_key
    }

    /// Whether its refresh token is another one after every use; then [`Account::token_key`] depends on the first.
    pub fn rotates(&self) -> bool {
        self.grant().is_some_and(Grant::exchanges_only)
    }

    /// How it proves who it is.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// The account that a person logs in to with a browser for this one: itself, or the one whose token authorises its
    /// requests. `None`: it is not logged in to with a browser.
    pub fn browser_account(&self) -> Option<&Self> {
        let grant = self.grant()?;
        match (&grant.browser, &grant.authorised_by) {
            (Some(_), _) => Some(self),
            (None, Some(parent)) => parent.browser_account(),
            (None, None) => None,
        }
    }

    /// How its tokens are obtained; `None` for one that has none.
    pub fn grant(&self) -> Option<&Grant> {
        match &self.auth {
            Auth::Grant(grant) => Some(grant),
            Auth::None | Auth::Static { .. } => None,
        }
    }
}

/// `name-` and 16 hex digits over token URL, client, scope and user (without a grant: the API's address). So a token of
/// a sandbox never meets production, and an account whose credentials were exchanged for another's begins anew. Secrets
/// are not in it: a new secret for the same client goes on with the same token and quota. `seed` is for tokens alone.
fn account_key(name: &str, api_url: &Url, auth: &Auth, seed: Option<&Secret>) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        // With its length, so that no two lists of parts read the same.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    match auth {
        Auth::None => ["none", api_url.as_str()].into_iter().for_each(&mut part),
        Auth::Static { place: Place::Basic { username }, .. } => {
            ["basic", api_url.as_str(), username].into_iter().for_each(&mut part);
        }
        Auth::Static { .. } => ["key", api_url.as_str()].into_iter().for_each(&mut part),
        Auth::Grant(grant) => {
            [grant.style, grant.token_url.as_str()].into_iter().for_each(&mut part);
            grant.identity.iter().for_each(|text| part(text));
        }
    }
    if let Some(seed) = seed {
        part(seed.expose().trim());
    }
    format!("{name}-{}", hex(&hash.finalize()[..8]))
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A token ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Bearer {
    /// The secret itself.
    pub token: Secret,
    /// Where it is put.
    pub place: Place,
    /// Which of the account's tokens it is; 0 for an API key.
    pub generation: i64,
}

/// Why there is no token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuthError {
    /// The account was refused: wrong credentials, or not entitled. Repeating won't help.
    #[error("{what}")]
    Refused {
        /// What was refused, where, and with which code.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// The grant is dead: a person has to log in again. Repeating would only look like theft.
    #[error("it needs a new login: {why}")]
    NeedsLogin {
        /// What happened.
        why: String,
        /// Whether that is done with a browser; else with a new refresh token in the configuration.
        by_browser: bool,
    },
    /// The token service can't be reached, is overloaded or broken.
    #[error("{why}")]
    Unavailable { why: String },
    /// It answered with success, but there is no token in the answer.
    #[error("{why}")]
    Unreadable { why: String },
    /// The database failed.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// A stored secret can't be opened, or a new one not sealed.
    #[error(transparent)]
    Seal(#[from] seal::SealError),
}

impl AuthError {
    /// How a command that can't go on without a token ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused { .. } | Self::NeedsLogin { .. } | Self::Seal(_) => Exit::Usage,
            Self::Unavailable { .. } | Self::Unreadable { .. } => Exit::Unavailable,
            Self::Store(error) if error.is_unavailable() => Exit::Unavailable,
            Self::Store(_) => Exit::Bug,
        }
    }

    /// What to do about it, where we know.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::Refused { remedy, .. } => Some(remedy),
            Self::NeedsLogin { by_browser: true, .. } => {
                Some("log in again: `leadsync auth login NAME`, or put a new refresh token into `refresh_token`")
            }
            Self::NeedsLogin { by_browser: false, .. } => Some("put a new refresh token into `refresh_token`"),
            Self::Unreadable { .. } => {
                Some("check the address of the token service; a proxy may have answered instead")
            }
            Self::Unavailable { .. } | Self::Store(_) | Self::Seal(_) => None,
        }
    }
}

impl From<StoreError> for AuthError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(token_url: &str, client_id: &str, secret: &str, scope: Option<&str>) -> Auth {
        let client = Client { id: client_id.into(), secret: Secret::new(secret), place: ClientPlace::Basic };
        let scope = scope.map(Into::into);
        Grant::client_credentials(token_url.parse().unwrap(), client, scope, grant::Encoding::Form).into()
    }

    fn key(name: &str, api: &str, auth: Auth) -> String {
        Account::new(name, &api.parse().unwrap(), auth).key().to_owned()
    }

    #[test]
    fn an_account_is_who_logs_in_where() {
        let api = "https://api.example.com";
        let base = key("crm", api, credentials("https://login.example.com/token", "id", "s1", Some("leads")));
        assert!(base.starts_with("crm-") && base.len() == 20, "{base}");
        for other in [
            credentials("https://login.sandbox.example.com/token", "id", "s1", Some("leads")),
            credentials("https://login.example.com/token", "other", "s1", Some("leads")),
            credentials("https://login.example.com/token", "id", "s1", Some("other")),
            credentials("https://login.example.com/token", "id", "s1", None),
            // Not the same parts, only the same text in a row.
            credentials("https://login.example.com/token", "idleads", "s1", Some("")),
            Auth::bearer(Secret::new("id"), "api_key"),
            Auth::None,
        ] {
            assert_ne!(key("crm", api, other), base);
        }
        assert_ne!(key("other", api, credentials("https://login.example.com/token", "id", "s1", Some("leads"))), base);
        // A new secret for the same client goes on with its quota.
        assert_eq!(key("crm", api, credentials("https://login.example.com/token", "id", "s2", Some("leads"))), base);
    }

    #[test]
    fn an_api_key_belongs_to_the_address_it_is_for() {
        let with = |api| key("enrich", api, Auth::bearer(Secret::new("k"), "api_key"));
        assert_ne!(with("https://api.example.com"), with("http://127.0.0.1:8080"));
    }
}
