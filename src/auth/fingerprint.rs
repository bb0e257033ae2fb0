//! Keyed hashes that stand for e-mail addresses and phone numbers in claims and in the look-up cache.

#[cfg(test)]
mod tests;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::seal::{Keyring, SealError};
use super::stored_key::stored_key;
use super::{AuthError, hex};
use crate::store::{Fingerprint, Vault};

/// HMAC-SHA-256 under a random key that the database keeps, sealed. The key is made once and never rotated: claims
/// outlive purges, and a fingerprint that changed would let a lead through twice.
#[derive(Clone)]
pub struct Fingerprinter(Hmac<Sha256>);

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprinter")
    }
}

impl Fingerprinter {
    /// What its key is stored as.
    pub const NAME: &str = "fingerprint";

    /// With the database's key, which is made if there is none.
    ///
    /// # Errors
    /// [`AuthError::Seal`] if the keyring doesn't open it, [`AuthError::Store`] if the database fails.
    pub async fn open(vault: &(impl Vault + ?Sized), keyring: &Keyring) -> Result<Self, AuthError> {
        let key = stored_key(vault, keyring, Self::NAME).await?;
        let mac = Hmac::new_from_slice(&key).map_err(|_| SealError::Damaged { what: "no key" })?;
        Ok(Self(mac))
    }

    /// The fingerprint of `text` in `domain` (what it is the fingerprint of: the same text in another domain has another
    /// one).
    pub fn fingerprint(&self, domain: &str, text: &str) -> Fingerprint {
        let mut mac = self.0.clone();
        mac.update(&(domain.len() as u64).to_be_bytes());
        mac.update(domain.as_bytes());
        mac.update(text.as_bytes());
        Fingerprint(hex(&mac.finalize().into_bytes()))
    }
}
