use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_ms(1_000_000);
const AGAIN: Duration = Duration::from_millis(1_040);

fn ask(holder: i64, turn: i64, wanted: u32) -> PlacesAsk {
    PlacesAsk {
        account: "acme".to_owned(),
        count: 10,
        again: AGAIN,
        holder,
        turn,
        back: Vec::new(),
        near: 0,
        wanted,
        horizon: Duration::from_millis(800),
        term: Duration::from_secs(5),
    }
}

fn later(ms: u64) -> Timestamp {
    NOW.plus(Duration::from_millis(ms))
}

/// A limit that has not been used for long.
fn rested(count: u32) -> Book {
    Book { again_ms: ms(AGAIN), free: vec![NOW; count as usize], workers: Vec::new() }
}

fn held(book: &Book) -> u32 {
    book.workers.iter().map(|worker| worker.held).sum()
}

#[test]
fn a_limit_nobody_knows_opens_place_by_place() {
    let book = Book::read(None, &ask(1, 1, 10), NOW);
    assert_eq!(book.free.len(), 10);
    assert!(book.free.windows(2).all(|two| two[1].ms() - two[0].ms() >= 104), "{:?}", book.free);
    assert_eq!(Book::read(Some("no book"), &ask(1, 1, 10), NOW), book, "as if nobody had known it");
}

#[test]
fn one_worker_alone_gets_what_it_can_use() {
    let mut book = rested(10);
    assert_eq!(book.turn(&ask(1, 1, 7), NOW).places.len(), 7);
    assert_eq!(book.turn(&PlacesAsk { near: 7, ..ask(1, 2, 7) }, NOW).places.len(), 3);
    assert_eq!(held(&book), 10);
}

#[test]
fn a_repeated_turn_is_answered_the_same_and_given_once() {
    let mut book = rested(10);
    let first = book.turn(&ask(1, 1, 4), NOW);
    let again = book.turn(&ask(1, 1, 4), later(50));
    assert_eq!((&again.places, again.lapsed), (&first.places, first.lapsed));
    assert_eq!(held(&book), 4);
    let back = PlacesAsk { back: vec![later(1_000); 4], ..ask(1, 2, 0) };
    book.turn(&back, later(60));
    assert_eq!((held(&book), book.free.len()), (0, 10));
}

#[test]
fn a_second_worker_gets_its_half_as_soon_as_the_first_has_given_it_back() {
    let mut book = rested(10);
    book.turn(&ask(1, 1, 10), NOW);
    assert_eq!(book.turn(&ask(2, 1, 10), NOW).places.len(), 0, "they are all in use");
    let share = book.turn(&PlacesAsk { near: 10, ..ask(1, 2, 0) }, NOW);
    assert_eq!(share.spare, 10, "who wants none needs none");
    let share = book.turn(&PlacesAsk { near: 10, ..ask(1, 3, 1) }, NOW);
    assert_eq!((share.places.len(), share.spare), (0, 5));
    book.turn(&PlacesAsk { near: 5, back: vec![NOW; 5], ..ask(1, 4, 1) }, NOW);
    assert_eq!(book.turn(&ask(2, 2, 10), NOW).places.len(), 5);
}

#[test]
fn when_there_are_fewer_places_than_workers_they_go_round() {
    let one = |holder, turn| PlacesAsk { count: 1, ..ask(holder, turn, 3) };
    let mut book = rested(1);
    let mut got = Vec::new();
    let mut turns = [0; 4];
    // Each uses its place at once and gives it back when asked next; they all ask ten times a second.
    let mut back: [Vec<Timestamp>; 4] = Default::default();
    for tenth in 0..100_u64 {
        let now = later(tenth * 100);
        for worker in 0..4 {
            turns[worker] += 1;
            let offer = PlacesAsk { back: std::mem::take(&mut back[worker]), ..one(worker as i64, turns[worker]) };
            let share = book.turn(&offer, now);
            if let Some(free) = share.places.first() {
                got.push(worker);
                back[worker].push(now.max(*free).plus(AGAIN));
            }
        }
    }
    for worker in 0..4 {
        let turns = got.iter().filter(|it| **it == worker).count();
        assert!((2..=3).contains(&turns), "worker {worker} had {turns} of {}", got.len());
    }
}

#[test]
fn what_a_dead_worker_held_comes_back_when_it_can_no_longer_be_in_use() {
    let mut book = rested(10);
    book.turn(&ask(1, 1, 10), NOW);
    assert_eq!(book.turn(&ask(2, 1, 10), later(4_999)).places.len(), 0);
    // Lapsed; but it may have been used to the last moment.
    assert_eq!(book.turn(&ask(2, 2, 10), later(5_001)).places.len(), 0);
    let share = book.turn(&ask(2, 3, 10), later(5_240));
    assert_eq!(share.places, vec![later(6_040); 10]);
    // The dead one was only slow, and believes to have them still.
    let share = book.turn(&PlacesAsk { near: 10, back: vec![later(5_300); 3], ..ask(1, 2, 10) }, later(5_300));
    assert!(share.lapsed && share.places.is_empty(), "{share:?}");
    assert_eq!(book.free.len() + held(&book) as usize, 10);
}

