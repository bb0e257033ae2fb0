//! The small commands: `db`, `auth`, `completions`, `man`.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::CommandFactory;

use super::args::{Cli, DbCommand};
use super::console::{self, BOLD, CODE, DIM, GOOD, WARN, paint};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::words;
use crate::clock::Timestamp;
use crate::exit::Exit;
use crate::store::{SchemaStatus, StoreError, StoredToken};

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

/// Runs `leadsync auth status`. 2 if an account needs a person to log in.
pub async fn auth_status(context: &Context) -> Outcome {
    let opened = context.open_current().await?;
    let tokens = opened.store.tokens().await?;
    let (text, exit) = tokens_text(&tokens, opened.now());
    opened.store.close().await;
    writeln!(console::stdout(), "{text}")?;
    Ok(exit)
}

fn tokens_text(tokens: &[(String, StoredToken)], now: Timestamp) -> (String, Exit) {
    if tokens.is_empty() {
        return ("no tokens yet: each account gets its first one when it is first called".into(), Exit::Done);
    }
    let names: Vec<&str> =
        tokens.iter().map(|(account, _)| account.rsplit_once('-').map_or(&**account, |(name, _)| name)).collect();
    // What tells two accounts of one name apart is shown only where there are two: after a change of the configuration.
    let shown = |i: usize| {
        let twins = names.iter().filter(|name| **name == names[i]).count() > 1;
        if twins { tokens[i].0.as_str() } else { names[i] }
    };
    let width = (0..tokens.len()).map(|i| shown(i).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    let mut exit = Exit::Done;
    for (i, (_, token)) in tokens.iter().enumerate() {
        let account = shown(i);
        let good = match &token.needs_login {
            Some(why) => {
                exit = Exit::Usage;
                paint(WARN, format!("needs a new login: {why}"))
            }
            None if token.expires_at <= now => paint(DIM, "lapsed; refreshed when it is next needed"),
            None => {
                paint(GOOD, format!("good until {} ({})", token.expires_at, words::relative(token.expires_at, now)))
            }
        };
        let refreshed = match token.generation {
            0 => "never had a token".to_owned(),
            _ => format!("refreshed {}", words::relative(token.refreshed_at, now)),
        };
        let _ = writeln!(text, "{account:width$}  {good}  {}", paint(DIM, refreshed));
    }
    text.truncate(text.trim_end().len());
    (text, exit)
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
    use crate::cli::console::plain;
    use crate::cli::fake::NOW;
    use std::time::Duration;

    #[test]
    fn an_account_that_needs_a_login_ends_with_2() {
        let token = |needs_login: Option<&str>, expires_at| StoredToken {
            generation: 3,
            sealed: b"opaque".to_vec(),
            expires_at,
            refreshed_at: NOW.minus(Duration::from_secs(600)),
            needs_login: needs_login.map(str::to_owned),
        };
        let later = NOW.plus(Duration::from_secs(3000));
        let good = ("7targets-4fd2056de85c6a70".to_owned(), token(None, later));
        assert_eq!(tokens_text(std::slice::from_ref(&good), NOW).1, Exit::Done);
        let tokens = [good, ("enrich-036a5f1b8953e516".to_owned(), token(Some("the refresh token was revoked"), NOW))];
        let (text, exit) = tokens_text(&tokens, NOW);
        assert_eq!(exit, Exit::Usage);
        insta::assert_snapshot!(plain(&text), @r"
        7targets  good until 2026-11-22T06:20:59Z (in 50 min)  refreshed 10 min ago
        enrich    needs a new login: the refresh token was revoked  refreshed 10 min ago
        ");
    }

    #[test]
    fn the_schemas_standing_is_told_with_what_to_do() {
        assert!(schema(SchemaStatus { applied: 0, known: 2 }).unwrap().contains("leadsync db migrate"));
        assert!(schema(SchemaStatus { applied: 1, known: 2 }).unwrap().contains("leadsync db migrate"));
        assert!(schema(SchemaStatus { applied: 2, known: 2 }).unwrap().contains("up to date"));
        assert_eq!(schema(SchemaStatus { applied: 3, known: 2 }).unwrap_err().exit(), Exit::Usage);
    }
}
