//! The documents say what is there: tables and maps that drift are worse than none.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use leadsync::exit::Exit;
use leadsync::lead::LeadState;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The text from a heading to the next one of its level or above.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let start = text.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading `{heading}`")) + 1;
    let level = heading.bytes().take_while(|&b| b == b'#').count();
    let body = start + heading.len();
    let end = text[body..]
        .match_indices("\n#")
        .find(|(at, _)| text[body + at + 1..].bytes().take_while(|&b| b == b'#').count() <= level)
        .map_or(text.len(), |(at, _)| body + at);
    &text[body..end]
}

/// The first cells of a section's tables, without header lines; of several names in a cell, each.
fn first_cells(section: &str) -> BTreeSet<String> {
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split('|').next())
        .filter(|cell| cell.starts_with(|first: char| first == '`' || first.is_ascii_digit()))
        .flat_map(|cell| cell.split(','))
        .map(|name| name.trim().trim_matches('`').to_owned())
        .collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_dependency_table_names_every_direct_dependency_and_no_other() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let declared: BTreeSet<String> = ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .filter_map(|table| manifest.get(table)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect();
    assert_eq!(first_cells(section(&read("README.md"), "## Dependencies")), declared);
}

#[test]
fn every_state_and_every_exit_code_has_its_row() {
    let readme = read("README.md");
    let states: BTreeSet<String> = LeadState::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(first_cells(section(&readme, "### States")), states);
    let codes: BTreeSet<String> = [Exit::Done, Exit::Bug, Exit::Usage, Exit::Rejects, Exit::Unavailable]
        .iter()
        .map(|exit| exit.code().to_string())
        .collect();
    assert_eq!(first_cells(section(&readme, "### Exit codes")), codes);
}

#[test]
fn links_to_files_of_this_tree_lead_somewhere() {
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = read(document);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(root().join(file).exists(), "{document} links to {target}, which is not there");
            }
        }
    }
}

#[test]
fn the_map_names_everything_in_src() {
    let text = read("ARCHITECTURE.md");
    let map = section(&text, "## The map");
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        let mut name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            name.push('/');
        }
        assert!(
            map.lines()
                .any(|line| line.strip_prefix("  ").is_some_and(|line| line.split(' ').any(|word| word == name))),
            "src/{name} is missing in ARCHITECTURE.md's map"
        );
    }
}

/// deny.toml excuses two advisories with this.
#[test]
fn backoff_is_used_in_one_place_only() {
    let retry = root().join("src/http/retry");
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    let users: Vec<_> = files
        .into_iter()
        .filter(|file| fs::read_to_string(file).unwrap().contains("backoff::"))
        .filter(|file| *file != retry.with_extension("rs") && !file.starts_with(&retry))
        .collect();
    assert_eq!(users, Vec::<PathBuf>::new());
}
