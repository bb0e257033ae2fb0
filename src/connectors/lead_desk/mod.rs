//! LeadDesk: software for call centres. A lead becomes a contact on a contact list, and is known there by its phone number.
//!
//! Nothing says that adding a contact twice makes one contact, and a person called twice is what nobody wants; so each add is
//! preceded by a look for the number on the list, and after an unknown outcome two looks must find nothing before it is
//! added again.
//!
//! Two APIs. The *original* one (a key of 32 characters) documents what is needed here; of the *REST* one (OAuth) the
//! resource for contacts is not public: its path and names are configuration, with the original's names as defaults.
//!
//! Sources: <https://leaddesk.com/docs/get-started>, <https://leaddesk.com/docs/original-api-modules> and
//! <https://leaddesk.com/docs/introduction-rest-api/>; for fields and answers, `certified-connectors/LeadDesk` of the
//! repository `microsoft/PowerPlatformConnectors` and the client `bartlomiejbeta/LeadDeskApiClientLib`.

mod blame;
mod fields;
mod list;
mod original;
mod rest;
mod settings;
mod wire;

#[cfg(test)]
mod tests;

pub(super) use self::settings::KIND;

use self::fields::Fields;
use self::original::Original;
use self::rest::Rest;
use self::settings::{LeadDeskSettings, Which};
use super::registry::BuildError;
use super::routing::damaged;
use super::{Asked, CheckStep, Destination, Limits, UnknownPolicy, Unsendable, Verdict};
use crate::http::message::{Reply, Request};
use crate::lead::{Lead, Prepared};

/// Looks that must find nothing, before what was perhaps added counts as not added: nothing says that a new contact is
/// found at once.
const LOOKS_UNTIL_ABSENT: u32 = 2;

/// An account's contact list. Holds no secret and no connection.
pub struct LeadDesk {
    api: Box<dyn Api>,
    /// What tells this list from the account's others, as configured.
    list: String,
    fields: Fields,
    limits: Limits,
    unknown: UnknownPolicy,
}

/// What the two APIs do differently. `phone` is always E.164.
trait Api: Send + Sync {
    /// Adds a contact.
    fn add(&self, phone: &str, fields: Vec<(String, String)>) -> Request;
    /// Looks for the number on the list; `None` while the list's number is not known.
    fn look(&self, phone: &str) -> Option<Request>;
    /// As [`Destination::read`].
    fn read(&self, asked: Asked, phone: &str, reply: &Reply) -> Option<Verdict>;
    /// As [`Destination::check`].
    fn check(&self, replies: &[Reply]) -> CheckStep;
}

/// The destination's keys, for messages that name them.
#[derive(Clone, Debug)]
struct Keys(String);

impl Keys {
    fn key(&self, key: &str) -> String {
        format!("destinations.{}.{key}", self.0)
    }
}

impl LeadDesk {
    /// The destination called `name` in the configuration.
    ///
    /// # Errors
    /// [`BuildError`] if no list is named, or a path, name or template can't be used.
    fn new(name: &str, settings: LeadDeskSettings) -> Result<Self, BuildError> {
        let keys = Keys(name.to_owned());
        let list = match (settings.contact_list_id, &settings.contact_list) {
            (Some(id), _) => format!("#{id}"),
            (None, Some(list)) => list.clone(),
            (None, None) => {
                let other = format!("`{}`", keys.key("contact_list_id"));
                return Err(BuildError::missing_or(keys.key("contact_list"), other));
            }
        };
        let fields = Fields::new(&keys, &settings)?;
        let (limits, unknown) = (settings.limits, settings.unknown);
        let api: Box<dyn Api> = match settings.api {
            Which::Original => Box::new(Original::new(keys, &settings)),
            Which::Rest => Box::new(Rest::new(keys, &settings)?),
        };
        Ok(Self { api, list, fields, limits, unknown })
    }
}

/// The number that the lead is known by.
fn phone(lead: &Lead) -> Result<&str, Unsendable> {
    lead.phone
        .as_deref()
        .filter(|phone| !wire::digits(phone).is_empty())
        .ok_or_else(|| Unsendable { field: "phone", reason: "missing; LeadDesk knows people by it".to_owned() })
}

impl Destination for LeadDesk {
    fn kind(&self) -> &'static str {
        "lead_desk"
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn on_unknown(&self) -> UnknownPolicy {
        self.unknown
    }

    fn identity(&self, lead: &Lead) -> Result<String, Unsendable> {
        Ok(format!("{}|{}", self.list, wire::digits(phone(lead)?)))
    }

    fn create(&self, prepared: &Prepared) -> Result<Request, Unsendable> {
        let phone = phone(&prepared.lead)?;
        Ok(self.api.add(phone, self.fields.of(prepared)?))
    }

    fn find(&self, prepared: &Prepared) -> Option<Request> {
        self.api.look(phone(&prepared.lead).ok()?)
    }

    fn looks_first(&self) -> bool {
        true
    }

    fn looks_until_absent(&self) -> u32 {
        LOOKS_UNTIL_ABSENT
    }

    fn read(&self, asked: Asked, about: &Prepared, reply: &Reply) -> Option<Verdict> {
        damaged(reply).or_else(|| self.api.read(asked, phone(&about.lead).unwrap_or_default(), reply))
    }

    /// LeadDesk may write numbers its own way, so only digits are compared, and only where an answer names any.
    fn is_about_another(&self, prepared: &Prepared, reply: &Reply) -> bool {
        let Ok(ours) = phone(&prepared.lead) else { return false };
        let Some(body) = reply.json() else { return false };
        let named = wire::phones(wire::contact(&body));
        let is_ours = |theirs: &String| wire::is_same_number(ours, theirs) || wire::may_be_same_number(ours, theirs);
        !named.is_empty() && !named.iter().any(is_ours)
    }

    fn check(&self, replies: &[Reply]) -> CheckStep {
        self.api.check(replies)
    }
}
