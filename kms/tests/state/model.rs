//! A state holds what was put into it: at once, after a commit, and after every restart.

use std::sync::Arc;

use kms::Timestamp;
use kms::name::{AccountId, Region};
use kms::principal::{AccessKey, IdentityKind, Principal, PrincipalKind};
use kms::record::RootKey;
use kms::state::{Batch, Change, State};
use proptest::prelude::*;

use crate::history::{
    ACCOUNTS, Edit, REGIONS, World, account, describe_access_key, describe_alias,
    describe_edge_secret, describe_grant, describe_key, describe_principal, grantee, histories,
    key_id, region,
};
use crate::still_opening::open_either_way;
use crate::store::Store;
use crate::test_random::TestRandom;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// How the commit of a batch ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Committed,
    /// Committed, but the enclave stopped before it knew.
    CommittedUnseen,
    /// The enclave stopped before the store had it.
    Lost,
    /// Committed, and then the root key was changed.
    RootKeyChanged,
}

fn endings() -> impl Strategy<Value = Ending> {
    prop_oneof![
        3 => Just(Ending::Committed),
        1 => Just(Ending::CommittedUnseen),
        1 => Just(Ending::Lost),
        1 => Just(Ending::RootKeyChanged),
    ]
}

/// Everything a state says, found by listing.
pub(crate) fn world(state: &State) -> World {
    let mut things = Vec::new();
    for (a, r) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (account, region) = (account(a), region(r));
        let keys = state.keys_after(account, &region, None).unwrap();
        things.extend(keys.map(|key| describe_key(key)));
        let aliases = state.aliases_after(account, &region, None);
        things.extend(aliases.map(|alias| describe_alias(alias)));
        // Grants outlive nothing, but the model does not know that: their keys may be gone.
        let grants = GRANTED_KEYS.map(|key| state.grants_on(account, &region, key_id(key), None));
        things.extend(
            grants
                .into_iter()
                .flatten()
                .map(|grant| describe_grant(grant)),
        );
    }
    things.extend(state.principals().map(|p| describe_principal(p)));
    things.extend(state.access_keys().map(|k| describe_access_key(k)));
    let names = (0..4).map(|n| format!("secret-{n}"));
    let names = names.chain(["tls-ca".to_owned()]);
    let edge_secrets = names.filter_map(|name| state.edge_secret(&name));
    things.extend(edge_secrets.map(|secret| describe_edge_secret(secret)));
    World(things.into_iter().collect())
}

/// The keys that grants are made on: two in histories, one in the golden store.
const GRANTED_KEYS: [u8; 3] = [0, 1, GOLDEN_KEY];

/// The number whose id is that of the golden store's key with a grant.
const GOLDEN_KEY: u8 = 0x22;

fn assert_grants_agree(state: &State, account: AccountId, region: &Region) {
    let mut all = Vec::new();
    for number in GRANTED_KEYS {
        let key = key_id(number);
        let grants: Vec<_> = state.grants_on(account, region, key, None).collect();
        assert!(grants.is_sorted_by_key(|grant| grant.id));
        for (place, grant) in grants.iter().enumerate() {
            let found = state.grant(account, region, key, grant.id).unwrap();
            assert_eq!(describe_grant(found), describe_grant(grant));
            let later = state.grants_on(account, region, key, Some(grant.id));
            let ids = grants[place + 1..].iter().map(|grant| grant.id);
            assert!(later.map(|grant| grant.id).eq(ids));
        }
        if let Some(key) = state.key(account, region, key).unwrap() {
            for to in [0, 1, 2].map(grantee) {
                let found = state.grants_for(key, to.clone()).map(|grant| grant.id);
                let expected = grants.iter().filter(|grant| grant.grantee == to);
                assert!(found.eq(expected.map(|grant| grant.id)));
            }
        }
        all.extend(grants);
    }
    all.sort_by_key(|grant| (grant.key, grant.id));
    for by in [0, 1, 2].map(grantee) {
        let expected: Vec<_> = all
            .iter()
            .filter(|grant| grant.retiring.as_ref() == Some(&by))
            .map(|grant| (grant.key, grant.id))
            .collect();
        for (start, rest) in std::iter::once((None, &expected[..]))
            .chain((0..expected.len()).map(|at| (Some(expected[at]), &expected[at + 1..])))
        {
            let found = state.retirable_by(account, region, by.clone(), start);
            assert!(
                found
                    .map(|grant| (grant.key, grant.id))
                    .eq(rest.iter().copied())
            );
        }
    }
}

