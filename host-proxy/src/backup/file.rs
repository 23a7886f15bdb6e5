//! The form of a backup; `docs/backup.md` has it byte by byte.
//!
//! ```text
//! "claviger-backup-v1\n"
//! [length]₃₂ ‖ CBOR of an entry        the head
//! [length]₃₂ ‖ CBOR of an entry        a record, in ascending order of ids
//! …
//! [length]₃₂ ‖ CBOR of an entry        the end: number of records, SHA-256 of all before
//! ```

use std::io::{self, Read, Write};

use link::{MAX_RECORD_BYTES, RecordId};
use minicbor::{Decode, Decoder, Encode};
use sha2::{Digest, Sha256};

use super::{Backup, BackupError};
use crate::store::{Part, RecordStore};

/// What every backup begins with.
pub(super) const MAGIC: &[u8] = b"claviger-backup-v1\n";

/// Most bytes of an entry: the largest record, its id, and the CBOR around them.
const MAX_ENTRY_BYTES: usize = MAX_RECORD_BYTES + 128;

/// A piece of a backup.
#[derive(Encode, Decode)]
enum Entry<'b> {
    #[n(0)]
    Head {
        #[cbor(b(0), with = "minicbor::bytes")]
        head: &'b [u8],
    },
    #[n(1)]
    Record {
        #[n(0)]
        id: RecordId,
        #[cbor(b(1), with = "minicbor::bytes")]
        bytes: &'b [u8],
    },
    #[n(2)]
    End {
        #[n(0)]
        records: u64,
        #[cbor(n(1), with = "minicbor::bytes")]
        sha256: [u8; 32],
    },
}

/// Writes all that a store holds at this moment.
pub(super) fn write(store: &dyn RecordStore, to: impl Write) -> Result<Backup, BackupError> {
    let mut writer = Writer {
        to,
        sha256: Sha256::new(),
        entry: Vec::new(),
    };
    let (mut head, mut records) = (None, 0);
    writer.put(MAGIC)?;
    store.snapshot(&mut |part| {
        writer.entry(match part {
            Part::Head(bytes) => {
                head = Some(bytes.to_vec());
                Entry::Head { head: bytes }
            }
            Part::Record(id, bytes) => {
                records += 1;
                let id = id.clone();
                Entry::Record { id, bytes }
            }
        })
    })?;
    let Some(head) = head else {
        // So that who reads from afar can tell it from a host that failed.
        writer.to.flush()?;
        return Err(BackupError::Empty);
    };
    let sha256 = writer.sha256.clone().finalize().into();
    writer.entry(Entry::End { records, sha256 })?;
    writer.to.flush()?;
    Ok(Backup { head, records })
}

struct Writer<W> {
    to: W,
    sha256: Sha256,
    /// Kept, so that not every record takes new memory.
    entry: Vec<u8>,
}

impl<W: Write> Writer<W> {
    fn entry(&mut self, entry: Entry<'_>) -> io::Result<()> {
        let mut bytes = std::mem::take(&mut self.entry);
        bytes.clear();
        minicbor::encode(entry, &mut bytes).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.put(&length.to_be_bytes())?;
        self.put(&bytes)?;
        self.entry = bytes;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sha256.update(bytes);
        self.to.write_all(bytes)
    }
}

