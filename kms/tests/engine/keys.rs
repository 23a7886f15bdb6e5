//! CreateKey, DescribeKey, ListKeys and the life of a key.

use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{ACCOUNT, Client, REGION, START, Server, base64, key_arn, seconds};

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_key_is_made_with_awss_defaults() {
    let mut server = Server::new();
    let metadata = &server.call("CreateKey", json!({})).ok()["KeyMetadata"];
    let id = metadata["KeyId"].as_str().unwrap();
    assert_eq!(id.len(), 36);
    assert_eq!(id.as_bytes()[14], b'4', "a random UUID: {id}");
    let material = metadata["CurrentKeyMaterialId"].as_str().unwrap();
    assert_eq!(material.len(), 64);
    assert_eq!(
        *metadata,
        json!({
            "AWSAccountId": ACCOUNT,
            "KeyId": id,
            "Arn": key_arn(id),
            "CreationDate": seconds(START),
            "Enabled": true,
            "Description": "",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": "Enabled",
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "MultiRegion": false,
            "CurrentKeyMaterialId": material,
        })
    );
}

#[test]
fn all_parameters_of_create_key_are_taken() {
    let mut server = Server::new();
    let policy = kms::policy::default_key_policy(ACCOUNT.parse().unwrap());
    let created = server
        .call(
            "CreateKey",
            json!({
                "Policy": policy,
                "Description": "for tests",
                "KeyUsage": "ENCRYPT_DECRYPT",
                "KeySpec": "SYMMETRIC_DEFAULT",
                "Origin": "AWS_KMS",
                "BypassPolicyLockoutSafetyCheck": true,
                "Tags": [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "A", "TagValue": ""}],
                "MultiRegion": true,
            }),
        )
        .ok();
    let metadata = &created["KeyMetadata"];
    let id = metadata["KeyId"].as_str().unwrap();
    assert!(id.starts_with("mrk-") && id.len() == 36, "{id}");
    assert_eq!(metadata["Description"], "for tests");
    assert_eq!(metadata["MultiRegion"], true);
    assert_eq!(
        metadata["MultiRegionConfiguration"],
        json!({
            "MultiRegionKeyType": "PRIMARY",
            "PrimaryKey": {"Arn": key_arn(id), "Region": REGION},
            "ReplicaKeys": [],
        })
    );
    let described = server.call("DescribeKey", json!({"KeyId": id})).ok();
    assert_eq!(described["KeyMetadata"], *metadata);
    let blob = server
        .call("Encrypt", json!({"KeyId": id, "Plaintext": base64("x")}))
        .ok();
    server
        .call("Decrypt", json!({"CiphertextBlob": blob["CiphertextBlob"]}))
        .ok();
}

#[test]
fn the_deprecated_name_of_the_key_spec_is_taken() {
    let mut server = Server::new();
    let request = json!({"CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"});
    server.call("CreateKey", request).ok();
    let request = json!({"CustomerMasterKeySpec": "RSA_2048", "KeySpec": "RSA_2048"});
    server.call("CreateKey", request).expect_error(
        "ValidationException",
        "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
    );
}

#[test]
fn what_create_key_cannot_make_is_refused_clearly() {
    let mut server = Server::new();
    for (request, code, message) in [
        (
            json!({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}),
            "UnsupportedOperationException",
            "KeySpec SM2 is not supported in this Region",
        ),
        (
            json!({"KeySpec": "ML_DSA_44", "KeyUsage": "SIGN_VERIFY", "Origin": "EXTERNAL"}),
            "UnsupportedOperationException",
            "KeySpec ML_DSA_44 is not supported for Origin EXTERNAL",
        ),
        (
            json!({"Origin": "AWS_CLOUDHSM"}),
            "UnsupportedOperationException",
            "Origin AWS_CLOUDHSM is not available in this version.",
        ),
        (
            json!({"CustomKeyStoreId": "cks-1234567890abcdef0", "Origin": "AWS_CLOUDHSM"}),
            "CustomKeyStoreNotFoundException",
            "Custom key store cks-1234567890abcdef0 is not found.",
        ),
        (
            json!({"XksKeyId": "bb8562717f809024"}),
            "ValidationException",
            "XksKeyId is valid only with the Origin EXTERNAL_KEY_STORE.",
        ),
        (
            json!({"KeySpec": "HMAC_256"}),
            "ValidationException",
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        ),
        (
            json!({"KeySpec": "RSA_2048", "KeyUsage": "KEY_AGREEMENT"}),
            "ValidationException",
            "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
        ),
    ] {
        server
            .call("CreateKey", request)
            .expect_error(code, message);
    }
    let (code, message) = server
        .call("CreateKey", json!({"KeySpec": "AES_256"}))
        .error();
    assert_eq!(code, "ValidationException");
    assert!(
        message.starts_with(
            "1 validation error detected: Value 'AES_256' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: ["
        ),
        "{message}"
    );
    assert_eq!(server.call("ListKeys", json!({})).ok()["Keys"], json!([]));
}

