//! The end of the loopback redirect (RFC 8252, 7.3): one request, answered with a page that says to go back to the terminal.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use url::Url;

use crate::auth::login::{RedirectError, Visit};
use crate::cli::console::{WARN, paint, say};
use crate::cli::failure::Failure;
use crate::exit::Exit;
use crate::http::message::is_loopback;
use crate::secret::Secret;

const STRANGER: &str =
    "Somebody came back from another login (its `state` is not ours). Still waiting: use the address above.";

/// How long nothing is accepted after that failed, so that a machine without file handles is not made busier.
const RELIEF: Duration = Duration::from_millis(50);

/// What came back.
type Return = Result<Secret, RedirectError>;

/// Somebody who waits at the redirect address.
pub struct Reception {
    listener: TcpListener,
}

impl Reception {
    /// Listens where `redirect_url` points.
    ///
    /// # Errors
    /// [`Exit::Usage`] if that is no port of this machine, [`Exit::Unavailable`] if somebody else listens there.
    pub async fn open(redirect_url: &Url) -> Result<Self, Failure> {
        let place = redirect_url.host_str().zip(redirect_url.port_or_known_default());
        let is_ours = redirect_url.scheme() == "http" && is_loopback(redirect_url);
        let Some((host, port)) = place.filter(|_| is_ours) else {
            return Err(Failure::usage(format!("`redirect_url` ({redirect_url}) is not on this machine"))
                .hint("use --paste, and paste the address that the browser ends up at"));
        };
        let listener = TcpListener::bind((host.trim_matches(['[', ']']), port)).await.map_err(|error| {
            let what = format!("the login can't come back to port {port} of this machine");
            Failure::new(Exit::Unavailable, anyhow::Error::new(error).context(what))
                .hint("another login may be under way there; wait for it, or use --paste")
        })?;
        Ok(Self { listener })
    }

    /// Waits for the person to come back. Whoever comes back from another login, or guesses, is told so and ends nothing
    /// (RFC 6749, 10.12): any page that the browser has open could send it here.
    ///
    /// # Errors
    /// See [`RedirectError`].
    pub async fn receive(&self, visit: &Arc<Visit>) -> Return {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(visit)))),
                    Err(_) => sleep(RELIEF).await,
                },
                Some(ended) = connections.join_next() => {
                    match ended {
                        Ok(Some(Err(RedirectError::WrongState))) => say(&paint(WARN, STRANGER)),
                        Ok(Some(came)) => return came,
                        Ok(None) | Err(_) => {}
                    }
                }
            }
        }
    }
}

/// One connection with one request; what it brought once the page is on its way, if it was the person coming back.
async fn connection(stream: TcpStream, visit: Arc<Visit>) -> Option<Return> {
    let brought = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&brought);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let (page, came) = answer(&visit, request.method(), request.uri().path(), request.uri().query());
        *keep.lock().unwrap_or_else(PoisonError::into_inner) = came;
        async move { Ok::<_, Infallible>(page) }
    });
    // A browser that hangs up early has told us all the same.
    let _ = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await;
    let mut brought = brought.lock().unwrap_or_else(PoisonError::into_inner);
    brought.take()
}

fn answer(visit: &Visit, method: &Method, path: &str, query: Option<&str>) -> (Response<Full<Bytes>>, Option<Return>) {
    if !visit.comes_back_at(path) {
        return (page(StatusCode::NOT_FOUND, "Nothing is here."), None);
    }
    if method != Method::GET {
        return (page(StatusCode::METHOD_NOT_ALLOWED, "Nothing can be sent here."), None);
    }
    let came = visit.read(query.unwrap_or_default());
    let page = match &came {
        Ok(_) => page(StatusCode::OK, "leadsync has what it needs. Go back to the terminal; this page can be closed."),
        Err(RedirectError::WrongState) => {
            page(StatusCode::BAD_REQUEST, "This is of another login. Use the address that the terminal shows.")
        }
        Err(_) => page(StatusCode::BAD_REQUEST, "The login did not succeed. The terminal says why."),
    };
    (page, Some(came))
}

/// Fixed words only: what stands in the address is not repeated.
fn page(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let html =
        format!("<!doctype html><html lang=en><meta charset=utf-8><title>leadsync</title><p>{words}</p></html>\n");
    let mut response = Response::new(Full::new(Bytes::from(html)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
