//! Material that the owner of a key brings.
//!
//! A private key has many encodings, and a clone of it must have the same id whichever its owner
//! sends: it is read, and kept in the form of the keys that are made here.

use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use zeroize::Zeroizing;

use crate::crypto::SecretKey;
use crate::protocol::spec::{KeySpec, KeyUsage};

use super::Material;
use super::signing::ecdsa_algorithms;

/// Why material can't be that of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A symmetric or MAC key of another length.
    #[error("The key material of a {spec} key must have from {shortest} to {longest} bytes.")]
    Length {
        /// The spec of the key.
        spec: KeySpec,
        /// The least bytes it may have.
        shortest: usize,
        /// The most bytes it may have.
        longest: usize,
    },
    /// Not a private key, or one of another kind or size.
    #[error(
        "The key material of a {spec} key must be a private key of that kind, in the DER of a PKCS #8 PrivateKeyInfo."
    )]
    PrivateKey {
        /// The spec of the key.
        spec: KeySpec,
    },
}

/// Whether keys of this spec may have imported material.
///
/// AWS's pages name ML-DSA and ML-KEM nowhere among what can be imported.
pub fn is_importable(spec: KeySpec) -> bool {
    length(spec).is_some()
        || spec.is_rsa()
        || spec == KeySpec::EccNistEdwards25519
        || ecdsa_algorithms(spec).is_some()
}

impl Material {
    /// Material that the owner of a key of this spec and usage brings: the bytes of a symmetric or
    /// MAC key, or DER of the PrivateKeyInfo (RFC 5208) of a private key.
    ///
    /// # Errors
    ///
    /// [`ImportError`] for what is no such key.
    pub fn import(spec: KeySpec, usage: KeyUsage, bytes: &[u8]) -> Result<Self, ImportError> {
        if let Some((shortest, longest)) = length(spec) {
            let error = ImportError::Length {
                spec,
                shortest,
                longest,
            };
            let fits = (shortest..=longest).contains(&bytes.len());
            let material = fits.then(|| Self::from_bytes(spec, usage, bytes));
            return material.flatten().ok_or(error);
        }
        let material = private_key(spec, bytes).and_then(|der| Self::from_bytes(spec, usage, &der));
        material
            .filter(|material| material.check().is_ok())
            .ok_or(ImportError::PrivateKey { spec })
    }
}

/// The least and the most bytes of a key that is not a private key.
fn length(spec: KeySpec) -> Option<(usize, usize)> {
    match spec {
        KeySpec::SymmetricDefault => Some((SecretKey::LEN, SecretKey::LEN)),
        KeySpec::Hmac224 => Some((28, 64)),
        KeySpec::Hmac256 => Some((32, 64)),
        KeySpec::Hmac384 => Some((48, 128)),
        KeySpec::Hmac512 => Some((64, 128)),
        _ => None,
    }
}

