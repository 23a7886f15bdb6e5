//! A host proxy with a folder of its own, and what talks to it.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "compiled into each test crate, which uses a part"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host_proxy::{HostProxy, Options};
use link::{
    Address, Channel, Commit, EventReply, FrameReader, FrameWriter, HostEvent, Numbered, Record,
    RecordId, StoreReply, StoreRequest, Stream,
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A host proxy in this process.
pub struct Host {
    pub folder: tempfile::TempDir,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Host {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(
            "127.0.0.1:0".parse().unwrap(),
            enclave_address(folder.path()),
            host_address(folder.path()),
            folder.path().join("data"),
        );
        options.admin = Some("127.0.0.1:0".parse().unwrap());
        change(&mut options);
        let proxy = HostProxy::bind(options).await.unwrap();
        let addresses = proxy.addresses().clone();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(proxy.serve(async {
            let _ = stopped.await;
        }));
        Self {
            folder,
            listen: addresses.listen,
            admin: addresses.admin.unwrap(),
            stop,
            serving,
        }
    }

    /// Where the enclave of this host listens.
    pub fn enclave(&self) -> Address {
        enclave_address(self.folder.path())
    }

    /// Where this host takes the link.
    pub fn host(&self) -> Address {
        host_address(self.folder.path())
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub async fn client(&self) -> TcpStream {
        TcpStream::connect(self.listen).await.unwrap()
    }

    /// The value of a metric, 0 when it is not there.
    pub async fn metric(&self, name: &str) -> u64 {
        let (_, text) = ask(self.admin, "GET /metrics").await;
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a metric has a value; fails after ten seconds.
    pub async fn until_metric(&self, name: &str, wanted: u64) {
        for _ in 0..200 {
            if self.metric(name).await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} is {}, not {wanted}", self.metric(name).await);
    }

    /// Tells it to stop and waits until it has; returns its folder.
    pub async fn stop(self) -> tempfile::TempDir {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
        self.folder
    }
}

pub fn enclave_address(folder: &Path) -> Address {
    Address::Unix(folder.join("enclave.sock"))
}

pub fn host_address(folder: &Path) -> Address {
    Address::Unix(folder.join("host.sock"))
}

/// Sends a bodiless HTTP request: status code and body of the answer.
pub async fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (header, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = header.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// The enclave's side of a link channel.
pub struct Link {
    reader: FrameReader<ReadHalf<Stream>>,
    writer: FrameWriter<WriteHalf<Stream>>,
    next: u64,
}

impl Link {
    pub async fn open(host: &Address, channel: Channel) -> Self {
        let (reader, writer) = link::open(host, channel).await.unwrap();
        Self {
            reader,
            writer,
            next: 0,
        }
    }

    /// Asks the store and waits for its answer.
    pub async fn store(&mut self, body: StoreRequest) -> StoreReply {
        self.try_store(body).await.unwrap()
    }

    /// The same; `None` when the connection ends before the answer.
    pub async fn try_store(&mut self, body: StoreRequest) -> Option<StoreReply> {
        let number = self.next;
        self.next += 1;
        self.writer.send(&Numbered { number, body }).await.ok()?;
        let reply: Numbered<StoreReply> = self.reader.receive().await.ok()??;
        assert_eq!(reply.number, number);
        Some(reply.body)
    }

    /// Sends an event; returns its number.
    pub async fn send(&mut self, body: HostEvent) -> u64 {
        let number = self.next;
        self.next += 1;
        self.writer.send(&Numbered { number, body }).await.unwrap();
        number
    }

    /// Waits for the next answer to an event.
    pub async fn answer(&mut self) -> (u64, EventReply) {
        let reply: Numbered<EventReply> = self.reader.receive().await.unwrap().unwrap();
        (reply.number, reply.body)
    }

    /// Sends an event and waits for its answer.
    pub async fn event(&mut self, event: HostEvent) -> EventReply {
        let number = self.send(event).await;
        let (answered, reply) = self.answer().await;
        assert_eq!(answered, number);
        reply
    }
}

pub fn audit(line: impl Into<String>) -> HostEvent {
    HostEvent::Audit {
        lines: [line.into()].into_iter().collect(),
    }
}

pub fn id(bytes: &[u8]) -> RecordId {
    RecordId::new(bytes).unwrap()
}

/// A commit of one record that follows `previous`.
pub fn commit(previous: Option<&[u8]>, head: &[u8], record: (&[u8], &[u8])) -> StoreRequest {
    StoreRequest::Commit(Commit {
        expected_head: previous.map(|head| Sha256::digest(head).into()),
        puts: vec![Record {
            id: id(record.0),
            bytes: record.1.to_vec(),
        }],
        deletes: vec![],
        head: head.to_vec(),
    })
}
