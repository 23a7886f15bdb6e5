//! What a key may be used for: its usage, its state, and the algorithms that go with its spec. AWS
//! looks at them in this order.

use std::fmt::Display;

use crate::error::KmsError;
use crate::key::Key;
use crate::protocol::OperationName;
use crate::protocol::spec::{
    EncapsulationAlgorithm, EncryptionAlgorithm, GrantOperation, KeyAgreementAlgorithm, KeySpec,
    KeyUsage, MacAlgorithm, SigningAlgorithm,
};

use super::key_state::{self, Row};

/// Lets a key pass that can be used to encrypt and decrypt with this algorithm.
///
/// # Errors
///
/// InvalidKeyUsageException for the usage, the error of the key's state, and
/// InvalidKeyUsageException for the algorithm.
pub(super) fn require_encryption(
    operation: OperationName,
    algorithm: EncryptionAlgorithm,
    key: &Key,
) -> Result<(), KmsError> {
    require_usable(operation, KeyUsage::EncryptDecrypt, key)?;
    require_algorithm(algorithm, encryption_algorithms(key.spec, key.usage), key)
}

/// Lets a key pass that data keys can be encrypted under.
///
/// # Errors
///
/// InvalidKeyUsageException for the usage, the error of the key's state, and
/// InvalidKeyUsageException for a key that is not symmetric.
pub(super) fn require_data_key_encryption(
    operation: OperationName,
    key: &Key,
) -> Result<(), KmsError> {
    require_usable(operation, KeyUsage::EncryptDecrypt, key)?;
    if key.spec != KeySpec::SymmetricDefault {
        return Err(KmsError::InvalidKeyUsage(
            "You cannot generate a data key with an asymmetric CMK".into(),
        ));
    }
    Ok(())
}

/// Lets a key pass that can be used to sign and verify with this algorithm.
///
/// # Errors
///
/// Those of [`require_encryption`].
pub(super) fn require_signing(
    operation: OperationName,
    algorithm: SigningAlgorithm,
    key: &Key,
) -> Result<(), KmsError> {
    require_usable(operation, KeyUsage::SignVerify, key)?;
    require_algorithm(algorithm, signing_algorithms(key.spec, key.usage), key)
}

/// Lets a key pass that can be used to make and verify MACs with this algorithm.
///
/// # Errors
///
/// Those of [`require_encryption`].
pub(super) fn require_mac(
    operation: OperationName,
    algorithm: MacAlgorithm,
    key: &Key,
) -> Result<(), KmsError> {
    require_usable(operation, KeyUsage::GenerateVerifyMac, key)?;
    require_algorithm(algorithm, mac_algorithms(key.spec), key)
}

/// Lets a key pass that can be used for key agreement with this algorithm.
///
/// # Errors
///
/// Those of [`require_encryption`].
pub(super) fn require_agreement(
    operation: OperationName,
    algorithm: KeyAgreementAlgorithm,
    key: &Key,
) -> Result<(), KmsError> {
    require_usable(operation, KeyUsage::KeyAgreement, key)?;
    require_algorithm(algorithm, key_agreement_algorithms(key.usage), key)
}

/// Lets a key pass that can be used to encapsulate and decapsulate with this algorithm.
///
/// # Errors
///
/// Those of [`require_encryption`].
pub(super) fn require_encapsulation(
    operation: OperationName,
    algorithm: EncapsulationAlgorithm,
    key: &Key,
) -> Result<(), KmsError> {
    require_usable(operation, KeyUsage::EncapsulateDecapsulate, key)?;
    require_algorithm(algorithm, encapsulation_algorithms(key.usage), key)
}

/// Lets a key pass that has a public half.
///
/// # Errors
///
/// UnsupportedOperationException for symmetric and MAC keys. AWS does not say more of them.
pub(super) fn require_asymmetric(key: &Key) -> Result<(), KmsError> {
    if key.spec == KeySpec::SymmetricDefault || !mac_algorithms(key.spec).is_empty() {
        return Err(KmsError::UnsupportedOperation("".into()));
    }
    Ok(())
}

