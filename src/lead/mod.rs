//! The domain, without I/O, clock or async: what a lead is and what may become of it. Sees nothing else of ours.

pub mod mail_domain;
pub mod merge;
pub mod person;
pub mod state;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use person::{LookUp, Person};
pub use state::{Event, IllegalMove, LeadState};

/// A lead's number in the database: `leads.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeadId(pub i64);

impl fmt::Display for LeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lead as somebody wrote it down: nothing checked, nothing trimmed. The public columns of the table `leads`.
///
/// `Debug` shows no personal data.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawLead {
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub phone: Option<String>,
    pub company: Option<String>,
    pub job_title: Option<String>,
    pub linkedin: Option<String>,
    /// Where the lead came from, in the sender's words ("Website"); goes to the destination.
    pub source: Option<String>,
    pub context: Option<String>,
    pub note: Option<String>,
    /// A JSON object as text.
    pub custom_fields: Option<String>,
    pub external_id: Option<String>,
}

/// Which line of which file a lead was read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file's name as given on the command line; `-` is standard input.
    pub file: String,
    /// The line on which its record begins, counted from 1 (the header is usually line 1).
    pub row: u64,
}

/// A lead that was checked and brought into one form: what destinations are built from.
///
/// Every value is trimmed, NFC-normalised and not empty. `Debug` shows no personal data.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lead {
    /// Trimmed, lower case, the domain in its ASCII form (IDNA). The lead's identity.
    pub email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// E.164, e.g. `+14155550100`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_title: Option<String>,
    /// The slug of the profile (`ann-bee`), without host or path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linkedin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_fields: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// What preparing made of a lead, as stored in `leads.prepared` (JSON) once it is `ready`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prepared {
    /// The lead with the look-up already merged in: what will be sent.
    pub lead: Lead,
    /// The look-up's answer, for templates over `person.*`.
    pub looked_up: LookUp,
    /// What was left out or changed on the way, in words without personal data: "phone: not a number, left out".
    pub notes: Vec<String>,
}

impl fmt::Debug for RawLead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawLead").finish_non_exhaustive()
    }
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead").finish_non_exhaustive()
    }
}
