//! The sandbox as a client sees it: over HTTP, not through our connectors, so that both are not wrong in the same way.

#[path = "sandbox/bench.rs"]
mod bench;

#[path = "sandbox/control.rs"]
mod control;
#[path = "sandbox/every_fault.rs"]
mod every_fault;
#[path = "sandbox/faults.rs"]
mod faults;
#[path = "sandbox/lead_bank.rs"]
mod lead_bank;
#[path = "sandbox/lead_connector.rs"]
mod lead_connector;
#[path = "sandbox/lead_desk.rs"]
mod lead_desk;
#[path = "sandbox/limits.rs"]
mod limits;
#[path = "sandbox/live_data.rs"]
mod live_data;
#[path = "sandbox/plain_crm.rs"]
mod plain_crm;
#[path = "sandbox/seven_targets.rs"]
mod seven_targets;
