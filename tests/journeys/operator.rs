//! The operator's hand on accounts: how their tokens stand, a new one now, a new key for all that is sealed, pauses.

use serde_json::Value;

use crate::bench::{Bench, csv};
use crate::support::database::Kind;

journeys![how_a_token_stands_is_told_without_secrets_and_without_calls];

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
