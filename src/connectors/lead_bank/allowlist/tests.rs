use proptest::prelude::*;

use super::*;

fn findings(text: &str) -> Vec<(Severity, Option<usize>, String)> {
    let findings = check(text).findings;
    findings.into_iter().map(|it| (it.severity, it.line, format!("{}; {}", it.problem, it.remedy))).collect()
}

/// The only finding about one entry.
fn only(entry: &str) -> (Severity, String) {
    let report = check(entry);
    let [finding] = report.findings.as_slice() else { panic!("{entry}: {:?}", report.findings) };
    assert_eq!((finding.line, finding.entry.as_str()), (Some(1), entry));
    (finding.severity, format!("{}; {}", finding.problem, finding.remedy))
}

#[test]
fn a_good_list_has_nothing_to_say_and_its_subnets() {
    let text =
        "\u{feff}# office\n203.0.113.0/24\n\n198.51.100.7/32 # the CI\n\"8.8.0.0/20\", '1.1.1.0/31';9.9.9.9/32\r\n";
    let report = check(text);
    assert_eq!(report.findings, []);
    assert!(report.is_usable());
    let shown: Vec<String> = report.subnets.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["203.0.113.0/24", "198.51.100.7/32", "8.8.0.0/20", "1.1.1.0/31", "9.9.9.9/32"]);
    assert!(report.holds("8.8.15.255".parse().unwrap()) && !report.holds("8.8.16.0".parse().unwrap()));
}

#[test]
fn prefixes_from_20_to_32_are_taken_and_no_others() {
    assert!(check("8.8.0.0/20").is_usable() && check("8.8.8.8/32").is_usable());
    for entry in ["8.0.0.0/8", "8.8.0.0/16", "8.8.0.0/19", "8.0.0.0/7"] {
        let (severity, said) = only(entry);
        assert!(severity == Severity::Error && said.contains("broader than /20"), "{said}");
    }
    for entry in ["8.8.8.0/33", "8.8.8.0/", "8.8.8.0/024", "8.8.8.0/+24", "8.8.8.0/255.255.255.0", "8.8.8.0/24/24"] {
        let (severity, said) = only(entry);
        assert!(severity == Severity::Error && said.contains("from 20 to 32"), "{entry}: {said}");
    }
}

#[test]
fn excluded_ranges_are_refused_from_their_first_address_to_their_last() {
    for (inside, outside) in [
        (["10.0.0.0/20", "10.255.255.255/32"], ["9.255.255.255/32", "11.0.0.0/32"]),
        (["172.16.0.0/20", "172.31.240.0/20"], ["172.15.240.0/20", "172.32.0.0/20"]),
        (["192.168.0.0/24", "192.168.255.255/32"], ["192.167.255.255/32", "192.169.0.0/20"]),
        (["127.0.0.1/32", "127.255.240.0/20"], ["126.255.255.255/32", "128.0.0.0/20"]),
        (["169.254.0.0/20", "169.254.169.254/32"], ["169.253.255.255/32", "169.255.0.0/20"]),
    ] {
        for entry in inside {
            let (severity, said) = only(entry);
            assert!(severity == Severity::Error && said.contains("which the bank refuses"), "{entry}: {said}");
        }
        for entry in outside {
            assert_eq!(check(entry).findings, [], "{entry}");
        }
    }
}

#[test]
fn addresses_that_no_call_comes_from_are_warned_of() {
    for entry in
        ["0.0.0.0/20", "100.64.0.1/32", "100.127.255.255/32", "224.0.0.0/24", "240.0.0.0/20", "255.255.255.255/32"]
    {
        let (severity, said) = only(entry);
        assert!(severity == Severity::Warning && said.contains("no call can come from there"), "{entry}: {said}");
        let report = check(&format!("{entry}\n8.8.8.0/24"));
        assert!(report.is_usable() && report.idle() == 1, "{report:?}");
    }
    for entry in ["1.0.0.0/20", "100.63.255.255/32", "100.128.0.0/20", "223.255.255.255/32"] {
        assert_eq!(check(entry).findings, [], "{entry}");
    }
    let everything = findings("0.0.0.0/0");
    assert_eq!(everything.len(), 3, "broad, holds what is excluded, holds what is doubtful: {everything:?}");
}

