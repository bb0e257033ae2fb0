//! What accounts share.

use std::time::Duration;

use leadsync::clock::{Clock, SystemClock, Timestamp};
use leadsync::lead::{LookUp, Person};
use leadsync::store::{
    CachedLookUp, CallId, HandPause, Pause, PlacesAsk, REFRESHES_KEPT, REFRESHES_KEPT_FOR, RefreshTurn, SealedAt,
    StoredToken, TokenRefresh, TokenStanding,
};

use crate::bench::{Bench, NOW, call, fingerprint, later};

cases![
    a_token_is_replaced_only_by_its_successor,
    one_worker_refreshes_while_the_others_wait,
    eight_workers_get_one_turn,
    a_refresh_that_never_ended_is_counted_until_the_generation_changes,
    asking_again_for_the_same_turn_is_no_repeat_and_holds_it_for_longer,
    an_abandoned_refresh_makes_room_and_does_not_count_as_lost,
    a_token_service_that_wants_a_pause_gets_it_from_all_workers,
    an_outdated_generation_gets_no_turn,
    a_dead_grant_is_marked_by_whose_turn_it_is_while_it_is_current,
    a_grant_that_was_dead_from_the_start_is_remembered,
    refreshes_are_logged_with_who_did_them_and_trimmed,
    what_is_sealed_is_sealed_anew_only_if_it_is_still_the_same,
    the_first_sealed_key_stays,
    a_quota_gives_what_is_left_and_takes_back,
    a_quota_is_exact_for_eight_workers,
    look_ups_are_cached_for_as_long_as_asked,
    an_older_answer_never_replaces_a_newer_one,
    the_longer_pause_wins_and_can_be_lifted,
    the_newest_word_of_a_person_on_a_pause_counts,
    a_pause_by_hand_and_a_servers_leave_each_other_alone,
    a_rate_limit_is_shared_and_its_places_come_back,
    a_rate_limit_is_exact_for_eight_workers,
    whoever_shares_a_rate_limit_is_told_of_a_pause,
];

fn token(generation: i64) -> StoredToken {
    StoredToken {
        generation,
        sealed: vec![0, 255, u8::try_from(generation).unwrap()],
        expires_at: later(3_600_000),
        refreshed_at: NOW,
        refreshed_by: Some(format!("host (process {generation})")),
        needs_login: None,
    }
}

async fn a_token_is_replaced_only_by_its_successor(bench: Bench) {
    assert_eq!(bench.token("acme").await.unwrap(), None);
    assert!(!bench.replace_token("acme", 3, &token(4)).await.unwrap(), "there is no third");
    assert!(bench.replace_token("acme", 0, &token(1)).await.unwrap());
    assert!(!bench.replace_token("acme", 0, &token(1)).await.unwrap());
    assert!(bench.replace_token("acme", 1, &token(2)).await.unwrap());
    assert!(!bench.replace_token("acme", 1, &token(2)).await.unwrap());
    assert_eq!(bench.token("acme").await.unwrap(), Some(token(2)));
    assert!(bench.replace_token("other", 0, &token(1)).await.unwrap());
    let standing = |account: &str, generation| TokenStanding {
        account: account.to_owned(),
        token: token(generation),
        refreshing_until: None,
    };
    assert_eq!(bench.tokens().await.unwrap(), [standing("acme", 2), standing("other", 1)]);
}

async fn turn(bench: &Bench, generation: i64, holder: i64, now: Timestamp) -> RefreshTurn {
    let until = Timestamp::from_ms(now.ms() + 1_000);
    bench.begin_refresh("acme", generation, holder, until, now).await.unwrap()
}

async fn one_worker_refreshes_while_the_others_wait(bench: Bench) {
    assert_eq!(turn(&bench, 0, 1, NOW).await, RefreshTurn::Yours { lost: 0 });
    assert_eq!(bench.token("acme").await.unwrap(), None, "a refresh that has begun is no token");
    let seen = bench.tokens().await.unwrap();
    assert_eq!((seen.len(), seen[0].token.generation, seen[0].refreshing_until), (1, 0, Some(later(1_000))));
    assert_eq!(turn(&bench, 0, 2, later(999)).await, RefreshTurn::Busy { until: later(1_000) });
    assert!(bench.replace_token("acme", 0, &token(1)).await.unwrap());
    assert_eq!(turn(&bench, 0, 2, later(999)).await, RefreshTurn::Superseded);
    assert_eq!(turn(&bench, 1, 2, later(999)).await, RefreshTurn::Yours { lost: 0 });
}

