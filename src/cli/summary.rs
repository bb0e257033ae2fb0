//! The end of a run: its exit code, and what the operator reads of it.

use std::fmt::Write as _;

use super::console::{BAD, BOLD, CODE, Console, DIM, GOOD, WARN, paint, say, state_style};
use super::words;
use crate::exit::Exit;
use crate::lead::LeadState;
use crate::pipeline::progress::Summary;

/// What the run means to whoever started it.
///
/// [`Exit::Bug`] if its counts don't add up; what halted it; [`Exit::Unavailable`] if it was interrupted or leads that
/// we put off wait for another run (not those that only wait for their own time or for tomorrow's quota);
/// [`Exit::Rejects`] if leads failed and the operator doesn't accept that. The worst counts ([`Exit::and`]).
pub fn exit_of(summary: &Summary, accept_rejects: bool) -> Exit {
    let c = &summary.counts;
    let mut exit = if summary.balances() && summary.bugs.is_empty() { Exit::Done } else { Exit::Bug };
    if !accept_rejects && c.rejected + c.exhausted + c.unconfirmed > 0 {
        exit = exit.and(Exit::Rejects);
    }
    if summary.interrupted || !summary.cut.is_empty() || summary.deferred_waiting > 0 {
        exit = exit.and(Exit::Unavailable);
    }
    summary.halts.iter().fold(exit, |exit, halt| exit.and(halt.exit))
}

/// Tells it on standard error: as text or as log lines; with `-q` only if something is wrong, with `-qq` never.
pub fn tell(summary: &Summary, exit: Exit, console: Console) {
    if console.quiet >= 2 || (console.quiet == 1 && exit == Exit::Done) {
        return;
    }
    if console.json { log(summary, exit) } else { say(&render(summary, exit)) }
}

fn log(summary: &Summary, exit: Exit) {
    let c = &summary.counts;
    for notice in &summary.notices {
        tracing::warn!(run = summary.run.0, "{notice}");
    }
    for halt in &summary.halts {
        tracing::error!(run = summary.run.0, account = halt.account, remedy = halt.remedy, "{}", halt.reason);
    }
    tracing::info!(
        run = summary.run.0,
        command = summary.command,
        exit_code = exit.code(),
        took_ms = u64::try_from(summary.took.as_millis()).unwrap_or(u64::MAX),
        taken = c.taken,
        delivered = c.delivered,
        rejected = c.rejected,
        exhausted = c.exhausted,
        unconfirmed = c.unconfirmed,
        skipped = c.skipped,
        waiting = summary.waiting,
        taken_over = summary.taken_over,
        balances = summary.balances(),
        next_due = summary.next_due.map(|at| at.to_string()),
        interrupted = summary.interrupted,
        "run finished"
    );
}

/// The closing summary for people.
pub fn render(summary: &Summary, exit: Exit) -> String {
    let mut text = format!(
        "\n{} {}\n\n  {}\n",
        paint(BOLD, format!("{} (run {})", summary.command, summary.run)),
        paint(DIM, format!("took {}", words::duration(summary.took))),
        sum_line(summary)
    );
    if !summary.balances() {
        text.push_str(&format!(
            "  {}\n",
            paint(BAD.bold(), "the numbers don't add up: this is a bug in leadsync, please report it with this line")
        ));
    }
    halts(&mut text, summary);
    causes(&mut text, summary);
    cut(&mut text, summary);
    if !summary.notices.is_empty() {
        section(&mut text, "notes");
        for notice in &summary.notices {
            let _ = writeln!(text, "    {notice}");
        }
    }
    facts(&mut text, summary);
    next(&mut text, summary, exit);
    text.truncate(text.trim_end().len());
    text
}

fn section(text: &mut String, name: &str) {
    let _ = writeln!(text, "\n  {}", paint(BOLD, name));
}

