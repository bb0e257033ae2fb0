//! The last word on whether a request leaves: its body, which the connection gets only if it asks for it in time.
//!
//! Between the decision to send and the first byte on the wire lie name look-up, TCP and TLS, and the process may be
//! frozen anywhere in between: stopped, swapped out, its machine put to sleep. Whoever comes back minutes later must not
//! write what another worker has meanwhile looked for and sent. A request with a `Content-Length` and without its body has
//! no effect, so holding the body back is enough; in fact the connection asks for it before it writes anything.
//!
//! What remains is the step from the question to the system call that writes, microseconds without any waiting: the
//! request fits into an empty socket buffer. (If it does not, its rest follows as the other side reads.)

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::clock::Moment;
use crate::crash::{self, At};

const OPEN: u8 = 0;
const PASSED: u8 = 1;
const SHUT: u8 = 2;

/// Shared by a request's body and its sender: one of them decides, once.
#[derive(Debug)]
pub(super) struct Latch {
    departed: Moment,
    open_for: Duration,
    state: AtomicU8,
}

impl Latch {
    /// Open until `open_for` has passed since the departure.
    pub(super) fn new(departed: Moment, open_for: Duration) -> Self {
        Self { departed, open_for, state: AtomicU8::new(OPEN) }
    }

    /// What is left of the time.
    pub(super) fn left(&self) -> Duration {
        self.open_for.saturating_sub(self.departed.elapsed())
    }

    /// Whether the body may be handed out.
    pub(super) fn pass(&self) -> bool {
        if self.left().is_zero() {
            self.shut();
        }
        self.state.compare_exchange(OPEN, PASSED, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Lets nothing through any more. True: nothing went through before.
    pub(super) fn shut(&self) -> bool {
        self.state.compare_exchange(OPEN, SHUT, Ordering::SeqCst, Ordering::SeqCst) != Err(PASSED)
    }
}

/// Shuts the latch when the sender no longer waits: given up, or cut off by the end of the grace time.
pub(super) struct ShutOnDrop(pub(super) Arc<Latch>);

impl Drop for ShutOnDrop {
    fn drop(&mut self) {
        self.0.shut();
    }
}

/// A body in one piece, behind a latch.
pub(super) struct Latched {
    bytes: Option<Bytes>,
    latch: Arc<Latch>,
}

impl Latched {
    /// `bytes`, if the latch lets them through. Not for empty bodies: those are never asked for.
    pub(super) fn new(bytes: Bytes, latch: Arc<Latch>) -> Self {
        Self { bytes: Some(bytes), latch }
    }
}

/// The latch was shut when the connection asked for the body.
#[derive(Debug)]
pub(super) struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time in which the request might leave is over")
    }
}

impl Error for TooLate {}

impl Body for Latched {
    type Data = Bytes;
    type Error = TooLate;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, TooLate>>> {
        let Some(bytes) = self.bytes.take() else { return Poll::Ready(None) };
        crash::point("body", At::BeforeWrite);
        Poll::Ready(Some(if self.latch.pass() { Ok(Frame::data(bytes)) } else { Err(TooLate) }))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    /// Exact, so that the request carries a `Content-Length` and is not chunked.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
