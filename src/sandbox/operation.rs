//! What can be asked of the sandbox, by the names that fault plans and ledgers use.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A remote service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// gotlivedata.io: identity and people.
    LiveData,
    /// 7targets: Cognito token, leads, assistants.
    SevenTargets,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::LiveData, Self::SevenTargets];

    /// As in configuration, fault plans and ledgers.
    pub fn name(self) -> &'static str {
        match self {
            Self::LiveData => "live_data",
            Self::SevenTargets => "seven_targets",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Live Data: `POST /api/identity/v1/session`.
    Session,
    /// Live Data: `POST /api/people/v1/{org}/find`.
    Find,
    /// 7targets: `POST /oauth2/token`.
    Token,
    /// 7targets: `POST /leads`.
    Create,
    /// 7targets: `PUT /leads`.
    Update,
    /// 7targets: `GET /leads/assistant`.
    Assistants,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Session, Self::Find, Self::Token, Self::Create, Self::Update, Self::Assistants];

    /// As in fault plans and ledgers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Find => "find",
            Self::Token => "token",
            Self::Create => "create",
            Self::Update => "update",
            Self::Assistants => "assistants",
        }
    }

    /// Whose it is.
    pub fn api(self) -> Api {
        match self {
            Self::Session | Self::Find => Api::LiveData,
            Self::Token | Self::Create | Self::Update | Self::Assistants => Api::SevenTargets,
        }
    }

    /// Whether it asks for a token rather than bringing one.
    pub(super) fn is_login(self) -> bool {
        matches!(self, Self::Session | Self::Token)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
