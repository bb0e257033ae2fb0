//! SIGTERM and SIGINT: the first asks a run to end in order, the second ends the process.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::console;
use super::words;
use crate::exit::Exit;

/// A token that the first SIGTERM or SIGINT cancels; says so, and how long it may take. A second signal ends the process
/// at once with [`Exit::Unavailable`]: leads in flight stay `sending` and are looked up by the next run.
///
/// # Errors
/// If the system gives no signal handler.
pub fn stop_on_signal(grace: Duration) -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = stop.clone();
    tokio::spawn(async move {
        either(&mut term, &mut int).await;
        told.cancel();
        tracing::warn!("stopping: no new leads; what is in flight may take up to {}", words::coarse(grace));
        either(&mut term, &mut int).await;
        console::hide_bars();
        std::process::exit(Exit::Unavailable.code().into());
    });
    Ok(stop)
}

async fn either(term: &mut Signal, int: &mut Signal) {
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
}
