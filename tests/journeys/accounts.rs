//! The account at the destination: found wrong before the first lead, its tokens shared and renewed once.

use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::Signal;

use crate::bench::{Bench, Said, csv, until};
use crate::support::database::Kind;

journeys![
    a_wrong_account_touches_no_lead,
    a_destination_that_is_away_touches_no_lead,
    a_token_revoked_in_mid_run_is_renewed_once,
    short_lived_tokens_are_renewed_as_often_as_they_expire,
    a_token_outlives_the_process_and_is_shared,
    eight_runs_that_start_together_ask_for_one_token,
    eight_runs_with_a_wrong_secret_ask_once_each,
    a_run_killed_while_it_asks_for_a_token_holds_nobody_up,
];

async fn untouched(bench: &Bench, leads: usize) {
    let found = bench.results().await;
    assert_eq!(found.len(), leads);
    for lead in found {
        assert_eq!((&lead["state"], &lead["attempts"]), (&"received".into(), &0.into()), "{lead}");
    }
    bench.nothing_is_leased();
    assert_eq!(bench.asked("create"), 0);
}

async fn a_wrong_account_touches_no_lead(kind: Kind) {
    let bench = Bench::with(kind, |options| options.live_data.found = 1.0).await;
    bench.look_up();
    bench.queue(&csv(1..=3)).await;
    let mistakes = [
        ("client_secret", "sandbox-wrong-secret", "7targets"),
        ("assistant_email", "nobody@sandbox.example", "assistant_email"),
        ("user_identifier", "sandbox-stranger", "user_identifier"),
        ("scope", "leads/get", "7targets"),
    ];
    for (key, wrong, told) in mistakes {
        let right = {
            let fresh = bench.sandbox.config_toml().parse::<toml::Table>().unwrap();
            fresh["destinations"]["7targets"][key].clone()
        };
        bench.set(&format!("destinations.7targets.{key}"), wrong);
        // A token got with the right secret would still be good.
        bench.database.sql("DELETE FROM tokens");
        bench.run().await.ends(2).says(told);
        untouched(&bench, 3).await;
        assert_eq!(bench.asked("find"), 0, "nobody is paid for a lead that can't be sent");
        bench.set(&format!("destinations.7targets.{key}"), right);
    }
    bench.database.sql("DELETE FROM tokens");
    bench.run().await.ends(0);
    bench.has_exactly(1..=3);
}

async fn a_destination_that_is_away_touches_no_lead(kind: Kind) {
    let api = async {
        let bench = Bench::new(kind).await;
        bench.set("destinations.7targets.api_url", "http://127.0.0.1:9");
        bench.import(&csv(1..=3)).await.ends(4).says("127.0.0.1");
        untouched(&bench, 3).await;
    };
    let token = async {
        let bench = Bench::new(kind).await;
        bench.set("destinations.7targets.token_url", "http://127.0.0.1:9/oauth2/token");
        bench.import(&csv(1..=3)).await.ends(4).says("7targets");
        untouched(&bench, 3).await;
    };
    tokio::join!(api, token);
}

async fn a_token_revoked_in_mid_run_is_renewed_once(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(20)).await;
    bench.queue(&csv(1..=60)).await;
    let run = bench.start(&["run"]);
    until("some are there", || bench.sandbox.totals().created >= 10).await;
    bench.sandbox.revoke_tokens();
    run.ended().await.ends(0);
    bench.has_exactly(1..=60);
    assert_eq!(bench.asked("token"), 2);
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
}

async fn short_lived_tokens_are_renewed_as_often_as_they_expire(kind: Kind) {
    let bench = Bench::with(kind, |options| {
        options.latency = Duration::from_millis(30);
        options.token_ttl = Duration::from_secs(1);
    })
    .await;
    bench.set("destinations.7targets.concurrency", 2);
    bench.import(&csv(1..=80)).await.ends(0);
    bench.has_exactly(1..=80);
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
    let requests = bench.sandbox.totals().requests;
    assert!(bench.asked("token") <= requests / 4, "{} of {requests}", bench.asked("token"));
}

async fn a_token_outlives_the_process_and_is_shared(kind: Kind) {
    let bench = Bench::with(kind, |options| options.latency = Duration::from_millis(20)).await;
    bench.queue(&csv(1..=30)).await;
    let (one, other) = (bench.start(&["run"]), bench.start(&["run"]));
    let (one, other) = tokio::join!(one.ended(), other.ended());
    for said in [one, other] {
        assert!([0, 4].contains(&said.code), "{said:?}");
    }
    bench.import(&csv(31..=32)).await.ends(0);
    bench.has_exactly(1..=32);
    assert_eq!(bench.asked("token"), 1);
    let sealed = bench.number("SELECT count(*) FROM tokens WHERE sealed IS NOT NULL");
    assert_eq!(sealed, 1);
}

/// Eight runs at once, each with something to do.
async fn eight_runs(bench: &Bench) -> Vec<Said> {
    let runs: Vec<_> = (0..8).map(|_| bench.start(&["run", "--limit", "10"])).collect();
    join_all(runs.into_iter().map(|run| run.ended())).await
}

async fn eight_runs_that_start_together_ask_for_one_token(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.queue(&csv(1..=80)).await;
    for said in eight_runs(&bench).await {
        // A lead that was put down on a busy machine is not taken up twice under a limit.
        assert!([0, 4].contains(&said.code), "{said:?}");
    }
    assert_eq!((bench.asked("token"), bench.asked("assistants")), (1, 8));
    bench.run().await.ends(0);
    bench.has_exactly(1..=80);
    assert_eq!(bench.asked("token"), 1);
}

async fn eight_runs_with_a_wrong_secret_ask_once_each(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.set("destinations.7targets.client_secret", "sandbox-wrong-secret");
    bench.queue(&csv(1..=80)).await;
    for said in eight_runs(&bench).await {
        said.ends(2).says("check `client_id` and `client_secret`");
    }
    assert!(bench.asked("token") <= 8, "{}", bench.asked("token"));
    untouched(&bench, 80).await;
}

async fn a_run_killed_while_it_asks_for_a_token_holds_nobody_up(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.queue(&csv(1..=10)).await;
    bench.faults("token:hang=#1");
    let killed = bench.start(&["run"]);
    until("it asks for a token", || bench.asked("token") == 1).await;
    killed.signal(Signal::KILL);
    killed.ended().await.ends(137);
    bench.run().await.ends(0);
    bench.has_exactly(1..=10);
    assert_eq!(bench.asked("token"), 2);
}
