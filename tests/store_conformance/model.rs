//! Random operations, held against a model: plain lists in memory, written from the docstrings alone. After every operation
//! all leads, claims, counts and the quota must agree. A failure names its seed; the same seed repeats it.

use std::collections::BTreeMap;

use leadsync::clock::Timestamp;
use leadsync::lead::{Event, LeadId, LeadState};
use leadsync::store::{
    Fingerprint, LeadFilter, LeaseRequest, LeaseToken, Leased, Operation, Reinstated, RunCounts, RunId, Step,
    StepOutcome,
};

use crate::bench::{Bench, DESTINATION, NOW, TERM, charge, event, fingerprint, new_lead, prepare};

cases![the_store_agrees_with_a_model_whatever_happens];

/// Games played each time; `MODEL_GAMES=500` for a long look.
fn games() -> u64 {
    std::env::var("MODEL_GAMES").ok().and_then(|games| games.parse().ok()).unwrap_or(3)
}

const OPERATIONS: usize = 120;
const QUOTA: u32 = 6;
const EVENTS: [Event; 7] = [
    Event::Prepared,
    Event::SetAside,
    Event::SendStarted,
    Event::Accepted,
    Event::ProvenAbsent,
    Event::Refused,
    Event::GaveUp,
];

/// SplitMix64: enough to be different, and the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(n).unwrap()).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Debug, PartialEq)]
struct ModelLead {
    state: LeadState,
    run: Option<RunId>,
    lease: Option<(LeaseToken, Timestamp)>,
    not_before: Timestamp,
    attempts: u32,
    identity: Option<String>,
    duplicate_of: Option<LeadId>,
    remote_id: Option<String>,
    finished: Option<Timestamp>,
    last_step: Option<i64>,
}

#[derive(Clone, Debug, Default)]
struct Model {
    leads: BTreeMap<LeadId, ModelLead>,
    claims: BTreeMap<String, LeadId>,
    counts: BTreeMap<RunId, RunCounts>,
    used: i64,
}

impl Model {
    fn counts(&mut self, run: RunId) -> &mut RunCounts {
        self.counts.entry(run).or_default()
    }

    fn count(&mut self, run: RunId, state: LeadState, by: i64) {
        let counts = self.counts(run);
        match state {
            LeadState::Delivered => counts.delivered += by,
            LeadState::Rejected => counts.rejected += by,
            LeadState::Exhausted => counts.exhausted += by,
            LeadState::Unconfirmed => counts.unconfirmed += by,
            LeadState::Skipped => counts.skipped += by,
            LeadState::Received | LeadState::Ready | LeadState::Sending => {}
        }
    }

    fn due(&self, now: Timestamp, max: usize) -> Vec<LeadId> {
        let mut due: Vec<(Timestamp, LeadId)> = self
            .leads
            .iter()
            .filter(|(_, lead)| !lead.state.is_final() && lead.not_before <= now)
            .filter(|(_, lead)| lead.lease.is_none_or(|(_, expires)| expires <= now))
            .map(|(id, lead)| (lead.not_before, *id))
            .collect();
        due.sort();
        due.into_iter().map(|(_, id)| id).take(max).collect()
    }

    fn repoint(&mut self, from: LeadId, to: LeadId) {
        for lead in self.leads.values_mut() {
            if lead.state == LeadState::Skipped && lead.duplicate_of == Some(from) {
                lead.duplicate_of = Some(to);
            }
        }
    }

    /// The new state is written; the rest follows.
    fn enter(&mut self, id: LeadId, state: LeadState, now: Timestamp) {
        let lead = self.leads.get_mut(&id).unwrap();
        lead.state = state;
        if state.is_final() {
            lead.lease = None;
            lead.finished = Some(now);
        }
    }

    fn give_up(&mut self, id: LeadId, step: i64, run: RunId, now: Timestamp) -> Vec<Reinstated> {
        self.claims.retain(|_, holder| *holder != id);
        let heir =
            self.leads.iter().find(|(_, lead)| lead.state == LeadState::Skipped && lead.duplicate_of == Some(id));
        let Some(heir) = heir.map(|(id, _)| *id) else { return Vec::new() };
        let counted_here = self.leads[&heir].run == Some(run);
        self.put_back(heir, now);
        self.leads.get_mut(&heir).unwrap().last_step = Some(step);
        if counted_here {
            self.count(run, LeadState::Skipped, -1);
        }
        self.repoint(id, heir);
        vec![Reinstated { lead: heir, counted_here }]
    }

