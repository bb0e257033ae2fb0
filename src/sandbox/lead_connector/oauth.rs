//! Tokens: an app's by code, by refresh token (good once) and by client credentials; a location's from its agency's.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{API, LeadConnector, refused, version};
use crate::http::message::is_loopback;
use crate::sandbox::reply::Answer;
use crate::sandbox::request::Incoming;
use crate::sandbox::service::Call;

/// Locations of a page: most, and by default.
const MAX_PAGE: usize = 100;
const PAGE: usize = 20;

/// What an authorisation code opens.
struct Code {
    redirect_uri: String,
    /// PKCE, S256 (RFC 7636).
    challenge: Option<String>,
    scope: String,
}

/// Codes that nobody has used.
#[derive(Default)]
pub(super) struct Codes(Mutex<HashMap<String, Code>>);

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codes").finish_non_exhaustive()
    }
}

/// How a version spells the fields of a token call.
#[derive(Clone, Copy)]
struct Spelling {
    camel: bool,
}

impl Spelling {
    fn of(request: &Incoming) -> Result<Self, Answer> {
        let version = version(request).map_err(|why| refused(StatusCode::BAD_REQUEST, why))?;
        Ok(Self { camel: version == Some("v3") })
    }

    fn name(self, camel: &str) -> String {
        if self.camel { camel.to_owned() } else { snake(camel) }
    }

    fn field(self, request: &Incoming, camel: &str) -> Option<String> {
        request.field(&self.name(camel))
    }

    fn needed(self, request: &Incoming, camel: &str) -> Result<String, Answer> {
        self.field(request, camel)
            .ok_or_else(|| refused(StatusCode::BAD_REQUEST, &format!("Missing parameter: {}", self.name(camel))))
    }

    fn invalid(self, camel: &str) -> Answer {
        refused(StatusCode::BAD_REQUEST, &format!("Invalid parameter: {}", self.name(camel)))
    }

    /// The body with its fields spelt so.
    fn answer(self, body: Value) -> Answer {
        let body = match body {
            Value::Object(fields) if !self.camel => {
                Value::Object(fields.into_iter().map(|(name, value)| (snake(&name), value)).collect::<Map<_, _>>())
            }
            body => body,
        };
        Answer::json(StatusCode::OK, &body)
    }
}

/// `clientId` as `client_id`.
fn snake(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 2);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn invalid_grant(what: &str) -> Answer {
    refused(StatusCode::BAD_REQUEST, &format!("Invalid grant: {what} is invalid"))
}

fn inactive() -> Answer {
    refused(StatusCode::BAD_REQUEST, "Location is not active")
}

impl LeadConnector {
    /// `POST /oauth/token`.
    pub(super) fn token(&self, call: &Call<'_>) -> Answer {
        self.granted(call).unwrap_or_else(|refused| refused)
    }

    fn granted(&self, call: &Call<'_>) -> Result<Answer, Answer> {
        let request = call.request;
        let spelling = Spelling::of(request)?;
        if !request.is_form() && !request.is_json() {
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be a form or JSON"));
        }
        let grant = spelling.needed(request, "grantType")?;
        if spelling.needed(request, "clientId")? != self.options.client_id {
            return Err(spelling.invalid("clientId"));
        }
        if spelling.needed(request, "clientSecret")? != self.options.client_secret.expose() {
            return Err(spelling.invalid("clientSecret"));
        }
        let agency = match spelling.field(request, "userType").as_deref() {
            None | Some("Location") => false,
            Some("Company") => true,
            Some(_) => return Err(spelling.invalid("userType")),
        };
        let chosen = if agency { &self.options.company_id } else { &self.options.location_id };
        let (account, scope, lasting) = match grant.as_str() {
            "authorization_code" => {
                let code = spelling.needed(request, "code")?;
                (chosen.clone(), self.redeem_code(spelling, request, &code)?, true)
            }
            "refresh_token" => {
                let token = spelling.needed(request, "refreshToken")?;
                // While a location sleeps its token is not spent.
                let sleeps = |account: &str| account != self.options.company_id && !self.active.is_on();
                if self.refresh.peek(&token).is_some_and(|grant| sleeps(&grant.account)) {
                    return Err(inactive());
                }
                let grant = self.refresh.redeem(&token).ok_or_else(|| invalid_grant("refresh token"))?;
                (grant.account, grant.scope, true)
            }
            // What it opens is documented nowhere: here, what `userType` asks for.
            "client_credentials" => (chosen.clone(), self.options.scope.clone(), false),
            _ => return Err(spelling.invalid("grantType")),
        };
        if account != self.options.company_id && !self.active.is_on() {
            return Err(inactive());
        }
        let mut body = self.issued(call, &account, &scope);
        if lasting {
            body["refreshToken"] = self.refresh.issue(&account, &scope).into();
        }
        Ok(spelling.answer(body))
    }

