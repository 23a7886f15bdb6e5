//! The enclave's own document: what it says, and to whom.

use std::fs;
use std::future::pending;
use std::time::{Duration, Instant, SystemTime};

use crate::support::{Client, Enclave, Place};
use attestation::{Timestamp, TrustRoot, VerifiedDocument, Verifier, VerifyOptions};
use aws_lc_rs::digest::{SHA384, digest};
use bytes::Bytes;
use enclave::{Config, EnclaveError};
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;

pub(crate) fn get(query: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://enclave/attestation{query}"))
        .header("host", "enclave")
        .body(Full::default())
        .unwrap()
}

pub(crate) fn verified(place: &Place, document: &[u8]) -> VerifiedDocument {
    let ca = fs::read(place.path().join("simulated-ca.pem")).unwrap();
    let root = TrustRoot::simulated(&ca).unwrap();
    let verifier = Verifier::new(vec![root], VerifyOptions::default());
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let now = Timestamp::from_millis(now.try_into().unwrap());
    verifier.verify(document, now).unwrap()
}

/// PCR16 as docs/attested-identity.md has it, of a certificate in DER, or of none.
pub(crate) fn pcr16(settings: &str, certificate: &[u8]) -> Vec<u8> {
    let hash = |bytes: &[u8]| digest(&SHA384, bytes).as_ref().to_vec();
    let measured = hash(&[hash(settings.as_bytes()), hash(certificate)].concat());
    hash(&[vec![0; 48], measured].concat())
}

async fn document(enclave: &Enclave, query: &str) -> Vec<u8> {
    let answer = enclave.http1().await.send(get(query)).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.body.to_vec()
}

#[tokio::test]
async fn anybody_gets_a_document_with_the_nonce_and_the_settings() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    let document = document(&enclave, "?nonce=00c1a7").await;
    let document = verified(&place, &document);
    assert_eq!(document.nonce(), Some(&[0, 0xc1, 0xa7][..]));
    let expected = pcr16(&place.settings().to_string(), b"");
    assert_eq!(document.pcrs().get(16), Some(&expected[..]));
    assert_eq!(document.pcrs().get(17), None);
}

#[tokio::test]
async fn other_settings_are_another_measurement() {
    let place = Place::new();
    let _host = place.host().await;
    let mut registers = Vec::new();
    for max_age in [300, 301] {
        let mut settings = place.settings();
        settings["trust"] = json!({ "max_age_seconds": max_age });
        let enclave = place.start_with(settings).await;
        let document = document(&enclave, "?nonce=01").await;
        let document = verified(&place, &document);
        registers.push(document.pcrs().get(16).unwrap().to_vec());
        enclave.stop().await.unwrap();
    }
    assert_ne!(registers[0], registers[1]);
}

#[tokio::test]
async fn with_a_clock_that_its_module_contradicts_an_enclave_does_not_start() {
    let place = Place::new();
    let _host = place.host().await;
    let mut settings = place.settings();
    settings["nsm"]["simulated"]["clock_ahead_seconds"] = json!(24 * 60 * 60);
    let config = Config::from_json(settings.to_string().as_bytes()).unwrap();
    let refused = enclave::run(config, pending()).await;
    assert!(matches!(
        refused,
        Err(EnclaveError::ClockDisagrees {
            is_ahead: false,
            ..
        })
    ));
    settings["nsm"]["simulated"]["clock_ahead_seconds"] = json!(30);
    place.start_with(settings).await.stop().await.unwrap();
}

#[tokio::test]
async fn a_query_that_is_no_nonce_is_refused() {
    let place = Place::new();
    let _host = place.host().await;
    let enclave = place.start().await;
    let mut client: Client = enclave.http2().await;
    for query in [
        "",
        "?",
        "?nonce=",
        "?nonce=xyz",
        "?other=00",
        "?nonce=00&nonce=11",
    ] {
        let answer = client.send(get(query)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn whoever_asks_for_too_many_documents_is_told_to_wait() {
    let place = Place::new();
    let _host = place.host().await;
    let mut settings = place.settings();
    settings["limits"]["documents_per_second"] = json!(1);
    let enclave = place.start_with(settings).await;
    let mut client = enclave.http2().await;
    let mut documents = 0;
    let began = Instant::now();
    while documents < 2 {
        let answer = client.send(get("?nonce=01")).await;
        if answer.status == StatusCode::OK {
            documents += 1;
            continue;
        }
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(String::from_utf8_lossy(&answer.body).contains("Try again"));
        // Nobody else waits for that.
        client.call("ListKeys", json!({})).await.ok();
    }
    assert!(began.elapsed() >= Duration::from_millis(900));
}
