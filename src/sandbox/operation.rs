//! What can be asked of the sandbox, by the names that fault plans and ledgers use. Each service declares its own.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::service::KINDS;

/// A remote service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Api {
    name: &'static str,
    title: &'static str,
}

impl Api {
    /// `name`: as in configuration, fault plans and ledgers; `title`: as people call it.
    pub(super) const fn new(name: &'static str, title: &'static str) -> Self {
        Self { name, title }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|kind| kind.api)
    }

    /// As in configuration, fault plans and ledgers.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// As people call it.
    pub fn title(self) -> &'static str {
        self.title
    }

    /// A call that brings a token (or a key).
    pub(super) const fn call(self, name: &'static str) -> Operation {
        Operation { api: self, name, login: false }
    }

    /// A call that asks for a token rather than bringing one.
    pub(super) const fn login(self, name: &'static str) -> Operation {
        Operation { api: self, name, login: true }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Serialize for Api {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Api {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::all().find(|api| api.name == name).ok_or_else(|| serde::de::Error::custom("unknown service"))
    }
}

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    api: Api,
    name: &'static str,
    login: bool,
}

impl Operation {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().flat_map(|kind| kind.operations.iter().copied())
    }

    /// As in fault plans and ledgers; no two are alike.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Whose it is.
    pub fn api(self) -> Api {
        self.api
    }

    /// Whether it asks for a token rather than bringing one.
    pub(super) fn is_login(self) -> bool {
        self.login
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_word_of_a_fault_plan_means_one_service_or_one_call() {
        let words: Vec<_> = Operation::all().map(Operation::name).chain(Api::all().map(Api::name)).collect();
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len(), "{words:?}");
    }
}
