//! `leadsync auth status`: how each account's token stands, who refreshed it and how often. Needs no secret and calls
//! nobody.

mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::auth::tokens::frequency::{Frequency, WINDOW};
use crate::auth::tokens::renew_at;
use crate::auth::{Account, Auth};
use crate::cli::accounts;
use crate::cli::args::AuthStatusArgs;
use crate::cli::console;
use crate::cli::context::Context;
use crate::cli::failure::Outcome;
use crate::clock::Timestamp;
use crate::exit::Exit;
use crate::pipeline::site::accounts_without_secrets;
use crate::store::{Store, StoredToken, TokenStanding};

/// Runs the command. 2 if an account that is shown needs a person to log in.
pub async fn status(args: &AuthStatusArgs, context: &Context) -> Outcome {
    let opened = context.open_current().await?;
    let known = accounts_without_secrets(&opened.settings);
    let agencies = agencies(&known);
    if let Some(name) = args.name.as_deref().filter(|name| !agencies.contains_key(name)) {
        accounts::require(&opened.settings, name)?;
    }
    let mut configured: BTreeMap<&str, Login> =
        accounts::names(&opened.settings).into_iter().map(|name| (name, Login::of(known.get(name)))).collect();
    configured.extend(agencies.iter().map(|(name, (agency, _))| (*name, Login::of(Some(agency)))));
    let now = opened.now();
    let mut views = gather(&*opened.store, &configured, now).await?;
    opened.store.close().await;
    for view in &mut views {
        if let Some((_, for_whom)) = agencies.get(view.name.as_str()) {
            view.login_name = for_whom[0].to_owned();
        }
    }
    if let Some(name) = &args.name {
        let is_its_agency = |view: &View| {
            agencies.get(view.name.as_str()).is_some_and(|(_, for_whom)| for_whom.contains(&name.as_str()))
        };
        views.retain(|view| view.name == *name || is_its_agency(view));
    }
    let mut out = console::stdout();
    if args.json {
        writeln!(out, "{}", show::to_json(&views))?
    } else {
        writeln!(out, "{}", show::render(&views, now))?
    }
    let wants_login = views.iter().any(|view| view.configured && view.state == State::NeedsLogin);
    Ok(if wants_login { Exit::Usage } else { Exit::Done })
}

/// The accounts whose tokens make those of others, each with the destinations that it logs in for.
fn agencies(known: &BTreeMap<String, Account>) -> BTreeMap<&str, (&Account, Vec<&str>)> {
    let mut agencies: BTreeMap<&str, (&Account, Vec<&str>)> = BTreeMap::new();
    for (name, account) in known {
        if let Some(agency) = account.grant().and_then(|grant| grant.authorised_by.as_deref()) {
            agencies.entry(agency.name()).or_insert((agency, Vec::new())).1.push(name);
        }
    }
    agencies
}

/// How an account logs in, as far as that can be told without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Login {
    /// With tokens, stored under this key. `rotates`: the key of the chain depends on a secret, the first refresh token.
    Tokens { key: String, rotates: bool, by_browser: bool },
    /// With a key that nothing refreshes.
    Static,
    /// Not at all.
    Open,
    /// Something is not set that tells.
    Untold,
}

impl Login {
    fn of(account: Option<&Account>) -> Self {
        let Some(account) = account else { return Self::Untold };
        match account.auth() {
            Auth::None => Self::Open,
            Auth::Static { .. } => Self::Static,
            Auth::Grant(grant) => Self::Tokens {
                key: account.token_key().to_owned(),
                rotates: account.rotates(),
                by_browser: grant.browser.is_some(),
            },
        }
    }
}

/// How a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    ExpiresSoon,
    Expired,
    NoneYet,
    NeedsLogin,
    RefreshUnderWay,
    Static,
    NoAuthentication,
}

impl State {
    /// As programs read it; people read blanks for underscores.
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ExpiresSoon => "expires_soon",
            Self::Expired => "expired",
            Self::NoneYet => "none_yet",
            Self::NeedsLogin => "needs_login",
            Self::RefreshUnderWay => "refresh_under_way",
            Self::Static => "static",
            Self::NoAuthentication => "no_authentication",
        }
    }

    fn of(standing: &TokenStanding, now: Timestamp) -> Self {
        let token = &standing.token;
        if token.needs_login.is_some() {
            Self::NeedsLogin
        } else if standing.refreshing_until.is_some_and(|until| until > now) {
            Self::RefreshUnderWay
        } else if token.generation == 0 {
            Self::NoneYet
        } else if token.expires_at <= now {
            Self::Expired
        } else if renew_at(token.refreshed_at, token.expires_at) <= now {
            Self::ExpiresSoon
        } else {
            Self::Ok
        }
    }
}

