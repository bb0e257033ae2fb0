//! What must stay where it belongs: secrets and people's data go through whole runs that fail in every way, at every
//! level of logging, before servers that quote back what they were sent; then everything that was said or kept is
//! searched for them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{Bench, Said};
use crate::hostile::{message, sandbox_addr};
use crate::support::database::Kind;

journeys![
    a_server_that_quotes_the_request_back_is_told_without_people_and_secrets,
    a_token_service_that_quotes_the_request_back_is_told_without_secrets,
    a_configuration_is_shown_and_refused_without_secrets,
    a_database_that_refuses_the_password_is_told_without_it,
];

/// Every value of a lead, each word of which is found nowhere else.
const LEAD: &str = "email,first_name,last_name,phone,company,job_title,linkedin,context,note,external_id,custom.Budget\n\
    privata.canary@mail.example.com,Privata,Nominova,+14155552671,Canarycompany,Canarytitle,canarylinkedin,\
    canarycontext,a canarynote of some words,canaryexternal,canarycustom\n";
/// What of it shows nowhere but where leads are kept.
const PERSONAL: [&str; 10] = [
    "privata",
    "nominova",
    "4155552671",
    "canarycompany",
    "canarytitle",
    "canarylinkedin",
    "canarycontext",
    "canarynote",
    "canaryexternal",
    "canarycustom",
];
/// The columns that hold words, and are promised to hold no personal data.
const WORDS: [&str; 5] = [
    "SELECT coalesce(reason, '') FROM leads",
    "SELECT verdict FROM calls",
    "SELECT why FROM pauses",
    "SELECT coalesce(needs_login, '') FROM tokens",
    "SELECT coalesce(account, '') FROM calls",
];
/// Everything is logged, in both forms.
const LOUD: [&[&str]; 2] = [&["-vv"], &["-vv", "--log-format", "json"]];
const ENVIRONMENT: [(&str, &str); 2] = [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")];

/// Fails if one of these stands in the text, in any case.
#[track_caller]
fn holds_none<'a>(what: &str, text: &str, canaries: impl IntoIterator<Item = &'a str>) {
    let lower = text.to_lowercase();
    for canary in canaries {
        let found = lower.find(&canary.to_lowercase());
        let near = found
            .map(|at| lower[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect::<String>());
        assert!(found.is_none(), "{what} tells `{canary}` after …{}", near.unwrap_or_default());
    }
}

/// Fails if anything that was said or kept holds a canary.
fn is_discreet(bench: &Bench, what: &str, said: &Said, secrets: &[String]) {
    let secrets = || secrets.iter().map(String::as_str);
    holds_none(&format!("standard error ({what})"), &said.err, PERSONAL.into_iter().chain(secrets()));
    holds_none(&format!("standard output ({what})"), &said.out, secrets());
    for sql in WORDS {
        holds_none(&format!("`{sql}` ({what})"), &bench.database.sql(sql), PERSONAL.into_iter().chain(secrets()));
    }
    // No secret anywhere in the database's own files, whatever the column.
    if bench.database.kind == Kind::Sqlite {
        for suffix in ["db", "db-wal"] {
            let bytes = std::fs::read(bench.database.file().with_extension(suffix)).unwrap_or_default();
            holds_none(&format!("the file .{suffix} ({what})"), &String::from_utf8_lossy(&bytes), secrets());
        }
    }
}

/// What a server answers: the status and headers, given the request as it came.
type Answer = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A server before the sandbox that answers by itself where it has an answer.
async fn quoting(bench: &Bench, answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let sandbox = sandbox_addr(bench);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                while let Some(request) = message(&mut client).await {
                    let reply = match answer(&String::from_utf8_lossy(&request)) {
                        Some(reply) => reply.into_bytes(),
                        None => {
                            let mut sandbox = TcpStream::connect(sandbox).await.unwrap();
                            sandbox.write_all(&request).await.unwrap();
                            message(&mut sandbox).await.unwrap_or_default()
                        }
                    };
                    if client.write_all(&reply).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    addr
}

/// The request in the reply's body, in every form in which APIs put their words, and in a header.
fn quoted(status: u16, form: usize, request: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let token = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
    let one_line = body.replace('"', "'");
    let body = match form {
        0 => serde_json::json!({ "message": format!("bad request: {one_line} with {token}") }).to_string(),
        1 => serde_json::json!({ "error": "bad", "errors": [one_line, token, body] }).to_string(),
        _ => format!("bad request\n{token}\n{body}"),
    };
    format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nRetry-After: 0\r\nX-Echo: {one_line} {token}\r\n\r\n{body}",
        body.len()
    )
}

async fn a_server_that_quotes_the_request_back_is_told_without_people_and_secrets(kind: Kind) {
    for (n, (call, status)) in [
        ("POST /leads ", 400),
        ("POST /leads ", 429),
        ("POST /leads ", 500),
        ("POST /leads ", 403),
        ("GET /leads/assistant", 403),
        ("GET /leads/assistant", 400),
        ("POST /api/people", 400),
        ("POST /api/people", 500),
        ("POST /api/people", 403),
        ("POST /api/people", 429),
    ]
    .into_iter()
    .enumerate()
    {
        // What is read, said and written is the same on both; half of it each is enough where time counts.
        if std::env::var_os("LEADSYNC_TEST_LONG").is_none() && (n % 4 < 2) != (kind == Kind::Sqlite) {
            continue;
        }
        let bench = Bench::new(kind).await;
        bench.set("retry.max_attempts", 2);
        bench.set("run.wait", "2s");
        bench.look_up();
        let tokens = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&tokens);
        let addr = quoting(
            &bench,
            Arc::new(move |request: &str| {
                let token = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
                seen.lock().unwrap().extend(token.map(str::to_owned));
                // What is created is also found: the question about it is answered in the same way.
                let asked = request.starts_with(call) || (call == "POST /leads " && request.starts_with("PUT /leads "));
                asked.then(|| quoted(status, n % 3, request))
            }),
        )
        .await;
        for key in ["destinations.7targets.api_url", "enrich.people_url"] {
            bench.set(key, bench.get(key).replace(&sandbox_addr(&bench).to_string(), &addr.to_string()));
        }
        bench.file("leads.csv", LEAD);
        let args = [&["import", "leads.csv"][..], LOUD[n % 2]].concat();
        let said = bench.start_with(&ENVIRONMENT, &args).ended().await;
        assert_ne!(said.code, 1, "{call} {status}: {}", said.err);
        let tokens = tokens.lock().unwrap().clone();
        assert!(!tokens.is_empty(), "{call} {status}: nobody was asked\n{}", said.err);
        is_discreet(&bench, &format!("{call} {status}"), &said, &[bench.secrets(), tokens.clone()].concat());
        let explained = bench.start_with(&ENVIRONMENT, &["explain", "1"]).ended().await.ends(0);
        is_discreet(&bench, "explain", &explained, &[bench.secrets(), tokens].concat());
        holds_only(&bench.path("leads.csv.rejected.csv"));
    }
}