/// A private key, encoded as those are that are made here.
fn private_key(spec: KeySpec, pkcs8: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let encoded = |der: &[u8]| Some(Zeroizing::new(der.to_vec()));
    if let Some((algorithm, _)) = ecdsa_algorithms(spec) {
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).ok()?;
        // It would be encoded as it was read, with its public key or without: so it is made anew.
        let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().ok()?;
        let public = pair.public_key().as_ref();
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar.as_ref(), public)
                .ok()?;
        return encoded(pair.to_pkcs8v1().ok()?.as_ref());
    }
    if spec == KeySpec::EccNistEdwards25519 {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok()?;
        return encoded(pair.to_pkcs8v1().ok()?.as_ref());
    }
    if spec.is_rsa() {
        let pair = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
        let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        return encoded(der.as_ref());
    }
    None
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;

    use super::*;
    use crate::key_pair::{AwsLcKeyPairs, KeyPairSource as _};
    use crate::protocol::spec::KeyPairSpec;

    const SIGN: KeyUsage = KeyUsage::SignVerify;

    #[test]
    fn keys_of_bytes_have_the_lengths_of_their_spec() {
        for (spec, shortest, longest) in [
            (KeySpec::SymmetricDefault, 32, 32),
            (KeySpec::Hmac224, 28, 64),
            (KeySpec::Hmac256, 32, 64),
            (KeySpec::Hmac384, 48, 128),
            (KeySpec::Hmac512, 64, 128),
        ] {
            for length in [0, shortest - 1, shortest, longest, longest + 1] {
                let bytes = vec![7; length];
                let imported = Material::import(spec, KeyUsage::GenerateVerifyMac, &bytes);
                match (shortest..=longest).contains(&length) {
                    true => assert_eq!(imported.ok().unwrap().expose(), bytes, "{spec}"),
                    false => assert_eq!(
                        imported.err(),
                        Some(ImportError::Length {
                            spec,
                            shortest,
                            longest
                        })
                    ),
                }
            }
        }
    }

    #[test]
    fn a_private_key_made_here_is_imported_as_it_is() {
        let specs = [
            (KeySpec::Rsa2048, KeyPairSpec::Rsa2048),
            (KeySpec::EccNistP256, KeyPairSpec::EccNistP256),
            (KeySpec::EccNistP384, KeyPairSpec::EccNistP384),
            (KeySpec::EccNistP521, KeyPairSpec::EccNistP521),
            (KeySpec::EccSecgP256k1, KeyPairSpec::EccSecgP256k1),
            (
                KeySpec::EccNistEdwards25519,
                KeyPairSpec::EccNistEdwards25519,
            ),
        ];
        for (spec, pair_spec) in specs {
            let pair = AwsLcKeyPairs.generate(pair_spec).unwrap();
            let der = &pair.private_pkcs8;
            let imported = Material::import(spec, SIGN, der).ok().unwrap();
            assert_eq!(imported.expose(), der.as_slice(), "{spec}");
            let public = imported.private().unwrap().public_spki().unwrap();
            assert_eq!(public, pair.public_spki);

            let others = specs.iter().map(|(other, _)| *other);
            for other in others.filter(|other| *other != spec).chain([
                KeySpec::Rsa3072,
                KeySpec::MlDsa44,
                KeySpec::MlKem512,
                KeySpec::Sm2,
            ]) {
                let error = Material::import(other, SIGN, der).err();
                assert_eq!(error, Some(ImportError::PrivateKey { spec: other }));
            }
            for cut in [&der[..0], &der[1..], &der[..der.len() - 1]] {
                assert!(Material::import(spec, SIGN, cut).is_err(), "{spec}");
            }
            assert!(is_importable(spec));
        }
        assert!(!is_importable(KeySpec::MlDsa65) && !is_importable(KeySpec::MlKem768));
        assert!(!is_importable(KeySpec::Sm2) && is_importable(KeySpec::Hmac512));
    }

    /// A P-256 key whose ECPrivateKey (RFC 5915) lacks the public key, which is optional.
    fn without_public_key(pair: &EcdsaKeyPair) -> Vec<u8> {
        let head = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";
        let head = hex::decode(head).unwrap();
        let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
        [&head, scalar.as_ref()].concat()
    }

    #[test]
    fn another_encoding_of_a_private_key_is_the_same_material() {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let imported = Material::import(KeySpec::EccNistP256, SIGN, &without_public_key(&pair));
        assert_eq!(
            imported.ok().unwrap().expose(),
            pair.to_pkcs8v1().unwrap().as_ref()
        );

        let pair = Ed25519KeyPair::generate().unwrap();
        // Version 2 has the public key as well.
        let (first, second) = (pair.to_pkcs8v1().unwrap(), pair.to_pkcs8().unwrap());
        assert_ne!(first.as_ref(), second.as_ref());
        let spec = KeySpec::EccNistEdwards25519;
        for der in [first, second] {
            let imported = Material::import(spec, SIGN, der.as_ref()).ok().unwrap();
            assert_eq!(imported.expose(), pair.to_pkcs8v1().unwrap().as_ref());
        }
    }
}
