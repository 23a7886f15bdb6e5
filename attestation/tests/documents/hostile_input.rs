//! No input makes the reader or the verifier panic, and nothing but a genuine document passes.

use std::sync::OnceLock;

use attestation::{
    AttestationDocument, Backend, DocumentError, Timestamp, TrustRoot, Verifier, VerifyOptions,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::fixtures::{self, Fixture};

fn genuine() -> &'static [Fixture] {
    static GENUINE: OnceLock<Vec<Fixture>> = OnceLock::new();
    GENUINE.get_or_init(|| fixtures::of_class("aws"))
}

fn verifiers() -> &'static [Verifier] {
    static VERIFIERS: OnceLock<Vec<Verifier>> = OnceLock::new();
    VERIFIERS.get_or_init(|| {
        let options = VerifyOptions {
            accept_debug: true,
            ..VerifyOptions::default()
        };
        Backend::ALL
            .iter()
            .map(|backend| Verifier::new(vec![TrustRoot::aws()], options).with_backend(*backend))
            .collect()
    })
}

/// Verifies on every backend; they must agree to the letter. Returns whether it was accepted.
fn accepted(document: &[u8], now: Timestamp) -> bool {
    let mut results = verifiers().iter().map(|verifier| {
        let result = verifier.verify(document, now);
        result.map(|verified| *verified.signed_sha384())
    });
    let first = results.next().expect("there is a backend");
    assert!(results.all(|other| other == first));
    first.is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn bytes_without_meaning(document in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(!accepted(&document, Timestamp::from_secs(1_700_000_000)));
    }

    #[test]
    fn envelopes_around_bytes_without_meaning(
        payload in prop::collection::vec(any::<u8>(), 0..600),
        signature in prop::collection::vec(any::<u8>(), 95..98),
    ) {
        let document = envelope(&payload, &signature);
        prop_assert!(!accepted(&document, Timestamp::from_secs(1_700_000_000)));
    }

    #[test]
    fn changed_documents(
        index in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let fixture = index.get(genuine());
        let mut document = fixture.bytes.clone();
        for (position, byte) in &changes {
            let position = position.index(document.len());
            document[position] = *byte;
        }
        prop_assert_eq!(
            accepted(&document, fixture.timestamp),
            document == fixture.bytes
        );
    }

    #[test]
    fn documents_with_a_piece_cut_out_moved_or_repeated(
        index in any::<Index>(),
        from in any::<Index>(),
        length in 0_usize..2_000,
        to in any::<Index>(),
        remove in any::<bool>(),
    ) {
        let fixture = index.get(genuine());
        let mut document = fixture.bytes.clone();
        let from = from.index(document.len());
        let length = length.min(document.len() - from);
        let piece = document[from..from + length].to_vec();
        if remove {
            document.drain(from..from + length);
        }
        let to = to.index(document.len() + 1);
        document.splice(to..to, piece);
        prop_assert_eq!(
            accepted(&document, fixture.timestamp),
            document == fixture.bytes
        );
    }

    #[test]
    fn parts_of_two_documents(one in any::<Index>(), two in any::<Index>(), cut in any::<Index>()) {
        let (one, two) = (one.get(genuine()), two.get(genuine()));
        let cut = cut.index(one.bytes.len().min(two.bytes.len()));
        let document = [&one.bytes[..cut], &two.bytes[cut..]].concat();
        prop_assert_eq!(
            accepted(&document, two.timestamp),
            document == two.bytes || (document == one.bytes && one.timestamp == two.timestamp)
        );
    }
}

/// Whatever stands in the place of any one byte, a document is read or refused.
#[test]
fn documents_with_any_byte_anywhere() {
    let fixture = fixtures::current();
    let mut document = fixture.bytes.clone();
    for (position, original) in fixture.bytes.iter().enumerate() {
        for byte in (0..=u8::MAX).step_by(5) {
            document[position] = byte;
            let _ = AttestationDocument::parse(&document);
        }
        document[position] = *original;
    }
}

#[test]
fn truncated_documents() {
    let fixture = fixtures::current();
    for length in 0..fixture.bytes.len() {
        let document = &fixture.bytes[..length];
        let error = AttestationDocument::parse(document).err();
        let expected = match length {
            0 => DocumentError::Length(0),
            _ => DocumentError::Truncated,
        };
        assert_eq!(error, Some(expected), "{length} bytes");
        assert!(!accepted(document, fixture.timestamp));
    }
}

/// `[h'a1013822', {}, payload, signature]`
fn envelope(payload: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut document = b"\x84\x44\xa1\x01\x38\x22\xa0".to_vec();
    for part in [payload, signature] {
        document.push(0x59);
        document.extend((part.len() as u16).to_be_bytes());
        document.extend(part);
    }
    document
}
