//! What `doctor` finds out about an account: step by step, each step only if those before it make sense. Creates nothing
//! anywhere; a token may be asked for, as any run would.

use std::time::Duration;

use http::Method;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::site::{Site, SiteError};
use crate::auth::{Account, Auth, AuthError};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::connectors::channel::{AskError, Channel};
use crate::connectors::classify::classify;
use crate::connectors::{Asked, CheckStep, Destination, Verdict};
use crate::exit::Exit;
use crate::http::message::{Reply, Request, is_loopback};
use crate::http::send::Egress;

/// How far this machine's clock may be from a server's before it is worth a word: servers tell whole seconds, and a reply
/// takes its time.
const SKEW: Duration = Duration::from_secs(10);
/// Longest wait for an account altogether: its token, its check, and what its limit lets wait.
const LONGEST: Duration = Duration::from_secs(90);
/// Longest wait for names and for a first reply.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the examination.
#[derive(Clone, Debug)]
pub struct Finding {
    pub level: Level,
    /// What was looked at: `token`, `clock`.
    pub check: &'static str,
    /// What was found, in words, without secrets.
    pub found: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// How the command ends because of it.
    pub exit: Exit,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, check, found: found.into(), remedy: None, exit: Exit::Done }
    }

    /// It works, and should be looked at.
    pub fn warn(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into()).filter(|remedy| !remedy.is_empty());
        Self { level: Level::Warn, check, found: found.into(), remedy, exit: Exit::Done }
    }

    /// It does not work.
    pub fn fail(check: &'static str, found: impl Into<String>, remedy: impl Into<String>, exit: Exit) -> Self {
        let remedy = Some(remedy.into()).filter(|remedy| !remedy.is_empty());
        Self { level: Level::Fail, check, found: found.into(), remedy, exit }
    }
}

/// Examines the account called `name`, a destination's or `enrich`.
///
/// # Errors
/// If the database can't be read.
pub async fn account(site: &Site, name: &str) -> Result<Vec<Finding>, SiteError> {
    let account = match site.account(name) {
        Ok(account) => account,
        Err(error) => {
            let remedy = "`leadsync config check` tells of all that is missing";
            return Ok(vec![Finding::fail("configuration", error.to_string(), remedy, Exit::Usage)]);
        }
    };
    let mut findings = vec![Finding::ok("configuration", "complete")];
    let paused = pauses(site, &account).await?;
    if !paused.is_empty() {
        findings.extend(paused);
        findings.push(Finding::ok("connection", "nobody is called while the account is paused"));
        return Ok(findings);
    }
    let reached = network(site, account.api_url(), &site.egress(name), &mut findings).await;
    if !reached {
        return Ok(findings);
    }
    let bound = if name == "enrich" {
        site.enricher(None)?.map(|(_, channel)| (None, channel))
    } else {
        Some(site.destination(name, None)?).map(|(destination, channel)| (Some(destination), channel))
    };
    let Some((destination, channel)) = bound else { return Ok(findings) };
    let asked = async {
        let has_token = token(site, &account, &channel, &mut findings).await;
        if let (true, Some(destination)) = (has_token, destination) {
            checked(site, &*destination, &channel, &mut findings).await?;
        } else if has_token {
            findings.push(Finding::ok("account", "not called: every look-up may cost credits"));
        }
        Ok::<(), SiteError>(())
    };
    // A limit that is used up, or a service that asks for a pause, is waited for no longer than a person would.
    let ended = tokio::time::timeout(LONGEST, asked).await;
    channel.finish().await;
    match ended {
        Ok(result) => result?,
        Err(_) => findings.push(Finding::fail(
            "account",
            format!("no answer within {} s; the account's limit may be used up", LONGEST.as_secs()),
            "`leadsync status` tells of limits and pauses; try again later",
            Exit::Unavailable,
        )),
    }
    Ok(findings)
}

async fn pauses(site: &Site, account: &Account) -> Result<Vec<Finding>, SiteError> {
    let pauses = site.store.pauses(site.clock.now()).await?;
    let ours = pauses.into_iter().filter(|pause| pause.account.split('#').next() == Some(account.key()));
    let by_hand = site.store.hand_pauses(site.clock.now()).await?.into_iter().filter(|it| it.name == account.name());
    let by_hand = by_hand.map(|pause| {
        let why = pause.why.as_deref().unwrap_or("no reason given");
        Finding::warn(
            "pause",
            format!("paused by hand: {why}"),
            format!("`leadsync resume {}` ends it", account.name()),
        )
    });
    Ok(by_hand
        .chain(ours.map(|pause| {
            Finding::warn(
                "pause",
                format!("paused until {}: {}", pause.until, pause.why),
                "`leadsync status` tells more",
            )
        }))
        .collect())
}

