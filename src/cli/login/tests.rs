//! The whole command against a token service on a real socket and a database on the disk.

use std::sync::Mutex;

use super::*;
use crate::config::{self, Environment};
use crate::http::fake::{http_reply, serve};
use crate::http::message::Request;
use crate::http::send::HttpClient;
use crate::store;

const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

/// An installation whose LeadConnector is at `base_url`, with these lines in its table.
async fn site(folder: &tempfile::TempDir, base_url: &str, lines: &str) -> Site {
    let text = format!(
        "[database]\nurl = \"sqlite://{}/leadsync.db\"\n[security]\nencryption_key = \"{KEY}\"\n\
         [destinations.crm]\nkind = \"lead_connector\"\nlocation_id = \"loc1\"\nclient_id = \"app-1\"\nclient_secret = \"hush\"\n\
         base_url = \"{base_url}\"\n{lines}\n",
        folder.path().display()
    );
    let settings = Arc::new(config::parse("leadsync.toml", &text, Environment::default()).unwrap());
    let store = store::open_ready(&settings.database, true).await.unwrap();
    Site::open(settings, store).await.unwrap()
}

fn visit_at(redirect_url: &str) -> (Arc<Visit>, String) {
    let browser = crate::auth::grant::BrowserLogin {
        authorize_url: "https://login.example.com/".parse().unwrap(),
        client_id: "c".into(),
        redirect_url: redirect_url.parse().unwrap(),
        scope: String::new(),
        pkce: true,
        fields: Vec::new(),
    };
    let visit = Arc::new(Visit::begin(&browser).unwrap());
    let state = visit.url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    (visit, state)
}

