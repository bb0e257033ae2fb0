//! The one judge of replies that a destination leaves to us: what a status means for the lead.
//!
//! The line is drawn by the promise. Only what was certainly not processed may be sent again: an early refusal (429,
//! nothing sent). A refusal in words (4xx) is final. Everything else may have had its effect, and is looked for first.

#[cfg(test)]
mod tests;

use http::StatusCode;

use super::{Asked, Verdict};
use crate::http::message::{Reply, SendError};

/// What the end of a request means, by status alone. For [`Asked::Find`], which creates nothing, [`Verdict::Unknown`]
/// says just that this can't be told yet.
pub fn classify(asked: Asked, result: &Result<Reply, SendError>) -> Verdict {
    match result {
        Ok(reply) => by_status(asked, reply),
        Err(SendError::NotSent { why }) => Verdict::NotNow { wait: None, why: why.clone() },
        Err(SendError::Lost { why }) => Verdict::Unknown { why: why.clone() },
    }
}

/// Whether the remote side may still be at work with a request that this is the end of: no complete reply came, or one
/// from something that stands before the API and gave up waiting for it.
pub fn may_be_at_work(result: &Result<Reply, SendError>) -> bool {
    match result {
        Ok(reply) => matches!(reply.status.as_u16(), 408 | 425 | 502 | 504 | 520..=527),
        Err(SendError::Lost { .. }) => true,
        Err(SendError::NotSent { .. }) => false,
    }
}

fn by_status(asked: Asked, reply: &Reply) -> Verdict {
    let status = reply.status;
    let said = || in_words(reply);
    match status {
        StatusCode::UNAUTHORIZED => Verdict::AuthExpired,
        StatusCode::TOO_MANY_REQUESTS => Verdict::NotNow { wait: reply.retry_after(), why: said() },
        StatusCode::PAYMENT_REQUIRED => Verdict::AccountWrong {
            reason: said(),
            remedy: "check the account's plan and credits at the provider".into(),
        },
        StatusCode::FORBIDDEN => Verdict::AccountWrong {
            reason: said(),
            remedy: "check the account's permissions (scope, role, user, allowed addresses)".into(),
        },
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Verdict::AccountWrong {
            reason: said(),
            remedy: "the proxy wants a user name and password: set them in HTTPS_PROXY".into(),
        },
        // Also what a web form answers after it has done its work.
        StatusCode::FOUND | StatusCode::SEE_OTHER if asked == Asked::Create => Verdict::Unknown { why: said() },
        status if status.is_redirection() => Verdict::AccountWrong {
            reason: said(),
            remedy:
                "the address has moved: correct it in the configuration; redirects are not followed with credentials"
                    .into(),
        },
        // Timed out on the server's side, or too early: it may be at work with it.
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => Verdict::Unknown { why: said() },
        // "Not there" is for the destination to read; by status alone it may be the wrong address as well.
        StatusCode::NOT_FOUND | StatusCode::GONE if asked == Asked::Find => Verdict::Unknown { why: said() },
        status if status.is_client_error() => Verdict::Refused { field: None, reason: said() },
        status if status.is_success() => {
            Verdict::Unknown { why: format!("{} with a reply that can't be read", status.as_u16()) }
        }
        _ => Verdict::Unknown { why: said() },
    }
}

/// "422 Unprocessable Entity: email is not valid".
fn in_words(reply: &Reply) -> String {
    let status = match reply.status.canonical_reason() {
        Some(reason) => format!("{} {reason}", reply.status.as_u16()),
        None => reply.status.as_u16().to_string(),
    };
    format!("{status}: {}", reply.message())
}
