//! Material of every spec.

use super::*;
use crate::key_pair::AwsLcKeyPairs;
use crate::test_random::TestRandom;

fn generate(spec: KeySpec, usage: KeyUsage) -> Material {
    let random = &mut TestRandom::new(1);
    Material::generate(spec, usage, &AwsLcKeyPairs, random)
        .ok()
        .unwrap()
}

#[test]
fn random_keys_have_the_length_of_their_spec() {
    for (spec, length) in [
        (KeySpec::SymmetricDefault, 32),
        (KeySpec::Hmac224, 28),
        (KeySpec::Hmac256, 32),
        (KeySpec::Hmac384, 48),
        (KeySpec::Hmac512, 64),
        (KeySpec::MlDsa44, 32),
        (KeySpec::MlDsa65, 32),
        (KeySpec::MlDsa87, 32),
    ] {
        let material = generate(spec, KeyUsage::SignVerify);
        assert_eq!(material.expose().len(), length, "{spec}");
        assert_ne!(material.expose(), vec![0; length], "{spec}");
    }
}

#[test]
fn a_private_key_must_be_one_of_its_spec() {
    let sign = KeyUsage::SignVerify;
    let specs = [
        KeySpec::Rsa2048,
        KeySpec::EccNistP256,
        KeySpec::EccNistP384,
        KeySpec::EccSecgP256k1,
        KeySpec::EccNistEdwards25519,
        KeySpec::MlDsa44,
    ];
    for spec in specs {
        let material = generate(spec, sign);
        assert_eq!(material.check(), Ok(()), "{spec}");
        for other in specs.into_iter().chain([KeySpec::Rsa3072]) {
            let taken = Material::from_bytes(other, sign, material.expose()).unwrap();
            assert_eq!(taken.check().is_ok(), other == spec, "{spec} as {other}");
        }
        let (_, cut) = material.expose().split_first().unwrap();
        let taken = Material::from_bytes(spec, sign, cut).unwrap();
        assert_eq!(taken.check(), Err(MaterialError), "{spec}");
        let private = taken.private().unwrap();
        assert_eq!(private.public_spki(), Err(MaterialError), "{spec}");
    }
    for (spec, usage) in [
        (KeySpec::EccSecgP256k1, KeyUsage::KeyAgreement),
        (KeySpec::EccNistP256, KeyUsage::EncryptDecrypt),
        (KeySpec::EccNistP256, KeyUsage::EncapsulateDecapsulate),
        (KeySpec::Rsa2048, KeyUsage::KeyAgreement),
        (KeySpec::MlKem512, KeyUsage::SignVerify),
        (KeySpec::EccNistP256, KeyUsage::GenerateVerifyMac),
    ] {
        assert_eq!(generate(spec, usage).check(), Err(MaterialError), "{spec}");
    }
}

#[test]
fn symmetric_material_is_256_bits_and_no_other_is_empty() {
    let encrypt = KeyUsage::EncryptDecrypt;
    for length in [0, 31, 33] {
        let bytes = vec![1; length];
        assert!(Material::from_bytes(KeySpec::SymmetricDefault, encrypt, &bytes).is_none());
    }
    for spec in [KeySpec::Hmac224, KeySpec::Rsa2048, KeySpec::MlDsa44] {
        assert!(Material::from_bytes(spec, encrypt, &[]).is_none(), "{spec}");
    }
    assert!(Material::from_bytes(KeySpec::Sm2, encrypt, &[1; 32]).is_none());
}

#[test]
fn a_private_key_is_opened_once_for_all_who_share_it() {
    let material = generate(KeySpec::Rsa2048, KeyUsage::SignVerify);
    let shared = material.clone();
    let opened: *const SigningKey = material.private().unwrap().signing().ok().unwrap();
    assert!(std::ptr::eq(
        opened,
        shared.private().unwrap().signing().ok().unwrap()
    ));
}

#[test]
fn material_does_not_do_what_it_is_not_for() {
    let symmetric = generate(KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
    let mac = generate(KeySpec::Hmac256, KeyUsage::GenerateVerifyMac);
    let signing = generate(KeySpec::EccNistP256, KeyUsage::SignVerify);
    assert!(symmetric.symmetric().is_ok() && mac.mac().is_ok() && signing.private().is_ok());
    assert!(symmetric.mac().is_err() && symmetric.private().is_err());
    assert!(mac.symmetric().is_err() && mac.private().is_err());
    assert!(signing.symmetric().is_err() && signing.mac().is_err());
    let private = signing.private().unwrap();
    assert!(private.signing().is_ok());
    assert!(private.agreement().is_err());
    assert!(private.decapsulation().is_err());
    assert!(private.decryption().is_err());
}