async fn eight_workers_get_one_turn(bench: Bench) {
    let bench = &bench;
    let turns = (0..8).map(|holder| async move {
        let store = bench.database.again().await;
        store.begin_refresh("acme", 0, holder, later(1_000), NOW).await.unwrap()
    });
    let turns = futures_util::future::join_all(turns).await;
    let mine = turns.iter().filter(|turn| **turn == RefreshTurn::Yours { lost: 0 }).count();
    let busy = turns.iter().filter(|turn| **turn == RefreshTurn::Busy { until: later(1_000) }).count();
    assert_eq!((mine, busy), (1, 7));
}

async fn a_refresh_that_never_ended_is_counted_until_the_generation_changes(bench: Bench) {
    turn(&bench, 0, 1, NOW).await;
    assert_eq!(turn(&bench, 0, 2, later(1_000)).await, RefreshTurn::Yours { lost: 1 });
    assert_eq!(turn(&bench, 0, 3, later(1_500)).await, RefreshTurn::Busy { until: later(2_000) });
    assert_eq!(turn(&bench, 0, 3, later(2_000)).await, RefreshTurn::Yours { lost: 2 });
    assert!(bench.replace_token("acme", 0, &token(1)).await.unwrap());
    assert_eq!(turn(&bench, 1, 4, later(2_500)).await, RefreshTurn::Yours { lost: 0 });
}

async fn asking_again_for_the_same_turn_is_no_repeat_and_holds_it_for_longer(bench: Bench) {
    turn(&bench, 0, 1, NOW).await;
    assert_eq!(turn(&bench, 0, 1, later(500)).await, RefreshTurn::Yours { lost: 0 });
    assert_eq!(turn(&bench, 0, 2, later(1_400)).await, RefreshTurn::Busy { until: later(1_500) });
    // Even after it lapsed, as long as nobody else asked.
    assert_eq!(turn(&bench, 0, 1, later(9_000)).await, RefreshTurn::Yours { lost: 0 });
}

async fn an_abandoned_refresh_makes_room_and_does_not_count_as_lost(bench: Bench) {
    turn(&bench, 0, 1, NOW).await;
    bench.abandon_refresh("acme", 2, NOW).await.unwrap();
    assert!(matches!(turn(&bench, 0, 3, NOW).await, RefreshTurn::Busy { .. }), "only the holder can abandon it");
    bench.abandon_refresh("acme", 1, NOW).await.unwrap();
    assert_eq!(turn(&bench, 0, 3, NOW).await, RefreshTurn::Yours { lost: 0 });
    // That of the third is lost; that of the fourth isn't, but that doesn't bring back what the third may have spent.
    assert_eq!(turn(&bench, 0, 4, later(1_000)).await, RefreshTurn::Yours { lost: 1 });
    bench.abandon_refresh("acme", 4, later(1_000)).await.unwrap();
    assert_eq!(turn(&bench, 0, 5, later(1_000)).await, RefreshTurn::Yours { lost: 1 });
}

async fn a_token_service_that_wants_a_pause_gets_it_from_all_workers(bench: Bench) {
    turn(&bench, 0, 1, NOW).await;
    bench.abandon_refresh("acme", 1, later(700)).await.unwrap();
    assert_eq!(turn(&bench, 0, 2, later(699)).await, RefreshTurn::Busy { until: later(700) });
    assert_eq!(turn(&bench, 0, 2, later(700)).await, RefreshTurn::Yours { lost: 0 });
}

async fn an_outdated_generation_gets_no_turn(bench: Bench) {
    bench.replace_token("acme", 0, &token(1)).await.unwrap();
    assert_eq!(turn(&bench, 0, 1, NOW).await, RefreshTurn::Superseded);
    assert_eq!(turn(&bench, 2, 1, NOW).await, RefreshTurn::Superseded);
}

