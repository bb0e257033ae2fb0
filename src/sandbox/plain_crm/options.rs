//! What the plain CRM is started with.

use std::time::Duration;

use crate::http::message::Rate;
use crate::sandbox::options::Duplicate;
use crate::secret::Secret;

/// A CRM that is nobody's: what a generic HTTP destination is tried against.
#[derive(Clone, Debug)]
pub struct PlainCrmOptions {
    /// For the header `x-api-key`. Default `sandbox-key`.
    pub api_key: Secret,
    /// Default `sandbox-client`.
    pub client_id: String,
    /// Default `sandbox-secret`.
    pub client_secret: Secret,
    /// For the password grant, and for Basic on any call. Default `sandbox-user`.
    pub username: String,
    /// Default `sandbox-password`.
    pub password: Secret,
    /// The one scope there is. Default `contacts`.
    pub scope: String,
    /// Good once. Default `sandbox-refresh`.
    pub refresh_token: Secret,
    /// Whether a create makes another contact of an address that is there. Default false.
    pub allow_duplicates: bool,
    /// What a create answers for an address that is there, if it makes no other. Default conflict.
    pub duplicate: Duplicate,
    /// Per account; `None`: no limit. Default 50/s.
    pub rate: Option<Rate>,
}

impl Default for PlainCrmOptions {
    fn default() -> Self {
        Self {
            api_key: Secret::new("sandbox-key"),
            client_id: "sandbox-client".into(),
            client_secret: Secret::new("sandbox-secret"),
            username: "sandbox-user".into(),
            password: Secret::new("sandbox-password"),
            scope: "contacts".into(),
            refresh_token: Secret::new("sandbox-refresh"),
            allow_duplicates: false,
            duplicate: Duplicate::Conflict,
            rate: Some(Rate { count: 50, per: Duration::from_secs(1) }),
        }
    }
}
