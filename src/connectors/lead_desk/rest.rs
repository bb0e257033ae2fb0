//! The REST API: JSON over HTTPS, a bearer token, collections as `{"_meta": {"count"}, "collection": […]}`. Source:
//! <https://leaddesk.com/docs/introduction-rest-api/>.
//!
//! **Where contacts are, and what their fields are called, is not public.** Path and names are taken from the configuration;
//! the defaults carry the original API's names. What is read is read with care accordingly: a contact counts as found only
//! if it names the lead's number itself, since a server that does not know a parameter may answer as if it were not there.

use http::header::{ACCEPT, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use super::settings::LeadDeskSettings;
use super::{Api, Keys, blame, wire};
use crate::connectors::registry::BuildError;
use crate::connectors::routing::is_routing;
use crate::connectors::{Asked, CheckStep, Verdict};
use crate::http::message::{Reply, Request};

/// Contacts asked for at once: far more than have one number on one list.
const PAGE_SIZE: usize = 100;
/// No server's pages are smaller, whatever they are asked for.
const SMALLEST_PAGE: usize = 10;

pub(super) struct Rest {
    keys: Keys,
    contacts_url: Url,
    check_url: Url,
    phone_parameter: String,
    list_parameter: String,
    /// As it is sent: a number where there is one.
    list: Value,
}

impl Rest {
    /// # Errors
    /// [`BuildError`] if a path or a parameter's name can't be used, or the list has no number where one is needed.
    pub(super) fn new(keys: Keys, settings: &LeadDeskSettings) -> Result<Self, BuildError> {
        let list = match (settings.contact_list_id, &settings.contact_list) {
            (Some(id), _) => json!(id),
            (None, Some(name)) if settings.list_parameter != super::settings::LIST_PARAMETER => json!(name),
            _ => {
                let other = format!("another `{}`, that takes the list's name", keys.key("list_parameter"));
                return Err(BuildError::missing_or(keys.key("contact_list_id"), other));
            }
        };
        let contacts_url = below(&settings.base_url, &settings.contacts_path, &keys.key("contacts_path"))?;
        let check_url = below(&settings.base_url, &settings.check_path, &keys.key("check_path"))?;
        for (name, key) in
            [(&settings.phone_parameter, "phone_parameter"), (&settings.list_parameter, "list_parameter")]
        {
            if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(BuildError::bad(keys.key(key), "no name", "a field's name such as \"phone\""));
            }
        }
        if settings.phone_parameter == settings.list_parameter {
            let expected = "two names: one for the number, one for the list";
            return Err(BuildError::bad(keys.key("list_parameter"), "the name that the number has", expected));
        }
        Ok(Self {
            keys,
            contacts_url,
            check_url,
            phone_parameter: settings.phone_parameter.clone(),
            list_parameter: settings.list_parameter.clone(),
            list,
        })
    }

    fn request(&self, method: Method, url: Url) -> Request {
        Request::new(method, url).header(ACCEPT, HeaderValue::from_static("application/json"))
    }

    /// What an answer says of the account rather than the lead. A 404 that says whom it did not find is another matter.
    fn account_wrong(&self, asked: Asked, reply: &Reply) -> Option<(String, String)> {
        let status = reply.status;
        let said = format!("{}: {}", status.as_u16(), reply.message());
        let keys = &self.keys;
        if status == StatusCode::FORBIDDEN {
            let remedy = format!("check what the app of {} may do at LeadDesk", keys.key("client_id"));
            return Some((format!("LeadDesk refuses access ({said})"), remedy));
        }
        let elsewhere = matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE);
        if (elsewhere && !(asked == Asked::Find && says_no_contact(reply))) || status.is_redirection() {
            return Some(self.not_there(&self.contacts_url, "contacts_path", reply));
        }
        let refused = matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY);
        if refused && self.blames_the_list(reply) {
            let reason = format!("LeadDesk does not know the contact list ({said})");
            let remedy = format!("check {} and {}", keys.key("contact_list_id"), keys.key("list_parameter"));
            return Some((reason, remedy));
        }
        None
    }

    fn not_there(&self, url: &Url, key: &str, reply: &Reply) -> (String, String) {
        let (host, path) = (url.host_str().unwrap_or_default(), url.path());
        let code = reply.status.as_u16();
        (
            format!("LeadDesk has no such resource at {host}{path} ({code}: {})", reply.message()),
            format!("check {} and {}", self.keys.key("base_url"), self.keys.key(key)),
        )
    }

    /// Whether the list itself is said to be wrong: unknown, missing, invalid. That a list is only mentioned ("the number is
    /// blocked on this contact list") says something of the lead.
    fn blames_the_list(&self, reply: &Reply) -> bool {
        let own = self.list_parameter.to_lowercase();
        let names = [own.as_str(), "contact_list_id", "contact_list", "contact list id", "contact list"];
        blame::falls_on(&names, &reply.said())
    }

    fn read_create(&self, reply: &Reply) -> Option<Verdict> {
        match reply.status {
            status if status.is_success() => {
                let body = reply.json()?;
                let id = text_id(wire::contact(&body).get("id")?)?;
                Some(Verdict::Accepted { remote_id: Some(id), already: false, note: None })
            }
            // Perhaps that it is there already, in whatever words; the list is only mentioned where nothing is wrong with it.
            StatusCode::CONFLICT | StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
                if reply.status == StatusCode::CONFLICT || self.may_be_there(reply) =>
            {
                let reason = format!("{}: {}", reply.status.as_u16(), reply.message());
                Some(Verdict::RefusedUnlessThere { field: None, reason })
            }
            _ => None,
        }
    }

    fn may_be_there(&self, reply: &Reply) -> bool {
        let said = reply.said().to_lowercase();
        let words = [self.list_parameter.to_lowercase()];
        let words =
            words.iter().map(String::as_str).chain(["contact list", "contact_list", "exist", "already", "duplicate"]);
        words.into_iter().any(|words| said.contains(words))
    }

    fn read_find(&self, phone: &str, reply: &Reply) -> Option<Verdict> {
        match reply.status {
            status if status.is_success() => Some(self.read_found(phone, reply)),
            StatusCode::NOT_FOUND | StatusCode::GONE => Some(Verdict::Absent),
            StatusCode::UNAUTHORIZED | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => None,
            status if status.is_client_error() => Some(Verdict::Unknown {
                why: format!("LeadDesk could not say whether it is there ({}: {})", status.as_u16(), reply.message()),
            }),
            _ => None,
        }
    }

    fn read_found(&self, phone: &str, reply: &Reply) -> Verdict {
        let Some(found) = Found::read(reply) else {
            let code = reply.status.as_u16();
            return Verdict::Unknown { why: format!("LeadDesk answered {code} without a list: {}", reply.message()) };
        };
        let alike = |contact: &Value, is_like: fn(&str, &str) -> bool| {
            wire::phones(contact).iter().any(|theirs| is_like(phone, theirs))
        };
        let with_our_number = || found.contacts.iter().filter(|contact| alike(contact, wire::is_same_number));
        if let Some(contact) = with_our_number().find(|contact| self.is_on_our_list(contact) == Some(true)) {
            let note = Some("found by its number on the list".to_owned());
            return Verdict::Accepted { remote_id: contact.get("id").and_then(text_id), already: true, note };
        }
        if with_our_number().any(|contact| self.is_on_our_list(contact).is_none()) {
            return Verdict::AccountWrong {
                reason:
                    "asked for one number on one list, LeadDesk answers with a contact that does not say on which list \
                         it is"
                        .to_owned(),
                remedy: format!(
                    "check {} and {}: what the API does not know it may ignore",
                    self.keys.key("list_parameter"),
                    self.keys.key("contact_list_id")
                ),
            };
        }
        let perhaps = |contact: &&Value| {
            self.is_on_our_list(contact) != Some(false)
                && alike(contact, wire::may_be_same_number)
                && !alike(contact, wire::is_same_number)
        };
        if found.contacts.iter().any(|contact| perhaps(&contact)) {
            let why = "LeadDesk answers with a number too short to be told from another's".to_owned();
            return Verdict::Unknown { why };
        }
        let silent = found.contacts.iter().any(|contact| wire::phones(contact).is_empty());
        if found.is_whole() && !silent {
            // None at all, or each another's whose number is like it.
            return Verdict::Absent;
        }
        let what = if silent { "name no number" } else { "are other people's" };
        Verdict::AccountWrong {
            reason: format!("asked for one number, LeadDesk answers with {} contacts that {what}", found.count()),
            remedy: format!(
                "check {} and {}: what the API does not know it may ignore",
                self.keys.key("phone_parameter"),
                self.keys.key("contacts_path")
            ),
        }
    }

    /// Whether a contact is on our list; `None` if it does not say, or in a way that can't be compared: a server that
    /// ignored the question for one list answers from all of them.
    fn is_on_our_list(&self, contact: &Value) -> Option<bool> {
        let names = [self.list_parameter.as_str(), "contact_list_id", "contact_list"];
        names.into_iter().filter_map(|name| contact.get(name)).find_map(|list| self.is_our_list(list))
    }

    fn is_our_list(&self, said: &Value) -> Option<bool> {
        match (&self.list, said) {
            (_, Value::Array(lists)) => {
                let ours: Vec<Option<bool>> = lists.iter().map(|list| self.is_our_list(list)).collect();
                if ours.contains(&Some(true)) {
                    return Some(true);
                }
                (!ours.is_empty() && ours.iter().all(Option::is_some)).then_some(false)
            }
            (Value::Number(_), Value::Object(fields)) => self.is_our_list(fields.get("id").filter(|id| is_plain(id))?),
            (Value::String(_), Value::Object(fields)) => {
                self.is_our_list(fields.get("name").filter(|it| is_plain(it))?)
            }
            (Value::Number(ours), said) => wire::count(said).map(|theirs| ours.as_u64() == Some(theirs)),
            (Value::String(ours), Value::String(theirs)) => Some(theirs.trim() == ours),
            _ => None,
        }
    }
}

