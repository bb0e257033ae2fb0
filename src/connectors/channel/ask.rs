//! Calls that may be repeated.

use std::time::Duration;

use http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::{Channel, Exchange};
use crate::auth::AuthError;
use crate::connectors::{Asked, Destination, Verdict};
use crate::crash::{self, At};
use crate::http::message::{Reply, Request, SendError};
use crate::lead::Prepared;
use crate::store::CallRecord;

/// Longest `Retry-After` that is waited for in place; the caller is told of a longer one by the reply itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no reply.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AskError {
    /// The run was told to stop.
    #[error("interrupted")]
    Stopped,
    /// There is no token to ask with.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// No complete reply, after the repeats that the budget allowed.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// What a destination says of a reply.
#[derive(Clone, Copy, Default)]
struct Said {
    /// How long the account is to be left alone.
    wait: Option<Duration>,
    /// Neither a new token nor time would change it: also a 401, where it is about a scope.
    is_final: bool,
}

/// What to do with an exchange.
enum Next {
    Done,
    Refresh,
    Wait(Duration),
}

impl Channel {
    /// Sends a request that may be repeated: permit, token, send. A 401 refreshes the token once; a request that was not
    /// sent or got no reply, a 408, 429 or 5xx is repeated after a short wait, as long as the account's budget for repeats
    /// lasts. A 429 pauses the account for as long as its `Retry-After` says, and so does a 5xx that asks for at most 30 s; a
    /// reply that asks for more is returned at once, and is the caller's to heed. Returns the last reply, whatever its
    /// status, and every call made; `what` names the calls in the log.
    ///
    /// Tells the breaker of every call. A wait ends early when `stop` comes; a request under way is not cut off.
    pub async fn ask(
        &self,
        what: &'static str,
        request: &Request,
        stop: &CancellationToken,
    ) -> (Result<Reply, AskError>, Vec<CallRecord>) {
        let mut calls = Vec::new();
        let result = self.repeat(what, request, stop, self.backoff.short(), &|_| Said::default(), &mut calls).await;
        (result, calls)
    }

    /// The same for a destination, whose own word counts: on its limits ([`Destination::limit_said`]) like a `Retry-After`, so
    /// that nothing is repeated on a day whose calls are used up, and on the account, so that no new token is fetched for
    /// a scope that is missing.
    pub async fn ask_of(
        &self,
        destination: &dyn Destination,
        what: &'static str,
        request: &Request,
        stop: &CancellationToken,
    ) -> (Result<Reply, AskError>, Vec<CallRecord>) {
        let mut calls = Vec::new();
        let said = |reply: &Reply| Said {
            wait: destination.limit_said(reply).map(|(wait, _)| wait),
            is_final: matches!(
                destination.read(Asked::Find, &Prepared::default(), reply),
                Some(Verdict::AccountWrong { .. })
            ),
        };
        let result = self.repeat(what, request, stop, self.backoff.short(), &said, &mut calls).await;
        (result, calls)
    }

    /// The same, but nothing is repeated, except after a 401 with a new token.
    pub async fn ask_once(
        &self,
        what: &'static str,
        request: &Request,
        stop: &CancellationToken,
    ) -> (Result<Reply, AskError>, Vec<CallRecord>) {
        let mut calls = Vec::new();
        let result = self.repeat(what, request, stop, std::iter::empty(), &|_| Said::default(), &mut calls).await;
        (result, calls)
    }

    async fn repeat(
        &self,
        what: &'static str,
        request: &Request,
        stop: &CancellationToken,
        mut waits: impl Iterator<Item = Duration> + Send,
        said: &(dyn Fn(&Reply) -> Said + Sync),
        calls: &mut Vec<CallRecord>,
    ) -> Result<Reply, AskError> {
        let mut refreshed = false;
        loop {
            let permit = self.permit(stop).await.ok_or(AskError::Stopped)?;
            let bearer = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(AskError::Stopped),
                bearer = self.bearer() => bearer?,
            };
            crash::point(what, At::BeforeRequest);
            let exchange = self.send(permit, bearer.as_ref(), request).await;
            crash::point(what, At::AfterReply);
            self.tell_breaker(&exchange);
            let next = match self.next(&exchange, refreshed, said) {
                Next::Wait(least) => match waits.next() {
                    Some(wait) if least <= PATIENCE && self.budget.repeat() => Next::Wait(wait.max(least)),
                    _ => Next::Done,
                },
                next => next,
            };
            calls.push(exchange.record(self.run, None, self.name(), what, in_words(&exchange, &next)));
            match next {
                Next::Done => return exchange.result.map_err(AskError::Send),
                Next::Refresh => {
                    refreshed = true;
                    if let Some(bearer) = &bearer {
                        tokio::select! {
                            biased;
                            () = stop.cancelled() => return Err(AskError::Stopped),
                            expired = self.expired(bearer) => expired?,
                        }
                    }
                }
                Next::Wait(wait) => tokio::select! {
                    biased;
                    () = stop.cancelled() => return Err(AskError::Stopped),
                    () = tokio::time::sleep(wait) => {}
                },
            }
        }
    }

    /// What an exchange leads to, budget aside: the wait is the least that the server asks for.
    fn next(&self, exchange: &Exchange, refreshed: bool, said: &(dyn Fn(&Reply) -> Said + Sync)) -> Next {
        let Ok(reply) = &exchange.result else { return Next::Wait(Duration::ZERO) };
        let said = said(reply);
        if said.is_final {
            return Next::Done;
        }
        match reply.status {
            StatusCode::UNAUTHORIZED if !refreshed => Next::Refresh,
            StatusCode::TOO_MANY_REQUESTS => {
                let wait = said.wait.or_else(|| reply.retry_after()).unwrap_or(Duration::from_secs(1));
                self.limiter.pause_until(self.clock.now().plus(wait), "429 Too Many Requests");
                Next::Wait(wait)
            }
            StatusCode::REQUEST_TIMEOUT => Next::Wait(Duration::ZERO),
            status if status.is_server_error() => {
                // A longer one is for the caller to make known: nobody is to wait here for hours.
                if let Some(wait) = reply.asks_for_a_rest().filter(|wait| *wait <= PATIENCE) {
                    self.limiter.pause_until(self.clock.now().plus(wait), status.to_string());
                }
                Next::Wait(reply.retry_after().unwrap_or(Duration::ZERO))
            }
            status => {
                if status.is_success() {
                    self.budget.success();
                }
                Next::Done
            }
        }
    }

    /// Counts a failure of the account (no reply, or a 5xx) or its end. For those who [`Channel::send`] themselves.
    pub fn tell_breaker(&self, exchange: &Exchange) {
        match &exchange.result {
            Ok(reply) if reply.status.is_server_error() => self.breaker.failure(reply.status.to_string()),
            Ok(_) => self.breaker.success(),
            Err(error) => self.breaker.failure(error.to_string()),
        }
    }
}

fn in_words(exchange: &Exchange, next: &Next) -> String {
    let outcome = match &exchange.result {
        Ok(reply) if reply.status.is_success() => "answered".into(),
        Ok(reply) => format!("{}: {}", reply.status, reply.message()),
        Err(SendError::NotSent { why }) => format!("not sent: {why}"),
        Err(SendError::Lost { why }) => format!("no reply: {why}"),
    };
    match next {
        Next::Done => outcome,
        Next::Refresh => format!("{outcome}; token refreshed"),
        Next::Wait(wait) => format!("{outcome}; again in {:.1} s", wait.as_secs_f64()),
    }
}
