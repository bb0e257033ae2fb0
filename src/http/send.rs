//! Sends one request and says what is known afterwards: a complete reply, certainly nothing sent, or maybe sent.
//!
//! Why [`SendError::NotSent`] is never wrong:
//! - It is only ever said of failures to establish a connection (name, TCP, proxy tunnel, TLS), and of requests whose body
//!   the connection never got (`latch.rs`). Until then the request is still ours; TLS early data is off.
//! - No layer below repeats a request that may have left. reqwest's own repeating is switched off and redirects are not
//!   followed; hyper's pool repeats only a request that the connection's task hands back unread (the server closed an
//!   idle connection), which means that not a byte of it was written. So a failure to connect is never the second try of
//!   a request whose first try may have arrived.
//! - Everything else, known or not, is [`SendError::Lost`].
//!
//! HTTP/1.1 only: there a broken connection leaves one request in doubt. With HTTP/2 it would be every request that
//! shared the connection, and a GOAWAY would raise the question which of them were worked on.

mod latch;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use url::Url;

use self::latch::{Latch, Latched, ShutOnDrop};
use super::message::{Reply, Request, SendError, is_loopback};
use crate::clock::Moment;

/// Longest wait for a connection, name look-up and TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what was written may stay unacknowledged before the system gives the connection up. Short, because the system
/// goes on sending for a process that has long stopped waiting, or died: when we ask whether a lost request had an effect,
/// nothing of it may be on its way any more.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Largest reply that is read, in bytes; a longer one counts as lost.
pub const REPLY_CAP: usize = 1024 * 1024;

/// How long an unused connection is kept. Shorter than any server's keep-alive that we know of (Node.js: 5 s), because a
/// request that meets a server's closing of the connection is lost, and a lost create costs more than a handshake.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

const USER_AGENT: &str = concat!("leadsync/", env!("CARGO_PKG_VERSION"));

/// The one HTTP client, cheap to clone. Follows no redirect, repeats nothing, and uses the system's proxy and root
/// certificates (`SSL_CERT_FILE`, `HTTPS_PROXY`, `NO_PROXY` mean what they mean elsewhere).
#[derive(Clone, Default)]
pub struct HttpClient(Arc<Clients>);

/// The way out that requests take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// This machine's address that they leave from; `None`: the system's choice.
    pub bind: Option<IpAddr>,
    /// The proxy for them; `None`: what the environment says. `Debug` must not show it: it may hold a password.
    pub proxy: Option<ProxyUrl>,
    /// Whether only IPv4 will do: an allowlist of IPv4 addresses never lets IPv6 in.
    pub ipv4_only: bool,
}

/// A proxy's address, which may hold a password: never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl FromStr for ProxyUrl {
    type Err = url::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyUrl")
    }
}

/// Made when first used: reading the system's certificates takes time, and a machine without any can still run the demo.
#[derive(Default)]
struct Clients {
    egress: Egress,
    remote: OnceLock<Result<reqwest::Client, String>>,
    /// Plain HTTP on this machine: no proxy, no certificates.
    loopback: OnceLock<Result<reqwest::Client, String>>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpClient")
    }
}

impl HttpClient {
    /// A client with an empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// A client of its own for requests that take this way out; the same one where that is the usual way.
    #[must_use]
    pub fn through(&self, egress: Egress) -> Self {
        if egress == self.0.egress { self.clone() } else { Self(Arc::new(Clients { egress, ..Clients::default() })) }
    }

    /// Sends `request` once and reads the whole reply, up to [`REPLY_CAP`]. `timeout` covers everything, from connecting
    /// to the reply's last byte. Any complete reply is `Ok`, whatever its status.
    ///
    /// # Errors
    /// [`SendError::NotSent`] if nothing of it reached the other side, [`SendError::Lost`] if it may have.
    pub async fn send(&self, request: &Request, timeout: Duration) -> Result<Reply, SendError> {
        self.send_capped(request, timeout, REPLY_CAP).await
    }

    /// [`HttpClient::send`] for a request that departed at this moment: `timeout` is counted from there, whatever came
    /// between. If it is over before the request could be written, it is not written.
    ///
    /// # Errors
    /// As [`HttpClient::send`].
    pub async fn send_departed(
        &self,
        request: &Request,
        departed: Moment,
        timeout: Duration,
    ) -> Result<Reply, SendError> {
        self.exchange(request, departed, timeout, REPLY_CAP).await
    }

