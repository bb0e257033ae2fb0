//! The error body that all of Lead's resources share: `{"code", "title", "detail"?, "status", "invalid_parameters"?:
//! [{"parameter", "reason"}]}`. Sources: <https://docs.lead.bank> (authentication, "IP Allowlist"); the OpenAPI
//! description's `APIError`, which has `status` as text where the page has a number.

use http::StatusCode;
use serde_json::Value;

use crate::connectors::Verdict;
use crate::http::message::{Reply, in_a_line};

/// What a call from outside the allowlist is answered with, in our words.
pub(super) const ADDRESS_REFUSED: &str =
    "Lead lets in no calls from the address they leave from here: it is not on the program's IP allowlist";
/// Parameters that are told; more are counted.
const MOST_PARAMETERS: usize = 5;

/// What an error body says.
#[derive(Debug, Default)]
pub(super) struct Problem {
    code: Option<String>,
    has_title: bool,
    /// Parameter and reason.
    invalid: Vec<(String, String)>,
}

impl Problem {
    /// Empty if the body is none.
    pub(super) fn read(reply: &Reply) -> Self {
        let Some(body) = reply.json() else { return Self::default() };
        let text = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.trim().to_owned());
        let entries = body.get("invalid_parameters").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let pair = |entry: &Value| {
            let pair = (text(entry, "parameter").unwrap_or_default(), text(entry, "reason").unwrap_or_default());
            (!pair.0.is_empty() || !pair.1.is_empty()).then_some(pair)
        };
        Self {
            code: text(&body, "code").map(|code| code.to_lowercase()),
            has_title: body.get("title").is_some_and(Value::is_string),
            invalid: entries.iter().filter_map(pair).collect(),
        }
    }

    /// Whether it is Lead who says this, and not a router or gateway before it.
    pub(super) fn is_leads_own(&self) -> bool {
        self.code.is_some() || self.has_title
    }

    pub(super) fn code_holds(&self, word: &str) -> bool {
        self.code.as_deref().is_some_and(|code| code.contains(word))
    }

    /// Whether the call came from an address outside the allowlist.
    pub(super) fn is_source_address(&self) -> bool {
        self.code_holds("source_ip_not_allowed") || self.invalid.iter().any(|(parameter, _)| parameter == "source_ip")
    }

    /// The lead's refusal, with the reason for each parameter. Nothing of what was sent is in it: `reason` says what is
    /// expected, and what looks like a number or an address is left out all the same.
    pub(super) fn refusal(&self, reply: &Reply) -> Verdict {
        let status = reply.status.as_u16();
        if self.code_holds("idempotency") {
            let reason = format!("{status}: {}; this lead was sent before with other content", reply.message());
            return Verdict::Refused { field: None, reason };
        }
        let field = match self.invalid.as_slice() {
            [(parameter, _)] if !parameter.is_empty() => Some(in_a_line(parameter)),
            _ => None,
        };
        let mut told: Vec<String> = self
            .invalid
            .iter()
            .take(MOST_PARAMETERS)
            .map(|(parameter, reason)| match (parameter.as_str(), reason.as_str(), &field) {
                (parameter, "", _) => in_a_line(parameter),
                ("", reason, _) | (_, reason, Some(_)) => in_a_line(reason),
                (parameter, reason, None) => in_a_line(&format!("{parameter}: {reason}")),
            })
            .collect();
        if self.invalid.len() > MOST_PARAMETERS {
            told.push(format!("and {} more", self.invalid.len() - MOST_PARAMETERS));
        }
        let words = if told.is_empty() { reply.message() } else { told.join("; ") };
        Verdict::Refused { field, reason: format!("{status}: {words}") }
    }
}

/// For the token endpoint, where the same may be answered.
pub(super) fn refused_at_the_token_endpoint(reply: &Reply) -> Option<(String, String)> {
    let refused = reply.status == StatusCode::FORBIDDEN && Problem::read(reply).is_source_address();
    let remedy = "give the public IPv4 address that calls leave from here (a subnet of /20 to /32) to your Technical \
                  Account Manager, or let them leave from one that is on the list, by `bind_address` or `proxy`";
    refused.then(|| (ADDRESS_REFUSED.to_owned(), remedy.to_owned()))
}
