//! What a sandbox is started with. Every default works together: a client with the default credentials is served.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::faults::FaultPlan;
use super::lead_bank::LeadBankOptions;
use super::lead_connector::LeadConnectorOptions;
use super::lead_desk::LeadDeskOptions;
use super::plain_crm::PlainCrmOptions;
use crate::http::message::Rate;
use crate::secret::Secret;

/// What a sandbox is started with.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Loopback only. Default `127.0.0.1:0`, any free port.
    pub listen: SocketAddr,
    /// Decides who is found, who they are, and whom faults hit. Default 7.
    pub seed: u64,
    /// What goes wrong. Default nothing.
    pub faults: FaultPlan,
    /// How long faults take.
    pub timing: Timing,
    /// The form of `Retry-After` on a 429. Default seconds.
    pub retry_after: RetryAfter,
    /// How long an access token lives. Default 1 h.
    pub token_ttl: Duration,
    /// Added before every reply, as a network would. Default none.
    pub latency: Duration,
    /// Longest request body, in bytes; longer ones are answered 413. Default 1 MiB.
    pub body_limit: usize,
    /// Every effect is appended here, one JSON object a line, before its reply leaves; an existing file is continued.
    /// Holds the leads as they were sent, hence made with mode 0600.
    pub ledger_file: Option<PathBuf>,
    pub live_data: LiveDataOptions,
    pub seven_targets: SevenTargetsOptions,
    pub lead_connector: LeadConnectorOptions,
    pub lead_desk: LeadDeskOptions,
    pub lead_bank: LeadBankOptions,
    pub plain_crm: PlainCrmOptions,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 7,
            faults: FaultPlan::default(),
            timing: Timing::default(),
            retry_after: RetryAfter::Seconds,
            token_ttl: Duration::from_secs(3600),
            latency: Duration::ZERO,
            body_limit: 1 << 20,
            ledger_file: None,
            live_data: LiveDataOptions::default(),
            seven_targets: SevenTargetsOptions::default(),
            lead_connector: LeadConnectorOptions::default(),
            lead_desk: LeadDeskOptions::default(),
            lead_bank: LeadBankOptions::default(),
            plain_crm: PlainCrmOptions::default(),
        }
    }
}

/// Leads of `samples/leads.csv` to whom something happens in the demo, so that it always shows the same four stories: a
/// token that expires in mid-run, a 429 with a pause, a 500 that did nothing, a reply lost after the lead was created.
/// And the look-up fails once.
const DEMO_FAULTS: &str = "find:503=#1, \
                           create:401=greta.hollander@northwind.example.com#1, \
                           create:429=zoe@angstrom.example.org#1, \
                           create:500=linus.falk@kestrel.example.com#1, \
                           create:reset-after=kaya.johansen@orbital.example.com#1, \
                           create:html=timo.baird@loom.example.org#1";

impl SandboxOptions {
    /// What `leadsync demo` starts: faults for leads named in `samples/leads.csv`, a little latency so that progress can
    /// be seen, pauses of one second, and nothing that hangs.
    pub fn demo() -> Self {
        Self {
            faults: DEMO_FAULTS.parse().expect("a constant that a test parses"),
            timing: Timing { pause: Duration::from_secs(1), ..Timing::default() },
            latency: Duration::from_millis(40),
            seven_targets: SevenTargetsOptions {
                rate: Some(Rate { count: 20, per: Duration::from_secs(1) }),
                ..SevenTargetsOptions::default()
            },
            ..Self::default()
        }
    }
}

/// How long faults take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// `hang` and `hang-after`: until the connection is cut without a reply; `late`: until the effect. Or until the
    /// client gives up, which does not stop a late effect. Default 60 s.
    pub hang: Duration,
    /// `drip`: from the reply's first byte to its last. Default 3 s.
    pub drip: Duration,
    /// What the `Retry-After` of an injected 429 asks for. Default 1 s.
    pub pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { hang: Duration::from_secs(60), drip: Duration::from_secs(3), pause: Duration::from_secs(1) }
    }
}

/// The Live Data side. Sources: gotlivedata.io documentation (Auth; view-usage) and the vendor's generated clients.
#[derive(Clone, Debug)]
pub struct LiveDataOptions {
    /// Service account. Default `sandbox-client`.
    pub client_id: String,
    /// Default `sandbox-secret`.
    pub client_secret: Secret,
    /// Accepted as bearer, never expires. Default `ldtkey_sandbox`.
    pub api_key: Secret,
    /// Password login. Default `sandbox-user`.
    pub username: String,
    /// Default `sandbox-password`.
    pub password: Secret,
    /// Default `o_sandbox`.
    pub organization: String,
    /// Per account; `None`: no limit. Default 2000/min, the vendor's.
    pub rate: Option<Rate>,
    /// Unique people that may be returned before the answer is 402; `None`: no cap.
    pub credits: Option<u64>,
    /// Share of people who are found, `0.0..=1.0`. Default 0.75.
    pub found: f64,
}

