//! What the configuration says of a LeadDesk account.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::LeadDesk;
use super::fields;
use super::rest::below;
use crate::auth::grant::{Encoding, Exchange, Field, exact, plain};
use crate::auth::{Auth, Client, ClientPlace, Grant, Place};
use crate::config::schema::{Key, concurrency, key, rate, unset};
use crate::config::{Kind, MissingSetting, Section};
use crate::connectors::registry::{BuildError, DestinationKind};
use crate::connectors::{Limits, UnknownPolicy};

/// For the registry.
pub(in crate::connectors) const KIND: DestinationKind = DestinationKind {
    name: "lead_desk",
    keys: KEYS,
    fields: fields::KNOWN,
    missing,
    build,
    login,
    ipv4_only: false,
    sealed_field: |_| None,
};

/// Where the original API is. Source: the connector in `microsoft/PowerPlatformConnectors`; the vendor's page writes http,
/// and the key does not go without encryption.
const ORIGINAL_URL: &str = "https://api.leaddesk.com/";
/// How long a token of the REST API is kept whose lifetime nobody told. Public clients fetch a new one for each call, so
/// many fetches are borne.
const LIFETIME_UNTOLD: Duration = Duration::from_secs(10 * 60);
pub(super) const LIST_PARAMETER: &str = "contact_list_id";

const KEYS: &[Key] = &[
    key(
        "api",
        Kind::Choice(&["original", "rest"]),
        "\"original\"",
        "which API: the original one (a key) or the REST one (OAuth), whose contacts are not publicly documented",
    ),
    unset(
        "base_url",
        Kind::Url,
        "\"https://restapi-nor.leaddesk.com/stable\"",
        "the API; needed for `rest`, where it differs by customer; `original`: `https://api.leaddesk.com/` unless set",
    ),
    unset(
        "contact_list",
        Kind::Text,
        "\"Website leads\"",
        "the contact list by name; this or `contact_list_id` is needed",
    ),
    unset(
        "contact_list_id",
        Kind::Integer(1, i64::MAX),
        "123",
        "the contact list by number; needed for `rest`; `original` finds it by the name",
    ),
    unset(
        "auth_key",
        Kind::Secret,
        "\"${LEADDESK_AUTH_KEY}\"",
        "`original`: the key of 32 characters, from the vendor's support",
    ),
    key(
        "auth.initiate",
        Kind::Choice(&["get_and_refresh", "off", "refresh"]),
        "\"get_and_refresh\"",
        "`rest`: `get_and_refresh` asks for tokens and renews them, `off` sends `access_token` as it is, `refresh` goes on from `refresh_token`",
    ),
    key(
        "grant_type",
        Kind::Choice(&["leaddesk_client_id", "password"]),
        "\"leaddesk_client_id\"",
        "`rest`: what tokens are asked for with: `leaddesk_client_id`, or `username` and `password`",
    ),
    unset(
        "client_id",
        Kind::Text,
        "\"${LEADDESK_CLIENT_ID}\"",
        "`rest`: the app, made under General Settings > API > Create",
    ),
    unset("client_secret", Kind::Secret, "\"${LEADDESK_CLIENT_SECRET}\"", "`rest`: its secret"),
    unset("leaddesk_client_id", Kind::Text, "\"12345\"", "`rest`: the customer account's number"),
    unset("username", Kind::Text, "\"${LEADDESK_USERNAME}\"", "`rest`: login of the user, for `password`"),
    unset("password", Kind::Secret, "\"${LEADDESK_PASSWORD}\"", "`rest`: the user's password"),
    unset(
        "access_token",
        Kind::Secret,
        "\"${LEADDESK_ACCESS_TOKEN}\"",
        "`rest`: a token to be sent as it is, for `off`",
    ),
    unset(
        "refresh_token",
        Kind::Secret,
        "\"${LEADDESK_REFRESH_TOKEN}\"",
        "`rest`: where a chain of tokens begins, for `refresh`",
    ),
    key("token_encoding", Kind::Choice(&["form", "json"]), "\"form\"", "`rest`: how the token request is written"),
    key("token_path", Kind::Text, "\"/oauth/access-token\"", "`rest`: where tokens are asked for, below `base_url`"),
    key(
        "contacts_path",
        Kind::Text,
        "\"/contacts\"",
        "`rest`: where contacts are, below `base_url`; unverified, ask the vendor",
    ),
    key("check_path", Kind::Text, "\"/campaigns\"", "`rest`: what the account check reads, below `base_url`"),
    key(
        "phone_parameter",
        Kind::Text,
        "\"phone\"",
        "`rest`: what a contact's number is called, sent and asked for; unverified",
    ),
    key(
        "list_parameter",
        Kind::Text,
        "\"contact_list_id\"",
        "`rest`: what a contact's list is called, sent and asked for; unverified",
    ),
    rate(
        "\"2/s\"",
        "calls of the account: adds, looks and checks together; the vendor states no limit, this one is ours",
    ),
    concurrency("1"),
    key(
        "unknown",
        Kind::Choice(&["find", "hold", "retry"]),
        "\"find\"",
        "after an unknown outcome: `find` looks for the number on the list, twice, `hold` leaves it to a person, `retry` adds it again",
    ),
    unset(
        "fields.FIELD",
        Kind::Template,
        "\"{{ person.title }} at {{ person.company }}\"",
        "a contact's field such as `comment` or `other1`, as a template over `lead.*` and `person.*`; empty leaves it out",
    ),
];

