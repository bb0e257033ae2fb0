//! `leadsync retry` and `leadsync resolve`: a person's decisions on leads that nobody works on.

use std::fmt::Write as _;
use std::io::Write as _;

use super::args::{ResolveArgs, RetryArgs};
use super::console::{self, CODE, paint};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::words;
use crate::clock::Timestamp;
use crate::exit::Exit;
use crate::lead::{Event, LeadId, LeadState};
use crate::store::{LeadFilter, LeadRecord, Operation, Store};

/// Leads read at a time.
const PAGE: u32 = 1_000;

/// Runs `leadsync retry`.
pub async fn retry(args: &RetryArgs, context: &Context) -> Outcome {
    check_retry(args)?;
    let opened = context.open_current().await?;
    let (text, exit) = put_back(&*opened.store, args, opened.now()).await?;
    opened.store.close().await;
    writeln!(console::stdout(), "{text}")?;
    Ok(exit)
}

fn can_be_retried(state: LeadState) -> bool {
    state.next(Event::Retried).is_ok()
}

const USE_RESOLVE: &str = "look each one up at the destination, then `leadsync resolve ID --delivered` or `--absent`";

fn check_retry(args: &RetryArgs) -> Result<(), Failure> {
    if args.states.is_empty() && args.reason.is_none() && args.ids.is_empty() && args.run.is_none() {
        return Err(Failure::usage("retry needs to know which leads: give --state, --reason, --id or --run")
            .hint("`leadsync retry --state exhausted` puts back all leads whose attempts were used up"));
    }
    if args.states.contains(&LeadState::Unconfirmed) {
        return Err(Failure::usage(
            "leads that are unconfirmed may exist at the destination; sending them again could create them twice",
        )
        .hint(USE_RESOLVE));
    }
    if let Some(state) = args.states.iter().find(|state| !can_be_retried(**state)) {
        return Err(Failure::usage(format!(
            "leads that are {state} can't be put back; only those that are rejected, exhausted or skipped can"
        )));
    }
    Ok(())
}

/// Puts them back and tells what was left alone, and why. 2 if a lead was named that can't be put back.
async fn put_back(store: &dyn Store, args: &RetryArgs, now: Timestamp) -> Result<(String, Exit), Failure> {
    let which = LeadFilter {
        ids: args.ids.clone(),
        states: args.states.clone(),
        reason_contains: args.reason.clone(),
        run: args.run,
        ..LeadFilter::default()
    };
    let changed = store.operate(&which, &Operation::Retry, now).await?;
    let mut text = if changed.is_empty() {
        "no lead was put back".to_owned()
    } else {
        format!(
            "{} put back into the queue; {} sends {}",
            words::leads(changed.len() as i64),
            paint(CODE, words::leadsync("run")),
            if changed.len() == 1 { "it" } else { "them" }
        )
    };
    let mut exit = Exit::Done;
    if args.ids.is_empty() {
        // States that can be put back were put back: with --state there is nothing else to look for.
        let left = if args.states.is_empty() { left_alone(store, &which, &changed).await? } else { Vec::new() };
        for (why, n) in left {
            let _ = write!(text, "\n  left alone: {}, {why}", words::leads(n));
        }
        if changed.is_empty() {
            text.push_str("\n  nothing matches that could be put back");
        }
    } else {
        for (id, found) in named(store, &args.ids).await? {
            if changed.contains(&id) {
                continue;
            }
            let state = found.map(|lead| lead.state);
            let why = match state {
                None => "there is no such lead",
                Some(state) if can_be_retried(state) => "doesn't match the other conditions, or a worker holds it",
                Some(state) => why_left(state),
            };
            let _ = write!(text, "\n  left alone: lead {id}, {why}");
            if state.is_none_or(LeadState::is_final) {
                exit = Exit::Usage;
            }
        }
    }
    Ok((text, exit))
}

fn why_left(state: LeadState) -> &'static str {
    match state {
        LeadState::Received | LeadState::Ready => "waiting in the queue already",
        LeadState::Sending => "about to be sent, or to be looked up: the next run settles it",
        LeadState::Delivered => "delivered already",
        LeadState::Unconfirmed => "unconfirmed, may exist at the destination: `leadsync resolve` settles it",
        LeadState::Rejected | LeadState::Exhausted | LeadState::Skipped => "held by a worker at the moment",
    }
}

