//! Records out of bytes, in bounded memory whatever the file holds.
//!
//! `csv::Reader` would grow its buffer until a quoted field ends, and a forgotten quote never ends. So the parser is
//! driven by hand here (`csv_core` is what `csv` itself is made of): past a cap, bytes are counted but not kept.

use std::io::{self, Write};

use csv_core::{ReadRecordResult, ReaderBuilder};

use super::input::Buffered;

/// Bytes that one field may hold.
pub(super) const FIELD_LIMIT: usize = 64 * 1024;
/// Bytes that one record may hold in all its fields; what is beyond is not kept.
pub(super) const RECORD_LIMIT: usize = 1024 * 1024;
/// Columns that are told apart; further ones are only counted.
pub(super) const COLUMN_LIMIT: usize = 4096;

/// One record, reused from row to row.
#[derive(Default)]
pub(super) struct Record {
    /// The physical line on which it begins, counted from 1.
    pub(super) line: u64,
    /// How many physical lines it covers.
    pub(super) lines: u64,
    /// How many fields it has, beyond [`COLUMN_LIMIT`] too.
    pub(super) fields: usize,
    /// The file ended inside a quoted field.
    pub(super) unclosed: bool,
    /// The first field with text behind its closing quote. Over several lines that means that a quote is missing, and that
    /// the row has swallowed others.
    pub(super) trailing_text: Option<usize>,
    /// The first `min(length, RECORD_LIMIT)` bytes of its decoded content. Longer than `kept`: room.
    data: Vec<u8>,
    kept: usize,
    /// Where fields end, in bytes of the whole decoded content; the first `min(fields, COLUMN_LIMIT)` count.
    ends: Vec<usize>,
    /// Length of the whole decoded content.
    length: usize,
}

impl Record {
    fn clear(&mut self) {
        (self.lines, self.fields, self.kept, self.length) = (0, 0, 0, 0);
        (self.unclosed, self.trailing_text) = (false, None);
    }

    /// What was kept of field `i`; `None` if there is no such field.
    pub(super) fn field(&self, i: usize) -> Option<&[u8]> {
        let (start, end) = self.bounds(i)?;
        Some(&self.data[start.min(self.kept)..end.min(self.kept)])
    }

    fn bounds(&self, i: usize) -> Option<(usize, usize)> {
        let end = *self.ends.get(..self.fields.min(COLUMN_LIMIT))?.get(i)?;
        Some((if i == 0 { 0 } else { self.ends[i - 1] }, end))
    }

    /// The first field that is over [`FIELD_LIMIT`], and its length in bytes.
    pub(super) fn oversize(&self) -> Option<(usize, usize)> {
        if self.length <= FIELD_LIMIT {
            return None;
        }
        (0..self.fields.min(COLUMN_LIMIT)).find_map(|i| {
            let (start, end) = self.bounds(i)?;
            (end - start > FIELD_LIMIT).then_some((i, end - start))
        })
    }

    /// Whether all of it was kept.
    pub(super) fn whole(&self) -> bool {
        self.length <= self.kept && self.fields <= COLUMN_LIMIT
    }

    /// Nothing but white space in any field: a line of delimiters, as spreadsheets leave them at a table's end.
    pub(super) fn is_blank(&self) -> bool {
        self.whole() && self.data[..self.kept].iter().all(u8::is_ascii_whitespace)
    }
}

/// Where a record's own bytes go while it is read again for the rejects file.
pub(super) struct Copy<'a> {
    pub(super) to: &'a mut dyn Write,
    /// Leave out this many fields at the front.
    pub(super) skip_fields: usize,
}

/// The records of a text.
pub(super) struct Records {
    bytes: Buffered,
    delimiter: u8,
    parser: csv_core::Reader,
    quotes: Quotes,
    line: u64,
    /// The byte consumed last: a line break there means that `line` has not begun yet.
    last: u8,
    scratch: Box<[u8; 4096]>,
    scratch_ends: Box<[usize; 64]>,
}

impl Records {
    pub(super) fn new(bytes: Buffered, delimiter: u8) -> Self {
        Self {
            bytes,
            delimiter,
            quotes: Quotes::FieldStart,
            parser: ReaderBuilder::new().delimiter(delimiter).build(),
            line: 1,
            last: b'\n',
            scratch: Box::new([0; 4096]),
            scratch_ends: Box::new([0; 64]),
        }
    }

    /// The line that is being read.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Skips blank lines; the line on which the next record begins, or `None` at the end.
    pub(super) fn line_of_next(&mut self) -> io::Result<Option<u64>> {
        loop {
            let chunk = self.bytes.chunk()?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let blank = chunk.iter().take_while(|byte| matches!(**byte, b'\r' | b'\n')).count();
            let done = blank < chunk.len();
            self.take(blank);
            if done {
                return Ok(Some(self.line));
            }
        }
    }