/// Which of the two APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Original,
    Rest,
}

impl Which {
    fn of(section: &Section) -> Self {
        match section.text("api") {
            Some("rest") => Self::Rest,
            _ => Self::Original,
        }
    }
}

/// How tokens of the REST API are come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Initiate {
    GetAndRefresh,
    Off,
    Refresh,
}

impl Initiate {
    fn of(section: &Section) -> Self {
        match section.text("auth.initiate") {
            Some("off") => Self::Off,
            Some("refresh") => Self::Refresh,
            _ => Self::GetAndRefresh,
        }
    }
}

/// The account, as its table has it.
#[derive(Clone, Debug)]
pub(super) struct LeadDeskSettings {
    pub(super) api: Which,
    pub(super) base_url: Url,
    pub(super) contact_list: Option<String>,
    pub(super) contact_list_id: Option<u64>,
    pub(super) contacts_path: String,
    pub(super) check_path: String,
    pub(super) phone_parameter: String,
    pub(super) list_parameter: String,
    pub(super) unknown: UnknownPolicy,
    /// A contact's field to template over `lead.*` and `person.*`.
    pub(super) fields: BTreeMap<String, String>,
    pub(super) limits: Limits,
}

impl LeadDeskSettings {
    fn read(section: &Section) -> Result<Self, MissingSetting> {
        let text = |name: &str| section.text_or_empty(name).trim().to_owned();
        Ok(Self {
            api: Which::of(section),
            base_url: base_url(section)?,
            contact_list: section.text("contact_list").map(|name| name.trim().to_owned()),
            contact_list_id: section.integer("contact_list_id").and_then(|id| u64::try_from(id).ok()),
            contacts_path: text("contacts_path"),
            check_path: text("check_path"),
            phone_parameter: text("phone_parameter"),
            list_parameter: text("list_parameter"),
            unknown: match section.text("unknown") {
                Some("hold") => UnknownPolicy::Hold,
                Some("retry") => UnknownPolicy::Retry,
                _ => UnknownPolicy::Find,
            },
            fields: section.below("fields"),
            limits: Limits::of(section),
        })
    }
}

fn base_url(section: &Section) -> Result<Url, MissingSetting> {
    match (section.url("base_url"), Which::of(section)) {
        (Some(url), _) => Ok(url),
        (None, Which::Original) => Url::parse(ORIGINAL_URL).map_err(|_| section.missing("base_url")),
        (None, Which::Rest) => Err(section.missing("base_url")),
    }
}

fn build(section: &Section) -> Result<Arc<dyn crate::connectors::Destination>, BuildError> {
    let rest_only = ["client_id", "access_token", "refresh_token", "username"];
    if Which::of(section) == Which::Original
        && !section.names("auth_key")
        && let Some(key) = rest_only.into_iter().find(|key| section.names(key))
    {
        let found = format!("\"original\", which takes `auth_key` and no `{key}`");
        return Err(BuildError::bad(section.key("api"), found, "\"rest\"?"));
    }
    Ok(Arc::new(LeadDesk::new(section.name(), LeadDeskSettings::read(section)?)?))
}

