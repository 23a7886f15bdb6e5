//! What operators see.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use support::{Host, ask};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// An enclave that answers every request with `answer`.
async fn answering(host: &Host, answer: &'static str) -> JoinHandle<()> {
    let listener = link::listen(&host.enclave()).await.unwrap();
    tokio::spawn(async move {
        loop {
            let mut stream = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /health HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
}

const WELL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 48\r\nconnection: close\r\n\r\n\
                    {\"status\":\"ok\",\"attestation\":\"simulated\",\"n\":12}";

#[tokio::test]
async fn healthy_is_when_the_enclave_and_the_store_answer() {
    let host = Host::start().await;
    let _enclave = answering(&host, WELL).await;
    let (status, report) = ask(host.admin, "GET /healthz").await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(
        report,
        "{\"audit\":{\"status\":\"ok\"},\
         \"enclave\":{\"attestation\":\"simulated\",\"n\":12,\"status\":\"ok\"},\
         \"status\":\"ok\",\"store\":{\"status\":\"ok\"}}\n"
    );
}

#[tokio::test]
async fn otherwise_the_report_says_what_is_wrong() {
    let host = Host::start().await;
    let (status, report) = ask(host.admin, "GET /healthz").await;
    assert_eq!(status, 503);
    assert!(report.contains("enclave.sock"), "{report}");
    assert!(report.contains("\"store\":{\"status\":\"ok\"}"), "{report}");

    let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\n\"loading\"";
    let enclave = answering(&host, busy).await;
    let (status, report) = ask(host.admin, "GET /healthz").await;
    assert_eq!(status, 503);
    assert!(report.contains("503 Service Unavailable"), "{report}");
    assert!(report.contains("loading"), "{report}");
    enclave.abort();
    let _ = enclave.await;

    let _enclave = answering(&host, "this is not HTTP\r\n\r\n").await;
    let (status, report) = ask(host.admin, "GET /healthz").await;
    assert_eq!(status, 503, "{report}");
}

#[tokio::test]
async fn an_enclave_that_does_not_answer_is_not_waited_for() {
    let host = Host::start().await;
    let listener = link::listen(&host.enclave()).await.unwrap();
    let silent = tokio::spawn(async move {
        let _held = listener.accept().await.unwrap();
        sleep(Duration::from_secs(60)).await;
    });
    let (status, report) = ask(host.admin, "GET /healthz").await;
    assert_eq!(status, 503);
    assert!(report.contains("no answer in time"), "{report}");
    silent.abort();
}

#[tokio::test]
async fn metrics_are_for_prometheus() {
    let host = Host::start().await;
    let (status, text) = ask(host.admin, "GET /metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("# TYPE claviger_store_commit_seconds histogram"));
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn nothing_else_is_answered() {
    let host = Host::start().await;
    assert_eq!(ask(host.admin, "GET /").await.0, 404);
    assert_eq!(ask(host.admin, "GET /metrics/../records.redb").await.0, 404);
    assert_eq!(ask(host.admin, "POST /metrics").await.0, 405);
    assert_eq!(ask(host.admin, "DELETE /healthz").await.0, 405);
}
