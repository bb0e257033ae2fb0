//! The command line as a shell sees it: standard output, standard error, exit code.

use assert_cmd::Command;

struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program in an empty directory, with nothing of ours in its environment.
fn leadsync(args: &[&str]) -> Said {
    leadsync_with(args, &[])
}

fn leadsync_with(args: &[&str], env: &[(&str, &str)]) -> Said {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::cargo_bin("leadsync").unwrap();
    command.args(args).current_dir(place.path());
    for unset in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "RUST_LOG", "RUST_BACKTRACE", "DATABASE_URL"] {
        command.env_remove(unset);
    }
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LEADSYNC_")) {
        command.env_remove(name);
    }
    let output = command.env("XDG_CONFIG_HOME", place.path()).envs(env.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

const COMMANDS: [&str; 18] = [
    "demo",
    "init",
    "import",
    "run",
    "status",
    "explain",
    "results",
    "retry",
    "resolve",
    "pause",
    "resume",
    "doctor",
    "db",
    "config",
    "auth",
    "sandbox",
    "completions",
    "man",
];

#[test]
fn help_lists_every_command_the_exit_codes_and_examples_on_stdout() {
    let said = leadsync(&["--help"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    for command in COMMANDS {
        assert!(said.out.contains(&format!("\n  {command} ")), "{command} is missing:\n{}", said.out);
    }
    assert!(said.out.contains("Exit codes:\n  0  done"), "{}", said.out);
    assert!(said.out.contains("Examples:\n  leadsync demo"), "{}", said.out);
}

#[test]
fn every_command_has_help_of_its_own() {
    for command in COMMANDS {
        let said = leadsync(&[command, "--help"]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{command}");
        assert!(said.out.contains(&format!("Usage: leadsync {command}")), "{command}:\n{}", said.out);
        assert!(said.out.contains("--config <FILE>"), "global flags stand after the command, too: {command}");
    }
}

#[test]
fn version_names_program_and_version() {
    let said = leadsync(&["--version"]);
    assert_eq!((said.code, said.out.trim()), (0, concat!("leadsync ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn usage_errors_end_with_2_and_leave_stdout_empty() {
    let wrong: [&[&str]; 15] = [
        &[],
        &["frobnicate"],
        &["import"],
        &["import", "a.csv", "--queue-only", "--all"],
        &["run", "--limit", "0"],
        &["run", "--max-duration", "soon"],
        &["run", "--frobnicate"],
        &["explain"],
        &["results", "--format", "xml"],
        &["results", "--state", "done"],
        &["retry"],
        &["retry", "--state", "unconfirmed"],
        &["resolve", "17"],
        &["completions", "cobol"],
        &["init", "--with-secrets"],
    ];
    for args in wrong {
        let said = leadsync(args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}\n{}", said.err);
        assert!(!said.err.is_empty(), "{args:?}");
    }
}

#[test]
fn an_unknown_command_is_named_with_the_nearest_known_one() {
    let said = leadsync(&["improt", "leads.csv"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("'improt'") && said.err.contains("'import'"), "{}", said.err);
}

#[test]
fn retry_without_a_condition_asks_for_one() {
    let said = leadsync(&["retry"]);
    let expected = "error: retry needs to know which leads: give --state, --reason, --id or --run\n\nhint: ";
    assert!(said.err.starts_with(expected), "{}", said.err);
}

#[test]
fn an_address_typed_in_the_wrong_place_is_not_repeated() {
    for args in [["ann@example.com", "status"], ["status", "ann@example.com"]] {
        let said = leadsync(&args);
        assert_eq!(said.code, 2);
        assert!(!said.err.contains("ann") && said.err.contains("'***'"), "{}", said.err);
    }
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = leadsync(&["completions", shell]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{shell}");
        assert!(said.out.contains("leadsync") && said.out.contains("queue-only"), "{shell}");
    }
}

#[test]
fn the_manual_page_is_roff_for_the_program_and_for_each_command() {
    let page = leadsync(&["man"]);
    assert_eq!((page.code, page.err.as_str()), (0, ""));
    assert!(page.out.contains(".TH leadsync 1") && page.out.contains("Exit codes"), "{}", page.out);
    let page = leadsync(&["man", "import"]);
    assert!(page.out.contains(".TH leadsync-import 1"), "{}", page.out);
    assert_eq!(leadsync(&["man", "frobnicate"]).code, 2);
}

#[test]
fn colours_are_for_terminals_unless_forced_and_no_color_wins() {
    let coloured = |env: &[(&str, &str)]| leadsync_with(&["retry"], env).err.contains('\u{1b}');
    assert!(!coloured(&[]), "a pipe is no terminal");
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
}

#[test]
fn errors_are_one_json_object_a_line_where_logs_are() {
    let said = leadsync(&["--log-format", "json", "retry"]);
    assert_eq!(said.code, 2);
    let line: serde_json::Value = serde_json::from_str(said.err.trim()).unwrap();
    assert_eq!((&line["level"], &line["exit_code"]), (&"ERROR".into(), &2.into()));
    assert!(line["hint"].as_str().unwrap().contains("leadsync retry"), "{line}");
}

#[test]
fn a_reader_that_closes_the_pipe_early_is_no_error() {
    use std::process::{Command, Stdio};
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(env!("CARGO_BIN_EXE_leadsync"))
        .args(["completions", "bash"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!((status.status.code(), status.stderr.as_slice()), (Some(0), b"".as_slice()));
}

/// A directory to work in, as an operator has it: one SQLite file, and the sandbox in another process.
struct Place {
    dir: tempfile::TempDir,
    sandbox: Option<std::process::Child>,
}

/// What `leadsync sandbox` prints for whoever wants to use it, and the process.
fn start_sandbox(listen: &str) -> (std::process::Child, String) {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_leadsync"))
        .args(["sandbox", "--listen", listen])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut config = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        config.push_str(&line);
        config.push('\n');
        // The last line of the last table.
        if line.contains("rate = ") && config.contains("[destinations.plain]") {
            break;
        }
    }
    (child, config)
}

impl Place {
    /// With a `leadsync.toml` for nobody in particular.
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("leadsync.toml"), config).unwrap();
        Self { dir, sandbox: None }
    }

    /// With a `leadsync.toml` for a sandbox of its own.
    fn with_sandbox() -> Self {
        let (child, config) = start_sandbox("127.0.0.1:0");
        let mut place = Self::new(&config);
        place.sandbox = Some(child);
        place
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// What is there besides the configuration.
    fn files(&self) -> Vec<String> {
        let names =
            std::fs::read_dir(self.dir.path()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "leadsync.toml" && !name.ends_with(".csv")).collect();
        names.sort();
        names
    }

    /// Changes the configuration.
    fn mend(&self, from: &str, to: &str) {
        let config = self.read("leadsync.toml");
        assert!(config.contains(from), "{config}");
        self.write("leadsync.toml", &config.replace(from, to));
    }

    fn run(&self, args: &[&str]) -> Said {
        self.run_with_input(args, "")
    }

    fn run_with_input(&self, args: &[&str], input: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leadsync"));
        command.args(args).current_dir(self.dir.path()).write_stdin(input);
        for unset in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "RUST_LOG", "RUST_BACKTRACE", "DATABASE_URL"] {
            command.env_remove(unset);
        }
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LEADSYNC_")) {
            command.env_remove(name);
        }
        let output = command.env("XDG_CONFIG_HOME", self.dir.path()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let said = Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
        assert!(!said.err.contains("panicked") && !said.err.contains("sandbox-secret"), "{}", said.err);
        assert!(!said.err.contains("example.org"), "no address on standard error: {}", said.err);
        said
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(sandbox) = &mut self.sandbox {
            let _ = sandbox.kill();
            let _ = sandbox.wait();
        }
    }
}

const ROWS: &str = "email,first_name\n\
    ann@example.org,Ann\n\
    not-an-address,Ned\n\
    Ann@Example.org,Ann again\n\
    few@example.org\n\
    bob@example.org,Bob\n";

#[test]
fn commands_that_only_look_make_no_database() {
    let place = Place::new("");
    for args in [
        &["status"][..],
        &["results"],
        &["explain", "1"],
        &["retry", "--id", "1"],
        &["resolve", "1", "--absent"],
        &["auth", "status"],
        &["auth", "rekey"],
        &["pause", "enrich"],
        &["resume", "enrich"],
        &["db", "status"],
    ] {
        let said = place.run(args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}");
        assert!(said.err.contains("there is no database `leadsync.db` yet"), "{args:?}: {}", said.err);
    }
    assert_eq!(place.files(), [""; 0]);
    assert_eq!(place.run(&["db", "migrate"]).code, 0);
    assert_eq!(place.run(&["status"]).code, 0);
}

#[test]
fn a_missing_secret_is_told_before_anything_is_made() {
    let place = Place::with_sandbox();
    place.write("leads.csv", ROWS);
    place.mend("client_secret = \"sandbox-secret\"", "client_secret = \"${NO_SUCH_SECRET}\"");
    for args in [&["import", "leads.csv"][..], &["run"]] {
        let said = place.run(args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}");
        for expected in [
            "error: the configuration has 2 problems",
            "enrich.client_secret is not set: looked in leadsync.toml (line 11: ${NO_SUCH_SECRET}, which is not in the environment)",
            "LEADSYNC_DESTINATIONS__7TARGETS__CLIENT_SECRET[_FILE]; set NO_SUCH_SECRET",
        ] {
            assert!(said.err.contains(expected), "{args:?}: {}", said.err);
        }
        assert_eq!(place.files(), [""; 0], "{args:?}");
    }
    let said = place.run(&["import", "--queue-only", "leads.csv"]);
    assert_eq!(said.code, 3, "loading needs no secret: {}", said.err);
}

#[test]
fn a_misspelt_name_in_a_template_is_found_before_a_row_is_loaded() {
    let place = Place::with_sandbox();
    place.write("leads.csv", ROWS);
    let config = place.read("leadsync.toml") + "[destinations.7targets.fields]\ncontext = \"{{ person.titel }}\"\n";
    place.write("leadsync.toml", &config);
    for args in [&["config", "check"][..], &["import", "leads.csv"], &["run"]] {
        let said = place.run(args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}");
        assert!(said.err.contains("did you mean `person.title`?"), "{args:?}: {}", said.err);
    }
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_wrong_secret_names_account_and_remedy_and_touches_no_lead() {
    let place = Place::with_sandbox();
    place.write("leads.csv", ROWS);
    let config = place.read("leadsync.toml");
    let (before, destination) = config.split_once("[destinations.7targets]").unwrap();
    let wrong = destination.replace("sandbox-secret", "wrong-s3cret");
    place.write("leadsync.toml", &format!("{before}[destinations.7targets]{wrong}"));
    let said = place.run(&["import", "leads.csv"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(!said.err.contains("wrong-s3cret"));
    assert!(said.err.contains("invalid_client") && said.err.contains("in [destinations.7targets]"), "{}", said.err);
    assert!(said.err.contains("leadsync run") || said.err.contains(" run "), "{}", said.err);
    let states = place.run(&["results"]).out;
    assert_eq!(states.matches(",received,").count(), 3, "{states}");
    place.write("leadsync.toml", &config);
    assert_eq!(place.run(&["-q", "run"]).code, 0);
}

#[test]
fn a_missing_assistant_or_a_server_that_is_down_stops_before_the_first_lead() {
    let place = Place::with_sandbox();
    place.write("leads.csv", ROWS);
    place.mend("ashley@", "nobody@");
    let said = place.run(&["import", "leads.csv"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("destinations.7targets.assistant_email"), "{}", said.err);
    assert_eq!(place.run(&["results", "--state", "received"]).out.lines().count(), 4);

    place.mend("api_url = \"http://", "api_url = \"https://");
    let said = place.run(&["run"]);
    assert_eq!(said.code, 4, "{}", said.err);
    assert!(said.err.contains("no TLS connection"), "{}", said.err);
    assert_eq!(place.run(&["results", "--state", "received"]).out.lines().count(), 4);
}

#[test]
fn an_import_is_told_explained_and_repeated_without_sending_anything() {
    let place = Place::with_sandbox();
    place.write("leads.csv", ROWS);
    let said = place.run(&["import", "leads.csv"]);
    assert_eq!((said.code, said.out.as_str()), (3, ""), "{}", said.err);
    for expected in [
        "in 5 = delivered 2 + rejected 2 + exhausted 0 + unconfirmed 0 + skipped 1 + waiting 0  ✓",
        "1 × email: not an e-mail address, it has no @",
        "1 × too few fields: 1, the header has 2",
        "rejected rows, to be fixed and imported again: leads.csv.rejected.csv",
        "1 × duplicate of another lead",
    ] {
        assert!(said.err.contains(expected), "{expected}:\n{}", said.err);
    }
    assert_eq!(place.read("leads.csv.rejected.csv").lines().count(), 3);

    let status = place.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!((&status["states"]["delivered"], &status["states"]["rejected"]), (&2.into(), &2.into()));
    assert_eq!(status["last_run"]["exit_code"], 3);

    let told = place.run(&["explain", "ANN@example.org"]).out;
    for expected in [
        "lead 1  delivered",
        "look-up",
        "enrich    lookup  200",
        "7targets  create  201",
        "lead 3  skipped  duplicate of lead 1",
    ] {
        assert!(told.contains(expected), "{expected}:\n{told}");
    }
    let told = place.run(&["explain", "2"]).out;
    assert!(told.contains("lead 2  rejected  email: not an e-mail address"), "{told}");
    assert!(told.contains("leads.csv, line 3") && told.contains("retry --id 2"), "{told}");

    let results = place.run(&["results", "--format", "jsonl", "--state", "delivered"]).out;
    let lines: Vec<serde_json::Value> = results.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["remote_id"].is_string()), "{results}");

    let auth = place.run(&["auth", "status"]).out;
    assert!(auth.contains("7targets  ok  expires in") && auth.contains("enrich    ok  expires in"), "{auth}");

    let again = place.run(&["import", "leads.csv", "--accept-rejects"]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.err.contains("skipped 3 ") && !again.err.contains(" create"), "{}", again.err);
}

#[test]
fn leads_are_put_back_and_what_can_not_be_is_refused() {
    let place = Place::with_sandbox();
    place.write("leads.csv", ROWS);
    assert_eq!(place.run(&["import", "-q", "--accept-rejects", "leads.csv"]).err, "", "quiet while all is well");
    let said = place.run(&["retry", "--state", "rejected"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.starts_with("2 leads put back into the queue"), "{}", said.out);
    assert_eq!(place.run(&["-q", "run", "--accept-rejects"]).err, "");
    let said = place.run(&["resolve", "1", "--delivered"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("lead 1 is delivered, not unconfirmed; no lead was changed"), "{}", said.err);
    assert_eq!(place.run(&["resolve", "99", "--absent"]).code, 2);
    assert_eq!(place.run(&["retry", "--id", "99"]).code, 2);
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let place = Place::with_sandbox();
    let said = place.run_with_input(&["import", "-"], ROWS);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("standard input: UTF-8"), "{}", said.err);
    assert!(place.path("stdin.rejected.csv").exists());
    assert!(place.run(&["explain", "1"]).out.contains("standard input, line 2"));
}

#[test]
fn a_file_that_can_not_be_used_costs_one_line_and_nothing_else() {
    let place = Place::with_sandbox();
    place.write("empty.csv", "");
    place.write("names.csv", "name,phone\nAnn,1\n");
    place.write("headless.csv", "ann@example.org,Ann\n");
    std::fs::write(place.path("book.csv"), b"PK\x03\x04\0\0\0\0").unwrap();
    std::fs::create_dir(place.path("folder.csv")).unwrap();
    let wrong = [
        ("nosuch.csv", "no such file"),
        ("empty.csv", "is empty"),
        ("names.csv", "has no e-mail column; found `name`, `phone`"),
        ("headless.csv", "has no header"),
        ("book.csv", "workbook"),
        ("folder.csv", "is a directory"),
    ];
    for (file, expected) in wrong {
        let said = place.run(&["import", file]);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{file}: {}", said.err);
        assert!(said.err.contains(expected) && said.err.trim().lines().count() == 1, "{file}: {}", said.err);
    }
    let said = place.run(&["import", "--destination", "nope", "empty.csv"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("hint: configured are: 7targets"), "{}", said.err);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn proposed_commands_repeat_the_configuration_that_was_given() {
    let place = Place::with_sandbox();
    std::fs::rename(place.path("leadsync.toml"), place.path("other.toml")).unwrap();
    place.write("leads.csv", ROWS);
    let said = place.run(&["--config", "other.toml", "import", "leads.csv"]);
    assert!(said.err.contains("leadsync --config other.toml results --run 1"), "{}", said.err);
}

#[test]
fn the_configuration_is_shown_without_secrets() {
    let place = Place::with_sandbox();
    assert_eq!(place.run(&["config", "check"]).code, 0);
    let shown = place.run(&["config", "show"]).out;
    assert!(!shown.contains("sandbox-secret") && shown.contains("client_secret = \"***\""), "{shown}");
}

#[test]
fn a_port_in_use_is_one_line_with_a_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let said = leadsync(&["sandbox", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("address in use") && said.err.contains("hint: "), "{}", said.err);
}

/// The README's "Five minutes" use it.
#[test]
fn the_sample_configuration_for_the_sandbox_is_what_the_sandbox_prints() {
    let (mut child, printed) = start_sandbox("127.0.0.1:0");
    let _ = child.kill();
    let _ = child.wait();
    let port = printed.split_once("127.0.0.1:").unwrap().1.split(':').next().unwrap().to_owned();
    let sample = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/sandbox.toml")).unwrap();
    assert_eq!(sample, printed.replace(&format!(":{port}"), ":8700"));
}

#[test]
fn the_demo_works_twice_in_one_place_and_its_lines_can_be_copied() {
    let place = Place::new("this is not read");
    for _ in 0..2 {
        let said = place.run(&["demo"]);
        assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
        assert!(said.err.contains("28 leads in the sandbox's own ledger, 0 of them created twice ✓"), "{}", said.err);
        assert!(said.err.contains("the reply about lead 7 was lost"), "{}", said.err);
        let program = env!("CARGO_BIN_EXE_leadsync");
        for line in said.err.lines() {
            let shown = line.replace(program, "target/release/leadsync");
            assert!(shown.chars().count() <= 100, "wider than 100 columns: {line}");
        }
        let copied: Vec<&str> = said.err.lines().filter_map(|line| line.trim().strip_prefix(program)).collect();
        assert_eq!(copied.len(), 4, "{}", said.err);
        for line in copied {
            let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
            let said = place.run(&words);
            assert_eq!(said.code, 0, "{line}: {}", said.err);
            assert!(!said.out.is_empty(), "{line}");
        }
    }
}

#[test]
fn a_demo_that_can_not_write_says_where_to_go() {
    let place = Place::new("");
    place.write("leadsync-demo", "a file is in the way");
    let said = place.run(&["demo"]);
    assert_eq!((said.code, said.out.as_str()), (4, ""));
    assert!(said.err.contains("could not write to the folder leadsync-demo"), "{}", said.err);
    assert!(said.err.contains("hint: start the demo in a directory that you may write to"), "{}", said.err);
}

// init

/// The same, in a directory that outlives it; standard input is `input`.
fn leadsync_in(place: &std::path::Path, args: &[&str], input: &str) -> Said {
    let mut command = Command::cargo_bin("leadsync").unwrap();
    command.args(args).current_dir(place).env("XDG_CONFIG_HOME", place).env_remove("DATABASE_URL");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LEADSYNC_")) {
        command.env_remove(name);
    }
    let output = command.env("NO_COLOR", "1").write_stdin(input).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

const CONNECTION: &str =
    "InitiateOAuth=GETANDREFRESH;OAuthClientId=app;OAuthClientSecret=hunter2;User=ann;Password='hunt;er3';Verbosity=3";

#[test]
fn init_writes_the_sample_once_and_never_over_another_file() {
    let place = tempfile::tempdir().unwrap();
    let said = leadsync_in(place.path(), &["init"], "");
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
    assert!(said.err.contains("wrote leadsync.toml") && said.err.contains("config check"), "{}", said.err);
    let written = std::fs::read_to_string(place.path().join("leadsync.toml")).unwrap();
    assert_eq!(written, std::fs::read_to_string("samples/leadsync.toml").unwrap());
    assert_eq!(leadsync_in(place.path(), &["config", "show"], "").code, 0);

    std::fs::write(place.path().join("leadsync.toml"), "mine").unwrap();
    let said = leadsync_in(place.path(), &["init"], "");
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("leadsync.toml is there already") && said.err.contains("--output"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(place.path().join("leadsync.toml")).unwrap(), "mine");
    let said = leadsync_in(place.path(), &["init", "-o", "no/such/folder/x.toml"], "");
    assert_eq!(said.code, 2, "{}", said.err);
    assert_eq!(leadsync_in(place.path(), &["-q", "init", "-o", "x.toml"], "").err, "");
}

#[test]
fn init_translates_a_connection_string_and_keeps_its_secrets_to_itself() {
    let place = tempfile::tempdir().unwrap();
    let from_stdin = leadsync_in(place.path(), &["init", "--from-connection-string", "-"], CONNECTION);
    let said = leadsync_in(place.path(), &["init", "--from-connection-string", CONNECTION], "");
    assert_eq!((said.code, &said.out), (0, &from_stdin.out), "{}", said.err);
    assert!(said.out.contains("auth.initiate = \"get_and_refresh\"") && said.out.contains("username = \"ann\""));
    assert!(!said.out.contains("hunt") && !said.err.contains("hunt"), "{}{}", said.out, said.err);
    assert!(said.err.contains("`Verbosity` is not known here"), "{}", said.err);
    let names = "LEADDESK_BASE_URL, LEADDESK_CONTACT_LIST_ID, LEADDESK_CLIENT_SECRET, LEADDESK_PASSWORD";
    assert!(said.err.contains(names), "{}", said.err);
    assert!(!place.path().join("leadsync.toml").exists());

    let whole = ["init", "--with-secrets", "-o", "leaddesk.toml", "--from-connection-string", CONNECTION];
    let said = leadsync_in(place.path(), &whole, "");
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
    let path = place.path().join("leaddesk.toml");
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written.contains("password = \"hunt;er3\""), "{written}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let said = leadsync_in(place.path(), &whole, "");
    assert_eq!(said.code, 2);
    assert!(!said.err.contains("hunt"), "{}", said.err);
}

#[test]
fn init_refuses_a_connection_string_that_it_can_not_read_without_repeating_it() {
    let place = tempfile::tempdir().unwrap();
    for (text, words) in [
        ("OAuthClientSecret=\"hunter2", "`OAuthClientSecret` is not closed"),
        ("hunter2", "part 1"),
        ("AuthScheme=Basic;Password=hunter2", "`AuthScheme`"),
        ("InitiateOAuth=sometimes;Password=hunter2", "OFF, GETANDREFRESH or REFRESH"),
        ("", "it is empty"),
    ] {
        let said = leadsync_in(place.path(), &["init", "--from-connection-string", "-"], text);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{text}");
        assert!(said.err.contains(words) && !said.err.contains("hunter"), "{text}: {}", said.err);
    }
}
