//! leadsync reads leads (CSV files, a queue table in SQLite or Postgres), looks each person up, creates the lead in a CRM
//! within the API's rate limits, and records every result. No lead is lost, none is created twice, and the operator
//! always knows what happened to each one.
//!
//! ```text
//! source ──▶ normalise ──▶ enrich ──▶ deliver ──▶ record
//!  CSV, queue   e-mail, phone  Live Data   CRMs         results, call log, tokens: SQLite or Postgres
//! ```
//!
//! Imports point one way, each module using only those below it:
//!
//! ```text
//! cli                        sees pipeline and sandbox; nothing sees it
//! pipeline                   sees connectors and all below
//! connectors::{channel, registry}   bind a connector to auth, http, config and the call log of store
//! connectors::discretion     makes verdicts discreet; sees lead and mask
//! connectors::*_*            each API's folder sees lead, connectors, http::message, its table in config, and auth's grants,
//!                            which are data
//! auth                       sees http and store
//! store                      sees lead, and its own settings in config
//! config                     sees http::message, and asks the registry which keys the kinds of destination have
//! sandbox                    sees http::message
//! http                       sees clock and mask
//! lead, clock, crash, exit, mask, secret, telemetry   see nothing of ours but the clock
//! ```

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "most readers of these pages read the code: `cargo doc --document-private-items` has the targets"
)]

#[cfg(test)]
extern crate self as leadsync;

mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connectors;
pub mod crash;
pub mod exit;
pub mod http;
pub mod lead;
mod mask;
pub mod pipeline;
pub mod sandbox;
pub mod secret;
pub mod store;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
mod telemetry;
