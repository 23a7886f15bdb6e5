//! Sealing secrets to the RSA key inside an attestation document, and opening them again.
//!
//! A [`RecipientKey`] comes from a [`VerifiedDocument`](crate::VerifiedDocument) and from nowhere else, so what is sealed
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
use std::sync::Arc;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use self::envelope::{Envelope, IV_SIZE, SKI_SIZE};
pub use self::key::RecipientKeyError;
use self::key::RsaPublicKey;
#[cfg(any(feature = "aws-lc", test))]
pub use self::open::OpenError;
#[cfg(feature = "aws-lc")]
pub use self::private_key::{RecipientPrivateKey, RecipientPrivateKeyError};
pub use crate::asn1::BerError;
use crate::backend::{Backend, OaepKey};

/// The RSA key of an enclave that proved itself.
///
/// It is read once, however often something is sealed to it; a clone shares that.
#[derive(Clone)]
pub struct RecipientKey {
    key: Arc<dyn OaepKey>,
    ski: [u8; SKI_SIZE],
    bits: usize,
    backend: Backend,
}

impl RecipientKey {
    pub(crate) fn from_spki(spki: &[u8], backend: Backend) -> Result<Self, RecipientKeyError> {
        let bits = RsaPublicKey::from_spki(spki)?.bits();
        let crypto = backend.crypto();
        let key = crypto.rsa_oaep_key(spki);
        Ok(Self {
            key: key.map_err(|_| RecipientKeyError::Refused)?,
            ski: crypto.sha256(spki),
            bits,
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
        let encrypted_key = self
            .key
            .encrypt_sha256(content_encryption_key.as_slice(), random)
            .map_err(|_| RecipientError)?;
        let content = crypto
            .aes256_cbc_encrypt(&content_encryption_key, &iv, secret)
            .map_err(|_| RecipientError)?;
        Ok(Envelope {
            ski: self.ski,
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