fn sum_line(summary: &Summary) -> String {
    let c = &summary.counts;
    let part = |state: LeadState, n: i64| {
        let said = format!("{state} {}", words::count(n));
        if n == 0 { paint(DIM, said) } else { paint(state_style(state), said) }
    };
    let mut line = format!(
        "in {} = {} + {} + {} + {} + {} + waiting {}",
        paint(BOLD, words::count(c.taken)),
        part(LeadState::Delivered, c.delivered),
        part(LeadState::Rejected, c.rejected),
        part(LeadState::Exhausted, c.exhausted),
        part(LeadState::Unconfirmed, c.unconfirmed),
        part(LeadState::Skipped, c.skipped),
        words::count(summary.waiting),
    );
    if summary.taken_over > 0 {
        let _ = write!(line, " + taken over {}", words::count(summary.taken_over));
    }
    line + &if summary.balances() { paint(GOOD, "  ✓") } else { paint(BAD, "  ✗") }
}

fn halts(text: &mut String, summary: &Summary) {
    if summary.halts.is_empty() {
        return;
    }
    section(text, "stopped");
    let width = summary.halts.iter().map(|halt| halt.account.chars().count()).max().unwrap_or(0);
    for halt in &summary.halts {
        let _ = writeln!(text, "    {}  {}", paint(BAD, format!("{:width$}", halt.account)), halt.reason);
        if let Some(remedy) = &halt.remedy {
            let _ = writeln!(text, "    {:width$}  {} {remedy}", "", paint(CODE, "→"));
        }
    }
}

/// Reasons by state, the most frequent first; what differs only in numbers is one cause.
fn causes(text: &mut String, summary: &Summary) {
    const AT_MOST: usize = 5;
    for state in LeadState::ALL.into_iter().filter(|state| state.is_final() && *state != LeadState::Delivered) {
        let mut causes = clusters(summary, state);
        if causes.is_empty() {
            continue;
        }
        let hidden: i64 = causes.iter().skip(AT_MOST).map(|&(_, n)| n).sum();
        causes.truncate(AT_MOST);
        section(text, &format!("why {}", paint(state_style(state), state)));
        let width = causes.iter().map(|&(_, n)| words::count(n).len()).max().unwrap_or(1);
        for (reason, n) in &causes {
            let _ = writeln!(text, "    {:>width$} × {reason}", words::count(*n));
        }
        if hidden > 0 {
            let _ = writeln!(text, "    {:>width$}   and {} for other reasons", "", words::leads(hidden));
        }
        if let Some(hint) = remedy(state, summary) {
            let _ = writeln!(text, "    {} {hint}", paint(CODE, "→"));
        }
    }
}

fn clusters(summary: &Summary, state: LeadState) -> Vec<(String, i64)> {
    let mut found: Vec<(String, String, i64)> = Vec::new();
    for (_, reason, n) in summary.causes.iter().filter(|(of, _, _)| *of == state) {
        let key = without_numbers(reason);
        match found.iter_mut().find(|(known, _, _)| *known == key) {
            Some((_, shown, sum)) => {
                if shown != reason {
                    shown.clone_from(&key);
                }
                *sum += n;
            }
            None => found.push((key, reason.clone(), *n)),
        }
    }
    found.sort_by_key(|&(_, _, n)| std::cmp::Reverse(n));
    found.into_iter().map(|(_, shown, n)| (shown, n)).collect()
}

/// `line 12: duplicate of lead 7` and `line 90: duplicate of lead 8` are one cause: `line …: duplicate of lead …`.
fn without_numbers(reason: &str) -> String {
    let mut text = String::with_capacity(reason.len());
    for c in reason.chars() {
        if !c.is_ascii_digit() {
            text.push(c);
        } else if !text.ends_with('…') {
            text.push('…');
        }
    }
    text
}

fn remedy(state: LeadState, summary: &Summary) -> Option<String> {
    let run = summary.run;
    let command = |text: String| paint(CODE, words::leadsync(text));
    Some(match state {
        LeadState::Rejected => {
            // The demo's other side is gone when this is read.
            if summary.command == "demo" {
                return Some("fix them and import them again".into());
            }
            format!("fix them and import them again, or: {}", command(format!("retry --state rejected --run {run}")))
        }
        LeadState::Exhausted => {
            format!("once the cause is gone: {}", command(format!("retry --state exhausted --run {run}")))
        }
        LeadState::Unconfirmed => {
            format!(
                "look each one up at the destination, then: {}",
                command("resolve ID --delivered | --absent".into())
            )
        }
        _ => return None,
    })
}

