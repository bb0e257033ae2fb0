//! The life cycle of a lead: one pure function says what may become of what.
//!
//! ```text
//!                     Prepared            SendStarted             Accepted
//!     received ───────────────▶ ready ───────────────▶ sending ───────────────▶ delivered
//!      │  ▲ │                   │ │  ◀─── ProvenAbsent ──┘ │ │
//!      │  │ └─ Refused ─▶ rejected◀┴────── Refused ────────┘ └─ GaveUp ─▶ unconfirmed
//!      │  └─── Retried ──────── rejected, exhausted, skipped               │
//!      ├─ SetAside ─▶ skipped                  delivered ◀─ Accepted ──────┤
//!      └─ GaveUp ───▶ exhausted                    ready ◀─ ResolvedAbsent ┘
//! ```
//!
//! The state says what is known to be true. *When to try again* is scheduling and lives in columns (`not_before_ms`,
//! `attempts`, `deferrals`, the lease). `Sending` is stored before the request leaves: found on a fresh lease it means
//! "unknown, look before creating". A lost reply is no event; the lead stays `Sending`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a lead stands. The names in the database (`leads.state`) are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadState {
    /// In the queue, not yet normalised and looked up. Any program puts leads here with plain SQL.
    Received,
    /// Normalised, claimed for its destination, looked up (no match is an answer too).
    Ready,
    /// The intent to create it is durable; the request may have left.
    Sending,
    /// The destination has it. Final.
    Delivered,
    /// Invalid, or refused for good. `retry` puts it back.
    Rejected,
    /// Certainly not delivered, and the attempts are used up. `retry` puts it back.
    Exhausted,
    /// It may exist remotely and nothing could tell. A person settles it with `resolve`.
    Unconfirmed,
    /// Deliberately not sent: a duplicate, suppressed or filtered. `retry` puts it back.
    Skipped,
}

/// What happened to a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Normalised, looked up, and the claim on its identity was won.
    Prepared,
    /// A duplicate of another lead, suppressed, or filtered out.
    SetAside,
    /// The intent is stored; the request may leave from now on.
    SendStarted,
    /// The destination has it, by its own word. Counts even when it comes late.
    Accepted,
    /// Certainly not processed: refused before work began, searched for and not there, or a repeat is allowed by policy.
    ProvenAbsent,
    /// Invalid, or refused for good.
    Refused,
    /// Attempts used up: the end of trying, not of knowing.
    GaveUp,
    /// A person says that an unconfirmed lead is not there.
    ResolvedAbsent,
    /// Put back by `retry`, or because the lead it duplicated turned out unusable.
    Retried,
}

/// A move that the life cycle does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lead that is {from} cannot take the event {event:?}")]
pub struct IllegalMove {
    /// The state it was in.
    pub from: LeadState,
    /// What was said to have happened.
    pub event: Event,
}

impl LeadState {
    /// Every state, in the order in which a lead passes them.
    pub const ALL: [Self; 8] = [
        Self::Received,
        Self::Ready,
        Self::Sending,
        Self::Delivered,
        Self::Rejected,
        Self::Exhausted,
        Self::Unconfirmed,
        Self::Skipped,
    ];

    /// The state after `event`.
    ///
    /// # Errors
    /// [`IllegalMove`] if the life cycle has no such move. `Sending` + `Refused` is the destination's final word; a known
    /// delivery is never forgotten, so nothing leads out of `Delivered`.
    pub fn next(self, event: Event) -> Result<Self, IllegalMove> {
        use {Event as E, LeadState as S};
        Ok(match (self, event) {
            (S::Received, E::Prepared) => S::Ready,
            (S::Received | S::Ready, E::SetAside) => S::Skipped,
            (S::Ready, E::SendStarted) => S::Sending,
            (S::Sending, E::ProvenAbsent) => S::Ready,
            (S::Received | S::Ready | S::Sending, E::Refused) => S::Rejected,
            (S::Received | S::Ready, E::GaveUp) => S::Exhausted,
            (S::Sending, E::GaveUp) => S::Unconfirmed,
            (S::Unconfirmed, E::ResolvedAbsent) => S::Ready,
            (S::Rejected | S::Exhausted | S::Skipped, E::Retried) => S::Received,
            (from, E::Accepted) if from != S::Delivered => S::Delivered,
            (from, event) => return Err(IllegalMove { from, event }),
        })
    }

