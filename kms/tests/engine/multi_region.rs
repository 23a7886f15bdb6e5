//! Multi-Region keys: replicas, what they share, and in which order they go.

use serde_json::{Value, json};

use crate::expiry::{DAY, expire};
use crate::server::{ACCOUNT, Answer, Client, REGION, START, Server, base64, blob, seconds};

const THERE: &str = "us-west-2";
const ELSEWHERE: &str = "ap-southeast-1";

fn arn(region: &str, id: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}")
}

fn related(region: &str, id: &str) -> Value {
    json!({"Arn": arn(region, id), "Region": region})
}

impl Server {
    fn call_in(&mut self, region: &str, operation: &str, request: Value) -> Answer {
        let client = Client::of("alice").in_region(region);
        self.call_as(&client, operation, request)
    }

    fn create_primary(&mut self) -> String {
        let answer = self.call("CreateKey", json!({"MultiRegion": true})).ok();
        answer["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }

    fn replicate(&mut self, id: &str, region: &str) {
        let request = json!({"KeyId": id, "ReplicaRegion": region});
        self.call("ReplicateKey", request).ok();
    }

    fn metadata(&mut self, region: &str, id: &str) -> Value {
        let answer = self.call_in(region, "DescribeKey", json!({"KeyId": id}));
        answer.ok()["KeyMetadata"].clone()
    }

    fn encrypt_in(&mut self, region: &str, id: &str) -> Value {
        let request = json!({"KeyId": id, "Plaintext": base64(region)});
        self.call_in(region, "Encrypt", request).ok()["CiphertextBlob"].clone()
    }

    #[track_caller]
    fn opens_in(&mut self, region: &str, encrypted: &Value, expected: &str) {
        let request = json!({"CiphertextBlob": encrypted});
        let opened = self.call_in(region, "Decrypt", request).ok();
        assert_eq!(blob(&opened["Plaintext"]), expected.as_bytes());
    }
}

#[test]
fn a_replica_has_the_same_id_and_material_and_the_rest_is_its_own() {
    let mut server = Server::new();
    let request = json!({
        "MultiRegion": true, "Description": "here", "Tags": [{"TagKey": "a", "TagValue": "1"}],
    });
    let created = server.call("CreateKey", request).ok();
    let id = created["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    server.pass(DAY);

    let request = json!({
        "KeyId": arn(REGION, &id), "ReplicaRegion": THERE, "Description": "there",
        "Tags": [{"TagKey": "c", "TagValue": "3"}, {"TagKey": "b", "TagValue": "2"}],
    });
    let answer = server.call("ReplicateKey", request);
    let replicated = answer.ok();
    let configuration = json!({
        "MultiRegionKeyType": "REPLICA",
        "PrimaryKey": related(REGION, &id),
        "ReplicaKeys": [related(THERE, &id)],
    });
    let mut expected = json!({
        "AWSAccountId": ACCOUNT, "KeyId": id, "Arn": arn(THERE, &id),
        "CreationDate": seconds(START + DAY), "Enabled": false, "Description": "there",
        "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Creating", "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT", "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": true, "MultiRegionConfiguration": configuration,
    });
    assert_eq!(replicated["ReplicaKeyMetadata"], expected);
    assert_eq!(
        replicated["ReplicaTags"],
        json!([{"TagKey": "b", "TagValue": "2"}, {"TagKey": "c", "TagValue": "3"}])
    );
    let policy: Value =
        serde_json::from_str(replicated["ReplicaPolicy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Action"], "kms:*");
    assert_eq!(
        answer.event["responseElements"]["replicaKeyMetadata"]["keyState"],
        "Creating"
    );
    let resources = answer.event["resources"].as_array().unwrap();
    let arns: Vec<_> = resources.iter().map(|resource| &resource["ARN"]).collect();
    assert_eq!(arns, [&arn(REGION, &id), &arn(THERE, &id)]);

    expected["KeyState"] = "Enabled".into();
    expected["Enabled"] = true.into();
    expected["CurrentKeyMaterialId"] = created["KeyMetadata"]["CurrentKeyMaterialId"].clone();
    assert_eq!(server.metadata(THERE, &id), expected);
    let primary = server.metadata(REGION, &id);
    assert_eq!(primary["Description"], "here");
    assert_eq!(
        primary["MultiRegionConfiguration"],
        json!({
            "MultiRegionKeyType": "PRIMARY",
            "PrimaryKey": related(REGION, &id),
            "ReplicaKeys": [related(THERE, &id)],
        })
    );
    let tags = server.call("ListResourceTags", json!({"KeyId": id})).ok();
    assert_eq!(tags["Tags"], json!([{"TagKey": "a", "TagValue": "1"}]));

    // States are each key's own.
    server
        .call_in(THERE, "DisableKey", json!({"KeyId": id}))
        .ok_empty();
    assert_eq!(server.metadata(REGION, &id)["KeyState"], "Enabled");
    assert_eq!(server.metadata(THERE, &id)["KeyState"], "Disabled");
}

#[test]
fn a_replica_without_tags_is_told_without_them() {
    let mut server = Server::new();
    let id = server.create_primary();
    let request = json!({"KeyId": id, "ReplicaRegion": THERE});
    let replicated = server.call("ReplicateKey", request).ok();
    let members: Vec<_> = replicated.as_object().unwrap().keys().collect();
    assert_eq!(members, ["ReplicaKeyMetadata", "ReplicaPolicy"]);
}

#[test]
fn ciphertexts_open_in_every_region_and_nowhere_else() {
    let mut server = Server::new();
    let id = server.create_primary();
    server.replicate(&id, THERE);
    let (here, there) = (
        server.encrypt_in(REGION, &id),
        server.encrypt_in(THERE, &id),
    );
    server.opens_in(THERE, &here, REGION);
    server.opens_in(REGION, &there, THERE);
    // A replica that comes later opens what was there before.
    let (code, _) = server
        .call_in(ELSEWHERE, "Decrypt", json!({"CiphertextBlob": here}))
        .error();
    assert_eq!(code, "AccessDeniedException");
    server.replicate(&id, ELSEWHERE);
    server.opens_in(ELSEWHERE, &here, REGION);
    server.opens_in(ELSEWHERE, &there, THERE);
}

#[test]
fn rotation_reaches_all_related_keys() {
    let mut server = Server::new();
    let id = server.create_primary();
    server.replicate(&id, THERE);
    let old = server.encrypt_in(THERE, &id);
    let material = |server: &mut Server, region: &str| {
        server.metadata(region, &id)["CurrentKeyMaterialId"].clone()
    };
    let first = material(&mut server, THERE);
    server.call("RotateKeyOnDemand", json!({"KeyId": id})).ok();
    let second = material(&mut server, THERE);
    assert_ne!(second, first);
    assert_eq!(material(&mut server, REGION), second);

    let request = json!({"KeyId": id, "RotationPeriodInDays": 100});
    server.call("EnableKeyRotation", request).ok_empty();
    for region in [REGION, THERE] {
        let status = server
            .call_in(region, "GetKeyRotationStatus", json!({"KeyId": id}))
            .ok();
        assert_eq!(status["RotationPeriodInDays"], 100, "{region}");
    }
    // A replica made later has the same rotation and all versions.
    server.replicate(&id, ELSEWHERE);
    server.opens_in(ELSEWHERE, &old, THERE);
    server.pass(DAY * 100);
    assert_eq!(expire(&mut server, 10).len(), 1, "one rotation for all");
    let third = material(&mut server, REGION);
    assert_ne!(third, second);
    for region in [THERE, ELSEWHERE] {
        assert_eq!(material(&mut server, region), third, "{region}");
        server.opens_in(region, &old, THERE);
        let rotations = server
            .call_in(region, "ListKeyRotations", json!({"KeyId": id}))
            .ok();
        assert_eq!(rotations["Rotations"].as_array().unwrap().len(), 2);
    }
    // What is shared is set on the primary key only.
    for operation in [
        "EnableKeyRotation",
        "DisableKeyRotation",
        "RotateKeyOnDemand",
    ] {
        server
            .call_in(THERE, operation, json!({"KeyId": id}))
            .expect_error(
                "UnsupportedOperationException",
                &format!("{} is not a multi-region primary key.", arn(THERE, &id)),
            );
    }
}

#[test]
fn what_cannot_be_replicated_is_refused() {
    let mut server = Server::new();
    let plain = server.create_key();
    let request = json!({"KeyId": plain, "ReplicaRegion": THERE});
    server.call("ReplicateKey", request).expect_error(
        "UnsupportedOperationException",
        &format!("{} is not a multi-region primary key.", arn(REGION, &plain)),
    );

    let id = server.create_primary();
    server.replicate(&id, THERE);
    for region in [THERE, REGION] {
        let request = json!({"KeyId": id, "ReplicaRegion": region});
        let (code, _) = server.call("ReplicateKey", request).error();
        assert_eq!(code, "AlreadyExistsException", "{region}");
    }
    let request = json!({"KeyId": id, "ReplicaRegion": ELSEWHERE});
    server
        .call_in(THERE, "ReplicateKey", request.clone())
        .expect_error(
            "UnsupportedOperationException",
            &format!("{} is not a multi-region primary key.", arn(THERE, &id)),
        );
    server
        .call_in(ELSEWHERE, "ReplicateKey", request.clone())
        .expect_error(
            "NotFoundException",
            &format!("Key '{}' does not exist", arn(ELSEWHERE, &id)),
        );
    server.call("DisableKey", json!({"KeyId": id})).ok_empty();
    server.call("ReplicateKey", request).expect_error(
        "DisabledException",
        &format!("{} is disabled.", arn(REGION, &id)),
    );
    let request = json!({"KeyId": id, "ReplicaRegion": "US-WEST-2"});
    server.call("ReplicateKey", request).expect_error(
        "ValidationException",
        r"1 validation error detected: Value 'US-WEST-2' at 'replicaRegion' failed to satisfy constraint: Member must satisfy regular expression pattern: ^([a-z]+-){2,3}\d+$",
    );
    let replicas = server.metadata(REGION, &id)["MultiRegionConfiguration"]["ReplicaKeys"].clone();
    assert_eq!(replicas, json!([related(THERE, &id)]));
}

#[test]
fn primary_key_and_replica_change_places() {
    let mut server = Server::new();
    let id = server.create_primary();
    server.replicate(&id, THERE);
    server.replicate(&id, ELSEWHERE);
    let request = json!({"KeyId": id, "RotationPeriodInDays": 90});
    server.call("EnableKeyRotation", request).ok_empty();

    let request = json!({"KeyId": id, "PrimaryRegion": THERE});
    let answer = server.call("UpdatePrimaryRegion", request.clone());
    answer.ok_empty();
    assert_eq!(
        answer.event["requestParameters"],
        json!({"keyId": id, "primaryRegion": THERE})
    );
    for (region, kind) in [
        (REGION, "REPLICA"),
        (THERE, "PRIMARY"),
        (ELSEWHERE, "REPLICA"),
    ] {
        let metadata = server.metadata(region, &id);
        assert_eq!(metadata["KeyState"], "Enabled");
        assert_eq!(
            metadata["MultiRegionConfiguration"],
            json!({
                "MultiRegionKeyType": kind,
                "PrimaryKey": related(THERE, &id),
                "ReplicaKeys": [related(ELSEWHERE, &id), related(REGION, &id)],
            }),
            "{region}"
        );
    }
    // The new primary key rotates, the old one does not.
    let before = server.metadata(REGION, &id)["CurrentKeyMaterialId"].clone();
    server.call("DisableKey", json!({"KeyId": id})).ok_empty();
    server.pass(DAY * 90);
    assert_eq!(expire(&mut server, 10).len(), 1);
    assert_ne!(server.metadata(REGION, &id)["CurrentKeyMaterialId"], before);

    server.call("UpdatePrimaryRegion", request).expect_error(
        "DisabledException",
        &format!("{} is disabled.", arn(REGION, &id)),
    );
    let request = json!({"KeyId": id, "PrimaryRegion": REGION});
    server
        .call_in(THERE, "UpdatePrimaryRegion", request)
        .expect_error(
            "DisabledException",
            &format!("{} is disabled.", arn(REGION, &id)),
        );
    let request = json!({"KeyId": id, "PrimaryRegion": "eu-north-1"});
    server
        .call_in(THERE, "UpdatePrimaryRegion", request.clone())
        .expect_error(
            "NotFoundException",
            &format!("Key '{}' does not exist", arn("eu-north-1", &id)),
        );
    let (code, _) = server
        .call_in(ELSEWHERE, "UpdatePrimaryRegion", request)
        .error();
    assert_eq!(code, "UnsupportedOperationException");
}

#[test]
fn a_primary_key_goes_after_its_replicas() {
    let mut server = Server::new();
    let id = server.create_primary();
    server.replicate(&id, THERE);
    server.replicate(&id, ELSEWHERE);
    let request = json!({"KeyId": id, "PendingWindowInDays": 7});
    let answer = server.call("ScheduleKeyDeletion", request.clone()).ok();
    assert_eq!(
        answer,
        json!({
            "KeyId": arn(REGION, &id), "KeyState": "PendingReplicaDeletion",
            "PendingWindowInDays": 7,
        })
    );
    let metadata = server.metadata(REGION, &id);
    assert_eq!(metadata["KeyState"], "PendingReplicaDeletion");
    assert_eq!(metadata["PendingDeletionWindowInDays"], 7);
    assert_eq!(metadata.get("DeletionDate"), None);
    let (code, _) = server
        .call("Encrypt", json!({"KeyId": id, "Plaintext": "AAAA"}))
        .error();
    assert_eq!(code, "KMSInvalidStateException");
    // The replicas go on as before.
    let encrypted = server.encrypt_in(THERE, &id);
    assert_eq!(
        server
            .metadata(THERE, &id)
            .get("PendingDeletionWindowInDays"),
        None
    );

    // Both replicas are deleted at the same moment.
    for region in [THERE, ELSEWHERE] {
        let answer = server
            .call_in(region, "ScheduleKeyDeletion", request.clone())
            .ok();
        assert_eq!(answer["DeletionDate"], seconds(START + DAY * 7));
    }
    server.pass(DAY * 8);
    assert_eq!(expire(&mut server, 10).len(), 2);
    let metadata = server.metadata(REGION, &id);
    assert_eq!(metadata["KeyState"], "PendingDeletion");
    assert_eq!(metadata["DeletionDate"], seconds(START + DAY * 15));
    assert_eq!(metadata.get("PendingDeletionWindowInDays"), None);
    assert_eq!(
        metadata["MultiRegionConfiguration"]["ReplicaKeys"],
        json!([])
    );

    // Cancelled, it works alone and may be replicated again.
    server.call("CancelKeyDeletion", json!({"KeyId": id})).ok();
    assert_eq!(server.metadata(REGION, &id)["KeyState"], "Disabled");
    server.call("EnableKey", json!({"KeyId": id})).ok_empty();
    server.opens_in(REGION, &encrypted, THERE);
    server.replicate(&id, THERE);
    server.opens_in(THERE, &encrypted, THERE);
}

#[test]
fn a_cancelled_deletion_does_not_come_back_with_the_last_replica() {
    let mut server = Server::new();
    let id = server.create_primary();
    server.replicate(&id, THERE);
    let request = json!({"KeyId": id, "PendingWindowInDays": 7});
    server.call("ScheduleKeyDeletion", request.clone()).ok();
    server.call("CancelKeyDeletion", json!({"KeyId": id})).ok();
    assert_eq!(server.metadata(REGION, &id)["KeyState"], "Disabled");
    server.call_in(THERE, "ScheduleKeyDeletion", request).ok();
    server.pass(DAY * 7);
    assert_eq!(expire(&mut server, 10).len(), 1);
    let metadata = server.metadata(REGION, &id);
    assert_eq!(metadata["KeyState"], "Disabled");
    assert_eq!(metadata.get("DeletionDate"), None);
    server.pass(DAY * 60);
    assert_eq!(expire(&mut server, 10).len(), 0);
}

#[test]
fn a_key_has_at_most_fifty_replicas() {
    let mut server = Server::new();
    let id = server.create_primary();
    for number in 1..=50 {
        server.replicate(&id, &format!("xx-test-{number}"));
    }
    let request = json!({"KeyId": id, "ReplicaRegion": THERE});
    let (code, _) = server.call("ReplicateKey", request).error();
    assert_eq!(code, "LimitExceededException");
}
