use super::*;

#[test]
fn what_is_missing_is_named_by_its_key() {
    let missing = |table: &str| -> Vec<String> {
        registry::missing(&settings(table).unwrap()).into_iter().map(|missing| missing.key).collect()
    };
    assert_eq!(missing(""), ["destinations.crm.url", "destinations.crm.body"]);
    let style = |style: &str| missing(&format!("{PLAIN}auth.style = \"{style}\"\n"));
    assert_eq!(style("bearer"), ["destinations.crm.auth.key"]);
    assert_eq!(style("basic"), ["destinations.crm.auth.username", "destinations.crm.auth.password"]);
    let client = ["client_id", "client_secret", "token_url"].map(|key| format!("destinations.crm.auth.{key}"));
    assert_eq!(style("client_credentials"), client);
    let person = "auth = { style = \"password\", username = \"u\", password = \"p\", token_url = \"https://x.example\"";
    assert_eq!(missing(&format!("{PLAIN}{person} }}\n")), [""; 0]);
    for (one, other) in [("client_id", "client_secret"), ("client_secret", "client_id")] {
        let half = missing(&format!("{PLAIN}{person}, {one} = \"c\" }}\n"));
        assert_eq!(half, [format!("destinations.crm.auth.{other}")]);
    }
    assert_eq!(missing(&format!("{PLAIN}find.url = \"https://api.example.com/x\"\n")), ["destinations.crm.find.found"]);
    let both = ["destinations.crm.find.url", "destinations.crm.find.found"];
    for line in [
        "first = true",
        "method = \"POST\"",
        "body = '{}'",
        "equals = \"{{ lead.email }}\"",
        "remote_id = \"/id\"",
        "absent_status = 404",
    ] {
        assert_eq!(missing(&format!("{PLAIN}find.{line}\n")), both, "{line}");
        assert!(
            refused(&format!("{PLAIN}find.{line}\n")).starts_with("destinations.crm.find.url is not set"),
            "{line}"
        );
    }
    assert_eq!(missing(&format!("{PLAIN}find.found = \"/items\"\n")), both[..1]);
    assert_eq!(missing(&format!("{PLAIN}find = {{ first = false, method = \"GET\" }}\n")), [""; 0]);
}

#[test]
fn what_can_not_be_used_is_found_before_the_first_lead() {
    let with = |line: &str| refused(&format!("body = '{{}}'\n{line}\n"));
    for address in [
        "http://api.example.com/x",
        "ftp://x/y",
        "https://{{ lead.email }}/x",
        "https://api.example.com{{ lead.email }}",
    ] {
        let said = with(&format!("url = \"{address}\""));
        assert!(said.contains("an https:// address with its host written out"), "{address}: {said}");
    }
    let plain = |line: &str| refused(&format!("url = \"https://api.example.com/x\"\n{line}\n"));
    let said = plain("body = '{\"a\": }'");
    assert!(said.contains("destinations.crm.body: found a text that is no JSON (its line 1, column 7)"), "{said}");
    let said = plain("body = '{\"a\": \"{{ person.titel }}\"}'");
    assert!(said.contains("did you mean `person.title`?"), "{said}");
    let said = plain("body = '{}'\nremote_id = \"data.id\"");
    assert!(said.contains("a JSON pointer, which begins with a slash"), "{said}");
    let said = plain("body = '{}'\nheaders.Authorization = \"Bearer x\"");
    assert!(said.contains("found `authorization`, expected another header"), "{said}");
    for seen in ["{{ person.id }}", "{{ person.work_email or lead.email }}", "{% set p = person %}{{ p.id }}"] {
        let said = plain(&format!("body = '{{}}'\nidentity = \"{seen}\""));
        assert!(
            said.contains("destinations.crm.identity: found `person`, expected a template over `lead.*`"),
            "{said}"
        );
    }
    let own = format!("{PLAIN}identity = \"{{{{ lead.custom_fields.person or lead.email }}}}\"\n");
    assert_eq!(destination(&own).identity(&ann().lead).unwrap(), "ann+x@acme.example");
    let said = plain("body = '{}'\nunknown = \"find\"");
    assert!(said.contains("found \"find\" without a way to find"), "{said}");
}

