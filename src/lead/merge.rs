//! A look-up's answer merged into a lead. Pure: what comes out depends on nothing else.
//!
//! A look-up can match the wrong person, so a name is treated apart from everything else: nobody is ever renamed to a
//! person of another given name, whoever wins otherwise.

use unicode_normalization::UnicodeNormalization;

use super::{Lead, LookUp, Person, mail_domain};

/// Whose value is taken where the lead and the look-up both have one. Blanks are filled either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// The lead's own.
    Source,
    /// The look-up's.
    Enriched,
}

/// The lead with the look-up merged in, and notes for the operator on what was filled, replaced or left alone: names of
/// fields, never values.
///
/// Filled are first and last name, phone (the direct line before the mobile one, only where it is a plausible E.164
/// number), company, job title and LinkedIn profile; e-mail, source, context, note and custom fields are the lead's alone.
pub fn merge(lead: &Lead, looked_up: &LookUp, precedence: Precedence) -> (Lead, Vec<String>) {
    let mut merged = lead.clone();
    let Some(person) = looked_up.person() else { return (merged, Vec::new()) };
    let mut changes = Changes { precedence, ..Changes::new() };

    match names_agree(lead, person) {
        Some(true) => {
            changes.put("first_name", &mut merged.first_name, value(&person.first_name));
            changes.put("last_name", &mut merged.last_name, value(&person.last_name));
        }
        Some(false) => changes.remarks.push("name: the look-up found another name, ours was kept".to_owned()),
        None => {}
    }
    let numbers = || [&person.direct_dial, &person.cell_phone].into_iter().filter_map(value);
    let phone = numbers().find_map(|number| e164(&number, person.country_code.as_deref()));
    if phone.is_none() && numbers().next().is_some() {
        changes.remarks.push("phone: the look-up's number is no international number, left out".to_owned());
    }
    changes.put("phone", &mut merged.phone, phone);
    changes.put("company", &mut merged.company, value(&person.company));
    changes.put("job_title", &mut merged.job_title, value(&person.title));
    changes.put("linkedin", &mut merged.linkedin, value(&person.linkedin).and_then(|text| slug(&text)));
    (merged, changes.into_notes())
}

/// Whether the person no longer works where the e-mail points: both domains are known, the e-mail's is no free-mail
/// provider's, and the employer's is another organisation's ([`mail_domain::same_organisation`]), its mail domain
/// included. Any doubt (no employer known, a national branch) counts as not changed, since leads may be skipped for it.
pub fn job_changed(lead: &Lead, person: &Person) -> bool {
    let Some(ours) = mail_domain::of(&lead.email).filter(|domain| !mail_domain::is_free_mail(domain)) else {
        return false;
    };
    let Some(theirs) = value(&person.company_domain) else { return false };
    let mail = person.work_email.as_deref().and_then(mail_domain::of);
    !mail_domain::same_organisation(ours, &theirs)
        && !mail.is_some_and(|mail| mail_domain::same_organisation(ours, mail))
}

struct Changes {
    precedence: Precedence,
    filled: Vec<&'static str>,
    replaced: Vec<&'static str>,
    remarks: Vec<String>,
}

impl Changes {
    fn new() -> Self {
        Self { precedence: Precedence::Source, filled: Vec::new(), replaced: Vec::new(), remarks: Vec::new() }
    }

    fn put(&mut self, field: &'static str, ours: &mut Option<String>, theirs: Option<String>) {
        match (&ours, theirs) {
            (_, None) => {}
            (Some(ours), Some(theirs)) if **ours == theirs => {}
            (None, theirs) => {
                self.filled.push(field);
                *ours = theirs;
            }
            (Some(_), theirs) if self.precedence == Precedence::Enriched => {
                self.replaced.push(field);
                *ours = theirs;
            }
            (Some(_), Some(_)) => {}
        }
    }

    fn into_notes(self) -> Vec<String> {
        let list =
            |words: &str, fields: &[&str]| (!fields.is_empty()).then(|| format!("{words}: {}", fields.join(", ")));
        let mut notes: Vec<String> = list("filled from the look-up", &self.filled).into_iter().collect();
        notes.extend(list("replaced by the look-up", &self.replaced));
        notes.extend(self.remarks);
        notes
    }
}

