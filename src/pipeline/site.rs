//! Everything a run needs, put together from the configuration: database, keys, client, accounts.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use crate::auth::seal::{KeyFile, Keyring, SealError};
use crate::auth::{Account, Auth, AuthError, Fingerprinter, Grant, SessionLogin, Tokens};
use crate::clock::{AdjustedClock, Clock, SystemClock};
use crate::config::{DestinationKind, EnrichKind, Settings};
use crate::connectors::channel::Channel;
use crate::connectors::registry::{self, BuildError, Credentials};
use crate::connectors::{Destination, Enricher};
use crate::http::send::HttpClient;
use crate::secret::Secret;
use crate::store::{RunId, Store, StoreError};

/// A configured installation, with its database open.
pub struct Site {
    pub settings: Arc<Settings>,
    pub store: Arc<dyn Store>,
    /// The database's own clock where it has one, else this machine's.
    pub clock: Arc<dyn Clock>,
    /// The same clock, to be kept true to the database's.
    pub database_clock: Option<Arc<AdjustedClock>>,
    pub fingerprints: Fingerprinter,
    pub keyring: Keyring,
    http: HttpClient,
}

/// A connector and the channel that sends for it.
pub type Bound<T> = (Arc<T>, Arc<Channel>);

/// Why a site can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Postgres keeps no key file.
    #[error(
        "security.encryption_key is not set, and a Postgres database needs one; make one with `openssl rand -hex 32`"
    )]
    NoKey,
    /// A destination or the look-up lacks something it needs, or has something it can't use.
    #[error("{what}")]
    Incomplete {
        /// In words, with where it was looked for.
        what: String,
    },
}

impl Site {
    /// Opens the keys of an open, migrated database.
    ///
    /// # Errors
    /// If the clock can't be read, or there is no key, or it isn't this database's.
    pub async fn open(settings: Arc<Settings>, store: Arc<dyn Store>) -> Result<Self, SiteError> {
        let (clock, database_clock) = clock_of(&*store).await?;
        let keyring = keyring(&settings, &*store).await?;
        let fingerprints = Fingerprinter::open(&*store, &keyring).await?;
        Ok(Self { settings, store, clock, database_clock, fingerprints, http: HttpClient::new(), keyring })
    }

    fn channel(
        &self,
        name: &str,
        url: &Url,
        auth: Auth,
        limits: &crate::connectors::Limits,
        run: RunId,
    ) -> Arc<Channel> {
        let account = Account::new(name, url, auth);
        let (http, tokens) = (self.http.clone(), self.tokens(Some(run)));
        let channel = Channel::new(account, limits, http, tokens, Arc::clone(&self.clock), Some(run));
        Arc::new(channel.shared(Arc::clone(&self.store) as _))
    }

    /// The tokens of all accounts, asked for in the name of this run.
    pub fn tokens(&self, run: Option<RunId>) -> Tokens {
        let vault = Arc::clone(&self.store) as _;
        Tokens::new(vault, self.keyring.clone(), self.http.clone(), Arc::clone(&self.clock), run)
    }

    /// The account that the configuration calls `name` (a destination's name, or `enrich`), with its secrets.
    ///
    /// # Errors
    /// If the configuration lacks something it needs.
    pub fn account(&self, name: &str) -> Result<Account, SiteError> {
        let unknown = || SiteError::Incomplete { what: format!("`{name}` is not configured") };
        let (url, credentials) = if name == "enrich" {
            let settings = self.settings.enrich.as_ref().ok_or_else(unknown)?;
            let EnrichKind::LiveData(it) = &settings.kind;
            (&it.people_url, registry::enrich_credentials(settings).map_err(|error| self.incomplete(&error))?)
        } else {
            let settings = self.settings.destinations.get(name).ok_or_else(unknown)?;
            let DestinationKind::SevenTargets(it) = &settings.kind;
            let credentials = registry::credentials_of(name, settings);
            (&it.api_url, credentials.map_err(|missing| self.incomplete(&missing.into()))?)
        };
        Ok(Account::new(name, url, auth(credentials)))
    }

    fn incomplete(&self, error: &BuildError) -> SiteError {
        let what = match error {
            BuildError::Missing(missing) => match self.settings.require::<()>(&missing.key, &None) {
                Err(error) => error.to_string(),
                Ok(()) => missing.to_string(),
            },
            other => other.to_string(),
        };
        SiteError::Incomplete { what }
    }

    /// A destination, bound to its account and limits.
    ///
    /// # Errors
    /// If the configuration lacks something it needs.
    pub fn destination(&self, name: &str, run: RunId) -> Result<Bound<dyn Destination>, SiteError> {
        let Some(settings) = self.settings.destinations.get(name) else {
            return Err(SiteError::Incomplete { what: format!("destination `{name}` is not configured") });
        };
        let built = registry::build_destination(name, settings).map_err(|error| self.incomplete(&error))?;
        let url = match &settings.kind {
            DestinationKind::SevenTargets(it) => &it.api_url,
        };
        let limits = built.destination.limits();
        let channel = self.channel(name, url, auth(built.credentials), &limits, run);
        Ok((built.destination, channel))
    }

