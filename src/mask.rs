//! Personal data and secrets made unrecognisable, for logs, messages and reasons that quote somebody else's words.

mod hidden;

use std::ops::Range;

pub(crate) use hidden::Hidden;

/// So many digits in a row, punctuation aside, may be somebody's phone number.
const PHONE_DIGITS: usize = 7;
/// Bytes looked at for one number, punctuation included, so that a text of brackets alone takes no longer than any other.
const PHONE_BYTES: usize = 64;
/// A word so long, in characters, with letters and digits mixed, may open a door.
const TOKEN: usize = 20;

/// Whether an e-mail address stands somewhere in this text.
pub(crate) fn holds_email(text: &str) -> bool {
    email_in(text).is_some()
}

/// Free text with e-mail addresses and numbers that could be somebody's phone (7 digits and more, with the usual
/// punctuation between) replaced by what they are, and token-like words (20 characters and more of letters and digits mixed, 40 of any
/// kind, or whatever follows `Bearer`, `Basic`, `secret=`, `token:` …) cut to their first four characters or to nothing.
pub fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = email_in(rest) {
        scrub_words(&rest[..found.start], &mut out);
        out.push_str("(e-mail)");
        rest = &rest[found.end..];
    }
    scrub_words(rest, &mut out);
    out
}

/// Where the next address stands: characters of a local part, `@` (or `%40`, as in web addresses), a domain with a dot.
fn email_in(text: &str) -> Option<Range<usize>> {
    let mut search = 0;
    let mut from = 0;
    loop {
        let at = from + text[from..].find(['@', '%'])?;
        let sign = if text[at..].starts_with('@') { 1 } else { 3 };
        if sign == 3 && !text[at..].starts_with("%40") {
            from = at + 1;
            continue;
        }
        let domain = at + sign;
        let local = text[search..at].char_indices().rev().take_while(|(_, c)| is_local(*c)).last().map(|(i, _)| i);
        let length: usize = text[domain..].chars().take_while(|c| is_domain(*c)).map(char::len_utf8).sum();
        let end = domain + text[domain..domain + length].trim_end_matches(['.', '-']).len();
        match local {
            Some(start) if text[domain..end].contains('.') => return Some(search + start..end),
            _ => (search, from) = (domain, domain),
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
            out.push_str("(number)");
            rest = &rest[length..];
            continue;
        }
        let is_named = is_named_secret(out);
        let belongs = |c: &char| if is_named { !c.is_whitespace() && !"\"',;&{}".contains(*c) } else { is_token(*c) };
        let length = rest.chars().take_while(belongs).map(char::len_utf8).sum::<usize>();
        // A dot ends a sentence, unless the word goes on behind it.
        let length = if is_named { length } else { rest[..length].trim_end_matches('.').len() };
        if length == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(length);
        if is_named {
            out.push('…');
        } else if word.bytes().filter(u8::is_ascii_digit).count() >= PHONE_DIGITS && word.len() < TOKEN {
            out.push_str("(number)");
        } else if is_secret_word(word) {
            out.extend(word.chars().take(4));
            out.push('…');
        } else {
            out.push_str(word);
        }
        rest = after;
    }
}

/// Tokens of three parts (JWT) have dots in them.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '~' | '.')
}

/// Long, and letters mixed with digits in at least one of its parts: not a path, not a sentence in kebab case.
fn is_secret_word(word: &str) -> bool {
    word.split('/').any(|part| {
        let has = |kind: fn(&u8) -> bool| part.bytes().any(|byte| kind(&byte));
        let mixed = has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit);
        part.len() >= 2 * TOKEN || (part.len() >= TOKEN && mixed)
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

/// The length of what could be a phone number and begins here: at least seven digits, with the usual punctuation between.
fn phone(text: &str) -> Option<usize> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '(') {
        return None;
    }
    let length =
        text.bytes().take(PHONE_BYTES).take_while(|byte| byte.is_ascii_digit() || b" +()-./:".contains(byte)).count();
    let number = text[..length].trim_end_matches(|c: char| !c.is_ascii_digit());
    (number.bytes().filter(u8::is_ascii_digit).count() >= PHONE_DIGITS).then_some(number.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_phones_and_tokens_disappear_from_free_text_and_the_rest_stays() {
        for (text, scrubbed) in [
            ("lead ann.bee@example.com exists.", "lead (e-mail) exists."),
            ("<ann@a.example>,(bob+x@b.example)", "<(e-mail)>,((e-mail))"),
            ("email=ann@example.com.", "(e-mail)."),
            ("lead ann%40example.com exists", "lead (e-mail) exists"),
            ("call +1 (415) 555-0100 now", "call (number) now"),
            ("call 415 555 0100 now", "call (number) now"),
            ("phone: tel:555-010-1234x is bad", "phone: tel:(number)x is bad"),
            ("lead_5550101234 exists", "(number) exists"),
            ("expected 1 to 100 of 250", "expected 1 to 100 of 250"),
            ("lead 4711 was refused with 422 in 1.5 s", "lead 4711 was refused with 422 in 1.5 s"),
            ("id 123456789012345678901234", "id (number)"),
            ("batch 123e4567-e89b-12d3-a456-426614174000", "batch 123e…"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer …"),
            ("{\"client_secret\": \"hunter2\"}", "{\"client_secret\": \"…\"}"),
            ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJh…"),
            ("no sandbox.seven_targets.x1 here.", "no sand… here."),
            ("see ... api.example.com.", "see ... api.example.com."),
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
            let _ = scrub(&text);
        }
    }
}
