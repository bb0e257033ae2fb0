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

/// Tells it on standard error: as text or as log lines; with `-q` only if something is wrong, with `-qq` only what stopped
/// it.
pub fn tell(summary: &Summary, exit: Exit, console: Console) {
    if console.quiet >= 2 {
        return log_halts(summary);
    }
    if console.quiet == 1 && exit == Exit::Done {
        return;
    }
    if console.json { log(summary, exit) } else { say(&render(summary, exit)) }
}

fn log_halts(summary: &Summary) {
    for halt in &summary.halts {
        if halt.exit == Exit::Done {
            // Somebody's own will: a budget, a pause by hand.
            tracing::warn!(run = summary.run.0, account = halt.account, remedy = halt.remedy, "{}", halt.reason);
        } else {
            tracing::error!(run = summary.run.0, account = halt.account, remedy = halt.remedy, "{}", halt.reason);
        }
    }
}

fn log(summary: &Summary, exit: Exit) {
    let c = &summary.counts;
    for notice in &summary.notices {
        tracing::warn!(run = summary.run.0, "{notice}");
    }
    log_halts(summary);
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
        let style = if halt.exit == Exit::Done { WARN } else { BAD };
        let _ = writeln!(text, "    {}  {}", paint(style, format!("{:width$}", halt.account)), halt.reason);
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
        "    {} in flight when the time was up: {}{more}; the next run finds out whether they arrived",
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
pub mod tests;
