//! Cryptography behind one small trait, implemented twice.
//!
//! [`Backend::AwsLc`] is the server's. [`Backend::RustCrypto`] needs no C, builds for
//! WebAssembly, and is the oracle of the tests: every vector and every document runs on both
//! and they must agree.
//!
//! Randomness is an argument wherever the library allows it. Where AWS-LC insists on its own
//! generator (ECDSA nonces, OAEP seeds, RSA key generation) the method says so.

#[cfg(feature = "aws-lc")]
pub(crate) mod aws_lc;
#[cfg(test)]
pub(crate) mod counting;
#[cfg(feature = "rustcrypto")]
mod rustcrypto;
#[cfg(test)]
mod tests;

use core::fmt;
use std::sync::Arc;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

#[cfg(not(any(feature = "aws-lc", feature = "rustcrypto")))]
compile_error!("enable a cryptography backend: feature `aws-lc` or `rustcrypto`");

/// Which library does the cryptography.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    /// AWS-LC through `aws-lc-rs`: the server's cryptography.
    #[cfg(feature = "aws-lc")]
    AwsLc,
    /// The pure-Rust crates of the RustCrypto project.
    #[cfg(feature = "rustcrypto")]
    RustCrypto,
}

impl Backend {
    /// Every backend that is built in.
    pub const ALL: &'static [Self] = &[
        #[cfg(feature = "aws-lc")]
        Self::AwsLc,
        #[cfg(feature = "rustcrypto")]
        Self::RustCrypto,
    ];

    pub(crate) fn crypto(self) -> &'static dyn Crypto {
        match self {
            #[cfg(feature = "aws-lc")]
            Self::AwsLc => &aws_lc::AwsLc,
            #[cfg(feature = "rustcrypto")]
            Self::RustCrypto => &rustcrypto::RustCrypto,
        }
    }
}

impl Default for Backend {
    /// AWS-LC where it is built in, else RustCrypto.
    fn default() -> Self {
        #[cfg(feature = "aws-lc")]
        return Self::AwsLc;
        #[cfg(not(feature = "aws-lc"))]
        return Self::RustCrypto;
    }
}

/// The primitives that documents and recipients need, and nothing more.
///
/// Raw ECDSA signatures are r‖s, 48 bytes each, big-endian (RFC 9053 section 2.1). Low s is not
/// required: AWS signs with either.
pub(crate) trait Crypto: Sync {
    /// SHA-256 of `message`.
    fn sha256(&self, message: &[u8]) -> [u8; 32];

    /// SHA-384 of the concatenated `parts`.
    fn sha384(&self, parts: &[&[u8]]) -> [u8; 48];

    /// A public key from an uncompressed point; `None` if it is not a point of P-384 other than
    /// the neutral element.
    fn p384_public_key(&self, point: &[u8; P384_POINT_LEN]) -> Option<P384PublicKey>;

    /// Whether `signature` is the ECDSA signature of the SHA-384 value `digest` under `key`.
    fn verify_es384(&self, key: &P384PublicKey, digest: &[u8; 48], signature: Es384<'_>) -> bool {
        key.verifier.verify(digest, signature)
    }

    /// The public key of `secret`; `None` if the scalar is not in 1..n.
    fn p384_derive_public(&self, secret: &[u8; 48]) -> Option<P384PublicKey>;

    /// A raw signature of the SHA-384 value `digest`.
    ///
    /// AWS-LC draws the nonce from its own generator; RustCrypto derives it (RFC 6979).
    #[cfg_attr(
        not(feature = "simulation"),
        allow(dead_code, reason = "only the simulated NSM signs")
    )]
    fn sign_es384(&self, key: &P384KeyPair, digest: &[u8; 48]) -> Result<[u8; 96], CryptoError>;

    /// The RSA key in a SubjectPublicKeyInfo, to encrypt to.
    fn rsa_oaep_key(&self, public_key_spki: &[u8]) -> Result<Arc<dyn OaepKey>, CryptoError>;

    /// AES-256-CBC with PKCS#7 padding (RFC 5652 section 6.3).
    fn aes256_cbc_encrypt(
        &self,
        key: &[u8; 32],
        iv: &[u8; 16],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError>;

    /// The inverse of [`Crypto::aes256_cbc_encrypt`].
    #[cfg_attr(
        not(feature = "aws-lc"),
        allow(dead_code, reason = "only AWS-LC opens what is sealed to RSA keys")
    )]
    fn aes256_cbc_decrypt(
        &self,
        key: &[u8; 32],
        iv: &[u8; 16],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError>;
}

