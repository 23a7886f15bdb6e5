//! Key pairs, of KMS keys and for data: making them.
//!
//! Crypto libraries draw from their own generator when they make an asymmetric key, so a key pair
//! is a thing the engine cannot make from the randomness it is given. It comes through a door
//! instead, [`KeyPairSource`], which a deterministic test replaces.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use ml_kem::kem::{Decapsulator, Kem};
use ml_kem::pkcs8::{EncodePrivateKey, EncodePublicKey};
use ml_kem::{Seed, ml_kem_512, ml_kem_768, ml_kem_1024};
use zeroize::Zeroizing;

use crate::error::KmsError;
use crate::protocol::spec::KeyPairSpec;

/// A fresh asymmetric key pair, in the encodings that AWS hands out.
pub struct KeyPair {
    /// The private key: DER of a PKCS#8 version 1 PrivateKeyInfo (RFC 5208), the form that
    /// OpenSSL, Java and Python's cryptography all read.
    pub private_pkcs8: Zeroizing<Vec<u8>>,
    /// The public key: DER of an X.509 SubjectPublicKeyInfo (RFC 5280).
    pub public_spki: Vec<u8>,
}

/// A key pair that takes long to make, made ahead of the step of the call that needs it.
pub struct PreparedKeyPair {
    spec: KeyPairSpec,
    pair: KeyPair,
}

impl PreparedKeyPair {
    /// This pair, for the call that needs one of this spec.
    pub(crate) fn new(spec: KeyPairSpec, pair: KeyPair) -> Self {
        Self { spec, pair }
    }

    /// The key pair.
    ///
    /// # Errors
    ///
    /// KMSInternalException if it is not of this spec: it was prepared for another call.
    pub(crate) fn of(self, spec: KeyPairSpec) -> Result<KeyPair, KmsError> {
        if self.spec == spec {
            Ok(self.pair)
        } else {
            Err(KmsError::KmsInternal(
                "The key pair was prepared for another call.".into(),
            ))
        }
    }
}

/// Where key pairs come from.
pub trait KeyPairSource: Send + Sync {
    /// Makes a key pair.
    ///
    /// # Errors
    ///
    /// UnsupportedOperationException for a spec that no pair can be made of, KMSInternalException
    /// when the library fails.
    fn generate(&self, spec: KeyPairSpec) -> Result<KeyPair, KmsError>;

    /// A key pair that takes long to make and is there already. It is nobody else's.
    fn ready(&self, _: KeyPairSpec) -> Option<KeyPair> {
        None
    }
}

/// Key pairs made by aws-lc; of ML-KEM, by the `ml-kem` crate from a seed that aws-lc draws,
/// because aws-lc keeps no seed and AWS hands out the seed.
///
/// Every pair of aws-lc is read back before it leaves: what can't be parsed, or parses to another public
/// key, would be noticed only after somebody encrypted under it.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLcKeyPairs;

