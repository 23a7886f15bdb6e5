//! The requests that use a key: encryption, data keys, random bytes.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::error::KmsError;
use crate::protocol::EncryptionContext;
use crate::protocol::members::Members;
use crate::protocol::spec::{
    DataKeySpec, DryRunModifier, EncryptionAlgorithm, KeyPairSpec, KeySpec,
};

use super::{Recipient, shape};

/// Encrypt.
pub struct Encrypt<'a> {
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// What to encrypt.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The encryption context to bind the ciphertext to.
    pub encryption_context: EncryptionContext<'a>,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// The algorithm; SYMMETRIC_DEFAULT when absent.
    pub encryption_algorithm: Option<EncryptionAlgorithm>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
}

impl<'a> Encrypt<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            plaintext: members.required_secret("Plaintext", shape::PLAINTEXT)?,
            encryption_context: members.context("EncryptionContext")?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            encryption_algorithm: members.choice("EncryptionAlgorithm")?,
            dry_run: members.flag("DryRun")?,
        })
    }
}

/// Decrypt.
pub struct Decrypt<'a> {
    /// The ciphertext; may be absent only in a dry run that ignores it.
    pub ciphertext_blob: Option<Vec<u8>>,
    /// The encryption context it was encrypted under.
    pub encryption_context: EncryptionContext<'a>,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// The key that must have encrypted it.
    pub key_id: Option<Cow<'a, str>>,
    /// The algorithm; SYMMETRIC_DEFAULT when absent.
    pub encryption_algorithm: Option<EncryptionAlgorithm>,
    /// Whom the plaintext is to be sealed for.
    pub recipient: Option<Recipient>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
    /// What a dry run leaves out.
    pub dry_run_modifiers: Vec<DryRunModifier>,
}

impl<'a> Decrypt<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            ciphertext_blob: members.blob("CiphertextBlob", shape::CIPHERTEXT)?,
            encryption_context: members.context("EncryptionContext")?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            key_id: members.text("KeyId", &shape::KEY_ID)?,
            encryption_algorithm: members.choice("EncryptionAlgorithm")?,
            recipient: members.structure("Recipient", Recipient::read)?,
            dry_run: members.flag("DryRun")?,
            dry_run_modifiers: members.choices("DryRunModifiers", shape::ANY_NUMBER)?,
        })
    }
}

/// ReEncrypt.
pub struct ReEncrypt<'a> {
    /// The ciphertext; may be absent only in a dry run that ignores it.
    pub ciphertext_blob: Option<Vec<u8>>,
    /// The encryption context it was encrypted under.
    pub source_encryption_context: EncryptionContext<'a>,
    /// The key that must have encrypted it.
    pub source_key_id: Option<Cow<'a, str>>,
    /// The key to encrypt under.
    pub destination_key_id: Cow<'a, str>,
    /// The encryption context to bind the new ciphertext to.
    pub destination_encryption_context: EncryptionContext<'a>,
    /// The algorithm to decrypt with; SYMMETRIC_DEFAULT when absent.
    pub source_encryption_algorithm: Option<EncryptionAlgorithm>,
    /// The algorithm to encrypt with; SYMMETRIC_DEFAULT when absent.
    pub destination_encryption_algorithm: Option<EncryptionAlgorithm>,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
    /// What a dry run leaves out.
    pub dry_run_modifiers: Vec<DryRunModifier>,
}

impl<'a> ReEncrypt<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            ciphertext_blob: members.blob("CiphertextBlob", shape::CIPHERTEXT)?,
            source_encryption_context: members.context("SourceEncryptionContext")?,
            source_key_id: members.text("SourceKeyId", &shape::KEY_ID)?,
            destination_key_id: members.required_text("DestinationKeyId", &shape::KEY_ID)?,
            destination_encryption_context: members.context("DestinationEncryptionContext")?,
            source_encryption_algorithm: members.choice("SourceEncryptionAlgorithm")?,
            destination_encryption_algorithm: members.choice("DestinationEncryptionAlgorithm")?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            dry_run: members.flag("DryRun")?,
            dry_run_modifiers: members.choices("DryRunModifiers", shape::ANY_NUMBER)?,
        })
    }
}

