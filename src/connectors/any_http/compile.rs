//! From the table to the API: every pointer, template and address is read before the first lead.

use http::HeaderName;
use url::Url;

use super::json::{Body, BodyError};
use super::pointer::Pointer;
use super::{AnyHttp, Duplicate, Find, Success, settings};
use crate::config::{Section, values};
use crate::connectors::registry::BuildError;
use crate::connectors::template::Template;
use crate::connectors::{Limits, UnknownPolicy};

impl AnyHttp {
    /// The destination that the table describes.
    ///
    /// # Errors
    /// [`BuildError`], naming the key.
    pub(super) fn new(section: &Section) -> Result<Self, BuildError> {
        origin(section)?;
        let find = match section.text("find.url") {
            None if settings::asks(section) => return Err(section.missing("find.url").into()),
            None => None,
            Some(url) => {
                address(section, "find.url")?;
                Some(Find {
                    method: settings::method(section, "find.method"),
                    url: Template::compile_address(&section.key("find.url"), url)?,
                    body: body(section, "find.body")?,
                    found: pointer(section, "find.found")?.ok_or_else(|| section.missing("find.found"))?,
                    equals: template(section, "find.equals")?,
                    remote_id: pointer(section, "find.remote_id")?,
                    absent_status: status(section, "find.absent_status"),
                    first: section.flag("find.first"),
                })
            }
        };
        let idempotency_header = match section.text("idempotency_header") {
            None => None,
            Some(name) => Some(header_name(section, "idempotency_header", name)?),
        };
        let mut headers = Vec::new();
        for (name, text) in section.below("headers") {
            let key = format!("headers.{name}");
            headers.push((header_name(section, &key, &name)?, Template::compile(&section.key(&key), &text)?));
        }
        let unknown = match section.text("unknown") {
            Some("hold") => UnknownPolicy::Hold,
            Some("retry") => UnknownPolicy::Retry,
            Some(_) if find.is_none() => {
                let expected = "`find.url` beside it, or \"hold\" or \"retry\"";
                return Err(BuildError::bad(section.key("unknown"), "\"find\" without a way to find", expected));
            }
            Some(_) => UnknownPolicy::Find,
            None if find.is_some() => UnknownPolicy::Find,
            None if idempotency_header.is_some() => UnknownPolicy::Retry,
            None => UnknownPolicy::Hold,
        };
        Ok(Self {
            name: section.name().to_owned(),
            method: settings::method(section, "method"),
            same_url: !holds_template(&section.need_text("url")?),
            url: Template::compile_address(&section.key("url"), &section.need_text("url")?)?,
            body: body(section, "body")?.ok_or_else(|| section.missing("body"))?,
            headers,
            idempotency_header,
            remote_id: pointer(section, "remote_id")?,
            identity: identity(section)?,
            success: pointer(section, "success.pointer")?
                .map(|pointer| Success { pointer, equals: section.text("success.equals").map(str::to_owned) }),
            duplicate: Duplicate {
                status: status(section, "duplicate.status"),
                words: section.texts("duplicate.words").iter().map(|words| words.to_lowercase()).collect(),
                remote_id: pointer(section, "duplicate.remote_id")?,
            },
            find,
            check_url: section.url("check.url"),
            limits: Limits::of(section),
            unknown,
        })
    }
}

fn holds_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

fn header_name(section: &Section, key: &str, name: &str) -> Result<HeaderName, BuildError> {
    let reserved = ["authorization", "content-length", "content-type", "host", "transfer-encoding"];
    let header = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| BuildError::bad(section.key(key), "no header's name", "a name such as \"X-Api-Version\""))?;
    if reserved.contains(&header.as_str()) {
        let expected = "another header: this one is set by leadsync itself (`auth` says how)";
        return Err(BuildError::bad(section.key(key), format!("`{header}`"), expected));
    }
    Ok(header)
}

/// Made before anybody is looked up, so that two leads are told to be one before either is sent.
fn identity(section: &Section) -> Result<Template, BuildError> {
    let identity = template(section, "identity")?.ok_or_else(|| section.missing("identity"))?;
    if identity.sees("person") {
        let expected = "a template over `lead.*` alone: who a lead is must be known before it is looked up";
        return Err(BuildError::bad(section.key("identity"), "`person`", expected));
    }
    Ok(identity)
}

fn status(section: &Section, key: &str) -> Option<u16> {
    section.integer(key).and_then(|status| u16::try_from(status).ok())
}

fn template(section: &Section, key: &str) -> Result<Option<Template>, BuildError> {
    section.text(key).map(|text| Template::compile(&section.key(key), text).map_err(BuildError::from)).transpose()
}

fn body(section: &Section, key: &str) -> Result<Option<Body>, BuildError> {
    let Some(text) = section.text(key) else { return Ok(None) };
    Body::read(&section.key(key), text).map(Some).map_err(|error| match error {
        BodyError::Template(error) => error.into(),
        BodyError::Syntax { line, column } => BuildError::bad(
            section.key(key),
            format!("a text that is no JSON (its line {line}, column {column})"),
            "JSON whose texts may be templates, such as '{\"email\": \"{{ lead.email }}\"}'",
        ),
    })
}

fn pointer(section: &Section, key: &str) -> Result<Option<Pointer>, BuildError> {
    let Some(text) = section.text(key) else { return Ok(None) };
    let expected = "a JSON pointer, which begins with a slash, such as \"/data/id\"";
    Pointer::read(text).map(Some).ok_or_else(|| BuildError::bad(section.key(key), format!("\"{text}\""), expected))
}

/// The API's address, which no template may change: credentials are sent there.
pub(super) fn origin(section: &Section) -> Result<Url, BuildError> {
    address(section, "url")
}

fn address(section: &Section, key: &str) -> Result<Url, BuildError> {
    let text = section.need_text(key)?;
    let constant = text.split("{{").next().unwrap_or_default().split("{%").next().unwrap_or_default();
    let found = || if constant.len() < text.len() { "a template where the host stands" } else { "something else" };
    let bad = |found: &str| {
        let expected = "an https:// address with its host written out (plain http:// is only for this machine)";
        BuildError::bad(section.key(key), found, expected)
    };
    // Only what stands behind the host's slash may come from a lead.
    if constant.len() < text.len() && constant.matches('/').count() < 3 {
        return Err(bad(found()));
    }
    values::address(constant).map_err(|_| bad(found()))
}
