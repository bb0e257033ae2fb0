//! The keys that belong to no destination's kind.

use super::{DAY, ENRICH_KINDS, HOUR, Key, MATCH_ON, MINUTE, SECOND, key, unset};
use crate::config::Kind;

const fn live_data(key: Key) -> Key {
    Key { of: "live_data", ..key }
}

/// What stands before the destinations.
pub(super) const FIRST: &[Key] = &[
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
        "how long a worker holds a lead without renewing; at least one and a half times the sum of a destination's timeout and 2s",
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
    live_data(key(
        "enrich.identity_url",
        Kind::Url,
        "\"https://gotlivedata.io/api/identity/v1\"",
        "where tokens are asked for",
    )),
    live_data(key(
        "enrich.people_url",
        Kind::Url,
        "\"https://gotlivedata.io/api/people/v1\"",
        "where people are looked up",
    )),
    live_data(unset("enrich.organization", Kind::Text, "\"o_123abc\"", "the organisation's id, needed for look-ups")),
    live_data(unset(
        "enrich.client_id",
        Kind::Text,
        "\"${LIVE_DATA_CLIENT_ID}\"",
        "service account (with `client_secret`)",
    )),
    live_data(unset(
        "enrich.client_secret",
        Kind::Secret,
        "\"${LIVE_DATA_CLIENT_SECRET}\"",
        "service account's secret",
    )),
    live_data(unset("enrich.api_key", Kind::Secret, "\"${LIVE_DATA_API_KEY}\"", "instead of a service account")),
    live_data(unset(
        "enrich.username",
        Kind::Text,
        "\"${LIVE_DATA_USERNAME}\"",
        "instead of a service account (with `password`)",
    )),
    live_data(unset("enrich.password", Kind::Secret, "\"${LIVE_DATA_PASSWORD}\"", "the user's password")),
    live_data(key(
        "enrich.match_on",
        Kind::Choices(MATCH_ON),
        "[\"email_address\"]",
        "what a person is looked up by: `email_address`, `linkedin`, `name`, `company.name`, `company.domain`, `title`",
    )),
    live_data(key("enrich.batch_size", Kind::Integer(1, 100), "100", "people per call; 100 is the API's limit")),
    live_data(key(
        "enrich.rate",
        Kind::Rate,
        "\"2000/min\"",
        "look-up calls of the account, all workers together; the API's limit",
    )),
    live_data(key("enrich.concurrency", Kind::Integer(1, 1000), "2", "look-up calls in flight per process")),
    live_data(key("enrich.timeout", Kind::Duration(100, 10 * MINUTE), "\"30s\"", "longest time for one look-up call")),
];

/// What stands behind them.
pub(super) const LAST: &[Key] = &[
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
