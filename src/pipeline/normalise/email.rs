//! The e-mail address: a lead's identity.

use std::borrow::Cow;

use email_address::{EmailAddress, Options};
use idna::AsciiDenyList;
use unicode_normalization::UnicodeNormalization;

use super::text;

/// Bytes that a whole address may have. Source: RFC 5321, 4.5.3.1.3 (a path of 256 with its brackets).
const LONGEST: usize = 254;
/// Bytes looked into for an address: one, and what people write around it. Decoding a domain takes the square of its length.
const LONGEST_CELL: usize = 4096;
/// Bytes that a domain may have in its ASCII form. Source: RFC 1035, 2.3.4.
const LONGEST_DOMAIN: usize = 253;
/// Bytes that a label of it may have. Source: RFC 1035, 2.3.4.
const LONGEST_LABEL: usize = 63;

/// Trimmed, lower case, the domain in its ASCII form. `mailto:`, `Name <address>`, quotes around it and punctuation after
/// it are dropped.
pub(super) fn normalise(raw: &str) -> Result<String, &'static str> {
    if raw.len() > LONGEST_CELL {
        return Err("longer than an e-mail address may be (254 characters)");
    }
    // NFKC: input methods for East Asian scripts write `＠` and full-width letters.
    let clean: String = if raw.is_ascii() { text::clean(raw) } else { text::clean(&raw.nfkc().collect::<String>()) };
    let unjoined: String = clean.chars().filter(|c| !matches!(c, '\u{200c}' | '\u{200d}')).collect();
    let address = bare(&unjoined)?;
    let (local, domain) = match address.rsplit_once('@') {
        _ if address.is_empty() => return Err("missing"),
        None => return Err("not an e-mail address, it has no @"),
        Some((local, _)) if local.contains('@') => return Err("more than one @; one address was expected"),
        Some(("", _)) => return Err("nothing stands before the @"),
        Some((_, "")) => return Err("nothing stands after the @"),
        Some(parts) => parts,
    };
    if local.starts_with('"') {
        return Err("quotes are not supported in an e-mail address");
    }
    if local.len() > 64 {
        return Err("the part before the @ is longer than 64 characters");
    }
    let domain = ascii_domain(domain)?;
    let address = format!("{}@{domain}", lower(local));
    if address.len() > LONGEST {
        return Err("longer than an e-mail address may be (254 characters)");
    }
    let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
    match EmailAddress::parse_with_options(&address, options) {
        Ok(_) => Ok(address),
        Err(_) => Err("not a valid e-mail address"),
    }
}

/// The address in the cell, without what people write around it.
fn bare(text: &str) -> Result<&str, &'static str> {
    const AROUND: [char; 9] = ['<', '>', '"', '\'', ',', ';', '(', ')', ' '];
    let mut address = text.trim();
    if let (Some(open), Some(close)) = (address.rfind('<'), address.rfind('>'))
        && open < close
    {
        address = &address[open + 1..close];
    }
    loop {
        let before = address;
        address = address.trim().trim_matches(AROUND).trim_end_matches(['.', ':']);
        if address.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("mailto:")) {
            address = &address[7..];
            address = address.split('?').next().unwrap_or_default();
        }
        if address == before {
            break;
        }
    }
    if address.split([',', ';', ' ', '\n', '|']).filter(|part| part.contains('@')).count() > 1 {
        return Err("more than one e-mail address; one was expected");
    }
    if address.contains(char::is_whitespace) {
        return Err(if address.contains('@') {
            "white space within the e-mail address"
        } else {
            "not an e-mail address, it has no @"
        });
    }
    Ok(address)
}

fn ascii_domain(domain: &str) -> Result<String, &'static str> {
    const INVALID: &str = "the domain (after the @) is not valid";
    if domain.starts_with('[') {
        return Err("an IP address instead of a domain is not supported");
    }
    let domain = idna::domain_to_ascii_cow(domain.as_bytes(), AsciiDenyList::STD3).map_err(|_| INVALID)?;
    if !domain.contains('.') {
        return Err("the domain (after the @) has no dot");
    }
    let label_fits = |label: &str| {
        !label.is_empty() && label.len() <= LONGEST_LABEL && !label.starts_with('-') && !label.ends_with('-')
    };
    let top = domain.rsplit('.').next().unwrap_or_default();
    if domain.len() > LONGEST_DOMAIN || !domain.split('.').all(label_fits) || top.bytes().all(|b| b.is_ascii_digit()) {
        return Err(INVALID);
    }
    Ok(domain.into_owned())
}

/// Lower case that stays as it is when lowered again: composition and case folding may each undo the other once.
fn lower(local: &str) -> String {
    let mut text = Cow::Borrowed(local);
    loop {
        let next: String = text.to_lowercase().nfkc().collect();
        if next == text {
            return next;
        }
        text = Cow::Owned(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        for (raw, address) in [
            ("ann@example.com", "ann@example.com"),
            (" Ann.Bee@Example.COM ", "ann.bee@example.com"),
            ("mailto:ann@example.com?subject=x", "ann@example.com"),
            ("<ann@example.com>", "ann@example.com"),
            ("\"Bee, Ann\" <ann@example.com>", "ann@example.com"),
            ("Ann Bee <MAILTO:ann@example.com>;", "ann@example.com"),
            ("'ann@example.com'", "ann@example.com"),
            ("ann@example.com.", "ann@example.com"),
            ("ann@example.com,", "ann@example.com"),
            ("\u{feff}ann\u{200b}@example.com\u{a0}", "ann@example.com"),
            ("ann＠example．com", "ann@example.com"),
            ("ann@bücher.example", "ann@xn--bcher-kva.example"),
            ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
            ("ann+news@mail.example.co.uk", "ann+news@mail.example.co.uk"),
            ("o'neil@example.com", "o'neil@example.com"),
            ("ÜNSAL@example.com", "ünsal@example.com"),
        ] {
            assert_eq!(normalise(raw).as_deref(), Ok(address), "{raw}");
        }
    }

    #[test]
    fn what_is_no_usable_address_is_refused_in_words() {
        let too_long = format!("{}@example.com", "a".repeat(65));
        let too_long_domain = format!("a@{}com", "a.".repeat(130));
        for (raw, part_of_reason) in [
            ("", "missing"),
            ("  \u{200b} ", "missing"),
            ("ann", "no @"),
            ("ann bee", "no @"),
            ("@example.com", "before the @"),
            ("ann@", "after the @"),
            ("ann@localhost", "no dot"),
            ("ann@example", "no dot"),
            ("ann@.com", "domain"),
            ("ann@example..com", "domain"),
            ("ann@-example.com", "domain"),
            ("ann@exa_mple.com", "domain"),
            ("ann@192.168.0.1", "domain"),
            ("ann@[192.168.0.1]", "IP address"),
            ("ann@bee@example.com", "more than one"),
            ("ann@example.com; bee@example.com", "more than one"),
            ("ann@example.com bee@example.com", "more than one"),
            ("ann bee@example.com", "white space"),
            ("ann..bee@example.com", "not a valid"),
            (".ann@example.com", "not a valid"),
            ("ann(x)y@example.com", "not a valid"),
            (&too_long, "longer"),
            (&too_long_domain, "not valid"),
        ] {
            let refused = normalise(raw).expect_err(raw);
            assert!(refused.contains(part_of_reason), "{raw}: {refused}");
        }
    }
}
