use proptest::prelude::*;

use super::*;
use crate::lead::LookUp;

fn prepared(title: Option<&str>, company: Option<&str>) -> Prepared {
    Prepared {
        lead: Lead { email: "zoë@example.com".into(), first_name: Some("Zoë".into()), ..Lead::default() },
        looked_up: LookUp::Found {
            person: Box::new(Person {
                title: title.map(Into::into),
                company: company.map(Into::into),
                employee_count: Some(250.0),
                ..Person::default()
            }),
        },
        notes: Vec::new(),
    }
}

fn render(text: &str, prepared: &Prepared) -> Option<String> {
    Template::compile("destinations.x.fields.f", text).unwrap().render(&Context::of(prepared)).unwrap()
}

#[test]
fn half_a_sentence_is_never_written() {
    let at = "{{ person.title }} at {{ person.company }}";
    assert_eq!(render(at, &prepared(Some("VP"), Some("Acme & Söhne"))).as_deref(), Some("VP at Acme & Söhne"));
    assert_eq!(render(at, &prepared(Some("VP"), None)), None);
    assert_eq!(render(at, &prepared(None, Some("Acme"))), None);
    assert_eq!(render(at, &prepared(None, None)), None);
    assert_eq!(render(at, &Prepared::default()), None);
}

#[test]
fn parts_that_may_be_missing_are_said_so() {
    let optional = "{{ person.title }}{% if person.company %} at {{ person.company }}{% endif %}";
    assert_eq!(render(optional, &prepared(Some("VP"), None)).as_deref(), Some("VP"));
    assert_eq!(render("{{ person.title or lead.first_name }}", &prepared(None, None)).as_deref(), Some("Zoë"));
    assert_eq!(render("{{ person.title | default('a team') }}", &prepared(None, None)).as_deref(), Some("a team"));
    let other = "{% if person.title %}{{ person.title }}{% else %}no title{% endif %}";
    assert_eq!(render(other, &prepared(None, None)).as_deref(), Some("no title"));
    assert_eq!(
        render("{% if person.title is defined %}x{% else %}y{% endif %}", &prepared(None, None)).as_deref(),
        Some("y")
    );
}

#[test]
fn missing_value_inside_a_filter_or_a_join_leaves_the_field_out() {
    for text in [
        "works at {{ person.company | upper }}",
        "{{ 'at ' ~ person.company }}",
        "{{ lead.custom_fields.budget }} EUR",
        "{{ lead['phone'] }}!",
        "{% set c = person.company %}at {{ c }}",
    ] {
        assert_eq!(render(text, &prepared(Some("VP"), None)), None, "{text}");
    }
}

#[test]
fn blank_result_leaves_the_field_out() {
    assert_eq!(render(" \n {% if person.company %}x{% endif %}\t", &prepared(None, None)), None);
    assert_eq!(render("  Zoë  ", &prepared(None, None)).as_deref(), Some("Zoë"));
}

#[test]
fn custom_fields_are_reached_by_name() {
    let mut with = prepared(None, None);
    with.lead.custom_fields.insert("budget".into(), "10k".into());
    assert_eq!(render("{{ lead.custom_fields.budget }}", &with).as_deref(), Some("10k"));
    let optional = "{% if lead.custom_fields.budget %}b{% else %}none{% endif %}";
    assert_eq!(render(optional, &prepared(None, None)).as_deref(), Some("none"));
}

#[test]
fn counts_are_written_without_a_fraction_and_nothing_is_escaped() {
    assert_eq!(render("{{ person.employee_count }} <people>", &prepared(None, None)).as_deref(), Some("250 <people>"));
}

#[test]
fn unknown_names_are_found_when_compiling_and_the_nearest_is_named() {
    for (text, found, nearest) in [
        ("{{ person.titel }}", "person.titel", Some("person.title")),
        ("{{ lead.firstname }}", "lead.firstname", Some("lead.first_name")),
        ("{{ persn.title }}", "persn.title", Some("person.title")),
        ("{{ first_name }}", "first_name", Some("lead.first_name")),
        ("{% if false %}{{ lead.zzz }}{% endif %}", "lead.zzz", None),
        ("{{ xyzzy }}", "xyzzy", None),
    ] {
        let error = Template::compile("destinations.7targets.fields.context", text).unwrap_err();
        let TemplateError::UnknownName { found: was, nearest: named, .. } = &error else { panic!("{error}") };
        assert_eq!(was, found);
        if nearest.is_some() {
            assert_eq!(named.as_deref().map(|name| name.split('.').nth(1)), nearest.map(|name| name.split('.').nth(1)));
        }
        assert!(error.to_string().starts_with("destinations.7targets.fields.context: "), "{error}");
    }
}