/// Where an import leaves people's data besides the database: one file, for its owner alone.
fn holds_only(rejects: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if let Ok(text) = std::fs::read_to_string(rejects) {
        let [_, row] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        let (reason, rest) = row.split_once("privata.canary@").unwrap();
        holds_none("the reason of a rejected row", reason, PERSONAL);
        assert!(rest.contains("Canarycompany"), "{text}");
        assert_eq!(std::fs::metadata(rejects).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

async fn a_token_service_that_quotes_the_request_back_is_told_without_secrets(kind: Kind) {
    for (n, status) in [400, 401, 500, 302, 200].into_iter().enumerate() {
        if std::env::var_os("LEADSYNC_TEST_LONG").is_none() && (n % 2 == 0) != (kind == Kind::Sqlite) {
            continue;
        }
        let bench = Bench::new(kind).await;
        bench.set("run.wait", "2s");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&seen);
        let addr = quoting(
            &bench,
            Arc::new(move |request: &str| {
                let basic = request.lines().find_map(|line| line.strip_prefix("authorization: Basic "));
                heard.lock().unwrap().extend(basic.map(str::to_owned));
                Some(quoted(status, n % 3, request))
            }),
        )
        .await;
        for (key, look_up) in [("destinations.7targets.token_url", false), ("enrich.identity_url", true)] {
            if look_up {
                bench.look_up();
            }
            let old = bench.get(key);
            bench.set(key, old.replace(&sandbox_addr(&bench).to_string(), &addr.to_string()));
            bench.file("leads.csv", LEAD);
            let args = [&["import", "leads.csv"][..], LOUD[n % 2]].concat();
            let said = bench.start_with(&ENVIRONMENT, &args).ended().await;
            assert!(said.code == 2 || said.code == 4, "{key} {status}: {}", said.err);
            let secrets = [bench.secrets(), seen.lock().unwrap().clone()].concat();
            is_discreet(&bench, &format!("{key} {status}"), &said, &secrets);
            bench.set(key, old);
        }
        assert!(!seen.lock().unwrap().is_empty());
    }
}

async fn a_configuration_is_shown_and_refused_without_secrets(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.look_up();
    bench.set("destinations.7targets.client_secret", "canarysecret-of-7targets");
    bench.set("enrich.client_secret", "canarysecret-of-live-data");
    let password = "canarysecret-of-the-database";
    bench.leadsync(&["db", "migrate"]).await.ends(0);
    let secrets = || [bench.secrets(), vec!["canarysecret".to_owned()]].concat();
    for (wrong, value) in
        [("run.lease", "1s"), ("destinations.7targets.rate", "soon"), ("enrich.api_key", "canarysecret-3")]
    {
        for args in [&["config", "show"][..], &["config", "check"], &["run"], &["status"]] {
            let said = bench.start_with(&ENVIRONMENT, args).ended().await;
            is_discreet(&bench, &format!("{args:?}, {wrong}"), &said, &secrets());
        }
        bench.set(wrong, value);
    }
    let url = format!("postgres://canaryuser:{password}@127.0.0.1:1/db");
    for args in
        [&["--database", &url, "run"][..], &["--database", &format!("{url}?x=y"), "config", "show"], &["stauts", &url]]
    {
        let said = bench.start_with(&ENVIRONMENT, args).ended().await;
        is_discreet(&bench, "a database's address", &said, &secrets());
    }
    for (variable, value) in [
        ("LEADSYNC_SECURITY__ENCRYPTION_KEY", "canarysecret: too short for a key"),
        ("LEADSYNC_ENRICH__CLIENT_SECRET", "canarysecret in a variable"),
        ("DATABASE_URL", url.as_str()),
    ] {
        for args in [&["config", "show"][..], &["run"]] {
            let said = bench.start_with(&[ENVIRONMENT[0], ENVIRONMENT[1], (variable, value)], args).ended().await;
            is_discreet(&bench, variable, &said, &secrets());
        }
    }
}

async fn a_database_that_refuses_the_password_is_told_without_it(kind: Kind) {
    if kind == Kind::Sqlite {
        return;
    }
    let bench = Bench::new(kind).await;
    let right = bench.get("database.url");
    // A socket's address names the user behind it, where it would win.
    let place = match right.split_once('@') {
        Some((_, place)) => place.to_owned(),
        None => right.replace("postgres://", "localhost").replace("&user=postgres", ""),
    };
    for wrong in ["canarysecret", "canary%20secret%40"] {
        bench.set("database.url", format!("postgres://canaryuser:{wrong}@{place}"));
        for args in LOUD {
            let said = bench.start_with(&ENVIRONMENT, &[&["run"][..], args].concat()).ended().await;
            assert!(said.code == 2 || said.code == 4, "{}", said.err);
            holds_none(
                "standard error",
                &format!("{}{}", said.err, said.out),
                ["canarysecret", "canary secret", wrong],
            );
        }
    }
}

/// Whatever the umask: what holds people's data or keys is made for its owner alone, and what others opened is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_made_for_their_owner_alone_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for umask in ["000", "022", "077"] {
        let bench = Bench::new(Kind::Sqlite).await;
        let database = bench.path("own.db");
        bench.set("database.url", format!("sqlite://{}", database.display()));
        bench.file("leads.csv", format!("{LEAD}no-address,x,y,,,,,,,,\n"));
        // The lead is refused on its way, so that files of a run at work are seen too.
        bench.faults("create:hang=#1");
        let process = bench.start_in_shell(&format!("umask {umask}; exec \"$@\""), &["import", "leads.csv"]);
        let files = ["own.db", "own.db-wal", "own.db-shm", "own.db.key"].map(|name| bench.path(name));
        crate::bench::until("it sends", || bench.asked("create") > 0).await;
        for file in &files {
            assert_eq!(mode(file), 0o600, "{umask}: {}", file.display());
        }
        process.ended().await.ends(3);
        assert_eq!(mode(&bench.path("leads.csv.rejected.csv")), 0o600, "{umask}");
        // Opened to all by somebody else: the database is used with a warning, the key is not used at all.
        std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
        bench.run().await.ends(0).says("every user of this machine may read").says("chmod 600");
        std::fs::set_permissions(&files[3], std::fs::Permissions::from_mode(0o644)).unwrap();
        bench.run().await.ends(2).says("every user of this machine may use it (mode 0644)");
    }
}
