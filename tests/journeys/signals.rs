//! SIGTERM: what is in flight is finished, the rest is put down whole.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::bench::{Bench, csv, email, until};
use crate::support::database::Kind;

journeys![
    a_run_told_to_stop_finishes_what_is_in_flight,
    an_import_told_to_stop_keeps_its_rows,
    a_request_cut_by_the_grace_time_is_named_and_looked_up_later,
    a_second_signal_ends_at_once,
];

async fn a_run_told_to_stop_finishes_what_is_in_flight(kind: Kind) {
    for signal in [Signal::TERM, Signal::INT] {
        let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(150)).await;
        bench.queue(&csv(1..=60)).await;
        let run = bench.start(&["run"]);
        until("some are there", || bench.sandbox.totals().created >= 5).await;
        run.signal(signal);
        run.ended().await.ends(4).says("stopping");
        assert!(bench.leads().len() < 60);
        assert_eq!(bench.number("SELECT count(*) FROM leads WHERE state = 'sending'"), 0);
        bench.nothing_is_leased();
        bench.agrees().await;
        assert_eq!(bench.status().await["last_run"]["exit_code"], 4);
        bench.run().await.ends(0);
        bench.has_exactly(1..=60);
        bench.agrees().await;
        assert_eq!(bench.sandbox.totals().updated, 0, "there was nothing to look up");
    }
}

async fn an_import_told_to_stop_keeps_its_rows(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(150)).await;
    bench.file("leads.csv", csv(1..=40));
    let import = bench.start(&["import", "leads.csv"]);
    until("some are there", || bench.sandbox.totals().created >= 3).await;
    import.signal(Signal::TERM);
    import.ended().await.ends(4);
    bench.run().await.ends(0);
    bench.has_exactly(1..=40);
    bench.agrees().await;
}

async fn a_request_cut_by_the_grace_time_is_named_and_looked_up_later(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("run.grace", "100ms");
    bench.set("run.lease", "6s");
    bench.set("destinations.7targets.timeout", "2s");
    bench.faults(&format!("create:hang-after={0}#1,create:hang={1}#1", email(1), email(2)));
    bench.queue(&csv(1..=3)).await;
    let run = bench.start(&["run"]);
    until("it hangs", || bench.asked("create") == 3).await;
    run.signal(Signal::TERM);
    run.ended().await.ends(4).says("cut off");
    assert_eq!(bench.number("SELECT count(*) FROM leads WHERE state = 'sending'"), 2);
    bench.run().await.ends(0);
    bench.has_exactly(1..=3);
    bench.agrees().await;
}

async fn a_second_signal_ends_at_once(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("run.lease", "60s");
    bench.set("destinations.7targets.timeout", "30s");
    bench.faults("create:hang-after=#1");
    bench.queue(&csv([1])).await;
    let mut run = bench.start(&["run"]);
    until("it hangs", || bench.leads().len() == 1).await;
    let began = Instant::now();
    run.signal(Signal::TERM);
    // Two signals that come together are one to the receiver.
    until("it ends", || {
        run.signal(Signal::TERM);
        run.has_ended()
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(20));
    run.ended().await.ends(4).says("leaving at once");
    assert_eq!(bench.number("SELECT count(*) FROM leads WHERE state = 'sending'"), 1);
}
