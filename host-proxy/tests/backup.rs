//! Backups of a host proxy that serves, and new hosts made from them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Cursor, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use host_proxy::{Backup, BackupError, RecordStore, RedbStore, back_up, check, restore};
use link::{Channel, Commit, Record, StoreReply, StoreRequest};
use sha2::{Digest, Sha256};
use support::{Host, Link, commit, id};
use tokio::task::spawn_blocking;

/// A backup of a data folder, taken on a thread that may block.
async fn taken(data: &Path) -> Vec<u8> {
    let data = data.to_owned();
    let work = move || {
        let mut bytes = Vec::new();
        back_up(&data, &mut bytes).unwrap();
        bytes
    };
    spawn_blocking(work).await.unwrap()
}

/// The store of a new host that is made from a backup.
fn restored(backup: &[u8]) -> (tempfile::TempDir, RedbStore) {
    let folder = tempfile::tempdir().unwrap();
    restore(Cursor::new(backup), folder.path()).unwrap();
    let store = RedbStore::open(&folder.path().join("records.redb")).unwrap();
    (folder, store)
}

fn everything(store: &RedbStore) -> (Option<Vec<u8>>, Vec<Record>) {
    let records = store.scan(None, usize::MAX).unwrap().records;
    (store.head().unwrap(), records)
}

fn record(name: &str, content: &str) -> Record {
    Record {
        id: id(name.as_bytes()),
        bytes: content.as_bytes().to_vec(),
    }
}

