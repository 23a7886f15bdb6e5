//! The JSON of responses.

use serde_json::{Value, json};

use super::*;
use crate::name::KeyId;
use crate::protocol::spec::{
    EncapsulationAlgorithm, EncryptionAlgorithm, ExpirationModel, KeyAgreementAlgorithm,
    KeyManager, KeyPairSpec, KeySpec, KeyState, KeyUsage, MacAlgorithm, MultiRegionKeyType, Origin,
    SigningAlgorithm,
};

const ARN: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const MATERIAL: KeyMaterialId = [0xa5; 32];

fn json_of(response: &impl Response) -> Value {
    let body = response.body();
    assert_eq!(body.len(), body.capacity(), "the buffer grew");
    serde_json::from_slice(&body).expect("JSON")
}

fn material() -> String {
    "a5".repeat(32)
}

fn metadata(key_id: &str) -> KeyMetadata<'static> {
    KeyMetadata {
        aws_account_id: "123456789012".parse().expect("an account"),
        key_id: key_id.parse().expect("a key id"),
        arn: ARN,
        creation_date: Timestamp::from_millis(1_700_000_000_123),
        description: "",
        key_usage: KeyUsage::EncryptDecrypt,
        key_state: KeyState::Enabled,
        deletion_date: None,
        valid_to: None,
        origin: Origin::AwsKms,
        custom_key_store_id: None,
        cloud_hsm_cluster_id: None,
        expiration_model: None,
        key_manager: KeyManager::Customer,
        key_spec: KeySpec::SymmetricDefault,
        encryption_algorithms: &[EncryptionAlgorithm::SymmetricDefault],
        signing_algorithms: &[],
        key_agreement_algorithms: &[],
        encapsulation_algorithms: &[],
        mac_algorithms: &[],
        multi_region_configuration: None,
        pending_deletion_window_in_days: None,
        xks_key_id: None,
        current_key_material_id: Some(&MATERIAL),
    }
}

#[test]
fn plaintext_is_in_the_open_or_sealed_and_never_null() {
    let open = GenerateDataKey {
        ciphertext_blob: b"\x01\x02",
        plaintext: Plaintext::Open(b"key"),
        key_id: ARN,
        key_material_id: Some(&MATERIAL),
    };
    assert_eq!(
        json_of(&open),
        json!({"CiphertextBlob": "AQI=", "Plaintext": "a2V5", "KeyId": ARN, "KeyMaterialId": material()})
    );
    let sealed = GenerateDataKey {
        plaintext: Plaintext::ForRecipient(b"cms"),
        key_material_id: None,
        ..open
    };
    assert_eq!(
        json_of(&sealed),
        json!({"CiphertextBlob": "AQI=", "CiphertextForRecipient": "Y21z", "KeyId": ARN})
    );
    let pair = |private_key_plaintext| GenerateDataKeyPair {
        private_key_ciphertext_blob: b"c",
        private_key_plaintext,
        public_key: b"p",
        key_id: ARN,
        key_pair_spec: KeyPairSpec::Rsa2048,
        key_material_id: Some(&MATERIAL),
    };
    let (open, sealed) = (
        pair(Plaintext::Open(b"s")),
        pair(Plaintext::ForRecipient(b"r")),
    );
    let expected = |name: &str, value: &str| {
        json!({
            "PrivateKeyCiphertextBlob": "Yw==", name: value, "PublicKey": "cA==",
            "KeyId": ARN, "KeyPairSpec": "RSA_2048", "KeyMaterialId": material(),
        })
    };
    assert_eq!(json_of(&open), expected("PrivateKeyPlaintext", "cw=="));
    assert_eq!(json_of(&sealed), expected("CiphertextForRecipient", "cg=="));
    let random = GenerateRandom {
        plaintext: Plaintext::Open(b""),
    };
    assert_eq!(json_of(&random), json!({"Plaintext": ""}));
}

