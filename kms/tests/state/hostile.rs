//! Whatever a host does to a store is found when the enclave starts.

use std::collections::BTreeMap;

use kms::Timestamp;
use kms::record::{Kind, RecordId, RootKey, StateError};
use kms::state::{Batch, State};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::history::{Edit, histories};
use crate::still_opening::open_either_way;
use crate::store::Store;
use crate::test_random::TestRandom;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A store with everything that the host saw on the way.
struct Past {
    root_key: RootKey,
    /// The store after each commit; the last one is the present.
    stores: Vec<Store>,
}

impl Past {
    fn play(history: &[Vec<Edit>], seed: u64) -> Self {
        let mut random = TestRandom::new(seed);
        let root_key = RootKey::generate(&mut random);
        let (mut state, transaction) = State::genesis(&root_key, &mut random, NOW);
        let mut store = Store::default();
        assert!(store.commit(&transaction));
        let mut stores = vec![store.clone()];
        for edits in history {
            let mut batch = Batch::new(state);
            batch.push(edits.iter().map(|edit| edit.change(&mut random)).collect());
            let (next, transaction) = batch.seal(&mut random);
            assert!(store.commit(&transaction));
            stores.push(store.clone());
            state = next;
        }
        Self { root_key, stores }
    }

    fn present(&self) -> &Store {
        self.stores.last().unwrap()
    }

    fn head(&self) -> &[u8] {
        self.present().head.as_ref().unwrap()
    }

    /// Opens these records under the present head.
    fn open(&self, records: &BTreeMap<RecordId, Vec<u8>>) -> Result<(), StateError> {
        open_either_way(&self.root_key, self.head(), records).map(drop)
    }

    /// Every version of every record that differs from the present.
    fn outdated(&self) -> Vec<(RecordId, Vec<u8>)> {
        let present = &self.present().records;
        let past = self.stores.iter().flat_map(|store| &store.records);
        past.filter(|(id, record)| present.get(id) != Some(record))
            .map(|(id, record)| (*id, record.clone()))
            .collect()
    }
}

