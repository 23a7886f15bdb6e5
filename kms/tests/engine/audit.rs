//! The audit trail: one event for each call, in CloudTrail's shape, with nothing secret in it.

use kms::KmsError;
use kms::audit::Event;
use serde_json::{Value, json};

use crate::server::{
    ACCOUNT, Client, REGION, START, Server, alias_arn, as_call, base64, blob, key_arn, signed,
};

#[test]
fn an_event_has_the_shape_of_cloudtrails() {
    let mut server = Server::new();
    let id = server.create_key();
    let request = json!({
        "KeyId": id,
        "KeySpec": "AES_256",
        "EncryptionContext": {"Department": "Engineering", "Project": "Alpha"},
    });
    let answer = server.call("GenerateDataKey", request);
    let made = answer.ok();
    let event = &answer.event;
    assert_eq!(
        *event,
        json!({
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "IAMUser",
                "principalId": "AIDAALICE",
                "arn": format!("arn:aws:iam::{ACCOUNT}:user/alice"),
                "accountId": ACCOUNT,
                "accessKeyId": "AKIAALICE",
                "userName": "alice",
            },
            "eventTime": "2026-03-01T12:00:00Z",
            "eventSource": "kms.amazonaws.com",
            "eventName": "GenerateDataKey",
            "awsRegion": REGION,
            "sourceIPAddress": "unknown",
            "userAgent": "claviger-tests/1",
            "requestParameters": {
                "keyId": id,
                "keySpec": "AES_256",
                "encryptionContext": {"Department": "Engineering", "Project": "Alpha"},
            },
            "responseElements": null,
            "additionalEventData": {
                "authorization": {
                    "kms:GenerateDataKey":
                        "the identity policy AdministratorAccess allows it",
                },
                "keyMaterialId": made["KeyMaterialId"],
            },
            "requestID": answer.request_id,
            "eventID": event["eventID"],
            "readOnly": true,
            "resources": [
                {"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key_arn(&id)},
            ],
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
        })
    );
    let event_id = event["eventID"].as_str().unwrap();
    assert_eq!(event_id.len(), 36);
    assert_ne!(event_id, answer.request_id);
}

#[test]
fn what_changes_something_records_what() {
    let mut server = Server::new();
    let answer = server.call("CreateKey", json!({"Description": "d"}));
    let metadata = &answer.ok()["KeyMetadata"];
    let id = metadata["KeyId"].as_str().unwrap();
    let arn = key_arn(id);
    assert_eq!(answer.event["readOnly"], false);
    assert_eq!(
        answer.event["requestParameters"],
        json!({
            "description": "d",
            "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "keySpec": "SYMMETRIC_DEFAULT",
            "keyUsage": "ENCRYPT_DECRYPT",
            "origin": "AWS_KMS",
            "bypassPolicyLockoutSafetyCheck": false,
        })
    );
    assert_eq!(
        answer.event["responseElements"],
        json!({"keyMetadata": {
            "AWSAccountId": ACCOUNT,
            "keyId": id,
            "arn": arn,
            "creationDate": "Mar 1, 2026, 12:00:00 PM",
            "enabled": true,
            "description": "d",
            "keyUsage": "ENCRYPT_DECRYPT",
            "keyState": "Enabled",
            "origin": "AWS_KMS",
            "keyManager": "CUSTOMER",
            "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "keySpec": "SYMMETRIC_DEFAULT",
            "encryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "multiRegion": false,
            "currentKeyMaterialId": metadata["CurrentKeyMaterialId"],
        }})
    );

    for (operation, request) in [
        ("DisableKey", json!({"KeyId": id})),
        ("EnableKey", json!({"KeyId": id})),
        (
            "CreateAlias",
            json!({"AliasName": "alias/a", "TargetKeyId": id}),
        ),
        (
            "UpdateAlias",
            json!({"AliasName": "alias/a", "TargetKeyId": id}),
        ),
        ("DeleteAlias", json!({"AliasName": "alias/a"})),
    ] {
        let answer = server.call(operation, request);
        answer.ok_empty();
        assert_eq!(
            answer.event["responseElements"],
            json!({"keyId": arn}),
            "{operation}"
        );
        assert_eq!(answer.event["readOnly"], false);
        let resources = answer.event["resources"].as_array().unwrap();
        let mut arns: Vec<_> = resources
            .iter()
            .map(|r| r["ARN"].as_str().unwrap())
            .collect();
        arns.sort_unstable();
        let expected = match operation {
            "DisableKey" | "EnableKey" => vec![arn.clone()],
            _ => vec![alias_arn("alias/a"), arn.clone()],
        };
        assert_eq!(arns, expected, "{operation}");
    }

    let request = json!({"KeyId": id, "PendingWindowInDays": 20});
    let answer = server.call("ScheduleKeyDeletion", request);
    assert_eq!(
        answer.event["responseElements"],
        json!({
            "keyId": arn,
            "keyState": "PendingDeletion",
            "deletionDate": "Mar 21, 2026, 12:00:00 PM",
            "pendingWindowInDays": 20,
        })
    );
}

