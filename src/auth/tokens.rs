//! The one door to tokens: one refresh at a time, however many tasks and processes ask, and one per generation.
//!
//! In the process a lock per account lets one task through while the others wait for its result. Across processes the
//! database grants the turn ([`Vault::begin_refresh`], a lease that outlasts the HTTP time-out), and the new token is
//! stored, compare-and-set on its generation, before anyone uses it.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::seal::{Keyring, SealError};
use super::{Account, Auth, AuthError, Bearer, Grant, IssuedToken};
use crate::clock::{Clock, Timestamp};
use crate::http::message::{Reply, SendError};
use crate::http::retry::Backoff;
use crate::http::send::HttpClient;
use crate::secret::Secret;
use crate::store::{CallId, CallRecord, RefreshTurn, RunId, StoredToken, Vault};

/// Longest wait for a token's reply.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long the turn to refresh is held if its holder dies: longer than the request can take.
const TURN: Duration = Duration::from_secs(35);
/// How often the database is asked whether another worker's refresh has ended.
const POLL: Duration = Duration::from_millis(200);
/// Once this has passed, a refresh that fails is not tried again.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a database that is away is waited for: as long as the writer waits, unless told otherwise.
const DATABASE_PATIENCE: Duration = Duration::from_secs(60);
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
    /// This worker's name in refresh turns.
    holder: i64,
    accounts: StdMutex<HashMap<String, Arc<Mutex<Held>>>>,
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

