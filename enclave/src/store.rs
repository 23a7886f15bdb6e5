//! The record store, as the enclave sees it: a stranger that keeps sealed records for us.
//!
//! One request at a time over one connection, which is opened when needed and given up at the
//! first sign of trouble. What a lost answer means is for the caller to decide.

use std::time::Duration;

use kms::state::Transaction;
use link::{
    Address, Channel, Commit, FrameReader, FrameWriter, LinkError, Numbered, Record, RecordId,
    StoreReply, StoreRequest, Stream,
};
use quorum::Quorum;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::time::timeout;

use crate::identity::sha256;

/// How long the host may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Records asked for at a time when all are read.
const PAGE: u32 = 4096;

/// The store could not be asked, or its answer did not arrive: of a commit this says nothing about
/// whether it took effect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the link to the host's record store: {0}")]
    Link(#[from] LinkError),
    #[error("the host closed the connection to its record store")]
    Closed,
    #[error("the host's record store took longer than {} seconds to answer", PATIENCE.as_secs())]
    TooSlow,
    #[error("the host's record store answered something else than it was asked")]
    OtherAnswer,
    #[error("the host's record store failed: {0}")]
    Failed(String),
}

impl StoreError {
    /// What happened, for the log: nothing that the host says.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Link(_) => "link",
            Self::Closed => "closed",
            Self::TooSlow => "too slow",
            Self::OtherAnswer => "other answer",
            Self::Failed(_) => "failed",
        }
    }
}

/// What the store says to a commit, when it says anything.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Committed {
    /// It is durable.
    Yes,
    /// Nothing was written, because the head is another one than expected.
    OtherHead(Option<Vec<u8>>),
}

type Connection = (
    FrameReader<ReadHalf<Stream>>,
    FrameWriter<WriteHalf<Stream>>,
);

/// The enclave's side of the store channel.
pub(crate) struct Store {
    host: Address,
    connection: Option<Connection>,
    next: u64,
}

impl Store {
    /// The store behind the host at this address; nothing is opened yet.
    pub(crate) fn new(host: Address) -> Self {
        Self {
            host,
            connection: None,
            next: 0,
        }
    }

    /// Where the host is.
    pub(crate) fn host(&self) -> &Address {
        &self.host
    }

    /// The head as it is stored.
    pub(crate) async fn head(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.ask(StoreRequest::Head).await? {
            StoreReply::Head { head } => Ok(head),
            _ => Err(self.give_up(StoreError::OtherAnswer)),
        }
    }

    /// The hash of the head, by which a commit names the one it replaces.
    pub(crate) async fn head_hash(&mut self) -> Result<Option<[u8; 32]>, StoreError> {
        Ok(self.head().await?.as_deref().map(sha256))
    }

    /// One record.
    pub(crate) async fn record(&mut self, id: &RecordId) -> Result<Option<Vec<u8>>, StoreError> {
        let ids = vec![id.clone()];
        match self.ask(StoreRequest::Get { ids }).await? {
            StoreReply::Records { records, .. } => {
                let found = records.into_iter().find(|record| record.id == *id);
                Ok(found.map(|record| record.bytes))
            }
            _ => Err(self.give_up(StoreError::OtherAnswer)),
        }
    }

    /// The records after this one, in order, and whether there are more.
    pub(crate) async fn scan(
        &mut self,
        after: Option<RecordId>,
    ) -> Result<(Vec<Record>, bool), StoreError> {
        let limit = PAGE;
        match self.ask(StoreRequest::Scan { after, limit }).await? {
            StoreReply::Records { records, more } => {
                let full = u32::try_from(records.len()).is_ok_and(|count| count >= limit);
                Ok((records, more || full))
            }
            _ => Err(self.give_up(StoreError::OtherAnswer)),
        }
    }

    /// Writes one transaction.
    pub(crate) async fn commit(&mut self, commit: &Commit) -> Result<Committed, StoreError> {
        match self.ask(StoreRequest::Commit(commit.clone())).await? {
            StoreReply::Committed => Ok(Committed::Yes),
            StoreReply::Conflict { head } => Ok(Committed::OtherHead(head)),
            _ => Err(self.give_up(StoreError::OtherAnswer)),
        }
    }

    async fn ask(&mut self, request: StoreRequest) -> Result<StoreReply, StoreError> {
        let reply = timeout(PATIENCE, self.exchange(request))
            .await
            .unwrap_or(Err(StoreError::TooSlow));
        match reply {
            Ok(StoreReply::Failed { what }) => Err(StoreError::Failed(what)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.give_up(error)),
        }
    }

    async fn exchange(&mut self, body: StoreRequest) -> Result<StoreReply, StoreError> {
        // Taken, so that a connection on which this future was dropped half-way is not used again.
        let (mut reader, mut writer) = match self.connection.take() {
            Some(connection) => connection,
            None => link::open(&self.host, Channel::Store).await?,
        };
        self.next += 1;
        let number = self.next;
        writer.send(&Numbered { number, body }).await?;
        let reply: Numbered<StoreReply> = reader.receive().await?.ok_or(StoreError::Closed)?;
        if reply.number != number {
            return Err(StoreError::OtherAnswer);
        }
        self.connection = Some((reader, writer));
        Ok(reply.body)
    }

    /// Closes the connection after an error, so that a late answer can't be taken for another.
    fn give_up(&mut self, error: StoreError) -> StoreError {
        self.connection = None;
        error
    }
}

/// The public record of a quorum, as the host keeps it.
pub(crate) fn quorum_record(quorum: &Quorum) -> Record {
    Record {
        id: quorum_id(),
        bytes: quorum.as_bytes().to_vec(),
    }
}

/// Where that record is: no sealed record can be there, because their ids are codes of 256 bits.
pub(crate) fn quorum_id() -> RecordId {
    RecordId::new(&[0xff; 32]).expect("an id of 32 bytes is within the link's bounds")
}

/// A sealed transaction in the words of the link.
pub(crate) fn commit_of(transaction: Transaction) -> Commit {
    Commit {
        expected_head: transaction.expected_head,
        puts: transaction
            .puts
            .into_iter()
            .map(|(id, bytes)| Record {
                id: record_id(&id),
                bytes,
            })
            .collect(),
        deletes: transaction.deletes.iter().map(record_id).collect(),
        head: transaction.head,
    }
}

fn record_id(id: &kms::state::RecordId) -> RecordId {
    RecordId::new(id.as_bytes()).expect("an id of 32 bytes is within the link's bounds")
}
