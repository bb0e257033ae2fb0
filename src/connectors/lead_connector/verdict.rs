//! What a reply means for the lead. Error bodies: `apps/v3/common/common-schemas.json`; the 400 for a duplicate is not in
//! the reference, and known from unrelated clients of the API.

use http::StatusCode;
use serde_json::Value;

use super::{LeadConnector, echo, limits, login};
use crate::connectors::routing::is_routing;
use crate::connectors::{Asked, Verdict};
use crate::http::message::Reply;
use crate::lead::Prepared;

/// Reason and remedy.
pub(super) type Words = (String, String);

impl LeadConnector {
    pub(super) fn verdict(&self, asked: Asked, about: &Prepared, reply: &Reply) -> Option<Verdict> {
        if let Some((reason, remedy)) = self.account_wrong(reply) {
            return Some(Verdict::AccountWrong { reason, remedy });
        }
        match (reply.status, asked) {
            (status, Asked::Create) if status.is_success() => Some(self.created(about, reply)),
            (status, Asked::Find) if status.is_success() => Some(found(reply)),
            (StatusCode::UNAUTHORIZED, _) => Some(Verdict::AuthExpired),
            (StatusCode::TOO_MANY_REQUESTS, _) => {
                let (wait, why) = limits::after_429(reply).unzip();
                let why = why.map_or_else(|| in_words(reply), |why| format!("{why} ({})", in_words(reply)));
                Some(Verdict::NotNow { wait, why })
            }
            (StatusCode::BAD_REQUEST, Asked::Create) => Some(match exists_as(reply) {
                Some(remote_id) => Verdict::Accepted {
                    remote_id: Some(remote_id),
                    already: true,
                    note: Some("this location allows no second contact, so nothing was changed".to_owned()),
                },
                None => Verdict::Refused { field: None, reason: in_words(reply) },
            }),
            // Has been seen to create the contact all the same (issue 64).
            (StatusCode::UNPROCESSABLE_ENTITY, Asked::Create) => {
                Some(Verdict::RefusedUnlessThere { field: field_in(reply), reason: in_words(reply) })
            }
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, Asked::Create | Asked::Complete)
                if is_routing(reply) =>
            {
                let (reason, remedy) = self.wrong_address_words(reply);
                Some(Verdict::AccountWrong { reason, remedy })
            }
            // A refusal to look says nothing of the contact.
            (status, Asked::Find) if status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT => {
                Some(Verdict::Unknown {
                    why: format!("LeadConnector could not say whether it is there ({})", in_words(reply)),
                })
            }
            (status, _) if status.is_server_error() => Some(Verdict::Unknown { why: in_words(reply) }),
            _ => None,
        }
    }

    /// What any refusal may say of the configuration rather than the lead.
    pub(super) fn account_wrong(&self, reply: &Reply) -> Option<Words> {
        let status = reply.status;
        if !status.is_client_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return None;
        }
        if let Some((_, remedy)) = login::not_active(reply) {
            return Some((format!("the location is not active ({})", in_words(reply)), remedy));
        }
        let said = reply.said().to_lowercase();
        if said.contains("access to this location") {
            return Some((
                format!("the token is not one of this location's ({})", in_words(reply)),
                format!("check {}: the login must be of this very location", self.key("location_id")),
            ));
        }
        // Also with 401 (issue 217); a new token would not have more.
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
        if refused && said.contains("scope") {
            return Some((
                format!("the token may not do this ({})", in_words(reply)),
                format!(
                    "give the private integration or the app the scopes contacts.readonly and contacts.write, then log in \
                     again or renew {}",
                    self.key("token")
                ),
            ));
        }
        (status == StatusCode::FORBIDDEN).then(|| {
            (
                format!("LeadConnector refuses access ({})", in_words(reply)),
                format!("check {} and the scopes of the login", self.key("location_id")),
            )
        })
    }

    pub(super) fn wrong_address_words(&self, reply: &Reply) -> Words {
        let url = self.api.at(&[]);
        (
            format!(
                "{} is not the API of LeadConnector ({})",
                url.host_str().unwrap_or("the address"),
                in_words(reply)
            ),
            format!("check {}, {} and {}", self.key("base_url"), self.key("path_prefix"), self.key("api_version")),
        )
    }

    /// What a success of an upsert means: the contact, if the body says which.
    fn created(&self, about: &Prepared, reply: &Reply) -> Verdict {
        let told = echo::contact_in(reply).and_then(|contact| Some((echo::id_of(&contact)?, contact)));
        let Some((id, contact)) = told else {
            let why = format!("LeadConnector answered without the contact's id ({})", in_words(reply));
            return Verdict::Unknown { why };
        };
        let already = reply.json().and_then(|body| body.get("new")?.as_bool()) == Some(false);
        let lost = self.not_kept(about, &contact);
        let updated = already.then(|| "updated".to_owned());
        let lost = (!lost.is_empty()).then(|| format!("the destination did not keep: {}", lost.join(", ")));
        let note = [updated, lost].into_iter().flatten().collect::<Vec<_>>().join("; ");
        Verdict::Accepted { remote_id: Some(id), already, note: Some(note).filter(|note| !note.is_empty()) }
    }
}

