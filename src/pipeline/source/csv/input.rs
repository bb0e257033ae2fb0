//! Bytes in, UTF-8 out: opening a file or standard input, keeping a second look at it possible for the rejects file, and
//! undoing byte order marks.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use encoding_rs_io::DecodeReaderBytesBuilder;

use super::error::CsvError;

/// How many bytes are looked at to tell text from other things, and to find the dialect.
pub(super) const SAMPLE_BYTES: usize = 64 * 1024;

/// How a file's bytes become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// UTF-8 that begins with a byte order mark, as Excel writes it.
    Utf8WithBom,
    /// By its byte order mark.
    Utf16Le,
    /// By its byte order mark.
    Utf16Be,
}

impl Encoding {
    /// For people: "UTF-8 with BOM".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf8WithBom => "UTF-8 with BOM",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
        }
    }

    /// Whether programs that wrote this file expect a byte order mark when they read ours.
    pub(super) fn wants_bom(self) -> bool {
        self != Self::Utf8
    }
}

/// The bytes of an import as they were, for a second reading.
#[derive(Clone, Debug)]
pub(super) enum Replay {
    /// The same open file: still the right one if another took over its name meanwhile.
    File { file: Arc<File>, seen: Stamp },
    /// A nameless copy of what came through the pipe. `broken` once a write to it failed.
    Spool { file: Arc<File>, broken: Arc<AtomicBool> },
    /// There is none, and why.
    None(String),
}

/// What a file looked like when it was opened: a change in place shows here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self { len: meta.len(), modified: meta.modified().ok() })
    }
}

impl Replay {
    /// From the first byte again. Only for when the first reading has ended: both share one position in the file.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = match self {
            Self::File { file, seen } => {
                if Stamp::of(file)? != *seen {
                    return Err(io::Error::other("the file was changed while it was imported"));
                }
                file
            }
            Self::Spool { broken, .. } if broken.load(Ordering::Relaxed) => {
                return Err(io::Error::other("the temporary copy of standard input could not be written (disk full?)"));
            }
            Self::Spool { file, .. } => file,
            Self::None(why) => return Err(io::Error::other(why.clone())),
        };
        let mut file = file.try_clone()?;
        file.rewind()?;
        Ok(Box::new(file))
    }
}

/// A file or standard input, opened.
pub(super) struct Opened {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) replay: Replay,
}

/// Opens `path`, `-` being standard input.
pub(super) fn open(path: &Path, name: &str) -> Result<Opened, CsvError> {
    if path == Path::new("-") {
        return Ok(spooled(io::stdin()));
    }
    let failed = |e| CsvError::opening(name, e);
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if meta.is_dir() {
        return Err(CsvError::opening(name, io::ErrorKind::IsADirectory.into()));
    }
    if !meta.is_file() {
        // A named pipe or `<(command)`: it can be read once only, like standard input.
        return Ok(spooled(file));
    }
    let seen = Stamp::of(&file).map_err(failed)?;
    let again = file.try_clone().map_err(failed)?;
    Ok(Opened { reader: Box::new(file), replay: Replay::File { file: Arc::new(again), seen } })
}

fn spooled(from: impl Read + Send + 'static) -> Opened {
    let spool = tempfile::tempfile().and_then(|file| Ok((file.try_clone()?, file)));
    match spool {
        Ok((copy, file)) => {
            let broken = Arc::new(AtomicBool::new(false));
            let replay = Replay::Spool { file: Arc::new(file), broken: Arc::clone(&broken) };
            Opened { reader: Box::new(Spooling { from, copy, broken }), replay }
        }
        // Without the copy there is no rejects file, but the leads still go in.
        Err(e) => Opened {
            reader: Box::new(from),
            replay: Replay::None(format!("no temporary file could be made to keep a copy of standard input ({e})")),
        },
    }
}

/// Passes bytes on and keeps a copy. A copy that can't be written never stops the import.
struct Spooling<R> {
    from: R,
    copy: File,
    broken: Arc<AtomicBool>,
}

impl<R: Read> Read for Spooling<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        if !self.broken.load(Ordering::Relaxed) && self.copy.write_all(&buf[..n]).is_err() {
            self.broken.store(true, Ordering::Relaxed);
        }
        Ok(n)
    }
}

/// Why bytes are no CSV text: what they look like, and the remedy.
pub(super) type NotText = (&'static str, &'static str);

/// UTF-8, and what it was made from.
pub(super) type Decoded = (Box<dyn Read + Send>, Encoding);

