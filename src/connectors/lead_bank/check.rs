//! The account check: `GET /v1/event?limit=1`, which changes nothing. It proves the token and the way to the API, the
//! allowlist included, before the first lead. Source: the OpenAPI description, `/v1/event` (scope `event/read`).

use std::net::IpAddr;

use http::{Method, StatusCode};
use serde_json::Value;

use super::{LeadBank, below};
use crate::connectors::CheckStep;
use crate::http::message::{Reply, Request};

/// Source: the servers of the OpenAPI description.
const SANDBOX: &str = "api.sandbox.lead.bank";
const LIVE: &str = "api.lead.bank";
/// What creating entities takes.
const ENTITY_SCOPE: &str = "entity/read_write";

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
        if !self.settings.scope.split_whitespace().any(|scope| scope == ENTITY_SCOPE) {
            return CheckStep::Failed {
                reason: format!(
                    "tokens are not asked for with the scope `{ENTITY_SCOPE}`, without which no entity is created"
                ),
                remedy: format!("add it to {}", self.key("scope")),
            };
        }
        let Some(reply) = replies.last() else { return CheckStep::Ask(self.events()) };
        match reply.status {
            status if status.is_success() => self.read_events(reply),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => CheckStep::Failed {
                reason: format!("Lead refuses to list events ({}: {})", reply.status.as_u16(), reply.message()),
                remedy: format!("check {}", self.key("base_url")),
            },
            StatusCode::NOT_FOUND => failed(self.wrong_address(reply)),
            _ => match self.account_wrong(reply) {
                Some(words) => failed(words),
                None => CheckStep::Unreadable,
            },
        }
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
