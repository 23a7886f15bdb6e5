//! Sealing secrets to the RSA key inside an attestation document, and opening them again.
//!
//! A [`RecipientKey`] comes from a [`VerifiedDocument`] and from nowhere else, so what is sealed
//! to it can only be read by the enclave that the document is about. The sealed form is what AWS
//! KMS returns as `CiphertextForRecipient`.

mod envelope;
mod key;
#[cfg(any(feature = "aws-lc", test))]
mod open;
#[cfg(feature = "aws-lc")]
mod private_key;
#[cfg(test)]
mod tests;

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use self::envelope::{Envelope, IV_SIZE, SKI_SIZE};
pub use self::key::RecipientKeyError;
use self::key::RsaPublicKey;
#[cfg(any(feature = "aws-lc", test))]
pub use self::open::OpenError;
#[cfg(feature = "aws-lc")]
pub use self::private_key::{RecipientPrivateKey, RecipientPrivateKeyError};
use crate::VerifiedDocument;
pub use crate::asn1::BerError;
use crate::backend::Backend;

impl VerifiedDocument {
    /// The key that secrets for this enclave are sealed to: the document's `public_key`.
    ///
    /// # Errors
    /// If the document has none, or it is not the canonical DER SubjectPublicKeyInfo of an RSA key
    /// of 2048, 3072 or 4096 bits with an odd exponent of 65537 to 2^32.
    pub fn recipient_key(&self) -> Result<RecipientKey, RecipientKeyError> {
        let spki = self.public_key().ok_or(RecipientKeyError::Missing)?;
        RecipientKey::from_spki(spki, self.backend)
    }
}

/// The RSA key of an enclave that proved itself.
#[derive(Clone)]
pub struct RecipientKey {
    spki: Vec<u8>,
    bits: usize,
    backend: Backend,
}

impl RecipientKey {
    fn from_spki(spki: &[u8], backend: Backend) -> Result<Self, RecipientKeyError> {
        let key = RsaPublicKey::from_spki(spki)?;
        Ok(Self {
            spki: spki.to_vec(),
            bits: key.bits(),
            backend,
        })
    }

    /// The size of the modulus: 2048, 3072 or 4096.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Encrypts `secret` so that only the holder of the private key reads it, in the format of
    /// KMS's `CiphertextForRecipient`.
    ///
    /// The result hides the secret but does not authenticate it: the format has no room for
    /// that, so the connection it travels on must.
    ///
    /// # Errors
    /// If the cryptography library refuses the key.
    pub fn seal(
        &self,
        secret: &[u8],
        random: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, RecipientError> {
        let crypto = self.backend.crypto();
        let mut content_encryption_key = Zeroizing::new([0; 32]);
        random.fill_bytes(content_encryption_key.as_mut_slice());
        let mut iv = [0; IV_SIZE];
        random.fill_bytes(&mut iv);
        let encrypted_key = crypto
            .rsa_oaep_sha256_encrypt(&self.spki, content_encryption_key.as_slice(), random)
            .map_err(|_| RecipientError)?;
        let content = crypto
            .aes256_cbc_encrypt(&content_encryption_key, &iv, secret)
            .map_err(|_| RecipientError)?;
        let ski: [u8; SKI_SIZE] = crypto.sha256(&self.spki);
        Ok(Envelope {
            ski,
            encrypted_key,
            iv,
            content,
        }
        .to_ber())
    }
}

impl fmt::Debug for RecipientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecipientKey")
            .field("bits", &self.bits)
            .finish_non_exhaustive()
    }
}

/// The cryptography library refused to encrypt to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be encrypted to the recipient's key")]
pub struct RecipientError;
