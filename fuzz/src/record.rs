//! A store whose content the host may have changed.

use std::sync::LazyLock;

use attestation::Timestamp;
use kms::key::Key;
use kms::name::KeyId;
use kms::record::RootKey;
use kms::state::{Batch, Change, Opening, RecordId, State};

use crate::edit::{Counter, edited};

struct Store {
    root_key: RootKey,
    head: Vec<u8>,
    /// In ascending order of id, as the link delivers them.
    records: Vec<(RecordId, Vec<u8>)>,
}

/// A small store: the domain key and two KMS keys.
static GENUINE: LazyLock<Store> = LazyLock::new(|| {
    let random = &mut Counter(1);
    let root_key = RootKey::generate(random);
    let now = Timestamp::from_secs(0);
    let (state, genesis) = State::genesis(&root_key, random, now);
    let mut batch = Batch::new(state);
    for number in 0..2 {
        let account = "123456789012".parse().expect("an account");
        let region = "eu-central-1".parse().expect("a region");
        let key = Key::generate(
            account,
            region,
            KeyId::new([number; 16], false),
            now,
            random,
        );
        batch.push(vec![Change::PutKey(key)]);
    }
    let (_, transaction) = batch.seal(random);
    let mut records: Vec<_> = genesis.puts.into_iter().chain(transaction.puts).collect();
    records.sort_by_key(|(id, _)| *id);
    records.dedup_by_key(|(id, _)| *id);
    Store {
        root_key,
        head: transaction.head,
        records,
    }
});

/// The first byte picks what is edited (the head, or one record), the rest are the edits.
///
/// Any change of a head or a record is found, and so is a record given twice or left out.
pub fn sealed_record(data: &[u8]) {
    let Some((pick, edits)) = data.split_first() else {
        return;
    };
    let pick = usize::from(*pick) % (GENUINE.records.len() + 1);
    let mut head = GENUINE.head.clone();
    let mut records = GENUINE.records.clone();
    match pick.checked_sub(1).and_then(|at| records.get_mut(at)) {
        Some((_, record)) => *record = edited(record, edits),
        None => head = edited(&head, edits),
    }
    let untouched = head == GENUINE.head && records == GENUINE.records;
    assert_eq!(open(&head, &records), untouched);

    // The same bytes with nothing genuine about them.
    assert!(!open(edits, &GENUINE.records));
    assert!(!open(
        &GENUINE.head,
        &[(RecordId::DOMAIN_KEY, edits.to_vec())]
    ));
    // Other records of the right form, in another place, again, or not at all.
    if let Some(at) = pick.checked_sub(1) {
        let mut moved = GENUINE.records.clone();
        match edits.first().map(|what| what % 3) {
            Some(0) => drop(moved.remove(at)),
            Some(1) => moved.push(moved[at].clone()),
            _ => moved.rotate_left(at.max(1)),
        }
        assert!(!open(&GENUINE.head, &moved));
    }
}

fn open(head: &[u8], records: &[(RecordId, Vec<u8>)]) -> bool {
    let Ok(mut opening) = Opening::new(&GENUINE.root_key, head) else {
        return false;
    };
    let taken = records
        .iter()
        .try_for_each(|(id, record)| opening.record(*id, record));
    taken.is_ok() && opening.finish().is_ok()
}
