//! Against real sockets: every way a peer can behave badly, and what we say we know afterwards.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::http::fake::read_request;

mod egress;
mod hostile;
mod tls;

const LONG: Duration = Duration::from_secs(20);

/// Closes with RST instead of FIN.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// A peer that treats connection number n as `serve` says, for as long as the test lives.
async fn peer<F, Fut>(serve: F) -> SocketAddr
where
    F: Fn(usize, TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for n in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(n, stream));
        }
    });
    addr
}

fn post(addr: SocketAddr) -> Request {
    let url = format!("http://{addr}/leads?apikey=topsecret").parse().unwrap();
    Request::new(Method::POST, url)
        .header(AUTHORIZATION, HeaderValue::from_static("Bearer topsecret"))
        .json(&serde_json::json!({"email": "ann@example.com"}))
}

fn not_sent(result: Result<Reply, SendError>) -> String {
    match result {
        Err(SendError::NotSent { why }) => discreet(why),
        other => panic!("expected NotSent, got {other:?}"),
    }
}

fn lost(result: Result<Reply, SendError>) -> String {
    match result {
        Err(SendError::Lost { why }) => discreet(why),
        other => panic!("expected Lost, got {other:?}"),
    }
}

fn discreet(why: String) -> String {
    assert!(!why.contains("topsecret") && !why.contains("apikey") && !why.contains("example.com/"), "{why}");
    assert!(!why.contains('\n'), "{why}");
    why
}

