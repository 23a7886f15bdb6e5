//! Imported key material: brought in wrapped, taken away, expired, brought back, and rotated to.

use std::time::Duration;

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey,
    PublicEncryptingKey,
};
use kms::Timestamp;
use kms::key_pair::{AwsLcKeyPairs, KeyPairSource as _};
use kms::principal::Access;
use kms::protocol::spec::KeyPairSpec;
use serde_json::{Value, json};

use crate::expiry::{DAY, expire};
use crate::server::{ACCOUNT, Answer, Client, START, Server, base64, blob, key_arn, seconds};

const MATERIAL: [u8; 32] = [0x11; 32];
const OTHER: [u8; 32] = [0x22; 32];
const THIRD: [u8; 32] = [0x33; 32];
const OAEP_256: &str = "RSAES_OAEP_SHA_256";

/// Wraps material as a client does.
fn wrap(algorithm: &str, public_key: &[u8], material: &[u8]) -> Vec<u8> {
    let (oaep, with_aes): (&'static OaepAlgorithm, bool) = match algorithm {
        "RSAES_OAEP_SHA_1" => (&OAEP_SHA1_MGF1SHA1, false),
        "RSAES_OAEP_SHA_256" => (&OAEP_SHA256_MGF1SHA256, false),
        "RSA_AES_KEY_WRAP_SHA_1" => (&OAEP_SHA1_MGF1SHA1, true),
        _ => (&OAEP_SHA256_MGF1SHA256, true),
    };
    let key = PublicEncryptingKey::from_der(public_key).unwrap();
    let key = OaepPublicEncryptingKey::new(key).unwrap();
    let encrypt = |plaintext: &[u8]| {
        let mut buffer = vec![0; key.ciphertext_size()];
        key.encrypt(oaep, plaintext, &mut buffer, None).unwrap();
        buffer
    };
    if !with_aes {
        return encrypt(material);
    }
    let mut wrapped = encrypt(&[0x77; 32]);
    let mut buffer = vec![0; material.len() + 15];
    let aes_key = AesKek::new(&AES_256, &[0x77; 32]).unwrap();
    wrapped.extend_from_slice(aes_key.wrap_with_padding(material, &mut buffer).unwrap());
    wrapped
}

