//! Sign, Verify.

use ml_dsa::signature::digest::Update;
use ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::key_specs::PAIRS;
use crate::server::{Server, base64, blob, key_arn};

fn sign(server: &mut Server, id: &str, algorithm: &str, kind: &str, message: &[u8]) -> Value {
    let request = json!({
        "KeyId": id,
        "Message": base64(message),
        "MessageType": kind,
        "SigningAlgorithm": algorithm,
    });
    server.call("Sign", request).ok()["Signature"].clone()
}

fn verification(id: &str, algorithm: &str, kind: &str, message: &[u8], signature: &Value) -> Value {
    json!({
        "KeyId": id,
        "Message": base64(message),
        "MessageType": kind,
        "Signature": signature,
        "SigningAlgorithm": algorithm,
    })
}

/// The digest that an algorithm signs, if it signs any.
fn digest(algorithm: &str, message: &[u8]) -> Option<Vec<u8>> {
    match algorithm.rsplit_once("SHA_")? {
        ("ED25519_", _) => None,
        ("ML_DSA_SHAKE_" | "ML_DSA_", _) => None,
        (_, "256") => Some(Sha256::digest(message).to_vec()),
        (_, "384") => Some(Sha384::digest(message).to_vec()),
        (_, "512") => Some(Sha512::digest(message).to_vec()),
        (_, other) => panic!("{other}"),
    }
}

#[test]
fn every_algorithm_signs_and_verifies() {
    let mut server = Server::new();
    let message = [7; 4096];
    for (spec, usage, _, algorithms) in PAIRS {
        if usage != "SIGN_VERIFY" {
            continue;
        }
        let id = server.create_key_of(spec, usage);
        for algorithm in algorithms {
            let mut kinds = Vec::new();
            if *algorithm != "ED25519_PH_SHA_512" {
                kinds.push(("RAW", message.to_vec()));
            }
            if let Some(digest) = digest(algorithm, &message) {
                kinds.push(("DIGEST", digest));
            }
            if *algorithm == "ML_DSA_SHAKE_256" {
                kinds.push(("EXTERNAL_MU", vec![9; 64]));
            }
            for (kind, signed) in kinds {
                let request = json!({
                    "KeyId": id,
                    "Message": base64(&signed),
                    "MessageType": kind,
                    "SigningAlgorithm": algorithm,
                    "GrantTokens": [server.grant_token(&id)],
                });
                let answer = server.call("Sign", request);
                let made = answer.ok();
                assert_eq!(
                    made,
                    json!({
                        "KeyId": key_arn(&id),
                        "Signature": made["Signature"],
                        "SigningAlgorithm": algorithm,
                    })
                );
                assert_eq!(
                    answer.event["requestParameters"],
                    json!({"keyId": id, "messageType": kind, "signingAlgorithm": algorithm})
                );
                let signature = &made["Signature"];
                let request = verification(&id, algorithm, kind, &signed, signature);
                let verified = server.call("Verify", request.clone()).ok();
                assert_eq!(
                    verified,
                    json!({
                        "KeyId": key_arn(&id),
                        "SignatureValid": true,
                        "SigningAlgorithm": algorithm,
                    })
                );
                // Another message, another signature, no signature.
                let mut other = signed.clone();
                other[0] ^= 1;
                let mut bytes = blob(signature);
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                for request in [
                    verification(&id, algorithm, kind, &other, signature),
                    verification(&id, algorithm, kind, &signed, &json!(base64(&bytes))),
                    verification(
                        &id,
                        algorithm,
                        kind,
                        &signed,
                        &json!(base64(&bytes[..last])),
                    ),
                    verification(&id, algorithm, kind, &signed, &json!(base64("x"))),
                    verification(&id, algorithm, kind, &signed, &json!(base64([0; 6144]))),
                ] {
                    let answer = server.call("Verify", request);
                    answer.expect_error("KMSInvalidSignatureException", "");
                }
            }
        }
    }
}

