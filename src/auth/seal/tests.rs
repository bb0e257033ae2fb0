use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::*;

fn key(byte: u8) -> Secret {
    Secret::new(format!("{byte:02x}").repeat(32))
}

fn ring(keys: &[u8]) -> Keyring {
    Keyring::new(&keys.iter().map(|byte| key(*byte)).collect::<Vec<_>>()).unwrap()
}

#[test]
fn what_was_sealed_opens_in_its_own_place_only() {
    let sealed = ring(&[1]).seal(b"token", "tokens|a|sealed").unwrap();
    assert!(!sealed.windows(5).any(|window| window == b"token"));
    assert_eq!(ring(&[1]).open(&sealed, "tokens|a|sealed").unwrap(), b"token");
    let moved = ring(&[1]).open(&sealed, "tokens|b|sealed").unwrap_err();
    assert_eq!(moved, SealError::Damaged { what: "changed or moved" });
}

#[test]
fn equal_texts_are_sealed_differently() {
    assert_ne!(ring(&[1]).seal(b"token", "p").unwrap(), ring(&[1]).seal(b"token", "p").unwrap());
}

#[test]
fn after_a_rotation_old_values_still_open_and_new_ones_are_sealed_with_the_new_key() {
    let old = ring(&[1]).seal(b"old", "p").unwrap();
    let rotated = ring(&[2, 1]);
    assert_eq!(rotated.open(&old, "p").unwrap(), b"old");
    let new = rotated.seal(b"new", "p").unwrap();
    assert_eq!(ring(&[2]).open(&new, "p").unwrap(), b"new");
    assert_eq!(ring(&[1]).open(&new, "p").unwrap_err(), SealError::WrongKey);
}

#[test]
fn sealed_anew_a_value_needs_the_newest_key_only() {
    let old = ring(&[1]).seal(b"secret", "p").unwrap();
    let rotated = ring(&[2, 1]);
    let new = rotated.reseal(&old, "p").unwrap().unwrap();
    assert_eq!(ring(&[2]).open(&new, "p").unwrap(), b"secret");
    assert_eq!(rotated.reseal(&new, "p").unwrap(), None, "it is already");
    assert_eq!(ring(&[1]).reseal(&old, "p").unwrap(), None);
    assert_eq!(ring(&[3, 2]).reseal(&old, "p").unwrap_err(), SealError::WrongKey);
    assert!(matches!(rotated.reseal(&old, "q").unwrap_err(), SealError::Damaged { .. }), "it was moved");
}

#[test]
fn damage_anywhere_is_noticed() {
    let sealed = ring(&[1]).seal(b"token", "p").unwrap();
    for n in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[n] ^= 1;
        ring(&[1]).open(&damaged, "p").unwrap_err();
        ring(&[1]).open(&sealed[..n], "p").unwrap_err();
    }
}

#[test]
fn keys_are_hex_or_base64() {
    let bytes = [0xfb_u8; 32];
    let sealed = Keyring::new(&[Secret::new("fb".repeat(32))]).unwrap().seal(b"x", "p").unwrap();
    for text in [
        STANDARD.encode(bytes),
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
        format!("  {}\n", "FB".repeat(32)),
    ] {
        assert_eq!(Keyring::new(&[Secret::new(text)]).unwrap().open(&sealed, "p").unwrap(), b"x");
    }
}

#[test]
fn what_is_no_key_is_named_by_its_place_and_never_shown() {
    for bad in ["", "hunter2", &"zz".repeat(32), &"ab".repeat(31), &STANDARD.encode([1; 31]), &STANDARD.encode([1; 33])]
    {
        let error = Keyring::new(&[Secret::new(bad)]).unwrap_err().to_string();
        assert!(error.starts_with("security.encryption_key: expected 64 hex digits"), "{error}");
        assert!(bad.is_empty() || !error.contains(bad), "{error}");
    }
    let second = Keyring::new(&[key(1), Secret::new("hunter2")]).unwrap_err().to_string();
    assert!(second.starts_with("security.encryption_key (number 2 of 2): "), "{second}");
    assert_eq!(Keyring::new(&[]).unwrap_err(), SealError::NoKey);
}

#[test]
fn a_database_without_a_key_gets_a_key_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("leadsync.db");
    let made = Keyring::for_sqlite_file(&database, false).unwrap();
    assert!(made.created);
    assert_eq!(made.path, folder.path().join("leadsync.db.key"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&made.path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let sealed = made.keyring.seal(b"x", "p").unwrap();
    let again = Keyring::for_sqlite_file(&database, true).unwrap();
    assert!(!again.created);
    assert_eq!(again.keyring.open(&sealed, "p").unwrap(), b"x");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no drafts are left behind");
}

#[test]
fn a_lost_key_file_is_never_replaced_by_one_that_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("leadsync.db");
    let error = Keyring::for_sqlite_file(&database, true).unwrap_err().to_string();
    assert!(error.contains("leadsync.db.key` is missing") && error.contains("put it back"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_key_file_that_everybody_may_read_is_refused_also_through_a_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (database, linked) = (folder.path().join("leadsync.db"), folder.path().join("linked.db"));
    let made = Keyring::for_sqlite_file(&database, false).unwrap();
    symlink(&made.path, folder.path().join("linked.db.key")).unwrap();
    for (mode, is_fine) in [(0o644, false), (0o604, false), (0o602, false), (0o640, true), (0o600, true), (0o400, true)]
    {
        std::fs::set_permissions(&made.path, std::fs::Permissions::from_mode(mode)).unwrap();
        for database in [&database, &linked] {
            let said = Keyring::for_sqlite_file(database, true).map_err(|error| error.to_string());
            assert_eq!(said.is_ok(), is_fine, "{mode:o}: {said:?}");
        }
    }
    std::fs::set_permissions(&made.path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = Keyring::for_sqlite_file(&database, true).unwrap_err().to_string();
    assert!(said.contains("leadsync.db.key") && said.contains("mode 0644") && said.contains("chmod 600"), "{said}");
}

#[test]
fn a_key_file_that_holds_something_else_is_left_alone() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("leadsync.db");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(folder.path().join("leadsync.db.key")).unwrap().write_all(b"hunter2").unwrap();
    let error = Keyring::for_sqlite_file(&database, false).unwrap_err().to_string();
    assert!(error.contains("holds no key") && !error.contains("hunter2"), "{error}");
    assert_eq!(std::fs::read_to_string(folder.path().join("leadsync.db.key")).unwrap(), "hunter2");
}

#[test]
fn many_processes_that_start_at_once_agree_on_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("leadsync.db");
    let rings: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..16).map(|_| scope.spawn(|| Keyring::for_sqlite_file(&database, false).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(rings.iter().filter(|ring| ring.created).count(), 1);
    let sealed = rings[0].keyring.seal(b"x", "p").unwrap();
    assert!(rings.iter().all(|ring| ring.keyring.open(&sealed, "p").unwrap() == b"x"));
}
