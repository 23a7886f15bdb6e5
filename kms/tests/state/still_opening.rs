//! A state that is used before all of its keys are open.

use kms::Timestamp;
use kms::record::{RecordId, RootKey, StateError};
use kms::state::{Batch, Change, Key, Opening, SealedKeys, State, StillOpening};
use proptest::prelude::*;

use crate::history::{Edit, account, histories, key_id, region};
use crate::model::world;
use crate::store::{Store, open, read};
use crate::test_random::TestRandom;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Opens what a host hands over: all of it before the comparison with the head, and once more with
/// the keys after it.
pub(crate) fn open_either_way<'a>(
    root_key: &RootKey,
    head: &[u8],
    records: impl IntoIterator<Item = (&'a RecordId, &'a Vec<u8>)> + Clone,
) -> Result<State, StateError> {
    let first = open(root_key, head, records.clone());
    let last = Opening::new(root_key, head)?.keys_last(0, 2);
    match (first, read(last, records).and_then(Opening::finish)) {
        (Ok(first), Ok(last)) => {
            assert_eq!(world(&first), world(&last));
            assert_eq!(first.head_hash(), last.head_hash());
            assert_eq!(last.sealed_keys(), 0);
            Ok(last)
        }
        (Err(first), Err(last)) => {
            let is_fine = match (&first, &last) {
                // Of several ones, the one that is opened first; and no more keys are taken than
                // there can be.
                (StateError::Altered { .. }, StateError::Altered { .. })
                | (_, StateError::Extra { .. }) => true,
                _ => first == last,
            };
            assert!(is_fine, "{first}; with keys last {last}");
            Err(first)
        }
        (first, last) => panic!("{:?}; with keys last {:?}", first.err(), last.err()),
    }
}

/// A store that a history leaves.
fn play(root_key: &RootKey, history: &[Vec<Edit>], random: &mut TestRandom) -> Store {
    let mut store = Store::default();
    let (mut state, transaction) = State::genesis(root_key, random, NOW);
    assert!(store.commit(&transaction));
    for edits in history {
        let changes = edits.iter().map(|edit| edit.change(random)).collect();
        state = commit(&mut store, state, changes, random);
    }
    store
}

fn commit(store: &mut Store, state: State, changes: Vec<Change>, random: &mut TestRandom) -> State {
    let mut batch = Batch::new(state);
    batch.push(changes);
    let (next, transaction) = batch.seal(random);
    assert!(store.commit(&transaction));
    next
}

/// A store with so many keys.
fn store_of(keys: u8, root_key: &RootKey, random: &mut TestRandom) -> Store {
    let mut store = play(root_key, &[], random);
    let state = store.open(root_key).unwrap();
    let keys = (0..keys)
        .map(|number| Key::generate(account(0), region(0), key_id(number), NOW, random))
        .map(Change::PutKey);
    let keys = keys.collect();
    commit(&mut store, state, keys, random);
    store
}

/// The state with its keys sealed, if there are more than so many.
fn check(store: &Store, root_key: &RootKey, most: u64, together: usize) -> (State, SealedKeys) {
    let head = store.head.as_ref().unwrap();
    let opening = Opening::new(root_key, head)
        .unwrap()
        .keys_last(most, together);
    read(opening, &store.records).unwrap().check().unwrap()
}

