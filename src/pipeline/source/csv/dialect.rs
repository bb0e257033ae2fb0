//! Which delimiter a file uses: found by looking at its first rows, never asked for.

use std::fmt;

use super::input::Encoding;

/// How a file is written. Shown to the operator, so that a wrong guess is seen at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Between fields: `,` `;` tab `|`, or what a first line `sep=…` says.
    pub delimiter: u8,
    /// How bytes become text.
    pub encoding: Encoding,
    /// The file begins with Excel's `sep=…`.
    pub has_sep_line: bool,
    /// Lines end in CR LF.
    pub crlf: bool,
}

/// `UTF-8, separated by semicolons`.
impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoding = self.encoding.as_str();
        match self.delimiter {
            b',' => write!(f, "{encoding}, separated by commas"),
            b';' => write!(f, "{encoding}, separated by semicolons"),
            b'\t' => write!(f, "{encoding}, separated by tabs"),
            b'|' => write!(f, "{encoding}, separated by vertical bars"),
            other => write!(f, "{encoding}, separated by `{}`", char::from(other).escape_default()),
        }
    }
}

const CANDIDATES: [u8; 4] = *b",;\t|";
const ROWS: usize = 30;

/// Reads a sample, the whole text or its beginning. `known` says how many of these headers are columns of a lead: the
/// delimiter that makes most sense of the header wins, then the one under which the rows agree with it.
pub(super) fn sniff(sample: &[u8], is_whole: bool, encoding: Encoding, known: impl Fn(&[String]) -> usize) -> Dialect {
    let crlf = sample.windows(2).any(|pair| pair == b"\r\n");
    let from = sample.iter().take_while(|byte| matches!(**byte, b'\r' | b'\n')).count();
    let sample = &sample[from..];
    if let Some(delimiter) = sep_line(sample) {
        return Dialect { delimiter, encoding, has_sep_line: true, crlf };
    }
    let delimiter = CANDIDATES
        .into_iter()
        .map(|delimiter| (score(sample, is_whole, delimiter, &known), delimiter))
        // The first of equals, and a lone column is as good as separated by commas.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map_or(b',', |(_, delimiter)| delimiter);
    Dialect { delimiter, encoding, has_sep_line: false, crlf }
}

/// `sep=;` on a line of its own, perhaps in quotes.
fn sep_line(sample: &[u8]) -> Option<u8> {
    let line = sample.split(|byte| matches!(*byte, b'\r' | b'\n')).next()?;
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match line {
        [s, e, p, b'=', delimiter]
            if [*s, *e, *p].eq_ignore_ascii_case(b"sep")
                && delimiter.is_ascii()
                && !b"\"\r\n\0 ".contains(delimiter) =>
        {
            Some(*delimiter)
        }
        _ => None,
    }
}

/// Recognised headers, then agreement of the rows with the header in percent (only where there is more than one column),
/// then columns.
fn score(sample: &[u8], is_whole: bool, delimiter: u8, known: &impl Fn(&[String]) -> usize) -> (usize, usize, usize) {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(sample);
    let mut rows = reader.byte_records().map_while(Result::ok).take(ROWS);
    let Some(header) = rows.next() else { return (0, 0, 0) };
    let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let mut counts: Vec<usize> = rows.map(|row| row.len()).collect();
    if !is_whole && counts.len() < ROWS - 1 {
        // The sample ends within this one.
        counts.pop();
    }
    let agreeing = counts.iter().filter(|count| **count == names.len()).count();
    let agreement = if names.len() < 2 { 0 } else { (agreeing * 100).checked_div(counts.len()).unwrap_or(50) };
    (known(&names), agreement, names.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimiter_of(text: &str) -> char {
        let known = |names: &[String]| names.iter().filter(|name| name.trim().eq_ignore_ascii_case("email")).count();
        char::from(sniff(text.as_bytes(), true, Encoding::Utf8, known).delimiter)
    }

    #[test]
    fn the_delimiter_is_the_one_under_which_header_and_rows_make_sense() {
        assert_eq!(delimiter_of("email,name\na@b.example,Bee; Ann\n"), ',');
        assert_eq!(delimiter_of("email;name\na@b.example;Bee, Ann\n"), ';');
        assert_eq!(delimiter_of("email\tname, first\n"), '\t');
        assert_eq!(delimiter_of("Name|email\nx|y\n"), '|');
        assert_eq!(delimiter_of("kontakt;ort, land;plz\na;b;c\nd;e, f;g\n"), ';');
        assert_eq!(delimiter_of("email\na@b.example\n"), ',');
        assert_eq!(delimiter_of(""), ',');
        assert_eq!(delimiter_of("\"Surname; first, second\",email\n"), ',');
    }

    #[test]
    fn excels_sep_line_settles_it() {
        assert_eq!(delimiter_of("sep=;\r\nemail,x\r\n"), ';');
        assert_eq!(delimiter_of("\"SEP=^\"\nemail^x\n"), '^');
        assert_eq!(delimiter_of("sep=\t\nemail\tx\n"), '\t');
    }
}
