//! The shapes of requests, held to the service model and to what AWS answers.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::OperationName as Name;
use super::*;
use crate::protocol::spec::{
    DataKeySpec, DryRunModifier, EncryptionAlgorithm, KeyPairSpec, KeySpec, KeyUsage, MessageType,
    Origin, ResourceOwner, SigningAlgorithm,
};

/// The members of every request, and those that must be there (botocore 1.44.5, kms/2014-11-01).
const MODEL: &[(Name, &str, &str)] = &[
    (Name::CancelKeyDeletion, "KeyId", "KeyId"),
    (
        Name::ConnectCustomKeyStore,
        "CustomKeyStoreId",
        "CustomKeyStoreId",
    ),
    (
        Name::CreateAlias,
        "AliasName TargetKeyId",
        "AliasName TargetKeyId",
    ),
    (
        Name::CreateCustomKeyStore,
        "CustomKeyStoreName CloudHsmClusterId TrustAnchorCertificate KeyStorePassword CustomKeyStoreType XksProxyUriEndpoint XksProxyUriPath XksProxyVpcEndpointServiceName XksProxyVpcEndpointServiceOwner XksProxyAuthenticationCredential XksProxyConnectivity",
        "CustomKeyStoreName",
    ),
    (
        Name::CreateGrant,
        "KeyId GranteePrincipal RetiringPrincipal Operations Constraints GrantTokens Name DryRun GranteeServicePrincipal RetiringServicePrincipal",
        "KeyId Operations",
    ),
    (
        Name::CreateKey,
        "Policy Description KeyUsage CustomerMasterKeySpec KeySpec Origin CustomKeyStoreId BypassPolicyLockoutSafetyCheck Tags MultiRegion XksKeyId",
        "",
    ),
    (
        Name::Decapsulate,
        "KeyId SharedSecretCiphertextBlob EncapsulationAlgorithm GrantTokens DryRun",
        "KeyId SharedSecretCiphertextBlob EncapsulationAlgorithm",
    ),
    (
        Name::Decrypt,
        "CiphertextBlob EncryptionContext GrantTokens KeyId EncryptionAlgorithm Recipient DryRun DryRunModifiers",
        "",
    ),
    (Name::DeleteAlias, "AliasName", "AliasName"),
    (
        Name::DeleteCustomKeyStore,
        "CustomKeyStoreId",
        "CustomKeyStoreId",
    ),
    (
        Name::DeleteImportedKeyMaterial,
        "KeyId KeyMaterialId",
        "KeyId",
    ),
    (
        Name::DescribeCustomKeyStores,
        "CustomKeyStoreId CustomKeyStoreName Limit Marker",
        "",
    ),
    (
        Name::DeriveSharedSecret,
        "KeyId KeyAgreementAlgorithm PublicKey GrantTokens DryRun Recipient",
        "KeyId KeyAgreementAlgorithm PublicKey",
    ),
    (Name::DescribeKey, "KeyId GrantTokens", "KeyId"),
    (Name::DisableKey, "KeyId", "KeyId"),
    (Name::DisableKeyRotation, "KeyId", "KeyId"),
    (
        Name::DisconnectCustomKeyStore,
        "CustomKeyStoreId",
        "CustomKeyStoreId",
    ),
    (Name::EnableKey, "KeyId", "KeyId"),
    (
        Name::EnableKeyRotation,
        "KeyId RotationPeriodInDays",
        "KeyId",
    ),
    (
        Name::Encapsulate,
        "KeyId EncapsulationAlgorithm GrantTokens DryRun",
        "KeyId EncapsulationAlgorithm",
    ),
    (
        Name::Encrypt,
        "KeyId Plaintext EncryptionContext GrantTokens EncryptionAlgorithm DryRun",
        "KeyId Plaintext",
    ),
    (
        Name::GenerateDataKey,
        "KeyId EncryptionContext NumberOfBytes KeySpec GrantTokens Recipient DryRun",
        "KeyId",
    ),
    (
        Name::GenerateDataKeyPair,
        "EncryptionContext KeyId KeyPairSpec GrantTokens Recipient DryRun",
        "KeyId KeyPairSpec",
    ),
    (
        Name::GenerateDataKeyPairWithoutPlaintext,
        "EncryptionContext KeyId KeyPairSpec GrantTokens DryRun",
        "KeyId KeyPairSpec",
    ),
    (
        Name::GenerateDataKeyWithoutPlaintext,
        "KeyId EncryptionContext KeySpec NumberOfBytes GrantTokens DryRun",
        "KeyId",
    ),
    (
        Name::GenerateMac,
        "Message KeyId MacAlgorithm GrantTokens DryRun",
        "Message KeyId MacAlgorithm",
    ),
    (
        Name::GenerateRandom,
        "NumberOfBytes CustomKeyStoreId Recipient",
        "",
    ),
    (Name::GetKeyLastUsage, "KeyId", "KeyId"),
    (Name::GetKeyPolicy, "KeyId PolicyName", "KeyId"),
    (Name::GetKeyRotationStatus, "KeyId", "KeyId"),
    (
        Name::GetParametersForImport,
        "KeyId WrappingAlgorithm WrappingKeySpec",
        "KeyId WrappingAlgorithm WrappingKeySpec",
    ),
    (Name::GetPublicKey, "KeyId GrantTokens", "KeyId"),
    (
        Name::ImportKeyMaterial,
        "KeyId ImportToken EncryptedKeyMaterial ValidTo ExpirationModel ImportType KeyMaterialDescription KeyMaterialId",
        "KeyId ImportToken EncryptedKeyMaterial",
    ),
    (Name::ListAliases, "KeyId Limit Marker", ""),
    (
        Name::ListGrants,
        "Limit Marker KeyId GrantId GranteePrincipal GranteeServicePrincipal",
        "KeyId",
    ),
    (Name::ListKeyPolicies, "KeyId Limit Marker", "KeyId"),
    (
        Name::ListKeyRotations,
        "KeyId IncludeKeyMaterial Limit Marker",
        "KeyId",
    ),
    (Name::ListKeys, "Limit Marker ResourceOwners", ""),
    (Name::ListResourceTags, "KeyId Limit Marker", "KeyId"),
    (
        Name::ListRetirableGrants,
        "Limit Marker RetiringPrincipal RetiringServicePrincipal",
        "",
    ),
    (
        Name::PutKeyPolicy,
        "KeyId PolicyName Policy BypassPolicyLockoutSafetyCheck",
        "KeyId Policy",
    ),
    (
        Name::ReEncrypt,
        "CiphertextBlob SourceEncryptionContext SourceKeyId DestinationKeyId DestinationEncryptionContext SourceEncryptionAlgorithm DestinationEncryptionAlgorithm GrantTokens DryRun DryRunModifiers",
        "DestinationKeyId",
    ),
    (
        Name::ReplicateKey,
        "KeyId ReplicaRegion Policy BypassPolicyLockoutSafetyCheck Description Tags",
        "KeyId ReplicaRegion",
    ),
    (Name::RetireGrant, "GrantToken KeyId GrantId DryRun", ""),
    (Name::RevokeGrant, "KeyId GrantId DryRun", "KeyId GrantId"),
    (Name::RotateKeyOnDemand, "KeyId", "KeyId"),
    (
        Name::ScheduleKeyDeletion,
        "KeyId PendingWindowInDays",
        "KeyId",
    ),
    (Name::TagResource, "KeyId Tags", "KeyId Tags"),
    (Name::UntagResource, "KeyId TagKeys", "KeyId TagKeys"),
    (
        Name::Sign,
        "KeyId Message MessageType GrantTokens SigningAlgorithm DryRun",
        "KeyId Message SigningAlgorithm",
    ),
    (
        Name::UpdateAlias,
        "AliasName TargetKeyId",
        "AliasName TargetKeyId",
    ),
    (
        Name::UpdateCustomKeyStore,
        "CustomKeyStoreId NewCustomKeyStoreName KeyStorePassword CloudHsmClusterId XksProxyUriEndpoint XksProxyUriPath XksProxyVpcEndpointServiceName XksProxyVpcEndpointServiceOwner XksProxyAuthenticationCredential XksProxyConnectivity",
        "CustomKeyStoreId",
    ),
    (
        Name::UpdateKeyDescription,
        "KeyId Description",
        "KeyId Description",
    ),
    (
        Name::UpdatePrimaryRegion,
        "KeyId PrimaryRegion",
        "KeyId PrimaryRegion",
    ),
    (
        Name::Verify,
        "KeyId Message MessageType Signature SigningAlgorithm GrantTokens DryRun",
        "KeyId Message Signature SigningAlgorithm",
    ),
    (
        Name::VerifyMac,
        "Message KeyId MacAlgorithm Mac GrantTokens DryRun",
        "Message KeyId MacAlgorithm Mac",
    ),
];

