//! Personal data and secrets made unrecognisable, for logs, messages and reasons that quote somebody else's words.

use std::ops::Range;

/// `ann.bee@example.com` as `a…@example.com`. What is no address becomes `…`.
pub fn mask_email(address: &str) -> String {
    match address.trim().rsplit_once('@') {
        Some((local, domain)) if !domain.is_empty() => {
            let first = local.chars().next().map(String::from).unwrap_or_default();
            format!("{first}…@{domain}")
        }
        _ => "…".to_owned(),
    }
}

/// Whether an e-mail address stands somewhere in this text.
pub(crate) fn holds_email(text: &str) -> bool {
    email_in(text, 0).is_some()
}

/// Free text with e-mail addresses masked, phone numbers in international form cut to their `+`, and long token-like words
/// (20 characters and more of letters and digits mixed, or whatever follows `Bearer`, `Basic`, `secret=`, `token:` …) cut
/// to their first four characters or to nothing. Ids made of digits alone stay.
pub fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = email_in(rest, 0) {
        scrub_words(&rest[..found.start], &mut out);
        out.push_str(&mask_email(&rest[found.clone()]));
        rest = &rest[found.end..];
    }
    scrub_words(rest, &mut out);
    out
}

/// Where the next address stands: characters of a local part, `@`, a domain with a dot.
fn email_in(text: &str, from: usize) -> Option<Range<usize>> {
    let mut search = from;
    loop {
        let at = search + text.get(search..)?.find('@')?;
        let local = text[..at].char_indices().rev().take_while(|(_, c)| is_local(*c)).last().map(|(i, _)| i);
        let domain: usize = text[at + 1..].chars().take_while(|c| is_domain(*c)).map(char::len_utf8).sum();
        let end = at + 1 + text[at + 1..at + 1 + domain].trim_end_matches(['.', '-']).len();
        match local {
            Some(start) if text[at + 1..end].contains('.') => return Some(start..end),
            _ => search = at + 1,
        }
    }
}

fn is_local(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
}

fn is_domain(c: char) -> bool {
    c.is_alphanumeric() || c == '-' || c == '.'
}

/// A text without addresses, word by word.
fn scrub_words(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = phone(rest) {
            out.push_str("+…");
            rest = &rest[length..];
            continue;
        }
        let is_named = is_named_secret(out);
        let belongs = |c: &char| if is_named { !c.is_whitespace() && !"\"',;&{}".contains(*c) } else { is_token(*c) };
        let length = rest.chars().take_while(belongs).map(char::len_utf8).sum::<usize>();
        if length == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(length);
        if is_named {
            out.push('…');
        } else if is_secret_word(word) {
            out.extend(word.chars().take(4));
            out.push('…');
        } else {
            out.push_str(word);
        }
        rest = after;
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '~')
}

/// Long, and letters mixed with digits in at least one of its parts: not a path, not a sentence in kebab case.
fn is_secret_word(word: &str) -> bool {
    word.split('/').any(|part| {
        let has = |kind: fn(&u8) -> bool| part.bytes().any(|byte| kind(&byte));
        part.len() >= 20 && has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit)
    })
}

/// What stands before says that a secret follows.
fn is_named_secret(before: &str) -> bool {
    const SCHEMES: [&str; 2] = ["bearer ", "basic "];
    const NAMES: [&str; 6] = ["secret", "token", "password", "passwd", "api_key", "apikey"];
    let tail: String =
        before.chars().rev().take(24).collect::<Vec<_>>().into_iter().rev().collect::<String>().to_lowercase();
    if SCHEMES.iter().any(|scheme| tail.ends_with(scheme)) {
        return true;
    }
    let name = tail.trim_end_matches([' ', '"', '\'']);
    let Some(name) = name.strip_suffix(['=', ':']) else { return false };
    let name = name.trim_end_matches([' ', '"', '\'']);
    NAMES.iter().any(|secret| name.ends_with(secret))
}

/// The length of a phone number that begins here: `+` and at least seven digits, with the usual punctuation between.
fn phone(text: &str) -> Option<usize> {
    let after = text.strip_prefix('+')?;
    let length: usize =
        after.chars().take_while(|c| c.is_ascii_digit() || " ()-./".contains(*c)).map(char::len_utf8).sum();
    let number = after[..length].trim_end_matches([' ', '(', ')', '-', '.', '/']);
    (number.bytes().filter(u8::is_ascii_digit).count() >= 7).then_some(1 + number.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_keeps_its_first_letter_and_its_domain() {
        assert_eq!(mask_email("ann.bee@example.com"), "a…@example.com");
        assert_eq!(mask_email(" Ömer@example.com "), "Ö…@example.com");
        assert_eq!(mask_email("@example.com"), "…@example.com");
        assert_eq!(mask_email("ann"), "…");
        assert_eq!(mask_email("ann@"), "…");
        assert_eq!(mask_email(""), "…");
    }

    #[test]
    fn addresses_phones_and_tokens_disappear_from_free_text_and_the_rest_stays() {
        for (text, scrubbed) in [
            ("lead ann.bee@example.com exists.", "lead a…@example.com exists."),
            ("<ann@a.example>,(bob+x@b.example)", "<a…@a.example>,(b…@b.example)"),
            ("email=ann@example.com.", "e…@example.com."),
            ("call +1 (415) 555-0100 now", "call +… now"),
            ("lead 4711 was refused with 422 in 1.5 s", "lead 4711 was refused with 422 in 1.5 s"),
            ("id 123456789012345678901234", "id 123456789012345678901234"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer …"),
            ("{\"client_secret\": \"hunter2\"}", "{\"client_secret\": \"…\"}"),
            ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJh…"),
            ("assistantEmail not found", "assistantEmail not found"),
            ("https://api.example.com/v1/leads/search", "https://api.example.com/v1/leads/search"),
            ("a @ b, @home, x@y", "a @ b, @home, x@y"),
            ("1+1=2", "1+1=2"),
        ] {
            assert_eq!(scrub(text), scrubbed, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_address_survives(before in "\\PC{0,20}", local in "[a-z]{3,10}", after in "\\PC{0,20}") {
            let scrubbed = scrub(&format!("{before} {local}.{local}@example.com {after}"));
            let whole = format!("{local}.{local}@example.com");
            prop_assert!(!scrubbed.contains(&whole));
        }

        #[test]
        fn any_text_can_be_scrubbed(text in "\\PC*") {
            let _ = (scrub(&text), mask_email(&text));
        }
    }
}
