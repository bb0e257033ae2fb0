//! Finding keys in the table: by path, by neighbourhood, by likeness.

use super::schema::{COLUMNS, KEYS, Key};

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

/// The key at this path, if there is one.
pub(super) fn find(segments: &[&str]) -> Option<Match> {
    let (last, parents) = segments.split_last()?;
    KEYS.iter().find_map(|key| {
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
    let mut names: Vec<String> = Vec::new();
    for key in KEYS {
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
    names.dedup();
    names
}

/// Tables that have a key of this name, for keys that stand in the wrong place: `enrich`, `destinations.NAME`.
pub(super) fn tables_with(name: &str) -> Vec<String> {
    let mut tables: Vec<String> =
        KEYS.iter().filter(|key| split(key.path).0 == name).map(|key| split(key.path).1.join(".")).collect();
    tables.dedup();
    tables
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
