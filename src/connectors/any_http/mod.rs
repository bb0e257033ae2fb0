//! Any HTTP API, from the configuration alone: the request that creates a lead, how the account logs in, what a success
//! is, where the id stands, and how to ask whether a lead is there (or the header by which the API knows a repeat).

mod checks;
mod compile;
mod json;
mod pointer;
mod reading;
mod settings;

#[cfg(test)]
mod tests;

use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use sha2::{Digest, Sha256};
use url::Url;

pub(super) use self::settings::KIND;

use self::json::Body;
use self::pointer::Pointer;
use super::routing::damaged;
use super::template::{Context, Template};
use super::{Asked, CheckStep, Destination, Limits, UnknownPolicy, Unsendable, Verdict};
use crate::config::values;
use crate::http::message::{Reply, Request};
use crate::lead::{Lead, Prepared};

/// A count that begins anew within this is waited for as soon as a reply says that it is used up. Of a longer one the next
/// call is told by a 429: it may be of another address than that of the creates, or in milliseconds.
const SOON: Duration = Duration::from_secs(60);
/// How long a 429 without a `Retry-After` is taken at its count's word.
const LONGEST_RESET: Duration = Duration::from_secs(3600);

/// The API, as its table describes it. Holds no secret and no connection.
pub struct AnyHttp {
    /// The destination's name: part of idempotency keys, and for messages.
    name: String,
    method: Method,
    url: Template,
    /// Whether every lead is created at the same address.
    same_url: bool,
    body: Body,
    headers: Vec<(HeaderName, Template)>,
    idempotency_header: Option<HeaderName>,
    remote_id: Option<Pointer>,
    identity: Template,
    success: Option<Success>,
    duplicate: Duplicate,
    find: Option<Find>,
    check_url: Option<Url>,
    limits: Limits,
    unknown: UnknownPolicy,
}

/// What a success says of itself.
struct Success {
    pointer: Pointer,
    equals: Option<String>,
}

/// What "it is there already" looks like.
struct Duplicate {
    status: Option<u16>,
    words: Vec<String>,
    remote_id: Option<Pointer>,
}

/// How to ask whether a lead is there.
struct Find {
    method: Method,
    url: Template,
    body: Option<Body>,
    found: Pointer,
    equals: Option<Template>,
    remote_id: Option<Pointer>,
    absent_status: Option<u16>,
    first: bool,
}

impl AnyHttp {
    fn request(&self, method: Method, url: &Template, prepared: &Prepared) -> Result<(Request, Context), Unsendable> {
        let context = Context::of(prepared);
        let unsendable = |reason: String| Unsendable { field: "url", reason };
        let url = url.render(&context).map_err(|error| unsendable(error.to_string()))?;
        let url = url.ok_or_else(|| unsendable("its template prints something that this lead lacks".to_owned()))?;
        let url = values::address(&url).map_err(|_| unsendable("what its template makes is no address".to_owned()))?;
        let mut request = Request::new(method, url).header(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, template) in &self.headers {
            let text = template
                .render(&context)
                .map_err(|error| Unsendable { field: "headers", reason: format!("{name}: {error}") })?;
            let Some(text) = text else { continue };
            let mut value = HeaderValue::from_str(&text).map_err(|_| Unsendable {
                field: "headers",
                reason: format!("{name}: characters that no header can hold"),
            })?;
            value.set_sensitive(true);
            request = request.header(name.clone(), value);
        }
        Ok((request, context))
    }

    /// The question whether the lead is there.
    ///
    /// # Errors
    /// [`Unsendable`] if a template prints something that the lead lacks: another question, or one whose answer could not
    /// be compared, would say nothing of this lead.
    fn question(&self, find: &Find, prepared: &Prepared) -> Result<Request, Unsendable> {
        let unsendable = |reason: String| Unsendable { field: "find", reason };
        let lacks = |key: &str| unsendable(format!("`find.{key}` prints something that this lead lacks"));
        let (request, context) = self
            .request(find.method.clone(), &find.url, prepared)
            .map_err(|error| unsendable(format!("`find.{}`: {}", error.field, error.reason)))?;
        if let Some(equals) = &find.equals {
            let wanted = equals.render(&context).map_err(|error| unsendable(format!("`find.equals`: {error}")))?;
            wanted.ok_or_else(|| lacks("equals"))?;
        }
        let Some(body) = &find.body else { return Ok(request) };
        let body = body.render(&context).map_err(|error| unsendable(format!("`find.body`: {error}")))?;
        if body.is_null() { Err(lacks("body")) } else { Ok(request.json(&body)) }
    }

