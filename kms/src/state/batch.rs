//! From one state to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use attestation::Timestamp;
use rand_core::CryptoRng;

use super::{Sealing, State, Tables};
use crate::grant::{Grant, GrantId};
use crate::key::{Alias, Key};
use crate::name::{AccountId, AliasName, KeyId, Region};
use crate::principal::{AccessKey, Principal};
use crate::record::{
    DomainKey, EdgeSecret, Head, Kind, KindHash, Name, Object, RecordId, RootKey, SetHash, Stamp,
    head_hash,
};

/// One thing to write or delete.
///
/// Putting replaces what has the same identity; deleting what is not there does nothing.
/// References are the caller's to keep: deleting a key does not delete its aliases.
pub enum Change {
    /// Write a KMS key.
    PutKey(Key),
    /// Delete a KMS key for good.
    DeleteKey {
        /// The account it belongs to.
        account: AccountId,
        /// The region it is in.
        region: Region,
        /// Its id.
        id: KeyId,
    },
    /// Write an alias.
    PutAlias(Alias),
    /// Delete an alias.
    DeleteAlias {
        /// The account it belongs to.
        account: AccountId,
        /// The region it is in.
        region: Region,
        /// Its name.
        name: AliasName,
    },
    /// Write a principal.
    PutPrincipal(Principal),
    /// Delete a principal.
    DeletePrincipal {
        /// Its ARN.
        arn: Arc<str>,
    },
    /// Write an access key.
    PutAccessKey(AccessKey),
    /// Delete an access key.
    DeleteAccessKey {
        /// Its id.
        id: Arc<str>,
    },
    /// Write a grant.
    PutGrant(Grant),
    /// Delete a grant.
    DeleteGrant {
        /// The account of its key.
        account: AccountId,
        /// The region of its key.
        region: Region,
        /// Its key.
        key: KeyId,
        /// Its id.
        id: GrantId,
    },
    /// Write a secret of the enclave's edge.
    PutEdgeSecret(EdgeSecret),
    /// Delete a secret of the enclave's edge.
    DeleteEdgeSecret {
        /// Its name.
        name: Arc<str>,
    },
}

/// What the store has to do, all or nothing, if its head still is the expected one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transaction {
    /// SHA-256 of the sealed head that is to be replaced; `None` when there must be none.
    pub expected_head: Option<[u8; 32]>,
    /// Records to write, in ascending order of id.
    pub puts: Vec<(RecordId, Vec<u8>)>,
    /// Records to delete, in ascending order of id.
    pub deletes: Vec<RecordId>,
    /// The new sealed head.
    pub head: Vec<u8>,
}

/// The changes of any number of calls, to be committed as one (group commit).
pub struct Batch {
    /// The state with all changes applied; changed records have no stamp yet.
    state: State,
    /// The subjects of the changes, with the stamps their records have in the store.
    changed: BTreeMap<Name, Option<Stamp>>,
}

impl Batch {
    /// A batch on top of the current state.
    pub fn new(state: State) -> Self {
        Self {
            state,
            changed: BTreeMap::new(),
        }
    }