/// An account and its token.
#[derive(Clone, Debug)]
struct View {
    name: String,
    configured: bool,
    state: State,
    /// `None`: there is no row at all.
    standing: Option<TokenStanding>,
    /// The token shown is of another chain than the configuration's refresh token begins, or it can't be told which.
    other_chain: bool,
    /// What `auth login` calls it: an agency is logged in to by a destination of its.
    login_name: String,
    /// Whether it is logged in to with a browser.
    by_browser: bool,
    frequency: Option<Frequency>,
    /// Other rows of this name: of an earlier login, or of an account that it was before.
    orphans: Vec<String>,
}

impl View {
    /// The token, if there ever was one.
    fn token(&self) -> Option<&StoredToken> {
        self.standing.as_ref().map(|standing| &standing.token).filter(|token| token.generation > 0)
    }

    /// A refresh began, its time is over, and nobody told how it ended.
    fn was_cut_off(&self, now: Timestamp) -> bool {
        let until = self.standing.as_ref().and_then(|standing| standing.refreshing_until);
        until.is_some_and(|until| until <= now) && self.state != State::NeedsLogin
    }

    fn is_shared(&self) -> bool {
        self.frequency.is_some_and(|frequency| frequency.is_unusual())
    }
}

/// The account's name in what its tokens are stored under.
fn name_in(key: &str) -> &str {
    key.rsplit_once('-').map_or(key, |(name, _)| name)
}

async fn gather(
    store: &dyn Store,
    configured: &BTreeMap<&str, Login>,
    now: Timestamp,
) -> crate::store::Result<Vec<View>> {
    let standings = store.tokens().await?;
    let refreshes = store.refreshes(now.minus(WINDOW)).await?;
    let mut rows: BTreeMap<&str, Vec<TokenStanding>> = BTreeMap::new();
    for standing in &standings {
        rows.entry(name_in(&standing.account)).or_default().push(standing.clone());
    }
    let mut views = Vec::new();
    for (name, login) in configured {
        let (chosen, other_chain, orphans) = choose(rows.remove(name).unwrap_or_default(), login);
        let state = match (login, &chosen) {
            (Login::Static, _) => State::Static,
            (Login::Open, _) => State::NoAuthentication,
            (_, Some(standing)) => State::of(standing, now),
            (_, None) => State::NoneYet,
        };
        views.push(View {
            name: (*name).to_owned(),
            login_name: (*name).to_owned(),
            configured: true,
            state,
            standing: chosen,
            other_chain,
            by_browser: matches!(login, Login::Tokens { by_browser: true, .. }),
            frequency: None,
            orphans,
        });
    }
    for (name, rows) in rows {
        let (chosen, _, orphans) = choose(rows, &Login::Untold);
        views.extend(chosen.map(|standing| View {
            name: name.to_owned(),
            login_name: "NAME".to_owned(),
            configured: false,
            state: State::of(&standing, now),
            standing: Some(standing),
            other_chain: false,
            by_browser: true,
            frequency: None,
            orphans,
        }));
    }
    for view in &mut views {
        let key = view.standing.as_ref().map(|standing| standing.account.as_str());
        view.frequency = Frequency::of(refreshes.iter().filter(|it| Some(it.account.as_str()) == key), now);
    }
    Ok(views)
}

/// Which of the rows of an account's name is its token now, whether that had to be guessed, and the rest.
fn choose(mut rows: Vec<TokenStanding>, login: &Login) -> (Option<TokenStanding>, bool, Vec<String>) {
    let (found, guessed) = match login {
        Login::Tokens { key, rotates, .. } => match rows.iter().position(|row| row.account == *key) {
            Some(ours) => (Some(ours), false),
            // The newest chain: the configuration's refresh token may be unset here, or not have been used yet.
            None if *rotates => (newest(&rows), true),
            None => (None, false),
        },
        Login::Untold => (newest(&rows), true),
        Login::Static | Login::Open => (None, false),
    };
    let chosen = found.map(|index| rows.remove(index));
    let other_chain = guessed && chosen.is_some();
    (chosen, other_chain, rows.into_iter().map(|row| row.account).collect())
}

fn newest(rows: &[TokenStanding]) -> Option<usize> {
    (0..rows.len()).max_by_key(|&index| (rows[index].token.refreshed_at, rows[index].refreshing_until))
}
