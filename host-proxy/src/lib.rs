//! The untrusted host's side of Claviger.
//!
//! An enclave has no network and no disk. The host proxy lends it both without
//! being trusted with anything: it relays the clients' bytes (`relay`), keeps
//! sealed records ([`RecordStore`]), appends audit events (`audit`), publishes
//! the files meant for everyone, tells operators how things are (`admin`), and
//! gives them all of the records at once (`backup`).
//!
//! ```text
//!  clients ──TCP──► relay ────────────────────────────► enclave
//!  operators ─────► admin: /healthz /metrics               │
//!  DIR/records.redb ◄── store  ◄──┐                        │
//!  DIR/audit/*.jsonl ◄─ audit  ◄──┼─ links ◄───────────────┘
//!  DIR/ca.pem ◄──────── publish◄──┘
//!  DIR/backup.sock ───► backup: the records of one moment
//! ```
//!
//! [`HostProxy`] is the whole of it as a library; [`main`] is the program.

mod admin;
mod audit;
mod backup;
mod enclaves;
mod events;
mod health;
mod links;
mod metrics;
mod options;
mod program;
mod publish;
mod relay;
mod stop;
mod store;

use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use link::Address;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::admin::Admin;
use crate::audit::{AuditSink, Limits};
use crate::backup::Backups;
use crate::enclaves::Enclaves;
use crate::events::Events;
use crate::health::Health;
use crate::links::Links;
use crate::metrics::Metrics;
use crate::relay::Relay;
use crate::stop::stopper;

pub use crate::backup::{Backup, BackupError, back_up, check, restore};
pub use crate::options::Options;
pub use crate::program::{LogFilter, LogFormat, Program, main};
pub use crate::store::{Outcome, Page, Part, RecordStore, RedbStore, StoreError};

/// Why the host proxy cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostProxyError {
    /// The audit trail cannot be opened.
    #[error("cannot open the audit trail in {}", path.display())]
    Audit {
        /// Its folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The data folder cannot be made.
    #[error("cannot make the data folder {}", path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A listener cannot be set up.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The record store cannot be opened.
    #[error("cannot open the record store {}", path.display())]
    Store {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: StoreError,
    },
}

/// A host proxy that listens, and serves once told to.
pub struct HostProxy {
    relay: Relay,
    enclaves: Arc<Enclaves>,
    links: Links,
    admin: Option<Admin>,
    backups: Option<Backups>,
    audit: AuditSink,
    addresses: Addresses,
}

/// Where a host proxy listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// For clients.
    pub listen: SocketAddr,
    /// For the enclave.
    pub host: Address,
    /// For operators, if they are answered.
    pub admin: Option<SocketAddr>,
}

/// Runs a host proxy until `shutdown` completes.
///
/// # Errors
///
/// When it cannot start.
pub async fn run(
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Result<(), HostProxyError> {
    let proxy = HostProxy::bind(options).await?;
    proxy.serve(shutdown).await;
    Ok(())
}

impl HostProxy {
    /// Opens the data folder and all listeners.
    ///
    /// # Errors
    ///
    /// When something in the data folder cannot be opened or an address is
    /// taken.
    pub async fn bind(options: Options) -> Result<Self, HostProxyError> {
        let metrics = Arc::new(Metrics::new());
        make_folder(&options.data).map_err(|source| HostProxyError::Data {
            path: options.data.clone(),
            source,
        })?;
        let store = Arc::new(open_store(&options.data)?);
        let audit = open_audit(&options, &metrics)?;
        let (listener, listen) = listen_tcp(options.listen).await?;
        let enclaves = Enclaves::new(options.enclave);
        let relay = Relay {
            listener,
            enclaves: Arc::clone(&enclaves),
            max_connections: options.max_connections,
            drain: Duration::from_secs(options.drain_seconds),
            metrics: Arc::clone(&metrics),
        };
        let host = link::listen(&options.host)
            .await
            .map_err(|source| listen_error(&options.host, source))?;
        let mut addresses = Addresses {
            listen,
            host: host
                .local_address()
                .map_err(|source| listen_error(&options.host, source))?,
            admin: None,
        };
        let admin = match options.admin {
            None => None,
            Some(address) => {
                let (listener, address) = listen_tcp(address).await?;
                addresses.admin = Some(address);
                Some(Admin {
                    listener,
                    health: Health {
                        enclaves: Arc::clone(&enclaves),
                        store: store.clone(),
                        metrics: Arc::clone(&metrics),
                        reading: Arc::new(Semaphore::new(1)),
                    },
                    metrics: Arc::clone(&metrics),
                })
            }
        };
        let backups = Backups::listen(&options.data, store.clone()).await;
        let links = Links {
            listener: host,
            store,
            events: Events {
                data: options.data,
                audit: audit.sender(),
                metrics: Arc::clone(&metrics),
            },
            metrics,
        };
        Ok(Self {
            relay,
            enclaves,
            links,
            admin,
            backups,
            audit,
            addresses,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves until `shutdown` completes; then drains.
    ///
    /// Clients go first, while the enclave can still commit and report; then
    /// the link; then what is left of the audit trail is written.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let (stop_relay, stop) = stopper();
        let enclaves = self.enclaves;
        let watching = stop.clone();
        let watch = tokio::spawn(async move { enclaves.watch(watching).await });
        let relay = tokio::spawn(self.relay.serve(stop));
        let (stop_links, stop) = stopper();
        let links = tokio::spawn(self.links.serve(stop));
        let (stop_admin, stop) = stopper();
        let admin = self.admin.map(|admin| tokio::spawn(admin.serve(stop)));
        let (stop_backups, stop) = stopper();
        let backups = self
            .backups
            .map(|backups| tokio::spawn(backups.serve(stop)));

        shutdown.await;
        tracing::info!("stopping");
        drop(stop_backups);
        drop(stop_relay);
        ended("relay", relay).await;
        ended("watch over the enclaves", watch).await;
        if let Some(backups) = backups {
            ended("backups", backups).await;
        }
        drop(stop_links);
        ended("links", links).await;
        ended("audit", tokio::task::spawn_blocking(|| self.audit.finish())).await;
        drop(stop_admin);
        if let Some(admin) = admin {
            ended("admin", admin).await;
        }
        tracing::info!("stopped");
    }
}

async fn ended(part: &str, task: tokio::task::JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(part, %error, "a part of the host proxy panicked");
    }
}

/// Makes a data folder that only its owner may enter, unless there is one.
fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Where the record store is in a data folder.
fn store_path(data: &Path) -> PathBuf {
    data.join("records.redb")
}

fn open_store(data: &Path) -> Result<RedbStore, HostProxyError> {
    let path = store_path(data);
    RedbStore::open(&path).map_err(|source| HostProxyError::Store { path, source })
}

fn open_audit(options: &Options, metrics: &Arc<Metrics>) -> Result<AuditSink, HostProxyError> {
    let path = options.data.join("audit");
    let limits = Limits {
        rotate_bytes: options.audit_rotate_bytes,
        keep: options.audit_keep,
    };
    AuditSink::start(&path, limits, Arc::clone(metrics))
        .map_err(|source| HostProxyError::Audit { path, source })
}

async fn listen_tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr), HostProxyError> {
    let failed = |source| listen_error(&address, source);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn listen_error(address: &impl ToString, source: io::Error) -> HostProxyError {
    HostProxyError::Listen {
        address: address.to_string(),
        source,
    }
}
