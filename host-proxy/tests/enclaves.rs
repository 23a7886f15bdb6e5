//! Which of two enclaves clients are connected to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use link::Address;
use support::Host;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Longer than any change of the enclave takes.
const TIME: Duration = Duration::from_secs(30);

/// A host proxy that knows two places.
async fn host() -> (Host, Address, Address) {
    let host = Host::start_with(|options| {
        let Some(Address::Unix(first)) = options.enclave.first() else {
            unreachable!("the support has a unix socket for the enclave")
        };
        let second = Address::Unix(first.with_file_name("second.sock"));
        options.enclave.push(second);
    })
    .await;
    let first = host.enclave();
    let second = Address::Unix(host.folder.path().join("second.sock"));
    (host, first, second)
}

/// An enclave that gives `status` to whatever it is asked, and its name.
async fn enclave(address: &Address, status: &'static str, name: &'static str) -> JoinHandle<()> {
    let listener = link::listen(address).await.unwrap();
    tokio::spawn(async move {
        loop {
            let mut stream = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let length = name.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{name}"
            );
            // Whoever asked may have gone.
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
}

const SERVES: &str = "200 OK";
const SEALED: &str = "503 Service Unavailable";

async fn ended(enclave: JoinHandle<()>) {
    enclave.abort();
    let _ = enclave.await;
}

/// Who answers a client now; nobody when its connection is closed.
async fn answering(host: &Host) -> String {
    let mut client = host.client().await;
    let mut answer = String::new();
    if client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.is_ok() {
        let _ = timeout(TIME, client.read_to_string(&mut answer)).await;
    }
    answer
        .rsplit_once("\r\n")
        .map_or_else(|| "nobody".to_owned(), |(_, name)| name.to_owned())
}

async fn until_answering(host: &Host, name: &str) {
    let begun = Instant::now();
    loop {
        let answered = answering(host).await;
        if answered == name {
            return;
        }
        assert!(begun.elapsed() < TIME, "{answered} answers, not {name}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn clients_are_connected_to_the_one_that_serves() {
    let (host, first, second) = host().await;
    let sealed = enclave(&first, SEALED, "first").await;
    assert_eq!(answering(&host).await, "first");
    let serves = enclave(&second, SERVES, "second").await;
    until_answering(&host, "second").await;

    // It is left at once when the other one takes over.
    ended(sealed).await;
    let _first = enclave(&first, SERVES, "first").await;
    ended(serves).await;
    until_answering(&host, "first").await;
}

#[tokio::test]
async fn operators_reach_the_one_that_waits_when_nobody_is_at_the_other() {
    let (host, first, second) = host().await;
    let serves = enclave(&first, SERVES, "first").await;
    let waits = enclave(&second, SEALED, "second").await;
    assert_eq!(answering(&host).await, "first");

    // The second one has taken over and ended, and it was not seen to serve.
    ended(serves).await;
    assert_eq!(answering(&host).await, "nobody");
    until_answering(&host, "second").await;

    // The place where one served last is the one that operators know.
    let first = enclave(&first, SEALED, "first").await;
    until_answering(&host, "first").await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(answering(&host).await, "first");

    ended(waits).await;
    let _second = enclave(&second, SERVES, "second").await;
    until_answering(&host, "second").await;
    ended(first).await;
    assert_eq!(answering(&host).await, "second");
}

#[tokio::test]
async fn a_busy_enclave_is_not_left_for_one_that_waits() {
    let (host, first, second) = host().await;
    // It takes connections, and is too busy to say anything.
    let listener = link::listen(&first).await.unwrap();
    let busy = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok(stream) = listener.accept().await {
            held.push(stream);
        }
    });
    let _second = enclave(&second, SEALED, "second").await;
    // Longer than a look takes, and than a place may be empty.
    sleep(Duration::from_secs(8)).await;
    ended(busy).await;
    assert_eq!(answering(&host).await, "nobody");
}
