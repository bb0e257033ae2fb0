//! What the configuration says of an API that leadsync has no connector of its own for.

use std::sync::Arc;

use http::Method;
use url::Url;

use super::AnyHttp;
use crate::auth::grant::Encoding;
use crate::auth::{Auth, Client, ClientPlace, Grant, Place};
use crate::config::schema::{Key, concurrency, key, rate, unset};
use crate::config::{Kind, MissingSetting, Section};
use crate::connectors::registry::{BuildError, DestinationKind};

/// For the registry.
pub(in crate::connectors) const KIND: DestinationKind = DestinationKind {
    name: "http",
    keys: KEYS,
    fields: &[],
    missing,
    build: |section| Ok(Arc::new(AnyHttp::new(section)?)),
    login,
    ipv4_only: false,
    sealed_field: |_| None,
};

/// What `auth.header`, `auth.client` and `auth.encoding` are unless said otherwise.
pub(super) const HEADER: &str = "X-Api-Key";
pub(super) const CLIENT: &str = "basic";
pub(super) const ENCODING: &str = "form";

const STYLES: &[&str] = &["none", "bearer", "header", "basic", "client_credentials", "refresh_token", "password"];

const KEYS: &[Key] = &[
    key("method", Kind::Choice(&["POST", "PUT", "PATCH"]), "\"POST\"", "method of the request that creates a lead"),
    unset(
        "url",
        Kind::Template,
        "\"https://api.example.com/v1/contacts\"",
        "where leads are created; may be a template over `lead.*` and `person.*`, whose values are percent-encoded; needed",
    ),
    unset(
        "body",
        Kind::Text,
        "'{\"email\": \"{{ lead.email }}\"}'",
        "the request's JSON, its texts templates over `lead.*` and `person.*`; a text that prints something missing is left out; needed",
    ),
    unset(
        "headers.HEADER",
        Kind::Template,
        "\"2024-10\"",
        "a header of every request but those for tokens; for secrets there is `auth`",
    ),
    unset(
        "idempotency_header",
        Kind::Text,
        "\"Idempotency-Key\"",
        "the header by which the API knows a repeated request; then an unknown outcome is settled by repeating it",
    ),
    unset(
        "remote_id",
        Kind::Text,
        "\"/data/id\"",
        "where the reply to a create says the lead's id (JSON pointer); a success without it counts as unknown",
    ),
    key(
        "identity",
        Kind::Template,
        "\"{{ lead.email }}\"",
        "what makes two leads the same lead there; a template over `lead.*` alone",
    ),
    unset(
        "success.pointer",
        Kind::Text,
        "\"/success\"",
        "where a reply says whether it is a success (JSON pointer), for APIs that answer failures with 200",
    ),
    unset(
        "success.equals",
        Kind::Text,
        "\"true\"",
        "what stands there in a success; unset: anything but null, false and nothing",
    ),
    unset(
        "duplicate.status",
        Kind::Integer(400, 499),
        "409",
        "the status that refuses a lead because it is there already, and for no other reason",
    ),
    key(
        "duplicate.words",
        Kind::Texts,
        "[]",
        "words in a refusal (4xx) that mean the same, whatever their case; each of four letters or more",
    ),
    unset(
        "duplicate.remote_id",
        Kind::Text,
        "\"/existing/id\"",
        "where such a refusal says the lead's id (JSON pointer)",
    ),
    unset(
        "find.url",
        Kind::Template,
        "\"https://api.example.com/v1/contacts?email={{ lead.email }}\"",
        "how to ask whether a lead is there, after an unknown outcome; a template as `url`",
    ),
    key("find.method", Kind::Choice(&["GET", "POST"]), "\"GET\"", "method of that question"),
    unset("find.body", Kind::Text, "'{\"email\": \"{{ lead.email }}\"}'", "its JSON, as `body`"),
    unset(
        "find.found",
        Kind::Text,
        "\"/items/*/email\"",
        "what is there in the answer if the lead is (JSON pointer; `*` stands for each element of a list); needed with `find.url`",
    ),
    unset(
        "find.equals",
        Kind::Template,
        "\"{{ lead.email }}\"",
        "what must stand there for it to be this lead, whatever its case: for searches that also find what is only alike; a template over `lead.*`",
    ),
    unset(
        "find.remote_id",
        Kind::Text,
        "\"/items/*/id\"",
        "where the answer says the lead's id; a `*` is the element that was found",
    ),
    unset(
        "find.absent_status",
        Kind::Integer(204, 410),
        "404",
        "the status that says that it is not there, besides a success without it: 404, 410 or 204",
    ),
    key(
        "find.first",
        Kind::Bool,
        "false",
        "whether it is asked before each create: for APIs that make two leads of two requests",
    ),
    unset(
        "check.url",
        Kind::Url,
        "\"https://api.example.com/v1/me\"",
        "an address that answers a GET with success if the account can be used, asked before the first lead",
    ),
    unset(
        "unknown",
        Kind::Choice(&["find", "hold", "retry"]),
        "\"find\"",
        "after an unknown outcome: `find` asks, `hold` leaves it to a person, `retry` repeats; unset: `find` with `find.url`, else `retry` with `idempotency_header`, else `hold`",
    ),
    key("auth.style", Kind::Choice(STYLES), "\"none\"", "how requests are authorised"),
    unset("auth.key", Kind::Secret, "\"${API_KEY}\"", "`bearer`, `header`: the key or token"),
    key("auth.header", Kind::Text, "\"X-Api-Key\"", "`header`: the header that it stands in"),
    unset("auth.username", Kind::Text, "\"${API_USER}\"", "`basic`, `password`: the user's name"),
    unset("auth.password", Kind::Secret, "\"${API_PASSWORD}\"", "`basic`, `password`: the user's password"),
    unset(
        "auth.token_url",
        Kind::Url,
        "\"https://login.example.com/oauth/token\"",
        "where tokens are asked for: `client_credentials`, `refresh_token`, `password`",
    ),
    unset(
        "auth.client_id",
        Kind::Text,
        "\"${API_CLIENT_ID}\"",
        "the client there; `password`: if the service wants one",
    ),
    unset("auth.client_secret", Kind::Secret, "\"${API_CLIENT_SECRET}\"", "its secret"),
    unset("auth.scope", Kind::Text, "\"contacts.write\"", "`client_credentials`: the scope that is asked for"),
    unset(
        "auth.refresh_token",
        Kind::Secret,
        "\"${API_REFRESH_TOKEN}\"",
        "`refresh_token`: the one that begins the chain; what follows is kept in the database",
    ),
    key(
        "auth.client",
        Kind::Choice(&["basic", "body"]),
        "\"basic\"",
        "where client id and secret stand in token requests: in a Basic header or in the body",
    ),
    key("auth.encoding", Kind::Choice(&["form", "json"]), "\"form\"", "how the body of a token request is written"),
    rate("\"5/s\"", "calls of the account, all workers together: see what the API's documentation allows"),
    concurrency("4"),
];

