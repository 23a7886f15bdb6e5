//! The record store in one file, by redb.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use link::{Commit, Record, RecordId};
use redb::{
    Builder, Database, Durability, Error, ReadableDatabase, ReadableTable, TableDefinition,
};
use sha2::{Digest, Sha256};

use super::{Outcome, Page, Part, RecordStore, StoreError, check_sizes};

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const HEAD: &str = "head";
const FORMAT: &str = "format";
const FORMAT_1: &[u8] = b"1";

/// Memory for redb's page cache. The enclave reads every record once, at its
/// start, and then mostly writes: a large cache would hold what no one asks for.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Sealed records in a redb file.
///
/// A commit is one transaction with one fsync. After a crash redb takes the
/// newest of its two commit slots whose checksums hold. (Its two-phase commit
/// would defend against who can forge those checksums by choosing contents and
/// the order of disk writes; contents here are ciphertext, and the enclave
/// checks everything it reads.)
pub struct RedbStore {
    path: PathBuf,
    /// `None` only after it could not be opened again.
    database: RwLock<Option<Database>>,
    /// Whether an input or output error was seen: redb then refuses everything
    /// until the file is opened anew, which the next call does.
    broken: AtomicBool,
}

impl RedbStore {
    /// Opens the file, or makes one that only its owner may read.
    ///
    /// # Errors
    ///
    /// When another process has it open, when it is no record store, or when
    /// it cannot be read or made.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            path: path.to_owned(),
            database: RwLock::new(Some(open_database(path)?)),
            broken: AtomicBool::new(false),
        })
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, StoreError> {
        if self.broken.load(Ordering::Acquire) {
            self.reopen()?;
        }
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = &*database else {
            return Err(StoreError::Storage("the file is not open".to_owned()));
        };
        work(database).map_err(|error| {
            if matches!(
                error,
                Error::Io(_) | Error::PreviousIo | Error::LockPoisoned(_)
            ) {
                self.broken.store(true, Ordering::Release);
            }
            StoreError::Storage(error.to_string())
        })
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if self.broken.load(Ordering::Acquire) {
            // The old handle holds the file's lock until it is dropped.
            *database = None;
            *database = Some(open_database(&self.path)?);
            self.broken.store(false, Ordering::Release);
        }
        Ok(())
    }
}

impl RecordStore for RedbStore {
    fn head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|database| {
            let meta = database.begin_read()?.open_table(META)?;
            let head = meta.get(HEAD)?;
            Ok(head.map(|head| head.value().to_vec()))
        })
    }

    fn get(&self, ids: &[RecordId]) -> Result<Page, StoreError> {
        self.with(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            let mut page = Page::default();
            let mut bytes = 0;
            for (index, id) in ids.iter().enumerate() {
                let Some(value) = records.get(id.as_bytes())? else {
                    continue;
                };
                let record = Record {
                    id: id.clone(),
                    bytes: value.value().to_vec(),
                };
                if !page.push(&mut bytes, record) {
                    page.more = index + 1 < ids.len();
                    break;
                }
            }
            Ok(page)
        })
    }

    fn scan(&self, after: Option<&RecordId>, limit: usize) -> Result<Page, StoreError> {
        let lower = match after {
            Some(id) => Bound::Excluded(id.as_bytes()),
            None => Bound::Unbounded,
        };
        self.with(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            let mut range = records.range::<&[u8]>((lower, Bound::Unbounded))?;
            let mut page = Page::default();
            let mut bytes = 0;
            while page.records.len() < limit {
                let Some(entry) = range.next() else {
                    return Ok(page);
                };
                let (id, value) = entry?;
                let record = Record {
                    id: RecordId::new(id.value())
                        .map_err(|error| Error::Corrupted(error.to_string()))?,
                    bytes: value.value().to_vec(),
                };
                if !page.push(&mut bytes, record) {
                    break;
                }
            }
            page.more = range.next().is_some();
            Ok(page)
        })
    }

    fn commit(&self, commit: &Commit) -> Result<Outcome, StoreError> {
        check_sizes(commit)?;
        self.with(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            {
                let mut meta = transaction.open_table(META)?;
                let head = meta.get(HEAD)?.map(|head| head.value().to_vec());
                let digest = head.as_ref().map(|head| Sha256::digest(head).into());
                if digest != commit.expected_head {
                    // Dropping the transaction aborts it.
                    return Ok(Outcome::Conflict { head });
                }
                meta.insert(HEAD, commit.head.as_slice())?;
                let mut records = transaction.open_table(RECORDS)?;
                for id in &commit.deletes {
                    records.remove(id.as_bytes())?;
                }
                for record in &commit.puts {
                    records.insert(record.id.as_bytes(), record.bytes.as_slice())?;
                }
            }
            transaction.commit()?;
            Ok(Outcome::Committed)
        })
    }

    fn snapshot(&self, show: &mut dyn FnMut(Part<'_>) -> io::Result<()>) -> Result<(), StoreError> {
        let shown = self.with(|database| {
            let transaction = database.begin_read()?;
            let Some(head) = transaction.open_table(META)?.get(HEAD)? else {
                return Ok(Ok(()));
            };
            let mut shown = show(Part::Head(head.value()));
            for entry in transaction.open_table(RECORDS)?.iter()? {
                // The file can't be opened anew while it is being read.
                if self.broken.load(Ordering::Acquire) {
                    return Err(Error::PreviousIo);
                }
                if shown.is_err() {
                    break;
                }
                let (id, value) = entry?;
                let id = RecordId::new(id.value())
                    .map_err(|error| Error::Corrupted(error.to_string()))?;
                shown = show(Part::Record(&id, value.value()));
            }
            Ok(shown)
        })?;
        shown.map_err(StoreError::Interrupted)
    }
}

