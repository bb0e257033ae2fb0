//! The small commands: `db`, `completions`, `man`.

use std::io::Write as _;

use clap::CommandFactory;

use super::args::{Cli, DbCommand};
use super::console::{self, BOLD, CODE, GOOD, WARN, paint};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::words;
use crate::exit::Exit;
use crate::store::{SchemaStatus, StoreError};

/// Runs `leadsync db`.
pub async fn db(command: &DbCommand, context: &Context) -> Outcome {
    let opened = match command {
        DbCommand::Status => context.open().await?,
        DbCommand::Migrate => context.open_or_create(context.settings()?).await?,
    };
    let store = &*opened.store;
    let before = store.schema_status().await?;
    let text = match command {
        DbCommand::Status => schema(before)?,
        DbCommand::Migrate => {
            let after = store.migrate().await?;
            if after.applied == before.applied {
                format!("schema version {}: nothing to do", after.applied)
            } else {
                format!("schema brought from version {} to {}", before.applied, after.applied)
            }
        }
    };
    let location = store.location();
    store.close().await;
    writeln!(console::stdout(), "{}  {text}", paint(BOLD, location))?;
    Ok(Exit::Done)
}

fn schema(status: SchemaStatus) -> Result<String, Failure> {
    let SchemaStatus { applied, known } = status;
    Ok(match applied.cmp(&known) {
        _ if applied == 0 => {
            format!("{}; {} does it", paint(WARN, "not set up yet"), paint(CODE, words::leadsync("db migrate")))
        }
        std::cmp::Ordering::Equal => format!("schema version {applied}: {}", paint(GOOD, "up to date")),
        std::cmp::Ordering::Less => format!(
            "schema version {applied}: {}, this leadsync knows {known}; {} brings it up to date",
            paint(WARN, "older"),
            paint(CODE, words::leadsync("db migrate"))
        ),
        std::cmp::Ordering::Greater => return Err(StoreError::SchemaNewer { found: applied, known }.into()),
    })
}

/// Runs `leadsync completions`.
pub fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "leadsync", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Exit::Done)
}

/// Runs `leadsync man`.
pub fn man(of: Option<&str>) -> Outcome {
    let mut program = Cli::command();
    program.build();
    let command = match of {
        None => program,
        Some(name) => {
            let found = program.find_subcommand(name).cloned();
            found.ok_or_else(|| {
                Failure::usage(format!("leadsync has no command `{name}`")).hint("`leadsync --help` lists them")
            })?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    std::io::stdout().lock().write_all(&page)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_standing_is_told_with_what_to_do() {
        assert!(schema(SchemaStatus { applied: 0, known: 2 }).unwrap().contains("leadsync db migrate"));
        assert!(schema(SchemaStatus { applied: 1, known: 2 }).unwrap().contains("leadsync db migrate"));
        assert!(schema(SchemaStatus { applied: 2, known: 2 }).unwrap().contains("up to date"));
        assert_eq!(schema(SchemaStatus { applied: 3, known: 2 }).unwrap_err().exit(), Exit::Usage);
    }
}
