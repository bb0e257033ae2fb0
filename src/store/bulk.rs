//! Many rows as one parameter: JSON text, which both databases unfold (`json_to_recordset`, `json_each`).

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};

/// `rows` as JSON. NUL characters become U+FFFD: Postgres can't store them in text, and both databases shall keep the
/// same.
pub(super) fn json<T: Serialize + ?Sized>(rows: &T) -> String {
    let mut out = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, WithoutNul);
    rows.serialize(&mut serializer).expect("our rows are structs of texts and numbers; writing to memory can't fail");
    String::from_utf8(out).expect("serde_json writes UTF-8")
}

/// The same for a single text.
pub(super) fn text(value: &str) -> String {
    value.replace('\0', "\u{fffd}")
}

struct WithoutNul;

impl Formatter for WithoutNul {
    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::AsciiControl(0) => writer.write_all("\u{fffd}".as_bytes()),
            other => CompactFormatter.write_char_escape(writer, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_becomes_the_replacement_character_and_what_only_looks_like_it_stays() {
        assert_eq!(json(&["a\0b", r"\u0000", "\n"]), "[\"a\u{fffd}b\",\"\\\\u0000\",\"\\n\"]");
        assert_eq!(text("a\0b"), "a\u{fffd}b");
    }
}
