//! Encrypt, Decrypt and ReEncrypt with RSA keys.

use serde_json::{Value, json};

use crate::server::{Server, base64, blob, key_arn};

const ALGORITHMS: [&str; 2] = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"];

fn encrypt(server: &mut Server, id: &str, algorithm: &str, plaintext: &[u8]) -> Value {
    let request = json!({
        "KeyId": id,
        "Plaintext": base64(plaintext),
        "EncryptionAlgorithm": algorithm,
    });
    server.call("Encrypt", request).ok()["CiphertextBlob"].clone()
}

#[test]
fn rsa_keys_encrypt_and_decrypt_as_much_as_fits() {
    let mut server = Server::new();
    for (spec, bytes, most) in [
        ("RSA_2048", 256, [214, 190]),
        ("RSA_3072", 384, [342, 318]),
        ("RSA_4096", 512, [470, 446]),
    ] {
        let id = server.create_key_of(spec, "ENCRYPT_DECRYPT");
        for (algorithm, most) in ALGORITHMS.into_iter().zip(most) {
            for length in [1, most] {
                let request = json!({
                    "KeyId": id,
                    "Plaintext": base64(vec![5; length]),
                    "EncryptionAlgorithm": algorithm,
                });
                let answer = server.call("Encrypt", request);
                let encrypted = answer.ok();
                assert_eq!(
                    encrypted,
                    json!({
                        "CiphertextBlob": encrypted["CiphertextBlob"],
                        "KeyId": key_arn(&id),
                        "EncryptionAlgorithm": algorithm,
                    })
                );
                assert_eq!(
                    answer
                        .event
                        .get("additionalEventData")
                        .and_then(|data| data.get("keyMaterialId")),
                    None
                );
                assert_eq!(blob(&encrypted["CiphertextBlob"]).len(), bytes);
                let request = json!({
                    "KeyId": id,
                    "CiphertextBlob": encrypted["CiphertextBlob"],
                    "EncryptionAlgorithm": algorithm,
                });
                let decrypted = server.call("Decrypt", request).ok();
                assert_eq!(
                    decrypted,
                    json!({
                        "KeyId": key_arn(&id),
                        "Plaintext": base64(vec![5; length]),
                        "EncryptionAlgorithm": algorithm,
                    })
                );
            }
            let request = json!({
                "KeyId": id,
                "Plaintext": base64(vec![5; most + 1]),
                "EncryptionAlgorithm": algorithm,
            });
            server.call("Encrypt", request).expect_error(
                "ValidationException",
                &format!("Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes."),
            );
        }
    }
}

#[test]
fn whatever_does_not_decrypt_is_refused_in_the_same_way() {
    let mut server = Server::new();
    let id = server.create_key_of("RSA_2048", "ENCRYPT_DECRYPT");
    let other = server.create_key_of("RSA_2048", "ENCRYPT_DECRYPT");
    let good = encrypt(&mut server, &id, "RSAES_OAEP_SHA_256", b"x");
    let foreign = encrypt(&mut server, &other, "RSAES_OAEP_SHA_256", b"x");
    let otherwise = encrypt(&mut server, &id, "RSAES_OAEP_SHA_1", b"x");
    let mut flipped = blob(&good);
    flipped[100] ^= 1;
    let cut = base64(&flipped[..255]);
    let longer = base64([flipped.as_slice(), b"x"].concat());
    for wrong in [
        foreign,
        otherwise,
        json!(base64(flipped)),
        json!(cut),
        json!(longer),
        json!(base64([0xff; 256])),
        json!(base64("short")),
    ] {
        let request = json!({
            "KeyId": id, "CiphertextBlob": wrong, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        });
        let answer = server.call("Decrypt", request);
        answer.expect_error("InvalidCiphertextException", "");
    }
}

