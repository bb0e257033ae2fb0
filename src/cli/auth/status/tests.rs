use std::time::Duration;

use super::*;
use crate::cli::console::plain;
use crate::cli::fake::{FakeStore, NOW};
use crate::store::TokenRefresh;

const MINUTE: Duration = Duration::from_secs(60);

/// A token of an hour, refreshed so long ago.
fn token(account: &str, generation: i64, age: Duration) -> TokenStanding {
    let refreshed_at = NOW.minus(age);
    TokenStanding {
        account: account.into(),
        token: StoredToken {
            generation,
            sealed: b"opaque".to_vec(),
            expires_at: refreshed_at.plus(MINUTE * 60),
            refreshed_at,
            refreshed_by: Some("web-1 (process 17, run 7)".into()),
            needs_login: None,
        },
        refreshing_until: None,
    }
}

/// The row of an account that never had a token.
fn row(account: &str, needs_login: Option<&str>, refreshing_until: Option<Timestamp>) -> TokenStanding {
    let mut standing = token(account, 0, MINUTE);
    (standing.token.refreshed_at, standing.token.expires_at) = (Timestamp::default(), Timestamp::default());
    (standing.token.needs_login, standing.token.refreshed_by) = (needs_login.map(str::to_owned), None);
    TokenStanding { refreshing_until, ..standing }
}

fn tokens(key: &str) -> Login {
    Login::Tokens { key: key.into(), rotates: false, by_browser: true }
}

fn rotating(key: &str) -> Login {
    Login::Tokens { key: key.into(), rotates: true, by_browser: true }
}

