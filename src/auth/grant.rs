//! What to ask for a token, and what the answer means. Pure: nothing here sends.

pub mod rotating;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use super::AuthError;
use crate::clock::Timestamp;
use crate::http::message::{Reply, Request};
use crate::secret::Secret;

use rotating::RotatingGrant;

/// How long a token is kept whose lifetime nobody told: 15 minutes, the interval at which Live Data has its clients
/// renew. Source: <https://docs.gotlivedata.com>, Auth.
const LIFETIME_UNTOLD: Duration = Duration::from_secs(15 * 60);
/// How long a token is kept that seems to have expired on arrival: our clock or the server's is wrong.
const LIFETIME_DOUBTFUL: Duration = Duration::from_secs(5 * 60);
/// Longest lifetime believed.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// How tokens are obtained. `Debug` shows where, not who: a user name may be an e-mail address.
#[derive(Clone)]
pub enum Grant {
    /// OAuth 2.0 client credentials, the client in a Basic header, as AWS Cognito takes it (7targets). Source: RFC 6749,
    /// 4.4; <https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html>.
    ClientCredentialsBasic { token_url: Url, client_id: String, client_secret: Secret, scope: Option<String> },
    /// A session at Live Data's identity service. Source: <https://docs.gotlivedata.com>, Auth.
    LiveDataSession {
        /// `{identity}/session`.
        session_url: Url,
        login: SessionLogin,
    },
    /// A refresh token that is exchanged for the next one with every use, so that each can be used only once.
    Rotating(RotatingGrant),
}

/// Who logs in at Live Data.
#[derive(Clone)]
pub enum SessionLogin {
    /// A service account.
    ServiceAccount { client_id: String, client_secret: Secret },
    /// A person.
    Password { username: String, password: Secret },
}

/// A token as it came, not yet stored.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuedToken {
    /// The access token.
    pub access: Secret,
    /// The refresh token that takes the place of the one it was asked for with, if there is one.
    pub refresh: Option<Secret>,
    /// On our clock, measured from before the request.
    pub expires_at: Timestamp,
    /// It seemed to have expired on arrival: one of the clocks is wrong.
    pub doubtful: bool,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant({})", self.place())
    }
}

impl Grant {
    /// Where tokens are asked for.
    pub fn token_url(&self) -> &Url {
        match self {
            Self::ClientCredentialsBasic { token_url, .. } => token_url,
            Self::LiveDataSession { session_url, .. } => session_url,
            Self::Rotating(grant) => &grant.token_url,
        }
    }

    /// Who logs in where: kind, token URL, client, scope, user.
    pub(super) fn identity(&self) -> Vec<&str> {
        match self {
            Self::ClientCredentialsBasic { token_url, client_id, scope, .. } => {
                vec!["client_credentials_basic", token_url.as_str(), client_id, scope.as_deref().unwrap_or_default()]
            }
            Self::LiveDataSession { session_url, login: SessionLogin::ServiceAccount { client_id, .. } } => {
                vec!["live_data_service_account", session_url.as_str(), client_id]
            }
            Self::LiveDataSession { session_url, login: SessionLogin::Password { username, .. } } => {
                vec!["live_data_password", session_url.as_str(), username]
            }
            Self::Rotating(grant) => grant.identity(),
        }
    }

    /// The grant whose requests must not be repeated freely, since each spends a refresh token. The others only ever
    /// issue one more token.
    pub(super) fn rotating(&self) -> Option<&RotatingGrant> {
        match self {
            Self::Rotating(grant) => Some(grant),
            Self::ClientCredentialsBasic { .. } | Self::LiveDataSession { .. } => None,
        }
    }

