//! Rates and quotas.

use std::time::Duration;

use leadsync::http::message::Rate;

use crate::bench::{Bench, csv, email};
use crate::support::database::Kind;

journeys![
    a_rate_is_never_exceeded_and_well_used,
    the_days_limit_holds_over_runs,
    what_is_in_doubt_is_looked_into_although_the_days_creates_are_used_up,
    a_run_of_so_many_ends_when_the_days_creates_are_used_up_as_well,
];

async fn a_rate_is_never_exceeded_and_well_used(kind: Kind) {
    let rate = Rate { count: 20, per: Duration::from_secs(1) };
    let bench = Bench::with(kind, |options| options.seven_targets.rate = Some(rate)).await;
    bench.set("destinations.7targets.rate", "20/s");
    bench.import(&csv(1..=60)).await.ends(0);
    bench.has_exactly(1..=60);
    let totals = bench.sandbox.totals();
    assert_eq!(totals.violations(), 0, "{totals:?}");
    let peak = totals.limits["seven_targets"].peak;
    assert!((10..=20).contains(&peak), "{peak}");
    assert_eq!(bench.number("SELECT sum(deferrals) FROM leads"), 0, "nobody was told to wait");
}

async fn the_days_limit_holds_over_runs(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("destinations.7targets.daily_limit", 3);
    bench.import(&csv(1..=7)).await.ends(0).says("daily limit of 3 creates used up");
    assert_eq!(bench.leads().len(), 3);
    let status = bench.status().await;
    let destination = &status["destinations"]["7targets"];
    assert_eq!((&destination["used_today"], &destination["daily_limit"]), (&3.into(), &3.into()), "{status}");
    assert!(destination["paused_until"].as_str().unwrap().ends_with("T00:00:00Z"), "{status}");
    assert!(destination["paused_why"].as_str().unwrap().contains("daily limit"), "{status}");
    bench.run().await.ends(0);
    assert_eq!(bench.asked("create"), 3);
    let states = bench.states().await;
    assert_eq!(states["delivered"], 3, "{states:?}");
    assert_eq!(states.values().sum::<usize>(), 7, "{states:?}");
    bench.nothing_is_leased();
}

async fn what_is_in_doubt_is_looked_into_although_the_days_creates_are_used_up(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("destinations.7targets.daily_limit", 3);
    bench.set("destinations.7targets.concurrency", 1);
    bench.faults(&format!("create:reset-after={}#1", email(2)));
    bench.import(&csv(1..=9)).await.ends(0).says("daily limit of 3 creates used up");
    assert_eq!(bench.leads().len(), 3);
    bench.agrees().await;
    assert_eq!(bench.number("SELECT count(*) FROM leads WHERE state = 'sending'"), 0);
    bench.nothing_is_leased();
}

async fn a_run_of_so_many_ends_when_the_days_creates_are_used_up_as_well(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("destinations.7targets.daily_limit", 2);
    bench.set("destinations.7targets.concurrency", 1);
    bench.faults(&format!("create:reset-after={}#1", email(1)));
    bench.queue(&csv(1..=6)).await;
    // One in doubt, one there, one too many; nobody may be taken up again.
    bench.leadsync(&["run", "--limit", "3"]).await.ends(4);
    bench.run().await.ends(0);
    assert_eq!(bench.leads().len(), 2);
    bench.agrees().await;
    bench.nothing_is_leased();
}
