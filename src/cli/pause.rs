//! `leadsync pause` and `leadsync resume`: a destination, or the look-up, waits because a person says so.

#[cfg(test)]
mod tests;

use std::io::Write as _;

use super::accounts;
use super::args::{PauseArgs, ResumeArgs};
use super::console::{self, CODE, WARN, paint};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::words;
use crate::auth::host;
use crate::clock::Timestamp;
use crate::exit::Exit;
use crate::mask::scrub;
use crate::store::{HandPause, Pause, Store};

/// Characters kept of a person's reason.
const WHY: usize = 300;

/// Runs `leadsync pause`.
pub async fn pause(args: &PauseArgs, context: &Context) -> Outcome {
    let opened = context.open_current().await?;
    accounts::require(&opened.settings, &args.name)?;
    let pause = asked(args, person(), opened.now());
    opened.store.pause_by_hand(&pause).await?;
    opened.store.close().await;
    writeln!(console::stdout(), "{}", said(&pause, pause.since))?;
    Ok(Exit::Done)
}

/// Runs `leadsync resume`.
pub async fn resume(args: &ResumeArgs, context: &Context) -> Outcome {
    let opened = context.open_current().await?;
    let text = lift(&*opened.store, args, opened.now()).await?;
    if text.is_none() {
        accounts::require(&opened.settings, &args.name)?;
    }
    opened.store.close().await;
    let text = text.unwrap_or_else(|| format!("{} was not paused", args.name));
    writeln!(console::stdout(), "{text}")?;
    Ok(Exit::Done)
}

/// Who types, as colleagues know them: the login name, if there is one, and the machine.
fn person() -> String {
    let login = ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    match login.map(|name| one_line(&name)).find(|name| !name.is_empty()) {
        Some(name) => format!("{name} on {}", host::name()),
        None => format!("somebody on {}", host::name()),
    }
}

/// In one line, without people's addresses and secrets: every run repeats it to its log.
fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    scrub(&words.join(" ")).chars().take(WHY).collect()
}

fn asked(args: &PauseArgs, by: String, now: Timestamp) -> HandPause {
    HandPause {
        name: args.name.clone(),
        since: now,
        until: args.term.map(|term| now.plus(term)),
        why: args.why.as_deref().map(one_line).filter(|why| !why.is_empty()),
        by,
    }
}

fn said(pause: &HandPause, now: Timestamp) -> String {
    let until = match pause.until {
        Some(until) => format!("until {until} ({})", words::relative(until, now)),
        None => "until it is resumed".to_owned(),
    };
    format!(
        "{} is {} {until}: its leads wait, and runs at work stop calling it within seconds; {} lifts it",
        pause.name,
        paint(WARN, "paused"),
        paint(CODE, words::leadsync(format!("resume {}", pause.name)))
    )
}

/// Whether a server's pause is of an account of this name, whatever its credentials are: they are no part of the name.
fn is_of(pause: &Pause, name: &str) -> bool {
    pause.account.rsplit_once('-').is_some_and(|(of, rest)| of == name && !rest.contains('#'))
}

/// Lifts what is asked for, and tells what is left. `None`: there was nothing.
async fn lift(store: &dyn Store, args: &ResumeArgs, now: Timestamp) -> Result<Option<String>, Failure> {
    let name = &args.name;
    let by_hand = store.hand_pauses(now).await?.into_iter().any(|pause| pause.name == *name);
    // Also what has run out by itself, so that nothing is left over.
    store.resume_by_hand(name).await?;
    let mut said = Vec::new();
    if by_hand {
        said.push(format!("{name} goes on: {} sends what waits", paint(CODE, words::leadsync("run"))));
    }
    for pause in store.pauses(now).await?.into_iter().filter(|pause| is_of(pause, name)) {
        let until = format!("until {} ({}): {}", pause.until, words::relative(pause.until, now), pause.why);
        if args.all {
            store.pause(&Pause { until: Timestamp::default(), ..pause }).await?;
            said.push(format!(
                "{name}: lifted what its server asked for, too, a pause {until}; the server may ask again"
            ));
        } else {
            let lifts = paint(CODE, words::leadsync(format!("resume {name} --all")));
            said.push(format!(
                "{name} {}, as its server asked, {until}; {lifts} lifts that too",
                paint(WARN, "stays paused")
            ));
        }
    }
    Ok((!said.is_empty()).then(|| said.join("\n")))
}
