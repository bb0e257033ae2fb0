//! Coming in, being leased, being held.

use std::collections::BTreeSet;
use std::sync::Arc;

use leadsync::lead::{Event, LeadId, LeadState};
use leadsync::store::{Due, LeaseRequest, LeaseToken, NewLead, RunId, Step, StepOutcome};

use crate::bench::{Bench, DESTINATION, NOW, TERM, applied, event, later, new_lead, prepare, send};
use crate::support::database::Kind;

cases![
    queued_rows_are_leased_as_they_were_written,
    rejected_rows_are_finished_and_counted_but_never_leased,
    those_due_longest_come_first_and_the_rest_waits,
    a_lead_is_never_leased_twice_by_eight_concurrent_workers,
    a_lapsed_lease_is_taken_over_and_its_worker_changes_nothing,
    a_lapsed_lease_that_nobody_took_over_still_counts,
    renewing_extends_only_what_is_still_held,
    only_the_destination_asked_for_is_leased,
    leads_without_a_destination_go_to_the_default_one,
    an_import_can_lease_its_own_rows_only,
    a_lead_counts_as_taken_once_per_run,
    what_waits_is_told_by_destination,
    a_ready_lead_is_leased_with_what_was_prepared,
    leads_that_need_preparing_can_be_left_out,
    leads_in_doubt_can_be_taken_alone,
    leasing_uses_the_index_of_what_is_due,
];

async fn queued_rows_are_leased_as_they_were_written(bench: Bench) {
    let mut lead = new_lead(" Ann@Example.com ");
    lead.raw.note = Some("tab\t, quote \", backslash \\u0000, emoji 🙂, line\nbreak".to_owned());
    lead.raw.custom_fields = Some(r#"{"a": [1, null]}"#.to_owned());
    bench.enqueue(bench.run, std::slice::from_ref(&lead), NOW).await.unwrap();

    let leased = bench.lease(&bench.ask(10), later(5)).await.unwrap().remove(0);
    assert_eq!(leased.raw, lead.raw);
    assert_eq!(leased.origin, Some(lead.origin));
    assert_eq!((leased.state, leased.destination.as_str()), (LeadState::Received, DESTINATION));
    assert_eq!((leased.attempts, leased.deferrals, leased.probes, leased.sent_at), (0, 0, 0, None));
    assert_eq!(leased.expires, later(5).plus(TERM));
    let record = bench.record(leased.id).await;
    assert_eq!((record.received_at, record.run), (Some(NOW), Some(bench.run)));
}

async fn rejected_rows_are_finished_and_counted_but_never_leased(bench: Bench) {
    let bad = NewLead { rejected: Some("e-mail: missing".to_owned()), ..new_lead("") };
    bench.enqueue(bench.run, &[bad, new_lead("ann@example.com")], NOW).await.unwrap();
    let counts = bench.counts().await;
    assert_eq!((counts.taken, counts.rejected), (1, 1));
    let leased = bench.lease(&bench.ask(10), NOW).await.unwrap();
    assert_eq!(leased.len(), 1);
    let bad = bench.record(LeadId(leased[0].id.0 - 1)).await;
    assert_eq!((bad.state, bad.reason.as_deref()), (LeadState::Rejected, Some("e-mail: missing")));
    assert_eq!((bad.finished_at, bad.run), (Some(NOW), Some(bench.run)));
    assert_eq!(bench.counts().await.taken, 2);
}

async fn those_due_longest_come_first_and_the_rest_waits(bench: Bench) {
    let leads = bench.leased(&["a@example.com", "b@example.com", "c@example.com", "d@example.com"]).await;
    let put_off = |n: usize, ms| Step { not_before: Some(later(ms)), release: true, ..Step::of(&leads[n]) };
    bench.steps(&[put_off(0, 30), put_off(1, 10), put_off(2, 20), put_off(3, 99)]).await;
    assert!(bench.lease(&bench.ask(10), later(9)).await.unwrap().is_empty());
    let order: Vec<LeadId> = bench.lease(&bench.ask(2), later(50)).await.unwrap().iter().map(|lead| lead.id).collect();
    assert_eq!(order, [leads[1].id, leads[2].id]);
    let order: Vec<LeadId> = bench.lease(&bench.ask(9), later(50)).await.unwrap().iter().map(|lead| lead.id).collect();
    assert_eq!(order, [leads[0].id]);
    assert!(bench.lease(&bench.ask(0), later(500)).await.unwrap().is_empty());
}

async fn a_lead_is_never_leased_twice_by_eight_concurrent_workers(bench: Bench) {
    let rows: Vec<_> = (0..400).map(|n| new_lead(&format!("a{n}@example.com"))).collect();
    bench.enqueue(bench.run, &rows, NOW).await.unwrap();
    let shared = Arc::clone(&bench.database.store);
    let workers = (0..8).map(|n| {
        let (shared, database, ask) = (Arc::clone(&shared), &bench.database, bench.ask(7));
        async move {
            // Half of them through pools of their own, as other processes would.
            let store = if n % 2 == 0 { database.again().await } else { shared };
            let run = store.begin_run("run", NOW).await.unwrap();
            let mut got = Vec::new();
            loop {
                let leased = store.lease(&LeaseRequest { run, ..ask.clone() }, NOW).await.unwrap();
                if leased.is_empty() {
                    break (run, got);
                }
                got.extend(leased.into_iter().map(|lead| lead.id));
            }
        }
    });
    let got = futures_util::future::join_all(workers).await;
    let all: Vec<LeadId> = got.iter().flat_map(|(_, ids)| ids.clone()).collect();
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "one was handed out twice");
    // SKIP LOCKED may let a worker leave early, never a lead for good.
    let rest = bench.lease(&bench.ask(400), NOW).await.unwrap().len();
    assert_eq!(all.len() + rest, 400);
    for (run, ids) in got {
        assert_eq!(bench.counts_of(run).await.taken, i64::try_from(ids.len()).unwrap());
    }
}

