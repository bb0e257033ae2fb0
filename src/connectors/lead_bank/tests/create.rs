use super::*;

#[test]
fn a_lead_becomes_an_individual_with_what_the_bank_needs_and_no_more() {
    let request = create(lead());
    assert_eq!(format!("{request:?}"), "POST https://api.sandbox.lead.bank/v0/entities");
    assert_eq!(request.headers["content-type"], "application/json");
    let sent = body(&request);
    let id = sent["client_customer_id"].as_str().unwrap();
    assert!(id.starts_with("leadsync-") && id.len() <= 64 && !id.contains("zoe"), "{id}");
    assert_eq!(
        sent,
        json!({
            "type": "individual", "client_customer_id": id,
            "individual_details": {
                "first_name": "Zoë", "last_name": "O'Néill",
                "contact_methods": [
                    {"type": "email", "email": "zoe@acme.example"},
                    {"type": "phone_number", "phone_number": "+13035550100"},
                ],
                "identification_details": {
                    "type": "us_entity", "tax_identification": {"type": "ssn", "value": DIGITS},
                },
            },
        })
    );
}

#[test]
fn what_the_bank_would_refuse_is_refused_before_any_call_and_without_its_value() {
    let change = |change: &dyn Fn(&mut Lead)| {
        let mut lead = lead();
        change(&mut lead);
        bank(settings()).create(&prepared(lead)).unwrap_err()
    };
    assert_eq!(change(&|lead| lead.first_name = None).field, "first_name");
    assert_eq!(change(&|lead| lead.last_name = None).field, "last_name");
    assert_eq!(change(&|lead| lead.last_name = Some("B.".into())).field, "last_name");
    assert_eq!(change(&|lead| lead.email.clear()).field, "email");
    for number in ["", "  ", "12345678", "1234567890", "12345678x", "١٢٣٤٥٦٧٨٩", "sealed:AAAA", "923456789"] {
        let refused = change(&|lead| {
            lead.custom_fields.insert("tax_id".into(), number.into());
        });
        assert_eq!(refused.field, "custom_fields");
        assert!(refused.reason.starts_with("`tax_id` is ") && !refused.reason.contains("2345"), "{}", refused.reason);
    }
    let mut with_itin = settings();
    with_itin.tax_id_type = "itin";
    assert!(bank(with_itin.clone()).create(&prepared(lead())).is_err());
    let mut foreign = lead();
    foreign.custom_fields.insert("tax_id".into(), "912 34 5678".into());
    let sent = body(&bank(with_itin).create(&prepared(foreign)).unwrap());
    let identification = &sent["individual_details"]["identification_details"]["tax_identification"];
    assert_eq!(*identification, json!({"type": "itin", "value": "912345678"}));
}

#[test]
fn an_address_that_the_bank_does_not_take_stays_out_and_the_lead_goes() {
    for email in ["\"zoe\"@acme.example", "zoe@[203.0.113.7]", "zoe@localhost"] {
        let sent = body(&create(Lead { email: email.into(), ..lead() }));
        assert_eq!(sent["individual_details"]["contact_methods"].as_array().unwrap().len(), 1, "{email}");
    }
    let sent = body(&create(Lead { email: "zoe@localhost".into(), phone: None, ..lead() }));
    assert_eq!(sent["individual_details"].get("contact_methods"), None);
}

#[test]
fn a_repeat_is_the_same_request_and_a_corrected_lead_another() {
    let (one, other) = (create(lead()), create(lead()));
    assert_eq!((&one.body, &one.headers), (&other.body, &other.headers));
    let key = key_of(lead());
    assert!(key.len() <= 255 && key.starts_with("leadsync-"), "{key}");
    for (said, name) in [("zoe", "address"), ("acme", "address"), (DIGITS, "number"), ("6789", "number")] {
        assert!(!key.contains(said), "the {name} shows in {key}");
    }
    // How the number is written makes no other request; what it is, does: any digit changed, any two neighbours swapped.
    let with = |number: &str| {
        let mut lead = lead();
        lead.custom_fields.insert("tax_id".into(), number.into());
        key_of(lead)
    };
    assert_eq!(with(DIGITS), key);
    for at in 0..9 {
        let mut digits = DIGITS.as_bytes().to_vec();
        digits[at] = if at == 0 { b'2' } else { b'0' };
        assert_ne!(with(std::str::from_utf8(&digits).unwrap()), key, "digit {at}");
        if at > 0 {
            let mut digits = DIGITS.as_bytes().to_vec();
            digits.swap(at - 1, at);
            assert_ne!(with(std::str::from_utf8(&digits).unwrap()), key, "digits {at}");
        }
    }
    // Nine digits have a thousand million values: of any two thousand, each makes a key of its own.
    let keys: std::collections::BTreeSet<String> =
        (0..2000).map(|n| with(&format!("{:09}", 123_450_000 + n))).collect();
    assert_eq!(keys.len(), 2000);
    // Who knows all else that is sent, and not the secret, can't try the numbers.
    let other = LeadBankSettings { client_secret: Secret::new("other"), ..settings() };
    let other = bank(other).create(&prepared(lead())).unwrap();
    assert_ne!(other.headers["idempotency-key"].to_str().unwrap(), key);
    assert_ne!(key_of(Lead { last_name: Some("Oneill".into()), ..lead() }), key);
    // What is not sent makes no difference.
    assert_eq!(key_of(Lead { note: None, ..lead() }), key);
    // Another address of the API is another program.
    let live = LeadBankSettings { base_url: "https://api.lead.bank".parse().unwrap(), ..settings() };
    let live = bank(live).create(&prepared(lead())).unwrap();
    assert_ne!(live.headers["idempotency-key"].to_str().unwrap(), key);
}

#[test]
fn one_customer_has_one_number_whatever_else_is_known() {
    let id = |lead: Lead| body(&create(lead))["client_customer_id"].as_str().unwrap().to_owned();
    let changed = Lead { first_name: Some("Zoe".into()), phone: None, external_id: Some("1".into()), ..lead() };
    assert_eq!(id(changed), id(lead()));
    assert_ne!(id(Lead { email: "zoa@acme.example".into(), ..lead() }), id(lead()));
    let look = bank(settings()).find(&prepared(lead())).unwrap();
    assert_eq!(look.method, Method::GET);
    let expected = format!("https://api.sandbox.lead.bank/v0/entities?client_customer_id={}", id(lead()));
    assert_eq!(look.url.as_str(), expected);
    assert_eq!(format!("{look:?}"), "GET https://api.sandbox.lead.bank/v0/entities");
}
