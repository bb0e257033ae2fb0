//! What every database must do: one list of cases, run on SQLite and on Postgres. The cases are the docstrings of
//! `leadsync::store`, topic by topic.

mod support;

#[macro_use]
#[path = "store_conformance/bench.rs"]
mod bench;

#[path = "store_conformance/claims.rs"]
mod claims;
#[path = "store_conformance/commit.rs"]
mod commit;
#[path = "store_conformance/foreign.rs"]
mod foreign;
#[path = "store_conformance/lease.rs"]
mod lease;
#[path = "store_conformance/ledger.rs"]
mod ledger;

#[path = "store_conformance/model.rs"]
mod model;
#[path = "store_conformance/opening.rs"]
mod opening;
#[path = "store_conformance/operate.rs"]
mod operate;
#[path = "store_conformance/speed.rs"]
mod speed;
#[path = "store_conformance/vault.rs"]
mod vault;
