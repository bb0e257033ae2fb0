//! Runs, pages, filters.

use leadsync::lead::{Event, LeadId, LeadState};
use leadsync::store::{LeadFilter, NewLead, RunId, StateCount, Step};

use crate::bench::{Bench, DESTINATION, NOW, event, later, new_lead, prepare, refuse, send};

cases![
    runs_are_told_newest_first,
    states_are_counted_by_destination,
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
