//! Postgres addresses.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::store::{Result, StoreError};

/// Parameters that sqlx understands.
fn is_known(key: &str) -> bool {
    const KNOWN: [&str; 17] = [
        "sslmode",
        "ssl-mode",
        "sslrootcert",
        "ssl-root-cert",
        "ssl-ca",
        "sslcert",
        "ssl-cert",
        "sslkey",
        "ssl-key",
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "password",
        "application_name",
        "options",
    ];
    KNOWN.contains(&key) || key.starts_with("options[")
}

/// How to connect, and the address without user and password.
pub(super) fn parse(url: &str) -> Result<(PgConnectOptions, String)> {
    // What the parser says may hold pieces of the address, so only what kind of error it was is passed on.
    let bad = |why: &str| StoreError::BadUrl {
        what: format!("not a usable Postgres address ({why}); expected `postgres://user:password@host:port/database`"),
    };
    let parsed = Url::parse(url).map_err(|error| bad(&error.to_string()))?;
    // Parameters of other drivers are left out; sqlx would log their values.
    let mut understood = parsed.clone();
    let pairs: Vec<_> = parsed.query_pairs().filter(|(key, _)| is_known(key)).collect();
    match pairs.is_empty() {
        true => understood.set_query(None),
        false => drop(understood.query_pairs_mut().clear().extend_pairs(pairs)),
    }
    let options = PgConnectOptions::from_str(understood.as_str())
        .map_err(|_| bad("a parameter after `?` has an unknown value"))?
        // What has no name can't be kept; and what migrations named is taken away again.
        .statement_cache_capacity(0);
    let database = options.get_database().unwrap_or("").to_owned();
    let location = match options.get_socket() {
        Some(socket) => format!("postgres:///{database}?host={}", socket.display()),
        None if options.get_host().starts_with('/') => format!("postgres:///{database}?host={}", options.get_host()),
        None => format!("postgres://{}:{}/{database}", options.get_host(), options.get_port()),
    };
    Ok((options, location))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_location_shows_neither_user_nor_password() {
        let (_, location) = parse("postgres://ann:s3cret@db.example.com:5433/leads?sslmode=require").unwrap();
        assert_eq!(location, "postgres://db.example.com:5433/leads");
        let (_, location) = parse("postgresql:///leads?host=/run/pg&user=ann&password=s3cret").unwrap();
        assert_eq!(location, "postgres:///leads?host=/run/pg");
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_repeating_it() {
        for url in [
            "postgres://ann:s3cret@host:port/db",
            "postgres://ann:s3cret@host/db?sslmode=s3cret",
            "postgres://ann:s3cret@",
        ] {
            if let Err(error) = parse(url) {
                assert!(!format!("{error:?}{error}").contains("s3cret"), "{error}");
            }
        }
    }
}
