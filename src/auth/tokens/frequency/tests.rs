use super::*;

const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);
const HOUR: u64 = 3600;

/// One every so many seconds until now, so many in all, of tokens that live so long.
fn every(seconds: u64, count: u32, life: u64) -> Vec<TokenRefresh> {
    (0..count)
        .map(|n| {
            let refreshed_at = NOW.minus(Duration::from_secs(seconds * u64::from(n)));
            let expires_at = refreshed_at.plus(Duration::from_secs(life));
            TokenRefresh {
                account: "crm".into(),
                generation: i64::from(n),
                refreshed_at,
                expires_at,
                refreshed_by: None,
            }
        })
        .collect()
}

fn frequency(refreshes: &[TokenRefresh]) -> Frequency {
    Frequency::of(refreshes, NOW).unwrap()
}

#[test]
fn tokens_that_are_used_to_their_end_are_explained() {
    // The last minute of an hour is the next one's.
    let found = frequency(&every(59 * 60, 30, HOUR));
    assert_eq!((found.refreshed, found.explained, found.at_least), (25, 25, false));
    assert!(!found.is_unusual());
    assert!(!frequency(&every(48, 500, 60)).is_unusual(), "as many as the log holds");
}

#[test]
fn two_that_take_the_token_from_each_other_are_noticed() {
    for (seconds, life) in [(20 * 60, HOUR), (HOUR, 24 * HOUR), (5, 60)] {
        let found = frequency(&every(seconds, 500, life));
        assert!(found.is_unusual(), "every {seconds} s for a life of {life} s: {found:?}");
    }
}

#[test]
fn a_handful_by_hand_is_not_unusual() {
    let found = frequency(&every(60, 5, 24 * HOUR));
    assert_eq!((found.refreshed, found.explained), (5, 2));
    assert!(!found.is_unusual());
}

#[test]
fn what_is_older_than_a_day_does_not_count() {
    assert_eq!(Frequency::of(&[], NOW), None);
    let old: Vec<_> = every(60, 500, 24 * HOUR)
        .into_iter()
        .map(|it| TokenRefresh { refreshed_at: it.refreshed_at.minus(WINDOW * 2), ..it })
        .collect();
    assert_eq!(Frequency::of(&old, NOW), None);
}

#[test]
fn a_token_that_expires_as_it_comes_breaks_nothing() {
    let found = frequency(&every(60, 3, 0));
    assert_eq!((found.refreshed, found.is_unusual()), (3, false));
}