impl KeyPairSource for AwsLcKeyPairs {
    fn generate(&self, spec: KeyPairSpec) -> Result<KeyPair, KmsError> {
        let made = match spec {
            KeyPairSpec::Rsa2048 => rsa(KeySize::Rsa2048),
            KeyPairSpec::Rsa3072 => rsa(KeySize::Rsa3072),
            KeyPairSpec::Rsa4096 => rsa(KeySize::Rsa4096),
            KeyPairSpec::EccNistP256 => ec(&ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyPairSpec::EccNistP384 => ec(&ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyPairSpec::EccNistP521 => ec(&ECDSA_P521_SHA512_ASN1_SIGNING),
            KeyPairSpec::EccSecgP256k1 => ec(&ECDSA_P256K1_SHA256_ASN1_SIGNING),
            KeyPairSpec::EccNistEdwards25519 => ed25519(),
            KeyPairSpec::MlKem512 => ml_kem::<ml_kem_512::DecapsulationKey>(),
            KeyPairSpec::MlKem768 => ml_kem::<ml_kem_768::DecapsulationKey>(),
            KeyPairSpec::MlKem1024 => ml_kem::<ml_kem_1024::DecapsulationKey>(),
            KeyPairSpec::Sm2 => return Err(unsupported("KeyPairSpec", spec)),
        };
        made.map_err(|Unspecified| {
            KmsError::KmsInternal("The key pair could not be generated.".into())
        })
    }
}

/// Lets a spec pass that pairs can be made of.
///
/// # Errors
///
/// UnsupportedOperationException for SM2, which AWS offers in its China regions only.
pub(crate) fn require_supported(spec: KeyPairSpec) -> Result<(), KmsError> {
    match spec {
        KeyPairSpec::Sm2 => Err(unsupported("KeyPairSpec", spec)),
        _ => Ok(()),
    }
}

/// The error for a spec, under the name of the member it stands in, that is not offered.
pub(crate) fn unsupported(member: &str, spec: impl fmt::Display) -> KmsError {
    KmsError::UnsupportedOperation(
        format!("{member} {spec} is not supported in this Region").into(),
    )
}

/// Whether making such a pair takes less than 0.1 ms.
pub(crate) fn is_quick(spec: KeyPairSpec) -> bool {
    matches!(
        spec,
        KeyPairSpec::EccNistP256 | KeyPairSpec::EccNistEdwards25519
    )
}

/// Whether making such a pair takes so long (80 ms and more on average) that it must not hold up
/// other calls.
pub fn is_slow(spec: KeyPairSpec) -> bool {
    matches!(
        spec,
        KeyPairSpec::Rsa2048 | KeyPairSpec::Rsa3072 | KeyPairSpec::Rsa4096
    )
}

fn rsa(size: KeySize) -> Result<KeyPair, Unspecified> {
    let pair = RsaKeyPair::generate(size)?;
    let private: Pkcs8V1Der<'_> = pair.as_der()?;
    let read_back = RsaKeyPair::from_pkcs8(private.as_ref()).map_err(|_| Unspecified)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
    let public_read_back: PublicKeyX509Der<'_> = read_back.public_key().as_der()?;
    checked(private.as_ref(), public.as_ref(), public_read_back.as_ref())
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> Result<KeyPair, Unspecified> {
    let pair = EcdsaKeyPair::generate(algorithm)?;
    let private = pair.to_pkcs8v1()?;
    let read_back =
        EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref()).map_err(|_| Unspecified)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
    let public_read_back: PublicKeyX509Der<'_> = read_back.public_key().as_der()?;
    checked(private.as_ref(), public.as_ref(), public_read_back.as_ref())
}

fn ed25519() -> Result<KeyPair, Unspecified> {
    let pair = Ed25519KeyPair::generate()?;
    let private = pair.to_pkcs8v1()?;
    let read_back =
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(private.as_ref()).map_err(|_| Unspecified)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
    let public_read_back: PublicKeyX509Der<'_> = read_back.public_key().as_der()?;
    checked(private.as_ref(), public.as_ref(), public_read_back.as_ref())
}

fn ml_kem<K>() -> Result<KeyPair, Unspecified>
where
    K: From<Seed> + EncodePrivateKey + Decapsulator,
    <K::Kem as Kem>::EncapsulationKey: EncodePublicKey,
{
    let mut seed = Zeroizing::new(Seed::default());
    rand::fill(&mut seed)?;
    let key = K::from(*seed);
    let private = key.to_pkcs8_der().map_err(|_| Unspecified)?;
    let public = key.encapsulation_key().to_public_key_der();
    Ok(KeyPair {
        private_pkcs8: Zeroizing::new(private.as_bytes().to_vec()),
        public_spki: public.map_err(|_| Unspecified)?.into_vec(),
    })
}

/// The pair, if the private key read back has the public key that was made.
fn checked(private: &[u8], public: &[u8], public_read_back: &[u8]) -> Result<KeyPair, Unspecified> {
    if public != public_read_back {
        return Err(Unspecified);
    }
    Ok(KeyPair {
        private_pkcs8: Zeroizing::new(private.to_vec()),
        public_spki: public.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256K1_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
        ECDSA_P521_SHA512_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_SHA256, VerificationAlgorithm,
    };
    use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
    use der::{Decode, Reader, SliceReader};

    use super::*;

    const MESSAGE: &[u8] = b"signed with the private half, verified with the public half";

    /// The version and algorithm of a PrivateKeyInfo, which must be plain version 1: three
    /// elements and no more.
    fn read_pkcs8(der: &[u8]) -> (u8, ObjectIdentifier) {
        let mut outer = SliceReader::new(der).unwrap();
        let info = outer
            .sequence(|info| {
                let version = u8::decode(info)?;
                let algorithm = info.sequence(|algorithm| {
                    let oid = ObjectIdentifier::decode(algorithm)?;
                    if !algorithm.is_finished() {
                        AnyRef::decode(algorithm)?;
                    }
                    Ok::<_, der::Error>(oid)
                })?;
                <&OctetStringRef>::decode(info)?;
                Ok::<_, der::Error>((version, algorithm))
            })
            .unwrap();
        assert!(outer.is_finished());
        info
    }

    fn assert_verifies(
        pair: &KeyPair,
        algorithm: &'static dyn VerificationAlgorithm,
        signature: &[u8],
    ) {
        ParsedPublicKey::new(algorithm, &pair.public_spki)
            .unwrap()
            .verify_sig(MESSAGE, signature)
            .unwrap();
    }

    fn assert_ec_pair(
        spec: KeyPairSpec,
        signing: &'static EcdsaSigningAlgorithm,
        verification: &'static dyn VerificationAlgorithm,
    ) {
        let pair = AwsLcKeyPairs.generate(spec).unwrap();
        let (version, algorithm) = read_pkcs8(&pair.private_pkcs8);
        assert_eq!(version, 0);
        assert_eq!(algorithm.to_string(), "1.2.840.10045.2.1");
        let private = EcdsaKeyPair::from_pkcs8(signing, &pair.private_pkcs8).unwrap();
        let signature = private.sign(&SystemRandom::new(), MESSAGE).unwrap();
        assert_verifies(&pair, verification, signature.as_ref());
    }

    #[test]
    fn elliptic_curve_pairs_sign_and_verify() {
        assert_ec_pair(
            KeyPairSpec::EccNistP256,
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &ECDSA_P256_SHA256_ASN1,
        );
        assert_ec_pair(
            KeyPairSpec::EccNistP384,
            &ECDSA_P384_SHA384_ASN1_SIGNING,
            &ECDSA_P384_SHA384_ASN1,
        );
        assert_ec_pair(
            KeyPairSpec::EccNistP521,
            &ECDSA_P521_SHA512_ASN1_SIGNING,
            &ECDSA_P521_SHA512_ASN1,
        );
        assert_ec_pair(
            KeyPairSpec::EccSecgP256k1,
            &ECDSA_P256K1_SHA256_ASN1_SIGNING,
            &ECDSA_P256K1_SHA256_ASN1,
        );
    }

    #[test]
    fn an_ed25519_pair_signs_and_verifies() {
        let pair = AwsLcKeyPairs
            .generate(KeyPairSpec::EccNistEdwards25519)
            .unwrap();
        let (version, algorithm) = read_pkcs8(&pair.private_pkcs8);
        assert_eq!(version, 0);
        assert_eq!(algorithm.to_string(), "1.3.101.112");
        let private = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pair.private_pkcs8).unwrap();
        assert_verifies(&pair, &ED25519, private.sign(MESSAGE).as_ref());
    }

    #[test]
    fn rsa_pairs_have_their_size_and_sign_and_verify() {
        for (spec, bytes) in [
            (KeyPairSpec::Rsa2048, 256),
            (KeyPairSpec::Rsa3072, 384),
            (KeyPairSpec::Rsa4096, 512),
        ] {
            let pair = AwsLcKeyPairs.generate(spec).unwrap();
            let (version, algorithm) = read_pkcs8(&pair.private_pkcs8);
            assert_eq!(version, 0);
            assert_eq!(algorithm.to_string(), "1.2.840.113549.1.1.1");
            let private = RsaKeyPair::from_pkcs8(&pair.private_pkcs8).unwrap();
            assert_eq!(private.public_modulus_len(), bytes, "{spec}");
            let mut signature = vec![0; bytes];
            private
                .sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    MESSAGE,
                    &mut signature,
                )
                .unwrap();
            assert_verifies(&pair, &RSA_PKCS1_2048_8192_SHA256, &signature);
            assert!(is_slow(spec));
        }
    }

    #[test]
    fn a_private_key_that_is_not_the_public_ones_is_noticed() {
        assert!(checked(b"private", b"public", b"public").is_ok());
        assert!(checked(b"private", b"public", b"another").is_err());
    }

    #[test]
    fn ml_kem_pairs_are_seeds_and_encapsulation_keys() {
        for (spec, public_len) in [
            (KeyPairSpec::MlKem512, 800),
            (KeyPairSpec::MlKem768, 1184),
            (KeyPairSpec::MlKem1024, 1568),
        ] {
            let pair = AwsLcKeyPairs.generate(spec).unwrap();
            let (version, algorithm) = read_pkcs8(&pair.private_pkcs8);
            assert_eq!(version, 0);
            assert!(algorithm.to_string().starts_with("2.16.840.1.101.3.4.4."));
            // The 64 bytes of the seed and 22 of DER, whatever the spec.
            assert_eq!(pair.private_pkcs8.len(), 86, "{spec}");
            assert_eq!(pair.public_spki.len(), public_len + 22, "{spec}");
        }
    }

    #[test]
    fn what_this_server_cannot_make_is_refused_by_name() {
        let refusal = AwsLcKeyPairs.generate(KeyPairSpec::Sm2).err().unwrap();
        assert_eq!(require_supported(KeyPairSpec::Sm2), Err(refusal.clone()));
        assert_eq!(refusal.wire().code, "UnsupportedOperationException");
        assert!(refusal.wire().message.unwrap().contains("SM2"));
    }
}
