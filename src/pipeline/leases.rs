//! The leads this worker holds, and the heartbeat that keeps them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Moment, Timestamp};
use crate::config::HEARTBEATS_PER_LEASE;
use crate::lead::LeadId;
use crate::store::{LeaseToken, Leased, Store, StoreError};

/// Which leads are held and until when, by the database's clock.
#[derive(Debug)]
pub struct Leases {
    held: Mutex<HashMap<LeadId, Held>>,
    term: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    token: LeaseToken,
    expires: Timestamp,
    /// The same by this process's own time, counted from before the database was asked: a clock that is set back (the
    /// database's, or this machine's) makes no lease last longer here than it does for the others, and neither does the
    /// sleep of this machine.
    asked: Moment,
}

impl Leases {
    /// None yet; each lasts `term` unless renewed.
    pub fn new(term: Duration) -> Self {
        Self { held: Mutex::default(), term }
    }

    /// How long a lease lasts.
    pub fn term(&self) -> Duration {
        self.term
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<LeadId, Held>> {
        // A panic while holding the lock leaves a whole map behind: inserts and removals are single steps.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a new lease that was asked for at this moment.
    pub fn add(&self, lease: &Leased, asked: Moment) {
        let held = Held { token: lease.token, expires: lease.expires, asked };
        self.held().insert(lease.id, held);
    }

    /// Forgets a lease that was given up (unless the lead has been leased anew since).
    pub fn remove(&self, lead: LeadId, token: LeaseToken) {
        let mut held = self.held();
        if held.get(&lead).is_some_and(|it| it.token == token) {
            held.remove(&lead);
        }
    }

    /// What is left of this lease; zero if it is lost.
    pub fn left(&self, lead: LeadId, token: LeaseToken, now: Timestamp) -> Duration {
        let left = |it: &Held| now.until(it.expires).min(self.term.saturating_sub(it.asked.elapsed()));
        self.held().get(&lead).filter(|it| it.token == token).map_or(Duration::ZERO, left)
    }

    /// Renews what is held, three times per term, until `stop`. A heartbeat that fails extends nothing: sends stop by
    /// themselves as soon as the rest of a lease is too short ([`Leases::left`]).
    pub async fn heartbeat(self: Arc<Self>, store: Arc<dyn Store>, clock: Arc<dyn Clock>, stop: CancellationToken) {
        // The whole of it ends with the run: a database that does not answer must not hold that up.
        let _ = stop.run_until_cancelled(self.beat(&*store, &*clock)).await;
    }

    async fn beat(&self, store: &dyn Store, clock: &dyn Clock) {
        let mut failing = false;
        loop {
            tokio::time::sleep(self.term / HEARTBEATS_PER_LEASE).await;
            let held: Vec<_> = self.held().iter().map(|(lead, held)| (*lead, held.token)).collect();
            if held.is_empty() {
                continue;
            }
            let (asked, until) = (Moment::now(), clock.now().plus(self.term));
            let renewed = tokio::time::timeout(self.term / HEARTBEATS_PER_LEASE, store.renew(&held, until))
                .await
                .unwrap_or_else(|_| Err(StoreError::Unavailable { what: "it does not answer".to_owned() }));
            match renewed {
                Ok(renewed) => {
                    failing = false;
                    self.extend(&held, &renewed, until, asked);
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!("could not renew the leases of {} leads: {error}", held.len());
                }
                Err(_) => {}
            }
        }
    }

    fn extend(&self, held_then: &[(LeadId, LeaseToken)], renewed: &[LeadId], until: Timestamp, asked: Moment) {
        let renewed: std::collections::HashSet<_> = renewed.iter().collect();
        let mut held = self.held();
        for (lead, token) in held_then {
            match held.get_mut(lead) {
                Some(it) if it.token != *token => {}
                Some(it) if renewed.contains(lead) => (it.expires, it.asked) = (until, asked),
                // Taken over by another worker (or finished meanwhile): no more sends for it.
                Some(_) => drop(held.remove(lead)),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::AdjustedClock;
    use crate::lead::{LeadState, RawLead};

    const TERM: Duration = Duration::from_secs(60);

    fn lease(expires: Timestamp) -> Leased {
        Leased {
            id: LeadId(7),
            token: LeaseToken(11),
            expires,
            state: LeadState::Ready,
            raw: RawLead::default(),
            destination: "crm".to_owned(),
            origin: None,
            prepared: None,
            attempts: 0,
            deferrals: 0,
            probes: 0,
            remote_id: None,
            sent_at: None,
            first_in_run: true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_makes_no_lease_last_longer() {
        let clock = AdjustedClock::starting_at(Timestamp::from_ms(1_000_000));
        let leases = Leases::new(TERM);
        let lease = lease(clock.now().plus(TERM));
        leases.add(&lease, Moment::now());
        tokio::time::advance(Duration::from_secs(50)).await;
        clock.set(Timestamp::from_ms(0));
        assert!(leases.left(lease.id, lease.token, clock.now()) <= Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_forward_shortens_it_as_it_does_for_everyone() {
        let clock = AdjustedClock::starting_at(Timestamp::from_ms(1_000_000));
        let leases = Leases::new(TERM);
        let lease = lease(clock.now().plus(TERM));
        leases.add(&lease, Moment::now());
        clock.set(lease.expires);
        assert_eq!(leases.left(lease.id, lease.token, clock.now()), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_shortest_lease_that_the_configuration_takes_lets_requests_leave_until_it_is_renewed() {
        let of = |lease: &str| {
            let text = format!(
                "[run]\nlease = \"{lease}\"\n[destinations.crm]\nkind = \"seven_targets\"\ntimeout = \"30s\"\n"
            );
            crate::config::parse("leadsync.toml", &text, crate::config::Environment::default())
        };
        assert!(of("47s").is_err());
        let term = of("48s").unwrap().run.lease;
        let (leases, now) = (Leases::new(term), Timestamp::from_ms(1_000_000));
        let lease = lease(now.plus(term));
        leases.add(&lease, Moment::now());
        tokio::time::advance(term / HEARTBEATS_PER_LEASE).await;
        let left = leases.left(lease.id, lease.token, now.plus(term / HEARTBEATS_PER_LEASE));
        assert!(left >= Duration::from_secs(30) + crate::config::SEND_MARGIN, "{left:?}");
    }
}
