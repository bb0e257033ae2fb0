//! Replies, whole and spoilt.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Sleep;

/// What the sandbox answers.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

impl Answer {
    /// JSON.
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        // Fails only for maps with keys that are no strings, and none of ours has such.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self {
            status,
            headers: vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            body: Bytes::from(body),
        }
    }

    /// Plain text.
    pub(super) fn text(status: StatusCode, body: &str) -> Self {
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
        Self { status, headers, body: Bytes::from(body.to_owned()) }
    }

    /// With one more header.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// The same status with a page for people, as a proxy sends it.
    pub(super) fn into_html(mut self) -> Self {
        self.headers = vec![(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
        self.body = Bytes::from_static(b"<!doctype html><title>One moment</title><h1>One moment, please</h1>\n");
        self
    }

    /// The same status without a body.
    pub(super) fn into_empty(mut self) -> Self {
        self.headers.clear();
        self.body = Bytes::new();
        self
    }

    /// The same without the lead's number, which stands at one of these pointers; what has none is left with nothing.
    pub(super) fn into_no_id(mut self, pointers: &[&str]) -> Self {
        let mut body = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        let mut had = false;
        for pointer in pointers {
            let Some((parent, field)) = pointer.rsplit_once('/') else { continue };
            let parent = body.pointer_mut(parent).and_then(Value::as_object_mut);
            had |= parent.is_some_and(|parent| parent.remove(field).is_some());
        }
        self.body = Bytes::from(if had { body.to_string() } else { "{}".to_owned() });
        self
    }

    pub(super) fn whole(self) -> Response<ReplyBody> {
        self.reply(|body| ReplyBody { length: body.len(), ends: Ends::Whole, pace: None, rest: body, waits: false })
    }

    /// Ends in the middle of the body.
    pub(super) fn truncated(self) -> Response<ReplyBody> {
        self.reply(|body| {
            let length = body.len();
            ReplyBody { length, ends: Ends::Early, pace: None, rest: body.slice(..length / 2), waits: false }
        })
    }

    /// A few bytes at a time, the last of them after `over`.
    pub(super) fn dripping(self, over: Duration) -> Response<ReplyBody> {
        self.reply(|body| {
            let pace = Pace { chunk: body.len().div_ceil(DRIPS).max(1), every: over / DRIPS as u32, sleep: None };
            ReplyBody { length: body.len(), ends: Ends::Whole, pace: Some(pace), rest: body, waits: false }
        })
    }

    fn reply(self, body: impl FnOnce(Bytes) -> ReplyBody) -> Response<ReplyBody> {
        let mut reply = Response::new(body(self.body));
        *reply.status_mut() = self.status;
        reply.headers_mut().extend(self.headers);
        reply
    }
}

/// Parts of a dripping body.
const DRIPS: usize = 20;

/// Why a connection ends without a (whole) reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cut {
    /// By RST.
    #[error("reset by a fault")]
    Reset,
    /// By FIN.
    #[error("closed by a fault")]
    Closed,
}

/// A body that may come slowly and may end early.
#[derive(Debug)]
pub(super) struct ReplyBody {
    /// What `Content-Length` says.
    length: usize,
    rest: Bytes,
    ends: Ends,
    pace: Option<Pace>,
    /// Its part was sent, and hyper has been given the chance to flush it.
    waits: bool,
}

#[derive(Debug)]
enum Ends {
    Whole,
    Early,
}

#[derive(Debug)]
struct Pace {
    chunk: usize,
    every: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let body = &mut *self;
        if body.rest.is_empty() {
            return match body.ends {
                Ends::Whole => Poll::Ready(None),
                Ends::Early if body.waits => Poll::Ready(Some(Err(Cut::Closed))),
                // hyper flushes when the body has nothing to give; without this the client would see no byte at all.
                Ends::Early => {
                    body.waits = true;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            };
        }
        let Some(pace) = &mut body.pace else {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut body.rest)))));
        };
        let sleep = pace.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(pace.every)));
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        pace.sleep = None;
        let chunk = pace.chunk.min(body.rest.len());
        Poll::Ready(Some(Ok(Frame::data(body.rest.split_to(chunk)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && matches!(self.ends, Ends::Whole)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self.ends {
            Ends::Whole => self.rest.len() as u64,
            // Asked once, before the first byte: the promise that won't be kept.
            Ends::Early => self.length as u64,
        })
    }
}
