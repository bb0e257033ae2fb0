//! What must fit together.

use std::collections::BTreeSet;
use std::time::Duration;

use super::build::{Merged, Values};
use super::lookup;
use super::origins::Origin;
use super::problem::{Place, Problem};
use super::schema;
use super::settings::*;
use super::values::format_duration;
use crate::connectors::registry;

/// Far more than anybody has; they are compared with each other.
const MOST_DESTINATIONS: usize = 100;

/// What each table must say for itself: its `kind`, and names that mean something.
pub(super) fn tables(values: &Values, merged: &Merged, problems: &mut Vec<Problem>) {
    if values.has_enrich {
        problems.extend(missing_kind("enrich", schema::ENRICH_KINDS, "", merged));
    }
    if values.destinations.len() > MOST_DESTINATIONS {
        let found = values.destinations.len();
        problems
            .push(Problem::general(format!("{found} destinations are named; expected at most {MOST_DESTINATIONS}")));
        return;
    }
    for name in &values.destinations {
        let others = values.destinations.iter().filter(|other| *other != name).map(String::as_str);
        let near = lookup::nearest(name, others).map(|near| format!("; did you mean the destination `{near}`?"));
        let table = format!("destinations.{name}");
        problems.extend(missing_kind(&table, registry::NAMES, &near.unwrap_or_default(), merged));
        let kind = values.text(&format!("{table}.kind"));
        fields(&table, kind.as_deref().and_then(registry::kind), merged, problems);
    }
}

fn missing_kind(table: &str, kinds: &[&str], hint: &str, merged: &Merged) -> Option<Problem> {
    let path = format!("{table}.kind");
    if merged.items.contains_key(&path) {
        return None;
    }
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("\"{kind}\"")).collect();
    let why = merged.unset.get(&path).map(|unset| format!(" ({})", unset.why)).unwrap_or_default();
    let message = format!("`{path}` is not set{why}; expected {}{hint}", kinds.join(" or "));
    Some(Problem { place: place_of_table(table, merged), message })
}

/// Where a table is opened, or else something in it stands.
fn place_of_table(table: &str, merged: &Merged) -> Option<Place> {
    let prefix = format!("{table}.");
    let items = merged.items.iter().map(|(path, item)| (path, &item.place));
    let unset = merged.unset.iter().map(|(path, unset)| (path, &unset.place));
    let inside = || items.chain(unset).find(|(path, _)| path.starts_with(&prefix)).map(|(_, place)| place.clone());
    merged.tables.get(table).cloned().or_else(inside)
}

/// Body fields are free, but two mistakes are certain: a setting that slid below `[….fields]`, and a documented field in
/// the wrong case, which the API would ignore.
fn fields(table: &str, kind: Option<&registry::DestinationKind>, merged: &Merged, problems: &mut Vec<Problem>) {
    let prefix = format!("{table}.fields.");
    // What is a setting of another kind may well be a field of this one's API.
    let settings = lookup::names_below_for(&table.split('.').collect::<Vec<_>>(), kind.map(|kind| kind.name));
    for (path, item) in &merged.items {
        let Some(name) = path.strip_prefix(&prefix) else { continue };
        if settings.iter().any(|setting| setting == name) {
            let message = format!("`{path}` is a setting of [{table}]; move it above [{table}.fields]");
            problems.push(Problem::at(&item.place, message));
            continue;
        }
        let documented = kind.map_or(&[][..], |kind| kind.fields);
        let meant = documented.iter().find(|known| known.eq_ignore_ascii_case(name) && **known != name);
        if let Some(meant) = meant {
            let message = format!("`{path}` is not spelt as the API does; did you mean `{meant}`?");
            problems.push(Problem::at(&item.place, message));
        }
    }
}

/// What must fit together across keys. Also makes the only destination the default one.
pub(super) fn across(settings: &mut Settings, failed: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    leases(settings, failed, problems);
    intervals(settings, failed, problems);
    logins(settings, problems);
    default_destination(settings, problems);
}

