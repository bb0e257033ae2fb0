//! What each remote API looks like. A connector builds requests and reads replies and never sends: its tests are
//! fixtures in, requests and verdicts out. It sees only [`crate::lead`], this module and [`crate::http::message`].
//!
//! A connector is one folder (`mod.rs` the trait's implementation, `wire.rs` the bodies, `tests.rs`, `fixtures/`) and one
//! line in the registry (`registry.rs`).

mod any_http;
pub(crate) mod channel;
pub mod classify;
pub(crate) mod discretion;
#[cfg(test)]
mod example;
mod lead_bank;
mod lead_connector;
mod lead_desk;
mod live_data;
pub mod registry;
mod routing;
mod seven_targets;
mod template;

use std::fmt;
use std::time::Duration;

pub use lead_bank::allowlist;

use url::Url;

use crate::config::Section;
use crate::http::message::{Rate, Reply, Request};
use crate::lead::{Lead, LookUp, Prepared};

/// The address with these segments behind its path, whether or not that ends with a slash.
fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    // Configured addresses are http or https: these have a path.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// What a request to a destination was meant to do; replies are read in its light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Create the lead.
    Create,
    /// Find out whether it is there: after an unknown outcome, or before creating it.
    Find,
    /// What belongs to it beyond its creation: [`Destination::complete`].
    Complete,
}

/// How a reason to stay away begins where the account's calls of the day are used up: nobody's failure, and nothing that
/// another run before tomorrow could mend.
pub const DAY_USED_UP: &str = "the day's calls are used up";

/// What a reply means for the lead.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The destination has it.
    Accepted {
        /// The destination's own number for it, if it said one.
        remote_id: Option<String>,
        /// It was there before this request: "already exists", or found by a probe.
        already: bool,
        /// A warning for the operator, without personal data ("created, but the plan's lead limit is used up").
        note: Option<String>,
    },
    /// Searched for and certainly not there.
    Absent,
    /// Refused for good; in words for whoever sent the lead, without personal data.
    Refused { field: Option<String>, reason: String },
    /// Refused, by an API that is known to have created the lead all the same: final only once a look finds nothing.
    RefusedUnlessThere { field: Option<String>, reason: String },
    /// Certainly not processed; come back later (429). `wait` is the server's own word, if it gave one; `why` begins with
    /// [`DAY_USED_UP`] if that is tomorrow.
    NotNow { wait: Option<Duration>, why: String },
    /// May have been processed: a 5xx, a success that can't be read.
    Unknown { why: String },
    /// The token is no longer good (401); the request was not processed.
    AuthExpired,
    /// Account, not lead: wrong header, missing role, blocked address. Stops the destination and costs no attempt.
    AccountWrong {
        /// What is wrong, in words.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
}

/// As the call log keeps it: no personal data, since no variant holds any.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { already: false, .. } => f.write_str("accepted"),
            Self::Accepted { already: true, .. } => f.write_str("already there"),
            Self::Absent => f.write_str("not there"),
            Self::Refused { field: Some(field), reason } => write!(f, "refused: {field}: {reason}"),
            Self::Refused { field: None, reason } => write!(f, "refused: {reason}"),
            Self::RefusedUnlessThere { field: Some(field), reason } => {
                write!(f, "refused, unless it is there: {field}: {reason}")
            }
            Self::RefusedUnlessThere { field: None, reason } => write!(f, "refused, unless it is there: {reason}"),
            Self::NotNow { wait: Some(wait), why } => write!(f, "not now, again in {} s: {why}", wait.as_secs()),
            Self::NotNow { wait: None, why } => write!(f, "not now: {why}"),
            Self::Unknown { why } => write!(f, "unknown: {why}"),
            Self::AuthExpired => f.write_str("access token or key refused"),
            Self::AccountWrong { reason, .. } => write!(f, "account: {reason}"),
        }
    }
}

/// A lead that this destination can't take, and why, in words for whoever sent the lead, without personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Unsendable {
    /// The field that is missing or unusable.
    pub field: &'static str,
    /// What was expected.
    pub reason: String,
}

/// What one account bears. Defaults cite the vendor's page where the connector sets them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// All calls of the account together; `None`: no limit.
    pub rate: Option<Rate>,
    /// Creates per UTC day; `None`: no limit.
    pub daily_limit: Option<u32>,
    /// Requests in flight per process; at least 1.
    pub concurrency: usize,
    /// From writing the request to the reply's last byte.
    pub timeout: Duration,
    /// How long after an unknown outcome the API is given before it is asked whether the lead is there.
    pub settle: Duration,
}

impl Limits {
    /// As a destination's table has them.
    pub fn of(section: &Section) -> Self {
        Self {
            rate: section.rate(),
            daily_limit: section.daily_limit(),
            concurrency: section.concurrency(),
            timeout: section.timeout(),
            settle: section.settle(),
        }
    }
}

/// What to do when nobody knows whether a create arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownPolicy {
    /// Ask the destination ([`Destination::find`]) once `settle` has passed.
    Find,
    /// Send the create again once `settle` has passed: this API finds what is there and brings it up to date, so that a
    /// repeat makes nothing new. Only for a destination that can also be asked, for what it refuses when repeated.
    Repeat,
    /// Leave it `unconfirmed` for a person.
    Hold,
    /// Create it again: the operator accepts a repeat.
    Retry,
}

/// What is found of a lead whose create was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// What was sent, but for what was refused; or nothing that could be compared.
    Sent,
    /// Something else: it was there before.
    Another,
    /// Neither for certain.
    Unclear,
}

