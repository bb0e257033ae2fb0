//! What to ask for a token, and what the answer means. Pure: nothing here sends.
//!
//! A grant is data: where it is asked, with which fields, in which encoding. A connector puts together what its API wants,
//! from the forms that are common ([`Client`], [`Grant::client_credentials`] and its like) or field by field.

mod reply;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use super::{Account, Bearer};
use crate::clock::Timestamp;
use crate::http::message::{Reply, Request};
use crate::secret::Secret;

/// How long a token is kept whose lifetime nobody told: 15 minutes, the interval at which Live Data has its clients
/// renew. Source: <https://docs.gotlivedata.com>, Auth.
const LIFETIME_UNTOLD: Duration = Duration::from_secs(15 * 60);

/// How tokens are obtained. `Debug` shows where, not who: a user name may be an e-mail address.
#[derive(Clone)]
pub struct Grant {
    /// Its kind; part of the account's key, so never changed.
    pub style: &'static str,
    pub token_url: Url,
    /// Who logs in there, besides style and address: client, scope, user. Part of the account's key; no secrets.
    pub identity: Vec<String>,
    /// The client in a Basic header, as RFC 6749, 2.3.1, has it; else it is among the fields.
    pub basic: Option<(String, Secret)>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub encoding: Encoding,
    /// What a token is asked for with that needs no token: empty where only a refresh token will do.
    pub login: Vec<(String, Field)>,
    /// How a refresh token is exchanged, where there are any.
    pub refresh: Option<Exchange>,
    /// What was asked for: space separated. A narrower grant is told.
    pub scope: Option<String>,
    /// How long a token is kept whose lifetime nobody told.
    pub lifetime_untold: Duration,
    /// Which keys to look at if it is refused, and which if the address is wrong: for the remedy.
    pub keys: &'static str,
    pub address: &'static str,
    /// Whose token authorises the request: an agency's, for those of its locations.
    pub authorised_by: Option<Box<Account>>,
    /// How a person logs in with a browser, where that is possible: see [`BrowserLogin`].
    pub browser: Option<BrowserLogin>,
    /// Refusals that this service has words for: reason and remedy.
    pub known_refusals: Vec<KnownRefusal>,
}

/// A refusal that a token service has words for of its own: reason and remedy.
pub type KnownRefusal = fn(&Reply) -> Option<(String, String)>;

/// How a refresh token becomes the next access token.
#[derive(Clone)]
pub struct Exchange {
    /// One of them is [`Field::RefreshToken`].
    pub fields: Vec<(String, Field)>,
    /// The refresh token of the configuration. It begins the chain and is used once; what follows is in the database.
    pub seed: Option<Secret>,
}

/// The authorization code flow: what `leadsync auth login` needs. Sources: RFC 6749, 4.1; RFC 7636 (PKCE); RFC 8252 (the
/// loopback address).
#[derive(Clone)]
pub struct BrowserLogin {
    /// Where the person is sent.
    pub authorize_url: Url,
    pub client_id: String,
    /// Where the code comes back; on this machine, or somewhere the person copies it from.
    pub redirect_url: Url,
    pub scope: String,
    /// Whether the server knows PKCE (S256). Servers that don't ignore the parameters (RFC 7636, 5).
    pub pkce: bool,
    /// What the code is exchanged with; [`Field::Code`], [`Field::RedirectUrl`] and [`Field::CodeVerifier`] among them.
    pub fields: Vec<(String, Field)>,
}

/// A field of a token request.
#[derive(Clone)]
pub enum Field {
    Text(String),
    /// Without the blanks around it: they come from files and `openssl base64`.
    Secret(Secret),
    /// To the letter: a password may begin with a blank.
    Exact(Secret),
    /// The refresh token in hand.
    RefreshToken,
    /// The code that came back from the browser.
    Code,
    /// Where it came back to.
    RedirectUrl,
    /// What proves that the code is brought by whoever asked for it (PKCE).
    CodeVerifier,
}

/// How a token request's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Form,
    Json,
}

/// What a token is asked for with.
#[derive(Clone, Copy)]
pub enum With<'a> {
    /// The account's own secret.
    Login,
    /// A refresh token.
    Refresh(&'a Secret),
    /// The code from a browser login.
    Code { code: &'a Secret, verifier: &'a Secret },
}

