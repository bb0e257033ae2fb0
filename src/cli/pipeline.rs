//! INTEGRATION: `demo`, `import`, `run`, `sandbox` and `config`: each opens what it needs and hands the job to
//! [`super::work::work`].

use super::args::{ConfigCommand, DemoArgs, ImportArgs, RunArgs, SandboxArgs};
use super::context::Context;
use super::failure::{Failure, Outcome};
use crate::exit::Exit;

fn not_in_this_build(what: &str) -> Failure {
    Failure::new(Exit::Bug, anyhow::anyhow!("this build has no `{what}`"))
}

pub async fn demo(_args: &DemoArgs, _context: &Context) -> Outcome {
    Err(not_in_this_build("demo"))
}

pub async fn import(_args: &ImportArgs, _context: &Context) -> Outcome {
    Err(not_in_this_build("import"))
}

pub async fn run(_args: &RunArgs, _context: &Context) -> Outcome {
    Err(not_in_this_build("run"))
}

pub async fn sandbox(_args: &SandboxArgs, _context: &Context) -> Outcome {
    Err(not_in_this_build("sandbox"))
}

pub fn config(_command: &ConfigCommand, _context: &Context) -> Outcome {
    Err(not_in_this_build("config"))
}
