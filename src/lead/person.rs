//! What a look-up knows about a person. Field names follow Live Data's `/find` answer (source: the model classes of the
//! vendor's generated Python client, PyPI `ldt-people-client-async-staging` 1.0.129); level, function and status are open
//! sets and stay strings.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The answer of a look-up. `Debug` shows no personal data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum LookUp {
    /// Nobody was asked: look-ups are off, or were unavailable and `when_unavailable = "send"`.
    #[default]
    NotAsked,
    /// Asked; the person is not known. An answer like any other.
    NotFound,
    /// Asked and found.
    Found {
        /// Who it is.
        person: Box<Person>,
    },
}

impl LookUp {
    /// The person, if one was found.
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::Found { person } => Some(person),
            Self::NotAsked | Self::NotFound => None,
        }
    }

    /// For results: found, asked and not found, or not asked.
    pub fn enriched(&self) -> Option<bool> {
        match self {
            Self::NotAsked => None,
            Self::NotFound => Some(false),
            Self::Found { .. } => Some(true),
        }
    }
}

/// A person as the look-up service describes them; every field may be missing. Templates see these as `person.*`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Person {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// The slug of the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linkedin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// ISO 3166 alpha-2, e.g. `US`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct_dial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employment_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The current employer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub industry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employee_count: Option<f64>,
    /// The person's e-mail at the current employer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_email: Option<String>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").finish_non_exhaustive()
    }
}
