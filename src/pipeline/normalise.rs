//! Raw record to [`Lead`], or a reason naming the field.
//!
//! Whatever can be written in two ways is brought into one form, so that the same person is recognised as the same and
//! destinations get clean values. Only an unusable e-mail address rejects a lead; any other value that can't be used is
//! left out, and a note says so. Normalising a lead again changes nothing. Reasons and notes hold no personal data.

pub(super) mod custom;
mod email;
mod linkedin;
mod phone;
mod text;

use std::fmt;

use crate::config::NormaliseSettings;
use crate::lead::{Lead, RawLead};

pub use phone::region;

/// An e-mail address in its one form; `None` if it is no usable address.
pub fn normalised_email(raw: &str) -> Option<String> {
    email::normalise(raw).ok()
}

use text::Tidied;

/// Why a lead can't be used: which field, and what is wrong with it. `Display`: `email: missing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The public column.
    pub field: &'static str,
    /// In words, for whoever sent the lead; no personal data.
    pub reason: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// Longest values, in characters. No vendor states its own; these hold any real value and keep a mistake (a page of text
/// in the name column) away from APIs.
mod longest {
    pub(super) const NAME: usize = 100;
    pub(super) const LINE: usize = 255;
    pub(super) const TEXT: usize = 4000;
}

/// The lead in its one form, and what was left out or changed on the way ("phone: not a valid number, left out").
///
/// # Errors
/// [`Rejection`] if the e-mail address, a lead's identity, can't be used.
pub fn normalise(raw: &RawLead, options: &NormaliseSettings) -> Result<(Lead, Vec<String>), Rejection> {
    let email = email::normalise(raw.email.as_deref().unwrap_or_default())
        .map_err(|reason| Rejection { field: "email", reason: reason.to_owned() })?;
    let mut notes = Vec::new();
    let mut one_line = |field: &str, value: &Option<String>, longest: usize| {
        text::line(value.as_deref()?, longest).noting(field, &mut notes)
    };
    let first_name = one_line("first_name", &raw.first_name, longest::NAME);
    let last_name = one_line("last_name", &raw.last_name, longest::NAME);
    let company = one_line("company", &raw.company, longest::LINE);
    let job_title = one_line("job_title", &raw.job_title, longest::LINE);
    let source = one_line("source", &raw.source, longest::LINE);
    let mut many_lines =
        |field: &str, value: &Option<String>| text::lines(value.as_deref()?, longest::TEXT).noting(field, &mut notes);
    let context = many_lines("context", &raw.context);
    let note = many_lines("note", &raw.note);
    let phone = raw.phone.as_deref().unwrap_or_default();
    // The dialling rules of the world take a while to load: not for leads without a number.
    let region = if phone.trim().is_empty() { None } else { region(&options.default_region).ok() };
    let lead = Lead {
        email,
        first_name,
        last_name,
        phone: phone::normalise(phone, region).noting("phone", &mut notes),
        company,
        job_title,
        linkedin: linkedin::slug(raw.linkedin.as_deref().unwrap_or_default()).noting("linkedin", &mut notes),
        source,
        context,
        note,
        custom_fields: custom::fields(raw.custom_fields.as_deref().unwrap_or_default(), &mut notes),
        external_id: text::id(raw.external_id.as_deref().unwrap_or_default(), longest::LINE)
            .noting("external_id", &mut notes),
    };
    Ok((lead, notes))
}

impl Tidied {
    /// The value, and a note if something about it has to be said.
    fn noting(self, field: &str, notes: &mut Vec<String>) -> Option<String> {
        notes.extend(self.note.map(|note| format!("{field}: {note}")));
        self.value
    }
}

#[cfg(test)]
mod tests;
