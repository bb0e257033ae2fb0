use super::*;
use crate::auth::fake::FakeVault;
use crate::config::{Environment, parse};
use crate::lead::{Origin, RawLead};
use crate::secret::Secret;

const NUMBER: &str = "123-45-6789";

/// The bank beside another destination; `more` of its table.
async fn sealing(more: &str) -> Sealing {
    let text = format!(
        "[destinations.crm]\nkind = \"seven_targets\"\ndefault = true\n[destinations.bank]\nkind = \"lead_bank\"\n{more}"
    );
    let settings = parse("leadsync.toml", &text, Environment::default()).unwrap();
    let keyring = seal::Keyring::new(&[Secret::new("01".repeat(32))]).unwrap();
    Sealing::open(&settings, &FakeVault::default(), &keyring).await.unwrap()
}

fn stored(sealing: &Sealing, custom_fields: &str) -> Option<String> {
    let mut row = NewLead {
        raw: RawLead { custom_fields: Some(custom_fields.to_owned()), ..RawLead::default() },
        destination: "crm".to_owned(),
        origin: Origin { file: "-".to_owned(), row: 2 },
        rejected: None,
    };
    sealing.seal_row(&mut row).unwrap();
    row.raw.custom_fields
}

fn prepared(custom_fields: &str) -> Prepared {
    let custom_fields = custom::fields(custom_fields, &mut Vec::new());
    Prepared { lead: Lead { custom_fields, ..Lead::default() }, ..Prepared::default() }
}

#[tokio::test]
async fn however_it_is_written_it_is_not_stored_readable_and_reaches_its_destination_alone() {
    let sealing = sealing("").await;
    let long = format!(r#"{{"tax_id": "{NUMBER}{}"}}"#, "x".repeat(4000));
    for written in [
        r#"{"tax_id": "123-45-6789", "tier": "gold"}"#,
        r#"{"Tax_ID": "123-45-6789"}"#,
        r#"{" tax_id ": "123-45-6789"}"#,
        "\u{feff}{\"tax_id\": \"123-45-6789\"}\0",
        "{\"tax_id\u{200b}\": \"123-45-6789\"}",
        r#"{"tax\u005fid": "123-45-6789"}"#,
        &long,
    ] {
        let kept = stored(&sealing, written).unwrap();
        assert!(!kept.contains(NUMBER), "{written}: {kept}");
        let mut of = prepared(&kept);
        let told = sealing.opened("bank", &of).into_owned();
        assert!(told.lead.custom_fields["tax_id"].starts_with(NUMBER), "{written}");
        assert_eq!(stored(&sealing, &kept).unwrap(), kept, "once is enough");
        assert!(sealing.withhold("crm", &mut of.lead) && !of.lead.custom_fields.contains_key("tax_id"));
    }
}

#[tokio::test]
async fn what_can_not_be_read_is_left_out_and_what_was_sealed_elsewhere_is_that_leads_own_fault() {
    let sealing = sealing("").await;
    for written in [r#"{"tax_id": ["123-45-6789"]}"#, r#"{"tax_id": "123-45-6789""#, "tax_id: 123-45-6789"] {
        let kept = stored(&sealing, written).unwrap();
        assert!(!kept.contains(NUMBER), "{written}: {kept}");
    }
    // A text that only looks sealed is a value like any other.
    let kept = stored(&sealing, r#"{"tax_id": "sealed:AAAA"}"#).unwrap();
    assert_eq!(sealing.opened("bank", &prepared(&kept)).lead.custom_fields["tax_id"], "sealed:AAAA");
    let foreign = prepared(r#"{"tax_id": "sealed:AAAA", "tier": "gold"}"#);
    assert_eq!(sealing.opened("bank", &foreign).lead.custom_fields.keys().collect::<Vec<_>>(), ["tier"]);
    let harmless = r#"{"tier": "gold", "n": [1]}"#;
    assert_eq!(stored(&sealing, harmless).as_deref(), Some(harmless));
}

#[tokio::test]
async fn a_text_that_is_no_object_is_still_known_for_none_and_shown_to_nobody() {
    let sealing = sealing("").await;
    let kept = stored(&sealing, "tax_id: 123-45-6789").unwrap();
    let mut notes = Vec::new();
    assert!(custom::fields(&kept, &mut notes).is_empty() && notes[0].contains("not a JSON object"), "{notes:?}");
    assert_eq!(stored(&sealing, &kept).unwrap(), kept, "once is enough");
}

#[test]
fn an_operator_is_shown_no_value_that_is_to_be_sealed() {
    let parsed = |text: &str| parse("leadsync.toml", text, Environment::default()).unwrap();
    let bank = parsed("[destinations.bank]\nkind = \"lead_bank\"\n");
    for written in [
        "tax: 123-45-6789",
        r#"{"tax_id": "123-45-6789""#,
        r#"{"tax_id": "123-45-6789", "tier": "gold"}"#,
        r#"{" TAX_id ": ["123-45-6789"]}"#,
        r#"{"tax\u005fid": 123456789}"#,
    ] {
        let shown = shown(&bank, written.to_owned());
        assert!(!shown.contains("6789"), "{shown}");
        assert!(shown.contains("***") || shown.contains("no JSON object ("), "{shown}");
        assert_eq!(shown.contains("gold"), written.contains("gold"), "{shown}");
    }
    let sealed = r#"{"tax_id": "sealed:AAAA", "n": 1}"#;
    assert_eq!(shown(&bank, sealed.to_owned()), r#"{"n":1,"tax_id":"***"}"#);
    let twice = r#"{"tax_id": "123-45-6789", "tax_id": "sealed:AAAA"}"#;
    assert_eq!(shown(&bank, twice.to_owned()), r#"{"tax_id":"***"}"#);
    let without = parsed("[destinations.crm]\nkind = \"seven_targets\"\n");
    assert_eq!(shown(&without, "plan = gold".to_owned()), "plan = gold");
}

#[tokio::test]
async fn a_mistake_in_the_destinations_table_does_not_switch_it_off() {
    let sealing = sealing("allowlist = [\"10.0.0.0/8\"]\ntax_id = \"ssn\"\n").await;
    assert!(!stored(&sealing, r#"{"ssn": "123-45-6789"}"#).unwrap().contains(NUMBER));
}
