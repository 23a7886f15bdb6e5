//! The end: requests in work are answered, and nothing else is waited for.

use std::time::Duration;

use crate::support::{Client, Place};
use serde_json::json;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn requests_in_work_are_answered_and_idle_connections_closed() {
    let place = Place::new();
    let host = place.host().await;
    let mut enclave = place.start().await;
    let idle = [enclave.http1().await, enclave.http2().await];
    let mut busy = [enclave.http1().await, enclave.http2().await];
    for client in &mut busy {
        client.call("ListKeys", json!({})).await.ok();
    }
    host.memory().commit_time = Duration::from_millis(500);
    let calls = busy
        .map(|mut client| tokio::spawn(async move { client.call("CreateKey", json!({})).await }));
    sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    enclave.ask_to_stop();
    for call in calls {
        call.await.unwrap().ok();
    }
    let address = enclave.address.clone();
    enclave.ended().await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    assert!(Client::try_http1(&address).await.is_none());
    drop(idle);
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut() {
    let place = Place::new();
    let _host = place.host().await;
    let mut settings = place.settings();
    settings["limits"]["shutdown_milliseconds"] = json!(300);
    let enclave = place.start_with(settings).await;
    let mut stream = link::connect(&enclave.address).await.unwrap();
    let head = crate::support::client::signed_bytes("ListKeys", "{}", "content-length: 2\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, &head)
        .await
        .unwrap();
    sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    enclave.stop().await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
