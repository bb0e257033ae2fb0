//! A case as data: made from one number, told in words, and made smaller part by part.

use std::collections::BTreeSet;
use std::fmt;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::bench::{FIRST_NAME, LAST_NAME, email};
use crate::support::database::Kind;
use crate::support::postgres::Stop;

/// One of the two places that leads are sent to; each has a sandbox and a ledger of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The default destination.
    Main,
    Other,
}

impl Place {
    pub const BOTH: [Self; 2] = [Self::Main, Self::Other];

    /// As the configuration names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "7targets",
            Self::Other => "other",
        }
    }
}

/// How an address is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    Plain,
    Upper,
    Spaced,
    Mailto,
    Named,
}

/// Why a row can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    Blank,
    Malformed,
    Nameless,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Rows about one person are one lead, at each place.
    pub person: usize,
    pub spelling: Spelling,
    pub flaw: Option<Flaw>,
    pub to: Place,
    /// Through a CSV file; else by plain SQL.
    pub by_file: bool,
    /// SQL only: not to be worked before so many milliseconds from the beginning.
    pub after_ms: i64,
}

impl Row {
    /// The cell with the address.
    pub fn address(&self) -> String {
        let plain = email(self.person);
        match (self.flaw, self.spelling) {
            (Some(Flaw::Blank), _) => String::new(),
            (Some(Flaw::Malformed), _) => plain.replace('@', " at "),
            (_, Spelling::Plain) => plain,
            (_, Spelling::Upper) => plain.to_uppercase(),
            (_, Spelling::Spaced) => format!("  {plain} "),
            (_, Spelling::Mailto) => format!("mailto:{plain}"),
            (_, Spelling::Named) => format!("{FIRST_NAME} <{plain}>"),
        }
    }

    pub fn first_name(&self) -> &'static str {
        if self.flaw == Some(Flaw::Nameless) { "" } else { FIRST_NAME }
    }

    pub fn last_name(&self) -> String {
        format!("{LAST_NAME}{}", self.person)
    }
}

/// What happens to the whole, besides the faults of single requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// SIGKILL to one of the workers.
    Kill(usize),
    /// SIGTERM to one of the workers.
    Term(usize),
    /// Nobody listens there, for so many milliseconds.
    Down(Place, u64),
    /// Every access token becomes invalid.
    Revoke(Place),
    /// Postgres only.
    Restart(Stop),
    /// Postgres only: every connection is cut.
    Cut,
    /// SQLite only: another program holds the write lock, for so many milliseconds.
    Lock(u64),
}

/// One such event, after so many more requests.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub after_requests: u64,
    pub what: What,
}

/// What becomes of unknown outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Update,
    Hold,
    Retry,
}

impl Policy {
    pub fn word(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Hold => "hold",
            Self::Retry => "retry",
        }
    }
}

/// A case.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub kind: Kind,
    pub policy: Policy,
    pub max_attempts: i64,
    pub concurrency: i64,
    pub workers: usize,
    pub look_ups: bool,
    /// With look-ups: leads go on without if they fail.
    pub send_without: bool,
    /// With a rate that workers share through the database.
    pub has_rate: bool,
    /// The first worker is an import of the file; else the file is loaded before.
    pub import_works: bool,
    pub rows: Vec<Part<Row>>,
    /// In the sandbox's words; the place is one of the two.
    pub faults: Vec<Part<(Place, String)>>,
    pub events: Vec<Part<Event>>,
}

/// Something that can be left out: its number, and itself.
pub type Part<T> = (usize, T);

/// What goes wrong with a create, and how often at most, in percent.
const CREATE: [(&str, u32); 23] = [
    ("reset", 30),
    ("reset-after", 40),
    ("hang", 10),
    ("hang-after", 25),
    ("late", 40),
    ("429", 20),
    ("429-none", 20),
    ("429-date", 10),
    ("500", 40),
    ("500-after", 40),
    ("502-after", 20),
    ("503", 30),
    ("504", 20),
    ("504-after", 20),
    ("401", 20),
    ("truncated", 30),
    ("html", 30),
    ("empty", 30),
    ("drip", 10),
    ("error-body", 30),
    ("error-body-after", 30),
    ("other-lead", 30),
    ("no-id", 30),
];
/// The same for the question whether a lead is there. No 404: who lies about that can't be found out.
const UPDATE: [(&str, u32); 14] = [
    ("reset", 40),
    ("hang", 10),
    ("429-seconds", 20),
    ("500", 40),
    ("503", 40),
    ("422", 30),
    ("401", 20),
    ("truncated", 40),
    ("html", 40),
    ("empty", 40),
    ("drip", 10),
    ("error-body", 40),
    ("other-lead", 40),
    ("no-id", 40),
];
/// For tokens, checks and look-ups.
const AROUND: [(&str, u32); 9] = [
    ("reset", 40),
    ("hang", 20),
    ("429", 30),
    ("500", 50),
    ("503", 50),
    ("truncated", 40),
    ("html", 40),
    ("empty", 40),
    ("error-body", 40),
];

