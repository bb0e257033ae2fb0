//! Configuration as an operator meets it: every message word for word, every key by every way in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use leadsync::config::{self, ConfigError, EnrichKind, Environment, Kind, Settings, Sources, schema, values};
use leadsync::connectors::registry;
use leadsync::secret::Secret;
use proptest::prelude::*;

/// Appears in no message, whatever happens.
const SECRET: &str = "s3cr3t-never-shown";

const DESTINATION: &str = "[destinations.7targets]\nkind = \"seven_targets\"\n";

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().copied().collect()
}

fn parse(text: &str) -> Result<Settings, ConfigError> {
    config::parse("leadsync.toml", text, Environment::default())
}

fn parse_with(text: &str, pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    config::parse("leadsync.toml", text, environment(pairs))
}

/// The message for a configuration that can't be used.
fn error(text: &str) -> String {
    error_with(text, &[])
}

fn error_with(text: &str, pairs: &[(&str, &str)]) -> String {
    let message = parse_with(text, pairs).expect_err("the configuration was accepted").to_string();
    assert!(!message.contains(SECRET), "a secret is in {message}");
    // Whatever kinds of destination there are.
    let kinds: Vec<String> = registry::NAMES.iter().map(|name| format!("\"{name}\"")).collect();
    let in_words = |or: &str| match kinds.split_last() {
        Some((last, firsts)) if or.is_empty() => format!("{} or {last}", firsts.join(", ")),
        _ => kinds.join(or),
    };
    message.replace(&in_words(""), "KINDS").replace(&in_words(" or "), "KINDS")
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn in_dir(dir: &Path, pairs: &[(&str, &str)]) -> Sources {
    Sources { environment: environment(pairs), current_dir: dir.to_owned(), ..Sources::default() }
}

// Sources and precedence

#[test]
fn without_any_configuration_the_defaults_hold() {
    let dir = tempfile::tempdir().unwrap();
    let settings = config::load(&in_dir(dir.path(), &[])).unwrap();
    assert_eq!(settings.database.url.expose(), "sqlite://leadsync.db");
    assert_eq!(settings.run.lease.as_secs(), 60);
    assert_eq!(settings.retry.max_attempts, 8);
    assert!(settings.enrich.is_none() && settings.destinations.is_empty());
    assert_eq!(Settings::defaults().normalise.default_region, "US");
}

#[test]
fn the_file_is_looked_for_in_the_working_directory_and_then_in_the_users() {
    let (dir, home, xdg) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pairs = [("HOME", home.path().to_str().unwrap()), ("XDG_CONFIG_HOME", xdg.path().to_str().unwrap())];
    let region = |pairs: &[(&str, &str)]| config::load(&in_dir(dir.path(), pairs)).unwrap().normalise.default_region;
    let write = |dir: &Path, region: &str| {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("leadsync.toml"), format!("[normalise]\ndefault_region = \"{region}\"\n")).unwrap();
    };
    write(&home.path().join(".config/leadsync"), "FR");
    assert_eq!(region(&pairs[..1]), "FR");
    assert_eq!(region(&pairs), "US");
    write(&xdg.path().join("leadsync"), "DE");
    assert_eq!(region(&pairs), "DE");
    assert_eq!(region(&[pairs[0], ("XDG_CONFIG_HOME", "relative")]), "FR");
    write(dir.path(), "GB");
    assert_eq!(region(&pairs), "GB");
}

#[test]
fn a_file_that_was_named_must_be_there_and_readable() {
    let dir = tempfile::tempdir().unwrap();
    let load = |name: &str| {
        let sources = Sources { file: Some(name.into()), ..in_dir(dir.path(), &[]) };
        config::load(&sources).expect_err("it was accepted").to_string()
    };
    fs::create_dir(dir.path().join("folder")).unwrap();
    fs::write(dir.path().join("latin1.toml"), b"[run]\n# gr\xfc\xdfe\n").unwrap();
    fs::write(dir.path().join("large.toml"), vec![b'\n'; (256 << 10) + 1]).unwrap();
    insta::assert_snapshot!(load("missing.toml"), @"configuration file missing.toml does not exist (given by --config)");
    insta::assert_snapshot!(load("folder"), @"configuration file folder is a directory; expected a TOML file");
    insta::assert_snapshot!(load("latin1.toml"), @"configuration file latin1.toml is not UTF-8 text (line 2); save it as UTF-8");
    insta::assert_snapshot!(load("large.toml"), @"configuration file large.toml is larger than 256 KiB; expected a TOML file of a few kilobytes");
    fs::create_dir(dir.path().join("leadsync.toml")).unwrap();
    let unnamed = config::load(&in_dir(dir.path(), &[])).unwrap_err().to_string();
    insta::assert_snapshot!(unnamed, @"configuration file leadsync.toml is a directory; expected a TOML file");
}

#[test]
fn a_stronger_source_wins() {
    let dir = tempfile::tempdir().unwrap();
    let mut sources = in_dir(dir.path(), &[("DATABASE_URL", "postgres://variable/d")]);
    let url = |sources: &Sources| {
        let settings = config::load(sources).unwrap();
        (settings.database.url.expose().to_owned(), settings.origins.of("database.url").unwrap().to_string())
    };
    let is = |url: &str, origin: &str| (url.to_owned(), origin.to_owned());
    assert_eq!(url(&sources), is("postgres://variable/d", "DATABASE_URL"));
    fs::write(dir.path().join("leadsync.toml"), "\n[database]\nurl = \"sqlite://file.db\"\n").unwrap();
    assert_eq!(url(&sources), is("sqlite://file.db", "leadsync.toml:3"));
    sources.environment =
        environment(&[("DATABASE_URL", "postgres://variable/d"), ("LEADSYNC_DATABASE__URL", "sqlite://ours.db")]);
    assert_eq!(url(&sources), is("sqlite://ours.db", "LEADSYNC_DATABASE__URL"));
    sources.database = Some(Secret::new("sqlite://flag.db"));
    assert_eq!(url(&sources), is("sqlite://flag.db", "--database"));
}

#[test]
fn an_empty_value_counts_as_none() {
    let text = format!("{DESTINATION}client_id = \"\"\nschedule_name = \"${{EMPTY}}\"\n");
    let settings = parse_with(&text, &[("EMPTY", ""), ("LEADSYNC_RUN__LEASE", ""), ("DATABASE_URL", "")]).unwrap();
    let seven_targets = &settings.destinations["7targets"].section;
    assert!(seven_targets.text("client_id").is_none() && seven_targets.text("schedule_name").is_none());
    assert_eq!(settings.run.lease.as_secs(), 60);
    assert_eq!(settings.database.url.expose(), "sqlite://leadsync.db");
}