    /// The same for each repeat of a request, another one for what differs: the destination, who the lead is there, and
    /// what is sent. Nothing of the lead can be read from it.
    fn idempotency_key(&self, identity: &str, body: &[u8]) -> HeaderValue {
        let mut hash = Sha256::new();
        for part in [self.name.as_bytes(), identity.as_bytes(), body] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let hex: String = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::try_from(format!("leadsync-{hex}")).unwrap_or_else(|_| HeaderValue::from_static("leadsync"))
    }
}

impl Destination for AnyHttp {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn on_unknown(&self) -> UnknownPolicy {
        self.unknown
    }

    fn identity(&self, lead: &Lead) -> Result<String, Unsendable> {
        let context = Context::of(&Prepared { lead: lead.clone(), ..Prepared::default() });
        let unsendable = |reason: String| Unsendable { field: "identity", reason };
        let identity = self.identity.render(&context).map_err(|error| unsendable(error.to_string()))?;
        identity.ok_or_else(|| unsendable("this lead lacks what it is known by there".to_owned()))
    }

    fn create(&self, prepared: &Prepared) -> Result<Request, Unsendable> {
        let (request, context) = self.request(self.method.clone(), &self.url, prepared)?;
        let body =
            self.body.render(&context).map_err(|error| Unsendable { field: "body", reason: error.to_string() })?;
        if body.is_null() {
            return Err(Unsendable { field: "body", reason: "this lead has nothing of what is sent".to_owned() });
        }
        // Where two requests make two leads, nothing is created that nobody could look for first.
        if let Some(find) = self.find.as_ref().filter(|find| find.first) {
            self.question(find, prepared)?;
        }
        let request = request.json(&body);
        Ok(match &self.idempotency_header {
            Some(header) => {
                let key = self.idempotency_key(&self.identity(&prepared.lead)?, &request.body);
                request.header(header.clone(), key)
            }
            None => request,
        })
    }

    fn find(&self, prepared: &Prepared) -> Option<Request> {
        self.question(self.find.as_ref()?, prepared).ok()
    }

    fn looks_first(&self) -> bool {
        self.find.as_ref().is_some_and(|find| find.first)
    }

    fn read(&self, asked: Asked, about: &Prepared, reply: &Reply) -> Option<Verdict> {
        // Where no lead has a part in the address, the status alone tells that there is none.
        if let Some(verdict) = damaged(reply).filter(|_| asked != Asked::Create || !self.same_url) {
            return Some(verdict);
        }
        match (asked, &self.find) {
            (Asked::Create, _) if reply.status.is_success() => Some(self.read_created(about, reply)),
            (Asked::Create, _) if reply.status.is_client_error() => self.read_refusal(about, reply),
            (Asked::Find, Some(find)) => self.read_found(find, about, reply),
            _ => None,
        }
    }

    fn limit_said(&self, reply: &Reply) -> Option<(Duration, String)> {
        // What a refusal asks for in this very case goes before what is counted.
        if reply.status == StatusCode::TOO_MANY_REQUESTS && reply.retry_after().is_some() {
            return None;
        }
        let longest = if reply.status == StatusCode::TOO_MANY_REQUESTS { LONGEST_RESET } else { SOON };
        let wait = reply.no_calls_for().filter(|wait| *wait <= longest)?;
        Some((wait, format!("that was the last call for {} s, by the API's own count", wait.as_secs_f64().ceil())))
    }

    /// What a reply says of the lead is up to the API: only `find.equals` compares.
    fn is_about_another(&self, _: &Prepared, _: &Reply) -> bool {
        false
    }

    fn check(&self, replies: &[Reply]) -> CheckStep {
        match (&self.check_url, replies) {
            (None, _) => CheckStep::Passed(Vec::new()),
            (Some(url), []) => {
                let mut request =
                    Request::new(Method::GET, url.clone()).header(ACCEPT, HeaderValue::from_static("application/json"));
                // Those that don't depend on the lead: versions and the like.
                let nobody = Context::of(&Prepared::default());
                for (name, template) in &self.headers {
                    if let Ok(Some(text)) = template.render(&nobody)
                        && let Ok(value) = HeaderValue::from_str(&text)
                    {
                        request = request.header(name.clone(), value);
                    }
                }
                CheckStep::Ask(request)
            }
            (Some(_), [.., last]) if last.status.is_success() && !last.is_html() => CheckStep::Passed(Vec::new()),
            // Damaged on its way, it says nothing of the account.
            (Some(_), [.., last]) if damaged(last).is_some() => CheckStep::Unreadable,
            (Some(url), [.., last])
                if last.status.is_success() || matches!(last.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) =>
            {
                CheckStep::Failed {
                    reason: format!(
                        "the account check at {} was answered with {}: {}",
                        url.host_str().unwrap_or_default(),
                        last.status.as_u16(),
                        last.message()
                    ),
                    remedy: format!(
                        "check destinations.{0}.check.url, and what the account may do (destinations.{0}.auth)",
                        self.name
                    ),
                }
            }
            _ => CheckStep::Unreadable,
        }
    }
}
