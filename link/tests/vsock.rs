//! Virtual sockets, where there is a loopback for them.
//!
//! Most machines have none, and dialling context id 1 on them would leave the
//! machine. Set `CLAVIGER_VSOCK_LOOPBACK=1` where it is known to be there: in a
//! guest, or under User Mode Linux.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use link::{Address, Channel, HostEvent, Numbered};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn loopback(port: u32) -> Option<(Address, Address)> {
    if std::env::var_os("CLAVIGER_VSOCK_LOOPBACK").is_none() {
        eprintln!("SKIPPED: no vsock loopback (CLAVIGER_VSOCK_LOOPBACK is not set)");
        return None;
    }
    let listen = format!("vsock:any:{port}").parse().unwrap();
    let dial = format!("vsock:1:{port}").parse().unwrap();
    Some((listen, dial))
}

#[tokio::test]
async fn a_half_closed_vsock_stream_still_carries_the_answer() {
    let Some((listen, dial)) = loopback(5101) else {
        return;
    };
    let listener = link::listen(&listen).await.unwrap();
    assert_eq!(listener.local_address().unwrap(), listen);
    let question: Vec<u8> = (0..4_u32 << 20).map(|n| (n % 251) as u8).collect();
    let answering = async {
        let mut stream = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let asking = async {
        let mut stream = link::connect(&dial).await.unwrap();
        stream.write_all(&question).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let ((), answer) = tokio::join!(answering, asking);
    assert!(answer == question);
}

#[tokio::test]
async fn a_channel_opens_over_vsock() {
    let Some((listen, dial)) = loopback(5102) else {
        return;
    };
    let listener = link::listen(&listen).await.unwrap();
    let host = async { link::accept(listener.accept().await.unwrap()).await };
    let (opened, accepted) = tokio::join!(link::open(&dial, Channel::Events), host);
    let (_, mut writer) = opened.unwrap();
    let (channel, mut reader, _) = accepted.unwrap();
    assert_eq!(channel, Channel::Events);
    let event = Numbered {
        number: 1,
        body: HostEvent::Audit {
            lines: vec!["{}"; 4000].into_iter().collect(),
        },
    };
    let (sent, received) = tokio::join!(writer.send(&event), reader.receive());
    sent.unwrap();
    assert_eq!(received.unwrap(), Some(event));
}

#[tokio::test]
async fn dialling_where_no_one_listens_is_an_error() {
    let Some((_, dial)) = loopback(5103) else {
        return;
    };
    assert!(link::connect(&dial).await.is_err());
}