/// UTF-8 out of whatever the first bytes announce; a UTF-8 BOM is dropped. Invalid UTF-8 passes through: the rows that
/// hold it are rejected one by one.
pub(super) fn decoded(mut reader: Box<dyn Read + Send>) -> io::Result<Result<Decoded, NotText>> {
    let mut head = Vec::new();
    reader.by_ref().take(8 * 1024).read_to_end(&mut head)?;
    let encoding = match head.as_slice() {
        [0xEF, 0xBB, 0xBF, ..] => Encoding::Utf8WithBom,
        [0xFF, 0xFE, ..] => Encoding::Utf16Le,
        [0xFE, 0xFF, ..] => Encoding::Utf16Be,
        _ => Encoding::Utf8,
    };
    let is_utf16 = matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be);
    if !is_utf16 && let Some(found) = not_text(&head) {
        return Ok(Err(found));
    }
    let skip = if encoding == Encoding::Utf8WithBom { 3 } else { 0 };
    let whole = io::Cursor::new(head.split_off(skip)).chain(reader);
    let reader: Box<dyn Read + Send> = if is_utf16 {
        Box::new(DecodeReaderBytesBuilder::new().bom_sniffing(true).strip_bom(true).build(whole))
    } else {
        Box::new(whole)
    };
    Ok(Ok((reader, encoding)))
}

fn not_text(head: &[u8]) -> Option<NotText> {
    const SAVE_AS: &str = "open it in the spreadsheet program and save it as CSV (UTF-8)";
    match head {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => {
            return Some(("an Excel or OpenDocument workbook, or another zip archive", SAVE_AS));
        }
        [0xD0, 0xCF, 0x11, 0xE0, ..] => return Some(("an old Excel workbook", SAVE_AS)),
        [0x1F, 0x8B, ..] => return Some(("compressed with gzip", "unpack it: gzip -dc FILE | leadsync import -")),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => {
            return Some(("compressed with zstd", "unpack it: zstd -dc FILE | leadsync import -"));
        }
        [b'%', b'P', b'D', b'F', ..] => return Some(("a PDF", "export the data as CSV (UTF-8)")),
        _ => {}
    }
    // A stray NUL in some cell is removed with a shrug; many of them, or one in the header, are no text.
    let nuls = head.iter().filter(|byte| **byte == 0).count();
    if nuls * 3 > head.len() {
        return Some(("UTF-16 text without a byte order mark, or binary data", "save it as CSV (UTF-8)"));
    }
    let header = head.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let controls = head.iter().filter(|byte| matches!(**byte, 0..=8 | 14..=26 | 28..=31)).count();
    (header.contains(&0) || controls * 50 > head.len()).then_some(("binary data", "export the data as CSV (UTF-8)"))
}

/// A buffer that can be looked into before anything is taken out of it.
pub(super) struct Buffered {
    reader: Box<dyn Read + Send>,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
}

impl Buffered {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self { reader, buf: vec![0; SAMPLE_BYTES], start: 0, end: 0, at_end: false }
    }

    /// The first bytes of the text, as many as fit, and whether these are all. Only before anything was consumed.
    pub(super) fn sample(&mut self) -> io::Result<(&[u8], bool)> {
        debug_assert_eq!(self.start, 0);
        while self.end < self.buf.len() && !self.at_end {
            self.read_more()?;
        }
        Ok((&self.buf[..self.end], self.at_end))
    }

    /// What is there, reading if nothing is; empty at the end.
    pub(super) fn chunk(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end && !self.at_end {
            (self.start, self.end) = (0, 0);
            self.read_more()?;
        }
        Ok(&self.buf[self.start..self.end])
    }

    /// What is there already, without reading.
    pub(super) fn peek(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
    }

    fn read_more(&mut self) -> io::Result<()> {
        loop {
            match self.reader.read(&mut self.buf[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(n) => self.end += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(bytes: &'static [u8]) -> (String, Encoding) {
        let (mut reader, encoding) = decoded(Box::new(bytes)).unwrap().unwrap_or_else(|_| panic!("taken for binary"));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        (text, encoding)
    }

    #[test]
    fn byte_order_marks_are_dropped_and_utf16_is_decoded() {
        assert_eq!(text_of(b"email\n"), ("email\n".into(), Encoding::Utf8));
        assert_eq!(text_of(b"\xEF\xBB\xBFemail\n"), ("email\n".into(), Encoding::Utf8WithBom));
        assert_eq!(text_of(b"\xFF\xFEe\0\xE9\0\n\0"), ("eé\n".into(), Encoding::Utf16Le));
        assert_eq!(text_of(b"\xFE\xFF\0e\0\xE9\0\n"), ("eé\n".into(), Encoding::Utf16Be));
    }

    #[test]
    fn one_stray_nul_in_a_cell_is_still_text_but_one_in_the_header_is_not() {
        let mut rows = b"email,note\n".to_vec();
        rows.extend_from_slice(&b"ann@example.com,a perfectly good note\n".repeat(20));
        rows[60] = 0;
        assert!(not_text(&rows).is_none());
        rows[2] = 0;
        assert!(not_text(&rows).is_some());
    }
}
