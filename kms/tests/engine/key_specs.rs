//! Keys of every spec and usage: making them, what is told of them, what they refuse.

use std::collections::BTreeSet;

use kms::KmsError;
use kms::engine::Step;
use kms::protocol::spec::{KeySpec, KeyUsage};
use serde_json::{Value, json};

use crate::server::{Client, START, Server, as_call, base64, blob, key_arn, signed};

/// All pairs of spec and usage that AWS makes keys of outside China, with the member that lists the
/// key's algorithms, and these.
pub(crate) const PAIRS: [(&str, &str, &str, &[&str]); 25] = [
    (
        "SYMMETRIC_DEFAULT",
        "ENCRYPT_DECRYPT",
        "EncryptionAlgorithms",
        &["SYMMETRIC_DEFAULT"],
    ),
    ("RSA_2048", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", OAEP),
    ("RSA_3072", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", OAEP),
    ("RSA_4096", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", OAEP),
    ("RSA_2048", "SIGN_VERIFY", "SigningAlgorithms", RSASSA),
    ("RSA_3072", "SIGN_VERIFY", "SigningAlgorithms", RSASSA),
    ("RSA_4096", "SIGN_VERIFY", "SigningAlgorithms", RSASSA),
    (
        "ECC_NIST_P256",
        "SIGN_VERIFY",
        "SigningAlgorithms",
        &["ECDSA_SHA_256"],
    ),
    (
        "ECC_NIST_P384",
        "SIGN_VERIFY",
        "SigningAlgorithms",
        &["ECDSA_SHA_384"],
    ),
    (
        "ECC_NIST_P521",
        "SIGN_VERIFY",
        "SigningAlgorithms",
        &["ECDSA_SHA_512"],
    ),
    (
        "ECC_SECG_P256K1",
        "SIGN_VERIFY",
        "SigningAlgorithms",
        &["ECDSA_SHA_256"],
    ),
    (
        "ECC_NIST_EDWARDS25519",
        "SIGN_VERIFY",
        "SigningAlgorithms",
        &["ED25519_SHA_512", "ED25519_PH_SHA_512"],
    ),
    (
        "ECC_NIST_P256",
        "KEY_AGREEMENT",
        "KeyAgreementAlgorithms",
        ECDH,
    ),
    (
        "ECC_NIST_P384",
        "KEY_AGREEMENT",
        "KeyAgreementAlgorithms",
        ECDH,
    ),
    (
        "ECC_NIST_P521",
        "KEY_AGREEMENT",
        "KeyAgreementAlgorithms",
        ECDH,
    ),
    (
        "HMAC_224",
        "GENERATE_VERIFY_MAC",
        "MacAlgorithms",
        &["HMAC_SHA_224"],
    ),
    (
        "HMAC_256",
        "GENERATE_VERIFY_MAC",
        "MacAlgorithms",
        &["HMAC_SHA_256"],
    ),
    (
        "HMAC_384",
        "GENERATE_VERIFY_MAC",
        "MacAlgorithms",
        &["HMAC_SHA_384"],
    ),
    (
        "HMAC_512",
        "GENERATE_VERIFY_MAC",
        "MacAlgorithms",
        &["HMAC_SHA_512"],
    ),
    ("ML_DSA_44", "SIGN_VERIFY", "SigningAlgorithms", ML_DSA),
    ("ML_DSA_65", "SIGN_VERIFY", "SigningAlgorithms", ML_DSA),
    ("ML_DSA_87", "SIGN_VERIFY", "SigningAlgorithms", ML_DSA),
    (
        "ML_KEM_512",
        "ENCAPSULATE_DECAPSULATE",
        "EncapsulationAlgorithms",
        ML_KEM,
    ),
    (
        "ML_KEM_768",
        "ENCAPSULATE_DECAPSULATE",
        "EncapsulationAlgorithms",
        ML_KEM,
    ),
    (
        "ML_KEM_1024",
        "ENCAPSULATE_DECAPSULATE",
        "EncapsulationAlgorithms",
        ML_KEM,
    ),
];

const OAEP: &[&str] = &["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"];
const RSASSA: &[&str] = &[
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
];
const ECDH: &[&str] = &["ECDH"];
const ML_DSA: &[&str] = &["ML_DSA_SHAKE_256"];
const ML_KEM: &[&str] = &["ML_KEM"];

/// The members of metadata that list algorithms.
const LISTS: [&str; 5] = [
    "EncryptionAlgorithms",
    "SigningAlgorithms",
    "KeyAgreementAlgorithms",
    "EncapsulationAlgorithms",
    "MacAlgorithms",
];

#[test]
fn keys_are_made_of_every_spec_and_usage() {
    let mut server = Server::new();
    for (spec, usage, list, algorithms) in PAIRS {
        let answer = server.call("CreateKey", json!({"KeySpec": spec, "KeyUsage": usage}));
        let made = answer.ok();
        let metadata = &made["KeyMetadata"];
        assert_eq!(metadata["KeySpec"], spec);
        assert_eq!(metadata["CustomerMasterKeySpec"], spec);
        assert_eq!(metadata["KeyUsage"], usage);
        for name in LISTS {
            let expected = (name == list).then(|| json!(algorithms));
            assert_eq!(metadata.get(name), expected.as_ref(), "{spec} {usage}");
        }
        let has_material_id = metadata.get("CurrentKeyMaterialId").is_some();
        assert_eq!(has_material_id, spec == "SYMMETRIC_DEFAULT", "{spec}");
        let recorded = &answer.event["responseElements"]["keyMetadata"];
        let list = list[..1].to_lowercase() + &list[1..];
        assert_eq!(recorded[list], json!(algorithms), "{spec} {usage}");
        let described = server
            .call("DescribeKey", json!({"KeyId": metadata["KeyId"]}))
            .ok();
        assert_eq!(described, made);
    }
}

#[test]
fn the_deprecated_member_makes_keys_of_other_specs_too() {
    let mut server = Server::new();
    for spec in ["RSA_2048", "ECC_SECG_P256K1"] {
        let request = json!({"CustomerMasterKeySpec": spec, "KeyUsage": "SIGN_VERIFY"});
        let made = server.call("CreateKey", request).ok();
        assert_eq!(made["KeyMetadata"]["KeySpec"], spec);
    }
}

#[test]
fn all_other_pairs_of_spec_and_usage_are_refused() {
    let mut server = Server::new();
    let valid: BTreeSet<_> = PAIRS.iter().map(|pair| (pair.0, pair.1)).collect();
    for spec in KeySpec::ALL.iter().map(|spec| spec.as_str()) {
        for usage in KeyUsage::ALL.iter().map(|usage| usage.as_str()) {
            if spec == "SM2" || valid.contains(&(spec, usage)) {
                continue;
            }
            let request = json!({"KeySpec": spec, "KeyUsage": usage});
            server.call("CreateKey", request).expect_error(
                "ValidationException",
                &format!("KeyUsage {usage} is not compatible with KeySpec {spec}"),
            );
        }
        if !["SYMMETRIC_DEFAULT", "SM2"].contains(&spec) {
            server
                .call("CreateKey", json!({"KeySpec": spec}))
                .expect_error(
                    "ValidationException",
                    "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
                );
        }
    }
    for usage in ["ENCRYPT_DECRYPT", "SIGN_VERIFY", "KEY_AGREEMENT"] {
        let request = json!({"KeySpec": "SM2", "KeyUsage": usage});
        server.call("CreateKey", request).expect_error(
            "UnsupportedOperationException",
            "KeySpec SM2 is not supported in this Region",
        );
    }
    assert_eq!(server.call("ListKeys", json!({})).ok()["Keys"], json!([]));
}

#[test]
fn a_slow_key_pair_is_made_once_and_not_by_the_writer() {
    let mut server = Server::new();
    let body = json!({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}).to_string();
    let request = signed(&Client::of("alice"), "CreateKey", body.as_bytes(), START);
    let call = as_call(&request);
    let random = &mut server.random;
    let step = server.engine.step(&server.state, &call, START, random);
    let Step::Slow(reply) = step else {
        panic!("an RSA key pair takes long to make");
    };
    let error = KmsError::Throttling;
    let failed = reply.fail(&error);
    assert_eq!(failed.response.status.as_u16(), 400);
    let step = server
        .engine
        .step_slowly(&server.state, &call, START, random);
    let Step::Prepared(prepared, _) = step else {
        panic!("it is the writer that makes keys");
    };

    // What was prepared is no permit, nor good for another call.
    let nobody = signed(&Client::of("nobody"), "CreateKey", body.as_bytes(), START);
    let step = server.engine.resume(
        &server.state,
        &as_call(&nobody),
        Some(prepared),
        START,
        random,
    );
    let Step::Reply(reply) = step else {
        panic!("nobody may do that");
    };
    assert_eq!(reply.response.status.as_u16(), 400);

    let step = server
        .engine
        .step_slowly(&server.state, &call, START, random);
    let Step::Prepared(prepared, _) = step else {
        panic!("it is the writer that makes keys");
    };
    let larger = json!({"KeySpec": "RSA_3072", "KeyUsage": "SIGN_VERIFY"}).to_string();
    let other = signed(&Client::of("alice"), "CreateKey", larger.as_bytes(), START);
    let step = server.engine.resume(
        &server.state,
        &as_call(&other),
        Some(prepared),
        START,
        random,
    );
    let Step::Reply(reply) = step else {
        panic!("the key pair is of another spec");
    };
    assert_eq!(reply.response.status.as_u16(), 500);
}

#[test]
fn public_keys_are_told_with_what_they_are_for() {
    let mut server = Server::new();
    for (spec, usage, list, algorithms) in PAIRS {
        if usage == "GENERATE_VERIFY_MAC" || spec == "SYMMETRIC_DEFAULT" {
            continue;
        }
        let id = server.create_key_of(spec, usage);
        let token = server.grant_token(&id);
        let request = json!({"KeyId": key_arn(&id), "GrantTokens": [token]});
        let answer = server.call("GetPublicKey", request);
        let public = answer.ok();
        assert_eq!(
            public,
            json!({
                "KeyId": key_arn(&id),
                "PublicKey": public["PublicKey"],
                "CustomerMasterKeySpec": spec,
                "KeySpec": spec,
                "KeyUsage": usage,
                list: algorithms,
            })
        );
        assert_eq!(
            answer.event["requestParameters"],
            json!({"keyId": key_arn(&id)})
        );
        let length = match spec {
            "RSA_2048" => 294,
            "RSA_3072" => 422,
            "RSA_4096" => 550,
            "ECC_NIST_P256" => 91,
            "ECC_NIST_P384" => 120,
            "ECC_NIST_P521" => 158,
            "ECC_SECG_P256K1" => 88,
            "ECC_NIST_EDWARDS25519" => 44,
            "ML_DSA_44" => 1334,
            "ML_DSA_65" => 1974,
            "ML_DSA_87" => 2614,
            "ML_KEM_512" => 822,
            "ML_KEM_768" => 1206,
            "ML_KEM_1024" => 1590,
            other => panic!("{other}"),
        };
        assert_eq!(blob(&public["PublicKey"]).len(), length, "{spec}");
    }
}

#[test]
fn symmetric_and_mac_keys_have_no_public_key() {
    let mut server = Server::new();
    for (spec, usage) in [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
    ] {
        let id = server.create_key_of(spec, usage);
        server
            .call("GetPublicKey", json!({"KeyId": id}))
            .expect_error("UnsupportedOperationException", "");
    }
}

#[test]
fn keys_of_another_usage_are_refused_by_name() {
    let mut server = Server::new();
    for (spec, usage, ..) in PAIRS {
        if ["RSA_3072", "RSA_4096"].contains(&spec) {
            continue;
        }
        let id = server.create_key_of(spec, usage);
        for (operation, for_usage, request) in uses(&id) {
            if for_usage == usage {
                continue;
            }
            server.call(operation, request).expect_error(
                "InvalidKeyUsageException",
                &format!(
                    "{} key usage is {usage} which is not valid for {operation}.",
                    key_arn(&id)
                ),
            );
        }
    }
}

#[test]
fn data_keys_need_a_symmetric_key() {
    let mut server = Server::new();
    let id = server.create_key_of("RSA_2048", "ENCRYPT_DECRYPT");
    for (operation, request) in [
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
            json!({"KeyId": id, "KeyPairSpec": "ECC_NIST_P256"}),
        ),
        (
            "GenerateDataKeyPairWithoutPlaintext",
            json!({"KeyId": id, "KeyPairSpec": "ECC_NIST_P256"}),
        ),
    ] {
        server.call(operation, request).expect_error(
            "InvalidKeyUsageException",
            "You cannot generate a data key with an asymmetric CMK",
        );
    }
}

#[test]
fn the_usage_of_a_key_counts_before_its_state_and_that_before_its_spec() {
    let mut server = Server::new();
    for (spec, usage) in [
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("ECC_NIST_P256", "KEY_AGREEMENT"),
        ("HMAC_224", "GENERATE_VERIFY_MAC"),
        ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE"),
        ("RSA_2048", "ENCRYPT_DECRYPT"),
    ] {
        let id = server.create_key_of(spec, usage);
        let arn = key_arn(&id);
        server.call("DisableKey", json!({"KeyId": id})).ok_empty();
        let disabled = ("DisabledException", format!("{arn} is disabled."));
        uses_fail(&mut server, &id, usage, &disabled);
        if usage != "GENERATE_VERIFY_MAC" {
            server.call("GetPublicKey", json!({"KeyId": id})).ok();
        }
        server
            .call("ScheduleKeyDeletion", json!({"KeyId": id}))
            .ok();
        let pending = (
            "KMSInvalidStateException",
            format!("{arn} is pending deletion."),
        );
        uses_fail(&mut server, &id, usage, &pending);
        let answer = server.call("GetPublicKey", json!({"KeyId": id}));
        answer.expect_error(pending.0, &pending.1);
    }
}

/// Every use of a key fails: those it is not for because of that, the others like this.
fn uses_fail(server: &mut Server, id: &str, usage: &str, error: &(&str, String)) {
    for (operation, for_usage, request) in uses(id) {
        let answer = server.call(operation, request);
        if for_usage == usage {
            answer.expect_error(error.0, &error.1);
        } else {
            let arn = key_arn(id);
            answer.expect_error(
                "InvalidKeyUsageException",
                &format!("{arn} key usage is {usage} which is not valid for {operation}."),
            );
        }
    }
}

#[test]
fn a_dry_run_of_every_use_makes_every_check_and_stops() {
    let mut server = Server::new();
    let mut seen = BTreeSet::new();
    for (spec, usage) in [
        ("RSA_2048", "ENCRYPT_DECRYPT"),
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("ECC_NIST_P256", "KEY_AGREEMENT"),
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
    ] {
        let id = server.create_key_of(spec, usage);
        for (operation, for_usage, mut request) in uses(&id) {
            request["DryRun"] = json!(true);
            let answer = server.call(operation, request);
            if for_usage == usage {
                seen.insert(operation);
                answer.expect_error(
                    "DryRunOperationException",
                    "The request would have succeeded, but the DryRun option is set.",
                );
                assert_eq!(answer.event["requestParameters"]["dryRun"], true);
            } else {
                assert_eq!(answer.error().0, "InvalidKeyUsageException");
            }
        }
    }
    assert_eq!(seen.len(), 8);
}

/// A request of every operation that uses a key, but for the symmetric ones: with the usage that it
/// needs, in a form that the keys above can do.
fn uses(id: &str) -> Vec<(&'static str, &'static str, Value)> {
    let message = base64("message");
    // The P-256 generator: a point that everybody knows.
    let point = "3059301306072a8648ce3d020106082a8648ce3d030107034200\
        046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
        4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let point = base64(hex::decode(point).unwrap());
    vec![
        (
            "Encrypt",
            "ENCRYPT_DECRYPT",
            json!({"KeyId": id, "Plaintext": message, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
        ),
        (
            "Sign",
            "SIGN_VERIFY",
            json!({"KeyId": id, "Message": message, "SigningAlgorithm": "ECDSA_SHA_256"}),
        ),
        (
            "Verify",
            "SIGN_VERIFY",
            json!({
                "KeyId": id, "Message": message, "Signature": base64("signature"),
                "SigningAlgorithm": "ECDSA_SHA_256",
            }),
        ),
        (
            "DeriveSharedSecret",
            "KEY_AGREEMENT",
            json!({"KeyId": id, "KeyAgreementAlgorithm": "ECDH", "PublicKey": point}),
        ),
        (
            "GenerateMac",
            "GENERATE_VERIFY_MAC",
            json!({"KeyId": id, "Message": message, "MacAlgorithm": "HMAC_SHA_256"}),
        ),
        (
            "VerifyMac",
            "GENERATE_VERIFY_MAC",
            json!({"KeyId": id, "Message": message, "MacAlgorithm": "HMAC_SHA_256", "Mac": message}),
        ),
        (
            "Encapsulate",
            "ENCAPSULATE_DECAPSULATE",
            json!({"KeyId": id, "EncapsulationAlgorithm": "ML_KEM"}),
        ),
        (
            "Decapsulate",
            "ENCAPSULATE_DECAPSULATE",
            json!({
                "KeyId": id, "EncapsulationAlgorithm": "ML_KEM",
                "SharedSecretCiphertextBlob": base64([0; 1088]),
            }),
        ),
    ]
}
