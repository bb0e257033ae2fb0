//! What the LeadConnector side is started with.

use std::time::Duration;

use crate::http::message::Rate;
use crate::secret::Secret;

/// The LeadConnector (HighLevel) side. Source: github.com/GoHighLevel/highlevel-api-docs, `apps/v3` and `docs/oauth`.
#[derive(Clone, Debug)]
pub struct LeadConnectorOptions {
    /// The app. Default `sandbox-client`.
    pub client_id: String,
    /// Default `sandbox-secret`.
    pub client_secret: Secret,
    /// What the app may ask for, space separated. Default contacts and oauth, each to read and to write.
    pub scope: String,
    /// A private integration token of `location_id`: a bearer that never expires. Default `pit-sandbox`.
    pub private_token: Secret,
    /// Good once, for `location_id`. Default `sandbox-refresh`.
    pub refresh_token: Secret,
    /// Good once, for the agency. Default `sandbox-agency-refresh`.
    pub agency_refresh_token: Secret,
    /// The agency. Default `sandbox_company`.
    pub company_id: String,
    /// The location whose tokens the app is given. Default `sandbox_location`.
    pub location_id: String,
    /// Other locations of the agency; `location_id` is listed after them. Default 20 of them, so that a client must turn
    /// the page to find it.
    pub other_locations: Vec<String>,
    /// Whether a token can be had for its location; can be switched as `location_active`. Default true.
    pub location_active: bool,
    /// Whether `POST /contacts/` makes another contact of one that is there. Default false: it is refused.
    pub allow_duplicates: bool,
    /// Per location or agency; `None`: no limit. Default 100/10s, the vendor's.
    pub rate: Option<Rate>,
    /// Calls a day, likewise. Default 200 000, the vendor's.
    pub daily: Option<u32>,
}

impl Default for LeadConnectorOptions {
    fn default() -> Self {
        Self {
            client_id: "sandbox-client".into(),
            client_secret: Secret::new("sandbox-secret"),
            scope: "contacts.readonly contacts.write oauth.readonly oauth.write".into(),
            private_token: Secret::new("pit-sandbox"),
            refresh_token: Secret::new("sandbox-refresh"),
            agency_refresh_token: Secret::new("sandbox-agency-refresh"),
            company_id: "sandbox_company".into(),
            location_id: "sandbox_location".into(),
            other_locations: (1..=20).map(|n| format!("sandbox_location_{n:02}")).collect(),
            location_active: true,
            allow_duplicates: false,
            rate: Some(Rate { count: 100, per: Duration::from_secs(10) }),
            daily: Some(200_000),
        }
    }
}
