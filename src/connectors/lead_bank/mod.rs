//! Lead (api.lead.bank): a bank whose programs keep their customers there as *entities*. It knows no leads; a lead becomes an
//! entity under the bank's rules for knowing its customers, which takes a tax number, so this is off unless asked for.
//!
//! Every write carries an `Idempotency-Key`, and an entity may carry the program's own customer number,
//! `client_customer_id`, which no second one may have. Both are made from the lead, so that a repeat is the same request,
//! and an unknown outcome is settled by asking for the number.
//!
//! Sources: <https://docs.lead.bank> (authentication and IP allowlist; "Get an access token"; "Make your first payment API
//! call" for idempotency; "Create an entity"), and the OpenAPI description that the repository `api-evangelist/lead-bank`
//! keeps (`openapi/_original/lead-bank-openapi.json`). Rate limits are documented nowhere.

pub mod allowlist;
mod check;
mod problem;
mod settings;
mod wire;

#[cfg(test)]
mod tests;

use http::header::{ACCEPT, HeaderValue};
use http::{HeaderName, Method, StatusCode};
use url::Url;

pub(super) use self::settings::KIND;

use self::problem::Problem;
use self::settings::LeadBankSettings;
use super::registry::BuildError;
use super::routing::damaged;
use super::{Asked, CheckStep, Destination, Limits, UnknownPolicy, Unsendable, Verdict, below};
use crate::http::message::{Reply, Request};
use crate::lead::{Lead, Prepared};

/// Source: the vendor's page "Make your first payment API call".
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The program's account. Holds no connection; of the login only what makes the keys of requests.
pub struct LeadBank {
    /// The destination's name, for messages that name keys.
    name: String,
    settings: LeadBankSettings,
    entities_url: Url,
    allowlist: allowlist::Report,
}

impl LeadBank {
    /// The destination called `name` in the configuration.
    ///
    /// # Errors
    /// [`BuildError`] if the allowlist has an entry that the bank refuses.
    fn new(name: &str, settings: LeadBankSettings) -> Result<Self, BuildError> {
        let entities_url = below(&settings.base_url, &["v0", "entities"]);
        let entries = settings.allowlist.iter().enumerate().map(|(at, entry)| (at + 1, entry.trim()));
        let allowlist = match settings.allowlist.is_empty() {
            true => allowlist::Report::default(),
            false => allowlist::check_entries(entries),
        };
        let errors: Vec<_> = allowlist.errors().collect();
        if let [first, more @ ..] = errors.as_slice() {
            let found = |error: &allowlist::Finding| match error.line {
                Some(number) => format!("entry {number}, \"{}\": {}", error.entry, error.problem),
                None => error.problem.clone(),
            };
            // Each with what to do about it, the last one's where a message of one error has it.
            let mut told: Vec<String> = Vec::with_capacity(errors.len());
            for error in &errors[..errors.len() - 1] {
                told.push(format!("{} ({})", found(error), error.remedy));
            }
            let last = more.last().unwrap_or(first);
            told.push(found(last));
            return Err(BuildError::bad(
                format!("destinations.{name}.allowlist"),
                told.join("; "),
                last.remedy.clone(),
            ));
        }
        Ok(Self { name: name.to_owned(), settings, entities_url, allowlist })
    }

    fn key(&self, key: &str) -> String {
        format!("destinations.{}.{key}", self.name)
    }

    fn host(&self) -> &str {
        self.entities_url.host_str().unwrap_or("the configured address")
    }

    fn request(&self, method: Method, url: Url) -> Request {
        Request::new(method, url).header(ACCEPT, HeaderValue::from_static("application/json"))
    }

    /// "Is the customer of this e-mail address there?"
    fn look(&self, email: &str) -> Request {
        let mut url = self.entities_url.clone();
        url.query_pairs_mut().append_pair("client_customer_id", &wire::client_customer_id(email));
        self.request(Method::GET, url)
    }

    /// What an answer says of the account rather than the lead, in words: reason and remedy.
    fn account_wrong(&self, reply: &Reply) -> Option<(String, String)> {
        let problem = Problem::read(reply);
        match reply.status {
            StatusCode::FORBIDDEN => Some(self.forbidden(&problem, reply)),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => Some(self.wrong_address(reply)),
            StatusCode::NOT_FOUND if !problem.is_leads_own() => Some(self.wrong_address(reply)),
            status if status.is_redirection() => Some(self.wrong_address(reply)),
            _ => None,
        }
    }

    fn forbidden(&self, problem: &Problem, reply: &Reply) -> (String, String) {
        let told = format!("403: {}", reply.message());
        if problem.is_source_address() {
            return (format!("{} ({told})", problem::ADDRESS_REFUSED), self.address_remedy());
        }
        if problem.code_holds("scope") {
            let reason = format!("the access token's scope does not suffice ({told})");
            return (
                reason,
                format!("check {}, and ask the Technical Account Manager for what is missing", self.key("scope")),
            );
        }
        if problem.code_holds("operation_not_allowed") {
            let reason = format!("the program may not do this ({told})");
            return (reason, "ask the Technical Account Manager to enable entities for the program".to_owned());
        }
        let remedy = format!("check {} and what the program may do", self.key("scope"));
        (format!("Lead refuses access ({told})"), remedy)
    }

