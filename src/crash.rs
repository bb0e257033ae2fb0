//! Places where a test may end the program, or freeze it: wherever what the database knows and what the other side has
//! can part. In debug builds only; in a release build a point is nothing at all.
//!
//! `LEADSYNC_CRASH=NAME` kills the process (SIGKILL) at the first passing of that point, `NAME@3` at the third;
//! `NAME:stop` freezes it (SIGSTOP) until somebody continues it. `tests/journeys/crashes.rs` does so for each point of
//! the list, so a new one fails there until a scenario passes it.

/// On which side of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// All is written, nothing is durable.
    BeforeCommit,
    /// It is durable, and nobody has been told.
    AfterCommit,
    /// The intent to send is durable; whether the lease allows the request has not been asked yet.
    Intended,
    /// All has been asked; the request is handed over to be sent.
    BeforeRequest,
    /// The connection is there and wants the request's body.
    BeforeWrite,
    /// The reply is here, and nothing of it is written down.
    AfterReply,
}

#[cfg(debug_assertions)]
pub use self::armed::{arm, point, points};

/// Nothing is compiled in that could be armed.
///
/// # Errors
/// None.
#[cfg(not(debug_assertions))]
pub(crate) fn arm() -> Result<(), String> {
    Ok(())
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn point(_: &str, _: At) {}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::At;

    const VARIABLE: &str = "LEADSYNC_CRASH";

    /// Transactions that write, by the names that errors give them.
    const TRANSACTIONS: [&str; 23] = [
        "migrate",
        "keep_sealed_key",
        "begin_run",
        "begin_turn",
        "renew_turn",
        "enqueue",
        "lease",
        "renew",
        "commit",
        "operate",
        "begin_refresh",
        "replace_token",
        "abandon_refresh",
        "mark_needs_login",
        "reseal",
        "take_quota",
        "share_places",
        "remember",
        "log_calls",
        "pause",
        "pause_by_hand",
        "resume_by_hand",
        "finish_run",
    ];
    /// Requests, by the names that the call log gives them.
    const REQUESTS: [&str; 7] = ["check", "token", "lookup", "create", "find", "repeat", "complete"];

    impl At {
        fn name(self) -> &'static str {
            match self {
                Self::BeforeCommit => "before-commit",
                Self::AfterCommit => "after-commit",
                Self::Intended => "intended",
                Self::BeforeRequest => "before-request",
                Self::BeforeWrite => "before-write",
                Self::AfterReply => "after-reply",
            }
        }
    }

    /// Every point there is, by name.
    pub fn points() -> Vec<String> {
        let name = |what: &str, at: At| format!("{what}.{}", at.name());
        let pairs = |list: &[&str], sides: [At; 2]| {
            list.iter().flat_map(|what| sides.map(|at| name(what, at))).collect::<Vec<_>>()
        };
        let mut points = pairs(&TRANSACTIONS, [At::BeforeCommit, At::AfterCommit]);
        points.extend(pairs(&REQUESTS, [At::BeforeRequest, At::AfterReply]));
        points.push(name("create", At::Intended));
        points.push(name("body", At::BeforeWrite));
        points
    }

    struct Armed {
        point: String,
        /// Which passing of it.
        passing: u32,
        stops: bool,
        passed: AtomicU32,
    }

    static ARMED: LazyLock<Result<Option<Armed>, String>> = LazyLock::new(|| match std::env::var(VARIABLE) {
        Ok(text) => parse(&text).map(Some),
        Err(_) => Ok(None),
    });

    fn parse(text: &str) -> Result<Armed, String> {
        let (rest, stops) = match text.strip_suffix(":stop") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (point, passing) = match rest.split_once('@') {
            Some((point, number)) => (point, number.parse().ok().filter(|n| *n > 0)),
            None => (rest, Some(1)),
        };
        let passing = passing.ok_or_else(|| format!("{VARIABLE}: `{text}` counts passings from 1, as in `NAME@2`"))?;
        if !points().iter().any(|known| known == point) {
            return Err(format!("{VARIABLE}: no point is called `{point}`; there are: {}", points().join(", ")));
        }
        Ok(Armed { point: point.to_owned(), passing, stops, passed: AtomicU32::new(0) })
    }

    /// Reads what the environment wants. To be asked first of all.
    ///
    /// # Errors
    /// If it names no point, in words.
    pub fn arm() -> Result<(), String> {
        ARMED.as_ref().map(drop).map_err(Clone::clone)
    }

    /// Ends or freezes the process if this is the point.
    ///
    /// # Panics
    /// If the list does not have it.
    pub fn point(what: &str, at: At) {
        let listed = match at {
            At::BeforeCommit | At::AfterCommit => TRANSACTIONS.contains(&what),
            At::BeforeRequest | At::AfterReply => REQUESTS.contains(&what),
            At::Intended => what == "create",
            At::BeforeWrite => what == "body",
        };
        assert!(listed, "the list of crash points lacks `{what}.{}`", at.name());
        let Ok(Some(armed)) = &*ARMED else { return };
        let Some(("", name)) = armed.point.strip_prefix(what).and_then(|rest| rest.split_once('.')) else { return };
        if name == at.name() && armed.passed.fetch_add(1, Ordering::SeqCst) + 1 == armed.passing {
            act(armed.stops);
        }
    }

    #[cfg(unix)]
    fn act(stops: bool) {
        use rustix::process::{Signal, getpid, kill_process};
        let signal = if stops { Signal::STOP } else { Signal::KILL };
        let _ = kill_process(getpid(), signal);
        // A stop may reach this thread a moment after the others; it must not get ahead meanwhile.
        std::thread::sleep(std::time::Duration::from_millis(200));
    }

    #[cfg(not(unix))]
    fn act(_: bool) {
        std::process::abort();
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_is_named_with_its_passing_and_what_happens_there() {
            let armed = parse("commit.after-commit@3:stop").unwrap();
            assert_eq!((armed.point.as_str(), armed.passing, armed.stops), ("commit.after-commit", 3, true));
            let armed = parse("create.intended").unwrap();
            assert_eq!((armed.point.as_str(), armed.passing, armed.stops), ("create.intended", 1, false));
        }

        #[test]
        fn an_unknown_point_is_refused_with_those_there_are() {
            let said = parse("commit.after").err().unwrap();
            assert!(said.contains("`commit.after`") && said.contains("commit.after-commit, "), "{said}");
            assert!(parse("create.intended@0").is_err());
        }
    }
}
