//! Finding keys in the table: by path, by neighbourhood, by likeness.

use super::schema::{COLUMNS, Key, keys};

/// A key, or the `_file` twin of a secret one.
#[derive(Clone, Copy)]
pub(super) struct Match {
    pub key: &'static Key,
    pub is_file: bool,
}

fn is_placeholder(segment: &str) -> bool {
    segment.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn fits(pattern: &str, segment: &str) -> bool {
    match pattern {
        "COLUMN" => COLUMNS.contains(&segment),
        _ if is_placeholder(pattern) => !segment.is_empty(),
        _ => pattern == segment,
    }
}

/// The key at this path, if there is one; of several kinds that have it, the first one's.
pub(super) fn find(segments: &[&str]) -> Option<Match> {
    matching(segments).next()
}

/// The key at this path, as a destination of this kind has it.
pub(super) fn find_for(segments: &[&str], kind: &str) -> Option<Match> {
    matching(segments).find(|found| found.key.of == kind || found.key.of.is_empty())
}

/// The key of this pattern (`destinations.NAME.scope`), as a destination of this kind has it.
pub(super) fn for_kind(pattern: &str, kind: &str) -> Option<&'static Key> {
    keys().iter().find(|key| key.path == pattern && (key.of == kind || key.of.is_empty()))
}

/// The kinds of destination that have a key of this pattern.
pub(super) fn kinds_with(pattern: &str) -> Vec<&'static str> {
    keys().iter().filter(|key| key.path == pattern && !key.of.is_empty()).map(|key| key.of).collect()
}

fn matching<'a>(segments: &'a [&str]) -> impl Iterator<Item = Match> + use<'a> {
    keys().iter().filter_map(|key| {
        let (last, parents) = segments.split_last()?;
        let (name, tables) = split(key.path);
        if tables.len() != parents.len() || !tables.iter().zip(parents).all(|(pattern, segment)| fits(pattern, segment))
        {
            return None;
        }
        if fits(name, last) {
            return Some(Match { key, is_file: false });
        }
        let is_file = key.kind.is_secret() && last.strip_suffix("_file") == Some(name);
        is_file.then_some(Match { key, is_file: true })
    })
}

fn split(path: &'static str) -> (&'static str, Vec<&'static str>) {
    let mut tables: Vec<&str> = path.split('.').collect();
    let name = tables.pop().unwrap_or_default();
    (name, tables)
}

/// Whether keys lie below this path.
pub(super) fn is_table(segments: &[&str]) -> bool {
    !names_below(segments).is_empty() || segments.is_empty()
}

/// What may stand directly below this path: keys and tables, in the table's order; `_file` twins too.
pub(super) fn names_below(segments: &[&str]) -> Vec<String> {
    names_below_for(segments, None)
}

/// The same for a destination of this kind, if it is known.
pub(super) fn names_below_for(segments: &[&str], kind: Option<&str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let is_destination = segments.first() == Some(&"destinations");
    let ours = |key: &&Key| !is_destination || key.of.is_empty() || kind.is_none_or(|kind| kind == key.of);
    for key in keys().iter().filter(ours) {
        let pattern: Vec<&str> = key.path.split('.').collect();
        if pattern.len() <= segments.len()
            || !pattern.iter().zip(segments).all(|(pattern, segment)| fits(pattern, segment))
        {
            continue;
        }
        let next = pattern[segments.len()];
        let leaf = pattern.len() == segments.len() + 1;
        match next {
            "COLUMN" => names.extend(COLUMNS.map(str::to_owned)),
            _ if is_placeholder(next) => names.push(format!("<{}>", next.to_lowercase())),
            _ => {
                names.push(next.to_owned());
                if leaf && key.kind.is_secret() {
                    names.push(format!("{next}_file"));
                }
            }
        }
    }
    distinct(names)
}

/// Tables that have a key of this name, for keys that stand in the wrong place: `enrich`, `destinations.NAME`.
pub(super) fn tables_with(name: &str) -> Vec<String> {
    let tables: Vec<String> =
        keys().iter().filter(|key| split(key.path).0 == name).map(|key| split(key.path).1.join(".")).collect();
    distinct(tables)
}

/// Each once, in the order of their first.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

/// The nearest of `candidates`, if any is near enough to be what was meant.
pub(crate) fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| !candidate.starts_with('<'))
        .map(|candidate| (strsim::damerau_levenshtein(&given, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
