//! Encryption under a KMS key, for those who hold a permit.

use attestation::rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::ciphertext::{self, Header};
use crate::error::KmsError;
use crate::key::BackingKeyId;
use crate::permit::{Action, Permit, action};
use crate::protocol::EncryptionContext;

/// Actions that let a caller encrypt under a key.
pub(super) trait Encrypting: Action {}

impl Encrypting for action::Encrypt {}
impl Encrypting for action::GenerateDataKey {}
impl Encrypting for action::GenerateDataKeyPair {}
impl Encrypting for action::GenerateDataKeyPairWithoutPlaintext {}
impl Encrypting for action::GenerateDataKeyWithoutPlaintext {}
impl Encrypting for action::ReEncryptTo {}

/// Actions that let a caller decrypt what a key encrypted.
pub(super) trait Decrypting: Action {}

impl Decrypting for action::Decrypt {}
impl Decrypting for action::ReEncryptFrom {}

/// A ciphertext, and the key material it was made with.
pub(super) struct Sealed {
    pub(super) blob: Vec<u8>,
    pub(super) material: BackingKeyId,
}

/// A plaintext, and the key material it was sealed with.
pub(super) struct Opened {
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    pub(super) material: BackingKeyId,
}

/// Encrypts under the current material of the permit's key.
///
/// # Errors
///
/// KMSInternalException if the key has no material, which its state should have said before.
pub(super) fn seal(
    permit: &Permit<impl Encrypting>,
    plaintext: &[u8],
    encryption_context: &EncryptionContext,
    random: &mut dyn CryptoRng,
) -> Result<Sealed, KmsError> {
    let key = permit.key();
    let backing = key
        .current()
        .ok_or_else(|| KmsError::KmsInternal("The key has no key material.".into()))?;
    Ok(Sealed {
        blob: ciphertext::seal(backing, key.id(), plaintext, encryption_context, random)?,
        material: *backing.id(),
    })
}

/// Decrypts what the permit's key encrypted.
///
/// # Errors
///
/// InvalidCiphertextException, without a word on the reason, for whatever does not open.
pub(super) fn open(
    permit: &Permit<impl Decrypting>,
    blob: &[u8],
    encryption_context: &EncryptionContext,
) -> Result<Opened, KmsError> {
    let key = permit.key();
    let backing = Header::parse(blob)
        .filter(|header| header.key_id == key.id())
        .and_then(|header| key.backing_key(&header.backing_id))
        .ok_or(KmsError::InvalidCiphertext)?;
    Ok(Opened {
        plaintext: ciphertext::open(blob, backing, encryption_context)?,
        material: *backing.id(),
    })
}
