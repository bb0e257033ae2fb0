//! The original API: every call is a form sent by POST to one address, with `mod`, `cmd` and the command's parameters. The key
//! is a field of the form too, added where the request is sent, so that it stands in no address and no log.
//!
//! Errors are a word, `ERR_…` or `ERR_…:detail`, with 400 for the caller's fault and 500 for LeadDesk's. Source:
//! <https://leaddesk.com/docs/get-started>. `ERR_AUTHENTICATION` comes with 400 as well, so the word counts for more than
//! the status; and a 2xx is a success only if it says `success: true`.

mod check;
mod errors;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use self::errors::{Subject, Told};
use super::list::List;
use super::settings::LeadDeskSettings;
use super::{Api, Keys, wire};
use crate::connectors::{Asked, CheckStep, Verdict};
use crate::http::message::{Reply, Request};

/// How long a lead waits whose list is named another way the next time.
const MOMENT: Duration = Duration::from_secs(1);

pub(super) struct Original {
    keys: Keys,
    url: Url,
    list: List,
}

impl Original {
    pub(super) fn new(keys: Keys, settings: &LeadDeskSettings) -> Self {
        let list = List::new(settings.contact_list.clone(), settings.contact_list_id, settings.limits.concurrency);
        Self { keys, url: settings.base_url.clone(), list }
    }

    fn request(&self, module: &str, command: &str, parameters: &[(&str, &str)]) -> Request {
        let mut form = Serializer::new(String::new());
        form.append_pair("mod", module).append_pair("cmd", command).extend_pairs(parameters);
        let mut request = Request::new(Method::POST, self.url.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        request.body = Bytes::from(form.finish());
        request
    }

    /// What an answer says of the account rather than the lead.
    fn account_wrong(&self, told: Option<&Told>, reply: &Reply) -> Option<(String, String)> {
        let said = format!("{}: {}", reply.status.as_u16(), reply.message());
        let Some(told) = told else {
            let remedy = || format!("check {}, and what the key may do", self.keys.key("auth_key"));
            let forbidden = reply.status == StatusCode::FORBIDDEN;
            let refused = forbidden.then(|| (format!("LeadDesk refuses access ({said})"), remedy()));
            return refused.or_else(|| self.wrong_address(reply));
        };
        match told.subject() {
            Subject::Key => {
                Some((format!("LeadDesk refuses the key ({said})"), format!("check {}", self.keys.key("auth_key"))))
            }
            Subject::Command => Some((
                format!("LeadDesk does not know the call ({said})"),
                format!("check {}, and what the key may do", self.keys.key("base_url")),
            )),
            Subject::List | Subject::Lead => None,
        }
    }

    /// Nothing but an error word makes a 404 LeadDesk's own.
    fn wrong_address(&self, reply: &Reply) -> Option<(String, String)> {
        let status = reply.status;
        let elsewhere = matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE);
        (elsewhere || status.is_redirection()).then(|| self.not_the_api(reply))
    }

    fn not_the_api(&self, reply: &Reply) -> (String, String) {
        let host = self.url.host_str().unwrap_or("the configured address");
        let code = reply.status.as_u16();
        (
            format!("{host} is not the API of LeadDesk ({code}: {})", reply.message()),
            format!("check {}", self.keys.key("base_url")),
        )
    }

    fn list_unknown(&self, reply: &Reply) -> (String, String) {
        let said = format!("{}: {}", reply.status.as_u16(), reply.message());
        (
            format!("LeadDesk does not know the contact list ({said})"),
            format!("check {} and {}", self.keys.key("contact_list"), self.keys.key("contact_list_id")),
        )
    }

