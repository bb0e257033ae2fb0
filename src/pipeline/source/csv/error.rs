//! Why a file can't be imported at all. What is wrong with a single row is that row's business
//! ([`CsvRow::Rejected`](super::CsvRow)).

use std::io;

/// A file that can't be imported. Each message is one plain line and holds no cell of the file.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// Nothing has that name.
    #[error("cannot read `{file}`: no such file; check the path (`-` reads standard input)")]
    NotFound {
        /// As given.
        file: String,
    },
    /// A folder where a file was expected.
    #[error("cannot read `{file}`: it is a directory; name the CSV files in it, e.g. `{file}/*.csv`")]
    Directory {
        /// As given, without a slash at its end.
        file: String,
    },
    /// It is there, and this user may not read it.
    #[error("cannot read `{file}`: permission denied; give the user that runs leadsync read access to it")]
    Permission {
        /// As given.
        file: String,
    },
    /// Any other failure of the file system or the pipe, at the start or midway.
    #[error("cannot read `{file}` at line {line}")]
    Read {
        /// As given.
        file: String,
        /// The line that was being read, counted from 1.
        line: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No bytes, or blank lines only.
    #[error("`{file}` is empty: expected a header line with column names, then one lead per line")]
    Empty {
        /// As given.
        file: String,
    },
    /// Not text.
    #[error("`{file}` is not a CSV file but {found}; {remedy}")]
    NotText {
        /// As given.
        file: String,
        /// What it looks like.
        found: &'static str,
        /// How to get a CSV file from it.
        remedy: &'static str,
    },
    /// The first line already is a lead.
    #[error(
        "`{file}` has no header: line {line} holds an e-mail address; put a line with column names before it, e.g. \
         email,first_name,last_name"
    )]
    NoHeader {
        /// As given.
        file: String,
        /// Where the header was expected.
        line: u64,
    },
    /// A header without end: no line break for a megabyte, or thousands of columns.
    #[error("`{file}` has no usable header: line {line} {what}; expected a line with column names")]
    HeaderTooLarge {
        /// As given.
        file: String,
        /// Where it begins.
        line: u64,
        /// In which way it is too large.
        what: String,
    },
    /// A header, and no column of it is the e-mail address.
    #[error(
        "`{file}` has no e-mail column; found {found}; name the one to use in leadsync.toml: [csv.columns] email = \"{suggestion}\""
    )]
    NoEmailColumn {
        /// As given.
        file: String,
        /// The headers that are there.
        found: String,
        /// The nearest of them, or an ellipsis.
        suggestion: String,
    },
    /// `[csv.columns]` names a header that this file does not have.
    #[error("`{file}` has no column `{wanted}`, which [csv.columns] {field} names; found {found}{hint}")]
    MappedColumnMissing {
        /// As given.
        file: String,
        /// The key in `[csv.columns]`.
        field: String,
        /// Its value.
        wanted: String,
        /// The headers that are there.
        found: String,
        /// "; did you mean `…`?", or nothing.
        hint: String,
    },
    /// `[csv.columns]` has a key that is no field of a lead.
    #[error("[csv.columns] has no key `{key}`{hint}; the keys are {keys} and custom.NAME")]
    UnknownMapping {
        /// As written.
        key: String,
        /// "; did you mean `…`?", or nothing.
        hint: String,
        /// All keys.
        keys: String,
    },
}

impl CsvError {
    pub(super) fn opening(file: &str, source: io::Error) -> Self {
        let file = file.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound { file },
            io::ErrorKind::PermissionDenied => Self::Permission { file },
            io::ErrorKind::IsADirectory => Self::Directory { file: file.trim_end_matches('/').to_owned() },
            _ => Self::Read { file, line: 1, source },
        }
    }
}
