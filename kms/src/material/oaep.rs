//! RSAES-OAEP: the use of RSA keys for encryption.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use zeroize::Zeroizing;

use crate::protocol::spec::KeySpec;

use super::MaterialError;

/// The hash function of RSAES-OAEP, which is also that of its mask. The label is empty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OaepHash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl OaepHash {
    fn algorithm(self) -> &'static OaepAlgorithm {
        match self {
            Self::Sha1 => &OAEP_SHA1_MGF1SHA1,
            Self::Sha256 => &OAEP_SHA256_MGF1SHA256,
        }
    }
}

/// An RSA key that decrypts, with its public half.
pub struct DecryptionKey {
    private: OaepPrivateDecryptingKey,
    public: OaepPublicEncryptingKey,
    public_spki: Vec<u8>,
}

impl DecryptionKey {
    pub(super) fn open(spec: KeySpec, pkcs8: &[u8]) -> Result<Self, MaterialError> {
        let private = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(|_| MaterialError)?;
        if Some(private.key_size_bits()) != modulus_bits(spec) {
            return Err(MaterialError);
        }
        let public = private.public_key();
        let public_spki: PublicKeyX509Der<'_> = public.as_der().map_err(|_| MaterialError)?;
        let public_spki = public_spki.as_ref().to_vec();
        Ok(Self {
            private: OaepPrivateDecryptingKey::new(private).map_err(|_| MaterialError)?,
            public: OaepPublicEncryptingKey::new(public).map_err(|_| MaterialError)?,
            public_spki,
        })
    }

    pub(super) fn public_spki(&self) -> &[u8] {
        &self.public_spki
    }

    /// The longest plaintext, in bytes.
    pub fn max_plaintext_len(&self, hash: OaepHash) -> usize {
        self.public.max_plaintext_size(hash.algorithm())
    }

    /// Encrypts.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] for a plaintext that is too long.
    pub fn encrypt(&self, hash: OaepHash, plaintext: &[u8]) -> Result<Vec<u8>, MaterialError> {
        let mut ciphertext = vec![0; self.public.ciphertext_size()];
        let length = self
            .public
            .encrypt(hash.algorithm(), plaintext, &mut ciphertext, None)
            .map_err(|_| MaterialError)?
            .len();
        ciphertext.truncate(length);
        Ok(ciphertext)
    }

    /// Decrypts; `None` for what was not encrypted under this key and hash.
    pub fn decrypt(&self, hash: OaepHash, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if ciphertext.len() != self.private.key_size_bytes() {
            return None;
        }
        let mut plaintext = Zeroizing::new(vec![0; self.private.min_output_size()]);
        let length = self
            .private
            .decrypt(hash.algorithm(), ciphertext, &mut plaintext, None)
            .ok()?
            .len();
        plaintext.truncate(length);
        Some(plaintext)
    }
}

/// The size of the keys of an RSA spec.
pub(super) fn modulus_bits(spec: KeySpec) -> Option<usize> {
    match spec {
        KeySpec::Rsa2048 => Some(2048),
        KeySpec::Rsa3072 => Some(3072),
        KeySpec::Rsa4096 => Some(4096),
        _ => None,
    }
}
