//! The operator's hand on accounts: how their tokens stand, a new one now, a new key for all that is sealed, pauses.

use serde_json::Value;

use crate::bench::{Bench, csv};
use crate::support::database::Kind;

journeys![
    how_a_token_stands_is_told_without_secrets_and_without_calls,
    new_tokens_are_got_now_and_runs_go_on_with_them,
    a_refresh_that_is_refused_ends_with_2_and_one_that_is_not_answered_with_4,
    after_a_new_key_the_old_one_is_not_needed,
    the_key_file_of_sqlite_is_changed_in_the_same_way,
    an_examination_tells_what_is_wrong_and_changes_nothing,
];

const OLD: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

/// `auth status --json`, of one account.
async fn standing(bench: &Bench, name: &str) -> Value {
    let said = bench.leadsync(&["auth", "status", name, "--json"]).await.ends(0);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    told["accounts"][name].clone()
}

async fn how_a_token_stands_is_told_without_secrets_and_without_calls(kind: Kind) {
    let bench = Bench::with(kind, |options| options.live_data.found = 1.0).await;
    bench.look_up();
    bench.leadsync(&["db", "migrate"]).await.ends(0);
    let states = async |bench: &Bench| {
        [standing(bench, "7targets").await["state"].clone(), standing(bench, "enrich").await["state"].clone()]
    };
    assert_eq!(states(&bench).await, ["none_yet", "none_yet"]);
    bench.import(&csv([1])).await.ends(0);
    let calls = bench.sandbox.totals().requests;
    for key in ["destinations.7targets.client_secret", "enrich.client_secret"] {
        bench.set(key, "${NO_SUCH_SECRET}");
    }
    assert_eq!(states(&bench).await, ["ok", "ok"]);
    let token = standing(&bench, "7targets").await;
    assert_eq!((&token["generation"], &token["refreshes_24h"]), (&1.into(), &1.into()), "{token}");
    assert_eq!((&token["refreshed_unusually_often"], &token["needs_login"]), (&false.into(), &Value::Null));
    let by = token["refreshed_by"].as_str().unwrap();
    assert!(by.contains("(process ") && by.ends_with(", run 1)"), "{by}");
    let told = bench.leadsync(&["auth", "status"]).await.ends(0).out;
    assert_eq!(told.lines().count(), 2, "{told}");

    // By hand, as if somebody else took the token again and again.
    bench.database.sql(
        "INSERT INTO token_refreshes (account, generation, refreshed_at_ms, expires_at_ms) \
         SELECT t.account, 1000 + c.id, t.refreshed_at_ms, t.expires_at_ms FROM tokens t, \
         (SELECT a.version * 100 + b.version * 10 + c.version AS id FROM _leadsync_migrations a, _leadsync_migrations b, _leadsync_migrations c) c \
         WHERE t.account LIKE '7targets-%'",
    );
    let told = bench.leadsync(&["auth", "status", "7targets"]).await.ends(0).out;
    assert!(told.contains("refreshed unusually often: do two deployments share this grant?"), "{told}");
    bench.database.sql("UPDATE tokens SET needs_login = 'it was revoked' WHERE account LIKE '7targets-%'");
    assert!(bench.leadsync(&["auth", "status"]).await.ends(2).out.contains("it was revoked"));
    bench.leadsync(&["auth", "status", "enrich"]).await.ends(0);
    bench.leadsync(&["auth", "status", "7target"]).await.ends(2).says("did you mean `7targets`?");
    // Another client: what it was before is left over.
    bench.set("destinations.7targets.client_id", "another-client");
    let token = standing(&bench, "7targets").await;
    assert_eq!((&token["state"], token["orphans"].as_array().map(Vec::len)), (&"none_yet".into(), Some(1)), "{token}");
    assert_eq!(bench.sandbox.totals().requests, calls, "nobody was called");
}

