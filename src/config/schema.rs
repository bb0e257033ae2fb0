//! The one table of keys. Reading the file, the mapping of environment variables, unknown keys, defaults, `config show`
//! and the table in `docs/configuration.md` all come from it.
//!
//! What belongs to a kind of destination, that kind declares itself: the table asks the registry of connectors.

mod general;

use std::sync::LazyLock;

use super::kind::Kind;
use crate::connectors::registry;

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted; capitals stand for a name of the operator's choice: `destinations.NAME.timeout`. Where a connector declares
    /// its own, what stands below `destinations.NAME`.
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

/// What `enrich.kind` may be.
pub const ENRICH_KINDS: &[&str] = &["live_data", "none"];

/// Field names of the look-up API that a lead can fill. Source: the vendor's generated client (PyPI
/// `ldt-people-client-async-staging` 1.0.129).
pub const MATCH_ON: &[&str] = &["email_address", "linkedin", "name", "company.name", "company.domain", "title"];

/// For the range of [`Kind::Duration`], in milliseconds.
pub const SECOND: u64 = 1_000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;

/// A key with a default, which is its example too.
pub const fn key(path: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key { path, of: "", kind, default: Some(default), example: default, meaning }
}

/// A key without a default.
pub const fn unset(path: &'static str, kind: Kind, example: &'static str, meaning: &'static str) -> Key {
    Key { path, of: "", kind, default: None, example, meaning }
}

/// What every destination has.
const FIRST_OF_ALL_DESTINATIONS: &[Key] = &[
    unset("kind", Kind::Choice(registry::NAMES), "\"seven_targets\"", "the destination's API; needed"),
    key(
        "default",
        Kind::Bool,
        "false",
        "leads that name no destination go here; needed once there are several, the only one is it by itself",
    ),
];

/// The same, behind what its kind has of its own.
const LAST_OF_ALL_DESTINATIONS: &[Key] = &[
    unset(
        "daily_limit",
        Kind::Integer(1, u32::MAX as i64),
        "2000",
        "creates per UTC day, over all runs; unset: no limit",
    ),
    key(
        "timeout",
        Kind::Duration(100, 10 * MINUTE),
        "\"30s\"",
        "longest time for one call; after it the outcome counts as unknown",
    ),
    key(
        "settle",
        Kind::Duration(0, HOUR),
        "\"5s\"",
        "how long after an unknown outcome the API is given before it is asked whether the lead is there",
    ),
    unset(
        "bind_address",
        Kind::IpAddress,
        "\"203.0.113.7\"",
        "this machine's address that calls leave from, token requests included; unset: the system's choice",
    ),
    unset(
        "proxy",
        Kind::ProxyUrl,
        "\"http://proxy.example.com:3128\"",
        "the proxy for this destination alone; unset: `HTTPS_PROXY` and its like",
    ),
];

/// A destination's rate limit, for a connector's own table of keys. `default` as TOML writes it; `meaning` with its source.
pub const fn rate(default: &'static str, meaning: &'static str) -> Key {
    key("rate", Kind::Rate, default, meaning)
}

/// A destination's calls in flight, for a connector's own table of keys.
pub const fn concurrency(default: &'static str) -> Key {
    key("concurrency", Kind::Integer(1, 1000), default, "calls in flight per process")
}

/// Every key, in the order in which the documentation lists them.
pub fn keys() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let mut keys = general::FIRST.to_vec();
        keys.extend(FIRST_OF_ALL_DESTINATIONS.iter().map(|key| below_destination("", key)));
        for kind in registry::KINDS {
            keys.extend(kind.keys.iter().map(|key| below_destination(kind.name, key)));
        }
        keys.extend(LAST_OF_ALL_DESTINATIONS.iter().map(|key| below_destination("", key)));
        keys.extend(general::LAST);
        keys
    });
    &KEYS
}

/// Leaks the path, once for each key.
fn below_destination(of: &'static str, key: &Key) -> Key {
    Key { path: format!("destinations.NAME.{}", key.path).leak(), of, ..*key }
}

/// The environment variable that sets the key at `path`: `LEADSYNC_RUN__LEASE`.
pub fn variable(path: &str) -> String {
    format!("LEADSYNC_{}", path.replace('.', "__").to_uppercase())
}
