//! A run while it works: redrawn lines on a terminal, a plain line now and then elsewhere.
//!
//! [`Meter`] turns the run's live numbers into a [`View`] (rates over the last ten seconds, time left); two pure functions
//! turn that into lines. Only [`Watch`] knows of time and the terminal.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::console::{self, BOLD, Console, DIM, GOOD, WARN, paint, state_style};
use super::words;
use crate::http::message::Rate;
use crate::lead::LeadState;
use crate::pipeline::progress::Progress;

/// Rates are measured over this long: short enough to follow a pause, long enough not to jump about.
const WINDOW: Duration = Duration::from_secs(10);
/// Before this much was measured, the time left is estimated from the limit alone.
const WARM_UP: Duration = Duration::from_secs(3);
/// How often a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(200);
/// Without a terminal: the first line after this long…
const FIRST_LINE: Duration = Duration::from_secs(10);
/// …and the next ones, if a number changed.
const NEXT_LINES: Duration = Duration::from_secs(30);

/// What is shown of a run at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub done: i64,
    pub expected: i64,
    /// Final states, those that occurred.
    pub counts: Vec<(LeadState, i64)>,
    pub lanes: Vec<LaneView>,
    /// Until everything expected is done, if that can be said.
    pub left: Option<Duration>,
    pub elapsed: Duration,
}

/// One destination at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneView {
    pub name: String,
    pub limit: Option<Rate>,
    /// Requests a second, lately; `None`: too early to say.
    pub per_second: Option<f64>,
    pub waiting_for: Option<String>,
}

/// Remembers the last ten seconds of a run's numbers.
#[derive(Debug, Default)]
pub struct Meter {
    samples: VecDeque<Sample>,
}

#[derive(Debug)]
struct Sample {
    at: Instant,
    done: i64,
    requests: Vec<u64>,
}

impl Meter {
    /// The view at `now`, which must not go backwards.
    pub fn view(&mut self, progress: &Progress, now: Instant) -> View {
        use std::sync::atomic::Ordering::Relaxed;
        let requests = progress.lanes.iter().map(|lane| lane.requests.load(Relaxed)).collect();
        self.samples.push_back(Sample { at: now, done: progress.done(), requests });
        while self.samples.len() > 2 && now.duration_since(self.samples[1].at) >= WINDOW {
            self.samples.pop_front();
        }
        let (first, last) = (&self.samples[0], &self.samples[self.samples.len() - 1]);
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        let measured = seconds >= WARM_UP.as_secs_f64();

        let lanes: Vec<LaneView> = progress
            .lanes
            .iter()
            .enumerate()
            .map(|(i, lane)| LaneView {
                name: lane.name.clone(),
                limit: lane.rate,
                per_second: measured.then(|| last.requests[i].saturating_sub(first.requests[i]) as f64 / seconds),
                waiting_for: lane.waiting_for.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone(),
            })
            .collect();
        let expected = progress.expected.load(Relaxed).max(last.done);
        let recent = measured.then(|| (last.done - first.done) as f64 / seconds);
        View {
            done: last.done,
            expected,
            counts: LeadState::ALL
                .into_iter()
                .filter(|state| state.is_final())
                .map(|state| (state, progress.count(state)))
                .filter(|&(_, n)| n != 0)
                .collect(),
            left: time_left(expected - last.done, recent, &lanes),
            lanes,
            elapsed: now.duration_since(progress.started),
        }
    }
}

/// From how fast leads got done lately; before that is known, from the slowest limit. Nothing is said while nothing
/// moves: a paused run's end can't be told from its speed.
fn time_left(remaining: i64, recent: Option<f64>, lanes: &[LaneView]) -> Option<Duration> {
    if remaining <= 0 {
        return None;
    }
    let slowest = lanes.iter().filter_map(|lane| lane.limit).map(per_second).reduce(f64::min);
    let leads_per_second = recent.or(slowest).filter(|&rate| rate > 0.0)?;
    Duration::try_from_secs_f64(remaining as f64 / leads_per_second).ok()
}

fn per_second(rate: Rate) -> f64 {
    f64::from(rate.count) / rate.per.as_secs_f64().max(0.001)
}

/// `4.8/s of 5/s`, in the limit's own unit.
fn speed(lane: &LaneView) -> Option<String> {
    let measured = lane.per_second?;
    let Some(limit) = lane.limit else { return Some(format!("{}/s", number(measured))) };
    if limit.per > Duration::from_secs(3600) {
        return Some(format!("{}/s, limit {limit}", number(measured)));
    }
    let unit = limit.to_string();
    let unit = unit.split_once('/').map_or("s", |(_, unit)| unit);
    Some(format!("{}/{unit} of {limit}", number(measured * limit.per.as_secs_f64())))
}

fn number(n: f64) -> String {
    if n == 0.0 || n >= 100.0 { format!("{n:.0}") } else { format!("{n:.1}") }
}

fn percent(view: &View) -> i64 {
    if view.expected == 0 { 0 } else { view.done * 100 / view.expected }
}

