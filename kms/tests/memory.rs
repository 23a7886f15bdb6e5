//! What a key costs in memory, as the system counts it. In a process of its own, where nothing
//! else allocates.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;

use kms::Timestamp;
use kms::name::KeyId;
use kms::state::{Batch, Change, Key, Opening, RecordId, RootKey, State};
use rand_core::Rng as _;
use test_random::TestRandom;

#[path = "../src/test_random.rs"]
mod test_random;

const KEYS: usize = 50_000;
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Bytes of memory that this process has, on a system with pages of 4 KiB.
fn resident() -> usize {
    let memory = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = memory.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_key_at_rest_has_less_than_a_kilobyte() {
    let mut random = TestRandom::new(1);
    let root_key = RootKey::from_bytes(&[7; 32]);
    let (mut state, first) = State::genesis(&root_key, &mut random, NOW);
    let mut records: BTreeMap<RecordId, Vec<u8>> = first.puts.into_iter().collect();
    let (account, region) = (
        "123456789012".parse().unwrap(),
        "us-east-1".parse().unwrap(),
    );
    let mut batch = Batch::new(state);
    let keys = (0..KEYS).map(|_| {
        let mut id = [0; 16];
        random.fill_bytes(&mut id);
        let id = KeyId::new(id, false);
        Key::generate(account, Clone::clone(&region), id, NOW, &mut random)
    });
    batch.push(keys.map(Change::PutKey).collect());
    let transaction;
    (state, transaction) = batch.seal(&mut random);
    records.extend(transaction.puts);

    // What there is so far stays, so that nothing below is put where it was.
    let before = resident();
    let mut opening = Opening::new(&root_key, &transaction.head).unwrap();
    for (id, record) in &records {
        opening.record(*id, record).unwrap();
    }
    let opened = opening.finish().unwrap();
    let bytes = (resident() - before) / KEYS;
    assert!((200..1000).contains(&bytes), "{bytes} bytes for a key");
    assert_eq!(
        opened.keys_after(account, &region, None).unwrap().count(),
        KEYS
    );
    drop(state);
}
