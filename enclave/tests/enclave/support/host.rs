//! A host made for tests: it keeps records in memory and fails when told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use link::{
    Address, Channel, Commit, EventReply, FrameReader, FrameWriter, HostEvent, LinkError, Numbered,
    Record, RecordId, StoreReply, StoreRequest, Stream,
};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::task::{JoinHandle, JoinSet};

/// What goes wrong with a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The connection is cut before anything is written.
    CutBefore,
    /// Everything is written, and the connection is cut instead of an answer.
    CutAfter,
    /// The store says that it failed, and nothing is written.
    Fail,
    /// Somebody else has written another head.
    OtherHead,
}

#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) head: Option<Vec<u8>>,
    pub(crate) records: BTreeMap<RecordId, Vec<u8>>,
    /// How many records each commit wrote.
    pub(crate) commits: Vec<usize>,
    /// What goes wrong with the commits to come.
    pub(crate) faults: VecDeque<Fault>,
    /// How long a commit takes.
    pub(crate) commit_time: Duration,
    /// Whether commits have to wait.
    pub(crate) commits_held: bool,
    /// How many do.
    pub(crate) commits_waiting: usize,
    /// Whether connections to the store are refused.
    pub(crate) store_away: bool,
    /// A record that is given again and again to who asks for what comes after it.
    pub(crate) repeated: Option<RecordId>,
    /// Whether events are read; if not, they stay in the socket.
    pub(crate) events_away: bool,
    pub(crate) lines: Vec<String>,
    pub(crate) published: Option<Vec<u8>>,
}

/// A host that listens until it is dropped.
pub(crate) struct Host {
    memory: Arc<Mutex<Memory>>,
    task: JoinHandle<()>,
}

impl Host {
    pub(crate) async fn start(address: Address) -> Self {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let listener = link::listen(&address).await.unwrap();
        let task = tokio::spawn({
            let memory = Arc::clone(&memory);
            async move {
                // Aborted with this task, as the connections of a process end with it.
                let mut connections = JoinSet::new();
                loop {
                    let stream = listener.accept().await.unwrap();
                    connections.spawn(serve(stream, Arc::clone(&memory)));
                }
            }
        });
        Self { memory, task }
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Reader = FrameReader<ReadHalf<Stream>>;
type Writer = FrameWriter<WriteHalf<Stream>>;

async fn serve(stream: Stream, memory: Arc<Mutex<Memory>>) {
    let Ok((channel, reader, writer)) = link::accept(stream).await else {
        return;
    };
    // Either ends with its connection.
    let _ = match channel {
        Channel::Store => store(reader, writer, &memory).await,
        Channel::Events => events(reader, writer, &memory).await,
    };
}

async fn store(
    mut reader: Reader,
    mut writer: Writer,
    memory: &Mutex<Memory>,
) -> Result<(), LinkError> {
    while let Some(Numbered { number, body }) = reader.receive::<Numbered<StoreRequest>>().await? {
        let time = memory.lock().unwrap().commit_time;
        if matches!(body, StoreRequest::Commit(_)) {
            tokio::time::sleep(time).await;
            memory.lock().unwrap().commits_waiting += 1;
            while memory.lock().unwrap().commits_held {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            memory.lock().unwrap().commits_waiting -= 1;
        }
        let reply = {
            let memory = &mut *memory.lock().unwrap();
            if memory.store_away {
                return Ok(());
            }
            match body {
                StoreRequest::Head => Some(StoreReply::Head {
                    head: memory.head.clone(),
                }),
                StoreRequest::Get { ids } => Some(memory.get(ids)),
                StoreRequest::Scan { after, limit } => Some(memory.scan(after, limit)),
                StoreRequest::Commit(commit) => memory.commit(commit),
            }
        };
        let Some(body) = reply else {
            return Ok(());
        };
        writer.send(&Numbered { number, body }).await?;
    }
    Ok(())
}

impl Memory {
    /// An enclave holds all records, but for that of the quorum.
    fn get(&self, ids: Vec<RecordId>) -> StoreReply {
        let record = |id: RecordId| {
            let bytes = self.records.get(&id)?.clone();
            Some(Record { id, bytes })
        };
        StoreReply::Records {
            records: ids.into_iter().filter_map(record).collect(),
            more: false,
        }
    }

    fn scan(&self, after: Option<RecordId>, limit: u32) -> StoreReply {
        let records: Vec<Record> = self
            .records
            .iter()
            .filter(|(id, _)| match &after {
                None => true,
                Some(after) => *id > after || *id == after && self.repeated.as_ref() == Some(*id),
            })
            // Fewer than asked for, as a store whose frame is full.
            .take(limit.min(3) as usize)
            .map(|(id, bytes)| Record {
                id: id.clone(),
                bytes: bytes.clone(),
            })
            .collect();
        let more = records.len() == 3 || self.repeated.is_some();
        StoreReply::Records { records, more }
    }

    /// `None` cuts the connection.
    fn commit(&mut self, commit: Commit) -> Option<StoreReply> {
        match self.faults.pop_front() {
            Some(Fault::CutBefore) => return None,
            Some(Fault::CutAfter) => {
                assert_eq!(self.apply(commit), StoreReply::Committed);
                return None;
            }
            Some(Fault::Fail) => {
                return Some(StoreReply::Failed {
                    what: "the disk is full".to_owned(),
                });
            }
            Some(Fault::OtherHead) => self.head = Some(b"somebody else's".to_vec()),
            None => {}
        }
        Some(self.apply(commit))
    }

    fn apply(&mut self, commit: Commit) -> StoreReply {
        if self.head.as_deref().map(sha256) != commit.expected_head {
            return StoreReply::Conflict {
                head: self.head.clone(),
            };
        }
        self.commits.push(commit.puts.len());
        for Record { id, bytes } in commit.puts {
            self.records.insert(id, bytes);
        }
        for id in commit.deletes {
            self.records.remove(&id);
        }
        self.head = Some(commit.head);
        StoreReply::Committed
    }
}

async fn events(
    mut reader: Reader,
    mut writer: Writer,
    memory: &Mutex<Memory>,
) -> Result<(), LinkError> {
    loop {
        while memory.lock().unwrap().events_away {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let Some(Numbered { number, body }) = reader.receive().await? else {
            return Ok(());
        };
        {
            let mut memory = memory.lock().unwrap();
            match body {
                HostEvent::Audit { lines } => {
                    memory.lines.extend(lines.iter().map(str::to_owned));
                }
                HostEvent::Metrics { .. } => {}
                HostEvent::Publish { bytes, .. } => memory.published = Some(bytes),
            }
        }
        let body = EventReply::Done;
        writer.send(&Numbered { number, body }).await?;
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().unwrap()
}
