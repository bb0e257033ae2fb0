//! Creates in a row of which nobody knows what became: a sign-in page for an answer, a redirect, a success that names no
//! lead. The account's own breaker takes these for answers, and so it does the looks in between, which may go well while no
//! create does.

use crate::connectors::Verdict;
use crate::connectors::channel::Exchange;
use crate::exit::Exit;
use crate::http::retry::Breaker;
use crate::pipeline::lane::Lane;
use crate::pipeline::progress::Halt;

/// What a lane counts them with.
pub fn counter() -> Breaker {
    Breaker::default().counting("creates with an unknown outcome")
}

/// Counts what became of a create, and ends the lane once too many in a row are in doubt. Only a create that was accepted
/// or refused shows that creates are understood there: a look doesn't, whatever it finds.
pub(super) fn tell(lane: &Lane, verdict: &Verdict, exchange: &Exchange) {
    match verdict {
        // Cut off by us: that says nothing of the account.
        Verdict::Unknown { .. } if lane.shared.cut.is_cancelled() => return,
        // "There is one like it already", "try later": an answer of the API itself, though not the last word.
        Verdict::Unknown { .. } if is_refusal(exchange) => return,
        Verdict::Unknown { why } => lane.doubts.failure(why.as_str()),
        Verdict::Accepted { .. } | Verdict::Refused { .. } | Verdict::RefusedUnlessThere { .. } => {
            lane.doubts.success();
        }
        // Judged elsewhere: pauses, tokens, the account's own breaker.
        Verdict::NotNow { .. } | Verdict::AuthExpired | Verdict::AccountWrong { .. } | Verdict::Absent => return,
    }
    let Some(reason) = lane.doubts.is_open() else { return };
    lane.halt(Halt {
        account: lane.name.clone(),
        reason,
        remedy: Some(remedy(exchange).to_owned()),
        exit: Exit::Unavailable,
    });
}

/// A status between 400 and 499, but those that somebody who stands before the API sends when it took too long.
fn is_refusal(exchange: &Exchange) -> bool {
    exchange
        .result
        .as_ref()
        .is_ok_and(|reply| reply.status.is_client_error() && !matches!(reply.status.as_u16(), 408 | 425))
}

fn remedy(exchange: &Exchange) -> &'static str {
    match &exchange.result {
        Ok(reply) if !reply.status.is_server_error() => {
            "check the address and the login: something else than the API may be answering, such as a sign-in page; leads \
             that were not sent keep their attempts"
        }
        _ => "run again when it is back; leads that were not sent keep their attempts",
    }
}
