//! Everything a run needs, put together from the configuration: database, keys, client, accounts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sealing::Sealing;
use crate::auth::grant::BrowserLogin;
use crate::auth::seal::{KeyFile, Keyring, SealError};
use crate::auth::{Account, AuthError, Fingerprinter, Tokens};
use crate::clock::{AdjustedClock, Clock, SystemClock};
use crate::config::Settings;
use crate::connectors::channel::Channel;
use crate::connectors::registry::{self, BuildError};
use crate::connectors::{Destination, Enricher, Limits};
use crate::http::send::{Egress, HttpClient};
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
    pub sealing: Sealing,
    pub keyring: Keyring,
    http: HttpClient,
}

/// A connector and the channel that sends for it.
pub type Bound<T> = (Arc<T>, Arc<Channel>);

/// What a person's login with a browser needs: for a destination, the account that is logged in to (an agency's, where its
/// token makes the destination's).
pub struct BrowserAccess {
    pub destination: Arc<dyn Destination>,
    pub account: Account,
    pub browser: BrowserLogin,
    /// The configuration has a refresh token too.
    pub seeded: bool,
    pub tokens: Tokens,
    /// Calls as that account.
    pub channel: Channel,
}

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
        let sealing = Sealing::open(&settings, &*store, &keyring).await?;
        Ok(Self { settings, store, clock, database_clock, fingerprints, sealing, http: HttpClient::new(), keyring })
    }

    /// The account, bound to its limits; `egress` is the way out that its calls and its token requests take.
    fn channel(&self, account: Account, limits: &Limits, egress: &Egress, run: Option<RunId>) -> Arc<Channel> {
        let (http, tokens) = (self.http(egress), self.tokens(egress, run));
        let channel = Channel::new(account, limits, http, tokens, Arc::clone(&self.clock), run);
        Arc::new(channel.shared(Arc::clone(&self.store) as _))
    }

    /// The account that a person logs in to for this destination.
    ///
    /// # Errors
    /// If the configuration lacks something it needs, or has another way of logging in.
    pub fn browser_access(&self, name: &str) -> Result<BrowserAccess, SiteError> {
        let Some(settings) = self.settings.destinations.get(name) else {
            return Err(SiteError::Incomplete { what: format!("destination `{name}` is not configured") });
        };
        let destination = registry::destination(settings).map_err(|error| self.incomplete(&error))?;
        let account = self.account(name)?;
        let Some((account, grant)) = account.browser_account().and_then(|it| Some((it.clone(), it.grant()?.clone())))
        else {
            let what =
                format!("there is nothing to log in to for `{name}`: it has its credentials in the configuration");
            return Err(SiteError::Incomplete { what });
        };
        let seeded = grant.refresh.as_ref().is_some_and(|exchange| exchange.seed.is_some());
        let Some(browser) = grant.browser else {
            return Err(SiteError::Incomplete { what: format!("`{name}` is not logged in to with a browser") });
        };
        let egress = registry::egress(settings);
        let (http, tokens) = (self.http(&egress), self.tokens(&egress, None));
        let limits = destination.limits();
        let channel = Channel::new(account.clone(), &limits, http, tokens.clone(), Arc::clone(&self.clock), None);
        Ok(BrowserAccess { destination, account, browser, seeded, tokens, channel })
    }

    /// The client for requests that take this way out.
    pub fn http(&self, egress: &Egress) -> HttpClient {
        self.http.through(egress.clone())
    }

    /// The tokens of accounts, asked for in the name of this run, on this way out.
    pub fn tokens(&self, egress: &Egress, run: Option<RunId>) -> Tokens {
        let vault = Arc::clone(&self.store) as _;
        Tokens::new(vault, self.keyring.clone(), self.http(egress), Arc::clone(&self.clock), run)
    }

    /// The way out of the account's calls: a destination's own, or the usual one.
    pub fn egress(&self, name: &str) -> Egress {
        self.settings.destinations.get(name).map(registry::egress).unwrap_or_default()
    }

    /// The account that the configuration calls `name` (a destination's name, or `enrich`), with its secrets.
    ///
    /// # Errors
    /// If the configuration lacks something it needs.
    pub fn account(&self, name: &str) -> Result<Account, SiteError> {
        let unknown = || SiteError::Incomplete { what: format!("`{name}` is not configured") };
        let account = match name {
            "enrich" => registry::enrich_account(self.settings.enrich.as_ref().ok_or_else(unknown)?),
            _ => registry::account(self.settings.destinations.get(name).ok_or_else(unknown)?),
        };
        account.map_err(|error| self.incomplete(&error))
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
    pub fn destination(&self, name: &str, run: Option<RunId>) -> Result<Bound<dyn Destination>, SiteError> {
        let Some(settings) = self.settings.destinations.get(name) else {
            return Err(SiteError::Incomplete { what: format!("destination `{name}` is not configured") });
        };
        let incomplete = |error| self.incomplete(&error);
        let destination = registry::destination(settings).map_err(incomplete)?;
        let account = registry::account(settings).map_err(incomplete)?;
        let channel = self.channel(account, &destination.limits(), &registry::egress(settings), run);
        Ok((destination, channel))
    }

    /// The look-up service, bound to its account and limits. `None`: look-ups are off.
    ///
    /// # Errors
    /// If the configuration lacks something it needs.
    pub fn enricher(&self, run: Option<RunId>) -> Result<Option<Bound<dyn Enricher>>, SiteError> {
        let Some(settings) = &self.settings.enrich else { return Ok(None) };
        let incomplete = |error| self.incomplete(&error);
        let enricher = registry::enricher(settings).map_err(incomplete)?;
        let account = registry::enrich_account(settings).map_err(incomplete)?;
        let channel = self.channel(account, &enricher.limits(), &Egress::default(), run);
        Ok(Some((enricher, channel)))
    }
}

/// What quotas and pauses of each account are stored under, by the account's name in the configuration (a destination's,
/// or `enrich`). Needs no secrets: they are no part of it. An account that can't be told without what is missing is left out.
pub fn account_keys(settings: &Settings) -> BTreeMap<String, String> {
    accounts_without_secrets(settings).into_iter().map(|(name, account)| (name, account.key().to_owned())).collect()
}

/// The accounts by their names, for those who only look: in place of a secret that is not set stands another text, so
/// nothing can be asked for as one of these. One that can't be told without what is missing is left out.
pub fn accounts_without_secrets(settings: &Settings) -> BTreeMap<String, Account> {
    let destinations = settings.destinations.values().filter_map(registry::account_without_secrets);
    let enrich = settings.enrich.as_ref().and_then(registry::enrich_account_without_secrets);
    destinations.chain(enrich).map(|account| (account.name().to_owned(), account)).collect()
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
