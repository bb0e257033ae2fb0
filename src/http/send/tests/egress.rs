//! The way out: a proxy of a destination's own, and the address that calls leave from.

use std::net::IpAddr;
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::http::message::{Request, SendError};
use crate::http::send::{Egress, HttpClient};

/// A proxy that refuses: what it was asked for, and by whom.
async fn refusing_proxy() -> (String, tokio::task::JoinHandle<(String, IpAddr)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://ann:pr0xy-secret@{}", listener.local_addr().unwrap());
    let seen = tokio::spawn(async move {
        let (mut stream, peer) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        (String::from_utf8(head).unwrap(), peer.ip())
    });
    (url, seen)
}

#[tokio::test]
async fn calls_go_through_the_destinations_own_proxy_and_leave_from_its_own_address() {
    let (proxy, seen) = refusing_proxy().await;
    let bind: IpAddr = "127.0.0.2".parse().unwrap();
    let egress = Egress { bind: Some(bind), proxy: Some(proxy.parse().unwrap()), ipv4_only: true };
    assert!(!format!("{egress:?}").contains("pr0xy-secret"));
    let client = HttpClient::new().through(egress);
    let request = Request::new(Method::GET, "https://api.example.invalid/leads".parse().unwrap());
    let error = client.send(&request, Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent { .. }), "a tunnel that is refused carries nothing: {error}");
    assert!(!error.to_string().contains("pr0xy-secret"), "{error}");
    let (head, from) = seen.await.unwrap();
    assert!(head.starts_with("CONNECT api.example.invalid:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic "), "{head}");
    assert_eq!(from, bind);
}

#[test]
fn the_usual_way_out_is_the_same_client() {
    let client = HttpClient::new();
    let same = client.through(Egress::default());
    assert!(std::sync::Arc::ptr_eq(&client.0, &same.0), "or connections would not be shared");
}
