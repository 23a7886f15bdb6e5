//! Data keys, data key pairs, random bytes.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use attestation::{Verifier, VerifyOptions};
use kms::KmsError;
use kms::engine::Step;
use kms::key_pair::{AwsLcKeyPairs, KeyPair, KeyPairSource, is_slow};
use kms::protocol::spec::KeyPairSpec;
use serde_json::{Value, json};

use crate::server::{Client, Server, as_call, base64, blob, key_arn, signed};

#[test]
fn a_data_key_comes_in_the_open_and_encrypted() {
    let mut server = Server::new();
    let id = server.create_key();
    for (size, length) in [
        (json!({"KeySpec": "AES_256"}), 32),
        (json!({"KeySpec": "AES_128"}), 16),
        (json!({"NumberOfBytes": 1}), 1),
        (json!({"NumberOfBytes": 7}), 7),
        (json!({"NumberOfBytes": 1024}), 1024),
    ] {
        let mut request = size;
        request["KeyId"] = json!(id);
        request["EncryptionContext"] = json!({"purpose": "test"});
        request["GrantTokens"] = json!([server.grant_token(&id)]);
        let made = server.call("GenerateDataKey", request.clone()).ok();
        assert_eq!(
            members(&made),
            ["CiphertextBlob", "KeyId", "KeyMaterialId", "Plaintext"]
        );
        assert_eq!(made["KeyId"], key_arn(&id));
        assert_eq!(blob(&made["Plaintext"]).len(), length);
        assert!(blob(&made["CiphertextBlob"]).len() <= length + 152);
        assert_eq!(
            decrypt(&mut server, &made["CiphertextBlob"]),
            made["Plaintext"]
        );

        let sealed = server.call("GenerateDataKeyWithoutPlaintext", request).ok();
        assert_eq!(
            members(&sealed),
            ["CiphertextBlob", "KeyId", "KeyMaterialId"]
        );
        let opened = decrypt(&mut server, &sealed["CiphertextBlob"]);
        assert_eq!(blob(&opened).len(), length);
    }
}

#[test]
fn the_size_of_a_data_key_is_said_exactly_once() {
    let mut server = Server::new();
    let id = server.create_key();
    for request in [
        json!({"KeyId": id}),
        json!({"KeyId": id, "KeySpec": "AES_256", "NumberOfBytes": 32}),
    ] {
        for operation in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] {
            server.call(operation, request.clone()).expect_error(
                "ValidationException",
                "Please specify either number of bytes or key spec.",
            );
        }
    }
    // The key is looked for before, its usage and state are looked at later.
    let request = json!({"KeyId": "alias/none"});
    let (code, _) = server.call("GenerateDataKey", request).error();
    assert_eq!(code, "NotFoundException");
    let mac = server.create_key_of("HMAC_256", "GENERATE_VERIFY_MAC");
    server.call("DisableKey", json!({"KeyId": mac})).ok_empty();
    server
        .call("GenerateDataKey", json!({"KeyId": mac}))
        .expect_error(
            "ValidationException",
            "Please specify either number of bytes or key spec.",
        );
    server.call("GenerateDataKey", json!({"KeyId": id, "NumberOfBytes": 1025})).expect_error(
        "ValidationException",
        "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024",
    );
}

