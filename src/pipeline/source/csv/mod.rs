//! CSV in: a file of any size, or standard input, read row by row in constant memory.
//!
//! [`CsvSource`] finds out by itself how the file is written ([`Dialect`]) and which column is what ([`Header`]). Each row
//! is a lead as written down, or rejected with a reason; neither stops the rows after it. Completely empty rows are
//! nothing. [`RejectsFile`] writes those that could not be used beside the import, ready to be corrected.
//!
//! Reasons and errors name lines and columns, never what a cell holds.

mod dialect;
mod error;
mod fields;
mod full_name;
mod header;
mod input;
mod records;
mod rejects;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::CsvSettings;
use crate::lead::RawLead;

use fields::Field;
use input::{Buffered, Opened, Replay};
use records::{COLUMN_LIMIT, FIELD_LIMIT, RECORD_LIMIT, Record, Records};

pub use dialect::Dialect;
pub use error::CsvError;
pub use header::Header;
pub use input::Encoding;
pub use rejects::{RejectSource, RejectsError, RejectsFile, write_rejects};

/// A CSV file that is being read.
pub struct CsvSource {
    name: String,
    path: PathBuf,
    replay: Replay,
    dialect: Dialect,
    header: Header,
    header_fields: usize,
    records: Records,
    record: Record,
}

/// A row of the file. `line` is the physical line on which it begins, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CsvRow {
    /// A lead as it was written down, nothing checked.
    Lead { line: u64, raw: RawLead },
    /// A row that can't be used.
    Rejected {
        line: u64,
        /// What could be read of it.
        raw: RawLead,
        /// Why, naming the column where there is one. No personal data.
        reason: String,
    },
}

impl CsvSource {
    /// Opens a file, `-` being standard input, and reads its header.
    ///
    /// # Errors
    /// [`CsvError`] if there is no such file, it can't be read, is no text, is empty, or its header has no e-mail column.
    /// A header with no rows after it is fine.
    pub fn open(path: impl AsRef<Path>, settings: &CsvSettings) -> Result<Self, CsvError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let opened = input::open(path, &name)?;
        Self::start(name, path.to_owned(), opened, settings)
    }

    /// Reads from anything. Such a source can't be read again, so there is no rejects file for it.
    ///
    /// # Errors
    /// As [`CsvSource::open`].
    pub fn from_reader(
        name: impl Into<String>,
        reader: impl Read + Send + 'static,
        settings: &CsvSettings,
    ) -> Result<Self, CsvError> {
        let name = name.into();
        let replay = Replay::None("it can be read only once".to_owned());
        let path = PathBuf::from(&name);
        Self::start(name, path, Opened { reader: Box::new(reader), replay }, settings)
    }

    fn start(name: String, path: PathBuf, opened: Opened, settings: &CsvSettings) -> Result<Self, CsvError> {
        let reading = |e| CsvError::opening(&name, e);
        let (reader, encoding) = input::decoded(opened.reader)
            .map_err(reading)?
            .map_err(|(found, remedy)| CsvError::NotText { file: name.clone(), found, remedy })?;
        let mut bytes = Buffered::new(reader);
        let (sample, is_whole) = bytes.sample().map_err(reading)?;
        let dialect = dialect::sniff(sample, is_whole, encoding, |names| header::known(names, &settings.columns));
        let mut records = Records::new(bytes, dialect.delimiter);
        let mut record = Record::default();
        if !to_header(&mut records, &mut record, &dialect, 0, &mut Vec::new()).map_err(reading)? {
            return Err(CsvError::Empty { file: name });
        }
        if let Some(what) = unusable_header(&record) {
            return Err(CsvError::HeaderTooLarge { file: name, line: record.line, what });
        }
        let header = Header::read(&name, &record, &settings.columns)?;
        let header_fields = record.fields;
        Ok(Self { name, path, replay: opened.replay, dialect, header, header_fields, records, record })
    }

    /// How the file is written.
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Its columns.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// [`CsvError::Read`] if the file system or the pipe fails midway. What is wrong with a row is no error.
    pub fn next_row(&mut self) -> Result<Option<CsvRow>, CsvError> {
        loop {
            match self.records.read(&mut self.record, None) {
                Ok(false) => return Ok(None),
                Ok(true) if self.record.is_blank() => {}
                Ok(true) => return Ok(Some(self.row())),
                Err(source) => {
                    return Err(CsvError::Read { file: self.name.clone(), line: self.records.line(), source });
                }
            }
        }
    }

    /// What [`RejectsFile`] needs to find rows of this file again. Stays valid after this source is dropped; for use once
    /// reading has ended.
    pub fn reject_source(&self) -> RejectSource {
        RejectSource::new(&self.path, &self.name, self.replay.clone(), self.dialect.clone(), self.header.clone())
    }

    fn row(&self) -> CsvRow {
        let line = self.record.line;
        match self.unusable() {
            Some(reason) => CsvRow::Rejected { line, raw: self.raw(), reason },
            None => CsvRow::Lead { line, raw: self.raw() },
        }
    }

    /// Why this row can't be used, if so.
    fn unusable(&self) -> Option<String> {
        let record = &self.record;
        let last_line = record.line + record.lines.saturating_sub(1);
        if record.unclosed {
            let column = self.header.column(record.fields - 1);
            return Some(format!(
                "{column}: a quote (\") is opened and never closed, so everything to the end of the file (line {last_line}) \
                 was taken for this row; close or remove it and import again"
            ));
        }
        if let Some(i) = record.trailing_text.filter(|_| record.lines > 1) {
            return Some(format!(
                "{}: text follows a closing quote (\"), so a quote seems to be missing, and the lines up to {last_line} were \
                 taken for this row; correct the quotes and import again",
                self.header.column(i)
            ));
        }
        let hint = if record.lines > 20 {
            format!("; the row goes on to line {last_line}: is a closing quote (\") missing?")
        } else {
            String::new()
        };
        if let Some((i, length)) = record.oversize() {
            return Some(format!("{}: {length} bytes, at most {FIELD_LIMIT} are allowed{hint}", self.header.column(i)));
        }
        if !record.whole() && record.fields <= COLUMN_LIMIT {
            return Some(format!("the row holds more than {RECORD_LIMIT} bytes{hint}"));
        }
        let expected = self.header_fields;
        let surplus_is_blank = || {
            record.fields <= COLUMN_LIMIT
                && (expected..record.fields).all(|i| record.field(i).is_some_and(|field| field.trim_ascii().is_empty()))
        };
        // Spreadsheets like to end rows in a few delimiters too many. Too few fields may mean that one is missing in
        // the middle, and then every value after it stands in the wrong column.
        if record.fields < expected || (record.fields > expected && !surplus_is_blank()) {
            let too = if record.fields < expected { "few" } else { "many" };
            return Some(format!("too {too} fields: {}, the header has {expected}{hint}", record.fields));
        }
        self.header.slots().iter().find_map(|(_, i)| {
            let text = record.field(*i)?;
            let broken = std::str::from_utf8(text).is_err();
            broken.then(|| {
                format!("{}: not valid UTF-8; save the file as UTF-8 and import it again", self.header.column(*i))
            })
        })
    }

    /// What the recognised columns hold. Blank means absent. NUL is dropped: no database can store it.
    fn raw(&self) -> RawLead {
        let mut raw = RawLead::default();
        let mut full_name = None;
        let mut custom = BTreeMap::new();
        for (field, column) in self.header.slots() {
            let Some(text) = self.text(*column) else { continue };
            match field {
                Field::Email => raw.email = Some(text),
                Field::FirstName => raw.first_name = Some(text),
                Field::LastName => raw.last_name = Some(text),
                Field::FullName => full_name = Some(text),
                Field::Phone => raw.phone = Some(text),
                Field::Company => raw.company = Some(text),
                Field::JobTitle => raw.job_title = Some(text),
                Field::Linkedin => raw.linkedin = Some(text),
                Field::Source => raw.source = Some(text),
                Field::Context => raw.context = Some(text),
                Field::Note => raw.note = Some(text),
                Field::CustomFields => raw.custom_fields = Some(text),
                Field::ExternalId => raw.external_id = Some(text),
                Field::Custom(name) => {
                    custom.insert(name.clone(), text);
                }
            }
        }
        if let Some(full) = full_name {
            match &raw.last_name {
                Some(last) => raw.first_name = Some(full_name::first_of(&full, last)),
                None => (raw.first_name, raw.last_name) = full_name::split(&full),
            }
        }
        if !custom.is_empty() {
            raw.custom_fields = Some(with_custom_columns(raw.custom_fields.take(), custom));
        }
        raw
    }

    fn text(&self, column: usize) -> Option<String> {
        let bytes = self.record.field(column)?;
        let is_cut = bytes.len() > FIELD_LIMIT || (self.record.unclosed && column + 1 == self.record.fields);
        if is_cut || bytes.trim_ascii().is_empty() {
            return None;
        }
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        if text.contains('\0') {
            text.retain(|c| c != '\0');
        }
        Some(text)
    }
}

