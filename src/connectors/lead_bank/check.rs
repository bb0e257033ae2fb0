//! The account check, which changes nothing: `GET /v1/event?limit=1`, or, where `scope` does not ask for events to be read,
//! a look for an entity that is nobody's. It proves the token and the way to the API, the allowlist included, before the
//! first lead. Source: the OpenAPI description, `/v1/event` (scope `event/read`) and `/v0/entities` (`entity/read`).

use std::net::IpAddr;

use http::{Method, StatusCode};
use serde_json::Value;

use super::problem::Problem;
use super::{LeadBank, below, wire};
use crate::connectors::CheckStep;
use crate::http::message::{Reply, Request};

/// Source: the servers of the OpenAPI description.
const SANDBOX: &str = "api.sandbox.lead.bank";
const LIVE: &str = "api.lead.bank";
/// What creating entities takes.
const ENTITY_SCOPE: &str = "entity/read_write";
/// What listing events takes.
const EVENT_SCOPE: &str = "event/read";
/// No lead's e-mail address, so that no entity has the number that is made of it.
const NOBODY: &str = "account check";

impl LeadBank {
    pub(super) fn check_account(&self, replies: &[Reply]) -> CheckStep {
        if !self.settings.entities {
            return CheckStep::Failed {
                reason: "Lead is a bank, and creating customers there was not asked for".to_owned(),
                remedy: format!(
                    "set {} = true once the program may create entities and its leads bring first name, last name and, in \
                     the custom field `{}`, the tax number",
                    self.key("entities"),
                    self.settings.tax_id
                ),
            };
        }
        if !self.asks_for(ENTITY_SCOPE) {
            return CheckStep::Failed {
                reason: format!(
                    "tokens are not asked for with the scope `{ENTITY_SCOPE}`, without which no entity is created"
                ),
                remedy: format!("add it to {}", self.key("scope")),
            };
        }
        let by_events = self.asks_for(EVENT_SCOPE);
        let Some(reply) = replies.last() else {
            return CheckStep::Ask(if by_events { self.events() } else { self.look(NOBODY) });
        };
        let what = if by_events { "list events" } else { "look for an entity" };
        match reply.status {
            status if status.is_success() && by_events => self.read_events(reply),
            status if status.is_success() => self.read_look(reply),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => CheckStep::Failed {
                reason: format!("Lead refuses to {what} ({}: {})", reply.status.as_u16(), reply.message()),
                remedy: format!("check {}", self.key("base_url")),
            },
            StatusCode::NOT_FOUND if !by_events && Problem::read(reply).is_leads_own() => {
                CheckStep::Passed(self.remarks())
            }
            StatusCode::NOT_FOUND => failed(self.wrong_address(reply)),
            StatusCode::FORBIDDEN if by_events && !Problem::read(reply).is_source_address() => CheckStep::Failed {
                reason: format!("Lead lets these tokens list no events (403: {})", reply.message()),
                remedy: format!(
                    "ask the Technical Account Manager for `{EVENT_SCOPE}` and for entities, or take `{EVENT_SCOPE}` out of {}: \
                     then the account is checked by a look for an entity",
                    self.key("scope")
                ),
            },
            _ => match self.account_wrong(reply) {
                Some(words) => failed(words),
                None => CheckStep::Unreadable,
            },
        }
    }

    fn asks_for(&self, wanted: &str) -> bool {
        self.settings.scope.split_whitespace().any(|scope| scope == wanted)
    }

    fn events(&self) -> Request {
        let mut url = below(&self.settings.base_url, &["v1", "event"]);
        url.query_pairs_mut().append_pair("limit", "1");
        self.request(Method::GET, url)
    }

    fn read_events(&self, reply: &Reply) -> CheckStep {
        match reply.json() {
            Some(body) if body.get("objects").is_some_and(Value::is_array) => CheckStep::Passed(self.remarks()),
            // JSON cut short may be whole next time; a page or another kind of answer means a wrong address.
            None if !reply.is_html() => CheckStep::Unreadable,
            _ => failed(self.wrong_address(reply)),
        }
    }

    /// Somebody's, against all odds: it is Lead that answers.
    fn read_look(&self, reply: &Reply) -> CheckStep {
        match wire::entity_id(reply) {
            Some(_) => CheckStep::Passed(self.remarks()),
            None if reply.json().is_none() && !reply.is_html() => CheckStep::Unreadable,
            None => failed(self.wrong_address(reply)),
        }
    }

    /// What the operator should know before the first lead: above all, whether this is the real bank.
    fn remarks(&self) -> Vec<String> {
        let host = self.host();
        let place = match host {
            SANDBOX => format!("talks to Lead's sandbox ({host})"),
            LIVE => format!("LIVE: talks to Lead's production ({host}); entities created here are real customers"),
            _ => format!("talks to {host}, which is neither Lead's sandbox nor its production"),
        };
        let mut remarks = vec![place];
        let warnings = self.allowlist.warnings();
        remarks.extend(warnings.map(|warning| {
            let key = self.key("allowlist");
            format!("{key}: {}: {}; {}", warning.entry, warning.problem, warning.remedy)
        }));
        // Behind address translation the bank sees another address: only a public one can be compared.
        if let Some(IpAddr::V4(address)) = self.settings.bind_address
            && !self.settings.allowlist.is_empty()
            && !(address.is_private() || address.is_loopback() || address.is_link_local() || address.is_unspecified())
            && !self.allowlist.holds(address)
        {
            let (bind, list) = (self.key("bind_address"), self.key("allowlist"));
            remarks.push(format!("{bind} ({address}) lies in no subnet of {list}"));
        }
        remarks
    }
}

fn failed((reason, remedy): (String, String)) -> CheckStep {
    CheckStep::Failed { reason, remedy }
}
