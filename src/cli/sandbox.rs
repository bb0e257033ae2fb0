//! `sandbox`: the remote APIs on this machine.

use super::args::SandboxArgs;
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::signals::stop_on_signal;
use crate::config::values;
use crate::exit::Exit;
use crate::sandbox::{FaultPlan, SandboxOptions, run_foreground};

/// Serves until it is stopped.
pub async fn sandbox(args: &SandboxArgs, _context: &Context) -> Outcome {
    let mut options = SandboxOptions {
        listen: args.listen,
        seed: args.seed,
        faults: faults(&args.faults)?,
        ledger_file: args.ledger.clone(),
        ..SandboxOptions::default()
    };
    if let Some(rate) = &args.rate {
        options.seven_targets.rate =
            values::rate(rate).map_err(|mismatch| Failure::usage(format!("--rate {rate}: {mismatch}")))?;
    }
    if let Some(ttl) = args.token_ttl {
        options.token_ttl = ttl;
    }
    let stop = stop_on_signal(std::time::Duration::ZERO)
        .map_err(|error| Failure::from(anyhow::Error::new(error).context("could not listen for signals")))?;
    run_foreground(options, async move { stop.cancelled().await }).await.map_err(|error| {
        Failure::new(Exit::Usage, error)
            .hint("name another address with --listen, e.g. --listen 127.0.0.1:0 for any free port")
    })?;
    Ok(Exit::Done)
}

fn faults(specs: &[String]) -> Result<FaultPlan, Failure> {
    let mut plan = FaultPlan::default();
    for spec in specs {
        let rules: FaultPlan = spec.parse().map_err(|error| Failure::usage(format!("--fault {spec}: {error}")))?;
        plan = plan.and(rules);
    }
    Ok(plan)
}