#[test]
fn a_worker_told_that_it_had_lapsed_is_told_so_again_if_it_asks_again() {
    let mut book = rested(10);
    assert!(book.turn(&ask(1, 1, 1), NOW).lapsed);
    assert!(book.turn(&ask(1, 1, 1), NOW).lapsed);
    assert!(!book.turn(&ask(1, 2, 1), NOW).lapsed);
}

#[test]
fn a_limit_that_is_changed_is_followed() {
    let mut book = rested(10);
    book.turn(&ask(1, 1, 4), NOW);
    book.turn(&PlacesAsk { count: 25, ..ask(1, 2, 0) }, NOW);
    assert_eq!(book.free.len() as u32 + held(&book), 25);
    book.turn(&PlacesAsk { count: 3, near: 4, ..ask(1, 3, 0) }, NOW);
    assert_eq!(book.free.len() as u32 + held(&book), 4, "the rest goes as it comes back");
    book.turn(&PlacesAsk { count: 3, back: vec![NOW; 4], ..ask(1, 4, 0) }, NOW);
    assert_eq!(book.free.len() as u32 + held(&book), 3);
    book.turn(&PlacesAsk { count: 3, again: 2 * AGAIN, ..ask(1, 5, 0) }, NOW);
    assert_eq!(book.free, [NOW.plus(AGAIN); 3], "by the longer window");
}

#[test]
fn a_clock_that_was_ahead_holds_nobody_up_once_it_is_put_right() {
    let mut book = rested(10);
    let ahead = later(3_600_000);
    book.turn(&ask(1, 1, 4), ahead);
    book.turn(&PlacesAsk { back: vec![ahead.plus(AGAIN); 4], ..ask(1, 2, 0) }, ahead);
    book.turn(&ask(2, 1, 3), ahead);
    book.turn(&ask(3, 1, 1), NOW);
    // When the worker that went away in the meantime is no longer waited for, all are there but those that it and we hold.
    assert_eq!(book.turn(&ask(3, 2, 10), later(2_100)).places.len() as u32, 10 - 3 - 1);
    assert_eq!(book.turn(&ask(4, 1, 10), later(7_000)).places.len(), 3);
}

#[test]
fn workers_that_are_configured_differently_make_no_places_and_keep_the_longer_window() {
    let mut book = rested(5);
    let mut handed_out = 0;
    for turn in 1..40 {
        let (mean, generous) = (PlacesAsk { count: 5, ..ask(1, turn, 1) }, PlacesAsk { count: 10, ..ask(2, turn, 1) });
        handed_out += book.turn(&mean, NOW).places.iter().filter(|free| **free <= NOW).count();
        handed_out += book.turn(&generous, NOW).places.iter().filter(|free| **free <= NOW).count();
    }
    assert!(handed_out <= 5, "{handed_out}");
    let mut book = rested(5);
    book.turn(&PlacesAsk { count: 5, again: 60 * AGAIN, ..ask(1, 1, 1) }, NOW);
    let before = book.free.clone();
    for turn in 1..9 {
        book.turn(&PlacesAsk { count: 5, ..ask(2, turn, 1) }, NOW);
        book.turn(&PlacesAsk { count: 5, again: 60 * AGAIN, ..ask(1, turn + 1, 1) }, NOW);
    }
    assert_eq!(book.free, before, "not pushed on and on");
}

proptest! {
    /// Whatever workers do, and however often they vanish: no place is in two hands, and none gets lost.
    #[test]
    fn places_are_neither_made_nor_lost(turns in prop::collection::vec((0..5_i64, 0..12_u32, 0..4_u32, 0..3_000_u64), 1..80)) {
        let mut book = rested(10);
        let mut hands = [0_u32; 5];
        let (mut now, mut number) = (NOW, 0);
        for (holder, wanted, give, pass) in turns {
            now = now.plus(Duration::from_millis(pass));
            number += 1;
            let hand = &mut hands[holder as usize];
            let back = vec![now; give.min(*hand) as usize];
            let near = *hand - len(&back);
            let share = book.turn(&PlacesAsk { near, back, ..ask(holder, number, wanted) }, now);
            let kept = if share.lapsed { 0 } else { near };
            prop_assert!(share.spare <= kept && len(&share.places) <= wanted);
            *hand = kept + len(&share.places);
            prop_assert_eq!(book.free.len() as u32 + held(&book), 10);
            let ours = book.workers.iter().find(|worker| worker.holder == holder).map_or(0, |worker| worker.held);
            prop_assert_eq!(ours, *hand);
            let text = serde_json::to_string(&book).unwrap();
            prop_assert_eq!(&Book::read(Some(&text), &ask(9, 1, 0), now), &book);
        }
    }
}