/// One step of checking an account before the first lead, without side effects.
#[derive(Debug)]
pub enum CheckStep {
    /// Send this and ask again with its reply appended.
    Ask(Request),
    /// The account can be used; with remarks for the operator, if there are any.
    Passed(Vec<String>),
    /// Leads can't be sent with this configuration: exit 2 before the first lead.
    Failed {
        /// What is wrong, in words.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The reply says nothing of the configuration (a 401, 429 or 5xx): judge it by its status.
    Unreadable,
}

/// A system that leads are created in.
pub trait Destination: Send + Sync {
    /// The kind as the configuration names it: `seven_targets`.
    fn kind(&self) -> &'static str;
    /// Rate, concurrency, time-out and settle time.
    fn limits(&self) -> Limits;
    /// What an unknown outcome leads to.
    fn on_unknown(&self) -> UnknownPolicy;
    /// The text that makes two leads the same lead here (usually the e-mail); its keyed hash is the claim.
    ///
    /// # Errors
    /// [`Unsendable`] if the lead lacks what identifies it here.
    fn identity(&self, lead: &Lead) -> Result<String, Unsendable>;
    /// The request that creates the lead.
    ///
    /// # Errors
    /// [`Unsendable`] if the lead lacks what the destination can't do without. Called once before the intent is stored,
    /// so nothing unsendable ever becomes `sending`.
    fn create(&self, prepared: &Prepared) -> Result<Request, Unsendable>;
    /// "Is it there?" `None`: this API can't say.
    fn find(&self, prepared: &Prepared) -> Option<Request>;
    /// Whether [`Destination::find`] is asked before each create: where the API makes a second lead of a repeated one.
    fn looks_first(&self) -> bool {
        false
    }
    /// How often in a row a look must find nothing, `settle` apart, before the lead counts as absent: more than once where
    /// what was created may not be found at once. At least 1.
    fn looks_until_absent(&self) -> u32 {
        1
    }
    /// Whether what a look found has what was sent: asked of a lead that was refused and is there all the same, since it may
    /// have been there before. `refusal`: the reply to the create.
    fn shows(&self, _prepared: &Prepared, _refusal: &Reply, _found: &Reply) -> Shows {
        Shows::Sent
    }
    /// What is left to do for a lead that the destination has, before it counts as delivered. It must bear repetition: it
    /// is asked again after a lost reply or a crash. `remote_id` as the create or the look told it.
    fn complete(&self, _prepared: &Prepared, _remote_id: Option<&str>) -> Option<Request> {
        None
    }
    /// What a complete reply to a question about this lead means. `None`: leave it to [`classify`], which judges by status
    /// alone.
    fn read(&self, asked: Asked, about: &Prepared, reply: &Reply) -> Option<Verdict>;
    /// How long the account is to be left alone by what any reply says of its limits, and why: headers that count what is
    /// left. [`DAY_USED_UP`] where it is the day's. `None`: nothing of the kind.
    fn limit_said(&self, _reply: &Reply) -> Option<(Duration, String)> {
        None
    }
    /// Whether a reply speaks of another lead than this one, as one does that a proxy or a cache mixed up. What it says
    /// is not believed then: nobody knows what became of ours.
    fn is_about_another(&self, prepared: &Prepared, reply: &Reply) -> bool;
    /// The account check, given the replies so far; pure, so that the caller owns the sending.
    fn check(&self, replies: &[Reply]) -> CheckStep;
    /// What a person who has just logged in with a browser is told, given the replies so far to what is asked with that very
    /// login.
    fn after_login(&self, _replies: &[Reply]) -> CheckStep {
        CheckStep::Passed(Vec::new())
    }
}

/// What a look-up's reply means for the batch.
#[derive(Clone, Debug, PartialEq)]
pub enum LookUpVerdict {
    /// One answer per lead asked for, in order.
    Answers {
        /// In the order of the request.
        answers: Vec<LookUp>,
        /// What the service says about credits.
        credits: Credits,
    },
    /// The batch was refused as malformed (400): split it to find the bad entry; alone, it is an answer "not found" with
    /// a note.
    BadRequest { reason: String },
    /// Credits used up (402): nothing more in this run.
    OutOfCredits(Credits),
    /// Not now (429).
    NotNow { wait: Option<Duration>, why: String },
    /// Ask again: 5xx, 408, an answer that doesn't fit the question.
    Again { why: String },
    /// The token is no longer good (401).
    AuthExpired,
    /// Account, not lead (403, wrong organisation or path).
    AccountWrong { reason: String, remedy: String },
}

/// Credits as the service counts them; `None` where it didn't say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credits {
    /// Used in the service's current period, or by this call where the service says so.
    pub used: Option<i64>,
    /// Left; absent means no cap.
    pub remaining: Option<i64>,
}

/// A service that knows more about a person. Look-ups change nothing remotely: any of them may be repeated.
pub trait Enricher: Send + Sync {
    /// The kind as the configuration names it: `live_data`.
    fn kind(&self) -> &'static str;
    /// Rate, concurrency and time-out.
    fn limits(&self) -> Limits;
    /// People per call; at least 1.
    fn batch_size(&self) -> usize;
    /// The text by which this lead is looked up; equal texts get equal answers, so its keyed hash is the cache's key.
    /// `None`: there is nothing to look it up by.
    fn key(&self, lead: &Lead) -> Option<String>;
    /// One call for all of `leads` (at least one, at most [`Enricher::batch_size`], with distinct keys).
    fn lookup(&self, leads: &[&Lead]) -> Request;
    /// What the reply to a look-up of `asked` leads means.
    fn read(&self, asked: usize, reply: &Reply) -> LookUpVerdict;
}
