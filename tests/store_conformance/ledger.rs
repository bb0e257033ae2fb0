//! Runs, pages, filters.

use leadsync::lead::{Event, LeadId, LeadState};
use leadsync::store::{LeadFilter, NewLead, RunId, RunStanding, StateCount, Step, Turn, TurnAnswer};

use crate::bench::{Bench, DESTINATION, NOW, event, later, new_lead, prepare, refuse, send};

cases![
    runs_are_told_newest_first,
    an_exclusive_run_begins_only_alone_and_keeps_the_others_out,
    a_run_that_is_silent_is_in_nobodys_way_and_yields_to_who_came_since,
    a_run_that_only_loads_needs_no_turn,
    of_many_exclusive_runs_at_once_one_begins,
    states_are_counted_by_destination,
    an_audit_finds_what_a_foreign_hand_did,
    pages_follow_each_other_without_gaps,
    every_filter_narrows,
    an_address_is_found_as_received_and_as_normalised,
    rejected_rows_are_told_by_line,
    a_row_of_an_import_is_known_by_its_line_and_destination,
];

async fn a_row_of_an_import_is_known_by_its_line_and_destination(bench: Bench) {
    let row = |row: u64, rejected: Option<&str>| NewLead {
        origin: leadsync::lead::Origin { file: "leads.csv".to_owned(), row },
        rejected: rejected.map(str::to_owned),
        ..new_lead("a@example.com")
    };
    bench.enqueue(bench.run, &[row(2, None), row(3, Some("email: missing"))], NOW).await.unwrap();
    for (known, other) in [(row(2, None), row(4, None)), (row(3, None), row(1, None))] {
        assert!(bench.holds_row(bench.run, &known).await.unwrap());
        assert!(!bench.holds_row(bench.run, &other).await.unwrap());
        assert!(!bench.holds_row(RunId(bench.run.0 + 1), &known).await.unwrap());
        let elsewhere = NewLead { destination: "crm".to_owned(), ..known };
        assert!(!bench.holds_row(bench.run, &elsewhere).await.unwrap());
    }
}

async fn runs_are_told_newest_first(bench: Bench) {
    let second = bench.begin_run("import", later(5)).await.unwrap();
    bench.finish_run(second, 3, later(9)).await.unwrap();
    let runs = bench.runs(10).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [second, bench.run]);
    assert_eq!((runs[0].command.as_str(), runs[0].started_at), ("import", later(5)));
    assert_eq!((runs[0].finished_at, runs[0].exit_code), (Some(later(9)), Some(3)));
    assert_eq!((runs[1].finished_at, runs[1].exit_code), (None, None));
    assert_eq!(bench.runs(1).await.unwrap().len(), 1);
    assert_eq!(bench.run(RunId(999)).await.unwrap(), None);
}

/// The run that has begun.
#[track_caller]
fn begun(answer: TurnAnswer) -> RunId {
    match answer {
        TurnAnswer::Begun(run) => run,
        TurnAnswer::Taken(other) => panic!("run {} is in the way", other.id),
    }
}

/// The run that is in the way.
#[track_caller]
fn in_the_way(answer: TurnAnswer) -> RunId {
    match answer {
        TurnAnswer::Begun(run) => panic!("run {run} has begun"),
        TurnAnswer::Taken(other) => other.id,
    }
}

async fn an_exclusive_run_begins_only_alone_and_keeps_the_others_out(bench: Bench) {
    let begin = async |turn, now| bench.begin_turn("run", turn, later(60_000), now).await.unwrap();
    let one = begun(begin(Turn::Shared, NOW).await);
    let two = begun(begin(Turn::Shared, NOW).await);
    assert_eq!(in_the_way(begin(Turn::Exclusive, later(1)).await), one);
    bench.finish_run(one, 0, later(2)).await.unwrap();
    assert_eq!(in_the_way(begin(Turn::Exclusive, later(3)).await), two);
    bench.finish_run(two, 0, later(4)).await.unwrap();

    let alone = begun(begin(Turn::Exclusive, later(5)).await);
    assert_eq!(in_the_way(begin(Turn::Shared, later(6)).await), alone);
    assert_eq!(in_the_way(begin(Turn::Exclusive, later(6)).await), alone);
    let record = bench.run(alone).await.unwrap().unwrap();
    assert_eq!((record.turn, record.alive_until), (Some(Turn::Exclusive), Some(later(60_000))));
    assert_eq!(record.standing(later(6)), RunStanding::AtWork);
    bench.finish_run(alone, 0, later(7)).await.unwrap();
    assert_eq!(bench.run(alone).await.unwrap().unwrap().standing(later(8)), RunStanding::Ended);
    begun(begin(Turn::Shared, later(8)).await);
    assert_eq!(bench.runs(10).await.unwrap().len(), 5, "who is refused leaves no run behind");
}

