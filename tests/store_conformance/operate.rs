//! What people decide.

use leadsync::lead::{Event, LeadId, LeadState};
use leadsync::store::{LeadFilter, Operation, Step};

use crate::bench::{Bench, NOW, accept, applied, event, later, prepare, refuse, send};

cases![
    retry_puts_back_what_ended_undelivered_with_counters_at_zero,
    retry_leaves_everything_else_alone,
    retried_leads_are_counted_anew,
    resolve_settles_what_is_unconfirmed_and_nothing_else,
    what_a_worker_holds_is_left_alone,
    more_leads_than_a_page_are_operated_on,
];

fn ids(ids: &[LeadId]) -> LeadFilter {
    LeadFilter { ids: ids.to_vec(), ..LeadFilter::default() }
}

async fn retry_puts_back_what_ended_undelivered_with_counters_at_zero(bench: Bench) {
    let leads = bench.leased(&["a@x.org", "b@x.org", "c@x.org"]).await;
    let worn = Step { add_attempts: 3, add_deferrals: 2, add_probes: 1, ..Step::of(&leads[0]) };
    bench.steps(&[prepare(&leads[0], "a"), send(&leads[0]), worn, refuse(&leads[0])]).await;
    bench.steps(&[event(&leads[1], Event::GaveUp), event(&leads[2], Event::SetAside)]).await;

    let which = LeadFilter {
        states: vec![LeadState::Rejected, LeadState::Exhausted, LeadState::Skipped],
        ..LeadFilter::default()
    };
    let changed = bench.operate(&which, &Operation::Retry, later(7)).await.unwrap();
    assert_eq!(changed, leads.iter().map(|lead| lead.id).collect::<Vec<_>>());
    let record = bench.record(leads[0].id).await;
    assert_eq!((record.state, record.attempts, record.deferrals), (LeadState::Received, 0, 0));
    assert_eq!((record.reason, record.finished_at, record.prepared, record.run), (None, None, None, None));
    assert_eq!((record.sent_at, record.enriched, record.not_before), (None, None, later(7)));
    assert_eq!(bench.lease(&bench.ask(10), later(7)).await.unwrap().len(), 3);
    assert!(bench.operate(&which, &Operation::Retry, later(8)).await.unwrap().is_empty());
}

async fn retry_leaves_everything_else_alone(bench: Bench) {
    let leads = bench.leased(&["a@x.org", "b@x.org"]).await;
    bench.steps(&[prepare(&leads[0], "a"), send(&leads[0]), accept(&leads[0], "r")]).await;
    bench.steps(&[prepare(&leads[1], "b"), send(&leads[1]), event(&leads[1], Event::GaveUp)]).await;
    let changed = bench.operate(&LeadFilter::default(), &Operation::Retry, NOW).await.unwrap();
    assert!(changed.is_empty(), "{changed:?}");
    assert_eq!(bench.state(leads[1].id).await, LeadState::Unconfirmed);
}

async fn retried_leads_are_counted_anew(bench: Bench) {
    let lead = bench.one().await;
    bench.step(refuse(&lead)).await;
    bench.operate(&ids(&[lead.id]), &Operation::Retry, NOW).await.unwrap();
    let again = bench.lease(&bench.ask(1), NOW).await.unwrap().remove(0);
    assert!(again.first_in_run);
    bench.step(refuse(&again)).await;
    let counts = bench.counts().await;
    assert_eq!((counts.taken, counts.rejected), (2, 2));
}

async fn resolve_settles_what_is_unconfirmed_and_nothing_else(bench: Bench) {
    let leads = bench.leased(&["a@x.org", "b@x.org", "c@x.org"]).await;
    for lead in &leads[..2] {
        let name = lead.id.to_string();
        bench.steps(&[prepare(lead, &name), send(lead), event(lead, Event::GaveUp)]).await;
    }
    bench.step(refuse(&leads[2])).await;
    let all = ids(&[leads[0].id, leads[2].id]);
    let delivered = Operation::ResolveDelivered { remote_id: Some("r-5".to_owned()) };
    assert_eq!(bench.operate(&all, &delivered, later(1)).await.unwrap(), [leads[0].id]);
    let record = bench.record(leads[0].id).await;
    assert_eq!((record.state, record.remote_id.as_deref()), (LeadState::Delivered, Some("r-5")));
    assert_eq!(record.reason.as_deref(), Some("resolved by hand: delivered"));

    let absent = bench.operate(&LeadFilter::default(), &Operation::ResolveAbsent, later(2)).await.unwrap();
    assert_eq!(absent, [leads[1].id]);
    let record = bench.record(leads[1].id).await;
    assert_eq!((record.state, record.finished_at, record.not_before), (LeadState::Ready, None, later(2)));
    let again = bench.lease(&bench.ask(10), later(2)).await.unwrap().remove(0);
    assert!(again.prepared.is_some());
    assert_eq!(bench.step(send(&again)).await, applied(LeadState::Sending));
}

async fn what_a_worker_holds_is_left_alone(bench: Bench) {
    let lead = bench.one().await;
    // Only a foreign hand makes a leased lead final.
    bench.database.sql("UPDATE leads SET state = 'rejected'");
    assert!(bench.operate(&ids(&[lead.id]), &Operation::Retry, NOW).await.unwrap().is_empty());
    assert_eq!(bench.operate(&ids(&[lead.id]), &Operation::Retry, later(60_000)).await.unwrap(), [lead.id]);
    assert_eq!(bench.step(prepare(&lead, "a")).await, leadsync::store::StepOutcome::LeaseLost);
}

async fn more_leads_than_a_page_are_operated_on(bench: Bench) {
    bench.database.sql(
        "INSERT INTO leads (email, state)
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 4500)
         SELECT 'a' || n || '@example.com', 'exhausted' FROM n;",
    );
    let changed = bench.operate(&LeadFilter::default(), &Operation::Retry, NOW).await.unwrap();
    assert_eq!(changed.len(), 4_500);
    assert_eq!(bench.waiting(None, NOW).await.unwrap()[0].due, 4_500);
}
