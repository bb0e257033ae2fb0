//! A connector bound to its account, its limits and the HTTP client; the only caller of [`crate::http::send`] for
//! connectors.
//!
//! Two ways to send. [`Channel::send`] writes a request exactly once and says what is known afterwards: for creates, whose
//! caller has stored its intent. [`Channel::ask`] is for calls that may be repeated (checks, look-ups) and repeats them by
//! itself for a few seconds.

mod ask;
mod pool;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::Limits;
use crate::auth::{Account, AuthError, Bearer, Place, Tokens};
use crate::clock::{Clock, Moment, Timestamp};
use crate::http::limit::{Departed, Limiter, Permit};
use crate::http::message::{Reply, Request, SendError};
use crate::http::retry::{Backoff, Breaker, Budget};
use crate::http::send::HttpClient;
use crate::lead::LeadId;
use crate::store::{CallId, CallRecord, RunId, Vault};

pub use ask::AskError;

/// Tokens in a row that may be refused (401) without one of them having worked, before the account is called wrong:
/// a service that answers every token with 401 would otherwise be sent one token request for each request.
const UNPROVEN_TOKENS: u32 = 3;

/// An account, ready to be called.
#[derive(Debug)]
pub struct Channel {
    account: Account,
    timeout: Duration,
    http: HttpClient,
    tokens: Tokens,
    clock: Arc<dyn Clock>,
    run: Option<RunId>,
    limiter: Limiter,
    breaker: Breaker,
    backoff: Backoff,
    budget: Budget,
    proof: Mutex<Proof>,
}

/// Whether tokens are of any use.
#[derive(Debug, Default)]
struct Proof {
    /// The newest generation that got any answer but 401.
    worked: i64,
    /// The newest generation that got a 401.
    refused: i64,
    /// Generations refused since one worked.
    in_a_row: u32,
}

impl Channel {
    /// Binds `account` to its limits.
    pub fn new(
        account: Account,
        limits: &Limits,
        http: HttpClient,
        tokens: Tokens,
        clock: Arc<dyn Clock>,
        run: Option<RunId>,
    ) -> Self {
        Self {
            account,
            timeout: limits.timeout,
            http,
            tokens,
            limiter: Limiter::new(limits.rate, clock.clone()),
            clock,
            run,
            breaker: Breaker::default(),
            backoff: Backoff::default(),
            budget: Budget::new(),
            proof: Mutex::default(),
        }
    }

    /// Keeps the account's rate limit together with all other processes that use this database; to be called within a
    /// runtime, before the first request. [`Limiter::leave`] at the end.
    #[must_use]
    pub fn shared(mut self, vault: Arc<dyn Vault>) -> Self {
        let pool = pool::StoredPlaces::new(vault, Arc::clone(&self.clock), self.account.key());
        self.limiter = Limiter::shared(self.limiter.rate(), Arc::new(pool), Arc::clone(&self.clock));
        self
    }

    /// The account's name as in the configuration: a destination's name, or `enrich`.
    pub fn name(&self) -> &str {
        self.account.name()
    }

    /// What quotas and pauses are stored under.
    pub fn account(&self) -> &str {
        self.account.key()
    }

    /// The account's rate limit, and its gate.
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// The account's breaker. [`Channel::ask`] tells it how its calls ended; who uses [`Channel::send`] does so itself,
    /// since only the connector can read some replies.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Waits for the right to send one request; `None` if `stop` came first.
    pub async fn permit(&self, stop: &CancellationToken) -> Option<Permit> {
        self.limiter.permit(stop).await
    }

    /// The account's token; `None` for one without authentication.
    ///
    /// # Errors
    /// See [`AuthError`]; it concerns the account, never a lead.
    pub async fn bearer(&self) -> Result<Option<Bearer>, AuthError> {
        self.tokens.bearer(&self.account).await
    }

    /// To be called after a 401 to `bearer`: gets a new token, unless there is a newer one already.
    ///
    /// # Errors
    /// As [`Channel::bearer`]; [`AuthError::Refused`] also if several new tokens in a row were answered with 401.
    pub async fn expired(&self, bearer: &Bearer) -> Result<(), AuthError> {
        let useless = {
            let mut proof = self.proof.lock().unwrap_or_else(PoisonError::into_inner);
            if proof.refused < bearer.generation {
                proof.in_a_row = if proof.worked >= bearer.generation { 0 } else { proof.in_a_row + 1 };
                proof.refused = bearer.generation;
            }
            proof.in_a_row >= UNPROVEN_TOKENS
        };
        if useless {
            return Err(AuthError::Refused {
                what: format!("`{}` refuses every token, new ones too (401)", self.name()),
                remedy:
                    "check that the API's address and the account's credentials belong together, and what the account \
                         may do there"
                        .into(),
            });
        }
        self.tokens.expired(&self.account, bearer.generation).await
    }