    /// Skips one physical line.
    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let chunk = self.bytes.chunk()?;
            if chunk.is_empty() {
                return Ok(());
            }
            let text = chunk.iter().take_while(|byte| !matches!(**byte, b'\r' | b'\n')).count();
            let done = text < chunk.len();
            self.take(text + usize::from(done));
            if done {
                return Ok(());
            }
        }
    }

    /// Reads the next record; `false` at the end. With `copy`, its bytes are also written there as they are in the file,
    /// without the line break that ends it.
    pub(super) fn read(&mut self, record: &mut Record, mut copy: Option<Copy<'_>>) -> io::Result<bool> {
        record.clear();
        let Some(line) = self.line_of_next()? else { return Ok(false) };
        record.line = line;
        self.quotes = Quotes::FieldStart;
        record.ends.resize(COLUMN_LIMIT, 0);
        loop {
            let at_end = self.bytes.chunk()?.is_empty();
            // A line break ends any record but one that is still inside quotes: that is how we learn of it.
            let end_probe = at_end.then_some(&b"\n"[..]);
            let (result, consumed) = self.step(record, end_probe, copy.as_ref().map_or(0, |c| c.skip_fields))?;
            if !at_end {
                let chunk = &self.bytes.peek()[..consumed.bytes];
                if let Some(i) = self.quotes.trailing_text(chunk, self.delimiter) {
                    record.trailing_text.get_or_insert(consumed.fields_before + i);
                }
            }
            if let Some(copy) = copy.as_mut()
                && !at_end
                && consumed.fields_before >= copy.skip_fields
            {
                let chunk = &self.bytes.chunk()?[..consumed.bytes];
                let breaks = usize::from(result == ReadRecordResult::Record);
                copy.to.write_all(&chunk[..chunk.len() - breaks])?;
            }
            if !at_end {
                self.take(consumed.bytes);
            }
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(false),
                _ if at_end => {
                    record.unclosed = true;
                    record.length -= consumed.content;
                    record.kept = record.kept.min(record.length);
                    self.finish(record);
                    break;
                }
                _ => {}
            }
        }
        record.lines = self.line - line + u64::from(!matches!(self.last, b'\r' | b'\n'));
        Ok(true)
    }

    /// Feeds the parser once: the buffered bytes, or `instead`.
    fn step(
        &mut self,
        record: &mut Record,
        instead: Option<&[u8]>,
        first_fields: usize,
    ) -> io::Result<(ReadRecordResult, Consumed)> {
        let fields_before = record.fields;
        if record.kept == record.data.len() && record.kept < RECORD_LIMIT {
            record.data.resize((record.kept * 2).clamp(8 * 1024, RECORD_LIMIT), 0);
        }
        let keeps_data = record.kept < record.data.len() && record.kept == record.length;
        let output = if keeps_data { &mut record.data[record.kept..] } else { &mut self.scratch[..] };
        let mut ends =
            if fields_before < COLUMN_LIMIT { &mut record.ends[fields_before..] } else { &mut self.scratch_ends[..] };
        if fields_before < first_fields {
            // Stop right behind the fields that are to be left out.
            ends = &mut ends[..first_fields - fields_before];
        }
        let input = match instead {
            Some(bytes) => bytes,
            None => self.bytes.chunk()?,
        };
        let (result, bytes, content, fields) = self.parser.read_record(input, output, ends);
        record.length += content;
        record.fields += fields;
        if keeps_data {
            record.kept += content;
        }
        Ok((result, Consumed { bytes, content, fields_before }))
    }

    /// Ends a record that the file's end left open.
    fn finish(&mut self, record: &mut Record) {
        let (result, _, _, _) = self.parser.read_record(&[], &mut self.scratch[..], &mut self.scratch_ends[..1]);
        debug_assert_eq!(result, ReadRecordResult::Record);
        if record.fields < COLUMN_LIMIT {
            record.ends[record.fields] = record.length;
        }
        record.fields += 1;
    }

    /// Takes `n` bytes out of the buffer and counts their line breaks: LF, CR, and CR LF as one.
    fn take(&mut self, n: usize) {
        let Some(bytes) = self.bytes.peek().get(..n).filter(|bytes| !bytes.is_empty()) else { return };
        if bytes.contains(&b'\r') || self.last == b'\r' {
            for &byte in bytes {
                self.line += u64::from(byte == b'\r' || (byte == b'\n' && self.last != b'\r'));
                self.last = byte;
            }
        } else {
            self.line += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            self.last = bytes[n - 1];
        }
        self.bytes.consume(n);
    }
}

/// Where in a field the bytes seen last were. The parser knows, but does not tell, and takes `"Ann" Bee` for `Ann Bee`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote within a quoted field: its end, or the first half of a doubled one.
    AfterQuote,
}

impl Quotes {
    /// Goes through the next bytes of a record; the field among them, counted from 0, that has text behind its closing quote.
    fn trailing_text(&mut self, bytes: &[u8], delimiter: u8) -> Option<usize> {
        let last = *bytes.last()?;
        if matches!(self, Self::FieldStart | Self::Plain) && !bytes.contains(&b'"') {
            *self = if last == delimiter { Self::FieldStart } else { Self::Plain };
            return None;
        }
        let (mut field, mut found) = (0, None);
        for &byte in bytes {
            *self = match (*self, byte) {
                (Self::Quoted, b'"') => Self::AfterQuote,
                (Self::FieldStart | Self::AfterQuote, b'"') | (Self::Quoted, _) => Self::Quoted,
                (_, byte) if byte == delimiter => {
                    field += 1;
                    Self::FieldStart
                }
                (state, b'\r' | b'\n') => state,
                (Self::AfterQuote, _) => {
                    found.get_or_insert(field);
                    Self::Plain
                }
                _ => Self::Plain,
            };
        }
        found
    }
}

struct Consumed {
    /// Of the input.
    bytes: usize,
    /// Decoded.
    content: usize,
    /// How many fields the record had before.
    fields_before: usize,
}
