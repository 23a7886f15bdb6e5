//! The same state, time and seed give the same bytes.
//!
//! Two things draw from a generator of their own: aws-lc, when it makes key pairs and when it pads
//! RSAES-OAEP. Both have a door: key pairs come from a source, and the verifier's backend is
//! replaced by the portable one.

use std::sync::Arc;

use attestation::nsm::{AttestationRequest, Identity, Nsm, SimulatedCa, SimulatedNsm};
use attestation::{Backend, RecipientPrivateKey, Verifier, VerifyOptions};
use kms::KmsError;
use kms::key_pair::{KeyPair, KeyPairSource};
use kms::protocol::spec::KeyPairSpec;
use serde_json::json;
use zeroize::Zeroizing;

use crate::server::{START, Server, TestRandom, base64};

/// Gives the same "key pair" for the same spec.
struct FixedKeyPairs;

impl KeyPairSource for FixedKeyPairs {
    fn generate(&self, spec: KeyPairSpec) -> Result<KeyPair, KmsError> {
        Ok(KeyPair {
            private_pkcs8: Zeroizing::new(format!("private {spec}").into_bytes()),
            public_spki: format!("public {spec}").into_bytes(),
        })
    }
}

/// All answers and events of a session that uses every operation, as text.
fn session(seed: u64, recipient: &serde_json::Value, ca: &SimulatedCa) -> Vec<String> {
    let verifier =
        Verifier::new(vec![ca.root()], VerifyOptions::default()).with_backend(Backend::RustCrypto);
    let mut server = Server::with(verifier, Arc::new(FixedKeyPairs), seed);
    let id = server.create_key();
    let request = json!({"KeyId": id, "Plaintext": base64("x")});
    let blob = server.call("Encrypt", request).ok()["CiphertextBlob"].clone();
    let mut transcript = Vec::new();
    for (operation, request) in [
        ("CreateKey", json!({"MultiRegion": true})),
        (
            "CreateAlias",
            json!({"AliasName": "alias/a", "TargetKeyId": id}),
        ),
        ("ListKeys", json!({"Limit": 1})),
        ("ListAliases", json!({})),
        ("DescribeKey", json!({"KeyId": "alias/a"})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        (
            "Decrypt",
            json!({"CiphertextBlob": blob, "Recipient": recipient}),
        ),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": blob, "DestinationKeyId": "alias/a"}),
        ),
        (
            "GenerateDataKey",
            json!({"KeyId": id, "KeySpec": "AES_256"}),
        ),
        (
            "GenerateDataKey",
            json!({"KeyId": id, "KeySpec": "AES_256", "Recipient": recipient}),
        ),
        (
            "GenerateDataKeyWithoutPlaintext",
            json!({"KeyId": id, "NumberOfBytes": 9}),
        ),
        (
            "GenerateDataKeyPair",
            json!({"KeyId": id, "KeyPairSpec": "RSA_2048"}),
        ),
        (
            "GenerateDataKeyPair",
            json!({"KeyId": id, "KeyPairSpec": "RSA_2048", "Recipient": recipient}),
        ),
        (
            "GenerateDataKeyPairWithoutPlaintext",
            json!({"KeyId": id, "KeyPairSpec": "ECC_NIST_P256"}),
        ),
        (
            "GenerateRandom",
            json!({"NumberOfBytes": 32, "Recipient": recipient}),
        ),
        ("DeleteAlias", json!({"AliasName": "alias/a"})),
        ("DisableKey", json!({"KeyId": id})),
        ("ScheduleKeyDeletion", json!({"KeyId": id})),
        ("CancelKeyDeletion", json!({"KeyId": id})),
    ] {
        let answer = server.call(operation, request);
        assert_eq!(answer.status, 200, "{operation}");
        transcript.push(String::from_utf8(answer.body).unwrap());
    }
    transcript.extend(server.events);
    transcript
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let ca = SimulatedCa::generate(&mut TestRandom::new(11), START).unwrap();
    let root = ca.root();
    let key = RecipientPrivateKey::generate(2048).unwrap();
    let identity = Identity::new(&mut TestRandom::new(13), START);
    let random = Box::new(TestRandom::new(14));
    let ca = Arc::new(ca);
    let mut nsm = SimulatedNsm::new(Arc::clone(&ca), identity, Box::new(|| START), random);
    assert_eq!(nsm.trust_root().sha256(), root.sha256());
    let document = nsm
        .attest(AttestationRequest {
            public_key: Some(key.public_key_spki()),
            ..AttestationRequest::default()
        })
        .unwrap();
    let recipient = json!({
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": base64(document),
    });
    let first = session(1, &recipient, &ca);
    assert_eq!(session(1, &recipient, &ca), first);
    let other = session(2, &recipient, &ca);
    assert_eq!(other.len(), first.len());
    assert!(
        first
            .iter()
            .zip(&other)
            .filter(|(first, other)| first == other)
            .count()
            < 5
    );
}
