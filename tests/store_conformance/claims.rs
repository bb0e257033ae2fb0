//! Once per identity and destination.

use leadsync::lead::{Event, LeadId, LeadState};
use leadsync::store::{LeadFilter, LeaseRequest, NewLead, Operation, Step, StepOutcome};

use crate::bench::{
    Bench, DESTINATION, NOW, accept, applied, event, fingerprint, later, new_lead, prepare, refuse, reinstating, send,
};

cases![
    the_first_to_claim_wins_within_a_batch,
    the_first_to_claim_wins_across_batches_and_runs,
    another_destination_is_another_claim,
    one_of_many_concurrent_claims_wins,
    a_lead_that_comes_back_keeps_its_own_claim,
    three_duplicates_get_their_turn_one_after_the_other,
    a_duplicate_rejected_before_it_could_claim_hands_the_turn_on,
    a_duplicate_that_loses_again_takes_those_behind_it_along,
    those_behind_a_loser_follow_when_the_winner_fails_in_the_same_batch,
    a_lead_set_aside_after_it_claimed_gives_its_place_up,
    a_lead_and_its_duplicate_may_settle_in_one_batch,
    a_reinstated_duplicate_of_another_run_is_not_counted_here,
    no_duplicate_is_buried_when_holder_and_loser_meet,
];

async fn three(bench: &Bench) -> Vec<leadsync::store::Leased> {
    bench.leased(&["a@example.com", "A@example.com", "a@EXAMPLE.com"]).await
}

async fn the_first_to_claim_wins_within_a_batch(bench: Bench) {
    let leads = three(&bench).await;
    // The order of the batch decides, not the ids.
    let outcomes = bench.steps(&[prepare(&leads[1], "a"), prepare(&leads[0], "a"), prepare(&leads[2], "a")]).await;
    let lost = StepOutcome::Duplicate { of: leads[1].id };
    assert_eq!(outcomes, [applied(LeadState::Ready), lost.clone(), lost]);
    let record = bench.record(leads[0].id).await;
    assert_eq!((record.state, record.duplicate_of), (LeadState::Skipped, Some(leads[1].id)));
    assert_eq!(record.reason, Some(format!("duplicate of lead {}", leads[1].id)));
    assert_eq!((record.finished_at, record.lease_expires), (Some(NOW), None));
    assert_eq!(bench.counts().await.skipped, 2);
}

async fn the_first_to_claim_wins_across_batches_and_runs(bench: Bench) {
    let first = bench.sending().await;
    bench.step(accept(&first, "r-1")).await;
    let run = bench.begin_run("run", NOW).await.unwrap();
    bench.enqueue(run, &[new_lead("ann@example.com")], NOW).await.unwrap();
    let second = bench.lease(&LeaseRequest { run, ..bench.ask(1) }, NOW).await.unwrap().remove(0);
    let outcomes = bench.commit(run, &[prepare(&second, "ann")], NOW).await.unwrap();
    assert_eq!(outcomes, [StepOutcome::Duplicate { of: first.id }]);
    assert_eq!(bench.counts_of(run).await.skipped, 1);
}

async fn another_destination_is_another_claim(bench: Bench) {
    let first = bench.ready().await;
    let other = NewLead { destination: "crm".to_owned(), ..new_lead("ann@example.com") };
    bench.enqueue(bench.run, &[other], NOW).await.unwrap();
    let ask = LeaseRequest { destination: "crm".to_owned(), ..bench.ask(1) };
    let second = bench.lease(&ask, NOW).await.unwrap().remove(0);
    assert_eq!(bench.step(prepare(&second, "ann")).await, applied(LeadState::Ready));
    let holders = bench.claim_holders("crm", &[fingerprint("ann"), fingerprint("bob")]).await.unwrap();
    assert_eq!(holders, [(fingerprint("ann"), second.id)]);
    assert_eq!(bench.holder("ann").await, Some(first.id));
}