/// The content of a sealed token.
#[derive(Serialize, Deserialize)]
struct Secrets {
    access: String,
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
        let holder = rand::random::<i64>() & i64::MAX;
        Self(Arc::new(Shared { vault, keyring, http, clock, run, holder, accounts: StdMutex::default() }))
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
            Auth::Bearer(token) => Ok(Some(Bearer { token: token.clone(), generation: 0 })),
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
            Auth::Bearer(_) => Err(AuthError::Refused {
                what: format!("the API key of `{}` was refused (401)", account.name()),
                remedy: "check `api_key`".into(),
            }),
            Auth::None => Err(AuthError::Refused {
                what: format!("`{}` wants authentication (401)", account.name()),
                remedy: "configure credentials".into(),
            }),
        }
    }

    async fn current(&self, account: &Account, grant: &Grant, dead: Option<i64>) -> Result<Bearer, AuthError> {
        let shared = self.0.clone();
        let slot = {
            let mut accounts = shared.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            accounts.entry(account.key().to_owned()).or_default().clone()
        };
        if let Some(bearer) = slot.lock().await.fresh(dead, shared.clock.now()) {
            return Ok(bearer);
        }
        // In a task of its own: a caller that is cut off in mid-refresh would leave the turn taken until it lapses.
        let (account, grant) = (account.clone(), grant.clone());
        let refresh = tokio::spawn(async move {
            let mut held = slot.lock().await;
            if let Some(bearer) = held.fresh(dead, shared.clock.now()) {
                return Ok(bearer);
            }
            if let Some(error) = held.failed.as_ref().and_then(remembered) {
                return held.unexpired(dead, shared.clock.now()).ok_or(error);
            }
            match shared.obtain(&account, &grant, dead).await {
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

fn remembered((at, error): &(Instant, AuthError)) -> Option<AuthError> {
    let term = if matches!(error, AuthError::Refused { .. }) { REMEMBER_REFUSAL } else { REMEMBER_FAILURE };
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
        let life = stored.refreshed_at.until(stored.expires_at);
        Self {
            bearer: Bearer { token: Secret::new(access), generation: stored.generation },
            renew_at: stored.expires_at.minus(AHEAD.min(life / 5)),
            expires_at: stored.expires_at,
        }
    }

    fn lives(&self, dead: Option<i64>, now: Timestamp) -> bool {
        self.expires_at > now && dead != Some(self.bearer.generation)
    }
}

impl Shared {
    /// A token from the database or the token service. An error comes with the token that is about to expire, if there is
    /// one: it is better than none.
    async fn obtain(
        &self,
        account: &Account,
        grant: &Grant,
        dead: Option<i64>,
    ) -> Result<Token, (Option<Token>, AuthError)> {
        let began = Instant::now();
        let mut waits = Backoff::default().short();
        let mut spare = None;
        loop {
            match self.turn(account, grant, dead, &mut spare).await {
                Ok(Some(token)) => return Ok(token),
                Ok(None) => {}
                // A restart of the database is no reason to give an account up.
                Err(AuthError::Store(error)) if error.is_unavailable() && began.elapsed() < DATABASE_PATIENCE => {
                    sleep(POLL).await;
                }
                Err(error) => {
                    let transient = matches!(error, AuthError::Unavailable { .. } | AuthError::Unreadable { .. });
                    match waits.next().filter(|_| transient && began.elapsed() < PATIENCE) {
                        Some(wait) => sleep(wait).await,
                        None => return Err((spare, error)),
                    }
                }
            }
        }
    }

    /// One look at the database, and one request if it is our turn. `None`: look again.
    async fn turn(
        &self,
        account: &Account,
        grant: &Grant,
        dead: Option<i64>,
        spare: &mut Option<Token>,
    ) -> Result<Option<Token>, AuthError> {
        let key = account.key();
        let now = self.clock.now();
        let stored = self.vault.token(key).await?;
        let generation = stored.as_ref().map_or(0, |stored| stored.generation);
        *spare = stored.and_then(|stored| self.unseal(account, &stored)).filter(|token| token.lives(dead, now));
        if let Some(token) = spare.as_ref().filter(|token| token.renew_at > now) {
            return Ok(Some(token.clone()));
        }
        match self.vault.begin_refresh(key, generation, self.holder, now.plus(TURN), now).await? {
            RefreshTurn::Superseded => Ok(None),
            // Whoever has the turn renews it ahead of time; meanwhile the old one is good.
            RefreshTurn::Busy { .. } if spare.is_some() => Ok(spare.clone()),
            RefreshTurn::Busy { until } => {
                sleep(POLL.min(now.until(until)).max(Duration::from_millis(1))).await;
                Ok(None)
            }
            // These grants only ever issue one more token, so the repeat of a refresh that was lost needs no care.
            RefreshTurn::Yours { .. } => {
                let renewed = self.renew(account, grant, generation).await;
                if renewed.is_err() {
                    // What failed is worth more than that the turn could not be given back: it lapses by itself.
                    let _ = self.vault.abandon_refresh(key, self.holder).await;
                }
                renewed
            }
        }
    }

    /// Asks for a token and stores it as the next after `generation`. `None`: another worker was first.
    async fn renew(&self, account: &Account, grant: &Grant, generation: i64) -> Result<Option<Token>, AuthError> {
        let asked_at = self.clock.now();
        let began = Instant::now();
        let result = self.http.send(&grant.request(), TIMEOUT).await;
        let took = began.elapsed();
        let issued = match &result {
            Ok(reply) => grant.read(reply, asked_at),
            Err(SendError::NotSent { why } | SendError::Lost { why }) => {
                Err(AuthError::Unavailable { why: format!("no token: {why}") })
            }
        };
        self.log(account, asked_at, took, &result, &issued).await;
        let issued = issued?;
        if issued.doubtful {
            tracing::warn!(
                account = account.name(),
                "the token had expired on arrival by this machine's clock; kept for 5 minutes: check the clock"
            );
        }
        let secrets = Secrets { access: issued.access.expose().to_owned() };
        // A struct of one string always serialises.
        let plain = serde_json::to_vec(&secrets).map_err(|_| SealError::Damaged { what: "not serialisable" })?;
        let stored = StoredToken {
            generation: generation + 1,
            sealed: self.keyring.seal(&plain, &place(account))?,
            expires_at: issued.expires_at,
            refreshed_at: asked_at,
            needs_login: None,
        };
        let won = self.vault.replace_token(account.key(), generation, &stored).await?;
        Ok(won.then(|| Token::new(&secrets.access, &stored)))
    }

    /// The stored token, if a key opens it. If none does (the key was exchanged), these grants simply get a new one.
    fn unseal(&self, account: &Account, stored: &StoredToken) -> Option<Token> {
        let plain = self
            .keyring
            .open(&stored.sealed, &place(account))
            .inspect_err(|error| tracing::warn!(account = account.name(), "stored token not used: {error}"))
            .ok()?;
        let secrets: Secrets = serde_json::from_slice(&plain).ok()?;
        Some(Token::new(&secrets.access, stored))
    }

    async fn log(
        &self,
        account: &Account,
        started_at: Timestamp,
        took: Duration,
        result: &Result<Reply, SendError>,
        issued: &Result<IssuedToken, AuthError>,
    ) {
        let call = CallRecord {
            id: CallId::new(started_at),
            run: self.run,
            lead: None,
            account: account.name().to_owned(),
            what: "token".into(),
            started_at,
            duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
            status: result.as_ref().ok().map(|reply| reply.status.as_u16()),
            verdict: match issued {
                Ok(token) => format!("issued, good until {}", token.expires_at),
                Err(error) => error.to_string(),
            },
        };
        // A token is not thrown away because the log can't be written.
        if let Err(error) = self.vault.log_calls(&[call]).await {
            tracing::warn!(account = account.name(), "a token request could not be logged: {error}");
        }
    }
}

/// What a sealed token is bound to.
fn place(account: &Account) -> String {
    format!("tokens|{}|sealed", account.key())
}