#[test]
fn tags_follow_awss_rules() {
    let mut server = Server::new();
    let tag = |key: &str| json!({"TagKey": key, "TagValue": "v"});
    let numbered = |count: usize| (0..count).map(|n| tag(&n.to_string())).collect::<Vec<_>>();
    for (tags, message) in [
        (vec![tag("a"), tag("b"), tag("a")], "Duplicate tag keys"),
        (numbered(51), "Too many tags"),
        (vec![tag("aws:a")], "Tags beginning with aws: are reserved"),
        (vec![tag("AWS:a")], "Tags beginning with aws: are reserved"),
        (vec![tag("Aws:a")], "Tags beginning with aws: are reserved"),
    ] {
        let answer = server.call("CreateKey", json!({"Tags": tags}));
        answer.expect_error("TagException", message);
    }
    server.call("CreateKey", json!({"Tags": numbered(50)})).ok();
    let long = "k".repeat(129);
    server.call("CreateKey", json!({"Tags": [tag("a"), tag(&long)]})).expect_error(
        "ValidationException",
        &format!("1 validation error detected: Value '{long}' at 'tags.2.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 128"),
    );
}

#[test]
fn a_key_is_described_under_all_its_names() {
    let mut server = Server::new();
    let id = server.create_key();
    let request = json!({"AliasName": "alias/a", "TargetKeyId": id});
    server.call("CreateAlias", request).ok_empty();
    let names = [
        id.clone(),
        key_arn(&id),
        "alias/a".to_owned(),
        format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/a"),
    ];
    let token = server.grant_token(&id);
    for name in names {
        let request = json!({"KeyId": name, "GrantTokens": [token]});
        let described = server.call("DescribeKey", request).ok();
        assert_eq!(described["KeyMetadata"]["KeyId"], id.as_str(), "{name}");
    }
}

#[test]
fn names_of_no_key_get_awss_texts() {
    let mut server = Server::new();
    let unknown = "00000000-0000-4000-8000-000000000000";
    for (name, message) in [
        ("fake-key-id", "Invalid keyId 'fake-key-id'".to_owned()),
        (
            "mrk-fake-key-id",
            "Invalid keyId 'mrk-fake-key-id'".to_owned(),
        ),
        (
            "00000000000040008000000000000000",
            "Invalid keyId '00000000000040008000000000000000'".to_owned(),
        ),
        (
            unknown,
            format!("Key '{}' does not exist", key_arn(unknown)),
        ),
        (
            &key_arn(unknown),
            format!("Key '{}' does not exist", key_arn(unknown)),
        ),
        (
            "alias/none",
            format!("Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/none is not found."),
        ),
        (
            &format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/none"),
            format!("Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/none is not found."),
        ),
        (
            &format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{unknown}"),
            "Invalid arn us-east-1".to_owned(),
        ),
    ] {
        let answer = server.call("DescribeKey", json!({"KeyId": name}));
        answer.expect_error("NotFoundException", &message);
    }
}