async fn one_of_many_concurrent_claims_wins(bench: Bench) {
    let emails: Vec<String> = (0..64).map(|n| format!("a{n}@example.com")).collect();
    let leads = bench.leased(&emails.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (bench, leads) = (&bench, &leads);
    // Eight workers, eight identities, each worker claims all of them, in an order of its own.
    let workers = (0..8usize).map(|worker| async move {
        let store = bench.database.again().await;
        let steps: Vec<Step> =
            (0..8).map(|n| prepare(&leads[worker * 8 + n], &format!("id{}", (n * 3 + worker) % 8))).collect();
        store.commit(bench.run, &steps, NOW).await.unwrap()
    });
    let outcomes = futures_util::future::join_all(workers).await.concat();
    let won = outcomes.iter().filter(|outcome| **outcome == applied(LeadState::Ready)).count();
    let lost = outcomes.iter().filter(|outcome| matches!(outcome, StepOutcome::Duplicate { .. })).count();
    assert_eq!((won, lost), (8, 56));
}

async fn a_lead_that_comes_back_keeps_its_own_claim(bench: Bench) {
    let lead = bench.sending().await;
    bench.steps(&[event(&lead, Event::GaveUp)]).await;
    let which = LeadFilter { ids: vec![lead.id], ..LeadFilter::default() };
    bench.operate(&which, &Operation::ResolveAbsent, NOW).await.unwrap();
    assert_eq!(bench.holder("ann").await, Some(lead.id));
    let again = bench.lease(&bench.ask(1), NOW).await.unwrap().remove(0);
    assert_eq!(bench.steps(&[send(&again), accept(&again, "r")]).await[1], applied(LeadState::Delivered));
}

async fn three_duplicates_get_their_turn_one_after_the_other(bench: Bench) {
    let leads = bench.leased(&["a@x.org", "b@x.org", "c@x.org", "d@x.org"]).await;
    bench.steps(&leads.iter().map(|lead| prepare(lead, "same")).collect::<Vec<_>>()).await;
    let mut holder = leads[0].clone();
    for (turn, heir) in leads[1..].iter().enumerate() {
        assert_eq!(bench.step(refuse(&holder)).await, reinstating(LeadState::Rejected, heir.id, true));
        let record = bench.record(heir.id).await;
        assert_eq!((record.state, record.duplicate_of, record.finished_at), (LeadState::Received, None, None));
        assert_eq!((record.prepared, record.not_before), (None, NOW));
        for behind in &leads[turn + 2..] {
            let record = bench.record(behind.id).await;
            assert_eq!(record.duplicate_of, Some(heir.id));
            assert_eq!(record.reason, Some(format!("duplicate of lead {}", heir.id)));
        }
        assert_eq!(bench.holder("same").await, None);
        holder = bench.lease(&bench.ask(1), NOW).await.unwrap().remove(0);
        assert_eq!(holder.id, heir.id);
        assert!(!holder.first_in_run);
        assert_eq!(bench.step(prepare(&holder, "same")).await, applied(LeadState::Ready));
    }
    bench.steps(&[send(&holder), accept(&holder, "r-1")]).await;
    let counts = bench.counts().await;
    assert_eq!((counts.taken, counts.delivered, counts.rejected, counts.skipped), (4, 1, 3, 0));
}

async fn a_duplicate_rejected_before_it_could_claim_hands_the_turn_on(bench: Bench) {
    let leads = three(&bench).await;
    bench.steps(&leads.iter().map(|lead| prepare(lead, "a")).collect::<Vec<_>>()).await;
    bench.step(refuse(&leads[0])).await;
    let second = bench.lease(&bench.ask(1), NOW).await.unwrap().remove(0);
    let outcome = bench.step(refuse(&second)).await;
    assert_eq!(outcome, reinstating(LeadState::Rejected, leads[2].id, true));
}

async fn a_duplicate_that_loses_again_takes_those_behind_it_along(bench: Bench) {
    let leads = three(&bench).await;
    bench.steps(&leads.iter().map(|lead| prepare(lead, "a")).collect::<Vec<_>>()).await;
    bench.step(refuse(&leads[0])).await;
    // Somebody new is faster than the reinstated one.
    bench.enqueue(bench.run, &[new_lead("a@example.com")], NOW).await.unwrap();
    let due = bench.lease(&bench.ask(2), NOW).await.unwrap();
    let (new, heir) =
        (due.iter().find(|lead| lead.first_in_run).unwrap(), due.iter().find(|lead| !lead.first_in_run).unwrap());
    let outcomes = bench.steps(&[prepare(new, "a"), prepare(heir, "a")]).await;
    assert_eq!(outcomes, [applied(LeadState::Ready), StepOutcome::Duplicate { of: new.id }]);
    assert_eq!(bench.record(leads[2].id).await.duplicate_of, Some(new.id));
    assert_eq!(bench.step(refuse(new)).await, reinstating(LeadState::Rejected, leads[1].id, true));
}

async fn those_behind_a_loser_follow_when_the_winner_fails_in_the_same_batch(bench: Bench) {
    let leads = three(&bench).await;
    bench.steps(&leads.iter().map(|lead| prepare(lead, "a")).collect::<Vec<_>>()).await;
    bench.step(refuse(&leads[0])).await;
    bench.enqueue(bench.run, &[new_lead("a@example.com")], NOW).await.unwrap();
    let due = bench.lease(&bench.ask(2), NOW).await.unwrap();
    let (new, heir) =
        (due.iter().find(|lead| lead.first_in_run).unwrap(), due.iter().find(|lead| !lead.first_in_run).unwrap());
    let outcomes = bench.steps(&[prepare(new, "a"), prepare(heir, "a"), refuse(new)]).await;
    assert_eq!(outcomes[2], reinstating(LeadState::Rejected, heir.id, true));
    let last = bench.record(leads[2].id).await;
    assert_eq!((last.state, last.duplicate_of), (LeadState::Skipped, Some(heir.id)));
}

async fn a_lead_set_aside_after_it_claimed_gives_its_place_up(bench: Bench) {
    let leads = three(&bench).await;
    bench.steps(&[prepare(&leads[0], "a"), prepare(&leads[1], "a")]).await;
    let outcome = bench.step(event(&leads[0], Event::SetAside)).await;
    assert_eq!(outcome, reinstating(LeadState::Skipped, leads[1].id, true));
    assert_eq!(bench.holder("a").await, None);
    assert_eq!(bench.counts().await.skipped, 1);
}

async fn a_lead_and_its_duplicate_may_settle_in_one_batch(bench: Bench) {
    let leads = three(&bench).await;
    let outcomes = bench
        .steps(&[prepare(&leads[0], "a"), prepare(&leads[1], "a"), refuse(&leads[0]), prepare(&leads[2], "a")])
        .await;
    assert_eq!(
        outcomes,
        [
            applied(LeadState::Ready),
            StepOutcome::Duplicate { of: leads[0].id },
            reinstating(LeadState::Rejected, leads[1].id, true),
            applied(LeadState::Ready),
        ]
    );
    assert_eq!(bench.holder("a").await, Some(leads[2].id));
    assert_eq!(bench.state(leads[1].id).await, LeadState::Received);
    let counts = bench.counts().await;
    assert_eq!((counts.rejected, counts.skipped), (1, 0));
}

async fn a_reinstated_duplicate_of_another_run_is_not_counted_here(bench: Bench) {
    let leads = three(&bench).await;
    bench.steps(&[prepare(&leads[0], "a"), prepare(&leads[1], "a")]).await;
    let other = bench.begin_run("run", NOW).await.unwrap();
    let ask = LeaseRequest { run: other, ..bench.ask(1) };
    let taken_over = bench.lease(&ask, later(60_000)).await.unwrap().remove(0);
    assert_eq!(taken_over.id, leads[0].id);
    let outcome = bench.commit(other, &[refuse(&taken_over)], NOW).await.unwrap();
    assert_eq!(outcome, [reinstating(LeadState::Rejected, leads[1].id, false)]);
    assert_eq!((bench.counts().await.skipped, bench.counts_of(other).await.skipped), (1, 0));
    let heir = bench.lease(&ask, NOW).await.unwrap().remove(0);
    assert!(heir.first_in_run);
}

async fn no_duplicate_is_buried_when_holder_and_loser_meet(bench: Bench) {
    // One worker refuses the holder at the moment at which another's lead loses to it: in whatever order they get
    // through, the loser is reinstated or wins.
    let bench = &bench;
    let other = &bench.database.again().await;
    for round in 0..40 {
        let identity = format!("round{round}");
        let leads = bench.leased(&["a@example.com", "b@example.com"]).await;
        bench.step(prepare(&leads[0], &identity)).await;
        let (refusing, losing) = ([refuse(&leads[0])], [prepare(&leads[1], &identity)]);
        let (first, second) =
            tokio::join!(bench.commit(bench.run, &refusing, NOW), other.commit(bench.run, &losing, NOW));
        let (first, second) = (first.unwrap().remove(0), second.unwrap().remove(0));
        match second {
            StepOutcome::Duplicate { .. } => {
                assert_eq!(first, reinstating(LeadState::Rejected, leads[1].id, true));
                assert_eq!(bench.state(leads[1].id).await, LeadState::Received);
            }
            outcome => {
                assert_eq!((first, outcome), (applied(LeadState::Rejected), applied(LeadState::Ready)));
                assert_eq!(bench.holder(&identity).await, Some(leads[1].id));
            }
        }
        let due = bench.lease(&bench.ask(10), NOW).await.unwrap();
        let ids: Vec<LeadId> = due.iter().map(|lead| lead.id).collect();
        assert!(ids.iter().all(|id| *id == leads[1].id), "{DESTINATION} has nothing else due");
        bench.steps(&due.iter().map(|lead| event(lead, Event::GaveUp)).collect::<Vec<_>>()).await;
    }
}
