//! Before the first lead: does the account work? A wrong secret, a missing assistant, an unreachable service cost one
//! clear line and touch no lead.

use super::deliver::heed_limits;
use super::enrich::LookUps;
use super::lane::Lane;
use super::progress::Halt;
use super::shared::Shared;
use crate::auth::AuthError;
use crate::connectors::channel::AskError;
use crate::connectors::classify::classify;
use crate::connectors::{Asked, CheckStep, Verdict};
use crate::exit::Exit;
use crate::http::message::Reply;

impl Halt {
    /// A token that could not be had.
    pub fn from_auth(account: &str, error: &AuthError) -> Self {
        let table = if account == "enrich" { "[enrich]".to_owned() } else { format!("[destinations.{account}]") };
        let remedy = match error {
            AuthError::Unavailable { .. } => {
                Some("run again when it can be reached; what waits stays in the queue".to_owned())
            }
            AuthError::Refused { .. } => error.remedy().map(|remedy| format!("{remedy} (in {table})")),
            // With the name, so that the command can be copied.
            AuthError::NeedsLogin { by_browser: true, .. } => Some(format!(
                "log in again: `leadsync auth login {account}`, or put a new refresh token into `refresh_token` (in {table})"
            )),
            AuthError::NeedsLogin { by_browser: false, .. } => {
                error.remedy().map(|remedy| format!("{remedy} (in {table})"))
            }
            _ => error.remedy().map(str::to_owned),
        };
        Self { account: account.to_owned(), reason: error.to_string(), remedy, exit: error.exit() }
    }
}

/// Gets a token for the look-up service.
pub async fn look_ups(shared: &Shared, lookup: &LookUps) {
    // A refresh that has begun goes on without us.
    if let Some(Err(error)) = shared.stop.run_until_cancelled(lookup.channel.bearer()).await {
        lookup.halt(shared, Halt::from_auth("enrich", &error), None);
    }
}

/// Walks through the destination's own check; stops the lane if it fails. Whether it passed.
///
/// # Errors
/// If the database can't be written.
pub async fn destination(lane: &Lane) -> crate::store::Result<bool> {
    let mut replies: Vec<Reply> = Vec::new();
    let halt = loop {
        match lane.destination.check(&replies) {
            CheckStep::Ask(request) => {
                let (result, calls) = lane.channel.ask_of(&*lane.destination, "check", &request, &lane.stop).await;
                calls.iter().for_each(|call| lane.shared.account.called(call));
                lane.shared.patiently(|| lane.shared.store.log_calls(&calls)).await?;
                match result {
                    Ok(reply) => {
                        heed_limits(lane, &reply).await;
                        if lane.stop.is_cancelled() {
                            return Ok(false);
                        }
                        replies.push(reply);
                    }
                    Err(error) => break unanswered(lane, &error),
                }
            }
            CheckStep::Passed(remarks) => {
                remarks.into_iter().for_each(|remark| lane.shared.account.notice(format!("{}: {remark}", lane.name)));
                return Ok(true);
            }
            CheckStep::Failed { reason, remedy } => {
                break Some(Halt { account: lane.name.clone(), reason, remedy: Some(remedy), exit: Exit::Usage });
            }
            CheckStep::Unreadable => break Some(by_status(lane, replies.pop())),
        }
    };
    if let Some(halt) = halt {
        lane.halt(halt);
    }
    Ok(false)
}

/// The end of `--max-duration`, or a signal: whether leads could have been sent is not known.
pub fn stopped(lane: &Lane) -> Halt {
    Halt {
        account: lane.name.clone(),
        reason: "stopped before the account check was answered".to_owned(),
        remedy: Some("nothing was sent; run again".to_owned()),
        exit: Exit::Unavailable,
    }
}

fn unanswered(lane: &Lane, error: &AskError) -> Option<Halt> {
    match error {
        AskError::Stopped => Some(stopped(lane)),
        AskError::Auth(error) => Some(Halt::from_auth(&lane.name, error)),
        AskError::Send(error) => Some(Halt {
            account: lane.name.clone(),
            reason: error.to_string(),
            remedy: Some("nothing was sent; run again when it can be reached".to_owned()),
            exit: Exit::Unavailable,
        }),
    }
}

/// A reply that doesn't answer the check is judged by its status.
fn by_status(lane: &Lane, reply: Option<Reply>) -> Halt {
    let halt = |reason: String, remedy: &str, exit| Halt {
        account: lane.name.clone(),
        reason: format!("the account check failed: {reason}"),
        remedy: Some(remedy.to_owned()),
        exit,
    };
    let Some(reply) = reply else {
        return halt("no reply".to_owned(), "run again", Exit::Unavailable);
    };
    match classify(Asked::Find, &Ok(reply)) {
        Verdict::AuthExpired => halt(
            "a fresh access token is refused (401)".to_owned(),
            "check the credentials and their scope",
            Exit::Usage,
        ),
        Verdict::AccountWrong { reason, remedy } => halt(reason, &remedy, Exit::Usage),
        Verdict::Refused { reason, .. } | Verdict::RefusedUnlessThere { reason, .. } => {
            halt(reason, "check the API's address and the account's settings", Exit::Usage)
        }
        Verdict::NotNow { why, .. } | Verdict::Unknown { why } => halt(why, "run again later", Exit::Unavailable),
        Verdict::Accepted { .. } | Verdict::Absent => {
            halt("its answer can't be read".to_owned(), "check the API's address", Exit::Usage)
        }
    }
}
