use std::sync::Arc;

use super::*;
use crate::auth::Fingerprinter;
use crate::auth::fake::FakeVault;
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::store::StoredToken;

fn ring(keys: &[u8]) -> Keyring {
    Keyring::new(&keys.iter().map(|byte| Secret::new(format!("{byte:02x}").repeat(32))).collect::<Vec<_>>()).unwrap()
}

fn token(account: &str, generation: i64, keyring: &Keyring) -> StoredToken {
    let place = SealedAt::Token(account.to_owned()).place();
    StoredToken {
        generation,
        sealed: keyring.seal(format!("token {generation}").as_bytes(), &place).unwrap(),
        expires_at: Timestamp::from_ms(2),
        refreshed_at: Timestamp::from_ms(1),
        refreshed_by: None,
        needs_login: None,
    }
}

async fn vault(keyring: &Keyring) -> Arc<FakeVault> {
    let vault = Arc::new(FakeVault::default());
    Fingerprinter::open(&*vault, keyring).await.unwrap();
    vault.put_token("crm-1", token("crm-1", 1, keyring));
    vault.put_token("crm-2", token("crm-2", 7, keyring));
    vault
}

fn opens(vault: &FakeVault, account: &str, keyring: &Keyring) -> Vec<u8> {
    let sealed = vault.stored(account).unwrap().sealed;
    keyring.open(&sealed, &SealedAt::Token(account.to_owned()).place()).unwrap()
}

#[tokio::test]
async fn afterwards_the_old_key_is_not_needed() {
    let vault = vault(&ring(&[1])).await;
    let before = Fingerprinter::open(&*vault, &ring(&[1])).await.unwrap().fingerprint("identity", "ann");
    let both = ring(&[2, 1]);
    let done = rekey(&*vault, &both).await.unwrap();
    assert_eq!(done, Rekeyed { resealed: 3, ..Rekeyed::default() });
    let new = ring(&[2]);
    assert_eq!(opens(&vault, "crm-1", &new), b"token 1");
    assert_eq!(opens(&vault, "crm-2", &new), b"token 7");
    let after = Fingerprinter::open(&*vault, &new).await.unwrap().fingerprint("identity", "ann");
    assert_eq!(before, after, "claims outlive the key");
    assert_eq!(rekey(&*vault, &both).await.unwrap(), Rekeyed { already: 3, ..Rekeyed::default() });
}

#[tokio::test]
async fn what_was_begun_goes_on() {
    let vault = vault(&ring(&[1])).await;
    // As if it had been cut off after the first.
    vault.put_token("crm-1", token("crm-1", 1, &ring(&[2])));
    let done = rekey(&*vault, &ring(&[2, 1])).await.unwrap();
    assert_eq!((done.resealed, done.already), (2, 1));
}

#[tokio::test]
async fn what_no_key_opens_is_named_and_left_as_it_is() {
    let vault = vault(&ring(&[1])).await;
    vault.put_token("crm-2", token("crm-2", 7, &ring(&[3])));
    let done = rekey(&*vault, &ring(&[2, 1])).await.unwrap();
    assert_eq!((done.resealed, done.already), (2, 0));
    assert_eq!(done.unopened, [(SealedAt::Token("crm-2".to_owned()), SealError::WrongKey)]);
    assert_eq!(opens(&vault, "crm-2", &ring(&[3])), b"token 7");
}

#[tokio::test]
async fn a_token_that_is_refreshed_meanwhile_is_not_overwritten() {
    let vault = vault(&ring(&[1])).await;
    vault.refreshed_before_reseal("crm-1", [token("crm-1", 2, &ring(&[1])), token("crm-1", 3, &ring(&[2, 1]))]);
    let done = rekey(&*vault, &ring(&[2, 1])).await.unwrap();
    assert_eq!((done.resealed, done.already, done.contested), (2, 1, Vec::new()));
    assert_eq!(vault.stored("crm-1").unwrap().generation, 3);
    assert_eq!(opens(&vault, "crm-1", &ring(&[2])), b"token 3");
}

#[tokio::test]
async fn who_works_on_with_the_old_key_is_noticed() {
    let vault = vault(&ring(&[1])).await;
    vault.refreshed_before_reseal("crm-1", (2..20).map(|generation| token("crm-1", generation, &ring(&[1]))));
    let done = rekey(&*vault, &ring(&[2, 1])).await.unwrap();
    assert_eq!(done.contested, [SealedAt::Token("crm-1".to_owned())]);
    assert_eq!(done.resealed, 2);
}
