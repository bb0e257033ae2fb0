//! A LinkedIn profile, however written, to its slug: `ann-bee`.

use super::text::{self, Tidied};

const LONGEST: usize = 150;

/// The slug, in lower case (LinkedIn does not tell cases apart), or left out.
pub(super) fn slug(raw: &str) -> Tidied {
    let text = text::joined(&text::clean(raw));
    if text.is_empty() {
        return Tidied::default();
    }
    match read(&text) {
        Some(slug) => Tidied::value(slug),
        None => Tidied::left_out("not the address of a person's profile, left out"),
    }
}

fn read(text: &str) -> Option<String> {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let path = match path.split_once("://") {
        Some((_, rest)) => rest,
        None => path.trim_start_matches('/'),
    };
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    let is_host = |part: &str| {
        let host = part.to_ascii_lowercase();
        host == "linkedin.com" || host.ends_with(".linkedin.com")
    };
    let has_host = parts.next_if(|part| is_host(part)).is_some();
    // Of the mobile site.
    let _ = parts.next_if(|part| part.eq_ignore_ascii_case("mwlite"));
    let slug = match parts.next()? {
        kind if kind.eq_ignore_ascii_case("in") => parts.next()?,
        // Companies, schools, posts, Sales Navigator's own ids.
        _ if has_host || parts.peek().is_some() => return None,
        slug => slug,
    };
    let slug = text::clean(&percent_decoded(slug)?).to_lowercase();
    let slug = text::clean(slug.trim().trim_start_matches('@'));
    let fits = (3..=LONGEST).contains(&slug.chars().count())
        && slug.chars().any(char::is_alphanumeric)
        && slug
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '\'' | '’') || !c.is_ascii() && !c.is_whitespace());
    (fits && slug != "n-a").then_some(slug)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                rest = after;
            }
            (b'%', _) => return None,
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_form_of_a_profile_gives_its_slug() {
        for (raw, expected) in [
            ("https://www.linkedin.com/in/ann-bee/", "ann-bee"),
            ("http://linkedin.com/in/Ann-Bee?trk=x#y", "ann-bee"),
            ("linkedin.com/in/ann-bee", "ann-bee"),
            ("www.linkedin.com/in/ann-bee/de", "ann-bee"),
            ("https://de.linkedin.com/in/ann-bee-12345", "ann-bee-12345"),
            ("https://www.linkedin.com/mwlite/in/ann-bee", "ann-bee"),
            ("/in/ann-bee", "ann-bee"),
            ("in/ann-bee", "ann-bee"),
            ("ann-bee", "ann-bee"),
            (" @ann-bee ", "ann-bee"),
            ("https://linkedin.com/in/j%C3%BCrgen-bee", "jürgen-bee"),
        ] {
            assert_eq!(slug(raw).value.as_deref(), Some(expected), "{raw}");
        }
    }

    #[test]
    fn what_is_no_profile_is_left_out_and_noted() {
        for raw in [
            "https://www.linkedin.com/company/acme",
            "https://www.linkedin.com/sales/lead/ACwAA,NAME",
            "https://www.linkedin.com",
            "https://example.com/in",
            "https://example.com/ann",
            "n/a",
            "-",
            "Ann Bee",
            "https://linkedin.com/in/%FF%FE",
            "https://linkedin.com/in/%E",
            "ann@example.com",
        ] {
            let tidied = slug(raw);
            assert!(tidied.value.is_none() && tidied.note.is_some(), "{raw}: {tidied:?}");
        }
        assert_eq!(slug("  "), Tidied::default());
    }
}