    /// [`HttpClient::send`] with a cap of its own, in bytes.
    ///
    /// # Errors
    /// As [`HttpClient::send`].
    pub async fn send_capped(&self, request: &Request, timeout: Duration, cap: usize) -> Result<Reply, SendError> {
        self.exchange(request, Moment::now(), timeout, cap).await
    }

    async fn exchange(
        &self,
        request: &Request,
        departed: Moment,
        timeout: Duration,
        cap: usize,
    ) -> Result<Reply, SendError> {
        let client = self.client(&request.url).map_err(|why| SendError::NotSent { why })?;
        let host = words::host(&request.url);
        // For messages: what is left of it to the nanosecond tells nobody anything.
        let told = Duration::from_millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        let mut outgoing = reqwest::Request::new(request.method.clone(), request.url.clone());
        *outgoing.headers_mut() = request.headers.clone();
        let latch = ShutOnDrop(Arc::new(Latch::new(departed, timeout)));
        let has_body = !request.body.is_empty();
        if has_body {
            *outgoing.body_mut() = Some(reqwest::Body::wrap(Latched::new(request.body.clone(), Arc::clone(&latch.0))));
        }
        let too_late = || SendError::NotSent { why: format!("nothing could be written to `{host}` within {told:?}") };
        let left = latch.0.left();
        if left.is_zero() {
            return Err(too_late());
        }
        match tokio::time::timeout(left, exchange(client, outgoing, &host, cap)).await {
            Ok(Err(Failed::Request(error))) if words::came_too_late(&error) => Err(too_late()),
            Ok(Err(Failed::Request(error))) => Err(words::before_reply(&error, &host)),
            Ok(Err(Failed::Reply(error))) => Err(error),
            Ok(Ok(reply)) => Ok(reply),
            Err(_) if has_body && latch.0.shut() => Err(too_late()),
            // Of a request without a body it can't be told how far it was.
            Err(_) => Err(SendError::Lost { why: format!("no complete reply from `{host}` within {told:?}") }),
        }
    }

    fn client(&self, url: &Url) -> Result<&reqwest::Client, String> {
        let client = if url.scheme() == "http" && is_loopback(url) {
            self.0.loopback.get_or_init(|| {
                // What a proxy or another address is for does not lie on this machine.
                let builder = builder().no_proxy().tls_certs_only([]);
                builder.build().map_err(|_| "the HTTP client can't be set up".into())
            })
        } else {
            self.0.remote.get_or_init(|| {
                self.0.egress.apply(builder())?.build().map_err(|_| {
                    "TLS can't be set up: no usable system certificates; install `ca-certificates` or point SSL_CERT_FILE \
                     at a file that holds them"
                        .into()
                })
            })
        };
        client.as_ref().map_err(Clone::clone)
    }
}

impl Egress {
    fn apply(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, String> {
        let builder = match (&self.proxy, self.bind, self.ipv4_only) {
            // A proxy has its own ways out; which of its addresses it is called at doesn't matter.
            (Some(ProxyUrl(url)), _, _) => {
                let proxy =
                    reqwest::Proxy::all(url.clone()).map_err(|_| "the proxy's address can't be used".to_owned());
                builder.proxy(proxy?)
            }
            // An unspecified IPv4 address leaves the choice to the system, but only among IPv4.
            (None, None, true) => builder.local_address(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            (None, _, _) => builder,
        };
        Ok(match self.bind {
            Some(address) => builder.local_address(address),
            None => builder,
        })
    }
}

fn builder() -> reqwest::ClientBuilder {
    // Whoever comes first sets the process's provider; all of ours set the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder();
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let builder = builder.tcp_user_timeout(UNACKNOWLEDGED);
    builder
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
}

/// Where an exchange broke off.
enum Failed {
    /// Before the reply's head was complete.
    Request(reqwest::Error),
    /// In the reply.
    Reply(SendError),
}

async fn exchange(
    client: &reqwest::Client,
    outgoing: reqwest::Request,
    host: &str,
    cap: usize,
) -> Result<Reply, Failed> {
    let mut response = client.execute(outgoing).await.map_err(Failed::Request)?;
    let too_long =
        || Failed::Reply(SendError::Lost { why: format!("the reply from `{host}` is longer than {cap} bytes") });
    if response.content_length().is_some_and(|length| length > cap as u64) {
        return Err(too_long());
    }
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    let broken = |error| Failed::Reply(words::in_reply(&error, host, status));
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > cap {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, headers, body: body.freeze() })
}