/// Columns `custom.X` into the object of the column `custom_fields`. A text there that is no object is kept under the
/// column's own name, so that nothing is lost.
fn with_custom_columns(object: Option<String>, columns: BTreeMap<String, String>) -> String {
    let mut all = match object {
        Some(text) => match serde_json::from_str(&text) {
            Ok(serde_json::Value::Object(all)) => all,
            _ => [("custom_fields".to_owned(), text.into())].into_iter().collect(),
        },
        None => serde_json::Map::new(),
    };
    all.extend(columns.into_iter().map(|(name, text)| (name, text.into())));
    serde_json::Value::Object(all).to_string()
}

/// Goes on to the header and copies it; `false` if there is none.
fn to_header(
    records: &mut Records,
    record: &mut Record,
    dialect: &Dialect,
    skip_fields: usize,
    copy: &mut Vec<u8>,
) -> io::Result<bool> {
    if dialect.has_sep_line && records.line_of_next()?.is_some() {
        records.skip_line()?;
    }
    loop {
        copy.clear();
        let mut bounded = BoundedCopy { to: copy, room: RECORD_LIMIT };
        if !records.read(record, Some(records::Copy { to: &mut bounded, skip_fields }))? {
            return Ok(false);
        }
        if !record.is_blank() {
            return Ok(true);
        }
    }
}

/// Keeps the first bytes: a header without end is refused, not remembered.
struct BoundedCopy<'a> {
    to: &'a mut Vec<u8>,
    room: usize,
}

impl io::Write for BoundedCopy<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let kept = bytes.len().min(self.room);
        self.to.extend_from_slice(&bytes[..kept]);
        self.room -= kept;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unusable_header(record: &Record) -> Option<String> {
    if record.unclosed {
        Some("opens a quote (\") that is never closed".to_owned())
    } else if record.fields > COLUMN_LIMIT {
        Some(format!("has {} columns, at most {COLUMN_LIMIT} are allowed", record.fields))
    } else if !record.whole() || record.oversize().is_some() {
        Some("is longer than any header".to_owned())
    } else {
        None
    }
}
