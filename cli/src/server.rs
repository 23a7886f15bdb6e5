//! A simulated enclave and its host proxy as two processes, started, watched
//! and stopped together.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kms::name::AccountId;
use kms::seed::Seed;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{Instant, sleep, timeout};

use crate::client::Endpoint;
use crate::credentials::write_private;
use crate::process::Process;

/// How long the two processes may take to serve.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What to start.
pub struct Options {
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the host proxy answers `/healthz` and `/metrics`.
    pub admin: SocketAddr,
    /// The folder that holds all state.
    pub data: PathBuf,
    /// The account of the full-rights principal and of seeds that name none.
    pub account: AccountId,
    /// Further simulated roots to trust, as PEM files.
    pub trust_roots: Vec<PathBuf>,
    /// Accept documents of debug-mode enclaves.
    pub accept_debug: bool,
    /// How old a document may be.
    pub max_age: Duration,
    /// Serve HTTPS.
    pub tls: bool,
    /// Principals, keys and aliases that must exist.
    pub seed: Seed,
    /// Where the processes' logs go.
    pub log: Log,
}

/// Where the processes' logs go.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Log {
    /// To standard error.
    StandardError,
    /// To `log.txt` in the data folder.
    File,
}

/// Where the parts of a data folder are.
pub struct DataFolder(PathBuf);

