//! Several destinations in one run: each at its own pace, none held up by another.

use std::time::Duration;

use leadsync::http::message::Rate;
use leadsync::sandbox::{Api, LEAD_BANK, LEAD_CONNECTOR, LEAD_DESK, PLAIN_CRM};

use crate::bench::{Bench, email};
use crate::support::database::Kind;
use crate::systems::rows;

journeys![
    a_slow_destination_holds_up_no_fast_one,
    a_destination_that_is_down_holds_up_no_other,
    a_destination_that_falls_ill_in_mid_run_holds_up_no_other,
    one_person_may_go_to_every_destination,
];

fn a_second(count: u32) -> Option<Rate> {
    Some(Rate { count, per: Duration::from_secs(1) })
}

/// Loads these leads for a destination.
async fn queue(bench: &Bench, destination: &str, numbers: impl IntoIterator<Item = usize>) {
    let name = format!("{destination}.csv");
    bench.file(&name, rows(numbers));
    bench.leadsync(&["import", "--queue-only", "--destination", destination, &name]).await.ends(0);
}

/// When a service's leads were created, in order.
fn created_ms(bench: &Bench, api: Api) -> Vec<i64> {
    bench.sandbox.ledger().leads_of(api).into_iter().map(|lead| lead.created_at_ms).collect()
}

async fn a_slow_destination_holds_up_no_fast_one(kind: Kind) {
    let bench = Bench::with(kind, |options| {
        options.lead_connector.rate = a_second(2);
        options.plain_crm.rate = a_second(50);
    })
    .await;
    bench.instead("crm");
    bench.also("plain");
    queue(&bench, "crm", 1..=12).await;
    queue(&bench, "plain", 101..=220).await;
    bench.run().await.ends(0);
    bench.has_exactly((1..=12).chain(101..=220));
    bench.agrees_by_sql();
    let totals = bench.sandbox.totals();
    assert_eq!(totals.violations(), 0, "{totals:?}");
    assert_eq!(totals.limits["lead_connector"].peak, 2, "{totals:?}");
    let (slow, fast) = (created_ms(&bench, LEAD_CONNECTOR), created_ms(&bench, PLAIN_CRM));
    assert_eq!((slow.len(), fast.len()), (12, 120));
    assert!(fast.last() < slow.last(), "the fast one ended {:?}, the slow one {:?}", fast.last(), slow.last());
    assert!(slow.first() < fast.last(), "they were at work at the same time");
    assert_eq!(bench.number("SELECT sum(deferrals) FROM leads"), 0, "nobody was told to wait");
    bench.nothing_is_leased();
}

async fn a_destination_that_is_down_holds_up_no_other(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.instead("crm");
    bench.also("calls");
    let right = bench.get("destinations.crm.base_url");
    bench.set("destinations.crm.base_url", "http://127.0.0.1:9");
    queue(&bench, "crm", 1..=5).await;
    queue(&bench, "calls", 11..=20).await;
    bench.run().await.ends(4).says("crm");
    bench.has_exactly(11..=20);
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads WHERE destination = 'crm'"), 0);
    bench.set("destinations.crm.base_url", right);
    bench.run().await.ends(0);
    bench.has_exactly((1..=5).chain(11..=20));
    bench.agrees_by_sql();
    bench.nothing_is_leased();
}

async fn a_destination_that_falls_ill_in_mid_run_holds_up_no_other(kind: Kind) {
    let bench = Bench::with(kind, |options| options.plain_crm.rate = a_second(50)).await;
    bench.instead("crm");
    bench.also("plain");
    queue(&bench, "crm", 1..=30).await;
    queue(&bench, "plain", 101..=140).await;
    // The check is still answered.
    bench.faults("lc_upsert:503=100%,lc_search:503=#2+3+4+5+6+7+8+9+10+11+12+13+14+15+16+17+18+19+20");
    bench.run().await.ends(4).says("10 failures in a row");
    bench.has_exactly(101..=140);
    bench.faults("");
    bench.run().await.ends(0);
    bench.has_exactly((1..=30).chain(101..=140));
    bench.agrees_by_sql();
    bench.nothing_is_leased();
}

async fn one_person_may_go_to_every_destination(kind: Kind) {
    let bench = Bench::new(kind).await;
    let others = ["crm", "calls", "bank", "plain"];
    for name in others {
        bench.also(name);
    }
    bench.file("leads.csv", rows(1..=4));
    let all: Vec<&str> = ["7targets"].iter().chain(&others).flat_map(|name| ["--destination", *name]).collect();
    bench.leadsync(&[&["import", "leads.csv"], all.as_slice()].concat()).await.ends(0);
    for api in [LEAD_CONNECTOR, LEAD_DESK, LEAD_BANK, PLAIN_CRM] {
        let there: Vec<String> = bench.sandbox.ledger().leads_of(api).into_iter().map(|lead| lead.email).collect();
        let mut there: Vec<&str> = there.iter().map(String::as_str).collect();
        there.sort_unstable();
        let expected: Vec<String> = (1..=4).map(email).collect();
        assert_eq!(there, expected, "{api}");
    }
    assert_eq!(bench.leads().len(), 20);
    bench.agrees_by_sql();
}
