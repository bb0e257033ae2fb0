//! Servers and files that mean harm, met by the real program: its memory is read from outside, and what the destination
//! really has is compared with what the database says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{Bench, Process, Said, csv, email};
use crate::support::database::Kind;

journeys![
    whatever_a_destination_answers_each_lead_is_settled_by_looking_and_memory_stays_flat,
    a_redirect_of_any_call_is_told_and_followed_by_none,
    only_a_certificate_that_the_system_or_ssl_cert_file_vouches_for_is_sent_leads,
];

/// What the program may take at most, in KiB: it is a few ten MiB large, and what it is sent is hundreds.
const MEMORY_KIB: u64 = 160 << 10;

/// Waits for the end; also the most memory that it had, in KiB.
async fn measured(process: Process) -> (Said, u64) {
    let status = format!("/proc/{}/status", process.pid().as_raw_nonzero());
    let watch = tokio::spawn(async move {
        let mut most = 0;
        while let Ok(text) = std::fs::read_to_string(&status) {
            let peak =
                text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
            let Some(peak) = peak else { break };
            most = peak;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        most
    });
    let said = process.ended().await;
    (said, watch.await.unwrap())
}

/// One request or reply with its body, as far as `Content-Length` says; `None` at the end of the connection.
pub async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(at) = seen.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..at]).to_lowercase();
            let length: usize =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
            if seen.len() >= at + 4 + length {
                return Some(seen);
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => seen.extend_from_slice(&buffer[..n]),
        }
    }
}

