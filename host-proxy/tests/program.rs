//! The program itself: what it says, how it ends, what survives its death.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use link::{Channel, EventReply, Numbered, StoreReply, StoreRequest};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use support::{Link, audit, commit, enclave_address, host_address};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::sleep;

/// A host proxy as a child process; killed when dropped.
struct Program {
    child: Child,
    listen: SocketAddr,
    admin: SocketAddr,
}

impl Program {
    fn command(folder: &Path) -> Command {
        let mut command = Command::new("sh");
        command
            // Beyond a limit of file size, writing shall fail and not kill.
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_claviger-host-proxy"))
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--enclave", &enclave_address(folder).to_string()])
            .args(["--host", &host_address(folder).to_string()])
            .arg("--data")
            .arg(folder.join("data"))
            .args(["--drain-seconds", "1", "--log", "warn"])
            .stdout(Stdio::piped());
        command
    }

    fn start(folder: &Path) -> Self {
        Self::started(Self::command(folder), folder)
    }

    fn started(mut command: Command, folder: &Path) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(said["host"], host_address(folder).to_string());
        let address = |name: &str| said[name].as_str().unwrap().parse().unwrap();
        Self {
            child,
            listen: address("listen"),
            admin: address("admin"),
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Lets its files grow to this size and no further, as a full disk does.
    fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).unwrap();
    }

    /// Its exit code, once it has ended of itself.
    fn ended(&mut self) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it goes on");
    }

    /// The most memory it has had, in bytes.
    fn peak_memory(&self) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kilobytes.parse::<usize>().unwrap() * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_ends_it_with_exit_code_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Program::start(folder.path());
        program.signal(signal);
        assert_eq!(program.ended(), Some(0));
        assert!(!folder.path().join("host.sock").exists());
    }
}

#[test]
fn a_second_one_on_the_same_folder_says_why_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Program::start(folder.path());
    let mut second = Program::command(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stderr = second.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(1));
    assert!(said.contains("records.redb"), "{said}");
}

