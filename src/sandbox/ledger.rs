//! What the sandbox really did: every effect, and every request, whatever the client was told.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limits::LimitTotals;
use super::operation::{Api, Operation};
use crate::clock::{Clock, SystemClock, Timestamp};

/// Requests kept in memory; older ones are only counted.
const REQUESTS_KEPT: usize = 200_000;

/// What an effect did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// A lead that was not there is there now.
    Created,
    /// A create for a lead that was there: what must never happen to a careful client. Changed nothing.
    Repeated,
    /// An update of a lead that is there.
    Updated,
    /// Everything was forgotten, at the operator's wish.
    Reset,
}

/// One effect: a line of the ledger file.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Counts up from 1, across restarts on the same file.
    pub seq: u64,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    pub api: Api,
    pub effect: EffectKind,
    /// Trimmed, lower case.
    pub email: String,
    /// The sandbox's number for the lead.
    pub id: u64,
    /// What spoilt the reply, if anything did: `reset-after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The request's body as sent.
    pub body: Value,
}

/// Shows no personal data.
impl std::fmt::Debug for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effect").field("seq", &self.seq).field("effect", &self.effect).finish_non_exhaustive()
    }
}

/// All effects on one e-mail address.
#[derive(Clone, PartialEq, Serialize)]
pub struct LedgerLead {
    /// Trimmed, lower case.
    pub email: String,
    pub id: u64,
    /// 1: there are no other leads than those that were created once.
    pub creates: u64,
    /// Creates that came although it was there; 0 is what a careful client reaches.
    pub repeated_creates: u64,
    pub updates: u64,
    /// Milliseconds since the epoch.
    pub created_at_ms: i64,
    /// The create's body as sent.
    pub body: Value,
}

/// Shows no personal data.
impl std::fmt::Debug for LedgerLead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerLead").field("id", &self.id).field("creates", &self.creates).finish_non_exhaustive()
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// Counts up from 1.
    pub seq: u64,
    /// When its last byte had arrived, in milliseconds since the epoch.
    pub at_ms: i64,
    pub method: String,
    /// Without query.
    pub path: String,
    /// `None`: there is no such call.
    pub operation: Option<Operation>,
    /// Client id or `api-key`; `None`: nobody known.
    pub account: Option<String>,
    /// `None`: no status was sent, by a fault.
    pub status: Option<u16>,
    /// As in fault plans: `reset-after`.
    pub fault: Option<String>,
}

/// The sandbox in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub requests: u64,
    /// Requests by operation.
    pub operations: BTreeMap<String, u64>,
    /// Leads created.
    pub created: u64,
    /// Creates for leads that were there already.
    pub repeated_creates: u64,
    pub updated: u64,
    /// Unique people that Live Data returned: its credits.
    pub credits_used: u64,
    /// Faults that were injected, as `create:reset-after`.
    pub faults: BTreeMap<String, u64>,
    /// What the rate limiter saw, by service.
    pub limits: BTreeMap<String, LimitTotals>,
}

impl Totals {
    /// Requests above a limit, over all services.
    pub fn violations(&self) -> u64 {
        self.limits.values().map(|limit| limit.violations).sum()
    }
}

#[derive(Default)]
struct Book {
    effects: Vec<Effect>,
    seq: u64,
    requests: VecDeque<RequestRecord>,
    request_seq: u64,
    operations: BTreeMap<Operation, u64>,
    file: Option<File>,
}

/// What the sandbox really did. Its file, if it has one, is written before any reply.
pub struct Ledger {
    book: Mutex<Book>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

impl Ledger {
    /// Empty, or what the file holds.
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let mut book = Book::default();
        if let Some(path) = path {
            let named = |what: &str, error: io::Error| {
                io::Error::new(error.kind(), format!("can't {what} the ledger file {}: {error}", path.display()))
            };
            let mut file = private(path).map_err(|error| named("open", error))?;
            book.effects = restore(&mut file).map_err(|error| named("read", error))?;
            book.seq = book.effects.last().map_or(0, |effect| effect.seq);
            if let Some(reset) = book.effects.iter().rposition(|effect| effect.effect == EffectKind::Reset) {
                book.effects.drain(..=reset);
            }
            book.file = Some(file);
        }
        Ok(Self { book: Mutex::new(book) })
    }

    /// Writes an effect down, to the file first. On an error nothing took place, and the caller must not let it.
    pub(super) fn record(
        &self,
        api: Api,
        effect: EffectKind,
        (email, id): (&str, u64),
        fault: Option<String>,
        body: &Value,
    ) -> io::Result<()> {
        let mut book = self.lock();
        let effect = Effect {
            seq: book.seq + 1,
            at_ms: SystemClock.now().ms(),
            api,
            effect,
            email: email.to_owned(),
            id,
            fault,
            body: body.clone(),
        };
        book.append(&effect)?;
        book.seq = effect.seq;
        book.effects.push(effect);
        Ok(())
    }

    /// Notes a request.
    pub(super) fn request(&self, mut record: RequestRecord) {
        let mut book = self.lock();
        book.request_seq += 1;
        record.seq = book.request_seq;
        if let Some(operation) = record.operation {
            *book.operations.entry(operation).or_default() += 1;
        }
        if book.requests.len() == REQUESTS_KEPT {
            book.requests.pop_front();
        }
        book.requests.push_back(record);
    }

