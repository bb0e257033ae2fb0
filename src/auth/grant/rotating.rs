//! Refresh tokens that rotate: each use brings the next one, and the one that was used is dead. Whoever uses it again is
//! taken for a thief, and the whole chain may be revoked. Sources: RFC 6749, 6; RFC 9700, 2.2.2 and 4.14.2; LeadConnector:
//! <https://marketplace.gohighlevel.com/docs/Authorization/OAuth2.0>.

use http::{HeaderName, HeaderValue, StatusCode};
use url::Url;

use super::{Reply, Request, Secret, error_code, with_form};

/// Who exchanges which refresh tokens where.
#[derive(Clone)]
pub struct RotatingGrant {
    pub token_url: Url,
    pub client_id: String,
    pub client_secret: Secret,
    /// The refresh token of the configuration. It begins the chain and is used once; what follows is in the database.
    pub seed: Secret,
    /// How the form's fields are written.
    pub spelling: Spelling,
    /// For whom, where the API asks (LeadConnector: `Location` or `Company`).
    pub user_type: Option<String>,
    /// The header `Version`, where the API wants one (LeadConnector).
    pub api_version: Option<HeaderValue>,
}

/// How the fields of the form are written; replies are read in either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `refresh_token`, as in RFC 6749.
    Snake,
    /// `refreshToken`, as in LeadConnector's API v3.
    Camel,
}

impl RotatingGrant {
    /// Who logs in where. Without the seed, which is another one after every login.
    pub(super) fn identity(&self) -> Vec<&str> {
        vec!["rotating", self.token_url.as_str(), &self.client_id, self.user_type.as_deref().unwrap_or_default()]
    }

    /// `request` completed: the exchange of `refresh`, or of the seed.
    pub(super) fn asks(&self, request: Request, refresh: Option<&Secret>) -> Request {
        let [id, secret, kind, token, user] = match self.spelling {
            Spelling::Snake => ["client_id", "client_secret", "grant_type", "refresh_token", "user_type"],
            Spelling::Camel => ["clientId", "clientSecret", "grantType", "refreshToken", "userType"],
        };
        let mut form = vec![
            (kind, "refresh_token"),
            (token, refresh.unwrap_or(&self.seed).expose().trim()),
            (id, self.client_id.trim()),
            (secret, self.client_secret.expose().trim()),
        ];
        form.extend(self.user_type.as_deref().map(|who| (user, who)));
        let request = with_form(request, &form);
        match &self.api_version {
            Some(version) => request.header(HeaderName::from_static("version"), version.clone()),
            None => request,
        }
    }
}

/// Whether a refusal is about the refresh token and not about the client: `invalid_grant` (RFC 6749, 5.2), or
/// LeadConnector's sentence, which is all that its version 3 says.
pub(super) fn is_spent(reply: &Reply) -> bool {
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