#[test]
fn what_can_not_be_meant_is_refused_with_its_key_and_what_would_do() {
    let find = |line: &str| {
        let known = ["url", "found", "equals", "body"].iter().find(|name| line.contains(&format!("find.{name} =")));
        let lines = WITH_FIND.lines().filter(|it| !known.is_some_and(|name| it.starts_with(&format!("find.{name} "))));
        refused(&format!("{}\n{line}\n", lines.filter(|it| !it.contains("absent")).collect::<Vec<_>>().join("\n")))
    };
    for status in [205, 400, 401, 403, 405, 407, 408, 409] {
        let said = find(&format!("find.absent_status = {status}"));
        let expected = format!("destinations.crm.find.absent_status: found {status}, expected 404, 410 or 204");
        assert!(said.starts_with(&expected), "{said}");
    }
    assert!(find("find.absent_status = 429").contains("find.absent_status"));
    for constant in ["x", "lead.email", "{{ 'x' }}"] {
        let said = find(&format!("find.equals = \"{constant}\""));
        let expected =
            "destinations.crm.find.equals: found a text that is the same for every lead, expected a template";
        assert!(said.starts_with(expected), "{said}");
    }
    let all = "url = \"https://api.example.com/x\"\nbody = '{}'\nfind.url = \"https://api.example.com/all\"\nfind.found = \"/0/id\"\n";
    for body in ["", "find.body = '{\"limit\": 1, \"by\": [\"email\"]}'\n"] {
        let said = refused(&format!("{all}{body}"));
        assert!(said.starts_with("destinations.crm.find.url: found the same question for every lead"), "{said}");
    }
    destination(&format!("{all}find.body = '{{\"by\": [{{\"email\": \"{{{{ lead.email }}}}\"}}]}}'\n"));
    destination(&format!("{all}find.equals = \"{{{{ lead.email }}}}\"\n"));

    let plain = |lines: &str| refused(&format!("{PLAIN}{lines}\n"));
    for status in [401, 402, 403, 404, 405, 407, 408, 410, 429] {
        let said = plain(&format!("duplicate.status = {status}"));
        assert!(
            said.starts_with(&format!("destinations.crm.duplicate.status: found {status}, expected a status")),
            "{said}"
        );
    }
    for status in [200, 201, 500, 503] {
        assert!(plain(&format!("duplicate.status = {status}")).contains("duplicate.status"), "{status}");
    }
    for short in ["e", "dup", "a b", "..."] {
        let said = plain(&format!("duplicate.words = [\"already there\", \"{short}\"]"));
        assert!(said.starts_with(&format!("destinations.crm.duplicate.words: found \"{short}\", expected")), "{said}");
    }
    for word in ["exists", "E11000", "уже", "已存在"] {
        destination(&format!("{PLAIN}duplicate.words = \"{word}\"\n"));
    }
    for (lines, expected) in [
        (
            "success.equals = \"true\"",
            "success.equals: found a value and no place to look for it, expected `success.pointer`",
        ),
        (
            "identity = \"x\"",
            "identity: found a text that is the same for every lead, expected a template over `lead.*`",
        ),
        ("success.pointer = \"/a~2b\"", "success.pointer: found \"/a~2b\", expected a JSON pointer"),
        ("success.pointer = \"/a~\"", "success.pointer: found \"/a~\", expected a JSON pointer"),
        ("idempotency_header = \"Accept\"", "idempotency_header: found `accept`, expected another header"),
    ] {
        let said = plain(lines);
        assert!(said.starts_with(&format!("destinations.crm.{expected}")), "{said}");
    }
}

#[test]
fn headers_that_are_not_ours_to_set_or_set_twice_are_refused() {
    let plain = |lines: &str| refused(&format!("{PLAIN}{lines}\n"));
    let styled = |header: &str| plain(&format!("auth = {{ style = \"header\", key = \"k\", header = \"{header}\" }}"));
    assert!(styled("X My Key").starts_with("destinations.crm.auth.header: found no header's name"));
    for header in ["Content-Type", "content-length", "Host", "Transfer-Encoding", "Connection", "Accept"] {
        let expected = format!("destinations.crm.auth.header: found `{}`, expected another", header.to_lowercase());
        assert!(styled(header).starts_with(&expected), "{}", styled(header));
    }
    destination(&format!("{PLAIN}auth = {{ style = \"header\", key = \"Token k\", header = \"Authorization\" }}\n"));
    for header in ["Connection", "Accept-Encoding"] {
        assert!(plain(&format!("headers.{header} = \"x\"")).contains("expected another header"), "{header}");
    }
    destination(&format!("{PLAIN}headers.Accept = \"application/vnd.example+json\"\n"));
    for header in ["Idempotency-Key", "x-idempotent-token", "PayPal-Request-Id"] {
        let said = plain(&format!("headers.{header} = \"abc\""));
        let expected =
            format!("destinations.crm.headers.{header}: found a key that is the same for every lead, expected");
        assert!(said.starts_with(&expected), "{said}");
        assert!(said.contains(&format!("`idempotency_header = \"{}\"`", header.to_lowercase())), "{said}");
        destination(&format!("{PLAIN}headers.{header} = \"{{{{ lead.external_id }}}}\"\n"));
    }
    for (name, value) in [("x-key", "{{ lead.email }}"), ("idempotency-key", "abc")] {
        let twice = plain(&format!("idempotency_header = \"{name}\"\nheaders.{name} = \"{value}\""));
        let expected = format!("headers.{name}: found `{name}`, which `idempotency_header` sets too, expected one of");
        assert!(twice.starts_with(&format!("destinations.crm.{expected}")), "{twice}");
    }
    let twice = plain("auth = { style = \"header\", key = \"k\" }\nheaders.x-api-key = \"k2\"");
    assert!(twice.contains("which `auth.header` sets too"), "{twice}");
}
