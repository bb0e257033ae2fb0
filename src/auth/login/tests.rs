use super::*;
use crate::auth::grant::Field;

fn browser() -> BrowserLogin {
    BrowserLogin {
        authorize_url: "https://login.example.com/choose?brand=x".parse().unwrap(),
        client_id: "client 1".into(),
        redirect_url: "http://127.0.0.1:8976/callback".parse().unwrap(),
        scope: "contacts.readonly contacts.write".into(),
        pkce: true,
        fields: vec![("code".into(), Field::Code)],
    }
}

fn parameters(visit: &Visit) -> Vec<(String, String)> {
    visit.url.query_pairs().into_owned().collect()
}

fn parameter(visit: &Visit, name: &str) -> String {
    parameters(visit).into_iter().find(|(key, _)| key == name).unwrap().1
}

#[test]
fn the_address_says_who_asks_for_what_and_where_to_come_back_to() {
    let visit = Visit::begin(&browser()).unwrap();
    assert!(
        visit
            .url
            .as_str()
            .starts_with("https://login.example.com/choose?brand=x&response_type=code&client_id=client+1&")
    );
    for (name, value) in [
        ("redirect_uri", "http://127.0.0.1:8976/callback"),
        ("scope", "contacts.readonly contacts.write"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(parameter(&visit, name), value);
    }
    // 32 bytes each, and another pair for each try.
    assert_eq!((parameter(&visit, "state").len(), visit.verifier.expose().len()), (43, 43));
    let other = Visit::begin(&browser()).unwrap();
    assert_ne!(parameter(&visit, "state"), parameter(&other, "state"));
    assert_ne!(visit.verifier, other.verifier);
    assert!(!visit.url.as_str().contains(visit.verifier.expose()), "only its hash is told");
    assert_eq!(format!("{visit:?}"), "Visit");
}

#[test]
fn the_challenge_is_the_one_of_the_standard() {
    // RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let visit = Visit::begin(&browser()).unwrap();
    assert_eq!(parameter(&visit, "code_challenge"), challenge(visit.verifier.expose()));
    let plain = Visit::begin(&BrowserLogin { pkce: false, ..browser() }).unwrap();
    assert!(parameters(&plain).iter().all(|(name, _)| !name.starts_with("code_challenge")));
}

#[test]
fn a_code_is_taken_only_with_our_state() {
    let visit = Visit::begin(&browser()).unwrap();
    let state = parameter(&visit, "state");
    assert_eq!(visit.read(&format!("code=c%2F1&state={state}")).unwrap().expose(), "c/1");
    let read = |query: String| visit.read(&query).unwrap_err();
    for query in ["code=c1".to_owned(), "code=c1&state=".into(), format!("code=c1&state={state}x"), String::new()] {
        assert_eq!(read(query), RedirectError::WrongState);
    }
    // Whoever doesn't know the state can't even make us say that it was refused.
    assert_eq!(read("error=access_denied&state=guess".into()), RedirectError::WrongState);
    assert_eq!(read(format!("state={state}")), RedirectError::NoCode);
    assert_eq!(read(format!("state={state}&code=+")), RedirectError::NoCode);
}

#[test]
fn what_the_server_says_is_shown_without_what_it_may_hold() {
    let visit = Visit::begin(&browser()).unwrap();
    let state = parameter(&visit, "state");
    let said = |query: &str| visit.read(&format!("state={state}&{query}")).unwrap_err().to_string();
    assert_eq!(said("error=access_denied"), "the login was refused (access_denied)");
    assert_eq!(
        said("error=invalid_scope&error_description=no+such+scope+for+ann%40example.com%1b%5B31m&code=c1"),
        "the login was refused (invalid_scope): no such scope for (e-mail)[31m"
    );
}

#[test]
fn what_is_pasted_may_be_the_address_its_query_or_the_code() {
    let visit = Visit::begin(&browser()).unwrap();
    let state = parameter(&visit, "state");
    let query = format!("code=c1&state={state}");
    for text in [
        format!("http://127.0.0.1:8976/callback?{query}\n"),
        format!(" 'https://elsewhere.example.com/x?{query}#top' "),
        format!("?{query}"),
        query,
        "c1\r\n".into(),
    ] {
        assert_eq!(visit.read_pasted(&text).unwrap().expose(), "c1", "{text}");
    }
    let refused = |text: &str| visit.read_pasted(text).unwrap_err();
    assert_eq!(refused("http://127.0.0.1:8976/callback?code=c1&state=other"), RedirectError::WrongState);
    assert_eq!(refused("code=c1"), RedirectError::WrongState);
    for nothing in ["", " \n", "two words", "http://127.0.0.1:8976/callback"] {
        assert_eq!(refused(nothing), RedirectError::NoCode, "{nothing}");
    }
}

#[test]
fn only_the_redirect_address_is_where_a_person_comes_back() {
    let visit = Visit::begin(&browser()).unwrap();
    assert!(visit.comes_back_at("/callback"));
    assert!(!visit.comes_back_at("/favicon.ico") && !visit.comes_back_at("/callback/x"));
}
