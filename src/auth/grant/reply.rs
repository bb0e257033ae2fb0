//! What the answer to a token request means.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::{Grant, IssuedToken, With};
use crate::auth::AuthError;
use crate::clock::Timestamp;
use crate::http::message::Reply;
use crate::secret::Secret;

/// How long a token is kept that seems to have expired on arrival: our clock or the server's is wrong.
pub(super) const LIFETIME_DOUBTFUL: Duration = Duration::from_secs(5 * 60);
/// Longest lifetime believed.
pub(super) const LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);

impl Grant {
    /// What the reply to [`Grant::request`] means. `asked_at` is before the request was sent, so that a token never lives
    /// longer here than there; `with` is what was asked with.
    ///
    /// # Errors
    /// [`AuthError::Refused`] for a 4xx or a redirect, [`AuthError::NeedsLogin`] where it is a refresh token that was
    /// refused and nothing else can be asked with, [`AuthError::Unavailable`] for 408, 429 and 5xx,
    /// [`AuthError::Unreadable`] for a success without a token. None of them holds anything of the body but the error
    /// code.
    pub fn read(&self, with: With<'_>, reply: &Reply, asked_at: Timestamp) -> Result<IssuedToken, AuthError> {
        let at = self.place();
        let status = reply.status;
        if status.is_success() {
            return issued(reply, asked_at, self.lifetime_untold).ok_or_else(|| match error_code(reply) {
                // A service that answers a refusal with 200, as LeadDesk's may.
                Some(code) => AuthError::Refused {
                    what: format!("the token request to `{at}` was refused ({}, `{code}`)", status.as_u16()),
                    remedy: self.remedy(status, Some(&code)),
                },
                None => AuthError::Unreadable {
                    why: format!("the reply of the token service at `{at}` ({}) holds no token", status.as_u16()),
                },
            });
        }
        let code = error_code(reply);
        let told = match &code {
            Some(code) => format!("{}, `{code}`", status.as_u16()),
            None => status.as_u16().to_string(),
        };
        if status.is_server_error()
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status)
        {
            return Err(AuthError::Unavailable { why: format!("the token service at `{at}` is unavailable ({told})") });
        }
        if self.exchanges_only() && matches!(with, With::Refresh(_)) && is_spent(reply) {
            return Err(AuthError::NeedsLogin {
                why: format!("its refresh token was refused ({told}): it was used before, has expired or was revoked"),
                by_browser: self.browser.is_some(),
            });
        }
        if let Some((reason, remedy)) = self.known_refusals.iter().find_map(|known| known(reply)) {
            return Err(AuthError::Refused {
                what: format!("the token request to `{at}` was refused ({told}): {reason}"),
                remedy,
            });
        }
        Err(AuthError::Refused {
            what: format!("the token request to `{at}` was refused ({told})"),
            remedy: self.remedy(status, code.as_deref()),
        })
    }

    fn remedy(&self, status: StatusCode, code: Option<&str>) -> String {
        let (keys, address) = (self.keys, self.address);
        match code {
            Some("invalid_scope") => "check `scope`".into(),
            Some("unauthorized_client") => {
                format!("check {keys} and `scope`; the client may not be allowed this grant")
            }
            Some(_) => format!("check {keys}"),
            None if [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) => {
                format!("check {keys}")
            }
            None => format!("check {address}"),
        }
    }
}

/// Whether a refusal is about the refresh token and not about the client: `invalid_grant` (RFC 6749, 5.2), or
/// LeadConnector's sentence, which is all that its version 3 says.
fn is_spent(reply: &Reply) -> bool {
    let may_be = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED].contains(&reply.status);
    may_be
        && match error_code(reply) {
            Some(code) => code == "invalid_grant",
            None => {
                let said = reply.said().to_lowercase();
                said.contains("invalid grant") && said.contains("refresh token")
            }
        }
}

/// The `error` of RFC 6749, 5.2, or the `code` of a problem body (lead.bank). Anything that doesn't look like one of its codes may be a sentence that quotes what was
/// sent.
fn error_code(reply: &Reply) -> Option<String> {
    let body = reply.json()?;
    let looks_like_one =
        |code: &&str| (1..=40).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    ["error", "code"].into_iter().find_map(|name| body.get(name)?.as_str().filter(looks_like_one).map(str::to_owned))
}

fn issued(reply: &Reply, asked_at: Timestamp, untold: Duration) -> Option<IssuedToken> {
    let json = reply.json()?;
    let field = |names: [&str; 2]| names.into_iter().find_map(|name| json.get(name)).filter(|value| !value.is_null());
    let access = field(["accessToken", "access_token"])?.as_str()?;
    // It becomes a header's value.
    if access.is_empty() || !access.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let refresh = field(["refreshToken", "refresh_token"]).and_then(Value::as_str).filter(|token| !token.is_empty());
    let told = match (field(["expiresAt", "expires_at"]).and_then(moment), field(["expiresIn", "expires_in"])) {
        // The server's own clock, where it says what it reads, tells the lifetime whatever ours reads.
        (Some(at), _) => Some(at.ms().saturating_sub(reply.date().unwrap_or(asked_at).ms())),
        (None, Some(seconds)) => seconds_in(seconds).map(|seconds| seconds.saturating_mul(1000)),
        (None, None) => None,
    };
    let doubtful = told.is_some_and(|ms| ms <= 0);
    let lifetime = match told {
        None => untold,
        Some(_) if doubtful => LIFETIME_DOUBTFUL,
        Some(ms) => Duration::from_millis(u64::try_from(ms).unwrap_or(0)).min(LIFETIME_MAX),
    };
    let scope = json.get("scope").and_then(Value::as_str).map(str::to_owned);
    let (access, refresh) = (Secret::new(access), refresh.map(Secret::new));
    Some(IssuedToken { access, refresh, expires_at: asked_at.plus(lifetime), doubtful, scope })
}

/// A number of seconds, also as text.
fn seconds_in(value: &Value) -> Option<i64> {
    match value {
        // `as` saturates.
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// ISO 8601 with or without fraction; without zone it is UTC, as the vendor's own helper reads it.
fn moment(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?.trim();
    let at = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let local = text.parse::<jiff::civil::DateTime>().ok()?;
        Some(local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })?;
    Some(Timestamp::from_ms(at.as_millisecond()))
}
