//! Documents that AWS signed from 2021 to 2026, and some that nobody should accept.

use std::time::Duration;

use attestation::{
    Backend, CertificateError, ChainPosition, DocumentError, Timestamp, TrustRoot, Verifier,
    VerifyError, VerifyOptions,
};

use crate::fixtures::{self, Fixture};

const SECOND: Duration = Duration::from_secs(1);

fn verifiers(options: VerifyOptions) -> impl Iterator<Item = Verifier> {
    Backend::ALL
        .iter()
        .map(move |backend| Verifier::new(vec![TrustRoot::aws()], options).with_backend(*backend))
}

/// Options under which only debug mode and the chain's validity can stand in the way.
const ANY_AGE: VerifyOptions = VerifyOptions {
    max_age: Duration::from_secs(86_400),
    max_future: Duration::from_secs(86_400),
    accept_debug: true,
};

fn accept_debug() -> VerifyOptions {
    VerifyOptions {
        accept_debug: true,
        ..VerifyOptions::default()
    }
}

#[test]
fn documents_of_aws_are_accepted_at_their_time() {
    for verifier in verifiers(accept_debug()) {
        for fixture in fixtures::of_class("aws") {
            let Fixture { file, facts, .. } = &fixture;
            let verified = verifier
                .verify(&fixture.bytes, fixture.timestamp)
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(verified.module_id(), facts["module_id"], "{file}");
            assert_eq!(verified.timestamp(), fixture.timestamp, "{file}");
            assert_eq!(verified.pcrs().len(), facts["pcrs"], "{file}");
            assert_eq!(verified.is_debug(), fixture.is_debug(), "{file}");
            assert_eq!(verified.root(), &TrustRoot::aws(), "{file}");
            let nonzero: Vec<_> = verified
                .pcrs()
                .iter()
                .filter(|(_, value)| value.iter().any(|byte| *byte != 0))
                .map(|(index, _)| index)
                .collect();
            assert_eq!(serde_json::json!(nonzero), facts["nonzero_pcrs"], "{file}");
            for (field, value) in [
                ("public_key", verified.public_key()),
                ("user_data", verified.user_data()),
                ("nonce", verified.nonce()),
            ] {
                match value {
                    None => assert_eq!(facts[field], "null", "{file} {field}"),
                    Some(value) => assert_eq!(facts[field], value.len(), "{file} {field}"),
                }
            }
        }
    }
}

#[test]
fn debug_documents_need_permission() {
    let mut debug = 0;
    for verifier in verifiers(VerifyOptions::default()) {
        for fixture in fixtures::of_class("aws") {
            let result = verifier.verify(&fixture.bytes, fixture.timestamp);
            if fixture.is_debug() {
                assert_eq!(result.err(), Some(VerifyError::Debug), "{}", fixture.file);
                debug += 1;
            } else {
                assert!(result.is_ok(), "{}", fixture.file);
            }
        }
    }
    assert_eq!(debug, 10 * Backend::ALL.len());
}

#[test]
fn others_are_refused_for_what_they_are() {
    let expected = [
        ("aws_bad", VerifyError::Signature),
        ("custom_root", VerifyError::ChainLength(1)),
        ("nitrotpm", VerifyError::Document(DocumentError::NitroTpm)),
    ];
    for verifier in verifiers(accept_debug()) {
        for (class, error) in expected {
            for fixture in fixtures::of_class(class) {
                let result = verifier.verify(&fixture.bytes, fixture.timestamp);
                assert_eq!(result.err(), Some(error), "{}", fixture.file);
            }
        }
    }
}

#[test]
fn nothing_is_accepted_outside_the_validity_of_its_chain() {
    for verifier in verifiers(ANY_AGE) {
        for fixture in fixtures::of_class("aws") {
            let Fixture { file, bytes, .. } = &fixture;
            let (from, to) = fixture.valid;
            assert!(verifier.verify(bytes, from).is_ok(), "{file}");
            assert!(verifier.verify(bytes, to).is_ok(), "{file}");
            // The leaf's period is the shortest, so it is the leaf that isn't valid.
            for (now, error) in [
                (from - SECOND, CertificateError::NotYetValid),
                (to + SECOND, CertificateError::Expired),
            ] {
                assert_eq!(
                    verifier.verify(bytes, now).err(),
                    Some(VerifyError::Certificate(ChainPosition::Leaf, error)),
                    "{file} at {now:?}"
                );
            }
        }
    }
}

