use proptest::prelude::*;

use super::*;

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn named(first: Option<&str>, last: Option<&str>) -> Lead {
    Lead {
        email: "ann@acme.com".into(),
        first_name: first.map(Into::into),
        last_name: last.map(Into::into),
        ..Lead::default()
    }
}

fn person(first: &str, last: &str) -> Person {
    Person { first_name: some(first), last_name: some(last), ..Person::default() }
}

fn found(person: Person) -> LookUp {
    LookUp::Found { person: Box::new(person) }
}

fn name_after(lead: &Lead, person: Person, precedence: Precedence) -> (Option<String>, Option<String>) {
    let (merged, _) = merge(lead, &found(person), precedence);
    (merged.first_name, merged.last_name)
}

#[test]
fn without_an_answer_nothing_changes() {
    for looked_up in [LookUp::NotAsked, LookUp::NotFound, found(Person::default())] {
        let lead = named(Some("Ann"), None);
        assert_eq!(merge(&lead, &looked_up, Precedence::Enriched), (lead, Vec::new()));
    }
}

#[test]
fn blanks_are_filled_and_ours_wins() {
    let lead = Lead { company: some("Ours"), ..named(Some("Ann"), None) };
    let person = Person {
        company: some("Theirs"),
        title: some(" VP\u{a0}"),
        linkedin: some("https://www.linkedin.com/in/ann-bee/?x=1"),
        direct_dial: some("+1 (415) 555-0100"),
        cell_phone: some("+14155550199"),
        ..person("ANN", "Bee")
    };
    let (merged, notes) = merge(&lead, &found(person), Precedence::Source);
    assert_eq!(merged.first_name.as_deref(), Some("Ann"));
    assert_eq!(merged.last_name.as_deref(), Some("Bee"));
    assert_eq!(merged.company.as_deref(), Some("Ours"));
    assert_eq!(merged.job_title.as_deref(), Some("VP"));
    assert_eq!(merged.linkedin.as_deref(), Some("ann-bee"));
    assert_eq!(merged.phone.as_deref(), Some("+14155550100"));
    assert_eq!(notes, ["filled from the look-up: last_name, phone, job_title, linkedin"]);
}

#[test]
fn theirs_wins_if_asked_to_but_mail_and_notes_stay_ours() {
    let lead =
        Lead { company: some("Ours"), phone: some("+4930123456"), note: some("n"), ..named(Some("Ann"), Some("Bee")) };
    let person = Person {
        company: some("Theirs"),
        work_email: some("a@theirs.com"),
        cell_phone: some("+14155550199"),
        ..person("Ann", "Cee")
    };
    let (merged, notes) = merge(&lead, &found(person), Precedence::Enriched);
    assert_eq!(merged.email, "ann@acme.com");
    assert_eq!(merged.note.as_deref(), Some("n"));
    assert_eq!(merged.company.as_deref(), Some("Theirs"));
    assert_eq!(merged.last_name.as_deref(), Some("Cee"));
    assert_eq!(merged.phone.as_deref(), Some("+14155550199"));
    assert_eq!(notes, ["replaced by the look-up: last_name, phone, company"]);
}

#[test]
fn nobody_is_renamed_to_another_person() {
    for precedence in [Precedence::Source, Precedence::Enriched] {
        for (first, last) in [
            (Some("Ann"), Some("Bee")),
            (Some("Ann"), None),
            (None, Some("Bee")),
            (Some("Jean-Luc"), None),
            (Some("B."), None),
            (Some("B."), Some("Bee")),
        ] {
            let lead = named(first, last);
            let other = if first == Some("Jean-Luc") { "Jean-Pierre" } else { "Bob" };
            let (merged, notes) = merge(&lead, &found(person(other, "Jones")), precedence);
            assert_eq!(merged, lead, "{first:?} {last:?}");
            assert_eq!(notes, ["name: the look-up found another name, ours was kept"]);
        }
    }
}

#[test]
fn given_names_agree_whatever_case_accents_and_hyphens() {
    for (ours, theirs) in [
        ("jose", "José"),
        ("ANN", "Ann"),
        ("Jean-Luc", "Jean Luc"),
        ("Jeanluc", "Jean-Luc"),
        ("Anna", "Anna Maria"),
        ("Søren", "Soren"),
        ("Łukasz", "Lukasz"),
        ("D'Arcy", "Darcy"),
        ("美咲", "美咲"),
        ("Ольга", "ОЛЬГА"),
    ] {
        let (_, last) = name_after(&named(Some(ours), None), person(theirs, "Bee"), Precedence::Source);
        assert_eq!(last.as_deref(), Some("Bee"), "{ours} {theirs}");
    }
    let (_, last) = name_after(&named(Some("美咲"), None), person("陽菜", "Bee"), Precedence::Source);
    assert_eq!(last, None, "letters outside ASCII are compared too");
}