    /// To be awaited before the process ends: see [`Tokens::finish`] and [`Limiter::leave`].
    pub async fn finish(&self) {
        tokio::join!(self.tokens.finish(), self.limiter.leave());
    }

    /// Writes the request: departs through the limiter, sends, and says what came back and how long it took. Never
    /// repeats. `permit` is used up; the departure may wait for its window: see [`Channel::send_if`].
    pub async fn send(&self, permit: Permit, bearer: Option<&Bearer>, request: &Request) -> Exchange {
        let departed = permit.depart().await;
        self.write(departed, Moment::now(), bearer, request).await
    }

    /// The same, if `still` says so once the request may depart: the wait for its window may have been long, and what
    /// allowed the request (a lease) may be gone. `None`: it was not written. `still` is told when it would be; the time-out
    /// is counted from there, and a request that could not be written before it was over does not leave.
    pub async fn send_if(
        &self,
        permit: Permit,
        bearer: Option<&Bearer>,
        request: &Request,
        still: impl FnOnce(Timestamp) -> bool + Send,
    ) -> Option<Exchange> {
        let departed = permit.depart().await;
        let left_at = Moment::now();
        match still(self.clock.now()) {
            true => Some(self.write(departed, left_at, bearer, request).await),
            false => None,
        }
    }

    async fn write(&self, departed: Departed, left_at: Moment, bearer: Option<&Bearer>, request: &Request) -> Exchange {
        let started_at = self.clock.now();
        let call = CallId::new(started_at);
        let began = Instant::now();
        let result = match authorised(request, bearer) {
            Ok(request) => self.http.send_departed(&request, left_at, self.timeout).await,
            Err(error) => Err(error),
        };
        let result = result.map(|reply| match bearer {
            Some(bearer) => reply.without(&bearer.token).dated(self.clock.now()),
            None => reply.dated(self.clock.now()),
        });
        if result.is_ok() {
            departed.replied();
        }
        if let (Some(bearer), Ok(reply)) = (bearer, &result)
            && reply.status != StatusCode::UNAUTHORIZED
        {
            let mut proof = self.proof.lock().unwrap_or_else(PoisonError::into_inner);
            proof.worked = proof.worked.max(bearer.generation);
            proof.in_a_row = 0;
        }
        Exchange { call, started_at, took: began.elapsed(), result }
    }
}

fn authorised(request: &Request, bearer: Option<&Bearer>) -> Result<Request, SendError> {
    let Some(bearer) = bearer else { return Ok(request.clone()) };
    let (name, text) = match &bearer.place {
        Place::Bearer => (AUTHORIZATION, format!("Bearer {}", bearer.token.expose().trim())),
        Place::Header(name) => (name.clone(), bearer.token.expose().trim().to_owned()),
        Place::Basic { username } => {
            let pair = STANDARD.encode(format!("{username}:{}", bearer.token.expose()));
            (AUTHORIZATION, format!("Basic {pair}"))
        }
        Place::FormField(name) => {
            let mut request = request.clone();
            let mut form = form_urlencoded::Serializer::new(String::from_utf8_lossy(&request.body).into_owned());
            request.body = Bytes::from(form.append_pair(name, bearer.token.expose().trim()).finish());
            return Ok(request);
        }
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| SendError::NotSent {
        why: "the API key or token holds characters that no header can carry".into(),
    })?;
    value.set_sensitive(true);
    Ok(request.clone().header(name, value))
}

/// A request that was sent, and what came of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its number in the call log.
    pub call: CallId,
    /// When it was written.
    pub started_at: Timestamp,
    /// Until the reply's last byte, or until it was given up.
    pub took: Duration,
    /// A complete reply, whatever its status, or none.
    pub result: Result<Reply, SendError>,
}

impl Exchange {
    /// The call as the log keeps it. `account` is the account's name as in the configuration; `verdict` is what we took
    /// the outcome to mean, without personal data.
    pub fn record(
        &self,
        run: Option<RunId>,
        lead: Option<LeadId>,
        account: &str,
        what: &str,
        verdict: impl Into<String>,
    ) -> CallRecord {
        CallRecord {
            id: self.call,
            run,
            lead,
            account: account.to_owned(),
            what: what.to_owned(),
            started_at: self.started_at,
            duration_ms: i64::try_from(self.took.as_millis()).unwrap_or(i64::MAX),
            status: self.result.as_ref().ok().map(|reply| reply.status.as_u16()),
            verdict: verdict.into(),
        }
    }
}