#[test]
fn nothing_is_accepted_that_is_not_fresh() {
    let millisecond = Duration::from_millis(1);
    let options = VerifyOptions {
        max_age: Duration::from_secs(300),
        max_future: Duration::from_millis(200),
        accept_debug: true,
    };
    for verifier in verifiers(options) {
        for fixture in fixtures::of_class("aws") {
            let Fixture { file, bytes, .. } = &fixture;
            let made = fixture.timestamp;
            let (from, to) = fixture.valid;

            let (oldest, stale) = (made + options.max_age, made + options.max_age + millisecond);
            if stale <= to {
                assert!(verifier.verify(bytes, oldest).is_ok(), "{file}");
                assert_eq!(
                    verifier.verify(bytes, stale).err(),
                    Some(VerifyError::Stale {
                        age: Duration::from_millis(300_001),
                        max_age: options.max_age,
                    }),
                    "{file}"
                );
            }
            let (newest, future) = (
                made - options.max_future,
                made - options.max_future - millisecond,
            );
            if future >= from {
                assert!(verifier.verify(bytes, newest).is_ok(), "{file}");
                assert_eq!(
                    verifier.verify(bytes, future).err(),
                    Some(VerifyError::Future {
                        ahead: Duration::from_millis(201),
                        max_future: options.max_future,
                    }),
                    "{file}"
                );
            }
        }
    }
}

#[test]
fn the_root_decides() {
    let fixture = fixtures::current();
    let verify = |roots: Vec<TrustRoot>| {
        Verifier::new(roots, VerifyOptions::default()).verify(&fixture.bytes, fixture.timestamp)
    };
    let pinned_as_simulated = TrustRoot::simulated(TrustRoot::aws().der()).unwrap();

    assert_eq!(verify(vec![]).err(), Some(VerifyError::UntrustedRoot));
    let other = verify(vec![TrustRoot::aws_us_gov()]);
    assert_eq!(other.err(), Some(VerifyError::UntrustedRoot));
    let several = verify(vec![TrustRoot::aws_us_gov(), TrustRoot::aws()]).unwrap();
    assert_eq!(several.root(), &TrustRoot::aws());
    let simulated = verify(vec![pinned_as_simulated]).unwrap();
    assert!(simulated.root().is_simulated());
}

#[test]
fn a_tag_in_front_changes_nothing() {
    let fixture = fixtures::current();
    let tagged = [&[0xd2], &fixture.bytes[..]].concat();
    for verifier in verifiers(VerifyOptions::default()) {
        let plain = verifier.verify(&fixture.bytes, fixture.timestamp).unwrap();
        let tagged = verifier.verify(&tagged, fixture.timestamp).unwrap();
        assert_eq!(plain.signed_sha384(), tagged.signed_sha384());
    }
}

#[test]
fn every_byte_counts() {
    let fixture = fixtures::current();
    // RustCrypto is slower; it gets a sample of the positions.
    for (verifier, step) in verifiers(ANY_AGE).zip([1, 41]) {
        verifier.verify(&fixture.bytes, fixture.timestamp).unwrap();
        for position in (0..fixture.bytes.len()).step_by(step) {
            let mut bytes = fixture.bytes.clone();
            bytes[position] ^= 1 << (position % 8);
            assert!(
                verifier.verify(&bytes, fixture.timestamp).is_err(),
                "a flipped bit at {position}"
            );
        }
    }
}

/// An ECDSA signature (r, s) has a valid twin (r, n−s). AWS sends either, so both are accepted,
/// and a document's identity is that of its payload.
#[test]
fn the_twin_of_a_signature_is_the_same_document() {
    const ORDER: [u8; 48] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37,
        0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc,
        0xc5, 0x29, 0x73,
    ];
    let fixture = fixtures::current();
    let mut twin = fixture.bytes.clone();
    let s = twin.len() - 48;
    let mut borrow = 0;
    for index in (0..48).rev() {
        let difference = i16::from(ORDER[index]) - i16::from(twin[s + index]) - borrow;
        borrow = i16::from(difference < 0);
        twin[s + index] = difference.rem_euclid(256) as u8;
    }
    assert_ne!(twin, fixture.bytes);
    for verifier in verifiers(VerifyOptions::default()) {
        let one = verifier.verify(&fixture.bytes, fixture.timestamp).unwrap();
        let two = verifier.verify(&twin, fixture.timestamp).unwrap();
        assert_eq!(one.signed_sha384(), two.signed_sha384());
    }
}

#[test]
fn the_limits_of_time_are_no_trouble() {
    let fixture = fixtures::current();
    for verifier in verifiers(VerifyOptions {
        max_age: Duration::MAX,
        max_future: Duration::MAX,
        accept_debug: false,
    }) {
        for (now, error) in [
            (Timestamp::default(), CertificateError::NotYetValid),
            (Timestamp::from_millis(u64::MAX), CertificateError::Expired),
        ] {
            assert_eq!(
                verifier.verify(&fixture.bytes, now).err(),
                Some(VerifyError::Certificate(ChainPosition::Authority(0), error))
            );
        }
    }
}