async fn a_dead_grant_is_marked_by_whose_turn_it_is_while_it_is_current(bench: Bench) {
    let why = "the refresh token was refused";
    bench.replace_token("acme", 0, &token(1)).await.unwrap();
    turn(&bench, 1, 1, NOW).await;
    assert!(!bench.mark_needs_login("acme", 0, 1, why).await.unwrap(), "of an older generation");
    assert!(!bench.mark_needs_login("acme", 1, 2, why).await.unwrap(), "not its turn");
    assert_eq!(bench.token("acme").await.unwrap().unwrap().needs_login, None);
    assert!(bench.mark_needs_login("acme", 1, 1, why).await.unwrap());
    assert_eq!(bench.token("acme").await.unwrap().unwrap().needs_login.as_deref(), Some(why));
    assert_eq!(turn(&bench, 1, 3, later(90_000)).await, RefreshTurn::NeedsLogin { why: why.to_owned() });
    assert!(bench.replace_token("acme", 1, &token(2)).await.unwrap());
    assert_eq!(bench.token("acme").await.unwrap(), Some(token(2)));
    assert_eq!(turn(&bench, 2, 3, NOW).await, RefreshTurn::Yours { lost: 0 });
}

async fn a_grant_that_was_dead_from_the_start_is_remembered(bench: Bench) {
    turn(&bench, 0, 1, NOW).await;
    assert!(bench.mark_needs_login("acme", 0, 1, "refused").await.unwrap());
    assert_eq!(turn(&bench, 0, 2, later(90_000)).await, RefreshTurn::NeedsLogin { why: "refused".to_owned() });
    assert_eq!(bench.token("acme").await.unwrap(), None, "that is no token");
    let all = bench.tokens().await.unwrap();
    assert_eq!((all.len(), all[0].token.generation, all[0].refreshing_until), (1, 0, None));
    assert_eq!(all[0].token.needs_login.as_deref(), Some("refused"));
}

async fn refreshes_are_logged_with_who_did_them_and_trimmed(bench: Bench) {
    let refresh = |account: &str, generation: i64, at: Timestamp| TokenRefresh {
        account: account.to_owned(),
        generation,
        refreshed_at: at,
        expires_at: later(3_600_000),
        refreshed_by: token(generation).refreshed_by,
    };
    let put = async |account: &str, generation: i64, at: Timestamp| {
        let token = StoredToken { sealed: vec![1], refreshed_at: at, generation, ..token(1) };
        let token = StoredToken { refreshed_by: Some(format!("host (process {generation})")), ..token };
        bench.replace_token(account, generation - 1, &token).await.unwrap()
    };
    assert!(put("acme", 1, NOW).await && put("other", 1, later(5)).await && put("acme", 2, later(10)).await);
    assert!(!put("acme", 2, later(20)).await, "who was not first refreshed nothing");
    let all = [refresh("acme", 1, NOW), refresh("acme", 2, later(10)), refresh("other", 1, later(5))];
    assert_eq!(bench.refreshes(NOW).await.unwrap(), all);
    assert_eq!(bench.refreshes(later(6)).await.unwrap(), [refresh("acme", 2, later(10))]);
    // By age.
    let much_later = later(10).plus(REFRESHES_KEPT_FOR);
    assert!(put("acme", 3, much_later).await);
    let kept = [refresh("acme", 2, later(10)), refresh("acme", 3, much_later), refresh("other", 1, later(5))];
    assert_eq!(bench.refreshes(NOW).await.unwrap(), kept);
    // By number.
    for generation in 4..=REFRESHES_KEPT + 2 {
        assert!(put("acme", generation, much_later).await);
    }
    let of_acme = bench.refreshes(NOW).await.unwrap().into_iter().filter(|it| it.account == "acme");
    let generations: Vec<i64> = of_acme.map(|it| it.generation).collect();
    assert_eq!(generations, (3..=REFRESHES_KEPT + 2).collect::<Vec<_>>());
    // A chain that begins anew, and meets what is left of the one before.
    bench.database.sql("DELETE FROM tokens");
    assert!(put("acme", 1, much_later).await);
    for generation in 2..=3 {
        assert!(put("acme", generation, much_later.plus(Duration::from_secs(1))).await);
    }
}