async fn left_alone(
    store: &dyn Store,
    which: &LeadFilter,
    changed: &[LeadId],
) -> Result<Vec<(&'static str, i64)>, Failure> {
    let changed: std::collections::HashSet<LeadId> = changed.iter().copied().collect();
    let mut counts: Vec<(&'static str, i64)> = Vec::new();
    let mut after = LeadId(0);
    loop {
        let page = store.leads(which, after, PAGE).await?;
        for lead in page.iter().filter(|lead| !changed.contains(&lead.id)) {
            let why = why_left(lead.state);
            match counts.iter_mut().find(|(known, _)| *known == why) {
                Some((_, n)) => *n += 1,
                None => counts.push((why, 1)),
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = last.id,
            _ => break,
        }
    }
    Ok(counts)
}

/// The leads of these numbers, in the order asked for; `None` where there is none.
async fn named(store: &dyn Store, ids: &[LeadId]) -> Result<Vec<(LeadId, Option<LeadRecord>)>, Failure> {
    let mut found = Vec::new();
    for chunk in ids.chunks(PAGE as usize) {
        found.extend(store.leads(&LeadFilter { ids: chunk.to_vec(), ..LeadFilter::default() }, LeadId(0), PAGE).await?);
    }
    Ok(ids.iter().map(|&id| (id, found.iter().find(|lead| lead.id == id).cloned())).collect())
}

/// Runs `leadsync resolve`.
pub async fn resolve(args: &ResolveArgs, context: &Context) -> Outcome {
    let opened = context.open_current().await?;
    let text = settle(&*opened.store, args, opened.now()).await?;
    opened.store.close().await;
    writeln!(console::stdout(), "{text}")?;
    Ok(Exit::Done)
}

/// All or none: a wrong number among right ones is more likely a mistake than a wish.
async fn settle(store: &dyn Store, args: &ResolveArgs, now: Timestamp) -> Result<String, Failure> {
    let mut ids: Vec<LeadId> = args.leads.iter().chain(&args.ids).copied().collect();
    ids.sort();
    ids.dedup();
    let remote_id = args.delivered.clone().filter(|remote_id| !remote_id.is_empty());
    if remote_id.is_some() && ids.len() > 1 {
        return Err(Failure::usage(format!("one number at the destination can't belong to {} leads", ids.len()))
            .hint("name one lead with --delivered=REMOTE_ID, or several with --delivered"));
    }
    for (id, lead) in named(store, &ids).await? {
        match lead.map(|lead| lead.state) {
            Some(LeadState::Unconfirmed) => {}
            Some(state) => {
                return Err(Failure::usage(format!("lead {id} is {state}, not unconfirmed; no lead was changed"))
                    .hint(format!("`leadsync explain {id}` tells its story")));
            }
            None => return Err(Failure::usage(format!("there is no lead {id}; no lead was changed"))),
        }
    }
    let which = LeadFilter { ids: ids.clone(), states: vec![LeadState::Unconfirmed], ..LeadFilter::default() };
    let operation = match &args.delivered {
        Some(_) => Operation::ResolveDelivered { remote_id },
        None => Operation::ResolveAbsent,
    };
    let changed = store.operate(&which, &operation, now).await?;
    let n = words::leads(changed.len() as i64);
    let mut text = match operation {
        Operation::ResolveAbsent => format!("{n} to be sent again; {} sends them", paint(CODE, words::leadsync("run"))),
        _ => format!("{n} marked as delivered"),
    };
    for id in ids.iter().filter(|id| !changed.contains(id)) {
        let _ = write!(text, "\n  left alone: lead {id} changed in the meantime");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Cli, Command};
    use crate::cli::console::plain;
    use crate::cli::fake::{FakeStore, NOW, lead};
    use clap::Parser;

    fn retry_args(line: &str) -> RetryArgs {
        let line = format!("leadsync retry {line}");
        let Command::Retry(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else { panic!() };
        args
    }

    fn resolve_args(line: &str) -> ResolveArgs {
        let line = format!("leadsync resolve {line}");
        let Command::Resolve(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else { panic!() };
        args
    }

    /// One lead of each state, by its place in the list, all with the same reason.
    fn one_of_each() -> FakeStore {
        FakeStore::of(LeadState::ALL.into_iter().zip(1..).map(|(state, id)| {
            let mut lead = lead(id, state);
            lead.reason = Some("assistant not found".into());
            lead
        }))
    }

    fn states(store: &FakeStore) -> Vec<LeadState> {
        store.leads.lock().unwrap().iter().map(|lead| lead.state).collect()
    }

    #[test]
    fn retry_asks_for_at_least_one_condition() {
        assert_eq!(check_retry(&retry_args("")).unwrap_err().exit(), Exit::Usage);
        assert!(check_retry(&retry_args("--reason x")).is_ok());
    }

    #[test]
    fn retry_refuses_unconfirmed_leads_and_points_to_resolve() {
        let Err(Failure::Failed { exit, hint: Some(hint), .. }) = check_retry(&retry_args("--state unconfirmed"))
        else {
            panic!()
        };
        assert_eq!(exit, Exit::Usage);
        assert!(hint.contains("leadsync resolve"), "{hint}");
        assert!(check_retry(&retry_args("--state rejected --state delivered")).is_err());
    }

    #[tokio::test]
    async fn retry_says_how_many_went_back_and_which_were_left_alone_and_why() {
        let store = one_of_each();
        let (text, exit) = put_back(&store, &retry_args("--reason ASSISTANT"), NOW).await.unwrap();
        insta::assert_snapshot!(plain(&text), @r"
        3 leads put back into the queue; leadsync run sends them
          left alone: 2 leads, waiting in the queue already
          left alone: 1 lead, about to be sent, or to be looked up: the next run settles it
          left alone: 1 lead, delivered already
          left alone: 1 lead, unconfirmed, may exist at the destination: `leadsync resolve` settles it
        ");
        assert_eq!(exit, Exit::Done);
        assert_eq!(states(&store).iter().filter(|state| **state == LeadState::Received).count(), 4);
    }

    #[tokio::test]
    async fn a_named_lead_that_cannot_go_back_is_a_usage_error_one_that_waits_already_is_not() {
        let store = one_of_each();
        let (text, exit) = put_back(&store, &retry_args("--id 5 --id 7 --id 99"), NOW).await.unwrap();
        insta::assert_snapshot!(plain(&text), @r"
        1 lead put back into the queue; leadsync run sends it
          left alone: lead 7, unconfirmed, may exist at the destination: `leadsync resolve` settles it
          left alone: lead 99, there is no such lead
        ");
        assert_eq!(exit, Exit::Usage);
        let (_, exit) = put_back(&store, &retry_args("--id 5"), NOW).await.unwrap();
        assert_eq!(exit, Exit::Done, "it is in the queue already");
    }

    #[tokio::test]
    async fn resolve_settles_unconfirmed_leads_with_what_the_person_found() {
        let store = FakeStore::of([lead(1, LeadState::Unconfirmed), lead(2, LeadState::Unconfirmed)]);
        settle(&store, &resolve_args("1 --delivered=A-1"), NOW).await.unwrap();
        settle(&store, &resolve_args("--id 2 --absent"), NOW).await.unwrap();
        assert_eq!(states(&store), [LeadState::Delivered, LeadState::Ready]);
        assert_eq!(store.leads.lock().unwrap()[0].remote_id.as_deref(), Some("A-1"));
    }

    #[tokio::test]
    async fn resolve_changes_all_named_leads_or_none() {
        let store = FakeStore::of([lead(1, LeadState::Unconfirmed), lead(2, LeadState::Rejected)]);
        for line in ["1 2 --delivered", "1 99 --absent", "1 2 --delivered=A-1"] {
            assert_eq!(settle(&store, &resolve_args(line), NOW).await.unwrap_err().exit(), Exit::Usage, "{line}");
        }
        assert_eq!(states(&store), [LeadState::Unconfirmed, LeadState::Rejected]);
    }
}
