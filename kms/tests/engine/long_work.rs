//! What takes long is said before: the edge has others look for new calls meanwhile.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use attestation::{Verifier, VerifyOptions};
use kms::engine::{Engine, EngineConfig};
use kms::key_pair::AwsLcKeyPairs;
use serde_json::{Value, json};

use crate::attested::{document_and_pcr0, recipient, root};
use crate::server::{Server, base64, blob};

thread_local! {
    /// How often this test's thread was told.
    static TOLD: Cell<u32> = const { Cell::new(0) };
}

fn server() -> Server {
    let mut server = Server::new();
    let mut config = EngineConfig::default();
    config.before_long_work = || TOLD.set(TOLD.get() + 1);
    let verifier = Verifier::new(vec![root()], VerifyOptions::default());
    server.engine = Engine::new(config, verifier, Arc::new(AwsLcKeyPairs));
    server
}

/// Makes a call that succeeds; its answer, and how often it was said that it takes long.
fn told(server: &mut Server, operation: &str, request: Value) -> (Value, u32) {
    TOLD.set(0);
    let answer = server.call(operation, request).ok();
    (answer, TOLD.get())
}

#[test]
fn a_document_takes_long_until_it_is_known() {
    let mut server = server();
    let key = server.create_key();
    let (document, _) = document_and_pcr0();
    let attested = json!({ "KeyId": key, "KeySpec": "AES_256", "Recipient": recipient(&document) });
    for expected in [1, 0, 0] {
        let (_, times) = told(&mut server, "GenerateDataKey", attested.clone());
        assert_eq!(times, expected);
    }
    // What is too old by now has to be looked at again.
    server.pass(Duration::from_secs(600));
    TOLD.set(0);
    let refused = server.call("GenerateDataKey", attested);
    assert_eq!(refused.error().0, "ValidationException");
    assert_eq!(TOLD.get(), 1);
    let plain = json!({ "KeyId": key, "KeySpec": "AES_256" });
    let (data_key, times) = told(&mut server, "GenerateDataKey", plain);
    assert_eq!(times, 0);
    let ciphertext = json!({ "CiphertextBlob": data_key["CiphertextBlob"] });
    assert_eq!(told(&mut server, "Decrypt", ciphertext).1, 0);
}

#[test]
fn the_use_of_most_asymmetric_keys_takes_long() {
    let mut server = server();
    for (spec, algorithm, times) in [
        ("RSA_2048", "RSASSA_PSS_SHA_256", 1),
        ("ECC_NIST_P256", "ECDSA_SHA_256", 0),
        ("ECC_NIST_P384", "ECDSA_SHA_384", 1),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256", 1),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", 0),
        ("ML_DSA_44", "ML_DSA_SHAKE_256", 1),
    ] {
        let key = server.create_key_of(spec, "SIGN_VERIFY");
        let mut request = json!({
            "KeyId": key,
            "Message": base64(b"a message"),
            "SigningAlgorithm": algorithm,
        });
        let (signed, told_to_sign) = told(&mut server, "Sign", request.clone());
        request["Signature"] = signed["Signature"].clone();
        let (_, told_to_verify) = told(&mut server, "Verify", request);
        assert_eq!((told_to_sign, told_to_verify), (times, times), "{spec}");
    }
}

#[test]
fn decryption_with_rsa_and_shared_secrets_take_long() {
    let mut server = server();
    let key = server.create_key_of("RSA_2048", "ENCRYPT_DECRYPT");
    let mut request = json!({
        "KeyId": key,
        "Plaintext": base64(b"secret"),
        "EncryptionAlgorithm": "RSAES_OAEP_SHA_256",
    });
    let (encrypted, times) = told(&mut server, "Encrypt", request.clone());
    assert_eq!(times, 0, "its public half is quick");
    request.as_object_mut().unwrap().remove("Plaintext");
    request["CiphertextBlob"] = encrypted["CiphertextBlob"].clone();
    let (decrypted, times) = told(&mut server, "Decrypt", request);
    assert_eq!(
        (blob(&decrypted["Plaintext"]), times),
        (b"secret".to_vec(), 1)
    );

    let key = server.create_key_of("ECC_NIST_P384", "KEY_AGREEMENT");
    let (public, _) = told(&mut server, "GetPublicKey", json!({ "KeyId": key }));
    let request = json!({
        "KeyId": key,
        "PublicKey": public["PublicKey"],
        "KeyAgreementAlgorithm": "ECDH",
    });
    assert_eq!(told(&mut server, "DeriveSharedSecret", request).1, 1);

    let key = server.create_key();
    for (spec, expected) in [("ECC_NIST_P256", 0), ("ECC_NIST_P521", 1)] {
        let request = json!({ "KeyId": key, "KeyPairSpec": spec });
        let (_, times) = told(&mut server, "GenerateDataKeyPair", request);
        assert_eq!(times, expected, "{spec}");
    }
}
