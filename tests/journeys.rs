//! Whole jobs, as an operator sees them: the real program, a real database (each journey on SQLite and on Postgres), the
//! remote APIs on real sockets. Told from outside: exit codes, what was said, what the remote side really has.

mod support;

#[macro_use]
#[path = "journeys/bench.rs"]
mod bench;

#[path = "journeys/accounts.rs"]
mod accounts;
#[cfg(target_os = "linux")]
#[path = "journeys/backpressure.rs"]
mod backpressure;
#[path = "journeys/by_hand.rs"]
mod by_hand;
#[cfg(debug_assertions)]
#[path = "journeys/clocks.rs"]
mod clocks;
#[path = "journeys/commands.rs"]
mod commands;
#[cfg(debug_assertions)]
#[path = "journeys/crashes.rs"]
mod crashes;
#[path = "journeys/exclusive.rs"]
mod exclusive;
#[path = "journeys/faults.rs"]
mod faults;
#[path = "journeys/hostile.rs"]
mod hostile;
#[path = "journeys/imports.rs"]
mod imports;
#[path = "journeys/kills.rs"]
mod kills;
// What these do to a process, and ask of the system about it, is Linux's.
#[cfg(target_os = "linux")]
#[path = "journeys/leaving.rs"]
mod leaving;
#[path = "journeys/limits.rs"]
mod limits;
#[path = "journeys/lookups.rs"]
mod lookups;
#[path = "journeys/operator.rs"]
mod operator;
#[path = "journeys/outages.rs"]
mod outages;
#[path = "journeys/pooler.rs"]
mod pooler;
#[path = "journeys/queue.rs"]
mod queue;
#[cfg(debug_assertions)]
#[path = "journeys/refreshing.rs"]
mod refreshing;
#[path = "journeys/sealed.rs"]
mod sealed;
#[path = "journeys/secrets.rs"]
mod secrets;
#[path = "journeys/several.rs"]
mod several;
#[path = "journeys/signals.rs"]
mod signals;
#[cfg(target_os = "linux")]
#[path = "journeys/storage.rs"]
mod storage;
#[cfg(debug_assertions)]
#[path = "journeys/suspended.rs"]
mod suspended;
#[path = "journeys/systems.rs"]
mod systems;
#[path = "journeys/unanswered.rs"]
mod unanswered;
#[path = "journeys/workers.rs"]
mod workers;
