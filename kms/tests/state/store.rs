//! A store as an honest host keeps it.

use std::collections::BTreeMap;

use kms::record::{RecordId, RootKey, StateError};
use kms::state::{Opening, State, Transaction};
use sha2::{Digest, Sha256};

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Store {
    pub(crate) head: Option<Vec<u8>>,
    pub(crate) records: BTreeMap<RecordId, Vec<u8>>,
}

impl Store {
    /// Takes a transaction if its expected head is the head.
    pub(crate) fn commit(&mut self, transaction: &Transaction) -> bool {
        let head = self.head.as_deref().map(|head| Sha256::digest(head).into());
        if head != transaction.expected_head {
            return false;
        }
        for id in &transaction.deletes {
            assert!(self.records.remove(id).is_some(), "deletes what is there");
        }
        for (id, record) in &transaction.puts {
            self.records.insert(*id, record.clone());
        }
        self.head = Some(transaction.head.clone());
        true
    }

    pub(crate) fn open(&self, root_key: &RootKey) -> Result<State, StateError> {
        open(root_key, self.head.as_ref().unwrap(), &self.records)
    }
}

/// Opens what a host hands over, in the order in which it does.
pub(crate) fn open<'a>(
    root_key: &RootKey,
    head: &[u8],
    records: impl IntoIterator<Item = (&'a RecordId, &'a Vec<u8>)>,
) -> Result<State, StateError> {
    read(Opening::new(root_key, head)?, records)?.finish()
}

/// Reads what a host hands over.
pub(crate) fn read<'a>(
    mut opening: Opening,
    records: impl IntoIterator<Item = (&'a RecordId, &'a Vec<u8>)>,
) -> Result<Opening, StateError> {
    for (id, record) in records {
        opening.record(*id, record)?;
    }
    Ok(opening)
}