/// Reads a backup to its end and shows what is in it. Until it returns well,
/// what was shown may be wrong.
pub(super) fn read(
    from: impl Read,
    show: &mut dyn FnMut(Part<'_>) -> Result<(), BackupError>,
) -> Result<Backup, BackupError> {
    let mut reader = Reader {
        from,
        sha256: Sha256::new(),
        entry: Vec::new(),
    };
    reader.magic()?;
    let mut head = None;
    let mut last = None;
    let mut count = 0;
    loop {
        let so_far = reader.sha256.clone();
        let Some(entry) = reader.entry()? else {
            return Err(match head {
                None => BackupError::Empty,
                Some(_) => BackupError::Cut,
            });
        };
        match (entry, &mut head) {
            (Entry::Head { head: bytes }, None) => {
                show(Part::Head(bytes))?;
                head = Some(bytes.to_vec());
            }
            (Entry::Record { id, bytes }, Some(_)) if last.as_ref().is_none_or(|l| *l < id) => {
                show(Part::Record(&id, bytes))?;
                last = Some(id);
                count += 1;
            }
            (Entry::End { records, sha256 }, Some(head)) => {
                if so_far.finalize()[..] != sha256 {
                    return Err(damaged("its SHA-256 is another one than at its end"));
                }
                if records != count {
                    return Err(damaged("it has another number of records than at its end"));
                }
                let head = std::mem::take(head);
                reader.end()?;
                return Ok(Backup { head, records });
            }
            _ => return Err(damaged("its entries are not in their order")),
        }
    }
}

struct Reader<R> {
    from: R,
    sha256: Sha256,
    /// Kept, so that not every record takes new memory.
    entry: Vec<u8>,
}

impl<R: Read> Reader<R> {
    fn magic(&mut self) -> Result<(), BackupError> {
        self.get(MAGIC.len())?;
        match self.entry == MAGIC {
            true => Ok(()),
            false => Err(BackupError::NotABackup),
        }
    }

    /// The next entry; `None` where the file ends.
    fn entry(&mut self) -> Result<Option<Entry<'_>>, BackupError> {
        if self.get(4)? == 0 {
            return Ok(None);
        }
        let length: [u8; 4] = self.entry[..].try_into().map_err(|_| BackupError::Cut)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_ENTRY_BYTES {
            return Err(damaged("an entry is larger than any can be"));
        }
        if self.get(length)? < length {
            return Err(BackupError::Cut);
        }
        let mut decoder = Decoder::new(&self.entry);
        match decoder.decode() {
            Ok(entry) if decoder.position() == length => Ok(Some(entry)),
            _ => Err(damaged("an entry is not in its form")),
        }
    }

    /// Reads so many bytes, or as many as there are; returns how many.
    fn get(&mut self, length: usize) -> io::Result<usize> {
        self.entry.clear();
        let limit = u64::try_from(length).unwrap_or(u64::MAX);
        let read = self
            .from
            .by_ref()
            .take(limit)
            .read_to_end(&mut self.entry)?;
        self.sha256.update(&self.entry);
        Ok(read)
    }

    /// Holds that nothing follows.
    fn end(&mut self) -> Result<(), BackupError> {
        match self.get(1)? {
            0 => Ok(()),
            _ => Err(damaged("something follows its end")),
        }
    }
}

fn damaged(what: &str) -> BackupError {
    BackupError::Damaged(what.to_owned())
}

#[cfg(test)]
mod tests {
    use link::{Commit, Record};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::store::RedbStore;

    fn id(text: &str) -> RecordId {
        RecordId::new(text.as_bytes()).unwrap()
    }

    /// A store with these records, under the head `h`.
    fn store(records: &[(&str, &str)]) -> (tempfile::TempDir, RedbStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbStore::open(&folder.path().join("records.redb")).unwrap();
        let puts = records.iter().map(|(name, content)| Record {
            id: id(name),
            bytes: content.as_bytes().to_vec(),
        });
        let commit = Commit {
            expected_head: None,
            puts: puts.collect(),
            deletes: vec![],
            head: b"h".to_vec(),
        };
        store.commit(&commit).unwrap();
        (folder, store)
    }

    fn written(records: &[(&str, &str)]) -> Vec<u8> {
        let (_folder, store) = store(records);
        let mut bytes = Vec::new();
        write(&store, &mut bytes).unwrap();
        bytes
    }

    fn checked(bytes: &[u8]) -> Result<Backup, BackupError> {
        read(bytes, &mut |_| Ok(()))
    }

    /// These entries with their end, whatever they are.
    fn made_of(entries: Vec<Entry<'_>>, records: u64) -> Vec<u8> {
        let mut writer = Writer {
            to: Vec::new(),
            sha256: Sha256::new(),
            entry: Vec::new(),
        };
        writer.put(MAGIC).unwrap();
        for entry in entries {
            writer.entry(entry).unwrap();
        }
        let sha256 = writer.sha256.clone().finalize().into();
        writer.entry(Entry::End { records, sha256 }).unwrap();
        writer.to
    }

    #[test]
    fn a_backup_has_the_documented_bytes() {
        let mut expected = b"claviger-backup-v1\n".to_vec();
        // [0, [h'68']] and [1, [h'61', h'31']]
        expected.extend(b"\x00\x00\x00\x05\x82\x00\x81\x41h");
        expected.extend(b"\x00\x00\x00\x07\x82\x01\x82\x41a\x411");
        let sha256 = Sha256::digest(&expected);
        // [2, [1, h'…']]
        expected.extend(b"\x00\x00\x00\x26\x82\x02\x82\x01\x58\x20");
        expected.extend(sha256);
        assert_eq!(written(&[("a", "1")]), expected);
    }

