//! Getting a token: a look at the database, the turn to ask for a new one, the request, and its outcome.
//!
//! The turn is a lease in the database ([`Vault::begin_refresh`]), granted before the request leaves. What happens when its
//! holder dies depends on what the request spends.
//!
//! **Asking with a secret** only ever issues one more token, so it may be repeated at any time. The turn is short and is
//! renewed while the request is under way: a dead holder is noticed within seconds.
//!
//! **Exchanging a refresh token** spends it; whoever uses a spent one is taken for a thief, and then the whole chain is
//! revoked (RFC 9700, 2.2.2). If the answer was lost (cut off, timed out, the worker killed), nobody knows whether it was
//! spent, and one repeat is worth the risk: without it the account is lost for certain. But that repeat must not overtake
//! the first request, which may still be at work: carried out after the repeat, it would itself be the theft, and kill
//! what the repeat brought. So this turn is never cut short. It outlasts the time-out and some time to settle, whether
//! its holder lives or not, and until then everybody goes on with the access token, which is renewed well ahead of its
//! end. If the repeat is lost too, or refused, the account needs a new login, and that is durable: no third try, by
//! anybody. A failure that the service *answered* is none of this: nothing is at work any more, nothing was lost. The 504 of
//! a gateway is no such answer: it says that the service's own was not waited for.

mod request;

use std::time::Duration;

use tokio::time::{Instant, sleep};

pub(super) use self::request::in_words;

use self::request::Sent;
use super::secrets::Opened;
use super::{Shared, Token, Tokens};
use crate::auth::grant::With;
use crate::auth::{Account, AuthError, Bearer, Grant, IssuedToken};
use crate::clock::{Moment, Timestamp};
use crate::http::message::SendError;
use crate::http::retry::Backoff;
use crate::store::{RefreshTurn, StoredToken};

/// Longest wait for a token's reply.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The turn to ask with a secret, and how often it is renewed meanwhile.
const TURN: Duration = Duration::from_secs(4);
const BEAT: Duration = Duration::from_secs(1);
/// How long an exchange whose answer was lost may still be at work at the token service.
const SETTLE: Duration = Duration::from_secs(5);
/// The turn to exchange a refresh token: the request, the time to settle, and some for storing what it brought.
pub(super) const EXCHANGE_TURN: Duration = Duration::from_secs(30);
/// With less time than this left, an exchange is not begun.
const WORTH_BEGINNING: Duration = Duration::from_secs(5);
/// How long a token service that asks for a pause is left alone at most.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// How long a new refresh token is held while the database can't take it.
pub(super) const HOLD: Duration = Duration::from_secs(120);
/// How long other workers' attempts are waited for, where there is no token to go on with: an exchange whose answer was
/// lost, its repeat, and some.
const OTHERS: Duration = Duration::from_secs(90);
/// How often the database is asked whether another worker's refresh has ended.
const POLL: Duration = Duration::from_millis(200);
/// Once this has passed, a refresh that fails is not tried again.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a database that is away is waited for: as long as the writer waits, unless told otherwise.
pub(super) const DATABASE_PATIENCE: Duration = Duration::from_secs(60);

/// A token from the database or the token service. An error comes with the token that is about to expire, if there is
/// one: it is better than none.
pub(super) async fn obtain(
    tokens: &Tokens,
    account: &Account,
    grant: &Grant,
    dead: Option<i64>,
) -> Result<Token, (Option<Token>, AuthError)> {
    let began = Instant::now();
    let mut waits = Backoff::default().short();
    let mut errand =
        Errand { tokens, shared: &tokens.0, account, grant, dead, began, holder: new_holder(), spare: None };
    loop {
        match errand.turn().await {
            Ok(Some(token)) => return Ok(token),
            Ok(None) => {}
            // A restart of the database is no reason to give an account up.
            Err(AuthError::Store(error)) if error.is_unavailable() && began.elapsed() < DATABASE_PATIENCE => {
                sleep(POLL).await;
            }
            Err(error) => {
                let transient = matches!(error, AuthError::Unavailable { .. } | AuthError::Unreadable { .. });
                match waits.next().filter(|_| transient && began.elapsed() < PATIENCE) {
                    Some(wait) => sleep(wait).await,
                    None => return Err((errand.spare, error)),
                }
            }
        }
    }
}

/// Getting one token.
struct Errand<'a> {
    tokens: &'a Tokens,
    shared: &'a Shared,
    account: &'a Account,
    grant: &'a Grant,
    /// The API refuses the token of this generation.
    dead: Option<i64>,
    began: Instant,
    /// Our name in the turn: the same until a request has left and was lost.
    holder: i64,
    /// A token that is still good, but should be renewed.
    spare: Option<Token>,
}

fn new_holder() -> i64 {
    rand::random::<i64>() & i64::MAX
}

