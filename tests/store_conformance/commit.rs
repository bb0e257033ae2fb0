//! Steps: what they change, once.

use leadsync::lead::{Event, IllegalMove, LeadId, LeadState};
use leadsync::store::{LeaseRequest, RunCounts, Step, StepOutcome};

use crate::bench::{
    Bench, NOW, accept, applied, call, charge, event, fingerprint, later, prepare, refuse, reinstating, send, uncounted,
};

cases![
    a_lead_goes_its_way_and_every_step_is_kept,
    a_final_lead_has_no_lease_and_no_stale_reason,
    intent_and_outcome_of_one_lead_may_share_a_batch,
    an_illegal_move_changes_nothing,
    a_step_without_event_moves_scheduling_only,
    an_intent_forgets_the_probes_of_the_last_one,
    a_value_that_stood_there_readable_is_replaced,
    committing_the_same_batch_again_changes_nothing,
    a_repeated_batch_says_again_whom_it_reinstated,
    steps_for_a_lead_that_is_gone_are_lost,
    a_late_acceptance_counts_whatever_happened_meanwhile,
    a_late_acceptance_corrects_this_runs_counts,
    a_late_acceptance_of_a_delivered_lead_keeps_the_first_number,
    a_late_acceptance_takes_the_claim_back_from_a_lead_not_yet_sent,
    a_late_acceptance_leaves_a_lead_alone_that_is_being_sent,
    the_quota_is_charged_once_and_never_exceeded,
    the_quota_is_exact_under_concurrency,
    calls_are_logged_once_and_even_if_the_lease_was_lost,
    counts_follow_every_step,
];

async fn a_lead_goes_its_way_and_every_step_is_kept(bench: Bench) {
    let lead = bench.one().await;
    assert_eq!(bench.step(prepare(&lead, "ann")).await, applied(LeadState::Ready));
    let record = bench.record(lead.id).await;
    assert_eq!((record.enriched, record.lookup_call.map(|call| call.0)), (Some(false), Some(77)));
    assert_eq!(record.prepared.unwrap().lead.email, "ann@example.com");
    assert_eq!(bench.holder("ann").await, Some(lead.id));

    assert_eq!(bench.step(Step { sent_at: Some(later(3)), ..send(&lead) }).await, applied(LeadState::Sending));
    assert_eq!(bench.record(lead.id).await.sent_at, Some(later(3)));

    let outcomes = bench.commit(bench.run, &[accept(&lead, "r-1")], later(9)).await.unwrap();
    assert_eq!(outcomes, [applied(LeadState::Delivered)]);
    let record = bench.record(lead.id).await;
    assert_eq!((record.state, record.remote_id.as_deref()), (LeadState::Delivered, Some("r-1")));
    assert_eq!((record.finished_at, record.updated_at), (Some(later(9)), Some(later(9))));
    assert_eq!(bench.holder("ann").await, Some(lead.id));
}

async fn a_final_lead_has_no_lease_and_no_stale_reason(bench: Bench) {
    let lead = bench.sending().await;
    bench.step(Step { reason: Some("429, waiting".to_owned()), ..Step::of(&lead) }).await;
    assert_eq!(bench.record(lead.id).await.reason.as_deref(), Some("429, waiting"));
    bench.step(accept(&lead, "r-1")).await;
    let record = bench.record(lead.id).await;
    assert_eq!((record.reason, record.lease_expires), (None, None));
    assert!(bench.renew(&[(lead.id, lead.token)], later(1_000_000)).await.unwrap().is_empty());
    assert_eq!(bench.step(Step::of(&lead)).await, StepOutcome::LeaseLost);
}

async fn intent_and_outcome_of_one_lead_may_share_a_batch(bench: Bench) {
    let lead = bench.one().await;
    let outcomes = bench.steps(&[prepare(&lead, "ann"), send(&lead), accept(&lead, "r-1"), send(&lead)]).await;
    assert_eq!(
        outcomes,
        [applied(LeadState::Ready), applied(LeadState::Sending), applied(LeadState::Delivered), StepOutcome::LeaseLost]
    );
    let record = bench.record(lead.id).await;
    assert_eq!((record.state, record.sent_at), (LeadState::Delivered, Some(NOW)));
}

async fn an_illegal_move_changes_nothing(bench: Bench) {
    let lead = bench.one().await;
    let before = bench.record(lead.id).await;
    let step = Step {
        add_attempts: 1,
        release: true,
        quota: charge(1, 10),
        reason: Some("?".to_owned()),
        ..event(&lead, Event::SendStarted)
    };
    let illegal = IllegalMove { from: LeadState::Received, event: Event::SendStarted };
    assert_eq!(bench.step(step).await, StepOutcome::Illegal(illegal));
    assert_eq!(bench.record(lead.id).await, before);
    assert_eq!(bench.quota_used("acme", NOW.utc_day()).await.unwrap(), 0);
    let unprepared = bench.step(event(&lead, Event::Prepared)).await;
    assert!(matches!(unprepared, StepOutcome::Illegal(_)), "{unprepared:?}");
    assert_eq!(bench.record(lead.id).await, before);
}