async fn a_run_that_is_silent_is_in_nobodys_way_and_yields_to_who_came_since(bench: Bench) {
    let old = begun(bench.begin_turn("run", Turn::Exclusive, later(60), NOW).await.unwrap());
    assert_eq!(bench.renew_turn(old, later(90), later(50)).await.unwrap(), None);
    assert_eq!(in_the_way(bench.begin_turn("run", Turn::Shared, later(140), later(80)).await.unwrap()), old);
    assert_eq!(bench.run(old).await.unwrap().unwrap().standing(later(90)), RunStanding::Silent);

    let new = begun(bench.begin_turn("run", Turn::Shared, later(150), later(90)).await.unwrap());
    let other = bench.renew_turn(old, later(200), later(100)).await.unwrap().unwrap();
    assert_eq!(other.id, new);
    let silent = bench.run(old).await.unwrap().unwrap();
    assert_eq!((silent.alive_until, silent.standing(later(100))), (Some(later(90)), RunStanding::Silent));
    assert_eq!(bench.renew_turn(new, later(200), later(110)).await.unwrap(), None, "the newcomer stays");

    // Silent, and nobody came: it goes on.
    let back = begun(bench.begin_turn("run", Turn::Shared, later(300), later(250)).await.unwrap());
    assert_eq!(bench.renew_turn(back, later(400), later(350)).await.unwrap(), None);
    assert_eq!(bench.run(back).await.unwrap().unwrap().standing(later(350)), RunStanding::AtWork);
}

async fn a_run_that_only_loads_needs_no_turn(bench: Bench) {
    let alone = begun(bench.begin_turn("run", Turn::Exclusive, later(60), NOW).await.unwrap());
    let loads = bench.begin_run("import", later(1)).await.unwrap();
    assert_eq!(bench.renew_turn(loads, later(60), later(1)).await.unwrap(), None);
    let record = bench.run(loads).await.unwrap().unwrap();
    assert_eq!((record.turn, record.standing(later(2))), (None, RunStanding::AtWork));
    assert_eq!(bench.renew_turn(alone, later(70), later(2)).await.unwrap(), None);
    bench.finish_run(alone, 0, later(3)).await.unwrap();
    begun(bench.begin_turn("run", Turn::Exclusive, later(60), later(4)).await.unwrap());
}

async fn of_many_exclusive_runs_at_once_one_begins(bench: Bench) {
    let mut stores = Vec::new();
    for _ in 0..6 {
        stores.push(bench.database.again().await);
    }
    let ask = stores.iter().map(|store| store.begin_turn("run", Turn::Exclusive, later(60), NOW));
    let answers = futures_util::future::join_all(ask).await.into_iter().map(Result::unwrap);
    let (begun, refused): (Vec<_>, Vec<_>) = answers.partition(|answer| matches!(answer, TurnAnswer::Begun(_)));
    assert_eq!((begun.len(), refused.len()), (1, 5));
}

async fn states_are_counted_by_destination(bench: Bench) {
    let lead = bench.one().await;
    bench.step(refuse(&lead)).await;
    let crm = NewLead { destination: "crm".to_owned(), ..new_lead("b@example.com") };
    bench.enqueue(bench.run, &[crm.clone(), crm], NOW).await.unwrap();
    bench.database.sql("INSERT INTO leads (email) VALUES ('c@example.com')");
    let count = |destination: Option<&str>, state, count| StateCount {
        destination: destination.map(str::to_owned),
        state,
        count,
    };
    assert_eq!(
        bench.state_counts().await.unwrap(),
        [
            count(None, LeadState::Received, 1),
            count(Some(DESTINATION), LeadState::Rejected, 1),
            count(Some("crm"), LeadState::Received, 2),
        ]
    );
}

async fn an_audit_finds_what_a_foreign_hand_did(bench: Bench) {
    let leads = bench.leased(&["a@x.org", "b@x.org", "c@x.org"]).await;
    bench.step(refuse(&leads[0])).await;
    bench.step(prepare(&leads[1], "b")).await;
    assert_eq!(bench.audit().await.unwrap(), []);
    bench.database.sql("UPDATE leads SET state = 'sending' WHERE email = 'c@x.org'; DELETE FROM claims");
    bench.database.sql("UPDATE leads SET finished_at_ms = NULL WHERE email = 'a@x.org'");
    let mut found = bench.audit().await.unwrap();
    found.sort();
    let expected = [
        "leads at their end without a time of it",
        "leads that are being sent and were never meant to be",
        "leads that hold an identity nobody has claimed",
    ];
    assert_eq!(found, expected.map(|what| (what.to_owned(), 1)));
}

