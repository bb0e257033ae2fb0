//! The TOML file: found, read, and taken apart key by key with line and column.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::expand::{Expanded, expand};
use super::kind::Raw;
use super::layers::{Item, Layer, Unset};
use super::lookup;
use super::problem::{ConfigError, Place, Problem};
use super::sources::{Environment, Sources};
use crate::connectors::registry;

/// A configuration is a few kilobytes; what is larger is some other file.
const MAX_BYTES: u64 = 256 << 10;

/// The file's text and the name that messages use; `None`: there is none.
pub(super) fn read(sources: &Sources) -> Result<Option<(String, String)>, ConfigError> {
    if let Some(path) = &sources.file {
        let name = path.display().to_string();
        return match read_text(&sources.current_dir.join(path)) {
            Ok(Some(text)) => Ok(Some((name, text))),
            Ok(None) => {
                Err(ConfigError::general(format!("configuration file {name} does not exist (given by --config)")))
            }
            Err(why) => Err(ConfigError::general(format!("configuration file {name} {why}"))),
        };
    }
    for (path, name) in sources.default_files() {
        match read_text(&path) {
            Ok(Some(text)) => return Ok(Some((name, text))),
            Ok(None) => {}
            Err(why) => return Err(ConfigError::general(format!("configuration file {name} {why}"))),
        }
    }
    Ok(None)
}

/// `Ok(None)`: no such file. The error continues "FILE ".
fn read_text(path: &Path) -> Result<Option<String>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // A parent that is no directory holds no file either.
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(format!("can't be read: {}", reason(&error))),
    };
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err("is a directory; expected a TOML file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| format!("can't be read: {}", reason(&error)))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("is larger than 256 KiB; expected a TOML file of a few kilobytes".to_owned());
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8 text (line {line}); save it as UTF-8")
    })
}

/// An I/O error without the number that the standard library adds.
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

/// Takes the text apart. `None`: syntax errors, after which what the rest means would be a guess.
pub(super) fn parse(name: &str, text: &str, environment: &Environment, problems: &mut Vec<Problem>) -> Option<Layer> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::new(name, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // After the first few, errors follow from what was guessed about those before.
        const TOLD: usize = 3;
        let mut last_line = 0;
        let already = problems.len();
        for error in errors {
            let place = lines.place(error.span().map_or(text.len(), |span| span.start));
            let Place::File { line, .. } = place else { continue };
            // Further errors of one line follow from its first.
            if line != last_line && problems.len() < already + TOLD {
                problems.push(Problem::at(&place, format!("not valid TOML: {}", syntax(&error, text))));
            }
            last_line = line;
        }
        return None;
    }
    let mut walk = Walk { lines, environment, problems, layer: Layer::default(), kind: None };
    walk.table(&[], table.get_ref());
    Some(walk.layer)
}

/// The parser's own words, which name tokens of the grammar and never what stands in the file; a key that is there twice is
/// named.
fn syntax(error: &toml::de::Error, text: &str) -> String {
    let key = error.span().and_then(|span| text.get(span)).filter(|_| error.message() == "duplicate key");
    match key {
        Some(key) => format!("duplicate key `{}`", shown(&[key.trim_matches('"')])),
        None => error.message().to_owned(),
    }
}

/// One value as TOML writes it, for lists in environment variables; `None` if it is none.
pub(super) fn read_value(text: &str) -> Option<Raw> {
    let value = DeValue::parse(text).ok()?;
    Some(plain(value.get_ref()))
}

fn plain(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text { text: text.clone().into_owned(), loose: false },
        DeValue::Integer(number) => Raw::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Float(_) => Raw::Float,
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Datetime(_) => Raw::Date,
        DeValue::Array(items) => Raw::List(items.iter().map(|item| plain(item.get_ref())).collect()),
        DeValue::Table(_) => Raw::Table,
    }
}

struct Lines<'a> {
    name: &'a str,
    text: &'a str,
    /// Where each line begins, found once: counted anew for each key, a large file would take minutes.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(name: &'a str, text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name, text, starts }
    }

    fn place(&self, offset: usize) -> Place {
        let offset =
            (0..=offset.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or_default();
        let line = self.starts.partition_point(|start| *start <= offset);
        let column = self.text[self.starts[line - 1]..offset].chars().count() + 1;
        Place::File { path: self.name.to_owned(), line, column }
    }
}

struct Walk<'a> {
    lines: Lines<'a>,
    environment: &'a Environment,
    problems: &'a mut Vec<Problem>,
    layer: Layer,
    /// Of the destination whose table this is, if it says so.
    kind: Option<&'static str>,
}