    fn read_add(&self, told: Option<Told>, reply: &Reply) -> Option<Verdict> {
        let status = reply.status;
        let Some(told) = told else {
            return status.is_success().then(|| self.read_added(reply)).flatten();
        };
        // Internal, whatever the word: it may have been added.
        if status.is_server_error() || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS) {
            return None;
        }
        if told.subject() == Subject::List {
            if self.list.refused() {
                let why = format!("the list is not known by its name ({}); by its number next", reply.message());
                return Some(Verdict::NotNow { wait: Some(MOMENT), why });
            }
            let (reason, remedy) = self.list_unknown(reply);
            return Some(Verdict::AccountWrong { reason, remedy });
        }
        let (field, reason) = (told.field(), format!("{}: {}", status.as_u16(), reply.message()));
        // An error with a success's status contradicts itself.
        Some(match status.is_success() {
            true => Verdict::RefusedUnlessThere { field, reason },
            false => Verdict::Refused { field, reason },
        })
    }

    fn read_added(&self, reply: &Reply) -> Option<Verdict> {
        let body = reply.json()?;
        match wire::flag(body.get("success")?)? {
            true => {
                self.list.taken();
                let remote_id = body.get("contact_id").and_then(wire::id).map(|id| id.to_string());
                let note = remote_id.is_none().then(|| "added, but LeadDesk did not say under which number".to_owned());
                Some(Verdict::Accepted { remote_id, already: false, note })
            }
            false => Some(Verdict::RefusedUnlessThere {
                field: None,
                reason: format!("{} without success: {}", reply.status.as_u16(), reply.message()),
            }),
        }
    }

    fn read_look(&self, told: Option<Told>, reply: &Reply) -> Option<Verdict> {
        let status = reply.status;
        let no_answer = || Verdict::Unknown {
            why: format!("LeadDesk could not say whether it is there ({}: {})", status.as_u16(), reply.message()),
        };
        let left_to_the_status =
            [StatusCode::UNAUTHORIZED, StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        if status.is_server_error() || left_to_the_status {
            return None;
        }
        let Some(told) = told else {
            let found = status.is_success().then(|| read_found(reply)).flatten();
            return Some(found.unwrap_or_else(no_answer));
        };
        if told.subject() == Subject::List {
            let (reason, remedy) = self.list_unknown(reply);
            return Some(Verdict::AccountWrong { reason, remedy });
        }
        Some(if told.is_no_such_contact() { Verdict::Absent } else { no_answer() })
    }
}

/// `{"success": true, "total_count": 1, "contact_ids": [123]}`. `None`: it doesn't say, or contradicts itself.
fn read_found(reply: &Reply) -> Option<Verdict> {
    let body = reply.json()?;
    if !wire::flag(body.get("success")?)? {
        return None;
    }
    let ids = body.get("contact_ids").and_then(Value::as_array);
    let first = ids.and_then(|ids| ids.first());
    match (first.map(wire::id), body.get("total_count").map(wire::count)) {
        (Some(Some(id)), _) => {
            let note = match ids.map_or(1, Vec::len) {
                1 => "found by its number on the list".to_owned(),
                many => format!("found by its number on the list, {many} times"),
            };
            Some(Verdict::Accepted { remote_id: Some(id.to_string()), already: true, note: Some(note) })
        }
        (None, Some(Some(0))) => Some(Verdict::Absent),
        // An empty list, and no count beside it.
        (None, None) if ids.is_some() => Some(Verdict::Absent),
        _ => None,
    }
}

impl Api for Original {
    fn add(&self, phone: &str, fields: Vec<(String, String)>) -> Request {
        let list = self.list.for_add();
        let mut parameters = vec![("phone", phone), ("list", list.as_str())];
        parameters.extend(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        parameters.push(("return_value", "1"));
        self.request("contact", "add", &parameters)
    }

    fn look(&self, phone: &str) -> Option<Request> {
        let id = self.list.id()?.to_string();
        Some(self.request("contact", "find", &[("phone", phone), ("contact_list_id", &id)]))
    }

    fn read(&self, asked: Asked, _phone: &str, reply: &Reply) -> Option<Verdict> {
        // Also what a server answers after it has done its work: by status alone it is unknown, and looked for first.
        if asked == Asked::Create && matches!(reply.status, StatusCode::FOUND | StatusCode::SEE_OTHER) {
            return None;
        }
        let told = Told::read(reply);
        if let Some((reason, remedy)) = self.account_wrong(told.as_ref(), reply) {
            return Some(Verdict::AccountWrong { reason, remedy });
        }
        match asked {
            Asked::Create => self.read_add(told, reply),
            Asked::Find => self.read_look(told, reply),
            Asked::Complete => None,
        }
    }

    fn check(&self, replies: &[Reply]) -> CheckStep {
        self.check_account(replies)
    }
}
