//! What every command that touches the database needs: settings, the store, the time.

use std::sync::Arc;

use super::args::Global;
use super::console::Console;
use super::failure::Failure;
use crate::clock::{AdjustedClock, Clock, SystemClock, Timestamp};
use crate::config::{self, Settings, Sources};
use crate::store::{self, Store, StoreError};

/// What was asked for besides the command itself.
#[derive(Clone, Debug)]
pub struct Context {
    pub global: Global,
    pub console: Console,
}

/// An opened database.
pub struct Opened {
    pub settings: Arc<Settings>,
    pub store: Arc<dyn Store>,
    /// The database's clock where it has one, so that relative times agree with what workers do.
    pub clock: Arc<dyn Clock>,
}

impl Opened {
    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Context {
    /// The effective configuration.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Usage`] if it can't be read or is wrong.
    pub fn settings(&self) -> Result<Settings, Failure> {
        let database = self.global.database.as_ref().map(|url| url.expose().to_owned());
        Ok(config::load(&Sources::of_process(self.global.config.clone(), database))?)
    }

    /// Opens the database as it is, whatever its schema: for `db status`. Nothing is created.
    ///
    /// # Errors
    /// If the configuration is wrong or the database can't be reached.
    pub async fn open(&self) -> Result<Opened, Failure> {
        let settings = self.settings()?;
        let store = store::open_existing(&settings.database).await?;
        opened(settings, store).await
    }

    /// Opens it for commands that read or decide, which never create it or change its schema.
    ///
    /// # Errors
    /// As [`Context::open`]; and if the schema was never set up or is another version's.
    pub async fn open_current(&self) -> Result<Opened, Failure> {
        let opened = self.open().await?;
        require_current(&*opened.store).await?;
        Ok(opened)
    }

    /// Opens it with these settings, and creates it if it is a SQLite file that is missing: for `db migrate`.
    ///
    /// # Errors
    /// If the database can't be reached or made.
    pub async fn open_or_create(&self, settings: Settings) -> Result<Opened, Failure> {
        let store = store::open(&settings.database).await?;
        opened(settings, store).await
    }

    /// Opens it for commands that work the queue: creates it, and brings the schema up to date unless `database.migrate`
    /// is off.
    ///
    /// # Errors
    /// As [`Context::open_or_create`]; and if the schema is another version's.
    pub async fn open_for_work(&self, settings: Settings) -> Result<Opened, Failure> {
        let opened = self.open_or_create(settings).await?;
        if opened.settings.database.migrate {
            opened.store.migrate().await?;
        } else {
            require_current(&*opened.store).await?;
        }
        Ok(opened)
    }
}

async fn opened(settings: Settings, store: Arc<dyn Store>) -> Result<Opened, Failure> {
    let clock: Arc<dyn Clock> = match store.server_time().await? {
        Some(now) => Arc::new(AdjustedClock::starting_at(now)),
        None => Arc::new(SystemClock),
    };
    Ok(Opened { settings: Arc::new(settings), store, clock })
}

async fn require_current(store: &dyn Store) -> Result<(), Failure> {
    let schema = store.schema_status().await?;
    if schema.applied == 0 {
        return Err(Failure::usage(format!("the database {} is not set up yet: it holds no leads", store.location()))
            .hint("`leadsync import FILE` and `leadsync run` set it up, or `leadsync db migrate`; is `database.url` right?"));
    }
    match schema.applied.cmp(&schema.known) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(StoreError::SchemaOlder { found: schema.applied, known: schema.known }.into()),
        std::cmp::Ordering::Greater => {
            Err(StoreError::SchemaNewer { found: schema.applied, known: schema.known }.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fake::FakeStore;
    use crate::exit::Exit;
    use crate::store::SchemaStatus;

    #[tokio::test]
    async fn commands_that_read_refuse_a_schema_of_another_version_and_say_what_to_do() {
        let with = |applied| FakeStore { schema: SchemaStatus { applied, known: 3 }, ..FakeStore::default() };
        assert!(require_current(&with(3)).await.is_ok());
        for applied in [0, 2, 4] {
            assert_eq!(require_current(&with(applied)).await.unwrap_err().exit(), Exit::Usage, "{applied}");
        }
    }
}