impl Walk<'_> {
    fn table(&mut self, path: &[&str], table: &DeTable<'_>) {
        if let ["destinations", _] = path {
            let kind = table.get("kind").and_then(|kind| kind.get_ref().as_str());
            self.kind = kind.and_then(registry::kind).map(|kind| kind.name);
        }
        for (name, value) in table {
            let path: Vec<&str> = path.iter().copied().chain([name.get_ref().as_ref()]).collect();
            let place = self.lines.place(name.span().start);
            if let Some(found) = lookup::find(&path) {
                self.key(&path, found, value);
            } else if !lookup::is_table(&path) {
                self.problems.push(Problem::at(&place, unknown(&path, self.kind)));
            } else if path.len() == 2 && path[0] == "destinations" && !is_destination_name(path[1]) {
                self.problems.push(Problem::at(&place, bad_name(path[1])));
            } else if let DeValue::Table(below) = value.get_ref() {
                self.layer.tables.insert(path.join("."), place);
                self.table(&path, below);
            } else {
                let found = plain(value.get_ref()).describe(true);
                let header = match path.as_slice() {
                    ["destinations"] => "destinations.NAME".to_owned(),
                    _ => shown(&path),
                };
                let message = format!("`{}` is {found}; expected a table, written [{header}]", shown(&path));
                self.problems.push(Problem::at(&place, message));
            }
        }
    }

    fn key(&mut self, path: &[&str], found: lookup::Match, value: &Spanned<DeValue<'_>>) {
        let place = self.lines.place(value.span().start);
        let mut name = path.join(".");
        if found.is_file {
            name.truncate(name.len() - "_file".len());
        }
        let mut variables = Vec::new();
        let raw = plain(value.get_ref());
        let in_list = matches!(raw, Raw::List(_));
        match self.expanded(raw, &mut variables) {
            Ok(Ok(raw)) => {
                let via = (!variables.is_empty()).then(|| format!("${{{}}}", variables.join("}, ${")));
                let item = Item { key: found.key, raw, place, via, is_file: found.is_file };
                self.layer.put(name, item, self.problems);
            }
            Ok(Err((variable, why))) => {
                let remedy = Some(format!("set {variable}"));
                self.layer.unset.insert(name, Unset { place, why, remedy, in_list });
            }
            Err(why) => self.problems.push(Problem::at(&place, format!("`{}`: {why}", shown(path)))),
        }
    }

    /// The value with its variables replaced; inside, what is unset: variable and reason.
    fn expanded(&self, raw: Raw, variables: &mut Vec<String>) -> Result<Result<Raw, (String, String)>, String> {
        Ok(match raw {
            Raw::Text { text, .. } => match expand(&text, self.environment)? {
                Expanded::Text(text, used) => {
                    let loose = !used.is_empty();
                    variables.extend(used);
                    Ok(Raw::Text { text, loose })
                }
                Expanded::Unset { variable, why } => Err((variable, why)),
            },
            Raw::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    match self.expanded(item, variables)? {
                        Ok(item) => list.push(item),
                        Err(unset) => return Ok(Err(unset)),
                    }
                }
                Ok(Raw::List(list))
            }
            other => Ok(other),
        })
    }
}

/// A path for messages: odd names quoted and cut.
pub(super) fn shown(path: &[&str]) -> String {
    let bare = |name: &str| {
        let short = name.len() <= 60;
        short
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    let names: Vec<String> = path
        .iter()
        .map(|name| match bare(name) {
            true => (*name).to_owned(),
            false => format!("\"{}\"", name.chars().take(60).collect::<String>().escape_debug()),
        })
        .collect();
    names.join(".")
}

fn unknown(path: &[&str], kind: Option<&str>) -> String {
    let Some((name, table)) = path.split_last() else { return String::new() };
    let names = lookup::names_below_for(table, kind);
    if let Some(near) = lookup::nearest(name, names.iter().map(String::as_str)) {
        return format!("unknown key `{}`; did you mean `{near}`?", shown(path));
    }
    let elsewhere = lookup::tables_with(name);
    if !elsewhere.is_empty() {
        let tables: Vec<String> = elsewhere.iter().map(|table| format!("[{table}]")).collect();
        return format!("unknown key `{}`; it belongs into {}", shown(path), tables.join(" or "));
    }
    format!("unknown key `{}`; {}", shown(path), names_here(table, kind))
}

/// "known here: a, b, c".
pub(super) fn names_here(table: &[&str], kind: Option<&str>) -> String {
    format!("known here: {}", lookup::names_below_for(table, kind).join(", "))
}

/// Destination names stand in environment variables, SQL and file names.
pub(super) fn is_destination_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    plain && (1..=64).contains(&name.len()) && name != "enrich"
}

/// Why a name can't be a destination's.
pub(super) fn bad_name(name: &str) -> String {
    if name == "enrich" {
        return "a destination can't be called `enrich`: reports use that name for the look-up; choose another"
            .to_owned();
    }
    let mut message =
        format!("`{}` can't be a destination's name; expected lower-case letters, digits and _", shown(&[name]));
    let better: String = name.to_lowercase().replace(['-', ' ', '.'], "_");
    if is_destination_name(&better) {
        message.push_str(&format!(", such as [destinations.{better}]"));
    }
    message
}
