//! Servers that mean harm, or are broken as if they did. Whatever they send: memory stays bounded (the server sees how
//! little is read of what has no end), time stays bounded, and since the request may have arrived, the answer is
//! [`SendError::Lost`] or a complete reply, never [`SendError::NotSent`].

use super::*;

/// What has no end is written until the client hangs up; more than this must not be read of it, socket buffers included.
const FLOOD: usize = 64 << 20;
/// Long enough for anything but what never ends.
const SHORT: Duration = Duration::from_secs(2);

/// A server that reads the request, says `begin`, then `again` until the client hangs up or [`FLOOD`] is passed; tells how
/// much it got rid of.
async fn flood(begin: &'static [u8], again: Vec<u8>) -> (SocketAddr, mpsc::UnboundedReceiver<usize>) {
    let (sent, wrote) = mpsc::unbounded_channel();
    let addr = peer(move |_, mut stream| {
        let (sent, again) = (sent.clone(), again.clone());
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(begin).await;
            let mut total = 0;
            while total <= 2 * FLOOD && stream.write_all(&again).await.is_ok() {
                total += again.len();
            }
            sent.send(total).unwrap();
        }
    })
    .await;
    (addr, wrote)
}

/// A server that says just this, then waits for the client to leave.
async fn says(reply: &'static [u8]) -> SocketAddr {
    peer(move |_, mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(reply).await;
        let _ = stream.read(&mut [0; 16]).await;
    })
    .await
}

/// The same, and closes at once.
async fn says_and_closes(reply: &'static [u8]) -> SocketAddr {
    peer(move |_, mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(reply).await;
    })
    .await
}

