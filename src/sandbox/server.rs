//! Connections, and the one path every request takes: token, limit, fault, effect, reply.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::faults::{Fault, FaultBook, FaultPlan};
use super::ledger::{Ledger, RequestRecord, Totals};
use super::limits::Limits;
use super::live_data::LiveData;
use super::operation::{Api, Operation};
use super::options::{RetryAfter, SandboxOptions};
use super::reply::{Answer, Cut, ReplyBody};
use super::seven_targets::SevenTargets;
use super::tokens::Tokens;
use super::{STOP_GRACE, admin, live_data, seven_targets};
use crate::clock::{Clock, SystemClock};

/// Everything that requests share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: SandboxOptions,
    pub(super) tokens: Tokens,
    pub(super) ledger: Ledger,
    pub(super) faults: Mutex<FaultBook>,
    limits: Mutex<Limits>,
    live_data: LiveData,
    seven_targets: SevenTargets,
    /// Whether nobody listens at the moment.
    pub(super) down: watch::Sender<bool>,
}

/// A request, read whole.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The body, if it is JSON.
    pub(super) json: Option<Value>,
}

impl Incoming {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What stands behind `Authorization: Bearer`.
    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }

    /// The body as a form.
    pub(super) fn form(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(&self.body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let query = self.query.as_deref()?;
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// Who is calling, once it is known.
struct Caller {
    account: String,
    /// The access token, to revoke it.
    token: Option<String>,
}

impl State {
    pub(super) fn new(options: SandboxOptions) -> io::Result<Self> {
        let ledger = Ledger::open(options.ledger_file.as_deref())?;
        let seven_targets = SevenTargets::new(options.seven_targets.clone(), &ledger.effects());
        Ok(Self {
            tokens: Tokens::default(),
            faults: Mutex::new(FaultBook::new(options.seed, options.faults.clone())),
            limits: Mutex::default(),
            live_data: LiveData::new(options.live_data.clone(), options.seed),
            seven_targets,
            ledger,
            options,
            down: watch::Sender::new(false),
        })
    }

    /// All numbers.
    pub(super) fn totals(&self) -> Totals {
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        Totals {
            credits_used: self.live_data.credits_used(),
            faults: self.faults.lock().unwrap_or_else(PoisonError::into_inner).fired().clone(),
            limits: Api::ALL.into_iter().map(|api| (api.to_string(), limits.totals(api))).collect(),
            ..self.ledger.totals()
        }
    }

    /// Other faults from now on; without a seed the old one goes on.
    pub(super) fn set_faults(&self, plan: FaultPlan, seed: Option<u64>) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).set(plan, seed);
    }

    /// Forgets leads, credits, requests and counts; tokens stay good.
    pub(super) fn reset(&self) -> io::Result<()> {
        self.ledger.reset()?;
        self.seven_targets.reset();
        self.live_data.reset();
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).reset();
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = Limits::default();
        Ok(())
    }

    /// Token and headers; a login has none.
    fn authorise(&self, operation: Operation, request: &Incoming) -> Result<Option<Caller>, Answer> {
        if operation.is_login() {
            return Ok(None);
        }
        let api = operation.api();
        let denied = || refusal(operation, StatusCode::UNAUTHORIZED, "Unauthorized");
        let token = request.bearer().ok_or_else(denied)?;
        let caller = match self.tokens.account(api, token) {
            Some(account) => Caller { account, token: Some(token.to_owned()) },
            None if api == Api::LiveData && self.live_data.is_api_key(token) => {
                Caller { account: "api-key".to_owned(), token: None }
            }
            None => return Err(denied()),
        };
        if api == Api::SevenTargets && !self.seven_targets.knows_user(request) {
            let why = "Forbidden: 7ts-user-identifier is missing or unknown";
            return Err(refusal(operation, StatusCode::FORBIDDEN, why));
        }
        Ok(Some(caller))
    }

    fn within_limit(&self, operation: Operation, caller: &Caller) -> Result<(), Answer> {
        let api = operation.api();
        let rate = match api {
            Api::LiveData => self.options.live_data.rate,
            Api::SevenTargets => self.options.seven_targets.rate,
        };
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let form = self.options.retry_after;
        limits.admit(api, &caller.account, rate, Instant::now()).map_err(|wait| self.too_many(operation, form, wait))
    }

    fn decide(&self, operation: Operation, request: &Incoming) -> Option<Fault> {
        let who = match operation.api() {
            Api::LiveData => live_data::identities(operation, request),
            Api::SevenTargets => seven_targets::identities(operation, request),
        };
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).decide(operation, &who)
    }

    /// The effect, if there is one, and the honest answer. Never waits, so a client that goes away can't halve it.
    fn perform(&self, operation: Operation, request: &Incoming, fault: Option<Fault>) -> Answer {
        let fault = fault.map(|fault| fault.to_string());
        match operation {
            Operation::Session => self.live_data.session(request, &self.tokens, self.options.token_ttl),
            Operation::Find => self.live_data.find(request),
            Operation::Token => self.seven_targets.token(request, &self.tokens, self.options.token_ttl),
            Operation::Create => self.seven_targets.create(request, &self.ledger, fault),
            Operation::Update => self.seven_targets.update(request, &self.ledger, fault),
            Operation::Assistants => self.seven_targets.assistants(request),
        }
    }

    fn too_many(&self, operation: Operation, form: RetryAfter, wait: Duration) -> Answer {
        let answer = refusal(operation, StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
        // Both forms have whole seconds only; rounding down would invite the client too early.
        match form {
            RetryAfter::Absent => answer,
            RetryAfter::Seconds => answer.with("retry-after", &wait.as_millis().div_ceil(1000).max(1).to_string()),
            RetryAfter::Date => {
                let at_ms = u64::try_from(SystemClock.now().plus(wait).ms()).unwrap_or_default();
                let at = std::time::UNIX_EPOCH + Duration::from_secs(at_ms.div_ceil(1000));
                answer.with("retry-after", &httpdate::fmt_http_date(at))
            }
        }
    }

    /// Writes the request down with the status it is about to get.
    fn noted(&self, mut record: RequestRecord, answer: Answer) -> Answer {
        record.status = Some(answer.status.as_u16());
        tracing::debug!(path = record.path, status = record.status, fault = record.fault, "answered");
        self.ledger.request(record);
        answer
    }

    /// An injected 429. A client that was told how long to wait is held to it.
    fn asks_for_a_pause(&self, operation: Operation, form: RetryAfter, caller: Option<&Caller>) -> Answer {
        let pause = self.options.timing.pause;
        if let (Some(caller), false) = (caller, form == RetryAfter::Absent) {
            let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
            limits.pause(operation.api(), &caller.account, pause, Instant::now());
        }
        self.too_many(operation, form, pause)
    }

    /// A fault's own error status, with what belongs to it.
    fn fault_status(&self, operation: Operation, code: u16, caller: Option<&Caller>) -> Answer {
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match (status, caller) {
            (StatusCode::TOO_MANY_REQUESTS, caller) => {
                return self.asks_for_a_pause(operation, self.options.retry_after, caller);
            }
            (StatusCode::UNAUTHORIZED, Some(Caller { token: Some(token), .. })) => self.tokens.revoke(token),
            _ => {}
        }
        refusal(operation, status, status.canonical_reason().unwrap_or("Error"))
    }
}

