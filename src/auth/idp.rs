//! For tests: a token service that rotates refresh tokens as RFC 9700 wants it. It knows nothing of our code: what it
//! sees is what any other would see.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use url::form_urlencoded;

use crate::http::fake::{http_reply, serve};

/// The refresh token that a login gave the operator.
pub(crate) const SEED: &str = "seed-refresh";

/// A token service on a real socket.
#[derive(Clone)]
pub(crate) struct Idp {
    pub(crate) addr: SocketAddr,
    book: Arc<Mutex<Book>>,
    arrived: Arc<Notify>,
    released: Arc<Notify>,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// It is not carried out, and the connection breaks.
    RequestLost,
    /// It is carried out, and the connection breaks.
    AnswerLost,
    /// It is carried out, and the answer waits for [`Idp::release`].
    Held,
    /// It is not carried out; this status, these header lines, this body.
    Answered(u16, &'static str, &'static str),
}

#[derive(Default)]
struct Book {
    fates: VecDeque<Fate>,
    /// Each refresh token that was presented, in order; `-` for a request that brought a secret only.
    presented: Vec<String>,
    /// Refresh tokens that were exchanged.
    spent: Vec<String>,
    current: String,
    issued: usize,
    /// A spent refresh token was presented, and it was no request whose outcome the client can't know.
    replays: usize,
    revoked: bool,
    expires_in: i64,
}

impl Idp {
    pub(crate) async fn start(expires_in: i64) -> Self {
        let book = Book { current: SEED.into(), expires_in, ..Book::default() };
        let book = Arc::new(Mutex::new(book));
        let (arrived, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (at_work, told, may_go) = (book.clone(), arrived.clone(), released.clone());
        let addr = serve(move |_, request| {
            let (book, told, may_go) = (at_work.clone(), told.clone(), may_go.clone());
            async move {
                let fate = book.lock().unwrap().fates.pop_front();
                let answer = book.lock().unwrap().take(&request, fate.as_ref());
                told.notify_one();
                match fate {
                    Some(Fate::Held) => may_go.notified().await,
                    Some(Fate::RequestLost | Fate::AnswerLost) => return None,
                    Some(Fate::Answered(..)) | None => {}
                }
                answer
            }
        })
        .await;
        Self { addr, book, arrived, released }
    }

    /// What happens to the next requests; to all after them nothing special.
    pub(crate) fn fates(&self, fates: impl IntoIterator<Item = Fate>) {
        self.book.lock().unwrap().fates.extend(fates);
    }

    /// Waits until one request more has arrived.
    pub(crate) fn arrival(&self) -> impl Future<Output = ()> + '_ {
        self.arrived.notified()
    }

    /// Lets one answer go that was held.
    pub(crate) fn release(&self) {
        self.released.notify_one();
    }

    /// A person logs in again: a new chain.
    pub(crate) fn log_in(&self, seed: &str) {
        let mut book = self.book.lock().unwrap();
        book.current = seed.into();
        book.revoked = false;
    }

    pub(crate) fn presented(&self) -> Vec<String> {
        self.book.lock().unwrap().presented.clone()
    }

    pub(crate) fn replays(&self) -> usize {
        self.book.lock().unwrap().replays
    }
}

impl Book {
    fn take(&mut self, request: &str, fate: Option<&Fate>) -> Option<String> {
        let (head, body) = request.split_once("\r\n\r\n")?;
        assert!(head.starts_with("POST /token HTTP/1.1\r\n"), "{head}");
        let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let presented = field("refresh_token");
        self.presented.push(presented.clone().unwrap_or_else(|| "-".into()));
        match fate {
            Some(Fate::Answered(status, headers, body)) => return http_reply(*status, headers, body),
            Some(Fate::RequestLost) => return None,
            Some(Fate::AnswerLost | Fate::Held) | None => {}
        }
        let refused = http_reply(400, "", r#"{"error": "invalid_grant"}"#);
        let expires_in = self.expires_in;
        self.issued += 1;
        let n = self.issued;
        let Some(presented) = presented else {
            assert_eq!(field("grant_type").as_deref(), Some("client_credentials"));
            return http_reply(200, "", &format!(r#"{{"access_token": "a{n}", "expires_in": {expires_in}}}"#));
        };
        assert_eq!(field("grant_type").as_deref(), Some("refresh_token"));
        if self.spent.contains(&presented) {
            self.replays += 1;
            self.revoked = true;
        }
        if self.revoked || presented != self.current {
            return refused;
        }
        self.spent.push(presented);
        self.current = format!("r{n}");
        let reply = format!(r#"{{"access_token": "a{n}", "refresh_token": "r{n}", "expires_in": {expires_in}}}"#);
        http_reply(200, "", &reply)
    }
}
