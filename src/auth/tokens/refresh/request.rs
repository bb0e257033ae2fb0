//! One request to the token service, its outcome, and its line in the call log.

use std::time::Duration;

use tokio::time::Instant;

use super::{Errand, PAUSE_MAX};
use crate::auth::grant::With;
use crate::auth::{AuthError, Bearer, IssuedToken};
use crate::clock::{Moment, Timestamp};
use crate::crash::{self, At};
use crate::http::message::{Reply, SendError};
use crate::store::{CallId, CallRecord};

impl Errand<'_> {
    /// One request, over when `timeout` has passed since `departed`. Its log is written after what it brought is safe.
    pub(super) async fn send(
        &self,
        with: With<'_>,
        parent: Option<&Bearer>,
        departed: Moment,
        timeout: Duration,
    ) -> Sent {
        let asked_at = self.shared.clock.now();
        let began = Instant::now();
        crash::point("token", At::BeforeRequest);
        let request = self.grant.request(with, parent);
        let result = self.shared.http.send_departed(&request, departed, timeout).await;
        crash::point("token", At::AfterReply);
        let took = began.elapsed();
        let issued = match &result {
            Ok(reply) => self.grant.read(with, reply, asked_at),
            Err(SendError::NotSent { why } | SendError::Lost { why }) => {
                Err(AuthError::Unavailable { why: format!("no token: {why}") })
            }
        };
        if issued.as_ref().is_ok_and(|issued| issued.doubtful) {
            tracing::warn!(
                account = self.account.name(),
                "the token had expired on arrival by this machine's clock; kept for 5 minutes: check the clock"
            );
        }
        if let Ok(issued) = &issued
            && let Some(withheld) = issued.scope.as_deref().map(|granted| self.grant.withheld(granted))
            && !withheld.is_empty()
        {
            tracing::warn!(
                account = self.account.name(),
                "the token service granted less than was asked for; missing: {}",
                withheld.join(" ")
            );
        }
        Sent { asked_at, took, result, issued }
    }

    pub(super) async fn log(&self, sent: &Sent) {
        let call = CallRecord {
            id: CallId::new(sent.asked_at),
            run: self.shared.run,
            lead: None,
            account: self.account.name().to_owned(),
            what: "token".into(),
            started_at: sent.asked_at,
            duration_ms: i64::try_from(sent.took.as_millis()).unwrap_or(i64::MAX),
            status: sent.result.as_ref().ok().map(|reply| reply.status.as_u16()),
            verdict: in_words(&sent.issued),
        };
        // A token is not thrown away because the log can't be written.
        if let Err(error) = self.shared.vault.log_calls(&[call]).await {
            tracing::warn!(account = self.account.name(), "a token request could not be logged: {error}");
        }
    }
}

/// As the call log keeps it.
pub(in crate::auth::tokens) fn in_words(issued: &Result<IssuedToken, AuthError>) -> String {
    match issued {
        Ok(token) => format!("issued, good until {}", token.expires_at),
        Err(error) => error.to_string(),
    }
}

/// A request to the token service, and what came of it.
pub(super) struct Sent {
    pub(super) asked_at: Timestamp,
    pub(super) took: Duration,
    pub(super) result: Result<Reply, SendError>,
    pub(super) issued: Result<IssuedToken, AuthError>,
}

impl Sent {
    /// Nothing was sent, for want of the token that authorises it.
    pub(super) fn not(asked_at: Timestamp, error: AuthError) -> Self {
        let result = Err(SendError::NotSent { why: error.to_string() });
        Self { asked_at, took: Duration::ZERO, result, issued: Err(error) }
    }

    /// When the token service may be asked again, by its own words.
    pub(super) fn wanted_pause(&self, now: Timestamp) -> Timestamp {
        let wait = self.result.as_ref().ok().and_then(Reply::retry_after).unwrap_or_default();
        now.plus(wait.min(PAUSE_MAX))
    }
}
