use super::*;
use crate::auth::fake::FakeVault;

fn keyring(key: &str) -> Keyring {
    Keyring::new(&[Secret::new(key.repeat(32))]).unwrap()
}

#[tokio::test]
async fn what_was_sealed_is_opened_by_every_process_for_the_same_field() {
    let vault = FakeVault::default();
    let one = FieldSealer::open(&vault, &keyring("01")).await.unwrap();
    let sealed = one.seal("tax_id", "123-45-6789").unwrap();
    assert!(FieldSealer::is_sealed(&sealed) && !sealed.contains("6789"), "{sealed}");
    assert_ne!(sealed, one.seal("tax_id", "123-45-6789").unwrap(), "equal values can't be told");
    let other = FieldSealer::open(&vault, &keyring("01")).await.unwrap();
    assert_eq!(other.unseal("tax_id", &sealed).unwrap(), "123-45-6789");
    assert!(other.unseal("note", &sealed).is_err(), "moved to another field");
    assert!(other.unseal("tax_id", "sealed:AAAA").is_err() && other.unseal("tax_id", "plain").is_err());
    assert!(FieldSealer::open(&vault, &keyring("02")).await.is_err(), "another encryption key");
    let elsewhere = FieldSealer::open(&FakeVault::default(), &keyring("01")).await.unwrap();
    assert!(elsewhere.unseal("tax_id", &sealed).is_err(), "another database");
}
