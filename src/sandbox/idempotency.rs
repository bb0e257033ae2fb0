//! `Idempotency-Key`: the same request under the same key is answered as it was the first time.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::reply::Answer;
use super::request::Incoming;

/// What is known of a key.
pub(super) enum Known {
    /// Nothing: the request may take effect, and [`Keys::keep`] its answer.
    New,
    /// The same request, and what it was answered.
    Same(Answer),
    /// It was used for another request.
    Other,
    /// The same request is still at work.
    UnderWay,
}

#[derive(Default)]
struct Book {
    /// Under a hash of the request: bodies may hold what nobody must keep.
    answered: HashMap<String, (u64, Answer)>,
    /// Requests that take effect later, by key.
    under_way: HashMap<String, u32>,
}

/// The keys of a service. Whoever asks holds a lock of its own from [`Keys::look`] to [`Keys::keep`].
#[derive(Default)]
pub(super) struct Keys {
    hasher: RandomState,
    book: Mutex<Book>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// A request under this key takes effect later.
    pub(super) fn begins(&self, key: &str) {
        *self.lock().under_way.entry(key.to_owned()).or_default() += 1;
    }

    /// What is known of the key. `late`: the request is one that [`Keys::begins`] was told of, and is at its end.
    pub(super) fn look(&self, key: &str, request: &Incoming, late: bool) -> Known {
        let mut book = self.lock();
        if late {
            let left = book.under_way.remove(key).unwrap_or_default().saturating_sub(1);
            if left > 0 {
                book.under_way.insert(key.to_owned(), left);
            }
        }
        match book.answered.get(key) {
            Some((hash, answer)) if *hash == self.hash(request) => Known::Same(answer.clone()),
            Some(_) => Known::Other,
            None if !late && book.under_way.contains_key(key) => Known::UnderWay,
            None => Known::New,
        }
    }

    /// This is what requests under the key are answered from now on.
    pub(super) fn keep(&self, key: &str, request: &Incoming, answer: &Answer) {
        let hash = self.hash(request);
        self.lock().answered.insert(key.to_owned(), (hash, answer.clone()));
    }

    pub(super) fn reset(&self) {
        *self.lock() = Book::default();
    }

    /// Equal for JSON that says the same.
    fn hash(&self, request: &Incoming) -> u64 {
        let body = request.json.as_ref().map(ToString::to_string);
        self.hasher.hash_one((request.method.as_str(), &request.path, body))
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
