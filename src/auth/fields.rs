//! Single values of leads that must not be readable in the database: a tax number, say.
//!
//! They are sealed under a random key of their own, which the database keeps sealed in its turn, so that a new encryption
//! key needs to seal anew this one key and no lead.

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::seal::{Keyring, SealError};
use super::stored_key::stored_key;
use super::{AuthError, hex};
use crate::secret::Secret;
use crate::store::Vault;

/// What a sealed value begins with; no tax number does.
const MARK: &str = "sealed:";

/// Seals and opens single values of leads.
#[derive(Clone)]
pub struct FieldSealer(Keyring);

impl fmt::Debug for FieldSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldSealer")
    }
}

impl FieldSealer {
    /// What its key is stored as.
    pub const NAME: &str = "lead_fields";

    /// With the database's key, which is made if there is none.
    ///
    /// # Errors
    /// [`AuthError::Seal`] if the keyring doesn't open it, [`AuthError::Store`] if the database fails.
    pub async fn open(vault: &(impl Vault + ?Sized), keyring: &Keyring) -> Result<Self, AuthError> {
        let key = Secret::new(hex(&stored_key(vault, keyring, Self::NAME).await?));
        Ok(Self(Keyring::new(&[key])?))
    }

    /// Whether the text is a sealed one.
    pub fn is_sealed(text: &str) -> bool {
        text.starts_with(MARK)
    }

    /// The value of the field `name`, sealed.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`].
    pub fn seal(&self, name: &str, text: &str) -> Result<String, SealError> {
        let sealed = self.0.seal(text.as_bytes(), &place(name))?;
        Ok(format!("{MARK}{}", STANDARD_NO_PAD.encode(sealed)))
    }

    /// What was sealed for the field `name`.
    ///
    /// # Errors
    /// [`SealError`] if it was sealed for another field or in another database, or is damaged.
    pub fn unseal(&self, name: &str, text: &str) -> Result<String, SealError> {
        let damaged = SealError::Damaged { what: "a lead's field" };
        let encoded = text.strip_prefix(MARK).ok_or_else(|| damaged.clone())?;
        let sealed = STANDARD_NO_PAD.decode(encoded).map_err(|_| damaged.clone())?;
        String::from_utf8(self.0.open(&sealed, &place(name))?).map_err(|_| damaged)
    }
}

fn place(name: &str) -> String {
    format!("leads|custom_fields|{name}")
}