/// Whether a call that makes this change would have got as far as that.
fn can_be(change: &Change, state: &State) -> bool {
    match change {
        Change::PutKey(key) => state.key(key.account(), key.region(), key.id()).is_ok(),
        Change::DeleteKey {
            account,
            region,
            id,
        } => state.key(*account, region, *id).is_ok(),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is changed before and between the keys, in the end all of it is in the state, in
    /// the store, and in the state that is read from there.
    #[test]
    fn what_is_changed_meanwhile_stays(
        history in histories(1..8),
        meanwhile in histories(1..12),
        together in 1..4_usize,
        seed in any::<u64>(),
    ) {
        let random = &mut TestRandom::new(seed);
        let mut root_key = RootKey::generate(random);
        let mut store = play(&root_key, &history, random);
        let before = world(&store.open(&root_key).unwrap());
        let (mut state, mut sealed) = check(&store, &root_key, 0, together);
        let mut expected = before;
        for (number, edits) in meanwhile.iter().enumerate() {
            let mut batch = Batch::new(state);
            for edit in edits {
                let change = edit.change(random);
                if can_be(&change, batch.state()) {
                    expected.apply(&change);
                    batch.push(vec![change]);
                }
            }
            let id = key_id(100 + u8::try_from(number).unwrap());
            let new = Change::PutKey(Key::generate(account(0), region(0), id, NOW, random));
            expected.apply(&new);
            batch.push(vec![new]);
            let (next, transaction) = batch.seal(random);
            prop_assert!(store.commit(&transaction));
            state = next;
            if let Some(some) = sealed.some() {
                state.take_in(some.open().unwrap()).unwrap();
            }
            if number == 1 {
                root_key = RootKey::generate(random);
                let (next, transaction) = state.with_root_key(&root_key, random);
                prop_assert!(store.commit(&transaction));
                state = next;
            }
            prop_assert_eq!(state.sealed_keys(), sealed.count());
        }
        while let Some(some) = sealed.some() {
            prop_assert!(state.sealed_keys() > 0);
            state.take_in(some.open().unwrap()).unwrap();
        }
        prop_assert_eq!(state.sealed_keys(), 0);
        prop_assert_eq!(world(&state), expected.clone());
        let reopened = store.open(&root_key).unwrap();
        prop_assert_eq!(world(&reopened), expected);
        prop_assert_eq!(reopened.head_hash(), state.head_hash());
    }
}

#[test]
fn few_keys_are_opened_with_everything_else() {
    let random = &mut TestRandom::new(1);
    let root_key = RootKey::generate(random);
    let store = store_of(5, &root_key, random);
    for (most, sealed_keys) in [(0, 5), (4, 5), (5, 0), (6, 0)] {
        let (state, sealed) = check(&store, &root_key, most, 2);
        assert_eq!(state.sealed_keys(), sealed_keys);
        assert_eq!(sealed.count(), sealed_keys);
    }
}

#[test]
fn what_is_not_known_yet_is_not_said_to_be_absent() {
    let random = &mut TestRandom::new(1);
    let root_key = RootKey::generate(random);
    let store = store_of(3, &root_key, random);
    let (mut state, mut sealed) = check(&store, &root_key, 0, 1);
    let (account, here) = (account(0), region(0));
    for left in [3, 2, 1] {
        let known = [0, 1, 2].map(|number| match state.key(account, &here, key_id(number)) {
            Ok(key) => key.is_some(),
            Err(StillOpening) => false,
        });
        assert_eq!(known.iter().filter(|is_known| !**is_known).count(), left);
        // Nobody knows that there is none such before all are open.
        assert!(state.key(account, &here, key_id(9)).is_err());
        assert!(state.key(account, &region(1), key_id(0)).is_err());
        assert!(state.keys_after(account, &here, None).is_err());
        assert!(state.keys_after(account, &region(1), None).is_err());
        assert!(state.keys_with_id(key_id(9)).is_err());
        assert!(state.due(NOW).is_err());
        assert_eq!(state.require_all_keys(), Err(StillOpening));
        let one = sealed.some().unwrap();
        state.take_in(one.open().unwrap()).unwrap();
    }
    assert!(sealed.some().is_none());
    assert_eq!(
        state.key(account, &here, key_id(9)).unwrap().map(drop),
        None
    );
    assert_eq!(state.keys_after(account, &here, None).unwrap().count(), 3);
    assert_eq!(state.keys_with_id(key_id(0)).unwrap().count(), 1);
    assert_eq!(state.due(NOW).unwrap().count(), 0);
}

#[test]
fn no_key_is_taken_in_twice() {
    let random = &mut TestRandom::new(1);
    let root_key = RootKey::generate(random);
    let store = store_of(3, &root_key, random);
    let (mut state, mut sealed) = check(&store, &root_key, 0, 1);
    let (_, mut again) = check(&store, &root_key, 0, 1);
    let [once, twice] = [&mut sealed, &mut again].map(|sealed| sealed.some().unwrap().open());
    state.take_in(once.unwrap()).unwrap();
    let refused = state.take_in(twice.unwrap());
    assert!(matches!(refused, Err(StateError::Duplicate { .. })));
}

/// The host can't make the enclave remember more sealed keys than there are.
#[test]
fn there_is_an_end_to_what_is_kept_sealed() {
    let random = &mut TestRandom::new(1);
    let root_key = RootKey::generate(random);
    let store = store_of(3, &root_key, random);
    let head = store.head.as_ref().unwrap();
    let opening = Opening::new(&root_key, head).unwrap().keys_last(0, 1);
    let mut opening = read(opening, &store.records).unwrap();
    let (last, record) = store.records.last_key_value().unwrap();
    let mut id = *last.as_bytes();
    let mut taken = 0;
    let refused = loop {
        // The next one in order.
        let place = id.iter().rposition(|byte| *byte < 0xff).unwrap();
        id[place] += 1;
        let id = RecordId::from_slice(&id).unwrap();
        match opening.record(id, record) {
            Ok(()) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(taken, 0);
    assert!(matches!(refused, StateError::Altered { .. }), "{refused}");
}