/// GenerateDataKey.
pub struct GenerateDataKey<'a> {
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// The encryption context to bind the ciphertext to.
    pub encryption_context: EncryptionContext<'a>,
    /// The data key's length in bytes; this or `key_spec`.
    pub number_of_bytes: Option<u16>,
    /// The data key's length by cipher; this or `number_of_bytes`.
    pub key_spec: Option<DataKeySpec>,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// Whom the plaintext is to be sealed for.
    pub recipient: Option<Recipient>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
}

impl<'a> GenerateDataKey<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            encryption_context: members.context("EncryptionContext")?,
            number_of_bytes: members.integer("NumberOfBytes", shape::NUMBER_OF_BYTES)?,
            key_spec: data_key_spec(members)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            recipient: members.structure("Recipient", Recipient::read)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}

/// A data key's cipher. To whoever names none, AWS lists what KMS keys can be made of.
fn data_key_spec(members: &mut Members<'_, '_>) -> Result<Option<DataKeySpec>, KmsError> {
    members.choice_listed_as::<_, KeySpec>("KeySpec")
}

/// GenerateDataKeyWithoutPlaintext.
pub struct GenerateDataKeyWithoutPlaintext<'a> {
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// The encryption context to bind the ciphertext to.
    pub encryption_context: EncryptionContext<'a>,
    /// The data key's length by cipher; this or `number_of_bytes`.
    pub key_spec: Option<DataKeySpec>,
    /// The data key's length in bytes; this or `key_spec`.
    pub number_of_bytes: Option<u16>,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
}

impl<'a> GenerateDataKeyWithoutPlaintext<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            encryption_context: members.context("EncryptionContext")?,
            key_spec: data_key_spec(members)?,
            number_of_bytes: members.integer("NumberOfBytes", shape::NUMBER_OF_BYTES)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}

/// GenerateDataKeyPair.
pub struct GenerateDataKeyPair<'a> {
    /// The encryption context to bind the private key's ciphertext to.
    pub encryption_context: EncryptionContext<'a>,
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// What the pair is made of.
    pub key_pair_spec: KeyPairSpec,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// Whom the private key is to be sealed for.
    pub recipient: Option<Recipient>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
}

impl<'a> GenerateDataKeyPair<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            encryption_context: members.context("EncryptionContext")?,
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            key_pair_spec: members.required_choice("KeyPairSpec", KeyPairSpec::Rsa2048)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            recipient: members.structure("Recipient", Recipient::read)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}

/// GenerateDataKeyPairWithoutPlaintext.
pub struct GenerateDataKeyPairWithoutPlaintext<'a> {
    /// The encryption context to bind the private key's ciphertext to.
    pub encryption_context: EncryptionContext<'a>,
    /// The key, in any of the four forms.
    pub key_id: Cow<'a, str>,
    /// What the pair is made of.
    pub key_pair_spec: KeyPairSpec,
    /// Grant tokens.
    pub grant_tokens: Vec<Cow<'a, str>>,
    /// Whether to stop before the operation.
    pub dry_run: bool,
}

impl<'a> GenerateDataKeyPairWithoutPlaintext<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            encryption_context: members.context("EncryptionContext")?,
            key_id: members.required_text("KeyId", &shape::KEY_ID)?,
            key_pair_spec: members.required_choice("KeyPairSpec", KeyPairSpec::Rsa2048)?,
            grant_tokens: members.texts("GrantTokens", shape::GRANT_TOKENS, &shape::GRANT_TOKEN)?,
            dry_run: members.flag("DryRun")?,
        })
    }
}

/// GenerateRandom.
pub struct GenerateRandom<'a> {
    /// How many bytes. AWS demands it after the shape checks, with a message of its own.
    pub number_of_bytes: Option<u16>,
    /// The custom key store to make them in.
    pub custom_key_store_id: Option<Cow<'a, str>>,
    /// Whom the bytes are to be sealed for.
    pub recipient: Option<Recipient>,
}

impl<'a> GenerateRandom<'a> {
    pub(super) fn read(members: &mut Members<'_, 'a>) -> Result<Self, KmsError> {
        Ok(Self {
            number_of_bytes: members.integer("NumberOfBytes", shape::NUMBER_OF_BYTES)?,
            custom_key_store_id: members.text("CustomKeyStoreId", &shape::CUSTOM_KEY_STORE_ID)?,
            recipient: members.structure("Recipient", Recipient::read)?,
        })
    }
}
