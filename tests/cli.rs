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

const COMMANDS: [&str; 14] = [
    "demo",
    "import",
    "run",
    "status",
    "explain",
    "results",
    "retry",
    "resolve",
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
    let wrong: [&[&str]; 14] = [
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