impl DataFolder {
    /// Opens the folder at `path`, made for its owner only if it is not there.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)?;
        Ok(Self(fs::canonicalize(path)?))
    }

    /// The access key of the full-rights principal.
    pub fn credentials(&self) -> PathBuf {
        self.0.join("credentials.json")
    }

    /// The simulated NSM's certificate authority, with its private key.
    pub fn nsm_ca(&self) -> PathBuf {
        self.0.join("nsm-ca.pem")
    }

    /// The CA certificate to trust with `--tls`.
    pub fn tls_ca(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    fn log(&self, log: Log) -> io::Result<Stdio> {
        match log {
            Log::StandardError => Ok(Stdio::inherit()),
            Log::File => {
                let file = fs::OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(self.0.join("log.txt"))?;
                Ok(file.into())
            }
        }
    }

    /// Takes the folder for this process alone, until the file is closed.
    ///
    /// # Errors
    /// [`StartError::InUse`] when another process has it.
    pub fn lock(&self) -> Result<fs::File, StartError> {
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.0.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(StartError::InUse(self.0.clone())),
            Err(fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

/// A running enclave with its host proxy. Dropping it kills both.
pub struct Server {
    endpoint: Endpoint,
    admin: SocketAddr,
    enclave: Process,
    host_proxy: Process,
    _sockets: tempfile::TempDir,
    _lock: fs::File,
}

impl Server {
    /// Starts both processes and waits until the enclave answers through the
    /// host proxy.
    ///
    /// # Errors
    /// When the folder is in use, a process ends early, or none of it serves
    /// within a minute.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let data = DataFolder::open(&options.data)?;
        let lock = data.lock()?;
        // A socket's path is limited to 107 bytes, a data folder's is not.
        let sockets = tempfile::Builder::new().prefix("claviger-").tempdir()?;
        let enclave_address = format!("unix:{}", sockets.path().join("enclave").display());
        let host_address = format!("unix:{}", sockets.path().join("host").display());

        let configuration = data.0.join("enclave.json");
        let text = enclave_configuration(&options, &data, &enclave_address, &host_address)?;
        write_private(&configuration, &text)?;

        let listen = options.listen.to_string();
        let admin = options.admin.to_string();
        let folder = data.0.to_string_lossy();
        let mut host_proxy = Process::start(
            "host-proxy",
            &[
                "--listen",
                &listen,
                "--admin",
                &admin,
                "--enclave",
                &enclave_address,
                "--host",
                &host_address,
                "--data",
                &folder,
            ],
            data.log(options.log)?,
        )?;
        let (listen, admin) = match timeout(START_LIMIT, addresses(&mut host_proxy)).await {
            Ok(Ok(Some(addresses))) => addresses,
            Ok(Err(error)) => return Err(error.into()),
            Ok(Ok(None)) => return Err(host_proxy.ended().await),
            Err(_) => return Err(StartError::NotHealthy),
        };
        let configuration = configuration.to_string_lossy();
        let log = data.log(options.log)?;
        let enclave = Process::start("enclave", &["--config", &configuration], log)?;

        let mut server = Self {
            endpoint: Endpoint::http(reachable(listen).to_string()),
            admin,
            enclave,
            host_proxy,
            _sockets: sockets,
            _lock: lock,
        };
        server
            .wait_until_healthy(options.tls.then(|| data.tls_ca()))
            .await?;
        Ok(server)
    }

    /// Where clients connect.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where the host proxy answers `/healthz` and `/metrics`.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Waits until one of the processes ends by itself.
    pub async fn ended(&mut self) -> StartError {
        tokio::select! {
            ended = self.enclave.ended() => ended,
            ended = self.host_proxy.ended() => ended,
        }
    }

    /// Stops both processes: the enclave first, so that its last audit events
    /// find their host proxy.
    ///
    /// # Errors
    /// When a process doesn't stop in time (it is killed then) or ends with an
    /// error.
    pub async fn stop(mut self) -> Result<(), StartError> {
        self.enclave.stop().await?;
        self.host_proxy.stop().await
    }

    async fn wait_until_healthy(&mut self, ca: Option<PathBuf>) -> Result<(), StartError> {
        let started = Instant::now();
        let authority = self.endpoint.authority().to_owned();
        while started.elapsed() < START_LIMIT {
            // The CA file appears, or changes, once the enclave has published it.
            if let Some(Ok(pem)) = ca.as_ref().map(fs::read)
                && let Ok(endpoint) = Endpoint::https(authority.clone(), &pem)
            {
                self.endpoint = endpoint;
            }
            if self.endpoint.is_healthy().await {
                return Ok(());
            }
            for process in [&mut self.enclave, &mut self.host_proxy] {
                if let Some(ended) = process.has_ended()? {
                    return Err(ended);
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(StartError::NotHealthy)
    }
}

/// The configuration of a simulated enclave.
fn enclave_configuration(
    options: &Options,
    data: &DataFolder,
    enclave: &str,
    host: &str,
) -> Result<Vec<u8>, StartError> {
    let name = options.listen.ip().to_string();
    Ok(serde_json::to_vec_pretty(&json!({
        "listen": enclave,
        "host": host,
        "account": options.account.to_string(),
        "tls": options.tls.then(|| json!({ "names": [name] })),
        "nsm": { "simulated": { "ca": data.nsm_ca() } },
        "trust": {
            "aws": true,
            "roots": options.trust_roots,
            "accept_debug": options.accept_debug,
            "max_age_seconds": options.max_age.as_secs(),
        },
        "root_key": { "dev_file": data.0.join("root.key") },
        "seed": options.seed,
    }))?)
}

/// The addresses that the host proxy prints once it is bound.
async fn addresses(host_proxy: &mut Process) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
    let Some(output) = host_proxy.output() else {
        return Ok(None);
    };
    let mut lines = BufReader::new(output).lines();
    let Some(line) = lines.next_line().await? else {
        return Ok(None);
    };
    let line: Value = serde_json::from_str(&line).unwrap_or_default();
    let address = |name: &str| line[name].as_str().and_then(|text| text.parse().ok());
    Ok(address("listen").zip(address("admin")))
}

/// The address at which this machine reaches a listener on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Why a server does not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process has the data folder.
    #[error(
        "the data folder {0} is in use by another claviger; stop it, or choose another with --data"
    )]
    InUse(PathBuf),
    /// A process ended by itself.
    #[error("the {name} process ended ({status}); its last lines above say why")]
    Ended {
        /// Which one.
        name: &'static str,
        /// How it ended.
        status: String,
    },
    /// A process had to be killed.
    #[error("the {0} process did not stop in time and was killed")]
    StopTimedOut(&'static str),
    /// Nothing answered in time.
    #[error("the server did not answer within a minute of its start")]
    NotHealthy,
    /// A file or process operation failed.
    #[error("cannot start the server")]
    Io(#[from] io::Error),
    /// The configuration could not be written.
    #[error("cannot write the enclave's configuration")]
    Configuration(#[from] serde_json::Error),
}
