//! The one door to tokens: one refresh at a time, however many tasks and processes ask, and one per generation.
//!
//! In the process a lock per account lets one task through while the others wait for its result. Across processes the
//! database grants the turn, and the new token is stored, compare-and-set on its generation, before anyone uses it: see
//! [`refresh`].

pub mod frequency;
mod login;
mod refresh;
mod secrets;
#[cfg(test)]
mod tests;

pub use login::LoggedIn;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::seal::Keyring;
use super::{Account, Auth, AuthError, Bearer, Grant, Place, host};
use crate::clock::{Clock, Timestamp};
use crate::http::send::HttpClient;
use crate::secret::Secret;
use crate::store::{RunId, StoredToken, Vault};

/// How long tasks that ask after a failure are given the same answer instead of asking again.
const REMEMBER_FAILURE: Duration = Duration::from_secs(5);
const REMEMBER_REFUSAL: Duration = Duration::from_secs(60);
/// A token is renewed this long before it expires, or after 80 % of its life if that is later.
const AHEAD: Duration = Duration::from_secs(60);

/// The tokens of all accounts; cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Shared>);

struct Shared {
    vault: Arc<dyn Vault>,
    keyring: Keyring,
    http: HttpClient,
    clock: Arc<dyn Clock>,
    run: Option<RunId>,
    accounts: StdMutex<HashMap<String, Arc<Mutex<Held>>>>,
    /// Exchanges of refresh tokens under way.
    exchanges: TaskTracker,
}

impl Shared {
    /// Who we are, for people who wonder who refreshed a token.
    fn name(&self) -> String {
        let run = self.run.map_or_else(String::new, |run| format!(", run {run}"));
        format!("{} (process {}{run})", host::name(), std::process::id())
    }
}

/// A token that was just got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewed {
    pub generation: i64,
    pub expires_at: Timestamp,
}

/// What this process knows of an account's token.
#[derive(Default)]
struct Held {
    token: Option<Token>,
    failed: Option<(Instant, AuthError)>,
}

#[derive(Clone)]
struct Token {
    bearer: Bearer,
    renew_at: Timestamp,
    expires_at: Timestamp,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// Tokens kept in `vault`, sealed with `keyring`. Token requests are logged as calls of `run`.
    pub fn new(
        vault: Arc<dyn Vault>,
        keyring: Keyring,
        http: HttpClient,
        clock: Arc<dyn Clock>,
        run: Option<RunId>,
    ) -> Self {
        let (accounts, exchanges) = (StdMutex::default(), TaskTracker::new());
        Self(Arc::new(Shared { vault, keyring, http, clock, run, accounts, exchanges }))
    }

    /// The account's token: the one held, the one stored, or a new one. `None` for an account without authentication.
    ///
    /// A refresh that has begun goes on if the caller is dropped.
    ///
    /// # Errors
    /// See [`AuthError`]. Transient failures have been retried for a few seconds.
    pub async fn bearer(&self, account: &Account) -> Result<Option<Bearer>, AuthError> {
        match account.auth() {
            Auth::None => Ok(None),
            Auth::Static { secret, place, .. } => {
                Ok(Some(Bearer { token: secret.clone(), place: place.clone(), generation: 0 }))
            }
            Auth::Grant(grant) => self.current(account, grant, None).await.map(Some),
        }
    }

    /// The API answered 401 to the token of `generation`: gets a new one, unless there is a newer one already.
    ///
    /// # Errors
    /// As [`Tokens::bearer`]; [`AuthError::Refused`] for an API key, which can't be renewed.
    pub async fn expired(&self, account: &Account, generation: i64) -> Result<(), AuthError> {
        match account.auth() {
            Auth::Grant(grant) => self.current(account, grant, Some(generation)).await.map(drop),
            Auth::Static { key, .. } => Err(AuthError::Refused {
                what: format!("the API key of `{}` was refused (401)", account.name()),
                remedy: format!("check `{key}`"),
            }),
            Auth::None => Err(AuthError::Refused {
                what: format!("`{}` wants authentication (401)", account.name()),
                remedy: "configure credentials".into(),
            }),
        }
    }

    /// A new token now, however long the present one is good: refreshed by us, or by another worker meanwhile. `None` for
    /// an account that has none that could be refreshed.
    ///
    /// # Errors
    /// As [`Tokens::bearer`].
    pub async fn renew(&self, account: &Account) -> Result<Option<Renewed>, AuthError> {
        let Auth::Grant(grant) = account.auth() else { return Ok(None) };
        let stored = || self.0.vault.token(account.token_key());
        let present = stored().await?.map_or(0, |token| token.generation);
        let bearer = self.current(account, grant, Some(present)).await?;
        let expires_at = stored().await?.map(|token| token.expires_at).unwrap_or_default();
        Ok(Some(Renewed { generation: bearer.generation, expires_at }))
    }

