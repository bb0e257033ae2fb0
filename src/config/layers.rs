//! What one source says, key by key, before anything is read as a duration or a number.

use std::collections::BTreeMap;

use super::kind::Raw;
use super::lookup;
use super::problem::{Place, Problem};
use super::schema::{self, Key};
use super::sources::{Environment, Sources};
use crate::connectors::registry;

/// One key as one source has it.
#[derive(Clone)]
pub(super) struct Item {
    pub key: &'static Key,
    pub raw: Raw,
    pub place: Place,
    /// Variables or a file that the value was taken from: `${HOST}`.
    pub via: Option<String>,
    /// The value names a file that holds the secret (`client_secret_file`).
    pub is_file: bool,
}

/// Why a key that somebody wrote down has no value nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unset {
    pub place: Place,
    /// "${X}, which is not in the environment".
    pub why: String,
    /// What to do: "set X".
    pub remedy: Option<String>,
    /// One entry of a list; others may have a value.
    pub in_list: bool,
}

/// One source.
#[derive(Default)]
pub(super) struct Layer {
    /// By path, without `_file`.
    pub items: BTreeMap<String, Item>,
    /// Written down without a value.
    pub unset: BTreeMap<String, Unset>,
    /// Tables that the source opens, even if nothing is in them.
    pub tables: BTreeMap<String, Place>,
}

impl Layer {
    /// Notes a key of this source; a secret may be given as text or by file, not both.
    pub(super) fn put(&mut self, path: String, item: Item, problems: &mut Vec<Problem>) {
        if item.raw.is_empty() && !item.key.kind.keeps_empty() {
            let why = match &item.via {
                Some(via) => format!("{via}, which is empty"),
                None => "an empty text".to_owned(),
            };
            self.unset.insert(path, Unset { place: item.place, why, remedy: None, in_list: false });
            return;
        }
        if let Some(other) = self.items.get(&path).filter(|other| other.is_file != item.is_file) {
            let message = format!("both `{path}` and `{path}_file` are set; keep one of them");
            problems.push(Problem::at(&std::cmp::max(&other.place, &item.place).clone(), message));
            return;
        }
        self.items.insert(path, item);
    }
}

/// `--database`, as a layer.
pub(super) fn flags(sources: &Sources) -> Layer {
    let mut layer = Layer::default();
    if let Some(url) = &sources.database {
        layer.items.insert("database.url".to_owned(), database(url.expose(), Place::Flag("--database")));
    }
    layer
}

/// `DATABASE_URL`, as a layer.
pub(super) fn database_variable(environment: &Environment) -> Layer {
    let mut layer = Layer::default();
    if let Some(url) = environment.text("DATABASE_URL") {
        layer.items.insert("database.url".to_owned(), database(url, Place::Variable("DATABASE_URL".to_owned())));
    }
    layer
}

fn database(url: &str, place: Place) -> Item {
    Item { key: &schema::keys()[0], raw: Raw::loose(url), place, via: None, is_file: false }
}

const PREFIX: &str = "LEADSYNC_";

/// `LEADSYNC_A__B` variables, as a layer. `fields`: body fields that the file names, whose case a variable can't show.
pub(super) fn environment(environment: &Environment, file: &Layer, problems: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::default();
    for (name, value) in environment.iter() {
        let Some(rest) = name.strip_prefix(PREFIX).filter(|_| name.contains("__")) else { continue };
        let place = Place::Variable(name.to_owned());
        let lowered = rest.to_lowercase();
        let segments: Vec<&str> = lowered.split("__").collect();
        let Some((mut path, found)) = find(&segments) else {
            let kind = kind_in(file, &segments);
            problems.push(Problem::at(&place, unknown(&segments, kind.as_deref())));
            continue;
        };
        if let Some(name) = path.strip_prefix("destinations.").and_then(|rest| rest.split('.').next())
            && !super::file::is_destination_name(name)
        {
            problems.push(Problem::at(&place, super::file::bad_name(name)));
            continue;
        }
        let Some(value) = value else {
            problems.push(Problem::at(&place, "is not UTF-8 text"));
            continue;
        };
        if found.key.path.ends_with(".FIELD") {
            let written = rest.rsplit("__").next().unwrap_or_default();
            let table = &path[..path.len() - written.len()];
            path = format!("{table}{}", field_name(written, table, file));
        }
        if found.key.path.ends_with(".HEADER") {
            // No header worth setting has a _ in its name, and no variable a -.
            let (table, written) = path.rsplit_once('.').unwrap_or_default();
            path = format!("{table}.{}", written.replace('_', "-"));
        }
        if found.is_file {
            path.truncate(path.len() - "_file".len());
        }
        let item = Item { key: found.key, raw: Raw::loose(value), place, via: None, is_file: found.is_file };
        layer.put(path, item, problems);
    }
    layer
}

/// A destination's name may itself hold `__`; so its name takes as many parts as it must for the rest to be known.
fn find(segments: &[&str]) -> Option<(String, lookup::Match)> {
    if segments.first() != Some(&"destinations") {
        return lookup::find(segments).map(|found| (segments.join("."), found));
    }
    (2..segments.len()).find_map(|end| {
        let name = segments[1..end].join("__");
        let path: Vec<&str> = [segments[0], &name].into_iter().chain(segments[end..].iter().copied()).collect();
        lookup::find(&path).map(|found| (path.join("."), found))
    })
}

/// The kind that the file gives the destination.
fn kind_in(file: &Layer, segments: &[&str]) -> Option<String> {
    let ["destinations", name, ..] = segments else { return None };
    let kind = file.items.get(&format!("destinations.{name}.kind"))?.raw.text()?;
    registry::kind(kind).map(|kind| kind.name.to_owned())
}

fn unknown(segments: &[&str], kind: Option<&str>) -> String {
    let path = segments.join(".");
    if lookup::is_table(segments) {
        let below = lookup::names_below(segments).into_iter().find(|name| !name.starts_with('<'));
        let example = schema::variable(&format!("{path}.{}", below.unwrap_or_else(|| "name".to_owned())));
        return format!("names a whole table; set its keys one by one, such as {example}");
    }
    let bad = (0..segments.len()).find(|at| !lookup::is_table(&segments[..=*at])).unwrap_or_default();
    let names = lookup::names_below_for(&segments[..bad], kind);
    match lookup::nearest(segments[bad], names.iter().map(String::as_str)) {
        Some(near) => {
            let meant: Vec<&str> =
                segments.iter().enumerate().map(|(at, name)| if at == bad { near } else { name }).collect();
            format!("unknown key `{path}`; did you mean {}?", schema::variable(&meant.join(".")))
        }
        None => format!("unknown key `{path}`; {}", super::file::names_here(&segments[..bad], kind)),
    }
}

/// Variables are upper case, body fields are not: what the file or the API's documentation calls it, else lower case. A
/// variable that is not all upper case is taken at its word.
fn field_name(written: &str, table: &str, file: &Layer) -> String {
    if written.chars().any(char::is_lowercase) {
        return written.to_owned();
    }
    let in_file = file.items.keys().filter_map(|path| path.strip_prefix(table));
    in_file
        .chain(registry::KINDS.iter().flat_map(|kind| kind.fields.iter().copied()))
        .find(|name| name.eq_ignore_ascii_case(written))
        .map_or_else(|| written.to_lowercase(), str::to_owned)
}