/// A refusal in the words of its service.
pub(super) fn refusal(operation: Operation, status: StatusCode, why: &str) -> Answer {
    let body = match operation {
        Operation::Session | Operation::Find | Operation::Token => json!({"error": why}),
        Operation::Create | Operation::Update | Operation::Assistants => json!({"message": why}),
    };
    Answer::json(status, &body)
}

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
    let operation = match route(&request.method, &request.path) {
        Ok(operation) => operation,
        Err(status) => {
            let why = status.canonical_reason().unwrap_or("Error");
            return Ok(state.noted(record, Answer::json(status, &json!({"message": why}))).whole());
        }
    };
    record.operation = Some(operation);
    serve(state, stop, operation, request, record).await
}

/// Which call it is, or 404, or 405.
fn route(method: &Method, path: &str) -> Result<Operation, StatusCode> {
    let (operation, expected) = match path {
        live_data::SESSION_PATH => (Operation::Session, Method::POST),
        seven_targets::TOKEN_PATH => (Operation::Token, Method::POST),
        seven_targets::LEADS_PATH if *method == Method::PUT => (Operation::Update, Method::PUT),
        seven_targets::LEADS_PATH => (Operation::Create, Method::POST),
        seven_targets::ASSISTANTS_PATH => (Operation::Assistants, Method::GET),
        path if live_data::organization(path).is_some() => (Operation::Find, Method::POST),
        _ => return Err(StatusCode::NOT_FOUND),
    };
    if *method == expected { Ok(operation) } else { Err(StatusCode::METHOD_NOT_ALLOWED) }
}

