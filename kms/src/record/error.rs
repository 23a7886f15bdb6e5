//! Why a store's contents can't be taken as the state.

use super::{Kind, RecordId, RootKeyId};

/// A store does not hold what the enclave left in it. Each message ends with what to do.
///
/// None of these is ever repaired or passed over: an enclave that finds one does not serve.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The head does not open: its bytes were changed.
    #[error("the head was altered; restore the store from a backup")]
    HeadAltered,
    /// The head is not a head, or one of a later format.
    #[error(
        "the head is not one that this version can read; if a later version wrote it, run that one, \
         else restore the store from a backup"
    )]
    HeadMalformed,
    /// The head is sealed under another root key.
    #[error(
        "the store is sealed under root key {sealed_under}, but the root key given is {given}; \
         provide the right root key, or point the host at the right store"
    )]
    WrongRootKey {
        /// The root key that the head names.
        sealed_under: RootKeyId,
        /// The root key that was given.
        given: RootKeyId,
    },
    /// The record of the domain key is not among the records, or does not come first.
    #[error(
        "record {first} came first instead of the domain key; \
         the host must send records in ascending order of id and leave none out"
    )]
    DomainKeyNotFirst {
        /// The record that came first.
        first: RecordId,
    },
    /// A record came twice.
    #[error("record {id} came twice; the host must send each record once")]
    Duplicate {
        /// The record.
        id: RecordId,
    },
    /// The records did not come in ascending order of their ids.
    #[error(
        "record {id} came after record {after}; the host must send records in ascending order of id"
    )]
    OutOfOrder {
        /// The record that came too late.
        id: RecordId,
        /// The one that came before it.
        after: RecordId,
    },
    /// A record does not open under its id: changed, or another record's content.
    #[error(
        "record {id}, by its header a record of kind {kind}, was altered or is not the record of \
         this id; restore the store from a backup"
    )]
    Altered {
        /// The record.
        id: RecordId,
        /// The kind its header names.
        kind: Kind,
    },
    /// A record is not in a format that this version knows.
    #[error(
        "record {id} is not one that this version can read; if a later version wrote it, run that \
         one, else restore the store from a backup"
    )]
    Malformed {
        /// The record.
        id: RecordId,
    },
    /// A record was written by a later commit than the head's: the head is an old one.
    #[error(
        "record {id} (kind {kind}) was written by commit {revision}, but the head is that of commit \
         {head}: the head was put back; restore head and records of the same moment"
    )]
    NewerThanHead {
        /// The record.
        id: RecordId,
        /// Its kind.
        kind: Kind,
        /// The commit that wrote it.
        revision: u64,
        /// The head's commit.
        head: u64,
    },
    /// There are fewer records of a kind than the head commits to.
    #[error(
        "{} of {expected} records of kind {kind} are missing; restore the store from a backup",
        expected - found
    )]
    Missing {
        /// The kind.
        kind: Kind,
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// There are more records of a kind than the head commits to.
    #[error(
        "{} records of kind {kind} too many: deleted ones were brought back, or the head was put \
         back; restore the store from a backup",
        found - expected
    )]
    Extra {
        /// The kind.
        kind: Kind,
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// There are as many records of a kind as the head commits to, but not these.
    #[error(
        "the {count} records of kind {kind} are not the ones the head commits to: at least one is an \
         older version of itself, or a deleted one in place of another; restore the store from a \
         backup"
    )]
    Stale {
        /// The kind.
        kind: Kind,
        /// How many there are.
        count: u64,
    },
}
