//! The Original API: one address, `auth`, `mod` and `cmd` as parameters of a GET or a form, errors as `ERR_…` texts.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::book::{Contact, digits};
use super::{ADD, EXISTS, FIND, GET, LISTS, LeadDesk, SHORTEST_PHONE, Wanted};
use crate::sandbox::reply::Answer;
use crate::sandbox::request::Incoming;
use crate::sandbox::service::{Call, Routed, unrouted};

/// Arguments of `contact/add` that a contact keeps, apart from `other1` to `other35`.
const FIELDS: [&str; 17] = [
    "phone",
    "fname",
    "lname",
    "email",
    "www",
    "address",
    "postcode",
    "city",
    "country",
    "birthyear",
    "gender",
    "companyid",
    "company",
    "vatin",
    "title",
    "comment",
    "assign_to_agent",
];

/// From the query or from the form; blank is as good as missing.
pub(super) fn argument(request: &Incoming, name: &str) -> Option<String> {
    let form = || if request.is_form() { request.form(name) } else { None };
    request.parameter(name).or_else(form).filter(|text| !text.trim().is_empty())
}

pub(super) fn route(request: &Incoming) -> Routed {
    if request.method != Method::GET && request.method != Method::POST {
        return Err(unrouted(StatusCode::METHOD_NOT_ALLOWED));
    }
    let bad = |word: &str| Err(Answer::text(StatusCode::BAD_REQUEST, word));
    let (module, command) = (argument(request, "mod"), argument(request, "cmd"));
    match (module.as_deref(), command.as_deref()) {
        (Some("contact"), Some("add")) => Ok(ADD),
        (Some("contact"), Some("exists")) => Ok(EXISTS),
        (Some("contact"), Some("find")) => Ok(FIND),
        (Some("contact"), Some("get")) => Ok(GET),
        (Some("calling_list"), Some("list")) => Ok(LISTS),
        (Some("contact" | "calling_list"), _) => bad("ERR_INVALID_COMMAND"),
        _ => bad("ERR_INVALID_MODULE"),
    }
}

fn wrong(word: &str, detail: &str) -> Answer {
    Answer::text(StatusCode::BAD_REQUEST, &format!("{word}:{detail}"))
}

fn needed(request: &Incoming, name: &str) -> Result<String, Answer> {
    argument(request, name).ok_or_else(|| wrong("ERR_ARGUMENT_MISSING", name))
}

fn is_kept(name: &str) -> bool {
    let other = |name: &str| name.strip_prefix("other").and_then(|n| n.parse().ok());
    FIELDS.contains(&name) || other(name).is_some_and(|n: u32| (1..=35).contains(&n))
}

impl LeadDesk {
    pub(super) fn original(&self, call: &Call<'_>) -> Answer {
        let answer = match call.operation {
            ADD => self.contact_add(call),
            EXISTS => self.contact_exists(call.request),
            FIND => self.contact_find(call.request),
            GET => self.contact_get(call.request),
            _ => Ok(self.lists()),
        };
        answer.map_or_else(|refused| refused, |body| Answer::json(StatusCode::OK, &body))
    }

    fn contact_add(&self, call: &Call<'_>) -> Result<Value, Answer> {
        let phone = needed(call.request, "phone")?;
        let list = needed(call.request, "list")?;
        if digits(&phone).len() < SHORTEST_PHONE {
            return Err(wrong("ERR_ARGUMENT_INVALID", "phone"));
        }
        let list = self.list(&list).ok_or_else(|| wrong("ERR_NOT_FOUND", "list"))?;
        let query = call.request.query.as_deref().unwrap_or_default().as_bytes();
        let form: &[u8] = if call.request.is_form() { &call.request.body } else { &[] };
        let given = url::form_urlencoded::parse(query).chain(url::form_urlencoded::parse(form));
        let kept = given.filter(|(name, value)| is_kept(name) && !value.trim().is_empty());
        let fields: Map<String, Value> =
            kept.map(|(name, value)| (name.into_owned(), Value::from(value.into_owned()))).collect();
        let id = self.add(call, Wanted { list, phone, fields })?;
        Ok(json!({"success": true, "contact_id": id}))
    }

    fn contact_exists(&self, request: &Incoming) -> Result<Value, Answer> {
        let (list, phone) = (needed(request, "contact_list_id")?, needed(request, "phone")?);
        let list = self.list_id(&list)?;
        let (first, last) = (argument(request, "fname"), argument(request, "lname"));
        let contacts = self.contacts();
        let found = contacts.matching(Some(list), Some(&phone), [first.as_deref(), last.as_deref()]);
        Ok(json!({"success": true, "match": !found.is_empty()}))
    }

    fn contact_find(&self, request: &Incoming) -> Result<Value, Answer> {
        let (phone, first, last) = (argument(request, "phone"), argument(request, "fname"), argument(request, "lname"));
        if phone.is_none() && first.is_none() && last.is_none() {
            return Err(wrong("ERR_ARGUMENT_MISSING", "phone"));
        }
        let list = argument(request, "contact_list_id").map(|list| self.list_id(&list)).transpose()?;
        let contacts = self.contacts();
        let found = contacts.matching(list, phone.as_deref(), [first.as_deref(), last.as_deref()]);
        let ids: Vec<u64> = found.into_iter().map(|contact| contact.id).collect();
        Ok(json!({"success": true, "total_count": ids.len(), "contact_ids": ids}))
    }

    fn contact_get(&self, request: &Incoming) -> Result<Value, Answer> {
        let id = needed(request, "contact_id")?;
        let id: u64 = id.trim().parse().map_err(|_| wrong("ERR_ARGUMENT_INVALID", "contact_id"))?;
        let contacts = self.contacts();
        let contact = contacts.get(id).ok_or_else(|| wrong("ERR_NOT_FOUND", "contact"))?;
        Ok(shown(contact))
    }

    fn lists(&self) -> Value {
        self.options.contact_lists.iter().map(|(id, name)| json!({"id": id, "name": name})).collect()
    }

    /// `contact_list_id` is a number, of a list that is there.
    fn list_id(&self, found: &str) -> Result<u64, Answer> {
        let number: u64 = found.trim().parse().map_err(|_| wrong("ERR_ARGUMENT_INVALID", "contact_list_id"))?;
        self.list(&number.to_string()).ok_or_else(|| wrong("ERR_NOT_FOUND", "contact_list"))
    }
}

fn shown(contact: &Contact) -> Value {
    let mut shown = contact.fields.clone();
    shown.insert("success".to_owned(), true.into());
    shown.insert("id".to_owned(), contact.id.into());
    shown.insert("contact_list_id".to_owned(), contact.list.into());
    shown.insert("phone_numbers".to_owned(), json!([contact.text("phone")]));
    Value::Object(shown)
}
