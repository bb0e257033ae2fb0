//! A database of a few leads in memory, for testing what commands make of what they read.

use std::sync::Mutex;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::lead::{Event, LeadId, LeadState, Origin, RawLead};
use crate::store::*;

pub struct FakeStore {
    pub leads: Mutex<Vec<LeadRecord>>,
    pub calls: Vec<CallRecord>,
    pub runs: Vec<RunRecord>,
    pub waiting: Vec<Waiting>,
    pub pauses: Vec<Pause>,
    pub tokens: Vec<TokenStanding>,
    pub refreshes: Vec<TokenRefresh>,
    pub hand_pauses: Mutex<Vec<HandPause>>,
    pub quota: Vec<(String, i64)>,
    pub schema: SchemaStatus,
}

impl Default for FakeStore {
    fn default() -> Self {
        Self {
            leads: Mutex::default(),
            calls: Vec::new(),
            runs: Vec::new(),
            waiting: Vec::new(),
            pauses: Vec::new(),
            tokens: Vec::new(),
            refreshes: Vec::new(),
            hand_pauses: Mutex::default(),
            quota: Vec::new(),
            schema: SchemaStatus { applied: 1, known: 1 },
        }
    }
}

/// 2026-11-22T05:30:59Z.
pub const NOW: Timestamp = Timestamp::from_ms(1_795_325_459_000);

/// A lead of `7targets` from line `id + 1` of `leads.csv`, first seen an hour ago.
pub fn lead(id: i64, state: LeadState) -> LeadRecord {
    let received = Timestamp::from_ms(NOW.ms() - 3_600_000);
    LeadRecord {
        id: LeadId(id),
        destination: Some("7targets".into()),
        state,
        reason: None,
        remote_id: None,
        attempts: 0,
        deferrals: 0,
        enriched: None,
        raw: RawLead { email: Some(format!("Lead{id}@Example.com")), ..RawLead::default() },
        prepared: None,
        origin: Some(Origin { file: "leads.csv".into(), row: u64::try_from(id).unwrap() + 1 }),
        duplicate_of: None,
        run: Some(RunId(7)),
        lookup_call: None,
        not_before: Timestamp::from_ms(0),
        sent_at: None,
        lease_expires: None,
        received_at: Some(received),
        updated_at: Some(received),
        finished_at: state.is_final().then(|| Timestamp::from_ms(NOW.ms() - 60_000)),
    }
}

impl FakeStore {
    pub fn of(leads: impl IntoIterator<Item = LeadRecord>) -> Self {
        Self { leads: Mutex::new(leads.into_iter().collect()), ..Self::default() }
    }

    fn matching(&self, which: &LeadFilter) -> Vec<LeadRecord> {
        let same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
        self.leads
            .lock()
            .unwrap()
            .iter()
            .filter(|lead| {
                (which.ids.is_empty() || which.ids.contains(&lead.id))
                    && (which.states.is_empty() || which.states.contains(&lead.state))
                    && which.run.is_none_or(|run| lead.run == Some(run))
                    && which.since.is_none_or(|since| lead.updated_at >= Some(since))
                    && which.email.as_ref().is_none_or(|email| lead.raw.email.as_ref().is_some_and(|e| same(e, email)))
                    && which.reason_contains.as_ref().is_none_or(|text| {
                        lead.reason.as_ref().is_some_and(|r| r.to_lowercase().contains(&text.to_lowercase()))
                    })
            })
            .cloned()
            .collect()
    }
}

const UNUSED: &str = "no operator command does this";