impl Server {
    fn create_external(&mut self) -> String {
        let answer = self.call("CreateKey", json!({"Origin": "EXTERNAL"})).ok();
        answer["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }

    fn create_external_of(&mut self, spec: &str, usage: &str) -> String {
        let request = json!({"Origin": "EXTERNAL", "KeySpec": spec, "KeyUsage": usage});
        let answer = self.call("CreateKey", request).ok();
        assert_eq!(answer["KeyMetadata"]["KeyState"], "PendingImport");
        answer["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }

    fn import_parameters(&mut self, id: &str, algorithm: &str) -> (Value, Vec<u8>) {
        let request =
            json!({"KeyId": id, "WrappingAlgorithm": algorithm, "WrappingKeySpec": "RSA_2048"});
        let parameters = self.call("GetParametersForImport", request).ok();
        (
            parameters["ImportToken"].clone(),
            blob(&parameters["PublicKey"]),
        )
    }

    /// Imports material, with other members as given.
    fn import_with(&mut self, id: &str, material: &[u8], members: Value) -> Answer {
        self.import_as(&Client::of("alice"), id, material, members)
    }

    fn import_as(&mut self, client: &Client, id: &str, material: &[u8], members: Value) -> Answer {
        // What is longer does not fit into OAEP alone.
        let algorithm = match material.len() {
            ..=64 => OAEP_256,
            _ => "RSA_AES_KEY_WRAP_SHA_256",
        };
        let request =
            json!({"KeyId": id, "WrappingAlgorithm": algorithm, "WrappingKeySpec": "RSA_2048"});
        let parameters = self.call_as(client, "GetParametersForImport", request).ok();
        let wrapped = wrap(algorithm, &blob(&parameters["PublicKey"]), material);
        let mut request = members;
        request["KeyId"] = id.into();
        request["ImportToken"] = parameters["ImportToken"].clone();
        request["EncryptedKeyMaterial"] = base64(wrapped).into();
        self.call_as(client, "ImportKeyMaterial", request)
    }

    /// Imports material that does not expire, and gives its id.
    #[track_caller]
    fn import(&mut self, id: &str, material: &[u8], kind: &str) -> Value {
        let members =
            json!({"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "ImportType": kind});
        let answer = self.import_with(id, material, members).ok();
        assert_eq!(answer["KeyId"], key_arn(id).as_str());
        answer["KeyMaterialId"].clone()
    }

    fn described(&mut self, id: &str) -> Value {
        let answer = self.call("DescribeKey", json!({"KeyId": id})).ok();
        answer["KeyMetadata"].clone()
    }

    fn state_of(&mut self, id: &str) -> String {
        self.described(id)["KeyState"].as_str().unwrap().to_owned()
    }

    fn all_material(&mut self, id: &str) -> Vec<Value> {
        let request = json!({"KeyId": id, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        let answer = self.call("ListKeyRotations", request).ok();
        answer["Rotations"].as_array().unwrap().clone()
    }

    fn encrypted(&mut self, id: &str) -> Value {
        let request = json!({"KeyId": id, "Plaintext": base64("x")});
        self.call("Encrypt", request).ok()["CiphertextBlob"].clone()
    }

    #[track_caller]
    fn opens(&mut self, encrypted: &Value, material: &Value) {
        let opened = self
            .call("Decrypt", json!({"CiphertextBlob": encrypted}))
            .ok();
        assert_eq!(blob(&opened["Plaintext"]), b"x");
        assert_eq!(opened["KeyMaterialId"], *material);
    }
}

#[test]
fn a_key_waits_for_its_material_and_then_works() {
    let mut server = Server::new();
    let id = server.create_external();
    let metadata = server.described(&id);
    assert_eq!(metadata["KeyState"], "PendingImport");
    assert_eq!(metadata["Enabled"], false);
    assert_eq!(metadata["Origin"], "EXTERNAL");
    assert_eq!(metadata.get("ExpirationModel"), None);
    assert_eq!(metadata.get("CurrentKeyMaterialId"), None);
    assert_eq!(server.all_material(&id), Vec::<Value>::new());
    let pending = format!("{} is pending import.", key_arn(&id));
    for (operation, request) in [
        ("Encrypt", json!({"KeyId": id, "Plaintext": "AAAA"})),
        ("RotateKeyOnDemand", json!({"KeyId": id})),
        ("EnableKey", json!({"KeyId": id})),
    ] {
        server
            .call(operation, request)
            .expect_error("KMSInvalidStateException", &pending);
    }
    for operation in ["EnableKeyRotation", "GetKeyRotationStatus"] {
        server.call(operation, json!({"KeyId": id})).expect_error(
            "UnsupportedOperationException",
            &format!(
                "{} origin is EXTERNAL which is not valid for this operation.",
                key_arn(&id)
            ),
        );
    }

    let members = json!({
        "ValidTo": (START + DAY * 30).as_secs() as f64 + 0.5,
        "KeyMaterialDescription": "from the safe",
    });
    let answer = server.import_with(&id, &MATERIAL, members);
    let material = answer.ok()["KeyMaterialId"].clone();
    assert_eq!(
        answer.event["responseElements"],
        json!({"keyId": key_arn(&id), "keyMaterialId": material})
    );
    assert_eq!(
        answer.event["requestParameters"],
        json!({
            "keyId": id, "validTo": "Mar 31, 2026, 12:00:00 PM",
            "expirationModel": "KEY_MATERIAL_EXPIRES", "keyMaterialDescription": "from the safe",
        })
    );
    let metadata = server.described(&id);
    assert_eq!(metadata["KeyState"], "Enabled");
    assert_eq!(metadata["ExpirationModel"], "KEY_MATERIAL_EXPIRES");
    let valid_to = json!((START + DAY * 30).as_secs() as f64 + 0.5);
    assert_eq!(metadata["ValidTo"], valid_to);
    assert_eq!(metadata["CurrentKeyMaterialId"], material);
    assert_eq!(
        server.all_material(&id),
        [json!({
            "KeyId": key_arn(&id), "KeyMaterialId": material, "ImportState": "IMPORTED",
            "KeyMaterialDescription": "from the safe", "KeyMaterialState": "CURRENT",
            "ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": valid_to,
        })]
    );
    let encrypted = server.encrypted(&id);
    server.opens(&encrypted, &material);
}

#[test]
fn every_wrapping_algorithm_and_key_of_aws_works() {
    let mut server = Server::new();
    let id = server.create_external();
    let mut kind = "NEW_KEY_MATERIAL";
    for algorithm in [
        "RSAES_OAEP_SHA_1",
        "RSAES_OAEP_SHA_256",
        "RSA_AES_KEY_WRAP_SHA_1",
        "RSA_AES_KEY_WRAP_SHA_256",
    ] {
        let (token, public_key) = server.import_parameters(&id, algorithm);
        let request = json!({
            "KeyId": id, "ImportToken": token, "ImportType": kind,
            "EncryptedKeyMaterial": base64(wrap(algorithm, &public_key, &MATERIAL)),
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        });
        server.call("ImportKeyMaterial", request).ok();
        kind = "EXISTING_KEY_MATERIAL";
    }
    for (spec, bytes) in [("RSA_3072", 384), ("RSA_4096", 512)] {
        let request = json!({"KeyId": id, "WrappingAlgorithm": OAEP_256, "WrappingKeySpec": spec});
        let parameters = server.call("GetParametersForImport", request).ok();
        let wrapped = wrap(OAEP_256, &blob(&parameters["PublicKey"]), &MATERIAL);
        assert_eq!(wrapped.len(), bytes);
        assert!(blob(&parameters["ImportToken"]).len() <= 6144);
        let request = json!({
            "KeyId": id, "ImportToken": parameters["ImportToken"],
            "EncryptedKeyMaterial": base64(wrapped),
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        });
        server.call("ImportKeyMaterial", request).ok();
    }
    for (algorithm, spec) in [
        ("RSAES_PKCS1_V1_5", "RSA_2048"),
        ("SM2PKE", "SM2"),
        (OAEP_256, "SM2"),
    ] {
        let request = json!({"KeyId": id, "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec});
        let (code, _) = server.call("GetParametersForImport", request).error();
        assert_eq!(code, "UnsupportedOperationException", "{algorithm} {spec}");
    }
}

#[test]
fn a_token_is_good_for_its_key_for_a_day_and_for_nothing_else() {
    let mut server = Server::new();
    let (id, other) = (server.create_external(), server.create_external());
    let request =
        json!({"KeyId": id, "WrappingAlgorithm": OAEP_256, "WrappingKeySpec": "RSA_2048"});
    let answer = server.call("GetParametersForImport", request);
    let parameters = answer.ok();
    assert_eq!(parameters["KeyId"], key_arn(&id).as_str());
    assert_eq!(parameters["ParametersValidTo"], seconds(START + DAY));
    assert_eq!(answer.event["responseElements"], Value::Null);
    let token = blob(&parameters["ImportToken"]);
    let wrapped = wrap(OAEP_256, &blob(&parameters["PublicKey"]), &MATERIAL);
    let request = |id: &str, token: &[u8], wrapped: &[u8]| {
        json!({
            "KeyId": id, "ImportToken": base64(token), "EncryptedKeyMaterial": base64(wrapped),
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        })
    };
    let import = |server: &mut Server, id: &str, token: &[u8], wrapped: &[u8]| {
        server
            .call("ImportKeyMaterial", request(id, token, wrapped))
            .error()
            .0
    };
    for place in [0, 1, 20, token.len() - 1] {
        let mut damaged = token.clone();
        damaged[place] ^= 1;
        let code = import(&mut server, &id, &damaged, &wrapped);
        assert_eq!(code, "InvalidImportTokenException", "{place}");
    }
    let code = import(&mut server, &id, b"x", &wrapped);
    assert_eq!(code, "InvalidImportTokenException");
    let code = import(&mut server, &other, &token, &wrapped);
    assert_eq!(code, "InvalidImportTokenException");
    let mut damaged = wrapped.clone();
    damaged[100] ^= 1;
    let code = import(&mut server, &id, &token, &damaged);
    assert_eq!(code, "InvalidCiphertextException");
    for other_size in [&wrapped[..255], b"x"] {
        server
            .call("ImportKeyMaterial", request(&id, &token, other_size))
            .expect_error("ValidationException", "Invalid encrypted key size.");
    }
    // Another wrapping key's token.
    let (second, _) = server.import_parameters(&id, OAEP_256);
    let code = import(&mut server, &id, &blob(&second), &wrapped);
    assert_eq!(code, "InvalidCiphertextException");
    server.pass(DAY);
    let code = import(&mut server, &id, &token, &wrapped);
    assert_eq!(code, "ExpiredImportTokenException");
    assert_eq!(server.state_of(&id), "PendingImport");
}

#[test]
fn the_members_of_an_import_have_to_agree() {
    let mut server = Server::new();
    let id = server.create_external();
    let seconds = |days: u32| (START + DAY * days).as_secs();
    let in_no_time = "The validTo date must be in the future";
    for (members, message) in [
        (
            json!({}),
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
        ),
        (
            json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}),
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
        ),
        (
            json!({"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "ValidTo": seconds(1)}),
            "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE",
        ),
        (json!({"ValidTo": seconds(0)}), in_no_time),
        (json!({"ValidTo": -1}), in_no_time),
        (
            json!({"ValidTo": seconds(366)}),
            "The validTo date must be at most 365 days in the future",
        ),
        (
            json!({
                "ValidTo": seconds(1), "ImportType": "NEW_KEY_MATERIAL",
                "KeyMaterialId": "a".repeat(64),
            }),
            "A KeyMaterialId can not be set if the ImportType is NEW_KEY_MATERIAL",
        ),
    ] {
        server
            .import_with(&id, &MATERIAL, members)
            .expect_error("ValidationException", message);
    }
    let answer = server.import_with(&id, &MATERIAL, json!({"ValidTo": "2026-04-01T00:00:00Z"}));
    assert_eq!(answer.error().0, "SerializationException");
    for length in [16, 31, 33] {
        let members = json!({"ValidTo": seconds(1)});
        let (code, _) = server.import_with(&id, &vec![7; length], members).error();
        assert_eq!(code, "IncorrectKeyMaterialException", "{length} bytes");
    }
    server
        .import_with(&id, &MATERIAL, json!({"ValidTo": seconds(365)}))
        .ok();

    // A key whose material is made here takes none.
    let own = server.create_key();
    let request =
        json!({"KeyId": own, "WrappingAlgorithm": OAEP_256, "WrappingKeySpec": "RSA_2048"});
    let message = format!(
        "{} origin is AWS_KMS which is not valid for this operation.",
        key_arn(&own)
    );
    server
        .call("GetParametersForImport", request)
        .expect_error("UnsupportedOperationException", &message);
    server
        .call("DeleteImportedKeyMaterial", json!({"KeyId": own}))
        .expect_error("UnsupportedOperationException", &message);
}

#[test]
fn only_the_same_material_comes_back() {
    let mut server = Server::new();
    let id = server.create_external();
    let material = server.import(&id, &MATERIAL, "NEW_KEY_MATERIAL");
    let encrypted = server.encrypted(&id);

    let answer = server.call("DeleteImportedKeyMaterial", json!({"KeyId": id}));
    assert_eq!(
        answer.ok(),
        json!({"KeyId": key_arn(&id), "KeyMaterialId": material})
    );
    let metadata = server.described(&id);
    assert_eq!(metadata["KeyState"], "PendingImport");
    assert_eq!(metadata.get("ExpirationModel"), None);
    assert_eq!(metadata["CurrentKeyMaterialId"], material);
    assert_eq!(server.all_material(&id)[0]["ImportState"], "PENDING_IMPORT");
    let (code, _) = server
        .call("Decrypt", json!({"CiphertextBlob": encrypted}))
        .error();
    assert_eq!(code, "KMSInvalidStateException");
    server
        .call("DeleteImportedKeyMaterial", json!({"KeyId": id}))
        .ok();

    let no_end = |members: Value| {
        let mut members = members;
        members["ExpirationModel"] = "KEY_MATERIAL_DOES_NOT_EXPIRE".into();
        members
    };
    for (bytes, members) in [
        (&OTHER, json!({})),
        (&OTHER, json!({"ImportType": "EXISTING_KEY_MATERIAL"})),
        (&OTHER, json!({"KeyMaterialId": material})),
        (&MATERIAL, json!({"KeyMaterialId": "a".repeat(64)})),
        (&MATERIAL, json!({"ImportType": "NEW_KEY_MATERIAL"})),
    ] {
        let (code, _) = server.import_with(&id, bytes, no_end(members)).error();
        assert_eq!(code, "IncorrectKeyMaterialException");
    }
    assert_eq!(server.state_of(&id), "PendingImport");
    let members = no_end(json!({"KeyMaterialId": material}));
    let again = server.import_with(&id, &MATERIAL, members).ok();
    assert_eq!(again["KeyMaterialId"], material);
    assert_eq!(server.state_of(&id), "Enabled");
    server.opens(&encrypted, &material);
    // The same material of another key has another id.
    let other = server.create_external();
    assert_ne!(
        server.import(&other, &MATERIAL, "NEW_KEY_MATERIAL"),
        material
    );
}

#[test]
fn material_expires_on_its_date() {
    let mut server = Server::new();
    let id = server.create_external();
    let valid_to = (START + DAY * 2).as_secs();
    let material = server
        .import_with(&id, &MATERIAL, json!({"ValidTo": valid_to}))
        .ok()["KeyMaterialId"]
        .clone();
    let encrypted = server.encrypted(&id);
    server.pass(DAY * 2 - Duration::from_secs(1));
    assert_eq!(expire(&mut server, 10), Vec::<Value>::new());
    server.opens(&encrypted, &material);
    server.pass(Duration::from_secs(1));
    let events = expire(&mut server, 10);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["eventName"], "DeleteExpiredKeyMaterial");
    assert_eq!(
        events[0]["serviceEventDetails"],
        json!({"keyId": id, "keyMaterialId": material})
    );
    assert_eq!(expire(&mut server, 10), Vec::<Value>::new(), "once only");
    assert_eq!(server.state_of(&id), "PendingImport");
    server.import(&id, &MATERIAL, "EXISTING_KEY_MATERIAL");
    server.opens(&encrypted, &material);
    server.pass(DAY * 1000);
    assert_eq!(expire(&mut server, 10), Vec::<Value>::new());
}

#[test]
fn a_key_rotates_to_material_that_was_imported_for_it() {
    let mut server = Server::new();
    let id = server.create_external();
    let first = server.import(&id, &MATERIAL, "NEW_KEY_MATERIAL");
    let old = server.encrypted(&id);
    let none = format!(
        "No available key material pending rotation for the key: {}.",
        key_arn(&id)
    );
    server
        .call("RotateKeyOnDemand", json!({"KeyId": id}))
        .expect_error("KMSInvalidStateException", &none);

    let second = server.import(&id, &OTHER, "NEW_KEY_MATERIAL");
    assert_eq!(server.described(&id)["CurrentKeyMaterialId"], first);
    let states = |server: &mut Server| -> Vec<Value> {
        let all = server.all_material(&id).into_iter();
        all.map(|entry| entry["KeyMaterialState"].clone()).collect()
    };
    assert_eq!(states(&mut server), ["CURRENT", "PENDING_ROTATION"]);
    let still_first = server.encrypted(&id);
    server.opens(&still_first, &first);
    let members = json!({
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "ImportType": "NEW_KEY_MATERIAL",
    });
    let (code, message) = server.import_with(&id, &THIRD, members).error();
    assert_eq!(code, "KMSInvalidStateException");
    assert!(
        message.ends_with(&format!(
            "cannot be imported into KMS key {}, because another key material (id: {}) is pending rotation.",
            key_arn(&id),
            second.as_str().unwrap(),
        )),
        "{message}"
    );

    server.pass(DAY);
    server.call("RotateKeyOnDemand", json!({"KeyId": id})).ok();
    assert_eq!(server.described(&id)["CurrentKeyMaterialId"], second);
    assert_eq!(states(&mut server), ["NON_CURRENT", "CURRENT"]);
    let rotated = server.all_material(&id)[1].clone();
    assert_eq!(rotated["RotationType"], "ON_DEMAND");
    assert_eq!(rotated["RotationDate"], seconds(START + DAY));
    let new = server.encrypted(&id);
    server.opens(&new, &second);
    server.opens(&old, &first);

    // Without its old material the key can't be used, and it comes back to its old place.
    let request = json!({"KeyId": id, "KeyMaterialId": first});
    server.call("DeleteImportedKeyMaterial", request).ok();
    assert_eq!(server.state_of(&id), "PendingImport");
    assert_eq!(server.described(&id)["CurrentKeyMaterialId"], second);
    server.import(&id, &MATERIAL, "EXISTING_KEY_MATERIAL");
    assert_eq!(states(&mut server), ["NON_CURRENT", "CURRENT"]);
    let newest = server.encrypted(&id);
    server.opens(&newest, &second);
}

#[test]
fn material_that_only_waited_for_a_rotation_is_forgotten() {
    let mut server = Server::new();
    let id = server.create_external();
    server.import(&id, &MATERIAL, "NEW_KEY_MATERIAL");
    let waiting = server.import(&id, &OTHER, "NEW_KEY_MATERIAL");
    let request = json!({"KeyId": id, "KeyMaterialId": waiting});
    server
        .call("DeleteImportedKeyMaterial", request.clone())
        .ok();
    assert_eq!(server.state_of(&id), "Enabled");
    assert_eq!(server.all_material(&id).len(), 1);
    let (code, _) = server.call("DeleteImportedKeyMaterial", request).error();
    assert_eq!(code, "NotFoundException");
    server.import(&id, &THIRD, "NEW_KEY_MATERIAL");
}

#[test]
fn a_key_whose_deletion_is_cancelled_waits_for_its_material() {
    let mut server = Server::new();
    let id = server.create_external();
    server.import(&id, &MATERIAL, "NEW_KEY_MATERIAL");
    server
        .call("ScheduleKeyDeletion", json!({"KeyId": id}))
        .ok();
    server
        .call("DeleteImportedKeyMaterial", json!({"KeyId": id}))
        .ok();
    assert_eq!(server.state_of(&id), "PendingDeletion");
    server.call("CancelKeyDeletion", json!({"KeyId": id})).ok();
    assert_eq!(server.state_of(&id), "PendingImport");
    server.import(&id, &MATERIAL, "EXISTING_KEY_MATERIAL");
    assert_eq!(server.state_of(&id), "Enabled");
    // A disabled key stays disabled when its material is imported again.
    server.call("DisableKey", json!({"KeyId": id})).ok_empty();
    server.import(&id, &MATERIAL, "EXISTING_KEY_MATERIAL");
    assert_eq!(server.state_of(&id), "Disabled");
}

#[test]
fn the_same_material_is_brought_to_every_related_key() {
    let there = Client::of("alice").in_region("us-west-2");
    let no_end =
        |kind: &str| json!({"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "ImportType": kind});
    let mut server = Server::new();
    let request = json!({"Origin": "EXTERNAL", "MultiRegion": true});
    let created = server.call("CreateKey", request).ok();
    let id = created["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let first = server.import(&id, &MATERIAL, "NEW_KEY_MATERIAL");
    let encrypted = server.encrypted(&id);
    let request = json!({"KeyId": id, "ReplicaRegion": "us-west-2"});
    server.call("ReplicateKey", request).ok();
    let state_there = |server: &mut Server| {
        let answer = server.call_as(&there, "DescribeKey", json!({"KeyId": id}));
        answer.ok()["KeyMetadata"]["KeyState"].clone()
    };
    assert_eq!(state_there(&mut server), "PendingImport");
    let wrong = server.import_as(&there, &id, &OTHER, no_end("EXISTING_KEY_MATERIAL"));
    assert_eq!(wrong.error().0, "IncorrectKeyMaterialException");
    let wrong = server.import_as(&there, &id, &OTHER, no_end("NEW_KEY_MATERIAL"));
    assert_eq!(wrong.error().0, "UnsupportedOperationException");
    let imported = server.import_as(&there, &id, &MATERIAL, no_end("EXISTING_KEY_MATERIAL"));
    assert_eq!(imported.ok()["KeyMaterialId"], first);
    assert_eq!(state_there(&mut server), "Enabled");
    let request = json!({"CiphertextBlob": encrypted});
    server.call_as(&there, "Decrypt", request).ok();

    // New material waits until it is in all of them.
    let second = server.import(&id, &OTHER, "NEW_KEY_MATERIAL");
    assert_eq!(
        server.all_material(&id)[1]["KeyMaterialState"],
        "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
    );
    let (code, _) = server
        .call("RotateKeyOnDemand", json!({"KeyId": id}))
        .error();
    assert_eq!(code, "KMSInvalidStateException");
    assert_eq!(state_there(&mut server), "Enabled");
    let imported = server.import_as(&there, &id, &OTHER, no_end("EXISTING_KEY_MATERIAL"));
    assert_eq!(imported.ok()["KeyMaterialId"], second);
    assert_eq!(
        server.all_material(&id)[1]["KeyMaterialState"],
        "PENDING_ROTATION"
    );
    server.call("RotateKeyOnDemand", json!({"KeyId": id})).ok();
    let answer = server.call_as(&there, "DescribeKey", json!({"KeyId": id}));
    assert_eq!(answer.ok()["KeyMetadata"]["CurrentKeyMaterialId"], second);
    let encrypted = server.encrypted(&id);
    let opened = server
        .call_as(&there, "Decrypt", json!({"CiphertextBlob": encrypted}))
        .ok();
    assert_eq!(opened["KeyMaterialId"], second);
    // Taken away in one region, it stays in the other.
    let request = json!({"KeyId": id});
    server
        .call_as(&there, "DeleteImportedKeyMaterial", request)
        .ok();
    assert_eq!(state_there(&mut server), "PendingImport");
    server.opens(&encrypted, &second);
}

/// A private key, and its public half.
fn key_pair(spec: &str) -> (Vec<u8>, Vec<u8>) {
    let spec = KeyPairSpec::from_name(spec).unwrap();
    let pair = AwsLcKeyPairs.generate(spec).ok().unwrap();
    (pair.private_pkcs8.to_vec(), pair.public_spki)
}

const NO_END: &str = "KEY_MATERIAL_DOES_NOT_EXPIRE";

#[test]
fn a_mac_key_makes_the_macs_of_what_was_imported() {
    let mut server = Server::new();
    let mut clone = Server::new();
    for (spec, algorithm, lengths) in [
        ("HMAC_224", "HMAC_SHA_224", [28, 64]),
        ("HMAC_256", "HMAC_SHA_256", [32, 64]),
        ("HMAC_384", "HMAC_SHA_384", [48, 128]),
        ("HMAC_512", "HMAC_SHA_512", [64, 128]),
    ] {
        for length in lengths {
            let id = server.create_external_of(spec, "GENERATE_VERIFY_MAC");
            let mac = json!({"KeyId": id, "Message": base64("m"), "MacAlgorithm": algorithm});
            server.call("GenerateMac", mac.clone()).expect_error(
                "KMSInvalidStateException",
                &format!("{} is pending import.", key_arn(&id)),
            );
            let no_end = json!({"ExpirationModel": NO_END});
            for wrong in [lengths[0] - 1, lengths[1] + 1] {
                server
                    .import_with(&id, &vec![5; wrong], no_end.clone())
                    .expect_error(
                        "IncorrectKeyMaterialException",
                        &format!(
                            "The key material of a {spec} key must have from {} to {} bytes.",
                            lengths[0], lengths[1]
                        ),
                    );
            }
            let material = vec![5; length];
            let answer = server.import_with(&id, &material, no_end.clone()).ok();
            // Only symmetric keys have material ids.
            assert_eq!(answer, json!({"KeyId": key_arn(&id)}));
            let metadata = server.described(&id);
            assert_eq!(metadata["KeyState"], "Enabled");
            assert_eq!(metadata["ExpirationModel"], NO_END);
            assert_eq!(metadata.get("CurrentKeyMaterialId"), None);
            let made = server.call("GenerateMac", mac).ok();

            let other = clone.create_external_of(spec, "GENERATE_VERIFY_MAC");
            clone.import_with(&other, &material, no_end).ok();
            let verified = json!({
                "KeyId": other, "Message": base64("m"), "MacAlgorithm": algorithm, "Mac": made["Mac"],
            });
            assert_eq!(clone.call("VerifyMac", verified).ok()["MacValid"], true);
        }
    }
}

#[test]
fn a_private_key_is_that_of_the_public_key_and_of_no_other_spec() {
    let mut server = Server::new();
    for (spec, usage) in [
        ("RSA_2048", "SIGN_VERIFY"),
        ("RSA_3072", "ENCRYPT_DECRYPT"),
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("ECC_NIST_P384", "KEY_AGREEMENT"),
        ("ECC_NIST_P521", "SIGN_VERIFY"),
        ("ECC_SECG_P256K1", "SIGN_VERIFY"),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
    ] {
        let id = server.create_external_of(spec, usage);
        let (private, public) = key_pair(spec);
        let members = json!({"ExpirationModel": NO_END});
        let foreign = match spec {
            "ECC_NIST_P256" => "ECC_SECG_P256K1",
            _ => "ECC_NIST_P256",
        };
        for wrong in [
            &key_pair(foreign).0[..],
            &[7; 100],
            &private[..private.len() - 1],
        ] {
            let answer = server.import_with(&id, wrong, members.clone());
            let (code, message) = answer.error();
            assert_eq!(code, "IncorrectKeyMaterialException", "{spec}");
            assert!(message.contains("PKCS #8"), "{message}");
        }
        let answer = server.import_with(&id, &private, members.clone()).ok();
        assert_eq!(answer, json!({"KeyId": key_arn(&id)}), "{spec}");
        let shown = server.call("GetPublicKey", json!({"KeyId": id})).ok();
        assert_eq!(blob(&shown["PublicKey"]), public, "{spec}");

        // It goes and comes back; no other takes its place, for want of a rotation.
        let answer = server.call("DeleteImportedKeyMaterial", json!({"KeyId": id}));
        assert_eq!(answer.ok(), json!({"KeyId": key_arn(&id)}));
        assert_eq!(server.state_of(&id), "PendingImport");
        let (code, _) = server.call("GetPublicKey", json!({"KeyId": id})).error();
        assert_eq!(code, "KMSInvalidStateException");
        let (code, _) = server
            .import_with(&id, &key_pair(spec).0, members.clone())
            .error();
        assert_eq!(code, "IncorrectKeyMaterialException", "{spec}");
        server.import_with(&id, &private, members).ok();
        let shown = server.call("GetPublicKey", json!({"KeyId": id})).ok();
        assert_eq!(blob(&shown["PublicKey"]), public, "{spec}");
    }
}

#[test]
fn members_about_versions_are_for_symmetric_keys_only() {
    let mut server = Server::new();
    let id = server.create_external_of("HMAC_256", "GENERATE_VERIFY_MAC");
    let refusal = |name: &str| {
        format!(
            "{name} can only be used with symmetric encryption keys, but the KeySpec of {} is HMAC_256.",
            key_arn(&id)
        )
    };
    for (name, value) in [
        ("ImportType", "NEW_KEY_MATERIAL".to_owned()),
        ("KeyMaterialId", "a".repeat(64)),
        ("KeyMaterialDescription", "mine".to_owned()),
    ] {
        let members = json!({"ExpirationModel": NO_END, name: value});
        server
            .import_with(&id, &MATERIAL, members)
            .expect_error("UnsupportedOperationException", &refusal(name));
    }
    server
        .import_with(&id, &MATERIAL, json!({"ExpirationModel": NO_END}))
        .ok();
    let request = json!({"KeyId": id, "KeyMaterialId": "a".repeat(64)});
    server
        .call("DeleteImportedKeyMaterial", request)
        .expect_error("UnsupportedOperationException", &refusal("KeyMaterialId"));
    assert_eq!(server.state_of(&id), "Enabled");
}

#[test]
fn what_does_not_fit_into_oaep_is_told_before_it_is_wrapped() {
    let mut server = Server::new();
    for (spec, algorithm, wrapping_key, fits) in [
        ("RSA_2048", "RSAES_OAEP_SHA_256", "RSA_4096", false),
        ("RSA_4096", "RSAES_OAEP_SHA_1", "RSA_4096", false),
        ("RSA_2048", "RSA_AES_KEY_WRAP_SHA_1", "RSA_2048", true),
        ("ECC_NIST_P521", "RSAES_OAEP_SHA_1", "RSA_2048", false),
        ("ECC_NIST_P521", "RSAES_OAEP_SHA_256", "RSA_3072", true),
        (
            "ECC_NIST_P521",
            "RSA_AES_KEY_WRAP_SHA_256",
            "RSA_2048",
            true,
        ),
        ("ECC_NIST_P384", "RSAES_OAEP_SHA_256", "RSA_2048", true),
    ] {
        let id = server.create_external_of(spec, "SIGN_VERIFY");
        let request = json!({
            "KeyId": id, "WrappingAlgorithm": algorithm, "WrappingKeySpec": wrapping_key,
        });
        let answer = server.call("GetParametersForImport", request);
        if !fits {
            let with_aes = algorithm.replace("RSAES_OAEP", "RSA_AES_KEY_WRAP");
            answer.expect_error(
                "UnsupportedOperationException",
                &format!(
                    "The key material of a {spec} key is too long for {algorithm} with {wrapping_key}. Use {with_aes}."
                ),
            );
            continue;
        }
        let parameters = answer.ok();
        let wrapped = wrap(
            algorithm,
            &blob(&parameters["PublicKey"]),
            &key_pair(spec).0,
        );
        let request = json!({
            "KeyId": id, "ImportToken": parameters["ImportToken"],
            "EncryptedKeyMaterial": base64(wrapped), "ExpirationModel": NO_END,
        });
        server.call("ImportKeyMaterial", request).ok();
    }
}

#[test]
fn the_audit_trail_has_nothing_of_it_and_its_keys_are_made_aside() {
    let mut server = Server::new();
    let id = server.create_external();
    server.import(&id, &MATERIAL, "NEW_KEY_MATERIAL");
    for line in &server.events {
        assert!(!line.contains("mportToken") && !line.contains("ncryptedKeyMaterial"));
        assert!(!line.contains(&base64(MATERIAL)) && !line.contains(&hex::encode(MATERIAL)));
    }
    let body = json!({
        "KeyId": id, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048",
    })
    .to_string();
    let request = crate::server::signed(
        &Client::of("alice"),
        "GetParametersForImport",
        body.as_bytes(),
        server.now,
    );
    let call = crate::server::as_call(&request);
    let random = &mut server.random;
    let step = server.engine.step(&server.state, &call, server.now, random);
    assert!(matches!(step, kms::engine::Step::Slow(_)));
}

#[test]
fn conditions_know_how_material_is_wrapped_and_when_it_expires() {
    let mut server = Server::new();
    server.add_user(ACCOUNT, "bob", Access::None);
    let bob = Client::of("bob");
    let id = server.create_external();
    let valid_to = START + DAY * 30;
    let members =
        || json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": seconds(valid_to)});
    let until = |date: Timestamp| {
        let seconds = format!("{}.0", date.as_secs());
        json!({"NumericLessThanEquals": {"kms:ValidTo": seconds}})
    };
    let before = |date: &str| json!({"DateLessThan": {"kms:ValidTo": date}});
    let text = |key: &str, value: &str| json!({"StringEquals": {(key): value}});
    let parameters = "GetParametersForImport";
    let import = "ImportKeyMaterial";
    for (action, condition, allowed) in [
        (parameters, text("kms:WrappingAlgorithm", OAEP_256), true),
        (
            parameters,
            text("kms:WrappingAlgorithm", "RSAES_OAEP_SHA_1"),
            false,
        ),
        (parameters, text("kms:WrappingKeySpec", "RSA_2048"), true),
        (parameters, text("kms:WrappingKeySpec", "RSA_4096"), false),
        (
            import,
            text("kms:ExpirationModel", "KEY_MATERIAL_EXPIRES"),
            true,
        ),
        (
            import,
            text("kms:ExpirationModel", "KEY_MATERIAL_DOES_NOT_EXPIRE"),
            false,
        ),
        (import, until(valid_to), true),
        (import, until(valid_to + DAY), true),
        (import, until(START + DAY * 29), false),
        (import, before("2026-04-01T00:00:00Z"), true),
        (import, before("2026-03-31T00:00:00Z"), false),
    ] {
        let bobs = |action: &str, condition: Option<&Value>| {
            let mut statement = json!({
                "Effect": "Allow", "Action": format!("kms:{action}"), "Resource": "*",
                "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/bob")},
            });
            if let Some(condition) = condition {
                statement["Condition"] = condition.clone();
            }
            statement
        };
        let account = json!({
            "Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")},
        });
        // What it takes to come so far is allowed without a condition.
        let other = if action == import { parameters } else { import };
        let statements = [account, bobs(action, Some(&condition)), bobs(other, None)];
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let request = json!({"KeyId": id, "PolicyName": "default", "Policy": policy});
        server.call("PutKeyPolicy", request).ok_empty();
        let answer = if action == import {
            server.import_as(&bob, &id, &MATERIAL, members())
        } else {
            let request =
                json!({"KeyId": id, "WrappingAlgorithm": OAEP_256, "WrappingKeySpec": "RSA_2048"});
            server.call_as(&bob, parameters, request)
        };
        if allowed {
            answer.ok();
        } else {
            assert_eq!(answer.error().0, "AccessDeniedException", "{condition}");
        }
    }
}
