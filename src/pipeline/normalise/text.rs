//! Plain values: one Unicode form, no invisible characters, no stray space.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A value in its one form; neither value nor note: there was nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tidied {
    pub(super) value: Option<String>,
    pub(super) note: Option<Cow<'static, str>>,
}

impl Tidied {
    pub(super) fn value(value: String) -> Self {
        Self { value: (!value.is_empty()).then_some(value), note: None }
    }

    pub(super) fn left_out(why: impl Into<Cow<'static, str>>) -> Self {
        Self { value: None, note: Some(why.into()) }
    }
}

/// NFC without control characters and invisible ones; line breaks become `\n`, a tab a space. Not trimmed.
pub(super) fn clean(text: &str) -> String {
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control()) {
        return text.to_owned();
    }
    let unified: String = text
        .replace("\r\n", "\n")
        .chars()
        .filter_map(|c| match c {
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
            '\t' => Some(' '),
            c if c.is_control() || is_invisible(c) => None,
            c => Some(c),
        })
        .collect();
    if is_nfc(&unified) { unified } else { unified.nfc().collect() }
}

/// Characters that show nothing and come with copying from web pages and chats. The joiners U+200C and U+200D are not
/// among them: Persian and Indic names are written with them.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A value of one line: white space collapsed, cut after `longest` characters.
pub(super) fn line(text: &str, longest: usize) -> Tidied {
    let text = joined(&clean(text));
    if let Some(why) = placeholder(&text) {
        return Tidied::left_out(why);
    }
    cut(text, longest)
}

/// A text of several lines: space trimmed at both ends of it and at the end of each line.
pub(super) fn lines(text: &str, longest: usize) -> Tidied {
    let text: Vec<String> = clean(text).split('\n').map(|line| line.trim_end_matches(is_edge).to_owned()).collect();
    let text = text.join("\n").trim_matches(is_edge).to_owned();
    if let Some(why) = placeholder(&text) {
        return Tidied::left_out(why);
    }
    cut(text, longest)
}

/// A number or key of another system: exact or nothing.
pub(super) fn id(text: &str, longest: usize) -> Tidied {
    let text = joined(&clean(text));
    match placeholder(&text) {
        Some(why) => Tidied::left_out(why),
        None if text.chars().count() > longest => {
            Tidied::left_out(format!("longer than {longest} characters, left out"))
        }
        None => Tidied::value(text),
    }
}

/// Words with single spaces between them.
pub(super) fn joined(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(char::is_whitespace).map(|word| word.trim_matches(is_edge)).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// White space, and the joiners where they join nothing.
fn is_edge(c: char) -> bool {
    c.is_whitespace() || c == '\u{200c}' || c == '\u{200d}'
}

fn cut(text: String, longest: usize) -> Tidied {
    let Some((end, _)) = text.char_indices().nth(longest) else { return Tidied::value(text) };
    let value = text[..end].trim_end_matches(is_edge).to_owned();
    Tidied { note: Some(format!("cut to {longest} characters").into()), ..Tidied::value(value) }
}

/// What spreadsheets and forms write where there is no value.
fn placeholder(text: &str) -> Option<&'static str> {
    const ERRORS: [&str; 9] =
        ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!", "#ERROR!"];
    if text.is_empty() {
        None
    } else if ERRORS.iter().any(|error| text.eq_ignore_ascii_case(error)) {
        Some("a spreadsheet's error value, left out")
    } else if text.eq_ignore_ascii_case("n/a")
        || text.chars().all(|c| matches!(c, '-' | '–' | '—' | '.' | '?' | '_' | '/' | ' '))
    {
        Some("a placeholder, left out")
    } else {
        None
    }
}