#[test]
fn the_other_answers_of_cryptography() {
    assert_eq!(
        json_of(&Encrypt {
            ciphertext_blob: b"c",
            key_id: ARN,
            encryption_algorithm: EncryptionAlgorithm::SymmetricDefault,
        }),
        json!({"CiphertextBlob": "Yw==", "KeyId": ARN, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
    );
    assert_eq!(
        json_of(&Decrypt {
            key_id: ARN,
            plaintext: Plaintext::Open(b"p"),
            encryption_algorithm: EncryptionAlgorithm::RsaesOaepSha256,
            key_material_id: None,
        }),
        json!({"KeyId": ARN, "Plaintext": "cA==", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"})
    );
    assert_eq!(
        json_of(&GenerateDataKeyWithoutPlaintext {
            ciphertext_blob: b"c",
            key_id: ARN,
            key_material_id: Some(&MATERIAL),
        }),
        json!({"CiphertextBlob": "Yw==", "KeyId": ARN, "KeyMaterialId": material()})
    );
    assert_eq!(
        json_of(&GenerateDataKeyPairWithoutPlaintext {
            private_key_ciphertext_blob: b"c",
            public_key: b"p",
            key_id: ARN,
            key_pair_spec: KeyPairSpec::EccNistEdwards25519,
            key_material_id: None,
        }),
        json!({
            "PrivateKeyCiphertextBlob": "Yw==", "PublicKey": "cA==",
            "KeyId": ARN, "KeyPairSpec": "ECC_NIST_EDWARDS25519",
        })
    );
    assert_eq!(
        json_of(&ReEncrypt {
            ciphertext_blob: b"c",
            source_key_id: "s",
            key_id: "d",
            source_encryption_algorithm: EncryptionAlgorithm::RsaesOaepSha1,
            destination_encryption_algorithm: EncryptionAlgorithm::SymmetricDefault,
            source_key_material_id: None,
            destination_key_material_id: Some(&MATERIAL),
        }),
        json!({
            "CiphertextBlob": "Yw==", "SourceKeyId": "s", "KeyId": "d",
            "SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_1",
            "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "DestinationKeyMaterialId": material(),
        })
    );
}

#[test]
fn what_other_keys_answer() {
    assert_eq!(
        json_of(&Sign {
            key_id: ARN,
            signature: b"s",
            signing_algorithm: SigningAlgorithm::Ed25519PhSha512,
        }),
        json!({"KeyId": ARN, "Signature": "cw==", "SigningAlgorithm": "ED25519_PH_SHA_512"})
    );
    assert_eq!(
        json_of(&Verify {
            key_id: ARN,
            signing_algorithm: SigningAlgorithm::EcdsaSha512,
        }),
        json!({"KeyId": ARN, "SignatureValid": true, "SigningAlgorithm": "ECDSA_SHA_512"})
    );
    assert_eq!(
        json_of(&GenerateMac {
            mac: b"m",
            mac_algorithm: MacAlgorithm::HmacSha384,
            key_id: ARN,
        }),
        json!({"Mac": "bQ==", "MacAlgorithm": "HMAC_SHA_384", "KeyId": ARN})
    );
    assert_eq!(
        json_of(&VerifyMac {
            key_id: ARN,
            mac_algorithm: MacAlgorithm::HmacSha224,
        }),
        json!({"KeyId": ARN, "MacValid": true, "MacAlgorithm": "HMAC_SHA_224"})
    );
    let derived = |shared_secret| DeriveSharedSecret {
        key_id: ARN,
        shared_secret,
        key_agreement_algorithm: KeyAgreementAlgorithm::Ecdh,
        key_origin: Origin::External,
    };
    for (shared_secret, name, value) in [
        (Plaintext::Open(b"s"), "SharedSecret", "cw=="),
        (
            Plaintext::ForRecipient(b"r"),
            "CiphertextForRecipient",
            "cg==",
        ),
    ] {
        assert_eq!(
            json_of(&derived(shared_secret)),
            json!({"KeyId": ARN, name: value, "KeyAgreementAlgorithm": "ECDH", "KeyOrigin": "EXTERNAL"})
        );
    }
    assert_eq!(
        json_of(&Encapsulate {
            key_id: ARN,
            shared_secret: b"s",
            shared_secret_ciphertext_blob: b"c",
            encapsulation_algorithm: EncapsulationAlgorithm::MlKem,
        }),
        json!({
            "KeyId": ARN, "SharedSecret": "cw==", "SharedSecretCiphertextBlob": "Yw==",
            "EncapsulationAlgorithm": "ML_KEM",
        })
    );
    assert_eq!(
        json_of(&Decapsulate {
            key_id: ARN,
            shared_secret: b"s",
            encapsulation_algorithm: EncapsulationAlgorithm::MlKem,
        }),
        json!({"KeyId": ARN, "SharedSecret": "cw==", "EncapsulationAlgorithm": "ML_KEM"})
    );
}

#[test]
fn a_public_key_comes_with_the_algorithms_of_its_usage() {
    let public_key = GetPublicKey {
        key_id: ARN,
        public_key: b"p",
        key_spec: KeySpec::Rsa2048,
        key_usage: KeyUsage::EncryptDecrypt,
        encryption_algorithms: &[EncryptionAlgorithm::RsaesOaepSha1],
        signing_algorithms: &[],
        key_agreement_algorithms: &[],
        encapsulation_algorithms: &[],
    };
    assert_eq!(
        json_of(&public_key),
        json!({
            "KeyId": ARN, "PublicKey": "cA==", "CustomerMasterKeySpec": "RSA_2048",
            "KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT",
            "EncryptionAlgorithms": ["RSAES_OAEP_SHA_1"],
        })
    );
    let public_key = GetPublicKey {
        encryption_algorithms: &[],
        signing_algorithms: &[SigningAlgorithm::EcdsaSha256],
        key_agreement_algorithms: &[KeyAgreementAlgorithm::Ecdh],
        encapsulation_algorithms: &[EncapsulationAlgorithm::MlKem],
        ..public_key
    };
    let json = json_of(&public_key);
    assert!(json.get("EncryptionAlgorithms").is_none());
    assert_eq!(json["SigningAlgorithms"], json!(["ECDSA_SHA_256"]));
    assert_eq!(json["KeyAgreementAlgorithms"], json!(["ECDH"]));
    assert_eq!(json["EncapsulationAlgorithms"], json!(["ML_KEM"]));
}

#[test]
fn a_plain_key_has_these_metadata() {
    let key_metadata = metadata("1234abcd-12ab-34cd-56ef-1234567890ab");
    let expected = json!({"KeyMetadata": {
        "AWSAccountId": "123456789012",
        "KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab",
        "Arn": ARN,
        "CreationDate": 1_700_000_000.123,
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
        "CurrentKeyMaterialId": material(),
    }});
    assert_eq!(json_of(&CreateKey { key_metadata }), expected);
    let key_metadata = metadata("1234abcd-12ab-34cd-56ef-1234567890ab");
    assert_eq!(json_of(&DescribeKey { key_metadata }), expected);
}

#[test]
fn a_key_with_everything_has_all_metadata() {
    let region = "us-east-1".parse().expect("a region");
    let key = || MultiRegionKey {
        arn: ARN.to_owned(),
        region: &region,
    };
    let key_metadata = KeyMetadata {
        description: "a \"key\"",
        key_state: KeyState::PendingReplicaDeletion,
        deletion_date: Some(Timestamp::from_secs(1)),
        valid_to: Some(Timestamp::from_millis(2001)),
        expiration_model: Some(ExpirationModel::Expires),
        custom_key_store_id: Some("cks"),
        cloud_hsm_cluster_id: Some("cluster"),
        xks_key_id: Some("xks"),
        pending_deletion_window_in_days: Some(7),
        multi_region_configuration: Some(MultiRegionConfiguration {
            multi_region_key_type: MultiRegionKeyType::Primary,
            primary_key: key(),
            replica_keys: vec![key()],
        }),
        current_key_material_id: None,
        encryption_algorithms: &[],
        ..metadata("mrk-1234abcd12ab34cd56ef1234567890ab")
    };
    let json = json_of(&DescribeKey { key_metadata });
    let key = json!({"Arn": ARN, "Region": "us-east-1"});
    for (member, expected) in [
        ("KeyId", json!("mrk-1234abcd12ab34cd56ef1234567890ab")),
        ("Enabled", json!(false)),
        ("Description", json!("a \"key\"")),
        ("DeletionDate", json!(1.0)),
        ("ValidTo", json!(2.001)),
        ("ExpirationModel", json!("KEY_MATERIAL_EXPIRES")),
        ("CustomKeyStoreId", json!("cks")),
        ("CloudHsmClusterId", json!("cluster")),
        ("XksKeyConfiguration", json!({"Id": "xks"})),
        ("PendingDeletionWindowInDays", json!(7)),
        ("MultiRegion", json!(true)),
        (
            "MultiRegionConfiguration",
            json!({"MultiRegionKeyType": "PRIMARY", "PrimaryKey": key, "ReplicaKeys": [key]}),
        ),
    ] {
        assert_eq!(json["KeyMetadata"][member], expected, "{member}");
    }
    for member in [
        "CurrentKeyMaterialId",
        "EncryptionAlgorithms",
        "SigningAlgorithms",
    ] {
        assert!(json["KeyMetadata"].get(member).is_none(), "{member}");
    }
}

#[test]
fn pages_say_where_the_next_one_begins() {
    let key_id: KeyId = "1234abcd-12ab-34cd-56ef-1234567890ab"
        .parse()
        .expect("a key id");
    let keys = |next_marker: Option<&str>| ListKeys {
        keys: vec![KeyListEntry {
            key_id,
            key_arn: ARN,
        }],
        next_marker: next_marker.map(str::to_owned),
    };
    let entry = json!([{"KeyId": key_id.to_string(), "KeyArn": ARN}]);
    assert_eq!(
        json_of(&keys(None)),
        json!({"Keys": entry, "Truncated": false})
    );
    assert_eq!(
        json_of(&keys(Some("m"))),
        json!({"Keys": entry, "NextMarker": "m", "Truncated": true})
    );
    let time = Timestamp::from_millis(1500);
    let alias = |target_key_id, time| AliasListEntry {
        alias_name: "alias/a",
        alias_arn: "arn".to_owned(),
        target_key_id,
        creation_date: time,
        last_updated_date: time,
    };
    let aliases = ListAliases {
        aliases: vec![alias(Some(key_id), Some(time)), alias(None, None)],
        next_marker: None,
    };
    assert_eq!(
        json_of(&aliases),
        json!({"Truncated": false, "Aliases": [
            {
                "AliasName": "alias/a", "AliasArn": "arn", "TargetKeyId": key_id.to_string(),
                "CreationDate": 1.5, "LastUpdatedDate": 1.5,
            },
            {"AliasName": "alias/a", "AliasArn": "arn"},
        ]})
    );
}

#[test]
fn deletion_is_answered_with_its_date() {
    assert_eq!(
        json_of(&ScheduleKeyDeletion {
            key_id: ARN,
            deletion_date: Some(Timestamp::from_secs(86_400)),
            key_state: KeyState::PendingDeletion,
            pending_window_in_days: 30,
        }),
        json!({
            "KeyId": ARN, "DeletionDate": 86_400.0, "KeyState": "PendingDeletion",
            "PendingWindowInDays": 30,
        })
    );
    assert_eq!(
        json_of(&CancelKeyDeletion { key_id: ARN }),
        json!({"KeyId": ARN})
    );
    assert!(Void.body().is_empty());
}

#[test]
fn errors_have_a_type_and_most_have_a_message() {
    let text = |error: KmsError| String::from_utf8(error_body(&error).to_vec()).expect("UTF-8");
    assert_eq!(
        text(KmsError::disabled("arn")),
        r#"{"__type":"DisabledException","message":"arn is disabled."}"#
    );
    assert_eq!(
        text(KmsError::AccessDenied("no".into())),
        r#"{"__type":"AccessDeniedException","Message":"no"}"#
    );
    assert_eq!(
        text(KmsError::InvalidCiphertext),
        r#"{"__type":"InvalidCiphertextException"}"#
    );
    assert_eq!(
        text(KmsError::invalid_key_id("a\"\u{0}")),
        r#"{"__type":"NotFoundException","message":"Invalid keyId 'a\"\u0000'"}"#
    );
}