impl Errand<'_> {
    /// One look at the database, and one request if it is our turn. `None`: look again.
    async fn turn(&mut self) -> Result<Option<Token>, AuthError> {
        let shared = self.shared;
        let key = self.account.token_key();
        let (began, now) = (Moment::now(), shared.clock.now());
        let stored = shared.vault.token(key).await?;
        let opened = Opened::new(self.account, self.grant, &shared.keyring, stored.as_ref())?;
        self.spare = opened.token.clone().filter(|token| token.lives(self.dead, now));
        if let Some(token) = self.spare.as_ref().filter(|token| token.renew_at > now) {
            return Ok(Some(token.clone()));
        }
        let rotates = self.grant.exchanges_only();
        let until = now.plus(if rotates { EXCHANGE_TURN } else { TURN });
        match shared.vault.begin_refresh(key, opened.generation, self.holder, until, now).await? {
            RefreshTurn::Superseded => Ok(None),
            // Whoever has the turn renews it ahead of time; meanwhile the old one is good.
            RefreshTurn::Busy { .. } if self.spare.is_some() => Ok(self.spare.clone()),
            // No turn lasts that long: the service itself has asked for it.
            RefreshTurn::Busy { until } if now.until(until) > EXCHANGE_TURN + SETTLE => {
                Err(AuthError::Unavailable { why: format!("the token service asks to be left alone until {until}") })
            }
            RefreshTurn::Busy { .. } if self.began.elapsed() > OTHERS => Err(AuthError::Unavailable {
                why: format!("other workers have tried to get a token for {} s", OTHERS.as_secs()),
            }),
            RefreshTurn::Busy { until } => {
                sleep(POLL.min(now.until(until)).max(Duration::from_millis(1))).await;
                Ok(None)
            }
            RefreshTurn::NeedsLogin { why } => Err(self.needs_login(why)),
            RefreshTurn::Yours { lost } if rotates && lost > 1 => {
                let why =
                    "two exchanges of its refresh token in a row were cut off, so nobody knows whether it is spent";
                self.give_up(opened.generation, why.to_owned()).await
            }
            RefreshTurn::Yours { lost } if rotates => self.exchange(opened, lost, began, until).await,
            RefreshTurn::Yours { lost } => self.ask(opened, lost).await,
        }
    }

    /// Asks with a secret; where a refresh token came with the last one, with that first. One that may have been spent by a
    /// request whose answer was lost is not used again: there is the secret.
    async fn ask(&self, opened: Opened, lost: u32) -> Result<Option<Token>, AuthError> {
        let generation = opened.generation;
        let refresh = opened.refresh().filter(|_| lost == 0 && self.grant.refresh.is_some());
        let mut sent = match &refresh {
            Some(token) => self.send_in_turn(generation, With::Refresh(token)).await,
            None => self.send_in_turn(generation, With::Login).await,
        };
        if refresh.is_some() && matches!(sent.issued, Err(AuthError::Refused { .. })) {
            self.log(&sent).await;
            sent = self.send_in_turn(generation, With::Login).await;
        }
        let outcome = match &sent.issued {
            Ok(issued) => self.keep(opened, issued, sent.asked_at).await,
            Err(error) => Err(error.clone()),
        };
        if outcome.is_err() {
            self.end_turn(sent.wanted_pause(self.shared.clock.now())).await;
        }
        self.log(&sent).await;
        outcome
    }

    /// One request, the turn renewed while it is under way. A token that authorises it and is no longer good is renewed
    /// once.
    async fn send_in_turn(&self, generation: i64, with: With<'_>) -> Sent {
        let mut exchange = std::pin::pin!(async {
            let parent = match self.parent(None).await {
                Ok(parent) => parent,
                Err(error) => return Sent::not(self.shared.clock.now(), error),
            };
            let sent = self.send(with, parent.as_ref(), Moment::now(), TIMEOUT).await;
            let refused = sent.result.as_ref().is_ok_and(|reply| reply.status == http::StatusCode::UNAUTHORIZED);
            match parent.filter(|_| refused) {
                None => sent,
                Some(dead) => match self.parent(Some(dead.generation)).await {
                    Ok(parent) => self.send(with, parent.as_ref(), Moment::now(), TIMEOUT).await,
                    Err(error) => Sent { issued: Err(error), ..sent },
                },
            }
        });
        loop {
            tokio::select! {
                biased;
                sent = &mut exchange => break sent,
                () = self.hold_turn(generation) => {}
            }
        }
    }

    /// The token that authorises the request, where one does; `dead`: not the one of this generation.
    async fn parent(&self, dead: Option<i64>) -> Result<Option<Bearer>, AuthError> {
        let Some(parent) = &self.grant.authorised_by else { return Ok(None) };
        self.tokens.of_parent(parent, dead).await
    }

    /// After a moment, takes the turn for a little longer.
    async fn hold_turn(&self, generation: i64) {
        sleep(BEAT).await;
        let now = self.shared.clock.now();
        let until = now.plus(TURN);
        // Should it fail, somebody else may ask too: one more token.
        let _ = self.shared.vault.begin_refresh(self.account.token_key(), generation, self.holder, until, now).await;
    }

    /// Stores what was issued. `None`: another worker was first.
    async fn keep(
        &self,
        opened: Opened,
        issued: &IssuedToken,
        asked_at: Timestamp,
    ) -> Result<Option<Token>, AuthError> {
        let generation = opened.generation;
        let by = self.shared.name();
        let stored = opened.successor(self.account, &self.shared.keyring, issued, asked_at, by)?;
        let won = match self.grant.exchanges_only() {
            true => self.store_for_certain(generation, &stored).await?,
            false => self.shared.vault.replace_token(self.account.token_key(), generation, &stored).await?,
        };
        Ok(won.then(|| Token::new(issued.access.expose(), &stored)))
    }

    /// Exchanges a refresh token, in a turn that began at `began` and lasts until `until`.
    async fn exchange(
        &mut self,
        opened: Opened,
        lost: u32,
        began: Moment,
        until: Timestamp,
    ) -> Result<Option<Token>, AuthError> {
        let generation = opened.generation;
        let _under_way = self.shared.exchanges.token();
        let over = (EXCHANGE_TURN - SETTLE).min(began.elapsed() + TIMEOUT);
        if over.saturating_sub(began.elapsed()) < WORTH_BEGINNING {
            // Suspended, or the database was slow: nothing may leave that somebody else's repeat would meet.
            self.end_turn(self.shared.clock.now()).await;
            return Ok(None);
        }
        if lost > 0 {
            tracing::warn!(
                account = self.account.name(),
                "the answer to an exchange of the refresh token was lost; asking once more"
            );
        }
        let Some(refresh) = opened.refresh().or_else(|| self.grant.seed().cloned()) else {
            self.end_turn(self.shared.clock.now()).await;
            return Err(self.needs_login(self.never()));
        };
        // Counted from the beginning of the turn, so that nothing leaves either if we are suspended from here on.
        let sent = self.send(With::Refresh(&refresh), None, began, over).await;
        let outcome = match (&sent.issued, &sent.result) {
            (Ok(issued), _) => self.keep(opened, issued, sent.asked_at).await,
            (Err(AuthError::NeedsLogin { why, .. }), _) => self.give_up(generation, why.clone()).await,
            (Err(error), result) => {
                match result {
                    // Whether it is spent is not known. The turn stays taken until nothing can be at work any more, and by
                    // lapsing counts as lost.
                    Err(SendError::Lost { .. }) => self.holder = new_holder(),
                    Ok(reply) if reply.status.is_success() => self.holder = new_holder(),
                    // A gateway that gave up waiting: what is behind it may have carried it out, or be at work still.
                    Ok(reply) if matches!(reply.status.as_u16(), 408 | 425 | 504 | 520..=527) => {
                        self.holder = new_holder();
                    }
                    Ok(reply) if reply.status.as_u16() == 502 => self.end_turn(until).await,
                    _ => self.end_turn(sent.wanted_pause(self.shared.clock.now())).await,
                }
                Err(error.clone())
            }
        };
        self.log(&sent).await;
        outcome
    }

    /// Marks the account as in need of a login, unless somebody else knows better: then `None`, look again.
    async fn give_up(&self, generation: i64, why: String) -> Result<Option<Token>, AuthError> {
        let key = self.account.token_key();
        let began = Instant::now();
        loop {
            // Not the exchange again because the database is away: what was refused once would be refused once more.
            match self.shared.vault.mark_needs_login(key, generation, self.holder, &why).await {
                Ok(true) => return Err(self.needs_login(why)),
                Ok(false) => return Ok(None),
                Err(error) if error.is_unavailable() && began.elapsed() < HOLD => sleep(POLL).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn needs_login(&self, why: String) -> AuthError {
        AuthError::NeedsLogin { why, by_browser: self.grant.browser.is_some() }
    }

    /// Nobody has logged in yet. An agency's account is logged in to by the name of a destination that it is for; no
    /// destination has a dot in its name.
    fn never(&self) -> String {
        let name = if self.account.name().contains('.') { "NAME" } else { self.account.name() };
        match self.grant.browser {
            Some(_) => format!("nobody has logged in yet; log in: `leadsync auth login {name}`"),
            None => "it has no refresh token yet: `refresh_token` is not set".to_owned(),
        }
    }

    /// Ends a turn that led to nothing.
    async fn end_turn(&self, not_before: Timestamp) {
        // What failed is worth more than that the turn could not be given back: it lapses by itself.
        let _ = self.shared.vault.abandon_refresh(self.account.token_key(), self.holder, not_before).await;
    }

    /// Stores the successor of a refresh token that is spent now, again and again while the database can't take it: it
    /// is nowhere else.
    async fn store_for_certain(&self, generation: i64, stored: &StoredToken) -> Result<bool, AuthError> {
        let (key, name) = (self.account.token_key(), self.account.name());
        let began = Instant::now();
        let mut told = false;
        loop {
            match self.shared.vault.replace_token(key, generation, stored).await {
                Ok(won) => return Ok(won),
                Err(error) if began.elapsed() < HOLD => {
                    if !told {
                        tracing::warn!(
                            account = name,
                            "a new refresh token can't be stored yet; trying again: {error}"
                        );
                        told = true;
                    }
                    sleep(POLL).await;
                }
                Err(error) => {
                    tracing::error!(account = name, "a new refresh token could not be stored and is lost: {error}");
                    return Err(error.into());
                }
            }
        }
    }
}
