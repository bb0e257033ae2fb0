//! What can't be meant, though each key by itself could be: found before the first lead.

use http::HeaderName;

use super::json::Body;
use super::settings;
use crate::config::Section;
use crate::connectors::registry::BuildError;
use crate::connectors::template::Template;

/// Set by HTTP, or by leadsync itself.
const RESERVED: [&str; 16] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Statuses by which an API, or the router before it, says something of the account, the address or the moment.
const NEVER_A_DUPLICATE: [i64; 10] = [401, 402, 403, 404, 405, 407, 408, 410, 425, 429];
/// Statuses that can say "there is no such record". Others are about the account, the question or the moment.
const ABSENT: [i64; 3] = [204, 404, 410];
/// What is shorter stands in too many refusals.
const SHORTEST_WORD: usize = 4;

/// The keys of `auth` that have a use in each style.
fn used(style: &str) -> &'static [&'static str] {
    match style {
        "bearer" => &["key"],
        "header" => &["key", "header"],
        "basic" => &["username", "password"],
        "client_credentials" => &["token_url", "client_id", "client_secret", "scope", "client", "encoding"],
        "refresh_token" => &["token_url", "client_id", "client_secret", "refresh_token", "client", "encoding"],
        "password" => &["token_url", "username", "password", "client_id", "client_secret", "client", "encoding"],
        _ => &[],
    }
}

/// Everything that needs no template to be read.
///
/// # Errors
/// [`BuildError`], naming the key.
pub(super) fn all(section: &Section) -> Result<(), BuildError> {
    unused_auth(section)?;
    credentials(section)?;
    statuses(section)?;
    words(section)?;
    if section.text("success.equals").is_some() && section.text("success.pointer").is_none() {
        let expected = "`success.pointer` beside it, which says where that stands";
        return Err(BuildError::bad(section.key("success.equals"), "a value and no place to look for it", expected));
    }
    Ok(())
}

/// A key that nothing reads shows that another style is meant, or another system.
fn unused_auth(section: &Section) -> Result<(), BuildError> {
    let style = section.text_or_empty("auth.style");
    let used = used(style);
    let given = ["key", "username", "password", "token_url", "client_id", "client_secret", "scope", "refresh_token"];
    let given = given.into_iter().filter(|name| section.names(&format!("auth.{name}")));
    // These have defaults.
    let changed = [("header", settings::HEADER), ("client", settings::CLIENT), ("encoding", settings::ENCODING)];
    let is_usual =
        |name: &str, usual| section.text_or_empty(&format!("auth.{name}")).trim().eq_ignore_ascii_case(usual);
    let changed = changed.into_iter().filter(|(name, usual)| !is_usual(name, usual));
    let mut unused = given.chain(changed.map(|(name, _)| name)).filter(|name| !used.contains(name));
    let Some(first) = unused.next() else { return Ok(()) };
    let also: Vec<String> = unused.map(|name| format!("`auth.{name}`")).collect();
    let also = if also.is_empty() { String::new() } else { format!(" (nor for {})", also.join(", ")) };
    let expected = match used {
        [] => "another `auth.style`, or none of these keys".to_owned(),
        used => format!("another `auth.style`, or only {}", list(used)),
    };
    let found = format!("a key that `auth.style` = \"{style}\" has no use for{also}");
    Err(BuildError::bad(section.key(&format!("auth.{first}")), found, expected))
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`auth.{name}`")).collect::<Vec<_>>().join(", ")
}

/// What is sent in a header must fit into one. The value is never repeated: it is a secret.
fn credentials(section: &Section) -> Result<(), BuildError> {
    match section.text_or_empty("auth.style") {
        "bearer" | "header" => {
            let fits = |key: &str| key.trim().bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
            let bad = section.secret("auth.key").filter(|key| !fits(key.expose()));
            bad.map_or(Ok(()), |_| {
                let found = "characters that no header can carry";
                let expected = "letters, digits and signs of ASCII in one line, as the provider gave them";
                Err(BuildError::bad(section.key("auth.key"), found, expected))
            })
        }
        "basic" if section.text_or_empty("auth.username").contains(':') => {
            let expected = "a user's name without one: what follows it would count as the password (RFC 7617)";
            Err(BuildError::bad(section.key("auth.username"), "a colon", expected))
        }
        _ => Ok(()),
    }
}