// The environment

#[test]
fn every_key_can_be_set_by_a_variable() {
    for key in schema::keys() {
        let path = named(key, "7targets");
        let kind_of_destination = kind_of(key);
        let example = example(key);
        let lease = if key.path.ends_with(".timeout") { "1h" } else { "60s" };
        let mut pairs = vec![("LEADSYNC_RUN__LEASE".to_owned(), lease.to_owned())];
        if key.path.starts_with("enrich.") {
            pairs.push(("LEADSYNC_ENRICH__KIND".to_owned(), "live_data".to_owned()));
        }
        if key.path.starts_with("destinations.") {
            pairs.push(("LEADSYNC_DESTINATIONS__7TARGETS__KIND".to_owned(), kind_of_destination.to_owned()));
        }
        pairs.retain(|(name, _)| *name != schema::variable(&path));
        pairs.push((schema::variable(&path), example.clone()));
        let settings =
            config::parse("", "", pairs.into_iter().collect()).unwrap_or_else(|error| panic!("{path}: {error}"));
        let origin = settings.origins.of(&path).unwrap_or_else(|| panic!("{path} was not taken")).to_string();
        assert_eq!(origin, schema::variable(&path));

        let dir = tempfile::tempdir().unwrap();
        if key.kind.is_secret() {
            let file = dir.path().join("secret");
            fs::write(&file, format!("{example}\n")).unwrap();
            let variable = format!("{}_FILE", schema::variable(&path));
            let mut pairs = vec![(variable.clone(), file.to_str().unwrap().to_owned())];
            if key.path.starts_with("enrich.") {
                pairs.push(("LEADSYNC_ENRICH__KIND".to_owned(), "live_data".to_owned()));
            }
            if key.path.starts_with("destinations.") {
                pairs.push(("LEADSYNC_DESTINATIONS__7TARGETS__KIND".to_owned(), kind_of_destination.to_owned()));
            }
            let settings =
                config::parse("", "", pairs.into_iter().collect()).unwrap_or_else(|error| panic!("{path}: {error}"));
            let origin = settings.origins.of(&path).unwrap_or_else(|| panic!("{path} was not taken")).to_string();
            assert_eq!(origin, format!("{variable} ({})", file.display()));
        }
    }
}

/// The key's path, with names for what the operator chooses.
fn named(key: &schema::Key, destination: &str) -> String {
    let path = key.path.replace("NAME", destination).replace("FIELD", "context").replace("COLUMN", "email");
    path.replace("HEADER", "x-api-version")
}

/// A kind of destination that has the key.
fn kind_of(key: &schema::Key) -> &'static str {
    if key.of.is_empty() { "seven_targets" } else { key.of }
}

/// A value that the key takes, other than its default where that is easy, as a variable holds it.
fn example(key: &schema::Key) -> String {
    let text = key.example.trim_matches('"').to_owned();
    match key.kind {
        Kind::EncryptionKeys => "00".repeat(32),
        Kind::Bool => "true".to_owned(),
        _ => text,
    }
}

#[test]
fn variables_are_read_as_the_key_wants_them() {
    let pairs = [
        ("LEADSYNC_ENRICH__KIND", "live_data"),
        ("LEADSYNC_ENRICH__MATCH_ON", r#"["linkedin", "name"]"#),
        ("LEADSYNC_ENRICH__CLIENT_SECRET", "12345"),
        ("LEADSYNC_ENRICH__ORGANIZATION", "true"),
        ("LEADSYNC_ENRICH__RATE", "none"),
        ("LEADSYNC_DATABASE__MIGRATE", "false"),
        ("LEADSYNC_DESTINATIONS__MY__CRM__KIND", "seven_targets"),
        ("LEADSYNC_DESTINATIONS__MY__CRM__FIELDS__LASTNAME", "{{ lead.last_name }}"),
        ("LEADSYNC_DESTINATIONS__MY__CRM__FIELDS__myField", "x"),
        ("LEADSYNC_KEY", "not ours"),
        ("LEADSYNC_SERVICE_HOST", "10.0.0.1"),
    ];
    let settings = parse_with("", &pairs).unwrap();
    let EnrichKind::LiveData(live_data) = &settings.enrich.as_ref().unwrap().kind;
    assert_eq!(live_data.match_on, ["linkedin", "name"]);
    assert_eq!(live_data.client_secret.as_ref().unwrap().expose(), "12345");
    assert_eq!(live_data.organization.as_deref(), Some("true"));
    assert_eq!(live_data.rate, None);
    assert!(!settings.database.migrate);
    let fields = settings.destinations["my__crm"].section.below("fields");
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["lastName", "myField"]);
}

