use std::time::Duration;

use super::*;
use crate::cli::console::plain;
use crate::clock::Timestamp;
use crate::lead::LeadId;
use crate::pipeline::progress::Halt;
use crate::store::{RunCounts, RunId};

/// A run that had a bit of everything.
pub fn sample() -> Summary {
    let counts = RunCounts {
        taken: 42,
        delivered: 30,
        rejected: 5,
        skipped: 6,
        failed_attempts: 2,
        deferrals: 1,
        ..RunCounts::default()
    };
    Summary {
        run: RunId(7),
        command: "import".into(),
        started_at: Timestamp::from_ms(1_795_325_459_000),
        took: Duration::from_millis(12_400),
        counts,
        waiting: 1,
        deferred_waiting: 0,
        next_due: Some(Timestamp::from_ms(1_795_325_711_400)),
        taken_over: 0,
        causes: vec![
            (LeadState::Skipped, "duplicate of lead 12".into(), 4),
            (LeadState::Skipped, "duplicate of lead 15".into(), 2),
            (LeadState::Rejected, "email: not an address".into(), 3),
            (LeadState::Rejected, "first_name: missing".into(), 2),
        ],
        calls: vec![
            ("7targets".into(), "create".into(), 31),
            ("7targets".into(), "find".into(), 1),
            ("enrich".into(), "lookup".into(), 1),
        ],
        cache_hits: 12,
        halts: vec![],
        bugs: Vec::new(),
        database_lost: false,
        notices: vec!["destination `crm` is not configured: 3 leads wait".into()],
        cut: vec![],
        interrupted: false,
    }
}

#[test]
fn the_summary_balances_names_causes_and_says_what_to_type_next() {
    let summary = sample();
    let exit = exit_of(&summary, false);
    insta::assert_snapshot!(plain(&render(&summary, exit)), @r"
    import (run 7) took 12.4 s

      in 42 = delivered 30 + rejected 5 + exhausted 0 + unconfirmed 0 + skipped 6 + waiting 1  ✓

      why rejected
        3 × email: not an address
        2 × first_name: missing
        → fix them and import them again, or: leadsync retry --state rejected --run 7

      why skipped
        6 × duplicate of lead …

      notes
        destination `crm` is not configured: 3 leads wait

      calls    7targets 31 create, 1 find · enrich 1 lookup
      cache    12 leads found there instead of paying for a look-up
      retries  2 failed attempts, 1 deferral
      waiting  1 lead; the next is due in 4 min (2026-11-22T05:35:11Z)

      next
        leadsync run              goes on with what waits
        leadsync results --run 7  one line a lead, as CSV
        leadsync explain ID       the whole story of one of them

      exit code 3: leads failed; --accept-rejects makes it 0
    ");
}

#[test]
fn a_halted_run_says_what_stopped_it_and_what_to_do() {
    let mut summary = sample();
    summary.causes.clear();
    summary.notices.clear();
    summary.counts = RunCounts { taken: 12, ..RunCounts::default() };
    summary.waiting = 12;
    summary.deferred_waiting = 12;
    summary.interrupted = true;
    summary.cut = (1..=12).map(LeadId).collect();
    summary.halts = vec![Halt {
        account: "7targets".into(),
        reason: "the token request was refused (400, `invalid_client`)".into(),
        remedy: Some("check SEVEN_TARGETS_CLIENT_SECRET".into()),
        exit: Exit::Usage,
    }];
    let exit = exit_of(&summary, false);
    insta::assert_snapshot!(plain(&render(&summary, exit)), @r"
    import (run 7) took 12.4 s

      in 12 = delivered 0 + rejected 0 + exhausted 0 + unconfirmed 0 + skipped 0 + waiting 12  ✓

      stopped
        7targets  the token request was refused (400, `invalid_client`)
                  → check SEVEN_TARGETS_CLIENT_SECRET

      cut off
        12 leads in flight when the time was up: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more; the next run finds out whether they arrived

      calls    7targets 31 create, 1 find · enrich 1 lookup
      cache    12 leads found there instead of paying for a look-up
      waiting  12 leads; the next is due in 4 min (2026-11-22T05:35:11Z)

      next
        leadsync run              goes on with what waits, once that is mended
        leadsync results --run 7  one line a lead, as CSV
        leadsync explain ID       the whole story of one of them

      exit code 2: credentials or configuration; repeating won't help before they are mended
    ");
}

#[test]
fn numbers_that_do_not_add_up_are_said_loudly() {
    let mut summary = sample();
    summary.counts.delivered -= 1;
    let exit = exit_of(&summary, true);
    assert_eq!(exit, Exit::Bug);
    assert!(plain(&render(&summary, exit)).contains("waiting 1  ✗\n  the numbers don't add up"));
}

#[test]
fn a_run_without_leads_says_where_to_look() {
    let mut summary = sample();
    summary.counts = RunCounts::default();
    summary.waiting = 0;
    (summary.causes, summary.calls, summary.notices) = Default::default();
    summary.cache_hits = 0;
    assert_eq!(exit_of(&summary, false), Exit::Done);
    insta::assert_snapshot!(plain(&render(&summary, Exit::Done)), @r"
    import (run 7) took 12.4 s

      in 0 = delivered 0 + rejected 0 + exhausted 0 + unconfirmed 0 + skipped 0 + waiting 0  ✓

      next
        leadsync status  what is in the queue, and what it waits for
    ");
}

#[test]
fn rejects_end_with_3_unless_they_are_accepted() {
    let summary = sample();
    assert_eq!(exit_of(&summary, false), Exit::Rejects);
    assert_eq!(exit_of(&summary, true), Exit::Done);
    for set in [|c: &mut RunCounts| c.exhausted = 5, |c: &mut RunCounts| c.unconfirmed = 5] {
        let mut summary = sample();
        summary.counts.rejected = 0;
        set(&mut summary.counts);
        assert_eq!(exit_of(&summary, false), Exit::Rejects);
    }
}

#[test]
fn leads_that_wait_for_their_own_time_are_fine_those_we_put_off_are_not() {
    let mut summary = sample();
    assert_eq!(exit_of(&summary, true), Exit::Done, "one waits, none put off");
    summary.deferred_waiting = 1;
    assert_eq!(exit_of(&summary, false), Exit::Unavailable, "4 wins over 3");
}

#[test]
fn an_interrupted_run_ends_with_4_and_wrong_credentials_with_2() {
    let mut summary = sample();
    summary.interrupted = true;
    assert_eq!(exit_of(&summary, true), Exit::Unavailable);
    let halt = |exit| Halt { account: "enrich".into(), reason: String::new(), remedy: None, exit };
    summary.halts = vec![halt(Exit::Unavailable), halt(Exit::Usage)];
    assert_eq!(exit_of(&summary, true), Exit::Usage);
}