    /// Forgets everything; the file keeps it, with a line that says so.
    pub(super) fn reset(&self) -> io::Result<()> {
        self.record(Api::SevenTargets, EffectKind::Reset, ("", 0), None, &Value::Null)?;
        let mut book = self.lock();
        *book = Book { seq: book.seq, file: book.file.take(), ..Book::default() };
        Ok(())
    }

    /// Every effect since the start or the last reset, oldest first.
    pub fn effects(&self) -> Vec<Effect> {
        self.lock().effects.clone()
    }

    /// What is there, one entry an e-mail, in the order of creation.
    pub fn leads(&self) -> Vec<LedgerLead> {
        by_lead(self.lock().effects.iter())
    }

    /// One lead, if it is there; upper and lower case alike.
    pub fn lead(&self, email: &str) -> Option<LedgerLead> {
        let email = email.trim().to_lowercase();
        by_lead(self.lock().effects.iter().filter(|effect| effect.email == email)).pop()
    }

    /// The newest requests, oldest first.
    pub(super) fn requests(&self) -> Vec<RequestRecord> {
        self.lock().requests.iter().cloned().collect()
    }

    /// Its own part of the numbers.
    pub(super) fn totals(&self) -> Totals {
        let book = self.lock();
        let count = |kind| book.effects.iter().filter(|effect| effect.effect == kind).count() as u64;
        Totals {
            requests: book.request_seq,
            operations: book.operations.iter().map(|(operation, n)| (operation.to_string(), *n)).collect(),
            created: count(EffectKind::Created),
            repeated_creates: count(EffectKind::Repeated),
            updated: count(EffectKind::Updated),
            ..Totals::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // A panic elsewhere leaves whole entries: each is added by one push.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_lead<'a>(effects: impl Iterator<Item = &'a Effect>) -> Vec<LedgerLead> {
    let mut place: HashMap<&str, usize> = HashMap::new();
    let mut leads: Vec<LedgerLead> = Vec::new();
    for effect in effects {
        let at = place.get(effect.email.as_str()).copied();
        match (effect.effect, at) {
            (EffectKind::Created, None) => {
                place.insert(&effect.email, leads.len());
                leads.push(LedgerLead {
                    email: effect.email.clone(),
                    id: effect.id,
                    creates: 1,
                    repeated_creates: 0,
                    updates: 0,
                    created_at_ms: effect.at_ms,
                    body: effect.body.clone(),
                });
            }
            (EffectKind::Created, Some(at)) => leads[at].creates += 1,
            (EffectKind::Repeated, Some(at)) => leads[at].repeated_creates += 1,
            (EffectKind::Updated, Some(at)) => leads[at].updates += 1,
            (EffectKind::Repeated | EffectKind::Updated, None) | (EffectKind::Reset, _) => {}
        }
    }
    leads
}

impl Book {
    fn append(&mut self, effect: &Effect) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut line = serde_json::to_vec(effect)?;
        line.push(b'\n');
        // One write a line: a kill leaves whole lines, but for a torn last one, which `restore` cuts off.
        file.write_all(&line)
    }
}

impl RequestRecord {
    /// A request that is still to be numbered.
    pub(super) fn new(at: Timestamp, method: &http::Method, path: &str) -> Self {
        Self {
            seq: 0,
            at_ms: at.ms(),
            method: method.to_string(),
            path: path.to_owned(),
            operation: None,
            account: None,
            status: None,
            fault: None,
        }
    }
}

/// Opens for reading and appending; made so that only the owner may read it, for it holds people's data.
fn private(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
    how.open(path)
}

/// The effects in the file. A last line without its end was torn by a kill and its effect never took place: cut off.
fn restore(file: &mut File) -> io::Result<Vec<Effect>> {
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        file.set_len(whole as u64)?;
    }
    let lines = text[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(n, line)| {
            serde_json::from_slice(line).map_err(|error| {
                // The position only: serde's message may quote a value.
                let why = format!(
                    "line {} is no ledger entry (column {}); name another file or move this one away",
                    n + 1,
                    error.column()
                );
                io::Error::new(io::ErrorKind::InvalidData, why)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn create(ledger: &Ledger, email: &str, id: u64) {
        let body = json!({"name": "Ann"});
        ledger.record(Api::SevenTargets, EffectKind::Created, (email, id), None, &body).unwrap();
    }

    #[test]
    fn a_ledger_file_is_continued_and_a_torn_line_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.jsonl");
        create(&Ledger::open(Some(&path)).unwrap(), "ann@example.com", 1);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"seq":2,"at_ms""#).unwrap();

        let ledger = Ledger::open(Some(&path)).unwrap();
        create(&ledger, "bea@example.com", 2);
        let again = Ledger::open(Some(&path)).unwrap();
        assert_eq!(again.effects(), ledger.effects());
        let emails: Vec<_> = again.leads().into_iter().map(|lead| lead.email).collect();
        assert_eq!(emails, ["ann@example.com", "bea@example.com"]);
        assert_eq!(again.effects().last().unwrap().seq, 2);
    }

    #[test]
    fn a_reset_outlives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.jsonl");
        let ledger = Ledger::open(Some(&path)).unwrap();
        create(&ledger, "ann@example.com", 1);
        ledger.reset().unwrap();
        create(&ledger, "bea@example.com", 1);
        assert_eq!(Ledger::open(Some(&path)).unwrap().leads().len(), 1);
    }

    #[test]
    fn a_file_that_is_no_ledger_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "ann@example.com\n").unwrap();
        let error = Ledger::open(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("line 1 is no ledger entry") && !error.contains("ann@"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "ann@example.com\n");
    }
}
