//! Reading a state back from a store that may have done anything to it.

use std::ops::Range;
use std::sync::Arc;

use super::{Sealing, State, Tables};
use crate::key::Key;
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
///
/// That comparison is of the records as they are sealed. So it can come before most of the work,
/// which is to open them: see [`keys_last`](Self::keys_last).
pub struct Opening {
    root_key: RootKey,
    head: Head,
    head_hash: [u8; 32],
    /// How many keys are to be opened together, if keys come last.
    keys_last: Option<usize>,
    /// Made of the first record.
    opener: Option<RecordOpener>,
    tables: Tables,
    sealed_keys: Vec<SealedBatch>,
    /// The set hash over the records so far.
    found: SetHash,
    last: RecordId,
}

/// Reads the records after the first, each by itself. That is most of the work, and can be done
/// on many threads.
#[derive(Clone)]
pub struct RecordOpener {
    domain_key: Arc<DomainKey>,
    /// The sequence number of the head.
    newest: u64,
    keys_last: bool,
}

/// A record that was read, and has yet to be compared with the others.
pub struct ReadRecord {
    id: RecordId,
    kind: Kind,
    stamp: Stamp,
    element: Sum,
    content: Content,
}

enum Content {
    Opened(Object),
    Sealed(Vec<u8>),
}

/// Keys whose records are those that the head commits to, and are still sealed. A [`State`] without
/// them can be used, and knows that they are missing.
pub struct SealedKeys {
    opener: RecordOpener,
    batches: Vec<SealedBatch>,
}

/// Keys that are opened together. Their records are in one piece of memory, which is given back in
/// one piece: small ones that are freed here and there would be of no use to anything else.
#[derive(Default)]
struct SealedBatch {
    keys: Vec<SealedKey>,
    records: Vec<u8>,
}

struct SealedKey {
    id: RecordId,
    stamp: Stamp,
    /// The place of its record.
    place: Range<usize>,
}

/// Keys for a [`State`] to [take in](State::take_in).
pub struct OpenedKeys(Vec<OpenedKey>);

