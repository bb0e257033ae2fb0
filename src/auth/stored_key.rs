//! Random keys that the database keeps, sealed: made once, for all processes, and never changed.

use super::AuthError;
use super::seal::{Keyring, SealError};
use crate::store::{SealedAt, Vault};

/// The key called `name`, which is made if there is none.
///
/// # Errors
/// [`AuthError::Seal`] if the keyring doesn't open it, [`AuthError::Store`] if the database fails.
pub(super) async fn stored_key(
    vault: &(impl Vault + ?Sized),
    keyring: &Keyring,
    name: &str,
) -> Result<Vec<u8>, AuthError> {
    let place = SealedAt::Key(name.to_owned()).place();
    let sealed = match vault.sealed_key(name).await? {
        Some(sealed) => sealed,
        None => {
            let mut key = [0_u8; 32];
            getrandom::fill(&mut key).map_err(|_| SealError::NoRandomness)?;
            // Of two processes that make one at the same time, both use the one that was stored first.
            vault.keep_sealed_key(name, &keyring.seal(&key, &place)?).await?
        }
    };
    Ok(keyring.open(&sealed, &place)?)
}
