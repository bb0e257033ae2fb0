use super::*;
use clap::CommandFactory;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_is_free_of_contradictions() {
    Cli::command().debug_assert();
}

#[test]
fn global_flags_stand_before_or_after_the_command() {
    for line in ["leadsync --config a.toml -q run --limit 3", "leadsync run --limit 3 -q --config a.toml"] {
        let cli = parse(line).unwrap();
        assert_eq!(cli.global.config, Some(PathBuf::from("a.toml")));
        assert_eq!(cli.global.quiet, 1);
        assert!(matches!(cli.command, Command::Run(RunArgs { limit: Some(3), .. })));
    }
}

#[test]
fn a_remote_id_is_given_with_an_equals_sign_so_that_lead_ids_are_never_taken_for_one() {
    let Command::Resolve(args) = parse("leadsync resolve --delivered 17").unwrap().command else { panic!() };
    assert_eq!((args.leads, args.delivered.as_deref()), (vec![LeadId(17)], Some("")));
    let Command::Resolve(args) = parse("leadsync resolve --id 17 --delivered=A-1").unwrap().command else { panic!() };
    assert_eq!((args.ids, args.delivered.as_deref()), (vec![LeadId(17)], Some("A-1")));
    assert!(parse("leadsync resolve --delivered").is_err(), "no lead named");
    assert!(parse("leadsync resolve 17").is_err(), "no answer given");
    assert!(parse("leadsync resolve 17 --delivered --absent").is_err(), "both answers given");
}

#[test]
fn debug_output_of_the_arguments_hides_the_database_password() {
    let cli = parse("leadsync --database postgres://u:hunter2@db/x status").unwrap();
    assert!(!format!("{cli:?}").contains("hunter2"));
}

#[test]
fn the_help_of_the_sandbox_names_every_fault_and_every_target() {
    let mut command = Cli::command();
    let help = command.find_subcommand_mut("sandbox").unwrap().render_long_help().to_string();
    for unknown in ["create:x=1%", "x:500=1%"] {
        let said = unknown.parse::<crate::sandbox::FaultPlan>().unwrap_err().to_string();
        let (_, words) = said.rsplit_once("one of ").unwrap();
        for word in words.split(", ") {
            let named = help.split(|c: char| !c.is_ascii_alphanumeric() && !"-_*".contains(c)).any(|it| it == word);
            assert!(named, "{word} is missing in\n{help}");
        }
    }
}

#[test]
fn nonsense_is_refused() {
    for line in [
        "leadsync run --limit 0",
        "leadsync results --state done",
        "leadsync retry --id 0",
        "leadsync run -q -v",
        "leadsync pause",
        "leadsync pause crm --for 0s",
        "leadsync resume",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