struct OpenedKey {
    id: RecordId,
    stamp: Stamp,
    key: Arc<Key>,
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
            keys_last: None,
            opener: None,
            tables: Tables::default(),
            sealed_keys: Vec::new(),
            found: SetHash::default(),
            last: RecordId::DOMAIN_KEY,
        })
    }

    /// Leaves keys sealed if there are more than `most`, to be opened after
    /// [`check`](Self::check), so many together.
    #[must_use]
    pub fn keys_last(mut self, most: u64, together: usize) -> Self {
        let keys = self.head.records.kind(Kind::Key).count;
        self.keys_last = (keys > most).then_some(together);
        self
    }

    /// How many records there have to be.
    pub fn expected(&self) -> u64 {
        let counts = Kind::ALL.map(|kind| self.head.records.kind(kind).count);
        counts.into_iter().fold(0, u64::saturating_add)
    }

    /// What reads all records but the first, once that is in.
    pub fn opener(&self) -> Option<&RecordOpener> {
        self.opener.as_ref()
    }

    /// Reads the next record and takes it in.
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
        let read = opener.read(id, record.to_vec())?;
        self.take(read)
    }

    /// Takes in the next record.
    ///
    /// # Errors
    /// When it comes out of order or a second time, or there can't be so many.
    pub fn take(&mut self, read: ReadRecord) -> Result<(), StateError> {
        self.check_order(read.id)?;
        self.last = read.id;
        self.found.add_element(read.kind, read.element);
        match read.content {
            Content::Opened(object) => self.tables.put(object, Some(read.stamp)),
            Content::Sealed(record) => {
                self.keep_sealed(read.id, read.stamp, &record);
                // What is sealed may be anything, and there is no end to that.
                if self.found.kind(Kind::Key).count > self.head.records.kind(Kind::Key).count {
                    return self.compare();
                }
            }
        }
        Ok(())
    }

    fn keep_sealed(&mut self, id: RecordId, stamp: Stamp, record: &[u8]) {
        let together = self.keys_last.unwrap_or_default();
        match self.sealed_keys.last_mut() {
            Some(batch) if batch.keys.len() < together => batch.push(id, stamp, record),
            last => {
                last.into_iter().for_each(SealedBatch::shrink);
                let mut batch = SealedBatch::default();
                batch.push(id, stamp, record);
                self.sealed_keys.push(batch);
            }
        }
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

    /// Compares what came with what the head commits to, and opens what is still sealed.
    ///
    /// # Errors
    /// When records are missing, too many, or not the ones the head commits to.
    pub fn finish(self) -> Result<State, StateError> {
        let (mut state, sealed) = self.check()?;
        state.take_in(sealed.open()?)?;
        Ok(state)
    }

    /// Compares what came with what the head commits to: gives the state with all that is open, and
    /// the rest.
    ///
    /// # Errors
    /// When records are missing, too many, or not the ones the head commits to.
    pub fn check(self) -> Result<(State, SealedKeys), StateError> {
        self.compare()?;
        let opener = self.opener.ok_or(StateError::HeadMalformed)?;
        let state = State {
            tables: self.tables,
            sealed_keys: self.sealed_keys.iter().map(SealedBatch::count).sum(),
            sealing: Arc::new(Sealing {
                root_key: self.root_key,
                domain_key: Arc::clone(&opener.domain_key),
            }),
            head: self.head,
            head_hash: self.head_hash,
        };
        let sealed = SealedKeys {
            opener,
            batches: self.sealed_keys,
        };
        Ok((state, sealed))
    }

    fn compare(&self) -> Result<(), StateError> {
        let Err(error) = Kind::ALL.into_iter().try_for_each(|kind| self.agree(kind)) else {
            return Ok(());
        };
        // A record that does not open says more.
        if let Some(opener) = &self.opener {
            for batch in &self.sealed_keys {
                batch.open(opener).try_for_each(|key| key.map(drop))?;
            }
        }
        Err(error)
    }

    fn agree(&self, kind: Kind) -> Result<(), StateError> {
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
        Ok(())
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
            keys_last: self.keys_last.is_some(),
        })
    }
}

impl RecordOpener {
    /// Reads a record, and opens it if it is not to be opened later.
    ///
    /// # Errors
    /// When the record is newer than the head; and when it was altered or is another one's, unless
    /// it is left sealed: then that is found later.
    pub fn read(&self, id: RecordId, record: Vec<u8>) -> Result<ReadRecord, StateError> {
        let sealed = self.parse(id, &record)?;
        let (kind, revision) = (sealed.version.kind, sealed.version.revision);
        let is_left = self.keys_last && kind == Kind::Key && revision <= self.newest;
        let opened = match is_left {
            true => None,
            false => Some(self.open(id, &sealed)?),
        };
        let stamp = stamp(self.newest, id, &sealed, &record)?;
        let element = Sum::element(&self.domain_key.naming, kind, id, stamp);
        Ok(ReadRecord {
            id,
            kind,
            stamp,
            element,
            content: opened.map_or_else(|| Content::Sealed(record), Content::Opened),
        })
    }

    fn parse<'r>(&self, id: RecordId, record: &'r [u8]) -> Result<SealedRecord<'r>, StateError> {
        SealedRecord::parse(record)
            .filter(|sealed| sealed.version.epoch == self.domain_key.epoch)
            .ok_or(StateError::Malformed { id })
    }

    fn open(&self, id: RecordId, sealed: &SealedRecord<'_>) -> Result<Object, StateError> {
        let domain_key = &*self.domain_key;
        let kind = sealed.version.kind;
        let payload = sealed
            .open(&domain_key.sealing, id)
            .map_err(|_| StateError::Altered { id, kind })?;
        Object::from_payload(kind, &payload, domain_key).ok_or(StateError::Malformed { id })
    }

    fn open_key(&self, sealed: &SealedKey, record: &[u8]) -> Result<OpenedKey, StateError> {
        let (id, stamp) = (sealed.id, sealed.stamp);
        match self.open(id, &self.parse(id, record)?)? {
            Object::Key(key) => Ok(OpenedKey { id, stamp, key }),
            _ => Err(StateError::Malformed { id }),
        }
    }
}

