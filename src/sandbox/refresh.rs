//! Refresh tokens that are good once, and the count of those that came twice.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// What came of a service's refresh tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefreshTotals {
    /// Tokens that were exchanged for the next one.
    pub rotations: u64,
    /// Spent tokens that came again, all refused. A client whose reply was lost may have no other way; one that lost no
    /// reply, or several workers with one token, must not come here.
    pub replays: u64,
}

/// What a refresh token opens.
#[derive(Clone)]
pub(super) struct RefreshGrant {
    pub(super) account: String,
    /// Space separated.
    pub(super) scope: String,
}

#[derive(Default)]
struct Book {
    good: HashMap<String, RefreshGrant>,
    spent: HashSet<String>,
    totals: RefreshTotals,
}

/// The refresh tokens of a service.
#[derive(Default)]
pub(super) struct RefreshTokens {
    book: Mutex<Book>,
}

impl fmt::Debug for RefreshTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshTokens").finish_non_exhaustive()
    }
}

impl RefreshTokens {
    /// Makes a token good that a client has from elsewhere: its configuration.
    pub(super) fn plant(&self, token: &str, account: &str, scope: &str) {
        let grant = RefreshGrant { account: account.to_owned(), scope: scope.to_owned() };
        self.lock().good.insert(token.to_owned(), grant);
    }

    /// A new one.
    pub(super) fn issue(&self, account: &str, scope: &str) -> String {
        let token = format!("sandbox.refresh.{:032x}", rand::random::<u128>());
        self.plant(&token, account, scope);
        token
    }

    /// What it opens, without spending it.
    pub(super) fn peek(&self, token: &str) -> Option<RefreshGrant> {
        self.lock().good.get(token).cloned()
    }

    /// Spends it. `None`: it is unknown, or was spent already, which is counted.
    pub(super) fn redeem(&self, token: &str) -> Option<RefreshGrant> {
        let mut book = self.lock();
        if let Some(grant) = book.good.remove(token) {
            book.spent.insert(token.to_owned());
            book.totals.rotations += 1;
            return Some(grant);
        }
        if book.spent.contains(token) {
            book.totals.replays += 1;
        }
        None
    }

    pub(super) fn totals(&self) -> RefreshTotals {
        self.lock().totals
    }

    /// Counts anew; tokens stay what they are.
    pub(super) fn reset(&self) {
        self.lock().totals = RefreshTotals::default();
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_once_and_its_return_is_counted() {
        let tokens = RefreshTokens::default();
        let first = tokens.issue("a", "read write");
        assert!(tokens.peek(&first).is_some(), "a look spends nothing");
        assert_eq!(tokens.redeem(&first).map(|grant| grant.account).as_deref(), Some("a"));
        assert!(tokens.redeem(&first).is_none());
        assert!(tokens.redeem("somebody-else's").is_none());
        assert_eq!(tokens.totals(), RefreshTotals { rotations: 1, replays: 1 });
    }
}