#[test]
fn an_rsa_ciphertext_does_not_tell_its_key() {
    let mut server = Server::new();
    let id = server.create_key_of("RSA_2048", "ENCRYPT_DECRYPT");
    let symmetric = server.create_key();
    let blob = encrypt(&mut server, &id, "RSAES_OAEP_SHA_256", b"x");
    let request = json!({"CiphertextBlob": blob, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    let answer = server.call("Decrypt", request);
    answer.expect_error("ValidationException", "KeyId must not be null");
    let request = json!({
        "CiphertextBlob": blob, "SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "DestinationKeyId": symmetric,
    });
    let answer = server.call("ReEncrypt", request);
    answer.expect_error("ValidationException", "SourceKeyId must not be null");

    // Without its algorithm.
    for request in [
        json!({"CiphertextBlob": blob, "KeyId": id}),
        json!({"CiphertextBlob": blob}),
    ] {
        let answer = server.call("Decrypt", request);
        answer.expect_error("InvalidCiphertextException", "");
    }
}

#[test]
fn a_key_of_another_usage_or_spec_is_the_wrong_one() {
    let mut server = Server::new();
    let symmetric = server.create_key();
    let mac = server.create_key_of("HMAC_256", "GENERATE_VERIFY_MAC");
    let signing = server.create_key_of("RSA_2048", "SIGN_VERIFY");
    let request = json!({"KeyId": symmetric, "Plaintext": base64("x")});
    let blob = server.call("Encrypt", request).ok()["CiphertextBlob"].clone();
    let incorrect =
        "The key ID in the request does not identify a CMK that can perform this operation.";
    for (id, usage) in [(&mac, "GENERATE_VERIFY_MAC"), (&signing, "SIGN_VERIFY")] {
        let wrong_usage = |operation: &str| {
            let arn = key_arn(id);
            format!("{arn} key usage is {usage} which is not valid for {operation}.")
        };
        for algorithm in ["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1"] {
            let is_told = algorithm == "SYMMETRIC_DEFAULT";
            let request =
                json!({"KeyId": id, "CiphertextBlob": blob, "EncryptionAlgorithm": algorithm});
            let answer = server.call("Decrypt", request);
            match is_told {
                true => answer.expect_error("IncorrectKeyException", incorrect),
                false => answer.expect_error("InvalidKeyUsageException", &wrong_usage("Decrypt")),
            }
            let request = json!({
                "SourceKeyId": id, "CiphertextBlob": blob, "SourceEncryptionAlgorithm": algorithm,
                "DestinationKeyId": symmetric,
            });
            let answer = server.call("ReEncrypt", request);
            match is_told {
                true => answer.expect_error("IncorrectKeyException", incorrect),
                false => answer.expect_error("InvalidKeyUsageException", &wrong_usage("ReEncrypt")),
            }
        }
    }
}

#[test]
fn rsa_can_not_bind_to_an_encryption_context() {
    let mut server = Server::new();
    let id = server.create_key_of("RSA_2048", "ENCRYPT_DECRYPT");
    let symmetric = server.create_key();
    let blob = encrypt(&mut server, &id, "RSAES_OAEP_SHA_1", b"x");
    let context = json!({"a": "b"});
    for (operation, request) in [
        (
            "Encrypt",
            json!({
                "KeyId": id, "Plaintext": base64("x"), "EncryptionContext": context,
                "EncryptionAlgorithm": "RSAES_OAEP_SHA_1",
            }),
        ),
        (
            "Decrypt",
            json!({
                "KeyId": id, "CiphertextBlob": blob, "EncryptionContext": context,
                "EncryptionAlgorithm": "RSAES_OAEP_SHA_1",
            }),
        ),
        (
            "ReEncrypt",
            json!({
                "SourceKeyId": id, "CiphertextBlob": blob, "SourceEncryptionContext": context,
                "SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_1", "DestinationKeyId": symmetric,
            }),
        ),
        (
            "ReEncrypt",
            json!({
                "SourceKeyId": id, "CiphertextBlob": blob,
                "SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_1", "DestinationKeyId": id,
                "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_1",
                "DestinationEncryptionContext": context,
            }),
        ),
    ] {
        server.call(operation, request).expect_error(
            "ValidationException",
            "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.",
        );
    }
}

#[test]
fn re_encrypt_goes_from_and_to_rsa() {
    let mut server = Server::new();
    let rsa = server.create_key_of("RSA_2048", "ENCRYPT_DECRYPT");
    let symmetric = server.create_key();
    let blob = encrypt(&mut server, &rsa, "RSAES_OAEP_SHA_256", b"moved");
    let to_symmetric = server
        .call(
            "ReEncrypt",
            json!({
                "SourceKeyId": rsa, "CiphertextBlob": blob,
                "SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "DestinationKeyId": symmetric,
                "DestinationEncryptionContext": {"a": "b"},
            }),
        )
        .ok();
    assert!(to_symmetric.get("SourceKeyMaterialId").is_none());
    assert!(to_symmetric.get("DestinationKeyMaterialId").is_some());
    assert_eq!(
        to_symmetric["SourceEncryptionAlgorithm"],
        "RSAES_OAEP_SHA_256"
    );
    let to_rsa = server
        .call(
            "ReEncrypt",
            json!({
                "CiphertextBlob": to_symmetric["CiphertextBlob"],
                "SourceEncryptionContext": {"a": "b"}, "DestinationKeyId": rsa,
                "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_1",
            }),
        )
        .ok();
    assert!(to_rsa.get("SourceKeyMaterialId").is_some());
    assert!(to_rsa.get("DestinationKeyMaterialId").is_none());
    let request = json!({
        "KeyId": rsa, "CiphertextBlob": to_rsa["CiphertextBlob"],
        "EncryptionAlgorithm": "RSAES_OAEP_SHA_1",
    });
    let decrypted = server.call("Decrypt", request).ok();
    assert_eq!(decrypted["Plaintext"], base64("moved"));

    // What does not fit is refused.
    let request = json!({"KeyId": symmetric, "Plaintext": base64([1; 191])});
    let large = server.call("Encrypt", request).ok();
    let request = json!({
        "CiphertextBlob": large["CiphertextBlob"], "DestinationKeyId": rsa,
        "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
    });
    server.call("ReEncrypt", request).expect_error(
        "ValidationException",
        "Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes.",
    );
}
