use super::*;
use console::plain;
use std::sync::atomic::Ordering::Relaxed;

const FIVE: Option<Rate> = Some(Rate { count: 5, per: Duration::from_secs(1) });

fn at_work() -> Progress {
    let minute = Some(Rate { count: 2000, per: Duration::from_secs(60) });
    let progress = Progress::new([("7targets".to_owned(), FIVE), ("enrich".to_owned(), minute)]);
    progress.expected.store(10_000, Relaxed);
    progress
}

/// Ten seconds of work at 4.8 leads a second, and what is shown of them.
fn after_ten_seconds(progress: &Progress) -> View {
    let mut meter = Meter::default();
    let begin = progress.started;
    meter.view(progress, begin);
    progress.finished(LeadState::Delivered, 40);
    progress.finished(LeadState::Rejected, 8);
    progress.lanes[0].requests.fetch_add(48, Relaxed);
    progress.lanes[1].requests.fetch_add(1, Relaxed);
    *progress.lanes[1].waiting_for.lock().unwrap() = Some("paused until 14:05:10 (429)".into());
    meter.view(progress, begin + WINDOW)
}

#[test]
fn a_terminal_shows_count_rate_against_the_limit_and_time_left() {
    let lines = terminal_lines("import", &after_ten_seconds(&at_work()));
    insta::assert_snapshot!(plain(&lines.join("\n")), @r"
    import  ────────────────────────────────  48 / 10,000    0 %   about 34 min 33 s left
      delivered 40 · rejected 8
      7targets  4.8/s of 5/s
      enrich    6.0/min of 2000/min   paused until 14:05:10 (429)
    ");
}

#[test]
fn elsewhere_the_same_is_one_plain_line() {
    insta::assert_snapshot!(plain_line("run", &after_ten_seconds(&at_work())), @"run: 48 of 10000 done (0 %): delivered 40, rejected 8; 7targets 4.8/s of 5/s; enrich 6.0/min of 2000/min; enrich waits: paused until 14:05:10 (429); about 34 min 33 s left");
}

#[test]
fn before_anything_was_measured_the_limit_tells_the_time_left() {
    let progress = at_work();
    let view = Meter::default().view(&progress, progress.started);
    assert_eq!(view.left, Some(Duration::from_secs(2000)), "10,000 leads at 5/s");
    assert_eq!(view.lanes[0].per_second, None);
}

#[test]
fn a_run_that_stands_still_promises_nothing() {
    let progress = at_work();
    let mut meter = Meter::default();
    meter.view(&progress, progress.started);
    assert_eq!(meter.view(&progress, progress.started + WINDOW).left, None);
}

#[test]
fn rates_forget_what_is_older_than_the_window() {
    let progress = at_work();
    let mut meter = Meter::default();
    meter.view(&progress, progress.started);
    progress.lanes[0].requests.fetch_add(1000, Relaxed);
    for second in 1..=30 {
        meter.view(&progress, progress.started + Duration::from_secs(second));
    }
    let view = meter.view(&progress, progress.started + Duration::from_secs(31));
    assert_eq!(view.lanes[0].per_second, Some(0.0));
    assert!(meter.samples.len() <= 12, "memory stays bounded: {}", meter.samples.len());
}

#[test]
fn more_done_than_expected_is_shown_as_all_done() {
    let progress = Progress::new([]);
    progress.finished(LeadState::Skipped, 3);
    let view = Meter::default().view(&progress, progress.started);
    assert_eq!((view.done, view.expected, view.left), (3, 3, None));
    assert!(plain(&terminal_lines("run", &view)[0]).contains("3 / 3  100 %"));
}

#[tokio::test(start_paused = true)]
async fn without_a_terminal_a_line_comes_after_ten_seconds_then_every_thirty_if_numbers_changed() {
    let progress = Arc::new(at_work());
    progress.finished(LeadState::Delivered, 1);
    let (heard, mut lines_heard) = tokio::sync::mpsc::unbounded_channel();
    let begun = tokio::time::Instant::now();
    let stop = CancellationToken::new();
    let shown = Arc::clone(&progress);
    let task = tokio::spawn(lines(progress, stop.clone(), move |view| {
        heard.send((begun.elapsed().as_secs(), view.done)).unwrap();
    }));
    assert_eq!(lines_heard.recv().await, Some((10, 1)));
    tokio::time::sleep(Duration::from_secs(65)).await; // Virtual time: the clock is paused.
    assert!(lines_heard.try_recv().is_err(), "nothing changed");
    shown.finished(LeadState::Delivered, 1);
    let (second, done) = lines_heard.recv().await.unwrap();
    assert_eq!((done, (second - 10) % 30), (2, 0), "at {second} s");
    stop.cancel();
    task.await.unwrap();
}