fn cut(text: &mut String, summary: &Summary) {
    const AT_MOST: usize = 10;
    if summary.cut.is_empty() {
        return;
    }
    section(text, "cut off");
    let ids: Vec<String> = summary.cut.iter().take(AT_MOST).map(ToString::to_string).collect();
    let more = summary.cut.len().saturating_sub(AT_MOST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let _ = writeln!(
        text,
        "    {} in flight when the time was up: {}{more}; the next run looks whether they arrived",
        words::leads(summary.cut.len() as i64),
        ids.join(", ")
    );
}

fn facts(text: &mut String, summary: &Summary) {
    let mut facts: Vec<(&str, String)> = Vec::new();
    if !summary.calls.is_empty() {
        let mut accounts: Vec<(&str, Vec<String>)> = Vec::new();
        for (account, what, n) in &summary.calls {
            let said = format!("{} {what}", words::count(i64::try_from(*n).unwrap_or(i64::MAX)));
            match accounts.iter_mut().find(|(known, _)| known == account) {
                Some((_, calls)) => calls.push(said),
                None => accounts.push((account, vec![said])),
            }
        }
        let said: Vec<String> =
            accounts.iter().map(|(account, calls)| format!("{account} {}", calls.join(", "))).collect();
        facts.push(("calls", said.join(" · ")));
    }
    if summary.cache_hits > 0 {
        let n = i64::try_from(summary.cache_hits).unwrap_or(i64::MAX);
        facts.push(("cache", format!("{} found there instead of paying for a look-up", words::leads(n))));
    }
    if summary.counts.failed_attempts + summary.counts.deferrals > 0 {
        facts.push((
            "retries",
            format!(
                "{}, {}",
                words::plural(summary.counts.failed_attempts, "failed attempt"),
                words::plural(summary.counts.deferrals, "deferral")
            ),
        ));
    }
    if summary.waiting > 0 {
        let now = summary.started_at.plus(summary.took);
        let due = summary.next_due.map_or_else(String::new, |at| format!("; the next is due {}", words::when(at, now)));
        facts.push(("waiting", format!("{}{due}", words::leads(summary.waiting))));
    }
    if facts.is_empty() {
        return;
    }
    text.push('\n');
    for (name, said) in facts {
        let _ = writeln!(text, "  {}  {said}", paint(BOLD, format!("{name:<7}")));
    }
}

fn next(text: &mut String, summary: &Summary, exit: Exit) {
    let run = summary.run;
    let mut lines: Vec<(String, &str)> = Vec::new();
    if exit == Exit::Usage && summary.waiting > 0 {
        lines.push((words::leadsync("run"), "goes on with what waits, once that is mended"));
    } else if exit == Exit::Unavailable || summary.waiting > 0 {
        lines.push((words::leadsync("run"), "goes on with what waits"));
    }
    if summary.counts.taken > 0 {
        lines.push((words::leadsync(format!("results --run {run}")), "one line a lead, as CSV"));
        lines.push((words::leadsync("explain ID"), "the whole story of one of them"));
    } else {
        lines.push((words::leadsync("status"), "what is in the queue, and what it waits for"));
    }
    // The demo ends with words of its own.
    if summary.command == "demo" {
        lines.clear();
    } else {
        section(text, "next");
    }
    let width = lines.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    for (command, what) in lines {
        let _ = writeln!(text, "    {}  {}", paint(CODE, format!("{command:width$}")), paint(DIM, what));
    }
    if exit != Exit::Done {
        let why = match exit {
            Exit::Done => "",
            Exit::Bug => "a bug in leadsync",
            Exit::Usage => "credentials or configuration; repeating won't help before they are mended",
            Exit::Rejects => "leads failed; --accept-rejects makes it 0",
            Exit::Unavailable => "leads are waiting; run again",
        };
        let _ = writeln!(text, "\n  {}", paint(WARN, format!("exit code {}: {why}", exit.code())));
    }
}

#[cfg(test)]
pub mod tests {
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
            12 leads in flight when the time was up: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more; the next run looks whether they arrived

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
}