/// Right before a request is written, the rest of the lease must outlast it. A lease is renewed several times within its
/// term; what a worker can count on is the term less one such interval.
fn leases(settings: &Settings, failed: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    for (name, destination) in &settings.destinations {
        let timeout = destination.section.timeout();
        let key = format!("destinations.{name}.timeout");
        let needed = (timeout + SEND_MARGIN) * HEARTBEATS_PER_LEASE / (HEARTBEATS_PER_LEASE - 1);
        if settings.run.lease >= needed || failed.contains("run.lease") || failed.contains(&key) {
            continue;
        }
        let message = format!(
            "`run.lease` ({}) is too short for `{key}` ({}): another worker could take a lead whose request is still under \
             way; expected a lease of {} or more, which is one and a half times the sum of the timeout and 2s, or a shorter timeout",
            format_duration(settings.run.lease),
            format_duration(timeout),
            format_duration(Duration::from_secs(needed.as_millis().div_ceil(1_000) as u64)),
        );
        let place = settings.origins.place("run.lease").or_else(|| settings.origins.place(&key));
        problems.push(Problem { place: place.cloned(), message });
    }
}

fn intervals(settings: &Settings, failed: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    let retry = &settings.retry;
    let keys = ["retry.initial_interval", "retry.max_interval"];
    if retry.initial_interval <= retry.max_interval || keys.iter().any(|key| failed.contains(*key)) {
        return;
    }
    let message = format!(
        "`retry.initial_interval` ({}) is longer than `retry.max_interval` ({}); expected the first pause to be the shorter one",
        format_duration(retry.initial_interval),
        format_duration(retry.max_interval),
    );
    let place = keys.iter().find_map(|key| settings.origins.place(key));
    problems.push(Problem { place: place.cloned(), message });
}

/// Two ways to log in would leave open which one is used.
fn logins(settings: &Settings, problems: &mut Vec<Problem>) {
    let Some(EnrichKind::LiveData(live_data)) = settings.enrich.as_ref().map(|enrich| &enrich.kind) else { return };
    let ways = [
        ("enrich.client_secret", live_data.client_secret.is_some()),
        ("enrich.api_key", live_data.api_key.is_some()),
        ("enrich.password", live_data.password.is_some()),
    ];
    let given: Vec<&str> = ways.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect();
    if let [.., last] = given.as_slice()
        && given.len() > 1
    {
        let message = format!("`{}` are all set, each another way to log in; keep one of them", given.join("`, `"));
        problems.push(Problem { place: settings.origins.place(last).cloned(), message });
    }
}

fn default_destination(settings: &mut Settings, problems: &mut Vec<Problem>) {
    let defaults: Vec<String> = settings
        .destinations
        .iter()
        .filter(|(_, destination)| destination.default)
        .map(|(name, _)| name.clone())
        .collect();
    let key_of = |name: &str| format!("destinations.{name}.default");
    let names =
        || settings.destinations.keys().map(|name| format!("[destinations.{name}]")).collect::<Vec<_>>().join(", ");
    match (settings.destinations.len(), defaults.as_slice()) {
        (0, _) | (_, [_]) => {}
        (1, _) => {
            let Some((name, destination)) = settings.destinations.iter_mut().next() else { return };
            let key = key_of(name);
            if let Some(place) = settings.origins.place(&key) {
                let message = format!("`{key}` is false, but leads have nowhere else to go; remove it");
                problems.push(Problem::at(place, message));
            }
            destination.default = true;
            for effective in settings.origins.effective.iter_mut().filter(|effective| effective.key == key) {
                "true".clone_into(&mut effective.value);
                effective.origin = Origin::Implied("the only destination");
            }
        }
        (_, []) => problems.push(Problem::general(format!(
            "none of the destinations is the default, so leads that name none have nowhere to go; add `default = true` to one of {}",
            names()
        ))),
        (_, [.., last]) => {
            let place = settings.origins.place(&key_of(last)).cloned();
            let message = format!("destinations {} all have `default = true`; keep it at one of them", defaults.join(", "));
            problems.push(Problem { place, message });
        }
    }
}
