//! From the table to the API: every pointer, template and address is read before the first lead.

use http::HeaderName;
use url::Url;

use super::json::{Body, BodyError};
use super::pointer::Pointer;
use super::{AnyHttp, Duplicate, Find, Success, checks, settings};
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
        checks::all(section)?;
        if section.text_or_empty("auth.style") == "header" {
            auth_header(section)?;
        }
        let find = match section.text("find.url") {
            None if settings::asks(section) => return Err(section.missing("find.url").into()),
            None => None,
            Some(url) => {
                address(section, "find.url")?;
                let url = Template::compile_address(&section.key("find.url"), url)?;
                let (body, equals) = (body(section, "find.body")?, template(section, "find.equals")?);
                checks::question(section, &url, body.as_ref(), equals.as_ref())?;
                Some(Find {
                    method: settings::method(section, "find.method"),
                    url,
                    body,
                    found: pointer(section, "find.found")?.ok_or_else(|| section.missing("find.found"))?,
                    equals,
                    remote_id: pointer(section, "find.remote_id")?,
                    absent_status: status(section, "find.absent_status"),
                    first: section.flag("find.first"),
                })
            }
        };
        let idempotency_header = match section.text("idempotency_header") {
            None => None,
            Some(name) => Some(checks::header_name(section, "idempotency_header", name)?),
        };
        let mut headers = Vec::new();
        for (name, text) in section.below("headers") {
            let key = format!("headers.{name}");
            let header = checks::header_name(section, &key, &name)?;
            let template = Template::compile(&section.key(&key), &text)?;
            checks::header(section, &key, &header, &template)?;
            headers.push((header, template));
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

/// The header that the key stands in.
pub(super) fn auth_header(section: &Section) -> Result<HeaderName, BuildError> {
    checks::header_name(section, "auth.header", section.text_or_empty("auth.header"))
}

/// Made before anybody is looked up, so that two leads are told to be one before either is sent.
fn identity(section: &Section) -> Result<Template, BuildError> {
    let identity = template(section, "identity")?.ok_or_else(|| section.missing("identity"))?;
    if identity.sees("person") {
        let expected = "a template over `lead.*` alone: who a lead is must be known before it is looked up";
        return Err(BuildError::bad(section.key("identity"), "`person`", expected));
    }
    if !identity.sees("lead") {
        let expected = "a template over `lead.*`, such as \"{{ lead.email }}\": else all leads would count as one";
        return Err(BuildError::bad(section.key("identity"), "a text that is the same for every lead", expected));
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
    let expected =
        "a JSON pointer, which begins with a slash, such as \"/data/id\" (in a name, `~1` is a slash and `~0` a `~`)";
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
