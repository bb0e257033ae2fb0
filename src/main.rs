use std::process::ExitCode;

fn main() -> ExitCode {
    leadsync::cli::main()
}