/// Every way to look something up agrees with listing everything.
fn assert_lookups_agree(state: &State) {
    for (a, r) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (account, region) = (account(a), region(r));
        let keys = state.keys_after(account, &region, None);
        let keys: Vec<_> = keys.unwrap().collect();
        assert!(keys.is_sorted_by_key(|key| key.id()));
        for (place, key) in keys.iter().enumerate() {
            let found = state.key(account, &region, key.id()).unwrap().unwrap();
            assert_eq!(describe_key(found), describe_key(key));
            let later = state.keys_after(account, &region, Some(key.id()));
            assert!(
                later
                    .unwrap()
                    .map(|k| k.id())
                    .eq(keys[place + 1..].iter().map(|k| k.id()))
            );
        }
        let aliases: Vec<_> = state.aliases_after(account, &region, None).collect();
        assert!(aliases.is_sorted_by_key(|alias| &alias.name));
        for (place, alias) in aliases.iter().enumerate() {
            assert_eq!(state.alias(account, &region, &alias.name), Some(*alias));
            let later = state.aliases_after(account, &region, Some(&alias.name));
            assert!(later.eq(aliases[place + 1..].iter().copied()));
        }
        for number in 0..4 {
            let of_key = aliases
                .iter()
                .copied()
                .filter(|alias| alias.target == key_id(number));
            assert!(
                state
                    .aliases_of(account, &region, key_id(number))
                    .eq(of_key)
            );
        }
    }
    for (a, r) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        assert_grants_agree(state, account(a), &region(r));
    }
    for principal in state.principals() {
        assert_eq!(state.principal(principal.arn()), Some(principal));
    }
    for access_key in state.access_keys() {
        let of_owner = |key: &&Arc<AccessKey>| key.principal == access_key.principal;
        let expected = state.access_keys().filter(of_owner);
        let found = state.access_keys_of(&access_key.principal);
        assert!(found.map(|key| &key.id).eq(expected.map(|key| &key.id)));
    }
    for (number, kind) in [
        (0, IdentityKind::User),
        (0, IdentityKind::Role),
        (1, IdentityKind::User),
        (1, IdentityKind::Role),
    ] {
        let account = account(number);
        let is_one = |principal: &&Arc<Principal>| match principal.kind() {
            PrincipalKind::User { .. } => kind == IdentityKind::User,
            PrincipalKind::Role(_) => kind == IdentityKind::Role,
            PrincipalKind::Root | PrincipalKind::Session(_) => false,
        };
        let mut expected: Vec<_> = state
            .principals()
            .filter(|principal| principal.account() == account && is_one(principal))
            .collect();
        expected.sort_by_key(|principal| principal.name());
        let found: Vec<_> = state.identities_after(account, kind, None).collect();
        assert_eq!(found, expected);
        for (place, principal) in found.iter().enumerate() {
            let name = principal.name().unwrap();
            let upper = name.to_uppercase();
            assert_eq!(state.identity(account, kind, &upper), Some(*principal));
            let later = state.identities_after(account, kind, Some(name));
            assert!(later.eq(found[place + 1..].iter().copied()));
        }
        assert_eq!(state.identity(account, kind, "nobody"), None);
    }
    for access_key in state.access_keys() {
        let found = state.access_key(&access_key.id).unwrap();
        assert_eq!(describe_access_key(found), describe_access_key(access_key));
    }
    for date in [0, 100, 200, 300, 400].map(Timestamp::from_secs) {
        let due = state.due(date).unwrap();
        let due: Vec<_> = due.map(|key| describe_key(key)).collect();
        let mut expected = Vec::new();
        for (a, r) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let (account, region) = (account(a), region(r));
            let keys = state.keys_after(account, &region, None).unwrap();
            let due = keys.filter(|key| key.due().is_some_and(|due| due <= date));
            expected.extend(due.map(|key| describe_key(key)));
        }
        assert_eq!(due.len(), expected.len());
        assert!(due.iter().all(|key| expected.contains(key)));
    }
}

