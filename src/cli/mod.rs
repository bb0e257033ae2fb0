//! The command line as operators see it: one function per command, errors as one plain line a cause, documented exit
//! codes ([`crate::exit::Exit`]).
//!
//! Data goes to standard output, everything else to standard error. E-mail addresses appear only in what `explain` and
//! `results` write to standard output, never in messages or logs.

mod accounts;
mod admin;
mod args;
mod auth;
mod config;
mod console;
mod context;
mod decide;
mod demo;
mod doctor;
mod explain;
mod failure;
#[cfg(test)]
mod fake;
mod import;
mod init;
mod login;
mod pause;
mod progress;
mod ready;
mod results;
mod run;
mod sandbox;
mod signals;
mod status;
mod summary;
mod words;
mod work;

use std::process::ExitCode;

use clap::Parser;

use self::args::{AuthCommand, Cli, Command, Global, LogFormat};
use self::console::Console;
use self::context::Context;
use self::failure::{Failure, Outcome};
use crate::crash;
use crate::exit::Exit;
use crate::telemetry::{self, Logging, Through};

/// Parses the command line, does what it says, and ends with the documented exit code.
pub fn main() -> ExitCode {
    failure::install_panic_hook();
    if let Err(unknown) = crash::arm() {
        console::say(&unknown);
        return ExitCode::from(Exit::Usage.code());
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    telemetry::init(logging(&cli.global), Through(console::write_log));
    // The demo has a configuration of its own.
    if !matches!(cli.command, Command::Demo(_)) {
        words::remember_call(words::called_as(&repeated(&cli.global)));
    }
    let json = cli.global.log_format == LogFormat::Json;
    // A panic in a task of the runtime is seen by the hook only; one on this thread ends up here.
    let ended = std::panic::catch_unwind(|| execute(cli)).unwrap_or(Ok(Exit::Bug));
    let exit = ended.unwrap_or_else(|failure| {
        failure.report(json);
        failure.exit()
    });
    let exit = if failure::panicked() { Exit::Bug } else { exit };
    ExitCode::from(exit.code())
}

/// `--help` and `--version` are answers; everything else is a usage error, said without repeating anybody's address.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::from(Exit::Done.code());
    }
    let typed = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    console::say(failure::mask_addresses(&error.render().ansi().to_string(), typed).trim_end());
    ExitCode::from(Exit::Usage.code())
}

fn logging(global: &Global) -> Logging {
    let count = |n: u8| i8::try_from(n).unwrap_or(i8::MAX);
    Logging {
        json: global.log_format == LogFormat::Json,
        colour: console::colours(),
        verbosity: count(global.verbose) - count(global.quiet),
    }
}

/// The flags that the next command needs as well. A Postgres address may hold a password and is not repeated.
fn repeated(global: &Global) -> Vec<String> {
    let mut flags = Vec::new();
    if let Some(file) = &global.config {
        flags.extend(["--config".to_owned(), file.display().to_string()]);
    }
    let database = global.database.as_ref().map(|url| url.expose());
    if let Some(url) = database.filter(|url| url.starts_with("sqlite:")) {
        flags.extend(["--database".to_owned(), url.to_owned()]);
    }
    flags
}

fn execute(cli: Cli) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from(anyhow::Error::new(error).context("could not start the worker threads")))?;
    let _inside = runtime.enter();
    signals::survive_file_size_limit()
        .map_err(|error| Failure::from(anyhow::Error::new(error).context("could not listen for signals")))?;
    let context = Context { console: Console::new(&cli.global), global: cli.global };
    let ended = runtime.block_on(dispatch(&cli.command, &context));
    // Not dropped: that would wait for blocking tasks, such as a read of a terminal that nobody types on.
    runtime.shutdown_background();
    ended
}

async fn dispatch(command: &Command, context: &Context) -> Outcome {
    match command {
        Command::Demo(args) => demo::demo(args, context).await,
        Command::Init(args) => init::init(args, context),
        Command::Import(args) => import::import(args, context).await,
        Command::Run(args) => run::run(args, context).await,
        Command::Sandbox(args) => sandbox::sandbox(args, context).await,
        Command::Config { command } => config::config(command, context),
        Command::Status(args) => status::status(args, context).await,
        Command::Explain(args) => explain::explain(args, context).await,
        Command::Results(args) => results::results(args, context).await,
        Command::Retry(args) => decide::retry(args, context).await,
        Command::Resolve(args) => decide::resolve(args, context).await,
        Command::Pause(args) => pause::pause(args, context).await,
        Command::Resume(args) => pause::resume(args, context).await,
        Command::Doctor(args) => doctor::doctor(args, context).await,
        Command::Db { command } => admin::db(command, context).await,
        Command::Auth { command: AuthCommand::Status(args) } => auth::status(args, context).await,
        Command::Auth { command: AuthCommand::Refresh(args) } => auth::refresh(args, context).await,
        Command::Auth { command: AuthCommand::Login(args) } => login::login(args, context).await,
        Command::Auth { command: AuthCommand::Rekey } => auth::rekey(context).await,
        Command::Completions { shell } => admin::completions(*shell),
        Command::Man { command } => admin::man(command.as_deref()),
    }
}
