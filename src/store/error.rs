//! What the drivers say, sorted into what the caller can do about it, and without anything personal.

use sqlx::error::DatabaseError;

use super::StoreError;

/// For `map_err`: sorts a driver's error; `doing` names the operation ("commit").
pub(super) fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| sort(doing, error)
}

fn sort(doing: &'static str, error: sqlx::Error) -> StoreError {
    use sqlx::Error as E;
    let unavailable = |what: &str| StoreError::Unavailable { what: what.to_owned() };
    match error {
        E::Io(source) => StoreError::Unavailable { what: source.kind().to_string() },
        E::Tls(_) => unavailable("the TLS connection could not be made"),
        E::PoolTimedOut => unavailable("no connection became free in time"),
        E::PoolClosed => unavailable("it was closed"),
        E::WorkerCrashed | E::BeginFailed => unavailable("the connection broke"),
        E::Database(said) => match (unwritable(&*said), temporary(&*said)) {
            (Some(what), _) => StoreError::Unwritable { what },
            (None, Some(what)) => unavailable(what),
            (None, None) => StoreError::Failed { doing, source: without_values(&*said) },
        },
        // What a column held must not travel on in an error.
        E::ColumnDecode { index, .. } => StoreError::Unreadable { what: format!("column {index} ({doing})") },
        source => StoreError::Failed { doing, source },
    }
}

/// In words, if waiting and repeating may help.
fn temporary(said: &dyn DatabaseError) -> Option<&'static str> {
    let code = said.code()?;
    if said.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return match sqlite_code(&code) {
            5 | 6 => Some("another process holds the write lock"),
            _ => None,
        };
    }
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    Some(match &*code {
        "40001" | "40P01" => "it undid the change because another worker was changing the same rows",
        "55P03" => "another worker holds a lock for too long",
        "57014" => "it took too long and was cut short",
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" => {
            "the server is shutting down, starting up, or cut the connection"
        }
        "53300" => "the server has no connection left",
        "53200" => "the server is out of memory",
        "25006" => "the server is read-only at the moment (a standby?)",
        code if code.starts_with("08") => "the connection broke",
        _ => return None,
    })
}

/// In words, if it can't keep anything at the moment.
fn unwritable(said: &dyn DatabaseError) -> Option<&'static str> {
    let code = said.code()?;
    if said.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return match sqlite_code(&code) {
            8 => Some("its file can't be written to any more; make the file, its directory and the disk writable"),
            10 => {
                Some("reading or writing its file failed; is the disk full, failing or gone, or `ulimit -f` too low?")
            }
            13 => Some("no room is left on its disk; make room"),
            14 => Some("its file, or one beside it, can't be opened any more; is its directory there and writable?"),
            _ => None,
        };
    }
    match &*code {
        "53100" => Some("no room is left on the server's disk; make room"),
        "53000" | "53400" => Some("the server lacks resources, or one of its limits is reached; see its log"),
        "58030" => Some("the server can't read or write its files; see its log"),
        _ => None,
    }
}

/// SQLite's primary result code: https://www.sqlite.org/rescode.html
pub(super) fn sqlite_code(code: &str) -> i64 {
    code.parse::<i64>().unwrap_or(0) & 0xff
}

/// The message and the code only: Postgres puts values into DETAIL, and for data exceptions (class 22) into the message.
fn without_values(said: &dyn DatabaseError) -> sqlx::Error {
    let code = said.code().unwrap_or_default();
    let words = match code.get(..2) {
        Some("22") if code.len() == 5 => "a value does not fit its type",
        _ => said.message(),
    };
    sqlx::Error::InvalidArgument(format!("{words} (code {code})"))
}
