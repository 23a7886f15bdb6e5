//! Four times as many calls as can be answered: those that are answered are about as many as ever,
//! the others are told so quickly, and memory does not grow.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use claviger_tests::call::{Caller, Connection, signed};
use claviger_tests::process::{Pair, Side};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Longer than the server may take for any answer, on two busy cores.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long each load lasts.
const TIME: Duration = Duration::from_secs(4);

/// As many as can be open, or nearly.
const MANY: usize = 800;

/// What came of a load.
#[derive(Default)]
struct Outcome {
    /// How long each good answer took, and each that said that there are too many calls.
    answered: Vec<Duration>,
    throttled: Vec<Duration>,
    others: Vec<String>,
}

/// A load on a server, of one request over and over.
struct Load {
    authority: String,
    request: String,
    connections: usize,
    /// So many in a second, each when it is due and a connection is free; or as many as can be.
    per_second: Option<f64>,
}

impl Load {
    async fn run(self) -> Outcome {
        let this = Arc::new(self);
        let mut streams = Vec::new();
        for _ in 0..this.connections {
            let stream = TcpStream::connect(&this.authority).await;
            streams.push(stream.expect("the server accepts"));
        }
        let (next, outcome) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::<Mutex<Outcome>>::default(),
        );
        let began = Instant::now();
        let mut connections = JoinSet::new();
        for stream in streams {
            let (this, next, outcome) = (this.clone(), next.clone(), outcome.clone());
            connections.spawn(async move { this.send(stream, began, &next, &outcome).await });
        }
        connections.join_all().await;
        std::mem::take(&mut outcome.lock().expect("no panic"))
    }

    async fn send(
        &self,
        mut stream: TcpStream,
        began: Instant,
        next: &AtomicUsize,
        outcome: &Mutex<Outcome>,
    ) {
        stream.set_nodelay(true).expect("a socket");
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if let Some(rate) = self.per_second {
                let due = began + Duration::from_secs_f64(number as f64 / rate);
                sleep(due.saturating_duration_since(Instant::now())).await;
            }
            let sent = Instant::now();
            if sent > began + TIME {
                return;
            }
            let answer = timeout(PATIENCE, exchange(&mut stream, &self.request)).await;
            let took = sent.elapsed();
            let mut outcome = outcome.lock().expect("no panic");
            match answer.expect("an answer in time").expect("an answer") {
                (200, _) => outcome.answered.push(took),
                (400, body) if body.contains("ThrottlingException") => outcome.throttled.push(took),
                (status, body) => outcome.others.push(format!("{status} {body}")),
            }
        }
    }
}

async fn exchange(stream: &mut TcpStream, request: &str) -> io::Result<(u16, String)> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if length.is_some_and(|length: usize| body.len() >= length) {
            let status = head.get(9..12).and_then(|status| status.parse().ok());
            return Ok((status.unwrap_or_default(), body.to_owned()));
        }
    }
}

/// A request that takes a processor much longer than to be sent and refused.
fn signature(caller: &Caller) -> String {
    let mut connection = connect(caller);
    let key = json!({ "KeySpec": "RSA_4096", "KeyUsage": "SIGN_VERIFY" });
    let (status, key) = connection.call("CreateKey", &key).expect("an answer");
    assert_eq!(status, 200, "{key}");
    let body = json!({
        "KeyId": key["KeyMetadata"]["KeyId"], "SigningAlgorithm": "RSASSA_PSS_SHA_512",
        "Message": "b3ZlcmxvYWQ=",
    });
    signed(caller, "Sign", &body.to_string())
}

/// A connection, once the server is there.
fn connect(caller: &Caller) -> Connection {
    let began = Instant::now();
    loop {
        if let Ok(mut connection) = Connection::open(caller)
            && connection.call("ListKeys", &json!({})).is_ok()
        {
            return connection;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no server");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn longest(times: &[Duration]) -> Duration {
    times.iter().copied().max().unwrap_or_default()
}

#[test]
fn an_overload_is_refused_and_does_not_take_the_place_of_what_can_be_answered() {
    let mut pair = Pair::start();
    let caller = pair.caller();
    let request = signature(&caller);
    let load = |connections, per_second| Load {
        authority: caller.authority.clone(),
        request: request.clone(),
        connections,
        per_second,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let most = runtime.block_on(load(8, None).run());
    assert!(most.throttled.is_empty() && most.others.is_empty());
    let most = most.answered.len() as f64 / TIME.as_secs_f64();

    let overload = runtime.block_on(load(MANY, Some(4.0 * most)).run());
    let answered = overload.answered.len() as f64 / TIME.as_secs_f64();
    let memory = pair.peak_memory(Side::Enclave) / (1024 * 1024);
    eprintln!(
        "{most:.0}/s at most; under overload {answered:.0}/s answered within {:?}, {} refused within \
         {:?}; {memory} MiB",
        longest(&overload.answered),
        overload.throttled.len(),
        longest(&overload.throttled),
    );
    assert_eq!(overload.others, [""; 0]);
    assert!(!overload.throttled.is_empty(), "nothing was refused");
    // The target is nine tenths, on a machine of its own.
    assert!(answered > most / 2.0, "{answered} of {most} a second");
    assert!(memory < 200, "{memory} MiB");

    // It is over, and nobody is refused any more.
    let after = runtime.block_on(load(8, None).run());
    assert!(after.throttled.is_empty() && after.others.is_empty());
}
