//! After an agency's login: the locations in which its app is installed. Source: `apps/v3/oauth-v3.json`,
//! `get-installed-location`; `apps/oauth.json` for the dated versions, which count with `limit` and `skip`.

use http::Method;
use serde_json::Value;

use super::verdict::in_words;
use super::{Agency, LeadConnector};
use crate::connectors::CheckStep;
use crate::http::message::{Reply, Request};

/// Locations asked for at once: the most that version 3 gives.
const PAGE_SIZE: usize = 100;
/// Pages read before giving up: an end for a server that has none.
const MOST_PAGES: usize = 50;
/// Locations that are told one by one.
const MOST_SHOWN: usize = 200;

/// One page of locations.
struct Page {
    locations: Vec<(String, String)>,
    next: Option<String>,
    /// More is there, as far as the page tells.
    more: bool,
}

impl LeadConnector {
    pub(super) fn installed_locations(&self, agency: &Agency, replies: &[Reply]) -> CheckStep {
        let mut locations = Vec::new();
        let mut last: Option<Page> = None;
        let mut goes_on = false;
        for reply in replies {
            let Some(page) = Page::read(reply) else {
                return CheckStep::Failed {
                    reason: format!("the locations of the agency can't be listed ({})", in_words(reply)),
                    remedy: format!(
                        "check {} and {}, and that the login has the scope oauth.readonly",
                        self.key("company_id"),
                        self.key("client_id")
                    ),
                };
            };
            locations.extend(page.locations.iter().cloned());
            // A page that names itself as the next would be read for ever.
            goes_on = page.more && last.as_ref().is_none_or(|before| before.next.is_none() || before.next != page.next);
            last = Some(page);
        }
        match last {
            None => CheckStep::Ask(self.page(agency, None, 0)),
            Some(page) if goes_on && !page.locations.is_empty() && replies.len() < MOST_PAGES => {
                CheckStep::Ask(self.page(agency, page.next.as_deref(), locations.len()))
            }
            Some(_) => CheckStep::Passed(self.told(&locations)),
        }
    }

    fn page(&self, agency: &Agency, token: Option<&str>, skip: usize) -> Request {
        let mut url =
            self.api.at(&["oauth", if self.api.is_v3 { "installed-locations" } else { "installedLocations" }]);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("companyId", &agency.company_id);
            query.append_pair("appId", app_of(&agency.client_id));
            query.append_pair("isInstalled", "true");
            if self.api.is_v3 {
                query.append_pair("pageSize", &PAGE_SIZE.to_string());
                if let Some(token) = token {
                    query.append_pair("pageToken", token);
                }
            } else {
                query.append_pair("limit", &PAGE_SIZE.to_string()).append_pair("skip", &skip.to_string());
            }
        }
        self.request(Method::GET, url)
    }

    fn told(&self, locations: &[(String, String)]) -> Vec<String> {
        let mut lines: Vec<String> =
            locations.iter().take(MOST_SHOWN).map(|(id, name)| format!("{id}  {name}").trim().to_owned()).collect();
        if locations.len() > MOST_SHOWN {
            lines.push(format!("… and {} more", locations.len() - MOST_SHOWN));
        }
        let (count, ours) = (locations.len(), &self.location_id);
        let key = self.key("location_id");
        lines.push(match locations.iter().any(|(id, _)| id == ours) {
            true => format!("the app is installed in {count} locations; {key} ({ours}) is one of them"),
            false => format!(
                "the app is installed in {count} locations, and {key} ({ours}) is not one of them: install it there, or \
                 correct the key"
            ),
        });
        lines
    }
}

/// A client's id is its app's, a hyphen, and something of its own. The reference's example of a client id is its example of
/// an app's.
fn app_of(client_id: &str) -> &str {
    client_id.split_once('-').map_or(client_id, |(app, _)| app)
}

impl Page {
    fn read(reply: &Reply) -> Option<Self> {
        if !reply.status.is_success() {
            return None;
        }
        let body = reply.json()?;
        let list = body.get("items").or_else(|| body.get("locations"))?.as_array()?;
        let locations: Vec<(String, String)> = list
            .iter()
            .filter(|entry| entry.get("isInstalled").and_then(Value::as_bool) != Some(false))
            .filter_map(|entry| {
                let id = entry.get("_id").or_else(|| entry.get("id"))?.as_str()?.to_owned();
                let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
                Some((id, name.chars().filter(|c| !c.is_control()).take(80).collect()))
            })
            .collect();
        let pagination = body.get("pagination");
        let next = pagination.and_then(|it| it.get("nextPageToken")?.as_str()).map(str::to_owned);
        let more = match pagination {
            Some(_) => next.is_some(),
            None => list.len() >= PAGE_SIZE,
        };
        Some(Self { locations, next, more })
    }
}
