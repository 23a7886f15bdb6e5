//! The encodings, pinned: labels, record ids, sealed records and heads.
//!
//! `vectors/encodings.txt` is a store as the first release wrote it. It has to open for
//! ever, and as long as the format stays the same it is also what is written today.
//! `vectors/encodings.py` opens it by the documentation alone.

use std::fmt::Write;

use kms::Timestamp;
use kms::crypto::Label;
use kms::grant::{Grant, GrantConstraints, GrantId, Grantee};
use kms::key::KeyPolicy;
use kms::name::KeyId;
use kms::principal::{Access, AccessKey, Principal};
use kms::protocol::spec::{GrantOperation, KeyState};
use kms::record::{EdgeSecret, RecordId, RootKey};
use kms::sigv4::SecretAccessKey;
use kms::state::{Alias, BackingKey, Batch, Change, Key, State};

use crate::history::World;
use crate::model::world;
use crate::store::Store;
use crate::test_random::TestRandom;

const GOLDEN: &str = include_str!("../vectors/encodings.txt");
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// One object of every kind, with every member in use in one of them.
fn changes(random: &mut TestRandom) -> Vec<Change> {
    let account = "123456789012".parse().unwrap();
    let region: kms::name::Region = "eu-central-1".parse().unwrap();
    let plain = KeyId::new([0x11; 16], false);
    let full = KeyId::new([0x22; 16], true);
    let backing = [1, 2].map(|day| {
        let created = Timestamp::from_secs(day * 86_400);
        BackingKey::generate(full, created, random)
    });
    let mut key = Key::new(account, region.clone(), full, NOW, backing.into());
    key.description = "with everything".into();
    key.state = KeyState::PendingDeletion;
    key.deletion_date = Some(Timestamp::from_millis(1_700_604_800_250));
    key.policy = Some(KeyPolicy::stored(r#"{"Version": "2012-10-17"}"#));
    key.tags = [("stage", "test"), ("team", "storage")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let alice =
        Principal::user_with_id(account, "alice", "AIDAEXAMPLEEXAMPLEXYZ", Access::None, NOW);
    vec![
        Change::PutAccessKey(AccessKey {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: SecretAccessKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            principal: alice.arn().clone(),
            created: NOW,
            active: true,
        }),
        Change::PutPrincipal(alice),
        Change::PutPrincipal(Principal::root(account, NOW)),
        Change::PutKey(key),
        Change::PutKey(Key::generate(account, region.clone(), plain, NOW, random)),
        Change::PutAlias(Alias {
            account,
            region,
            name: "alias/app".parse().unwrap(),
            target: plain,
            created: NOW,
            updated: NOW,
        }),
        Change::PutEdgeSecret(EdgeSecret::new("tls-ca", &[0x33; 40])),
        Change::PutGrant(Grant {
            account,
            region: "eu-central-1".parse().unwrap(),
            key: plain,
            id: GrantId::from_bytes([0x44; 32]),
            name: Some("for-alice".into()),
            grantee: Grantee::Principal("arn:aws:iam::123456789012:user/alice".into()),
            retiring: Some(Grantee::Service("service.amazonaws.com".into())),
            issuing_account: "arn:aws:iam::123456789012:root".into(),
            operations: [GrantOperation::Decrypt, GrantOperation::DescribeKey].into(),
            constraints: GrantConstraints {
                encryption_context_subset: Some([("a", "1")].into_iter().collect()),
                encryption_context_equals: Some([("a", "1"), ("b", "2")].into_iter().collect()),
                source_arn: Some("arn:aws:s3:::an-example-bucket".into()),
            },
            created: NOW,
        }),
    ]
}

/// Makes the golden store, and what is in it.
fn make() -> (RootKey, Store, World) {
    let mut random = TestRandom::new(2026);
    let root_key = RootKey::generate(&mut random);
    let (state, genesis) = State::genesis(&root_key, &mut random, NOW);
    let mut store = Store::default();
    assert!(store.commit(&genesis));
    let mut expected = World::default();
    let mut batch = Batch::new(state);
    for change in changes(&mut random) {
        expected.apply(&change);
        batch.push(vec![change]);
    }
    assert!(store.commit(&batch.seal(&mut random).1));
    (root_key, store, expected)
}

fn print(root_key: &RootKey, store: &Store) -> String {
    let mut text = String::new();
    for label in Label::ALL {
        writeln!(text, "label {label:?} {}", label.as_str()).unwrap();
    }
    writeln!(text, "root-key {}", hex::encode(root_key.expose())).unwrap();
    writeln!(text, "root-key-id {}", root_key.id()).unwrap();
    let head = store.head.as_ref().unwrap();
    writeln!(text, "head {}", hex::encode(head)).unwrap();
    for (id, record) in &store.records {
        writeln!(text, "record {id} {}", hex::encode(record)).unwrap();
    }
    text
}

/// Reads the store in the golden file.
fn read() -> (RootKey, Store) {
    let mut root_key = None;
    let mut store = Store::default();
    for line in GOLDEN.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["root-key", key] => root_key = Some(hex::decode(key).unwrap().try_into().unwrap()),
            ["head", head] => store.head = Some(hex::decode(head).unwrap()),
            ["record", id, record] => {
                let id = RecordId::from_slice(&hex::decode(id).unwrap()).unwrap();
                store.records.insert(id, hex::decode(record).unwrap());
            }
            _ => {}
        }
    }
    (RootKey::from_bytes(&root_key.unwrap()), store)
}

/// To renew the file, on purpose: `UPDATE_VECTORS=1 cargo test -p claviger-kms golden`.
#[test]
fn what_is_written_is_what_was_written() {
    let (root_key, store, _) = make();
    let text = print(&root_key, &store);
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/encodings.txt");
        std::fs::write(path, text).unwrap();
    } else {
        assert!(text == GOLDEN, "an encoding has changed:\n{text}");
    }
}

#[test]
fn what_was_written_can_be_read() {
    let (root_key, store) = read();
    let state = store.open(&root_key).unwrap();
    assert_eq!(world(&state), make().2);
    assert_eq!(state.sequence(), 2);
}
