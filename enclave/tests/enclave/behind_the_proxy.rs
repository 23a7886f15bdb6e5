//! With the real host proxy: over TCP, with its record store, audit trail and metrics.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use host_proxy::{HostProxy, Options};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use link::Address;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Client, LONG, Place, eventually};

/// A host proxy in this process.
struct Proxy {
    listen: Address,
    admin: SocketAddr,
    data: PathBuf,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Proxy {
    async fn start(place: &Place) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let data = place.path().join("data");
        let (enclave, host) = (place.socket("enclave.sock"), place.socket("host.sock"));
        let mut options = Options::new(any, enclave, host, data.clone());
        options.admin = Some(any);
        let proxy = HostProxy::bind(options).await.unwrap();
        let addresses = proxy.addresses().clone();
        let (stop, stopped) = oneshot::channel();
        Self {
            listen: Address::Tcp {
                host: addresses.listen.ip().to_string(),
                port: addresses.listen.port(),
            },
            admin: addresses.admin.unwrap(),
            data,
            stop,
            task: tokio::spawn(proxy.serve(async {
                let _ = stopped.await;
            })),
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(LONG, self.task)
            .await
            .unwrap()
            .unwrap();
    }

    /// What the admin listener says.
    async fn ask(&self, path: &str) -> String {
        let stream = TcpStream::connect(self.admin).await.unwrap();
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let request = hyper::Request::get(path).header("host", "x");
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }
}

/// Every line of the audit trail.
fn trail(data: &Path) -> Vec<Value> {
    let files = std::fs::read_dir(data.join("audit")).unwrap();
    let mut lines = Vec::new();
    for file in files {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            let text = std::fs::read_to_string(path).unwrap();
            lines.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
        }
    }
    lines
}

#[tokio::test]
async fn everything_is_there_after_both_are_restarted() {
    let place = Place::new();
    let mut settings = place.settings();
    settings["tls"] = json!({});
    let mut key_ids = Vec::new();
    let mut ca_pem = None;
    for round in 1..=3 {
        let proxy = Proxy::start(&place).await;
        let mut plain = settings.clone();
        if round < 3 {
            plain["tls"] = Value::Null;
        }
        let enclave = place.start_with(plain).await;
        if round < 3 {
            let mut client = Client::http1(&proxy.listen).await;
            let made = client.call("CreateKey", json!({})).await.ok();
            key_ids.push(made["KeyMetadata"]["KeyId"].clone());
            for key_id in &key_ids {
                let data_key = json!({ "KeyId": key_id, "KeySpec": "AES_256" });
                client.call("GenerateDataKey", data_key).await.ok();
            }
            let mut http2 = Client::http2(&proxy.listen).await;
            let listed = http2.call("ListKeys", json!({})).await.ok();
            assert_eq!(listed["Keys"].as_array().unwrap().len(), round);
        } else {
            let path = proxy.data.join("ca.pem");
            eventually("ca.pem", || path.exists()).await;
            ca_pem = Some(std::fs::read_to_string(path).unwrap());
        }
        let health: Value = serde_json::from_str(&proxy.ask("/healthz").await).unwrap();
        assert_eq!(health["status"], "ok", "{health}");
        enclave.stop().await.unwrap();
        proxy.stop().await;
    }
    assert!(ca_pem.unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"));
    let trail = trail(&place.path().join("data"));
    let count = |name: &str| {
        let events = trail.iter();
        events.filter(|event| event["eventName"] == name).count()
    };
    assert_eq!(
        (
            count("CreateKey"),
            count("GenerateDataKey"),
            count("ListKeys")
        ),
        (2, 3, 2)
    );
}

#[tokio::test]
async fn the_enclaves_counters_are_among_the_hosts_metrics() {
    let place = Place::new();
    let proxy = Proxy::start(&place).await;
    let enclave = place.start().await;
    let mut client = Client::http1(&proxy.listen).await;
    client.call("CreateKey", json!({})).await.ok();
    let refused = client
        .call("DescribeKey", json!({ "KeyId": "nonsense" }))
        .await;
    assert_eq!(refused.error(), "NotFoundException");
    let recipient = json!({
        "AttestationDocument": "AAAA",
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
    });
    let refused = client
        .call(
            "GenerateRandom",
            json!({ "NumberOfBytes": 1, "Recipient": recipient }),
        )
        .await;
    assert_eq!(refused.error(), "ValidationException");
    drop(client);
    // The last thing it sends before it ends.
    enclave.stop().await.unwrap();
    let metrics = proxy.ask("/metrics").await;
    for (name, value) in [
        ("calls_total", 3),
        ("client_errors_total", 2),
        ("server_errors_total", 0),
        ("attestation_refused_total", 1),
        ("commits_total", 1),
        ("audit_events_total", 3),
        ("audit_events_waiting", 0),
    ] {
        let line = format!("claviger_enclave_{name} {value}");
        assert!(
            metrics.lines().any(|is| is == line),
            "no {line} in\n{metrics}"
        );
    }
    proxy.stop().await;
}
