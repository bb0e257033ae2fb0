//! `<file>.rejected.csv`: the rows of an import that could not be used, beside it, ready to be corrected and imported
//! again.
//!
//! The rows are copied byte for byte out of the source, which is read a second time, so that rows the destination refused
//! later stand there too and nothing is altered: neither a quote, nor bytes that are no UTF-8. (UTF-16 becomes UTF-8.)
//! Cells that a spreadsheet would take for formulas are the operator's own and stay as they are; only the reasons, which
//! may quote a remote answer, are defused.
//!
//! The line and the reason come first, not last: a row with too few or too many fields, or with a quote that never ends,
//! would shift or swallow columns behind it. An import of the file ignores them.
//!
//! The file says what the *latest* import of its source could not use: an older one is replaced, and removed when nothing
//! was rejected. A file of that name that leadsync did not write is never touched.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::dialect::Dialect;
use super::header::{Header, OUR_COLUMNS};
use super::input::{self, Buffered, Replay};
use super::records::{Copy, Record, Records};
use super::to_header;

/// An import that can be read a second time.
#[derive(Clone, Debug)]
pub struct RejectSource {
    target: PathBuf,
    name: String,
    replay: Replay,
    dialect: Dialect,
    header: Header,
}

/// Why there is no rejects file. A warning, never a failure of the import: the database has every reason too.
#[derive(Debug, thiserror::Error)]
pub enum RejectsError {
    /// The folder or the disk does not allow it.
    #[error("could not write the rejected rows to `{}`", path.display())]
    Write {
        /// The rejects file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The import can't be read a second time.
    #[error("could not read `{file}` again to copy its rejected rows")]
    Reread {
        /// The import.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No row begins on that line any more, or lines came out of order.
    #[error("could not copy the rejected row from line {line} of `{file}`: no row begins there")]
    NoSuchRow {
        /// The import.
        file: String,
        /// The line asked for.
        line: u64,
    },
    /// Something else has that name.
    #[error("could not write the rejected rows: `{}` exists and was not written by leadsync; move it away", path.display())]
    NotOurs {
        /// The rejects file.
        path: PathBuf,
    },
}

impl RejectSource {
    pub(super) fn new(path: &Path, name: &str, replay: Replay, dialect: Dialect, header: Header) -> Self {
        Self { target: target(path), name: name.to_owned(), replay, dialect, header }
    }

    /// Where the rejects file goes.
    pub fn target(&self) -> &Path {
        &self.target
    }

    fn reread(&self, source: io::Error) -> RejectsError {
        RejectsError::Reread { file: self.name.clone(), source }
    }

    fn unwritten(&self, source: io::Error) -> RejectsError {
        RejectsError::Write { path: self.target.clone(), source }
    }
}

fn target(path: &Path) -> PathBuf {
    // A pipe has no place of its own, and nothing is written among devices.
    let nameless = path == Path::new("-") || path.starts_with("/dev") || path.starts_with("/proc");
    match path.file_name().filter(|_| !nameless) {
        Some(name) => {
            let mut name = name.to_owned();
            name.push(".rejected.csv");
            path.with_file_name(name)
        }
        None => PathBuf::from("stdin.rejected.csv"),
    }
}

/// Writes the rejects file for these `(line, reason)` in ascending order of lines; several reasons for one line become one
/// row. Without any, an older file is removed. Returns where it is.
///
/// # Errors
/// [`RejectsError`]; then the older file, if any, is as it was.
pub fn write_rejects(
    source: RejectSource,
    rejected: impl IntoIterator<Item = (u64, String)>,
) -> Result<Option<PathBuf>, RejectsError> {
    let mut file = RejectsFile::new(source);
    for (line, reason) in rejected {
        file.push(line, &reason)?;
    }
    file.finish()
}

/// [`write_rejects`] for reasons that come page by page.
pub struct RejectsFile {
    source: RejectSource,
    pending: Option<(u64, String)>,
    writing: Option<Writing>,
}

struct Writing {
    out: BufWriter<NamedTempFile>,
    records: Records,
    record: Record,
}

impl RejectsFile {
    /// Nothing is touched yet.
    pub fn new(source: RejectSource) -> Self {
        Self { source, pending: None, writing: None }
    }

    /// Adds the row that begins on `line`; lines ascend, and the same one may come again with another reason.
    ///
    /// # Errors
    /// [`RejectsError`]; what was written so far is dropped with `self`.
    pub fn push(&mut self, line: u64, reason: &str) -> Result<(), RejectsError> {
        match &mut self.pending {
            Some((pending, reasons)) if *pending == line => {
                if !reasons.split("; ").any(|known| known == reason) {
                    reasons.push_str("; ");
                    reasons.push_str(reason);
                }
                Ok(())
            }
            Some((pending, _)) if *pending > line => {
                Err(RejectsError::NoSuchRow { file: self.source.name.clone(), line })
            }
            _ => match self.pending.replace((line, reason.to_owned())) {
                Some((line, reason)) => self.copy_row(line, &reason),
                None => Ok(()),
            },
        }
    }

    /// Puts the file in its place; returns where it is, `None` if nothing was rejected.
    ///
    /// # Errors
    /// [`RejectsError`]; then the older file, if any, is as it was.
    pub fn finish(mut self) -> Result<Option<PathBuf>, RejectsError> {
        let target = self.source.target.clone();
        if let Some((line, reason)) = self.pending.take() {
            self.copy_row(line, &reason)?;
        }
        let write = |e| self.source.unwritten(e);
        let Some(writing) = self.writing.take() else {
            return match is_ours(&target).map_err(write)? {
                Some(true) => fs::remove_file(&target).map_err(write).map(|()| None),
                _ => Ok(None),
            };
        };
        let file = writing.out.into_inner().map_err(|e| write(e.into_error()))?;
        file.as_file().sync_all().map_err(write)?;
        file.persist(&target).map_err(|e| write(e.error))?;
        Ok(Some(target))
    }

    fn copy_row(&mut self, line: u64, reason: &str) -> Result<(), RejectsError> {
        if self.writing.is_none() {
            self.writing = Some(self.begin()?);
        }
        let (Some(writing), source) = (&mut self.writing, &self.source) else { return Ok(()) };
        loop {
            match writing.records.line_of_next().map_err(|e| source.reread(e))? {
                Some(next) if next < line => {
                    writing.records.read(&mut writing.record, None).map_err(|e| source.reread(e))?;
                }
                Some(next) if next == line => break,
                _ => return Err(RejectsError::NoSuchRow { file: source.name.clone(), line }),
            }
        }
        let skip_fields = source.header.our_columns();
        let mut row = || -> io::Result<()> {
            let Writing { out, records, record } = writing;
            out.write_all(&cells(&[&line.to_string(), &defused(reason)], source.dialect.delimiter)?)?;
            out.write_all(&[source.dialect.delimiter])?;
            records.read(record, Some(Copy { to: out, skip_fields }))?;
            if record.fields < skip_fields
                && let Some(only) = record.field(0)
            {
                out.write_all(&cells(&[only], source.dialect.delimiter)?)?;
            }
            if record.unclosed {
                // Else it would swallow the end of this line, and a corrected row could not follow it.
                out.write_all(b"\"")?;
            }
            out.write_all(line_break(&source.dialect))
        };
        row().map_err(|e| source.unwritten(e))
    }

    /// Opens the source again and begins the file with its header.
    fn begin(&self) -> Result<Writing, RejectsError> {
        let source = &self.source;
        if is_ours(&source.target).map_err(|e| source.unwritten(e))? == Some(false) {
            return Err(RejectsError::NotOurs { path: source.target.clone() });
        }
        let (reader, _) = source
            .replay
            .open()
            .and_then(input::decoded)
            .and_then(|text| text.map_err(|_| io::Error::other("the file was changed while it was imported")))
            .map_err(|e| source.reread(e))?;
        let mut records = Records::new(Buffered::new(reader), source.dialect.delimiter);
        let mut record = Record::default();
        let mut header = Vec::new();
        // The header may follow empty rows, so it is copied each time and the last one counts.
        to_header(&mut records, &mut record, &source.dialect, source.header.our_columns(), &mut header)
            .map_err(|e| source.reread(e))?;
        let begin = || -> io::Result<BufWriter<NamedTempFile>> {
            let folder =
                source.target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // Made readable for its owner alone: it holds personal data.
            let mut out = BufWriter::new(tempfile::Builder::new().prefix(".leadsync-").tempfile_in(folder)?);
            if source.dialect.encoding.wants_bom() {
                out.write_all(b"\xEF\xBB\xBF")?;
            }
            let delimiter = source.dialect.delimiter;
            if source.dialect.has_sep_line {
                out.write_all(&[b"sep=", &[delimiter][..], line_break(&source.dialect)].concat())?;
            }
            out.write_all(&cells(&our_columns(&source.header), delimiter)?)?;
            out.write_all(&[&[delimiter][..], &header, line_break(&source.dialect)].concat())?;
            Ok(out)
        };
        Ok(Writing { out: begin().map_err(|e| source.unwritten(e))?, records, record })
    }
}

/// `line`, `reason`, unless the file has columns of that name itself.
fn our_columns(header: &Header) -> [&'static str; 2] {
    let theirs = &header.columns()[header.our_columns()..];
    let taken = |ours: &[&str; 2]| theirs.iter().any(|name| ours.iter().any(|ours| name.eq_ignore_ascii_case(ours)));
    OUR_COLUMNS.into_iter().find(|ours| !taken(ours)).unwrap_or(OUR_COLUMNS[1])
}

/// Cells of one line, quoted as needed, without the line break.
fn cells<T: AsRef<[u8]>>(cells: &[T], delimiter: u8) -> io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    writer.write_record(cells).map_err(io::Error::other)?;
    let mut line = writer.into_inner().map_err(|e| e.into_error())?;
    line.truncate(line.trim_ascii_end().len());
    Ok(line)
}

/// On one line, and nothing that a spreadsheet would calculate: a reason may quote what a remote server said.
fn defused(reason: &str) -> String {
    let text: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.starts_with(['=', '+', '-', '@', ' ']) { format!("'{}", text.trim_start()) } else { text }
}

fn line_break(dialect: &Dialect) -> &'static [u8] {
    if dialect.crlf { b"\r\n" } else { b"\n" }
}