/// Number `number` of a row of commits: it changes two records and adds one.
fn numbered(number: u32) -> Commit {
    let head = |number: u32| format!("head {number}").into_bytes();
    let content = number.to_string();
    Commit {
        expected_head: number
            .checked_sub(1)
            .map(|last| Sha256::digest(head(last)).into()),
        puts: vec![
            record("first", &content),
            record(&format!("n{number:06}"), &content),
            record("zlast", &content),
        ],
        deletes: vec![],
        head: head(number),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_of_one_moment_while_commits_go_on() {
    let host = Host::start().await;
    let mut link = Link::open(&host.host(), Channel::Store).await;
    for number in 0..200 {
        let done = link.store(StoreRequest::Commit(numbered(number))).await;
        assert_eq!(done, StoreReply::Committed);
    }
    let writing = tokio::spawn(async move {
        for number in 200.. {
            let done = link.try_store(StoreRequest::Commit(numbered(number))).await;
            if done.is_none() {
                return number;
            }
        }
        unreachable!("the host ends first")
    });
    let mut heads = Vec::new();
    for _ in 0..20 {
        let (_folder, store) = restored(&taken(&host.data()).await);
        let (head, records) = everything(&store);
        let number = records.len() - 3;
        assert_eq!(head, Some(format!("head {number}").into_bytes()));
        for which in ["first", "zlast"] {
            assert!(records.contains(&record(which, &number.to_string())));
        }
        heads.push(number);
    }
    assert!(heads.is_sorted() && heads[0] < heads[19], "{heads:?}");
    host.stop().await;
    assert!(writing.await.unwrap() as usize > heads[19]);
}

#[tokio::test]
async fn a_stopped_host_gives_the_same_backup() {
    let host = Host::start().await;
    let mut link = Link::open(&host.host(), Channel::Store).await;
    for number in 0..3 {
        link.store(StoreRequest::Commit(numbered(number))).await;
    }
    drop(link);
    let data = host.data();
    let serving = taken(&data).await;
    let _folder = host.stop().await;
    assert!(!data.join("backup.sock").exists());
    assert_eq!(taken(&data).await, serving);
    // What a killed host leaves of its socket is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(data.join("backup.sock")).unwrap());
    assert_eq!(taken(&data).await, serving);

    let (_new, store) = restored(&serving);
    let old = RedbStore::open(&data.join("records.redb")).unwrap();
    assert_eq!(everything(&store), everything(&old));
}

#[tokio::test]
async fn nobody_else_can_ask_for_a_backup() {
    let host = Host::start().await;
    let socket = std::fs::metadata(host.data().join("backup.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    for path in ["/backup", "/backup.sock", "/records.redb"] {
        let (status, _) = support::ask(host.admin, &format!("GET {path}")).await;
        assert_eq!(status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_does_not_read_holds_up_neither_commits_nor_the_end() {
    let host = Host::start().await;
    let mut link = Link::open(&host.host(), Channel::Store).await;
    let large = vec![7; 2 * 1024 * 1024];
    let first = commit(None, b"h0", (b"large", &large));
    assert_eq!(link.store(first).await, StoreReply::Committed);
    let mut idle = UnixStream::connect(host.data().join("backup.sock")).unwrap();
    let mut some = [0; 1000];
    idle.read_exact(&mut some).unwrap();
    assert!(some.starts_with(b"claviger-backup-v1\n"));
    let second = commit(Some(b"h0"), b"h1", (b"small", b"1"));
    assert_eq!(link.store(second).await, StoreReply::Committed);
    drop(link);
    tokio::time::timeout(Duration::from_secs(20), host.stop())
        .await
        .unwrap();
    // What it gets in the end is not taken for a backup.
    let mut bytes = some.to_vec();
    idle.read_to_end(&mut bytes).unwrap();
    assert!(matches!(check(&bytes[..]), Err(BackupError::Cut)));
}

#[tokio::test]
async fn a_new_host_has_nothing_to_back_up() {
    let host = Host::start().await;
    let bytes = taken(&host.data()).await;
    assert!(matches!(check(&bytes[..]), Err(BackupError::Empty)));
    let data = host.data();
    let _folder = host.stop().await;
    let refused = back_up(&data, &mut Vec::new());
    assert!(matches!(refused, Err(BackupError::Empty)), "{refused:?}");
    let nowhere = data.join("nowhere");
    let refused = back_up(&nowhere, &mut Vec::new());
    assert!(
        matches!(refused, Err(BackupError::NoStore { .. })),
        "{refused:?}"
    );
    assert!(!nowhere.exists());
}

/// A backup of many more records than go into one transaction.
fn of_many() -> (Vec<u8>, Backup) {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("records.redb")).unwrap();
    let mut head = None;
    for part in 0..4 {
        let names = (0..10_000).map(|number| format!("{part}-{number:05}"));
        let next = format!("head {part}").into_bytes();
        let commit = Commit {
            expected_head: head.map(|head: Vec<u8>| Sha256::digest(head).into()),
            puts: names.map(|name| record(&name, &name)).collect(),
            deletes: vec![],
            head: next.clone(),
        };
        store.commit(&commit).unwrap();
        head = Some(next);
    }
    drop(store);
    let mut bytes = Vec::new();
    back_up(folder.path(), &mut bytes).unwrap();
    let backup = check(&bytes[..]).unwrap();
    (bytes, backup)
}

#[test]
fn a_restored_store_has_everything() {
    let (bytes, backup) = of_many();
    assert_eq!((&backup.head[..], backup.records), (&b"head 3"[..], 40_000));
    let (folder, store) = restored(&bytes);
    assert_eq!(store.head().unwrap(), Some(backup.head));
    drop(store);
    let mut again = Vec::new();
    back_up(folder.path(), &mut again).unwrap();
    assert_eq!(again, bytes);
    let mode = std::fs::metadata(folder.path().join("records.redb")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_not_whole_is_refused_before_anything_is_written() {
    let (bytes, _) = of_many();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    let cut = &bytes[..bytes.len() - 1];
    for broken in [&flipped, cut, &bytes[..bytes.len() / 2], b"", b"something"] {
        assert!(restore(Cursor::new(broken), &data).is_err());
        assert!(!data.exists());
    }
}

#[test]
fn no_store_is_restored_over() {
    let (bytes, _) = of_many();
    let (folder, store) = restored(&bytes);
    drop(store);
    let path = folder.path().join("records.redb");
    let before = std::fs::read(&path).unwrap();
    // Not even over an empty one: somebody may be about to use it.
    let empty = tempfile::tempdir().unwrap();
    drop(RedbStore::open(&empty.path().join("records.redb")).unwrap());
    for data in [folder.path(), empty.path()] {
        let refused = restore(Cursor::new(&bytes), data);
        assert!(
            matches!(refused, Err(BackupError::Exists { .. })),
            "{refused:?}"
        );
        assert_eq!(std::fs::read_dir(data).unwrap().count(), 1);
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// A file that is changed between two readings of it.
struct Changing {
    file: Cursor<Vec<u8>>,
    change: fn(&mut Vec<u8>),
}

impl Read for Changing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.file.read(buffer)
    }
}

impl std::io::Seek for Changing {
    fn seek(&mut self, position: std::io::SeekFrom) -> std::io::Result<u64> {
        (self.change)(self.file.get_mut());
        self.file.seek(position)
    }
}

#[test]
fn a_restore_that_fails_half_way_leaves_nothing() {
    let (bytes, _) = of_many();
    let folder = tempfile::tempdir().unwrap();
    let changing = Changing {
        file: Cursor::new(bytes),
        change: |bytes| bytes.truncate(bytes.len() - 10),
    };
    let refused = restore(changing, folder.path());
    assert!(matches!(refused, Err(BackupError::Cut)), "{refused:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
