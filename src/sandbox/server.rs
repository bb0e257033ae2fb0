//! Connections, and the one path every request takes: token, limit, fault, effect, reply.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::faults::Fault;
use super::ledger::RequestRecord;
use super::reply::{Answer, Cut, ReplyBody};
use super::request::Incoming;
use super::service::unrouted;
use super::state::{Exchange, State};
use super::{STOP_GRACE, admin};
use crate::clock::{Clock, SystemClock};

/// Accepts until told to stop; ends when its connections have. While it is down nobody listens and nothing is open.
pub(super) async fn accept(mut door: Door, state: Arc<State>, stop: CancellationToken) {
    let connections = tokio_util::task::TaskTracker::new();
    let mut down = state.down.subscribe();
    let mut cut = CancellationToken::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            // The sender is part of the state, which we hold.
            Ok(()) = down.changed() => {
                if *down.borrow_and_update() {
                    door.close();
                    std::mem::take(&mut cut).cancel();
                } else {
                    door.open().await;
                }
            }
            accepted = door.accept() => match accepted {
                Ok(stream) => {
                    drop(connections.spawn(connection(stream, Arc::clone(&state), stop.clone(), cut.clone())));
                }
                // Out of file descriptors, mostly: clients that hang up free some.
                Err(error) => {
                    tracing::warn!(%error, "the sandbox could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
        }
    }
    connections.close();
    connections.wait().await;
}

async fn connection(stream: TcpStream, state: Arc<State>, stop: CancellationToken, down: CancellationToken) {
    // Small replies at once: waiting for more would add 40 ms to each. Without it they are only slower.
    let _ = stream.set_nodelay(true);
    let cancel = stop.clone();
    let service = service_fn(move |request| Box::pin(answer(Arc::clone(&state), cancel.clone(), request)));
    // Without a timer hyper never closes an idle connection: only faults lose replies here.
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = down.cancelled() => return reset(connection.into_parts().io.into_inner()),
        () = stop.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            match tokio::time::timeout(STOP_GRACE, &mut connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    let cut = ended.err().and_then(|error| {
        use std::error::Error;
        error.source()?.downcast_ref::<Cut>().copied()
    });
    if cut == Some(Cut::Reset) {
        reset(connection.into_parts().io.into_inner());
    }
}

/// With SO_LINGER at zero, closing sends RST instead of FIN. A failure leaves a FIN: as lost for the client.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}

async fn answer(
    state: Arc<State>,
    stop: CancellationToken,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<ReplyBody>, Cut> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, state.options.body_limit).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let why = format!("request body above {} bytes", state.options.body_limit);
            return Ok(Answer::json(StatusCode::PAYLOAD_TOO_LARGE, &json!({"message": why})).whole());
        }
        // The client went away in the middle of its own request.
        Err(_) => return Err(Cut::Closed),
    };
    let request = Incoming {
        json: serde_json::from_slice(&body).ok(),
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
    };
    if request.path == "/_sandbox" || request.path.starts_with("/_sandbox/") {
        return Ok(admin::answer(&state, &request).whole());
    }
    let mut record = RequestRecord::new(SystemClock.now(), &request.method, &request.path);
    if !state.options.latency.is_zero() {
        tokio::time::sleep(state.options.latency).await;
    }
    let (service, operation) = match state.route(&request) {
        Some((service, Ok(operation))) => (service, operation),
        Some((_, Err(refused))) => return Ok(state.noted(record, refused).whole()),
        None => return Ok(state.noted(record, unrouted(StatusCode::NOT_FOUND)).whole()),
    };
    record.operation = Some(operation);
    serve(Exchange { state, service, operation, request, caller: None }, stop, record).await
}

async fn serve(
    mut exchange: Exchange,
    stop: CancellationToken,
    mut record: RequestRecord,
) -> Result<Response<ReplyBody>, Cut> {
    let state = Arc::clone(&exchange.state);
    if !exchange.operation.is_login() {
        match exchange.service.authorise(exchange.operation, &exchange.request, &state.tokens) {
            Ok(caller) => exchange.caller = Some(caller),
            Err(refused) => return Ok(state.noted(record, exchange.told(refused)).whole()),
        }
    }
    record.account = exchange.caller.as_ref().map(|caller| caller.account.clone());
    if let Err(refused) = exchange.within_limit() {
        return Ok(state.noted(record, exchange.told(refused)).whole());
    }
    let fault = exchange.decide();
    record.fault = fault.map(|fault| fault.to_string());
    if let Some(Fault::Late) = fault {
        return late(exchange, stop, record).await;
    }
    if fault.is_some_and(Fault::comes_after) {
        exchange.perform(fault);
    }
    let answer = match fault {
        Some(Fault::Reset { .. }) => {
            state.ledger.request(record);
            return Err(Cut::Reset);
        }
        Some(Fault::Hang { .. }) => {
            state.ledger.request(record);
            tokio::time::sleep(state.options.timing.hang).await;
            return Err(Cut::Closed);
        }
        Some(Fault::Status { code, .. }) => exchange.fault_status(code),
        Some(Fault::TooMany(form)) => exchange.asks_for_a_pause(form),
        Some(Fault::Rest) => exchange.asks_for_a_rest(),
        Some(Fault::ErrorBody { .. }) => exchange.service.error_body(exchange.operation),
        Some(Fault::OtherLead { .. }) => exchange.service.other_lead(exchange.operation),
        Some(Fault::Html) => exchange.perform(fault).into_html(),
        Some(Fault::Empty) => exchange.perform(fault).into_empty(),
        Some(Fault::NoId) => exchange.perform(fault).into_no_id(exchange.service.id_pointers()),
        None | Some(Fault::Truncated | Fault::Drip | Fault::Late) => exchange.perform(fault),
    };
    let answer = state.noted(record, exchange.told(answer));
    Ok(match fault {
        Some(Fault::Truncated) => answer.truncated(),
        Some(Fault::Drip) => answer.dripping(state.options.timing.drip),
        _ => answer.whole(),
    })
}

async fn late(exchange: Exchange, stop: CancellationToken, record: RequestRecord) -> Result<Response<ReplyBody>, Cut> {
    exchange.state.ledger.request(record);
    exchange.service.begins(exchange.operation, &exchange.request);
    // A task of its own: hyper drops this future when the client hangs up, and the effect must come all the same.
    let late = tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => None,
            () = tokio::time::sleep(exchange.state.options.timing.hang) => {
                let answer = exchange.perform(Some(Fault::Late));
                Some(exchange.told(answer))
            }
        }
    });
    late.await.ok().flatten().map(Answer::whole).ok_or(Cut::Closed)
}
