//! `config check`: everything that the configured systems can't be used without.

use super::problem::Problem;
use super::settings::*;
use crate::connectors::registry;

/// What is missing for a run over all configured systems. [`super::load`] has found everything else; commands that only
/// read need none of this.
pub fn check(settings: &Settings) -> Vec<Problem> {
    let mut problems = check_security(settings);
    problems.extend(check_enrich(settings));
    if settings.destinations.is_empty() {
        let message =
            "no destination is configured, so leads have nowhere to go; add a table such as [destinations.7targets]";
        problems.push(Problem::general(message));
    }
    problems.extend(settings.destinations.keys().flat_map(|name| check_destination(settings, name)));
    problems
}

/// What is missing for a database that holds tokens.
pub fn check_security(settings: &Settings) -> Vec<Problem> {
    found_by(settings, |check| check.security())
}

/// What is missing for look-ups; nothing if they are off.
pub fn check_enrich(settings: &Settings) -> Vec<Problem> {
    found_by(settings, |check| check.enrich())
}

/// What is missing for one destination; nothing if there is none of that name.
pub fn check_destination(settings: &Settings, name: &str) -> Vec<Problem> {
    found_by(settings, |check| check.destination(name))
}

fn found_by(settings: &Settings, look: impl FnOnce(&mut Check<'_>)) -> Vec<Problem> {
    let mut check = Check { settings, problems: Vec::new() };
    look(&mut check);
    check.problems
}

struct Check<'a> {
    settings: &'a Settings,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn need<T>(&mut self, key: &str, value: &Option<T>) {
        if let Err(error) = self.settings.require(key, value) {
            self.problems.extend(error.problems().iter().cloned());
        }
    }

    fn security(&mut self) {
        let security = &self.settings.security;
        // SQLite has a key of its own where none is set; one of several that has no value is not meant to be that.
        let one_of_several = self.settings.origins.unset.get("security.encryption_key").is_some_and(|it| it.in_list);
        if self.settings.database.is_postgres() || one_of_several {
            self.need("security.encryption_key", &security.encryption_keys.first());
        }
    }

    fn enrich(&mut self) {
        let Some(enrich) = &self.settings.enrich else { return };
        let EnrichKind::LiveData(live_data) = &enrich.kind;
        self.need("enrich.organization", &live_data.organization);
        // Which way to log in was meant shows in what is there; nothing there: a service account is the usual one.
        if live_data.api_key.is_some() {
        } else if live_data.username.is_some() || live_data.password.is_some() {
            self.need("enrich.username", &live_data.username);
            self.need("enrich.password", &live_data.password);
        } else if live_data.client_id.is_none() && live_data.client_secret.is_none() && self.asked_for("enrich.api_key")
        {
            self.need("enrich.api_key", &live_data.api_key);
        } else {
            self.need("enrich.client_id", &live_data.client_id);
            self.need("enrich.client_secret", &live_data.client_secret);
        }
    }

    /// Written down, though without a value.
    fn asked_for(&self, key: &str) -> bool {
        self.settings.origins.unset.contains_key(key)
    }

    fn destination(&mut self, name: &str) {
        let Some(destination) = self.settings.destinations.get(name) else { return };
        for missing in registry::missing(destination) {
            self.need::<()>(&missing.key, &None);
        }
    }
}
