use super::*;
use proptest::prelude::*;

fn options() -> NormaliseSettings {
    NormaliseSettings { default_region: "US".to_owned() }
}

fn lead_of(raw: &RawLead) -> (Lead, Vec<String>) {
    normalise(raw, &options()).unwrap()
}

fn raw(email: &str) -> RawLead {
    RawLead { email: Some(email.to_owned()), ..RawLead::default() }
}

/// As if somebody exported a lead and imported it again.
fn again(lead: &Lead) -> RawLead {
    let custom = (!lead.custom_fields.is_empty()).then(|| serde_json::to_string(&lead.custom_fields).unwrap());
    RawLead {
        email: Some(lead.email.clone()),
        first_name: lead.first_name.clone(),
        last_name: lead.last_name.clone(),
        phone: lead.phone.clone(),
        company: lead.company.clone(),
        job_title: lead.job_title.clone(),
        linkedin: lead.linkedin.clone(),
        source: lead.source.clone(),
        context: lead.context.clone(),
        note: lead.note.clone(),
        custom_fields: custom,
        external_id: lead.external_id.clone(),
    }
}

fn shown(lead: &Lead) -> serde_json::Value {
    serde_json::to_value(lead).unwrap()
}

#[test]
fn every_field_is_brought_into_its_one_form() {
    let raw = RawLead {
        email: Some(" Ann.Bee@Example.com".into()),
        first_name: Some("  Ann\u{a0} Marie\u{200b} ".into()),
        last_name: Some("Be\u{301}e".into()),
        phone: Some("(415) 555-2671".into()),
        company: Some("Acme\r\nInc.".into()),
        job_title: Some("\tHead of Things\0".into()),
        linkedin: Some("https://linkedin.com/in/ann-bee/".into()),
        source: Some("Website".into()),
        context: Some(" first \r\n second\n\n".into()),
        note: Some("\u{202a}hello\u{202c}".into()),
        custom_fields: Some(r#"{"plan": "pro"}"#.into()),
        external_id: Some(" 0042 ".into()),
    };
    let (lead, notes) = lead_of(&raw);
    assert_eq!(notes, [""; 0]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&lead).unwrap(), @r#"
    {
      "email": "ann.bee@example.com",
      "first_name": "Ann Marie",
      "last_name": "Bée",
      "phone": "+14155552671",
      "company": "Acme Inc.",
      "job_title": "Head of Things",
      "linkedin": "ann-bee",
      "source": "Website",
      "context": "first\n second",
      "note": "hello",
      "custom_fields": {
        "plan": "pro"
      },
      "external_id": "0042"
    }
    "#);
}

#[test]
fn an_optional_value_that_cannot_be_used_is_left_out_and_noted_and_the_lead_goes_on() {
    let raw = RawLead {
        first_name: Some("n/a".into()),
        last_name: Some("#REF!".into()),
        phone: Some("12".into()),
        company: Some("x".repeat(300)),
        job_title: Some(" ".into()),
        linkedin: Some("https://linkedin.com/company/acme".into()),
        custom_fields: Some("plan=pro".into()),
        external_id: Some("9".repeat(300)),
        ..raw("ann@example.com")
    };
    let (lead, notes) = lead_of(&raw);
    assert_eq!(
        notes,
        [
            "first_name: a placeholder, left out",
            "last_name: a spreadsheet's error value, left out",
            "company: cut to 255 characters",
            "phone: not a valid number, left out",
            "linkedin: not the address of a person's profile, left out",
            "custom_fields: not a JSON object ({\"name\": \"value\"}), left out",
            "external_id: longer than 255 characters, left out",
        ]
    );
    assert_eq!(lead.company.as_ref().map(String::len), Some(255));
    assert_eq!(shown(&lead), serde_json::json!({ "email": "ann@example.com", "company": "x".repeat(255) }));
}

#[test]
fn without_a_usable_address_the_lead_is_rejected_by_the_name_of_the_field() {
    assert_eq!(normalise(&RawLead::default(), &options()).unwrap_err().to_string(), "email: missing");
    let rejection = normalise(&raw("ann.secret"), &options()).unwrap_err();
    assert_eq!(rejection.field, "email");
    assert!(!rejection.to_string().contains("secret"));
}

/// Text with the characters that make trouble, more often than chance would have it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ a-zA-ZÄ-ößİıǅΣς\u{301}\u{307}\u{200b}-\u{200f}\u{a0}\u{feff}\r\n\t\0,;<>@.'\"+0-9-]{0,30}",
        "[+0-9() x#.-]{0,20}",
        "(https?://)?([a-z.]{0,5}linkedin\\.com)?/?(in)?/?[%a-zÄ-ö0-9-]{0,12}",
    ]
}