/// Only a clear "nobody" is [`Verdict::Absent`].
fn found(reply: &Reply) -> Verdict {
    if let Some(id) = echo::contact_in(reply).as_ref().and_then(echo::id_of) {
        return Verdict::Accepted { remote_id: Some(id), already: true, note: Some("confirmed by look-up".to_owned()) };
    }
    if echo::says_absent(reply) {
        return Verdict::Absent;
    }
    Verdict::Unknown { why: format!("LeadConnector's answer to a look-up names no contact ({})", in_words(reply)) }
}

/// The contact that is in the way of another one.
fn exists_as(reply: &Reply) -> Option<String> {
    let body = reply.json()?;
    let id = body.get("meta")?.get("contactId")?.as_str()?.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

/// The field that a 422 names, if it is about one.
fn field_in(reply: &Reply) -> Option<String> {
    let body = reply.json()?;
    match body.get("message")? {
        Value::Array(list) if list.len() == 1 => named_in(list.first()?.as_str()?),
        Value::String(text) => named_in(text),
        _ => None,
    }
}

/// All fields that a refusal names, as the contact has them (`customFields` for `customFields.0.fieldValue`). Empty if it
/// has words that name none.
pub(super) fn fields_in(reply: &Reply) -> Vec<String> {
    let named = |text: &Value| Some(named_in(text.as_str()?)?.split('.').next()?.to_owned());
    let all = reply.json().and_then(|body| match body.get("message")? {
        Value::Array(list) => list.iter().map(named).collect::<Option<Vec<_>>>(),
        text => named(text).map(|name| vec![name]),
    });
    all.unwrap_or_default()
}

/// "property X should not exist", "email must be an email".
fn named_in(text: &str) -> Option<String> {
    let text = text.trim();
    let (name, rest) = text.strip_prefix("property ").unwrap_or(text).split_once(' ')?;
    let verb = ["must ", "should "].iter().any(|verb| rest.starts_with(verb));
    let is_name = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte));
    (verb && is_name).then(|| name.to_owned())
}

/// "422 Unprocessable Entity: email must be an email (trace 4f1c…)": the trace is what the vendor's support asks for.
pub(super) fn in_words(reply: &Reply) -> String {
    let status = match reply.status.canonical_reason() {
        Some(reason) => format!("{} {reason}", reply.status.as_u16()),
        None => reply.status.as_u16().to_string(),
    };
    let trace = reply.json().and_then(|body| body.get("traceId")?.as_str().map(str::to_owned));
    let harmless = |trace: &String| trace.len() <= 64 && trace.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let trace = trace.filter(|trace| !trace.is_empty() && harmless(trace));
    let trace = trace.map_or_else(String::new, |trace| format!(" (trace {trace})"));
    format!("{status}: {}{trace}", reply.message())
}