    fn put_back(&mut self, id: LeadId, now: Timestamp) {
        let lead = self.leads.get_mut(&id).unwrap();
        lead.state = LeadState::Received;
        lead.duplicate_of = None;
        lead.attempts = 0;
        lead.not_before = now;
        lead.finished = None;
        lead.lease = None;
    }

    fn take_claim(&mut self, id: LeadId, now: Timestamp) {
        let Some(identity) = self.leads[&id].identity.clone() else { return };
        let holder = *self.claims.entry(identity.clone()).or_insert(id);
        if holder != id && self.leads[&holder].state == LeadState::Ready {
            self.enter(holder, LeadState::Skipped, now);
            let loser = self.leads.get_mut(&holder).unwrap();
            loser.duplicate_of = Some(id);
            loser.run = None;
            self.repoint(holder, id);
            self.claims.insert(identity, id);
        }
    }

    fn step(&mut self, step: &Step, run: RunId, now: Timestamp) -> StepOutcome {
        let id = step.lead;
        let lead = self.leads[&id].clone();
        let set_remote_id = |lead: &mut ModelLead| {
            if lead.remote_id.is_none() {
                lead.remote_id = step.remote_id.clone();
            }
        };
        if lead.lease.map(|(token, _)| token) != Some(step.lease) {
            if step.event != Some(Event::Accepted) {
                return StepOutcome::LeaseLost;
            }
            set_remote_id(self.leads.get_mut(&id).unwrap());
            if lead.state != LeadState::Delivered {
                if lead.run == Some(run) {
                    self.count(run, lead.state, -1);
                    self.count(run, LeadState::Delivered, 1);
                }
                self.enter(id, LeadState::Delivered, now);
                let delivered = self.leads.get_mut(&id).unwrap();
                delivered.duplicate_of = None;
                delivered.last_step = Some(step.id);
                self.take_claim(id, now);
            }
            let counted = !lead.state.is_final() && lead.run == Some(run);
            return StepOutcome::Applied { state: LeadState::Delivered, counted, reinstated: Vec::new() };
        }
        let to = match step.event.map(|event| lead.state.next(event)) {
            None => lead.state,
            Some(Ok(to)) => to,
            Some(Err(illegal)) => return StepOutcome::Illegal(illegal),
        };
        if let Some(charge) = &step.quota {
            if charge.amount > 0 && self.used + i64::from(charge.amount) > i64::from(charge.limit) {
                return StepOutcome::QuotaUsedUp;
            }
            self.used = (self.used + i64::from(charge.amount)).max(0);
        }
        self.counts(run).failed_attempts += i64::from(step.add_attempts);
        self.counts(run).deferrals += i64::from(step.add_deferrals);
        let this = self.leads.get_mut(&id).unwrap();
        this.last_step = Some(step.id);
        if step.event == Some(Event::Prepared) {
            this.attempts = 0;
        }
        this.attempts += step.add_attempts;
        this.not_before = step.not_before.unwrap_or(this.not_before);
        if step.release {
            this.lease = None;
        }
        set_remote_id(this);
        if let Some(preparation) = &step.prepared {
            let identity = preparation.claim.0.clone();
            let holder = *self.claims.entry(identity.clone()).or_insert(id);
            if holder != id {
                self.enter(id, LeadState::Skipped, now);
                let loser = self.leads.get_mut(&id).unwrap();
                loser.duplicate_of = Some(holder);
                // What it claimed is kept only if it won.
                loser.remote_id = lead.remote_id;
                self.count(run, LeadState::Skipped, 1);
                self.repoint(id, holder);
                return StepOutcome::Duplicate { of: holder };
            }
            self.leads.get_mut(&id).unwrap().identity = Some(identity);
        }
        let mut reinstated = Vec::new();
        if to != lead.state {
            self.enter(id, to, now);
            self.count(run, to, 1);
            match to {
                LeadState::Delivered => self.take_claim(id, now),
                LeadState::Rejected | LeadState::Exhausted | LeadState::Skipped => {
                    reinstated = self.give_up(id, step.id, run, now);
                }
                _ => {}
            }
        }
        StepOutcome::Applied { state: to, counted: true, reinstated }
    }

