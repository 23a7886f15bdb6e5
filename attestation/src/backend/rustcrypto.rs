//! The crates of the RustCrypto project: no C, and WebAssembly.

use std::sync::Arc;

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use p384::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p384::ecdsa::{Signature, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use rsa::pkcs8::DecodePublicKey;
use rsa::{Oaep, RsaPublicKey};
use sha2::{Digest, Sha256, Sha384};
use zeroize::Zeroizing;

use super::{
    Crypto, CryptoError, Es384, Es384Verifier, OaepKey, P384_POINT_LEN, P384KeyPair, P384PublicKey,
};

pub(crate) struct RustCrypto;

impl Crypto for RustCrypto {
    fn sha256(&self, message: &[u8]) -> [u8; 32] {
        Sha256::digest(message).into()
    }

    fn sha384(&self, parts: &[&[u8]]) -> [u8; 48] {
        let mut hash = Sha384::new();
        for part in parts {
            hash.update(part);
        }
        hash.finalize().into()
    }

    fn p384_public_key(&self, point: &[u8; P384_POINT_LEN]) -> Option<P384PublicKey> {
        if point.first() != Some(&0x04) {
            return None;
        }
        let key = VerifyingKey::from_sec1_bytes(point).ok()?;
        Some(P384PublicKey {
            point: *point,
            verifier: Arc::new(key),
        })
    }

    fn p384_derive_public(&self, secret: &[u8; 48]) -> Option<P384PublicKey> {
        let key = SigningKey::from_slice(secret).ok()?;
        let point = key.verifying_key().to_sec1_point(false);
        self.p384_public_key(point.as_bytes().try_into().ok()?)
    }

    fn sign_es384(&self, key: &P384KeyPair, digest: &[u8; 48]) -> Result<[u8; 96], CryptoError> {
        let key = SigningKey::from_slice(key.secret()).map_err(|_| CryptoError)?;
        let signature: Signature = key.sign_prehash(digest).map_err(|_| CryptoError)?;
        signature
            .to_bytes()
            .as_slice()
            .try_into()
            .map_err(|_| CryptoError)
    }

    fn rsa_oaep_key(&self, public_key_spki: &[u8]) -> Result<Arc<dyn OaepKey>, CryptoError> {
        let key = RsaPublicKey::from_public_key_der(public_key_spki).map_err(|_| CryptoError)?;
        Ok(Arc::new(key))
    }

    fn aes256_cbc_encrypt(
        &self,
        key: &[u8; 32],
        iv: &[u8; 16],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        Ok(cbc::Encryptor::<Aes256>::new(key.into(), iv.into())
            .encrypt_padded_vec::<Pkcs7>(plaintext))
    }

    fn aes256_cbc_decrypt(
        &self,
        key: &[u8; 32],
        iv: &[u8; 16],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = cbc::Decryptor::<Aes256>::new(key.into(), iv.into())
            .decrypt_padded::<Pkcs7>(&mut buffer)
            .map_err(|_| CryptoError)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

impl Es384Verifier for VerifyingKey {
    fn verify(&self, digest: &[u8; 48], signature: Es384<'_>) -> bool {
        let signature = match signature {
            Es384::Der(bytes) => Signature::from_der(bytes),
            Es384::Raw(bytes) => Signature::from_slice(bytes),
        };
        signature.is_ok_and(|signature| self.verify_prehash(digest, &signature).is_ok())
    }
}

impl OaepKey for RsaPublicKey {
    fn encrypt_sha256(
        &self,
        plaintext: &[u8],
        random: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        self.encrypt(
            &mut OlderRandom(random),
            Oaep::new::<rsa::sha2::Sha256>(),
            plaintext,
        )
        .map_err(|_| CryptoError)
    }
}

/// `rsa` 0.9 speaks `rand_core` 0.6; the rest of the crate speaks 0.10.
struct OlderRandom<'a>(&'a mut dyn CryptoRng);

impl rsa::rand_core::RngCore for OlderRandom<'_> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.0.fill_bytes(out);
        Ok(())
    }
}

impl rsa::rand_core::CryptoRng for OlderRandom<'_> {}