#[test]
fn a_data_key_pair_comes_with_its_private_key_in_the_open_and_encrypted() {
    let mut server = Server::new();
    let id = server.create_key();
    for spec in [
        "RSA_2048",
        "RSA_3072",
        "RSA_4096",
        "ECC_NIST_P256",
        "ECC_NIST_P384",
        "ECC_NIST_P521",
        "ECC_SECG_P256K1",
        "ECC_NIST_EDWARDS25519",
        "ML_KEM_512",
        "ML_KEM_768",
        "ML_KEM_1024",
    ] {
        let request = json!({
            "KeyId": id,
            "KeyPairSpec": spec,
            "EncryptionContext": {"purpose": "test"},
        });
        let made = server.call("GenerateDataKeyPair", request.clone()).ok();
        assert_eq!(
            members(&made),
            [
                "KeyId",
                "KeyMaterialId",
                "KeyPairSpec",
                "PrivateKeyCiphertextBlob",
                "PrivateKeyPlaintext",
                "PublicKey"
            ]
        );
        assert_eq!(made["KeyPairSpec"], spec);
        assert_eq!(made["KeyId"], key_arn(&id));
        let private = decrypt(&mut server, &made["PrivateKeyCiphertextBlob"]);
        assert_eq!(private, made["PrivateKeyPlaintext"]);
        assert_eq!(blob(&private)[0], 0x30, "DER");
        assert_eq!(blob(&made["PublicKey"])[0], 0x30, "DER");
    }
    let request = json!({
        "KeyId": id,
        "KeyPairSpec": "ECC_NIST_P256",
        "EncryptionContext": {"purpose": "test"},
    });
    let sealed = server
        .call("GenerateDataKeyPairWithoutPlaintext", request)
        .ok();
    assert_eq!(
        members(&sealed),
        [
            "KeyId",
            "KeyMaterialId",
            "KeyPairSpec",
            "PrivateKeyCiphertextBlob",
            "PublicKey"
        ]
    );
    decrypt(&mut server, &sealed["PrivateKeyCiphertextBlob"]);
}

#[test]
fn pairs_that_cannot_be_made_are_refused() {
    let mut server = Server::new();
    let id = server.create_key();
    for operation in ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"] {
        server
            .call(operation, json!({"KeyId": id, "KeyPairSpec": "SM2"}))
            .expect_error(
                "UnsupportedOperationException",
                "KeyPairSpec SM2 is not supported in this Region",
            );
    }
    let (code, message) = server
        .call(
            "GenerateDataKeyPair",
            json!({"KeyId": id, "KeyPairSpec": "RSA_1024"}),
        )
        .error();
    assert_eq!(code, "ValidationException");
    assert!(
        message.contains("Value 'RSA_1024' at 'keyPairSpec'"),
        "{message}"
    );
}

#[test]
fn random_bytes_are_random() {
    let mut server = Server::new();
    let mut seen = std::collections::BTreeSet::new();
    for length in [16, 16, 1024, 24] {
        let answer = server
            .call("GenerateRandom", json!({"NumberOfBytes": length}))
            .ok();
        assert_eq!(members(&answer), ["Plaintext"]);
        assert_eq!(blob(&answer["Plaintext"]).len(), length);
        assert!(seen.insert(blob(&answer["Plaintext"])));
    }
}

#[test]
fn random_bytes_need_a_number() {
    let mut server = Server::new();
    server
        .call("GenerateRandom", json!({}))
        .expect_error("ValidationException", "NumberOfBytes is required.");
    server.call("GenerateRandom", json!({"NumberOfBytes": 0})).expect_error(
        "ValidationException",
        "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1",
    );
    server
        .call(
            "GenerateRandom",
            json!({"NumberOfBytes": 1, "CustomKeyStoreId": "cks-1"}),
        )
        .expect_error(
            "CustomKeyStoreNotFoundException",
            "Custom key store cks-1 is not found.",
        );
}

/// A source that makes what takes long only once it is told that it may, and has one pair ready.
struct OneReady {
    ready: Mutex<Option<KeyPair>>,
    may_take_long: AtomicBool,
}

impl KeyPairSource for OneReady {
    fn generate(&self, spec: KeyPairSpec) -> Result<KeyPair, KmsError> {
        assert!(!is_slow(spec) || self.may_take_long.load(Relaxed), "{spec}");
        AwsLcKeyPairs.generate(KeyPairSpec::EccNistP256)
    }

    fn ready(&self, spec: KeyPairSpec) -> Option<KeyPair> {
        assert!(is_slow(spec), "{spec}");
        self.ready.lock().unwrap().take()
    }
}

