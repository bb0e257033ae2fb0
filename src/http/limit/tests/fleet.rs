//! Several processes, one limit: limiters that know each other only through a pool, as the database keeps it.

use std::sync::atomic::{AtomicBool, AtomicI64};

use async_trait::async_trait;

use super::*;
use crate::http::limit::{News, Offer, Pool, PoolError, Share};
use crate::store::{Book, PlacesAsk};

/// What the database keeps, and its clock, which runs by tokio's time.
struct Desk {
    book: StdMutex<Option<Book>>,
    began: Instant,
    exchanges: AtomicUsize,
    pause: StdMutex<Option<(Timestamp, String)>>,
}

impl Desk {
    fn new() -> Arc<Self> {
        let (book, pause) = (StdMutex::default(), StdMutex::default());
        Arc::new(Self { book, began: Instant::now(), exchanges: AtomicUsize::new(0), pause })
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_700_000_000_000).plus(self.began.elapsed())
    }
}

/// One process's way to it: questions and answers take their time, now and then one of them gets lost, and it may break.
struct Line {
    desk: Arc<Desk>,
    holder: i64,
    takes: Duration,
    loses: bool,
    broken: AtomicBool,
}

impl Line {
    fn new(desk: &Arc<Desk>, takes_ms: u64, loses: bool) -> Arc<Self> {
        static HOLDERS: AtomicI64 = AtomicI64::new(1);
        let holder = HOLDERS.fetch_add(1, Ordering::Relaxed);
        let takes = Duration::from_millis(takes_ms);
        Arc::new(Self { desk: Arc::clone(desk), holder, takes, loses, broken: AtomicBool::new(false) })
    }
}

#[async_trait]
impl Pool for Line {
    async fn exchange(&self, offer: &Offer) -> Result<Share, PoolError> {
        let lost = |part: f64| self.loses && rand::random::<f64>() < part;
        tokio::time::sleep(self.takes.mul_f64(rand::random())).await;
        if lost(0.05) || self.broken.load(Ordering::Relaxed) {
            return Err(PoolError { why: "lost on the way there".into(), unavailable: true });
        }
        let Offer { count, again, turn, ref back, near, wanted, horizon, term } = *offer;
        let (account, holder, back) = (String::new(), self.holder, back.clone());
        let ask = PlacesAsk { account, holder, count, again, turn, back, near, wanted, horizon, term };
        let now = self.desk.now();
        let share = {
            let mut book = self.desk.book.lock().unwrap();
            book.get_or_insert_with(|| Book::read(None, &ask, now)).turn(&ask, now)
        };
        self.desk.exchanges.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes.mul_f64(rand::random())).await;
        if lost(0.05) {
            return Err(PoolError { why: "lost on the way back".into(), unavailable: true });
        }
        let pause = self.desk.pause.lock().unwrap().clone();
        Ok(Share { places: share.places, spare: share.spare, lapsed: share.lapsed, now, next: share.next, pause })
    }
}

/// A process at work: some tasks that take permits, spend up to 20 ms with each, and depart; replies take up to 40 ms.
struct Worker {
    limiter: Limiter,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    sent: Arc<AtomicUsize>,
}

type Arrivals = Arc<StdMutex<Vec<Instant>>>;

