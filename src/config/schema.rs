//! The one table of keys. Reading the file, the mapping of environment variables, unknown keys, defaults, `config show`
//! and the table in `docs/configuration.md` all come from it.

use super::kind::Kind;

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted; capitals stand for a name of the operator's choice: `destinations.NAME.timeout`.
    pub path: &'static str,
    /// Which `kind` of look-up or destination it belongs to; empty: all.
    pub of: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// As TOML writes it; `None`: not set.
    pub default: Option<&'static str>,
    /// As TOML writes it.
    pub example: &'static str,
    /// One line for the operator: meaning, unit, source of the default.
    pub meaning: &'static str,
}

/// Lead columns that `[csv.columns]` may name.
pub const COLUMNS: [&str; 12] = [
    "email",
    "first_name",
    "last_name",
    "phone",
    "company",
    "job_title",
    "linkedin",
    "source",
    "context",
    "note",
    "custom_fields",
    "external_id",
];

/// Body fields that 7targets documents or its own clients send. Sources: the vendor's API page
/// (<https://7targets.ai/help/integrate/api>) and its public Salesforce and Odoo integrations.
pub const SEVEN_TARGETS_FIELDS: [&str; 17] = [
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

/// What `enrich.kind` may be.
pub const ENRICH_KINDS: &[&str] = &["live_data", "none"];
/// What a destination's `kind` may be.
pub const DESTINATION_KINDS: &[&str] = &["seven_targets"];

/// Field names of the look-up API that a lead can fill. Source: the vendor's generated client (PyPI
/// `ldt-people-client-async-staging` 1.0.129).
pub const MATCH_ON: &[&str] = &["email_address", "linkedin", "name", "company.name", "company.domain", "title"];

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const fn key(path: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key { path, of: "", kind, default: Some(default), example: default, meaning }
}

const fn unset(path: &'static str, kind: Kind, example: &'static str, meaning: &'static str) -> Key {
    Key { path, of: "", kind, default: None, example, meaning }
}

const fn of(kind: &'static str, key: Key) -> Key {
    Key { of: kind, ..key }
}

const LIVE_DATA: &str = "live_data";
const SEVEN_TARGETS: &str = "seven_targets";

/// Every key, in the order in which the documentation lists them.
pub const KEYS: &[Key] = &[
    key(
        "database.url",
        Kind::DatabaseUrl,
        "\"sqlite://leadsync.db\"",
        "`sqlite://FILE` (relative to the working directory, created if missing) or `postgres://…`",
    ),
    key("database.schema", Kind::SqlName, "\"public\"", "Postgres: the schema that our tables live in"),
    key("database.migrate", Kind::Bool, "true", "whether `run` and `import` bring the tables up to date by themselves"),
    unset(
        "security.encryption_key",
        Kind::EncryptionKeys,
        "\"${LEADSYNC_KEY}\"",
        "64 hex digits or base64 of 32 bytes; or a list, newest first. Unset: SQLite keeps a key file beside the database, Postgres refuses",
    ),
    key(
        "run.lease",
        Kind::Duration(SECOND, HOUR),
        "\"60s\"",
        "how long a worker holds a lead without renewing; at least one and a half times a destination's timeout plus 2s",
    ),
    key("run.wait", Kind::Duration(0, DAY), "\"60s\"", "how long a run waits for what comes due before it ends"),
    key(
        "run.grace",
        Kind::Duration(0, HOUR),
        "\"25s\"",
        "how long requests in flight may take after SIGTERM; below Kubernetes' 30s",
    ),
    key(
        "normalise.default_region",
        Kind::Region,
        "\"US\"",
        "country of phone numbers that name none (ISO 3166, two letters)",
    ),
    unset(
        "enrich.kind",
        Kind::Choice(ENRICH_KINDS),
        "\"live_data\"",
        "the look-up service; `none` switches look-ups off, as does leaving out `[enrich]`",
    ),
    key(
        "enrich.cache_days",
        Kind::Integer(0, 3650),
        "30",
        "how many days answers and misses are kept; nobody is paid for twice meanwhile",
    ),
    key(
        "enrich.prefer",
        Kind::Choice(&["source", "enriched"]),
        "\"source\"",
        "whose value wins where both have one: `source` ours (blanks are filled), `enriched` theirs",
    ),
    key(
        "enrich.when_unavailable",
        Kind::Choice(&["wait", "send"]),
        "\"wait\"",
        "look-up down, out of credits or failing for a lead alone: leads `wait`, or are sent (`send`) as they are",
    ),
    key(
        "enrich.job_changed",
        Kind::Choice(&["send", "skip"]),
        "\"send\"",
        "the person is no longer at the e-mail's company: `send` or `skip` the lead",
    ),
    unset(
        "enrich.daily_credits",
        Kind::Integer(1, i64::MAX),
        "5000",
        "budget of look-up credits per UTC day; unset: none",
    ),
    of(
        LIVE_DATA,
        key(
            "enrich.identity_url",
            Kind::Url,
            "\"https://gotlivedata.io/api/identity/v1\"",
            "where tokens are asked for",
        ),
    ),
    of(
        LIVE_DATA,
        key("enrich.people_url", Kind::Url, "\"https://gotlivedata.io/api/people/v1\"", "where people are looked up"),
    ),
    of(
        LIVE_DATA,
        unset("enrich.organization", Kind::Text, "\"o_123abc\"", "the organisation's id, needed for look-ups"),
    ),
    of(
        LIVE_DATA,
        unset("enrich.client_id", Kind::Text, "\"${LIVE_DATA_CLIENT_ID}\"", "service account (with `client_secret`)"),
    ),
    of(
        LIVE_DATA,
        unset("enrich.client_secret", Kind::Secret, "\"${LIVE_DATA_CLIENT_SECRET}\"", "service account's secret"),
    ),
    of(LIVE_DATA, unset("enrich.api_key", Kind::Secret, "\"${LIVE_DATA_API_KEY}\"", "instead of a service account")),
    of(
        LIVE_DATA,
        unset(
            "enrich.username",
            Kind::Text,
            "\"${LIVE_DATA_USERNAME}\"",
            "instead of a service account (with `password`)",
        ),
    ),
    of(LIVE_DATA, unset("enrich.password", Kind::Secret, "\"${LIVE_DATA_PASSWORD}\"", "the user's password")),
    of(
        LIVE_DATA,
        key(
            "enrich.match_on",
            Kind::Choices(MATCH_ON),
            "[\"email_address\"]",
            "what a person is looked up by: `email_address`, `linkedin`, `name`, `company.name`, `company.domain`, `title`",
        ),
    ),
    of(LIVE_DATA, key("enrich.batch_size", Kind::Integer(1, 100), "100", "people per call; 100 is the API's limit")),
    of(
        LIVE_DATA,
        key(
            "enrich.rate",
            Kind::Rate,
            "\"2000/min\"",
            "look-up calls of the account, all workers together; the API's limit",
        ),
    ),
    of(LIVE_DATA, key("enrich.concurrency", Kind::Integer(1, 1000), "2", "look-up calls in flight per process")),
    of(
        LIVE_DATA,
        key("enrich.timeout", Kind::Duration(100, 10 * MINUTE), "\"30s\"", "longest time for one look-up call"),
    ),
    unset(
        "destinations.NAME.kind",
        Kind::Choice(DESTINATION_KINDS),
        "\"seven_targets\"",
        "the destination's API; needed",
    ),
    key(
        "destinations.NAME.default",
        Kind::Bool,
        "false",
        "leads that name no destination go here; needed once there are several, the only one is it by itself",
    ),
    of(
        SEVEN_TARGETS,
        key("destinations.NAME.api_url", Kind::Url, "\"https://api.7targets.com\"", "where leads are created"),
    ),
    of(
        SEVEN_TARGETS,
        key(
            "destinations.NAME.token_url",
            Kind::Url,
            "\"https://login.7targets.com/oauth2/token\"",
            "where tokens are asked for",
        ),
    ),
    of(
        SEVEN_TARGETS,
        unset(
            "destinations.NAME.client_id",
            Kind::Text,
            "\"${SEVEN_TARGETS_CLIENT_ID}\"",
            "API client, from the vendor's support",
        ),
    ),
    of(
        SEVEN_TARGETS,
        unset("destinations.NAME.client_secret", Kind::Secret, "\"${SEVEN_TARGETS_CLIENT_SECRET}\"", "its secret"),
    ),
    of(
        SEVEN_TARGETS,
        key("destinations.NAME.scope", Kind::Text, "\"leads/post\"", "the scope that tokens are asked for"),
    ),
    of(
        SEVEN_TARGETS,
        unset(
            "destinations.NAME.user_identifier",
            Kind::Text,
            "\"${SEVEN_TARGETS_USER_IDENTIFIER}\"",
            "header `7ts-user-identifier`, shown in the vendor's user interface; newer accounts need it",
        ),
    ),
    of(
        SEVEN_TARGETS,
        unset(
            "destinations.NAME.assistant_email",
            Kind::Email,
            "\"ashley@example.com\"",
            "the assistant who gets the leads; this or `assistant_id` is needed",
        ),
    ),
    of(
        SEVEN_TARGETS,
        unset(
            "destinations.NAME.assistant_id",
            Kind::Integer(1, i64::MAX),
            "61",
            "the assistant's number; `assistant_email` wins",
        ),
    ),
    of(
        SEVEN_TARGETS,
        unset(
            "destinations.NAME.schedule_name",
            Kind::Text,
            "\"Website leads\"",
            "schedule by name, case-sensitive; unset: the assistant's own",
        ),
    ),
    of(SEVEN_TARGETS, unset("destinations.NAME.schedule_id", Kind::Integer(1, i64::MAX), "1", "schedule by number")),
    of(
        SEVEN_TARGETS,
        key(
            "destinations.NAME.rate",
            Kind::Rate,
            "\"5/s\"",
            "calls of the account: creates, updates and checks together, of all workers that use this database",
        ),
    ),
    of(
        SEVEN_TARGETS,
        unset(
            "destinations.NAME.daily_limit",
            Kind::Integer(1, u32::MAX as i64),
            "2000",
            "creates per UTC day, over all runs; unset: no limit",
        ),
    ),
    of(SEVEN_TARGETS, key("destinations.NAME.concurrency", Kind::Integer(1, 1000), "8", "calls in flight per process")),
    of(
        SEVEN_TARGETS,
        key(
            "destinations.NAME.timeout",
            Kind::Duration(100, 10 * MINUTE),
            "\"30s\"",
            "longest time for one call; after it the outcome counts as unknown",
        ),
    ),
    of(
        SEVEN_TARGETS,
        key(
            "destinations.NAME.settle",
            Kind::Duration(0, HOUR),
            "\"5s\"",
            "how long after an unknown outcome the API is given before it is asked whether the lead is there",
        ),
    ),
    of(
        SEVEN_TARGETS,
        key(
            "destinations.NAME.unknown",
            Kind::Choice(&["update", "hold", "retry"]),
            "\"update\"",
            "after an unknown outcome: `update` asks by an update that only finds, `hold` leaves it to a person, `retry` accepts a repeat",
        ),
    ),
    of(
        SEVEN_TARGETS,
        key(
            "destinations.NAME.already_exists",
            Kind::Texts,
            "[\"exist\", \"duplicate\"]",
            "words in a refusal that mean \"it is there already\", whatever their case",
        ),
    ),
    of(
        SEVEN_TARGETS,
        unset(
            "destinations.NAME.fields.FIELD",
            Kind::Template,
            "\"{{ person.title }} at {{ person.company }}\"",
            "a body field such as `additionalInformationLine`, as a template over `lead.*` and `person.*`, of at most 2000 bytes",
        ),
    ),
    key(
        "retry.max_attempts",
        Kind::Integer(1, 1000),
        "8",
        "creates that may fail per lead, and look-ups that fail for it alone, before it is `exhausted`",
    ),
    key("retry.initial_interval", Kind::Duration(10, HOUR), "\"500ms\"", "first pause between tries"),
    key("retry.max_interval", Kind::Duration(10, 7 * DAY), "\"15min\"", "longest pause between tries"),
    unset(
        "csv.columns.COLUMN",
        Kind::Text,
        "\"Work E-mail\"",
        "the header of a lead column (`email`, `first_name`, …) where it is not recognised by itself",
    ),
];

/// The environment variable that sets the key at `path`: `LEADSYNC_RUN__LEASE`.
pub fn variable(path: &str) -> String {
    format!("LEADSYNC_{}", path.replace('.', "__").to_uppercase())
}
