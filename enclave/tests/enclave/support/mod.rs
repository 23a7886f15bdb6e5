//! An enclave in this process, a host for it, and clients.

pub(crate) mod client;
pub(crate) mod host;

use std::path::Path;
use std::time::Duration;

use enclave::{Config, EnclaveError};
use link::Address;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

pub(crate) use self::client::Client;
pub(crate) use self::host::{Fault, Host};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A folder with the sockets and files of one enclave.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn socket(&self, name: &str) -> Address {
        Address::Unix(self.path().join(name))
    }

    pub(crate) async fn host(&self) -> Host {
        Host::start(self.socket("host.sock")).await
    }

    /// The settings of a simulated enclave with one user who may do everything.
    pub(crate) fn settings(&self) -> Value {
        json!({
            "listen": self.socket("enclave.sock"),
            "host": self.socket("host.sock"),
            "account": ACCOUNT,
            "nsm": { "simulated": { "ca": self.path().join("simulated-ca.pem") } },
            "root_key": { "dev_file": self.path().join("root-key.json") },
            "seed": { "users": [{
                "name": "alice",
                "access_key_id": ACCESS_KEY_ID,
                "secret_access_key": SECRET_ACCESS_KEY,
            }] },
            "limits": { "shutdown_milliseconds": 5000 },
        })
    }

    /// Starts an enclave with these settings, and waits until it serves.
    pub(crate) async fn start_with(&self, settings: Value) -> Enclave {
        let enclave = Enclave::spawn(settings);
        let began = Instant::now();
        loop {
            if let Some(mut client) = Client::try_http1(&enclave.address).await {
                assert_eq!(client.health().await["status"], "ok");
                return enclave;
            }
            assert!(!enclave.task.is_finished(), "{:?}", enclave.ended().await);
            assert!(began.elapsed() < LONG, "the enclave does not start");
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn start(&self) -> Enclave {
        self.start_with(self.settings()).await
    }
}

/// A running enclave.
pub(crate) struct Enclave {
    pub(crate) address: Address,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), EnclaveError>>,
}

impl Enclave {
    pub(crate) fn spawn(settings: Value) -> Self {
        let config = Config::from_json(settings.to_string().as_bytes()).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        Self {
            address: config.listen.clone(),
            stop: Some(stop),
            task: tokio::spawn(enclave::run(config, async {
                // Dropping the sender is not a request to stop.
                if stopped.await.is_err() {
                    std::future::pending().await
                }
            })),
        }
    }

    pub(crate) async fn http1(&self) -> Client {
        Client::http1(&self.address).await
    }

    pub(crate) async fn http2(&self) -> Client {
        Client::http2(&self.address).await
    }

    /// Asks it to shut down, and goes on at once.
    pub(crate) fn ask_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Shuts it down and waits for the end.
    pub(crate) async fn stop(mut self) -> Result<(), EnclaveError> {
        self.ask_to_stop();
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<(), EnclaveError> {
        timeout(LONG, self.task).await.unwrap().unwrap()
    }

    /// Ends it as a crash would: no task of it runs any more.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Waits until something is true.
pub(crate) async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_true() {
        assert!(began.elapsed() < LONG, "never happened: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
