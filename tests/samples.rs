//! The samples do what they say, on both databases.

mod support;

use std::fs;
use std::path::Path;

use leadsync::config::{self, Environment};
use leadsync::connectors::registry;
use support::database::{Kind, TestDatabase};

fn sample(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)).unwrap()
}

#[tokio::test]
async fn the_queue_can_be_filled_with_the_sample_through_the_databases_own_client() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = TestDatabase::new(kind).await;
        database.sql(&sample("queue.sql"));
        let queued = database.sql("SELECT count(*), count(DISTINCT state), min(state), sum(attempts) FROM leads");
        assert_eq!(queued, "7|1|received|0", "{kind:?}");
        let own = database.sql("SELECT external_id FROM leads WHERE custom_fields IS NOT NULL");
        assert_eq!(own, "crm-4711", "{kind:?}");
    }
}

/// README.md's table names the columns that other programs may fill and read.
#[tokio::test]
async fn every_column_that_the_readme_names_is_there_under_that_name() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, queue) = readme.split_once("\n## The queue\n").unwrap();
    let (queue, _) = queue.split_once("\n## ").unwrap();
    let to_fill = queue
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|cell| cell.split(',').map(|name| name.trim_matches([' ', '`'])));
    let (_, to_read) = queue.split_once("To read: ").unwrap();
    let to_read = to_read.split('`').skip(1).step_by(2).take(8);
    let columns: Vec<&str> = to_fill.chain(to_read).collect();
    assert!(columns.contains(&"not_before_ms") && columns.contains(&"finished_at_ms"), "{columns:?}");
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = TestDatabase::new(kind).await;
        assert_eq!(database.sql(&format!("SELECT {} FROM leads", columns.join(", "))), "", "{kind:?}");
    }
}

/// The samples of single systems, with made-up secrets.
#[test]
fn every_sample_configuration_is_complete() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // The large one is held to every key in tests/config.rs, the sandbox's to the sandbox.
        if !name.ends_with(".toml") || ["leadsync.toml", "sandbox.toml"].contains(&name.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let variables = text.split("${").skip(1).map(|rest| rest.split(['}', ':']).next().unwrap());
        let environment: Environment = variables.map(|variable| (variable, "made-up")).collect();
        let settings = config::parse(&name, &text, environment).unwrap_or_else(|error| panic!("{error}"));
        for destination in settings.destinations.values() {
            let missing = registry::missing(destination);
            assert!(missing.is_empty(), "{name}: {missing:?}");
            let built = registry::destination(destination).map(|built| built.kind()).map_err(|error| error.to_string());
            assert_eq!(built, Ok(destination.kind), "{name}");
        }
    }
}