/// A token as it came, not yet stored.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuedToken {
    /// The access token.
    pub access: Secret,
    /// The refresh token that takes the place of the one it was asked for with, if there is one.
    pub refresh: Option<Secret>,
    /// On our clock, measured from before the request.
    pub expires_at: Timestamp,
    /// It seemed to have expired on arrival: one of the clocks is wrong.
    pub doubtful: bool,
    /// What was granted, where the service says so.
    pub scope: Option<String>,
}

/// A client of a token service, and where its id and secret are put.
#[derive(Clone)]
pub struct Client {
    pub id: String,
    pub secret: Secret,
    pub place: ClientPlace,
}

/// Where a client's id and secret stand in a token request (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPlace {
    Basic,
    Body,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant({})", self.place())
    }
}

/// A field that holds a plain text.
pub fn plain(name: &str, text: &str) -> (String, Field) {
    (name.to_owned(), Field::Text(text.trim().to_owned()))
}

/// A field that holds a secret.
pub fn hidden(name: &str, secret: &Secret) -> (String, Field) {
    (name.to_owned(), Field::Secret(secret.clone()))
}

/// A field that holds a secret to the letter.
pub fn exact(name: &str, secret: &Secret) -> (String, Field) {
    (name.to_owned(), Field::Exact(secret.clone()))
}

/// The fields of RFC 6749, 6.
fn refresh_fields() -> Vec<(String, Field)> {
    vec![plain("grant_type", "refresh_token"), ("refresh_token".to_owned(), Field::RefreshToken)]
}

impl Grant {
    /// A grant without any field yet.
    pub fn new(style: &'static str, token_url: Url, identity: impl IntoIterator<Item = String>) -> Self {
        Self {
            style,
            token_url,
            identity: identity.into_iter().collect(),
            basic: None,
            headers: Vec::new(),
            encoding: Encoding::Form,
            login: Vec::new(),
            refresh: None,
            scope: None,
            lifetime_untold: LIFETIME_UNTOLD,
            keys: "`client_id` and `client_secret`",
            address: "`token_url`",
            authorised_by: None,
            browser: None,
            known_refusals: Vec::new(),
        }
    }

    /// OAuth 2.0 client credentials (RFC 6749, 4.4). In a Basic header, id and secret stand as they are: that is how AWS
    /// Cognito takes them, and unlike the text of RFC 6749, 2.3.1, not form-encoded. Source:
    /// <https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html>.
    pub fn client_credentials(token_url: Url, client: Client, scope: Option<String>, encoding: Encoding) -> Self {
        let style = match (client.place, encoding) {
            (ClientPlace::Basic, _) => "client_credentials_basic",
            (ClientPlace::Body, Encoding::Form) => "client_credentials_form",
            (ClientPlace::Body, Encoding::Json) => "client_credentials_json",
        };
        let identity = [client.id.clone(), scope.clone().unwrap_or_default()];
        let mut login = vec![plain("grant_type", "client_credentials")];
        login.extend(scope.as_deref().map(|scope| plain("scope", scope)));
        Self { login, scope, encoding, ..Self::new(style, token_url, identity) }.with_client(&client)
    }

    /// A chain of refresh tokens: each is exchanged for the next with every use, and is dead afterwards; whoever uses it
    /// again is taken for a thief, and the whole chain may be revoked. `seed` begins it; without one, a login does.
    /// Sources: RFC 6749, 6; RFC 9700, 2.2.2 and 4.14.2.
    pub fn refresh_chain(token_url: Url, client: &Client, seed: Option<Secret>, encoding: Encoding) -> Self {
        let refresh = Some(Exchange { fields: refresh_fields(), seed });
        let identity = [client.id.clone(), String::new()];
        Self { refresh, encoding, ..Self::new("rotating", token_url, identity) }.with_client(client)
    }

