use super::*;
use crate::auth::fake::FakeVault;
use crate::secret::Secret;

fn ring(keys: &[&str]) -> Keyring {
    Keyring::new(&keys.iter().map(|key| Secret::new(key.repeat(32))).collect::<Vec<_>>()).unwrap()
}

#[tokio::test]
async fn fingerprints_are_the_same_for_all_who_share_a_database_and_survive_a_key_rotation() {
    let vault = FakeVault::default();
    let first = Fingerprinter::open(&vault, &ring(&["01"])).await.unwrap().fingerprint("email", "ann@example.com");
    let later =
        Fingerprinter::open(&vault, &ring(&["02", "01"])).await.unwrap().fingerprint("email", "ann@example.com");
    assert_eq!(first, later);
    assert_eq!(first.0.len(), 64);
    let elsewhere = Fingerprinter::open(&FakeVault::default(), &ring(&["01"])).await.unwrap();
    assert_ne!(elsewhere.fingerprint("email", "ann@example.com"), first);
}

#[tokio::test]
async fn other_domains_and_texts_have_other_fingerprints() {
    let prints = Fingerprinter::open(&FakeVault::default(), &ring(&["01"])).await.unwrap();
    let base = prints.fingerprint("ab", "c");
    assert_ne!(base, prints.fingerprint("a", "bc"));
    assert_ne!(base, prints.fingerprint("ab", "d"));
    assert_ne!(base, prints.fingerprint("", "abc"));
    assert_eq!(base, prints.clone().fingerprint("ab", "c"));
}

#[tokio::test]
async fn a_wrong_key_is_an_error_and_not_a_new_beginning() {
    let vault = FakeVault::default();
    Fingerprinter::open(&vault, &ring(&["01"])).await.unwrap();
    let error = Fingerprinter::open(&vault, &ring(&["02"])).await.unwrap_err();
    assert!(error.to_string().starts_with("security.encryption_key doesn't open this database's keys"), "{error}");
    vault.put_key(Fingerprinter::NAME, b"garbage".to_vec());
    Fingerprinter::open(&vault, &ring(&["01"])).await.unwrap_err();
}
