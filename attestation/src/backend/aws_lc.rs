//! AWS-LC through `aws-lc-rs`.

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::{agreement, cipher, digest, encoding, iv, rsa, signature};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    Crypto, CryptoError, Es384, Es384Verifier, OaepKey, P384_POINT_LEN, P384KeyPair, P384PublicKey,
};
use crate::asn1;

pub(crate) struct AwsLc;

impl Crypto for AwsLc {
    fn sha256(&self, message: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
        out
    }

    fn sha384(&self, parts: &[&[u8]]) -> [u8; 48] {
        let mut context = digest::Context::new(&digest::SHA384);
        for part in parts {
            context.update(part);
        }
        let mut out = [0; 48];
        out.copy_from_slice(context.finish().as_ref());
        out
    }

    fn p384_public_key(&self, point: &[u8; P384_POINT_LEN]) -> Option<P384PublicKey> {
        if point.first() != Some(&0x04) {
            return None;
        }
        let algorithm = &signature::ECDSA_P384_SHA384_ASN1;
        let key = signature::ParsedPublicKey::new(algorithm, point).ok()?;
        Some(P384PublicKey {
            point: *point,
            verifier: Arc::new(key),
        })
    }

    fn p384_derive_public(&self, secret: &[u8; 48]) -> Option<P384PublicKey> {
        let key = agreement::PrivateKey::from_private_key(&agreement::ECDH_P384, secret).ok()?;
        let point = key.compute_public_key().ok()?;
        self.p384_public_key(point.as_ref().try_into().ok()?)
    }

    fn sign_es384(&self, key: &P384KeyPair, digest: &[u8; 48]) -> Result<[u8; 96], CryptoError> {
        let key = signature::EcdsaKeyPair::from_private_key_and_public_key(
            &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            key.secret(),
            key.public().as_bytes(),
        )
        .map_err(|_| CryptoError)?;
        let digest =
            digest::Digest::import_less_safe(digest, &digest::SHA384).map_err(|_| CryptoError)?;
        let signature = key.sign_digest(&digest).map_err(|_| CryptoError)?;
        signature.as_ref().try_into().map_err(|_| CryptoError)
    }

    fn rsa_oaep_key(&self, public_key_spki: &[u8]) -> Result<Arc<dyn OaepKey>, CryptoError> {
        let key = rsa::PublicEncryptingKey::from_der(public_key_spki).map_err(|_| CryptoError)?;
        let key = rsa::OaepPublicEncryptingKey::new(key).map_err(|_| CryptoError)?;
        Ok(Arc::new(key))
    }

    fn aes256_cbc_encrypt(
        &self,
        key: &[u8; 32],
        iv: &[u8; 16],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let key = cipher::UnboundCipherKey::new(&cipher::AES_256, key).map_err(|_| CryptoError)?;
        let key = cipher::PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(|_| CryptoError)?;
        let context = cipher::EncryptionContext::Iv128(iv::FixedLength::from(iv));
        // Encrypted in place: room for the padding now, so that growing can't leave a copy of
        // the plaintext behind.
        let mut buffer = Vec::with_capacity(plaintext.len() + 16);
        buffer.extend_from_slice(plaintext);
        key.less_safe_encrypt(&mut buffer, context)
            .map_err(|_| CryptoError)?;
        Ok(buffer)
    }

    fn aes256_cbc_decrypt(
        &self,
        key: &[u8; 32],
        iv: &[u8; 16],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let key = cipher::UnboundCipherKey::new(&cipher::AES_256, key).map_err(|_| CryptoError)?;
        let key = cipher::PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| CryptoError)?;
        let context = cipher::DecryptionContext::Iv128(iv::FixedLength::from(iv));
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = key
            .decrypt(&mut buffer, context)
            .map_err(|_| CryptoError)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

impl Es384Verifier for signature::ParsedPublicKey {
    fn verify(&self, digest: &[u8; 48], signature: Es384<'_>) -> bool {
        let Ok(digest) = digest::Digest::import_less_safe(digest, &digest::SHA384) else {
            return false;
        };
        // A parsed key takes one encoding only, and AWS-LC itself rewrites r‖s as DER.
        let verified = match signature {
            Es384::Der(der) => self.verify_digest_sig(&digest, der),
            Es384::Raw(raw) => {
                let (r, s) = raw.split_at(48);
                let integers = [r, s].map(asn1::unsigned_integer);
                let [r, s] = integers.each_ref().map(Vec::as_slice);
                self.verify_digest_sig(&digest, &asn1::sequence(&[r, s]))
            }
        };
        verified.is_ok()
    }
}

impl OaepKey for rsa::OaepPublicEncryptingKey {
    fn encrypt_sha256(
        &self,
        plaintext: &[u8],
        _random: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError> {
        let mut ciphertext = vec![0; self.ciphertext_size()];
        let length = self
            .encrypt(
                &rsa::OAEP_SHA256_MGF1SHA256,
                plaintext,
                &mut ciphertext,
                None,
            )
            .map_err(|_| CryptoError)?
            .len();
        ciphertext.truncate(length);
        Ok(ciphertext)
    }
}

/// An RSA private key that opens OAEP.
///
/// Only here: the `rsa` crate never does a private-key operation (RUSTSEC-2023-0071).
pub(crate) struct RsaPrivateKey {
    key: rsa::PrivateDecryptingKey,
}

impl RsaPrivateKey {
    /// A new key from AWS-LC's own generator; `bits` is 2048, 3072 or 4096.
    pub(crate) fn generate(bits: usize) -> Result<Self, CryptoError> {
        let size = match bits {
            2048 => rsa::KeySize::Rsa2048,
            3072 => rsa::KeySize::Rsa3072,
            4096 => rsa::KeySize::Rsa4096,
            _ => return Err(CryptoError),
        };
        let key = rsa::PrivateDecryptingKey::generate(size).map_err(|_| CryptoError)?;
        Ok(Self { key })
    }

    /// The key in a PKCS#8 `PrivateKeyInfo`, 2048 to 8192 bits.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, CryptoError> {
        let key = rsa::PrivateDecryptingKey::from_pkcs8(der).map_err(|_| CryptoError)?;
        Ok(Self { key })
    }

    /// The PKCS#8 `PrivateKeyInfo`.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let der: encoding::Pkcs8V1Der<'_> = self.key.as_der().map_err(|_| CryptoError)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The SubjectPublicKeyInfo of the public half.
    pub(crate) fn public_key_spki(&self) -> Result<Vec<u8>, CryptoError> {
        let der: encoding::PublicKeyX509Der<'_> =
            self.key.public_key().as_der().map_err(|_| CryptoError)?;
        Ok(der.as_ref().to_vec())
    }

    /// The inverse of [`OaepKey::encrypt_sha256`].
    pub(crate) fn oaep_sha256_decrypt(
        &self,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let key = rsa::OaepPrivateDecryptingKey::new(self.key.clone()).map_err(|_| CryptoError)?;
        let mut plaintext = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key
            .decrypt(
                &rsa::OAEP_SHA256_MGF1SHA256,
                ciphertext,
                &mut plaintext,
                None,
            )
            .map_err(|_| CryptoError)?
            .len();
        plaintext.truncate(length);
        Ok(plaintext)
    }
}
