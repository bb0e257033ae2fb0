//! The sandbox in numbers, for programs and for people.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::foreground::Or;
use super::limits::LimitTotals;
use super::live_data;
use super::operation::{Api, Operation};
use super::refresh::RefreshTotals;

/// The sandbox in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub requests: u64,
    /// Requests by operation.
    pub operations: BTreeMap<String, u64>,
    /// Leads created.
    pub created: u64,
    /// Creates for leads that were there already.
    pub repeated_creates: u64,
    pub updated: u64,
    /// Creates that came again under their `Idempotency-Key`.
    pub replayed: u64,
    /// Leads created, by service; only those that have any.
    pub created_at: BTreeMap<String, u64>,
    /// What came of refresh tokens, by service.
    pub refreshes: BTreeMap<String, RefreshTotals>,
    /// Unique people that Live Data returned: its credits.
    pub credits_used: u64,
    /// Faults that were injected, as `create:reset-after`.
    pub faults: BTreeMap<String, u64>,
    /// What the rate limiter saw, by service.
    pub limits: BTreeMap<String, LimitTotals>,
}

impl Totals {
    /// Requests above a limit, over all services.
    pub fn violations(&self) -> u64 {
        self.limits.values().map(|limit| limit.violations).sum()
    }

    /// Spent refresh tokens that came again, over all services.
    pub fn refresh_replays(&self) -> u64 {
        self.refreshes.values().map(|refresh| refresh.replays).sum()
    }
}

/// The closing summary: some lines for people.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sandbox: {} requests", self.requests)?;
        writeln!(
            f,
            "  {:<13}  {} created, {} creates for leads that were there already, {} updates, {} repeats by key",
            "leads", self.created, self.repeated_creates, self.updated, self.replayed
        )?;
        writeln!(f, "  {:<13}  {} people returned (credits)", live_data::API.title(), self.credits_used)?;
        // Of services that nobody called there is nothing to tell.
        for api in Api::all() {
            let called = Operation::all().filter(|operation| operation.api() == api);
            if called.filter_map(|operation| self.operations.get(operation.name())).sum::<u64>() == 0 {
                continue;
            }
            if let Some(created) = self.created_at.get(api.name()) {
                writeln!(f, "  {:<13}  {created} leads created", api.title())?;
            }
            if let Some(limit) = self.limits.get(api.name()) {
                writeln!(
                    f,
                    "  {:<13}  {} requests above the limit, at most {} in a window, {} during a pause",
                    api.title(),
                    limit.violations,
                    limit.peak,
                    limit.in_pause
                )?;
            }
            if let Some(refresh) = self.refreshes.get(api.name()) {
                let (rotations, replays) = (refresh.rotations, refresh.replays);
                writeln!(f, "  {:<13}  {rotations} refresh tokens used, {replays} that were spent", api.title())?;
            }
        }
        let faults: Vec<String> = self.faults.iter().map(|(fault, n)| format!("{fault} {n}")).collect();
        writeln!(f, "  {:<13}  {}", "faults", Or(&faults.join(", "), "none"))
    }
}