async fn a_step_without_event_moves_scheduling_only(bench: Bench) {
    let lead = bench.sending().await;
    let step = Step {
        add_attempts: 1,
        add_deferrals: 2,
        add_probes: 3,
        not_before: Some(later(70)),
        reason: Some("no reply".to_owned()),
        release: true,
        ..Step::of(&lead)
    };
    assert_eq!(bench.step(step).await, applied(LeadState::Sending));
    let record = bench.record(lead.id).await;
    assert_eq!((record.attempts, record.deferrals, record.not_before), (1, 2, later(70)));
    assert_eq!((record.reason.as_deref(), record.lease_expires, record.finished_at), (Some("no reply"), None, None));
    let again = bench.lease(&bench.ask(1), later(70)).await.unwrap().remove(0);
    assert_eq!((again.state, again.probes, again.sent_at), (LeadState::Sending, 3, Some(NOW)));
}

async fn a_value_that_stood_there_readable_is_replaced(bench: Bench) {
    let lead = bench.one().await;
    let custom_fields = || async { bench.record(lead.id).await.raw.custom_fields };
    let sealed = Some(r#"{"tax_id": "sealed:x"}"#.to_owned());
    bench.step(Step { custom_fields: sealed.clone(), ..Step::of(&lead) }).await;
    assert_eq!(custom_fields().await, sealed);
    bench.step(prepare(&lead, "ann")).await;
    assert_eq!(custom_fields().await, sealed, "a step without says nothing of it");
}

async fn an_intent_forgets_the_probes_of_the_last_one(bench: Bench) {
    let lead = bench.sending().await;
    bench.steps(&[Step { add_probes: 2, ..Step::of(&lead) }, event(&lead, Event::ProvenAbsent)]).await;
    bench.steps(&[send(&lead), Step { release: true, ..Step::of(&lead) }]).await;
    assert_eq!(bench.lease(&bench.ask(1), NOW).await.unwrap()[0].probes, 0);
}

async fn committing_the_same_batch_again_changes_nothing(bench: Bench) {
    let leads = bench.leased(&["a@example.com", "b@example.com", "c@example.com"]).await;
    let batch = [
        Step { quota: charge(1, 10), calls: vec![call(1, Some(leads[0].id))], ..prepare(&leads[0], "same") },
        Step { add_attempts: 1, ..send(&leads[0]) },
        prepare(&leads[1], "same"),
        Step { add_deferrals: 1, release: true, ..Step::of(&leads[2]) },
    ];
    let first = bench.steps(&batch).await;
    assert_eq!(
        first,
        [
            applied(LeadState::Ready),
            applied(LeadState::Sending),
            StepOutcome::Duplicate { of: leads[0].id },
            applied(LeadState::Received)
        ]
    );
    let all = |bench: &Bench| {
        let store = std::sync::Arc::clone(&bench.database.store);
        async move { store.leads(&Default::default(), LeadId(0), 10).await.unwrap() }
    };
    let (before, counts) = (all(&bench).await, bench.counts().await);
    let again = bench.commit(bench.run, &batch, later(500)).await.unwrap();
    assert_eq!(
        again,
        [
            applied(LeadState::Sending),
            applied(LeadState::Sending),
            StepOutcome::Duplicate { of: leads[0].id },
            applied(LeadState::Received)
        ]
    );
    assert_eq!((all(&bench).await, bench.counts().await), (before, counts));
    assert_eq!(bench.quota_used("acme", NOW.utc_day()).await.unwrap(), 1);
    assert_eq!(bench.calls_of(leads[0].id).await.unwrap().len(), 1);
}

async fn a_repeated_batch_says_again_whom_it_reinstated(bench: Bench) {
    let leads = bench.leased(&["a@example.com", "b@example.com"]).await;
    bench.steps(&[prepare(&leads[0], "same"), prepare(&leads[1], "same")]).await;
    let batch = [refuse(&leads[0])];
    let wanted = reinstating(LeadState::Rejected, leads[1].id, true);
    assert_eq!(bench.steps(&batch).await, std::slice::from_ref(&wanted));
    let counts = bench.counts().await;
    assert_eq!(bench.steps(&batch).await, [wanted]);
    assert_eq!(bench.counts().await, counts);
}

async fn steps_for_a_lead_that_is_gone_are_lost(bench: Bench) {
    let lead = bench.one().await;
    bench.database.sql("DELETE FROM leads");
    assert_eq!(
        bench.steps(&[prepare(&lead, "a"), accept(&lead, "r")]).await,
        [StepOutcome::LeaseLost, StepOutcome::LeaseLost]
    );
    assert_eq!(bench.holder("a").await, None);
}

async fn a_late_acceptance_counts_whatever_happened_meanwhile(bench: Bench) {
    // Another worker took over and is about to send again.
    let old = bench.sending().await;
    let other = bench.begin_run("run", NOW).await.unwrap();
    let ask = LeaseRequest { run: other, ..bench.ask(1) };
    let new = bench.lease(&ask, later(60_000)).await.unwrap().remove(0);
    bench.commit(other, &[event(&new, Event::ProvenAbsent)], NOW).await.unwrap();
    let late = Step { add_attempts: 5, not_before: Some(later(1)), ..accept(&old, "r-9") };
    assert_eq!(bench.step(late).await, uncounted(LeadState::Delivered));
    let record = bench.record(old.id).await;
    assert_eq!((record.remote_id.as_deref(), record.attempts), (Some("r-9"), 0));
    assert_eq!(bench.commit(other, &[send(&new)], NOW).await.unwrap(), [StepOutcome::LeaseLost]);
    // It was the other run's by then: neither counts it.
    assert_eq!((bench.counts().await.delivered, bench.counts_of(other).await.delivered), (0, 0));
}

async fn a_late_acceptance_corrects_this_runs_counts(bench: Bench) {
    let lead = bench.sending().await;
    bench.step(event(&lead, Event::GaveUp)).await;
    assert_eq!(bench.counts().await.unconfirmed, 1);
    // The run had counted the lead already, under another name.
    assert_eq!(bench.step(accept(&lead, "r-1")).await, uncounted(LeadState::Delivered));
    let counts = bench.counts().await;
    assert_eq!((counts.taken, counts.unconfirmed, counts.delivered), (1, 0, 1));
    let record = bench.record(lead.id).await;
    assert_eq!((record.state, record.remote_id.as_deref()), (LeadState::Delivered, Some("r-1")));
}

async fn a_late_acceptance_of_a_delivered_lead_keeps_the_first_number(bench: Bench) {
    let lead = bench.sending().await;
    bench.step(accept(&lead, "first")).await;
    assert_eq!(bench.step(accept(&lead, "second")).await, uncounted(LeadState::Delivered));
    assert_eq!(bench.record(lead.id).await.remote_id.as_deref(), Some("first"));
    assert_eq!(bench.counts().await.delivered, 1);
}

async fn a_late_acceptance_takes_the_claim_back_from_a_lead_not_yet_sent(bench: Bench) {
    let leads = bench.leased(&["a@example.com", "b@example.com", "c@example.com"]).await;
    bench.steps(&leads.iter().map(|lead| prepare(lead, "same")).collect::<Vec<_>>()).await;
    bench.steps(&[send(&leads[0]), refuse(&leads[0])]).await;
    let heir = bench.lease(&bench.ask(1), NOW).await.unwrap().remove(0);
    assert_eq!(heir.id, leads[1].id);
    bench.step(prepare(&heir, "same")).await;
    assert_eq!(bench.holder("same").await, Some(heir.id));

    assert_eq!(bench.step(accept(&leads[0], "r-1")).await, uncounted(LeadState::Delivered));
    assert_eq!(bench.holder("same").await, Some(leads[0].id));
    assert_eq!(bench.step(send(&heir)).await, StepOutcome::LeaseLost, "it would be there twice");
    for other in &leads[1..] {
        let record = bench.record(other.id).await;
        assert_eq!((record.state, record.duplicate_of), (LeadState::Skipped, Some(leads[0].id)));
        assert_eq!(record.reason, Some(format!("duplicate of lead {}", leads[0].id)));
    }
}

async fn a_late_acceptance_leaves_a_lead_alone_that_is_being_sent(bench: Bench) {
    let leads = bench.leased(&["a@example.com", "b@example.com"]).await;
    bench.steps(&[prepare(&leads[0], "same"), prepare(&leads[1], "same"), refuse(&leads[0])]).await;
    let heir = bench.lease(&bench.ask(1), NOW).await.unwrap().remove(0);
    bench.steps(&[prepare(&heir, "same"), send(&heir)]).await;
    assert_eq!(bench.step(accept(&leads[0], "r-1")).await, uncounted(LeadState::Delivered));
    assert_eq!(bench.state(heir.id).await, LeadState::Sending);
    assert_eq!(bench.holder("same").await, Some(heir.id));
}

async fn the_quota_is_charged_once_and_never_exceeded(bench: Bench) {
    let leads = bench.leased(&["a@example.com", "b@example.com", "c@example.com"]).await;
    let prepared: Vec<Step> = leads.iter().map(|lead| prepare(lead, &lead.id.to_string())).collect();
    bench.steps(&prepared).await;
    let sends: Vec<Step> = leads.iter().map(|lead| Step { quota: charge(1, 2), ..send(lead) }).collect();
    let outcomes = bench.steps(&sends).await;
    assert_eq!(outcomes, [applied(LeadState::Sending), applied(LeadState::Sending), StepOutcome::QuotaUsedUp]);
    let third = bench.record(leads[2].id).await;
    assert_eq!((third.state, third.sent_at), (LeadState::Ready, None));
    // Not processed for certain: the charge is given back, and another may go.
    let back = Step { quota: charge(-1, 0), ..event(&leads[0], Event::ProvenAbsent) };
    let outcomes = bench.steps(&[back, Step { quota: charge(1, 2), ..send(&leads[2]) }]).await;
    assert_eq!(outcomes, [applied(LeadState::Ready), applied(LeadState::Sending)]);
    assert_eq!(bench.quota_used("acme", NOW.utc_day()).await.unwrap(), 2);
}

async fn the_quota_is_exact_under_concurrency(bench: Bench) {
    let emails: Vec<String> = (0..80).map(|n| format!("a{n}@example.com")).collect();
    let leads = bench.leased(&emails.iter().map(String::as_str).collect::<Vec<_>>()).await;
    bench.steps(&leads.iter().map(|lead| prepare(lead, &lead.id.to_string())).collect::<Vec<_>>()).await;
    let (bench, leads) = (&bench, &leads);
    let workers = (0..8).map(|n| async move {
        let store = bench.database.again().await;
        let mut sent = 0;
        for lead in &leads[n * 10..(n + 1) * 10] {
            let step = Step { quota: charge(1, 50), ..send(lead) };
            sent += usize::from(store.commit(bench.run, &[step], NOW).await.unwrap() == [applied(LeadState::Sending)]);
        }
        sent
    });
    let sent: usize = futures_util::future::join_all(workers).await.into_iter().sum();
    assert_eq!((sent, bench.quota_used("acme", NOW.utc_day()).await.unwrap()), (50, 50));
}

async fn calls_are_logged_once_and_even_if_the_lease_was_lost(bench: Bench) {
    let lead = bench.sending().await;
    bench.step(Step { calls: vec![call(2, Some(lead.id)), call(1, Some(lead.id))], ..accept(&lead, "r-1") }).await;
    let lost = Step { calls: vec![call(3, Some(lead.id)), call(1, Some(lead.id))], ..event(&lead, Event::Refused) };
    assert_eq!(bench.step(lost).await, StepOutcome::LeaseLost);
    bench.log_calls(&[call(77, None)]).await.unwrap();
    let calls = bench.calls_of(lead.id).await.unwrap();
    let ids: Vec<i64> = calls.iter().map(|call| call.id.0).collect();
    assert_eq!(ids, [1, 2, 3, 77], "by time, the look-up included");
    assert_eq!(calls[0], call(1, Some(lead.id)));
    assert_eq!(calls[3].lead, None);
}

async fn counts_follow_every_step(bench: Bench) {
    let emails: Vec<String> = (0..6).map(|n| format!("a{n}@example.com")).collect();
    let leads = bench.leased(&emails.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut steps: Vec<Step> = leads[..5].iter().map(|lead| prepare(lead, &lead.id.to_string())).collect();
    steps.extend([send(&leads[0]), send(&leads[1])]);
    steps.push(Step { add_attempts: 1, add_deferrals: 2, ..Step::of(&leads[0]) });
    steps.push(accept(&leads[0], "r-1"));
    steps.push(event(&leads[1], Event::GaveUp));
    steps.push(event(&leads[2], Event::GaveUp));
    steps.push(refuse(&leads[3]));
    steps.push(event(&leads[4], Event::SetAside));
    bench.steps(&steps).await;
    assert_eq!(
        bench.counts().await,
        RunCounts {
            taken: 6,
            delivered: 1,
            rejected: 1,
            exhausted: 1,
            unconfirmed: 1,
            skipped: 1,
            failed_attempts: 1,
            deferrals: 2,
        }
    );
    let holders: Vec<_> = leads.iter().map(|lead| fingerprint(&lead.id.to_string())).collect();
    let holders = bench.claim_holders(crate::bench::DESTINATION, &holders).await.unwrap();
    let holders: Vec<LeadId> = holders.into_iter().map(|(_, lead)| lead).collect();
    assert_eq!(holders, [leads[0].id, leads[1].id], "delivered and unconfirmed hold theirs, all others gave them up");
}