#[test]
fn refusals_are_recorded_with_their_reason() {
    let mut server = Server::new();
    let id = server.create_key();
    server.add_user(ACCOUNT, "bob", kms::principal::Access::None);
    let request = json!({"KeyId": id, "KeySpec": "AES_256"});
    let answer = server.call_as(&Client::of("bob"), "GenerateDataKey", request);
    let (code, message) = answer.error();
    assert_eq!(answer.event["errorCode"], code.as_str());
    assert_eq!(answer.event["errorMessage"], message.as_str());
    assert_eq!(answer.event["userIdentity"]["userName"], "bob");
    assert_eq!(answer.event["resources"][0]["ARN"], key_arn(&id));
    assert_eq!(
        answer.event["additionalEventData"]["authorization"],
        json!({"kms:GenerateDataKey": "no identity-based policy allows it"})
    );

    let answer = server.call_as(&Client::of("nobody"), "ListKeys", json!({"Limit": 1}));
    assert_eq!(answer.error().0, "UnrecognizedClientException");
    assert_eq!(
        answer.event["userIdentity"],
        json!({"type": "Unknown", "accessKeyId": "AKIANOBODY"})
    );
    assert_eq!(answer.event["eventName"], "ListKeys");
    assert_eq!(
        answer.event["requestParameters"],
        Value::Null,
        "nobody's words are not recorded"
    );
    assert_eq!(answer.event.get("awsRegion"), None);
}

#[test]
fn re_encrypt_records_both_keys() {
    let mut server = Server::new();
    let (from, to) = (server.create_key(), server.create_key());
    let request = json!({"KeyId": from, "Plaintext": base64("x")});
    let source = server.call("Encrypt", request).ok()["CiphertextBlob"].clone();
    let request = json!({
        "CiphertextBlob": source,
        "DestinationKeyId": to,
        "DestinationEncryptionContext": {"Level": "3A"},
    });
    let answer = server.call("ReEncrypt", request);
    let moved = answer.ok();
    let resources = &answer.event["resources"];
    assert_eq!(resources[0]["ARN"], key_arn(&from));
    assert_eq!(resources[1]["ARN"], key_arn(&to));
    let data = &answer.event["additionalEventData"];
    assert_eq!(data["sourceKeyMaterialId"], moved["SourceKeyMaterialId"]);
    assert_eq!(
        data["destinationKeyMaterialId"],
        moved["DestinationKeyMaterialId"]
    );
    assert_eq!(
        answer.event["requestParameters"],
        json!({
            "sourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "destinationKeyId": to,
            "destinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "destinationEncryptionContext": {"Level": "3A"},
        })
    );
}

#[test]
fn the_edges_own_refusals_are_recorded() {
    let mut server = Server::new();
    let body = json!({}).to_string();
    let request = signed(&Client::of("alice"), "CreateKey", body.as_bytes(), START);
    let call = as_call(&request);
    let reply = server.engine.refuse(
        &call,
        &KmsError::RequestTooLarge,
        server.now,
        &mut server.random,
    );
    let answer = server.note(reply);
    assert_eq!(answer.status, 413);
    assert_eq!(answer.event["eventName"], "CreateKey");
    assert_eq!(answer.event["userIdentity"]["type"], "Unknown");

    // A commit that fails after the engine said yes.
    let step = server
        .engine
        .step(&server.state, &call, server.now, &mut server.random);
    let kms::engine::Step::Commit(_, reply) = step else {
        panic!("CreateKey changes something");
    };
    let error = KmsError::DependencyTimeout("The record store did not answer in time.".into());
    let answer = server.note(reply.fail(&error));
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["__type"], "DependencyTimeoutException");
    assert_eq!(answer.event["errorCode"], "DependencyTimeoutException");
    assert_eq!(answer.event["responseElements"], Value::Null);
    assert_eq!(answer.event["userIdentity"]["userName"], "alice");
}