#[test]
fn a_message_and_its_digest_have_the_same_signature() {
    let mut server = Server::new();
    for (spec, algorithm) in [
        ("RSA_2048", "RSASSA_PSS_SHA_384"),
        ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512"),
        ("ECC_NIST_P256", "ECDSA_SHA_256"),
        ("ECC_NIST_P384", "ECDSA_SHA_384"),
        ("ECC_NIST_P521", "ECDSA_SHA_512"),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256"),
    ] {
        let id = server.create_key_of(spec, "SIGN_VERIFY");
        let digest = digest(algorithm, b"message").unwrap();
        let of_message = sign(&mut server, &id, algorithm, "RAW", b"message");
        let of_digest = sign(&mut server, &id, algorithm, "DIGEST", &digest);
        for (kind, message, signature) in [
            ("RAW", b"message".as_slice(), &of_digest),
            ("DIGEST", &digest, &of_message),
        ] {
            let request = verification(&id, algorithm, kind, message, signature);
            server.call("Verify", request).ok();
        }
        // Unless said otherwise it is a message.
        let request = json!({
            "KeyId": id, "Message": base64("message"), "Signature": of_digest,
            "SigningAlgorithm": algorithm,
        });
        server.call("Verify", request).ok();
    }
}

#[test]
fn ed25519ph_hashes_the_digest_once_more() {
    let mut server = Server::new();
    let id = server.create_key_of("ECC_NIST_EDWARDS25519", "SIGN_VERIFY");
    let digest = Sha512::digest(b"message");
    let signature = sign(&mut server, &id, "ED25519_PH_SHA_512", "DIGEST", &digest);
    let public = server.call("GetPublicKey", json!({"KeyId": id})).ok();
    let public = blob(&public["PublicKey"]);
    let public: [u8; 32] = public[12..].try_into().unwrap();
    let public = ed25519_dalek::VerifyingKey::from_bytes(&public).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&blob(&signature)).unwrap();
    let twice = ed25519_dalek::Sha512::new().chain_update(digest);
    assert!(public.verify_prehashed(twice, None, &signature).is_ok());
    let once = ed25519_dalek::Sha512::new().chain_update(b"message");
    assert!(public.verify_prehashed(once, None, &signature).is_err());
}

#[test]
fn the_representative_of_ml_dsa_can_be_made_elsewhere() {
    let mut server = Server::new();
    for (spec, length) in [
        ("ML_DSA_44", 2420),
        ("ML_DSA_65", 3309),
        ("ML_DSA_87", 4627),
    ] {
        let id = server.create_key_of(spec, "SIGN_VERIFY");
        let public = server.call("GetPublicKey", json!({"KeyId": id})).ok();
        let public = &blob(&public["PublicKey"])[22..];
        let mu = match spec {
            "ML_DSA_44" => representative::<MlDsa44>(public, b"message"),
            "ML_DSA_65" => representative::<MlDsa65>(public, b"message"),
            _ => representative::<MlDsa87>(public, b"message"),
        };
        let of_mu = sign(&mut server, &id, "ML_DSA_SHAKE_256", "EXTERNAL_MU", &mu);
        let of_message = sign(&mut server, &id, "ML_DSA_SHAKE_256", "RAW", b"message");
        for (kind, message, signature) in [
            ("RAW", b"message".as_slice(), &of_mu),
            ("EXTERNAL_MU", &mu, &of_message),
        ] {
            assert_eq!(blob(signature).len(), length);
            let request = verification(&id, "ML_DSA_SHAKE_256", kind, message, signature);
            server.call("Verify", request).ok();
        }
    }
}

/// What a client makes of a message, with the public key.
fn representative<P: MlDsaParams>(public: &[u8], message: &[u8]) -> Vec<u8> {
    let public = VerifyingKey::<P>::decode(public.try_into().unwrap());
    let mu = public.compute_mu(
        |hash| {
            hash.update(message);
            Ok(())
        },
        &[],
    );
    mu.unwrap().to_vec()
}

