//! The effective configuration, validated: what the rest of leadsync is given. Keys and defaults stand in
//! [`super::schema`], and in the table of `docs/configuration.md`, which a test holds against it.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::section::Section;
use crate::http::message::Rate;
use crate::secret::Secret;

/// Everything, after flags, environment, file and defaults were merged and checked.
///
/// Secrets and account names that are not set are `None`: whether that matters depends on the command. Who needs one asks
/// with [`Settings::require`], so that the message names the key and where it was looked for.
#[derive(Clone, Debug)]
pub struct Settings {
    pub database: DatabaseSettings,
    pub security: SecuritySettings,
    pub run: RunSettings,
    pub normalise: NormaliseSettings,
    /// `None`: `enrich.kind = "none"`, or no `[enrich]` at all.
    pub enrich: Option<EnrichSettings>,
    /// By name, `[a-z0-9_]+`.
    pub destinations: BTreeMap<String, DestinationSettings>,
    pub retry: RetrySettings,
    pub csv: CsvSettings,
    /// Where each key's value came from, and which `${VAR}` were not set.
    pub origins: super::Origins,
}

impl Settings {
    /// Defaults only: no file, no environment.
    pub fn defaults() -> Self {
        super::parse("", "", super::Environment::default()).expect("the table's own defaults fit: a test reads them")
    }

    /// Where leads go that name no destination; `None`: there is no destination at all.
    pub fn default_destination(&self) -> Option<(&str, &DestinationSettings)> {
        let (name, destination) = self.destinations.iter().find(|(_, destination)| destination.default)?;
        Some((name, destination))
    }
}

/// What must be left of a lease, beyond the request's time-out, when a request is written: clocks drift, and the outcome
/// has to be stored.
pub const SEND_MARGIN: Duration = Duration::from_secs(2);

/// How often a lease is renewed within its term. The rule that a lease must outlast a request counts on it.
pub const HEARTBEATS_PER_LEASE: u32 = 3;

#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// `sqlite://path` or `postgres://…`; may hold a password, so it is never printed as it is.
    pub url: Secret,
    /// Postgres: the schema our tables live in. Default `public`.
    pub schema: String,
    /// Whether `run` and `import` migrate by themselves. Default true.
    pub migrate: bool,
}

impl DatabaseSettings {
    /// Postgres, or else SQLite.
    pub fn is_postgres(&self) -> bool {
        self.url.expose().starts_with("postgres")
    }

    /// The address as it may be shown: without passwords.
    pub fn shown_url(&self) -> String {
        super::values::without_password(self.url.expose()).to_string()
    }
}

#[derive(Clone, Debug)]
pub struct SecuritySettings {
    /// Newest first; each 64 hex digits or base64 of 32 bytes. Empty: SQLite keeps a key file, Postgres refuses.
    pub encryption_keys: Vec<Secret>,
}

#[derive(Clone, Debug)]
pub struct RunSettings {
    /// How long a worker holds a lead without renewing. Default 60 s.
    pub lease: Duration,
    /// How long a run waits for what comes due. Default 60 s.
    pub wait: Duration,
    /// How long requests in flight may take after SIGTERM. Default 25 s.
    pub grace: Duration,
}

#[derive(Clone, Debug)]
pub struct NormaliseSettings {
    /// ISO 3166 alpha-2, for phone numbers without a country. Default `US`.
    pub default_region: String,
}

#[derive(Clone, Debug)]
pub struct EnrichSettings {
    /// The service and how to log in there.
    pub kind: EnrichKind,
    /// How long answers and misses are kept. Default 30 days.
    pub cache: Duration,
    /// Whose values win where both have one. Default ours.
    pub prefer: Prefer,
    /// Look-up down or out of credits. Default wait.
    pub when_unavailable: WhenUnavailable,
    /// The person is no longer at the e-mail's company. Default send.
    pub job_changed: JobChanged,
    /// Budget per UTC day; `None`: no budget.
    pub daily_credits: Option<i64>,
}

#[derive(Clone, Debug)]
pub enum EnrichKind {
    LiveData(LiveDataSettings),
}

#[derive(Clone, Debug)]
pub struct LiveDataSettings {
    /// Default `https://gotlivedata.io/api/identity/v1`.
    pub identity_url: Url,
    /// Default `https://gotlivedata.io/api/people/v1`.
    pub people_url: Url,
    /// `o_…`.
    pub organization: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub api_key: Option<Secret>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// Field names of the API, of those the lead can fill: `email_address`, `linkedin`, `name`, `company.name`,
    /// `company.domain`, `title`. Default `email_address`.
    pub match_on: Vec<String>,
    /// People per call, 1 to 100. Default 100.
    pub batch_size: usize,
    /// Default 2000/min, the vendor's limit.
    pub rate: Option<Rate>,
    /// Calls in flight. Default 2.
    pub concurrency: usize,
    /// Default 30 s.
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefer {
    /// Ours wins, blanks are filled.
    Source,
    /// Theirs wins. A person's name is filled only if we have none, or the given name agrees.
    Enriched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnavailable {
    Wait,
    Send,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobChanged {
    Send,
    Skip,
}

#[derive(Clone, Debug)]
pub struct DestinationSettings {
    /// Leads that name no destination go here. Exactly one destination is the default; the only one is so by itself.
    pub default: bool,
    /// `seven_targets`: see [`crate::connectors::registry`].
    pub kind: &'static str,
    /// What its connector reads.
    pub section: Section,
}

#[derive(Clone, Debug)]
pub struct RetrySettings {
    /// Create requests that may fail per lead. Default 8.
    pub max_attempts: u32,
    /// Default 500 ms.
    pub initial_interval: Duration,
    /// Default 15 min.
    pub max_interval: Duration,
}

#[derive(Clone, Debug, Default)]
pub struct CsvSettings {
    /// Lead column (`email`, `first_name`, …) to the header that fills it, where the header is not recognised.
    pub columns: BTreeMap<String, String>,
}