/// A text or a number.
fn is_plain(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

/// A page of a collection.
struct Found {
    contacts: Vec<Value>,
    /// As the server counts them, if it does.
    told: Option<u64>,
}

impl Found {
    /// `None` if the reply is no collection.
    fn read(reply: &Reply) -> Option<Self> {
        let body = reply.json()?;
        let items = match &body {
            Value::Array(items) => items,
            body => body.get("collection").and_then(Value::as_array)?,
        };
        let contacts = items.iter().map(|item| wire::contact(item).clone()).collect();
        let told = body.get("_meta").and_then(|meta| meta.get("count")).and_then(wire::count);
        Some(Self { contacts, told })
    }

    fn count(&self) -> u64 {
        self.told.unwrap_or(0).max(self.contacts.len() as u64)
    }

    /// Whether these are all there are. A full page may be the first of many whatever the server counts, and one that does
    /// not count says nothing, unless it is empty.
    fn is_whole(&self) -> bool {
        match self.told {
            None => self.contacts.is_empty(),
            Some(count) => count == self.contacts.len() as u64 && self.contacts.len() < SMALLEST_PAGE,
        }
    }
}

/// An id in digits or in letters.
fn text_id(value: &Value) -> Option<String> {
    match value {
        Value::Number(_) => wire::id(value).map(|id| id.to_string()),
        Value::String(text) => {
            let id = text.trim();
            let plausible = (1..=64).contains(&id.len()) && id != "0" && id.bytes().all(|byte| byte.is_ascii_graphic());
            plausible.then(|| id.to_owned())
        }
        _ => None,
    }
}

/// "Contact not found", in JSON, from the application itself.
fn says_no_contact(reply: &Reply) -> bool {
    let said = reply.said().to_lowercase();
    !is_routing(reply)
        && said.contains("contact")
        && !said.contains("list")
        && ["not found", "no contact", "does not exist", "not_found"].iter().any(|words| said.contains(words))
}

/// The address with this path behind its own.
///
/// # Errors
/// [`BuildError`] if it is no path.
pub(super) fn below(base: &Url, path: &str, key: &str) -> Result<Url, BuildError> {
    if !path.starts_with('/') || path.contains(['?', '#', '\\']) || path.chars().any(char::is_whitespace) {
        return Err(BuildError::bad(key, "no path", "a path such as \"/contacts\", without parameters"));
    }
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    Ok(url)
}

impl Api for Rest {
    fn add(&self, phone: &str, fields: Vec<(String, String)>) -> Request {
        let mut body: Map<String, Value> =
            fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        body.insert(self.phone_parameter.clone(), json!(phone));
        body.insert(self.list_parameter.clone(), self.list.clone());
        self.request(Method::POST, self.contacts_url.clone()).json(&Value::Object(body))
    }

    fn look(&self, phone: &str) -> Option<Request> {
        let list = match &self.list {
            Value::String(name) => name.clone(),
            number => number.to_string(),
        };
        let mut url = self.contacts_url.clone();
        url.query_pairs_mut()
            .append_pair(&self.phone_parameter, phone)
            .append_pair(&self.list_parameter, &list)
            .append_pair("per_page", &PAGE_SIZE.to_string());
        Some(self.request(Method::GET, url))
    }

    fn read(&self, asked: Asked, phone: &str, reply: &Reply) -> Option<Verdict> {
        // Also what a server answers after it has done its work: by status alone it is unknown, and looked for first.
        if asked == Asked::Create && matches!(reply.status, StatusCode::FOUND | StatusCode::SEE_OTHER) {
            return None;
        }
        if let Some((reason, remedy)) = self.account_wrong(asked, reply) {
            return Some(Verdict::AccountWrong { reason, remedy });
        }
        match asked {
            Asked::Create => self.read_create(reply),
            Asked::Find => self.read_find(phone, reply),
            Asked::Complete => None,
        }
    }

    /// One page of one campaign, which changes nothing: it proves the token and the address.
    fn check(&self, replies: &[Reply]) -> CheckStep {
        let Some(reply) = replies.last() else {
            let mut url = self.check_url.clone();
            url.query_pairs_mut().append_pair("per_page", "1");
            return CheckStep::Ask(self.request(Method::GET, url));
        };
        let failed = |(reason, remedy)| CheckStep::Failed { reason, remedy };
        let status = reply.status;
        if status.is_success() {
            return match reply.json() {
                Some(Value::Object(_) | Value::Array(_)) => CheckStep::Passed(Vec::new()),
                None if !reply.is_html() => CheckStep::Unreadable,
                _ => failed(self.not_there(&self.check_url, "check_path", reply)),
            };
        }
        let transient =
            matches!(status, StatusCode::UNAUTHORIZED | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        match (transient || status.is_server_error(), status) {
            (true, _) => CheckStep::Unreadable,
            (_, StatusCode::FORBIDDEN) => match self.account_wrong(Asked::Find, reply) {
                Some(words) => failed(words),
                None => CheckStep::Unreadable,
            },
            _ => failed(self.not_there(&self.check_url, "check_path", reply)),
        }
    }
}