/// Whether the look-up's name may be used. `None`: it has none, so there is nothing to say.
///
/// With no name of our own, yes. With a given name, if theirs agrees; an initial ("A.") agrees only with the family name's
/// help. With a family name alone, if that agrees: "Bob" of another family must not become our Ms Bee's first name.
fn names_agree(lead: &Lead, person: &Person) -> Option<bool> {
    let (their_first, their_last) = (value(&person.first_name), value(&person.last_name));
    if their_first.is_none() && their_last.is_none() {
        return None;
    }
    let family = match (&lead.last_name, &their_last) {
        (Some(ours), Some(theirs)) => Some(parts(ours).concat() == parts(theirs).concat()),
        _ => None,
    };
    Some(match (&lead.first_name, &their_first) {
        (None, _) if lead.last_name.is_none() => true,
        (None, _) => family == Some(true),
        (Some(_), None) => false,
        (Some(ours), Some(theirs)) => given_names_agree(&parts(ours), &parts(theirs), family == Some(true)),
    })
}

fn given_names_agree(ours: &[String], theirs: &[String], same_family: bool) -> bool {
    let (Some(our_first), Some(their_first)) = (ours.first(), theirs.first()) else { return false };
    let initial = |name: &str| name.chars().count() == 1;
    if initial(our_first) || initial(their_first) {
        return same_family && our_first.chars().next() == their_first.chars().next();
    }
    // "Anna" and "Anna Maria" agree, "Jean-Luc" and "Jean-Pierre" don't, "Jean-Luc" and "Jeanluc" do.
    ours.concat() == theirs.concat() || ours.iter().zip(theirs).all(|(one, other)| one == other)
}

/// A name's parts, without case, accents and punctuation. Only the accents of the Latin, Greek and Cyrillic scripts go:
/// elsewhere combining marks are vowels.
fn parts(name: &str) -> Vec<String> {
    let folded: String =
        name.nfkd().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).flat_map(char::to_lowercase).collect();
    folded
        .split(|c: char| c.is_whitespace() || matches!(c, '-' | '‐' | '‑' | '–' | '.'))
        .map(|part| part.chars().filter(|c| c.is_alphanumeric()).fold(String::new(), plain))
        .filter(|part| !part.is_empty())
        .collect()
}

/// Adds a letter, those with a stroke and joined ones (which have no decomposition) in plain letters.
fn plain(mut text: String, letter: char) -> String {
    match letter {
        'ø' => text.push('o'),
        'ł' => text.push('l'),
        'đ' | 'ð' => text.push('d'),
        'ı' => text.push('i'),
        'ß' => text.push_str("ss"),
        'æ' => text.push_str("ae"),
        'œ' => text.push_str("oe"),
        'þ' => text.push_str("th"),
        other => text.push(other),
    }
    text
}

/// The text, trimmed and NFC-normalised as every value of a [`Lead`] is; `None` if nothing is left.
fn value(text: &Option<String>) -> Option<String> {
    let text: String = text.as_deref()?.trim().nfc().collect();
    (!text.is_empty()).then_some(text)
}

/// The number in E.164, if it plausibly is one. Without `+` it is read as a national number of the person's country.
fn e164(text: &str, country_code: Option<&str>) -> Option<String> {
    let dialled: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}')).collect();
    let number = if dialled.starts_with('+') {
        dialled
    } else {
        let country = country_code?.to_uppercase().parse().ok()?;
        let number = phonenumber::parse(Some(country), text).ok().filter(phonenumber::is_valid)?;
        number.format().mode(phonenumber::Mode::E164).to_string()
    };
    let digits = number.strip_prefix('+')?;
    let plausible =
        (8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    plausible.then_some(number)
}

/// The profile's slug, also from an address (`https://www.linkedin.com/in/ann-bee/`).
fn slug(text: &str) -> Option<String> {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let slug = match path.split_once("/in/") {
        Some((_, slug)) => slug.split('/').next().unwrap_or_default(),
        None if path.contains("://") || path.contains("linkedin.com") => return None,
        None => path.trim_matches('/'),
    };
    (!slug.is_empty() && !slug.contains(['/', ' '])).then(|| slug.to_owned())
}

#[cfg(test)]
mod tests;