fn error(operation: Name, body: &Value) -> Option<KmsError> {
    parse(operation, body.to_string().as_bytes()).err()
}

/// Parses a request that must hold, and takes the variant that must come out.
macro_rules! parsed {
    ($operation:ident, $body:expr) => {{
        let body = Box::leak($body.to_string().into_bytes().into_boxed_slice());
        match parse(Name::$operation, body) {
            Ok(Request::$operation(request)) => request,
            Ok(_) => panic!("another operation's request"),
            Err(error) => panic!("{error}"),
        }
    }};
}

fn violation(text: &str) -> Option<KmsError> {
    Some(KmsError::validation(format!(
        "1 validation error detected: {text}"
    )))
}

#[test]
fn every_member_of_the_model_is_read() {
    for (operation, members, _) in MODEL {
        for member in members.split(' ') {
            // No shape of the model accepts a list in a list.
            let error = error(*operation, &json!({ member: [[]] }));
            let expected = KmsError::Serialization("Start of list found where not expected".into());
            assert_eq!(error, Some(expected), "{operation} {member}");
        }
    }
}

#[test]
fn required_members_are_missed_and_others_are_not() {
    let null = |member: &str| {
        let (first, rest) = member.split_at(1);
        let first = first.to_ascii_lowercase();
        // Of a secret member not even its absence is shown.
        let shown = if ["Message", "Plaintext"].contains(&member) {
            ""
        } else {
            " null"
        };
        format!(
            "Value{shown} at '{first}{rest}' failed to satisfy constraint: Member must not be null"
        )
    };
    for (operation, members, required) in MODEL {
        let required: Vec<String> = required
            .split(' ')
            .filter(|r| !r.is_empty())
            .map(null)
            .collect();
        let expected = match required.as_slice() {
            [] => None,
            [one] => violation(one),
            all => Some(KmsError::validation(format!(
                "{} validation errors detected: {}",
                all.len(),
                all.join("; ")
            ))),
        };
        let nulls: serde_json::Map<_, _> = members
            .split(' ')
            .map(|member| (member.to_owned(), Value::Null))
            .collect();
        assert_eq!(error(*operation, &json!({})), expected, "{operation}");
        assert_eq!(error(*operation, &nulls.into()), expected, "{operation}");
    }
}

