//! A worker that is frozen (stopped, swapped out, its machine put to sleep) between two steps and goes on minutes later,
//! when another has taken its lead over: it does no harm, and ends in order.

use futures_util::future::join_all;
use rustix::process::Signal;

use crate::bench::{Bench, csv, until};
use crate::support::database::Kind;

journeys![
    a_worker_frozen_before_its_request_leaves_does_not_send_it_when_it_wakes,
    a_worker_frozen_with_the_reply_in_hand_changes_nothing_when_it_wakes,
    a_worker_frozen_with_a_request_to_look_up_does_no_harm_when_it_wakes,
];

/// Between the durable intent and the first byte.
const BEFORE_IT_LEAVES: [&str; 4] = [
    // The first group is the claim, the second the intent.
    "commit.after-commit@2:stop",
    "create.intended:stop",
    "create.before-request:stop",
    "body.before-write:stop",
];

/// Freezes the first run there, lets the second do the work, and wakes the first.
async fn frozen_at(kind: Kind, point: &str, faults: &str) -> Bench {
    // The lane asks the queue now and then. Who freezes in just that moment holds the lock of the SQLite file, and nobody
    // can take anything over.
    for _ in 0..5 {
        if let Some(bench) = try_frozen_at(kind, point, faults).await {
            return bench;
        }
    }
    panic!("{point}: the database is locked each time");
}

async fn try_frozen_at(kind: Kind, point: &str, faults: &str) -> Option<Bench> {
    let bench = Bench::new(kind).await;
    // The token is there already.
    bench.queue(&csv([1])).await;
    bench.run().await.ends(0);
    bench.queue(&csv([2])).await;
    bench.faults(faults);
    let frozen = bench.start_armed(point, &["run"]);
    until(&format!("it freezes at {point}"), || frozen.is_frozen()).await;
    let said = bench.run().await;
    if kind == Kind::Sqlite && said.code == 4 && said.err.contains("another process holds the write lock") {
        return None;
    }
    said.ends(0);
    bench.has_exactly(1..=2);
    let asked = bench.asked("create");
    assert!(frozen.is_frozen());
    frozen.signal(Signal::CONT);
    let said = frozen.ended().await;
    // 4: it had to leave leads to others.
    assert!([0, 4].contains(&said.code), "{point}: {said:?}");
    assert_eq!(bench.asked("create"), asked, "{point}: nothing is sent by who comes late");
    bench.has_exactly(1..=2);
    bench.agrees().await;
    assert_eq!(bench.states().await["delivered"], 2, "{point}");
    bench.nothing_is_leased();
    Some(bench)
}

async fn a_worker_frozen_before_its_request_leaves_does_not_send_it_when_it_wakes(kind: Kind) {
    join_all(BEFORE_IT_LEAVES.map(|point| frozen_at(kind, point, ""))).await;
}

async fn a_worker_frozen_with_the_reply_in_hand_changes_nothing_when_it_wakes(kind: Kind) {
    let bench = frozen_at(kind, "create.after-reply:stop", "").await;
    assert_eq!(bench.asked("create"), 2, "the other looked, and found it");
}

async fn a_worker_frozen_with_a_request_to_look_up_does_no_harm_when_it_wakes(kind: Kind) {
    join_all(
        ["find.before-request:stop", "find.after-reply:stop"].map(|point| frozen_at(kind, point, "create:500=#1")),
    )
    .await;
}