impl Plan {
    /// The case of this number; `without` leaves parts out, and changes nothing else.
    pub fn of(seed: u64, kind: Kind, without: &BTreeSet<usize>) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let dice = &mut dice;
        let mut number = 0;
        let look_ups = dice.random_bool(0.4);
        let mut plan = Self {
            seed,
            kind,
            policy: one_of(dice, &[Policy::Update, Policy::Update, Policy::Hold, Policy::Retry]),
            max_attempts: dice.random_range(2..=6),
            concurrency: dice.random_range(1..=6),
            workers: dice.random_range(1..=2),
            look_ups,
            send_without: dice.random_bool(0.5),
            import_works: dice.random_bool(0.3),
            rows: parts(&mut number, rows(dice, look_ups)),
            faults: parts(&mut number, faults(dice, look_ups)),
            events: parts(&mut number, events(dice, kind)),
            has_rate: dice.random_bool(0.5),
        };
        plan.rows.retain(|(n, _)| !without.contains(n));
        plan.faults.retain(|(n, _)| !without.contains(n));
        plan.events.retain(|(n, _)| !without.contains(n));
        plan
    }

    /// The numbers of all its parts, events first: what is worth leaving out first.
    pub fn parts(&self) -> Vec<usize> {
        let rows = self.rows.iter().map(|(n, _)| *n);
        let faults = self.faults.iter().map(|(n, _)| *n);
        self.events.iter().map(|(n, _)| *n).chain(faults).chain(rows).collect()
    }

    /// Whether anything but the faults of single requests can leave an outcome unknown.
    pub fn disturbs_workers(&self) -> bool {
        self.events.iter().any(|(_, event)| !matches!(event.what, What::Revoke(_)))
    }

    /// The fault plan of one sandbox.
    pub fn faults_of(&self, place: Place) -> String {
        let of = self.faults.iter().filter(|(_, (at, _))| *at == place).map(|(_, (_, rule))| rule.as_str());
        of.collect::<Vec<_>>().join(",")
    }

    /// Whether effects may come after the client has gone, so that it has to ask later than otherwise.
    pub fn has_late_effects(&self) -> bool {
        self.faults.iter().any(|(_, (_, rule))| rule.contains(":late="))
    }

    /// What there is in it, in words: so that it can be said what some cases cover together.
    pub fn features(&self) -> BTreeSet<String> {
        let mut features = BTreeSet::from([
            format!("unknown = {}", self.policy.word()),
            format!("{} worker(s)", self.workers),
            format!("look-ups: {}", self.look_ups),
            format!("the file is imported by a worker: {}", self.import_works),
        ]);
        for (_, event) in &self.events {
            features.insert(match event.what {
                What::Kill(_) => "event: kill".to_owned(),
                What::Term(_) => "event: term".to_owned(),
                What::Down(..) => "event: down".to_owned(),
                What::Revoke(_) => "event: revoke".to_owned(),
                What::Restart(how) => format!("event: restart, {how:?}"),
                What::Cut => "event: cut".to_owned(),
                What::Lock(_) => "event: lock".to_owned(),
            });
        }
        for (_, (_, rule)) in &self.faults {
            let (what, _) = rule.split_once('=').expect("made by us");
            features.insert(format!("fault: {what}"));
            features.insert(format!("fault: {what}, unknown = {}", self.policy.word()));
        }
        if self.rows.iter().any(|(_, row)| row.after_ms > 0) {
            features.insert("rows for later".to_owned());
        }
        features
    }

    /// Whether the test stops the server.
    pub fn restarts(&self) -> bool {
        self.events.iter().any(|(_, event)| matches!(event.what, What::Restart(_) | What::Cut))
    }
}

fn parts<T>(number: &mut usize, all: Vec<T>) -> Vec<Part<T>> {
    let numbered = |it| {
        *number += 1;
        (*number, it)
    };
    all.into_iter().map(numbered).collect()
}

fn one_of<T: Copy>(dice: &mut StdRng, of: &[T]) -> T {
    *of.choose(dice).expect("there is a choice")
}