impl Default for LiveDataOptions {
    fn default() -> Self {
        Self {
            client_id: "sandbox-client".into(),
            client_secret: Secret::new("sandbox-secret"),
            api_key: Secret::new("ldtkey_sandbox"),
            username: "sandbox-user".into(),
            password: Secret::new("sandbox-password"),
            organization: "o_sandbox".into(),
            rate: Some(Rate { count: 2000, per: Duration::from_secs(60) }),
            credits: None,
            found: 0.75,
        }
    }
}

/// The 7targets side. Sources: 7targets.ai/help/integrate/api and AWS Cognito's token endpoint.
#[derive(Clone, Debug)]
pub struct SevenTargetsOptions {
    /// Default `sandbox-client`.
    pub client_id: String,
    /// Default `sandbox-secret`.
    pub client_secret: Secret,
    /// Default `leads/post`.
    pub scope: String,
    /// What the header `7ts-user-identifier` must say; `None`: not looked at. Default `sandbox-user-identifier`.
    pub user_identifier: Option<String>,
    /// E-mail addresses of the account's assistants; their ids count up from 61. Default eleven of them, with
    /// `ashley@sandbox.example` last, so that a client must turn the page to find her.
    pub assistants: Vec<String>,
    /// Per account, all calls together; `None`: no limit. The vendor documents none. Default 50/s.
    pub rate: Option<Rate>,
    /// What a create answers for an e-mail that is there. The vendor does not say. Default conflict.
    pub duplicate: Duplicate,
}

impl Default for SevenTargetsOptions {
    fn default() -> Self {
        let others = ["alex", "blake", "casey", "drew", "ellis", "finley", "harper", "jordan", "morgan", "riley"];
        let assistants = others.iter().chain(["ashley"].iter()).map(|name| format!("{name}@sandbox.example")).collect();
        Self {
            client_id: "sandbox-client".into(),
            client_secret: Secret::new("sandbox-secret"),
            scope: "leads/post".into(),
            user_identifier: Some("sandbox-user-identifier".into()),
            assistants,
            rate: Some(Rate { count: 50, per: Duration::from_secs(1) }),
            duplicate: Duplicate::Conflict,
        }
    }
}

/// A word that is none of the choices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{found}`; expected {expected}")]
pub struct UnknownChoice {
    what: &'static str,
    found: String,
    expected: &'static str,
}

/// What a create answers for an e-mail that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicate {
    /// 409 with a message that says it exists.
    Conflict,
    /// 200 with the lead as it is.
    ReturnExisting,
}

impl FromStr for Duplicate {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        match text {
            "conflict" => Ok(Self::Conflict),
            "return_existing" => Ok(Self::ReturnExisting),
            found => Err(UnknownChoice {
                what: "answer to duplicates",
                found: found.into(),
                expected: "`conflict` or `return_existing`",
            }),
        }
    }
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "conflict",
            Self::ReturnExisting => "return_existing",
        })
    }
}

/// The form of `Retry-After` (RFC 9110, 10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryAfter {
    /// `Retry-After: 2`.
    Seconds,
    /// `Retry-After: Sun, 22 Nov 2026 05:30:59 GMT`.
    Date,
    /// No such header.
    Absent,
}

impl FromStr for RetryAfter {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        match text {
            "seconds" => Ok(Self::Seconds),
            "date" => Ok(Self::Date),
            "none" => Ok(Self::Absent),
            found => Err(UnknownChoice {
                what: "form of Retry-After",
                found: found.into(),
                expected: "`seconds`, `date` or `none`",
            }),
        }
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seconds => "seconds",
            Self::Date => "date",
            Self::Absent => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::When;
    use super::*;

    #[test]
    fn every_lead_that_the_demo_troubles_is_in_the_sample_file() {
        let sample = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/leads.csv")).unwrap();
        for rule in SandboxOptions::demo().faults.rules() {
            if let When::Lead { email, .. } = &rule.when {
                assert_eq!(
                    sample.matches(email.as_str()).count(),
                    1,
                    "{email}: exactly once, so that it is not skipped"
                );
            }
        }
    }

    #[test]
    fn a_wrong_choice_is_answered_with_the_right_ones() {
        let error = "error".parse::<Duplicate>().unwrap_err();
        assert_eq!(error.to_string(), "unknown answer to duplicates `error`; expected `conflict` or `return_existing`");
        for form in [RetryAfter::Seconds, RetryAfter::Date, RetryAfter::Absent] {
            assert_eq!(form.to_string().parse(), Ok(form));
        }
    }
}