/// What must be set, by how the account is logged in to.
fn missing(section: &Section) -> Vec<MissingSetting> {
    let mut texts = vec!["url", "body"];
    let mut secrets = Vec::new();
    if asks(section) {
        texts.extend(["find.url", "find.found"]);
    }
    match section.text_or_empty("auth.style") {
        "bearer" | "header" => secrets.push("auth.key"),
        "basic" => {
            texts.push("auth.username");
            secrets.push("auth.password");
        }
        "client_credentials" => {
            texts.push("auth.client_id");
            secrets.push("auth.client_secret");
        }
        "refresh_token" => {
            texts.push("auth.client_id");
            secrets.extend(["auth.client_secret", "auth.refresh_token"]);
        }
        "password" => {
            texts.push("auth.username");
            secrets.push("auth.password");
            if section.names("auth.client_id") || section.names("auth.client_secret") {
                texts.push("auth.client_id");
                secrets.push("auth.client_secret");
            }
        }
        _ => {}
    }
    let texts = texts.into_iter().filter_map(|name| section.need_text(name).err());
    let secrets = secrets.into_iter().filter_map(|name| section.need_secret(name).err());
    let needs_url = matches!(section.text_or_empty("auth.style"), "client_credentials" | "refresh_token" | "password");
    let url = needs_url.then(|| section.need_url("auth.token_url").err()).flatten();
    texts.chain(secrets).chain(url).collect()
}

/// Whether anything is said of how to ask for a lead. Without the address a mistake there would go unseen, and leads be
/// created twice. `find.first` and `find.method` have defaults: these say nothing.
pub(super) fn asks(section: &Section) -> bool {
    let named = ["url", "body", "found", "equals", "remote_id", "absent_status"];
    named.iter().any(|name| section.names(&format!("find.{name}")))
        || section.flag("find.first")
        || method(section, "find.method") != Method::GET
}

fn login(section: &Section) -> Result<(Url, Auth), BuildError> {
    let url = super::compile::origin(section)?;
    let encoding = match section.text("auth.encoding") {
        Some("json") => Encoding::Json,
        _ => Encoding::Form,
    };
    let place = match section.text("auth.client") {
        Some("body") => ClientPlace::Body,
        _ => ClientPlace::Basic,
    };
    let client = || -> Result<Client, MissingSetting> {
        let (id, secret) = (section.need_text("auth.client_id")?, section.need_secret("auth.client_secret")?);
        Ok(Client { id, secret, place })
    };
    let token_url = || section.need_url("auth.token_url");
    let keys = "`auth.client_id` and `auth.client_secret`";
    let auth = match section.text_or_empty("auth.style") {
        "bearer" => Auth::bearer(section.need_secret("auth.key")?, "auth.key"),
        "header" => {
            let header = super::compile::auth_header(section)?;
            Auth::Static { secret: section.need_secret("auth.key")?, place: Place::Header(header), key: "auth.key" }
        }
        "basic" => {
            let username = section.need_text("auth.username")?;
            let secret = section.need_secret("auth.password")?;
            Auth::Static { secret, place: Place::Basic { username }, key: "auth.password" }
        }
        "client_credentials" => {
            let scope = section.text("auth.scope").map(str::to_owned);
            let grant = Grant::client_credentials(token_url()?, client()?, scope, encoding);
            Grant { keys, address: "`auth.token_url`", ..grant }.into()
        }
        "refresh_token" => {
            let seed = Some(section.need_secret("auth.refresh_token")?);
            let grant = Grant::refresh_chain(token_url()?, &client()?, seed, encoding);
            Grant { keys, address: "`auth.token_url`", ..grant }.into()
        }
        "password" => {
            let (username, password) = (section.need_text("auth.username")?, section.need_secret("auth.password")?);
            let named = section.names("auth.client_id") || section.names("auth.client_secret");
            let client = if named { Some(client()?) } else { None };
            let grant = Grant::password(token_url()?, client.as_ref(), (&username, &password), encoding);
            Grant { keys: "`auth.username` and `auth.password`", address: "`auth.token_url`", ..grant }.into()
        }
        _ => Auth::None,
    };
    Ok((url, auth))
}

/// The method of the key, which its kind has checked.
pub(super) fn method(section: &Section, name: &str) -> Method {
    section.text(name).and_then(|method| method.parse().ok()).unwrap_or(Method::POST)
}