#[test]
fn a_variable_that_names_no_key_is_an_error_with_the_nearest() {
    let of = |name: &str, value: &str| error_with(DESTINATION, &[(name, value)]);
    insta::assert_snapshot!(of("LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_SECRTE", SECRET), @"LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_SECRTE: unknown key `destinations.7targets.client_secrte`; did you mean LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_SECRET?");
    insta::assert_snapshot!(of("LEADSYNC_DESTINATION__7TARGETS__RATE", "5/s"), @"LEADSYNC_DESTINATION__7TARGETS__RATE: unknown key `destination.7targets.rate`; did you mean LEADSYNC_DESTINATIONS__7TARGETS__RATE?");
    insta::assert_snapshot!(of("LEADSYNC_RUN__COLOUR", "blue"), @"LEADSYNC_RUN__COLOUR: unknown key `run.colour`; known here: lease, wait, grace");
    insta::assert_snapshot!(of("LEADSYNC_DESTINATIONS__7TARGETS", SECRET), @"LEADSYNC_DESTINATIONS__7TARGETS: names a whole table; set its keys one by one, such as LEADSYNC_DESTINATIONS__7TARGETS__KIND");
    insta::assert_snapshot!(of("LEADSYNC_DESTINATIONS__7TARGET__CLIENT_SECRET", SECRET), @r#"LEADSYNC_DESTINATIONS__7TARGET__CLIENT_SECRET: `destinations.7target.kind` is not set; expected KINDS; did you mean the destination `7targets`?"#);
    insta::assert_snapshot!(of("LEADSYNC_DESTINATIONS__7-TARGETS__RATE", "5/s"), @"LEADSYNC_DESTINATIONS__7-TARGETS__RATE: `7-targets` can't be a destination's name; expected lower-case letters, digits and _, such as [destinations.7_targets]");
    insta::assert_snapshot!(of("LEADSYNC_RUN__LEASE", "60"), @r#"LEADSYNC_RUN__LEASE: `run.lease` is "60"; expected a duration such as "60s", "500ms", "15min", "2h" or "30d""#);
    insta::assert_snapshot!(of("LEADSYNC__RUN__LEASE", "60s"), @"LEADSYNC__RUN__LEASE: unknown key `_run.lease`; did you mean LEADSYNC_RUN__LEASE?");
}

// Messages

#[test]
fn syntax_errors_name_line_and_column_and_repeat_nothing() {
    insta::assert_snapshot!(error(&format!("[run]\nlease = \"60s\n[enrich]\nclient_secret = {SECRET} x\n")), @r#"
the configuration has 2 problems
  leadsync.toml:2:13: not valid TOML: invalid basic string, expected `"`
  leadsync.toml:4:17: not valid TOML: string values must be quoted, expected literal string
"#);
    insta::assert_snapshot!(error("[run\nlease = \"60s\"\n"), @"leadsync.toml:1:5: not valid TOML: unclosed table, expected `]`");
    insta::assert_snapshot!(error("[run]\nlease = \"60s\"\nlease = \"61s\"\n"), @"leadsync.toml:3:1: not valid TOML: duplicate key `lease`");
    insta::assert_snapshot!(error("\u{feff}é = \n"), @"leadsync.toml:1:1: not valid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`");
}

#[test]
fn unknown_keys_are_refused_with_what_was_meant() {
    insta::assert_snapshot!(error(&format!("{DESTINATION}  client_secrte = \"{SECRET}\"\n")), @"leadsync.toml:3:3: unknown key `destinations.7targets.client_secrte`; did you mean `client_secret`?");
    insta::assert_snapshot!(error("[databse]\nurl = \"x\"\n"), @"leadsync.toml:1:2: unknown key `databse`; did you mean `database`?");
    insta::assert_snapshot!(error("[run]\ncolour = true\n"), @"leadsync.toml:2:1: unknown key `run.colour`; known here: lease, wait, grace");
    insta::assert_snapshot!(error("max_attempts = 8\n"), @"leadsync.toml:1:1: unknown key `max_attempts`; it belongs into [retry]");
    insta::assert_snapshot!(error("[csv.columns]\nmail = \"E-Mail\"\n"), @"leadsync.toml:2:1: unknown key `csv.columns.mail`; did you mean `email`?");
    insta::assert_snapshot!(error("[\"odd\\nname\"]\n"), @r#"leadsync.toml:1:2: unknown key `"odd\nname"`; known here: database, security, run, normalise, enrich, destinations, retry, csv"#);
}

#[test]
fn wrong_types_say_what_was_found_and_what_is_expected() {
    let run = |value: &str| error(&format!("[run]\nlease = {value}\n"));
    insta::assert_snapshot!(run("60"), @r#"leadsync.toml:2:9: `run.lease` is the number 60; expected a duration such as "60s", "500ms", "15min", "2h" or "30d""#);
    insta::assert_snapshot!(run("\"one minute\""), @r#"leadsync.toml:2:9: `run.lease` is "one minute"; expected a duration such as "60s", "500ms", "15min", "2h" or "30d""#);
    insta::assert_snapshot!(run("\"2d\""), @r#"leadsync.toml:2:9: `run.lease` is "2d"; expected a duration from 1s to 1h"#);
    insta::assert_snapshot!(run("[\"60s\"]"), @r#"leadsync.toml:2:9: `run.lease` is the list ["60s"]; expected a duration such as "60s", "500ms", "15min", "2h" or "30d""#);
    insta::assert_snapshot!(run("2026-11-22"), @r#"leadsync.toml:2:9: `run.lease` is a date; expected a duration such as "60s", "500ms", "15min", "2h" or "30d""#);
    insta::assert_snapshot!(run("{ seconds = 60 }"), @r#"leadsync.toml:2:9: `run.lease` is a table; expected a duration such as "60s", "500ms", "15min", "2h" or "30d""#);
    let to = |line: &str| error(&format!("{DESTINATION}{line}\n"));
    insta::assert_snapshot!(to("rate = \"5 per second\""), @r#"leadsync.toml:3:8: `destinations.7targets.rate` is "5 per second"; expected a rate such as "5/s", "2000/min", "100/10s", "5000/day", or "none""#);
    insta::assert_snapshot!(to("rate = 5"), @r#"leadsync.toml:3:8: `destinations.7targets.rate` is the number 5; expected a rate such as "5/s", "2000/min", "100/10s", "5000/day", or "none""#);
    insta::assert_snapshot!(to("concurrency = 0"), @"leadsync.toml:3:15: `destinations.7targets.concurrency` is the number 0; expected a whole number from 1 to 1000");
    insta::assert_snapshot!(to("concurrency = \"8\""), @r#"leadsync.toml:3:15: `destinations.7targets.concurrency` is "8"; expected a whole number from 1 to 1000"#);
    insta::assert_snapshot!(to("default = \"yes\""), @r#"leadsync.toml:3:11: `destinations.7targets.default` is "yes"; expected true or false"#);
    insta::assert_snapshot!(to("unknown = \"updat\""), @r#"leadsync.toml:3:11: `destinations.7targets.unknown` is "updat"; expected "update", "hold" or "retry"; did you mean "update"?"#);
    insta::assert_snapshot!(to("assistant_email = \"ann.example.com\""), @r#"leadsync.toml:3:19: `destinations.7targets.assistant_email` is a text (not shown); expected an e-mail address such as "ashley@example.com""#);
    insta::assert_snapshot!(to("api_url = \"http://api.example.com\""), @r#"leadsync.toml:3:11: `destinations.7targets.api_url` is "http://api.example.com"; expected an https:// address (plain http:// is only for 127.0.0.1, ::1 and localhost)"#);
    insta::assert_snapshot!(to(&format!("api_url = \"https://ann:{SECRET}@api.example.com\"")), @"leadsync.toml:3:11: `destinations.7targets.api_url` is a text (not shown); expected an address without user, password or fragment: credentials have keys of their own");
    insta::assert_snapshot!(to("client_secret = 12345"), @"leadsync.toml:3:17: `destinations.7targets.client_secret` is a number; expected a text in quotes");
    insta::assert_snapshot!(to("already_exists = [1]"), @r#"leadsync.toml:3:18: `destinations.7targets.already_exists` is the list [the number 1]; expected a list of texts such as ["exist", "duplicate"]"#);
    insta::assert_snapshot!(to("fields.context = \"{{ persn.title }}\""), @r#"leadsync.toml:3:18: `destinations.7targets.fields.context` is "{{ persn.title }}"; expected a template over lead.* and person.*, and this one uses `persn`"#);
    insta::assert_snapshot!(to("fields.context = \"{{ person.title\""), @r#"leadsync.toml:3:18: `destinations.7targets.fields.context` is "{{ person.title"; expected a template such as "{{ person.title }}", and this one can't be read: unexpected end of input, expected end of variable block"#);
    insta::assert_snapshot!(error("[enrich]\nkind = \"live-data\"\n"), @r#"leadsync.toml:2:8: `enrich.kind` is "live-data"; expected "live_data" or "none"; did you mean "live_data"?"#);
    insta::assert_snapshot!(error("[enrich]\nkind = \"live_data\"\nbatch_size = 101\n"), @"leadsync.toml:3:14: `enrich.batch_size` is the number 101; expected a whole number from 1 to 100");
    insta::assert_snapshot!(error("[enrich]\nkind = \"live_data\"\nmatch_on = [\"email\"]\n"), @r#"leadsync.toml:3:12: `enrich.match_on` is the list ["email"]; expected a list of "email_address", "linkedin", "name", "company.name", "company.domain" or "title", each at most once"#);
    insta::assert_snapshot!(error("[normalise]\ndefault_region = \"UK\"\n"), @r#"leadsync.toml:2:18: `normalise.default_region` is "UK"; expected a country's two letters (ISO 3166) such as "US", "GB" or "DE""#);
    insta::assert_snapshot!(error("[database]\nschema = \"Public Tables\"\n"), @r#"leadsync.toml:2:10: `database.schema` is "Public Tables"; expected a schema name of lower-case letters, digits and _, such as "leadsync""#);
    insta::assert_snapshot!(error(&format!("[database]\nurl = \"mysql://ann:{SECRET}@db/leads\"\n")), @r#"leadsync.toml:2:7: `database.url` is a text (not shown); expected "sqlite://FILE" or "postgres://USER@HOST/DATABASE""#);
    insta::assert_snapshot!(error_with("", &[("DATABASE_URL", "mysql://ann:s3cr3t-never-shown@db/leads")]), @r#"DATABASE_URL: `database.url` is a text (not shown); expected "sqlite://FILE" or "postgres://USER@HOST/DATABASE""#);
    insta::assert_snapshot!(error(&format!("[security]\nencryption_key = \"{SECRET}\"\n")), @"leadsync.toml:2:18: `security.encryption_key` is a text (not shown); expected 64 hex digits or base64 of 32 bytes, as made by `openssl rand -hex 32`; or a list of them");
    insta::assert_snapshot!(error("run = 5\n"), @"leadsync.toml:1:1: `run` is a number; expected a table, written [run]");
    insta::assert_snapshot!(error("[[destinations]]\nname = \"7targets\"\n"), @"leadsync.toml:1:3: `destinations` is a list; expected a table, written [destinations.NAME]");
}

#[test]
fn a_value_from_a_variable_is_not_repeated() {
    let text = "[run]\nlease = \"${LEASE}\"\n";
    insta::assert_snapshot!(error_with(text, &[("LEASE", SECRET)]), @r#"leadsync.toml:2:9: `run.lease` is the value of ${LEASE}; expected a duration such as "60s", "500ms", "15min", "2h" or "30d""#);
    insta::assert_snapshot!(error("[run]\nlease = \"${LEASE\"\n"), @"leadsync.toml:2:9: `run.lease`: `${` without `}`; write `$${` for a plain `${`");
    insta::assert_snapshot!(error(&format!("[enrich]\nkind = \"live_data\"\nclient_secret = \"${{{SECRET}}}\"\n")), @"leadsync.toml:3:17: `enrich.client_secret`: `${…}` holds no variable name; write `$${` for a plain `${`");
    let settings = parse_with("[retry]\nmax_attempts = \"${N}\"\n", &[("N", "3")]).unwrap();
    assert_eq!(settings.retry.max_attempts, 3);
}

#[test]
fn what_must_fit_together_is_checked() {
    let timeout = format!("{DESTINATION}timeout = \"45s\"\n");
    insta::assert_snapshot!(error(&timeout), @"leadsync.toml:3:11: `run.lease` (60s) is too short for `destinations.7targets.timeout` (45s): another worker could take a lead whose request is still under way; expected a lease of 71s or more, which is one and a half times the sum of the timeout and 2s, or a shorter timeout");
    insta::assert_snapshot!(error(&format!("[run]\nlease = \"10s\"\n{DESTINATION}")), @"leadsync.toml:2:9: `run.lease` (10s) is too short for `destinations.7targets.timeout` (30s): another worker could take a lead whose request is still under way; expected a lease of 48s or more, which is one and a half times the sum of the timeout and 2s, or a shorter timeout");
    insta::assert_snapshot!(error("[retry]\ninitial_interval = \"20min\"\n"), @"leadsync.toml:2:20: `retry.initial_interval` (20min) is longer than `retry.max_interval` (15min); expected the first pause to be the shorter one");
    let second = "[destinations.crm]\nkind = \"seven_targets\"\n";
    insta::assert_snapshot!(error(&format!("{DESTINATION}{second}")), @"none of the destinations is the default, so leads that name none have nowhere to go; add `default = true` to one of [destinations.7targets], [destinations.crm]");
    insta::assert_snapshot!(error(&format!("{DESTINATION}default = true\n{second}default = true\n")), @"leadsync.toml:6:11: destinations 7targets, crm all have `default = true`; keep it at one of them");
    insta::assert_snapshot!(error(&format!("{DESTINATION}default = false\n")), @"leadsync.toml:3:11: `destinations.7targets.default` is false, but leads have nowhere else to go; remove it");
    insta::assert_snapshot!(error("[destinations.7-Targets]\nkind = \"seven_targets\"\n"), @"leadsync.toml:1:15: `7-Targets` can't be a destination's name; expected lower-case letters, digits and _, such as [destinations.7_targets]");
    insta::assert_snapshot!(error("[destinations.enrich]\nkind = \"seven_targets\"\n"), @"leadsync.toml:1:15: a destination can't be called `enrich`: reports use that name for the look-up; choose another");
    insta::assert_snapshot!(error("[destinations.crm]\n"), @r#"leadsync.toml:1:15: `destinations.crm.kind` is not set; expected KINDS"#);
    insta::assert_snapshot!(error("[destinations.crm]\nkind = \"${KIND}\"\n"), @r#"leadsync.toml:1:15: `destinations.crm.kind` is not set (${KIND}, which is not in the environment); expected KINDS"#);
    insta::assert_snapshot!(error("[destinations.crm]\nkind = \"salesforce\"\n"), @r#"leadsync.toml:2:8: `destinations.crm.kind` is "salesforce"; expected KINDS"#);
    insta::assert_snapshot!(error("[enrich]\n"), @r#"leadsync.toml:1:2: `enrich.kind` is not set; expected "live_data" or "none""#);
    insta::assert_snapshot!(error("[enrich]\nkind = \"live_data\"\nclient_secret = \"a\"\napi_key = \"b\"\n"), @"leadsync.toml:4:11: `enrich.client_secret`, `enrich.api_key` are all set, each another way to log in; keep one of them");
    insta::assert_snapshot!(error(&format!("{DESTINATION}[destinations.7targets.fields]\nrate = \"5/s\"\n")), @"leadsync.toml:4:8: `destinations.7targets.fields.rate` is a setting of [destinations.7targets]; move it above [destinations.7targets.fields]");
    insta::assert_snapshot!(error(&format!("{DESTINATION}fields.lastname = \"x\"\n")), @"leadsync.toml:3:19: `destinations.7targets.fields.lastname` is not spelt as the API does; did you mean `lastName`?");
}

#[test]
fn a_field_may_be_called_as_a_setting_of_another_kind() {
    let text = format!("{DESTINATION}[destinations.7targets.fields]\nurl = \"{{{{ lead.source }}}}\"\nbody = \"b\"\n");
    let settings = parse_with(&text, &[]).unwrap();
    let fields = settings.destinations["7targets"].section.below("fields");
    assert_eq!(fields.get("body").map(String::as_str), Some("b"));
    assert_eq!(fields.get("url").map(String::as_str), Some("{{ lead.source }}"));
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_file() {
    let text = format!("[run]\nlease = 60\nwaait = \"5s\"\n{DESTINATION}rate = \"fast\"\n[retry]\nmax_attempts = 0\n");
    insta::assert_snapshot!(error_with(&text, &[("LEADSYNC_RUN__GRACE", "soon")]), @r#"
the configuration has 5 problems
  leadsync.toml:2:9: `run.lease` is the number 60; expected a duration such as "60s", "500ms", "15min", "2h" or "30d"
  leadsync.toml:3:1: unknown key `run.waait`; did you mean `wait`?
  leadsync.toml:6:8: `destinations.7targets.rate` is "fast"; expected a rate such as "5/s", "2000/min", "100/10s", "5000/day", or "none"
  leadsync.toml:8:16: `retry.max_attempts` is the number 0; expected a whole number from 1 to 1000
  LEADSYNC_RUN__GRACE: `run.grace` is "soon"; expected a duration such as "60s", "500ms", "15min", "2h" or "30d"
"#);
    let many: String = (0..25).map(|n| format!("key{n:02} = 1\n")).collect();
    let message = error(&many);
    assert!(message.starts_with("the configuration has 25 problems\n"), "{message}");
    assert!(message.ends_with("\n  and 5 more"), "{message}");
}

// Secrets

#[test]
fn a_secret_may_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    let load = |line: &str, pairs: &[(&str, &str)]| {
        fs::write(dir.path().join("leadsync.toml"), format!("{DESTINATION}{line}\n")).unwrap();
        config::load(&in_dir(dir.path(), pairs))
    };
    let client_secret = |settings: &Settings| {
        settings.destinations["7targets"].section.secret("client_secret").map(|secret| secret.expose().to_owned())
    };
    for (content, expected) in
        [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), ("abc\n\n", "abc\n"), (" abc ", " abc ")]
    {
        fs::write(&secret, content).unwrap();
        let settings = load("client_secret_file = \"secret\"", &[]).unwrap();
        assert_eq!(client_secret(&settings).as_deref(), Some(expected));
    }
    // A stronger source wins whatever its form.
    let variable = "LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_SECRET";
    let settings = load("client_secret_file = \"secret\"", &[(variable, "stronger")]).unwrap();
    assert_eq!(client_secret(&settings).as_deref(), Some("stronger"));

    let both = load("client_secret = \"a\"\nclient_secret_file = \"secret\"", &[]).unwrap_err().to_string();
    insta::assert_snapshot!(both, @"leadsync.toml:4:22: both `destinations.7targets.client_secret` and `destinations.7targets.client_secret_file` are set; keep one of them");
    let number = load("client_secret_file = 5", &[]).unwrap_err().to_string();
    insta::assert_snapshot!(number, @"leadsync.toml:3:22: `destinations.7targets.client_secret_file` is a number; expected a file name in quotes");
}

#[test]
fn an_unreadable_secret_file_is_an_error_for_whoever_needs_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    let load = |text: &str| {
        fs::write(dir.path().join("leadsync.toml"), text).unwrap();
        config::load(&in_dir(dir.path(), &[]))
    };
    fs::write(dir.path().join("blank"), "\n").unwrap();
    let need = |settings: &Settings| {
        let secret = settings.destinations["7targets"].section.secret("client_secret");
        settings.require("destinations.7targets.client_secret", &secret).unwrap_err().to_string()
    };
    let missing = load(&format!("{DESTINATION}client_secret_file = \"absent\"\n")).unwrap();
    insta::assert_snapshot!(need(&missing), @"destinations.7targets.client_secret is not set: looked in leadsync.toml (line 3: the file absent, which can't be read: no such file or directory), LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_SECRET[_FILE]; put it into absent");
    let empty = load(&format!("{DESTINATION}client_secret_file = \"blank\"\n")).unwrap();
    insta::assert_snapshot!(need(&empty), @"destinations.7targets.client_secret is not set: looked in leadsync.toml (line 3: the file blank, which is empty), LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_SECRET[_FILE]; put it into blank");

    // Without these something else would be used in their place.
    let key = load("[security]\nencryption_key_file = \"absent\"\n").unwrap_err().to_string();
    insta::assert_snapshot!(key, @"leadsync.toml:2:23: `security.encryption_key_file` names absent, which can't be read: no such file or directory");
    let url = load("[database]\nurl_file = \"absent\"\n").unwrap_err().to_string();
    insta::assert_snapshot!(url, @"leadsync.toml:2:12: `database.url_file` names absent, which can't be read: no such file or directory");
}

#[test]
fn encryption_keys_are_one_or_a_list_newest_first() {
    let (new, old) = ("11".repeat(32), "22".repeat(32));
    let keys = |settings: &Settings| -> Vec<String> {
        settings.security.encryption_keys.iter().map(|key| key.expose().to_owned()).collect()
    };
    let text = "[security]\nencryption_key = [\"${NEW}\", \"${OLD:-}\"]\n";
    assert_eq!(keys(&parse_with(text, &[("NEW", &new), ("OLD", &old)]).unwrap()), [new.clone(), old.clone()]);
    assert_eq!(keys(&parse_with(text, &[("NEW", &new)]).unwrap()), std::slice::from_ref(&new));
    assert_eq!(keys(&parse_with(text, &[("OLD", &old)]).unwrap()), Vec::<String>::new());
    let list = format!("[\"{new}\", \"{old}\"]");
    assert_eq!(
        keys(&parse_with("", &[("LEADSYNC_SECURITY__ENCRYPTION_KEY", &list)]).unwrap()),
        [new.clone(), old.clone()]
    );

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("keys"), format!("{new}\n{old}\n")).unwrap();
    let sources = in_dir(dir.path(), &[("LEADSYNC_SECURITY__ENCRYPTION_KEY_FILE", "keys")]);
    assert_eq!(keys(&config::load(&sources).unwrap()), [new, old]);
}

#[test]
fn what_is_missing_is_named_with_where_it_was_looked_for() {
    let need = |settings: &Settings, key: &str| settings.require(key, &None::<()>).unwrap_err().to_string();
    let text = format!("{DESTINATION}client_secret = \"${{SEVEN_TARGETS_CLIENT_SECRET}}\"\nclient_id = \"\"\n");
    let settings = parse(&text).unwrap();
    insta::assert_snapshot!(need(&settings, "destinations.7targets.client_secret"), @"destinations.7targets.client_secret is not set: looked in leadsync.toml (line 3: ${SEVEN_TARGETS_CLIENT_SECRET}, which is not in the environment), LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_SECRET[_FILE]; set SEVEN_TARGETS_CLIENT_SECRET");
    insta::assert_snapshot!(need(&settings, "destinations.7targets.client_id"), @"destinations.7targets.client_id is not set: looked in leadsync.toml (line 4: an empty text), LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_ID; set it in one of them");
    insta::assert_snapshot!(need(&settings, "destinations.7targets.assistant_email"), @"destinations.7targets.assistant_email is not set: looked in leadsync.toml, LEADSYNC_DESTINATIONS__7TARGETS__ASSISTANT_EMAIL; set it in one of them");
    let settings = parse_with(&text, &[("SEVEN_TARGETS_CLIENT_SECRET", "")]).unwrap();
    insta::assert_snapshot!(need(&settings, "destinations.7targets.client_secret"), @"destinations.7targets.client_secret is not set: looked in leadsync.toml (line 3: ${SEVEN_TARGETS_CLIENT_SECRET}, which is empty), LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_SECRET[_FILE]; set SEVEN_TARGETS_CLIENT_SECRET");
    let dir = tempfile::tempdir().unwrap();
    let settings = config::load(&in_dir(dir.path(), &[("HOME", "/nowhere")])).unwrap();
    insta::assert_snapshot!(need(&settings, "enrich.client_secret"), @"enrich.client_secret is not set: looked in leadsync.toml, /nowhere/.config/leadsync/leadsync.toml (there is no such file), LEADSYNC_ENRICH__CLIENT_SECRET[_FILE]; set LEADSYNC_ENRICH__CLIENT_SECRET, or write a leadsync.toml");
    assert_eq!(settings.require("enrich.client_secret", &Some(5)), Ok(&5));
}

#[test]
fn one_of_several_keys_without_a_value_is_named_whatever_the_database() {
    let key = "11".repeat(32);
    let text = format!("[security]\nencryption_key = [\"${{NEW}}\", \"${{OLD}}\"]\n{DESTINATION}");
    let said = |text: &str| {
        let settings = parse_with(text, &[("NEW", &key)]).unwrap();
        config::check_security(&settings).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    insta::assert_snapshot!(said(&text).join("\n"), @"security.encryption_key is not set: looked in leadsync.toml (line 2: ${OLD}, which is not in the environment), LEADSYNC_SECURITY__ENCRYPTION_KEY[_FILE]; set OLD");
    // Alone, SQLite has a key file instead.
    assert!(said(&text.replace("[\"${NEW}\", \"${OLD}\"]", "\"${OLD}\"")).is_empty());
}

#[test]
fn check_asks_for_all_that_the_configured_systems_need() {
    let problems = |settings: &Settings| -> String {
        config::check(settings).iter().map(|problem| format!("{problem}\n")).collect()
    };
    insta::assert_snapshot!(problems(&Settings::defaults()), @"no destination is configured, so leads have nowhere to go; add a table such as [destinations.7targets]");
    let text = format!("[database]\nurl = \"postgres://db/leads\"\n[enrich]\nkind = \"live_data\"\n{DESTINATION}");
    insta::assert_snapshot!(problems(&parse(&text).unwrap()), @r#"
security.encryption_key is not set: looked in leadsync.toml, LEADSYNC_SECURITY__ENCRYPTION_KEY[_FILE]; set it in one of them
enrich.organization is not set: looked in leadsync.toml, LEADSYNC_ENRICH__ORGANIZATION; set it in one of them
enrich.client_id is not set: looked in leadsync.toml, LEADSYNC_ENRICH__CLIENT_ID; set it in one of them
enrich.client_secret is not set: looked in leadsync.toml, LEADSYNC_ENRICH__CLIENT_SECRET[_FILE]; set it in one of them
destinations.7targets.client_id is not set: looked in leadsync.toml, LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_ID; set it in one of them
destinations.7targets.client_secret is not set: looked in leadsync.toml, LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_SECRET[_FILE]; set it in one of them
destinations.7targets.assistant_email is not set: looked in leadsync.toml, LEADSYNC_DESTINATIONS__7TARGETS__ASSISTANT_EMAIL; set it in one of them
"#);
    let key = "[enrich]\nkind = \"live_data\"\norganization = \"o_1\"\napi_key = \"${KEY}\"\n";
    insta::assert_snapshot!(problems(&parse(key).unwrap()), @r#"
enrich.api_key is not set: looked in leadsync.toml (line 4: ${KEY}, which is not in the environment), LEADSYNC_ENRICH__API_KEY[_FILE]; set KEY
no destination is configured, so leads have nowhere to go; add a table such as [destinations.7targets]
"#);
    let password = "[enrich]\nkind = \"live_data\"\norganization = \"o_1\"\nusername = \"ann\"\n";
    insta::assert_snapshot!(problems(&parse(password).unwrap()), @r#"
enrich.password is not set: looked in leadsync.toml, LEADSYNC_ENRICH__PASSWORD[_FILE]; set it in one of them
no destination is configured, so leads have nowhere to go; add a table such as [destinations.7targets]
"#);
}

#[test]
fn config_show_names_every_origin_and_no_secret() {
    let text = format!(
        "[security]\nencryption_key = \"{}\"\n[enrich]\nkind = \"live_data\"\nclient_secret = \"{SECRET}\"\nrate = \"120/min\"\n\
         api_key = \"${{NOT_THERE}}\"\n{DESTINATION}client_secret = \"${{SECRET}}\"\nassistant_id = 61\n\
         [destinations.7targets.fields]\n\"odd name\" = 'a \"quoted\" text'\n[csv.columns]\nemail = \"E-Mail\"\n",
        "ab".repeat(32)
    );
    let url = format!("postgres://ann:{SECRET}@db/leads");
    let pairs = [("SECRET", SECRET), ("DATABASE_URL", &url), ("LEADSYNC_RUN__GRACE", "90s")];
    let settings = parse_with(&text, &pairs).unwrap();
    let shown = config::show(&settings);
    insta::assert_snapshot!(shown, @r#"
# leadsync.toml; secrets are hidden
database.url = "postgres://ann:***@db/leads"                                 # DATABASE_URL
database.schema = "public"                                                   # default
database.migrate = true                                                      # default
security.encryption_key = "***"                                              # leadsync.toml:2
run.lease = "60s"                                                            # default
run.wait = "60s"                                                             # default
run.grace = "90s"                                                            # LEADSYNC_RUN__GRACE
normalise.default_region = "US"                                              # default
enrich.kind = "live_data"                                                    # leadsync.toml:4
enrich.cache_days = 30                                                       # default
enrich.prefer = "source"                                                     # default
enrich.when_unavailable = "wait"                                             # default
enrich.job_changed = "send"                                                  # default
enrich.identity_url = "https://gotlivedata.io/api/identity/v1"               # default
enrich.people_url = "https://gotlivedata.io/api/people/v1"                   # default
enrich.client_secret = "***"                                                 # leadsync.toml:5
enrich.match_on = ["email_address"]                                          # default
enrich.batch_size = 100                                                      # default
enrich.rate = "120/min"                                                      # leadsync.toml:6
enrich.concurrency = 2                                                       # default
enrich.timeout = "30s"                                                       # default
destinations.7targets.kind = "seven_targets"                                 # leadsync.toml:9
destinations.7targets.default = true                                         # the only destination
destinations.7targets.api_url = "https://api.7targets.com"                   # default
destinations.7targets.token_url = "https://login.7targets.com/oauth2/token"  # default
destinations.7targets.client_secret = "***"                                  # leadsync.toml:10 (${SECRET})
destinations.7targets.scope = "leads/post"                                   # default
destinations.7targets.assistant_id = 61                                      # leadsync.toml:11
destinations.7targets.rate = "5/s"                                           # default
destinations.7targets.concurrency = 8                                        # default
destinations.7targets.unknown = "update"                                     # default
destinations.7targets.already_exists = ["exist", "duplicate"]                # default
destinations.7targets.fields."odd name" = 'a "quoted" text'                  # leadsync.toml:13
destinations.7targets.timeout = "30s"                                        # default
destinations.7targets.settle = "5s"                                          # default
retry.max_attempts = 8                                                       # default
retry.initial_interval = "500ms"                                             # default
retry.max_interval = "15min"                                                 # default
csv.columns.email = "E-Mail"                                                 # leadsync.toml:15
# enrich.api_key is not set: leadsync.toml:7 has ${NOT_THERE}, which is not in the environment
"#);
    assert_eq!(settings.database.shown_url(), "postgres://ann:***@db/leads");

    for text in [shown, format!("{settings:?}"), format!("{:?}", settings.origins)] {
        assert!(!text.contains(SECRET) && !text.contains("abab"), "a secret is in {text}");
    }
    let sources =
        Sources { database: Some(Secret::new(url.clone())), environment: environment(&pairs), ..Sources::default() };
    assert!(!format!("{sources:?}").contains(SECRET));
}

#[test]
fn config_show_prints_toml_that_means_the_same() {
    let text = fs::read_to_string(root("samples/leadsync.toml")).unwrap();
    let settings = parse(&text).unwrap();
    let again = parse(&config::show(&settings)).unwrap();
    let values = |settings: &Settings| -> BTreeMap<String, String> {
        settings.origins.effective().iter().map(|effective| (effective.key.clone(), effective.value.clone())).collect()
    };
    assert_eq!(values(&again), values(&settings));
}

// What the repository ships

#[test]
fn the_sample_loads_and_lacks_nothing_but_its_secrets() {
    let text = fs::read_to_string(root("samples/leadsync.toml")).unwrap();
    let settings = parse(&text).unwrap();
    let missing: Vec<String> = config::check(&settings)
        .iter()
        .map(|problem| problem.message.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        missing,
        [
            "enrich.client_id",
            "enrich.client_secret",
            "destinations.7targets.client_id",
            "destinations.7targets.client_secret"
        ]
    );
    let pairs = [
        ("LIVE_DATA_CLIENT_ID", "a"),
        ("LIVE_DATA_CLIENT_SECRET", "b"),
        ("SEVEN_TARGETS_CLIENT_ID", "c"),
        ("SEVEN_TARGETS_CLIENT_SECRET", "d"),
    ];
    assert_eq!(config::check(&parse_with(&text, &pairs).unwrap()), []);
}

#[test]
fn the_sample_has_every_key_and_the_true_defaults() {
    let text = fs::read_to_string(root("samples/leadsync.toml")).unwrap();
    // Uncommenting every setting must still be a configuration, but for the several ways to log in.
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_setting(rest) && !rest.starts_with("api_key") && !rest.starts_with("password") => rest,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let settings = parse(&uncommented).unwrap();
    let ours = |key: &&schema::Key| !key.path.starts_with("destinations.") || kind_of(key) == "seven_targets";
    for key in schema::keys().iter().filter(ours) {
        let path = named(key, "7targets").replace(".context", ".additionalInformationLine");
        let name = path.rsplit('.').next().unwrap();
        assert!(
            text.lines().any(|line| is_setting_of(line.trim_start_matches("# "), name)),
            "{path} is not in the sample"
        );
        let effective = settings.origins.effective().iter().find(|effective| effective.key == path);
        if let (Some(default), Some(effective)) = (key.default, effective) {
            let expected = if name == "default" { "true" } else { default };
            assert_eq!(effective.value, expected, "{path} differs from its default");
        }
    }
}

fn is_setting(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

fn is_setting_of(line: &str, name: &str) -> bool {
    line.split_once(" = ").is_some_and(|(given, _)| given == name)
}

#[test]
fn the_documentation_lists_every_key_as_it_is() {
    let path = root("docs/configuration.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("cargo test --test config) -->\n", "<!-- keys: end -->");
    let (before, rest) = text.split_once(begin).expect("docs/configuration.md has lost its marks");
    let (_, after) = rest.split_once(end).expect("docs/configuration.md has lost its marks");
    let expected = format!("{before}{begin}{}{end}{after}", key_table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, expected).unwrap();
        return;
    }
    assert!(text == expected, "docs/configuration.md is out of date: UPDATE_DOCS=1 cargo test --test config");
}

fn key_table() -> String {
    let mut table = String::new();
    let mut section = ("", "");
    for key in schema::keys() {
        let (parent, name) = key.path.rsplit_once('.').unwrap();
        // What a kind has of its own stands under its name.
        let of = if parent.starts_with("destinations.") { key.of } else { "" };
        if (parent, of) != section {
            section = (parent, of);
            let kind = if of.is_empty() { String::new() } else { format!(" of kind `{of}`") };
            let _ =
                write!(table, "\n### `[{parent}]`{kind}\n\n| key | default | meaning | example |\n|---|---|---|---|\n");
        }
        let default = key.default.map_or_else(|| "not set".to_owned(), |default| format!("`{default}`"));
        let secret = if key.kind.is_secret() { " *(secret)*" } else { "" };
        let of = if key.of.is_empty() || !of.is_empty() { String::new() } else { format!("`{}`: ", key.of) };
        let _ = writeln!(table, "| `{name}`{secret} | {default} | {of}{} | `{}` |", key.meaning, key.example);
    }
    table.push('\n');
    table
}

#[test]
fn every_default_and_example_is_one_that_the_key_takes() {
    for key in schema::keys() {
        let path = named(key, "x");
        let hex = "00".repeat(32);
        let value = if key.kind == Kind::EncryptionKeys { format!("\"{hex}\"") } else { key.example.to_owned() };
        let default = if path == "destinations.x.default" { "true" } else { value.as_str() };
        let mut text = format!("{path} = {default}\n");
        if path.starts_with("destinations.") && path != "destinations.x.kind" {
            text.push_str(&format!("destinations.x.kind = \"{}\"\n", kind_of(key)));
        }
        if path.starts_with("enrich.") && path != "enrich.kind" {
            text.push_str("enrich.kind = \"live_data\"\n");
        }
        parse(&text).unwrap_or_else(|error| panic!("{}: {error}", key.path));
    }
}

/// An eighth of the largest file that is read, full of what takes longest: what takes the square of its length is seen.
#[test]
fn a_configuration_of_great_size_is_told_what_is_wrong_and_how_much_of_it() {
    let filled = |part: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for n in 0.. {
            let next = part(n);
            if text.len() + next.len() > 32 << 10 {
                return text;
            }
            text.push_str(&next);
        }
        text
    };
    for (text, expected) in [
        (filled(&|n| format!("k{n}=1\n")), "problems"),
        (filled(&|n| format!("[t{n}]\n")), "problems"),
        (filled(&|n| format!("[destinations.d{n}]\n")), "destinations are named; expected at most 100"),
        (filled(&|_| "[[run]]\n".to_owned()), "expected a table"),
        (filled(&|_| "[".to_owned()), "not valid TOML"),
        (format!("a = {}", filled(&|_| "[".to_owned())), "not valid TOML"),
        (format!("a = {}", filled(&|_| "{a=".to_owned())), "not valid TOML"),
        (format!("{}a = 1", filled(&|_| "a.".to_owned())), "not valid TOML"),
        (format!("a = \"{}", filled(&|_| "x".to_owned())), "not valid TOML"),
        (format!("a = \"\"\"{}", filled(&|_| "x\n".to_owned())), "not valid TOML"),
        (filled(&|_| "\n".to_owned()) + "=", "not valid TOML"),
        (filled(&|_| "=\n".to_owned()), "not valid TOML"),
        (format!("[run]\nlease = \"{}\"", filled(&|_| "9".to_owned())), "run.lease"),
        (format!("[run]\nlease = \"{}\"", filled(&|_| "${X:-".to_owned())), "run.lease"),
        (
            format!(
                "{DESTINATION}[destinations.7targets.fields]\nx = \"{{{{ {}1 }}}}\"",
                filled(&|_| "not ".to_owned())
            ),
            "at most 2000 bytes",
        ),
        (format!("[csv.columns]\nemail = [{}]", filled(&|_| "1,".to_owned())), "csv.columns.email"),
    ] {
        let beginning: String = text.chars().take(20).collect();
        let said = error(&text);
        assert!(said.contains(expected), "{beginning}: {}", said.chars().take(300).collect::<String>());
        assert!(said.len() < 20_000, "{beginning}: {} bytes", said.len());
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = parse(&text).map(|settings| config::show(&settings)).map_err(|error| error.to_string());
    }

    #[test]
    fn no_toml_makes_it_panic_or_tell_a_secret(
        lines in proptest::collection::vec((any::<proptest::sample::Index>(), 0_usize..12), 0..12),
    ) {
        let values = [
            "1", "-1", "99999999999999999999", "1.5", "true", "\"\"", "\"s3cr3t-never-shown\"", "[]", "[[1], \"x\"]", "{ a = 1 }",
            "2026-11-22T05:30:59Z", "\"${X:-s3cr3t-never-shown}\"",
        ];
        let text: String = lines
            .iter()
            .map(|(index, value)| {
                let key = index.get(schema::keys());
                let path = named(key, "a");
                let twin = if key.kind.is_secret() && index.index(3) == 0 { "_file" } else { "" };
                format!("{path}{twin} = {}\n", values[*value])
            })
            .collect();
        let secrets_only = |message: &str| {
            // What is no secret may be repeated; what is one, never.
            message.lines().filter(|line| line.contains(SECRET)).all(|line| {
                !["secret", "api_key", "password", "encryption_key", "database.url"].iter().any(|key| line.contains(&format!("{key}`")))
            })
        };
        match parse(&text) {
            Ok(settings) => {
                let shown = config::show(&settings);
                for line in shown.lines().filter(|line| line.contains(SECRET)) {
                    let key = line.split(' ').next().unwrap_or_default();
                    prop_assert!(!["secret", "api_key", "password", "encryption_key"].iter().any(|word| key.ends_with(word)), "{}", line);
                }
            }
            Err(error) => prop_assert!(secrets_only(&error.to_string()), "{}", error),
        }
    }

    #[test]
    fn variables_of_any_name_make_no_panic(name in "LEADSYNC_[A-Z_]{0,30}", value in "\\PC{0,20}") {
        let _ = config::parse("", "", [(name, value)].into_iter().collect()).map_err(|error| error.to_string());
    }
}

#[test]
fn flags_read_durations_and_rates_as_the_file_does() {
    assert_eq!(values::duration("10m").unwrap().as_secs(), 600);
    assert_eq!(values::rate("50/s").unwrap().unwrap().to_string(), "50/s");
}
