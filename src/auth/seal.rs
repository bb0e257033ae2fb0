//! Sealing of what must not be readable in the database: XChaCha20-Poly1305 under the newest of the configured keys, bound
//! to the place it is stored in.
//!
//! A sealed value is: version (1 byte), key id (4), nonce (24), ciphertext and tag. The random 24-byte nonce needs no
//! counter shared between processes. The place (table, row, column) is authenticated, so that a value moved to another row
//! doesn't open.

mod key_file;

#[cfg(test)]
mod tests;

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use crate::secret::{Secret, key_bytes};

pub use key_file::KeyFile;

const VERSION: u8 = 1;
const KEY_ID: usize = 4;
const NONCE: usize = 24;
const HEAD: usize = 1 + KEY_ID + NONCE;

/// Why a value can't be sealed or opened.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// A configured key is no key.
    #[error(
        "security.encryption_key{}: expected 64 hex digits or the base64 of 32 bytes; make one with `openssl rand -hex 32`",
        nth(*.index, *.of)
    )]
    BadKey {
        /// Which of the configured keys, from 0.
        index: usize,
        /// How many there are.
        of: usize,
    },
    /// There is no key at all.
    #[error("security.encryption_key is not set; make one with `openssl rand -hex 32`")]
    NoKey,
    /// None of the keys opens it.
    #[error(
        "security.encryption_key doesn't open this database's keys; put back the key that was used before (a list may hold \
         several, newest first)"
    )]
    WrongKey,
    /// It is no sealed value, or it was damaged or moved.
    #[error("a sealed value in the database is damaged ({what})")]
    Damaged { what: &'static str },
    /// The key file beside the database.
    #[error("{what}")]
    KeyFile { what: String },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

fn nth(index: usize, of: usize) -> String {
    if of > 1 { format!(" (number {} of {of})", index + 1) } else { String::new() }
}

/// The keys, newest first: the newest seals, any of them opens.
#[derive(Clone)]
pub struct Keyring(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: [u8; KEY_ID],
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.0.len())
    }
}

impl Keyring {
    /// From the configured keys, newest first; each 64 hex digits or base64 of 32 bytes.
    ///
    /// # Errors
    /// [`SealError::NoKey`] if there is none, [`SealError::BadKey`] for one that is neither.
    pub fn new(keys: &[Secret]) -> Result<Self, SealError> {
        if keys.is_empty() {
            return Err(SealError::NoKey);
        }
        let of = keys.len();
        keys.iter()
            .enumerate()
            .map(|(index, key)| {
                key_bytes(key.expose()).map(|bytes| Key::new(&bytes)).ok_or(SealError::BadKey { index, of })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Seals `plain` with the newest key for `place` ("table|row|column").
    ///
    /// # Errors
    /// [`SealError::NoRandomness`].
    pub fn seal(&self, plain: &[u8], place: &str) -> Result<Vec<u8>, SealError> {
        let key = &self.0[0];
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: place.as_bytes() });
        // The only failure is a plaintext of 256 GiB.
        let sealed = sealed.map_err(|_| SealError::Damaged { what: "too long to seal" })?;
        Ok([&[VERSION][..], &key.id, &nonce, &sealed].concat())
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// `sealed`, which any of the keys opens, sealed anew with the newest. `None`: it is that already.
    ///
    /// # Errors
    /// As [`Keyring::open`] and [`Keyring::seal`].
    pub fn reseal(&self, sealed: &[u8], place: &str) -> Result<Option<Vec<u8>>, SealError> {
        let newest = Self(self.0.iter().take(1).cloned().collect());
        if newest.open(sealed, place).is_ok() {
            return Ok(None);
        }
        self.seal(&self.open(sealed, place)?, place).map(Some)
    }

    /// Opens what [`Keyring::seal`] made for the same place.
    ///
    /// # Errors
    /// [`SealError::WrongKey`] if no key has the id it was sealed with; [`SealError::Damaged`] otherwise.
    pub fn open(&self, sealed: &[u8], place: &str) -> Result<Vec<u8>, SealError> {
        let (head, body) = sealed.split_at_checked(HEAD).ok_or(SealError::Damaged { what: "cut short" })?;
        if head[0] != VERSION {
            return Err(SealError::Damaged { what: "unknown version" });
        }
        let (id, nonce) = head[1..].split_at(KEY_ID);
        let nonce = XNonce::try_from(nonce).map_err(|_| SealError::Damaged { what: "cut short" })?;
        let mut found = false;
        for key in self.0.iter().filter(|key| key.id == id) {
            found = true;
            if let Ok(plain) = key.cipher.decrypt(&nonce, Payload { msg: body, aad: place.as_bytes() }) {
                return Ok(plain);
            }
        }
        Err(if found { SealError::Damaged { what: "changed or moved" } } else { SealError::WrongKey })
    }
}

impl Key {
    fn new(bytes: &[u8; 32]) -> Self {
        let digest = Sha256::digest(bytes);
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest[..KEY_ID]);
        Self { id, cipher: XChaCha20Poly1305::new(&(*bytes).into()) }
    }
}
