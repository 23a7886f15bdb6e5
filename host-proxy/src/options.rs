//! What the host proxy is told when it starts.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use link::Address;

/// Where to listen, what to connect, and how much of everything.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Where clients connect; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Where the enclave takes client connections: vsock:CID:PORT, unix:/path or tcp:HOST:PORT;
    /// repeatable, where one enclave may take over from another.
    #[arg(long, value_name = "ADDRESS", required = true)]
    pub enclave: Vec<Address>,

    /// Where the enclave reaches this host for records and events.
    #[arg(long, value_name = "ADDRESS")]
    pub host: Address,

    /// Folder for records, audit trail and public files.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,

    /// Where to answer /healthz and /metrics; keep it to those who operate the host.
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<SocketAddr>,

    /// Client connections at a time; some more wait a little for a place.
    #[arg(long, value_name = "N", default_value_t = Options::MAX_CONNECTIONS)]
    pub max_connections: usize,

    /// Size at which an audit file is closed and the next begun.
    #[arg(long, value_name = "BYTES", default_value_t = Options::AUDIT_ROTATE_BYTES)]
    pub audit_rotate_bytes: u64,

    /// Closed audit files to keep; all of them unless given.
    #[arg(long, value_name = "N")]
    pub audit_keep: Option<usize>,

    /// How long open client connections may go on when the host proxy is told to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = Options::DRAIN_SECONDS)]
    pub drain_seconds: u64,
}

impl Options {
    /// Client connections at a time, unless said otherwise.
    pub const MAX_CONNECTIONS: usize = 1024;

    /// Size of an audit file, unless said otherwise.
    pub const AUDIT_ROTATE_BYTES: u64 = 256 * 1024 * 1024;

    /// Seconds that open connections may go on, unless said otherwise.
    pub const DRAIN_SECONDS: u64 = 5;

    /// Options with defaults for all that has one, and no admin listener.
    pub fn new(listen: SocketAddr, enclave: Address, host: Address, data: PathBuf) -> Self {
        Self {
            listen,
            enclave: vec![enclave],
            host,
            data,
            admin: None,
            max_connections: Self::MAX_CONNECTIONS,
            audit_rotate_bytes: Self::AUDIT_ROTATE_BYTES,
            audit_keep: None,
            drain_seconds: Self::DRAIN_SECONDS,
        }
    }
}
