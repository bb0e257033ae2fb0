//! Which column fills what.

use std::collections::BTreeMap;

use super::error::CsvError;
use super::fields::{self, Field, Fit};
use super::records::Record;
use crate::mask;

/// What two columns of a rejects file are called that leadsync itself put there.
pub(super) const OUR_COLUMNS: [[&str; 2]; 2] = [["line", "reason"], ["leadsync_line", "leadsync_reason"]];

/// The header of a file, understood.
#[derive(Clone, Debug)]
pub struct Header {
    line: u64,
    names: Vec<String>,
    /// Ascending by field.
    slots: Vec<(Field, usize)>,
    ignored: Vec<String>,
    notices: Vec<String>,
    our_columns: usize,
}

impl Header {
    /// The line on which it stands, counted from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// All columns, as they are called in the file.
    pub fn columns(&self) -> &[String] {
        &self.names
    }

    /// What is read: the lead's field, and the column that fills it.
    pub fn recognised(&self) -> impl Iterator<Item = (String, &str)> {
        self.slots.iter().map(|(field, column)| (field.name(), self.names[*column].as_str()))
    }

    /// Columns that fill nothing. Those of a rejects file that is imported again are not among them.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Decisions the operator should see: two columns for one field.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// How many columns at the front leadsync itself had put there: 0, or 2 if this is a rejects file.
    pub(super) fn our_columns(&self) -> usize {
        self.our_columns
    }

    pub(super) fn slots(&self) -> &[(Field, usize)] {
        &self.slots
    }

    /// A column as messages call it: `Work Email`, or `column 3` if it has no name.
    pub(super) fn column(&self, i: usize) -> String {
        match self.names.get(i).filter(|name| !name.is_empty()) {
            Some(name) => format!("column `{}`", shown(name)),
            None => format!("column {}", i + 1),
        }
    }

    /// Reads a header record in the light of `[csv.columns]`.
    pub(super) fn read(file: &str, record: &Record, mapping: &BTreeMap<String, String>) -> Result<Self, CsvError> {
        let names: Vec<String> = (0..record.fields)
            .filter_map(|i| record.field(i))
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        let our_columns = if OUR_COLUMNS.iter().any(|ours| names.iter().take(2).eq(ours)) { 2 } else { 0 };
        let mut slots: BTreeMap<Field, (usize, Fit)> = BTreeMap::new();
        let mut notices = Vec::new();
        let mut mapped = vec![false; names.len()];

        let recognised: Vec<_> = names.iter().map(|name| fields::recognise(name)).collect();
        let has_email = recognised.iter().flatten().any(|(field, _)| *field == Field::Email);
        if !has_email && names.iter().any(|name| mask::holds_email(name)) {
            return Err(CsvError::NoHeader { file: file.to_owned(), line: record.line });
        }
        for (key, wanted) in mapping {
            let field = fields::by_name(key).ok_or_else(|| unknown_mapping(key))?;
            let Some(column) = position(&names, wanted) else {
                let hint = nearest(wanted, &names)
                    .map_or_else(String::new, |name| format!("; did you mean `{}`?", shown(name)));
                let (field, wanted) = (key.clone(), wanted.clone());
                return Err(CsvError::MappedColumnMissing {
                    file: file.to_owned(),
                    field,
                    wanted,
                    found: list(&names),
                    hint,
                });
            };
            mapped[column] = true;
            slots.insert(field, (column, Fit::Mapped));
        }
        for (column, found) in recognised.into_iter().enumerate() {
            let Some((field, fit)) = found.filter(|_| !mapped[column]) else { continue };
            let Some(&(rival, rivals_fit)) = slots.get(&field) else {
                slots.insert(field, (column, fit));
                continue;
            };
            let (used, unused) = if fit > rivals_fit { (column, rival) } else { (rival, column) };
            if rivals_fit != Fit::Mapped {
                notices.push(format!(
                    "columns `{}` and `{}` could both be {}: the first is used; [csv.columns] can say otherwise",
                    shown(&names[used]),
                    shown(&names[unused]),
                    field.name()
                ));
            }
            slots.insert(field, (used, fit.max(rivals_fit)));
        }
        settle_names(&mut slots);
        if !slots.contains_key(&Field::Email) {
            return Err(no_email_column(file, &names));
        }
        let slots: Vec<_> = slots.into_iter().map(|(field, (column, _))| (field, column)).collect();
        let ignored = names
            .iter()
            .enumerate()
            .skip(our_columns)
            .filter(|(i, name)| !name.is_empty() && !slots.iter().any(|(_, column)| column == i))
            .map(|(_, name)| shown(name))
            .collect();
        Ok(Self { line: record.line, names, slots, ignored, notices, our_columns })
    }
}

/// How many of these headers mean something: what the delimiter is chosen by.
pub(super) fn known(names: &[String], mapping: &BTreeMap<String, String>) -> usize {
    let mapped = mapping.values().filter(|wanted| position(names, wanted).is_some()).count();
    mapped + names.iter().filter(|name| fields::recognise(name).is_some()).count()
}

/// One column for both names is used where there is none for the first, or where `[csv.columns]` says so.
fn settle_names(slots: &mut BTreeMap<Field, (usize, Fit)>) {
    let fit_of = |field| slots.get(&field).map(|(_, fit)| *fit);
    let (full, first) = (fit_of(Field::FullName), fit_of(Field::FirstName));
    match (full, first) {
        (Some(Fit::Mapped), Some(Fit::Exact | Fit::Alias)) => {
            slots.remove(&Field::FirstName);
        }
        (Some(_), Some(_)) => {
            slots.remove(&Field::FullName);
        }
        _ => {}
    }
}

fn position(names: &[String], wanted: &str) -> Option<usize> {
    let key = fields::key(wanted);
    names
        .iter()
        .position(|name| name == wanted.trim())
        .or_else(|| names.iter().position(|name| !key.is_empty() && fields::key(name) == key))
}

fn no_email_column(file: &str, names: &[String]) -> CsvError {
    let nearest = names
        .iter()
        .map(|name| (fields::likeness_to_email(name), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    CsvError::NoEmailColumn {
        file: file.to_owned(),
        found: list(names),
        suggestion: nearest.map_or_else(|| "…".to_owned(), |(_, name)| shown(name)),
    }
}

fn unknown_mapping(key: &str) -> CsvError {
    let names: Vec<String> = fields::names().map(str::to_owned).collect();
    CsvError::UnknownMapping {
        key: key.to_owned(),
        hint: nearest(key, &names).map_or_else(String::new, |name| format!("; did you mean `{name}`?")),
        keys: names.join(", "),
    }
}

fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a String> {
    let wanted = fields::key(wanted);
    names
        .iter()
        .map(|name| (strsim::jaro_winkler(&wanted, &fields::key(name)), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, name)| name)
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let named: Vec<String> =
        names.iter().filter(|name| !name.is_empty()).take(SHOWN).map(|name| format!("`{}`", shown(name))).collect();
    match names.len().saturating_sub(SHOWN) {
        _ if named.is_empty() => "no column names".to_owned(),
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// A header as messages show it: short, on one line, and masked, since the "header" may be somebody's data.
fn shown(name: &str) -> String {
    const LONGEST: usize = 60;
    let mut text: String = mask::scrub(name).chars().filter(|c| !c.is_control()).collect();
    if let Some((cut, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(cut);
        text.push('…');
    }
    text
}