    /// User name and password (RFC 6749, 4.3), where the client's secret is wanted too; a refresh token that comes along
    /// is used first.
    pub fn password(token_url: Url, client: Option<&Client>, user: (&str, &Secret), encoding: Encoding) -> Self {
        let (username, password) = user;
        let identity = [client.map(|client| client.id.clone()).unwrap_or_default(), username.to_owned()];
        let grant = Self {
            login: vec![plain("grant_type", "password"), plain("username", username), exact("password", password)],
            refresh: Some(Exchange { fields: refresh_fields(), seed: None }),
            encoding,
            keys: "`username` and `password`",
            ..Self::new("password", token_url, identity)
        };
        match client {
            Some(client) => grant.with_client(client),
            None => grant,
        }
    }

    /// The client's id and secret where they belong, in every request that this grant makes.
    #[must_use]
    pub fn with_client(mut self, client: &Client) -> Self {
        match client.place {
            ClientPlace::Basic => self.basic = Some((client.id.clone(), client.secret.clone())),
            ClientPlace::Body => {
                let fields = [plain("client_id", &client.id), hidden("client_secret", &client.secret)];
                if !self.login.is_empty() {
                    self.login.extend(fields.clone());
                }
                if let Some(refresh) = &mut self.refresh {
                    refresh.fields.extend(fields);
                }
            }
        }
        self
    }

    /// Whether a refresh token is all there is to ask with. Such a request must not be repeated freely: each spends a
    /// refresh token. The others only ever issue one more token.
    pub(super) fn exchanges_only(&self) -> bool {
        self.login.is_empty()
    }

    /// The refresh token that the configuration begins the chain with.
    pub(super) fn seed(&self) -> Option<&Secret> {
        self.refresh.as_ref()?.seed.as_ref()
    }

    /// The request for a new token. `parent` is the token of [`Grant::authorised_by`].
    pub fn request(&self, with: With<'_>, parent: Option<&Bearer>) -> Request {
        let mut request = Request::new(Method::POST, self.token_url.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        if let Some((id, secret)) = &self.basic {
            // A line break, as `openssl base64` makes it, would be refused by the header.
            let basic = STANDARD.encode(format!("{}:{}", id.trim(), secret.expose().trim()));
            request = request.header(AUTHORIZATION, sensitive(format!("Basic {basic}")));
        }
        if let Some(bearer) = parent {
            request = request.header(AUTHORIZATION, sensitive(format!("Bearer {}", bearer.token.expose())));
        }
        let fields = match (with, &self.refresh, &self.browser) {
            (With::Refresh(_), Some(exchange), _) => &exchange.fields,
            (With::Code { .. }, _, Some(browser)) => &browser.fields,
            _ => &self.login,
        };
        let value = |field: &Field| match (field, with) {
            (Field::Text(text), _) => text.clone(),
            (Field::Secret(secret), _) => secret.expose().trim().to_owned(),
            (Field::Exact(secret), _) => secret.expose().to_owned(),
            (Field::RefreshToken, With::Refresh(token)) => token.expose().trim().to_owned(),
            (Field::Code, With::Code { code, .. }) => code.expose().to_owned(),
            (Field::CodeVerifier, With::Code { verifier, .. }) => verifier.expose().to_owned(),
            (Field::RedirectUrl, _) => self.browser.as_ref().map(|it| it.redirect_url.to_string()).unwrap_or_default(),
            (Field::RefreshToken | Field::Code | Field::CodeVerifier, _) => String::new(),
        };
        match self.encoding {
            Encoding::Form => {
                let pairs = fields.iter().map(|(name, field)| (name, value(field)));
                request.body = Bytes::from(Serializer::new(String::new()).extend_pairs(pairs).finish());
                request.header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            }
            Encoding::Json => {
                let body: Map<String, Value> =
                    fields.iter().map(|(name, field)| (name.clone(), Value::String(value(field)))).collect();
                request.json(&Value::Object(body))
            }
        }
    }

    /// The token URL for messages, without user name, password and query.
    pub(super) fn place(&self) -> String {
        let url = &self.token_url;
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}{}", url.scheme(), url.path())
    }

    /// What was asked for and not granted.
    pub fn withheld(&self, granted: &str) -> Vec<String> {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let granted = words(granted);
        words(self.scope.as_deref().unwrap_or_default()).into_iter().filter(|scope| !granted.contains(scope)).collect()
    }
}

/// A header's value that no log shows. What no header can carry is left out: it is refused then, with its key named.
pub(crate) fn sensitive(text: String) -> HeaderValue {
    let mut value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}