    /// The state as it will be: the current one with all changes so far. The next call of
    /// the batch is decided on it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether nothing was changed, so that there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// Applies the changes of one call.
    pub fn push(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.apply(change);
        }
    }

    /// Seals what was changed: the next state, and what makes the store hold it.
    ///
    /// The next state takes effect once the store has taken the transaction. If it does
    /// not, both are dropped; nothing is lost but the work.
    pub fn seal(self, random: &mut dyn CryptoRng) -> (State, Transaction) {
        let Self { mut state, changed } = self;
        let sealing = state.sealing.clone();
        let naming_key = &sealing.domain_key.naming;
        let sequence = state.head.sequence + 1;
        let records = &mut state.head.records;
        let (mut puts, mut deletes) = (Vec::with_capacity(changed.len()), Vec::new());
        for (name, replaced) in changed {
            let (kind, id) = (name.kind(), name.record_id(naming_key));
            if let Some(replaced) = replaced {
                records.remove(naming_key, kind, id, replaced);
            }
            if let Some(object) = state.tables.get(&name) {
                let record = object.seal(&sealing.domain_key, id, sequence, random);
                let stamp = Stamp::of(sequence, &record);
                records.add(naming_key, kind, id, stamp);
                state.tables.put(object, Some(stamp));
                puts.push((id, record));
            } else if replaced.is_some() {
                deletes.push(id);
            }
        }
        puts.sort_unstable_by_key(|(id, _)| *id);
        deletes.sort_unstable();

        let expected_head = Some(state.head_hash);
        state.head.sequence = sequence;
        state.head.previous = expected_head;
        let head = state.head.seal(&sealing.root_key, random);
        state.head_hash = head_hash(&head);
        let transaction = Transaction {
            expected_head,
            puts,
            deletes,
            head,
        };
        (state, transaction)
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::PutKey(key) => self.put(Object::Key(key.into())),
            Change::DeleteKey {
                account,
                region,
                id,
            } => self.delete(Name::Key {
                account,
                region,
                id,
            }),
            Change::PutAlias(alias) => self.put(Object::Alias(alias.into())),
            Change::DeleteAlias {
                account,
                region,
                name,
            } => self.delete(Name::Alias {
                account,
                region,
                name,
            }),
            Change::PutPrincipal(principal) => self.put(Object::Principal(principal.into())),
            Change::DeletePrincipal { arn } => self.delete(Name::Principal { arn }),
            Change::PutAccessKey(access_key) => self.put(Object::AccessKey(access_key.into())),
            Change::DeleteAccessKey { id } => self.delete(Name::AccessKey { id }),
            Change::PutGrant(grant) => self.put(Object::Grant(grant.into())),
            Change::DeleteGrant {
                account,
                region,
                key,
                id,
            } => self.delete(Name::Grant {
                account,
                region,
                key,
                id,
            }),
            Change::PutEdgeSecret(secret) => self.put(Object::EdgeSecret(secret.into())),
            Change::DeleteEdgeSecret { name } => self.delete(Name::EdgeSecret { name }),
        }
    }

    fn put(&mut self, object: Object) {
        self.note(object.name());
        self.state.tables.put(object, None);
    }

    fn delete(&mut self, name: Name) {
        if self.state.tables.get(&name).is_some() {
            self.note(name.clone());
            self.state.tables.remove(&name);
        }
    }

    fn note(&mut self, name: Name) {
        let stamp = self.state.tables.stamp(&name);
        self.changed.entry(name).or_insert(stamp);
    }
}

pub(super) fn genesis(
    root_key: &RootKey,
    random: &mut dyn CryptoRng,
    now: Timestamp,
) -> (State, Transaction) {
    const SEQUENCE: u64 = 1;
    let domain_key = DomainKey::generate(now, random);
    let record = domain_key.seal(root_key, SEQUENCE, random);
    let mut records = SetHash::default();
    records.add(
        &domain_key.naming,
        Kind::DomainKey,
        RecordId::DOMAIN_KEY,
        Stamp::of(SEQUENCE, &record),
    );
    let head = Head {
        sequence: SEQUENCE,
        epoch: domain_key.epoch,
        previous: None,
        records,
    };
    let sealed_head = head.seal(root_key, random);
    let state = State {
        tables: Tables::default(),
        sealed_keys: 0,
        sealing: Arc::new(Sealing {
            root_key: root_key.clone(),
            domain_key: Arc::new(domain_key),
        }),
        head,
        head_hash: head_hash(&sealed_head),
    };
    let transaction = Transaction {
        expected_head: None,
        puts: vec![(RecordId::DOMAIN_KEY, record)],
        deletes: Vec::new(),
        head: sealed_head,
    };
    (state, transaction)
}

pub(super) fn change_root_key(
    state: &State,
    root_key: &RootKey,
    random: &mut dyn CryptoRng,
) -> (State, Transaction) {
    let mut next = state.clone();
    let domain_key = Arc::clone(&state.sealing.domain_key);
    let sequence = state.head.sequence + 1;
    let record = domain_key.seal(root_key, sequence, random);
    // It is the only record of its kind.
    *next.head.records.kind_mut(Kind::DomainKey) = KindHash::default();
    next.head.records.add(
        &domain_key.naming,
        Kind::DomainKey,
        RecordId::DOMAIN_KEY,
        Stamp::of(sequence, &record),
    );
    let expected_head = Some(state.head_hash);
    next.head.sequence = sequence;
    next.head.previous = expected_head;
    let head = next.head.seal(root_key, random);
    next.head_hash = head_hash(&head);
    next.sealing = Arc::new(Sealing {
        root_key: root_key.clone(),
        domain_key,
    });
    let transaction = Transaction {
        expected_head,
        puts: vec![(RecordId::DOMAIN_KEY, record)],
        deletes: Vec::new(),
        head,
    };
    (next, transaction)
}
