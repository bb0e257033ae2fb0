//! How fast: a figure to read, no case to pass. `cargo test --test store_conformance speed -- --ignored --nocapture`

use std::time::Instant;

use leadsync::lead::{Event, LeadState};
use leadsync::store::{Step, StepOutcome};

use crate::bench::{Bench, NOW, accept, call, new_lead, prepare, send};
use crate::support::database::Kind;

const LEADS: usize = 6_000;
const BATCH: usize = 300;

async fn measure(kind: Kind) {
    let bench = Bench::new(kind).await;
    let began = Instant::now();
    for chunk in 0..LEADS / 1_000 {
        let rows: Vec<_> = (0..1_000).map(|n| new_lead(&format!("a{}@example.com", chunk * 1_000 + n))).collect();
        bench.enqueue(bench.run, &rows, NOW).await.unwrap();
    }
    eprintln!("{kind:?}: {:.0} rows/s queued", LEADS as f64 / began.elapsed().as_secs_f64());
    let mut steps = 0;
    let mut spent = std::time::Duration::ZERO;
    let mut leasing = std::time::Duration::ZERO;
    loop {
        let began = Instant::now();
        let leased = bench.lease(&bench.ask(BATCH as u32), NOW).await.unwrap();
        leasing += began.elapsed();
        if leased.is_empty() {
            break;
        }
        let batches: [Vec<Step>; 3] = [
            leased.iter().map(|lead| prepare(lead, &lead.id.to_string())).collect(),
            leased.iter().map(send).collect(),
            leased
                .iter()
                .map(|lead| Step { calls: vec![call(lead.id.0, Some(lead.id))], ..accept(lead, "r-1") })
                .collect(),
        ];
        for batch in batches {
            let began = Instant::now();
            let outcomes = bench.steps(&batch).await;
            spent += began.elapsed();
            steps += outcomes.len();
            assert!(outcomes.iter().all(|outcome| matches!(outcome, StepOutcome::Applied { .. })));
            assert_eq!(
                batch[0].event == Some(Event::Accepted),
                outcomes[0] == crate::bench::applied(LeadState::Delivered)
            );
        }
    }
    eprintln!(
        "{kind:?}: {:.0} steps/s committed in batches of {BATCH}, {:.0} leads/s leased",
        steps as f64 / spent.as_secs_f64(),
        LEADS as f64 / leasing.as_secs_f64(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn sqlite() {
    measure(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn postgres() {
    measure(Kind::Postgres).await;
}