fn missing(section: &Section) -> Vec<MissingSetting> {
    let mut missing = Vec::new();
    // The REST API tells lists apart by their numbers, unless a parameter is named that takes something else.
    let by_number = Which::of(section) == Which::Rest
        && section.text("list_parameter").is_none_or(|name| name.trim() == LIST_PARAMETER);
    match (section.text("contact_list"), section.integer("contact_list_id")) {
        (_, Some(_)) => {}
        (_, None) if by_number => missing.push(section.missing("contact_list_id")),
        (Some(_), None) => {}
        (None, None) => {
            missing.push(section.missing_or("contact_list", &format!("`{}`", section.key("contact_list_id"))));
        }
    }
    let text = |name: &str| section.need_text(name).err();
    let secret = |name: &str| section.need_secret(name).err();
    let needed = match (Which::of(section), Initiate::of(section)) {
        (Which::Original, _) => vec![secret("auth_key")],
        (Which::Rest, Initiate::Off) => vec![base_url(section).err(), secret("access_token")],
        (Which::Rest, Initiate::Refresh) => {
            vec![base_url(section).err(), text("client_id"), secret("client_secret"), secret("refresh_token")]
        }
        (Which::Rest, Initiate::GetAndRefresh) => {
            let mut needed = vec![base_url(section).err(), text("client_id"), secret("client_secret")];
            match section.text("grant_type") {
                Some("password") => needed.extend([text("username"), secret("password")]),
                _ => needed.push(text("leaddesk_client_id")),
            }
            needed
        }
    };
    missing.extend(needed.into_iter().flatten());
    missing
}

fn login(section: &Section) -> Result<(Url, Auth), BuildError> {
    let base_url = base_url(section)?;
    let auth = match (Which::of(section), Initiate::of(section)) {
        (Which::Original, _) => {
            let secret = section.need_secret("auth_key")?;
            Auth::Static { secret, place: Place::FormField("auth"), key: "auth_key" }
        }
        (Which::Rest, Initiate::Off) => Auth::bearer(section.need_secret("access_token")?, "access_token"),
        (Which::Rest, initiate) => grant(section, &base_url, initiate)?.into(),
    };
    Ok((base_url, auth))
}

/// Sources: a public client for the form (`grant_type=leaddesk_client_id`, form-encoded or JSON); RFC 6749, 4.3 and 6, for
/// `password` and `refresh_token`.
fn grant(section: &Section, base_url: &Url, initiate: Initiate) -> Result<Grant, BuildError> {
    let token_url = below(base_url, section.text_or_empty("token_path").trim(), &section.key("token_path"))?;
    let client = Client {
        id: section.need_text("client_id")?,
        secret: section.need_secret("client_secret")?,
        place: ClientPlace::Body,
    };
    let fields = vec![plain("grant_type", "refresh_token"), ("refresh_token".to_owned(), Field::RefreshToken)];
    let mut grant = match (initiate, section.text("grant_type")) {
        (Initiate::Refresh, _) => {
            let seed = Some(section.need_secret("refresh_token")?);
            let mut grant = Grant::new("leaddesk_refresh_token", token_url, [client.id.clone()]);
            grant.refresh = Some(Exchange { fields, seed });
            grant.keys = "`refresh_token`, `client_id` and `client_secret`";
            grant
        }
        (_, Some("password")) => {
            let username = section.need_text("username")?;
            let mut grant = Grant::new("leaddesk_password", token_url, [client.id.clone(), username.clone()]);
            let password = exact("password", &section.need_secret("password")?);
            grant.login = vec![plain("grant_type", "password"), plain("username", &username), password];
            grant.refresh = Some(Exchange { fields, seed: None });
            grant.keys = "`client_id`, `client_secret`, `username` and `password`";
            grant
        }
        _ => {
            let account = section.need_text("leaddesk_client_id")?;
            let mut grant = Grant::new("leaddesk_client_id", token_url, [client.id.clone(), account.clone()]);
            let login = [plain("grant_type", "leaddesk_client_id"), plain("leaddesk_client_id", &account)];
            grant.login = login.into();
            grant.refresh = Some(Exchange { fields, seed: None });
            grant.keys = "`client_id`, `client_secret` and `leaddesk_client_id`";
            grant
        }
    };
    grant.encoding = match section.text("token_encoding") {
        Some("json") => Encoding::Json,
        _ => Encoding::Form,
    };
    grant.lifetime_untold = LIFETIME_UNTOLD;
    grant.address = "`base_url` and `token_path`";
    Ok(grant.with_client(&client))
}