async fn a_lapsed_lease_is_taken_over_and_its_worker_changes_nothing(bench: Bench) {
    let old = bench.ready().await;
    assert!(bench.lease(&bench.ask(10), later(59_999)).await.unwrap().is_empty());
    let other = bench.begin_run("run", NOW).await.unwrap();
    let ask = LeaseRequest { run: other, ..bench.ask(10) };
    let new = bench.lease(&ask, later(60_000)).await.unwrap().remove(0);
    assert_ne!(new.token, old.token);
    assert!(new.first_in_run);

    let before = bench.record(old.id).await;
    let counts = bench.counts().await;
    for stale in [
        send(&old),
        event(&old, Event::Refused),
        event(&old, Event::GaveUp),
        Step {
            add_attempts: 1,
            release: true,
            not_before: Some(later(9)),
            reason: Some("late".to_owned()),
            ..Step::of(&old)
        },
    ] {
        assert_eq!(bench.step(stale).await, StepOutcome::LeaseLost);
    }
    assert_eq!(bench.record(old.id).await, before);
    assert_eq!(bench.counts().await, counts);
    assert_eq!(bench.commit(other, &[send(&new)], NOW).await.unwrap(), [applied(LeadState::Sending)]);
}

async fn a_lapsed_lease_that_nobody_took_over_still_counts(bench: Bench) {
    let lead = bench.ready().await;
    let outcomes = bench.commit(bench.run, &[send(&lead)], later(90_000)).await.unwrap();
    assert_eq!(outcomes, [applied(LeadState::Sending)]);
}

async fn renewing_extends_only_what_is_still_held(bench: Bench) {
    let leads = bench.leased(&["a@example.com", "b@example.com", "c@example.com"]).await;
    bench.step(Step { release: true, not_before: Some(later(1_000_000)), ..Step::of(&leads[1]) }).await;
    let mut held: Vec<_> = leads.iter().map(|lead| (lead.id, lead.token)).collect();
    held.push((LeadId(999_999), leads[0].token));
    held[2].1 = LeaseToken(held[2].1.0 ^ 1);
    let until = later(300_000);
    assert_eq!(bench.renew(&held, until).await.unwrap(), [leads[0].id]);
    assert_eq!(bench.record(leads[0].id).await.lease_expires, Some(until));
    assert_eq!(bench.record(leads[2].id).await.lease_expires, Some(leads[2].expires));
    // Never shortened.
    bench.renew(&held, NOW).await.unwrap();
    assert_eq!(bench.record(leads[0].id).await.lease_expires, Some(until));
    assert!(bench.renew(&[], until).await.unwrap().is_empty());
}

