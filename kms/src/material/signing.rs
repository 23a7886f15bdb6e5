//! Signatures: RSA, ECDSA, Ed25519 and ML-DSA.

use std::sync::OnceLock;

use aws_lc_rs::digest::{self, Digest, SHA256, SHA384, SHA512};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, Curve25519SeedBin, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1,
    ECDSA_P256K1_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING, ED25519, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65,
    ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use ed25519_dalek::Digest as _;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::protocol::spec::{KeySpec, SigningAlgorithm};

use super::external_mu::{ExternalMuKey, MU_LEN};
use super::oaep::modulus_bits;
use super::{ML_DSA_SEED_LEN, MaterialError};

/// What is signed.
#[derive(Clone, Copy)]
pub enum SignedMessage<'a> {
    /// A message, to be hashed as the algorithm says.
    Raw(&'a [u8]),
    /// The hash of a message.
    Digest(&'a [u8]),
    /// The representative μ of a message, of ML-DSA.
    ExternalMu(&'a [u8]),
}

/// A key that signs, with its public half.
pub struct SigningKey {
    private: Private,
    public_spki: Vec<u8>,
}

enum Private {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair, &'static dyn VerificationAlgorithm),
    Ed25519(Ed25519KeyPair, Box<ed25519_dalek::SigningKey>),
    MlDsa(Box<MlDsaKey>),
}

/// An ML-DSA key. The one for representatives takes some 100 KB and is made when it is needed.
struct MlDsaKey {
    spec: KeySpec,
    pair: PqdsaKeyPair,
    verification: &'static dyn VerificationAlgorithm,
    seed: Zeroizing<[u8; ML_DSA_SEED_LEN]>,
    external_mu: OnceLock<Option<ExternalMuKey>>,
}

impl SigningKey {
    pub(super) fn open(spec: KeySpec, bytes: &[u8]) -> Result<Self, MaterialError> {
        if let Some((signing, verification)) = ecdsa_algorithms(spec) {
            return Self::ecdsa(bytes, signing, verification);
        }
        match spec {
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => Self::rsa(spec, bytes),
            KeySpec::EccNistEdwards25519 => Self::ed25519(bytes),
            KeySpec::MlDsa44 => Self::ml_dsa(spec, bytes, &ML_DSA_44_SIGNING, &ML_DSA_44),
            KeySpec::MlDsa65 => Self::ml_dsa(spec, bytes, &ML_DSA_65_SIGNING, &ML_DSA_65),
            KeySpec::MlDsa87 => Self::ml_dsa(spec, bytes, &ML_DSA_87_SIGNING, &ML_DSA_87),
            _ => Err(MaterialError),
        }
    }

    fn rsa(spec: KeySpec, pkcs8: &[u8]) -> Result<Self, MaterialError> {
        let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| MaterialError)?;
        if Some(pair.public_modulus_len() * 8) != modulus_bits(spec) {
            return Err(MaterialError);
        }
        let public_spki = spki(pair.public_key())?;
        let private = Private::Rsa(pair);
        Ok(Self {
            private,
            public_spki,
        })
    }

    fn ecdsa(
        pkcs8: &[u8],
        signing: &'static EcdsaSigningAlgorithm,
        verification: &'static dyn VerificationAlgorithm,
    ) -> Result<Self, MaterialError> {
        let pair = EcdsaKeyPair::from_pkcs8(signing, pkcs8).map_err(|_| MaterialError)?;
        let public_spki = spki(pair.public_key())?;
        let private = Private::Ecdsa(pair, verification);
        Ok(Self {
            private,
            public_spki,
        })
    }

    fn ed25519(pkcs8: &[u8]) -> Result<Self, MaterialError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| MaterialError)?;
        let seed = pair.seed().map_err(|_| MaterialError)?;
        let seed: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| MaterialError)?;
        let seed = seed.as_ref().try_into().map_err(|_| MaterialError)?;
        let prehashing = ed25519_dalek::SigningKey::from_bytes(seed);
        let public_spki = spki(pair.public_key())?;
        let private = Private::Ed25519(pair, Box::new(prehashing));
        Ok(Self {
            private,
            public_spki,
        })
    }

    fn ml_dsa(
        spec: KeySpec,
        seed: &[u8],
        signing: &'static PqdsaSigningAlgorithm,
        verification: &'static dyn VerificationAlgorithm,
    ) -> Result<Self, MaterialError> {
        let seed: [u8; ML_DSA_SEED_LEN] = seed.try_into().map_err(|_| MaterialError)?;
        let seed = Zeroizing::new(seed);
        let pair = PqdsaKeyPair::from_seed(signing, seed.as_slice()).map_err(|_| MaterialError)?;
        let public_spki = spki(pair.public_key())?;
        let private = Private::MlDsa(Box::new(MlDsaKey {
            spec,
            pair,
            verification,
            seed,
            external_mu: OnceLock::new(),
        }));
        Ok(Self {
            private,
            public_spki,
        })
    }

    pub(super) fn public_spki(&self) -> &[u8] {
        &self.public_spki
    }

    /// Signs.
    ///
    /// # Errors
    ///
    /// [`MaterialError`] for an algorithm, a kind of message or a length that is not this key's.
    pub fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: SignedMessage<'_>,
        random: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, MaterialError> {
        match (&self.private, message) {
            (Private::Rsa(pair), message) => {
                let (encoding, _) = rsa_padding(algorithm).ok_or(MaterialError)?;
                let digest = hash(algorithm, message)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(encoding, &digest, &mut signature)
                    .map_err(|_| MaterialError)?;
                Ok(signature)
            }
            (Private::Ecdsa(pair, _), message) => {
                let digest = hash(algorithm, message)?;
                let signature = pair.sign_digest(&digest).map_err(|_| MaterialError)?;
                Ok(signature.as_ref().to_vec())
            }
            (Private::Ed25519(pair, _), SignedMessage::Raw(message)) => {
                let signature = pair.try_sign(message).map_err(|_| MaterialError)?;
                Ok(signature.as_ref().to_vec())
            }
            (Private::Ed25519(_, prehashing), SignedMessage::Digest(digest)) => {
                let signature = prehashing.sign_prehashed(prehash(digest), None);
                Ok(signature.map_err(|_| MaterialError)?.to_bytes().to_vec())
            }
            (Private::MlDsa(key), SignedMessage::Raw(message)) => {
                let mut signature = vec![0; key.pair.algorithm().signature_len()];
                let length = key.pair.sign(message, &mut signature);
                signature.truncate(length.map_err(|_| MaterialError)?);
                Ok(signature)
            }
            (Private::MlDsa(key), SignedMessage::ExternalMu(mu)) => {
                key.external_mu()?.sign(representative(mu)?, random)
            }
            (Private::Ed25519(..), SignedMessage::ExternalMu(_))
            | (Private::MlDsa(_), SignedMessage::Digest(_)) => Err(MaterialError),
        }
    }

    /// Whether this key made a signature.
    ///
    /// # Errors
    ///
    /// Those of [`sign`](Self::sign); a signature can be anything.
    pub fn verify(
        &self,
        algorithm: SigningAlgorithm,
        message: SignedMessage<'_>,
        signature: &[u8],
    ) -> Result<bool, MaterialError> {
        let verify = |algorithm, message: &[u8]| {
            let public = UnparsedPublicKey::new(algorithm, &self.public_spki);
            public.verify(message, signature).is_ok()
        };
        let verify_digest = |algorithm, digest: &Digest| {
            let public = UnparsedPublicKey::new(algorithm, &self.public_spki);
            public.verify_digest(digest, signature).is_ok()
        };
        match (&self.private, message) {
            (Private::Rsa(_), message) => {
                let (_, verification) = rsa_padding(algorithm).ok_or(MaterialError)?;
                Ok(verify_digest(verification, &hash(algorithm, message)?))
            }
            (Private::Ecdsa(_, verification), message) => {
                Ok(verify_digest(*verification, &hash(algorithm, message)?))
            }
            (Private::Ed25519(..), SignedMessage::Raw(message)) => Ok(verify(&ED25519, message)),
            (Private::Ed25519(_, prehashing), SignedMessage::Digest(digest)) => {
                let signature = ed25519_dalek::Signature::from_slice(signature);
                let public = prehashing.verifying_key();
                Ok(signature.is_ok_and(|signature| {
                    public
                        .verify_prehashed(prehash(digest), None, &signature)
                        .is_ok()
                }))
            }
            (Private::MlDsa(key), SignedMessage::Raw(message)) => {
                Ok(verify(key.verification, message))
            }
            (Private::MlDsa(key), SignedMessage::ExternalMu(mu)) => {
                Ok(key.external_mu()?.verify(representative(mu)?, signature))
            }
            (Private::Ed25519(..), SignedMessage::ExternalMu(_))
            | (Private::MlDsa(_), SignedMessage::Digest(_)) => Err(MaterialError),
        }
    }
}

