use super::*;
use crate::cli::console::plain;
use crate::cli::fake::{FakeStore, NOW, lead};
use crate::store::{RunCounts, RunId, Turn, Waiting};
use std::time::Duration;

fn known() -> Known {
    Known {
        default: Some("7targets".into()),
        destinations: vec![("7targets".into(), Some(2000))],
        daily_credits: Some(5000),
        accounts: [("7targets".into(), "7targets-0123456789abcdef".into())].into(),
    }
}

fn busy() -> FakeStore {
    let mut leads: Vec<_> = (1..=3).map(|id| lead(id, LeadState::Delivered)).collect();
    leads.push(lead(4, LeadState::Unconfirmed));
    let mut unnamed = lead(5, LeadState::Received);
    unnamed.destination = None;
    let mut other = lead(6, LeadState::Received);
    other.destination = Some("crm".into());
    leads.extend([unnamed, other]);
    let counts = RunCounts { taken: 5, delivered: 3, unconfirmed: 1, ..RunCounts::default() };
    FakeStore {
        waiting: vec![
            Waiting {
                destination: None,
                due: 1,
                leased: 0,
                next_due: Some(NOW.plus(Duration::from_secs(240))),
                next_doubtful: None,
            },
            Waiting { destination: Some("crm".into()), due: 1, leased: 0, next_due: None, next_doubtful: None },
        ],
        pauses: vec![Pause {
            account: "7targets-0123456789abcdef".into(),
            until: NOW.plus(Duration::from_secs(40)),
            why: "429 Too Many Requests".into(),
        }],
        quota: vec![("7targets-0123456789abcdef".into(), 1200)],
        runs: vec![RunRecord {
            id: RunId(7),
            command: "import".into(),
            started_at: NOW.minus(Duration::from_secs(3600)),
            finished_at: Some(NOW.minus(Duration::from_secs(3587))),
            exit_code: Some(3),
            counts,
            turn: Some(Turn::Shared),
            alive_until: Some(NOW.minus(Duration::from_secs(3530))),
        }],
        ..FakeStore::of(leads)
    }
}