async fn new_tokens_are_got_now_and_runs_go_on_with_them(kind: Kind) {
    let bench = Bench::with(kind, |options| options.live_data.found = 1.0).await;
    bench.look_up();
    // Before anything else: do the credentials work?
    let said = bench.leadsync(&["auth", "refresh"]).await.ends(0).out;
    assert!(said.contains("7targets  new token: expires in ") && said.contains("enrich    new token"), "{said}");
    assert_eq!((bench.asked("token"), bench.asked("session"), bench.sandbox.totals().created), (1, 1, 0));
    let said = bench.leadsync(&["auth", "refresh", "7targets"]).await.ends(0).out;
    assert!(said.contains(" · generation 2"), "{said}");
    assert_eq!((bench.asked("token"), bench.asked("session")), (2, 1));
    let token = standing(&bench, "7targets").await;
    assert_eq!((&token["generation"], &token["refreshes_24h"]), (&2.into(), &2.into()));
    assert!(!token["refreshed_by"].as_str().unwrap().contains("run"), "{token}");
    bench.import(&csv(1..=3)).await.ends(0);
    bench.has_exactly(1..=3);
    assert_eq!((bench.asked("token"), bench.asked("session")), (2, 1));
    bench.leadsync(&["auth", "refresh", "7target"]).await.ends(2).says("did you mean `7targets`?");
    // Two at once share what comes.
    let (one, other) = (bench.start(&["auth", "refresh", "7targets"]), bench.start(&["auth", "refresh", "7targets"]));
    let (one, other) = tokio::join!(one.ended(), other.ended());
    one.ends(0);
    other.ends(0);
    assert!((3..=4).contains(&bench.asked("token")), "{}", bench.asked("token"));
}

async fn a_refresh_that_is_refused_ends_with_2_and_one_that_is_not_answered_with_4(kind: Kind) {
    let bench = Bench::with(kind, |options| options.live_data.found = 1.0).await;
    bench.look_up();
    bench.import(&csv([1])).await.ends(0);
    let secret = bench.get("destinations.7targets.client_secret");
    bench.set("destinations.7targets.client_secret", "sandbox-wrong-secret");
    let said = bench.leadsync(&["auth", "refresh"]).await.ends(2).says("could not refresh the token of `7targets`");
    assert!(said.err.contains("invalid_client") && said.err.contains("[destinations.7targets]"), "{}", said.err);
    assert!(said.out.contains("enrich    new token"), "one that fails is no reason to leave the others: {}", said.out);
    bench.set("destinations.7targets.client_secret", "${NO_SUCH_SECRET}");
    bench.leadsync(&["auth", "refresh", "7targets"]).await.ends(2).says("NO_SUCH_SECRET");
    bench.set("destinations.7targets.client_secret", secret);
    // The token that was there before is still good.
    bench.import(&csv([2])).await.ends(0);
    assert_eq!(standing(&bench, "7targets").await["generation"], 1);
    bench.set("destinations.7targets.token_url", "http://127.0.0.1:9/oauth2/token");
    bench.leadsync(&["auth", "refresh", "7targets"]).await.ends(4).says("127.0.0.1:9");
    bench.leadsync(&["auth", "refresh", "enrich"]).await.ends(0);
}

async fn after_a_new_key_the_old_one_is_not_needed(kind: Kind) {
    let bench = Bench::with(kind, |options| options.live_data.found = 1.0).await;
    bench.look_up();
    let keys = |keys: &[&str]| {
        let keys: toml::value::Array = keys.iter().map(|key| (*key).into()).collect();
        bench.set("security.encryption_key", keys);
    };
    let rekey = async || bench.leadsync(&["auth", "rekey"]).await;
    let told = |said: crate::bench::Said, words: &str| assert!(said.out.contains(words), "{said:?}");
    keys(&[OLD]);
    bench.import(&csv([1])).await.ends(0);
    told(rekey().await.ends(0), "0 sealed values sealed anew under the newest key, 3 already\nthere is only one key");
    keys(&[NEW]);
    rekey().await.ends(2).says("put back the key that was used before");
    keys(&[NEW, OLD]);
    // One token as if it had been renewed by itself meanwhile.
    bench.leadsync(&["auth", "refresh", "enrich"]).await.ends(0);
    told(rekey().await.ends(0), "2 sealed values sealed anew under the newest key, 1 already\nthe other key in");
    told(rekey().await.ends(0), "0 sealed values sealed anew under the newest key, 3 already");
    // Old key gone, the next one at work: tokens are good, and who was claimed is known.
    keys(&[NEW]);
    bench.import(&csv([1, 2])).await.ends(0).says("skipped 1");
    bench.has_exactly([1, 2]);
    assert_eq!((bench.asked("token"), bench.asked("session")), (1, 2));
    keys(&[OLD]);
    bench.run().await.ends(2).says("put back the key that was used before");
    // What no key opens is named, and the rest is done.
    keys(&[OLD, NEW]);
    bench.database.sql("UPDATE tokens SET sealed = substr(sealed, 1, 40) WHERE account LIKE '7targets-%'");
    let said = rekey().await.ends(2).says("the token of 7targets-");
    told(said, "2 sealed values sealed anew");
    keys(&[OLD]);
    bench.import(&csv([3])).await.ends(0);
    told(rekey().await.ends(0), "3 already");
}