#[test]
fn aliases_do_not_name_keys_in_management_operations() {
    const NO_ALIAS: &str = "Key Aliases are not supported for this operation.";
    let mut server = Server::new();
    let id = server.create_key();
    let request = json!({"AliasName": "alias/a", "TargetKeyId": id});
    server.call("CreateAlias", request).ok_empty();
    let arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/a");
    for operation in [
        "EnableKey",
        "DisableKey",
        "ScheduleKeyDeletion",
        "CancelKeyDeletion",
    ] {
        for name in ["alias/a", &arn] {
            let answer = server.call(operation, json!({"KeyId": name}));
            answer.expect_error("InvalidArnException", NO_ALIAS);
        }
    }
    for name in ["alias/a", "alias/none"] {
        let answer = server.call("ListAliases", json!({"KeyId": name}));
        answer.expect_error("InvalidArnException", NO_ALIAS);
    }
}

#[test]
fn keys_are_listed_in_pages() {
    let mut server = Server::new();
    let mut made: Vec<String> = (0..7).map(|_| server.create_key()).collect();
    made.sort();
    let mut listed = Vec::new();
    let mut request = json!({"Limit": 3});
    let mut pages = 0;
    loop {
        let page = server.call("ListKeys", request).ok();
        pages += 1;
        for key in page["Keys"].as_array().unwrap() {
            let id = key["KeyId"].as_str().unwrap();
            assert_eq!(*key, json!({"KeyId": id, "KeyArn": key_arn(id)}));
            listed.push(id.to_owned());
        }
        assert_eq!(page["Truncated"], page.get("NextMarker").is_some());
        let Some(marker) = page.get("NextMarker") else {
            break;
        };
        request = json!({"Limit": 3, "Marker": marker});
    }
    assert_eq!(pages, 3);
    assert_eq!(listed, made);
}

