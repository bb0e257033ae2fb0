//! The kinds of destination, one line each; and from settings to connectors.
//!
//! A kind is data: its keys, and how its table becomes a connector and an account. A connector needs no secret to build
//! requests and read replies, so `plan` and `explain` work without any; the account is asked for apart, by the commands
//! that send.

use std::sync::Arc;

use url::Url;

use super::live_data::LiveData;
use super::template::TemplateError;
use super::{Destination, Enricher, any_http, lead_bank, lead_connector, lead_desk, live_data, seven_targets};
use crate::auth::{Account, Auth};
use crate::config::schema::Key;
use crate::config::{DestinationSettings, EnrichKind, EnrichSettings, Section};
use crate::http::send::Egress;

pub use crate::config::MissingSetting;

/// A kind of destination.
pub struct DestinationKind {
    /// As the configuration names it.
    pub name: &'static str,
    /// Its own keys, below `destinations.NAME`. Those that every destination has are not among them.
    pub keys: &'static [Key],
    /// Fields of its API as the API spells them, to find those that `[….fields]` spells otherwise.
    pub fields: &'static [&'static str],
    /// What must be set for it to be used, and is not.
    pub(super) missing: fn(&Section) -> Vec<MissingSetting>,
    /// The connector. Needs no secret.
    pub(super) build: fn(&Section) -> Result<Arc<dyn Destination>, BuildError>,
    /// The API's address, and how it is logged in to.
    pub(super) login: fn(&Section) -> Result<(Url, Auth), BuildError>,
    /// Whether it can only be reached over IPv4.
    pub(super) ipv4_only: bool,
    /// The custom field that must never be stored or shown in clear, if there is one: it is kept sealed, told to this
    /// destination alone, and opened only for [`Destination::create`], [`Destination::find`] and
    /// [`Destination::complete`].
    pub(super) sealed_field: fn(&Section) -> Option<String>,
}

/// Every kind there is: a new one is its folder and a line here.
pub const KINDS: &[&DestinationKind] = &[
    &seven_targets::KIND,
    &lead_connector::KIND,
    &lead_desk::KIND,
    &lead_bank::KIND,
    &any_http::KIND,
    #[cfg(test)]
    &super::example::KIND,
];

/// Their names, in the same order.
pub const NAMES: &[&str] = &names();

const fn names() -> [&'static str; KINDS.len()] {
    let mut names = [""; KINDS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = KINDS[at].name;
        at += 1;
    }
    names
}

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static DestinationKind> {
    KINDS.iter().copied().find(|kind| kind.name == name)
}

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

impl BuildError {
    pub(super) fn bad(key: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Bad { key: key.into(), found: found.into(), expected: expected.into() }
    }

    pub(super) fn missing_or(key: impl Into<String>, alternative: impl Into<String>) -> Self {
        MissingSetting { key: key.into(), alternative: Some(alternative.into()) }.into()
    }
}

fn kind_of(settings: &DestinationSettings) -> &'static DestinationKind {
    // Settings are only made for kinds that are here.
    kind(settings.kind).unwrap_or(KINDS[0])
}

/// The destination that these settings describe; needs no secret.
///
/// # Errors
/// [`BuildError`], naming the key.
pub fn destination(settings: &DestinationSettings) -> Result<Arc<dyn Destination>, BuildError> {
    (kind_of(settings).build)(&settings.section)
}

/// What must be set for the destination to be used, and is not.
pub fn missing(settings: &DestinationSettings) -> Vec<MissingSetting> {
    (kind_of(settings).missing)(&settings.section)
}

/// The account that the destination is used with.
///
/// # Errors
/// [`BuildError`], naming the first key that is missing.
pub fn account(settings: &DestinationSettings) -> Result<Account, BuildError> {
    account_of(settings, &settings.section)
}

/// The same account for whoever only wants to know what is stored of it: without its secrets.
pub fn account_without_secrets(settings: &DestinationSettings) -> Option<Account> {
    account_of(settings, &settings.section.without_secrets()).ok()
}

fn account_of(settings: &DestinationSettings, section: &Section) -> Result<Account, BuildError> {
    let (url, auth) = (kind_of(settings).login)(section)?;
    Ok(Account::new(section.name(), &url, auth))
}

/// The custom field that only this destination may be told: see [`DestinationKind`]. Needs no complete configuration.
pub fn sealed_field(settings: &DestinationSettings) -> Option<String> {
    (kind_of(settings).sealed_field)(&settings.section)
}

/// The way out that the destination's calls take.
pub fn egress(settings: &DestinationSettings) -> Egress {
    Egress { ipv4_only: kind_of(settings).ipv4_only, ..settings.section.egress() }
}

/// The look-up service; needs no secret.
///
/// # Errors
/// [`BuildError`], naming the key.
pub fn enricher(settings: &EnrichSettings) -> Result<Arc<dyn Enricher>, BuildError> {
    Ok(match &settings.kind {
        EnrichKind::LiveData(settings) => Arc::new(LiveData::from_settings(settings)?),
    })
}

/// The account that look-ups are made with.
///
/// # Errors
/// [`BuildError`] if a key is missing, or if several ways of logging in are set at once.
pub fn enrich_account(settings: &EnrichSettings) -> Result<Account, BuildError> {
    let EnrichKind::LiveData(settings) = &settings.kind;
    Ok(Account::new("enrich", &settings.people_url, live_data::login(settings)?))
}

/// The same account without its secrets.
pub fn enrich_account_without_secrets(settings: &EnrichSettings) -> Option<Account> {
    let EnrichKind::LiveData(settings) = &settings.kind;
    Some(Account::new("enrich", &settings.people_url, live_data::login(&live_data::blind(settings)).ok()?))
}
