//! Data keys, data key pairs, random bytes.

use kms::engine::Route;
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

#[test]
fn calls_are_routed_by_what_they_cost_and_change() {
    let server = Server::new();
    let route_of = |operation: &str, body: &str| {
        let request = signed(&Client::of("alice"), operation, body.as_bytes(), server.now);
        server.engine.route(&as_call(&request))
    };
    let route = |operation: &str, body: Value| route_of(operation, &body.to_string());
    for spec in ["RSA_2048", "RSA_3072", "RSA_4096"] {
        let body = json!({"KeyId": "alias/a", "KeyPairSpec": spec});
        assert_eq!(route("GenerateDataKeyPair", body.clone()), Route::Slow);
        assert_eq!(
            route("GenerateDataKeyPairWithoutPlaintext", body.clone()),
            Route::Slow
        );
        assert_eq!(route("GenerateDataKey", body), Route::Read);
    }
    let body = json!({"KeyId": "alias/a", "KeyPairSpec": "ECC_NIST_P256"});
    assert_eq!(route("GenerateDataKeyPair", body), Route::Read);
    for body in [
        r#"{"KeyId": "a", "KeyPairSpec": "ECC_NIST_P256", "KeyPairSpec": "RSA_4096"}"#,
        r#"{"KeyId": "a", "KeyPairSpec": "\u0052SA_4096"}"#,
    ] {
        assert_eq!(route_of("GenerateDataKeyPair", body), Route::Slow, "{body}");
    }
    for spec in ["RSA_2048", "RSA_3072", "RSA_4096"] {
        let body = json!({"KeySpec": spec, "KeyUsage": "SIGN_VERIFY"});
        assert_eq!(route("CreateKey", body), Route::Slow);
        let body = json!({"CustomerMasterKeySpec": spec, "KeyUsage": "SIGN_VERIFY"});
        assert_eq!(route("CreateKey", body), Route::Slow);
        // No material is made for it.
        let body = json!({"KeySpec": spec, "KeyUsage": "SIGN_VERIFY", "Origin": "EXTERNAL"});
        assert_eq!(route("CreateKey", body), Route::Write);
    }
    for spec in ["ECC_NIST_P521", "ML_DSA_87", "ML_KEM_1024", "HMAC_512"] {
        assert_eq!(route("CreateKey", json!({"KeySpec": spec})), Route::Write);
    }
    for operation in [
        "CreateKey",
        "EnableKey",
        "DeleteAlias",
        "ScheduleKeyDeletion",
    ] {
        assert_eq!(route(operation, json!({})), Route::Write);
    }
    for operation in ["Decrypt", "ListKeys", "NoSuchOperation", "Sign"] {
        assert_eq!(route(operation, json!({})), Route::Read);
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
