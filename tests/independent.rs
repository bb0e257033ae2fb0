//! leadsync against servers that others wrote: the real program, real sockets, both databases. What these servers refuse
//! is either our mistake or something to know about them.
//!
//! `scripts/test --all` installs them; see `independent/README.md`.

mod support;

#[allow(dead_code)]
#[macro_use]
#[path = "journeys/bench.rs"]
mod bench;

#[path = "independent/contacts.rs"]
mod contacts;
#[path = "independent/dialects.rs"]
mod dialects;
#[path = "independent/documents.rs"]
mod documents;
#[path = "independent/harness.rs"]
mod harness;
#[path = "independent/issuer.rs"]
mod issuer;
#[path = "independent/logins.rs"]
mod logins;
#[path = "independent/servers.rs"]
mod servers;
#[path = "independent/tokens.rs"]
mod tokens;
#[path = "independent/wire.rs"]
mod wire;