async fn what_is_sealed_is_sealed_anew_only_if_it_is_still_the_same(bench: Bench) {
    assert!(bench.sealed().await.unwrap().is_empty());
    let (key, acme) = (SealedAt::Key("claims".to_owned()), SealedAt::Token("acme".to_owned()));
    bench.keep_sealed_key("claims", &[1, 0, 255]).await.unwrap();
    turn(&bench, 0, 1, NOW).await;
    assert_eq!(bench.sealed().await.unwrap(), [(key.clone(), vec![1, 0, 255])], "a refresh that began has no token");
    bench.replace_token("acme", 0, &token(1)).await.unwrap();
    assert_eq!(bench.sealed().await.unwrap(), [(key.clone(), vec![1, 0, 255]), (acme.clone(), token(1).sealed)]);

    assert!(bench.reseal(&key, &[1, 0, 255], &[2]).await.unwrap());
    assert!(!bench.reseal(&key, &[1, 0, 255], &[3]).await.unwrap(), "done already");
    assert_eq!(bench.sealed_key("claims").await.unwrap(), Some(vec![2]));
    // Refreshed meanwhile.
    bench.replace_token("acme", 1, &token(2)).await.unwrap();
    assert!(!bench.reseal(&acme, &token(1).sealed, &[9]).await.unwrap());
    assert_eq!(bench.token("acme").await.unwrap(), Some(token(2)));
    assert!(bench.reseal(&acme, &token(2).sealed, &[9, 0]).await.unwrap());
    assert_eq!(bench.token("acme").await.unwrap(), Some(StoredToken { sealed: vec![9, 0], ..token(2) }));
    assert!(!bench.reseal(&SealedAt::Token("none".to_owned()), &[], &[9]).await.unwrap());
    // A turn that was taken stays taken, and its holder stores the successor.
    turn(&bench, 2, 5, NOW).await;
    assert!(bench.reseal(&acme, &[9, 0], &[8]).await.unwrap());
    assert!(matches!(turn(&bench, 2, 6, later(10)).await, RefreshTurn::Busy { .. }));
    assert!(bench.replace_token("acme", 2, &token(3)).await.unwrap());
}

async fn the_first_sealed_key_stays(bench: Bench) {
    assert_eq!(bench.sealed_key("claims").await.unwrap(), None);
    assert_eq!(bench.keep_sealed_key("claims", &[1, 0, 255]).await.unwrap(), [1, 0, 255]);
    assert_eq!(bench.keep_sealed_key("claims", &[2]).await.unwrap(), [1, 0, 255]);
    assert_eq!(bench.sealed_key("claims").await.unwrap(), Some(vec![1, 0, 255]));
}

async fn a_quota_gives_what_is_left_and_takes_back(bench: Bench) {
    let day = NOW.utc_day();
    assert_eq!(bench.quota_used("acme", day).await.unwrap(), 0);
    assert_eq!(bench.take_quota("acme", day, 7, Some(10)).await.unwrap(), 7);
    assert_eq!(bench.take_quota("acme", day, 7, Some(10)).await.unwrap(), 3);
    assert_eq!(bench.take_quota("acme", day, 7, Some(10)).await.unwrap(), 0);
    assert_eq!(bench.take_quota("acme", day, -4, Some(10)).await.unwrap(), -4);
    assert_eq!(bench.quota_used("acme", day).await.unwrap(), 6);
    assert_eq!(bench.take_quota("acme", day, -9, Some(10)).await.unwrap(), -6, "never below zero");
    assert_eq!(bench.take_quota("acme", day + 1, 7, None).await.unwrap(), 7);
    assert_eq!(bench.take_quota("acme", day + 1, 1, Some(3)).await.unwrap(), 0, "a limit lowered meanwhile");
}

async fn a_quota_is_exact_for_eight_workers(bench: Bench) {
    let bench = &bench;
    let takers = (0..8).map(|_| async move {
        let store = bench.database.again().await;
        let mut got = 0;
        for _ in 0..10 {
            got += store.take_quota("acme", 1, 3, Some(100)).await.unwrap();
        }
        got
    });
    let got: i64 = futures_util::future::join_all(takers).await.into_iter().sum();
    assert_eq!((got, bench.quota_used("acme", 1).await.unwrap()), (100, 100));
}

