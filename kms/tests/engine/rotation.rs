//! Rotation: new material for a key, by itself or on demand, with the old going on to decrypt.

use std::time::Duration;

use kms::Timestamp;
use serde_json::{Value, json};

use crate::expiry::{DAY, expire};
use crate::server::{START, Server, base64, blob, key_arn, seconds};

/// Encrypts a text, and gives the blob with the material it names.
fn encrypt(server: &mut Server, id: &str, text: &str) -> (Value, Value) {
    let request = json!({"KeyId": id, "Plaintext": base64(text)});
    let blob = server.call("Encrypt", request).ok()["CiphertextBlob"].clone();
    let opened = server.call("Decrypt", json!({"CiphertextBlob": blob})).ok();
    (blob, opened["KeyMaterialId"].clone())
}

#[track_caller]
fn opens(server: &mut Server, blob_of_text: &Value, text: &str, material: &Value) {
    let request = json!({"CiphertextBlob": blob_of_text});
    let opened = server.call("Decrypt", request).ok();
    assert_eq!(blob(&opened["Plaintext"]), text.as_bytes());
    assert_eq!(opened["KeyMaterialId"], *material);
}

fn current(server: &mut Server, id: &str) -> Value {
    let answer = server.call("DescribeKey", json!({"KeyId": id})).ok();
    answer["KeyMetadata"]["CurrentKeyMaterialId"].clone()
}

fn status(server: &mut Server, id: &str) -> Value {
    server
        .call("GetKeyRotationStatus", json!({"KeyId": id}))
        .ok()
}

fn days_after(start: Timestamp, days: u32) -> Value {
    seconds(start + DAY * days)
}