/// A port that was free a moment ago.
async fn free_port() -> u16 {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn browse(url: &str) -> (u16, String) {
    let request = Request::new(http::Method::GET, url.parse().unwrap());
    let reply = HttpClient::new().send(&request, Duration::from_secs(10)).await.unwrap();
    (reply.status.as_u16(), String::from_utf8(reply.body.to_vec()).unwrap())
}

#[tokio::test]
async fn whoever_comes_back_with_our_state_brings_the_code_and_gets_a_page() {
    let at = format!("http://127.0.0.1:{}/callback", free_port().await);
    let (visit, state) = visit_at(&at);
    let reception = Reception::open(&at.parse().unwrap()).await.unwrap();
    // Somebody who connects and says nothing is in nobody's way.
    let silent = tokio::net::TcpStream::connect(at.trim_start_matches("http://").trim_end_matches("/callback")).await;
    let waiting = tokio::spawn(async move { reception.receive(&visit).await });
    assert_eq!(browse(&at.replace("callback", "favicon.ico")).await.0, 404);
    let (status, page) = browse(&format!("{at}?code=the-code&state={state}")).await;
    assert_eq!(status, 200);
    assert!(page.contains("Go back to the terminal") && !page.contains("the-code"), "{page}");
    assert_eq!(waiting.await.unwrap().unwrap().expose(), "the-code");
    drop(silent);
}

#[tokio::test]
async fn a_refusal_ends_the_waiting_with_2_and_a_wrong_state_ends_nothing() {
    for (query, expected) in [
        (
            "error=access_denied&error_description=%3Cscript%3E&state=",
            "the login was refused (access_denied): <script>",
        ),
        ("code=&state=", "what came back holds no code"),
    ] {
        let at = format!("http://127.0.0.1:{}/callback", free_port().await);
        let (visit, state) = visit_at(&at);
        let reception = Reception::open(&at.parse().unwrap()).await.unwrap();
        let waiting = tokio::spawn(async move { reception.receive(&visit).await });
        for stranger in ["code=c1&state=x", "error=access_denied", "error=access_denied&state=guess", ""] {
            let (status, page) = browse(&format!("{at}?{stranger}")).await;
            assert!(status == 400 && page.contains("another login"), "{page}");
        }
        let (status, page) = browse(&format!("{at}?{query}{state}")).await;
        assert!(status == 400 && !page.contains("script"), "{page}");
        let failure = said_no(waiting.await.unwrap().unwrap_err());
        assert_eq!(failure.exit(), Exit::Usage);
        let Failure::Failed { error, hint: Some(_), .. } = failure else { panic!() };
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_redirect_elsewhere_wants_paste_and_a_taken_port_is_unavailable() {
    for elsewhere in ["https://example.com/callback", "https://127.0.0.1:8976/callback"] {
        let failure = Reception::open(&elsewhere.parse().unwrap()).await.err().unwrap();
        let Failure::Failed { exit: Exit::Usage, hint: Some(hint), .. } = failure else { panic!("{failure:?}") };
        assert!(hint.contains("--paste"), "{hint}");
    }
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}/callback", taken.local_addr().unwrap());
    assert_eq!(Reception::open(&at.parse().unwrap()).await.err().unwrap().exit(), Exit::Unavailable);
}

#[tokio::test]
async fn an_agencys_login_is_kept_lists_its_locations_and_makes_the_locations_token() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let book = Arc::clone(&seen);
    let addr = serve(move |_, request| {
        let book = Arc::clone(&book);
        async move {
            let line = request.lines().next().unwrap_or_default().to_owned();
            let bearer =
                request.lines().find_map(|line| line.strip_prefix("authorization: Bearer ").map(str::to_owned));
            book.lock().unwrap().push((line.clone(), bearer));
            let body = if line.starts_with("POST /oauth/token ") {
                r#"{"accessToken": "agency1", "refreshToken": "r1", "expiresIn": 86399, "userType": "Company"}"#
            } else if line.starts_with("GET /oauth/installed-locations?") {
                r#"{"items": [{"_id": "loc1", "name": "Springfield"}], "pagination": {"hasNextPage": false}}"#
            } else {
                assert!(line.starts_with("POST /oauth/location-token "), "{line}");
                r#"{"accessToken": "location1", "expiresIn": 86399, "locationId": "loc1"}"#
            };
            http_reply(200, "", body)
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let site = site(&folder, &format!("http://{addr}"), "company_id = \"co1\"").await;
    let access = site.browser_access("crm").unwrap();
    assert_eq!(access.account.name(), "agency.co1");
    let (code, verifier) = (Secret::new("c1"), Secret::new("v1"));
    let logged_in = access.tokens.log_in(&access.account, &code, &verifier).await.unwrap();
    let lines = told(&access, "crm", logged_in, site.clock.now()).join("\n");
    assert!(lines.contains("logged in; good until") && !lines.contains("agency1") && !lines.contains("r1 "), "{lines}");
    places(&access).await.unwrap();

    // A worker, later.
    let (_, channel) = site.destination("crm", None).unwrap();
    let bearer = channel.bearer().await.unwrap().unwrap();
    assert_eq!(bearer.token.expose(), "location1");
    let seen = seen.lock().unwrap().clone();
    let bearers: Vec<Option<&str>> = seen.iter().map(|(_, bearer)| bearer.as_deref()).collect();
    assert_eq!(bearers, [None, Some("agency1"), Some("agency1")]);
}

#[tokio::test]
async fn what_has_no_browser_login_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[database]\nurl = \"sqlite://{}/leadsync.db\"\n[security]\nencryption_key = \"{KEY}\"\n\
         [destinations.crm]\nkind = \"lead_connector\"\nlocation_id = \"loc1\"\ntoken = \"t\"\n",
        folder.path().display()
    );
    let settings = Arc::new(config::parse("leadsync.toml", &text, Environment::default()).unwrap());
    let store = store::open_ready(&settings.database, true).await.unwrap();
    let site = Site::open(settings, store).await.unwrap();
    let error = site.browser_access("crm").err().unwrap();
    assert_eq!(
        error.to_string(),
        "there is nothing to log in to for `crm`: it has its credentials in the configuration"
    );
}