fn statuses(section: &Section) -> Result<(), BuildError> {
    if let Some(status) = section.integer("find.absent_status").filter(|status| !ABSENT.contains(status)) {
        let expected = "404, 410 or 204: other statuses don't say that a lead is not there";
        return Err(BuildError::bad(section.key("find.absent_status"), status.to_string(), expected));
    }
    if let Some(status) = section.integer("duplicate.status").filter(|status| NEVER_A_DUPLICATE.contains(status)) {
        let expected = "a status that only says that a lead is there already, such as 409, or `duplicate.words`";
        return Err(BuildError::bad(section.key("duplicate.status"), status.to_string(), expected));
    }
    Ok(())
}

fn words(section: &Section) -> Result<(), BuildError> {
    // Letters of other scripts say more each: of some, two are a word.
    let length = |words: &str| words.chars().filter(|c| c.is_alphanumeric()).map(char::len_utf8).sum::<usize>();
    let short = section.texts("duplicate.words").iter().find(|words| length(words) < SHORTEST_WORD);
    short.map_or(Ok(()), |words| {
        let expected = "words of at least four letters or digits, such as \"already exists\": shorter ones stand in other \
                        refusals too";
        Err(BuildError::bad(section.key("duplicate.words"), format!("\"{words}\""), expected))
    })
}

/// Whether what it prints depends on the lead.
pub(super) fn tells_leads_apart(template: &Template) -> bool {
    template.sees("lead") || template.sees("person")
}

/// A question that is the same for each lead is answered the same for each.
///
/// # Errors
/// [`BuildError`], naming the key.
pub(super) fn question(
    section: &Section,
    url: &Template,
    body: Option<&Body>,
    equals: Option<&Template>,
) -> Result<(), BuildError> {
    match equals {
        Some(equals) if !tells_leads_apart(equals) => {
            let expected = "a template that prints something of the lead, such as \"{{ lead.email }}\"";
            Err(BuildError::bad(section.key("find.equals"), "a text that is the same for every lead", expected))
        }
        None if !tells_leads_apart(url) && !body.is_some_and(Body::tells_leads_apart) => {
            let expected = "`{{ lead.email }}` or the like in `find.url` or `find.body`, or `find.equals`: else any lead \
                            that is there would count as each of them";
            Err(BuildError::bad(section.key("find.url"), "the same question for every lead", expected))
        }
        _ => Ok(()),
    }
}

/// The name of a header that may be set.
///
/// # Errors
/// [`BuildError`], naming the key.
pub(super) fn header_name(section: &Section, key: &str, name: &str) -> Result<HeaderName, BuildError> {
    let header = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| BuildError::bad(section.key(key), "no header's name", "a name such as \"X-Api-Version\""))?;
    if RESERVED.contains(&header.as_str()) {
        let expected = "another header: this one is set by leadsync itself, or belongs to the connection";
        return Err(BuildError::bad(section.key(key), format!("`{header}`"), expected));
    }
    if !key.starts_with("headers.") && header == http::header::ACCEPT {
        let expected = "another header: this one says which replies can be read";
        return Err(BuildError::bad(section.key(key), format!("`{header}`"), expected));
    }
    if key != "auth.header" && header == http::header::AUTHORIZATION {
        let expected = "another header: this one is set by leadsync itself (`auth` says how)";
        return Err(BuildError::bad(section.key(key), format!("`{header}`"), expected));
    }
    Ok(header)
}

/// A header of every request: none that another key sets too, and no idempotency key that is the same for all leads, for
/// then the API answers every lead with the first one.
///
/// # Errors
/// [`BuildError`], naming the key.
pub(super) fn header(section: &Section, key: &str, header: &HeaderName, template: &Template) -> Result<(), BuildError> {
    let others = [("idempotency_header", "idempotency_header"), ("auth.header", "auth.style")];
    for (other, decides) in others {
        let in_use = decides == other || section.text_or_empty(decides) == "header";
        let name = section.text(other).filter(|_| in_use).map(str::trim);
        if name.is_some_and(|name| header.as_str().eq_ignore_ascii_case(name)) {
            let found = format!("`{header}`, which `{other}` sets too");
            return Err(BuildError::bad(section.key(key), found, "one of the two"));
        }
    }
    let tells_repeats = ["idempoten", "paypal-request-id"].iter().any(|part| header.as_str().contains(part));
    if tells_repeats && !tells_leads_apart(template) {
        let found = "a key that is the same for every lead";
        let expected = format!("`idempotency_header = \"{header}\"`, which makes one for each, or a template");
        return Err(BuildError::bad(section.key(key), found, expected));
    }
    Ok(())
}