/// Chunks without end, of the largest size that a chunk can name.
#[tokio::test]
async fn a_chunked_body_without_end_is_lost_after_the_cap() {
    let block: Vec<u8> = [b"10000\r\n".to_vec(), vec![b'x'; 1 << 16], b"\r\n".to_vec()].concat();
    let (addr, mut wrote) = flood(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n", block).await;
    let why = lost(HttpClient::new().send(&post(addr), LONG).await);
    assert!(why.contains("longer than 1048576 bytes"), "{why}");
    assert!(wrote.recv().await.unwrap() < FLOOD);
}

#[tokio::test]
async fn one_chunk_of_any_size_is_lost_after_the_cap() {
    let head = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n";
    let (addr, mut wrote) = flood(head, vec![b'x'; 1 << 16]).await;
    assert!(lost(HttpClient::new().send(&post(addr), LONG).await).contains("longer than 1048576 bytes"));
    assert!(wrote.recv().await.unwrap() < FLOOD);
}

/// Each of these ends before its end comes: the head or the framing may only be so large.
#[tokio::test]
async fn heads_and_framing_without_end_are_lost_and_not_kept() {
    let many: Vec<u8> = (0..1000).flat_map(|n| format!("X-{n}: y\r\n").into_bytes()).collect();
    let extension = b";x=yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy".to_vec();
    let cases: [(&'static str, &'static [u8], Vec<u8>); 7] = [
        ("headers without end", b"HTTP/1.1 200 OK\r\n", many),
        ("one header without end", b"HTTP/1.1 200 OK\r\nX-Bomb: ", vec![b'x'; 1 << 16]),
        ("a header's name without end", b"HTTP/1.1 200 OK\r\nX-", vec![b'x'; 1 << 16]),
        ("a status line without end", b"HTTP/1.1 200 ", vec![b'x'; 1 << 16]),
        ("a chunk extension without end", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", extension.clone()),
        (
            "small chunks with large extensions without end",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            [b"1".to_vec(), extension, b"\r\nx\r\n".to_vec()].concat(),
        ),
        (
            "trailers without end",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X-Trailer: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".to_vec(),
        ),
    ];
    let client = HttpClient::new();
    for (what, begin, again) in cases {
        let (addr, mut wrote) = flood(begin, again).await;
        let why = lost(client.send(&post(addr), LONG).await);
        assert!(!why.contains("no complete reply"), "{what} lasted until the time-out: {why}");
        assert!(wrote.recv().await.unwrap() < FLOOD, "{what}");
    }
}

/// 1xx replies precede the real one in any number, and a chunk's size may begin with any number of zeros: only the
/// time-out ends these. Nothing of them is kept, and the connection does not live on.
#[tokio::test]
async fn what_says_nothing_without_end_is_lost_at_the_timeout() {
    let interim = |what: &str| (&b""[..], format!("HTTP/1.1 {what}\r\nLink: </x>\r\n\r\n").into_bytes());
    let zeros = (&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..], vec![b'0'; 1 << 16]);
    for (begin, again) in [interim("100 Continue"), interim("102 Processing"), interim("103 Early Hints"), zeros] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            let _ = stream.write_all(begin).await;
            while stream.write_all(&again).await.is_ok() {}
        });
        let why = lost(HttpClient::new().send(&post(addr), Duration::from_millis(300)).await);
        assert!(why.ends_with("within 300ms"), "{why}");
        // It was hung up on.
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_head_that_drips_does_not_outlive_the_timeout() {
    let addr = peer(|_, mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(lost(HttpClient::new().send(&post(addr), Duration::from_millis(300)).await).ends_with("within 300ms"));
}

/// Not a head that HTTP/1.1 knows, or one that leaves the length in doubt: requests could be answered with each other's
/// replies.
#[tokio::test]
async fn what_is_no_reply_is_lost() {
    let cases: [(&'static str, &'static [u8]); 11] = [
        ("HTTP/0.9", b"<html>created</html>"),
        ("a later version", b"HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("HTTP/2 frames", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80"),
        ("a TLS alert", b"\x15\x03\x03\x00\x02\x02\x28"),
        ("bytes", b"\x00\xff\xfe\r\n\r\n"),
        ("a status of two digits", b"HTTP/1.1 20 OK\r\n\r\n"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
        ("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok"),
        ("a length beyond all numbers", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok"),
        ("a header without a colon", b"HTTP/1.1 200 OK\r\nnot a header\r\n\r\n"),
    ];
    let client = HttpClient::new();
    for (what, reply) in cases {
        let result = client.send(&post(says_and_closes(reply).await), LONG).await;
        assert!(matches!(result, Err(SendError::Lost { .. })), "{what}: {result:?}");
    }
}

#[tokio::test]
async fn a_body_shorter_than_its_length_is_lost() {
    let short = says_and_closes(b"HTTP/1.1 201 Created\r\nContent-Length: 20\r\n\r\n{\"id\": 7}").await;
    assert!(lost(HttpClient::new().send(&post(short), LONG).await).contains("in the middle of a 201 reply"));
    let open = says(b"HTTP/1.1 201 Created\r\nContent-Length: 20\r\n\r\n{\"id\": 7}").await;
    assert!(lost(HttpClient::new().send(&post(open), Duration::from_millis(300)).await).ends_with("within 300ms"));
    let chunks =
        says_and_closes(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"id\": 7}\r\n").await;
    assert!(lost(HttpClient::new().send(&post(chunks), LONG).await).contains("in the middle of a 201 reply"));
}

/// The rest of a reply that was longer than it said looks like the reply to the next request. It must never be taken for
/// it: that lead would be called delivered under somebody else's number.
#[tokio::test]
async fn what_follows_a_reply_is_never_the_reply_to_the_next_request() {
    const TWO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\
        HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{\"id\":66}";
    let addr = peer(|_, mut stream| async move {
        while read_request(&mut stream).await.is_some() && stream.write_all(TWO).await.is_ok() {}
    })
    .await;
    let client = HttpClient::new();
    for _ in 0..20 {
        match client.send(&post(addr), SHORT).await {
            Ok(reply) => assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b"ok"[..])),
            Err(SendError::Lost { .. }) => {}
            Err(SendError::NotSent { why }) => panic!("{why}"),
        }
    }
}

/// We don't ask for compression, so that a small reply can't become a large one.
#[tokio::test]
async fn a_body_labelled_as_compressed_is_not_unpacked() {
    let addr = peer(|_, mut stream| async move {
        let request = read_request(&mut stream).await.unwrap().to_lowercase();
        assert!(!request.contains("accept-encoding"), "{request}");
        let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n";
        let _ = stream.write_all(&[&head[..], b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x04"].concat()).await;
    })
    .await;
    let reply = HttpClient::new().send(&post(addr), LONG).await.unwrap();
    assert_eq!(&reply.body[..4], b"\x1f\x8b\x08\x00");
    assert!(reply.json().is_none());
}

/// A server that changes to another protocol unasked has not answered.
#[tokio::test]
async fn a_switch_of_protocols_is_no_success() {
    let addr = says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n{\"id\": 7}").await;
    match HttpClient::new().send(&post(addr), SHORT).await {
        Ok(reply) => assert!(reply.status == StatusCode::SWITCHING_PROTOCOLS && reply.body.is_empty()),
        Err(SendError::Lost { .. }) => {}
        Err(SendError::NotSent { why }) => panic!("{why}"),
    }
}

/// Every way to be sent elsewhere: another host, the same one without TLS, the same address again and again.
#[tokio::test]
async fn no_redirect_is_followed() {
    for status in [300, 301, 302, 303, 307, 308] {
        for to_itself in [false, true] {
            let (saw, mut seen) = mpsc::unbounded_channel();
            let elsewhere = peer(move |_, mut stream| {
                let saw = saw.clone();
                async move { saw.send(read_request(&mut stream).await).unwrap() }
            })
            .await;
            let (asked, mut requests) = mpsc::unbounded_channel();
            let addr = peer(move |_, mut stream| {
                let asked = asked.clone();
                async move {
                    while let Some(request) = read_request(&mut stream).await {
                        asked.send(()).unwrap();
                        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
                        let target = if to_itself { host.to_owned() } else { elsewhere.to_string() };
                        let reply = format!(
                            "HTTP/1.1 {status} Elsewhere\r\nLocation: http://{target}/leads\r\nRefresh: 0; url=http://{target}/\r\n\
                             Content-Length: 0\r\n\r\n"
                        );
                        let _ = stream.write_all(reply.as_bytes()).await;
                    }
                }
            })
            .await;
            let reply = HttpClient::new().send(&post(addr), LONG).await.unwrap();
            assert_eq!(reply.status.as_u16(), status);
            assert!(requests.recv().await.is_some() && requests.try_recv().is_err(), "{status}: asked twice");
            assert!(seen.try_recv().is_err(), "{status}: somebody else was asked");
        }
    }
}