#[test]
fn mistakes_are_found_when_compiling() {
    for text in [
        "{{ person.title",
        "{% if person.title %}x",
        "{{ person.title | upperr }}",
        "{{ nofunc(1) }}",
        "{% include 'x' %}",
    ] {
        assert!(Template::compile("k", text).is_err(), "{text}");
    }
    let error = Template::compile("k", "ok\n{{ person.title | upperr }}").unwrap_err();
    assert!(matches!(error, TemplateError::Fails { line: 2, .. }), "{error}");
}

#[test]
fn endless_templates_are_stopped_and_long_results_cut_at_a_whole_character() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    assert!(matches!(Template::compile("k", endless), Err(TemplateError::Fails { .. })));
    let long = "x{% for a in range(6000) %}ö{% endfor %}";
    let text = render(long, &prepared(None, None)).unwrap();
    assert!(text.len() <= MOST_BYTES && text.len() > MOST_BYTES - 2, "{}", text.len());
    assert!(text.ends_with('ö'));
}

#[test]
fn failure_on_one_lead_says_nothing_of_the_lead() {
    let template = Template::compile("k", "{{ lead.first_name | int if lead.note == 'boom' else 'x' }}").unwrap();
    let mut odd = prepared(None, None);
    odd.lead.note = Some("boom".into());
    let error = template.render(&Context::of(&odd)).unwrap_err();
    assert!(!error.to_string().contains("Zoë"), "{error}");
}

#[test]
fn names_listed_are_the_names_that_leads_and_people_have() {
    let Context(full) = &samples()[0];
    for (root, listed) in [("lead", &LEAD_FIELDS[..]), ("person", &PERSON_FIELDS[..])] {
        let root = full.get_attr(root).unwrap();
        let mut names: Vec<String> = root.try_iter().unwrap().map(|name| name.to_string()).collect();
        names.sort_unstable();
        assert_eq!(names, listed);
    }
}

/// What these ask for would be gigabytes.
#[test]
fn no_filter_makes_much_of_little() {
    let context = Context::of(&prepared(Some("VP"), None));
    let text = |text: &str| Template::compile("k", text).unwrap().render(&context).unwrap().unwrap();
    assert_eq!(text(r#"{{ ("a" * 90000) | replace("a", "b" * 90000) | length }}"#), (MOST_BYTES + 1).to_string());
    assert_eq!(text(r#"{{ ([1] * 90000) | join("a" * 90000) | length }}"#), (MOST_BYTES + 1).to_string());
    assert_eq!(
        text(r#"{{ "ab-b" | replace("b", "cd") }} {{ [1, "x"] | join(", ") }} {{ "abc" | join("-") }}"#),
        "acd-cd 1, x a-b-c"
    );
    assert_eq!(text(r#"{{ "ab" | replace("", "-") }} {{ 101 | replace(0, "o") }}"#), "-a-b- 1o1");
    for asks in [
        r#"{{ "x" | indent(9999999999) }}"#,
        r#"{{ [1] | batch(9999999999, 0) }}"#,
        r#"{{ [1] | slice(9999999999) }}"#,
        r#"{{ "%09999999999d" | format(1) }}"#,
        r#"{{ "a" * 9999999999 }}"#,
        r#"{{ [1] * 9999999999 }}"#,
        r#"{% for a in "a" * 9999 %}{% for b in "b" * 9999 %}{% endfor %}{% endfor %}"#,
    ] {
        assert!(matches!(Template::compile("k", asks), Err(TemplateError::Fails { .. })), "{asks}");
    }
}

/// The configuration takes templates of at most so many bytes; the stack must be deep enough for them.
#[test]
fn the_deepest_template_that_may_be_written_is_read_or_refused() {
    const MOST: usize = 2000;
    for (begin, part, end) in [
        ("{{ ", "-", "1 }}"),
        ("{{ ", "not ", "1 }}"),
        ("{{ 1", "~1", " }}"),
        ("{{ 1", "|e", " }}"),
        ("{{ lead", ".a", " }}"),
        ("{{ ", "(", ""),
        ("{{ ", "[", ""),
        ("{{ ", "{1:", ""),
        ("", "{%if 1%}", ""),
        ("{{ 1 if 1", " else 1 if 1", " }}"),
    ] {
        let text = format!("{begin}{}{end}", part.repeat((MOST - begin.len() - end.len()) / part.len()));
        if let Ok(template) = Template::compile("k", &text) {
            let _ = template.render(&Context::of(&prepared(None, None)));
        }
    }
}

proptest! {
    #[test]
    fn any_text_compiles_or_is_refused_without_panic(text in "[a-z{}%|. '()\\n]{0,60}") {
        if let Ok(template) = Template::compile("k", &text) {
            let _ = template.render(&Context::of(&prepared(Some("VP"), None)));
        }
    }
}