#[test]
fn keys_are_listed_per_region_and_owner() {
    let mut server = Server::new();
    server.create_key();
    let elsewhere = Client::of("alice").in_region("us-west-2");
    let page = server.call_as(&elsewhere, "ListKeys", json!({})).ok();
    assert_eq!(page, json!({"Keys": [], "Truncated": false}));
    let shared = json!({"ResourceOwners": ["OTHER_ACCOUNTS_VIA_RAM"]});
    assert_eq!(server.call("ListKeys", shared).ok()["Keys"], json!([]));
    let own = json!({"ResourceOwners": ["SELF"]});
    assert_eq!(
        server.call("ListKeys", own).ok()["Keys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn markers_are_bound_to_their_listing() {
    let mut server = Server::new();
    for _ in 0..3 {
        server.create_key();
    }
    let marker = server.call("ListKeys", json!({"Limit": 1})).ok()["NextMarker"].clone();
    let elsewhere = Client::of("alice").in_region("us-west-2");
    let message = "The marker is not valid for this request.";
    let answers = [
        server.call("ListKeys", json!({"Marker": "nonsense"})),
        server.call("ListAliases", json!({"Marker": marker})),
        server.call_as(&elsewhere, "ListKeys", json!({"Marker": marker})),
    ];
    for answer in answers {
        answer.expect_error("InvalidMarkerException", message);
    }
}

#[test]
fn a_disabled_key_is_of_no_use_until_enabled() {
    let mut server = Server::new();
    let id = server.create_key();
    let arn = key_arn(&id);
    let encrypt = json!({"KeyId": id, "Plaintext": base64("x")});
    let blob = server.call("Encrypt", encrypt.clone()).ok()["CiphertextBlob"].clone();
    server.call("DisableKey", json!({"KeyId": id})).ok_empty();
    server.call("DisableKey", json!({"KeyId": arn})).ok_empty();
    let metadata = server.call("DescribeKey", json!({"KeyId": id})).ok();
    assert_eq!(metadata["KeyMetadata"]["KeyState"], "Disabled");
    assert_eq!(metadata["KeyMetadata"]["Enabled"], false);
    for (operation, request) in uses(&id, &blob) {
        let answer = server.call(operation, request);
        answer.expect_error("DisabledException", &format!("{arn} is disabled."));
    }
    server.call("EnableKey", json!({"KeyId": id})).ok_empty();
    for (operation, request) in uses(&id, &blob) {
        server.call(operation, request).ok();
    }
}

#[test]
fn a_key_pending_deletion_is_of_no_use_and_can_be_rescued() {
    let mut server = Server::new();
    let id = server.create_key();
    let arn = key_arn(&id);
    let encrypt = json!({"KeyId": id, "Plaintext": base64("x")});
    let blob = server.call("Encrypt", encrypt).ok()["CiphertextBlob"].clone();

    let scheduled = server
        .call(
            "ScheduleKeyDeletion",
            json!({"KeyId": id, "PendingWindowInDays": 7}),
        )
        .ok();
    let date = seconds(START + DAY * 7);
    assert_eq!(
        scheduled,
        json!({"KeyId": arn, "DeletionDate": date, "KeyState": "PendingDeletion", "PendingWindowInDays": 7})
    );
    let metadata = &server.call("DescribeKey", json!({"KeyId": id})).ok()["KeyMetadata"];
    assert_eq!(metadata["KeyState"], "PendingDeletion");
    assert_eq!(metadata["DeletionDate"], date);
    assert_eq!(metadata["Enabled"], false);
    assert_eq!(metadata.get("PendingDeletionWindowInDays"), None);

    let pending = format!("{arn} is pending deletion.");
    let mut refused = uses(&id, &blob);
    refused.extend([
        ("EnableKey", json!({"KeyId": id})),
        ("DisableKey", json!({"KeyId": id})),
        ("ScheduleKeyDeletion", json!({"KeyId": id})),
        (
            "CreateAlias",
            json!({"AliasName": "alias/late", "TargetKeyId": id}),
        ),
    ]);
    for (operation, request) in refused {
        let answer = server.call(operation, request);
        answer.expect_error("KMSInvalidStateException", &pending);
    }

    let cancelled = server.call("CancelKeyDeletion", json!({"KeyId": id})).ok();
    assert_eq!(cancelled, json!({"KeyId": arn}));
    let metadata = &server.call("DescribeKey", json!({"KeyId": id})).ok()["KeyMetadata"];
    assert_eq!(metadata["KeyState"], "Disabled");
    assert_eq!(metadata.get("DeletionDate"), None);
    server
        .call("CancelKeyDeletion", json!({"KeyId": id}))
        .expect_error(
            "KMSInvalidStateException",
            &format!("{arn} is not pending deletion (or pending replica deletion)."),
        );
    server.call("EnableKey", json!({"KeyId": id})).ok_empty();
    for (operation, request) in uses(&id, &blob) {
        server.call(operation, request).ok();
    }
}

#[test]
fn the_waiting_time_is_7_to_30_days_and_30_unless_said() {
    let mut server = Server::new();
    let shape = |days: u16, bound: &str| {
        format!(
            "1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value {bound}"
        )
    };
    let window = || "PendingWindowInDays must be between 7 and 30".to_owned();
    for (days, message) in [
        (1, window()),
        (6, window()),
        (31, window()),
        (365, window()),
        (366, shape(366, "less than or equal to 365")),
        (0, shape(0, "greater than or equal to 1")),
    ] {
        let id = server.create_key();
        let request = json!({"KeyId": id, "PendingWindowInDays": days});
        server
            .call("ScheduleKeyDeletion", request)
            .expect_error("ValidationException", &message);
    }
    let id = server.create_key();
    let answer = server
        .call("ScheduleKeyDeletion", json!({"KeyId": id}))
        .ok();
    assert_eq!(answer["PendingWindowInDays"], 30);
    assert_eq!(answer["DeletionDate"], seconds(START + DAY * 30));
}

/// A request of every operation that uses a key.
fn uses(id: &str, blob: &Value) -> Vec<(&'static str, Value)> {
    vec![
        ("Encrypt", json!({"KeyId": id, "Plaintext": base64("x")})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("Decrypt", json!({"CiphertextBlob": blob, "KeyId": id})),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": blob, "DestinationKeyId": id}),
        ),
        (
            "GenerateDataKey",
            json!({"KeyId": id, "KeySpec": "AES_256"}),
        ),
        (
            "GenerateDataKeyWithoutPlaintext",
            json!({"KeyId": id, "NumberOfBytes": 16}),
        ),
        (
            "GenerateDataKeyPair",
            json!({"KeyId": id, "KeyPairSpec": "ECC_NIST_P256"}),
        ),
        (
            "GenerateDataKeyPairWithoutPlaintext",
            json!({"KeyId": id, "KeyPairSpec": "ECC_NIST_EDWARDS25519"}),
        ),
    ]
}