#[tokio::test]
async fn status_tells_counts_what_waits_pauses_quotas_and_runs() {
    let view = gather(&busy(), &known(), NOW).await.unwrap();
    insta::assert_snapshot!(plain(&render(&view)), @r"
    sqlite://leadsync.db  2026-11-22T05:30:59Z

      destination  received  delivered  unconfirmed  total
      7targets            1          3            1      5
      crm                 1          0            0      1
      all                 2          3            1      6

    waiting
      7targets  1 due now · next due in 4 min (2026-11-22T05:34:59Z)
      crm       1 due now
                not configured: these leads wait for a `[destinations.crm]`
      7targets  paused, goes on in 40 s (2026-11-22T05:31:39Z): 429 Too Many Requests

    today's quotas
      7targets  1,200 of 2,000 creates used, 800 left; begins anew in 18 h (2026-11-23T00:00:00Z)
      enrich    0 of 5,000 credits used, 5,000 left; begins anew in 18 h (2026-11-23T00:00:00Z)

    last runs
         7  import  1 h ago, took 13.0 s, exit code 3: in 5, delivered 3, unconfirmed 1

    ! 1 lead may or may not have arrived; leadsync results --state unconfirmed lists them, leadsync resolve settles them
    ");
}

#[tokio::test]
async fn the_json_object_has_the_fixed_fields() {
    let value = to_json(&gather(&busy(), &known(), NOW).await.unwrap());
    assert_eq!(value["states"]["delivered"], 3);
    assert_eq!(value["states"]["exhausted"], 0, "every state is there");
    let ours = &value["destinations"]["7targets"];
    assert_eq!(ours["states"]["received"], 1, "leads that name no destination are the default one's");
    assert_eq!(ours["due"], 1);
    assert_eq!(ours["next_due_at"], "2026-11-22T05:34:59Z");
    assert_eq!(ours["paused_until"], "2026-11-22T05:31:39Z");
    assert_eq!(ours["paused_why"], "429 Too Many Requests");
    assert_eq!(value["destinations"]["crm"]["paused_until"], Value::Null);
    let run = &value["last_run"];
    assert_eq!((&run["id"], &run["exit_code"], &run["delivered"]), (&json!(7), &json!(3), &json!(3)));
    assert_eq!(run["started_at"], "2026-11-22T04:30:59Z");
    assert_eq!(run["finished_at"], "2026-11-22T04:31:12Z");
}

#[tokio::test]
async fn a_pause_by_hand_is_told_apart_from_a_servers() {
    let store = busy();
    let pause = |name: &str, until| HandPause {
        name: name.into(),
        since: NOW.minus(Duration::from_secs(7200)),
        until,
        why: (name == "7targets").then(|| "wrong list".to_owned()),
        by: "ann on desk-1".into(),
    };
    let soon = Some(NOW.plus(Duration::from_secs(20)));
    *store.hand_pauses.lock().unwrap() = vec![pause("7targets", None), pause("enrich", soon), pause("gone", soon)];
    let view = gather(&store, &known(), NOW).await.unwrap();
    let said = plain(&render(&view));
    let waiting = said.split_once("waiting\n").unwrap().1.split_once("\n\n").unwrap().0;
    insta::assert_snapshot!(waiting, @r"
      7targets  1 due now · next due in 4 min (2026-11-22T05:34:59Z)
      crm       1 due now
                not configured: these leads wait for a `[destinations.crm]`
      7targets  paused by hand by ann on desk-1 2 h ago, until leadsync resume 7targets: wrong list
      7targets  paused, goes on in 40 s (2026-11-22T05:31:39Z): 429 Too Many Requests
      gone      paused by hand by ann on desk-1 2 h ago, goes on in 20 s (2026-11-22T05:31:19Z)
      enrich    paused by hand by ann on desk-1 2 h ago, goes on in 20 s (2026-11-22T05:31:19Z)
    ");
    let value = to_json(&view);
    let ours = &value["destinations"]["7targets"];
    // Without an end, whatever the server asked for.
    assert_eq!((&ours["paused"], &ours["paused_until"]), (&json!(true), &Value::Null));
    assert_eq!(ours["paused_why"], "paused by hand by ann on desk-1: wrong list");
    let by_hand = json!({"since": "2026-11-22T03:30:59Z", "until": null, "by": "ann on desk-1", "why": "wrong list"});
    assert_eq!(ours["paused_by_hand"], by_hand);
    assert_eq!(value["enrich"]["paused_until"], "2026-11-22T05:31:19Z");
    assert_eq!(value["destinations"]["gone"]["configured"], false);
    let crm = &value["destinations"]["crm"];
    assert_eq!((&crm["paused"], &crm["paused_by_hand"]), (&json!(false), &Value::Null));

    // The server's ends later.
    *store.hand_pauses.lock().unwrap() = vec![pause("7targets", soon)];
    let ours = &to_json(&gather(&store, &known(), NOW).await.unwrap())["destinations"]["7targets"];
    assert_eq!(ours["paused_until"], "2026-11-22T05:31:39Z");
    assert_eq!(ours["paused_why"], "429 Too Many Requests");
    assert_eq!(ours["paused_by_hand"]["until"], "2026-11-22T05:31:19Z");
}

#[tokio::test]
async fn a_run_that_did_not_end_is_at_work_or_it_was_killed() {
    let mut store = busy();
    let run = |id, turn, alive_until| RunRecord {
        id: RunId(id),
        command: "run".into(),
        started_at: NOW.minus(Duration::from_secs(120)),
        finished_at: None,
        exit_code: None,
        counts: RunCounts::default(),
        turn,
        alive_until,
    };
    let silent = run(8, Some(Turn::Shared), Some(NOW.minus(Duration::from_secs(1))));
    let at_work = Some(NOW.plus(Duration::from_secs(50)));
    store.runs = vec![run(10, Some(Turn::Exclusive), at_work), run(9, None, at_work), silent];
    let view = gather(&store, &known(), NOW).await.unwrap();
    let said = plain(&render(&view));
    let runs = said.split_once("last runs\n").unwrap().1;
    let runs: Vec<&str> = runs.lines().take(3).collect();
    assert!(runs[0].contains("at work, exclusive: in 0"), "{said}");
    assert!(runs[1].contains("at work: in 0"), "{said}");
    assert!(runs[2].contains("did not end: killed, or cut off from the database: in 0"), "{said}");
    let last = &to_json(&view)["last_run"];
    assert_eq!((&last["at_work"], &last["exclusive"], &last["exit_code"]), (&json!(true), &json!(true), &Value::Null));
}

#[tokio::test]
async fn an_empty_database_says_how_to_begin() {
    let view = gather(&FakeStore::default(), &Known::default(), NOW).await.unwrap();
    insta::assert_snapshot!(plain(&render(&view)), @r"
    sqlite://leadsync.db  2026-11-22T05:30:59Z

      no leads yet; leadsync import FILE brings some in
    ");
    assert_eq!(to_json(&view)["last_run"], Value::Null);
}
