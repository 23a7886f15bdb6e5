//! Calls while keys are still sealed: those that none of them matters to are answered, all others
//! are to be tried again.

use kms::name::{AccountId, Region};
use kms::principal::Access;
use kms::state::SealedKeys;
use serde_json::{Value, json};

use crate::expiry::{DAY, expire};
use crate::server::{ACCOUNT, Answer, Client, REGION, Server, base64, key_arn};

const ELSEWHERE: &str = "us-west-2";
const STRANGER: &str = "444455556666";

#[track_caller]
fn expect_later(answer: &Answer) {
    assert_eq!(answer.status, 500);
    let body = answer.json();
    assert_eq!(body["__type"], "KMSInternalException");
    let message = body["message"].as_str().unwrap();
    assert!(
        message.ends_with("Try again in a few seconds."),
        "{message}"
    );
    assert_eq!(answer.event["errorCode"], "KMSInternalException");
    assert_eq!(answer.event["responseElements"], Value::Null);
}

fn open_all(server: &mut Server, sealed: SealedKeys) {
    server.state.take_in(sealed.open().unwrap()).unwrap();
}

/// Opens all keys but one, and gives that.
fn open_all_but(server: &mut Server, region: &str, id: &str) -> SealedKeys {
    let account: AccountId = ACCOUNT.parse().unwrap();
    let (region, id): (Region, _) = (region.parse().unwrap(), id.parse().unwrap());
    let mut sealed = server.restart();
    let mut twins = server.restart();
    let mut left = None;
    while let Some(one) = sealed.some() {
        let mut alone = server.state.clone();
        alone.take_in(one.open().unwrap()).unwrap();
        let twin = twins.some().unwrap();
        if matches!(alone.key(account, &region, id), Ok(Some(_))) {
            left = Some(twin);
        } else {
            server.state = alone;
        }
    }
    left.unwrap()
}