async fn the_key_file_of_sqlite_is_changed_in_the_same_way(kind: Kind) {
    if kind == Kind::Postgres {
        return;
    }
    let bench = Bench::new(kind).await;
    bench.import(&csv([1])).await.ends(0);
    let said = bench.leadsync(&["auth", "rekey"]).await.ends(0).out;
    // What it says is done.
    let (_, proposed) = said.split_once("before the old one: ").unwrap();
    let (command, _) = proposed.split_once(", start every process anew").unwrap();
    let done = std::process::Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(done.success(), "{command}");
    let file = bench.database.file().with_extension("db.key");
    assert_eq!(crate::bench::read(&file).lines().count(), 2);
    let said = bench.leadsync(&["auth", "rekey"]).await.ends(0).out;
    assert!(said.contains("2 sealed values sealed anew") && said.contains(".key` is no longer needed"), "{said}");
    let newest = crate::bench::read(&file).lines().next().unwrap().to_owned();
    std::fs::write(&file, newest).unwrap();
    bench.import(&csv([1, 2])).await.ends(0).says("skipped 1");
    assert_eq!(bench.asked("token"), 1);
}

/// `doctor --json`: level and check of what it found for one account, and its exit code.
async fn examined(bench: &Bench, account: Option<&str>, code: i32) -> Vec<(String, String)> {
    let said = bench.leadsync(&["doctor", "--json"]).await.ends(code);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["exit_code"], code);
    let findings = told["findings"].as_array().unwrap().iter();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    findings
        .filter(|finding| finding["account"].as_str() == account)
        .map(|finding| (text(finding, "level"), text(finding, "check")))
        .collect()
}

async fn an_examination_tells_what_is_wrong_and_changes_nothing(kind: Kind) {
    let found = |level: &str, check: &str| (level.to_owned(), check.to_owned());
    let bench = Bench::new(kind).await;
    // No database is made by looking at it.
    assert!(examined(&bench, None, 2).await.contains(&found("FAIL", "database")));
    assert_eq!(examined(&bench, Some("7targets"), 2).await, [found("WARN", "account")], "not examined, and it says so");
    let said = bench.leadsync_fed(&["doctor", "--json", "--allowlist", "-"], "1.2.3.0/19\n").await.ends(2);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(said.out.matches("write 1.2.3.0/32").count(), 1, "a remedy is told once: {told}");
    let said = bench.leadsync_fed(&["doctor", "--allowlist", "-"], "240.0.0.0/20\n8.8.8.0/24\n").await.ends(0);
    assert!(said.out.contains("2 subnets that the bank may take, of which no call can come from 1"), "{}", said.out);
    bench.queue(&csv(1..=3)).await;
    let fine = examined(&bench, Some("7targets"), 0).await;
    assert!(fine.iter().all(|(level, _)| level == "OK"), "{fine:?}");
    assert!(fine.contains(&found("OK", "token")) && fine.contains(&found("OK", "account")), "{fine:?}");
    let calls = bench.sandbox.totals().requests;
    bench.leadsync(&["pause", "7targets", "--why", "audit"]).await.ends(0);
    assert!(examined(&bench, Some("7targets"), 0).await.contains(&found("WARN", "pause")));
    assert_eq!(bench.sandbox.totals().requests, calls, "nobody is called while the account is paused");
    bench.leadsync(&["resume", "7targets"]).await.ends(0);
    bench.set("destinations.7targets.assistant_email", "nobody@sandbox.example");
    assert!(examined(&bench, Some("7targets"), 2).await.contains(&found("FAIL", "account")));
    bench.sandbox.go_down();
    assert!(examined(&bench, Some("7targets"), 4).await.contains(&found("FAIL", "connection")));
    bench.sandbox.come_back();
    let untouched = "SELECT count(*) FROM leads WHERE state = 'received' AND attempts = 0 AND lease_token IS NULL";
    assert_eq!((bench.number(untouched), bench.leads().len()), (3, 0));
}
