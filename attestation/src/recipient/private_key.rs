//! The recipient's own half: the RSA key whose public part goes into the document.

use zeroize::Zeroizing;

use super::envelope::{Envelope, SKI_SIZE};
use super::key::RsaPublicKey;
use super::open::OpenError;
use crate::backend::Backend;
use crate::backend::aws_lc::RsaPrivateKey;

/// Why a private key was not made or not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientPrivateKeyError {
    /// Keys have 2048, 3072 or 4096 bits.
    #[error("a recipient key has 2048, 3072 or 4096 bits, not {0}")]
    Size(usize),
    /// The library did not make a key.
    #[error("no RSA key could be generated")]
    Generate,
    /// Not a PKCS #8 RSA private key that KMS would encrypt to.
    #[error("not the PKCS #8 DER of an RSA private key of 2048, 3072 or 4096 bits")]
    Pkcs8,
}

/// An RSA private key that opens what KMS seals to its public half.
///
/// AWS-LC does the private-key operations; there is no other implementation of this type,
/// because the portable one has a known timing leak (RUSTSEC-2023-0071).
pub struct RecipientPrivateKey {
    key: RsaPrivateKey,
    spki: Vec<u8>,
    ski: [u8; SKI_SIZE],
}

impl RecipientPrivateKey {
    /// A new key of 2048, 3072 or 4096 bits, from AWS-LC's own generator.
    ///
    /// # Errors
    /// For any other size, or if the generator fails.
    pub fn generate(bits: usize) -> Result<Self, RecipientPrivateKeyError> {
        if !matches!(bits, 2048 | 3072 | 4096) {
            return Err(RecipientPrivateKeyError::Size(bits));
        }
        let generate = RecipientPrivateKeyError::Generate;
        Self::new(RsaPrivateKey::generate(bits).map_err(|_| generate)?).ok_or(generate)
    }

    /// The key in a PKCS #8 `PrivateKeyInfo`, DER.
    ///
    /// # Errors
    /// If it is not an RSA key, or not one whose public half KMS would accept.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, RecipientPrivateKeyError> {
        let pkcs8 = RecipientPrivateKeyError::Pkcs8;
        Self::new(RsaPrivateKey::from_pkcs8(der).map_err(|_| pkcs8)?).ok_or(pkcs8)
    }

    fn new(key: RsaPrivateKey) -> Option<Self> {
        let spki = key.public_key_spki().ok()?;
        RsaPublicKey::from_spki(&spki).ok()?;
        let ski = Backend::AwsLc.crypto().sha256(&spki);
        Some(Self { key, spki, ski })
    }

    /// The key as PKCS #8 `PrivateKeyInfo`, DER, for who has to keep it.
    ///
    /// # Errors
    /// If the library can not write it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, RecipientPrivateKeyError> {
        self.key
            .to_pkcs8()
            .map_err(|_| RecipientPrivateKeyError::Pkcs8)
    }

    /// What belongs into the `public_key` field of the attestation document: the DER
    /// SubjectPublicKeyInfo.
    pub fn public_key_spki(&self) -> &[u8] {
        &self.spki
    }

    /// Opens a `CiphertextForRecipient`.
    ///
    /// The message carries no authentication of its own. That it comes from KMS is known only
    /// from the TLS connection it came through, which therefore has to end in the enclave.
    ///
    /// # Errors
    /// If it is not such a message, is for another key, or does not decrypt.
    pub fn open(&self, ciphertext_for_recipient: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let envelope = Envelope::from_ber(ciphertext_for_recipient)?;
        if envelope.ski != self.ski {
            return Err(OpenError::WrongRecipient);
        }
        let content_encryption_key = self
            .key
            .oaep_sha256_decrypt(&envelope.encrypted_key)
            .map_err(|_| OpenError::Decrypt)?;
        envelope.open_content(&content_encryption_key, Backend::AwsLc.crypto())
    }
}