async fn pages_follow_each_other_without_gaps(bench: Bench) {
    let rows: Vec<_> = (0..25).map(|n| new_lead(&format!("a{n}@example.com"))).collect();
    bench.enqueue(bench.run, &rows, NOW).await.unwrap();
    let mut all = Vec::new();
    let mut after = LeadId(0);
    loop {
        let page = bench.leads(&LeadFilter::default(), after, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.id;
        all.extend(page.into_iter().map(|lead| lead.raw));
    }
    assert_eq!(all, rows.into_iter().map(|row| row.raw).collect::<Vec<_>>());
}

async fn every_filter_narrows(bench: Bench) {
    let import = bench.begin_run("import", NOW).await.unwrap();
    let crm = NewLead { destination: "crm".to_owned(), ..new_lead("z@example.com") };
    bench.enqueue(import, &[crm], NOW).await.unwrap();
    let leads = bench.leased(&["a@x.org", "b@x.org", "c@x.org"]).await;
    let no = Step { reason: Some("E-mail 100% Bad_domain".to_owned()), ..event(&leads[1], Event::Refused) };
    bench.commit(bench.run, &[prepare(&leads[0], "a"), no], later(50)).await.unwrap();

    let find = async |which: LeadFilter| -> Vec<i64> {
        let first = leads[0].id.0;
        let found = bench.leads(&which, LeadId(0), 10).await.unwrap();
        found.into_iter().map(|lead| lead.id.0 - first).collect()
    };
    let any = LeadFilter::default;
    assert_eq!(find(any()).await, [-1, 0, 1, 2]);
    assert_eq!(find(LeadFilter { states: vec![LeadState::Ready, LeadState::Rejected], ..any() }).await, [0, 1]);
    assert_eq!(find(LeadFilter { destination: Some("crm".to_owned()), ..any() }).await, [-1]);
    assert_eq!(find(LeadFilter { run: Some(bench.run), ..any() }).await, [0, 1, 2]);
    assert_eq!(find(LeadFilter { imported_by: Some(import), ..any() }).await, [-1]);
    assert_eq!(find(LeadFilter { since: Some(later(50)), ..any() }).await, [0, 1]);
    assert_eq!(find(LeadFilter { reason_contains: Some("100% bad_D".to_owned()), ..any() }).await, [1]);
    assert_eq!(find(LeadFilter { reason_contains: Some("%".to_owned()), ..any() }).await, [1], "no wildcard");
    let ids = vec![leads[2].id, leads[1].id];
    assert_eq!(find(LeadFilter { ids: ids.clone(), ..any() }).await, [1, 2]);
    assert_eq!(find(LeadFilter { ids, states: vec![LeadState::Rejected], ..any() }).await, [1]);
    assert_eq!(bench.leads(&any(), leads[1].id, 10).await.unwrap().len(), 1, "above the id");
}

async fn an_address_is_found_as_received_and_as_normalised(bench: Bench) {
    let leads = bench.leased(&[" Ann@Example.COM ", "mailto:ann@example.com", "bob@example.com"]).await;
    bench.step(prepare(&leads[1], "ann")).await;
    let find = async |email: &str| -> Vec<LeadId> {
        let which = LeadFilter { email: Some(email.to_owned()), ..LeadFilter::default() };
        bench.leads(&which, LeadId(0), 10).await.unwrap().into_iter().map(|lead| lead.id).collect()
    };
    assert_eq!(find("ANN@example.com").await, [leads[0].id, leads[1].id]);
    assert_eq!(find("bob@example.com").await, [leads[2].id]);
    assert!(find("nobody@example.com").await.is_empty());
    let which = LeadFilter {
        email: Some("ann@example.com".to_owned()),
        ids: vec![leads[0].id, leads[2].id],
        ..LeadFilter::default()
    };
    assert_eq!(bench.leads(&which, LeadId(0), 10).await.unwrap().len(), 1, "both conditions hold");
}

async fn rejected_rows_are_told_by_line(bench: Bench) {
    let import = bench.begin_run("import", NOW).await.unwrap();
    let row = |file: &str, row, rejected: Option<&str>| {
        let mut lead = new_lead("a@example.com");
        lead.origin.file = file.to_owned();
        lead.origin.row = row;
        lead.rejected = rejected.map(str::to_owned);
        lead
    };
    let rows = [
        row("a.csv", 9, Some("nine")),
        row("a.csv", 2, None),
        row("b.csv", 3, Some("other file")),
        row("a.csv", 4, Some("four")),
    ];
    bench.enqueue(import, &rows, NOW).await.unwrap();
    let lead = bench.lease(&bench.ask(10), NOW).await.unwrap().remove(0);
    bench.steps(&[prepare(&lead, "a"), send(&lead), refuse(&lead)]).await;
    let all = bench.rejected_rows(import, "a.csv", 0, 10).await.unwrap();
    let wanted = [(2, "the destination says no"), (4, "four"), (9, "nine")];
    assert_eq!(all, wanted.map(|(row, why)| (row, why.to_owned())), "by line; also those refused later");
    assert_eq!(bench.rejected_rows(import, "a.csv", 2, 1).await.unwrap(), [(4, "four".to_owned())]);
    assert!(bench.rejected_rows(bench.run, "a.csv", 0, 10).await.unwrap().is_empty());
}
