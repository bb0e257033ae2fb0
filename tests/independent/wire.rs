//! The wire between leadsync and a server: it keeps what passes, and can lose it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use url::{Url, form_urlencoded};

/// A request, and what was answered.
#[derive(Clone, Debug)]
pub struct Passed {
    pub method: Method,
    /// With its query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What the server said; `None` while nothing was heard of it.
    pub reply: Option<Reply>,
}

/// What the server said, whether or not it was passed on.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What happens to a request on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server never sees it, and the connection breaks.
    RequestLost,
    /// The server carries it out, and the connection breaks.
    ReplyLost,
    /// The server never sees it, and nothing is answered until [`Wire::release`]; then the connection breaks.
    RequestHeld,
    /// The server carries it out; the reply is passed on at [`Wire::release`].
    ReplyHeld,
    /// The server carries it out; the connection breaks at [`Wire::release`].
    ReplyHeldAndLost,
}

/// A proxy on a socket of its own.
pub struct Wire {
    addr: SocketAddr,
    line: Arc<Line>,
}

struct Line {
    /// What a path begins with, and where it is served; the first that fits.
    servers: Vec<(&'static str, Url)>,
    client: reqwest::Client,
    passed: Mutex<Vec<Passed>>,
    /// By the path that they are for.
    fates: Mutex<VecDeque<(&'static str, Fate)>>,
    /// What is passed on in place of a reply, by path.
    instead: Mutex<HashMap<&'static str, &'static str>>,
    held: Mutex<usize>,
    released: Notify,
}

/// A client for tests: no proxy, no redirects, a connection for each request, so that none breaks at the wrong moment.
pub fn client() -> reqwest::Client {
    // Not for these connections, but no client is made without.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.pool_max_idle_per_host(0).build().unwrap()
}

impl Passed {
    /// Without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The form that the body holds.
    pub fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// A header of the request.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Wire {
    /// Listens, and passes on what comes to the server whose prefix the path has.
    pub async fn to(servers: impl IntoIterator<Item = (&'static str, Url)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let line = Arc::new(Line {
            servers: servers.into_iter().collect(),
            client: client(),
            passed: Mutex::default(),
            fates: Mutex::default(),
            instead: Mutex::default(),
            held: Mutex::default(),
            released: Notify::new(),
        });
        let for_all = Arc::clone(&line);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let line = Arc::clone(&for_all);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let line = Arc::clone(&line);
                        // In a task of its own: what has begun goes on if the client is gone.
                        async move { tokio::spawn(line.pass(request)).await.map_err(io::Error::other)? }
                    });
                    // A connection that breaks is what was asked for.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { addr, line }
    }

    /// An address on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// What happens to the next requests to this path; to all after them nothing special.
    pub fn fates(&self, path: &'static str, fates: impl IntoIterator<Item = Fate>) {
        self.line.fates.lock().unwrap().extend(fates.into_iter().map(|fate| (path, fate)));
    }

    /// This JSON from now on in place of the bodies that the server has for this path.
    pub fn instead(&self, path: &'static str, json: &'static str) {
        self.line.instead.lock().unwrap().insert(path, json);
    }

    /// All that passed, in the order of its arrival.
    pub fn passed(&self) -> Vec<Passed> {
        self.line.passed.lock().unwrap().clone()
    }

    /// What passed to this path.
    pub fn passed_to(&self, path: &str) -> Vec<Passed> {
        self.passed().into_iter().filter(|it| it.path() == path).collect()
    }

    /// How many requests are being held.
    pub fn held(&self) -> usize {
        *self.line.held.lock().unwrap()
    }

    /// Lets one go that is held.
    pub fn release(&self) {
        self.line.released.notify_one();
    }
}

impl Line {
    async fn pass(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let broken = || io::Error::other("the wire is cut");
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let fate = self.fate(head.uri.path());
        let number = {
            let mut passed = self.passed.lock().unwrap();
            let (method, headers, body) = (head.method.clone(), head.headers.clone(), body.clone());
            passed.push(Passed { method, target: target.clone(), headers, body, reply: None });
            passed.len() - 1
        };
        match fate {
            Some(Fate::RequestLost) => return Err(broken()),
            Some(Fate::RequestHeld) => {
                self.hold().await;
                return Err(broken());
            }
            Some(Fate::ReplyLost | Fate::ReplyHeld | Fate::ReplyHeldAndLost) | None => {}
        }
        let (_, server) = self.servers.iter().find(|(prefix, _)| target.starts_with(prefix)).expect("a path is served");
        let url = server.join(&target).unwrap();
        let mut headers = head.headers;
        // Both belong to the connection.
        headers.remove(http::header::HOST);
        headers.remove(http::header::CONTENT_LENGTH);
        let asked = self.client.request(head.method, url).headers(headers).body(body);
        let answered = asked.send().await.map_err(io::Error::other)?;
        let (status, headers) = (answered.status(), answered.headers().clone());
        let body = answered.bytes().await.map_err(io::Error::other)?;
        let reply = Reply { status, headers, body };
        self.passed.lock().unwrap()[number].reply = Some(reply.clone());
        match fate {
            Some(Fate::ReplyLost) => return Err(broken()),
            Some(Fate::ReplyHeld) => self.hold().await,
            Some(Fate::ReplyHeldAndLost) => {
                self.hold().await;
                return Err(broken());
            }
            _ => {}
        }
        let mut response = Response::new(Full::new(reply.body));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        if let Some(json) = self.instead.lock().unwrap().get(head.uri.path()) {
            *response.body_mut() = Full::from(*json);
            response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for name in [http::header::TRANSFER_ENCODING, http::header::CONTENT_LENGTH, http::header::CONNECTION] {
            response.headers_mut().remove(name);
        }
        Ok(response)
    }

    fn fate(&self, path: &str) -> Option<Fate> {
        let mut fates = self.fates.lock().unwrap();
        let at = fates.iter().position(|(wanted, _)| *wanted == path)?;
        fates.remove(at).map(|(_, fate)| fate)
    }

    async fn hold(&self) {
        *self.held.lock().unwrap() += 1;
        self.released.notified().await;
        *self.held.lock().unwrap() -= 1;
    }
}