/// What a server says instead of the true reply.
#[derive(Clone)]
enum Lie {
    /// This, and the end of the connection.
    Says(Vec<u8>),
    /// This, and then that until the client has had enough.
    Floods(&'static str, Vec<u8>),
    /// This, a byte at a time.
    Drips(&'static str),
}

impl Lie {
    async fn tell(self, stream: &mut TcpStream) {
        match self {
            Self::Says(all) => drop(stream.write_all(&all).await),
            Self::Floods(begin, again) => {
                let _ = stream.write_all(begin.as_bytes()).await;
                let mut total = 0_u64;
                while total < 1 << 30 && stream.write_all(&again).await.is_ok() {
                    total += again.len() as u64;
                }
            }
            Self::Drips(text) => {
                for byte in text.bytes().cycle() {
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

/// Where the sandbox listens.
pub fn sandbox_addr(bench: &Bench) -> SocketAddr {
    bench.sandbox.base_url().strip_prefix("http://").unwrap().parse().unwrap()
}

fn json(body: impl Into<Vec<u8>>) -> Lie {
    let body = body.into();
    let head =
        format!("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    Lie::Says([head.into_bytes(), body].concat())
}

/// A server that stands before the sandbox: passes every request on, and says `lie` instead of the true reply where
/// there is one for that request.
async fn before(bench: &Bench, lie: impl Fn(&str) -> Option<Lie> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let lie = Arc::new(lie);
    let sandbox = sandbox_addr(bench);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let lie = Arc::clone(&lie);
            tokio::spawn(async move {
                while let Some(request) = message(&mut client).await {
                    let mut sandbox = TcpStream::connect(sandbox).await.unwrap();
                    sandbox.write_all(&request).await.unwrap();
                    let reply = message(&mut sandbox).await.unwrap_or_default();
                    match lie(&String::from_utf8_lossy(&request)) {
                        None if client.write_all(&reply).await.is_ok() => {}
                        None => return,
                        Some(lie) => return lie.tell(&mut client).await,
                    }
                }
            });
        }
    });
    addr
}

fn lies() -> Vec<(&'static str, Lie)> {
    let block = vec![b'x'; 1 << 16];
    let says = |text: &str| Lie::Says(text.as_bytes().to_vec());
    let headers: String = (0..100_000).map(|n| format!("X-{n}: y\r\n")).collect();
    vec![
        ("a gigabyte, announced", Lie::Floods("HTTP/1.1 201 C\r\nContent-Length: 1073741824\r\n\r\n", block.clone())),
        (
            "a gigabyte in chunks",
            Lie::Floods(
                "HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n",
                [b"10000\r\n".to_vec(), block.clone(), b"\r\n".to_vec()].concat(),
            ),
        ),
        ("a gigabyte until the end", Lie::Floods("HTTP/1.1 201 C\r\nConnection: close\r\n\r\n", block.clone())),
        ("a million nested lists", json("[".repeat(1_000_000))),
        ("half a million nested objects", json("{\"a\":".repeat(200_000))),
        ("small objects that are large in memory", json(format!("[{}{{}}]", "{\"\":0},".repeat(140_000)))),
        ("no UTF-8", json(b"{\"id\": \"\xff\xfe\", \"x\": \xc3\x28}".to_vec())),
        ("a hundred thousand headers", says(&format!("HTTP/1.1 201 C\r\n{headers}\r\n"))),
        ("one header of a gigabyte", Lie::Floods("HTTP/1.1 201 C\r\nX-Bomb: ", block.clone())),
        ("interim replies without end", Lie::Floods("", b"HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n".to_vec())),
        ("a chunk extension without end", Lie::Floods("HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n1;", block)),
        ("a head in drops", Lie::Drips("HTTP/1.1 201 Created\r\nX-Slow: ")),
        ("no HTTP", says("220 mail.example.com ESMTP\r\n")),
        ("HTTP/0.9", says("<html>created</html>")),
        ("a length too long", says("HTTP/1.1 201 C\r\nContent-Length: 90\r\n\r\n{\"id\": 1}")),
        (
            "a label of compression",
            says("HTTP/1.1 201 C\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n\x1f\x0b\x08xxxxxx"),
        ),
        ("a switch of protocols", says("HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")),
        ("a page elsewhere", says("HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")),
        ("no content", says("HTTP/1.1 204 N\r\n\r\n")),
        ("a huge number", json(format!("{{\"id\": {}}}", "9".repeat(100_000)))),
    ]
}

async fn whatever_a_destination_answers_each_lead_is_settled_by_looking_and_memory_stays_flat(kind: Kind) {
    let bench = Bench::new(kind).await;
    let lies = lies();
    let count = lies.len();
    // The create of lead n is answered with lie n, once; every lead in between with the truth.
    let told: Mutex<BTreeMap<String, Lie>> =
        Mutex::new(lies.iter().zip(1..).map(|((_, lie), n)| (email(n), lie.clone())).collect());
    let addr = before(&bench, move |request| {
        let creates = request.starts_with("POST /leads ");
        let mut told = told.lock().unwrap();
        let who = told.keys().find(|email| creates && request.contains(&format!("\"{email}\""))).cloned()?;
        told.remove(&who)
    })
    .await;
    bench.set("destinations.7targets.api_url", format!("http://{addr}"));
    bench.queue(&csv((1..=count).flat_map(|n| [n, 100 + n]))).await;
    let mut said = None;
    for _ in 0..6 {
        let (run, peak_kib) = measured(bench.start(&["run"])).await;
        assert!(peak_kib > 0 && peak_kib < MEMORY_KIB, "{peak_kib} KiB");
        if run.code != 4 {
            said = Some(run);
            break;
        }
    }
    said.expect("a run ends").ends(0);
    bench.has_exactly((1..=count).chain(101..=100 + count));
    bench.agrees().await;
    for lead in bench.results().await {
        let Some(n) = (1..=count).find(|n| lead["email"] == email(*n).as_str()) else { continue };
        let reason = lead["reason"].as_str().unwrap_or_default();
        assert!(reason.starts_with("found there after an unknown outcome"), "{}: {lead}", lies[n - 1].0);
    }
}

async fn a_redirect_of_any_call_is_told_and_followed_by_none(kind: Kind) {
    // Whoever is redirected to, and what reached it.
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = elsewhere.local_addr().unwrap();
    let reached = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reached);
    tokio::spawn(async move {
        while elsewhere.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    for (key, call, status) in [
        ("destinations.7targets.token_url", "POST /oauth2/token", 307),
        ("destinations.7targets.api_url", "GET /leads/assistant", 302),
        ("destinations.7targets.api_url", "POST /leads ", 308),
        ("enrich.identity_url", "POST ", 307),
        ("enrich.people_url", "POST ", 301),
    ] {
        let bench = Bench::new(kind).await;
        if key.starts_with("enrich") {
            bench.look_up();
        }
        let addr = before(&bench, move |request| {
            let moved = format!("HTTP/1.1 {status} M\r\nLocation: http://{target}/\r\nContent-Length: 0\r\n\r\n");
            request.starts_with(call).then(|| Lie::Says(moved.into_bytes()))
        })
        .await;
        let old = bench.get(key);
        bench.set(key, old.replace(&sandbox_addr(&bench).to_string(), &addr.to_string()));
        assert_ne!(bench.get(key), old);
        let said = bench.import(&csv(1..=2)).await.ends(2);
        assert!(said.err.contains(&status.to_string()), "{key}: {}", said.err);
        assert_eq!(bench.states().await.keys().filter(|state| *state != "ready" && *state != "received").count(), 0);
        bench.nothing_is_leased();
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0, "a redirect was followed");
}

async fn only_a_certificate_that_the_system_or_ssl_cert_file_vouches_for_is_sent_leads(kind: Kind) {
    let bench = Bench::new(kind).await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, other) = (made.cert.pem(), rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sandbox = sandbox_addr(&bench);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                while let Some(request) = message(&mut client).await {
                    let mut sandbox = TcpStream::connect(sandbox).await.unwrap();
                    sandbox.write_all(&request).await.unwrap();
                    let reply = message(&mut sandbox).await.unwrap_or_default();
                    client.write_all(&reply).await.unwrap();
                    client.flush().await.unwrap();
                }
            });
        }
    });
    bench.set("destinations.7targets.api_url", format!("https://localhost:{port}"));
    bench.set("run.wait", "2s");
    bench.queue(&csv(1..=2)).await;
    let bundle = |name: &str, pem: &str| bench.file(name, pem).to_str().unwrap().to_owned();
    let (right, wrong) = (bundle("right.pem", &certificate), bundle("wrong.pem", &other.cert.pem()));
    let with = |file: &str| bench.start_with(&[("SSL_CERT_FILE", file), ("NO_PROXY", "localhost")], &["run"]).ended();
    with(&wrong).await.ends(4).says("an authority that this machine does not trust");
    assert_eq!((bench.asked("create"), bench.asked("assistants")), (0, 0));
    assert_eq!(bench.number("SELECT sum(attempts) FROM leads"), 0);
    with(&right).await.ends(0);
    bench.has_exactly(1..=2);
    bench.agrees().await;
}

// ---- files ----

/// Imports what `cat` of this shell script writes, through standard input; the most memory of it, in KiB.
async fn import_of(bench: &Bench, script: &str) -> (Said, u64) {
    let mut feeder = std::process::Command::new("sh")
        .args(["-c", script])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let process = bench.start_fed(&["import", "--queue-only", "-"], feeder.stdout.take().unwrap());
    let measured = measured(process).await;
    // It may have been left alone before its end.
    let _ = feeder.kill();
    feeder.wait().unwrap();
    measured
}

/// Made while it is read. Whoever kept what is 32 MiB long here would be seen: the program alone takes about as much. A
/// gigabyte in long tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_any_shape_is_imported_or_refused_with_its_line_and_memory_stays_flat() {
    let mib = if std::env::var_os("LEADSYNC_TEST_LONG").is_some() { 1024 } else { 32 };
    let bench = Bench::new(Kind::Sqlite).await;
    let zeros = |mib: usize, of: &str| format!("head -c {mib}M /dev/zero | tr '\\0' '{of}'");
    let header = "echo email,first_name,note";
    let (before, after) = (format!("echo {},Privata,x", email(1)), format!("echo {},Privata,y", email(2)));
    for (what, script, code, told) in [
        (
            "one field without end",
            format!("{header}; {before}; printf '{},Privata,'; {}; echo; {after}", email(3), zeros(mib, "x")),
            3,
            "line 3: at most 65536 are allowed",
        ),
        (
            "a quote that is never closed",
            format!("{header}; {before}; printf '{},Privata,\"'; {}", email(3), zeros(mib, "\\n")),
            3,
            "line 3: is opened and never closed",
        ),
        (
            "a million columns",
            format!("{header}; {before}; head -c 1000000 /dev/zero | tr '\\0' ','; echo; {after}"),
            3,
            "line 3: too many fields: 1000001, the header has 3",
        ),
        (
            "a header of megabytes",
            format!("printf email,; {}; echo; {before}", zeros(8, "x")),
            2,
            "longer than any header",
        ),
        ("a header of a million columns", format!("{}; echo; {before}", zeros(1, ",")), 2, "1048577 columns"),
        ("nothing but NUL", format!("{header}; {before}; head -c {mib}M /dev/zero"), 2, "not a CSV file"),
        ("half a UTF-16 character", "printf '\\377\\376e\\0m\\0a\\0i\\0l\\0\\n\\0\\0\\330'".to_owned(), 3, "line 2: "),
        ("one empty line after the other", format!("{header}; {}; {after}", zeros(mib, "\\n")), 0, ""),
    ] {
        let (said, peak_kib) = import_of(&bench, &script).await;
        assert_eq!(said.code, code, "{what}: {}", said.err);
        assert!(peak_kib > 0 && peak_kib < 56 << 10, "{what}: {peak_kib} KiB");
        let rejects = bench.path("stdin.rejected.csv");
        let rejected = if code == 3 { read_start(&rejects) } else { String::new() };
        let heard = format!("{}{}{rejected}", said.out, said.err).replace(['\n', '"'], " ").replace("  ", " ");
        let (line, reason) = told.split_once(": ").unwrap_or(("", told));
        assert!(heard.contains(reason.trim()), "{what}: {}", &heard[..heard.len().min(2000)]);
        if let Some(line) = line.strip_prefix("line ") {
            assert!(rejected.lines().any(|row| row.starts_with(&format!("{line},"))), "{what}: {}", said.err);
        }
        let _ = std::fs::remove_file(rejects);
    }
}

/// The first kilobytes of a file that may be large.
fn read_start(path: &std::path::Path) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path).unwrap().take(64 << 10).read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