async fn only_the_destination_asked_for_is_leased(bench: Bench) {
    let other = NewLead { destination: "crm".to_owned(), ..new_lead("a@example.com") };
    bench.enqueue(bench.run, &[other, new_lead("b@example.com")], NOW).await.unwrap();
    let leased = bench.lease(&bench.ask(10), NOW).await.unwrap();
    assert_eq!(leased.len(), 1);
    assert_eq!(leased[0].raw.email.as_deref(), Some("b@example.com"));
    let ask = LeaseRequest { destination: "crm".to_owned(), is_default: false, ..bench.ask(10) };
    assert_eq!(bench.lease(&ask, NOW).await.unwrap().len(), 1);
}

async fn leads_without_a_destination_go_to_the_default_one(bench: Bench) {
    bench.database.sql(
        "INSERT INTO leads (email) VALUES ('a@example.com');
         INSERT INTO leads (email, destination) VALUES ('b@example.com', '');",
    );
    bench.enqueue(bench.run, &[new_lead("c@example.com")], NOW).await.unwrap();
    let ask = LeaseRequest { is_default: false, max: 1, ..bench.ask(10) };
    let leased = bench.lease(&ask, NOW).await.unwrap();
    assert_eq!(leased[0].raw.email.as_deref(), Some("c@example.com"));
    let leased = bench.lease(&bench.ask(10), NOW).await.unwrap();
    assert_eq!(leased.iter().map(|lead| lead.destination.as_str()).collect::<Vec<_>>(), [DESTINATION, DESTINATION]);
    let record = bench.record(leased[0].id).await;
    assert_eq!((record.destination.as_deref(), record.received_at), (Some(DESTINATION), Some(NOW)));
}

async fn an_import_can_lease_its_own_rows_only(bench: Bench) {
    bench.enqueue(bench.run, &[new_lead("a@example.com")], NOW).await.unwrap();
    let import = bench.begin_run("import", NOW).await.unwrap();
    bench.enqueue(import, &[new_lead("b@example.com")], NOW).await.unwrap();
    let ask = LeaseRequest { run: import, imported_by: Some(import), ..bench.ask(10) };
    let leased = bench.lease(&ask, NOW).await.unwrap();
    assert_eq!(leased.len(), 1);
    assert_eq!(leased[0].raw.email.as_deref(), Some("b@example.com"));
    let waiting = bench.waiting(Some(import), NOW).await.unwrap();
    assert_eq!((waiting[0].due, waiting[0].leased), (0, 1));
}

async fn a_lead_counts_as_taken_once_per_run(bench: Bench) {
    let lead = bench.one().await;
    assert!(lead.first_in_run);
    bench.step(Step { release: true, ..Step::of(&lead) }).await;
    assert!(!bench.lease(&bench.ask(1), later(1)).await.unwrap()[0].first_in_run);
    assert_eq!(bench.counts().await.taken, 1);
    let other = bench.begin_run("run", NOW).await.unwrap();
    let ask = LeaseRequest { run: other, ..bench.ask(1) };
    assert!(bench.lease(&ask, later(120_000)).await.unwrap()[0].first_in_run);
    assert_eq!((bench.counts().await.taken, bench.counts_of(other).await.taken), (1, 1));
}

async fn what_waits_is_told_by_destination(bench: Bench) {
    bench.database.sql("INSERT INTO leads (email) VALUES ('x@example.com')");
    let leads = bench.leased_of_default(4).await;
    bench
        .steps(&[
            Step { release: true, not_before: Some(later(5_000)), ..Step::of(&leads[0]) },
            Step { release: true, not_before: Some(later(9_000)), ..Step::of(&leads[1]) },
            Step { release: true, ..Step::of(&leads[2]) },
        ])
        .await;
    let waiting = bench.waiting(None, NOW).await.unwrap();
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    assert_eq!((waiting[0].destination.as_deref(), waiting[0].due, waiting[0].leased), (None, 1, 0));
    assert_eq!(waiting[0].next_due, None);
    assert_eq!(waiting[1].destination.as_deref(), Some(DESTINATION));
    assert_eq!((waiting[1].due, waiting[1].leased, waiting[1].next_due), (1, 1, Some(later(5_000))));
    let waiting = bench.waiting(None, later(20_000)).await.unwrap();
    assert_eq!((waiting[1].due, waiting[1].leased, waiting[1].next_due), (3, 1, Some(NOW.plus(TERM))));
}

