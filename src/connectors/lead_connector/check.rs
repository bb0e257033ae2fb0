//! The account check: a look-up of an address that is nobody's. It changes nothing, and needs no scope beyond those that
//! delivering needs (`GET /locations/{id}` would need `locations.readonly`). It proves address, version, token and location.

use http::StatusCode;

use super::verdict::in_words;
use super::{LeadConnector, echo, limits};
use crate::connectors::CheckStep;
use crate::http::message::Reply;

/// Whom the check looks for. The domain is reserved for examples (RFC 2606).
const NOBODY: &str = "leadsync-account-check@example.com";
/// With less than this part of the day's calls left, the operator is told.
const FEW: u64 = 20;

impl LeadConnector {
    pub(super) fn check_account(&self, replies: &[Reply]) -> CheckStep {
        let Some(reply) = replies.last() else {
            return match self.look_up(NOBODY, None) {
                Some(question) => CheckStep::Ask(question),
                None => CheckStep::Unreadable,
            };
        };
        let failed = |(reason, remedy)| CheckStep::Failed { reason, remedy };
        if let Some(words) = self.account_wrong(reply) {
            return failed(words);
        }
        match reply.status {
            StatusCode::OK if echo::says_absent(reply) || echo::contact_in(reply).is_some() => {
                CheckStep::Passed(remarks(reply))
            }
            // The vendor's document leaves open what a look-up that finds nobody answers (contacts-v3.json,
            // `/contacts/search/duplicate`): leads can be sent, and what can't be told is said.
            StatusCode::OK if says_nothing(reply) => {
                let mut remarks = remarks(reply);
                remarks.push(
                    "answers look-ups in a form that is not known: after a lost reply nobody could tell whether the contact \
                     is there, and it would end `unconfirmed`"
                        .to_owned(),
                );
                CheckStep::Passed(remarks)
            }
            // A page or another kind of answer means a wrong address; JSON cut short may be whole next time.
            status if status.is_success() && (reply.is_html() || reply.json().is_some()) => {
                failed(self.wrong_address_words(reply))
            }
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => {
                failed(self.wrong_address_words(reply))
            }
            status if status.is_redirection() => failed(self.wrong_address_words(reply)),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => failed((
                format!("LeadConnector refuses to look contacts up ({})", in_words(reply)),
                format!("check {} and {}", self.key("location_id"), self.key("api_version")),
            )),
            _ => CheckStep::Unreadable,
        }
    }
}

/// Nothing at all, or a JSON object that holds nothing but the `traceId` of the vendor's replies.
fn says_nothing(reply: &Reply) -> bool {
    let bare = |body: serde_json::Value| body.as_object().is_some_and(|it| it.keys().all(|name| name == "traceId"));
    reply.body.is_empty() || reply.json().is_some_and(bare)
}

fn remarks(reply: &Reply) -> Vec<String> {
    let few = limits::day(reply).filter(|(left, of)| left.saturating_mul(FEW) < *of);
    few.map(|(left, of)| format!("{left} of {of} calls are left today")).into_iter().collect()
}
