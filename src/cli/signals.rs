//! Signals: the first SIGTERM, SIGINT or SIGHUP asks a run to end in order, a second SIGTERM or SIGINT ends the process.
//! SIGQUIT is left to the system, SIGPIPE is ignored from the start (a closed pipe is an error like any other).

use std::time::Duration;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::console;
use super::words;
use crate::exit::Exit;

/// A token that the first SIGTERM, SIGINT or SIGHUP cancels; says so, and how long it may take. Another SIGTERM or SIGINT
/// ends the process at once with [`Exit::Unavailable`]: leads in flight stay `sending` and the next run finds out what became of them.
///
/// # Errors
/// If the system gives no signal handler.
pub fn stop_on_signal(grace: Duration) -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hup = hang_up()?;
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = either(&mut term, &mut int) => {}
            () = received(&mut hup) => {}
        }
        told.cancel();
        tracing::warn!("stopping: no new leads; what is in flight may take up to {}", words::coarse(grace));
        // Not SIGHUP: a terminal that goes away may send it twice, by the shell and by the system.
        either(&mut term, &mut int).await;
        tracing::warn!("leaving at once: the next run looks into what is in flight");
        console::hide_bars();
        std::process::exit(Exit::Unavailable.code().into());
    });
    Ok(stop)
}

/// A write beyond `ulimit -f` becomes an error of that write, like a full disk, instead of the death of the process.
/// To be called inside the runtime.
///
/// # Errors
/// If the system gives no signal handler.
pub fn survive_file_size_limit() -> std::io::Result<()> {
    signal(SignalKind::from_raw(Number::XFSZ.as_raw())).map(drop)
}

async fn either(term: &mut Signal, int: &mut Signal) {
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
}

/// SIGHUP: the terminal went away. `None` where whoever started us asked for it to be ignored (`nohup`), or where that
/// can't be found out.
fn hang_up() -> std::io::Result<Option<Signal>> {
    match std::fs::read_to_string("/proc/self/status").ok().and_then(|status| ignores(&status, Number::HUP)) {
        Some(false) => signal(SignalKind::hangup()).map(Some),
        Some(true) | None => Ok(None),
    }
}

/// Whether a process with this `/proc/PID/status` ignores the signal.
fn ignores(status: &str, signal: Number) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask >> (signal.as_raw() - 1) & 1 == 1)
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_from_the_start_is_found_out() {
        // As `nohup` leaves it: SIGHUP (1) and, by the Rust runtime, SIGPIPE (13).
        let nohup = "Name:\tleadsync\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000004002\n";
        assert_eq!(ignores(nohup, Number::HUP), Some(true));
        assert_eq!(ignores(nohup, Number::TERM), Some(false));
        assert_eq!(ignores("Name:\tleadsync\n", Number::HUP), None);
    }
}
