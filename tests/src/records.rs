//! Changes of sealed records, as only an enclave with their root key could make them: what took it
//! years is there for a test at once.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use getrandom::SysRng;
use kms::state::{Batch, Change, EdgeSecret, Opening, RootKey, State};
use link::{Address, Channel, Commit, Numbered, Record, RecordId, StoreReply, StoreRequest};
use rand_core::UnwrapErr;
use serde_json::Value;

/// Longer than the host proxy takes to start.
const START: Duration = Duration::from_secs(30);

/// More records than a test has.
const ALL: u32 = 4096;

/// Replaces a secret of the enclave's edge in the data folder of a `claviger dev` that does not run.
///
/// # Panics
///
/// When there is no such secret, or the records can't be read or written.
pub fn replace_edge_secret(data: &Path, name: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) {
    let sockets = tempfile::tempdir().expect("a temporary folder");
    let unix = |name: &str| format!("unix:{}", sockets.path().join(name).display());
    let mut host_proxy = Command::new(crate::claviger())
        .args(["host-proxy", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .args(["--enclave", &unix("enclave"), "--host", &unix("host")])
        .args(["--admin", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the host proxy starts");
    let began = Instant::now();
    // Its file is there a moment before anybody listens.
    while UnixStream::connect(sockets.path().join("host")).is_err() {
        assert!(began.elapsed() < START, "the host proxy does not listen");
        thread::sleep(Duration::from_millis(10));
    }
    let host = Address::Unix(sockets.path().join("host"));
    let root_key = root_key(&data.join("root.key"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .expect("a runtime")
        .block_on(replace(&host, &root_key, name, change));
    host_proxy.kill().expect("our own child can be killed");
    host_proxy.wait().expect("a killed child ends");
}

fn root_key(path: &Path) -> RootKey {
    let text = fs::read(path).expect("the root key");
    let content: Value = serde_json::from_slice(&text).expect("JSON");
    let digits = content["root_key"].as_str().expect("the key itself");
    let bytes: Vec<u8> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits"))
        .collect();
    RootKey::from_bytes(bytes.as_slice().try_into().expect("32 bytes"))
}

async fn replace(
    host: &Address,
    root_key: &RootKey,
    name: &str,
    change: impl FnOnce(&[u8]) -> Vec<u8>,
) {
    let channel = link::open(host, Channel::Store).await;
    let (mut reader, mut writer) = channel.expect("the record store");
    let mut ask = async |number, body| {
        let request = Numbered { number, body };
        writer.send(&request).await.expect("a request is sent");
        let reply = reader.receive::<Numbered<StoreReply>>().await;
        reply.expect("a reply comes").expect("no end").body
    };
    let StoreReply::Head { head: Some(head) } = ask(1, StoreRequest::Head).await else {
        panic!("no head");
    };
    let (after, limit) = (None, ALL);
    let StoreReply::Records { records, more } = ask(2, StoreRequest::Scan { after, limit }).await
    else {
        panic!("no records");
    };
    assert!(!more, "more records than a test has");
    let state = open(root_key, &head, &records);
    let secret = state.edge_secret(name).expect("the secret");
    let changed = EdgeSecret::new(name, &change(secret.expose()));
    let mut batch = Batch::new(state);
    batch.push(vec![Change::PutEdgeSecret(changed)]);
    let (_, transaction) = batch.seal(&mut UnwrapErr(SysRng));
    let id = |id: &kms::state::RecordId| RecordId::new(id.as_bytes()).expect("a short id");
    let commit = Commit {
        expected_head: transaction.expected_head,
        puts: transaction
            .puts
            .into_iter()
            .map(|(of, bytes)| Record { id: id(&of), bytes })
            .collect(),
        deletes: transaction.deletes.iter().map(id).collect(),
        head: transaction.head,
    };
    let reply = ask(3, StoreRequest::Commit(commit)).await;
    assert!(matches!(reply, StoreReply::Committed), "{reply:?}");
}

fn open(root_key: &RootKey, head: &[u8], records: &[Record]) -> State {
    let mut opening = Opening::new(root_key, head).expect("the head opens");
    for record in records {
        let id = kms::state::RecordId::from_slice(record.id.as_bytes());
        let opened = opening.record(id.expect("a record of ours"), &record.bytes);
        opened.expect("the record opens");
    }
    opening.finish().expect("the records are complete")
}