#[async_trait]
impl Queue for FakeStore {
    async fn enqueue(&self, _: RunId, _: &[NewLead], _: Timestamp) -> Result<()> {
        unreachable!("{UNUSED}")
    }
    async fn holds_row(&self, _: RunId, _: &NewLead) -> Result<bool> {
        unreachable!("{UNUSED}")
    }
    async fn lease(&self, _: &LeaseRequest, _: Timestamp) -> Result<Vec<Leased>> {
        unreachable!("{UNUSED}")
    }
    async fn renew(&self, _: &[(LeadId, LeaseToken)], _: Timestamp) -> Result<Vec<LeadId>> {
        unreachable!("{UNUSED}")
    }
    async fn commit(&self, _: RunId, _: &[Step], _: Timestamp) -> Result<Vec<StepOutcome>> {
        unreachable!("{UNUSED}")
    }
    async fn claim_holders(&self, _: &str, _: &[Fingerprint]) -> Result<Vec<(Fingerprint, LeadId)>> {
        unreachable!("{UNUSED}")
    }
    async fn waiting(&self, _: Option<RunId>, _: Timestamp) -> Result<Vec<Waiting>> {
        Ok(self.waiting.clone())
    }
    async fn operate(&self, which: &LeadFilter, operation: &Operation, _: Timestamp) -> Result<Vec<LeadId>> {
        let event = match operation {
            Operation::Retry => Event::Retried,
            Operation::ResolveDelivered { .. } => Event::Accepted,
            Operation::ResolveAbsent => Event::ResolvedAbsent,
        };
        let ids: Vec<LeadId> = self.matching(which).into_iter().map(|lead| lead.id).collect();
        let mut changed = Vec::new();
        for lead in self.leads.lock().unwrap().iter_mut().filter(|lead| ids.contains(&lead.id)) {
            if let (Ok(next), None) = (lead.state.next(event), lead.lease_expires) {
                lead.state = next;
                if let Operation::ResolveDelivered { remote_id: Some(remote_id) } = operation {
                    lead.remote_id = Some(remote_id.clone());
                }
                changed.push(lead.id);
            }
        }
        Ok(changed)
    }
}

#[async_trait]
impl Vault for FakeStore {
    async fn token(&self, _: &str) -> Result<Option<StoredToken>> {
        unreachable!("{UNUSED}")
    }
    async fn tokens(&self) -> Result<Vec<TokenStanding>> {
        Ok(self.tokens.clone())
    }
    async fn refreshes(&self, since: Timestamp) -> Result<Vec<TokenRefresh>> {
        Ok(self.refreshes.iter().filter(|refresh| refresh.refreshed_at >= since).cloned().collect())
    }
    async fn begin_refresh(&self, _: &str, _: i64, _: i64, _: Timestamp, _: Timestamp) -> Result<RefreshTurn> {
        unreachable!("{UNUSED}")
    }
    async fn replace_token(&self, _: &str, _: i64, _: &StoredToken) -> Result<bool> {
        unreachable!("{UNUSED}")
    }
    async fn abandon_refresh(&self, _: &str, _: i64, _: Timestamp) -> Result<()> {
        unreachable!("{UNUSED}")
    }
    async fn mark_needs_login(&self, _: &str, _: i64, _: i64, _: &str) -> Result<bool> {
        unreachable!("{UNUSED}")
    }
    async fn sealed_key(&self, _: &str) -> Result<Option<Vec<u8>>> {
        unreachable!("{UNUSED}")
    }
    async fn keep_sealed_key(&self, _: &str, _: &[u8]) -> Result<Vec<u8>> {
        unreachable!("{UNUSED}")
    }
    async fn sealed(&self) -> Result<Vec<(SealedAt, Vec<u8>)>> {
        unreachable!("{UNUSED}")
    }
    async fn reseal(&self, _: &SealedAt, _: &[u8], _: &[u8]) -> Result<bool> {
        unreachable!("{UNUSED}")
    }
    async fn quota_used(&self, account: &str, _: i64) -> Result<i64> {
        Ok(self.quota.iter().find(|(of, _)| of == account).map_or(0, |&(_, used)| used))
    }
    async fn take_quota(&self, _: &str, _: i64, _: i64, _: Option<i64>) -> Result<i64> {
        unreachable!("{UNUSED}")
    }
    async fn cached(&self, _: &[Fingerprint], _: Timestamp) -> Result<Vec<CachedLookUp>> {
        unreachable!("{UNUSED}")
    }
    async fn remember(&self, _: &[CachedLookUp], _: &[CallRecord]) -> Result<()> {
        unreachable!("{UNUSED}")
    }
    async fn log_calls(&self, _: &[CallRecord]) -> Result<()> {
        unreachable!("{UNUSED}")
    }
    async fn pause(&self, pause: &Pause) -> Result<()> {
        assert_eq!(pause.until, Timestamp::default(), "operators only lift what servers asked for");
        Ok(())
    }
    async fn share_places(&self, _: &PlacesAsk, _: Timestamp) -> Result<PlacesShare> {
        unreachable!("{UNUSED}")
    }
    async fn pauses(&self, now: Timestamp) -> Result<Vec<Pause>> {
        Ok(self.pauses.iter().filter(|pause| pause.until > now).cloned().collect())
    }
    async fn pause_by_hand(&self, pause: &HandPause) -> Result<()> {
        let mut pauses = self.hand_pauses.lock().unwrap();
        pauses.retain(|known| known.name != pause.name);
        pauses.push(pause.clone());
        Ok(())
    }
    async fn resume_by_hand(&self, name: &str) -> Result<bool> {
        let mut pauses = self.hand_pauses.lock().unwrap();
        let before = pauses.len();
        pauses.retain(|known| known.name != name);
        Ok(pauses.len() < before)
    }
    async fn hand_pauses(&self, now: Timestamp) -> Result<Vec<HandPause>> {
        let pauses = self.hand_pauses.lock().unwrap();
        Ok(pauses.iter().filter(|pause| pause.until.is_none_or(|until| until > now)).cloned().collect())
    }
}

