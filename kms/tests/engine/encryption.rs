//! Encrypt, Decrypt, ReEncrypt.

use serde_json::{Value, json};

use crate::server::{ACCOUNT, Client, Server, base64, blob, key_arn};

/// The message of IncorrectKeyException.
const INCORRECT_KEY: &str =
    "The key ID in the request does not identify a CMK that can perform this operation.";

/// The message of DryRunOperationException.
const DRY_RUN: &str = "The request would have succeeded, but the DryRun option is set.";

fn encrypt(server: &mut Server, key: &str, plaintext: &[u8], context: &Value) -> Value {
    let request = json!({
        "KeyId": key,
        "Plaintext": base64(plaintext),
        "EncryptionContext": context,
    });
    server.call("Encrypt", request).ok()["CiphertextBlob"].clone()
}

#[test]
fn what_was_encrypted_is_decrypted() {
    let mut server = Server::new();
    let id = server.create_key();
    server
        .call(
            "CreateAlias",
            json!({"AliasName": "alias/a", "TargetKeyId": id}),
        )
        .ok_empty();
    let material = server.call("DescribeKey", json!({"KeyId": id})).ok();
    let material = &material["KeyMetadata"]["CurrentKeyMaterialId"];
    for (name, plaintext) in [(id.as_str(), &b"x"[..]), ("alias/a", &[7; 4096])] {
        let request = json!({
            "KeyId": name,
            "Plaintext": base64(plaintext),
            "EncryptionContext": {"purpose": "test", "": "empty"},
            "GrantTokens": [server.grant_token(&id)],
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        });
        let encrypted = server.call("Encrypt", request).ok();
        let ciphertext = blob(&encrypted["CiphertextBlob"]);
        assert!(
            ciphertext.len() <= plaintext.len() + 152,
            "{}",
            ciphertext.len()
        );
        assert_eq!(
            encrypted,
            json!({
                "CiphertextBlob": encrypted["CiphertextBlob"],
                "KeyId": key_arn(&id),
                "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            })
        );
        for key in [
            json!(null),
            json!(id),
            json!(key_arn(&id)),
            json!("alias/a"),
        ] {
            let request = json!({
                "CiphertextBlob": encrypted["CiphertextBlob"],
                "EncryptionContext": {"": "empty", "purpose": "test"},
                "KeyId": key,
                "GrantTokens": [],
            });
            let decrypted = server.call("Decrypt", request).ok();
            assert_eq!(
                decrypted,
                json!({
                    "Plaintext": base64(plaintext),
                    "KeyId": key_arn(&id),
                    "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                    "KeyMaterialId": material,
                })
            );
        }
    }
}

#[test]
fn the_same_plaintext_never_gives_the_same_ciphertext() {
    let mut server = Server::new();
    let id = server.create_key();
    let first = encrypt(&mut server, &id, b"x", &json!({}));
    assert_ne!(encrypt(&mut server, &id, b"x", &json!({})), first);
}

#[test]
fn whatever_does_not_open_is_refused_in_the_same_way() {
    let mut server = Server::new();
    let mut other_server = Server::with(
        attestation::Verifier::new(Vec::new(), attestation::VerifyOptions::default()),
        std::sync::Arc::new(kms::key_pair::AwsLcKeyPairs),
        2,
    );
    let id = server.create_key();
    let foreign_id = other_server.create_key();
    let context = json!({"a": "1", "b": "2"});
    let good = encrypt(&mut server, &id, b"secret", &context);
    let bytes = blob(&good);
    let foreign = encrypt(&mut other_server, &foreign_id, b"secret", &context);

    let mut wrong: Vec<(String, Value, Value)> = Vec::new();
    for (name, other) in [
        ("missing context", json!({})),
        ("one pair less", json!({"a": "1"})),
        ("one pair more", json!({"a": "1", "b": "2", "c": "3"})),
        ("other value", json!({"a": "1", "b": "3"})),
        ("other case", json!({"A": "1", "b": "2"})),
        ("shifted pairs", json!({"a1b": "2"})),
        ("swapped values", json!({"a": "2", "b": "1"})),
    ] {
        wrong.push((name.to_owned(), good.clone(), other));
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        wrong.push((
            format!("bit flipped in byte {at}"),
            json!(base64(flipped)),
            context.clone(),
        ));
    }
    for length in 1..bytes.len() {
        let cut = json!(base64(&bytes[..length]));
        wrong.push((format!("cut to {length}"), cut, context.clone()));
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    wrong.push((
        "one byte more".to_owned(),
        json!(base64(longer)),
        context.clone(),
    ));
    wrong.push(("foreign".to_owned(), foreign, context.clone()));
    wrong.push((
        "garbage".to_owned(),
        json!(base64([0x5a; 200])),
        context.clone(),
    ));

    for (name, ciphertext, context) in wrong {
        for key in [json!(null), json!(id)] {
            let request = json!({
                "CiphertextBlob": ciphertext,
                "EncryptionContext": context,
                "KeyId": key,
            });
            let (code, message) = server.call("Decrypt", request).error();
            assert_eq!(
                (code.as_str(), &*message),
                ("InvalidCiphertextException", ""),
                "{name}"
            );
            let request = json!({
                "CiphertextBlob": ciphertext,
                "SourceEncryptionContext": context,
                "SourceKeyId": key,
                "DestinationKeyId": id,
            });
            let (code, message) = server.call("ReEncrypt", request).error();
            assert_eq!(
                (code.as_str(), &*message),
                ("InvalidCiphertextException", ""),
                "{name}"
            );
        }
    }
    let request = json!({"CiphertextBlob": good, "EncryptionContext": context});
    server.call("Decrypt", request).ok();
}

#[test]
fn a_key_that_did_not_encrypt_it_is_incorrect() {
    let mut server = Server::new();
    let (id, other) = (server.create_key(), server.create_key());
    let ciphertext = encrypt(&mut server, &id, b"x", &json!({}));
    let request = json!({"CiphertextBlob": ciphertext, "KeyId": other});
    server
        .call("Decrypt", request)
        .expect_error("IncorrectKeyException", INCORRECT_KEY);
    let reencrypt =
        json!({"CiphertextBlob": ciphertext, "SourceKeyId": other, "DestinationKeyId": id});
    server
        .call("ReEncrypt", reencrypt.clone())
        .expect_error("IncorrectKeyException", INCORRECT_KEY);

    // Whatever state the other key is in.
    server
        .call("DisableKey", json!({"KeyId": other}))
        .ok_empty();
    let request = json!({"CiphertextBlob": ciphertext, "KeyId": other});
    server
        .call("Decrypt", request)
        .expect_error("IncorrectKeyException", INCORRECT_KEY);
    server
        .call("ReEncrypt", reencrypt)
        .expect_error("IncorrectKeyException", INCORRECT_KEY);
    let request = json!({"CiphertextBlob": base64("junk"), "KeyId": other});
    server
        .call("Decrypt", request)
        .expect_error("InvalidCiphertextException", "");
}

#[test]
fn a_ciphertext_is_of_no_use_in_another_region() {
    let mut server = Server::new();
    let id = server.create_key();
    let ciphertext = encrypt(&mut server, &id, b"x", &json!({}));
    let elsewhere = Client::of("alice").in_region("us-west-2");
    server
        .call_as(&elsewhere, "Decrypt", json!({"CiphertextBlob": ciphertext}))
        .expect_error(
            "AccessDeniedException",
            &format!(
                "User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
            ),
        );
    // Named together with a key of that region, it is that key's no more than another's.
    let request = json!({"Description": "another key"});
    let other = server.call_as(&elsewhere, "CreateKey", request).ok();
    let request = json!({"CiphertextBlob": ciphertext, "KeyId": other["KeyMetadata"]["KeyId"]});
    server
        .call_as(&elsewhere, "Decrypt", request)
        .expect_error("IncorrectKeyException", INCORRECT_KEY);
}

#[test]
fn the_algorithm_must_be_the_keys() {
    let mut server = Server::new();
    let id = server.create_key();
    let ciphertext = encrypt(&mut server, &id, b"x", &json!({}));
    let message = "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.";
    for (operation, request) in [
        (
            "Encrypt",
            json!({"KeyId": id, "Plaintext": base64("x"), "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
        ),
        (
            "Decrypt",
            json!({"CiphertextBlob": ciphertext, "KeyId": id, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
        ),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": ciphertext, "DestinationKeyId": id, "SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
        ),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": ciphertext, "DestinationKeyId": id, "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
        ),
    ] {
        server
            .call(operation, request)
            .expect_error("InvalidKeyUsageException", message);
    }
}

#[test]
fn plaintext_has_1_to_4096_bytes_and_is_never_repeated() {
    let mut server = Server::new();
    let id = server.create_key();
    for (length, bound) in [
        (0, "greater than or equal to 1"),
        (4097, "less than or equal to 4096"),
    ] {
        let request = json!({"KeyId": id, "Plaintext": base64(vec![b'p'; length])});
        server.call("Encrypt", request).expect_error(
            "ValidationException",
            &format!("1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length {bound}"),
        );
    }
}

#[test]
fn re_encrypt_moves_a_ciphertext_to_another_key_and_context() {
    let mut server = Server::new();
    let (from, to) = (server.create_key(), server.create_key());
    let source = encrypt(&mut server, &from, b"kept secret", &json!({"a": "1"}));
    let token = server.grant_token(&to);
    let moved = server
        .call(
            "ReEncrypt",
            json!({
                "CiphertextBlob": source,
                "SourceEncryptionContext": {"a": "1"},
                "SourceKeyId": from,
                "DestinationKeyId": to,
                "DestinationEncryptionContext": {"b": "2"},
                "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                "GrantTokens": [token],
            }),
        )
        .ok();
    let material = |server: &mut Server, id: &str| {
        let described = server.call("DescribeKey", json!({"KeyId": id})).ok();
        described["KeyMetadata"]["CurrentKeyMaterialId"].clone()
    };
    assert_eq!(
        moved,
        json!({
            "CiphertextBlob": moved["CiphertextBlob"],
            "SourceKeyId": key_arn(&from),
            "KeyId": key_arn(&to),
            "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "SourceKeyMaterialId": material(&mut server, &from),
            "DestinationKeyMaterialId": material(&mut server, &to),
        })
    );
    let request = json!({
        "CiphertextBlob": moved["CiphertextBlob"],
        "EncryptionContext": {"b": "2"},
        "KeyId": to,
    });
    let decrypted = server.call("Decrypt", request).ok();
    assert_eq!(blob(&decrypted["Plaintext"]), b"kept secret");
}

#[test]
fn re_encrypt_checks_both_keys() {
    let mut server = Server::new();
    let (from, to) = (server.create_key(), server.create_key());
    let source = encrypt(&mut server, &from, b"x", &json!({}));
    let request = json!({"CiphertextBlob": source, "DestinationKeyId": to});
    for key in [&from, &to] {
        server.call("DisableKey", json!({"KeyId": key})).ok_empty();
        server.call("ReEncrypt", request.clone()).expect_error(
            "DisabledException",
            &format!("{} is disabled.", key_arn(key)),
        );
        server.call("EnableKey", json!({"KeyId": key})).ok_empty();
    }
    let request = json!({"CiphertextBlob": source, "DestinationKeyId": "alias/none"});
    assert_eq!(
        server.call("ReEncrypt", request).error().0,
        "NotFoundException"
    );
}

#[test]
fn a_dry_run_makes_every_check_and_stops() {
    let mut server = Server::new();
    let id = server.create_key();
    let good = encrypt(&mut server, &id, b"x", &json!({}));
    let dry = |mut request: Value| {
        request["DryRun"] = json!(true);
        request
    };
    let requests = [
        ("Encrypt", json!({"KeyId": id, "Plaintext": base64("x")})),
        ("Decrypt", json!({"CiphertextBlob": good})),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": good, "DestinationKeyId": id}),
        ),
        (
            "GenerateDataKey",
            json!({"KeyId": id, "KeySpec": "AES_256"}),
        ),
        (
            "GenerateDataKeyWithoutPlaintext",
            json!({"KeyId": id, "KeySpec": "AES_256"}),
        ),
        (
            "GenerateDataKeyPair",
            json!({"KeyId": id, "KeyPairSpec": "RSA_4096"}),
        ),
        (
            "GenerateDataKeyPairWithoutPlaintext",
            json!({"KeyId": id, "KeyPairSpec": "RSA_4096"}),
        ),
    ];
    for (operation, request) in &requests {
        let answer = server.call(operation, dry(request.clone()));
        answer.expect_error("DryRunOperationException", DRY_RUN);
    }
    let wrong = json!({"CiphertextBlob": good, "EncryptionContext": {"a": "1"}});
    server
        .call("Decrypt", dry(wrong))
        .expect_error("InvalidCiphertextException", "");
    server.call("DisableKey", json!({"KeyId": id})).ok_empty();
    for (operation, request) in requests {
        let answer = server.call(operation, dry(request));
        assert_eq!(answer.error().0, "DisabledException", "{operation}");
    }
}

#[test]
fn a_dry_run_can_do_without_the_ciphertext() {
    let mut server = Server::new();
    let id = server.create_key();
    let ignore = json!(["IGNORE_CIPHERTEXT"]);
    for (operation, request) in [
        (
            "Decrypt",
            json!({"KeyId": id, "DryRun": true, "DryRunModifiers": ignore}),
        ),
        (
            "ReEncrypt",
            json!({"SourceKeyId": id, "DestinationKeyId": id, "DryRun": true, "DryRunModifiers": ignore}),
        ),
        (
            "Decrypt",
            json!({"KeyId": id, "CiphertextBlob": base64("garbage"), "DryRun": true, "DryRunModifiers": ignore}),
        ),
    ] {
        let answer = server.call(operation, request);
        answer.expect_error("DryRunOperationException", DRY_RUN);
    }
    let missing = |member: &str| {
        format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        )
    };
    for (operation, request, member) in [
        (
            "Decrypt",
            json!({"DryRun": true, "DryRunModifiers": ignore}),
            "keyId",
        ),
        (
            "ReEncrypt",
            json!({"DestinationKeyId": id, "DryRun": true, "DryRunModifiers": ignore}),
            "sourceKeyId",
        ),
        ("Decrypt", json!({"KeyId": id}), "ciphertextBlob"),
        (
            "Decrypt",
            json!({"KeyId": id, "DryRun": true}),
            "ciphertextBlob",
        ),
        (
            "Decrypt",
            json!({"KeyId": id, "DryRunModifiers": ignore}),
            "ciphertextBlob",
        ),
        (
            "ReEncrypt",
            json!({"DestinationKeyId": id}),
            "ciphertextBlob",
        ),
    ] {
        server
            .call(operation, request)
            .expect_error("ValidationException", &missing(member));
    }
}
