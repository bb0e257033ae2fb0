//! Any HTTP API, from the configuration alone: the request that creates a lead, how the account logs in, what a success
//! is, where the id stands, and how to ask whether a lead is there (or the header by which the API knows a repeat).

mod compile;
mod json;
mod pointer;
mod settings;

#[cfg(test)]
mod tests;

use http::header::ACCEPT;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

pub(super) use self::settings::KIND;

use self::json::Body;
use self::pointer::{Pointer, id, says_something};
use super::discretion::of_prepared;
use super::routing::is_routing;
use super::template::{Context, Template};
use super::{Asked, CheckStep, Destination, Limits, UnknownPolicy, Unsendable, Verdict};
use crate::config::values;
use crate::http::message::{Reply, Request};
use crate::lead::{Lead, Prepared};

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

    fn read_created(&self, about: &Prepared, reply: &Reply) -> Verdict {
        let code = reply.status.as_u16();
        let json = reply.json();
        if let Some(success) = &self.success {
            let Some(json) = &json else { return unknown(format!("{code} with a reply that is no JSON")) };
            match success.said(json) {
                Some(true) => {}
                Some(false) => return self.refused_in_success(about, reply, json),
                None if self.is_duplicate(about, reply) => return self.refused(about, reply, Some(json)),
                None => return unknown(format!("{code} without a word of success: {}", reply.message())),
            }
        }
        let remote_id = match &self.remote_id {
            None => None,
            Some(pointer) => match json.as_ref().and_then(|json| pointer.at(json, &[])).and_then(id) {
                Some(id) => Some(id),
                None => return unknown(format!("{code} without the lead's id: {}", reply.message())),
            },
        };
        if self.remote_id.is_none() && self.success.is_none() && reply.is_html() {
            return unknown(format!("{code} with an HTML page: a proxy or a login form may have answered"));
        }
        Verdict::Accepted { remote_id, already: false, note: None }
    }

    fn is_duplicate(&self, about: &Prepared, reply: &Reply) -> bool {
        self.duplicate.status == Some(reply.status.as_u16()) || self.says_duplicate(about, reply)
    }

    /// Only the server's own words count: it may quote the company "Exists Ltd", or an address with that word in it.
    fn says_duplicate(&self, about: &Prepared, reply: &Reply) -> bool {
        if self.duplicate.words.is_empty() {
            return false;
        }
        let mut quoted = of_prepared(about);
        quoted.value(&about.lead.email);
        let said = quoted.hide(&reply.said()).to_lowercase();
        self.duplicate.words.iter().any(|words| said.contains(words))
    }

    /// Whether a refused create says that its address is wrong. One that no lead has a part in is wrong for all of them: a
    /// list that was deleted there must not cost thousands of leads.
    fn is_nowhere(&self, reply: &Reply) -> bool {
        match reply.status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => self.same_url || is_routing(reply),
            StatusCode::GONE => self.same_url,
            _ => false,
        }
    }

    fn nothing_there(&self, what_for: &str, key: &str, reply: &Reply) -> Verdict {
        let said = format!("{}: {}", reply.status.as_u16(), reply.message());
        Verdict::AccountWrong {
            reason: format!("there is nothing {what_for} ({said})"),
            remedy: format!("check destinations.{}.{key}", self.name),
        }
    }

    /// Whether the first request under the same key is still at work: a repeat is answered with 409 then. Source:
    /// <https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header>, on errors. Other 409s mean something
    /// else, so the words count too.
    fn is_under_way(&self, reply: &Reply) -> bool {
        let said = reply.said().to_lowercase();
        let words = ["idempoten", "in progress", "outstanding"];
        self.idempotency_header.is_some()
            && reply.status == StatusCode::CONFLICT
            && words.iter().any(|word| said.contains(word))
    }

    /// A refusal in words, unless they say that it is there already.
    fn refused(&self, about: &Prepared, reply: &Reply, json: Option<&Value>) -> Verdict {
        if self.is_duplicate(about, reply) {
            let pointer = self.duplicate.remote_id.as_ref();
            let remote_id = json.zip(pointer).and_then(|(json, pointer)| id(pointer.at(json, &[])?));
            return Verdict::Accepted { remote_id, already: true, note: None };
        }
        Verdict::Refused { field: None, reason: format!("{}: {}", reply.status.as_u16(), reply.message()) }
    }

    /// A success whose body says that it is none. Such words may as well be about what came after the lead was created, so
    /// they are final only once a look finds nothing, where there is one.
    fn refused_in_success(&self, about: &Prepared, reply: &Reply, json: &Value) -> Verdict {
        match self.refused(about, reply, Some(json)) {
            Verdict::Refused { field, reason } if self.find.is_some() => Verdict::RefusedUnlessThere { field, reason },
            verdict => verdict,
        }
    }

    fn read_found(&self, find: &Find, about: &Prepared, reply: &Reply) -> Option<Verdict> {
        let code = reply.status.as_u16();
        if find.absent_status == Some(code) && !is_routing(reply) {
            return Some(Verdict::Absent);
        }
        // Nothing at all may be this API's way to say that it is not there, or a wrong address: neither is proven.
        let says_nothing = find.absent_status == Some(code) && reply.body.is_empty();
        if matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
            && is_routing(reply)
            && !says_nothing
        {
            return Some(self.nothing_there("to ask for leads at", "find.url", reply));
        }
        if !reply.status.is_success() {
            // A question that was refused says nothing of the lead.
            let refused = matches!(code, 400 | 404..=406 | 409..=424);
            return refused
                .then(|| unknown(format!("it could not say whether it is there ({code}: {})", reply.message())));
        }
        let Some(json) = reply.json() else { return Some(unknown(format!("{code} with a reply that is no JSON"))) };
        if self.success.as_ref().is_some_and(|success| success.said(&json) != Some(true)) {
            return Some(unknown(format!("{code}, and it says no success: {}", reply.message())));
        }
        let wanted = match &find.equals {
            None => None,
            Some(template) => match template.render(&Context::of(about)) {
                Ok(Some(text)) => Some(text.to_lowercase()),
                _ => return Some(unknown("`find.equals` prints something that this lead lacks".to_owned())),
            },
        };
        let is_it = |value: &Value| match &wanted {
            None => says_something(value),
            Some(wanted) => id(value).is_some_and(|text| text.to_lowercase() == *wanted),
        };
        Some(match find.found.all(&json).into_iter().find(|(_, value)| is_it(value)) {
            None if find.found.is_answered_by(&json) => Verdict::Absent,
            None => unknown(format!(
                "{code} with another answer than `find.found` is for, or it points to what no answer has: {}",
                reply.message()
            )),
            Some((stars, _)) => {
                let remote_id = find.remote_id.as_ref().and_then(|pointer| id(pointer.at(&json, &stars)?));
                Verdict::Accepted { remote_id, already: true, note: None }
            }
        })
    }
}