impl MlDsaKey {
    fn external_mu(&self) -> Result<&ExternalMuKey, MaterialError> {
        let key = self
            .external_mu
            .get_or_init(|| ExternalMuKey::open(self.spec, &self.seed).ok());
        key.as_ref().ok_or(MaterialError)
    }
}

/// The public half of a pair, in DER.
fn spki<'a>(public: &impl AsDer<PublicKeyX509Der<'a>>) -> Result<Vec<u8>, MaterialError> {
    let der = public.as_der().map_err(|_| MaterialError)?;
    Ok(der.as_ref().to_vec())
}

/// The hash that RSA and ECDSA sign.
fn hash(algorithm: SigningAlgorithm, message: SignedMessage<'_>) -> Result<Digest, MaterialError> {
    let hash = match algorithm {
        SigningAlgorithm::RsassaPssSha256
        | SigningAlgorithm::RsassaPkcs1V1_5Sha256
        | SigningAlgorithm::EcdsaSha256 => &SHA256,
        SigningAlgorithm::RsassaPssSha384
        | SigningAlgorithm::RsassaPkcs1V1_5Sha384
        | SigningAlgorithm::EcdsaSha384 => &SHA384,
        SigningAlgorithm::RsassaPssSha512
        | SigningAlgorithm::RsassaPkcs1V1_5Sha512
        | SigningAlgorithm::EcdsaSha512 => &SHA512,
        _ => return Err(MaterialError),
    };
    match message {
        SignedMessage::Raw(message) => Ok(digest::digest(hash, message)),
        SignedMessage::Digest(digest) => {
            Digest::import_less_safe(digest, hash).map_err(|_| MaterialError)
        }
        SignedMessage::ExternalMu(_) => Err(MaterialError),
    }
}

