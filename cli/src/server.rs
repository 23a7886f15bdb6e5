//! A simulated enclave and its host proxy as two processes, started, watched
//! and stopped together.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kms::name::AccountId;
use kms::seed::Seed;
use rustix::io::FdFlags;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{Instant, sleep, timeout};

use crate::client::Endpoint;
use crate::credentials::{make_private_folder, write_private};
use crate::process::Process;

/// How long the two processes may take to serve.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long one health check may take: most start before there is anyone to answer.
const HEALTH_LIMIT: Duration = Duration::from_secs(2);

/// The wait between two health checks.
const HEALTH_RETRY: Duration = Duration::from_millis(3);

/// How long requests in work may go on when it is time to stop.
const DRAIN: Duration = Duration::from_secs(3);

/// How long the lock of a process that was killed may outlive it.
const DEATH_LIMIT: Duration = Duration::from_millis(500);

/// How long the processes of a predecessor that was killed may take to end.
const PREDECESSOR_LIMIT: Duration = Duration::from_secs(30);

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
        make_private_folder(path)?;
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

    /// The root key.
    pub(crate) fn root_key(&self) -> PathBuf {
        self.0.join("root.key")
    }

    /// The host proxy's record store.
    pub(crate) fn records(&self) -> PathBuf {
        self.0.join("records.redb")
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
    async fn lock(&self) -> Result<fs::File, StartError> {
        self.lock_file("lock", DEATH_LIMIT).await
    }

    /// Takes what keeps others away while one of the two processes runs: they inherit it, and so
    /// hold it even if this process is killed. Waits for those of a predecessor that was.
    async fn lock_for_processes(&self) -> Result<fs::File, StartError> {
        let file = self.lock_file("processes.lock", PREDECESSOR_LIMIT).await?;
        rustix::io::fcntl_setfd(&file, FdFlags::empty()).map_err(io::Error::from)?;
        Ok(file)
    }

    async fn lock_file(&self, name: &str, limit: Duration) -> Result<fs::File, StartError> {
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.0.join(name))?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(fs::TryLockError::WouldBlock) if started.elapsed() < limit => {
                    sleep(Duration::from_millis(20)).await;
                }
                Err(fs::TryLockError::WouldBlock) => return Err(StartError::InUse(self.0.clone())),
                Err(fs::TryLockError::Error(error)) => return Err(error.into()),
            }
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
        let lock = data.lock().await?;
        let inherited = data.lock_for_processes().await?;
        // A socket's path is limited to 107 bytes, a data folder's is not.
        let sockets = tempfile::Builder::new().prefix("claviger-").tempdir()?;
        let enclave_address = format!("unix:{}", sockets.path().join("enclave").display());
        let host_address = format!("unix:{}", sockets.path().join("host").display());

        let configuration = data.0.join("enclave.json");
        let text = enclave_configuration(&options, &data, &enclave_address, &host_address)?;
        write_private(&configuration, &text)?;

        let host_proxy = HostProxyPlaces {
            listen: options.listen,
            admin: options.admin,
            enclave: &enclave_address,
            host: &host_address,
            data: &data.0,
        };
        let log = data.log(options.log)?;
        // Side by side: the enclave has things to do before it needs the host proxy.
        let host_proxy = spawn_host_proxy(&host_proxy, log)?;
        let configuration = configuration.to_string_lossy();
        let log = data.log(options.log)?;
        let enclave = Process::start("enclave", &["--config", &configuration], log)?;
        drop(inherited);
        let (host_proxy, listen, admin) = until_it_listens(host_proxy).await?;

        let mut server = Self {
            endpoint: Endpoint::http(reachable(listen).to_string()),
            admin,
            enclave,
            host_proxy,
            _sockets: sockets,
            _lock: lock,
        };
        let ca = options.tls.then(|| data.tls_ca());
        match timeout(START_LIMIT, server.wait_until_healthy(ca)).await {
            Ok(healthy) => healthy.map(|()| server),
            Err(_) => Err(StartError::NotHealthy),
        }
    }

    /// Where clients connect.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where the host proxy answers `/healthz` and `/metrics`.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The ids of the enclave's process and of the host proxy's, as long as they run.
    pub(crate) fn process_ids(&self) -> (Option<u32>, Option<u32>) {
        (self.enclave.id(), self.host_proxy.id())
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
        let enclave = self.enclave.stop().await;
        let host_proxy = self.host_proxy.stop().await;
        enclave.and(host_proxy)
    }

    async fn wait_until_healthy(&mut self, ca: Option<PathBuf>) -> Result<(), StartError> {
        let authority = self.endpoint.authority().to_owned();
        loop {
            // The CA file appears, or changes, once the enclave has published it. Until then there
            // is no one to trust: the enclave serves its health in clear as well.
            let endpoint = match &ca {
                None => Some(Endpoint::http(authority.clone())),
                Some(ca) => fs::read(ca)
                    .ok()
                    .and_then(|pem| Endpoint::https(authority.clone(), &pem).ok()),
            };
            if let Some(endpoint) = endpoint
                && matches!(timeout(HEALTH_LIMIT, endpoint.is_healthy()).await, Ok(true))
            {
                self.endpoint = endpoint;
                return Ok(());
            }
            for process in [&mut self.enclave, &mut self.host_proxy] {
                if let Some(ended) = process.has_ended()? {
                    return Err(ended);
                }
            }
            sleep(HEALTH_RETRY).await;
        }
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
        "root_key": { "dev_file": data.root_key() },
        "limits": { "shutdown_milliseconds": DRAIN.as_millis() },
        "seed": options.seed,
    }))?)
}

/// Where a host proxy listens, whom it connects, and where it keeps things.
pub(crate) struct HostProxyPlaces<'a> {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) enclave: &'a str,
    pub(crate) host: &'a str,
    pub(crate) data: &'a Path,
}

/// Starts a host proxy and waits until it listens; gives its addresses for clients and operators.
pub(crate) async fn start_host_proxy(
    places: &HostProxyPlaces<'_>,
    log: Stdio,
) -> Result<(Process, SocketAddr, SocketAddr), StartError> {
    until_it_listens(spawn_host_proxy(places, log)?).await
}

fn spawn_host_proxy(places: &HostProxyPlaces<'_>, log: Stdio) -> Result<Process, StartError> {
    let listen = places.listen.to_string();
    let admin = places.admin.to_string();
    let folder = places.data.to_string_lossy();
    Ok(Process::start(
        "host-proxy",
        &[
            "--listen",
            &listen,
            "--admin",
            &admin,
            "--enclave",
            places.enclave,
            "--host",
            places.host,
            "--data",
            &folder,
            // The enclave has drained before the host proxy is stopped.
            "--drain-seconds",
            "1",
        ],
        log,
    )?)
}

async fn until_it_listens(
    mut host_proxy: Process,
) -> Result<(Process, SocketAddr, SocketAddr), StartError> {
    match timeout(START_LIMIT, addresses(&mut host_proxy)).await {
        Ok(Ok(Some((listen, admin)))) => Ok((host_proxy, listen, admin)),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(None)) => Err(host_proxy.ended().await),
        Err(_) => Err(StartError::NotHealthy),
    }
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
