//! The account check: `GET /leads/assistant`, the one call without side effects. It proves token, header and address, and
//! that the configured assistant exists, before the first lead.

use std::collections::BTreeSet;

use http::{Method, StatusCode};

use super::wire::assistants;
use super::{Assistant, SevenTargets};
use crate::connectors::CheckStep;
use crate::http::message::{Reply, Request};

/// Assistants asked for at once; the API's default is 10. Source: the vendor's API page, "Get Assistants".
const PAGE_SIZE: usize = 100;
/// Pages read before giving up: far more assistants than anybody has, and an end for a server that has none.
const MOST_PAGES: usize = 50;

impl SevenTargets {
    pub(super) fn check_account(&self, replies: &[Reply]) -> CheckStep {
        let mut seen = BTreeSet::new();
        for (page, reply) in replies.iter().enumerate() {
            match reply.status {
                StatusCode::OK => {}
                // Beyond its last page a server may also refuse.
                StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND if page > 0 => return self.not_found(seen.len()),
                _ => return self.refused(reply),
            }
            let Some(list) = assistants(reply) else { return self.unreadable(reply) };
            let before = seen.len();
            for (id, email) in list {
                if self.is_ours(id, email.as_deref()) {
                    return CheckStep::Passed(self.warnings());
                }
                seen.insert((id, email));
            }
            // A server may cap the page below what was asked for, so only a page with nothing new is the end.
            if seen.len() == before {
                return self.not_found(seen.len());
            }
        }
        if replies.len() >= MOST_PAGES {
            return self.not_found(seen.len());
        }
        CheckStep::Ask(self.page(replies.len()))
    }

    fn page(&self, page: usize) -> Request {
        let mut url = self.leads_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("assistant");
        }
        url.query_pairs_mut().append_pair("page", &page.to_string()).append_pair("size", &PAGE_SIZE.to_string());
        self.request(Method::GET, url)
    }

    fn is_ours(&self, id: Option<i64>, email: Option<&str>) -> bool {
        match &self.assistant {
            Assistant::Email(ours) => email.is_some_and(|email| email == ours.to_lowercase()),
            Assistant::Id(ours) => id == Some(*ours),
        }
    }

    fn warnings(&self) -> Vec<String> {
        if self.user_identifier.is_some() {
            return Vec::new();
        }
        let key = self.key("user_identifier");
        vec![format!("{key} is not set; 7targets' newer documentation requires it, its older one does not know it")]
    }

    /// Other assistants are other people's addresses: how many there are, not who.
    fn not_found(&self, seen: usize) -> CheckStep {
        let (what, key) = match &self.assistant {
            Assistant::Email(_) => ("address", "assistant_email"),
            Assistant::Id(_) => ("id", "assistant_id"),
        };
        let others = match seen {
            0 => "the account has no assistant at all".to_owned(),
            1 => "the account's one assistant is another".to_owned(),
            many => format!("none of the account's {many} assistants is it"),
        };
        CheckStep::Failed {
            reason: format!("7targets knows no assistant of the configured {what}: {others}"),
            remedy: format!("set {} to the {what} that 7targets shows for your assistant", self.key(key)),
        }
    }

    fn refused(&self, reply: &Reply) -> CheckStep {
        let failed = |(reason, remedy)| CheckStep::Failed { reason, remedy };
        match reply.status {
            StatusCode::FORBIDDEN => failed(self.forbidden_words(reply)),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => {
                failed(self.wrong_address_words(reply))
            }
            status if status.is_redirection() => failed(self.wrong_address_words(reply)),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => failed((
                format!("7targets refuses to list assistants ({}: {})", reply.status.as_u16(), reply.message()),
                format!("check {} and {}", self.key("user_identifier"), self.key("api_url")),
            )),
            _ => CheckStep::Unreadable,
        }
    }

    /// A success that is no list: a page or another kind of answer means a wrong address; JSON cut short may be whole next time.
    fn unreadable(&self, reply: &Reply) -> CheckStep {
        if reply.is_html() || reply.json().is_some() {
            let (reason, remedy) = self.wrong_address_words(reply);
            return CheckStep::Failed { reason, remedy };
        }
        CheckStep::Unreadable
    }
}
