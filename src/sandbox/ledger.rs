//! What the sandbox really did: every effect, and every request, whatever the client was told.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::operation::{Api, Operation};
use super::seven_targets;
use super::totals::Totals;
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
    /// An update of a lead that is there, an upsert's too.
    Updated,
    /// A create that came again under its `Idempotency-Key` and was given its first answer. Changed nothing.
    Replayed,
    /// Tags were added to a lead that is there.
    Tagged,
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
    /// Trimmed, lower case; empty if it was sent without.
    pub email: String,
    /// What the service tells leads apart by, where that is not the e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The sandbox's number for the lead.
    pub id: u64,
    /// What the service calls the lead, where that is not the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// What spoilt the reply, if anything did: `reset-after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The request's body as sent; identity numbers are cut to their last digits.
    pub body: Value,
}

impl Effect {
    fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.email)
    }
}

/// Whom an effect is about.
pub(super) struct Subject<'a> {
    /// Trimmed, lower case; empty if unknown.
    pub(super) email: &'a str,
    /// What tells leads apart, if not the e-mail address.
    pub(super) key: Option<String>,
    pub(super) id: u64,
    /// What the client sees as its id, if not the number.
    pub(super) remote_id: Option<String>,
}

impl<'a> Subject<'a> {
    /// One lead an e-mail address, called by its number.
    pub(super) fn by_email(email: &'a str, id: u64) -> Self {
        Self { email, key: None, id, remote_id: None }
    }
}

/// Shows no personal data.
impl std::fmt::Debug for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effect").field("seq", &self.seq).field("effect", &self.effect).finish_non_exhaustive()
    }
}

/// All effects on one lead of a service.
#[derive(Clone, PartialEq, Serialize)]
pub struct LedgerLead {
    pub api: Api,
    /// Trimmed, lower case; empty if it was sent without.
    pub email: String,
    /// What the service tells leads apart by: mostly the e-mail address.
    pub key: String,
    pub id: u64,
    /// What the client knows it by.
    pub remote_id: String,
    /// 1: there are no other leads than those that were created once.
    pub creates: u64,
    /// Creates that came although it was there; 0 is what a careful client reaches.
    pub repeated_creates: u64,
    pub updates: u64,
    /// Creates under an `Idempotency-Key` that was known: harmless.
    pub replays: u64,
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
        subject: Subject<'_>,
        fault: Option<String>,
        body: &Value,
    ) -> io::Result<()> {
        let mut book = self.lock();
        let effect = Effect {
            seq: book.seq + 1,
            at_ms: SystemClock.now().ms(),
            api,
            effect,
            email: subject.email.to_owned(),
            key: subject.key,
            id: subject.id,
            remote_id: subject.remote_id,
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
        // The service means nothing here, and files must have one.
        self.record(seven_targets::API, EffectKind::Reset, Subject::by_email("", 0), None, &Value::Null)?;
        let mut book = self.lock();
        *book = Book { seq: book.seq, file: book.file.take(), ..Book::default() };
        Ok(())
    }

    /// Every effect since the start or the last reset, oldest first.
    pub fn effects(&self) -> Vec<Effect> {
        self.lock().effects.clone()
    }

    /// What is there, one entry a lead of a service, in the order of creation.
    pub fn leads(&self) -> Vec<LedgerLead> {
        by_lead(self.lock().effects.iter())
    }

    /// What one service has, in the order of creation.
    pub fn leads_of(&self, api: Api) -> Vec<LedgerLead> {
        by_lead(self.lock().effects.iter().filter(|effect| effect.api == api))
    }

    /// The 7targets lead of this e-mail address, if it is there; upper and lower case alike.
    pub fn lead(&self, email: &str) -> Option<LedgerLead> {
        self.lead_of(seven_targets::API, email)
    }

    /// A service's lead by e-mail address, or by what else it is told apart by; upper and lower case alike. The newest,
    /// if several have the address (on two LeadDesk lists, say).
    pub fn lead_of(&self, api: Api, who: &str) -> Option<LedgerLead> {
        let who = who.trim().to_lowercase();
        let book = self.lock();
        let about = book.effects.iter().filter(|effect| effect.api == api);
        by_lead(about.filter(|effect| effect.email == who || effect.key().eq_ignore_ascii_case(&who))).pop()
    }

    /// The newest requests, oldest first.
    pub(super) fn requests(&self) -> Vec<RequestRecord> {
        self.lock().requests.iter().cloned().collect()
    }

    /// Its own part of the numbers.
    pub(super) fn totals(&self) -> Totals {
        let book = self.lock();
        let count = |kind| book.effects.iter().filter(|effect| effect.effect == kind).count() as u64;
        let mut created_at: BTreeMap<String, u64> = BTreeMap::new();
        for effect in book.effects.iter().filter(|effect| effect.effect == EffectKind::Created) {
            *created_at.entry(effect.api.to_string()).or_default() += 1;
        }
        Totals {
            requests: book.request_seq,
            operations: book.operations.iter().map(|(operation, n)| (operation.to_string(), *n)).collect(),
            created: count(EffectKind::Created),
            repeated_creates: count(EffectKind::Repeated),
            updated: count(EffectKind::Updated),
            replayed: count(EffectKind::Replayed),
            created_at,
            ..Totals::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // A panic elsewhere leaves whole entries: each is added by one push.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_lead<'a>(effects: impl Iterator<Item = &'a Effect>) -> Vec<LedgerLead> {
    let mut place: HashMap<(Api, &str), usize> = HashMap::new();
    let mut leads: Vec<LedgerLead> = Vec::new();
    for effect in effects {
        let at = place.get(&(effect.api, effect.key())).copied();
        match (effect.effect, at) {
            (EffectKind::Created, None) => {
                place.insert((effect.api, effect.key()), leads.len());
                leads.push(LedgerLead {
                    api: effect.api,
                    email: effect.email.clone(),
                    key: effect.key().to_owned(),
                    id: effect.id,
                    remote_id: effect.remote_id.clone().unwrap_or_else(|| effect.id.to_string()),
                    creates: 1,
                    repeated_creates: 0,
                    updates: 0,
                    replays: 0,
                    created_at_ms: effect.at_ms,
                    body: effect.body.clone(),
                });
            }
            (EffectKind::Created, Some(at)) => leads[at].creates += 1,
            (EffectKind::Repeated, Some(at)) => leads[at].repeated_creates += 1,
            (EffectKind::Updated, Some(at)) => leads[at].updates += 1,
            (EffectKind::Replayed, Some(at)) => leads[at].replays += 1,
            (_, None) | (EffectKind::Tagged | EffectKind::Reset, _) => {}
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
mod tests;
