//! The error words of the original API: `ERR_NOT_FOUND:agent`. Source: <https://leaddesk.com/docs/get-started>, which lists
//! `ERR_UNDEFINED`, `ERR_ARGUMENT_MISSING`, `ERR_ARGUMENT_INVALID`, `ERR_AUTHENTICATION`, `ERR_INVALID_MODULE` and
//! `ERR_INVALID_COMMAND` among others.

use crate::http::message::Reply;

const PREFIX: &str = "ERR_";
/// Longest word and detail that are believed to be one.
const LONGEST: usize = 40;

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The account's key, or what it may do.
    Key,
    /// Module or command: the address, or what the key may do.
    Command,
    /// The contact list.
    List,
    /// Anything else: the lead.
    Lead,
}

/// An error word and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Without `ERR_`.
    word: String,
    /// Lower case; empty if there is none.
    detail: String,
}

impl Told {
    /// `None` if the reply holds no error word.
    pub(super) fn read(reply: &Reply) -> Option<Self> {
        let said = reply.said();
        let at = said.find(PREFIX)?;
        // A word of its own, not the end of another.
        if said[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        let rest = &said[at + PREFIX.len()..];
        let word: String = rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').take(LONGEST).collect();
        let rest = rest[word.len()..].trim_start();
        let detail = rest.strip_prefix(':').unwrap_or_default().trim_start();
        let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let detail = detail.chars().take_while(is_name).take(LONGEST).collect::<String>().to_ascii_lowercase();
        (!word.is_empty()).then_some(Self { word, detail })
    }

    pub(super) fn subject(&self) -> Subject {
        let is_about = |names: &[&str]| names.contains(&self.detail.as_str());
        let refuses_key = ["AUTH", "PERMISSION", "ACCESS", "FORBIDDEN"].iter().any(|word| self.word.contains(word));
        if refuses_key || is_about(&["auth", "auth_key", "key"]) {
            return Subject::Key;
        }
        if matches!(self.word.as_str(), "INVALID_MODULE" | "INVALID_COMMAND")
            || is_about(&["mod", "cmd", "module", "command"])
        {
            return Subject::Command;
        }
        if is_about(&["list", "list_id", "contact_list", "contact_list_id", "calling_list", "calling_list_id"]) {
            return Subject::List;
        }
        Subject::Lead
    }

    /// A look-up's way of saying that there is none.
    pub(super) fn is_no_such_contact(&self) -> bool {
        self.word == "NOT_FOUND" && matches!(self.detail.as_str(), "contact" | "contact_id" | "contacts")
    }

    /// The lead's field that it names, as leads call it.
    pub(super) fn field(&self) -> Option<String> {
        let name = match self.detail.as_str() {
            "" => return None,
            "fname" => "first_name",
            "lname" => "last_name",
            "title" => "job_title",
            "comment" => "note",
            other => other,
        };
        Some(name.to_owned())
    }
}
