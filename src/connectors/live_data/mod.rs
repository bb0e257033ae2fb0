//! Live Data (gotlivedata.io): who somebody is and where they work now. One call, `POST {people}/{organization}/find`, asks
//! for up to 100 people; `matches[i]` of the answer belongs to `matches[i]` of the question, and an answer that doesn't fit
//! the question is asked for again, never attributed by guess.
//!
//! Sources: <https://docs.gotlivedata.com/docs> (authentication, usage and credits) and the vendor's generated Python client
//! (PyPI `ldt-people-client-async-staging` 1.0.129: fields, 100 matches a call, 2000 calls a minute). Repeating a look-up
//! costs nothing more: one person is charged once in a billing period.

mod login;
mod wire;

#[cfg(test)]
mod tests;

use std::time::Duration;

use http::header::{ACCEPT, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

pub(super) use self::login::{blind, login};

use super::registry::BuildError;
use super::routing::{damaged, is_routing};
use super::{Credits, Enricher, Limits, LookUpVerdict, below};
use crate::config::LiveDataSettings;
use crate::http::message::{Reply, Request};
use crate::lead::{Lead, LookUp, mail_domain};

/// Most people per call. Source: the vendor's client, `PeopleSearchMatchRequest`.
const MOST_MATCHES: usize = 100;

/// The look-up service. Holds no secret and no connection.
pub struct LiveData {
    find_url: Url,
    match_on: Vec<MatchField>,
    batch_size: usize,
    limits: Limits,
}

/// A field by which the service can be asked, of those a lead can fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum MatchField {
    EmailAddress,
    Linkedin,
    Name,
    Title,
    CompanyName,
    CompanyDomain,
}

impl MatchField {
    const ALL: [Self; 6] =
        [Self::EmailAddress, Self::Linkedin, Self::Name, Self::Title, Self::CompanyName, Self::CompanyDomain];

    /// As the API and the configuration spell it.
    fn name(self) -> &'static str {
        match self {
            Self::EmailAddress => "email_address",
            Self::Linkedin => "linkedin",
            Self::Name => "name",
            Self::Title => "title",
            Self::CompanyName => "company.name",
            Self::CompanyDomain => "company.domain",
        }
    }

    /// What to search for, if the lead has it. A name is asked for only whole; the company's domain is the e-mail's,
    /// unless that is a free-mail provider's, where it says nothing of the employer.
    fn term(self, lead: &Lead) -> Option<String> {
        match self {
            Self::EmailAddress => Some(lead.email.clone()).filter(|email| !email.is_empty()),
            Self::Linkedin => lead.linkedin.clone(),
            Self::Name => Some(format!("{} {}", lead.first_name.as_deref()?, lead.last_name.as_deref()?)),
            Self::Title => lead.job_title.clone(),
            Self::CompanyName => lead.company.clone(),
            Self::CompanyDomain => {
                mail_domain::of(&lead.email).filter(|domain| !mail_domain::is_free_mail(domain)).map(str::to_owned)
            }
        }
    }
}

/// Whether these fields single out a person: the address or the profile do, a name only together with an employer. The
/// service scores and always answers its best guess, so anything less would bring back strangers.
fn identifies(fields: impl Iterator<Item = MatchField> + Clone) -> bool {
    let has = |wanted: MatchField| fields.clone().any(|field| field == wanted);
    has(MatchField::EmailAddress)
        || has(MatchField::Linkedin)
        || (has(MatchField::Name) && (has(MatchField::CompanyName) || has(MatchField::CompanyDomain)))
}

impl LiveData {
    /// The service that the settings describe.
    ///
    /// # Errors
    /// As [`LiveData::new`]; [`BuildError::Missing`] without an organisation.
    pub(super) fn from_settings(settings: &LiveDataSettings) -> Result<Self, BuildError> {
        let organization = login::text("enrich.organization", settings.organization.as_deref())?;
        Self::new(settings, &organization)
    }

    /// The service for one organisation (`o_…`, a path segment).
    ///
    /// # Errors
    /// [`BuildError::Bad`] if `match_on` names an unknown field or could not single out anybody, or `batch_size` is out of
    /// range.
    fn new(settings: &LiveDataSettings, organization: &str) -> Result<Self, BuildError> {
        let mut match_on = Vec::with_capacity(settings.match_on.len());
        for name in &settings.match_on {
            let known = MatchField::ALL.into_iter().find(|field| field.name() == name);
            match_on.push(known.ok_or_else(|| {
                let all = MatchField::ALL.map(MatchField::name).join(", ");
                BuildError::bad("enrich.match_on", format!("`{name}`"), format!("any of {all}"))
            })?);
        }
        match_on.sort_unstable();
        match_on.dedup();
        if !identifies(match_on.iter().copied()) {
            return Err(BuildError::bad(
                "enrich.match_on",
                format!("[{}], which singles out nobody", settings.match_on.join(", ")),
                "email_address or linkedin, or name together with company.name or company.domain",
            ));
        }
        if !(1..=MOST_MATCHES).contains(&settings.batch_size) {
            return Err(BuildError::bad("enrich.batch_size", settings.batch_size.to_string(), "1 to 100"));
        }
        if settings.people_url.cannot_be_a_base() {
            return Err(BuildError::bad("enrich.people_url", settings.people_url.scheme(), "an https address"));
        }
        Ok(Self {
            find_url: below(&settings.people_url, &[organization, "find"]),
            match_on,
            batch_size: settings.batch_size,
            limits: Limits {
                rate: settings.rate,
                daily_limit: None,
                concurrency: settings.concurrency.max(1),
                timeout: settings.timeout,
                settle: Duration::ZERO,
            },
        })
    }

