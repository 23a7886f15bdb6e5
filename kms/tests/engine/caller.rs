//! Who may call, and what is answered before anybody is known.

use std::time::Duration;

use kms::principal::{Access, Principal};
use kms::state::Change;
use serde_json::{Value, json};

use crate::server::{ACCOUNT, Client, REGION, START, Server, base64, key_arn, signed};

#[test]
fn unknown_operations_are_refused_before_authentication() {
    let mut server = Server::new();
    let nobody = Client::of("nobody");
    for operation in ["NoSuchOperation", "", "encrypt"] {
        let (code, _) = server.call_as(&nobody, operation, json!({})).error();
        assert_eq!(code, "UnknownOperationException", "{operation}");
    }
    let mut request = signed(&Client::of("alice"), "ListKeys", b"{}", START);
    request.headers_mut().remove("x-amz-target");
    assert_eq!(server.send(&request).error().0, "UnknownOperationException");
}

#[test]
fn only_json_that_is_posted_is_an_operation() {
    let mut server = Server::new();
    for method in ["GET", "PUT", "DELETE", "PATCH", "BREW"] {
        let mut request = signed(&Client::of("alice"), "CreateKey", b"{}", START);
        *request.method_mut() = method.parse().unwrap();
        let (code, _) = server.send(&request).error();
        assert_eq!(code, "UnknownOperationException", "{method}");
    }
    for content_type in ["text/plain", "application/x-amz-cbor-1.1", "\u{ff}"] {
        let mut request = signed(&Client::of("alice"), "CreateKey", b"{}", START);
        let value = http::HeaderValue::from_bytes(content_type.as_bytes()).unwrap();
        request.headers_mut().insert("content-type", value);
        let (code, _) = server.send(&request).error();
        assert_eq!(code, "UnknownOperationException", "{content_type}");
    }
    let keys = server.call("ListKeys", json!({})).ok();
    assert_eq!(keys["Keys"], json!([]));
}

#[test]
fn what_is_no_json_is_refused_before_authentication() {
    let mut server = Server::new();
    for client in [Client::of("nobody"), Client::of("alice")] {
        for body in ["", "{", "null", "[]", "\u{0}", r#"{"KeyId": 7}"#] {
            let answer = server.call_with_body(&client, "DescribeKey", body.as_bytes());
            assert_eq!(answer.error().0, "SerializationException", "{body}");
        }
    }
}

#[test]
fn constraints_are_checked_after_authentication() {
    let mut server = Server::new();
    let (code, _) = server
        .call_as(&Client::of("nobody"), "DescribeKey", json!({}))
        .error();
    assert_eq!(code, "UnrecognizedClientException");
    server.call("DescribeKey", json!({})).expect_error(
        "ValidationException",
        "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
    );
}

#[test]
fn strangers_are_refused() {
    let mut server = Server::new();
    server
        .call_as(&Client::of("nobody"), "ListKeys", json!({}))
        .expect_error(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        );
    let mut impostor = Client::of("alice");
    impostor.secret.push('x');
    server.call_as(&impostor, "ListKeys", json!({})).expect_error(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
    );
    let mut request = signed(&Client::of("alice"), "ListKeys", b"{}", START);
    request.headers_mut().remove("authorization");
    let (code, _) = server.send(&request).error();
    assert_eq!(code, "MissingAuthenticationTokenException");
    let mut request = signed(&Client::of("alice"), "ListKeys", b"{}", START);
    *request.body_mut() = br#"{"Limit":1}"#.to_vec();
    assert_eq!(server.send(&request).error().0, "InvalidSignatureException");
}

#[test]
fn a_signature_is_good_for_five_minutes() {
    let mut server = Server::new();
    let request = signed(&Client::of("alice"), "ListKeys", b"{}", START);
    server.pass(Duration::from_secs(299));
    server.send(&request).ok();
    server.pass(Duration::from_secs(2));
    let (code, message) = server.send(&request).error();
    assert_eq!(code, "InvalidSignatureException");
    assert!(message.starts_with("Signature expired: "), "{message}");
}

#[test]
fn an_inactive_access_key_is_as_good_as_none() {
    let mut server = Server::new();
    let client = Client::of("alice");
    let mut access_key = server
        .state
        .access_key(&client.access_key_id)
        .unwrap()
        .as_ref()
        .clone();
    access_key.active = false;
    server.commit(vec![Change::PutAccessKey(access_key)]);
    let (code, _) = server.call("ListKeys", json!({})).error();
    assert_eq!(code, "UnrecognizedClientException");
}