fn rows(dice: &mut StdRng, look_ups: bool) -> Vec<Row> {
    use Spelling::{Mailto, Named, Plain, Spaced, Upper};
    let people = dice.random_range(8..=20);
    let mut rows = Vec::new();
    for person in 1..=people {
        for n in 0..one_of(dice, &[1, 1, 1, 2, 3]) {
            let by_file = dice.random_bool(0.5);
            rows.push(Row {
                person,
                spelling: if n == 0 { Plain } else { one_of(dice, &[Plain, Upper, Spaced, Mailto, Named]) },
                flaw: None,
                to: one_of(dice, &[Place::Main, Place::Main, Place::Main, Place::Other]),
                by_file,
                after_ms: if !by_file && dice.random_bool(0.2) { dice.random_range(500..3_000) } else { 0 },
            });
        }
    }
    for person in 1..=dice.random_range(0..=3) {
        // A look-up may know the name that a row lacks.
        let flaws = if look_ups {
            &[Flaw::Blank, Flaw::Malformed][..]
        } else {
            &[Flaw::Blank, Flaw::Malformed, Flaw::Nameless]
        };
        let flaw = Some(one_of(dice, flaws));
        // Nobody else's number, so that no flawless row of theirs is meant.
        let person = 100 + person;
        let by_file = dice.random_bool(0.5);
        rows.push(Row { person, spelling: Plain, flaw, to: Place::Main, by_file, after_ms: 0 });
    }
    rows
}

fn faults(dice: &mut StdRng, look_ups: bool) -> Vec<(Place, String)> {
    let mut faults = Vec::new();
    let share = |dice: &mut StdRng, operation: &str, (word, most): (&str, u32)| {
        format!("{operation}:{word}={}%", dice.random_range(most / 2..=most))
    };
    for place in Place::BOTH {
        for _ in 0..dice.random_range(2..=5) {
            let fault = one_of(dice, &CREATE);
            faults.push((place, share(dice, "create", fault)));
        }
        for _ in 0..dice.random_range(0..=3) {
            let fault = one_of(dice, &UPDATE);
            faults.push((place, share(dice, "update", fault)));
        }
        if dice.random_bool(0.3) {
            faults.push((place, format!("create:422={}%", dice.random_range(3..=15))));
        }
        // The account's fault ends a run, so it comes once.
        if dice.random_bool(0.15) {
            faults.push((place, format!("create:403=#{}", dice.random_range(2..=9))));
        }
        for operation in ["token", "assistants"] {
            if dice.random_bool(0.25) {
                let fault = one_of(dice, &AROUND);
                faults.push((place, share(dice, operation, fault)));
            }
        }
    }
    if look_ups {
        for operation in ["find", "find", "session"] {
            if dice.random_bool(0.6) {
                let fault = one_of(dice, &AROUND);
                faults.push((Place::Main, share(dice, operation, fault)));
            }
        }
    }
    faults
}

fn events(dice: &mut StdRng, kind: Kind) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..dice.random_range(2..=6) {
        let place = one_of(dice, &Place::BOTH);
        let worker = dice.random_range(0..2);
        // Rolled for both databases, so that one number means the same leads and faults on both.
        let how = one_of(dice, &[Stop::Immediate, Stop::Fast]);
        let for_ms = dice.random_range(200..=2_500);
        let database = match (kind, dice.random_bool(0.6)) {
            (Kind::Sqlite, _) => What::Lock(for_ms),
            (Kind::Postgres, true) => What::Restart(how),
            (Kind::Postgres, false) => What::Cut,
        };
        let what = match dice.random_range(0..10) {
            0..4 => What::Kill(worker),
            4 | 5 => What::Term(worker),
            6 => What::Down(place, for_ms),
            7 => What::Revoke(place),
            _ => database,
        };
        events.push(Event { after_requests: dice.random_range(1..=15), what });
    }
    events
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  database   {:?}", self.kind)?;
        writeln!(
            f,
            "  settings   unknown = {}, max_attempts {}, concurrency {}, {} worker(s), {}, look-ups {}, {}",
            self.policy.word(),
            self.max_attempts,
            self.concurrency,
            self.workers,
            if self.has_rate { "a rate" } else { "no rate" },
            match (self.look_ups, self.send_without) {
                (false, _) => "off",
                (true, true) => "on, sent without if they fail",
                (true, false) => "on, waited for",
            },
            if self.import_works { "the file imported by the first worker" } else { "the file loaded before" }
        )?;
        for (n, row) in &self.rows {
            let way = if row.by_file { "by file" } else { "by SQL" };
            write!(f, "  {n:>4} row   person {} for {} {way}", row.person, row.to.name())?;
            if row.spelling != Spelling::Plain {
                write!(f, ", {:?}", row.spelling)?;
            }
            if let Some(flaw) = row.flaw {
                write!(f, ", {flaw:?}")?;
            }
            if row.after_ms > 0 {
                write!(f, ", after {} ms", row.after_ms)?;
            }
            writeln!(f)?;
        }
        for (n, (place, rule)) in &self.faults {
            writeln!(f, "  {n:>4} fault {rule} at {}", place.name())?;
        }
        for (n, event) in &self.events {
            writeln!(f, "  {n:>4} event {:?} after {} more requests", event.what, event.after_requests)?;
        }
        Ok(())
    }
}