/// Lets a key pass whose usage and state allow the operation.
fn require_usable(operation: OperationName, usage: KeyUsage, key: &Key) -> Result<(), KmsError> {
    if key.usage == usage {
        return key_state::require(Row::Use, key);
    }
    Err(KmsError::InvalidKeyUsage(
        format!(
            "{} key usage is {} which is not valid for {operation}.",
            key.arn(),
            key.usage
        )
        .into(),
    ))
}

fn require_algorithm<A: Display + PartialEq>(
    algorithm: A,
    algorithms: &[A],
    key: &Key,
) -> Result<(), KmsError> {
    if algorithms.contains(&algorithm) {
        return Ok(());
    }
    Err(KmsError::InvalidKeyUsage(
        format!(
            "Algorithm {algorithm} is incompatible with key spec {}.",
            key.spec
        )
        .into(),
    ))
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

/// The signing algorithms of a key, none if it is not for signatures.
pub(super) fn signing_algorithms(spec: KeySpec, usage: KeyUsage) -> &'static [SigningAlgorithm] {
    if usage != KeyUsage::SignVerify {
        return &[];
    }
    match spec {
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => &[
            SigningAlgorithm::RsassaPkcs1V1_5Sha256,
            SigningAlgorithm::RsassaPkcs1V1_5Sha384,
            SigningAlgorithm::RsassaPkcs1V1_5Sha512,
            SigningAlgorithm::RsassaPssSha256,
            SigningAlgorithm::RsassaPssSha384,
            SigningAlgorithm::RsassaPssSha512,
        ],
        KeySpec::EccNistP256 | KeySpec::EccSecgP256k1 => &[SigningAlgorithm::EcdsaSha256],
        KeySpec::EccNistP384 => &[SigningAlgorithm::EcdsaSha384],
        KeySpec::EccNistP521 => &[SigningAlgorithm::EcdsaSha512],
        KeySpec::EccNistEdwards25519 => &[
            SigningAlgorithm::Ed25519Sha512,
            SigningAlgorithm::Ed25519PhSha512,
        ],
        KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => {
            &[SigningAlgorithm::MlDsaShake256]
        }
        KeySpec::Sm2 => &[SigningAlgorithm::Sm2Dsa],
        KeySpec::SymmetricDefault
        | KeySpec::Hmac224
        | KeySpec::Hmac256
        | KeySpec::Hmac384
        | KeySpec::Hmac512
        | KeySpec::MlKem512
        | KeySpec::MlKem768
        | KeySpec::MlKem1024 => &[],
    }
}

/// The MAC algorithms of a key, none if it is not for MACs.
pub(super) fn mac_algorithms(spec: KeySpec) -> &'static [MacAlgorithm] {
    match spec {
        KeySpec::Hmac224 => &[MacAlgorithm::HmacSha224],
        KeySpec::Hmac256 => &[MacAlgorithm::HmacSha256],
        KeySpec::Hmac384 => &[MacAlgorithm::HmacSha384],
        KeySpec::Hmac512 => &[MacAlgorithm::HmacSha512],
        _ => &[],
    }
}

/// The key agreement algorithms of a key, none if it is not for key agreement.
pub(super) fn key_agreement_algorithms(usage: KeyUsage) -> &'static [KeyAgreementAlgorithm] {
    match usage {
        KeyUsage::KeyAgreement => &[KeyAgreementAlgorithm::Ecdh],
        _ => &[],
    }
}

/// The encapsulation algorithms of a key, none if it is not for encapsulation.
pub(super) fn encapsulation_algorithms(usage: KeyUsage) -> &'static [EncapsulationAlgorithm] {
    match usage {
        KeyUsage::EncapsulateDecapsulate => &[EncapsulationAlgorithm::MlKem],
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
