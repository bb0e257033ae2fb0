//! What a reply means for the lead, as the table says how to read it.

use http::StatusCode;
use serde_json::Value;

use super::pointer::{Misfit, id, is_there, kind, says_something};
use super::{AnyHttp, Find, Success};
use crate::connectors::Verdict;
use crate::connectors::discretion::of_prepared;
use crate::connectors::routing::{is_routing, may_be_a_record};
use crate::connectors::template::Context;
use crate::http::message::Reply;
use crate::lead::Prepared;

impl AnyHttp {
    pub(super) fn read_created(&self, about: &Prepared, reply: &Reply) -> Verdict {
        let code = reply.status.as_u16();
        let json = reply.json();
        if let Some(success) = &self.success {
            let Some(json) = &json else { return unknown(format!("{code} with a reply that is no JSON")) };
            match success.said(json) {
                Some(true) => {}
                Some(false) => return self.refused_in_success(about, reply, json),
                None if self.is_duplicate(about, reply) => return self.refused(about, reply, Some(json)),
                None => {
                    return unknown(format!(
                        "{code} without a word of success where `success.pointer` points: {}",
                        reply.message()
                    ));
                }
            }
        }
        let remote_id = match &self.remote_id {
            None => None,
            Some(pointer) => match json.as_ref().and_then(|json| pointer.at(json, &[])).and_then(id) {
                Some(id) => Some(id),
                None => {
                    return unknown(format!(
                        "{code} without the lead's id where `remote_id` points: {}",
                        reply.message()
                    ));
                }
            },
        };
        if self.remote_id.is_none() && self.success.is_none() && reply.is_html() {
            return unknown(format!("{code} with an HTML page: a proxy or a login form may have answered"));
        }
        Verdict::Accepted { remote_id, already: false, note: None }
    }

    /// A create that was answered with a 4xx; `None`: its status says it all.
    pub(super) fn read_refusal(&self, about: &Prepared, reply: &Reply) -> Option<Verdict> {
        match reply.status {
            StatusCode::UNAUTHORIZED
            | StatusCode::PAYMENT_REQUIRED
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS => None,
            _ if self.is_duplicate(about, reply) => Some(self.refused(about, reply, reply.json().as_ref())),
            StatusCode::FORBIDDEN => None,
            _ if self.is_nowhere(reply) => Some(self.nothing_there("to create leads at", "url", reply)),
            // Not refused: it may be there a moment later.
            _ if self.is_under_way(reply) => Some(unknown(format!("409: {}", reply.message()))),
            _ => Some(self.refused(about, reply, reply.json().as_ref())),
        }
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

    /// Whether the first request under the same key may still be at work: a repeat is answered with 409 then, in whatever
    /// words. Source: <https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header>, on errors.
    fn is_under_way(&self, reply: &Reply) -> bool {
        self.idempotency_header.is_some() && reply.status == StatusCode::CONFLICT
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

    pub(super) fn read_found(&self, find: &Find, about: &Prepared, reply: &Reply) -> Option<Verdict> {
        let code = reply.status.as_u16();
        let says_absent = find.absent_status == Some(code);
        if reply.status == StatusCode::NO_CONTENT && says_absent {
            return Some(Verdict::Absent);
        }
        if says_absent && !is_routing(reply) {
            return Some(Verdict::Absent);
        }
        if says_absent && may_be_a_record(reply) {
            return Some(unknown(format!(
                "{code}: {}, which may mean the address as well as the lead; check `find.url`",
                reply.message()
            )));
        }
        // Nothing at all may be this API's way to say that it is not there, or a wrong address: neither is proven.
        let says_nothing = says_absent && reply.body.is_empty();
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
            None => is_there(value),
            Some(wanted) => id(value).is_some_and(|text| text.to_lowercase() == *wanted),
        };
        let values = find.found.all(&json);
        if let Some((stars, _)) = values.iter().find(|(_, value)| is_it(value)) {
            let remote_id = find.remote_id.as_ref().and_then(|pointer| id(pointer.at(&json, stars)?));
            return Some(Verdict::Accepted { remote_id, already: true, note: None });
        }
        // GraphQL and JSON-RPC answer so when they failed: what else stands there says nothing.
        if ["errors", "error"].iter().any(|name| json.get(name).is_some_and(is_there)) {
            return Some(unknown(format!("{code} with an error: {}", reply.message())));
        }
        // What can't be compared may be this lead all the same.
        let incomparable = values.iter().find(|(_, value)| wanted.is_some() && is_there(value) && id(value).is_none());
        let why = match (find.found.misfit(&json), incomparable) {
            (Some(misfit), _) => misfits(&misfit, wanted.is_some()),
            (None, Some((_, value))) => {
                format!("what stands there is {}, which can't be compared with `find.equals`", kind(value))
            }
            (None, None) => return Some(Verdict::Absent),
        };
        let said = if reply.said().is_empty() { String::new() } else { format!(" ({})", reply.message()) };
        Some(unknown(format!("{code}{said} with another answer than `find.found` is for: {why}")))
    }
}

/// What is in the way, and what could be done about it.
fn misfits(misfit: &Misfit, compares: bool) -> String {
    match &misfit.null_at {
        None => misfit.what.clone(),
        Some(place) => {
            let without = if compares { " without `find.equals`" } else { "" };
            format!("{}; if that says that it is not there, point to `{place}`{without}", misfit.what)
        }
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
