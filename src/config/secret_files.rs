//! Secrets that stand in files of their own: `client_secret_file`.

use std::io::Read as _;
use std::path::Path;

use super::build::Merged;
use super::kind::{Kind, Raw};
use super::layers::Unset;
use super::problem::Problem;

/// Longest secret that a file may hold.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// Replaces `x_file` by what the file holds. An account's secret that can't be read counts as not set, with the reason:
/// whoever needs it will say so, and commands that only read need none. The database's address and its encryption key
/// have substitutes (a default, a new key file) that must not be taken by accident: there it is an error.
pub(super) fn read_secret_files(merged: &mut Merged, current_dir: &Path, problems: &mut Vec<Problem>) {
    let paths: Vec<String> =
        merged.items.iter().filter(|(_, item)| item.is_file).map(|(path, _)| path.clone()).collect();
    for path in paths {
        let Some(item) = merged.items.get_mut(&path) else { continue };
        let Raw::Text { text: name, .. } = &item.raw else {
            let found = item.raw.describe(true);
            problems
                .push(Problem::at(&item.place, format!("`{path}_file` is {found}; expected a file name in quotes")));
            merged.items.remove(&path);
            continue;
        };
        match read_secret(&current_dir.join(name)) {
            Ok(secret) => {
                item.via = Some(name.clone());
                item.raw = match item.key.kind {
                    Kind::EncryptionKeys => Raw::List(secret.lines().map(Raw::loose).collect()),
                    _ => Raw::loose(secret),
                };
            }
            Err(why) if item.key.kind == Kind::Secret => {
                let remedy = Some(format!("put it into {name}"));
                let unset = Unset {
                    place: item.place.clone(),
                    why: format!("the file {name}, which {why}"),
                    remedy,
                    in_list: false,
                };
                merged.unset.insert(path.clone(), unset);
                merged.items.remove(&path);
            }
            Err(why) => {
                let message = format!("`{path}_file` names {name}, which {why}");
                problems.push(Problem::at(&item.place, message));
                merged.items.remove(&path);
            }
        }
    }
}

/// The file's text less one line end; the error continues "FILE, which ".
fn read_secret(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("can't be read: {}", super::file::reason(&error));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err("is larger than 64 KiB".to_owned());
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text) }
}