#[test]
fn what_takes_long_is_given_out_if_it_is_ready_and_else_made_aside() {
    let source = Arc::new(OneReady {
        ready: Mutex::default(),
        may_take_long: AtomicBool::new(false),
    });
    let verifier = Verifier::new(Vec::new(), VerifyOptions::default());
    let mut server = Server::with(verifier, Arc::<OneReady>::clone(&source), 1);
    let id = server.create_key();
    let mut step = |name: &str, operation: &str, body: &str, slowly: bool| {
        source.may_take_long.store(slowly, Relaxed);
        let request = signed(&Client::of(name), operation, body.as_bytes(), server.now);
        let (engine, call) = (&server.engine, as_call(&request));
        let random = &mut server.random;
        match slowly {
            false => engine.step(&server.state, &call, server.now, random),
            true => engine.step_slowly(&server.state, &call, server.now, random),
        }
    };
    for spec in ["RSA_2048", "RSA_3072", "RSA_4096"] {
        let pair = json!({"KeyId": id, "KeyPairSpec": spec}).to_string();
        let key = json!({"KeySpec": spec, "KeyUsage": "SIGN_VERIFY"}).to_string();
        let old_key = json!({"CustomerMasterKeySpec": spec, "KeyUsage": "SIGN_VERIFY"}).to_string();
        // No spelling of the same request gets around it.
        let twice = format!(
            r#"{{"KeyId": "{id}", "KeyPairSpec": "ECC_NIST_P256", "KeyPairSpec": "{spec}"}}"#
        );
        for (operation, body, changes) in [
            ("GenerateDataKeyPair", &pair, false),
            ("GenerateDataKeyPair", &twice, false),
            ("GenerateDataKeyPairWithoutPlaintext", &pair, false),
            ("CreateKey", &key, true),
            ("CreateKey", &old_key, true),
        ] {
            let first = step("alice", operation, body, false);
            assert!(matches!(first, Step::Slow(_)), "{operation} {body}");
            let made = AwsLcKeyPairs.generate(KeyPairSpec::EccNistP256).unwrap();
            *source.ready.lock().unwrap() = Some(made);
            for answer in [
                step("alice", operation, body, true),
                step("alice", operation, body, false),
            ] {
                match answer {
                    Step::Prepared(..) => assert!(changes, "{operation}"),
                    Step::Reply(reply) => {
                        assert!(!changes, "{operation}");
                        assert_eq!(reply.response.status.as_u16(), 200);
                    }
                    Step::Slow(_) | Step::Commit(..) => panic!("{operation} {body}"),
                }
            }
            assert!(source.ready.lock().unwrap().is_none(), "given out once");
            // Who may not have one does not get as far.
            let refused = step("nobody", operation, body, false);
            assert!(matches!(refused, Step::Reply(_)), "{operation}");
        }
        let dry = json!({"KeyId": id, "KeyPairSpec": spec, "DryRun": true}).to_string();
        let dry = step("alice", "GenerateDataKeyPair", &dry, false);
        assert!(matches!(dry, Step::Reply(_)));
        // No material is made for it.
        let external = json!({"KeySpec": spec, "KeyUsage": "SIGN_VERIFY", "Origin": "EXTERNAL"});
        let external = step("alice", "CreateKey", &external.to_string(), false);
        assert!(matches!(external, Step::Commit(..)));
    }
}

fn decrypt(server: &mut Server, ciphertext: &Value) -> Value {
    let request = json!({
        "CiphertextBlob": ciphertext,
        "EncryptionContext": {"purpose": "test"},
    });
    server.call("Decrypt", request).ok()["Plaintext"].clone()
}

/// The names of an answer's members, sorted.
fn members(answer: &Value) -> Vec<&str> {
    let mut names: Vec<_> = answer
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn private_keys_of_all_sizes_fit_into_a_ciphertext() {
    // The longest, of RSA_4096, is under 2.4 KB; a CiphertextBlob may have 6144 bytes.
    let mut server = Server::new();
    let id = server.create_key();
    let request = json!({"KeyId": id, "KeyPairSpec": "RSA_4096"});
    let made = server.call("GenerateDataKeyPair", request).ok();
    assert!(blob(&made["PrivateKeyCiphertextBlob"]).len() < 6144);
    assert_ne!(base64(blob(&made["PublicKey"])), "");
}
