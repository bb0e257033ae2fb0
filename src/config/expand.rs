//! `${NAME}` and `${NAME:-otherwise}` inside the file's texts.
//!
//! `$${` stands for a plain `${`; any other `$` is itself, so that passwords and templates need no escaping (`${{` opens
//! no variable either).

use super::sources::Environment;

/// What became of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expanded {
    /// The text, and the names of the variables in it, in order.
    Text(String, Vec<String>),
    /// A variable in it has no value, so the text has none. `why` continues "KEY is not set: ".
    Unset { variable: String, why: String },
}

/// Replaces the variables in `text`.
///
/// # Errors
/// What is wrong, without repeating the text: it may be a secret.
pub(super) fn expand(text: &str, environment: &Environment) -> Result<Expanded, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut variables = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &from[2..];
            continue;
        }
        expanded.push_str(before);
        if let Some(after) = from.strip_prefix("${{") {
            expanded.push_str("${{");
            rest = after;
            continue;
        }
        let (inside, after) = from[2..].split_once('}').ok_or("`${` without `}`; write `$${` for a plain `${`")?;
        let (name, otherwise) = match inside.split_once(":-") {
            Some((name, otherwise)) => (name, Some(otherwise)),
            None => (inside, None),
        };
        if !is_name(name) {
            return Err("`${…}` holds no variable name; write `$${` for a plain `${`".to_owned());
        }
        match (environment.text(name), otherwise) {
            (Some(value), _) => expanded.push_str(value),
            (None, Some(otherwise)) => expanded.push_str(otherwise),
            (None, None) => {
                let why = format!("${{{name}}}, which {}", environment.why_not(name));
                return Ok(Expanded::Unset { variable: name.to_owned(), why });
            }
        }
        variables.push(name.to_owned());
        rest = after;
    }
    expanded.push_str(rest);
    Ok(Expanded::Text(expanded, variables))
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(given: &str) -> String {
        let environment = [("HOST", "example.com"), ("EMPTY", ""), ("NESTED", "${HOST}")].into_iter().collect();
        match expand(given, &environment) {
            Ok(Expanded::Text(text, _)) => text,
            Ok(Expanded::Unset { why, .. }) => format!("unset: {why}"),
            Err(why) => format!("error: {why}"),
        }
    }

    #[test]
    fn variables_are_replaced_once() {
        assert_eq!(text("https://${HOST}/x?${HOST}"), "https://example.com/x?example.com");
        assert_eq!(text("${NESTED}"), "${HOST}");
    }

    #[test]
    fn an_unset_or_empty_variable_leaves_the_whole_text_unset() {
        assert_eq!(text("a ${NOWHERE} b"), "unset: ${NOWHERE}, which is not in the environment");
        assert_eq!(text("${EMPTY}"), "unset: ${EMPTY}, which is empty");
        assert_eq!(text("${NOWHERE:-other} ${EMPTY:-}|"), "other |");
    }

    #[test]
    fn a_dollar_is_a_dollar_unless_it_opens_a_variable() {
        assert_eq!(text("pa$$word$ $HOST $5"), "pa$$word$ $HOST $5");
        assert_eq!(text("$${HOST} $$${HOST}"), "${HOST} $${HOST}");
        assert_eq!(text("${{ lead.note }}"), "${{ lead.note }}");
    }

    #[test]
    fn a_broken_variable_is_an_error_that_repeats_nothing() {
        assert_eq!(text("s3cret${HOST"), "error: `${` without `}`; write `$${` for a plain `${`");
        assert_eq!(text("${s3 cret}"), "error: `${…}` holds no variable name; write `$${` for a plain `${`");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(given in "[$\\{\\}A-Z:é-]{0,20}") {
            let _ = text(&given);
        }

        #[test]
        fn text_without_an_opening_is_left_alone(given in "[$}a-zé ]{0,20}") {
            prop_assert_eq!(text(&given), given);
        }
    }
}