/// How RSA pads, for signing and for verification. The salt of PSS is as long as the hash.
fn rsa_padding(
    algorithm: SigningAlgorithm,
) -> Option<(&'static dyn RsaEncoding, &'static dyn VerificationAlgorithm)> {
    Some(match algorithm {
        SigningAlgorithm::RsassaPssSha256 => (&RSA_PSS_SHA256, &RSA_PSS_2048_8192_SHA256),
        SigningAlgorithm::RsassaPssSha384 => (&RSA_PSS_SHA384, &RSA_PSS_2048_8192_SHA384),
        SigningAlgorithm::RsassaPssSha512 => (&RSA_PSS_SHA512, &RSA_PSS_2048_8192_SHA512),
        SigningAlgorithm::RsassaPkcs1V1_5Sha256 => (&RSA_PKCS1_SHA256, &RSA_PKCS1_2048_8192_SHA256),
        SigningAlgorithm::RsassaPkcs1V1_5Sha384 => (&RSA_PKCS1_SHA384, &RSA_PKCS1_2048_8192_SHA384),
        SigningAlgorithm::RsassaPkcs1V1_5Sha512 => (&RSA_PKCS1_SHA512, &RSA_PKCS1_2048_8192_SHA512),
        _ => return None,
    })
}

/// What Ed25519ph signs. KMS hashes the digest it is given once more.
fn prehash(digest: &[u8]) -> ed25519_dalek::Sha512 {
    ed25519_dalek::Sha512::new().chain_update(digest)
}

/// The algorithms of a spec of elliptic-curve keys that sign with ECDSA. Its keys are of the same
/// curve whatever they are for.
pub(super) fn ecdsa_algorithms(
    spec: KeySpec,
) -> Option<(
    &'static EcdsaSigningAlgorithm,
    &'static dyn VerificationAlgorithm,
)> {
    Some(match spec {
        KeySpec::EccNistP256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P256_SHA256_ASN1),
        KeySpec::EccNistP384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1),
        KeySpec::EccNistP521 => (&ECDSA_P521_SHA512_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1),
        KeySpec::EccSecgP256k1 => (&ECDSA_P256K1_SHA256_ASN1_SIGNING, &ECDSA_P256K1_SHA256_ASN1),
        _ => return None,
    })
}

fn representative(mu: &[u8]) -> Result<&[u8; MU_LEN], MaterialError> {
    mu.try_into().map_err(|_| MaterialError)
}