async fn a_ready_lead_is_leased_with_what_was_prepared(bench: Bench) {
    let lead = bench.one().await;
    let step = Step { release: true, add_deferrals: 2, add_probes: 3, add_attempts: 1, ..prepare(&lead, "ann") };
    let wanted = step.prepared.as_ref().unwrap().prepared.clone();
    bench.step(step).await;
    let again = bench.lease(&bench.ask(1), NOW).await.unwrap().remove(0);
    assert_eq!((again.state, again.prepared), (LeadState::Ready, Some(wanted)));
    assert_eq!((again.attempts, again.deferrals, again.probes), (1, 2, 3));
}

async fn leads_that_need_preparing_can_be_left_out(bench: Bench) {
    let leads = bench.leased(&["a@example.com", "b@example.com"]).await;
    bench
        .steps(&[Step { release: true, ..prepare(&leads[0], "a") }, Step { release: true, ..Step::of(&leads[1]) }])
        .await;
    let prepared_only = LeaseRequest { due: Due::Prepared, ..bench.ask(10) };
    let leased = bench.lease(&prepared_only, NOW).await.unwrap();
    assert_eq!(leased.iter().map(|lead| lead.id).collect::<Vec<_>>(), [leads[0].id]);
    let rest = bench.lease(&bench.ask(10), NOW).await.unwrap();
    assert_eq!(rest.iter().map(|lead| lead.id).collect::<Vec<_>>(), [leads[1].id]);
}

async fn leads_in_doubt_can_be_taken_alone(bench: Bench) {
    let leads = bench.leased(&["a@example.com", "b@example.com", "c@example.com"]).await;
    bench.steps(&[prepare(&leads[0], "a"), prepare(&leads[1], "b")]).await;
    let doubtful = Step { release: true, not_before: Some(later(50)), ..send(&leads[0]) };
    bench.steps(&[doubtful, Step { release: true, ..Step::of(&leads[1]) }]).await;
    let next_doubtful = bench.waiting(None, NOW).await.unwrap()[0].next_doubtful;
    assert_eq!(next_doubtful, Some(later(50)));
    let ask = LeaseRequest { due: Due::Doubtful, ..bench.ask(10) };
    assert!(bench.lease(&ask, later(49)).await.unwrap().is_empty());
    let elsewhere = LeaseRequest { imported_by: Some(RunId(77)), ..ask.clone() };
    assert!(bench.lease(&elsewhere, later(50)).await.unwrap().is_empty());
    let leased = bench.lease(&ask, later(50)).await.unwrap();
    assert_eq!(leased.iter().map(|lead| lead.id).collect::<Vec<_>>(), [leads[0].id]);
}

async fn leasing_uses_the_index_of_what_is_due(bench: Bench) {
    // Long enough that reading it as a whole, or sorting what is due, would be the wrong plan; once freshly filled, as after
    // an import, and once with the statistics that autovacuum brings.
    bench.database.sql(
        "INSERT INTO leads (email, destination, state, import_run_id)
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
         SELECT 'a' || n || '@example.com', CASE n % 3 WHEN 0 THEN '7targets' WHEN 1 THEN 'crm' END,
             CASE n % 5 WHEN 0 THEN 'received' WHEN 1 THEN 'ready' ELSE 'delivered' END, n % 7
         FROM n;",
    );
    for statistics in ["", "ANALYZE leads;"] {
        bench.database.sql(statistics);
        for (sqlite, postgres) in [
            (
                include_str!("../../src/store/sql/pick.sqlite.sql"),
                include_str!("../../src/store/sql/pick.postgres.sql"),
            ),
            (
                include_str!("../../src/store/sql/pick_imported.sqlite.sql"),
                include_str!("../../src/store/sql/pick_imported.postgres.sql"),
            ),
        ] {
            let (explain, text) = match bench.database.kind {
                Kind::Sqlite => ("EXPLAIN QUERY PLAN", sqlite),
                // With the advice that `lease` gives.
                Kind::Postgres => {
                    ("SET enable_bitmapscan = off; SET enable_seqscan = off; SET enable_sort = off; EXPLAIN", postgres)
                }
            };
            let text = text
                .replace("$1", "'7targets'")
                .replace("$2", "5")
                .replace("$3", "10")
                .replace("$4", "true")
                .replace("$5", "1");
            let plan = bench.database.sql(&format!("{explain} {text};"));
            assert!(plan.contains("leads_due"), "{plan}");
            assert!(!plan.contains("Sort") && !plan.contains("TEMP B-TREE"), "it sorts: {plan}");
        }
    }
}