#[test]
fn name_is_taken_if_we_have_none_or_the_family_agrees() {
    let taken = name_after(&named(None, None), person("Bob", "Jones"), Precedence::Source);
    assert_eq!(taken, (some("Bob"), some("Jones")));
    let taken = name_after(&named(None, Some("JONES")), person("Bob", "Jones"), Precedence::Source);
    assert_eq!(taken, (some("Bob"), some("JONES")));
    let taken = name_after(&named(Some("B"), Some("Jones")), person("Bob", "Jones"), Precedence::Enriched);
    assert_eq!(taken, (some("Bob"), some("Jones")));
}

#[test]
fn phone_is_taken_only_as_an_international_number() {
    for (number, country, expected) in [
        ("+49 30 901820", None, Some("+4930901820")),
        ("(650) 253-0000", Some("US"), Some("+16502530000")),
        ("(650) 253-0000", None, None),
        ("+1", None, None),
        ("+0123456789", None, None),
        ("+1415555CALL", None, None),
        ("call the office", Some("US"), None),
        ("+1234567890123456", None, None),
    ] {
        let person = Person { direct_dial: some(number), country_code: country.map(Into::into), ..Person::default() };
        let (merged, notes) = merge(&named(Some("Ann"), None), &found(person), Precedence::Source);
        assert_eq!(merged.phone.as_deref(), expected, "{number}");
        assert!(!notes.is_empty(), "{number}");
    }
}

#[test]
fn job_has_changed_only_if_both_employers_are_known_and_differ() {
    let at = |email: &str, domain: Option<&str>, work_email: Option<&str>| {
        let lead = Lead { email: email.into(), ..Lead::default() };
        let person = Person {
            company_domain: domain.map(Into::into),
            work_email: work_email.map(Into::into),
            ..Person::default()
        };
        job_changed(&lead, &person)
    };
    assert!(at("ann@acme.com", Some("other.com"), None));
    assert!(at("ann@acme.co.uk", Some("other.co.uk"), None));
    assert!(!at("ann@acme.com", Some("acme.com"), None));
    assert!(!at("ann@mail.acme.com", Some("www.acme.com"), None));
    assert!(!at("ann@acme.de", Some("acme.com"), None));
    assert!(!at("ann@acme.com", None, None));
    assert!(!at("ann@acme.com", Some(" "), None));
    assert!(!at("ann@gmail.com", Some("other.com"), None));
    assert!(!at("ann@goog.com", Some("google.com"), Some("ann@goog.com")));
    assert!(!at("", Some("other.com"), None));
}

proptest! {
    #[test]
    fn any_answer_merges_without_panic_and_leaves_no_blank(
        ours in prop::option::of("\\PC{1,12}"),
        texts in prop::collection::vec(prop::option::of("\\PC{0,24}|[+0-9 ()-]{0,20}"), 8),
        enriched in any::<bool>(),
    ) {
        let ours = value(&ours);
        let lead = Lead { first_name: ours.clone(), ..named(None, None) };
        let person = Person {
            first_name: texts[0].clone(), last_name: texts[1].clone(), company: texts[2].clone(), title: texts[3].clone(),
            linkedin: texts[4].clone(), direct_dial: texts[5].clone(), country_code: texts[6].clone(),
            cell_phone: texts[7].clone(), company_domain: texts[2].clone(), ..Person::default()
        };
        let changed = job_changed(&lead, &person);
        prop_assert!(!changed || person.company_domain.is_some());
        let precedence = if enriched { Precedence::Enriched } else { Precedence::Source };
        let (merged, _) = merge(&lead, &found(person), precedence);
        prop_assert_eq!(&merged.email, &lead.email);
        for field in [&merged.first_name, &merged.last_name, &merged.phone, &merged.company, &merged.job_title, &merged.linkedin] {
            prop_assert!(field.as_deref().is_none_or(|text| !text.is_empty() && text.trim() == text));
        }
        if precedence == Precedence::Source && ours.is_some() {
            prop_assert_eq!(merged.first_name, ours);
        }
    }
}
