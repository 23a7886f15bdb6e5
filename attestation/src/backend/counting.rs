//! What is counted in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use zeroize::Zeroizing;

use super::{Crypto, CryptoError, Es384, OaepKey, P384_POINT_LEN, P384KeyPair, P384PublicKey};

/// Counts signature verifications, the one thing here that is expensive.
pub(crate) struct Counting<'a> {
    crypto: &'a dyn Crypto,
    verifications: AtomicUsize,
}

impl<'a> Counting<'a> {
    pub(crate) fn new(crypto: &'a dyn Crypto) -> Self {
        Self {
            crypto,
            verifications: AtomicUsize::new(0),
        }
    }

    /// How many there were.
    pub(crate) fn verifications(&self) -> usize {
        self.verifications.load(Ordering::Relaxed)
    }
}

impl Crypto for Counting<'_> {
    fn sha256(&self, message: &[u8]) -> [u8; 32] {
        self.crypto.sha256(message)
    }

    fn sha384(&self, parts: &[&[u8]]) -> [u8; 48] {
        self.crypto.sha384(parts)
    }

    fn p384_public_key(&self, point: &[u8; P384_POINT_LEN]) -> Option<P384PublicKey> {
        self.crypto.p384_public_key(point)
    }

    fn verify_es384(&self, key: &P384PublicKey, digest: &[u8; 48], signature: Es384<'_>) -> bool {
        self.verifications.fetch_add(1, Ordering::Relaxed);
        self.crypto.verify_es384(key, digest, signature)
    }

    fn p384_derive_public(&self, secret: &[u8; 48]) -> Option<P384PublicKey> {
        self.crypto.p384_derive_public(secret)
    }

    fn sign_es384(&self, key: &P384KeyPair, digest: &[u8; 48]) -> Result<[u8; 96], CryptoError> {
        self.crypto.sign_es384(key, digest)
    }

    fn rsa_oaep_key(&self, public_key_spki: &[u8]) -> Result<Arc<dyn OaepKey>, CryptoError> {
        self.crypto.rsa_oaep_key(public_key_spki)
    }

    fn aes256_cbc_encrypt(
        &self,
        key: &[u8; 32],
        iv: &[u8; 16],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.crypto.aes256_cbc_encrypt(key, iv, plaintext)
    }

    fn aes256_cbc_decrypt(
        &self,
        key: &[u8; 32],
        iv: &[u8; 16],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.crypto.aes256_cbc_decrypt(key, iv, ciphertext)
    }
}
