//! What the configuration says of a program at Lead.

use std::net::IpAddr;
use std::sync::Arc;

use url::Url;

use super::{LeadBank, below, problem};
use crate::auth::grant::Encoding;
use crate::auth::{Auth, Client, ClientPlace, Grant};
use crate::config::schema::{Key, concurrency, key, rate, unset};
use crate::config::{Kind, MissingSetting, Section};
use crate::connectors::registry::{BuildError, DestinationKind};
use crate::connectors::{Limits, UnknownPolicy};
use crate::secret::Secret;

/// For the registry.
pub(in crate::connectors) const KIND: DestinationKind = DestinationKind {
    name: "lead_bank",
    keys: KEYS,
    fields: &[],
    missing,
    build: |section| Ok(Arc::new(LeadBank::new(section.name(), LeadBankSettings::read(section)?)?)),
    login,
    // The allowlist knows IPv4 only, so a call over IPv6 could never be let in. Source: <https://docs.lead.bank>.
    ipv4_only: true,
    sealed_field: |table| table.text("tax_id").map(|name| name.trim().to_owned()),
};

const KEYS: &[Key] = &[
    key(
        "base_url",
        Kind::Url,
        "\"https://api.sandbox.lead.bank\"",
        "the API; the sandbox unless `https://api.lead.bank` is set, where entities are real customers",
    ),
    unset(
        "client_id",
        Kind::Text,
        "\"${LEAD_BANK_CLIENT_ID}\"",
        "the program's client, from the Technical Account Manager",
    ),
    unset("client_secret", Kind::Secret, "\"${LEAD_BANK_CLIENT_SECRET}\"", "its secret"),
    key(
        "scope",
        Kind::Text,
        "\"entity/read_write event/read\"",
        "the scope that tokens are asked for; ask for no more. Without `event/read` the account is checked by a look for an entity",
    ),
    unset(
        "allowlist",
        Kind::Texts,
        "[\"203.0.113.0/24\"]",
        "the IPv4 subnets given to the bank, /20 to /32, at most 30: checked, and named when a call is turned away",
    ),
    key(
        "entities",
        Kind::Bool,
        "false",
        "whether leads become entities, customers of the bank; without it nothing is sent",
    ),
    key("entity_type", Kind::Choice(&["individual"]), "\"individual\"", "what a lead becomes"),
    key("tax_id_type", Kind::Choice(&["ssn", "itin"]), "\"ssn\"", "the kind of tax number that leads bring"),
    key(
        "tax_id",
        Kind::Text,
        "\"tax_id\"",
        "the custom field that holds the tax number; it is kept sealed and never shown",
    ),
    rate(
        "\"2/s\"",
        "calls of the program: creates, look-ups and checks together; the bank states no limit, this one is ours",
    ),
    concurrency("2"),
    key(
        "unknown",
        Kind::Choice(&["find", "hold", "retry"]),
        "\"find\"",
        "after an unknown outcome: `find` asks by `client_customer_id`, `hold` leaves it to a person, `retry` sends the same again",
    ),
];

/// The program, as its table has it.
#[derive(Clone, Debug)]
pub(super) struct LeadBankSettings {
    pub(super) base_url: Url,
    /// For the keys of requests.
    pub(super) client_secret: Secret,
    pub(super) scope: String,
    /// As written.
    pub(super) allowlist: Vec<String>,
    pub(super) bind_address: Option<IpAddr>,
    pub(super) entities: bool,
    pub(super) entity_type: String,
    pub(super) tax_id_type: &'static str,
    /// A custom field's name.
    pub(super) tax_id: String,
    pub(super) unknown: UnknownPolicy,
    pub(super) limits: Limits,
}

impl LeadBankSettings {
    fn read(section: &Section) -> Result<Self, MissingSetting> {
        Ok(Self {
            base_url: section.need_url("base_url")?,
            client_secret: section.need_secret("client_secret")?,
            scope: section.text_or_empty("scope").trim().to_owned(),
            allowlist: section.texts("allowlist").to_vec(),
            bind_address: section.egress().bind,
            entities: section.flag("entities"),
            entity_type: section.text_or_empty("entity_type").to_owned(),
            tax_id_type: match section.text("tax_id_type") {
                Some("itin") => "itin",
                _ => "ssn",
            },
            tax_id: section.text_or_empty("tax_id").trim().to_owned(),
            unknown: match section.text("unknown") {
                Some("hold") => UnknownPolicy::Hold,
                Some("retry") => UnknownPolicy::Retry,
                _ => UnknownPolicy::Find,
            },
            limits: Limits::of(section),
        })
    }
}

fn missing(section: &Section) -> Vec<MissingSetting> {
    [section.need_text("client_id").err(), section.need_secret("client_secret").err()].into_iter().flatten().collect()
}

/// Client credentials in a JSON body. Source: <https://docs.lead.bank>, "Get an access token".
fn login(section: &Section) -> Result<(Url, Auth), BuildError> {
    let client = Client {
        id: section.need_text("client_id")?,
        secret: section.need_secret("client_secret")?,
        place: ClientPlace::Body,
    };
    let base_url = section.need_url("base_url")?;
    let token_url = below(&base_url, &["v1", "oauth", "token"]);
    let scope = section.text("scope").map(|scope| scope.trim().to_owned());
    let mut grant = Grant::client_credentials(token_url, client, scope, Encoding::Json);
    grant.address = "`base_url`";
    grant.known_refusals = vec![problem::refused_at_the_token_endpoint];
    Ok((base_url, grant.into()))
}
