//! What the Lead (bank) side is started with.

use std::time::Duration;

use crate::http::message::Rate;
use crate::secret::Secret;

/// The Lead (bank) side. Source: docs.lead.bank, authentication and entities.
#[derive(Clone, Debug)]
pub struct LeadBankOptions {
    /// Default `sandbox-client`.
    pub client_id: String,
    /// Default `sandbox-secret`.
    pub client_secret: Secret,
    /// What the program may have, space separated: whoever asks for more is granted this. Default `entity/read_write
    /// event/read`.
    pub scope: String,
    /// Whether callers are within the allowed subnets; can be switched as `source_ip_allowed`. Default true.
    pub source_ip_allowed: bool,
    /// Whether that is looked at before a token is given too. Default false.
    pub token_needs_source_ip: bool,
    /// Per client; `None`: no limit. The vendor documents none. Default 50/s.
    pub rate: Option<Rate>,
}

impl Default for LeadBankOptions {
    fn default() -> Self {
        Self {
            client_id: "sandbox-client".into(),
            client_secret: Secret::new("sandbox-secret"),
            scope: "entity/read_write event/read".into(),
            source_ip_allowed: true,
            token_needs_source_ip: false,
            rate: Some(Rate { count: 50, per: Duration::from_secs(1) }),
        }
    }
}
