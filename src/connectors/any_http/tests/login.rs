use super::*;

#[test]
fn each_way_of_logging_in_puts_its_secret_where_it_belongs() {
    let fixed = |table: &str| match account(table).auth() {
        Auth::Static { place, .. } => place.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(fixed("auth = { style = \"bearer\", key = \"k\" }"), Place::Bearer);
    let header = fixed("auth = { style = \"header\", key = \"k\", header = \"x-api-token\" }");
    assert_eq!(header, Place::Header(HeaderName::from_static("x-api-token")));
    let basic = fixed("auth = { style = \"basic\", username = \"ann\", password = \"p\" }");
    assert_eq!(basic, Place::Basic { username: "ann".into() });
    assert!(matches!(account("").auth(), Auth::None));

    let token = "token_url = \"https://login.example.com/token\", client_id = \"c\", client_secret = \"s\"";
    let form = |table: &str, with: With<'_>| {
        let account = account(table);
        let request = account.grant().unwrap().request(with, None);
        (request.headers.contains_key(AUTHORIZATION), String::from_utf8(request.body.to_vec()).unwrap())
    };
    let client = form(&format!("auth = {{ style = \"client_credentials\", scope = \"w\", {token} }}"), With::Login);
    assert_eq!(client, (true, "grant_type=client_credentials&scope=w".into()));
    let json = format!("auth = {{ style = \"client_credentials\", client = \"body\", encoding = \"json\", {token} }}");
    let expected = r#"{"client_id":"c","client_secret":"s","grant_type":"client_credentials"}"#;
    assert_eq!(form(&json, With::Login), (false, expected.into()));
    let chain = format!("auth = {{ style = \"refresh_token\", client = \"body\", refresh_token = \"r0\", {token} }}");
    let expected = "grant_type=refresh_token&refresh_token=r1&client_id=c&client_secret=s";
    assert_eq!(form(&chain, With::Refresh(&crate::secret::Secret::new("r1"))), (false, expected.into()));
    let person = format!("auth = {{ style = \"password\", username = \"ann\", password = \"p\", {token} }}");
    assert_eq!(form(&person, With::Login), (true, "grant_type=password&username=ann&password=p".into()));
}

#[test]
fn the_account_check_is_one_harmless_question() {
    let with_check = format!("{PLAIN}check.url = \"https://api.example.com/v1/me\"\n");
    let check = |table: &str, replies: &[Reply]| destination(table).check(replies);
    assert!(matches!(check(PLAIN, &[]), CheckStep::Passed(_)));
    let CheckStep::Ask(request) = check(&with_check, &[]) else { panic!() };
    assert_eq!((request.method.as_str(), request.url.path()), ("GET", "/v1/me"));
    assert!(matches!(check(&with_check, &[reply(200, "{}")]), CheckStep::Passed(_)));
    assert!(matches!(check(&with_check, &[reply(200, "<html>")]), CheckStep::Failed { .. }));
    assert!(matches!(check(&with_check, &[reply(404, "{}")]), CheckStep::Failed { .. }));
    assert!(matches!(check(&with_check, &[reply(503, "{}")]), CheckStep::Unreadable));
    assert!(matches!(check(&with_check, &[reply(404, "{\"err")]), CheckStep::Unreadable));
}

#[test]
fn a_key_that_the_style_has_no_use_for_is_refused() {
    let said = |auth: &str| refused(&format!("{PLAIN}auth = {{ {auth} }}\n"));
    let expected =
        "destinations.crm.auth.key: found a key that `auth.style` = \"none\" has no use for, expected another";
    assert!(said("key = \"k\"").starts_with(expected), "{}", said("key = \"k\""));
    let many =
        said("style = \"basic\", username = \"u\", password = \"p\", key = \"k\", scope = \"s\", header = \"X-A\"");
    let expected = "destinations.crm.auth.key: found a key that `auth.style` = \"basic\" has no use for (nor for \
                    `auth.scope`, `auth.header`), expected another `auth.style`, or only `auth.username`, `auth.password`";
    assert_eq!(many, expected);
    for (style, unused) in [
        ("style = \"bearer\", key = \"k\"", "header = \"X-A\""),
        ("style = \"header\", key = \"k\"", "username = \"u\""),
        ("style = \"header\", key = \"k\"", "client = \"body\""),
        ("style = \"client_credentials\", token_url = \"https://x.example\"", "refresh_token = \"r\""),
        ("style = \"refresh_token\", token_url = \"https://x.example\"", "scope = \"s\""),
        ("style = \"password\", username = \"u\"", "key = \"k\""),
    ] {
        destination(&format!("{PLAIN}auth = {{ {style} }}\n"));
        let said = said(&format!("{style}, {unused}"));
        let key = unused.split(' ').next().unwrap();
        assert!(said.starts_with(&format!("destinations.crm.auth.{key}: found a key that")), "{said}");
    }
}

#[test]
fn a_secret_that_no_header_can_carry_is_refused_without_being_shown() {
    for style in ["bearer", "header"] {
        for key in ["c-k\\u00e9y", "c-k\\u0001y", "c-k\\ny"] {
            let said = refused(&format!("{PLAIN}auth = {{ style = \"{style}\", key = \"{key}\" }}\n"));
            assert!(said.starts_with("destinations.crm.auth.key: found characters that no header can carry"), "{said}");
            assert!(!said.contains("c-k"), "{said}");
        }
        // A file ends with a line break, which is not sent.
        destination(&format!("{PLAIN}auth = {{ style = \"{style}\", key = \"c-key\\n\" }}\n"));
    }
    let said = refused(&format!("{PLAIN}auth = {{ style = \"basic\", username = \"a:b\", password = \"p\" }}\n"));
    assert!(said.starts_with("destinations.crm.auth.username: found a colon"), "{said}");
    // Base64 carries everything.
    destination(&format!("{PLAIN}auth = {{ style = \"basic\", username = \"é\", password = \"p\\u0001\" }}\n"));
}
