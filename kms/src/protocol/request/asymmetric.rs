//! The requests that use keys other than for symmetric encryption: signatures, MACs, shared
//! secrets, public keys.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::error::KmsError;
use crate::protocol::members::Members;
use crate::protocol::spec::{
    EncapsulationAlgorithm, KeyAgreementAlgorithm, MacAlgorithm, MessageType, SigningAlgorithm,
};

use super::{Recipient, shape};

/// Sign.
pub struct Sign<'a> {
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// What to sign.
    pub message: Zeroizing<Vec<u8>>,
    /// What kind of message it is; RAW when absent.
    pub message_type: Option<MessageType>,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// The algorithm.
    pub signing_algorithm: SigningAlgorithm,
    /// Whether to stop before the operation.
    pub dry_run: bool,
}

impl<'a> Sign<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            message: members.required_secret("Message", shape::PLAINTEXT)?,
            message_type: members.choice("MessageType")?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            signing_algorithm: members
                .required_choice("SigningAlgorithm", SigningAlgorithm::EcdsaSha256)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}

/// Verify.
pub struct Verify<'a> {
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// What was signed.
    pub message: Zeroizing<Vec<u8>>,
    /// What kind of message it is; RAW when absent.
    pub message_type: Option<MessageType>,
    /// The signature.
    pub signature: Vec<u8>,
    /// The algorithm.
    pub signing_algorithm: SigningAlgorithm,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
}

impl<'a> Verify<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            message: members.required_secret("Message", shape::PLAINTEXT)?,
            message_type: members.choice("MessageType")?,
            signature: members.required_blob("Signature", shape::CIPHERTEXT)?,
            signing_algorithm: members
                .required_choice("SigningAlgorithm", SigningAlgorithm::EcdsaSha256)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}

/// GetPublicKey.
pub struct GetPublicKey<'a> {
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
}

impl<'a> GetPublicKey<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
        })
    }
}

/// GenerateMac.
pub struct GenerateMac<'a> {
    /// What to authenticate.
    pub message: Zeroizing<Vec<u8>>,
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// The algorithm.
    pub mac_algorithm: MacAlgorithm,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
}

impl<'a> GenerateMac<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            message: members.required_secret("Message", shape::PLAINTEXT)?,
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            mac_algorithm: members.required_choice("MacAlgorithm", MacAlgorithm::HmacSha256)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}

/// VerifyMac.
pub struct VerifyMac<'a> {
    /// What was authenticated.
    pub message: Zeroizing<Vec<u8>>,
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// The algorithm.
    pub mac_algorithm: MacAlgorithm,
    /// The MAC.
    pub mac: Vec<u8>,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
}

impl<'a> VerifyMac<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            message: members.required_secret("Message", shape::PLAINTEXT)?,
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            mac_algorithm: members.required_choice("MacAlgorithm", MacAlgorithm::HmacSha256)?,
            mac: members.required_blob("Mac", shape::CIPHERTEXT)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}

/// DeriveSharedSecret.
pub struct DeriveSharedSecret<'a> {
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// The algorithm.
    pub key_agreement_algorithm: KeyAgreementAlgorithm,
    /// The peer's public key (SubjectPublicKeyInfo).
    pub public_key: Vec<u8>,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
    /// Whom the secret is to be sealed for.
    pub recipient: Option<Recipient>,
}

impl<'a> DeriveSharedSecret<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            key_agreement_algorithm: members
                .required_choice("KeyAgreementAlgorithm", KeyAgreementAlgorithm::Ecdh)?,
            public_key: members.required_blob("PublicKey", shape::PUBLIC_KEY)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            dry_run: members.flag("DryRun")?,
            recipient: members.structure("Recipient", Recipient::read)?,
        })
    }
}

/// Encapsulate.
pub struct Encapsulate<'a> {
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// The algorithm.
    pub encapsulation_algorithm: EncapsulationAlgorithm,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
}

impl<'a> Encapsulate<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            encapsulation_algorithm: members
                .required_choice("EncapsulationAlgorithm", EncapsulationAlgorithm::MlKem)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}

/// Decapsulate.
pub struct Decapsulate<'a> {
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// The encapsulated secret.
    pub shared_secret_ciphertext_blob: Vec<u8>,
    /// The algorithm.
    pub encapsulation_algorithm: EncapsulationAlgorithm,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
}

impl<'a> Decapsulate<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            shared_secret_ciphertext_blob: members
                .required_blob("SharedSecretCiphertextBlob", shape::CIPHERTEXT)?,
            encapsulation_algorithm: members
                .required_choice("EncapsulationAlgorithm", EncapsulationAlgorithm::MlKem)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}