fn nth<'a>(records: &'a BTreeMap<RecordId, Vec<u8>>, index: &Index) -> (RecordId, &'a Vec<u8>) {
    let (id, record) = records.iter().nth(index.index(records.len())).unwrap();
    (*id, record)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_missing_record(history in histories(1..8), which in any::<Index>()) {
        let past = Past::play(&history, 1);
        let mut records = past.present().records.clone();
        let (id, _) = nth(&records, &which);
        records.remove(&id);
        match past.open(&records).unwrap_err() {
            StateError::Missing { expected, found, kind } => {
                prop_assert_eq!(found + 1, expected);
                prop_assert!(id != RecordId::DOMAIN_KEY || kind == Kind::DomainKey);
            }
            StateError::DomainKeyNotFirst { .. } => prop_assert_eq!(id, RecordId::DOMAIN_KEY),
            error => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn several_missing_records(history in histories(1..8), keep in proptest::collection::vec(any::<bool>(), 64)) {
        let past = Past::play(&history, 1);
        let mut records = past.present().records.clone();
        let mut keep = keep.into_iter().chain(std::iter::repeat(true));
        records.retain(|_, _| keep.next().unwrap());
        prop_assume!(records.len() < past.present().records.len());
        prop_assert!(past.open(&records).is_err());
    }

    #[test]
    fn two_records_swapped(history in histories(1..8), a in any::<Index>(), b in any::<Index>()) {
        let past = Past::play(&history, 1);
        let mut records = past.present().records.clone();
        let ((a, at_a), (b, at_b)) = (nth(&records, &a), nth(&records, &b));
        let (at_a, at_b) = (at_a.clone(), at_b.clone());
        prop_assume!(a != b);
        records.insert(a, at_b);
        records.insert(b, at_a);
        let first = a.min(b);
        match past.open(&records).unwrap_err() {
            StateError::Altered { id, .. } => prop_assert_eq!(id, first),
            error => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn an_outdated_or_deleted_record(history in histories(2..10), which in any::<Index>()) {
        let past = Past::play(&history, 1);
        let outdated = past.outdated();
        prop_assume!(!outdated.is_empty());
        let (id, record) = outdated[which.index(outdated.len())].clone();
        let mut records = past.present().records.clone();
        let deleted = records.insert(id, record).is_none();
        match past.open(&records).unwrap_err() {
            StateError::Extra { expected, found, .. } => {
                prop_assert!(deleted);
                prop_assert_eq!(found, expected + 1);
            }
            StateError::Stale { .. } => prop_assert!(!deleted),
            error => prop_assert!(false, "{error}"),
        }
    }

    /// Any mixture of records from any moments, other than those of the present.
    #[test]
    fn a_mixture_of_moments(
        history in histories(2..10),
        picks in proptest::collection::vec((any::<bool>(), any::<Index>()), 64),
    ) {
        let past = Past::play(&history, 1);
        let mut ids: Vec<_> = past.stores.iter().flat_map(|store| store.records.keys()).collect();
        ids.sort();
        ids.dedup();
        let mut mixture = BTreeMap::new();
        for (id, (from_past, moment)) in ids.into_iter().zip(picks) {
            let store = if from_past { moment.get(&past.stores) } else { past.present() };
            if let Some(record) = store.records.get(id) {
                mixture.insert(*id, record.clone());
            }
        }
        let same = mixture == past.present().records;
        prop_assert_eq!(past.open(&mixture).is_ok(), same);
    }

    #[test]
    fn a_flipped_bit(history in histories(1..6), which in any::<Index>(), at in any::<Index>(), bit in 0..8_u8) {
        let past = Past::play(&history, 1);
        let mut records = past.present().records.clone();
        let (id, record) = nth(&records, &which);
        let mut record = record.clone();
        let at = at.index(record.len());
        record[at] ^= 1 << bit;
        records.insert(id, record);
        match past.open(&records).unwrap_err() {
            StateError::Altered { id: found, .. } | StateError::Malformed { id: found } => {
                prop_assert_eq!(found, id);
            }
            error => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn a_cut_record(history in histories(1..6), which in any::<Index>(), at in any::<Index>()) {
        let past = Past::play(&history, 1);
        let mut records = past.present().records.clone();
        let (id, record) = nth(&records, &which);
        let record = record[..at.index(record.len())].to_vec();
        records.insert(id, record);
        prop_assert!(past.open(&records).is_err());
    }

    #[test]
    fn a_flipped_bit_in_the_head(history in histories(0..3), at in any::<Index>(), bit in 0..8_u8) {
        let past = Past::play(&history, 1);
        let mut head = past.head().to_vec();
        let at = at.index(head.len());
        head[at] ^= 1 << bit;
        let error = open_either_way(&past.root_key, &head, &past.present().records).map(drop).unwrap_err();
        prop_assert_eq!(matches!(error, StateError::HeadMalformed), at == 0);
        prop_assert_eq!(matches!(error, StateError::WrongRootKey { .. }), (1..17).contains(&at));
        prop_assert_eq!(matches!(error, StateError::HeadAltered), at >= 17);
    }

    #[test]
    fn a_record_twice_or_out_of_order(history in histories(1..6), which in any::<Index>(), at in any::<Index>()) {
        let past = Past::play(&history, 1);
        let mut records: Vec<_> = past.present().records.iter().collect();
        let again = *which.get(&records);
        records.insert(at.index(records.len() + 1), again);
        let error = open_either_way(&past.root_key, past.head(), records).map(drop).unwrap_err();
        prop_assert!(
            matches!(
                error,
                StateError::Duplicate { .. }
                    | StateError::OutOfOrder { .. }
                    | StateError::DomainKeyNotFirst { .. }
            ),
            "{}",
            error
        );
    }

    #[test]
    fn an_old_head(history in histories(2..8), which in any::<Index>()) {
        let past = Past::play(&history, 1);
        let old = &past.stores[which.index(past.stores.len() - 1)];
        prop_assume!(old.records != past.present().records);
        let head = old.head.as_ref().unwrap();
        prop_assert!(open_either_way(&past.root_key, head, &past.present().records).is_err());
    }

    /// What the documentation says can't be seen: all of it, from one earlier moment.
    #[test]
    fn a_whole_old_store_is_a_store(history in histories(2..6), which in any::<Index>()) {
        let past = Past::play(&history, 1);
        let old = which.get(&past.stores);
        prop_assert!(old.open(&past.root_key).is_ok());
    }

    #[test]
    fn anything_for_a_record_or_head(history in histories(1..3), bytes in proptest::collection::vec(any::<u8>(), 0..200), id in any::<[u8; 32]>()) {
        let past = Past::play(&history, 1);
        let mut records = past.present().records.clone();
        records.insert(RecordId::from_slice(&id).unwrap(), bytes.clone());
        prop_assert!(past.open(&records).is_err());
        prop_assert!(open_either_way(&past.root_key, &bytes, &records).is_err());
    }
}

#[test]
fn another_stores_records() {
    let (past, other) = (Past::play(&[], 1), Past::play(&[], 2));
    let foreign = &other.present().records;
    assert_eq!(
        past.open(foreign).unwrap_err(),
        StateError::Altered {
            id: RecordId::DOMAIN_KEY,
            kind: Kind::DomainKey
        }
    );
    let error = open_either_way(&past.root_key, other.head(), foreign)
        .map(drop)
        .unwrap_err();
    assert_eq!(
        error,
        StateError::WrongRootKey {
            sealed_under: other.root_key.id(),
            given: past.root_key.id(),
        }
    );
}

#[test]
fn no_records_at_all() {
    let past = Past::play(&[], 1);
    assert_eq!(
        past.open(&BTreeMap::new()).unwrap_err(),
        StateError::Missing {
            kind: Kind::DomainKey,
            expected: 1,
            found: 0
        }
    );
}