fn any_raw() -> impl Strategy<Value = RawLead> {
    let optional = || prop::option::of(text());
    let email = prop_oneof![
        text().prop_map(Some),
        "[a-zA-ZÄ-öİßΣς.+\u{301}\u{307}]{1,10}@[a-zA-ZÄ-öß。.-]{1,10}\\.[a-z]{2,3}".prop_map(Some),
        Just(Some("ann@example.com".to_owned())),
    ];
    let custom = prop_oneof![
        optional(),
        prop::collection::btree_map(text(), text(), 0..4).prop_map(|map| Some(serde_json::to_string(&map).unwrap())),
    ];
    (
        (email, optional(), optional(), optional(), optional(), optional()),
        (optional(), optional(), optional(), optional(), custom, optional()),
    )
        .prop_map(
            |(
                (email, first_name, last_name, phone, company, job_title),
                (linkedin, source, context, note, custom_fields, external_id),
            )| RawLead {
                email,
                first_name,
                last_name,
                phone,
                company,
                job_title,
                linkedin,
                source,
                context,
                note,
                custom_fields,
                external_id,
            },
        )
}

/// The largest cells that an import reads, of what takes longest to look through: all in one row, and no row may take
/// the square of its length.
#[test]
fn the_longest_cells_are_read_or_refused_in_reasonable_time() {
    let long = std::env::var_os("LEADSYNC_TEST_LONG").is_some();
    let cell_bytes = if long { 64 << 10 } else { 8 << 10 };
    let parts = [
        "a",
        "@",
        "a@",
        ".",
        ",.",
        "<",
        "<a@b.example>",
        "mailto:",
        "xn--",
        "ü",
        "a.",
        "é\u{301}",
        "\u{301}",
        "\u{fdfa}",
        "\u{200d}",
        "＠",
        "1",
        "+",
        "(",
        "1 ",
        "x1",
        ";ext=1",
        "0",
        "/",
        "/in/",
        "%",
        "%41",
        "https://",
        "?",
        " ",
        "\n",
        "\r\n",
        "\0",
        "-",
        "#N/A",
        "{\"a\":",
        "[",
        "\"",
        "\\",
        "{\"a\":1,",
        "e",
        "9e9",
        "\u{feff}",
        "I\u{307}",
        "ß",
        "σ",
    ];
    for part in parts {
        let cell = Some(part.repeat(cell_bytes / part.len()));
        for (email, custom_fields) in [
            (Some("ann@example.com".to_owned()), cell.clone()),
            (cell.clone(), None),
            (
                Some(format!("ann@{}.example", &cell.as_ref().unwrap()[..part.len() * 200])),
                Some(format!("{{\"a\": {part:?}}}")),
            ),
        ] {
            let all = RawLead {
                email,
                first_name: cell.clone(),
                last_name: cell.clone(),
                phone: cell.clone(),
                company: cell.clone(),
                job_title: cell.clone(),
                linkedin: cell.clone(),
                source: cell.clone(),
                context: cell.clone(),
                note: cell.clone(),
                custom_fields,
                external_id: cell.clone(),
            };
            if let Ok((lead, notes)) = normalise(&all, &options()) {
                assert!(shown(&lead).to_string().len() < 200_000, "{part:?}");
                assert!(notes.iter().map(String::len).sum::<usize>() < 2_000, "{part:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn normalising_what_is_normal_changes_nothing(raw in any_raw()) {
        if let Ok((lead, _)) = normalise(&raw, &options()) {
            let (same, notes) = normalise(&again(&lead), &options()).unwrap();
            prop_assert_eq!(shown(&same), shown(&lead));
            prop_assert_eq!(notes, Vec::<String>::new());
        }
    }

    #[test]
    fn no_value_is_blank_or_holds_control_characters(raw in any_raw()) {
        if let Ok((lead, _)) = normalise(&raw, &options()) {
            for value in shown(&lead).as_object().unwrap().values().filter_map(|value| value.as_str()) {
                prop_assert!(!value.is_empty());
                prop_assert_eq!(value.trim(), value);
                prop_assert!(!value.chars().any(|c| c.is_control() && c != '\n'));
            }
        }
    }

    #[test]
    fn case_and_space_do_not_change_who_it_is(local in "[a-z0-9]{1,10}(\\.[a-z]{1,5})?", domain in "[a-z]{1,10}\\.(com|example)") {
        let plain = lead_of(&raw(&format!("{local}@{domain}"))).0.email;
        for variant in [
            format!("  {}@{}\n", local.to_uppercase(), domain.to_uppercase()),
            format!("\u{feff}{local}\u{200b}@{domain}."),
            format!("Somebody <{local}@{domain}>"),
            format!("mailto:{local}@{domain}"),
        ] {
            prop_assert_eq!(&lead_of(&raw(&variant)).0.email, &plain);
        }
    }
}