fn answer(key: &str, answer: LookUp, fetched_ms: i64) -> CachedLookUp {
    CachedLookUp { key: fingerprint(key), answer, fetched_at: later(fetched_ms), call: Some(CallId(5)) }
}

fn found(name: &str) -> LookUp {
    LookUp::Found { person: Box::new(Person { name: Some(name.to_owned()), ..Person::default() }) }
}

async fn look_ups_are_cached_for_as_long_as_asked(bench: Bench) {
    let answers = [answer("a", found("Ann \"Bee\""), 0), answer("b", LookUp::NotFound, 10)];
    bench.remember(&answers, &[call(5, None)]).await.unwrap();
    let keys = [fingerprint("a"), fingerprint("b"), fingerprint("c")];
    let cached = bench.cached(&keys, NOW).await.unwrap();
    assert_eq!(cached, answers);
    assert_eq!(bench.cached(&keys, later(1)).await.unwrap(), answers[1..]);
    assert!(bench.cached(&[], NOW).await.unwrap().is_empty());
}

async fn an_older_answer_never_replaces_a_newer_one(bench: Bench) {
    bench.remember(&[answer("a", found("new"), 10), answer("a", LookUp::NotFound, 5)], &[]).await.unwrap();
    bench.remember(&[answer("a", LookUp::NotFound, 9)], &[]).await.unwrap();
    assert_eq!(bench.cached(&[fingerprint("a")], NOW).await.unwrap(), [answer("a", found("new"), 10)]);
    bench.remember(&[answer("a", LookUp::NotFound, 11)], &[]).await.unwrap();
    assert_eq!(bench.cached(&[fingerprint("a")], NOW).await.unwrap(), [answer("a", LookUp::NotFound, 11)]);
}

async fn the_longer_pause_wins_and_can_be_lifted(bench: Bench) {
    let pause = |ms, why: &str| Pause { account: "acme".to_owned(), until: later(ms), why: why.to_owned() };
    bench.pause(&pause(50, "429")).await.unwrap();
    bench.pause(&pause(20, "short")).await.unwrap();
    assert_eq!(bench.pauses(NOW).await.unwrap(), [pause(50, "429")]);
    bench.pause(&pause(90, "402")).await.unwrap();
    assert_eq!(bench.pauses(later(89)).await.unwrap(), [pause(90, "402")]);
    assert!(bench.pauses(later(90)).await.unwrap().is_empty());
    bench.pause(&Pause { until: Timestamp::default(), ..pause(0, "") }).await.unwrap();
    assert!(bench.pauses(NOW).await.unwrap().is_empty());
}

fn by_hand(name: &str, until: Option<Timestamp>, why: Option<&str>) -> HandPause {
    HandPause {
        name: name.to_owned(),
        since: NOW,
        until,
        why: why.map(str::to_owned),
        by: "somebody on desk-1".to_owned(),
    }
}

async fn the_newest_word_of_a_person_on_a_pause_counts(bench: Bench) {
    assert!(bench.hand_pauses(NOW).await.unwrap().is_empty());
    assert!(!bench.resume_by_hand("crm").await.unwrap(), "there was nothing");
    let (crm, enrich) = (by_hand("crm", None, Some("wrong list")), by_hand("enrich", Some(later(100)), None));
    bench.pause_by_hand(&enrich).await.unwrap();
    bench.pause_by_hand(&crm).await.unwrap();
    assert_eq!(bench.hand_pauses(later(99)).await.unwrap(), [crm.clone(), enrich]);
    assert_eq!(bench.hand_pauses(later(100)).await.unwrap(), [crm], "an open end is no end");
    // Shorter than before: a person may say so.
    let shorter = HandPause { since: later(5), ..by_hand("crm", Some(later(50)), None) };
    bench.pause_by_hand(&shorter).await.unwrap();
    assert_eq!(bench.hand_pauses(later(10)).await.unwrap().first(), Some(&shorter));
    assert!(bench.hand_pauses(later(100)).await.unwrap().is_empty());
    bench.pause_by_hand(&by_hand("crm", None, None)).await.unwrap();
    assert!(bench.resume_by_hand("crm").await.unwrap());
    assert!(!bench.resume_by_hand("crm").await.unwrap());
    assert!(bench.hand_pauses(later(100)).await.unwrap().is_empty());
}

