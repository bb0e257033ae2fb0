//! Everything that requests share, and what is the same for every service: faults, limits, pauses.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;
use tokio::time::Instant;

use super::faults::{Fault, FaultBook, FaultPlan};
use super::ledger::{Ledger, RequestRecord};
use super::limits::{Limits, Standing};
use super::operation::{Api, Operation};
use super::options::{RetryAfter, SandboxOptions};
use super::reply::Answer;
use super::request::Incoming;
use super::service::{Call, Caller, KINDS, Routed, Service};
use super::tokens::Tokens;
use super::totals::Totals;
use crate::clock::{Clock, SystemClock};

/// Everything that requests share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: SandboxOptions,
    pub(super) tokens: Tokens,
    pub(super) ledger: Ledger,
    pub(super) faults: Mutex<FaultBook>,
    pub(super) services: Vec<Arc<dyn Service>>,
    limits: Mutex<Limits>,
    /// Whether nobody listens at the moment.
    pub(super) down: watch::Sender<bool>,
}

impl State {
    pub(super) fn new(options: SandboxOptions) -> io::Result<Self> {
        let ledger = Ledger::open(options.ledger_file.as_deref())?;
        let effects = ledger.effects();
        Ok(Self {
            tokens: Tokens::default(),
            faults: Mutex::new(FaultBook::new(options.seed, options.faults.clone())),
            limits: Mutex::default(),
            services: KINDS.iter().map(|kind| (kind.start)(&options, &effects)).collect(),
            ledger,
            options,
            down: watch::Sender::new(false),
        })
    }

    /// All numbers.
    pub(super) fn totals(&self) -> Totals {
        let refreshes = KINDS.iter().zip(&self.services);
        let refreshes = refreshes.filter_map(|(kind, service)| Some((kind.api.to_string(), service.refreshes()?)));
        let limits = self.limits();
        Totals {
            credits_used: self.services.iter().map(|service| service.credits_used()).sum(),
            faults: self.faults.lock().unwrap_or_else(PoisonError::into_inner).fired().clone(),
            limits: Api::all().map(|api| (api.to_string(), limits.totals(api))).collect(),
            refreshes: refreshes.collect(),
            ..self.ledger.totals()
        }
    }

    /// Other faults from now on; without a seed the old one goes on.
    pub(super) fn set_faults(&self, plan: FaultPlan, seed: Option<u64>) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).set(plan, seed);
    }

    /// Turns a switch of a service; whether there is one of this name.
    pub(super) fn set_switch(&self, name: &str, on: bool) -> bool {
        let switch = self.services.iter().flat_map(|service| service.switches()).find(|switch| switch.name == name);
        switch.map(|switch| switch.set(on)).is_some()
    }

    /// Forgets leads, credits, requests and counts; tokens stay good.
    pub(super) fn reset(&self) -> io::Result<()> {
        self.ledger.reset()?;
        self.services.iter().for_each(|service| service.reset());
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).reset();
        *self.limits() = Limits::default();
        Ok(())
    }

    /// Whose request it is, and which call.
    pub(super) fn route(&self, request: &Incoming) -> Option<(Arc<dyn Service>, Routed)> {
        self.services.iter().find_map(|service| Some((Arc::clone(service), service.route(request)?)))
    }

    /// Writes the request down with the status it is about to get.
    pub(super) fn noted(&self, mut record: RequestRecord, answer: Answer) -> Answer {
        record.status = Some(answer.status.as_u16());
        tracing::debug!(path = record.path, status = record.status, fault = record.fault, "answered");
        self.ledger.request(record);
        answer
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose service and call are known, with what every service is treated alike in.
pub(super) struct Exchange {
    pub(super) state: Arc<State>,
    pub(super) service: Arc<dyn Service>,
    pub(super) operation: Operation,
    pub(super) request: Incoming,
    /// `None`: a login, or somebody who was not let in.
    pub(super) caller: Option<Caller>,
}

impl Exchange {
    /// Lets the call through, or says in the service's words that it is one too many.
    pub(super) fn within_limit(&self) -> Result<(), Answer> {
        let Some(caller) = &self.caller else { return Ok(()) };
        let admitted =
            self.state.limits().admit(self.operation.api(), &caller.account, self.service.quota(), Instant::now());
        admitted.map_err(|wait| self.too_many(self.own_form(), wait))
    }

    /// Whether it goes wrong, and how.
    pub(super) fn decide(&self) -> Option<Fault> {
        let who = self.service.concerns(self.operation, &self.request);
        self.state.faults.lock().unwrap_or_else(PoisonError::into_inner).decide(self.operation, &who)
    }

    /// The effect, if there is one, and the honest answer.
    pub(super) fn perform(&self, fault: Option<Fault>) -> Answer {
        self.service.perform(&Call {
            operation: self.operation,
            request: &self.request,
            caller: self.caller.as_ref(),
            tokens: &self.state.tokens,
            ledger: &self.state.ledger,
            ttl: self.state.options.token_ttl,
            fault: fault.map(|fault| fault.to_string()),
            late: fault == Some(Fault::Late),
        })
    }

    /// With the headers that the service puts on every reply.
    pub(super) fn told(&self, answer: Answer) -> Answer {
        let (quota, account) = (self.service.quota(), self.caller.as_ref().map(|caller| caller.account.as_str()));
        let standing = match account {
            Some(account) => self.state.limits().standing(self.operation.api(), account, quota, Instant::now()),
            None => Standing::fresh(quota),
        };
        let spent = answer.status == StatusCode::TOO_MANY_REQUESTS && standing.daily_remaining != Some(0);
        self.service.told(answer, &if spent { Standing { remaining: 0, ..standing } } else { standing })
    }

    /// An injected 429. A client that was told how long to wait is held to it.
    pub(super) fn asks_for_a_pause(&self, form: RetryAfter) -> Answer {
        if form != RetryAfter::Absent {
            self.hold_to_a_pause();
        }
        self.too_many(form, self.state.options.timing.pause)
    }

    /// An injected 503 that says for how long.
    pub(super) fn asks_for_a_rest(&self) -> Answer {
        self.hold_to_a_pause();
        let away = self.service.refusal(self.operation, StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
        with_retry_after(away, RetryAfter::Seconds, self.state.options.timing.pause)
    }

    fn hold_to_a_pause(&self) {
        if let Some(caller) = &self.caller {
            let pause = self.state.options.timing.pause;
            self.state.limits().pause(self.operation.api(), &caller.account, pause, Instant::now());
        }
    }

    /// A fault's own error status, with what belongs to it.
    pub(super) fn fault_status(&self, code: u16) -> Answer {
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match (status, &self.caller) {
            (StatusCode::TOO_MANY_REQUESTS, _) => return self.asks_for_a_pause(self.own_form()),
            (StatusCode::UNAUTHORIZED, Some(Caller { token: Some(token), .. })) => self.state.tokens.revoke(token),
            _ => {}
        }
        self.service.refusal(self.operation, status, status.canonical_reason().unwrap_or("Error"))
    }

    fn own_form(&self) -> RetryAfter {
        if self.service.says_retry_after() { self.state.options.retry_after } else { RetryAfter::Absent }
    }

    fn too_many(&self, form: RetryAfter, wait: Duration) -> Answer {
        let answer = self.service.refusal(self.operation, StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
        with_retry_after(answer, form, wait)
    }
}

/// Both forms have whole seconds only; rounding down would invite the client too early.
fn with_retry_after(answer: Answer, form: RetryAfter, wait: Duration) -> Answer {
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
