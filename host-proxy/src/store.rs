//! The record store: sealed records and their head, nothing readable.

mod redb_store;
mod service;

use std::io;

use link::{Commit, MAX_RECORD_BYTES, Record, RecordId};

pub use redb_store::RedbStore;
pub(crate) use service::serve;

/// A page of records ends once it holds so many bytes. With one more record of
/// the largest size it still fits in a frame of the link.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A place that keeps sealed records and one head.
///
/// Its calls block; the service makes them on threads that may. An
/// implementation treats ids and contents as opaque bytes, and keeps ids in
/// the order of their bytes.
pub trait RecordStore: Send + Sync + 'static {
    /// The head, if there has been a commit.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn head(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// The records with these ids, in this order, leaving out those that do
    /// not exist. The page may end early; see [`Page::more`].
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn get(&self, ids: &[RecordId]) -> Result<Page, StoreError>;

    /// At most `limit` records in ascending order of their ids, beginning
    /// after `after`. The page may end early; see [`Page::more`].
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn scan(&self, after: Option<&RecordId>, limit: usize) -> Result<Page, StoreError>;

    /// Does all of `commit`, or nothing when the stored head is not the
    /// expected one. Deletes come before puts. [`Outcome::Committed`] means
    /// that it is on stable storage.
    ///
    /// # Errors
    ///
    /// When something in the commit is too large, nothing was written; with
    /// any other error the commit may or may not have taken effect.
    fn commit(&self, commit: &Commit) -> Result<Outcome, StoreError>;

    /// Shows the head and then every record, in ascending order of their ids,
    /// all of one and the same moment whatever is committed meanwhile; nothing
    /// when there is no head. An error of `show` ends it.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, and [`StoreError::Interrupted`] with the
    /// error of `show`.
    fn snapshot(&self, show: &mut dyn FnMut(Part<'_>) -> io::Result<()>) -> Result<(), StoreError>;
}

/// A piece of what a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// The head.
    Head(&'a [u8]),
    /// A record's id and content.
    Record(&'a RecordId, &'a [u8]),
}

/// Some records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Whether the page ended for want of room: what comes after its last
    /// record has not been looked at.
    pub more: bool,
}

impl Page {
    /// Adds a record; returns whether there is room for another.
    fn push(&mut self, bytes_so_far: &mut usize, record: Record) -> bool {
        *bytes_so_far += record.id.as_bytes().len() + record.bytes.len();
        self.records.push(record);
        *bytes_so_far < PAGE_BYTES
    }
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is on stable storage.
    Committed,
    /// The stored head was not the expected one.
    Conflict {
        /// The head that is stored.
        head: Option<Vec<u8>>,
    },
}

/// Why the store could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store keeps its records in a form that this version does not know.
    #[error("the record store has format {0:?}, this version reads \"1\"")]
    Format(String),
    /// Whoever was shown the store's contents had enough.
    #[error("the record store was not read to its end")]
    Interrupted(#[source] io::Error),
    /// The storage failed.
    #[error("the record store failed: {0}")]
    Storage(String),
    /// A record or head is larger than [`MAX_RECORD_BYTES`].
    #[error("a record or head of {0} bytes, at most {MAX_RECORD_BYTES} are stored")]
    TooLarge(usize),
}

/// Refuses a commit that holds something too large to be read back in a page.
fn check_sizes(commit: &Commit) -> Result<(), StoreError> {
    let sizes = commit.puts.iter().map(|record| record.bytes.len());
    match sizes
        .chain([commit.head.len()])
        .find(|&size| size > MAX_RECORD_BYTES)
    {
        Some(size) => Err(StoreError::TooLarge(size)),
        None => Ok(()),
    }
}