    /// Nothing more happens to it unless a person says so.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Received | Self::Ready | Self::Sending)
    }

    /// Whether a lead in this state holds the claim on its identity at its destination.
    pub fn holds_claim(self) -> bool {
        matches!(self, Self::Ready | Self::Sending | Self::Delivered | Self::Unconfirmed)
    }

    /// The name in the database and in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Ready => "ready",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Exhausted => "exhausted",
            Self::Unconfirmed => "unconfirmed",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for LeadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no state's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no state of a lead (one of received, ready, sending, delivered, rejected, exhausted, unconfirmed, skipped)"
)]
pub struct UnknownState(pub String);

impl FromStr for LeadState {
    type Err = UnknownState;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == s).ok_or_else(|| UnknownState(s.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVENTS: [Event; 9] = [
        Event::Prepared,
        Event::SetAside,
        Event::SendStarted,
        Event::Accepted,
        Event::ProvenAbsent,
        Event::Refused,
        Event::GaveUp,
        Event::ResolvedAbsent,
        Event::Retried,
    ];

    fn any_events() -> impl Strategy<Value = Vec<Event>> {
        prop::collection::vec(prop::sample::select(EVENTS.to_vec()), 0..40)
    }

    #[test]
    fn every_legal_move_is_listed_and_no_other() {
        let mut moves = String::new();
        for from in LeadState::ALL {
            for event in EVENTS {
                if let Ok(to) = from.next(event) {
                    moves.push_str(&format!("{from} + {event:?} -> {to}\n"));
                }
            }
        }
        insta::assert_snapshot!(moves, @r"
        received + Prepared -> ready
        received + SetAside -> skipped
        received + Accepted -> delivered
        received + Refused -> rejected
        received + GaveUp -> exhausted
        ready + SetAside -> skipped
        ready + SendStarted -> sending
        ready + Accepted -> delivered
        ready + Refused -> rejected
        ready + GaveUp -> exhausted
        sending + Accepted -> delivered
        sending + ProvenAbsent -> ready
        sending + Refused -> rejected
        sending + GaveUp -> unconfirmed
        rejected + Accepted -> delivered
        rejected + Retried -> received
        exhausted + Accepted -> delivered
        exhausted + Retried -> received
        unconfirmed + Accepted -> delivered
        unconfirmed + ResolvedAbsent -> ready
        skipped + Accepted -> delivered
        skipped + Retried -> received
        ");
    }

    proptest! {
        #[test]
        fn a_known_delivery_is_never_forgotten(events in any_events()) {
            let mut state = LeadState::Received;
            let mut delivered = false;
            for event in events {
                match state.next(event) {
                    Ok(next) => state = next,
                    Err(refused) => prop_assert_eq!(refused, IllegalMove { from: state, event }),
                }
                delivered |= event == Event::Accepted;
                prop_assert_eq!(delivered, state == LeadState::Delivered);
            }
        }

        #[test]
        fn a_request_leaves_only_through_sending_and_what_is_unknown_never_ends_as_exhausted(events in any_events()) {
            let mut state = LeadState::Received;
            for event in events {
                let before = state;
                if let Ok(next) = state.next(event) {
                    if next == LeadState::Sending { prop_assert_eq!(before, LeadState::Ready); }
                    if next == LeadState::Exhausted { prop_assert!(matches!(before, LeadState::Received | LeadState::Ready)); }
                    if before == LeadState::Unconfirmed { prop_assert!(matches!(event, Event::Accepted | Event::ResolvedAbsent)); }
                    state = next;
                }
            }
        }
    }

    #[test]
    fn names_read_back_as_the_state_they_name() {
        for state in LeadState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
