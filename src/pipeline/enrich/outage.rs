//! What a look-up that was not answered means for the service and the run.

use std::sync::atomic::Ordering;

use super::LookUps;
use crate::connectors::LookUpVerdict;
use crate::connectors::channel::AskError;
use crate::exit::Exit;
use crate::pipeline::progress::Halt;
use crate::pipeline::shared::Shared;
use crate::store::Pause;

/// This many look-ups failing one after the other end them for the run.
const FAILURES: u32 = 3;

impl LookUps {
    /// No reply, after the channel's own short retries.
    pub(super) fn failed(&self, shared: &Shared, error: &AskError) {
        match error {
            AskError::Stopped => {}
            AskError::Auth(error) => self.halt(shared, Halt::from_auth("enrich", error), None),
            AskError::Send(error) => {
                let halt = Halt {
                    account: "enrich".to_owned(),
                    reason: format!("the look-up service can't be reached: {error}"),
                    remedy: Some("run again when it is back, or set enrich.when_unavailable = \"send\"".to_owned()),
                    exit: Exit::Unavailable,
                };
                self.halt(shared, halt, None);
            }
        }
    }

    /// A reply that answers nothing.
    pub(super) async fn refused(&self, shared: &Shared, verdict: LookUpVerdict) {
        let halt = |reason: String, remedy: String, exit| Halt {
            account: "enrich".to_owned(),
            reason,
            remedy: Some(remedy),
            exit,
        };
        match verdict {
            LookUpVerdict::OutOfCredits(_) => self.halt(
                shared,
                halt(
                    "the look-up service has no credits left (402)".to_owned(),
                    "buy credits, or set enrich.when_unavailable = \"send\"; run again then".to_owned(),
                    Exit::Unavailable,
                ),
                None,
            ),
            LookUpVerdict::AccountWrong { reason, remedy } => {
                self.halt(shared, halt(reason, remedy, Exit::Usage), None)
            }
            LookUpVerdict::AuthExpired => self.halt(
                shared,
                halt(
                    "the look-up service refuses a fresh access token (401)".to_owned(),
                    "check the key or account under [enrich]".to_owned(),
                    Exit::Usage,
                ),
                None,
            ),
            // Longer than this run waits: nobody stands at the gate until then.
            LookUpVerdict::NotNow { wait: Some(wait), ref why } if wait > shared.wait => {
                let until = shared.clock.now().plus(wait);
                self.pause(shared, Pause { account: self.channel.account().to_owned(), until, why: why.clone() }).await;
            }
            LookUpVerdict::NotNow { why, .. } => self.out_of_order(shared, &why, false),
            LookUpVerdict::Again { .. } | LookUpVerdict::Answers { .. } | LookUpVerdict::BadRequest { .. } => {}
        }
    }

    /// The service has an answer for nobody. Once may be a moment of weakness; where no reply comes at all, the time-outs
    /// were patience enough.
    pub(super) fn out_of_order(&self, shared: &Shared, why: &str, lost: bool) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let reason = match lost {
            true => format!("the look-up service can't be reached: {why}"),
            false if failures >= FAILURES => format!("{FAILURES} look-ups in a row failed, the last: {why}"),
            false => return,
        };
        let remedy = Some("run again when it is back, or set enrich.when_unavailable = \"send\"".to_owned());
        self.halt(shared, Halt { account: "enrich".to_owned(), reason, remedy, exit: Exit::Unavailable }, None);
    }
}
