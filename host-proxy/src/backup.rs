//! Backups: what a record store holds at one moment, in a file of its own.
//!
//! ```text
//!  DIR/records.redb ──► one read transaction ──► DIR/backup.sock ──► FILE
//!                       (of a host that is stopped, without the socket)
//!  FILE ──► checked whole ──► a draft ──► DIR/records.redb of a new host
//! ```
//!
//! The socket is in the data folder: whoever can reach it could read the store
//! itself. A backup is as unreadable as the store, but it is all of it, and it
//! has the names of those who hold shares of the root key; so it is not for
//! everyone who may see metrics.

mod file;
mod service;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use link::{Commit, Record};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::store::{Outcome, Part, RecordStore, RedbStore, StoreError};
use crate::{make_folder, store_path};

pub(crate) use service::Backups;

/// How long a host proxy may take to send some more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Records, and bytes of them, in one transaction of a restore.
const BATCH: (usize, usize) = (16_384, 8 * 1024 * 1024);

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The head.
    pub head: Vec<u8>,
    /// How many records.
    pub records: u64,
}

/// Why a backup can't be taken, read or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// It ends before its end.
    #[error(
        "the backup was cut: it ends too early. If it came from a running host proxy, the log \
         there says why"
    )]
    Cut,
    /// It is not as it was written.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// There is nothing in the store.
    #[error("there is nothing in it: no enclave has used the record store yet")]
    Empty,
    /// Restoring would replace a record store.
    #[error(
        "there is a record store already: {}. Restore to a folder without one, before the host \
         proxy's first start there", path.display()
    )]
    Exists {
        /// Its file.
        path: PathBuf,
    },
    /// The folder has no record store.
    #[error("there is no record store: {}", path.display())]
    NoStore {
        /// Its file, if there were one.
        path: PathBuf,
    },
    /// It is something else.
    #[error(
        "this is not a backup, or one of a later version: it does not begin with \
         {:?}", file::MAGIC.trim_ascii_end().escape_ascii().to_string()
    )]
    NotABackup,
    /// A file, a folder or the socket.
    #[error("{}", path.display())]
    Path {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Reading or writing the backup itself.
    #[error("the backup can't be read or written")]
    Io(#[from] io::Error),
    /// The host proxy that has the store sends nothing.
    #[error(
        "the host proxy has sent nothing for {} seconds. Is another backup under way?",
        PATIENCE.as_secs()
    )]
    Silent,
    /// The record store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes a backup of the record store in a data folder: from the host proxy
/// that serves it, or, when none does, from the file.
///
/// What was written is to be [checked](check) from where it was written to.
///
/// # Errors
///
/// When there is no store, it can't be read, or `to` can't be written.
pub fn back_up(data: &Path, mut to: impl Write) -> Result<(), BackupError> {
    let path = store_path(data);
    if !path.try_exists().map_err(at(&path))? {
        return Err(BackupError::NoStore { path });
    }
    let socket = service::socket(data);
    match UnixStream::connect(&socket) {
        Ok(mut stream) => {
            stream.set_read_timeout(Some(PATIENCE))?;
            io::copy(&mut stream, &mut to).map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => BackupError::Silent,
                _ => error.into(),
            })?;
            Ok(to.flush()?)
        }
        // What a socket's path can't be, nobody listens at.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            file::write(&RedbStore::open(&path)?, BufWriter::new(to)).map(drop)
        }
        Err(source) => Err(BackupError::Path {
            path: socket,
            source,
        }),
    }
}

/// Reads a backup to its end.
///
/// # Errors
///
/// When it is not one, was cut, or any byte of it was changed.
pub fn check(from: impl Read) -> Result<Backup, BackupError> {
    file::read(BufReader::new(from), &mut |_| Ok(()))
}

/// Makes the record store of a data folder from a backup.
///
/// The backup is checked whole before anything is written, and the store is
/// there whole or not at all.
///
/// # Errors
///
/// When the backup is not whole, the folder has a store, or it can't be
/// written.
pub fn restore(mut from: impl Read + Seek, data: &Path) -> Result<Backup, BackupError> {
    check(&mut from)?;
    from.rewind()?;
    make_folder(data).map_err(at(data))?;
    let path = store_path(data);
    if path.try_exists().map_err(at(&path))? {
        return Err(BackupError::Exists { path });
    }
    let draft = tempfile::Builder::new()
        .prefix(".restoring-")
        .tempfile_in(data)
        .map_err(at(data))?;
    let store = RedbStore::open(draft.path())?;
    let backup = fill(&store, from)?;
    // Closes the file, so that it needs no repair at its first start.
    drop(store);
    publish(draft, &path)?;
    Ok(backup)
}

/// Commits what a backup holds, in transactions that memory has room for.
fn fill(store: &RedbStore, from: impl Read) -> Result<Backup, BackupError> {
    let mut batch = Commit {
        expected_head: None,
        puts: Vec::new(),
        deletes: Vec::new(),
        head: Vec::new(),
    };
    let mut bytes = 0;
    let backup = file::read(BufReader::new(from), &mut |part| {
        match part {
            Part::Head(head) => batch.head = head.to_vec(),
            Part::Record(id, content) => {
                bytes += content.len();
                batch.puts.push(Record {
                    id: id.clone(),
                    bytes: content.to_vec(),
                });
            }
        }
        if batch.puts.len() >= BATCH.0 || bytes >= BATCH.1 {
            bytes = 0;
            commit(store, &mut batch)?;
        }
        Ok(())
    })?;
    commit(store, &mut batch)?;
    Ok(backup)
}

fn commit(store: &RedbStore, batch: &mut Commit) -> Result<(), BackupError> {
    match store.commit(batch)? {
        Outcome::Committed => {
            batch.puts.clear();
            batch.expected_head = Some(Sha256::digest(&batch.head).into());
            Ok(())
        }
        Outcome::Conflict { .. } => Err(BackupError::Store(StoreError::Storage(
            "somebody else has written to the new one".to_owned(),
        ))),
    }
}

/// Gives a draft its name, which nothing must have.
fn publish(draft: NamedTempFile, path: &Path) -> Result<(), BackupError> {
    draft.as_file().sync_all().map_err(at(draft.path()))?;
    draft
        .persist_noclobber(path)
        .map_err(|refused| match refused.error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists {
                path: path.to_owned(),
            },
            _ => at(path)(refused.error),
        })?;
    let folder = path.parent().unwrap_or(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(at(folder))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Path { path, source }
}