#[test]
fn what_is_no_ipv4_address_is_named_with_its_line() {
    for (entry, words) in [
        ("2001:db8::/32", "IPv6"),
        ("::ffff:203.0.113.7/128", "IPv6"),
        ("203.0.113/24", "no IPv4 address"),
        ("203.0.113.7.8/32", "no IPv4 address"),
        ("203.0.113.x/24", "no IPv4 address"),
        ("203.0..7/32", "no IPv4 address"),
        ("example.com", "no IPv4 address"),
        ("203.0.113.0-255", "no IPv4 address"),
        ("203.0.113.+1/32", "no IPv4 address"),
        ("203.0.113.256/32", "above 255"),
        ("203.0.113.99999999999999999999/32", "above 255"),
        ("203.0.113.07/32", "leading zeros"),
        ("010.8.8.8/32", "leading zeros"),
        ("1.2.3.0/19", "write 1.2.3.0/32 if the one address is meant; the bank does not take 1.2.0.0/19"),
        ("8.8.8.0/33", "behind its slash is no prefix"),
        ("203.0.113.7/24", "write 203.0.113.0/24 for the whole subnet, or 203.0.113.7/32 for the one address"),
    ] {
        let (severity, said) = only(entry);
        assert!(severity == Severity::Error && said.contains(words), "{entry}: {said}");
        let finding = check(entry).findings.remove(0);
        assert!(!finding.to_string().contains(&finding.remedy), "{finding}");
        let (_, line, _) = findings(&format!("8.8.8.8/32\n# more\n{entry}")).pop().unwrap();
        assert_eq!(line, Some(3));
    }
    let (severity, said) = only("203.0.113.7");
    assert!(severity == Severity::Warning && said.ends_with("write 203.0.113.7/32"), "{said}");
}

#[test]
fn an_entry_that_another_holds_is_named_with_the_other() {
    assert_eq!(
        findings("8.8.8.8/32\n8.8.8.0/24\n9.9.9.9/32\n8.8.8.0/25\n9.9.9.9/32\n8.8.9.0/24"),
        [
            (Severity::Error, Some(1), "8.8.8.0/24 on line 2 holds it already; leave it out".to_owned()),
            (Severity::Error, Some(4), "8.8.8.0/24 on line 2 holds it already; leave it out".to_owned()),
            (Severity::Error, Some(5), "it stands on line 3 already; leave it out".to_owned()),
        ]
    );
}

#[test]
fn more_than_thirty_and_none_at_all_are_refused() {
    let list = |count: usize| (0..count).map(|n| format!("8.8.{n}.0/24\n")).collect::<String>();
    assert!(check(&list(30)).is_usable());
    let report = check(&list(31));
    let [finding] = report.findings.as_slice() else { panic!("{:?}", report.findings) };
    assert_eq!(finding.line, None);
    assert!(finding.problem.contains("31 entries") && !report.is_usable());
    for empty in ["", "\n\n", "# nothing\n", ",;,"] {
        assert!(findings(empty)[0].2.contains("no subnet"), "{empty}");
    }
}

#[test]
fn another_file_altogether_is_told_in_few_words() {
    let report = check(&"name,email\n".repeat(5000));
    assert!(report.findings.len() < 60 && !report.is_usable());
    let finding = Finding { entry: short(&"x".repeat(500)), ..report.findings[0].clone() };
    assert!(finding.to_string().chars().count() < 150, "{finding}");
}

proptest! {
    #[test]
    fn any_text_is_checked_without_panic(text in "[0-9./:, #\\n\"x-]{0,80}|\\PC{0,40}") {
        let report = check(&text);
        for finding in &report.findings {
            prop_assert!(!finding.problem.is_empty() && !finding.remedy.is_empty());
        }
    }

    #[test]
    fn a_subnet_of_the_right_size_in_public_space_is_taken_whatever_it_is(address: u32, prefix in 20u8..=32) {
        let subnet = Subnet::around(Ipv4Addr::from_bits(address), prefix);
        let reserved = EXCLUDED.iter().chain(&DOUBTFUL).any(|(range, _)| range.holds(subnet.first()));
        let report = check(&subnet.to_string());
        prop_assert_eq!(report.findings.is_empty(), !reserved, "{}", subnet);
        prop_assert_eq!(&report.subnets, &vec![subnet]);
        prop_assert!(report.holds(subnet.first()) && report.holds(subnet.last()));
    }

    #[test]
    fn overlaps_are_found_as_comparing_each_with_each_finds_them(
        list in prop::collection::vec((0u32..16, 26u8..=32), 0..8),
    ) {
        let subnets: Vec<Subnet> = list
            .iter()
            .map(|(n, prefix)| Subnet::around(Ipv4Addr::from_bits(0x0808_0800 + n * 8), *prefix))
            .collect();
        let text: String = subnets.iter().map(|subnet| format!("{subnet}\n")).collect();
        let meets = |at: usize| subnets.iter().enumerate().any(|(other, it)| other != at && it.meets(subnets[at]));
        let any = (0..subnets.len()).any(meets);
        let report = check(&text);
        let found = report.errors().filter(|finding| finding.problem.contains("already")).count();
        prop_assert_eq!(found > 0, any);
        // What is left when those are left out meets nothing any more.
        let named: Vec<usize> = report.errors().filter_map(|finding| finding.line).collect();
        let left: Vec<Subnet> =
            subnets.iter().enumerate().filter(|(at, _)| !named.contains(&(at + 1))).map(|(_, it)| *it).collect();
        for (at, one) in left.iter().enumerate() {
            prop_assert!(left[at + 1..].iter().all(|other| !other.meets(*one)));
        }
    }
}