/// Plays a history and checks it at every step; returns the store it leaves.
fn play(history: &[(Vec<Edit>, Ending)], seed: u64) -> Store {
    let mut random = TestRandom::new(seed);
    let mut root_key = RootKey::generate(&mut random);
    let mut store = Store::default();
    let (mut state, transaction) = State::genesis(&root_key, &mut random, NOW);
    assert!(store.commit(&transaction));
    let mut expected = World::default();

    for (edits, ending) in history {
        let (before, sequence) = (world(&state), state.sequence());
        let mut batch = Batch::new(state.clone());
        let mut next_expected = expected.clone();
        for edit in edits {
            let change: Change = edit.change(&mut random);
            next_expected.apply(&change);
            batch.push(vec![change]);
            assert_eq!(world(batch.state()), next_expected);
        }
        let (next, transaction) = batch.seal(&mut random);
        assert_eq!(world(&next), next_expected);
        assert_eq!(next.sequence(), sequence + 1);
        assert!(transaction.puts.is_sorted_by_key(|(id, _)| *id));
        assert_eq!(world(&state), before, "a snapshot never changes");

        match ending {
            Ending::Committed => {
                assert!(store.commit(&transaction));
                assert!(!store.commit(&transaction), "no commit happens twice");
                state = next;
                expected = next_expected;
            }
            Ending::CommittedUnseen => {
                assert!(store.commit(&transaction));
                state = store.open(&root_key).unwrap();
                assert_eq!(state.head_hash(), next.head_hash());
                expected = next_expected;
            }
            Ending::Lost => state = store.open(&root_key).unwrap(),
            Ending::RootKeyChanged => {
                assert!(store.commit(&transaction));
                let old = std::mem::replace(&mut root_key, RootKey::generate(&mut random));
                let (changed, transaction) = next.with_root_key(&root_key, &mut random);
                assert!(store.commit(&transaction));
                assert!(store.open(&old).is_err(), "the old root key opens nothing");
                assert!(changed.root_key().id() == root_key.id());
                state = changed;
                expected = next_expected;
            }
        }
        assert_eq!(world(&state), expected);
        assert_lookups_agree(&state);

        let head = store.head.as_ref().unwrap();
        let reopened = open_either_way(&root_key, head, &store.records).unwrap();
        assert_eq!(world(&reopened), expected);
        assert_eq!(reopened.head_hash(), state.head_hash());
        assert_eq!(reopened.sequence(), state.sequence());
        assert_eq!(
            store.records.len(),
            expected.0.len() + 1,
            "and the domain key"
        );
    }
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_state_is_what_was_put_into_it(
        history in histories(0..12),
        endings in proptest::collection::vec(endings(), 12),
        seed in any::<u64>(),
    ) {
        let history: Vec<_> = history.into_iter().zip(endings).collect();
        let store = play(&history, seed);
        // Same state, time and seed: same bytes.
        prop_assert_eq!(store, play(&history, seed));
    }
}

#[test]
fn names_reach_the_store_sealed_only() {
    let mut random = TestRandom::new(1);
    let root_key = RootKey::generate(&mut random);
    let (state, genesis) = State::genesis(&root_key, &mut random, NOW);
    let mut store = Store::default();
    assert!(store.commit(&genesis));
    let mut batch = Batch::new(state);
    let account = account(0);
    batch.push(vec![
        Change::PutPrincipal(kms::principal::Principal::root(account, NOW)),
        Change::PutKey(kms::state::Key::generate(
            account,
            region(0),
            key_id(2),
            NOW,
            &mut random,
        )),
    ]);
    assert!(store.commit(&batch.seal(&mut random).1));
    let everything: Vec<u8> = store
        .records
        .iter()
        .flat_map(|(id, record)| [&id.as_bytes()[..], record].concat())
        .chain(store.head.unwrap())
        .collect();
    let holds = |needle: &[u8]| {
        everything
            .windows(needle.len())
            .any(|bytes| bytes == needle)
    };
    for name in [ACCOUNTS[0], REGIONS[0], "root", "SYMMETRIC"] {
        assert!(!holds(name.as_bytes()), "{name}");
    }
    assert!(!holds(key_id(2).as_bytes()));
}