async fn views(store: &FakeStore, configured: &[(&'static str, Login)]) -> Vec<View> {
    let configured = configured.iter().cloned().collect();
    gather(store, &configured, NOW).await.unwrap()
}

#[test]
fn an_agency_is_an_account_that_one_of_its_destinations_logs_in() {
    let of = |name: &str, company: &str| {
        format!(
            "[destinations.{name}]\nkind = \"lead_connector\"\nlocation_id = \"{name}\"\nclient_id = \"app\"\n\
             client_secret = \"hush\"\n{company}\n"
        )
    };
    let agency = "company_id = \"co1\"";
    let text = [of("crm", "company_id = \"co1\"\ndefault = true"), of("crm2", agency), of("own", "")].concat();
    let settings = crate::config::parse("leadsync.toml", &text, crate::config::Environment::default()).unwrap();
    let known = accounts_without_secrets(&settings);
    let found = agencies(&known);
    let found: Vec<_> = found.iter().map(|(name, (agency, whose))| (*name, agency.name(), whose.clone())).collect();
    assert_eq!(found, [("agency.co1", "agency.co1", vec!["crm", "crm2"])]);
}

#[tokio::test]
async fn each_state_is_told_with_what_there_is_to_know() {
    let login = StoredToken { needs_login: Some("its refresh token was refused".into()), ..token("", 4, MINUTE).token };
    let store = FakeStore {
        tokens: vec![
            token("a_ok-4fd2056de85c6a70", 3, MINUTE * 10),
            token("b_soon-4fd2056de85c6a70", 3, MINUTE * 59),
            token("c_expired-4fd2056de85c6a70", 3, MINUTE * 120),
            TokenStanding { token: login, ..token("d_dead-4fd2056de85c6a70", 4, MINUTE) },
            row("e_never-4fd2056de85c6a70", Some("it was refused"), None),
            row("f_first-4fd2056de85c6a70", None, Some(NOW.plus(Duration::from_secs(20)))),
            row("g_lost-4fd2056de85c6a70", None, Some(NOW.minus(MINUTE))),
            token("k_gone-4fd2056de85c6a70", 3, MINUTE * 10),
        ],
        ..FakeStore::default()
    };
    let key = |name: &str| tokens(&format!("{name}-4fd2056de85c6a70"));
    let views = views(
        &store,
        &[
            ("a_ok", key("a_ok")),
            ("b_soon", key("b_soon")),
            ("c_expired", key("c_expired")),
            ("d_dead", key("d_dead")),
            ("e_never", key("e_never")),
            ("f_first", key("f_first")),
            ("g_lost", key("g_lost")),
            ("h_none", key("h_none")),
            ("i_static", Login::Static),
            ("j_open", Login::Open),
        ],
    )
    .await;
    insta::assert_snapshot!(plain(&render(&views)), @r"
    a_ok       ok                 expires in 50 min (2026-11-22T06:20:59Z) · generation 3 · refreshed 10 min ago by web-1 (process 17, run 7)
    b_soon     expires soon       expires in 1 min (2026-11-22T05:31:59Z) · generation 3 · refreshed 59 min ago by web-1 (process 17, run 7)
    c_expired  expired            expired 1 h ago, refreshed when next needed · generation 3 · refreshed 2 h ago by web-1 (process 17, run 7)
    d_dead     needs login        its refresh token was refused · expires in 59 min (2026-11-22T06:29:59Z) · generation 4 · refreshed 1 min ago by web-1 (process 17, run 7)
               → log in again: `leadsync auth login d_dead`, or put a new refresh token into `refresh_token`
    e_never    needs login        it was refused
               → log in again: `leadsync auth login e_never`, or put a new refresh token into `refresh_token`
    f_first    refresh under way  nobody else begins one before 2026-11-22T05:31:19Z
    g_lost     none yet           asked for when the account is first called
               ! a refresh began and nobody told how it ended; whoever needs a token next looks into it
    h_none     none yet           asked for when the account is first called
    i_static   static             nothing to refresh
    j_open     no authentication  it is called without credentials
    k_gone     ok                 expires in 50 min (2026-11-22T06:20:59Z) · generation 3 · refreshed 10 min ago by web-1 (process 17, run 7)
               ! not configured: left over
    ");
    let states: Vec<&str> = views.iter().map(|view| view.state.as_str()).collect();
    let expected = [
        "ok",
        "expires_soon",
        "expired",
        "needs_login",
        "needs_login",
        "refresh_under_way",
        "none_yet",
        "none_yet",
        "static",
        "no_authentication",
        "ok",
    ];
    assert_eq!(states, expected);
}

fn render(views: &[View]) -> String {
    show::render(views, NOW)
}

#[tokio::test]
async fn a_token_of_another_account_of_the_same_name_is_only_left_over() {
    let store = FakeStore {
        tokens: vec![token("crm-0000000000000001", 9, MINUTE), token("crm-0000000000000002", 2, MINUTE * 30)],
        ..FakeStore::default()
    };
    let found = views(&store, &[("crm", tokens("crm-0000000000000002"))]).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].token().unwrap().generation, 2);
    assert_eq!((found[0].orphans.as_slice(), found[0].other_chain), (&["crm-0000000000000001".to_owned()][..], false));
    let found = views(&store, &[("crm", tokens("crm-0000000000000003"))]).await;
    assert_eq!((found[0].state, found[0].orphans.len()), (State::NoneYet, 2));
}

#[tokio::test]
async fn without_its_refresh_token_the_newest_chain_of_an_account_is_shown() {
    let store = FakeStore {
        tokens: vec![token("crm-0000000000000001", 9, MINUTE), token("crm-0000000000000002", 2, MINUTE * 30)],
        ..FakeStore::default()
    };
    let found = views(&store, &[("crm", rotating("crm-0000000000000002"))]).await;
    assert_eq!((found[0].token().unwrap().generation, found[0].other_chain), (2, false));
    for login in [rotating("crm-ffffffffffffffff"), Login::Untold] {
        let found = views(&store, &[("crm", login)]).await;
        assert_eq!((found[0].token().unwrap().generation, found[0].other_chain), (9, true));
        assert_eq!(found[0].orphans, ["crm-0000000000000002"]);
        assert!(render(&found).contains("whether it is the configuration's can't be told"));
    }
}

#[tokio::test]
async fn a_grant_that_somebody_else_uses_too_is_pointed_out() {
    let key = "crm-0000000000000001";
    let every = |minutes: u32| FakeStore {
        tokens: vec![token(key, 200, MINUTE)],
        refreshes: (0..24 * 60 / minutes)
            .map(|n| {
                let refreshed_at = NOW.minus(MINUTE * minutes * n);
                TokenRefresh {
                    account: key.into(),
                    generation: i64::from(200 - n),
                    refreshed_at,
                    expires_at: refreshed_at.plus(MINUTE * 60),
                    refreshed_by: None,
                }
            })
            .collect(),
        ..FakeStore::default()
    };
    let found = views(&every(10), &[("crm", tokens(key))]).await;
    let said = plain(&render(&found));
    assert!(said.contains("144 in 24 h, its life explains 25"), "{said}");
    assert!(said.contains("! refreshed unusually often: do two deployments share this grant?"), "{said}");
    let json = &show::to_json(&found)["accounts"]["crm"];
    assert_eq!((&json["refreshes_24h"], &json["refreshed_unusually_often"]), (&144.into(), &true.into()));
    let found = views(&every(59), &[("crm", tokens(key))]).await;
    assert!(!render(&found).contains("unusually often"));
}

#[tokio::test]
async fn programs_get_every_field_of_every_account() {
    let store = FakeStore { tokens: vec![token("crm-0000000000000001", 3, MINUTE * 10)], ..FakeStore::default() };
    let found = views(&store, &[("crm", tokens("crm-0000000000000001")), ("enrich", Login::Static)]).await;
    insta::assert_snapshot!(serde_json::to_string_pretty(&show::to_json(&found)).unwrap(), @r#"
    {
      "accounts": {
        "crm": {
          "configured": true,
          "expires_at": "2026-11-22T06:20:59Z",
          "explained_24h": null,
          "generation": 3,
          "needs_login": null,
          "orphans": [],
          "other_chain": false,
          "refreshed_at": "2026-11-22T05:20:59Z",
          "refreshed_by": "web-1 (process 17, run 7)",
          "refreshed_unusually_often": false,
          "refreshes_24h": 0,
          "refreshing_until": null,
          "state": "ok"
        },
        "enrich": {
          "configured": true,
          "expires_at": null,
          "explained_24h": null,
          "generation": null,
          "needs_login": null,
          "orphans": [],
          "other_chain": false,
          "refreshed_at": null,
          "refreshed_by": null,
          "refreshed_unusually_often": false,
          "refreshes_24h": 0,
          "refreshing_until": null,
          "state": "static"
        }
      }
    }
    "#);
}

#[tokio::test]
async fn nothing_at_all_is_said_to_be_so() {
    assert_eq!(render(&views(&FakeStore::default(), &[]).await), "no account is configured, and no token is stored");
}