    /// Which address is to be on the list, and how calls come to leave from it.
    fn address_remedy(&self) -> String {
        let known = match self.settings.allowlist.is_empty() {
            true => format!("{} can note what was given to the bank", self.key("allowlist")),
            false => format!("{} says that these are: {}", self.key("allowlist"), self.settings.allowlist.join(", ")),
        };
        format!(
            "give the public IPv4 address that calls leave from here (a subnet of /20 to /32) to your Technical Account \
             Manager, or let them leave from one that is on the list, by {} or {}; {known}",
            self.key("bind_address"),
            self.key("proxy"),
        )
    }

    fn wrong_address(&self, reply: &Reply) -> (String, String) {
        let reason = format!("{} is not the API of Lead ({}: {})", self.host(), reply.status.as_u16(), reply.message());
        (reason, format!("check {}", self.key("base_url")))
    }

    fn read_create(&self, reply: &Reply) -> Option<Verdict> {
        match reply.status {
            status if status.is_success() => Some(match wire::entity_id(reply) {
                Some(id) => Verdict::Accepted { remote_id: Some(id), already: false, note: None },
                None => without_id(reply),
            }),
            // "An entity with the same client_customer_id already exists", or the first request is still being worked on:
            // a look tells which.
            StatusCode::CONFLICT => Some(Verdict::Unknown { why: format!("409: {}", reply.message()) }),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Some(Problem::read(reply).refusal(reply)),
            _ => None,
        }
    }

    fn read_find(&self, reply: &Reply) -> Option<Verdict> {
        match reply.status {
            status if status.is_success() => Some(match wire::entity_id(reply) {
                Some(id) => {
                    let note = Some("confirmed by its client_customer_id".to_owned());
                    Verdict::Accepted { remote_id: Some(id), already: true, note }
                }
                None => without_id(reply),
            }),
            // What is the address's fault was told apart before.
            StatusCode::NOT_FOUND => Some(Verdict::Absent),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => None,
            status if status.is_client_error() => Some(Verdict::Unknown {
                why: format!("Lead could not say whether it is there ({}: {})", status.as_u16(), reply.message()),
            }),
            _ => None,
        }
    }
}

fn without_id(reply: &Reply) -> Verdict {
    let code = reply.status.as_u16();
    Verdict::Unknown { why: format!("Lead answered {code} without the entity's id: {}", reply.message()) }
}

impl Destination for LeadBank {
    fn kind(&self) -> &'static str {
        "lead_bank"
    }

    fn limits(&self) -> Limits {
        self.settings.limits
    }

    fn on_unknown(&self) -> UnknownPolicy {
        self.settings.unknown
    }

    /// One e-mail address is one customer: the `client_customer_id` is made from it.
    fn identity(&self, lead: &Lead) -> Result<String, Unsendable> {
        if lead.email.is_empty() {
            return Err(Unsendable {
                field: "email",
                reason: "missing; the customer's number is made from it".to_owned(),
            });
        }
        Ok(lead.email.clone())
    }

    fn create(&self, prepared: &Prepared) -> Result<Request, Unsendable> {
        let entity = self.entity(&prepared.lead)?;
        let key = self.idempotency_key(&entity);
        let request = self.request(Method::POST, self.entities_url.clone()).json(&entity.body());
        Ok(request.header(IDEMPOTENCY_KEY, key))
    }

    fn find(&self, prepared: &Prepared) -> Option<Request> {
        Some(self.look(&self.identity(&prepared.lead).ok()?))
    }

    fn read(&self, asked: Asked, _about: &Prepared, reply: &Reply) -> Option<Verdict> {
        match reply.status {
            StatusCode::UNAUTHORIZED => return Some(Verdict::AuthExpired),
            // Also what a server answers after it has done its work: by status alone it is unknown, and looked for first.
            StatusCode::FOUND | StatusCode::SEE_OTHER if asked == Asked::Create => return None,
            _ => {}
        }
        if let Some(verdict) = damaged(reply) {
            return Some(verdict);
        }
        if let Some((reason, remedy)) = self.account_wrong(reply) {
            return Some(Verdict::AccountWrong { reason, remedy });
        }
        match asked {
            Asked::Create => self.read_create(reply),
            Asked::Find => self.read_find(reply),
            Asked::Complete => None,
        }
    }

    fn is_about_another(&self, prepared: &Prepared, reply: &Reply) -> bool {
        let ours = wire::client_customer_id(&prepared.lead.email);
        wire::customer_id_in(reply).is_some_and(|said| said != ours)
    }

    fn check(&self, replies: &[Reply]) -> CheckStep {
        self.check_account(replies)
    }
}