/// The lines for a terminal: the bar, the counts, a line for each destination.
pub fn terminal_lines(label: &str, view: &View) -> Vec<String> {
    const WIDTH: usize = 32;
    let filled = if view.expected == 0 {
        0
    } else {
        usize::try_from(view.done * WIDTH as i64 / view.expected).unwrap_or(0).min(WIDTH)
    };
    let left = view.left.map_or_else(String::new, |left| format!("   about {} left", words::coarse(left)));
    let mut lines = vec![format!(
        "{}  {}{}  {} / {}  {:>3} %{}",
        paint(BOLD, label),
        paint(GOOD, "━".repeat(filled)),
        paint(DIM, "─".repeat(WIDTH - filled)),
        words::count(view.done),
        words::count(view.expected),
        percent(view),
        paint(DIM, left),
    )];
    if !view.counts.is_empty() {
        let counts: Vec<String> = view
            .counts
            .iter()
            .map(|&(state, n)| format!("{state} {}", paint(state_style(state), words::count(n))))
            .collect();
        lines.push(format!("  {}", counts.join(" · ")));
    }
    let name_width = view.lanes.iter().map(|lane| lane.name.chars().count()).max().unwrap_or(0);
    for lane in &view.lanes {
        let speed =
            speed(lane).unwrap_or_else(|| lane.limit.map_or_else(String::new, |limit| format!("limit {limit}")));
        let waits = lane.waiting_for.as_ref().map_or_else(String::new, |why| format!("   {}", paint(WARN, why)));
        lines.push(format!("  {:name_width$}  {}{waits}", lane.name, paint(DIM, speed)));
    }
    lines
}

/// The same as one plain line.
pub fn plain_line(label: &str, view: &View) -> String {
    let mut line = format!("{label}: {} of {} done ({} %)", view.done, view.expected, percent(view));
    for (i, (state, n)) in view.counts.iter().enumerate() {
        line.push_str(if i == 0 { ": " } else { ", " });
        line.push_str(&format!("{state} {n}"));
    }
    for lane in &view.lanes {
        if let Some(speed) = speed(lane) {
            line.push_str(&format!("; {} {speed}", lane.name));
        }
        if let Some(why) = &lane.waiting_for {
            line.push_str(&format!("; {} waits: {why}", lane.name));
        }
    }
    if let Some(left) = view.left {
        line.push_str(&format!("; about {} left", words::coarse(left)));
    }
    line
}

/// The display of a run; ends when told to, or when dropped.
#[derive(Debug)]
pub struct Watch {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts showing `progress`, as far as the console wants any. Needs a tokio runtime.
    pub fn start(label: &'static str, progress: Arc<Progress>, console: Console) -> Self {
        let stop = CancellationToken::new();
        let task = console.progress.then(|| {
            let stop = stop.clone();
            match (console.json, console.terminal) {
                (true, _) => tokio::spawn(lines(progress, stop, say_json)),
                (false, true) => tokio::spawn(redraw(label, progress, stop)),
                (false, false) => tokio::spawn(lines(progress, stop, move |view| say_text(label, view))),
            }
        });
        Self { stop, task }
    }

    /// Takes it off the screen.
    pub async fn end(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // It can't fail in a way that matters: a panic was reported by the hook.
            let _ = task.await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn redraw(label: &'static str, progress: Arc<Progress>, stop: CancellationToken) {
    let bars = console::show_bars();
    let mut drawn: Vec<ProgressBar> = Vec::new();
    let mut meter = Meter::default();
    let mut tick = tokio::time::interval(REDRAW);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        let lines = terminal_lines(label, &meter.view(&progress, Instant::now()));
        while drawn.len() < lines.len() {
            // `wide_msg` cuts the line at the terminal's edge. The fallback can't happen: the template is a constant.
            let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            drawn.push(bars.add(ProgressBar::no_length().with_style(style)));
        }
        for (i, bar) in drawn.iter().enumerate() {
            let line = lines.get(i).cloned().map_or_else(String::new, coloured);
            // Each change redraws all lines: those that stay the same must not.
            if bar.message() != line {
                bar.set_message(line);
            }
        }
    }
    for bar in &drawn {
        bar.finish_and_clear();
        bars.remove(bar);
    }
    console::hide_bars();
}

/// indicatif draws what it gets, so colours are taken out here where they don't belong.
fn coloured(line: String) -> String {
    if console::colours() { line } else { anstream::adapter::strip_str(&line).to_string() }
}

/// Says the view after ten seconds, then every thirty if a number changed.
async fn lines(progress: Arc<Progress>, stop: CancellationToken, mut say: impl FnMut(&View)) {
    let mut meter = Meter::default();
    let mut next_line = tokio::time::Instant::now() + FIRST_LINE;
    let mut said = (0, Vec::new());
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let view = meter.view(&progress, Instant::now());
        let now = tokio::time::Instant::now();
        if now < next_line {
            continue;
        }
        next_line = now + NEXT_LINES;
        let waits = view.lanes.iter().map(|lane| lane.waiting_for.clone()).collect();
        let numbers = (view.done, waits);
        if numbers != said {
            said = numbers;
            say(&view);
        }
    }
}

fn say_text(label: &str, view: &View) {
    console::say(&plain_line(label, view));
}

fn say_json(view: &View) {
    tracing::info!(
        done = view.done,
        expected = view.expected,
        left_ms = view.left.and_then(|left| u64::try_from(left.as_millis()).ok()),
        "progress"
    );
}

#[cfg(test)]
mod tests;
