//! What the configuration says of a LeadConnector location.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use super::{LeadConnector, login};
use crate::config::schema::{Key, concurrency, key, rate, unset};
use crate::config::{Kind, MissingSetting, Section};
use crate::connectors::registry::DestinationKind;
use crate::connectors::{Limits, UnknownPolicy};

/// For the registry.
pub(in crate::connectors) const KIND: DestinationKind = DestinationKind {
    name: "lead_connector",
    keys: KEYS,
    fields: FIELDS,
    missing,
    build: |section| Ok(Arc::new(LeadConnector::new(section.name(), &LeadConnectorSettings::read(section)?)?)),
    login: login::login,
    ipv4_only: false,
    sealed_field: |_| None,
};

/// What the API knows of a contact. Source: <https://github.com/GoHighLevel/highlevel-api-docs>,
/// `apps/v3/contacts-v3.json`, `UpsertContactDtoV3`.
const FIELDS: &[&str] = &[
    "firstName",
    "lastName",
    "name",
    "email",
    "locationId",
    "gender",
    "phone",
    "address1",
    "city",
    "state",
    "postalCode",
    "website",
    "timezone",
    "dnd",
    "dndSettings",
    "inboundDndSettings",
    "tags",
    "customFields",
    "source",
    "dateOfBirth",
    "country",
    "companyName",
    "assignedTo",
];

const KEYS: &[Key] = &[
    key("base_url", Kind::Url, "\"https://services.leadconnectorhq.com\"", "where contacts and tokens are"),
    unset("path_prefix", Kind::Text, "\"/v3\"", "put before every path of the API; unset: nothing"),
    key(
        "api_version",
        Kind::Text,
        "\"v3\"",
        "header `Version`; the dated versions (`2021-07-28`) write tokens in snake_case",
    ),
    key(
        "authorize_url",
        Kind::Url,
        "\"https://marketplace.gohighlevel.com/v2/oauth/chooselocation\"",
        "where `leadsync auth login` sends a person; white label: `https://marketplace.leadconnectorhq.com/…`",
    ),
    unset(
        "location_id",
        Kind::Text,
        "\"ve9EPM428h8vShlRW1KT\"",
        "the location (sub-account) that gets the contacts; needed",
    ),
    unset(
        "token",
        Kind::Secret,
        "\"${LEADCONNECTOR_TOKEN}\"",
        "token of a private integration of the location; this or `client_id` is needed",
    ),
    unset("client_id", Kind::Text, "\"${LEADCONNECTOR_CLIENT_ID}\"", "the app's client"),
    unset("client_secret", Kind::Secret, "\"${LEADCONNECTOR_CLIENT_SECRET}\"", "its secret"),
    unset(
        "refresh_token",
        Kind::Secret,
        "\"${LEADCONNECTOR_REFRESH_TOKEN}\"",
        "begins the chain of tokens, once; unset: `leadsync auth login NAME` begins it",
    ),
    unset(
        "company_id",
        Kind::Text,
        "\"tDtDnQdgm2LXpyiqYvZ6\"",
        "an agency's: then the login is the agency's, and the location's tokens are made from it",
    ),
    key(
        "scope",
        Kind::Text,
        "\"contacts.readonly contacts.write\"",
        "what a login asks for; for an agency `oauth.readonly oauth.write` is added",
    ),
    key(
        "redirect_url",
        Kind::Url,
        "\"http://127.0.0.1:8976/callback\"",
        "where a login comes back to; one of the app's redirect URLs",
    ),
    unset(
        "tags",
        Kind::Texts,
        "[\"leadsync\", \"{{ lead.source }}\"]",
        "tags that each contact gets besides those it has; templates, empty ones are left out",
    ),
    rate(
        "\"100/10s\"",
        "calls of the app in this location: contacts, tags and look-ups together, of all workers that use this database",
    ),
    concurrency("8"),
    key(
        "unknown",
        Kind::Choice(&["upsert", "find", "hold"]),
        "\"upsert\"",
        "after an unknown outcome: `upsert` sends the same again, which finds the contact or creates it, `find` only asks \
         whether it is there, `hold` leaves it to a person",
    ),
    unset(
        "fields.FIELD",
        Kind::Template,
        "\"{{ person.country_code }}\"",
        "a field of the contact, or `customFields.ID_OR_KEY`, as a template over `lead.*` and `person.*`",
    ),
];

/// The location, as its table has it.
#[derive(Clone, Debug)]
pub(super) struct LeadConnectorSettings {
    pub(super) base_url: Url,
    pub(super) path_prefix: String,
    pub(super) api_version: String,
    pub(super) location_id: String,
    /// Of an agency that logs in for its locations.
    pub(super) company_id: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) unknown: UnknownPolicy,
    /// Field to template over `lead.*` and `person.*`.
    pub(super) fields: BTreeMap<String, String>,
    pub(super) limits: Limits,
}

impl LeadConnectorSettings {
    pub(super) fn read(section: &Section) -> Result<Self, MissingSetting> {
        let text = |name: &str| section.text(name).map(|text| text.trim().to_owned());
        Ok(Self {
            base_url: section.need_url("base_url")?,
            path_prefix: text("path_prefix").unwrap_or_default(),
            api_version: section.need_text("api_version")?,
            location_id: section.need_text("location_id")?,
            company_id: text("company_id"),
            client_id: text("client_id"),
            tags: section.texts("tags").to_vec(),
            unknown: match section.text("unknown") {
                Some("hold") => UnknownPolicy::Hold,
                Some("find") => UnknownPolicy::Find,
                _ => UnknownPolicy::Repeat,
            },
            fields: section.below("fields"),
            limits: Limits::of(section),
        })
    }
}

fn missing(section: &Section) -> Vec<MissingSetting> {
    let mut missing: Vec<MissingSetting> = section.need_text("location_id").err().into_iter().collect();
    if section.secret("token").is_some() {
        return missing;
    }
    let of_an_app = ["client_id", "client_secret", "refresh_token", "company_id"];
    if of_an_app.iter().any(|name| section.names(name)) {
        missing.extend(
            [section.need_text("client_id").err(), section.need_secret("client_secret").err()].into_iter().flatten(),
        );
    } else {
        missing.push(section.missing_or("token", "`client_id` and `client_secret`"));
    }
    missing
}
