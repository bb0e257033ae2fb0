//! Whole jobs, as an operator sees them: the real program, a real database (each journey on SQLite and on Postgres), the
//! remote APIs on real sockets. Told from outside: exit codes, what was said, what the remote side really has.

mod support;

#[macro_use]
#[path = "journeys/bench.rs"]
mod bench;

#[path = "journeys/accounts.rs"]
mod accounts;
#[path = "journeys/commands.rs"]
mod commands;
#[path = "journeys/faults.rs"]
mod faults;
#[path = "journeys/hostile.rs"]
mod hostile;
#[path = "journeys/imports.rs"]
mod imports;
#[path = "journeys/kills.rs"]
mod kills;
#[path = "journeys/limits.rs"]
mod limits;
#[path = "journeys/lookups.rs"]
mod lookups;
#[path = "journeys/queue.rs"]
mod queue;
#[path = "journeys/secrets.rs"]
mod secrets;
#[path = "journeys/signals.rs"]
mod signals;
#[path = "journeys/workers.rs"]
mod workers;
