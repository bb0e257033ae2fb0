//! The account check: `calling_list/list`, which changes nothing. It proves key and address, and makes name and number of the
//! list of each other, before the first lead.

use serde_json::Value;

use super::Original;
use super::errors::{Subject, Told};
use crate::connectors::CheckStep;
use crate::connectors::lead_desk::wire;
use crate::http::message::Reply;

/// A list of the account.
struct Entry {
    id: u64,
    name: String,
}

impl Original {
    pub(super) fn check_account(&self, replies: &[Reply]) -> CheckStep {
        let Some(reply) = replies.last() else {
            return CheckStep::Ask(self.request("calling_list", "list", &[]));
        };
        let failed = |(reason, remedy)| CheckStep::Failed { reason, remedy };
        let told = Told::read(reply);
        match told.as_ref().map(Told::subject) {
            Some(Subject::Key) => {}
            Some(Subject::Command) => return self.without_lists(reply),
            _ if reply.status.is_server_error() => return CheckStep::Unreadable,
            _ => {}
        }
        if let Some(words) = self.account_wrong(told.as_ref(), reply) {
            return failed(words);
        }
        if told.is_some() {
            return self.without_lists(reply);
        }
        if !reply.status.is_success() {
            return CheckStep::Unreadable;
        }
        match (lists(reply), reply.json()) {
            (Some(lists), _) => self.resolve(&lists),
            // JSON cut short may be whole next time; a page or another kind of answer means a wrong address.
            (None, None) if !reply.is_html() => CheckStep::Unreadable,
            _ => failed(self.not_the_api(reply)),
        }
    }

    /// The key may not see the lists: then both must be configured, and are believed.
    fn without_lists(&self, reply: &Reply) -> CheckStep {
        let said = format!("{}: {}", reply.status.as_u16(), reply.message());
        let (name, id) = (self.keys.key("contact_list"), self.keys.key("contact_list_id"));
        match self.list.configured() {
            (Some(_), Some(_)) => CheckStep::Passed(vec![format!(
                "LeadDesk does not show its contact lists ({said}), so {name} and {id} were not compared with them"
            )]),
            _ => CheckStep::Failed {
                reason: format!("LeadDesk does not show its contact lists ({said})"),
                remedy: format!("set both {name} and {id}, or ask LeadDesk to let the key list them"),
            },
        }
    }

    fn resolve(&self, lists: &[Entry]) -> CheckStep {
        let (name_key, id_key) = (self.keys.key("contact_list"), self.keys.key("contact_list_id"));
        let failed = |reason: String, remedy: String| CheckStep::Failed { reason, remedy };
        let (name, id) = self.list.configured();
        let found: Vec<&Entry> = match (id, name) {
            (Some(id), _) => lists.iter().filter(|entry| entry.id == id).collect(),
            (None, Some(name)) => lists.iter().filter(|entry| entry.name == name).collect(),
            (None, None) => Vec::new(),
        };
        let Some(entry) = found.first() else {
            let (what, key) = if id.is_some() { ("number", id_key) } else { ("name", name_key) };
            let nearest = name.filter(|_| id.is_none()).and_then(|name| nearest(name, lists));
            let remedy = match nearest {
                Some(nearest) => format!("correct {key}; did you mean \"{nearest}\"?"),
                None => format!("set {key} to the list's {what} as LeadDesk shows it"),
            };
            let count = lists.len();
            return failed(format!("LeadDesk has no contact list of the configured {what} ({count} others)"), remedy);
        };
        if let Some(name) = name.filter(|name| *name != entry.name) {
            return failed(
                format!("LeadDesk's contact list {} is called \"{}\", not \"{name}\"", entry.id, entry.name),
                format!("correct {name_key} or {id_key}, or leave one of them out"),
            );
        }
        // Contacts are added by the list's name: of two by that name, nobody knows which gets them.
        let namesakes = lists.iter().filter(|other| other.name == entry.name).count();
        if namesakes > 1 {
            return failed(
                format!("{namesakes} contact lists at LeadDesk are called \"{}\"", entry.name),
                "give the list a name of its own at LeadDesk: contacts are added by it".to_owned(),
            );
        }
        self.list.resolve(&entry.name, entry.id);
        CheckStep::Passed(Vec::new())
    }
}

/// A list of `{"id", "name"}`, alone or as the one list within an object; `None` if it is none.
fn lists(reply: &Reply) -> Option<Vec<Entry>> {
    let body = reply.json()?;
    let items = match &body {
        Value::Array(items) => items,
        Value::Object(fields) => {
            let mut arrays = fields.values().filter_map(Value::as_array);
            let items = arrays.next()?;
            if arrays.next().is_some() {
                return None;
            }
            items
        }
        _ => return None,
    };
    let read = |item: &Value| {
        let name = item.get("name")?.as_str()?.trim().to_owned();
        Some(Entry { id: wire::id(item.get("id")?)?, name })
    };
    let entries: Vec<Entry> = items.iter().filter_map(read).collect();
    (items.is_empty() || !entries.is_empty()).then_some(entries)
}

fn nearest<'a>(name: &str, lists: &'a [Entry]) -> Option<&'a str> {
    lists
        .iter()
        .map(|entry| (strsim::jaro_winkler(&entry.name.to_lowercase(), &name.to_lowercase()), entry.name.as_str()))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}