/// Name, connection, TLS and clock, by a request that asks for nothing and says nothing of us.
async fn network(site: &Site, url: &Url, egress: &Egress, findings: &mut Vec<Finding>) -> bool {
    let host = url.host_str().unwrap_or_default().to_owned();
    if let (Some(Host::Domain(name)), None, false) = (url.host(), &egress.proxy, is_loopback(url)) {
        let port = url.port_or_known_default().unwrap_or(443);
        let looked_up = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((name, port))).await;
        match looked_up.map(|answer| answer.map(Iterator::collect::<Vec<_>>)) {
            Ok(Ok(addresses)) => {
                let v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
                if egress.ipv4_only && v4 == 0 {
                    let found = format!("{host} has no IPv4 address, and only IPv4 will do here");
                    findings.push(Finding::fail("dns", found, "check the name servers", Exit::Unavailable));
                    return false;
                }
                let found = format!("{host}: {v4} IPv4 and {} IPv6 addresses", addresses.len() - v4);
                findings.push(Finding::ok("dns", found));
            }
            // Behind a proxy of the environment, names need not be known here.
            Ok(Err(_)) | Err(_) => findings.push(Finding::warn(
                "dns",
                format!("{host} can't be resolved on this machine"),
                "check the name and the name servers; behind a proxy this does not matter",
            )),
        }
    }
    let began = tokio::time::Instant::now();
    let head = Request::new(Method::HEAD, url.clone());
    let reply = match site.http(egress).send(&head, PATIENCE).await {
        Ok(reply) => reply,
        Err(error) => {
            let remedy =
                "check the address, the way there (firewall, proxy, `bind_address`) and this machine's certificates";
            findings.push(Finding::fail("connection", error.to_string(), remedy, Exit::Unavailable));
            return false;
        }
    };
    let secured = if url.scheme() == "https" { "TLS established" } else { "plain HTTP on this machine" };
    let took = began.elapsed().as_millis();
    findings.push(Finding::ok("connection", format!("{host} answered in {took} ms, {secured}")));
    findings.push(clock(&reply, SystemClock.now()));
    true
}

/// This machine's clock against the server's.
fn clock(reply: &Reply, now: Timestamp) -> Finding {
    let Some(theirs) = reply.date() else { return Finding::ok("clock", "the server does not tell the time") };
    let (behind, ahead) = (now.until(theirs), theirs.until(now));
    let skew = behind.max(ahead);
    if skew <= SKEW {
        return Finding::ok("clock", "agrees with the server's");
    }
    let side = if behind > ahead { "behind" } else { "ahead of" };
    Finding::warn(
        "clock",
        format!("this machine is {} s {side} the server", skew.as_secs()),
        "set this machine's clock (NTP): lifetimes of tokens and waits are measured with it",
    )
}

/// Gets a token, and compares what was granted with what was asked for. Whether there is one, or none is needed.
async fn token(site: &Site, account: &Account, channel: &Channel, findings: &mut Vec<Finding>) -> bool {
    match account.auth() {
        Auth::None => {
            findings.push(Finding::ok("token", "none needed"));
            return true;
        }
        Auth::Static { key, .. } => {
            findings.push(Finding::ok("token", format!("`{key}` is sent as it is; nothing to refresh")));
            return true;
        }
        Auth::Grant(_) => {}
    }
    if let Err(error) = channel.bearer().await {
        findings.push(refused("token", &error));
        return false;
    }
    let stored = site.store.token(account.token_key()).await.ok().flatten();
    findings.push(match &stored {
        Some(token) => Finding::ok("token", format!("good until {} (number {})", token.expires_at, token.generation)),
        None => Finding::ok("token", "obtained"),
    });
    let Some(grant) = account.grant() else { return true };
    let granted = site.tokens(&Egress::default(), None).granted(account).await.ok().flatten();
    match (&grant.scope, granted) {
        (Some(asked), Some(granted)) => {
            let withheld = grant.withheld(&granted);
            findings.push(match withheld.is_empty() {
                true => Finding::ok("scope", format!("granted as asked: {asked}")),
                false => Finding::warn(
                    "scope",
                    format!("not granted: {}", withheld.join(" ")),
                    "ask whoever gave you the client for them, or take them out of `scope`",
                ),
            });
        }
        (Some(asked), None) => {
            findings.push(Finding::ok("scope", format!("asked for {asked}; the service does not say what it granted")));
        }
        (None, _) => {}
    }
    true
}

