use std::time::Duration;

use super::*;
use crate::cli::console::plain;
use crate::cli::fake::{FakeStore, NOW};
use crate::store::Vault;

const KEY: &str = "crm-0123456789abcdef";

fn ask(term: Option<Duration>, why: Option<&str>) -> PauseArgs {
    PauseArgs { name: "crm".into(), term, why: why.map(str::to_owned) }
}

async fn resumed(store: &FakeStore, all: bool) -> Option<String> {
    let args = ResumeArgs { name: "crm".into(), all };
    lift(store, &args, NOW).await.unwrap().map(|said| plain(&said))
}

#[test]
fn a_pause_says_until_when_and_how_it_is_lifted() {
    let pause = asked(&ask(Some(Duration::from_secs(7200)), None), "ann on desk-1".into(), NOW);
    assert_eq!((pause.since, pause.until), (NOW, Some(NOW.plus(Duration::from_secs(7200)))));
    assert_eq!(
        plain(&said(&pause, NOW)),
        "crm is paused until 2026-11-22T07:30:59Z (in 2 h): its leads wait, and runs at work stop calling it within \
         seconds; leadsync resume crm lifts it"
    );
    let pause = asked(&ask(None, None), "ann on desk-1".into(), NOW);
    assert_eq!(pause.until, None);
    assert!(said(&pause, NOW).contains("until it is resumed"));
}

#[test]
fn the_reason_is_one_line_without_peoples_addresses() {
    let why = |text: &str| asked(&ask(None, Some(text)), String::new(), NOW).why;
    assert_eq!(
        why("wrong list,\n\tasked for by ann@example.com").as_deref(),
        Some("wrong list, asked for by (e-mail)")
    );
    assert_eq!(why(" \n"), None);
    assert_eq!(why(&"long ".repeat(200)).unwrap().chars().count(), WHY);
    assert!(!person().is_empty());
}

#[tokio::test]
async fn a_servers_pause_is_lifted_only_if_that_is_asked_for() {
    // The fake keeps a server's pause for good: lifting it is the store's own business.
    let until = NOW.plus(Duration::from_secs(600));
    let store =
        FakeStore { pauses: vec![Pause { account: KEY.into(), until, why: "429".into() }], ..FakeStore::default() };
    store.pause_by_hand(&asked(&ask(None, None), "ann".into(), NOW)).await.unwrap();
    assert_eq!(
        resumed(&store, false).await.unwrap(),
        "crm goes on: leadsync run sends what waits\ncrm stays paused, as its server asked, until \
         2026-11-22T05:40:59Z (in 10 min): 429; leadsync resume crm --all lifts that too"
    );
    assert!(store.hand_pauses(NOW).await.unwrap().is_empty());
    let said = resumed(&store, true).await.unwrap();
    assert!(said.starts_with("crm: lifted what its server asked for, too"), "{said}");
}

#[tokio::test]
async fn what_was_not_paused_is_told_apart() {
    let store = FakeStore::default();
    assert_eq!(resumed(&store, true).await, None);
    let over = HandPause { until: Some(NOW), ..asked(&ask(None, None), "ann".into(), NOW) };
    store.pause_by_hand(&over).await.unwrap();
    assert_eq!(resumed(&store, false).await, None, "it had run out");
    assert!(store.hand_pauses.lock().unwrap().is_empty(), "and is cleared away");
}