#[test]
fn the_access_key_of_a_user_who_is_gone_is_as_good_as_none() {
    let mut server = Server::new();
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/alice").into();
    server.commit(vec![Change::DeletePrincipal { arn }]);
    let (code, _) = server.call("ListKeys", json!({})).error();
    assert_eq!(code, "UnrecognizedClientException");
}

#[test]
fn a_user_without_access_is_denied_everything() {
    let mut server = Server::new();
    let id = server.create_key();
    let encrypt = json!({"KeyId": id, "Plaintext": base64("x")});
    let blob = server.call("Encrypt", encrypt).ok()["CiphertextBlob"].clone();
    server
        .call(
            "CreateAlias",
            json!({"AliasName": "alias/a", "TargetKeyId": id}),
        )
        .ok_empty();
    server.add_user(ACCOUNT, "bob", Access::None);
    let bob = Client::of("bob");
    let user = format!("arn:aws:iam::{ACCOUNT}:user/bob");
    let on_key = every_operation_on(&id, &blob);
    for (operation, action, request) in on_key {
        // Who names no key does not learn its name.
        let resource = match request.get("KeyId").or(request.get("SourceKeyId")) {
            None if operation == "Decrypt" => "the resource associated with this ciphertext".into(),
            _ => format!("resource: {}", key_arn(&id)),
        };
        server.call_as(&bob, operation, request).expect_error(
            "AccessDeniedException",
            &format!(
                "User: {user} is not authorized to perform: kms:{action} on {resource} because no identity-based policy allows the kms:{action} action"
            ),
        );
    }
    for (operation, request) in [
        ("CreateKey", json!({})),
        ("ListKeys", json!({})),
        ("ListAliases", json!({})),
        ("GenerateRandom", json!({"NumberOfBytes": 1})),
    ] {
        server.call_as(&bob, operation, request).expect_error(
            "AccessDeniedException",
            &format!(
                "User: {user} is not authorized to perform: kms:{operation} on resource: * because no identity-based policy allows the kms:{operation} action"
            ),
        );
    }
    let answer = server.call_as(&bob, "DeleteAlias", json!({"AliasName": "alias/a"}));
    assert_eq!(answer.error().0, "AccessDeniedException");
    assert_eq!(
        server.call("ListAliases", json!({})).ok()["Aliases"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_ciphertext_tells_its_key_to_other_accounts_that_may_use_it() {
    let mut server = Server::new();
    let id = server.create_key();
    let encrypt = json!({"KeyId": id, "Plaintext": base64("x")});
    let blob = server.call("Encrypt", encrypt).ok()["CiphertextBlob"].clone();
    server.add_user("444455556666", "mallory", Access::Full);
    let mallory = Client::of("mallory");
    let request = json!({
        "KeyId": id, "GranteePrincipal": "arn:aws:iam::444455556666:user/mallory",
        "Operations": ["Decrypt"],
    });
    server.call("CreateGrant", request).ok();
    let opened = server
        .call_as(&mallory, "Decrypt", json!({"CiphertextBlob": blob}))
        .ok();
    assert_eq!(opened["KeyId"], key_arn(&id));
    assert_eq!(opened["Plaintext"], base64("x"));
}

#[test]
fn another_account_is_denied_and_learns_nothing() {
    let mut server = Server::new();
    let id = server.create_key();
    let encrypt = json!({"KeyId": id, "Plaintext": base64("x")});
    let blob = server.call("Encrypt", encrypt).ok()["CiphertextBlob"].clone();
    server.add_user("444455556666", "mallory", Access::Full);
    let mallory = Client::of("mallory");
    let unknown = "00000000-0000-4000-8000-000000000000";
    for name in [key_arn(&id), key_arn(unknown)] {
        for (operation, action, request) in every_operation_on(&name, &blob) {
            let decrypts =
                request.get("CiphertextBlob").is_some() && request.get("KeyId").is_none();
            if decrypts {
                continue;
            }
            server.call_as(&mallory, operation, request).expect_error(
                "AccessDeniedException",
                &format!(
                    "User: arn:aws:iam::444455556666:user/mallory is not authorized to perform: kms:{action} on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
                ),
            );
        }
    }
    server
        .call_as(&mallory, "Decrypt", json!({"CiphertextBlob": blob}))
        .expect_error(
            "AccessDeniedException",
            "User: arn:aws:iam::444455556666:user/mallory is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
        );
    server
        .call_as(&mallory, "DescribeKey", json!({"KeyId": id}))
        .expect_error(
            "NotFoundException",
            &format!("Key 'arn:aws:kms:{REGION}:444455556666:key/{id}' does not exist"),
        );
    assert_eq!(
        server.call_as(&mallory, "ListKeys", json!({})).ok()["Keys"],
        json!([])
    );
}

#[test]
fn the_root_user_may_do_everything() {
    let mut server = Server::new();
    let id = server.create_key();
    let root = Principal::root(ACCOUNT.parse().unwrap(), START);
    server.add_principal(root, &Client::of("root"));
    let request = json!({"KeyId": id, "KeySpec": "AES_256"});
    let answer = server.call_as(&Client::of("root"), "GenerateDataKey", request);
    answer.ok();
    assert_eq!(
        answer.event["userIdentity"],
        json!({
            "type": "Root",
            "principalId": ACCOUNT,
            "arn": format!("arn:aws:iam::{ACCOUNT}:root"),
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAROOT",
        })
    );
}

#[test]
fn regions_have_keys_of_their_own() {
    let mut server = Server::new();
    let id = server.create_key();
    let elsewhere = Client::of("alice").in_region("us-west-2");
    let there = format!("arn:aws:kms:us-west-2:{ACCOUNT}:key/{id}");
    server
        .call_as(&elsewhere, "DescribeKey", json!({"KeyId": id}))
        .expect_error(
            "NotFoundException",
            &format!("Key '{there}' does not exist"),
        );
    server
        .call_as(&elsewhere, "DescribeKey", json!({"KeyId": key_arn(&id)}))
        .expect_error("NotFoundException", &format!("Invalid arn {REGION}"));
}

#[test]
fn every_operation_exists_for_those_who_authenticate() {
    let mut server = Server::new();
    for operation in kms::protocol::OperationName::ALL {
        let name = operation.as_str();
        let answer = server.call(name, json!({}));
        assert_eq!(answer.event["eventName"], name);
        if answer.status != 200 {
            let (code, message) = answer.error();
            assert_eq!(code, "ValidationException", "{name}: {message}");
        }
        let (code, _) = server
            .call_as(&Client::of("nobody"), name, json!({}))
            .error();
        assert_eq!(code, "UnrecognizedClientException", "{name}");
    }
}

/// A request on a key for every operation that takes one, with the action it needs.
fn every_operation_on(key: &str, blob: &Value) -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("DescribeKey", "DescribeKey", json!({"KeyId": key})),
        ("EnableKey", "EnableKey", json!({"KeyId": key})),
        ("DisableKey", "DisableKey", json!({"KeyId": key})),
        (
            "ScheduleKeyDeletion",
            "ScheduleKeyDeletion",
            json!({"KeyId": key}),
        ),
        (
            "CancelKeyDeletion",
            "CancelKeyDeletion",
            json!({"KeyId": key}),
        ),
        (
            "CreateAlias",
            "CreateAlias",
            json!({"AliasName": "alias/b", "TargetKeyId": key}),
        ),
        (
            "Encrypt",
            "Encrypt",
            json!({"KeyId": key, "Plaintext": base64("x")}),
        ),
        ("Decrypt", "Decrypt", json!({"CiphertextBlob": blob})),
        (
            "Decrypt",
            "Decrypt",
            json!({"CiphertextBlob": blob, "KeyId": key}),
        ),
        (
            "ReEncrypt",
            "ReEncryptFrom",
            json!({"CiphertextBlob": blob, "SourceKeyId": key, "DestinationKeyId": key}),
        ),
        (
            "GenerateDataKey",
            "GenerateDataKey",
            json!({"KeyId": key, "KeySpec": "AES_256"}),
        ),
        (
            "GenerateDataKeyWithoutPlaintext",
            "GenerateDataKeyWithoutPlaintext",
            json!({"KeyId": key, "KeySpec": "AES_256"}),
        ),
        (
            "GenerateDataKeyPair",
            "GenerateDataKeyPair",
            json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}),
        ),
        (
            "GenerateDataKeyPairWithoutPlaintext",
            "GenerateDataKeyPairWithoutPlaintext",
            json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}),
        ),
        (
            "EnableKeyRotation",
            "EnableKeyRotation",
            json!({"KeyId": key}),
        ),
        (
            "DisableKeyRotation",
            "DisableKeyRotation",
            json!({"KeyId": key}),
        ),
        (
            "GetKeyRotationStatus",
            "GetKeyRotationStatus",
            json!({"KeyId": key}),
        ),
        (
            "ListKeyRotations",
            "ListKeyRotations",
            json!({"KeyId": key}),
        ),
        (
            "RotateKeyOnDemand",
            "RotateKeyOnDemand",
            json!({"KeyId": key}),
        ),
        ("GetKeyLastUsage", "GetKeyLastUsage", json!({"KeyId": key})),
        (
            "ListResourceTags",
            "ListResourceTags",
            json!({"KeyId": key}),
        ),
        (
            "ReplicateKey",
            "ReplicateKey",
            json!({"KeyId": key, "ReplicaRegion": "us-west-2"}),
        ),
        (
            "UpdatePrimaryRegion",
            "UpdatePrimaryRegion",
            json!({"KeyId": key, "PrimaryRegion": "us-west-2"}),
        ),
        (
            "TagResource",
            "TagResource",
            json!({"KeyId": key, "Tags": []}),
        ),
        (
            "UntagResource",
            "UntagResource",
            json!({"KeyId": key, "TagKeys": []}),
        ),
        (
            "UpdateKeyDescription",
            "UpdateKeyDescription",
            json!({"KeyId": key, "Description": ""}),
        ),
        ("GetPublicKey", "GetPublicKey", json!({"KeyId": key})),
        (
            "Sign",
            "Sign",
            json!({"KeyId": key, "Message": base64("x"), "SigningAlgorithm": "ECDSA_SHA_256"}),
        ),
        (
            "Verify",
            "Verify",
            json!({
                "KeyId": key, "Message": base64("x"), "Signature": blob,
                "SigningAlgorithm": "ECDSA_SHA_256",
            }),
        ),
        (
            "GenerateMac",
            "GenerateMac",
            json!({"KeyId": key, "Message": base64("x"), "MacAlgorithm": "HMAC_SHA_256"}),
        ),
        (
            "VerifyMac",
            "VerifyMac",
            json!({
                "KeyId": key, "Message": base64("x"), "MacAlgorithm": "HMAC_SHA_256", "Mac": blob,
            }),
        ),
        (
            "DeriveSharedSecret",
            "DeriveSharedSecret",
            json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": blob}),
        ),
        (
            "Encapsulate",
            "Encapsulate",
            json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"}),
        ),
        (
            "Decapsulate",
            "Decapsulate",
            json!({
                "KeyId": key, "EncapsulationAlgorithm": "ML_KEM",
                "SharedSecretCiphertextBlob": blob,
            }),
        ),
        (
            "CreateGrant",
            "CreateGrant",
            json!({
                "KeyId": key, "GranteePrincipal": "arn:aws:iam::123456789012:user/nobody",
                "Operations": ["Decrypt"],
            }),
        ),
        ("ListGrants", "ListGrants", json!({"KeyId": key})),
        (
            "RetireGrant",
            "RetireGrant",
            json!({"KeyId": key, "GrantId": "0".repeat(64)}),
        ),
        (
            "RevokeGrant",
            "RevokeGrant",
            json!({"KeyId": key, "GrantId": "0".repeat(64)}),
        ),
        (
            "GetKeyPolicy",
            "GetKeyPolicy",
            json!({"KeyId": key, "PolicyName": "default"}),
        ),
        (
            "PutKeyPolicy",
            "PutKeyPolicy",
            json!({"KeyId": key, "PolicyName": "default", "Policy": "not a policy"}),
        ),
        ("ListKeyPolicies", "ListKeyPolicies", json!({"KeyId": key})),
        (
            "GetParametersForImport",
            "GetParametersForImport",
            json!({
                "KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
                "WrappingKeySpec": "RSA_2048",
            }),
        ),
        (
            "ImportKeyMaterial",
            "ImportKeyMaterial",
            json!({
                "KeyId": key, "ImportToken": blob, "EncryptedKeyMaterial": blob,
                "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
            }),
        ),
        (
            "DeleteImportedKeyMaterial",
            "DeleteImportedKeyMaterial",
            json!({"KeyId": key}),
        ),
    ]
}