fn open_database(path: &Path) -> Result<Database, StoreError> {
    create_private(path).map_err(|error| StoreError::Storage(error.to_string()))?;
    let storage = |error: Error| StoreError::Storage(error.to_string());
    let database = Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_repair_callback(|repair| {
            tracing::info!(
                progress = repair.progress(),
                "checking the record store after an unclean end"
            );
        })
        .create(path)
        .map_err(|error| storage(error.into()))?;
    match prepare(&database).map_err(storage)? {
        format if format == FORMAT_1 => Ok(database),
        format => Err(StoreError::Format(
            String::from_utf8_lossy(&format).into_owned(),
        )),
    }
}

/// Makes the file, and its name in the folder, durable before redb writes to it.
fn create_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the tables of a new store; returns the format of what is there.
fn prepare(database: &Database) -> Result<Vec<u8>, Error> {
    if let Ok(meta) = database.begin_read()?.open_table(META)
        && let Some(format) = meta.get(FORMAT)?
    {
        return Ok(format.value().to_vec());
    }
    let transaction = database.begin_write()?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(META)?.insert(FORMAT, FORMAT_1)?;
    transaction.commit()?;
    Ok(FORMAT_1.to_vec())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use super::*;
    use crate::store::PAGE_BYTES;

    fn id(text: &str) -> RecordId {
        RecordId::new(text.as_bytes()).unwrap()
    }

    fn record(name: &str, content: &str) -> Record {
        Record {
            id: id(name),
            bytes: content.as_bytes().to_vec(),
        }
    }

    /// A commit that follows `previous`.
    fn commit(previous: Option<&str>, head: &str, puts: Vec<Record>, deletes: &[&str]) -> Commit {
        Commit {
            expected_head: previous.map(|head| Sha256::digest(head).into()),
            puts,
            deletes: deletes.iter().map(|name| id(name)).collect(),
            head: head.as_bytes().to_vec(),
        }
    }

    fn new_store() -> (tempfile::TempDir, RedbStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbStore::open(&folder.path().join("records.redb")).unwrap();
        (folder, store)
    }

    fn everything(store: &RedbStore) -> Vec<Record> {
        store.scan(None, usize::MAX).unwrap().records
    }

    #[test]
    fn a_new_store_has_no_head_and_no_records() {
        let (folder, store) = new_store();
        assert_eq!(store.head().unwrap(), None);
        assert_eq!(everything(&store), []);
        let file = std::fs::metadata(folder.path().join("records.redb")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_commit_writes_everything_and_survives_reopening() {
        let (folder, store) = new_store();
        let first = commit(None, "h1", vec![record("a", "1"), record("b", "2")], &[]);
        assert_eq!(store.commit(&first).unwrap(), Outcome::Committed);
        let second = commit(Some("h1"), "h2", vec![record("a", "3")], &["b", "unknown"]);
        assert_eq!(store.commit(&second).unwrap(), Outcome::Committed);
        drop(store);
        let store = RedbStore::open(&folder.path().join("records.redb")).unwrap();
        assert_eq!(store.head().unwrap(), Some(b"h2".to_vec()));
        assert_eq!(everything(&store), [record("a", "3")]);
    }

    #[test]
    fn a_commit_on_another_head_changes_nothing() {
        let (_folder, store) = new_store();
        let first = commit(None, "h1", vec![record("a", "1")], &[]);
        store.commit(&first).unwrap();
        let conflict = Outcome::Conflict {
            head: Some(b"h1".to_vec()),
        };
        for expected in [None, Some("h0")] {
            let stale = commit(expected, "h2", vec![record("a", "2")], &["a"]);
            assert_eq!(store.commit(&stale).unwrap(), conflict);
        }
        assert_eq!(everything(&store), [record("a", "1")]);

        let (_folder, store) = new_store();
        let early = commit(Some("h0"), "h1", vec![], &[]);
        let conflict = Outcome::Conflict { head: None };
        assert_eq!(store.commit(&early).unwrap(), conflict);
        assert_eq!(store.head().unwrap(), None);
    }

    #[test]
    fn a_record_both_deleted_and_put_is_there_afterwards() {
        let (_folder, store) = new_store();
        let both = commit(None, "h1", vec![record("a", "1")], &["a"]);
        store.commit(&both).unwrap();
        assert_eq!(everything(&store), [record("a", "1")]);
    }

    #[test]
    fn of_many_commits_on_one_head_one_wins() {
        let (_folder, store) = new_store();
        let store = Arc::new(store);
        let mut head: Option<String> = None;
        for round in 0..20 {
            let outcomes: Vec<(String, Outcome)> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|writer| {
                        let (store, head) = (&store, head.as_deref());
                        scope.spawn(move || {
                            let name = format!("round {round} writer {writer}");
                            let puts = vec![record(&name, &name)];
                            let outcome = store.commit(&commit(head, &name, puts, &[])).unwrap();
                            (name, outcome)
                        })
                    })
                    .collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            let (won, lost): (Vec<_>, Vec<_>) = outcomes
                .into_iter()
                .partition(|(_, outcome)| *outcome == Outcome::Committed);
            assert_eq!(won.len(), 1);
            let winner = won[0].0.clone();
            for (_, outcome) in lost {
                let head = Some(winner.clone().into_bytes());
                assert_eq!(outcome, Outcome::Conflict { head });
            }
            head = Some(winner);
        }
        assert_eq!(everything(&store).len(), 20, "losers leave nothing behind");
    }

    #[test]
    fn pages_go_through_all_records_in_order() {
        let (_folder, store) = new_store();
        let all: Vec<Record> = (0..25)
            .map(|n| record(&format!("{n:02}"), "content"))
            .collect();
        store.commit(&commit(None, "h1", all.clone(), &[])).unwrap();
        let mut read = Vec::new();
        let mut pages = 0;
        loop {
            let after = read.last().map(|record: &Record| record.id.clone());
            let page = store.scan(after.as_ref(), 10).unwrap();
            read.extend(page.records);
            pages += 1;
            if !page.more {
                break;
            }
        }
        assert_eq!(read, all);
        assert_eq!(pages, 3);
        assert_eq!(store.scan(Some(&id("24")), 10).unwrap(), Page::default());
        let none = store.scan(None, 0).unwrap();
        assert!(none.records.is_empty() && none.more);
    }

    #[test]
    fn records_are_found_by_id_in_the_order_asked_for() {
        let (_folder, store) = new_store();
        let puts = vec![record("a", "1"), record("b", "2"), record("c", "3")];
        store.commit(&commit(None, "h1", puts, &[])).unwrap();
        let page = store.get(&[id("c"), id("unknown"), id("a")]).unwrap();
        assert_eq!(page.records, [record("c", "3"), record("a", "1")]);
        assert!(!page.more);
    }

    #[test]
    fn pages_are_bounded_by_bytes() {
        let (_folder, store) = new_store();
        let large = "x".repeat(PAGE_BYTES / 4);
        let mut head = None;
        let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        for name in &names {
            let puts = vec![record(name, &large)];
            store.commit(&commit(head, name, puts, &[])).unwrap();
            head = Some(name.as_str());
        }
        let page = store.scan(None, 1000).unwrap();
        assert_eq!(page.records.len(), 4);
        assert!(page.more);
        let ids: Vec<RecordId> = names.iter().map(|name| id(name)).collect();
        let page = store.get(&ids).unwrap();
        assert_eq!(page.records.len(), 4);
        assert!(page.more);
        assert!(!store.get(&ids[..4]).unwrap().more);
    }

    #[test]
    fn what_is_too_large_is_refused_whole() {
        let (_folder, store) = new_store();
        let large = "x".repeat(link::MAX_RECORD_BYTES + 1);
        let too_large_record = commit(None, "h", vec![record("a", "1"), record("b", &large)], &[]);
        let too_large_head = commit(None, &large, vec![record("a", "1")], &[]);
        for commit in [too_large_record, too_large_head] {
            let refused = store.commit(&commit);
            assert!(
                matches!(refused, Err(StoreError::TooLarge(size)) if size == large.len()),
                "{refused:?}"
            );
        }
        assert_eq!(everything(&store), []);
        let largest = &large[1..];
        let fits = commit(None, largest, vec![record("a", largest)], &[]);
        assert_eq!(store.commit(&fits).unwrap(), Outcome::Committed);
    }

    #[test]
    fn a_store_is_opened_once_and_only_a_store_is() {
        let (folder, _store) = new_store();
        let path = folder.path().join("records.redb");
        assert!(RedbStore::open(&path).is_err());
        let other = folder.path().join("other");
        std::fs::write(&other, "no record store".repeat(1000)).unwrap();
        assert!(RedbStore::open(&other).is_err());
    }

    #[test]
    fn a_store_of_the_future_is_left_alone() {
        let (folder, store) = new_store();
        drop(store);
        let path = folder.path().join("records.redb");
        let database = Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(META)
            .unwrap()
            .insert(FORMAT, &b"2"[..])
            .unwrap();
        transaction.commit().unwrap();
        drop(database);
        let refused = RedbStore::open(&path).map(|_| ()).unwrap_err();
        assert!(
            matches!(&refused, StoreError::Format(format) if format == "2"),
            "{refused:?}"
        );
    }

    #[test]
    fn a_broken_handle_is_replaced_by_the_next_call() {
        let (_folder, store) = new_store();
        let first = commit(None, "h1", vec![record("a", "1")], &[]);
        store.commit(&first).unwrap();
        let failed = store.with(|_| Err::<(), _>(Error::Io(io::Error::other("disk on fire"))));
        assert!(failed.is_err());
        assert!(store.broken.load(Ordering::Acquire));
        assert_eq!(store.head().unwrap(), Some(b"h1".to_vec()));
        assert!(!store.broken.load(Ordering::Acquire));
        let second = commit(Some("h1"), "h2", vec![], &[]);
        assert_eq!(store.commit(&second).unwrap(), Outcome::Committed);
    }

    #[test]
    fn a_snapshot_ends_when_who_reads_it_has_enough_or_the_file_is_to_be_opened_anew() {
        let (_folder, store) = new_store();
        let records = vec![record("a", "1"), record("b", "2")];
        store
            .commit(&commit(None, "h1", records.clone(), &[]))
            .unwrap();
        let mut shown = 0;
        let ended = store.snapshot(&mut |_| {
            shown += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        });
        assert!(
            matches!(ended, Err(StoreError::Interrupted(_))),
            "{ended:?}"
        );
        assert_eq!(shown, 1);
        assert!(!store.broken.load(Ordering::Acquire));
        let ended = store.snapshot(&mut |_| {
            shown += 1;
            store.broken.store(true, Ordering::Release);
            Ok(())
        });
        assert!(matches!(ended, Err(StoreError::Storage(_))), "{ended:?}");
        assert_eq!(shown, 2);
        assert_eq!(everything(&store), records);
    }
}
