mod fleet;

use std::sync::Mutex as StdMutex;

use super::*;
use crate::clock::SystemClock;

fn limiter(count: u32, per: Duration) -> Limiter {
    Limiter::new(Some(Rate { count, per }), Arc::new(SystemClock))
}

/// When requests left, from `workers` tasks that each take a permit, spend up to `dawdle` with it, and depart, for the
/// time of `run`.
async fn departures(limiter: &Limiter, workers: usize, dawdle: Duration, run: Duration) -> Vec<Instant> {
    arrivals(limiter, workers, dawdle, Duration::ZERO, run).await
}

/// When they arrived, travelling for up to `travel`; replies then take now long, now short.
async fn arrivals(
    limiter: &Limiter,
    workers: usize,
    dawdle: Duration,
    travel: Duration,
    run: Duration,
) -> Vec<Instant> {
    let left = Arc::new(StdMutex::new(Vec::new()));
    let stop = CancellationToken::new();
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let (limiter, left, stop) = (limiter.clone(), left.clone(), stop.clone());
            tokio::spawn(async move {
                while let Some(permit) = limiter.permit(&stop).await {
                    tokio::time::sleep(dawdle.mul_f64(rand::random())).await;
                    let departed = permit.depart().await;
                    let travel = travel.mul_f64(rand::random());
                    left.lock().unwrap().push(Instant::now() + travel);
                    tokio::spawn(async move {
                        let served = Duration::from_millis(200).mul_f64(rand::random());
                        tokio::time::sleep(travel + Duration::from_millis(1) + served).await;
                        departed.replied();
                    });
                }
            })
        })
        .collect();
    tokio::time::sleep(run).await;
    stop.cancel();
    for task in tasks {
        task.abort();
    }
    let mut left = left.lock().unwrap().clone();
    left.sort();
    left
}

