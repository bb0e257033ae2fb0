//! What the configuration says of a 7targets account.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use super::SevenTargets;
use crate::auth::grant::Encoding;
use crate::auth::{Auth, Client, ClientPlace, Grant};
use crate::config::schema::{Key, concurrency, key, rate, unset};
use crate::config::{Kind, MissingSetting, Section};
use crate::connectors::registry::{BuildError, DestinationKind};
use crate::connectors::{Limits, UnknownPolicy};

/// For the registry.
pub(in crate::connectors) const KIND: DestinationKind = DestinationKind {
    name: "seven_targets",
    keys: KEYS,
    fields: FIELDS,
    missing,
    build: |section| Ok(Arc::new(SevenTargets::new(section.name(), &SevenTargetsSettings::read(section)?)?)),
    login,
    ipv4_only: false,
    sealed_field: |_| None,
};

/// Body fields that 7targets documents or its own clients send. Sources: the vendor's API page
/// (<https://7targets.ai/help/integrate/api>) and its public Salesforce and Odoo integrations.
const FIELDS: &[&str] = &[
    "name",
    "lastName",
    "email",
    "assistantEmail",
    "assistantId",
    "scheduleId",
    "scheduleName",
    "source",
    "context",
    "additionalInformationLine",
    "phone",
    "customFields",
    "company",
    "designation",
    "industry",
    "location",
    "externalId",
];

const KEYS: &[Key] = &[
    key("api_url", Kind::Url, "\"https://api.7targets.com\"", "where leads are created"),
    key("token_url", Kind::Url, "\"https://login.7targets.com/oauth2/token\"", "where tokens are asked for"),
    unset("client_id", Kind::Text, "\"${SEVEN_TARGETS_CLIENT_ID}\"", "API client, from the vendor's support"),
    unset("client_secret", Kind::Secret, "\"${SEVEN_TARGETS_CLIENT_SECRET}\"", "its secret"),
    key("scope", Kind::Text, "\"leads/post\"", "the scope that tokens are asked for"),
    unset(
        "user_identifier",
        Kind::Text,
        "\"${SEVEN_TARGETS_USER_IDENTIFIER}\"",
        "header `7ts-user-identifier`, shown in the vendor's user interface; newer accounts need it",
    ),
    unset(
        "assistant_email",
        Kind::Email,
        "\"ashley@example.com\"",
        "the assistant who gets the leads; this or `assistant_id` is needed",
    ),
    unset("assistant_id", Kind::Integer(1, i64::MAX), "61", "the assistant's number; `assistant_email` wins"),
    unset(
        "schedule_name",
        Kind::Text,
        "\"Website leads\"",
        "schedule by name, case-sensitive; unset: the assistant's own",
    ),
    unset("schedule_id", Kind::Integer(1, i64::MAX), "1", "schedule by number"),
    rate(
        "\"5/s\"",
        "calls of the account: creates, updates and checks together, of all workers that use this database",
    ),
    concurrency("8"),
    key(
        "unknown",
        Kind::Choice(&["update", "hold", "retry"]),
        "\"update\"",
        "after an unknown outcome: `update` asks by an update that only finds, `hold` leaves it to a person, `retry` accepts a repeat",
    ),
    key(
        "already_exists",
        Kind::Texts,
        "[\"exist\", \"duplicate\"]",
        "words in a refusal that mean \"it is there already\", whatever their case",
    ),
    unset(
        "fields.FIELD",
        Kind::Template,
        "\"{{ person.title }} at {{ person.company }}\"",
        "a body field such as `additionalInformationLine`, as a template over `lead.*` and `person.*`, of at most 2000 bytes",
    ),
];

/// The account, as its table has it.
#[derive(Clone, Debug)]
pub(super) struct SevenTargetsSettings {
    pub(super) api_url: Url,
    /// Header `7ts-user-identifier`; a warning if unset.
    pub(super) user_identifier: Option<String>,
    pub(super) assistant_email: Option<String>,
    pub(super) assistant_id: Option<i64>,
    pub(super) schedule_name: Option<String>,
    pub(super) schedule_id: Option<i64>,
    pub(super) unknown: UnknownPolicy,
    /// Words in a 4xx that mean "it is there already", lower case.
    pub(super) already_exists: Vec<String>,
    /// Body field to template over `lead.*` and `person.*`.
    pub(super) fields: BTreeMap<String, String>,
    pub(super) limits: Limits,
}

impl SevenTargetsSettings {
    fn read(section: &Section) -> Result<Self, MissingSetting> {
        let text = |name: &str| section.text(name).map(str::to_owned);
        Ok(Self {
            api_url: section.need_url("api_url")?,
            user_identifier: text("user_identifier"),
            assistant_email: text("assistant_email"),
            assistant_id: section.integer("assistant_id"),
            schedule_name: text("schedule_name"),
            schedule_id: section.integer("schedule_id"),
            unknown: match section.text("unknown") {
                Some("hold") => UnknownPolicy::Hold,
                Some("retry") => UnknownPolicy::Retry,
                _ => UnknownPolicy::Find,
            },
            already_exists: section.texts("already_exists").iter().map(|words| words.to_lowercase()).collect(),
            fields: section.below("fields"),
            limits: Limits::of(section),
        })
    }
}

fn missing(section: &Section) -> Vec<MissingSetting> {
    let mut missing: Vec<_> = [section.need_text("client_id").err(), section.need_secret("client_secret").err()]
        .into_iter()
        .flatten()
        .collect();
    if section.integer("assistant_id").is_none() && section.text("assistant_email").is_none() {
        missing.push(section.missing("assistant_email"));
    }
    missing
}

/// Client credentials at AWS Cognito.
fn login(section: &Section) -> Result<(Url, Auth), BuildError> {
    let client = Client {
        id: section.need_text("client_id")?,
        secret: section.need_secret("client_secret")?,
        place: ClientPlace::Basic,
    };
    let scope = Some(section.text_or_empty("scope").to_owned());
    let grant = Grant::client_credentials(section.need_url("token_url")?, client, scope, Encoding::Form);
    Ok((section.need_url("api_url")?, grant.into()))
}
