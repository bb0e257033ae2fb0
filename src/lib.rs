//! leadsync reads leads (CSV files, a queue table in SQLite or Postgres), looks each person up, creates the lead in a CRM
//! within the API's rate limits, and records every result. No lead is lost, none is created twice, and the operator
//! always knows what happened to each one.
//!
//! ```text
//! source ──▶ normalise ──▶ enrich ──▶ deliver ──▶ record
//!  CSV, queue   e-mail, phone  Live Data   7targets     results, call log, tokens: SQLite or Postgres
//! ```
//!
//! Imports point one way: `cli → pipeline → connectors::channel → {auth, http}`, and `pipeline, auth → store → lead`.

pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connectors;
pub mod exit;
pub mod http;
pub mod lead;
pub mod mask;
pub mod pipeline;
pub mod sandbox;
pub mod secret;
pub mod store;
pub mod telemetry;
