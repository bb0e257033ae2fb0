//! What went wrong, in words that name the host and never a path, query or body: both may hold personal data, and
//! reqwest's own messages print the whole address.

use std::error::Error;
use std::io;

use http::StatusCode;
use url::Url;

use super::latch::TooLate;
use super::{CONNECT_TIMEOUT, SendError};

/// Host and port, as far as they are given.
pub(super) fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.into(),
        (None, _) => "an address without a host".into(),
    }
}

/// Whether the request's body was held back.
pub(super) fn came_too_late(error: &reqwest::Error) -> bool {
    chain(error).any(|cause| cause.is::<TooLate>())
}

/// Judges a failure before the reply's head was complete.
pub(super) fn before_reply(error: &reqwest::Error, host: &str) -> SendError {
    if error.is_builder() {
        return SendError::NotSent { why: format!("`{host}` can't be addressed: it takes an http or https address") };
    }
    if error.is_connect() {
        return SendError::NotSent { why: not_connected(error, host) };
    }
    let why = if chain(error).any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)) {
        format!("`{host}` answered with something that is not HTTP")
    } else {
        format!("the connection to `{host}` broke before a reply came")
    };
    SendError::Lost { why }
}

/// Judges a failure after the reply's head.
pub(super) fn in_reply(_: &reqwest::Error, host: &str, status: StatusCode) -> SendError {
    SendError::Lost { why: format!("the connection to `{host}` broke in the middle of a {} reply", status.as_u16()) }
}

fn not_connected(error: &reqwest::Error, host: &str) -> String {
    let tls = chain(error).find_map(|cause| cause.downcast_ref::<rustls::Error>());
    let kind = |wanted| chain(error).any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == wanted));
    if error.is_dns() {
        format!("the name `{host}` can't be resolved; check the address, and the network's name server")
    } else if let Some(tls) = tls {
        format!("no TLS connection to `{host}`: {}", tls_words(tls))
    } else if kind(io::ErrorKind::ConnectionRefused) {
        format!("connection refused by `{host}`, or by the proxy in between; nothing answers there")
    } else if error.is_timeout() {
        format!("no connection to `{host}` within {} s", CONNECT_TIMEOUT.as_secs())
    } else {
        // Texts of the operating system and of hyper's connectors: they name no address.
        let cause = chain(error).last().map(|cause| lower_first(&cause.to_string())).unwrap_or_default();
        format!("no connection to `{host}`: {cause}")
    }
}

fn tls_words(error: &rustls::Error) -> String {
    use rustls::CertificateError as E;
    let rustls::Error::InvalidCertificate(what) = error else { return lower_first(&error.to_string()) };
    match what {
        E::UnknownIssuer | E::BadSignature => {
            "its certificate comes from an authority that this machine does not trust; is the address right? (a company's own \
             authority is added to the system's certificates, or named in SSL_CERT_FILE)"
                .to_owned()
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "its certificate is for another host; check the address".to_owned()
        }
        E::Expired | E::ExpiredContext { .. } => "its certificate has expired, or this machine's clock is wrong".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => {
            "its certificate is not valid yet, or this machine's clock is wrong".to_owned()
        }
        _ => lower_first(&error.to_string()),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).take(200).collect()).unwrap_or_default()
}

/// The causes of an error, outermost first. An `io::Error` hides the error that it wraps from `source`, and that is where
/// TLS failures are.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    fn cause_of<'a>(cause: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
        let cause = *cause;
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => cause.source(),
        }
    }
    std::iter::successors(error.source(), cause_of)
}