#[tokio::test]
async fn a_complete_reply_is_returned_whatever_its_status() {
    let addr = peer(|_, mut stream| async move {
        let request = read_request(&mut stream).await.unwrap();
        assert!(request.starts_with("POST /leads?apikey=topsecret HTTP/1.1\r\n"), "{request}");
        let head = request.to_lowercase();
        assert!(head.contains("\r\nuser-agent: leadsync/"), "{request}");
        assert!(head.contains("\r\ncontent-length: 27\r\n") && !head.contains("chunked"), "{request}");
        assert!(request.ends_with(r#"{"email":"ann@example.com"}"#), "{request}");
        stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nX-Why: load\r\n\r\nbusy").await.unwrap();
    })
    .await;
    let reply = HttpClient::new().send(&post(addr), LONG).await.unwrap();
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.header("x-why"), Some("load"));
    assert_eq!(&reply.body[..], b"busy");
}

#[tokio::test]
async fn a_refused_connection_was_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let why = not_sent(HttpClient::new().send(&post(addr), LONG).await);
    assert!(why.starts_with(&format!("connection refused by `{addr}`")), "{why}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_was_not_sent() {
    let request = Request::new(Method::POST, "http://no-such-host.invalid/leads?apikey=topsecret".parse().unwrap());
    // Without the system's proxy, which would be asked to resolve the name.
    let client = HttpClient::new();
    client.0.remote.set(builder().no_proxy().tls_certs_only([]).build().map_err(|e| e.to_string())).unwrap();
    let why = not_sent(client.send(&request, LONG).await);
    assert!(why.starts_with("the name `no-such-host.invalid` can't be resolved"), "{why}");
}

#[tokio::test]
async fn tls_to_a_plain_port_was_not_sent() {
    let (saw, mut seen) = mpsc::unbounded_channel();
    let addr = peer(move |_, mut stream| {
        let saw = saw.clone();
        async move {
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).await.unwrap();
            saw.send(String::from_utf8_lossy(&buffer[..n]).to_string()).unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let mut request = post(addr);
    request.url.set_scheme("https").unwrap();
    let client = HttpClient::new();
    client.0.remote.set(builder().no_proxy().tls_certs_only([]).build().map_err(|e| e.to_string())).unwrap();
    let why = not_sent(client.send(&request, LONG).await);
    assert!(why.starts_with(&format!("no TLS connection to `{addr}`: ")), "{why}");
    assert!(!seen.recv().await.unwrap().contains("topsecret"));
}

/// A request whose time is over when the connection asks for its body.
fn late(addr: SocketAddr) -> (reqwest::Request, String) {
    let Request { method, url, headers, body } = post(addr);
    let host = words::host(&url);
    let mut late = reqwest::Request::new(method, url);
    *late.headers_mut() = headers;
    let latch = Arc::new(Latch::new(Moment::now(), Duration::ZERO));
    *late.body_mut() = Some(reqwest::Body::wrap(Latched::new(body, latch)));
    (late, host)
}

#[tokio::test]
async fn of_a_request_that_is_asked_for_too_late_not_a_byte_is_written() {
    let (saw, mut seen) = mpsc::unbounded_channel();
    let addr = peer(move |_, mut stream| {
        let saw = saw.clone();
        async move {
            let mut requests = 0;
            while read_request(&mut stream).await.is_some() {
                requests += 1;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            }
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            saw.send((requests, rest)).unwrap();
        }
    })
    .await;
    let client = HttpClient::new();
    let target = post(addr).url;
    for requests_before in [0, 1] {
        if requests_before > 0 {
            // On a connection that is open already.
            client.send(&post(addr), LONG).await.unwrap();
        }
        let (late, host) = late(addr);
        match exchange(client.client(&target).unwrap(), late, &host, REPLY_CAP).await {
            Err(Failed::Request(error)) => assert!(words::came_too_late(&error), "{error:?}"),
            Err(Failed::Reply(error)) => panic!("{error:?}"),
            Ok(reply) => panic!("{reply:?}"),
        }
        assert_eq!(seen.recv().await, Some((requests_before, Vec::new())));
    }
    let long_ago = client.send_departed(&post(addr), Moment::now(), Duration::ZERO).await;
    assert!(not_sent(long_ago).starts_with("nothing could be written to"));
}

#[tokio::test]
async fn a_connection_that_is_not_there_in_time_is_not_used_later() {
    let (accepted, mut is_there) = mpsc::unbounded_channel();
    let addr = peer(move |_, stream| {
        let accepted = accepted.clone();
        // Silence instead of a TLS handshake.
        async move { accepted.send(stream).unwrap() }
    })
    .await;
    let mut request = post(addr);
    request.url.set_scheme("https").unwrap();
    let client = HttpClient::new();
    client.0.remote.set(builder().no_proxy().tls_certs_only([]).build().map_err(|e| e.to_string())).unwrap();
    let why = not_sent(client.send(&request, Duration::from_millis(200)).await);
    assert_eq!(why, format!("nothing could be written to `{addr}` within 200ms"));
    assert!(is_there.recv().await.is_some());
}

#[test]
fn who_gives_up_lets_nothing_leave_afterwards() {
    let latch = Arc::new(Latch::new(Moment::now(), LONG));
    drop(ShutOnDrop(Arc::clone(&latch)));
    assert!(!latch.pass());
    let latch = Latch::new(Moment::now(), LONG);
    assert!(latch.pass());
    assert!(!latch.shut(), "it has left");
}

#[tokio::test]
async fn a_proxy_that_refuses_the_tunnel_means_not_sent() {
    let addr = peer(|_, mut stream| async move {
        let request = read_request(&mut stream).await.unwrap();
        assert!(request.starts_with("CONNECT api.example.com:443 HTTP/1.1\r\n"), "{request}");
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    let client = HttpClient::new();
    let proxy = reqwest::Proxy::all(format!("http://user:topsecret@{addr}")).unwrap();
    client.0.remote.set(builder().proxy(proxy).tls_certs_only([]).build().map_err(|e| e.to_string())).unwrap();
    let request = Request::new(Method::POST, "https://api.example.com/leads?apikey=topsecret".parse().unwrap());
    let why = not_sent(client.send(&request, LONG).await);
    assert!(why.starts_with("no connection to `api.example.com`"), "{why}");
}

#[tokio::test]
async fn an_address_that_is_not_http_was_not_sent() {
    let request = Request::new(Method::GET, "ftp://example.com/?apikey=topsecret".parse().unwrap());
    let client = HttpClient::new();
    client.0.remote.set(builder().no_proxy().tls_certs_only([]).build().map_err(|e| e.to_string())).unwrap();
    let why = not_sent(client.send(&request, LONG).await);
    assert!(why.contains("takes an http or https address"), "{why}");
}

#[tokio::test]
async fn a_reset_after_the_request_was_read_is_lost() {
    let addr = peer(|_, mut stream| async move {
        read_request(&mut stream).await;
        reset(stream);
    })
    .await;
    let why = lost(HttpClient::new().send(&post(addr), LONG).await);
    assert!(why.contains("broke before a reply came"), "{why}");
}

#[tokio::test]
async fn a_reset_before_anything_was_read_is_not_taken_for_not_sent() {
    let addr = peer(|_, stream| async move { reset(stream) }).await;
    for _ in 0..20 {
        lost(HttpClient::new().send(&post(addr), LONG).await);
    }
}

#[tokio::test]
async fn a_connection_closed_in_the_middle_of_the_reply_is_lost() {
    let addr = peer(|n, mut stream| async move {
        read_request(&mut stream).await;
        let part: &[u8] = match n {
            0 => b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":",
            1 => b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"id\":",
            _ => b"HTTP/1.1 201 Crea",
        };
        stream.write_all(part).await.unwrap();
    })
    .await;
    let client = HttpClient::new();
    assert!(lost(client.send(&post(addr), LONG).await).contains("in the middle of a 201 reply"));
    assert!(lost(client.send(&post(addr), LONG).await).contains("in the middle of a 201 reply"));
    assert!(lost(client.send(&post(addr), LONG).await).contains("before a reply came"));
}

#[tokio::test]
async fn a_peer_that_hangs_is_given_up_after_the_timeout() {
    let addr = peer(|_, mut stream| async move {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let began = Instant::now();
    let why = lost(HttpClient::new().send(&post(addr), Duration::from_millis(200)).await);
    assert!(why.ends_with("within 200ms"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_reply_that_drips_does_not_outlive_the_timeout() {
    let addr = peer(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let why = lost(HttpClient::new().send(&post(addr), Duration::from_millis(300)).await);
    assert!(why.ends_with("within 300ms"), "{why}");
}

#[tokio::test]
async fn a_reply_over_the_cap_is_lost_after_the_cap_and_not_read_on() {
    let (sent, mut wrote) = mpsc::unbounded_channel();
    let addr = peer(move |n, mut stream| {
        let sent = sent.clone();
        async move {
            read_request(&mut stream).await;
            let head: &[u8] = match n {
                0 => b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
                _ => b"HTTP/1.1 200 OK\r\n\r\n",
            };
            stream.write_all(head).await.unwrap();
            let block = vec![b'x'; 1 << 16];
            let mut total = 0_usize;
            while total < 1_000_000_000 && stream.write_all(&block).await.is_ok() {
                total += block.len();
            }
            sent.send(total).unwrap();
        }
    })
    .await;
    let client = HttpClient::new();
    for _ in 0..2 {
        let why = lost(client.send(&post(addr), LONG).await);
        assert!(why.contains("longer than 1048576 bytes"), "{why}");
        // What lay in socket buffers comes on top of the cap.
        assert!(wrote.recv().await.unwrap() < 64 << 20);
    }
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_arrives_as_it_is() {
    let addr = peer(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Odd: \xff\r\n\r\n\xff\xfe\x00").await.unwrap();
    })
    .await;
    let reply = HttpClient::new().send(&post(addr), LONG).await.unwrap();
    assert_eq!(&reply.body[..], b"\xff\xfe\x00");
    assert_eq!(reply.header("x-odd"), None);
}

#[tokio::test]
async fn endless_headers_are_lost_and_not_kept() {
    let addr = peer(|_, mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let line = format!("X-Bomb: {}\r\n", "x".repeat(4000));
        while stream.write_all(line.as_bytes()).await.is_ok() {}
    })
    .await;
    let why = lost(HttpClient::new().send(&post(addr), LONG).await);
    assert!(why.contains("not HTTP"), "{why}");
}

#[tokio::test]
async fn what_is_not_http_is_lost() {
    let addr = peer(|_, mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"220 mail.example.com ESMTP\r\n").await;
    })
    .await;
    assert!(lost(HttpClient::new().send(&post(addr), LONG).await).contains("not HTTP"));
}

#[tokio::test]
async fn a_redirect_is_a_reply_and_the_credentials_go_nowhere_else() {
    let (saw, mut seen) = mpsc::unbounded_channel::<()>();
    let elsewhere = peer(move |_, _| {
        let saw = saw.clone();
        async move { saw.send(()).unwrap() }
    })
    .await;
    let addr = peer(move |_, mut stream| async move {
        read_request(&mut stream).await;
        let reply = format!("HTTP/1.1 307 Moved\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(reply.as_bytes()).await.unwrap();
    })
    .await;
    let reply = HttpClient::new().send(&post(addr), LONG).await.unwrap();
    assert_eq!(reply.status, StatusCode::TEMPORARY_REDIRECT);
    assert!(reply.headers.contains_key(LOCATION));
    assert!(seen.try_recv().is_err());
}

/// The pool's danger: a request on a connection that the server is closing. However it ends, the server sees each
/// request at most once.
#[tokio::test]
async fn a_connection_closed_between_requests_never_makes_one_request_arrive_twice() {
    let (saw, mut seen) = mpsc::unbounded_channel();
    let addr = peer(move |_, mut stream| {
        let saw = saw.clone();
        async move {
            // Two requests, the second one read but not answered; or the connection closed after the first.
            let first = read_request(&mut stream).await.unwrap();
            saw.send(first).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let second = read_request(&mut stream).await.unwrap();
            if !second.is_empty() {
                saw.send(second).unwrap();
            }
            reset(stream);
        }
    })
    .await;
    let client = HttpClient::new();
    let (mut replies, mut losses) = (0, 0);
    for n in 0..60 {
        let mut request = post(addr);
        request.url.set_path(&format!("/lead/{n}"));
        match client.send(&request, LONG).await {
            Ok(_) => replies += 1,
            Err(SendError::Lost { .. }) => losses += 1,
            Err(SendError::NotSent { why }) => panic!("{why}"),
        }
    }
    assert_eq!(replies + losses, 60);
    assert!(losses > 0 && replies > 0);
    seen.close();
    let mut lines = Vec::new();
    while let Some(request) = seen.recv().await {
        lines.push(request.lines().next().unwrap_or_default().to_owned());
    }
    let distinct: std::collections::HashSet<_> = lines.iter().collect();
    assert_eq!(distinct.len(), lines.len(), "a request arrived twice: {lines:?}");
}
