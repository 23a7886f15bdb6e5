//! HTTPS with a certificate made inside, whose authority is published and stays.

use std::sync::Arc;

use crate::attestation::{get, pcr16, verified};
use crate::support::client::{exchange, signed_bytes};
use crate::support::{Client, Enclave, Host, Place, eventually};
use http::StatusCode;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CipherSuite, ClientConfig, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
};
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

fn settings(place: &Place) -> Value {
    let mut settings = place.settings();
    settings["tls"] = json!({ "names": ["kms.example.test"] });
    settings
}

/// The authority's certificate, once the host has it.
async fn published(host: &Host) -> Vec<u8> {
    eventually("ca.pem", || host.memory().published.is_some()).await;
    host.memory().published.clone().unwrap()
}

struct Handshake<'a> {
    ca_pem: &'a [u8],
    name: &'static str,
    alpn: &'a [&'a str],
    version: &'static SupportedProtocolVersion,
}

impl Handshake<'_> {
    async fn connect(&self, enclave: &Enclave) -> std::io::Result<TlsStream<link::Stream>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.ca_pem).unwrap())
            .unwrap();
        let provider: Arc<CryptoProvider> = aws_lc_rs::default_provider().into();
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let name = ServerName::try_from(self.name).unwrap();
        let stream = link::connect(&enclave.address).await.unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }
}

#[tokio::test]
async fn clients_of_all_kinds_are_served() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start_with(settings(&place)).await;
    let ca_pem = published(&host).await;
    for (name, alpn, version, chosen) in [
        ("localhost", &["h2", "http/1.1"][..], &TLS13, Some("h2")),
        ("127.0.0.1", &["h2"], &TLS12, Some("h2")),
        ("kms.example.test", &["http/1.1"], &TLS13, Some("http/1.1")),
        ("kms.us-west-2.amazonaws.com", &[], &TLS12, None),
        ("host.docker.internal", &[], &TLS13, None),
    ] {
        let handshake = Handshake {
            ca_pem: &ca_pem,
            name,
            alpn,
            version,
        };
        let stream = handshake.connect(&enclave).await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.alpn_protocol(), chosen.map(str::as_bytes));
        if version.version == ProtocolVersion::TLSv1_3 {
            let group = session.negotiated_key_exchange_group().unwrap();
            assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
        } else {
            let suite = session.negotiated_cipher_suite().unwrap().suite();
            assert_eq!(suite, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384);
        }
        let mut client = match chosen {
            Some("h2") => Client::http2_over(stream).await,
            _ => Client::http1_over(stream).await,
        };
        for _ in 0..3 {
            client.call("ListKeys", json!({})).await.ok();
        }
    }
}

#[tokio::test]
async fn the_authority_is_attested_and_over_tls_only() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start_with(settings(&place)).await;
    let ca_pem = published(&host).await;
    let handshake = Handshake {
        ca_pem: &ca_pem,
        name: "localhost",
        alpn: &[],
        version: &TLS13,
    };
    let stream = handshake.connect(&enclave).await.unwrap();
    let answer = Client::http1_over(stream)
        .await
        .send(get("?nonce=01"))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let document = verified(&place, &answer.body);
    let certificate = CertificateDer::from_pem_slice(&ca_pem).unwrap();
    let expected = pcr16(&settings(&place).to_string(), &certificate);
    assert_eq!(document.pcrs().get(16), Some(&expected[..]));

    let in_clear = enclave.http1().await.send(get("?nonce=01")).await;
    assert_eq!(in_clear.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_not_vouched_for() {
    let place = Place::new();
    let host = place.host().await;
    let enclave = place.start_with(settings(&place)).await;
    let ca_pem = published(&host).await;
    let handshake = Handshake {
        ca_pem: &ca_pem,
        name: "kms.other.test",
        alpn: &[],
        version: &TLS13,
    };
    assert!(handshake.connect(&enclave).await.is_err());
    enclave.http1().await.health().await;
}

#[tokio::test]
async fn the_authority_stays_and_the_certificate_changes() {
    let place = Place::new();
    let host = place.host().await;
    let mut authorities = Vec::new();
    let mut certificates = Vec::new();
    for _ in 0..2 {
        let enclave = place.start_with(settings(&place)).await;
        let ca_pem = published(&host).await;
        let handshake = Handshake {
            ca_pem: &ca_pem,
            name: "localhost",
            alpn: &[],
            version: &TLS13,
        };
        let stream = handshake.connect(&enclave).await.unwrap();
        let (_, session) = stream.get_ref();
        certificates.push(session.peer_certificates().unwrap()[0].clone().into_owned());
        authorities.push(ca_pem);
        host.memory().published = None;
        enclave.stop().await.unwrap();
    }
    assert_eq!(authorities[0], authorities[1]);
    assert_ne!(certificates[0], certificates[1]);
    assert!(!String::from_utf8_lossy(&authorities[0]).contains("PRIVATE"));
}

#[tokio::test]
async fn in_clear_nothing_but_the_health_is_told() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start_with(settings(&place)).await;
    assert_eq!(enclave.http1().await.health().await["status"], "ok");
    let mut client = enclave.http1().await;
    let answer = client.call("ListKeys", json!({})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(String::from_utf8_lossy(&answer.body).contains("https://"));
    let body = "{}";
    let mut bytes = signed_bytes(
        "CreateKey",
        body,
        "connection: close\r\ncontent-length: 2\r\n",
    );
    bytes.extend_from_slice(body.as_bytes());
    let answer = exchange(&enclave.address, &bytes).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn a_broken_handshake_ends_its_connection_only() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start_with(settings(&place)).await;
    for garbage in [
        &[22, 3, 1, 0, 5, 1, 2, 3, 4, 5][..],
        &[22, 255, 255, 255, 255],
    ] {
        let mut stream = link::connect(&enclave.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, garbage)
            .await
            .unwrap();
        let mut alert = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut alert);
        // An alert, or at least an end.
        let _ = tokio::time::timeout(crate::support::LONG, read)
            .await
            .unwrap();
    }
    enclave.http1().await.health().await;
}