    /// The question about one lead; empty if the lead has nothing that singles it out.
    fn terms(&self, lead: &Lead) -> Vec<(MatchField, String)> {
        let terms: Vec<_> = self.match_on.iter().filter_map(|field| Some((*field, field.term(lead)?))).collect();
        if identifies(terms.iter().map(|(field, _)| *field)) { terms } else { Vec::new() }
    }
}

impl Enricher for LiveData {
    fn kind(&self) -> &'static str {
        "live_data"
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The service's address belongs to the key, so that an answer of a sandbox is never taken for one of production.
    fn key(&self, lead: &Lead) -> Option<String> {
        let terms = self.terms(lead);
        if terms.is_empty() {
            return None;
        }
        let terms: Vec<_> = terms.into_iter().map(|(field, term)| json!([field.name(), term])).collect();
        let mut service = self.find_url.clone();
        if let Ok(mut path) = service.path_segments_mut() {
            path.pop().pop(); // the organisation: who asks doesn't change the answer
        }
        Some(json!([self.kind(), service.as_str(), terms]).to_string())
    }

    /// `size` is 1, since every person returned costs a credit; `return_fields` and `confidence` are left out, since what
    /// they take is not documented.
    fn lookup(&self, leads: &[&Lead]) -> Request {
        let matches: Vec<Value> = leads
            .iter()
            .map(|lead| {
                let fields: Vec<Value> = self
                    .terms(lead)
                    .into_iter()
                    .map(|(field, term)| json!({"field_name": field.name(), "search_term": term}))
                    .collect();
                json!({ "fields": fields })
            })
            .collect();
        Request::new(Method::POST, self.find_url.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .json(&json!({ "matches": matches, "size": 1 }))
    }

    fn read(&self, asked: usize, reply: &Reply) -> LookUpVerdict {
        let said = || reply.message();
        let code = reply.status.as_u16();
        match reply.status {
            status if status.is_success() => match wire::answers(asked, reply) {
                Ok(answers) => LookUpVerdict::Answers { answers, credits: wire::credits(reply) },
                Err(why) => LookUpVerdict::Again { why },
            },
            StatusCode::UNAUTHORIZED => LookUpVerdict::AuthExpired,
            StatusCode::PAYMENT_REQUIRED => LookUpVerdict::OutOfCredits(wire::credits(reply)),
            StatusCode::FORBIDDEN => LookUpVerdict::AccountWrong {
                reason: format!("Live Data refuses access (403: {})", said()),
                remedy: "check enrich.organization, and that the account has the People product and the role `viewer`"
                    .to_owned(),
            },
            StatusCode::NOT_FOUND if damaged(reply).is_some() => LookUpVerdict::Again {
                why: format!("Live Data answered {code} in words that were damaged on their way"),
            },
            StatusCode::NOT_FOUND if !is_routing(reply) && !names_organization(reply) => {
                if asked == 1 {
                    LookUpVerdict::Answers { answers: vec![LookUp::NotFound], credits: wire::credits(reply) }
                } else {
                    // A 404 for one unknown person says nothing of the other 99: ask in smaller parts.
                    LookUpVerdict::BadRequest { reason: format!("Live Data answered 404 for {asked} people at once") }
                }
            }
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                LookUpVerdict::BadRequest { reason: format!("Live Data refuses the question ({code}: {})", said()) }
            }
            StatusCode::TOO_MANY_REQUESTS => LookUpVerdict::NotNow {
                wait: reply.retry_after(),
                why: format!("Live Data asks for a pause (429: {})", said()),
            },
            // Asking again is free, so a server that says when is taken at its word.
            StatusCode::SERVICE_UNAVAILABLE if reply.retry_after().is_some() => LookUpVerdict::NotNow {
                wait: reply.retry_after(),
                why: format!("Live Data is unavailable (503: {})", said()),
            },
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::LOCKED | StatusCode::TOO_EARLY => {
                LookUpVerdict::Again { why: format!("Live Data answered {code}: {}", said()) }
            }
            status if status.is_server_error() || status.is_informational() => {
                LookUpVerdict::Again { why: format!("Live Data answered {code}: {}", said()) }
            }
            _ => LookUpVerdict::AccountWrong {
                reason: format!("{} does not answer look-ups ({code}: {})", place(&self.find_url), said()),
                remedy: "check enrich.people_url and enrich.organization".to_owned(),
            },
        }
    }
}

/// Whether a 404 is about the organisation, not about a person.
fn names_organization(reply: &Reply) -> bool {
    !reply.is_html() && {
        let said = reply.said().to_lowercase();
        ["organization", "organisation", "org not found", "tenant"].iter().any(|word| said.contains(word))
    }
}

/// An address without its organisation or query: for messages.
fn place(url: &Url) -> String {
    url.host_str().unwrap_or("the configured address").to_owned()
}
