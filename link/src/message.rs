//! The messages of both channels.
//!
//! Fields and variants carry numbers, never names, on the wire; a number once
//! used keeps its meaning. `tests/wire.golden` pins every encoding.

use minicbor::decode::{self, Decoder};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decode, Encode};

use crate::{Lines, Sample};

/// Most records, or record ids, in one message.
pub const MAX_RECORDS: usize = 65_536;

/// Most bytes of one record, or of the head.
pub const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// Most audit lines in one message.
pub const MAX_LINES: usize = 4_096;

/// A message with the number its sender gave it.
///
/// A reply bears the number of what it answers, so that many may be under way
/// at once. The sender chooses the numbers; ascending ones make logs readable.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Numbered<T> {
    /// The number.
    #[n(0)]
    pub number: u64,
    /// The message itself.
    #[n(1)]
    pub body: T,
}

/// What the enclave asks of the record store.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum StoreRequest {
    /// The head as it is stored: [`StoreReply::Head`].
    #[n(0)]
    Head,
    /// The records with these ids: [`StoreReply::Records`], in the order
    /// asked for and without those that do not exist.
    #[n(1)]
    Get {
        /// At most [`MAX_RECORDS`].
        #[cbor(n(0), decode_with = "at_most::<MAX_RECORDS, _, _>")]
        ids: Vec<RecordId>,
    },
    /// Records in ascending order of their ids: [`StoreReply::Records`].
    #[n(2)]
    Scan {
        /// Only those whose id is greater than this one.
        #[n(0)]
        after: Option<RecordId>,
        /// At most so many; fewer come when the frame is full.
        #[n(1)]
        limit: u32,
    },
    /// One transaction: [`StoreReply::Committed`], [`StoreReply::Conflict`] or
    /// [`StoreReply::Failed`].
    #[n(3)]
    Commit(#[n(0)] Commit),
}

/// One transaction of the record store: everything of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Commit {
    /// SHA-256 of the stored head that this commit follows; `None` when there
    /// must be no head yet. If it is another one, nothing is written.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub expected_head: Option<[u8; 32]>,
    /// Records to write, replacing those with the same id.
    #[cbor(n(1), decode_with = "at_most::<MAX_RECORDS, _, _>")]
    pub puts: Vec<Record>,
    /// Records to remove; one that does not exist is no error.
    #[cbor(n(2), decode_with = "at_most::<MAX_RECORDS, _, _>")]
    pub deletes: Vec<RecordId>,
    /// The new head.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub head: Vec<u8>,
}

/// A sealed record. What is in it only the enclave knows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Record {
    /// Its id.
    #[n(0)]
    pub id: RecordId,
    /// Its content, at most [`MAX_RECORD_BYTES`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// What the record store answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum StoreReply {
    /// The stored head; `None` in a new store.
    #[n(0)]
    Head {
        /// Its bytes.
        #[cbor(n(0), with = "minicbor::bytes")]
        head: Option<Vec<u8>>,
    },
    /// Records, as many as the frame holds.
    #[n(1)]
    Records {
        /// The records, in the order that the request defines.
        #[cbor(n(0), decode_with = "at_most::<MAX_RECORDS, _, _>")]
        records: Vec<Record>,
        /// Whether the store stopped after the last of them for want of room:
        /// ask again for what comes after it.
        #[n(1)]
        more: bool,
    },
    /// The commit is durable.
    #[n(2)]
    Committed,
    /// The stored head is not the expected one; nothing was written.
    #[n(3)]
    Conflict {
        /// The head as it is stored.
        #[cbor(n(0), with = "minicbor::bytes")]
        head: Option<Vec<u8>>,
    },
    /// The store could not do it. Of a commit this says **nothing about whether
    /// it took effect**: ask for the head to find out.
    #[n(4)]
    Failed {
        /// For the log.
        #[n(0)]
        what: String,
    },
}

/// The id of a record: 1 to 64 opaque bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(Box<[u8]>);

/// A record id that is empty or longer than [`RecordId::MAX_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record id has 1 to 64 bytes, not {0}")]
pub struct RecordIdError(pub usize);

impl RecordId {
    /// Most bytes of an id.
    pub const MAX_BYTES: usize = 64;

    /// Makes an id of these bytes.
    ///
    /// # Errors
    ///
    /// When there are none, or more than [`RecordId::MAX_BYTES`].
    pub fn new(bytes: &[u8]) -> Result<Self, RecordIdError> {
        match bytes.len() {
            1..=Self::MAX_BYTES => Ok(Self(bytes.into())),
            length => Err(RecordIdError(length)),
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<C> Encode<C> for RecordId {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for RecordId {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Self::new(d.bytes()?).map_err(|_| decode::Error::message("record id of a wrong length"))
    }
}

/// What the enclave tells the host on the events channel.
///
/// Each is answered with an [`EventReply`], not necessarily in order, and the
/// host takes at most 64 that it has not answered. So what gathers while
/// replies are awaited goes into one message: the host syncs once for many.
///
/// After a lost connection the enclave sends again what was not answered with
/// [`EventReply::Done`]. The audit trail may then hold an event twice, under
/// the same event id; it never lacks one that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum HostEvent {
    /// Append these lines to the audit file, in order.
    #[n(0)]
    Audit {
        /// JSON texts.
        #[n(0)]
        lines: Lines,
    },
    /// The enclave's metrics as they stand.
    #[n(1)]
    Metrics {
        /// Those that the host does not know are ignored.
        #[cbor(n(0), decode_with = "at_most::<256, _, _>")]
        samples: Vec<Sample>,
    },
    /// Make a file that everyone may read; an older one is replaced whole.
    #[n(2)]
    Publish {
        /// Which one.
        #[n(0)]
        file: PublicFile,
        /// Its content.
        #[cbor(n(1), with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
}

/// The files that an enclave may publish through its host.
///
/// An enclave names a file by its number, so none can name any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum PublicFile {
    /// The certificate authority of the enclave's TLS certificates, in PEM.
    #[n(0)]
    CaCertificate,
}

impl PublicFile {
    /// Its name in the host's data folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CaCertificate => "ca.pem",
        }
    }
}

/// What the host answers to a [`HostEvent`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum EventReply {
    /// It is done; audit lines are on stable storage.
    #[n(0)]
    Done,
    /// Audit lines could not be written yet. The host keeps them and tries
    /// again, and takes little more until then; [`EventReply::Done`] follows.
    /// The enclave need not send them again on this connection, and should say
    /// in its health that the audit trail is behind.
    #[n(1)]
    Delayed {
        /// For the log.
        #[n(0)]
        what: String,
    },
    /// It will not be done; sending it again would not help.
    #[n(2)]
    Refused {
        /// For the log.
        #[n(0)]
        what: String,
    },
}

/// Decodes a list that may have at most `MAX` elements.
///
/// A small frame can hold very many small elements, each of which costs more
/// memory than its bytes on the wire; so the number is bounded, not only the
/// frame.
fn at_most<'b, const MAX: usize, C, T: Decode<'b, C>>(
    d: &mut Decoder<'b>,
    ctx: &mut C,
) -> Result<Vec<T>, decode::Error> {
    let mut list = Vec::new();
    for element in d.array_iter_with(ctx)? {
        if list.len() == MAX {
            return Err(decode::Error::message("too many elements in a list"));
        }
        list.push(element?);
    }
    Ok(list)
}
