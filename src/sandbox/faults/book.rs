//! Which request a fault hits.

use std::collections::{BTreeMap, HashMap};

use super::{Fault, FaultPlan, When};
use crate::sandbox::dice;
use crate::sandbox::operation::Operation;

/// The plan at work: counts requests and decides for each.
#[derive(Debug)]
pub(in crate::sandbox) struct FaultBook {
    seed: u64,
    plan: FaultPlan,
    /// Requests per operation, by arrival.
    arrived: HashMap<Operation, u64>,
    /// Requests per operation and identity, by hash: a few bytes a lead.
    seen: HashMap<u64, u32>,
    /// How often each rule fired, by how it is written.
    fired: BTreeMap<String, u64>,
}

impl FaultBook {
    /// Nothing seen yet.
    pub(in crate::sandbox) fn new(seed: u64, plan: FaultPlan) -> Self {
        Self { seed, plan, arrived: HashMap::new(), seen: HashMap::new(), fired: BTreeMap::new() }
    }

    /// Replaces the plan and forgets which requests were seen.
    pub(in crate::sandbox) fn set(&mut self, plan: FaultPlan, seed: Option<u64>) {
        let fired = std::mem::take(&mut self.fired);
        *self = Self { fired, ..Self::new(seed.unwrap_or(self.seed), plan) };
    }

    /// Begins anew with the same plan.
    pub(in crate::sandbox) fn reset(&mut self) {
        *self = Self::new(self.seed, std::mem::take(&mut self.plan));
    }

    pub(in crate::sandbox) fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    pub(in crate::sandbox) fn seed(&self) -> u64 {
        self.seed
    }

    /// Rule to how often it fired, as `operation:kind`.
    pub(in crate::sandbox) fn fired(&self) -> &BTreeMap<String, u64> {
        &self.fired
    }

    /// Whether this request goes wrong, and how. `who`: the e-mail addresses that it is about, or what else tells it from
    /// others; each at most once.
    pub(in crate::sandbox) fn decide(&mut self, operation: Operation, who: &[String]) -> Option<Fault> {
        if !self.plan.rules.iter().any(|rule| rule.target.covers(operation)) {
            return None;
        }
        let arrived = self.arrived.entry(operation).or_default();
        *arrived += 1;
        let arrived = *arrived;

        // Together they are one identity (of the batch), whatever order they are listed in.
        let mut sorted: Vec<&str> = who.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        let together = sorted.join("\n");
        let nth_together = self.count(operation, &together);
        let nth_each: HashMap<&str, u32> = match sorted.as_slice() {
            [one] => HashMap::from([(*one, nth_together)]),
            many => many.iter().map(|one| (*one, self.count(operation, one))).collect(),
        };

        let fault = self.plan.rules.iter().filter(|rule| rule.target.covers(operation)).find_map(|rule| {
            let fires = match &rule.when {
                When::Share(share) => {
                    let (kind, nth) = (rule.fault.to_string(), nth_together.to_string());
                    dice::fraction(self.seed, &[operation.name(), &kind, &together, &nth]) < *share
                }
                When::Nth(numbers) => numbers.contains(&arrived),
                When::Lead { email, nth } => {
                    nth_each.get(email.as_str()).is_some_and(|seen| nth.is_none_or(|nth| nth == *seen))
                }
            };
            fires.then_some(rule.fault)
        })?;
        *self.fired.entry(format!("{operation}:{fault}")).or_default() += 1;
        Some(fault)
    }

    fn count(&mut self, operation: Operation, identity: &str) -> u32 {
        // Not under the seed: a hash that never changes may serve as the key.
        let seen = self.seen.entry(dice::roll(0, &[operation.name(), identity])).or_default();
        *seen += 1;
        *seen
    }
}