    #[test]
    fn what_was_written_is_read() {
        let records = [("a", "1"), ("b", ""), ("c", "3")];
        let mut shown = Vec::new();
        let backup = read(&written(&records)[..], &mut |part| {
            shown.push(match part {
                Part::Head(head) => ("head".to_owned(), head.to_vec()),
                Part::Record(id, bytes) => {
                    let id = String::from_utf8(id.as_bytes().to_vec()).unwrap();
                    (id, bytes.to_vec())
                }
            });
            Ok(())
        });
        let backup = backup.unwrap();
        assert_eq!((&backup.head[..], backup.records), (&b"h"[..], 3));
        let expected = [("head", "h")].iter().chain(&records);
        let expected: Vec<_> = expected
            .map(|(id, bytes)| (id.to_string(), bytes.as_bytes().to_vec()))
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_cut_backup_is_refused_wherever_it_is_cut() {
        let bytes = written(&[("a", "1"), ("b", "2")]);
        for length in 0..bytes.len() {
            let refused = checked(&bytes[..length]).unwrap_err();
            let expected = match length {
                0..19 => matches!(refused, BackupError::NotABackup),
                19 => matches!(refused, BackupError::Empty),
                _ => matches!(refused, BackupError::Cut),
            };
            assert!(expected, "{length}: {refused}");
        }
    }

    #[test]
    fn a_changed_bit_is_found_wherever_it_is() {
        let mut bytes = written(&[("a", "1"), ("b", "2")]);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                assert!(checked(&bytes).is_err(), "byte {at}, bit {bit}");
                bytes[at] ^= 1 << bit;
            }
        }
        assert!(checked(&bytes).is_ok());
        bytes.push(b'\n');
        let refused = checked(&bytes).unwrap_err().to_string();
        assert!(refused.contains("follows its end"), "{refused}");
    }

    #[test]
    fn entries_have_one_order() {
        let head = || Entry::Head { head: b"h" };
        let record = |name| Entry::Record {
            id: id(name),
            bytes: b"1",
        };
        assert!(checked(&made_of(vec![head(), record("a"), record("b")], 2)).is_ok());
        for (entries, count, why) in [
            (vec![record("a"), head()], 1, "order"),
            (vec![head(), head()], 0, "order"),
            (vec![head(), record("b"), record("a")], 2, "order"),
            (vec![head(), record("a"), record("a")], 2, "order"),
            (vec![], 0, "order"),
            (vec![head(), record("a")], 2, "number of records"),
        ] {
            let refused = checked(&made_of(entries, count)).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn a_length_is_believed_as_far_as_bytes_follow() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(u32::MAX.to_be_bytes());
        let refused = checked(&bytes).unwrap_err().to_string();
        assert!(refused.contains("larger than any"), "{refused}");
        let largest = u32::try_from(MAX_ENTRY_BYTES).unwrap();
        bytes.truncate(MAGIC.len());
        bytes.extend(largest.to_be_bytes());
        assert!(matches!(checked(&bytes), Err(BackupError::Cut)));
    }

    #[test]
    fn the_largest_record_fits() {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbStore::open(&folder.path().join("records.redb")).unwrap();
        let commit = Commit {
            expected_head: None,
            puts: vec![Record {
                id: RecordId::new(&[7; RecordId::MAX_BYTES]).unwrap(),
                bytes: vec![1; MAX_RECORD_BYTES],
            }],
            deletes: vec![],
            head: vec![2; MAX_RECORD_BYTES],
        };
        store.commit(&commit).unwrap();
        let mut bytes = Vec::new();
        let backup = write(&store, &mut bytes).unwrap();
        assert_eq!(checked(&bytes).unwrap(), backup);
    }

    #[test]
    fn a_store_without_a_head_has_no_backup() {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbStore::open(&folder.path().join("records.redb")).unwrap();
        let mut bytes = Vec::new();
        let refused = write(&store, &mut bytes);
        assert!(matches!(refused, Err(BackupError::Empty)), "{refused:?}");
        assert!(matches!(checked(&bytes), Err(BackupError::Empty)));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(entries in vec(vec(any::<u8>(), 0..40), 0..4), rest in vec(any::<u8>(), 0..40)) {
            let mut bytes = MAGIC.to_vec();
            for entry in entries {
                bytes.extend(u32::try_from(entry.len()).unwrap().to_be_bytes());
                bytes.extend(entry);
            }
            bytes.extend(rest);
            prop_assert!(checked(&bytes).is_err());
        }
    }
}
