//! Whether the whole chain works: relay address, enclave, record store.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use link::{Address, HEALTH_PATH, Stream};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::enclaves::Enclaves;
use crate::metrics::Metrics;
use crate::store::RecordStore;

/// How long the enclave and the store may each take to answer.
const TIME: Duration = Duration::from_secs(3);

/// Most bytes of the enclave's answer.
const ANSWER_BYTES: usize = 16 * 1024;

/// Asks those concerned how they are.
pub(crate) struct Health {
    pub(crate) enclaves: Arc<Enclaves>,
    pub(crate) store: Arc<dyn RecordStore>,
    pub(crate) metrics: Arc<Metrics>,
    /// One reading of the store at a time: a disk that hangs holds one thread,
    /// however often someone asks.
    pub(crate) reading: Arc<Semaphore>,
}

impl Health {
    /// Whether all is well, and a report in JSON.
    pub(crate) async fn check(&self) -> (bool, Value) {
        let enclave = async {
            let answer = ask(self.enclaves.current());
            within(TIME, async { answer.await.map_err(|e| e.to_string()) }).await
        };
        let store = async { within(TIME, self.read_head()).await };
        let (enclave, store) = tokio::join!(enclave, store);
        let healthy = enclave.is_ok() && store.is_ok();
        let report = json!({
            "status": if healthy { "ok" } else { "unavailable" },
            "enclave": enclave.unwrap_or_else(unavailable),
            "store": store.unwrap_or_else(unavailable),
            "audit": match self.metrics.audit_failing.get() {
                0 => json!({"status": "ok"}),
                // Calls are still served; the events wait to be written.
                _ => unavailable("audit events cannot be written".to_owned()),
            },
        });
        (healthy, report)
    }

    async fn read_head(&self) -> Result<Value, String> {
        let store = Arc::clone(&self.store);
        let turn = Arc::clone(&self.reading).acquire_owned().await;
        let read = move || {
            let head = store.head();
            drop(turn);
            head
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|panic| panic.to_string())?
            .map(|_| json!({"status": "ok"}))
            .map_err(|error| error.to_string())
    }
}

fn unavailable(reason: String) -> Value {
    json!({"status": "unavailable", "reason": reason})
}

async fn within<T>(
    time: Duration,
    answer: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    timeout(time, answer)
        .await
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

/// Why an enclave does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotServing {
    /// Nobody takes connections there.
    #[error("connecting to {enclave}: {source}")]
    Absent { enclave: Address, source: io::Error },
    /// Somebody does, and does not say that it is well.
    #[error("{0}")]
    Unwell(String),
}

/// Asks the enclave for its health the way clients reach it.
pub(crate) async fn ask(enclave: &Address) -> Result<Value, NotServing> {
    let stream = link::connect(enclave)
        .await
        .map_err(|source| NotServing::Absent {
            enclave: enclave.clone(),
            source,
        })?;
    asked(stream).await.map_err(NotServing::Unwell)
}

async fn asked(stream: Stream) -> Result<Value, String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let request = Request::get(HEALTH_PATH)
        .header(HOST, "enclave")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|e| e.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        let body = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
        match status {
            StatusCode::OK => Ok(body),
            status => Err(format!("the enclave answered {status}: {body}")),
        }
    };
    let mut answer = pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The enclave has closed: what it said before is there to be read, and
        // if it said nothing the sender knows why.
        _ = connection => answer.await,
    }
}
