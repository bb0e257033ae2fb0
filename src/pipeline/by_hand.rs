//! Pauses that people ask for: kept by every run, told to one that is at work within seconds, and nobody's failure. The
//! leads wait as they are, however short the pause is, so that lifting it early leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use super::lane::Lane;
use super::progress::Halt;
use super::shared::Shared;
use crate::exit::Exit;
use crate::store::HandPause;

/// How often a run at work looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// What a run says of it. Not who it was: that is nobody's business who reads the logs, and `status` tells it.
fn halt(pause: &HandPause) -> Halt {
    let until = pause.until.map_or_else(|| "until it is resumed".to_owned(), |until| format!("until {until}"));
    let why = pause.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    Halt {
        account: pause.name.clone(),
        reason: format!("paused by hand {until}, since {}{why}; its leads wait", pause.since),
        remedy: Some(format!("`leadsync status` says who; `leadsync resume {}` lifts it", pause.name)),
        exit: Exit::Done,
    }
}

fn heed(shared: &Shared, lanes: &[Arc<Lane>], pauses: &[HandPause]) {
    for pause in pauses {
        if let Some(lane) = lanes.iter().find(|lane| lane.name == pause.name) {
            lane.halt(halt(pause));
        }
        if let Some(lookup) = shared.lookup.as_ref().filter(|lookup| lookup.channel.name() == pause.name) {
            lookup.hold(shared, halt(pause));
        }
    }
}

/// Keeps the pauses that there are, before anybody is called. Where the database can't tell, nobody is.
pub async fn keep_from_the_start(shared: &Shared, lanes: &[Arc<Lane>]) {
    match shared.patiently(|| shared.store.hand_pauses(shared.clock.now())).await {
        Ok(pauses) => heed(shared, lanes, &pauses),
        Err(error) => {
            if !error.is_unavailable() {
                shared.account.bug(format!("could not read what is paused by hand: {error}"));
            }
            shared.account.database_lost(&error);
            shared.stop.cancel();
        }
    }
}

/// Keeps those that are made while the run is at work, for ever.
pub async fn keep(shared: Arc<Shared>, lanes: Vec<Arc<Lane>>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        match shared.store.hand_pauses(shared.clock.now()).await {
            Ok(pauses) => heed(&shared, &lanes, &pauses),
            // Whoever has leads in hand notices too, and knows what to do about it.
            Err(error) => tracing::debug!("could not read what is paused by hand: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_run_says_since_when_until_when_and_why_but_not_who() {
        let pause = HandPause {
            name: "crm".into(),
            since: Timestamp::from_ms(1_795_325_459_000),
            until: None,
            why: None,
            by: "ann on desk-1".into(),
        };
        let said = |pause: &HandPause| halt(pause).reason;
        assert_eq!(said(&pause), "paused by hand until it is resumed, since 2026-11-22T05:30:59Z; its leads wait");
        let until = Some(Timestamp::from_ms(1_795_332_659_000));
        let pause = HandPause { until, why: Some("wrong list".into()), ..pause };
        assert_eq!(
            said(&pause),
            "paused by hand until 2026-11-22T07:30:59Z, since 2026-11-22T05:30:59Z: wrong list; its leads wait"
        );
        assert_eq!(halt(&pause).exit, Exit::Done);
    }
}
