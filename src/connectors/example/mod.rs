//! Postbox, an imaginary CRM: `POST {api_url}/people` creates, `GET {api_url}/people?email=…` answers with who is there.

use std::sync::Arc;

use http::Method;
use serde_json::json;
use url::Url;

use super::registry::DestinationKind;
use super::{Asked, CheckStep, Destination, Limits, UnknownPolicy, Unsendable, Verdict, below};
use crate::auth::Auth;
use crate::config::Kind;
use crate::config::schema::{concurrency, rate, unset};
use crate::http::message::{Reply, Request};
use crate::lead::{Lead, Prepared};

pub(super) const KIND: DestinationKind = DestinationKind {
    name: "postbox",
    keys: &[
        unset("api_url", Kind::Url, "\"https://postbox.example\"", "where people are; needed"),
        unset("token", Kind::Secret, "\"${POSTBOX_TOKEN}\"", "sent as bearer token; needed"),
        rate("\"10/s\"", "calls of the account"),
        concurrency("4"),
    ],
    fields: &[],
    missing: |table| {
        [table.need_url("api_url").err(), table.need_secret("token").err()].into_iter().flatten().collect()
    },
    build: |table| {
        Ok(Arc::new(Postbox { people: below(&table.need_url("api_url")?, &["people"]), limits: Limits::of(table) }))
    },
    login: |table| Ok((table.need_url("api_url")?, Auth::bearer(table.need_secret("token")?, "token"))),
    ipv4_only: false,
    sealed_field: |_| None,
};

struct Postbox {
    people: Url,
    limits: Limits,
}

impl Destination for Postbox {
    fn kind(&self) -> &'static str {
        KIND.name
    }
    fn limits(&self) -> Limits {
        self.limits
    }
    fn on_unknown(&self) -> UnknownPolicy {
        UnknownPolicy::Find
    }
    fn identity(&self, lead: &Lead) -> Result<String, Unsendable> {
        Ok(lead.email.clone())
    }
    fn create(&self, prepared: &Prepared) -> Result<Request, Unsendable> {
        let body = json!({"email": prepared.lead.email, "name": prepared.lead.first_name});
        Ok(Request::new(Method::POST, self.people.clone()).json(&body))
    }
    fn find(&self, prepared: &Prepared) -> Option<Request> {
        let mut url = self.people.clone();
        url.query_pairs_mut().append_pair("email", &prepared.lead.email);
        Some(Request::new(Method::GET, url))
    }
    fn read(&self, asked: Asked, _about: &Prepared, reply: &Reply) -> Option<Verdict> {
        // Whatever says nothing of the lead is judged by its status.
        let body = reply.json().filter(|_| reply.status.is_success())?;
        let person = if asked == Asked::Find { body.get("people")?.get(0) } else { Some(&body) };
        let Some(person) = person else { return Some(Verdict::Absent) };
        let remote_id = Some(person.get("id")?.as_u64()?.to_string());
        Some(Verdict::Accepted { remote_id, already: asked == Asked::Find, note: None })
    }
    fn is_about_another(&self, _: &Prepared, _: &Reply) -> bool {
        false
    }
    fn check(&self, replies: &[Reply]) -> CheckStep {
        match replies.last() {
            None => CheckStep::Ask(Request::new(Method::GET, self.people.clone())),
            Some(reply) if reply.status.is_success() => CheckStep::Passed(Vec::new()),
            Some(_) => CheckStep::Unreadable,
        }
    }
}

#[cfg(test)]
mod tests;