fn refused(check: &'static str, error: &AuthError) -> Finding {
    let remedy = match error {
        AuthError::Unavailable { .. } => "try again when it can be reached",
        _ => error.remedy().unwrap_or_default(),
    };
    Finding::fail(check, error.to_string(), remedy, error.exit())
}

/// The destination's own account check, as every run makes it before its first lead.
async fn checked(
    site: &Site,
    destination: &dyn Destination,
    channel: &Channel,
    findings: &mut Vec<Finding>,
) -> Result<(), SiteError> {
    let mut replies: Vec<Reply> = Vec::new();
    let stop = CancellationToken::new();
    let finding = loop {
        match destination.check(&replies) {
            CheckStep::Ask(request) => {
                let (result, calls) = channel.ask_of(destination, "check", &request, &stop).await;
                site.store.log_calls(&calls).await?;
                match result {
                    Ok(reply) => replies.push(reply),
                    Err(AskError::Auth(error)) => break refused("account", &error),
                    Err(error) => {
                        break Finding::fail("account", error.to_string(), "try again later", Exit::Unavailable);
                    }
                }
            }
            CheckStep::Passed(remarks) => {
                findings.extend(remarks.into_iter().map(|remark| Finding::warn("account", remark, "")));
                break match replies.is_empty() {
                    true => Finding::ok("account", "this destination has no check without side effects configured"),
                    false => Finding::ok("account", "accepts us, and has what the configuration names"),
                };
            }
            CheckStep::Failed { reason, remedy } => break Finding::fail("account", reason, remedy, Exit::Usage),
            CheckStep::Unreadable => break by_status(replies.last()),
        }
    };
    findings.push(finding);
    findings.push(limits(destination, replies.last()));
    Ok(())
}

/// A reply that doesn't answer the check is judged by its status.
fn by_status(reply: Option<&Reply>) -> Finding {
    let Some(reply) = reply else {
        return Finding::fail("account", "no reply", "try again later", Exit::Unavailable);
    };
    let fail = |found: String, remedy: &str, exit| Finding::fail("account", found, remedy, exit);
    match classify(Asked::Find, &Ok(reply.clone())) {
        Verdict::AuthExpired => fail(
            "a fresh access token, or the key, is refused (401)".to_owned(),
            "check the credentials and their scope",
            Exit::Usage,
        ),
        Verdict::AccountWrong { reason, remedy } => fail(reason, &remedy, Exit::Usage),
        Verdict::NotNow { why, .. } | Verdict::Unknown { why } => fail(why, "try again later", Exit::Unavailable),
        other => fail(other.to_string(), "check the API's address and the account's settings", Exit::Usage),
    }
}

/// The limit that is kept, and what the server says of its own.
fn limits(destination: &dyn Destination, reply: Option<&Reply>) -> Finding {
    let kept =
        destination.limits().rate.map_or_else(|| "no limit is kept".to_owned(), |rate| format!("{rate} is kept"));
    let said = reply.map(Reply::limits_said).unwrap_or_default();
    match said.is_empty() {
        true => Finding::ok("limits", format!("{kept}; the server says nothing of its own")),
        false => Finding::ok("limits", format!("{kept}; the server says: {}", said.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    #[test]
    fn a_clock_that_differs_is_told_with_its_side() {
        let now = Timestamp::from_ms(1_795_325_459_000); // 2026-11-22T05:30:59Z
        let dated = |date: &'static str| {
            let headers: HeaderMap = [(http::header::DATE, HeaderValue::from_static(date))].into_iter().collect();
            clock(&Reply { status: StatusCode::OK, headers, body: Bytes::new() }, now)
        };
        assert_eq!(dated("Sun, 22 Nov 2026 05:31:05 GMT").level, Level::Ok);
        let behind = dated("Sun, 22 Nov 2026 05:36:00 GMT");
        assert_eq!((behind.level, behind.found.as_str()), (Level::Warn, "this machine is 301 s behind the server"));
        let ahead = dated("Sun, 22 Nov 2026 05:29:59 GMT");
        assert_eq!(ahead.found, "this machine is 60 s ahead of the server");
    }
}
