//! Encryption under a KMS key, for those who hold a permit.

use attestation::rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::ciphertext::{self, Header};
use crate::error::KmsError;
use crate::key::{BackingKeyId, Key};
use crate::material::{DecryptionKey, OaepHash};
use crate::permit::{Action, Permit, action};
use crate::protocol::EncryptionContext;
use crate::protocol::spec::EncryptionAlgorithm;

use super::Context;

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

/// A ciphertext of a symmetric key, and the key material it was made with.
pub(super) struct Sealed {
    pub(super) blob: Vec<u8>,
    pub(super) material: BackingKeyId,
}

/// A ciphertext, and the key material it was made with if that has an id: if it is symmetric.
pub(super) struct Encrypted {
    pub(super) blob: Vec<u8>,
    pub(super) material: Option<BackingKeyId>,
}

/// A plaintext, and the key material it was encrypted with if that has an id.
pub(super) struct Decrypted {
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    pub(super) material: Option<BackingKeyId>,
}

/// Lets pass what an algorithm, which is the key's, can encrypt.
///
/// # Errors
///
/// ValidationException for an encryption context that RSA can't bind to, and for more bytes than
/// fit into an RSA ciphertext.
pub(super) fn require_encryptable(
    permit: &Permit<impl Encrypting>,
    algorithm: EncryptionAlgorithm,
    plaintext: &[u8],
    encryption_context: &EncryptionContext<'_>,
) -> Result<(), KmsError> {
    let Some(hash) = oaep_hash(algorithm) else {
        return Ok(());
    };
    require_no_context(encryption_context)?;
    let most = rsa_key(permit.key())?.max_plaintext_len(hash);
    if plaintext.len() > most {
        return Err(KmsError::validation(format!(
            "Algorithm {algorithm} and key spec {} cannot encrypt data larger than {most} bytes.",
            permit.key().spec
        )));
    }
    Ok(())
}

/// Encrypts under the current material of the permit's key, with an algorithm that is the key's,
/// what [`require_encryptable`] let pass.
///
/// # Errors
///
/// KMSInternalException if the key has no material, which its state should have said before.
pub(super) fn encrypt(
    permit: &Permit<impl Encrypting>,
    algorithm: EncryptionAlgorithm,
    plaintext: &[u8],
    encryption_context: &EncryptionContext<'_>,
    random: &mut dyn CryptoRng,
) -> Result<Encrypted, KmsError> {
    if let Some(hash) = oaep_hash(algorithm) {
        return Ok(Encrypted {
            blob: rsa_key(permit.key())?.encrypt(hash, plaintext)?,
            material: None,
        });
    }
    let sealed = seal(permit, plaintext, encryption_context, random)?;
    Ok(Encrypted {
        blob: sealed.blob,
        material: Some(sealed.material),
    })
}

/// Decrypts what the permit's key encrypted, with an algorithm that is the key's.
///
/// # Errors
///
/// InvalidCiphertextException, without a word on the reason, for whatever does not open;
/// ValidationException for an encryption context that RSA can't have bound to.
pub(super) fn decrypt(
    context: &Context<'_>,
    permit: &Permit<impl Decrypting>,
    algorithm: EncryptionAlgorithm,
    blob: &[u8],
    encryption_context: &EncryptionContext<'_>,
) -> Result<Decrypted, KmsError> {
    if let Some(hash) = oaep_hash(algorithm) {
        require_no_context(encryption_context)?;
        let key = context.private_key(permit.key())?.decryption()?;
        let plaintext = key.decrypt(hash, blob);
        return Ok(Decrypted {
            plaintext: plaintext.ok_or(KmsError::InvalidCiphertext)?,
            material: None,
        });
    }
    open(permit, blob, encryption_context)
}

/// Encrypts under the current material of the permit's key, which is symmetric.
///
/// # Errors
///
/// KMSInternalException if the key has no material, which its state should have said before.
pub(super) fn seal(
    permit: &Permit<impl Encrypting>,
    plaintext: &[u8],
    encryption_context: &EncryptionContext<'_>,
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

/// Decrypts what the permit's key, which is symmetric, encrypted.
fn open(
    permit: &Permit<impl Decrypting>,
    blob: &[u8],
    encryption_context: &EncryptionContext<'_>,
) -> Result<Decrypted, KmsError> {
    let key = permit.key();
    let backing = Header::parse(blob)
        .filter(|header| header.key_id == key.id())
        .and_then(|header| key.backing_key(&header.backing_id))
        .ok_or(KmsError::InvalidCiphertext)?;
    Ok(Decrypted {
        plaintext: ciphertext::open(blob, backing, encryption_context)?,
        material: Some(*backing.id()),
    })
}

fn oaep_hash(algorithm: EncryptionAlgorithm) -> Option<OaepHash> {
    match algorithm {
        EncryptionAlgorithm::RsaesOaepSha1 => Some(OaepHash::Sha1),
        EncryptionAlgorithm::RsaesOaepSha256 => Some(OaepHash::Sha256),
        EncryptionAlgorithm::Sm2Pke | EncryptionAlgorithm::SymmetricDefault => None,
    }
}

fn rsa_key(key: &Key) -> Result<&DecryptionKey, KmsError> {
    Ok(key.current_material()?.private()?.decryption()?)
}

fn require_no_context(encryption_context: &EncryptionContext<'_>) -> Result<(), KmsError> {
    if encryption_context.is_empty() {
        return Ok(());
    }
    Err(KmsError::validation(
        "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.",
    ))
}
