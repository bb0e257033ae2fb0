use serde_json::json;

use super::*;

fn create(ledger: &Ledger, email: &str, id: u64) {
    let body = json!({"name": "Ann"});
    ledger.record(seven_targets::API, EffectKind::Created, Subject::by_email(email, id), None, &body).unwrap();
}

#[test]
fn a_ledger_file_is_continued_and_a_torn_line_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    create(&Ledger::open(Some(&path)).unwrap(), "ann@example.com", 1);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(br#"{"seq":2,"at_ms""#).unwrap();

    let ledger = Ledger::open(Some(&path)).unwrap();
    create(&ledger, "bea@example.com", 2);
    let again = Ledger::open(Some(&path)).unwrap();
    assert_eq!(again.effects(), ledger.effects());
    let emails: Vec<_> = again.leads().into_iter().map(|lead| lead.email).collect();
    assert_eq!(emails, ["ann@example.com", "bea@example.com"]);
    assert_eq!(again.effects().last().unwrap().seq, 2);
}

#[test]
fn a_reset_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let ledger = Ledger::open(Some(&path)).unwrap();
    create(&ledger, "ann@example.com", 1);
    ledger.reset().unwrap();
    create(&ledger, "bea@example.com", 1);
    assert_eq!(Ledger::open(Some(&path)).unwrap().leads().len(), 1);
}

#[test]
fn a_file_that_is_no_ledger_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "ann@example.com\n").unwrap();
    let error = Ledger::open(Some(&path)).unwrap_err().to_string();
    assert!(error.contains("line 1 is no ledger entry") && !error.contains("ann@"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "ann@example.com\n");
}
