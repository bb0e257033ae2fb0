//! What must hold afterwards, whatever happened.

use std::collections::BTreeMap;

use leadsync::sandbox::{EffectKind, LedgerLead};
use serde_json::Value;

use crate::bench::email;
use crate::plan::{Place, Plan, Policy};
use crate::world::{World, person_of, place_of};

fn state(lead: &Value) -> &str {
    lead["state"].as_str().unwrap()
}

fn reason(lead: &Value) -> &str {
    lead["reason"].as_str().unwrap_or_default()
}

/// Holds as soon as nothing is left to be done.
pub fn holds(world: &World, leads: &[Value]) {
    let plan = &world.plan;
    assert!(leads.len() >= plan.rows.len(), "{} rows of {} are there", leads.len(), plan.rows.len());
    for lead in leads {
        let state = state(lead);
        let is_final = ["delivered", "rejected", "exhausted", "unconfirmed", "skipped"].contains(&state);
        assert!(is_final, "not at its end: {lead}");
        assert!(state == "delivered" || !reason(lead).is_empty(), "without a reason: {lead}");
        let attempts = lead["attempts"].as_i64().unwrap();
        assert!((0..=plan.max_attempts).contains(&attempts), "more attempts than allowed: {lead}");
        if state == "exhausted" {
            assert_eq!(attempts, plan.max_attempts, "exhausted before its attempts were: {lead}");
        }
    }
    world.bench.nothing_is_leased();
    assert_eq!(world.bench.number("SELECT count(*) FROM runs WHERE exit_code = 1"), 0);
    let counted = world.bench.number("SELECT coalesce(sum(delivered), 0) FROM runs");
    let delivered = leads.iter().filter(|lead| state(lead) == "delivered").count();
    assert!(counted <= i64::try_from(delivered).unwrap(), "{counted} deliveries counted, {delivered} are there");

    created_once(world);
    let groups = groups(plan, leads);
    for place in Place::BOTH {
        let mut known: Vec<_> =
            groups.iter().filter(|((at, _), _)| *at == place).map(|((_, n), _)| email(*n)).collect();
        known.sort();
        for there in world.ledger(place) {
            assert!(known.binary_search(&there.email).is_ok(), "nobody's lead is there: {}", there.email);
        }
    }
    for ((place, person), rows) in &groups {
        agrees(plan, rows, world.sandbox(*place).ledger().lead(&email(*person)));
    }
}

/// The rows about one person for one place.
type Groups<'a> = BTreeMap<(Place, usize), Vec<&'a Value>>;

/// Every row that can't be sent was refused; the others by person and place.
fn groups<'a>(plan: &Plan, leads: &'a [Value]) -> Groups<'a> {
    let flawless = |person: usize| plan.rows.iter().any(|(_, row)| row.person == person && row.flaw.is_none());
    let mut groups: BTreeMap<_, Vec<&Value>> = BTreeMap::new();
    for lead in leads {
        match person_of(lead).filter(|person| flawless(*person)) {
            Some(person) => groups.entry((place_of(lead), person)).or_default().push(lead),
            None => assert_eq!(state(lead), "rejected", "{lead}"),
        }
    }
    for (_, row) in plan.rows.iter().filter(|(_, row)| row.flaw.is_none()) {
        assert!(groups.contains_key(&(row.to, row.person)), "lost: person {} for {:?}", row.person, row.to);
    }
    groups
}

/// The database says of a person what the place has.
fn agrees(plan: &Plan, rows: &[&Value], there: Option<LedgerLead>) {
    let in_state = |states: &[&str]| rows.iter().filter(|lead| states.contains(&state(lead))).count();
    let holders = in_state(&["delivered", "unconfirmed"]);
    assert!(holders <= 1, "two leads for one person: {rows:?}");
    if in_state(&["skipped"]) > 0 {
        assert_eq!(holders, 1, "skipped for a lead that is not sent: {rows:?}");
    }
    for lead in rows.iter().filter(|lead| state(lead) == "skipped") {
        assert!(reason(lead).contains("duplicate"), "{lead}");
    }
    for lead in rows.iter().filter(|lead| state(lead) == "rejected") {
        assert!(reason(lead).to_lowercase().contains("unprocessable"), "{lead}");
    }
    match there {
        Some(there) => {
            assert_eq!(holders, 1, "it is there, and the database does not say so: {rows:?}");
            let delivered = rows.iter().find(|lead| state(lead) == "delivered");
            if let Some(lead) = delivered {
                match lead["remote_id"].as_str() {
                    Some(id) => assert_eq!(id, there.id.to_string(), "{lead}"),
                    // A conflict names no number.
                    None => assert!(reason(lead).contains("already there"), "{lead}"),
                }
            }
        }
        None => assert_eq!(in_state(&["delivered"]), 0, "said to be delivered, and it is not there: {rows:?}"),
    }
    if plan.policy != Policy::Update {
        // Nobody is asked, so nothing is proven absent.
        assert_eq!(in_state(&["exhausted"]), 0, "{rows:?}");
    }
}

/// Nothing was created twice; where a repeat is allowed, it followed an outcome that was unknown.
fn created_once(world: &World) {
    let plan = &world.plan;
    for place in Place::BOTH {
        let effects = world.sandbox(place).ledger().effects();
        for there in world.ledger(place) {
            assert_eq!(there.creates, 1, "created twice: {}", there.email);
            if there.repeated_creates == 0 {
                continue;
            }
            assert_eq!(plan.policy, Policy::Retry, "asked for twice: {}", there.email);
            let mut creates = effects.iter().filter(|effect| {
                effect.email == there.email && matches!(effect.effect, EffectKind::Created | EffectKind::Repeated)
            });
            // All but the last have a fault that spoilt the reply.
            let last = creates.next_back();
            let spoilt = creates.all(|effect| effect.fault.is_some());
            assert!(spoilt || plan.disturbs_workers(), "repeated after a clear answer ({last:?}): {}", there.email);
        }
    }
}

/// Holds after a person has settled what was left: everyone is there.
pub fn is_complete(world: &World, leads: &[Value]) {
    holds(world, leads);
    for ((place, person), rows) in groups(&world.plan, leads) {
        let delivered = rows.iter().filter(|lead| state(lead) == "delivered").count();
        assert_eq!(delivered, 1, "person {person} for {place:?}: {rows:?}");
        assert!(world.sandbox(place).ledger().lead(&email(person)).is_some());
    }
}
