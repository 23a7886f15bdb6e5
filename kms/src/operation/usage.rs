//! What a key may be used for: its usage, and the algorithms that go with its spec.

use crate::error::KmsError;
use crate::key::Key;
use crate::protocol::OperationName;
use crate::protocol::spec::{EncryptionAlgorithm, GrantOperation, KeySpec, KeyUsage};

/// Lets a key pass whose usage and spec fit encryption with this algorithm.
///
/// # Errors
///
/// InvalidKeyUsageException, first for the usage, then for the algorithm.
pub(super) fn require_encryption(
    operation: OperationName,
    algorithm: EncryptionAlgorithm,
    key: &Key,
) -> Result<(), KmsError> {
    if key.usage != KeyUsage::EncryptDecrypt {
        return Err(KmsError::InvalidKeyUsage(
            format!(
                "{} key usage is {} which is not valid for {operation}.",
                key.arn(),
                key.usage
            )
            .into(),
        ));
    }
    if !encryption_algorithms(key.spec, key.usage).contains(&algorithm) {
        return Err(KmsError::InvalidKeyUsage(
            format!(
                "Algorithm {algorithm} is incompatible with key spec {}.",
                key.spec
            )
            .into(),
        ));
    }
    Ok(())
}

/// Lets a key pass that can have encrypted what is to be decrypted.
///
/// # Errors
///
/// IncorrectKeyException for a key of another usage: here AWS does not speak of usage.
/// InvalidKeyUsageException for an algorithm that is not the key's.
pub(super) fn require_decryption(
    operation: OperationName,
    algorithm: EncryptionAlgorithm,
    key: &Key,
) -> Result<(), KmsError> {
    if key.usage != KeyUsage::EncryptDecrypt {
        return Err(KmsError::IncorrectKey);
    }
    require_encryption(operation, algorithm, key)
}

/// The encryption algorithms of a key, none if it is not for encryption.
pub(super) fn encryption_algorithms(
    spec: KeySpec,
    usage: KeyUsage,
) -> &'static [EncryptionAlgorithm] {
    match (usage, spec) {
        (KeyUsage::EncryptDecrypt, KeySpec::SymmetricDefault) => {
            &[EncryptionAlgorithm::SymmetricDefault]
        }
        (KeyUsage::EncryptDecrypt, KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096) => &[
            EncryptionAlgorithm::RsaesOaepSha1,
            EncryptionAlgorithm::RsaesOaepSha256,
        ],
        (KeyUsage::EncryptDecrypt, KeySpec::Sm2) => &[EncryptionAlgorithm::Sm2Pke],
        _ => &[],
    }
}

/// Whether what is encrypted under keys of a spec can be bound to an encryption context.
pub(super) fn takes_encryption_context(spec: KeySpec) -> bool {
    spec == KeySpec::SymmetricDefault
}

/// What a grant on a key can allow.
pub(super) fn grant_operations(spec: KeySpec, usage: KeyUsage) -> &'static [GrantOperation] {
    use GrantOperation::{
        CreateGrant, Decapsulate, Decrypt, DeriveSharedSecret, DescribeKey, Encapsulate, Encrypt,
        GenerateDataKey, GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext,
        GenerateDataKeyWithoutPlaintext, GenerateMac, GetPublicKey, ReEncryptFrom, ReEncryptTo,
        RetireGrant, Sign, Verify, VerifyMac,
    };
    match (usage, spec) {
        (KeyUsage::EncryptDecrypt, KeySpec::SymmetricDefault) => &[
            CreateGrant,
            Decrypt,
            DescribeKey,
            Encrypt,
            GenerateDataKey,
            GenerateDataKeyPair,
            GenerateDataKeyPairWithoutPlaintext,
            GenerateDataKeyWithoutPlaintext,
            ReEncryptFrom,
            ReEncryptTo,
            RetireGrant,
        ],
        (KeyUsage::EncryptDecrypt, _) => &[
            CreateGrant,
            Decrypt,
            DescribeKey,
            Encrypt,
            GetPublicKey,
            ReEncryptFrom,
            ReEncryptTo,
            RetireGrant,
        ],
        (KeyUsage::SignVerify, _) => &[
            CreateGrant,
            DescribeKey,
            GetPublicKey,
            RetireGrant,
            Sign,
            Verify,
        ],
        (KeyUsage::GenerateVerifyMac, _) => &[
            CreateGrant,
            DescribeKey,
            GenerateMac,
            RetireGrant,
            VerifyMac,
        ],
        (KeyUsage::KeyAgreement, _) => &[
            CreateGrant,
            DeriveSharedSecret,
            DescribeKey,
            GetPublicKey,
            RetireGrant,
        ],
        (KeyUsage::EncapsulateDecapsulate, _) => &[
            CreateGrant,
            Decapsulate,
            DescribeKey,
            Encapsulate,
            GetPublicKey,
            RetireGrant,
        ],
    }
}

/// The usages that keys of a spec can have; the first is the default where AWS has one.
pub(super) fn usages(spec: KeySpec) -> &'static [KeyUsage] {
    match spec {
        KeySpec::SymmetricDefault => &[KeyUsage::EncryptDecrypt],
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => {
            &[KeyUsage::EncryptDecrypt, KeyUsage::SignVerify]
        }
        KeySpec::EccNistP256 | KeySpec::EccNistP384 | KeySpec::EccNistP521 => {
            &[KeyUsage::SignVerify, KeyUsage::KeyAgreement]
        }
        KeySpec::EccSecgP256k1
        | KeySpec::EccNistEdwards25519
        | KeySpec::MlDsa44
        | KeySpec::MlDsa65
        | KeySpec::MlDsa87 => &[KeyUsage::SignVerify],
        KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => {
            &[KeyUsage::GenerateVerifyMac]
        }
        KeySpec::Sm2 => &[
            KeyUsage::EncryptDecrypt,
            KeyUsage::SignVerify,
            KeyUsage::KeyAgreement,
        ],
        KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => {
            &[KeyUsage::EncapsulateDecapsulate]
        }
    }
}
