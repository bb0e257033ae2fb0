//! What goes wrong, for whom, and when: [`FaultPlan`] says it, [`FaultBook`] decides for each request.

mod book;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use super::operation::{Api, Operation};
use super::options::RetryAfter;
pub(super) use book::FaultBook;
pub use parse::FaultPlanError;

/// What goes wrong. "Before" and "after" refer to the effect: whether the lead was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// An error status. 429 brings `Retry-After` and asks for a pause; 401 revokes the token that was used.
    Status {
        /// 400 to 599.
        code: u16,
        /// The effect took place all the same; 5xx only.
        after: bool,
    },
    /// The connection is reset (TCP RST).
    Reset { after: bool },
    /// No reply, for as long as [`super::Timing::hang`] says or until the client gives up.
    Hang { after: bool },
    /// Effect and reply come only after [`super::Timing::hang`]; the effect also if the client has gone by then.
    Late,
    /// After the effect: the reply ends in the middle of its body (`Content-Length` promised more).
    Truncated,
    /// After the effect: a success with a page of HTML for a body, as from a proxy.
    Html,
    /// After the effect: a success without a body.
    Empty,
    /// After the effect: the reply arrives a few bytes at a time, over [`super::Timing::drip`].
    Drip,
    /// A 429 whose `Retry-After` has this form, whatever the sandbox was told.
    TooMany(RetryAfter),
    /// A 503 that asks for a pause by `Retry-After`.
    Rest,
    /// A success whose body says that it failed.
    ErrorBody { after: bool },
    /// A success whose body speaks of another lead, as from a cache that mixes replies up.
    OtherLead { after: bool },
    /// After the effect: a success that leaves out the lead's number.
    NoId,
}

impl Fault {
    /// Whether the effect takes place and the honest answer is thrown away.
    pub(super) fn comes_after(self) -> bool {
        match self {
            Self::Status { after, .. }
            | Self::Reset { after }
            | Self::Hang { after }
            | Self::ErrorBody { after }
            | Self::OtherLead { after } => after,
            _ => false,
        }
    }
}

/// The words for everything but statuses, in the order in which help lists them.
const WORDS: [(&str, Fault); 18] = [
    ("reset", Fault::Reset { after: false }),
    ("reset-after", Fault::Reset { after: true }),
    ("hang", Fault::Hang { after: false }),
    ("hang-after", Fault::Hang { after: true }),
    ("late", Fault::Late),
    ("truncated", Fault::Truncated),
    ("html", Fault::Html),
    ("empty", Fault::Empty),
    ("drip", Fault::Drip),
    ("error-body", Fault::ErrorBody { after: false }),
    ("error-body-after", Fault::ErrorBody { after: true }),
    ("other-lead", Fault::OtherLead { after: false }),
    ("other-lead-after", Fault::OtherLead { after: true }),
    ("no-id", Fault::NoId),
    ("429-seconds", Fault::TooMany(RetryAfter::Seconds)),
    ("429-date", Fault::TooMany(RetryAfter::Date)),
    ("429-none", Fault::TooMany(RetryAfter::Absent)),
    ("503-seconds", Fault::Rest),
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Status { code, after } = self {
            return write!(f, "{code}{}", if *after { "-after" } else { "" });
        }
        let word = WORDS.iter().find(|(_, fault)| fault == self).map_or("?", |(word, _)| word);
        f.write_str(word)
    }
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `*`: every call.
    All,
    /// `seven_targets`: every call to that service.
    Api(Api),
    /// `create`: that call.
    Operation(Operation),
}

impl Target {
    fn covers(self, operation: Operation) -> bool {
        match self {
            Self::All => true,
            Self::Api(api) => operation.api() == api,
            Self::Operation(one) => one == operation,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Api(api) => api.fmt(f),
            Self::Operation(operation) => operation.fmt(f),
        }
    }
}

/// When a rule fires.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// `5%`: for this share of requests (0.05), drawn per lead and request of that lead, not by order of arrival.
    Share(f64),
    /// `#3` or `#3+7`: for these requests of the operation, counted from 1 in order of arrival.
    Nth(Vec<u64>),
    /// `ann@example.com`: for every request of this lead; `ann@example.com#2`: for its second. A look-up of many people
    /// is a request of each of them.
    Lead {
        /// Lower case.
        email: String,
        /// Counted from 1.
        nth: Option<u32>,
    },
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // 1 % is stored as 0.01, which times 100 is not always a round number.
            Self::Share(share) => write!(f, "{}%", (share * 1e8).round() / 1e6),
            Self::Nth(numbers) => {
                let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
                write!(f, "#{}", numbers.join("+"))
            }
            Self::Lead { email, nth: None } => f.write_str(email),
            Self::Lead { email, nth: Some(nth) } => write!(f, "{email}#{nth}"),
        }
    }
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub target: Target,
    pub fault: Fault,
    pub when: When,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}={}", self.target, self.fault, self.when)
    }
}

/// What goes wrong: rules, the first that fires wins. Written as `create:reset-after=1%,create:500=2%,find:429=#3`,
/// separated by commas or white space; [`fmt::Display`] writes what [`std::str::FromStr`] reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan {
    rules: Vec<Rule>,
}

impl FaultPlan {
    /// These rules, in this order.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// Its rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Both: `--fault` given several times.
    pub fn and(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, rule) in self.rules.iter().enumerate() {
            write!(f, "{}{rule}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
