//! What the LeadDesk side is started with.

use std::time::Duration;

use crate::http::message::Rate;
use crate::secret::Secret;

/// The LeadDesk side, both APIs over the same contacts. Sources: leaddesk.com/docs (REST and Original API) and github.com
/// microsoft/PowerPlatformConnectors, `certified-connectors/LeadDesk`.
#[derive(Clone, Debug)]
pub struct LeadDeskOptions {
    /// REST: the registered app. Default `sandbox-client`.
    pub client_id: String,
    /// Default `sandbox-secret`.
    pub client_secret: Secret,
    /// REST: the customer's account. Default 4711.
    pub leaddesk_client_id: u64,
    /// REST: password login. Default `sandbox-user`.
    pub username: String,
    /// Default `sandbox-password`.
    pub password: Secret,
    /// REST: a bearer that never expires. Default `sandbox-access`.
    pub access_token: Secret,
    /// REST: good once. Default `sandbox-refresh`.
    pub refresh_token: Secret,
    /// REST: whether a token's reply has `expires_in`. Default true.
    pub tells_expiry: bool,
    /// Original API: 32 characters. Default `sandboxkeysandboxkeysandboxkey00`.
    pub auth_key: Secret,
    /// Numbers and names of the contact lists. Default 101 `Old leads` and 102 `Sandbox leads`.
    pub contact_lists: Vec<(u64, String)>,
    /// Per account and API; `None`: no limit. The vendor documents none. Default 50/s.
    pub rate: Option<Rate>,
}

impl Default for LeadDeskOptions {
    fn default() -> Self {
        Self {
            client_id: "sandbox-client".into(),
            client_secret: Secret::new("sandbox-secret"),
            leaddesk_client_id: 4711,
            username: "sandbox-user".into(),
            password: Secret::new("sandbox-password"),
            access_token: Secret::new("sandbox-access"),
            refresh_token: Secret::new("sandbox-refresh"),
            tells_expiry: true,
            auth_key: Secret::new("sandboxkeysandboxkeysandboxkey00"),
            contact_lists: vec![(101, "Old leads".into()), (102, "Sandbox leads".into())],
            rate: Some(Rate { count: 50, per: Duration::from_secs(1) }),
        }
    }
}