#[async_trait]
impl Ledger for FakeStore {
    async fn begin_run(&self, _: &str, _: Timestamp) -> Result<RunId> {
        unreachable!("{UNUSED}")
    }
    async fn begin_turn(&self, _: &str, _: Turn, _: Timestamp, _: Timestamp) -> Result<TurnAnswer> {
        unreachable!("{UNUSED}")
    }
    async fn renew_turn(&self, _: RunId, _: Timestamp, _: Timestamp) -> Result<Option<RunRecord>> {
        unreachable!("{UNUSED}")
    }
    async fn finish_run(&self, _: RunId, _: i32, _: Timestamp) -> Result<()> {
        unreachable!("{UNUSED}")
    }
    async fn run(&self, run: RunId) -> Result<Option<RunRecord>> {
        Ok(self.runs.iter().find(|record| record.id == run).cloned())
    }
    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>> {
        Ok(self.runs.iter().take(limit as usize).cloned().collect())
    }
    async fn state_counts(&self) -> Result<Vec<StateCount>> {
        let mut counts: Vec<StateCount> = Vec::new();
        for lead in self.leads.lock().unwrap().iter() {
            match counts.iter_mut().find(|c| c.destination == lead.destination && c.state == lead.state) {
                Some(known) => known.count += 1,
                None => counts.push(StateCount { destination: lead.destination.clone(), state: lead.state, count: 1 }),
            }
        }
        Ok(counts)
    }
    async fn audit(&self) -> Result<Vec<(String, i64)>> {
        Ok(Vec::new())
    }
    async fn leads(&self, which: &LeadFilter, after: LeadId, limit: u32) -> Result<Vec<LeadRecord>> {
        Ok(self.matching(which).into_iter().filter(|lead| lead.id > after).take(limit as usize).collect())
    }
    async fn calls_of(&self, lead: LeadId) -> Result<Vec<CallRecord>> {
        Ok(self.calls.iter().filter(|call| call.lead.is_none_or(|of| of == lead)).cloned().collect())
    }
    async fn rejected_rows(&self, _: RunId, _: &str, _: u64, _: u32) -> Result<Vec<(u64, String)>> {
        unreachable!("{UNUSED}")
    }
}

#[async_trait]
impl Store for FakeStore {
    async fn migrate(&self) -> Result<SchemaStatus> {
        Ok(SchemaStatus { applied: self.schema.known, known: self.schema.known })
    }
    async fn schema_status(&self) -> Result<SchemaStatus> {
        Ok(self.schema)
    }
    async fn server_time(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }
    fn location(&self) -> String {
        "sqlite://leadsync.db".into()
    }
    async fn close(&self) {}
}
