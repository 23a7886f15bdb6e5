//! Material of every key spec, stored and read back.

use kms::Timestamp;
use kms::key_pair::AwsLcKeyPairs;
use kms::material::Material;
use kms::name::{AccountId, KeyId, Region};
use kms::protocol::spec::{KeySpec, KeyUsage};
use kms::record::RootKey;
use kms::state::{BackingKey, Batch, Change, Key, State};

use crate::store::Store;
use crate::test_random::TestRandom;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A spec of each kind of material, with a usage.
const SPECS: [(KeySpec, KeyUsage); 10] = [
    (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt),
    (KeySpec::Rsa2048, KeyUsage::EncryptDecrypt),
    (KeySpec::Rsa2048, KeyUsage::SignVerify),
    (KeySpec::EccNistP521, KeyUsage::SignVerify),
    (KeySpec::EccNistP521, KeyUsage::KeyAgreement),
    (KeySpec::EccNistEdwards25519, KeyUsage::SignVerify),
    (KeySpec::Hmac224, KeyUsage::GenerateVerifyMac),
    (KeySpec::Hmac512, KeyUsage::GenerateVerifyMac),
    (KeySpec::MlDsa87, KeyUsage::SignVerify),
    (KeySpec::MlKem1024, KeyUsage::EncapsulateDecapsulate),
];

fn key(number: u8, spec: KeySpec, usage: KeyUsage, random: &mut TestRandom) -> Key {
    let (account, region) = place();
    let id = KeyId::new([number; 16], false);
    let material = Material::generate(spec, usage, &AwsLcKeyPairs, random).unwrap();
    let backing = BackingKey::new(id, material, NOW);
    let mut key = Key::new(account, region, id, NOW, [backing].into());
    (key.spec, key.usage) = (spec, usage);
    key
}

fn place() -> (AccountId, Region) {
    (
        "123456789012".parse().unwrap(),
        "eu-central-1".parse().unwrap(),
    )
}

#[test]
fn material_of_every_kind_comes_back_from_the_store() {
    let mut random = TestRandom::new(7);
    let root_key = RootKey::generate(&mut random);
    let (state, genesis) = State::genesis(&root_key, &mut random, NOW);
    let mut store = Store::default();
    assert!(store.commit(&genesis));
    let mut batch = Batch::new(state);
    let mut keys = Vec::new();
    for (number, (spec, usage)) in (1..).zip(SPECS) {
        let key = key(number, spec, usage, &mut random);
        keys.push(key.clone());
        batch.push(vec![Change::PutKey(key)]);
    }
    let (_, transaction) = batch.seal(&mut random);
    assert!(store.commit(&transaction));

    let opened = store.open(&root_key).ok().unwrap();
    let (account, region) = place();
    for key in keys {
        let back = opened.key(account, &region, key.id()).unwrap().unwrap();
        assert_eq!((back.spec, back.usage), (key.spec, key.usage));
        let (made, read) = (&key.backing[0], &back.backing[0]);
        assert_eq!(read.id(), made.id(), "{}", key.spec);
        assert_eq!(read.material().expose(), made.material().expose());
        assert_eq!(read.material().check(), Ok(()), "{}", key.spec);
        if let Ok(private) = made.material().private() {
            let public = read.material().private().unwrap().public_spki();
            assert_eq!(public, private.public_spki());
            for record in store.records.values() {
                let secret = made.material().expose();
                assert!(!record.windows(secret.len()).any(|part| part == secret));
            }
        }
    }
}
