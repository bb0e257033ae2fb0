//! Settings to connectors: one line per kind.
//!
//! A connector needs no secret to build requests and read replies, so `plan` and `explain` work without any; credentials
//! are asked for apart ([`credentials_of`], [`enrich_credentials`]), by the commands that send.

use std::sync::Arc;

use url::Url;

use super::live_data::LiveData;
use super::seven_targets::SevenTargets;
use super::template::TemplateError;
use super::{Destination, Enricher};
use crate::config::{
    DestinationKind, DestinationSettings, EnrichKind, EnrichSettings, LiveDataSettings, SevenTargetsSettings,
};
use crate::secret::Secret;

/// Settings from which no connector can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A key that this connector can't do without is not set.
    #[error(transparent)]
    Missing(#[from] MissingSetting),
    /// A key is set to something that can't be used.
    #[error("{key}: found {found}, expected {expected}")]
    Bad { key: String, found: String, expected: String },
    /// A template can't be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// A key that is not set; the configuration knows where it was looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is not set{}", alternative.as_ref().map_or(String::new(), |other| format!(", nor is {other}")))]
pub struct MissingSetting {
    /// The whole key: `destinations.7targets.client_secret`.
    pub key: String,
    /// What could be set in its place.
    pub alternative: Option<String>,
}

impl BuildError {
    pub(super) fn bad(key: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Bad { key: key.into(), found: found.into(), expected: expected.into() }
    }

    pub(super) fn missing_or(key: impl Into<String>, alternative: impl Into<String>) -> Self {
        MissingSetting { key: key.into(), alternative: Some(alternative.into()) }.into()
    }
}

/// How an account is logged in to; the grants themselves belong to [`crate::auth`].
#[derive(Debug, Clone, PartialEq)]
pub enum Credentials {
    /// Sent as bearer as it is; nothing to refresh.
    ApiKey(Secret),
    /// OAuth 2.0 client credentials with HTTP Basic and a form body (AWS Cognito).
    ClientCredentialsBasic { token_url: Url, client_id: String, client_secret: Secret, scope: String },
    /// Live Data's `POST {identity}/session` with `clientCredentials`.
    LiveDataServiceAccount { identity_url: Url, client_id: String, client_secret: Secret },
    /// Live Data's `POST {identity}/session` with user name and password.
    LiveDataPassword { identity_url: Url, username: String, password: Secret },
}

/// A destination, ready to be bound to its limits and its account.
#[derive(Clone)]
pub struct BuiltDestination {
    pub destination: Arc<dyn Destination>,
    pub credentials: Credentials,
}

/// The look-up service, ready to be bound to its limits and its account.
#[derive(Clone)]
pub struct BuiltEnricher {
    pub enricher: Arc<dyn Enricher>,
    pub credentials: Credentials,
}

/// The destination called `name`, with its credentials.
///
/// # Errors
/// [`BuildError`], naming the key.
pub fn build_destination(name: &str, settings: &DestinationSettings) -> Result<BuiltDestination, BuildError> {
    let destination = destination(name, settings)?;
    Ok(BuiltDestination { destination, credentials: credentials_of(name, settings)? })
}

/// The destination called `name`, for commands that send nothing.
///
/// # Errors
/// [`BuildError`], naming the key.
pub fn destination(name: &str, settings: &DestinationSettings) -> Result<Arc<dyn Destination>, BuildError> {
    Ok(match &settings.kind {
        DestinationKind::SevenTargets(settings) => Arc::new(SevenTargets::new(name, settings)?),
    })
}

/// What logs in to the destination called `name`.
///
/// # Errors
/// [`MissingSetting`], naming the first key that is missing.
pub fn credentials_of(name: &str, settings: &DestinationSettings) -> Result<Credentials, MissingSetting> {
    match &settings.kind {
        DestinationKind::SevenTargets(settings) => seven_targets_credentials(name, settings),
    }
}

/// The look-up service, with its credentials.
///
/// # Errors
/// [`BuildError`], naming the key.
pub fn build_enricher(settings: &EnrichSettings) -> Result<BuiltEnricher, BuildError> {
    Ok(BuiltEnricher { enricher: enricher(settings)?, credentials: enrich_credentials(settings)? })
}

/// The look-up service, for commands that send nothing.
///
/// # Errors
/// [`BuildError`], naming the key.
pub fn enricher(settings: &EnrichSettings) -> Result<Arc<dyn Enricher>, BuildError> {
    Ok(match &settings.kind {
        EnrichKind::LiveData(settings) => {
            let organization = set("enrich.organization", settings.organization.as_deref())?;
            Arc::new(LiveData::new(settings, &organization)?)
        }
    })
}

/// What logs in to the look-up service.
///
/// # Errors
/// [`BuildError`] if a key is missing, or if several ways of logging in are set at once.
pub fn enrich_credentials(settings: &EnrichSettings) -> Result<Credentials, BuildError> {
    match &settings.kind {
        EnrichKind::LiveData(settings) => live_data_credentials(settings),
    }
}

fn seven_targets_credentials(name: &str, from: &SevenTargetsSettings) -> Result<Credentials, MissingSetting> {
    let key = |key: &str| format!("destinations.{name}.{key}");
    Ok(Credentials::ClientCredentialsBasic {
        token_url: from.token_url.clone(),
        client_id: set(key("client_id"), from.client_id.as_deref())?,
        client_secret: set_secret(key("client_secret"), from.client_secret.as_ref())?,
        scope: from.scope.clone(),
    })
}

fn live_data_credentials(from: &LiveDataSettings) -> Result<Credentials, BuildError> {
    let ways = [
        ("api_key", from.api_key.is_some()),
        ("client_id", from.client_id.is_some() || from.client_secret.is_some()),
        ("username", from.username.is_some() || from.password.is_some()),
    ];
    let mut set_ways = ways.into_iter().filter_map(|(way, is_set)| is_set.then_some(way));
    let identity_url = from.identity_url.clone();
    match (set_ways.next(), set_ways.next()) {
        (Some(one), Some(other)) => Err(BuildError::bad(
            format!("enrich.{one}"),
            format!("enrich.{other} beside it"),
            "one way of logging in: client_id and client_secret, or api_key, or username and password",
        )),
        (Some("api_key"), None) => Ok(Credentials::ApiKey(set_secret("enrich.api_key", from.api_key.as_ref())?)),
        (Some("username"), None) => Ok(Credentials::LiveDataPassword {
            identity_url,
            username: set("enrich.username", from.username.as_deref())?,
            password: set_secret("enrich.password", from.password.as_ref())?,
        }),
        (Some(_), None) => Ok(Credentials::LiveDataServiceAccount {
            identity_url,
            client_id: set("enrich.client_id", from.client_id.as_deref())?,
            client_secret: set_secret("enrich.client_secret", from.client_secret.as_ref())?,
        }),
        (None, _) => Err(BuildError::missing_or(
            "enrich.client_id",
            "enrich.api_key or enrich.username (one way of logging in is needed)",
        )),
    }
}

fn set(key: impl Into<String>, text: Option<&str>) -> Result<String, MissingSetting> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(MissingSetting { key: key.into(), alternative: None }),
    }
}

/// Not trimmed: a secret is taken as it is, but a blank one is none.
fn set_secret(key: impl Into<String>, secret: Option<&Secret>) -> Result<Secret, MissingSetting> {
    match secret.filter(|secret| !secret.expose().trim().is_empty()) {
        Some(secret) => Ok(secret.clone()),
        None => Err(MissingSetting { key: key.into(), alternative: None }),
    }
}