impl Worker {
    fn start(rate: Rate, line: &Arc<Line>, tasks: usize, arrived: &Arrivals) -> Self {
        let limiter = Limiter::shared(Some(rate), Arc::clone(line) as _, Arc::new(SystemClock));
        let (stop, sent) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..tasks)
            .map(|_| {
                let (limiter, stop, sent, arrived) = (limiter.clone(), stop.clone(), sent.clone(), arrived.clone());
                tokio::spawn(async move {
                    while let Some(permit) = limiter.permit(&stop).await {
                        tokio::time::sleep(Duration::from_millis(20).mul_f64(rand::random())).await;
                        let departed = permit.depart().await;
                        let travel = Duration::from_millis(3).mul_f64(rand::random());
                        arrived.lock().unwrap().push(Instant::now() + travel);
                        sent.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(travel + Duration::from_millis(37).mul_f64(rand::random())).await;
                        departed.replied();
                    }
                })
            })
            .collect();
        Self { limiter, stop, tasks, sent }
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends in order.
    async fn end(self) -> usize {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        self.limiter.leave().await;
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends as if killed: nothing is given back.
    fn die(self) -> usize {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.sent.load(Ordering::Relaxed)
    }
}

fn rate(count: u32, seconds: u64) -> Rate {
    Rate { count, per: Duration::from_secs(seconds) }
}

/// The server's view, and how much of the limit was used in the time since `from`.
fn judge(rate: Rate, arrived: &Arrivals, from: Instant) -> f64 {
    let mut arrived = arrived.lock().unwrap().clone();
    arrived.sort();
    assert_never_above(rate.count, rate.per, &arrived);
    let used = arrived.iter().filter(|at| **at >= from).count();
    used as f64 / (from.elapsed().as_secs_f64() * f64::from(rate.count) / rate.per.as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn a_fleet_keeps_the_limit_uses_95_percent_of_it_and_shares_it_evenly() {
    for (rate, workers) in [
        (rate(5, 1), 4),
        (rate(50, 1), 4),
        (rate(50, 1), 1),
        (rate(3, 1), 8),
        (rate(1, 1), 4),
        (rate(100, 10), 4),
        (rate(2000, 60), 4),
        (rate(1000, 1), 4),
    ] {
        let (desk, arrived) = (Desk::new(), Arrivals::default());
        let tasks = if rate.count == 1000 { 32 } else { 8 };
        let fleet: Vec<_> =
            (0..workers).map(|_| Worker::start(rate, &Line::new(&desk, 4, false), tasks, &arrived)).collect();
        // The limit opens place by place, so that its first window is no measure.
        tokio::time::sleep(rate.per + Duration::from_secs(2)).await;
        let from = Instant::now();
        // Long enough that one call more or less is no matter, short enough for a test.
        let calls = match rate.count {
            1000.. => 20_000,
            101.. => 5_000,
            _ => 1_000,
        };
        tokio::time::sleep((rate.per * 100).min(rate.per * calls / rate.count)).await;
        let used = judge(rate, &arrived, from);
        assert!(used >= 0.95, "{workers} workers at {rate}: {:.1} % used", used * 100.0);
        let sent: Vec<_> = fleet.iter().map(Worker::sent).collect();
        let (least, most) = (*sent.iter().min().unwrap(), *sent.iter().max().unwrap());
        assert!(most <= 2 * least, "{workers} workers at {rate}: {sent:?}");
        let asked = desk.exchanges.load(Ordering::Relaxed) as f64 / from.elapsed().as_secs_f64();
        assert!(asked <= 15.0 * f64::from(workers), "{workers} workers at {rate} ask {asked:.0} times a second");
        for worker in fleet {
            worker.end().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_comes_gets_its_part_and_one_that_goes_leaves_it() {
    let (desk, arrived, rate) = (Desk::new(), Arrivals::default(), rate(20, 1));
    let first = Worker::start(rate, &Line::new(&desk, 4, false), 8, &arrived);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let second = Worker::start(rate, &Line::new(&desk, 4, false), 8, &arrived);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, from) = (first.sent(), Instant::now());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!((80..=120).contains(&(first.sent() - before)), "{} of 200", first.sent() - before);
    second.end().await;
    let (before, left) = (first.sent(), Instant::now());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(first.sent() - before >= 190, "{} of 200", first.sent() - before);
    let used = judge(rate, &arrived, from);
    assert!(used >= 0.95, "{used}, {:?}", left.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_dead_workers_part_comes_back() {
    let (desk, arrived, rate) = (Desk::new(), Arrivals::default(), rate(10, 1));
    let first = Worker::start(rate, &Line::new(&desk, 4, false), 8, &arrived);
    let second = Worker::start(rate, &Line::new(&desk, 4, false), 8, &arrived);
    tokio::time::sleep(Duration::from_secs(5)).await;
    second.die();
    // Its turn lapses after five seconds, its last calls count for one more.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let (before, from) = (first.sent(), Instant::now());
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(first.sent() - before >= 190, "{} of 200", first.sent() - before);
    assert!(judge(rate, &arrived, from) >= 0.95);
}

#[tokio::test(start_paused = true)]
async fn questions_and_answers_that_get_lost_cost_speed_at_most() {
    let (desk, arrived, rate) = (Desk::new(), Arrivals::default(), rate(30, 1));
    let fleet: Vec<_> = (0..4).map(|_| Worker::start(rate, &Line::new(&desk, 60, true), 8, &arrived)).collect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let used = judge(rate, &arrived, Instant::now() - Duration::from_secs(50));
    assert!(used >= 0.8, "{used}");
    for worker in fleet {
        worker.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_cut_off_stops_before_its_places_are_anybody_elses_and_comes_back() {
    let (desk, arrived, rate) = (Desk::new(), Arrivals::default(), rate(10, 1));
    let line = Line::new(&desk, 4, false);
    let first = Worker::start(rate, &line, 8, &arrived);
    let second = Worker::start(rate, &Line::new(&desk, 4, false), 8, &arrived);
    tokio::time::sleep(Duration::from_secs(5)).await;
    line.broken.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let silent = first.sent();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(first.sent(), silent, "what it holds is not its own any more");
    line.broken.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(first.sent() >= silent + 15, "{}", first.sent() - silent);
    judge(rate, &arrived, Instant::now());
    second.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_follows_on_a_process_that_ended_in_order_need_not_wait() {
    let (desk, arrived, rate) = (Desk::new(), Arrivals::default(), rate(10, 1));
    for _ in 0..5 {
        let worker = Worker::start(rate, &Line::new(&desk, 4, false), 8, &arrived);
        tokio::time::sleep(Duration::from_millis(3_000)).await;
        assert!(worker.end().await >= 26);
    }
    judge(rate, &arrived, Instant::now());
}

#[tokio::test(start_paused = true)]
async fn a_limit_nobody_uses_is_not_asked_about() {
    let desk = Desk::new();
    let limiter = Limiter::shared(Some(rate(10, 1)), Line::new(&desk, 4, false) as _, Arc::new(SystemClock));
    let stop = CancellationToken::new();
    limiter.permit(&stop).await.unwrap().depart().await.replied();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let asked = desk.exchanges.load(Ordering::Relaxed);
    assert!(asked <= 12, "{asked}");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(desk.exchanges.load(Ordering::Relaxed), asked);
    // And is there when it is wanted again.
    let began = Instant::now();
    limiter.permit(&stop).await.unwrap().depart().await.replied();
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_one_was_told_of_holds_for_all() {
    let (desk, clock) = (Desk::new(), Arc::new(TestClock(Instant::now())));
    let limiter = Limiter::shared(Some(rate(10, 1)), Line::new(&desk, 4, false) as _, clock.clone());
    let stop = CancellationToken::new();
    limiter.permit(&stop).await.unwrap().depart().await.replied();
    let until = clock.now().plus(Duration::from_secs(60));
    *desk.pause.lock().unwrap() = Some((until, "429".into()));
    let (waiting, token) = (limiter.clone(), stop.clone());
    let told = tokio::spawn(async move { waiting.news().await });
    let _busy = tokio::spawn({
        let limiter = limiter.clone();
        async move {
            while let Some(permit) = limiter.permit(&token).await {
                permit.depart().await.replied();
            }
        }
    });
    assert_eq!(told.await.unwrap(), News::Paused(until, "429".into()));
    assert_eq!(limiter.paused(), Some((until, "429".into())));
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_stays_away_is_told_of_and_a_slow_limit_is_not_asked_about_all_the_time() {
    let desk = Desk::new();
    let line = Line::new(&desk, 4, false);
    // One call a minute.
    let limiter = Limiter::shared(Some(rate(1, 60)), Arc::clone(&line) as _, Arc::new(SystemClock));
    let stop = CancellationToken::new();
    limiter.permit(&stop).await.unwrap().depart().await.replied();
    let (waiting, token) = (limiter.clone(), stop.clone());
    let second = tokio::spawn(async move { waiting.permit(&token).await });
    let before = desk.exchanges.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(50)).await;
    let asked = desk.exchanges.load(Ordering::Relaxed) - before;
    assert!(asked <= 60, "{asked} times in 50 s");
    line.broken.store(true, Ordering::Relaxed);
    let lost = tokio::time::timeout(Duration::from_secs(120), limiter.news()).await.unwrap();
    assert!(matches!(lost, News::Lost(PoolError { unavailable: true, .. })), "{lost:?}");
    stop.cancel();
    assert!(second.await.unwrap().is_none());
}