/// The server's view: no `count + 1` requests lie within any window of `per`.
fn assert_never_above(count: u32, per: Duration, arrivals: &[Instant]) {
    for window in arrivals.windows(count as usize + 1) {
        let span = window[count as usize] - window[0];
        assert!(span >= per, "{} requests within {span:?}, allowed are {count} per {per:?}", count + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_never_exceeded_and_at_least_95_percent_of_it_is_used() {
    let second = Duration::from_secs(1);
    let cases = [
        (1, second, 2),
        (5, second, 8),
        (50, second, 8),
        (100, 10 * second, 8),
        (2000, 60 * second, 16),
        (1000, second, 64),
        (5000, second, 400),
        (5, 86_400 * second, 2),
    ];
    for (count, per, workers) in cases {
        for dawdle in [Duration::ZERO, Duration::from_millis(40)] {
            let limiter = limiter(count, per);
            let run = per * 10;
            let left = departures(&limiter, workers, dawdle, run).await;
            assert_never_above(count, per, &left);
            let used = left.len() as f64 / (f64::from(count) * 10.0);
            assert!(used >= 0.95, "{count} per {per:?}, dawdling up to {dawdle:?}: only {:.1} % used", used * 100.0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_travel_at_different_speed_still_arrive_within_the_limit() {
    let per = Duration::from_secs(1);
    let limiter = limiter(50, per);
    let (dawdle, travel) = (Duration::from_millis(40), Duration::from_millis(35));
    let arrived = arrivals(&limiter, 8, dawdle, travel, per * 20).await;
    assert_never_above(50, per, &arrived);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_held_up_keeps_its_place_in_the_window_for_longer() {
    let per = Duration::from_secs(1);
    let limiter = limiter(10, per);
    let stop = CancellationToken::new();
    let mut arrived = Vec::new();
    for n in 0..200 {
        let departed = limiter.permit(&stop).await.unwrap().depart().await;
        // One in thirty is held up on its way, by far more than the margin alone would bear.
        let travel = Duration::from_millis(if n % 30 == 23 { 200 } else { 2 });
        arrived.push(Instant::now() + travel);
        tokio::spawn(async move {
            tokio::time::sleep(travel + Duration::from_millis(1)).await;
            departed.replied();
        });
    }
    arrived.sort();
    assert_never_above(10, per, &arrived);
}

#[tokio::test(start_paused = true)]
async fn permits_hoarded_and_used_at_once_do_not_exceed_the_limit() {
    let per = Duration::from_secs(1);
    let limiter = limiter(5, per);
    let stop = CancellationToken::new();
    let mut hoard = Vec::new();
    for _ in 0..23 {
        hoard.push(limiter.permit(&stop).await.unwrap());
    }
    let mut left = Vec::new();
    for permit in hoard {
        permit.depart().await;
        left.push(Instant::now());
    }
    assert_never_above(5, per, &left);
}

#[tokio::test(start_paused = true)]
async fn unused_permits_take_nothing_from_the_window() {
    let limiter = limiter(5, Duration::from_secs(1));
    let stop = CancellationToken::new();
    for _ in 0..50 {
        drop(limiter.permit(&stop).await.unwrap());
    }
    let began = Instant::now();
    limiter.permit(&stop).await.unwrap().depart().await;
    assert!(began.elapsed() <= Duration::from_millis(250), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_departure_that_is_given_up_while_waiting_is_not_counted() {
    let per = Duration::from_secs(1);
    let limiter = limiter(2, per);
    let stop = CancellationToken::new();
    let mut permits = Vec::new();
    for _ in 0..4 {
        permits.push(limiter.permit(&stop).await.unwrap());
    }
    let began = Instant::now();
    for permit in permits.drain(..2) {
        permit.depart().await;
    }
    let given_up = permits.remove(0);
    tokio::time::timeout(Duration::from_millis(100), given_up.depart()).await.unwrap_err();
    permits.remove(0).depart().await;
    assert!(began.elapsed() >= per && began.elapsed() <= per + Duration::from_millis(50), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_new_limiter_does_not_begin_with_a_burst() {
    let limiter = limiter(1000, Duration::from_secs(1));
    let left = departures(&limiter, 64, Duration::ZERO, Duration::from_millis(20)).await;
    assert!(left.len() <= 25, "{} requests in the first 20 ms", left.len());
}

#[tokio::test(start_paused = true)]
async fn permits_are_handed_out_first_come_first_served() {
    let limiter = limiter(10, Duration::from_secs(1));
    let order = Arc::new(StdMutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for n in 0..20 {
        let (limiter, order) = (limiter.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            let permit = limiter.permit(&CancellationToken::new()).await;
            order.lock().unwrap().push(n);
            permit.unwrap().depart().await;
        }));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn no_rate_is_no_limit() {
    let limiter = Limiter::new(None, Arc::new(SystemClock));
    let began = Instant::now();
    for _ in 0..1000 {
        limiter.permit(&CancellationToken::new()).await.unwrap().depart().await;
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn stop_ends_the_wait_for_a_permit() {
    let limiter = limiter(1, Duration::from_secs(86_400));
    let stop = CancellationToken::new();
    limiter.permit(&stop).await.unwrap().depart().await;
    let (waiting, second) = (limiter.clone(), stop.clone());
    let task = tokio::spawn(async move { waiting.permit(&second).await });
    tokio::task::yield_now().await;
    stop.cancel();
    assert!(task.await.unwrap().is_none());
}

/// A clock that tokio's paused time drives, so that pauses are exact.
#[derive(Debug)]
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_000_000_000).plus(self.0.elapsed())
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_back_permits_and_the_longer_of_two_wins() {
    let clock = Arc::new(TestClock(Instant::now()));
    let limiter = Limiter::new(Some(Rate { count: 10, per: Duration::from_secs(1) }), clock.clone());
    let until = clock.now().plus(Duration::from_secs(60));
    limiter.pause_until(until, "429");
    limiter.pause_until(clock.now().plus(Duration::from_secs(5)), "shorter");
    assert_eq!(limiter.paused(), Some((until, "429".into())));

    let began = Instant::now();
    let left = departures(&limiter, 8, Duration::ZERO, Duration::from_secs(61)).await;
    assert!(left[0] - began >= Duration::from_secs(60));
    // Not all at once: the second after the pause carries a second's worth, and a quarter of it at the start.
    assert!((8..=12).contains(&left.len()), "{}", left.len());
    assert!(left.iter().filter(|at| **at - began < Duration::from_millis(60_050)).count() <= 4);
    assert_eq!(limiter.paused(), None);
}

#[tokio::test(start_paused = true)]
async fn a_pause_reaches_those_already_waiting() {
    let clock = Arc::new(TestClock(Instant::now()));
    let limiter = Limiter::new(Some(Rate { count: 1, per: Duration::from_secs(10) }), clock.clone());
    let stop = CancellationToken::new();
    limiter.permit(&stop).await.unwrap().depart().await;
    let began = Instant::now();
    let (waiting, token) = (limiter.clone(), stop.clone());
    let task = tokio::spawn(async move { waiting.permit(&token).await });
    tokio::task::yield_now().await;
    limiter.pause_until(clock.now().plus(Duration::from_secs(100)), "429");
    assert!(task.await.unwrap().is_some());
    assert!(began.elapsed() >= Duration::from_secs(100));
}

#[test]
fn a_rate_of_nothing_does_not_panic() {
    limiter(0, Duration::ZERO);
    limiter(u32::MAX, Duration::from_nanos(1));
    limiter(u32::MAX, Duration::from_secs(86_400 * 365));
    limiter(1, Duration::MAX / 200);
}
