//! Servers whose certificate says that they are somebody else, or says nothing any more: not a byte of the request goes
//! to them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority that the client trusts, or not.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        // Two authorities of one name would be told apart by their signatures only.
        params.distinguished_name.push(DnType::CommonName, format!("{:032x}", rand::random::<u128>()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A server at `https://localhost`, and what it reads of a request once TLS is established.
    async fn server(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (saw, seen) = mpsc::unbounded_channel();
        let addr = peer(move |_, stream| {
            let (acceptor, saw) = (acceptor.clone(), saw.clone());
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    saw.send(String::from_utf8_lossy(&buffer[..n]).into_owned()).unwrap();
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                }
            }
        })
        .await;
        (addr, seen)
    }

    /// A client that trusts this authority alone.
    fn client(&self) -> HttpClient {
        let certificate = reqwest::Certificate::from_pem(self.pem.as_bytes()).unwrap();
        let client = HttpClient::new();
        let built = builder().no_proxy().tls_certs_only([certificate]).build().map_err(|e| e.to_string());
        client.0.remote.set(built).unwrap();
        client
    }
}

fn to(addr: SocketAddr) -> Request {
    let mut request = post(addr);
    request.url = format!("https://localhost:{}/leads?apikey=topsecret", addr.port()).parse().unwrap();
    request
}

#[tokio::test]
async fn a_certificate_that_is_in_order_is_trusted() {
    let authority = Authority::new();
    let (addr, mut seen) = authority.server("localhost", |_| {}).await;
    assert_eq!(&authority.client().send(&to(addr), LONG).await.unwrap().body[..], b"ok");
    assert!(seen.recv().await.unwrap().starts_with("POST /leads"));
}

#[tokio::test]
async fn a_certificate_that_is_not_in_order_means_not_sent_and_says_what_is_wrong() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let not_yet = |params: &mut CertificateParams| params.not_before = date_time_ymd(2200, 1, 1);
    for (what, (addr, mut seen), words) in [
        ("an unknown authority", theirs.server("localhost", |_| {}).await, "does not trust"),
        ("another host's", ours.server("other.example", |_| {}).await, "for another host"),
        ("expired", ours.server("localhost", expired).await, "expired"),
        ("not valid yet", ours.server("localhost", not_yet).await, "not valid yet"),
    ] {
        let why = not_sent(ours.client().send(&to(addr), LONG).await);
        assert!(why.starts_with(&format!("no TLS connection to `localhost:{}`: ", addr.port())), "{what}: {why}");
        assert!(why.contains(words), "{what}: {why}");
        assert!(seen.try_recv().is_err(), "{what}: something was sent");
    }
}