    fn operate(&mut self, operation: &Operation, now: Timestamp) -> Vec<LeadId> {
        let mut changed = Vec::new();
        for id in self.leads.keys().copied().collect::<Vec<_>>() {
            match (operation, self.leads[&id].state) {
                (Operation::Retry, LeadState::Rejected | LeadState::Exhausted | LeadState::Skipped) => {
                    self.put_back(id, now);
                    self.leads.get_mut(&id).unwrap().run = None;
                }
                (Operation::ResolveDelivered { .. }, LeadState::Unconfirmed) => {
                    self.enter(id, LeadState::Delivered, now);
                }
                (Operation::ResolveAbsent, LeadState::Unconfirmed) => {
                    let lead = self.leads.get_mut(&id).unwrap();
                    lead.state = LeadState::Ready;
                    lead.finished = None;
                    lead.not_before = now;
                    lead.run = None;
                }
                _ => continue,
            }
            changed.push(id);
        }
        changed
    }
}

async fn agree(bench: &Bench, model: &Model, what: &str) {
    for record in bench.leads(&LeadFilter::default(), LeadId(0), 10_000).await.unwrap() {
        let wanted = &model.leads[&record.id];
        let found = ModelLead {
            state: record.state,
            run: record.run,
            lease: record
                .lease_expires
                .map(|expires| (wanted.lease.map_or(LeaseToken(-1), |(token, _)| token), expires)),
            not_before: record.not_before,
            attempts: record.attempts,
            duplicate_of: record.duplicate_of,
            remote_id: record.remote_id,
            finished: record.finished_at,
            identity: wanted.identity.clone(),
            last_step: wanted.last_step,
        };
        assert_eq!(&found, wanted, "lead {} {what}", record.id);
        if record.state == LeadState::Skipped && record.duplicate_of.is_some() {
            assert_eq!(record.reason, record.duplicate_of.map(|of| format!("duplicate of lead {of}")), "{what}");
        }
    }
    let identities: Vec<Fingerprint> = (0..IDENTITIES).map(|n| fingerprint(&format!("id{n}"))).collect();
    let held = bench.claim_holders(DESTINATION, &identities).await.unwrap();
    let held: BTreeMap<String, LeadId> = held.into_iter().map(|(claim, lead)| (claim.0, lead)).collect();
    assert_eq!(held, model.claims, "{what}");
    for (run, counts) in &model.counts {
        assert_eq!(bench.counts_of(*run).await, *counts, "run {run} {what}");
    }
    assert_eq!(bench.quota_used("acme", NOW.utc_day()).await.unwrap(), model.used, "{what}");
}

const IDENTITIES: usize = 12;

/// Mostly something that can happen to a lead in this state, so that leads get somewhere; now and then anything.
fn random_step(dice: &mut Dice, lead: &Leased, state: LeadState, now: Timestamp) -> Step {
    use Event as E;
    let likely: &[Event] = match state {
        _ if dice.one_in(8) => &EVENTS,
        LeadState::Received => &[E::Prepared, E::Prepared, E::Prepared, E::Refused, E::GaveUp, E::SetAside],
        LeadState::Ready => &[E::SendStarted, E::SendStarted, E::SendStarted, E::Refused, E::SetAside],
        LeadState::Sending => &[E::Accepted, E::Refused, E::Refused, E::ProvenAbsent, E::GaveUp],
        _ => &[E::Accepted, E::Refused],
    };
    let mut step = match likely[dice.below(likely.len())] {
        _ if dice.one_in(8) => Step::of(lead),
        E::Prepared => prepare(lead, &format!("id{}", dice.below(IDENTITIES))),
        other => event(lead, other),
    };
    if dice.one_in(3) {
        step.add_attempts = 1;
        step.add_deferrals = 2;
        step.not_before = Some(Timestamp::from_ms(now.ms() + i64::try_from(dice.below(30_000)).unwrap()));
    }
    step.release = dice.one_in(9);
    if step.event == Some(Event::Accepted) {
        step.remote_id = Some(format!("r-{}", step.id));
    }
    step.quota = match step.event {
        Some(Event::SendStarted) => charge(1, QUOTA),
        Some(Event::ProvenAbsent) => charge(-1, QUOTA),
        _ => None,
    };
    step
}

async fn the_store_agrees_with_a_model_whatever_happens(bench: Bench) {
    for seed in 0..games() {
        bench.database.sql("DELETE FROM leads; DELETE FROM claims; DELETE FROM quotas;");
        play(&bench, seed).await;
    }
}

