//! The remote APIs on loopback, with limits and faults on demand, over real HTTP: Live Data, 7targets, LeadConnector,
//! LeadDesk, Lead (the bank) and a plain CRM. Each is a [`service::Service`].
//!
//! Three use it: `leadsync sandbox` ([`run_foreground`]), `leadsync demo` and tests ([`Sandbox::start`]). It is written
//! against the vendors' pages, not against our connectors, and believes nothing a client says: tokens expire and are
//! checked on every call, limits are counted over a sliding window, and the [`Ledger`] keeps what was *really* created,
//! whatever the reply said or whether there was one.
//!
//! ```text
//! request ─▶ token ─▶ limit ─▶ fault before? ─▶ effect ─▶ ledger ─▶ fault after? ─▶ reply
//! ```
//!
//! A fault hits a lead, not a moment: it is drawn from the seed, the operation, the kind, the lead's identity and how
//! often that lead has asked, so a run can be repeated whatever order its requests arrive in.
//!
//! With a ledger file every effect is on disk before its reply leaves, and a sandbox started on the same file knows its
//! leads again. Nothing here is meant for the open network: an address that is not loopback is refused.

mod admin;
mod dice;
mod door;
mod faults;
mod foreground;
mod idempotency;
mod lead_bank;
mod lead_connector;
mod lead_desk;
mod ledger;
mod limits;
mod live_data;
mod operation;
mod options;
mod people;
mod plain_crm;
mod refresh;
mod reply;
mod request;
mod server;
mod service;
mod seven_targets;
mod state;
mod tokens;
mod totals;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use faults::{Fault, FaultPlan, FaultPlanError, Rule, Target, When};
pub use foreground::run_foreground;
pub use lead_bank::{API as LEAD_BANK, LeadBankOptions};
pub use lead_connector::{API as LEAD_CONNECTOR, LeadConnectorOptions};
pub use lead_desk::{API as LEAD_DESK, LeadDeskOptions};
pub use ledger::{Effect, EffectKind, Ledger, LedgerLead, RequestRecord};
pub use limits::LimitTotals;
pub use operation::{Api, Operation};
pub use options::{Duplicate, LiveDataOptions, RetryAfter, SandboxOptions, SevenTargetsOptions, Timing, UnknownChoice};
pub use plain_crm::{API as PLAIN_CRM, PlainCrmOptions};
pub use refresh::RefreshTotals;
pub use totals::Totals;

use door::Door;
use state::State;

/// The remote APIs in one process.
#[derive(Debug)]
pub struct Sandbox;

impl Sandbox {
    /// Begins to serve. Returns once the address is bound, so requests may be sent at once.
    ///
    /// # Errors
    /// The address is not loopback (`InvalidInput`) or can't be bound; the ledger file can't be read or written.
    pub async fn start(options: SandboxOptions) -> io::Result<Running> {
        if !options.listen.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "the sandbox serves loopback only, and {} is not: use 127.0.0.1:PORT or [::1]:PORT",
                    options.listen
                ),
            ));
        }
        let door = Door::at(options.listen).map_err(|error| {
            io::Error::new(error.kind(), format!("can't listen on {}: {}", options.listen, error.kind()))
        })?;
        let addr = door.addr();
        let state = Arc::new(State::new(options)?);
        let stop = CancellationToken::new();
        let task = tokio::spawn(server::accept(door, Arc::clone(&state), stop.clone()));
        Ok(Running { addr, state, stop, task })
    }

    /// What `leadsync demo` starts: see [`SandboxOptions::demo`].
    pub fn demo_options() -> SandboxOptions {
        SandboxOptions::demo()
    }
}

/// A sandbox at work. Dropped without [`Running::stop`], it ends with its runtime.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    state: Arc<State>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// `[enrich] identity_url`.
    pub fn identity_url(&self) -> String {
        format!("{}{}", self.base_url(), live_data::IDENTITY_PATH)
    }

    /// `[enrich] people_url`.
    pub fn people_url(&self) -> String {
        format!("{}{}", self.base_url(), live_data::PEOPLE_PATH)
    }

    /// `[destinations.…] token_url`.
    pub fn token_url(&self) -> String {
        format!("{}{}", self.base_url(), seven_targets::TOKEN_PATH)
    }

    /// `base_url` of a `lead_connector` destination; `/v3` below it is served too.
    pub fn lead_connector_url(&self) -> String {
        format!("{}{}", self.base_url(), lead_connector::PREFIX)
    }

    /// `base_url` of a `lead_desk` destination with `api = "rest"`.
    pub fn lead_desk_rest_url(&self) -> String {
        format!("{}{}", self.base_url(), lead_desk::REST)
    }

    /// `base_url` of a `lead_desk` destination with `api = "original"`.
    pub fn lead_desk_original_url(&self) -> String {
        format!("{}{}/", self.base_url(), lead_desk::ORIGINAL)
    }

    /// `base_url` of a `lead_bank` destination.
    pub fn lead_bank_url(&self) -> String {
        format!("{}{}", self.base_url(), lead_bank::PREFIX)
    }

    /// The plain CRM: `/v1/contacts`, `/v1/me` and `/oauth/token` are below it.
    pub fn plain_crm_url(&self) -> String {
        format!("{}{}", self.base_url(), plain_crm::PREFIX)
    }

    /// What it was started with.
    pub fn options(&self) -> &SandboxOptions {
        &self.state.options
    }

    /// `[enrich]` and `[destinations.7targets]` that fit this sandbox, as TOML, and the other destinations as comments.
    pub fn config_toml(&self) -> String {
        foreground::config_toml(self)
    }

    /// What it really created.
    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// The requests answered (or not) so far, oldest first; only the newest 200 000 are kept.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.state.ledger.requests()
    }

    /// Its numbers, limits and faults included.
    pub fn totals(&self) -> Totals {
        self.state.totals()
    }

    /// Replaces the faults from now on; every lead's requests are counted anew.
    pub fn set_faults(&self, plan: FaultPlan) {
        self.state.set_faults(plan, None);
    }

    /// Makes every access token invalid, as if all had expired at this moment.
    pub fn revoke_tokens(&self) {
        self.state.tokens.revoke_all();
    }

    /// Turns one of the switches that `GET /_sandbox/switches` lists: `location_active`, for one. Whether there is such.
    #[must_use]
    pub fn set_switch(&self, name: &str, on: bool) -> bool {
        self.state.set_switch(name, on)
    }

    /// Down from now on: open connections are reset, new ones refused, until [`Running::come_back`]. What it knows stays.
    pub fn go_down(&self) {
        self.state.down.send_replace(true);
    }

    /// Serves again after [`Running::go_down`].
    pub fn come_back(&self) {
        self.state.down.send_replace(false);
    }

    /// Ends it: requests in flight get a moment to finish, then connections are cut.
    pub async fn stop(self) {
        self.stop.cancel();
        // The accept loop can only end by itself; a panic in it was reported by the runtime already.
        let _ = self.task.await;
    }
}

/// How long requests in flight may take once the sandbox is told to stop.
const STOP_GRACE: Duration = Duration::from_millis(250);
