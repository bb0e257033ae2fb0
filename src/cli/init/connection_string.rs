//! Connection strings as data providers take them: `Name=value;Name="value; with 'all' in it";`. Names are the same in any
//! case. A value in quotes, single or double, is taken to the letter, and the quote itself stands doubled in it; any other
//! is taken without the blanks around it.

use std::fmt;

use crate::secret::Secret;

/// A property as it was given. `Debug` shows its name only.
#[derive(Debug)]
pub(super) struct Property {
    /// As written, without the blanks around it.
    pub(super) name: String,
    pub(super) value: Secret,
}

/// What is wrong with a connection string; its values, which may be secrets, are not repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// There is nothing in it.
    Empty,
    /// The how-manieth part has no `=`, or nothing before it.
    NoName { part: usize },
    /// A quote is opened and not closed.
    Unclosed { name: String },
    /// Something follows the closing quote.
    BehindQuote { name: String },
    /// Two values for one name.
    Twice { name: String },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::NoName { part } => write!(f, "part {part} (between semicolons) is no `Name=value`"),
            Self::Unclosed { name } => write!(f, "the quote that begins the value of `{name}` is not closed"),
            Self::BehindQuote { name } => write!(f, "something follows the closing quote of `{name}`; expected `;`"),
            Self::Twice { name } => write!(f, "`{name}` is given twice"),
        }
    }
}

/// The properties, in order, each name once.
///
/// # Errors
/// [`Malformed`].
pub(super) fn parse(text: &str) -> Result<Vec<Property>, Malformed> {
    let mut properties: Vec<Property> = Vec::new();
    let mut rest = text.trim();
    let mut part = 0;
    while !rest.is_empty() {
        part += 1;
        if let Some(after) = rest.strip_prefix(';') {
            rest = after.trim_start();
            continue;
        }
        let until = rest.find(['=', ';']).filter(|at| rest[*at..].starts_with('='));
        let name = until.map(|at| rest[..at].trim()).filter(|name| is_name(name)).ok_or(Malformed::NoName { part })?;
        let (value, after) = value(name, rest[name_end(rest)..].trim_start())?;
        if properties.iter().any(|known| known.name.eq_ignore_ascii_case(name)) {
            return Err(Malformed::Twice { name: name.to_owned() });
        }
        properties.push(Property { name: name.to_owned(), value: Secret::new(value) });
        rest = after.trim_start();
    }
    if properties.is_empty() { Err(Malformed::Empty) } else { Ok(properties) }
}

/// Just behind the first `=`.
fn name_end(text: &str) -> usize {
    text.find('=').map_or(text.len(), |at| at + 1)
}

/// A name is told in messages, so it must be one and no half of a secret.
fn is_name(name: &str) -> bool {
    (1..=60).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" _-.".contains(&byte))
}

/// The value that `text` begins with, and what is left behind its semicolon.
fn value<'a>(name: &str, text: &'a str) -> Result<(String, &'a str), Malformed> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let (value, after) = text.split_once(';').unwrap_or((text, ""));
        return Ok((value.trim().to_owned(), after));
    };
    let mut value = String::new();
    let mut rest = &text[1..];
    loop {
        let Some((before, after)) = rest.split_once(quote) else {
            return Err(Malformed::Unclosed { name: name.to_owned() });
        };
        value.push_str(before);
        match after.strip_prefix(quote) {
            Some(after) => {
                value.push(quote);
                rest = after;
            }
            None => {
                let after = after.trim_start();
                return match after.strip_prefix(';') {
                    Some(after) => Ok((value, after)),
                    None if after.is_empty() => Ok((value, "")),
                    None => Err(Malformed::BehindQuote { name: name.to_owned() }),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|it| (it.name, it.value.expose().to_owned())).collect()
    }

    fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn names_and_values_are_read_as_providers_read_them() {
        assert_eq!(read("A=1;B=2"), pairs([("A", "1"), ("B", "2")]));
        assert_eq!(read(" A = 1 ; ;B=;\n"), pairs([("A", "1"), ("B", "")]));
        assert_eq!(
            read(r"Profile=C:\p\LeadDesk.apip;Key=a=b==;"),
            pairs([("Profile", r"C:\p\LeadDesk.apip"), ("Key", "a=b==")])
        );
        assert_eq!(
            read(r#"P=" a;b=""c'"" ";Q='x''"y;' ;R=it's"#),
            pairs([("P", r#" a;b="c'" "#), ("Q", r#"x'"y;"#), ("R", "it's")])
        );
    }

    #[test]
    fn what_can_not_be_read_is_named_without_its_value() {
        for (text, words) in [
            ("", "empty"),
            (" ; ", "empty"),
            ("hunter2", "part 1"),
            ("A=1;hunter2;B=3", "part 2"),
            ("=hunter2", "part 1"),
            ("A=\"hunter2", "`A` is not closed"),
            ("A=\"hunter2\"x", "closing quote of `A`"),
            ("User=hunter2;user=hunter3", "`user` is given twice"),
            ("hunter2@secret=x", "part 1"),
        ] {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(words) && !said.contains("hunter"), "{text}: {said}");
        }
        let shown = format!("{:?}", parse("Password=hunter2").unwrap());
        assert!(!shown.contains("hunter"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}|[A-Za-z=;'\" ]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn quoted_values_come_back_to_the_letter(
            values in prop::collection::vec(("\\PC{0,20}|[;='\" ]{0,10}", any::<bool>()), 1..6),
        ) {
            let text: String = values
                .iter()
                .enumerate()
                .map(|(at, (value, double))| {
                    let quote = if *double { "\"" } else { "'" };
                    format!("P{at}={quote}{}{quote};", value.replace(quote, &quote.repeat(2)))
                })
                .collect();
            let expected: Vec<(String, String)> =
                values.iter().enumerate().map(|(at, (value, _))| (format!("P{at}"), value.clone())).collect();
            prop_assert_eq!(read(&text), expected);
        }
    }
}