async fn serve(
    state: Arc<State>,
    stop: CancellationToken,
    operation: Operation,
    request: Incoming,
    mut record: RequestRecord,
) -> Result<Response<ReplyBody>, Cut> {
    let caller = match state.authorise(operation, &request) {
        Ok(caller) => caller,
        Err(refused) => return Ok(state.noted(record, refused).whole()),
    };
    record.account = caller.as_ref().map(|caller| caller.account.clone());
    if let Some(caller) = &caller
        && let Err(refused) = state.within_limit(operation, caller)
    {
        return Ok(state.noted(record, refused).whole());
    }
    let fault = state.decide(operation, &request);
    record.fault = fault.map(|fault| fault.to_string());
    let effect = || state.perform(operation, &request, fault);
    match fault {
        None => Ok(state.noted(record, effect()).whole()),
        Some(Fault::Status { code, after }) => {
            if after {
                effect();
            }
            Ok(state.noted(record, state.fault_status(operation, code, caller.as_ref())).whole())
        }
        Some(Fault::Truncated) => Ok(state.noted(record, effect()).truncated()),
        Some(Fault::Html) => Ok(state.noted(record, effect().into_html()).whole()),
        Some(Fault::Empty) => Ok(state.noted(record, effect().into_empty()).whole()),
        Some(Fault::Drip) => Ok(state.noted(record, effect()).dripping(state.options.timing.drip)),
        Some(Fault::NoId) => Ok(state.noted(record, effect().into_no_id()).whole()),
        Some(Fault::TooMany(form)) => {
            Ok(state.noted(record, state.asks_for_a_pause(operation, form, caller.as_ref())).whole())
        }
        Some(lie @ (Fault::ErrorBody { after } | Fault::OtherLead { after })) => {
            if after {
                effect();
            }
            let told = if matches!(lie, Fault::OtherLead { .. }) { Answer::other_lead() } else { Answer::error_body() };
            Ok(state.noted(record, told).whole())
        }
        Some(Fault::Reset { after }) => {
            if after {
                effect();
            }
            state.ledger.request(record);
            Err(Cut::Reset)
        }
        Some(Fault::Hang { after }) => {
            if after {
                effect();
            }
            state.ledger.request(record);
            tokio::time::sleep(state.options.timing.hang).await;
            Err(Cut::Closed)
        }
        Some(Fault::Late) => {
            state.ledger.request(record);
            // A task of its own: hyper drops this future when the client hangs up, and the effect must come all the same.
            let late = tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => None,
                    () = tokio::time::sleep(state.options.timing.hang) => Some(state.perform(operation, &request, fault)),
                }
            });
            late.await.ok().flatten().map(Answer::whole).ok_or(Cut::Closed)
        }
    }
}
