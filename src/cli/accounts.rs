//! Accounts as operators name them: destinations, and `enrich`.

use super::failure::Failure;
use crate::config::{self, Settings};

/// The look-up's account, as calls and pauses name it.
pub const ENRICH: &str = "enrich";

/// Every account that is configured, by name.
pub fn names(settings: &Settings) -> Vec<&str> {
    let enrich = settings.enrich.as_ref().map(|_| ENRICH);
    settings.destinations.keys().map(String::as_str).chain(enrich).collect()
}

/// Fails unless an account is called so, and names the nearest.
///
/// # Errors
/// [`crate::exit::Exit::Usage`].
pub fn require(settings: &Settings, name: &str) -> Result<(), Failure> {
    let names = names(settings);
    if names.contains(&name) {
        return Ok(());
    }
    let near = config::nearest(name, names.iter().copied());
    let meant = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    let known = match names.as_slice() {
        [] => "none is configured: add [destinations.NAME] to leadsync.toml".to_owned(),
        names => format!("configured: {}", names.join(", ")),
    };
    Err(Failure::usage(format!("no destination or look-up is called `{name}`{meant}")).hint(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::exit::Exit;

    fn settings(text: &str) -> Settings {
        config::parse("leadsync.toml", text, Environment::default()).unwrap()
    }

    fn said(settings: &Settings, name: &str) -> String {
        match require(settings, name).unwrap_err() {
            Failure::Failed { exit: Exit::Usage, error, hint } => format!("{error} ({})", hint.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_unknown_name_is_told_with_the_nearest_known_one() {
        let settings = settings("[destinations.7targets]\nkind = \"seven_targets\"\n");
        assert!(require(&settings, "7targets").is_ok());
        assert_eq!(
            said(&settings, "7target"),
            "no destination or look-up is called `7target`; did you mean `7targets`? (configured: 7targets)"
        );
        assert_eq!(said(&settings, "enrich"), "no destination or look-up is called `enrich` (configured: 7targets)");
    }

    #[test]
    fn without_any_destination_it_says_how_to_get_one() {
        assert!(said(&settings(""), "crm").ends_with("(none is configured: add [destinations.NAME] to leadsync.toml)"));
    }
}