    /// The request for a new token. `refresh` is the stored refresh token; without one, a grant that needs one begins with
    /// that of the configuration.
    pub fn request(&self, refresh: Option<&Secret>) -> Request {
        let request = Request::new(Method::POST, self.token_url().clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        match self {
            Self::ClientCredentialsBasic { client_id, client_secret, scope, .. } => {
                // Unlike the text of RFC 6749 (2.3.1), Cognito takes id and secret as they are, not form-encoded; both are
                // alphanumeric there. A line break, as `openssl base64` makes it, would be refused by the header.
                let basic = STANDARD.encode(format!("{}:{}", client_id.trim(), client_secret.expose().trim()));
                let mut value = HeaderValue::try_from(format!("Basic {basic}")).expect("base64 fits into a header");
                value.set_sensitive(true);
                let mut form = vec![("grant_type", "client_credentials")];
                form.extend(scope.as_deref().map(|scope| ("scope", scope)));
                with_form(request.header(AUTHORIZATION, value), &form)
            }
            Self::LiveDataSession { login: SessionLogin::ServiceAccount { client_id, client_secret }, .. } => request
                .json(&json!({
                    "grantType": "clientCredentials",
                    "clientId": client_id.trim(),
                    "clientSecret": client_secret.expose().trim(),
                })),
            Self::LiveDataSession { login: SessionLogin::Password { username, password }, .. } => {
                with_form(request, &[("username", username), ("password", password.expose())])
            }
            Self::Rotating(grant) => grant.asks(request, refresh),
        }
    }

    /// What the reply to [`Grant::request`] means. `asked_at` is before the request was sent, so that a token never lives
    /// longer here than there.
    ///
    /// # Errors
    /// [`AuthError::Refused`] for a 4xx or a redirect, [`AuthError::NeedsLogin`] where it is a refresh token that was
    /// refused, [`AuthError::Unavailable`] for 408, 429 and 5xx, [`AuthError::Unreadable`] for a success without a token. None of them holds anything of the body but the OAuth error
    /// code.
    pub fn read(&self, reply: &Reply, asked_at: Timestamp) -> Result<IssuedToken, AuthError> {
        let at = self.place();
        let status = reply.status;
        if status.is_success() {
            return issued(reply, asked_at).ok_or_else(|| AuthError::Unreadable {
                why: format!("the reply of the token service at `{at}` ({}) holds no token", status.as_u16()),
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
        if self.rotating().is_some() && rotating::is_spent(reply) {
            return Err(AuthError::NeedsLogin {
                why: format!("its refresh token was refused ({told}): it was used before, has expired or was revoked"),
            });
        }
        Err(AuthError::Refused {
            what: format!("the token request to `{at}` was refused ({told})"),
            remedy: self.remedy(status, code.as_deref()),
        })
    }

    /// The token URL for messages, without user name, password and query.
    fn place(&self) -> String {
        let url = self.token_url();
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}{}", url.scheme(), url.path())
    }

    fn remedy(&self, status: StatusCode, code: Option<&str>) -> String {
        let (keys, address) = match self {
            Self::ClientCredentialsBasic { .. } | Self::Rotating(_) => {
                ("`client_id` and `client_secret`", "`token_url`")
            }
            Self::LiveDataSession { login: SessionLogin::ServiceAccount { .. }, .. } => {
                ("`client_id` and `client_secret`", "`identity_url`")
            }
            Self::LiveDataSession { login: SessionLogin::Password { .. }, .. } => {
                ("`username` and `password`", "`identity_url`")
            }
        };
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

fn with_form(mut request: Request, fields: &[(&str, &str)]) -> Request {
    request.body = Bytes::from(Serializer::new(String::new()).extend_pairs(fields).finish());
    request.header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
}

/// The `error` of RFC 6749, 5.2. Anything that doesn't look like one of its codes may be a sentence that quotes what was
/// sent.
fn error_code(reply: &Reply) -> Option<String> {
    let code = reply.json()?.get("error")?.as_str()?.to_owned();
    let looks_like_one = (1..=40).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    looks_like_one.then_some(code)
}

fn issued(reply: &Reply, asked_at: Timestamp) -> Option<IssuedToken> {
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
        None => LIFETIME_UNTOLD,
        Some(_) if doubtful => LIFETIME_DOUBTFUL,
        Some(ms) => Duration::from_millis(u64::try_from(ms).unwrap_or(0)).min(LIFETIME_MAX),
    };
    let (access, refresh) = (Secret::new(access), refresh.map(Secret::new));
    Some(IssuedToken { access, refresh, expires_at: asked_at.plus(lifetime), doubtful })
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