#[test]
fn nothing_is_said_of_a_key_that_is_not_open() {
    let mut server = Server::new();
    let id = server.create_key();
    let ciphertext = server
        .call(
            "Encrypt",
            json!({"KeyId": id, "Plaintext": base64("secret")}),
        )
        .ok()["CiphertextBlob"]
        .clone();
    let alias = json!({"AliasName": "alias/named", "TargetKeyId": id});
    server.call("CreateAlias", alias).ok_empty();
    let token = server.grant_token(&id);
    let grants = server.call("ListGrants", json!({"KeyId": id})).ok();
    let grant = grants["Grants"][0]["GrantId"].clone();
    let nobody = "00000000-0000-4000-8000-000000000000";
    let context = json!({"a": "b"});
    let calls = [
        ("DescribeKey", json!({"KeyId": id})),
        ("DescribeKey", json!({"KeyId": key_arn(&id)})),
        ("DescribeKey", json!({"KeyId": "alias/named"})),
        ("DescribeKey", json!({"KeyId": nobody})),
        ("DescribeKey", json!({"KeyId": key_arn(nobody)})),
        ("ListKeys", json!({})),
        ("ListAliases", json!({"KeyId": id})),
        (
            "Encrypt",
            json!({"KeyId": id, "Plaintext": "AAAA", "EncryptionContext": context}),
        ),
        ("Decrypt", json!({"CiphertextBlob": ciphertext})),
        (
            "Decrypt",
            json!({"CiphertextBlob": ciphertext, "KeyId": nobody}),
        ),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": ciphertext, "DestinationKeyId": id}),
        ),
        (
            "GenerateDataKey",
            json!({"KeyId": "alias/named", "KeySpec": "AES_256"}),
        ),
        (
            "GenerateDataKeyPair",
            json!({"KeyId": id, "KeyPairSpec": "ECC_NIST_P256"}),
        ),
        (
            "CreateAlias",
            json!({"AliasName": "alias/other", "TargetKeyId": id}),
        ),
        (
            "UpdateAlias",
            json!({"AliasName": "alias/named", "TargetKeyId": nobody}),
        ),
        ("DeleteAlias", json!({"AliasName": "alias/named"})),
        (
            "CreateGrant",
            json!({
                "KeyId": id, "GranteePrincipal": format!("arn:aws:iam::{ACCOUNT}:root"),
                "Operations": ["Decrypt"],
            }),
        ),
        ("ListGrants", json!({"KeyId": id})),
        ("RetireGrant", json!({"GrantToken": token})),
        ("RevokeGrant", json!({"KeyId": id, "GrantId": grant})),
        ("DisableKey", json!({"KeyId": id})),
        ("ScheduleKeyDeletion", json!({"KeyId": id})),
        ("CancelKeyDeletion", json!({"KeyId": id})),
        (
            "UpdateKeyDescription",
            json!({"KeyId": id, "Description": "d"}),
        ),
        (
            "TagResource",
            json!({"KeyId": id, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        ),
        ("ListResourceTags", json!({"KeyId": id})),
        ("GetKeyPolicy", json!({"KeyId": id})),
        ("EnableKeyRotation", json!({"KeyId": id})),
        ("GetKeyRotationStatus", json!({"KeyId": id})),
        ("ListKeyRotations", json!({"KeyId": id})),
        ("GetKeyLastUsage", json!({"KeyId": id})),
        ("GetPublicKey", json!({"KeyId": id})),
        (
            "ReplicateKey",
            json!({"KeyId": nobody, "ReplicaRegion": ELSEWHERE}),
        ),
    ];
    let sealed = server.restart();
    let before = *server.state.head_hash();
    for (operation, request) in &calls {
        expect_later(&server.call(operation, request.clone()));
    }
    assert_eq!(
        *server.state.head_hash(),
        before,
        "none of them changed anything"
    );

    open_all(&mut server, sealed);
    for (operation, request) in calls {
        let answer = server.call(operation, request);
        assert_ne!(answer.status, 500, "{operation}");
    }
}

#[test]
fn what_no_sealed_key_matters_to_is_answered() {
    let mut server = Server::new();
    let old = server.create_key();
    let alias = json!({"AliasName": "alias/old", "TargetKeyId": old});
    server.call("CreateAlias", alias).ok_empty();
    let sealed = server.restart();

    server
        .call("GenerateRandom", json!({"NumberOfBytes": 8}))
        .ok();
    let aliases = server.call("ListAliases", json!({})).ok();
    assert_eq!(aliases["Aliases"].as_array().unwrap().len(), 1);
    let new = server.create_key();
    let encrypt = json!({"KeyId": new, "Plaintext": base64("secret")});
    let encrypted = server.call("Encrypt", encrypt).ok();
    let request = json!({"CiphertextBlob": encrypted["CiphertextBlob"]});
    let opened = server.call("Decrypt", request).ok();
    assert_eq!(opened["Plaintext"], base64("secret"));
    server
        .call("ScheduleKeyDeletion", json!({"KeyId": new}))
        .ok();
    // A caller who can't sign is refused as ever.
    let nobody = Client::of("nobody");
    let refused = server.call_as(&nobody, "DescribeKey", json!({"KeyId": old}));
    assert_eq!(refused.error().0, "UnrecognizedClientException");

    open_all(&mut server, sealed);
    let listed = server.call("ListKeys", json!({})).ok();
    assert_eq!(listed["Keys"].as_array().unwrap().len(), 2);
    let described = server.call("DescribeKey", json!({"KeyId": new})).ok();
    assert_eq!(described["KeyMetadata"]["KeyState"], "PendingDeletion");
    server
        .call("DescribeKey", json!({"KeyId": "alias/old"}))
        .ok();
}

/// What does not exist in another account is denied like what does. If the one were denied and the
/// other were not known yet, that would tell them apart.
#[test]
fn nothing_tells_what_another_account_has() {
    let mut server = Server::new();
    server.add_user(STRANGER, "mallory", Access::Full);
    let mallory = Client::of("mallory");
    let (open, sealed) = (server.create_key(), server.create_key());
    for (name, key) in [("alias/open", &open), ("alias/sealed", &sealed)] {
        let request = json!({"AliasName": name, "TargetKeyId": key});
        server.call("CreateAlias", request).ok_empty();
    }
    let names = [
        key_arn(&open),
        key_arn(&sealed),
        key_arn("00000000-0000-4000-8000-000000000000"),
        format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/open"),
        format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/sealed"),
        format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/none"),
    ];
    let rest = open_all_but(&mut server, REGION, &sealed);
    for name in &names {
        expect_later(&server.call_as(&mallory, "DescribeKey", json!({"KeyId": name})));
    }
    open_all(&mut server, rest);
    for name in &names {
        let denied = server.call_as(&mallory, "DescribeKey", json!({"KeyId": name}));
        assert_eq!(denied.error().0, "AccessDeniedException");
    }
}

#[test]
fn related_keys_change_together_or_not_at_all() {
    let mut server = Server::new();
    let created = server.call("CreateKey", json!({"MultiRegion": true})).ok();
    let id = created["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let replicate = json!({"KeyId": id, "ReplicaRegion": ELSEWHERE});
    server.call("ReplicateKey", replicate.clone()).ok();
    let rest = open_all_but(&mut server, ELSEWHERE, &id);

    server.call("DescribeKey", json!({"KeyId": id})).ok();
    server
        .call("Encrypt", json!({"KeyId": id, "Plaintext": "AAAA"}))
        .ok();
    server.call("DisableKey", json!({"KeyId": id})).ok_empty();
    server.call("EnableKey", json!({"KeyId": id})).ok_empty();
    let there = json!({"KeyId": id, "PrimaryRegion": ELSEWHERE});
    let calls = [
        ("EnableKeyRotation", json!({"KeyId": id})),
        ("RotateKeyOnDemand", json!({"KeyId": id})),
        ("UpdatePrimaryRegion", there),
        ("ScheduleKeyDeletion", json!({"KeyId": id})),
        ("ReplicateKey", replicate.clone()),
        (
            "ReplicateKey",
            json!({"KeyId": id, "ReplicaRegion": "eu-west-1"}),
        ),
    ];
    for (operation, request) in calls {
        expect_later(&server.call(operation, request));
    }
    open_all(&mut server, rest);
    server
        .call("EnableKeyRotation", json!({"KeyId": id}))
        .ok_empty();
    let status = json!({"KeyId": id});
    let replica = Client::of("alice").in_region(ELSEWHERE);
    let status = server
        .call_as(&replica, "GetKeyRotationStatus", status)
        .ok();
    assert_eq!(status["KeyRotationEnabled"], true);
    let exists = server.call("ReplicateKey", replicate);
    assert_eq!(exists.error().0, "AlreadyExistsException");
}

#[test]
fn nothing_is_due_before_all_keys_are_open() {
    let mut server = Server::new();
    let kept = server.create_key();
    let id = server.create_key();
    let request = json!({"KeyId": id, "PendingWindowInDays": 7});
    server.call("ScheduleKeyDeletion", request).ok();
    server.pass(DAY * 8);
    let rest = open_all_but(&mut server, REGION, &kept);
    assert_eq!(expire(&mut server, 10), Vec::<Value>::new());
    server.call("DescribeKey", json!({"KeyId": id})).ok();
    open_all(&mut server, rest);
    assert_eq!(expire(&mut server, 10).len(), 1);
    let gone = server.call("DescribeKey", json!({"KeyId": id}));
    assert_eq!(gone.error().0, "NotFoundException");
}
