//! `kill -9` at any moment, again and again: afterwards everything is as if nothing had happened.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;

use crate::bench::{Bench, csv, is_long, until};
use crate::support::database::Kind;

journeys![killed_again_and_again_every_lead_is_there_once, killed_while_importing_the_file_can_be_imported_again];

/// Gets the tokens. Who is killed while asking for one keeps others from asking for half a minute: that is for long
/// rounds.
async fn warm_up(bench: &Bench) {
    if !is_long() {
        bench.queue(&csv([1])).await;
        bench.run().await.ends(0);
    }
}

const KILLS: usize = 6;

/// Says which seed it was if the test fails, so that it can be played again.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to play it again: LEADSYNC_TEST_SEED={}", self.0);
        }
    }
}

/// The one asked for, or a few.
fn seeds() -> Vec<u64> {
    match std::env::var("LEADSYNC_TEST_SEED") {
        Ok(seed) => vec![seed.parse().expect("LEADSYNC_TEST_SEED is a number")],
        Err(_) => (0..if is_long() { 12 } else { 1 }).collect(),
    }
}

async fn killed_again_and_again_every_lead_is_there_once(kind: Kind) {
    for seed in seeds() {
        let _told = Seed(seed);
        let mut dice = StdRng::seed_from_u64(seed);
        let bench = Bench::with(kind, |options| {
            options.seed = seed;
            options.latency = Duration::from_millis(10);
            options.live_data.found = 1.0;
        })
        .await;
        bench.look_up();
        warm_up(&bench).await;
        bench.faults("create:reset-after=4%,create:500-after=4%,create:500=4%,create:reset=2%,create:429=1%");
        // A worker takes a part of them at once: what a dead one holds is not all there is to do.
        bench.set("enrich.batch_size", 10);
        let leads = 240;
        bench.queue(&csv(2..=leads)).await;
        if is_long() {
            bench.queue(&csv([1])).await;
        }
        for _ in 0..KILLS {
            let mut run = bench.start(&["run"]);
            // An event on the other side, so that the moment is anywhere between two of ours.
            let before = bench.sandbox.totals().requests;
            let more = dice.random_range(1..25);
            until("it has come so far", || bench.sandbox.totals().requests >= before + more || run.has_ended()).await;
            run.signal(Signal::KILL);
            let said = run.ended().await;
            assert!([0, 4, 137].contains(&said.code), "{said:?}");
        }
        finish(&bench).await;
        bench.has_exactly(1..=leads);
        bench.agrees().await;
        assert_eq!(bench.states().await.len(), 1);
        bench.nothing_is_leased();
    }
}

async fn killed_while_importing_the_file_can_be_imported_again(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(5)).await;
    warm_up(&bench).await;
    bench.file("leads.csv", csv(1..=100));
    for requests in [1, 4, 20] {
        let mut import = bench.start(&["import", "leads.csv"]);
        let before = bench.sandbox.totals().requests;
        until("it has come so far", || bench.sandbox.totals().requests >= before + requests || import.has_ended())
            .await;
        import.signal(Signal::KILL);
        import.ended().await;
    }
    bench.import(&csv(1..=100)).await;
    finish(&bench).await;
    bench.has_exactly(1..=100);
    bench.agrees().await;
}

/// Runs until nothing waits. What a dead worker held comes free when its lease has lapsed.
async fn finish(bench: &Bench) {
    for _ in 0..8 {
        if bench.run().await.code == 0 {
            return;
        }
    }
    panic!("it does not come to an end: {:?}", bench.states().await);
}
