//! Why an enclave does not start, or stops: for the operator, with what to do about it.

use std::io;
use std::path::PathBuf;

use attestation::NsmError;
use kms::seed::SeedError;
use kms::state::{RootKeyId, StateError};
use link::Address;
use quorum::QuorumError;

use crate::commit;
use crate::tls::TlsError;

/// Why an enclave does not start, or stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnclaveError {
    /// The settings can't be read.
    #[error("the settings are wrong at line {line}, column {column}: {what}")]
    Config {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
        /// What is wrong, without any value of the text.
        what: String,
    },
    /// A setting that only a simulated enclave may have.
    #[error(
        "{0} is for simulation: it needs a build with the feature `simulation` and \
         `nsm` set to a simulated or emulated one. Leave it out, or use a development build"
    )]
    SimulationOnly(&'static str),
    /// The machine does not come up: the image is incomplete, or made for another kernel.
    #[error("the machine does not boot, can't {step}: {source}. Build the image anew")]
    Boot {
        /// What failed.
        step: String,
        /// Why.
        source: io::Error,
    },
    /// A real enclave is to serve without TLS.
    #[error(
        "without `tls` the host would read everything that clients send and are sent. Set it: \
         `\"tls\": {{}}`"
    )]
    ClearText,
    /// The enclave's clock is not that of its security module.
    #[error(
        "the enclave's clock is {seconds} s {} its security module's, and times decide about \
         signatures, documents and deletions. Set the machine's clock right",
        if *is_ahead { "ahead of" } else { "behind" }
    )]
    ClockDisagrees {
        /// How far, in seconds.
        seconds: u64,
        /// In which direction.
        is_ahead: bool,
    },
    /// The enclave's clock is behind a time at which its store was in use.
    #[error(
        "the enclave's clock is {seconds} s behind the latest time that its store has seen. Set the \
         machine's clock right; or, in simulation, begin with an empty store"
    )]
    ClockWentBack {
        /// How far, in seconds.
        seconds: u64,
    },
    /// The security module does not work.
    #[error("the Nitro security module: {0}")]
    Nsm(#[from] NsmError),
    /// The kernel's hardware generator is not the security module.
    #[error(
        "the kernel's hardware generator is {found}, not the Nitro security module's, nsm-hwrng. \
         Build the image with a kernel that has the module's driver, give the machine no other \
         generator, and mount sysfs at /sys"
    )]
    KernelGenerator {
        /// Which one it is, or why that is not known.
        found: String,
    },
    /// What the security module gave for randomness is none.
    #[error(
        "the Nitro security module's randomness repeats itself: it is out of order, or not what it \
         says. Terminate the enclave and start it again, on another instance if it stays so"
    )]
    NsmRepeats,
    /// The thread of the security module ended.
    #[error("the thread of the Nitro security module ended; this is a defect, please report it")]
    NsmGone,
    /// The kernel or the cryptographic library has no randomness.
    #[error("the kernel or the cryptographic library has no randomness")]
    NoRandomness,
    /// A file can't be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is {what}")]
    FileContent {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A trusted root is not one.
    #[error("{setting} is not a root certificate for attestation documents: {what}")]
    TrustRoot {
        /// Where the settings have it.
        setting: String,
        /// What is wrong with it.
        what: String,
    },
    /// The store has records, but the root key that opens them is absent.
    #[error(
        "the record store holds records, but there is no root key at {path}. Put back the file \
         that belongs to this store, or start with an empty store"
    )]
    RootKeyMissing {
        /// Where the root key should be.
        path: PathBuf,
    },
    /// The store is empty, but the root key has been used with one before.
    #[error(
        "the record store is empty, but the root key in {path} has already made one: the records \
         are lost or this is the wrong store. Put back the store's data; or, if the keys in it \
         are not needed any more, remove the root key's file to begin anew"
    )]
    StoreLost {
        /// The file of the root key.
        path: PathBuf,
    },
    /// The store has a head, but no quorum is known that could give its root key.
    #[error(
        "the record store has no record of the quorum that holds its root key. Was it made with \
         another kind of root key? Else restore the store from a backup"
    )]
    QuorumMissing,
    /// The record of the quorum is damaged.
    #[error("{0}. Restore the store from a backup")]
    Quorum(#[from] QuorumError),
    /// The head and the record of the quorum are of different stores.
    #[error(
        "the record store's head is of the root key {head_root_key}, but its record of the quorum is \
         of {quorum_root_key}: one of them is another store's. Restore the store from a backup"
    )]
    QuorumOfAnother {
        /// The root key that the head names.
        head_root_key: RootKeyId,
        /// The root key that the record of the quorum names.
        quorum_root_key: RootKeyId,
    },
    /// The sealed records can't be opened, or are not complete.
    #[error("the sealed records can't be used: {0}. Nothing was changed in the store")]
    State(#[from] StateError),
    /// The store holds records but no head.
    #[error(
        "the record store holds records but no head: it is damaged, or part of it was put back. \
         Restore the store from a backup"
    )]
    HeadMissing,
    /// The store holds a record that no enclave wrote.
    #[error(
        "the record store holds a record with an id that no enclave gives; it is the store of \
         something else, or damaged. Point the host at the right store"
    )]
    ForeignRecord,
    /// The store does not answer.
    #[error(
        "the host's record store at {host} does not answer: {what}. Is the host proxy running?"
    )]
    Store {
        /// The host's address.
        host: Address,
        /// What happened last.
        what: String,
    },
    /// The store has a head that this enclave did not write.
    #[error(
        "the record store holds a head that this enclave did not write: another enclave uses the \
         same store, or the store was put back to an older copy. This enclave has stopped serving. \
         Make sure that one enclave only uses the store, and start it again"
    )]
    Fenced,
    /// The task that writes to the store ended.
    #[error("the writer ended; this is a defect, please report it. Start the enclave again")]
    WriterGone,
    /// The task that opens keys ended.
    #[error(
        "the opening of keys ended; this is a defect, please report it. Start the enclave again"
    )]
    OpeningGone,
    /// The seed can't be applied.
    #[error("the seed: {0}")]
    Seed(#[from] SeedError),
    /// Certificates can't be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The enclave can't listen.
    #[error("can't listen at {address}: {source}")]
    Listen {
        /// Where.
        address: Address,
        /// Why.
        source: io::Error,
    },
}

impl From<commit::Fenced> for EnclaveError {
    fn from(_: commit::Fenced) -> Self {
        Self::Fenced
    }
}
