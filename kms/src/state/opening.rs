//! Reading a state back from a store that may have done anything to it.

use std::sync::Arc;

use super::{Sealing, State, Tables};
use crate::record::{
    DomainKey, Head, Kind, Object, RecordId, RootKey, SealedRecord, SetHash, Stamp, StateError,
    Sum, head_hash,
};

/// A state being read from a store: the head first, then every record, in ascending order
/// of id, then [`finish`](Self::finish).
///
/// Whatever the store leaves out, changes, swaps, repeats, adds or puts back is an error,
/// with one exception: head and records of the same earlier moment, all together, are a
/// state like any other. One machine alone can't tell it from the newest.
///
/// Nothing of it may be used before it is finished. Each record by itself could be an older
/// version, such as one in which a key is still enabled; only the comparison at the end tells.
pub struct Opening {
    root_key: RootKey,
    head: Head,
    head_hash: [u8; 32],
    /// Made of the first record.
    opener: Option<RecordOpener>,
    tables: Tables,
    /// The set hash over the records so far.
    found: SetHash,
    last: RecordId,
}

/// Opens the records after the first, each by itself. That is most of the work, and can be done
/// on many threads.
#[derive(Clone)]
pub struct RecordOpener {
    domain_key: Arc<DomainKey>,
    /// The sequence number of the head.
    newest: u64,
}

/// A record that was opened, and has yet to be compared with the others.
pub struct OpenedRecord {
    id: RecordId,
    object: Object,
    stamp: Stamp,
    element: Sum,
}

impl Opening {
    /// Opens the head.
    ///
    /// # Errors
    /// When the head is not one, is sealed under another root key, or was altered.
    pub fn new(root_key: &RootKey, head: &[u8]) -> Result<Self, StateError> {
        Ok(Self {
            root_key: root_key.clone(),
            head: Head::open(root_key, head)?,
            head_hash: head_hash(head),
            opener: None,
            tables: Tables::default(),
            found: SetHash::default(),
            last: RecordId::DOMAIN_KEY,
        })
    }

    /// How many records there have to be.
    pub fn expected(&self) -> u64 {
        let counts = Kind::ALL.map(|kind| self.head.records.kind(kind).count);
        counts.into_iter().fold(0, u64::saturating_add)
    }

    /// What opens all records but the first, once that is in.
    pub fn opener(&self) -> Option<&RecordOpener> {
        self.opener.as_ref()
    }

    /// Opens the next record and takes it in.
    ///
    /// # Errors
    /// When the record was altered, is another one's, is newer than the head, comes out of
    /// order or a second time.
    pub fn record(&mut self, id: RecordId, record: &[u8]) -> Result<(), StateError> {
        let Some(opener) = &self.opener else {
            self.opener = Some(self.open_domain_key(id, record)?);
            return Ok(());
        };
        self.check_order(id)?;
        let opened = opener.open(id, record)?;
        self.take(opened)
    }

    /// Takes in the next record.
    ///
    /// # Errors
    /// When it comes out of order or a second time.
    pub fn take(&mut self, opened: OpenedRecord) -> Result<(), StateError> {
        self.check_order(opened.id)?;
        self.last = opened.id;
        self.found.add_element(opened.object.kind(), opened.element);
        self.tables.put(opened.object, Some(opened.stamp));
        Ok(())
    }

    fn check_order(&self, id: RecordId) -> Result<(), StateError> {
        if id == self.last {
            return Err(StateError::Duplicate { id });
        }
        if id < self.last {
            let after = self.last;
            return Err(StateError::OutOfOrder { id, after });
        }
        Ok(())
    }

    /// Compares what came with what the head commits to.
    ///
    /// # Errors
    /// When records are missing, too many, or not the ones the head commits to.
    pub fn finish(self) -> Result<State, StateError> {
        for kind in Kind::ALL {
            let (expected, found) = (self.head.records.kind(kind), self.found.kind(kind));
            if found.count < expected.count {
                return Err(StateError::Missing {
                    kind,
                    expected: expected.count,
                    found: found.count,
                });
            }
            if found.count > expected.count {
                return Err(StateError::Extra {
                    kind,
                    expected: expected.count,
                    found: found.count,
                });
            }
            if found != expected {
                let count = found.count;
                return Err(StateError::Stale { kind, count });
            }
        }
        let opener = self.opener.ok_or(StateError::HeadMalformed)?;
        Ok(State {
            tables: self.tables,
            sealing: Arc::new(Sealing {
                root_key: self.root_key,
                domain_key: opener.domain_key,
            }),
            head: self.head,
            head_hash: self.head_hash,
        })
    }

    fn open_domain_key(&mut self, id: RecordId, record: &[u8]) -> Result<RecordOpener, StateError> {
        if id != RecordId::DOMAIN_KEY {
            return Err(StateError::DomainKeyNotFirst { first: id });
        }
        let sealed = SealedRecord::parse(record).ok_or(StateError::Malformed { id })?;
        let kind = sealed.version.kind;
        let payload = sealed
            .open(self.root_key.secret(), id)
            .map_err(|_| StateError::Altered { id, kind })?;
        let newest = self.head.sequence;
        let stamp = stamp(newest, id, &sealed, record)?;
        let domain_key = DomainKey::from_payload(&payload).ok_or(StateError::Malformed { id })?;
        self.found.add(&domain_key.naming, kind, id, stamp);
        Ok(RecordOpener {
            domain_key: Arc::new(domain_key),
            newest,
        })
    }
}

impl RecordOpener {
    /// Opens a record.
    ///
    /// # Errors
    /// When the record was altered, is another one's, or is newer than the head.
    pub fn open(&self, id: RecordId, record: &[u8]) -> Result<OpenedRecord, StateError> {
        let domain_key = &*self.domain_key;
        let sealed = SealedRecord::parse(record).ok_or(StateError::Malformed { id })?;
        let kind = sealed.version.kind;
        if sealed.version.epoch != domain_key.epoch {
            return Err(StateError::Malformed { id });
        }
        let payload = sealed
            .open(&domain_key.sealing, id)
            .map_err(|_| StateError::Altered { id, kind })?;
        let stamp = stamp(self.newest, id, &sealed, record)?;
        let object =
            Object::from_payload(kind, &payload, domain_key).ok_or(StateError::Malformed { id })?;
        let element = Sum::element(&domain_key.naming, kind, id, stamp);
        Ok(OpenedRecord {
            id,
            object,
            stamp,
            element,
        })
    }
}

/// The stamp of an opened record, unless the head can't know of it.
fn stamp(
    newest: u64,
    id: RecordId,
    sealed: &SealedRecord<'_>,
    record: &[u8],
) -> Result<Stamp, StateError> {
    let revision = sealed.version.revision;
    if revision > newest {
        return Err(StateError::NewerThanHead {
            id,
            kind: sealed.version.kind,
            revision,
            head: newest,
        });
    }
    Ok(Stamp::of(revision, record))
}
