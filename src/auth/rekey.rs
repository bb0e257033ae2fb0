//! A new encryption key for all that is sealed, so that the old one can be thrown away.
//!
//! Each value is opened and put back, compare-and-set on what was read, in a transaction of its own: a token that is
//! refreshed meanwhile is not overwritten, and wherever this is cut off, every value opens with one of the keys; begun
//! again it goes on.

#[cfg(test)]
mod tests;

use super::AuthError;
use super::seal::{Keyring, SealError};
use crate::store::{SealedAt, Vault};

/// Looks at all values, at most. Each after the first is there for what changed during the one before.
const PASSES: usize = 5;

/// How all sealed values stand afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Sealed anew.
    pub resealed: usize,
    /// Under the newest key before we came, or put there by a refresh meanwhile.
    pub already: usize,
    /// None of the keys opens these.
    pub unopened: Vec<(SealedAt, SealError)>,
    /// Changed again and again, and were under an older key whenever we looked: somebody works with other keys than ours.
    pub contested: Vec<SealedAt>,
}

/// Seals everything anew under the newest key.
///
/// # Errors
/// [`AuthError::Store`] if the database fails, [`AuthError::Seal`] if the system gives no random bytes.
pub async fn rekey(vault: &(impl Vault + ?Sized), keyring: &Keyring) -> Result<Rekeyed, AuthError> {
    let mut done = Rekeyed::default();
    for _ in 0..PASSES {
        let values = vault.sealed().await?;
        let mut renewed = 0;
        (done.unopened, done.contested, done.already) = (Vec::new(), Vec::new(), 0);
        for (at, sealed) in values {
            match keyring.reseal(&sealed, &at.place()) {
                Ok(None) => done.already += 1,
                Ok(Some(anew)) if vault.reseal(&at, &sealed, &anew).await? => renewed += 1,
                Ok(Some(_)) => done.contested.push(at),
                Err(SealError::NoRandomness) => return Err(SealError::NoRandomness.into()),
                Err(error) => done.unopened.push((at, error)),
            }
        }
        done.resealed += renewed;
        // Nothing was left to do: so it stands now.
        if renewed == 0 && done.contested.is_empty() {
            break;
        }
    }
    done.already = done.already.saturating_sub(done.resealed);
    Ok(done)
}