    /// The look-up service, bound to its account and limits. `None`: look-ups are off.
    ///
    /// # Errors
    /// If the configuration lacks something it needs.
    pub fn enricher(&self, run: RunId) -> Result<Option<Bound<dyn Enricher>>, SiteError> {
        let Some(settings) = &self.settings.enrich else { return Ok(None) };
        let built = registry::build_enricher(settings).map_err(|error| self.incomplete(&error))?;
        let url = match &settings.kind {
            EnrichKind::LiveData(it) => &it.people_url,
        };
        let limits = built.enricher.limits();
        let channel = self.channel("enrich", url, auth(built.credentials), &limits, run);
        Ok(Some((built.enricher, channel)))
    }
}

/// What quotas and pauses of each account are stored under, by the account's name in the configuration (a destination's,
/// or `enrich`). Needs no secrets: they are no part of it. An account that can't be told without what is missing is left out.
pub fn account_keys(settings: &Settings) -> BTreeMap<String, String> {
    accounts_without_secrets(settings).into_iter().map(|(name, account)| (name, account.key().to_owned())).collect()
}

/// The accounts by their names, for those who only look: in place of a secret that is not set stands another text, so
/// nothing can be asked for as one of these.
pub fn accounts_without_secrets(settings: &Settings) -> BTreeMap<String, Account> {
    let unread = || Some(Secret::new("not read"));
    let mut accounts = BTreeMap::new();
    let mut tell = |name: &str, url: &Url, credentials: Option<Credentials>| {
        if let Some(credentials) = credentials {
            accounts.insert(name.to_owned(), Account::new(name, url, auth(credentials)));
        }
    };
    for (name, destination) in &settings.destinations {
        let mut destination = destination.clone();
        let DestinationKind::SevenTargets(it) = &mut destination.kind;
        it.client_secret = it.client_secret.take().or_else(unread);
        let url = it.api_url.clone();
        tell(name, &url, registry::credentials_of(name, &destination).ok());
    }
    if let Some(mut enrich) = settings.enrich.clone() {
        let EnrichKind::LiveData(it) = &mut enrich.kind;
        if it.client_id.is_some() {
            it.client_secret = it.client_secret.take().or_else(unread);
        }
        if it.username.is_some() {
            it.password = it.password.take().or_else(unread);
        }
        let url = it.people_url.clone();
        tell("enrich", &url, registry::enrich_credentials(&enrich).ok());
    }
    accounts
}

async fn clock_of(store: &dyn Store) -> Result<(Arc<dyn Clock>, Option<Arc<AdjustedClock>>), StoreError> {
    Ok(match store.server_time().await? {
        Some(now) => {
            let clock = Arc::new(AdjustedClock::starting_at(now));
            (Arc::clone(&clock) as Arc<dyn Clock>, Some(clock))
        }
        None => (Arc::new(SystemClock), None),
    })
}

async fn keyring(settings: &Settings, store: &dyn Store) -> Result<Keyring, SiteError> {
    let keys = &settings.security.encryption_keys;
    if !keys.is_empty() {
        return Ok(Keyring::new(keys)?);
    }
    let Some(database) = store.file() else { return Err(SiteError::NoKey) };
    let holds_sealed = store.sealed_key(Fingerprinter::NAME).await?.is_some();
    let KeyFile { keyring, path, created } = Keyring::for_sqlite_file(&database, holds_sealed)?;
    if created {
        tracing::warn!(
            "security.encryption_key is not set: made a key in {}; keep it with the database's backups",
            path.display()
        );
    }
    Ok(keyring)
}

fn auth(credentials: Credentials) -> Auth {
    match credentials {
        Credentials::ApiKey(key) => Auth::Bearer(key),
        Credentials::ClientCredentialsBasic { token_url, client_id, client_secret, scope } => {
            Auth::Grant(Grant::ClientCredentialsBasic { token_url, client_id, client_secret, scope: Some(scope) })
        }
        Credentials::LiveDataServiceAccount { identity_url, client_id, client_secret } => {
            Auth::Grant(Grant::LiveDataSession {
                session_url: under(&identity_url, "session"),
                login: SessionLogin::ServiceAccount { client_id, client_secret },
            })
        }
        Credentials::LiveDataPassword { identity_url, username, password } => Auth::Grant(Grant::LiveDataSession {
            session_url: under(&identity_url, "session"),
            login: SessionLogin::Password { username, password },
        }),
    }
}

/// `base/segment`, whether or not the base ends with a slash.
fn under(base: &Url, segment: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(segment);
    }
    url
}