impl SealedKeys {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.batches.iter().map(SealedBatch::count).sum()
    }

    /// Takes out those that are to be opened together next; `None` when there are no more.
    pub fn some(&mut self) -> Option<Self> {
        let batch = self.batches.pop()?;
        Some(Self {
            opener: self.opener.clone(),
            batches: vec![batch],
        })
    }

    /// Opens them.
    ///
    /// # Errors
    /// When one of them can't be opened, which only a defect or another version of this software
    /// can be the cause of.
    pub fn open(self) -> Result<OpenedKeys, StateError> {
        let mut opened = Vec::new();
        // Each batch goes when it is open.
        for batch in self.batches {
            opened.reserve_exact(batch.keys.len());
            for key in batch.open(&self.opener) {
                opened.push(key?);
            }
        }
        Ok(OpenedKeys(opened))
    }
}

impl SealedBatch {
    fn push(&mut self, id: RecordId, stamp: Stamp, record: &[u8]) {
        let start = self.records.len();
        self.records.extend_from_slice(record);
        let place = start..self.records.len();
        self.keys.push(SealedKey { id, stamp, place });
    }

    /// No more come.
    fn shrink(&mut self) {
        self.keys.shrink_to_fit();
        self.records.shrink_to_fit();
    }

    fn count(&self) -> u64 {
        self.keys.len() as u64
    }

    fn open(&self, opener: &RecordOpener) -> impl Iterator<Item = Result<OpenedKey, StateError>> {
        self.keys.iter().map(move |key| {
            let record = self.records.get(key.place.clone());
            opener.open_key(key, record.unwrap_or_default())
        })
    }
}

/// See [`State::take_in`].
pub(super) fn take_in(state: &mut State, keys: OpenedKeys) -> Result<(), StateError> {
    for OpenedKey { id, stamp, key } in keys.0 {
        if state.tables.put_key(key, Some(stamp)).is_some() {
            return Err(StateError::Duplicate { id });
        }
        state.sealed_keys -= 1;
    }
    Ok(())
}

/// The stamp of a record, unless the head can't know of it.
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

#[cfg(test)]
mod tests {
    use attestation::Timestamp;

    use super::*;
    use crate::name::KeyId;
    use crate::state::{Batch, Change};
    use crate::test_random::TestRandom;

    /// Only a defect could change what was compared with the head. It must not go unnoticed.
    #[test]
    fn what_changes_after_the_comparison_does_not_open() {
        let (random, now) = (&mut TestRandom::new(1), Timestamp::from_secs(0));
        let root_key = RootKey::generate(random);
        let (state, genesis) = State::genesis(&root_key, random, now);
        let account = "123456789012".parse().unwrap();
        let region = "us-east-1".parse().unwrap();
        let id = KeyId::new([1; 16], false);
        let mut batch = Batch::new(state);
        let key = Key::generate(account, region, id, now, random);
        batch.push(vec![Change::PutKey(key)]);
        let (_, transaction) = batch.seal(random);
        let mut opening = Opening::new(&root_key, &transaction.head)
            .unwrap()
            .keys_last(0, 1);
        for (id, record) in genesis.puts.iter().chain(&transaction.puts) {
            opening.record(*id, record).unwrap();
        }
        let (mut state, mut sealed) = opening.check().unwrap();
        *sealed.batches[0].records.last_mut().unwrap() ^= 1;
        let id = sealed.batches[0].keys[0].id;
        let kind = Kind::Key;
        let refused = sealed.open().map(|keys| state.take_in(keys));
        assert_eq!(refused.err(), Some(StateError::Altered { id, kind }));
        assert_eq!(state.sealed_keys(), 1);
    }
}