async fn play(bench: &Bench, seed: u64) {
    let mut dice = Dice(seed);
    let mut model = Model::default();
    let mut runs = Vec::new();
    for _ in 0..2 {
        let run = bench.begin_run("run", NOW).await.unwrap();
        model.counts(run);
        runs.push(run);
    }
    // Every lease ever handed out, the lapsed ones too, with its run.
    let mut leases: Vec<(RunId, Leased)> = Vec::new();
    let mut now = NOW;
    for n in 0..OPERATIONS {
        let what = format!("after operation {n} of seed {seed}");
        let run = runs[dice.below(2)];
        match dice.below(12) {
            0 | 1 => {
                let rows: Vec<_> = (0..1 + dice.below(8)).map(|_| new_lead("ann@example.com")).collect();
                bench.enqueue(run, &rows, now).await.unwrap();
                let after = model.leads.keys().last().copied().unwrap_or(LeadId(0));
                for record in bench.leads(&LeadFilter::default(), after, 100).await.unwrap() {
                    model.leads.insert(
                        record.id,
                        ModelLead {
                            state: LeadState::Received,
                            run: None,
                            lease: None,
                            not_before: Timestamp::from_ms(0),
                            attempts: 0,
                            identity: None,
                            duplicate_of: None,
                            remote_id: None,
                            finished: None,
                            last_step: None,
                        },
                    );
                }
            }
            2 | 3 => {
                let max = 1 + dice.below(12);
                let ask = LeaseRequest { run, ..bench.ask(u32::try_from(max).unwrap()) };
                let leased = bench.lease(&ask, now).await.unwrap();
                let wanted = model.due(now, max);
                assert_eq!(leased.iter().map(|lead| lead.id).collect::<Vec<_>>(), wanted, "{what}");
                for lead in leased {
                    let this = model.leads.get_mut(&lead.id).unwrap();
                    assert_eq!((lead.state, lead.first_in_run), (this.state, this.run != Some(run)), "{what}");
                    let first = i64::from(this.run != Some(run));
                    this.run = Some(run);
                    this.lease = Some((lead.token, now.plus(TERM)));
                    model.counts(run).taken += first;
                    leases.push((run, lead));
                }
            }
            4 => {
                let held: Vec<_> = leases.iter().map(|(_, lead)| (lead.id, lead.token)).collect();
                let renewed = bench.renew(&held, now.plus(TERM)).await.unwrap();
                let mut wanted = Vec::new();
                for (id, lead) in &mut model.leads {
                    if let Some((token, expires)) = &mut lead.lease
                        && held.contains(&(*id, *token))
                    {
                        *expires = (*expires).max(now.plus(TERM));
                        wanted.push(*id);
                    }
                }
                assert_eq!(renewed, wanted, "{what}");
            }
            5 => now = Timestamp::from_ms(now.ms() + i64::try_from(dice.below(50_000)).unwrap()),
            6 if dice.one_in(2) => {
                let operation = match dice.below(3) {
                    0 => Operation::Retry,
                    1 => Operation::ResolveAbsent,
                    _ => Operation::ResolveDelivered { remote_id: None },
                };
                let changed = bench.operate(&LeadFilter::default(), &operation, now).await.unwrap();
                assert_eq!(changed, model.operate(&operation, now), "{what}");
            }
            _ => {
                let of_run: Vec<&Leased> = leases.iter().filter(|(of, _)| *of == run).map(|(_, lead)| lead).collect();
                if of_run.is_empty() {
                    continue;
                }
                // The newest leases mostly, so that leads get somewhere.
                let recent = of_run.len().min(10);
                let steps: Vec<Step> = (0..1 + dice.below(12))
                    .map(|_| {
                        let among = if dice.one_in(5) { of_run.len() } else { recent };
                        let lead = of_run[of_run.len() - 1 - dice.below(among)];
                        random_step(&mut dice, lead, model.leads[&lead.id].state, now)
                    })
                    .collect();
                let wanted: Vec<StepOutcome> = steps.iter().map(|step| model.step(step, run, now)).collect();
                let outcomes = bench.commit(run, &steps, now).await.unwrap();
                assert_eq!(outcomes, wanted, "{what}: {steps:#?}");
                // The connection broke: once more, and nothing may change. (What had found no room in the quota may find some
                // the second time, and rightly so.)
                if dice.one_in(3) && !outcomes.contains(&StepOutcome::QuotaUsedUp) {
                    bench.commit(run, &steps, now).await.unwrap();
                }
            }
        }
        agree(bench, &model, &what).await;
    }
}
