//! One request on its way, and the only place where the end of the grace time may cut something off: everything before has
//! not left us, everything after is known and only wants to be written down.

use std::sync::OnceLock;

use tokio::time::Instant;

use crate::auth::Bearer;
use crate::clock::Timestamp;
use crate::connectors::channel::Exchange;
use crate::crash::{self, At};
use crate::exit::Exit;
use crate::http::limit::Permit;
use crate::http::message::{Reply, Request, SendError};
use crate::pipeline::lane::Lane;
use crate::pipeline::progress::Halt;
use crate::store::{CallId, Pause};

/// Why there is no reply to a request that the end of the grace time cut off.
pub(super) const CUT: &str = "cut off, since the run was told to stop and its grace time was over";

/// What became of a request that was cleared.
pub(super) enum Flight {
    /// It came to its end, whatever that was.
    Landed(Exchange),
    /// It left, and the grace time ended before its reply was here. What becomes of it is unknown like any lost reply.
    Cut(Exchange),
    /// It never left.
    Kept(&'static str),
}

/// Sends, counts, and ends the lane once its account has failed too often in a row. `what` is the request's name in the
/// call log. `still` is asked right before the
/// request is written.
pub(super) async fn exchange(
    lane: &Lane,
    permit: Permit,
    bearer: Option<&Bearer>,
    what: &'static str,
    request: &Request,
    still: impl Fn(Timestamp) -> bool + Send + Sync,
) -> Flight {
    let cut = &lane.shared.cut;
    let left_at = OnceLock::new();
    let still = |now| {
        let goes = !cut.is_cancelled() && still(now);
        if goes {
            let _ = left_at.set((now, Instant::now()));
            crash::point(what, At::BeforeRequest);
        }
        goes
    };
    let sent = tokio::select! {
        // A reply that is here counts, however late it is.
        biased;
        sent = lane.channel.send_if(permit, bearer, request, still) => Some(sent),
        () = cut.cancelled() => None,
    };
    let exchange = match (sent, left_at.get()) {
        (Some(Some(exchange)), _) => exchange,
        (_, None) if cut.is_cancelled() => return Flight::Kept(CUT),
        (_, None) | (Some(None), _) => return Flight::Kept("the lease was about to lapse"),
        (None, Some((started_at, began))) => {
            lane.sent_one();
            let result = Err(SendError::Lost { why: CUT.to_owned() });
            let (call, took) = (CallId::new(*started_at), began.elapsed());
            return Flight::Cut(Exchange { call, started_at: *started_at, took, result });
        }
    };
    crash::point(what, At::AfterReply);
    lane.sent_one();
    lane.channel.tell_breaker(&exchange);
    if let Some(why) = lane.channel.breaker().is_open() {
        lane.halt(Halt {
            account: lane.name.clone(),
            reason: why,
            remedy: Some("the leads keep their attempts; run again when it is back".to_owned()),
            exit: Exit::Unavailable,
        });
    }
    if let Ok(reply) = &exchange.result {
        heed_limits(lane, reply).await;
    }
    Flight::Landed(exchange)
}

/// Keeps the pause that a reply asks for apart from what it says of the lead: by headers that count what is left of a limit,
/// or because the server can't serve anybody for a while.
pub(in crate::pipeline) async fn heed_limits(lane: &Lane, reply: &Reply) {
    // A failure's own word goes before what is counted.
    let rest = reply.asks_for_a_rest().map(|wait| (wait, format!("{} (`Retry-After`)", reply.status)));
    let Some((wait, why)) = rest.or_else(|| lane.destination.limit_said(reply)) else { return };
    lane.pause_account(Pause::of(lane.channel.account(), lane.shared.clock.now().plus(wait), why)).await;
}