#[test]
fn events_are_bounded_whatever_is_sent() {
    let mut server = Server::new();
    let id = server.create_key();
    let long = "é\u{1}".repeat(100_000);
    let calls = [
        json!({"KeyId": id, "Plaintext": base64("x"), "EncryptionContext": {"k": long}}),
        json!({"KeyId": long}),
        json!({"KeyId": id, "Plaintext": long}),
    ];
    for request in calls {
        server.call("Encrypt", request);
    }
    let tags: Vec<_> = (0..50)
        .map(|n| json!({"TagKey": n.to_string(), "TagValue": "\u{1}".repeat(256)}))
        .collect();
    server
        .call(
            "CreateKey",
            json!({"Description": "\u{1}".repeat(8192), "Tags": tags}),
        )
        .ok();
    let mut client = Client::of("nobody");
    client.access_key_id = "A".repeat(10_000);
    server.call_as(&client, "ListKeys", json!({}));
    let mut request = signed(&Client::of("alice"), "ListKeys", b"{}", START);
    let agent = http::HeaderValue::from_bytes(&[0xe9; 10_000]).unwrap();
    request.headers_mut().insert("user-agent", agent);
    server.send(&request);
    for line in &server.events {
        assert!(line.len() <= Event::MAX_LINE_BYTES, "{} bytes", line.len());
    }
    let encrypted: Value = serde_json::from_str(&server.events[1]).unwrap();
    assert_eq!(
        encrypted["requestParameters"],
        json!({
            "keyId": id,
            "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "omitted": true,
        })
    );
}

#[test]
fn nothing_secret_is_in_any_event() {
    let mut server = Server::new();
    let id = server.create_key();
    let token = server.grant_token(&id);
    let mut secrets: Vec<(&str, Vec<u8>)> = vec![
        (
            "a secret access key",
            Client::of("alice").secret.into_bytes(),
        ),
        ("a plaintext", b"the secret plaintext".to_vec()),
        ("a grant token", token.clone().into_bytes()),
    ];
    let tokens = json!([token]);
    let request = json!({
        "KeyId": id, "Plaintext": base64("the secret plaintext"), "GrantTokens": tokens,
    });
    let encrypted = server.call("Encrypt", request).ok();
    let ciphertext = &encrypted["CiphertextBlob"];
    secrets.push(("a ciphertext", blob(ciphertext)));
    for (operation, request) in [
        (
            "Decrypt",
            json!({"CiphertextBlob": ciphertext, "GrantTokens": tokens}),
        ),
        (
            "Decrypt",
            json!({"CiphertextBlob": ciphertext, "DryRun": true}),
        ),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": ciphertext, "DestinationKeyId": id}),
        ),
        (
            "GenerateDataKey",
            json!({"KeyId": id, "NumberOfBytes": 64, "GrantTokens": tokens}),
        ),
        (
            "GenerateDataKeyWithoutPlaintext",
            json!({"KeyId": id, "KeySpec": "AES_256"}),
        ),
        (
            "GenerateDataKeyPair",
            json!({"KeyId": id, "KeyPairSpec": "ECC_NIST_P256"}),
        ),
        ("GenerateRandom", json!({"NumberOfBytes": 64})),
        // Refused, with the secret at fault.
        (
            "Encrypt",
            json!({"KeyId": id, "Plaintext": base64([b'p'; 5000])}),
        ),
        (
            "Encrypt",
            json!({"KeyId": id, "Plaintext": "the secret plaintext"}),
        ),
        (
            "Encrypt",
            json!({"KeyId": "alias/none", "Plaintext": base64("the secret plaintext")}),
        ),
        ("Decrypt", json!({"CiphertextBlob": "the secret plaintext"})),
    ] {
        let answer = server.call(operation, request);
        for member in [
            "Plaintext",
            "PrivateKeyPlaintext",
            "CiphertextBlob",
            "PrivateKeyCiphertextBlob",
            "CiphertextForRecipient",
        ] {
            if let Some(value) = answer.json().get(member) {
                secrets.push((member, blob(value)));
            }
        }
    }
    secrets.push(("a plaintext", vec![b'p'; 64]));
    assert!(secrets.len() > 10);
    assert!(server.events.len() > 10);
    for line in &server.events {
        for (name, secret) in &secrets {
            for text in spellings(secret) {
                assert!(!line.contains(&text), "{name} is in {line}");
            }
        }
    }
}

/// How a secret may look in a line of JSON. Base64 also of its inner part, in case the text is cut.
fn spellings(secret: &[u8]) -> Vec<String> {
    let core = &secret[..secret.len().min(15)];
    let mut spellings = vec![
        hex::encode(core),
        hex::encode_upper(core),
        base64(core),
        base64(secret),
        format!("{core:?}"),
    ];
    spellings.extend(str::from_utf8(core).map(str::to_owned));
    spellings
}
