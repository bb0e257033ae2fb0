//! The REST API: tokens, contacts, campaigns.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::book::{Contact, digits};
use super::{API, CAMPAIGNS, CREATE, LeadDesk, SEARCH, SHORTEST_PHONE, TOKEN, Wanted};
use crate::sandbox::operation::Operation;
use crate::sandbox::reply::Answer;
use crate::sandbox::request::Incoming;
use crate::sandbox::service::{Call, Service};

/// Entries of a page: most, and by default.
const MAX_PAGE: usize = 100;
const PAGE: usize = 20;

impl LeadDesk {
    /// `POST /oauth/access-token`, a form or JSON; errors as RFC 6749, 5.2.
    pub(super) fn token(&self, call: &Call<'_>) -> Answer {
        self.granted(call).unwrap_or_else(|(status, error)| self.refusal(TOKEN, status, error))
    }

    fn granted(&self, call: &Call<'_>) -> Result<Answer, (StatusCode, &'static str)> {
        let bad = |error| (StatusCode::BAD_REQUEST, error);
        let field = |name: &str| call.request.field(name);
        let grant = field("grant_type").ok_or(bad("invalid_request"))?;
        let secret = field("client_secret");
        if field("client_id").as_deref() != Some(self.options.client_id.as_str())
            || secret.as_deref() != Some(self.options.client_secret.expose())
        {
            return Err((StatusCode::UNAUTHORIZED, "invalid_client"));
        }
        let (account, lasting) = match grant.as_str() {
            "leaddesk_client_id" => {
                let account = field("leaddesk_client_id").ok_or(bad("invalid_request"))?;
                if account != self.options.leaddesk_client_id.to_string() {
                    return Err(bad("invalid_grant"));
                }
                (account, false)
            }
            "password" => {
                let user = field("username").ok_or(bad("invalid_request"))?;
                let right = field("password").as_deref() == Some(self.options.password.expose());
                if user != self.options.username || !right {
                    return Err(bad("invalid_grant"));
                }
                (user, true)
            }
            "refresh_token" => {
                let token = field("refresh_token").ok_or(bad("invalid_request"))?;
                (self.refresh.redeem(&token).ok_or(bad("invalid_grant"))?.account, true)
            }
            _ => return Err(bad("unsupported_grant_type")),
        };
        let mut body = json!({"access_token": call.tokens.issue(API, &account, "", call.ttl), "token_type": "Bearer"});
        if self.options.tells_expiry {
            body["expires_in"] = call.ttl.as_secs().into();
        }
        if lasting {
            body["refresh_token"] = self.refresh.issue(&account, "").into();
        }
        Ok(Answer::json(StatusCode::OK, &body))
    }

    /// `POST /contacts`.
    pub(super) fn create(&self, call: &Call<'_>) -> Answer {
        match self.wanted(call.request).map_err(|why| self.refusal(CREATE, StatusCode::UNPROCESSABLE_ENTITY, &why)) {
            Err(refused) => refused,
            Ok(wanted) => match self.add(call, wanted) {
                Err(refused) => refused,
                Ok(id) => {
                    let contact = self.contacts().get(id).map(shown);
                    Answer::json(StatusCode::CREATED, &contact)
                }
            },
        }
    }

    fn wanted(&self, request: &Incoming) -> Result<Wanted, String> {
        let body = request.json.as_ref().and_then(Value::as_object).ok_or("the body must be a JSON object")?;
        let phone = body.get("phone").and_then(Value::as_str).filter(|phone| !phone.trim().is_empty());
        let phone = phone.ok_or("phone is required")?.to_owned();
        if digits(&phone).len() < SHORTEST_PHONE {
            return Err("phone is not a phone number".to_owned());
        }
        let list = match body.get("contact_list_id").or_else(|| body.get("contact_list")) {
            Some(Value::String(list)) => list.clone(),
            Some(Value::Number(list)) => list.to_string(),
            _ => return Err("contact_list_id is required".to_owned()),
        };
        let list = self.list(&list).ok_or("contact_list_id is not a list of this account")?;
        let kept = body
            .iter()
            .filter(|(name, value)| !value.is_null() && !matches!(name.as_str(), "contact_list_id" | "contact_list"));
        let fields: Map<String, Value> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        match fields.iter().find(|(_, value)| !value.is_string()) {
            Some((name, _)) => Err(format!("{name} must be a string")),
            None => Ok(Wanted { list, phone, fields }),
        }
    }

    /// `GET /contacts?phone=&contact_list_id=&page=&per_page=`.
    pub(super) fn search(&self, request: &Incoming) -> Answer {
        let list = match request.parameter("contact_list_id").or_else(|| request.parameter("contact_list")) {
            None => None,
            Some(list) => match self.list(&list) {
                Some(list) => Some(list),
                None => return self.refusal(SEARCH, StatusCode::NOT_FOUND, "contact list not found"),
            },
        };
        let phone = request.parameter("phone");
        let contacts = self.contacts();
        let found = contacts.matching(list, phone.as_deref(), [None, None]);
        self.page(SEARCH, request, found.into_iter().map(shown).collect())
    }

    /// `GET /campaigns`.
    pub(super) fn campaigns(&self, request: &Incoming) -> Answer {
        self.page(CAMPAIGNS, request, vec![json!({"id": 31, "name": "Sandbox campaign"})])
    }

    /// `{"_meta": {"count": n}, "collection": […]}`: the count is of all, the collection of one page.
    fn page(&self, operation: Operation, request: &Incoming, all: Vec<Value>) -> Answer {
        let number = |name: &str, default: usize| request.parameter(name).map_or(Ok(default), |text| text.parse());
        match (number("page", 1), number("per_page", PAGE)) {
            (Ok(page @ 1..), Ok(size @ 1..=MAX_PAGE)) => {
                let (count, from) = (all.len(), (page - 1).saturating_mul(size));
                let collection: Vec<Value> = all.into_iter().skip(from).take(size).collect();
                let meta = json!({"count": count, "page": page, "per_page": size});
                Answer::json(StatusCode::OK, &json!({"_meta": meta, "collection": collection}))
            }
            _ => {
                self.refusal(operation, StatusCode::BAD_REQUEST, "page and per_page must be numbers, per_page 1 to 100")
            }
        }
    }
}

fn shown(contact: &Contact) -> Value {
    let mut shown = contact.fields.clone();
    shown.insert("id".to_owned(), contact.id.into());
    shown.insert("contact_list_id".to_owned(), contact.list.into());
    Value::Object(shown)
}