async fn a_pause_by_hand_and_a_servers_leave_each_other_alone(bench: Bench) {
    let hand = by_hand("acme", None, None);
    let server = Pause { account: "acme".to_owned(), until: later(50), why: "429".to_owned() };
    bench.pause_by_hand(&hand).await.unwrap();
    bench.pause(&server).await.unwrap();
    bench.pause(&Pause { until: Timestamp::default(), ..server.clone() }).await.unwrap();
    assert_eq!(bench.hand_pauses(NOW).await.unwrap(), [hand]);
    bench.pause(&server).await.unwrap();
    assert!(bench.resume_by_hand("acme").await.unwrap());
    assert_eq!(bench.pauses(NOW).await.unwrap(), [server]);
}

/// Ten places, each free again at once, so that only counting is tried here.
fn places(holder: i64, turn: i64, wanted: u32) -> PlacesAsk {
    PlacesAsk {
        account: "acme".to_owned(),
        count: 10,
        again: Duration::ZERO,
        holder,
        turn,
        back: Vec::new(),
        near: 0,
        wanted,
        horizon: Duration::from_secs(1),
        term: Duration::from_secs(600),
    }
}

async fn a_rate_limit_is_shared_and_its_places_come_back(bench: Bench) {
    // A database with a clock of its own goes by that.
    let now = SystemClock.now();
    let first = bench.share_places(&places(1, 1, 8), now).await.unwrap();
    assert!(first.lapsed && first.places.len() == 8, "{first:?}");
    assert!((first.now.ms() - now.ms()).abs() < 60_000, "{first:?}");
    assert_eq!(bench.share_places(&places(1, 1, 8), now).await.unwrap().places, first.places, "asked twice");
    let other = bench.share_places(&places(2, 1, 8), now).await.unwrap();
    assert_eq!(other.places.len(), 2);
    let back = PlacesAsk { back: first.places.clone(), ..places(1, 2, 0) };
    assert!(!bench.share_places(&back, now).await.unwrap().lapsed);
    let other = bench.share_places(&PlacesAsk { near: 2, ..places(2, 2, 10) }, now).await.unwrap();
    assert_eq!(other.places.len(), 8);
    // Another account is another limit.
    let stranger = PlacesAsk { account: "other".to_owned(), ..places(1, 3, 10) };
    assert_eq!(bench.share_places(&stranger, now).await.unwrap().places.len(), 10);
    // The term is over as it is begun: what a worker holds is anybody's.
    let short = PlacesAsk { near: 10, term: Duration::ZERO, ..places(2, 3, 0) };
    bench.share_places(&short, now).await.unwrap();
    let heir = bench.share_places(&places(3, 1, 10), SystemClock.now()).await.unwrap();
    assert_eq!(heir.places.len(), 10);
    let late = bench.share_places(&PlacesAsk { near: 10, ..places(2, 4, 10) }, SystemClock.now()).await.unwrap();
    assert!(late.lapsed && late.places.is_empty(), "{late:?}");
}

async fn a_rate_limit_is_exact_for_eight_workers(bench: Bench) {
    let bench = &bench;
    let takers = (0..8).map(|holder| async move {
        let store = bench.database.again().await;
        let mut got = 0;
        for turn in 1..=5 {
            let ask = PlacesAsk { count: 30, near: got, ..places(holder, turn, 1) };
            got += u32::try_from(store.share_places(&ask, SystemClock.now()).await.unwrap().places.len()).unwrap();
        }
        got
    });
    let got: Vec<u32> = futures_util::future::join_all(takers).await;
    assert!((20..=30).contains(&got.iter().sum::<u32>()), "{got:?}");
}

async fn whoever_shares_a_rate_limit_is_told_of_a_pause(bench: Bench) {
    let now = SystemClock.now();
    let until = now.plus(Duration::from_secs(600));
    let pause = Pause { account: "acme".to_owned(), until, why: "429".to_owned() };
    bench.pause(&Pause { account: "other".to_owned(), ..pause.clone() }).await.unwrap();
    assert_eq!(bench.share_places(&places(1, 1, 1), now).await.unwrap().pause, None);
    bench.pause(&pause).await.unwrap();
    assert_eq!(bench.share_places(&places(1, 2, 1), now).await.unwrap().pause, Some(pause));
}