    /// What the stored token was granted for; `None` where the service did not say so, or there is none.
    ///
    /// # Errors
    /// If the database fails, or what it holds can't be opened.
    pub async fn granted(&self, account: &Account) -> Result<Option<String>, AuthError> {
        let Some(grant) = account.grant() else { return Ok(None) };
        let stored = self.0.vault.token(account.token_key()).await?;
        Ok(secrets::Opened::new(account, grant, &self.0.keyring, stored.as_ref())?.scope())
    }

    /// Waits, before the process ends, until exchanges of refresh tokens that are under way have ended and what they
    /// brought is durable. A token that is asked for with a secret can be asked for again, so nothing waits for those.
    pub async fn finish(&self) {
        self.0.exchanges.close();
        // Whoever was cut off after this long has lost it anyway.
        let _ = timeout(refresh::EXCHANGE_TURN + refresh::HOLD, self.0.exchanges.wait()).await;
    }

    /// [`Tokens::bearer`] for an account whose token authorises another's request, after [`Tokens::expired`] if one is
    /// `dead`. Boxed, since getting a token may ask for this, which is getting a token.
    fn of_parent<'a>(
        &'a self,
        account: &'a Account,
        dead: Option<i64>,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Bearer>, AuthError>> + Send + 'a>> {
        Box::pin(async move {
            if let Some(generation) = dead {
                self.expired(account, generation).await?;
            }
            self.bearer(account).await
        })
    }

    async fn current(&self, account: &Account, grant: &Grant, dead: Option<i64>) -> Result<Bearer, AuthError> {
        let shared = self.0.clone();
        let slot = {
            let mut accounts = shared.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            accounts.entry(account.token_key().to_owned()).or_default().clone()
        };
        if let Some(bearer) = slot.lock().await.fresh(dead, shared.clock.now()) {
            return Ok(bearer);
        }
        // In a task of its own: a caller that is cut off in mid-refresh would leave the turn taken until it lapses.
        let (account, grant, tokens) = (account.clone(), grant.clone(), self.clone());
        let refresh = tokio::spawn(async move {
            let mut held = slot.lock().await;
            if let Some(bearer) = held.fresh(dead, shared.clock.now()) {
                return Ok(bearer);
            }
            if let Some(error) = held.failed.as_ref().and_then(remembered) {
                return held.unexpired(dead, shared.clock.now()).ok_or(error);
            }
            match refresh::obtain(&tokens, &account, &grant, dead).await {
                Ok(token) => {
                    *held = Held { token: Some(token.clone()), failed: None };
                    Ok(token.bearer)
                }
                Err((spare, error)) => {
                    held.failed = Some((Instant::now(), error.clone()));
                    held.token = spare;
                    let old = held.unexpired(dead, shared.clock.now());
                    // Without an old token the error travels on, and whoever stops because of it says so.
                    if old.is_some() {
                        tracing::warn!(account = account.name(), "no new token, the old one is still good: {error}");
                    }
                    old.ok_or(error)
                }
            }
        });
        match refresh.await {
            Ok(result) => result,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => Err(AuthError::Unavailable { why: "interrupted while asking for a token".into() }),
        }
    }
}

/// From when on a token of this life is renewed by whoever needs it.
pub fn renew_at(refreshed_at: Timestamp, expires_at: Timestamp) -> Timestamp {
    expires_at.minus(AHEAD.min(refreshed_at.until(expires_at) / 5))
}

fn remembered((at, error): &(Instant, AuthError)) -> Option<AuthError> {
    let final_word = matches!(error, AuthError::Refused { .. } | AuthError::NeedsLogin { .. });
    let term = if final_word { REMEMBER_REFUSAL } else { REMEMBER_FAILURE };
    (at.elapsed() < term).then(|| error.clone())
}

impl Held {
    fn fresh(&self, dead: Option<i64>, now: Timestamp) -> Option<Bearer> {
        self.token.as_ref().filter(|token| token.renew_at > now && token.lives(dead, now)).map(|t| t.bearer.clone())
    }

    fn unexpired(&self, dead: Option<i64>, now: Timestamp) -> Option<Bearer> {
        self.token.as_ref().filter(|token| token.lives(dead, now)).map(|token| token.bearer.clone())
    }
}

impl Token {
    fn new(access: &str, stored: &StoredToken) -> Self {
        Self {
            bearer: Bearer { token: Secret::new(access), place: Place::Bearer, generation: stored.generation },
            renew_at: renew_at(stored.refreshed_at, stored.expires_at),
            expires_at: stored.expires_at,
        }
    }

    fn lives(&self, dead: Option<i64>, now: Timestamp) -> bool {
        self.expires_at > now && dead != Some(self.bearer.generation)
    }
}