/// What a backend makes of a P-384 public key, to verify with it.
pub(crate) trait Es384Verifier: Send + Sync {
    /// Whether `signature` is that of the SHA-384 value `digest`.
    fn verify(&self, digest: &[u8; 48], signature: Es384<'_>) -> bool;
}

/// An RSA public key that encrypts.
pub(crate) trait OaepKey: Send + Sync {
    /// RSAES-OAEP with SHA-256, MGF1-SHA-256 and the empty label (RFC 8017 section 7.1).
    ///
    /// AWS-LC ignores `random` and draws the seed from its own generator.
    fn encrypt_sha256(
        &self,
        plaintext: &[u8],
        random: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CryptoError>;
}

/// The library refused a key or an input. Deliberately says no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the cryptographic operation failed")]
pub(crate) struct CryptoError;

/// The length of an uncompressed P-384 point: 0x04, x, y (SEC 1 section 2.3.3).
pub(crate) const P384_POINT_LEN: usize = 97;

/// A point of P-384, checked to be on the curve; made only by a backend.
///
/// It is read once, however many signatures it verifies; a clone shares that.
#[derive(Clone)]
pub(crate) struct P384PublicKey {
    point: [u8; P384_POINT_LEN],
    verifier: Arc<dyn Es384Verifier>,
}

impl P384PublicKey {
    /// The uncompressed point.
    pub(crate) fn as_bytes(&self) -> &[u8; P384_POINT_LEN] {
        &self.point
    }
}

impl PartialEq for P384PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.point == other.point
    }
}

impl fmt::Debug for P384PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P384PublicKey").finish_non_exhaustive()
    }
}

/// A P-384 key pair that signs.
#[derive(Clone)]
#[cfg_attr(not(feature = "simulation"), allow(dead_code))]
pub(crate) struct P384KeyPair {
    secret: Zeroizing<[u8; 48]>,
    public: P384PublicKey,
}

#[cfg_attr(not(feature = "simulation"), allow(dead_code))]
impl P384KeyPair {
    /// Draws a key: a scalar is taken from `random` until one lies in 1..n (FIPS 186-5 A.2.2).
    ///
    /// # Errors
    ///
    /// If `random` is broken: a sound generator needs a second draw once in 2^190 times.
    pub(crate) fn generate(
        crypto: &dyn Crypto,
        random: &mut dyn CryptoRng,
    ) -> Result<Self, CryptoError> {
        const ATTEMPTS: usize = 8;
        for _ in 0..ATTEMPTS {
            let mut secret = Zeroizing::new([0; 48]);
            random.fill_bytes(secret.as_mut());
            if let Ok(pair) = Self::from_secret(crypto, secret) {
                return Ok(pair);
            }
        }
        Err(CryptoError)
    }

    /// The key pair of a stored big-endian scalar.
    ///
    /// # Errors
    ///
    /// If the scalar is not in 1..n.
    pub(crate) fn from_secret(
        crypto: &dyn Crypto,
        secret: Zeroizing<[u8; 48]>,
    ) -> Result<Self, CryptoError> {
        let public = crypto.p384_derive_public(&secret).ok_or(CryptoError)?;
        Ok(Self { secret, public })
    }

    /// The big-endian scalar.
    pub(crate) fn secret(&self) -> &[u8; 48] {
        &self.secret
    }

    /// The public half.
    pub(crate) fn public(&self) -> &P384PublicKey {
        &self.public
    }
}

/// An ECDSA signature in one of its two encodings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Es384<'a> {
    /// DER `ECDSA-Sig-Value` as in X.509 (RFC 3279 section 2.2.3).
    Der(&'a [u8]),
    /// r‖s as in COSE.
    Raw(&'a [u8; 96]),
}
