//! Whether all that sending needs is configured: found out before a database is opened or a row loaded.

use crate::config::{self, ConfigError, Problem, Settings};
use crate::connectors::registry::{self, BuildError};

/// Everything that is wrong for a run over all configured systems, as `config check` tells it.
///
/// # Errors
/// All that is missing, and what the connectors can't use.
pub fn everything(settings: &Settings) -> Result<(), ConfigError> {
    let mut problems = config::check(settings);
    problems.extend(unusable_enrich(settings));
    problems.extend(settings.destinations.keys().flat_map(|name| unusable_destination(settings, name)));
    ConfigError::if_any(problems)
}

/// For what seals and opens, but sends no lead: the database's key is enough.
///
/// # Errors
/// As [`everything`].
pub fn to_seal(settings: &Settings) -> Result<(), ConfigError> {
    ConfigError::if_any(config::check_security(settings))
}

/// For an import: the look-up and these destinations must be complete; if it only loads, the database's key is enough.
///
/// # Errors
/// As [`everything`].
pub fn to_import(settings: &Settings, destinations: &[String], deliver: bool) -> Result<(), ConfigError> {
    let mut problems = config::check_security(settings);
    if deliver {
        problems.extend(enrich(settings));
        problems.extend(destinations.iter().flat_map(|name| destination(settings, name)));
    }
    ConfigError::if_any(problems)
}

/// For a run: the look-up must be complete, and one destination at least. Of the others the run says that they are not,
/// and works for those that are.
///
/// # Errors
/// As [`everything`].
pub fn to_run(settings: &Settings) -> Result<(), ConfigError> {
    let mut problems = config::check_security(settings);
    problems.extend(enrich(settings));
    let destinations: Vec<_> = settings.destinations.keys().map(|name| destination(settings, name)).collect();
    if problems.is_empty() && destinations.iter().any(Vec::is_empty) {
        return Ok(());
    }
    problems.extend(destinations.into_iter().flatten());
    ConfigError::if_any(problems)
}

fn enrich(settings: &Settings) -> Vec<Problem> {
    let mut problems = config::check_enrich(settings);
    problems.extend(unusable_enrich(settings));
    problems
}

fn destination(settings: &Settings, name: &str) -> Vec<Problem> {
    let mut problems = config::check_destination(settings, name);
    problems.extend(unusable_destination(settings, name));
    problems
}

fn unusable_enrich(settings: &Settings) -> Option<Problem> {
    unusable(settings, &registry::enricher(settings.enrich.as_ref()?).err()?)
}

fn unusable_destination(settings: &Settings, name: &str) -> Option<Problem> {
    unusable(settings, &registry::destination(settings.destinations.get(name)?).err()?)
}

/// What is missing altogether, the configuration's own check says, with where it looked.
fn unusable(settings: &Settings, error: &BuildError) -> Option<Problem> {
    let key = match error {
        BuildError::Missing(_) => return None,
        BuildError::Bad { key, .. } => key,
        BuildError::Template(error) => error.key(),
    };
    Some(Problem::of_key(settings, key, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    const COMPLETE: &str = r#"
[destinations.a]
kind = "seven_targets"
default = true
client_id = "id"
client_secret = "s"
assistant_email = "ashley@example.com"
"#;

    fn settings(more: &str) -> Settings {
        config::parse("leadsync.toml", &format!("{COMPLETE}{more}"), Environment::default()).unwrap()
    }

    #[test]
    fn a_run_works_for_the_destinations_that_are_complete() {
        let settings = settings("[destinations.b]\nkind = \"seven_targets\"\n");
        assert!(to_run(&settings).is_ok());
        assert!(to_import(&settings, &["a".into()], true).is_ok(), "b is not asked for");
        assert!(to_import(&settings, &["b".into()], false).is_ok(), "nothing is sent");
        let said = to_import(&settings, &["b".into()], true).unwrap_err().to_string();
        assert!(said.contains("destinations.b.client_secret is not set"), "{said}");
        assert!(everything(&settings).is_err());
    }

    #[test]
    fn a_run_without_any_complete_destination_or_without_the_look_up_is_refused() {
        let settings = settings("[enrich]\nkind = \"live_data\"\norganization = \"o\"\nclient_id = \"c\"\n");
        let said = to_run(&settings).unwrap_err().to_string();
        assert!(said.starts_with("enrich.client_secret is not set: looked in leadsync.toml"), "{said}");
    }

    #[test]
    fn a_misspelt_name_in_a_template_is_found_with_its_place() {
        let settings = settings("[destinations.a.fields]\ncontext = \"{{ person.titel }}\"\n");
        let said = everything(&settings).unwrap_err().to_string();
        assert!(said.starts_with("leadsync.toml:9:"), "{said}");
        assert!(
            said.ends_with("the template uses `person.titel`, which does not exist; did you mean `person.title`?"),
            "{said}"
        );
        assert_eq!(to_run(&settings).unwrap_err().to_string(), said);
    }
}