#[test]
fn a_rotation_on_demand_makes_new_material_and_keeps_the_old() {
    let mut server = Server::new();
    let id = server.create_key();
    let first = current(&mut server, &id);
    let (old_blob, old_material) = encrypt(&mut server, &id, "old");
    assert_eq!(old_material, first);

    server.pass(DAY);
    let answer = server.call("RotateKeyOnDemand", json!({"KeyId": id}));
    assert_eq!(answer.ok(), json!({"KeyId": key_arn(&id)}));
    assert_eq!(
        answer.event["responseElements"],
        json!({"keyId": key_arn(&id)})
    );

    let second = current(&mut server, &id);
    assert_ne!(second, first);
    let (new_blob, new_material) = encrypt(&mut server, &id, "new");
    assert_eq!(new_material, second);
    opens(&mut server, &old_blob, "old", &first);
    opens(&mut server, &new_blob, "new", &second);
    assert_eq!(
        status(&mut server, &id),
        json!({"KeyId": key_arn(&id), "KeyRotationEnabled": false})
    );

    let rotations = server.call("ListKeyRotations", json!({"KeyId": id})).ok();
    let rotated = json!({
        "KeyId": key_arn(&id), "KeyMaterialId": second, "KeyMaterialState": "CURRENT",
        "RotationDate": days_after(START, 1), "RotationType": "ON_DEMAND",
    });
    assert_eq!(
        rotations,
        json!({"Rotations": [rotated], "Truncated": false})
    );
    let request = json!({"KeyId": id, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    let all = server.call("ListKeyRotations", request).ok();
    let original = json!({
        "KeyId": key_arn(&id), "KeyMaterialId": first, "KeyMaterialState": "NON_CURRENT",
    });
    assert_eq!(all["Rotations"], json!([original, rotated]));
}

#[test]
fn re_encrypt_moves_a_ciphertext_to_the_new_material() {
    let mut server = Server::new();
    let id = server.create_key();
    let (old_blob, first) = encrypt(&mut server, &id, "x");
    server.call("RotateKeyOnDemand", json!({"KeyId": id})).ok();
    let second = current(&mut server, &id);
    let request = json!({"CiphertextBlob": old_blob, "DestinationKeyId": id});
    let moved = server.call("ReEncrypt", request).ok();
    assert_eq!(moved["SourceKeyMaterialId"], first);
    assert_eq!(moved["DestinationKeyMaterialId"], second);
    opens(&mut server, &moved["CiphertextBlob"], "x", &second);
}

#[test]
fn the_status_follows_what_is_set() {
    let mut server = Server::new();
    let id = server.create_key();
    let enabled = |period: u32, start: Timestamp| {
        json!({
            "KeyId": key_arn(&id), "KeyRotationEnabled": true,
            "RotationPeriodInDays": period, "NextRotationDate": days_after(start, period),
        })
    };
    let answer = server.call("EnableKeyRotation", json!({"KeyId": id}));
    answer.ok_empty();
    assert_eq!(
        answer.event["responseElements"],
        json!({"keyId": key_arn(&id)})
    );
    assert_eq!(status(&mut server, &id), enabled(365, START));

    // The same again moves nothing, another period does.
    server.pass(DAY);
    server
        .call("EnableKeyRotation", json!({"KeyId": id}))
        .ok_empty();
    assert_eq!(status(&mut server, &id), enabled(365, START));
    let request = json!({"KeyId": id, "RotationPeriodInDays": 90});
    let answer = server.call("EnableKeyRotation", request);
    answer.ok_empty();
    assert_eq!(
        answer.event["requestParameters"],
        json!({"keyId": id, "rotationPeriodInDays": 90})
    );
    assert_eq!(status(&mut server, &id), enabled(90, START + DAY));

    // A rotation on demand does not move the next automatic one.
    server.call("RotateKeyOnDemand", json!({"KeyId": id})).ok();
    assert_eq!(status(&mut server, &id), enabled(90, START + DAY));

    // While its deletion is pending a key is not rotated, and after that it is again.
    let disabled = json!({"KeyId": key_arn(&id), "KeyRotationEnabled": false});
    server
        .call("ScheduleKeyDeletion", json!({"KeyId": id}))
        .ok();
    assert_eq!(status(&mut server, &id), disabled);
    server.call("CancelKeyDeletion", json!({"KeyId": id})).ok();
    assert_eq!(status(&mut server, &id), enabled(90, START + DAY));
    server.call("EnableKey", json!({"KeyId": id})).ok_empty();

    server
        .call("DisableKeyRotation", json!({"KeyId": id}))
        .ok_empty();
    assert_eq!(status(&mut server, &id), disabled);
    server
        .call("DisableKeyRotation", json!({"KeyId": id}))
        .ok_empty();
}

#[test]
fn a_key_is_rotated_on_its_day_and_then_again() {
    let mut server = Server::new();
    let id = server.create_key();
    let other = server.create_key();
    let (first_blob, first) = encrypt(&mut server, &id, "first");
    let request = json!({"KeyId": id, "RotationPeriodInDays": 90});
    server.call("EnableKeyRotation", request).ok_empty();

    server.pass(DAY * 90 - Duration::from_secs(1));
    assert_eq!(expire(&mut server, 10), Vec::<Value>::new());
    server.pass(Duration::from_secs(31));
    let events = expire(&mut server, 10);
    let second = current(&mut server, &id);
    assert_ne!(second, first);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["eventName"], "RotateKey");
    assert_eq!(events[0]["eventType"], "AwsServiceEvent");
    assert_eq!(
        events[0]["serviceEventDetails"],
        json!({
            "keyId": id, "keyOrigin": "AWS_KMS", "rotationType": "AUTOMATIC",
            "previousKeyMaterialId": first, "currentKeyMaterialId": second,
        })
    );
    assert_eq!(expire(&mut server, 10), Vec::<Value>::new(), "once only");
    // The schedule counts from the day it was due, not from when it was done.
    assert_eq!(
        status(&mut server, &id)["NextRotationDate"],
        days_after(START, 180)
    );

    server.pass(DAY * 90);
    assert_eq!(expire(&mut server, 10).len(), 1);
    opens(&mut server, &first_blob, "first", &first);
    let rotations = server.call("ListKeyRotations", json!({"KeyId": id})).ok();
    let types: Vec<_> = rotations["Rotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["RotationType"], &entry["KeyMaterialState"]))
        .collect();
    assert_eq!(
        types,
        [
            (&json!("AUTOMATIC"), &json!("NON_CURRENT")),
            (&json!("AUTOMATIC"), &json!("CURRENT")),
        ]
    );
    let request = json!({"KeyId": other, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    let untouched = server.call("ListKeyRotations", request).ok();
    assert_eq!(untouched["Rotations"].as_array().unwrap().len(), 1);
}

#[test]
fn a_key_that_was_disabled_on_the_day_catches_up_once() {
    let mut server = Server::new();
    let id = server.create_key();
    let first = current(&mut server, &id);
    let request = json!({"KeyId": id, "RotationPeriodInDays": 90});
    server.call("EnableKeyRotation", request).ok_empty();
    server.call("DisableKey", json!({"KeyId": id})).ok_empty();

    server.pass(DAY * 400);
    assert_eq!(expire(&mut server, 10), Vec::<Value>::new());
    assert_eq!(current(&mut server, &id), first);
    server.call("EnableKey", json!({"KeyId": id})).ok_empty();
    assert_eq!(
        expire(&mut server, 10).len(),
        1,
        "not once for every period"
    );
    assert_ne!(current(&mut server, &id), first);
    assert_eq!(
        status(&mut server, &id)["NextRotationDate"],
        days_after(START, 490)
    );
}

#[test]
fn there_are_at_most_25_rotations_on_demand() {
    let mut server = Server::new();
    let id = server.create_key();
    let (old_blob, first) = encrypt(&mut server, &id, "old");
    for _ in 0..25 {
        server.call("RotateKeyOnDemand", json!({"KeyId": id})).ok();
    }
    let last = current(&mut server, &id);
    server.call("RotateKeyOnDemand", json!({"KeyId": id})).expect_error(
        "LimitExceededException",
        &format!("The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: {}", key_arn(&id)),
    );
    assert_eq!(current(&mut server, &id), last);
    opens(&mut server, &old_blob, "old", &first);

    // In pages, in the order of rotation, the first material first.
    let mut request = json!({"KeyId": id, "IncludeKeyMaterial": "ALL_KEY_MATERIAL", "Limit": 10});
    let mut listed = Vec::new();
    for (length, more) in [(10, true), (10, true), (6, false)] {
        let page = server.call("ListKeyRotations", request.clone()).ok();
        assert_eq!(page["Truncated"], more);
        let entries = page["Rotations"].as_array().unwrap();
        assert_eq!(entries.len(), length);
        listed.extend(entries.iter().map(|entry| entry["KeyMaterialId"].clone()));
        request["Marker"] = page["NextMarker"].clone();
    }
    assert_eq!((&listed[0], &listed[25]), (&first, &last));
    listed.sort_by_key(|id| id.to_string());
    listed.dedup();
    assert_eq!(listed.len(), 26);
}

#[test]
fn there_is_no_rotation_on_demand_close_to_an_automatic_one() {
    let mut server = Server::new();
    let id = server.create_key();
    let request = json!({"KeyId": id, "RotationPeriodInDays": 90});
    server.call("EnableKeyRotation", request).ok_empty();
    server.pass(DAY * 90 - Duration::from_secs(20 * 60 + 1));
    server.call("RotateKeyOnDemand", json!({"KeyId": id})).ok();
    server.pass(Duration::from_secs(1));
    let (code, _) = server
        .call("RotateKeyOnDemand", json!({"KeyId": id}))
        .error();
    assert_eq!(code, "ConflictException");
}

#[test]
fn states_and_periods_are_checked() {
    let mut server = Server::new();
    let id = server.create_key();
    for (days, end, limit) in [(89, "greater", 90), (2561, "less", 2560)] {
        let request = json!({"KeyId": id, "RotationPeriodInDays": days});
        server.call("EnableKeyRotation", request).expect_error(
            "ValidationException",
            &format!("1 validation error detected: Value '{days}' at 'rotationPeriodInDays' failed to satisfy constraint: Member must have value {end} than or equal to {limit}"),
        );
    }
    let changes = [
        "EnableKeyRotation",
        "DisableKeyRotation",
        "RotateKeyOnDemand",
    ];
    server.call("DisableKey", json!({"KeyId": id})).ok_empty();
    for operation in changes {
        server.call(operation, json!({"KeyId": id})).expect_error(
            "DisabledException",
            &format!("{} is disabled.", key_arn(&id)),
        );
    }
    server
        .call("ScheduleKeyDeletion", json!({"KeyId": id}))
        .ok();
    for operation in changes {
        server.call(operation, json!({"KeyId": id})).expect_error(
            "KMSInvalidStateException",
            &format!("{} is pending deletion.", key_arn(&id)),
        );
    }
    server.call("ListKeyRotations", json!({"KeyId": id})).ok();
}

#[test]
fn what_is_never_rotated_can_be_told_not_to() {
    let mut server = Server::new();
    for (spec, usage) in [
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
        ("RSA_2048", "SIGN_VERIFY"),
        ("ML_DSA_44", "SIGN_VERIFY"),
    ] {
        let id = server.create_key_of(spec, usage);
        server
            .call("DisableKeyRotation", json!({"KeyId": id}))
            .ok_empty();
        for operation in ["EnableKeyRotation", "RotateKeyOnDemand"] {
            let answer = server.call(operation, json!({"KeyId": id}));
            answer.expect_error("UnsupportedOperationException", "");
        }
    }
}