#[test]
fn every_operation_has_a_request() {
    let mut operations: Vec<_> = MODEL.iter().map(|(name, _, _)| *name).collect();
    operations.sort_by_key(|name| name.as_str());
    assert_eq!(operations, Name::ALL);
}

#[test]
fn all_members_arrive() {
    let recipient = json!({
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": "hEShATgi",
    });

    let request = parsed!(
        CreateKey,
        json!({
            "Policy": "{}\n", "Description": "é🔑", "KeyUsage": "SIGN_VERIFY",
            "CustomerMasterKeySpec": "SM2", "KeySpec": "ML_KEM_1024", "Origin": "EXTERNAL",
            "CustomKeyStoreId": "cks-1", "BypassPolicyLockoutSafetyCheck": true,
            "Tags": [{"TagKey": "a", "TagValue": ""}, {"TagValue": "c", "TagKey": "b", "X": 1}],
            "MultiRegion": true, "XksKeyId": "a.b-c_1",
        })
    );
    assert_eq!(request.policy.as_deref(), Some("{}\n"));
    assert_eq!(request.description.as_deref(), Some("é🔑"));
    assert_eq!(request.key_usage, Some(KeyUsage::SignVerify));
    assert_eq!(request.customer_master_key_spec, Some(KeySpec::Sm2));
    assert_eq!(request.key_spec, Some(KeySpec::MlKem1024));
    assert_eq!(request.origin, Some(Origin::External));
    assert_eq!(request.custom_key_store_id.as_deref(), Some("cks-1"));
    assert!(request.bypass_policy_lockout_safety_check && request.multi_region);
    let tags: Vec<(&str, &str)> = request.tags.iter().map(|t| (&*t.key, &*t.value)).collect();
    assert_eq!(tags, [("a", ""), ("b", "c")]);
    assert_eq!(request.xks_key_id.as_deref(), Some("a.b-c_1"));

    let request = parsed!(
        Decrypt,
        json!({
            "CiphertextBlob": "AQID", "EncryptionContext": {"a": "b"}, "GrantTokens": ["t", "u"],
            "KeyId": "k", "EncryptionAlgorithm": "RSAES_OAEP_SHA_1", "Recipient": recipient,
            "DryRun": true, "DryRunModifiers": ["IGNORE_CIPHERTEXT"],
        })
    );
    assert_eq!(
        request.ciphertext_blob.as_deref(),
        Some([1, 2, 3].as_slice())
    );
    assert_eq!(request.encryption_context.get("a"), Some("b"));
    assert_eq!(request.grant_tokens, ["t", "u"]);
    assert_eq!(request.key_id.as_deref(), Some("k"));
    assert_eq!(
        request.encryption_algorithm,
        Some(EncryptionAlgorithm::RsaesOaepSha1)
    );
    let received = request.recipient.expect("a recipient");
    assert_eq!(
        received.key_encryption_algorithm,
        Some(KeyEncryptionAlgorithm::RsaesOaepSha256)
    );
    assert_eq!(
        received.attestation_document,
        Some(vec![0x84, 0x44, 0xa1, 0x01, 0x38, 0x22])
    );
    assert!(request.dry_run);
    assert_eq!(
        request.dry_run_modifiers,
        [DryRunModifier::IgnoreCiphertext]
    );

    // Plaintext whose base64 was escaped on the way, as PHP does.
    let body = br#"{"KeyId":"k","Plaintext":"\/\/\/\/","EncryptionContext":{},"DryRun":false}"#;
    let Ok(Request::Encrypt(request)) = parse(Name::Encrypt, body) else {
        panic!("not an Encrypt");
    };
    assert_eq!(request.plaintext.as_slice(), [0xff; 3]);
    assert!(request.encryption_context.is_empty() && !request.dry_run);

    let request = parsed!(
        GenerateDataKey,
        json!({
            "KeyId": "alias/a", "NumberOfBytes": 1024, "KeySpec": "AES_128", "Recipient": recipient,
        })
    );
    assert_eq!(
        (&*request.key_id, request.number_of_bytes),
        ("alias/a", Some(1024))
    );
    assert_eq!(request.key_spec, Some(DataKeySpec::Aes128));
    assert!(request.recipient.is_some() && request.grant_tokens.is_empty() && !request.dry_run);

    let request = parsed!(
        GenerateDataKeyPair,
        json!({"KeyId": "k", "KeyPairSpec": "ECC_NIST_P384"})
    );
    assert_eq!(request.key_pair_spec, KeyPairSpec::EccNistP384);
    assert!(request.recipient.is_none());

    let request = parsed!(
        Verify,
        json!({
            "KeyId": "k", "Message": "AQID", "MessageType": "EXTERNAL_MU", "Signature": "BAUG",
            "SigningAlgorithm": "ML_DSA_SHAKE_256", "GrantTokens": ["t"], "DryRun": true,
        })
    );
    assert_eq!(
        (request.message.as_slice(), request.signature.as_slice()),
        ([1, 2, 3].as_slice(), [4, 5, 6].as_slice())
    );
    assert_eq!(request.message_type, Some(MessageType::ExternalMu));
    assert_eq!(request.signing_algorithm, SigningAlgorithm::MlDsaShake256);
    assert!(request.dry_run && request.grant_tokens == ["t"]);

    let request = parsed!(
        ListKeys,
        json!({"Limit": 1, "Marker": "ÿ ", "ResourceOwners": ["SELF"]})
    );
    assert_eq!(
        (request.limit, request.marker.as_deref()),
        (Some(1), Some("ÿ "))
    );
    assert_eq!(request.resource_owners, [ResourceOwner::Caller]);

    let request = parsed!(
        ReEncrypt,
        json!({
            "SourceKeyId": "s", "DestinationKeyId": "d",
            "SourceEncryptionContext": {"s": "1"}, "DestinationEncryptionContext": {"d": "2"},
            "SourceEncryptionAlgorithm": "SM2PKE", "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        })
    );
    assert_eq!(
        (
            request.source_key_id.as_deref(),
            &*request.destination_key_id
        ),
        (Some("s"), "d")
    );
    assert_eq!(request.source_encryption_context.get("s"), Some("1"));
    assert_eq!(request.destination_encryption_context.get("d"), Some("2"));
    assert_eq!(
        request.source_encryption_algorithm,
        Some(EncryptionAlgorithm::Sm2Pke)
    );
    assert_eq!(
        request.destination_encryption_algorithm,
        Some(EncryptionAlgorithm::SymmetricDefault)
    );
}

#[test]
fn unknown_members_are_ignored_and_the_last_of_two_counts() {
    let body = br#"{"KeyId":7,"Unknown":[{"deep":[null]}],"KeyId":"k","keyid":[],
        "EncryptionContext":{"a":"1","b":"2","a":"3"}}"#;
    let Ok(Request::GenerateDataKey(request)) = parse(Name::GenerateDataKey, body) else {
        panic!("not a GenerateDataKey");
    };
    assert_eq!(request.key_id, "k");
    let context: Vec<_> = request.encryption_context.iter().collect();
    assert_eq!(context, [("a", "3"), ("b", "2")]);
}

#[test]
fn members_of_the_wrong_json_type_end_in_a_serialization_error() {
    let list = "Start of list found where not expected";
    let structure = "Start of structure or map found where not expected.";
    let cases: Vec<(Value, &str)> = vec![
        (
            json!({"KeyId": 1}),
            "NUMBER_VALUE can not be converted to a String",
        ),
        (
            json!({"KeyId": 1.5}),
            "NUMBER_VALUE can not be converted to a String",
        ),
        (
            json!({"KeyId": true}),
            "TRUE_VALUE can not be converted to a String",
        ),
        (
            json!({"KeyId": false}),
            "FALSE_VALUE can not be converted to a String",
        ),
        (json!({"KeyId": []}), list),
        (json!({"KeyId": {}}), structure),
        (
            json!({"KeySpec": 256}),
            "NUMBER_VALUE can not be converted to a String",
        ),
        (
            json!({"NumberOfBytes": "32"}),
            "STRING_VALUE can not be converted to an Integer",
        ),
        (
            json!({"NumberOfBytes": true}),
            "TRUE_VALUE can not be converted to an Integer",
        ),
        (json!({"NumberOfBytes": {}}), structure),
        (
            json!({"DryRun": "true"}),
            "STRING_VALUE can not be converted to a Boolean",
        ),
        (
            json!({"DryRun": 1}),
            "NUMBER_VALUE can not be converted to a Boolean",
        ),
        (json!({"GrantTokens": "t"}), "Expected list or null"),
        (json!({"GrantTokens": {}}), structure),
        (
            json!({"GrantTokens": ["t", 1]}),
            "NUMBER_VALUE can not be converted to a String",
        ),
        (json!({"EncryptionContext": "a=b"}), "Expected map or null"),
        (json!({"EncryptionContext": []}), list),
        (
            json!({"EncryptionContext": {"a": 1}}),
            "NUMBER_VALUE can not be converted to a String",
        ),
        (json!({"EncryptionContext": {"a": {}}}), structure),
        (json!({"Recipient": "document"}), "Expected null"),
        (json!({"Recipient": []}), list),
        (
            json!({"Recipient": {"AttestationDocument": 1}}),
            "NUMBER_VALUE can not be converted to a Blob",
        ),
        (json!({"Recipient": {"KeyEncryptionAlgorithm": []}}), list),
    ];
    for (body, message) in cases {
        let expected = Some(KmsError::Serialization(message.to_owned().into()));
        assert_eq!(error(Name::GenerateDataKey, &body), expected, "{body}");
    }
    let tags = |tags: Value| error(Name::CreateKey, &json!({ "Tags": tags }));
    let serialization = |message: &'static str| Some(KmsError::Serialization(message.into()));
    assert_eq!(tags(json!("a")), serialization("Expected list or null"));
    assert_eq!(tags(json!(["a"])), serialization("Expected null"));
    assert_eq!(tags(json!([[]])), serialization(list));
}

#[test]
fn blobs_are_strict_base64_and_never_repeated() {
    let decoded = |text: &str| {
        parse(
            Name::Decrypt,
            json!({"CiphertextBlob": text}).to_string().as_bytes(),
        )
        .err()
    };
    for text in ["AQ==", "AQI=", "AQID", "+/+/"] {
        assert_eq!(decoded(text), None, "{text}");
    }
    for text in [
        "AQ", "AQ=", "AQI", "A", "AR==", "AQ=A", "=AQI", "A-_A", "AQID\n", " AQID", "AQIDé", "\0",
    ] {
        let expected = KmsError::Serialization("Invalid Base64 encoding of a Blob".into());
        assert_eq!(decoded(text), Some(expected), "{text}");
    }
}

#[test]
fn violations_are_told_as_aws_tells_them() {
    let generate = |body: Value| error(Name::GenerateDataKey, &body);
    let with = |member: &str, value: Value| generate(json!({"KeyId": "k", member: value}));

    assert_eq!(
        with("NumberOfBytes", json!(1025)),
        violation(
            "Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024"
        )
    );
    for (number, shown) in [
        ("0", "0"),
        ("-1", "-1"),
        ("0.5", "0"),
        ("-1e99", "-2147483648"),
    ] {
        let body = format!(r#"{{"KeyId":"k","NumberOfBytes":{number}}}"#);
        assert_eq!(
            parse(Name::GenerateDataKey, body.as_bytes()).err(),
            violation(&format!(
                "Value '{shown}' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1"
            ))
        );
    }
    assert_eq!(
        with("NumberOfBytes", json!(u64::MAX)),
        violation(
            "Value '2147483647' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024"
        )
    );
    assert_eq!(
        with("KeySpec", json!("AES_512")),
        violation(
            "Value 'AES_512' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [RSA_2048, RSA_3072, RSA_4096, ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521, ECC_SECG_P256K1, ECC_NIST_EDWARDS25519, SYMMETRIC_DEFAULT, HMAC_224, HMAC_256, HMAC_384, HMAC_512, SM2, ML_DSA_44, ML_DSA_65, ML_DSA_87, ML_KEM_512, ML_KEM_768, ML_KEM_1024]"
        )
    );
    for (id, what) in [
        (
            "",
            "2 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '' at 'keyId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^\\p{ASCII}+$",
        ),
        (
            "キー",
            "1 validation error detected: Value 'キー' at 'keyId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^\\p{ASCII}+$",
        ),
    ] {
        assert_eq!(
            generate(json!({"KeyId": id})),
            Some(KmsError::validation(what))
        );
    }
    let long = "a".repeat(2049);
    assert_eq!(
        generate(json!({"KeyId": long})),
        violation(&format!(
            "Value '{long}' at 'keyId' failed to satisfy constraint: Member must have length less than or equal to 2048"
        ))
    );
    let describe = |length| {
        let body = json!({"Description": "é".repeat(length)}).to_string();
        parse(Name::CreateKey, body.as_bytes()).is_ok()
    };
    assert!(
        describe(8192) && !describe(8193),
        "characters count, not bytes"
    );
    assert_eq!(
        with("GrantTokens", json!(vec!["a"; 11])),
        violation(
            "Value '[a, a, a, a, a, a, a, a, a, a, a]' at 'grantTokens' failed to satisfy constraint: Member must have length less than or equal to 10"
        )
    );
    assert_eq!(
        with("GrantTokens", json!(["a", ""])),
        violation(
            "Value '[a, ]' at 'grantTokens' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 8192, Member must have length greater than or equal to 1]"
        )
    );
    assert_eq!(
        with("GrantTokens", json!(["a", null])),
        violation(
            "Value '[a, null]' at 'grantTokens' failed to satisfy constraint: Member must satisfy constraint: [Member must not be null]"
        )
    );
    assert_eq!(
        with("EncryptionContext", json!({"a": "b", "c": null})),
        violation(
            "Value '{c=null}' at 'encryptionContext' failed to satisfy constraint: Map value must satisfy constraint: [Member must not be null]"
        )
    );
    assert_eq!(
        with(
            "Recipient",
            json!({"KeyEncryptionAlgorithm": "RSA", "AttestationDocument": "AQ=="})
        ),
        violation(
            "Value 'RSA' at 'recipient.keyEncryptionAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [RSAES_OAEP_SHA_256]"
        )
    );
    assert_eq!(
        with("Recipient", json!({"AttestationDocument": ""})),
        violation(
            "Value at 'recipient.attestationDocument' failed to satisfy constraint: Member must have length greater than or equal to 1"
        )
    );
    let document = "A".repeat(262_148 / 3 * 4);
    assert_eq!(
        with("Recipient", json!({"AttestationDocument": document})),
        violation(
            "Value at 'recipient.attestationDocument' failed to satisfy constraint: Member must have length less than or equal to 262144"
        )
    );
    assert_eq!(
        error(Name::Decrypt, &json!({"CiphertextBlob": "A".repeat(8196)})),
        violation(
            "Value at 'ciphertextBlob' failed to satisfy constraint: Member must have length less than or equal to 6144"
        )
    );
    assert_eq!(
        error(Name::Encrypt, &json!({"KeyId": "k", "Plaintext": ""})),
        violation(
            "Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1"
        )
    );
    assert_eq!(
        error(
            Name::Encrypt,
            &json!({"KeyId": "k", "Plaintext": format!("{}AA==", "A".repeat(5464))})
        ),
        violation(
            "Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096"
        )
    );
    assert_eq!(
        error(
            Name::GenerateDataKeyPair,
            &json!({"KeyId": "k", "KeyPairSpec": "RSA_1024"})
        ),
        violation(
            "Value 'RSA_1024' at 'keyPairSpec' failed to satisfy constraint: Member must satisfy enum value set: [RSA_2048, RSA_3072, RSA_4096, ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521, ECC_SECG_P256K1, SM2, ECC_NIST_EDWARDS25519, ML_KEM_512, ML_KEM_768, ML_KEM_1024]"
        )
    );
    assert_eq!(
        error(
            Name::CreateAlias,
            &json!({"AliasName": "alias/a b", "TargetKeyId": "k"})
        ),
        violation(
            "Value 'alias/a b' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
        )
    );
    assert_eq!(
        error(Name::ListKeys, &json!({"ResourceOwners": ["SELF", "ME"]})),
        violation(
            "Value '[SELF, ME]' at 'resourceOwners' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [SELF, OTHER_ACCOUNTS_VIA_RAM]]"
        )
    );
    assert_eq!(
        error(Name::ListKeys, &json!({"ResourceOwners": []})),
        violation(
            "Value '[]' at 'resourceOwners' failed to satisfy constraint: Member must have length greater than or equal to 1"
        )
    );
    assert_eq!(
        error(Name::ListAliases, &json!({"Marker": ""})),
        violation(
            "Value '' at 'marker' failed to satisfy constraint: Member must have length greater than or equal to 1"
        )
    );
    assert_eq!(
        error(Name::CreateKey, &json!({"CustomerMasterKeySpec": "ML_DSA_44"})).map(|e| e.to_string().contains("at 'customerMasterKeySpec' failed to satisfy constraint: Member must satisfy enum value set: [RSA_2048,")),
        Some(true)
    );
    assert_eq!(
        error(
            Name::ScheduleKeyDeletion,
            &json!({"KeyId": "k", "PendingWindowInDays": 366})
        ),
        violation(
            "Value '366' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value less than or equal to 365"
        )
    );
    assert_eq!(
        error(
            Name::CreateKey,
            &json!({"Tags": [{"TagKey": "a", "TagValue": "b"}, {"TagKey": "", "TagValue": "c"}, null]})
        ),
        Some(KmsError::validation(
            "2 validation errors detected: Value '' at 'tags.2.member.tagKey' failed to satisfy constraint: Member must have length greater than or equal to 1; Value null at 'tags.3.member' failed to satisfy constraint: Member must not be null"
        ))
    );
    assert_eq!(
        error(Name::UpdateAlias, &json!({"AliasName": ""})),
        Some(KmsError::validation(
            "3 validation errors detected: Value '' at 'aliasName' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$; Value null at 'targetKeyId' failed to satisfy constraint: Member must not be null"
        ))
    );
}

#[test]
fn messages_stay_short_whatever_is_sent() {
    let megabyte = "x".repeat(1_000_000);
    let control = "\0".repeat(150_000);
    let requests = [
        (Name::DescribeKey, json!({"KeyId": megabyte})),
        (
            Name::CreateAlias,
            json!({"AliasName": megabyte, "TargetKeyId": control}),
        ),
        (
            Name::CreateKey,
            json!({"KeySpec": megabyte, "Origin": megabyte, "Policy": control}),
        ),
        (
            Name::CreateKey,
            json!({"Tags": vec![json!({"TagKey": "k".repeat(200)}); 3000]}),
        ),
        (
            Name::Decrypt,
            json!({"GrantTokens": vec!["t".repeat(9000); 100]}),
        ),
        (
            Name::Decrypt,
            json!({"EncryptionContext": {megabyte.as_str(): null}}),
        ),
    ];
    for (operation, body) in requests {
        let message = error(operation, &body).expect("violations").to_string();
        assert!(
            message.len() < 64 * 1024,
            "{operation}: {} bytes",
            message.len()
        );
        assert!(
            message.contains("failed to satisfy constraint"),
            "{message}"
        );
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[A-Za-z0-9+/]{0,12}={0,2}".prop_map(Value::from),
        Just(json!("AES_256")),
    ];
    scalar.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map("[A-Za-z]{1,12}", inner, 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        (operation, _, _) in proptest::sample::select(MODEL),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = parse(operation, &body);
    }

    #[test]
    fn no_json_makes_it_panic_and_errors_are_the_callers(
        (operation, members, _) in proptest::sample::select(MODEL),
        values in proptest::collection::vec(json_value(), 12),
    ) {
        let body: serde_json::Map<_, _> = members.split(' ').map(str::to_owned).zip(values).collect();
        let error = error(operation, &Value::from(body));
        prop_assert!(
            matches!(error, None | Some(KmsError::Serialization(_) | KmsError::Validation(_))),
            "{error:?}"
        );
    }
}