#[tokio::test]
async fn slow_readers_cost_little_memory() {
    const READERS: usize = 20;
    const SIZE: usize = 16 << 20;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let enclave = link::listen(&enclave_address(folder.path())).await.unwrap();
    let before = program.peak_memory();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        let mut client = socket.connect(program.listen).await.unwrap();
        let mut sender = enclave.accept().await.unwrap();
        tokio::spawn(async move { sender.write_all(&vec![1; SIZE]).await.unwrap() });
        readers.push(tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            let mut piece = vec![0; 64 * 1024];
            let mut rest = SIZE;
            while rest > 0 {
                rest -= client.read(&mut piece).await.unwrap();
            }
        }));
    }
    for reader in readers {
        reader.await.unwrap();
    }
    let more = program.peak_memory() - before;
    assert!(more < 16 << 20, "{more} bytes for {READERS} readers");
    let (status, _) = support::ask(program.admin, "GET /metrics").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_full_disk_fails_commits_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let mut store = Link::open(&host_address(folder.path()), Channel::Store).await;
    let mut acknowledged = 0;
    for _ in 0..3 {
        program.limit_files(Some(4 << 20));
        loop {
            match store.store(next(acknowledged)).await {
                StoreReply::Committed => acknowledged += 1,
                StoreReply::Failed { what } => {
                    assert!(what.contains("File too large"), "{what}");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        program.limit_files(None);
        acknowledged = head_after(&mut store, acknowledged).await;
        assert_eq!(
            read_all(&mut store).await,
            (1..=acknowledged).collect::<Vec<_>>()
        );
        assert_eq!(store.store(next(acknowledged)).await, StoreReply::Committed);
        acknowledged += 1;
    }
    assert!(
        acknowledged > 100,
        "the disk was full too soon: {acknowledged}"
    );
}

/// The stored head, which may be one further than what was acknowledged.
async fn head_after(store: &mut Link, acknowledged: u64) -> u64 {
    let StoreReply::Head { head } = store.store(StoreRequest::Head).await else {
        panic!("no head");
    };
    let head = head.map_or(0, |head| u64::from_be_bytes(head.try_into().unwrap()));
    assert!(
        head == acknowledged || head == acknowledged + 1,
        "head {head}, acknowledged {acknowledged}"
    );
    head
}

/// How often the program is killed; `CLAVIGER_KILLS=300` for a thorough run.
fn kills() -> u64 {
    std::env::var("CLAVIGER_KILLS").map_or(12, |text| text.parse().unwrap())
}

#[tokio::test]
async fn killed_amid_commits_it_keeps_all_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let host = host_address(folder.path());
    // Head n stands for the commit that wrote record n.
    let mut acknowledged = 0_u64;
    for round in 0..kills() {
        let mut program = Program::start(folder.path());
        let mut store = Link::open(&host, Channel::Store).await;
        acknowledged = head_after(&mut store, acknowledged).await;
        assert_eq!(
            read_all(&mut store).await,
            (1..=acknowledged).collect::<Vec<_>>()
        );

        let killing = tokio::task::spawn_blocking(move || {
            // A different moment each time, without a source of randomness.
            std::thread::sleep(Duration::from_millis(5 + round * 37 % 100));
            program.child.kill().unwrap();
            program.child.wait().unwrap();
        });
        while let Some(reply) = store.try_store(next(acknowledged)).await {
            assert_eq!(reply, StoreReply::Committed);
            acknowledged += 1;
        }
        killing.await.unwrap();
    }
    assert!(
        acknowledged > kills(),
        "it hardly committed: {acknowledged}"
    );
}

fn next(acknowledged: u64) -> StoreRequest {
    let previous = acknowledged.to_be_bytes();
    let expected = (acknowledged > 0).then_some(&previous[..]);
    let new = (acknowledged + 1).to_be_bytes();
    let content = [&new[..], &[0xa5; 700]].concat();
    commit(expected, &new, (&new, &content))
}

async fn read_all(store: &mut Link) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut after = None;
    loop {
        let scan = StoreRequest::Scan { after, limit: 1000 };
        let StoreReply::Records { records, more } = store.store(scan).await else {
            panic!("no records");
        };
        after = records.last().map(|record| record.id.clone());
        for record in records {
            let number = record.id.as_bytes().try_into().unwrap();
            assert_eq!(record.bytes[..8], number);
            assert_eq!(record.bytes[8..], [0xa5; 700]);
            numbers.push(u64::from_be_bytes(number));
        }
        if !more {
            return numbers;
        }
    }
}

#[tokio::test]
async fn killed_amid_audit_events_it_keeps_all_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let host = host_address(folder.path());
    let trail = folder.path().join("data/audit/events.jsonl");
    let mut acknowledged = 0_u64;
    for round in 0..kills() {
        let mut program = Program::start(folder.path());
        let (mut reader, mut writer) = link::open(&host, Channel::Events).await.unwrap();
        let killing = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(5 + round * 53 % 100));
            program.child.kill().unwrap();
            program.child.wait().unwrap();
        });
        let first = acknowledged;
        let sending = async {
            for number in first.. {
                let body = audit(format!(
                    "{{\"n\":{number},\"pad\":\"{}\"}}",
                    "x".repeat(900)
                ));
                if writer.send(&Numbered { number, body }).await.is_err() {
                    break;
                }
            }
        };
        let receiving = async {
            while let Ok(Some(reply)) = reader.receive::<Numbered<EventReply>>().await {
                assert_eq!(reply.body, EventReply::Done);
                acknowledged = acknowledged.max(reply.number + 1);
            }
        };
        tokio::join!(sending, receiving);
        killing.await.unwrap();

        // Opening it again repairs a torn line; every line can then be read.
        drop(Program::start(folder.path()));
        let text = std::fs::read_to_string(&trail).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        let mut seen = vec![false; usize::try_from(acknowledged).unwrap()];
        for line in text.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            let number = usize::try_from(event["n"].as_u64().unwrap()).unwrap();
            if let Some(place) = seen.get_mut(number) {
                *place = true;
            }
        }
        assert!(seen.into_iter().all(|seen| seen), "an event is missing");
    }
    assert!(acknowledged > kills(), "it hardly wrote: {acknowledged}");
}
