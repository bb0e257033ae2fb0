//! `leadsync auth refresh`: new tokens now.

use std::collections::HashSet;
use std::io::Write as _;

use tokio_util::sync::CancellationToken;

use crate::cli::args::AuthRefreshArgs;
use crate::cli::console::{self, DIM, GOOD, paint};
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::work::{before, listen};
use crate::cli::{accounts, ready, words};
use crate::exit::Exit;
use crate::pipeline::progress::Halt;
use crate::pipeline::site::Site;

/// Runs the command. Each account that fails is told with its remedy; the worst of them is how it ends.
pub async fn refresh(args: &AuthRefreshArgs, context: &Context) -> Outcome {
    let settings = context.settings()?;
    let names: Vec<String> = match &args.name {
        Some(name) => {
            accounts::require(&settings, name)?;
            vec![name.clone()]
        }
        None => accounts::names(&settings).into_iter().map(str::to_owned).collect(),
    };
    ready::to_seal(&settings)?;
    let stop = listen(&settings)?;
    let site = before(&stop, async {
        let opened = context.open_for_work(settings).await?;
        Ok(Site::open(opened.settings, opened.store).await?)
    })
    .await?;
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut exit = Exit::Done;
    let mut agencies = HashSet::new();
    for name in &names {
        match renew(&site, name, &mut agencies, &stop).await {
            Ok(said) => writeln!(console::stdout(), "{name:width$}  {said}")?,
            Err(failure) => {
                failure.report(context.console.json);
                exit = exit.and(failure.exit());
            }
        }
    }
    site.store.close().await;
    if names.is_empty() {
        writeln!(console::stdout(), "no account is configured: there is nothing to refresh")?;
    }
    Ok(exit)
}

/// `agencies`: those whose tokens, of which others are made, were renewed already. They show whether the login still works,
/// and each renewal spends a refresh token, so once is enough.
async fn renew(
    site: &Site,
    name: &str,
    agencies: &mut HashSet<String>,
    stop: &CancellationToken,
) -> Result<String, Failure> {
    let account = site.account(name)?;
    let tokens = site.tokens(&site.egress(name), None);
    let agency = account.grant().and_then(|grant| grant.authorised_by.as_deref());
    let agency = agency.filter(|agency| agencies.insert(agency.token_key().to_owned()));
    let renewed = stop
        .run_until_cancelled(async {
            if let Some(agency) = agency {
                tokens.renew(agency).await?;
            }
            tokens.renew(&account).await
        })
        .await;
    // An exchange that is under way spends a refresh token: what it brings is waited for, whatever the signal.
    tokens.finish().await;
    let failed = |halt: Halt| {
        let failure = anyhow::Error::msg(halt.reason).context(format!("could not refresh the token of `{name}`"));
        let failure = Failure::new(halt.exit, failure);
        halt.remedy.into_iter().fold(failure, Failure::hint)
    };
    match renewed {
        Some(Ok(Some(token))) => {
            let expires = words::when(token.expires_at, site.clock.now());
            Ok(format!("{}: expires {expires} · generation {}", paint(GOOD, "new token"), token.generation))
        }
        Some(Ok(None)) => Ok(paint(DIM, "static: nothing to refresh")),
        Some(Err(error)) => Err(failed(Halt::from_auth(name, &error))),
        None => Err(failed(Halt {
            account: name.to_owned(),
            reason: "stopped by a signal".to_owned(),
            remedy: Some(format!("{} tells how it stands", words::leadsync("auth status"))),
            exit: Exit::Unavailable,
        })),
    }
}
