//! Other people's readers and verifiers on the same documents.
//!
//! `coset` and `serde_cbor` must read in a document what the strict scan read in it, and
//! `rustls-webpki` must find the same chains valid. Both are laxer, so what they accept is not
//! always accepted here; what is accepted here they must accept.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use attestation::{AttestationDocument, TrustRoot};
use coset::{CborSerializable, CoseSign1, TaggedCborSerializable, iana};
use proptest::prelude::*;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde_cbor::Value;
use webpki::aws_lc_rs::ECDSA_P384_SHA384;

use crate::fixtures::{self, Fixture};

/// Reads a document with `coset` and `serde_cbor` and compares it with what `scanned` says.
fn assert_same(bytes: &[u8], scanned: &AttestationDocument<'_>, name: &str) {
    let sign1 = CoseSign1::from_slice(bytes)
        .or_else(|_| CoseSign1::from_tagged_slice(bytes))
        .unwrap_or_else(|error| panic!("{name}: coset: {error}"));
    let es384 = coset::RegisteredLabelWithPrivate::Assigned(iana::Algorithm::ES384);
    assert_eq!(sign1.protected.header.alg, Some(es384), "{name}");
    assert!(sign1.unprotected.is_empty(), "{name}");
    assert_eq!(sign1.signature, scanned.signature(), "{name}");
    let payload = sign1.payload.expect("a payload");
    assert_eq!(payload, scanned.payload(), "{name}");

    let payload: BTreeMap<String, Value> =
        serde_cbor::from_slice(&payload).unwrap_or_else(|error| panic!("{name}: {error}"));
    let text = |key: &str| match payload.get(key) {
        Some(Value::Text(text)) => text.as_str(),
        other => panic!("{name}: {key} is {other:?}"),
    };
    let bytes = |key: &str| match payload.get(key) {
        Some(Value::Bytes(bytes)) => Some(bytes.as_slice()),
        Some(Value::Null) | None => None,
        other => panic!("{name}: {key} is {other:?}"),
    };
    assert_eq!(text("module_id"), scanned.module_id(), "{name}");
    assert_eq!(text("digest"), "SHA384", "{name}");
    let timestamp = i128::from(scanned.timestamp().as_millis());
    assert_eq!(payload["timestamp"], Value::Integer(timestamp), "{name}");
    assert_eq!(bytes("certificate"), Some(scanned.certificate()), "{name}");
    assert_eq!(bytes("public_key"), scanned.public_key(), "{name}");
    assert_eq!(bytes("user_data"), scanned.user_data(), "{name}");
    assert_eq!(bytes("nonce"), scanned.nonce(), "{name}");

    let Value::Array(cabundle) = &payload["cabundle"] else {
        panic!("{name}: cabundle")
    };
    let scanned_bundle: Vec<_> = scanned
        .cabundle()
        .iter()
        .map(|der| Value::Bytes(der.to_vec()))
        .collect();
    assert_eq!(cabundle, &scanned_bundle, "{name}");
    let Value::Map(pcrs) = &payload["pcrs"] else {
        panic!("{name}: pcrs")
    };
    let scanned_pcrs: BTreeMap<_, _> = scanned
        .pcrs()
        .iter()
        .map(|(index, value)| (Value::Integer(index as i128), Value::Bytes(value.to_vec())))
        .collect();
    assert_eq!(pcrs, &scanned_pcrs, "{name}");
}

#[test]
fn coset_and_serde_cbor_read_the_same() {
    let mut read = 0;
    for fixture in fixtures::all() {
        let Ok(scanned) = AttestationDocument::parse(&fixture.bytes) else {
            assert_eq!(fixture.class, "nitrotpm");
            continue;
        };
        assert_same(&fixture.bytes, &scanned, &fixture.file);
        let tagged = [&[0xd2], &fixture.bytes[..]].concat();
        let scanned = AttestationDocument::parse(&tagged).expect("a tag is allowed");
        assert_same(&tagged, &scanned, &fixture.file);
        read += 1;
    }
    assert_eq!(read, 29);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever a few changed bytes make of a real document: if the scan still reads it, the
    /// others read the same in it.
    #[test]
    fn they_read_the_same_in_damaged_documents(
        index in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let fixture = index.get(every_fixture());
        let mut bytes = fixture.bytes.clone();
        for (position, byte) in &changes {
            let position = position.index(bytes.len());
            bytes[position] = *byte;
        }
        if let Ok(scanned) = AttestationDocument::parse(&bytes) {
            assert_same(&bytes, &scanned, &fixture.file);
        }
    }
}

fn every_fixture() -> &'static [Fixture] {
    static FIXTURES: OnceLock<Vec<Fixture>> = OnceLock::new();
    FIXTURES.get_or_init(fixtures::all)
}

#[test]
fn webpki_finds_the_same_chains_valid() {
    let second = Duration::from_secs(1);
    for fixture in fixtures::of_class("aws")
        .into_iter()
        .chain(fixtures::of_class("aws_bad"))
    {
        let document = AttestationDocument::parse(&fixture.bytes).expect("it is well-formed");
        let (from, to) = fixture.valid;
        for (now, valid) in [
            (from - second, false),
            (from, true),
            (fixture.timestamp, true),
            (to, true),
            (to + second, false),
        ] {
            assert_eq!(
                webpki_accepts(&document, now.as_secs()),
                valid,
                "{} at {now:?}",
                fixture.file
            );
        }
    }
}

fn webpki_accepts(document: &AttestationDocument<'_>, now: u64) -> bool {
    let root = TrustRoot::aws();
    let root = CertificateDer::from(root.der());
    let anchor = webpki::anchor_from_trusted_cert(&root).expect("the root is a certificate");
    let leaf = CertificateDer::from(document.certificate());
    let leaf = webpki::EndEntityCert::try_from(&leaf).expect("the leaf is a certificate");
    let intermediates: Vec<_> = document.cabundle()[1..]
        .iter()
        .map(|der| CertificateDer::from(*der))
        .collect();
    leaf.verify_for_usage(
        &[ECDSA_P384_SHA384],
        &[anchor],
        &intermediates,
        UnixTime::since_unix_epoch(Duration::from_secs(now)),
        webpki::KeyUsage::client_auth(),
        None,
        None,
    )
    .is_ok()
}