#[test]
fn each_algorithm_takes_its_kinds_of_message_only() {
    let mut server = Server::new();
    let rsa = server.create_key_of("RSA_2048", "SIGN_VERIFY");
    let ec = server.create_key_of("ECC_NIST_P256", "SIGN_VERIFY");
    let ed25519 = server.create_key_of("ECC_NIST_EDWARDS25519", "SIGN_VERIFY");
    let ml_dsa = server.create_key_of("ML_DSA_44", "SIGN_VERIFY");
    for (id, algorithm, kind, length, message) in [
        (
            &ec,
            "ECDSA_SHA_256",
            "DIGEST",
            31,
            "Digest is invalid length for algorithm ECDSA_SHA_256.",
        ),
        (
            &ec,
            "ECDSA_SHA_256",
            "DIGEST",
            33,
            "Digest is invalid length for algorithm ECDSA_SHA_256.",
        ),
        (
            &rsa,
            "RSASSA_PSS_SHA_512",
            "DIGEST",
            32,
            "Digest is invalid length for algorithm RSASSA_PSS_SHA_512.",
        ),
        (
            &ed25519,
            "ED25519_PH_SHA_512",
            "DIGEST",
            32,
            "Digest is invalid length for algorithm ED25519_PH_SHA_512.",
        ),
        (
            &ed25519,
            "ED25519_PH_SHA_512",
            "RAW",
            64,
            "Message type RAW is incompatible with algorithm ED25519_PH_SHA_512.",
        ),
        (
            &ed25519,
            "ED25519_SHA_512",
            "DIGEST",
            64,
            "Message type DIGEST is incompatible with algorithm ED25519_SHA_512.",
        ),
        (
            &ed25519,
            "ED25519_SHA_512",
            "EXTERNAL_MU",
            64,
            "Message type EXTERNAL_MU is incompatible with key spec ECC_NIST_EDWARDS25519.",
        ),
        (
            &rsa,
            "RSASSA_PSS_SHA_256",
            "EXTERNAL_MU",
            64,
            "Message type EXTERNAL_MU is incompatible with key spec RSA_2048.",
        ),
        (
            &ml_dsa,
            "ML_DSA_SHAKE_256",
            "DIGEST",
            64,
            "Message type DIGEST is incompatible with key spec ML_DSA_44.",
        ),
        (
            &ml_dsa,
            "ML_DSA_SHAKE_256",
            "EXTERNAL_MU",
            63,
            "External Mu is invalid length for algorithm ML_DSA_SHAKE_256.",
        ),
    ] {
        let signature = json!(base64("signature"));
        let request = verification(id, algorithm, kind, &vec![1; length], &signature);
        for operation in ["Sign", "Verify"] {
            let answer = server.call(operation, request.clone());
            answer.expect_error("ValidationException", message);
        }
    }
}

#[test]
fn the_algorithm_must_be_the_keys() {
    let mut server = Server::new();
    for (spec, algorithm) in [
        ("RSA_2048", "ECDSA_SHA_256"),
        ("ECC_NIST_P256", "ECDSA_SHA_384"),
        ("ECC_NIST_P384", "ECDSA_SHA_256"),
        ("ECC_SECG_P256K1", "ECDSA_SHA_512"),
        ("ECC_NIST_EDWARDS25519", "ECDSA_SHA_512"),
        ("ML_DSA_44", "ED25519_SHA_512"),
        ("ECC_NIST_P256", "SM2DSA"),
    ] {
        let id = server.create_key_of(spec, "SIGN_VERIFY");
        // Looked at before the kind and the length of the message.
        let signature = json!(base64("signature"));
        let request = verification(&id, algorithm, "EXTERNAL_MU", b"short", &signature);
        for operation in ["Sign", "Verify"] {
            server.call(operation, request.clone()).expect_error(
                "InvalidKeyUsageException",
                &format!("Algorithm {algorithm} is incompatible with key spec {spec}."),
            );
        }
    }
}

#[test]
fn a_message_has_1_to_4096_bytes_and_is_never_repeated() {
    let mut server = Server::new();
    let id = server.create_key_of("ECC_NIST_P256", "SIGN_VERIFY");
    for (length, bound) in [
        (0, "greater than or equal to 1"),
        (4097, "less than or equal to 4096"),
    ] {
        let request = json!({
            "KeyId": id, "Message": base64(vec![b'm'; length]), "SigningAlgorithm": "ECDSA_SHA_256",
        });
        server.call("Sign", request).expect_error(
            "ValidationException",
            &format!("1 validation error detected: Value at 'message' failed to satisfy constraint: Member must have length {bound}"),
        );
    }
}

#[test]
fn another_keys_signature_is_not_valid() {
    let mut server = Server::new();
    for (spec, algorithm) in [
        ("ECC_NIST_P256", "ECDSA_SHA_256"),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
        ("ML_DSA_65", "ML_DSA_SHAKE_256"),
    ] {
        let id = server.create_key_of(spec, "SIGN_VERIFY");
        let other = server.create_key_of(spec, "SIGN_VERIFY");
        let signature = sign(&mut server, &id, algorithm, "RAW", b"message");
        let request = verification(&other, algorithm, "RAW", b"message", &signature);
        let answer = server.call("Verify", request);
        answer.expect_error("KMSInvalidSignatureException", "");
    }
}
