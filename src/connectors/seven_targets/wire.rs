//! The bodies that go to 7targets and come back. Absent fields are left out: the vendor reads null as "unchanged" on an
//! update, and says nothing of null on a create. Ids and dates come back as opaque JSON.

use serde_json::{Map, Value, json};

use super::{Assistant, FieldKey, SevenTargets};
use crate::connectors::Unsendable;
use crate::connectors::template::Context;
use crate::http::message::Reply;
use crate::lead::Prepared;

impl SevenTargets {
    /// The body of `POST /leads`.
    pub(super) fn create_body(&self, prepared: &Prepared) -> Result<Value, Unsendable> {
        let lead = &prepared.lead;
        let mut body = self.mandatory(prepared)?;
        put(&mut body, "lastName", lead.last_name.as_deref());
        put(&mut body, "phone", lead.phone.as_deref());
        put(&mut body, "source", lead.source.as_deref());
        put(&mut body, "context", lead.context.as_deref());
        put(&mut body, "additionalInformationLine", lead.note.as_deref());
        put(&mut body, "scheduleName", self.schedule_name.as_deref());
        if let Some(id) = self.schedule_id {
            body.insert("scheduleId".to_owned(), json!(id));
        }
        let mut custom = lead.custom_fields.clone();

        let context = Context::of(prepared);
        for (key, template) in &self.fields {
            let text = template.render(&context).map_err(|error| Unsendable {
                field: "fields",
                reason: format!("`{}` can't be filled in: {error}", key.name()),
            })?;
            match (key, text) {
                (FieldKey::Body(name), Some(text)) => {
                    body.insert((*name).to_owned(), Value::String(text));
                }
                (FieldKey::Body(name), None) => {
                    body.remove(*name);
                }
                (FieldKey::Custom(name), Some(text)) => {
                    custom.insert(name.clone(), text);
                }
                (FieldKey::Custom(name), None) => {
                    custom.remove(name);
                }
            }
        }
        if !custom.is_empty() {
            let list = custom.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            body.insert("customFields".to_owned(), Value::Array(list));
        }
        Ok(Value::Object(body))
    }

    /// The three fields without which neither a create nor an update is accepted.
    pub(super) fn mandatory(&self, prepared: &Prepared) -> Result<Map<String, Value>, Unsendable> {
        let lead = &prepared.lead;
        if lead.email.is_empty() {
            return Err(Unsendable { field: "email", reason: "missing; 7targets knows leads by it".to_owned() });
        }
        let first_name = lead.first_name.as_deref().filter(|name| !name.trim().is_empty()).ok_or(Unsendable {
            field: "first_name",
            reason: "missing, and the look-up knows none; 7targets needs one".to_owned(),
        })?;
        let mut body = Map::new();
        put(&mut body, "name", Some(first_name));
        put(&mut body, "email", Some(&lead.email));
        match &self.assistant {
            Assistant::Email(email) => put(&mut body, "assistantEmail", Some(email)),
            Assistant::Id(id) => {
                body.insert("assistantId".to_owned(), json!(id));
            }
        }
        Ok(body)
    }
}

fn put(body: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        body.insert(name.to_owned(), Value::String(text.to_owned()));
    }
}

/// The lead that a reply describes, as far as we read it.
pub(super) struct RemoteLead {
    pub(super) id: String,
    /// An open set: Cold, Engaged, Warm, Hot, Responded, New and others.
    pub(super) state: Option<String>,
}

impl RemoteLead {
    /// `None` if the body is no JSON object with a numeric `id`.
    pub(super) fn read(reply: &Reply) -> Option<Self> {
        let body = reply.json()?;
        let state = body.get("state").and_then(Value::as_str).map(str::to_owned);
        Some(Self { id: id(body.get("id")?)?, state })
    }

    pub(super) fn is_new(&self) -> bool {
        self.state.as_deref().is_some_and(|state| state.trim().eq_ignore_ascii_case("new"))
    }
}

/// The address of the lead that a reply describes, if it names one.
pub(super) fn address_in(reply: &Reply) -> Option<String> {
    let body = reply.json()?;
    let said = body.get("email")?.as_str()?.trim();
    (!said.is_empty()).then(|| said.to_owned())
}

/// Whether both are one address, however they are written: upper and lower case, a domain in Unicode or ASCII.
pub(super) fn is_same_address(one: &str, other: &str) -> bool {
    let plain = |address: &str| {
        let address = address.trim().to_lowercase();
        let Some((local, domain)) = address.rsplit_once('@') else { return address };
        idna::domain_to_ascii(domain).map_or_else(|_| address.clone(), |domain| format!("{local}@{domain}"))
    };
    plain(one) == plain(other)
}

/// A whole number above zero, also where it was sent as text.
fn id(value: &Value) -> Option<String> {
    let number = match value {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (number > 0).then(|| number.to_string())
}

/// One page of `GET /leads/assistant`; `None` if the body is no list.
pub(super) fn assistants(reply: &Reply) -> Option<Vec<(Option<i64>, Option<String>)>> {
    let body = reply.json()?;
    let list = body.as_array()?;
    Some(
        list.iter()
            .map(|entry| {
                let id = entry.get("id").and_then(id).and_then(|id| id.parse().ok());
                (id, entry.get("emailid").and_then(Value::as_str).map(|email| email.trim().to_lowercase()))
            })
            .collect(),
    )
}