impl Success {
    /// Whether it is one; `None`: nothing stands there, or nothing that says anything.
    fn said(&self, json: &Value) -> Option<bool> {
        let value = self.pointer.at(json, &[])?;
        let is_one = match &self.equals {
            None => says_something(value) && value.as_bool() != Some(false),
            Some(expected) => match value {
                Value::String(text) => text.trim().eq_ignore_ascii_case(expected.trim()),
                // `true`, `200`: as JSON writes them.
                other => serde_json::from_str::<Value>(expected.trim()).is_ok_and(|expected| expected == *other),
            },
        };
        (is_one || says_something(value)).then_some(is_one)
    }
}

fn unknown(why: String) -> Verdict {
    Verdict::Unknown { why }
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
        match (asked, &self.find) {
            (Asked::Create, _) if reply.status.is_success() => Some(self.read_created(about, reply)),
            (Asked::Create, _) if reply.status.is_client_error() => match reply.status {
                StatusCode::UNAUTHORIZED
                | StatusCode::PAYMENT_REQUIRED
                | StatusCode::PROXY_AUTHENTICATION_REQUIRED
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_EARLY
                | StatusCode::TOO_MANY_REQUESTS => None,
                StatusCode::FORBIDDEN if !self.is_duplicate(about, reply) => None,
                _ if self.is_nowhere(reply) && !self.is_duplicate(about, reply) => {
                    Some(self.nothing_there("to create leads at", "url", reply))
                }
                // Not refused: it may be there a moment later.
                _ if self.is_under_way(reply) && !self.is_duplicate(about, reply) => {
                    Some(unknown(format!("409: {}", reply.message())))
                }
                _ => Some(self.refused(about, reply, reply.json().as_ref())),
            },
            (Asked::Find, Some(find)) => self.read_found(find, about, reply),
            _ => None,
        }
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
