use super::*;
use crate::auth::seal::SealError;
use crate::cli::console::plain;

fn configured(count: usize) -> Keys {
    Keys { count, file: None }
}

#[test]
fn what_was_done_is_counted_and_what_comes_next_is_said() {
    let done = Rekeyed { resealed: 2, already: 1, ..Rekeyed::default() };
    insta::assert_snapshot!(plain(&said(&done, &configured(2))), @r"
    2 sealed values sealed anew under the newest key, 1 already
    the other key in security.encryption_key is no longer needed: to be removed once no process works with the configuration of before
    ");
    assert!(failed(&done, &configured(2)).is_none());
}

#[test]
fn with_one_key_it_says_how_to_get_another() {
    let done = Rekeyed { already: 3, ..Rekeyed::default() };
    let text = plain(&said(&done, &configured(1)));
    assert!(text.contains("only one key in security.encryption_key") && text.contains("newest first"), "{text}");
    let file = Keys { count: 1, file: Some("my leads.db.key".to_owned()) };
    let text = plain(&said(&done, &file));
    assert!(text.contains("(openssl rand -hex 32; cat 'my leads.db.key') > 'my leads.db.key'.new"), "{text}");
}

#[test]
fn what_no_key_opens_ends_with_2_and_a_key_that_is_still_in_use_with_4() {
    let at = SealedAt::Token("crm-1".to_owned());
    let unopened = Rekeyed { unopened: vec![(at.clone(), SealError::WrongKey)], ..Rekeyed::default() };
    let contested = Rekeyed { contested: vec![at], ..Rekeyed::default() };
    for (done, exit) in [(unopened, Exit::Usage), (contested, Exit::Unavailable)] {
        let keys = configured(2);
        assert_eq!(failed(&done, &keys).unwrap().exit(), exit);
        assert!(!said(&done, &keys).contains("no longer needed"));
    }
}
