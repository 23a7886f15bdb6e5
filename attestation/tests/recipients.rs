//! What is sealed here opens with OpenSSL, which knows nothing of this code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../src/testing.rs"]
mod testing;

use std::io::Write;
use std::process::{Command, Stdio};

use attestation::nsm::{AttestationRequest, Identity, SimulatedCa, SimulatedNsm};
use attestation::{
    Backend, Nsm, OpenError, RecipientKey, RecipientKeyError, RecipientPrivateKey, Timestamp,
    Verifier, VerifyOptions,
};

use crate::testing::SeededRandom;

/// 2026-11-22T12:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);

/// An enclave's NSM, and a verifier of its documents.
fn nsm_and_verifier(backend: Backend) -> (SimulatedNsm, Verifier) {
    let ca = SimulatedCa::generate(&mut SeededRandom::new(1), NOW).unwrap();
    let identity = Identity::new(&mut SeededRandom::new(2), NOW);
    let random = Box::new(SeededRandom::new(3));
    let nsm = SimulatedNsm::new(ca, identity, Box::new(|| NOW), random);
    let roots = vec![nsm.trust_root().clone()];
    let verifier = Verifier::new(roots, VerifyOptions::default());
    (nsm, verifier.with_backend(backend))
}

/// What a verified document with this `public_key` yields.
fn recipient(
    public_key: Option<&[u8]>,
    backend: Backend,
) -> Result<RecipientKey, RecipientKeyError> {
    let (mut nsm, verifier) = nsm_and_verifier(backend);
    recipient_of(public_key, &mut nsm, &verifier)
}

fn recipient_of(
    public_key: Option<&[u8]>,
    nsm: &mut SimulatedNsm,
    verifier: &Verifier,
) -> Result<RecipientKey, RecipientKeyError> {
    let request = AttestationRequest {
        public_key,
        ..AttestationRequest::default()
    };
    let document = nsm.attest(request).unwrap();
    let verified = verifier.verify(&document, NOW).unwrap();
    verified.recipient_key().cloned()
}

/// `openssl cms -decrypt`, from files, as it has no other way to take a DER key.
fn openssl_decrypt(private_key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = std::env::temp_dir().join(format!("recipient-{}.der", std::process::id()));
    std::fs::write(&key, private_key).unwrap();
    let mut openssl = Command::new("openssl")
        .args([
            "cms", "-decrypt", "-inform", "DER", "-keyform", "DER", "-inkey",
        ])
        .arg(&key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test needs the openssl command");
    openssl.stdin.take().unwrap().write_all(message).unwrap();
    let output = openssl.wait_with_output().unwrap();
    std::fs::remove_file(&key).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl cms -decrypt: {complaint}");
    output.stdout
}

#[test]
fn openssl_opens_what_is_sealed() {
    for bits in [2048, 3072, 4096] {
        let private_key = RecipientPrivateKey::generate(bits).unwrap();
        let pkcs8 = private_key.to_pkcs8().unwrap();
        for backend in Backend::ALL {
            let key = recipient(Some(private_key.public_key_spki()), *backend).unwrap();
            assert_eq!(key.bits(), bits);
            for length in [1, 15, 16, 17, 32, 999, 1000, 1001, 4096] {
                let mut random = SeededRandom::new(length as u64);
                let secret: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
                let message = key.seal(&secret, &mut random).unwrap();
                let what = format!("{length} bytes under {bits} bits by {backend:?}");
                assert!(openssl_decrypt(&pkcs8, &message) == secret, "{what}");
                assert!(*private_key.open(&message).unwrap() == secret, "{what}");

                // KMS's own size: what is fixed, the key, and whole blocks in segments.
                let blocks = length / 16 * 16 + 16;
                let head = |length: usize| {
                    if length < 128 {
                        2
                    } else {
                        3 + usize::from(length > 255)
                    }
                };
                let segments: usize = (0..blocks)
                    .step_by(1000)
                    .map(|start| (blocks - start).min(1000))
                    .map(|length| head(length) + length)
                    .sum();
                assert_eq!(
                    message.len(),
                    433 - 256 + bits / 8 + segments + 10,
                    "{what}"
                );
            }
        }
    }
}

/// No two messages share a key or an initialization vector.
#[test]
fn every_message_is_new() {
    let private_key = RecipientPrivateKey::generate(2048).unwrap();
    let key = recipient(Some(private_key.public_key_spki()), Backend::default()).unwrap();
    let mut random = SeededRandom::new(1);
    let [one, two] = [(); 2].map(|()| key.seal(b"secret", &mut random).unwrap());
    assert_eq!(one.len(), two.len());
    assert_eq!(
        one[..131],
        two[..131],
        "everything before the encrypted key"
    );
    assert_ne!(one[131..387], two[131..387], "the encrypted key");
    assert_ne!(one[415..431], two[415..431], "the initialization vector");
    let other = RecipientPrivateKey::generate(2048).unwrap();
    assert_eq!(other.open(&one), Err(OpenError::WrongRecipient));
}

/// A verifier remembers keys, and takes none for another.
#[test]
fn each_document_yields_its_own_key() {
    let owners = [(); 2].map(|()| RecipientPrivateKey::generate(2048).unwrap());
    for backend in Backend::ALL {
        let (mut nsm, verifier) = nsm_and_verifier(*backend);
        for index in [0, 1, 0, 0, 1] {
            let (owner, other) = (&owners[index], &owners[1 - index]);
            let spki = owner.public_key_spki();
            let key = recipient_of(Some(spki), &mut nsm, &verifier).unwrap();
            let message = key.seal(b"secret", &mut SeededRandom::new(4)).unwrap();
            assert_eq!(*owner.open(&message).unwrap(), b"secret");
            assert_eq!(other.open(&message), Err(OpenError::WrongRecipient));

            // The key with one bit changed is another one, which nobody can open with.
            let mut changed = spki.to_vec();
            changed[40] ^= 1;
            let key = recipient_of(Some(&changed), &mut nsm, &verifier).unwrap();
            let message = key.seal(b"secret", &mut SeededRandom::new(5)).unwrap();
            assert_eq!(owner.open(&message), Err(OpenError::WrongRecipient));
            assert_eq!(
                recipient_of(None, &mut nsm, &verifier).unwrap_err(),
                RecipientKeyError::Missing
            );
        }
    }
}

#[test]
fn a_document_without_a_usable_key_yields_none() {
    for backend in Backend::ALL {
        let refused = |public_key| recipient(public_key, *backend).unwrap_err();
        assert_eq!(refused(None), RecipientKeyError::Missing);
        assert_eq!(refused(Some(b"dummy")), RecipientKeyError::NotDer);
        assert_eq!(
            refused(Some(b"-----BEGIN PUBLIC KEY-----")),
            RecipientKeyError::Pem
        );
    }
}
