//! A login with a browser becomes the account's next token: its code is exchanged once, and what it brings takes the place
//! of whatever is stored, dead or alive, so that workers at work go on with it.

use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep};

use super::refresh::{self, HOLD};
use super::secrets::Opened;
use super::{Held, Shared, Tokens};
use crate::auth::grant::{BrowserLogin, Field, With};
use crate::auth::{Account, AuthError, Grant, IssuedToken};
use crate::clock::Timestamp;
use crate::http::message::{Reply, SendError};
use crate::http::retry::Backoff;
use crate::secret::Secret;
use crate::store::{CallId, CallRecord, StoredToken};

/// Longest wait for the reply.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How often the database is tried while it is away.
const POLL: Duration = Duration::from_millis(200);

/// What a login brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// When its first access token ends.
    pub expires_at: Timestamp,
    /// Whether there is a refresh token, so that it goes on after that.
    pub renewable: bool,
    /// Which of the account's tokens it is.
    pub generation: i64,
}

impl Tokens {
    /// Exchanges the code of a browser login, and stores what it brings as the account's next generation: durable when this
    /// returns. A mark that the account needs a login is lifted.
    ///
    /// # Errors
    /// [`AuthError::Refused`] if the code is not accepted, or the account can't be logged in to with a browser;
    /// [`AuthError::Unavailable`] if there was no answer: the code may be spent, so that a person logs in once more.
    pub async fn log_in(&self, account: &Account, code: &Secret, verifier: &Secret) -> Result<LoggedIn, AuthError> {
        let shared = &*self.0;
        let (Some(grant), Some(browser)) = (account.grant(), account.grant().and_then(|it| it.browser.as_ref())) else {
            return Err(AuthError::Refused {
                what: format!("`{}` is not logged in to with a browser", account.name()),
                remedy: "its credentials stand in the configuration".into(),
            });
        };
        let with = With::Code { code, verifier };
        let (issued, asked_at) = match shared.exchange_code(account, grant, with).await {
            // A server that knows no PKCE should ignore what it doesn't know (RFC 6749, 3.2); one that doesn't loses nothing.
            Err(Failed { reply: Some(reply), .. }) if refuses_verifier(&reply, browser) => {
                let plain = without_verifier(grant, browser);
                shared.exchange_code(account, &plain, with).await.map_err(|failed| failed.error)?
            }
            other => other.map_err(|failed| failed.error)?,
        };
        let renewable = issued.refresh.is_some();
        let stored = shared.keep_login(account, grant, &issued, asked_at).await?;
        let slot = {
            let mut accounts = shared.accounts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            accounts.entry(account.token_key().to_owned()).or_default().clone()
        };
        // What this process remembers of the time before.
        *slot.lock().await = Held::default();
        Ok(LoggedIn { expires_at: stored.expires_at, renewable, generation: stored.generation })
    }
}

/// An exchange that brought nothing.
struct Failed {
    error: AuthError,
    reply: Option<Reply>,
}

impl Shared {
    /// Asks once; again only if nothing was sent, since a code is good for one use.
    async fn exchange_code(
        &self,
        account: &Account,
        grant: &Grant,
        with: With<'_>,
    ) -> Result<(IssuedToken, Timestamp), Failed> {
        let mut waits = Backoff::default().short();
        loop {
            let (asked_at, began) = (self.clock.now(), Instant::now());
            let result = self.http.send(&grant.request(with, None), TIMEOUT).await;
            let issued = match &result {
                Ok(reply) => grant.read(with, reply, asked_at).map_err(|error| explained(error, reply, with)),
                Err(SendError::NotSent { why } | SendError::Lost { why }) => {
                    Err(AuthError::Unavailable { why: format!("no token: {why}") })
                }
            };
            self.log_login(account, asked_at, began.elapsed(), result.as_ref().ok(), &issued).await;
            match (issued, result) {
                (Ok(issued), _) => return Ok((issued, asked_at)),
                (Err(error), Err(SendError::NotSent { .. })) => match waits.next() {
                    Some(wait) => sleep(wait).await,
                    None => return Err(Failed { error, reply: None }),
                },
                (Err(error), result) => return Err(Failed { error, reply: result.ok() }),
            }
        }
    }

    /// Stores it over whatever is there: another worker may be refreshing at this moment, and its token is older than ours.
    async fn keep_login(
        &self,
        account: &Account,
        grant: &Grant,
        issued: &IssuedToken,
        asked_at: Timestamp,
    ) -> Result<StoredToken, AuthError> {
        let key = account.token_key();
        let began = Instant::now();
        loop {
            let tried = async {
                let stored = self.vault.token(key).await?;
                let generation = stored.as_ref().map_or(0, |token| token.generation);
                // What no key opens any more is given up: here is its successor.
                let opened = Opened::new(account, grant, &self.keyring, stored.as_ref());
                let opened = opened.unwrap_or_else(|_| Opened::unreadable(generation));
                let next = opened.successor(account, &self.keyring, issued, asked_at, self.name())?;
                let won = self.vault.replace_token(key, generation, &next).await?;
                Ok::<_, AuthError>(won.then_some(next))
            };
            match tried.await {
                Ok(Some(stored)) => return Ok(stored),
                Ok(None) => {}
                Err(AuthError::Store(error)) if error.is_unavailable() && began.elapsed() < HOLD => sleep(POLL).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn log_login(
        &self,
        account: &Account,
        asked_at: Timestamp,
        took: Duration,
        reply: Option<&Reply>,
        issued: &Result<IssuedToken, AuthError>,
    ) {
        let call = CallRecord {
            id: CallId::new(asked_at),
            run: self.run,
            lead: None,
            account: account.name().to_owned(),
            what: "token".into(),
            started_at: asked_at,
            duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
            status: reply.map(|reply| reply.status.as_u16()),
            verdict: refresh::in_words(issued),
        };
        if let Err(error) = self.vault.log_calls(&[call]).await {
            tracing::warn!(account = account.name(), "a login could not be logged: {error}");
        }
    }
}

/// A refusal with the server's own words, which a person who has just logged in can do something with; without what was sent.
fn explained(error: AuthError, reply: &Reply, with: With<'_>) -> AuthError {
    let AuthError::Refused { what, remedy } = error else { return error };
    let With::Code { code, verifier } = with else { return AuthError::Refused { what, remedy } };
    let said = reply.message();
    let quotes = [code, verifier].iter().any(|secret| said.contains(secret.expose()));
    let what = if quotes || !reply.status.is_client_error() { what } else { format!("{what}: {said}") };
    AuthError::Refused {
        what,
        remedy: format!("log in once more, a code is good once and not for long; else {remedy}, and `redirect_url`"),
    }
}

/// Whether a refusal is about the field that holds the verifier.
fn refuses_verifier(reply: &Reply, browser: &BrowserLogin) -> bool {
    let may_be = [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY].contains(&reply.status);
    let name = browser.fields.iter().find(|(_, field)| matches!(field, Field::CodeVerifier)).map(|(name, _)| name);
    let said = reply.said();
    may_be && name.is_some_and(|name| said.contains(name.as_str())) && said.contains("should not exist")
}

fn without_verifier(grant: &Grant, browser: &BrowserLogin) -> Grant {
    let fields = browser.fields.iter().filter(|(_, field)| !matches!(field, Field::CodeVerifier)).cloned().collect();
    Grant { browser: Some(BrowserLogin { fields, ..browser.clone() }), ..grant.clone() }
}