    /// Spends the code; its scope.
    fn redeem_code(&self, spelling: Spelling, request: &Incoming, code: &str) -> Result<String, Answer> {
        let code = self.codes.0.lock().unwrap_or_else(PoisonError::into_inner).remove(code);
        let code = code.ok_or_else(|| invalid_grant("authorization code"))?;
        if spelling.field(request, "redirectUri").is_some_and(|uri| uri != code.redirect_uri) {
            return Err(spelling.invalid("redirectUri"));
        }
        if let Some(challenge) = code.challenge {
            // RFC 7636 names it in snake case; a camelCase API may spell it either way.
            let verifier = spelling.field(request, "codeVerifier").or_else(|| request.field("code_verifier"));
            let hash = verifier.map(|verifier| BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())));
            if hash.as_deref() != Some(challenge.as_str()) {
                return Err(invalid_grant("code verifier"));
            }
        }
        Ok(code.scope)
    }

    /// An access token and what is said with it.
    fn issued(&self, call: &Call<'_>, account: &str, scope: &str) -> Value {
        let agency = account == self.options.company_id;
        let mut body = json!({
            "accessToken": call.tokens.issue(API, account, scope, call.ttl),
            "tokenType": "Bearer",
            "expiresIn": call.ttl.as_secs(),
            "scope": scope,
            "userType": if agency { "Company" } else { "Location" },
            "companyId": self.options.company_id,
            "userId": "sandbox_user",
        });
        if !agency {
            body["locationId"] = account.into();
        }
        body
    }

    /// `GET /oauth/authorize`: stands for the page where a person chooses a location, and says yes at once.
    pub(super) fn authorize(&self, request: &Incoming) -> Answer {
        self.authorized(request).unwrap_or_else(|refused| refused)
    }

    fn authorized(&self, request: &Incoming) -> Result<Answer, Answer> {
        let bad = |what: &str, name: &str| refused(StatusCode::BAD_REQUEST, &format!("{what} parameter: {name}"));
        let needed = |name: &str| request.parameter(name).ok_or_else(|| bad("Missing", name));
        if needed("response_type")? != "code" {
            return Err(bad("Invalid", "response_type"));
        }
        if needed("client_id")? != self.options.client_id {
            return Err(bad("Invalid", "client_id"));
        }
        let redirect_uri = needed("redirect_uri")?;
        // Whoever follows stays on this machine, as everything does here.
        let url = url::Url::parse(&redirect_uri).ok().filter(is_loopback);
        let mut url = url.ok_or_else(|| bad("Invalid", "redirect_uri"))?;
        let scope = needed("scope")?;
        if scope.split(' ').any(|asked| !self.options.scope.split(' ').any(|known| known == asked)) {
            return Err(bad("Invalid", "scope"));
        }
        let challenge = request.parameter("code_challenge");
        let method = request.parameter("code_challenge_method");
        if challenge.is_some() && method.as_deref() != Some("S256") {
            return Err(bad("Invalid", "code_challenge_method"));
        }
        let code = format!("sandbox.code.{:032x}", rand::random::<u128>());
        url.query_pairs_mut().append_pair("code", &code);
        if let Some(state) = request.parameter("state") {
            url.query_pairs_mut().append_pair("state", &state);
        }
        let mut codes = self.codes.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.insert(code, Code { redirect_uri, challenge, scope });
        Ok(Answer::json(StatusCode::FOUND, &json!({})).with("location", url.as_str()))
    }

    /// `POST /oauth/location-token`.
    pub(super) fn location_token(&self, call: &Call<'_>) -> Answer {
        let request = call.request;
        let spelling = match Spelling::of(request) {
            Ok(spelling) => spelling,
            Err(refused) => return refused,
        };
        if !request.is_form() {
            return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be a form");
        }
        // The dated versions have these two in camel case as well.
        let field = |name: &str| request.field(name).or_else(|| spelling.field(request, name));
        match (field("companyId"), field("locationId")) {
            (None, _) => refused(StatusCode::BAD_REQUEST, "Missing parameter: companyId"),
            (_, None) => refused(StatusCode::BAD_REQUEST, "Missing parameter: locationId"),
            (Some(company), _) if company != self.options.company_id => {
                refused(StatusCode::BAD_REQUEST, "Invalid parameter: companyId")
            }
            (_, Some(location)) if !self.knows_location(&location) => {
                refused(StatusCode::BAD_REQUEST, "Invalid parameter: locationId")
            }
            _ if !self.active.is_on() => inactive(),
            (_, Some(location)) => {
                let scope = call.caller.map_or("", |caller| &caller.scope);
                spelling.answer(self.issued(call, &location, scope))
            }
        }
    }

    /// `GET /oauth/installed-locations?companyId&appId&pageSize&pageToken`.
    pub(super) fn installed_locations(&self, request: &Incoming) -> Answer {
        let bad = |message: String| {
            let error = json!({
                "code": "BAD_REQUEST", "message": message, "details": [], "resolution": "Check the query parameters",
            });
            Answer::json(StatusCode::BAD_REQUEST, &json!({"error": error}))
        };
        if request.parameter("companyId").as_deref() != Some(self.options.company_id.as_str()) {
            return bad("companyId is missing or unknown".to_owned());
        }
        if request.parameter("appId").is_none_or(|app| app.is_empty()) {
            return bad("appId is missing".to_owned());
        }
        let size = match request.parameter("pageSize").map_or(Ok(PAGE), |size| size.parse()) {
            Ok(size) if (1..=MAX_PAGE).contains(&size) => size,
            _ => return bad(format!("pageSize must be from 1 to {MAX_PAGE}")),
        };
        let page_token = |from: usize| BASE64_URL_SAFE_NO_PAD.encode(format!("from:{from}"));
        let from = match request.parameter("pageToken") {
            None => 0,
            Some(token) => match (0..=self.options.other_locations.len()).find(|from| page_token(*from) == token) {
                Some(from) => from,
                None => return bad("pageToken is not one of ours".to_owned()),
            },
        };
        let all: Vec<&String> = self.options.other_locations.iter().chain([&self.options.location_id]).collect();
        let items: Vec<Value> = all
            .iter()
            .skip(from)
            .take(size)
            .map(|id| {
                json!({
                    "_id": id, "name": format!("Location {id}"), "address": "1 Sandbox Street", "isInstalled": true,
                    "versionId": "sandbox_version", "installedAt": "2026-01-01T00:00:00.000Z",
                })
            })
            .collect();
        let next = from + size;
        let pagination = json!({
            "hasNextPage": next < all.len(),
            "hasPrevPage": from > 0,
            "currentPageSize": items.len(),
            "nextPageToken": (next < all.len()).then(|| page_token(next)),
            "prevPageToken": (from > 0).then(|| page_token(from.saturating_sub(size))),
            "totalRecords": all.len(),
        });
        Answer::json(StatusCode::OK, &json!({"items": items, "pagination": pagination}))
    }
}