/// Whether the file there is one of ours, perhaps saved anew by a spreadsheet program; `None` if there is none.
fn is_ours(path: &Path) -> io::Result<Option<bool>> {
    let mut head = Vec::new();
    // What is no file (a pipe that nobody writes to) is never opened: that could wait for ever.
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return Ok(Some(false));
    }
    match File::open(path) {
        Ok(file) => file.take(256).read_to_end(&mut head)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let text: String =
        String::from_utf8_lossy(&head).chars().filter(|c| !matches!(c, '\0' | '"' | '\u{feff}' | '\u{fffd}')).collect();
    let mut lines = text.lines().filter(|line| !line.to_lowercase().starts_with("sep="));
    let first = lines.next().unwrap_or_default();
    let begins = |ours: &[&str; 2]| {
        let after_line = first.strip_prefix(ours[0]).and_then(|rest| rest.get(1..));
        after_line.is_some_and(|rest| rest.starts_with(ours[1]))
    };
    Ok(Some(head.is_empty() || OUR_COLUMNS.iter().any(begins)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_one_harmless_line() {
        assert_eq!(defused("3 fields,\nthe header has 5"), "3 fields, the header has 5");
        assert_eq!(defused("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(defused("\t@x"), "'@x");
    }

    #[test]
    fn the_file_stands_beside_the_import_and_pipes_get_a_plain_name() {
        assert_eq!(target(Path::new("in/leads.csv")), Path::new("in/leads.csv.rejected.csv"));
        for pipe in ["-", "/dev/stdin", "/proc/self/fd/0", "/dev/fd/63"] {
            assert_eq!(target(Path::new(pipe)), Path::new("stdin.rejected.csv"));
        }
    }
}
