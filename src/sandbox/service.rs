//! What a remote service is to the sandbox. Another one is a file that implements [`Service`] and a line in [`KINDS`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::ledger::{Effect, EffectKind, Ledger, Subject};
use super::limits::{Quota, Standing};
use super::operation::{Api, Operation};
use super::options::SandboxOptions;
use super::refresh::RefreshTotals;
use super::reply::Answer;
use super::request::Incoming;
use super::tokens::{Known, Tokens};
use super::{lead_bank, lead_connector, lead_desk, live_data, plain_crm, seven_targets};

/// How a service is declared.
pub(super) struct Kind {
    pub(super) api: Api,
    pub(super) operations: &'static [Operation],
    /// With what these effects left: a ledger file that is continued.
    pub(super) start: fn(&SandboxOptions, &[Effect]) -> Arc<dyn Service>,
}

/// All that is served. A request belongs to the first that knows its path.
pub(super) const KINDS: &[Kind] =
    &[live_data::KIND, seven_targets::KIND, lead_connector::KIND, lead_desk::KIND, lead_bank::KIND, plain_crm::KIND];

/// One remote service.
pub(super) trait Service: fmt::Debug + Send + Sync {
    /// Which call it is; `None`: the path is nobody's, or another service's.
    fn route(&self, request: &Incoming) -> Option<Routed>;

    /// Who calls, by token, key and headers. Not asked for logins.
    fn authorise(&self, operation: Operation, request: &Incoming, tokens: &Tokens) -> Result<Caller, Answer>;

    /// Whom a fault plan knows this request by: e-mail addresses in lower case, or what else tells it from others; each
    /// at most once.
    fn concerns(&self, operation: Operation, request: &Incoming) -> Vec<String>;

    /// The effect, if there is one, and the honest answer. Never waits, so a client that goes away can't halve it.
    fn perform(&self, call: &Call<'_>) -> Answer;

    /// A refusal in the words of the service.
    fn refusal(&self, operation: Operation, status: StatusCode, why: &str) -> Answer;

    /// What an account may do.
    fn quota(&self) -> Quota;

    /// Forgets what was created and counted; tokens stay good.
    fn reset(&self);

    /// `[…]` tables of a configuration that fits, for a sandbox at this address.
    fn sections(&self, base_url: &str) -> Vec<Section>;

    /// Where it is reached, for people.
    fn addresses(&self, base_url: &str) -> String;

    /// The call is at work from now on and takes effect later: only a `late` fault does that.
    fn begins(&self, _operation: Operation, _request: &Incoming) {}

    /// With the headers that tell an account where it stands.
    fn told(&self, answer: Answer, _standing: &Standing) -> Answer {
        answer
    }

    /// Whether its own 429 says `Retry-After`.
    fn says_retry_after(&self) -> bool {
        true
    }

    /// Where its answers hold the lead's number (RFC 6901).
    fn id_pointers(&self) -> &'static [&'static str] {
        &["/id"]
    }

    /// A success that says it failed.
    fn error_body(&self, _operation: Operation) -> Answer {
        let body = json!({"status": 500, "error": "Internal Server Error", "message": "please try again"});
        Answer::json(StatusCode::OK, &body)
    }

    /// A success that speaks of somebody who is none of the client's leads.
    fn other_lead(&self, _operation: Operation) -> Answer {
        let body = json!({"id": 99_000_001, "name": "Nobody", "email": "nobody@sandbox.example", "state": "Cold"});
        Answer::json(StatusCode::OK, &body)
    }

    /// What can be changed while it runs.
    fn switches(&self) -> Vec<&Switch> {
        Vec::new()
    }

    /// What came of its refresh tokens; `None`: it has none.
    fn refreshes(&self) -> Option<RefreshTotals> {
        None
    }

    /// Credits, if it counts such.
    fn credits_used(&self) -> u64 {
        0
    }
}

/// A call, or a refusal because there is no such.
pub(super) type Routed = Result<Operation, Answer>;

/// This call, if the method is right.
pub(super) fn expecting(expected: &Method, operation: Operation, request: &Incoming) -> Routed {
    if request.method == *expected { Ok(operation) } else { Err(unrouted(StatusCode::METHOD_NOT_ALLOWED)) }
}

/// No such path, or not with this method.
pub(super) fn unrouted(status: StatusCode) -> Answer {
    Answer::json(status, &json!({"message": status.canonical_reason().unwrap_or("Error")}))
}

/// The ledger file can't be written, so nothing took place.
pub(super) fn unwritten(service: &dyn Service, operation: Operation, error: &std::io::Error) -> Answer {
    tracing::error!(%error, "the sandbox's ledger file can't be written; the request had no effect");
    service.refusal(operation, StatusCode::INTERNAL_SERVER_ERROR, "the sandbox's ledger file can't be written")
}

/// Who is calling.
pub(super) struct Caller {
    pub(super) account: String,
    /// The access token, to revoke it; `None`: a key that can't be.
    pub(super) token: Option<String>,
    /// What the token was granted, space separated.
    pub(super) scope: String,
}

impl Caller {
    /// By an access token.
    pub(super) fn with_token(known: Known, token: &str) -> Self {
        Self { account: known.account, token: Some(token.to_owned()), scope: known.scope }
    }

    /// Whether it was granted one of these scopes; a key may everything.
    pub(super) fn may(&self, scopes: &[&str]) -> bool {
        self.token.is_none() || self.scope.split(' ').any(|granted| scopes.contains(&granted))
    }

    /// By a key that never expires.
    pub(super) fn with_key(account: &str) -> Self {
        Self { account: account.to_owned(), token: None, scope: String::new() }
    }
}

/// One request that takes effect.
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) request: &'a Incoming,
    /// `None`: a login.
    pub(super) caller: Option<&'a Caller>,
    pub(super) tokens: &'a Tokens,
    pub(super) ledger: &'a Ledger,
    /// How long a new access token lives.
    pub(super) ttl: Duration,
    /// What spoils the reply, as in fault plans.
    pub(super) fault: Option<String>,
    /// [`Service::begins`] was told of it.
    pub(super) late: bool,
}

impl Call<'_> {
    /// Writes an effect down before it takes place. On an error it must not.
    pub(super) fn note(&self, effect: EffectKind, subject: Subject<'_>, body: &Value) -> std::io::Result<()> {
        self.ledger.record(self.operation.api(), effect, subject, self.fault.clone(), body)
    }
}

/// Something of a service that can be changed while it runs.
#[derive(Debug)]
pub(super) struct Switch {
    /// As `POST /_sandbox/switches` names it.
    pub(super) name: &'static str,
    on: AtomicBool,
}

impl Switch {
    pub(super) fn new(name: &'static str, on: bool) -> Self {
        Self { name, on: AtomicBool::new(on) }
    }

    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::SeqCst)
    }

    pub(super) fn set(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }
}

/// A table of a configuration file.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) entries: Vec<(&'static str, toml::Value)>,
}

impl Section {
    pub(super) fn new(name: &'static str, kind: &str) -> Self {
        Self { name, entries: vec![("kind", kind.into())] }
    }

    pub(super) fn with(mut self, key: &'static str, value: impl Into<toml::Value>) -> Self {
        self.entries.push((key, value.into()));
        self
    }

    pub(super) fn with_rate(self, rate: Option<crate::http::message::Rate>) -> Self {
        self.with("rate", rate.map_or("none".to_owned(), |rate| rate.to_string()))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[{}]", self.name)?;
        self.entries.iter().try_for_each(|(key, value)| writeln!(f, "{key} = {value}"))
    }
}
