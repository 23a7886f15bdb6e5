//! The relay between real sockets: clients on TCP, the enclave on a unix socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::Host;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// An enclave that answers each connection with what it read, once it has
/// read the client's end.
async fn echo(address: link::Address) {
    let listener = link::listen(&address).await.unwrap();
    loop {
        let mut stream = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
        });
    }
}

/// An enclave that answers every byte as it comes.
async fn ping(address: link::Address) {
    let listener = link::listen(&address).await.unwrap();
    loop {
        let mut stream = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut byte = [0];
            while stream.read_exact(&mut byte).await.is_ok() {
                if stream.write_all(&byte).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Runs an enclave and waits until it listens.
async fn enclave<F>(host: &Host, run: fn(link::Address) -> F) -> tokio::task::JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let task = tokio::spawn(run(host.enclave()));
    while link::connect(&host.enclave()).await.is_err() {
        sleep(Duration::from_millis(5)).await;
    }
    task
}

async fn round_trip(client: &mut TcpStream) -> bool {
    let mut byte = [7];
    client.write_all(&byte).await.is_ok()
        && matches!(
            timeout(Duration::from_secs(5), client.read_exact(&mut byte)).await,
            Ok(Ok(_))
        )
}

/// Whether the other side closes within a time.
async fn closes_within(client: &mut TcpStream, time: Duration) -> bool {
    let mut byte = [0];
    matches!(
        timeout(time, client.read(&mut byte)).await,
        Ok(Ok(0) | Err(_))
    )
}

#[tokio::test]
async fn a_half_closed_client_gets_its_answer() {
    let host = Host::start().await;
    let _enclave = enclave(&host, echo).await;
    let mut client = host.client().await;
    client.write_all(b"the whole question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"the whole question");
    host.until_metric("claviger_relay_connections_open", 0)
        .await;
    assert_eq!(
        host.metric("claviger_relay_to_enclave_bytes_total").await,
        18
    );
    assert_eq!(
        host.metric("claviger_relay_from_enclave_bytes_total").await,
        18
    );
}

#[tokio::test]
async fn an_enclave_that_has_ended_can_still_be_told_something() {
    let host = Host::start().await;
    let listener = link::listen(&host.enclave()).await.unwrap();
    let mut client = host.client().await;
    let mut enclave = listener.accept().await.unwrap();
    enclave.shutdown().await.unwrap();
    let mut nothing = Vec::new();
    client.read_to_end(&mut nothing).await.unwrap();
    client.write_all(b"late words").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    enclave.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"late words");
}

#[tokio::test]
async fn large_messages_arrive_whole_both_ways_at_once() {
    let host = Host::start().await;
    let _enclave = enclave(&host, echo).await;
    let question: Vec<u8> = (0..16_u32 << 20).map(|n| (n % 251) as u8).collect();
    let client = host.client().await;
    let (mut read, mut write) = client.into_split();
    let sent = question.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut answer = Vec::new();
    read.read_to_end(&mut answer).await.unwrap();
    writing.await.unwrap();
    assert!(answer == question);
}

#[tokio::test]
async fn a_slow_reader_holds_its_sender_back() {
    const SIZE: usize = 16 << 20;
    let host = Host::start().await;
    let listener = link::listen(&host.enclave()).await.unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    let sender = tokio::spawn(async move {
        let mut enclave = listener.accept().await.unwrap();
        let mut rest = SIZE;
        while rest > 0 {
            let wrote = enclave.write(&[1; 4096][..rest.min(4096)]).await.unwrap();
            counted.fetch_add(wrote, Ordering::Relaxed);
            rest -= wrote;
        }
        enclave.shutdown().await.unwrap();
    });
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut client = socket.connect(host.listen).await.unwrap();
    let mut seen = 0;
    loop {
        sleep(Duration::from_millis(300)).await;
        let now = written.load(Ordering::Relaxed);
        if now == seen && now > 0 {
            break;
        }
        seen = now;
    }
    // What the kernel's socket buffers took, and the relay's own 16 KiB.
    assert!(seen < SIZE / 2, "{seen} bytes were taken from the enclave");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.len(), SIZE);
    sender.await.unwrap();
}

#[tokio::test]
async fn without_an_enclave_clients_are_closed_at_once_and_served_when_it_is_back() {
    let host = Host::start().await;
    for _ in 0..3 {
        let start = Instant::now();
        let mut client = host.client().await;
        assert!(closes_within(&mut client, Duration::from_secs(3)).await);
        assert!(start.elapsed() < Duration::from_secs(2));
    }
    assert_eq!(host.metric("claviger_relay_unreachable_total").await, 3);

    let first = enclave(&host, ping).await;
    let mut client = host.client().await;
    assert!(round_trip(&mut client).await);
    first.abort();
    let _ = first.await;
    let second = enclave(&host, ping).await;
    let mut client = host.client().await;
    assert!(round_trip(&mut client).await);
    second.abort();
}

#[tokio::test]
async fn beyond_the_limit_some_wait_and_the_others_are_turned_away() {
    let host = Host::start_with(|options| options.max_connections = 2).await;
    let _enclave = enclave(&host, ping).await;
    let mut first = host.client().await;
    let mut second = host.client().await;
    assert!(round_trip(&mut first).await && round_trip(&mut second).await);

    // One place to wait, which leads to a place when one is free.
    let mut third = host.client().await;
    third.write_all(&[1]).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    assert_eq!(host.metric("claviger_relay_connections_open").await, 2);
    drop(first);
    let mut byte = [0];
    third.read_exact(&mut byte).await.unwrap();

    // The place is taken: who waits too long is turned away, and who finds no
    // place to wait at once.
    let start = Instant::now();
    let mut fourth = host.client().await;
    sleep(Duration::from_millis(200)).await;
    let mut fifth = host.client().await;
    assert!(closes_within(&mut fifth, Duration::from_secs(1)).await);
    assert!(closes_within(&mut fourth, Duration::from_secs(10)).await);
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert_eq!(host.metric("claviger_relay_refused_total").await, 2);
    assert!(round_trip(&mut second).await && round_trip(&mut third).await);
    assert_eq!(host.metric("claviger_relay_connections_total").await, 5);
}

#[tokio::test]
async fn stopping_lets_calls_under_way_finish_and_takes_no_more() {
    let host = Host::start().await;
    let _enclave = enclave(&host, echo).await;
    let mut client = host.client().await;
    client.write_all(b"under ").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let listen = host.listen;
    let finishing = async {
        sleep(Duration::from_millis(500)).await;
        assert!(TcpStream::connect(listen).await.is_err());
        client.write_all(b"way").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let (_folder, answer) = tokio::join!(host.stop(), finishing);
    assert_eq!(answer, b"under way");
}

#[tokio::test]
async fn stopping_cuts_what_does_not_end() {
    let host = Host::start_with(|options| options.drain_seconds = 1).await;
    let _enclave = enclave(&host, ping).await;
    let mut client = host.client().await;
    assert!(round_trip(&mut client).await);
    let start = Instant::now();
    host.stop().await;
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(closes_within(&mut client, Duration::from_secs(1)).await);
}
