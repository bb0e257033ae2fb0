//! `create:reset-after=1%` into a rule, with errors that name the nearest right word.

use std::str::FromStr;

use super::{Fault, FaultPlan, Rule, Target, WORDS, When};
use crate::sandbox::operation::{Api, Operation};

/// Why a fault can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultPlanError {
    /// Not of the form `TARGET:KIND=WHEN`.
    #[error("can't read the fault `{found}`: expected TARGET:KIND=WHEN, for example `create:reset-after=1%`")]
    Form { found: String },
    /// No such call or service.
    #[error("unknown target `{found}` in `{rule}`, expected one of {expected}{}", nearest(.near))]
    Target { found: String, rule: String, near: Option<String>, expected: String },
    /// No such kind of fault.
    #[error(
        "unknown fault `{found}` in `{rule}`, expected a status from 400 to 599, a 5xx with `-after`, or one of \
         {expected}{}",
        nearest(.near)
    )]
    Kind { found: String, rule: String, near: Option<String>, expected: String },
    /// A 4xx says that nothing was done.
    #[error("`{found}` in `{rule}` can't be: a 4xx comes before the effect; use `{code}` or a 5xx such as `500-after`")]
    RefusedAfter { found: String, rule: String, code: u16 },
    /// Not a share, number or lead.
    #[error(
        "can't read `{found}` in `{rule}`: expected a share (`1%`), request numbers (`#3` or `#3+7`), or a lead \
         (`ann@example.com`, `ann@example.com#2`)"
    )]
    When { found: String, rule: String },
}

fn nearest(near: &Option<String>) -> String {
    near.as_ref().map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

/// The most similar of `words`, if any is similar at all.
fn similar<'a>(found: &str, words: impl Iterator<Item = &'a str>) -> Option<String> {
    words
        .map(|word| (strsim::jaro_winkler(found, word), word))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word.to_owned())
}

impl FromStr for FaultPlan {
    type Err = FaultPlanError;

    fn from_str(text: &str) -> Result<Self, FaultPlanError> {
        let rules = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|rule| !rule.is_empty());
        rules.map(Rule::from_str).collect::<Result<_, _>>().map(Self::new)
    }
}

impl FromStr for Rule {
    type Err = FaultPlanError;

    fn from_str(rule: &str) -> Result<Self, FaultPlanError> {
        let form = || FaultPlanError::Form { found: rule.to_owned() };
        let (what, when) = rule.split_once('=').ok_or_else(form)?;
        let (target, kind) = what.split_once(':').ok_or_else(form)?;
        Ok(Self { target: self::target(target, rule)?, fault: fault(kind, rule)?, when: self::when(when, rule)? })
    }
}

fn target(found: &str, rule: &str) -> Result<Target, FaultPlanError> {
    if found == "*" {
        return Ok(Target::All);
    }
    if let Some(api) = Api::all().find(|api| api.name() == found) {
        return Ok(Target::Api(api));
    }
    if let Some(operation) = Operation::all().find(|operation| operation.name() == found) {
        return Ok(Target::Operation(operation));
    }
    let words = || Operation::all().map(Operation::name).chain(Api::all().map(Api::name));
    Err(FaultPlanError::Target {
        found: found.to_owned(),
        rule: rule.to_owned(),
        near: similar(found, words()),
        expected: format!("{}, *", words().collect::<Vec<_>>().join(", ")),
    })
}

fn fault(found: &str, rule: &str) -> Result<Fault, FaultPlanError> {
    if let Some((_, fault)) = WORDS.iter().find(|(word, _)| *word == found) {
        return Ok(*fault);
    }
    let (code, after) = found.strip_suffix("-after").map_or((found, false), |code| (code, true));
    match code.parse::<u16>() {
        Ok(code @ 400..=499) if after => {
            Err(FaultPlanError::RefusedAfter { found: found.to_owned(), rule: rule.to_owned(), code })
        }
        Ok(code @ 400..=599) => Ok(Fault::Status { code, after }),
        _ => Err(FaultPlanError::Kind {
            found: found.to_owned(),
            rule: rule.to_owned(),
            near: similar(found, WORDS.iter().map(|(word, _)| *word)),
            expected: WORDS.map(|(word, _)| word).join(", "),
        }),
    }
}

fn when(found: &str, rule: &str) -> Result<When, FaultPlanError> {
    parse_when(found).ok_or_else(|| FaultPlanError::When { found: found.to_owned(), rule: rule.to_owned() })
}

fn parse_when(found: &str) -> Option<When> {
    if let Some(percent) = found.strip_suffix('%') {
        let percent: f64 = percent.parse().ok()?;
        return (0.0..=100.0).contains(&percent).then_some(When::Share(percent / 100.0));
    }
    if let Some(numbers) = found.strip_prefix('#') {
        let numbers: Vec<u64> = numbers.split('+').map(str::parse).collect::<Result<_, _>>().ok()?;
        return numbers.iter().all(|n| *n > 0).then_some(When::Nth(numbers));
    }
    if !found.contains('@') {
        return None;
    }
    let (email, nth) = match found.rsplit_once('#') {
        Some((email, nth)) => (email, Some(nth.parse().ok().filter(|n| *n > 0)?)),
        None => (found, None),
    };
    Some(When::Lead { email: email.to_lowercase(), nth })
}
