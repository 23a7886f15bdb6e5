//! The processes that are measured: the real enclave with its host proxy, and a bare server with
//! another, in a folder of their own.

use std::path::Path;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::sleep;

use super::bare::Bare;
use super::documents::Documents;
use super::population::{self, ACCOUNT, Population};
use super::requests::Requests;
use super::result::ServerResults;
use super::usage::{Memory, Watched};
use crate::Failure;
use crate::attest;
use crate::client::Endpoint;
use crate::server::{self, DataFolder, Log, Server};

/// How long the enclave's last metrics may take to reach the host proxy: it sends them every five
/// seconds.
const METRICS_TIME: Duration = Duration::from_secs(15);

/// The name of the enclave's count of calls.
const CALLS: &str = "claviger_enclave_calls_total ";

/// A server and the host proxy before it.
pub(super) struct Pair {
    endpoint: Endpoint,
    enclave: Watched,
    host_proxy: Watched,
}

impl Pair {
    fn new(
        endpoint: &Endpoint,
        (enclave, host_proxy): (Option<u32>, Option<u32>),
    ) -> Result<Self, Failure> {
        Ok(Self {
            endpoint: endpoint.clone(),
            enclave: Watched::new(enclave)?,
            host_proxy: Watched::new(host_proxy)?,
        })
    }

    /// Where clients connect.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What both have used of the processors.
    pub(super) fn processor_times(&self) -> (Duration, Duration) {
        let (enclave, host_proxy) = (self.enclave, self.host_proxy);
        (enclave.processor_time(), host_proxy.processor_time())
    }

    fn memory(&self) -> Result<(Memory, Memory), Failure> {
        Ok((self.enclave.memory()?, self.host_proxy.memory()?))
    }
}

/// Everything that is started.
pub(super) struct Servers {
    pub(super) claviger: Pair,
    pub(super) bare: Pair,
    pub(super) bare_server: Bare,
    /// Calls that were made.
    pub(super) calls: u64,
    server: Server,
    tls: bool,
    start: Duration,
    all_keys: Duration,
    idle: (Memory, Memory),
    _folder: TempDir,
}

impl Servers {
    /// Starts all processes, and gives what makes requests to them, and a recipient's public key.
    ///
    /// # Errors
    /// When one doesn't come up.
    pub(super) async fn start(
        tls: bool,
        http2: bool,
        keys: u32,
    ) -> Result<(Self, Requests, Vec<u8>), Failure> {
        let folder = tempfile::Builder::new()
            .prefix("claviger-bench-")
            .tempdir()?;
        let population = Population::new(keys);
        let data = DataFolder::open(&folder.path().join("data"))?;
        let authority = attest::load_or_generate_ca(&data.nsm_ca(), attest::now())?;
        if keys > 0 {
            // The first run makes the store.
            start_server(folder.path(), &population, tls)
                .await?
                .stop()
                .await?;
            let data = DataFolder::open(&folder.path().join("data"))?;
            tokio::task::spawn_blocking(move || population::fill(keys, &data)).await??;
        }
        let began = Instant::now();
        let server = match start_server(folder.path(), &population, tls).await {
            Ok(server) => server,
            Err(error) => {
                let log = folder.path().join("data/log.txt");
                eprint!("{}", std::fs::read_to_string(log).unwrap_or_default());
                return Err(error);
            }
        };
        let start = began.elapsed();
        all_keys_open(server.endpoint()).await?;
        let all_keys = began.elapsed();
        let bare_server = Bare::start(folder.path(), tls, http2).await?;
        let endpoint = match http2 {
            true => server.endpoint().clone().over_http2(),
            false => server.endpoint().clone(),
        };
        let claviger = Pair::new(&endpoint, server.process_ids())?;
        let idle = claviger.memory()?;
        let documents = Documents::new(authority)?;
        let recipient = documents.recipient().to_vec();
        let requests = Requests::set_up(server.endpoint(), &population, documents).await?;
        let this = Self {
            claviger,
            bare: Pair::new(bare_server.endpoint(), bare_server.process_ids())?,
            bare_server,
            calls: requests.calls(),
            server,
            tls,
            start,
            all_keys,
            idle,
            _folder: folder,
        };
        Ok((this, requests, recipient))
    }

    /// Stops all processes, once the enclave has said how many calls it counted.
    ///
    /// # Errors
    /// When one of them failed.
    pub(super) async fn stop(self) -> Result<ServerResults, Failure> {
        let calls_counted = self.calls_counted().await?;
        let (enclave, host_proxy) = self.claviger.memory()?;
        let results = ServerResults {
            tls: self.tls,
            start_milliseconds: self.start.as_secs_f64() * 1000.0,
            all_keys_milliseconds: self.all_keys.as_secs_f64() * 1000.0,
            enclave_idle: self.idle.0,
            host_proxy_idle: self.idle.1,
            enclave,
            host_proxy,
            calls_made: self.calls,
            calls_counted,
        };
        self.end().await?;
        Ok(results)
    }

    /// Stops all processes.
    ///
    /// # Errors
    /// When one of them failed.
    pub(super) async fn end(self) -> Result<(), Failure> {
        self.server.stop().await?;
        self.bare_server.stop().await
    }

    /// How many calls the enclave has counted, read until it is as many as were made, or no more
    /// can be expected to come.
    async fn calls_counted(&self) -> Result<u64, Failure> {
        let admin = Endpoint::http(self.server.admin().to_string());
        let began = Instant::now();
        loop {
            let request = Request::get("/metrics")
                .header("host", admin.authority())
                .body(Full::default())?;
            let (_, text) = admin.send(request).await?;
            let text = String::from_utf8_lossy(&text);
            let calls = text.lines().find_map(|line| line.strip_prefix(CALLS));
            let calls = calls.map_or(Ok(0), str::parse)?;
            if calls >= self.calls || began.elapsed() > METRICS_TIME {
                return Ok(calls);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Waits until every key is open.
async fn all_keys_open(endpoint: &Endpoint) -> Result<(), Failure> {
    loop {
        let request = Request::get("/health")
            .header("host", endpoint.authority())
            .body(Full::default())?;
        let (_, answer) = endpoint.send(request).await?;
        let health: Value = serde_json::from_slice(&answer)?;
        if health["state"]["sealed_keys"] == 0 {
            return Ok(());
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn start_server(
    folder: &Path,
    population: &Population,
    tls: bool,
) -> Result<Server, Failure> {
    let any = "127.0.0.1:0".parse()?;
    Ok(Server::start(server::Options {
        listen: any,
        admin: any,
        data: folder.join("data"),
        account: ACCOUNT.parse()?,
        trust_roots: Vec::new(),
        accept_debug: false,
        max_age: Duration::from_secs(300),
        tls,
        seed: population.seed()?,
        log: Log::File,
    })
    .await?)
}
